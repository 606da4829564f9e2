//! One shard: the flows it owns, and all that their payload has told.

use std::sync::Arc;

use super::datagrams::{Piecewise, datagram};
use super::hellos;
use super::learn::{Context, Learner};
use super::learnt::{Icmp, Tls};
use super::media;
use super::parts::{Kind, Parts};
use super::requests::{self, First};
use super::streams::StreamTable;
use super::sums::FlowSums;
use super::{Config, Hosts};
use crate::decode::{Packet, proto, tcp_flag};
use crate::flow::key::Keyed;
use crate::flow::tcp::Tcp;
use crate::flow::trace::Traces;
use crate::flow::{Flow, NONE, Table, Tracked};
use crate::source::Shed;
use crate::time::Timestamp;

/// How far the inspection of a TCP connection has come.
mod phase {
    // 0, where every connection begins: its streams are read, from the first payload on
    /// The hellos are done: only alerts are in the clear, and the lengths of records.
    pub const RECORDS: u8 = 1;
    /// The client's hello was taken without streams, and the server's is to come.
    pub const ANSWER: u8 = 2;
    /// A request was taken without streams, and nothing came behind it yet.
    pub const ASKED: u8 = 3;
    /// Nothing more is wanted.
    pub const DONE: u8 = crate::flow::INSPECTED;
}

/// Payload bytes of one side from which on a flow that has told what it is is bulk: hellos, names and certificates are
/// in the first few thousand.
const BULK: u64 = 64 << 10;

/// The port of DNS (RFC 1035 §4.2).
const DNS: u16 = 53;

/// How many more segments are looked at for their records once the hellos are done.
const RECORD_SEGMENTS: u8 = 48;

/// One shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its flows.
    pub table: Table,
    /// What they have told.
    pub learner: Learner,
    /// The traces of its flows, where another capture is to be compared with this.
    pub traces: Option<Traces>,
    pub(super) streams: StreamTable,
    pub(super) piecewise: Piecewise,
    /// What is passed over, and how many packets were.
    pub(super) sheds: Shed,
    pub(super) shed: u64,
    /// The hosts of the system, when all was last judged.
    pub(super) minds: Arc<Hosts>,
}

/// An ICMP error, and the packet that it quotes.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    /// What stands quoted, as far as it can be read.
    pub quoted: Packet,
    /// The error.
    pub icmp: Icmp,
}

impl Shard {
    /// An empty shard.
    pub fn new(config: &Config) -> Self {
        Shard {
            table: Table::new(config.flow, config.secret),
            learner: Learner::new(config),
            traces: config.traces.then(Traces::default),
            streams: StreamTable::default(),
            piecewise: Piecewise::default(),
            sheds: Shed::Nothing,
            shed: 0,
            minds: Arc::default(),
        }
    }

    /// Takes a packet whose frame, or datagram, is `bytes`.
    #[inline(always)]
    pub fn packet(&mut self, packet: &Packet, keyed: &Keyed, bytes: &[u8]) {
        self.advance(packet.ts);
        if self.sheds >= Shed::Strangers && self.is_between_strangers(packet) {
            return self.pass_over(packet, keyed, bytes);
        }
        let Shard { table, learner, traces, streams, piecewise, .. } = self;
        let Some(tracked) = table.track(packet, *keyed, bytes) else { return };
        if let Some(traces) = traces.as_mut().filter(|_| packet.transport && !tracked.duplicate) {
            traces.packet(tracked.number, tracked.second, tracked.flow.first, packet, bytes);
        }
        if tracked.duplicate || !packet.transport || tracked.flow.phase == phase::DONE {
            return;
        }
        if self.sheds >= Shed::Bulk && is_bulk(&tracked, packet) {
            self.shed = self.shed.saturating_add(1);
            return;
        }
        let Tracked { number, second, flow, tcp, .. } = tracked;
        match (packet.proto, tcp) {
            (proto::TCP, Some(tcp)) => {
                let mut cx = Context { flow, number, packet, second, segments: 0 };
                if packet.payload_len > 0 {
                    segment(&mut cx, tcp, bytes, learner, streams);
                }
                if packet.tcp_flags & (tcp_flag::FIN | tcp_flag::RST) != 0 && tcp.is_over() {
                    over(&mut cx, learner, streams);
                }
            }
            (proto::UDP, _) if packet.payload_len > 0 => {
                let mut cx = Context { flow, number, packet, second, segments: 0 };
                datagram(&mut cx, packet.payload(bytes), learner, piecewise);
            }
            (proto::SCTP, _) if packet.payload_len > 0 => {
                let mut cx = Context { flow, number, packet, second, segments: 0 };
                media::sctp_over_ip(&mut cx, bytes, learner);
            }
            _ => {}
        }
    }

