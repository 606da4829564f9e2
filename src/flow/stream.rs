//! One direction of a TCP connection as a byte stream: in order, without repeats, and only as far as it is wanted.
//!
//! A segment that comes in order is shown as it stands in the capture; bytes are copied only where they wait for
//! others. What waits is capped ([`Limits`]); past that the hole before it is given up and told as a gap, and so it is
//! once the receiver has had for a while what the capture lacks.

use super::wrapping::ahead;
use crate::time::{SECOND, Timestamp};

/// How long what stands behind a hole waits for bytes that their receiver has acknowledged: it will not ask for them
/// again, but a mirror may show an acknowledgement before what it is for.
const ACKNOWLEDGED: u64 = SECOND;

/// What may be held back for one direction.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Unconsumed bytes in order.
    pub held: usize,
    /// Bytes that came ahead of a hole.
    pub parked: usize,
    /// Segments that came ahead of a hole.
    pub segments: usize,
}

/// What the reader of a stream did with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// It is done with this many.
    pub consumed: usize,
    /// It need not see this many of those that follow.
    pub skip: u64,
    /// It wants no more of this direction.
    pub done: bool,
}

/// Where bytes stand, and what came with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The sequence number of the first.
    pub seq: u32,
    /// The acknowledgement number of the segment that they came in, or that completed them.
    pub ack: u32,
    /// Its frame.
    pub frame: u64,
    /// When it came.
    pub ts: Timestamp,
}

/// A segment with payload.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Where it begins.
    pub origin: Origin,
    /// What was captured of its payload.
    pub bytes: &'a [u8],
    /// Its payload's length on the wire.
    pub wire_len: u32,
    /// Up to where the receiver has acknowledged the stream.
    pub acked: Option<u32>,
}

impl<'a> Segment<'a> {
    /// Of a stream that is carried by another: nothing came with it but bytes.
    pub fn carried(seq: u32, bytes: &'a [u8], wire_len: u32) -> Self {
        Segment { origin: Origin { seq, ..Origin::default() }, bytes, wire_len, acked: None }
    }
}

/// What a stream tells its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Bytes in order: those not consumed before, and what came behind them.
    Bytes(&'a [u8], Origin),
    /// Bytes are missing for good before those that come next, or nothing more comes. What was not consumed before
    /// is shown one last time, with its sequence number.
    Gap(&'a [u8], u32),
}

#[derive(Clone, Debug)]
struct Parked {
    origin: Origin,
    wire_len: u32,
    bytes: Vec<u8>,
}

/// One direction's bytes.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The sequence number of the next byte wanted; valid with `begun`.
    next: u32,
    begun: bool,
    done: bool,
    skip: u64,
    held: Vec<u8>,
    parked: Vec<Parked>,
}

impl Stream {
    /// The stream begins at `seq`: one past its SYN.
    pub fn begin(&mut self, seq: u32) {
        if !self.begun {
            (self.begun, self.next) = (true, seq);
        }
    }

    /// Whether its reader wants no more of it.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Nothing more of it is wanted: lets go of what it held.
    pub fn finish(&mut self) {
        self.done = true;
        self.held = Vec::new();
        self.parked = Vec::new();
    }

    /// What comes from here on is another protocol's: forgets what the last reader wanted.
    pub fn restart(&mut self) {
        self.done = false;
        self.skip = 0;
    }

    /// Lets go of what was shown and not consumed: the reader goes on behind it.
    pub fn forget(&mut self) {
        self.held = Vec::new();
    }

    /// Bytes held in memory.
    pub fn memory(&self) -> usize {
        let parked: usize = self.parked.iter().map(|p| p.bytes.capacity().saturating_add(size_of::<Parked>())).sum();
        self.held.capacity().saturating_add(parked)
    }

