//! The IPv6 addresses of flows, each known by a number: many flows share few of them.

use super::index::Index;
use super::key::fold;
use super::slab::{Marks, Renumbered, Slab};
use crate::decode::Addr;

/// Addresses, each kept once.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    all: Slab<Addr>,
    index: Index,
}

/// A hash that the traffic cannot foresee.
const fn hash(addr: Addr, secret: u64) -> u64 {
    fold(addr.high64() ^ secret, addr.low64() ^ 0xd6e8_feb8_6659_fd93)
}

impl Addresses {
    /// The number of an address.
    pub fn number(&mut self, addr: Addr, secret: u64) -> u32 {
        let Addresses { all, index } = self;
        let hash = hash(addr, secret);
        index.find(hash, |number| all.get(number) == Some(&addr)).unwrap_or_else(|| {
            let number = all.insert(addr);
            index.insert(hash, number);
            number
        })
    }

    /// The addresses of these numbers.
    #[inline(always)]
    pub fn pair(&self, [low, high]: [u32; 2]) -> Option<[Addr; 2]> {
        Some([*self.all.get(low)?, *self.all.get(high)?])
    }

    /// Keeps the addresses of these numbers, and says which numbers they have now.
    pub fn compact(&mut self, kept: impl Iterator<Item = u32>, secret: u64) -> Renumbered {
        let mut marks = Marks::of(&self.all);
        kept.for_each(|number| marks.mark(number));
        let numbers = self.all.compact(|number| marks.has(number));
        self.index.close();
        self.index = Index::with_room(self.all.len());
        for (number, addr) in self.all.iter() {
            self.index.insert(hash(*addr, secret), number);
        }
        numbers
    }

    /// No address is to get a number any more: lets go of what only finds them.
    pub fn close(&mut self) {
        self.index.close();
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.all.memory().saturating_add(self.index.memory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_number_as_long_as_it_is_kept() {
        let addr = |n: u16| Addr::v6(std::array::from_fn(|at| if at < 14 { 0xfd } else { n.to_be_bytes()[at - 14] }));
        let mut addresses = Addresses::default();
        for n in (0..1000).chain(0..1000) {
            assert_eq!(addresses.number(addr(n), 42), u32::from(n));
        }
        assert_eq!(addresses.pair([7, 999]), Some([addr(7), addr(999)]));
        assert_eq!(addresses.pair([7, 1000]), None);
        let numbers = addresses.compact((0..1000).step_by(10), 42);
        assert_eq!((numbers.of(990), numbers.of(991)), (99, super::super::NONE));
        assert_eq!((addresses.number(addr(990), 42), addresses.number(addr(991), 42)), (99, 100));
        let before = addresses.memory();
        addresses.close();
        assert!(addresses.memory() < before && addresses.pair([99, 100]) == Some([addr(990), addr(991)]));
    }
}
