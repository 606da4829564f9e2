//! TCP as a mirror shows it: who has sent and acknowledged what, and what went wrong on the way.
//!
//! Words are Wireshark's (its `tcp.analysis`) with its meaning; states and history are Zeek's. A mirror port may
//! show an acknowledgement before the data, and may miss data that both ends have: holes are kept, and count as missed
//! only once they are acknowledged, and no more when they are filled after all.

use super::course::{Burst, Course, PAUSE, Spoke};
use super::half::{Half, SHOWN_BEFORE, known};
use super::history::{Side, conn_state};
use super::offer::Offer;
use super::rates::{Rates, Thresholds, WINDOW};
use super::rtt::Rtt;
use super::trouble::Log;
use super::wrapping::{ahead, micros};
use crate::decode::{Packet, tcp_flag};
use crate::time::{SECOND, Timestamp};

/// After this much silence, in nanoseconds, moments from before it may not be told from later ones.
pub const TIMED_MOST: u64 = 2_000 * SECOND;

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

    /// Takes a segment of side 1 (`second`) or 0, decoded from `bytes`. True: it sends nothing again.
    #[inline]
    pub fn segment(&mut self, second: bool, packet: &Packet, bytes: &[u8]) -> bool {
        let [first, other] = &mut self.half;
        let (from, to) = if second { (other, first) } else { (first, other) };
        if is_plain(packet) && !matches!(from.side, Side::Inactive | Side::SynSent) {
            self.log.note(second, plain_letter(packet));
        } else {
            turn(from, to, &mut self.log, second, packet, packet.options(bytes));
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

    /// Takes new payload of side `sender` into the course of a flow that began as `begun` says, which is asked only
    /// until there is a course.
    #[inline(always)]
    pub fn data(&mut self, sender: usize, packet: &Packet, begun: impl FnOnce() -> Begun, by: &Thresholds) {
        if self.course.is_none() {
            let begun = begun();
            if self.has_course(packet.ts, begun) {
                self.begin_course(begun);
            }
        }
        let [first, other] = &mut self.half;
        let (from, to) = if sender == 0 { (first, other) } else { (other, first) };
        if let Some(course) = &mut self.course {
            course.rates.add(sender, packet.payload_len, packet.ts, by);
            course.add(sender, packet.ts, packet.frame, u64::from(packet.payload_len));
            if from.turn == 0 {
                course.turn(sender, packet.ts, packet.frame, to.turn);
            }
        }
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

    /// What a side said last; `begun.payload` being all there was.
    pub fn spoke(&self, side: usize, begun: Begun) -> Option<Spoke> {
        let spoke = match &self.course {
            Some(course) => course.spoke.get(side).copied().flatten(),
            None => self.early(side, begun).map(|burst| Spoke { ts: burst.end, ..Spoke::default() }),
        }?;
        let turn = self.half.get(side).map_or(0, |half| half.turn);
        Some(if turn > 0 { Spoke { bytes: turn, ..spoke } } else { spoke })
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

    /// Up to where the other side has acknowledged what a side sends.
    pub fn acknowledged(&self, second: bool) -> Option<u32> {
        let [a, b] = &self.half;
        let receiver = if second { a } else { b };
        receiver.has(known::ACK).then_some(receiver.ack)
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
                // which a mirror may show before it
                let refused =
                    matches!(to.side, Side::Reset) && to.has(known::ACK) && to.ack == packet.seq.wrapping_add(1);
                matches!(to.side, Side::Partial | Side::Closed | Side::Reset)
                    && !packet.has(tcp_flag::ACK)
                    && !to.has(known::SYN)
                    && !refused
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

    /// Whether a side shows by what it does that the other has spoken: it acknowledges, or goes on behind its SYN. A
    /// RST alone shows nothing, whoever gets it.
    pub fn shows_an_answer(&self) -> bool {
        self.half.iter().any(|half| match half.side {
            Side::Inactive | Side::Reset => false,
            Side::SynSent => half.has(known::ACK),
            _ => true,
        })
    }

    /// Whether any SYN was seen.
    #[cfg(test)]
    pub fn saw_syn(&self) -> bool {
        self.half.iter().any(|h| h.has(known::SYN))
    }
}

/// Whether a segment only goes on with what is under way.
#[inline(always)]
const fn is_plain(packet: &Packet) -> bool {
    const TURNS: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
    packet.tcp_flags & (TURNS | tcp_flag::ACK) == tcp_flag::ACK
}

/// What [`super::history::letters`] has of a plain segment.
#[inline(always)]
const fn plain_letter(packet: &Packet) -> u8 {
    if packet.payload_len > 0 { b'd' } else { b'a' }
}

/// Takes a segment with which a side may come to something new. Of a plain one, of a side that has begun, it comes to
/// nothing but a letter (a test goes through all of them).
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
