//! One side of a TCP connection: what it has sent, what of that is acknowledged, and what it takes.

use super::history::Side;
use super::offer::Offer;
use super::rtt::Rtt;
use super::trouble::{Filled, Filling, Log};
use super::wrapping::{Micros, ahead, micros};
use crate::decode::{Packet, tcp_flag};
use crate::time::Timestamp;

/// Below this, in microseconds, a segment that does not advance was overtaken rather than sent again, where the round
/// trip is not known (Wireshark's value); no sender learns of a loss sooner than one round trip after.
const REORDERED: u32 = 3_000;
/// After this many duplicate acknowledgements, within these microseconds, a segment sent again is a fast
/// retransmission.
const FAST: (u8, u32) = (2, 20_000);

/// As many microseconds as a capture may show a segment late whose frames came by several ways, the queues of a card
/// for one, and no more than a sender takes that was not told of a loss (RFC 8985 §7.2 has 10 ms at the least).
const MISPLACED: i32 = 10_000;

/// As much of what a side sends may be acknowledged before its SYN is shown; beyond, they belong to two connections.
pub(super) const SHOWN_BEFORE: i32 = 1 << 20;

/// What is known of one side.
pub(super) mod known {
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
    pub(super) nxt: u32,
    /// Its own initial sequence number; valid with [`known::SYN`].
    pub(super) isn: u32,
    /// The last acknowledgement that it sent.
    pub(super) ack: u32,
    /// The end of the segment whose acknowledgement is being timed.
    pub(super) timed: u32,
    /// When the highest sequence number was seen.
    pub(super) nxt_at: Micros,
    /// When the timed segment was seen.
    pub(super) timed_at: Micros,
    /// When it last repeated an acknowledgement.
    pub(super) dup_ack_at: Micros,
    /// When new payload of it last came; means nothing before there was any.
    pub(super) data_at: Micros,
    /// Payload that it has sent since the other side last sent any.
    pub(super) turn: u32,
    /// The window that it last announced, as it stands on the wire; [`known::SCALED`] tells what it means.
    pub(super) window: u16,
    /// Its maximum segment size option; 0 is none.
    pub(super) mss: u16,
    /// Its window scale option; valid with [`known::SCALE`].
    pub(super) scale: u8,
    pub(super) dup_acks: u8,
    pub(super) known: u8,
    /// What it has been seen to do.
    pub side: Side,
}

impl Half {
    #[inline(always)]
    pub(super) const fn has(&self, what: u8) -> bool {
        self.known & what != 0
    }

    /// Takes its SYN.
    pub(super) fn opens(&mut self, packet: &Packet, options: &[u8]) {
        self.take(Offer::of(options));
        if !self.has(known::SYN) {
            self.isn = packet.seq;
            self.known |= known::SYN;
        }
    }

    pub(super) fn take(&mut self, offer: Offer) {
        self.mss = offer.mss.unwrap_or(self.mss);
        if let Some(scale) = offer.scale {
            self.scale = scale;
            self.known |= known::SCALE;
        }
    }

    /// Accounts for the sequence numbers that a segment takes. False: they were sent before.
    pub(super) fn sequence(&mut self, to: &Half, packet: &Packet, rtt: &Rtt, log: &mut Log, second: bool) -> bool {
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

    /// Whether a segment that fills a hole was not sent late but is shown late: the other side had acknowledged it
    /// before, or did not ask for it, and too little time has passed for its sender to miss it by itself.
    fn is_misplaced(&self, to: &Half, packet: &Packet, filling: Filling) -> bool {
        let opened = filling.opened.or(filling.blurred.then_some(self.nxt_at));
        let Some(opened) = opened.filter(|_| packet.payload_len > 0) else { return false };
        let asked = to.dup_acks > 0 && ahead(to.ack, packet.seq) <= 0;
        let since = micros(packet.ts).wrapping_sub(opened).cast_signed();
        filling.acknowledged || !asked && since < MISPLACED
    }

    /// Whether a SYN is this side's own, which the capture shows behind what followed it.
    pub(super) fn is_own(&self, syn: &Packet) -> bool {
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
    pub(super) const fn is_closed(&self) -> bool {
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
    pub(super) fn acknowledged(&mut self, ack: u32, ts: Timestamp, log: &mut Log, second: bool) -> Option<u32> {
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
            return Some(self.waited(ack, micros(ts)));
        }
        None
    }

    /// How long the acknowledgement at hand took.
    #[inline(always)]
    const fn waited(&self, ack: u32, now: Micros) -> u32 {
        let all = now.wrapping_sub(self.timed_at);
        if ack == self.timed || ack != self.nxt { all } else { self.newest(now, all) }
    }

    /// The same where more was sent behind the timed segment. Where acknowledgements are thinned on the way, or put off, it
    /// may be for what was sent long after.
    #[cold]
    const fn newest(&self, now: Micros, all: u32) -> u32 {
        let newest = now.wrapping_sub(self.nxt_at);
        let since_timed = all.wrapping_sub(newest);
        if newest < since_timed && since_timed <= all { newest } else { all }
    }

    /// Keeps the acknowledgement that this side sent.
    #[inline(always)]
    pub(super) fn acknowledges(&mut self, to: &Half, packet: &Packet) {
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

    /// Whether the window that `packet`, of this side, announces is to be scaled. A scale holds from the handshake on,
    /// if both sides name one (RFC 7323 §2.2).
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
    pub(super) fn announces(&mut self, to: &Half, packet: &Packet, log: &mut Log, second: bool) {
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
