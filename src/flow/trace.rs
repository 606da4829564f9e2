//! The trace of one flow: by what it is known again in another capture, and how far each side's data had come when.
//!
//! Only kept where two captures are compared. Data is counted by sequence number, so that what is sent again counts
//! once, and what the capture missed counts too. A line of moments has a cap: when it is full, or when all lines
//! together are, its moments are put together two by two.

use super::key::digest;
use super::wrapping::ahead;
use crate::decode::{Packet, proto, tcp_flag};
use crate::time::{MILLISECOND, Timestamp};

/// How exact a line is at first, in nanoseconds.
const WIDTH: u64 = 50 * MILLISECOND;
/// How often a line grows coarser, to slots of a week.
const DOUBLED_MOST: u32 = 24;
/// How many moments a line keeps.
const MOMENTS: usize = 4096;
/// How many moments all lines of one shard may keep together, but for the few of each: 6 MB.
const MOMENTS_IN_ALL: usize = 1 << 18;
/// A line that has this few moments is not made coarser for want of room.
const MOMENTS_FEW: usize = 16;
/// A jump in sequence numbers by more than this, in bytes, is no data that was missed but another's packet.
const JUMP_MOST: i32 = 64 << 20;
/// How much of the first payload its digest is of, in bytes: the head of STUN, a question of DNS, the random of TLS.
const DIGESTED: usize = 64;

/// How far something had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In which slot since the flow's first packet; a slot is as long as the line is exact.
    at: u32,
    /// How far at the slot's end, in bytes.
    pub bytes: u64,
    /// The frame that the slot's first data came in.
    pub frame: u64,
}

/// Bytes over time, always growing.
#[derive(Clone, Debug, Default)]
pub struct Line {
    moments: Vec<Moment>,
    doubled: u32,
}

impl Line {
    /// How exact it is, in nanoseconds.
    pub const fn width(&self) -> u64 {
        WIDTH << self.doubled
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.moments.last().map_or(0, |last| last.bytes)
    }

    /// When each slot with data began, in nanoseconds since the flow's first packet, and how far the data had come at
    /// its end.
    pub fn moments(&self) -> impl Iterator<Item = (u64, &Moment)> {
        self.moments.iter().map(|moment| (u64::from(moment.at).saturating_mul(self.width()), moment))
    }

    /// Adds bytes that came so many nanoseconds after the flow's first packet. `room` is what all lines together may
    /// still grow by.
    fn add(&mut self, since: u64, bytes: u64, frame: u64, room: &mut usize) {
        let mut at = self.slot(since);
        let total = self.total().saturating_add(bytes);
        if let Some(last) = self.moments.last_mut().filter(|last| last.at >= at) {
            last.bytes = total;
            return;
        }
        let full = self.moments.len() >= MOMENTS || *room == 0 && self.moments.len() >= MOMENTS_FEW;
        if full {
            self.coarsen(room);
            at = self.slot(since);
        }
        let full = self.moments.len() >= MOMENTS;
        match self.moments.last_mut() {
            Some(last) if full || last.at >= at => last.bytes = total,
            _ => {
                *room = room.saturating_sub(1);
                self.moments.push(Moment { at, bytes: total, frame });
            }
        }
    }

    fn slot(&self, since: u64) -> u32 {
        u32::try_from(since.checked_div(self.width()).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Makes the line less exact, until some moments are one.
    fn coarsen(&mut self, room: &mut usize) {
        let before = self.moments.len();
        while self.moments.len() == before && self.doubled < DOUBLED_MOST {
            self.doubled = self.doubled.saturating_add(1);
            self.moments.iter_mut().for_each(|moment| moment.at /= 2);
            self.moments.dedup_by(|later, earlier| {
                let same = later.at == earlier.at;
                if same {
                    earlier.bytes = later.bytes;
                }
                same
            });
        }
        *room = room.saturating_add(before.saturating_sub(self.moments.len()));
    }
}

/// A packet that is looked for in the other capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When it came.
    pub ts: Timestamp,
    /// In which frame.
    pub frame: u64,
    /// A digest of its payload's beginning; 0 is none.
    pub digest: u64,
}

/// What one side has shown.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Its first packet; of TCP its SYN, if it was seen.
    pub first: Option<Mark>,
    /// Its first packet with payload.
    pub spoke: Option<Mark>,
    /// Its initial sequence number.
    pub isn: Option<u32>,
    /// Its data, as it was sent.
    pub sent: Line,
    /// Its data, as the other side acknowledged it.
    pub acked: Line,
    /// Where the first of its data that was seen begins.
    begin: Option<u32>,
    edge: Option<u32>,
    ack_edge: Option<u32>,
    /// Where its data ends, once it has said that.
    fin: Option<u32>,
}

