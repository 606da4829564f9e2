//! Pieces of a message that come out of order, put together.
//!
//! Limits: what the caller allows in length, and [`MAX_PIECES`] runs apart from each other. A piece that comes twice
//! with other content: the later one stands.

/// The most separate runs that are remembered; what would make another is let go.
const MAX_PIECES: usize = 32;

/// Bytes of a message or a stream, of which some have come.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Where `bytes` begins in the stream: all before is dealt with.
    base: usize,
    bytes: Vec<u8>,
    /// The parts of `bytes` that have come, as start and end, sorted, apart from each other.
    come: Vec<(usize, usize)>,
}

impl Pieces {
    /// Puts a piece in its place, if it ends at most `limit` bytes after what is dealt with.
    pub fn add(&mut self, offset: usize, piece: &[u8], limit: usize) {
        let Some(piece) = piece.get(self.base.saturating_sub(offset)..).filter(|piece| !piece.is_empty()) else {
            return;
        };
        let start = offset.saturating_sub(self.base);
        let end = start.saturating_add(piece.len());
        let apart = |&(from, to): &(usize, usize)| to < start || from > end;
        if end > limit || (self.come.len() >= MAX_PIECES && self.come.iter().all(apart)) {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let Some(place) = self.bytes.get_mut(start..end) else { return };
        place.copy_from_slice(piece);
        let (mut first, mut last) = (start, end);
        self.come.retain(|run| {
            if !apart(run) {
                first = first.min(run.0);
                last = last.max(run.1);
            }
            apart(run)
        });
        let at = self.come.partition_point(|&(from, _)| from < first);
        self.come.insert(at, (first, last));
    }

    /// The bytes that have come without a hole, from the first that is not dealt with.
    pub fn front(&self) -> &[u8] {
        match self.come.first() {
            Some(&(0, end)) => self.bytes.get(..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The first `n` bytes of the front are dealt with.
    pub fn advance(&mut self, n: usize) {
        let n = n.min(self.front().len());
        self.bytes.drain(..n);
        self.base = self.base.saturating_add(n);
        for (start, end) in &mut self.come {
            *start = start.saturating_sub(n);
            *end = end.saturating_sub(n);
        }
        self.come.retain(|(start, end)| start < end);
    }

    /// Whether nothing waits here.
    pub const fn is_empty(&self) -> bool {
        self.come.is_empty()
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity().saturating_add(self.come.capacity().saturating_mul(size_of::<(usize, usize)>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn in_any_order_and_over_the_edge() {
        let mut pieces = Pieces::default();
        pieces.add(4, b"efg", 20);
        pieces.add(1, b"bcd", 20);
        assert_eq!(pieces.front(), b"");
        pieces.add(0, b"ab", 20);
        assert_eq!(pieces.front(), b"abcdefg");
        pieces.advance(3);
        pieces.add(0, b"abcde", 20);
        pieces.add(7, &[0; 17], 20);
        assert_eq!(pieces.front(), b"defg", "the last piece went over the limit");
        pieces.advance(99);
        assert!(pieces.is_empty() && pieces.front().is_empty());
        pieces.add(0, b"abcdefghi", 20);
        assert_eq!(pieces.front(), b"hi");
    }

    proptest! {
        #[test]
        fn all_pieces_together_are_the_message(
            message in prop::collection::vec(any::<u8>(), 1..300),
            cuts in prop::collection::vec((0_usize..300, 1_usize..60), 0..25),
        ) {
            let mut pieces = Pieces::default();
            let mut add = |at: usize, n: usize| {
                let at = at % message.len();
                pieces.add(at, &message[at..(at + n).min(message.len())], 300);
                assert!(message.starts_with(pieces.front()));
            };
            cuts.iter().for_each(|&(at, n)| add(at, n));
            (0..message.len()).step_by(60).for_each(|at| add(at, 60));
            prop_assert_eq!(pieces.front(), &message[..]);
        }
    }
}
