use super::*;
use crate::classify::words::Subs;
use crate::diagnose::testcases::{
    RECORDER, RELAY, RELAY_NAME, VIEWER, at, burst, clear, found, found_among, seen, tcp, udp, unanswered,
};
use crate::engine::case::{Cases, Direction, ResetCase};
use crate::engine::learnt::Turn;
use crate::event::Kind;
use crate::flow::course::Burst;
use crate::flow::trouble::Repeated;

const OUTSIDE: &str = "198.51.100.7";

fn told(flows: Vec<Case>) -> Vec<(Kind, &'static str, f64, Timestamp)> {
    found(flows, Vec::new(), detect).iter().map(|f| (f.kind, f.rule, f.confidence, f.first)).collect()
}

/// A connection that lasts, so that the capture does.
fn works(client: &str, last: f64) -> Case {
    tcp(1, client, RELAY, Class::Relay, RELAY_NAME, 0.0, last)
}

fn asks_time(number: u64, first: f64, pkts: [u64; 2]) -> Case {
    let mut case = udp(
        tcp(number, RECORDER, "203.0.113.41", Class::Ntp, "1.cctv.pool.ntp.org", first, first + 4.0),
        40_123,
        123,
        pkts,
    );
    case.subs = Subs::of(Sub::VendorPool);
    case
}

#[test]
fn a_time_server_that_never_answers_is_told() {
    let found = told(vec![works(RECORDER, 30.0), asks_time(2, 1.0, [2, 0]), asks_time(3, 9.0, [1, 0])]);
    assert_eq!(found, [(Kind::NtpBlocked, "D-12", 0.8, at(1.0))]);
    assert_eq!(told(vec![works(RECORDER, 30.0), asks_time(2, 1.0, [3, 0]), asks_time(3, 9.0, [1, 1])]), []);
    assert_eq!(told(vec![works(RECORDER, 30.0), asks_time(2, 1.0, [2, 0])]), []);
    assert_eq!(told(vec![works(RECORDER, 9.0), asks_time(2, 1.0, [3, 0])]), []);
    assert!(told(vec![asks_time(2, 1.0, [3, 0]), asks_time(3, 30.0, [1, 0])])[0].2 < 0.55);
}

/// A standing connection whose heartbeat at `dies` is never acknowledged; the relay last spoke at `heard`.
fn dying(number: u64, heard: f64, dies: f64) -> Case {
    let mut case = tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, heard - 1.0, dies + 5.0);
    let tcp = case.tcp.as_mut().unwrap();
    tcp.bursts[1] = burst(heard - 1.0, heard, 900);
    tcp.trouble[0].repeated = Repeated { times: 4, len: 700, first: at(dies), frame: 7, seq: 1 };
    tcp.unacknowledged[0] = Some(700);
    case
}

#[test]
fn a_connection_that_dies_again_and_again_is_unstable() {
    let dies = |n: u64| dying(n, n as f64 * 20.0, n as f64 * 20.0 + 8.0);
    assert_eq!(told((1..=3).map(dies).collect()), [(Kind::RecorderUnregistered, "D-30", 0.75, at(28.0))]);
    assert_eq!(told((1..=2).map(dies).collect()), []);
    // at once after the relay spoke: that is not idleness
    assert_eq!(told((1..=3).map(|n| dying(n, n as f64 * 20.0, n as f64 * 20.0 + 0.5)).collect()), []);
    // uploads that nobody wants any more, beside a standing connection on which the relay goes on speaking
    let mut standing = works(RECORDER, 90.0);
    standing.tcp.as_mut().unwrap().bursts[1] = [burst(0.0, 1.0, 900), burst(60.0, 61.0, 60)].concat();
    assert_eq!(told([(1..=3).map(dies).collect(), vec![standing]].concat()), []);
    // and one that began before the capture has no name
    let mut unnamed = works(RECORDER, 90.0);
    (unnamed.class, unnamed.host, unnamed.midstream) = (Class::Unknown, None, true);
    unnamed.tcp.as_mut().unwrap().bursts[1] = [burst(0.0, 1.0, 900), burst(60.0, 61.0, 60)].concat();
    assert_eq!(told([(1..=3).map(dies).collect(), vec![unnamed]].concat()), []);
    // over an hour and more
    assert_eq!(told((1..=3).map(|n| dying(n, n as f64 * 900.0, n as f64 * 900.0 + 8.0)).collect()), []);
}

