//! One owner writes; any other is fenced off.

use crate::given::*;
use read_model::batch::ApplyError;
use read_model::lease::{HANDED_BACK, Lease, LeaseError};
use read_model::refold::Refold;
use read_model::{Lag, Projection, Reader};
use std::time::{Duration, Instant};

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

/// Such as one who folds a long stream anew, in one transaction: its lease is as old as that.
#[tokio::test]
async fn whoever_is_writing_is_not_waited_for_by_who_stands_by() {
    let url = read_models("is_writing").await;
    let standby = connect(&url).await;
    let writing = client(&url).await;
    let row = "UPDATE bookstock.projection SET owner = 'writer', lease_until = now() - interval '1 second'";
    writing.batch_execute(&format!("{row}; BEGIN; {row}")).await.unwrap();
    assert!(Lease::take(&standby, 1, "standby", TERM).await.unwrap().is_none());
    writing.batch_execute("COMMIT").await.unwrap();
    assert!(Lease::take(&standby, 1, "standby", TERM).await.unwrap().is_some());
}

#[tokio::test]
async fn a_fold_that_took_longer_than_its_lease_lasted_ends_with_a_new_one() {
    let url = read_models("longer_than_its_lease").await;
    let (mut connection, looking) = (connect(&url).await, client(&url).await);
    let taken = Lease::take(&connection, 1, "owner", Duration::from_millis(1)).await.unwrap();
    let (lease, checkpoint) = taken.expect("nobody else holds the lease");
    let fold = Refold::begin(&mut connection, &lease, checkpoint, book(1), VIEWS).await.unwrap();
    let later = "SELECT clock_timestamp()::text FROM pg_sleep(0.01)";
    let before_its_end: String = looking.query_one(later, &[]).await.unwrap().get(0);
    fold.commit(None).await.unwrap();
    let renewed = format!("SELECT lease_until > '{before_its_end}' FROM bookstock.projection");
    assert!(looking.query_one(&renewed, &[]).await.unwrap().get::<_, bool>(0));
}

/// Waits until a reader is told this of the projection.
async fn told(reader: &Reader, what: &str, is_so: impl Fn(&Projection) -> bool) -> Projection {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let projection = reader.projection();
        match projection.filter(&is_so) {
            Some(projection) => return projection,
            None => assert!(Instant::now() < deadline, "{what} is not told, but {projection:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn readers_are_told_who_writes_and_how_late_it_is_as_long_as_the_lease_lasts() {
    let url = read_models("told").await;
    let reader = reader(&url);
    let nobody = told(&reader, "that nobody writes", |it| !it.running).await;
    assert_eq!((nobody.since, nobody.lag), (None, None));

    let owner = Writer::take(&url, "owner").await;
    let begun = told(&reader, "that somebody writes", |it| it.running).await;
    assert!(begun.since.is_some());
    assert_eq!(begun.lag, None, "it has not said yet how late it is");
    let late = Lag { behind: Duration::from_millis(90_500), events: Some(7) };
    owner.lease.renew(&owner.connection, Some(late)).await.unwrap();
    let renewed = told(&reader, "how late it is", |it| it.lag == Some(late)).await;
    assert_eq!(renewed.since, begun.since);
    owner.lease.renew(&owner.connection, None).await.unwrap();
    told(&reader, "that it does not know how late it is", |it| it.running && it.lag.is_none()).await;

    owner.lease.renew(&owner.connection, Some(late)).await.unwrap();
    sql(&url, "UPDATE bookstock.projection SET lease_until = now() - interval '1 second'").await;
    let dead = told(&reader, "that nobody writes any more", |it| !it.running).await;
    assert_eq!(dead.lag, None);
    let heir = Writer::take(&url, "heir").await;
    let inherited = told(&reader, "that another writes", |it| it.running).await;
    assert!(inherited.since > dead.since, "{inherited:?} after {dead:?}");
    assert_eq!(inherited.lag, None, "that was the other's word");
    heir.lease.hand_back(&heir.connection).await.unwrap();
    let over = told(&reader, "that it was handed back", |it| !it.running).await;
    assert!(over.since > inherited.since, "{over:?} after {inherited:?}");
}

/// An owner of an earlier version renews its lease and says no more.
#[tokio::test]
async fn what_an_owner_said_holds_no_longer_than_its_lease_did_then() {
    let url = read_models("told_before").await;
    let reader = reader(&url);
    let owner = Writer::take(&url, "owner").await;
    let late = Lag { behind: Duration::from_secs(9), events: None };
    owner.lease.renew(&owner.connection, Some(late)).await.unwrap();
    told(&reader, "how late it is", |it| it.lag == Some(late)).await;
    sql(&url, "UPDATE bookstock.projection SET behind_until = now() - interval '1 second'").await;
    told(&reader, "that nobody knows any more", |it| it.running && it.lag.is_none()).await;
}
