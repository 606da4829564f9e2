//! Mirror copies: the same packet captured twice, before it counts as sent twice.
//!
//! A mirror that watches two ports or two VLANs shows a packet that crosses both two times within moments, perhaps with
//! another VLAN tag, another hop count, other MAC addresses. A sender never repeats a packet that soon, and not with
//! the same IP identification. A datagram that has none may be meant twice: it is a copy if it says the same, as far as
//! can be seen, and comes sooner still.
//!
//! The latest packets are remembered by a signature of their own bytes. Nothing secret goes into it: what counts as a
//! copy must hang on the traffic alone, the same in every run. Who forges collisions makes this forget, no more.

use super::key::fold;
use crate::decode::{Packet, proto};
use crate::time::{MILLISECOND, Timestamp};

/// How far apart two copies may be, in nanoseconds.
pub const WINDOW: u64 = MILLISECOND;
/// The same for a packet with an identification that came another way: a mirror on both sides of a box shows it when
/// that box has looked at it.
const BEHIND: u64 = 50 * MILLISECOND;
/// The same for a datagram without an identification, that came the same way.
const AT_ONCE: u64 = MILLISECOND / 10;
/// How many bytes of such a datagram must be there to tell it from others: a STUN header (RFC 8489 §5), the name of a
/// DNS question, more of a QUIC packet than who it is for.
const TELLING: usize = 20;
/// Rows of remembered packets, and packets a row: several times what a mirror at 10 Gbit/s shows one of 16 shards in
/// [`WINDOW`].
const ROWS: usize = 256;
const WAYS: usize = 2;

/// A packet that was seen: its signature, of which the last 16 bits say which way it came, and when.
type Seen = (u64, Timestamp);

/// The latest packets.
#[derive(Clone, Debug)]
pub struct Duplicates {
    /// The packets of a row, the latest first.
    rows: Box<[[Seen; WAYS]]>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { rows: vec![[(0, Timestamp::default()); WAYS]; ROWS].into_boxed_slice() }
    }
}

impl Duplicates {
    /// Whether `packet`, whose payload is `payload`, is a copy of one seen within [`WINDOW`]; remembers it.
    #[inline(always)]
    pub fn is_copy(&mut self, packet: &Packet, payload: &[u8]) -> bool {
        let entry = signature(packet, payload);
        let Some(row) = self.rows.get_mut((entry >> 32) as usize % ROWS) else { return false };
        let [latest, other] = row;
        // alike in all but the lowest bits, which are those of the way, is one of them if the lesser difference is
        if (latest.0 ^ entry).min(other.0 ^ entry) >> 16 == 0 {
            return is_alike(row, entry, packet, payload);
        }
        *row = [(entry, packet.ts), *latest];
        false
    }
}

/// Whether a packet that is like one of a row is a copy; remembers it there.
#[cold]
fn is_alike(row: &mut [Seen; WAYS], entry: u64, packet: &Packet, payload: &[u8]) -> bool {
    let before = *row;
    let [latest, other] = before;
    // one that is copied again takes no other's place
    *row = [(entry, packet.ts), if latest.0 >> 16 == entry >> 16 { other } else { latest }];
    before.iter().any(|(seen, at)| {
        let apart = packet.ts.0.abs_diff(at.0);
        let repeated =
            || is_unrepeatable(packet) || apart <= AT_ONCE && is_nameless(packet) && payload.len() >= TELLING;
        let elsewhere = *seen != entry;
        let within = if elsewhere && packet.ip_id != 0 { BEHIND } else { WINDOW };
        seen >> 16 == entry >> 16 && apart <= within && (elsewhere || repeated())
    })
}

/// Whether it is a datagram that says nothing of itself but its payload.
#[inline(always)]
const fn is_nameless(packet: &Packet) -> bool {
    packet.ip_id == 0 && packet.proto == proto::UDP
}

/// What tells a packet from all others, and in the last 16 bits what a mirror changes on the way.
#[inline(always)]
fn signature(packet: &Packet, payload: &[u8]) -> u64 {
    let mut words = payload.first_chunk::<8>().map_or(payload.len() as u64, |b| u64::from_le_bytes(*b));
    if is_nameless(packet) {
        // a checksum that the sender's card is to make is not that of the payload yet
        let last = payload.last_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        words = fold(words ^ 0xa076_1d64_78bd_642f, last ^ 0xe703_7ed1_a0b4_28db);
    }
    let a = (u64::from(packet.seq) << 32) | u64::from(packet.ack);
    let b = (u64::from(packet.ip_id) << 48)
        | (u64::from(packet.checksum) << 32)
        | (u64::from(packet.tcp_flags) << 24)
        | u64::from(packet.payload_len & 0xff_ffff);
    let ports = u64::from(packet.src_port) << 16 | u64::from(packet.dst_port);
    let ends = packet.src.low64().rotate_left(17) ^ packet.dst.low64() ^ ports.rotate_left(29);
    let mixed = fold(a ^ ends ^ 0x9e37_79b9_7f4a_7c15, b ^ words.rotate_left(11) ^ 0xd6e8_feb8_6659_fd93);
    let [outer, inner] = packet.vlan;
    let way = outer ^ inner.rotate_left(4) ^ (u16::from(packet.ttl) << 8);
    (mixed | 1 << 63) & !0xffff | u64::from(way)
}