#[test]
fn a_connection_that_is_ended_and_made_again_all_the_time_is_unstable() {
    let life = |n: u64, seconds: f64| {
        let first = n as f64 * 20.0;
        let mut case = tcp(n, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, first + seconds);
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.fin_by, tcp.turns) = (Some(crate::engine::case::Direction::Resp), [24, 0]);
        case
    };
    let lives = |count: u64, seconds: f64| (2..2 + count).map(|n| life(n, seconds)).collect::<Vec<_>>();
    assert_eq!(told(lives(4, 15.0)), [(Kind::RecorderUnregistered, "D-30", 0.6, at(55.0))]);
    assert_eq!(told(lives(3, 15.0)), []);
    // it goes on for longer than the time within which it counts; or it happens seldom
    let each = |seconds: f64, count: u64| {
        let every = |n: u64| {
            let mut case = life(n, 15.0);
            let first = n as f64 * seconds;
            (case.identity.start, case.last) = (at(first), at(first + 110.0));
            case
        };
        told((2..2 + count).map(every).collect())
    };
    assert_eq!(each(112.0, 9), [(Kind::RecorderUnregistered, "D-30", 0.6, at(334.0))]);
    assert_eq!(each(310.0, 9), []);
    // who has said goodbye resets what still comes
    let resets = |by| {
        let mut lives = lives(4, 15.0);
        for tcp in lives.iter_mut().filter_map(|case| case.tcp.as_mut()) {
            tcp.reset = Some(ResetCase { by, seen: Seen::default(), ttl: 64 });
        }
        told(lives).len()
    };
    assert_eq!((resets(Direction::Resp), resets(Direction::Orig)), (1, 0));
    // each is done with its errand, and the standing connection is another
    assert_eq!(told([lives(4, 15.0), vec![works(RECORDER, 120.0)]].concat()), []);
    assert_eq!(told(lives(4, 0.4)), []);
    let mut unnamed = works(RECORDER, 120.0);
    (unnamed.class, unnamed.host, unnamed.midstream) = (Class::Unknown, None, true);
    assert_eq!(told([lives(4, 15.0), vec![unnamed]].concat()), []);
    // what was asked last was never answered: another fault
    let mut silent = lives(4, 15.0);
    silent.iter_mut().for_each(|case| case.tcp.as_mut().unwrap().turns[0] = 900);
    assert_eq!(told(silent), []);
}

