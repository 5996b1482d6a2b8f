//! Giving way: while commands are booked, what is built beside them is built in short bursts, with rests between them.

use crate::log;
use crate::tell::note;
use event_store::Kurrent;
use read_model::database::Connection;
use rustix::process::{Pid, getpriority_process, setpriority_process};
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

/// How far this program stands behind the services: where both want all of a processor, it gets a thirtieth of it, if the
/// system weighs them as one group. Queries in one process with commands stand behind those by 10.
const BEHIND: i32 = 15;

/// Has all threads of this process stand behind those of the services, if they are started after this.
pub(crate) fn step_behind() {
    // To Linux, the process is the thread that asks.
    let stepped = getpriority_process(None).and_then(|place| setpriority_process(None, place + BEHIND));
    if let Err(error) = stepped {
        note(format_args!("it runs beside the services, not behind them: {error}"));
    }
}

/// Has the process of a private PostgreSQL that works for this connection stand as far behind: it works for nobody else, and
/// has a priority of its own. `postmaster` is the server's process. What cannot be done is left.
pub(crate) async fn step_postgres_behind(postmaster: Option<u32>, connection: &Connection) {
    let (Some(postmaster), Ok(backend)) = (postmaster, connection.backend().await) else { return };
    // A number means another process on another machine, or in another container.
    if parent_of(backend) != Some(postmaster) {
        return;
    }
    let stepped = Pid::from_raw(backend).map(|pid| setpriority_process(Some(pid), BEHIND));
    // Each process of PostgreSQL is a session, and some systems weigh sessions before they weigh what is in them.
    let of_session = std::fs::write(format!("/proc/{backend}/autogroup"), BEHIND.to_string());
    tracing::debug!(backend, ?stepped, ?of_session, "PostgreSQL works for this behind the services");
}

/// The process that started this one.
fn parent_of(process: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name stands in brackets and may hold any character; its state and its parent come behind.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// How many events are written at once for now.
#[derive(Clone)]
pub(crate) struct Burst(Arc<AtomicUsize>);

impl Burst {
    pub(crate) fn events(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sees whether commands are booked, and rests if they are.
pub(crate) struct GiveWay {
    seen: Option<Seen>,
    burst: Burst,
}

/// The log as it was seen after a burst, in positions: where it ended, and how far from there was what is being built.
#[derive(Clone, Copy)]
struct Seen {
    end: u64,
    behind: u64,
}

impl GiveWay {
    pub(crate) fn new() -> Self {
        Self { seen: None, burst: Burst(Arc::new(AtomicUsize::new(ALONE))) }
    }

    pub(crate) fn burst(&self) -> Burst {
        self.burst.clone()
    }

    /// Rests after a burst that took so long and led to position `at`, if the log grew meanwhile. If it grew faster than
    /// what is being built, there is no rest, or that would never be ready.
    pub(crate) async fn rest(&mut self, store: &Kurrent, at: u64, took: Duration) {
        // With a store that is away, nobody books. Whoever reads its log says so.
        let Some(end) = end(store).await else { return };
        let now = Seen { end, behind: end.saturating_sub(at) };
        let rests = self.seen.is_some_and(|before| now.grew_and_is_caught_up_with(before));
        self.burst.0.store(if rests { BESIDE_OTHERS } else { ALONE }, Ordering::Relaxed);
        self.seen = Some(now);
        if rests {
            tokio::time::sleep(took.saturating_mul(RESTS).min(LONGEST)).await;
            // What comes during the rest is no sign of commands beside the next burst.
            self.seen = self::end(store).await.map(|end| Seen { end, ..now });
        }
    }
}

impl Seen {
    fn grew_and_is_caught_up_with(self, before: Self) -> bool {
        self.end > before.end && self.behind < before.behind
    }
}

async fn end(store: &Kurrent) -> Option<u64> {
    let last = log::last(store).await.ok()?;
    Some(last.map_or(0, |event| event.position.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_of_a_process_is_who_started_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(parent_of(child.id().cast_signed()), Some(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn it_rests_beside_commands_as_long_as_it_catches_up_with_them() {
        let before = Seen { end: 100, behind: 50 };
        let rests = |end, behind| Seen { end, behind }.grew_and_is_caught_up_with(before);
        assert!(rests(101, 49), "commands, and it gains on them");
        assert!(!rests(100, 20), "no commands");
        assert!(!rests(160, 50), "commands as fast as it is");
    }
}
