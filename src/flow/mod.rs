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
mod counts;
pub mod course;
pub mod duplicate;
mod entry;
mod half;
pub mod history;
pub mod index;
pub mod key;
mod offer;
mod opening;
mod pairs;
pub mod rates;
pub mod rtt;
pub mod slab;
pub mod stream;
pub mod tcp;
pub mod trace;
pub mod trouble;
pub mod tunnels;
pub mod wheel;
pub mod wrapping;

use std::borrow::Cow;

use crate::decode::{Packet, Tunnels, proto, tcp_flag};
use crate::time::{SECOND, Timestamp};

use connections::Connections;
use counts::Besides;
use duplicate::Duplicates;
use entry::flag;
use index::Index;
use key::{Endpoint, FlowKey, Keyed};
use opening::opening_flags;
use pairs::{Pair, Pairs};
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

pub use counts::Counted;
pub use entry::{Flow, INSPECTED, Stamp};

/// No number: the flow has no such part.
pub const NONE: u32 = u32::MAX;
/// As much, in nanoseconds, packets may be out of order wherever several queues or devices come together.
pub const OVERTAKEN: u64 = SECOND;

/// The flow that a packet belongs to.
#[derive(Debug)]
pub struct Tracked<'t> {
    /// The flow's number.
    pub number: u32,
    /// Side 1 sent it.
    pub second: bool,
    /// It is a mirror's copy of a packet seen before: counted, and of no further meaning.
    pub duplicate: bool,
    besides: &'t Besides,
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
    besides: Besides,
    pairs: Pairs,
    tcp: Connections,
    wheel: Wheel,
    tunnels: TunnelRows,
    duplicates: Duplicates,
    due: Vec<u32>,
    runs_back: bool,
}

impl Table {
    /// An empty table. `secret` keeps the traffic from choosing its places; no result depends on it.
    pub fn new(config: Config, secret: u64) -> Self {
        Table {
            secret,
            config,
            index: Index::default(),
            flows: Slab::default(),
            besides: Besides::default(),
            pairs: Pairs::default(),
            tcp: Connections::default(),
            wheel: Wheel::default(),
            tunnels: TunnelRows::default(),
            duplicates: Duplicates::default(),
            due: Vec::new(),
            runs_back: false,
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
        let (number, begins) = match found {
            Some((number, flow)) if !self.is_another(flow, packet, forward) => (number, false),
            Some((number, _)) => {
                self.end(number, hash);
                (self.open(keyed, packet, bytes), true)
            }
            None => (self.open(keyed, packet, bytes), true),
        };
        let copy = self.duplicates.is_copy(packet, packet.payload(bytes));
        let flow = self.flows.get_mut(number)?;
        // the first packet of a flow is no copy of another's
        let duplicate = copy && !begins;
        let second = forward != flow.is(flag::FIRST_FORWARD);
        let side = usize::from(second);
        if packet.ts.0.abs_diff(flow.last.0) > OVERTAKEN {
            self.runs_back |= packet.ts < flow.last;
            if packet.ts.since(flow.last) > TIMED_MOST {
                self.tcp.stop_timing(flow.tcp);
            }
        }
        note(flow, side, packet);
        self.besides.count(flow, side, packet, duplicate);
        let tcp = match packet.proto == proto::TCP && packet.transport {
            true if begins || duplicate => self.tcp.whole_mut(flow.tcp),
            true => self.tcp.wake(&mut flow.tcp, flow.first, second, packet),
            false => None,
        };
        let mut tracked = Tracked { number, second, duplicate, besides: &self.besides, flow, tcp };
        if !duplicate {
            tracked.take(packet, bytes, &self.config.rates);
        }
        Some(tracked)
    }

    #[inline(always)]
    fn find(&self, key: FlowKey, hash: u64, packet: &Packet, forward: bool) -> Option<(u32, &Flow)> {
        let mut found = None;
        let number = self.index.find(hash, |number| {
            let Some(flow) = self.flows.get(number) else { return false };
            found = Some(flow);
            if packet.v6 { self.is_between(flow, key, packet, forward) } else { flow.key == key }
        })?;
        found.map(|flow| (number, flow))
    }

    /// Whether an IPv6 packet, whose key is `key`, goes between the ends of a flow.
    #[inline(never)]
    fn is_between(&self, flow: &Flow, key: FlowKey, packet: &Packet, forward: bool) -> bool {
        flow.key.has_ports_of(key) && self.v6_pair(flow) == Some(pair(packet, forward))
    }

    /// The addresses of an IPv6 flow, lower endpoint's first.
    fn v6_pair(&self, flow: &Flow) -> Option<Pair> {
        if flow.is_v6() { self.pairs.get(flow.key.number()) } else { None }
    }

    /// The hash that a flow is filed under.
    fn hash(&self, flow: &Flow) -> u64 {
        let key = self.v6_pair(flow).map_or(flow.key, |pair| flow.key.of_pair(pair, self.secret));
        key.hash(self.secret)
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
        let way = self.tunnels.way(packet.vlan, packet.tunnels);
        let mut flow = Flow::begun(key, packet, opening_flags(packet, forward), way);
        if is_tcp {
            flow.tcp = self.tcp.open(packet, packet.options(bytes));
        }
        if packet.v6 {
            flow.key = key.numbered(self.pairs.number(pair(packet, forward)));
        }
        let due = packet.ts.after(self.timeout(&flow));
        let number = self.flows.insert(flow);
        self.index.insert(hash, number);
        self.wheel.file(number, due, packet.ts);
        number
    }

    /// All that was counted of a flow.
    pub fn counted(&self, flow: &Flow) -> Counted {
        self.besides.counted(flow)
    }

    /// Frames of a flow, by side.
    pub fn pkts(&self, flow: &Flow) -> [u64; 2] {
        self.besides.pkts(flow)
    }

    /// Bytes of payload of a flow, by side.
    pub fn payload(&self, flow: &Flow) -> [u64; 2] {
        self.besides.payload(flow)
    }

    /// Frames of a flow that were mirror copies.
    pub fn duplicates(&self, flow: &Flow) -> u32 {
        self.besides.duplicates(flow)
    }

    /// How a flow began, and what came of it.
    pub fn begun(&self, flow: &Flow) -> Begun {
        Begun { at: flow.first, frame: flow.first_frame(), payload: self.besides.payload(flow) }
    }

    /// What the first packet of a flow came through.
    pub fn tunnels(&self, flow: &Flow) -> Tunnels {
        self.tunnels.get(self.besides.way(flow))
    }

    /// VLAN ids of the first packet of a flow, the outermost and the innermost; 0 is none.
    pub fn vlan(&self, flow: &Flow) -> [u16; 2] {
        self.besides.way(flow).vlan()
    }

    /// Whether a timer may fire at `now`.
    #[inline(always)]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.wheel.is_due(now)
    }

