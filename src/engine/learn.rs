//! Facts into what is kept: the one place where borrowed facts are copied.

mod asked;
mod certificates;
mod dns;
pub mod ech;
mod flight;
mod http;
mod media;
mod messages;
mod ntp;
mod quic;
mod stun;
mod turns;
mod wrapped;

pub use asked::{MAX_ASKED, thin};
pub use dns::MAX_ANSWERS;
use std::sync::Arc;

use super::Config;
use super::learnt::tls as mark;
use super::learnt::{
    Addresses, Answer, Asked, Dns, DnsExchange, DnsList, Http, Icmp, Media, NameAt, Ntp, PendingQuery, Quic, Router,
    Seen, Spoken, Stun, Tls, Told,
};
use super::parts::{Kind, Parts, part};
use super::strings::Strings;
use crate::classify::watch::Watch;
use crate::decode::Packet;
use crate::event::{LIST_MAX, Texts};
use crate::flow::Flow;
use crate::flow::key::digest;
use crate::flow::slab::Slab;
use crate::inspect::ja::Memo;
use crate::inspect::{Direction, Fact, haproxy, tls, x509};

/// The longest header or target that is kept, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Counts over all flows of a shard.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub tls_sni_flows: u64,
    pub dtls_flows: u64,
    pub quic_flows: u64,
    pub dns_flows: u64,
    pub dns_exchanges: u64,
    pub stun_flows: u64,
    pub http_requests: u64,
    pub http_responses: u64,
}

impl Counts {
    /// Adds another shard's.
    pub fn add(&mut self, other: &Counts) {
        self.tls_sni_flows = self.tls_sni_flows.wrapping_add(other.tls_sni_flows);
        self.dtls_flows = self.dtls_flows.wrapping_add(other.dtls_flows);
        self.quic_flows = self.quic_flows.wrapping_add(other.quic_flows);
        self.dns_flows = self.dns_flows.wrapping_add(other.dns_flows);
        self.dns_exchanges = self.dns_exchanges.wrapping_add(other.dns_exchanges);
        self.stun_flows = self.stun_flows.wrapping_add(other.stun_flows);
        self.http_requests = self.http_requests.wrapping_add(other.http_requests);
        self.http_responses = self.http_responses.wrapping_add(other.http_responses);
    }
}

/// The flow that a fact is about, and where the fact was seen.
#[derive(Debug)]
pub struct Context<'a> {
    /// The flow.
    pub flow: &'a mut Flow,
    /// The flow's number.
    pub number: u32,
    /// The packet that completed the fact.
    pub packet: &'a Packet,
    /// Side 1 of the flow sent it.
    pub second: bool,
    /// Segments of its direction so far.
    pub segments: u16,
}

impl Context<'_> {
    fn seen(&self) -> Seen {
        Seen { ts: self.packet.ts, frame: self.packet.frame }
    }

    /// A message that only an originator sends has come: where the originator was guessed otherwise, now it is known.
    fn came_from_originator(&mut self) {
        if self.flow.guessed() && self.second != self.flow.flipped() {
            self.flow.flip();
        }
    }
}

/// All that the flows of a shard have told.
#[derive(Clone, Debug)]
pub struct Learner {
    /// Which parts flows have, by the word that each keeps.
    pub parts: Parts,
    /// TLS, by the numbers in `parts`; the others likewise.
    pub tls: Slab<Tls>,
    /// HTTP.
    pub http: Slab<Http>,
    /// DNS.
    pub dns: Slab<Dns>,
    /// STUN.
    pub stun: Slab<Stun>,
    /// Media.
    pub media: Slab<Media>,
    /// ICMP errors.
    pub icmp: Slab<Icmp>,
    /// NTP.
    pub ntp: Slab<Ntp>,
    /// QUIC.
    pub quic: Slab<Quic>,
    /// Flows that carry a name for their server, each with the name: what naming begins with.
    pub carried: Vec<(u32, u32)>,
    /// Every name.
    pub strings: Strings,
    /// Every DNS answer that gave addresses.
    pub(super) answers: Slab<Answer>,
    /// Their addresses.
    pub(super) addresses: Addresses,
    /// The connections that load balancers said they pass on.
    pub proxied: Slab<haproxy::Ends>,
    /// RTSP, SIP, SSDP, WS-Discovery and HTTP/2.
    pub messages: Slab<Spoken>,
    /// What routers say of their outside addresses.
    pub routers: Slab<Router>,
    /// Counts.
    pub counts: Counts,
    /// DNS queries for names that are watched, each with what came of it.
    pub asked: Vec<Asked>,
    /// How many of them had to make room.
    pub unasked: u64,
    /// The names that are watched.
    watch: Arc<Watch>,
    /// Keep what only records need.
    pub records: bool,
    /// How many certificates of hosts that are not watched were looked at.
    sampled: u16,
    memo: Memo,
    pub(super) leaves: x509::Memo,
    scratch: String,
    /// The texts of the answers at hand.
    told: Texts,
}

