//! Where spans go: a queue, and the thread that sends what is in it to the collector.

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry_otlp::SpanExporter as ByOtlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Where the collector is; either is enough.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How it is spoken to, if somebody says so.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// The one protocol there is.
const PROTOCOL: &str = "http/protobuf";

/// How long the end of the process waits for the last spans to be sent.
const LAST_SPANS_WITHIN: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Who makes the spans, if they are wanted.
pub(super) fn provider() -> Option<&'static SdkTracerProvider> {
    PROVIDER.get()
}

/// From here on this process, which is a `service`, sends its spans to the collector that the environment names, if it does.
/// Whether the collector is there does not matter.
///
/// # Errors
/// When its address or its protocol cannot be understood.
pub fn start(service: &str) -> anyhow::Result<()> {
    let disabled = told("OTEL_SDK_DISABLED").is_some_and(|told| told.eq_ignore_ascii_case("true"));
    let Some(endpoint) = ENDPOINTS.into_iter().find(|name| told(name).is_some()).filter(|_| !disabled) else {
        return Ok(());
    };
    if let Some(protocol) = PROTOCOLS.into_iter().find_map(told) {
        anyhow::ensure!(
            protocol == PROTOCOL,
            "traces are sent as {PROTOCOL} and not as {protocol}; leave OTEL_EXPORTER_OTLP_PROTOCOL out and name the \
             collector's port for HTTP, usually 4318"
        );
    }
    let exporter = ByOtlp::builder()
        .with_http()
        .build()
        .with_context(|| format!("{endpoint} is no address, such as http://localhost:4318"))?;
    let exporter = Telling { exporter, lost: AtomicBool::new(false) };
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(service)).build();
    // Should somebody else have started already, one of them is enough.
    let _ = PROVIDER.set(provider);
    Ok(())
}

/// Sends what is still to be sent, as far as that does not take long.
pub async fn stop() {
    let Some(provider) = provider() else { return };
    let stopped = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(LAST_SPANS_WITHIN)).await;
    if let Ok(Err(error)) = stopped {
        tracing::warn!(%error, "the last spans may not have reached the collector");
    }
}

/// Who we are, for the collector. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
fn resource(service: &str) -> Resource {
    #[allow(clippy::disallowed_methods, reason = "nothing is derived from the name of a process")]
    let instance = Uuid::new_v4().to_string();
    let ours = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service.to_owned()),
            KeyValue::new("service.namespace", "bookstock"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .build();
    let ours = ours.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let named = told("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    let environment = opentelemetry_sdk::resource::EnvResourceDetector::new();
    Resource::builder_empty()
        .with_attributes(ours)
        .with_detector(Box::new(environment))
        .with_attributes(named)
        .build()
}

/// What the environment says, unless it is empty: that is how compose files leave something out.
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Sends spans, and says when the collector is lost and when it is back; spans that cannot be sent are dropped.
#[derive(Debug)]
struct Telling {
    exporter: ByOtlp,
    lost: AtomicBool,
}

impl SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        let was_lost = self.lost.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !was_lost => {
                tracing::warn!(%error, "traces do not reach the collector; they are dropped until it is back");
            }
            Ok(()) if was_lost => tracing::info!("traces reach the collector again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
