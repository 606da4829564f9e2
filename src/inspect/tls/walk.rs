//! Record headers in passing: kinds and lengths of what is encrypted, without putting a stream together.
//!
//! RFC 8446 §5.1 and RFC 5246 §6.2.1. Limits: behind a header that was not seen (a segment was lost, overtaken or cut,
//! or the header lies across two) it goes on with the next segment that begins with one, and says so. Refused, and
//! followed no further: what is no record header of major version 3, or longer than any record may be.

use crate::wire::Reader;

/// The longest record that is believed, in bytes: TLS 1.2's limit with room for what senders add to it.
const RECORD_MAX: u16 = (1 << 14) + 2048;

/// Bytes of a header.
const HEADER: u32 = 5;

/// A record's header, and the two bytes behind it where they are in the same segment: an alert in the clear is those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The content type.
    pub kind: u8,
    /// Bytes behind the header.
    pub length: u16,
    /// The first two of them.
    pub begins: Option<[u8; 2]>,
}

/// Where one direction's next record begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walk {
    /// Not known yet.
    #[default]
    Unknown,
    /// At that sequence number.
    At(u32),
    /// Where a segment begins, at that sequence number or behind it: a header before it was not seen.
    Behind(u32),
    /// It was lost.
    Lost,
}

/// The walks of both directions, in three words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walks {
    at: [u32; 2],
    state: [State; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unknown,
    At,
    Behind,
    Lost,
}

impl Walks {
    /// The walk of side 1 (`second`) or 0.
    pub const fn get(&self, second: bool) -> Walk {
        let ([first, other], [first_at, other_at]) = (self.state, self.at);
        let (state, at) = if second { (other, other_at) } else { (first, first_at) };
        match state {
            State::Unknown => Walk::Unknown,
            State::At => Walk::At(at),
            State::Behind => Walk::Behind(at),
            State::Lost => Walk::Lost,
        }
    }

    /// The walk of that side has come so far.
    pub const fn set(&mut self, second: bool, walk: Walk) {
        let ([first, other], [first_at, other_at]) = (&mut self.state, &mut self.at);
        let (state, at) = if second { (other, other_at) } else { (first, first_at) };
        match walk {
            Walk::Unknown => *state = State::Unknown,
            Walk::At(next) => (*state, *at) = (State::At, next),
            Walk::Behind(end) => (*state, *at) = (State::Behind, end),
            Walk::Lost => *state = State::Lost,
        }
    }

    /// Whether both sides have been seen to send.
    pub fn have_begun(&self) -> bool {
        !self.state.contains(&State::Unknown)
    }

    /// Whether neither side can be followed any more.
    pub fn are_lost(&self) -> bool {
        self.state == [State::Lost; 2]
    }
}

impl Walk {
    /// Tells `found` every header in a segment whose payload begins at `seq` and is `wire_len` bytes on the wire, of
    /// which `payload` was captured. A segment sent again tells nothing new. True: headers may have passed unseen.
    pub fn segment(&mut self, seq: u32, payload: &[u8], wire_len: u32, found: &mut dyn FnMut(Header)) -> bool {
        let (mut next, mut guessed) = match *self {
            // a segment that lies behind where the next record begins: what is between was not seen
            Walk::At(next) if seq.wrapping_sub(next).cast_signed() > 0 => (seq, true),
            Walk::At(next) => (next, false),
            Walk::Behind(end) if seq.wrapping_sub(end).cast_signed() >= 0 => (seq, true),
            Walk::Unknown | Walk::Behind(_) => return false,
            Walk::Lost => return true,
        };
        let mut missed = guessed && matches!(self, Walk::At(_));
        *self = loop {
            let offset = next.wrapping_sub(seq);
            if offset >= wire_len {
                break Walk::At(next);
            }
            let Some((header, end)) = header(payload, offset) else {
                missed = true;
                let captured = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                let is_off = guessed || captured.saturating_sub(offset) < HEADER;
                break if is_off { Walk::Behind(seq.wrapping_add(wire_len)) } else { Walk::Lost };
            };
            found(header);
            (next, guessed) = (seq.wrapping_add(end), false);
        };
        missed
    }
}

