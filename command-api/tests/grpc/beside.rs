//! What stands beside the service: health and reflection.

use crate::client::{channel, details};
use crate::support::{Replica, Store, eventually};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_client};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

const BOOKS: &str = "bookstock.v1.Books";

async fn health(client: &health_client::HealthClient<Channel>, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    client.clone().check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn the_service_is_healthy_while_its_store_answers() {
    let mut store = Store::start().await;
    let replica = Replica::hurried(&store).await;
    let client = HealthClient::new(channel(&replica).await);
    let watching = HealthCheckRequest { service: BOOKS.to_owned() };
    let mut watched = client.clone().watch(watching).await.unwrap().into_inner();
    for (down, expected) in [(false, ServingStatus::Serving), (true, ServingStatus::NotServing)] {
        if down {
            store.kill().await;
        }
        for service in ["", BOOKS] {
            eventually("the health", async || health(&client, service).await == expected).await;
        }
        while watched.next().await.unwrap().unwrap().status() != expected {}
    }
    let unknown = HealthCheckRequest { service: "bookstock.v1.Films".to_owned() };
    assert_eq!(client.clone().check(unknown).await.unwrap_err().code(), Code::NotFound);

    // Who watches is let go when the service ends.
    drop(replica);
    eventually("the end", async || !matches!(watched.next().await, Some(Ok(_)))).await;
}

#[tokio::test]
async fn only_so_many_watch_and_a_probe_is_answered_all_the_same() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let client = HealthClient::new(channel(&replica).await);
    let watch = async || client.clone().watch(HealthCheckRequest::default()).await;
    let mut watching = Vec::new();
    let refused = loop {
        match watch().await {
            Ok(stream) => watching.push(stream),
            Err(status) => break status,
        }
    };
    details(&refused, Code::Unavailable, "OVERLOADED");
    assert!(watching.len() < 100, "{}", watching.len());
    eventually("the health", async || health(&client, "").await == ServingStatus::Serving).await;
    watching.pop();
    eventually("there is room again", async || watch().await.is_ok()).await;
}

#[tokio::test]
async fn the_service_describes_itself() {
    let store = Store::start().await;
    let replica = Replica::start(&store).await;
    let mut client = ServerReflectionClient::new(channel(&replica).await);
    let mut ask = async |question: MessageRequest| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
        let answer: ServerReflectionResponse = answers.into_inner().next().await.unwrap().unwrap();
        answer.message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(services) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    for name in [BOOKS, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.iter().any(|listed| listed == name), "{name} is not in {names:?}");
    }
    let MessageResponse::FileDescriptorResponse(files) =
        ask(MessageRequest::FileContainingSymbol(format!("{BOOKS}.Warehouse"))).await
    else {
        panic!("no definition");
    };
    let definition = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    assert!(definition.contains("bookstock/v1/books.proto") && definition.contains("expected_revision"));
}
