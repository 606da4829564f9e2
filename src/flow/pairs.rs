//! The addresses of IPv6 flows, two by two: flows between the same hosts share them where they follow each other.
//!
//! Nothing is looked for among all pairs: what comes is held against the one that was last met at its place, so each
//! flow may have a pair of its own, and none takes more than that.

use super::NONE;
use super::key::fold;
use super::slab::{Marks, Renumbered, Slab};
use crate::decode::Addr;

/// Two addresses, the lower endpoint's first.
pub(super) type Pair = [Addr; 2];

/// How many pairs are remembered by what they are.
const PLACES: usize = 512;

/// Pairs of addresses, each known by a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    all: Slab<Pair>,
    /// Which pair was met last at each place, and what tells it from most others, so that those are not looked at; no
    /// place before the first pair.
    last: Vec<(u32, u32)>,
}

/// By what a pair is remembered: the same in every run, as what is shared shows in the memory that is counted.
const fn hash([low, high]: Pair) -> u64 {
    let (low, high) = (low.high64() ^ low.low64(), high.high64() ^ high.low64());
    fold(low ^ 0x9e37_79b9_7f4a_7c15, high ^ 0xd6e8_feb8_6659_fd93)
}

impl Pairs {
    /// A number of that pair.
    pub fn number(&mut self, pair: Pair) -> u32 {
        let Pairs { all, last } = self;
        if last.is_empty() {
            *last = vec![(0, NONE); PLACES];
        }
        let hash = hash(pair);
        let Some((tag, number)) = last.get_mut(hash as usize % PLACES) else { return NONE };
        let found = *tag == (hash >> 32) as u32 && all.get(*number) == Some(&pair);
        if !found {
            (*tag, *number) = ((hash >> 32) as u32, all.insert(pair));
        }
        *number
    }

    /// The pair of that number.
    #[inline(always)]
    pub fn get(&self, number: u32) -> Option<Pair> {
        self.all.get(number).copied()
    }

    /// Keeps the pairs of these numbers, and says which numbers they have now.
    pub fn compact(&mut self, kept: impl Iterator<Item = u32>) -> Renumbered {
        let mut marks = Marks::of(&self.all);
        kept.for_each(|number| marks.mark(number));
        let numbers = self.all.compact(|number| marks.has(number));
        self.last.iter_mut().for_each(|(_, number)| *number = numbers.of(*number));
        numbers
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.all.memory().saturating_add(self.last.capacity().saturating_mul(size_of::<(u32, u32)>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(n: u16) -> Pair {
        let addr = |n: [u8; 2]| Addr::v6(std::array::from_fn(|at| if at < 14 { 0xfd } else { n[at - 14] }));
        [addr(n.to_be_bytes()), addr([0, 1])]
    }

    #[test]
    fn a_pair_is_found_by_its_number_as_long_as_it_is_kept() {
        let mut pairs = Pairs::default();
        let numbers: Vec<u32> = (0..1000).map(|n| pairs.number(pair(n))).collect();
        assert!((0..1000).zip(&numbers).all(|(n, number)| pairs.get(*number) == Some(pair(n))));
        assert_eq!((pairs.get(1000), pairs.get(NONE)), (None, None));
        let moved = pairs.compact(numbers.iter().copied().step_by(10));
        assert_eq!((moved.of(990), moved.of(991)), (99, NONE));
        assert_eq!((pairs.get(99), pairs.get(100)), (Some(pair(990)), None));
        assert!((0..1000).all(|n| {
            let number = pairs.number(pair(n));
            pairs.get(number) == Some(pair(n))
        }));
    }

    #[test]
    fn flows_between_the_same_hosts_share_a_pair() {
        let mut pairs = Pairs::default();
        let first = pairs.number(pair(7));
        let one = pairs.memory();
        assert!((0..10_000).all(|_| pairs.number(pair(7)) == first));
        assert_eq!(pairs.memory(), one);
        assert_ne!(pairs.number(pair(8)), first);
    }
}
