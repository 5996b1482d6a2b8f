//! A next generation is built beside the one that serves, and serving goes to it and back.

use crate::given::*;
use read_model::database::Connection;
use read_model::generation::{
    self, BeginError, KeptError, Kind, Stage, SwitchError, begin, drop_one, freeze, give_up, go_back, switch,
};
use read_model::lease::{Checkpoint, Lease};
use read_model::sift::Gaps;
use read_model::{Happening, Way, Writers, batch};
use std::time::Duration;

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
    let first = begin(&mut connection, "first", Duration::from_secs(1), Kind::Next, VIEWS).await.unwrap();
    fill(&mut connection, &first.lease, &some()).await;
    let busy = begin(&mut connection, "second", TERM, Kind::Next, VIEWS).await;
    assert!(
        matches!(&busy, Err(BeginError::UnderWay { generation: 2, owner }) if owner == "first"),
        "{busy:?}"
    );
    let second = loop {
        match begin(&mut connection, "second", TERM, Kind::Next, VIEWS).await {
            Ok(begun) => break begun,
            Err(BeginError::UnderWay { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(second.dropped, [2]);
    assert!(matches!(
        switch(&mut connection, &Lease { epoch: 99, ..first.lease }, true).await,
        Err(SwitchError::Lost)
    ));
    assert_eq!(serving(&connection).await, 1);
    assert!(give_up(&mut connection, &second.lease).await.unwrap());
    assert_eq!(stages(&connection).await, [(1, Stage::Kept, true)]);
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
}
