//! Puts flows down as cases, and brings up to date what was put down of them before: of a flow to which nothing
//! happened since, only what others have taught of it is looked up anew.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::choice::Choice;
use super::{Case, Cases, HttpCase, MAX_CASES, MediaCase, NtpCase, ResetCase, StunCase, TcpCase, TlsCase, TroubleCase};
use super::{Direction, TurnCase};
use crate::classify::facts::FlowFacts;
use crate::classify::host::HostMatch;
use crate::classify::words::{Flags, Subs};
use crate::decode::{Addr, Packet};
use crate::engine::analysis::{Analysis, FlowView};
use crate::engine::learnt::tls as mark;
use crate::engine::learnt::{Seen, Turn};
use crate::engine::naming::{KnowledgeBase, Naming};
use crate::event::Class;
use crate::flow::key::shard_of;
use crate::flow::tcp::Tcp;
use crate::flow::trouble::Trouble;

impl Analysis {
    /// Puts down the flows of these hosts; `before`: what was put down of them last.
    pub(super) fn add_flows(
        &self,
        naming: &Naming<'_>,
        involved: &HashSet<IpAddr, RandomState>,
        before: Vec<Case>,
        cases: &mut Cases,
    ) {
        let (hosts, mut views) = (Arc::clone(&cases.hosts), Vec::with_capacity(before.len()));
        let shards = || 0..u32::try_from(self.shards.len()).unwrap_or(0);
        let is_of_them = |view: &FlowView<'_>| {
            (involved.contains(&view.orig.0) || involved.contains(&view.resp.0)) && view.dns().is_none()
        };
        let all = || shards().flat_map(|shard| self.views_with(shard, naming, &hosts)).filter(is_of_them);
        let mut choice =
            (self.len() > MAX_CASES && all().nth(MAX_CASES).is_some()).then(|| Choice::of(all(), MAX_CASES));
        for view in all() {
            if choice.as_mut().is_none_or(|choice| choice.takes(&view)) {
                views.push(((view.flow.first_frame(), view.id()), view));
            } else {
                cases.omitted = cases.omitted.saturating_add(1);
            }
        }
        views.sort_unstable_by_key(|(key, _)| *key);
        let order = |(key, _): &((u64, u64), FlowView<'_>), case: &Case| key.cmp(&case.key());
        let renew = |(_, view): (_, FlowView<'_>), case: &mut Case| view.renew(case, naming);
        cases.flows = again(before, views, order, |(_, view)| view.case(naming), renew);
        // two runs in order at the most, and most often one
        cases.flows.sort_by_key(Case::key);
    }
}

impl Analysis {
    /// Brings up to date what flows that go on have shown of themselves since they were put down, and adds those that
    /// were begun since by who had tried the same before. What others have taught of them since is not looked up. Gives
    /// the flows that are no longer known.
    pub fn refresh(&self, base: &KnowledgeBase, cases: &mut Cases) -> HashSet<u64, RandomState> {
        let (naming, mut gone) = (Naming::of_nothing(base), HashSet::default());
        let Cases { flows, index, .. } = cases;
        for case in flows.iter_mut().filter(|case| !case.is_over()) {
            match self.flow_of(case, &naming) {
                Some(view) if view.flow.stamp() != case.stamp => {
                    let now = view.own_case(&view.facts(), &naming);
                    let taught = std::mem::replace(case, now);
                    case.remember(taught);
                    index.renew(case);
                }
                Some(_) => {}
                None => _ = gone.insert(case.identity.flow_id),
            }
        }
        self.tries(&naming, cases).into_iter().for_each(|case| cases.append(case));
        cases.frames = self.totals.frames;
        gone
    }

    /// The flows that were begun since these cases were put down, to where the same viewer had been before, in order:
    /// what others have taught of the one before holds of them. A recorder's uploads are held against each other, all
    /// of them.
    fn tries(&self, naming: &Naming<'_>, cases: &Cases) -> Vec<Case> {
        let mut tries = Vec::new();
        for (shard, at) in self.shards.iter().zip(0u32..) {
            let came = shard.table.newest().take_while(|flow| flow.first_frame() > cases.frames);
            for flow in came.filter(|flow| shard.table.sides(flow).iter().any(|end| cases.hosts.contains(&end.addr))) {
                let view = FlowView::new(shard, at, flow, naming);
                let before = cases.last_to(view.orig.0, view.resp);
                let before = before.filter(|before| before.proto == flow.proto() && !before.recorders[0]);
                let Some(before) = before.filter(|_| view.dns().is_none()) else { continue };
                let mut case = view.own_case(&view.facts(), naming);
                case.remember(Case { icmp: None, ..before.clone() });
                tries.push(case);
            }
        }
        tries.sort_unstable_by_key(Case::key);
        tries.truncate(MAX_CASES.saturating_sub(cases.flows.len()));
        tries
    }

