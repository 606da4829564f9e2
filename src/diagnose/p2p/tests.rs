use super::*;
use crate::classify::words::Subs;
use crate::decode::Addr;
use crate::diagnose::testcases::{
    RECORDER, RELAY, RELAY_NAME, VIEWER, at, burst, found, found_among, media, stun, tcp, udp, unanswered,
};
use crate::engine::case::Cases;
use crate::event::Kind;

const STUN: &str = "203.0.113.40";
const PEER: &str = "198.51.100.7";

/// What a client asks the vendor's STUN server, so often.
fn asks(number: u64, client: &str, port: u16, first: f64, requests: u32, mapped: Option<&str>) -> Case {
    let case = tcp(number, client, STUN, Class::Stun, "stun.u5fgb.com", first, first + 8.0);
    let answers = u32::from(mapped.is_some());
    let mut case = udp(case, port, 3478, [requests.into(), answers.into()]);
    case.subs = Subs::of(Sub::Vendor);
    stun(case, [requests, 0], [0, answers], mapped)
}

/// A flow of a client with a peer: datagrams each way, checks out, and answers to them.
fn peer(number: u64, client: &str, port: u16, pkts: [u64; 2], checks: u32, answers: u32, mapped: Option<&str>) -> Case {
    let case = udp(tcp(number, client, PEER, Class::P2p, "", 5.0, 13.0), port, 50_000, pkts);
    let mut case = stun(case, [checks, 0], [0, answers], mapped);
    (case.host, case.subs) = (None, Subs::of(Sub::Wan).with_if(answers == 0, Sub::Attempt));
    case
}

/// A connection that works, and makes the capture last.
fn works(client: &str) -> Case {
    tcp(1, client, RELAY, Class::Relay, RELAY_NAME, 0.0, 60.0)
}

fn told(flows: Vec<Case>) -> Vec<(Kind, &'static str, f64, Timestamp)> {
    found(flows, Vec::new(), detect).iter().map(|f| (f.kind, f.rule, f.confidence, f.first)).collect()
}

#[test]
fn stun_without_any_answer_is_told() {
    let found =
        told(vec![works(RECORDER), asks(2, RECORDER, 41_000, 1.0, 3, None), asks(3, RECORDER, 42_000, 9.0, 3, None)]);
    assert_eq!(found, [(Kind::StunUnanswered, "D-13", 0.85, at(1.0))]);
    // two that were lost, one that was answered; and too few to tell
    let answered = asks(3, RECORDER, 42_000, 9.0, 3, Some("203.0.113.7:42000"));
    assert_eq!(told(vec![works(RECORDER), asks(2, RECORDER, 41_000, 1.0, 5, None), answered]), []);
    assert_eq!(told(vec![works(RECORDER), asks(2, RECORDER, 41_000, 1.0, 3, None)]), []);
    // a firewall that says so needs to say it once; a closed port may be open again
    let told_off = |code: u8| {
        let mut case = asks(2, RECORDER, 41_000, 1.0, 1, None);
        case.icmp = Some(Icmp { from: Addr::from_ip(case.resp.0), kind: 3, code, frame: 8 });
        told(vec![works(RECORDER), case]).len()
    };
    assert_eq!((told_off(13), told_off(3)), (1, 0));
    // the capture ends before an answer could have come
    let end = |seconds: f64| {
        let mut asks = asks(2, RECORDER, 41_000, 1.0, 4, None);
        asks.last = at(1.6);
        let mut works = works(RECORDER);
        works.last = at(seconds);
        told(vec![works, asks]).len()
    };
    assert_eq!((end(5.9), end(6.1)), (0, 1));
    // where nothing comes in at all, the capture may not see it
    assert!(told(vec![asks(2, RECORDER, 41_000, 1.0, 7, None)])[0].2 < 0.55);
    let mut other = asks(2, RECORDER, 41_000, 1.0, 7, None);
    other.subs = Subs::of(Sub::Other);
    assert_eq!(told(vec![works(RECORDER), other]), []);
}

