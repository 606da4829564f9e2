use super::super::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, at, dns, found, tcp, told, unanswered};
use super::*;
use crate::classify::words::Subs;
use crate::engine::case::Direction;
use crate::engine::learnt::Icmp;

fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    super::detect(scene, &names::failed(scene))
}

const API: &str = "restapi.gp4f.com";
const API_ADDRESS: &str = "203.0.113.20";
const LSF: &str = "lsf.u5fgb.com";
const WAN: &str = "198.51.100.7";

/// What is said, each with mode, host and how sure.
fn said(flows: Vec<Case>) -> Vec<(String, String, f64)> {
    let short = |finding: FindingRecord| {
        let mode = finding.mode.map_or("", Mode::text);
        (format!("{}/{mode}", finding.kind.text()), finding.host.unwrap_or_default(), finding.confidence)
    };
    found(flows, Vec::new(), detect).into_iter().map(short).collect()
}

fn one(kind: &str, host: &str, sure: f64) -> (String, String, f64) {
    (kind.into(), host.into(), sure)
}

fn relay(number: u64, first: f64, last: f64) -> Case {
    tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, last)
}

fn api(number: u64, first: f64, last: f64) -> Case {
    tcp(number, RECORDER, API_ADDRESS, Class::Api, API, first, last)
}

fn on_80(mut case: Case) -> Case {
    case.resp.1 = 80;
    case.identity.dest_port = Some(80);
    case
}

/// A connection that was refused at once, by a RST with that time to live.
fn refused(mut case: Case, trip: f64, ttl: u8) -> Case {
    case = unanswered(case, 1);
    (case.pkts[1], case.ttl[1], case.last) = (1, ttl, at(0.0).after(0));
    case.last = case.first().after((trip * 1e9) as u64);
    let tcp = case.tcp.as_mut().unwrap();
    (tcp.state, tcp.rst_by, tcp.rtt_min) = ("REJ", Some(Direction::Resp), Some(trip));
    case
}

#[test]
fn a_refusal_that_is_shown_before_its_syn_is_one() {
    let tries = |midstream: bool| {
        let tries = (0..4u64).map(|n| refused(relay(n + 1, n as f64 * 3.0, n as f64 * 3.0), 0.03, 46));
        tries.map(|case| Case { midstream, ..case }).collect()
    };
    assert_eq!(said(tries(true)), said(tries(false)));
    assert!(matches!(&said(tries(true))[..], [(kind, _, sure)] if kind == "tcp-blocked/rst" && *sure >= 0.55));
}

#[test]
fn silence_is_a_drop() {
    let [found] = &found(vec![unanswered(relay(1, 5.0, 12.0), 4)], vec![], detect)[..] else { panic!() };
    assert_eq!((found.mode, found.confidence, found.rule, found.count), (Some(Mode::Drop), 0.9, "D-6", 4));
    assert_eq!((found.first, found.flow_start, found.dest_port), (at(5.0), Some(at(5.0)), Some(443)));
    // a client that opens a new connection each time
    let tries = |count: u64| (0..count).map(|n| unanswered(relay(n + 1, n as f64 * 2.0, n as f64 * 2.0), 1)).collect();
    assert_eq!(said(tries(3)), [one("tcp-blocked/drop", RELAY_NAME, 0.9)]);
    assert!(said(tries(2)).is_empty());
    // the capture or the client ends too early, or it is asked for on a port that nobody needs
    assert!(said(vec![unanswered(relay(1, 5.0, 6.0), 3)]).is_empty());
    assert!(said(vec![on_80(unanswered(api(1, 5.0, 12.0), 4))]).is_empty());
    let mut foreign = unanswered(relay(1, 5.0, 12.0), 4);
    foreign.host = Some("cdn.example.net".into());
    assert!(said(vec![foreign]).is_empty());
    let mut copies = unanswered(relay(1, 5.0, 12.0), 4);
    copies.duplicates = 2;
    assert!(said(vec![copies]).is_empty());
}

