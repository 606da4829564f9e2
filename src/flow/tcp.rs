//! TCP as a mirror shows it: who has sent and acknowledged what, and what went wrong on the way.
//!
//! Words are Wireshark's (its `tcp.analysis`) with its meaning; states and history are Zeek's. A mirror port may
//! show an acknowledgement before the data, and may miss data that both ends have: holes are kept, and count as missed
//! only once they are acknowledged, and no more when they are filled after all.

use super::course::{Burst, Course, PAUSE};
use super::history::{Side, conn_state};
use super::offer::Offer;
use super::rates::{Rates, Thresholds, WINDOW};
use super::rtt::Rtt;
use super::trouble::{Filled, Filling, Log};
use crate::decode::{Packet, tcp_flag};
use crate::time::{SECOND, Timestamp};

/// Below this, in microseconds, a segment that does not advance was overtaken rather than sent again, where the round
/// trip is not known (Wireshark's value); no sender learns of a loss sooner than one round trip after.
const REORDERED: u32 = 3_000;
/// After this many duplicate acknowledgements, within these microseconds, a segment sent again is a fast
/// retransmission.
const FAST: (u8, u32) = (2, 20_000);

/// As many microseconds as a capture may show a segment late whose frames came by several ways, the queues of a card for
/// one, and no more than a sender takes that was not told of a loss (RFC 8985 §7.2 has 10 ms at the least).
const MISPLACED: i32 = 10_000;

/// As much of what a side sends may be acknowledged before its SYN is shown; beyond, they belong to two connections.
const SHOWN_BEFORE: i32 = 1 << 20;

/// Sequence-number comparison (RFC 9293 §3.4): how far `a` is ahead of `b`.
#[inline(always)]
pub const fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// A moment in microseconds, as is enough to tell the time between two of them that are less than an hour apart.
pub(super) type Micros = u32;

/// After this much silence, in nanoseconds, moments from before it may not be told from later ones.
pub const TIMED_MOST: u64 = 2_000 * SECOND;

#[inline(always)]
pub(super) const fn micros(ts: Timestamp) -> Micros {
    (ts.0 / 1000) as Micros
}

/// What is known of one side.
mod known {
    /// Its highest sequence number.
    pub const NXT: u8 = 1 << 0;
    /// It has sent an acknowledgement.
    pub const ACK: u8 = 1 << 1;
    /// The acknowledgement of one of its segments is being timed.
    pub const TIMING: u8 = 1 << 2;
    /// Its window scale.
    pub const SCALE: u8 = 1 << 3;
    /// It has sent a FIN.
    pub const FIN: u8 = 1 << 4;
    /// Its SYN was seen, and with it its initial sequence number and what it says of window scale.
    pub const SYN: u8 = 1 << 5;
    /// The window that it last announced is to be scaled.
    pub const SCALED: u8 = 1 << 6;
}

/// What one side has sent. Small: there is one for each end of every connection.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// One past the highest sequence number seen; valid with [`known::NXT`].
    nxt: u32,
    /// Its own initial sequence number; valid with [`known::SYN`].
    isn: u32,
    /// The last acknowledgement that it sent.
    ack: u32,
    /// The end of the segment whose acknowledgement is being timed.
    timed: u32,
    /// When the highest sequence number was seen.
    nxt_at: Micros,
    /// When the timed segment was seen.
    timed_at: Micros,
    /// When it last repeated an acknowledgement.
    dup_ack_at: Micros,
    /// When new payload of it last came; means nothing before there was any.
    data_at: Micros,
    /// Payload that it has sent since the other side last sent any.
    turn: u32,
    /// The window that it last announced, as it stands on the wire; [`known::SCALED`] tells what it means.
    window: u16,
    /// Its maximum segment size option; 0 is none.
    mss: u16,
    /// Its window scale option; valid with [`known::SCALE`].
    scale: u8,
    dup_acks: u8,
    known: u8,
    /// What it has been seen to do.
    pub side: Side,
}

/// How a flow began, and the payload of its sides so far.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// Its first packet.
    pub at: Timestamp,
    /// The first packet's frame.
    pub frame: u64,
    /// Bytes of payload, by side.
    pub payload: [u64; 2],
}

/// A TCP connection.
#[derive(Clone, Debug, Default)]
pub struct Tcp {
    /// What each side sent; 0 is who sent the first packet seen.
    pub half: [Half; 2],
    /// Round trips.
    pub rtt: Rtt,
    /// How its payload came over time, once it has paused or is older than a window of rates.
    course: Option<Box<Course>>,
    /// What happened.
    pub log: Log,
}

