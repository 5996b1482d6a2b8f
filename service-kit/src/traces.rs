//! Traces: what one request caused, in whichever process, as spans that are sent to an OpenTelemetry collector by OTLP
//! (ADR 0016).
//!
//! Without a collector's address there are no spans: each of these calls then looks at one flag and returns. With one, a span
//! is put in a queue of bounded length and sent by a thread of its own; nobody ever waits for the collector.

mod collector;

pub use collector::{start, stop};

use crate::clock;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use collector::provider;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::Span as Recorded;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The header in which a trace comes in and goes on (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";

/// What a span is, seen from the one who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It answers a request.
    Answers,
    /// It asks another process.
    Asks,
    /// It hears what another process has told.
    Hears,
    /// It tells whoever wants to hear it.
    Tells,
}

/// Something that takes a while, as part of a trace; it ends when it is dropped. Without a collector it is nothing.
#[derive(Debug)]
pub struct Span(Option<Recorded>);

/// Whether spans are sent anywhere.
#[must_use]
pub fn is_on() -> bool {
    provider().is_some()
}

impl Span {
    /// What is in nobody's trace.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// What `part` begins to do, caused by the first of `parents`, each a `traceparent`, and linked to the others. Without
    /// any it begins a trace of its own.
    pub fn begin<'a>(
        part: &'static str,
        role: Role,
        name: impl FnOnce() -> String,
        parents: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        // The commands of one list come in one trace.
        let distinct = || {
            let mut parents: Vec<_> = parents.into_iter().collect();
            parents.dedup();
            parents.into_iter().map(context).collect()
        };
        Self::made(part, role, name, distinct, None)
    }

    /// What began at that time, in microseconds since 1970, which is known only now.
    pub fn begun_at(
        part: &'static str,
        role: Role,
        name: impl FnOnce() -> String,
        parent: &str,
        unix_micros: i64,
    ) -> Self {
        Self::made(part, role, name, || vec![context(parent)], Some(unix_micros))
    }

    /// The answering of a request with these headers. From here on its trace goes on below this span.
    pub(crate) fn answering(
        part: &'static str,
        name: impl FnOnce() -> String,
        headers: &mut HeaderMap,
    ) -> Self {
        let parent =
            || TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let span = Self::made(part, Role::Answers, name, || vec![parent()], None);
        if let Some(value) = span.traceparent().and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(TRACEPARENT, value);
        }
        span
    }

    fn made(
        part: &'static str,
        role: Role,
        name: impl FnOnce() -> String,
        parents: impl FnOnce() -> Vec<Context>,
        unix_micros: Option<i64>,
    ) -> Self {
        let Some(provider) = provider() else { return Self(None) };
        let tracer = provider.tracer(part);
        let mut parents = parents().into_iter();
        let parent = parents.next().unwrap_or_default();
        let links = parents.map(|other| Link::with_context(other.span().span_context().clone())).collect();
        let builder = tracer
            .span_builder(name())
            .with_kind(kind(role))
            .with_start_time(time(unix_micros.unwrap_or_else(clock::unix_micros)))
            .with_links(links);
        Self(Some(builder.start_with_context(&tracer, &parent)))
    }

    /// Adds what is known of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// It did not do what it was begun for.
    pub fn failed(&mut self, why: &str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why.to_owned()));
        }
    }

    /// It ended at that time, in microseconds since 1970.
    pub fn ended_at(mut self, unix_micros: i64) {
        if let Some(span) = &mut self.0 {
            span.end_with_timestamp(time(unix_micros));
        }
    }

    /// What carries its trace on: `00-<trace id>-<span id>-<flags>`.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        Some(format!("00-{trace}-{span}-{flags:02x}"))
    }

    /// The id of its trace, to search for.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        Some(self.0.as_ref()?.span_context().trace_id().to_string())
    }
}

/// Whether `text` is a W3C trace context of version 00 which asks to be recorded.
#[must_use]
pub fn is_recorded(text: &str) -> bool {
    context(text).span().span_context().is_sampled()
}

/// The context of a `traceparent`; an empty one if it is none.
fn context(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

fn kind(role: Role) -> SpanKind {
    match role {
        Role::Answers => SpanKind::Server,
        Role::Asks => SpanKind::Client,
        Role::Hears => SpanKind::Consumer,
        Role::Tells => SpanKind::Producer,
    }
}

fn time(unix_micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(unix_micros).unwrap_or_default())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
