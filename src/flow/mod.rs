//! The flow table: one bidirectional record a flow.
//!
//! [`Table::track`] takes one packet and gives the flow it belongs to, with all counters, TCP state and history
//! brought up to date. It knows packet time only, owns every flow of its shard, and never borrows packet bytes beyond
//! the call. Sides of a flow are numbered: 0 sent the first packet seen, 1 is the other; which of them is the
//! originator may be learnt later ([`Flow::flip`]).

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

mod compact;
mod connections;
pub mod course;
pub mod duplicate;
pub mod history;
pub mod index;
pub mod key;
mod offer;
mod opening;
pub mod rates;
pub mod rtt;
pub mod slab;
pub mod stream;
pub mod tcp;
pub mod trace;
pub mod trouble;
pub mod tunnels;
pub mod wheel;

use std::borrow::Cow;

use crate::decode::{Addr, Packet, Tunnels, proto, tcp_flag};
use crate::time::{SECOND, Timestamp};

use connections::Connections;
use duplicate::Duplicates;
use index::Index;
use key::{Endpoint, FlowKey, Keyed};
use opening::opening_flags;
use slab::Slab;
use tcp::{Begun, TIMED_MOST, Tcp};
use tunnels::TunnelRows;
use wheel::Wheel;

/// When a silent flow is over, in nanoseconds of packet time.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP after a handshake or in mid-stream: two hours and four minutes (RFC 5382 §5), so that an idle control
    /// connection, whose heart-beat may be rare, is not cut in two.
    pub tcp: u64,
    /// TCP that was never answered.
    pub tcp_opening: u64,
    /// TCP that both sides have closed, or one has reset.
    pub tcp_closed: u64,
    /// UDP and everything else: twice RFC 4787's five minutes, for the same reason.
    pub other: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { tcp: 7440 * SECOND, tcp_opening: 300 * SECOND, tcp_closed: 60 * SECOND, other: 600 * SECOND }
    }
}

/// What a flow table goes by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// When silent flows are over.
    pub timeouts: Timeouts,
    /// What payload rates count as what.
    pub rates: rates::Thresholds,
}

/// What is noted of a flow as a whole.
#[allow(missing_docs)]
pub mod flag {
    pub const FIRST_FORWARD: u16 = 1 << 0;
    pub const FLIPPED: u16 = 1 << 1;
    pub const GUESSED: u16 = 1 << 2;
    pub const MIDSTREAM: u16 = 1 << 3;
    pub const CUT: u16 = 1 << 4;
    pub const ENDED: u16 = 1 << 5;
    pub const TOLD: u16 = 1 << 6;
    pub const TROUBLED: u16 = 1 << 7;
    pub const GIVEN_UP: u16 = 1 << 8;
}

/// No number: the flow has no such part.
pub const NONE: u32 = u32::MAX;

/// The [`Flow::phase`] of a flow of which nothing more is to be inspected.
pub const INSPECTED: u8 = u8::MAX;

/// One flow's record. Pairs are by side: 0 sent the first packet seen.
#[derive(Clone, Debug)]
pub struct Flow {
    key: FlowKey,
    /// First packet.
    pub first: Timestamp,
    /// Last packet.
    pub last: Timestamp,
    /// The first packet's frame number.
    pub first_frame: u64,
    /// Frames.
    pub pkts: [u64; 2],
    /// Frame bytes on the wire.
    pub bytes: [u64; 2],
    /// Bytes above the transport header, mirror copies left out.
    pub payload: [u64; 2],
    /// Frames that were mirror copies.
    pub duplicates: u32,
    /// Number of its [`Tcp`], or [`NONE`].
    tcp: u32,
    /// Number of its IPv6 addresses, or [`NONE`].
    v6: u32,
    /// Number of what its payload has told; the inspecting layer's, [`NONE`] at first.
    pub learnt: u32,
    /// Number of its streams while they are read; the inspecting layer's, [`NONE`] at first.
    pub streams: u32,
    /// VLAN ids, the outermost and the innermost; 0 is none.
    pub vlan: [u16; 2],
    /// Number of the [`TunnelRows`] that its first packet came through; 0 is none.
    tunnels: u16,
    flags: u16,
    /// The first packet's time to live, by side; 0 is not seen.
    pub ttl: [u8; 2],
    /// How far inspection has come; the inspecting layer's, 0 at first.
    pub phase: u8,
    /// How often inspection has found nothing; the inspecting layer's, 0 at first.
    pub tries: u8,
}

