//! What a whole capture has told, flow by flow.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::Hosts;
use super::front::Totals;
use super::hands::{Alone, Hands};
use super::learn::{Counts, Learner};
use super::learnt::tls as mark;
use super::learnt::{Dns, Http, Icmp, Media, NameAt, Ntp, Quic, Router, Spoken, Stun, Tls};
use super::naming::{KnowledgeBase, Naming};
use super::parts::Kind;
use super::shard::Shard;
use super::sums::{FlowSums, is_one_sided};
use crate::classify::decide::classify;
use crate::classify::facts::{Authority, FlowFacts, Rates, Seen, StunFacts};
use crate::classify::verdict::Verdict;
use crate::decode::{Addr, Undecoded, link_name, proto};
use crate::event::{CaptureQuality, FindingRecord, Stats};
use crate::filter::{Filter, Known};
use crate::flow::key::{community_id, fold};
use crate::flow::slab::Slab;
use crate::flow::tcp::{Begun, Tcp};
use crate::flow::{Counted, Flow, NONE};
use crate::inspect::haproxy::Ends;
use crate::inspect::message::Protocol;
use crate::short::Short;
use crate::time::Timestamp;

/// What a whole capture has told.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// What was seen of the capture as a whole.
    pub totals: Totals,
    /// The shards, with all flows.
    pub shards: Vec<Shard>,
    sums: FlowSums,
    /// Of flows that are no longer there: what they add to the sums, and how many they are.
    pub(super) gone: (FlowSums, u64),
}

/// A client and a server, of which the name is wanted that DNS told by that time.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Wanted {
    pub client: IpAddr,
    pub server: IpAddr,
    pub start: Timestamp,
}

/// Where a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowAt {
    first_frame: u64,
    pub(super) shard: u32,
    number: u32,
}

impl FlowAt {
    /// Its number in its shard.
    pub(super) const fn number(self) -> u32 {
        self.number
    }
}

impl Analysis {
    /// Puts together what the front and all shards have come to, each with what [`Shard::end`] gave.
    pub fn new(totals: Totals, ended: impl IntoIterator<Item = (Shard, FlowSums)>) -> Self {
        let (shards, sums): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let mut all = FlowSums::default();
        sums.iter().for_each(|sums| all.add_all(sums));
        Analysis { totals, sums: all, ..Analysis::begin(shards) }
    }

    /// Of shards that are yet to see their packets.
    pub(super) fn begin(shards: Vec<Shard>) -> Self {
        Analysis { totals: Totals::default(), shards, sums: FlowSums::default(), gone: Default::default() }
    }

    /// The capture has ended.
    pub(super) fn end(&mut self, totals: Totals) {
        let last = totals.last;
        self.take_stock(totals, |shard| shard.end(last));
    }

    /// Takes stock of all that was seen, after `each` was done to each shard.
    pub(super) fn take_stock(&mut self, totals: Totals, each: impl Fn(&mut Shard) -> FlowSums) {
        let mut sums = self.gone.0;
        self.shards.iter_mut().for_each(|shard| sums.add_all(&each(shard)));
        (self.totals, self.sums) = (totals, sums);
    }

    /// The flow at a place, to be marked.
    pub(crate) fn flow_mut(&mut self, at: FlowAt) -> Option<&mut Flow> {
        self.shards.get_mut(at.shard as usize)?.table.flow_mut(at.number)
    }

