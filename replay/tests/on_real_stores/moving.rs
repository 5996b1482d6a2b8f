//! Events go from one store to another, whole and once.

use crate::given::*;
use crate::store::Store;
use bytes::Bytes;
use event_store::{ContentType, Direction, EventStore as _, Expected, NewEvent, Start};
use eventstore::{Client, DeleteStreamOptions, StreamMetadataBuilder, TombstoneStreamOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Stdio};

/// All that is carried of an event: stream, revision, and the event itself.
type Carried = (String, u64, NewEvent);

/// All events of a store, in order.
async fn all(store: &Store) -> Vec<Carried> {
    let client = client(store);
    let events = client.read_all(Start::Beginning, Direction::Forwards, usize::MAX).await.unwrap();
    let carried = events.into_iter().map(|stored| {
        let event = NewEvent {
            id: stored.id,
            event_type: stored.event_type,
            content_type: stored.content_type,
            data: stored.data,
            metadata: stored.metadata,
        };
        (stored.stream, stored.revision, event)
    });
    carried.collect()
}

fn by_stream(events: Vec<Carried>) -> BTreeMap<String, Vec<(u64, NewEvent)>> {
    let mut streams = BTreeMap::<String, Vec<(u64, NewEvent)>>::new();
    for (stream, revision, event) in events {
        streams.entry(stream).or_default().push((revision, event));
    }
    streams
}

#[track_caller]
fn assert_same(source: Vec<Carried>, target: Vec<Carried>) {
    assert!(by_stream(source) == by_stream(target), "the stores differ");
}

/// Books and what others wrote beside them, mixed.
async fn library() -> Library {
    let mut library = Library::start();
    for round in 0..20 {
        for book in 1..=5 {
            library.warehouse(book, 1 + round).await;
        }
    }
    library.renew(3).await;
    let odd: [(ContentType, &[u8], &[u8]); 4] = [
        (ContentType::Json, b"{ \"price\" : 1.50,\n \"a\":1e400 }", b" {} \n"),
        (ContentType::Binary, b"\0\xff{}\n", b"\xfe"),
        (ContentType::Binary, b"{}", b""),
        (ContentType::Json, b"null", b"[1,  2]"),
    ];
    let events = (0..).zip(odd).map(|(number, (content_type, data, metadata))| NewEvent {
        id: id(99, number),
        event_type: "이상한 \"event\"".to_owned(),
        content_type,
        data: Bytes::copy_from_slice(data),
        metadata: Bytes::copy_from_slice(metadata),
    });
    library.client.append("선반 \"1\"", Expected::NoStream, events.collect()).await.unwrap();
    library
}

