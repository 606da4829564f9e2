//! One of two captures of the same traffic: its flows, each with its trace, put down for the comparison.
//!
//! Pairs are by direction, the originator's first. Only a run that was asked for traces has them.

use super::analysis::{Analysis, FlowView};
use super::case::{Case, Direction, MAX_CASES};
use super::naming::Naming;
use crate::flow::trace::Side;
use crate::time::Timestamp;

/// How many questions of DNS are kept of one flow.
const QUESTIONS: usize = 8;

/// A capture, as one of two.
#[derive(Clone, Debug, Default)]
pub struct Leg {
    /// Its flows, in the order of their first frames.
    pub flows: Vec<LegFlow>,
    /// The first frame's time.
    pub first: Timestamp,
    /// The last frame's time.
    pub last: Timestamp,
    /// Flows that there was no room for.
    pub omitted: u64,
}

/// One flow of it.
#[derive(Clone, Debug)]
pub struct LegFlow {
    /// What is known of it.
    pub case: Case,
    /// What each side has shown.
    pub sides: [Side; 2],
    /// A digest of the random of its ClientHello, wherever in the flow that was; 0 is none.
    pub hello: u64,
    /// What it asked of DNS: names, in small letters, and types.
    pub questions: Vec<(String, u16)>,
}

impl LegFlow {
    /// What a side has shown.
    pub const fn side(&self, direction: Direction) -> &Side {
        let [orig, resp] = &self.sides;
        match direction {
            Direction::Orig => orig,
            Direction::Resp => resp,
        }
    }
}

impl Analysis {
    /// Puts all flows down for the comparison with another capture.
    pub fn leg(&self, naming: &Naming<'_>) -> Leg {
        let mut leg = Leg { first: self.totals.first.unwrap_or_default(), last: self.totals.last, ..Leg::default() };
        for at in self.in_order() {
            let Some(view) = self.view(at, naming) else { continue };
            if leg.flows.len() < MAX_CASES {
                leg.flows.extend(view.leg(at.number(), naming));
            } else {
                leg.omitted = leg.omitted.saturating_add(1);
            }
        }
        leg
    }
}

impl FlowView<'_> {
    fn leg(&self, number: u32, naming: &Naming<'_>) -> Option<LegFlow> {
        let trace = self.shard.traces.as_ref()?.get(number).cloned().unwrap_or_default();
        let [first, other] = trace.sides;
        let asked = self.dns().and_then(|dns| dns.record()).map(|kept| &kept.list[..]).unwrap_or_default();
        let question = |qname: Option<u32>, qtype: Option<u16>| Some((self.text(qname?).to_ascii_lowercase(), qtype?));
        Some(LegFlow {
            case: self.case(naming),
            sides: if self.flow.flipped() { [other, first] } else { [first, other] },
            hello: self.tls().and_then(|tls| tls.detail.as_ref()).map_or(0, |detail| detail.random),
            questions: asked.iter().take(QUESTIONS).filter_map(|e| question(e.qname, e.qtype)).collect(),
        })
    }
}
