//! Start, stop, damage: and what clients ask before anything else.

use super::support::*;
use event_store_server::{Config, EventStoreServer, Limits, OpenError};
use gossip::gossip_client::GossipClient;
use rusqlite::Connection;
use server_features::server_features_client::ServerFeaturesClient;
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Code;

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("events.sqlite")).unwrap()
}

#[tokio::test]
async fn a_client_learns_the_version_and_the_supported_calls() {
    let (_dir, server, _client) = fresh().await;
    let mut features = ServerFeaturesClient::new(server.channel().await);
    let supported = features.get_supported_methods(Empty {}).await.unwrap().into_inner();
    let numbers =
        supported.event_store_server_version.split('.').map(|number| number.parse::<u32>().unwrap());
    assert_eq!(numbers.count(), 3);
    let batch_append = supported.methods.iter().find(|method| method.method_name == "batchappend").unwrap();
    assert_eq!(batch_append.service_name, "event_store.client.streams.streams");
    assert_eq!(batch_append.features, ["deadline_duration"]);
    server.stop().await;
}

#[tokio::test]
async fn the_cluster_has_one_member_and_it_leads() {
    let (dir, server, _client) = fresh().await;
    let mut gossip = GossipClient::new(server.channel().await);
    let first = gossip.read(Empty {}).await.unwrap().into_inner();
    let [member] = &first.members[..] else { panic!("{first:?}") };
    assert!(member.is_alive);
    assert_eq!(member.state(), gossip::member_info::VNodeState::Leader);
    let reached = member.http_end_point.clone().unwrap();
    assert_eq!((reached.address.as_str(), reached.port), ("127.0.0.1", u32::from(server.addr.port())));
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut gossip = GossipClient::new(server.channel().await);
    let second = gossip.read(Empty {}).await.unwrap().into_inner();
    assert_eq!(second.members[0].instance_id, member.instance_id, "a store keeps its identity");
    server.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_everything_and_goes_on_counting() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=50)).await.unwrap();
    let last = append(&mut client, "b", any(), events([51])).await.unwrap().position();
    let before = read(&mut client, all_options()).await.unwrap();
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    assert_eq!(read(&mut client, all_options()).await.unwrap(), before);
    let answer = append(&mut client, "b", exact(0), events([52])).await.unwrap();
    assert!(answer.position() > last);
    server.stop().await;
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_server_at_a_time() {
    let (dir, server, _client) = fresh().await;
    let error = EventStoreServer::open(Config::new(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    server.stop().await;
    drop(EventStoreServer::open(Config::new(dir.path())).unwrap());
}

#[tokio::test]
async fn shutdown_ends_subscriptions_with_unavailable() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let mut live = open(&mut client, subscription(all_options())).await.unwrap();
    while told(next(&mut live).await.unwrap().unwrap()) != Told::CaughtUp {}
    server.shutdown.cancel();
    let status = next(&mut live).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever_for_a_client_that_does_not_read() {
    let limits = Limits { shutdown_grace: Duration::from_millis(300), ..Limits::default() };
    let (dir, server, mut client) = fresh_with(limits).await;
    for id in 1..=100 {
        let large = Event { data: vec![b'x'; 200_000], ..event(id) };
        append(&mut client, "a", any(), vec![large]).await.unwrap();
    }
    let mut lazy_client = server.client().await;
    let _lazy = open(&mut lazy_client, all_options()).await.unwrap();
    server.stop().await;
    drop(EventStoreServer::open(Config::new(dir.path())).unwrap());
}

#[tokio::test]
async fn a_damaged_event_is_named_and_never_delivered() {
    let columns = [
        "UPDATE events SET data = CAST('{\"n\":9}' AS BLOB) WHERE position = 3",
        "UPDATE events SET type = 'Forged' WHERE position = 3",
        "UPDATE events SET created = created + 1 WHERE position = 3",
        "UPDATE events SET id = zeroblob(16) WHERE position = 3",
        "UPDATE events SET id = zeroblob(3) WHERE position = 3",
        "UPDATE events SET metadata = zeroblob(2) WHERE position = 3",
        "UPDATE events SET is_json = 0 WHERE position = 3",
        "UPDATE events SET checksum = checksum + 1 WHERE position = 3",
    ];
    for damage in columns {
        let (dir, server, mut client) = fresh().await;
        append(&mut client, "a", any(), events(1..=5)).await.unwrap();
        database(dir.path()).execute(damage, ()).unwrap();

        for (options, subscribed) in [
            (read_options("a"), false),
            (all_options(), false),
            (subscription(read_options("a")), true),
            (subscription(all_options()), true),
        ] {
            let mut answers = open(&mut client, options).await.unwrap();
            let mut seen = Vec::new();
            let status = loop {
                match next(&mut answers).await {
                    Ok(content) => seen.push(told(content.expect("it does not end well"))),
                    Err(status) => break status,
                }
            };
            assert!(!ids(&seen).contains(&3), "{damage}: {seen:?}");
            assert!(seen.len() <= 2 + usize::from(subscribed), "{damage}: {seen:?}");
            assert_eq!(status.code(), Code::DataLoss, "{damage}: {status}");
            for part in ["'a'", "Event 2", "position 3"] {
                assert!(status.message().contains(part), "{damage}: {status}");
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_damaged_stream_name_hides_no_event() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    database(dir.path()).execute("UPDATE streams SET name = 'b'", ()).unwrap();
    let status = read(&mut client, all_options()).await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss, "{status}");

    let conn = database(dir.path());
    conn.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM streams").unwrap();
    let status = read(&mut client, all_options()).await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss, "{status}");
    server.stop().await;
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_accepted_until_the_restart() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let conn = database(dir.path());
    conn.execute_batch(
        "CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'made to fail'); END",
    )
    .unwrap();
    let status = append(&mut client, "a", any(), events([2])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    conn.execute_batch("DROP TRIGGER broken").unwrap();
    let status = append(&mut client, "a", any(), events([3])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("restarted"), "{status}");
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), [1], "reads go on");
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    append(&mut client, "a", exact(0), events([3])).await.unwrap();
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), [1, 3]);
    server.stop().await;
}

#[tokio::test]
async fn a_lock_of_another_program_refuses_appends_and_passes() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let conn = database(dir.path());
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let status = append(&mut client, "a", any(), events([2])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    conn.execute_batch("ROLLBACK").unwrap();
    append(&mut client, "a", exact(0), events([3])).await.unwrap();
    server.stop().await;
}

/// A client like the crate `eventstore`: it leaves Nagle's algorithm on, so the second half of an append waits until
/// the first one is acknowledged.
async fn typical_append(quickack: bool) -> Duration {
    let config = Config { quickack, ..Config::in_memory().unwrap() };
    let server = EventStoreServer::open(config).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(server.serve(listener, shutdown.clone()));
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().tcp_nodelay(false);
    let mut client = Client::new(endpoint.connect().await.unwrap());
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let mut took = Vec::new();
    for id in 2..=51 {
        let begun = Instant::now();
        // The events come after the options have left, as they do from that client.
        let (sender, messages) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for message in append_messages("a", any(), events([id])) {
                sender.send(message).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        client.append(tokio_stream::wrappers::ReceiverStream::new(messages)).await.unwrap();
        took.push(begun.elapsed());
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
    took.sort();
    took[took.len() / 2]
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_that_wait_for_acknowledgements_do_not_wait_long() {
    let (quick, delayed) = (typical_append(true).await, typical_append(false).await);
    assert!(quick * 2 < delayed, "{quick:?} with quick acknowledgements, {delayed:?} without");
}
