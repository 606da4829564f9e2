//! Timers in packet time: a wheel of ticks of a few seconds.
//!
//! A flow is filed once under the tick at which it may have gone silent, and looked at again only then: keeping a
//! busy flow alive costs nothing a packet. A gap of any length costs one turn of the wheel. Timers only let go of
//! memory early; whether a packet still belongs to a flow is decided to the nanosecond when it comes.
//!
//! Flows that begin one after the other have numbers one after the other, and come up together: so what is filed is a
//! few bits for each run of numbers, and not a number for each flow.

use crate::time::{SECOND, Timestamp};

/// One tick, in nanoseconds.
const TICK: u64 = 8 * SECOND;
/// Ticks that one turn takes; what is due later is looked at once a turn.
const SLOTS: u64 = 64;

/// Which of 32 numbers, from a multiple of 32 on, come up.
#[derive(Clone, Copy, Debug)]
struct Run {
    base: u32,
    marks: u32,
}

impl Run {
    /// What `number` alone is.
    fn of(number: u32) -> Self {
        Run { base: number & !31, marks: 1 << (number & 31) }
    }

    /// The numbers, the lowest first.
    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u32::BITS).filter(move |bit| self.marks >> bit & 1 != 0).map(move |bit| self.base | bit)
    }
}

/// A wheel of flow numbers.
#[derive(Clone, Debug)]
pub struct Wheel {
    slots: Vec<Vec<Run>>,
    /// The last tick that was dealt with.
    at: Option<u64>,
    /// When the next one begins.
    next: Timestamp,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel { slots: (0..SLOTS).map(|_| Vec::new()).collect(), at: None, next: Timestamp::default() }
    }
}

impl Wheel {
    /// Files `number` to come up at `due`, or a little later.
    pub fn file(&mut self, number: u32, due: Timestamp, now: Timestamp) {
        let now = self.at.unwrap_or(now.0 / TICK);
        let tick = (due.0 / TICK).clamp(now.saturating_add(1), now.saturating_add(SLOTS.wrapping_sub(1)));
        if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
            let run = Run::of(number);
            match slot.last_mut() {
                Some(last) if last.base == run.base => last.marks |= run.marks,
                _ => slot.push(run),
            }
        }
    }

    /// Whether time has come to a new tick since the last [`Wheel::turn`].
    #[inline(always)]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next
    }

    /// Moves time on to `now` and gives what comes up. Each number is to be filed again if it is not at its end.
    pub fn turn(&mut self, now: Timestamp, due: &mut Vec<u32>) {
        let now = now.0 / TICK;
        let steps = match self.at {
            None => SLOTS,
            Some(at) if now <= at => return,
            Some(at) => now.saturating_sub(at).min(SLOTS),
        };
        // the last `steps` ticks up to now: all of the wheel if it has not turned for longer
        for back in 0..steps {
            if let Some(slot) = self.slots.get_mut((now.wrapping_sub(back) % SLOTS) as usize) {
                due.extend(slot.drain(..).flat_map(Run::numbers));
            }
        }
        self.at = Some(now);
        self.next = Timestamp(now.saturating_add(1).saturating_mul(TICK));
    }

    /// Lets go of all that is filed.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| *slot = Vec::new());
    }

    /// Sets time back to `now`: whatever is filed comes up within one turn from there.
    pub fn set_back(&mut self, now: Timestamp) {
        let tick = now.0 / TICK;
        if self.at.is_some_and(|at| tick < at) {
            self.at = Some(tick);
            self.next = Timestamp(tick.saturating_add(1).saturating_mul(TICK));
        }
    }

    /// Bytes of memory that the wheel holds.
    pub fn memory(&self) -> usize {
        self.slots.iter().map(|s| s.capacity().saturating_mul(size_of::<Run>()).saturating_add(24)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_up_at_its_tick_and_after_any_gap() {
        let at = |s: u64| Timestamp(s * TICK);
        let mut wheel = Wheel::default();
        let mut due = Vec::new();
        wheel.turn(at(1000), &mut due);
        wheel.file(1, at(1010), at(1000));
        wheel.file(2, at(5000), at(1000));
        wheel.turn(at(1009), &mut due);
        assert!(due.is_empty() && !wheel.is_due(at(1009)));
        wheel.turn(at(1010), &mut due);
        assert_eq!(due, [1]);
        due.clear();
        wheel.turn(at(39_420_000), &mut due);
        assert_eq!(due, [2]);
        due.clear();
        wheel.file(3, at(39_420_005), at(39_420_000));
        wheel.set_back(at(50));
        wheel.turn(at(50 + SLOTS), &mut due);
        assert_eq!(due, [3]);
    }

    #[test]
    fn every_number_comes_up_once_and_those_side_by_side_take_no_room() {
        let (now, later) = (Timestamp(0), Timestamp(5 * TICK));
        let mut wheel = Wheel::default();
        let mut due = Vec::new();
        wheel.turn(now, &mut due);
        let empty = wheel.memory();
        (0..64_000).filter(|number| number % 3 != 0).for_each(|number| wheel.file(number, later, now));
        assert!(wheel.memory() - empty <= 64_000 / 32 * 8 * 2, "{}", wheel.memory() - empty);
        [u32::MAX, 40, 7, 39, 7].into_iter().for_each(|number| wheel.file(number, later, now));
        wheel.turn(later, &mut due);
        let side_by_side: Vec<u32> = (0..64_000).filter(|number| number % 3 != 0).collect();
        assert_eq!(due, [&side_by_side[..], &[u32::MAX, 40, 7, 39, 7]].concat());
    }
}
