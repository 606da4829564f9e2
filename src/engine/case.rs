//! Cases: what is known of the flows that have to do with the system, put down flow by flow for the diagnosis.
//!
//! Only flows of hosts that are in touch with the vendor's cloud are cases, and what such hosts asked DNS for. All is
//! owned and in the order of first frames; pairs are by direction, the originator's first.

mod build;
mod choice;
mod dns;
mod index;

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::Hosts;
use super::analysis::{Analysis, FlowView, Identity};
use super::learnt::{AlertSeen, Flight, Icmp, Router, Seen, Turn, turn};
use super::naming::Naming;
use super::neighbours::Claims;
use super::resolvers::ResolverCase;
use crate::classify::host::HostMatch;
use crate::classify::words::{Flags, Sub, Subs};
use crate::decode::proto;
use crate::event::Class;
use crate::flow::Stamp;
use crate::flow::course::{Burst, Spoke};
use crate::flow::trouble::{Closed, Repeated};
pub use crate::inspect::Direction;
use crate::time::Timestamp;
pub use dns::DnsCase;
pub use index::{Client, Index, Relayed};

/// The most flows that are cases; more are counted and left out.
pub(super) const MAX_CASES: usize = 1 << 17;

/// All cases of a capture.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// The flows, in the order of their first frames.
    pub flows: Vec<Case>,
    /// What was asked of DNS, in the order of asking.
    pub dns: Vec<DnsCase>,
    /// How resolvers answered, in the order of first answers.
    pub resolvers: Vec<ResolverCase>,
    /// Addresses of the captured link, as ARP shows them, in order.
    pub on_link: Vec<IpAddr>,
    /// Addresses that several stations claim.
    pub contested: Vec<(IpAddr, Claims)>,
    /// The first frame's time.
    pub first: Timestamp,
    /// The last frame's time.
    pub last: Timestamp,
    /// Flows that there was no room for.
    pub omitted: u64,
    /// How many frames had come by then.
    pub frames: u64,
    /// The hosts of the system.
    pub hosts: Arc<Hosts>,
    /// Where they are; put down by [`Cases::indexed`].
    pub index: Index,
}

/// One flow.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Case {
    pub identity: Identity,
    pub first_frame: u64,
    pub last: Timestamp,
    pub class: Class,
    pub subs: Subs,
    pub flags: Flags,
    pub confidence: f64,
    /// The relay's region.
    pub region: Option<String>,
    /// What the responder is called: by the flow itself, or by DNS.
    pub host: Option<String>,
    /// What the catalogue says of that name.
    pub known: HostMatch,
    /// The flow itself carries that name.
    pub carried: bool,
    /// The explicit proxy was asked for this port of the host; the proxy is the responder.
    pub via_proxy: Option<u16>,
    pub proto: u8,
    pub orig: (IpAddr, u16),
    pub resp: (IpAddr, u16),
    /// Each end is a recorder, by the user's word or by what it did.
    pub recorders: [bool; 2],
    /// Each end belongs to the site.
    pub inside: [bool; 2],
    pub midstream: bool,
    pub one_sided: bool,
    pub cut: bool,
    pub established: bool,
    pub pkts: [u64; 2],
    pub bytes: [u64; 2],
    pub payload: [u64; 2],
    pub duplicates: u64,
    /// Each side's time to live, 0 where it sent nothing.
    pub ttl: [u8; 2],
    pub vlan: [u16; 2],
    pub icmp: Option<Icmp>,
    pub tcp: Option<TcpCase>,
    pub tls: Option<TlsCase>,
    pub http: Option<HttpCase>,
    pub stun: Option<StunCase>,
    pub ntp: Option<NtpCase>,
    /// What a router said of its outside address.
    pub router: Option<Router>,
    pub media: Option<MediaCase>,
    /// The flow's state when this was put down.
    pub stamp: Stamp,
}

