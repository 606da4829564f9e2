//! The addresses that DNS told anybody a name for, whichever: what is wanted of most of them is only that.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::names::digest;

/// Addresses, in parts that were each put together alone.
#[derive(Debug, Default)]
pub struct Named {
    /// Digests: of part `n` those that leave `n` when they are divided by the number of parts.
    parts: Vec<HashSet<u64, RandomState>>,
}

impl Named {
    /// Of all parts, in their order.
    pub fn new(parts: Vec<HashSet<u64, RandomState>>) -> Named {
        Named { parts }
    }

    /// One part of so many of these addresses, of which there are `count` at most.
    pub fn part(
        addresses: impl Iterator<Item = IpAddr>,
        count: usize,
        part: usize,
        parts: usize,
    ) -> HashSet<u64, RandomState> {
        let mut found =
            HashSet::with_capacity_and_hasher(count.checked_div(parts).unwrap_or(0), RandomState::default());
        found.extend(addresses.map(digest).filter(|digest| place(*digest, parts) == part));
        found
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an address is among them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let digest = digest(address);
        self.parts.get(place(digest, self.parts.len())).is_some_and(|part| part.contains(&digest))
    }
}

/// The part that a digest belongs to.
fn place(digest: u64, parts: usize) -> usize {
    digest.checked_rem(parts as u64).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_in_one_part() {
        let addresses = || (0..1000u32).map(|n| IpAddr::from((n * 7).to_be_bytes()));
        for parts in [1, 2, 3, 16] {
            let named = Named::new((0..parts).map(|part| Named::part(addresses(), 1000, part, parts)).collect());
            assert_eq!(named.len(), 1000);
            assert!(addresses().all(|address| named.contains(address)));
            assert!(!named.contains(IpAddr::from([0, 0, 0, 1])));
        }
        assert!(Named::default().is_empty() && !Named::default().contains(IpAddr::from([0; 4])));
    }
}
