//! How the program stops, and whom it does not wait for.

use crate::client::books::books_client::BooksClient;
use crate::client::copies;
use crate::support::{PATIENCE, Store, eventually};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

/// The command side as the program it is.
struct Program {
    process: Child,
    grpc: String,
}

impl Program {
    async fn start(store: &Store) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_command-api"))
            .args(["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .args(["--shutdown-delay-ms", "300000", "--store-timeout-ms", "20000"])
            .args(["--event-store-url", &store.url()])
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let grpc = loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts").unwrap().unwrap();
            if let Some((_, address)) = line.split_once("(gRPC) listening on ") {
                break address.to_owned();
            }
        };
        Self { process, grpc }
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(self.grpc.clone()).unwrap().connect().await.unwrap()
    }

    async fn connection(&self) -> TcpStream {
        TcpStream::connect(self.grpc.trim_start_matches("http://")).await.unwrap()
    }

    async fn terminate(&self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// What it had said when it had ended.
    async fn said(self) -> String {
        let output = timeout(PATIENCE, self.process.wait_with_output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

async fn status(client: &HealthClient<Channel>) -> ServingStatus {
    client.clone().check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn a_process_that_was_told_to_stop_says_so_before_it_stops_and_waits_for_no_stream() {
    let store = Store::start().await;
    let program = Program::start(&store).await;
    let channel = program.channel().await;
    let health = HealthClient::new(channel.clone());
    eventually("it serves", async || status(&health).await == ServingStatus::Serving).await;
    let watching = HealthCheckRequest::default();
    let mut watched = health.clone().watch(watching).await.unwrap().into_inner();
    let questions = tokio_stream::pending::<ServerReflectionRequest>();
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let mut described = reflection.server_reflection_info(questions).await.unwrap().into_inner();
    let mut silent = program.connection().await;
    let mut unfinished = program.connection().await;
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
    let said = program.said().await;
    assert!(!said.contains("cut off"), "{said}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_ended() {
    let store = Store::start().await;
    let program = Program::start(&store).await;
    let mut silent = program.connection().await;
    let read = timeout(PATIENCE, silent.read(&mut [0; 64])).await.expect("it is ended");
    assert_eq!(read.unwrap(), 0);
}
