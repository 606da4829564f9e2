//! Inputs whose times overlap, put together frame by frame.
//!
//! What comes next is the earliest of the frames that the inputs are at; of two at one time that of the input which
//! began first. Of one input frames stay in its order, though time run back in it.

use super::input::Input;
use super::{CaptureReader, Chunk, FrameRef, Shed};
use crate::time::Timestamp;

/// How many inputs are read at a time: each holds a chunk. Where more overlap, the others follow behind.
pub(super) const LANES_MAX: usize = 64;

/// An input that is being read.
pub(super) struct Lane {
    pub(super) input: Input,
    pub(super) reader: CaptureReader,
    /// What was read of it last, where others are read beside it, and the first frame of that which was not given yet.
    chunk: Chunk,
    at: usize,
}

impl Lane {
    pub(super) fn new(input: Input, reader: CaptureReader) -> Self {
        Lane { input, reader, chunk: Chunk::default(), at: 0 }
    }

    /// Another that goes on from here by itself.
    pub(super) fn fork(&self) -> Option<Lane> {
        let (input, reader) = (self.input.clone(), self.reader.fork()?);
        Some(Lane { input, reader, chunk: self.chunk.clone(), at: self.at })
    }

    /// Where frames are to be read to, once those before them were given.
    pub(super) fn room(&mut self) -> (&mut CaptureReader, &mut Chunk) {
        self.at = 0;
        (&mut self.reader, &mut self.chunk)
    }

    /// Takes back frames that were read of it, to be given one by one.
    pub(super) fn take_back(&mut self, chunk: &mut Chunk) {
        std::mem::swap(&mut self.chunk, chunk);
        self.at = 0;
        chunk.frames.clear();
    }

    /// Whether all that was read of it was given.
    pub(super) fn is_used_up(&self) -> bool {
        self.at >= self.chunk.frames.len()
    }

    /// The time of its next frame.
    pub(super) fn head(&self) -> Option<Timestamp> {
        self.chunk.frames.get(self.at).map(|frame| frame.ts)
    }

    /// What the analysis that wrote its next frame passed over.
    pub(super) fn shed(&self) -> Shed {
        self.reader.shed()
    }

    /// Copies its next frame behind the `used` bytes of `out`; gives how many are used then.
    pub(super) fn give(&mut self, out: &mut Chunk, used: usize) -> usize {
        let Some(frame) = self.chunk.frames.get(self.at).copied() else { return used };
        self.at = self.at.saturating_add(1);
        let Some(bytes) = self.chunk.frame(&frame).map(|frame| frame.bytes) else { return used };
        let end = used.saturating_add(bytes.len());
        if out.buf.len() < end {
            out.buf.resize(end, 0);
        }
        if let Some(place) = out.buf.get_mut(used..end) {
            place.copy_from_slice(bytes);
        }
        out.frames.push(FrameRef { start: u32::try_from(used).unwrap_or(u32::MAX), ..frame });
        end
    }
}

/// The lane whose next frame is the earliest, and that frame's time.
pub(super) fn earliest(lanes: &[Lane]) -> Option<(usize, Timestamp)> {
    let heads = lanes.iter().enumerate().filter_map(|(at, lane)| Some((at, lane.head()?)));
    heads.min_by_key(|(at, ts)| (*ts, *at))
}
