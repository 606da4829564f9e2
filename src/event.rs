//! The records that relayscope tells: the one serialised schema.
//!
//! Names follow Suricata's EVE where it has one. Times are RFC 3339 UTC with nanoseconds; numbers are raw SI
//! (bytes, seconds, bits per second). What was not seen is absent, never `null`. A list holds its first entries
//! and counts the rest in `NAME_omitted`.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::time::{SECOND, Timestamp};

/// The version of this schema.
pub const SCHEMA_VERSION: u32 = 1;
/// How many entries a list of a record holds before it only counts.
pub const LIST_MAX: usize = 4096;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Rfc3339(*self).text();
        // Digits and ASCII marks only.
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A timestamp as RFC 3339 text in UTC with nanoseconds.
pub struct Rfc3339(pub Timestamp);

impl Rfc3339 {
    /// The text, by hand: a record has two of them, and formatting would cost more than all its other fields.
    /// The greatest timestamp falls in the year 2554, so four digits are enough.
    fn text(&self) -> [u8; 30] {
        let (days, rest) = (self.0.0 / SECOND / 86_400, self.0.0 / SECOND % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], rest / 3600);
        digits(&mut text[14..16], rest / 60 % 60);
        digits(&mut text[17..19], rest % 60);
        digits(&mut text[20..29], self.0.0 % SECOND);
        text
    }
}

/// Writes a number into all of `out`, its last digit last.
fn digits(out: &mut [u8], mut number: u64) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

/// The proleptic Gregorian date of a number of days since the Unix epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn is_false(b: &bool) -> bool {
    !*b
}
fn is_zero<N: Copy + Into<u64>>(n: &N) -> bool {
    (*n).into() == 0
}

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
    pub community_id: Option<String>,
    /// The originator.
    pub src_ip: IpAddr,
    /// The originator's port, where the protocol has ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The responder.
    pub dest_ip: IpAddr,
    /// The responder's port.
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
    /// What is spoken, as far as it is known: `tls`, `dtls`, `quic`, `http`, `http2`, `websocket`, `rtsp`, `sip`, `ssdp`,
    /// `ws-discovery`, `dns`, `stun`, `ntp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_proto: Option<&'static str>,
    /// What was counted.
    pub flow: FlowCounts,
    /// What it is.
    pub class: Class,
    /// What it is, more closely.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subclass: Vec<&'static str>,
    /// Oddities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<&'static str>,
    /// The relay's region label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    /// How sure the class is, 0 to 1.
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
    pub confidence: f64,
    /// Why it is that class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The explicit proxy that it went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via_proxy: Option<ViaProxy<'a>>,
    /// The connection that a load balancer said it passes on here (the PROXY protocol).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<Proxied>,
    /// TLS and DTLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRecord<'a>>,
    /// QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic: Option<QuicRecord<'a>>,
    /// DNS exchanges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<DnsRecord<'a>>,
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
    pub rtsp: Option<MessageRecord<'a>>,
    /// SIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<MessageRecord<'a>>,
    /// STUN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stun: Option<StunRecord<'a>>,
    /// SCTP, over IP or UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp: Option<SctpRecord>,
    /// RTP and RTCP, encrypted or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp: Option<RtpRecord>,
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
    /// How the connection stood, in Zeek's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_state: Option<&'static str>,
    /// What happened on it, in Zeek's letters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub history: String,
}

/// One reason for a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence {
    /// `E1` (strongest) to `E7`.
    pub tier: &'static str,
    /// In words.
    pub text: String,
    /// The frame that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
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

/// What TLS or DTLS showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TlsRecord<'a> {
    /// The server name asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<Cow<'a, str>>,
    /// The version agreed on, else the highest offered: `TLSv1.3`, `DTLSv1.2`, `SSLv3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'static, str>>,
    /// The application protocols offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<Cow<'a, str>>,
    /// JA4 of the ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<Fingerprints>,
    /// JA3 of the ClientHello, an MD5 in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3: Option<Fingerprints>,
    /// The cipher suite agreed on, by its IANA name or `0x` number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Cow<'static, str>>,
    /// Whose the server's certificate is, where it came in the clear: `C=…, O=…, CN=…`. So the fields that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// Who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuerdn: Option<Cow<'a, str>>,
    /// Its number, in hex with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Cow<'a, str>>,
    /// SHA-1 of it, in hex with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Cow<'a, str>>,
    /// From when on it holds, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notbefore: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notafter: Option<String>,
    /// The host names and addresses that it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub san: Vec<Cow<'a, str>>,
    /// How many certificates came, itself and those that vouch for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_length: Option<usize>,
    /// It names itself as its issuer.
    #[serde(skip_serializing_if = "is_false")]
    pub self_signed: bool,
    /// Whether the session was resumed, where that shows.
    #[serde(skip_serializing_if = "is_false")]
    pub resumed: bool,
    /// `grease` or `offered`: an encrypted ClientHello extension was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ech: Option<&'static str>,
    /// The first fatal alert in the clear, by its name in RFC 8446 §6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Cow<'static, str>>,
    /// How many TCP segments the ClientHello came in, where more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni_segments: Option<u32>,
}

