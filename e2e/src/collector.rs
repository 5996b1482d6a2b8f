//! An OpenTelemetry collector: it takes spans by OTLP over HTTP, and keeps them to be looked at.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use prost::Message as _;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A running collector, on a free port.
#[derive(Debug)]
pub struct Collector {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A span as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which service sent it.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its trace, in hex.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the span above it; empty if there is none.
    pub parent: String,
    /// Whether it says that it failed.
    pub failed: bool,
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { addr, seen }
    }

    /// Its address, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans that came so far.
    ///
    /// # Panics
    /// When taking one in has failed.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn take(
    State(seen): State<Arc<Mutex<Vec<Seen>>>>,
    body: Bytes,
) -> Result<impl axum::response::IntoResponse, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    seen.lock().unwrap().extend(request.resource_spans.iter().flat_map(spans));
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    Ok(([(header::CONTENT_TYPE, "application/x-protobuf")], answer))
}

fn spans(of: &ResourceSpans) -> Vec<Seen> {
    let attributes = of.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
    let service = text(attributes, "service.name");
    let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
    let seen = spans.map(|span| Seen {
        service: service.clone(),
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        failed: span.status.as_ref().is_some_and(|status| status.code() == Outcome::Error),
    });
    seen.collect()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
