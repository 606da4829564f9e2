//! Facts into what is kept: the one place where borrowed facts are copied.

mod certificates;
mod dns;
pub mod ech;
mod media;
mod messages;
mod ntp;
mod quic;
mod stun;
mod wrapped;

use super::learnt::{
    Answer, Dns, DnsExchange, DnsList, Http, HttpExchange, Icmp, Media, NameAt, Ntp, PendingQuery, Quic, Seen, Spoken,
    Stun, Tls,
};
use super::parts::{Kind, Parts, part};
use super::strings::Strings;
use crate::decode::{Addr, Packet};
use crate::event::LIST_MAX;
use crate::flow::Flow;
use crate::flow::key::fold;
use crate::flow::slab::Slab;
use crate::inspect::{Direction, Fact, haproxy, http, tls};

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
#[derive(Debug)]
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
    answers: Vec<Answer>,
    /// Their addresses, one answer's after the other's; IPv4 in its mapped form.
    addresses: Vec<Addr>,
    /// The connections that load balancers said they pass on.
    pub proxied: Slab<haproxy::Ends>,
    /// RTSP, SIP, SSDP, WS-Discovery and HTTP/2.
    pub messages: Slab<Spoken>,
    /// Counts.
    pub counts: Counts,
    /// Keep what only records need.
    pub records: bool,
    scratch: String,
}

impl Learner {
    /// Nothing learnt yet. `secret` keeps the traffic from choosing its places in tables; no result depends on it.
    pub fn new(records: bool, secret: u64) -> Self {
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
            strings: Strings::new(secret),
            answers: Vec::new(),
            addresses: Vec::new(),
            proxied: Slab::default(),
            messages: Slab::default(),
            counts: Counts::default(),
            records,
            scratch: String::new(),
        }
    }

    /// Media of a flow, made on first need.
    pub fn media_of(&mut self, flow: &mut Flow) -> Option<&mut Media> {
        part(&mut self.parts, &mut flow.learnt, Kind::Media, &mut self.media, Media::default).0
    }

    /// Every DNS answer that gave addresses, with them.
    pub fn told(&self) -> impl Iterator<Item = (&Answer, &[Addr])> {
        self.answers.iter().map(|answer| {
            let first = answer.first as usize;
            (answer, self.addresses.get(first..first.saturating_add(usize::from(answer.count))).unwrap_or_default())
        })
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

    /// HTTP of a flow, if there was any.
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
            self.answers.capacity().saturating_mul(size_of::<Answer>()),
            self.addresses.capacity().saturating_mul(size_of::<Addr>()),
            self.carried.capacity().saturating_mul(8),
            self.proxied.memory(),
            self.messages.memory(),
        ]
        .iter()
        .sum()
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
        if quic {
            self.name_quic(cx, name);
        }
        let number = cx.number;
        let Learner { parts, tls, carried, .. } = self;
        let (Some(tls), _) = part(parts, &mut cx.flow.learnt, Kind::Tls, tls, Tls::default) else { return };
        let again = tls.hello_frame != 0;
        let first_name = name.filter(|_| tls.name == 0 && !quic);
        if let Some(name) = first_name {
            (tls.name, tls.hello_frame) = (name, seen.frame);
            carried.push((number, name));
        }
        // a fingerprint of half a hello in QUIC would be one of nobody
        let whole = !(quic && hello.truncated);
        if records && whole {
            certificates::note_fingerprints(tls.detail.get_or_insert_default(), hello);
        }
        tls.ech = tls.ech.after_client_hello(hello, !again);
        if again {
            return;
        }
        tls.hello_frame = seen.frame;
        tls.offered = hello.highest_version();
        tls.dtls = dtls;
        tls.dns = hello.offers_dns();
        tls.segments = segments;
        tls.session = digest(hello.session_id) as u32;
        if let Some(detail) = tls.detail.as_mut().filter(|_| records && whole) {
            detail.alpn = hello.alpn().map(|p| String::from_utf8_lossy(p).into()).collect();
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
        tls.resumed = if hello.is_tls13() { hello.has_psk() } else { taken_up };
    }

    fn alert(&mut self, cx: &mut Context<'_>, alert: tls::Alert) {
        if let Some(tls) = self.tls_for(cx.flow).filter(|_| alert.is_fatal()) {
            tls.alert.get_or_insert(alert.description);
        }
    }

    fn http_for(&mut self, flow: &mut Flow) -> Option<&mut Http> {
        part(&mut self.parts, &mut flow.learnt, Kind::Http, &mut self.http, Http::default).0
    }

    fn request(&mut self, cx: &mut Context<'_>, request: &http::Request<'_>) {
        self.counts.http_requests = self.counts.http_requests.wrapping_add(1);
        if !request.inner {
            cx.came_from_originator();
        }
        let frame = cx.packet.frame;
        let mut name = |text: &[u8]| NameAt { name: self.strings.keep_bytes(text), frame };
        let host = request.host.and_then(http::split_host_port).map(|(host, _)| host);
        let host = host.filter(|h| !h.is_empty()).map(&mut name);
        let authority = request.authority_form().or_else(|| request.absolute_form());
        let authority = authority.map(|(host, port)| (name(host), port));
        let records = self.records;
        let Some(http) = self.http_for(cx.flow) else { return };
        let fresh_host = host.filter(|_| http.host.is_none());
        let fresh_authority = authority.filter(|_| http.authority.is_none());
        http.host = http.host.or(host);
        http.authority = http.authority.or(authority);
        note_message_http(http, request.content_type, frame);
        let inner = request.inner;
        self.carried
            .extend(fresh_host.into_iter().chain(fresh_authority.map(|(at, _)| at)).map(|at| (cx.number, at.name)));
        let Some(http) = self.http_for(cx.flow) else { return };
        if records {
            push(&mut http.exchanges, &mut http.omitted, || HttpExchange {
                method: text(request.method),
                host: request.host.and_then(text),
                uri: text(request.target),
                user_agent: request.user_agent.and_then(text),
                content_type: request.content_type.and_then(text),
                transfer_encoding: request.transfer_encoding.and_then(text),
                content_length: request.content_length.and_then(number),
                status: None,
                upgrade: None,
                inner,
            });
        }
        self.note_tunnelled(cx, request.content_type);
    }

    fn response(&mut self, cx: &mut Context<'_>, response: &http::Response<'_>) {
        self.counts.http_responses = self.counts.http_responses.wrapping_add(1);
        let frame = cx.packet.frame;
        let records = self.records;
        let Some(http) = self.http_for(cx.flow) else { return };
        http.status = http.status.or(Some((response.status, frame)));
        note_message_http(http, response.content_type, frame);
        if records {
            exchanged(http, response, direction(cx.second, cx.flow.flipped()));
        }
        self.note_tunnelled(cx, response.content_type);
    }
}

