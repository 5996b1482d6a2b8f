//! The indexes that come with size.

use crate::given::*;
use read_model::lease::{Lease, LeaseError};
use read_model::sorting::{is_due, make};
use std::time::Duration;

/// How many indexes each table of the lists has.
async fn indexes(url: &str) -> Vec<i64> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'rm_1' AND tablename = $1";
    let mut found = Vec::new();
    for table in ["book_stock", "admin_list"] {
        found.push(client.query_one(sql, &[&table]).await.unwrap().get(0));
    }
    found
}

#[tokio::test]
async fn the_indexes_that_lists_are_sorted_by_come_once_with_the_books() {
    let url = read_models("sorting_comes").await;
    let mut writer = Writer::take(&url, "projector").await;
    writer.apply(&happenings([warehoused(1, 5, "1.0", None), warehoused(2, 6, "1.0", None)])).await.unwrap();
    assert!(!is_due(&writer.connection, 1, 2).await.unwrap());
    assert!(is_due(&writer.connection, 1, 1).await.unwrap());
    assert_eq!(indexes(&url).await, [1, 1]);
    let before = rows(&url).await;

    make(&mut writer.connection, &writer.lease, VIEWS).await.unwrap();
    assert_eq!(indexes(&url).await, [5, 5]);
    assert!(!is_due(&writer.connection, 1, 1).await.unwrap());
    assert_eq!(rows(&url).await, before);
    let more = happenings([warehoused(1, 5, "1.0", None), warehoused(2, 6, "1.0", None), renewed(2, "3.0")]);
    writer.apply(&more).await.unwrap();
    assert_eq!(rows(&url).await.0[1].stock, 100);
}

#[tokio::test]
async fn who_lost_the_lease_makes_no_index() {
    let url = read_models("sorting_fenced").await;
    let mut paused = Writer::take(&url, "paused").await;
    paused.apply(&happenings([warehoused(1, 5, "1.0", None)])).await.unwrap();
    sql(&url, "UPDATE bookstock.projection SET lease_until = now() - interval '1 s'").await;
    let next = Lease::take(&connect(&url).await, 1, "next", Duration::from_secs(60)).await.unwrap();
    assert!(next.is_some());
    let refused = make(&mut paused.connection, &paused.lease, VIEWS).await;
    assert!(matches!(refused, Err(LeaseError::Lost)), "{refused:?}");
    assert_eq!(indexes(&url).await, [1, 1]);
}
