//! The records that relayscope tells: the one serialised schema.
//!
//! Names follow Suricata's EVE where it has one. Times are RFC 3339 UTC with nanoseconds; numbers are raw SI
//! (bytes, seconds, bits per second). What was not seen is absent, never `null`. A list holds its first entries
//! and counts the rest in `NAME_omitted`.

mod evidence;
mod finding;
pub mod labels;
mod legs;
mod protocols;
mod rfc3339;
mod site;
mod texts;
pub(crate) mod word;

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize, Serializer};

use smallvec::SmallVec;

use crate::short::{Short, with_address};
use crate::time::Timestamp;

pub use evidence::{Evidence, Said, What};
pub use finding::*;
pub use legs::*;
pub use protocols::*;
pub use rfc3339::Rfc3339;
pub use site::*;
pub use texts::Texts;

/// The version of this schema.
pub const SCHEMA_VERSION: u32 = 1;
/// How many entries a list of a record holds before it only counts.
pub const LIST_MAX: usize = 4096;

fn is_false(b: &bool) -> bool {
    !*b
}
/// An address as it is always told, with no detour: each flow has two.
fn address<S: Serializer>(address: &IpAddr, serializer: S) -> Result<S::Ok, S::Error> {
    with_address(*address, |text| serializer.serialize_str(text))
}
fn is_blank(text: &str) -> bool {
    text.is_empty()
}
fn is_zero<N: Copy + Into<u64>>(n: &N) -> bool {
    (*n).into() == 0
}

/// A few words out of closed vocabularies.
pub type Words = SmallVec<[&'static str; 4]>;

/// The classes a flow can have; the text of each is its name everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Class {
    Relay,
    P2p,
    Lsf,
    Direct,
    S3,
    Api,
    Licensing,
    Login,
    Pos,
    RemoteAssist,
    Reportstar,
    LsfControl,
    VendorOther,
    Update,
    Stun,
    Ntp,
    Dns,
    Dmp,
    Camera,
    LocalIp,
    LocalDirect,
    #[default]
    Unknown,
}

impl Class {
    /// Every class, in the order in which they are told.
    pub const ALL: [Class; 22] = [
        Class::Relay,
        Class::P2p,
        Class::Lsf,
        Class::Direct,
        Class::S3,
        Class::Api,
        Class::Licensing,
        Class::Login,
        Class::Pos,
        Class::RemoteAssist,
        Class::Reportstar,
        Class::LsfControl,
        Class::VendorOther,
        Class::Update,
        Class::Stun,
        Class::Ntp,
        Class::Dns,
        Class::Dmp,
        Class::Camera,
        Class::LocalIp,
        Class::LocalDirect,
        Class::Unknown,
    ];

