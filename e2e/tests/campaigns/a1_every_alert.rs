//! Each alert fires under its real fault on the topology, by the rules as they are shipped, and ends when it is healed.

use e2e::{Identity, Place, PlainTopology, Process, Site, command, connect, shred};
use event_store::Expected;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Longer than any rule waits until it fires, and then looks back.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const RULES: &str = include_str!("../../../deploy/prometheus/rules/bookstock.yml");

/// So much longer does a sync take on a slow disk.
const SYNC: Duration = Duration::from_millis(700);

/// How many look and book at once meanwhile, and how long each rests between two requests.
const CLIENTS: u64 = 16;
const REST: Duration = Duration::from_millis(200);

/// What is done to the topology.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    EventStoreHangs,
    PostgresHangs,
    APoisonedEvent,
    BothProjectorsHang,
    OneReplicaOfEachIsGone,
    EventStoreIsGone,
    CommandApiDiesAgainAndAgain,
    AViewIsLocked,
    TheDiskIsSlow,
    TheIssuerHangs,
}

/// Every fault, and the alerts that have to tell of it; of which part, where they say so.
const FAULTS: [(Fault, &[&str]); 10] = [
    (Fault::EventStoreHangs, &["EventStoreUnreachable", "CommandsRefused"]),
    (Fault::PostgresHangs, &["ReadModelsUnreachable", "QueriesRefused"]),
    (Fault::APoisonedEvent, &["StreamParked"]),
    (Fault::BothProjectorsHang, &["NobodyProjects"]),
    (Fault::OneReplicaOfEachIsGone, &["InstanceDown of command-api-1", "ReplicaLost"]),
    (Fault::EventStoreIsGone, &["ServiceDown of event-store", "GatewayRefuses", "CommandsFail"]),
    (Fault::CommandApiDiesAgainAndAgain, &["AnswersLost", "RestartsOften of command-api-1"]),
    (Fault::AViewIsLocked, &["ViewsLag", "ViewsBehind", "QueriesSlow"]),
    (Fault::TheDiskIsSlow, &["CommandsSlow"]),
    (Fault::TheIssuerHangs, &["IssuerUnreachable"]),
];

/// One fault a run: `--runs 10` tries each of them. Some take ten minutes until they are over, as the rules look back so far;
/// with `ALERTS_SOONER=10` in the environment all durations of the rules are a tenth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_fires_under_its_fault_and_ends_with_it() {
    for run in campaign::runs("A1", 1) {
        let faults = u64::try_from(FAULTS.len()).unwrap();
        let (fault, alerts) = FAULTS[usize::try_from((run.seed + faults - 1) % faults).unwrap()];
        let rules = tempfile::NamedTempFile::with_suffix(".yml").unwrap();
        fs::write(rules.path(), sooner(RULES, shortened())).unwrap();
        let place = Arc::new(Place::new());
        let issuer = if fault == Fault::TheIssuerHangs { Some(Identity::start(&place).await) } else { None };
        let mut settings = issuer.as_ref().map_or_else(Vec::new, who_has_tokens);
        if shortened() > 1 {
            settings.push(("ALERT_RULES", rules.path().display().to_string()));
        }
        let topology = Arc::new(PlainTopology::start_in(place, &settings).await);
        let mut gateway = topology.site("gateway");
        if let Some(issuer) = &issuer {
            gateway = gateway.bearing(&issuer.token("librarian", "books:read books:write").await);
        }
        let mut clients = JoinSet::new();
        for book in 1..=CLIENTS {
            clients.spawn(look_and_book(gateway.clone(), book));
        }
        // What was never seen cannot be missed.
        topology.seen_by_prometheus().await;
        until(&topology, "before", |firing| firing.is_empty()).await;

        let begun = Instant::now();
        let kept = fault.begin(&topology, issuer.as_ref()).await;
        for alert in alerts {
            until(&topology, alert, |firing| fires(firing, alert, &topology)).await;
            eprintln!("{fault:?}: {alert} fires after {} s", begun.elapsed().as_secs());
        }
        drop(kept);
        fault.heal(&topology, issuer.as_ref()).await;
        let healed = Instant::now();
        for alert in alerts {
            until(&topology, alert, |firing| !fires(firing, alert, &topology)).await;
            eprintln!("{fault:?}: {alert} is over {} s after the fault", healed.elapsed().as_secs());
        }
    }
}

