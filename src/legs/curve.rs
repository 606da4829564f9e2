//! Bytes over time, on the time of both captures.

use std::borrow::Borrow;

use crate::flow::trace::Line;
use crate::time::seconds;

/// One step of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When, in seconds.
    pub at: f64,
    /// Bytes that have come by then.
    pub bytes: f64,
    /// The frame that brought the first of them.
    pub frame: u64,
}

/// Bytes that have come by a moment: in steps, never fewer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    steps: Vec<Step>,
}

impl Curve {
    /// Those of a line whose flow began at `begun`. Within a slot of the line nobody knows when its bytes came: with
    /// `late` they count from its end on, else from its beginning.
    pub fn of(line: &Line, begun: f64, late: bool) -> Curve {
        let more = if late { seconds(line.width()) } else { 0.0 };
        let step = |(since, moment): (u64, &crate::flow::trace::Moment)| Step {
            at: begun + seconds(since) + more,
            bytes: moment.bytes as f64,
            frame: moment.frame,
        };
        Curve { steps: line.moments().map(step).collect() }
    }

    /// Its steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// All its bytes.
    pub fn total(&self) -> f64 {
        self.steps.last().map_or(0.0, |last| last.bytes)
    }

    /// Bytes that have come by `at`.
    pub fn by(&self, at: f64) -> f64 {
        let upto = self.steps.partition_point(|step| step.at <= at);
        upto.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(0.0, |step| step.bytes)
    }

    /// When so many bytes had come.
    pub fn reaches(&self, bytes: f64) -> Option<Step> {
        let before = self.steps.partition_point(|step| step.bytes < bytes);
        self.steps.get(before).copied()
    }

    /// The first step after `at`.
    pub fn after(&self, at: f64) -> Option<Step> {
        let before = self.steps.partition_point(|step| step.at <= at);
        self.steps.get(before).copied()
    }

    /// Only what comes from `from` to `until`.
    pub fn within(&self, from: f64, until: f64) -> Curve {
        let before = self.by(from);
        let inside = self.steps.iter().filter(|step| step.at > from && step.at <= until);
        Curve { steps: inside.map(|step| Step { bytes: step.bytes - before, ..*step }).collect() }
    }

    /// Several curves as one.
    pub fn sum(curves: &[impl Borrow<Curve>]) -> Curve {
        if let [one] = curves {
            return one.borrow().clone();
        }
        let mut all: Vec<Step> = Vec::new();
        for curve in curves {
            let mut before = 0.0;
            for step in &curve.borrow().steps {
                all.push(Step { bytes: step.bytes - before, ..*step });
                before = step.bytes;
            }
        }
        all.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.frame.cmp(&b.frame)));
        let mut sum = 0.0;
        for step in &mut all {
            sum += step.bytes;
            step.bytes = sum;
        }
        Curve { steps: all }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A curve of bytes that come at moments.
    pub(in crate::legs) fn curve(pieces: &[(f64, f64)]) -> Curve {
        let mut sum = 0.0;
        let steps = pieces.iter().zip(1..).map(|((at, bytes), frame)| {
            sum += bytes;
            Step { at: *at, bytes: sum, frame }
        });
        Curve { steps: steps.collect() }
    }

    #[test]
    fn a_curve_is_read_at_any_moment() {
        let curve = curve(&[(1.0, 10.0), (2.0, 5.0), (4.0, 1.0)]);
        assert_eq!([0.9, 1.0, 3.9, 9.0].map(|at| curve.by(at)), [0.0, 10.0, 15.0, 16.0]);
        assert_eq!(curve.reaches(11.0).map(|s| (s.at, s.frame)), Some((2.0, 2)));
        assert_eq!((curve.reaches(17.0), curve.after(4.0)), (None, None));
        assert_eq!(curve.after(2.0).map(|s| s.at), Some(4.0));
        assert_eq!(curve.within(1.0, 3.0).steps(), [Step { at: 2.0, bytes: 5.0, frame: 2 }]);
    }

    #[test]
    fn curves_add_up() {
        let sum = Curve::sum(&[curve(&[(1.0, 10.0), (3.0, 5.0)]), curve(&[(2.0, 100.0)])]);
        let steps: Vec<_> = sum.steps().iter().map(|s| (s.at, s.bytes)).collect();
        assert_eq!(steps, [(1.0, 10.0), (2.0, 110.0), (3.0, 115.0)]);
        assert_eq!(Curve::sum(&[] as &[Curve]).total(), 0.0);
    }
}