    /// Whether neither end of a packet is a host of the system, and it is not DNS.
    fn is_between_strangers(&self, packet: &Packet) -> bool {
        let asks = [packet.src_port, packet.dst_port].contains(&DNS) && matches!(packet.proto, proto::UDP | proto::TCP);
        !asks && ![packet.src, packet.dst].iter().any(|end| self.minds.contains(end))
    }

    /// Counts a packet that is not to be inspected: of its flow, if that is followed. What would have had nothing to
    /// inspect is not passed over then.
    #[cold]
    fn pass_over(&mut self, packet: &Packet, keyed: &Keyed, bytes: &[u8]) {
        let mut wanted = true;
        if self.table.lookup(packet).is_some() {
            let tracked = self.table.track(packet, *keyed, bytes);
            wanted = packet.transport
                && packet.payload_len > 0
                && tracked.is_some_and(|tracked| !tracked.duplicate && tracked.flow.phase != phase::DONE);
        }
        self.shed = self.shed.saturating_add(u64::from(wanted));
    }

    /// Takes an ICMP error about a flow of this shard.
    pub fn quote(&mut self, quote: &Quote) {
        let Some(number) = self.table.lookup(&quote.quoted) else { return };
        let Shard { table, learner, .. } = self;
        if let Some(flow) = table.flow_mut(number) {
            learner.keep_icmp(flow, quote.icmp);
        }
    }

    /// Moves packet time on to `now`: flows that were silent for too long end.
    #[inline(always)]
    pub fn advance(&mut self, now: Timestamp) {
        if self.table.is_due(now) {
            self.expire(now);
        }
    }

    #[cold]
    fn expire(&mut self, now: Timestamp) {
        let Shard { table, learner, streams, piecewise, .. } = self;
        table.advance(now, &mut |number, flow| end(flow, number, streams, piecewise, learner));
    }

    /// The capture has ended at `last`: reads what still waits, and sums up its flows while they are at hand.
    pub fn end(&mut self, last: Timestamp) -> FlowSums {
        self.advance(last);
        let mut sums = FlowSums::default();
        let Shard { table, learner, streams, piecewise, .. } = self;
        for number in 0..u32::try_from(table.len()).unwrap_or(u32::MAX) {
            if let Some(flow) = table.flow_mut(number) {
                end(flow, number, streams, piecewise, learner);
            }
            if let Some(flow) = table.flow(number) {
                sums.add(table, flow);
            }
        }
        table.close();
        sums
    }

    /// Bytes of memory held, what single flows hold beside the tables included.
    pub(super) fn held(&self) -> usize {
        [self.memory(), self.table.held(), self.learner.held(), self.streams.boxes()].iter().sum()
    }

    /// Bytes of memory held by tables.
    pub fn memory(&self) -> usize {
        let traces = self.traces.as_ref().map_or(0, Traces::memory);
        let inspected = self.streams.memory().saturating_add(self.piecewise.memory());
        [self.table.memory(), self.learner.memory(), inspected, traces].iter().sum()
    }
}

/// Whether a packet is one of many that bring nothing new: its flow has told what it is, and its side has sent much.
fn is_bulk(tracked: &Tracked<'_>, packet: &Packet) -> bool {
    packet.payload_len > 0 && Parts::has_told(tracked.flow.learnt) && tracked.sent() >= BULK
}

/// Takes a segment with payload. What comes with a SYN follows it in sequence (TCP fast open, RFC 7413).
#[inline(always)]
fn segment(cx: &mut Context<'_>, tcp: &Tcp, bytes: &[u8], learner: &mut Learner, streams: &mut StreamTable) {
    if cx.packet.has(tcp_flag::SYN) {
        let packet = &Packet { seq: cx.packet.seq.wrapping_add(1), ..*cx.packet };
        let mut cx = Context { flow: &mut *cx.flow, packet, ..*cx };
        payload(&mut cx, tcp, bytes, learner, streams);
    } else {
        payload(cx, tcp, bytes, learner, streams);
    }
}

