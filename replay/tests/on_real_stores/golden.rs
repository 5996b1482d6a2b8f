//! What users of other systems met, with the place where they tell of it. It does not happen here. The others are in
//! `projector/tests/on_real_stores/golden.rs`.

use crate::given::*;
use event_store::{Direction, EventStore as _, Start};
use serde_json::json;

/// Messages were published once more during a rebuild: <https://github.com/JasperFx/marten/issues/4729>. A view here can
/// do nothing but make rows, so all that a rebuild leaves behind is rows, and whoever serves does not even notice.
#[tokio::test(flavor = "multi_thread")]
async fn side_effects_in_a_rebuild_there_are_none_but_rows_of_its_own() {
    let (mut library, database) = projected("side_effects").await;
    let position = library.scribble(2).await;
    project(&library, &database, position).await;
    let client = connect(&database).await;
    // A row's xmin is the transaction that wrote it last.
    let rows = "SELECT (SELECT string_agg(concat_ws(' ', xmin, ctid, b), ',' ORDER BY book_id) FROM rm_1.book_stock b),
        (SELECT string_agg(concat_ws(' ', xmin, ctid, h), ',' ORDER BY position) FROM rm_1.book_history h),
        (SELECT string_agg(concat_ws(' ', xmin, ctid, p), ',') FROM bookstock.parked p WHERE generation = 1)";
    let rows = async || {
        let row = client.query_one(rows, &[]).await.unwrap();
        [0, 1, 2].map(|column| row.get::<_, String>(column))
    };
    let log = async || library.client.read_all(Start::Beginning, Direction::Forwards, 1_000).await.unwrap();
    let before = (rows().await, log().await);

    for arguments in [&["verify", "--json"][..], &["rebuild", "--dry-run", "--json"], &["rebuild", "--json"]]
    {
        replay(&library.store.url(), Some(&database), arguments).await.json(0);
        assert_eq!(rows().await, before.0, "{arguments:?}");
        assert_eq!(log().await, before.1, "{arguments:?}");
    }
    let kept = replay(&library.store.url(), Some(&database), &["generations", "--json"]).await.json(0);
    assert_eq!(kept["generations"].as_array().unwrap().len(), 2, "{kept}");
    assert_eq!(kept["generations"][1]["serves"], json!(true));
}
