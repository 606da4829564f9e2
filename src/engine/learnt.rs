//! What the payload of a flow has told: the facts that are kept.
//!
//! Small, since there may be millions: names are numbers, lists exist only where records are wanted.

mod addresses;
mod dns;
mod stun;

use std::sync::Arc;

use smallvec::SmallVec;

pub use addresses::{Addresses, Told};
pub use dns::{Answer, Asked, Dns, DnsExchange, DnsList, Exchanges, PendingQuery, Reply, Speed};
pub use stun::{Mapped, MappedList, Stun, StunDetail};

use super::learn::ech::Ech;
use crate::decode::Addr;
use crate::event::Texts;
use crate::inspect::message::Protocol;
use crate::inspect::rtp::Source;
use crate::inspect::tls::{Alert, walk::Walks};
use crate::inspect::x509::Certificate;
use crate::time::Timestamp;

/// Where something was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub ts: Timestamp,
    /// In which frame.
    pub frame: u64,
}

/// A name and the frame that showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAt {
    /// The name's number in the shard's strings.
    pub name: u32,
    /// The frame's number.
    pub frame: u64,
}

/// TLS or DTLS of one flow.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The frame of the first ClientHello, or of the first with a name if that came later; 0 is none.
    pub hello_frame: u64,
    /// What only a record needs, or a flow whose client has asked for no name.
    pub detail: Option<Box<TlsDetail>>,
    /// A digest of the session id offered, 0 for none: a server that takes it up (TLS 1.2) sends it back.
    pub session: u32,
    /// The first server name asked for; 0, which is no name's number, is none.
    pub name: u32,
    /// The highest version offered.
    pub offered: u16,
    /// The version chosen; 0 is none.
    pub version: u16,
    /// The cipher suite chosen; valid with `version`.
    pub cipher: u16,
    /// The first fatal alert in the clear.
    pub alert: Option<Box<AlertSeen>>,
    /// Where each side's next record begins.
    pub walks: Walks,
    /// What was exchanged behind the handshake.
    pub flight: Option<Box<Flight>>,
    /// What else is known of it; [`tls`] has the bits.
    pub marks: u8,
    /// An encrypted ClientHello inside the ClientHello, or a decoy of one.
    pub ech: Ech,
    /// Segments that the first ClientHello came in.
    pub segments: u16,
    /// Bytes of the segment that was the first ClientHello, where no stream was needed for it.
    pub alone: u16,
}

/// The marks of a [`Tls`].
#[allow(missing_docs)]
pub mod tls {
    pub const DTLS: u8 = 1 << 0;
    /// The ClientHello offers to speak DNS.
    pub const DNS: u8 = 1 << 1;
    /// The session was resumed.
    pub const RESUMED: u8 = 1 << 2;
    /// The name asked for is watched.
    pub const WATCHED: u8 = 1 << 3;
    /// The name asked for is watched, and HTTP/2 is offered.
    pub const H2: u8 = 1 << 4;
    /// Keys or certificates were exchanged in the clear: the version is below 1.3.
    pub const CLEAR_KEYS: u8 = 1 << 6;
    /// Its certificate is one of those that are looked at of hosts that are not watched.
    pub const SAMPLED: u8 = 1 << 5;
}

/// An alert in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSeen {
    /// What it says.
    pub description: u8,
    /// Side 1 sent it.
    pub second: bool,
    /// When and where.
    pub seen: Seen,
}

/// How many records of an answer are told one by one.
pub const ANSWERS: usize = 6;
/// The length of an encrypted alert in TLS 1.3, in bytes: two of its own, its type, and a tag of 16 (RFC 8446 §5.2,
/// §6).
pub const SEALED_ALERT: u16 = 19;
/// No answer's first record is shorter than this, in bytes, and no session ticket's; alerts and a filter's drops are.
pub const ANSWER_LEAST: u16 = 64;

/// The least length of a record that asks for something, in bytes: what HTTP/2 says of its windows and settings is
/// shorter, and so are alerts.
pub const REQUEST_LEAST: u16 = 64;

