//! TCP as a mirror shows it: who has sent and acknowledged what, and what went wrong on the way.
//!
//! Words are Wireshark's (its `tcp.analysis`) with its meaning; states and history are Zeek's. A mirror port may
//! show an acknowledgement before the data, and may miss data that both ends have: holes are kept, and count as missed
//! only once they are acknowledged, and no more when they are filled after all.

use super::history::{History, Side, conn_state};
use super::rates::{Rates, Thresholds, WINDOW};
use super::rtt::Rtt;
use crate::decode::{Packet, tcp_flag};
use crate::time::{SECOND, Timestamp};
use crate::wire::Reader;

/// Below this, in microseconds, a segment that does not advance was overtaken rather than sent again, where the round
/// trip is not known (Wireshark's value); no sender learns of a loss sooner than one round trip after.
const REORDERED: u32 = 3_000;
/// After this many duplicate acknowledgements, within these microseconds, a segment sent again is a fast
/// retransmission.
const FAST: (u8, u32) = (2, 20_000);
/// How many holes one direction keeps account of.
const HOLES: usize = 4;

/// Sequence-number comparison (RFC 9293 §3.4): how far `a` is ahead of `b`.
#[inline(always)]
pub const fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Bytes that were not captured.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u32,
    end: u32,
    /// The other side has acknowledged them, so they did exist.
    missed: bool,
    /// Only that acknowledgement told of them: no later byte of the same side was seen before.
    foretold: bool,
}

/// A moment in microseconds, as is enough to tell the time between two of them that are less than an hour apart.
type Micros = u32;

/// After this much silence, in nanoseconds, moments from before it may not be told from later ones.
pub const TIMED_MOST: u64 = 2_000 * SECOND;

#[inline(always)]
const fn micros(ts: Timestamp) -> Micros {
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
    /// The window that it last announced, scaled where the scale is known.
    window: u32,
    /// When the highest sequence number was seen.
    nxt_at: Micros,
    /// When the timed segment was seen.
    timed_at: Micros,
    /// When it last repeated an acknowledgement.
    dup_ack_at: Micros,
    /// Its maximum segment size option; 0 is none.
    pub mss: u16,
    /// Its window scale option; valid with [`known::SCALE`].
    scale: u8,
    dup_acks: u8,
    known: u8,
    /// What it has been seen to do.
    pub side: Side,
}

/// What went wrong with the data of one side.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Retransmitted segments.
    pub retransmissions: u32,
    /// Segments that overtook others.
    pub out_of_order: u32,
    /// Zero windows that it announced.
    pub zero_windows: u32,
    /// Segments that filled the other's window.
    pub window_full: u32,
    /// Holes in its data.
    pub gaps: u32,
    /// Bytes in them.
    pub missed: u64,
    holes: [Option<Hole>; HOLES],
}

/// What late bytes were found to fill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Filled {
    Nothing,
    Hole,
    Foretold,
}

/// A TCP connection.
#[derive(Clone, Debug, Default)]
pub struct Tcp {
    /// What each side sent; 0 is who sent the first packet seen.
    pub half: [Half; 2],
    /// Round trips.
    pub rtt: Rtt,
    /// Who sent the first FIN: 0, 1.
    pub fin_by: Option<u8>,
    /// Who sent the first RST: 0, 1.
    pub rst_by: Option<u8>,
    /// Payload rates over time, once there is more than one window of them.
    rates: Option<Box<Rates>>,
    /// What happened.
    pub log: Log,
}

/// What happened on a connection, and what went wrong.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What happened, in letters.
    pub history: History,
    /// What went wrong with each side's data, once something has.
    trouble: Option<Box<[Trouble; 2]>>,
}

impl Log {
    /// What went wrong with the data of either side, if anything did.
    pub fn troubles(&self) -> Option<&[Trouble; 2]> {
        self.trouble.as_deref()
    }

    #[inline(always)]
    fn known(&mut self, second: bool) -> Option<&mut Trouble> {
        self.trouble.as_mut()?.get_mut(usize::from(second))
    }

    #[cold]
    fn note_trouble(&mut self, second: bool, note: impl FnOnce(&mut Trouble)) {
        let [first, other] = &mut **self.trouble.get_or_insert_default();
        note(if second { other } else { first });
    }
}

impl Tcp {
    /// Takes a segment of side 1 (`second`) or 0, whose TCP options are `options`.
    #[inline]
    pub fn segment(&mut self, second: bool, packet: &Packet, options: &[u8]) {
        let [first, other] = &mut self.half;
        let (from, to) = if second { (other, first) } else { (first, other) };
        let sender = usize::from(second);
        note(&mut self.log.history, second, packet);
        if packet.has(tcp_flag::SYN) {
            from.options(options);
        }
        transition(from, to, packet);
        if packet.has(tcp_flag::FIN) {
            self.fin_by.get_or_insert(sender as u8);
        }
        if packet.has(tcp_flag::RST) {
            self.rst_by.get_or_insert(sender as u8);
        }
        if packet.seq_len() > 0 || !from.has(known::NXT) {
            from.sequence(to, packet, &self.rtt, &mut self.log, second);
        }
        if packet.has(tcp_flag::ACK) {
            if let Some(micros) = to.acknowledged(packet.ack, packet.ts, &mut self.log, !second) {
                self.rtt.sample(1usize.wrapping_sub(sender), micros);
            }
            from.acknowledges(to, packet);
        }
        from.announces(to, packet, &mut self.log, second);
    }

