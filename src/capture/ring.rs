//! The flight recorder's memory: the last frames, up to a size and an age.

use std::collections::VecDeque;

use super::Batch;
use crate::source::{Frame, Shed};
use crate::time::Timestamp;

/// Frames are kept in pieces of about this size, the oldest of which goes as a whole.
const PIECE: usize = 256 << 10;

/// What the last frames are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many bytes of memory.
    Bytes(usize),
    /// So many nanoseconds of packet time, and no more memory than this many bytes.
    Time(u64, usize),
}

/// The last frames.
#[derive(Debug)]
pub struct Ring {
    span: Span,
    pieces: VecDeque<Batch>,
    bytes: usize,
    spare: Option<Batch>,
}

impl Ring {
    /// Empty.
    pub const fn new(span: Span) -> Self {
        Ring { span, pieces: VecDeque::new(), bytes: 0, spare: None }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes + self.pieces.back().map_or(0, Batch::bytes)
    }

    /// Adds a frame; the oldest make room for it.
    ///
    /// `shed`: what its analysis passes over.
    pub fn push(&mut self, frame: &Frame<'_>, from: u16, shed: Shed) {
        if self.pieces.back().is_none_or(|piece| piece.bytes() >= PIECE || piece.shed != shed) {
            self.bytes += self.pieces.back().map_or(0, Batch::bytes);
            let mut piece = self.spare.take().unwrap_or_default();
            piece.clear();
            piece.shed = shed;
            self.pieces.push_back(piece);
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.push(frame, from);
        }
        let (room, oldest) = match self.span {
            Span::Bytes(bytes) => (bytes, Timestamp(0)),
            Span::Time(nanos, bytes) => (bytes, frame.ts.before(nanos)),
        };
        while self.pieces.len() > 1 && (self.bytes() > room || self.is_before(oldest)) {
            if let Some(gone) = self.pieces.pop_front() {
                self.bytes -= gone.bytes();
                self.spare = Some(gone);
            }
        }
    }

    /// Whether the oldest piece ended before that moment.
    fn is_before(&self, oldest: Timestamp) -> bool {
        self.pieces.front().and_then(|piece| piece.chunk.frames.last()).is_some_and(|last| last.ts < oldest)
    }

    /// Takes all frames out, the oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = Batch> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame;
    use crate::time::SECOND;

    fn times(ring: &mut Ring) -> Vec<u64> {
        ring.take().flat_map(|piece| piece.frames().map(|(f, _)| f.ts.0 / SECOND).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_is_kept_has_a_bound_and_is_the_newest() {
        let bytes = [7; 1_000];
        let mut ring = Ring::new(Span::Bytes(1 << 20));
        for second in 0..10_000 {
            ring.push(&frame(Timestamp(second * SECOND), 1, 1_000, &bytes), 0, Shed::Nothing);
            assert!(ring.bytes() <= (1 << 20) + PIECE + 2_000);
        }
        let kept = times(&mut ring);
        assert!(kept.len() > 700, "{}", kept.len());
        assert!(kept.iter().copied().eq(10_000 - kept.len() as u64..10_000));
        assert_eq!(ring.bytes(), 0);
    }

    #[test]
    fn what_is_too_old_goes() {
        let bytes = [7; 100_000];
        let mut ring = Ring::new(Span::Time(60 * SECOND, 1 << 30));
        for second in 0..1_000 {
            ring.push(&frame(Timestamp(second * SECOND), 1, 100_000, &bytes), 0, Shed::Nothing);
        }
        let kept = times(&mut ring);
        assert_eq!(kept.last(), Some(&999));
        // no younger than asked for, and no more than a piece older
        assert!((936..=939).contains(&kept[0]), "{}", kept[0]);
    }
}
