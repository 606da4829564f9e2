//! The classic capture file (draft-ietf-opsawg-pcap): a header of 24 bytes, then records of 16 and the frame.
//!
//! Also read: the nanosecond kind (magic `a1b23c4d`), Alexey Kuznetsov's modified kind (`a1b2cd34`, records of 24
//! bytes), either byte order, and the old versions 2.0 to 2.3 and 543.0, whose records hold the two lengths the
//! other way round (always up to 2.2 and in 543.0, at times in 2.3; libpcap `sf-pcap.c`).
//!
//! Refused: other major versions, and records longer than any frame of the link type ([`max_frame`]).

use super::{Damage, FrameRef, LinkType, MAX_RECORD};
use crate::time::{SECOND, Timestamp};

/// Length of the file header, in bytes.
pub(super) const FILE_HEADER: usize = 24;

/// The most bytes of one frame that a capture of this link type may hold, as libpcap and Wireshark have it: 256 KiB,
/// but 8 MiB for EBHSCR (279) and 128 MiB for USBPcap (249) and D-Bus (231), of which [`MAX_RECORD`] is held here.
pub(super) fn max_frame(link: LinkType) -> u32 {
    match link.0 {
        231 | 249 => const { (MAX_RECORD - 1024) as u32 },
        279 => 8 << 20,
        _ => 256 << 10,
    }
}

/// Byte order of a file or a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline(always)]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    #[inline(always)]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self == Order::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    #[inline(always)]
    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        if self == Order::Big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }
}

/// Which of a record's two lengths is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    AsWritten,
    Swapped,
    SwappedIfGreater,
}

/// What the bytes of a file header say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    order: Order,
    lengths: Lengths,
    /// Bytes of a record in front of its frame.
    record_header: usize,
    /// Nanoseconds in a tick of the fraction.
    tick: u64,
    pub(super) link: LinkType,
    pub(super) snaplen: u32,
}

/// Why a file header is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    NotPcap,
    Version(u16, u16),
}

/// Where a walk over a buffer stopped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Bytes dealt with, from the buffer's begin.
    pub(super) used: usize,
    pub(super) stop: Stop,
}

/// What a walk wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A record that needs this many bytes, header and all.
    Need(u64),
    /// To pass over a record of this many bytes, of which not all are there.
    Skip(u64),
    /// A record header that is not all there.
    NeedHeader,
    /// A frame from which on more, or less, is to be inspected.
    Turn,
    /// Nothing can be made of what follows.
    Bad(Damage),
}

impl Header {
    /// Reads the first bytes of a file. Link types: the upper bits of the field hold the length of the frame check
    /// sequence and reserved bits, the lower 16 the type.
    pub(super) fn parse(bytes: &[u8; FILE_HEADER]) -> Result<Header, HeaderError> {
        let [m0, m1, m2, m3, a0, a1, b0, b1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        let (order, magic) = match u32::from_be_bytes([m0, m1, m2, m3]) {
            magic @ (0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34) => (Order::Big, magic),
            other => (Order::Little, other.swap_bytes()),
        };
        let (tick, record_header) = match magic {
            0xa1b2_c3d4 => (1_000, 16),
            0xa1b2_3c4d => (1, 16),
            0xa1b2_cd34 => (1_000, 24),
            _ => return Err(HeaderError::NotPcap),
        };
        let lengths = match (order.u16([a0, a1]), order.u16([b0, b1])) {
            (2, 0..=2) | (543, 0) => Lengths::Swapped,
            (2, 3) => Lengths::SwappedIfGreater,
            (2, _) => Lengths::AsWritten,
            (major, minor) => return Err(HeaderError::Version(major, minor)),
        };
        let link = LinkType((order.u32([l0, l1, l2, l3]) & 0xffff) as u16);
        Ok(Header { order, lengths, record_header, tick, link, snaplen: order.u32([s0, s1, s2, s3]) })
    }

    /// Indexes the whole records of `bytes`, the first of which begins at `from`.
    pub(super) fn walk(&self, bytes: &[u8], from: usize, frames: &mut Vec<FrameRef>) -> Walked {
        let plain = self.record_header == 16 && self.lengths == Lengths::AsWritten;
        match (self.order, plain) {
            (Order::Little, true) => self.walk_as::<false, true>(bytes, from, frames),
            (Order::Big, true) => self.walk_as::<true, true>(bytes, from, frames),
            (Order::Little, false) => self.walk_as::<false, false>(bytes, from, frames),
            (Order::Big, false) => self.walk_as::<true, false>(bytes, from, frames),
        }
    }

    // Made four times, so that the loop over the usual kind tests nothing that cannot differ from frame to frame.
    #[inline(always)]
    fn walk_as<const BIG: bool, const PLAIN: bool>(
        &self,
        bytes: &[u8],
        from: usize,
        frames: &mut Vec<FrameRef>,
    ) -> Walked {
        let (tick, link, limit) = (self.tick, self.link, max_frame(self.link));
        let word = |b: [u8; 4]| if BIG { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
        let records = bytes.get(from..).unwrap_or_default();
        let mut rest = records;
        let stop = loop {
            let Some((head, after)) = rest.split_first_chunk::<16>() else { break Stop::NeedHeader };
            let &[s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, l0, l1, l2, l3] = head;
            let (mut caplen, mut len) = (word([c0, c1, c2, c3]), word([l0, l1, l2, l3]));
            let mut body = after;
            if !PLAIN {
                (caplen, len) = self.sort_lengths(caplen, len);
                let Some(shifted) = after.get(self.record_header.wrapping_sub(16)..) else { break Stop::NeedHeader };
                body = shifted;
            }
            if caplen > limit {
                break Stop::Bad(Damage::TooLong { length: u64::from(caplen), limit: u64::from(limit) });
            }
            let Some((_, next)) = body.split_at_checked(caplen as usize) else {
                break Stop::Need((self.record_header as u64).wrapping_add(u64::from(caplen)));
            };
            let (seconds, fraction) = (u64::from(word([s0, s1, s2, s3])), u64::from(word([f0, f1, f2, f3])));
            frames.push(FrameRef {
                // Two 32-bit fields: neither product nor their sum reaches 64 bits.
                ts: Timestamp(seconds.wrapping_mul(SECOND).wrapping_add(fraction.wrapping_mul(tick))),
                start: bytes.len().wrapping_sub(body.len()) as u32,
                caplen,
                len: len.max(caplen),
                link,
            });
            rest = next;
        };
        Walked { used: records.len().wrapping_sub(rest.len()), stop }
    }

    fn sort_lengths(&self, first: u32, second: u32) -> (u32, u32) {
        match self.lengths {
            Lengths::Swapped => (second, first),
            Lengths::SwappedIfGreater if first > second => (second, first),
            _ => (first, second),
        }
    }
}
