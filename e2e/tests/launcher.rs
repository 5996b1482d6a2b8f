//! Starting and stopping: one command, clear words when it cannot, and nothing left behind.
#![cfg(test)]

use e2e::{Ended, Process, System, Topology, command, connect, eventually};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

/// Runs a command that has to fail, and returns the one line that says why.
async fn refusal(system: &System, refused: &mut Command) -> String {
    let ended = Process::start(&system.place, "refused", refused).ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // Log lines are JSON here; the words for the user are not.
    let lines: Vec<_> = ended.err.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(lines.len(), 1, "{ended:?}");
    lines[0].to_owned()
}

/// Warehouses five copies of book 1, which then has `stock`, and returns the position.
async fn warehouse_five(system: &System, stock: u64) -> String {
    let body = system.gateway().warehouse(1, 5).await.json(201);
    assert_eq!(body["stock"], stock);
    body["position"].as_str().unwrap().to_owned()
}

/// Wants both views to have `stock` copies of book 1 at `position`.
async fn shows(system: &System, stock: u64, position: &str) {
    for (path, field) in [("/books/1", "stock"), ("/admins/1", "bookStock")] {
        let path = format!("{path}?minPosition={position}&wait=10000");
        assert_eq!(system.gateway().get(&path).await.json(200)[field], stock);
    }
}

#[tokio::test]
async fn a_second_start_on_the_same_data_is_refused_and_harms_nobody() {
    let system = System::start().await;
    system.gateway().warehouse(1, 5).await.json(201);
    let why = refusal(&system, &mut System::up(&system.place)).await;
    assert!(why.contains("already runs") && why.contains("--data-dir"), "{why}");
    assert_eq!(system.gateway().warehouse(1, 5).await.json(201)["stock"], 10);
    let written = fs::read_to_string(system.place.path().join("data/bookstock.json")).unwrap();
    assert!(written.contains(system.address("gateway")), "{written}");
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let mut system = System::start().await;
    system.stop(Signal::TERM).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).unwrap();
    for (part, flag) in [
        ("gateway", "--gateway"),
        ("commandApi", "--command-api"),
        ("grpc", "--grpc"),
        ("queryApi", "--query-api"),
        ("admin", "--admin"),
        ("projector", "--projector"),
        ("eventStore", "--event-store"),
    ] {
        let address = |other: &str| if other == part { taken.to_string() } else { "127.0.0.1:0".to_owned() };
        let why = refusal(&system, &mut System::up_on(&system.place, address)).await;
        assert!(why.contains(&taken.to_string()) && why.contains(flag), "{flag}: {why}");
        assert_eq!(system.place.inhabitants(""), [], "{flag}");
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let mut system = System::start().await;
    system.stop(Signal::TERM).await;
    let address = |part: &str| if part == "gateway" { "0.0.0.0:0" } else { "127.0.0.1:0" }.to_owned();
    let why = refusal(&system, &mut System::up_on(&system.place, address)).await;
    assert!(why.contains("0.0.0.0:0") && why.contains("--insecure"), "{why}");
}

#[tokio::test]
async fn a_missing_postgresql_is_named_with_its_package() {
    let mut system = System::start().await;
    let position = warehouse_five(&system, 5).await;
    system.stop(Signal::TERM).await;
    let version = system.place.path().join("data/postgres/PG_VERSION");
    let installed = fs::read(&version).unwrap();
    fs::write(&version, "7\n").unwrap();
    let why = refusal(&system, &mut System::up(&system.place)).await;
    assert!(why.contains("PostgreSQL") && why.contains("postgresql-7"), "{why}");
    fs::write(&version, installed).unwrap();
    system.start_again().await;
    shows(&system, 5, &position).await;
}

#[tokio::test]
async fn told_to_stop_it_ends_well_and_leaves_nothing_behind_but_its_data() {
    let mut system = System::start().await;
    for (signal, stock) in [(Signal::TERM, 5), (Signal::INT, 10)] {
        let warehoused = system.gateway().warehouse(1, 5).await.json(201);
        assert_eq!(warehoused["stock"], stock);
        let watching = reqwest::get(system.gateway().url("/books/changes")).await.unwrap();
        assert_eq!(watching.status(), 200);
        let Ended { code, err, .. } = system.stop(signal).await;
        assert_eq!(code, Some(0), "{err}");
        assert!(!err.contains("cut off"), "a page that was open was waited for: {err}");
        assert_eq!(system.place.inhabitants(""), []);
        for part in ["gateway", "commandApi", "queryApi", "admin", "projector", "eventStore"] {
            assert!(TcpListener::bind(system.listen(part)).is_ok(), "{part} is still listening");
        }
        system.start_again().await;
        // Ready is said while the views catch up: what was there before the stop is served meanwhile.
        let gateway = system.gateway();
        let seen = format!("minPosition={}&wait=10000", warehoused["position"].as_str().unwrap());
        assert_eq!(gateway.get(&format!("/books/1?{seen}")).await.json(200)["stock"], stock);
        assert_eq!(gateway.get(&format!("/admins/1?{seen}")).await.json(200)["bookStock"], stock);
    }
}

