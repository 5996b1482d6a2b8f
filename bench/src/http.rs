//! One kept-alive HTTP/1.1 connection, as thin as it gets.

use crate::load::Call;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection to one server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

/// What is asked on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    /// Nothing, or of this media type.
    pub(crate) body: Bytes,
    pub(crate) media_type: HeaderValue,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

impl Question {
    /// A query.
    pub(crate) fn get(target: &str) -> anyhow::Result<Self> {
        Ok(Self { method: Method::GET, target: target.parse()?, body: Bytes::new(), media_type: JSON })
    }

    /// A command with a JSON body.
    pub(crate) fn post(target: &str, body: impl Into<Bytes>) -> anyhow::Result<Self> {
        Ok(Self { method: Method::POST, target: target.parse()?, body: body.into(), media_type: JSON })
    }

    /// A list, one JSON object a line.
    pub(crate) fn post_lines(target: &str, lines: impl Into<Bytes>) -> anyhow::Result<Self> {
        Ok(Self { media_type: NDJSON, ..Self::post(target, lines)? })
    }
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(addr).await.with_context(|| format!("no connection to {addr}"))?;
        tcp.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(tcp)).await?;
        // Its error is seen by the sender too.
        tokio::spawn(connection);
        Ok(Self { sender, host: HeaderValue::try_from(addr.to_string())? })
    }

    /// Asks; the body of the answer is still to be read.
    pub(crate) async fn send(&mut self, question: &Question) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(question.body.clone()));
        *request.method_mut() = question.method.clone();
        *request.uri_mut() = question.target.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        if !question.body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, question.media_type.clone());
        }
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn ask(&mut self, question: &Question) -> anyhow::Result<(StatusCode, Bytes)> {
        let response = self.send(question).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Asks for events without an end.
    pub(crate) async fn follow(mut self, question: &Question) -> anyhow::Result<Following> {
        let response = self.send(question).await?;
        ensure!(
            response.status().is_success(),
            "{} was answered with {}",
            question.target,
            response.status()
        );
        Ok(Following { body: response.into_body(), _sender: self.sender })
    }

    /// Asks, and reads the JSON of the answer, which has to be a 2xx.
    pub(crate) async fn ask_json<T: DeserializeOwned>(&mut self, question: &Question) -> anyhow::Result<T> {
        let (status, body) = self.ask(question).await?;
        ensure!(status.is_success(), refused(question, status, &body));
        Ok(serde_json::from_slice(&body)?)
    }
}

/// A connection on which server-sent events come.
pub(crate) struct Following {
    body: Incoming,
    /// Whoever lets go of it closes the connection.
    _sender: SendRequest<Full<Bytes>>,
}

impl Following {
    /// The id of the next event. Each comes in one piece, as it is sent.
    pub(crate) async fn next(&mut self) -> anyhow::Result<u64> {
        loop {
            let frame = self.body.frame().await.context("the events ended")??;
            let data = frame.data_ref().map(|data| String::from_utf8_lossy(data)).unwrap_or_default();
            if let Some(id) = data.lines().find_map(|line| line.strip_prefix("id: ")) {
                return Ok(id.parse()?);
            }
        }
    }
}

/// A caller on its own connection, who asks what `next` says and expects 2xx.
pub(crate) struct Asking<F> {
    connection: Connection,
    next: F,
}

impl<F: FnMut() -> Question + Send + 'static> Asking<F> {
    pub(crate) async fn connect(addr: SocketAddr, next: F) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::open(addr).await?, next })
    }
}

impl<F: FnMut() -> Question + Send + 'static> Call for Asking<F> {
    async fn call(&mut self) -> anyhow::Result<()> {
        let question = (self.next)();
        let response = self.connection.send(&question).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            anyhow::bail!(refused(&question, status, &body.collect().await?.to_bytes()));
        }
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(())
    }
}

fn refused(question: &Question, status: StatusCode, body: &[u8]) -> String {
    let Question { method, target, .. } = question;
    format!("{method} {target} was answered with {status}: {}", String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::{get, post};

    async fn serve(routes: Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        addr
    }

    #[tokio::test]
    async fn one_connection_asks_again_and_again() {
        let addr = serve(Router::new().route("/", post(|body: String| async move { body }))).await;
        let mut connection = Connection::open(addr).await.unwrap();
        for number in 0..3 {
            let question = Question::post("/", number.to_string()).unwrap();
            assert_eq!(connection.ask_json::<u32>(&question).await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_that_tells_what_was_asked_and_answered() {
        let refusing = get(|| async { (StatusCode::CONFLICT, "elsewhere") });
        let addr = serve(Router::new().route("/books/1", refusing)).await;
        let question = Question::get("/books/1").unwrap();
        let mut caller = Asking::connect(addr, move || question.clone()).await.unwrap();
        let error = caller.call().await.unwrap_err().to_string();
        assert_eq!(error, "GET /books/1 was answered with 409 Conflict: elsewhere");
    }
}
