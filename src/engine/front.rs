//! The front of the engine: frames to packets, each for the shard that owns its flow.
//!
//! The front sees every frame in order, alone. What must be put together before a shard can be chosen (fragments) is
//! put together here; what concerns a flow of another shard (an ICMP error) is sent there.

use super::learnt::{Icmp, Seen};
use super::neighbours::Neighbours;
use super::shard::Quote;
use crate::decode::arp::{self, Claim};
use crate::decode::fragment::Defragmenter;
use crate::decode::tunnel::may_carry;
use crate::decode::{Packet, Undecoded, Way, decode, decode_by_way, decode_further, may_hold_several, proto};
use crate::flow::OVERTAKEN;
use crate::flow::key::{Keyed, shard_of};
use crate::source::{Frame, Tally};
use crate::time::Timestamp;

/// Work for one shard.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A packet, with its key, and where its bytes are.
    Packet(Packet, Keyed, Place),
    /// An ICMP error about one of its flows.
    Quote(Quote),
}

impl Work {
    /// What stands in a place that waits for work.
    pub fn nothing() -> Work {
        Work::Packet(Packet::default(), Keyed::NOTHING, Place::Frame { start: 0, caplen: 0 })
    }
}

/// Where the bytes of a packet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// So many bytes of the buffer at hand, from there on: a frame.
    #[allow(missing_docs)]
    Frame { start: u32, caplen: u32 },
    /// The datagram with that number among those put together while the chunk was decoded.
    Datagram(u32),
}

impl Place {
    /// The bytes: of `buf` if they are a frame's, or one of these datagrams.
    #[inline(always)]
    pub fn bytes<'a>(self, buf: &'a [u8], datagrams: &'a [Vec<u8>]) -> &'a [u8] {
        let bytes = match self {
            Place::Frame { start, caplen } => buf.get(start as usize..(start as usize).wrapping_add(caplen as usize)),
            Place::Datagram(n) => datagrams.get(n as usize).map(Vec::as_slice),
        };
        bytes.unwrap_or_default()
    }
}

/// What was seen of the capture as a whole.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Frames.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// The first frame's time, or an earlier one's.
    pub first: Option<Timestamp>,
    /// The latest time seen.
    pub last: Timestamp,
    /// Frames whose time is more than [`OVERTAKEN`] before that of one that stands before them.
    pub earlier_frames: u64,
    /// Frames that were only counted, for want of time.
    pub shed_frames: u64,
    /// Frames that the capture cut.
    pub cut_frames: u64,
    /// The most bytes that it kept of one of those that are analyzed.
    pub cut_at: u64,
    /// Frames without a packet, by reason.
    pub undecoded: [u64; Undecoded::ALL.len()],
    /// Who claims which address.
    pub neighbours: Neighbours,
}

/// Which flows packets belong to, as far as few bits can tell: a flow that was noted is always met, another may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch([u64; 8]);

impl Sketch {
    /// Notes the flow whose key has that hash.
    #[inline(always)]
    pub fn note(&mut self, hash: u64) {
        // hashes differ most in their upper bits
        if let Some(bits) = self.0.get_mut((hash >> 61) as usize) {
            *bits |= 1 << (hash >> 55 & 63);
        }
    }

    /// Notes all that the other has.
    pub fn add(&mut self, other: Sketch) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, bits)| *mine |= bits);
    }

    /// Whether a flow may be in both.
    pub fn meets(&self, other: Sketch) -> bool {
        self.0.iter().zip(other.0).any(|(mine, bits)| mine & bits != 0)
    }
}

/// The front's state.
#[derive(Clone, Debug, Default)]
pub struct Front {
    secret: u64,
    /// What was seen so far.
    pub totals: Totals,
    /// The flows of the frames since it was last taken; what was put together from fragments is not in it.
    pub flows: Sketch,
    fragments: Defragmenter,
}

