//! How payload came over time: what a verdict on a held stream goes by.
//!
//! A connection that never pauses and is soon over has no course: all that matters of it is in its counters. One that
//! pauses for [`PAUSE`], or is older than a rate window, has its payload told in bursts from then on, in bounded space:
//! when the list is full, the two bursts with the least silence between them become one, so long silences are kept.

use super::rates::Rates;
use crate::time::{SECOND, Timestamp};

/// A silence of this long, in nanoseconds, ends a burst: longer than the time between a camera's pictures, shorter
/// than any hold that matters.
pub const PAUSE: u64 = 750_000_000;
/// How long after its peak has begun a burst's bytes are counted, in nanoseconds: what was held for long comes as fast
/// as the line is, be it within a moment or within many seconds.
pub const RUNGS: [u64; 9] =
    [SECOND / 4, SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND, 32 * SECOND, 64 * SECOND];
/// How many bursts of one side are kept.
const BURSTS: usize = 32;

/// A stretch of one side's payload without a pause, or several whose pauses were the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// Its first segment.
    pub start: Timestamp,
    /// Its last segment.
    pub end: Timestamp,
    /// The first segment's frame.
    pub frame: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// How many bursts became this one.
    pub parts: u32,
    /// The second in which most came, or the first of several in which about as much did.
    pub peak: Peak,
    /// Payload bytes within each of [`RUNGS`] from the beginning of that second; 0 where the burst was over before, or
    /// is not known so finely.
    pub rungs: [u32; RUNGS.len()],
    /// The sizes and times of the bursts that became this one.
    pub spread: Spread,
    reached: u8,
    window: Peak,
}

/// How much the bursts that became one differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The shortest and the longest time from the beginning of one to the beginning of the next, in nanoseconds; zeros
    /// where there was but one.
    pub pauses: [u64; 2],
    /// The bytes of the least and the greatest; zeros where there was but one.
    pub sizes: [u64; 2],
    /// Where the last of them began.
    pub last: Timestamp,
}

/// One second of a burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// When it began.
    pub at: Timestamp,
    /// The frame it began with.
    pub frame: u64,
    /// Payload bytes in it.
    pub bytes: u64,
    /// Payload bytes of the burst before it.
    pub before: u64,
}

impl Burst {
    /// A burst of which only the sum is known.
    pub fn whole(start: Timestamp, end: Timestamp, frame: u64, bytes: u64) -> Burst {
        let window = Peak { at: start, frame, bytes, before: 0 };
        let spread = Spread { last: start, ..Spread::default() };
        Burst { start, end, frame, bytes, parts: 1, peak: window, window, spread, ..Burst::default() }
    }

    /// Payload bytes from the beginning of its peak within so many of the first [`RUNGS`]; `None` where that is not
    /// known.
    pub fn within(&self, rung: usize) -> Option<u64> {
        match self.rungs.get(rung)? {
            0 if self.end.since(self.peak.at) < *RUNGS.get(rung)? => Some(self.bytes.saturating_sub(self.peak.before)),
            0 => None,
            bytes => Some(u64::from(*bytes)),
        }
    }

    /// The bytes of the least and the greatest of the bursts that became this one.
    pub const fn sizes(&self) -> [u64; 2] {
        if self.parts > 1 { self.spread.sizes } else { [self.bytes; 2] }
    }

    /// Whether it is, or one of those that became it is, as much as a request of so many bytes.
    pub fn asks(&self, least: f64) -> bool {
        let [_, most] = self.sizes();
        most as f64 >= least
    }

    #[inline(always)]
    fn add(&mut self, ts: Timestamp, frame: u64, bytes: u64) {
        if ts.since(self.window.at) >= SECOND {
            self.window = Peak { at: ts, frame, bytes: 0, before: self.bytes };
        }
        if RUNGS.get(usize::from(self.reached)).is_some_and(|rung| ts.since(self.peak.at) >= *rung) {
            self.climb(ts);
        }
        self.window.bytes = self.window.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.end = self.end.max(ts);
        if self.window.at == self.peak.at {
            self.peak.bytes = self.window.bytes;
        } else if self.window.bytes > self.peak.bytes.saturating_add(self.peak.bytes / 8) {
            self.begin_peak(ts);
        }
    }

