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
async fn a_standby_takes_over_from_an_orderly_stop() {
    let (store, url) = (Store::start(), cluster::database("orderly_stop").await);
    let reader = reader(&url);
    let active = Running::start(&store, &url);
    until("it is active", async || active.readiness().await.contains("active")).await;
    let standby = Running::start(&store, &url);
    until("the other stands by", async || standby.readiness().await.contains("standing by")).await;
    until("both are ready", async || active.is_ready().await && standby.is_ready().await).await;

    active.stop().await;
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    standby.stop().await;
}

/// Each asking for the lease, and each taking of it, by connection.
const WATCHED: &str = "
    CREATE TABLE public.asked (pid integer DEFAULT pg_backend_pid(), at timestamptz DEFAULT clock_timestamp(), took boolean);
    CREATE FUNCTION public.asks() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.asked (took) VALUES (TG_LEVEL = 'ROW'); RETURN NEW; END $$;
    CREATE TRIGGER asks BEFORE UPDATE ON bookstock.projection FOR EACH STATEMENT EXECUTE FUNCTION public.asks();
    CREATE TRIGGER took AFTER UPDATE ON bookstock.projection FOR EACH ROW
        WHEN (OLD.epoch <> NEW.epoch) EXECUTE FUNCTION public.asks()";

/// How long before it took the lease the last one that did so had asked in vain, in milliseconds.
const ASKED_BEFORE: &str = "
    SELECT (extract(epoch FROM took.at - before.at) * 1000)::float8
    FROM (SELECT pid, at FROM public.asked WHERE took ORDER BY at DESC LIMIT 1) AS took CROSS JOIN LATERAL (
        SELECT at FROM public.asked AS a WHERE a.pid = took.pid AND NOT a.took AND a.at < took.at
        ORDER BY at DESC OFFSET 1 LIMIT 1
    ) AS before";

/// A timer asks every half second, never earlier. Whoever asks earlier was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_told_of_a_lease_that_is_handed_back() {
    let (store, url) = (Store::start(), cluster::database("told").await);
    let mut active = Running::start(&store, &url);
    until("it is active", async || active.readiness().await.contains("active")).await;
    let client = connect(&url).await;
    client.batch_execute(WATCHED).await.unwrap();
    let started = Instant::now();
    loop {
        let standby = Running::start(&store, &url);
        until("the other stands by", async || standby.readiness().await.contains("standing by")).await;
        active.stop().await;
        active = standby;
        until("the other is active", async || active.readiness().await.contains("active")).await;
        // On a machine with much to do, being told may take as long as the timer.
        let asked_before = client.query_opt(ASKED_BEFORE, &[]).await.unwrap();
        if asked_before.is_some_and(|row| row.get::<_, f64>(0) < 400.0) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "nobody is told");
    }
    active.stop().await;
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
