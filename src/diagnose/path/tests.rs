use super::*;
use crate::classify::words::Subs;
use crate::decode::Addr;
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, at, found, tcp};
use crate::engine::case::Direction;
use crate::engine::learnt::Icmp;
use crate::event::Kind;
use crate::flow::trouble::Repeated;

fn upload(number: u64, first: f64) -> Case {
    let mut case = tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, first + 30.0);
    (case.pkts, case.payload, case.subs) = ([1_000, 600], [1_200_000, 900], Subs::of(Sub::VideoUp));
    case.bytes = [1_300_000, 40_000];
    case
}

fn with(mut case: Case, change: impl FnOnce(&mut TcpCase)) -> Case {
    change(case.tcp.as_mut().unwrap());
    case
}

fn told(flows: Vec<Case>) -> Vec<(Kind, &'static str, f64, Timestamp)> {
    found(flows, Vec::new(), detect).iter().map(|f| (f.kind, f.rule, f.confidence, f.first)).collect()
}

fn losing(again: u32, first: f64) -> Case {
    with(upload(1, 0.0), |tcp| {
        tcp.trouble[0].retransmissions = again;
        tcp.trouble[0].first_repeat = at(first);
    })
}

#[test]
fn data_sent_again_here_and_there_is_loss() {
    assert_eq!(told(vec![losing(40, 1.0)]), [(Kind::LossyPath, "D-26", 0.8, at(0.0))]);
    // what is sent again so soon that it looks overtaken is lost as well
    let soon = |tcp: &mut TcpCase| (tcp.trouble[0].out_of_order, tcp.trouble[0].resent) = (60, 35);
    assert_eq!(told(vec![with(losing(5, 1.0), soon)]).len(), 1);
    assert_eq!(told(vec![with(losing(5, 1.0), |tcp| tcp.trouble[0].out_of_order = 60)]), []);
    // it went well for twenty seconds
    assert_eq!(told(vec![losing(40, 20.0)])[0].3, at(20.0));
    assert_eq!(told(vec![losing(9, 1.0)]), []);
    // everything twice is no loss
    assert_eq!(told(vec![losing(500, 1.0)])[0].2, crate::event::HINT);
    // nor where a third of what each side sends is said again, acknowledgements and all
    let both = with(losing(350, 1.0), |tcp| tcp.trouble[1].retransmissions = 200);
    let mut both = [both.clone(), both];
    both.iter_mut().for_each(|case| case.payload[1] = 400_000);
    assert_eq!(told(vec![both[0].clone()])[0].2, crate::event::HINT);
    both[1].tcp.as_mut().unwrap().trouble[1].retransmissions = 30;
    assert_eq!(told(vec![both[1].clone()])[0].2, 0.8);
    let mut short = losing(12, 1.0);
    (short.pkts, short.payload) = ([45, 20], [40_000, 100]);
    assert_eq!(told(vec![short]), []);
    // one segment without end is no loss; a host of others is none of ours
    let stuck = |tcp: &mut TcpCase| tcp.trouble[0].repeated = Repeated { times: 38, len: 300, ..Repeated::default() };
    assert_eq!(told(vec![with(losing(40, 1.0), stuck)]), []);
    let mut foreign = losing(40, 1.0);
    foreign.class = Class::Unknown;
    assert_eq!(told(vec![foreign]), []);
}

/// A connection whose segment of `len` bytes, with `before` bytes before it, is sent again without end.
fn stuck(number: u64, len: u32, before: u32) -> Case {
    with(tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, 0.0, 20.0), |tcp| {
        tcp.trouble[0].repeated = Repeated { len, times: 6, first: at(0.5), frame: 9, seq: 1 };
        tcp.trouble[0].repeated_at = Some(before);
        tcp.trouble[0].retransmissions = 6;
        tcp.unacknowledged[0] = Some(len);
    })
}

#[test]
fn a_first_long_segment_that_never_arrives_is_a_black_hole() {
    assert_eq!(told(vec![stuck(1, 1_448, 700)]), [(Kind::PmtuBlackhole, "D-27", 0.8, at(0.5))]);
    // others before it arrived, it is short, or its receiver takes nothing
    assert_eq!(told(vec![stuck(1, 1_448, 9_000)]), []);
    assert_eq!(told(vec![stuck(1, 900, 700)]), []);
    assert_eq!(told(vec![with(stuck(1, 1_448, 700), |tcp| tcp.trouble[1].zero_windows = 3)]), []);
    // something short does not arrive either just then
    let beat = |first: f64| {
        let mut beat = stuck(2, 300, 700);
        let trouble = &mut beat.tcp.as_mut().unwrap().trouble[0];
        (trouble.repeated.first, trouble.last_repeat) = (at(first), at(first + 9.0));
        let mut long = stuck(1, 1_448, 700);
        long.tcp.as_mut().unwrap().trouble[0].last_repeat = at(18.0);
        told(vec![long, beat]).len()
    };
    assert_eq!((beat(2.0), beat(19.0)), (0, 1));
    // a router says what fits; another connection to the same server takes long segments
    let mut big = stuck(1, 1_448, 700);
    big.icmp = Some(Icmp { from: Addr::from_ip(big.resp.0), kind: 3, code: 4, frame: 8 });
    assert_eq!(told(vec![big]), []);
    assert_eq!(told(vec![stuck(1, 1_448, 700), upload(2, 1.0)]), []);
}