    /// The class's name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Relay => "relay",
            Class::P2p => "p2p",
            Class::Lsf => "lsf",
            Class::Direct => "direct",
            Class::S3 => "s3",
            Class::Api => "api",
            Class::Licensing => "licensing",
            Class::Login => "login",
            Class::Pos => "pos",
            Class::RemoteAssist => "remote-assist",
            Class::Reportstar => "reportstar",
            Class::LsfControl => "lsf-control",
            Class::VendorOther => "vendor-other",
            Class::Update => "update",
            Class::Stun => "stun",
            Class::Ntp => "ntp",
            Class::Dns => "dns",
            Class::Dmp => "dmp",
            Class::Camera => "camera",
            Class::LocalIp => "local-ip",
            Class::LocalDirect => "local-direct",
            Class::Unknown => "unknown",
        }
    }

    /// The class of that name.
    pub fn parse(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// A flow: one bidirectional conversation between two endpoints.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowRecord<'a> {
    /// The version of this schema.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// `flow`.
    #[cfg_attr(test, schemars(extend("const" = "flow")))]
    pub event_type: &'static str,
    /// Derived from the flow's first packet; the same in every run.
    pub flow_id: u64,
    /// Community id, version 1, seed 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub community_id: Option<Short>,
    /// The originator.
    #[serde(serialize_with = "address")]
    #[cfg_attr(test, schemars(with = "IpAddr"))]
    pub src_ip: IpAddr,
    /// The originator's port, where the protocol has ports; of ICMP the type of its message, as in a community id
    /// (8 of a ping, 135 of a neighbour's solicitation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The responder.
    #[serde(serialize_with = "address")]
    #[cfg_attr(test, schemars(with = "IpAddr"))]
    pub dest_ip: IpAddr,
    /// The responder's port; of ICMP the type that answers the originator's (0 of a ping, 136 of a solicitation), or
    /// the code, where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// `TCP`, `UDP`, `SCTP`, `ICMP`, `IPv6-ICMP`, or the protocol's number.
    pub proto: Cow<'static, str>,
    /// VLAN ids, outer first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<u16>,
    /// The tunnels that its packets came out of, outer first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnel: Vec<&'static str>,
    /// What is spoken, as far as it is known: `tls`, `dtls`, `quic`, `http`, `http2`, `websocket`, `rtsp`, `sip`,
    /// `ssdp`, `ws-discovery`, `dns`, `mdns`, `llmnr`, `netbios-ns`, `dot`, `doq`, `doh` (a listed resolver, by HTTP/2
    /// or 3), `stun`, `ntp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_proto: Option<&'static str>,
    /// What was counted.
    pub flow: FlowCounts,
    /// What it is.
    pub class: Class,
    /// What it is, more closely. Relay: `idle`, `metadata`, `video-up`, `video-down`, `upload-burst`, `turn` (also of a
    /// TURN server of others, then with `other`). P2p: `wan` or `lan`; `webrtc`, `sctp-udp`, `rtp` or, where nothing
    /// came of it, `attempt`. Direct: `inbound` or `hairpin`, `contera-8887`. Lsf: `ip`, `domain-redirect`. S3:
    /// `vendor`, `other`, `unknown-bucket`. Stun: `vendor`, `other`. Update: `wsus`, `ctl`. Ntp: `vendor-pool`,
    /// `other`. Dns: `udp53`, `tcp53`, `mdns`, `llmnr`, `netbios-ns`, `dot`, `doq`, `doh`. Camera: `rtsp`. Unknown, by
    /// the reason: `midstream` (the capture began within it), `no-name`, `ech` (the name is encrypted), `encrypted-dns`
    /// (nobody saw what its client asked), `ip-literal` (an address stands in the name's place), `unlisted` (its name
    /// is of no entry of the catalogue), `truncated` (its frames were cut), `one-sided`.
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub subclass: Words,
    /// Oddities. `unusual-port`: none that is documented for what it is. `sni-ip-mismatch`: a name of the vendor's goes
    /// to an address that is private, or other than what DNS told. `ech`: an Encrypted ClientHello was offered. `quic`:
    /// the name is of a QUIC hello. `one-label`, `three-labels`: so many labels stand where a relay's name has two.
    /// `typo-host`: a misprint in the vendor's lists. `name-conflict`: its names say different things.
    /// `encrypted-dns`: it is DNS that nobody can read. `role-inferred`: what it is rests on a recorder that was told
    /// by its behaviour.
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub flags: Words,
    /// The relay's region label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    /// How sure the class is, 0 to 1.
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
    pub confidence: f64,
    /// Why it is that class.
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub evidence: SmallVec<[Evidence<'a>; 2]>,
    /// The explicit proxy that it went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via_proxy: Option<Box<ViaProxy<'a>>>,
    /// The connection that a load balancer said it passes on here (the PROXY protocol).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<Box<Proxied>>,
    /// TLS and DTLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRecord<'a>>,
    /// QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic: Option<Box<QuicRecord<'a>>>,
    /// DNS exchanges.
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub dns: SmallVec<[DnsRecord<'a>; 1]>,
    /// DNS exchanges that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub dns_omitted: u64,
    /// HTTP exchanges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRecord<'a>>,
    /// HTTP exchanges that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub http_omitted: u64,
    /// RTSP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtsp: Option<Box<MessageRecord<'a>>>,
    /// SIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<Box<MessageRecord<'a>>>,
    /// STUN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stun: Option<StunRecord<'a>>,
    /// NTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntp: Option<Box<NtpRecord<'a>>>,
    /// SCTP, over IP or UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp: Option<Box<SctpRecord>>,
    /// RTP and RTCP, encrypted or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp: Option<Box<RtpRecord>>,
    /// TCP health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpRecord>,
}

/// The counters of a flow.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowCounts {
    /// First packet.
    pub start: Timestamp,
    /// Last packet.
    pub end: Timestamp,
    /// Seconds from first to last.
    pub age: f64,
    /// Frames from the originator.
    pub pkts_toserver: u64,
    /// Frames from the responder.
    pub pkts_toclient: u64,
    /// Frame bytes on the wire from the originator.
    pub bytes_toserver: u64,
    /// Frame bytes on the wire from the responder.
    pub bytes_toclient: u64,
    /// Bytes above TCP or UDP from the originator, mirror copies left out.
    pub payload_toserver: u64,
    /// Bytes above TCP or UDP from the responder, mirror copies left out.
    pub payload_toclient: u64,
    /// Frames that were mirror copies of another.
    #[serde(skip_serializing_if = "is_zero")]
    pub duplicates: u64,
    /// The capture began within the flow.
    #[serde(skip_serializing_if = "is_false")]
    pub midstream: bool,
    /// Only one direction was captured.
    #[serde(skip_serializing_if = "is_false")]
    pub one_sided: bool,
    /// The flow had not ended when this was written.
    #[serde(skip_serializing_if = "is_false")]
    pub interim: bool,
    /// It was let go of before its end, to keep below `--max-memory`: later packets of it are another flow.
    #[serde(skip_serializing_if = "is_false")]
    pub evicted: bool,
    /// How the connection stood, in Zeek's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_state: Option<&'static str>,
    /// What happened on it, in Zeek's letters.
    #[serde(skip_serializing_if = "is_blank")]
    pub history: Short,
}

/// An explicit proxy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ViaProxy<'a> {
    /// The proxy's address.
    pub ip: IpAddr,
    /// The proxy's port.
    pub port: u16,
    /// What it was asked for, `host:port`.
    pub authority: Cow<'a, str>,
}

