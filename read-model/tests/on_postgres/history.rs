//! What the history of the books tells, of now and of then.

use crate::given::*;
use read_model::book_history::{self, Movement, Stretch};
use read_model::past::{self, Moment};
use read_model::{Order, Reader, ReaderError, ReaderOptions, book_stock};
use std::time::{Duration, Instant};

#[tokio::test]
async fn every_movement_is_kept_with_the_book_after_it() {
    let url = read_models("every_movement").await;
    let mut writer = Writer::take(&url, "projector").await;
    let mut batch = happenings([
        warehoused(1, 123, "1.0", Some("해리 포터")),
        warehoused(2, 5, "1.0", None),
        renewed(1, "1.25"),
        corrected(1, -3),
    ]);
    batch[3].provenance.actor = Some("clerk\0".to_owned());
    batch[3].provenance.correlation_id = Some("request-7".to_owned());
    // Also when the movement before is in an earlier transaction.
    writer.apply(&batch[..3]).await.unwrap();
    writer.apply(&batch[3..]).await.unwrap();

    let reader = reader(&url);
    let last_first = Stretch { order: Order::Descending, after: None, until: None, size: 10 };
    let rows = book_history::of_book(&reader, book(1), &last_first).await.unwrap().value.rows;
    let told: Vec<_> = rows.iter().map(|row| (row.movement, row.qty, row.stock, row.revision)).collect();
    let expected = [
        (Movement::Corrected, Some(-3), 97, 2),
        (Movement::Renewed, Some(100), 100, 1),
        (Movement::Warehoused, Some(123), 123, 0),
    ];
    assert_eq!(told, expected);
    let corrected = &rows[0];
    assert_eq!(corrected.reason.as_ref().unwrap().as_str(), "miscounted");
    assert_eq!(corrected.actor.as_deref(), Some("clerk\u{fffd}"));
    assert_eq!(corrected.correlation_id.as_deref(), Some("request-7"));
    assert_eq!(corrected.name.as_ref().unwrap().as_str(), "해리 포터");
    assert_eq!((corrected.version.to_string(), corrected.occurred_at), ("1.25".to_owned(), at(2)));

    let next = Stretch { after: Some(corrected.position), size: 1, ..last_first };
    let older = book_history::of_book(&reader, book(1), &next).await.unwrap().value;
    assert_eq!(older.rows, rows[1..2]);
    assert!(older.next.is_some());
    let since = book_history::since(&reader, batch[1].position, 2).await.unwrap().value;
    assert_eq!(
        since.iter().map(|row| row.position).collect::<Vec<_>>(),
        [batch[2].position, batch[3].position]
    );
}

#[tokio::test]
async fn a_book_is_shown_as_it_was_at_a_position_or_a_time() {
    let url = read_models("as_it_was").await;
    let mut writer = Writer::take(&url, "projector").await;
    // A warehousing happens at second 0, a renewal at 1, a correction at 2.
    let batch = happenings([warehoused(1, 5, "1.0", None), renewed(1, "2.0"), corrected(1, 7)]);
    writer.apply(&batch).await.unwrap();
    let reader = reader(&url);
    let stock_at =
        async |moment| past::book(&reader, book(1), moment).await.unwrap().value.map(|row| row.stock);
    assert_eq!(stock_at(Moment::Position(9)).await, None);
    assert_eq!(stock_at(Moment::Position(10)).await, Some(5));
    assert_eq!(stock_at(Moment::Position(15)).await, Some(100));
    assert_eq!(stock_at(Moment::Position(u64::MAX)).await, Some(107));
    assert_eq!(stock_at(Moment::Time(domain::Timestamp::default())).await, None);
    assert_eq!(stock_at(Moment::Time(at(0))).await, Some(5));
    assert_eq!(stock_at(Moment::Time(at(1))).await, Some(100));
    assert_eq!(stock_at(Moment::Time(at(60))).await, Some(107));
}

