//! The production topology from plain processes: it comes up by one command, outlives what dies in it, and is seen.
#![cfg(test)]

use e2e::{PlainTopology, Site, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// The books of those who ask and command at once while everything is restarted; siege has the first fifty.
const BOOKS: RangeInclusive<u64> = 101..=112;

/// What went wrong for one client, if anything did, and how many of its commands were booked.
async fn work(site: Site, number: u64, go_home: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut booked, mut failed) = (0, Vec::new());
    let path = format!("/books/{number}/warehousings");
    while !go_home.load(Ordering::Relaxed) {
        match site.post_keyed(&path, &serde_json::json!({"qty": 1}), None).await {
            Ok(answer) if answer.status == 201 => booked += 1,
            other => failed.push(format!("{other:?}")),
        }
        // The list, and the page that shows it.
        for path in ["/admins?size=20", "/"] {
            match site.try_get(path).await {
                Ok(answer) if answer.status == 200 => {}
                other => failed.push(format!("{other:?}")),
            }
        }
    }
    (booked, failed)
}

#[tokio::test]
async fn every_service_is_restarted_under_load_and_no_request_fails() {
    let topology = PlainTopology::start().await;
    let gateway = topology.site("gateway");
    let go_home = Arc::<AtomicBool>::default();
    let mut clients = JoinSet::new();
    for number in BOOKS {
        clients.spawn(work(gateway.clone(), number, Arc::clone(&go_home)));
    }
    // siege, which the original was tried with, beside our own clients, who know what they booked.
    let rolled = topology.roll(&["--siege", "25"]).await;
    assert_eq!(rolled.code, Some(0), "{rolled:?}");
    assert!(rolled.out.contains("availability 100.00 %"), "{rolled:?}");
    go_home.store(true, Ordering::Relaxed);
    let (mut booked, mut failed) = (0, Vec::new());
    for (of_one, failures) in clients.join_all().await {
        booked += of_one;
        failed.extend(failures);
    }
    assert_eq!(
        failed,
        Vec::<String>::new(),
        "{} of {booked} commands and as many queries failed",
        failed.len()
    );
    assert!(booked > 100, "only {booked} commands were sent");
    let mut stock = 0;
    for number in BOOKS {
        stock += gateway.get(&format!("/libraries/{number}")).await.json(200)["stock"].as_u64().unwrap();
    }
    assert_eq!(stock, booked, "a command was lost or booked twice");
}

#[tokio::test]
async fn what_hangs_is_started_again_and_what_is_killed_too() {
    let topology = PlainTopology::start().await;
    let gateway = topology.site("gateway");
    for (name, signal) in
        [("command-api-1", Signal::STOP), ("query-api-2", Signal::KILL), ("event-store", Signal::KILL)]
    {
        let pid = topology.part(name)["pid"].clone();
        topology.signal(name, signal);
        topology.another(name, &pid).await;
    }
    eventually("commands go on", async || gateway.warehouse(1, 5).await.wanted(201)).await;
}

#[tokio::test]
async fn after_a_kill_it_starts_again_with_its_data_and_stops_without_a_trace() {
    let mut topology = PlainTopology::start().await;
    let booked = topology.site("gateway").warehouse(1, 5).await.json(201);
    topology.kill();
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

/// What Prometheus answers to a query.
async fn ask(prometheus: &Site, query: &str) -> Result<Value, String> {
    let url = reqwest::Url::parse_with_params(&prometheus.url("/api/v1/query"), [("query", query)]).unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    Ok(prometheus.try_get(&path).await?.wanted(200)?["data"]["result"].clone())
}

#[tokio::test]
async fn prometheus_asks_every_service_and_loads_the_rules() {
    let topology = PlainTopology::start().await;
    let (gateway, prometheus) = (topology.site("gateway"), topology.site("prometheus"));
    eventually("every service is asked", async || {
        let up = ask(&prometheus, "count(up == 1)").await?;
        if up[0]["value"][1] == "8" { Ok(()) } else { Err(up.to_string()) }
    })
    .await;
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
                    let found = ask(&prometheus, query).await?;
                    let some = found.as_array().is_some_and(|found| !found.is_empty());
                    if some { Ok(()) } else { Err(found.to_string()) }
                })
                .await;
            }
        }
    }
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
