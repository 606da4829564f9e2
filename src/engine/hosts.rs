//! Sets of hosts that are asked about every flow: most flows are of others, and a few bits say so.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::decode::Addr;

/// Words of the sketch: 8 kB stay in a core's own cache.
const WORDS: usize = 1024;

/// Hosts, by their addresses.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    set: HashSet<Addr, RandomState>,
    /// A bit for each digest that a host has; empty where there are none.
    sketch: Vec<u64>,
}

impl Hosts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether a host is among them.
    #[inline]
    pub fn contains(&self, host: &Addr) -> bool {
        let (word, bit) = place(host);
        self.sketch.get(word).is_some_and(|bits| bits >> bit & 1 == 1) && self.set.contains(host)
    }

    /// Adds a host.
    pub fn insert(&mut self, host: Addr) {
        if self.sketch.is_empty() {
            self.sketch = vec![0; WORDS];
        }
        let (word, bit) = place(&host);
        if let Some(bits) = self.sketch.get_mut(word) {
            *bits |= 1 << bit;
        }
        self.set.insert(host);
    }
}

impl Extend<Addr> for Hosts {
    fn extend<T: IntoIterator<Item = Addr>>(&mut self, hosts: T) {
        hosts.into_iter().for_each(|host| self.insert(host));
    }
}

impl FromIterator<Addr> for Hosts {
    fn from_iter<T: IntoIterator<Item = Addr>>(hosts: T) -> Self {
        let mut all = Hosts::default();
        all.extend(hosts);
        all
    }
}

impl FromIterator<IpAddr> for Hosts {
    fn from_iter<T: IntoIterator<Item = IpAddr>>(hosts: T) -> Self {
        hosts.into_iter().map(Addr::from_ip).collect()
    }
}

/// The word and the bit of a host.
#[inline]
fn place(host: &Addr) -> (usize, u32) {
    let mixed = (host.low64() ^ host.high64().rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // the upper bits of a product depend on all that was multiplied
    ((mixed >> 54) as usize, (mixed >> 48 & 63) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_among_them_is_found_and_nobody_else() {
        assert!(Hosts::default().is_empty() && !Hosts::default().contains(&Addr::v4([0; 4])));
        let host = |n: u32| Addr::v4((0x0a00_0000 + n).to_be_bytes());
        let hosts: Hosts = (0..50_000).step_by(3).map(host).chain([Addr::v6([7; 16])]).collect();
        assert!((0..50_000).all(|n| hosts.contains(&host(n)) == (n % 3 == 0)));
        assert!(hosts.contains(&Addr::v6([7; 16])) && !hosts.contains(&Addr::v6([8; 16])));
        assert_eq!(hosts.len(), 16_668);
    }
}
