//! From a key's hash to a flow's number: an open-addressing table of eight bytes a slot.
//!
//! A slot holds the upper half of the hash beside the number, so a lookup that misses seldom touches a flow, and
//! growth touches none.

/// The table. Numbers are dense (a slab's); what they stand for lives elsewhere.
///
/// Homes are 64, 96, 128, 192 and so on, which leaves less room unused than doubling does. Behind the last home are some
/// more slots, so that looking on never begins again at the front.
#[derive(Clone, Debug)]
pub struct Index {
    /// `tag << 32 | number + 1`; 0 is free.
    slots: Vec<u64>,
    homes: usize,
    used: usize,
}

const FIRST_HOMES: usize = 64;
/// Slots behind the last home.
const BEHIND: usize = 64;

impl Default for Index {
    fn default() -> Self {
        Index { slots: vec![0; FIRST_HOMES.wrapping_add(BEHIND)], homes: FIRST_HOMES, used: 0 }
    }
}

/// The part of a hash that a slot keeps, in place.
#[inline(always)]
const fn tag(hash: u64) -> u64 {
    hash & 0xffff_ffff_0000_0000
}

impl Index {
    /// A slot's home: from the upper half of the hash, which the slot keeps, so that growth needs nothing else. That half
    /// is taken for a fraction of all homes.
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        ((hash >> 32).wrapping_mul(self.homes as u64) >> 32) as usize
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> u64 {
        self.slots.get(at).copied().unwrap_or(0)
    }

    /// The slot where a lookup of `hash` begins: touching it early hides the wait for memory.
    #[inline(always)]
    pub fn touch(&self, hash: u64) -> u64 {
        self.slot(self.home(hash))
    }

    /// The number under `hash` for which `same` holds.
    #[inline(always)]
    pub fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
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

    /// Files `number` under `hash`. The caller has made sure that it is not there.
    pub fn insert(&mut self, hash: u64, number: u32) {
        if self.used.saturating_mul(4) >= self.homes.saturating_mul(3) {
            self.grow();
        }
        while !self.put(tag(hash) | u64::from(number.wrapping_add(1))) {
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
            let step = if self.homes.is_power_of_two() { self.homes / 2 } else { self.homes / 3 };
            self.homes = self.homes.saturating_add(step);
            self.slots = vec![0; self.homes.saturating_add(BEHIND)];
            if before.iter().filter(|entry| **entry != 0).all(|entry| self.put(*entry)) {
                return;
            }
        }
    }

    /// Takes `number` out from under `hash`; the entries behind it close up.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let entry = tag(hash) | u64::from(number.wrapping_add(1));
        let mut hole = self.home(hash);
        while self.slot(hole) != entry {
            if self.slot(hole) == 0 {
                return;
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
    }

    /// Lets go of its memory: nothing is to be looked up any more, but how many numbers are filed stays known.
    pub fn close(&mut self) {
        self.slots = Vec::new();
    }

    /// How many numbers are filed.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing is filed.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes of memory that the table holds.
    pub fn memory(&self) -> usize {
        self.slots.capacity().saturating_mul(8)
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
        let mut index = Index::default();
        let hash = |n: u32| super::super::key::fold(u64::from(n) + 1, 0x9e37_79b9_7f4a_7c15);
        for n in 0..10_000 {
            index.insert(hash(n), n);
        }
        assert!((0..10_000).all(|n| index.find(hash(n), |m| m == n) == Some(n)));
        assert_eq!(index.find(hash(10_001), |_| true), None);
        index.close();
        assert_eq!((index.find(hash(1), |_| true), index.len(), index.memory()), (None, 10_000, 0));
    }
}