/// One flow's trace; sides as the flow has them.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What side 0, which sent the first packet, and side 1 have shown.
    pub sides: [Side; 2],
}

/// The traces of a shard, by the numbers of their flows.
#[derive(Clone, Debug)]
pub struct Traces {
    list: Vec<Trace>,
    room: usize,
}

impl Default for Traces {
    fn default() -> Self {
        Traces { list: Vec::new(), room: MOMENTS_IN_ALL }
    }
}

impl Traces {
    /// The trace of the flow `number`.
    pub fn get(&self, number: u32) -> Option<&Trace> {
        self.list.get(number as usize)
    }

    /// Takes a packet of side 1 (`second`) or 0 of the flow `number`, which began at `begun`; no mirror's copy.
    pub fn packet(&mut self, number: u32, second: bool, begun: Timestamp, packet: &Packet, bytes: &[u8]) {
        let at = number as usize;
        if at >= self.list.len() {
            self.list.resize_with(at.saturating_add(1), Trace::default);
        }
        let Traces { list, room } = self;
        let Some(Trace { sides: [first, other] }) = list.get_mut(at) else { return };
        let (from, to) = if second { (other, first) } else { (first, other) };
        let mark = |digest| Mark { ts: packet.ts, frame: packet.frame, digest };
        from.first.get_or_insert_with(|| mark(0));
        let since = packet.ts.since(begun);
        let payload = packet.payload(bytes);
        if from.spoke.is_none() && !payload.is_empty() {
            from.spoke = Some(mark(digest(payload.get(..DIGESTED).unwrap_or(payload))));
        }
        if packet.proto != proto::TCP {
            return from.sent.add(since, u64::from(packet.payload_len), packet.frame, room);
        }
        from.sends(since, packet, room);
        if packet.has(tcp_flag::ACK) && !packet.has(tcp_flag::RST) {
            to.is_acknowledged(since, packet, room);
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let moments = MOMENTS_IN_ALL.saturating_sub(self.room).saturating_mul(size_of::<Moment>());
        self.list.capacity().saturating_mul(size_of::<Trace>()).saturating_add(moments)
    }
}

impl Side {
    /// The sequence number behind the last of its data that was seen, of TCP.
    pub const fn edge(&self) -> Option<u32> {
        self.edge
    }

    fn sends(&mut self, since: u64, packet: &Packet, room: &mut usize) {
        let syn = packet.has(tcp_flag::SYN);
        if syn && self.isn.is_none() {
            self.isn = Some(packet.seq);
            (self.edge, self.ack_edge) = (Some(packet.seq.wrapping_add(1)), Some(packet.seq.wrapping_add(1)));
        }
        let begin = packet.seq.wrapping_add(u32::from(syn));
        let end = begin.wrapping_add(packet.payload_len);
        if packet.has(tcp_flag::FIN) && !packet.has(tcp_flag::RST) {
            self.fin = Some(end);
        }
        // what carries no data, a RST above all, may have any number
        if packet.payload_len == 0 {
            return;
        }
        self.begin.get_or_insert(begin);
        let edge = *self.edge.get_or_insert(begin);
        if let Some(bytes) = progress(edge, end) {
            self.edge = Some(end);
            self.sent.add(since, bytes, packet.frame, room);
        }
    }