    /// The flow that was put down as that, if it is still known and no other has taken its place.
    fn flow_of<'a>(&'a self, case: &Case, naming: &'a Naming<'a>) -> Option<FlowView<'a>> {
        let [src, dst] = [case.orig.0, case.resp.0].map(Addr::from_ip);
        let [src_port, dst_port] = [case.orig.1, case.resp.1];
        let headers =
            Packet { src, dst, src_port, dst_port, proto: case.proto, v6: case.orig.0.is_ipv6(), ..Packet::default() };
        let at = shard_of(src, dst);
        let shard = self.shards.get(at)?;
        let flow = shard.table.flow(shard.table.lookup(&headers)?)?;
        (flow.first_frame() == case.first_frame).then(|| FlowView::new(shard, at as u32, flow, naming))
    }
}

/// What was put down `before`, brought up to date by what is there `now`, and behind it what is `fresh`; what is no
/// longer there is left out. Both are in the same order.
pub(super) fn again<T, N>(
    before: Vec<T>,
    now: Vec<N>,
    order: impl Fn(&N, &T) -> Ordering,
    fresh: impl Fn(N) -> T,
    renew: impl Fn(N, &mut T),
) -> Vec<T> {
    let (mut kept, mut more) = (before, Vec::new());
    let mut now = now.into_iter().peekable();
    kept.retain_mut(|known| {
        while let Some(one) = now.next_if(|one| order(one, known) == Ordering::Less) {
            more.push(fresh(one));
        }
        let same = now.next_if(|one| order(one, known) == Ordering::Equal);
        same.map(|one| renew(one, known)).is_some()
    });
    more.extend(now.map(fresh));
    kept.append(&mut more);
    kept
}