#[tokio::test]
async fn the_whole_list_is_walked_as_it_was() {
    let url = read_models("whole_list_as_it_was").await;
    let mut writer = Writer::take(&url, "projector").await;
    let first = (1..=9).map(|number| warehoused(number, number, "1.0", None));
    let batch = happenings(first.chain((1..=12).map(|number| warehoused(number, 100, "1.0", None))));
    writer.apply(&batch).await.unwrap();
    let reader = reader(&url);
    let then = Moment::Position(batch[8].position);
    let (mut after, mut stocks) = (None, Vec::new());
    loop {
        let slice = past::books(&reader, then, after, 4).await.unwrap().value;
        stocks.extend(slice.rows.iter().map(|row| u64::from(row.stock)));
        after = slice.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(stocks, (1..=9).collect::<Vec<_>>());
}

/// More books than are looked at in one query, all of them unknown then.
const UNKNOWN_THEN: &str = "
    INSERT INTO rm_1.book_stock (book_id, search, version, stock, revision, position, occurred_at)
        SELECT number, '', 1.0, 1, 0, 10, now() FROM generate_series(2, 5001) AS number";

/// For queries, every book moves again between any two of them, and the position moves on.
const ALWAYS_MOVING: &str = "
    CREATE FUNCTION public.moving() RETURNS bigint LANGUAGE sql STABLE
        AS 'SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint';
    ALTER TABLE bookstock.projection RENAME TO told;
    CREATE VIEW bookstock.projection AS SELECT generation, fold_version,
        CASE current_setting('application_name') WHEN 'bookstock reader' THEN public.moving() ELSE position END AS position,
        event_id, epoch, owner, lease_until, refolds FROM bookstock.told;
    GRANT SELECT ON bookstock.projection TO bookstock_reader;
    ALTER TABLE rm_1.book_history RENAME TO told;
    CREATE VIEW rm_1.book_history AS SELECT * FROM rm_1.told UNION ALL
        SELECT public.moving(), book_id, movement, qty, version, stock + 1, name, reason, actor, correlation_id,
            revision + 1, occurred_at FROM rm_1.told;
    GRANT SELECT ON rm_1.book_history TO bookstock_reader";

#[tokio::test]
async fn a_list_of_a_past_time_is_of_one_position_however_many_queries_it_takes() {
    let url = read_models("past_of_one_position").await;
    let batch = happenings([warehoused(1, 5, "1.0", None), warehoused(6_000, 7, "1.0", None)]);
    Writer::take(&url, "projector").await.apply(&batch).await.unwrap();
    sql(&url, UNKNOWN_THEN).await;
    sql(&url, ALWAYS_MOVING).await;
    let reader = reader(&url);
    let deadline = Instant::now() + Duration::from_secs(60);
    // A machine that stands still for a moment has the list in parts: then it is asked for again.
    let (at, slice) = loop {
        let found = past::books(&reader, Moment::Time(at(60)), None, 10).await.unwrap();
        if found.value.next.is_none() {
            break found.split();
        }
        assert!(Instant::now() < deadline, "{found:?}");
    };
    // The first query saw the first book move. That the other did too is later than what it saw.
    let told: Vec<_> = slice.rows.iter().map(|row| (row.book_id, row.stock, row.position)).collect();
    assert_eq!(told, [(book(1), 6, at.position), (book(6_000), 7, batch[1].position)]);
}

#[tokio::test]
async fn of_tables_that_an_older_version_made_history_is_not_promised_for_later() {
    let url = read_models("older_version").await;
    sql(&url, "UPDATE bookstock.projection SET fold_version = 2; DROP TABLE rm_1.book_history").await;
    let reader = reader(&url);
    let stretch = Stretch { order: Order::Descending, after: None, until: None, size: 10 };
    let error = book_history::of_book(&reader, book(1), &stretch).await.unwrap_err();
    assert!(matches!(error, ReaderError::OtherVersion { generation: 1, theirs: 2, .. }), "{error}");
    assert!(error.to_string().contains("replay rebuild"), "{error}");
    // What the older version has is still answered.
    reader.ping().await.unwrap();

    sql(&url, "ALTER TABLE rm_1.book_stock DROP COLUMN name").await;
    let another = Reader::new(&url, ReaderOptions::default()).unwrap();
    let error = book_stock::by_id(&another, book(1)).await.unwrap_err();
    assert!(matches!(error, ReaderError::OtherVersion { theirs: 2, .. }), "{error}");
}