#[test]
fn a_recorder_without_a_connection_to_the_relay_is_told() {
    let api = |number: u64, first: f64, last: f64| {
        tcp(number, RECORDER, "203.0.113.20", Class::Api, "restapi.gp4f.com", first, last)
    };
    let mut serves = tcp(9, VIEWER, RECORDER, Class::Lsf, "", 30.0, 60.0);
    serves.recorders = [false, true];
    let found = told(vec![api(1, 0.0, 300.0), serves.clone(), api(2, 400.0, 700.0)]);
    assert_eq!(found, [(Kind::RecorderUnregistered, "D-30", 0.75, at(0.0))]);
    assert_eq!(told(vec![api(1, 0.0, 300.0), serves, api(2, 300.0, 500.0)]), []);
    // the capture was halted for most of that time
    assert_eq!(told(vec![api(1, 0.0, 300.0), api(2, 1000.0, 1200.0)]), []);
    // it has one; it may have one that is older than the capture; it had one until just now
    assert_eq!(told(vec![api(1, 0.0, 300.0), api(2, 400.0, 700.0), works(RECORDER, 700.0)]), []);
    let mut nameless = tcp(3, RECORDER, OUTSIDE, Class::Unknown, "", 0.0, 700.0);
    (nameless.host, nameless.midstream) = (None, true);
    assert_eq!(told(vec![api(1, 0.0, 300.0), api(2, 400.0, 700.0), nameless]), []);
    let mut closed = works(RECORDER, 350.0);
    closed.tcp.as_mut().unwrap().fin_by = Some(crate::engine::case::Direction::Resp);
    assert_eq!(told(vec![api(1, 0.0, 300.0), api(2, 400.0, 700.0), closed]), []);
    // a viewer's software asks the API and looks at video for a while; a recorder's connection stands, or sends
    let over = |until: f64, said: f64, payload: [u64; 2]| {
        let mut over = works(RECORDER, until);
        let tcp = over.tcp.as_mut().unwrap();
        (over.payload, tcp.fin_by) = (payload, Some(Direction::Orig));
        tcp.bursts[1] = vec![Burst::whole(at(1.0), at(said), 1, 4_000)];
        told(vec![over, api(2, 0.0, 300.0), api(3, 400.0, 800.0)]).iter().map(|told| told.2).collect::<Vec<_>>()
    };
    assert_eq!(over(62.0, 60.0, [900, 4_000]), Vec::<f64>::new());
    assert_eq!(over(150.0, 3.0, [900, 4_000]), Vec::<f64>::new(), "what waits for long does not stand");
    assert_eq!(over(62.0, 60.0, [2_000, 1_000]), Vec::<f64>::new(), "a hello and a request send nothing");
    assert_eq!(over(62.0, 60.0, [9_000, 4_000]), [0.75]);
    assert_eq!(over(150.0, 149.0, [900, 4_000]), [0.75]);
    // known by what a viewer does alone: tried in vain is not had
    let blocked = unanswered(works(RECORDER, 650.0), 9);
    let found = told(vec![api(1, 0.0, 300.0), api(2, 400.0, 700.0), blocked]);
    assert_eq!(found, [(Kind::RecorderUnregistered, "D-30", crate::event::HINT, at(0.0))]);
}

#[test]
fn a_nearer_region_is_a_hint() {
    let relay = |number: u64, client: &str, region: &str, rtt: f64| {
        let mut case = tcp(number, client, RELAY, Class::Relay, RELAY_NAME, 0.0, 30.0);
        case.region = Some(region.to_owned());
        case.tcp.as_mut().unwrap().rtt_min = Some(rtt);
        case
    };
    let found = told(vec![relay(1, RECORDER, "us-east", 0.09), relay(2, VIEWER, "us-west", 0.02)]);
    assert_eq!(found, [(Kind::WrongRegion, "D-31", 0.5, at(0.0))]);
    assert_eq!(told(vec![relay(1, RECORDER, "us-east", 0.09), relay(2, VIEWER, "us-west", 0.06)]), []);
    assert_eq!(told(vec![relay(1, RECORDER, "us-east", 0.012), relay(2, VIEWER, "us-west", 0.002)]), []);
}

#[test]
fn a_support_session_is_told_once_it_is_open() {
    let assist = tcp(2, RECORDER, OUTSIDE, Class::RemoteAssist, "assist.dvrsupportcenter.com", 3.0, 9.0);
    assert_eq!(told(vec![assist.clone()]), [(Kind::RemoteAssistOpen, "D-39", 0.95, at(3.0))]);
    assert_eq!(told(vec![unanswered(assist.clone(), 4)]), []);
    let mut silent = assist;
    silent.tls.as_mut().unwrap().version = 0;
    assert_eq!(told(vec![silent]), []);
}