impl FlowView<'_> {
    /// What is known of this flow.
    pub(in crate::engine) fn case(&self, naming: &Naming<'_>) -> Case {
        let facts = self.facts();
        let mut case = self.own_case(&facts, naming);
        self.teach(&mut case, &facts, naming);
        case
    }

    /// Brings up to date what was known of this flow.
    fn renew(&self, case: &mut Case, naming: &Naming<'_>) {
        let facts = self.facts();
        if case.stamp != self.flow.stamp() {
            *case = self.own_case(&facts, naming);
        }
        self.teach(case, &facts, naming);
    }

    /// Puts down what others have taught of this flow.
    fn teach(&self, case: &mut Case, facts: &FlowFacts<'_>, naming: &Naming<'_>) {
        let verdict = self.verdict(facts);
        (case.class, case.subs, case.flags) = (verdict.class, verdict.subclass, verdict.flags);
        case.confidence = verdict.confidence_f64();
        if case.region.as_deref() != verdict.region.as_deref() {
            case.region = verdict.region.as_deref().map(str::to_owned);
        }
        case.via_proxy = verdict.via_proxy.map(|asked| asked.port);
        case.recorders = [self.orig.0, self.resp.0].map(|ip| naming.roles().role(ip).is_recorder());
        case.icmp = self.icmp();
        if !case.carried {
            case.call(self.told_name(facts, naming), naming);
        }
    }

    /// The name that DNS or the user told for the responder.
    fn told_name<'n>(&self, facts: &FlowFacts<'_>, naming: &'n Naming<'_>) -> Option<&'n str> {
        let known = naming.knowledge();
        let about = known.names.about(self.resp.0);
        let found = known.names.told(self.orig.0, &about, facts.start, facts.end, known.rules);
        let found = found.or_else(|| known.names.told_others(&about, facts.start, known.rules));
        found.map(|found| naming.names.name(found.name))
    }

    /// What the flow itself has shown.
    fn own_case(&self, facts: &FlowFacts<'_>, naming: &Naming<'_>) -> Case {
        let flow = self.flow;
        let mut case = Case {
            identity: self.identity(),
            first_frame: flow.first_frame(),
            last: flow.last,
            class: Class::Unknown,
            subs: Subs::NONE,
            flags: Flags::NONE,
            confidence: 0.0,
            region: None,
            carried: false,
            host: None,
            known: HostMatch::NONE,
            via_proxy: None,
            proto: flow.proto(),
            orig: self.orig,
            resp: self.resp,
            recorders: [false; 2],
            inside: [self.orig.0, self.resp.0].map(|ip| naming.base.site.inside(ip)),
            midstream: facts.midstream,
            one_sided: facts.one_sided,
            cut: facts.cut,
            established: facts.established,
            pkts: facts.pkts,
            bytes: facts.bytes,
            payload: facts.payload,
            duplicates: u64::from(self.counted().duplicates),
            ttl: flow.oriented(flow.ttl),
            vlan: self.shard.table.vlan(flow),
            icmp: None,
            tcp: self.connection().map(|tcp| self.tcp_case(&tcp)),
            tls: self.tls_case(),
            http: self.http_case(),
            stun: self.stun_case(),
            ntp: self.ntp().map(|ntp| NtpCase { client_ahead: ntp.client_ahead, server_ahead: ntp.server_ahead }),
            router: self.router().copied(),
            media: self.media().map(|media| MediaCase {
                dtls: media.dtls != 0,
                sctp: media.detail.as_ref().is_some_and(|d| d.sctp != 0),
                rtp: media.rtp,
                datagrams: media.datagrams,
                sent: flow.oriented(media.sent),
                last: flow.oriented(media.last),
            }),
            stamp: flow.stamp(),
        };
        if let Some(seen) = facts.carried() {
            case.carried = true;
            case.call(Some(&seen.name.to_ascii_lowercase()), naming);
        }
        case
    }

    fn direction(&self, second: bool) -> Direction {
        crate::engine::learn::direction(second, self.flow.flipped())
    }

    fn tcp_case(&self, tcp: &Tcp) -> TcpCase {
        let flow = self.flow;
        let begun = self.begun();
        let [first, other] = [0, 1].map(|side| tcp.bursts(side, begun));
        let by = |side: u8| self.direction(side == 1);
        let [begins, other_begins] = tcp.begins();
        let trouble = tcp.log.troubles().map_or([TroubleCase::default(); 2], |[first, other]| {
            [trouble(first, begins), trouble(other, other_begins)]
        });
        let rates = tcp.rates(begun, &self.naming.base.thresholds);
        TcpCase {
            state: tcp.conn_state(flow.flipped(), begun.payload != [0, 0]),
            rtt_min: tcp.rtt.min(),
            rtt_p25: tcp.rtt.p25(),
            rtt_p50: tcp.rtt.p50(),
            rtt_p95: tcp.rtt.p95(),
            fin_by: tcp.log.fin_by.map(by),
            rst_by: tcp.log.rst_by.map(by),
            reset: tcp.log.reset().map(|reset| ResetCase {
                seen: Seen { ts: reset.ts, frame: reset.frame },
                by: self.direction(reset.second),
                ttl: reset.ttl,
            }),
            mss: flow.oriented(tcp.mss()),
            trouble: flow.oriented(trouble),
            bursts: if flow.flipped() { [other, first] } else { [first, other] },
            turns: flow.oriented(tcp.turns()),
            spoke: tcp.spoke(usize::from(flow.flipped()), begun),
            unacknowledged: flow.oriented(tcp.unacknowledged()),
            video_windows: flow.oriented(rates.video),
        }
    }

    fn tls_case(&self) -> Option<TlsCase> {
        let tls = self.tls()?;
        // what only records have read tells nothing, or a verdict would depend on them
        let read = tls.has(mark::WATCHED) || tls.has(mark::SAMPLED);
        let detail = tls.detail.as_ref().filter(|_| read);
        let leaf = detail.and_then(|d| d.certificate.as_deref()).map(|known| &known.leaf);
        Some(TlsCase {
            hello_frame: tls.hello_frame,
            version: tls.version,
            cipher: tls.cipher,
            resumed: tls.has(mark::RESUMED),
            ech: tls.ech.may_hide_a_name(),
            dtls: tls.has(mark::DTLS),
            clear_keys: tls.has(mark::CLEAR_KEYS),
            h2: tls.has(mark::H2),
            alert: tls.alert.as_deref().map(|alert| (*alert, self.direction(alert.second))),
            flight: tls.flight.as_deref().copied(),
            issuer: leaf.map(|leaf| leaf.issuer.to_string()),
            subject: leaf.map(|leaf| leaf.subject.to_string()),
            valid: leaf.map(|leaf| [leaf.not_before, leaf.not_after]),
        })
    }

    fn http_case(&self) -> Option<HttpCase> {
        let http = self.http()?;
        let text = |name: u32| (name != 0).then(|| self.text(name).to_owned());
        let turn = |turn: &Turn| TurnCase { turn: *turn, via: text(turn.via), server: text(turn.server) };
        let turns = http.turns.iter().map(turn).collect();
        Some(HttpCase { turns, message_http: (http.message_http != 0).then_some(http.message_http) })
    }

    fn stun_case(&self) -> Option<StunCase> {
        let stun = self.stun()?;
        let mapped = stun.mapped.iter().map(|mapped| (mapped.told(), self.direction(mapped.side == 1)));
        Some(StunCase {
            frame: stun.frame,
            ice: stun.ice,
            turn: stun.turn || stun.channel_data > 0,
            requests: self.flow.oriented(stun.requests),
            success: self.flow.oriented(stun.success),
            last: self.flow.oriented(stun.last),
            mapped: mapped.collect(),
        })
    }
}

/// What went wrong with the data of a side whose first byte has the sequence number `begins`.
fn trouble(known: &Trouble, begins: Option<u32>) -> TroubleCase {
    let still = known.standstill.as_deref();
    TroubleCase {
        retransmissions: known.retransmissions,
        misplaced: known.misplaced,
        out_of_order: known.out_of_order,
        resent: known.resent,
        zero_windows: known.zero_windows,
        window_full: known.window_full,
        missed: known.missed,
        repeated: still.map(|s| s.repeated).unwrap_or_default(),
        repeated_at: still.zip(begins).map(|(s, begins)| s.repeated.seq.wrapping_sub(begins)),
        first_repeat: still.map(|s| s.first_repeat).unwrap_or_default(),
        last_repeat: still.map(|s| s.last_repeat).unwrap_or_default(),
        closed: still.map(|s| s.closed).unwrap_or_default(),
    }
}