impl Flow {
    #[inline(always)]
    const fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// IP protocol number.
    pub const fn proto(&self) -> u8 {
        self.key.proto()
    }

    /// The ports, lower endpoint's first.
    pub const fn ports(&self) -> (u16, u16) {
        self.key.ports()
    }

    /// Whether the endpoints are IPv6.
    pub const fn is_v6(&self) -> bool {
        self.key.is_v6()
    }

    /// Whether side 1 is the originator.
    #[inline(always)]
    pub const fn flipped(&self) -> bool {
        self.is(flag::FLIPPED)
    }

    /// The capture began within the flow.
    pub const fn midstream(&self) -> bool {
        self.is(flag::MIDSTREAM)
    }

    /// Who is the originator was not shown by a SYN but guessed.
    pub const fn guessed(&self) -> bool {
        self.is(flag::GUESSED)
    }

    /// Some packet of it was cut by the capture.
    pub const fn cut(&self) -> bool {
        self.is(flag::CUT)
    }

    /// Something went wrong with its TCP data.
    pub const fn troubled(&self) -> bool {
        self.is(flag::TROUBLED)
    }

    /// It ended before the capture did.
    pub const fn ended(&self) -> bool {
        self.is(flag::ENDED)
    }

    /// Its last record was told.
    pub const fn told(&self) -> bool {
        self.is(flag::TOLD)
    }

    /// Its state in short. An ICMP error about it is not in it.
    pub const fn stamp(&self) -> Stamp {
        // what is told of it is not what happened to it
        let flags = self.flags & !(flag::TOLD | flag::GIVEN_UP);
        Stamp { pkts: self.pkts, learnt: self.learnt, streams: self.streams, flags }
    }

    /// Its last record is told now.
    pub fn tell(&mut self) {
        self.flags |= flag::TOLD;
    }

    /// It is to be let go of, for want of room.
    pub const fn given_up(&self) -> bool {
        self.is(flag::GIVEN_UP)
    }

    /// Is to be let go of.
    pub fn give_up(&mut self) {
        self.flags |= flag::GIVEN_UP;
    }

    /// What was taken for the originator is the responder.
    pub fn flip(&mut self) {
        self.flags ^= flag::FLIPPED;
    }

    /// How it began, and what came of it.
    pub const fn begun(&self) -> Begun {
        Begun { at: self.first, frame: self.first_frame, payload: self.payload }
    }

    /// A pair by side, put in order originator, responder.
    pub const fn oriented<T: Copy>(&self, pair: [T; 2]) -> [T; 2] {
        let [a, b] = pair;
        if self.flipped() { [b, a] } else { [a, b] }
    }
}

/// A flow's state in short: as long as it is the same, no packet of the flow has come, and its payload has told nothing
/// more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pkts: [u64; 2],
    learnt: u32,
    streams: u32,
    flags: u16,
}

/// The flow that a packet belongs to.
#[derive(Debug)]
pub struct Tracked<'t> {
    /// The flow's number.
    pub number: u32,
    /// Side 1 sent it.
    pub second: bool,
    /// It is a mirror's copy of a packet seen before: counted, and of no further meaning.
    pub duplicate: bool,
    /// The flow.
    pub flow: &'t mut Flow,
    /// Its TCP side.
    pub tcp: Option<&'t mut Tcp>,
}

/// All flows of one shard.
#[derive(Clone, Debug)]
pub struct Table {
    secret: u64,
    config: Config,
    index: Index,
    flows: Slab<Flow>,
    v6: Slab<[Addr; 2]>,
    tcp: Connections,
    wheel: Wheel,
    tunnels: TunnelRows,
    duplicates: Duplicates,
    due: Vec<u32>,
}

