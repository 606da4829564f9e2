use super::super::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, at, clear, found, reset, seen, tcp};
use super::*;
use crate::engine::case::NtpCase;
use crate::engine::learnt::{AlertSeen, Flight, Turn};
use crate::event::{Class, Kind};
use crate::flow::trouble::Repeated;

const API: &str = "restapi.gp4f.com";
const LAB: &str = "O=A Private Trust, CN=Its Root";
const AMAZON: &str = "C=US, O=Amazon, CN=Amazon RSA 2048 M02";

/// What is said, each with its host and how sure.
fn said(flows: Vec<Case>) -> Vec<(Kind, String, f64)> {
    let short = |finding: FindingRecord| (finding.kind, finding.host.unwrap_or_default(), finding.confidence);
    found(flows, Vec::new(), detect).into_iter().map(short).collect()
}

fn one(kind: Kind, host: &str, sure: f64) -> Vec<(Kind, String, f64)> {
    vec![(kind, host.to_owned(), sure)]
}

fn relay(number: u64, first: f64) -> Case {
    tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, first + 9.0)
}

fn api(number: u64, first: f64) -> Case {
    tcp(number, RECORDER, "203.0.113.20", Class::Api, API, first, first + 9.0)
}

/// A connection on which nothing came back to the hello.
fn hello_only(mut case: Case) -> Case {
    case.payload[1] = 0;
    let (tls, tcp) = (case.tls.as_mut().unwrap(), case.tcp.as_mut().unwrap());
    (tls.version, tls.flight) = (0, None);
    tcp.bursts[1].clear();
    tcp.unacknowledged = [Some(700), Some(0)];
    case
}

fn cut_off(number: u64, first: f64, ttl: u8) -> Case {
    reset(hello_only(relay(number, first)), Direction::Resp, first + 0.04, ttl)
}

#[test]
fn a_name_that_is_cut_off() {
    // the server's own packets have 52 left
    let [found] = &found(vec![cut_off(1, 5.0, 63)], vec![], detect)[..] else { panic!() };
    assert_eq!(
        (found.kind, found.confidence, found.first, found.flow_start),
        (Kind::SniReset, 0.95, at(5.04), Some(at(5.0)))
    );
    assert_eq!(found.middlebox.as_ref().and_then(|b| b.ttl), Some(63));
    assert_eq!(said(vec![cut_off(1, 5.0, 52)]), one(Kind::SniReset, RELAY_NAME, 0.5));
    let thrice = || (1..=3).map(|n| cut_off(n, n as f64 * 5.0, 53)).collect::<Vec<_>>();
    assert_eq!(said(thrice()), one(Kind::SniReset, RELAY_NAME, 0.8));
    assert_eq!(said([thrice(), vec![api(9, 1.0)]].concat()), one(Kind::SniReset, RELAY_NAME, 0.95));
    // it works in the end, it comes too late, the client itself leaves, or the server had answered
    assert!(said([thrice(), vec![relay(9, 30.0)]].concat()).is_empty());
    assert!(said(vec![reset(hello_only(relay(1, 5.0)), Direction::Resp, 9.0, 52)]).is_empty());
    assert!(said(vec![reset(hello_only(relay(1, 5.0)), Direction::Orig, 5.04, 64)]).is_empty());
    assert!(said(vec![reset(relay(1, 5.0), Direction::Resp, 5.04, 52)]).is_empty());
}

#[test]
fn a_name_that_is_closed_on() {
    let closed = |number: u64, first: f64, by, after: f64| {
        let mut case = hello_only(relay(number, first));
        case.last = at(first + after);
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.state, tcp.fin_by) = ("SF", Some(by));
        case
    };
    let thrice = |by, after| (1..=3).map(|n| closed(n, n as f64 * 10.0, by, after)).collect::<Vec<_>>();
    let server = Direction::Resp;
    let with = |mut flows: Vec<Case>, other| {
        flows.push(other);
        said(flows)
    };
    assert_eq!(with(thrice(server, 0.07), api(9, 1.0)), one(Kind::SniReset, RELAY_NAME, 0.8));
    // a server may do so itself where nothing shows that others pass, or seldom
    assert_eq!(said(thrice(server, 0.07)), one(Kind::SniReset, RELAY_NAME, 0.5));
    assert_eq!(with(vec![closed(1, 5.0, server, 0.07)], api(9, 1.0)), one(Kind::SniReset, RELAY_NAME, 0.5));
    // it works in the end, it comes too late, or the client leaves
    assert!(with(thrice(server, 0.07), relay(9, 60.0)).is_empty());
    assert!(with(thrice(server, 4.0), api(9, 1.0)).is_empty());
    assert!(with(thrice(Direction::Orig, 0.07), api(9, 1.0)).is_empty());
}

