//! IP fragments put together again (RFC 791 §3.2, RFC 815, RFC 8200 §4.5).
//!
//! Bounded whatever arrives: [`MAX_DATAGRAMS`] at a time, [`MAX_BYTES`] held in all, [`MAX_PARTS`] a datagram,
//! [`TIMEOUT`] of packet time. A datagram that is given up is still handed on, with as much from its start as is
//! contiguous, so that every captured frame is counted once. Where fragments overlap, what came first stands. One that
//! was there before belongs to another datagram, a mirror's copy most often, whose parts come between those of the
//! first.

use std::collections::{HashMap, VecDeque};

use super::{Addr, Fragment, Packet, decode_datagram};
use crate::time::{SECOND, Timestamp};

/// How many datagrams may be under way.
pub const MAX_DATAGRAMS: usize = 1024;
/// How many bytes may be held for them in all: their payload, and what tells where each part of it belongs.
pub const MAX_BYTES: usize = 4 << 20;
/// How many parts one datagram may have: 64 KiB in parts of 256 bytes, twice over.
pub const MAX_PARTS: usize = 512;
/// How many datagrams that are alike may be under way: as many as mirrors show of one.
const COPIES: u8 = 4;
/// How long a datagram may take, in nanoseconds (RFC 791 suggests 15 s, RFC 8200 gives 60 s).
pub const TIMEOUT: u64 = 30 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: Addr,
    dst: Addr,
    id: u32,
    proto: u8,
    v6: bool,
    /// Which of the datagrams that are alike so far.
    copy: u8,
}

#[derive(Clone, Debug)]
struct Part {
    offset: u32,
    len: u32,
    bytes: Vec<u8>,
}

impl Part {
    /// Bytes of memory that it takes.
    fn memory(&self) -> usize {
        self.bytes.len().saturating_add(size_of::<Part>())
    }
}

#[derive(Clone, Debug)]
struct Datagram {
    /// The earliest frame's headers.
    head: Packet,
    last: Timestamp,
    frames: u32,
    len: u32,
    parts: Vec<Part>,
    /// The whole length, once the last part is there.
    total: Option<u32>,
    /// Which birth this is, so that an old place in the queue is known for one.
    birth: u64,
}

/// Puts fragments together.
#[derive(Clone, Debug, Default)]
pub struct Defragmenter {
    under_way: HashMap<Key, Datagram>,
    /// All that is under way by birth, and some that no longer is.
    queue: VecDeque<(Key, u64)>,
    held: usize,
    births: u64,
}

/// Takes a datagram, whole or given up, and the bytes it was put together to.
pub type Sink<'a> = &'a mut dyn FnMut(Packet, Vec<u8>);

impl Defragmenter {
    /// Takes one fragment, whose headers are `packet` and whose frame is `bytes`.
    pub fn push(&mut self, packet: &Packet, fragment: Fragment, bytes: &[u8], sink: Sink<'_>) {
        self.expire(packet.ts, sink);
        self.add(packet, fragment, bytes, sink);
        while self.under_way.len() > MAX_DATAGRAMS || self.held > MAX_BYTES {
            self.give_oldest(sink);
        }
        // whatever becomes whole leaves its place behind, and they would pile up behind one that never does
        if self.queue.len() > MAX_DATAGRAMS.saturating_mul(2) {
            let under_way = &self.under_way;
            self.queue.retain(|(key, birth)| under_way.get(key).is_some_and(|d| d.birth == *birth));
        }
    }

    fn add(&mut self, packet: &Packet, fragment: Fragment, bytes: &[u8], sink: Sink<'_>) {
        let key = self.place(packet, fragment);
        let births = &mut self.births;
        let queue = &mut self.queue;
        let datagram = self.under_way.entry(key).or_insert_with(|| {
            *births = births.wrapping_add(1);
            queue.push_back((key, *births));
            Datagram::new(packet, *births)
        });
        self.held = self.held.saturating_add(datagram.add(packet, fragment, packet.payload(bytes)));
        if datagram.is_whole() || datagram.parts.len() >= MAX_PARTS {
            self.give(&key, sink);
        }
    }

