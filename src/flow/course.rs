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
/// How long a surge is, in nanoseconds: as long as a line is busy with what was held for half a minute.
pub const SURGE: u64 = 4 * SECOND;
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
    /// The second in which most came.
    pub peak: Peak,
    /// Payload bytes within [`SURGE`] from the beginning of that second.
    pub surge: u64,
    window: Peak,
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
        Burst { start, end, frame, bytes, parts: 1, peak: window, surge: bytes, window }
    }

    #[inline(always)]
    fn add(&mut self, ts: Timestamp, frame: u64, bytes: u64) {
        if ts.since(self.window.at) >= SECOND {
            self.window = Peak { at: ts, frame, bytes: 0, before: self.bytes };
        }
        self.window.bytes = self.window.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.end = self.end.max(ts);
        if self.window.bytes > self.peak.bytes {
            self.peak = self.window;
            self.surge = self.window.bytes;
        } else if ts.since(self.peak.at) < SURGE {
            self.surge = self.surge.saturating_add(bytes);
        }
    }

    /// This burst and the one that follows it.
    fn join(self, next: Burst) -> Burst {
        let moved = |peak: Peak| Peak { before: peak.before.saturating_add(self.bytes), ..peak };
        let (peak, surge) = match next.peak.bytes > self.peak.bytes {
            true => (moved(next.peak), next.surge),
            false => (self.peak, self.surge),
        };
        Burst {
            end: next.end,
            bytes: self.bytes.saturating_add(next.bytes),
            parts: self.parts.saturating_add(next.parts),
            peak,
            surge,
            window: moved(next.window),
            ..self
        }
    }
}

/// The course of one connection.
#[derive(Clone, Debug)]
pub struct Course {
    /// Payload rates.
    pub rates: Rates,
    /// The bursts of each side, in order.
    pub bursts: [Vec<Burst>; 2],
}

impl Course {
    /// The course of a connection whose sides' payload until now is `known`.
    pub fn begun(rates: Rates, known: [Option<Burst>; 2]) -> Self {
        // most have no more: room for one
        Course { rates, bursts: known.map(|burst| burst.map_or_else(Vec::new, |burst| vec![burst])) }
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
        assert_eq!(bursts[0].surge, 20_000);
        assert_eq!((bursts[1].frame, bursts[1].bytes), (77, 5));
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
    }
}