#[test]
fn who_gets_through_in_the_end_is_not_blocked() {
    let vain = || unanswered(relay(1, 5.0, 12.0), 4);
    assert!(said(vec![vain(), relay(2, 13.0, 20.0)]).is_empty());
    // through a proxy, or over the other version of IP
    let mut proxied = relay(2, 13.0, 20.0);
    (proxied.via_proxy, proxied.resp.1) = (Some(443), 3128);
    assert!(said(vec![vain(), proxied]).is_empty());
    let mut six = vain();
    (six.orig.0, six.resp.0) = ("2001:db8::50".parse().unwrap(), "2001:db8:1::10".parse().unwrap());
    assert!(said(vec![six.clone(), relay(2, 13.0, 20.0)]).is_empty());
    // while that may still come, it is a hint
    assert_eq!(said(vec![six.clone()]), [one("tcp-blocked/drop", RELAY_NAME, 0.5)]);
    assert_eq!(said(vec![six.clone(), api(3, 1.0, 34.9)])[0].2, 0.5);
    assert_eq!(said(vec![six.clone(), api(3, 1.0, 35.1)])[0].2, 0.9);
    // another client does not count, and what worked once may be blocked later
    let other = tcp(2, VIEWER, RELAY, Class::Relay, RELAY_NAME, 13.0, 20.0);
    assert_eq!(said(vec![vain(), other]).len(), 1);
    let alive = api(3, 1.0, 30.0);
    let later = said(vec![relay(2, 1.0, 3.0), vain(), alive]);
    assert!(later.contains(&one("tcp-blocked/drop", RELAY_NAME, 0.9)), "{later:?}");
    // unless nothing at all comes in any more
    assert_eq!(said(vec![relay(2, 1.0, 3.0), vain()]), [one("tcp-blocked/drop", RELAY_NAME, 0.5)]);
}

#[test]
fn a_line_that_was_down_is_no_firewall() {
    let vain = || unanswered(relay(1, 5.0, 12.0), 4);
    let shop = |n, first, last| tcp(n, RECORDER, "198.51.100.80", Class::Unknown, "www.example.net", first, last);
    // somebody else is called in vain at the time, and reached later or earlier: nothing comes in
    for (first, last) in [(20.0, 30.0), (1.0, 3.0)] {
        for other in [api, shop] {
            let all = vec![vain(), unanswered(other(2, 5.1, 12.1), 4), other(3, first, last)];
            let all = said(all).into_iter().filter(|(_, host, _)| host == RELAY_NAME).collect::<Vec<_>>();
            assert!(all.iter().all(|(.., sure)| *sure == 0.5) && !all.is_empty(), "{all:?}");
        }
    }
    // another address of that name, or one that never answers, or something that does come in: no outage
    let mut elsewhere = api(3, 20.0, 30.0);
    elsewhere.resp.0 = "203.0.113.21".parse().unwrap();
    let dead = || unanswered(api(2, 5.1, 12.1), 4);
    assert_eq!(said(vec![vain(), dead(), elsewhere])[0], one("tcp-blocked/drop", RELAY_NAME, 0.9));
    assert_eq!(said(vec![vain(), dead()]).iter().filter(|(.., sure)| *sure == 0.9).count(), 2);
    let alive = said(vec![vain(), dead(), api(3, 20.0, 30.0), shop(4, 1.0, 30.0)]);
    assert!(alive.contains(&one("tcp-blocked/drop", RELAY_NAME, 0.9)), "{alive:?}");
}

#[test]
fn what_works_at_another_time_makes_no_gap() {
    let lsf = || unanswered(tcp(1, RECORDER, "203.0.113.23", Class::LsfControl, LSF, 505.0, 512.0), 4);
    let gap = |first, last| said(vec![api(9, first, last), lsf()]).iter().any(|(kind, ..)| kind == "allowlist-gap/");
    assert!(gap(1.0, 900.0) && gap(440.0, 446.0) && gap(570.0, 580.0));
    assert!(!gap(1.0, 400.0) && !gap(600.0, 900.0));
}