#[test]
fn checks_that_nobody_answers_are_a_failed_attempt() {
    let asked = asks(2, RECORDER, 41_000, 1.0, 1, Some("203.0.113.7:41000"));
    let fails = |checks: u32| {
        vec![works(RECORDER), asked.clone(), peer(3, RECORDER, 41_000, [checks.into(), 0], checks, 0, None)]
    };
    assert_eq!(told(fails(5)), [(Kind::P2pFailed, "D-14", 0.7, at(5.0))]);
    // closed at once; answered with another candidate; without STUN there was nothing to try
    assert_eq!(told(fails(2)), []);
    let mut closed = fails(5);
    closed[2].stun.as_mut().unwrap().last[0] = at(7.5);
    assert!(told(closed)[0].2 < 0.55);
    let mut reached = fails(5);
    reached.push(peer(4, RECORDER, 41_000, [5, 5], 5, 5, None));
    assert_eq!(told(reached), []);
    let refused =
        vec![works(RECORDER), asks(2, RECORDER, 41_000, 1.0, 3, None), peer(3, RECORDER, 41_000, [5, 0], 5, 0, None)];
    assert_eq!(told(refused), []);
    // a viewer's other programs do such things too
    assert_eq!(told(vec![works(VIEWER), peer(3, VIEWER, 41_000, [5, 0], 5, 0, None)]), []);
    let beside = |port| {
        let asked = asks(2, VIEWER, 41_000, 1.0, 1, Some("203.0.113.7:41000"));
        told(vec![works(VIEWER), asked, peer(3, VIEWER, port, [5, 0], 5, 0, None)]).len()
    };
    assert_eq!((beside(41_000), beside(43_000)), (1, 0));
    let mut turn = works(RECORDER);
    turn.subs = Subs::of(Sub::Turn);
    let turn = media(turn, [60.0; 2]);
    assert_eq!(told([fails(5), vec![turn]].concat()), []);
}

#[test]
fn what_one_view_comes_to_says_nothing_of_another() {
    let asked = |number, port| asks(number, RECORDER, port, 1.0, 1, Some("203.0.113.7:41000"));
    let mut runs = peer(4, RECORDER, 41_000, [900, 900], 5, 5, None);
    let with = |runs: &Case| {
        let knocks = peer(5, RECORDER, 43_000, [5, 0], 5, 0, None);
        told(vec![works(RECORDER), asked(2, 41_000), asked(3, 43_000), runs.clone(), knocks])
    };
    // two sockets at one peer are one attempt, at two peers they are two
    assert_eq!(with(&runs), []);
    runs.resp.0 = "198.51.100.99".parse().unwrap();
    assert_eq!(with(&runs), [(Kind::P2pFailed, "D-14", 0.7, at(5.0))]);
    // and one socket at two peers is one
    runs.resp.0 = "198.51.100.99".parse().unwrap();
    let knocks = peer(5, RECORDER, 41_000, [5, 0], 5, 0, None);
    assert_eq!(told(vec![works(RECORDER), asked(2, 41_000), runs, knocks]), []);
}

#[test]
fn one_attempt_before_and_behind_its_router_is_told_once() {
    const OUTSIDE: &str = "203.0.113.7";
    let with = |client: &str| {
        vec![
            works(RECORDER),
            asks(2, RECORDER, 41_000, 1.0, 1, Some("203.0.113.7:41000")),
            asks(3, client, 41_000, 1.1, 1, Some("203.0.113.7:41000")),
            peer(4, RECORDER, 41_000, [5, 0], 5, 0, None),
            peer(5, client, 41_000, [5, 0], 5, 0, None),
        ]
    };
    assert_eq!(told(with(OUTSIDE)).len(), 1);
    assert_eq!(told(with("203.0.113.8")).len(), 2);
    // outside is all that was captured
    let inside: IpAddr = RECORDER.parse().unwrap();
    let outside = with(OUTSIDE).into_iter().filter(|case| case.orig.0 != inside || case.class == Class::Relay);
    assert_eq!(told(outside.collect()).len(), 1);
    // the peer's checks reach the router, and not the recorder
    let mut check = peer(6, PEER, 50_123, [5, 0], 5, 0, None);
    (check.resp, check.inside) = ((OUTSIDE.parse().unwrap(), 41_000), [false; 2]);
    let found = told([with(OUTSIDE), vec![check]].concat());
    assert_eq!(found.iter().map(|found| (found.1, found.2)).collect::<Vec<_>>(), [("D-16", 0.9)]);
}

