//! Who talks with whom: the key of a flow, the shard that owns it, and its community id.

use std::net::IpAddr;

use sha1::block_api::compress;

use crate::decode::{Addr, Packet, proto};
use crate::short::Short;

/// How many logical shards the flows are spread over, whatever the number of threads.
///
/// Enough that as many threads as one reader can feed have work; few enough that what each keeps at hand stays near
/// the core when one thread works on all of them.
pub const SHARDS: usize = 16;

/// A flow's key: the same for both directions.
///
/// IPv4 endpoints stand in it whole. IPv6 addresses stand as a hash, so that a key stays at 16 bytes; in the key that a
/// table keeps, as the number of their pair there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    high: u64,
    low: u64,
}

/// Folds the full product of two words: a fast mixing step whose every output bit depends on every input bit.
#[inline(always)]
pub const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ (product >> 64) as u64
}

/// A digest that tells one short byte string from another; 0 for none.
pub fn digest(bytes: &[u8]) -> u64 {
    digest_with(bytes, 0)
}

/// The same, of what is one text in capitals and in small letters.
pub fn digest_of_text(bytes: &[u8]) -> u64 {
    digest_with(bytes, 0x20)
}

/// With these bits set in every byte: 0x20 makes letters small ones.
#[inline(always)]
fn digest_with(bytes: &[u8], set: u8) -> u64 {
    let (mut hash, mut rest, sets) = (0, bytes, u64::from_le_bytes([set; 8]));
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        hash = fold(hash ^ (u64::from_le_bytes(*head) | sets) ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db);
        rest = tail;
    }
    if rest.is_empty() {
        return hash;
    }
    let last = rest.iter().fold(1, |word, b| word << 8 | u64::from(*b | set));
    fold(hash ^ last ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
}

const MIX: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

impl FlowKey {
    /// The key of a packet, and whether its source is the key's lower endpoint.
    #[inline(always)]
    pub fn of(packet: &Packet, secret: u64) -> (FlowKey, bool) {
        if packet.v6 {
            return FlowKey::of_v6(packet, secret);
        }
        let a = (u64::from(packet.src.low32()) << 16) | u64::from(packet.src_port);
        let b = (u64::from(packet.dst.low32()) << 16) | u64::from(packet.dst_port);
        let forward = a <= b;
        let (low, high) = if forward { (a, b) } else { (b, a) };
        let ports = (low << 48) | ((high & 0xffff) << 32) | (u64::from(packet.proto) << 8);
        (FlowKey { high: (low >> 16 << 32) | high >> 16, low: ports }, forward)
    }

    fn of_v6(packet: &Packet, secret: u64) -> (FlowKey, bool) {
        let a = (packet.src.high64(), packet.src.low64(), packet.src_port);
        let b = (packet.dst.high64(), packet.dst.low64(), packet.dst_port);
        let forward = a <= b;
        let (low, high) = if forward { (a, b) } else { (b, a) };
        let ports = (u64::from(low.2) << 48) | (u64::from(high.2) << 32) | (u64::from(packet.proto) << 8);
        let pair = if forward { [packet.src, packet.dst] } else { [packet.dst, packet.src] };
        (FlowKey { high: 0, low: ports | 1 }.of_pair(pair, secret), forward)
    }

    /// The key of an IPv6 flow, whose ports are this one's, between these addresses, the lower endpoint's first.
    #[inline(always)]
    pub(super) const fn of_pair(self, pair: [Addr; 2], secret: u64) -> FlowKey {
        let [m0, m1, m2, m3] = MIX;
        let [low, high] = pair;
        let x = fold(low.high64() ^ secret ^ m0, low.low64() ^ m1);
        let y = fold(high.high64() ^ secret ^ m2, high.low64() ^ m3);
        FlowKey { high: fold(x ^ m1, y ^ secret), low: self.low }
    }

    /// The key that a table keeps of an IPv6 flow, whose pair of addresses has this number there.
    pub(super) const fn numbered(self, pair: u32) -> FlowKey {
        FlowKey { high: pair as u64, low: self.low }
    }

