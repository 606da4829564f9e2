//! How fast each way to view has carried video, second by second in packet time.

use std::collections::VecDeque;

use crate::event::Class;
use crate::time::{SECOND, Timestamp};

/// The ways to view, and storage, in the order in which they are shown.
pub const METHODS: [Class; 5] = [Class::Relay, Class::P2p, Class::Lsf, Class::Direct, Class::S3];

/// How many samples are kept.
const SAMPLES: usize = 240;

/// Payload bytes of each of [`METHODS`] at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: Timestamp,
    total: [u64; METHODS.len()],
}

/// The latest samples.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
}

impl History {
    /// Notes how many payload bytes each way has carried until `at`. A moment before the last one begins anew.
    pub fn note(&mut self, at: Timestamp, total: [u64; METHODS.len()]) {
        match self.samples.back_mut() {
            Some(last) if at < last.at => self.samples.clear(),
            Some(last) if at.since(last.at) < SECOND / 2 => {
                *last = Sample { at: last.at, total };
                return;
            }
            _ => {}
        }
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, total });
    }

    /// Forgets what came after a moment.
    pub fn cut(&mut self, now: Timestamp) {
        self.samples.retain(|sample| sample.at <= now);
    }

    /// The rate of a way in each of the last `count` seconds until `now`, the oldest first, in bits per second.
    pub fn rates(&self, method: usize, now: Timestamp, count: usize) -> Vec<f64> {
        let at = |back: usize| now.before((back as u64).saturating_mul(SECOND));
        let carried = |when: Timestamp| self.carried(method, when);
        (0..count).rev().map(|back| (carried(at(back)) - carried(at(back.saturating_add(1)))).max(0.0) * 8.0).collect()
    }

    /// Payload bytes until a moment, evenly between two samples.
    fn carried(&self, method: usize, when: Timestamp) -> f64 {
        let of = |sample: &Sample| sample.total.get(method).copied().unwrap_or(0) as f64;
        let behind = self.samples.partition_point(|sample| sample.at <= when);
        let before = behind.checked_sub(1).and_then(|n| self.samples.get(n));
        match (before, self.samples.get(behind)) {
            (Some(before), Some(after)) => {
                let share = when.since(before.at) as f64 / after.at.since(before.at).max(1) as f64;
                of(before) + (of(after) - of(before)) * share
            }
            (Some(before), None) => of(before),
            (None, Some(after)) => of(after),
            (None, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_second_by_second() {
        let mut history = History::default();
        for second in 0..10u64 {
            history.note(Timestamp(second * SECOND), [second * 1000, 0, 0, 0, 0]);
        }
        assert_eq!(history.rates(0, Timestamp(9 * SECOND), 3), [8000.0; 3]);
        assert_eq!(history.rates(1, Timestamp(9 * SECOND), 3), [0.0; 3]);
        assert_eq!(history.rates(0, Timestamp(11 * SECOND), 3), [8000.0, 0.0, 0.0]);
        history.note(Timestamp(SECOND), [0; 5]);
        assert_eq!(history.samples.len(), 1);
    }

    #[test]
    fn a_sparse_history_is_spread_evenly() {
        let mut history = History::default();
        history.note(Timestamp(0), [0; 5]);
        history.note(Timestamp(10 * SECOND), [10_000, 0, 0, 0, 0]);
        assert_eq!(history.rates(0, Timestamp(10 * SECOND), 2), [8000.0; 2]);
    }
}
