//! The packets of a flow that tell most, as a ladder between two ends: how it began, what is cited, how it ended.

use std::collections::{HashSet, VecDeque};

use crate::decode::{Packet, proto, tcp_flag};
use crate::time::Timestamp;

/// How many of the first packets are kept.
const HEAD: usize = 6;
/// How many packets that are cited, or set something in motion, are kept behind them.
const MIDDLE: usize = 8;
/// How many of the last packets are kept.
const TAIL: usize = 3;
/// How many rungs a ladder is shown with at most, gaps included.
pub const RUNGS: usize = 12;
/// A packet that comes after so long a silence is one that tells something, in nanoseconds.
const SILENCE: u64 = 2 * crate::time::SECOND;

/// A packet of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Its frame.
    pub frame: u64,
    /// When it came.
    pub ts: Timestamp,
    /// It comes from the responder.
    pub second: bool,
    /// What it is, in a few words of our own.
    pub what: &'static str,
    /// TCP flags; 0 for other protocols.
    pub flags: u8,
    /// Payload bytes.
    pub payload: u32,
    /// It is cited as evidence.
    pub cited: bool,
    /// How many packets of the flow there were up to it, and their payload by side.
    at: Place,
}

/// How far a flow had come at a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    packets: u64,
    bytes: [u64; 2],
}

/// A packet, or packets that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A packet.
    Packet(Rung),
    /// So many packets, with so many payload bytes of each side.
    Gap {
        /// How many.
        packets: u64,
        /// Payload of originator and responder.
        bytes: [u64; 2],
    },
}

/// What is kept of a flow's packets.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    cited: HashSet<u64>,
    head: Vec<Rung>,
    middle: Vec<Rung>,
    tail: VecDeque<Rung>,
    at: Place,
    last: Option<(Timestamp, bool, u32, u32, u8, u32)>,
    quiet_since: Option<Timestamp>,
}

impl Ladder {
    /// Empty; `cited` are the frames that evidence names.
    pub fn new(cited: HashSet<u64>) -> Ladder {
        Ladder { cited, ..Ladder::default() }
    }

    /// Takes the next packet of the flow. False: it is a mirror's copy of the one before, and counts for nothing.
    pub fn packet(&mut self, second: bool, packet: &Packet, payload: &[u8]) -> bool {
        let same = (packet.ts, second, packet.seq, packet.ack, packet.tcp_flags, packet.payload_len);
        let copy = self.last.is_some_and(|last| {
            (last.1, last.2, last.3, last.4, last.5) == (same.1, same.2, same.3, same.4, same.5)
                && packet.ts.since(last.0) < crate::time::MILLISECOND
                && packet.proto == proto::TCP
                && packet.payload_len > 0
        });
        if copy {
            return false;
        }
        self.last = Some(same);
        self.at.packets = self.at.packets.saturating_add(1);
        if let Some(bytes) = self.at.bytes.get_mut(usize::from(second)) {
            *bytes = bytes.saturating_add(u64::from(packet.payload_len));
        }
        let rung = Rung {
            frame: packet.frame,
            ts: packet.ts,
            second,
            what: what(packet, payload),
            flags: if packet.proto == proto::TCP { packet.tcp_flags } else { 0 },
            payload: packet.payload_len,
            cited: self.cited.contains(&packet.frame),
            at: self.at,
        };
        let silent = self.quiet_since.is_some_and(|since| packet.ts.since(since) > SILENCE);
        self.quiet_since = Some(packet.ts);
        self.keep(rung, silent);
        true
    }