    /// After a silence of [`TIMED_MOST`]: what was being timed is not timed any more.
    pub fn stop_timing(&mut self) {
        self.half.iter_mut().for_each(|half| half.known &= !known::TIMING);
    }

    /// Counts a segment's payload, of side `sender`, for the rates of a flow that began at `start` and of whose sides
    /// `before` bytes had come.
    #[inline(always)]
    pub fn rate(&mut self, sender: usize, packet: &Packet, start: Timestamp, before: [u64; 2], by: &Thresholds) {
        if let Some(rates) = &mut self.rates {
            rates.add(sender, packet.payload_len, packet.ts, by);
        } else if packet.ts.since(start) >= WINDOW {
            let mut rates = Box::new(Rates::begun(start, before));
            rates.add(sender, packet.payload_len, packet.ts, by);
            self.rates = Some(rates);
        }
    }

    /// The rates of a flow that began at `start`, and of whose sides `payload` bytes came, with all windows closed.
    pub fn rates(&self, start: Timestamp, payload: [u64; 2], by: &Thresholds) -> Rates {
        self.rates.as_deref().copied().unwrap_or_else(|| Rates::begun(start, payload)).closed(by)
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
            Side::Partial => !packet.has(tcp_flag::ACK),
            _ => from.isn != packet.seq && !packet.has(tcp_flag::ACK),
        }
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
        self.rst_by.is_some() || (done(a.side) && done(b.side))
    }

    /// Whether a handshake was seen, or both sides in the middle of a connection.
    pub fn is_established(&self) -> bool {
        self.half
            .iter()
            .all(|h| !matches!(h.side, Side::Inactive | Side::SynSent) && (h.known & (known::ACK | known::NXT) != 0))
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

    /// MSS and window scale (RFC 9293 §3.2, RFC 7323 §2.2).
    fn options(&mut self, options: &[u8]) {
        let mut r = Reader::new(options);
        while let Ok(kind) = r.u8() {
            match kind {
                0 => return,
                1 => continue,
                _ => {}
            }
            let Ok(len) = r.u8() else { return };
            let Ok(mut body) = r.sub(usize::from(len).saturating_sub(2)) else { return };
            match kind {
                2 => self.mss = body.u16().unwrap_or(0),
                3 => {
                    if let Ok(scale) = body.u8() {
                        self.scale = scale.min(14);
                        self.known |= known::SCALE;
                    }
                }
                _ => {}
            }
        }
    }

    /// Accounts for the sequence numbers that a segment takes.
    fn sequence(&mut self, to: &Half, packet: &Packet, rtt: &Rtt, log: &mut Log, second: bool) {
        let end = packet.seq.wrapping_add(packet.seq_len());
        if packet.has(tcp_flag::SYN) && !self.has(known::SYN) {
            self.isn = packet.seq;
            self.known |= known::SYN;
        }
        if !self.has(known::NXT) {
            self.known |= known::NXT;
            self.advance(end, packet.ts);
            self.time(to, end, packet.ts);
            return;
        }
        let jump = ahead(packet.seq, self.nxt);
        if jump >= 0 {
            if jump > 0 && !packet.has(tcp_flag::RST) {
                log.note_trouble(second, |t| t.open(self.nxt, packet.seq, false));
            }
            self.advance(end, packet.ts);
            self.time(to, end, packet.ts);
            return;
        }
        let filled = log.known(second).map_or(Filled::Nothing, |t| t.fill(packet.seq, end));
        if filled == Filled::Nothing && self.is_keep_alive(packet) {
            return;
        }
        // data whose acknowledgement the mirror showed first is as new as any
        let new = filled == Filled::Foretold
            || filled == Filled::Nothing && self.is_behind_probe(packet)
            || is_answered_syn(packet, &log.history, second);
        if !new {
            if self.is_overtaken(to, packet, end, rtt.path(), filled == Filled::Hole) {
                log.note_trouble(second, |t| t.out_of_order = t.out_of_order.saturating_add(1));
            } else {
                log.note_trouble(second, |t| t.retransmissions = t.retransmissions.saturating_add(1));
                log.history.note(second, b't');
                // an acknowledgement would not say which of the two it is for (Karn)
                self.known &= !known::TIMING;
            }
        }
        if ahead(end, self.nxt) > 0 {
            self.advance(end, packet.ts);
        }
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
            log.note_trouble(second, |t| t.open(self.nxt, ack, true));
            self.nxt = ack;
            self.known &= !known::TIMING;
        }
        if let Some(trouble) = log.known(second)
            && trouble.acknowledge(ack)
        {
            log.history.note(second, b'g');
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
        let same_window = packet.window != 0 && self.scaled(to, packet) == self.window;
        if same_window && packet.seq == self.nxt && ahead(to.nxt, packet.ack) > 0 {
            self.dup_acks = self.dup_acks.saturating_add(1);
            self.dup_ack_at = micros(packet.ts);
        }
    }

    /// The window that `packet`, of this side, announces. A scale holds from the handshake on, if both sides name one
    /// (RFC 7323 §2.2).
    #[inline(always)]
    fn scaled(&self, to: &Half, packet: &Packet) -> u32 {
        let scale = if packet.has(tcp_flag::SYN) || !to.has(known::SCALE) { 0 } else { self.scale };
        u32::from(packet.window) << scale
    }

    /// Keeps the window that this side announced, and sees whether it filled the other's.
    #[inline(always)]
    fn announces(&mut self, to: &Half, packet: &Packet, log: &mut Log, second: bool) {
        let control = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
        if packet.window == 0 && packet.tcp_flags & control == 0 {
            log.note_trouble(second, |t| t.zero_windows = t.zero_windows.saturating_add(1));
            log.history.note(second, b'w');
        }
        self.window = self.scaled(to, packet);
        // what a window is worth is only known from both SYNs
        let known = self.known & to.known & known::SYN != 0 && to.has(known::ACK);
        if packet.payload_len > 0 && packet.tcp_flags & control == 0 && known {
            let end = packet.seq.wrapping_add(packet.payload_len);
            if end == to.ack.wrapping_add(to.window) {
                log.note_trouble(second, |t| t.window_full = t.window_full.saturating_add(1));
            }
        }
    }
}

