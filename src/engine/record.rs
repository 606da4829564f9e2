//! A flow as the record that is told of it.

mod media;

use std::borrow::Cow;

use smallvec::SmallVec;

use super::analysis::{FlowView, Identity};
use super::learnt::tls as mark;
use super::learnt::{
    CertificateDetail, Dns, DnsExchange, Http, Mapped, Ntp, Quic, SpokenDetail, Stun, StunDetail, Tls,
};
use super::sums::is_one_sided;
use crate::classify::names::About;
use crate::classify::verdict::Verdict;
use crate::classify::words::{Sub, Subs};
use crate::decode::proto;
use crate::event::{
    DnsRecord, End, Ends, Evidence, Fingerprints, FlowCounts, FlowRecord, HttpRecord, IceRecord, MessageRecord,
    Methods, NtpRecord, Proxied, QuicRecord, SCHEMA_VERSION, StunRecord, TcpRecord, TlsRecord, ViaProxy,
};
use crate::flow::NONE;
use crate::flow::tcp::Tcp;
use crate::flow::trouble::Trouble;
use crate::inspect::haproxy;
use crate::inspect::message::Protocol;
use crate::inspect::{dns, quic, stun, tls};
use crate::time::{seconds, signed_seconds};

impl<'a> FlowView<'a> {
    /// The record of a flow that is what `verdict` says.
    pub fn record(&self, verdict: &Verdict<'a>) -> FlowRecord<'a> {
        let identity = self.identity();
        let community_id = identity.community_id();
        let Identity { flow_id, src_ip, src_port, dest_ip, dest_port, proto, .. } = identity;
        let (http, dns, tcp) = (self.http(), self.dns(), self.connection());
        FlowRecord {
            schema_version: SCHEMA_VERSION,
            event_type: "flow",
            flow_id,
            community_id: Some(community_id),
            src_ip,
            src_port,
            dest_ip,
            dest_port,
            proto,
            vlan: self.shard.table.vlan(self.flow).into_iter().filter(|id| *id != 0).collect(),
            tunnel: self.shard.table.tunnels(self.flow).names().collect(),
            app_proto: self.app_proto(verdict.subclass),
            flow: self.flow_counts(tcp.as_deref()),
            class: verdict.class,
            subclass: few(verdict.subclass.names()),
            flags: few(verdict.flags.names()),
            region: verdict.region.clone(),
            confidence: verdict.confidence_f64(),
            evidence: few(verdict.evidence.iter().map(evidence)),
            via_proxy: verdict.via_proxy.map(|asked| Box::new(self.via_proxy(asked.host.name, asked.port))),
            proxied: self.proxied().map(Box::new),
            tls: self.tls().map(|t| self.tls_record(t)),
            quic: self.quic().map(|q| Box::new(self.quic_record(q))),
            dns: dns.map(|d| self.dns_records(d)).unwrap_or_default(),
            dns_omitted: dns.and_then(Dns::record).map_or(0, |kept| kept.omitted),
            http: http.map(http_records).unwrap_or_default(),
            http_omitted: http.and_then(|h| h.record.as_ref()).map_or(0, |kept| kept.omitted),
            rtsp: self.message_record(Protocol::Rtsp).map(Box::new),
            sip: self.message_record(Protocol::Sip).map(Box::new),
            stun: self.stun().map(|s| self.stun_record(s)),
            ntp: self.ntp().map(|ntp| Box::new(ntp_record(ntp))),
            sctp: self.sctp_record().map(Box::new),
            rtp: self.rtp_record().map(Box::new),
            tcp: tcp.as_deref().map(|t| self.tcp_record(t)),
        }
    }

    /// What was learnt of the responder.
    pub fn about(&self) -> About {
        self.naming.names.about(self.resp.0)
    }

    /// Looks at the places that a record of this flow is made of and that are far apart, and gives a number that
    /// depends on them: waits for memory overlap where many flows' places are looked at one right after the other.
    pub fn touch(&self, about: &About) -> u64 {
        let met = self.naming.names.touch(about);
        let tcp = self.tcp.map_or(0, |tcp| u64::from(tcp.mss().contains(&0)));
        let tls = self.tls().and_then(|tls| tls.detail.as_deref()).map_or(0, |detail| detail.random);
        let dns = self.dns().and_then(Dns::record).and_then(|kept| kept.list.first());
        let stun = self.stun().and_then(|stun| stun.detail.as_deref()).is_some_and(|detail| detail.nominated);
        met ^ tcp ^ tls ^ dns.map_or(0, |first| u64::from(first.id)) ^ u64::from(stun)
    }

    /// The record of a flow that is let go of before its end.
    pub fn given_up(&self) -> FlowRecord<'a> {
        let mut record = self.record(&self.verdict(&self.facts()));
        record.flow.evicted = true;
        record
    }

