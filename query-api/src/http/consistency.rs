//! `minPosition` and `wait`: an answer is never silently older than its reader asks for.

use super::parameters::Parameters;
use crate::problem;
use read_model::{At, BookId, Reader, ReaderError};
use service_kit::Problem;
use std::time::Duration;
use tokio::time::Instant;

/// How long a reader waits if it does not say, in milliseconds.
const DEFAULT_WAIT_MS: u64 = 2_000;

/// The longest that a reader can wait, in milliseconds.
const MAX_WAIT_MS: u64 = 10_000;

/// The pause before reading again what was older than the position that was announced: a database that crashed may
/// have lost its last moments.
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait before looking again whether there is still a database to wait for.
const LOOK: Duration = Duration::from_millis(500);

/// How fresh an answer has to be, and how long its reader waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    min_position: u64,
    wait: Duration,
}

impl Freshness {
    pub(super) fn of(parameters: &mut Parameters) -> Result<Self, Problem> {
        let min_position = parameters.number("minPosition")?.unwrap_or(0);
        let wait_ms = parameters.number_in("wait", 0..=MAX_WAIT_MS)?.unwrap_or(DEFAULT_WAIT_MS);
        Ok(Self { min_position, wait: Duration::from_millis(wait_ms) })
    }

    /// As fresh as this, and no older than `position`.
    pub(super) fn at_least(self, position: u64) -> Self {
        Self { min_position: self.min_position.max(position), ..self }
    }

    /// Whether what is of this position is fresh enough.
    pub(super) fn is_met_at(self, position: u64) -> bool {
        position >= self.min_position
    }

    /// What `ask` answers of `book`, once that is fresh enough. A book whose stream waits will not be, however far the
    /// others have come. That is asked first: a stream that goes on in between is answered, and none that waits.
    pub(super) async fn read_of<T, Asked>(
        self,
        book: BookId,
        reader: &Reader,
        ask: impl Fn() -> Asked,
    ) -> Result<At<T>, Problem>
    where
        Asked: Future<Output = Result<At<T>, ReaderError>>,
    {
        if self.min_position > 0 {
            let parked = self.read(reader, || reader.parked(book)).await?;
            if let Some(position) = parked.value.filter(|position| *position <= self.min_position) {
                return Err(problem::parked(book, position, parked.position));
            }
        }
        self.read(reader, ask).await
    }

    /// What `ask` answers, once that is fresh enough. The snapshot of the answer itself is the proof; it is asked for
    /// first, so that a database which is away is told at once.
    pub(super) async fn read<T, Asked>(
        self,
        reader: &Reader,
        ask: impl Fn() -> Asked,
    ) -> Result<At<T>, Problem>
    where
        Asked: Future<Output = Result<At<T>, ReaderError>>,
    {
        let deadline = Instant::now() + self.wait;
        let mut pause = Duration::ZERO;
        let mut is_last = false;
        loop {
            let answer = ask().await.map_err(|error| problem::of_reading(&error))?;
            if self.is_met_at(answer.position) {
                return Ok(answer);
            }
            if answer.stale {
                return Err(problem::out(answer.position));
            }
            // What was announced need not be where this is read: that may be a replica which lags behind.
            if is_last {
                return Err(problem::behind(self.min_position, answer.position));
            }
            tokio::time::sleep(pause).await;
            let left = deadline.saturating_duration_since(Instant::now());
            let reached = reader.wait_for(self.min_position, left.min(LOOK)).await;
            if reached.is_err() && left <= LOOK {
                return Err(problem::behind(self.min_position, answer.position.max(reader.position())));
            }
            is_last = Instant::now() >= deadline;
            pause = PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Freshness, Problem> {
        Freshness::of(&mut Parameters::from(query))
    }

    #[test]
    fn any_answer_is_fresh_enough_for_who_does_not_say() {
        assert_eq!(asked("").unwrap(), Freshness { min_position: 0, wait: Duration::from_secs(2) });
    }

    #[test]
    fn a_reader_waits_for_ten_seconds_at_most() {
        let patient = Freshness { min_position: 42, wait: Duration::from_secs(10) };
        assert_eq!(asked("minPosition=42&wait=10000").unwrap(), patient);
        assert_eq!(asked("wait=10001").unwrap_err().name(), "invalid-parameter");
        assert_eq!(asked("minPosition=latest").unwrap_err().name(), "invalid-parameter");
    }
}
