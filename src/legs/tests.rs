//! Flows of two captures made by hand: which is joined with which, and what is told of it.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::classify::watch::Watch;
use crate::decode::tcp_flag;
use crate::diagnose::rules::Rules;
use crate::engine::naming::KnowledgeBase;
use crate::engine::{Config, Engine};
use crate::event::{Clue, Mode, Passed};
use crate::source::{Frame, LinkType};
use crate::time::SECOND;

const RAW_IP: LinkType = LinkType(101);
const RECORDER: [u8; 4] = [192, 168, 1, 50];
const OUTSIDE: [u8; 4] = [203, 0, 113, 7];
const RELAY: [u8; 4] = [198, 51, 100, 10];
/// How much the outer capture's clock is ahead, in seconds.
const AHEAD: f64 = 7_200.25;

/// A capture in the making: packets with their moments, in seconds.
#[derive(Default)]
struct Tape {
    packets: Vec<(f64, Vec<u8>)>,
}

/// One TCP connection on a tape.
#[derive(Clone, Copy)]
struct Tcp {
    orig: ([u8; 4], u16),
    resp: ([u8; 4], u16),
    isn: [u32; 2],
    sent: [u32; 2],
    ttl: u8,
    /// How long it takes to be acknowledged, in seconds.
    trip: f64,
}

impl Tcp {
    fn new(orig: ([u8; 4], u16), resp: ([u8; 4], u16), isn: u32) -> Tcp {
        Tcp { orig, resp, isn: [isn, isn ^ 0x5555_aaaa], sent: [0, 0], ttl: 64, trip: 0.000_1 }
    }

    /// The same connection behind an address translation, one hop on.
    fn translated(mut self, orig: ([u8; 4], u16)) -> Tcp {
        (self.orig, self.ttl) = (orig, 63);
        self
    }

    fn open(&mut self, tape: &mut Tape, at: f64, trip: f64) {
        self.trip = trip;
        self.put(tape, at, 0, tcp_flag::SYN, &[]);
        self.put(tape, at + trip, 1, tcp_flag::SYN | tcp_flag::ACK, &[]);
        self.put(tape, at + trip, 0, tcp_flag::ACK, &[]);
    }

    /// Data of a side, and its acknowledgement a round trip later.
    fn say(&mut self, tape: &mut Tape, at: f64, side: usize, data: &[u8]) {
        for part in data.chunks(1400) {
            self.put(tape, at, side, tcp_flag::ACK, part);
            self.sent[side] += part.len() as u32;
        }
        self.put(tape, at + self.trip, 1 - side, tcp_flag::ACK, &[]);
    }

    fn put(&self, tape: &mut Tape, at: f64, side: usize, flags: u8, data: &[u8]) {
        let syn = flags & tcp_flag::SYN != 0;
        let next = |side: usize| self.isn[side].wrapping_add(1).wrapping_add(self.sent[side]);
        let seq = if syn { self.isn[side] } else { next(side) };
        let ack = if flags & tcp_flag::ACK == 0 { 0 } else { next(1 - side) };
        let (from, to) = if side == 0 { (self.orig, self.resp) } else { (self.resp, self.orig) };
        let mut tcp = Vec::new();
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(data);
        tape.packets.push((at, ip(self.ttl, 6, from.0, to.0, &tcp)));
    }
}

fn ip(ttl: u8, proto: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, ttl, proto, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    packet
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), data: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(from.1.to_be_bytes());
    udp.extend(to.1.to_be_bytes());
    udp.extend((8 + data.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(data);
    ip(64, 17, from.0, to.0, &udp)
}

/// A binding request of STUN.
fn binding(transaction: u8) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([transaction; 12]);
    message
}

impl Tape {
    fn leg(mut self, ahead: f64) -> (Leg, CaptureQuality) {
        self.packets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let base = KnowledgeBase::new(None, Default::default()).unwrap();
        let watch = Arc::new(Watch::of(&base.catalogue));
        let mut engine = Engine::new(&Config { records: true, traces: true, watch, secret: 1, ..Config::default() });
        for (at, packet) in &self.packets {
            let ts = Timestamp(1_000_000 * SECOND + ((at + ahead) * 1e9) as u64);
            engine.frame(Frame { ts, link: RAW_IP, len: packet.len() as u32, bytes: packet });
        }
        let analysis = engine.finish();
        let naming = analysis.name(&base);
        (analysis.leg(&naming), analysis.quality([101].into_iter(), None, None, Vec::new()))
    }
}