impl Trouble {
    fn open(&mut self, start: u32, end: u32, foretold: bool) {
        // with every place taken the oldest account is closed as it stands
        if self.holes.iter().all(Option::is_some) {
            self.holes.rotate_left(1);
            if let Some(last) = self.holes.last_mut() {
                *last = None;
            }
        }
        if let Some(free) = self.holes.iter_mut().find(|h| h.is_none()) {
            *free = Some(Hole { start, end, missed: false, foretold });
        }
    }

    /// Holes below `ack` did exist: they count as missed. True if there are such.
    fn acknowledge(&mut self, ack: u32) -> bool {
        let before = self.gaps;
        for hole in self.holes.iter_mut().flatten() {
            if !hole.missed && ahead(ack, hole.end) >= 0 {
                hole.missed = true;
                self.gaps = self.gaps.saturating_add(1);
                self.missed = self.missed.saturating_add(u64::from(hole.end.wrapping_sub(hole.start)));
            }
        }
        self.gaps > before
    }

    /// Bytes from `start` to `end` have come after all. What they fill part of: a hole that only an acknowledgement
    /// told of, or another.
    fn fill(&mut self, start: u32, end: u32) -> Filled {
        let mut filled = Filled::Nothing;
        for slot in &mut self.holes {
            let Some(hole) = slot else { continue };
            let from = if ahead(start, hole.start) > 0 { start } else { hole.start };
            let to = if ahead(end, hole.end) < 0 { end } else { hole.end };
            if ahead(to, from) <= 0 {
                continue;
            }
            filled = filled.max(if hole.foretold { Filled::Foretold } else { Filled::Hole });
            if hole.missed {
                self.missed = self.missed.saturating_sub(u64::from(to.wrapping_sub(from)));
            }
            // what came in the middle leaves only the larger rest: at worst a few missed bytes go uncounted
            let (before, after) = (from.wrapping_sub(hole.start), hole.end.wrapping_sub(to));
            if before == 0 && after == 0 {
                self.gaps = self.gaps.saturating_sub(u32::from(hole.missed));
                *slot = None;
            } else if before >= after {
                hole.end = from;
            } else {
                hole.start = to;
            }
        }
        filled
    }
}

/// The SYN and ACK of a side that has sent a SYN before: it has met the other's (RFC 9293 §3.5, figure 8), and was not
/// lost.
fn is_answered_syn(packet: &Packet, history: &History, second: bool) -> bool {
    packet.has(tcp_flag::SYN) && packet.has(tcp_flag::ACK) && history.has(second, b's')
}

/// The letters of Zeek's history that a segment earns its sender.
#[inline(always)]
fn note(history: &mut History, second: bool, packet: &Packet) {
    let flags = packet.tcp_flags;
    if flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0 {
        note_control(history, second, flags);
    } else if packet.payload_len == 0 && flags & tcp_flag::ACK != 0 {
        history.note(second, b'a');
    }
    if packet.payload_len > 0 {
        history.note(second, b'd');
    }
}

fn note_control(history: &mut History, second: bool, flags: u8) {
    let (syn, fin, rst) = (flags & tcp_flag::SYN != 0, flags & tcp_flag::FIN != 0, flags & tcp_flag::RST != 0);
    if syn && rst {
        history.note(second, b'i');
    } else if syn && fin {
        history.note(second, b'q');
    } else if syn {
        history.note(second, if flags & tcp_flag::ACK != 0 { b'h' } else { b's' });
    } else if rst {
        history.note(second, b'r');
    } else if fin {
        history.note(second, b'f');
    }
}

/// What a segment says its sender has come to.
#[inline(always)]
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
