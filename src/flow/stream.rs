//! One direction of a TCP connection as a byte stream: in order, without repeats, and only as far as it is wanted.
//!
//! A segment that comes in order is shown as it stands in the capture; bytes are copied only where they wait for
//! others. What waits is capped ([`Limits`]); past that the hole before it is given up and told as a gap.

use super::wrapping::ahead;

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

/// What a stream tells its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Bytes in order: those not consumed before, and what came behind them.
    Bytes(&'a [u8]),
    /// Bytes are missing for good before those that come next, or nothing more comes. What was not consumed before
    /// is shown one last time.
    Gap(&'a [u8]),
}

#[derive(Clone, Debug)]
struct Parked {
    seq: u32,
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

    /// Takes a segment that begins at `seq`, had `wire_len` bytes of payload, and of which `bytes` were captured.
    pub fn segment(
        &mut self,
        seq: u32,
        bytes: &[u8],
        wire_len: u32,
        limits: &Limits,
        reader: &mut dyn FnMut(Shown<'_>) -> Taken,
    ) {
        if self.done || wire_len == 0 {
            return;
        }
        self.begin(seq);
        if self.is_early(seq) {
            self.park(seq, bytes, wire_len, limits, reader);
        } else {
            self.in_order(seq, bytes, wire_len, limits, reader);
        }
        self.unpark(limits, reader);
    }

    /// No more will come: shows what still waits behind holes.
    pub fn flush(&mut self, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        while !self.done && !self.parked.is_empty() {
            self.give_up_hole(reader);
            self.unpark(limits, reader);
        }
        if !self.done && !self.held.is_empty() {
            self.gap(reader);
        }
    }

    /// Whether a segment at `seq` lies beyond a hole that matters: not one within what is skipped anyway.
    fn is_early(&self, seq: u32) -> bool {
        let jump = ahead(seq, self.next);
        jump > 0 && u64::from(jump.unsigned_abs()) > self.skip
    }

    fn in_order(
        &mut self,
        seq: u32,
        bytes: &[u8],
        wire_len: u32,
        limits: &Limits,
        reader: &mut dyn FnMut(Shown<'_>) -> Taken,
    ) {
        let jump = ahead(seq, self.next);
        let (mut bytes, mut wire_len) = (bytes, wire_len);
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
        self.next = self.next.wrapping_add(wire_len);
        let missing = wire_len.wrapping_sub(u32::try_from(bytes.len()).unwrap_or(wire_len).min(wire_len));
        if !bytes.is_empty() {
            self.show(bytes, limits, reader);
        }
        if missing > 0 && !self.done {
            self.lose(missing, reader);
        }
    }

    /// Moves on by `n` bytes of which nothing need be seen.
    fn pass(&mut self, n: u32) {
        self.next = self.next.wrapping_add(n);
        self.skip = self.skip.saturating_sub(u64::from(n));
    }

    /// The capture cut `missing` bytes off the segment's end; `next` is past them already.
    fn lose(&mut self, missing: u32, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let within = self.skip.min(u64::from(missing));
        self.skip = self.skip.saturating_sub(within);
        if within < u64::from(missing) {
            self.gap(reader);
        }
    }

    /// Tells the reader of a hole, and lets go of what it has not consumed.
    fn gap(&mut self, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let held = std::mem::take(&mut self.held);
        self.done |= reader(Shown::Gap(&held)).done;
    }

    /// Shows bytes that follow what is held, as often as the reader takes some.
    fn show(&mut self, fresh: &[u8], limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        if self.held.is_empty() {
            let rest = self.read(fresh, reader);
            let rest = fresh.get(rest..).unwrap_or(&[]);
            if !self.done && !rest.is_empty() {
                self.hold(rest, limits, reader);
            }
            return;
        }
        if self.held.len() >= limits.held {
            // the reader wants more than it may have: it must find its way without what was held
            self.gap(reader);
            if !self.done {
                self.show(fresh, limits, reader);
            }
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(fresh);
        let taken = self.read(&held, reader);
        if !self.done && taken < held.len() {
            held.drain(..taken);
            self.held = held;
        }
    }

    fn hold(&mut self, rest: &[u8], limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        if rest.len() > limits.held {
            self.done |= reader(Shown::Gap(rest)).done;
        } else {
            self.held.extend_from_slice(rest);
        }
    }

    /// Shows `bytes` until the reader takes no more; gives how many are dealt with.
    fn read(&mut self, bytes: &[u8], reader: &mut dyn FnMut(Shown<'_>) -> Taken) -> usize {
        let mut at = 0usize;
        while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
            let taken = reader(Shown::Bytes(rest));
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

    fn park(
        &mut self,
        seq: u32,
        bytes: &[u8],
        wire_len: u32,
        limits: &Limits,
        reader: &mut dyn FnMut(Shown<'_>) -> Taken,
    ) {
        let at = self.parked.partition_point(|p| ahead(p.seq, seq) < 0);
        let known = self.parked.get(at).is_some_and(|p| p.seq == seq && p.wire_len >= wire_len);
        if !known {
            self.parked.insert(at, Parked { seq, wire_len, bytes: bytes.to_vec() });
        }
        let waiting: usize = self.parked.iter().map(|p| p.bytes.len()).sum();
        if waiting > limits.parked || self.parked.len() > limits.segments {
            self.give_up_hole(reader);
        }
    }

    /// Moves on to the first segment that waits.
    fn give_up_hole(&mut self, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        let Some(first) = self.parked.first() else { return };
        self.next = first.seq;
        self.skip = 0;
        self.gap(reader);
    }

    /// Shows the segments whose turn has come.
    fn unpark(&mut self, limits: &Limits, reader: &mut dyn FnMut(Shown<'_>) -> Taken) {
        while !self.done && self.parked.first().is_some_and(|p| !self.is_early(p.seq)) {
            let parked = self.parked.remove(0);
            self.in_order(parked.seq, &parked.bytes, parked.wire_len, limits, reader);
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
            Shown::Gap(_) => {
                out.push("gap".into());
                Taken { consumed: 0, skip: 0, done: false }
            }
            Shown::Bytes(bytes) => match bytes.iter().position(|&b| b == b'\n') {
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
                stream.segment(seq, bytes, wire_len, &LIMITS, &mut reader);
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
