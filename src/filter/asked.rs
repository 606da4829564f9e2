//! What a filter may ask of a flow: of a whole record, or of whatever light form of it someone keeps.

use std::net::IpAddr;

use crate::event::{Class, FlowRecord};
use crate::short::Short;

/// A flow, as far as a filter asks. Names and texts are as they were on the wire.
pub trait Asked {
    /// Its id.
    fn id(&self) -> u64;
    /// Its ends, the originator first, each with its port where the protocol has ports.
    fn ends(&self) -> [(IpAddr, Option<u16>); 2];
    /// Its class.
    fn class(&self) -> Class;
    /// More closely.
    fn subclasses(&self) -> impl Iterator<Item = &str>;
    /// Its oddities.
    fn flags(&self) -> impl Iterator<Item = &str>;
    /// The relay's region.
    fn region(&self) -> Option<&str>;
    /// How sure the class is, 0 to 1.
    fn confidence(&self) -> f64;
    /// The server names of TLS and QUIC.
    fn server_names(&self) -> impl Iterator<Item = &str>;
    /// The server name of QUIC.
    fn quic_name(&self) -> Option<&str>;
    /// The version of QUIC.
    fn quic_version(&self) -> Option<&str>;
    /// The names by which the flow itself called its responder, first those of [`Self::server_names`], and what it
    /// asked a proxy for; of one that called it nothing, those by which it was told what it is.
    fn host_names(&self) -> impl Iterator<Item = &str>;
    /// What was asked of DNS, and the answers.
    fn dns_names(&self) -> impl Iterator<Item = &str>;
    /// What it is, in the words in which a bare word is looked for.
    fn class_words(&self) -> impl Iterator<Item = &str> {
        [self.class().name()].into_iter().chain(self.subclasses()).chain(self.region())
    }
    /// The texts in which a bare word is looked for; it is looked for in the addresses, too.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.class_words().chain(self.host_names()).chain(self.dns_names())
    }
    /// The transport, and the protocols seen within.
    fn protocols(&self) -> impl Iterator<Item = &str>;
    /// The tunnels that it came out of.
    fn tunnels(&self) -> impl Iterator<Item = &str>;
    /// The VLAN ids.
    fn vlans(&self) -> impl Iterator<Item = u16>;
    /// JA4 of its hellos.
    fn ja4(&self) -> impl Iterator<Item = &str>;
    /// Its community id.
    fn community_id(&self) -> Option<Short>;
    /// How the connection stood, in Zeek's words.
    fn conn_state(&self) -> Option<&str>;
    /// The capture began within it.
    fn is_midstream(&self) -> bool;
    /// Only one direction of it was captured.
    fn is_one_sided(&self) -> bool;
    /// It had not ended when this was told.
    fn is_interim(&self) -> bool;
    /// Seconds from its first packet to its last.
    fn age(&self) -> f64;
    /// Frames, both ways, mirror copies among them.
    fn packets(&self) -> u64;
    /// How many of them were mirror copies.
    fn duplicates(&self) -> u64;
    /// Frame bytes, both ways.
    fn bytes(&self) -> u64;
    /// Payload bytes, both ways.
    fn payload(&self) -> u64;
    /// The smallest round trip of TCP, in seconds.
    fn rtt(&self) -> Option<f64>;
    /// Segments that TCP sent again.
    fn retransmissions(&self) -> Option<u64>;
}

impl Asked for FlowRecord<'_> {
    fn id(&self) -> u64 {
        self.flow_id
    }

    fn ends(&self) -> [(IpAddr, Option<u16>); 2] {
        [(self.src_ip, self.src_port), (self.dest_ip, self.dest_port)]
    }

    fn class(&self) -> Class {
        self.class
    }

    fn subclasses(&self) -> impl Iterator<Item = &str> {
        self.subclass.iter().copied()
    }

    fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().copied()
    }

    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn confidence(&self) -> f64 {
        self.confidence
    }

    fn server_names(&self) -> impl Iterator<Item = &str> {
        let tls = self.tls.as_ref().and_then(|t| t.sni.as_deref());
        tls.into_iter().chain(self.quic_name())
    }

    fn quic_name(&self) -> Option<&str> {
        self.quic.as_ref().and_then(|q| q.sni.as_deref())
    }

    fn quic_version(&self) -> Option<&str> {
        self.quic.as_ref().and_then(|q| q.version.as_deref())
    }

    fn host_names(&self) -> impl Iterator<Item = &str> {
        let http = self.http.iter().filter_map(|h| h.host.as_deref());
        let proxy = self.via_proxy.as_ref().map(|p| &*p.authority);
        let mut own = self.server_names().chain(http).chain(proxy).peekable();
        let told = own.peek().is_none().then(|| self.evidence.iter().filter_map(|reason| reason.text.name()));
        own.chain(told.into_iter().flatten())
    }

    fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.dns.iter().flat_map(|d| d.qname.as_deref().into_iter().chain(d.answers.iter()))
    }

    fn protocols(&self) -> impl Iterator<Item = &str> {
        let within = [
            ("tls", self.tls.is_some()),
            ("quic", self.quic.is_some()),
            ("dns", !self.dns.is_empty()),
            ("http", !self.http.is_empty()),
            ("stun", self.stun.is_some()),
            ("sctp", self.sctp.is_some()),
            ("rtp", self.rtp.is_some()),
            ("icmp6", self.proto == "IPv6-ICMP"),
        ];
        let within = within.into_iter().filter_map(|(name, seen)| seen.then_some(name));
        [&*self.proto].into_iter().chain(within).chain(self.app_proto)
    }

    fn tunnels(&self) -> impl Iterator<Item = &str> {
        self.tunnel.iter().copied()
    }

    fn vlans(&self) -> impl Iterator<Item = u16> {
        self.vlan.iter().copied()
    }

    fn ja4(&self) -> impl Iterator<Item = &str> {
        self.tls.as_ref().and_then(|t| t.ja4.as_ref()).into_iter().flat_map(|j| j.iter())
    }

    fn community_id(&self) -> Option<Short> {
        self.community_id
    }

    fn conn_state(&self) -> Option<&str> {
        self.flow.conn_state
    }

    fn is_midstream(&self) -> bool {
        self.flow.midstream
    }

    fn is_one_sided(&self) -> bool {
        self.flow.one_sided
    }

    fn is_interim(&self) -> bool {
        self.flow.interim
    }

    fn age(&self) -> f64 {
        self.flow.age
    }

    fn packets(&self) -> u64 {
        self.flow.pkts_toserver.saturating_add(self.flow.pkts_toclient)
    }

    fn duplicates(&self) -> u64 {
        self.flow.duplicates
    }

    fn bytes(&self) -> u64 {
        self.flow.bytes_toserver.saturating_add(self.flow.bytes_toclient)
    }

    fn payload(&self) -> u64 {
        self.flow.payload_toserver.saturating_add(self.flow.payload_toclient)
    }

    fn rtt(&self) -> Option<f64> {
        self.tcp.as_ref()?.rtt_min
    }

    fn retransmissions(&self) -> Option<u64> {
        Some(self.tcp.as_ref()?.retransmissions)
    }
}
