//! What is asked over plain HTTP on the port of the calls.

use super::process::http;
use super::support::*;

#[tokio::test]
async fn health_facts_and_metrics_are_on_the_port_of_the_calls() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1, 2])).await.unwrap();
    append(&mut client, "a", exact(7), events([3])).await.unwrap();
    assert_eq!(http(server.addr, "/livez").await.0, 200);
    assert_eq!(http(server.addr, "/readyz").await.0, 200);
    assert_eq!(http(server.addr, "/health/live").await, (204, String::new()));
    assert_eq!(http(server.addr, "/health/ready").await, (204, String::new()));

    let json = |body: String| serde_json::from_str::<serde_json::Value>(&body).unwrap();
    let info = json(http(server.addr, "/info").await.1);
    assert_eq!((info["esVersion"].as_str(), info["state"].as_str()), (Some("24.10.0"), Some("leader")));
    assert_eq!(info["authentication"]["type"], "insecure");
    let stats = json(http(server.addr, "/stats").await.1);
    assert_eq!((stats["lastPosition"].as_u64(), stats["eventsAppended"].as_u64()), (Some(2), Some(2)));
    assert!(stats["databaseBytes"].as_u64() > Some(0), "{stats}");

    let (status, metrics) = http(server.addr, "/metrics").await;
    assert_eq!(status, 200);
    for name in ["event_store_events_total", "event_store_commit_duration_seconds_count"] {
        assert!(metrics.contains(name), "{name} is not in:\n{metrics}");
    }
    assert!(metrics.contains(r#"event_store_sync_duration_seconds_count{of="log"}"#), "{metrics}");
    assert!(metrics.contains(r#"event_store_changes_total{outcome="wrong-expected-revision"}"#), "{metrics}");

    let (status, body) = http(server.addr, "/nowhere").await;
    assert_eq!((status, json(body)["type"].as_str()), (404, Some("urn:bookstock:problem:no-such-route")));
    server.stop().await;
}
