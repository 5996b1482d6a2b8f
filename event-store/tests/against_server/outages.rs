//! What the adapter promises while the store is away: killed, frozen, not there yet, or ending subscriptions oddly.

use crate::server::{Server, url};
use crate::support::{PATIENCE, connect, event, until};
use bytes::Bytes;
use event_store::{
    AppendError, Appended, Direction, EventStore, Expected, Filter, Follow, Heard, Kurrent, NewEvent,
    Options, ReadError, Start, StoredEvent,
};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_all_goes_on_loses_nothing_and_doubles_nothing() {
    const WRITERS: u128 = 4;
    const EVENTS: u128 = 300;
    let mut server = Server::start(&[]);
    let store = connect(&server.url(), Duration::from_secs(5));
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    let acknowledged = AtomicUsize::new(0);

    let writers = join_all((0..WRITERS).map(|writer| write(&store, writer, EVENTS, &acknowledged)));
    let outages = async {
        for after in [200, 600] {
            until("appends are acknowledged", async || acknowledged.load(Ordering::Relaxed) >= after).await;
            server.kill();
            server.start_again();
        }
    };
    let (appended, (), (followed, interruptions)) =
        tokio::join!(writers, outages, hear(&mut heard, (WRITERS * EVENTS) as usize));

    assert!(interruptions >= 2, "{interruptions} interruptions were told");
    assert!(followed.is_sorted_by(|left, right| left.position < right.position), "none twice, none late");
    for (writer, appended) in (0..WRITERS).zip(appended) {
        let stored =
            store.read_stream(&name(writer), Start::Beginning, Direction::Forwards, 1000).await.unwrap();
        let ids: Vec<Uuid> = stored.iter().map(|event| event.id).collect();
        assert_eq!(ids, (0..EVENTS).map(|number| id(writer, number)).collect::<Vec<_>>());
        let places = |event: &StoredEvent| Appended { revision: event.revision, position: event.position };
        assert_eq!(
            stored.iter().map(places).collect::<Vec<_>>(),
            appended,
            "what was acknowledged is what is there"
        );
        let of_stream: Vec<_> =
            followed.iter().filter(|event| event.stream == name(writer)).cloned().collect();
        assert_eq!(of_stream, stored, "what was heard is what is there");
    }
}

fn name(writer: u128) -> String {
    format!("book-{}", writer + 1)
}

fn id(writer: u128, number: u128) -> Uuid {
    Uuid::from_u128((writer << 64) + number + 1)
}