/// A fingerprint of the ClientHello: a string; a list of them, in order, where hellos of one flow differ, as the second
/// may that a HelloRetryRequest asks for (RFC 8446 §4.1.2).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Fingerprints {
    /// Of the only hello, or of all.
    One(String),
    /// Of each that differs.
    Several(Vec<String>),
}

impl Fingerprints {
    /// Those of `prints`, if there are any.
    pub fn of<P: AsRef<str>>(prints: &[P]) -> Option<Fingerprints> {
        match prints {
            [] => None,
            [one] => Some(Fingerprints::One(one.as_ref().to_owned())),
            several => Some(Fingerprints::Several(several.iter().map(|p| p.as_ref().to_owned()).collect())),
        }
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Fingerprints::One(one) => std::slice::from_ref(one),
            Fingerprints::Several(several) => several,
        };
        list.iter().map(String::as_str)
    }
}

/// What QUIC showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QuicRecord<'a> {
    /// The version spoken: `v1`, `v2`, `draft-29`, `Q046`, or its number as `0xfaceb002`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'static, str>>,
    /// The server name asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<Cow<'a, str>>,
    /// The server refused a version and named those that it speaks.
    #[serde(skip_serializing_if = "is_false")]
    pub version_negotiation: bool,
    /// The client's software, where Google's own handshake names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
}

/// A DNS exchange, or the half of it that was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DnsRecord<'a> {
    /// The message id.
    pub id: u16,
    /// The name asked for, without the last dot; the root is `.`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qname: Option<Cow<'a, str>>,
    /// The type asked for: `A`, `AAAA`, … or `TYPE123`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qtype: Option<Cow<'static, str>>,
    /// The answer's code: `NOERROR`, `NXDOMAIN`, … or its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<Cow<'static, str>>,
    /// The text of each answer record's data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Cow<'a, str>>,
    /// The smallest TTL of the answers, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Seconds from query to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<f64>,
}

/// An HTTP exchange, or the half of it that was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HttpRecord<'a> {
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The `Host` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Cow<'a, str>>,
    /// The request target as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<Cow<'a, str>>,
    /// The response's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The response's `Content-Type`, else the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Cow<'a, str>>,
    /// The `Transfer-Encoding`, of the response if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_encoding: Option<Cow<'a, str>>,
    /// The `Content-Length`, of the response if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    /// The request's `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
    /// What the connection became by a `101`: `websocket`, `h2c`, as the response writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Cow<'a, str>>,
}

/// What RTSP or SIP showed: the first request, and the first response's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageRecord<'a> {
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// What the request is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<Cow<'a, str>>,
    /// The response's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The first `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
}

/// What STUN showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StunRecord<'a> {
    /// The mapped addresses told, `addr:port` or `[addr]:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<String>,
    /// The ICE user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Cow<'a, str>>,
    /// The peer's software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<Cow<'a, str>>,
    /// Exchanges by method.
    pub methods: Methods,
    /// TURN was spoken.
    #[serde(skip_serializing_if = "is_false")]
    pub turn: bool,
    /// The addresses that a TURN server relays from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relayed: Vec<String>,
    /// The peers that it relays to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Messages of TURN's channels.
    #[serde(skip_serializing_if = "is_zero")]
    pub channel_data: u64,
    /// ICE was spoken, between the two ends or through TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice: Option<IceRecord>,
}

/// What ICE showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IceRecord {
    /// The originator's role at last, `controlling` or `controlled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// A pair of candidates was nominated.
    #[serde(skip_serializing_if = "is_false")]
    pub nominated: bool,
}

