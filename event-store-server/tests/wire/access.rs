//! Who may call, and how: users with passwords, and TLS.

use super::process::http;
use super::support::*;
use event_store_server::{Config, EventStoreServer, Tls, hash_password};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

async fn serve(config: Config) -> (SocketAddr, CancellationToken) {
    let server = EventStoreServer::open(config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(server.serve(listener, shutdown.clone()));
    (addr, shutdown)
}

fn read_as(credentials: Option<&str>) -> Request<streams::ReadReq> {
    let mut request = Request::new(streams::ReadReq { options: Some(all_options()) });
    if let Some(credentials) = credentials {
        request.metadata_mut().insert("authorization", credentials.parse().unwrap());
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn with_users_a_call_needs_a_name_and_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    std::fs::write(&users, hash_password("ann", "secret").unwrap()).unwrap();
    let config = Config { users: Some(users), ..Config::new(dir.path().join("data")) };
    let (addr, shutdown) = serve(config).await;
    let mut caller = client(addr).await;
    // ann:secret, ann:wrong, bob:secret
    for _ in 0..2 {
        caller.read(read_as(Some("Basic YW5uOnNlY3JldA=="))).await.expect("she is let in");
        for wrong in [None, Some("Basic YW5uOndyb25n"), Some("Basic Ym9iOnNlY3JldA=="), Some("Bearer x")] {
            let status = caller.read(read_as(wrong)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{wrong:?}: {status}");
        }
    }
    let refused = append(&mut caller, "a", any(), events([1])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut features =
        server_features::server_features_client::ServerFeaturesClient::new(channel(addr).await);
    features.get_supported_methods(Empty {}).await.expect("clients ask this before they show who they are");
    assert_eq!(http(addr, "/livez").await.0, 200);
    assert!(http(addr, "/info").await.1.contains(r#""type":"basic""#));
    shutdown.cancel();
}

fn without_content_type(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().remove("content-type").expect("the client sets it");
    Ok(request)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_say_that_it_is_one_needs_a_user_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    std::fs::write(&users, hash_password("ann", "secret").unwrap()).unwrap();
    let config = Config { users: Some(users), ..Config::new(dir.path().join("data")) };
    let (addr, shutdown) = serve(config).await;
    let channel = channel(addr).await;
    let mut caller = streams::streams_client::StreamsClient::with_interceptor(channel, without_content_type);
    let messages = append_messages("a", any(), events([1]));
    let refused = [
        caller.append(tokio_stream::iter(messages)).await.map(drop),
        caller.batch_append(tokio_stream::empty()).await.map(drop),
        caller.read(read_as(None)).await.map(drop),
        caller.delete(streams::DeleteReq::default()).await.map(drop),
        caller.tombstone(streams::TombstoneReq::default()).await.map(drop),
    ];
    for refused in refused {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    }
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_only_tls_is_spoken() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let (addr, shutdown) = serve(Config { tls: Some(tls), ..Config::new(dir.path().join("data")) }).await;

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut trusting = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    trusting.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting));
    let connect = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(addr).await?;
            let name = "localhost".try_into().expect("a name");
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connect).await.unwrap();
    let mut caller = streams::streams_client::StreamsClient::new(channel);
    append(&mut caller, "a", any(), events([1, 2])).await.unwrap();
    assert_eq!(ids(&read(&mut caller, read_options("a")).await.unwrap()), [1, 2]);

    let plain = super::support::channel(addr).await;
    let mut plain = streams::streams_client::StreamsClient::new(plain);
    append(&mut plain, "a", any(), events([3])).await.expect_err("nothing is said in the clear");
    shutdown.cancel();
}

#[test]
fn a_certificate_that_is_none_is_refused_by_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cert.pem");
    std::fs::write(&file, "not pem").unwrap();
    let tls = Tls { certificate: file.clone(), key: file.clone() };
    let error = EventStoreServer::open(Config { tls: Some(tls), ..Config::new(dir.path().join("data")) });
    let said = error.unwrap_err().to_string();
    assert!(said.contains(file.to_str().unwrap()), "{said}");
}
