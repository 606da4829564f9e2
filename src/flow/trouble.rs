//! What goes wrong on a connection: holes, repeats, closed windows, resets.
//!
//! A mirror may miss data that both ends have: holes are kept, and count as missed only once they are acknowledged, and
//! no more when they are filled after all.

use smallvec::SmallVec;

use super::history::{self, Beyond, History};
use super::wrapping::{Micros, ahead, micros};
use crate::decode::{Packet, tcp_flag};
use crate::short::Short;
use crate::time::Timestamp;

/// How many holes one direction keeps account of: as many as there are at once where a mirror shows frames some
/// milliseconds out of order.
const HOLES: usize = 64;

/// A hole grows no larger: places within it must be told apart from places before it.
const HOLE_MOST: u32 = 1 << 30;

/// Bytes that were not captured.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u32,
    end: u32,
    /// The other side has acknowledged them, so they did exist.
    missed: bool,
    /// Only that acknowledgement told of them: no later byte of the same side was seen before.
    foretold: bool,
    /// When it showed.
    opened: Micros,
}

/// What went wrong with the data of one side.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Retransmitted segments, as Wireshark tells them.
    pub retransmissions: u32,
    /// Those of them that were not sent again, which the capture shows later than they passed, or that hold no data.
    pub misplaced: u32,
    /// Segments that overtook others, as Wireshark tells them: by their time alone.
    pub out_of_order: u32,
    /// Those of them that had been seen before, so they were sent again, and soon.
    pub resent: u32,
    /// Zero windows that it announced.
    pub zero_windows: u32,
    /// Segments that filled the other's window.
    pub window_full: u32,
    /// Holes in its data.
    pub gaps: u32,
    /// Bytes in them.
    pub missed: u64,
    /// The oldest first.
    holes: SmallVec<[Hole; 8]>,
    /// A hole may be there that is not acknowledged.
    waits: bool,
    /// An account of a hole was given up, in part or whole: what fills it looks like something sent again.
    blurred: bool,
    /// Where it stood still, once it did.
    pub standstill: Option<Box<Standstill>>,
}

/// Where one side stood still: it repeated data without end, or kept its window closed.
#[derive(Clone, Debug, Default)]
pub struct Standstill {
    /// The segment that it repeated most often.
    pub repeated: Repeated,
    repeating: Repeated,
    /// When it first repeated data.
    pub first_repeat: Timestamp,
    /// When it last repeated data.
    pub last_repeat: Timestamp,
    /// The longest time that it kept its window closed.
    pub closed: Closed,
    closing: Option<Closed>,
}

/// Data sent again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Its sequence number.
    pub seq: u32,
    /// Its payload, in bytes.
    pub len: u32,
    /// How often it was repeated.
    pub times: u16,
    /// The first repeat.
    pub first: Timestamp,
    /// The first repeat's frame.
    pub frame: u64,
}

/// A window of zero, from the first segment that announced it to the next with room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// When it was announced.
    pub since: Timestamp,
    /// In which frame.
    pub frame: u64,
    /// For how long it held, in nanoseconds; up to the last segment that confirmed it, where none opened it again.
    pub nanos: u64,
}

impl Standstill {
    fn repeat(&mut self, packet: &Packet) {
        if self.last_repeat == Timestamp::default() {
            self.first_repeat = packet.ts;
        }
        self.last_repeat = packet.ts;
        let same = self.repeating.times > 0 && self.repeating.seq == packet.seq;
        if same {
            self.repeating.times = self.repeating.times.saturating_add(1);
        } else {
            let (seq, len) = (packet.seq, packet.payload_len);
            self.repeating = Repeated { seq, len, times: 1, first: packet.ts, frame: packet.frame };
        }
        if self.repeating.times > self.repeated.times {
            self.repeated = self.repeating;
        }
    }

    fn close(&mut self, packet: &Packet) {
        let open = Closed { since: packet.ts, frame: packet.frame, nanos: 0 };
        let closing = self.closing.get_or_insert(open);
        closing.nanos = packet.ts.since(closing.since);
        if closing.nanos >= self.closed.nanos {
            self.closed = *closing;
        }
    }

    fn open(&mut self, packet: &Packet) {
        let Some(mut closing) = self.closing.take() else { return };
        closing.nanos = packet.ts.since(closing.since);
        if closing.nanos >= self.closed.nanos {
            self.closed = closing;
        }
    }
}

/// The first RST of a connection that had been established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// When it came.
    pub ts: Timestamp,
    /// In which frame.
    pub frame: u64,
    /// Its time to live: another than its side's other packets have, where somebody in between sent it.
    pub ttl: u8,
    /// Side 1 is its sender, by its addresses.
    pub second: bool,
}

