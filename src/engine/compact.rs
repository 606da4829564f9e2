//! Letting go: a shard is made anew of what is kept of it.
//!
//! While packets come, nothing is ever taken out: tables only grow, and are fast for it. Now and then all that is worth
//! keeping moves together, in its order, and the rest of the memory is given back. That costs a walk over what is kept,
//! and as it is only done once there is enough to let go, a packet's share of it is small.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::analysis::Analysis;
use super::learn::{Learner, MAX_ANSWERS, MAX_ASKED, thin};
use super::learnt::{Answer, Dns, Http, NameAt, Quic, Stun, Tls};
use super::parts::{KINDS, Kind, Parts};
use super::shard::{Shard, end};
use super::strings::OMITTED;
use crate::decode::Addr;
use crate::flow::slab::{Marks, Renumbered};
use crate::flow::{Flow, NONE, Table};
use crate::time::Timestamp;

/// What is kept.
#[derive(Clone, Copy)]
pub struct Keep<'k> {
    /// Whether a flow is kept.
    pub flow: &'k dyn Fn(&Flow) -> bool,
    /// All answers of DNS since then are kept.
    pub answers: Timestamp,
    /// Of those before, the newest of each client and name since then.
    pub names: Timestamp,
    /// The most addresses that answers may keep in a shard; the newest stay.
    pub room: usize,
}

impl Analysis {
    /// Lets go of what is not kept. What flows that go add to the run's sums stays.
    pub(super) fn compact(&mut self, keep: &Keep<'_>) {
        let (sums, count) = &mut self.gone;
        for shard in &mut self.shards {
            let gone = shard.table.flows().filter(|(_, flow)| !(keep.flow)(flow));
            for (_, flow) in gone {
                sums.add(&shard.table, flow);
                *count = count.saturating_add(1);
            }
            shard.compact(keep);
        }
    }
}

impl Shard {
    fn compact(&mut self, keep: &Keep<'_>) {
        let Shard { table, learner, streams, piecewise, .. } = self;
        for (number, flow) in table.flows_mut().filter(|(_, flow)| !(keep.flow)(flow)) {
            end(flow, number, streams, piecewise, learner);
        }
        let numbers = table.compact(|_, flow| (keep.flow)(flow));
        learner.compact(table, &numbers, keep);
    }
}

impl Learner {
    /// Keeps what the flows of `table` have told, which had other numbers before, and the names that are kept.
    fn compact(&mut self, table: &mut Table, numbers: &Renumbered, keep: &Keep<'_>) {
        self.compact_parts(table);
        self.carried.retain_mut(|(flow, _)| renumber(flow, numbers));
        self.asked.retain_mut(|asked| renumber(&mut asked.flow, numbers));
        thin(&mut self.asked, MAX_ASKED / 2);
        self.compact_answers(keep);
        self.compact_names();
        self.carried.shrink_to_fit();
        self.asked.shrink_to_fit();
    }

    fn compact_parts(&mut self, table: &mut Table) {
        let words: Vec<u32> = table.flows().map(|(_, flow)| flow.learnt).filter(|word| *word != NONE).collect();
        let marks = |kind: Kind, len: usize| {
            let mut marks = Marks::new(len);
            words.iter().for_each(|word| marks.mark(self.parts.get(*word, kind)));
            marks
        };
        let (tls, http) = (marks(Kind::Tls, self.tls.len()), marks(Kind::Http, self.http.len()));
        let (dns, stun) = (marks(Kind::Dns, self.dns.len()), marks(Kind::Stun, self.stun.len()));
        let (media, icmp) = (marks(Kind::Media, self.media.len()), marks(Kind::Icmp, self.icmp.len()));
        let (ntp, quic) = (marks(Kind::Ntp, self.ntp.len()), marks(Kind::Quic, self.quic.len()));
        let proxied = marks(Kind::Proxied, self.proxied.len());
        let message = marks(Kind::Message, self.messages.len());
        let router = marks(Kind::Router, self.routers.len());
        // in the order of the kinds
        let renumbered: [Renumbered; KINDS - 1] = [
            self.tls.compact(|n| tls.has(n)),
            self.http.compact(|n| http.has(n)),
            self.dns.compact(|n| dns.has(n)),
            self.stun.compact(|n| stun.has(n)),
            self.media.compact(|n| media.has(n)),
            self.icmp.compact(|n| icmp.has(n)),
            self.ntp.compact(|n| ntp.has(n)),
            self.quic.compact(|n| quic.has(n)),
            self.proxied.compact(|n| proxied.has(n)),
            self.messages.compact(|n| message.has(n)),
            self.routers.compact(|n| router.has(n)),
        ];
        let before = std::mem::take(&mut self.parts);
        for (_, flow) in table.flows_mut().filter(|(_, flow)| flow.learnt != NONE) {
            flow.learnt = moved(flow.learnt, &before, &mut self.parts, &renumbered);
        }
    }

