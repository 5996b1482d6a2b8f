//! `/status`: how things are, and how their projection is.

use crate::cluster::Cluster;
use crate::support::{Library, QueryApi};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Waits until this is told of the projection.
async fn told(api: &QueryApi, wanted: Value) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut projection = api.get("/status", &[]).await.json()["projection"].take();
        let since = projection["since"].take();
        assert!(since.is_null() || since.as_str().unwrap().ends_with('Z'), "{since}");
        projection["since"] = json!(since.is_string());
        if projection == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{projection} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_projection_is_told_as_its_projector_says_and_is_unknown_while_the_database_is_out() {
    let cluster = Cluster::start();
    let library = Library::in_database(cluster.database("status").await).await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let api = &library.query_api;
    let projection = |running: Value, since: bool, seconds: Value, events: Value| {
        json!({
            "position": "42", "running": running, "since": since, "behindSeconds": seconds, "behindEvents": events,
        })
    };
    told(api, projection(json!(false), false, Value::Null, Value::Null)).await;
    for (behind, seconds, events) in [("0, 0", json!(0.0), json!(0)), ("1500, NULL", json!(1.5), Value::Null)]
    {
        library
            .sql(&format!(
                "UPDATE bookstock.projection SET (owner, owner_since, lease_until, behind_until, behind_ms, behind_events) =
                 ('a test', now(), now() + interval '1 hour', now() + interval '1 hour', {behind})"
            ))
            .await;
        told(api, projection(json!(true), true, seconds, events)).await;
    }
    cluster.command("stop");
    told(api, projection(Value::Null, false, Value::Null, Value::Null)).await;
    assert_eq!(api.get("/status", &[]).await.json()["stale"], true);
    cluster.command("start");
    told(api, projection(json!(true), true, json!(1.5), Value::Null)).await;
    // The lease ran out.
    library.sql("UPDATE bookstock.projection SET lease_until = now()").await;
    told(api, projection(json!(false), true, Value::Null, Value::Null)).await;
}

#[tokio::test]
async fn control_tables_that_do_not_tell_how_late_they_are_are_read_as_they_are() {
    let library = Library::empty("status_unknown").await;
    library
        .sql(
            "ALTER TABLE bookstock.projection DROP COLUMN owner_since, DROP COLUMN behind_ms, DROP COLUMN behind_events,
                DROP COLUMN behind_until;
             UPDATE bookstock.projection SET owner = 'a test', lease_until = now() + interval '1 hour'",
        )
        .await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let later = QueryApi::start(&library.database_url).await;
    later.stands_at(42).await;
    let unknown = json!({
        "position": "42", "running": true, "since": false, "behindSeconds": null, "behindEvents": null,
    });
    told(&later, unknown).await;
}
