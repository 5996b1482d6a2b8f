//! How much may be read from the log that the clients who asked for it have not taken yet. Without a limit, one that asks
//! for much and reads nothing would fill the memory.

use super::status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// What is counted with each answer, beside the event's data and metadata, in bytes.
const ANSWER: usize = 256;

/// One unit of memory, in bytes.
const UNIT: usize = 1024;

/// One connection may have this part of all.
const PART: usize = 4;

/// The memory of one connection, which its calls share.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Semaphore>);

impl Share {
    /// A share where all connections together may have `max_bytes`.
    pub(crate) fn of(max_bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(units(max_bytes / PART))))
    }
}

/// What all connections share, and what one of them has.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    all: Arc<Semaphore>,
    own: Share,
    /// The most that one connection can have, in units.
    most: usize,
    /// How long may be waited for what others have.
    patience: Duration,
}

impl Unread {
    pub(super) fn new(max_bytes: usize, patience: Duration) -> Self {
        let all = Arc::new(Semaphore::new(units(max_bytes)));
        Self { all, own: Share::of(max_bytes), most: units(max_bytes / PART), patience }
    }

    /// The same, for the calls of one connection.
    pub(super) fn of(&self, own: Option<&Share>) -> Self {
        Self { own: own.unwrap_or(&self.own).clone(), ..self.clone() }
    }

    /// Waits for room for so many bytes, or for as much as one connection can have.
    ///
    /// # Errors
    /// When what is not read, on this connection or on others, leaves none for too long.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room, Status> {
        let units = units(bytes).min(self.most);
        let wanted = u32::try_from(units).unwrap_or(u32::MAX);
        let room = async {
            // First its own: what a connection waits for because of itself is not kept from others.
            let own = Arc::clone(&self.own.0).acquire_many_owned(wanted).await?;
            let all = Arc::clone(&self.all).acquire_many_owned(wanted).await?;
            Ok::<_, AcquireError>(Room { own, all, whole: units == self.most })
        };
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(status::shutting_down()),
            Err(_) => Err(status::unread()),
        }
    }
}

/// Memory for answers, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
    /// There cannot be more.
    whole: bool,
}

impl Room {
    /// Gives back what so many answers with so many bytes do not need; `Err` with what they need where that is more.
    pub(super) fn fit(&mut self, answers: usize, bytes: usize) -> Result<(), usize> {
        let needed = bytes.saturating_add(answers.saturating_mul(ANSWER));
        match self.own.num_permits().checked_sub(units(needed)) {
            Some(too_much) => {
                drop(self.own.split(too_much));
                drop(self.all.split(too_much));
                Ok(())
            }
            None if self.whole => Ok(()),
            None => Err(needed),
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_connection_has_its_share_and_all_have_theirs() {
        let unread = Unread::new(4 << 20, SOON);
        let ann = unread.of(Some(&Share::of(4 << 20)));
        let mut room = ann.room(1 << 20).await.unwrap();
        assert!(ann.room(1).await.is_err(), "ann has her share");
        let others = [(); 3].map(|()| unread.of(Some(&Share::of(4 << 20))));
        let mut rooms = Vec::new();
        for other in &others {
            rooms.push(other.room(1 << 20).await.unwrap());
        }
        let status = unread.of(Some(&Share::of(4 << 20))).room(1).await.unwrap_err();
        assert!(status.message().contains("do not read"), "{status}");

        assert_eq!(room.fit(1, 1_000), Ok(()));
        let mut small = ann.room((1 << 20) - 2 * UNIT).await.expect("what was not needed is free again");
        assert_eq!(small.fit(1, 2_000_000), Err(2_000_256), "there may be more than this");
    }

    #[tokio::test]
    async fn what_is_larger_than_a_share_has_the_whole_of_it() {
        let unread = Unread::new(4 << 20, SOON);
        let mut room = unread.room(8 << 20).await.unwrap();
        assert_eq!(room.fit(1, 16 << 20), Ok(()));
    }
}
