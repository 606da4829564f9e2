//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each with its length in front and behind.
//!
//! Read: section headers (§4.1), interface descriptions (§4.2, of their options `if_tsresol` and `if_tsoffset`), simple
//! and enhanced packets (§4.4, §4.3; of their options the comments of [`Shed`]), interface statistics (§4.6,
//! `isb_endtime`, `isb_ifdrop` and `isb_osdrop`) and the obsolete packet block (appendix A). All other blocks are
//! passed over, whatever their length.
//!
//! Limits: [`MAX_INTERFACES`] a section, [`MAX_RECORD`] a packet block. A block whose two lengths differ is taken by
//! the first (blocks of no interest that do not lie in one chunk are not compared); a length that is no multiple of
//! four is rounded up, as some writers left the padding out of it. Refused: a section without a byte order or of a
//! major version other than 1.

use super::pcap::{Order, Stop, Walked, max_frame};
use super::{Damage, Facts, FrameRef, LinkType, MAX_RECORD, Shed, add_drops};
use crate::time::{SECOND, Timestamp};

/// The most interfaces that are kept of one section.
const MAX_INTERFACES: usize = 65_536;

/// How many oddities of a file are told one by one; of the rest, how many there were.
const MAX_NOTES: u64 = 4;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
/// The code of a comment among options (§3.5).
const COMMENT: u16 = 1;
/// What wrote a section (§4.1, shb_userappl).
const APPLICATION: u16 = 4;
/// Where the options of a section's header begin in its block.
const SECTION_OPTIONS: usize = 24;
/// Headers of sections are read whole up to so many bytes; what one says beyond is passed over.
const SECTION_READ: u32 = 64 << 10;

/// The magic that every pcapng file begins with, as bytes.
pub(super) const MAGIC: [u8; 4] = SECTION.to_be_bytes();

/// How an interface's ticks become nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticks {
    /// Nanoseconds in a tick.
    Times(u64),
    /// Ticks in a nanosecond; 0 where they are too many to count.
    Per(u64),
    /// Ticks are seconds shifted left by this many bits.
    Binary(u32),
}