    /// Notes what came before `ts` on the rungs that it has passed.
    #[cold]
    fn climb(&mut self, ts: Timestamp) {
        let since = ts.since(self.peak.at);
        let sum = u32::try_from(self.bytes.saturating_sub(self.peak.before)).unwrap_or(u32::MAX);
        let rungs = self.rungs.iter_mut().zip(RUNGS).skip(usize::from(self.reached));
        for (slot, _) in rungs.take_while(|(_, rung)| *rung <= since) {
            *slot = sum;
            self.reached = self.reached.saturating_add(1);
        }
    }

    /// The second at hand is the fullest now; rungs that it has passed by are not known.
    fn begin_peak(&mut self, ts: Timestamp) {
        self.peak = self.window;
        self.rungs = [0; RUNGS.len()];
        let passed = RUNGS.partition_point(|rung| *rung <= ts.since(self.window.at));
        self.reached = u8::try_from(passed).unwrap_or(0);
    }

    /// This burst and the one that follows it.
    fn join(self, next: Burst) -> Burst {
        let moved = |peak: Peak| Peak { before: peak.before.saturating_add(self.bytes), ..peak };
        let (peak, rungs, reached) = match next.peak.bytes > self.peak.bytes {
            true => (moved(next.peak), next.rungs, next.reached),
            false => (self.peak, self.rungs, self.reached),
        };
        Burst {
            end: next.end,
            bytes: self.bytes.saturating_add(next.bytes),
            parts: self.parts.saturating_add(next.parts),
            peak,
            rungs,
            reached,
            spread: self.spread.join(next.spread, next.start.since(self.spread.last), [self.sizes(), next.sizes()]),
            window: moved(next.window),
            ..self
        }
    }
}

impl Spread {
    fn join(self, next: Spread, pause: u64, sizes: [[u64; 2]; 2]) -> Spread {
        let [[least, most], [other_least, other_most]] = sizes;
        let known = [self.pauses, next.pauses].into_iter().filter(|pauses| *pauses != [0; 2]);
        let pauses = known.fold([pause; 2], |[a, b], [c, d]| [a.min(c), b.max(d)]);
        Spread { pauses, sizes: [least.min(other_least), most.max(other_most)], last: next.last }
    }
}

/// What a side said last, between two words of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoke {
    /// When it began.
    pub ts: Timestamp,
    /// The frame it began with; 0 where that is not known.
    pub frame: u64,
    /// Payload bytes; 0 where they are not known.
    pub bytes: u32,
}

/// The course of one connection.
#[derive(Clone, Debug)]
pub struct Course {
    /// Payload rates.
    pub rates: Rates,
    /// The bursts of each side, in order.
    pub bursts: [Vec<Burst>; 2],
    /// What each side said last; none where it has not spoken. Bytes are known once the other speaks.
    pub spoke: [Option<Spoke>; 2],
}

impl Course {
    /// The course of a connection whose sides' payload until now is `known`.
    pub fn begun(rates: Rates, known: [Option<Burst>; 2]) -> Self {
        // of what was before, only when the last of it came
        let spoke = known.map(|burst| burst.map(|burst| Spoke { ts: burst.end, ..Spoke::default() }));
        // most have no more: room for one
        Course { rates, bursts: known.map(|burst| burst.map_or_else(Vec::new, |burst| vec![burst])), spoke }
    }

    /// Takes payload of a side that came at `ts` in `frame`.
    #[inline(always)]
    pub fn add(&mut self, side: usize, ts: Timestamp, frame: u64, bytes: u64) {
        let Some(bursts) = self.bursts.get_mut(side) else { return };
        match bursts.last_mut() {
            Some(last) if ts.since(last.end) < PAUSE => last.add(ts, frame, bytes),
            _ => begin(bursts, Burst::whole(ts, ts, frame, bytes)),
        }
    }

