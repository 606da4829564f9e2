//! Who claims which address on the local network.

use std::net::Ipv4Addr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::learnt::Seen;
use crate::decode::arp::Claim;

/// How many addresses are kept.
const MAX_ADDRESSES: usize = 1 << 12;
/// How many stations are told apart for one address.
const MAX_STATIONS: usize = 4;

/// A station that claims an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its first claim.
    pub first: Seen,
    /// Its newest claim.
    pub last: Seen,
}

/// Who claims one address.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The stations, in the order of their first claims.
    pub stations: SmallVec<[Station; 1]>,
    /// How often the claim went from one station to another.
    pub changes: u32,
    latest: [u8; 6],
}

/// The claims to all addresses.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// By address and VLAN: each network may have its own host of that address.
    claims: HashMap<(Ipv4Addr, [u16; 2]), Claims, RandomState>,
}

impl Neighbours {
    /// Takes a claim.
    pub fn claim(&mut self, claim: Claim, seen: Seen) {
        let key = (claim.ip, claim.vlan);
        if self.claims.len() >= MAX_ADDRESSES && !self.claims.contains_key(&key) {
            return;
        }
        let claims = self.claims.entry(key).or_default();
        let changed = !claims.stations.is_empty() && claims.latest != claim.mac;
        claims.changes = claims.changes.saturating_add(u32::from(changed));
        claims.latest = claim.mac;
        if let Some(station) = claims.stations.iter_mut().find(|station| station.mac == claim.mac) {
            station.last = seen;
        } else if claims.stations.len() < MAX_STATIONS {
            claims.stations.push(Station { mac: claim.mac, first: seen, last: seen });
        }
    }

    /// Every address with the station that claimed it last; one of several networks is there for each, in their order.
    pub fn stations(&self) -> Vec<(Ipv4Addr, [u8; 6])> {
        let mut all: Vec<_> = self.claims.iter().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        all.into_iter().map(|((ip, _), claims)| (*ip, claims.latest)).collect()
    }

    /// All addresses that any station claims: those of the captured link, in order.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        let mut all: Vec<_> = self.claims.keys().map(|(ip, _)| *ip).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The addresses that more than one station claims, in order.
    pub fn contested(&self) -> Vec<(Ipv4Addr, &Claims)> {
        let mut all: Vec<_> = self.claims.iter().filter(|(_, claims)| claims.stations.len() > 1).collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        all.into_iter().map(|((ip, _), claims)| (*ip, claims)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_two_claim_is_contested() {
        let mut neighbours = Neighbours::default();
        let claim =
            |mac: u8, ip: u8| Claim { mac: [2, 0, 0, 0, 0, mac], ip: Ipv4Addr::new(10, 0, 0, ip), vlan: [0; 2] };
        for (frame, (mac, ip)) in [(1, 9), (2, 8), (1, 9), (3, 9), (1, 9)].into_iter().enumerate() {
            neighbours.claim(claim(mac, ip), Seen { frame: frame as u64, ..Seen::default() });
        }
        // another network's host of the address
        neighbours.claim(Claim { vlan: [20, 0], ..claim(4, 8) }, Seen::default());
        let contested = neighbours.contested();
        let [(ip, claims)] = contested[..] else { panic!("{contested:?}") };
        assert_eq!(neighbours.addresses().iter().map(|ip| ip.octets()[3]).collect::<Vec<_>>(), [8, 9]);
        assert_eq!((ip.octets()[3], claims.stations.len(), claims.changes), (9, 2, 2));
        assert_eq!(claims.stations[0].last.frame, 4);
    }
}