fn compared(lan: Tape, wan: Tape) -> Comparison {
    let ((lan, inner), (wan, outer)) = (lan.leg(0.0), wan.leg(AHEAD));
    compare(&lan, &wan, [&inner, &outer], &Rules::embedded().unwrap())
}

const POST: &[u8] = b"POST /relay/1 HTTP/1.1\r\nHost: a1.us-west.u5fgb.com\r\nContent-Type: message/http\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What every site has: a question for the outside address, and a connection that an address translation lets through.
fn surroundings(lan: &mut Tape, wan: &mut Tape) {
    lan.packets.push((0.1, udp((RECORDER, 4000), (RELAY, 3478), &binding(7))));
    wan.packets.push((0.101, udp((OUTSIDE, 51_000), (RELAY, 3478), &binding(7))));
    let mut inner = Tcp::new((RECORDER, 4001), (RELAY, 443), 1000);
    let mut outer = inner.translated((OUTSIDE, 52_001));
    inner.open(lan, 0.2, 0.03);
    outer.open(wan, 0.201, 0.028);
    for n in 0..80 {
        let at = 1.0 + f64::from(n) * 0.5;
        inner.say(lan, at, 0, &[0x17; 300]);
        outer.say(wan, at + 0.001, 0, &[0x17; 300]);
    }
}

/// The recorder's POST on the inner side: 40 kB a second from 2 s to 30 s.
fn upload(lan: &mut Tape, port: u16) -> Tcp {
    upload_over(lan, port, 0.001)
}

/// The same over a way of that round trip.
fn upload_over(lan: &mut Tape, port: u16, trip: f64) -> Tcp {
    let mut inner = Tcp::new((RECORDER, port), (RELAY, 80), u32::from(port) << 8);
    inner.open(lan, 1.9, trip);
    inner.say(lan, 2.0, 0, POST);
    (0..280).for_each(|n| inner.say(lan, 2.1 + f64::from(n) * 0.1, 0, &[7; 4000]));
    inner
}

fn told(comparison: &Comparison) -> Vec<(&'static str, Option<Mode>, bool)> {
    comparison.findings.iter().map(|f| (f.rule, f.mode, f.confidence >= 0.95)).collect()
}

#[test]
fn the_same_connection_is_joined_and_the_clocks_are_known() {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    let comparison = compared(lan, wan);
    let clock = comparison.summary.clock.clone().unwrap();
    assert!((clock.wan_ahead - AHEAD).abs() < 0.001 && clock.uncertainty < 0.002 && clock.by == "packets", "{clock:?}");
    assert_eq!((comparison.summary.joined, comparison.summary.lan_only, comparison.summary.wan_only), (2, 0, 0));
    let [stun, tcp] = &comparison.flows[..] else { panic!("{:?}", comparison.flows) };
    assert!(stun.joined_by.contains(&Clue::StunTransaction.text()), "{stun:?}");
    assert!(tcp.joined_by.contains(&Clue::TcpSequence.text()) && tcp.passed == Passed::Same, "{tcp:?}");
    assert_eq!((tcp.toserver.put_in, tcp.toserver.come_out), (24_000, 24_000));
    assert_eq!(told(&comparison), []);
}

#[test]
fn an_upload_that_no_connection_carries_on_is_swallowed() {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    let comparison = compared(lan, wan);
    assert_eq!(told(&comparison), [("CF-9", Some(Mode::UploadSwallow), true)]);
    let finding = &comparison.findings[0];
    assert_eq!((finding.src_port, finding.vantage), (Some(4100), Some(crate::event::Vantage::BothLegs)));
    let sides: Vec<_> = finding.evidence.iter().filter_map(|e| e.leg.map(|leg| leg.text())).collect();
    assert_eq!(sides, ["lan", "wan"]);
}

#[test]
fn a_proxy_that_passes_on_is_not_blamed_whatever_it_changes() {
    for (late, share, port) in [(0.002, 1.0, 80), (2.0, 1.0, 80), (0.05, 0.93, 80), (5.0, 1.07, 80)] {
        let (mut lan, mut wan) = Default::default();
        surroundings(&mut lan, &mut wan);
        upload(&mut lan, 4100);
        let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, port), 99);
        outer.open(&mut wan, 1.95, 0.03);
        outer.say(&mut wan, 2.0 + late, 0, POST);
        let piece = vec![7; (4000.0 * share) as usize];
        (0..280).for_each(|n| outer.say(&mut wan, 2.1 + late + f64::from(n) * 0.1, 0, &piece));
        let comparison = compared(lan, wan);
        assert_eq!(told(&comparison), [], "{late} {share}");
        assert!(comparison.flows.iter().any(|flow| flow.passed == Passed::Through), "{:?}", comparison.flows);
    }
}