    /// What is spoken: the innermost that is known. `subclass` tells what is within TLS or QUIC.
    pub(super) fn app_proto(&self, subclass: Subs) -> Option<&'static str> {
        if self.flow.learnt == NONE {
            return None;
        }
        if let Some(spoken) = self.spoken() {
            return Some(spoken.protocol.name());
        }
        if let Some(name) = self.encrypted_dns(subclass) {
            return Some(name);
        }
        if self.quic().is_some() {
            return Some("quic");
        }
        if let Some(tls) = self.tls() {
            return Some(if tls.has(mark::DTLS) { "dtls" } else { "tls" });
        }
        if let Some(http) = self.http().and_then(|http| http.record.as_ref()).filter(|kept| !kept.list.is_empty()) {
            let upgrades = http.list.iter().filter_map(|e| e.upgrade.as_deref());
            let websocket = upgrades.into_iter().any(|to| to.eq_ignore_ascii_case("websocket"));
            return Some(if websocket { "websocket" } else { "http" });
        }
        let rest = [
            (self.dns().is_some(), self.dns_flavour()),
            (self.stun().is_some(), "stun"),
            (self.ntp().is_some(), "ntp"),
        ];
        rest.into_iter().find_map(|(seen, name)| seen.then_some(name))
    }

    /// Which of the protocols with DNS's message: their ports alone tell them apart.
    fn dns_flavour(&self) -> &'static str {
        match (self.flow.proto(), self.resp.1) {
            (proto::UDP, 5353) => "mdns",
            (proto::UDP, 5355) => "llmnr",
            (proto::UDP, 137) => "netbios-ns",
            _ => "dns",
        }
    }

    /// Which way of DNS in TLS or QUIC it is, where a hello was seen. Over HTTPS it looks like any HTTP/2 or HTTP/3 but
    /// for the server's name.
    fn encrypted_dns(&self, subclass: Subs) -> Option<&'static str> {
        let tls = self.tls().filter(|tls| !tls.has(mark::DTLS))?;
        let web = |alpn: &str| matches!(alpn, "h2" | "h3") || alpn.starts_with("h3-");
        let over_web = || tls.detail.as_ref().is_some_and(|d| d.alpn.iter().any(web));
        [Sub::Dot, Sub::Doq, Sub::Doh]
            .into_iter()
            .find(|sub| subclass.has(*sub) && (*sub != Sub::Doh || over_web()))
            .map(Sub::name)
    }

    fn message_record(&self, protocol: Protocol) -> Option<MessageRecord<'a>> {
        fn text(part: &Option<Box<str>>) -> Option<Cow<'_, str>> {
            part.as_deref().map(Cow::Borrowed)
        }
        let spoken = self.spoken().filter(|spoken| spoken.protocol == protocol)?;
        let told = |d: &'a SpokenDetail| MessageRecord {
            method: text(&d.method),
            uri: text(&d.uri),
            status: d.status,
            user_agent: text(&d.user_agent),
        };
        Some(spoken.detail.as_deref().map(told).unwrap_or_default())
    }

    fn flow_counts(&self, tcp: Option<&Tcp>) -> FlowCounts {
        let (flow, counts) = (self.flow, self.counted());
        let [pkts_toserver, pkts_toclient] = flow.oriented(counts.pkts);
        let [bytes_toserver, bytes_toclient] = flow.oriented(counts.bytes);
        let [payload_toserver, payload_toclient] = flow.oriented(counts.payload);
        let any_payload = payload_toserver != 0 || payload_toclient != 0;
        FlowCounts {
            start: flow.first,
            end: flow.last,
            age: seconds(flow.last.since(flow.first)),
            pkts_toserver,
            pkts_toclient,
            bytes_toserver,
            bytes_toclient,
            payload_toserver,
            payload_toclient,
            duplicates: u64::from(counts.duplicates),
            midstream: flow.midstream(),
            one_sided: is_one_sided(counts.pkts, self.tcp),
            interim: false,
            evicted: false,
            conn_state: match tcp {
                Some(tcp) => Some(tcp.conn_state(flow.flipped(), any_payload)),
                None => (flow.proto() == proto::TCP).then_some("OTH"),
            },
            history: tcp.map(|t| t.log.letters(flow.flipped(), flow.flipped())).unwrap_or_default(),
        }
    }

    pub(super) fn via_proxy(&self, host: &str, port: u16) -> ViaProxy<'a> {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        ViaProxy { ip: self.resp.0, port: self.resp.1, authority: Cow::Owned(authority) }
    }

    fn proxied(&self) -> Option<Proxied> {
        let haproxy::Ends { source, destination } = self.passed_on()?;
        Some(Proxied {
            src_ip: source.ip(),
            src_port: source.port(),
            dest_ip: destination.ip(),
            dest_port: destination.port(),
        })
    }

    fn tls_record(&self, known: &'a Tls) -> TlsRecord<'a> {
        let detail = known.detail.as_deref();
        TlsRecord {
            sni: known.sni().map(|at| Cow::Borrowed(self.text(at.name))),
            version: (known.version != 0).then(|| tls::version_name(known.version)),
            alpn: detail.map(|d| Cow::Borrowed(&d.alpn)).unwrap_or_default(),
            ja4: detail.and_then(|d| Fingerprints::of(&d.ja4)),
            ja3: detail.and_then(|d| Fingerprints::of(&d.ja3)),
            cipher: (known.version != 0).then(|| tls::cipher_name(known.cipher)),
            resumed: known.has(mark::RESUMED),
            ech: known.ech.name(),
            alert: known.alert.as_ref().map(|alert| tls::Alert { level: 2, description: alert.description }.name()),
            sni_segments: (known.segments > 1).then_some(u32::from(known.segments)),
            ..detail.and_then(|d| d.certificate.as_deref()).map(certificate).unwrap_or_default()
        }
    }

    fn quic_record(&self, known: &'a Quic) -> QuicRecord<'a> {
        QuicRecord {
            version: (known.version != 0).then(|| quic::version_name(known.version)),
            sni: known.sni.map(|at| Cow::Borrowed(self.text(at.name))),
            version_negotiation: known.negotiation,
            user_agent: known.user_agent.as_deref().map(Cow::Borrowed),
        }
    }

    fn dns_records(&self, known: &'a Dns) -> SmallVec<[DnsRecord<'a>; 1]> {
        let record = |e: &'a DnsExchange| DnsRecord {
            id: e.id,
            qname: e.qname.map(|name| Cow::Borrowed(self.text(name))),
            qtype: e.qtype.map(dns::qtype_name),
            rcode: e.rcode.map(dns::rcode_name),
            answers: Cow::Borrowed(&e.answers),
            ttl: e.ttl,
            rtt: e.rtt.map(seconds),
        };
        few(known.record().into_iter().flat_map(|kept| &kept.list).map(record))
    }

    fn stun_record(&self, known: &Stun) -> StunRecord<'a> {
        let method = |number: u16| match stun::method_name(number) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("0x{number:03x}")),
        };
        let detail = known.detail.as_deref();
        let methods = detail.map(|d| &d.methods[..]).unwrap_or_default();
        StunRecord {
            mapped: addresses(known.mapped.iter()),
            username: detail.and_then(|d| d.username).map(|name| Cow::Borrowed(self.text(name))),
            software: detail.and_then(|d| d.software).map(|name| Cow::Borrowed(self.text(name))),
            methods: Methods(few(methods.iter().map(|(number, counts)| (method(*number), *counts)))),
            turn: known.turn || known.channel_data > 0,
            relayed: detail.map(|d| addresses(d.relayed.iter().copied())).unwrap_or_default(),
            peers: detail.map(|d| addresses(d.peers.iter().copied())).unwrap_or_default(),
            channel_data: u64::from(known.channel_data),
            ice: detail.and_then(|d| self.ice_record(known.ice, d)),
        }
    }

    /// The other side's word tells the originator's role as well: there is one of each (RFC 8445 §6.1.1).
    fn ice_record(&self, spoken: bool, known: &StunDetail) -> Option<IceRecord> {
        let [orig, resp] = self.flow.oriented(known.controls);
        let controls = orig.or(resp.map(|controls| !controls));
        let role = controls.map(|controls| if controls { "controlling" } else { "controlled" });
        (spoken || role.is_some()).then_some(IceRecord { role, nominated: known.nominated })
    }

    fn tcp_record(&self, tcp: &Tcp) -> TcpRecord {
        let side = |second: u8| if (second == 1) == self.flow.flipped() { "orig" } else { "resp" };
        let sum = |count: fn(&Trouble) -> u64| tcp.log.troubles().iter().copied().flatten().map(count).sum();
        TcpRecord {
            rtt_min: tcp.rtt.min(),
            rtt_p95: tcp.rtt.p95(),
            retransmissions: sum(|t| u64::from(t.retransmissions)),
            out_of_order: sum(|t| u64::from(t.out_of_order)),
            zero_windows: sum(|t| u64::from(t.zero_windows)),
            window_full: sum(|t| u64::from(t.window_full)),
            rst_by: tcp.log.rst_by.map(side),
            fin_by: tcp.log.fin_by.map(side),
            mss: tcp.mss().into_iter().filter(|mss| *mss != 0).min(),
            gaps: sum(|t| u64::from(t.gaps)),
            missed_bytes: sum(|t| t.missed),
        }
    }
}

