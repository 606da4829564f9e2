//! From a key's hash to a flow's number: open-addressing tables of eight bytes a slot.
//!
//! A slot holds the upper half of the hash beside the number, so a lookup that misses seldom touches a flow, and
//! growth touches none.

/// How many tables there are: small ones grow one by one, without asking the kernel for memory.
const TABLES: usize = 16;
/// Homes of a table at first.
const FIRST_HOMES: u32 = 8;
/// Slots behind the last home.
const BEHIND: usize = 32;

/// From hashes to numbers. Numbers are dense (a slab's); what they stand for lives elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// One for each value of a hash's first bits.
    tables: [Table; TABLES],
    used: usize,
    /// The most numbers that were filed at once, or that there was room for.
    most: usize,
}

/// One table. Its homes are 8, 12, 16, 24 and so on, which leaves less room unused than doubling does. Behind the last
/// home are some more slots, so that looking on never begins again at the front.
#[derive(Clone, Debug, Default)]
struct Table {
    /// `tag << 32 | number + 1`; 0 is free.
    slots: Vec<u64>,
    homes: u32,
    used: u32,
}

/// The part of a hash that a slot keeps, in place.
#[inline(always)]
const fn tag(hash: u64) -> u64 {
    hash & 0xffff_ffff_0000_0000
}

/// Whether a table with so many homes has no room for one more.
const fn is_full(used: u32, homes: u32) -> bool {
    used.saturating_mul(4) >= homes.saturating_mul(3)
}

/// A table's share of so many numbers, with what may be uneven.
fn share(numbers: usize) -> u32 {
    let each = numbers.div_ceil(TABLES);
    u32::try_from(each.saturating_add(each / 8)).unwrap_or(u32::MAX)
}

/// How many homes a table has after it had so many.
fn more(homes: u32) -> u32 {
    let step = if homes.is_power_of_two() { homes / 2 } else { homes / 3 };
    homes.saturating_add(step).max(FIRST_HOMES)
}

impl Index {
    /// With room for about so many numbers.
    pub fn with_room(numbers: usize) -> Self {
        let each = share(numbers);
        Index { tables: std::array::from_fn(|_| Table::with_room(each)), used: 0, most: numbers }
    }

    #[inline(always)]
    const fn place(hash: u64) -> usize {
        (hash >> 60) as usize % TABLES
    }

    #[inline(always)]
    fn table(&self, hash: u64) -> Option<&Table> {
        self.tables.get(Self::place(hash))
    }

    /// The slot where a lookup of `hash` begins: touching it early hides the wait for memory.
    #[inline(always)]
    pub fn touch(&self, hash: u64) -> u64 {
        self.table(hash).map_or(0, |table| table.slot(table.home(hash)))
    }

    /// The number under `hash` for which `same` holds.
    #[inline(always)]
    pub fn find(&self, hash: u64, same: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table(hash)?.find(hash, same)
    }

    /// Files `number` under `hash`. The caller has made sure that it is not there.
    pub fn insert(&mut self, hash: u64, number: u32) {
        if let Some(table) = self.tables.get_mut(Self::place(hash)) {
            table.insert(tag(hash) | u64::from(number.wrapping_add(1)));
            self.used = self.used.saturating_add(1);
            self.most = self.most.max(self.used);
        }
    }

    /// Takes `number` out from under `hash`; the entries behind it close up.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let entry = tag(hash) | u64::from(number.wrapping_add(1));
        if self.tables.get_mut(Self::place(hash)).is_some_and(|table| table.remove(entry)) {
            self.used = self.used.saturating_sub(1);
        }
    }

    /// Lets go of its memory: nothing is to be looked up any more, but how many numbers are filed stays known.
    pub fn close(&mut self) {
        self.tables = Default::default();
        self.most = 0;
    }

    /// How many numbers are filed.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing is filed.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes of memory that the tables hold if numbers spread over them evenly. How they do depends on what hashes are
    /// made with, and what is let go of for want of room may not.
    pub fn memory(&self) -> usize {
        Table::slots(Table::homes_for(share(self.most))).saturating_mul(TABLES.saturating_mul(size_of::<u64>()))
    }
}

impl Table {
    fn with_room(numbers: u32) -> Self {
        let homes = Self::homes_for(numbers);
        Table { slots: vec![0; Self::slots(homes)], homes, used: 0 }
    }