    /// How many flows are held.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.table.len()).sum()
    }

    /// Whether no flow is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether half of the room for names is taken in any shard.
    pub fn is_crowded(&self) -> bool {
        self.shards.iter().any(|s| s.learner.is_crowded())
    }

    /// The places of all flows for which `is` holds, in the order of their first frames.
    pub fn places(&self, is: impl Fn(&Flow) -> bool) -> Vec<FlowAt> {
        self.places_of(|_, flow| is(flow))
    }

    /// The places of all flows, each of a shard, for which `is` holds, in the order of their first frames.
    pub(super) fn places_of(&self, is: impl Fn(&Shard, &Flow) -> bool) -> Vec<FlowAt> {
        let mut places = Vec::new();
        for (shard, at) in self.shards.iter().zip(0u32..) {
            let flows = shard.table.flows().filter(|(_, flow)| is(shard, flow));
            places.extend(flows.map(|(number, f)| FlowAt { first_frame: f.first_frame(), shard: at, number }));
        }
        // one ascending run a shard, which a merging sort makes use of
        places.sort();
        places
    }

    /// Every flow's place, in the order of their first frames.
    pub fn in_order(&self) -> Vec<FlowAt> {
        self.places_of(|_, _| true)
    }

    /// The shard of a flow.
    pub(super) fn shard_of(&self, at: FlowAt) -> Option<&Shard> {
        self.shards.get(at.shard as usize)
    }

    /// The flow at a place, to be read with what naming has brought.
    pub fn view<'a>(&'a self, at: FlowAt, naming: &'a Naming) -> Option<FlowView<'a>> {
        let shard = self.shard_of(at)?;
        let flow = shard.table.flow(at.number)?;
        Some(FlowView::new(shard, at.shard, flow, naming))
    }

    /// Every flow of one shard, in no telling order.
    pub fn views_of<'a>(&'a self, shard_at: u32, naming: &'a Naming) -> impl Iterator<Item = FlowView<'a>> {
        let shard = self.shards.get(shard_at as usize);
        shard.into_iter().flat_map(move |s| s.table.flows().map(move |(_, f)| FlowView::new(s, shard_at, f, naming)))
    }

    /// Every flow of one shard of which either end is one of these hosts, in no telling order.
    pub(super) fn views_with<'a>(
        &'a self,
        shard_at: u32,
        naming: &'a Naming,
        hosts: &'a Hosts,
    ) -> impl Iterator<Item = FlowView<'a>> {
        let shard = self.shards.get(shard_at as usize);
        let of_them = |shard: &Shard, flow: &Flow| shard.table.sides(flow).iter().any(|end| hosts.contains(&end.addr));
        shard.into_iter().flat_map(move |shard| {
            let flows = shard.table.flows().filter(move |(_, flow)| of_them(shard, flow));
            flows.map(move |(_, flow)| FlowView::new(shard, shard_at, flow, naming))
        })
    }

    /// For each of these the name that DNS told its client for its server, whatever became of it: the newest before its
    /// time, else the first after it.
    pub fn told_names(&self, wanted: &[Wanted]) -> Vec<Option<&str>> {
        let mut names = vec![None; wanted.len()];
        let mut by_client: Vec<_> = wanted.iter().zip(0usize..).map(|(w, at)| (Addr::from_ip(w.client), at)).collect();
        by_client.sort_unstable();
        for shard in &self.shards {
            for (answer, told) in shard.learner.told() {
                let from = by_client.partition_point(|(client, _)| *client < told.client);
                let its = by_client.get(from..).unwrap_or_default();
                for (_, at) in its.iter().take_while(|(client, _)| *client == told.client) {
                    let (Some(want), Some(best)) = (wanted.get(*at), names.get_mut(*at)) else { continue };
                    let server = Addr::from_ip(want.server);
                    let key = (answer.ts > want.start, answer.ts.0.abs_diff(want.start.0), answer.frame);
                    if best.is_none_or(|(before, _)| key < before) && told.clone().any(|told| told == server) {
                        *best = Some((key, shard.learner.strings.get(answer.name)));
                    }
                }
            }
        }
        names.into_iter().map(|best| best.map(|(_, name)| name)).collect()
    }

    /// Names all flows by all that was learnt, and by what the user gave.
    pub fn name<'a>(&self, base: &'a KnowledgeBase) -> Naming<'a> {
        self.name_by(base, &Alone)
    }

    /// The same, with these hands.
    pub fn name_by<'a>(&self, base: &'a KnowledgeBase, hands: &impl Hands) -> Naming<'a> {
        Naming::new(self, base, hands)
    }

    /// Counts over all shards.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            sum.add(&shard.learner.counts);
        }
        sum
    }

    /// The run's counts as they are told.
    pub fn stats(&self) -> Stats {
        let counts = self.counts();
        let errors = Undecoded::ALL.iter().zip(&self.totals.undecoded).filter(|(r, _)| r.is_error());
        Stats {
            event_type: "stats",
            frames: self.totals.frames,
            bytes: self.totals.bytes,
            flows: self.shards.iter().map(|s| s.table.len() as u64).fold(self.gone.1, u64::saturating_add),
            active_flows: self.shards.iter().map(|s| s.table.active() as u64).sum(),
            tls_sni_flows: counts.tls_sni_flows,
            dtls_flows: counts.dtls_flows,
            quic_flows: counts.quic_flows,
            dns_flows: counts.dns_flows,
            dns_exchanges: counts.dns_exchanges,
            stun_flows: counts.stun_flows,
            http_requests: counts.http_requests,
            http_responses: counts.http_responses,
            decode_errors: errors.map(|(_, n)| n).sum(),
            evicted_flows: self.gone.1,
            shed_packets: self.shed(),
            shed_frames: self.totals.shed_frames,
            questions_omitted: self.questions_omitted(),
            names_omitted: self.shards.iter().map(|s| s.learner.strings.omitted()).sum(),
            memory_bytes: self.shards.iter().map(|s| s.memory() as u64).sum(),
            ..Stats::default()
        }
    }

    /// How many questions for names of the system there was no room to keep.
    pub fn questions_omitted(&self) -> u64 {
        self.shards.iter().map(|s| s.learner.unasked).sum()
    }

    /// Whether time runs back in a flow.
    fn runs_back(&self) -> bool {
        self.shards.iter().any(|shard| shard.table.runs_back())
    }

    /// How many packets were counted and not inspected, for want of time.
    pub fn shed(&self) -> u64 {
        self.shards.iter().map(|s| s.shed).sum()
    }

    /// How many frames gave no packet for that reason.
    fn undecoded(&self, reason: Undecoded) -> u64 {
        self.totals.undecoded.get(reason as usize).copied().unwrap_or(0)
    }

    /// Whether no frame at all is of a link type that is read here.
    pub fn is_unread(&self) -> bool {
        self.totals.frames > 0 && self.undecoded(Undecoded::UnknownLink) == self.totals.frames
    }

    /// A line about frames of link types that are not read here, if there are any.
    pub fn unknown_links(&self) -> Option<String> {
        let unread = self.undecoded(Undecoded::UnknownLink);
        let frames = self.totals.frames;
        (unread > 0).then(|| {
            format!("{unread} of {frames} frames have a link type that is not read here: capture on Ethernet or `any`")
        })
    }

    /// A line about a capture of which every frame is cut before its addresses.
    pub fn cut_away(&self) -> Option<String> {
        let cut = self.undecoded(Undecoded::CutLink).saturating_add(self.undecoded(Undecoded::CutIp));
        let frames = self.totals.frames;
        (frames > 0 && cut == frames && self.totals.cut_frames == frames)
            .then(|| format!("all {frames} frames are cut before their addresses: capture whole frames (tcpdump -s 0)"))
    }

    /// What the capture is worth, but for the advice, which is not for the engine to give. `links`: the link types of
    /// its files; drops where a capture file tells them.
    pub fn quality(
        &self,
        links: impl Iterator<Item = u16>,
        kernel_drops: Option<u64>,
        interface_drops: Option<u64>,
        warnings: Vec<String>,
    ) -> CaptureQuality {
        let sums = &self.sums;
        let undecoded = Undecoded::ALL.iter().zip(&self.totals.undecoded).filter(|(_, n)| **n > 0);
        CaptureQuality {
            event_type: "capture_quality",
            frames: self.totals.frames,
            bytes: self.totals.bytes,
            first: self.totals.first,
            last: self.totals.first.map(|_| self.totals.last),
            link_types: links.map(link_name).collect(),
            kernel_drops,
            interface_drops,
            queue_drops: 0,
            shed_packets: self.shed(),
            shed_frames: self.totals.shed_frames,
            earlier_frames: if self.runs_back() { self.totals.earlier_frames } else { 0 },
            // a frame may hold several packets (IEEE 802.11 A-MSDU)
            duplicate_share: share(sums.duplicates, self.totals.frames).min(1.0),
            one_sided_share: share(sums.one_sided, sums.tcp_with_payload),
            one_sided_flows: sums.one_sided,
            cut_frames: self.totals.cut_frames,
            cut_at: self.totals.cut_at,
            missed_bytes: sums.missed,
            missed_share: share(sums.missed, sums.payload.saturating_add(sums.missed)),
            undecoded: undecoded.map(|(reason, n)| (reason.name(), *n)).collect(),
            warnings,
            advice: String::new(),
            sound: false,
        }
    }
}

