//! How much of the store is read to decide a command, as the command side itself counts it.

use crate::program::Program;
use crate::support::{Replica, Store};
use event_store::{ContentType, EventStore as _, Expected, NewEvent};

const READ: &str = "command_events_read_total";
const FROM_MEMORY: &str = r#"command_loads_total{from="memory"}"#;
const FROM_STORE: &str = r#"command_loads_total{from="store"}"#;

/// A list of one copy for each of these books.
fn list(books: impl Iterator<Item = u64>) -> String {
    books.map(|book| format!("{{\"bookId\":{book},\"qty\":1}}\n")).collect()
}

/// Books a list, each row of which leads to this stock.
async fn book(program: &Program, books: impl Iterator<Item = u64>, stock: u64) {
    let answer = program.send_list(list(books)).await;
    let wanted = format!("\"stock\":{stock},");
    for line in answer.text.lines() {
        assert!(line.contains("\"status\":201") && line.contains(&wanted), "{line}");
    }
}

#[tokio::test]
async fn a_cold_book_is_loaded_from_its_last_event_and_a_warm_one_from_nothing() {
    let store = Store::start().await;
    Replica::start(&store).await.send_list(list((0..50).map(|_| 1))).await;
    let program = Program::start(&store, &[]).await;
    assert_eq!(program.warehouse(1, 1).await.ok(201)["stock"], 51);
    assert_eq!(program.metric(READ).await, 1);
    for more in 1..=20 {
        assert_eq!(program.warehouse(1, 1).await.ok(201)["stock"], 51 + more);
    }
    assert_eq!(program.metric(READ).await, 1);
    assert_eq!((program.metric(FROM_STORE).await, program.metric(FROM_MEMORY).await), (1, 20));
}

#[tokio::test]
async fn a_cold_book_whose_last_event_does_not_tell_the_state_is_folded_from_its_first() {
    let store = Store::start().await;
    for (revision, metadata) in
        ["{}", "{}", r#"{"after":{"name":null,"version":1.0,"stock":15}}"#, r#"{"after":7}"#]
            .into_iter()
            .enumerate()
    {
        let data =
            r#"{"bookId":1,"qty":5,"version":1.0,"name":null,"occurredAt":"2021-02-24T11:31:46.500000Z"}"#;
        let event = NewEvent {
            id: uuid::Uuid::from_u128(revision as u128 + 1),
            event_type: "Warehoused".to_owned(),
            content_type: ContentType::Json,
            data: data.into(),
            metadata: metadata.into(),
        };
        let expected = match revision {
            0 => Expected::NoStream,
            _ => Expected::Revision(revision as u64 - 1),
        };
        store.client().append("book-1", expected, vec![event]).await.unwrap();
        // Each time it is as cold as at first.
        let program = Program::start(&store, &[]).await;
        assert_eq!(program.stock(1).await, 5 * (revision + 1));
        let (read, events) = (program.metric(READ).await, revision as u64 + 1);
        if metadata.contains("stock") {
            assert_eq!(read, 1);
        } else {
            assert!(read > events, "{read} events were read of {events}");
        }
    }
}

#[tokio::test]
async fn after_a_conflict_only_the_events_that_caused_it_are_read() {
    let store = Store::start().await;
    let (other, program) = (Replica::start(&store).await, Program::start(&store, &[]).await);
    program.send_list(list((0..50).map(|_| 1))).await;
    let before = program.metric(READ).await;
    for _ in 0..3 {
        other.warehouse(1, 10).await.ok(201);
    }
    assert_eq!(program.warehouse(1, 1).await.ok(201)["stock"], 81);
    assert_eq!(program.metric("command_conflicts_total").await, 1);
    assert_eq!(program.metric(READ).await - before, 3);
}

#[tokio::test]
async fn books_that_the_memory_has_no_room_for_are_forgotten_and_read_again() {
    const BOOKS: u64 = 12_000;
    let store = Store::start().await;
    let program = Program::start(&store, &["--book-cache-mib", "1"]).await;
    book(&program, 1..=BOOKS, 1).await;
    // In the same order, each book has made room for others by the time that it comes again.
    let before = program.metric(FROM_STORE).await;
    book(&program, 1..=BOOKS, 2).await;
    assert_eq!(program.metric(FROM_STORE).await - before, BOOKS);
    // Those that came last are still there.
    let before = (program.metric(FROM_STORE).await, program.metric(FROM_MEMORY).await);
    book(&program, BOOKS - 999..=BOOKS, 3).await;
    assert_eq!(program.metric(FROM_STORE).await, before.0);
    assert_eq!(program.metric(FROM_MEMORY).await - before.1, 1_000);
}
