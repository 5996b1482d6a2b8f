//! Memory that clients make this server hold: what they sent and did not finish, what they asked for and do not take, what
//! they filter by.
//!
//! Of all of it a connection has its share, so that nobody can have it all. Several together can: then who needs memory has
//! the call end that has kept others from its memory longest, and where that is not enough its connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What is counted with each answer, beside the event's data and metadata, in bytes.
const ANSWER: usize = 256;

/// One unit of memory, in bytes.
const UNIT: usize = 1024;

/// One connection may have this part of all.
const PART: usize = 4;

/// Memory may be kept from others for this part of the time that they wait for it.
const TURN: u32 = 10;

/// The memory of one connection, which its calls share.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    units: Arc<Semaphore>,
    /// Ends the connection.
    cut: CancellationToken,
}

impl Share {
    /// A share where all connections together may have `max_bytes`, of the connection that `cut` ends.
    pub(crate) fn of(max_bytes: usize, cut: CancellationToken) -> Self {
        Self { units: Arc::new(Semaphore::new(units(max_bytes / PART))), cut }
    }
}

/// What all connections share, and what one of them has.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    all: Arc<Semaphore>,
    own: Share,
    /// The most that one connection can have, in units.
    most: usize,
    /// How long may be waited for what others have.
    patience: Duration,
    /// What who waited so long is told.
    none: fn() -> Status,
    holders: Arc<Holders>,
}

impl Memory {
    pub(crate) fn new(max_bytes: usize, patience: Duration, none: fn() -> Status) -> Self {
        let own = Share::of(max_bytes, CancellationToken::new());
        let (all, most) = (Arc::new(Semaphore::new(units(max_bytes))), units(max_bytes / PART));
        Self { all, own, most, patience, none, holders: Arc::default() }
    }

    /// The same, for the calls of one connection.
    pub(crate) fn of(&self, own: Option<&Share>) -> Self {
        Self { own: own.unwrap_or(&self.own).clone(), ..self.clone() }
    }

    /// Waits for room for so many bytes, or for as much as one connection can have.
    ///
    /// # Errors
    /// When what is held, on this connection or on others, leaves none for too long.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, Status> {
        let wanted = self.wanted(bytes);
        let room = async {
            // First its own: what a connection waits for because of itself is not kept from others.
            let own = Arc::clone(&self.own.units).acquire_many_owned(wanted).await?;
            Ok(self.with(own, self.of_all(wanted).await?))
        };
        self.in_time(room).await
    }

    /// The same, where what this connection holds itself is not waited for.
    pub(crate) async fn room_beside_own(&self, bytes: usize) -> Result<Room, Status> {
        let wanted = self.wanted(bytes);
        let own = Arc::clone(&self.own.units).try_acquire_many_owned(wanted).map_err(|_| (self.none)())?;
        self.in_time(async { Ok(self.with(own, self.of_all(wanted).await?)) }).await
    }

    /// The same, where nothing is waited for.
    pub(crate) fn room_at_once(&self, bytes: usize) -> Result<Room, Status> {
        let wanted = self.wanted(bytes);
        let take = |units: &Arc<Semaphore>| {
            Arc::clone(units).try_acquire_many_owned(wanted).map_err(|_| (self.none)())
        };
        Ok(self.with(take(&self.own.units)?, take(&self.all)?))
    }

    /// Waits for room for so many answers with so many bytes.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub(crate) async fn room_for(&self, answers: usize, bytes: usize) -> Result<Room, Status> {
        self.room(bytes.saturating_add(answers.saturating_mul(ANSWER))).await
    }

    /// From now on `holder` may be told to let go of what it holds, until what this gives is dropped.
    pub(crate) fn held_by(&self, holder: Arc<dyn Holder>) -> Held {
        let id = self.holders.next.fetch_add(1, Ordering::Relaxed);
        self.holders.lock().insert(id, (holder, self.own.cut.clone()));
        Held { id, holders: self.holders.clone() }
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(units(bytes).min(self.most)).unwrap_or(u32::MAX)
    }

    fn with(&self, own: OwnedSemaphorePermit, all: OwnedSemaphorePermit) -> Room {
        Room { most: self.most, own, all }
    }

    async fn in_time(&self, room: impl Future<Output = Result<Room, AcquireError>>) -> Result<Room, Status> {
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err((self.none)()),
        }
    }

    /// Waits for what others have, and has those let go of it who keep it too long.
    async fn of_all(&self, wanted: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        if let Ok(free) = Arc::clone(&self.all).try_acquire_many_owned(wanted) {
            return Ok(free);
        }
        let turn = self.patience / TURN;
        let mut free = std::pin::pin!(Arc::clone(&self.all).acquire_many_owned(wanted));
        loop {
            // What one lets go of may not be enough, and takes a moment.
            let wait = if self.holders.end_longest(turn) { turn / TURN } else { turn };
            if let Ok(free) = tokio::time::timeout(wait, free.as_mut()).await {
                return free;
            }
        }
    }
}