impl Tcp {
    /// A connection of which side 0 has sent a SYN without payload at `ts`, with this sequence number, window and
    /// options, and nothing else was seen: what [`Tcp::segment`] would have made of it.
    pub(super) fn begun(ts: Timestamp, seq: u32, window: u16, offer: Offer) -> Tcp {
        let (nxt, at) = (seq.wrapping_add(1), micros(ts));
        let mut tcp = Tcp::default();
        let [first, _] = &mut tcp.half;
        (first.isn, first.nxt, first.nxt_at) = (seq, nxt, at);
        (first.timed, first.timed_at) = (nxt, at);
        first.window = window;
        first.known = known::SYN | known::NXT | known::TIMING;
        first.side = Side::SynSent;
        first.take(offer);
        tcp.log.note(false, b's');
        tcp
    }

    /// Bytes of memory held beside its own.
    pub fn held(&self) -> usize {
        let course = self.course.as_ref().map_or(0, |course| course.memory());
        course.saturating_add(self.rtt.held()).saturating_add(self.log.held())
    }

    /// Takes a segment of side 1 (`second`) or 0, whose TCP options are `options`. True: it sends nothing again.
    #[inline]
    pub fn segment(&mut self, second: bool, packet: &Packet, options: &[u8]) -> bool {
        let [first, other] = &mut self.half;
        let (from, to) = if second { (other, first) } else { (first, other) };
        if is_plain(packet) && !matches!(from.side, Side::Inactive | Side::SynSent) {
            self.log.note(second, if packet.payload_len > 0 { b'd' } else { b'a' });
        } else {
            turn(from, to, &mut self.log, second, packet, options);
        }
        let mut new = true;
        if packet.seq_len() > 0 || !from.has(known::NXT) {
            new = from.sequence(to, packet, &self.rtt, &mut self.log, second);
        }
        if packet.has(tcp_flag::ACK) {
            if let Some(micros) = to.acknowledged(packet.ack, packet.ts, &mut self.log, !second) {
                self.rtt.sample(usize::from(!second), micros);
            }
            from.acknowledges(to, packet);
        }
        from.announces(to, packet, &mut self.log, second);
        new
    }

    /// After a silence of [`TIMED_MOST`]: what was being timed is not timed any more.
    pub fn stop_timing(&mut self) {
        self.half.iter_mut().for_each(|half| half.known &= !known::TIMING);
    }

    /// Takes new payload of side `sender` into the course of a flow that began as `begun` says, which is asked only until
    /// there is a course.
    #[inline(always)]
    pub fn data(&mut self, sender: usize, packet: &Packet, begun: impl FnOnce() -> Begun, by: &Thresholds) {
        if self.course.is_none() {
            let begun = begun();
            if self.has_course(packet.ts, begun) {
                self.begin_course(begun);
            }
        }
        if let Some(course) = &mut self.course {
            course.rates.add(sender, packet.payload_len, packet.ts, by);
            course.add(sender, packet.ts, packet.frame, u64::from(packet.payload_len));
        }
        let [first, other] = &mut self.half;
        let (from, to) = if sender == 0 { (first, other) } else { (other, first) };
        from.data_at = micros(packet.ts);
        from.turn = from.turn.saturating_add(packet.payload_len);
        to.turn = 0;
    }

    /// Whether payload at `now` comes after a pause, or later than one window of rates.
    #[inline(always)]
    fn has_course(&self, now: Timestamp, begun: Begun) -> bool {
        const PAUSE_MICROS: u32 = (PAUSE / 1000) as u32;
        let paused = || {
            let now = micros(now);
            let [a, b] = &self.half;
            let since = |half: &Half| now.wrapping_sub(half.data_at);
            match begun.payload {
                [0, 0] => false,
                [_, 0] => since(a) >= PAUSE_MICROS,
                [0, _] => since(b) >= PAUSE_MICROS,
                _ => since(a).min(since(b)) >= PAUSE_MICROS,
            }
        };
        now.since(begun.at) >= WINDOW || paused()
    }

    #[cold]
    fn begin_course(&mut self, begun: Begun) {
        let known = [self.early(0, begun), self.early(1, begun)];
        self.course = Some(Box::new(Course::begun(Rates::begun(begun.at, begun.payload), known)));
    }

