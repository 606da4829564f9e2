//! What is asked of many addresses and has an answer for few: a bit an address says of nearly all others at once that
//! there is none, and the table, which is far from the core, need not be asked.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::buckets::SPARE;
use super::names::Key;
use crate::flow::key::fold;

/// The most words of bits: what stays near the core.
const MOST: usize = 1 << 15;

/// Which numbers may be in a set: none that is in it is missing.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    bits: Vec<u64>,
}

impl Sieve {
    /// Makes it one of so many numbers, or fewer, whatever it was of before: one bit in 16 is set while there is room.
    pub fn renew(&mut self, count: usize, numbers: impl Iterator<Item = u64>) {
        self.bits.clear();
        self.bits.resize(count.div_ceil(4).next_power_of_two().clamp(64, MOST), 0);
        for number in numbers {
            let (at, bit) = self.place(number);
            self.bits.get_mut(at).into_iter().for_each(|word| *word |= bit);
        }
    }

    /// Whether a number may be in it.
    #[inline(always)]
    pub fn may_have(&self, number: u64) -> bool {
        let (at, bit) = self.place(number);
        self.bits.get(at).is_some_and(|word| word & bit != 0)
    }

    #[inline(always)]
    fn place(&self, number: u64) -> (usize, u64) {
        let hash = fold(number ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
        ((hash >> 6) as usize & self.bits.len().wrapping_sub(1), 1 << (hash & 63))
    }
}

/// A table by address, while it is put together. Most addresses are IPv4, and take four bytes.
#[derive(Debug)]
pub(super) struct Addresses<V> {
    small: HashMap<u32, V, RandomState>,
    large: HashMap<Key, V, RandomState>,
}

impl<V> Default for Addresses<V> {
    fn default() -> Self {
        Addresses { small: HashMap::default(), large: HashMap::default() }
    }
}

impl<V: Default> Addresses<V> {
    /// One with room for so many, most of them IPv4.
    pub fn with_room(count: usize) -> Self {
        let mut all = Addresses::default();
        all.small.reserve(count);
        all
    }

    /// What it has for an address, from now on.
    pub fn of(&mut self, key: Key) -> &mut V {
        match small(key) {
            Some(key) => self.small.entry(key).or_default(),
            None => self.large.entry(key).or_default(),
        }
    }
}

impl<V> Addresses<V> {
    /// Forgets all; its memory is kept for what comes next, unless little of it was used.
    fn clear(&mut self) {
        let (small, large) = (self.small.len(), self.large.len());
        self.small.clear();
        self.large.clear();
        self.small.shrink_to(small.saturating_mul(SPARE));
        self.large.shrink_to(large.saturating_mul(SPARE));
    }

    fn len(&self) -> usize {
        self.small.len().saturating_add(self.large.len())
    }

    /// All that it has, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        let small = self.small.iter().map(|(key, value)| (large(*key), value));
        small.chain(self.large.iter().map(|(key, value)| (*key, value)))
    }

    /// What it has for each address, in no order, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.small.values_mut().chain(self.large.values_mut())
    }
}

impl<V> FromIterator<(Key, V)> for Addresses<V> {
    fn from_iter<T: IntoIterator<Item = (Key, V)>>(entries: T) -> Self {
        let (entries, mut all) = (entries.into_iter(), Addresses::default());
        all.small.reserve(entries.size_hint().0);
        for (key, value) in entries {
            match small(key) {
                Some(key) => _ = all.small.insert(key, value),
                None => _ = all.large.insert(key, value),
            }
        }
        all
    }
}

/// The key of an IPv4 address, in its mapped form, as the number that such an address is.
#[inline(always)]
fn small(key: Key) -> Option<u32> {
    (key >> 32 == 0xffff).then_some(key as u32)
}

fn large(key: u32) -> Key {
    0xffff << 32 | Key::from(key)
}

/// A table by address that is not changed any more.
#[derive(Debug)]
pub(super) struct ByAddress<V> {
    table: Addresses<V>,
    sieve: Sieve,
}

impl<V> Default for ByAddress<V> {
    fn default() -> Self {
        Addresses::default().into()
    }
}

impl<V> From<Addresses<V>> for ByAddress<V> {
    fn from(table: Addresses<V>) -> Self {
        let mut all = ByAddress { table, sieve: Sieve::default() };
        all.sift();
        all
    }
}

/// A number for an address; those of IPv4 have each their own.
#[inline(always)]
fn number(key: Key) -> u64 {
    key as u64 ^ ((key >> 64) as u64).rotate_left(32)
}

impl<V> ByAddress<V> {
    /// Forgets all, and has it put together anew.
    pub fn renew(&mut self, put: impl FnOnce(&mut Addresses<V>)) {
        self.table.clear();
        put(&mut self.table);
        self.sift();
    }

    fn sift(&mut self) {
        let keys = self.table.iter().map(|(key, _)| number(key));
        self.sieve.renew(self.table.len(), keys);
    }

    /// How many addresses it has something for.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// What it has for an address.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&V> {
        if !self.sieve.may_have(number(key)) {
            return None;
        }
        match small(key) {
            Some(key) => self.table.small.get(&key),
            None => self.table.large.get(&key),
        }
    }

    /// Whether it has anything for an address.
    #[inline]
    pub fn has(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// All that it has, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        self.table.iter()
    }

    /// Every address that it has anything for, in no order.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.iter().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_missing(
            keys in prop::collection::hash_map(prop_oneof![any::<u128>(), any::<u32>().prop_map(large)], any::<u8>(), 0..300),
            others in prop::collection::vec(prop_oneof![any::<u128>(), any::<u32>().prop_map(large)], 0..100),
        ) {
            let table: ByAddress<u8> = keys.iter().map(|(key, value)| (*key, *value)).collect::<Addresses<_>>().into();
            prop_assert!(keys.iter().all(|(key, value)| table.get(*key) == Some(value)));
            prop_assert!(others.iter().all(|key| table.has(*key) == keys.contains_key(key)));
            prop_assert_eq!(table.keys().count(), keys.len());
        }
    }

    #[test]
    fn most_others_are_told_by_their_bits() {
        let mut sieve = Sieve::default();
        sieve.renew(9, 500..2000);
        sieve.renew(1000, 0..1000);
        assert!((0..1000).all(|n| sieve.may_have(n)) && (1000..2000).filter(|n| sieve.may_have(*n)).count() < 150);
        assert!(!Sieve::default().may_have(7));
    }
}