/// Appends one event after the other, each again until the store has it.
async fn write(store: &Kurrent, writer: u128, events: u128, acknowledged: &AtomicUsize) -> Vec<Appended> {
    let mut appended: Vec<Appended> = Vec::new();
    while (appended.len() as u128) < events {
        let number = appended.len() as u128;
        let expected = appended.last().map_or(Expected::NoStream, |last| Expected::Revision(last.revision));
        let event = NewEvent { id: id(writer, number), ..event(number) };
        match store.append(&name(writer), expected, vec![event]).await {
            Ok(answer) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                appended.push(answer);
            }
            Err(AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_)) => {
                sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("event {number} of writer {writer}: {error}"),
        }
    }
    appended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_later_is_found_by_callers_and_followers() {
    let addr = free_addr();
    let store = connect(&url(addr), Duration::from_secs(1));
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    assert!(matches!(store.ping().await, Err(ReadError::Unavailable(_))));
    let answer = store.append("book-1", Expected::NoStream, vec![event(1)]).await;
    assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    assert!(matches!(next(&mut heard).await, Heard::Interrupted(_)));

    let _server = Server::start_on(addr, &[]);
    until("the store answers", async || store.ping().await.is_ok()).await;
    store.append("book-1", Expected::NoStream, vec![event(1)]).await.unwrap();
    let (followed, _) = hear(&mut heard, 1).await;
    assert_eq!(followed[0].id, Uuid::from_u128(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_leaves_the_outcome_unknown_and_a_retry_is_not_doubled() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), Duration::from_millis(500));
    let first = store.append("book-1", Expected::NoStream, vec![event(1)]).await.unwrap();

    server.freeze();
    let begun = Instant::now();
    let answer = store.append("book-1", Expected::Revision(0), vec![event(2)]).await;
    assert!(matches!(answer, Err(AppendError::OutcomeUnknown(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert!(matches!(store.ping().await, Err(ReadError::Unavailable(_))));

    server.thaw();
    until("the store answers", async || store.ping().await.is_ok()).await;
    let second = store.append("book-1", Expected::Revision(0), vec![event(2)]).await.unwrap();
    assert_eq!(second.revision, first.revision + 1);
    assert_eq!(store.append("book-1", Expected::Revision(0), vec![event(2)]).await, Ok(second));
    assert_eq!(
        store.read_stream("book-1", Start::Beginning, Direction::Forwards, 10).await.unwrap().len(),
        2
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_append_under_way_when_the_server_dies_is_sent_again_to_the_next_one() {
    static TRIED_AGAIN: AtomicUsize = AtomicUsize::new(0);
    let mut server = Server::start(&[]);
    let trying_again = || _ = TRIED_AGAIN.fetch_add(1, Ordering::Relaxed);
    let options = Options { call_timeout: PATIENCE, trying_again, ..Options::default() };
    let store = Kurrent::connect(&server.url(), options).unwrap();
    store.append("book-1", Expected::NoStream, vec![event(1)]).await.unwrap();

    server.freeze();
    const BYTES: usize = 10_000;
    let big = NewEvent { data: Bytes::from(format!("[{}0]", " ".repeat(BYTES))), ..event(2) };
    let under_way = tokio::spawn({
        let store = store.clone();
        async move { store.append("book-1", Expected::Revision(0), vec![big]).await }
    });
    until("the append lies before the frozen server", async || server.unread_bytes() > BYTES).await;
    server.kill();
    server.start_again();
    assert_eq!(under_way.await.unwrap().unwrap().revision, 1);
    assert!(TRIED_AGAIN.load(Ordering::Relaxed) >= 1, "nobody was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_connections_is_told_at_once_as_unavailable() {
    let mut server = Server::start(&[]);
    let call_timeout = Duration::from_secs(20);
    let store = connect(&server.url(), call_timeout);
    store.append("book-1", Expected::NoStream, vec![event(1)]).await.unwrap();

    server.kill();
    let begun = Instant::now();
    until("the dead connection is noticed", async || store.ping().await.is_err()).await;
    let answer = store.append("book-1", Expected::Revision(0), vec![event(2)]).await;
    assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    assert!(begun.elapsed() < call_timeout, "it took {:?}", begun.elapsed());

    server.start_again();
    until("the store answers", async || store.ping().await.is_ok()).await;
    assert_eq!(store.append("book-1", Expected::Revision(0), vec![event(2)]).await.unwrap().revision, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_of_the_cluster_takes_over_for_one_that_is_gone() {
    let mut one = Server::start(&[]);
    let other = free_addr();
    let url = format!("esdb://{},{other}?tls=false", one.addr());
    let store = connect(&url, Duration::from_secs(1));
    until("one node answers", async || store.ping().await.is_ok()).await;
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    assert_eq!(next(&mut heard).await, Heard::CaughtUp);

    // Not a real cluster: the other node has not what the first one had, but it is another node.
    let _other = Server::start_on(other, &[]);
    one.kill();
    until("the other node answers", async || store.ping().await.is_ok()).await;
    assert!(matches!(next(&mut heard).await, Heard::Interrupted(_)));
    assert_eq!(next(&mut heard).await, Heard::CaughtUp);
}

/// On one thread, so that a client that loops without end would stop this test's own clock, too.
#[tokio::test]
async fn a_subscription_that_the_server_ends_with_ok_holds_up_nobody() {
    let addr = serve_subscriptions_that_end_with_ok().await;
    let store = connect(&url(addr), Duration::from_secs(5));
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    assert!(matches!(next(&mut heard).await, Heard::Interrupted(_)));
    // The thread of the followers goes on, too.
    let mut heard = store.follow(Follow::FromBeginning, Filter::default());
    assert!(matches!(next(&mut heard).await, Heard::Interrupted(_)));
}

/// A server that ends every call with OK and no message, but does not know how to list its features.
async fn serve_subscriptions_that_end_with_ok() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answer = |status| ([("content-type", "application/grpc"), ("grpc-status", status)], "");
    let routes = axum::Router::new()
        .route(
            "/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
            axum::routing::post(move || async move { answer("12") }),
        )
        .fallback(move || async move { answer("0") });
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(incoming));
    addr
}

fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The next `count` events, and how many interruptions were told between them.
async fn hear(heard: &mut (impl Stream<Item = Heard> + Unpin), count: usize) -> (Vec<StoredEvent>, usize) {
    let (mut events, mut interruptions) = (Vec::new(), 0);
    while events.len() < count {
        match next(heard).await {
            Heard::Event(event) => events.push(event),
            Heard::Interrupted(_) => interruptions += 1,
            Heard::CaughtUp => {}
        }
    }
    (events, interruptions)
}

async fn next(heard: &mut (impl Stream<Item = Heard> + Unpin)) -> Heard {
    timeout(PATIENCE, heard.next()).await.expect("something is heard in time").expect("following never ends")
}
