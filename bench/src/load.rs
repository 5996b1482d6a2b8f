//! The closed loop: so many callers, each with one call under way at any time.

use crate::cpu::Server;
use crate::round::{self, Latencies, Meter, Round};
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long to warm up, and how long to measure then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Not measured.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) measured: Duration,
}

impl Span {
    /// Measures so long, after a fifth of it as warm-up.
    pub(crate) fn of(measured: Duration) -> Self {
        Self { warm_up: measured / 5, measured }
    }
}

/// Someone who calls.
pub(crate) trait Call: Send + 'static {
    /// Makes one call and reads its whole answer. An answer other than the right one is an error, and ends the run:
    /// a rate of failures is no rate.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Lets all `callers` call for the span. `servers` are those whose processor time it costs.
pub(crate) async fn closed_loop<C: Call>(
    callers: Vec<C>,
    span: Span,
    servers: &[Server],
) -> anyhow::Result<Round> {
    let from = Instant::now() + span.warm_up;
    let until = from + span.measured;
    let mut calling = JoinSet::new();
    for caller in callers {
        calling.spawn(keep_calling(caller, from, until));
    }
    tokio::time::sleep_until(from).await;
    let meter = Meter::start(servers)?;
    tokio::time::sleep_until(until).await;
    let mut round = meter.stop(0, None)?;

    let mut latencies = round::latencies()?;
    while let Some(called) = calling.join_next().await {
        latencies.add(called??)?;
    }
    round.count = latencies.len();
    round.elapsed = span.measured;
    round.latencies = Some(latencies);
    Ok(round)
}

/// Lets the `callers` together make so many calls a second for the span, whether or not they are answered in time. A call
/// takes from when it was due.
pub(crate) async fn paced<C: Call>(callers: Vec<C>, per_second: u32, span: Span) -> anyhow::Result<Round> {
    let count = u32::try_from(callers.len())?;
    let period = Duration::from_secs(1) * count / per_second;
    let (began, meter) = (Instant::now(), Meter::start(&[])?);
    let (from, until) = (began + span.warm_up, began + span.warm_up + span.measured);
    let mut calling = JoinSet::new();
    for (caller, turn) in callers.into_iter().zip(0..) {
        calling.spawn(keep_pace(caller, began + period * turn / count, period, from, until));
    }
    let mut latencies = round::latencies()?;
    while let Some(called) = calling.join_next().await {
        latencies.add(called??)?;
    }
    let mut round = meter.stop(latencies.len(), Some(latencies))?;
    round.elapsed = span.measured;
    Ok(round)
}

async fn keep_pace<C: Call>(
    mut caller: C,
    mut due: Instant,
    period: Duration,
    from: Instant,
    until: Instant,
) -> anyhow::Result<Latencies> {
    let mut latencies = round::latencies()?;
    while due < until {
        tokio::time::sleep_until(due).await;
        caller.call().await?;
        if due >= from {
            round::record(&mut latencies, due.elapsed());
        }
        due += period;
    }
    Ok(latencies)
}

async fn keep_calling<C: Call>(mut caller: C, from: Instant, until: Instant) -> anyhow::Result<Latencies> {
    let mut latencies = round::latencies()?;
    loop {
        let began = Instant::now();
        caller.call().await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok(latencies);
        }
        if ended >= from {
            round::record(&mut latencies, ended - began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    /// Counts the calls that were made, and the most that were under way at once.
    #[derive(Clone, Default)]
    struct Counting(Arc<(AtomicU64, AtomicU64, AtomicU64)>);

    impl Call for Counting {
        async fn call(&mut self) -> anyhow::Result<()> {
            let (made, under_way, most) = &*self.0;
            made.fetch_add(1, Relaxed);
            most.fetch_max(under_way.fetch_add(1, Relaxed) + 1, Relaxed);
            tokio::task::yield_now().await;
            under_way.fetch_sub(1, Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_caller_has_one_call_under_way_and_the_warm_up_does_not_count() {
        let calls = Counting::default();
        let span = Span { warm_up: Duration::from_millis(20), measured: Duration::from_millis(20) };
        let round = closed_loop(vec![calls.clone(); 4], span, &[]).await.unwrap();
        let (made, under_way, most) = &*calls.0;
        assert_eq!((under_way.load(Relaxed), most.load(Relaxed)), (0, 4));
        assert!(round.count > 0 && round.count < made.load(Relaxed));
        assert_eq!(round.latencies.unwrap().len(), round.count);
    }

    #[tokio::test]
    async fn paced_callers_make_as_many_calls_as_are_due() {
        let span = Span { warm_up: Duration::from_millis(20), measured: Duration::from_millis(100) };
        let round = paced(vec![Counting::default(); 4], 1_000, span).await.unwrap();
        assert_eq!((round.count, round.elapsed), (100, span.measured));
    }

    struct Refused;

    impl Call for Refused {
        async fn call(&mut self) -> anyhow::Result<()> {
            anyhow::bail!("refused")
        }
    }

    #[tokio::test]
    async fn a_wrong_answer_ends_the_run() {
        let span = Span::of(Duration::from_millis(10));
        assert!(closed_loop(vec![Refused], span, &[]).await.is_err());
    }
}
