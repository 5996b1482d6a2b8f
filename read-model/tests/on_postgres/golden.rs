//! What users of other systems met, with the place where they tell of it. It does not happen here. The others are in
//! `projector/tests/on_real_stores/golden.rs`.

use crate::given::*;
use read_model::book_stock;
use std::time::Duration;

/// Whoever waited for a NOTIFY that was lost waited for ever: <https://github.com/pyeventsourcing/eventsourcing/issues/305>.
/// Here a timer finds what no NOTIFY told.
#[tokio::test]
async fn lost_notify_what_nobody_told_is_found_and_shown_all_the_same() {
    let url = read_models("lost_notify").await;
    let reader = reader(&url);
    reader.ping().await.unwrap();
    for position in [7, 8, 9] {
        sql(
            &url,
            &format!(
                "BEGIN;
                 UPDATE bookstock.projection SET position = {position}, event_id = gen_random_uuid();
                 INSERT INTO rm_1.book_stock (book_id, search, version, stock, revision, position, occurred_at)
                 VALUES ({position}, '', 1.0, 5, 0, {position}, now());
                 INSERT INTO rm_1.book_history (position, book_id, movement, version, stock, revision, occurred_at)
                 VALUES ({position}, {position}, 'Warehoused', 1.0, 5, 0, now());
                 COMMIT"
            ),
        )
        .await;
        reader.wait_for(position, Duration::from_secs(60)).await.unwrap();
        let found = book_stock::by_id(&reader, book(position)).await.unwrap();
        assert_eq!(found.value.unwrap().stock, 5);
    }
}
