//! Long headers: what stands in the clear before a packet's protected part.
//!
//! RFC 8999 §5.1 and §6 (what holds for every version); RFC 9000 §16, §17.2; RFC 9369 §3.2 (version 2 numbers its
//! types anew). Google's Q046 to Q049 write the lengths of both connection ids in one byte, as drafts did before 22.

use super::version::{Kind, kind};
use crate::wire::{Reader, Result};

/// The longest connection id of versions 1 and 2 (RFC 9000 §17.2).
pub const MAX_CID: usize = 20;

/// The bit that only long headers have.
const LONG: u8 = 0x80;
/// The bit that every packet of versions 1 and 2 has, unless both ends agreed to grease it (RFC 9287).
const FIXED: u8 = 0x40;

/// What a long header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// An Initial packet, from its first byte to its last, whose packet number stands at this place.
    Initial {
        /// The whole packet; less of it where the datagram was cut.
        bytes: &'a [u8],
        /// Where the packet number begins.
        number_at: usize,
        /// The capture cut it.
        cut: bool,
    },
    /// A packet of Q046 to Q049: what follows its packet number, in the clear where the handshake begins.
    Clear(&'a [u8]),
    /// 0-RTT, Handshake or Retry: nothing to read.
    Other,
    /// Version Negotiation: the versions that the server offers, four bytes each.
    Negotiation(&'a [u8]),
}

/// A long header.
#[derive(Clone, Copy, Debug)]
pub struct Long<'a> {
    /// The version.
    pub version: u32,
    /// The connection id that the receiver chose; of a client's first packet, one that nobody did.
    pub dcid: &'a [u8],
    /// The bit is set that versions 1 and 2 fix; both ends may agree not to.
    pub fixed: bool,
    /// What it announces.
    pub packet: Packet<'a>,
}

/// A packet number and a sample of the ciphertext are the least that is protected (RFC 9001 §5.4.2).
const MIN_LENGTH: usize = 20;

/// Packet types, as RFC 9000 numbers them.
mod types {
    pub const INITIAL: u8 = 0;
    pub const RETRY: u8 = 3;
}

impl<'a> Long<'a> {
    /// The next packet of a datagram; `None`: these bytes begin no packet with a long header, or not one that is sound.
    pub fn read(r: &mut Reader<'a>) -> Option<Self> {
        Self::try_read(r).ok().flatten()
    }

    fn try_read(r: &mut Reader<'a>) -> Result<Option<Self>> {
        let whole = *r;
        let first = r.u8()?;
        let version = r.u32()?;
        if first & LONG == 0 {
            return Ok(None);
        }
        let kind = kind(version);
        if kind == Kind::Clear {
            return Self::read_clear(first, version, r);
        }
        let (dcid, scid) = (r.vec8()?.rest(), r.vec8()?.rest());
        if dcid.len() > MAX_CID || scid.len() > MAX_CID {
            return Ok(None);
        }
        let long = |packet| Some(Long { version, dcid, fixed: first & FIXED != 0, packet });
        if version == 0 {
            let offered = r.take_up_to(usize::MAX);
            let sound = !offered.is_empty() && offered.len().is_multiple_of(4);
            return Ok(long(Packet::Negotiation(offered)).filter(|_| sound));
        }
        let second = matches!(kind, Kind::Sealed(scheme) if scheme.second);
        let typed = (first >> 4 & 3).wrapping_sub(u8::from(second)) & 3;
        match read_body(typed, &whole, r) {
            Ok(Some(packet)) => Ok(long(packet)),
            // Of a version that is not known only what holds for every version can be unsound.
            _ if matches!(kind, Kind::Unknown | Kind::Reserved) => {
                r.take_up_to(usize::MAX);
                Ok(long(Packet::Other))
            }
            unsound => unsound.map(|_| None),
        }
    }

    fn read_clear(first: u8, version: u32, r: &mut Reader<'a>) -> Result<Option<Self>> {
        let lengths = r.u8()?;
        let length = |nibble: u8| if nibble == 0 { 0 } else { usize::from(nibble).saturating_add(3) };
        let dcid = r.take(length(lengths >> 4))?;
        r.skip(length(lengths & 0x0f))?;
        r.skip(usize::from(first & 3).saturating_add(1))?;
        let packet = Packet::Clear(r.take_up_to(usize::MAX));
        Ok(Some(Long { version, dcid, fixed: first & FIXED != 0, packet }))
    }
}