/// Puts a response that came in `from` where it belongs among the exchanges.
fn exchanged(http: &mut Http, response: &http::Response<'_>, from: Direction) {
    let exchange = HttpExchange {
        status: Some(response.status),
        content_type: response.content_type.and_then(text),
        transfer_encoding: response.transfer_encoding.and_then(text),
        content_length: response.content_length.and_then(number),
        upgrade: response.upgrade.filter(|_| response.status == 101).and_then(text),
        inner: response.inner,
        ..HttpExchange::default()
    };
    while http.exchanges.get(http.answered).is_some_and(|e| e.inner) {
        http.answered = http.answered.saturating_add(1);
    }
    // an interim response (RFC 9110 §15.2), which 101 is not, and an embedded one answer no request of their own
    let is_final = response.status >= 200 || response.status == 101;
    let open = if response.inner || !is_final { None } else { http.exchanges.get_mut(http.answered) };
    if let Some(open) = open {
        http.answered = http.answered.saturating_add(1);
        open.status = exchange.status;
        open.content_type = exchange.content_type.or(open.content_type.take());
        open.transfer_encoding = exchange.transfer_encoding.or(open.transfer_encoding.take());
        open.content_length = exchange.content_length.or(open.content_length);
        open.upgrade = exchange.upgrade;
    } else if http.exchanges.len() >= LIST_MAX {
        http.omitted = http.omitted.saturating_add(1);
    } else if response.inner && from == Direction::Orig {
        // behind the request that carries it
        http.exchanges.push(exchange);
    } else {
        // before those that still wait for theirs
        let at = http.answered.min(http.exchanges.len());
        http.exchanges.insert(at, exchange);
        http.answered = at.saturating_add(1);
    }
}

fn note_message_http(http: &mut Http, content_type: Option<&[u8]>, frame: u64) {
    let is = content_type.is_some_and(|t| t.get(..12).is_some_and(|t| t.eq_ignore_ascii_case(b"message/http")));
    if is && http.message_http == 0 {
        http.message_http = frame;
    }
}

fn push<T>(list: &mut Vec<T>, omitted: &mut u64, entry: impl FnOnce() -> T) {
    if list.len() < LIST_MAX {
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

/// A digest that tells one short byte string from another; 0 for none.
fn digest(bytes: &[u8]) -> u64 {
    let (mut hash, mut rest) = (0, bytes);
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        hash = fold(hash ^ u64::from_le_bytes(*head) ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db);
        rest = tail;
    }
    if rest.is_empty() {
        return hash;
    }
    let last = rest.iter().fold(1, |word, b| word << 8 | u64::from(*b));
    fold(hash ^ last ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
}

/// The direction of a side, given which side is the originator.
#[inline(always)]
pub const fn direction(second: bool, flipped: bool) -> Direction {
    if second == flipped { Direction::Orig } else { Direction::Resp }
}