#[test]
fn connections_that_share_one_outside_are_not_blamed() {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    upload(&mut lan, 4200);
    let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, 80), 99);
    outer.open(&mut wan, 0.5, 0.03);
    outer.say(&mut wan, 2.0, 0, POST);
    (0..280).for_each(|n| outer.say(&mut wan, 2.1 + f64::from(n) * 0.1, 0, &[7; 8000]));
    assert_eq!(told(&compared(lan, wan)), []);
}

#[test]
fn what_came_out_by_a_connection_that_carried_another_stream_is_not_missed() {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    let mut later = Tcp::new((RECORDER, 4200), (RELAY, 80), 0x77_0000);
    later.open(&mut lan, 30.5, 0.001);
    later.say(&mut lan, 30.6, 0, POST);
    let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, 80), 99);
    outer.open(&mut wan, 1.95, 0.03);
    outer.say(&mut wan, 2.0, 0, POST);
    (0..280).for_each(|n| outer.say(&mut wan, 2.1 + f64::from(n) * 0.1, 0, &[7; 4000]));
    outer.say(&mut wan, 30.6, 0, POST);
    for n in 0..30 {
        let at = 30.7 + f64::from(n) * 0.1;
        later.say(&mut lan, at, 0, &[7; 4000]);
        outer.say(&mut wan, at, 0, &[7; 4000]);
    }
    let comparison = compared(lan, wan);
    assert!(told(&comparison).iter().all(|(_, _, certain)| !certain), "{:?}", told(&comparison));
}

#[test]
fn an_outer_capture_that_was_blind_or_of_another_way_out_proves_nothing() {
    // nothing of the connection that goes on is there while the upload runs
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    wan.packets.retain(|(at, _)| *at < 1.8 || *at > 35.0);
    assert!(told(&compared(lan, wan)).iter().all(|(_, _, certain)| !certain));
    // most of what the recorder has to do with the outside is not there
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    for n in 0..4u16 {
        let mut other = Tcp::new((RECORDER, 4300 + n), ([198, 51, 100, 20 + n as u8], 443), 5000 + u32::from(n));
        other.open(&mut lan, 3.0, 0.03);
        other.say(&mut lan, 3.1, 0, &[0x17; 500]);
    }
    assert!(told(&compared(lan, wan)).iter().all(|(_, _, certain)| !certain));
}

#[test]
fn an_upload_that_ends_far_away_has_left_by_another_link() {
    // as far away as the connection that passes unchanged, and no outer half: nobody next door has taken it
    for (trip, certain) in [(0.03, false), (0.016, false), (0.014, true)] {
        let (mut lan, mut wan) = Default::default();
        surroundings(&mut lan, &mut wan);
        upload_over(&mut lan, 4100, trip);
        let told = told(&compared(lan, wan));
        assert_eq!(told.iter().any(|(_, _, sure)| *sure), certain, "{trip} {told:?}");
    }
    // with an outer half that carries nothing on, a box that waits for the far end has it
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload_over(&mut lan, 4100, 0.03);
    let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, 80), 99);
    outer.open(&mut wan, 1.95, 0.03);
    outer.say(&mut wan, 2.0, 0, POST);
    assert_eq!(told(&compared(lan, wan)), [("CF-9", Some(Mode::UploadSwallow), true)]);
}

#[test]
fn a_view_that_is_held_needs_no_other_connection_of_its_viewer() {
    const VIEWER: [u8; 4] = [192, 168, 1, 60];
    let view = |trip: f64| {
        let (mut lan, mut wan) = Default::default();
        surroundings(&mut lan, &mut wan);
        let get = b"GET /live HTTP/1.1\r\nHost: a1.us-west.u5fgb.com\r\n\r\n";
        let mut inner = Tcp::new((VIEWER, 4100), (RELAY, 80), 0x41_0000);
        inner.open(&mut lan, 1.9, trip);
        inner.say(&mut lan, 2.0, 0, get);
        inner.say(&mut lan, 31.0, 0, b" ");
        let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, 80), 99);
        outer.open(&mut wan, 2.0, 0.03);
        outer.say(&mut wan, 2.1, 0, get);
        (0..280).for_each(|n| outer.say(&mut wan, 2.2 + f64::from(n) * 0.1, 1, &[7; 4000]));
        told(&compared(lan, wan))
    };
    assert_eq!(view(0.001), [("CF-9", Some(Mode::BufferAll), true)]);
    // what does not end at the box may have another way out, and the outer one be somebody else's
    assert_eq!(view(0.03), [("CF-9", Some(Mode::BufferAll), false)]);
}

