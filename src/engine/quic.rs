//! QUIC connections of a shard, while their hellos are still to come.

use super::learn::{Context, Learner};
use super::parts::{Kind, Parts};
use crate::flow::{Flow, slab::Slab};
use crate::inspect::quic::{Outcome, QuicState};

/// How many connections of a shard are followed at a time; of others only a hello in one datagram is read.
const MAX_OPEN: usize = 4096;
/// The most bytes that they hold back for hellos in pieces.
const MAX_HELD: usize = 4 << 20;

/// The connections under way. A UDP flow has its place here by [`Kind::Reading`].
#[derive(Clone, Debug, Default)]
pub struct Connections {
    states: Slab<QuicState>,
    open: usize,
    held: usize,
    /// Room for one opened packet.
    scratch: Vec<u8>,
}

impl Connections {
    /// Takes a datagram of a flow that may be, or is, QUIC.
    pub fn inspect(&mut self, cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> Outcome {
        let second = cx.second;
        let number = learner.parts.get(cx.flow.learnt, Kind::Reading);
        let Some(state) = self.states.get_mut(number) else { return self.begin(cx, payload, learner) };
        let before = state.memory();
        let outcome = state.inspect(second, payload, &mut self.scratch, &mut |fact| learner.learn(cx, fact));
        self.held = self.held.saturating_sub(before).saturating_add(state.memory());
        if outcome != Outcome::More || self.held > MAX_HELD {
            self.release(cx.flow, &mut learner.parts);
        }
        outcome
    }

    fn begin(&mut self, cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> Outcome {
        let mut state = QuicState::new();
        let outcome = state.inspect(cx.second, payload, &mut self.scratch, &mut |fact| learner.learn(cx, fact));
        let held = self.held.saturating_add(state.memory());
        if outcome == Outcome::More && self.open < MAX_OPEN && held <= MAX_HELD {
            self.held = held;
            self.open = self.open.saturating_add(1);
            learner.parts.add(&mut cx.flow.learnt, Kind::Reading, self.states.insert(state));
        }
        outcome
    }

    /// Nothing more comes on a flow: what is known of its hello is told, and let go.
    pub fn close(&mut self, cx: &mut Context<'_>, learner: &mut Learner) {
        if let Some(state) = self.states.get_mut(learner.parts.get(cx.flow.learnt, Kind::Reading)) {
            let before = state.memory();
            state.cut_short(&mut |fact| learner.learn(cx, fact));
            self.held = self.held.saturating_sub(before).saturating_add(state.memory());
        }
        self.release(cx.flow, &mut learner.parts);
    }

    fn release(&mut self, flow: &mut Flow, parts: &mut Parts) {
        let number = parts.get(flow.learnt, Kind::Reading);
        if let Some(state) = self.states.get_mut(number) {
            self.held = self.held.saturating_sub(state.memory());
            *state = QuicState::new();
            self.states.release(number);
            self.open = self.open.saturating_sub(1);
        }
        parts.remove(&mut flow.learnt, Kind::Reading);
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.states.memory().saturating_add(self.held).saturating_add(self.scratch.capacity())
    }
}
