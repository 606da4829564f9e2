//! The straight way: an Ethernet frame with one VLAN tag at most, IPv4 or IPv6, and TCP or UDP, and nothing odd about
//! it.
//!
//! Most frames of most captures are such. They are read at fixed places, also where the capture cut their payload; a
//! frame that differs in anything is left to the way step by step, whose answer this one's always is (a property test
//! holds the two together).

use super::link::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use super::transport::{Fields, tcp_fields};
use super::{Addr, Packet, Tunnels, proto, tunnel};

/// Bytes before an untagged frame's IP header, and of a tag.
const LINK: usize = 14;
const TAG: usize = 4;

/// What the ethertype 0x8100 announces (IEEE 802.1Q §9.6).
const ETHERTYPE_TAG: u16 = 0x8100;

/// Reads a frame into `packet`, of which only what the caller has set is kept; false if it is not one of these, and
/// `packet` is then as it was.
#[inline(always)]
pub(super) fn decode(bytes: &[u8], packet: &mut Packet) -> bool {
    is_plainest(bytes, packet) || is_plain(bytes, packet)
}

/// Whether it has no tag, is IPv4, and is there to its end: the shortest way, which most frames go.
#[inline(always)]
fn is_plainest(bytes: &[u8], packet: &mut Packet) -> bool {
    let Some((head, transport)) = bytes.split_first_chunk::<{ LINK + 20 }>() else { return false };
    let &[_, _, _, _, _, _, _, _, _, _, _, _, t0, t1, ref head @ ..] = head;
    u16::from_be_bytes([t0, t1]) == ETHERTYPE_IPV4 && v4::<true>(head, transport, LINK, 0, packet)
}

/// Whether it is one of the others.
#[inline(never)]
fn is_plain(bytes: &[u8], packet: &mut Packet) -> bool {
    let Some((&[.., t0, t1], rest)) = bytes.split_first_chunk::<LINK>() else { return false };
    let ethertype = u16::from_be_bytes([t0, t1]);
    if ethertype != ETHERTYPE_TAG {
        return network(ethertype, rest, LINK, 0, packet);
    }
    let Some((&[i0, i1, t0, t1], rest)) = rest.split_first_chunk::<TAG>() else { return false };
    network(u16::from_be_bytes([t0, t1]), rest, LINK + TAG, u16::from_be_bytes([i0 & 0x0f, i1]), packet)
}

/// The same, from behind an ethertype, `at` bytes into the frame.
#[inline(always)]
fn network(ethertype: u16, rest: &[u8], at: usize, vlan: u16, packet: &mut Packet) -> bool {
    match ethertype {
        ETHERTYPE_IPV4 => {
            rest.split_first_chunk().is_some_and(|(head, behind)| v4::<false>(head, behind, at, vlan, packet))
        }
        ETHERTYPE_IPV6 => rest.split_first_chunk().is_some_and(|(head, behind)| v6(head, behind, at, vlan, packet)),
        _ => false,
    }
}

/// What an IP header says, and where the datagram stands.
struct Network {
    at: usize,
    header: usize,
    /// Bytes that it says that it carries.
    carried: usize,
    vlan: u16,
    src: Addr,
    dst: Addr,
    protocol: u8,
    ttl: u8,
    ip_id: u16,
    v6: bool,
}

