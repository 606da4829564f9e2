//! A flow in the light form that a table of many flows is made of: what is shown in a row, and all that a filter asks.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::analysis::FlowView;
use super::sums::is_one_sided;
use crate::classify::verdict::Verdict;
use crate::classify::words::{Flags, Subs};
use crate::decode::proto;
use crate::event::Class;
use crate::filter::Asked;
use crate::flow::key::community_id;
use crate::short::Short;
use crate::time::{Timestamp, seconds};

/// Texts, each kept once.
#[derive(Debug, Default)]
pub struct Texts {
    known: HashSet<Arc<str>, RandomState>,
}

impl Texts {
    /// The one copy of `text`.
    pub fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }
}

/// One flow. Pairs are by direction, the originator's first.
#[derive(Clone, Debug)]
pub struct Light {
    /// Its id.
    pub id: u64,
    /// The frame of its first packet.
    pub first_frame: u64,
    /// First packet.
    pub first: Timestamp,
    /// Last packet.
    pub last: Timestamp,
    /// The originator's address and port.
    pub orig: (IpAddr, u16),
    /// The responder's address and port.
    pub resp: (IpAddr, u16),
    /// IP protocol number.
    pub proto: u8,
    /// The protocol's name, or its number.
    pub proto_name: Cow<'static, str>,
    /// What is spoken.
    pub app_proto: Option<&'static str>,
    /// What it is.
    pub class: Class,
    /// More closely.
    pub subclass: Subs,
    /// Oddities.
    pub flags: Flags,
    /// How sure the class is, 0 to 1.
    pub confidence: f64,
    /// The relay's region.
    pub region: Option<Arc<str>>,
    /// What the responder is called by the flow itself, else what it asked DNS for, else what DNS told the originator.
    pub name: Option<Arc<str>>,
    /// Frames.
    pub pkts: [u64; 2],
    /// Frame bytes on the wire.
    pub bytes: [u64; 2],
    /// Payload bytes.
    pub payload: [u64; 2],
    /// Frames that were mirror copies.
    pub duplicates: u32,
    /// How the connection stood, in Zeek's words.
    pub conn_state: Option<&'static str>,
    /// The smallest round trip of TCP, in seconds.
    pub rtt: Option<f64>,
    /// Segments that TCP sent again.
    pub retransmissions: Option<u64>,
    /// The capture began within it.
    pub midstream: bool,
    /// Only one direction was captured.
    pub one_sided: bool,
    /// It is over.
    pub ended: bool,
    /// What fewer flows have.
    rare: Option<Box<Rare>>,
}

/// What fewer flows have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rare {
    tls: bool,
    tls_name: Option<Arc<str>>,
    quic: bool,
    quic_name: Option<Arc<str>>,
    quic_version: Option<Cow<'static, str>>,
    hosts: Vec<Arc<str>>,
    proxy: Option<Arc<str>>,
    /// By which names it was told what it is, where it has none of its own.
    told: Vec<Arc<str>>,
    dns: Vec<Arc<str>>,
    ja4: Vec<Box<str>>,
    outside: Vec<SocketAddr>,
    within: Vec<&'static str>,
    vlans: Vec<u16>,
    tunnels: Vec<&'static str>,
}

impl Light {
    /// Whether nothing more is to come of it: its time is over, or both its sides have closed it, or one has reset it.
    pub fn is_over(&self) -> bool {
        self.ended || matches!(self.conn_state, Some("SF" | "REJ" | "RSTO" | "RSTR" | "RSTOS0" | "RSTRH"))
    }

    /// Of a flow that is what `verdict` says.
    pub fn of(view: &FlowView<'_>, verdict: &Verdict<'_>, texts: &mut Texts) -> Light {
        let (flow, counts) = (view.flow, view.counted());
        let protocol = flow.proto();
        let payload = flow.oriented(counts.payload);
        let rare = rare(view, verdict, texts);
        let region = verdict.region.as_deref().map(|region| texts.keep(region));
        let tcp = view.connection();
        let troubles = tcp.as_ref().map(|t| t.log.troubles());
        Light {
            id: view.id(),
            first_frame: flow.first_frame(),
            first: flow.first,
            last: flow.last,
            orig: view.orig,
            resp: view.resp,
            proto: protocol,
            proto_name: proto::name(protocol).map_or_else(|| Cow::Owned(protocol.to_string()), Cow::Borrowed),
            app_proto: view.app_proto(verdict.subclass),
            class: verdict.class,
            subclass: verdict.subclass,
            flags: verdict.flags,
            confidence: verdict.confidence_f64(),
            region,
            name: rare.as_ref().and_then(Rare::name).cloned(),
            pkts: flow.oriented(counts.pkts),
            bytes: flow.oriented(counts.bytes),
            payload,
            duplicates: counts.duplicates,
            conn_state: tcp.as_ref().map(|t| t.conn_state(flow.flipped(), payload != [0, 0])),
            rtt: tcp.as_ref().and_then(|t| t.rtt.min()),
            retransmissions: troubles.map(|t| t.iter().copied().flatten().map(|t| u64::from(t.retransmissions)).sum()),
            midstream: flow.midstream(),
            one_sided: is_one_sided(counts.pkts, view.tcp),
            ended: flow.ended(),
            rare: rare.map(Box::new),
        }
    }