    /// A side begins to speak at `ts` in `frame`, after so many bytes of the other.
    pub fn turn(&mut self, side: usize, ts: Timestamp, frame: u64, heard: u32) {
        let [first, other] = &mut self.spoke;
        let (from, to) = if side == 0 { (first, other) } else { (other, first) };
        *from = Some(Spoke { ts, frame, bytes: 0 });
        to.iter_mut().for_each(|spoke| spoke.bytes = heard);
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let bursts = self.bursts.iter().map(Vec::capacity).fold(0usize, usize::saturating_add);
        size_of::<Course>().saturating_add(bursts.saturating_mul(size_of::<Burst>()))
    }
}

#[cold]
fn begin(bursts: &mut Vec<Burst>, burst: Burst) {
    if bursts.len() >= BURSTS {
        let silence = |pair: &[Burst]| match pair {
            [a, b] => b.start.since(a.end),
            _ => u64::MAX,
        };
        let least = bursts.windows(2).enumerate().min_by_key(|(_, pair)| silence(pair)).map(|(at, _)| at);
        if let Some(at) = least {
            let next = bursts.remove(at.saturating_add(1));
            if let Some(burst) = bursts.get_mut(at) {
                *burst = burst.join(next);
            }
        }
    }
    bursts.push(burst);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp(1_000 * SECOND + millis * 1_000_000)
    }

    #[test]
    fn a_pause_ends_a_burst_and_the_fullest_second_is_known() {
        let mut course = Course::begun(Rates::default(), [None, None]);
        for n in 0..40 {
            course.add(1, at(n * 100), n, if n < 20 { 10 } else { 1000 });
        }
        course.add(1, at(9_000), 77, 5);
        let [none, bursts] = &course.bursts;
        assert!(none.is_empty());
        assert_eq!(bursts.len(), 2);
        assert_eq!((bursts[0].start, bursts[0].end, bursts[0].bytes), (at(0), at(3_900), 20_200));
        assert_eq!((bursts[0].peak.bytes, bursts[0].peak.before, bursts[0].peak.at), (10_000, 200, at(2_000)));
        assert_eq!(bursts[0].rungs, [3_000, 5_000, 10_000, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            (0..5).map(|rung| bursts[0].within(rung)).collect::<Vec<_>>()[1..5],
            [Some(5_000), Some(10_000), Some(20_000), Some(20_000)]
        );
        assert_eq!((bursts[1].frame, bursts[1].bytes), (77, 5));
    }

    #[test]
    fn who_spoke_last_and_how_much_is_known() {
        let before = Burst::whole(at(0), at(400), 3, 700);
        let mut course = Course::begun(Rates::default(), [Some(before), None]);
        let said = |ts, frame, bytes| Some(Spoke { ts: at(ts), frame, bytes });
        assert_eq!(course.spoke, [said(400, 0, 0), None]);
        course.turn(1, at(900), 5, 700);
        assert_eq!(course.spoke, [said(400, 0, 700), said(900, 5, 0)]);
        course.turn(0, at(2_000), 8, 4_000);
        assert_eq!(course.spoke, [said(2_000, 8, 0), said(900, 5, 4_000)]);
    }

    #[test]
    fn long_silences_outlive_short_ones() {
        let mut course = Course::begun(Rates::default(), [None, None]);
        let mut now = 0;
        for n in 0..1_000u64 {
            now += if n == 500 { 60_000 } else { 1_000 + n };
            course.add(0, at(now), n, 7);
        }
        let bursts = &course.bursts[0];
        assert_eq!(bursts.len(), BURSTS);
        assert_eq!(bursts.iter().map(|b| b.bytes).sum::<u64>(), 7_000);
        assert_eq!(bursts.iter().map(|b| u64::from(b.parts)).sum::<u64>(), 1_000);
        assert!(bursts.windows(2).any(|pair| pair[1].start.since(pair[0].end) == 60 * SECOND));
        assert!(bursts.iter().all(|b| b.sizes() == [7, 7] && (b.parts == 1) == (b.spread.pauses == [0, 0])));
        let [least, most] = bursts.iter().max_by_key(|b| b.parts).unwrap().spread.pauses;
        assert!(least >= SECOND && most < 2 * SECOND && least < most);
    }
}