/// A connection that a load balancer passes on, by the ends that it had before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Proxied {
    /// Who made it.
    pub src_ip: IpAddr,
    /// From which port.
    pub src_port: u16,
    /// To whom.
    pub dest_ip: IpAddr,
    /// To which port.
    pub dest_port: u16,
}

/// What the capture itself is worth.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CaptureQuality {
    /// `capture_quality`.
    #[cfg_attr(test, schemars(extend("const" = "capture_quality")))]
    pub event_type: &'static str,
    /// Frames read.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// The first frame's time; in a capture that is not in order, the earliest of those that are out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// The last frame's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Link types, by name.
    pub link_types: Vec<String>,
    /// Frames that the kernel dropped, where the capture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_drops: Option<u64>,
    /// Frames that the interface dropped, where the capture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_drops: Option<u64>,
    /// Frames dropped between capture and analysis.
    pub queue_drops: u64,
    /// Packets that were counted and not inspected, for want of time: of bulk flows, and of flows between strangers.
    #[serde(skip_serializing_if = "is_zero")]
    pub shed_packets: u64,
    /// Frames that were counted and not analyzed at all, for want of time: they are in no flow.
    #[serde(skip_serializing_if = "is_zero")]
    pub shed_frames: u64,
    /// Frames whose time is more than a second before that of one that stands before them, where it runs back in a
    /// flow, too: the capture is not in order. Captures of the same time that share no flow may well stand one after
    /// the other.
    #[serde(skip_serializing_if = "is_zero")]
    pub earlier_frames: u64,
    /// Share of frames that are mirror copies, 0 to 1.
    pub duplicate_share: f64,
    /// Share of TCP flows with payload of which one direction was captured, 0 to 1.
    pub one_sided_share: f64,
    /// How many such flows there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub one_sided_flows: u64,
    /// Frames that the capture cut.
    pub cut_frames: u64,
    /// The most bytes that it kept of one of them; of those that were only counted it is not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_at: u64,
    /// Bytes that TCP acknowledged and the capture does not hold.
    pub missed_bytes: u64,
    /// Their share of all payload bytes, held and missed, 0 to 1.
    pub missed_share: f64,
    /// Undecoded frames by reason.
    pub undecoded: std::collections::BTreeMap<&'static str, u64>,
    /// What was wrong with the input, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do about it, in a sentence or two.
    pub advice: String,
    /// That says nothing but good of it.
    #[serde(skip)]
    pub sound: bool,
}

