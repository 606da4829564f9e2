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
    /// Something came back on one of them.
    pub answered: bool,
}

impl Way {
    /// The mean payload rate from the first packet to the last, in bits per second.
    pub fn mean(&self) -> f64 {
        let seconds = seconds(self.last.since(self.first));
        if seconds > 0.0 { self.payload as f64 * 8.0 / seconds } else { 0.0 }
    }

    fn add(&mut self, flow: &Light, held: bool, fault: Option<usize>) {
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
        self.held += u64::from(held);
        self.at_fault += u64::from(fault.is_some());
        self.fault = self.fault.into_iter().chain(fault).min();
        self.answered |= flow.pkts.iter().all(|frames| *frames > 0);
    }
}

/// What the flows of each of [`METHODS`] come to; `fault` gives the place of the gravest claim of a fault that cites a
/// flow.
pub fn ways(
    flows: &[Light],
    is_held: impl Fn(u64) -> bool,
    fault: impl Fn(u64) -> Option<usize>,
) -> [Way; METHODS.len()] {
    let mut ways: [Way; METHODS.len()] = Default::default();
    for flow in flows {
        if let Some(way) = METHODS.iter().position(|m| *m == flow.class).and_then(|at| ways.get_mut(at)) {
            way.add(flow, is_held(flow.id), fault(flow.id));
        }
    }
    ways
}
