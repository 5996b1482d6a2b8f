//! A generation that does not serve any more is kept current, so that serving can go back to it at once.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use read_model::Database;
use read_model::admin_list::AdminList;
use read_model::book_history::BookHistory;
use read_model::book_stock::BookStock;
use read_model::generation;
use read_model::lease::WRITER_SETTINGS;
use read_model::view::AnyView;
use std::time::Duration;

const VIEWS: &[&dyn AnyView] = &[&BookStock, &AdminList, &BookHistory];

#[tokio::test(flavor = "multi_thread")]
async fn the_generation_before_a_switch_stays_current_and_serving_can_go_back_to_it() {
    let (store, url) = (Store::start(), cluster::database("kept_current").await);
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    let last = warehouse(&store, 1, &[5, 6]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();

    let database: Database = url.parse().unwrap();
    let mut connection = database.connect("test", WRITER_SETTINGS).await.unwrap();
    let begun =
        generation::begin(&mut connection, "a maker", Duration::from_secs(5), generation::Kind::Next, VIEWS)
            .await
            .unwrap();
    // It is empty: the projector fills it.
    generation::switch(&mut connection, &begun.lease, true).await.unwrap();
    let serves = async |number| reader.ping().await.is_ok_and(|at| at.generation == number);
    until("the second serves", async || serves(2).await).await;
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it has all", async || stocks(&reader).await == [(1, 18)]).await;

    until("both are current", async || positions(&url).await == [last, last]).await;
    generation::go_back(&mut connection, None).await.unwrap();
    until("the first serves again", async || serves(1).await).await;
    let last = warehouse(&store, 2, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it goes on", async || stocks(&reader).await == [(1, 18), (2, 1)]).await;
    until("the other one, too", async || positions(&url).await == [last, last]).await;
    projector.stop().await;
}