    /// The datagram that a fragment belongs to: one that lacks it, or else a new one.
    fn place(&self, packet: &Packet, fragment: Fragment) -> Key {
        let Packet { src, dst, proto, v6, .. } = *packet;
        let alike = || (0..COPIES).map(|copy| Key { src, dst, id: fragment.id, proto, v6, copy });
        let lacks = |key: &Key| self.under_way.get(key).is_some_and(|d| !d.has(u32::from(fragment.offset)));
        let known = || alike().find(lacks);
        let last = Key { src, dst, id: fragment.id, proto, v6, copy: COPIES.saturating_sub(1) };
        known().or_else(|| alike().find(|key| !self.under_way.contains_key(key))).unwrap_or(last)
    }

    /// Gives up what has been under way for longer than [`TIMEOUT`] at `now`, and what began so long after it: then the
    /// clock was wrong, or was set back.
    pub fn expire(&mut self, now: Timestamp, sink: Sink<'_>) {
        while let Some((key, birth)) = self.queue.front() {
            match self.under_way.get(key).filter(|d| d.birth == *birth) {
                Some(datagram) if now.0.abs_diff(datagram.head.ts.0) <= TIMEOUT => return,
                _ => self.give_oldest(sink),
            }
        }
    }

    /// Gives up all that is under way, oldest first.
    pub fn finish(&mut self, sink: Sink<'_>) {
        while !self.queue.is_empty() {
            self.give_oldest(sink);
        }
    }

    fn give_oldest(&mut self, sink: Sink<'_>) {
        let Some((key, birth)) = self.queue.pop_front() else { return };
        if self.under_way.get(&key).is_some_and(|d| d.birth == birth) {
            self.give(&key, sink);
        }
    }

    fn give(&mut self, key: &Key, sink: Sink<'_>) {
        let Some(datagram) = self.under_way.remove(key) else { return };
        let held: usize = datagram.parts.iter().map(Part::memory).sum();
        self.held = self.held.saturating_sub(held);
        let (packet, bytes) = datagram.join();
        match packet.fragment {
            // what a tunnel carried in it is a part itself; no deeper than tunnels are looked through
            Some(fragment) => self.add(&packet, fragment, &bytes, sink),
            None => sink(packet, bytes),
        }
    }
}

impl Datagram {
    fn new(packet: &Packet, birth: u64) -> Self {
        Datagram { head: *packet, last: packet.ts, frames: 0, len: 0, parts: Vec::new(), total: None, birth }
    }

    /// Whether a part that begins there is known.
    fn has(&self, offset: u32) -> bool {
        self.parts.binary_search_by_key(&offset, |part| part.offset).is_ok()
    }

    /// Keeps one part; gives how many bytes of memory that takes.
    fn add(&mut self, packet: &Packet, fragment: Fragment, bytes: &[u8]) -> usize {
        let offset = u32::from(fragment.offset);
        self.last = self.last.max(packet.ts);
        self.frames = self.frames.saturating_add(packet.frames);
        self.len = self.len.saturating_add(packet.len);
        self.head.cut |= packet.cut;
        if !fragment.more {
            self.total.get_or_insert(offset.saturating_add(packet.payload_len));
        }
        let at = self.parts.partition_point(|p| p.offset < offset);
        if self.parts.get(at).is_some_and(|p| p.offset == offset) {
            return 0; // one copy too many
        }
        let part = Part { offset, len: packet.payload_len, bytes: bytes.to_vec() };
        let taken = part.memory();
        self.parts.insert(at, part);
        taken
    }

    fn is_whole(&self) -> bool {
        let Some(total) = self.total else { return false };
        let reached = self.parts.iter().try_fold(0u32, |reached, part| {
            (part.offset <= reached).then(|| reached.max(part.offset.saturating_add(part.len)))
        });
        reached.is_some_and(|r| r >= total)
    }

