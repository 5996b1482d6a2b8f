//! The contract, kept by our own server as a separate process.

use crate::server::Server;
use event_store::{Kurrent, Options, contract};
use eventstore::{Client, StreamMetadata};

#[tokio::test(flavor = "multi_thread")]
async fn our_server_keeps_the_contract() {
    let server = Server::start(&[]);
    write_system_event(&server.url()).await;
    let store = Kurrent::connect(&server.url(), Options::default()).unwrap();
    contract::all(&store).await;
}

/// So that there is one to leave out: our server writes none by itself, and the port writes none at all.
async fn write_system_event(url: &str) {
    let settings = format!("{url}&discoveryInterval=10&tlsCaFile=/dev/null").parse().unwrap();
    let metadata = StreamMetadata::builder().max_count(1000).build();
    let client = Client::new(settings).unwrap();
    client.set_stream_metadata("contract-limited", &Default::default(), &metadata).await.unwrap();
}
