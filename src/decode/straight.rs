//! The straight way: an untagged Ethernet frame with IPv4 and TCP or UDP, all there and nothing odd about it.
//!
//! Most frames of most captures are such. They are read at fixed places; a frame that differs in anything is left to
//! the way step by step, whose answer this one's always is (a property test holds the two together).

use super::transport::{Fields, tcp_fields};
use super::{Addr, Packet, Tunnels, proto, tunnel};

/// Bytes before IPv4's header, and with it.
const LINK: usize = 14;
const NETWORK: usize = LINK + 20;

/// Reads a frame into `packet`, of which only what the caller has set is kept; false if it is not one of these, and
/// `packet` is then as it was.
#[inline(always)]
pub(super) fn decode(bytes: &[u8], packet: &mut Packet) -> bool {
    let Some((head, transport)) = bytes.split_first_chunk::<NETWORK>() else { return false };
    let &[
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        0x08,
        0x00,
        0x45,
        _,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        ttl,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = head
    else {
        return false;
    };
    // what the header says is carried, if the capture has it all
    let carried = usize::from(u16::from_be_bytes([l0, l1])).wrapping_sub(20);
    let Some(transport) = transport.get(..carried).filter(|_| f0 & 0x3f | f1 == 0) else { return false };
    let read = match protocol {
        proto::TCP => tcp(transport),
        proto::UDP => udp(transport),
        _ => None,
    };
    let Some((header, fields)) = read else { return false };
    let payload = transport.len().wrapping_sub(header) as u32;
    // one write of all fields: what stood there before need not be looked at
    *packet = Packet {
        ts: packet.ts,
        frame: packet.frame,
        len: packet.len,
        frames: packet.frames,
        src: Addr::v4([s0, s1, s2, s3]),
        dst: Addr::v4([d0, d1, d2, d3]),
        payload_start: NETWORK.wrapping_add(header) as u32,
        payload_captured: payload,
        payload_len: payload,
        seq: fields.seq,
        ack: fields.ack,
        src_port: fields.src_port,
        dst_port: fields.dst_port,
        window: fields.window,
        ip_id: u16::from_be_bytes([i0, i1]),
        checksum: fields.checksum,
        vlan: [0; 2],
        tunnels: Tunnels::default(),
        proto: protocol,
        ttl,
        tcp_flags: fields.flags,
        options_len: if protocol == proto::TCP { (header as u8).wrapping_sub(20) } else { 0 },
        v6: false,
        cut: false,
        transport: true,
        fragment: None,
    };
    true
}

/// The length of a TCP header and its fixed fields, if all of it is there.
#[inline(always)]
fn tcp(transport: &[u8]) -> Option<(usize, Fields)> {
    let (fields, header) = tcp_fields(transport.first_chunk::<20>()?);
    (header >= 20 && header <= transport.len()).then_some((header, fields))
}

/// The same of UDP.
#[inline(always)]
fn udp(transport: &[u8]) -> Option<(usize, Fields)> {
    let &[s0, s1, d0, d1, l0, l1, c0, c1] = transport.first_chunk::<8>()?;
    // a length of its own, where that differs, is the other way's to judge
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == transport.len();
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
        let head = (field(vec![8, 0]), prop_oneof![9 => Just(0x45u8), 1 => any::<u8>()], field(vec![0x40, 0]));
        let protocol = prop::sample::select(vec![6u8, 17, 17, 6, 1, 132]);
        let lengths =
            (0usize..120, -3isize..4, -3isize..4, prop_oneof![5 => Just(0x50u8), 1 => any::<u8>()], 0usize..20);
        (head, protocol, lengths, prop::collection::vec(any::<u8>(), 200)).prop_map(
            |((ethertype, version, fragment), protocol, (len, off_ip, off_udp, offset, pad), noise)| {
                let mut frame = noise[..34 + len + pad].to_vec();
                let put = |frame: &mut Vec<u8>, at: usize, bytes: &[u8]| {
                    frame.iter_mut().skip(at).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
                };
                put(&mut frame, 12, &ethertype);
                put(&mut frame, 14, &[version]);
                put(&mut frame, 16, &((20 + len) as isize + off_ip).to_be_bytes()[6..]);
                put(&mut frame, 20, &fragment);
                put(&mut frame, 23, &[protocol]);
                match protocol {
                    17 => put(&mut frame, 38, &(len as isize + off_udp).to_be_bytes()[6..]),
                    _ => put(&mut frame, 46, &[offset]),
                }
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
        let mut frame = [0u8; 60];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        frame[16..18].copy_from_slice(&[0, 40]);
        (frame[23], frame[46]) = (proto::TCP, 0x50);
        assert!(decode(&frame, &mut Packet::default()));
    }
}