    /// Moves packet time on: `ended` is told each flow that has been silent for too long.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, ended: &mut dyn FnMut(u32, &mut Flow)) {
        if self.is_due(now) {
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
                let hash = self.hash(flow);
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

    /// Whether there was a flow in which time ran back by more than [`OVERTAKEN`].
    pub const fn runs_back(&self) -> bool {
        self.runs_back
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

    /// No packet is to come any more: lets go of what only finds and ends flows.
    pub fn close(&mut self) {
        self.index.close();
        self.wheel.clear();
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

    /// Every flow, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Flow> {
        self.flows.newest()
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
        let flows = self.flows.memory().saturating_add(self.besides.0.memory());
        [self.index.memory(), flows, self.pairs.memory(), self.tcp.memory(), self.wheel.memory()].iter().sum()
    }
}

impl Tracked<'_> {
    /// Bytes of payload that its side has sent, with its own.
    pub fn sent(&self) -> u64 {
        let [a, b] = self.besides.payload(self.flow);
        if self.second { b } else { a }
    }

    /// Takes a packet that is no copy into account; it was decoded from `bytes`.
    #[inline(always)]
    fn take(&mut self, packet: &Packet, bytes: &[u8], rates: &rates::Thresholds) {
        let Tracked { second, flow, tcp, besides, .. } = self;
        let Some(tcp) = tcp else { return };
        let new = tcp.segment(*second, packet, bytes);
        if tcp.log.troubles().is_some() {
            flow.flags |= flag::TROUBLED;
        }
        if packet.payload_len > 0 && new {
            let side = usize::from(*second);
            let before = || {
                let mut payload = besides.payload(flow);
                if let Some(sum) = payload.get_mut(side) {
                    *sum = sum.wrapping_sub(u64::from(packet.payload_len));
                }
                Begun { at: flow.first, frame: flow.first_frame(), payload }
            };
            tcp.data(side, packet, before, rates);
        }
    }
}

/// A packet's addresses, lower endpoint's first.
#[inline(always)]
fn pair(packet: &Packet, forward: bool) -> Pair {
    if forward { [packet.src, packet.dst] } else { [packet.dst, packet.src] }
}

#[inline(always)]
fn note(flow: &mut Flow, side: usize, packet: &Packet) {
    flow.last = flow.last.max(packet.ts);
    if let Some(ttl) = flow.ttl.get_mut(side).filter(|t| **t == 0) {
        *ttl = packet.ttl;
    }
    if packet.cut {
        flow.flags |= flag::CUT;
    }
}

#[cfg(test)]
mod tests;
