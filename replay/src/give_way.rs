//! Giving way: while commands are booked, what is built beside them is built in short bursts, with rests between them.

use crate::tell::note;
use read_model::database::Connection;
use read_model::{DatabaseError, generation};
use rustix::process::{getpriority_process, setpriority_process};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The events that go into the tables in one transaction. As long as nobody else writes: many, so that a row of a book that
/// many of them are about is written once, and few enough for the memory of a small machine, which has up to three batches to
/// hold: one that is being written, one that waits, and one that is being gathered. Else few, so that nobody waits long.
const ALONE: usize = 8_192;
const BESIDE_OTHERS: usize = 1_024;

/// How long a rest takes: so many times what the burst before it took, and no longer than this.
const RESTS: u32 = 2;
const LONGEST: Duration = Duration::from_millis(200);

/// How far this program stands behind the services: where both want all of a processor, it gets a thirtieth of it. Queries
/// in one process with commands stand behind those by 10.
const BEHIND: i32 = 15;

/// Has all threads of this process stand behind those of the services, if they are started after this.
pub(crate) fn step_behind() {
    // To Linux, the process is the thread that asks.
    let stepped = getpriority_process(None).and_then(|place| setpriority_process(None, place + BEHIND));
    if let Err(error) = stepped {
        note(format_args!("it runs beside the services, not behind them: {error}"));
    }
}

/// Sees whether others write, and rests if they do.
pub(crate) struct GiveWay {
    /// Where the generation that serves stood when it was last looked at.
    seen: Option<u64>,
    burst: Burst,
}

/// How many events are written at once for now.
#[derive(Clone)]
pub(crate) struct Burst(Arc<AtomicUsize>);

impl Burst {
    pub(crate) fn events(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl GiveWay {
    pub(crate) fn new() -> Self {
        Self { seen: None, burst: Burst(Arc::new(AtomicUsize::new(ALONE))) }
    }

    pub(crate) fn burst(&self) -> Burst {
        self.burst.clone()
    }

    /// Rests after a burst that took so long, if the generation that serves has moved on meanwhile: somebody books, and
    /// somebody projects.
    pub(crate) async fn rest(
        &mut self,
        connection: &Connection,
        took: Duration,
    ) -> Result<(), DatabaseError> {
        let stands = generation::position_served(connection).await?;
        let others = self.seen.is_some() && stands != self.seen;
        self.seen = stands;
        self.burst.0.store(if others { BESIDE_OTHERS } else { ALONE }, Ordering::Relaxed);
        if others {
            tokio::time::sleep(took.saturating_mul(RESTS).min(LONGEST)).await;
            // What moved during the rest is no sign of others beside the next burst.
            self.seen = generation::position_served(connection).await?;
        }
        Ok(())
    }
}