#[test]
fn what_comes_after_a_foreign_reset_does_not_excuse_it() {
    let mut case = reset(relay(1, 5.0), Direction::Resp, 5.04, 41);
    case.tls.as_mut().unwrap().flight = None;
    assert_eq!(said(vec![case]), one(Kind::SniReset, RELAY_NAME, 0.95));
}

/// A hello of so many bytes, sent again `times` times in vain.
fn swallowed(number: u64, first: f64, times: u16, bytes: u32) -> Case {
    let mut case = hello_only(relay(number, first));
    case.payload[0] = u64::from(bytes) * (u64::from(times) + 1);
    let trouble = &mut case.tcp.as_mut().unwrap().trouble[0];
    trouble.repeated = Repeated { times, len: bytes, first: at(first + 0.3), frame: 77, ..Repeated::default() };
    case
}

#[test]
fn a_hello_that_is_lost() {
    let [found] = &found(vec![swallowed(1, 5.0, 5, 520)], vec![], detect)[..] else { panic!() };
    assert_eq!((found.kind, found.confidence, found.first), (Kind::ClientHelloLost, 0.75, at(5.0)));
    assert!(found.evidence[1].text.contains("520 bytes is sent 6 times"));
    assert!(said(vec![swallowed(1, 5.0, 2, 520)]).is_empty());
    assert!(said(vec![swallowed(1, 5.0, 5, 520), relay(2, 20.0)]).is_empty());
    // so often in all, however soon the client gave up each time
    let thrice = |times| (1..=3).map(|n| swallowed(n, n as f64 * 9.0, times, 520)).collect::<Vec<_>>();
    assert_eq!(said(thrice(2)), one(Kind::ClientHelloLost, RELAY_NAME, 0.75));
    assert!(said([thrice(2), vec![relay(9, 40.0)]].concat()).is_empty());
    assert!(said(vec![swallowed(1, 9.0, 1, 520), swallowed(2, 18.0, 1, 520)]).is_empty());
    // a long one may be too long for the path, unless long packets pass
    assert_eq!(said(vec![swallowed(1, 5.0, 5, 1_800)])[0].2, 0.5);
    // again and again it is a claim, but where a shorter rest of it arrives it is the path
    let long = |heard: u64| {
        let of = |n: u64| {
            let mut case = swallowed(n, n as f64 * 20.0, 5, 1_800);
            case.pkts[1] = 1 + heard;
            case
        };
        said(vec![of(1), of(2)])[0].2
    };
    assert_eq!((long(0), long(1)), (0.75, 0.5));
    let mut long = api(9, 1.0);
    long.payload[0] = 1_900;
    assert_eq!(said(vec![long, swallowed(1, 5.0, 5, 1_800)]), one(Kind::ClientHelloLost, RELAY_NAME, 0.75));
    // what worked and does no more, while nothing comes in at all, is the line
    assert_eq!(said(vec![relay(2, 1.0), swallowed(1, 50.0, 5, 520)])[0].2, 0.5);
}

/// A handshake that `by` ends by an alert, after a certificate of `issuer`.
fn refused(mut case: Case, by: Direction, description: u8, issuer: &str) -> Case {
    let alert = AlertSeen { description, second: by == Direction::Resp, seen: seen(7.0, 70) };
    let tls = case.tls.as_mut().unwrap();
    (tls.version, tls.alert, tls.flight, tls.issuer) = (0x0303, Some((alert, by)), None, Some(issuer.to_owned()));
    case
}

fn issued(mut case: Case, issuer: &str) -> Case {
    let tls = case.tls.as_mut().unwrap();
    (tls.version, tls.issuer) = (0x0303, Some(issuer.to_owned()));
    case
}

/// A hello that was acknowledged, and for which the client waited for so long in vain.
fn taken_in(number: u64, first: f64, waited: f64) -> Case {
    let mut case = hello_only(relay(number, first));
    case.last = at(first + waited);
    let tcp = case.tcp.as_mut().unwrap();
    (tcp.state, tcp.fin_by, tcp.unacknowledged) = ("SF", Some(Direction::Orig), [Some(0); 2]);
    tcp.turns = [700, 0];
    case
}

