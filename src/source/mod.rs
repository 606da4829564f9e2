//! Sources: captures in, frames out.
//!
//! A [`Source`] fills a [`Chunk`]: one buffer of capture bytes, read in one go, and an index of the frames in it.
//! Frames are borrowed from that buffer and never copied. A chunk is recycled by whoever asked for it, so reading
//! a capture of any size costs a few buffers.

use crate::time::Timestamp;

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
#[derive(Debug, Default)]
pub struct Chunk {
    /// Capture bytes, file headers and all.
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
