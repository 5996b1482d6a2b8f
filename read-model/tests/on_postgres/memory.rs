//! What is answered from memory is what PostgreSQL would have answered.

use crate::given::*;
use domain::book::BookEvent;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use read_model::{
    Column, Filter, ListRequest, Order, Page, Place, Reader, ReaderOptions, Since, State, Words, admin_list,
    book_stock,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(20);

const NAMES: [&str; 8] = ["해리 포터", "해리포터 2", "Harry", "harry potter", "나", "각", "B", "\u{10FFFF}"];

/// A reader that holds all books, and one that holds none.
async fn readers(url: &str, position: u64) -> (Reader, Reader) {
    let with = |memory_books| ReaderOptions { memory_books, ..ReaderOptions::default() };
    let memory = Reader::new(url, with(200_000)).unwrap();
    let database = Reader::new(url, with(0)).unwrap();
    for reader in [&memory, &database] {
        assert!(reader.wait_for_change(State::default()).await);
        reader.wait_for(position, PATIENCE).await.unwrap();
    }
    assert!(memory.standing().unwrap().value.whole);
    (memory, database)
}

fn event() -> impl Strategy<Value = BookEvent> {
    let name = proptest::option::of(prop::sample::select(&NAMES[..]));
    prop_oneof![
        3 => (1u64..60, 1u64..9, name).prop_map(|(book, qty, name)| warehoused(book, qty, "1.0", name)),
        1 => (1u64..60, 2u32..4).prop_map(|(book, version)| renewed(book, &format!("{version}.25"))),
    ]
}

fn request() -> impl Strategy<Value = ListRequest> {
    let words = prop::sample::select(vec!["해리", "ㅎㄹ", "HARRY", "포 터", "7", "b", "없다", " "]);
    let since = prop_oneof![
        (0u64..300).prop_map(Since::Position),
        (0u64..3).prop_map(|second| Since::Time(at(second))),
    ];
    let filter = (
        proptest::option::weighted(0.3, words),
        proptest::option::weighted(0.3, 0u32..30),
        proptest::option::weighted(0.3, 0u32..150),
        proptest::option::weighted(0.2, prop::sample::select(vec!["1.0", "2.25", "3.25"])),
        proptest::option::weighted(0.3, since),
    );
    let filter = filter.prop_map(|(words, min_stock, max_stock, version, changed_since)| Filter {
        words: words.and_then(Words::typed),
        min_stock,
        max_stock,
        version: version.map(|version| version.parse().unwrap()),
        changed_since,
    });
    let column = prop::sample::select(vec![
        Column::BookId,
        Column::Name,
        Column::Version,
        Column::Stock,
        Column::Position,
    ]);
    let order = prop::sample::select(vec![Order::Ascending, Order::Descending]);
    let sort = prop::collection::vec((column, order), 0..4);
    (filter, sort, 0u64..4, 1u32..20).prop_map(|(filter, sort, page, size)| ListRequest {
        filter,
        sort,
        place: Place::Page(page),
        size,
    })
}

/// All parts of a walk, one after the other.
async fn walk(reader: &Reader, request: &ListRequest) -> Vec<Page<book_stock::Row>> {
    let mut place = Place::Beginning;
    let mut parts = Vec::new();
    loop {
        let part = ListRequest { place, ..request.clone() };
        let page = book_stock::list(reader, &part).await.unwrap().value;
        let next = page.next.clone();
        parts.push(page);
        match next {
            Some(mark) => place = Place::After(mark),
            None => return parts,
        }
    }
}

async fn all(reader: &Reader, request: &ListRequest) -> Vec<book_stock::Row> {
    let mut rows = book_stock::whole(reader, request).await.unwrap().value;
    let mut all = Vec::new();
    while let Some(part) = rows.next().await {
        all.extend(part.unwrap());
    }
    all
}

async fn compare(memory: &Reader, database: &Reader, mut request: ListRequest) {
    let (ours, theirs) =
        tokio::join!(book_stock::list(memory, &request), book_stock::list(database, &request));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.value, theirs.value, "{request:?}");
    assert_eq!((ours.position, ours.generation), (theirs.position, theirs.generation));
    let (ours, theirs) =
        tokio::join!(admin_list::list(memory, &request), admin_list::list(database, &request));
    assert_eq!(ours.unwrap().value, theirs.unwrap().value, "{request:?}");
    let whole = all(memory, &request).await;
    assert_eq!(whole, all(database, &request).await, "{request:?}");
    request.sort.truncate(1);
    let ours = walk(memory, &request).await;
    assert_eq!(ours, walk(database, &request).await, "{request:?}");
    let walked: Vec<_> = ours.into_iter().flat_map(|page| page.rows).collect();
    assert_eq!(walked, all(memory, &request).await, "{request:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_list_from_memory_equals_the_one_from_the_database() {
    let url = read_models("memory_lists").await;
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let cases = (prop::collection::vec(event(), 1..120), prop::collection::vec(request(), 12));
        TestRunner::new(config).run(&cases, |(events, requests)| {
            runtime.block_on(async {
                clear(&url).await;
                let mut writer = Writer::take(&url, "projector").await;
                // The readers see some of it as it is loaded, and the rest as it comes.
                let batch = happenings(events);
                let (first, rest) = batch.split_at(batch.len() / 2);
                writer.apply(first).await.unwrap();
                let (memory, database) = readers(&url, first.last().map_or(0, |last| last.position)).await;
                for part in rest.chunks(7) {
                    writer.apply(part).await.unwrap();
                }
                let position = batch.last().unwrap().position;
                memory.wait_for(position, PATIENCE).await.unwrap();
                database.wait_for(position, PATIENCE).await.unwrap();
                for request in requests {
                    compare(&memory, &database, request).await;
                }
                assert!(memory.standing().unwrap().value.whole);
                assert!(!database.standing().unwrap().value.whole);
            });
            Ok(())
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
}

#[tokio::test]
async fn of_too_many_books_those_that_changed_last_are_held_and_every_answer_is_right() {
    let url = read_models("memory_many").await;
    let mut writer = Writer::take(&url, "projector").await;
    let options = ReaderOptions { memory_books: 40, ..ReaderOptions::default() };
    let reader = Reader::new(&url, options).unwrap();
    let mut qty: BTreeMap<u64, u64> = BTreeMap::new();
    let events: Vec<_> = (0..400u64).map(|step| (1 + step * step % 131, 1 + step % 9)).collect();
    let batch = happenings(events.iter().map(|(number, qty)| warehoused(*number, *qty, "1.0", None)));
    for (happenings, events) in batch.chunks(10).zip(events.chunks(10)) {
        writer.apply(happenings).await.unwrap();
        for (number, more) in events {
            *qty.entry(*number).or_default() += *more;
        }
        reader.wait_for(writer.checkpoint.position, PATIENCE).await.unwrap();
        for (number, stock) in &qty {
            let found = book_stock::by_id(&reader, book(*number)).await.unwrap();
            assert_eq!(u64::from(found.value.unwrap().stock), *stock, "book {number}");
            assert!(found.position >= writer.checkpoint.position);
        }
        assert_eq!(book_stock::by_id(&reader, book(999)).await.unwrap().value, None);
    }
    let standing = reader.standing().unwrap().value;
    assert!(!standing.whole && standing.books <= 40, "{standing:?}");
}

#[tokio::test]
async fn a_database_that_lost_its_last_moments_is_believed() {
    let url = read_models("memory_lost").await;
    let mut writer = Writer::take(&url, "projector").await;
    let batch = happenings((1..=4).map(|qty| warehoused(1, qty, "1.0", None)));
    writer.apply(&batch[..2]).await.unwrap();
    let reader = reader(&url);
    reader.wait_for(13, PATIENCE).await.unwrap();
    clear(&url).await;
    assert!(reader.wait_for_change(State { generation: 1, refolds: 0, position: 13 }).await);
    assert_eq!(book_stock::by_id(&reader, book(1)).await.unwrap().value, None);
    let mut writer = Writer::take(&url, "projector").await;
    writer.apply(&batch).await.unwrap();
    reader.wait_for(19, PATIENCE).await.unwrap();
    let found = book_stock::by_id(&reader, book(1)).await.unwrap();
    assert_eq!((found.value.unwrap().stock, found.position), (10, 19));
}

/// Takes everything back, as a database that lost its last moments would, if these were all there were.
async fn clear(url: &str) {
    sql(
        url,
        "TRUNCATE rm_1.streams, rm_1.book_stock, rm_1.admin_list, rm_1.book_history;
         UPDATE bookstock.projection SET position = 0, event_id = NULL",
    )
    .await;
}