#[test]
fn one_socket_with_two_outside_addresses_is_a_symmetric_nat() {
    let asked = asks(2, VIEWER, 41_000, 1.0, 1, Some("192.0.2.60:41000"));
    let with = |mapped| told(vec![asked.clone(), peer(3, VIEWER, 41_000, [9, 9], 3, 3, Some(mapped))]);
    assert_eq!(with("192.0.2.60:50123"), [(Kind::SymmetricNat, "D-15", 0.95, at(1.0))]);
    assert_eq!(with("192.0.2.60:41000"), []);
    // it does not hinder this peer
    let works = media(peer(3, VIEWER, 41_000, [9, 9], 3, 3, Some("192.0.2.60:50123")), [13.0; 2]);
    let [found] = &found(vec![asked.clone(), works], Vec::new(), detect)[..] else { panic!() };
    assert_eq!(found.severity, crate::event::Severity::Info);
    assert!(found.evidence.iter().any(|item| item.text.contains("runs all the same")));
    // a neighbour sees the address itself; another socket has another port; one server may see it move
    assert_eq!(with("192.168.1.60:41000"), []);
    assert_eq!(told(vec![asked.clone(), peer(3, VIEWER, 43_000, [9, 9], 3, 3, Some("192.0.2.60:43000"))]), []);
    assert_eq!(told(vec![asked, asks(3, VIEWER, 41_000, 400.0, 1, Some("192.0.2.60:50123"))]), []);
}

#[test]
fn a_socket_that_was_silent_may_have_been_forgotten() {
    let asked = || asks(2, VIEWER, 41_000, 1.0, 1, Some("192.0.2.60:41000"));
    let later = |number, first: f64, mapped| {
        let mut case = peer(number, VIEWER, 41_000, [9, 9], 3, 3, Some(mapped));
        (case.identity.start, case.last) = (at(first), at(first + 8.0));
        case
    };
    // the first question was over at 9 s
    assert_eq!(told(vec![asked(), later(3, 40.0, "192.0.2.60:50123")]), []);
    assert_eq!(told(vec![asked(), later(3, 38.0, "192.0.2.60:50123")]).len(), 1);
    // it was forgotten, and is symmetric all the same: what is told then shows it
    let mut again = asks(3, VIEWER, 41_000, 300.0, 1, Some("192.0.2.60:41001"));
    again.identity.flow_id = 3;
    let found = told(vec![asked(), again, later(4, 305.0, "192.0.2.60:50123")]);
    assert_eq!(found, [(Kind::SymmetricNat, "D-15", 0.95, at(300.0))]);
}

#[test]
fn video_that_breaks_off_and_goes_on_over_the_relay_is_a_fallback() {
    let with = |last: [f64; 2], relay: f64| {
        let mut over = tcp(4, VIEWER, RELAY, Class::Relay, RELAY_NAME, relay, relay + 20.0);
        over.subs = Subs::of(Sub::VideoDown);
        let mut case = media(peer(3, VIEWER, 41_000, [500, 500], 3, 3, None), last);
        case.stun = None;
        told(vec![case, over])
    };
    assert_eq!(with([24.0, 15.0], 23.0), [(Kind::P2pFallback, "D-18", 0.85, at(15.0))]);
    // consent ran out first
    assert_eq!(with([45.0, 15.0], 46.0).len(), 1);
    // the viewer beside the capture stops first: it may have gone away
    assert!(with([15.0, 24.0], 23.0)[0].2 < 0.55);
    // both stop together, or the next view is another
    assert_eq!(with([15.2, 15.0], 23.0), []);
    assert_eq!(with([24.0, 15.0], 40.0), []);
    assert_eq!(with([45.0, 15.0], 33.0), []);
}

