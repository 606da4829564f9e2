//! What became of DNS queries for names that are watched.

use super::{Context, Learner};
use crate::engine::learnt::Asked;
use crate::inspect::dns;

/// How many queries for watched names one shard keeps.
pub const MAX_ASKED: usize = 1 << 14;
/// How far back the query of a response is looked for.
const LOOK_BACK: usize = 256;
/// How many addresses of one answer are kept.
const MAX_ADDRESSES: usize = 8;
/// The port of unicast DNS (RFC 1035 §4.2).
const PORT: u16 = 53;

impl Learner {
    /// A question has come: keeps it, if its name is watched.
    pub(super) fn note_asked(&mut self, cx: &Context<'_>, id: u16, question: &dns::Question<'_>) {
        if cx.packet.dst_port != PORT || !self.is_watched(&question.name) {
            return;
        }
        let name = self.keep_name(&question.name);
        let (seen, packet) = (cx.seen(), cx.packet);
        let same = |a: &&mut Asked| {
            a.answer.is_none() && (a.flow, a.id, a.name, a.qtype) == (cx.number, id, name, question.qtype)
        };
        if let Some(again) = self.asked.iter_mut().rev().take(LOOK_BACK).find(same) {
            again.times = again.times.saturating_add(1);
            again.last = packet.ts;
        } else if self.asked.len() < MAX_ASKED {
            self.asked.push(Asked {
                flow: cx.number,
                client: packet.src,
                resolver: packet.dst,
                v6: packet.v6,
                name,
                qtype: question.qtype,
                id,
                first: seen,
                last: packet.ts,
                times: 1,
                answer: None,
                addresses: Default::default(),
                ttl: None,
            });
        }
    }

    /// Keeps what a response says of a watched name.
    pub(super) fn note_answered(&mut self, cx: &Context<'_>, message: &dns::Message<'_>, asked_for: &dns::Name<'_>) {
        if cx.packet.src_port != PORT || self.asked.is_empty() || !self.is_watched(asked_for) {
            return;
        }
        let name = self.keep_name(asked_for);
        let (seen, id) = (cx.seen(), message.id);
        let same = |a: &&mut Asked| a.answer.is_none() && (a.flow, a.id, a.name) == (cx.number, id, name);
        let Some(asked) = self.asked.iter_mut().rev().take(LOOK_BACK).find(same) else { return };
        asked.answer = Some((seen, message.rcode()));
        asked.addresses.extend(message.answers().filter_map(|record| record.address()).take(MAX_ADDRESSES));
        asked.ttl = message.answers().map(|record| record.ttl).min();
    }

    fn is_watched(&self, name: &dns::Name<'_>) -> bool {
        let Some(wire) = name.in_place() else { return false };
        let ends = wire.split_last().is_some_and(|(_, labels)| self.watch.may_cover_wire(labels));
        let mut buffer = [0; dns::NAME_MAX];
        ends && dns::plain_text(wire, &mut buffer).is_some_and(|name| self.watch.covers(name))
    }
}