#[test]
fn refusals_and_who_makes_them() {
    // from next door, where the servers are ten hops away
    let near = said(vec![api(9, 1.0, 30.0), refused(relay(1, 5.0, 5.0), 0.0003, 64)]);
    assert_eq!(near[0], one("tcp-blocked/rst", RELAY_NAME, 0.9));
    // as far away as the servers: their own, perhaps, and once may be a restart
    let own = |n: u64| refused(relay(n, n as f64 * 3.0, 0.0), 0.02, 52);
    assert_eq!(said(vec![api(9, 1.0, 30.0), own(1), own(2), own(3)])[0].2, 0.5);
    // what worked before and is refused now, while nothing else comes in, does not vanish
    let before = tcp(9, RECORDER, RELAY, Class::Relay, RELAY_NAME, 1.0, 2.0);
    let down = vec![before, own(1), own(2), own(3)];
    assert_eq!(said(down), [one("tcp-blocked/rst", RELAY_NAME, 0.5)]);
    // nothing to compare with
    let unknown = |n: u64| refused(relay(n, n as f64 * 3.0, 0.0), 0.0003, 63);
    assert_eq!(said(vec![unknown(1), unknown(2), unknown(3)]), [one("tcp-blocked/rst", RELAY_NAME, 0.9)]);
    assert_eq!(said(vec![unknown(1)])[0].2, 0.5);
}

#[test]
fn a_router_says_so() {
    let rejected = |code| {
        let mut case = unanswered(relay(1, 5.0, 5.0), 1);
        let from = crate::decode::Addr::from_ip("192.168.1.1".parse().unwrap());
        case.icmp = Some(Icmp { from, kind: 3, code, frame: 2 });
        case
    };
    let [found] = &found(vec![rejected(13)], vec![], detect)[..] else { panic!() };
    assert_eq!((found.mode, found.confidence), (Some(Mode::Icmp), 0.98));
    assert_eq!(
        found.title,
        format!("{RECORDER} cannot reach {RELAY_NAME} on TCP port 443: 192.168.1.1 says that it is prohibited")
    );
    assert_eq!(found.evidence[1].frame, Some(2));
    assert!(said(vec![rejected(1)]).is_empty());
    let mut again = rejected(1);
    (again.pkts[0], again.last) = (4, at(12.0));
    assert_eq!(said(vec![again]), [one("tcp-blocked/icmp", RELAY_NAME, 0.75)]);
}

#[test]
fn one_port_or_one_name() {
    // 80 is closed, 443 is open
    let [found] = &found(vec![relay(9, 1.0, 30.0), on_80(unanswered(relay(1, 5.0, 12.0), 4))], vec![], detect)[..]
    else {
        panic!()
    };
    assert_eq!((found.rule, found.severity, found.confidence), ("D-34", Severity::Warning, 0.85));
    // one name of several: a gap
    let lsf = |n, first, last| tcp(n, RECORDER, "203.0.113.23", Class::LsfControl, LSF, first, last);
    let gap = said(vec![api(9, 1.0, 30.0), unanswered(lsf(1, 5.0, 12.0), 4)]);
    assert_eq!(gap, [one("tcp-blocked/drop", LSF, 0.9), one("allowlist-gap/", LSF, 0.85)]);
    // a sibling that is accepted and then gets nowhere is none
    let mut cut = api(9, 1.0, 30.0);
    (cut.tls.as_mut().unwrap().version, cut.payload[1]) = (0, 0);
    assert_eq!(said(vec![cut, unanswered(lsf(1, 5.0, 12.0), 4)]), [one("tcp-blocked/drop", LSF, 0.9)]);
    // all names on one port: not a gap, though the relay answers on the other
    let port =
        said(vec![on_80(relay(9, 1.0, 30.0)), unanswered(lsf(1, 5.0, 12.0), 4), unanswered(api(2, 5.0, 12.0), 4)]);
    assert!(port.iter().all(|(kind, ..)| kind == "tcp-blocked/drop") && port.len() == 2, "{port:?}");
}

