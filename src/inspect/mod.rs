//! Inspectors: what a payload says, as facts.
//!
//! An inspector reads wire bytes through [`crate::wire::Reader`] and reports [`Fact`]s that borrow from them. It
//! knows no flow table, no clock and no names, and it judges nothing. Datagram inspectors are plain functions;
//! stream inspectors are small state machines that are fed the bytes of both directions in order and say, by
//! [`Progress`], how much they took, how much they do not need to see, and when they are done.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod dns;
pub mod dtls;
pub mod haproxy;
pub mod http;
pub mod ja;
pub mod message;
pub mod ntp;
pub mod openvpn;
pub mod pieces;
pub mod portmap;
pub mod quic;
pub mod rtp;
pub mod sctp;
pub mod socks;
pub mod stun;
pub mod tls;
pub mod x509;

/// Which way bytes travel, seen from the flow's originator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the originator to the responder.
    Orig,
    /// From the responder to the originator.
    Resp,
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Direction::Orig => Direction::Resp,
            Direction::Resp => Direction::Orig,
        }
    }
}

/// One thing that was on the wire. Everything is borrowed from the bytes that were inspected.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A whole TLS or DTLS ClientHello, in QUIC too.
    ClientHello(tls::ClientHello<'a>),
    /// A whole TLS or DTLS ServerHello, in QUIC too (a HelloRetryRequest too).
    ServerHello(tls::ServerHello<'a>),
    /// A server's certificates in the clear.
    Certificates(tls::Chain<'a>),
    /// An alert in the clear.
    Alert(tls::Alert),
    /// The head of an HTTP/1.x request.
    HttpRequest(http::Request<'a>),
    /// The head of an HTTP/1.x response.
    HttpResponse(http::Response<'a>),
    /// A DNS message.
    Dns(dns::Message<'a>),
    /// A message of NetBIOS's name service.
    NetBiosName,
    /// A STUN message.
    Stun(stun::Message<'a>),
    /// A datagram inside STUN's or TURN's.
    Carried(stun::Carried<'a>),
    /// An NTP packet.
    Ntp(ntp::Packet),
    /// The outside address that a router tells of itself.
    Outside(std::net::IpAddr),
    /// A packet of SCTP, over IP or UDP.
    Sctp(sctp::Packet),
    /// QUIC was spoken.
    Quic(quic::Quic<'a>),
    /// What a SOCKS proxy is asked for.
    SocksRequest(socks::Request<'a>),
    /// What a load balancer says of the connection that it passes on.
    ProxyHeader(haproxy::Header),
    /// A message of a protocol in the manner of HTTP, or HTTP/2's preface.
    Message(message::Message<'a>),
}

/// What a stream inspector made of the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of the bytes shown are dealt with. The rest is shown again, with more behind it.
    pub consumed: usize,
    /// How many bytes after the consumed ones need not be shown (a body's, say); they may even be missing.
    pub skip: u64,
    /// What is wanted next.
    pub next: Next,
}

/// What a stream inspector wants next from the direction it was fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes of this direction.
    More,
    /// Nothing more of this direction: it need not be looked at again.
    Done,
    /// Nothing more of either direction.
    Finished,
    /// From here on both directions carry another protocol (after `CONNECT`, say): probe it afresh.
    Handover,
    /// These bytes are not of this protocol, or broken beyond use.
    Reject,
}

/// A state machine over the two directions of one TCP connection.
///
/// The caller shows, per direction, the bytes not yet consumed, contiguous and in order. It caps what it will hold
/// back for an inspector that consumes nothing ([`MAX_HELD`]), and calls [`StreamInspector::gap`] when bytes that
/// were wanted are missing for good.
pub trait StreamInspector {
    /// Looks at `bytes`, the unconsumed bytes of `direction`, and reports each fact to `emit`.
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress;

    /// Bytes of `direction` are missing; what is shown next begins after the hole. False: no use in going on.
    fn gap(&mut self, direction: Direction) -> bool;

    /// Bytes of memory held besides the inspector itself.
    fn memory(&self) -> usize {
        0
    }

    /// The unconsumed `bytes` of `direction` will not be continued (a hole or the end follows): what they show as they
    /// stand is reported to `emit`.
    fn cut_short(&mut self, _direction: Direction, _bytes: &[u8], _emit: &mut dyn FnMut(Direction, Fact<'_>)) {}
}

/// The most unconsumed bytes held back for one direction of one flow.
pub const MAX_HELD: usize = 65_536;

/// What a first look at a stream says of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol.
    Match,
    /// It may be, with more bytes.
    Unsure,
    /// It is not.
    Reject,
}