impl Table {
    /// An empty table. `secret` keeps the traffic from choosing its places; no result depends on it.
    pub fn new(config: Config, secret: u64) -> Self {
        Table {
            secret,
            config,
            index: Index::default(),
            flows: Slab::default(),
            v6: Slab::default(),
            tcp: Connections::default(),
            wheel: Wheel::default(),
            tunnels: TunnelRows::default(),
            duplicates: Duplicates::default(),
            due: Vec::new(),
        }
    }

    /// Touches what a look-up of that hash begins with, so that the wait for memory overlaps with other work.
    #[inline(always)]
    pub fn touch(&self, hash: u64) -> u64 {
        self.index.touch(hash)
    }

    /// Takes a packet whose key is `keyed` and whose frame, or datagram, is `bytes`; gives the flow that it belongs to.
    #[inline(always)]
    pub fn track(&mut self, packet: &Packet, keyed: Keyed, bytes: &[u8]) -> Option<Tracked<'_>> {
        let Keyed { key, hash, forward } = keyed;
        let found = self.find(key, hash, packet, forward);
        let number = match found {
            Some((number, flow)) if !self.is_another(flow, packet, forward) => number,
            Some((number, _)) => {
                self.end(number, hash);
                self.open(keyed, packet, bytes)
            }
            None => self.open(keyed, packet, bytes),
        };
        let copy = self.duplicates.is_copy(packet, packet.payload(bytes));
        let flow = self.flows.get_mut(number)?;
        // the first packet of a flow is no copy of another's
        let begins = flow.pkts == [0; 2];
        let duplicate = copy && !begins;
        let second = forward != flow.is(flag::FIRST_FORWARD);
        let side = usize::from(second);
        if packet.ts.since(flow.last) > TIMED_MOST {
            stop_timing(&mut self.tcp, flow.tcp);
        }
        count(flow, side, packet);
        let tcp = match packet.proto == proto::TCP && packet.transport {
            true if begins || duplicate => self.tcp.whole_mut(flow.tcp),
            true => self.tcp.wake(&mut flow.tcp, flow.first, second, packet),
            false => None,
        };
        let mut tracked = Tracked { number, second, duplicate, flow, tcp };
        if duplicate {
            tracked.flow.duplicates = tracked.flow.duplicates.saturating_add(packet.frames);
        } else {
            tracked.take(packet, packet.options(bytes), &self.config.rates);
        }
        Some(tracked)
    }

    #[inline(always)]
    fn find(&self, key: FlowKey, hash: u64, packet: &Packet, forward: bool) -> Option<(u32, &Flow)> {
        let mut found = None;
        let number = self.index.find(hash, |number| {
            let Some(flow) = self.flows.get(number) else { return false };
            found = Some(flow);
            flow.key == key && (!packet.v6 || self.v6_pair(flow) == Some(pair(packet, forward)))
        })?;
        found.map(|flow| (number, flow))
    }

    /// The addresses of an IPv6 flow, lower endpoint's first.
    fn v6_pair(&self, flow: &Flow) -> Option<[Addr; 2]> {
        self.v6.get(flow.v6).copied()
    }

    /// Whether the packet is the first of another flow between the same endpoints: after a silence, or by its SYN.
    /// The flow found is then over.
    #[inline(always)]
    fn is_another(&self, flow: &Flow, packet: &Packet, forward: bool) -> bool {
        let silent = packet.ts.since(flow.last);
        if silent > self.config.timeouts.tcp_closed && silent > self.timeout(flow) {
            return true;
        }
        let opens = packet.proto == proto::TCP && packet.tcp_flags & (tcp_flag::SYN | tcp_flag::RST) == tcp_flag::SYN;
        opens && {
            let second = forward != flow.is(flag::FIRST_FORWARD);
            self.tcp.is_reopened_by(flow.tcp, second, packet)
        }
    }

    /// How long the flow may be silent before it is over.
    fn timeout(&self, flow: &Flow) -> u64 {
        let t = &self.config.timeouts;
        match self.tcp.whole(flow.tcp) {
            None if self.is_refused(flow) => t.tcp_closed,
            None if flow.tcp != NONE => t.tcp_opening,
            None => t.other,
            Some(tcp) if tcp.is_over() => t.tcp_closed,
            Some(tcp) if tcp.is_established() || flow.midstream() => t.tcp,
            Some(_) => t.tcp_opening,
        }
    }

    fn end(&mut self, number: u32, hash: u64) {
        if let Some(flow) = self.flows.get_mut(number) {
            flow.flags |= flag::ENDED;
            self.index.remove(hash, number);
        }
    }

    #[cold]
    fn open(&mut self, keyed: Keyed, packet: &Packet, bytes: &[u8]) -> u32 {
        let Keyed { key, hash, forward } = keyed;
        let is_tcp = packet.proto == proto::TCP && packet.transport;
        let tcp = if is_tcp { self.tcp.open(packet, packet.options(bytes)) } else { NONE };
        let v6 = if packet.v6 { self.v6.insert(pair(packet, forward)) } else { NONE };
        let flow = Flow {
            key,
            first: packet.ts,
            last: packet.ts,
            first_frame: packet.frame,
            pkts: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            duplicates: 0,
            tcp,
            v6,
            learnt: NONE,
            streams: NONE,
            phase: 0,
            tries: 0,
            vlan: packet.vlan,
            tunnels: self.tunnels.number(packet.tunnels),
            flags: opening_flags(packet, forward),
            ttl: [packet.ttl, 0],
        };
        let due = packet.ts.after(self.timeout(&flow));
        let number = self.flows.insert(flow);
        self.index.insert(hash, number);
        self.wheel.file(number, due, packet.ts);
        number
    }

    /// What the first packet of a flow came through.
    pub fn tunnels(&self, flow: &Flow) -> Tunnels {
        self.tunnels.get(flow.tunnels)
    }

    /// Moves packet time on: `ended` is told each flow that has been silent for too long.
    #[inline(always)]
    pub fn advance(&mut self, now: Timestamp, ended: &mut dyn FnMut(u32, &mut Flow)) {
        if self.wheel.is_due(now) {
            self.expire(now, ended);
        }
    }

    /// The clock of the capture was set back to `now`: timers go by it from now on.
    pub fn set_back(&mut self, now: Timestamp) {
        self.wheel.set_back(now);
    }

    fn expire(&mut self, now: Timestamp, ended: &mut dyn FnMut(u32, &mut Flow)) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.turn(now, &mut due);
        for number in due.drain(..) {
            let Some(flow) = self.flows.get(number) else { continue };
            let timeout = self.timeout(flow);
            if flow.ended() || now.since(flow.last) > timeout {
                let hash = flow.key.hash(self.secret);
                self.end(number, hash);
                if let Some(flow) = self.flows.get_mut(number) {
                    ended(number, flow);
                }
            } else {
                self.wheel.file(number, flow.last.after(timeout).after(SECOND), now);
            }
        }
        self.due = due;
    }

    /// Every flow, to change.
    pub fn flows_mut(&mut self) -> impl Iterator<Item = (u32, &mut Flow)> {
        self.flows.iter_mut()
    }

    /// The flow `number`.
    #[inline(always)]
    pub fn flow(&self, number: u32) -> Option<&Flow> {
        self.flows.get(number)
    }

    /// The flow `number`, to change.
    #[inline(always)]
    pub fn flow_mut(&mut self, number: u32) -> Option<&mut Flow> {
        self.flows.get_mut(number)
    }

    /// Whether nothing was seen of a flow but a SYN and its refusal.
    pub fn is_refused(&self, flow: &Flow) -> bool {
        self.tcp.is_refused(flow.tcp)
    }

    /// The TCP side of a flow of which more was seen than a SYN, or a SYN and its refusal.
    pub fn tcp(&self, flow: &Flow) -> Option<&Tcp> {
        self.tcp.whole(flow.tcp)
    }

    /// The TCP side of a flow, whatever was seen of it.
    pub fn connection(&self, flow: &Flow) -> Option<Cow<'_, Tcp>> {
        self.tcp.get(flow.tcp, flow.first)
    }

    /// The flow that a packet with these headers would belong to, as things stand.
    pub fn lookup(&self, packet: &Packet) -> Option<u32> {
        let Keyed { key, hash, forward } = Keyed::of(packet, self.secret);
        self.find(key, hash, packet, forward).map(|(number, _)| number)
    }

    /// The ends of a flow: side 0, side 1.
    pub fn sides(&self, flow: &Flow) -> [Endpoint; 2] {
        let (low_port, high_port) = flow.key.ports();
        let (low, high) = match self.v6_pair(flow) {
            Some([low, high]) => (low, high),
            None => flow.key.v4_addresses(),
        };
        let (low, high) = (Endpoint { addr: low, port: low_port }, Endpoint { addr: high, port: high_port });
        if flow.is(flag::FIRST_FORWARD) { [low, high] } else { [high, low] }
    }

    /// Every flow, in the order of their first packets.
    pub fn flows(&self) -> impl Iterator<Item = (u32, &Flow)> {
        self.flows.iter()
    }

    /// How many flows there were.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there was no flow.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many flows have not ended.
    pub fn active(&self) -> usize {
        self.index.len()
    }

    /// Bytes of memory that connections hold beside the table.
    pub fn held(&self) -> usize {
        self.tcp.held()
    }

    /// Bytes of memory that the table holds, by the traffic alone: what is remembered of the last moment's packets is
    /// small, and how much room that takes depends on the secret.
    pub fn memory(&self) -> usize {
        [self.index.memory(), self.flows.memory(), self.v6.memory(), self.tcp.memory(), self.wheel.memory()]
            .iter()
            .sum()
    }
}

