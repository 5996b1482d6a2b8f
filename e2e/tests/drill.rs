//! Backup and restore, drilled on a topology that works meanwhile.
#![cfg(test)]

use e2e::{Ended, Librarians, Place, PlainTopology, Process, Site, Topology, command, eventually};
use std::fs;
use std::path::Path;

#[tokio::test]
async fn a_backup_under_load_is_restored_and_everything_made_from_it_is_verified() {
    let topology = PlainTopology::start().await;
    let librarians = Librarians::begin(&[topology.site("gateway")]);
    librarians.book(200).await;
    let kept = topology.place().path().join("kept.sqlite");
    let drilled = topology.drill(&["--keep", kept.to_str().unwrap()]).await;
    assert_eq!(drilled.code, Some(0), "{drilled:?}");
    let (steps, text) =
        (["backup", "restore", "event store", "postgresql", "read models", "verify", "total"], &drilled.out);
    let told: Vec<_> = text.lines().map(|line| line.get(..12).unwrap_or(line).trim()).collect();
    assert_eq!(told, steps, "{drilled:?}");

    // What was acknowledged before it began is in it, and the librarians went on meanwhile.
    let events = events_in(&topology, &kept).await;
    assert!(events >= 200, "{events} events of 200 and more");
    librarians.book(1).await;
    let acknowledged = librarians.end().await.len();
    assert!(
        u64::try_from(acknowledged).unwrap() > events,
        "{acknowledged} acknowledged, {events} in the backup"
    );
    assert!(!topology.place().path().join("topology/drill").exists(), "the drill left something");

    // A backup is never written over.
    let refused = topology.drill(&["--keep", kept.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("is there already"), "{refused:?}");
}

/// How many events a backup holds, all of them verified.
async fn events_in(topology: &PlainTopology, backup: &Path) -> u64 {
    let mut restore = command("event-store-server");
    restore.args(["restore", "--data", "again", "--from"]).arg(backup);
    let restored = Process::start(topology.place(), "restore", &mut restore).ended().await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    restored.count("again holds")
}

#[tokio::test]
async fn a_store_that_is_damaged_fails_the_drill_and_one_that_is_not_there_is_told() {
    let place = Place::new();
    let drill = async |events: &str| {
        let mut drill = command("topology");
        drill.args(["drill", "--data-dir", "site", "--events", events]);
        Process::start(&place, "drill", drill.env("TMPDIR", place.path())).ended().await
    };
    let told = drill("nowhere").await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("there is no event store in nowhere"), "{told:?}");

    fs::create_dir(place.path().join("damaged")).unwrap();
    fs::write(place.path().join("damaged/events.sqlite"), "this is no database").unwrap();
    let told = drill("damaged").await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("database"), "{told:?}");
    assert!(!place.path().join("site/drill").exists(), "the drill left something");
}

async fn run(place: &Place, program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let mut command = command(program);
    command.args(arguments).envs(settings.iter().copied());
    Process::start(place, program, &mut command).ended().await
}

async fn has(queries: &Site, book: u64, stock: u64) {
    eventually(&format!("book {book} has {stock}"), async || {
        let shown = queries.try_get(&format!("/books/{book}")).await?.wanted(200)?;
        if shown["stock"] == stock { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
}

/// `docs/runbooks/backup-and-restore.md`, the restore, step by step.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_yesterday_is_restored_and_the_views_follow_it_back() {
    let mut topology = Topology::start().await;
    let place = topology.place.clone();
    let queries = topology.queries();
    topology.desks()[0].warehouse(1, 5).await.json(201);
    let backup = ["backup", "--data", "events", "--to", "yesterday.sqlite"];
    let backed_up = run(&place, "event-store-server", &backup, &[]).await;
    assert_eq!(backed_up.code, Some(0), "{backed_up:?}");
    topology.desks()[0].warehouse(1, 7).await.json(201);
    has(&queries, 1, 12).await;

    for desk in &mut topology.command_apis {
        desk.stop().await;
    }
    topology.event_store.stop().await;
    fs::rename(place.path().join("events"), place.path().join("lost")).unwrap();
    let restore = ["restore", "--data", "events", "--from", "yesterday.sqlite"];
    let restored = run(&place, "event-store-server", &restore, &[]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    topology.event_store.start_again().await;
    for desk in &mut topology.command_apis {
        desk.start_again().await;
    }
    let desk = topology.desks()[0].clone();
    eventually("commands are booked again", async || desk.warehouse(2, 3).await.wanted(201)).await;

    // The views hold what the store has lost, and are shown until others are made.
    has(&queries, 1, 12).await;
    let (store, database) = (topology.store_url(), topology.postgres.url());
    let places = [("EVENT_STORE_URL", store.as_str()), ("DATABASE_URL", database.as_str())];
    let rebuilt = run(&place, "replay", &["rebuild", "--accept-difference"], &places).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt:?}");
    let dropped = run(&place, "replay", &["generations", "--drop", "1"], &places).await;
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    has(&queries, 1, 5).await;
    has(&queries, 2, 3).await;
    desk.warehouse(1, 1).await.json(201);
    has(&queries, 1, 6).await;
    let verified = run(&place, "replay", &["verify"], &places).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}
