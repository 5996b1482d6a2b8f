//! The answers of one call that its client has not taken yet.

use super::on_its_way::Leaving;
use crate::memory::{Holder, Room};
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pages of a call, in their order.
#[derive(Debug)]
pub(super) struct Untaken<T> {
    pages: Mutex<Pages<T>>,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Pages<T> {
    waiting: VecDeque<Page<T>>,
    /// The memory of pages that were taken to their end, until what was taken last leaves.
    taken: Option<Room>,
    /// So many parts of the answers have left, with their memory, and are not sent.
    on_its_way: usize,
    /// When the client took the last page to its end, or was given the first one: since then it keeps memory from others.
    since: Instant,
}

/// Answers that go out together, and the memory that they may take.
#[derive(Debug)]
struct Page<T> {
    answers: std::vec::IntoIter<T>,
    room: Option<Room>,
    /// Whether one of its answers was taken.
    begun: bool,
}

impl<T> Default for Untaken<T> {
    fn default() -> Self {
        let pages = Pages { waiting: VecDeque::new(), taken: None, on_its_way: 0, since: Instant::now() };
        Self { pages: Mutex::new(pages), ended: CancellationToken::new() }
    }
}

impl<T> Untaken<T> {
    /// Adds a page. Of a call that was told to end none is kept any more.
    pub(super) fn put(&self, answers: Vec<T>, room: Option<Room>) {
        let mut pages = self.lock();
        if self.has_ended() {
            return;
        }
        if !pages.hold_any() {
            pages.since = Instant::now();
        }
        pages.waiting.push_back(Page { answers: answers.into_iter(), room, begun: false });
    }

    /// The next answer of the first page. Behind its last one the page is gone.
    pub(super) fn take(&self) -> Option<T> {
        let mut pages = self.lock();
        let Pages { waiting, taken, since, .. } = &mut *pages;
        let page = waiting.front_mut()?;
        page.begun = true;
        let answer = page.answers.next();
        if answer.is_none() {
            waiting.pop_front();
            *since = Instant::now();
        } else if page.answers.as_slice().is_empty()
            && let Some(room) = page.room.take()
        {
            match taken {
                Some(taken) => taken.add(room),
                None => *taken = Some(room),
            }
        }
        answer
    }

    /// Nobody takes any more.
    pub(super) fn clear(&self) {
        let mut pages = self.lock();
        pages.waiting.clear();
        pages.taken = None;
    }

    /// When the call was told to end.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    fn lock(&self) -> MutexGuard<'_, Pages<T>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Pages<T> {
    /// Whether any memory is held.
    fn hold_any(&self) -> bool {
        self.on_its_way > 0 || self.taken.is_some() || self.waiting.iter().any(|page| page.room.is_some())
    }
}

impl<T: Send> Leaving for Untaken<T> {
    fn leave(&self, bytes: usize) -> Option<Room> {
        let mut pages = self.lock();
        let taken = pages.taken.take();
        // What is more than that is of the page that is being taken.
        let more = bytes.saturating_sub(taken.as_ref().map_or(0, Room::bytes));
        let begun = pages.waiting.front_mut().filter(|page| page.begun);
        let begun = begun.and_then(|page| page.room.as_mut()?.split(more));
        let room = match (taken, begun) {
            (Some(mut taken), Some(begun)) => {
                taken.add(begun);
                taken
            }
            (taken, begun) => taken.or(begun)?,
        };
        pages.on_its_way += 1;
        Some(room)
    }

    fn sent(&self) {
        self.lock().on_its_way -= 1;
    }
}

impl<T: Message> Holder for Untaken<T> {
    fn since(&self) -> Option<Instant> {
        let pages = self.lock();
        pages.hold_any().then_some(pages.since)
    }

    /// What was taken of the first page may not have left: for that the room stays, until the client takes more or is gone.
    /// What has left keeps its own.
    fn end(&self) -> bool {
        let mut pages = self.lock();
        let kept = pages.waiting.front().is_some_and(|page| page.begun);
        pages.waiting.truncate(usize::from(kept));
        if let Some(Page { answers, room: Some(room), .. }) = pages.waiting.front_mut() {
            let left: usize = answers.as_slice().iter().map(Message::encoded_len).sum();
            room.shrink(left);
            *answers = Vec::new().into_iter();
        }
        pages.since = Instant::now();
        let first = !self.has_ended();
        self.ended.cancel();
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use std::time::Duration;
    use tonic::Status;

    #[tokio::test]
    async fn a_call_that_is_told_to_end_keeps_nothing_but_what_is_on_its_way() {
        let memory =
            Memory::new(4 << 20, Duration::from_millis(10), || Status::unavailable("nothing is free"));
        let untaken = Untaken::default();
        assert_eq!(untaken.since(), None);
        let page = || vec!["x".repeat(200_000), "y".repeat(100_000)];
        for _ in 0..2 {
            untaken.put(page(), Some(memory.room(400 << 10).await.unwrap()));
        }
        let since = untaken.since().expect("it holds something");
        assert!(untaken.take().is_some_and(|answer| answer.starts_with('x')));
        assert_eq!(untaken.since(), Some(since), "it has not taken a page");
        assert!(memory.room(600 << 10).await.is_err());

        assert!(untaken.end());
        let free = (1 << 20) - (400 << 10) + 90_000;
        drop(memory.room(free).await.expect("what was not taken is free"));
        assert!(memory.room((1 << 20) - 200_000).await.is_err(), "what was taken may be on its way");
        assert!(untaken.since().is_some_and(|told| told > since));
        assert!(!untaken.end(), "it was told before");

        untaken.put(page(), Some(memory.room(1).await.unwrap()));
        assert_eq!(untaken.take(), None);
        assert_eq!(untaken.since(), None, "what comes too late is not kept");
        drop(memory.room(1 << 20).await.expect("all is free again"));
    }

    #[tokio::test]
    async fn what_has_left_is_counted_until_it_is_sent_also_when_nobody_takes_any_more() {
        let memory =
            Memory::new(4 << 20, Duration::from_millis(10), || Status::unavailable("nothing is free"));
        let untaken = Untaken::default();
        let page = || vec!["x".repeat(200 << 10), "y".repeat(100 << 10)];
        untaken.put(page(), Some(memory.room(300 << 10).await.unwrap()));
        untaken.put(page(), Some(memory.room(300 << 10).await.unwrap()));
        assert!(untaken.leave(1 << 20).is_none(), "nothing was taken");

        let since = untaken.since();
        untaken.take().unwrap();
        let first = untaken.leave(200 << 10).expect("it has its part of the page");
        untaken.take().unwrap();
        assert_eq!(untaken.take(), None, "the page is at its end");
        untaken.take().unwrap();
        let second = untaken.leave(300 << 10).expect("it has the end of one page and the begin of another");
        assert_eq!((first.bytes(), second.bytes()), (200 << 10, 300 << 10));
        assert!(untaken.since() > since);

        untaken.clear();
        assert!(memory.room(600 << 10).await.is_err());
        drop(memory.room(524 << 10).await.expect("what did not leave is free"));
        assert!(untaken.since().is_some());
        for room in [first, second] {
            untaken.sent();
            drop(room);
        }
        assert_eq!(untaken.since(), None);
        drop(memory.room(1 << 20).await.expect("all is free again"));
    }
}
