//! The payload of TCP connections: streams in order, probed, and read by the inspector that knows them.

use super::held;
use super::learn::{Context, Learner, direction};
use super::learnt::tls as mark;
use super::parts::{Kind, Parts};
use crate::decode::Packet;
use crate::flow::stream::{Limits, Origin, Segment, Shown, Stream, Taken};
use crate::flow::{Flow, slab::Slab};
use crate::inspect::dns::{self, DnsStream};
use crate::inspect::haproxy::{self, HaproxyStream};
use crate::inspect::http::{self, HttpStream};
use crate::inspect::message::{self, MessageStream};
use crate::inspect::openvpn::{self, OpenVpnStream};
use crate::inspect::socks::{self, SocksStream};
use crate::inspect::stun::{self, StunStream};
use crate::inspect::tls::{self, TlsStream};
use crate::inspect::{Direction, Fact, MAX_HELD, Next, Probe, Progress, StreamInspector};

/// How many times bytes of one connection are looked at in vain before it is left alone.
const MAX_REJECTS: u16 = 64;
/// How often one connection may turn into another protocol.
const MAX_HANDOVERS: u8 = 8;
/// What one connection may hold back.
const ROOMY: Limits = Limits { held: MAX_HELD, parked: MAX_HELD, segments: 64 };
/// What it may hold back once its shard holds [`MAX_BYTES`].
const TIGHT: Limits = Limits { held: 4096, parked: 0, segments: 0 };
/// The most bytes that the streams of one shard hold back.
const MAX_BYTES: usize = 4 << 20;

#[derive(Clone, Debug, Default)]
enum Inspector {
    /// Not known yet what it is.
    #[default]
    Probing,
    Tls(TlsStream),
    Http(Box<HttpStream>),
    Dns(DnsStream),
    Stun(StunStream),
    Haproxy(HaproxyStream),
    Socks(SocksStream),
    OpenVpn(Box<OpenVpnStream>),
    Message(MessageStream),
}

impl Inspector {
    /// Bytes held besides its own; only those are asked that may hold any.
    fn memory(&self) -> usize {
        match self {
            Inspector::Tls(tls) => tls.memory(),
            Inspector::OpenVpn(openvpn) => openvpn.memory(),
            _ => 0,
        }
    }

    /// Bytes of the piece of memory that it is in, if it is in one of its own.
    fn boxed(&self) -> usize {
        match self {
            Inspector::Http(_) => held::boxed::<HttpStream>(true),
            Inspector::OpenVpn(_) => held::boxed::<OpenVpnStream>(true),
            _ => 0,
        }
    }

    fn get(&mut self) -> Option<&mut dyn StreamInspector> {
        match self {
            Inspector::Probing => None,
            Inspector::Tls(tls) => Some(tls),
            Inspector::Http(http) => Some(&mut **http),
            Inspector::Dns(dns) => Some(dns),
            Inspector::Stun(stun) => Some(stun),
            Inspector::Haproxy(haproxy) => Some(haproxy),
            Inspector::Socks(socks) => Some(socks),
            Inspector::OpenVpn(openvpn) => Some(&mut **openvpn),
            Inspector::Message(message) => Some(message),
        }
    }

    /// What a stream is that begins with `bytes`; `None` while there are too few to say.
    fn probe(bytes: &[u8], dns_port: bool, certificates: bool) -> Option<Inspector> {
        let mut unsure = false;
        let mut is = |probe: Probe| {
            unsure |= probe == Probe::Unsure;
            probe == Probe::Match
        };
        // the PROXY protocol begins with a word that could be a method
        if is(haproxy::probe(bytes)) {
            return Some(Inspector::Haproxy(HaproxyStream));
        }
        if is(http::probe(bytes)) {
            return Some(Inspector::Http(Box::default()));
        }
        if is(tls::probe(bytes)) {
            return Some(Inspector::Tls(if certificates { TlsStream::with_certificates() } else { TlsStream::new() }));
        }
        if is(openvpn::probe_tcp(bytes)) {
            return Some(Inspector::OpenVpn(Box::default()));
        }
        if dns_port && is(dns::probe_tcp(bytes)) {
            return Some(Inspector::Dns(DnsStream::new()));
        }
        if is(stun::probe_tcp(bytes)) {
            return Some(Inspector::Stun(StunStream::new()));
        }
        if is(message::probe(bytes)) {
            return Some(Inspector::Message(MessageStream::default()));
        }
        if is(socks::probe(bytes)) {
            return Some(Inspector::Socks(SocksStream::default()));
        }
        (!unsure).then_some(Inspector::Probing)
    }
}

