//! `docs/guides/outgrow-one-machine.md`, done: the history moves to another event store while commands go on, and the
//! services go on there.
#![cfg(test)]

use e2e::{Ended, Place, Postgres, Process, Service, Site, System, Topology, command, eventually};
use event_store::{ContentType, EventStore as _, Expected, Kurrent, NewEvent, Options};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::Arc;

const FOLLOWING: &str = "following, until Ctrl-C";

/// Another event store, empty.
async fn new_store(place: &Arc<Place>) -> Service {
    let data = place.path().join("new-events").display().to_string();
    Service::start(place, "new-event-store", "event-store-server", &["--listen"], &["--data", &data]).await
}

fn url(store: &Service) -> String {
    format!("esdb://{}?tls=false", store.addr())
}

/// What somebody else kept in the store, and nobody needs any more. Without it no position is what it was.
const LEFT_OUT: &str = "club-1";

async fn somebody_appends(store: &str) {
    let event = NewEvent {
        id: uuid::Uuid::from_u128(1),
        event_type: "Founded".to_owned(),
        content_type: ContentType::Json,
        data: "{}".into(),
        metadata: "{}".into(),
    };
    let store = Kurrent::connect(store, Options::default()).unwrap();
    store.append(LEFT_OUT, Expected::NoStream, vec![event]).await.unwrap();
}

/// `replay copy --follow`, when it has carried what there was.
async fn copying(place: &Place, from: &str, to: &str) -> Process {
    let mut copy = command("replay");
    copy.args(["copy", "--follow", "--from", from, "--to", to, "--leave-out", LEFT_OUT]);
    let copying = Process::start(place, "copy", &mut copy);
    eventually("the copy follows", async || {
        let said = copying.said_aside();
        if said.contains(FOLLOWING) { Ok(()) } else { Err(said) }
    })
    .await;
    copying
}

/// Ctrl-C.
async fn verified(mut copying: Process) {
    copying.signal(Signal::INT);
    let ended = copying.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("verified: the target holds the same events"), "{ended:?}");
}

async fn replay(place: &Place, name: &str, store: &str, database: &str, arguments: &[&str]) -> Ended {
    let mut replay = command("replay");
    replay.args(arguments).env("EVENT_STORE_URL", store).env("DATABASE_URL", database);
    let ended = Process::start(place, name, &mut replay).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

async fn warehouse(desk: &Site, book: u64, qty: u64) -> Value {
    desk.warehouse(book, qty).await.json(201)
}

async fn stock(queries: &Site, book: u64, stock: u64) {
    eventually(&format!("book {book} has {stock}"), async || {
        let shown = queries.try_get(&format!("/books/{book}")).await?.wanted(200)?;
        if shown["stock"] == stock { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bookstock_of_one_machine_moves_to_services_of_their_own() {
    let mut system = System::start().await;
    let place = Arc::clone(&system.place);
    let old = system.address("eventStore").to_owned();
    let old_listen = system.listen("eventStore").to_owned();
    warehouse(&system.command_api(), 1, 120).await;
    let store = new_store(&place).await;
    let copying = copying(&place, &old, &url(&store)).await;
    warehouse(&system.command_api(), 1, 3).await;
    warehouse(&system.command_api(), 2, 5).await;

    // No more commands; the old store alone.
    assert_eq!(system.stop(Signal::INT).await.code, Some(0));
    let data = place.path().join("data/event-store");
    let mut alone = command("event-store-server");
    alone.arg("--data").arg(&data).args(["--listen", &old_listen]);
    let mut alone = Process::start(&place, "old-event-store", &mut alone);
    alone.listening(1).await;
    verified(copying).await;

    let postgres = Postgres::start(&place).await;
    let (store, database) = (url(&store), postgres.url());
    let both = ["--event-store-url", &store, "--database-url", &database];
    let _projector = Service::start(&place, "projector", "projector", &["--listen"], &both).await;
    let desk = Service::start(&place, "command-api", "command-api", &["--listen"], &both[..2]).await;
    let listeners = ["--listen", "--admin-listen"];
    let queries = Service::start(&place, "query-api", "query-api", &listeners, &both[2..]).await;
    desk.ready().await;
    let answer = warehouse(&desk.site(), 1, 7).await;
    assert_eq!((&answer["stock"], &answer["revision"]), (&json!(130), &json!(2)));
    stock(&queries.site(), 1, 130).await;
    stock(&queries.site(), 2, 5).await;
    replay(&place, "verify", &store, &database, &["verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_that_stay_refuse_the_new_store_until_they_are_rebuilt_from_it() {
    let mut system = Topology::start().await;
    let place = Arc::clone(&system.place);
    warehouse(&system.desks()[0], 1, 123).await;
    stock(&system.queries(), 1, 123).await;
    somebody_appends(&system.store_url()).await;
    let store = new_store(&place).await;
    let copying = copying(&place, &system.store_url(), &url(&store)).await;
    warehouse(&system.desks()[1], 2, 5).await;
    warehouse(&system.desks()[1], 1, 7).await;
    stock(&system.queries(), 1, 130).await;
    for service in system.command_apis.iter_mut().chain(&mut system.projectors) {
        assert_eq!(service.stop().await.code, Some(0));
    }
    verified(copying).await;

    let (store, database) = (url(&store), system.postgres.url());
    let both = ["--event-store-url", &store, "--database-url", &database];
    let projector = Service::start(&place, "new-projector", "projector", &["--listen"], &both).await;
    let desk = Service::start(&place, "new-command-api", "command-api", &["--listen"], &both[..2]).await;
    desk.ready().await;
    warehouse(&desk.site(), 2, 1).await;
    eventually("the projector refuses", async || {
        let readiness = projector.site().try_get("/readyz").await?.text;
        if readiness.contains("replay rebuild") { Ok(()) } else { Err(readiness) }
    })
    .await;
    // Queries go on with what was known.
    stock(&system.queries(), 2, 5).await;

    replay(&place, "rebuild", &store, &database, &["rebuild", "--accept-difference"]).await;
    stock(&system.queries(), 2, 6).await;
    projector.ready().await;
    replay(&place, "drop", &store, &database, &["generations", "--drop", "1"]).await;
    warehouse(&desk.site(), 1, 1).await;
    stock(&system.queries(), 1, 131).await;
    replay(&place, "verify-new", &store, &database, &["verify"]).await;
}
