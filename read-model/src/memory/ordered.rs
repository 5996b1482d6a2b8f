//! A sorted list that is cheap to copy: copies share what neither of them changed.

use std::cmp::Ordering;
use std::sync::Arc;

/// A chunk is made two above this many items, and one with its neighbour when both have no more.
const CHUNK: usize = 128;

/// Items in the order of `compare`, by which no two of them are equal. Finding by rank and by order takes two binary
/// searches. A copy costs a pointer for each chunk; a change copies the chunk it falls into, if that is shared.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<T> {
    /// None of them is empty.
    chunks: Vec<Arc<Vec<T>>>,
    /// The rank after each chunk's last item.
    ends: Vec<usize>,
    compare: fn(&T, &T) -> Ordering,
}

impl<T: Clone> Ordered<T> {
    pub(crate) fn of(mut items: Vec<T>, compare: fn(&T, &T) -> Ordering) -> Self {
        items.sort_unstable_by(compare);
        let chunks = items.chunks(CHUNK / 2).map(|chunk| Arc::new(chunk.to_vec())).collect();
        let mut ordered = Self { chunks, ends: Vec::new(), compare };
        ordered.count();
        ordered
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// How many items come before the first for which `before` does not hold.
    pub(crate) fn rank(&self, before: impl Fn(&T) -> bool) -> usize {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&before));
        let start = self.start(chunk);
        start + self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(before))
    }

    /// The items from `rank` on.
    pub(crate) fn from(&self, rank: usize) -> impl Iterator<Item = &T> {
        let first = self.ends.partition_point(|end| *end <= rank);
        let within = rank - self.start(first).min(rank);
        self.chunks.get(first..).unwrap_or_default().iter().flat_map(|chunk| chunk.iter()).skip(within)
    }

    /// The items before `rank`, the last of them first.
    pub(crate) fn back_from(&self, rank: usize) -> impl Iterator<Item = &T> {
        let rank = rank.min(self.len());
        let last = self.ends.partition_point(|end| *end < rank);
        let beyond = self.ends.get(last).map_or(0, |end| end - rank);
        let chunks = self.chunks.get(..=last).unwrap_or(&self.chunks);
        chunks.iter().rev().flat_map(|chunk| chunk.iter().rev()).skip(beyond)
    }

    /// Takes out what is equal to `gone`, and puts in `come`.
    pub(crate) fn change<'a>(
        &mut self,
        gone: impl IntoIterator<Item = &'a T>,
        come: impl IntoIterator<Item = T>,
    ) where
        T: 'a,
    {
        for item in gone {
            self.remove(item);
        }
        for item in come {
            self.insert(item);
        }
        self.join();
        self.count();
    }

    fn remove(&mut self, item: &T) {
        let compare = self.compare;
        let at = self.chunk_of(item);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let Ok(index) = chunk.binary_search_by(|known| compare(known, item)) else { return };
        let chunk = Arc::make_mut(chunk);
        chunk.remove(index);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    fn insert(&mut self, item: T) {
        let compare = self.compare;
        // What comes after all others belongs to the last chunk.
        let at = self.chunk_of(&item).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![item]));
            return;
        };
        let chunk = Arc::make_mut(chunk);
        let index = chunk.partition_point(|known| compare(known, &item).is_lt());
        chunk.insert(index, item);
        if chunk.len() > CHUNK {
            let second = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, Arc::new(second));
        }
    }

    /// The first chunk that does not end before `item`.
    fn chunk_of(&self, item: &T) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|last| (self.compare)(last, item).is_lt()))
    }

    /// Joins neighbours that have become small: chunks that only lose items would be many in the end.
    fn join(&mut self) {
        let small = |pair: &[Arc<Vec<T>>]| pair.iter().map(|chunk| chunk.len()).sum::<usize>() <= CHUNK / 2;
        if !self.chunks.windows(2).any(small) {
            return;
        }
        let mut joined: Vec<Arc<Vec<T>>> = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks.drain(..) {
            match joined.last_mut() {
                Some(last) if last.len() + chunk.len() <= CHUNK / 2 => {
                    Arc::make_mut(last).extend(chunk.iter().cloned());
                }
                _ => joined.push(chunk),
            }
        }
        self.chunks = joined;
    }

    fn count(&mut self) {
        let mut end = 0;
        self.ends.clear();
        self.ends.extend(self.chunks.iter().map(|chunk| {
            end += chunk.len();
            end
        }));
    }

    fn start(&self, chunk: usize) -> usize {
        chunk.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers(ordered: &Ordered<u16>) -> Vec<u16> {
        ordered.from(0).copied().collect()
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_set_whose_copies_do_not_change(
            first in prop::collection::btree_set(0u16..2_000, 0..700),
            changes in prop::collection::vec(
                (prop::collection::btree_set(0u16..2_000, 0..300), prop::collection::btree_set(0u16..2_000, 0..300)),
                0..6,
            ),
            rank in 0usize..1_000,
        ) {
            let mut model: BTreeSet<u16> = first.clone();
            let mut ordered = Ordered::of(first.into_iter().rev().collect(), u16::cmp);
            for (gone, come) in changes {
                let (copy, before) = (ordered.clone(), numbers(&ordered));
                model.retain(|number| !gone.contains(number));
                let come: Vec<u16> = come.difference(&model).copied().collect();
                ordered.change(&gone, come.iter().copied());
                model.extend(come);
                prop_assert_eq!(numbers(&copy), before);
                let expected: Vec<u16> = model.iter().copied().collect();
                prop_assert_eq!(&numbers(&ordered), &expected);
                prop_assert_eq!(ordered.len(), expected.len());
                let rest: Vec<u16> = ordered.from(rank).copied().collect();
                prop_assert_eq!(&rest[..], expected.get(rank..).unwrap_or_default());
                let back: Vec<u16> = ordered.back_from(rank).copied().collect();
                let first = &expected[..rank.min(expected.len())];
                prop_assert_eq!(back, first.iter().rev().copied().collect::<Vec<_>>());
                let number = u16::try_from(rank).unwrap();
                prop_assert_eq!(ordered.rank(|item| *item < number), model.range(..number).count());
                prop_assert!(ordered.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            }
        }
    }

    #[test]
    fn a_list_whose_items_all_move_to_its_end_keeps_few_chunks() {
        let mut ordered = Ordered::of((0..10_000u32).collect(), u32::cmp);
        for number in 0..40_000 {
            ordered.change(&[number], [number + 10_000]);
        }
        assert!(ordered.chunks.len() < 400, "{}", ordered.chunks.len());
    }
}
