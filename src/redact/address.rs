//! Addresses replaced so that networks stay networks: two addresses share as many first bits after as before (the
//! construction of Xu, Fan, Ammar and Moon, "Prefix-preserving IP address anonymization", 2002, known as Crypto-PAn).
//! One thing is other than there: what decides over a bit also holds that bit's place. Without it two bits next to each
//! other are decided alike three times in four, and one network of fifteen keeps an octet as it is (of 256 it should be
//! one).
//!
//! What kind of address one is stays: bits on the way to a range of special use (RFC 6890) are not changed, so private
//! addresses stay private, and public ones public. Addresses that say nothing of anybody (loopback, groups, broadcast,
//! what is reserved) stay as they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes_gcm::KeyInit;
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;

use super::KEY;

/// A range whose first bits stay, as they stand at the top of 128 bits.
type Range = (u128, u32);

const fn v4(a: u8, b: u8, length: u32) -> Range {
    (((a as u128) << 8 | b as u128) << 112, length)
}

const V4: [Range; 9] = [
    v4(0, 0, 8),
    v4(10, 0, 8),
    v4(100, 64, 10),
    v4(127, 0, 8),
    v4(169, 254, 16),
    v4(172, 16, 12),
    v4(192, 168, 16),
    v4(224, 0, 4),
    v4(240, 0, 4),
];

const V6: [Range; 6] =
    [(0, 64), (0x2000 << 112, 3), (0xfc00 << 112, 7), (0xfd00 << 112, 8), (0xfe80 << 112, 10), (0xff00 << 112, 8)];

/// Replaces addresses.
pub struct Addresses {
    cipher: Aes128,
    pad: u128,
    /// By a bit's place.
    places: [u128; 128],
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Addresses")
    }
}

impl Addresses {
    /// With a key.
    pub fn new(key: &[u8; KEY]) -> Addresses {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        second.iter_mut().zip(key.iter().skip(16)).for_each(|(to, from)| *to = *from);
        let cipher = Aes128::new(&first.into());
        let pad = encrypted(&cipher, u128::from_be_bytes(second));
        let mut places = [0; 128];
        for (place, at) in places.iter_mut().zip(0u128..) {
            *place = encrypted(&cipher, pad ^ at);
        }
        Addresses { cipher, pad, places }
    }

    /// The pseudonym of an address.
    pub fn ip(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) => IpAddr::V4(self.v4(v4)),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V6(self.v4(v4).to_ipv6_mapped()),
                None => IpAddr::V6(self.v6(v6)),
            },
        }
    }

    fn v4(&self, ip: Ipv4Addr) -> Ipv4Addr {
        let [first, ..] = ip.octets();
        if matches!(first, 0 | 127 | 224..) {
            return ip;
        }
        let bits = self.replaced(u128::from(u32::from(ip)) << 96, 32, &V4);
        Ipv4Addr::from(u32::try_from(bits >> 96).unwrap_or_default())
    }

    fn v6(&self, ip: Ipv6Addr) -> Ipv6Addr {
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return ip;
        }
        Ipv6Addr::from(self.replaced(u128::from(ip), 128, &V6))
    }

    /// The first `width` bits of `address`, each changed or not by what stands before it.
    fn replaced(&self, address: u128, width: u32, kept: &[Range]) -> u128 {
        let mut told = address;
        for (at, place) in (0..width).zip(&self.places) {
            let mask = mask(at);
            let before = address & mask;
            let leads = |(range, length): &Range| *length > at && range & mask == before;
            if kept.iter().any(leads) {
                continue;
            }
            let flip = encrypted(&self.cipher, (before | self.pad & !mask) ^ place) >> 127;
            told ^= flip << 127u32.saturating_sub(at);
        }
        told
    }
}

/// So many first bits.
const fn mask(bits: u32) -> u128 {
    match u128::MAX.checked_shr(bits) {
        Some(rest) => !rest,
        None => u128::MAX,
    }
}

fn encrypted(cipher: &Aes128, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn addresses(key: u8) -> Addresses {
        Addresses::new(&[key; KEY])
    }

    #[test]
    fn kinds_stay_and_hosts_do_not() {
        let a = addresses(7);
        for text in ["192.168.1.50", "10.1.2.3", "172.20.0.9", "100.64.3.4", "169.254.9.9"] {
            let (ip, told): (Ipv4Addr, _) = (text.parse().unwrap(), a.v4(text.parse().unwrap()));
            assert_ne!(ip, told);
            assert_eq!(ip.is_private(), told.is_private(), "{told}");
            assert_eq!(ip.is_link_local(), told.is_link_local());
        }
        for text in ["0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255"] {
            assert_eq!(a.v4(text.parse().unwrap()).to_string(), text);
        }
        for text in ["::1", "ff02::1", "::"] {
            assert_eq!(a.v6(text.parse().unwrap()).to_string(), text);
        }
        assert!(a.v6("fe80::1".parse().unwrap()).is_unicast_link_local());
        assert!(a.v6("fd12::1".parse().unwrap()).is_unique_local());
        assert_ne!(a.v4("203.0.113.7".parse().unwrap()), addresses(8).v4("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn no_two_become_one() {
        let a = addresses(3);
        let told: HashSet<Ipv4Addr> = (0..=65_535u32).map(|n| a.v4(Ipv4Addr::from(0xc0a8_0000 | n))).collect();
        assert_eq!(told.len(), 65_536);
        assert!(told.iter().all(|ip| ip.octets()[..2] == [192, 168]));
    }

    /// Of many keys, about as many leave an octet as it is as chance would have it: one in 256.
    #[test]
    fn few_networks_keep_their_numbers() {
        let keys = (0..4096u32).map(|n| {
            let mut key = [0; KEY];
            key[..4].copy_from_slice(&n.to_be_bytes());
            key[16..20].copy_from_slice(&n.to_le_bytes());
            Addresses::new(&key)
        });
        let kept = keys.filter(|a| a.v4(Ipv4Addr::new(192, 168, 1, 50)).octets()[2] == 1).count();
        assert!((4..=40).contains(&kept), "{kept}");
    }

    proptest! {
        #[test]
        fn networks_stay(x: u32, y: u32, key: u8, bits in 0u32..32) {
            let a = addresses(key);
            let y = x & !(u32::MAX >> bits) | y & (u32::MAX >> bits);
            let shared = |x: u32, y: u32| (x ^ y).leading_zeros();
            let stays = |ip: u32| matches!(ip >> 24, 0 | 127 | 224..);
            prop_assume!(!stays(x) && !stays(y));
            let told = [x, y].map(|ip| u32::from(a.v4(Ipv4Addr::from(ip))));
            prop_assert_eq!(shared(x, y), shared(told[0], told[1]));
            prop_assert!(!stays(told[0]));
            prop_assert_eq!(Ipv4Addr::from(x).is_private(), Ipv4Addr::from(told[0]).is_private());
        }

        #[test]
        fn networks_stay_in_ipv6(x: u128, y: u128, bits in 0u32..128) {
            let a = addresses(1);
            let y = x & !(u128::MAX >> bits) | y & (u128::MAX >> bits);
            let ips = [x, y].map(Ipv6Addr::from);
            prop_assume!(ips.iter().all(|ip| !ip.is_multicast()));
            let told = ips.map(|ip| u128::from(a.v6(ip)));
            prop_assert_eq!((x ^ y).leading_zeros(), (told[0] ^ told[1]).leading_zeros());
        }
    }
}