#[test]
fn a_hello_that_is_taken_in_and_not_answered() {
    let tries = |n: u64, waited: f64| (1..=n).map(|n| taken_in(n, n as f64 * 20.0, waited)).collect::<Vec<_>>();
    let with = |mut flows: Vec<Case>, other: Case| {
        flows.push(other);
        said(flows)
    };
    let lost = |sure| one(Kind::ClientHelloLost, RELAY_NAME, sure);
    assert_eq!(with(tries(2, 11.0), api(9, 1.0)), lost(0.75));
    // who leaves sooner must have tried more often; once, or where nothing else passes, it may be one server
    assert_eq!(with(tries(3, 5.0), api(9, 1.0)), lost(0.75));
    assert!(with(tries(2, 5.0), api(9, 1.0)).is_empty());
    assert_eq!(with(tries(1, 11.0), api(9, 1.0)), lost(0.5));
    assert_eq!(said(tries(4, 11.0)), lost(0.5));
    // side by side is once
    assert_eq!(with(vec![taken_in(1, 20.0, 11.0), taken_in(2, 20.1, 11.0)], api(9, 1.0)), lost(0.5));
    // it works in the end; nobody has waited; the answer was not captured
    assert!(with([tries(3, 11.0), vec![relay(7, 90.0)]].concat(), api(9, 1.0)).is_empty());
    assert!(with(tries(4, 2.0), api(9, 1.0)).is_empty());
    let mut unseen = tries(3, 11.0);
    unseen.iter_mut().for_each(|case| case.tcp.as_mut().unwrap().trouble[1].missed = 3_000);
    assert!(with(unseen, api(9, 1.0)).is_empty());
    // what worked and does no more, while nothing else passes, is the line
    let line = [vec![relay(8, 2.0)], tries(3, 11.0)].concat();
    assert_eq!(with(line, api(9, 1.0)), lost(0.5));
}

/// The same connection through a proxy, which has made a tunnel for it.
fn tunnelled(mut case: Case) -> Case {
    (case.via_proxy, case.payload[1]) = (Some(443), 39);
    let spoke = crate::flow::course::Spoke { ts: case.first().after(crate::time::SECOND), frame: 5, bytes: 520 };
    case.tcp.as_mut().unwrap().spoke = Some(spoke);
    case
}

#[test]
fn a_hello_within_a_tunnel() {
    let passes = || api(9, 1.0);
    let tried = |try_: &dyn Fn(u64) -> Case| said((1..=3).map(try_).chain([passes()]).collect());
    let silent = |n: u64| tunnelled(taken_in(n, n as f64 * 20.0, 12.0));
    assert_eq!(tried(&silent), one(Kind::ClientHelloLost, RELAY_NAME, 0.75));
    let cut = |n: u64| tunnelled(reset(taken_in(n, n as f64 * 20.0, 1.1), Direction::Resp, n as f64 * 20.0 + 1.05, 52));
    assert_eq!(tried(&cut), one(Kind::SniReset, RELAY_NAME, 0.95));
    // something came back
    let answered = |n: u64| {
        let mut case = silent(n);
        case.tcp.as_mut().unwrap().turns = [0, 90];
        case
    };
    assert!(tried(&answered).is_empty());
}

#[test]
fn one_side_says_why() {
    let expired = |n| refused(api(n, 5.0), Direction::Orig, 45, LAB);
    let [found] = &found(vec![expired(1), expired(2)], vec![], detect)[..] else { panic!() };
    assert_eq!((found.kind, found.confidence, found.first, found.count), (Kind::TlsAlert, 0.95, at(7.0), 2));
    assert_eq!(found.title, "TLS with restapi.gp4f.com fails: certificate_expired");
    // versions are agreed on, and close_notify is none
    assert!(said(vec![refused(api(1, 5.0), Direction::Resp, 70, LAB), api(2, 8.0)]).is_empty());
    assert!(said(vec![refused(api(1, 5.0), Direction::Orig, 0, LAB)]).is_empty());
}