    /// The payload of a side before there was a course, as one burst: it came within [`WINDOW`].
    fn early(&self, side: usize, begun: Begun) -> Option<Burst> {
        let bytes = begun.payload.get(side).copied().filter(|bytes| *bytes > 0)?;
        let passed = u64::from(self.half.get(side)?.data_at.wrapping_sub(micros(begun.at))).saturating_mul(1000);
        // a keep-alive's byte is payload, but no data
        let end = begun.at.after(if passed < WINDOW { passed } else { 0 });
        Some(Burst::whole(begun.at, end, begun.frame, bytes))
    }

    /// The rates of a flow that began as `begun` says, `payload` being all there was, with all windows closed.
    pub fn rates(&self, begun: Begun, by: &Thresholds) -> Rates {
        let rates = self.course.as_ref().map(|course| course.rates);
        rates.unwrap_or_else(|| Rates::begun(begun.at, begun.payload)).closed(by)
    }

    /// The bursts of a side's payload, in order; `begun.payload` being all there was.
    pub fn bursts(&self, side: usize, begun: Begun) -> Vec<Burst> {
        match &self.course {
            Some(course) => course.bursts.get(side).cloned().unwrap_or_default(),
            None => self.early(side, begun).into_iter().collect(),
        }
    }

    /// Bytes of payload that each side has sent since the other last sent any.
    pub fn turns(&self) -> [u32; 2] {
        let [a, b] = &self.half;
        [a.turn, b.turn]
    }

    /// Bytes of each side's data that the other has not acknowledged, where that can be known.
    pub fn unacknowledged(&self) -> [Option<u32>; 2] {
        let [a, b] = &self.half;
        let left = |from: &Half, to: &Half| {
            let known = from.has(known::NXT) && to.has(known::ACK);
            known.then(|| u32::try_from(ahead(from.nxt, to.ack)).unwrap_or(0))
        };
        [left(a, b), left(b, a)]
    }

    /// Zeek's state of the connection; `flipped`: side 1 is the originator.
    pub fn conn_state(&self, flipped: bool, any_payload: bool) -> &'static str {
        let [a, b] = &self.half;
        let (orig, resp) = if flipped { (b, a) } else { (a, b) };
        conn_state(orig.side, resp.side, any_payload)
    }

    /// Whether a SYN that starts at `seq` opens another connection than this one.
    pub fn is_reopened_by(&self, second: bool, packet: &Packet) -> bool {
        let [first, other] = &self.half;
        let from = if second { other } else { first };
        match from.side {
            Side::Inactive => {
                // a SYN after the other side has long been talking, and not an answer to its SYN
                let to = if second { first } else { other };
                matches!(to.side, Side::Partial | Side::Closed | Side::Reset)
                    && !packet.has(tcp_flag::ACK)
                    && !to.has(known::SYN)
            }
            Side::Partial => !packet.has(tcp_flag::ACK) && !from.is_own(packet),
            _ => from.isn != packet.seq && !packet.has(tcp_flag::ACK),
        }
    }

    /// The maximum segment sizes that the sides offered; 0 is none.
    pub fn mss(&self) -> [u16; 2] {
        self.half.each_ref().map(|half| half.mss)
    }

    /// Where each side's data begins, if its SYN was seen.
    pub fn begins(&self) -> [Option<u32>; 2] {
        let [a, b] = &self.half;
        let after_syn = |half: &Half| half.has(known::SYN).then(|| half.isn.wrapping_add(1));
        [after_syn(a), after_syn(b)]
    }

    /// Whether both sides are done, or one has reset it.
    pub fn is_over(&self) -> bool {
        let [a, b] = &self.half;
        let done = |s: Side| matches!(s, Side::Closed | Side::Reset);
        self.log.rst_by.is_some() || (done(a.side) && done(b.side))
    }

    /// Whether a handshake was seen, or both sides in the middle of a connection.
    pub fn is_established(&self) -> bool {
        self.half
            .iter()
            .all(|h| !matches!(h.side, Side::Inactive | Side::SynSent) && (h.known & (known::ACK | known::NXT) != 0))
    }

    /// Whether a side shows by what it does that the other has spoken: it acknowledges, or goes on behind its SYN. A RST
    /// alone shows nothing, whoever gets it.
    pub fn shows_an_answer(&self) -> bool {
        self.half.iter().any(|half| match half.side {
            Side::Inactive | Side::Reset => false,
            Side::SynSent => half.has(known::ACK),
            _ => true,
        })
    }

    /// Whether any SYN was seen.
    pub fn saw_syn(&self) -> bool {
        self.half.iter().any(|h| h.has(known::SYN))
    }
}