async fn copy(from: &Store, to: &Store, more: &[&str]) -> Ran {
    let (from, to) = (from.url(), to.url());
    run(command(&[&["copy", "--from", &from, "--to", &to, "--json"], more].concat())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_every_event_byte_for_byte_and_once_however_often_it_is_made() {
    let (mut library, target) = (library().await, Store::start());
    let copied = copy(&library.store, &target, &[]).await.json(0);
    assert_eq!(
        without(copied, &["seconds"]),
        json!({
            "events": 105, "order": "perStream", "verified": true, "differences": [], "disordered": false,
            "notCarried": {"fields": ["position", "created"], "streamMetadata": []},
        })
    );
    assert_same(all(&library.store).await, all(&target).await);

    // What came since joins what is there, also where an append has to begin in the middle of one.
    library.warehouse_many_more(3, 700).await;
    assert_eq!(copy(&library.store, &target, &[]).await.json(0)["events"], 805);
    assert_eq!(copy(&library.store, &target, &[]).await.json(0)["verified"], true);
    assert_same(all(&library.store).await, all(&target).await);
    let text = run(command(&["copy", "--from", &library.store.url(), "--to", &target.url()])).await;
    assert!(
        text.text(0).contains("805 events in") && text.out.contains("verified: the target holds"),
        "{text:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_strict_order_the_order_over_all_streams_is_kept() {
    let (library, target) = (library().await, Store::start());
    let copied = copy(&library.store, &target, &["--strict-order"]).await.json(0);
    assert_eq!((&copied["verified"], &copied["order"]), (&json!(true), &json!("strict")));
    assert!(all(&library.store).await == all(&target).await, "the order differs");

    // A target that was written in another order is found out.
    let other = Store::start();
    let client = client(&other);
    let last = all(&library.store).await.pop().unwrap();
    client.append("book-2", Expected::NoStream, vec![all(&library.store).await[1].2.clone()]).await.unwrap();
    let disordered = copy(&library.store, &other, &["--strict-order"]).await.json(1);
    assert_eq!(
        (&disordered["verified"], &disordered["disordered"]),
        (&json!(false), &json!(true)),
        "{last:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_file_is_imported_whole_and_one_that_is_not_whole_is_refused_before_anything_is_written()
{
    let library = library().await;
    let dir = tempfile::tempdir().unwrap();
    for (name, flags) in [("plain", &["export"][..]), ("packed", &["export", "--gzip"])] {
        let file = dir.path().join(name);
        let mut export = command(flags);
        export.env("EVENT_STORE_URL", library.store.url()).stdout(File::create(&file).unwrap());
        assert!(tokio::task::spawn_blocking(move || export.status().unwrap()).await.unwrap().success());
        let target = Store::start();
        let import = async |file: &std::path::Path| {
            replay(&target.url(), None, &["import", file.to_str().unwrap(), "--strict-order", "--json"]).await
        };

        let bytes = fs::read(&file).unwrap();
        let cut = dir.path().join("cut");
        for length in [bytes.len() - 1, bytes.len() / 2, 5, 0] {
            fs::write(&cut, &bytes[..length]).unwrap();
            let refused = import(&cut).await;
            assert!(!refused.complaint(1).is_empty());
        }
        assert_eq!(all(&target).await, []);

        assert_eq!(import(&file).await.json(0)["verified"], true);
        assert_eq!(import(&file).await.json(0)["events"], 105);
        assert!(all(&library.store).await == all(&target).await, "{name}");
    }
    // One whose lines are all there and which was changed.
    let changed = dir.path().join("changed");
    let text = fs::read_to_string(dir.path().join("plain")).unwrap();
    fs::write(&changed, text.replacen("\"qty\":1,", "\"qty\":9,", 1)).unwrap();
    let refused = replay(&library.store.url(), None, &["import", changed.to_str().unwrap()]).await;
    assert!(refused.complaint(1).contains("it was changed"), "{refused:?}");
    let first: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&first["stream"], &first["contentType"], &first["data"]["qty"]),
        (&json!("book-1"), &json!("application/json"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_other_events_is_refused_by_the_name_of_the_stream() {
    let (library, target) = (library().await, Store::start());
    target.append("book-4", vec![("Warehoused".to_owned(), b"{}".to_vec())]).await;
    let refused = copy(&library.store, &target, &[]).await;
    let complaint = refused.complaint(1);
    assert!(
        complaint.contains("book-4 revision") && complaint.contains("it holds other events"),
        "{complaint}"
    );

    let target = Store::start();
    target.append("club-1", vec![("Founded".to_owned(), b"{}".to_vec())]).await;
    let more = copy(&library.store, &target, &[]).await.json(1);
    assert_eq!(
        (&more["verified"], &more["differences"]),
        (&json!(false), &json!([{"stream": "club-1", "sourceEvents": 0, "targetEvents": 1}]))
    );
    let itself = run(command(&["copy", "--from", &target.url(), "--to", &target.url()])).await;
    assert!(itself.complaint(2).contains("the same store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_not_whole_are_refused_by_name_before_anything_is_written() {
    let (library, target) = (library().await, Store::start());
    let client = Client::new(library.store.url().parse().unwrap()).unwrap();
    let metadata = |builder: StreamMetadataBuilder| builder.build();
    let truncated = metadata(StreamMetadataBuilder::new().truncate_before(7));
    client.set_stream_metadata("book-1", &Default::default(), &truncated).await.unwrap();
    let short = metadata(StreamMetadataBuilder::new().max_count(3));
    client.set_stream_metadata("book-3", &Default::default(), &short).await.unwrap();
    client.delete_stream("book-2", &DeleteStreamOptions::default()).await.unwrap();
    client.tombstone_stream("book-4", &TombstoneStreamOptions::default()).await.unwrap();
    let harmless = metadata(StreamMetadataBuilder::new().insert_custom_property("shelf", 7));
    client.set_stream_metadata("book-5", &Default::default(), &harmless).await.unwrap();

    let refused = copy(&library.store, &target, &[]).await;
    for why in [
        "book-1 is truncated before revision 7",
        "book-2 is deleted",
        "book-3 keeps its last 3 events only",
        "book-4 is deleted for ever",
        "nothing was written",
    ] {
        assert!(refused.complaint(1).contains(why), "{why}: {refused:?}");
    }
    let exported = replay(&library.store.url(), None, &["export"]).await;
    assert!(exported.complaint(1).contains("book-1 is truncated"), "{exported:?}");
    assert_eq!((all(&target).await, exported.out.as_str()), (vec![], ""));

    let without_them =
        ["book-1", "book-2", "book-3", "book-4"].map(|stream| ["--leave-out", stream]).concat();
    let copied = copy(&library.store, &target, &without_them).await.json(0);
    assert_eq!(copied["notCarried"]["streamMetadata"], json!(["book-1", "book-2", "book-3", "book-5"]));
    let streams: Vec<String> = by_stream(all(&target).await).into_keys().collect();
    assert_eq!(streams, ["book-5", "선반 \"1\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_or_stopped_in_the_middle_is_run_again() {
    let (mut library, target) = (Library::start(), Store::start());
    library.warehouse_many(2_000, 20).await;
    let client = client(&target);
    let read_all = || client.read_all(Start::Beginning, Direction::Forwards, usize::MAX);
    let (mut before, urls) = (0, (library.store.url(), target.url()));
    for signal in [Signal::KILL, Signal::INT] {
        let mut command = command(&["copy", "--strict-order", "--from", &urls.0, "--to", &urls.1]);
        let mut copying = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Until it has gone on from where it was.
        while read_all().await.unwrap().len() == before {
            assert!(copying.try_wait().unwrap().is_none(), "it ended before it was stopped");
        }
        kill_process(Pid::from_child(&copying), signal).unwrap();
        let code = tokio::task::spawn_blocking(move || copying.wait().unwrap()).await.unwrap().code();
        assert_eq!(code, if signal == Signal::KILL { None } else { Some(1) });
        before = read_all().await.unwrap().len();
    }
    assert!(before < 40_000, "it was never in the middle");
    assert_eq!(copy(&library.store, &target, &[]).await.json(0)["events"], 40_000);
    assert_same(all(&library.store).await, all(&target).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_stopped_is_taken_by_no_import_and_an_import_that_is_stopped_is_run_again() {
    let (mut library, target) = (Library::start(), Store::start());
    library.warehouse_many(2_000, 20).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // Nobody reads on after the first line, and so it is in the middle.
    let mut export = start(&library.store.url(), None, &["export"]);
    let mut out = BufReader::new(export.stdout.take().unwrap());
    let mut part = String::new();
    out.read_line(&mut part).unwrap();
    signal(&export, Signal::INT);
    let reading = tokio::task::spawn_blocking(move || out.read_to_string(&mut part).map(|_| part));
    let part = reading.await.unwrap().unwrap();
    let stopped = ended(export).await;
    assert!(stopped.complaint(1).contains("the file is not whole"), "{stopped:?}");
    fs::write(file("part"), part).unwrap();
    let refused = replay(&target.url(), None, &["import", &file("part")]).await;
    assert!(refused.complaint(1).contains("it was cut off"), "{refused:?}");
    assert_eq!(all(&target).await, []);

    let whole = replay(&library.store.url(), None, &["export"]).await;
    fs::write(file("whole"), whole.text(0)).unwrap();
    let import = start(&target.url(), None, &["import", "--strict-order", &file("whole")]);
    while all(&target).await.is_empty() {}
    signal(&import, Signal::INT);
    let stopped = ended(import).await;
    assert!(stopped.complaint(1).contains("run the same again to go on"), "{stopped:?}");
    assert!(all(&target).await.len() < 40_000, "it was never in the middle");
    assert_eq!(
        replay(&target.url(), None, &["import", &file("whole"), "--json"]).await.json(0)["events"],
        40_000
    );
    assert_same(all(&library.store).await, all(&target).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_follows_carries_what_comes_over_outages_of_either_store_and_verifies_when_it_is_stopped()
{
    let (mut library, target) = (library().await, Store::start());
    let urls = (library.store.url(), target.url());
    let mut command = command(&["copy", "--follow", "--json", "--from", &urls.0, "--to", &urls.1]);
    let copying = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let copying = says(copying, "following, until Ctrl-C").await;
    target.kill();
    library.warehouse(1, 5).await;
    target.start_again();
    library.store.kill();
    library.store.start_again();
    library.warehouse(6, 5).await;
    kill_process(Pid::from_child(&copying), Signal::INT).unwrap();
    let output = tokio::task::spawn_blocking(move || copying.wait_with_output().unwrap()).await.unwrap();
    let copied: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&copied["events"], &copied["verified"]), (&json!(107), &json!(true)), "{copied}");
    assert_same(all(&library.store).await, all(&target).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_follows_and_whose_target_is_gone_for_good_is_ended_by_another_ctrl_c() {
    let (mut library, target) = (library().await, Store::start());
    let urls = (library.store.url(), target.url());
    let mut command = command(&["copy", "--follow", "--from", &urls.0, "--to", &urls.1]);
    let copying = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (copying, err) = says_of(copying, "following, until Ctrl-C").await;
    target.kill();
    library.warehouse(1, 5).await;
    signal(&copying, Signal::INT);
    let asked_twice = async {
        let err = heard(err, "Ctrl-C again stops at once").await;
        signal(&copying, Signal::INT);
        heard(err, "stopped after 105 events; run the same again to go on").await;
    };
    if tokio::time::timeout(PATIENCE, asked_twice).await.is_err() {
        signal(&copying, Signal::KILL);
        panic!("it goes on and on");
    }
    assert_eq!(ended(copying).await.code, Some(1));
}

/// Waits until it says something on its standard error.
async fn says(child: Child, what: &'static str) -> Child {
    let (child, mut err) = says_of(child, what).await;
    // It must not find its standard error closed.
    std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
    child
}

/// The same, and what it says after that.
async fn says_of(mut child: Child, what: &'static str) -> (Child, BufReader<ChildStderr>) {
    let err = BufReader::new(child.stderr.take().unwrap());
    (child, heard(err, what).await)
}

async fn heard(mut err: BufReader<ChildStderr>, what: &'static str) -> BufReader<ChildStderr> {
    tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        while !said.contains(what) {
            assert!(err.read_line(&mut said).unwrap() > 0, "it never said {what}: {said}");
        }
        err
    })
    .await
    .unwrap()
}
