//! A projector tells how far it is: at `/status`, and as metrics.

use crate::cluster::{self, Cluster};
use crate::given::*;
use crate::process::Projector;
use crate::store::Store;
use crate::wire::{Fate, Wire, contains};

/// So many events come while nobody projects.
const MISSED: u64 = 20_000;

async fn is(projector: &Projector, metric: &str, value: u32) -> bool {
    projector.metric(metric).await.is_some_and(|found| (found - f64::from(value)).abs() < 0.5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_comes_late_tells_by_how_much_and_is_ready_while_the_last_state_serves() {
    let (store, url) = (Store::start(), cluster::database("comes_late").await);
    let last = warehouse(&store, 1, &[5]).await;
    let before = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    before.stop().await;
    for book in 2..=MISSED / 500 + 1 {
        warehouse(&store, book, &[1; 500]).await;
    }

    // One event in each transaction: it takes its time.
    let slow = Projector::start(&store.url(), &url, 1);
    let late = slow
        .tells("when it will be done", |status| {
            status["etaSeconds"].is_number() && status["eventsPerSecond"].as_f64() > Some(0.0)
        })
        .await;
    assert_eq!((&late["active"], &late["caughtUp"]), (&true.into(), &false.into()), "{late}");
    let behind = late["eventsBehind"].as_u64().unwrap();
    assert!((2..=MISSED).contains(&behind), "{late}");
    // All but what was applied, give or take what was under way: their positions have no gaps in this store.
    let position: u64 = late["position"].as_str().unwrap().parse().unwrap();
    assert!(behind.abs_diff(last + MISSED - position) <= 3, "{late}");
    assert!(late["secondsBehind"].as_f64().unwrap() > 0.0, "{late}");
    let left = late["etaSeconds"].as_f64().unwrap() * late["eventsPerSecond"].as_f64().unwrap();
    assert!((left - late["eventsBehind"].as_f64().unwrap()).abs() < 1.0, "{late}");
    assert!(slow.metric("projection_behind_events").await > Some(3.0));
    assert!(slow.metric("projection_behind_seconds").await > Some(0.0));
    assert!(slow.metric("projection_eta_seconds").await > Some(0.0));
    assert!(slow.metric("projection_active").await > Some(0.0));
    let (status, readiness) = slow.get("/readyz").await;
    assert_eq!(status, 200, "{readiness}");
    assert_eq!(stocks(&reader).await[0], (1, 5));
    let caught_up = slow.tells("more", |status| status["eventsBehind"].as_u64() < Some(behind)).await;
    assert_eq!(caught_up["caughtUp"], false, "it was to be slow");
    drop(slow);

    let fast = Projector::start(&store.url(), &url, 5_000);
    let done = fast.tells("that it has caught up", |status| status["caughtUp"] == true).await;
    reader.wait_for(last + MISSED, PATIENCE).await.unwrap();
    let idle = fast.tells("that it is idle", |status| status["eventsBehind"] == 0).await;
    assert_eq!(
        (idle["secondsBehind"].as_f64(), idle["etaSeconds"].as_f64(), &idle["parkedStreams"]),
        (Some(0.0), Some(0.0), &0.into()),
        "{done} {idle}"
    );
    until("the metrics say so, too", async || {
        is(&fast, "projection_behind_events", 0).await && is(&fast, "projection_eta_seconds", 0).await
    })
    .await;
    assert_eq!(stocks(&reader).await.len() as u64, MISSED / 500 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_postgresql_is_away_is_told_by_the_projector_that_was_active_and_by_no_other() {
    let (store, cluster) = (Store::start(), Cluster::start());
    let url = cluster.database("is_away").await;
    let last = warehouse(&store, 1, &[5; 10]).await;
    let projector = Projector::start(&store.url(), &url, 500);
    projector.tells("that it is idle", |told| told["caughtUp"] == true && told["eventsBehind"] == 0).await;
    let standby = Projector::start(&store.url(), &url, 500);
    until("the other stands by", async || standby.get("/readyz").await.1.contains("standing by")).await;

    cluster.command("stop");
    let away = projector.tells("that it is not active", |status| status["active"] == false).await;
    assert_eq!((&away["caughtUp"], &away["eventsBehind"]), (&false.into(), &0.into()), "{away}");
    warehouse(&store, 2, &[1; 7]).await;
    let late =
        projector.tells("of what it cannot write", |status| status["eventsBehind"].as_u64() > Some(0)).await;
    assert_eq!((&late["caughtUp"], &late["position"]), (&false.into(), &last.to_string().into()), "{late}");
    let seconds = late["secondsBehind"].as_f64().unwrap();
    assert!(seconds > 0.0, "{late}");
    projector.tells("that it grows", |status| status["secondsBehind"].as_f64() > Some(seconds + 1.0)).await;
    until("the metrics say so, too", async || {
        projector.metric("projection_behind_events").await > Some(0.5)
            && projector.metric("projection_behind_seconds").await > Some(1.0)
            && projector.metric("projection_eta_seconds").await.is_some_and(f64::is_nan)
    })
    .await;
    let others: serde_json::Value = serde_json::from_str(&standby.get("/status").await.1).unwrap();
    assert_eq!((&others["eventsBehind"], &others["secondsBehind"]), (&().into(), &().into()), "{others}");
    assert!(is(&standby, "projection_behind_seconds", 0).await);
    drop(standby);

    cluster.command("start");
    let caught_up = |status: &serde_json::Value| {
        status["active"] == true && status["caughtUp"] == true && status["eventsBehind"] == 0
    };
    projector.tells("that all is written", caught_up).await;
    assert_eq!(stocks(&reader(&url)).await, [(1, 50), (2, 7)]);
    until("the metrics say so, too", async || is(&projector, "projection_behind_seconds", 0).await).await;
}

/// The event is nowhere any more, neither told nor to be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_stays_parks_its_stream_and_shows_in_the_metric_of_the_alert() {
    let (store, url) = (Store::start(), cluster::database("gap_stays").await);
    let held = |event: &[u8]| if contains(event, r#""qty":77"#) { Fate::Held } else { Fate::Comes };
    let wire = Wire::to(&store.url(), held).await;
    let projector = Projector::start(&wire.url(), &url, 500);
    let reader = reader(&url);
    let last = warehouse(&store, 1, &[5, 6]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("no stream waits", async || is(&projector, "projection_parked_streams", 0).await).await;

    warehouse(&store, 1, &[77]).await;
    let truncated = ("$metadata".to_owned(), br#"{"$tb":3}"#.to_vec());
    store.append("$$book-1", vec![truncated]).await;
    warehouse(&store, 1, &[7]).await;
    let last = warehouse(&store, 2, &[9]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it waits for good", async || {
        let parked = all_parked(&url).await;
        parked.iter().any(|one| !one.retry && one.reason.contains("revision 3 came where 0 was expected"))
    })
    .await;
    let parked = all_parked(&url).await;
    assert_eq!(parked.iter().map(|one| one.book_id.get()).collect::<Vec<_>>(), [1]);
    // It stays what it was, and the others flow.
    assert_eq!(stocks(&reader).await, [(1, 11), (2, 9)]);
    until("the metric says so", async || is(&projector, "projection_parked_streams", 1).await).await;
    projector.tells("of the stream that waits", |status| status["parkedStreams"] == 1).await;
}