    fn keep(&mut self, rung: Rung, silent: bool) {
        if self.head.len() < HEAD {
            return self.head.push(rung);
        }
        if self.middle.len() < MIDDLE && (rung.cited || silent) {
            self.middle.push(rung);
        } else if rung.cited
            && let Some(plain) = self.middle.iter_mut().rev().find(|rung| !rung.cited)
        {
            *plain = rung;
            self.middle.sort_by_key(|rung| rung.frame);
        }
        self.tail.push_back(rung);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    /// The ladder, with at most [`RUNGS`] steps. What is cited comes before what merely stands at begin or end.
    pub fn steps(&self) -> Vec<Step> {
        let mut kept: Vec<Rung> = self.head.iter().chain(&self.middle).chain(&self.tail).copied().collect();
        kept.sort_by_key(|rung| rung.frame);
        kept.dedup_by_key(|rung| rung.frame);
        loop {
            let steps = with_gaps(&kept);
            if steps.len() <= RUNGS {
                return steps;
            }
            // what says least goes first: an empty acknowledgement, then what is not cited
            let least = kept.iter().enumerate().skip(1).min_by_key(|(at, rung)| {
                let bare = rung.payload == 0 && rung.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0;
                (rung.cited, !bare, std::cmp::Reverse(*at))
            });
            let Some((at, _)) = least else { return steps };
            kept.remove(at);
        }
    }
}

fn with_gaps(kept: &[Rung]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(kept.len());
    let mut before = Place::default();
    for rung in kept {
        let [up, down] = rung.at.bytes;
        let own = u64::from(rung.payload);
        let bytes = if rung.second { [up, down.saturating_sub(own)] } else { [up.saturating_sub(own), down] };
        let [before_up, before_down] = before.bytes;
        let packets = rung.at.packets.saturating_sub(before.packets).saturating_sub(1);
        if packets > 0 {
            let [up, down] = bytes;
            let bytes = [up.saturating_sub(before_up), down.saturating_sub(before_down)];
            steps.push(Step::Gap { packets, bytes });
        }
        steps.push(Step::Packet(*rung));
        before = rung.at;
    }
    steps
}

/// What a packet is, by its first bytes; the words are our own, so nothing from the wire is told.
fn what(packet: &Packet, payload: &[u8]) -> &'static str {
    match (packet.proto, payload) {
        (proto::ICMP | proto::ICMP6, _) => "ICMP",
        (_, []) if packet.payload_len > 0 => "data, cut by the capture",
        (proto::TCP, []) => "",
        (proto::TCP, [22, 3, _, _, _, 1, ..]) => "TLS ClientHello",
        (proto::TCP, [22, 3, _, _, _, 2, ..]) => "TLS ServerHello",
        (proto::TCP, [22, 3, ..]) => "TLS handshake",
        (proto::TCP, [21, 3, ..]) => "TLS alert",
        (proto::TCP, [20, 3, ..]) => "TLS change of keys",
        (proto::TCP, [23, 3, ..]) => "TLS data",
        (proto::TCP, [b'H', b'T', b'T', b'P', b'/', ..]) => "HTTP response",
        (proto::TCP, [b'P', b'O', b'S', b'T', b' ', ..]) => "HTTP POST",
        (proto::TCP, [b'G', b'E', b'T', b' ', ..]) => "HTTP GET",
        (proto::TCP, [b'C', b'O', b'N', b'N', b'E', b'C', b'T', b' ', ..]) => "HTTP CONNECT",
        (proto::UDP, [a, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..]) if *a < 4 => match a & 1 {
            0 => "STUN request",
            _ => "STUN response",
        },
        (proto::UDP, [_, _, flags, ..]) if packet.has_port(53) => match flags >> 7 {
            0 => "DNS question",
            _ => "DNS answer",
        },
        (proto::UDP, [20..=63, 254, ..]) => "DTLS",
        (proto::UDP, [first, ..]) if packet.has_port(443) && first & 0xc0 == 0xc0 => "QUIC handshake",
        (proto::UDP, _) if packet.has_port(123) => "NTP",
        _ => "data",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{MILLISECOND, SECOND};
    use proptest::prelude::*;

    fn packet(frame: u64, ms: u64, flags: u8, payload_len: u32) -> Packet {
        let ts = Timestamp(ms * MILLISECOND);
        let seq = u32::try_from(frame).unwrap();
        Packet { ts, frame, proto: proto::TCP, tcp_flags: flags, payload_len, seq, ..Packet::default() }
    }

    #[test]
    fn it_begins_cites_and_ends() {
        let mut ladder = Ladder::new(HashSet::from([50]));
        for frame in 1..=100u64 {
            ladder.packet(frame % 3 == 0, &packet(frame, frame * 10, tcp_flag::ACK, 100), &[23, 3, 3]);
        }
        ladder.packet(true, &packet(101, 9 * SECOND / MILLISECOND, tcp_flag::RST, 0), &[]);
        let steps = ladder.steps();
        let frames = steps.iter().filter_map(|step| match step {
            Step::Packet(rung) => Some(rung.frame),
            Step::Gap { .. } => None,
        });
        let frames: Vec<u64> = frames.collect();
        assert_eq!(frames, [1, 2, 3, 4, 5, 6, 50, 99, 100, 101]);
        let left_out: u64 = steps.iter().map(|s| if let Step::Gap { packets, .. } = s { *packets } else { 0 }).sum();
        assert_eq!(left_out + frames.len() as u64, 101);
    }

    #[test]
    fn a_mirror_copy_counts_for_nothing() {
        let mut ladder = Ladder::default();
        assert!(ladder.packet(false, &packet(1, 1, tcp_flag::ACK, 9), b"x"));
        let copy = Packet { frame: 2, ..packet(1, 1, tcp_flag::ACK, 9) };
        assert!(!ladder.packet(false, &copy, b"x"));
        assert_eq!(ladder.steps().len(), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_it_may(packets in prop::collection::vec((any::<bool>(), 0u64..20_000, any::<u8>(), 0u32..2000), 0..200),
                                  cited in prop::collection::hash_set(0u64..200, 0..60)) {
            let mut ladder = Ladder::new(cited);
            let mut sum = 0u64;
            for (frame, (second, ms, flags, len)) in (1u64..).zip(packets) {
                sum += u64::from(ladder.packet(second, &packet(frame, ms, flags, len), &[]));
            }
            let steps = ladder.steps();
            prop_assert!(steps.len() <= RUNGS);
            let told: u64 = steps.iter().map(|step| match step { Step::Packet(_) => 1, Step::Gap { packets, .. } => *packets }).sum();
            prop_assert!(told <= sum);
        }
    }
}
