//! Ticks in packet time: the moments at which what was seen is judged, and intervals that end between two of them.
//!
//! When the next tick comes is decided at the last one, by what was seen until then. So a source that knows the time
//! without packets (a live capture) and one that only sees the next packet (a file) tick at the same moments.

use crate::flow::Flow;
use crate::time::{SECOND, Timestamp};

/// The least time between two ticks, in nanoseconds; ticks are aligned to it.
const TICK: u64 = SECOND;
/// How far, in nanoseconds, packets may be out of order. A packet that is older still says that the clock was set back.
const DISORDER: u64 = 10 * SECOND;
/// A clock that is set back so often without [`CALM`] between is no clock, but two of them whose frames were put together:
/// what is behind is out of order then, however far.
const SHAKY: u8 = 3;
/// So many ticks, in each of which frames came, tell that a clock is one again.
const CALM: u64 = 600;
/// How many ticks of silence come at their usual distance. No rule waits for longer than a minute, and ticks may be
/// late by a sixteenth then.
const PATIENCE: u64 = 32;
/// The share of a silence by which the next tick comes later: so a silence of ten years has a few hundred ticks.
const SHARE: u64 = 16;

/// When ticks are due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The latest moment that is known; none before the first frame.
    now: Option<Timestamp>,
    /// When the next tick comes.
    next: Timestamp,
    /// When all is judged again: a tick of before is one between.
    whole: Timestamp,
    /// A frame of before that says that the clock was set back.
    earliest: Timestamp,
    /// For how many seconds no frame has come, by the next tick.
    silent: u64,
    /// A frame has come since the last tick.
    frames: bool,
    /// How often the clock was set back of late.
    backs: u8,
    /// How many ticks with frames there were since.
    calm: u64,
    /// How much further than [`DISORDER`] packets are out of order, in nanoseconds.
    further: u64,
}

/// What a frame's time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Time goes on.
    On,
    /// The clock was set back.
    Back,
}

impl Clock {
    /// The latest moment that is known.
    pub fn now(&self) -> Timestamp {
        self.now.unwrap_or_default()
    }

    /// Whether anything is to be done before a frame of that time: a tick, or what [`Clock::begin`] says.
    #[inline(always)]
    pub fn is_special(&self, ts: Timestamp) -> bool {
        ts >= self.next || ts < self.earliest
    }

    /// The tick that is due before something that happens at `ts`.
    pub fn due(&self, ts: Timestamp) -> Option<Timestamp> {
        let waits = self.now.is_some() && self.next.0 != u64::MAX;
        (waits && ts >= self.next).then_some(self.next)
    }

    /// Begins anew with a frame of that time, if it is the first, or if it says that the clock was set back.
    pub fn begin(&mut self, ts: Timestamp) -> Step {
        let fresh = Clock { now: Some(ts), next: aligned(ts, 1), ..Clock::default() };
        let Some(now) = self.now else {
            *self = fresh;
            return Step::On;
        };
        if ts >= self.earliest {
            return Step::On;
        }
        let backs = self.backs.saturating_add(1);
        let apart = if backs < SHAKY { 0 } else { now.since(ts).saturating_mul(2) };
        *self = Clock { backs, further: self.further.max(apart), ..fresh };
        Step::Back
    }

    /// Whether all is to be judged at a tick.
    pub fn is_whole(&self, at: Timestamp) -> bool {
        at >= self.whole
    }

    /// A tick at which all was judged has been dealt with; that is done again after `spacing` ticks at the earliest,
    /// and `between` there are others.
    pub fn ticked(&mut self, at: Timestamp, spacing: u64, between: bool) {
        self.go_on(at, if between { 1 } else { spacing });
        self.whole = if between { self.next.max(aligned(at, spacing)) } else { self.next };
    }

    /// A tick between two of those has been dealt with.
    pub fn glanced(&mut self, at: Timestamp) {
        self.go_on(at, 1);
    }

    /// The next tick comes after `spacing` ticks at the earliest.
    fn go_on(&mut self, at: Timestamp, spacing: u64) {
        let frames = std::mem::take(&mut self.frames);
        self.calm = self.calm.saturating_add(u64::from(frames));
        if self.calm >= CALM {
            (self.backs, self.further) = (0, 0);
        }
        let silent = if frames { 0 } else { self.silent };
        let late = silent.saturating_sub(PATIENCE).checked_div(SHARE).unwrap_or(0);
        let spacing = spacing.max(1).saturating_add(late);
        self.silent = silent.saturating_add(spacing);
        self.reach(self.now().max(at));
        self.next = aligned(at, spacing);
    }

    /// A frame comes; all that was to be done before it has been.
    #[inline(always)]
    pub fn frame(&mut self, ts: Timestamp) {
        self.frames = true;
        if self.now.is_none_or(|now| ts > now) {
            self.reach(ts);
        }
    }

    #[inline(always)]
    fn reach(&mut self, now: Timestamp) {
        self.now = Some(now);
        self.earliest = now.before(DISORDER).before(self.further);
    }
}

/// The moment of a tick so many ticks after the last one before `at`.
fn aligned(at: Timestamp, ticks: u64) -> Timestamp {
    let whole = at.0.checked_div(TICK).unwrap_or(0);
    Timestamp(whole.saturating_add(ticks).saturating_mul(TICK))
}

