//! Books whose streams are deleted while they are projected: they stay as they were, and keep nobody from the others.

use crate::given::*;
use read_model::{Reader, ReaderOptions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The books of these rows, each once; a row of the history has no book in its key.
fn books(rows: &Value) -> Vec<u64> {
    let rows = rows.as_array().unwrap();
    let mut books: Vec<_> = rows.iter().filter_map(|row| row["key"]["book_id"].as_u64()).collect();
    books.sort_unstable();
    books.dedup();
    books
}

#[tokio::test(flavor = "multi_thread")]
async fn books_that_are_deleted_while_they_are_projected_stay_as_they_were_and_all_others_are_proved() {
    let (mut library, database) = projected("deleted_meanwhile").await;
    let url = library.store.url();
    let tool = async |arguments: &[&str]| replay(&url, Some(&database), arguments).await;
    let streams = async || -> Vec<String> {
        let listed = tool(&["parked", "list", "--json"]).await.json(0);
        let parked = listed["parked"].as_array().unwrap();
        parked.iter().map(|one| one["stream"].as_str().unwrap().to_owned()).collect()
    };
    // Book 5 has an event that was taken out, book 6 one that waits to be.
    for book in [3, 3, 5, 6] {
        library.warehouse(book, 4).await;
    }
    library.scribble(5).await;
    library.scribble(6).await;
    let projecting = Projecting::start(&library, &database);
    let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
    tool(&["parked", "skip", "5", "--reason", "shredded"]).await.text(0);
    let started = Instant::now();
    while streams().await != ["book-6"] {
        assert!(started.elapsed() < PATIENCE, "book 6 alone was to wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let client = eventstore::Client::new(url.parse().unwrap()).unwrap();
    client.delete_stream("book-3", &Default::default()).await.unwrap();
    for stream in ["book-2", "book-5", "book-6"] {
        client.tombstone_stream(stream, &Default::default()).await.unwrap();
    }
    let last = library.warehouse(4, 1).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(streams().await, ["book-6"], "that a stream is deleted is no event that cannot be read");
    let retried = tool(&["parked", "retry", "6", "--json"]).await.json(1);
    assert!(retried["reason"].as_str().unwrap().contains("deleted for ever"), "{retried}");
    projecting.stop().await;
    assert_eq!(tool(&["parked", "show", "6", "--json"]).await.json(0)["event"]["type"], "Shredded");
    for of_one in [
        &["parked", "skip", "6", "--reason", "shredded"][..],
        &["show", "book-2"],
        &["explain", "book", "2"],
        &["as-of", &last.to_string(), "--book", "2"],
    ] {
        let refused = tool(of_one).await;
        assert!(refused.complaint(1).contains("is deleted for ever"), "{refused:?}");
    }

    // The log has all events. What needs a stream's own is not proved: book 5, which is folded anew for its skip.
    let verified = tool(&["verify", "--json"]).await.json(0);
    assert_eq!(
        (&verified["drift"], &verified["wrongAfter"], &verified["notProvable"]),
        (&json!([]), &json!(0), &json!(["book-5"])),
        "{verified}"
    );
    assert_eq!(verified["parked"][0]["stream"], "book-6", "{verified}");
    let rebuilt = tool(&["rebuild", "--dry-run", "--json"]).await.json(1);
    assert_eq!((&rebuilt["outcome"], books(&rebuilt["compared"]["drift"])), (&json!("refused"), vec![5]));
    let rebuilt = tool(&["rebuild", "--dry-run", "--accept-difference"]).await;
    assert!(rebuilt.text(0).contains("does not tell its events any more"), "{rebuilt:?}");
    let checked = tool(&["check", "--json"]).await.json(1);
    assert_eq!(
        (&checked["skipped"], &checked["unreadable"], &checked["others"]),
        (&json!(1), &json!(1), &json!(3)),
        "{checked}"
    );
    let known = |past: &Ran| -> Vec<u64> {
        let past = past.json(1);
        past["books"].as_array().unwrap().iter().map(|book| book["bookId"].as_u64().unwrap()).collect()
    };
    let past = tool(&["as-of", &last.to_string(), "--json"]).await;
    assert_eq!(known(&past), [1, 2, 3, 4, 6]);
    assert!(past.err.contains("book-5 was left out") && !past.err.contains("book-2"), "{past:?}");
    let stats = tool(&["stats", "--json"]).await.json(0);
    let longest = stats["longest"].as_array().unwrap();
    assert!(longest.iter().all(|one| one["events"].as_u64().unwrap() <= 3), "{stats}");
    let sampled = tool(&["verify", "--sample", "10", "--json"]).await.json(0);
    let gone = json!(["book-2", "book-3", "book-5", "book-6"]);
    assert_eq!((&sampled["notProvable"], &sampled["parked"]), (&gone, &json!([])), "{sampled}");

    library.store.scavenge();
    for how in [&["verify", "--json"][..], &["verify", "--sample", "10", "--json"]] {
        let verified = tool(how).await.json(0);
        let found = (&verified["drift"], &verified["wrongAfter"], &verified["notProvable"]);
        assert_eq!(found, (&json!([]), &json!(0), &gone), "{verified}");
    }
    let rebuilt = tool(&["rebuild", "--dry-run", "--json"]).await.json(1);
    assert_eq!(
        (&rebuilt["freed"], books(&rebuilt["compared"]["drift"])),
        (&json!(0), vec![2, 3, 5, 6]),
        "{rebuilt}"
    );
    assert_eq!(tool(&["check", "--json"]).await.json(0)["others"], json!(3));
    // Of a stream whose deletion could be taken back, the last event stays.
    let past = tool(&["as-of", &last.to_string(), "--json"]).await;
    assert_eq!(known(&past), [1, 4]);
    assert!(past.err.contains("book-3 was left out"), "{past:?}");
}