    /// Takes a segment.
    pub fn segment(&mut self, segment: &Segment<'_>, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        if self.done || segment.wire_len == 0 {
            return;
        }
        self.begin(segment.origin.seq);
        if self.is_early(segment.origin.seq) {
            self.park(segment);
            if self.is_crowded(limits) || self.is_lost(segment) {
                self.give_up_hole(limits, reader);
            }
        } else {
            self.in_order(segment, limits, reader);
            self.unpark(Some(segment.origin), limits, reader);
        }
    }

    /// No more will come: shows what still waits behind holes.
    pub fn flush(&mut self, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        while !self.done && !self.parked.is_empty() {
            self.give_up_hole(limits, reader);
        }
        if !self.done && !self.held.is_empty() {
            self.gap(0, reader);
        }
    }

    /// Whether a segment at `seq` lies beyond a hole that matters: not one within what is skipped anyway.
    fn is_early(&self, seq: u32) -> bool {
        let jump = ahead(seq, self.next);
        jump > 0 && u64::from(jump.unsigned_abs()) > self.skip
    }

    fn in_order(&mut self, segment: &Segment<'_>, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let Segment { origin, mut bytes, mut wire_len, .. } = *segment;
        let jump = ahead(origin.seq, self.next);
        if jump > 0 {
            // the hole lies within what is skipped
            self.pass(jump.unsigned_abs());
        } else if jump < 0 {
            let old = jump.unsigned_abs();
            if old >= wire_len {
                return;
            }
            wire_len = wire_len.wrapping_sub(old);
            bytes = bytes.get(old as usize..).unwrap_or(&[]);
        }
        let skipped = u32::try_from(self.skip).unwrap_or(u32::MAX).min(wire_len);
        self.pass(skipped);
        wire_len = wire_len.wrapping_sub(skipped);
        bytes = bytes.get(skipped as usize..).unwrap_or(&[]);
        if wire_len == 0 {
            return;
        }
        let captured = u32::try_from(bytes.len()).unwrap_or(wire_len).min(wire_len);
        let missing = wire_len.wrapping_sub(captured);
        self.next = self.next.wrapping_add(captured);
        if !bytes.is_empty() {
            self.show(bytes, origin, limits, reader);
        }
        if missing > 0 && !self.done {
            self.lose(missing, reader);
        }
        self.next = self.next.wrapping_add(missing);
    }

    /// Moves on by `n` bytes of which nothing need be seen.
    fn pass(&mut self, n: u32) {
        self.next = self.next.wrapping_add(n);
        self.skip = self.skip.saturating_sub(u64::from(n));
    }

    /// The capture cut `missing` bytes off the segment's end.
    fn lose(&mut self, missing: u32, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let within = self.skip.min(u64::from(missing));
        self.skip = self.skip.saturating_sub(within);
        if within < u64::from(missing) {
            self.gap(0, reader);
        }
    }

    /// Tells the reader of a hole, and lets go of what it has not consumed, which ends `before` the next byte.
    fn gap(&mut self, before: usize, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let held = std::mem::take(&mut self.held);
        let seq = self.back(held.len().saturating_add(before));
        self.done |= reader(Shown::Gap(&held, seq)).done;
    }

    /// The sequence number of what stands so many bytes before the next one.
    fn back(&self, bytes: usize) -> u32 {
        self.next.wrapping_sub(u32::try_from(bytes).unwrap_or_default())
    }

    /// Shows bytes that follow what is held, as often as the reader takes some.
    fn show(&mut self, fresh: &[u8], origin: Origin, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        if self.held.is_empty() {
            let rest = self.read(fresh, origin, reader);
            let rest = fresh.get(rest..).unwrap_or(&[]);
            if !self.done && !rest.is_empty() {
                self.hold(rest, limits, reader);
            }
            return;
        }
        if self.held.len() >= limits.held {
            // the reader wants more than it may have: it must find its way without what was held
            self.gap(fresh.len(), reader);
            if !self.done {
                self.show(fresh, origin, limits, reader);
            }
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(fresh);
        let taken = self.read(&held, origin, reader);
        if !self.done && taken < held.len() {
            held.drain(..taken);
            self.held = held;
        }
    }

    fn hold(&mut self, rest: &[u8], limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        if rest.len() > limits.held {
            self.done |= reader(Shown::Gap(rest, self.back(rest.len()))).done;
        } else {
            self.held.extend_from_slice(rest);
        }
    }

    /// Shows `bytes` until the reader takes no more; gives how many are dealt with.
    fn read(&mut self, bytes: &[u8], origin: Origin, reader: &mut dyn FnMut(Shown<'_>) -> Taken) -> usize {
        let mut at = 0usize;
        while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
            let taken = reader(Shown::Bytes(rest, Origin { seq: self.back(rest.len()), ..origin }));
            let consumed = taken.consumed.min(rest.len());
            if taken.done {
                self.finish();
                return bytes.len();
            }
            at = at.saturating_add(consumed);
            let left = bytes.len().saturating_sub(at);
            let skipped = usize::try_from(taken.skip).unwrap_or(usize::MAX).min(left);
            at = at.saturating_add(skipped);
            self.skip = taken.skip.saturating_sub(skipped as u64);
            if consumed == 0 && skipped == 0 {
                break;
            }
        }
        at
    }

    fn park(&mut self, segment: &Segment<'_>) {
        let Segment { origin, bytes, wire_len, .. } = *segment;
        let at = self.parked.partition_point(|p| ahead(p.origin.seq, origin.seq) < 0);
        let known = self.parked.get(at).is_some_and(|p| p.origin.seq == origin.seq && p.wire_len >= wire_len);
        if !known {
            self.parked.insert(at, Parked { origin, wire_len, bytes: bytes.to_vec() });
        }
    }

    /// Whether more waits than may.
    fn is_crowded(&self, limits: &Limits) -> bool {
        let waiting: usize = self.parked.iter().map(|p| p.bytes.len()).sum();
        waiting > limits.parked || self.parked.len() > limits.segments
    }

    /// Whether the first that waits does so in vain: when `now` came, the receiver had what stands before it.
    fn is_lost(&self, now: &Segment<'_>) -> bool {
        let acked = |seq| now.acked.is_some_and(|acked| ahead(acked, seq) >= 0);
        let waits = |p: &Parked| now.origin.ts.since(p.origin.ts) >= ACKNOWLEDGED;
        self.parked.first().is_some_and(|p| acked(p.origin.seq) && waits(p))
    }

    /// Moves on to the first segment that waits, and shows it.
    fn give_up_hole(&mut self, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let Some(seq) = self.parked.first().map(|p| p.origin.seq) else { return };
        self.gap(0, reader);
        self.next = seq;
        self.skip = 0;
        self.unpark(None, limits, reader);
    }

    /// Shows the segments whose turn has come, as having come with the one that `filled` the hole before them.
    fn unpark(&mut self, filled: Option<Origin>, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        while !self.done && self.parked.first().is_some_and(|p| !self.is_early(p.origin.seq)) {
            let Parked { origin, wire_len, bytes } = self.parked.remove(0);
            let origin = filled.map_or(origin, |filled| Origin { seq: origin.seq, ..filled });
            self.in_order(&Segment { origin, bytes: &bytes, wire_len, acked: None }, limits, reader);
        }
        if self.done {
            self.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { held: 64, parked: 64, segments: 8 };

    /// Takes whole lines; keeps what it saw.
    fn lines(out: &mut Vec<String>) -> impl FnMut(Shown<'_>) -> Taken + '_ {
        |shown| match shown {
            Shown::Gap(..) => {
                out.push("gap".into());
                Taken { consumed: 0, skip: 0, done: false }
            }
            Shown::Bytes(bytes, _) => match bytes.iter().position(|&b| b == b'\n') {
                Some(end) => {
                    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                    let skip = line.strip_prefix("skip ").and_then(|n| n.parse().ok()).unwrap_or(0);
                    let done = line == "end";
                    out.push(line);
                    Taken { consumed: end + 1, skip, done }
                }
                None => Taken { consumed: 0, skip: 0, done: false },
            },
        }
    }

    fn run(segments: &[(u32, &[u8], u32)]) -> Vec<String> {
        let mut out = Vec::new();
        let mut stream = Stream::default();
        stream.begin(0);
        {
            let mut reader = lines(&mut out);
            for &(seq, bytes, wire_len) in segments {
                stream.segment(&Segment::carried(seq, bytes, wire_len), &LIMITS, &mut reader);
            }
            stream.flush(&LIMITS, &mut reader);
        }
        out
    }

    #[test]
    fn order_repeats_and_overlap_do_not_matter() {
        let plain = run(&[(0, b"one\ntwo\n", 8), (8, b"three\n", 6)]);
        assert_eq!(plain, ["one", "two", "three"]);
        assert_eq!(run(&[(8, b"three\n", 6), (0, b"one\nt", 5), (3, b"\nXwo\n", 5)]), ["one", "two", "three"]);
    }

    #[test]
    fn what_is_skipped_may_be_missing() {
        assert_eq!(run(&[(0, b"skip 10\n", 8), (18, b"after\n", 6)]), ["skip 10", "after"]);
        assert_eq!(run(&[(0, b"skip 10\nab", 10), (15, b"xyz", 3), (18, b"after\n", 6)]), ["skip 10", "after"]);
    }

    #[test]
    fn holes_and_cut_segments_are_gaps() {
        assert_eq!(run(&[(0, b"on", 2), (5, b"two\n", 4)]), ["gap", "two"]);
        assert_eq!(run(&[(0, b"one\ntw", 9), (9, b"three\n", 6)]), ["one", "gap", "three"]);
        assert_eq!(run(&[(0, b"end\nmore\n", 9), (9, b"x\n", 2)]), ["end"]);
    }

    /// What the reader is shown, with its place, when segments come at those seconds, each acknowledged to there.
    fn places(segments: &[(u64, u32, &[u8], u32)]) -> Vec<(String, Origin)> {
        let mut out = Vec::new();
        let mut stream = Stream::default();
        stream.begin(0);
        for (frame, &(second, seq, bytes, acked)) in (1..).zip(segments) {
            let origin = Origin { seq, ack: 0, frame, ts: Timestamp(second * SECOND) };
            let wire_len = bytes.len() as u32;
            stream.segment(&Segment { origin, bytes, wire_len, acked: Some(acked) }, &LIMITS, &mut |shown| {
                let (text, origin, consumed) = match shown {
                    Shown::Gap(held, seq) => (format!("gap behind {}", held.len()), Origin { seq, ..origin }, 0),
                    Shown::Bytes(bytes, origin) => {
                        let line = bytes.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
                        (String::from_utf8_lossy(bytes).into_owned(), origin, line)
                    }
                };
                out.push((text, origin));
                Taken { consumed, skip: 0, done: false }
            });
        }
        out
    }

    #[test]
    fn what_the_receiver_has_is_not_waited_for() {
        let at = |seq, frame, second| Origin { seq, ack: 0, frame, ts: Timestamp(second * SECOND) };
        let text = |text: &str, origin| (text.to_owned(), origin);
        // the capture lacks 4 to 7; what was parked is told with its own frame
        let shown = places(&[(0, 0, b"one\n", 0), (1, 8, b"two\n", 4), (1, 12, b"six\n", 12), (3, 16, b"ten\n", 16)]);
        let own = [text("two\n", at(8, 2, 1)), text("six\n", at(12, 3, 1)), text("ten\n", at(16, 4, 3))];
        assert_eq!(shown.get(1).unwrap(), &text("gap behind 0", at(4, 4, 3)));
        assert_eq!(shown.get(2..).unwrap(), own);
        // the receiver lacks them too: they come again, and complete what was parked
        let shown = places(&[(0, 0, b"one\n", 0), (1, 8, b"two\n", 4), (9, 12, b"six\n", 4), (9, 4, b"abc\n", 4)]);
        assert_eq!(shown.get(2).unwrap(), &text("two\n", at(8, 4, 9)));
        assert_eq!(shown.len(), 4);
    }

    #[test]
    fn a_slice_has_the_place_of_its_first_byte() {
        let shown = places(&[(0, 0, b"one\ntw", 0), (1, 6, b"o\nsix\n", 0)]);
        let seqs: Vec<(&str, u32)> = shown.iter().map(|(text, origin)| (text.as_str(), origin.seq)).collect();
        assert_eq!(seqs, [("one\ntw", 0), ("tw", 4), ("two\nsix\n", 4), ("six\n", 8)]);
    }

    #[test]
    fn a_reader_that_takes_nothing_is_cut_off() {
        let long = [b'x'; 50];
        let segments = [(0, &long[..], 50), (50, &long[..], 50), (100, &long[..], 50), (150, b"\nend\n", 5)];
        assert_eq!(run(&segments).first().unwrap(), "gap");
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes(cuts in prop::collection::vec(1usize..9, 1..8), swaps in any::<u64>()) {
            let text: Vec<u8> = (0..cuts.iter().sum::<usize>()).map(|n| if n % 5 == 4 { b'\n' } else { b'a' + (n % 26) as u8 }).collect();
            let mut at = 0;
            let mut segments: Vec<(u32, &[u8], u32)> = cuts.iter().map(|&n| {
                let s = (at as u32, &text[at..at + n], n as u32);
                at += n;
                s
            }).collect();
            let in_order = run(&segments);
            for (n, i) in (1..segments.len()).enumerate() {
                if swaps >> n & 1 == 1 { segments.swap(i - 1, i); }
            }
            prop_assert_eq!(run(&segments), in_order);
        }
    }
}
