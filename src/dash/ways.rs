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
}

impl Way {
    /// The mean payload rate from the first packet to the last, in bits per second.
    pub fn mean(&self) -> f64 {
        let seconds = seconds(self.last.since(self.first));
        if seconds > 0.0 { self.payload as f64 * 8.0 / seconds } else { 0.0 }
    }

    fn add(&mut self, flow: &Light, held: bool) {
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
    }
}

/// What the flows of each of [`METHODS`] come to.
pub fn ways(flows: &[Light], is_held: impl Fn(u64) -> bool) -> [Way; METHODS.len()] {
    let mut ways: [Way; METHODS.len()] = Default::default();
    for flow in flows {
        if let Some(way) = METHODS.iter().position(|m| *m == flow.class).and_then(|at| ways.get_mut(at)) {
            way.add(flow, is_held(flow.id));
        }
    }
    ways
}
