//! IEEE 802.11 frames, alone or behind what capturing cards write: radiotap (radiotap.org), Prism, AVS.
//!
//! Data frames are read, with four addresses, QoS, HT and mesh control fields, each part of an aggregate (A-MSDU,
//! IEEE 802.11 §9.3.2.2), and of a fragmented frame the first. Refused: management and control frames, and frames under
//! protection, unless LLC stands where the initialisation vector should, as in captures that were decrypted.

use super::{Layer, Undecoded, cut_link, offset};
use crate::wire::{Reader, Result as Read};

/// What each part of an aggregate begins with: two addresses and its length.
const PART_HEAD: usize = 14;
/// As many parts as the longest aggregate has room for: 11,454 bytes of parts that hold nothing but a bare IP header.
const MAX_PARTS: usize = 256;

/// What the fixed part of a frame's flags says (IEEE 802.11 §9.2.4.1).
mod flag {
    pub const TO_DS: u8 = 0x01;
    pub const FROM_DS: u8 = 0x02;
    pub const PROTECTED: u8 = 0x40;
    pub const ORDER: u8 = 0x80;
}

/// How a frame is laid out where what carries it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Its header was filled up to a multiple of four.
    pub padded: bool,
    /// The two bytes of its frame control field have changed places.
    pub swapped: bool,
}

/// The frame control field of a data frame: version 0, type 2.
const DATA: u8 = 0x08;

/// Whether only swapped bytes of the frame control field are a data frame's, as some access points tunnel them.
pub(super) fn is_swapped(r: Reader<'_>) -> bool {
    matches!(r.peek::<2>(), Ok(&[first, second]) if first & 0x0f != DATA && second & 0x0f == DATA)
}

/// A frame from its frame control field on.
pub(super) fn frame(layout: Layout, r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    if open(layout, r)? {
        // each part has two addresses and a length of its own
        r.skip(PART_HEAD).map_err(cut_link)?;
    }
    Ok(Layer::Llc)
}

/// The parts of an aggregate behind the first: for each where it begins, behind its own head, and where it ends, both
/// in `bytes`, of which `r` is the tail from the frame control field on.
pub(super) fn further_parts(bytes: &[u8], layout: Layout, mut r: Reader<'_>) -> impl Iterator<Item = (usize, usize)> {
    let aggregate = open(layout, &mut r).unwrap_or(false);
    let mut left = if aggregate { MAX_PARTS } else { 0 };
    let parts = std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        r.skip(PART_HEAD.saturating_sub(2)).ok()?;
        let length = usize::from(r.u16().ok()?);
        let begin = offset(bytes, &r);
        r.skip(length).ok()?;
        // the next begins at a multiple of four; nothing is filled up behind the last
        let padding = PART_HEAD.saturating_add(length).wrapping_neg() & 3;
        r.skip(padding.min(r.left())).ok()?;
        Some((begin, begin.saturating_add(length)))
    });
    parts.skip(1)
}

/// Passes over a frame's header. Whether what follows are several packets.
fn open(layout: Layout, r: &mut Reader<'_>) -> Result<bool, Undecoded> {
    let &[first, second] = r.peek::<2>().map_err(cut_link)?;
    let (control, flags) = if layout.swapped { (second, first) } else { (first, second) };
    let (has_no_data, qos) = (control & 0x40 != 0, control & 0x80 != 0);
    if control & 0x0f != DATA || has_no_data {
        return Err(Undecoded::NotIp);
    }
    let four_addresses = flags & (flag::TO_DS | flag::FROM_DS) == flag::TO_DS | flag::FROM_DS;
    let ordered = flags & flag::ORDER != 0;
    let Header { later_part, aggregate, mesh } =
        header(four_addresses, qos, ordered, layout.padded, r).map_err(cut_link)?;
    if mesh {
        pass_mesh_control(r);
    }
    let clear = r.peek::<6>() == Ok(&[0xaa, 0xaa, 0x03, 0, 0, 0]);
    if flags & flag::PROTECTED != 0 && !clear {
        return Err(Undecoded::Encrypted);
    }
    if later_part {
        return Err(Undecoded::NotIp);
    }
    Ok(aggregate)
}

struct Header {
    /// It is a later fragment.
    later_part: bool,
    /// What follows are several packets.
    aggregate: bool,
    /// A mesh's control field may follow.
    mesh: bool,
}