/// A topology that asks for tokens of this issuer, and often enough for its keys.
fn who_has_tokens(issuer: &Identity) -> Vec<(&'static str, String)> {
    vec![
        ("AUTH_ISSUER", issuer.issuer().to_owned()),
        ("AUTH_KEYS_MAX_AGE", "1".to_owned()),
        ("PROMETHEUS_CLIENT", "operator".to_owned()),
        ("PROMETHEUS_CLIENT_SECRET", "operator-secret".to_owned()),
    ]
}

/// By how much every duration of the rules is shortened: not at all, unless `ALERTS_SOONER` says so.
fn shortened() -> u64 {
    std::env::var("ALERTS_SOONER").map_or(1, |sooner| sooner.parse().unwrap())
}

/// The rules with every duration, of `for:` and of what an expression looks back on, so many times shorter.
fn sooner(rules: &str, times: u64) -> String {
    let shorter = |line: &str, before: &str, after: &str| {
        let mut parts = line.split(before);
        let mut short = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (duration, rest) = part.split_at(part.find(after).unwrap_or(part.len()));
            let (count, unit) = duration.split_at(duration.len() - 1);
            let seconds = count.parse::<u64>().unwrap() * if unit == "m" { 60 } else { 1 } / times;
            short += &format!("{before}{seconds}s{rest}");
        }
        short
    };
    let lines = rules.lines().map(|line| {
        let is_expression = line.contains("expr:");
        if is_expression { shorter(line, "[", "]") } else { shorter(line, "for: ", "\n") }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_alert_has_a_fault() {
    let there: BTreeSet<_> = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let tried = FAULTS.iter().flat_map(|(_, alerts)| alerts.iter().map(|alert| whose(alert).0)).collect();
    assert_eq!(there, tried);
    assert!(
        sooner(RULES, 10).contains("[6s]") && sooner(RULES, 10).contains("for: 30s"),
        "{}",
        sooner(RULES, 10)
    );
}

/// Books, and looks at what it booked, whatever comes of it.
async fn look_and_book(site: Site, book: u64) {
    let mut position = "0".to_owned();
    loop {
        let path = format!("/books/{book}/warehousings");
        if let Ok(answer) = site.post_keyed(&path, &json!({"qty": 1}), None).await
            && let Ok(booked) = answer.wanted(201)
        {
            position = booked["position"].as_str().unwrap().to_owned();
        }
        let _ = site.try_get(&format!("/books/{book}?minPosition={position}&wait=1000")).await;
        sleep(REST).await;
    }
}

/// Waits until the firing alerts are as `wanted`.
async fn until(topology: &PlainTopology, alert: &str, wanted: impl Fn(&[Value]) -> bool) {
    let (prometheus, started) = (topology.site("prometheus"), Instant::now());
    loop {
        let told = prometheus.get("/api/v1/alerts").await.json(200);
        let mut alerts = told["data"]["alerts"].as_array().unwrap().clone();
        alerts.retain(|alert| alert["state"] == "firing");
        if wanted(&alerts) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{alert}: this did not come; instead: {told}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Whether an alert is among those that fire, and, if it says of which part, for that one.
fn fires(firing: &[Value], alert: &str, topology: &PlainTopology) -> bool {
    let (name, part) = whose(alert);
    let address = part.map(|part| address(topology, part));
    firing.iter().map(|alert| &alert["labels"]).any(|labels| {
        let of_it = |address: &String| labels["instance"].as_str().is_some_and(|at| address.contains(at));
        labels["alertname"] == name && address.as_ref().is_none_or(of_it)
    })
}

/// The name of an alert, and of its part.
fn whose(alert: &str) -> (&str, Option<&str>) {
    alert.split_once(" of ").map_or((alert, None), |(name, part)| (name, Some(part)))
}

impl Fault {
    /// Makes it. Whatever is handed out has to be let go of before it is healed.
    async fn begin(self, topology: &Arc<PlainTopology>, issuer: Option<&Identity>) -> Box<dyn Any> {
        match self {
            Self::EventStoreHangs => topology.signal("event-store", Signal::STOP),
            Self::PostgresHangs => topology.freeze_postgres().await,
            Self::APoisonedEvent => {
                shred(&address(topology, "event-store"), 1000, Expected::NoStream).await;
            }
            Self::BothProjectorsHang => {
                topology.look_away().await;
                topology.signal("projector-1", Signal::STOP);
                topology.signal("projector-2", Signal::STOP);
            }
            Self::OneReplicaOfEachIsGone => {
                topology.look_away().await;
                topology.signal("command-api-1", Signal::KILL);
                topology.signal("query-api-2", Signal::KILL);
            }
            Self::EventStoreIsGone => {
                topology.look_away().await;
                topology.signal("event-store", Signal::KILL);
            }
            Self::CommandApiDiesAgainAndAgain => {
                let mut killing = JoinSet::new();
                killing.spawn(kill_again_and_again(Arc::clone(topology)));
                return Box::new(killing);
            }
            Self::AViewIsLocked => {
                let database = connect(&address(topology, "postgresql")).await.unwrap();
                // Whoever reads goes on; whoever writes waits.
                database.batch_execute("BEGIN; LOCK TABLE rm_1.book_stock IN EXCLUSIVE MODE").await.unwrap();
                return Box::new(database);
            }
            Self::TheDiskIsSlow => return Box::new(topology.slow_disk(SYNC).await),
            Self::TheIssuerHangs => issuer.unwrap().freeze().await,
        }
        Box::new(())
    }

    async fn heal(self, topology: &PlainTopology, issuer: Option<&Identity>) {
        match self {
            Self::EventStoreHangs => topology.signal("event-store", Signal::CONT),
            Self::PostgresHangs => topology.thaw_postgres(),
            Self::APoisonedEvent => skip_what_nobody_can_read(topology).await,
            Self::BothProjectorsHang => {
                topology.signal("projector-1", Signal::CONT);
                topology.signal("projector-2", Signal::CONT);
                topology.look_again();
            }
            Self::OneReplicaOfEachIsGone | Self::EventStoreIsGone => topology.look_again(),
            Self::TheIssuerHangs => issuer.unwrap().thaw(),
            Self::CommandApiDiesAgainAndAgain | Self::AViewIsLocked | Self::TheDiskIsSlow => {}
        }
    }
}

fn address(topology: &PlainTopology, part: &str) -> String {
    topology.part(part)["address"].as_str().unwrap().to_owned()
}

/// Kills it in the midst of its work, whenever it is back.
async fn kill_again_and_again(topology: Arc<PlainTopology>) {
    let name = "command-api-1";
    loop {
        if topology.part(name)["state"] == "ready" {
            // What it is sent meanwhile is lost with it.
            topology.signal(name, Signal::STOP);
            sleep(REST * 2).await;
            topology.signal(name, Signal::KILL);
        }
        sleep(REST * 10).await;
    }
}

async fn skip_what_nobody_can_read(topology: &PlainTopology) {
    let mut skip = command("replay");
    skip.env("EVENT_STORE_URL", address(topology, "event-store"));
    skip.env("DATABASE_URL", address(topology, "postgresql"));
    skip.args(["parked", "skip", "1000", "--reason", "shredded by mistake"]);
    let ended = Process::start(topology.place(), "skip", &mut skip).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
