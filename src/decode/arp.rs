//! Who says that it has which address: ARP (RFC 826) for IPv4 on Ethernet, wherever frames lead to it: behind tags,
//! within the tunnels that mirrors send, over the air.
//!
//! Limits: [`MAX_LAYERS`] headers, the innermost packet's own tunnel. Refused: other hardware and other protocols.

use std::net::Ipv4Addr;

use super::{Layer, MAX_LAYERS, Packet, tunnel};
use crate::wire::Reader;

/// Its ethertype.
const ARP: u16 = 0x0806;

/// A claim to an address: what the sender of an ARP packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sender's hardware address.
    pub mac: [u8; 6],
    /// The address that it says is its own.
    pub ip: Ipv4Addr,
    /// The VLAN that it says so in, as a packet's.
    pub vlan: [u16; 2],
}

/// The claim in a frame of that link type in which no packet was found.
pub fn claim(link: u16, frame: &[u8]) -> Option<Claim> {
    behind(Layer::Link(link), Reader::new(frame))
}

/// The claim that a packet carries, as the mirror of a frame for one, where it was found to carry no other packet.
pub fn carried_claim(frame: &[u8], packet: &Packet) -> Option<Claim> {
    if !tunnel::may_carry(packet) {
        return None;
    }
    let (layer, r) = tunnel::other(frame, packet)?;
    behind(layer, r)
}

/// What stands behind headers, the first of which begins at `r`, if it is a claim.
fn behind(mut layer: Layer, mut r: Reader<'_>) -> Option<Claim> {
    let mut packet = Packet::default();
    for _ in 0..MAX_LAYERS {
        match layer {
            Layer::Ethertype(ARP) => return read(r, packet.vlan),
            Layer::Ip => return None,
            _ => layer = layer.behind(&mut r, &mut packet).ok()?,
        }
    }
    None
}

/// What the sender says of itself, if it does: a probe (RFC 5227 §2.1.1) makes no claim.
fn read(mut r: Reader<'_>, vlan: [u16; 2]) -> Option<Claim> {
    let &[0, 1, 8, 0, 6, 4, 0, 1..=2, a, b, c, d, e, f] = r.array::<14>().ok()? else { return None };
    let ip = Ipv4Addr::from(*r.array::<4>().ok()?);
    (!ip.is_unspecified()).then_some(Claim { mac: [a, b, c, d, e, f], ip, vlan })
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::super::testpackets::{ether, ip4};
    use super::*;

    const CLAIM: [u8; 28] =
        [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 192, 168, 1, 50, 2, 0, 0, 0, 0, 1, 192, 168, 1, 1];

    #[test]
    fn a_claim_is_found_behind_tags_and_a_probe_makes_none() {
        let own = Claim { mac: [2, 0, 0, 0, 0, 9], ip: Ipv4Addr::new(192, 168, 1, 50), vlan: [0; 2] };
        let expected = Some(own);
        let plain = [&[0; 12][..], &[8, 6], &CLAIM].concat();
        let tagged = [&[0; 12][..], &[0x81, 0, 0, 5, 8, 6], &CLAIM].concat();
        let cooked = [&[0; 14][..], &[8, 6], &CLAIM].concat();
        let cooked_2 = [&[8, 6][..], &[0; 18], &CLAIM].concat();
        let told = [claim(1, &plain), claim(113, &cooked), claim(276, &cooked_2)];
        assert_eq!(told, [expected; 3]);
        assert_eq!(claim(1, &tagged), Some(Claim { vlan: [5, 0], ..own }));
        // over the air, and as a mirror sends it on
        let wireless = [&[0x08, 0x02][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], &CLAIM].concat();
        assert_eq!(claim(105, &wireless), expected);
        let mirrored = ip4(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 0], &plain[..]].concat());
        let mut packet = Packet::default();
        assert_eq!(decode(1, &ether(0x0800, &mirrored), &mut packet), Ok(()));
        assert_eq!((packet.proto, carried_claim(&ether(0x0800, &mirrored), &packet)), (47, expected));
        let mut probe = plain.clone();
        probe[28..32].fill(0);
        assert_eq!((claim(1, &probe), claim(1, &plain[..30]), claim(105, &plain)), (None, None, None));
    }
}