/// Reads IPv4's header, which begins `at` bytes into the frame, and what stands behind it; `WHOLE`: only if it is all
/// there.
#[inline(always)]
fn v4<const WHOLE: bool>(head: &[u8; 20], behind: &[u8], at: usize, vlan: u16, packet: &mut Packet) -> bool {
    let &[0x45, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = head else {
        return false;
    };
    let carried = usize::from(u16::from_be_bytes([l0, l1])).wrapping_sub(20);
    // less than its own header is more than any datagram then
    if f0 & 0x3f | f1 != 0 || !WHOLE && carried > usize::from(u16::MAX) {
        return false;
    }
    let (src, dst) = (Addr::v4([s0, s1, s2, s3]), Addr::v4([d0, d1, d2, d3]));
    let ip_id = u16::from_be_bytes([i0, i1]);
    let network = Network { at, header: 20, carried, vlan, src, dst, protocol, ttl, ip_id, v6: false };
    network.read::<WHOLE>(behind, packet)
}

/// The same of IPv6.
#[inline(always)]
fn v6(head: &[u8; 40], behind: &[u8], at: usize, vlan: u16, packet: &mut Packet) -> bool {
    let &[first, _, _, _, l0, l1, protocol, ttl, ref addresses @ ..] = head;
    let carried = usize::from(u16::from_be_bytes([l0, l1]));
    // what says that it is empty carries all that is there, which the other way knows
    let (Some(src), Some(dst), 6, 1..) = (addresses.first_chunk(), addresses.last_chunk(), first >> 4, carried) else {
        return false;
    };
    let (src, dst) = (Addr::v6(*src), Addr::v6(*dst));
    let network = Network { at, header: 40, carried, vlan, src, dst, protocol, ttl, ip_id: 0, v6: true };
    network.read::<false>(behind, packet)
}

impl Network {
    /// Reads what stands behind the header; `WHOLE`: only if it is all there.
    #[inline(always)]
    fn read<const WHOLE: bool>(self, behind: &[u8], packet: &mut Packet) -> bool {
        let transport = match behind.get(..self.carried) {
            Some(transport) => transport,
            None if WHOLE => return false,
            None => behind,
        };
        let carried = if WHOLE { transport.len() } else { self.carried };
        let read = match self.protocol {
            proto::TCP => tcp(transport),
            proto::UDP => udp(transport, carried),
            _ => None,
        };
        let Some((header, fields)) = read else { return false };
        // one write of all fields: what stood there before need not be looked at
        *packet = Packet {
            ts: packet.ts,
            frame: packet.frame,
            len: packet.len,
            frames: packet.frames,
            src: self.src,
            dst: self.dst,
            payload_start: self.at.wrapping_add(self.header).wrapping_add(header) as u32,
            payload_captured: transport.len().wrapping_sub(header) as u32,
            payload_len: carried.wrapping_sub(header) as u32,
            seq: fields.seq,
            ack: fields.ack,
            src_port: fields.src_port,
            dst_port: fields.dst_port,
            window: fields.window,
            ip_id: self.ip_id,
            checksum: fields.checksum,
            vlan: [self.vlan, 0],
            tunnels: Tunnels::default(),
            proto: self.protocol,
            ttl: self.ttl,
            tcp_flags: fields.flags,
            options_len: if self.protocol == proto::TCP { (header as u8).wrapping_sub(20) } else { 0 },
            v6: self.v6,
            cut: carried > transport.len(),
            transport: true,
            fragment: None,
        };
        true
    }
}

/// The length of a TCP header and its fixed fields, if all of it is there.
#[inline(always)]
fn tcp(transport: &[u8]) -> Option<(usize, Fields)> {
    let (fields, header) = tcp_fields(transport.first_chunk::<20>()?);
    (header >= 20 && header <= transport.len()).then_some((header, fields))
}

/// The same of UDP, of which IP says that so many bytes are carried.
#[inline(always)]
fn udp(transport: &[u8], carried: usize) -> Option<(usize, Fields)> {
    let &[s0, s1, d0, d1, l0, l1, c0, c1] = transport.first_chunk::<8>()?;
    // a length of its own, where that differs, is the other way's to judge
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == carried;
    let (src_port, dst_port) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    // and so is a datagram that may carry a packet
    let plain = whole && !tunnel::has_port(src_port, dst_port);
    let checksum = u16::from_be_bytes([c0, c1]);
    plain.then_some((8, Fields { src_port, dst_port, checksum, ..Fields::default() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::step_by_step;

    /// Frames that are nearly plain: every field that is looked at is right more often than not.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let field = |right: Vec<u8>| prop_oneof![9 => Just(right), 1 => prop::collection::vec(any::<u8>(), 2)];
        let tag = prop_oneof![Just(vec![]), Just(vec![0x81, 0, 0x20, 7]), Just(vec![0x81, 0, 0xf0, 0])];
        let link = (tag, any::<bool>()).prop_flat_map(move |(tag, v6)| {
            let ethertype = field(if v6 { vec![0x86, 0xdd] } else { vec![8, 0] });
            (Just(tag), Just(v6), ethertype, prop_oneof![9 => Just(if v6 { 0x60u8 } else { 0x45 }), 1 => any::<u8>()])
        });
        let fragment = prop_oneof![9 => Just(vec![0x40, 0]), 1 => prop::collection::vec(any::<u8>(), 2)];
        let protocol = prop::sample::select(vec![6u8, 17, 17, 6, 1, 132]);
        // of the wire's bytes, behind which some may pad and of which the capture may have cut some
        let off = || prop_oneof![3 => Just(0isize), 1 => -3isize..4];
        let lengths = (0usize..120, off(), off(), prop_oneof![5 => Just(0x50u8), 1 => any::<u8>()], -120isize..20);
        (link, fragment, protocol, lengths, prop::collection::vec(any::<u8>(), 240)).prop_map(
            |((tag, v6, ethertype, version), fragment, protocol, (len, off_ip, off_udp, offset, pad), noise)| {
                let mut frame = [&noise[..12], &tag, &ethertype, &noise[12..]].concat();
                let put = |frame: &mut Vec<u8>, at: usize, bytes: &[u8]| {
                    frame.iter_mut().skip(at).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
                };
                let (ip, header) = (LINK + tag.len(), if v6 { 40 } else { 20 });
                put(&mut frame, ip, &[version]);
                let says = (if v6 { len } else { 20 + len } as isize + off_ip).to_be_bytes();
                put(&mut frame, ip + if v6 { 4 } else { 2 }, &says[6..]);
                put(&mut frame, ip + if v6 { 6 } else { 9 }, &[protocol]);
                if !v6 {
                    put(&mut frame, ip + 6, &fragment);
                }
                match protocol {
                    17 => put(&mut frame, ip + header + 4, &(len as isize + off_udp).to_be_bytes()[6..]),
                    _ => put(&mut frame, ip + header + 12, &[offset]),
                }
                frame.truncate(((ip + header + len) as isize + pad).max(0) as usize);
                frame
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]
        #[test]
        fn says_what_step_by_step_says(frame in frames()) {
            let (mut straight, mut stepped) = (Packet::default(), Packet::default());
            let read = decode(&frame, &mut straight);
            let answer = step_by_step(1, &frame, &mut stepped);
            if read {
                prop_assert_eq!(answer, Ok(()));
                prop_assert_eq!(format!("{straight:?}"), format!("{stepped:?}"));
            } else {
                prop_assert_eq!(format!("{straight:?}"), format!("{:?}", Packet::default()));
            }
        }
    }

    #[test]
    fn a_tunnels_datagram_does_not() {
        let mut frame = [0u8; 60];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        frame[16..18].copy_from_slice(&[0, 46]);
        frame[38..40].copy_from_slice(&[0, 26]);
        frame[23] = proto::UDP;
        for (to, straight) in [(53u16, true), (4789, false), (4788, true)] {
            frame[36..38].copy_from_slice(&to.to_be_bytes());
            assert_eq!(decode(&frame, &mut Packet::default()), straight, "{to}");
        }
    }

    #[test]
    fn a_plain_frame_goes_straight() {
        for (tag, ethertype, ip) in [
            (&[][..], [8, 0], &[0x45, 0, 0, 40][..]),
            (&[0x81, 0, 0, 7], [8, 0], &[0x45, 0, 0, 40]),
            (&[], [0x86, 0xdd], &[0x60, 0, 0, 0, 0, 20]),
            (&[0x81, 0, 0, 7], [0x86, 0xdd], &[0x60, 0, 0, 0, 0, 20]),
        ] {
            let mut frame = [&[0; 12], tag, &ethertype, ip, &[0; 80]].concat();
            let (at, v6) = (LINK + tag.len(), ip[0] == 0x60);
            let (protocol, offset) = if v6 { (6, 52) } else { (9, 32) };
            (frame[at + protocol], frame[at + offset]) = (proto::TCP, 0x50);
            let mut packet = Packet::default();
            assert!(decode(&frame, &mut packet), "{tag:?} {ip:?}");
            assert_eq!((packet.v6, packet.vlan), (v6, [if tag.is_empty() { 0 } else { 7 }, 0]));
        }
    }

    #[test]
    fn so_does_one_whose_payload_the_capture_cut() {
        let mut frame = [0u8; 60];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        frame[16..18].copy_from_slice(&[5, 0]);
        (frame[23], frame[46]) = (proto::TCP, 0x50);
        let mut packet = Packet::default();
        assert!(decode(&frame, &mut packet));
        assert_eq!((packet.cut, packet.payload_captured, packet.payload_len), (true, 6, 1240));
        // but not where it cut the header
        assert!(!decode(&frame[..53], &mut Packet::default()));
    }
}
