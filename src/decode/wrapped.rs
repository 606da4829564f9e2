//! Link types that wrap a frame of another: PPI, Apple's PKTAP, Linux's NFLOG, OpenBSD's PFLOG, DOCSIS, Endace's ERF,
//! Wireshark's exported packets.
//!
//! Refused: PKTAP records without a packet, NFLOG without one, ERF of ATM, InfiniBand and meta data, exported packets
//! of anything but IP and Ethernet.

use super::{Layer, Undecoded, cut_link, serial};
use crate::wire::{Reader, Result as Read};

/// CACE's per-packet information: version, flags, length of all of it, then the link type; little-endian.
pub(super) fn ppi(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[_, _, l0, l1, d0, d1, d2, d3] = r.array::<8>().map_err(cut_link)?;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    r.skip(length.checked_sub(8).ok_or(Undecoded::CutLink)?).map_err(cut_link)?;
    inner(u32::from_le_bytes([d0, d1, d2, d3]))
}

/// Apple's header, little-endian: its length, 1 for a packet, the link type. Link type 149 is for private use, and
/// Apple's; elsewhere it may be anything, so what does not look like this header is not read.
pub(super) fn pktap(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let Ok(&[l0, l1, l2, l3, k0, k1, k2, k3, d0, d1, d2, d3]) = r.peek::<12>() else {
        return if r.is_empty() { Err(Undecoded::CutLink) } else { Err(Undecoded::UnknownLink) };
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    const SHORTEST: u32 = 108;
    if !(SHORTEST..1024).contains(&length) || u32::from_le_bytes([k0, k1, k2, k3]) != 1 {
        return Err(Undecoded::UnknownLink);
    }
    r.skip(usize::try_from(length).unwrap_or(usize::MAX)).map_err(cut_link)?;
    inner(u32::from_le_bytes([d0, d1, d2, d3]))
}

/// A frame of that link type.
fn inner(link: u32) -> Result<Layer, Undecoded> {
    u16::try_from(link).map(Layer::Link).map_err(|_| Undecoded::UnknownLink)
}

/// How many attributes are passed before a packet counts as hostile.
const MAX_ATTRIBUTES: usize = 64;

/// Linux's netfilter log: address family, version, resource, then attributes in the byte order of the machine that
/// captured, one of them the packet.
pub(super) fn nflog(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[_, version, _, _] = r.array::<4>().map_err(cut_link)?;
    if version != 0 {
        return Err(Undecoded::NotIp);
    }
    nflog_payload(r).map_err(cut_link)?.ok_or(Undecoded::NotIp)
}

fn nflog_payload(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    const PAYLOAD: u8 = 9;
    for _ in 0..MAX_ATTRIBUTES {
        // types are small and never 0: the byte that is 0 tells the byte order
        let &[a, b, t0, t1] = r.array::<4>()?;
        let (length, kind) = match (t0, t1) {
            (kind @ 1.., 0) => (u16::from_le_bytes([a, b]), kind),
            (0, kind @ 1..) => (u16::from_be_bytes([a, b]), kind),
            _ => return Ok(None),
        };
        if kind == PAYLOAD {
            return Ok(Some(Layer::Ip));
        }
        let Some(rest) = usize::from(length).checked_sub(4) else { return Ok(None) };
        r.skip(rest.saturating_add(rest.wrapping_neg() & 3))?;
    }
    Ok(None)
}

/// OpenBSD's packet filter log: its length, which stands in the first byte, is filled up to a multiple of four.
pub(super) fn pflog(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[length] = r.peek::<1>().map_err(cut_link)?;
    let length = usize::from(length);
    r.skip(length.saturating_add(length.wrapping_neg() & 3)).map_err(cut_link)?;
    Ok(Layer::Ip)
}

/// DOCSIS (its MAC and upper layer protocols interface, §6.2): a header with an extended one, a check sequence, and,
/// for frames of packet type, Ethernet.
pub(super) fn docsis(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    const EXTENDED: u8 = 0x01;
    let &[control, extended, _, _] = r.array::<4>().map_err(cut_link)?;
    if control >> 6 != 0 {
        return Err(Undecoded::NotIp);
    }
    let extended = if control & EXTENDED != 0 { usize::from(extended) } else { 0 };
    r.skip(extended.saturating_add(2)).map_err(cut_link)?;
    Ok(Layer::Ethernet)
}

/// Endace's extensible record format: time, type, flags, lengths, further headers of eight bytes as long as their first
/// bit says so, and for Ethernet two bytes that align it.
pub(super) fn erf(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    const MORE: u8 = 0x80;
    let &[_, _, _, _, _, _, _, _, kind, _, _, _, _, _, _, _] = r.array::<16>().map_err(cut_link)?;
    let mut last = kind;
    for _ in 0..MAX_ATTRIBUTES {
        if last & MORE == 0 {
            break;
        }
        [last, ..] = *r.array::<8>().map_err(cut_link)?;
    }
    match kind & !MORE {
        // as it is, and with a colour, a channel or a hash in a field that is not looked at
        2 | 11 | 16 | 20 => {
            r.skip(2).map_err(cut_link)?;
            Ok(Layer::Ethernet)
        }
        1 | 10 | 15 | 19 => serial::ppp_or_hdlc(r),
        5 | 17 => {
            r.skip(4).map_err(cut_link)?;
            serial::ppp_or_hdlc(r)
        }
        22 | 23 => Ok(Layer::Ip),
        _ => Err(Undecoded::NotIp),
    }
}

/// Wireshark's exported packets: tags, of which one names the dissector of what follows.
pub(super) fn exported(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    exported_name(r).map_err(cut_link)?.ok_or(Undecoded::NotIp)
}

fn exported_name(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    const END: u16 = 0;
    const DISSECTOR: u16 = 12;
    let mut layer = None;
    for _ in 0..MAX_ATTRIBUTES {
        let tag = r.u16()?;
        let value = r.vec16()?.rest();
        match (tag, value.trim_ascii_end().split(|b| *b == 0).next()) {
            (END, _) => return Ok(layer),
            (DISSECTOR, Some(b"ip" | b"ipv6")) => layer = Some(Layer::Ip),
            (DISSECTOR, Some(b"eth" | b"eth_withfcs" | b"eth_withoutfcs" | b"eth_maybefcs")) => {
                layer = Some(Layer::Ethernet);
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::Undecoded;
    use super::super::testpackets::*;

    #[test]
    fn ppi_names_its_link_type() {
        let ppi = |link: u8, frame: &[u8]| [&[0, 0, 12, 0, link, 0, 0, 0, 9, 9, 9, 9][..], frame].concat();
        assert_eq!(seen(192, &ppi(1, &inner_frame())), through(&[]));
        assert_eq!(seen(192, &ppi(101, &inner6())), through(&[]));
        assert_eq!(seen(192, &ppi(147, &inner6())), Err(Undecoded::UnknownLink));
        let nested = (0..40).fold(inner_frame(), |frame, _| ppi(192, &frame));
        assert_eq!(seen(192, &nested), Err(Undecoded::TooDeep));
    }

    #[test]
    fn pktap_is_told_from_other_private_use() {
        let pktap = |kind: u8| {
            let mut head = vec![108, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0];
            head.resize(108, 0);
            [head, inner_frame()].concat()
        };
        for link in [149, 258] {
            assert_eq!(seen(link, &pktap(1)), through(&[]));
            assert_eq!(seen(link, &pktap(2)), Err(Undecoded::UnknownLink));
            assert_eq!(seen(link, &inner_frame()), Err(Undecoded::UnknownLink));
        }
    }

    #[test]
    fn nflog_in_either_byte_order() {
        let little = [&[2, 0, 0, 5, 5, 0, 10, 0, b'x', 0, 0, 0, 48, 0, 9, 0][..], &inner4()].concat();
        assert_eq!(seen(239, &little), through(&[]));
        let big = [&[10, 0, 0, 5, 0, 5, 0, 10, b'x', 0, 0, 0, 0, 60, 0, 9][..], &inner6()].concat();
        assert_eq!(seen(239, &big), through(&[]));
        assert_eq!(seen(239, &[2, 0, 0, 5, 2, 0, 10, 0]), Err(Undecoded::NotIp));
        assert_eq!(seen(239, &[2, 0, 0, 5, 4, 0, 10, 0]), Err(Undecoded::CutLink));
    }

    #[test]
    fn logs_and_cable_modems() {
        assert_eq!(seen(117, &[&[61, 2][..], &[0; 62], &inner4()].concat()), through(&[]));
        assert_eq!(seen(143, &[&[0x00, 0, 0, 60, 9, 9][..], &inner_frame()].concat()), through(&[]));
        assert_eq!(seen(143, &[&[0x01, 4, 0, 60, 1, 2, 3, 4, 9, 9][..], &inner_frame()].concat()), through(&[]));
        assert_eq!(seen(143, &[&[0xc2, 0, 0, 60, 9, 9][..], &inner_frame()].concat()), Err(Undecoded::NotIp));
    }

    #[test]
    fn erf_is_not_counted_in_a_frames_length() {
        let erf =
            |kind: u8, more: &[u8], frame: &[u8]| [&[9; 8][..], &[kind, 4, 0, 99, 0, 0, 0, 99], more, frame].concat();
        let frame = [&[0, 0][..], &inner_frame()].concat();
        for kind in [2, 11, 16, 20] {
            assert_eq!(seen(197, &erf(kind, &[], &frame)), through(&[]));
        }
        let further = [&[0x80, 1, 1, 1, 1, 1, 1, 1][..], &[0x03, 1, 1, 1, 1, 1, 1, 1]].concat();
        let read = read(197, &erf(0x82, &further, &frame)).unwrap();
        assert_eq!(read.len as usize, inner_frame().len());
        assert_eq!(seen(197, &erf(1, &[], &[&[0x0f, 0, 8, 0][..], &inner4()].concat())), through(&[]));
        assert_eq!(seen(197, &erf(5, &[0; 4], &[&[0xff, 3, 0, 0x21][..], &inner4()].concat())), through(&[]));
        assert_eq!(seen(197, &erf(23, &[], &inner6())), through(&[]));
        assert_eq!(seen(197, &erf(27, &[], &inner6())), Err(Undecoded::NotIp));
        assert_eq!(seen(197, &erf(0x82, &further[..8], &[])), Err(Undecoded::CutLink));
    }

    #[test]
    fn exported_packets_by_name() {
        let exported = |name: &[u8]| [&[0, 12, 0, 4][..], name, &[0, 20, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0]].concat();
        assert_eq!(seen(252, &[exported(b"ip\0\0"), inner4()].concat()), through(&[]));
        assert_eq!(seen(252, &[exported(b"eth\0"), inner_frame()].concat()), through(&[]));
        assert_eq!(seen(252, &[exported(b"http"), inner4()].concat()), Err(Undecoded::NotIp));
    }
}
