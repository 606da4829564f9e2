//! The packets behind findings: which frames of a capture belong to flows that are asked about, and what they show.
//!
//! An analysis keeps no packets. Whoever wants to draw or to carve some reads the capture again: a [`Finder`] tells
//! whose a frame is, a [`Watcher`] keeps what a report draws. Nothing here reads files, and what is kept of a flow has
//! a bound.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod ladder;

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::decode::{Addr, Packet, decode};
use crate::engine::analysis::{Analysis, FlowView};
use crate::engine::naming::Naming;
use crate::flow::trace::{Trace, Traces};
use crate::source::Frame;
use crate::time::Timestamp;
use ladder::Ladder;

/// One flow whose packets are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its identity in the analysis.
    pub flow_id: u64,
    /// Its IP protocol.
    pub proto: u8,
    /// Originator and responder.
    pub ends: [(Addr, u16); 2],
    /// The frame of its first packet.
    pub first_frame: u64,
    /// Its first packet.
    pub first: Timestamp,
    /// Its last.
    pub last: Timestamp,
}

impl Wanted {
    /// A packet with nothing but what tells that it is one of this flow.
    pub fn packet(&self) -> Packet {
        let [(src, src_port), (dst, dst_port)] = self.ends;
        Packet { src, src_port, dst, dst_port, proto: self.proto, ..Packet::default() }
    }
}

/// The flows of an analysis that have such identities, in the order of their first frames.
pub fn wanted(analysis: &Analysis, naming: &Naming<'_>, ids: &HashSet<u64>) -> Vec<Wanted> {
    if ids.is_empty() {
        return Vec::new();
    }
    let views = analysis.in_order().into_iter().filter_map(|at| analysis.view(at, naming));
    views.filter(|view| ids.contains(&view.id())).map(|view| of_view(&view)).collect()
}

/// The flows of an analysis that any of these packets belongs to, in the order of their first frames.
pub fn of_packets(analysis: &Analysis, naming: &Naming<'_>, packets: &[Packet]) -> Vec<Wanted> {
    let mut times = HashMap::<Key, Vec<Timestamp>, RandomState>::default();
    for packet in packets.iter().filter(|packet| packet.fragment.is_none()) {
        times.entry(key_of(packet)).or_default().push(packet.ts);
    }
    if times.is_empty() {
        return Vec::new();
    }
    let views = analysis.in_order().into_iter().filter_map(|at| analysis.view(at, naming));
    let flows = views.map(|view| of_view(&view));
    let has_one = |flow: &Wanted| {
        let [a, b] = flow.ends;
        times
            .get(&key(a, b, flow.proto))
            .is_some_and(|times| times.iter().any(|ts| flow.first <= *ts && *ts <= flow.last))
    };
    flows.filter(has_one).collect()
}

fn of_view(view: &FlowView<'_>) -> Wanted {
    let end = |(ip, port)| (Addr::from_ip(ip), port);
    let (first, last, first_frame) = (view.flow.first, view.flow.last, view.flow.first_frame());
    let ends = [end(view.orig), end(view.resp)];
    Wanted { flow_id: view.id(), proto: view.flow.proto(), ends, first_frame, first, last }
}

/// By what a packet is looked up: both ends, the lower first, and the protocol. Of a fragment, which has no ports, the
/// ports are 0.
type Key = ((Addr, u16), (Addr, u16), u8);

fn key(a: (Addr, u16), b: (Addr, u16), proto: u8) -> Key {
    if a <= b { (a, b, proto) } else { (b, a, proto) }
}

fn key_of(packet: &Packet) -> Key {
    key((packet.src, packet.src_port), (packet.dst, packet.dst_port), packet.proto)
}

/// Tells which wanted flow a frame belongs to.
#[derive(Debug)]
pub struct Finder {
    flows: Vec<Wanted>,
    by_key: HashMap<Key, Vec<usize>, RandomState>,
    /// The same without ports, for fragments and what ICMP quotes.
    by_pair: HashMap<Key, Vec<usize>, RandomState>,
    last: Timestamp,
    /// The frame by which all of them had begun.
    begun: u64,
}

impl Finder {
    /// For these flows.
    pub fn new(flows: Vec<Wanted>) -> Finder {
        let (mut by_key, mut by_pair) =
            (HashMap::<Key, Vec<usize>, _>::default(), HashMap::<Key, Vec<usize>, _>::default());
        for (at, flow) in flows.iter().enumerate() {
            let [a, b] = flow.ends;
            by_key.entry(key(a, b, flow.proto)).or_default().push(at);
            by_pair.entry(key((a.0, 0), (b.0, 0), 0)).or_default().push(at);
        }
        let last = flows.iter().map(|flow| flow.last).max().unwrap_or_default();
        let begun = flows.iter().map(|flow| flow.first_frame).max().unwrap_or_default();
        Finder { flows, by_key, by_pair, last, begun }
    }

    /// The flows, in the order given.
    pub fn flows(&self) -> &[Wanted] {
        &self.flows
    }

    /// The last packet of any of them.
    pub const fn last(&self) -> Timestamp {
        self.last
    }