impl Half {
    #[inline(always)]
    const fn has(&self, what: u8) -> bool {
        self.known & what != 0
    }

    /// Takes its SYN.
    fn opens(&mut self, packet: &Packet, options: &[u8]) {
        self.take(Offer::of(options));
        if !self.has(known::SYN) {
            self.isn = packet.seq;
            self.known |= known::SYN;
        }
    }

    fn take(&mut self, offer: Offer) {
        self.mss = offer.mss.unwrap_or(self.mss);
        if let Some(scale) = offer.scale {
            self.scale = scale;
            self.known |= known::SCALE;
        }
    }

    /// Accounts for the sequence numbers that a segment takes. False: they were sent before.
    fn sequence(&mut self, to: &Half, packet: &Packet, rtt: &Rtt, log: &mut Log, second: bool) -> bool {
        let end = packet.seq.wrapping_add(packet.seq_len());
        if !self.has(known::NXT) {
            self.known |= known::NXT;
            self.advance(end, packet.ts);
            // where a mirror has shown its acknowledgement before, the next one may come any time later
            if !to.has(known::ACK) || ahead(end, to.ack) > 0 {
                self.time(to, end, packet.ts);
            }
            return true;
        }
        let jump = ahead(packet.seq, self.nxt);
        if jump >= 0 {
            if jump > 0 && !packet.has(tcp_flag::RST) {
                log.note_trouble(second, |t| t.open(self.nxt, packet.seq, false, packet.ts));
            }
            self.advance(end, packet.ts);
            self.time(to, end, packet.ts);
            return true;
        }
        self.comes_behind(to, packet, rtt, log, second)
    }

    /// The same of a segment that does not begin with new data, which few do.
    #[cold]
    fn comes_behind(&mut self, to: &Half, packet: &Packet, rtt: &Rtt, log: &mut Log, second: bool) -> bool {
        let end = packet.seq.wrapping_add(packet.seq_len());
        let filling = log.known(second).map_or(Filling::NOTHING, |t| t.fill(packet.seq, end));
        let filled = filling.filled;
        if filled == Filled::Nothing && self.is_keep_alive(packet) {
            return false;
        }
        // data whose acknowledgement the mirror showed first is as new as any
        let new = filled == Filled::Foretold
            || filled == Filled::Nothing && self.is_behind_probe(packet)
            || is_answered_syn(packet, log, second);
        let mut again = false;
        if !new {
            if self.is_overtaken(to, packet, end, rtt.path(), filled == Filled::Hole) {
                log.note_trouble(second, |t| t.comes_late(packet, filled == Filled::Nothing));
            } else {
                let misplaced = self.is_misplaced(to, packet, filling);
                log.note_trouble(second, |t| t.repeats(packet, misplaced));
                log.note(second, b't');
                // an acknowledgement would not say which of the two it is for (Karn)
                self.known &= !known::TIMING;
                again = filled == Filled::Nothing;
            }
        }
        if ahead(end, self.nxt) > 0 {
            self.advance(end, packet.ts);
            return true;
        }
        !again
    }

    /// Names a segment that does not begin with new data, as Wireshark does: only overtaken, or sent again. `rtt` is
    /// the path's round trip in microseconds.
    fn is_overtaken(&self, to: &Half, packet: &Packet, end: u32, rtt: Option<u32>, filled: bool) -> bool {
        let now = micros(packet.ts);
        let since_dup_ack = now.wrapping_sub(to.dup_ack_at);
        let fast = to.dup_acks >= FAST.0 && to.ack == packet.seq && since_dup_ack < FAST.1;
        let spurious = to.has(known::ACK) && ahead(end, to.ack) <= 0 && packet.payload_len > 0 && !filled;
        let late = now.wrapping_sub(self.nxt_at) < rtt.unwrap_or(REORDERED) && self.nxt != end;
        !fast && !spurious && late
    }

    /// Whether a segment that fills a hole was not sent late but is shown late: the other side had acknowledged it before,
    /// or did not ask for it, and too little time has passed for its sender to miss it by itself.
    fn is_misplaced(&self, to: &Half, packet: &Packet, filling: Filling) -> bool {
        let opened = filling.opened.or(filling.blurred.then_some(self.nxt_at));
        let Some(opened) = opened.filter(|_| packet.payload_len > 0) else { return false };
        let asked = to.dup_acks > 0 && ahead(to.ack, packet.seq) <= 0;
        let since = micros(packet.ts).wrapping_sub(opened).cast_signed();
        filling.acknowledged || !asked && since < MISPLACED
    }

