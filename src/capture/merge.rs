//! Frames of several devices in one order: by time, as far as can be known when they are due.
//!
//! A frame may go when no other device can still bring an earlier one: each has a later frame waiting, or has said that
//! all until then were given. Where neither is so it goes once it has waited [`HOLD`]; a device that hangs holds up no
//! other for longer. Of one device frames stay in the order in which they came, though its clock be set back. Frames
//! that were only counted stand where the first of them came.

use std::collections::VecDeque;
use std::time::Duration;

use super::Batch;
use crate::source::Tally;
use crate::time::Timestamp;

/// The longest that a frame waits for those of other devices: what the kernel may hold a frame back, five times over.
pub const HOLD: Duration = Duration::from_millis(100);

/// What a device brought at one time.
#[derive(Debug)]
enum Brought {
    /// Frames; at least one.
    Frames(Batch),
    /// What is known of frames that were only counted.
    Counted(Tally),
}

/// What one device brought.
#[derive(Debug, Default)]
struct Lane {
    /// What came, and when, by a clock that only goes forward.
    waiting: VecDeque<(Brought, Duration)>,
    /// The next frame of the first, if that is a batch.
    at: usize,
    /// All frames until then were given.
    until: Timestamp,
    ended: bool,
}

impl Lane {
    fn head(&self) -> Option<(Timestamp, Duration)> {
        let (brought, came) = self.waiting.front()?;
        let ts = match brought {
            Brought::Frames(batch) => batch.chunk.frames.get(self.at)?.ts,
            Brought::Counted(tally) => tally.first,
        };
        Some((ts, *came))
    }

    /// Whether frames that were only counted are next.
    fn is_counted(&self) -> bool {
        matches!(self.waiting.front(), Some((Brought::Counted(_), _)))
    }

    /// Takes frames out that were only counted and are next.
    fn counted(&mut self) -> Option<Tally> {
        let (Brought::Counted(tally), _) = self.waiting.front()? else { return None };
        let tally = *tally;
        self.waiting.pop_front();
        Some(tally)
    }

    /// Puts its next frame into `out`; gives the batch that this used up.
    fn give(&mut self, out: &mut Batch) -> Option<Batch> {
        let (Brought::Frames(batch), _) = self.waiting.front()? else { return None };
        let (at, from) = (batch.chunk.frames.get(self.at)?, batch.from.get(self.at)?);
        if let Some(frame) = batch.chunk.frame(at) {
            out.push(&frame, *from);
        }
        self.at += 1;
        if self.at < batch.chunk.frames.len() {
            return None;
        }
        self.at = 0;
        match self.waiting.pop_front() {
            Some((Brought::Frames(batch), _)) => Some(batch),
            _ => None,
        }
    }
}

/// Puts the frames of several devices in order.
#[derive(Debug)]
pub struct Merge {
    lanes: Vec<Lane>,
}

impl Merge {
    /// For so many devices.
    pub fn new(devices: usize) -> Self {
        Merge { lanes: (0..devices).map(|_| Lane::default()).collect() }
    }

    /// The device at that place brought these frames at `now`.
    pub fn push(&mut self, device: usize, batch: Batch, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(device).filter(|_| !batch.chunk.frames.is_empty()) {
            lane.waiting.push_back((Brought::Frames(batch), now));
        }
    }