    /// The datagram from its start to the first hole.
    fn join(self) -> (Packet, Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.parts.iter().map(|p| p.bytes.len()).sum());
        let mut on_wire = 0u32;
        let mut holed = false;
        for part in &self.parts {
            on_wire = on_wire.max(part.offset.saturating_add(part.len));
            let overlap = (bytes.len() as u64).checked_sub(u64::from(part.offset));
            match overlap {
                Some(n) if !holed => {
                    bytes.extend_from_slice(part.bytes.get(usize::try_from(n).unwrap_or(usize::MAX)..).unwrap_or(&[]));
                    holed = part.bytes.len() < part.len as usize;
                }
                _ => holed = true,
            }
        }
        let mut packet = self.head;
        packet.ts = self.last;
        packet.frames = self.frames;
        packet.len = self.len;
        packet.cut |= holed || self.total.is_none();
        let first = self.parts.first().is_some_and(|p| p.offset == 0);
        let tunnels = packet.tunnels;
        if first {
            decode_datagram(&bytes, &mut packet);
        }
        if first && packet.tunnels == tunnels {
            // lengths on the wire, also where the bytes end early; a tunnel's packet has its own
            let missing = on_wire.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            packet.payload_len = packet.payload_len.saturating_add(missing);
        } else if !first {
            packet.fragment = None;
            packet.payload_start = 0;
            packet.payload_captured = 0;
            packet.payload_len = on_wire;
        }
        (packet, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(ts: u64, id: u32, offset: u16, more: bool, payload: &[u8]) -> (Packet, Fragment, Vec<u8>) {
        let packet = Packet {
            ts: Timestamp(ts),
            frame: ts,
            proto: super::super::proto::UDP,
            len: payload.len() as u32 + 34,
            frames: 1,
            payload_captured: payload.len() as u32,
            payload_len: payload.len() as u32,
            ..Packet::default()
        };
        (packet, Fragment { id, offset, more }, payload.to_vec())
    }

    fn run(parts: &[(Packet, Fragment, Vec<u8>)]) -> Vec<(Packet, Vec<u8>)> {
        let mut out = Vec::new();
        let mut defragmenter = Defragmenter::default();
        for (packet, fragment, bytes) in parts {
            defragmenter.push(packet, *fragment, bytes, &mut |p, b| out.push((p, b)));
        }
        defragmenter.finish(&mut |p, b| out.push((p, b)));
        out
    }

    const UDP: [u8; 16] = [0x14, 0xe9, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn parts_in_any_order_make_one_datagram() {
        let (a, b) = (part(1, 7, 0, true, &UDP), part(2, 7, 16, false, &[9; 8]));
        for parts in [[a.clone(), b.clone()], [b, a]] {
            let out = run(&parts);
            let [(packet, bytes)] = &out[..] else { panic!("one datagram, not {}", out.len()) };
            assert_eq!((packet.dst_port, packet.payload_len, packet.frames), (53, 16, 2));
            assert_eq!(packet.payload(bytes), [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9]);
            assert_eq!(packet.len, 16 + 8 + 68);
            assert!(!packet.cut);
        }
    }

    #[test]
    fn copies_between_the_parts_make_datagrams_of_their_own() {
        let parts = |id| [part(1, id, 0, true, &UDP), part(2, id, 16, true, &[9; 8]), part(3, id, 24, false, &[9; 8])];
        let [a, b, c] = parts(7);
        let lagging = [&a, &b, &a, &c, &b, &c].map(Clone::clone);
        let each_twice = [&a, &a, &b, &b, &c, &c].map(Clone::clone);
        for sent in [lagging, each_twice] {
            let out = run(&sent);
            let told: Vec<_> = out.iter().map(|(p, _)| (p.dst_port, p.payload_len, p.frames, p.cut)).collect();
            assert_eq!(told, [(53, 16, 3, false); 2]);
        }
        // more than any mirror shows: every frame is counted all the same
        let many: Vec<_> = (0..10).flat_map(|_| [a.clone(), b.clone()]).chain([c]).collect();
        assert_eq!(run(&many).iter().map(|(packet, _)| packet.frames).sum::<u32>(), 21);
    }

    #[test]
    fn what_never_becomes_whole_is_still_told() {
        let out = run(&[part(1, 7, 0, true, &UDP), part(2, 7, 24, false, &[9; 8])]);
        let [(packet, bytes)] = &out[..] else { panic!() };
        assert_eq!((packet.dst_port, packet.payload_len, packet.payload(bytes).len()), (53, 24 - 8 + 8, 8));
        assert!(packet.cut);
        let out = run(&[part(1, 8, 16, false, &[9; 8])]);
        assert_eq!((out[0].0.dst_port, out[0].0.frames), (0, 1));
    }

    #[test]
    fn a_flood_stays_within_bounds() {
        let mut defragmenter = Defragmenter::default();
        let mut given = 0u32;
        for id in 0..20_000 {
            let (packet, fragment, bytes) = part(1, id, 0, true, &[0; 1400]);
            defragmenter.push(&packet, fragment, &bytes, &mut |_, _| given += 1);
            assert!(defragmenter.under_way.len() <= MAX_DATAGRAMS && defragmenter.held <= MAX_BYTES);
        }
        defragmenter.finish(&mut |_, _| given += 1);
        assert_eq!((given, defragmenter.held), (20_000, 0));
    }

    #[test]
    fn places_do_not_pile_up_behind_one_that_never_becomes_whole() {
        let mut defragmenter = Defragmenter::default();
        let mut given = 0u32;
        for id in 0..20_000 {
            for (offset, more) in [(0, true), (16, false)] {
                let (packet, fragment, bytes) = part(1, id, offset, more, &UDP);
                if id > 0 || more {
                    defragmenter.push(&packet, fragment, &bytes, &mut |_, _| given += 1);
                }
            }
        }
        assert!(defragmenter.queue.len() <= 2 * MAX_DATAGRAMS + 1, "{} places", defragmenter.queue.len());
        assert_eq!((given, defragmenter.under_way.len()), (19_999, 1));
        defragmenter.finish(&mut |packet, _| assert_eq!(packet.frames, 1));
        assert_eq!(defragmenter.held, 0);
    }

    #[test]
    fn parts_without_bytes_take_room_too() {
        let mut defragmenter = Defragmenter::default();
        for id in 0..1000 {
            for at in 0..200 {
                let (packet, fragment, bytes) = part(1, id, at * 16, true, &[]);
                defragmenter.push(&packet, fragment, &bytes, &mut |_, _| ());
            }
        }
        let parts: usize = defragmenter.under_way.values().map(|datagram| datagram.parts.len()).sum();
        assert!(parts * size_of::<Part>() <= MAX_BYTES, "{parts} parts");
    }

    #[test]
    fn what_began_by_a_wrong_clock_holds_nothing_up() {
        let mut defragmenter = Defragmenter::default();
        let mut given = Vec::new();
        for (ts, id) in [(900 * SECOND, 1), (SECOND, 2), (40 * SECOND, 3)] {
            let (packet, fragment, bytes) = part(ts, id, 0, true, &UDP);
            defragmenter.push(&packet, fragment, &bytes, &mut |packet, _| given.push(packet.ts.0 / SECOND));
        }
        assert_eq!(given, [900, 1]);
    }

    #[test]
    fn time_alone_gives_up() {
        let mut defragmenter = Defragmenter::default();
        let (packet, fragment, bytes) = part(1, 1, 0, true, &UDP);
        let mut given = 0;
        defragmenter.push(&packet, fragment, &bytes, &mut |_, _| given += 1);
        defragmenter.expire(Timestamp(1 + TIMEOUT), &mut |_, _| given += 1);
        assert_eq!(given, 0);
        defragmenter.expire(Timestamp(2 + TIMEOUT), &mut |_, _| given += 1);
        assert_eq!(given, 1);
    }
}