    /// A flow between two ends of which nothing more is known, by its id and IP protocol number.
    pub fn bare(id: u64, proto: u8, orig: (IpAddr, u16), resp: (IpAddr, u16)) -> Light {
        Light {
            id,
            first_frame: 0,
            first: Timestamp::default(),
            last: Timestamp::default(),
            orig,
            resp,
            proto,
            proto_name: proto::name(proto).map_or_else(|| Cow::Owned(proto.to_string()), Cow::Borrowed),
            app_proto: None,
            class: Class::Unknown,
            subclass: Subs::NONE,
            flags: Flags::NONE,
            confidence: 0.0,
            region: None,
            name: None,
            pkts: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            duplicates: 0,
            conn_state: None,
            rtt: None,
            retransmissions: None,
            midstream: false,
            one_sided: false,
            ended: false,
            rare: None,
        }
    }

    /// The same flow, whose client asked for a server of that name.
    #[must_use]
    pub fn named(mut self, name: &str, texts: &mut Texts) -> Light {
        let name = texts.keep(name);
        self.name = Some(Arc::clone(&name));
        self.rare = Some(Box::new(Rare { tls: true, tls_name: Some(name), ..Rare::default() }));
        self
    }

    /// The same flow, whose client asked a proxy for `host:port`.
    #[must_use]
    pub fn proxied(mut self, authority: &str, texts: &mut Texts) -> Light {
        self.rare.get_or_insert_default().proxy = Some(texts.keep(authority));
        self
    }

    /// DNS told its client that the responder is called so.
    pub fn call(&mut self, name: Arc<str>) {
        self.rare.get_or_insert_default().told.push(Arc::clone(&name));
        self.name = Some(name);
    }

    /// Its ends, each with its port where the protocol has ports.
    fn told_ports(&self) -> [(IpAddr, Option<u16>); 2] {
        let ports = proto::has_ports(self.proto);
        [self.orig, self.resp].map(|(ip, port)| (ip, ports.then_some(port)))
    }

    /// Whether its name is what it asked DNS for, which is not the server's.
    pub fn asks_dns(&self) -> bool {
        self.rare(|r| r.name().is_some() && r.name() == r.dns.first()).unwrap_or(false)
    }

    /// The port that a proxy was asked to reach; the responder's own is the proxy's then.
    pub fn port_by_proxy(&self) -> Option<u16> {
        let (_, port) = self.rare(|r| r.proxy.as_deref()).flatten()?.rsplit_once(':')?;
        port.parse().ok()
    }

    /// Where STUN over UDP told its originator that it is seen from outside.
    pub fn outside(&self) -> &[SocketAddr] {
        self.rare(|r| &r.outside[..]).unwrap_or_default()
    }

    fn rare<'s, T>(&'s self, of: impl FnOnce(&'s Rare) -> T) -> Option<T> {
        self.rare.as_deref().map(of)
    }
}

impl Rare {
    /// The most telling name.
    fn name(&self) -> Option<&Arc<str>> {
        let hosts = self.hosts.first().or(self.proxy.as_ref());
        self.tls_name.as_ref().or(self.quic_name.as_ref()).or(hosts).or(self.dns.first()).or(self.told.first())
    }
}