/// The streams of one connection.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    sides: [Stream; 2],
    inspector: Inspector,
    segments: [u16; 2],
    /// Bytes of each side that were too few to tell what they begin.
    unsure: [u16; 2],
    rejects: u16,
    handovers: u8,
    /// Which side was taken for the originator when reading began.
    flipped: bool,
    finished: bool,
    /// Bytes of memory held when last counted.
    held: usize,
}

/// The streams of all connections of a shard that are still being read.
#[derive(Clone, Debug, Default)]
pub struct StreamTable {
    streams: Slab<Streams>,
    held: usize,
}

impl StreamTable {
    /// Takes the payload of a TCP segment, whose receiver has acknowledged the stream up to `acked`. True: nothing more
    /// need be read of its connection.
    pub fn segment(&mut self, cx: &mut Context<'_>, payload: &[u8], acked: Option<u32>, learner: &mut Learner) -> bool {
        let tight = self.held > MAX_BYTES;
        let limits = if tight { TIGHT } else { ROOMY };
        let Some(streams) = self.streams.get_mut(learner.parts.get(cx.flow.learnt, Kind::Reading)) else {
            return true;
        };
        let before = streams.held;
        let (origin, wire_len) = (origin(cx.packet), cx.packet.payload_len);
        let segment = Segment { origin, bytes: payload, wire_len, acked };
        streams.show(cx, learner, |stream, reader| stream.segment(&segment, &limits, reader));
        if let Inspector::Tls(tls) = &mut streams.inspector
            && learner.tls_of(cx.flow).is_some_and(|known| known.has(mark::WATCHED))
        {
            tls.want_certificates();
        }
        let after = streams.memory();
        streams.held = after;
        let finished = streams.is_finished() || tight && streams.inspector.memory() > TIGHT.held;
        self.held = self.held.saturating_sub(before).saturating_add(after);
        finished
    }

    /// Begins to read a connection, whose sides' data begins as given, where that is known.
    pub fn open(&mut self, flow: &mut Flow, parts: &mut Parts, begins: [Option<u32>; 2]) {
        self.begin(flow, parts, begins);
    }

    fn begin(&mut self, flow: &mut Flow, parts: &mut Parts, begins: [Option<u32>; 2]) -> Option<&mut Streams> {
        let mut streams = Streams { flipped: flow.flipped(), ..Streams::default() };
        for (side, begin) in streams.sides.iter_mut().zip(begins) {
            begin.into_iter().for_each(|seq| side.begin(seq));
        }
        let number = self.streams.insert(streams);
        parts.add(&mut flow.learnt, Kind::Reading, number);
        self.streams.get_mut(number)
    }

    /// Begins to read a connection of HTTP whose originator's next byte is `next`, what came before having been shown
    /// to `http`.
    pub fn open_http(
        &mut self,
        flow: &mut Flow,
        parts: &mut Parts,
        begins: [Option<u32>; 2],
        next: u32,
        http: HttpStream,
    ) {
        let client = usize::from(flow.flipped());
        let [first, other] = begins;
        let moved = |(side, begin)| if side == client { Some(next) } else { begin };
        if let Some(streams) = self.begin(flow, parts, [(0, first), (1, other)].map(moved)) {
            streams.segments.get_mut(client).into_iter().for_each(|count| *count = 1);
            streams.inspector = Inspector::Http(Box::new(http));
        }
    }