/// What late bytes were found to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filled {
    Nothing,
    Hole,
    Foretold,
}

/// Late bytes, and what they fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    pub filled: Filled,
    /// When the hole showed.
    pub opened: Option<Micros>,
    /// The other side had acknowledged what it lacked.
    pub acknowledged: bool,
    /// It fills nothing that is known, but not all holes are.
    pub blurred: bool,
}

/// What happened on a connection, and what went wrong.
#[derive(Clone, Debug, Default)]
pub struct Log {
    history: History,
    /// Who sent the first FIN: 0, 1.
    pub fin_by: Option<u8>,
    /// Who sent the first RST: 0, 1.
    pub rst_by: Option<u8>,
    incidents: Option<Box<Incidents>>,
}

/// What happens on few connections.
#[derive(Clone, Debug, Default)]
struct Incidents {
    /// What went wrong with each side's data, once something has.
    trouble: Option<Box<[Trouble; 2]>>,
    /// The first RST, if the connection had been established.
    reset: Option<Reset>,
    /// Letters of its history that this has no room for.
    beyond: Beyond,
}

impl Log {
    /// Bytes of memory held beside its own.
    pub fn held(&self) -> usize {
        let Some(incidents) = &self.incidents else { return 0 };
        let still = |trouble: &Trouble| if trouble.standstill.is_some() { size_of::<Standstill>() } else { 0 };
        let holes = |trouble: &Trouble| {
            if trouble.holes.spilled() { trouble.holes.capacity().saturating_mul(size_of::<Hole>()) } else { 0 }
        };
        let beside = |trouble: &Trouble| still(trouble).saturating_add(holes(trouble));
        let of_both = |both: &[Trouble; 2]| both.iter().map(beside).sum::<usize>().saturating_add(size_of_val(both));
        size_of::<Incidents>().saturating_add(incidents.trouble.as_deref().map_or(0, of_both))
    }

    /// Notes that side 1 (`second`) or 0 did what `letter` of [`History`] (lower case) stands for; only the first time
    /// counts.
    #[inline(always)]
    pub fn note(&mut self, second: bool, letter: u8) {
        if !self.history.has(second, letter) {
            self.add(second, letter);
        }
    }

    #[cold]
    fn add(&mut self, second: bool, letter: u8) {
        let Log { history, incidents, .. } = self;
        history.add(second, letter, || &mut incidents.get_or_insert_default().beyond);
    }

    /// Notes what a segment of side 1 (`second`) or 0 does.
    #[inline(always)]
    pub(super) fn segment(&mut self, second: bool, packet: &Packet) {
        let [of_flags, of_payload] = history::letters(packet);
        if let Some(letter) = of_flags {
            self.note(second, letter);
        }
        if let Some(letter) = of_payload {
            self.note(second, letter);
        }
    }

    /// Whether side 1 (`second`) or 0 did what `letter` (lower case) stands for.
    pub(super) const fn has(&self, second: bool, letter: u8) -> bool {
        self.history.has(second, letter)
    }

    /// What happened, in letters, as [`History::text`] has them.
    pub fn letters(&self, flipped: bool, guessed: bool) -> Short {
        let beyond = self.incidents.as_ref().map_or(Beyond::default(), |incidents| incidents.beyond);
        self.history.text(&beyond, flipped, guessed)
    }

    /// What went wrong with the data of either side, if anything did.
    #[inline(always)]
    pub fn troubles(&self) -> Option<&[Trouble; 2]> {
        self.incidents.as_ref()?.trouble.as_deref()
    }

    /// The first RST, if the connection had been established.
    pub fn reset(&self) -> Option<&Reset> {
        self.incidents.as_ref()?.reset.as_ref()
    }

    #[inline(always)]
    pub(super) fn known(&mut self, second: bool) -> Option<&mut Trouble> {
        self.incidents.as_mut()?.trouble.as_mut()?.get_mut(usize::from(second))
    }

    /// Keeps the first RST.
    #[cold]
    pub(super) fn note_reset(&mut self, second: bool, packet: &Packet) {
        let Packet { ts, frame, ttl, .. } = *packet;
        self.incidents.get_or_insert_default().reset.get_or_insert(Reset { ts, frame, ttl, second });
    }

    #[cold]
    pub(super) fn note_trouble(&mut self, second: bool, note: impl FnOnce(&mut Trouble)) {
        let [first, other] = &mut **self.incidents.get_or_insert_default().trouble.get_or_insert_default();
        note(if second { other } else { first });
    }
}

impl Filling {
    pub(super) const NOTHING: Filling =
        Filling { filled: Filled::Nothing, opened: None, acknowledged: false, blurred: false };
}