/// What part of a whole something is; of nothing, nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// One flow, with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct FlowView<'a> {
    pub(super) shard: &'a Shard,
    pub(super) shard_at: u32,
    /// The record in the table.
    pub flow: &'a Flow,
    /// Its TCP side, if more of it was seen than a SYN.
    pub(super) tcp: Option<&'a Tcp>,
    pub(super) naming: &'a Naming<'a>,
    /// The originator's address and port.
    pub orig: (IpAddr, u16),
    /// The responder's address and port.
    pub resp: (IpAddr, u16),
}

impl<'a> FlowView<'a> {
    pub(super) fn new(shard: &'a Shard, shard_at: u32, flow: &'a Flow, naming: &'a Naming<'a>) -> Self {
        let [orig, resp] = ends(shard, flow);
        FlowView { shard, shard_at, flow, tcp: shard.table.tcp(flow), naming, orig, resp }
    }

    /// The text of a name's number.
    pub(super) fn text(&self, name: u32) -> &'a str {
        self.shard.learner.strings.get(name)
    }

    fn seen(&self, at: NameAt) -> Seen<'a> {
        Seen { name: self.text(at.name), id: self.naming.id_of(self.shard_at, at.name), frame: at.frame }
    }

    /// Its TCP side, whatever was seen of it.
    pub(super) fn connection(&self) -> Option<Cow<'a, Tcp>> {
        self.shard.table.connection(self.flow)
    }

    /// All that was counted of it.
    pub fn counted(&self) -> Counted {
        self.shard.table.counted(self.flow)
    }

    /// Bytes of payload, by side.
    pub fn payload(&self) -> [u64; 2] {
        self.shard.table.payload(self.flow)
    }

    /// How it began, and what came of it.
    pub(super) fn begun(&self) -> Begun {
        self.shard.table.begun(self.flow)
    }

    /// Whether both sides have closed it, or one has reset it.
    pub fn is_over(&self) -> bool {
        self.tcp.map_or_else(|| self.is_refused(), Tcp::is_over)
    }

    /// Whether more was seen of it than that somebody tried: a connection, something that was read, or payload both
    /// ways.
    pub(super) fn is_more_than_a_try(&self) -> bool {
        self.tcp.is_some() || self.flow.learnt != NONE || self.payload().iter().all(|bytes| *bytes > 0)
    }

    /// Whether it was a SYN and its refusal.
    fn is_refused(&self) -> bool {
        self.shard.table.is_refused(self.flow)
    }

    /// What naming and classification go by.
    pub fn facts(&self) -> FlowFacts<'a> {
        let (flow, counts) = (self.flow, self.counted());
        let mut facts = FlowFacts::new(flow.proto(), self.orig, self.resp, flow.first);
        facts.end = flow.last;
        facts.first_frame = flow.first_frame();
        facts.midstream = flow.midstream();
        facts.one_sided = is_one_sided(counts.pkts, self.tcp);
        facts.cut = flow.cut();
        facts.established = match self.tcp {
            Some(tcp) => tcp.is_established(),
            None => !self.is_refused() && counts.pkts.iter().all(|n| *n > 0),
        };
        facts.pkts = flow.oriented(counts.pkts);
        facts.bytes = flow.oriented(counts.bytes);
        facts.payload = flow.oriented(counts.payload);
        if let Some(tcp) = self.tcp {
            let rates = tcp.rates(self.begun(), &self.naming.base.thresholds);
            facts.rates = Rates {
                video_windows: flow.oriented(rates.video).map(u32::from),
                bursts: flow.oriented(rates.bursts).map(u32::from),
            };
        }
        if flow.learnt != NONE {
            self.add_learnt(&mut facts);
        }
        facts
    }

    fn add_learnt(&self, facts: &mut FlowFacts<'a>) {
        facts.ntp = self.ntp().map(|n| n.frame);
        facts.dns = self.dns().map(|d| d.frame);
        facts.rtsp = self.spoken().filter(|s| s.protocol == Protocol::Rtsp).map(|s| s.frame);
        if let Some(tls) = self.tls() {
            facts.sni = tls.sni().map(|at| self.seen(at));
            facts.ech = tls.ech.may_hide_a_name();
            facts.dns_offered = self.offers_dns(tls).then_some(tls.hello_frame);
            facts.cert_name = tls.detail.as_ref().and_then(|d| d.host).map(|at| self.seen(at));
        }
        facts.quic_sni = self.quic().and_then(|q| q.sni).map(|at| self.seen(at));
        if let Some(http) = self.http() {
            facts.http_host = http.host.map(|at| self.seen(at));
            facts.authority = http.authority.map(|(at, port)| Authority { host: self.seen(at), port });
            facts.message_http = (http.message_http != 0).then_some(http.message_http);
        }
        facts.stun = self.stun_facts();
        if let Some(media) = self.media() {
            facts.dtls = (media.dtls != 0).then_some(media.dtls);
            facts.rtp = media.rtp;
            facts.media_datagrams = media.datagrams;
            facts.sctp = media.detail.as_ref().map(|d| d.sctp).filter(|frame| *frame != 0);
        }
    }

    /// Whether DNS is spoken in TLS or QUIC: the client offers it, or the port is kept for it (RFC 7858 §3.1, RFC 9250
    /// §4.1.1).
    pub(super) fn offers_dns(&self, tls: &Tls) -> bool {
        (tls.has(mark::DNS) || self.resp.1 == 853) && !tls.has(mark::DTLS) && tls.hello_frame != 0
    }

    pub(super) fn stun_facts(&self) -> Option<StunFacts> {
        let stun = self.stun()?;
        Some(StunFacts {
            frame: stun.frame,
            ice: stun.ice,
            requests: self.flow.oriented(stun.requests),
            success: stun.success.iter().fold(0, |a, b| a.saturating_add(*b)),
            channel_data: stun.channel_data,
            turn: stun.turn || stun.channel_data > 0,
        })
    }

    /// The flow's part of a kind, out of the slab that `of` names.
    #[inline(always)]
    fn part<T>(&self, kind: Kind, of: impl FnOnce(&'a Learner) -> &'a Slab<T>) -> Option<&'a T> {
        let learner = &self.shard.learner;
        of(learner).get(learner.parts.get(self.flow.learnt, kind))
    }

    pub(super) fn media(&self) -> Option<&'a Media> {
        self.part(Kind::Media, |l| &l.media)
    }

    /// The connection that a load balancer said it passes on.
    pub(super) fn passed_on(&self) -> Option<&'a Ends> {
        self.part(Kind::Proxied, |l| &l.proxied)
    }

    pub(super) fn tls(&self) -> Option<&'a Tls> {
        self.part(Kind::Tls, |l| &l.tls)
    }

    pub(super) fn quic(&self) -> Option<&'a Quic> {
        self.part(Kind::Quic, |l| &l.quic)
    }

    pub(super) fn http(&self) -> Option<&'a Http> {
        self.part(Kind::Http, |l| &l.http)
    }

    pub(super) fn dns(&self) -> Option<&'a Dns> {
        self.part(Kind::Dns, |l| &l.dns)
    }

    pub(super) fn spoken(&self) -> Option<&'a Spoken> {
        self.part(Kind::Message, |l| &l.messages)
    }

    /// The first ICMP error about the flow.
    pub(super) fn icmp(&self) -> Option<Icmp> {
        self.part(Kind::Icmp, |l| &l.icmp).copied()
    }

    /// What a router said of its outside address.
    pub(super) fn router(&self) -> Option<&'a Router> {
        self.part(Kind::Router, |l| &l.routers)
    }

    pub(super) fn ntp(&self) -> Option<&'a Ntp> {
        self.part(Kind::Ntp, |l| &l.ntp)
    }

    pub(super) fn stun(&self) -> Option<&'a Stun> {
        self.part(Kind::Stun, |l| &l.stun)
    }

    /// What a filter may ask beside its record.
    pub fn known(&self, filter: &Filter, findings: &'a [FindingRecord]) -> Known<'a> {
        self.naming.known(filter, findings)
    }

    /// What a flow with these facts, its own, is.
    pub fn verdict(&self, facts: &FlowFacts<'a>) -> Verdict<'a> {
        classify(facts, &self.naming.knowledge())
    }

    /// The outside addresses that STUN told this flow's ends, each with who was told.
    pub(super) fn mapped(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.stun().into_iter().flat_map(|stun| stun.mapped.iter()).map(|mapped| {
            let client = if self.flow.flipped() == (mapped.side == 1) { self.orig.0 } else { self.resp.0 };
            (client, mapped.told().ip())
        })
    }

    /// Where STUN told the originator that it is seen from outside.
    pub(super) fn outside(&self) -> impl Iterator<Item = SocketAddr> {
        let mapped = self.stun().into_iter().flat_map(|stun| stun.mapped.iter());
        mapped.filter(|mapped| self.flow.flipped() == (mapped.side == 1)).map(|mapped| mapped.told())
    }

    /// By what it is known.
    pub fn identity(&self) -> Identity {
        let protocol = self.flow.proto();
        let ports = proto::has_ports(protocol);
        Identity {
            flow_id: self.id(),
            protocol,
            src_ip: self.orig.0,
            src_port: ports.then_some(self.orig.1),
            dest_ip: self.resp.0,
            dest_port: ports.then_some(self.resp.1),
            proto: proto::name(protocol).map_or_else(|| Cow::Owned(protocol.to_string()), Cow::Borrowed),
            start: self.flow.first,
            first_frame: self.flow.first_frame(),
        }
    }

    /// A number that is the same in every run: from the flow's first frame. 53 bits, so that JSON readers that
    /// know only doubles keep it whole.
    pub fn id(&self) -> u64 {
        let port = u64::from(self.orig.1) << 16 | u64::from(self.resp.1);
        let mixed = fold(self.flow.first_frame() ^ 0x9e37_79b9_7f4a_7c15, self.flow.first.0 ^ 0xd6e8_feb8_6659_fd93);
        fold(mixed ^ 0xa076_1d64_78bd_642f, port ^ 0xe703_7ed1_a0b4_28db) >> 11
    }
}

/// By what a flow is known, in this run and in any other.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Identity {
    pub flow_id: u64,
    /// The IP protocol's number.
    pub protocol: u8,
    pub src_ip: IpAddr,
    pub src_port: Option<u16>,
    pub dest_ip: IpAddr,
    pub dest_port: Option<u16>,
    pub proto: Cow<'static, str>,
    /// Its first packet.
    pub start: Timestamp,
    /// The frame of that.
    pub first_frame: u64,
}

impl Identity {
    /// Its community id, version 1, seed 0.
    pub fn community_id(&self) -> Short {
        let end = |ip, port: Option<u16>| (ip, port.unwrap_or(0));
        community_id(0, self.protocol, end(self.src_ip, self.src_port), end(self.dest_ip, self.dest_port))
    }
}

/// Originator and responder of a flow.
pub(super) fn ends(shard: &Shard, flow: &Flow) -> [(IpAddr, u16); 2] {
    flow.oriented(shard.table.sides(flow)).map(|e| (e.addr.ip(flow.is_v6()), e.port))
}