    /// Begins to read a connection whose originator's ClientHello was a segment taken alone. Where all is wanted
    /// (`records`), and of the first connections, certificates are in any case.
    pub fn open_after_hello(&mut self, flow: &mut Flow, learner: &mut Learner, begins: [Option<u32>; 2]) {
        let Some(known) = learner.tls_of(flow) else { return };
        let (taken, named) = (known.alone, known.name != 0);
        let certificates = known.has(mark::WATCHED) || learner.records || learner.wants_samples();
        let client = usize::from(flow.flipped());
        let moved = |(side, begin): (usize, Option<u32>)| match begin {
            Some(seq) if side == client => Some(seq.wrapping_add(u32::from(taken))),
            begin => begin,
        };
        let [first, other] = begins;
        if let Some(streams) = self.begin(flow, &mut learner.parts, [(0, first), (1, other)].map(moved)) {
            let mut tls = TlsStream::after_client_hello(taken, named);
            if certificates {
                tls.want_certificates();
            }
            streams.inspector = Inspector::Tls(tls);
        }
    }

    /// Nothing more comes on the connection of `packet`, the last one seen of it: reads what still waits, and lets go.
    pub fn close(&mut self, flow: &mut Flow, number: u32, packet: &Packet, learner: &mut Learner) {
        if let Some(streams) = self.streams.get_mut(learner.parts.get(flow.learnt, Kind::Reading)) {
            for second in [false, true] {
                let mut cx = Context { flow, number, packet, second, segments: 0 };
                streams.show(&mut cx, learner, |stream, reader| stream.flush(&ROOMY, reader));
            }
        }
        self.release(flow, &mut learner.parts);
    }

    /// Lets go of a connection's streams.
    pub fn release(&mut self, flow: &mut Flow, parts: &mut Parts) {
        let number = parts.get(flow.learnt, Kind::Reading);
        if let Some(streams) = self.streams.get_mut(number) {
            self.held = self.held.saturating_sub(streams.held);
            *streams = Streams::default();
            self.streams.release(number);
        }
        parts.remove(&mut flow.learnt, Kind::Reading);
    }

    /// Bytes of memory held, but for the inspectors that have a piece of memory of their own.
    pub fn memory(&self) -> usize {
        self.streams.memory().saturating_add(self.held)
    }

    /// Bytes of those.
    pub fn boxes(&self) -> usize {
        self.streams.iter().map(|(_, streams)| streams.inspector.boxed()).sum()
    }
}

impl Streams {
    fn memory(&self) -> usize {
        self.sides.iter().map(Stream::memory).fold(self.inspector.memory(), usize::saturating_add)
    }

    fn is_finished(&self) -> bool {
        self.finished || self.sides.iter().all(Stream::is_done)
    }