/// Passes over the header.
fn header(four: bool, qos: bool, order: bool, padded: bool, r: &mut Reader<'_>) -> Read<Header> {
    let begin = r.left();
    r.skip(22)?;
    let &[sequence, _] = r.array::<2>()?;
    if four {
        r.skip(6)?;
    }
    let (mut aggregate, mut mesh) = (false, false);
    if qos {
        let &[service, about] = r.array::<2>()?;
        (aggregate, mesh) = (service & 0x80 != 0, about & 0x01 != 0);
        if order {
            r.skip(4)?;
        }
    }
    if padded {
        let length = begin.saturating_sub(r.left());
        r.skip(length.wrapping_neg() & 3)?;
    }
    Ok(Header { later_part: sequence & 0x0f != 0, aggregate, mesh })
}

/// Passes over a mesh's control field (IEEE 802.11 §9.2.4.7.3): flags, of which two bits say how many addresses it has,
/// hops, a sequence number. Outside of a mesh the bit that announces it has other uses, so LLC must stand behind it.
fn pass_mesh_control(r: &mut Reader<'_>) {
    let Ok(&[addresses @ 0..=2, ..]) = r.peek::<6>() else { return };
    let mut behind = *r;
    let passed = behind.skip(usize::from(addresses).saturating_mul(6).saturating_add(6));
    if passed.is_ok() && behind.peek::<3>() == Ok(&[0xaa, 0xaa, 0x03]) {
        *r = behind;
    }
}

/// Radiotap: its length, and of its fields the flags, which say whether the frame's header is padded.
pub(super) fn radiotap(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[version, _, l0, l1] = r.array::<4>().map_err(cut_link)?;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if version != 0 {
        return Err(Undecoded::NotIp);
    }
    let fields = r.sub(length.checked_sub(4).ok_or(Undecoded::CutLink)?).map_err(cut_link)?;
    const DATA_PAD: u8 = 0x20;
    let padded = radiotap_flags(fields).is_ok_and(|flags| flags & DATA_PAD != 0);
    Ok(Layer::Wireless(Layout { padded, ..Layout::default() }))
}

/// The flags field: the second one, behind a timer of eight bytes that is aligned from the header's begin.
fn radiotap_flags(mut r: Reader<'_>) -> Read<u8> {
    let begin = r.left();
    let present = u32::from_le_bytes(*r.array()?);
    let mut more = present;
    while more & 1 << 31 != 0 {
        more = u32::from_le_bytes(*r.array()?);
    }
    if present & 0b10 == 0 {
        return Ok(0);
    }
    if present & 0b1 != 0 {
        // four bytes of the header are read before
        let at = begin.saturating_sub(r.left()).saturating_add(4);
        r.skip((at.wrapping_neg() & 7).saturating_add(8))?;
    }
    r.u8()
}

/// Prism's header, or AVS's where its magic stands there: cards and drivers used both for one link type.
pub(super) fn prism(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[m0, m1, m2, _, l0, l1, l2, l3] = r.peek::<8>().map_err(cut_link)?;
    if [m0, m1, m2] == [0x80, 0x21, 0x10] {
        return avs(r);
    }
    // in the byte order of the machine that captured; it is never longer than some hundred bytes
    let length = u32::from_le_bytes([l0, l1, l2, l3]).min(u32::from_be_bytes([l0, l1, l2, l3]));
    behind(length, r)
}

/// AVS's header, in network byte order.
pub(super) fn avs(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[_, _, _, _, l0, l1, l2, l3] = r.peek::<8>().map_err(cut_link)?;
    behind(u32::from_be_bytes([l0, l1, l2, l3]), r)
}

/// A frame behind `length` bytes.
fn behind(length: u32, r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    if length < 8 {
        return Err(Undecoded::CutLink);
    }
    r.skip(usize::try_from(length).unwrap_or(usize::MAX)).map_err(cut_link)?;
    Ok(Layer::Wireless(Layout::default()))
}

#[cfg(test)]
mod tests {
    use super::super::testpackets::*;
    use super::super::{Packet, Undecoded, decode_further};

    /// A data frame: its subtype, flags, and what stands behind three addresses and the sequence number.
    fn data(subtype: u8, flags: u8, behind: &[u8]) -> Vec<u8> {
        [&[0x08 | subtype << 4, flags][..], &[0; 22], behind, &inner_snap()].concat()
    }

