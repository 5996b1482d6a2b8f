//! Every service of the topology is restarted, one by one, under load through the gateway: no request fails, no command is lost.

use e2e::{Identity, Place, PlainTopology, Site};
use serde_json::json;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// The books of those who ask and command at once while everything is restarted; siege has the first fifty.
const BOOKS: RangeInclusive<u64> = 101..=112;

/// How many ask at once besides.
const USERS: &str = "25";

/// Begins the command that the documents tell for it.
const TOLD: &str = "$ cargo xtask topology up";

#[tokio::test]
async fn every_service_is_restarted_under_load_and_no_request_fails() {
    for _ in campaign::runs("N8", 1) {
        // As in production, each request has a token that is checked.
        let place = Arc::new(Place::new());
        let identity = Identity::start(&place).await;
        let token = identity.token("librarian", "books:read books:write").await;
        let settings = [
            ("AUTH_ISSUER", identity.issuer().to_owned()),
            ("PROMETHEUS_CLIENT", "operator".to_owned()),
            ("PROMETHEUS_CLIENT_SECRET", "operator-secret".to_owned()),
        ];
        let topology = PlainTopology::start_as_told(place, &told_by_the_readme(), &settings).await;
        let gateway = topology.site("gateway").bearing(&token);
        assert_eq!(gateway.get("/books").await.status, 200);
        assert_eq!(topology.site("gateway").get("/books").await.status, 401);
        let go_home = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        for number in BOOKS {
            clients.spawn(work(gateway.clone(), number, Arc::clone(&go_home)));
        }
        // siege, which the original was tried with, beside our own clients, who know what they booked.
        let rolled = topology.roll(&["--siege", USERS, "--siege-token", &token]).await;
        assert_eq!(rolled.code, Some(0), "{rolled:?}");
        assert!(rolled.out.contains("availability 100.00 %"), "{rolled:?}");
        go_home.store(true, Ordering::Relaxed);
        let (mut booked, mut failed) = (0, Vec::new());
        for (of_one, failures) in clients.join_all().await {
            booked += of_one;
            failed.extend(failures);
        }
        let count = failed.len();
        assert_eq!(
            failed,
            Vec::<String>::new(),
            "{count} of {booked} commands and twice as many queries failed"
        );
        assert!(booked > 100, "only {booked} commands were sent");
        let mut stock = 0;
        for number in BOOKS {
            stock += gateway.get(&format!("/libraries/{number}")).await.json(200)["stock"].as_u64().unwrap();
        }
        assert_eq!(stock, booked, "a command was lost or booked twice");
        let besides = rolled.out.lines().find_map(|line| line.split_once("\"transactions\":")).unwrap().1;
        let besides = besides.trim().trim_end_matches(',');
        eprintln!(
            "none of {} requests failed, {booked} of them commands, nor of siege's {besides}",
            3 * booked
        );
    }
}

/// The command that starts it, which the README tells and the Korean one, too.
fn told_by_the_readme() -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let told = ["README.md", "README.ko.md"].map(|name| {
        let text = fs::read_to_string(checkout.join(name)).unwrap();
        let line = text.lines().find(|line| line.starts_with(TOLD));
        line.unwrap_or_else(|| panic!("{name} does not tell {TOLD}")).to_owned()
    });
    assert_eq!(told[0], told[1]);
    told[0].trim_start_matches("$ ").to_owned()
}

/// What went wrong for one client, if anything did, and how many of its commands were booked.
async fn work(site: Site, number: u64, go_home: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut booked, mut failed) = (0, Vec::new());
    let path = format!("/books/{number}/warehousings");
    while !go_home.load(Ordering::Relaxed) {
        match site.post_keyed(&path, &json!({"qty": 1}), None).await {
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