/// Who holds memory.
pub(crate) trait Holder: Send + Sync {
    /// Since when it has kept what it holds from others, if it holds anything: since it was told to end, if it was.
    fn since(&self) -> Option<Instant>;

    /// Lets go of what it holds and ends with a status; `false` if it was told so before.
    fn end(&self) -> bool;
}

/// All who hold memory, with what ends their connections.
#[derive(Default)]
struct Holders {
    next: AtomicU64,
    known: Mutex<Known>,
}

type Known = HashMap<u64, (Arc<dyn Holder>, CancellationToken)>;

impl Holders {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the call that has kept what it holds from others longest, if for longer than `turn`. If that is one that was told
    /// to end before, its client does not take its end either: then its connection is ended. `false` if there is none.
    fn end_longest(&self, turn: Duration) -> bool {
        let known = self.lock();
        let since = known.values().filter_map(|(holder, cut)| Some((holder.since()?, holder, cut)));
        let longest = since.min_by_key(|(since, ..)| *since).filter(|(since, ..)| since.elapsed() >= turn);
        let Some((holder, cut)) = longest.map(|(_, holder, cut)| (holder.clone(), cut.clone())) else {
            return false;
        };
        drop(known);
        if !holder.end() {
            tracing::warn!("a connection was cut: its client kept memory that others waited for");
            cut.cancel();
        }
        true
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Holders").finish_non_exhaustive()
    }
}

/// One that may be told to let go of what it holds.
#[derive(Debug)]
pub(crate) struct Held {
    id: u64,
    holders: Arc<Holders>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Dropped when nothing is locked any more: with the last of it goes what it holds.
        let gone = self.holders.lock().remove(&self.id);
        drop(gone);
    }
}

/// Memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
    /// There cannot be more, in units.
    most: usize,
}

impl Room {
    /// Gives back what so many answers with so many bytes do not need; `Err` with what they need where that is more.
    pub(crate) fn fit(&mut self, answers: usize, bytes: usize) -> Result<(), usize> {
        let needed = bytes.saturating_add(answers.saturating_mul(ANSWER));
        match self.own.num_permits().checked_sub(units(needed)) {
            Some(too_much) => {
                drop(self.own.split(too_much));
                drop(self.all.split(too_much));
                Ok(())
            }
            None if self.own.num_permits() >= self.most => Ok(()),
            None => Err(needed),
        }
    }

