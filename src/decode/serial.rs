//! Point-to-point links: PPP (RFC 1661, framing of RFC 1662), PPP over Ethernet (RFC 2516), Cisco HDLC, Frame Relay
//! (RFC 2427).
//!
//! PPP's address and control bytes and its protocol field's first byte may be compressed away (RFC 1661 §6). Of
//! multilink (RFC 1990) what is whole in one frame is read, with the long header; of bridging (RFC 3518) Ethernet.
//! Refused: control protocols, and compressed or encrypted PPP.

use super::{Layer, Undecoded, cut_link};
use crate::wire::{Reader, Result as Read};

const MPLS_UNICAST: u16 = 0x8847;

/// PPP from its framing, if that is there, on.
pub(super) fn ppp(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    if r.peek::<2>() == Ok(&[0xff, 0x03]) {
        r.skip(2).map_err(cut_link)?;
    }
    match ppp_protocol(r).map_err(cut_link)? {
        0x0021 | 0x0057 => Ok(Layer::Ip),
        0x0281 | 0x0283 => Ok(Layer::Ethertype(MPLS_UNICAST)),
        0x003d => match r.array::<4>() {
            // both ends of the packet are in this frame
            Ok(&[flags, ..]) if flags & 0xc0 == 0xc0 => Ok(Layer::Ppp),
            _ => Err(Undecoded::NotIp),
        },
        0x0031 => match r.array::<2>() {
            Ok([_, 1]) => Ok(Layer::Ethernet),
            _ => Err(Undecoded::NotIp),
        },
        _ => Err(Undecoded::NotIp),
    }
}

/// The protocol field: one byte where that is odd, else two (RFC 1661 §2).
fn ppp_protocol(r: &mut Reader<'_>) -> Read<u16> {
    let first = r.u8()?;
    if first & 1 == 1 { Ok(u16::from(first)) } else { Ok(u16::from_be_bytes([first, r.u8()?])) }
}

/// PPP in HDLC-like framing, or Cisco HDLC, by the address byte.
pub(super) fn ppp_or_hdlc(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    match r.peek::<1>().map_err(cut_link)? {
        [0x0f | 0x8f] => cisco_hdlc(r).map_err(cut_link),
        _ => ppp(r),
    }
}

/// PPP behind a byte that says whether the frame was sent or received.
pub(super) fn ppp_with_direction(r: &mut Reader<'_>) -> Read<Layer> {
    r.skip(1)?;
    Ok(Layer::Ppp)
}

/// Cisco HDLC: address, control, ethertype.
pub(super) fn cisco_hdlc(r: &mut Reader<'_>) -> Read<Layer> {
    r.skip(2)?;
    Ok(Layer::Ethertype(r.u16()?))
}

/// A PPPoE session packet as a frame of its own; discovery carries no packet.
pub(super) fn pppoe_alone(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    pppoe(r).map_err(cut_link)?.ok_or(Undecoded::NotIp)
}

/// The PPPoE header (RFC 2516 §4): version and type 1, code 0 for a session.
pub(super) fn pppoe(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    let &[version, code, _, _, _, _] = r.array::<6>()?;
    Ok((version == 0x11 && code == 0).then_some(Layer::Ppp))
}

/// Frame Relay: an address of two to four bytes, then what RFC 2427 writes, or an ethertype as Cisco does.
pub(super) fn frame_relay(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    for n in 0.. {
        let last = r.u8().map_err(cut_link)? & 1 == 1;
        match (n, last) {
            (1..=3, true) => break,
            (0..=2, false) => {}
            _ => return Err(Undecoded::NotIp),
        }
    }
    let &[control, next] = r.peek::<2>().map_err(cut_link)?;
    if control != 0x03 {
        r.skip(2).map_err(cut_link)?;
        return Ok(Layer::Ethertype(u16::from_be_bytes([control, next])));
    }
    r.skip(if next == 0 { 2 } else { 1 }).map_err(cut_link)?;
    match r.u8().map_err(cut_link)? {
        0xcc | 0x8e => Ok(Layer::Ip),
        0x80 => super::lan::snap(r),
        0xcf => Ok(Layer::Ppp),
        _ => Err(Undecoded::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Undecoded;
    use super::super::testpackets::*;

    fn put(head: &[u8]) -> Vec<u8> {
        [head, &inner4()].concat()
    }

    #[test]
    fn ppp_with_everything_or_nothing_compressed() {
        for head in [&[0xff, 3, 0, 0x21][..], &[0xff, 3, 0x21], &[0, 0x21], &[0x21], &[0, 0x3d, 0xc0, 0, 0, 1, 0x21]] {
            assert_eq!(seen(9, &put(head)), through(&[]), "{head:x?}");
            assert_eq!(seen(204, &put(&[&[1], head].concat())), through(&[]));
            assert_eq!(seen(50, &put(head)), through(&[]));
        }
        assert_eq!(seen(9, &put(&[0x02, 0x81, 0, 0, 0x11, 64])), through(&["mpls"]));
        assert_eq!(seen(9, &[&[0, 0x57][..], &inner6()].concat()), through(&[]));
        assert_eq!(seen(9, &[&[0, 0x31, 0, 1][..], &inner_frame()].concat()), through(&[]));
        assert_eq!(seen(9, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]), Err(Undecoded::NotIp));
        assert_eq!(seen(9, &put(&[0, 0x3d, 0x80, 0, 0, 1, 0x21])), Err(Undecoded::NotIp));
        assert_eq!(seen(9, &[0xff, 3]), Err(Undecoded::CutLink));
    }

    #[test]
    fn cisco_hdlc() {
        for link in [50, 104] {
            assert_eq!(seen(link, &put(&[0x0f, 0, 8, 0])), through(&[]));
            assert_eq!(seen(link, &[0x8f, 0, 0x80, 0x35, 0, 0]), Err(Undecoded::NotIp));
        }
    }

    #[test]
    fn pppoe_sessions_and_no_discovery() {
        let session = put(&[0x11, 0, 0, 7, 0, 40, 0, 0x21]);
        assert_eq!(seen(51, &session), through(&[]));
        assert_eq!(seen(1, &ether(0x8864, &session)), through(&["pppoe"]));
        assert_eq!(seen(1, &ether(0x8863, &[0x11, 9, 0, 0, 0, 0])), Err(Undecoded::NotIp));
        assert_eq!(seen(1, &ether(0x8864, &put(&[0x11, 0xa7, 0, 7, 0, 40, 0, 0x21]))), Err(Undecoded::NotIp));
    }

    #[test]
    fn frame_relay_of_both_kinds() {
        assert_eq!(seen(107, &put(&[0x18, 0x41, 3, 0xcc])), through(&[]));
        assert_eq!(seen(107, &put(&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0])), through(&[]));
        assert_eq!(seen(107, &put(&[0x18, 0x40, 0, 1, 3, 0xcc])), through(&[]));
        assert_eq!(seen(107, &put(&[0x18, 0x41, 8, 0])), through(&[]));
        assert_eq!(seen(107, &put(&[0x19, 3, 0xcc])), Err(Undecoded::NotIp));
        assert_eq!(seen(107, &put(&[0x18, 0x40, 0, 0, 1, 3, 0xcc])), Err(Undecoded::NotIp));
    }
}
