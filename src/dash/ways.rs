//! What flows of each way to view come to.

use super::history::METHODS;
use crate::engine::light::Light;
use crate::filter::Asked;
use crate::time::{Timestamp, seconds};

/// What flows of one way come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Way {
    /// How many there are.
    pub flows: u64,
    /// The first packet of any.
    pub first: Timestamp,
    /// The last packet of any.
    pub last: Timestamp,
    /// The smallest round trip, in seconds.
    pub rtt: Option<f64>,
    /// Segments that TCP sent again.
    pub sent_again: u64,
    /// Frames.
    pub frames: u64,
    /// Payload bytes, both ways.
    pub payload: u64,
    /// How many are held back.
    pub held: u64,
    /// How many a claim of a fault cites.
    pub at_fault: u64,
    /// The gravest of these claims, by its place among the findings.
    pub fault: Option<usize>,
    /// How many belong to an attempt by this way that failed.
    pub failed: u64,
    /// Something was said on one of them, and answered.
    pub answered: bool,
}

/// What was found of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// It is held back.
    pub held: bool,
    /// The gravest claim of a fault that cites it, by its place among the findings.
    pub fault: Option<usize>,
    /// It belongs to an attempt that failed.
    pub failed: bool,
}

impl Way {
    /// The mean payload rate from the first packet to the last, in bits per second.
    pub fn mean(&self) -> f64 {
        let seconds = seconds(self.last.since(self.first));
        if seconds > 0.0 { self.payload as f64 * 8.0 / seconds } else { 0.0 }
    }

    fn add(&mut self, flow: &Light, found: Found) {
        self.first = if self.flows == 0 { flow.first } else { self.first.min(flow.first) };
        self.last = self.last.max(flow.last);
        self.flows += 1;
        self.rtt = match (self.rtt, flow.rtt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.sent_again = self.sent_again.saturating_add(flow.retransmissions.unwrap_or(0));
        self.frames = self.frames.saturating_add(flow.packets());
        self.payload = self.payload.saturating_add(flow.payload());
        self.held += u64::from(found.held);
        self.at_fault += u64::from(found.fault.is_some());
        self.fault = self.fault.into_iter().chain(found.fault).min();
        self.failed += u64::from(found.failed);
        self.answered |= flow.payload.iter().all(|bytes| *bytes > 0);
    }
}

/// What the flows of each of [`METHODS`] come to; `found` tells what was found of a flow.
pub fn ways(flows: &[Light], found: impl Fn(u64) -> Found) -> [Way; METHODS.len()] {
    let mut ways: [Way; METHODS.len()] = Default::default();
    for flow in flows {
        if let Some(way) = METHODS.iter().position(|m| *m == flow.class).and_then(|at| ways.get_mut(at)) {
            way.add(flow, found(flow.id));
        }
    }
    ways
}
