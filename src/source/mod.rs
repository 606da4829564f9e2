//! Sources: captures in, frames out.
//!
//! A [`Source`] fills a [`Chunk`]: one buffer of capture bytes, read in one go, and an index of the frames in it.
//! Frames are borrowed from that buffer and never copied. A chunk is recycled by whoever asked for it, so reading
//! a capture of any size costs a few buffers.
//!
//! Formats: the classic capture file (draft-ietf-opsawg-pcap) with its nanosecond and modified kinds, and pcapng
//! (draft-ietf-opsawg-pcapng), plain or under gzip or zstd, from files, directories and pipes. What a damaged or
//! cut file holds before the damage is given; then a [`Warning`] says where it stopped.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod error;
mod input;
mod lane;
mod pcap;
mod pcapng;
pub mod progress;
mod raw;
mod reader;
mod shed;
#[cfg(test)]
mod testfiles;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{Class, Damage, Problem, SourceError, Warning};
pub use input::{Place, Source};
pub use progress::Progress;
pub use reader::CaptureReader;
pub use shed::{Shed, Tally};

use crate::time::{SECOND, Timestamp};

/// How many bytes a fill reads at a time unless told otherwise: a chunk that stays in a core's own cache while it
/// is walked, decoded and counted.
pub const CHUNK_BYTES: usize = 256 << 10;

/// The longest record that is held whole. A longer one is damage.
pub const MAX_RECORD: usize = 64 << 20;

/// What a fill came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The chunk holds what was read. It may hold no frame: there may still be some to come.
    More,
    /// There is nothing more, and the chunk holds no frame.
    End,
}

/// What capture files say of themselves, summed over those read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Frames given.
    pub frames: u64,
    /// Frames given, per link type.
    pub links: BTreeMap<LinkType, u64>,
    /// The capture lengths (in bytes) that files and interfaces declare, the first 4,096 different ones; 0 is none.
    pub snaplens: BTreeSet<u32>,
    /// Frames that interfaces lost, where a capture says so (`isb_ifdrop`, and the counts of old packet blocks).
    pub interface_drops: Option<u64>,
    /// Frames that the capturing system lost, where a capture says so (`isb_osdrop`).
    pub kernel_drops: Option<u64>,
    /// When the capture ended, where it says so (`isb_endtime`): packets that would have come until then did not.
    pub end: Option<Timestamp>,
}

impl Facts {
    /// Adds what another file said.
    pub fn merge(&mut self, other: &Facts) {
        for (&link, &frames) in &other.links {
            self.add_frames(link, frames);
        }
        other.snaplens.iter().for_each(|&snaplen| self.add_snaplen(snaplen));
        add_drops(&mut self.interface_drops, other.interface_drops);
        add_drops(&mut self.kernel_drops, other.kernel_drops);
        self.end = self.end.max(other.end);
    }

    /// When a capture ended whose last frame came at `last`: then, unless it says that it went on in silence. A time
    /// that is more than an hour later is taken for a mistake.
    pub fn ended(&self, last: Timestamp) -> Timestamp {
        const MOST: u64 = 3600 * SECOND;
        self.end.filter(|end| end.since(last) <= MOST).map_or(last, |end| end.max(last))
    }

    fn add_frames(&mut self, link: LinkType, frames: u64) {
        if frames > 0 {
            self.frames = self.frames.saturating_add(frames);
            let of_link = self.links.entry(link).or_default();
            *of_link = of_link.saturating_add(frames);
        }
    }

    fn add_snaplen(&mut self, snaplen: u32) {
        if self.snaplens.len() < 4_096 {
            self.snaplens.insert(snaplen);
        }
    }
}

fn add_drops(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

/// A link type as capture files number them (the tcpdump group's LINKTYPE registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// One captured frame, borrowed from a [`Chunk`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When the capture's clock saw it.
    pub ts: Timestamp,
    /// How its first bytes are to be read.
    pub link: LinkType,
    /// Length on the wire, in bytes; never less than `bytes.len()`.
    pub len: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// Where a frame lies in its chunk.
#[derive(Clone, Copy, Debug)]
pub struct FrameRef {
    /// When the capture's clock saw it.
    pub ts: Timestamp,
    /// Offset of its first byte in [`Chunk::buf`].
    pub start: u32,
    /// How many bytes were captured.
    pub caplen: u32,
    /// How many bytes it had on the wire.
    pub len: u32,
    /// Its link type.
    pub link: LinkType,
}

/// A buffer of capture bytes and the index of the frames in it.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Capture bytes, file headers and all. Before the first frame and behind the last one lies whatever an earlier
    /// fill left there: the buffer is used again as it is.
    pub buf: Vec<u8>,
    /// The frames, in file order. Every one lies within `buf`.
    pub frames: Vec<FrameRef>,
}

impl Chunk {
    /// The frame at `at`, if it lies within the buffer.
    #[inline(always)]
    pub fn frame(&self, at: &FrameRef) -> Option<Frame<'_>> {
        let start = at.start as usize;
        let bytes = self.buf.get(start..start.checked_add(at.caplen as usize)?)?;
        Some(Frame { ts: at.ts, link: at.link, len: at.len.max(at.caplen), bytes })
    }
}
