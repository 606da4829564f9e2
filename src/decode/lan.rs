//! Other local networks: IEEE 802.2 LLC with SNAP (RFC 1042), FDDI (RFC 1390), token ring (IEEE 802.5 with source
//! routing), ARCNET (RFC 1201, RFC 1051), SunATM, IP over IEEE 1394 as Apple captures it.
//!
//! Refused: what is not a data frame, LLC that carries no IP, and the later parts of an ARCNET packet in parts.

use super::shim::is_ethernet;
use super::{Layer, Undecoded, cut_link};
use crate::wire::{Reader, Result as Read};

/// IEEE 802.2: SNAP, IP by the access point that it once had, or by ISO's identifier of a network protocol (RFC 2684
/// §5.1).
pub(super) fn llc(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let Ok(&[dsap, ssap, control]) = r.array::<3>() else { return Err(Undecoded::NotIp) };
    match [dsap, ssap, control] {
        [0xaa, 0xaa, 0x03] => snap(r),
        [0x06, 0x06, 0x03] => Ok(Layer::Ip),
        [0xfe, 0xfe, 0x03] if matches!(r.u8(), Ok(0xcc | 0x8e)) => Ok(Layer::Ip),
        _ => Err(Undecoded::NotIp),
    }
}

/// A SNAP header: whose numbers they are, and the number.
pub(super) fn snap(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let Ok(&[o0, o1, o2, a, b]) = r.array::<5>() else { return Err(Undecoded::NotIp) };
    match (u32::from_be_bytes([0, o0, o1, o2]), u16::from_be_bytes([a, b])) {
        // RFC 1042, and IEEE 802.1H for what is bridged
        (0 | 0x0000_00f8, ethertype) => Ok(Layer::Ethertype(ethertype)),
        // RFC 2684 §5.2, RFC 2427 §4.2: a bridged Ethernet frame, with and without its check sequence
        (0x0000_80c2, 0x0001 | 0x0007) => {
            // over ATM behind two bytes that align it, over Frame Relay behind none
            if r.peek::<2>() == Ok(&[0, 0]) && !is_ethernet(*r) {
                r.skip(2).map_err(cut_link)?;
            }
            Ok(Layer::Ethernet)
        }
        _ => Err(Undecoded::NotIp),
    }
}

/// FDDI: an LLC frame is one whose frame control has the format bits 01 behind class and address length.
pub(super) fn fddi(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let control = r.u8().map_err(cut_link)?;
    r.skip(12).map_err(cut_link)?;
    if control & 0x30 == 0x10 { llc(r) } else { Err(Undecoded::NotIp) }
}

/// Token ring: where the source address's first bit is set, routing information follows.
pub(super) fn token_ring(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[_, control, _, _, _, _, _, _, source, _, _, _, _, _] = r.array::<14>().map_err(cut_link)?;
    if source & 0x80 != 0 {
        let [routing] = r.peek::<1>().map_err(cut_link)?;
        r.skip(usize::from(routing & 0x1f)).map_err(cut_link)?;
    }
    if control & 0xc0 == 0x40 { llc(r) } else { Err(Undecoded::NotIp) }
}

/// ARCNET as a BSD captures it, or as Linux does, which leaves room for an offset before the type.
pub(super) fn arcnet(r: &mut Reader<'_>, linux: bool) -> Result<Layer, Undecoded> {
    arcnet_type(r, linux).map_err(cut_link)?.ok_or(Undecoded::NotIp)
}

fn arcnet_type(r: &mut Reader<'_>, linux: bool) -> Read<Option<Layer>> {
    r.skip(if linux { 4 } else { 2 })?;
    let kind = r.u8()?;
    // RFC 1051 has no more header than this
    if kind == 240 {
        return Ok(Some(Layer::Ip));
    }
    let mut split = r.u8()?;
    r.skip(2)?;
    if split == 0xff {
        // RFC 1201 §4: an exception packet, for lengths that the hardware cannot send; the header stands there again
        r.skip(1)?;
        split = r.u8()?;
        r.skip(2)?;
    }
    // an odd flag is a first part; other parts have an even one, 0 is whole
    let begins = split == 0 || split & 1 == 1;
    Ok(match kind {
        212 | 196 if begins => Some(Layer::Ip),
        _ => None,
    })
}

