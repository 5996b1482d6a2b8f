//! The production topology from plain processes: it comes up by one command, outlives what dies in it, and is seen.
#![cfg(test)]

use e2e::{Place, PlainTopology, Process, Site, command, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// All that shows metrics of ours.
const SERVICES: [&str; 7] = [
    "command-api-1",
    "command-api-2",
    "query-api-1",
    "query-api-2",
    "projector-1",
    "projector-2",
    "event-store",
];

#[tokio::test]
async fn what_hangs_is_started_again_and_what_is_killed_too() {
    let topology = PlainTopology::start().await;
    let gateway = topology.site("gateway");
    for dying in [
        &[("command-api-1", Signal::STOP), ("event-store", Signal::STOP)][..],
        &[("query-api-2", Signal::KILL), ("event-store", Signal::KILL)],
    ] {
        let before: Vec<_> = dying.iter().map(|(name, _)| topology.part(name)["pid"].clone()).collect();
        for (name, signal) in dying {
            topology.signal(name, *signal);
        }
        for ((name, _), pid) in dying.iter().zip(&before) {
            topology.another(name, pid).await;
        }
    }
    eventually("commands go on", async || gateway.warehouse(1, 5).await.wanted(201)).await;

    topology.kill_postgres();
    eventually("PostgreSQL is back, and that was told", async || {
        let (state, told) = (topology.part("postgresql")["state"].clone(), topology.said());
        let back = told.lines().any(|line| line.starts_with("postgresql") && line.ends_with("again"));
        if back && state == "ready" { Ok(()) } else { Err(format!("{state}: {told}")) }
    })
    .await;

    let second = topology.up_once_more().await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another topology runs in") && second.out.is_empty(), "{second:?}");
    let gone = |name: &str| topology.part(name)["pid"].is_null();
    assert!(!SERVICES.into_iter().any(gone), "the first goes on, and can be asked");
}

#[tokio::test]
async fn an_issuer_that_prometheus_cannot_log_in_at_is_told_before_anything_starts() {
    let place = Place::new();
    let up = async |settings: &[(&str, &str)]| {
        let mut up = command("topology");
        up.args(["up", "--free-ports", "--data-dir", "topology"]).envs(settings.iter().copied());
        Process::start(&place, "up", up.env("TMPDIR", place.path())).ended().await
    };
    let issuer = ("AUTH_ISSUER", "http://127.0.0.1:1");
    for (settings, told) in [
        (&[issuer][..], "PROMETHEUS_CLIENT_SECRET"),
        (&[issuer, ("PROMETHEUS_CLIENT_SECRET", "secret")], "asking the issuer http://127.0.0.1:1"),
        (&[("AUTH_ISSUER", "http://id.example")], "must be reached by https"),
    ] {
        let refused = up(settings).await;
        assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
        assert!(refused.err.contains(told) && refused.out.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn after_a_kill_it_starts_again_with_its_data_and_stops_without_a_trace() {
    let mut topology = PlainTopology::start().await;
    let booked = topology.site("gateway").warehouse(1, 5).await.json(201);
    topology.kill();
    let rolled = topology.roll(&[]).await;
    assert_eq!(rolled.code, Some(1), "{rolled:?}");
    assert!(rolled.err.contains("no topology runs in"), "{rolled:?}");
    // The parts die with what watched them.
    eventually("nothing is left", async || {
        let left = topology.place().inhabitants("topology");
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    topology.start_again().await;
    let gateway = topology.site("gateway");
    let shown = gateway
        .get(&format!("/books/1?minPosition={}&wait=5000", booked["position"].as_str().unwrap()))
        .await;
    assert_eq!(shown.json(200)["stock"], 5);
    let ended = topology.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(topology.place().inhabitants("topology"), []);
}

#[tokio::test]
async fn prometheus_asks_every_service_and_loads_the_rules() {
    let topology = PlainTopology::start().await;
    let (gateway, prometheus) = (topology.site("gateway"), topology.site("prometheus"));
    topology.seen_by_prometheus().await;
    let rules = prometheus.get("/api/v1/rules").await.json(200);
    let loaded = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    for rule in loaded {
        let (name, health) = (rule["name"].as_str().unwrap(), &rule["health"]);
        assert_ne!(health, "err", "{rule}");
        let runbook = rule["annotations"]["runbook"].as_str().unwrap();
        assert_eq!(runbook, format!("docs/runbooks/{name}.md"));
        assert!(checkout().join(runbook).exists(), "{runbook} is missing");
    }
    assert!(loaded.len() >= 10, "{loaded:?}");

    // Every query of the dashboards finds something once there was traffic.
    for dashboard in fs::read_dir(checkout().join("deploy/grafana/dashboards")).unwrap() {
        let text = fs::read(dashboard.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_slice(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                eventually(&format!("{}: {query}", panel["title"]), async || {
                    gateway.warehouse(1, 5).await;
                    gateway.get("/books/1").await;
                    let found = topology.measured(query).await?;
                    let some = found.as_array().is_some_and(|found| !found.is_empty());
                    if some { Ok(()) } else { Err(found.to_string()) }
                })
                .await;
            }
        }
    }
    metrics_are_as_prometheus_likes_them(&topology).await;
}

/// By its own linter: names, units, kinds and help.
async fn metrics_are_as_prometheus_likes_them(topology: &PlainTopology) {
    for name in SERVICES {
        let address = topology.part(name)["address"].as_str().unwrap().replace("esdb://", "http://");
        let metrics = Site::new(address.split('?').next().unwrap()).get("/metrics").await;
        assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8", "{name}");
        let mut promtool = Command::new("promtool");
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut promtool = promtool.spawn().unwrap();
        promtool.stdin.take().unwrap().write_all(metrics.text.as_bytes()).unwrap();
        let checked = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.is_empty(), "{name}: {said}");
    }
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
