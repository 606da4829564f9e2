//! What goes wrong on a connection: holes, repeats, closed windows, resets.
//!
//! A mirror may miss data that both ends have: holes are kept, and count as missed only once they are acknowledged, and
//! no more when they are filled after all.

use super::history::History;
use super::tcp::ahead;

/// How many holes one direction keeps account of.
const HOLES: usize = 4;

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
pub(super) enum Filled {
    Nothing,
    Hole,
    Foretold,
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
    pub(super) fn known(&mut self, second: bool) -> Option<&mut Trouble> {
        self.trouble.as_mut()?.get_mut(usize::from(second))
    }

    #[cold]
    pub(super) fn note_trouble(&mut self, second: bool, note: impl FnOnce(&mut Trouble)) {
        let [first, other] = &mut **self.trouble.get_or_insert_default();
        note(if second { other } else { first });
    }
}

impl Trouble {
    pub(super) fn open(&mut self, start: u32, end: u32, foretold: bool) {
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
    pub(super) fn acknowledge(&mut self, ack: u32) -> bool {
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
    pub(super) fn fill(&mut self, start: u32, end: u32) -> Filled {
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
