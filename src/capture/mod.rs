//! Live capture: devices in, batches of frames out, in the order of time; and what is kept of them on disk.
//!
//! A thread a device ([`device`]) takes frames out of the kernel's ring into chunks, a few hundred at a time, and puts
//! them into one queue ([`feed`]). Whoever analyzes takes them out, several devices merged into one order ([`merge`]).
//! Nothing is dropped on that way: where the analysis is too slow the queue fills, then the kernel's ring, and what
//! the ring has no room for the kernel counts. No lock is taken per frame.
//!
//! What is to be kept goes to a thread of its own ([`writer`]), as a disk may stall for seconds: it writes files
//! ([`recorder`]), or remembers the last megabytes ([`ring`]) until something happens.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing
    )
)]

pub mod device;
pub mod feed;
pub mod merge;
pub mod port;
pub mod recorder;
pub mod ring;
pub mod writer;

use crate::source::{CHUNK_BYTES, Chunk, Frame, FrameRef, LinkType, Shed};
use crate::time::Timestamp;

/// Bytes of a frame that is longer than nearly all.
const LONGEST: usize = 64 << 10;

/// The most frames that are read at a time, as long as they are not shorter than any on Ethernet.
const USUAL_FRAMES: usize = CHUNK_BYTES / 60 + 1;

/// What is known of a device that frames come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// What the system calls it.
    pub name: String,
    /// How the first bytes of its frames are to be read.
    pub link: u16,
    /// The most bytes captured of a frame; 0 is no limit.
    pub snaplen: u32,
    /// The capture filter that was set.
    pub filter: Option<String>,
}

/// What a device has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that passed the filter, those that the kernel dropped among them.
    pub received: u64,
    /// Frames that the kernel had no room for.
    pub kernel_drops: u64,
    /// Frames that the interface or its driver lost.
    pub interface_drops: u64,
}

impl Counters {
    /// What came after `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Counters) -> Counters {
        Counters {
            received: self.received.saturating_sub(earlier.received),
            kernel_drops: self.kernel_drops.saturating_sub(earlier.kernel_drops),
            interface_drops: self.interface_drops.saturating_sub(earlier.interface_drops),
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Counters) -> Counters {
        Counters {
            received: self.received.saturating_add(other.received),
            kernel_drops: self.kernel_drops.saturating_add(other.kernel_drops),
            interface_drops: self.interface_drops.saturating_add(other.interface_drops),
        }
    }
}

/// Frames of one device or several, and which came from where.
#[derive(Debug, Default)]
pub struct Batch {
    /// The frames.
    pub chunk: Chunk,
    /// The device of each, by its place among those that were opened.
    pub from: Vec<u16>,
    /// What their analysis passes over.
    pub shed: Shed,
    /// A number that no other batch has that is used again.
    number: u64,
}

impl Batch {
    /// An empty one of that number with room for what is usually read at a time.
    pub fn roomy(number: u64) -> Batch {
        // lists that grow would lie where the heap ends when they do
        let mut batch = Batch { number, from: Vec::with_capacity(USUAL_FRAMES), ..Batch::default() };
        batch.chunk.frames.reserve_exact(USUAL_FRAMES);
        batch.chunk.buf.reserve_exact(CHUNK_BYTES + LONGEST);
        batch
    }

    /// Adds a frame that came from the device at that place. Gives false where there is no room: a batch holds 4 GiB.
    pub fn push(&mut self, frame: &Frame<'_>, from: u16) -> bool {
        let added = append(&mut self.chunk, frame);
        if added {
            self.from.push(from);
        }
        added
    }

    /// The frames, each with the place of its device.
    pub fn frames(&self) -> impl Iterator<Item = (Frame<'_>, u16)> {
        self.chunk.frames.iter().zip(&self.from).filter_map(|(at, from)| Some((self.chunk.frame(at)?, *from)))
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.chunk.buf.clear();
        self.chunk.frames.clear();
        self.from.clear();
        self.shed = Shed::Nothing;
    }

    /// Bytes that it holds, the index of frames among them.
    pub fn bytes(&self) -> usize {
        self.chunk.buf.len() + self.chunk.frames.len() * (size_of::<FrameRef>() + size_of::<u16>())
    }

    /// Bytes that it could hold without asking for more.
    pub fn capacity(&self) -> usize {
        let index = self.chunk.frames.capacity() * size_of::<FrameRef>() + self.from.capacity() * size_of::<u16>();
        self.chunk.buf.capacity() + index
    }
}

/// Adds a frame to a chunk that frames are put into one by one.
pub fn append(chunk: &mut Chunk, frame: &Frame<'_>) -> bool {
    let (Ok(start), Ok(caplen)) = (u32::try_from(chunk.buf.len()), u32::try_from(frame.bytes.len())) else {
        return false;
    };
    if start.checked_add(caplen).is_none() {
        return false;
    }
    chunk.buf.extend_from_slice(frame.bytes);
    chunk.frames.push(FrameRef { ts: frame.ts, start, caplen, len: frame.len.max(caplen), link: frame.link });
    true
}

/// A frame's parts as one, for those who have them apart.
pub(crate) const fn frame(ts: Timestamp, link: u16, len: u32, bytes: &[u8]) -> Frame<'_> {
    Frame { ts, link: LinkType(link), len, bytes }
}
