//! What single protocols showed on a flow: the parts of a [`super::FlowRecord`].

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use smallvec::SmallVec;

use super::{Texts, is_false, is_zero};
use crate::short::Short;

fn is_empty(list: &Texts) -> bool {
    list.is_empty()
}

fn no_names(list: &[String]) -> bool {
    list.is_empty()
}

/// An address and port, told as `addr:port` or `[addr]:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End(pub SocketAddr);

/// Ends, most often one.
pub type Ends = SmallVec<[End; 1]>;

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SocketAddr::V4(end) = self.0 else { return serializer.collect_str(&self.0) };
        let mut text = Short::address(end.ip().octets());
        text.push(b":");
        text.push_number(end.port());
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
crate::short::schema_of!(End is String);

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
    #[serde(skip_serializing_if = "is_empty")]
    pub alpn: Cow<'a, Texts>,
    /// JA4 of the ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<Fingerprints<'a>>,
    /// JA3 of the ClientHello, an MD5 in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3: Option<Fingerprints<'a>>,
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
    #[serde(skip_serializing_if = "no_names")]
    pub san: Cow<'a, [String]>,
    /// How many certificates came, itself and those that vouch for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_length: Option<usize>,
    /// It names itself as its issuer.
    #[serde(skip_serializing_if = "is_false")]
    pub self_signed: bool,
    /// Whether the session was resumed, where that shows.
    #[serde(skip_serializing_if = "is_false")]
    pub resumed: bool,
    /// An encrypted ClientHello (RFC 9849): `offered` (real or a decoy, taken up or not: that does not show),
    /// `accepted` (the server has taken it up), `outer` (refused or a decoy: what counts is what is told here).
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
pub enum Fingerprints<'a> {
    /// Of the only hello, or of all.
    One(Cow<'a, str>),
    /// Of each that differs.
    Several(Vec<Cow<'a, str>>),
}

impl<'a> Fingerprints<'a> {
    /// Those of `prints`, if there are any.
    pub fn of<P: AsRef<str>>(prints: &'a [P]) -> Option<Fingerprints<'a>> {
        let text = |print: &'a P| Cow::Borrowed(print.as_ref());
        match prints {
            [] => None,
            [one] => Some(Fingerprints::One(text(one))),
            several => Some(Fingerprints::Several(several.iter().map(text).collect())),
        }
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Fingerprints::One(one) => std::slice::from_ref(one),
            Fingerprints::Several(several) => several,
        };
        list.iter().map(|print| &**print)
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
    #[serde(skip_serializing_if = "is_empty")]
    pub answers: Cow<'a, Texts>,
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
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub mapped: Ends,
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
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub relayed: Ends,
    /// The peers that it relays to.
    #[serde(skip_serializing_if = "SmallVec::is_empty")]
    pub peers: Ends,
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

/// What NTP showed. Differences of clocks are of the last packet or exchange that tells them, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NtpRecord<'a> {
    /// Requests.
    pub requests: u32,
    /// Replies.
    pub replies: u32,
    /// How many clocks the server is from a reference clock (RFC 5905 §7.3); 0 with a kiss-o'-death.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stratum: Option<u8>,
    /// The server says that its own clock is not set.
    #[serde(skip_serializing_if = "is_false")]
    pub unsynchronised: bool,
    /// Why the server gives no time: `RATE`, `DENY` (RFC 5905 §7.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kiss: Option<Cow<'a, str>>,
    /// By how much the client's clock is ahead of the capture's. Absent where the client hides its clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ahead: Option<f64>,
    /// By how much the server's clock is ahead of the capture's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ahead: Option<f64>,
    /// By how much the server's clock is ahead of the client's (RFC 5905 §8), out by half of `delay` at most, and by
    /// the way from the client to where the capture was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// The way from where the capture was made to the server and back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<f64>,
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
pub struct Methods(pub SmallVec<[(Cow<'static, str>, MethodCounts); 1]>);

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
