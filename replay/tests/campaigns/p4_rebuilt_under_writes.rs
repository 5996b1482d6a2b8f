//! The read models are rebuilt while they are written to and read: no query fails, none shows what was before, and the new
//! ones are what the log says.

use crate::cluster;
use crate::given::*;
use read_model::{BookId, Reader, ReaderOptions, book_stock};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_live_writes_fails_no_query_and_shows_no_old_data() {
    for mut run in campaign::runs("P4", 2) {
        let database = cluster::database(&format!("p4_{}", run.seed)).await;
        let mut library = Library::start();
        let (books, times) = (run.rng.u64(2..=1_000), run.rng.u64(1..=100));
        let first = library.warehouse_many(books, times).await;
        let projecting = Projecting::start(&library, &database);
        let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
        reader.wait_for(first, PATIENCE).await.unwrap();

        let (store, at) = (library.store.url(), database.clone());
        let rebuild = tokio::spawn(async move { replay(&store, Some(&at), &["rebuild", "--json"]).await });
        let (mut last, mut queries, mut writes) = ((0, 0), 0, 0);
        while !rebuild.is_finished() || writes == 0 {
            library.warehouse(run.rng.u64(1..=2), 1).await;
            writes += 1;
            let book = BookId::try_from(1).unwrap();
            let books = book_stock::by_id(&reader, book).await.expect("no query fails");
            let stock = books.value.expect("the book stays known").stock;
            assert!((books.position, stock) >= last, "{} {stock} after {last:?}", books.position);
            last = (books.position, stock);
            queries += 1;
        }
        let rebuilt = rebuild.await.unwrap().json(0);
        assert_eq!((&rebuilt["outcome"], &rebuilt["compared"]["drift"]), (&json!("switched"), &json!([])));
        assert!(queries > 0, "nobody asked");
        projecting.stop().await;
        let last = library.warehouse(1, 1).await;
        project(&library, &database, last).await;
        let verified = replay(&library.store.url(), Some(&database), &["verify", "--json"]).await.json(0);
        assert_eq!(verified["generation"], 2);
    }
}
