//! The addresses that DNS told anybody a name for, whichever: what is wanted of most of them is only that.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::names::digest;

/// Addresses, in parts that were each put together alone.
#[derive(Debug, Default)]
pub struct Named {
    /// Of part `n` those whose digest leaves `n` when it is divided by the number of parts.
    parts: Vec<Part>,
}

/// Some of the addresses, by their digests.
#[derive(Debug, Default)]
pub struct Part {
    /// Those of IPv4 are numbers of 32 bits.
    small: HashSet<u32, RandomState>,
    large: HashSet<u64, RandomState>,
}

impl Part {
    fn insert(&mut self, digest: u64) {
        match u32::try_from(digest) {
            Ok(small) => _ = self.small.insert(small),
            Err(_) => _ = self.large.insert(digest),
        }
    }

    fn contains(&self, digest: u64) -> bool {
        u32::try_from(digest).map_or_else(|_| self.large.contains(&digest), |small| self.small.contains(&small))
    }

    fn len(&self) -> usize {
        self.small.len().saturating_add(self.large.len())
    }
}

impl Named {
    /// Of all parts, in their order.
    pub fn new(parts: Vec<Part>) -> Named {
        Named { parts }
    }

    /// One part of so many of these addresses, of which `count` were told, with those told again.
    pub fn part(addresses: impl Iterator<Item = IpAddr>, count: usize, part: usize, parts: usize) -> Part {
        let mut found = Part::default();
        // a table of so many places: more, for the few that stay empty, would mean twice as many
        let count = count.checked_div(parts).unwrap_or(0);
        found.small.reserve(count.saturating_sub(count / 8));
        addresses.map(digest).filter(|digest| place(*digest, parts) == part).for_each(|digest| found.insert(digest));
        found
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an address is among them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let digest = digest(address);
        self.parts.get(place(digest, self.parts.len())).is_some_and(|part| part.contains(digest))
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