#[tokio::test]
async fn what_it_says_when_it_is_ready_is_enough_to_begin() {
    let mut system = System::start().await;
    let gateway = system.address("gateway").to_owned();
    let Ended { out, .. } = system.stop(Signal::TERM).await;
    for part in ["gateway", "commandApi", "queryApi", "admin", "projector"] {
        assert!(out.contains(system.address(part)), "{part} is not in {out}");
    }
    assert!(out.matches("curl").count() >= 3, "no three commands to try: {out}");
    system.start_again().await;
    for line in out.lines().map(str::trim).filter(|line| line.starts_with("curl")) {
        assert!(line.contains(&gateway), "{line}");
        // A view may be some milliseconds behind; people do not notice.
        eventually("what it says works", async || {
            let ran = Command::new("bash").args(["-c", &format!("{line} --fail")]).output().unwrap();
            if ran.status.success() { Ok(()) } else { Err(format!("{line}: {ran:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_service_says_that_it_is_alive_and_ready() {
    let system = System::start().await;
    let topology = Topology::start().await;
    let mut sites =
        vec![system.gateway(), system.command_api(), system.query_api(), system.admin(), system.projector()];
    let [first, second] = &topology.projectors;
    eventually("the projector tells that it is active and has caught up", async || {
        let status = system.projector().try_get("/status").await?.wanted(200)?;
        let told = (&status["active"], &status["caughtUp"], &status["eventsBehind"]);
        if told == (&json!(true), &json!(true), &json!(0)) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    sites.extend([first.site(), second.site(), topology.queries()]);
    sites.extend(topology.desks());
    for site in sites {
        site.get("/livez").await.json(200);
        eventually("the service is ready", async || site.try_get("/readyz").await?.wanted(200)).await;
    }
}

#[tokio::test]
async fn every_service_ends_well_when_it_is_told_to_stop() {
    let mut topology = Topology::start().await;
    let Topology { event_store, projectors, command_apis, query_api, .. } = &mut topology;
    for service in projectors.iter_mut().chain(command_apis).chain([query_api, event_store]) {
        let ended = service.stop().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[tokio::test]
async fn queries_use_a_database_user_who_can_only_read() {
    let system = System::start().await;
    system.query_api().get("/admins").await.json(200);
    let owner = connect(system.address("database")).await.unwrap();
    let users =
        "SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name LIKE 'bookstock reader%'";
    let users = owner.query(users, &[]).await.unwrap();
    assert_eq!(users.len(), 1, "{users:?}");
    let user: String = users[0].get(0);
    let tables = "SELECT c.oid::regclass::text, has_table_privilege($1, c.oid, 'SELECT'),
            has_table_privilege($1, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind = 'r' AND nspname LIKE 'rm\\_%'";
    let tables = owner.query(tables, &[&user]).await.unwrap();
    assert!(tables.len() >= 2, "{tables:?}");
    for table in tables {
        let (name, reads, writes): (String, bool, bool) = (table.get(0), table.get(1), table.get(2));
        assert_eq!((reads, writes), (true, false), "{user} on {name}");
    }
}

#[tokio::test]
async fn wrong_use_is_told_by_another_exit_code() {
    let system = System::start().await;
    let ended = Process::start(&system.place, "wrong", command("bookstock").arg("upp")).ended().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("upp"), "{ended:?}");
}

#[tokio::test]
async fn data_that_an_older_version_made_are_rebuilt_beside_the_start_that_waits_for_it() {
    let mut system = System::start().await;
    let position = warehouse_five(&system, 5).await;
    shows(&system, 5, &position).await;
    let older = "UPDATE bookstock.projection SET fold_version = 2; DROP TABLE rm_1.book_history";
    connect(system.address("database")).await.unwrap().batch_execute(older).await.unwrap();
    system.stop(Signal::TERM).await;

    let place = system.place.clone();
    let rebuilt = async {
        eventually("the read models are rebuilt", async || {
            let mut rebuild = command("replay");
            rebuild.args(["rebuild", "--data-dir"]).arg(place.path().join("data"));
            let ended = Process::start(&place, "replay", &mut rebuild).ended().await;
            if ended.code == Some(0) { Ok(ended) } else { Err(format!("{ended:?}")) }
        })
        .await
    };
    let ((), rebuilt) = tokio::join!(system.start_again(), rebuilt);
    assert!(rebuilt.out.contains(" serves; generation 1 is kept"), "{rebuilt:?}");
    let position = warehouse_five(&system, 10).await;
    shows(&system, 10, &position).await;
    assert!(!place.path().join("data/bookstock.starting.json").exists());
}
