//! The contract, kept by our own server as a separate process.

use crate::server::Server;
use crate::support::event;
use event_store::{EventStore as _, Expected, Kurrent, Options, contract};
use eventstore::{Client, StreamMetadata, TombstoneStreamOptions};

#[tokio::test(flavor = "multi_thread")]
async fn our_server_keeps_the_contract() {
    let server = Server::start(&[]);
    write_system_event(&client(&server)).await;
    let store = Kurrent::connect(&server.url(), Options::default()).unwrap();
    contract::all(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_server_says_that_a_stream_is_deleted_for_ever() {
    const GONE: &str = "contract-gone";
    let server = Server::start(&[]);
    let connect = || Kurrent::connect(&server.url(), Options::default()).unwrap();
    // After an append of its own the next one goes out in a session, and is refused there first.
    let (new, in_session) = (connect(), connect());
    in_session.append(GONE, Expected::NoStream, vec![event(1), event(2)]).await.unwrap();
    client(&server).tombstone_stream(GONE, &TombstoneStreamOptions::default()).await.unwrap();
    for store in [in_session, new] {
        contract::a_stream_that_is_deleted_for_ever_says_so(&store, GONE).await;
    }
}

/// A client that can do what the port cannot.
fn client(server: &Server) -> Client {
    let settings = format!("{}&discoveryInterval=10&tlsCaFile=/dev/null", server.url());
    Client::new(settings.parse().unwrap()).unwrap()
}

/// So that there is one to leave out: our server writes none by itself, and the port writes none at all.
async fn write_system_event(client: &Client) {
    let metadata = StreamMetadata::builder().max_count(1000).build();
    client.set_stream_metadata("contract-limited", &Default::default(), &metadata).await.unwrap();
}
