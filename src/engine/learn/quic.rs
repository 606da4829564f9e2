//! What QUIC tells of a connection besides its TLS hellos.

use super::{Context, Kind, Learner, NameAt, Quic, part, text};
use crate::flow::Flow;
use crate::inspect::quic;

impl Learner {
    /// QUIC of a flow, if there was any.
    pub fn quic_of(&self, flow: &Flow) -> Option<&Quic> {
        self.quic.get(self.parts.get(flow.learnt, Kind::Quic))
    }

    pub(super) fn quic(&mut self, cx: &mut Context<'_>, fact: &quic::Quic<'_>) {
        let (Some(quic), fresh) = part(&mut self.parts, &mut cx.flow.learnt, Kind::Quic, &mut self.quic, Quic::default)
        else {
            return;
        };
        self.counts.quic_flows = self.counts.quic_flows.wrapping_add(u64::from(fresh));
        match fact.version {
            0 => quic.negotiation = true,
            version => quic.version = version,
        }
        if self.records && quic.user_agent.is_none() {
            quic.user_agent = fact.user_agent.and_then(text);
        }
        if let Some(sni) = fact.sni {
            cx.came_from_originator();
            let name = self.strings.keep_bytes(sni);
            self.name_quic(cx, Some(name));
        }
    }

    /// Keeps the name that a hello asks for, if it is the flow's first. That QUIC is spoken has been told before.
    pub(super) fn name_quic(&mut self, cx: &mut Context<'_>, name: Option<u32>) {
        let quic = self.quic.get_mut(self.parts.get(cx.flow.learnt, Kind::Quic));
        if let (Some(quic @ Quic { sni: None, .. }), Some(name)) = (quic, name) {
            quic.sni = Some(NameAt { name, frame: cx.packet.frame });
            self.carried.push((cx.number, name));
        }
    }
}
