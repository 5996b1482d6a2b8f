//! Subcommands that only look at the log.

use crate::given::*;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Two books with three and one events.
async fn library() -> Library {
    let mut library = Library::start();
    library.warehouse(1, 123).await;
    library.warehouse(2, 5).await;
    library.warehouse(1, 7).await;
    library.renew(1).await;
    library
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_every_event_that_made_a_row() {
    let library = library().await;
    let url = library.store.url();
    let explained = replay(&url, None, &["explain", "book", "1", "--json"]).await.json(0);
    let step = |revision: u64, position: &str, kind: &str, second: u32| {
        json!({
            "revision": revision, "position": position, "id": id(1, revision), "type": kind,
            "occurredAt": format!("2023-11-14T22:13:{second}.000000Z"), "actor": "4f2b",
            "correlationId": format!("req-1-{revision}"),
        })
    };
    let steps = explained["events"].as_array().unwrap();
    let positions: Vec<&str> = steps.iter().map(|step| step["position"].as_str().unwrap()).collect();
    assert_eq!(
        without(explained.clone(), &["data", "before", "after"]),
        json!({
            "book": {"bookId": 1, "name": "책 1", "version": 2.0, "stock": 100, "revision": 2, "position": positions[2]},
            "events": [
                step(0, positions[0], "Warehoused", 21),
                step(1, positions[1], "Warehoused", 23),
                step(2, positions[2], "Renewed", 24),
            ],
        })
    );
    let changes: Vec<_> = steps.iter().map(|step| (step["before"].clone(), step["after"].clone())).collect();
    assert_eq!(
        changes,
        [
            (json!(null), after("책 1", 1.0, 123)),
            (after("책 1", 1.0, 123), after("책 1", 1.0, 130)),
            (after("책 1", 1.0, 130), after("책 1", 2.0, 100)),
        ]
    );
    assert_eq!(steps[1]["data"]["qty"], 7);
    let for_people = replay(&url, None, &["explain", "book", "1"]).await;
    // What may be long stands last, where it cuts nothing else away.
    let first = for_people.text(0).lines().find(|line| line.contains("123 (1.0)")).unwrap();
    let words: Vec<&str> = first.split_whitespace().collect();
    assert!(words.ends_with(&["req-1-0", positions[0], "title:", "책", "1"]), "{for_people:?}");
    let unknown = replay(&url, None, &["explain", "book", "9"]).await;
    assert_eq!(unknown.complaint(1), "replay: there is no stream book-9");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_tells_what_the_books_were() {
    let library = library().await;
    let url = library.store.url();
    let stocks = async |arguments: &[&str]| {
        let past = replay(&url, None, &[&["as-of", "--json"], arguments].concat()).await.json(0);
        let books = past["books"].as_array().unwrap().clone();
        books
            .iter()
            .map(|book| (book["bookId"].as_u64().unwrap(), book["stock"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let explained = replay(&url, None, &["explain", "book", "1", "--json"]).await.json(0);
    let position = |event: usize| explained["events"][event]["position"].as_str().unwrap().to_owned();
    assert_eq!(stocks(&[&position(0)]).await, [(1, 123)]);
    assert_eq!(stocks(&[&position(1)]).await, [(1, 130), (2, 5)]);
    assert_eq!(stocks(&[&position(2)]).await, [(1, 100), (2, 5)]);
    assert_eq!(stocks(&["2023-11-14T22:13:23.5Z"]).await, [(1, 130), (2, 5)]);
    assert_eq!(stocks(&["2023-11-14T22:13:24Z", "--book", "1"]).await, [(1, 100)]);
    assert_eq!(
        replay(&url, None, &["as-of", &position(0), "--json"]).await.json(0),
        json!({"asOf": position(0), "books": [{
            "bookId": 1, "name": "책 1", "version": 1.0, "stock": 123, "revision": 0,
            "position": position(0), "occurredAt": "2023-11-14T22:13:21.000000Z",
        }]})
    );
    let unknown = replay(&url, None, &["as-of", &position(0), "--book", "2"]).await;
    assert!(unknown.complaint(1).contains("book 2 was not known"), "{unknown:?}");
    for beyond in ["99999999", "2099-01-01T00:00:00Z"] {
        let refused = replay(&url, None, &["as-of", beyond]).await;
        assert!(refused.complaint(1).contains("has not come yet"), "{refused:?}");
    }
    assert_eq!(replay(&url, None, &["as-of", "yesterday"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn show_and_tail_tell_events_as_they_are_stored() {
    let library = library().await;
    let url = library.store.url();
    let shown = replay(&url, None, &["show", "book-2", "--json"]).await.json(0);
    let event = &shown["events"][0];
    assert_eq!(
        without(shown.clone(), &["created", "position", "metadata"]),
        json!({"stream": "book-2", "events": [{
            "stream": "book-2", "revision": 0, "id": id(2, 0), "type": "Warehoused",
            "data": {"bookId": 2, "qty": 5, "version": 1.0, "name": "책 2", "occurredAt": "2023-11-14T22:13:22.000000Z"},
        }]})
    );
    assert_eq!(event["metadata"]["after"], after("책 2", 1.0, 5));
    let last = replay(&url, None, &["show", "book-1", "--last", "--limit", "1"]).await;
    assert!(last.text(0).contains("Renewed") && !last.out.contains("Warehoused"), "{last:?}");
    let shown = replay(&url, None, &["show", "book-1", "--from", "1", "--json"]).await.json(0);
    let revisions: Vec<_> =
        shown["events"].as_array().unwrap().iter().map(|event| &event["revision"]).collect();
    assert_eq!(revisions, [1, 2]);
    let beyond = replay(&url, None, &["show", "book-1", "--from", "3"]).await;
    assert_eq!(beyond.complaint(1), "replay: book-1 has no event 3");
    let number = replay(&url, None, &["show", "1"]).await;
    assert_eq!(number.complaint(1), "replay: there is no stream 1; that of the book is book-1");
    assert!(replay(&url, None, &["show", "shelf"]).await.complaint(1).contains("no stream shelf"));

    let tail = async |arguments: &[&str]| {
        let ran = replay(&url, None, &[&["tail", "--json"], arguments].concat()).await;
        let lines = ran.text(0).lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|event| format!("{}@{}", event["revision"], event["stream"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(tail(&["-n", "2"]).await, ["1@book-1", "2@book-1"]);
    assert_eq!(tail(&["--filter", "book-2"]).await, ["0@book-2"]);
    assert_eq!(tail(&["--type", "Renewed"]).await, ["2@book-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_follows_tells_what_comes_until_it_is_stopped() {
    let mut library = library().await;
    let tail = ["tail", "--follow", "-n", "1", "--filter", "book-", "--type", "Warehoused", "--json"];
    let mut tail = start(&library.store.url(), None, &tail);
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = || -> (u64, String) {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        (event["revision"].as_u64().unwrap(), event["stream"].as_str().unwrap().to_owned())
    };
    assert_eq!(next(), (1, "book-1".to_owned()));
    library.store.append("shelf-1", vec![("Warehoused".to_owned(), b"{}".to_vec())]).await;
    library.renew(2).await;
    library.warehouse(2, 5).await;
    assert_eq!(next(), (2, "book-2".to_owned()));
    signal(&tail, Signal::INT);
    let ended = ended(tail).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(lines.next().is_none());
}

/// `script` gives it a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn long_work_shows_how_far_it_is_on_a_terminal() {
    let (library, database) = projected("on_a_terminal").await;
    let on_a_terminal = async |arguments: &str| {
        let mut on_a_terminal = Command::new("script");
        let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_replay"));
        on_a_terminal
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("EVENT_STORE_URL", library.store.url())
            .env("DATABASE_URL", &database)
            .env("TERM", "xterm")
            .stdin(Stdio::null());
        run(on_a_terminal).await
    };
    for (arguments, what, end) in
        [("check", "checking", "all of them can be read"), ("verify --sample 2", "folding books", "no drift")]
    {
        let shown = on_a_terminal(arguments).await;
        let bar = [what, "100%", "4 events, ", " left", end];
        assert!(bar.iter().all(|part| shown.text(0).contains(part)), "{shown:?}");
    }
    let elsewhere = replay(&library.store.url(), None, &["check"]).await;
    assert_eq!((elsewhere.code, elsewhere.err.as_str()), (Some(0), ""), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_tell_how_far_the_read_models_are() {
    let (mut library, database) = projected("stats").await;
    library.warehouse(2, 5).await;
    library.store.append("shelf-1", vec![("Built".to_owned(), b"{}".to_vec())]).await;
    let url = library.store.url();
    let stats = async || replay(&url, Some(&database), &["stats", "--json"]).await.json(0);
    let read_models = stats().await["readModels"].clone();
    let explained = replay(&library.store.url(), None, &["explain", "book", "1", "--json"]).await.json(0);
    assert_eq!(
        without(read_models, &["foldVersion"]),
        json!({"generation": 1, "position": explained["book"]["position"], "behind": 1})
    );
    let last = library.warehouse(1, 1).await;
    project(&library, &database, last).await;
    assert_eq!(stats().await["readModels"]["behind"], 0);
    let text = replay(&library.store.url(), Some(&database), &["stats"]).await;
    assert!(text.text(0).contains("read models: generation"), "{text:?}");

    let away = replay(&url, Some("postgres://nobody@127.0.0.1:1/none"), &["stats", "--json"]).await;
    assert_eq!((&away.json(0)["books"], &away.json(0)["readModels"]), (&json!(2), &json!(null)));
    assert!(away.err.contains("how far the read models are is left out"), "{away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_count_what_there_is() {
    let library = library().await;
    library.store.append("shelf-1", vec![("Built".to_owned(), b"{}".to_vec())]).await;
    let stats = replay(&library.store.url(), None, &["stats", "--json"]).await.json(0);
    let varies = ["bytes", "lastPosition", "firstStored", "lastStored"];
    assert_eq!(
        without(stats, &varies),
        json!({
            "events": 5, "books": 2, "streams": 3,
            "types": {"Built": 1, "Renewed": 1, "Warehoused": 3},
            "longest": [
                {"stream": "book-1", "events": 3}, {"stream": "book-2", "events": 1}, {"stream": "shelf-1", "events": 1},
            ],
        })
    );
    assert!(replay(&library.store.url(), None, &["stats"]).await.text(0).contains("Warehoused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_every_event_that_this_version_cannot_read() {
    let mut library = library().await;
    let url = library.store.url();
    let checked = replay(&url, None, &["check", "--json"]).await.json(0);
    assert_eq!(
        checked,
        json!({
            "events": 4, "others": 0, "skipped": 0, "unreadable": 0, "firstUnreadable": [],
            "shapes": [
                {"type": "Renewed", "schemaVersion": 1, "events": 1},
                {"type": "Warehoused", "schemaVersion": 1, "events": 3},
            ],
        })
    );
    let position = library.scribble(2).await;
    let checked = replay(&url, None, &["check", "--json"]).await.json(1);
    assert_eq!(
        (&checked["unreadable"], &checked["firstUnreadable"]),
        (
            &json!(1),
            &json!([{"stream": "book-2", "revision": 1, "position": position.to_string(), "type": "Shredded",
                "reason": "unknown event type \"Shredded\""}])
        )
    );
    assert!(replay(&url, None, &["check"]).await.text(1).contains("1 cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_and_a_store_that_is_away_are_told_in_one_line_with_what_to_do() {
    let away = "esdb://127.0.0.1:1?tls=false";
    let refused = replay(away, None, &["stats"]).await;
    assert!(refused.complaint(1).contains("the event store is not available"), "{refused:?}");
    let not_one = replay("http://127.0.0.1:2113", None, &["stats"]).await;
    assert!(not_one.complaint(2).contains("Write esdb://"), "{not_one:?}");
    let not_running = replay(away, None, &["stats", "--data-dir", "/no/such/dir"]).await;
    assert!(not_running.complaint(1).contains("is bookstock running"), "{not_running:?}");
    assert_eq!(replay(away, None, &["stat"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_the_manual_name_every_subcommand() {
    let manual = run(command(&["man"])).await.text(0).replace('\\', "");
    let subcommands = [
        "as-of",
        "check",
        "completions",
        "copy",
        "explain",
        "export",
        "generations",
        "import",
        "man",
        "parked",
        "rebuild",
        "rollback",
        "show",
        "stats",
        "tail",
        "verify",
    ];
    for shell in ["bash", "zsh", "fish"] {
        let completions = run(command(&["completions", shell])).await.text(0).to_owned();
        for subcommand in subcommands {
            assert!(completions.contains(subcommand), "{shell}: {subcommand}");
        }
    }
    for subcommand in subcommands.iter().chain(&["parked-list", "parked-show", "parked-retry", "parked-skip"])
    {
        assert!(manual.contains(&format!("replay-{subcommand}")), "{subcommand}");
    }
}