    /// The number of an IPv6 flow's pair of addresses, in the key that a table keeps.
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        self.high as u32
    }

    /// Whether another key has the same ports, protocol and family.
    #[inline(always)]
    pub(super) const fn has_ports_of(self, other: FlowKey) -> bool {
        self.low == other.low
    }

    /// A hash of the key that the traffic cannot foresee.
    #[inline(always)]
    pub const fn hash(self, secret: u64) -> u64 {
        fold(self.high ^ secret, self.low ^ 0xd6e8_feb8_6659_fd93)
    }

    /// Whether the endpoints are IPv6.
    #[inline(always)]
    pub const fn is_v6(self) -> bool {
        self.low & 1 != 0
    }

    /// The IP protocol number.
    #[inline(always)]
    pub const fn proto(self) -> u8 {
        (self.low >> 8) as u8
    }

    /// The ports, lower endpoint's first.
    pub const fn ports(self) -> (u16, u16) {
        ((self.low >> 48) as u16, (self.low >> 32) as u16)
    }

    /// The addresses, lower endpoint's first, of an IPv4 key.
    pub const fn v4_addresses(self) -> (Addr, Addr) {
        (Addr::v4(((self.high >> 32) as u32).to_be_bytes()), Addr::v4((self.high as u32).to_be_bytes()))
    }
}

/// A packet's key, ready for a table: worked out once, before the table is touched.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    /// The flow's key.
    pub key: FlowKey,
    /// The key's hash.
    pub hash: u64,
    /// The packet goes from the lower endpoint to the higher.
    pub forward: bool,
}

impl Keyed {
    /// The key of no packet.
    pub const NOTHING: Keyed = Keyed { key: FlowKey { high: 0, low: 0 }, hash: 0, forward: false };

    /// The key of a packet. All tables of a run share one `secret`.
    #[inline(always)]
    pub fn of(packet: &Packet, secret: u64) -> Self {
        let (key, forward) = FlowKey::of(packet, secret);
        Keyed { key, hash: key.hash(secret), forward }
    }
}

/// The shard that owns all that two addresses say to each other. Ports do not count, so that fragments, what an ICMP
/// error quotes, and the connections of one pair meet; the choice is the same in every run.
#[inline(always)]
pub const fn shard_of(a: Addr, b: Addr) -> usize {
    let [m0, m1, ..] = MIX;
    // a sum and a product do not depend on the order of their parts
    let high = a.high64().wrapping_add(b.high64());
    let product = a.low64().wrapping_mul(b.low64());
    (fold(a.low64() ^ b.low64() ^ high ^ m0, product ^ m1) >> 32) as usize % SHARDS
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address.
    pub addr: Addr,
    /// Its port; for ICMP the type or code that stands for one.
    pub port: u16,
}

/// The community id, version 1 (Corelight's specification), of a flow.
pub fn community_id(seed: u16, proto: u8, src: (IpAddr, u16), dst: (IpAddr, u16)) -> Short {
    let ports = matches!(proto, proto::TCP | proto::UDP | proto::SCTP | proto::ICMP | proto::ICMP6);
    // ICMP types without a counterpart are one-way: they keep the order of the wire
    let one_way = match proto {
        proto::ICMP => !matches!(src.1, 0 | 8 | 9 | 10 | 13..=18),
        proto::ICMP6 => !matches!(src.1, 128..=136 | 144 | 145),
        _ => false,
    };
    let (low, high) = if one_way || src <= dst { (src, dst) } else { (dst, src) };
    let mut message = Block::default();
    message.add(seed.to_be_bytes());
    for (ip, _) in [low, high] {
        match ip {
            IpAddr::V4(v4) => message.add(v4.octets()),
            IpAddr::V6(v6) => message.add(v6.octets()),
        }
    }
    message.add([proto, 0]);
    if ports {
        message.add(low.1.to_be_bytes());
        message.add(high.1.to_be_bytes());
    }
    let mut text = *b"1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    if let Some((_, digits)) = text.split_first_chunk_mut::<2>() {
        base64(&message.sha1(), digits);
    }
    Short::of(text)
}

