//! Whether a box has held bytes: what went in waited, and what came out meanwhile was next to nothing.
//!
//! Amounts on both sides of a proxy are never quite the same: heads change, TLS and chunks take more or less. So a hold
//! is not a difference of sums, which would grow with any stream, but a stretch of time in which nothing to speak of
//! came out though much had gone in, and long enough before its end.

use super::curve::{Curve, Step};
use crate::diagnose::settings::Legs as Settings;

/// A stretch in which bytes were held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hold {
    /// When the first of them went in, and in which frame.
    pub from: Step,
    /// When it ended: with the first bytes to speak of that came out, or with all that is known.
    pub until: f64,
    /// Bytes that went in.
    pub put_in: f64,
    /// Bytes that came out meanwhile.
    pub come_out: f64,
    /// What came out at last, if the most of it did: when, and in which frame.
    pub released: Option<Step>,
}

/// The first hold of what `put_in` shows to go in and `come_out` to come out, from `within[0]` to `within[1]`. `doubt`
/// is how far the two curves' times may be apart.
pub fn find(put_in: &Curve, come_out: &Curve, within: [f64; 2], doubt: f64, settings: &Settings) -> Option<Hold> {
    let [begin, end] = within;
    let put_in = put_in.within(begin, end);
    let weighed = weigh(&put_in);
    let margin = settings.margin_seconds + doubt;
    for from in put_in.steps() {
        let before = put_in.by(from.at) - step_bytes(&put_in, from);
        let base = come_out.by(from.at - margin);
        let mut lasts = settings.held_seconds + doubt;
        while from.at + lasts <= end {
            let until = from.at + lasts;
            let held = put_in.by(until) - before;
            // how long each byte has waited, on the whole: what has just come in has not been held
            let waits = until * held - weighed.between(from.at, until);
            let long = waits >= settings.waited_share * lasts * held;
            if held >= settings.held_bytes && long && come_out.by(until) - base < settings.passed_share * held {
                return Some(measure(&put_in, come_out, [from.at, until, end], before, base, settings));
            }
            lasts *= LONGER;
        }
    }
    None
}

/// Each stretch that is looked at is so many times longer than the one before.
const LONGER: f64 = 1.5;

/// Bytes times the moments at which they came, added up.
struct Weighed(Vec<(f64, f64)>);

impl Weighed {
    /// Of what came from `from` on, until `until`.
    fn between(&self, from: f64, until: f64) -> f64 {
        let by = |upto: usize| upto.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0.0, |(_, sum)| *sum);
        by(self.0.partition_point(|(at, _)| *at <= until)) - by(self.0.partition_point(|(at, _)| *at < from))
    }
}

fn weigh(curve: &Curve) -> Weighed {
    let (mut before, mut sum) = (0.0, 0.0);
    let weighed = curve.steps().iter().map(|step| {
        sum += (step.bytes - before) * step.at;
        before = step.bytes;
        (step.at, sum)
    });
    Weighed(weighed.collect())
}

/// The bytes of one step.
fn step_bytes(curve: &Curve, step: &Step) -> f64 {
    let before = curve.steps().partition_point(|other| other.at < step.at);
    let earlier = before.checked_sub(1).and_then(|at| curve.steps().get(at)).map_or(0.0, |s| s.bytes);
    curve.by(step.at) - earlier
}

