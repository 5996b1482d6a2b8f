//! The least that a unary gRPC call can do: answer the bytes it was given.

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from proto/echo.proto")]
mod protocol {
    tonic::include_proto!("bench.echo");
}

use crate::load::Call;
use bytes::Bytes;
use protocol::Payload;
use protocol::echo_client::EchoClient;
use protocol::echo_server::{Echo, EchoServer};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

struct Echoing;

#[tonic::async_trait]
impl Echo for Echoing {
    async fn say(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Answers `Say`.
pub(super) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(EchoServer::new(Echoing)).serve_with_incoming(incoming).await?;
    Ok(())
}

/// A caller of the echo. Its clones share one connection, as the callers of an event store do.
#[derive(Clone)]
pub(crate) struct Caller {
    client: EchoClient<Channel>,
    payload: Bytes,
}

impl Caller {
    /// Says `payload` each time.
    pub(crate) async fn connect(addr: SocketAddr, payload: Bytes) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?.tcp_nodelay(true).connect().await?;
        Ok(Self { client: EchoClient::new(channel), payload })
    }
}

impl Call for Caller {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.client.say(Payload { bytes: self.payload.clone() }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_echo_is_what_was_said() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        let mut caller = Caller::connect(addr, Bytes::from_static(b"hello")).await.unwrap();
        let answer = caller.client.say(Payload { bytes: caller.payload.clone() }).await.unwrap();
        assert_eq!(answer.into_inner().bytes, caller.payload);
        caller.call().await.unwrap();
    }
}