    fn compact_answers(&mut self, keep: &Keep<'_>) {
        let mut newest: HashMap<(Addr, u32), u64, RandomState> = HashMap::default();
        for (answer, told) in self.told() {
            newest.insert((told.client, answer.name), answer.frame);
        }
        let is_newest = |client, name, frame| newest.get(&(client, name)).is_some_and(|newest: &u64| *newest == frame);
        let kept =
            |a: &Answer, client| a.ts >= keep.answers || a.ts >= keep.names && is_newest(client, a.name, a.frame);
        let mut room = keep.room.min(MAX_ANSWERS / 2);
        let mut marks = Marks::of(&self.answers);
        let told = self.told().zip(0u32..).filter(|((answer, told), _)| kept(answer, told.client));
        let all: Vec<(u32, usize)> = told.map(|((_, told), number)| (number, told.count())).collect();
        for (number, count) in all.into_iter().rev() {
            let Some(left) = room.checked_sub(count) else { break };
            room = left;
            marks.mark(number);
        }
        self.answers.compact(|number| marks.has(number));
        let before = std::mem::take(&mut self.addresses);
        for (_, answer) in self.answers.iter_mut() {
            self.addresses.move_in(answer, &before);
        }
    }

    fn compact_names(&mut self) {
        let mut kept = self.strings.marks();
        self.each_name(&mut |name| kept.mark(*name));
        let renumbered = self.strings.compact(&kept);
        self.each_name(&mut |name| {
            let now = renumbered.of(*name);
            *name = if now == NONE { OMITTED } else { now };
        });
    }

    /// Every place where the number of a name is kept.
    fn each_name(&mut self, take: &mut impl FnMut(&mut u32)) {
        self.tls.iter_mut().for_each(|(_, tls)| names_of_tls(tls, take));
        self.http.iter_mut().for_each(|(_, http)| names_of_http(http, take));
        self.dns.iter_mut().for_each(|(_, dns)| names_of_dns(dns, take));
        self.stun.iter_mut().for_each(|(_, stun)| names_of_stun(stun, take));
        self.quic.iter_mut().for_each(|(_, quic)| names_of_quic(quic, take));
        self.answers.iter_mut().for_each(|(_, answer)| take(&mut answer.name));
        self.asked.iter_mut().for_each(|asked| take(&mut asked.name));
        self.carried.iter_mut().for_each(|(_, name)| take(name));
    }
}

/// Gives a flow's number its new value. False: the flow is no longer there.
fn renumber(flow: &mut u32, numbers: &Renumbered) -> bool {
    *flow = numbers.of(*flow);
    *flow != NONE
}

/// The word of a flow's parts, after they have moved.
fn moved(word: u32, before: &Parts, parts: &mut Parts, renumbered: &[Renumbered; KINDS - 1]) -> u32 {
    let mut now = NONE;
    let told = Kind::TOLD.into_iter().zip(renumbered);
    let told = told.map(|(kind, numbers)| (kind, numbers.of(before.get(word, kind))));
    // what is being read stays where it is
    let reading = (Kind::Reading, before.get(word, Kind::Reading));
    for (kind, number) in told.chain([reading]).filter(|(_, number)| *number != NONE) {
        parts.add(&mut now, kind, number);
    }
    now
}

fn name_at(at: &mut Option<NameAt>, take: &mut impl FnMut(&mut u32)) {
    at.iter_mut().for_each(|at| take(&mut at.name));
}

fn names_of_tls(tls: &mut Tls, take: &mut impl FnMut(&mut u32)) {
    take(&mut tls.name);
    tls.detail.iter_mut().for_each(|detail| name_at(&mut detail.host, take));
}

fn names_of_quic(quic: &mut Quic, take: &mut impl FnMut(&mut u32)) {
    name_at(&mut quic.sni, take);
}

fn names_of_http(http: &mut Http, take: &mut impl FnMut(&mut u32)) {
    name_at(&mut http.host, take);
    http.authority.iter_mut().for_each(|(at, _)| take(&mut at.name));
    for turn in &mut http.turns {
        take(&mut turn.via);
        take(&mut turn.server);
    }
}

fn names_of_dns(dns: &mut Dns, take: &mut impl FnMut(&mut u32)) {
    let exchanges = dns.record_mut().into_iter().flat_map(|record| &mut record.list);
    exchanges.flat_map(|exchange| &mut exchange.qname).for_each(take);
}

fn names_of_stun(stun: &mut Stun, take: &mut impl FnMut(&mut u32)) {
    if let Some(detail) = &mut stun.detail {
        detail.username.iter_mut().chain(&mut detail.software).for_each(take);
    }
}
