//! Payload over time, in windows: what tells video from a heart-beat.

use crate::time::{SECOND, Timestamp};

/// One window: long enough to even out a camera's key frames (one every one or two seconds), short enough to show a
/// view of a few seconds. In nanoseconds.
pub const WINDOW: u64 = 5 * SECOND;

/// What counts as what. Bytes are payload bytes in one [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// At least this much one way is video-like.
    pub video_bytes: u32,
    /// … and at least this many times the other way's.
    pub video_ratio: u32,
    /// At least this much after an idle window is a burst.
    pub burst_bytes: u32,
    /// Less than this both ways is idle.
    pub idle_bytes: u32,
}

impl Default for Thresholds {
    /// 150 kbit/s and a ratio of 4; 64 kB bursts; idle under 16 kbit/s.
    fn default() -> Self {
        Thresholds { video_bytes: 93_750, video_ratio: 4, burst_bytes: 65_536, idle_bytes: 10_000 }
    }
}

/// The windows of one flow. Directions are numbered as in [`super::tcp::Tcp`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    start: Timestamp,
    current: [u32; 2],
    /// Windows in which that side's payload looked like video.
    pub video: [u16; 2],
    /// Windows in which that side sent a burst after an idle one.
    pub bursts: [u16; 2],
    idle_before: bool,
}

impl Rates {
    /// The windows of a flow that began at `start`, and of whose sides `payload` bytes came in the first of them.
    pub fn begun(start: Timestamp, payload: [u64; 2]) -> Self {
        let current = payload.map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
        Rates { start, current, idle_before: true, ..Rates::default() }
    }

    /// Takes `bytes` of payload from side `sender` at `ts`.
    #[inline(always)]
    pub fn add(&mut self, sender: usize, bytes: u32, ts: Timestamp, thresholds: &Thresholds) {
        if ts.since(self.start) >= WINDOW {
            self.turn(ts, thresholds);
        }
        if let Some(sum) = self.current.get_mut(sender) {
            *sum = sum.saturating_add(bytes);
        }
    }

    /// Closes the window at hand; one that begins at `ts` follows.
    fn turn(&mut self, ts: Timestamp, t: &Thresholds) {
        let began = self.start != Timestamp::default();
        let quiet_since = ts.since(self.start) >= WINDOW.saturating_mul(2);
        let [a, b] = self.current;
        for (side, (mine, theirs)) in [(a, b), (b, a)].into_iter().enumerate() {
            let video = mine >= t.video_bytes && mine >= theirs.saturating_mul(t.video_ratio);
            let burst = mine >= t.burst_bytes && self.idle_before;
            for (count, hit) in [(&mut self.video, video), (&mut self.bursts, burst)] {
                if let Some(count) = count.get_mut(side) {
                    *count = count.saturating_add(u16::from(hit));
                }
            }
        }
        self.idle_before = !began || quiet_since || (a < t.idle_bytes && b < t.idle_bytes);
        self.current = [0; 2];
        // windows keep their pace while the flow keeps talking
        self.start = if began && !quiet_since { self.start.after(WINDOW) } else { ts };
    }

    /// These rates with the window at hand closed.
    pub fn closed(&self, thresholds: &Thresholds) -> Rates {
        let mut rates = *self;
        rates.turn(rates.start, thresholds);
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_is_told_from_heart_beats_and_bursts() {
        let t = Thresholds::default();
        let mut rates = Rates::default();
        let base = 1_000_000 * SECOND;
        for tick in 0..100u64 {
            rates.add(0, 50_000, Timestamp(base + tick * SECOND / 5), &t);
            rates.add(1, 100, Timestamp(base + tick * SECOND / 5), &t);
        }
        let closed = rates.closed(&t);
        assert_eq!((closed.video, closed.bursts), ([4, 0], [1, 0]));
        let mut idle = Rates::default();
        for tick in 0..100u64 {
            idle.add(0, 2600, Timestamp(base + tick * 5 * SECOND), &t);
        }
        assert_eq!((idle.closed(&t).video, idle.closed(&t).bursts), ([0, 0], [0, 0]));
        idle.add(0, 80_000, Timestamp(base + 1000 * SECOND), &t);
        assert_eq!(idle.closed(&t).bursts, [1, 0]);
    }
}