    /// The least homes that have room for so many numbers.
    fn homes_for(numbers: u32) -> u32 {
        let mut homes = 0;
        while is_full(numbers, homes) && numbers > 0 {
            homes = more(homes);
        }
        homes
    }

    /// How many slots there are for so many homes.
    const fn slots(homes: u32) -> usize {
        if homes == 0 { 0 } else { (homes as usize).saturating_add(BEHIND) }
    }

    /// A slot's home: from the upper half of the hash, which the slot keeps, so that growth needs nothing else. What of
    /// that half does not tell the table is taken for a fraction of all homes.
    #[inline(always)]
    const fn home(&self, hash: u64) -> usize {
        let fraction = ((hash >> 32) as u32).wrapping_mul(TABLES as u32);
        ((fraction as u64).wrapping_mul(self.homes as u64) >> 32) as usize
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> u64 {
        self.slots.get(at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slot(at);
            if slot == 0 {
                return None;
            }
            let number = (slot as u32).wrapping_sub(1);
            if tag(slot) == tag(hash) && same(number) {
                return Some(number);
            }
            at = at.wrapping_add(1);
        }
    }

    fn insert(&mut self, entry: u64) {
        if is_full(self.used, self.homes) {
            self.grow();
        }
        while !self.put(entry) {
            self.grow();
        }
        self.used = self.used.saturating_add(1);
    }

    /// Puts an entry into the first free slot from its home on. False: there is none.
    fn put(&mut self, entry: u64) -> bool {
        let mut at = self.home(entry);
        while self.slot(at) != 0 {
            at = at.wrapping_add(1);
        }
        let free = self.slots.get_mut(at);
        free.map(|slot| *slot = entry).is_some()
    }

    #[cold]
    fn grow(&mut self) {
        let before = std::mem::take(&mut self.slots);
        loop {
            self.homes = more(self.homes);
            self.slots = vec![0; Self::slots(self.homes)];
            if before.iter().filter(|entry| **entry != 0).all(|entry| self.put(*entry)) {
                return;
            }
        }
    }

    /// Takes an entry out. False: it is not there.
    fn remove(&mut self, entry: u64) -> bool {
        let mut hole = self.home(entry);
        while self.slot(hole) != entry {
            if self.slot(hole) == 0 {
                return false;
            }
            hole = hole.wrapping_add(1);
        }
        let mut at = hole;
        loop {
            at = at.wrapping_add(1);
            let moving = self.slot(at);
            if moving == 0 {
                break;
            }
            // an entry may fill the hole unless its home lies between the hole and itself
            if self.home(moving) <= hole {
                if let Some(slot) = self.slots.get_mut(hole) {
                    *slot = moving;
                }
                hole = at;
            }
        }
        if let Some(slot) = self.slots.get_mut(hole) {
            *slot = 0;
        }
        self.used = self.used.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..4), 1..600)) {
            let mut index = Index::default();
            let mut model = HashMap::new();
            for (n, (insert, home, high)) in steps.into_iter().enumerate() {
                let hash = (home << 58) | (high << 32);
                if insert && !model.contains_key(&hash) {
                    index.insert(hash, n as u32);
                    model.insert(hash, n as u32);
                } else if let Some(number) = model.remove(&hash) {
                    index.remove(hash, number);
                }
                prop_assert_eq!(index.len(), model.len());
                for (&hash, &number) in &model {
                    prop_assert_eq!(index.find(hash, |n| n == number), Some(number));
                }
            }
        }
    }

    #[test]
    fn grows_and_keeps_all() {
        for room in [0, 1, 100, 10_000, 1_000_000] {
            keeps_all(Index::with_room(room));
        }
    }

    fn keeps_all(mut index: Index) {
        let hash = |n: u32| super::super::key::fold(u64::from(n) + 1, 0x9e37_79b9_7f4a_7c15);
        for n in 0..10_000 {
            index.insert(hash(n), n);
        }
        assert!((0..10_000).all(|n| index.find(hash(n), |m| m == n) == Some(n)));
        assert_eq!(index.find(hash(10_001), |_| true), None);
        let held: usize = index.tables.iter().map(|table| table.slots.capacity() * 8).sum();
        assert!(index.memory() >= held * 3 / 4 && index.memory() <= held * 4 / 3, "{} {held}", index.memory());
        index.close();
        assert_eq!((index.find(hash(1), |_| true), index.len(), index.memory()), (None, 10_000, 0));
    }
}
