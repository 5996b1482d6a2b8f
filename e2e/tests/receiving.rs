//! `bookstock receive`: a list of what came in, sent as commands.
#![cfg(test)]

use e2e::{Ended, Place, Process, ReceivingList, System, command, eventually};
use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent, Options};
use std::fs;
use std::path::Path;

async fn receive(system: &System, list: &Path, more: &[&str]) -> Ended {
    let mut receive = command("bookstock");
    receive.arg("receive").arg(list).args(["--url", &system.gateway().url("")]).args(more);
    Process::start(&system.place, "receive", &mut receive).ended().await
}

/// Writes a list into the place of the test.
fn list(place: &Place, name: &str, text: &str) -> std::path::PathBuf {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn ten_thousand_rows_are_booked_once_however_often_they_are_sent() {
    let system = System::start().await;
    let rows = ReceivingList::ten_thousand(&system.place);
    assert_eq!((rows.stocks.len(), rows.total()), (10_000, 757_127));
    let first = receive(&system, &rows.path, &[]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!((first.count("booked"), first.count("already booked")), (10_000, 0));
    eventually("the admin list has every copy", async || system.admin().shows(&rows.stocks).await).await;

    let again = receive(&system, &rows.path, &[]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!((again.count("booked"), again.count("already booked")), (0, 10_000));
    // What it might have booked now would be seen by a query that carries a later command's position.
    let last = system.gateway().warehouse(1, 1).await.json(201);
    let position = last["position"].as_str().unwrap();
    assert_eq!(last["stock"], rows.stocks[&1] + 1);
    system.admin().get(&format!("/admins/1?minPosition={position}&wait=10000")).await.json(200);
    let mut stocks = rows.stocks.clone();
    *stocks.get_mut(&1).unwrap() += 1;
    assert_eq!(system.admin().shows(&stocks).await, Ok(()));
}

#[tokio::test]
async fn a_list_with_bad_rows_is_refused_as_a_whole_and_each_is_named_by_its_line() {
    let system = System::start().await;
    let rows = [
        "bookId,qty,version,name",
        "1,5,1.0,good",
        "2,none,1.0,",
        "0,5,1.0,",
        "3,1000001,1.0,",
        "4,5,1.001,",
        "5,5,1.0,\"over two\nlines\"",
        ",5,,",
        "6,5,1.0",
        "7,5,,good",
    ];
    let refused = receive(&system, &list(&system.place, "bad.csv", &rows.join("\n")), &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let named: Vec<u64> =
        refused.err.split("line ").skip(1).filter_map(|rest| rest.split(':').next()?.parse().ok()).collect();
    assert_eq!(named, [3, 4, 5, 6, 7, 9, 10], "{}", refused.err);
    system.gateway().get("/libraries/1").await.problem(404, "book-unknown");
}

#[tokio::test]
async fn a_list_that_is_none_is_refused_in_clear_words() {
    let system = System::start().await;
    for (name, text, word) in [
        ("no-qty.csv", "bookId,name\n1,A\n", "qty"),
        ("no-book.csv", "qty\n1\n", "bookId"),
        ("twice.csv", "bookId,qty,qty\n1,1,2\n", "qty"),
    ] {
        let refused = receive(&system, &list(&system.place, name, text), &[]).await;
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(refused.err.contains(word), "{name}: {refused:?}");
    }
    let missing = receive(&system, Path::new("missing.csv"), &[]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.err.contains("missing.csv"), "{missing:?}");
}

#[tokio::test]
async fn rows_that_the_library_refuses_are_written_to_a_file_of_their_own() {
    let system = System::start().await;
    let rows = "bookId,qty,name,version,shelf\n1,5,A,1.0,x\n2,6,\"B, or b\",1.0,y\n3,7,C,1.0,z\n";
    let path = list(&system.place, "delivery.csv", rows);
    let gateway = system.gateway();
    gateway.warehouse(2, 1).await.json(201);
    gateway.send(reqwest::Method::POST, "/books/2/renewals", &[], "").await.json(201);
    let partly = receive(&system, &path, &[]).await;
    assert_eq!(partly.code, Some(1), "{partly:?}");
    assert!(
        format!("{}{}", partly.out, partly.err).contains("shelf"),
        "what is ignored is not named: {partly:?}"
    );
    assert_eq!((partly.count("booked"), partly.count("refused")), (2, 1));
    let rejected = fs::read_to_string(system.place.path().join("delivery.rejected.csv")).unwrap();
    let mut rejected = csv::Reader::from_reader(rejected.as_bytes());
    let rejected: Vec<_> = rejected.records().map(Result::unwrap).collect();
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert!(rejected[0].iter().any(|field| field == "B, or b"), "{rejected:?}");
    for (book, stock) in [(1, 5), (2, 100), (3, 7)] {
        assert_eq!(gateway.get(&format!("/libraries/{book}")).await.json(200)["stock"], stock, "book {book}");
    }
}

#[tokio::test]
async fn a_book_that_cannot_be_read_ends_nothing_and_its_row_is_told_apart() {
    let system = System::start().await;
    let store = Kurrent::connect(system.address("eventStore"), Options::default()).unwrap();
    let event = NewEvent {
        id: uuid::Uuid::from_u128(1),
        event_type: "Lost".to_owned(),
        content_type: ContentType::Json,
        data: "{}".into(),
        metadata: "{}".into(),
    };
    store.append("book-2", Expected::NoStream, vec![event]).await.unwrap();
    let rows = "bookId,qty\n1,5\n2,6\n3,7\n2,8\n";
    let received = receive(&system, &list(&system.place, "delivery.csv", rows), &[]).await;
    assert_eq!(received.code, Some(1), "{received:?}");
    let counts = ["booked", "refused", "may be booked"].map(|what| received.count(what));
    assert_eq!(counts, [2, 0, 2], "{received:?}");
    assert!(received.err.contains("line 3: it may be booked or not"), "{received:?}");
    assert!(!system.place.path().join("delivery.rejected.csv").exists());
    assert_eq!(system.gateway().get("/libraries/3").await.json(200)["stock"], 7);
}

#[tokio::test]
async fn two_deliveries_with_the_same_rows_are_booked_twice_if_they_are_named_apart() {
    let system = System::start().await;
    let path = list(&system.place, "delivery.csv", "bookId,qty\n1,5\n");
    for (delivery, stock) in [("monday", 5), ("monday", 5), ("tuesday", 10)] {
        let received = receive(&system, &path, &["--delivery", delivery]).await;
        assert_eq!(received.code, Some(0), "{received:?}");
        assert_eq!(system.gateway().get("/libraries/1").await.json(200)["stock"], stock, "{delivery}");
    }
}