/// TCP of one flow.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TcpCase {
    /// Zeek's state.
    pub state: &'static str,
    /// The smallest round trip, in seconds.
    pub rtt_min: Option<f64>,
    /// A low one, in seconds, where there are many: high where a queue stands.
    pub rtt_p25: Option<f64>,
    /// The median, in seconds, where there are many.
    pub rtt_p50: Option<f64>,
    /// A high one, in seconds.
    pub rtt_p95: Option<f64>,
    pub fin_by: Option<Direction>,
    pub rst_by: Option<Direction>,
    /// The first RST of a connection that had been established.
    pub reset: Option<ResetCase>,
    pub mss: [u16; 2],
    /// What went wrong with each side's data.
    pub trouble: [TroubleCase; 2],
    /// Each side's payload over time; at least one burst where there was any.
    pub bursts: [Vec<Burst>; 2],
    /// Bytes that each side has sent since the other last sent any.
    pub turns: [u32; 2],
    /// What the originator said last.
    pub spoke: Option<Spoke>,
    /// Bytes of each side that the other has not acknowledged.
    pub unacknowledged: [Option<u32>; 2],
    /// Rate windows in which each side sent video.
    pub video_windows: [u16; 2],
}

/// A RST.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ResetCase {
    pub seen: Seen,
    pub by: Direction,
    pub ttl: u8,
}

/// What went wrong with one side's data.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct TroubleCase {
    pub retransmissions: u32,
    /// Those of them that the capture only shows late.
    pub misplaced: u32,
    pub out_of_order: u32,
    /// Those of them that had been seen before.
    pub resent: u32,
    pub zero_windows: u32,
    pub window_full: u32,
    pub missed: u64,
    pub repeated: Repeated,
    /// Payload bytes before those that it repeated most often, where the connection's beginning was seen.
    pub repeated_at: Option<u32>,
    pub first_repeat: Timestamp,
    pub last_repeat: Timestamp,
    /// The longest time for which this side kept its window closed.
    pub closed: Closed,
}

impl TroubleCase {
    /// Segments that Wireshark calls retransmissions and that were sent again indeed.
    pub const fn repeats(&self) -> u32 {
        self.retransmissions.saturating_sub(self.misplaced)
    }
}

/// TLS of one flow.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TlsCase {
    pub hello_frame: u64,
    /// The version chosen; 0 is none.
    pub version: u16,
    pub cipher: u16,
    pub resumed: bool,
    pub ech: bool,
    pub dtls: bool,
    /// Keys or certificates were exchanged in the clear: below TLS 1.3, though a cut hello may not tell the version.
    pub clear_keys: bool,
    /// The client offers HTTP/2.
    pub h2: bool,
    pub alert: Option<(AlertSeen, Direction)>,
    pub flight: Option<Flight>,
    pub issuer: Option<String>,
    pub subject: Option<String>,
    /// Validity of the server's certificate, in seconds of the Unix epoch.
    pub valid: Option<[i64; 2]>,
}

/// HTTP of one flow.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct HttpCase {
    pub turns: Vec<TurnCase>,
    pub message_http: Option<u64>,
}

/// One request with its response.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TurnCase {
    pub turn: Turn,
    pub via: Option<String>,
    pub server: Option<String>,
}

/// The clocks that NTP of one flow shows, in nanoseconds by which they are ahead of the capture's.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct NtpCase {
    pub client_ahead: Option<i64>,
    pub server_ahead: Option<i64>,
}

/// STUN of one flow.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct StunCase {
    pub frame: u64,
    pub ice: bool,
    pub turn: bool,
    pub requests: [u32; 2],
    /// Success responses that each side sent.
    pub success: [u32; 2],
    /// When each side last sent a message.
    pub last: [Timestamp; 2],
    /// Mapped addresses told, each with who was told.
    pub mapped: Vec<(std::net::SocketAddr, Direction)>,
}

/// Media datagrams of one flow.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct MediaCase {
    pub dtls: bool,
    pub sctp: bool,
    pub rtp: u32,
    pub datagrams: u32,
    pub sent: [u32; 2],
    pub last: [Timestamp; 2],
}

/// Whether no router has taken from a time to live: systems begin with one of these (RFC 1700, page 64, and what is
/// usual).
pub const fn is_full_ttl(ttl: u8) -> bool {
    matches!(ttl, 64 | 128 | 255)
}

impl Case {
    /// The time to live of a side whose packets have passed no router.
    pub fn from_next_door(&self, side: Direction) -> Option<u8> {
        let [orig, resp] = self.ttl;
        Some(if side == Direction::Orig { orig } else { resp }).filter(|ttl| is_full_ttl(*ttl))
    }