#[test]
fn alerts_that_are_over() {
    let refuses = |n, first: f64, by, description| {
        let mut case = refused(api(n, first), by, description, LAB);
        case.tls.as_mut().unwrap().alert.as_mut().unwrap().0.seen = seen(first + 0.1, n);
        case
    };
    // at each connection the first proposal is refused, and the next one taken
    let round = |n: u64| {
        let first = n as f64 * 30.0;
        vec![refuses(n, first, Direction::Resp, 70), api(n + 1, first + 0.2)]
    };
    assert!(said([round(1), round(3), round(5)].concat()).is_empty());
    // but what is refused without being taken soon after is told, also where that went on before
    let alone = |n: u64| refuses(n, n as f64 * 30.0, Direction::Resp, 70);
    assert_eq!(said([round(1), vec![alone(7), alone(9)]].concat()), one(Kind::TlsAlert, API, 0.95));
    // distrust that has gone in the end may have been put right, and distrust beside trust is two programs': a hint
    let distrusts = |n: u64, first: f64| refuses(n, first, Direction::Orig, 45);
    let twice = || vec![distrusts(1, 5.0), distrusts(2, 15.0)];
    assert_eq!(said(twice()), one(Kind::TlsAlert, API, 0.95));
    // who must act depends on the alert
    let advice = |description| {
        found(vec![refuses(1, 5.0, Direction::Orig, description)], Vec::new(), detect).swap_remove(0).advice
    };
    assert!(advice(48).contains("not decrypted") && advice(45).contains("set its clock"), "{}", advice(45));
    assert!(advice(70).contains("TLS 1.2") && advice(40) == advice(70) && advice(112) != advice(70), "{}", advice(70));
    assert_eq!(said([twice(), vec![api(3, 60.0)]].concat()), one(Kind::TlsAlert, API, 0.5));
    assert_eq!(said([twice(), vec![api(3, 15.3)]].concat()), one(Kind::TlsAlert, API, 0.5));
    // and what worked and no longer does is a fault
    assert_eq!(said([vec![api(3, 1.0)], twice()].concat()), one(Kind::TlsAlert, API, 0.95));
}

#[test]
fn an_alert_inside_tls_1_3() {
    let leaves = |n: u64, length: u16| {
        let mut case = api(n, n as f64 * 10.0);
        let asked = seen(n as f64 * 10.0 + 0.1, n);
        case.tls.as_mut().unwrap().flight = Some(Flight { client: 1, first: length, asked, ..Flight::default() });
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        case
    };
    let said_of = |length| said(vec![leaves(1, length), leaves(2, length)]);
    assert_eq!(said_of(19)[0], (Kind::TlsAlert, API.to_owned(), 0.7));
    assert_eq!(said_of(19)[1], (Kind::TlsIntercepted, API.to_owned(), 0.5));
    assert!(said_of(53).is_empty());
    assert!(said(vec![leaves(1, 19), leaves(2, 19), api(5, 60.0)]).is_empty());
    // from next door, where others are far away
    let near = |n| {
        let mut case = leaves(n, 19);
        case.ttl[1] = 64;
        case
    };
    let all = said(vec![near(1), near(2), near(3), relay(9, 1.0)]);
    assert!(all.contains(&(Kind::TlsIntercepted, API.to_owned(), 0.6)), "{all:?}");
}

#[test]
fn requests_for_the_time() {
    let day = 86_400_000_000_000i64;
    let asks = |n: u64, client_ahead: i64, server_ahead: Option<i64>| {
        let mut case = tcp(n, RECORDER, "203.0.113.41", Class::Ntp, "1.cctv.pool.ntp.org", n as f64, n as f64 + 0.1);
        (case.proto, case.tcp, case.tls) = (17, None, None);
        case.ntp = Some(NtpCase { client_ahead: Some(client_ahead), server_ahead });
        case
    };
    // the relay makes the recorder one of the system
    let said =
        |asked: Vec<Case>| said([asked, vec![relay(99, 1.0)]].concat()).into_iter().map(|f| f.2).collect::<Vec<_>>();
    assert_eq!(said(vec![asks(1, day, Some(0))]), [0.85]);
    assert_eq!(said(vec![asks(1, -day, None)]), [0.7]);
    assert!(said(vec![asks(1, day / 1_000, Some(0))]).is_empty());
    // the capture's clock, a clock that has been set, and numbers that are no times
    assert!(said(vec![asks(1, day, Some(day))]).is_empty());
    assert!(said(vec![asks(1, day, Some(0)), asks(2, 0, Some(0))]).is_empty());
    assert_eq!(said(vec![asks(1, 400 * day, Some(0)), asks(2, -900 * day, Some(0))]), [0.5]);
    assert_eq!(said(vec![asks(1, 400 * day, Some(0)), asks(2, 400 * day, Some(0))]), [0.85]);
}

