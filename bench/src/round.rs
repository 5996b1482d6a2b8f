//! What one round of one contestant gave.

use crate::cpu::{self, Server};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Latencies in nanoseconds, to three digits.
pub(crate) type Latencies = Histogram<u64>;

/// What was counted in one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Calls answered, or events read.
    pub(crate) count: u64,
    /// In what time.
    pub(crate) elapsed: Duration,
    /// How long each took, where they were taken one by one.
    pub(crate) latencies: Option<Latencies>,
    /// The processor time of the servers, by program.
    pub(crate) servers: cpu::Used,
    /// The processor time of this process.
    pub(crate) generator: Duration,
}

impl Round {
    /// Calls or events in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.counted() / self.elapsed.as_secs_f64()
    }

    /// Microseconds of `used` for each call or event.
    pub(crate) fn micros_each(&self, used: Duration) -> f64 {
        used.as_secs_f64() * 1e6 / self.counted()
    }

    #[allow(clippy::cast_precision_loss, reason = "no run counts to 2^53")]
    fn counted(&self) -> f64 {
        self.count as f64
    }
}

/// An empty collection of latencies.
pub(crate) fn latencies() -> anyhow::Result<Latencies> {
    Ok(Histogram::new(3)?)
}

/// Takes one latency in.
pub(crate) fn record(latencies: &mut Latencies, took: Duration) {
    // It grows as needed, and every duration that can be waited for has its place.
    let _ = latencies.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}

/// Time and processor time from now on.
pub(crate) struct Meter {
    servers: Vec<Server>,
    used: cpu::Used,
    mine: Duration,
    started: Instant,
}

impl Meter {
    /// Starts; `servers` are those whose processor time counts.
    pub(crate) fn start(servers: &[Server]) -> anyhow::Result<Self> {
        Ok(Self {
            servers: servers.to_vec(),
            used: cpu::of_trees(servers)?,
            mine: cpu::of_myself()?,
            started: Instant::now(),
        })
    }

    /// Counts also a process that started since.
    pub(crate) fn also(&mut self, server: Server) {
        self.servers.push(server);
    }

    /// The round that ends now, in which so many calls or events were counted.
    pub(crate) fn stop(self, count: u64, latencies: Option<Latencies>) -> anyhow::Result<Round> {
        let elapsed = self.started.elapsed();
        Ok(Round {
            count,
            elapsed,
            latencies,
            servers: cpu::between(&self.used, &cpu::of_trees(&self.servers)?),
            generator: cpu::of_myself()?.saturating_sub(self.mine),
        })
    }
}