/// A message to be hashed: with its end it fits into one block of SHA-1, so that nothing need be put together.
struct Block {
    bytes: [u8; 64],
    len: usize,
}

impl Default for Block {
    fn default() -> Self {
        Block { bytes: [0; 64], len: 0 }
    }
}

impl Block {
    #[inline(always)]
    fn add<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(room) = self.bytes.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut()) {
            *room = bytes;
            self.len = self.len.saturating_add(N);
        }
    }

    /// Its digest, of messages up to 55 bytes (FIPS 180-4 §5.1.1, §6.1).
    fn sha1(mut self) -> [u8; 20] {
        let bits = (self.len as u64).saturating_mul(8);
        self.add([0x80]);
        if let Some(end) = self.bytes.last_chunk_mut() {
            *end = bits.to_be_bytes();
        }
        let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        compress(&mut state, &[self.bytes]);
        let mut digest = [0; 20];
        for (slot, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *slot = word.to_be_bytes();
        }
        digest
    }
}

/// Writes `bytes` in base64 over `digits`, but for what fills up the last four, which stands there (RFC 4648 §4).
fn base64(bytes: &[u8], digits: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (three, four) in bytes.chunks(3).zip(digits.chunks_mut(4)) {
        let [a, b, c] = [0, 1, 2].map(|n| three.get(n).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, a, b, c]);
        for (digit, shift) in four.iter_mut().take(three.len().saturating_add(1)).zip([18, 12, 6, 0]) {
            *digit = ALPHABET.get((bits >> shift & 63) as usize).copied().unwrap_or(b'=');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Packet {
        Packet {
            src: Addr::v4(src),
            dst: Addr::v4(dst),
            src_port: sport,
            dst_port: dport,
            proto: proto::TCP,
            ..Packet::default()
        }
    }

    #[test]
    fn both_directions_have_one_key_and_one_shard() {
        let there = packet([10, 0, 0, 1], 5000, [52, 1, 2, 3], 443);
        let back = packet([52, 1, 2, 3], 443, [10, 0, 0, 1], 5000);
        let ((a, forward), (b, backward)) = (FlowKey::of(&there, 7), FlowKey::of(&back, 7));
        assert_eq!(a, b);
        assert_ne!(forward, backward);
        assert_eq!(a.ports(), (5000, 443));
        assert_eq!(a.v4_addresses(), (there.src, there.dst));
        assert_eq!(shard_of(there.src, there.dst), shard_of(back.src, back.dst));
        assert_eq!((a.proto(), a.is_v6()), (proto::TCP, false));
    }

    #[test]
    fn v6_keys_tell_addresses_apart() {
        let mut there = packet([0; 4], 1, [0; 4], 2);
        there.v6 = true;
        there.src = Addr::v6([1; 16]);
        there.dst = Addr::v6([2; 16]);
        let mut other = there;
        other.dst = Addr::v6([3; 16]);
        assert_ne!(FlowKey::of(&there, 7).0, FlowKey::of(&other, 7).0);
        assert!(FlowKey::of(&there, 7).0.is_v6());
    }

    #[test]
    fn community_ids_are_those_of_the_specification() {
        // the specification's baseline values for its own sample flows
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let id = community_id(0, proto::TCP, (ip("128.232.110.120"), 34855), (ip("66.35.250.204"), 80));
        assert_eq!(id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let back = community_id(0, proto::TCP, (ip("66.35.250.204"), 80), (ip("128.232.110.120"), 34855));
        assert_eq!(id, back);
        let udp = community_id(0, proto::UDP, (ip("192.168.1.52"), 54585), (ip("8.8.8.8"), 53));
        assert_eq!(udp, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        let ping = community_id(0, proto::ICMP, (ip("192.168.0.89"), 8), (ip("192.168.0.1"), 0));
        assert_eq!(ping, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    }
}
