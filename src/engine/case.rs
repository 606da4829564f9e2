//! Cases: what is known of the flows that have to do with the system, put down flow by flow for the diagnosis.
//!
//! Only flows of hosts that are in touch with the vendor's cloud are cases, and what such hosts asked DNS for. All is
//! owned and in the order of first frames; pairs are by direction, the originator's first.

mod dns;

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::analysis::{Analysis, FlowView, Identity};
use super::learnt::{AlertSeen, Flight, Icmp, Router, Seen, Turn, turn};
use super::naming::Naming;
use super::neighbours::Claims;
use super::resolvers::ResolverCase;
use crate::classify::verdict::Verdict;
use crate::classify::words::{Flags, Sub, Subs};
use crate::decode::proto;
use crate::event::Class;
use crate::flow::course::Burst;
use crate::flow::tcp::Tcp;
use crate::flow::trouble::{Closed, Repeated, Trouble};
pub use crate::inspect::Direction;
use crate::time::Timestamp;
pub use dns::DnsCase;

/// The most flows that are cases; more are counted and left out.
pub(super) const MAX_CASES: usize = 1 << 17;

/// All cases of a capture.
#[derive(Debug, Default)]
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
    /// What each host has originated; put down by [`Cases::indexed`].
    pub clients: HashMap<IpAddr, Client, RandomState>,
}

/// What one host has originated.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The places of its flows, in the order of their first frames.
    pub flows: Vec<usize>,
    /// Those of them whose servers did what they are there for.
    pub served: Vec<usize>,
    /// It logs in, as people do who want to look.
    pub logs_in: bool,
    /// It asks for licences or sends video, as recorders do by themselves.
    pub reports: bool,
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

impl Cases {
    /// These cases with their clients put down, so that nobody need look through all flows for those of one host.
    pub fn indexed(mut self) -> Self {
        self.clients.clear();
        for (at, case) in self.flows.iter().enumerate() {
            let client = self.clients.entry(case.orig.0).or_default();
            client.flows.push(at);
            if case.is_served() {
                client.served.push(at);
            }
            client.logs_in |= case.class == Class::Login;
            client.reports |=
                case.class == Class::Licensing || is_core(case.class, case.subs) && case.subs.has(Sub::VideoUp);
        }
        self
    }

    /// The flows that `client` originated.
    pub fn of_client(&self, client: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        let flows = self.clients.get(&client).map(|client| &client.flows[..]).unwrap_or_default();
        flows.iter().filter_map(|at| self.flows.get(*at))
    }

    /// Those of them whose servers did what they are there for.
    pub fn served(&self, client: IpAddr) -> impl Iterator<Item = &Case> + Clone {
        let flows = self.clients.get(&client).map(|client| &client.served[..]).unwrap_or_default();
        flows.iter().filter_map(|at| self.flows.get(*at))
    }

    /// The flows that the originator of `case` began before and after it, itself included, at most `reach` either way.
    pub fn around(&self, case: &Case, reach: usize) -> impl Iterator<Item = &Case> + Clone {
        let flows = self.clients.get(&case.orig.0).map(|client| &client.flows[..]).unwrap_or_default();
        let is_before = |at: &usize| self.flows.get(*at).is_some_and(|other| other.first_frame < case.first_frame);
        let own = flows.partition_point(is_before);
        let from = own.saturating_sub(reach);
        let near = flows.get(from..).unwrap_or_default().iter().take(reach.saturating_mul(2));
        near.filter_map(|at| self.flows.get(*at))
    }
}

impl Case {
    /// Whether it is TCP.
    pub const fn is_tcp(&self) -> bool {
        self.proto == proto::TCP
    }

    /// When its first packet came.
    pub const fn first(&self) -> Timestamp {
        self.identity.start
    }

