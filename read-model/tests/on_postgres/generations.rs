//! A next generation is built beside the one that serves, and serving goes to it and back.

use crate::given::*;
use read_model::database::Connection;
use read_model::generation::{
    self, BeginError, FOLD_VERSION, KeptError, Kind, Stage, SwitchError, begin, drop_one, freeze, give_up,
    go_back, switch,
};
use read_model::lease::{Checkpoint, Lease, LeaseError};
use read_model::sift::Gaps;
use read_model::{Happening, Way, Writers, batch, migrate};

fn some() -> Vec<Happening> {
    happenings([warehoused(1, 5, "1.0", None), warehoused(2, 6, "1.0", None), warehoused(1, 1, "1.0", None)])
}

async fn fill(connection: &mut Connection, lease: &Lease, events: &[Happening]) {
    let (begin, events) = (Checkpoint::default(), readable(events));
    let mut writers = Writers::of(VIEWS, Way::Copy);
    batch::apply(connection, lease, begin, &events, Gaps::Refuse, &mut writers).await.unwrap();
}

async fn serving(connection: &Connection) -> i32 {
    generation::active(connection).await.unwrap().unwrap().number
}

/// Each generation with its stage, and which serves.
async fn stages(connection: &Connection) -> Vec<(i32, Stage, bool)> {
    let listed = generation::list(connection).await.unwrap();
    listed.iter().map(|one| (one.generation, one.stage, one.serves)).collect()
}

#[tokio::test]
async fn serving_goes_to_the_next_generation_and_back_again() {
    let url = read_models("goes_to_the_next").await;
    let mut live = Writer::take(&url, "projector").await;
    live.apply(&some()).await.unwrap();
    let mut connection = connect(&url).await;
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    assert_eq!((begun.lease.generation, begun.dropped.as_slice()), (2, &[][..]));
    fill(&mut connection, &begun.lease, &some()).await;
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, true), (2, Stage::Building, false)]);
    let before = rows(&url).await;

    assert_eq!(switch(&mut connection, &begun.lease, false).await.unwrap(), Some(1));
    assert_eq!(serving(&connection).await, 2);
    // Whoever is stopped just then drops nothing.
    assert!(!give_up(&mut connection, &begun.lease).await.unwrap());
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, false), (2, Stage::Kept, true)]);
    assert_eq!(rows(&url).await, before);
    // The lease was handed back with it.
    assert!(Lease::take(&connection, 2, "projector", TERM).await.unwrap().is_some());

    let back = go_back(&mut connection, None).await.unwrap();
    assert_eq!((back.from, back.to, back.from_position == back.to_position), (2, 1, true));
    assert_eq!(go_back(&mut connection, None).await.unwrap().to, 2);
    drop_one(&mut connection, 1).await.unwrap();
    assert_eq!(stages(&connection).await, [(2, Stage::Kept, true)]);
    assert_eq!(rows(&url).await, before);
    assert!(matches!(go_back(&mut connection, None).await, Err(KeptError::NothingBefore)));
}

#[tokio::test]
async fn a_generation_that_is_behind_does_not_serve() {
    let url = read_models("is_behind").await;
    let mut live = Writer::take(&url, "projector").await;
    live.apply(&some()).await.unwrap();
    let mut connection = connect(&url).await;
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    fill(&mut connection, &begun.lease, &some()[..2]).await;
    let refused = switch(&mut connection, &begun.lease, false).await;
    assert!(matches!(refused, Err(SwitchError::Behind { ours: 13, theirs: 16 })), "{refused:?}");
    assert_eq!(serving(&connection).await, 1);
    // Positions of another store mean nothing.
    switch(&mut connection, &begun.lease, true).await.unwrap();
    assert_eq!(serving(&connection).await, 2);
}

#[tokio::test]
async fn one_generation_is_built_at_a_time_and_what_a_dead_maker_left_is_dropped() {
    let url = read_models("dead_maker").await;
    let mut connection = connect(&url).await;
    let first = begin(&mut connection, "first", TERM, Kind::Next, VIEWS).await.unwrap();
    fill(&mut connection, &first.lease, &some()).await;
    let busy = begin(&mut connection, "second", TERM, Kind::Next, VIEWS).await;
    assert!(
        matches!(&busy, Err(BeginError::UnderWay { generation: 2, owner }) if owner == "first"),
        "{busy:?}"
    );
    let its_end =
        "UPDATE bookstock.projection SET lease_until = now() - interval '1 second' WHERE generation = 2";
    sql(&url, its_end).await;
    let second = begin(&mut connection, "second", TERM, Kind::Next, VIEWS).await.unwrap();
    assert_eq!((second.dropped.as_slice(), second.lease.generation), (&[2][..], 3));
    // It was only paused, and wakes up: what the second one fills is not its own.
    assert!(matches!(first.lease.renew(&connection, None).await, Err(LeaseError::Lost)));
    assert!(matches!(switch(&mut connection, &first.lease, true).await, Err(SwitchError::Lost)));
    let frozen = freeze(&connection, &first.lease).await;
    assert!(matches!(frozen, Err(SwitchError::Lost)), "{frozen:?}");
    assert!(!give_up(&mut connection, &first.lease).await.unwrap());
    assert_eq!(serving(&connection).await, 1);
    assert!(give_up(&mut connection, &second.lease).await.unwrap());
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, true)]);
}