impl Learner {
    /// Nothing learnt yet.
    pub fn new(config: &Config) -> Self {
        Learner {
            parts: Parts::default(),
            tls: Slab::default(),
            http: Slab::default(),
            dns: Slab::default(),
            stun: Slab::default(),
            media: Slab::default(),
            icmp: Slab::default(),
            ntp: Slab::default(),
            quic: Slab::default(),
            carried: Vec::new(),
            strings: Strings::new(config.secret),
            answers: Slab::default(),
            addresses: Addresses::default(),
            proxied: Slab::default(),
            messages: Slab::default(),
            routers: Slab::default(),
            counts: Counts::default(),
            asked: Vec::new(),
            unasked: 0,
            watch: Arc::clone(&config.watch),
            records: config.records,
            sampled: 0,
            memo: Memo::default(),
            leaves: x509::Memo::default(),
            scratch: String::new(),
            told: Texts::default(),
        }
    }

    /// Media of a flow, made on first need.
    pub fn media_of(&mut self, flow: &mut Flow) -> Option<&mut Media> {
        part(&mut self.parts, &mut flow.learnt, Kind::Media, &mut self.media, Media::default).0
    }

    /// Every DNS answer that gave addresses, with them.
    pub fn told(&self) -> impl Iterator<Item = (&Answer, Told<'_>)> {
        self.answers.iter().map(|(_, answer)| (answer, self.addresses.of(answer)))
    }

    /// The DNS answer of that number, with the addresses.
    pub fn answer(&self, number: u32) -> Option<(&Answer, Told<'_>)> {
        self.answers.get(number).map(|answer| (answer, self.addresses.of(answer)))
    }

    /// How many addresses DNS told a name for, those told again counted each time.
    pub fn addresses(&self) -> usize {
        self.addresses.count()
    }

    /// STUN of a flow, if there was any.
    pub fn stun_of(&mut self, flow: &Flow) -> Option<&mut Stun> {
        self.stun.get_mut(self.parts.get(flow.learnt, Kind::Stun))
    }

    /// Keeps an ICMP error about a flow, if it is the first.
    pub fn keep_icmp(&mut self, flow: &mut Flow, icmp: Icmp) {
        part(&mut self.parts, &mut flow.learnt, Kind::Icmp, &mut self.icmp, || icmp);
    }

    /// TLS of a flow, if there was any.
    #[inline(always)]
    pub fn tls_of(&self, flow: &Flow) -> Option<&Tls> {
        self.tls.get(self.parts.get(flow.learnt, Kind::Tls))
    }

    /// DNS of a flow, if there was any.
    pub fn dns_of(&self, flow: &Flow) -> Option<&Dns> {
        self.dns.get(self.parts.get(flow.learnt, Kind::Dns))
    }

    /// What HTTP has told of a flow, to change.
    pub fn known_http(&mut self, flow: &Flow) -> Option<&mut Http> {
        self.http.get_mut(self.parts.get(flow.learnt, Kind::Http))
    }

    /// What HTTP has told of a flow.
    pub fn http_of(&self, flow: &Flow) -> Option<&Http> {
        self.http.get(self.parts.get(flow.learnt, Kind::Http))
    }

    /// Bytes of memory held; lists of single flows not counted.
    pub fn memory(&self) -> usize {
        [
            self.parts.memory(),
            self.tls.memory(),
            self.http.memory(),
            self.dns.memory(),
            self.stun.memory(),
            self.media.memory(),
            self.icmp.memory(),
            self.ntp.memory(),
            self.quic.memory(),
            self.strings.memory(),
            self.answers.memory(),
            self.addresses.memory(),
            self.carried.capacity().saturating_mul(8),
            self.proxied.memory(),
            self.messages.memory(),
            self.routers.memory(),
            self.asked.capacity().saturating_mul(size_of::<Asked>()),
        ]
        .iter()
        .sum()
    }

    /// Whether half of the room for names, addresses or watched queries is taken.
    pub fn is_crowded(&self) -> bool {
        self.strings.is_crowded()
            || self.addresses.count() > dns::MAX_ANSWERS / 2
            || self.asked.len() > asked::MAX_ASKED / 2
    }

    /// Keeps one fact.
    pub fn learn(&mut self, cx: &mut Context<'_>, fact: Fact<'_>) {
        match fact {
            Fact::ClientHello(hello) => self.client_hello(cx, &hello),
            Fact::ServerHello(hello) => self.server_hello(cx, &hello),
            Fact::Certificates(chain) => self.certificates(cx, chain),
            Fact::Alert(alert) => self.alert(cx, alert),
            Fact::HttpRequest(request) => self.request(cx, &request),
            Fact::HttpResponse(response) => self.response(cx, &response),
            Fact::Dns(message) => self.dns(cx, &message),
            Fact::NetBiosName => self.netbios_name(cx),
            Fact::Stun(message) => self.stun(cx, &message),
            Fact::Carried(carried) => self.carried(cx, &carried),
            Fact::Ntp(packet) => self.ntp(cx, &packet),
            Fact::Sctp(packet) => self.sctp(cx, &packet),
            Fact::Quic(quic) => self.quic(cx, &quic),
            Fact::SocksRequest(request) => self.socks(cx, &request),
            Fact::ProxyHeader(header) => self.proxied(cx, &header),
            Fact::Message(message) => self.message(cx, &message),
            Fact::Outside(address) => self.outside(cx, address),
        }
    }

