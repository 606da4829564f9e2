//! Who says that it has which address: ARP (RFC 826) for IPv4 on Ethernet.
//!
//! Limits: Ethernet with up to [`TAGS`] VLAN tags, and Linux cooked captures. Refused: other hardware and other
//! protocols.

use std::net::Ipv4Addr;

use crate::wire::Reader;

/// How many VLAN tags are looked through.
const TAGS: usize = 4;

/// A claim to an address: what the sender of an ARP packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sender's hardware address.
    pub mac: [u8; 6],
    /// The address that it says is its own.
    pub ip: Ipv4Addr,
}

/// The claim in a frame of that link type, if it is ARP and makes one: a probe (RFC 5227 §2.1.1) makes none.
pub fn claim(link: u16, frame: &[u8]) -> Option<Claim> {
    let mut r = Reader::new(frame);
    let mut ethertype = match link {
        1 => {
            r.skip(12).ok()?;
            r.u16().ok()?
        }
        113 => {
            r.skip(14).ok()?;
            r.u16().ok()?
        }
        276 => {
            let ethertype = r.u16().ok()?;
            r.skip(18).ok()?;
            ethertype
        }
        _ => return None,
    };
    for _ in 0..TAGS {
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        r.skip(2).ok()?;
        ethertype = r.u16().ok()?;
    }
    if ethertype != 0x0806 {
        return None;
    }
    let &[0, 1, 8, 0, 6, 4, 0, 1..=2, a, b, c, d, e, f] = r.array::<14>().ok()? else { return None };
    let ip = Ipv4Addr::from(*r.array::<4>().ok()?);
    (!ip.is_unspecified()).then_some(Claim { mac: [a, b, c, d, e, f], ip })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARP: [u8; 28] = [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 192, 168, 1, 50, 2, 0, 0, 0, 0, 1, 192, 168, 1, 1];

    #[test]
    fn a_claim_is_found_behind_tags_and_a_probe_makes_none() {
        let expected = Some(Claim { mac: [2, 0, 0, 0, 0, 9], ip: Ipv4Addr::new(192, 168, 1, 50) });
        let plain = [&[0; 12][..], &[8, 6], &ARP].concat();
        let tagged = [&[0; 12][..], &[0x81, 0, 0, 5, 8, 6], &ARP].concat();
        let cooked = [&[0; 14][..], &[8, 6], &ARP].concat();
        let cooked_2 = [&[8, 6][..], &[0; 18], &ARP].concat();
        let told = [claim(1, &plain), claim(1, &tagged), claim(113, &cooked), claim(276, &cooked_2)];
        assert_eq!(told, [expected; 4]);
        let mut probe = plain.clone();
        probe[28..32].fill(0);
        assert_eq!((claim(1, &probe), claim(1, &plain[..30]), claim(105, &plain)), (None, None, None));
    }
}