/// What SCTP showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SctpRecord {
    /// The originator's port within SCTP, over UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The responder's port within SCTP, over UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// The verification tag of packets to the responder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_toserver: Option<u32>,
    /// The verification tag of packets to the originator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_toclient: Option<u32>,
    /// The types of chunks among the first packets.
    pub chunks: Vec<&'static str>,
}

/// What RTP and RTCP showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RtpRecord {
    /// The streams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<RtpStream>,
    /// Packets of streams that the list has no room for.
    #[serde(skip_serializing_if = "is_zero")]
    pub streams_omitted: u64,
    /// RTCP reports.
    #[serde(skip_serializing_if = "is_zero")]
    pub reports: u64,
}

/// A stream of RTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RtpStream {
    /// Its source's identifier.
    pub ssrc: u32,
    /// The payload type of its last packet (RFC 3551 §6).
    pub payload_type: u8,
    /// Its packets go to the originator.
    #[serde(skip_serializing_if = "is_false")]
    pub toclient: bool,
    /// Packets seen.
    pub packets: u32,
    /// Packets missing, by their sequence numbers.
    pub lost: u32,
}

/// STUN exchanges by method name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Methods(pub Vec<(Cow<'static, str>, MethodCounts)>);

impl Serialize for Methods {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, counts) in &self.0 {
            map.serialize_entry(name, counts)?;
        }
        map.end()
    }
}

/// How often a STUN method was asked and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MethodCounts {
    /// Requests.
    pub requests: u32,
    /// Success responses.
    pub success: u32,
    /// Error responses.
    pub error: u32,
}

/// The health of a TCP connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TcpRecord {
    /// Smallest round trip in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_min: Option<f64>,
    /// 95th percentile of round trips in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_p95: Option<f64>,
    /// Retransmitted segments.
    pub retransmissions: u64,
    /// Segments that overtook others.
    pub out_of_order: u64,
    /// Zero windows announced.
    pub zero_windows: u64,
    /// Segments that filled the peer's window.
    pub window_full: u64,
    /// Who sent the first RST: `orig` or `resp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rst_by: Option<&'static str>,
    /// Who sent the first FIN: `orig` or `resp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fin_by: Option<&'static str>,
    /// The smaller maximum segment size announced, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mss: Option<u16>,
    /// Holes in what was captured.
    pub gaps: u64,
    /// Bytes in those holes.
    pub missed_bytes: u64,
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
    /// The first frame's time.
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
    /// Share of frames that are mirror copies, 0 to 1.
    pub duplicate_share: f64,
    /// Share of TCP flows with payload of which one direction was captured, 0 to 1.
    pub one_sided_share: f64,
    /// Frames that the capture cut.
    pub cut_frames: u64,
    /// Bytes that TCP acknowledged and the capture does not hold.
    pub missed_bytes: u64,
    /// Undecoded frames by reason.
    pub undecoded: std::collections::BTreeMap<&'static str, u64>,
    /// What was wrong with the input, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do about it, in one sentence.
    pub advice: String,
}

/// Counts of the run.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs)]
pub struct Stats {
    #[cfg_attr(test, schemars(extend("const" = "stats")))]
    pub event_type: &'static str,
    pub frames: u64,
    pub bytes: u64,
    pub flows: u64,
    pub active_flows: u64,
    pub tls_sni_flows: u64,
    pub dtls_flows: u64,
    pub quic_flows: u64,
    pub dns_flows: u64,
    pub dns_exchanges: u64,
    pub stun_flows: u64,
    pub http_requests: u64,
    pub http_responses: u64,
    pub decode_errors: u64,
    pub kernel_drops: u64,
    pub interface_drops: u64,
    pub queue_drops: u64,
    pub evicted_flows: u64,
    pub memory_bytes: u64,
    pub shed_packets: u64,
}

#[cfg(test)]
mod schema;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rfc_3339_in_utc() {
        let text = |s, n| Rfc3339(Timestamp::from_parts(s, n)).to_string();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(1_709_251_199, 7), "2024-02-29T23:59:59.000000007Z");
        assert_eq!(text(1_750_000_000, 999_999_999), "2025-06-15T15:06:40.999999999Z");
        assert_eq!(text(4_102_444_800, 0), "2100-01-01T00:00:00.000000000Z");
        assert_eq!(text(u64::MAX, 0), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn every_class_has_its_own_name() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.name()), Some(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.name()));
        }
    }
}