/// What follows the connection ids in a packet of that type that begins at `whole`; `None`: nothing that can be.
fn read_body<'a>(typed: u8, whole: &Reader<'a>, r: &mut Reader<'a>) -> Result<Option<Packet<'a>>> {
    if typed == types::RETRY {
        r.take_up_to(usize::MAX);
        return Ok(Some(Packet::Other));
    }
    if typed == types::INITIAL {
        let token = varint(r)?;
        r.skip(token)?;
    }
    let length = varint(r)?;
    if length < MIN_LENGTH {
        return Ok(None);
    }
    let number_at = whole.left().saturating_sub(r.left());
    let cut = r.take_up_to(length).len() < length;
    let bytes = Reader::new(whole.rest()).take_up_to(whole.left().saturating_sub(r.left()));
    Ok(Some(if typed == types::INITIAL { Packet::Initial { bytes, number_at, cut } } else { Packet::Other }))
}

/// A number in one, two, four or eight bytes (RFC 9000 §16); what no length here can be is `usize::MAX`.
pub fn varint(r: &mut Reader<'_>) -> Result<usize> {
    let [first] = *r.peek::<1>()?;
    let value = match first >> 6 {
        0 => u64::from(r.u8()?),
        1 => u64::from(r.u16()? & 0x3fff),
        2 => u64::from(r.u32()? & 0x3fff_ffff),
        _ => r.u64()? & 0x3fff_ffff_ffff_ffff,
    };
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Initial packet of version 1 with a token of two bytes and a length of 24.
    fn initial() -> Vec<u8> {
        [&[0xc3, 0, 0, 0, 1, 8][..], &[9; 8], &[1, 7], &[2, 5, 5], &[0x40, 24], &[0xee; 24]].concat()
    }

    #[test]
    fn coalesced_packets_come_one_after_the_other() {
        let mut handshake = initial();
        handshake[0] = 0xe3;
        handshake.drain(16..19);
        let datagram = [initial(), handshake, vec![0x40; 30]].concat();
        let mut r = Reader::new(&datagram);
        let first = Long::read(&mut r).unwrap();
        assert_eq!((first.version, first.dcid, first.fixed), (1, &[9; 8][..], true));
        assert_eq!(first.packet, Packet::Initial { bytes: &initial(), number_at: 21, cut: false });
        assert_eq!(Long::read(&mut r).unwrap().packet, Packet::Other);
        assert!(Long::read(&mut r).is_none(), "a short header");
    }

    #[test]
    fn version_2_numbers_its_types_anew() {
        let mut bytes = initial();
        bytes[1..5].copy_from_slice(&0x6b33_43cf_u32.to_be_bytes());
        bytes[0] = 0xd3;
        assert!(matches!(Long::read(&mut Reader::new(&bytes)).unwrap().packet, Packet::Initial { .. }));
        bytes[0] = 0xc3;
        assert_eq!(Long::read(&mut Reader::new(&bytes)).unwrap().packet, Packet::Other, "a Retry");
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        fn read(bytes: &[u8]) -> Option<Packet<'_>> {
            Long::read(&mut Reader::new(bytes)).map(|l| l.packet)
        }
        let is_initial = |at: usize, value: u8| {
            let mut bytes = initial();
            bytes[at] = value;
            read(&bytes).is_some_and(|packet| matches!(packet, Packet::Initial { .. }))
        };
        assert!(is_initial(4, 1) && is_initial(4, 2), "of an unknown version, too");
        assert!(![(5, 21), (14, 21), (20, 19), (0, 0x43)].into_iter().any(|(at, value)| is_initial(at, value)));
        assert_eq!(read(&[0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), Some(Packet::Negotiation(&[1, 2, 3, 4])));
        assert!(read(&[0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3]).is_none() && read(&[0x80, 0, 0, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn the_lengths_of_q046_share_a_byte() {
        let bytes = [&[0xc3][..], b"Q046", &[0x50], &[9; 8], &[0, 0, 0, 1], b"rest"].concat();
        let long = Long::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((long.dcid, long.packet), (&[9; 8][..], Packet::Clear(b"rest")));
    }

    #[test]
    fn numbers_of_all_sizes() {
        // RFC 9000 §A.1
        for (bytes, value) in [
            (&[0x25][..], 37),
            (&[0x40, 0x25], 37),
            (&[0x7b, 0xbd], 15_293),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        ] {
            assert_eq!(varint(&mut Reader::new(bytes)), Ok(value));
        }
    }
}