/// A short list, item by item: most have one or two, and making room for many beforehand costs more than they do.
fn few<A: smallvec::Array>(items: impl Iterator<Item = A::Item>) -> SmallVec<A> {
    let mut list = SmallVec::new();
    items.for_each(|item| list.push(item));
    list
}

/// Addresses as they are told; one told to both sides once.
fn addresses(known: impl Iterator<Item = Mapped>) -> Ends {
    let mut told: Ends = few(known.map(|mapped| End(mapped.told())));
    told.dedup();
    told
}

/// What a record tells of a certificate.
fn certificate(known: &CertificateDetail) -> TlsRecord<'_> {
    let date = |seconds: i64| jiff::Timestamp::from_second(seconds).ok().map(|time| format!("{time:.9}"));
    let leaf = &known.leaf;
    TlsRecord {
        subject: Some(Cow::Borrowed(&leaf.subject)),
        issuerdn: Some(Cow::Borrowed(&leaf.issuer)),
        serial: Some(Cow::Borrowed(&leaf.serial)),
        fingerprint: Some(Cow::Borrowed(&leaf.fingerprint)),
        notbefore: date(leaf.not_before),
        notafter: date(leaf.not_after),
        san: Cow::Borrowed(&leaf.names),
        chain_length: Some(known.chain),
        self_signed: leaf.self_issued,
        ..TlsRecord::default()
    }
}

