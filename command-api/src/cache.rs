//! The books used last, within one budget of memory.
//!
//! It is a shortcut and never an authority: a book that is evicted, or behind its stream, is found out by the
//! expected revision of the next append.

use crate::history::Loaded;
use moka::policy::EvictionPolicy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// What an entry takes besides its content: the bookkeeping of the cache around it, and its key.
const OVERHEAD_BYTES: usize = 400;

/// A bounded map from streams to what is known of them.
pub(crate) struct Cache<A> {
    entries: moka::future::Cache<String, Arc<Entry<A>>>,
    heap_bytes: fn(&A) -> usize,
}

/// What is known of one stream. Whoever works on the stream holds its lock, so that the commands of one process for
/// one stream queue up instead of conflicting.
pub(crate) struct Entry<A> {
    loaded: Mutex<Option<Loaded<A>>>,
    weight_bytes: AtomicU32,
}

impl<A> Entry<A> {
    /// Waits in line for the stream. What is found there is `None` while nothing is known.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Option<Loaded<A>>> {
        self.loaded.lock().await
    }
}

impl<A: Send + Sync + 'static> Cache<A> {
    /// A cache that takes about `bytes` bytes of memory; `heap_bytes` tells what a state holds outside of itself.
    pub(crate) fn new(bytes: u64, heap_bytes: fn(&A) -> usize) -> Self {
        let entries = moka::future::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Arc<Entry<A>>| entry.weight_bytes.load(Ordering::Relaxed))
            // The default policy may turn a new entry away, and then the commands of a book would not queue up.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { entries, heap_bytes }
    }

    /// The entry of `stream`, a new one if there is none.
    pub(crate) async fn entry(&self, stream: &str) -> Arc<Entry<A>> {
        let new = async {
            Arc::new(Entry { loaded: Mutex::new(None), weight_bytes: AtomicU32::new(weight::<A>(0)) })
        };
        self.entries.get_with_by_ref(stream, new).await
    }

    /// Counts `entry` by what it is about to hold. To spare the hot path, growth of less than a quarter is let pass.
    pub(crate) async fn weigh(&self, stream: &str, entry: &Arc<Entry<A>>, loaded: &Loaded<A>) {
        let now = weight::<A>((self.heap_bytes)(&loaded.state) + loaded.recent.heap_bytes());
        let counted = entry.weight_bytes.load(Ordering::Relaxed);
        if now > counted + counted / 4 {
            entry.weight_bytes.store(now, Ordering::Relaxed);
            self.entries.insert(stream.to_owned(), Arc::clone(entry)).await;
        }
    }
}

fn weight<A>(heap_bytes: usize) -> u32 {
    u32::try_from(OVERHEAD_BYTES + size_of::<Entry<A>>() + heap_bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recent::{Booked, Recent};
    use domain::book::Book;

    #[tokio::test]
    async fn the_books_stay_within_the_budget() {
        let cache = Cache::<Book>::new(100_000, |_| 0);
        for book in 0..10_000 {
            cache.entry(&format!("book-{book}")).await;
        }
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.weighted_size() <= 100_000);
        assert!((50..=200).contains(&cache.entries.entry_count()), "{}", cache.entries.entry_count());
    }

    #[tokio::test]
    async fn a_book_with_many_keys_counts_for_more() {
        let cache = Cache::<Book>::new(1_000_000, |_| 0);
        let entry = cache.entry("book-1").await;
        cache.entries.run_pending_tasks().await;
        let before = cache.entries.weighted_size();
        let mut recent = Recent::since(0);
        (0..1_000).for_each(|revision| recent.push(Booked { key: 1, command: None, revision }));
        cache.weigh("book-1", &entry, &Loaded { state: Book::Unknown, last: None, recent }).await;
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.weighted_size() > before + 1_000 * size_of::<Booked>() as u64);
        assert_eq!(cache.entries.entry_count(), 1);
    }
}
