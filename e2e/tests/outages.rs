//! A part is stopped, or frozen: what does not need it goes on, and what needs it says so and comes back by itself.
#![cfg(test)]

use e2e::{Answer, Librarians, Site, System, Topology, assert_booked_once, awake, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest that a client may be left without an answer while the event store is away.
const SOON: Duration = Duration::from_secs(1);

/// How many commands have to be acknowledged during an outage.
const COMMANDS: usize = 200;

async fn within_a_second(what: &str, sending: impl Future<Output = Answer>) -> Answer {
    let (answer, took) = awake(sending).await;
    assert!(took < SOON, "{what} took {took:?}");
    answer
}

/// Sends commands, each of which has to be booked at the first attempt.
async fn commands_go_on(desk: &Site, books: std::ops::RangeInclusive<u64>) {
    for book in books {
        let answer = desk.warehouse(book, 5).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

/// Asks for books, lists and filters while the database is out; memory has them, and says that they may be old.
async fn queries_go_on(queries: &Site) {
    eventually("the outage is seen", async || {
        let status = queries.try_get("/status").await?.wanted(200)?;
        if status["stale"] == true { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    for path in ["/books/1", "/admins", "/books?minStock=5&sort=stock,desc", "/books?q=1&cursor="] {
        let answer = queries.get(path).await;
        assert_eq!((answer.status, answer.header("bookstock-stale")), (200, "true"), "{answer:?}");
    }
    let behind = queries.get("/books/1?minPosition=9000000000&wait=10000").await;
    assert_eq!(
        behind.problem(503, "read-model-unavailable")["position"].as_str(),
        Some(behind.header("bookstock-position"))
    );
}

/// Waits until this is told of the projection.
async fn projection(queries: &Site, what: &str, is_so: impl Fn(&Value) -> bool) {
    eventually(what, async || {
        let status = queries.try_get("/status").await?.wanted(200)?;
        if is_so(&status["projection"]) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

/// Waits until the views show everything, also to those who ask for the position of a new command.
async fn views_catch_up(desk: &Site, queries: &Site, book: u64, stock: u64) {
    let booked = desk.book(&format!("/books/{book}/warehousings"), &json!({"qty": 5})).await;
    let position = booked["position"].as_str().unwrap();
    let path = format!("/books/{book}?minPosition={position}");
    let body = eventually("the views catch up", async || queries.try_get(&path).await?.wanted(200)).await;
    assert_eq!(body["stock"], stock);
}

#[tokio::test]
async fn while_postgresql_is_stopped_commands_go_on_and_the_views_catch_up_after() {
    let mut topology = Topology::start().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    topology.postgres.stop().await;
    commands_go_on(&desk, 1..=50).await;
    queries_go_on(&queries).await;
    for desk in topology.desks() {
        desk.get("/readyz").await.json(200);
    }
    topology.postgres.start_again().await;
    views_catch_up(&desk, &queries, 1, 15).await;
    assert_eq!(queries.stocks().await.unwrap().len(), 50);
}

#[tokio::test]
async fn with_all_else_gone_books_and_lists_are_still_shown_and_said_to_be_old() {
    let mut topology = Topology::start().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    // What needs the database was seen last; it goes first.
    topology.postgres.stop().await;
    for service in topology.projectors.iter_mut().chain(&mut topology.command_apis) {
        service.kill();
    }
    topology.event_store.kill();
    queries_go_on(&queries).await;
    let csv = queries.send(reqwest::Method::GET, "/books", &[("accept", "text/csv")], Vec::new()).await;
    assert!(csv.text.contains("\n1,,5,1.0,0,"), "{}", csv.text);
    assert_eq!(queries.get("/books/1?minPosition=0").await.json(200)["stock"], 5);
}

#[tokio::test]
async fn while_postgresql_is_frozen_commands_go_on_and_the_views_catch_up_after() {
    let topology = Topology::start().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    topology.postgres.freeze().await;
    commands_go_on(&desk, 1..=50).await;
    queries_go_on(&queries).await;
    topology.postgres.thaw();
    views_catch_up(&desk, &queries, 1, 15).await;
    assert_eq!(queries.stocks().await.unwrap().len(), 50);
}

#[tokio::test]
async fn in_one_process_too_a_frozen_postgresql_stops_no_command() {
    let system = System::start().await;
    let gateway = system.gateway();
    views_catch_up(&gateway, &gateway, 1, 5).await;
    system.freeze_postgres().await;
    commands_go_on(&gateway, 1..=50).await;
    system.thaw_postgres();
    views_catch_up(&gateway, &gateway, 1, 15).await;
}

#[tokio::test]
async fn in_one_process_too_commands_go_on_when_postgresql_dies_and_it_comes_back() {
    let system = System::start().await;
    let gateway = system.gateway();
    views_catch_up(&gateway, &gateway, 1, 5).await;
    system.kill_postgres();
    commands_go_on(&gateway, 1..=50).await;
    views_catch_up(&gateway, &gateway, 1, 15).await;
}

#[tokio::test]
async fn while_the_event_store_is_stopped_queries_go_on_and_commands_are_told_so_within_a_second() {
    let mut topology = Topology::hurried().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    topology.event_store.kill();
    for book in [1, 2] {
        let refused = within_a_second("a command", desk.warehouse(book, 5)).await;
        refused.problem(503, "event-store-unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let renewal = within_a_second("a renewal", desk.post("/books/1/renewals", &json!({}))).await;
    renewal.problem(503, "event-store-unavailable");
    assert_eq!(queries.get("/books/1").await.json(200)["stock"], 5);
    assert_eq!(queries.get("/admins").await.json(200)["page"]["totalElements"], 1);
    let site = topology.command_apis[0].site();
    eventually("the command API is not ready", async || site.try_get("/readyz").await?.wanted(503)).await;
    site.get("/livez").await.json(200);

    topology.event_store.start_again().await;
    topology.command_apis[0].ready().await;
    views_catch_up(&desk, &queries, 1, 10).await;
}

#[tokio::test]
async fn while_the_event_store_is_frozen_no_command_waits_longer_than_a_second() {
    let topology = Topology::hurried().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    topology.event_store.freeze().await;
    let path = "/books/1/warehousings";
    let command = json!({"qty": 7});
    let keyed = async || desk.post_keyed(path, &command, Some("mine")).await.unwrap();
    let unknown = within_a_second("a command", keyed()).await;
    assert_eq!(unknown.problem(503, "outcome-unknown")["idempotencyKey"], "mine");
    assert_eq!(unknown.header("retry-after"), "1");
    assert_eq!(queries.get("/books/1").await.json(200)["stock"], 5);
    topology.event_store.thaw();
    eventually("the same command is booked", async || keyed().await.wanted(201)).await;
    views_catch_up(&desk, &queries, 1, 17).await;
}

#[tokio::test]
async fn when_parts_freeze_in_turn_every_acknowledged_command_is_booked_once() {
    let topology = Topology::hurried().await;
    let librarians = Librarians::begin(&topology.desks());
    for _ in 0..2 {
        librarians.book(COMMANDS).await;
        topology.postgres.freeze().await;
        librarians.book(COMMANDS).await;
        topology.postgres.thaw();
        for projector in &topology.projectors {
            projector.freeze().await;
            librarians.book(COMMANDS).await;
            projector.thaw();
        }
        // The librarians are told that an outcome is unknown, and send the same again.
        topology.event_store.freeze().await;
        let looked = within_a_second("a look into the stream", topology.desks()[0].get("/libraries/1")).await;
        looked.problem(503, "event-store-unavailable");
        topology.event_store.thaw();
    }
    let journal = librarians.end().await;
    let stocks = assert_booked_once(&topology.store_url(), &journal).await;
    let queries = topology.queries();
    eventually("the views equal the journal", async || queries.shows(&stocks).await).await;
}

#[tokio::test]
async fn a_standby_takes_over_from_a_frozen_projector_which_then_changes_nothing() {
    let topology = Topology::start().await;
    let (desk, queries) = (topology.command_apis[0].site(), topology.queries());
    views_catch_up(&desk, &queries, 1, 5).await;
    let works = |told: &Value| told["running"] == true && told["behindSeconds"] == 0.0;
    projection(&queries, "all is said to be applied", works).await;
    topology.projectors[0].freeze().await;
    views_catch_up(&desk, &queries, 1, 10).await;
    topology.projectors[1].freeze().await;
    projection(&queries, "nobody is said to project", |told| told["running"] == false).await;
    assert_eq!(queries.get("/books/1").await.json(200)["stock"], 10);
    assert_eq!(queries.stocks().await.unwrap().len(), 1);
    topology.projectors[0].thaw();
    views_catch_up(&desk, &queries, 1, 15).await;
    projection(&queries, "all is said to be applied again", works).await;
    topology.projectors[1].thaw();
    commands_go_on(&desk, 1..=50).await;
    views_catch_up(&desk, &queries, 1, 25).await;
    assert_eq!(queries.stocks().await.unwrap().len(), 50);
}