/// The first encrypted records of a TLS connection.
///
/// Behind the handshake of TLS 1.3 a server sends session tickets, which look like any answer but for their size, and
/// are of one size: that is what the lengths are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Records of the client, the last message of its handshake among them where that is TLS 1.3's.
    pub client: u16,
    /// The length of the first of them, in bytes.
    pub first: u16,
    /// The client's last record that asked for something new: more of the same before an answer is not, nor is one that
    /// is less than [`REQUEST_LEAST`], but where nothing else was said behind the handshake.
    pub asked: Seen,
    /// It may have been the end of the handshake, or less than a request.
    pub doubtful: bool,
    /// Others were made before it, and answered.
    pub later: bool,
    /// Records may have passed unseen since.
    pub missed: bool,
    /// Lengths of the server's records since, in bytes.
    pub answers: [u16; ANSWERS],
    /// How many there were; past [`ANSWERS`] nobody counts. The greatest number stands for a flight that was left.
    pub answered: u8,
}

impl Flight {
    /// The connection goes on, and nobody looks at its records any more.
    pub const fn leave(&mut self) {
        self.answered = u8::MAX;
    }

    /// Whether requests and answers may have come since that nobody looked at.
    pub const fn is_left(&self) -> bool {
        self.answered == u8::MAX
    }

    /// Takes a record of the client.
    pub fn ask(&mut self, length: u16, seen: Seen) {
        if self.client == 0 {
            self.first = length;
        } else if length == SEALED_ALERT {
            return;
        }
        self.client = self.client.saturating_add(1);
        // the first two are the end of the handshake and the first request
        let begins = self.client <= 2;
        let asks = length >= REQUEST_LEAST;
        let answered = || self.lengths().iter().any(|length| *length >= ANSWER_LEAST);
        if begins || asks && (self.doubtful || answered()) {
            self.later = !begins && !self.doubtful;
            (self.asked, self.answered, self.doubtful, self.missed) = (seen, 0, !asks, false);
        }
    }

    /// Takes a record of the server. True: more than is told one by one.
    pub fn answer(&mut self, length: u16) -> bool {
        let Some(slot) = self.answers.get_mut(usize::from(self.answered)) else { return true };
        *slot = length;
        self.answered = self.answered.saturating_add(1);
        false
    }

    /// The lengths of the server's records since the client's last.
    pub fn lengths(&self) -> &[u16] {
        self.answers.get(..usize::from(self.answered)).unwrap_or(&self.answers)
    }
}

impl Tls {
    /// Whether it has that mark.
    #[inline(always)]
    pub const fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Sets or takes away that mark.
    pub const fn mark(&mut self, mark: u8, set: bool) {
        self.marks = if set { self.marks | mark } else { self.marks & !mark };
    }

    /// Keeps an alert of side 1 (`second`) or 0, if it is fatal and the first.
    pub fn note_alert(&mut self, alert: Alert, second: bool, seen: Seen) {
        if alert.is_fatal() && self.alert.is_none() {
            self.alert = Some(Box::new(AlertSeen { description: alert.description, second, seen }));
        }
    }

    /// The first server name asked for.
    #[inline]
    pub fn sni(&self) -> Option<NameAt> {
        (self.name != 0).then_some(NameAt { name: self.name, frame: self.hello_frame })
    }

    /// Whether the server's certificate may still come in the clear.
    pub fn awaits_certificate(&self) -> bool {
        let tls13 = matches!(self.version, 0x0304 | 0x7f00..=0x7fff | 0xfefc);
        !tls13 && !self.has(tls::RESUMED) && self.detail.as_ref().is_none_or(|d| d.certificate.is_none())
    }
}

/// What only a record needs of TLS, but for the first.
#[derive(Clone, Debug, Default)]
pub struct TlsDetail {
    /// A digest of the random of the first ClientHello, by which it is known again elsewhere; 0 is none.
    pub random: u64,
    /// The host of the server's certificate, where the client has asked for no name.
    pub host: Option<NameAt>,
    /// Application protocols offered.
    pub alpn: Texts,
    /// JA4 of every ClientHello that differs from those before.
    pub ja4: SmallVec<[Arc<str>; 1]>,
    /// JA3 of them.
    pub ja3: SmallVec<[Arc<str>; 1]>,
    /// The server's certificate.
    pub certificate: Option<Box<CertificateDetail>>,
}

/// A server's certificate.
#[derive(Clone, Debug)]
pub struct CertificateDetail {
    /// What it says; kept once for all flows of a shard to which the same one came, where it was known again.
    pub leaf: Arc<Certificate>,
    /// How many came, itself and those that vouch for it.
    pub chain: usize,
}

/// QUIC of one flow; its hellos are in [`Tls`], but for the server name.
#[derive(Clone, Debug, Default)]
pub struct Quic {
    /// The first server name asked for.
    pub sni: Option<NameAt>,
    /// The version last spoken; 0 is none.
    pub version: u32,
    /// There was a Version Negotiation packet.
    pub negotiation: bool,
    /// What only a record needs: the client's software.
    pub user_agent: Option<Box<str>>,
}

