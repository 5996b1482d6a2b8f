//! A bounded cache.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map that forgets what was not used for longest, roughly: entries live in a young and an old generation; what is
/// inserted or got moves to the young one, and when that is full it becomes the old one and the former old one is dropped.
/// Holds the entries used last, of as much weight as the `capacity` at least and twice as much at most. Of a map at which
/// is only peeked, those are the entries inserted last.
#[derive(Debug)]
pub(super) struct TwoGenerations<K, V> {
    capacity: usize,
    weigh: fn(&K) -> usize,
    young: HashMap<K, V>,
    young_weight: usize,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Copy> TwoGenerations<K, V> {
    /// `weigh` says what an entry counts for.
    pub(super) fn new(capacity: usize, weigh: fn(&K) -> usize) -> Self {
        Self { capacity, weigh, young: HashMap::new(), young_weight: 0, old: HashMap::new() }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if !self.young.contains_key(&key) {
            let weight = (self.weigh)(&key);
            if self.young_weight + weight > self.capacity {
                self.old = std::mem::take(&mut self.young);
                self.young_weight = 0;
            }
            self.young_weight += weight;
        }
        self.young.insert(key, value);
    }

    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(value) = self.young.get(key) {
            return Some(*value);
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value);
        Some(value)
    }

    /// The value, which is thereby not used: looking at what is old pushes out nothing that is newer.
    pub(super) fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_last_used_entries_and_never_more_than_twice_its_capacity() {
        let mut cache = TwoGenerations::new(10, |_| 1);
        for key in 0..1_000 {
            cache.insert(key, key * 2);
            assert_eq!(cache.get(&0), Some(0), "used all the time, so never forgotten");
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        for key in 992..1_000 {
            assert_eq!(cache.get(&key), Some(key * 2));
        }
        assert_eq!(cache.get(&500), None);
    }

    #[test]
    fn who_peeks_at_old_entries_pushes_out_no_newer_ones() {
        let mut cache = TwoGenerations::new(10, |_| 1);
        for key in 0..1_000 {
            cache.insert(key, key * 2);
            // From the oldest entries on, so that those of the old generation which are newer are not looked at.
            for old in key - 19..key - 10 {
                cache.peek(&old);
            }
            for last in (key - 9).max(0)..=key {
                assert_eq!(cache.peek(&last), Some(last * 2), "one of the ten inserted last, after {key}");
            }
        }
        assert_eq!(cache.peek(&500), None);
    }

    #[test]
    fn entries_that_weigh_much_are_fewer() {
        let mut cache = TwoGenerations::new(100, String::len);
        for length in (1..1_000).map(|length| 1 + length % 40) {
            cache.insert("x".repeat(length), ());
            let weight = |generation: &HashMap<String, ()>| generation.keys().map(String::len).sum::<usize>();
            assert!(weight(&cache.young) <= 100 && weight(&cache.old) <= 100, "{cache:?}");
            assert_eq!(cache.get("x".repeat(length).as_str()), Some(()));
        }
    }

    #[test]
    fn a_newer_value_replaces_an_older_one_in_both_generations() {
        let mut cache = TwoGenerations::new(1, |_| 1);
        cache.insert("a", 1);
        cache.insert("b", 1);
        cache.insert("a", 2);
        assert_eq!(cache.get("a"), Some(2));
        cache.insert("c", 1);
        assert_eq!(cache.get("a"), Some(2));
    }
}