impl Trouble {
    /// Data was sent again; `misplaced`: it only looks so.
    pub(super) fn repeats(&mut self, packet: &Packet, misplaced: bool) {
        self.retransmissions = self.retransmissions.saturating_add(1);
        // who says goodbye again to a box that is gone has lost no data
        let goodbye = packet.payload_len == 0 && packet.has(tcp_flag::FIN);
        self.misplaced = self.misplaced.saturating_add(u32::from(misplaced || goodbye));
        if packet.payload_len > 0 && !misplaced {
            self.standstill.get_or_insert_default().repeat(packet);
        }
    }

    /// A segment came late. `seen`: with data that had been there.
    pub(super) fn comes_late(&mut self, packet: &Packet, seen: bool) {
        self.out_of_order = self.out_of_order.saturating_add(1);
        if seen && packet.payload_len > 0 && !self.blurred {
            self.resent = self.resent.saturating_add(1);
            self.standstill.get_or_insert_default().repeat(packet);
        }
    }

    /// Its side takes nothing more for now.
    pub(super) fn closes(&mut self, packet: &Packet) {
        self.zero_windows = self.zero_windows.saturating_add(1);
        self.standstill.get_or_insert_default().close(packet);
    }

    /// Its side has room.
    pub(super) fn reopens(&mut self, packet: &Packet) {
        if let Some(standstill) = &mut self.standstill {
            standstill.open(packet);
        }
    }

    /// Bytes from `start` to `end` are not there (yet), as shows at `now`. `foretold`: the other side has acknowledged
    /// up to `end`.
    pub(super) fn open(&mut self, start: u32, end: u32, foretold: bool, now: Timestamp) {
        // where a mirror shows one direction later than the other, acknowledgement follows acknowledgement before the
        // data comes: that is one hole, which grows at its end and is filled from its beginning
        let grows = |hole: &&mut Hole| {
            foretold && hole.foretold && hole.missed && hole.end == start && end.wrapping_sub(hole.start) < HOLE_MOST
        };
        if let Some(hole) = self.holes.iter_mut().find(grows) {
            hole.end = end;
            self.missed = self.missed.saturating_add(u64::from(end.wrapping_sub(start)));
            return;
        }
        self.keep(Hole { start, end, missed: false, foretold, opened: micros(now) });
    }

    fn keep(&mut self, hole: Hole) {
        self.waits |= !hole.missed;
        // with every place taken the oldest account is closed as it stands
        if self.holes.len() >= HOLES {
            self.blurred = true;
            self.holes.remove(0);
        }
        self.holes.push(hole);
    }

    /// Holes below `ack` did exist: they count as missed. True if there are such.
    pub(super) fn acknowledge(&mut self, ack: u32) -> bool {
        if !self.waits {
            return false;
        }
        let before = self.gaps;
        for hole in &mut self.holes {
            if !hole.missed && ahead(ack, hole.end) >= 0 {
                hole.missed = true;
                self.gaps = self.gaps.saturating_add(1);
                self.missed = self.missed.saturating_add(u64::from(hole.end.wrapping_sub(hole.start)));
            }
        }
        self.waits = self.holes.iter().any(|hole| !hole.missed);
        self.gaps > before
    }

    /// Bytes from `start` to `end` have come after all. What they fill part of: a hole that only an acknowledgement
    /// told of, or another.
    pub(super) fn fill(&mut self, start: u32, end: u32) -> Filling {
        let mut filling = Filling::NOTHING;
        let mut rest = None;
        let Trouble { holes, missed, gaps, .. } = self;
        holes.retain(|hole| {
            let from = if ahead(start, hole.start) > 0 { start } else { hole.start };
            let to = if ahead(end, hole.end) < 0 { end } else { hole.end };
            if ahead(to, from) <= 0 {
                return true;
            }
            filling.filled = filling.filled.max(if hole.foretold { Filled::Foretold } else { Filled::Hole });
            filling.opened.get_or_insert(hole.opened);
            filling.acknowledged |= hole.missed;
            if hole.missed {
                *missed = missed.saturating_sub(u64::from(to.wrapping_sub(from)));
            }
            let (before, after) = (from.wrapping_sub(hole.start), hole.end.wrapping_sub(to));
            match (before, after) {
                (0, 0) => {
                    *gaps = gaps.saturating_sub(u32::from(hole.missed));
                    return false;
                }
                (0, _) => hole.start = to,
                (_, 0) => hole.end = from,
                _ => {
                    rest = Some(Hole { start: to, ..*hole });
                    hole.end = from;
                }
            }
            true
        });
        if let Some(rest) = rest {
            // what came in the middle leaves two
            self.gaps = self.gaps.saturating_add(u32::from(rest.missed));
            self.keep(rest);
        }
        filling.blurred = self.blurred && filling.filled == Filled::Nothing;
        filling
    }
}