impl Tracked<'_> {
    /// Takes a packet that is no copy into account; `options` are its TCP options.
    #[inline(always)]
    fn take(&mut self, packet: &Packet, options: &[u8], rates: &rates::Thresholds) {
        let Tracked { second, flow, tcp, .. } = self;
        let side = usize::from(*second);
        let before = flow.payload;
        if let Some(payload) = flow.payload.get_mut(side) {
            *payload = payload.wrapping_add(u64::from(packet.payload_len));
        }
        let Some(tcp) = tcp else { return };
        let new = tcp.segment(*second, packet, options);
        if tcp.log.troubles().is_some() {
            flow.flags |= flag::TROUBLED;
        }
        if packet.payload_len > 0 && new {
            let begun = Begun { payload: before, ..flow.begun() };
            tcp.data(side, packet, begun, rates);
        }
    }
}

/// The flow with that connection, if it is one, was silent for longer than round trips are timed.
#[cold]
fn stop_timing(connections: &mut Connections, number: u32) {
    if let Some(tcp) = connections.whole_mut(number) {
        tcp.stop_timing();
    }
}

/// A packet's addresses, lower endpoint's first.
#[inline(always)]
fn pair(packet: &Packet, forward: bool) -> [Addr; 2] {
    if forward { [packet.src, packet.dst] } else { [packet.dst, packet.src] }
}

#[inline(always)]
fn count(flow: &mut Flow, side: usize, packet: &Packet) {
    flow.last = flow.last.max(packet.ts);
    if let (Some(pkts), Some(bytes)) = (flow.pkts.get_mut(side), flow.bytes.get_mut(side)) {
        *pkts = pkts.wrapping_add(u64::from(packet.frames));
        *bytes = bytes.wrapping_add(u64::from(packet.len));
    }
    if let Some(ttl) = flow.ttl.get_mut(side).filter(|t| **t == 0) {
        *ttl = packet.ttl;
    }
    if packet.cut {
        flow.flags |= flag::CUT;
    }
}

#[cfg(test)]
mod tests;