    #[test]
    fn data_frames_of_every_shape() {
        assert_eq!(seen(105, &data(0, 1, &[])), through(&[]));
        assert_eq!(seen(105, &data(0, 3, &[4; 6])), through(&[]));
        assert_eq!(seen(105, &data(8, 2, &[0, 0])), through(&[]));
        assert_eq!(seen(105, &data(8, 0x83, &[4, 4, 4, 4, 4, 4, 0, 0, 1, 2, 3, 4])), through(&[]));
        let aggregate = [&[0x80, 0][..], &[2; 12], &[0, 60]].concat();
        assert_eq!(seen(105, &data(8, 1, &aggregate)), through(&[]));
        for addresses in 0..=2 {
            let mesh = [&[0, 1, addresses, 31, 1, 0, 0, 0][..], &vec![2; usize::from(addresses) * 6]].concat();
            assert_eq!(seen(105, &data(8, 2, &mesh)), through(&[]), "{addresses} addresses");
        }
        assert_eq!(seen(105, &data(8, 2, &[0, 1])), through(&[]), "the bit alone announces no mesh");
    }

    /// The packets behind the first in a frame of 802.11.
    fn further(frame: &[u8]) -> Vec<Result<(u16, u16), Undecoded>> {
        let mut seen = Vec::new();
        let begun = Packet { frames: 1, ..Packet::default() };
        decode_further(105, frame, &begun, &mut |packet, read| {
            assert_eq!(packet.len as usize, inner_snap().len());
            assert!(read.is_err() || packet.payload(frame) == b"question");
            seen.push(read.map(|()| (packet.src_port, packet.dst_port)));
        });
        seen
    }

    #[test]
    fn each_part_of_an_aggregate_is_a_packet() {
        let length = u16::try_from(inner_snap().len()).unwrap();
        let part = [&[2; 12][..], &length.to_be_bytes(), &inner_snap()].concat();
        let padding = vec![0; part.len().wrapping_neg() & 3];
        let head = [&[0x88, 1][..], &[0; 22], &[0x80, 0]].concat();
        let three = [&head[..], &part, &padding, &part, &padding, &part].concat();
        assert_eq!(seen(105, &three), through(&[]), "the first");
        assert_eq!(further(&three), [Ok(PORTS); 2]);
        assert_eq!(further(&three[..three.len() - 1]), [Ok(PORTS)], "the last is cut");
        let mut other = three.clone();
        let at = head.len() + part.len() + padding.len() + 14;
        other[at] = 0x42;
        assert_eq!(further(&other), [Err(Undecoded::NotIp), Ok(PORTS)]);
        let mut single = three;
        single[head.len() - 2] = 0;
        assert_eq!(further(&single), [], "no aggregate");
    }

    #[test]
    fn what_is_no_readable_packet() {
        assert_eq!(seen(105, &data(4, 1, &[])), Err(Undecoded::NotIp));
        assert_eq!(seen(105, &[0x80; 40]), Err(Undecoded::NotIp));
        assert_eq!(seen(105, &data(0, 0x41, &[1, 2, 3, 0x20, 0, 0, 0, 0])), Err(Undecoded::Encrypted));
        assert_eq!(seen(105, &data(0, 0x41, &[])), through(&[]), "decrypted, with the flag left in place");
        let mut later = data(0, 1, &[]);
        later[22] = 1;
        assert_eq!(seen(105, &later), Err(Undecoded::NotIp));
        assert_eq!(seen(105, &data(0, 1, &[])[..20]), Err(Undecoded::CutLink));
    }

    #[test]
    fn what_cards_write_before_it() {
        let frame = data(8, 1, &[0, 0]);
        let padded = data(8, 1, &[0, 0, 9, 9]);
        let put = |head: &[u8], frame: &[u8]| [head, frame].concat();
        assert_eq!(seen(127, &put(&[0, 0, 8, 0, 0, 0, 0, 0], &frame)), through(&[]));
        let flags = |flags: u8| [0, 0, 9, 0, 2, 0, 0, 0, flags];
        assert_eq!(seen(127, &put(&flags(0x10), &frame)), through(&[]));
        assert_eq!(seen(127, &put(&flags(0x20), &padded)), through(&[]));
        // a second word of fields; the timer is aligned to eight bytes
        let timed = [&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 7, 7, 7, 7][..], &[1; 8], &[0x20]].concat();
        assert_eq!(seen(127, &put(&timed, &padded)), through(&[]));
        assert_eq!(seen(127, &[0, 0, 3, 0, 0, 0]), Err(Undecoded::CutLink));
        let prism = |length: [u8; 4]| [&[0x44, 0, 0, 0][..], &length, &[0; 136]].concat();
        assert_eq!(seen(119, &put(&prism([144, 0, 0, 0]), &frame)), through(&[]));
        assert_eq!(seen(119, &put(&prism([0, 0, 0, 144]), &frame)), through(&[]));
        let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56]].concat();
        for link in [119, 163] {
            assert_eq!(seen(link, &put(&avs, &frame)), through(&[]));
        }
    }
}
