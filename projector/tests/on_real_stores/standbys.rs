//! One projects, the others stand by.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_within_five_seconds_of_a_death() {
    let (store, url) = (Store::start(), cluster::database("death").await);
    let reader = reader(&url);
    let active = Running::start(&store, &url);
    let first = warehouse(&store, 1, &[1; 10]).await;
    reader.wait_for(first, PATIENCE).await.unwrap();
    let standby = Running::start(&store, &url);
    until("the standby is ready", async || standby.is_ready().await).await;

    active.crash().await;
    let death = Instant::now();
    let last = warehouse(&store, 1, &[1; 10]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert!(death.elapsed() < Duration::from_secs(5), "{:?}", death.elapsed());
    assert_eq!(stocks(&reader).await, [(1, 20)]);
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_at_once_from_an_orderly_stop() {
    let (store, url) = (Store::start(), cluster::database("orderly_stop").await);
    let reader = reader(&url);
    let active = Running::start(&store, &url);
    until("it is active", async || active.readiness().await.contains("active")).await;
    let standby = Running::start(&store, &url);
    until("the other stands by", async || standby.readiness().await.contains("standing by")).await;
    until("both are ready", async || active.is_ready().await && standby.is_ready().await).await;

    active.stop().await;
    let stop = Instant::now();
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    // The term of a lease would be three seconds.
    assert!(stop.elapsed() < Duration::from_secs(2), "{:?}", stop.elapsed());
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_under_load_lose_and_double_nothing() {
    let (store, url) = (Store::start(), cluster::database("under_load").await);
    let reader = reader(&url);
    let mut active = Running::start(&store, &url);
    let mut last = 0;
    for round in 0..4u64 {
        let standby = Running::start(&store, &url);
        for batch in 0..20u64 {
            last = warehouse(&store, 1 + batch % 3, &[1; 50]).await;
            if batch == 5 + round {
                break;
            }
        }
        active.crash().await;
        active = standby;
        last = last.max(warehouse(&store, 4, &[1; 50]).await);
    }
    reader.wait_for(last, PATIENCE).await.unwrap();
    // Batches of 50: 6, 7, 8 and 9 of them in turns to three books, and one a round to the fourth.
    assert_eq!(stocks(&reader).await, [(1, 550), (2, 500), (3, 450), (4, 200)]);
    active.stop().await;
}
