//! What the payload of a flow has told: the facts that are kept.
//!
//! Small, since there may be millions: names are numbers, lists exist only where records are wanted.

use std::net::SocketAddr;

use smallvec::SmallVec;

use crate::decode::Addr;
use crate::event::MethodCounts;
use crate::flow::NONE;
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

/// Everything a flow's payload has told, by the numbers of its parts; [`NONE`] is nothing of that kind.
///
/// Parts of one kind lie together: millions of flows are read through at the end of a capture.
#[derive(Debug)]
pub struct Learnt {
    /// TLS or DTLS.
    pub tls: u32,
    /// HTTP.
    pub http: u32,
    /// DNS.
    pub dns: u32,
    /// STUN.
    pub stun: u32,
    /// Datagrams of media.
    pub media: u32,
    /// The first ICMP error about it.
    pub icmp: u32,
    /// The frame of the first NTP packet.
    pub ntp: Option<std::num::NonZeroU64>,
}

impl Default for Learnt {
    fn default() -> Self {
        Learnt { tls: NONE, http: NONE, dns: NONE, stun: NONE, media: NONE, icmp: NONE, ntp: None }
    }
}

/// TLS or DTLS of one flow.
#[derive(Debug, Default)]
pub struct Tls {
    /// The first server name asked for.
    pub sni: Option<NameAt>,
    /// The frame of the first ClientHello; 0 is none.
    pub hello_frame: u64,
    /// The highest version offered.
    pub offered: u16,
    /// The version chosen; 0 is none.
    pub version: u16,
    /// The cipher suite chosen; valid with `version`.
    pub cipher: u16,
    /// The first fatal alert.
    pub alert: Option<u8>,
    /// It is DTLS.
    pub dtls: bool,
    /// The ClientHello had an encrypted ClientHello inside, or a decoy of one.
    pub ech: bool,
    /// The session was resumed.
    pub resumed: bool,
    /// Segments that the first ClientHello came in.
    pub segments: u16,
    /// A digest of the session id offered, 0 for none: a server that takes it up (TLS 1.2) sends it back.
    pub session: u64,
    /// What only a record needs.
    pub detail: Option<Box<TlsDetail>>,
}

/// What only a record needs of TLS.
#[derive(Debug, Default)]
pub struct TlsDetail {
    /// Application protocols offered.
    pub alpn: Vec<Box<str>>,
    /// JA4 of the first ClientHello.
    pub ja4: Box<str>,
    /// JA3 of the first ClientHello.
    pub ja3: Box<str>,
}

/// HTTP of one flow.
#[derive(Debug, Default)]
pub struct Http {
    /// Requests.
    pub requests: u32,
    /// Responses.
    pub responses: u32,
    /// The first `Host`.
    pub host: Option<NameAt>,
    /// The first authority that a proxy was asked for.
    pub authority: Option<(NameAt, u16)>,
    /// The first status line's frame, and status.
    pub status: Option<(u16, u64)>,
    /// The frame of the first `message/http`; 0 is none.
    pub message_http: u64,
    /// What only a record needs.
    pub exchanges: Vec<HttpExchange>,
    /// The exchange that the next response belongs to.
    pub answered: usize,
    /// Exchanges that the list had no room for.
    pub omitted: u64,
}

/// An HTTP request with its response, or the half of it that was seen.
#[derive(Debug, Default)]
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
}

/// DNS of one flow.
#[derive(Debug, Default)]
pub struct Dns {
    /// The first message's frame.
    pub frame: u64,
    /// Queries.
    pub queries: u32,
    /// Responses.
    pub responses: u32,
    /// Responses whose query was seen.
    pub exchanges: u32,
    /// Queries that wait for their response.
    pub pending: SmallVec<[PendingQuery; 1]>,
    /// What only a record needs.
    pub list: Vec<DnsExchange>,
    /// Exchanges that the list had no room for.
    pub omitted: u64,
}

/// A query that waits for its response.
#[derive(Clone, Copy, Debug)]
pub struct PendingQuery {
    /// When it was sent first.
    pub ts: Timestamp,
    /// Its place in the list, if there is one.
    pub record: u32,
    /// A hash of the name asked for.
    pub qname: u32,
    /// The message id.
    pub id: u16,
    /// The type asked for.
    pub qtype: u16,
}

/// A DNS query with its response, or the half of it that was seen.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct DnsExchange {
    pub id: u16,
    pub qname: Option<u32>,
    pub qtype: Option<u16>,
    pub rcode: Option<u16>,
    pub answers: Vec<Box<str>>,
    pub ttl: Option<u32>,
    pub rtt: Option<u64>,
}

/// STUN of one flow.
#[derive(Debug, Default)]
pub struct Stun {
    /// The first message's frame.
    pub frame: u64,
    /// Binding requests, by side.
    pub requests: [u32; 2],
    /// Success responses, by side.
    pub success: [u32; 2],
    /// ChannelData datagrams.
    pub channel_data: u32,
    /// Messages had the attributes of ICE.
    pub ice: bool,
    /// TURN methods were spoken.
    pub turn: bool,
    /// Exchanges by method number.
    pub methods: SmallVec<[(u16, MethodCounts); 1]>,
    /// Mapped addresses told, with the side they were told to.
    pub mapped: SmallVec<[(SocketAddr, u8); 1]>,
    /// The first user name.
    pub username: Option<u32>,
    /// The first software.
    pub software: Option<u32>,
}

/// Datagrams of media, by what they look like.
#[derive(Debug, Default)]
pub struct Media {
    /// The first DTLS record's frame; 0 is none.
    pub dtls: u64,
    /// Datagrams that look like RTP.
    pub rtp: u32,
    /// All datagrams that are not STUN.
    pub datagrams: u32,
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

/// A DNS answer that gave addresses.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Who asked.
    pub client: Addr,
    /// When.
    pub ts: Timestamp,
    /// The answer's frame.
    pub frame: u64,
    /// The name asked for.
    pub name: u32,
    /// For how long it holds, in seconds: the shortest of its records.
    pub ttl: u32,
    /// Where its addresses begin among all that were told.
    pub(super) first: u32,
    /// How many there are.
    pub(super) count: u16,
    /// The client's address is IPv6.
    pub client_v6: bool,
}
