//! The read models are rebuilt while they are written to and read: no query fails, none shows what was before, and the new
//! ones are what the log says.

use crate::cluster;
use crate::given::*;
use read_model::{BookId, Reader, ReaderOptions, book_stock};
use serde_json::json;

/// There are a hundred thousand events before, of so many books.
const BOOKS: u64 = 1_000;
const EVENTS_EACH: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_live_writes_fails_no_query_and_shows_no_old_data() {
    for mut run in campaign::runs("P4", 1) {
        let database = cluster::database(&format!("p4_{}", run.seed)).await;
        let mut library = Library::start();
        let first = library.warehouse_many(BOOKS, EVENTS_EACH).await;
        let projecting = Projecting::start(&library, &database);
        let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
        reader.wait_for(first, PATIENCE).await.unwrap();

        let (store, at) = (library.store.url(), database.clone());
        let rebuild = tokio::spawn(async move { replay(&store, Some(&at), &["rebuild", "--json"]).await });
        let mut last = vec![(0, 0); usize::try_from(BOOKS).unwrap()];
        // Every book is asked, and those that are being written to as well, as long as it takes.
        let mut asked = (1..=BOOKS).cycle();
        while !rebuild.is_finished() || last.contains(&(0, 0)) {
            let written = run.rng.u64(1..=BOOKS);
            library.warehouse(written, 1).await;
            for book in asked.by_ref().take(10).chain([written]) {
                let found = book_stock::by_id(&reader, BookId::try_from(book).unwrap()).await;
                let found = found.expect("no query fails");
                let stock = found.value.expect("the book stays known").stock;
                let last = &mut last[usize::try_from(book - 1).unwrap()];
                assert!(
                    (found.position, stock) >= *last,
                    "{book}: {} {stock} after {last:?}",
                    found.position
                );
                assert!(u64::from(stock) >= EVENTS_EACH, "book {book} has {stock}");
                *last = (found.position, stock);
            }
        }
        let rebuilt = rebuild.await.unwrap().json(0);
        assert_eq!((&rebuilt["outcome"], &rebuilt["compared"]["drift"]), (&json!("switched"), &json!([])));
        assert!(rebuilt["events"].as_u64() >= Some(BOOKS * EVENTS_EACH), "{rebuilt}");
        projecting.stop().await;
        let last = library.warehouse(1, 1).await;
        project(&library, &database, last).await;
        let verified = replay(&library.store.url(), Some(&database), &["verify", "--json"]).await.json(0);
        assert_eq!(verified["generation"], 2);
    }
}
