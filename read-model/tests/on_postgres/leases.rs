//! One owner writes; any other is fenced off.

use crate::given::*;
use read_model::batch::ApplyError;
use read_model::lease::{HANDED_BACK, Lease, LeaseError};
use std::time::Duration;

#[tokio::test]
async fn a_lease_has_one_owner() {
    let url = read_models("one_owner").await;
    let first = Writer::take(&url, "first").await;
    assert!(Lease::take(&first.connection, 1, "second", TERM).await.unwrap().is_none());
    let again = Writer::take(&url, "first").await;
    assert_eq!(again.lease.epoch, first.lease.epoch + 1);
}

#[tokio::test]
async fn a_lease_that_was_handed_back_is_taken_at_once() {
    let url = read_models("handed_back").await;
    let first = Writer::take(&url, "first").await;
    let standby = connect(&url).await;
    standby.listen(HANDED_BACK).await.unwrap();
    assert!(Lease::take(&standby, 1, "second", TERM).await.unwrap().is_none());
    first.lease.hand_back(&first.connection).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), standby.notified()).await.expect("it is made known");
    assert!(Lease::take(&standby, 1, "second", TERM).await.unwrap().is_some());
}

#[tokio::test]
async fn an_owner_that_slept_past_its_lease_writes_nothing() {
    let url = read_models("slept").await;
    let batch = happenings((1..=3).map(|qty| warehoused(1, qty, "1.0", None)));
    let mut sleeper = Writer::take(&url, "sleeper").await;
    sleeper.apply(&batch[..1]).await.unwrap();
    sql(&url, "UPDATE bookstock.projection SET lease_until = now() - interval '1 second'").await;

    let mut heir = Writer::take(&url, "heir").await;
    assert_eq!(heir.checkpoint, sleeper.checkpoint);
    assert!(matches!(sleeper.apply(&batch[1..2]).await, Err(ApplyError::Fenced)));
    assert!(matches!(sleeper.lease.renew(&sleeper.connection, None).await, Err(LeaseError::Lost)));

    heir.apply(&batch[1..]).await.unwrap();
    assert!(matches!(sleeper.apply(&batch[1..2]).await, Err(ApplyError::Fenced)));
    sleeper.lease.clone().hand_back(&sleeper.connection).await.unwrap();
    heir.lease.renew(&heir.connection, None).await.unwrap();
    assert_eq!(rows(&url).await.0[0].stock, 6);
}

#[tokio::test]
async fn an_owner_whose_checkpoint_is_not_the_tables_writes_nothing() {
    let url = read_models("not_the_tables").await;
    let batch = happenings((1..=2).map(|qty| warehoused(1, qty, "1.0", None)));
    let mut writer = Writer::take(&url, "projector").await;
    let from = writer.checkpoint;
    writer.apply(&batch[..1]).await.unwrap();
    writer.checkpoint = from;
    assert!(matches!(writer.apply(&batch[1..]).await, Err(ApplyError::Fenced)));
    assert_eq!(rows(&url).await.0[0].stock, 1);
}

#[tokio::test]
async fn an_expired_lease_can_be_renewed_until_another_owner_takes_it() {
    let url = read_models("expired").await;
    let owner = Writer::take(&url, "owner").await;
    sql(&url, "UPDATE bookstock.projection SET lease_until = now() - interval '1 second'").await;
    owner.lease.renew(&owner.connection, None).await.unwrap();
    assert!(Lease::take(&owner.connection, 1, "other", TERM).await.unwrap().is_none());
}