/// The header at `offset`, and the offset of the next.
fn header(payload: &[u8], offset: u32) -> Option<(Header, u32)> {
    let mut r = Reader::new(payload);
    r.skip(offset as usize).ok()?;
    let &[kind @ 20..=24, 3, 0..=4, high, low] = r.array::<5>().ok()? else { return None };
    let length = u16::from_be_bytes([high, low]);
    if length > RECORD_MAX {
        return None;
    }
    let begins = r.array::<2>().ok().copied().filter(|_| length >= 2);
    Some((Header { kind, length, begins }, offset.checked_add(5)?.checked_add(u32::from(length))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3];
        bytes.extend((length as u16).to_be_bytes());
        bytes.extend(std::iter::repeat_n(9, length));
        bytes
    }

    #[test]
    fn lengths_come_across_segments_and_repeats_say_nothing() {
        let stream: Vec<u8> = [record(23, 250), record(23, 3000), record(21, 2)].concat();
        let mut walk = Walk::At(u32::MAX - 100);
        let mut seen = Vec::new();
        let mut at = 0;
        for piece in stream.chunks(1000) {
            let seq = (u32::MAX - 100).wrapping_add(at);
            for _ in 0..2 {
                walk.segment(seq, piece, 1000.min(piece.len() as u32), &mut |h| seen.push((h.kind, h.length)));
            }
            at += piece.len() as u32;
        }
        assert_eq!(seen, [(23, 250), (23, 3000), (21, 2)]);
    }

    #[test]
    fn behind_what_was_not_seen_it_goes_on_where_a_segment_begins_with_a_header() {
        let take = |walk: &mut Walk, seq: u32, payload: &[u8]| {
            let mut seen = Vec::new();
            let missed = walk.segment(seq, payload, payload.len() as u32, &mut |h| seen.push(h.length));
            (missed, seen)
        };
        let mut walk = Walk::At(100);
        assert_eq!(take(&mut walk, 200, &record(23, 10)), (true, vec![10]), "a hole lies before it");
        assert_eq!((take(&mut walk, 100, &record(23, 95)), walk), ((false, vec![]), Walk::At(215)), "it was overtaken");
        assert_eq!((take(&mut walk, 300, &[7; 50]), walk), ((true, vec![]), Walk::Behind(350)), "no header is guessed");
        assert_eq!((take(&mut walk, 350, &[7; 50]), walk), ((true, vec![]), Walk::Behind(400)));
        assert_eq!((take(&mut walk, 400, &record(23, 1)), walk), ((false, vec![1]), Walk::At(406)));
        assert_eq!((take(&mut walk, 406, &[23, 3, 3]), walk), ((true, vec![]), Walk::Behind(409)), "half a header");
        let mut walk = Walk::At(100);
        assert_eq!((take(&mut walk, 100, &[7; 50]), walk), ((true, vec![]), Walk::Lost), "no TLS");
    }

    #[test]
    fn behind_a_cut_it_goes_on_with_the_next_segment_that_begins_with_a_header() {
        let mut walk = Walk::At(100);
        let mut seen = Vec::new();
        let first = [record(20, 1), record(23, 53), record(23, 400)].concat();
        let mut take = |seq: u32, whole: &[u8], captured: usize| {
            walk.segment(seq, &whole[..captured], whole.len() as u32, &mut |h| seen.push(h.length));
            walk
        };
        let end = 100 + first.len() as u32;
        assert_eq!(take(100, &first, 30), Walk::Behind(end), "the third header lies behind the cut");
        assert_eq!(take(end, &[7; 900], 30), Walk::Behind(end + 900));
        assert_eq!(take(end, &record(23, 9), 14), Walk::Behind(end + 900), "sent again");
        assert_eq!(take(end + 900, &record(23, 300), 30), Walk::At(end + 1205));
        assert_eq!(seen, [1, 53, 300]);
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(start: u32, seq: u32, bytes in proptest::collection::vec(any::<u8>(), 0..200), more in 0u32..9000) {
            let mut walk = Walk::At(start);
            walk.segment(seq, &bytes, bytes.len() as u32 + more, &mut |_| {});
        }
    }
}