#[test]
fn a_port_that_was_open_too() {
    // that 80 was open when 443 was says nothing of why 443 is closed; that it still is does
    let rules = |again: f64| {
        let both = vec![relay(8, 0.2, 0.8), on_80(relay(9, again, again + 0.5)), unanswered(relay(1, 5.0, 12.0), 4)];
        found(both, vec![], detect).iter().map(|found| found.rule).collect::<Vec<_>>()
    };
    assert!(!rules(0.3).contains(&"D-34"), "{:?}", rules(0.3));
    assert!(rules(6.0).contains(&"D-34"), "{:?}", rules(6.0));
}

#[test]
fn storage_alone() {
    let name = "oe-prod-media.s3.us-west-2.amazonaws.com";
    let mut s3 = unanswered(tcp(1, RECORDER, "203.0.113.30", Class::S3, name, 5.0, 12.0), 4);
    s3.subs = Subs::of(Sub::Vendor);
    let [blocked, gap] = &found(vec![api(9, 1.0, 30.0), s3.clone()], vec![], detect)[..] else { panic!() };
    assert_eq!((blocked.kind, blocked.severity), (Kind::TcpBlocked, Severity::Warning));
    assert_eq!((gap.kind, gap.confidence, gap.first), (Kind::S3Blocked, 0.85, at(5.0)));
    assert_eq!(said(vec![s3]).len(), 1);
}

#[test]
fn a_name_that_is_denied_is_a_gap_where_others_pass() {
    let denied = || dns(1, RECORDER, RELAY_NAME, 5.0, Some((0.01, 3)));
    let gap = found(vec![api(9, 1.0, 30.0)], vec![denied()], detect);
    assert_eq!(gap.iter().map(|f| (f.kind, f.flow_start)).collect::<Vec<_>>(), [(Kind::AllowlistGap, Some(at(5.0)))]);
    // no firewall was asked
    assert_eq!(gap[0].manner, Some(Manner::Unfound));
    assert!(gap[0].advice.starts_with("Whoever runs the DNS resolver"), "{}", gap[0].advice);
    assert!(found(vec![], vec![denied()], detect).is_empty());
    // a name that only a wildcard has room for may be misspelt
    let misspelt = dns(1, RECORDER, "wwww.openeye.net", 5.0, Some((0.01, 3)));
    assert!(found(vec![api(9, 1.0, 30.0)], vec![misspelt], detect).is_empty());
    // what a filter's own address refuses is the filter's doing
    let sunk = told(dns(1, RECORDER, RELAY_NAME, 5.0, Some((0.01, 0))), "192.168.1.1");
    let vain = unanswered(tcp(2, RECORDER, "192.168.1.1", Class::Relay, RELAY_NAME, 6.0, 14.0), 4);
    let sunk = found(vec![vain, api(9, 1.0, 30.0)], vec![sunk], detect);
    assert!(sunk.iter().all(|f| f.kind == Kind::AllowlistGap), "{sunk:?}");
}

/// A client that comes to the site's address outside.
fn inward(number: u64, from: &str, first: f64, last: f64) -> Case {
    let mut case = unanswered(tcp(number, from, WAN, Class::Direct, "", first, last), 4);
    (case.host, case.subs) = (None, Subs::of(if case.inside[0] { Sub::Hairpin } else { Sub::Inbound }));
    case
}