    /// Whether a SYN is this side's own, which the capture shows behind what followed it.
    fn is_own(&self, syn: &Packet) -> bool {
        let since = micros(syn.ts).wrapping_sub(self.nxt_at).cast_signed();
        self.has(known::NXT) && (1..SHOWN_BEFORE).contains(&ahead(self.nxt, syn.seq)) && since < MISPLACED
    }

    /// A probe of an idle peer: one byte or none, just before what comes next (RFC 9293 §3.8.4).
    fn is_keep_alive(&self, packet: &Packet) -> bool {
        packet.payload_len <= 1
            && packet.seq == self.nxt.wrapping_sub(1)
            && packet.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0
    }

    /// Data that begins with the one byte of a probe before, which a closed window may have kept out (RFC 9293
    /// §3.8.6.1).
    fn is_behind_probe(&self, packet: &Packet) -> bool {
        packet.payload_len > 1 && packet.seq == self.nxt.wrapping_sub(1)
    }

    /// This side has announced that it takes nothing more.
    #[inline(always)]
    const fn is_closed(&self) -> bool {
        self.window == 0 && self.has(known::ACK)
    }

    #[inline(always)]
    fn advance(&mut self, end: u32, ts: Timestamp) {
        self.nxt = end;
        self.nxt_at = micros(ts);
    }

    /// Times the acknowledgement of a segment up to `end`; not of one that waits for the other's window.
    #[inline(always)]
    fn time(&mut self, to: &Half, end: u32, ts: Timestamp) {
        if !self.has(known::TIMING) && !to.is_closed() {
            self.known |= known::TIMING;
            (self.timed, self.timed_at) = (end, micros(ts));
        }
    }

    /// The other side has acknowledged up to `ack`: gives the round trip, in microseconds, if that was being timed.
    #[inline(always)]
    fn acknowledged(&mut self, ack: u32, ts: Timestamp, log: &mut Log, second: bool) -> Option<u32> {
        if !self.has(known::NXT) {
            return None;
        }
        if ahead(ack, self.nxt) > 0 {
            log.note_trouble(second, |t| t.open(self.nxt, ack, true, ts));
            self.nxt = ack;
            self.known &= !known::TIMING;
        }
        if let Some(trouble) = log.known(second)
            && trouble.acknowledge(ack)
        {
            log.note(second, b'g');
        }
        if self.has(known::TIMING) && ahead(ack, self.timed) >= 0 {
            self.known &= !known::TIMING;
            return Some(micros(ts).wrapping_sub(self.timed_at));
        }
        None
    }

    /// Keeps the acknowledgement that this side sent.
    #[inline(always)]
    fn acknowledges(&mut self, to: &Half, packet: &Packet) {
        let quiet = packet.payload_len == 0 && packet.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0;
        let acked = self.has(known::ACK);
        if acked && self.ack == packet.ack && quiet {
            self.repeats(to, packet);
        } else if !acked || ahead(packet.ack, self.ack) > 0 {
            self.ack = packet.ack;
            self.known |= known::ACK;
            self.dup_acks = 0;
        }
    }

    /// It has acknowledged the same once more: a duplicate only if its window stands as it was, nothing is probed, and
    /// data is under way that it may be missing (RFC 5681 §2).
    fn repeats(&mut self, to: &Half, packet: &Packet) {
        let window = u32::from(packet.window) << if self.scales(to, packet) { self.scale } else { 0 };
        if window != 0 && window == self.room() && packet.seq == self.nxt && ahead(to.nxt, packet.ack) > 0 {
            self.dup_acks = self.dup_acks.saturating_add(1);
            self.dup_ack_at = micros(packet.ts);
        }
    }

    /// Whether the window that `packet`, of this side, announces is to be scaled. A scale holds from the handshake on, if
    /// both sides name one (RFC 7323 §2.2).
    #[inline(always)]
    const fn scales(&self, to: &Half, packet: &Packet) -> bool {
        !packet.has(tcp_flag::SYN) && self.known & to.known & known::SCALE != 0
    }