/// HTTP of one flow, and what a proxy was asked for.
#[derive(Clone, Debug, Default)]
pub struct Http {
    /// The first `Host`.
    pub host: Option<NameAt>,
    /// The first authority that a proxy was asked for, a SOCKS proxy too.
    pub authority: Option<(NameAt, u16)>,
    /// The first status line's frame, and status.
    pub status: Option<(u16, u64)>,
    /// The frame of the first `message/http`; 0 is none.
    pub message_http: u64,
    /// Requests and their responses as a verdict goes by them: the first [`TURNS`], and the newest.
    pub turns: SmallVec<[Turn; 1]>,
    /// The turn that the next response belongs to.
    pub turn: usize,
    /// Where the originator's stream goes on behind a request that was taken without streams.
    pub next: u32,
    /// What only a record needs.
    pub record: Option<Box<HttpList>>,
}

/// The exchanges of one flow.
#[derive(Clone, Debug, Default)]
pub struct HttpList {
    /// In the order of their requests.
    pub list: Vec<HttpExchange>,
    /// The exchange that the next response belongs to.
    pub answered: usize,
    /// Exchanges that the list had no room for.
    pub omitted: u64,
    /// How many of them still wait for their response.
    pub waiting: u64,
}

/// How many turns are kept of one connection before the newest replaces the last.
pub const TURNS: usize = 16;

/// An HTTP request with its response, in what matters to a verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// The request; absent where only a response was seen.
    pub asked: Option<Seen>,
    /// The final response.
    pub answered: Option<Seen>,
    /// Its status; 0 is none.
    pub status: u16,
    /// What else was said; [`turn`] has the bits.
    pub marks: u32,
    /// The number of the first `Via` of the response, or else of the request; 0 is none.
    pub via: u32,
    /// The number of the response's `Server`; 0 is none.
    pub server: u32,
    /// Seconds by which the response's `Date` is ahead of the capture's clock.
    pub skew: Option<i32>,
    /// The length that the request tells of its body, or the most that this holds; 0 is none. See [`Turn::length`].
    pub sends: u32,
    /// What the request's segment acknowledged.
    pub ack: u32,
}

impl Turn {
    /// The length that the request tells of its body, in bytes; what is longer than 4 GiB is without end.
    pub fn length(&self) -> Option<u64> {
        match self.sends {
            0 => None,
            u32::MAX => Some(u64::MAX),
            length => Some(u64::from(length)),
        }
    }
}

/// The marks of a [`Turn`].
#[allow(missing_docs)]
pub mod turn {
    pub const POST: u32 = 1 << 0;
    pub const CONNECT: u32 = 1 << 1;
    pub const GET: u32 = 1 << 2;
    /// The request is `message/http`.
    pub const SENDS_MESSAGE: u32 = 1 << 3;
    /// The request has a body.
    pub const SENDS_BODY: u32 = 1 << 4;
    /// It asks to be told to go on (RFC 9110 §10.1.1).
    pub const EXPECTS: u32 = 1 << 5;
    /// It was told to.
    pub const CONTINUED: u32 = 1 << 6;
    /// The request carries credentials in the clear.
    pub const BASIC: u32 = 1 << 7;
    /// The request is written for a proxy.
    pub const PROXIED: u32 = 1 << 8;
    /// The request carries credentials for a proxy.
    pub const PROXY_LOGIN: u32 = 1 << 9;
    /// The response is `message/http`.
    pub const MESSAGE: u32 = 1 << 10;
    /// The response is a page.
    pub const PAGE: u32 = 1 << 11;
    /// The response tells no end of its body: chunked, until close, or of a length that no file has.
    pub const ENDLESS: u32 = 1 << 12;
    /// The response is a series of pictures (`multipart/x-mixed-replace`), or video.
    pub const MEDIA: u32 = 1 << 13;
    /// The response is of HTTP/1.0.
    pub const OLD: u32 = 1 << 14;
    /// The response ends the connection.
    pub const CLOSES: u32 = 1 << 15;
    /// Proxy authentication asked for: Basic, Digest, NTLM, Negotiate, or another.
    pub const ASKS_BASIC: u32 = 1 << 16;
    pub const ASKS_DIGEST: u32 = 1 << 17;
    pub const ASKS_NTLM: u32 = 1 << 18;
    pub const ASKS_NEGOTIATE: u32 = 1 << 19;
    pub const ASKS_OTHER: u32 = 1 << 20;
    /// The response has no body at all.
    pub const EMPTY: u32 = 1 << 21;
}

