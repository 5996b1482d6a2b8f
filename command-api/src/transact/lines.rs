//! The streams: a line of commands before each that is worked on, and what is known of the others, within one budget
//! of memory.
//!
//! One task works on a stream at a time, so the commands of one process do not conflict with each other. What is known
//! of a stream is a shortcut and never an authority: if it is old, the expected revision of the next append finds out.

use super::ask::Ask;
use crate::history::Loaded;
use domain::Persist;
use lru::LruCache;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an idle stream takes besides its content: its place in the map, its key, and what the allocator adds.
const OVERHEAD_BYTES: usize = 120;

/// All streams that commands were asked for lately.
pub(super) struct Lines<A: Persist> {
    streams: Mutex<Streams<A>>,
    budget_bytes: usize,
    heap_bytes: fn(&A) -> usize,
}

struct Streams<A: Persist> {
    /// The lines of those that somebody works on.
    busy: HashMap<Arc<str>, Line<A>>,
    /// What is known of the others, the least recently used first to go.
    idle: LruCache<Arc<str>, Loaded<A>>,
    idle_bytes: usize,
}

type Line<A> = VecDeque<InLine<A>>;

/// A command in a line.
struct InLine<A: Persist> {
    ask: Box<dyn Ask<A>>,
    /// Whether it goes together with the one before it.
    is_tied: bool,
}

/// The right and the duty to work on a stream: to take its commands from its line until there are none. If it is
/// dropped before, those in line are dropped too, so that nobody waits for ever.
pub(super) struct Turn<A: Persist> {
    lines: Arc<Lines<A>>,
    stream: Arc<str>,
    over: bool,
}

impl<A: Persist> Lines<A> {
    /// Keeps what is known of idle streams in about `budget_bytes`; `heap_bytes` tells what a state holds outside of
    /// itself.
    pub(super) fn new(budget_bytes: usize, heap_bytes: fn(&A) -> usize) -> Self {
        let streams = Streams { busy: HashMap::new(), idle: LruCache::unbounded(), idle_bytes: 0 };
        Self { streams: Mutex::new(streams), budget_bytes, heap_bytes }
    }

    /// Puts `asks` in line before `stream`, tied together. If nobody works on the stream, the caller has to: with what is
    /// known of it.
    pub(super) fn stand(
        self: &Arc<Self>,
        stream: &str,
        asks: impl IntoIterator<Item = Box<dyn Ask<A>>>,
    ) -> Option<(Turn<A>, Option<Loaded<A>>)> {
        let tied = asks.into_iter().enumerate().map(|(index, ask)| InLine { ask, is_tied: index > 0 });
        let mut streams = self.lock();
        if let Some(line) = streams.busy.get_mut(stream) {
            // While a call hangs nobody takes any from the line, and many may come, be turned away and come again.
            while line.pop_back_if(|last| last.ask.stage().is_given_up()).is_some() {}
            line.extend(tied);
            return None;
        }
        let (stream, known) = match streams.idle.pop_entry(stream) {
            Some((stream, known)) => {
                streams.idle_bytes -= self.weight(&stream, &known);
                (stream, Some(known))
            }
            None => (stream.into(), None),
        };
        streams.busy.insert(Arc::clone(&stream), tied.collect());
        Some((Turn { lines: Arc::clone(self), stream, over: false }, known))
    }

    fn leave(&self, streams: &mut Streams<A>, stream: &Arc<str>, known: Option<Loaded<A>>) {
        streams.busy.remove(stream);
        let Some(known) = known else { return };
        streams.idle_bytes += self.weight(stream, &known);
        streams.idle.push(Arc::clone(stream), known);
        while streams.idle_bytes > self.budget_bytes
            && let Some((stream, known)) = streams.idle.pop_lru()
        {
            streams.idle_bytes -= self.weight(&stream, &known);
        }
    }