#[test]
fn a_login_in_the_clear_from_outside_is_told() {
    let login = |client: &str, marks: u32, status: u16| {
        let asked = Turn { asked: Some(seen(2.0, 5)), answered: Some(seen(2.1, 6)), status, marks, ..Turn::default() };
        let mut case = clear(tcp(2, client, RECORDER, Class::Direct, "", 1.9, 20.0), &[asked]);
        case.recorders = [false, true];
        case
    };
    assert_eq!(told(vec![login(OUTSIDE, turn::BASIC, 401)]), [(Kind::CleartextExposure, "D-40", 0.9, at(2.0))]);
    assert_eq!(told(vec![login(OUTSIDE, turn::MEDIA, 200)])[0].3, at(2.1));
    assert_eq!(told(vec![login(OUTSIDE, turn::GET, 200)]), []);
    assert_eq!(told(vec![login(VIEWER, turn::BASIC, 200)]), []);
    // what carries video past the cloud is not moved by https://
    let mut video = login(OUTSIDE, turn::MEDIA, 200);
    (video.resp.1, video.subs) = (8887, Subs::of(Sub::Contera8887));
    video.identity.dest_port = Some(8887);
    let video = found(vec![video], Vec::new(), detect).swap_remove(0);
    assert!(video.title.ends_with("on port 8887") && !video.advice.contains("in place of 80"), "{video:?}");
    // from the other end of a campus
    let near = |ttl: u8, rtt: f64| {
        let mut case = login(OUTSIDE, turn::BASIC, 401);
        (case.ttl[0], case.tcp.as_mut().unwrap().rtt_min) = (ttl, Some(rtt));
        told(vec![case]).len()
    };
    assert_eq!((near(126, 0.0004), near(126, 0.02), near(118, 0.0004)), (0, 1, 1));
    let mut relayed = login(OUTSIDE, turn::BASIC, 200);
    (relayed.recorders, relayed.class, relayed.resp.0) = ([false; 2], Class::Relay, RELAY.parse().unwrap());
    assert_eq!(told(vec![relayed]), []);
}

/// What is made of two stations that claim an address, of which `second` comes with so many changes, so many
/// seconds after the recorder last spoke.
fn claimed(address: &str, second: [u8; 6], changes: u32, silent: f64) -> Vec<(&'static str, f64)> {
    let mut claims = Claims::default();
    claims.changes = changes;
    for (mac, at) in [([2, 0, 0, 0, 0, 1], 1.0), (second, 10.0 + silent)] {
        claims.stations.push(Station { mac, first: seen(at, 1), last: seen(at + 20.0, 9) });
    }
    let mut flow = works(RECORDER, 10.0);
    flow.tcp.as_mut().unwrap().bursts[0] = burst(0.0, 10.0, 900);
    let contested = vec![(address.parse().unwrap(), claims)];
    let cases = Cases { flows: vec![flow], contested, ..Cases::default() };
    found_among(cases, detect).iter().map(|f| (f.rule, f.confidence)).collect()
}

#[test]
fn an_address_that_two_go_on_claiming_is_contested() {
    let other = [2, 0, 0, 0, 0, 9];
    assert_eq!(claimed(RECORDER, other, 3, 300.0), [("D-41", 0.9)]);
    assert_eq!(claimed(RECORDER, other, 1, 5.0), [("D-41", 0.7)]);
    assert_eq!(claimed("192.168.1.1", other, 3, 5.0), [("D-41", 0.9)]);
    assert_eq!(claimed("192.168.1.1", other, 1, 5.0), []);
    assert_eq!(claimed("192.168.1.77", other, 3, 5.0), []);
    // the recorder may have been exchanged; two routers may share the address
    assert_eq!(claimed(RECORDER, other, 1, 300.0), []);
    assert_eq!(claimed(RECORDER, [0, 0, 0x5e, 0, 1, 7], 3, 5.0), []);
}

#[test]
fn the_user_says_which_region_is_meant() {
    let judged = |site: &str| {
        let mut case = tcp(1, RECORDER, RELAY, Class::Relay, RELAY_NAME, 1.0, 60.0);
        case.region = Some("us-west".to_owned());
        let site = crate::classify::site::Site::parse(site).unwrap();
        let cases = crate::engine::case::Cases { flows: vec![case], ..Default::default() };
        crate::diagnose::testcases::found_at(site, cases, detect)
    };
    let told: Vec<_> = judged("region = \"us-east\"").into_iter().map(|f| (f.rule, f.confidence)).collect();
    assert_eq!(told, [("D-31", 0.85)]);
    assert!(judged("region = \"US-West\"").is_empty() && judged("").is_empty());
}
