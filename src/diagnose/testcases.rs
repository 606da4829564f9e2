//! Cases to try detectors on: a flow in one line, changed where a test wants something else of it.

use smallvec::SmallVec;
use std::net::IpAddr;

use super::rules::Rules;
use super::scene::Scene;
use crate::classify::host::HostMatch;
use crate::classify::site::Site;
use crate::classify::words::{Flags, Subs};
use crate::engine::analysis::Identity;
use crate::engine::case::{
    Case, Cases, Direction, DnsCase, HttpCase, MediaCase, StunCase, TcpCase, TlsCase, TroubleCase, TurnCase,
};
use crate::engine::learnt::{Flight, Reply, Seen, Turn};
use crate::engine::naming::KnowledgeBase;
use crate::engine::resolvers::ResolverCase;
use crate::event::{CaptureQuality, Class, FindingRecord};
use crate::flow::Stamp;
use crate::flow::course::Burst;
use crate::time::{SECOND, Timestamp};

/// The recorder of these cases.
pub(crate) const RECORDER: &str = "192.168.1.50";
/// Their viewer.
pub(crate) const VIEWER: &str = "192.168.1.60";
/// The relay.
pub(crate) const RELAY: &str = "203.0.113.10";
/// The relay's name.
pub(crate) const RELAY_NAME: &str = "a1b2.us-west.u5fgb.com";

/// The moment so many seconds after the captures here begin.
pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp(1_700_000_000 * SECOND + (seconds * SECOND as f64) as u64)
}

