//! `replay rebuild` and what comes after it.

use crate::cluster;
use crate::given::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

async fn tool(library: &Library, database: &str, arguments: &[&str]) -> Ran {
    replay(&library.store.url(), Some(database), arguments).await
}

/// Each generation with its stage, and which serves.
async fn generations(library: &Library, database: &str) -> Vec<(u64, String, bool)> {
    let listed = tool(library, database, &["generations", "--json"]).await.json(0);
    let one = |one: &Value| {
        let stage = one["stage"].as_str().unwrap().to_owned();
        (one["generation"].as_u64().unwrap(), stage, one["serves"].as_bool().unwrap())
    };
    listed["generations"].as_array().unwrap().iter().map(one).collect()
}

fn kept(generation: u64, serves: bool) -> (u64, String, bool) {
    (generation, "kept".to_owned(), serves)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_switches_to_an_equal_generation_and_a_rollback_goes_back() {
    let (library, database) = projected("switches").await;
    let rebuilt = tool(&library, &database, &["rebuild", "--json"]).await.json(0);
    assert_eq!(
        without(rebuilt, &["seconds", "position", "views"]),
        json!({
            "generation": 2, "before": 1, "events": 4, "outcome": "switched", "parked": 0, "freed": 0,
            "compared": {"drift": []},
        })
    );
    assert_eq!(generations(&library, &database).await, [kept(1, false), kept(2, true)]);
    assert_eq!(tool(&library, &database, &["verify", "--json"]).await.json(0)["generation"], 2);

    let back = tool(&library, &database, &["rollback", "--json"]).await.json(0);
    let position = &back["position"];
    assert_eq!(back, json!({"generation": 1, "before": 2, "position": position, "beforePosition": position}));
    assert_eq!(generations(&library, &database).await, [kept(1, true), kept(2, false)]);
    let refused = tool(&library, &database, &["generations", "--drop", "1"]).await;
    assert!(refused.complaint(1).contains("serves"), "{refused:?}");
    tool(&library, &database, &["generations", "--drop", "2"]).await.text(0);
    assert_eq!(generations(&library, &database).await, [kept(1, true)]);
    assert_eq!(tool(&library, &database, &["rollback"]).await.code, Some(1));
    // Whoever still has an answer of generation 2 knows it from one of the next; the verification had the number 3.
    assert_eq!(tool(&library, &database, &["rebuild", "--json"]).await.json(0)["generation"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_differs_does_not_serve_unless_that_is_accepted() {
    let (library, database) = projected("differs").await;
    sql(&database, "UPDATE rm_1.book_stock SET stock = 131 WHERE book_id = 1").await;
    let refused = tool(&library, &database, &["rebuild", "--json"]).await.json(1);
    assert_eq!(
        (&refused["outcome"], &refused["compared"]["drift"][0]["cells"][0]["found"]),
        (&json!("refused"), &json!("131"))
    );
    assert_eq!(generations(&library, &database).await, [kept(1, true)]);

    let dry = tool(&library, &database, &["rebuild", "--dry-run", "--accept-difference", "--json"]).await;
    assert_eq!(dry.json(0)["outcome"], "wouldSwitch");
    assert_eq!(generations(&library, &database).await, [kept(1, true)]);

    // One view is made anew, and the others are taken as they are.
    sql(&database, "UPDATE rm_1.admin_list SET book_stock = 132 WHERE book_id = 1").await;
    let accepted = ["rebuild", "--view", "book_stock", "--accept-difference", "--json"];
    let accepted = tool(&library, &database, &accepted).await.json(0);
    assert_eq!(
        (&accepted["outcome"], accepted["compared"]["drift"].as_array().unwrap().len()),
        (&json!("switched"), 1)
    );
    let left = tool(&library, &database, &["verify", "--json"]).await.json(1);
    let views: Vec<_> = left["drift"].as_array().unwrap().iter().map(|row| row["view"].clone()).collect();
    assert_eq!(views, [json!("admin_list")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_view_that_is_made_anew_from_equal_data_serves_with_the_others_as_they_are() {
    let (library, database) = projected("one_view").await;
    // Each verification takes a number as well.
    for (generation, view) in (2..).step_by(2).zip(["book_stock", "admin_list", "book_history"]) {
        let rebuilt = tool(&library, &database, &["rebuild", "--view", view, "--json"]).await.json(0);
        assert_eq!(
            (&rebuilt["generation"], &rebuilt["outcome"], &rebuilt["compared"]["drift"]),
            (&json!(generation), &json!("switched"), &json!([]))
        );
        tool(&library, &database, &["verify"]).await.text(0);
    }
}

/// Such as a projector that folds a long stream anew in one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_cannot_switch_because_somebody_is_writing_does_so_later() {
    let (library, database) = projected("cannot_switch").await;
    let (writing, looking) = (connect(&database).await, connect(&database).await);
    let row = "BEGIN; SELECT FROM bookstock.projection WHERE generation = 1 FOR UPDATE";
    writing.batch_execute(row).await.unwrap();
    let rebuild = start(&library.store.url(), Some(&database), &["rebuild", "--json"]);
    let waits = "SELECT xact_start::text FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'bookstock replay' AND wait_event_type = 'Lock'";
    let since: String = until_there_is(&looking, waits).await.get(0);
    until_there_is(&looking, &format!("{waits} AND xact_start > '{since}'")).await;
    writing.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ended(rebuild).await.json(0)["outcome"], "switched");
}

/// Stopped as by Ctrl-Z, for longer than it waits for a store that says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_paused_goes_on_or_ends_with_one_line_and_leaves_nothing_half_done() {
    let (mut library, database) = projected("paused").await;
    let last = library.warehouse_many(300, 100).await;
    project(&library, &database, last).await;
    let client = connect(&database).await;
    let building = "SELECT FROM bookstock.projection WHERE stage = 'building' AND position > 0";
    let cut_off = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bookstock replay%'
        AND datname = current_database()";
    for meanwhile in ["nothing", "the database cuts it off", "the store is started again"] {
        let before = generations(&library, &database).await;
        let rebuild = ["rebuild", "--dry-run", "--patience", "1"];
        let mut tool = start(&library.store.url(), Some(&database), &rebuild);
        let started = Instant::now();
        while client.query_opt(building, &[]).await.unwrap().is_none() {
            assert!(
                started.elapsed() < PATIENCE && tool.try_wait().unwrap().is_none(),
                "it was never building"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        signal(&tool, Signal::STOP);
        match meanwhile {
            "the database cuts it off" => drop(client.query(cut_off, &[]).await.unwrap()),
            "the store is started again" => {
                library.store.kill();
                library.store.start_again();
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        signal(&tool, Signal::CONT);
        let ended = ended(tool).await;
        match (ended.code, meanwhile) {
            (Some(0), "nothing" | "the store is started again") => {}
            // A machine that is busy may need longer than a second for the first word, too.
            (Some(1), _) => {
                let why = ended.err.lines().last().unwrap();
                assert!(why.starts_with("replay: ") && why.contains("nothing was changed"), "{ended:?}");
            }
            _ => panic!("{meanwhile}: {ended:?}"),
        }
        assert_eq!(generations(&library, &database).await, before, "{meanwhile}: {ended:?}");
    }
    tool(&library, &database, &["rebuild"]).await.text(0);
    tool(&library, &database, &["verify"]).await.text(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_to_a_position_stays_there_and_never_serves() {
    let (library, database) = projected("to_a_position").await;
    let explained = tool(&library, &database, &["explain", "book", "1", "--json"]).await.json(0);
    let first = explained["events"][0]["position"].as_str().unwrap();
    let frozen = tool(&library, &database, &["rebuild", "--to", first, "--json"]).await.json(0);
    assert_eq!(
        (&frozen["outcome"], &frozen["position"], &frozen["events"]),
        (&json!("frozen"), &json!(first), &json!(1))
    );
    assert_eq!(generations(&library, &database).await, [kept(1, true), (2, "frozen".to_owned(), false)]);
    let row = connect(&database).await.query_one("SELECT stock FROM rm_2.book_stock", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 123);
    assert_eq!(tool(&library, &database, &["rollback", "--to", "2"]).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_of_another_version_or_another_store_are_replaced() {
    let (library, database) = projected("another_version").await;
    sql(&database, "UPDATE bookstock.projection SET fold_version = 1000").await;
    assert!(tool(&library, &database, &["verify"]).await.complaint(1).contains("version 1000"));
    assert_eq!(tool(&library, &database, &["rebuild", "--json"]).await.json(0)["outcome"], "switched");
    tool(&library, &database, &["verify"]).await.text(0);

    let mut another = Library::start();
    another.warehouse(3, 30).await;
    let refused = tool(&another, &database, &["rebuild", "--json"]).await.json(1);
    assert!(refused["notCompared"].as_str().unwrap().contains("another event store"), "{refused}");
    tool(&another, &database, &["rebuild", "--accept-difference"]).await.text(0);
    tool(&another, &database, &["verify"]).await.text(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_needs_nothing_but_the_two_stores() {
    let (mut library, database) = (Library::start(), cluster::database("two_stores").await);
    library.warehouse(1, 5).await;
    let rebuilt = tool(&library, &database, &["rebuild", "--json"]).await.json(0);
    assert_eq!(
        (&rebuilt["generation"], &rebuilt["before"], &rebuilt["outcome"]),
        (&json!(1), &json!(null), &json!("switched"))
    );
    tool(&library, &database, &["verify"]).await.text(0);
    let last = library.warehouse(1, 1).await;
    project(&library, &database, last).await;
    tool(&library, &database, &["verify"]).await.text(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_killed_or_stopped_in_the_middle_changes_nothing_and_can_be_run_again() {
    let (mut library, database) = projected("killed").await;
    let last = library.warehouse_many(200, 100).await;
    project(&library, &database, last).await;
    let client = connect(&database).await;
    for signal in [Signal::KILL, Signal::INT] {
        let building =
            "SELECT FROM bookstock.projection WHERE stage = 'building' AND lease_until > clock_timestamp()";
        // The lease of the one that was killed.
        while client.query_opt(building, &[]).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut command = command(&["rebuild"]);
        command.env("EVENT_STORE_URL", library.store.url()).env("DATABASE_URL", &database);
        let mut rebuild = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while client.query_opt(building, &[]).await.unwrap().is_none() {
            assert!(
                started.elapsed() < PATIENCE && rebuild.try_wait().unwrap().is_none(),
                "it was never building"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        kill_process(Pid::from_child(&rebuild), signal).unwrap();
        rebuild.wait().unwrap();
        let listed = generations(&library, &database).await;
        assert!(listed.contains(&kept(1, true)), "{listed:?}");
        let abandoned = listed.len() - 1;
        assert!(signal == Signal::KILL || abandoned == 0 || listed[1].1 != "building", "{listed:?}");
    }
    tool(&library, &database, &["rebuild"]).await.text(0);
    let listed = generations(&library, &database).await;
    assert_eq!(listed.iter().filter(|one| one.2).count(), 1, "{listed:?}");
    assert!(listed.iter().all(|one| one.1 == "kept") && listed.len() == 2, "{listed:?}");
    tool(&library, &database, &["verify"]).await.text(0);
}