    /// The window that it last announced, in bytes as far as the scale is known.
    const fn room(&self) -> u32 {
        (self.window as u32) << if self.has(known::SCALED) { self.scale } else { 0 }
    }

    /// Keeps the window that this side announced, and sees whether it filled the other's.
    #[inline(always)]
    fn announces(&mut self, to: &Half, packet: &Packet, log: &mut Log, second: bool) {
        let control = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
        if packet.window == 0 && packet.tcp_flags & control == 0 {
            log.note_trouble(second, |t| t.closes(packet));
            log.note(second, b'w');
        } else if self.is_closed()
            && let Some(trouble) = log.known(second)
        {
            trouble.reopens(packet);
        }
        self.window = packet.window;
        self.known = self.known & !known::SCALED | if self.scales(to, packet) { known::SCALED } else { 0 };
        // what a window is worth is only known from both SYNs
        let known = self.known & to.known & known::SYN != 0 && to.has(known::ACK);
        if packet.payload_len > 0 && packet.tcp_flags & control == 0 && known {
            let end = packet.seq.wrapping_add(packet.payload_len);
            if end == to.ack.wrapping_add(to.room()) {
                log.note_trouble(second, |t| t.window_full = t.window_full.saturating_add(1));
            }
        }
    }
}

/// The SYN and ACK of a side that has sent a SYN before: it has met the other's (RFC 9293 §3.5, figure 8), and was not
/// lost.
fn is_answered_syn(packet: &Packet, log: &Log, second: bool) -> bool {
    packet.has(tcp_flag::SYN) && packet.has(tcp_flag::ACK) && log.has(second, b's')
}

/// Whether a segment only goes on with what is under way.
#[inline(always)]
const fn is_plain(packet: &Packet) -> bool {
    const TURNS: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
    packet.tcp_flags & (TURNS | tcp_flag::ACK) == tcp_flag::ACK
}

/// Takes a segment with which a side may come to something new.
fn turn(from: &mut Half, to: &mut Half, log: &mut Log, second: bool, packet: &Packet, options: &[u8]) {
    log.segment(second, packet);
    let established = matches!(to.side, Side::Established | Side::Partial | Side::Closed);
    transition(from, to, packet);
    if packet.has(tcp_flag::SYN) {
        from.opens(packet, options);
    }
    if packet.has(tcp_flag::FIN) {
        log.fin_by.get_or_insert(u8::from(second));
    }
    if packet.has(tcp_flag::RST) {
        log.rst_by.get_or_insert(u8::from(second));
        if established {
            log.note_reset(second, packet);
        }
    }
}

/// What a segment says its sender has come to.
fn transition(from: &mut Half, to: &mut Half, packet: &Packet) {
    if packet.has(tcp_flag::RST) {
        // once both have sent a FIN the connection has ended well, and a RST changes nothing
        if !(matches!(from.side, Side::Closed) && matches!(to.side, Side::Closed)) {
            from.side = Side::Reset;
        }
        return;
    }
    if packet.has(tcp_flag::SYN) {
        opening(from, to, packet);
    } else if matches!(from.side, Side::Inactive) {
        from.side = Side::Partial;
    } else if matches!(from.side, Side::SynSent) && matches!(to.side, Side::SynAckSent | Side::SynSent) {
        from.side = Side::Established;
    }
    if packet.has(tcp_flag::FIN) && !matches!(from.side, Side::Reset) {
        from.side = Side::Closed;
        from.known |= known::FIN;
        if matches!(to.side, Side::Reset) && to.has(known::FIN) {
            // a FIN, a RST for what still came, and the answer to the FIN: it has ended well after all
            to.side = Side::Closed;
        }
    }
}

fn opening(from: &mut Half, to: &mut Half, packet: &Packet) {
    match (packet.has(tcp_flag::ACK), from.side) {
        // a mirror may show the answer before the question, and more that followed it
        (false, Side::Inactive | Side::Partial)
            if to.has(known::SYN) && (1..SHOWN_BEFORE).contains(&ahead(to.ack, packet.seq)) =>
        {
            from.side = Side::Established;
            if matches!(to.side, Side::SynAckSent) {
                to.side = Side::Established;
            }
        }
        (false, Side::Inactive | Side::Partial) => from.side = Side::SynSent,
        (true, Side::Inactive | Side::Partial | Side::SynSent) => {
            if matches!(to.side, Side::SynSent | Side::Established) {
                (from.side, to.side) = (Side::Established, Side::Established);
            } else {
                from.side = Side::SynAckSent;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
