//! Kill -9, in the middle of work: nothing acknowledged is lost, and nothing is booked twice.
#![cfg(test)]

use e2e::{Librarians, Process, ReceivingList, Site, System, Topology, assert_booked_once, eventually};

/// How much of a list has to be booked for a crash to come in its middle, in rows.
const SOME: u64 = 500;

/// Waits until `receive` is in the middle of its list.
async fn in_the_middle(receive: &mut Process, queries: &Site) {
    eventually("some of the list is booked", async || match queries.book_count().await? {
        booked if booked >= SOME => Ok(()),
        booked => Err(format!("{booked} books")),
    })
    .await;
    assert!(receive.is_running(), "the list was booked too fast for a crash in its middle");
}

/// Sends a list, lets something `die` in its middle and `come_back` after it, and wants every row booked once.
async fn survives(die: impl AsyncFnOnce(&mut Topology), come_back: impl AsyncFnOnce(&mut Topology)) {
    let mut topology = Topology::start().await;
    let list = ReceivingList::ten_thousand(&topology.place);
    let desk = topology.command_apis[0].site();
    let mut receive = list.send(&topology.place, &desk);
    in_the_middle(&mut receive, &topology.queries()).await;
    die(&mut topology).await;
    let received = receive.ended().await;
    assert_eq!(received.code, Some(0), "{received:?}");
    come_back(&mut topology).await;

    let queries = topology.queries();
    eventually("every book is right", async || queries.shows(&list.stocks).await).await;
    let again = list.send(&topology.place, &desk).ended().await;
    assert_eq!((again.code, again.count("already booked")), (Some(0), 10_000), "{again:?}");
    assert_eq!(queries.shows(&list.stocks).await, Ok(()));
}

#[tokio::test]
async fn a_list_survives_the_death_of_the_whole_system_in_its_middle() {
    let mut system = System::start().await;
    let list = ReceivingList::ten_thousand(&system.place);
    let mut receive = list.send(&system.place, &system.gateway());
    in_the_middle(&mut receive, &system.admin()).await;
    system.kill().await;

    system.start_again().await;
    let again = list.send(&system.place, &system.gateway()).ended().await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let counts = (again.count("booked"), again.count("already booked"));
    assert!(counts.0 > 0 && counts.1 >= SOME && counts.0 + counts.1 == 10_000, "{again:?}");
    let admin = system.admin();
    eventually("every book is right", async || admin.shows(&list.stocks).await).await;
}

#[tokio::test]
async fn a_list_survives_the_death_of_the_event_store_in_its_middle() {
    let die = async |topology: &mut Topology| {
        topology.event_store.kill();
        topology.event_store.start_again().await;
    };
    survives(die, async |_| {}).await;
}

#[tokio::test]
async fn a_list_survives_the_death_of_its_command_api_in_its_middle() {
    let die = async |topology: &mut Topology| {
        topology.command_apis[0].kill();
        topology.command_apis[0].start_again().await;
    };
    survives(die, async |_| {}).await;
}

#[tokio::test]
async fn when_the_active_projector_dies_commands_go_on_and_the_other_one_takes_over() {
    survives(async |topology: &mut Topology| topology.projectors[0].kill(), async |_| {}).await;
}

#[tokio::test]
async fn when_the_query_api_dies_commands_go_on() {
    survives(
        async |topology: &mut Topology| topology.query_api.kill(),
        async |topology: &mut Topology| topology.query_api.start_again().await,
    )
    .await;
}

#[tokio::test]
async fn when_postgresql_dies_commands_go_on() {
    survives(
        async |topology: &mut Topology| topology.postgres.kill().await,
        async |topology: &mut Topology| topology.postgres.start_again().await,
    )
    .await;
}

#[tokio::test]
async fn a_system_whose_launcher_died_alone_starts_again_at_once_with_all_its_data() {
    let mut system = System::start().await;
    for stock in 1..=5 {
        assert_eq!(system.gateway().warehouse(1, 1).await.json(201)["stock"], stock);
        system.kill_launcher();
        system.start_again().await;
        let admin = system.admin();
        eventually("the copy is in the view", async || admin.shows(&[(1, stock)].into()).await).await;
    }
    system.kill_launcher();
    eventually("PostgreSQL ends with its launcher", async || {
        let left = system.place.inhabitants("");
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} go on")) }
    })
    .await;
}

#[tokio::test]
async fn no_acknowledged_command_is_lost_or_booked_twice_whatever_dies() {
    let mut topology = Topology::hurried().await;
    let librarians = Librarians::begin(&topology.desks());
    for _ in 0..5 {
        librarians.book(100).await;
        topology.event_store.kill();
        topology.event_store.start_again().await;
        for desk in 0..2 {
            librarians.book(100).await;
            topology.command_apis[desk].kill();
            topology.command_apis[desk].start_again().await;
        }
        for projector in 0..2 {
            librarians.book(100).await;
            topology.projectors[projector].kill();
            topology.projectors[projector].start_again().await;
        }
        librarians.book(100).await;
        topology.postgres.kill().await;
        topology.postgres.start_again().await;
    }
    let journal = librarians.end().await;
    let stocks = assert_booked_once(&topology.store_url(), &journal).await;
    let queries = topology.queries();
    eventually("the views equal the journal", async || queries.shows(&stocks).await).await;
}

#[tokio::test]
async fn no_acknowledged_command_is_lost_or_booked_twice_when_everything_dies_at_once() {
    let mut system = System::start().await;
    let librarians = Librarians::begin(&[system.gateway()]);
    for _ in 0..5 {
        librarians.book(200).await;
        system.kill().await;
        system.start_again().await;
    }
    let journal = librarians.end().await;
    let stocks = assert_booked_once(system.address("eventStore"), &journal).await;
    let admin = system.admin();
    eventually("the views equal the journal", async || admin.shows(&stocks).await).await;
}