impl Ticks {
    /// From the value of `if_tsresol`: the exponent of ten, or of two where the top bit is set, negated.
    fn from_option(value: u8) -> Ticks {
        let exponent = u32::from(value & 0x7f);
        match exponent {
            _ if value & 0x80 != 0 => Ticks::Binary(exponent),
            0..=9 => Ticks::Times(10u64.pow(9u32.saturating_sub(exponent))),
            _ => Ticks::Per(10u64.checked_pow(exponent.saturating_sub(9)).unwrap_or(0)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    ticks: Ticks,
    /// Seconds to add to every timestamp.
    offset: i64,
    frames: u64,
    /// The last counts that its statistics gave.
    interface_drops: Option<u64>,
    kernel_drops: Option<u64>,
    /// When its capture ended.
    end: Option<Timestamp>,
}

/// The ticks of a time in an option: its upper half first.
fn end_time(order: Order, value: &[u8]) -> Option<u64> {
    let &[a, b, c, d, e, f, g, h] = value.first_chunk::<8>()?;
    Some(u64::from(order.u32([a, b, c, d])) << 32 | u64::from(order.u32([e, f, g, h])))
}

impl Interface {
    #[inline]
    fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.ticks {
            Ticks::Times(nanos) => ticks.saturating_mul(nanos),
            Ticks::Per(ticks_each) => ticks.checked_div(ticks_each).unwrap_or(0),
            Ticks::Binary(bits) => {
                let scaled = u128::from(ticks).wrapping_mul(u128::from(SECOND)).checked_shr(bits).unwrap_or(0);
                u64::try_from(scaled).unwrap_or(u64::MAX)
            }
        };
        if self.offset == 0 {
            return Timestamp(nanos);
        }
        let shift = i128::from(self.offset).saturating_mul(i128::from(SECOND));
        let moved = i128::from(nanos).saturating_add(shift).max(0);
        Timestamp(u64::try_from(moved).unwrap_or(u64::MAX))
    }
}

/// The fields of one block, in its section's byte order.
#[derive(Clone, Copy)]
struct Fields<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    #[inline(always)]
    fn u16(&mut self) -> Option<u16> {
        self.array().map(|b| self.order.u16(b))
    }

    #[inline(always)]
    fn u32(&mut self) -> Option<u32> {
        self.array().map(|b| self.order.u32(b))
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// Shows each option's code and value, up to the end of options or the first that does not fit.
    fn options(mut self, mut see: impl FnMut(u16, &'a [u8])) {
        while let (Some(code @ 1..), Some(length)) = (self.u16(), self.u16()) {
            let Some(value) = self.take(usize::from(length)) else { return };
            see(code, value);
            let padding = usize::from(length).wrapping_neg() & 3;
            if self.take(padding).is_none() {
                return;
            }
        }
    }
}

/// The state of reading one pcapng file.
#[derive(Clone, Debug)]
pub(super) struct Sections {
    order: Order,
    interfaces: Vec<Interface>,
    last: Timestamp,
    lost_between: Option<u64>,
    notes: Vec<(u64, Damage)>,
    noted: u64,
    bare: bool,
    /// What the analysis that wrote the frames at hand passed over.
    shed: Shed,
    /// An analysis wrote the section at hand, and may say what it passed over.
    ours: bool,
    /// How many sections and interfaces there were.
    changes: u64,
}

/// What a packet block says of its frame.
struct Packet {
    interface: u32,
    /// None: the block has no time.
    ticks: Option<u64>,
    caplen: u32,
    len: u32,
    /// Bytes of the block in front of the frame.
    header: usize,
}

impl Packet {
    /// Where the frame ends in the body of its block, padding and all.
    #[inline(always)]
    const fn end(&self) -> usize {
        (self.header.saturating_sub(8)).saturating_add(self.caplen as usize).saturating_add(3) & !3
    }
}

impl Sections {
    pub(super) fn new() -> Self {
        Sections {
            order: Order::Little,
            interfaces: Vec::new(),
            last: Timestamp(0),
            lost_between: None,
            notes: Vec::new(),
            noted: 0,
            bare: true,
            shed: Shed::Nothing,
            ours: false,
            changes: 0,
        }
    }

    /// The oddities that did not stop the last walk, each with its offset in the bytes walked.
    pub(super) fn take_notes(&mut self) -> std::vec::Drain<'_, (u64, Damage)> {
        self.notes.drain(..)
    }

    /// Whether no interface was described yet.
    pub(super) const fn is_bare(&self) -> bool {
        self.bare
    }

    /// What the analysis that wrote the frames of the last walk passed over.
    pub(super) const fn shed(&self) -> Shed {
        self.shed
    }

    /// How often what blocks are read by has changed.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// How many oddities were not told one by one.
    pub(super) fn notes_left_out(&self) -> u64 {
        self.noted.saturating_sub(MAX_NOTES)
    }

    /// Moves what was counted of frames and drops into `facts`; drops only at a section's end, as they are totals.
    pub(super) fn settle(&mut self, facts: &mut Facts, section_ended: bool) {
        add_drops(&mut facts.interface_drops, self.lost_between.take());
        for interface in &mut self.interfaces {
            facts.add_frames(interface.link, std::mem::take(&mut interface.frames));
            facts.end = facts.end.max(interface.end);
            if section_ended {
                add_drops(&mut facts.interface_drops, interface.interface_drops.take());
                add_drops(&mut facts.kernel_drops, interface.kernel_drops.take());
            }
        }
    }

    /// Indexes the whole packet blocks of `bytes`, which begins with a block.
    pub(super) fn walk(&mut self, bytes: &[u8], frames: &mut Vec<FrameRef>, facts: &mut Facts) -> Walked {
        let mut at = 0usize;
        loop {
            at = match self.order {
                Order::Little => self.plain::<false>(bytes, at, frames),
                Order::Big => self.plain::<true>(bytes, at, frames),
            };
            let rest = bytes.get(at..).unwrap_or_default();
            match self.block(rest, at, frames, facts) {
                Ok(length) if length <= rest.len() as u64 => at = at.saturating_add(length as usize),
                Ok(length) => return Walked { used: at, stop: Stop::Skip(length) },
                Err(stop) => return Walked { used: at, stop },
            }
        }
    }

    /// Indexes enhanced packets from `at` on for as long as nothing is odd about them, as most of most files are; says
    /// where that ends. What else may be there is for [`Sections::block`] to judge, which says the same of these. Made
    /// twice, so that the loop need not ask for the byte order.
    fn plain<const BIG: bool>(&mut self, bytes: &[u8], mut at: usize, frames: &mut Vec<FrameRef>) -> usize {
        let word = |b: [u8; 4]| if BIG { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
        let mut rest = bytes.get(at..).unwrap_or_default();
        while let Some((head, _)) = rest.as_chunks::<4>().0.split_first_chunk::<7>() {
            let [kind, length, interface, high, low, caplen, len] = head.map(word);
            let Some(interface) = self.interfaces.get_mut(interface as usize) else { break };
            let Ticks::Times(nanos) = interface.ticks else { break };
            // the frame, what fills up its last word, and 32 bytes around it
            let least = caplen.checked_next_multiple_of(4).unwrap_or(u32::MAX).saturating_add(32);
            let fits = least == length || least < length && length.is_multiple_of(4) && !self.ours;
            let odd = kind != ENHANCED_PACKET || !fits || caplen > max_frame(interface.link) || interface.offset != 0;
            let Some((block, behind)) = rest.split_at_checked(length as usize).filter(|_| !odd) else { break };
            if block.last_chunk().is_none_or(|trailer| word(*trailer) != length) || length as usize > MAX_RECORD {
                break;
            }
            interface.frames = interface.frames.wrapping_add(1);
            let ticks = u64::from(high) << 32 | u64::from(low);
            self.last = Timestamp(ticks.saturating_mul(nanos));
            let (start, link) = (at.saturating_add(28) as u32, interface.link);
            frames.push(FrameRef { ts: self.last, start, caplen, len: len.max(caplen), link });
            (at, rest) = (at.saturating_add(length as usize), behind);
        }
        at
    }

    /// Deals with the block at the begin of `bytes` and gives its length.
    #[inline]
    fn block(&mut self, bytes: &[u8], at: usize, frames: &mut Vec<FrameRef>, facts: &mut Facts) -> Result<u64, Stop> {
        let Some(&[t0, t1, t2, t3, l0, l1, l2, l3]) = bytes.first_chunk::<8>() else { return Err(Stop::NeedHeader) };
        let kind = self.order.u32([t0, t1, t2, t3]);
        if kind == SECTION {
            // A palindrome: it reads so in either order, and the section's own order is only known behind it.
            self.section(bytes, facts)?;
        }
        let claimed = self.order.u32([l0, l1, l2, l3]);
        let least = least_length(kind);
        if claimed < least {
            return Err(Stop::Bad(Damage::ShortBlock { kind, length: claimed }));
        }
        let length = u64::from(claimed).next_multiple_of(4);
        let whole = usize::try_from(length).ok().and_then(|n| bytes.get(..n));
        if let Some(&trailer) = whole.and_then(|block| block.last_chunk::<4>()) {
            let trail = self.order.u32(trailer);
            if trail != claimed {
                self.note(at, Damage::TrailerLength { head: claimed, trail });
            }
        }
        if !matches!(kind, INTERFACE | OLD_PACKET | SIMPLE_PACKET | STATISTICS | ENHANCED_PACKET) {
            return Ok(length);
        }
        if length > MAX_RECORD as u64 {
            return Err(Stop::Bad(Damage::TooLong { length, limit: MAX_RECORD as u64 }));
        }
        let Some(block) = whole else { return Err(Stop::Need(length)) };
        let body = block.get(8..block.len().saturating_sub(4)).unwrap_or_default();
        let fields = Fields { order: self.order, rest: body };
        let short = || Stop::Bad(Damage::ShortBlock { kind, length: claimed });
        match kind {
            INTERFACE => self.interface(fields, at, facts).ok_or_else(short)?,
            STATISTICS => self.statistics(fields).ok_or_else(short)?,
            _ => {
                let packet = self.packet(kind, fields).ok_or_else(short)?;
                // options are rare
                if self.ours && kind == ENHANCED_PACKET && body.len() > packet.end() {
                    self.remark(Fields { order: self.order, rest: body }, packet.end(), frames)?;
                }
                self.push(packet, body.len(), at, frames)?;
            }
        }
        Ok(length)
    }

    /// Looks at the options of a packet block, which begin at `at`: frames of before end the walk where more, or less,
    /// was inspected from this one on.
    #[cold]
    fn remark(&mut self, mut fields: Fields<'_>, at: usize, frames: &[FrameRef]) -> Result<(), Stop> {
        if fields.take(at).is_none() {
            return Ok(());
        }
        let mut shed = self.shed;
        fields.options(|code, value| {
            if code == COMMENT {
                shed = Shed::of_remark(value).unwrap_or(shed);
            }
        });
        if shed != self.shed && !frames.is_empty() {
            return Err(Stop::Turn);
        }
        self.shed = shed;
        Ok(())
    }

    #[cold]
    fn section(&mut self, bytes: &[u8], facts: &mut Facts) -> Result<(), Stop> {
        let Some(&[_, _, _, _, l0, l1, l2, l3, o0, o1, o2, o3, a0, a1, b0, b1]) = bytes.first_chunk::<16>() else {
            return Err(if bytes.len() < 8 { Stop::NeedHeader } else { Stop::Need(28) });
        };
        let order = match u32::from_be_bytes([o0, o1, o2, o3]) {
            0x1a2b_3c4d => Order::Big,
            0x4d3c_2b1a => Order::Little,
            _ => return Err(Stop::Bad(Damage::ByteOrder)),
        };
        let (major, minor) = (order.u16([a0, a1]), order.u16([b0, b1]));
        if major != 1 {
            return Err(Stop::Bad(Damage::SectionVersion { major, minor }));
        }
        let length = u64::from(order.u32([l0, l1, l2, l3])).next_multiple_of(4);
        if length <= u64::from(SECTION_READ) && (bytes.len() as u64) < length {
            return Err(Stop::Need(length));
        }
        let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
        let options = bytes.get(SECTION_OPTIONS..end).unwrap_or_default();
        self.ours = false;
        Fields { order, rest: options }
            .options(|code, value| self.ours |= code == APPLICATION && Shed::is_told_by(value));
        self.settle(facts, true);
        self.changes = self.changes.saturating_add(1);
        self.interfaces.clear();
        self.shed = Shed::Nothing;
        self.order = order;
        Ok(())
    }

    #[cold]
    fn interface(&mut self, mut fields: Fields<'_>, at: usize, facts: &mut Facts) -> Option<()> {
        let (link, _, snaplen) = (fields.u16()?, fields.u16()?, fields.u32()?);
        if self.interfaces.len() >= MAX_INTERFACES {
            self.note(at, Damage::Interfaces { limit: MAX_INTERFACES });
            return Some(());
        }
        let (mut ticks, mut offset) = (Ticks::Times(1_000), 0);
        let order = fields.order;
        fields.options(|code, value| match (code, value) {
            (9, &[resolution, ..]) => ticks = Ticks::from_option(resolution),
            (14, _) => offset = value.first_chunk::<8>().map_or(offset, |b| order.u64(*b) as i64),
            _ => {}
        });
        facts.add_snaplen(snaplen);
        self.bare = false;
        let link = LinkType(link);
        let (frames, interface_drops, kernel_drops, end) = (0, None, None, None);
        self.changes = self.changes.saturating_add(1);
        self.interfaces.push(Interface { link, snaplen, ticks, offset, frames, interface_drops, kernel_drops, end });
        Some(())
    }

    #[cold]
    fn statistics(&mut self, mut fields: Fields<'_>) -> Option<()> {
        let interface = fields.u32()?;
        fields.take(8)?;
        let order = fields.order;
        let Some(interface) = self.interfaces.get_mut(interface as usize) else { return Some(()) };
        fields.options(|code, value| {
            let count = value.first_chunk::<8>().map(|b| order.u64(*b));
            match code {
                3 => interface.end = end_time(order, value).map(|ticks| interface.time(ticks)).or(interface.end),
                5 => interface.interface_drops = count.or(interface.interface_drops),
                7 => interface.kernel_drops = count.or(interface.kernel_drops),
                _ => {}
            }
        });
        Some(())
    }

    #[inline(always)]
    fn packet(&mut self, kind: u32, mut fields: Fields<'_>) -> Option<Packet> {
        let clock = |high: u32, low: u32| Some((u64::from(high) << 32) | u64::from(low));
        if kind == ENHANCED_PACKET {
            let interface = fields.u32()?;
            let ticks = clock(fields.u32()?, fields.u32()?);
            return Some(Packet { interface, ticks, caplen: fields.u32()?, len: fields.u32()?, header: 28 });
        }
        if kind == SIMPLE_PACKET {
            let len = fields.u32()?;
            let snaplen = self.interfaces.first().map_or(0, |interface| interface.snaplen);
            let limit = if snaplen == 0 { u32::MAX } else { snaplen };
            let caplen = len.min(limit).min(u32::try_from(fields.rest.len()).ok()?);
            return Some(Packet { interface: 0, ticks: None, caplen, len, header: 12 });
        }
        let (interface, lost) = (u32::from(fields.u16()?), fields.u16()?);
        if lost != u16::MAX {
            add_drops(&mut self.lost_between, Some(u64::from(lost)));
        }
        let ticks = clock(fields.u32()?, fields.u32()?);
        Some(Packet { interface, ticks, caplen: fields.u32()?, len: fields.u32()?, header: 28 })
    }

    /// Indexes `packet`, of a block at `at` with `body` bytes between its lengths.
    #[inline(always)]
    fn push(&mut self, packet: Packet, body: usize, at: usize, frames: &mut Vec<FrameRef>) -> Result<(), Stop> {
        let Some(interface) = self.interfaces.get_mut(packet.interface as usize) else {
            self.note(at, Damage::NoInterface { interface: packet.interface });
            return Ok(());
        };
        let (length, limit) = (u64::from(packet.caplen), u64::from(max_frame(interface.link)));
        let room = body.saturating_sub(packet.header.saturating_sub(8)) as u64;
        if length > room {
            return Err(Stop::Bad(Damage::NoRoom { length, room }));
        }
        if length > limit {
            return Err(Stop::Bad(Damage::TooLong { length, limit }));
        }
        let ts = packet.ticks.map_or(self.last, |ticks| interface.time(ticks));
        interface.frames = interface.frames.wrapping_add(1);
        frames.push(FrameRef {
            ts,
            start: at.saturating_add(packet.header) as u32,
            caplen: packet.caplen,
            len: packet.len.max(packet.caplen),
            link: interface.link,
        });
        self.last = ts;
        Ok(())
    }

    #[cold]
    fn note(&mut self, at: usize, what: Damage) {
        self.noted = self.noted.saturating_add(1);
        if self.noted <= MAX_NOTES {
            self.notes.push((at as u64, what));
        }
    }
}

/// The fewest bytes that a block of this type can have, lengths and all.
fn least_length(kind: u32) -> u32 {
    match kind {
        SECTION => 28,
        INTERFACE => 20,
        SIMPLE_PACKET => 16,
        STATISTICS => 24,
        OLD_PACKET | ENHANCED_PACKET => 32,
        _ => 12,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block whose every field is right more often than not: type, length on both sides, words, bytes.
    fn block(kind: u32, off: [i8; 2], words: &[u32], bytes: &[u8]) -> Vec<u8> {
        let body = [&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>(), bytes].concat();
        let length = body.len().next_multiple_of(4) as u32 + 12;
        let [head, trail] = off.map(|off| length.wrapping_add_signed(i32::from(off)).to_le_bytes());
        let padding = vec![0; body.len().wrapping_neg() & 3];
        [&kind.to_le_bytes()[..], &head, &body, &padding, &trail].concat()
    }

    /// A file of nearly plain packets, at three interfaces.
    fn files() -> impl Strategy<Value = (bool, Vec<u8>)> {
        let off = || prop_oneof![20 => Just(0i8), 1 => -4i8..5];
        let kind = prop_oneof![20 => Just(ENHANCED_PACKET), 1 => 0u32..8];
        let caplen = prop_oneof![20 => Just(0i32), 1 => -40i32..40, 1 => Just(i32::MAX)];
        let len = (0usize..60, prop_oneof![3 => Just(0usize), 1 => 1usize..20]);
        let packet = (kind, [off(), off()], 0u32..4, any::<[u32; 2]>(), caplen, len).prop_map(
            |(kind, off, interface, [high, low], caplen, (len, options))| {
                let claims = (len as u32).wrapping_add_signed(caplen);
                block(kind, off, &[interface, high >> 24, low, claims, len as u32], &vec![7; len + options])
            },
        );
        (any::<bool>(), prop::collection::vec(packet, 0..40), 0usize..40).prop_map(|(ours, packets, cut)| {
            let name: &[u8] = if ours { b"\x04\0\x0c\0relayscope 0\0\0\0\0" } else { b"" };
            let section = block(SECTION, [0; 2], &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX], name);
            let nanos = block(INTERFACE, [0; 2], &[1, 0], &[9, 0, 1, 0, 9, 0, 0, 0]);
            let later = block(INTERFACE, [0; 2], &[1, 0], &[14, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
            let all = [section, block(INTERFACE, [0; 2], &[101, 0], &[]), nanos, later, packets.concat()].concat();
            (ours, all[..all.len().saturating_sub(cut)].to_vec())
        })
    }

    /// As [`Sections::walk`], block by block.
    fn walk_by_block(sections: &mut Sections, bytes: &[u8], frames: &mut Vec<FrameRef>, facts: &mut Facts) -> Walked {
        let mut at = 0usize;
        loop {
            let rest = &bytes[at..];
            match sections.block(rest, at, frames, facts) {
                Ok(length) if length <= rest.len() as u64 => at += length as usize,
                Ok(length) => return Walked { used: at, stop: Stop::Skip(length) },
                Err(stop) => return Walked { used: at, stop },
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn plain_packets_are_read_as_all_blocks_are((ours, file) in files()) {
            let (mut plain, mut each) = (Sections::new(), Sections::new());
            let (mut frames, mut expected) = (Vec::new(), Vec::new());
            let walked = plain.walk(&file, &mut frames, &mut Facts::default());
            let stopped = walk_by_block(&mut each, &file, &mut expected, &mut Facts::default());
            prop_assert_eq!(walked, stopped);
            prop_assert_eq!(format!("{frames:?} {plain:?}"), format!("{expected:?} {each:?}"));
            prop_assert!(!ours || file.len() < 60 || plain.ours);
        }
    }
}