#[test]
fn a_box_that_refuses_or_a_line_that_is_slow_is_not_one_that_swallows() {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    let mut inner = upload(&mut lan, 4100);
    inner.say(&mut lan, 30.2, 1, b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(told(&compared(lan, wan)), []);
    // the first segment is not acknowledged, however often it is sent
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    upload(&mut lan, 4100);
    let mut outer = Tcp::new((OUTSIDE, 60_000), (RELAY, 80), 99);
    outer.open(&mut wan, 1.95, 0.03);
    outer.say(&mut wan, 2.0, 0, POST);
    (0..10).for_each(|n| outer.put(&mut wan, 2.1 + f64::from(n) * 3.0, 0, tcp_flag::ACK, &[7; 1400]));
    assert_eq!(told(&compared(lan, wan)), []);
}

#[test]
fn captures_with_nothing_in_common_say_so() {
    let (mut lan, mut wan) = (Tape::default(), Tape::default());
    let mut one = Tcp::new((RECORDER, 4001), (RELAY, 443), 1000);
    one.open(&mut lan, 0.2, 0.03);
    let mut other = Tcp::new((OUTSIDE, 4001), ([198, 51, 100, 99], 443), 77_000);
    other.open(&mut wan, 0.2, 0.03);
    let comparison = compared(lan, wan);
    assert!(comparison.summary.clock.is_none() && comparison.flows.is_empty());
    assert!(comparison.summary.warnings[0].contains("no flow in common"), "{:?}", comparison.summary.warnings);
}

#[test]
fn swapped_captures_are_known() {
    let (mut lan, mut wan) = (Tape::default(), Tape::default());
    for n in 0..4 {
        let inner = Tcp::new((RECORDER, 4001 + n), (RELAY, 443), 1000 + u32::from(n));
        inner.clone().open(&mut wan, 0.2, 0.03);
        inner.translated((OUTSIDE, 52_001 + n)).open(&mut lan, 0.201, 0.028);
    }
    let warnings = compared(lan, wan).summary.warnings;
    assert!(warnings.iter().any(|text| text.contains("swapped")), "{warnings:?}");
}

#[test]
fn who_is_inside_is_known_by_what_is_translated() {
    let (mut lan, mut wan) = (Tape::default(), Tape::default());
    // a port that is forwarded: the far end asks
    let viewer = ([192, 0, 2, 60], 5000);
    let mut inner = Tcp::new(viewer, (RECORDER, 80), 1000);
    let mut outer = Tcp { resp: (OUTSIDE, 8080), ttl: 60, ..inner };
    inner.open(&mut lan, 1.0, 0.001);
    outer.open(&mut wan, 0.999, 0.003);
    // the answers come out at the other side
    inner.say(&mut lan, 2.0, 1, &[1; 900]);
    outer.say(&mut wan, 2.001, 1, &[1; 900]);
    let comparison = compared(lan, wan);
    let clock = comparison.summary.clock.clone().unwrap();
    assert!((clock.wan_ahead - AHEAD).abs() < 0.002, "{clock:?}");
    assert_eq!(comparison.flows[0].passed, Passed::Same);
    let ip: IpAddr = RECORDER.into();
    assert_eq!(comparison.flows[0].lan.dest_ip, ip);
}

/// Many connections of one recorder through a proxy that makes others of them.
fn proxied(count: u16) -> Comparison {
    let (mut lan, mut wan) = Default::default();
    surroundings(&mut lan, &mut wan);
    for n in 0..count {
        let at = 2.0 + f64::from(n) * 0.02;
        let mut inner = Tcp::new((RECORDER, 10_000 + n), (RELAY, 80), u32::from(n) << 8 | 7);
        let mut outer = Tcp::new((OUTSIDE, 10_000 + n), (RELAY, 80), u32::from(n) << 8 | 0x4000_0007);
        inner.open(&mut lan, at, 0.001);
        outer.open(&mut wan, at + 0.001, 0.03);
        inner.say(&mut lan, at + 0.04, 0, POST);
        outer.say(&mut wan, at + 0.041, 0, POST);
    }
    compared(lan, wan)
}

#[test]
fn what_is_not_compared_each_with_each_is_counted_and_told() {
    let few = proxied(500);
    assert_eq!((few.summary.pool_omitted, few.summary.joined), (0, 502));
    let many = proxied(600);
    assert_eq!((many.summary.pool_omitted, told(&many)), (2 * (600 - 512), Vec::new()));
    assert!(many.summary.warnings.iter().any(|line| line.contains("176 were not compared")), "{:?}", many.summary);
}