#[test]
fn a_hello_too_long_for_the_path_of_which_the_rest_arrives_is_a_black_hole() {
    let hello = |heard: u64| {
        let mut case = with(stuck(1, 1_448, 0), |tcp| tcp.unacknowledged[0] = Some(1_700));
        (case.payload, case.pkts) = ([1_700, 0], [9, 1 + heard]);
        case
    };
    assert_eq!(told(vec![hello(1)]), [(Kind::PmtuBlackhole, "D-27", 0.8, at(0.5))]);
    // nothing small arrived either; what the server said twice, or a mirror showed twice, acknowledges nothing
    assert_eq!(told(vec![hello(0)]), []);
    assert_eq!(told(vec![with(hello(1), |tcp| tcp.trouble[1].retransmissions = 1)]), []);
    let mut copied = hello(1);
    copied.duplicates = 1;
    assert_eq!(told(vec![copied]), []);
}

/// A connection of whose server's first bytes only the last 69 came, `wait` seconds before its end.
fn tail(number: u64, first: f64, wait: f64) -> Case {
    let mut case = with(tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, first + 0.1 + wait), |tcp| {
        (tcp.unacknowledged, tcp.fin_by) = ([Some(0), Some(4_500)], Some(Direction::Orig));
        tcp.bursts[1] = crate::diagnose::testcases::burst(first + 0.1, first + 0.1, 69);
    });
    (case.payload[1], case.tls.as_mut().unwrap().version) = (69, 0);
    case
}

#[test]
fn an_answer_of_which_only_the_rest_arrives_is_a_black_hole() {
    let other = |payload: u64| {
        let mut case = tcp(9, RECORDER, "203.0.113.20", Class::Api, "restapi.gp4f.com", 0.0, 90.0);
        case.payload[1] = payload;
        case
    };
    let said = |flows: Vec<Case>| told(flows).into_iter().map(|found| (found.0, found.2)).collect::<Vec<_>>();
    let hole = |sure| vec![(Kind::PmtuBlackhole, sure)];
    assert_eq!(said(vec![other(900), tail(1, 5.0, 20.0), tail(2, 30.0, 20.0)]), [hole(0.8), hole(0.8)].concat());
    assert_eq!(said(vec![other(900), tail(1, 5.0, 20.0)]), hole(0.65));
    // nothing else came meanwhile, or long segments of another server did
    assert_eq!(said(vec![tail(1, 5.0, 20.0)]), hole(0.5));
    assert_eq!(said(vec![other(90_000), tail(1, 5.0, 20.0), tail(2, 30.0, 20.0)]), [hole(0.5), hole(0.5)].concat());
    // long segments of the same server, a wait too short, what the mirror missed, and a short hole
    let mut bulk = upload(8, 1.0);
    bulk.payload[1] = 90_000;
    assert_eq!(said(vec![bulk, tail(1, 5.0, 20.0)]), []);
    assert_eq!(said(vec![other(900), tail(1, 5.0, 3.0)]), []);
    assert_eq!(said(vec![other(900), with(tail(1, 5.0, 20.0), |tcp| tcp.trouble[1].missed = 4_431)]), []);
    assert_eq!(said(vec![other(900), with(tail(1, 5.0, 20.0), |tcp| tcp.unacknowledged[1] = Some(900))]), []);
}

#[test]
fn uploads_that_stand_in_a_queue_fill_the_uplink() {
    let standing = |number: u64, first: f64, low: f64, median: f64| {
        with(upload(number, first), |tcp| {
            (tcp.rtt_min, tcp.rtt_p25, tcp.rtt_p50) = (Some(0.02), Some(low), Some(median));
            tcp.video_windows = [5, 0];
            tcp.trouble[0].retransmissions = 60;
        })
    };
    let queued = |number: u64, first: f64, low: f64| standing(number, first, low, low * 1.5);
    let found = told(vec![queued(1, 3.0, 0.4), queued(2, 4.0, 0.5)]);
    assert_eq!(found, [(Kind::UplinkSaturated, "D-25", 0.75, at(3.0))]);
    // a sender that keeps it short, and never empty
    assert_eq!(told(vec![standing(1, 3.0, 0.07, 0.13)])[0].0, Kind::UplinkSaturated);
    // the queue drains again and again
    assert_eq!(told(vec![queued(1, 3.0, 0.05)])[0].0, Kind::LossyPath);
    assert_eq!(told(vec![standing(1, 3.0, 0.03, 0.2)])[0].0, Kind::LossyPath);
    // one that began before the capture, beside one that did not, or alone
    let before = || {
        let mut case = queued(1, 3.0, 0.4);
        case.midstream = true;
        case
    };
    let beat = tcp(2, RECORDER, RELAY, Class::Relay, RELAY_NAME, 1.0, 40.0);
    assert_eq!(told(vec![before(), beat])[0].0, Kind::UplinkSaturated);
    assert_eq!(told(vec![before()])[0].0, Kind::LossyPath);
    // far away is not full
    let far = with(queued(1, 3.0, 0.61), |tcp| tcp.rtt_min = Some(0.6));
    assert_eq!(told(vec![far])[0].0, Kind::LossyPath);
}