    /// Gives so many bytes back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let units = (bytes / UNIT).min(self.own.num_permits());
        drop(self.own.split(units));
        drop(self.all.split(units));
    }

    /// Takes what so many bytes take out of it, if that is anything.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let units = (bytes / UNIT).min(self.own.num_permits());
        if units == 0 {
            return None;
        }
        Some(Self { own: self.own.split(units)?, all: self.all.split(units)?, most: self.most })
    }

    /// Makes one of two.
    pub(crate) fn add(&mut self, more: Self) {
        self.own.merge(more.own);
        self.all.merge(more.all);
    }

    /// How much it is, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.own.num_permits() * UNIT
    }

    /// Whether there cannot be more.
    pub(crate) fn is_whole(&self) -> bool {
        self.own.num_permits() >= self.most
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    fn memory(max_bytes: usize) -> Memory {
        Memory::new(max_bytes, SOON, || Status::unavailable("nothing is free"))
    }

    fn share(max_bytes: usize) -> Share {
        Share::of(max_bytes, CancellationToken::new())
    }

    #[tokio::test]
    async fn a_connection_has_its_share_and_all_have_theirs() {
        let memory = memory(4 << 20);
        let ann = memory.of(Some(&share(4 << 20)));
        let mut room = ann.room(1 << 20).await.unwrap();
        assert!(ann.room(1).await.is_err(), "ann has her share");
        assert!(ann.room_beside_own(1).await.is_err(), "ann has her share");
        let others = [(); 3].map(|()| memory.of(Some(&share(4 << 20))));
        let mut rooms = Vec::new();
        for other in &others {
            rooms.push(other.room(1 << 20).await.unwrap());
        }
        let status = memory.of(Some(&share(4 << 20))).room(1).await.unwrap_err();
        assert_eq!(status.message(), "nothing is free");

        assert_eq!(room.fit(1, 1_000), Ok(()));
        let mut small = ann.room((1 << 20) - 2 * UNIT).await.expect("what was not needed is free again");
        assert_eq!(small.fit(1, 2_000_000), Err(2_000_256), "there may be more than this");
    }

    #[tokio::test]
    async fn what_is_taken_at_once_and_what_is_split_off_are_counted_alike() {
        let memory = memory(4 << 20);
        let mut room = memory.room_at_once(1 << 20).expect("nobody has anything");
        assert_eq!(memory.room_at_once(1).unwrap_err().message(), "nothing is free");
        assert!(room.split(UNIT - 1).is_none());
        let part = room.split(600 << 10).expect("it is a part of it");
        assert_eq!((part.bytes(), room.bytes()), (600 << 10, 424 << 10));
        drop(part);
        assert!(memory.room_at_once(601 << 10).is_err());
        drop(memory.room_at_once(600 << 10).expect("the part is free again"));
        assert_eq!(room.split(1 << 20).map(|all| all.bytes()), Some(424 << 10));
    }

    #[tokio::test]
    async fn what_is_larger_than_a_share_has_the_whole_of_it() {
        let memory = memory(4 << 20);
        let mut room = memory.room(8 << 20).await.unwrap();
        assert!(room.is_whole());
        assert_eq!(room.fit(1, 16 << 20), Ok(()));
    }

    /// It lets go when it is told to the first time, if it does so at all.
    struct Idle {
        room: Mutex<Option<Room>>,
        since: Mutex<Instant>,
        told: AtomicU64,
        stubborn: bool,
    }

    impl Holder for Idle {
        fn since(&self) -> Option<Instant> {
            self.room.lock().unwrap().as_ref()?;
            Some(*self.since.lock().unwrap())
        }

        fn end(&self) -> bool {
            if !self.stubborn {
                *self.room.lock().unwrap() = None;
            }
            *self.since.lock().unwrap() = Instant::now();
            self.told.fetch_add(1, Ordering::Relaxed) == 0
        }
    }

    fn told(idle: &[(Arc<Idle>, CancellationToken, Held)]) -> Vec<u64> {
        idle.iter().map(|(one, ..)| one.told.load(Ordering::Relaxed)).collect()
    }

    #[tokio::test]
    async fn who_waits_has_the_one_end_that_has_kept_it_longest_and_then_its_connection() {
        let memory = Memory::new(4 << 20, Duration::from_secs(20), || Status::unavailable("nothing is free"));
        let mut idle = Vec::new();
        for stubborn in [false, true, true, true] {
            let share = share(4 << 20);
            let of_one = memory.of(Some(&share));
            let room = Mutex::new(Some(of_one.room(1 << 20).await.unwrap()));
            let since = Mutex::new(Instant::now() - Duration::from_secs(60));
            let one = Arc::new(Idle { room, since, told: AtomicU64::new(0), stubborn });
            let held = of_one.held_by(one.clone());
            idle.push((one, share.cut, held));
        }
        *idle[0].0.since.lock().unwrap() -= Duration::from_secs(1);
        let first = memory.of(Some(&share(4 << 20)));
        let _first = first.room(1 << 20).await.unwrap();
        assert_eq!(told(&idle), [1, 0, 0, 0]);

        // The others do not let go. What is given up in the end is the connection of one.
        *idle[2].0.since.lock().unwrap() -= Duration::from_secs(1);
        for expected in [[1, 0, 1, 0], [1, 0, 2, 0]] {
            assert!(!idle[2].1.is_cancelled());
            assert!(memory.holders.end_longest(Duration::from_secs(2)));
            assert_eq!(told(&idle), expected);
            *idle[2].0.since.lock().unwrap() -= Duration::from_secs(120);
        }
        assert!(idle[2].1.is_cancelled() && !idle[1].1.is_cancelled());
        assert!(!memory.holders.end_longest(Duration::from_secs(600)), "nobody has kept it for so long");
    }
}