/// A sighting at that moment.
pub(crate) fn seen(seconds: f64, frame: u64) -> Seen {
    Seen { ts: at(seconds), frame }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An established TCP flow of `client` to `server`:443, in class `class`, that carries the name `host`, from second
/// `first` to `last`. `number` is its frame, its identity and its port.
pub(crate) fn tcp(number: u64, client: &str, server: &str, class: Class, host: &str, first: f64, last: f64) -> Case {
    let (orig, resp) = ((ip(client), 40_000 + number as u16), (ip(server), 443));
    let site = Site::default();
    Case {
        identity: Identity {
            flow_id: number,
            protocol: 6,
            src_ip: orig.0,
            src_port: Some(orig.1),
            dest_ip: resp.0,
            dest_port: Some(resp.1),
            proto: "TCP".into(),
            start: at(first),
            first_frame: number,
        },
        first_frame: number,
        last: at(last),
        class,
        subs: Subs::NONE,
        flags: Flags::NONE,
        confidence: 0.97,
        region: None,
        host: Some(host.to_owned()),
        known: HostMatch::NONE,
        carried: true,
        via_proxy: None,
        proto: 6,
        orig,
        resp,
        recorders: [client == RECORDER, false],
        inside: [site.inside(orig.0), site.inside(resp.0)],
        midstream: false,
        one_sided: false,
        cut: false,
        established: true,
        pkts: [10, 10],
        bytes: [1_500, 5_000],
        payload: [700, 4_000],
        duplicates: 0,
        ttl: [64, 52],
        vlan: [0; 2],
        icmp: None,
        tcp: Some(TcpCase {
            state: "S1",
            rtt_min: Some(0.02),
            rtt_p25: Some(0.021),
            rtt_p50: Some(0.023),
            rtt_p95: Some(0.03),
            fin_by: None,
            rst_by: None,
            reset: None,
            mss: [1460; 2],
            trouble: [TroubleCase::default(); 2],
            bursts: [burst(first, first + 0.1, 700), burst(first, first + 0.1, 4_000)],
            turns: [0, 600],
            spoke: None,
            unacknowledged: [Some(0); 2],
            video_windows: [0; 2],
        }),
        tls: Some(TlsCase {
            hello_frame: number,
            version: 0x0304,
            cipher: 0x1301,
            resumed: false,
            ech: false,
            dtls: false,
            clear_keys: false,
            h2: false,
            alert: None,
            flight: Some(Flight { client: 2, first: 53, asked: seen(first + 0.1, number), ..Flight::default() }),
            issuer: None,
            subject: None,
            valid: None,
        }),
        http: None,
        stun: None,
        ntp: None,
        router: None,
        media: None,
        stamp: Stamp::default(),
    }
}

/// One burst in a list.
pub(crate) fn burst(first: f64, last: f64, bytes: u64) -> Vec<Burst> {
    vec![Burst::whole(at(first), at(last), 1, bytes)]
}

/// The same flow over UDP, from `port` to `to`, with so many datagrams each way and nothing known of them.
pub(crate) fn udp(mut case: Case, port: u16, to: u16, pkts: [u64; 2]) -> Case {
    (case.tcp, case.tls, case.proto, case.pkts) = (None, None, 17, pkts);
    (case.orig.1, case.resp.1) = (port, to);
    (case.identity.src_port, case.identity.dest_port) = (Some(port), Some(to));
    case.identity.proto = "UDP".into();
    case.payload = pkts.map(|n| n * 100);
    case
}

/// A UDP flow with STUN: requests and successes of each side, and what the originator was told to be.
pub(crate) fn stun(mut case: Case, requests: [u32; 2], success: [u32; 2], mapped: Option<&str>) -> Case {
    let mapped = mapped.map(|text| (text.parse().unwrap(), Direction::Orig)).into_iter().collect();
    let heard = |sent: u64| if sent > 0 { case.last } else { Timestamp::default() };
    let last = case.pkts.map(heard);
    case.stun = Some(StunCase { frame: case.first_frame, ice: false, turn: false, requests, success, last, mapped });
    case
}

/// A peer-to-peer flow with media of both sides, each of which last spoke at that second.
pub(crate) fn media(mut case: Case, last: [f64; 2]) -> Case {
    let last = last.map(at);
    case.media = Some(MediaCase { dtls: true, sctp: false, rtp: 0, datagrams: 900, sent: [450; 2], last });
    case
}

/// The same flow with HTTP in the clear instead of TLS, in these turns.
pub(crate) fn clear(mut case: Case, turns: &[Turn]) -> Case {
    case.tls = None;
    case.resp.1 = 80;
    case.identity.dest_port = Some(80);
    let turns = turns.iter().map(|turn| TurnCase { turn: *turn, via: None, server: None }).collect();
    case.http = Some(HttpCase { turns, message_http: None });
    case
}

/// A flow whose SYN was never answered, sent `syns` times.
pub(crate) fn unanswered(mut case: Case, syns: u64) -> Case {
    (case.established, case.tls, case.payload, case.pkts, case.ttl) = (false, None, [0; 2], [syns, 0], [64, 0]);
    if let Some(tcp) = &mut case.tcp {
        tcp.state = "S0";
        tcp.bursts = [Vec::new(), Vec::new()];
        tcp.trouble[0].retransmissions = syns as u32 - 1;
    }
    case
}

/// A DNS query for `name` at second `asked`, and the response after `took` seconds with that code, if there was one.
pub(crate) fn dns(number: u64, client: &str, name: &str, asked: f64, answer: Option<(f64, u16)>) -> DnsCase {
    let base = KnowledgeBase::new(None, Site::default()).unwrap();
    let host: HostMatch = base.catalogue.look_up(name);
    DnsCase {
        identity: tcp(number, client, "192.168.1.1", Class::Dns, "", asked, asked).identity,
        client: ip(client),
        resolver: ip("192.168.1.1"),
        name: name.to_owned(),
        host,
        qtype: 1,
        first: seen(asked, number),
        last: at(asked),
        times: 1,
        answer: answer.map(|(took, rcode)| (seen(asked + took, number + 1), rcode)),
        addresses: SmallVec::new(),
        ttl: None,
    }
}

/// The same query, answered by that address.
pub(crate) fn told(mut dns: DnsCase, address: &str) -> DnsCase {
    dns.addresses.push(ip(address));
    dns.ttl = Some(60);
    dns
}

/// How long `resolver` took to answer `client`, in seconds, when it was asked every ten seconds.
pub(crate) fn resolver(number: u64, client: &str, resolver: &str, times: &[f64]) -> ResolverCase {
    let replies: Vec<Reply> =
        (0..).step_by(10).zip(times).map(|(asked, time)| Reply { asked, micros: (time * 1e6) as u32 }).collect();
    let answers = replies.len() as u32;
    ResolverCase { client: ip(client), resolver: ip(resolver), first: seen(1.0, number), answers, replies }
}

/// What a detector makes of these cases, by the embedded rules.
pub(crate) fn found(
    flows: Vec<Case>,
    dns: Vec<DnsCase>,
    detector: impl Fn(&Scene<'_>) -> Vec<FindingRecord>,
) -> Vec<FindingRecord> {
    found_among(Cases { flows, dns, ..Cases::default() }, detector)
}

/// The same of cases of every kind. Without flows the capture lasts ten minutes.
pub(crate) fn found_among(cases: Cases, detector: impl Fn(&Scene<'_>) -> Vec<FindingRecord>) -> Vec<FindingRecord> {
    found_in(cases, detector)
}

/// What anything makes of a scene of these cases.
pub(crate) fn found_in<T>(cases: Cases, judge: impl Fn(&Scene<'_>) -> T) -> T {
    found_at(Site::default(), cases, judge)
}

/// The same at a site of which the user has said something.
pub(crate) fn found_at<T>(site: Site, cases: Cases, judge: impl Fn(&Scene<'_>) -> T) -> T {
    let last = cases.flows.iter().map(|case| case.last).max().unwrap_or_else(|| at(600.0));
    let mut cases = Cases { first: at(0.0), last, ..cases }.indexed();
    let rules = Rules::embedded().unwrap();
    let base = KnowledgeBase::new(None, site).unwrap();
    for case in &mut cases.flows {
        case.known = case.host.as_deref().map_or(HostMatch::NONE, |host| base.catalogue.look_up(host));
    }
    let quality = CaptureQuality::default();
    judge(&Scene { cases: &cases, rules: &rules, base: &base, quality: &quality })
}

/// The end of a connection by a RST of `by` at that second, with that time to live.
pub(crate) fn reset(mut case: Case, by: Direction, seconds: f64, ttl: u8) -> Case {
    if let Some(tcp) = &mut case.tcp {
        tcp.state = if by == Direction::Orig { "RSTO" } else { "RSTR" };
        tcp.rst_by = Some(by);
        tcp.reset = Some(crate::engine::case::ResetCase { seen: seen(seconds, 99), by, ttl });
    }
    case
}