    /// Whether it is TCP.
    pub const fn is_tcp(&self) -> bool {
        self.proto == proto::TCP
    }

    /// Whether it is a TCP connection that was asked for and not made, as far as the mirror can tell: who has answered
    /// has not refused, though the capture show the end of it before its beginning.
    pub fn is_vain(&self) -> bool {
        let state = self.tcp.as_ref().map_or("", |tcp| tcp.state);
        let [_, answered] = self.payload;
        // a refusal that a mirror shows before its SYN began nothing in mid-stream
        let began = self.midstream && state != "REJ";
        let made = began || self.established || answered > 0;
        self.is_tcp() && !made && !self.one_sided && matches!(state, "S0" | "REJ")
    }

    /// Whether all that was asked on it in the clear are requests without a body.
    pub fn only_asks(&self) -> bool {
        let mut turns = self.http.iter().flat_map(|http| &http.turns).map(|turn| turn.turn.marks).peekable();
        turns.peek().is_some() && turns.all(|marks| marks & turn::GET != 0 && marks & turn::SENDS_BODY == 0)
    }

    /// Whether it is a TCP connection that has ended.
    pub fn is_over(&self) -> bool {
        self.tcp.as_ref().is_some_and(|tcp| tcp.fin_by.is_some() || tcp.rst_by.is_some())
    }

    /// Until when something could have come on it: its end, or where it has none the end of the `capture`.
    pub fn until(&self, capture: Timestamp) -> Timestamp {
        if self.is_over() { self.last } else { capture.max(self.last) }
    }

    /// Takes what others have taught of the flow from what was put down of it before.
    fn remember(&mut self, before: Case) {
        let Case { class, subs, flags, confidence, region, via_proxy, recorders, icmp, host, known, .. } = before;
        (self.class, self.subs, self.flags, self.confidence) = (class, subs, flags, confidence);
        (self.region, self.via_proxy, self.recorders, self.icmp) = (region, via_proxy, recorders, icmp);
        if !self.carried {
            (self.host, self.known) = (host, known);
        }
    }

    /// By what it is in order.
    const fn key(&self) -> (u64, u64) {
        (self.first_frame, self.identity.flow_id)
    }

    /// The responder is called that.
    fn call(&mut self, name: Option<&str>, naming: &Naming<'_>) {
        let same = |known: &str| name.is_some_and(|name| name.eq_ignore_ascii_case(known));
        if !self.host.as_deref().map_or(name.is_none(), same) {
            // names differ by more than their capitals (RFC 4343 §3)
            self.host = name.map(str::to_ascii_lowercase);
            self.known = name.map_or(HostMatch::NONE, |name| naming.base.catalogue.look_up(name));
        }
    }

    /// When its first packet came.
    pub const fn first(&self) -> Timestamp {
        self.identity.start
    }

    /// Whether the server has done what it is there for: behind a finished handshake both sides have spoken, or a
    /// request was answered well, by more than a page.
    pub fn is_served(&self) -> bool {
        let [asked, answered] = self.payload;
        if !self.established || asked == 0 || answered == 0 {
            return false;
        }
        match (&self.tls, &self.http) {
            // the client's first record of TLS 1.3 ends its handshake
            (Some(tls), _) => {
                // which version was chosen may stand behind where its hello was cut, and any of it may not be captured
                let holed = self.tcp.as_ref().is_some_and(|tcp| tcp.trouble.iter().any(|side| side.missed > 0));
                let unread = (self.cut || holed) && tls.version == 0;
                let own = if tls.version >= 0x0304 || unread { 2 } else { 1 };
                (tls.version != 0 || unread)
                    && tls.alert.is_none()
                    && (holed || tls.flight.is_some_and(|flight| flight.client >= own))
            }
            (None, Some(http)) => http.turns.iter().any(|turn| {
                let page = turn.turn.marks & turn::PAGE != 0;
                matches!(turn.turn.status, 200..=299 | 304) && !page
            }),
            (None, None) => true,
        }
    }