/// Takes work for a shard, with the bytes of a datagram that was put together from fragments.
pub trait Sink {
    /// Takes work whose bytes, if any, are a frame's.
    fn work(&mut self, shard: usize, work: Work) {
        if let Some(slot) = self.slot() {
            *slot = work;
            self.take(shard);
        }
    }
    /// Where the next piece of work will stand: put together there it need not be copied. What stands there before
    /// means nothing.
    fn slot(&mut self) -> Option<&mut Work>;
    /// What was put there is work for that shard.
    fn take(&mut self, shard: usize);
    /// Keeps a datagram; gives the place by which work names it.
    fn keep(&mut self, datagram: Vec<u8>) -> Place;
}

impl Totals {
    /// Counts a frame of `len` bytes of which so many were captured.
    #[inline(always)]
    fn count(&mut self, ts: Timestamp, len: u32, captured: usize) {
        self.frames = self.frames.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(len));
        self.first.get_or_insert(ts);
        if ts < self.last {
            self.comes_late(ts);
        } else {
            self.last = ts;
        }
        if (captured as u64) < u64::from(len) {
            self.note_cut(captured as u64);
        }
    }

    /// A frame of which the capture kept so many bytes.
    #[cold]
    fn note_cut(&mut self, captured: u64) {
        self.cut_frames = self.cut_frames.wrapping_add(1);
        self.cut_at = self.cut_at.max(captured);
    }

    /// A frame whose time is before that of another that came before it.
    #[cold]
    fn comes_late(&mut self, ts: Timestamp) {
        if self.last.since(ts) > OVERTAKEN {
            self.earlier_frames = self.earlier_frames.wrapping_add(1);
            self.first = self.first.map(|first| first.min(ts));
        }
    }
}

impl Front {
    /// A front whose keys are hashed with `secret`, as the shards' tables are.
    pub fn new(secret: u64) -> Self {
        Front { secret, ..Front::default() }
    }

    /// Takes the next frame, which begins at `start` of the buffer at hand.
    #[inline(always)]
    pub fn frame(&mut self, frame: &Frame<'_>, start: u32, sink: &mut impl Sink) {
        self.totals.count(frame.ts, frame.len, frame.bytes.len());
        let Some(work) = sink.slot() else { return };
        if !matches!(work, Work::Packet(..)) {
            *work = Work::nothing();
        }
        let Work::Packet(packet, keyed, place) = work else { return };
        (packet.ts, packet.frame, packet.len, packet.frames) = (frame.ts, self.totals.frames, frame.len, 1);
        let read = decode_by_way(frame.link.0, frame.bytes, packet);
        if read != Ok(Way::Straight) && is_odd(packet, read.is_ok(), frame) {
            let packet = *packet;
            return self.odd(packet, read.map(drop), frame, start, sink);
        }
        (*keyed, *place) = (Keyed::of(packet, self.secret), place_of(frame, start));
        self.flows.note(keyed.hash);
        let shard = shard_of(packet.src, packet.dst);
        sink.take(shard);
    }

    /// Counts frames, and looks no further.
    pub fn count(&mut self, tally: &Tally) {
        if tally.frames == 0 {
            return;
        }
        let totals = &mut self.totals;
        totals.frames = totals.frames.wrapping_add(tally.frames);
        totals.bytes = totals.bytes.wrapping_add(tally.bytes);
        totals.cut_frames = totals.cut_frames.wrapping_add(tally.cut);
        totals.first.get_or_insert(tally.first);
        totals.last = totals.last.max(tally.last);
        totals.shed_frames = totals.shed_frames.wrapping_add(tally.frames);
    }

    /// The packets of a frame that holds several, but for the first.
    #[cold]
    fn further(&mut self, frame: &Frame<'_>, start: u32, sink: &mut impl Sink) {
        let begun = Packet { ts: frame.ts, frame: self.totals.frames, frames: 1, ..Packet::default() };
        decode_further(frame.link.0, frame.bytes, &begun, &mut |packet, read| match read {
            // what is no packet is no frame of its own either
            Err(_) => {}
            Ok(()) if packet.fragment.is_some() => self.fragment(&packet, frame.bytes, sink),
            Ok(()) => {
                let keyed = Keyed::of(&packet, self.secret);
                sink.work(shard_of(packet.src, packet.dst), Work::Packet(packet, keyed, place_of(frame, start)));
            }
        });
    }

