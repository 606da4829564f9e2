//! Two captures, one truth: the same traffic on the inner and the outer side of a box.
//!
//! What is the same on both sides joins the flows ([`join`]); packets that passed the box show by how much one clock
//! is ahead of the other ([`offset`]); and then what went in is held against what came out ([`judge`]), which is the
//! only proof of a stall that there is ([`finding`]). All are pure functions over two [`Leg`]s. Times are seconds
//! since the inner capture's first frame, by its clock.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod curve;
pub mod finding;
pub mod hold;
pub mod join;
pub mod judge;
pub mod lag;
pub mod offset;
mod streams;
pub mod table;
#[cfg(test)]
mod tests;

use crate::diagnose::rules::Rules;
use crate::engine::leg::Leg;
use crate::event::{CaptureQuality, FindingRecord, JoinedFlow, LegsRecord};
use crate::time::{Timestamp, signed_seconds};

use join::Joined;
use offset::Clock;

/// What two captures have shown.
#[derive(Debug)]
pub struct Comparison {
    /// The captures, their clocks, and how many flows were joined.
    pub summary: LegsRecord,
    /// Every flow that was joined, or should have been.
    pub flows: Vec<JoinedFlow>,
    /// What was found wrong, the gravest first.
    pub findings: Vec<FindingRecord>,
}

/// Two captures whose clocks are known against each other.
#[derive(Clone, Copy, Debug)]
pub struct Legs<'a> {
    /// The inner capture.
    pub lan: &'a Leg,
    /// The outer.
    pub wan: &'a Leg,
    /// Their clocks.
    pub clock: Clock,
}

impl Legs<'_> {
    /// A moment of the inner capture.
    pub fn lan_at(&self, ts: Timestamp) -> f64 {
        signed_seconds(ts.ahead_of(self.lan.first))
    }

    /// A moment of the outer capture.
    pub fn wan_at(&self, ts: Timestamp) -> f64 {
        signed_seconds(ts.ahead_of(self.lan.first)) - self.clock.ahead
    }

    /// What the inner capture's clock says then.
    pub fn lan_stamp(&self, at: f64) -> Timestamp {
        moved(self.lan.first, at)
    }

    /// What the outer capture's clock says then.
    pub fn wan_stamp(&self, at: f64) -> Timestamp {
        moved(self.lan.first, at + self.clock.ahead)
    }

    /// The time that both captures cover; it ends before it begins where there is none.
    pub fn overlap(&self) -> [f64; 2] {
        let [lan, wan] = [
            [self.lan.first, self.lan.last].map(|ts| self.lan_at(ts)),
            [self.wan.first, self.wan.last].map(|ts| self.wan_at(ts)),
        ];
        let ([lan_first, lan_last], [wan_first, wan_last]) = (lan, wan);
        [lan_first.max(wan_first), lan_last.min(wan_last)]
    }
}

fn moved(from: Timestamp, by: f64) -> Timestamp {
    let nanos = (by.abs() * 1e9) as u64;
    if by < 0.0 { from.before(nanos) } else { from.after(nanos) }
}

/// Compares two captures. `quality` is what each is worth, the inner one's first.
pub fn compare(lan: &Leg, wan: &Leg, quality: [&CaptureQuality; 2], rules: &Rules) -> Comparison {
    let settings = &rules.settings.legs;
    let clock = offset::estimate(lan, wan, settings);
    let joined = clock.map(|clock| {
        let legs = Legs { lan, wan, clock };
        (legs, join::join(&legs, settings))
    });
    let judged = joined.as_ref().map(|(legs, joined)| judge::judge(legs, joined, rules));
    let findings = match (&joined, &judged) {
        (Some((legs, _)), Some(judged)) => finding::findings(legs, judged, quality, rules),
        _ => Vec::new(),
    };
    let none = Joined::default();
    let (legs, joined) = joined.as_ref().map_or((None, &none), |(legs, joined)| (Some(legs), joined));
    Comparison {
        summary: table::summary(lan, wan, legs, joined, quality),
        flows: legs.map_or_else(Vec::new, |legs| table::flows(legs, joined, judged.as_deref().unwrap_or_default())),
        findings,
    }
}