/// Otherwise who takes his turn, to begin or to drop, would wait for that generation while its maker waits for the turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_maker_that_gives_up_takes_his_turn_before_he_touches_what_he_built() {
    let url = read_models("gives_up_in_turn").await;
    let begun = begin(&mut connect(&url).await, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    let another = client(&url).await;
    another.batch_execute("BEGIN; LOCK TABLE bookstock.active IN EXCLUSIVE MODE").await.unwrap();
    let giving_up = tokio::spawn({
        let url = url.clone();
        async move {
            let mut connection = connect(&url).await;
            loop {
                match give_up(&mut connection, &begun.lease).await {
                    Err(error) if error.is_contention() => {}
                    given_up => return given_up.unwrap(),
                }
            }
        }
    });
    somebody_waits(&url).await;
    let takes_it = "SELECT FROM bookstock.projection WHERE generation = 2 FOR UPDATE NOWAIT; COMMIT";
    another.batch_execute(takes_it).await.unwrap();
    assert!(giving_up.await.unwrap());
    assert_eq!(stages(&connect(&url).await).await, [(1, Stage::Kept, true)]);
}

#[tokio::test]
async fn a_frozen_generation_is_there_and_never_serves() {
    let url = read_models("frozen").await;
    let mut connection = connect(&url).await;
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    fill(&mut connection, &begun.lease, &some()).await;
    freeze(&connection, &begun.lease).await.unwrap();
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, true), (2, Stage::Frozen, false)]);
    assert!(matches!(go_back(&mut connection, Some(2)).await, Err(KeptError::NotKept(2))));
    assert!(matches!(drop_one(&mut connection, 1).await, Err(KeptError::Serves(1))));
    assert!(matches!(drop_one(&mut connection, 7).await, Err(KeptError::Unknown(7))));
    assert!(!give_up(&mut connection, &begun.lease).await.unwrap());
    assert_eq!(stages(&connection).await.len(), 2, "what is not building is not given up");
    drop_one(&mut connection, 2).await.unwrap();
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, true)]);
    // Whoever stood still meanwhile is not told that it stays.
    let gone = freeze(&connection, &begun.lease).await;
    assert!(matches!(gone, Err(SwitchError::Lost)), "{gone:?}");
}

#[tokio::test]
async fn the_number_of_a_generation_that_served_and_was_dropped_is_not_given_again() {
    let url = read_models("number_once").await;
    let mut connection = connect(&url).await;
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    switch(&mut connection, &begun.lease, false).await.unwrap();
    assert_eq!(serving(&connection).await, 2);
    go_back(&mut connection, None).await.unwrap();
    drop_one(&mut connection, 2).await.unwrap();
    // Otherwise an ETag of the one that was dropped would be one of this.
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    assert_eq!(begun.lease.generation, 3);
    switch(&mut connection, &begun.lease, false).await.unwrap();
    assert_eq!(serving(&connection).await, 3);
}

/// The number that the next generation gets.
async fn next(connection: &mut Connection) -> i32 {
    let begun = begin(connection, "maker", TERM, Kind::Scratch, VIEWS).await.unwrap();
    assert!(give_up(connection, &begun.lease).await.unwrap());
    begun.lease.generation
}

#[tokio::test]
async fn a_database_of_an_earlier_version_counts_on_from_its_highest_generation() {
    let url = read_models("counts_on").await;
    let mut connection = connect(&url).await;
    let begun = begin(&mut connection, "maker", TERM, Kind::Next, VIEWS).await.unwrap();
    freeze(&connection, &begun.lease).await.unwrap();
    let earlier = "DROP TABLE bookstock.last_generation; DELETE FROM bookstock.migrations WHERE version = 6";
    sql(&url, earlier).await;
    migrate(&url).await.unwrap();
    drop_one(&mut connection, 2).await.unwrap();
    assert_eq!(next(&mut connection).await, 3);
    // A tool of that version is still running, and makes one.
    let makes_one =
        format!("INSERT INTO bookstock.projection (generation, fold_version) VALUES (7, {FOLD_VERSION})");
    sql(&url, &makes_one).await;
    assert_eq!(next(&mut connection).await, 8);
}