    /// The flow that a packet belongs to, and whether it comes from the responder.
    pub fn find(&self, packet: &Packet) -> Option<(usize, bool)> {
        if packet.fragment.is_some() {
            return self.find_pair(packet);
        }
        let candidates = self.by_key.get(&key_of(packet))?;
        self.when(candidates, packet.ts, (packet.src, packet.src_port))
    }

    /// A flow between the two addresses of a packet.
    pub fn find_pair(&self, packet: &Packet) -> Option<(usize, bool)> {
        let candidates = self.by_pair.get(&key((packet.src, 0), (packet.dst, 0), 0))?;
        self.when(candidates, packet.ts, (packet.src, 0))
    }

    /// Of flows with the same ends the one of that time.
    fn when(&self, candidates: &[usize], ts: Timestamp, src: (Addr, u16)) -> Option<(usize, bool)> {
        let within = |at: &&usize| self.flows.get(**at).is_some_and(|flow| flow.first <= ts && ts <= flow.last);
        let at = *candidates.iter().find(within)?;
        let [orig, _] = self.flows.get(at)?.ends;
        let second = if src.1 == 0 { orig.0 != src.0 } else { orig != src };
        Some((at, second))
    }
}

/// What the packets of one flow show.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The flow.
    pub flow: Wanted,
    /// How far the data of originator and responder had come when.
    pub trace: Trace,
    /// The packets that tell most, and what lies between them.
    pub ladder: Ladder,
}

/// Sees frames of a capture, in order, and keeps what the wanted flows show.
#[derive(Debug)]
pub struct Watcher {
    finder: Finder,
    traces: Traces,
    ladders: Vec<Ladder>,
    /// How many frames in a row were later than all that is wanted.
    late: u32,
}

/// Nothing that is wanted comes behind so many frames in a row that are later than all of it: some may have a clock
/// that was wrong.
const LATE: u32 = 1_000;

impl Watcher {
    /// For these flows; frames that are `cited` are never left out of a ladder that has room.
    pub fn new(flows: Vec<Wanted>, cited: HashMap<u64, HashSet<u64>>) -> Watcher {
        let of = |flow: &Wanted| Ladder::new(cited.get(&flow.flow_id).cloned().unwrap_or_default());
        let ladders = flows.iter().map(of).collect();
        Watcher { finder: Finder::new(flows), traces: Traces::default(), ladders, late: 0 }
    }

    /// Takes the frame that has that number, counted from 1. False: no wanted flow goes on behind it.
    pub fn frame(&mut self, number: u64, frame: &Frame<'_>) -> bool {
        let mut packet = Packet { ts: frame.ts, frame: number, len: frame.len, frames: 1, ..Packet::default() };
        if decode(frame.link.0, frame.bytes, &mut packet).is_ok()
            && packet.transport
            && packet.fragment.is_none()
            && let Some((at, second)) = self.finder.find(&packet)
        {
            self.packet(at, second, &packet, frame.bytes);
        }
        // clocks of captures go back now and then
        let is_late = frame.ts > self.finder.last().after(crate::time::SECOND);
        self.late = if is_late { self.late.saturating_add(1) } else { 0 };
        number < self.finder.begun || self.late < LATE
    }

    fn packet(&mut self, at: usize, second: bool, packet: &Packet, bytes: &[u8]) {
        let begun = self.finder.flows().get(at).map_or(packet.ts, |flow| flow.first);
        if let Some(ladder) = self.ladders.get_mut(at)
            && ladder.packet(second, packet, packet.payload(bytes))
        {
            self.traces.packet(u32::try_from(at).unwrap_or(u32::MAX), second, begun, packet, bytes);
        }
    }

    /// What was seen of each flow, by identity.
    pub fn scenes(self) -> HashMap<u64, Scene> {
        let Watcher { finder, traces, ladders, .. } = self;
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let flows = finder.flows.into_iter().zip(ladders).enumerate();
        let scene = |(at, (flow, ladder)): (usize, (Wanted, Ladder))| {
            let trace = traces.get(number(at)).cloned().unwrap_or_default();
            (flow.flow_id, Scene { flow, trace, ladder })
        };
        flows.map(scene).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::proto;
    use crate::source::LinkType;
    use crate::time::SECOND;

    #[test]
    fn a_clock_that_was_wrong_does_not_end_the_second_look() {
        let end = |last: u8, port| (Addr::from_ip([192, 168, 1, last].into()), port);
        let (ends, proto) = ([end(2, 4_000), end(3, 443)], proto::TCP);
        let (first, last) = (Timestamp(10 * SECOND), Timestamp(20 * SECOND));
        let flow = Wanted { flow_id: 1, proto, ends, first_frame: 3, first, last };
        let mut watcher = Watcher::new(vec![flow], HashMap::new());
        let mut look = |number, second: u64| {
            let ts = Timestamp(second * SECOND);
            watcher.frame(number, &Frame { ts, link: LinkType(1), len: 9, bytes: &[0; 9] })
        };
        // a capture may begin with a wrong clock, and one frame in its middle may have one
        assert!((1..3).all(|number| look(number, 9_000)) && look(3, 10));
        assert!(look(4, 9_000) && look(5, 11));
        // behind the last of them it is over, if not at once
        let looks = (6..10_000).take_while(|number| look(*number, 30)).count();
        assert!(looks < 2_000, "{looks}");
    }
}