#[test]
fn who_reads_along() {
    let filter = "O=Example School, CN=Filter Inspection CA";
    assert_eq!(said(vec![issued(relay(1, 5.0), filter)]), one(Kind::TlsIntercepted, RELAY_NAME, 0.95));
    let fortinet = issued(relay(1, 5.0), "C=US, O=Fortinet, OU=Certificate Authority, CN=FG100F");
    let [found] = &found(vec![fortinet], vec![], detect)[..] else { panic!() };
    assert_eq!(found.middlebox.as_ref().and_then(|b| b.product.as_deref()), Some("Fortinet FortiGate"));
    // nobody knows it, which says nothing
    assert!(said(vec![issued(relay(1, 5.0), LAB), issued(api(2, 5.0), AMAZON)]).is_empty());
    // it signs for two of the vendor's domains and for a stranger out there
    let signs =
        |host: &'static str| move |n| issued(tcp(n, RECORDER, "203.0.113.77", Class::Unknown, host, 5.0, 9.0), LAB);
    let vendor = || vec![issued(relay(1, 5.0), LAB), issued(api(2, 5.0), LAB)];
    let all = said([vendor(), vec![signs("www.example.com")(3)]].concat());
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(kind, _, sure)| (*kind, *sure) == (Kind::TlsIntercepted, 0.8)), "{all:?}");
    assert!(said(vendor()).is_empty());
    // a host of the list that is not the vendor's own is a stranger too, and none of the vendor's domains
    let listed = |host, class| issued(tcp(3, RECORDER, "203.0.113.78", class, host, 5.0, 9.0), LAB);
    let trusted = || listed("ctldl.windowsupdate.com", Class::Update);
    assert_eq!(said([vendor(), vec![trusted()]].concat()).len(), 3);
    assert!(said(vec![issued(relay(1, 5.0), LAB), trusted()]).is_empty());
    for near in ["nas.lan", "10.0.0.9", "printer"] {
        assert!(said([vendor(), vec![signs(near)(3)]].concat()).is_empty(), "{near}");
    }
    assert!(said(vec![issued(relay(1, 5.0), LAB), signs("www.example.com")(3)]).is_empty());
    // two issuers of one name
    let other = issued(tcp(2, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 20.0), AMAZON);
    assert_eq!(said(vec![issued(relay(1, 5.0), LAB), other]), one(Kind::TlsIntercepted, RELAY_NAME, 0.9));
    // the client does not trust it; elsewhere it is trusted
    let distrusted = || refused(relay(1, 5.0), Direction::Orig, 48, LAB);
    let kinds = |flows| said(flows).into_iter().map(|(kind, ..)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(vec![distrusted()]), [Kind::TlsAlert, Kind::TlsIntercepted]);
    assert_eq!(kinds(vec![distrusted(), issued(api(2, 5.0), LAB)]), [Kind::TlsAlert]);
    assert_eq!(kinds(vec![refused(relay(1, 5.0), Direction::Orig, 48, AMAZON)]), [Kind::TlsAlert]);
}

#[test]
fn a_clock_that_is_wrong() {
    let now = (at(7.0).0 / crate::time::SECOND) as i64;
    let expired = |until| {
        let mut case = refused(api(1, 5.0), Direction::Orig, 45, LAB);
        case.tls.as_mut().unwrap().valid = Some([now - 90_000, until]);
        said(vec![case]).into_iter().map(|(kind, ..)| kind).collect::<Vec<_>>()
    };
    assert_eq!(expired(now + 90_000), [Kind::TlsAlert, Kind::ClockSkew]);
    assert_eq!(expired(now - 10), [Kind::TlsAlert]);
    // by what a recorder writes itself
    let dated = |skew: i32| {
        let turn = Turn {
            asked: Some(seen(5.0, 1)),
            answered: Some(seen(5.1, 2)),
            status: 200,
            skew: Some(skew),
            ..Turn::default()
        };
        let mut case = clear(tcp(1, VIEWER, RECORDER, Class::LocalIp, "", 5.0, 9.0), &[turn]);
        case.recorders = [false, true];
        case
    };
    let [wrong] = &found(vec![dated(4_000)], vec![], detect)[..] else { panic!() };
    assert_eq!((wrong.kind, wrong.confidence), (Kind::ClockSkew, 0.7));
    assert_eq!(wrong.title, "The clock of 192.168.1.50 is wrong: 1 h 06 m ahead");
    assert!(said(vec![dated(200)]).is_empty());
    // a time zone, perhaps; and a capture whose own clock is wrong
    assert_eq!(said(vec![dated(-7_200)])[0].2, 0.5);
    let turn = Turn { status: 200, skew: Some(4_001), ..Turn::default() };
    let outside = clear(api(2, 5.0), &[turn]);
    assert!(said(vec![dated(4_000), outside]).is_empty());
}
