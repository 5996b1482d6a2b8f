//! Either side goes away at any moment, and comes back.

use crate::cluster::{self, Cluster};
use crate::given::*;
use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_event_store_is_followed_again_when_it_is_back() {
    let (store, url) = (Store::start(), cluster::database("killed_store").await);
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    for round in 1..=3u32 {
        let last = warehouse(&store, 1, &[1; 100]).await;
        reader.wait_for(last, PATIENCE).await.unwrap();
        store.kill();
        until("the outage shows", async || !projector.is_ready().await).await;
        assert_eq!(stocks(&reader).await, [(1, 100 * round)]);
        store.start_again();
        until("it is ready again", async || projector.is_ready().await).await;
    }
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_may_stop_crash_or_freeze_at_any_moment() {
    let (store, cluster) = (Store::start(), Cluster::start());
    let url = cluster.database("outages").await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    until("it is ready", async || projector.is_ready().await).await;
    for (outage, end) in [("stop", "start"), ("kill", "start"), ("freeze", "thaw")] {
        // It may hit in the middle of a batch: nobody waits for these.
        warehouse(&store, 1, &[1; 400]).await;
        warehouse(&store, 2, &[2; 400]).await;
        cluster.command(outage);
        until("the outage shows", async || !projector.is_ready().await).await;
        warehouse(&store, 1, &[1; 400]).await;
        cluster.command(end);
        let last = warehouse(&store, 2, &[2; 400]).await;
        reader.wait_for(last, PATIENCE).await.unwrap();
        until("it is ready again", async || projector.is_ready().await).await;
    }
    assert_eq!(stocks(&reader).await, [(1, 2400), (2, 4800)]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_before_the_stores_do() {
    let (store, cluster) = (Store::start(), Cluster::start());
    let url = cluster.database("before").await;
    let last = warehouse(&store, 1, &[3]).await;
    store.kill();
    cluster.command("stop");
    let projector = Running::start(&store, &url);
    cluster.command("start");
    store.start_again();
    reader(&url).wait_for(last, PATIENCE).await.unwrap();
    until("it is ready", async || projector.is_ready().await).await;
    projector.stop().await;
}