    /// A frame that is not just a packet of its flow.
    #[cold]
    fn odd(
        &mut self,
        packet: Packet,
        read: Result<(), Undecoded>,
        frame: &Frame<'_>,
        start: u32,
        sink: &mut impl Sink,
    ) {
        let bytes = frame.bytes;
        match read {
            Ok(()) if packet.fragment.is_some() => self.fragment(&packet, bytes, sink),
            Ok(()) => {
                self.quote(&packet, bytes, sink);
                self.claim(&packet, arp::carried_claim(bytes, &packet));
                let keyed = Keyed::of(&packet, self.secret);
                self.flows.note(keyed.hash);
                sink.work(shard_of(packet.src, packet.dst), Work::Packet(packet, keyed, place_of(frame, start)));
            }
            Err(reason) => {
                self.claim(&packet, arp::claim(frame.link.0, bytes).filter(|_| reason == Undecoded::NotIp));
                self.undecoded(reason);
            }
        }
        if may_hold_several(frame.link.0) {
            self.further(frame, start, sink);
        }
    }

    /// Takes who says that it has which address, if the frame of `packet` does.
    fn claim(&mut self, packet: &Packet, claim: Option<Claim>) {
        if let Some(claim) = claim {
            self.totals.neighbours.claim(claim, Seen { ts: packet.ts, frame: packet.frame });
        }
    }

    fn undecoded(&mut self, reason: Undecoded) {
        if let Some(count) = self.totals.undecoded.get_mut(reason as usize) {
            *count = count.wrapping_add(1);
        }
    }

    fn fragment(&mut self, packet: &Packet, bytes: &[u8], sink: &mut impl Sink) {
        let Some(fragment) = packet.fragment else { return };
        let secret = self.secret;
        self.fragments
            .push(packet, fragment, bytes, &mut |packet, datagram| put_together(secret, packet, datagram, sink));
    }

    /// The capture has ended: gives up what is not whole.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let secret = self.secret;
        self.fragments.finish(&mut |packet, datagram| put_together(secret, packet, datagram, sink));
    }

    /// If the packet is an ICMP error, sends what it quotes to that flow's shard (RFC 792, RFC 4443 §3).
    fn quote(&self, packet: &Packet, bytes: &[u8], sink: &mut impl Sink) {
        let (kind, code) = ((packet.seq >> 8) as u8, packet.seq as u8);
        let is_error = match packet.proto {
            proto::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
            proto::ICMP6 => kind < 128,
            _ => false,
        };
        const RAW_IP: u16 = 101;
        let mut quoted = Packet { ts: packet.ts, frame: packet.frame, ..Packet::default() };
        if is_error && decode(RAW_IP, packet.payload(bytes), &mut quoted).is_ok() {
            let icmp = Icmp { from: packet.src, kind, code, frame: packet.frame };
            sink.work(shard_of(quoted.src, quoted.dst), Work::Quote(Quote { quoted, icmp }));
        }
    }
}

/// Where a frame is that begins at `start` of the buffer at hand.
#[inline(always)]
const fn place_of(frame: &Frame<'_>, start: u32) -> Place {
    Place::Frame { start, caplen: frame.bytes.len() as u32 }
}

/// Whether a frame is more, or something else, than one whole packet of one flow; `read`: it is a packet.
#[inline(never)]
fn is_odd(packet: &Packet, read: bool, frame: &Frame<'_>) -> bool {
    let icmp = matches!(packet.proto, proto::ICMP | proto::ICMP6);
    !read || packet.fragment.is_some() || icmp || may_carry(packet) || may_hold_several(frame.link.0)
}

fn put_together(secret: u64, packet: Packet, datagram: Vec<u8>, sink: &mut impl Sink) {
    let place = sink.keep(datagram);
    let keyed = Keyed::of(&packet, secret);
    sink.work(shard_of(packet.src, packet.dst), Work::Packet(packet, keyed, place));
}
