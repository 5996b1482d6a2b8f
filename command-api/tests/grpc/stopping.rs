//! How the program stops, and whom it does not wait for.

use crate::client::books::books_client::BooksClient;
use crate::client::copies;
use crate::program::Program;
use crate::support::{PATIENCE, Store, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

/// It goes on for five minutes after it was told to stop.
async fn slow_to_leave(store: &Store) -> Program {
    Program::start(store, &["--shutdown-delay-ms", "300000"]).await
}

async fn channel(program: &Program) -> Channel {
    Channel::from_shared(program.grpc().to_owned()).unwrap().connect().await.unwrap()
}

async fn connection(program: &Program) -> TcpStream {
    TcpStream::connect(program.grpc().trim_start_matches("http://")).await.unwrap()
}

async fn status(client: &HealthClient<Channel>) -> ServingStatus {
    client.clone().check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn a_process_that_was_told_to_stop_says_so_before_it_stops_and_waits_for_no_stream() {
    let store = Store::start().await;
    let program = slow_to_leave(&store).await;
    let channel = channel(&program).await;
    let health = HealthClient::new(channel.clone());
    eventually("it serves", async || status(&health).await == ServingStatus::Serving).await;
    let watching = HealthCheckRequest::default();
    let mut watched = health.clone().watch(watching).await.unwrap().into_inner();
    let questions = tokio_stream::pending::<ServerReflectionRequest>();
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let mut described = reflection.server_reflection_info(questions).await.unwrap().into_inner();
    let mut silent = connection(&program).await;
    let mut unfinished = connection(&program).await;
    unfinished.write_all(b"PRI * HTTP/2.0").await.unwrap();

    program.terminate().await;
    eventually("it does not serve", async || status(&health).await == ServingStatus::NotServing).await;
    while watched.next().await.unwrap().unwrap().status() != ServingStatus::NotServing {}
    BooksClient::new(channel).warehouse(copies(1)).await.unwrap();

    // The second time means now.
    program.terminate().await;
    while let Some(Ok(_)) = watched.next().await {}
    while let Some(Ok(_)) = described.next().await {}
    for connection in [&mut silent, &mut unfinished] {
        connection.read_to_end(&mut Vec::new()).await.unwrap();
    }
    let said = program.ended().await;
    assert!(!said.contains("cut off"), "{said}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_ended() {
    let store = Store::start().await;
    let program = slow_to_leave(&store).await;
    let mut silent = connection(&program).await;
    let read = timeout(PATIENCE, silent.read(&mut [0; 64])).await.expect("it is ended");
    assert_eq!(read.unwrap(), 0);
}