    /// Whether a server that has sent no payload has acknowledged something behind its handshake: a part of what was
    /// sent, or the end of it where its beginning is missing (RFC 5681 §4.2). Mirror copies count for nothing.
    pub fn is_heard_without_payload(&self) -> bool {
        let again = self.tcp.as_ref().map_or(0, |tcp| u64::from(tcp.trouble[1].retransmissions));
        let [_, answered] = self.payload;
        self.established && answered == 0 && self.pkts[1] > again.saturating_add(self.duplicates).saturating_add(1)
    }

    /// The port that is meant: the one asked of a proxy, else the responder's.
    pub const fn port(&self) -> u16 {
        match self.via_proxy {
            Some(port) => port,
            None => self.resp.1,
        }
    }
}

/// Whether a class, closer by `subs`, is the vendor's own: who speaks to it is of the system.
pub fn is_core(class: Class, subs: Subs) -> bool {
    use Class::*;
    match class {
        Relay | Api | Licensing | Login | Pos | RemoteAssist | Reportstar | LsfControl | VendorOther => true,
        S3 | Stun => subs.has(Sub::Vendor),
        Update => subs.has(Sub::Wsus),
        _ => false,
    }
}

impl Analysis {
    /// Puts down all cases.
    pub fn cases(&self, naming: &Naming<'_>) -> Cases {
        self.cases_again(naming, Cases::default())
    }

    /// The same, when cases have been put down `before`: of flows to which nothing happened since, only what others
    /// have taught of them is looked up anew.
    pub fn cases_again(&self, naming: &Naming<'_>, before: Cases) -> Cases {
        let Cases { flows, dns, .. } = before;
        let mut cases = Cases {
            first: self.totals.first.unwrap_or_default(),
            last: self.totals.last,
            frames: self.totals.frames,
            on_link: self.totals.neighbours.addresses().into_iter().map(IpAddr::V4).collect(),
            contested: self
                .totals
                .neighbours
                .contested()
                .into_iter()
                .map(|(ip, claims)| (IpAddr::V4(ip), claims.clone()))
                .collect(),
            ..Cases::default()
        };
        self.add_dns(naming, dns, &mut cases);
        let involved = self.involved(naming, &cases);
        cases.hosts = Arc::new(involved.iter().copied().collect());
        if !involved.is_empty() {
            self.add_flows(naming, &involved, flows, &mut cases);
            cases.resolvers = self.resolvers();
        }
        cases.indexed()
    }

    /// The hosts that are of the system: those in touch with the vendor's cloud, and what is a recorder.
    fn involved(&self, naming: &Naming<'_>, cases: &Cases) -> HashSet<IpAddr, RandomState> {
        let asked = cases.dns.iter().filter(|dns| is_core(dns.host.class, dns.host.subs)).map(|dns| dns.client);
        let mut involved: HashSet<IpAddr, RandomState> = asked.collect();
        involved.extend(naming.roles().recorders().into_iter().map(|(ip, ..)| ip));
        involved.extend(&naming.base.site.recorders);
        let messages = self.shards.iter().any(|s| s.learner.http.iter().any(|(_, http)| http.message_http != 0));
        if naming.has_vendors() || messages {
            for (shard, at) in self.shards.iter().zip(0u32..) {
                for (_, flow) in shard.table.flows() {
                    let messages = messages && shard.learner.http_of(flow).is_some_and(|http| http.message_http != 0);
                    if messages || naming.is_to_vendor(shard, flow) {
                        let view = FlowView::new(shard, at, flow, naming);
                        // what it is need not be asked where its originator is known to be of the system
                        if !messages && involved.contains(&view.orig.0) {
                            continue;
                        }
                        involved.extend(of_system(&view, naming, messages).into_iter().flatten());
                    }
                }
            }
        }
        involved
    }
}

/// The ends of a flow that are of the system by it: its originator, if it speaks to the vendor's cloud, and both where
/// they speak `message/http` (`messages`).
fn of_system(view: &FlowView<'_>, naming: &Naming<'_>, messages: bool) -> [Option<IpAddr>; 2] {
    if messages {
        return [view.orig.0, view.resp.0].map(|ip| Some(ip).filter(|ip| naming.base.site.inside(*ip)));
    }
    let verdict = view.verdict(&view.facts());
    [is_core(verdict.class, verdict.subclass).then_some(view.orig.0), None]
}
