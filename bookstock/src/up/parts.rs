//! The parts of the system that run side by side.

use anyhow::anyhow;
use futures_util::future::{FutureExt as _, select_all};
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// The running parts, in the order of their start.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<Part>);

#[derive(Debug)]
struct Part {
    name: &'static str,
    stop: CancellationToken,
    stops_within: Duration,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Parts {
    /// Starts a part, which works until its token is cancelled. It is stopped before all that were started before it.
    /// Its first step is taken here and now, so that the checks it registers are there when readiness is asked for.
    pub(super) fn add<W>(
        &mut self,
        name: &'static str,
        stops_within: Duration,
        work: impl FnOnce(CancellationToken) -> W,
    ) where
        W: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let mut work = Box::pin(work(stop.clone()));
        let task = match (&mut work).now_or_never() {
            None => tokio::spawn(work),
            Some(ended) => tokio::spawn(std::future::ready(ended)),
        };
        self.0.push(Part { name, stop, stops_within, task });
    }

    /// Waits for the first part that ends without having been told to, and tells why it did.
    pub(super) async fn failure(&mut self) -> anyhow::Error {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let (ended, index, _) = select_all(self.0.iter_mut().map(|part| &mut part.task)).await;
        let name = self.0.remove(index).name;
        match flat(ended) {
            Ok(()) => anyhow!("{name} ended by itself"),
            Err(error) => error.context(format!("{name} failed")),
        }
    }

    /// Stops all parts, the last one first.
    pub(super) async fn stop(self) {
        for Part { name, stop, stops_within, mut task } in self.0.into_iter().rev() {
            stop.cancel();
            match tokio::time::timeout(stops_within, &mut task).await.map(flat) {
                Ok(Ok(())) => tracing::debug!(part = name, "stopped"),
                Ok(Err(error)) => {
                    tracing::warn!(part = name, error = format!("{error:#}"), "failed while stopping");
                }
                Err(_) => {
                    task.abort();
                    tracing::warn!(
                        part = name,
                        waited_secs = stops_within.as_secs(),
                        "did not stop and was cut off"
                    );
                }
            }
        }
    }
}

fn flat(ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended.map_err(anyhow::Error::from).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    const LONG: Duration = Duration::from_secs(60);

    async fn until(stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn the_last_part_that_was_started_is_stopped_first() {
        let stopped = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["store", "projector", "listeners"] {
            let stopped = Arc::clone(&stopped);
            parts.add(name, LONG, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        parts.stop().await;
        assert_eq!(*stopped.lock().unwrap(), ["listeners", "projector", "store"]);
    }

    #[tokio::test]
    async fn a_part_that_fails_ends_or_panics_is_named_with_its_reason() {
        let mut parts = Parts::default();
        parts.add("steady", LONG, until);
        parts.add("unlucky", LONG, |_| async { Err(anyhow!("the disk is full")) });
        assert_eq!(format!("{:#}", parts.failure().await), "unlucky failed: the disk is full");
        parts.add("lazy", LONG, |_| async { Ok(()) });
        assert_eq!(format!("{:#}", parts.failure().await), "lazy ended by itself");
        parts.add("broken", LONG, |_| async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        assert!(format!("{:#}", parts.failure().await).contains("broken failed: "));
        parts.stop().await;
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_is_cut_off() {
        let mut parts = Parts::default();
        parts.add("stubborn", Duration::from_millis(1), |_| std::future::pending());
        tokio::time::timeout(LONG, parts.stop()).await.unwrap();
    }
}