/// Whether its sender cannot have meant to send exactly this twice in a moment: it has an identification, or what a
/// sender waits longer with before it sends it again.
fn is_unrepeatable(packet: &Packet) -> bool {
    packet.ip_id != 0 || (packet.proto == proto::TCP && packet.seq_len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tcp_flag;

    fn packet(ts: u64, ip_id: u16, seq: u32, ttl: u8, len: u32) -> Packet {
        Packet { ts: Timestamp(ts), ip_id, seq, ttl, payload_len: len, proto: proto::TCP, ..Packet::default() }
    }

    #[test]
    fn copies_are_told_from_packets_sent_again() {
        let mut d = Duplicates::default();
        let mut is_copy = |p: Packet| d.is_copy(&p, &[]);
        assert!(!is_copy(packet(1000, 5, 1, 64, 10)));
        assert!(is_copy(packet(2000, 5, 1, 64, 10)), "the same frame from two mirrored ports");
        assert!(is_copy(packet(3000, 5, 1, 63, 10)), "behind a router");
        assert!(is_copy(packet(40 * WINDOW, 5, 1, 60, 10)), "behind a box that takes its time");
        assert!(!is_copy(packet(100 * WINDOW, 5, 1, 63, 10)), "the identification is used anew");
        assert!(!is_copy(packet(101 * WINDOW + 1, 0, 3, 63, 10)));
        assert!(!is_copy(packet(4000, 6, 1, 64, 10)), "sent again: another identification");
        assert!(!is_copy(packet(4000 + 2 * WINDOW, 6, 1, 64, 10)), "too late");
        assert!(!is_copy(packet(5_000_000, 0, 9, 64, 0)));
        assert!(!is_copy(packet(5_000_100, 0, 9, 64, 0)), "duplicate acknowledgements carry nothing to tell");
        assert!(is_copy(packet(5_000_200, 0, 9, 63, 0)));
        for flags in [tcp_flag::SYN, tcp_flag::SYN | tcp_flag::ACK, tcp_flag::FIN | tcp_flag::ACK] {
            let opening = |ts| Packet { tcp_flags: flags, ..packet(ts, 0, 11, 64, 0) };
            assert!(!is_copy(opening(6_000_000)));
            assert!(is_copy(opening(6_000_100)), "an answer to a SYN seldom has an identification, IPv6 none");
        }
        let reset = |ts| Packet { tcp_flags: tcp_flag::RST, ..packet(ts, 0, 12, 64, 0) };
        assert!(!is_copy(reset(7_000_000)) && !is_copy(reset(7_000_100)), "some send several at once");
    }

    #[test]
    fn copies_on_another_vlan_are_copies_and_other_content_is_not() {
        let mut d = Duplicates::default();
        let first = Packet { vlan: [10, 0], checksum: 7, ..packet(1000, 0, 1, 64, 10) };
        assert!(!d.is_copy(&first, b"as it was"));
        assert!(d.is_copy(&Packet { ts: Timestamp(2000), vlan: [20, 0], ..first }, b"as it was"));
        assert!(!d.is_copy(&Packet { ts: Timestamp(3000), ..first }, b"otherwise"));
        assert!(!d.is_copy(&Packet { ts: Timestamp(4000), checksum: 8, ..first }, b"as it was"));
    }

    #[test]
    fn a_datagram_without_an_identification_is_known_by_all_that_it_says() {
        let mut d = Duplicates::default();
        let sent = |ts| Packet { proto: proto::UDP, ..packet(ts, 0, 0, 64, 24) };
        let (asked, other) = (*b"STUN....12 bytes of name", *b"STUN....12 bytes of game");
        assert!(!d.is_copy(&sent(1_000_000), &asked));
        assert!(d.is_copy(&sent(1_010_000), &asked));
        assert!(!d.is_copy(&sent(1_020_000), &other), "it says something else");
        assert!(!d.is_copy(&sent(1_700_000), &asked), "sent again");
        assert!(d.is_copy(&Packet { ttl: 63, ..sent(2_400_000) }, &asked), "behind a router");
        assert!(!d.is_copy(&sent(5_000_000), &asked[..12]) && !d.is_copy(&sent(5_000_001), &asked[..12]), "too little");
    }

    #[test]
    fn copies_take_no_others_place() {
        let mut d = Duplicates::default();
        // three that share a row
        let row = |p: &Packet| (signature(p, &[]) >> 32) as usize % ROWS;
        let all: Vec<Packet> = (1..5000).map(|n| packet(1000 + u64::from(n), n, 1, 64, 10)).collect();
        let [x, y, ..] = &all.iter().filter(|p| row(p) == row(&all[0])).collect::<Vec<_>>()[..] else { panic!() };
        let told = [x, y, y, x].map(|p| d.is_copy(p, &[]));
        assert_eq!(told, [false, false, true, true]);
    }

    #[test]
    fn the_other_direction_and_other_ports_are_no_copies() {
        let mut d = Duplicates::default();
        let mut there = packet(1000, 5, 1, 64, 10);
        (there.src_port, there.dst_port) = (80, 5000);
        let mut back = there;
        (back.src_port, back.dst_port) = (5000, 80);
        assert!(!d.is_copy(&there, &[]) && !d.is_copy(&back, &[]));
    }

    #[test]
    fn a_burst_of_copies_is_remembered() {
        let mut d = Duplicates::default();
        let burst: Vec<Packet> = (0..40).map(|n| packet(1000 + n, n as u16 + 1, n as u32, 64, 10)).collect();
        assert_eq!(burst.iter().filter(|p| d.is_copy(p, &[])).count(), 0);
        let copies =
            burst.iter().filter(|p| d.is_copy(&Packet { ts: Timestamp(p.ts.0 + 500), ttl: 63, ..**p }, &[])).count();
        assert!(copies >= 36, "{copies}");
    }
}
