//! What the engine hands over about one flow: plain, borrowed, `Copy`.

use std::net::IpAddr;

use crate::time::Timestamp;

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;

/// A name that a flow carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The name as on the wire, without a port.
    pub name: &'a str,
    /// Its number in the [`super::names::NameTable`], where it has one: spares the look-up.
    pub id: Option<u32>,
    /// The frame that completed it.
    pub frame: u64,
}

/// What a proxy was asked for: a `CONNECT` authority or the host of an absolute-form URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host, without the port.
    pub host: Seen<'a>,
    /// The port.
    pub port: u16,
}

/// What was seen of STUN on a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StunFacts {
    /// The frame of the first message.
    pub frame: u64,
    /// An ICE attribute was there (RFC 8445 §7.1).
    pub ice: bool,
    /// Requests by direction, originator's first.
    pub requests: [u32; 2],
    /// Success responses, both directions together.
    pub success: u32,
    /// TURN ChannelData messages.
    pub channel_data: u32,
    /// TURN methods or ChannelData were spoken.
    pub turn: bool,
}

/// What the rate windows showed, by direction, originator's first. The thresholds are
/// [`super::rules::Relay`]'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Windows at video rate, one way far above the other.
    pub video_windows: [u32; 2],
    /// Windows that carried a burst after an idle one.
    pub bursts: [u32; 2],
}

/// One flow's facts. Pairs are by direction, originator's first.
#[derive(Clone, Copy, Debug)]
pub struct FlowFacts<'a> {
    /// The IP protocol number.
    pub proto: u8,
    /// The originator.
    pub orig: (IpAddr, u16),
    /// The responder.
    pub resp: (IpAddr, u16),
    /// The first packet's time.
    pub start: Timestamp,
    /// The last packet's time.
    pub end: Timestamp,
    /// The first packet's frame.
    pub first_frame: u64,
    /// It ran before the capture began.
    pub midstream: bool,
    /// One direction only was captured.
    pub one_sided: bool,
    /// Frames were cut before the evidence.
    pub cut: bool,
    /// A TCP handshake was completed, or data went both ways.
    pub established: bool,
    /// Packets.
    pub pkts: [u64; 2],
    /// Frame bytes.
    pub bytes: [u64; 2],
    /// Payload bytes above TCP or UDP.
    pub payload: [u64; 2],
    /// The server name of a TLS (or DTLS) ClientHello; inside a `CONNECT` tunnel too.
    pub sni: Option<Seen<'a>>,
    /// The server name of a QUIC Initial.
    pub quic_sni: Option<Seen<'a>>,
    /// The first HTTP `Host`, without the port.
    pub http_host: Option<Seen<'a>>,
    /// What an explicit proxy was asked for.
    pub authority: Option<Authority<'a>>,
    /// The subject of a server certificate in the clear.
    pub cert_name: Option<Seen<'a>>,
    /// An encrypted ClientHello was there that may hide the name that counts.
    pub ech: bool,
    /// The first ClientHello's frame, where that is for DNS over TLS or QUIC.
    pub dns_offered: Option<u64>,
    /// The first frame with `Content-Type: message/http`.
    pub message_http: Option<u64>,
    /// The first DNS message's frame.
    pub dns: Option<u64>,
    /// The first NTP packet's frame.
    pub ntp: Option<u64>,
    /// STUN.
    pub stun: Option<StunFacts>,
    /// The first DTLS record's frame.
    pub dtls: Option<u64>,
    /// The first frame of SCTP, over UDP or IP, with a valid CRC32c.
    pub sctp: Option<u64>,
    /// Datagrams that look like RTP or SRTP.
    pub rtp: u32,
    /// Datagrams that are not STUN.
    pub media_datagrams: u32,
    /// The first RTSP message's frame.
    pub rtsp: Option<u64>,
    /// What the rate windows showed.
    pub rates: Rates,
}

impl<'a> FlowFacts<'a> {
    /// A flow of which only its endpoints and start are known.
    pub fn new(proto: u8, orig: (IpAddr, u16), resp: (IpAddr, u16), start: Timestamp) -> FlowFacts<'a> {
        FlowFacts {
            proto,
            orig,
            resp,
            start,
            end: start,
            first_frame: 0,
            midstream: false,
            one_sided: false,
            cut: false,
            established: false,
            pkts: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            sni: None,
            quic_sni: None,
            http_host: None,
            authority: None,
            cert_name: None,
            ech: false,
            dns_offered: None,
            message_http: None,
            dns: None,
            ntp: None,
            stun: None,
            dtls: None,
            sctp: None,
            rtp: 0,
            media_datagrams: 0,
            rtsp: None,
            rates: Rates::default(),
        }
    }

    /// The name that the flow carries for its server, strongest first: what a tunnel or TLS says beats HTTP.
    pub fn carried(&self) -> Option<Seen<'a>> {
        self.sni
            .or(self.quic_sni)
            .or(self.authority.map(|a| a.host))
            .or(self.http_host)
            .or(self.cert_name)
            .filter(|s| !is_literal(s.name))
    }
}

/// Whether a name is an address. One ends in a digit, or has a colon.
pub fn is_literal(name: &str) -> bool {
    let may_be = name.bytes().next_back().is_some_and(|b| b.is_ascii_hexdigit() || b == b':');
    may_be && name.parse::<IpAddr>().is_ok()
}

/// A host as written in a `Host` header or an authority, without port and brackets.
pub fn without_port(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_brackets_go() {
        for (text, host) in [
            ("a.b:80", "a.b"),
            ("a.b", "a.b"),
            ("a.b:", "a.b"),
            ("[::1]:443", "::1"),
            ("[::1", "::1"),
            ("::1", "::1"),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(without_port(text), host, "{text}");
        }
    }
}
