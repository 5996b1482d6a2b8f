//! `replay verify` finds whatever differs from the log, and says why.

use crate::given::*;
use eventstore::StreamMetadataBuilder;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn verify(library: &Library, database: &str, arguments: &[&str]) -> Ran {
    replay(&library.store.url(), Some(database), &[&["verify"], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_that_are_what_the_log_says_have_no_drift() {
    let (library, database) = projected("no_drift").await;
    let verified = verify(&library, &database, &["--json"]).await.json(0);
    let rows = |view: &str| {
        let views = verified["views"].as_array().unwrap();
        let found = views.iter().find(|found| found["view"] == view);
        found.unwrap_or_else(|| panic!("no {view} in {verified}"))["rows"].as_u64().unwrap()
    };
    assert_eq!((rows("book_stock"), rows("admin_list"), rows("streams")), (2, 2, 2));
    assert_eq!(rows("book_history"), 4);
    assert_eq!(
        without(verified.clone(), &["seconds", "position", "views"]),
        json!({
            "generation": 1, "events": 4, "drift": [], "wrongAfter": 0, "wrongAfterEvents": [],
            "unchecked": 0, "uncheckedEvents": [], "parked": [], "notProvable": [],
        })
    );
    assert!(verify(&library, &database, &[]).await.text(0).contains("no drift"));
    assert_eq!(verify(&library, &database, &["--sample", "1", "--json"]).await.json(0)["drift"], json!([]));
    // Nothing is left of it.
    let generations =
        replay("esdb://127.0.0.1:1?tls=false", Some(&database), &["generations", "--json"]).await;
    assert_eq!(generations.json(0)["generations"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_or_a_column_that_is_not_there_is_named_and_no_verification_ends_well_with_it() {
    let (library, database) = projected("not_there").await;
    sql(&database, "ALTER TABLE rm_1.book_stock DROP COLUMN name").await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    assert_eq!((&verified["drift"], &verified["views"][0]["notCompared"]), (&json!([]), &json!(["name"])));
    sql(&database, "DROP TABLE rm_1.admin_list").await;
    let text = verify(&library, &database, &[]).await;
    assert!(text.text(1).contains("only one side has it: book_stock.name, admin_list;"), "{text:?}");
    assert!(!text.out.contains("no drift"), "{text:?}");
    verify(&library, &database, &["--view", "book_history"]).await.text(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_waits_only_where_it_serves_is_compared_up_to_there_and_no_reason_to_refuse_a_rebuild()
{
    let (mut library, database) = projected("waits").await;
    let (second, first) = (library.warehouse(2, 4).await, library.warehouse(3, 1).await);
    // As a projector leaves it that did not understand these two events.
    let parked = format!(
        "UPDATE bookstock.projection SET position = {first}, event_id = '{}';
         INSERT INTO bookstock.parked (generation, book_id, revision, position, reason, retry)
         VALUES (1, 2, 1, {second}, 'it is new', false), (1, 3, 0, {first}, 'it is new', false)",
        id(3, 0)
    );
    sql(&database, &parked).await;
    let waits = |book: u64, revision: u64, position: u64| {
        json!({
            "stream": format!("book-{book}"), "revision": revision, "position": position.to_string(),
            "reason": "it is new", "waitsForRetry": true,
        })
    };
    let verified = verify(&library, &database, &["--json"]).await.json(0);
    assert_eq!(
        (&verified["drift"], &verified["parked"]),
        (&json!([]), &json!([waits(2, 1, second), waits(3, 0, first)]))
    );
    let sampled = verify(&library, &database, &["--sample", "2", "--json"]).await.json(0);
    assert_eq!(sampled["parked"], json!([waits(2, 1, second)]), "book 3 has no row to be chosen by");
    let rebuilt = replay(&library.store.url(), Some(&database), &["rebuild", "--dry-run", "--json"]).await;
    let rebuilt = rebuilt.json(0);
    assert_eq!((&rebuilt["outcome"], &rebuilt["freed"]), (&json!("wouldSwitch"), &json!(2)));

    sql(&database, "UPDATE rm_1.book_stock SET stock = 6 WHERE book_id = 2").await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    assert_eq!(
        verified["drift"][0]["cells"],
        json!([{"column": "stock", "found": "6", "expected": "5"}]),
        "{verified}"
    );

    // Also the views that are copied go on in the new generation.
    let one_view = ["rebuild", "--view", "book_stock", "--accept-difference", "--json"];
    let rebuilt = replay(&library.store.url(), Some(&database), &one_view).await.json(0);
    assert_eq!(rebuilt["outcome"], "switched");
    let verified = verify(&library, &database, &["--json"]).await.json(0);
    assert_eq!(
        (&verified["generation"], &verified["parked"]),
        (&rebuilt["generation"], &json!([])),
        "{verified}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_books_of_which_one_has_more_events_than_are_read_at_once_is_compared_whole() {
    let (mut library, database) = projected("large_sample").await;
    for _ in 0..10 {
        library.warehouse_many_more(2, 500).await;
    }
    library.warehouse(3, 1).await;
    let last = library.warehouse(1, 1).await;
    project(&library, &database, last).await;
    let verified = verify(&library, &database, &["--sample", "3", "--json"]).await.json(0);
    assert_eq!((&verified["events"], &verified["parked"]), (&json!(5_006), &json!([])), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_in_any_view_is_found_and_the_event_that_explains_it_is_named() {
    let (library, database) = projected("drift").await;
    sql(
        &database,
        "UPDATE rm_1.book_stock SET stock = 131 WHERE book_id = 1;
         DELETE FROM rm_1.admin_list WHERE book_id = 2;
         UPDATE rm_1.admin_list SET search = 'lost' WHERE book_id = 1;
         UPDATE rm_1.book_history SET qty = 8 WHERE book_id = 1 AND revision = 1;
         INSERT INTO rm_1.streams VALUES (9, 0);",
    )
    .await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    let drift = verified["drift"].as_array().unwrap();
    let row = |view: &str, book: u64| -> &Value {
        let found = drift.iter().find(|row| row["view"] == view && row["key"]["book_id"] == book);
        found.unwrap_or_else(|| panic!("no {view} of {book} in {verified}"))
    };
    let stock = row("book_stock", 1);
    assert_eq!(
        without(stock.clone(), &["position"]),
        json!({
            "view": "book_stock", "key": {"book_id": 1}, "kind": "differs",
            "cells": [{"column": "stock", "found": "131", "expected": "100"}],
            "event": {
                "stream": "book-1", "revision": 2, "id": id(1, 2), "type": "Renewed",
                "occurredAt": "2023-11-14T22:13:24.000000Z", "why": "it changed that last",
            },
        })
    );
    assert_eq!(row("admin_list", 1)["event"]["revision"], 0, "the first event named the book: {verified}");
    assert_eq!(
        (&row("admin_list", 2)["kind"], &row("admin_list", 2)["event"]["id"]),
        (&json!("missing"), &json!(id(2, 0)))
    );
    assert_eq!((&row("streams", 9)["kind"], &row("streams", 9)["event"]), (&json!("extra"), &json!(null)));
    let movement = drift.iter().find(|row| row["view"] == "book_history").unwrap();
    assert_eq!(
        (&movement["cells"], &movement["event"]["id"]),
        (&json!([{"column": "qty", "found": "8", "expected": "7"}]), &json!(id(1, 1)))
    );
    assert_eq!(drift.len(), 5, "{verified}");

    let one_view = verify(&library, &database, &["--view", "book_stock", "--json"]).await.json(1);
    assert_eq!(one_view["drift"].as_array().unwrap().len(), 1);
    let for_people = verify(&library, &database, &[]).await;
    assert!(for_people.text(1).contains("Renewed 2@book-1"), "{for_people:?}");
    assert!(verify(&library, &database, &["--sample", "3"]).await.text(1).contains("131"));
    assert_eq!(verify(&library, &database, &["--view", "shelves"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_lacks_an_event_is_explained_by_that_event() {
    let (library, database) = projected("lacks").await;
    sql(&database, "UPDATE rm_1.book_stock SET stock = 123, revision = 0 WHERE book_id = 1").await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    let event = &verified["drift"][0]["event"];
    assert_eq!((&event["revision"], &event["why"]), (&json!(1), &json!("the row lacks it")), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_metadata_tells_another_state_is_named() {
    let (mut library, database) = projected("wrong_after").await;
    let position = library.lie(2).await;
    project(&library, &database, position).await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    assert_eq!(verified["drift"], json!([]), "the views are made of the events alone");
    assert_eq!(
        verified["wrongAfterEvents"],
        json!([{
            "stream": "book-2", "revision": 1, "position": position.to_string(),
            "says": r#"{"name":null,"version":1.0,"stock":1}"#,
            "foldsTo": r#"{"name":"책 2","version":1.0,"stock":6}"#,
        }])
    );
    let text = verify(&library, &database, &[]).await;
    assert!(text.text(1).contains("no drift") && text.out.contains("no rebuild changes that"), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_whose_metadata_tells_another_state_is_named() {
    let (mut library, database) = projected("wrong_skip").await;
    let position = library.skip_with_a_lie(2, 0).await;
    project(&library, &database, position).await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    assert_eq!(
        verified["wrongAfterEvents"],
        json!([{
            "stream": "book-2", "revision": 1, "position": position.to_string(),
            "says": r#"{"name":null,"version":1.0,"stock":77}"#, "foldsTo": "null",
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_held_against_the_fold_are_counted_and_named() {
    let (mut library, database) = projected("unchecked").await;
    let silent = library.warehouse_saying(2, br#"{"schemaVersion":1}"#).await;
    let none = library.warehouse_saying(2, br#"{"schemaVersion":1,"after":null}"#).await;
    let unreadable = library.scribble(1).await;
    project(&library, &database, unreadable).await;
    for sample in [&[][..], &["--sample", "2"]] {
        let verified = verify(&library, &database, &[&["--json"], sample].concat()).await.json(1);
        let told = verified["uncheckedEvents"].as_array().unwrap();
        let mut positions: Vec<_> = told.iter().map(|event| event["position"].clone()).collect();
        positions.sort_by_key(|position| position.as_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(positions, [silent, unreadable].map(|position| json!(position.to_string())));
        assert_eq!(verified["unchecked"], 2);
        assert!(told.iter().any(|event| event["why"].as_str().unwrap().contains("Shredded")), "{verified}");
        assert_eq!(
            (&verified["wrongAfter"], &verified["wrongAfterEvents"][0]["position"]),
            (&json!(1), &json!(none.to_string())),
            "that there is no book is something else than nothing"
        );
    }
    let text = verify(&library, &database, &[]).await;
    assert!(text.text(1).contains("2 events could not be held against the fold"), "{text:?}");

    // An event that was left out has made no row.
    let made_up = format!(
        "CREATE TEMP TABLE made_up AS SELECT * FROM rm_1.book_history WHERE book_id = 1 LIMIT 1;
         UPDATE made_up SET position = {unreadable};
         INSERT INTO rm_1.book_history SELECT * FROM made_up"
    );
    sql(&database, &made_up).await;
    let verified = verify(&library, &database, &["--json"]).await.json(1);
    let drift = &verified["drift"][0];
    assert_eq!((&drift["kind"], &drift["event"]), (&json!("extra"), &json!(null)), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_skip_that_was_deleted_since_is_named_as_one_that_nothing_proves_any_more() {
    let (mut library, database) = projected("deleted").await;
    let position = library.skip_with_a_lie(2, 0).await;
    project(&library, &database, position).await;
    let client = eventstore::Client::new(library.store.url().parse().unwrap()).unwrap();
    client.delete_stream("book-2", &Default::default()).await.unwrap();
    let verified = verify(&library, &database, &["--json"]).await.json(0);
    assert_eq!((&verified["drift"], &verified["notProvable"]), (&json!([]), &json!(["book-2"])));
    let why = "the first events of its stream are not there any more";
    assert_eq!(
        (&verified["parked"], &verified["wrongAfter"], &verified["uncheckedEvents"]),
        (
            &json!([]),
            &json!(0),
            &json!([{"stream": "book-2", "revision": 1, "position": position.to_string(), "why": why}]),
        )
    );
    let sampled = verify(&library, &database, &["--sample", "2", "--json"]).await.json(0);
    assert_eq!(sampled["notProvable"], json!(["book-2"]), "{sampled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn books_whose_events_are_gone_are_named_and_no_drift_and_a_book_that_never_was_is_drift() {
    let (mut library, database) = projected("gone").await;
    // Of a deleted stream its last event stays.
    library.warehouse(2, 4).await;
    library.warehouse(3, 1).await;
    let last = library.warehouse(4, 1).await;
    project(&library, &database, last).await;
    let client = eventstore::Client::new(library.store.url().parse().unwrap()).unwrap();
    client.delete_stream("book-2", &Default::default()).await.unwrap();
    client.tombstone_stream("book-3", &Default::default()).await.unwrap();
    let harmless = StreamMetadataBuilder::new().insert_custom_property("shelf", 7).build();
    client.set_stream_metadata("book-77", &Default::default(), &harmless).await.unwrap();

    let gone = json!(["book-2", "book-3"]);
    let sorted = |verified: &Value| {
        let mut streams = verified["notProvable"].as_array().unwrap().clone();
        streams.sort_by_key(|stream| stream.as_str().unwrap().to_owned());
        Value::from(streams)
    };
    // Until they are reclaimed, their events are still in the log; their streams tell nothing any more.
    assert_eq!(verify(&library, &database, &["--json"]).await.json(0)["notProvable"], json!([]));
    let sample = ["--sample", "10", "--json"];
    assert_eq!(sorted(&verify(&library, &database, &sample).await.json(0)), gone);
    library.store.scavenge();
    for how in [&["--json"][..], &sample] {
        let verified = verify(&library, &database, how).await.json(0);
        assert_eq!((sorted(&verified), &verified["drift"]), (gone.clone(), &json!([])), "{verified}");
    }

    sql(&database, "INSERT INTO rm_1.streams SELECT 77, revision FROM rm_1.streams WHERE book_id = 1").await;
    for how in [&["--json"][..], &sample] {
        let verified = verify(&library, &database, how).await.json(1);
        let drift = &verified["drift"][0];
        assert_eq!((sorted(&verified), &drift["kind"]), (gone.clone(), &json!("extra")), "{verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_stopped_in_the_middle_says_so_and_leaves_nothing() {
    let (mut library, database) = projected("stopped").await;
    let last = library.warehouse_many(200, 100).await;
    project(&library, &database, last).await;
    let client = connect(&database).await;
    let mut tool = start(&library.store.url(), Some(&database), &["verify"]);
    let generations = "SELECT stage FROM bookstock.projection";
    let started = Instant::now();
    while client.query(generations, &[]).await.unwrap().len() < 2 {
        assert!(
            started.elapsed() < PATIENCE && tool.try_wait().unwrap().is_none(),
            "it was never in the middle"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    signal(&tool, Signal::INT);
    let ended = ended(tool).await;
    assert_eq!(ended.complaint(1), "replay: stopped; nothing was changed");
    assert_eq!(client.query(generations, &[]).await.unwrap().len(), 1);
    let schemas = "SELECT FROM pg_namespace WHERE nspname LIKE 'rm\\_%'";
    assert_eq!(client.query(schemas, &[]).await.unwrap().len(), 1);
    verify(&library, &database, &[]).await.text(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_is_said_and_nothing_is_left() {
    let (_, database) = projected("cannot").await;
    let mut another = Library::start();
    another.warehouse(3, 1).await;
    let refused = verify(&another, &database, &[]).await;
    assert!(refused.complaint(1).contains("another event store"), "{refused:?}");
    let unnamed = replay(&another.store.url(), None, &["verify"]).await;
    assert!(unnamed.complaint(2).contains("DATABASE_URL"), "{unnamed:?}");
}