/// SunATM: four bytes, of which the first one's low bits say LLC or an emulated Ethernet.
pub(super) fn sun_atm(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    const LANE: u8 = 1;
    const LLC: u8 = 2;
    let &[kind, _, _, _] = r.array::<4>().map_err(cut_link)?;
    match kind & 0x0f {
        LANE => {
            // the emulated LAN's client id
            r.skip(2).map_err(cut_link)?;
            Ok(Layer::Ethernet)
        }
        LLC => Ok(Layer::Llc),
        _ => Err(Undecoded::NotIp),
    }
}

/// IP over IEEE 1394 (Apple): two addresses of eight bytes and an ethertype.
pub(super) fn firewire(r: &mut Reader<'_>) -> Read<Layer> {
    r.skip(16)?;
    r.u16().map(Layer::type_or_length)
}

#[cfg(test)]
mod tests {
    use super::super::Undecoded;
    use super::super::testpackets::*;

    #[test]
    fn llc_in_8023_and_behind_tags() {
        let frame = ether(100, &inner_snap());
        assert_eq!(seen(1, &frame), through(&[]));
        let tagged = [&frame[..12], &[0x81, 0, 0, 7, 0, 100], &frame[14..]].concat();
        assert_eq!(seen(1, &tagged), Ok((PORTS, vec![], [7, 0])));
        let spanning_tree = ether(38, &[0x42, 0x42, 3, 0, 0, 0, 0, 0]);
        assert_eq!(seen(1, &spanning_tree), Err(Undecoded::NotIp));
        let bridged = [&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7][..], &inner_frame()].concat();
        assert_eq!(seen(100, &bridged), through(&[]));
        let aligned = [&bridged[..8], &[0, 0], &inner_frame()].concat();
        assert_eq!(seen(100, &aligned), through(&[]));
        let routed = |id: u8| [&[0xfe, 0xfe, 3, id][..], &inner4()].concat();
        assert_eq!(seen(100, &routed(0xcc)), through(&[]));
        assert_eq!(seen(100, &routed(0x81)), Err(Undecoded::NotIp));
    }

    #[test]
    fn rings() {
        assert_eq!(seen(10, &[&[0x50][..], &[2; 12], &inner_snap()].concat()), through(&[]));
        assert_eq!(seen(10, &[&[0x41][..], &[2; 12], &inner_snap()].concat()), Err(Undecoded::NotIp));
        let ring = |source: u8, routing: &[u8]| {
            [&[0x10, 0x40, 2, 2, 2, 2, 2, 2, source, 2, 2, 2, 2, 2][..], routing, &inner_snap()].concat()
        };
        assert_eq!(seen(6, &ring(2, &[])), through(&[]));
        assert_eq!(seen(6, &ring(0x82, &[0xc6, 0x30, 0, 1, 0, 2])), through(&[]));
    }

    #[test]
    fn arcnet_of_both_kinds() {
        let put = |head: &[u8]| [head, &inner4()].concat();
        assert_eq!(seen(129, &put(&[1, 2, 0, 0, 212, 0, 0, 1])), through(&[]));
        assert_eq!(seen(129, &put(&[1, 2, 0, 0, 240])), through(&[]));
        assert_eq!(seen(129, &put(&[1, 2, 0, 0, 212, 2, 0, 1])), Err(Undecoded::NotIp));
        assert_eq!(seen(7, &put(&[1, 2, 212, 0, 0, 1])), through(&[]));
        assert_eq!(seen(7, &put(&[1, 2, 212, 0xff, 0, 0, 212, 0, 0, 1])), through(&[]));
    }

    #[test]
    fn others() {
        assert_eq!(seen(123, &[&[0x82, 0, 0, 9][..], &inner_snap()].concat()), through(&[]));
        assert_eq!(seen(123, &[&[0x01, 0, 0, 9, 0, 1][..], &inner_frame()].concat()), through(&[]));
        assert_eq!(seen(138, &[&[2; 16][..], &[8, 0], &inner4()].concat()), through(&[]));
        assert_eq!(seen(122, &[&[2; 16][..], &inner_snap()].concat()), through(&[]));
        assert_eq!(seen(240, &[&[0; 4][..], &inner_frame()].concat()), through(&[]));
        assert_eq!(seen(274, &[&[0x55; 8][..], &inner_frame()].concat()), through(&[]));
    }
}