#[test]
fn nobody_lets_a_client_in() {
    let [found] = &found(vec![inward(1, VIEWER, 5.0, 12.0)], vec![], detect)[..] else { panic!() };
    assert_eq!((found.kind, found.confidence, found.first), (Kind::DirectBroken, 0.9, at(5.0)));
    assert!(found.evidence[1].text.contains("inside"));
    let from_outside = |n| inward(n, &format!("192.0.2.{n}"), 5.0, 12.0);
    let again = inward(2, "192.0.2.1", 14.0, 20.0);
    assert_eq!(said(vec![from_outside(1), again]), [one("direct-broken/", "", 0.65)]);
    assert_eq!(said(vec![inward(1, "192.0.2.1", 5.0, 16.0)]), [one("direct-broken/", "", 0.65)]);
    // once may be a scanner, unless the port is handed on to a recorder, or was open to somebody
    assert_eq!(said(vec![from_outside(1)]), [one("direct-broken/", "", 0.5)]);
    let mut inside = from_outside(1);
    (inside.resp.0, inside.identity.dest_ip, inside.inside[1]) =
        (RECORDER.parse().unwrap(), RECORDER.parse().unwrap(), true);
    assert_eq!(said(vec![inside.clone()]), [one("direct-broken/", "", 0.65)]);
    // a refusal is an answer, and the recorder's own shows that the port is forwarded
    let refused = |mut case: Case| {
        case.pkts[1] = 3;
        crate::diagnose::testcases::found(vec![case], vec![], detect).swap_remove(0)
    };
    let (at_router, at_recorder) = (refused(inward(1, VIEWER, 5.0, 12.0)), refused(inside));
    assert_eq!((at_router.manner, at_recorder.manner), (Some(Manner::Refused), Some(Manner::Closed)));
    assert!(at_router.title.ends_with("is refused"), "{}", at_router.title);
    assert!(at_recorder.advice.starts_with("Whoever looks after the recorder"), "{}", at_recorder.advice);
    let mut before = tcp(9, "192.0.2.9", WAN, Class::Direct, "", 1.0, 4.0);
    before.host = None;
    assert_eq!(said(vec![before, from_outside(1)]), [one("direct-broken/", "", 0.65)]);
    // the noise of the Internet, one who tries other ports too, and a port that is open after all
    assert!(said((1..=3).map(from_outside).collect()).is_empty());
    let mut other = from_outside(1);
    (other.class, other.resp.1) = (Class::Unknown, 22);
    assert!(said(vec![from_outside(1), other]).is_empty());
    // outside the gateway nothing tells that the address is the site's, but that it speaks to the cloud
    let mut unnamed = from_outside(1);
    unnamed.class = Class::Unknown;
    assert!(said(vec![unnamed.clone()]).is_empty());
    let speaks = tcp(9, WAN, RELAY, Class::Relay, RELAY_NAME, 1.0, 30.0);
    assert_eq!(said(vec![speaks.clone(), unnamed.clone()]), [one("direct-broken/", "", 0.5)]);
    // a panel's events come by a port that nobody views by
    unnamed.resp.1 = 2001;
    assert!(said(vec![speaks, unnamed]).is_empty());
    let mut open = tcp(9, "192.0.2.9", WAN, Class::Direct, "", 20.0, 30.0);
    open.host = None;
    assert!(said(vec![from_outside(1), open]).is_empty());
}

#[test]
fn ipv6_that_leads_nowhere() {
    let six = |n: u64, first: f64| {
        let mut case = unanswered(relay(n, first, first + 2.0), 2);
        (case.orig.0, case.resp.0) = ("2001:db8::50".parse().unwrap(), "2001:db8:1::10".parse().unwrap());
        case.identity.src_ip = case.orig.0;
        case
    };
    let twice = || vec![six(1, 5.0), relay(2, 9.0, 12.0), six(3, 50.0), relay(4, 54.0, 60.0)];
    let [found] = &found(twice(), vec![], detect)[..] else { panic!() };
    assert_eq!((found.kind, found.confidence, found.first, found.count), (Kind::BrokenIpv6, 0.85, at(5.0), 2));
    assert!(found.title.contains("loses 4.0 s"), "{}", found.title);
    assert!(said(vec![six(1, 5.0), relay(2, 9.0, 12.0)]).is_empty());
    // both were tried at once, and IPv4 was quicker
    assert!(said(vec![six(1, 5.0), relay(2, 5.05, 12.0), six(3, 50.0), relay(4, 50.05, 60.0)]).is_empty());
    // IPv6 does work
    let mut works = six(5, 70.0);
    works.established = true;
    assert!(said([twice(), vec![works]].concat()).is_empty());
}