    /// Works on the stream of the side that `cx` is about, with the inspector as its reader.
    fn show(
        &mut self,
        cx: &mut Context<'_>,
        learner: &mut Learner,
        work: impl FnOnce(&mut Stream, &mut dyn FnMut(Shown<'_>) -> Taken),
    ) {
        let side = usize::from(cx.second);
        let Streams { sides, inspector, segments, unsure, rejects, handovers, flipped, finished, .. } = self;
        let (Some(stream), Some(count)) = (sides.get_mut(side), segments.get_mut(side)) else { return };
        let Some(unsure_here) = unsure.get_mut(side) else { return };
        *count = count.saturating_add(1);
        cx.segments = *count;
        let toward = direction(cx.second, *flipped);
        let (mut handed_over, mut begun) = (false, false);
        work(stream, &mut |shown| {
            let was_probing = matches!(inspector, Inspector::Probing);
            let mut reading = Reading { inspector, unsure: unsure_here, rejects, toward, cx, learner };
            let next = reading.read(shown);
            begun |= was_probing && !matches!(inspector, Inspector::Probing);
            match next.next {
                Next::Handover if *handovers < MAX_HANDOVERS => {
                    *handovers = handovers.saturating_add(1);
                    *inspector = Inspector::Probing;
                    handed_over = true;
                    cx.segments = 1;
                }
                Next::Finished | Next::Handover => *finished = true,
                Next::Reject => *inspector = Inspector::Probing,
                Next::More | Next::Done => {}
            }
            *finished |= *rejects > MAX_REJECTS;
            let done = *finished || next.next == Next::Done;
            Taken { consumed: next.consumed, skip: next.skip, done }
        });
        if !(handed_over || begun) {
            return;
        }
        if handed_over {
            // what was said before is no part of what begins
            segments.fill(0);
        }
        let other = 1usize.saturating_sub(side);
        if let (Some(stream), Some(unsure)) = (sides.get_mut(other), unsure.get_mut(other)) {
            if handed_over {
                stream.restart();
            }
            // what the other side has said is the last word of what was spoken before, a consent to TLS for one
            if begun && *unsure > 0 {
                *unsure = 0;
                stream.forget();
            }
        }
    }
}

/// One look of the inspector at one side's bytes.
struct Reading<'a, 'b> {
    inspector: &'a mut Inspector,
    unsure: &'a mut u16,
    rejects: &'a mut u16,
    toward: Direction,
    cx: &'a mut Context<'b>,
    learner: &'a mut Learner,
}

impl Reading<'_, '_> {
    fn read(&mut self, shown: Shown<'_>) -> Progress {
        let (bytes, from) = match shown {
            Shown::Bytes(bytes, from) => (bytes, from),
            Shown::Gap(held, seq) => return self.gap(held, seq),
        };
        if matches!(self.inspector, Inspector::Probing) {
            // multicast DNS (RFC 6762) in one-shot use over TCP, too
            let dns_port = [self.cx.packet.src_port, self.cx.packet.dst_port].iter().any(|p| matches!(p, 53 | 5353));
            let certificates = self.learner.records || self.learner.wants_samples();
            match Inspector::probe(bytes, dns_port, certificates) {
                None => {
                    *self.unsure = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
                    return Progress { consumed: 0, skip: 0, next: Next::More };
                }
                Some(Inspector::Probing) => return self.reject(bytes),
                Some(found) => {
                    *self.unsure = 0;
                    *self.inspector = found;
                }
            }
        }
        let Reading { inspector, cx, learner, .. } = self;
        let Some(inspector) = inspector.get() else { return self.reject(bytes) };
        let toward = self.toward;
        let progress = told_from(cx, from, |cx| {
            let mut emit = |direction: Direction, fact: Fact<'_>| {
                debug_assert_eq!(direction, toward);
                learner.learn(cx, fact);
            };
            inspector.feed(toward, bytes, &mut emit)
        });
        if progress.next == Next::Reject { self.reject(bytes) } else { progress }
    }

    /// Bytes are missing, or no more come: what is `held`, from `seq` on, is all there will be of what it began.
    fn gap(&mut self, held: &[u8], seq: u32) -> Progress {
        let Reading { inspector, cx, learner, .. } = self;
        *self.unsure = 0;
        let mut goes_on = true;
        // half a hello is told where the capture has cut it; a segment that was lost may have been anybody's
        let told = cx.flow.cut() || !matches!(inspector, Inspector::Tls(_));
        if let Some(inspector) = inspector.get() {
            if !held.is_empty() && told {
                let from = Origin { seq, ..origin(cx.packet) };
                told_from(cx, from, |cx| {
                    inspector.cut_short(self.toward, held, &mut |_, fact| learner.learn(cx, fact))
                });
            }
            goes_on = inspector.gap(self.toward);
        }
        Progress { consumed: 0, skip: 0, next: if goes_on { Next::More } else { Next::Reject } }
    }

    /// These bytes are nothing that is known here: the next ones may be. They begin with the next segment, which is in
    /// hand where those before it were too few to tell.
    fn reject(&mut self, bytes: &[u8]) -> Progress {
        *self.rejects = self.rejects.saturating_add(1);
        let before = usize::from(std::mem::take(self.unsure));
        let consumed = if before > 0 && before < bytes.len() { before } else { bytes.len() };
        Progress { consumed, skip: 0, next: Next::Reject }
    }
}

/// Where the payload of a packet stands.
fn origin(packet: &Packet) -> Origin {
    Origin { seq: packet.seq, ack: packet.ack, frame: packet.frame, ts: packet.ts }
}

/// Does what may tell facts of bytes that come `from` there: with the packet at hand, or one that waited for it.
fn told_from<T>(cx: &mut Context<'_>, from: Origin, work: impl FnOnce(&mut Context<'_>) -> T) -> T {
    if from == origin(cx.packet) {
        return work(cx);
    }
    let Origin { seq, ack, frame, ts } = from;
    let packet = &Packet { seq, ack, frame, ts, ..*cx.packet };
    work(&mut Context { flow: &mut *cx.flow, packet, ..*cx })
}
