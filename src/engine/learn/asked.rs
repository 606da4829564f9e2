//! What became of DNS queries for names that are watched.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Context, Learner};
use crate::decode::Addr;
use crate::engine::learnt::Asked;
use crate::inspect::dns;
use crate::time::MILLISECOND;

/// How many queries for watched names one shard keeps.
pub const MAX_ASKED: usize = 1 << 14;
/// How far back the query of a response is looked for.
const LOOK_BACK: usize = 256;
/// When there are so many, those who asked most make room until no more than these are left.
const ROOMY: usize = MAX_ASKED / 8 * 7;
/// How many addresses of one answer are kept.
const MAX_ADDRESSES: usize = 8;
/// How long before its question a mirror may show an answer, in nanoseconds.
const SHOWN_BEFORE: u64 = 10 * MILLISECOND;
/// The port of unicast DNS (RFC 1035 §4.2).
const PORT: u16 = 53;

impl Learner {
    /// A question has come: keeps it, if its name is watched.
    pub(super) fn note_asked(&mut self, cx: &Context<'_>, id: u16, question: &dns::Question<'_>) {
        if cx.packet.dst_port != PORT || !self.is_watched(&question.name) {
            return;
        }
        let name = self.keep_lower(&question.name);
        let (seen, packet) = (cx.seen(), cx.packet);
        let is_early = |a: &Asked| a.times == 0 && packet.ts.since(a.first.ts) <= SHOWN_BEFORE;
        let same = |a: &&mut Asked| {
            let waits = a.answer.is_none() || is_early(a);
            waits && (a.flow, a.id, a.name, a.qtype) == (cx.number, id, name, question.qtype)
        };
        if let Some(again) = self.asked.iter_mut().rev().take(LOOK_BACK).find(same) {
            if again.times == 0 {
                again.first = seen;
            }
            again.times = again.times.saturating_add(1);
            again.last = packet.ts;
        } else {
            let ends = (packet.src, packet.dst);
            self.keep_asked(Asked {
                times: 1,
                ..Asked::new(cx.number, ends, packet.v6, (id, name, question.qtype), seen)
            });
        }
    }

    fn keep_asked(&mut self, asked: Asked) {
        if self.asked.len() >= MAX_ASKED {
            let all = self.asked.len();
            thin(&mut self.asked, ROOMY);
            self.unasked = self.unasked.saturating_add(all.saturating_sub(self.asked.len()) as u64);
        }
        self.asked.push(asked);
    }

    /// Keeps what a response says of a watched name, whose question may come yet.
    pub(super) fn note_answered(&mut self, cx: &Context<'_>, message: &dns::Message<'_>, asked: &dns::Question<'_>) {
        if cx.packet.src_port != PORT || !self.is_watched(&asked.name) {
            return;
        }
        let name = self.keep_lower(&asked.name);
        let (seen, id, qtype) = (cx.seen(), message.id, asked.qtype);
        let same = |a: &Asked| a.answer.is_none() && (a.flow, a.id, a.name) == (cx.number, id, name);
        let back = self.asked.len().saturating_sub(LOOK_BACK);
        let known = self.asked.get(back..).unwrap_or_default().iter().rposition(same).map(|at| back.saturating_add(at));
        let at = known.unwrap_or_else(|| {
            let ends = (cx.packet.dst, cx.packet.src);
            self.keep_asked(Asked::new(cx.number, ends, cx.packet.v6, (id, name, qtype), seen));
            self.asked.len().saturating_sub(1)
        });
        let Some(asked) = self.asked.get_mut(at) else { return };
        asked.answer = Some((seen, message.rcode()));
        asked.addresses.extend(message.answers().filter_map(|record| record.address()).take(MAX_ADDRESSES));
        asked.ttl = message.answers().map(|record| record.ttl).min();
    }

    /// A number of a name in small letters: neither side need write it as the other does (RFC 4343 §3).
    fn keep_lower(&mut self, name: &dns::Name<'_>) -> u32 {
        self.scratch.clear();
        let _ = name.write_to(&mut self.scratch);
        self.scratch.make_ascii_lowercase();
        self.strings.keep(&self.scratch)
    }

    fn is_watched(&self, name: &dns::Name<'_>) -> bool {
        let Some(wire) = name.in_place() else { return false };
        let ends = wire.split_last().is_some_and(|(_, labels)| self.watch.may_cover_wire(labels));
        let mut buffer = [0; dns::NAME_MAX];
        ends && dns::plain_text(wire, &mut buffer).is_some_and(|name| self.watch.covers(name))
    }
}

/// Leaves so many questions at the most: of each client the newest, as many for each as there is room for. So who asks
/// for one made-up name after the other puts out nobody's questions but its own, and the newest is never the one that
/// goes.
pub fn thin(asked: &mut Vec<Asked>, room: usize) {
    let mut counts: HashMap<(Addr, bool), usize, RandomState> = HashMap::default();
    for one in asked.iter() {
        let count = counts.entry((one.client, one.v6)).or_default();
        *count = count.saturating_add(1);
    }
    let kept = |most: usize| counts.values().map(|count| (*count).min(most)).fold(0, usize::saturating_add);
    let (mut most, mut beyond) = (1, room.max(1));
    while most < beyond {
        let between = most.saturating_add(beyond).div_ceil(2);
        match kept(between) <= room {
            true => most = between,
            false => beyond = between.saturating_sub(1),
        }
    }
    // of too many clients the last ones stay
    let mut over = kept(most).saturating_sub(room);
    asked.retain(|one| {
        let left = counts.get_mut(&(one.client, one.v6));
        let is_new = left.is_some_and(|left| {
            let newest = *left <= most;
            *left = left.saturating_sub(1);
            newest
        });
        let stays = is_new && over == 0;
        over = over.saturating_sub(usize::from(is_new));
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::learnt::Seen;
    use crate::time::Timestamp;

    fn question(client: u8, n: u64) -> Asked {
        let ends = [[10, 0, 0, client], [10, 0, 1, 1]].map(|ip| Addr::from_ip(ip.into()));
        Asked { times: 1, ..Asked::new(0, ends.into(), false, (0, 1, 1), Seen { ts: Timestamp(n), frame: n }) }
    }

    #[test]
    fn who_asks_most_makes_room() {
        let mut asked: Vec<Asked> = (0..MAX_ASKED as u64).map(|n| question(u8::from(n % 100 == 0), n)).collect();
        let recorder = Addr::from_ip([10, 0, 0, 1].into());
        let own = |asked: &[Asked]| asked.iter().filter(|one| one.client == recorder).count();
        let before = own(&asked);
        thin(&mut asked, ROOMY);
        assert_eq!(own(&asked), before, "who has asked little keeps all");
        assert_eq!(asked.len(), ROOMY);
        assert_eq!(asked.last().map(|one| one.first.frame), Some(MAX_ASKED as u64 - 1), "the newest stay");
        assert!(asked.is_sorted_by_key(|one| one.first.frame));
    }

    #[test]
    fn of_very_many_that_ask_once_the_newest_stay() {
        let client = |n: u64| Addr::from_ip(std::net::IpAddr::from((0x0a00_0000 + n as u32).to_be_bytes()));
        let mut asked: Vec<Asked> =
            (0..MAX_ASKED as u64).map(|n| Asked { client: client(n), ..question(0, n) }).collect();
        thin(&mut asked, ROOMY);
        assert_eq!(asked.len(), ROOMY);
        assert_eq!(asked[0].first.frame, (MAX_ASKED - ROOMY) as u64);
    }
}