fn payload(cx: &mut Context<'_>, tcp: &Tcp, bytes: &[u8], learner: &mut Learner, streams: &mut StreamTable) {
    let payload = cx.packet.payload(bytes);
    match cx.flow.phase {
        phase::RECORDS => return records(cx, payload, learner),
        phase::ANSWER => {
            if hellos::second(cx, tcp, payload, learner) {
                return records_from(cx, payload, learner);
            }
            streams.open_after_hello(cx.flow, learner, tcp.begins());
            cx.flow.phase = 0;
        }
        phase::ASKED => {
            requests::open(cx, tcp, learner, streams);
            cx.flow.phase = 0;
        }
        _ if learner.parts.get(cx.flow.learnt, Kind::Reading) == NONE => {
            if hellos::first(cx, tcp, payload, learner) {
                cx.flow.phase = phase::ANSWER;
                learner.walk(cx, payload);
                return;
            }
            match requests::first(cx, tcp, payload, learner, streams) {
                First::Other => streams.open(cx.flow, &mut learner.parts, tcp.begins()),
                First::Opened => return,
                First::Alone => {
                    cx.flow.phase = phase::ASKED;
                    return;
                }
            }
        }
        _ => {}
    }
    let finished = streams.segment(cx, payload, tcp.acknowledged(cx.second), learner);
    if finished || is_past_hellos(cx.flow, learner) || is_cut_off(cx, learner) {
        streams.release(cx.flow, &mut learner.parts);
        records_from(cx, payload, learner);
    } else {
        learner.walk(cx, payload);
    }
}

/// Turns to the records behind the hellos of TLS, if it is that; the segment at hand may hold the first.
fn records_from(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    (cx.flow.phase, cx.flow.tries) = (phase::RECORDS, 0);
    records(cx, payload, learner);
}

/// A connection is over: its streams are read to the end and let go, and what comes behind a reset is nobody's word.
#[cold]
fn over(cx: &mut Context<'_>, learner: &mut Learner, streams: &mut StreamTable) {
    if learner.parts.get(cx.flow.learnt, Kind::Reading) != NONE {
        streams.close(cx.flow, cx.number, cx.packet, learner);
        cx.flow.phase = phase::DONE;
    } else if matches!(cx.flow.phase, phase::ASKED | phase::ANSWER) {
        cx.flow.phase = phase::DONE;
    }
}

/// A flow has ended without a last packet to go by.
pub(super) fn end(
    flow: &mut Flow,
    number: u32,
    streams: &mut StreamTable,
    piecewise: &mut Piecewise,
    learner: &mut Learner,
) {
    if learner.parts.get(flow.learnt, Kind::Reading) == NONE {
        return;
    }
    let last = Packet { ts: flow.last, frame: flow.first_frame(), ..Packet::default() };
    if flow.proto() == proto::UDP {
        piecewise.close(flow, number, &last, learner);
    } else {
        streams.close(flow, number, &last, learner);
    }
}

/// Whether both hellos are known and all that follows is encrypted (TLS 1.3): there is nothing more to read.
#[inline(always)]
fn is_past_hellos(flow: &Flow, learner: &Learner) -> bool {
    learner.tls_of(flow).is_some_and(|t| t.hello_frame != 0 && is_tls13(t.version))
}

/// Whether the capture has cut so many segments, since both sides have spoken behind a hello, that no other hello is to
/// be expected.
#[inline(always)]
fn is_cut_off(cx: &mut Context<'_>, learner: &Learner) -> bool {
    let both = |tls: &Tls| tls.hello_frame != 0 && tls.walks.have_begun();
    if !cx.packet.cut || !learner.tls_of(cx.flow).is_some_and(both) {
        return false;
    }
    cx.flow.tries = cx.flow.tries.saturating_add(1);
    cx.flow.tries >= RECORD_SEGMENTS
}

fn is_tls13(version: u16) -> bool {
    version == 0x0304 || version >> 8 == 0x7f
}

/// Looks at the records of a connection whose hellos are done, until nothing more is to be learnt from them.
fn records(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    let enough = learner.walk(cx, payload).unwrap_or(true);
    cx.flow.tries = cx.flow.tries.saturating_add(1);
    if enough || cx.flow.tries >= RECORD_SEGMENTS {
        learner.leave_flight(cx.flow);
        cx.flow.phase = phase::DONE;
    }
}
