//! Mirror copies: the same packet captured twice, before it counts as sent twice.
//!
//! A mirror that watches two ports or two VLANs shows a packet that crosses both two times within moments, perhaps
//! with another VLAN tag, another hop count, other MAC addresses. A sender never repeats a packet that soon, and not
//! with the same IP identification.

use super::key::fold;
use crate::decode::{Packet, proto};
use crate::time::{MILLISECOND, Timestamp};

/// How far apart two copies may be, in nanoseconds.
pub const WINDOW: u64 = MILLISECOND;
/// How many of the latest packets one shard remembers: several times what a mirror at 10 Gbit/s shows one of 64
/// shards in [`WINDOW`].
const REMEMBERED: usize = 64;

/// The latest packets.
#[derive(Debug)]
pub struct Duplicates {
    /// Signature, of which the last 16 bits say which way the packet came; and when.
    recent: Box<[(u64, Timestamp)]>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { recent: vec![(0, Timestamp::default()); REMEMBERED].into_boxed_slice() }
    }
}

impl Duplicates {
    /// Whether `packet` is a copy of one seen within [`WINDOW`]; remembers it.
    #[inline(always)]
    pub fn is_copy(&mut self, packet: &Packet, flow_hash: u64, forward: bool, payload: &[u8]) -> bool {
        let words = payload.first_chunk::<8>().map_or(payload.len() as u64, |b| u64::from_le_bytes(*b));
        let a = (u64::from(packet.seq) << 32) | u64::from(packet.ack);
        let b = (u64::from(packet.ip_id) << 48)
            | (u64::from(packet.checksum) << 32)
            | (u64::from(packet.tcp_flags) << 24)
            | u64::from(packet.payload_len & 0xff_ffff);
        let direction = if forward { 0x9e37_79b9_7f4a_7c15 } else { 0xd6e8_feb8_6659_fd93 };
        let signature = (fold(a ^ flow_hash, b ^ direction) ^ words) | 1 << 63;
        // what a mirror changes on the way from one port to another
        let [outer, inner] = packet.vlan;
        let way = u64::from(outer ^ inner.rotate_left(4) ^ (u16::from(packet.ttl) << 8));
        let entry = signature & !0xffff | way;
        let Some(slot) = self.recent.get_mut((signature >> 32) as usize % REMEMBERED) else { return false };
        let (seen, at) = *slot;
        *slot = (entry, packet.ts);
        seen >> 16 == entry >> 16 && packet.ts.since(at) <= WINDOW && (seen != entry || is_unrepeatable(packet))
    }
}

/// Whether its sender cannot have meant to send exactly this twice in a moment.
fn is_unrepeatable(packet: &Packet) -> bool {
    packet.ip_id != 0 || (packet.proto == proto::TCP && packet.payload_len > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ts: u64, ip_id: u16, seq: u32, ttl: u8, len: u32) -> Packet {
        Packet { ts: Timestamp(ts), ip_id, seq, ttl, payload_len: len, proto: proto::TCP, ..Packet::default() }
    }

    #[test]
    fn copies_are_told_from_packets_sent_again() {
        let mut d = Duplicates::default();
        let mut is_copy = |p: Packet| d.is_copy(&p, 7, true, &[]);
        assert!(!is_copy(packet(1000, 5, 1, 64, 10)));
        assert!(is_copy(packet(2000, 5, 1, 64, 10)), "the same frame from two mirrored ports");
        assert!(is_copy(packet(3000, 5, 1, 63, 10)), "behind a router");
        assert!(!is_copy(packet(4000, 6, 1, 64, 10)), "sent again: another identification");
        assert!(!is_copy(packet(4000 + 2 * WINDOW, 6, 1, 64, 10)), "too late");
        assert!(!is_copy(packet(5_000_000, 0, 9, 64, 0)));
        assert!(!is_copy(packet(5_000_100, 0, 9, 64, 0)), "duplicate acknowledgements carry nothing to tell");
        assert!(is_copy(packet(5_000_200, 0, 9, 63, 0)));
    }
}