/// Counts of the run; where things are told as they happen, until then.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats {
    /// `stats`.
    #[cfg_attr(test, schemars(extend("const" = "stats")))]
    pub event_type: &'static str,
    /// Frames read or captured.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Flows seen, those that are no longer held among them.
    pub flows: u64,
    /// Flows that the next packet of their addresses and ports would belong to. That is not how many are open: TCP that
    /// is closed or reset stays one for a minute of packet time, never answered for 5, UDP and others for 10, and
    /// silent TCP for 124. In `flows` and not here is what is over.
    pub active_flows: u64,
    /// Flows in whose ClientHello a server name stands, those of DTLS left out.
    pub tls_sni_flows: u64,
    /// Flows with a handshake of DTLS.
    pub dtls_flows: u64,
    /// Flows with QUIC.
    pub quic_flows: u64,
    /// Flows with messages of DNS in clear, mDNS, LLMNR and NetBIOS names among them.
    pub dns_flows: u64,
    /// Questions in them that were seen answered.
    pub dns_exchanges: u64,
    /// Flows with STUN.
    pub stun_flows: u64,
    /// Requests of HTTP in clear.
    pub http_requests: u64,
    /// Responses of HTTP in clear.
    pub http_responses: u64,
    /// Frames whose link layer or IP is cut short, broken, or stacked too deep. What is merely not read (ARP) is none;
    /// `undecoded` of `capture_quality` has all by reason.
    pub decode_errors: u64,
    /// Frames that the kernel dropped; 0 where nobody says.
    pub kernel_drops: u64,
    /// Frames that the interface dropped; 0 where nobody says.
    pub interface_drops: u64,
    /// Frames dropped between capture and analysis.
    pub queue_drops: u64,
    /// Flows that are no longer held: told and forgotten, or let go of early.
    pub evicted_flows: u64,
    /// Bytes that the tables of flows, streams and names hold. What `--max-memory` goes by is more: the lists and texts
    /// of single flows, and what the last judgement holds.
    pub memory_bytes: u64,
    /// Packets that were counted and not inspected, for want of time.
    pub shed_packets: u64,
    /// Frames that were counted and not analyzed at all, for want of time.
    #[serde(skip_serializing_if = "is_zero")]
    pub shed_frames: u64,
    /// Questions of DNS for the system's names that there was no room to keep: those who asked most lose them.
    #[serde(skip_serializing_if = "is_zero")]
    pub questions_omitted: u64,
    /// Names and other texts that there was no room to keep.
    #[serde(skip_serializing_if = "is_zero")]
    pub names_omitted: u64,
    /// What of it came since the record before; only where things are told as they happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<StatsInterval>,
}

/// Counts since the record before.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatsInterval {
    /// How long that was, in seconds of packet time.
    pub seconds: f64,
    /// Frames that came.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Flows that began.
    pub flows: u64,
    /// Frames that the kernel dropped.
    pub kernel_drops: u64,
    /// Frames that the interface dropped.
    pub interface_drops: u64,
    /// Frames dropped between capture and analysis.
    pub queue_drops: u64,
    /// Packets that were counted and not inspected.
    pub shed_packets: u64,
    /// Frames that were counted and not analyzed at all.
    #[serde(skip_serializing_if = "is_zero")]
    pub shed_frames: u64,
}

impl Stats {
    /// What came between `before` and these counts, `seconds` later.
    pub fn since(&self, before: &Stats, seconds: f64) -> StatsInterval {
        StatsInterval {
            seconds,
            frames: self.frames.saturating_sub(before.frames),
            bytes: self.bytes.saturating_sub(before.bytes),
            flows: self.flows.saturating_sub(before.flows),
            kernel_drops: self.kernel_drops.saturating_sub(before.kernel_drops),
            interface_drops: self.interface_drops.saturating_sub(before.interface_drops),
            queue_drops: self.queue_drops.saturating_sub(before.queue_drops),
            shed_packets: self.shed_packets.saturating_sub(before.shed_packets),
            shed_frames: self.shed_frames.saturating_sub(before.shed_frames),
        }
    }
}

#[cfg(test)]
mod schema;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_name() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.name()), Some(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.name()));
        }
    }
}