    fn outside(&mut self, cx: &mut Context<'_>, outside: std::net::IpAddr) {
        let told = Router { outside, seen: cx.seen() };
        let (known, _) = part(&mut self.parts, &mut cx.flow.learnt, Kind::Router, &mut self.routers, || told);
        if let Some(known) = known {
            *known = told;
        }
    }

    fn tls_for(&mut self, flow: &mut Flow) -> Option<&mut Tls> {
        part(&mut self.parts, &mut flow.learnt, Kind::Tls, &mut self.tls, Tls::default).0
    }

    fn client_hello(&mut self, cx: &mut Context<'_>, hello: &tls::ClientHello<'_>) {
        cx.came_from_originator();
        let (seen, segments, records) = (cx.seen(), cx.segments, self.records);
        let (dtls, quic) = (hello.form == tls::Form::Dtls, hello.form == tls::Form::Quic);
        let name = hello.sni().map(|name| self.strings.keep_bytes(name));
        let watched = name.is_some_and(|name| self.watch.covers(self.strings.get(name)));
        if quic {
            self.name_quic(cx, name);
        }
        let number = cx.number;
        let Learner { parts, tls, carried, memo, .. } = self;
        let (Some(tls), _) = part(parts, &mut cx.flow.learnt, Kind::Tls, tls, Tls::default) else { return };
        let again = tls.hello_frame != 0;
        let first_name = name.filter(|_| tls.name == 0 && !quic);
        if let Some(name) = first_name {
            (tls.name, tls.hello_frame) = (name, seen.frame);
            carried.push((number, name));
        }
        // a fingerprint of half a hello would be one of nobody
        let whole = !(hello.cut || quic && hello.truncated);
        if records && whole {
            certificates::note_fingerprints(memo, tls.detail.get_or_insert_default(), hello);
        }
        tls.ech = tls.ech.after_client_hello(hello, !again);
        if again {
            return;
        }
        tls.hello_frame = seen.frame;
        tls.mark(mark::WATCHED, watched);
        tls.mark(mark::H2, watched && hello.alpn().any(|offered| offered == b"h2"));
        // the field of the version says nothing where the extension may stand behind a cut
        let known = !hello.cut || hello.supported_versions().next().is_some();
        tls.offered = if known { hello.highest_version() } else { 0 };
        tls.mark(mark::DTLS, dtls);
        tls.mark(mark::DNS, hello.offers_dns());
        tls.segments = segments;
        tls.session = digest(hello.session_id) as u32;
        if let Some(detail) = tls.detail.as_mut().filter(|_| records && whole) {
            detail.random = digest(hello.random);
            detail.alpn = hello.alpn().map(String::from_utf8_lossy).collect();
        }
        self.counts.dtls_flows = self.counts.dtls_flows.wrapping_add(u64::from(dtls));
        self.counts.tls_sni_flows = self.counts.tls_sni_flows.wrapping_add(u64::from(first_name.is_some() && !dtls));
    }

    /// The flow's ClientHello was a segment of `length` bytes, and no stream was opened for it.
    pub fn hello_alone(&mut self, flow: &Flow, length: usize) {
        if let Some(tls) = self.tls.get_mut(self.parts.get(flow.learnt, Kind::Tls)) {
            tls.alone = u16::try_from(length).unwrap_or(u16::MAX);
        }
    }

    fn server_hello(&mut self, cx: &mut Context<'_>, hello: &tls::ServerHello<'_>) {
        let Some(tls) = self.tls_for(cx.flow) else { return };
        if tls.version != 0 {
            return;
        }
        tls.ech = tls.ech.after_server_hello(hello);
        if hello.is_hello_retry() {
            return;
        }
        tls.version = hello.version();
        tls.cipher = hello.cipher;
        let taken_up = tls.session != 0 && tls.session == digest(hello.session_id) as u32;
        tls.mark(mark::RESUMED, if hello.is_tls13() { hello.has_psk() } else { taken_up });
    }

    fn alert(&mut self, cx: &mut Context<'_>, alert: tls::Alert) {
        let (second, seen) = (cx.second, cx.seen());
        if let Some(tls) = self.tls_for(cx.flow) {
            tls.note_alert(alert, second, seen);
        }
    }
}

fn push<T>(list: &mut Vec<T>, omitted: &mut u64, entry: impl FnOnce() -> T) {
    if list.len() < LIST_MAX {
        // most lists stay at one
        if list.is_empty() {
            list.reserve_exact(1);
        }
        list.push(entry());
    } else {
        *omitted = omitted.saturating_add(1);
    }
}

/// Header bytes as text; bytes that are not UTF-8 as U+FFFD.
fn text(bytes: &[u8]) -> Option<Box<str>> {
    Some(String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes)).into())
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// The direction of a side, given which side is the originator.
#[inline(always)]
pub const fn direction(second: bool, flipped: bool) -> Direction {
    if second == flipped { Direction::Orig } else { Direction::Resp }
}
