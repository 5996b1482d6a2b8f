//! Events become rows.

use crate::cluster;
use crate::given::*;
use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn events_appear_in_both_views() {
    let (store, url) = (Store::start(), cluster::database("appear").await);
    warehouse(&store, 1, &[123]).await;
    let projector = Running::start(&store, &url);
    renew(&store, 1).await;
    let last = warehouse(&store, 2, &[5, 6]).await;
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 100), (2, 11)]);
    until("all checks hold", async || projector.is_ready().await).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_no_books_are_left_out() {
    let (store, url) = (Store::start(), cluster::database("no_books").await);
    store.append("book-club", vec![("Founded".to_owned(), b"{}".to_vec())]).await;
    store.append("shelf-1", vec![("Built".to_owned(), b"{}".to_vec())]).await;
    let last = warehouse(&store, 1, &[5]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 5)]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_goes_on_where_the_one_before_stopped() {
    let (store, url) = (Store::start(), cluster::database("goes_on").await);
    let reader = reader(&url);
    for round in 1..=3u32 {
        let projector = Running::start(&store, &url);
        let last = warehouse(&store, 1, &[1; 700]).await;
        reader.wait_for(last, PATIENCE).await.unwrap();
        assert_eq!(stocks(&reader).await, [(1, 700 * round)]);
        projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_many_books_come_the_indexes_that_sort_them_and_events_flow_on() {
    let (store, url) = (Store::start(), cluster::database("many_books").await);
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(warehouse(&store, 1, &[5]).await, PATIENCE).await.unwrap();
    let database = connect(&url).await;
    let indexes = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'rm_1' AND tablename = 'admin_list'";
        database.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(indexes().await, 1);
    // As if so many books had been booked.
    let many = "INSERT INTO rm_1.streams SELECT 1000 + number, 0 FROM generate_series(1, 50001) AS number";
    database.execute(many, &[]).await.unwrap();
    until("the indexes are there", async || indexes().await == 5).await;
    reader.wait_for(renew(&store, 1).await, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 100)]);
    projector.stop().await;
}