/// Whether time has passed a whole multiple of an interval, in nanoseconds.
pub(super) fn has_passed(before: Timestamp, now: Timestamp, interval: u64) -> bool {
    let whole = |at: Timestamp| at.0.checked_div(interval);
    whole(before) != whole(now)
}

/// Whether an interval of a flow's life has ended, in which something came.
pub(super) fn is_interim(flow: &Flow, before: Timestamp, now: Timestamp, interval: u64) -> bool {
    let whole = |at: Timestamp| at.since(flow.first).checked_div(interval);
    // where the clock was set back, its last packet is yet to come by the clock as it is now
    whole(before) < whole(now) && flow.last <= now && now.since(flow.last) < interval
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ticks before something at `ts`, in milliseconds.
    fn ticks(clock: &mut Clock, ts: u64) -> Vec<u64> {
        let mut at = Vec::new();
        while let Some(tick) = clock.due(Timestamp(ts)) {
            at.push(tick.0 / 1_000_000);
            clock.ticked(tick, 1, false);
        }
        at
    }

    /// A frame at `ts`, as a monitor takes it.
    fn frame(clock: &mut Clock, ts: u64) -> Step {
        let ts = Timestamp(ts);
        assert!(clock.due(ts).is_none());
        let step = if clock.is_special(ts) { clock.begin(ts) } else { Step::On };
        clock.frame(ts);
        step
    }

    #[test]
    fn ticks_come_every_second_between_packets() {
        let mut clock = Clock::default();
        assert!(ticks(&mut clock, 10 * SECOND).is_empty());
        assert_eq!(frame(&mut clock, 10 * SECOND + 1), Step::On);
        assert!(ticks(&mut clock, 11 * SECOND - 1).is_empty());
        assert_eq!(ticks(&mut clock, 13 * SECOND), [11_000, 12_000, 13_000]);
        assert_eq!(frame(&mut clock, 13 * SECOND), Step::On);
        // a little out of order is no other clock
        assert_eq!((frame(&mut clock, 9 * SECOND), clock.now()), (Step::On, Timestamp(13 * SECOND)));
        assert_eq!(ticks(&mut clock, 14 * SECOND), [14_000]);
    }

    #[test]
    fn a_silence_of_any_length_has_few_ticks() {
        let mut clock = Clock::default();
        frame(&mut clock, SECOND);
        assert_eq!(ticks(&mut clock, 31 * SECOND).len(), 30);
        assert!(ticks(&mut clock, 315_360_000 * SECOND).len() < 400);
        let last = ticks(&mut clock, u64::MAX);
        assert!(last.len() < 400 && ticks(&mut clock, u64::MAX).is_empty());
    }

    #[test]
    fn when_the_next_tick_comes_does_not_depend_on_what_comes_then() {
        let mut clocks = [Clock::default(); 2];
        clocks.iter_mut().for_each(|clock| _ = frame(clock, SECOND));
        let [one, other] = &mut clocks;
        let whole = ticks(one, 500 * SECOND);
        let parts: Vec<u64> = (0..=5000).flat_map(|n| ticks(other, n * SECOND / 10)).collect();
        assert_eq!(whole, parts);
    }

    #[test]
    fn between_two_judgements_that_are_apart_there_are_other_ticks() {
        let mut clock = Clock::default();
        frame(&mut clock, 101 * SECOND);
        let mut whole = Vec::new();
        while let Some(tick) = clock.due(Timestamp(109 * SECOND)) {
            match clock.is_whole(tick) {
                true => clock.ticked(tick, 3, true),
                false => clock.glanced(tick),
            }
            whole.push((tick.0 / SECOND - 100, clock.whole.0 / SECOND - 100));
        }
        assert_eq!(whole, [(2, 5), (3, 5), (4, 5), (5, 8), (6, 8), (7, 8), (8, 11), (9, 11)]);
        // a clock that is set back has not judged anything of its time
        assert!(!clock.is_whole(Timestamp(110 * SECOND)));
        clock.begin(Timestamp(SECOND));
        assert!(clock.is_whole(Timestamp(2 * SECOND)));
    }

    #[test]
    fn two_clocks_in_one_capture_do_not_make_time_pass_again_and_again() {
        let mut clock = Clock::default();
        let (mut all, mut backs) = (0, 0);
        for pair in 0..500 {
            let now = (5000 + pair) * SECOND;
            all += ticks(&mut clock, now).len();
            backs += u64::from(frame(&mut clock, now) == Step::Back);
            all += ticks(&mut clock, now - 60 * SECOND).len();
            backs += u64::from(frame(&mut clock, now - 60 * SECOND) == Step::Back);
        }
        assert_eq!((backs, clock.now()), (3, Timestamp(5499 * SECOND)));
        assert!(all < 800, "{all}");
        // it is one clock again
        for second in 5500..6500 {
            ticks(&mut clock, second * SECOND);
            assert_eq!(frame(&mut clock, second * SECOND), Step::On);
        }
        assert_eq!(frame(&mut clock, 6400 * SECOND), Step::Back);
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on() {
        let mut clock = Clock::default();
        frame(&mut clock, 5000 * SECOND);
        ticks(&mut clock, 5001 * SECOND);
        assert_eq!(frame(&mut clock, 100 * SECOND), Step::Back);
        assert_eq!((clock.now(), ticks(&mut clock, 102 * SECOND).len()), (Timestamp(100 * SECOND), 2));
    }
}