fn ntp_record(known: &Ntp) -> NtpRecord<'_> {
    NtpRecord {
        requests: known.requests,
        replies: known.replies,
        stratum: known.server.map(|(stratum, _)| stratum),
        unsynchronised: known.server.is_some_and(|(_, leap)| leap == 3),
        kiss: known.kiss.as_deref().map(Cow::Borrowed),
        client_ahead: known.client_ahead.map(signed_seconds),
        server_ahead: known.server_ahead.map(signed_seconds),
        offset: known.offset.map(signed_seconds),
        delay: known.delay.map(signed_seconds),
    }
}

fn evidence<'a>(item: &crate::classify::verdict::Evidence<'a>) -> Evidence<'a> {
    Evidence { tier: item.tier.name(), text: item.said(), frame: item.frame }
}

fn http_records(known: &Http) -> Vec<HttpRecord<'_>> {
    fn text(part: &Option<Box<str>>) -> Option<Cow<'_, str>> {
        part.as_deref().map(Cow::Borrowed)
    }
    let kept = known.record.iter().flat_map(|kept| &kept.list);
    kept.map(|e| HttpRecord {
        method: text(&e.method),
        host: text(&e.host),
        uri: text(&e.uri),
        status: e.status,
        content_type: text(&e.content_type),
        transfer_encoding: text(&e.transfer_encoding),
        content_length: e.content_length,
        user_agent: text(&e.user_agent),
        upgrade: text(&e.upgrade),
    })
    .collect()
}