fn rare(view: &FlowView<'_>, verdict: &Verdict<'_>, texts: &mut Texts) -> Option<Rare> {
    let mut rare = Rare {
        vlans: view.shard.table.vlan(view.flow).into_iter().filter(|id| *id != 0).collect(),
        tunnels: view.shard.table.tunnels(view.flow).names().collect(),
        ..Rare::default()
    };
    if let Some(tls) = view.tls() {
        rare.tls = true;
        rare.tls_name = tls.sni().map(|at| texts.keep(view.text(at.name)));
        rare.ja4 = tls.detail.as_ref().map(|d| d.ja4.iter().map(|j| (**j).into()).collect()).unwrap_or_default();
    }
    if let Some(quic) = view.quic() {
        rare.quic = true;
        rare.quic_name = quic.sni.map(|at| texts.keep(view.text(at.name)));
        rare.quic_version = (quic.version != 0).then(|| crate::inspect::quic::version_name(quic.version));
    }
    if let Some(http) = view.http().and_then(|http| http.record.as_ref()) {
        rare.hosts = http.list.iter().filter_map(|e| e.host.as_deref()).map(|h| texts.keep(h)).collect();
        rare.within.extend((!http.list.is_empty()).then_some("http"));
    }
    let asked = verdict.via_proxy.map(|asked| view.via_proxy(asked.host.name, asked.port));
    rare.proxy = asked.map(|asked| texts.keep(&asked.authority));
    if rare.tls_name.is_none() && rare.quic_name.is_none() && rare.hosts.is_empty() && rare.proxy.is_none() {
        let told = verdict.evidence.iter().filter(|reason| !reason.against).filter_map(|reason| reason.what.name());
        rare.told = told.map(|name| texts.keep(name)).collect();
    }
    if let Some(list) = view.dns().and_then(|dns| dns.record()).map(|kept| &kept.list) {
        for exchange in list {
            rare.dns.extend(exchange.qname.map(|name| texts.keep(view.text(name))));
            rare.dns.extend(exchange.answers.iter().map(|answer| texts.keep(answer)));
        }
        rare.within.extend((!list.is_empty()).then_some("dns"));
    }
    let media = view.media();
    if view.flow.proto() == proto::UDP {
        rare.outside = view.outside().collect();
    }
    rare.within.extend(view.stun().map(|_| "stun"));
    rare.within.extend(view.sctp_record().map(|_| "sctp"));
    rare.within.extend(media.and_then(|_| view.rtp_record()).map(|_| "rtp"));
    rare.within.extend((view.flow.proto() == proto::ICMP6).then_some("icmp6"));
    (rare != Rare::default()).then_some(rare)
}

impl Asked for Light {
    fn id(&self) -> u64 {
        self.id
    }

    fn ends(&self) -> [(IpAddr, Option<u16>); 2] {
        self.told_ports()
    }

    fn class(&self) -> Class {
        self.class
    }

    fn subclasses(&self) -> impl Iterator<Item = &str> {
        self.subclass.names().map(|name| -> &str { name })
    }

    fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.names().map(|name| -> &str { name })
    }

    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn confidence(&self) -> f64 {
        self.confidence
    }

    fn server_names(&self) -> impl Iterator<Item = &str> {
        self.rare(|r| r.tls_name.iter().chain(&r.quic_name)).into_iter().flatten().map(|name| &**name)
    }

    fn quic_name(&self) -> Option<&str> {
        self.rare(|r| r.quic_name.as_deref()).flatten()
    }

    fn quic_version(&self) -> Option<&str> {
        self.rare(|r| r.quic_version.as_deref()).flatten()
    }

    fn host_names(&self) -> impl Iterator<Item = &str> {
        let others = self.rare(|r| r.hosts.iter().chain(&r.proxy).chain(&r.told)).into_iter().flatten();
        self.server_names().chain(others.map(|name| &**name))
    }

    fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.rare(|r| r.dns.iter()).into_iter().flatten().map(|name| &**name)
    }

    fn protocols(&self) -> impl Iterator<Item = &str> {
        let named = self.rare(|r| [("tls", r.tls), ("quic", r.quic)]).into_iter().flatten();
        let named = named.filter_map(|(name, seen)| seen.then_some(name));
        let within = self.rare(|r| r.within.iter().copied()).into_iter().flatten();
        [&*self.proto_name].into_iter().chain(named).chain(within).chain(self.app_proto)
    }

    fn tunnels(&self) -> impl Iterator<Item = &str> {
        self.rare(|r| r.tunnels.iter().copied()).into_iter().flatten()
    }

    fn vlans(&self) -> impl Iterator<Item = u16> {
        self.rare(|r| r.vlans.iter().copied()).into_iter().flatten()
    }

    fn ja4(&self) -> impl Iterator<Item = &str> {
        self.rare(|r| r.ja4.iter()).into_iter().flatten().map(|j| &**j)
    }

    fn community_id(&self) -> Option<Short> {
        Some(community_id(0, self.proto, self.orig, self.resp))
    }

    fn conn_state(&self) -> Option<&str> {
        self.conn_state
    }

    fn is_midstream(&self) -> bool {
        self.midstream
    }

    fn is_one_sided(&self) -> bool {
        self.one_sided
    }

    fn is_interim(&self) -> bool {
        !self.ended
    }

    fn age(&self) -> f64 {
        seconds(self.last.since(self.first))
    }

    fn packets(&self) -> u64 {
        self.pkts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn duplicates(&self) -> u64 {
        u64::from(self.duplicates)
    }

    fn bytes(&self) -> u64 {
        self.bytes.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn payload(&self) -> u64 {
        self.payload.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn rtt(&self) -> Option<f64> {
        self.rtt
    }

    fn retransmissions(&self) -> Option<u64> {
        self.retransmissions
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::classify::site::Site;
    use crate::classify::watch::Watch;
    use crate::engine::Config;
    use crate::engine::naming::KnowledgeBase;
    use crate::event::FlowRecord;
    use crate::filter::{Filter, Known, State};
    use crate::source::{CHUNK_BYTES, Source};

    const CAPTURES: [&str; 6] = [
        "first-view.pcapng",
        "holds/hold-chunked-viewer.pcapng.zst",
        "filters/squid-icap-swallows-tls-recorder.pcapng.zst",
        "p2p",
        "dns",
        "proxies",
    ];

    /// Filters that ask for what a flow has, and some that it may not have.
    fn filters(record: &FlowRecord<'_>) -> Vec<String> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut all = vec![
            format!("class:{}", record.class.name()),
            format!("host:{}", record.src_ip),
            format!("dst:{}", record.dest_ip),
            format!("id:{}", record.flow_id),
            format!("bytes>{}", record.flow.bytes_toserver),
            format!("pkts>={}", record.flow.pkts_toserver + record.flow.pkts_toclient),
            format!("community:{}", record.community_id.as_deref().unwrap_or_default()),
            format!("conf>={}", record.confidence),
            "port:443,53,80 rate>10k".to_owned(),
            "retrans>1% or rtt>5ms or age>2s".to_owned(),
            "u5fgb or 10. or relay".to_owned(),
        ];
        let states = State::ALL.iter().filter(|state| !matches!(state, State::Interim | State::Held));
        all.extend(states.map(|state| format!("state:{}", state.text())));
        let names = ["tls", "quic", "dns", "http", "stun", "sctp", "rtp", "tcp", "udp", "dtls", "websocket", "mdns"];
        all.extend(names.iter().map(|name| format!("proto:{name}")));
        all.extend(record.flags.iter().map(|flag| format!("flag:{flag}")));
        all.extend(record.subclass.iter().map(|sub| format!("subclass:{sub}")));
        all.extend(record.region.iter().map(|region| format!("region:{}", quoted(region))));
        all.extend(record.host_names().flat_map(|n| ["sni", "dst"].map(|key| format!("{key}:{}", quoted(n)))));
        all.extend(record.dns_names().map(|name| format!("dns:{}", quoted(name))));
        all.extend(record.ja4().map(|ja4| format!("ja4:{ja4}")));
        all.extend(record.vlans().map(|vlan| format!("vlan:{vlan}")));
        all
    }

    /// Whatever is asked of a flow, its light form answers as its record does.
    #[test]
    fn the_light_form_answers_as_the_record_does() {
        let base = KnowledgeBase::new(None, Site::default()).unwrap();
        let config = Config { records: true, watch: Arc::new(Watch::of(&base.catalogue)), ..Config::default() };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
        let mut asked = 0;
        for capture in CAPTURES {
            let source = Source::open(&[folder.join(capture)], CHUNK_BYTES);
            let outcome = crate::pipeline::run(source, &config, 1, &AtomicBool::new(false), &mut |_| {});
            let naming = outcome.analysis.name(&base);
            let mut texts = Texts::default();
            for at in outcome.analysis.in_order().into_iter().take(300) {
                let Some(view) = outcome.analysis.view(at, &naming) else { continue };
                let verdict = view.verdict(&view.facts());
                let (record, light) = (view.record(&verdict), Light::of(&view, &verdict, &mut texts));
                for text in filters(&record) {
                    let filter = Filter::parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
                    let known = Known::default();
                    assert_eq!(filter.matches(&light, &known), filter.matches(&record, &known), "{text}: {record:?}");
                    asked += 1;
                }
            }
        }
        assert!(asked > 5000, "{asked}");
    }
}