    /// Whether the server has done what it is there for: behind a finished handshake both sides have spoken, or a request
    /// was answered well, by more than a page.
    pub fn is_served(&self) -> bool {
        let [asked, answered] = self.payload;
        if !self.established || asked == 0 || answered == 0 {
            return false;
        }
        match (&self.tls, &self.http) {
            // the client's first record of TLS 1.3 ends its handshake
            (Some(tls), _) => {
                let own = if tls.version >= 0x0304 { 2 } else { 1 };
                tls.version != 0 && tls.alert.is_none() && tls.flight.is_some_and(|flight| flight.client >= own)
            }
            (None, Some(http)) => http.turns.iter().any(|turn| {
                let page = turn.turn.marks & turn::PAGE != 0;
                matches!(turn.turn.status, 200..=299 | 304) && !page
            }),
            (None, None) => true,
        }
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
        let mut cases = Cases {
            first: self.totals.first.unwrap_or_default(),
            last: self.totals.last,
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
        self.add_dns(naming, &mut cases);
        let involved = self.involved(naming, &cases);
        if !involved.is_empty() {
            self.add_flows(naming, &involved, &mut cases);
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

    fn add_flows(&self, naming: &Naming<'_>, involved: &HashSet<IpAddr, RandomState>, cases: &mut Cases) {
        for shard in 0..u32::try_from(self.shards.len()).unwrap_or(0) {
            for view in self.views_of(shard, naming) {
                if !involved.contains(&view.orig.0) && !involved.contains(&view.resp.0) || view.dns().is_some() {
                    continue;
                }
                if cases.flows.len() >= MAX_CASES {
                    cases.omitted = cases.omitted.saturating_add(1);
                } else {
                    cases.flows.push(view.case(naming));
                }
            }
        }
        cases.flows.sort_unstable_by_key(|case| (case.first_frame, case.identity.flow_id));
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

impl FlowView<'_> {
    /// What is known of this flow.
    pub(super) fn case(&self, naming: &Naming<'_>) -> Case {
        let facts = self.facts();
        let verdict = self.verdict(&facts);
        let carried = facts.carried().map(|seen| seen.name.to_ascii_lowercase());
        let told = || {
            let known = naming.knowledge();
            let found = known.names.told(self.orig.0, self.resp.0, facts.start, facts.end, known.rules);
            let found = found.or_else(|| known.names.told_others(self.resp.0, facts.start, known.rules));
            found.map(|found| known.names.name(found.name).to_owned())
        };
        let Verdict { class, subclass, flags, ref region, via_proxy, .. } = verdict;
        let ends = [self.orig.0, self.resp.0];
        let flow = self.flow;
        Case {
            identity: self.identity(),
            first_frame: flow.first_frame,
            last: flow.last,
            class,
            subs: subclass,
            flags,
            confidence: verdict.confidence_f64(),
            region: region.as_deref().map(str::to_owned),
            carried: carried.is_some(),
            host: carried.or_else(told),
            via_proxy: via_proxy.map(|asked| asked.port),
            proto: flow.proto(),
            orig: self.orig,
            resp: self.resp,
            recorders: ends.map(|ip| naming.roles().role(ip).is_recorder()),
            inside: ends.map(|ip| naming.base.site.inside(ip)),
            midstream: facts.midstream,
            one_sided: facts.one_sided,
            cut: facts.cut,
            established: facts.established,
            pkts: facts.pkts,
            bytes: facts.bytes,
            payload: facts.payload,
            duplicates: u64::from(flow.duplicates),
            ttl: flow.oriented(flow.ttl),
            vlan: flow.vlan,
            icmp: self.icmp(),
            tcp: self.connection().map(|tcp| self.tcp_case(&tcp)),
            tls: self.tls_case(),
            http: self.http_case(),
            stun: self.stun_case(),
            ntp: self.ntp().map(|ntp| NtpCase { client_ahead: ntp.client_ahead, server_ahead: ntp.server_ahead }),
            router: self.router().copied(),
            media: self.media().map(|media| MediaCase {
                dtls: media.dtls != 0,
                sctp: media.detail.as_ref().is_some_and(|d| d.sctp != 0),
                rtp: media.rtp,
                datagrams: media.datagrams,
                sent: flow.oriented(media.sent),
                last: flow.oriented(media.last),
            }),
        }
    }

    fn direction(&self, second: bool) -> Direction {
        super::learn::direction(second, self.flow.flipped())
    }

    fn tcp_case(&self, tcp: &Tcp) -> TcpCase {
        let flow = self.flow;
        let begun = flow.begun();
        let [first, other] = [0, 1].map(|side| tcp.bursts(side, begun));
        let by = |side: u8| self.direction(side == 1);
        let [begins, other_begins] = tcp.begins();
        let trouble = tcp.log.troubles().map_or([TroubleCase::default(); 2], |[first, other]| {
            [trouble(first, begins), trouble(other, other_begins)]
        });
        let rates = tcp.rates(begun, &self.naming.base.thresholds);
        TcpCase {
            state: tcp.conn_state(flow.flipped(), flow.payload != [0, 0]),
            rtt_min: tcp.rtt.min(),
            rtt_p25: tcp.rtt.p25(),
            rtt_p50: tcp.rtt.p50(),
            rtt_p95: tcp.rtt.p95(),
            fin_by: tcp.fin_by.map(by),
            rst_by: tcp.rst_by.map(by),
            reset: tcp.log.reset.as_deref().map(|reset| ResetCase {
                seen: Seen { ts: reset.ts, frame: reset.frame },
                by: self.direction(reset.second),
                ttl: reset.ttl,
            }),
            mss: flow.oriented(tcp.mss()),
            trouble: flow.oriented(trouble),
            bursts: if flow.flipped() { [other, first] } else { [first, other] },
            turns: flow.oriented(tcp.turns()),
            unacknowledged: flow.oriented(tcp.unacknowledged()),
            video_windows: flow.oriented(rates.video),
        }
    }

    fn tls_case(&self) -> Option<TlsCase> {
        let tls = self.tls()?;
        let leaf = tls.detail.as_ref().and_then(|d| d.certificate.as_deref()).map(|known| &known.leaf);
        Some(TlsCase {
            hello_frame: tls.hello_frame,
            version: tls.version,
            cipher: tls.cipher,
            resumed: tls.resumed,
            ech: tls.ech.may_hide_a_name(),
            dtls: tls.dtls,
            alert: tls.alert.as_deref().map(|alert| (*alert, self.direction(alert.second))),
            flight: tls.flight.as_deref().copied(),
            issuer: leaf.map(|leaf| leaf.issuer.to_string()),
            subject: leaf.map(|leaf| leaf.subject.to_string()),
            valid: leaf.map(|leaf| [leaf.not_before, leaf.not_after]),
        })
    }

    fn http_case(&self) -> Option<HttpCase> {
        let http = self.http()?;
        let text = |name: u32| (name != 0).then(|| self.text(name).to_owned());
        let turn = |turn: &Turn| TurnCase { turn: *turn, via: text(turn.via), server: text(turn.server) };
        let turns = http.turns.iter().map(turn).collect();
        Some(HttpCase { turns, message_http: (http.message_http != 0).then_some(http.message_http) })
    }

    fn stun_case(&self) -> Option<StunCase> {
        let stun = self.stun()?;
        let mapped = stun.mapped.iter().map(|mapped| (mapped.told(), self.direction(mapped.side == 1)));
        Some(StunCase {
            frame: stun.frame,
            ice: stun.ice,
            turn: stun.turn || stun.channel_data > 0,
            requests: self.flow.oriented(stun.requests),
            success: self.flow.oriented(stun.success),
            last: self.flow.oriented(stun.last),
            mapped: mapped.collect(),
        })
    }
}

/// What went wrong with the data of a side whose first byte has the sequence number `begins`.
fn trouble(known: &Trouble, begins: Option<u32>) -> TroubleCase {
    let still = known.standstill.as_deref();
    TroubleCase {
        retransmissions: known.retransmissions,
        out_of_order: known.out_of_order,
        resent: known.resent,
        zero_windows: known.zero_windows,
        window_full: known.window_full,
        missed: known.missed,
        repeated: still.map(|s| s.repeated).unwrap_or_default(),
        repeated_at: still.zip(begins).map(|(s, begins)| s.repeated.seq.wrapping_sub(begins)),
        first_repeat: still.map(|s| s.first_repeat).unwrap_or_default(),
        last_repeat: still.map(|s| s.last_repeat).unwrap_or_default(),
        closed: still.map(|s| s.closed).unwrap_or_default(),
    }
}