    fn weight(&self, stream: &str, known: &Loaded<A>) -> usize {
        OVERHEAD_BYTES
            + size_of::<Loaded<A>>()
            + stream.len()
            + (self.heap_bytes)(&known.state)
            + known.recent.heap_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Streams<A>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a line can be cut without cutting a tie.
fn cuts<A: Persist>(line: &Line<A>) -> impl Iterator<Item = usize> {
    (1..=line.len()).filter(|cut| line.get(*cut).is_none_or(|next| !next.is_tied))
}

impl<A: Persist> Turn<A> {
    /// The stream.
    pub(super) fn stream(&self) -> &Arc<str> {
        &self.stream
    }

    /// The next in line, `most` at most unless more are tied together. If there are none the turn is over, and what is
    /// `known` of the stream is kept.
    pub(super) fn next(&mut self, most: usize, known: &mut Option<Loaded<A>>) -> Vec<Box<dyn Ask<A>>> {
        let mut streams = self.lines.lock();
        match streams.busy.get_mut(&self.stream) {
            Some(line) if !line.is_empty() => {
                let cut = cuts(line).take_while(|cut| *cut <= most).last();
                let cut = cut.or_else(|| cuts(line).next()).unwrap_or(line.len());
                line.drain(..cut).map(|next| next.ask).collect()
            }
            _ => {
                self.lines.leave(&mut streams, &self.stream, known.take());
                self.over = true;
                Vec::new()
            }
        }
    }
}

impl<A: Persist> Drop for Turn<A> {
    fn drop(&mut self) {
        if !self.over {
            let left = self.lines.lock().busy.remove(&self.stream);
            // Outside of the lock: dropping them tells those who wait.
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::{Asked, Stage};
    use super::super::testing::{asked, renew};
    use super::*;
    use crate::identity::fingerprint;
    use crate::recent::{Booked, Recent};
    use domain::book::Book;
    use tokio::sync::oneshot;

    fn ask() -> Box<dyn Ask<Book>> {
        asked(renew(), None, &[])
    }

    fn known(keys: u64) -> Loaded<Book> {
        let mut recent = Recent::since(0, 0);
        let booked = |revision| Booked { key: fingerprint("k"), command: None, revision };
        (0..keys).for_each(|revision| recent.push(booked(revision)));
        Loaded { state: Book::Unknown, last: None, recent, contention: None }
    }

    /// Works once on each of these streams, and leaves something known of it.
    fn visit(lines: &Arc<Lines<Book>>, streams: impl Iterator<Item = u64>, keys: u64) {
        for stream in streams {
            let (mut turn, _) = lines.stand(&format!("book-{stream}"), [ask()]).unwrap();
            let mut known = Some(known(keys));
            assert_eq!(turn.next(10, &mut known).len(), 1);
            assert!(turn.next(10, &mut known).is_empty());
        }
    }

    #[test]
    fn what_is_known_stays_within_the_budget_and_the_last_used_stays() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        visit(&lines, 0..10_000, 0);
        let streams = lines.lock();
        assert!(streams.idle_bytes <= 100_000);
        assert!((100..=1_000).contains(&streams.idle.len()), "{}", streams.idle.len());
        assert!(streams.idle.contains("book-9999") && !streams.idle.contains("book-0"));
        assert!(streams.busy.is_empty());
    }

    #[test]
    fn a_stream_with_many_keys_counts_for_more() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        visit(&lines, 0..10, 0);
        visit(&lines, 10..11, 500);
        assert!(lines.lock().idle_bytes > 30_000);
        visit(&lines, 0..11, 0);
        assert!(lines.lock().idle_bytes < 10_000);
    }

    #[test]
    fn one_works_and_the_others_stand_in_line() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        let (mut turn, _) = lines.stand("book-1", [ask()]).unwrap();
        for _ in 0..4 {
            assert!(lines.stand("book-1", [ask()]).is_none());
        }
        assert!(lines.stand("book-2", [ask()]).is_some());
        let mut known = Some(known(0));
        assert_eq!([(); 3].map(|()| turn.next(3, &mut known).len()), [3, 2, 0]);
        assert!(lines.stand("book-1", [ask()]).unwrap().1.is_some());
    }

    #[test]
    fn what_is_tied_together_is_taken_together() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        let (mut turn, _) = lines.stand("book-1", [ask()]).unwrap();
        for tied in [3, 1, 2, 7, 1] {
            assert!(lines.stand("book-1", (0..tied).map(|_| ask())).is_none());
        }
        let mut known = Some(known(0));
        assert_eq!([(); 5].map(|()| turn.next(4, &mut known).len()), [4, 3, 7, 1, 0]);
    }

    #[test]
    fn who_has_gone_makes_room_for_who_comes_next() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        let (mut turn, _) = lines.stand("book-1", [ask()]).unwrap();
        for _ in 0..100 {
            let asks = [ask(), ask()];
            asks.iter().for_each(|ask| assert!(ask.stage().take_back()));
            assert!(lines.stand("book-1", asks).is_none());
        }
        assert_eq!(turn.next(1_000, &mut None).len(), 3);
    }

    #[tokio::test]
    async fn whoever_stands_in_line_learns_that_nobody_works_any_more() {
        let lines = Arc::new(Lines::<Book>::new(100_000, |_| 0));
        let (turn, _) = lines.stand("book-1", [ask()]).unwrap();
        let (sender, answer) = oneshot::channel();
        let intention = ask().intention().clone();
        let waiting = Asked::new(renew(), intention, Arc::new(Stage::default()), sender);
        assert!(lines.stand("book-1", [Box::new(waiting) as Box<dyn Ask<Book>>]).is_none());
        drop(turn);
        assert!(answer.await.is_err());
        assert!(lines.stand("book-1", [ask()]).is_some());
    }
}