/// An HTTP request with its response, or the half of it that was seen.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct HttpExchange {
    pub method: Option<Box<str>>,
    pub host: Option<Box<str>>,
    pub uri: Option<Box<str>>,
    pub user_agent: Option<Box<str>>,
    pub status: Option<u16>,
    pub content_type: Option<Box<str>>,
    pub transfer_encoding: Option<Box<str>>,
    pub content_length: Option<u64>,
    pub upgrade: Option<Box<str>>,
    /// It stood in the body of another message: no response on the wire is its.
    pub inner: bool,
    /// What the request's segment acknowledged.
    pub ack: u32,
}

/// RTSP, SIP, SSDP, WS-Discovery or HTTP/2 of one flow.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// Which of them.
    pub protocol: Protocol,
    /// The first message's frame.
    pub frame: u64,
    /// What only a record needs.
    pub detail: Option<Box<SpokenDetail>>,
}

/// What only a record needs of them: the first of each.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct SpokenDetail {
    pub method: Option<Box<str>>,
    pub uri: Option<Box<str>>,
    pub status: Option<u16>,
    pub user_agent: Option<Box<str>>,
}

/// What a router said of its outside address, the last of several.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    /// The address.
    pub outside: std::net::IpAddr,
    /// When and where it said so.
    pub seen: Seen,
}

/// NTP of one flow. Intervals are signed nanoseconds, of the last packet or exchange that tells them.
#[derive(Clone, Debug, Default)]
pub struct Ntp {
    /// The first packet's frame.
    pub frame: u64,
    /// Requests, of clients and of peers that ask first.
    pub requests: u32,
    /// Replies, unsolicited ones too.
    pub replies: u32,
    /// The last request's transmit stamp as it was sent, and when it passed.
    pub asked: Option<(u64, Timestamp)>,
    /// By how much the client's clock is ahead of the capture's.
    pub client_ahead: Option<i64>,
    /// By how much the server's clock is ahead of the capture's.
    pub server_ahead: Option<i64>,
    /// By how much the server's clock is ahead of the client's.
    pub offset: Option<i64>,
    /// The way from where the capture was made to the server and back.
    pub delay: Option<i64>,
    /// What the server last said of itself: its stratum and leap indicator.
    pub server: Option<(u8, u8)>,
    /// Why the server last refused.
    pub kiss: Option<Box<str>>,
}

/// Datagrams of media, by what they look like.
#[derive(Clone, Debug, Default)]
pub struct Media {
    /// The first DTLS record's frame; 0 is none.
    pub dtls: u64,
    /// Datagrams that look like RTP.
    pub rtp: u32,
    /// All datagrams that are not STUN.
    pub datagrams: u32,
    /// Of those that were looked at one by one, how many each side has sent.
    pub sent: [u32; 2],
    /// When each side last sent one.
    pub last: [Timestamp; 2],
    /// SCTP, and the streams of RTP.
    pub detail: Option<Box<MediaDetail>>,
}

impl Media {
    /// Counts a datagram of side 1 (`second`) or 0 that came at `ts`.
    pub fn count(&mut self, second: bool, ts: Timestamp) {
        self.datagrams = self.datagrams.saturating_add(1);
        if let (Some(sent), Some(last)) =
            (self.sent.get_mut(usize::from(second)), self.last.get_mut(usize::from(second)))
        {
            *sent = sent.saturating_add(1);
            *last = (*last).max(ts);
        }
    }
}

/// SCTP over UDP or IP, and the streams of RTP: of the latter only what shows that they are, unless records are
/// wanted.
#[derive(Clone, Debug, Default)]
pub struct MediaDetail {
    /// The frame of the first SCTP packet with the right checksum; 0 is none.
    pub sctp: u64,
    /// Its ports, by side.
    pub ports: [u16; 2],
    /// The tags that the sides have sent.
    pub tags: [u32; 2],
    /// The types of chunks, as in [`crate::inspect::sctp::Packet::chunks`].
    pub chunks: u32,
    /// What may be streams of RTP, each with whether side 1 sent it.
    pub sources: SmallVec<[(Source, bool); 2]>,
    /// Streams that the list had no room for, or packets of such.
    pub omitted: u32,
    /// RTCP reports.
    pub reports: u32,
}

/// An ICMP error about a flow.
#[derive(Clone, Copy, Debug)]
pub struct Icmp {
    /// Who sent it.
    pub from: Addr,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Its frame.
    pub frame: u64,
}
