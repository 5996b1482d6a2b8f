//! What cannot be applied is never skipped: its stream waits, and all others go on.

use crate::cluster;
use crate::given::*;
use crate::store::Store;
use read_model::Database;
use read_model::lease::WRITER_SETTINGS;
use read_model::parked::{self, Parked};

async fn connection(url: &str) -> read_model::database::Connection {
    let database: Database = url.parse().unwrap();
    database.connect("test", WRITER_SETTINGS).await.unwrap()
}

async fn all_parked(url: &str) -> Vec<Parked> {
    parked::list(&connection(url).await).await.unwrap()
}

/// Twenty kinds of events that nobody can apply.
fn poison(book: u64) -> Vec<(String, Vec<u8>)> {
    let good =
        format!(r#"{{"bookId":{book},"version":2.0,"stock":100,"occurredAt":"2021-02-24T11:33:40Z"}}"#);
    let with = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let named = |name: &str| (name.to_owned(), good.clone().into_bytes());
    let renewed = |data: Vec<u8>| ("Renewed".to_owned(), data);
    vec![
        named("Shredded"),
        named("renewed"),
        named("Renewed.v2"),
        ("Warehoused".to_owned(), good.clone().into_bytes()),
        renewed(b"{}".to_vec()),
        renewed(b"true".to_vec()),
        renewed(b"null".to_vec()),
        renewed(b"[]".to_vec()),
        renewed(b"7".to_vec()),
        renewed(b"\"Renewed\"".to_vec()),
        renewed(with("100", "-1")),
        renewed(with("100", "1e999")),
        renewed(with("100", "\"100\"")),
        renewed(with("100", "18446744073709551616")),
        renewed(with("2.0", "0")),
        renewed(with("2.0", "1.005")),
        renewed(with("2021-02-24T11:33:40Z", "yesterday")),
        renewed(with("\"stock\":100,", "")),
        renewed(with(&format!("\"bookId\":{book}"), "\"bookId\":0")),
        renewed(with(&format!("\"bookId\":{book}"), "\"bookId\":999")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_stream_waits_there_and_all_others_flow() {
    let (store, url) = (Store::start(), cluster::database("poisoned").await);
    let kinds = poison(1).len() as u64;
    assert_eq!(kinds, 20);
    for book in 1..=kinds {
        warehouse(&store, book, &[5]).await;
        let event = poison(book).swap_remove(usize::try_from(book - 1).unwrap());
        store.append(&format!("book-{book}"), vec![event]).await;
        warehouse(&store, book, &[7]).await;
    }
    let last = warehouse(&store, 100, &[1, 2, 3]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();

    let expected: Vec<(u64, u32)> = (1..=kinds).map(|book| (book, 5)).chain([(100, 6)]).collect();
    assert_eq!(stocks(&reader).await, expected);
    let parked = all_parked(&url).await;
    let places: Vec<_> = parked.iter().map(|one| (one.book_id.get(), one.revision, one.later)).collect();
    assert_eq!(places, (1..=kinds).map(|book| (book, 1, 1)).collect::<Vec<_>>());
    assert!(parked.iter().all(|one| one.reason.starts_with("event 1 ")), "{parked:?}");
    until("it is ready", async || projector.is_ready().await).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_goes_on_when_its_unreadable_event_is_skipped() {
    let (store, url) = (Store::start(), cluster::database("skipped").await);
    warehouse(&store, 1, &[5]).await;
    store.append("book-1", vec![("Shredded".to_owned(), b"{}".to_vec())]).await;
    let last = warehouse(&store, 1, &[7]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it is parked", async || all_parked(&url).await.len() == 1).await;

    // Asking alone changes nothing.
    assert_eq!(parked::ask_retry(&connection(&url).await, 1u64.try_into().unwrap()).await.unwrap(), 1);
    until("it was tried again", async || all_parked(&url).await.iter().all(|one| !one.retry)).await;
    assert_eq!(stocks(&reader).await, [(1, 5)]);

    skip(&store, 1, 1).await;
    until("it goes on", async || stocks(&reader).await == [(1, 12)]).await;
    assert_eq!(all_parked(&url).await, []);
    let last = warehouse(&store, 1, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(stocks(&reader).await, [(1, 13)]);

    // Also an event that this projector has applied.
    skip(&store, 1, 2).await;
    until("it is folded anew", async || stocks(&reader).await == [(1, 6)]).await;
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_gap_is_read_again_and_heals_or_waits() {
    let (store, url) = (Store::start(), cluster::database("gap").await);
    let last = warehouse(&store, 1, &[5, 6]).await;
    let projector = Running::start(&store, &url);
    let reader = reader(&url);
    reader.wait_for(last, PATIENCE).await.unwrap();
    projector.stop().await;
    // As if an event had been left out before: a checkpoint ahead of the views.
    let (client, wire) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    client
        .batch_execute(
            "UPDATE rm_1.streams SET revision = 0; UPDATE rm_1.book_stock SET stock = 5, revision = 0;
             UPDATE rm_1.admin_list SET book_stock = 5, revision = 0; DELETE FROM rm_1.book_history WHERE revision = 1",
        )
        .await
        .unwrap();

    let projector = Running::start(&store, &url);
    let last = warehouse(&store, 1, &[7]).await;
    warehouse(&store, 2, &[1]).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    until("it is healed", async || stocks(&reader).await == [(1, 18), (2, 1)]).await;
    assert_eq!(all_parked(&url).await, []);
    projector.stop().await;
}