    /// The device at that place has only counted these frames, at least one, which came by `now`.
    pub fn count(&mut self, device: usize, tally: Tally, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.waiting.push_back((Brought::Counted(tally), now));
            // what it brings next is later: nobody waits for it until then
            lane.until = lane.until.max(tally.last);
        }
    }

    /// The device has given all its frames until then.
    pub fn quiet(&mut self, device: usize, until: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.until = until;
        }
    }

    /// The device will bring nothing more.
    pub fn end(&mut self, device: usize) {
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.ended = true;
        }
    }

    /// All devices have given all their frames until then; none if one still has frames waiting here.
    pub fn until(&self) -> Option<Timestamp> {
        if self.lanes.iter().any(|lane| !lane.waiting.is_empty()) {
            return None;
        }
        self.lanes.iter().filter(|lane| !lane.ended).map(|lane| lane.until).min()
    }

    /// Whether frames wait.
    pub fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.waiting.is_empty())
    }

    /// Moves frames that are due at `now` to `out`, about `bytes` of them; gives used-up batches to `spare`. Where
    /// frames that were only counted are due next, it gives those and their device, once all before them were given.
    pub fn pull(
        &mut self,
        now: Duration,
        bytes: usize,
        out: &mut Batch,
        mut spare: impl FnMut(Batch),
    ) -> Option<(usize, Tally)> {
        while out.bytes() < bytes {
            let heads = self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.head()?, at)));
            let ((ts, came), at) = heads.min_by_key(|((ts, _), at)| (*ts, *at))?;
            let others = self.lanes.iter().enumerate().filter(|(other, lane)| *other != at && !lane.ended);
            let sure = others.fold(true, |sure, (_, lane)| sure && (lane.head().is_some() || lane.until >= ts));
            if !sure && now.saturating_sub(came) < HOLD {
                return None;
            }
            let lane = self.lanes.get_mut(at)?;
            if lane.is_counted() {
                let counted = if out.from.is_empty() { lane.counted() } else { None };
                return counted.map(|tally| (at, tally));
            }
            if let Some(batch) = lane.give(out) {
                spare(batch);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame;
    use proptest::prelude::*;

    fn batch(device: u16, times: &[u64]) -> Batch {
        let mut batch = Batch::default();
        for ts in times {
            assert!(batch.push(&frame(Timestamp(*ts), 1, 60, &[device as u8; 4]), device));
        }
        batch
    }

    fn pulled(merge: &mut Merge, now: u64) -> Vec<(u64, u16)> {
        let mut out = Batch::default();
        assert_eq!(merge.pull(Duration::from_millis(now), 1 << 20, &mut out, |_| {}), None);
        out.frames().map(|(frame, from)| (frame.ts.0, from)).collect()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn two_halves_of_a_tap_come_out_as_one() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(0, &[10, 30, 50]), at(0));
        assert_eq!(pulled(&mut merge, 1), [], "the other may bring an earlier one");
        merge.push(1, batch(1, &[20, 40, 60]), at(1));
        assert_eq!(pulled(&mut merge, 2), [(10, 0), (20, 1), (30, 0), (40, 1), (50, 0)]);
        assert_eq!(merge.until(), None);
        merge.quiet(0, Timestamp(60));
        assert_eq!(pulled(&mut merge, 3), [(60, 1)]);
        merge.quiet(1, Timestamp(70));
        assert_eq!(merge.until(), Some(Timestamp(60)));
    }

    #[test]
    fn nobody_waits_for_long() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(0, &[10]), at(0));
        assert_eq!(pulled(&mut merge, 99), []);
        assert_eq!(pulled(&mut merge, 100), [(10, 0)]);
        merge.push(0, batch(0, &[20]), at(200));
        merge.end(1);
        assert_eq!(pulled(&mut merge, 200), [(20, 0)], "who has ended is not waited for");
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(0, &[1_000, 5, 6]), at(0));
        merge.push(1, batch(1, &[1_001, 7]), at(0));
        assert_eq!(pulled(&mut merge, 1), [(1_000, 0), (5, 0), (6, 0)]);
        assert_eq!(pulled(&mut merge, 100), [(1_001, 1), (7, 1)]);
    }

    /// What comes out one after the other: times of frames, and of what was only counted those between which it came.
    fn order(merge: &mut Merge, now: u64) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let mut out = Batch::default();
            let counted = merge.pull(at(now), 1 << 20, &mut out, |_| {});
            told.extend(out.frames().map(|(frame, _)| frame.ts.0.to_string()));
            match counted {
                Some((_, tally)) => told.push(format!("{}-{}", tally.first.0, tally.last.0)),
                None if out.from.is_empty() => return told,
                None => {}
            }
        }
    }

    #[test]
    fn what_was_only_counted_keeps_its_place() {
        let tally =
            |first, last| Tally { frames: 2, first: Timestamp(first), last: Timestamp(last), ..Tally::default() };
        let mut merge = Merge::new(2);
        // what had to wait is taken all at once: the other device's frames are not passed by seconds
        merge.push(1, batch(1, &[5, 25]), at(0));
        merge.count(0, tally(10, 20), at(0));
        merge.count(0, tally(30, 40), at(0));
        merge.push(1, batch(1, &[35, 50]), at(0));
        merge.count(0, tally(60, 70), at(0));
        assert_eq!(
            order(&mut merge, 0),
            ["5", "10-20", "25", "30-40", "35", "50"],
            "the other may bring one before 60"
        );
        merge.push(1, batch(1, &[65]), at(1));
        // nor do they wait for who counts: it has nothing before 70
        assert_eq!(order(&mut merge, 1), ["60-70", "65"]);
        assert!(!merge.is_waiting());
    }

    proptest! {
        /// Whatever comes in, all of it comes out, each device's frames in their order.
        #[test]
        fn nothing_is_lost(lanes in prop::collection::vec(prop::collection::vec(0u64..50, 0..40), 1..4), cut in 1usize..9) {
            let mut merge = Merge::new(lanes.len());
            let mut out = Vec::new();
            for (device, times) in lanes.iter().enumerate() {
                for part in times.chunks(cut) {
                    merge.push(device, batch(device as u16, part), at(0));
                    out.extend(pulled(&mut merge, 0));
                }
            }
            (0..lanes.len()).for_each(|device| merge.end(device));
            out.extend(pulled(&mut merge, 0));
            for (device, times) in lanes.iter().enumerate() {
                let came: Vec<u64> = out.iter().filter(|(_, from)| usize::from(*from) == device).map(|(ts, _)| *ts).collect();
                prop_assert_eq!(&came, times);
            }
            prop_assert!(!merge.is_waiting());
        }
    }
}
