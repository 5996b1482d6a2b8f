//! One projects, the others stand by.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use read_model::Lag;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_within_five_seconds_of_a_death() {
    let (store, url) = (Store::start(), cluster::database("death").await);
    let reader = reader(&url);
    let mut active = Running::start(&store, &url);
    let first = warehouse(&store, 1, &[1; 10]).await;
    reader.wait_for(first, PATIENCE).await.unwrap();
    let (started, mut deaths) = (Instant::now(), 0);
    // On a busy machine more than one may have to die until a takeover is not held up by others.
    loop {
        let standby = Running::start(&store, &url);
        until("it stands by", async || standby.readiness().await.contains("standing by")).await;
        active.crash().await;
        let death = Instant::now();
        let last = warehouse(&store, 1, &[1; 10]).await;
        reader.wait_for(last, PATIENCE).await.unwrap();
        let took = death.elapsed();
        (active, deaths) = (standby, deaths + 1);
        assert_eq!(stocks(&reader).await, [(1, 10 + deaths * 10)]);
        if took < Duration::from_secs(5) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{took:?}");
    }
    active.stop().await;
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
    let client = connect(&url).await;
    client.batch_execute(TAKEN).await.unwrap();

    active.stop().await;
    let last = warehouse(&store, 1, &[7]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    // Nobody waited for the end of the lease: it belonged to nobody when it was taken.
    let taken = client.query("SELECT from_owner FROM public.taken", &[]).await.unwrap();
    assert_eq!(taken.iter().map(|row| row.get(0)).collect::<Vec<Option<String>>>(), [None]);
    standby.stop().await;
}

/// Whose the lease was, each time that it is taken.
const TAKEN: &str = "
    CREATE TABLE public.taken (from_owner text);
    CREATE FUNCTION public.takes() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.taken VALUES (OLD.owner); RETURN NEW; END $$;
    CREATE TRIGGER takes AFTER UPDATE ON bookstock.projection FOR EACH ROW
        WHEN (OLD.epoch <> NEW.epoch) EXECUTE FUNCTION public.takes()";

/// Whoever writes a row of the book stock waits here, for as long as somebody has the lock.
const HELD: &str = "
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
    CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON rm_1.book_stock FOR EACH STATEMENT EXECUTE FUNCTION public.hold()";

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_finishes_the_batch_under_way_before_it_hands_the_lease_back() {
    let (store, url) = (Store::start(), cluster::database("drained").await);
    let reader = reader(&url);
    let active = Running::start(&store, &url);
    reader.wait_for(warehouse(&store, 1, &[5]).await, PATIENCE).await.unwrap();
    active.stop().await;
    let client = connect(&url).await;
    client.batch_execute(HELD).await.unwrap();
    let started = Instant::now();
    loop {
        let active = Running::start(&store, &url);
        until("it is active", async || active.readiness().await.contains("active")).await;
        client.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
        let last = warehouse(&store, 1, &[7]).await;
        let waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("it is writing", async || !client.query(waits, &[]).await.unwrap().is_empty()).await;
        let writing = Instant::now();
        let stopping = tokio::spawn(active.stop());
        let row = "SELECT owner IS NOT NULL, position FROM bookstock.projection";
        // For a while, of which nothing depends on how long it is: it would be over if it were not waited for.
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(client.query_one(row, &[]).await.unwrap().get::<_, bool>(0), "it was handed back");
        }
        client.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
        stopping.await.unwrap();
        let ended = client.query_one(row, &[]).await.unwrap();
        let (held, position) = (ended.get::<_, bool>(0), ended.get::<_, i64>(1).unsigned_abs());
        if !held && position == last {
            break;
        }
        // A write that takes so long is given up.
        assert!(
            writing.elapsed() > Duration::from_secs(1) && started.elapsed() < PATIENCE,
            "it was not finished"
        );
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_how_late_the_views_are_and_within_a_lease_that_nobody_projects() {
    let (store, url) = (Store::start(), cluster::database("told_how_late").await);
    let reader = reader(&url);
    let lag = || reader.projection().and_then(|projection| projection.lag);
    let none = Lag { behind: Duration::ZERO, events: Some(0) };
    let active = Running::start(&store, &url);
    let first = warehouse(&store, 1, &[1]).await;
    reader.wait_for(first, PATIENCE).await.unwrap();
    until("all is said to be applied", async || lag() == Some(none)).await;

    // Nobody can write the view, so nothing can be applied.
    let client = connect(&url).await;
    client.batch_execute("BEGIN; LOCK TABLE rm_1.book_stock IN SHARE MODE").await.unwrap();
    let last = warehouse(&store, 1, &[1, 1]).await;
    until("it is said how late the views are", async || {
        lag().is_some_and(|lag| lag.behind > Duration::from_secs(1))
    })
    .await;
    client.batch_execute("ROLLBACK").await.unwrap();
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("all is said to be applied again", async || lag() == Some(none)).await;

    active.crash().await;
    let crashed = service_kit::clock::unix_micros();
    until("nobody is said to project", async || {
        reader.projection().is_some_and(|projection| !projection.running && projection.lag.is_none())
    })
    .await;
    let since = reader.projection().unwrap().since.unwrap().unix_micros();
    let unattended = since - crashed;
    assert!(unattended <= 3_000_000, "the lease lasted for {unattended} us after the crash");
}