/// A hold that begins at `from`, where `before` bytes had gone in and `base` come out, and lasts until `proved` at
/// least.
fn measure(put_in: &Curve, come_out: &Curve, within: [f64; 3], before: f64, base: f64, settings: &Settings) -> Hold {
    let [from, proved, end] = within;
    let inside = |at: f64| put_in.by(at) - before;
    let outside = |at: f64| come_out.by(at) - base;
    let mut after = come_out.steps().iter().filter(|step| step.at > from && step.at <= end);
    // what comes out before is too little on the whole, however much it is of what had gone in by then: a first block
    // may pass, and nothing behind it
    let ended = after.find(|step| {
        step.at > proved && step.bytes - base >= settings.passed_share * inside(step.at).max(settings.held_bytes)
    });
    let until = ended.map_or(end, |step| step.at);
    let last_before = come_out.steps().iter().rfind(|step| step.at < until).map_or(base, |step| step.bytes.max(base));
    let leaked = last_before - base;
    let first = put_in.reaches(before + leaked + 1.0).or_else(|| put_in.after(from));
    let from = first.unwrap_or(Step { at: from, bytes: before, frame: 0 });
    let held = inside(until);
    let released = ended.copied().filter(|_| outside(end) >= settings.released_share * held);
    Hold { from, until, put_in: held, come_out: leaked, released }
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;
    use crate::diagnose::rules::Rules;

    fn found(put_in: &[(f64, f64)], come_out: &[(f64, f64)], end: f64, doubt: f64) -> Option<Hold> {
        let rules = Rules::embedded().unwrap();
        find(&curve(put_in), &curve(come_out), [0.0, end], doubt, &rules.settings.legs)
    }

    /// A stream of so many bytes a second, in pieces of a tenth.
    fn stream(from: f64, until: f64, rate: f64, late: f64) -> Vec<(f64, f64)> {
        let pieces = ((until - from) * 10.0) as usize;
        (0..pieces).map(|n| (from + n as f64 / 10.0 + late, rate / 10.0)).collect()
    }

    #[test]
    fn what_passes_is_not_held_however_amounts_differ() {
        let put_in = stream(1.0, 600.0, 100_000.0, 0.0);
        for (share, late) in [(1.0, 0.001), (0.9, 0.5), (1.1, 3.0), (0.95, 6.0), (1.0, -0.5)] {
            assert_eq!(
                found(&put_in, &stream(1.0, 600.0, 100_000.0 * share, late), 610.0, 0.0),
                None,
                "{share} {late}"
            );
        }
        // lumps of 64 kB
        let lumps: Vec<_> = (1..60).map(|n| (f64::from(n) * 6.4, 64_000.0)).collect();
        assert_eq!(found(&stream(0.1, 384.0, 10_000.0, 0.0), &lumps, 390.0, 0.0), None);
        // an upload at once, and silence; the clocks wrong by half a second
        assert_eq!(found(&[(5.0, 900_000.0)], &[(4.5, 900_000.0)], 60.0, 0.5), None);
        // a slow line behind a proxy that takes in all at once
        assert_eq!(found(&[(5.0, 2_000_000.0)], &stream(5.0, 125.0, 17_000.0, 0.1), 130.0, 0.0), None);
    }

    #[test]
    fn what_is_swallowed_held_or_dripped_is_found_with_its_bytes() {
        let put_in = stream(1.0, 30.0, 40_000.0, 0.0);
        let swallowed = found(&put_in, &[(1.1, 400.0)], 40.0, 0.0).unwrap();
        assert!((swallowed.from.at - 1.0).abs() < 0.3 && swallowed.until == 40.0, "{swallowed:?}");
        assert_eq!((swallowed.come_out, swallowed.released), (400.0, None));
        assert!((swallowed.put_in - 1_160_000.0).abs() < 1.0, "{swallowed:?}");
        let mut late = vec![(1.1, 400.0), (16.0, 600_000.0)];
        late.extend(stream(16.1, 30.1, 40_000.0, 0.0));
        let held = found(&put_in, &late, 40.0, 0.0).unwrap();
        assert_eq!((held.until, held.released.map(|s| s.at)), (16.0, Some(16.0)));
        let drips: Vec<_> = (0..6).map(|n| (2.0 + f64::from(n) * 5.0, 200.0)).collect();
        let dripped = found(&put_in, &drips, 40.0, 0.0).unwrap();
        assert_eq!((dripped.until, dripped.released), (40.0, None));
        // a first block passes, more than a small part of what had gone in by then, and nothing behind it
        let first = found(&put_in, &[(1.1, 400.0), (1.9, 12_000.0)], 40.0, 0.0).unwrap();
        assert!((first.until, first.come_out, first.released) == (40.0, 12_400.0, None), "{first:?}");
        // in the middle of a stream that had passed
        let mut stops = stream(1.0, 100.0, 40_000.0, 0.01);
        stops.retain(|(at, _)| *at < 50.0);
        let later = found(&stream(1.0, 100.0, 40_000.0, 0.0), &stops, 100.0, 0.0).unwrap();
        assert!((later.from.at - 50.0).abs() < 2.0, "{later:?}");
    }

    #[test]
    fn too_little_or_too_short_is_not_judged() {
        assert_eq!(found(&stream(1.0, 8.0, 40_000.0, 0.0), &[], 8.9, 0.0), None);
        assert_eq!(found(&stream(1.0, 90.0, 500.0, 0.0), &[], 100.0, 0.0), None);
        assert!(found(&stream(1.0, 9.0, 40_000.0, 0.0), &[], 20.0, 0.0).is_some());
        // all of it has just come in
        assert_eq!(found(&[(1.0, 100.0), (10.9, 900_000.0)], &[(1.0, 100.0), (12.0, 900_000.0)], 30.0, 0.0), None);
        assert_eq!(found(&stream(1.0, 9.0, 40_000.0, 0.0), &[], 20.0, 12.0), None);
    }
}