    fn is_acknowledged(&mut self, since: u64, packet: &Packet, room: &mut usize) {
        // the end itself has a number, and is no byte
        let ack = self.fin.filter(|fin| fin.wrapping_add(1) == packet.ack).unwrap_or(packet.ack);
        let begin = self.begin.filter(|begin| ahead(ack, *begin) >= 0).unwrap_or(ack);
        let edge = *self.ack_edge.get_or_insert(begin);
        if let Some(bytes) = progress(edge, ack) {
            self.ack_edge = Some(ack);
            self.acked.add(since, bytes, packet.frame, room);
        }
    }
}

/// By how many bytes data that had come to `edge` comes further.
fn progress(edge: u32, to: u32) -> Option<u64> {
    let by = ahead(to, edge);
    (by > 0 && by <= JUMP_MOST).then(|| u64::from(by.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn segment(millis: u64, flags: u8, seq: u32, payload_len: u32, ack: u32) -> Packet {
        let ts = Timestamp(millis * MILLISECOND);
        Packet { ts, frame: millis, proto: proto::TCP, tcp_flags: flags, seq, ack, payload_len, ..Packet::default() }
    }

    fn totals(traces: &Traces) -> [[u64; 2]; 2] {
        traces.get(0).unwrap().sides.each_ref().map(|side| [side.sent.total(), side.acked.total()])
    }

    #[test]
    fn what_is_sent_again_counts_once_and_what_was_missed_counts() {
        let mut traces = Traces::default();
        let ack = tcp_flag::ACK;
        let near_wrap = u32::MAX - 500;
        let mut take = |second, packet: Packet| traces.packet(0, second, Timestamp(0), &packet, &[]);
        take(false, segment(0, tcp_flag::SYN, near_wrap, 0, 0));
        take(true, segment(1, tcp_flag::SYN | ack, 77, 0, near_wrap.wrapping_add(1)));
        let begin = near_wrap.wrapping_add(1);
        take(false, segment(2, ack, begin, 1000, 78));
        take(false, segment(3, ack, begin, 1000, 78));
        // a thousand bytes that the capture did not see
        take(false, segment(400, ack, begin.wrapping_add(2000), 1000, 78));
        take(true, segment(500, ack, 78, 0, begin.wrapping_add(2000)));
        // a keep-alive, a reset with another's number, and a stranger
        take(false, segment(600, ack, begin.wrapping_add(2999), 1, 78));
        take(true, segment(700, tcp_flag::RST, 9_999_999, 0, 5));
        take(false, segment(800, ack, begin.wrapping_add(1 << 30), 10, 78));
        assert_eq!(totals(&traces), [[3000, 2000], [0, 0]]);
        let trace = traces.get(0).unwrap();
        assert_eq!(trace.sides.each_ref().map(|side| side.isn), [Some(near_wrap), Some(77)]);
        let sent: Vec<_> = trace.sides[0].sent.moments().map(|(since, m)| (since, m.bytes, m.frame)).collect();
        assert_eq!(sent, [(0, 1000, 2), (400 * MILLISECOND, 3000, 400)]);
        assert!(traces.get(1).is_none());
    }

    #[test]
    fn an_end_is_no_byte() {
        let mut traces = Traces::default();
        let ack = tcp_flag::ACK;
        let mut take = |second, packet: Packet| traces.packet(0, second, Timestamp(0), &packet, &[]);
        take(false, segment(0, tcp_flag::SYN, 10, 0, 0));
        take(true, segment(1, tcp_flag::SYN | ack, 77, 0, 11));
        take(false, segment(2, ack | tcp_flag::FIN, 11, 100, 78));
        take(true, segment(3, ack | tcp_flag::FIN, 78, 0, 112));
        take(false, segment(4, ack, 112, 0, 79));
        assert_eq!(totals(&traces), [[100, 100], [0, 0]]);
    }

    #[test]
    fn in_mid_stream_data_and_acknowledgements_count_from_one_place() {
        for data_first in [true, false] {
            let mut traces = Traces::default();
            let ack = tcp_flag::ACK;
            let mut take = |second, packet: Packet| traces.packet(0, second, Timestamp(0), &packet, &[]);
            if !data_first {
                take(true, segment(0, ack, 7, 0, 5000));
            }
            take(false, segment(1, ack, 5000, 1000, 7));
            take(true, segment(2, ack, 7, 0, 6000));
            assert_eq!(totals(&traces), [[1000, 1000], [0, 0]]);
        }
    }

    #[test]
    fn a_full_line_grows_coarser_and_loses_no_byte() {
        let (mut line, mut room) = (Line::default(), MOMENTS_IN_ALL);
        for n in 0..10_000u64 {
            line.add(n * SECOND / 10, 7, n, &mut room);
        }
        assert_eq!((line.total(), line.width()), (70_000, 8 * WIDTH));
        assert!(line.moments.len() <= MOMENTS && line.moments.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!(room, MOMENTS_IN_ALL - line.moments.len());
        let mut none = 0;
        let mut poor = Line::default();
        for n in 0..1_000u64 {
            poor.add(n * SECOND, 7, n, &mut none);
        }
        assert_eq!(poor.total(), 7_000);
        assert!(poor.moments.len() <= MOMENTS_FEW, "{}", poor.moments.len());
    }

    #[test]
    fn datagrams_are_known_by_how_they_begin() {
        let mut traces = Traces::default();
        let payload: Vec<u8> = (0..200).collect();
        let datagram = Packet { proto: proto::UDP, payload_len: 200, payload_captured: 200, ..Packet::default() };
        traces.packet(2, false, Timestamp(0), &datagram, &payload);
        let [side, other] = &traces.get(2).unwrap().sides;
        assert_eq!((side.spoke.unwrap().digest, side.sent.total()), (digest(&payload[..DIGESTED]), 200));
        assert!(other.first.is_none());
    }
}
