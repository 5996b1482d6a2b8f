//! The answers of one call that its client has not taken yet.

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
        let pages = Pages { waiting: VecDeque::new(), since: Instant::now() };
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
        if pages.waiting.is_empty() {
            pages.since = Instant::now();
        }
        pages.waiting.push_back(Page { answers: answers.into_iter(), room, begun: false });
    }

    /// The next answer of the first page. Behind its last one the page is gone, and with it its memory.
    pub(super) fn take(&self) -> Option<T> {
        let mut pages = self.lock();
        let page = pages.waiting.front_mut()?;
        page.begun = true;
        let answer = page.answers.next();
        if answer.is_none() {
            pages.waiting.pop_front();
            pages.since = Instant::now();
        }
        answer
    }

    /// Nobody takes any more.
    pub(super) fn clear(&self) {
        self.lock().waiting.clear();
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

impl<T: Message> Holder for Untaken<T> {
    fn since(&self) -> Option<Instant> {
        let pages = self.lock();
        pages.waiting.iter().any(|page| page.room.is_some()).then_some(pages.since)
    }

    /// What was taken of the first page may still be on its way, as one large event that waits for its client: for that the
    /// room stays, until the client takes more or is gone.
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
}
