//! What the projector does not get past: it waits, and changes nothing.

use crate::cluster;
use crate::given::*;
use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn another_event_store_is_refused() {
    let (store, url) = (Store::start(), cluster::database("another_store").await);
    let last = warehouse(&store, 1, &[5]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;

    let another = Store::start();
    warehouse(&another, 2, &[6, 7, 8]).await;
    let projector = Running::start(&another, &url);
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;
    assert_eq!(stocks(&reader).await, [(1, 5)]);
    projector.stop().await;

    let projector = Running::start(&store, &url);
    let last = warehouse(&store, 1, &[6]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 11)]);
    projector.stop().await;
}

/// The checkpoint's event stands at the same position in both, and what is before it differs.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_has_the_checkpoints_event_at_its_place_and_others_elsewhere_is_refused() {
    let (origin, url) = (Store::start(), cluster::database("copy").await);
    for (book, qty) in [(1, 5), (2, 6), (3, 7)] {
        warehouse(&origin, book, &[qty]).await;
    }
    let last = warehouse(&origin, 1, &[1]).await;
    let projector = Running::start(&origin, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;

    let copy = Store::start();
    for (book, qty) in [(1, 5), (2, 6), (2, 8)] {
        warehouse(&copy, book, &[qty]).await;
    }
    assert_eq!(warehouse(&copy, 1, &[1]).await, last);
    warehouse(&copy, 3, &[7]).await;
    let projector = Running::start(&copy, &url);
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;
    assert_eq!(stocks(&reader).await, [(1, 6), (2, 6), (3, 7)]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_event_store_at_the_same_address_is_refused_though_it_has_nothing_to_tell() {
    let (store, url) = (Store::start(), cluster::database("swapped_store").await);
    let last = warehouse(&store, 1, &[5, 6, 7]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();

    store.kill();
    store.start_empty();
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;
    assert_eq!(stocks(&reader).await, [(1, 18)]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_version_of_the_views_are_refused() {
    let (store, url) = (Store::start(), cluster::database("another_version").await);
    let projector = Running::start(&store, &url);
    until("it is ready", async || projector.is_ready().await).await;
    projector.stop().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("UPDATE bookstock.projection SET fold_version = 1000").await.unwrap();

    let projector = Running::start(&store, &url);
    warehouse(&store, 1, &[5]).await;
    until("it shows", async || projector.readiness().await.contains("replay rebuild")).await;
    assert_eq!(stocks(&reader(&url)).await, []);
    projector.stop().await;
}