#[test]
fn neighbours_whose_video_takes_the_relay_are_told() {
    let flows = |client: &str, sent: u64, first: f64, last: f64| {
        let mut up = tcp(2, RECORDER, RELAY, Class::Relay, RELAY_NAME, 4.0, 24.0);
        let mut down = tcp(3, client, RELAY, Class::Relay, RELAY_NAME, first, last);
        (up.subs, down.subs) = (Subs::of(Sub::VideoUp), Subs::of(Sub::VideoDown));
        (up.payload, down.payload) = ([sent, 900], [300, 800_000]);
        up.tcp.as_mut().unwrap().bursts[0] = burst(4.0, 24.0, sent);
        down.tcp.as_mut().unwrap().bursts[1] = burst(first, last, 800_000);
        vec![up, down]
    };
    let with = |client: &str, sent: u64, last: f64| told(flows(client, sent, 4.1, last));
    assert_eq!(with(VIEWER, 820_000, 24.0), [(Kind::LsfMissed, "D-19", 0.8, at(4.1))]);
    // where the viewer had called the recorder first, in vain, that is said
    let calls = |first: f64| {
        let mut call = unanswered(tcp(1, VIEWER, RECORDER, Class::Unknown, "", first, first + 3.0), 3);
        call.host = None;
        let told = found([vec![call], flows(VIEWER, 820_000, 4.1, 24.0)].concat(), vec![], detect);
        let missed = told.iter().find(|found| found.kind == Kind::LsfMissed).unwrap();
        missed.evidence.iter().any(|line| line.text.contains("has called 192.168.1.50 on TCP 443 before, in vain"))
    };
    assert!(calls(0.5) && !calls(9.0));
    // not the same video, not for long, not beside it
    assert_eq!(with(VIEWER, 3_000_000, 24.0), []);
    assert_eq!(with(VIEWER, 820_000, 9.0), []);
    assert!(with("10.20.0.60", 820_000, 24.0)[0].2 < 0.55);
    assert_eq!(with("192.0.2.60", 820_000, 24.0), []);
    // what begins or ends alone is another view's, though it be as much; who joins later may watch the same
    assert_eq!(told(flows(VIEWER, 820_000, 14.0, 34.0)), []);
    assert!(told(flows(VIEWER, 1_300_000, 11.0, 24.0))[0].2 < 0.55);
    // another relay
    let mut other = flows(VIEWER, 820_000, 4.1, 24.0);
    other[1].host = Some("zz9.us-east.u5fgb.com".into());
    assert!(told(other)[0].2 < 0.55);
    // menus before and a heart-beat after it are no part of the video
    let mut menus = flows(VIEWER, 820_000, 4.1, 24.0);
    (menus[1].identity.start, menus[1].last) = (at(0.5), at(60.0));
    let bursts = [burst(0.5, 0.6, 9_000), burst(4.1, 24.0, 800_000), burst(59.0, 60.0, 60)].concat();
    menus[1].tcp.as_mut().unwrap().bursts[1] = bursts;
    assert_eq!(told(menus)[0].2, 0.8);
}

#[test]
fn a_router_that_tells_of_a_shared_address_outside_is_believed() {
    let says = |outside: &str| {
        let mut case = udp(tcp(3, RECORDER, "192.168.1.1", Class::Unknown, "", 5.0, 6.0), 41_000, 5351, [1, 1]);
        case.router =
            Some(Router { outside: outside.parse().unwrap(), seen: crate::diagnose::testcases::seen(5.5, 9) });
        found(vec![works(RECORDER), case], Vec::new(), detect)
    };
    let [shared] = &says("100.64.7.2")[..] else { panic!() };
    assert_eq!((shared.kind, shared.confidence, shared.first), (Kind::Cgnat, 0.9, at(5.0)));
    assert!(shared.title.contains("the provider shares one (100.64.7.2)"), "{}", shared.title);
    // a private one is mostly another router's of the same site
    let [private] = &says("192.168.0.12")[..] else { panic!() };
    assert!(private.title.contains("another router stands before it"), "{}", private.title);
    assert_eq!(says("203.0.113.7"), []);
}

#[test]
fn a_shared_address_outside_the_router_is_told() {
    let from = |ttl: u8, client: &str| {
        let mut case = works(client);
        case.ttl[0] = ttl;
        told(vec![case])
    };
    assert_eq!(from(63, "100.64.7.2"), [(Kind::Cgnat, "D-32", 0.9, at(0.0))]);
    assert!(from(64, "100.64.7.2")[0].2 < 0.55);
    assert_eq!(from(63, "100.128.7.2"), []);
    assert_eq!(from(63, RECORDER), []);
    // on the captured link, and not the origin of its packets: it translates
    let on_link = |ttl: u8| {
        let mut case = works("10.77.0.2");
        case.ttl[0] = ttl;
        let on_link = vec![case.orig.0];
        let cases = Cases { flows: vec![case], on_link, ..Cases::default() };
        found_among(cases, detect).iter().map(|f| (f.rule, f.confidence)).collect::<Vec<_>>()
    };
    assert_eq!(on_link(63), [("D-32", 0.6)]);
    assert_eq!(on_link(64), []);
}
