//! Metrics for Prometheus: one registry a process, shown by `GET /metrics` of every service in it.
//!
//! A metric is a `static` beside the code that it counts, with its name, its help and its labels; that is the one
//! place that describes it. `docs/metrics.md` lists them all, and `cargo xtask house-rules` compares the two.

mod process;

use metrics::{Label, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// The media type of the answer.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often what histograms were told is put away, so that it takes no memory while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// The bounds of a histogram of durations, in seconds, and of one of counts.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const COUNTS: [f64; 13] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// What is known of a metric of any kind.
#[derive(Debug)]
struct Description<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    told: Once,
}

impl<const N: usize> Description<N> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self { name, help, labels, told: Once::new() }
    }

    fn labels(&self, values: [SharedString; N]) -> Vec<Label> {
        self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, value)).collect()
    }

    /// Nothing is described before the registry is there to hear it.
    fn tell(&self, tell: impl FnOnce(&'static str, &'static str)) {
        self.told.call_once(|| {
            registry();
            tell(self.name, self.help);
        });
    }
}

/// How often something happened since the process began. Its name ends in `_total`.
#[derive(Debug)]
pub struct Counter<const N: usize>(Description<N>);

impl<const N: usize> Counter<N> {
    /// A counter with these labels.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self(Description::new(name, help, labels))
    }

    /// The counter for these values of its labels, in their order. Whoever counts often keeps it.
    pub fn of(&self, values: [SharedString; N]) -> metrics::Counter {
        self.0.tell(|name, help| metrics::describe_counter!(name, Unit::Count, help));
        metrics::counter!(self.0.name, self.0.labels(values))
    }
}

/// How much of something there is now.
#[derive(Debug)]
pub struct Gauge<const N: usize>(Description<N>);

impl<const N: usize> Gauge<N> {
    /// A gauge with these labels.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self(Description::new(name, help, labels))
    }

    /// The gauge for these values of its labels, in their order.
    pub fn of(&self, values: [SharedString; N]) -> metrics::Gauge {
        self.0.tell(|name, help| metrics::describe_gauge!(name, help));
        metrics::gauge!(self.0.name, self.0.labels(values))
    }
}

/// How something is spread: durations in seconds if its name ends in `_seconds`, else counts.
#[derive(Debug)]
pub struct Histogram<const N: usize>(Description<N>);

impl<const N: usize> Histogram<N> {
    /// A histogram with these labels.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self(Description::new(name, help, labels))
    }

    /// The histogram for these values of its labels, in their order.
    pub fn of(&self, values: [SharedString; N]) -> metrics::Histogram {
        self.0.tell(|name, help| metrics::describe_histogram!(name, help));
        metrics::histogram!(self.0.name, self.0.labels(values))
    }
}

/// Everything as Prometheus reads it.
pub(crate) fn text() -> String {
    process::measure();
    registry().map(|registry| process::told(&registry.render())).unwrap_or_default()
}

/// The registry of this process, made when it is first needed. Should something else have taken that place, ours
/// stays away and there is nothing to show.
fn registry() -> Option<&'static PrometheusHandle> {
    static REGISTRY: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let made = REGISTRY
        .get_or_init(|| install().inspect_err(|error| tracing::error!(%error, "there are no metrics")).ok());
    made.as_ref()
}

fn install() -> Result<PrometheusHandle, Box<dyn std::error::Error>> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    let upkeep = handle.clone();
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(UPKEEP);
            upkeep.run_upkeep();
        }
    })?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOOKED: Counter<1> = Counter::new("test_booked_total", "What a test booked.", ["kind"]);
    static TOOK: Histogram<0> = Histogram::new("test_took_seconds", "How long a test took.", []);
    static OPEN: Gauge<0> = Gauge::new("test_open", "What a test has open.", []);

    #[test]
    fn a_metric_is_shown_with_its_help_its_labels_and_its_bounds() {
        BOOKED.of(["a\"b".into()]).increment(2);
        TOOK.of([]).record(0.3);
        OPEN.of([]).set(7.0);
        let text = text();
        for line in [
            "# HELP test_booked_total What a test booked.",
            "# TYPE test_booked_total counter",
            "test_booked_total{kind=\"a\\\"b\"} 2",
            "test_took_seconds_bucket{le=\"0.25\"} 0",
            "test_took_seconds_bucket{le=\"0.5\"} 1",
            "test_took_seconds_count 1",
            "test_open 7",
            "# TYPE process_cpu_seconds_total counter",
            "# TYPE process_threads gauge",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in:\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
