//! Content taken out of a frame. Its length, and the lengths in its headers, stay; its checksums are set right.

use super::header::{Places, places, set_checksums};
use super::payload::kept;
use crate::decode::{Packet, arp, decode, proto};
use crate::source::Frame;

/// What of a frame that holds no IP packet is kept: addresses and type.
const LINK_HEAD: usize = 14;
/// The link type of a bare IP packet, as an ICMP error quotes one.
pub(crate) const BARE_IP: u16 = 101;
/// IGMP (RFC 3376), which names groups and nothing else.
const IGMP: u8 = 2;

/// The frame's bytes without content: what stands above TCP, UDP and SCTP is zeroed but for what explains the
/// conversation ([`super::payload`]). Of what is neither IP nor ARP the link header stays.
pub fn strip(frame: &Frame<'_>) -> Vec<u8> {
    let mut packet = Packet { ts: frame.ts, len: frame.len, frames: 1, ..Packet::default() };
    if decode(frame.link.0, frame.bytes, &mut packet).is_err() {
        let mut bytes = frame.bytes.to_vec();
        if arp::claim(frame.link.0, frame.bytes).is_none() {
            bytes.iter_mut().skip(LINK_HEAD).for_each(|byte| *byte = 0);
        }
        return bytes;
    }
    match places(frame.bytes, &packet) {
        Some(at) => {
            let mut bytes = strip_packet(frame.bytes, &packet, &at);
            set_checksums(&mut bytes, &packet, &at);
            bytes
        }
        None => {
            let mut bytes = frame.bytes.to_vec();
            let payload = usize::try_from(packet.payload_start).unwrap_or(usize::MAX);
            bytes.iter_mut().skip(payload).for_each(|byte| *byte = 0);
            bytes
        }
    }
}

/// The bytes of a packet without content; its checksums are what they were.
pub fn strip_packet(bytes: &[u8], packet: &Packet, at: &Places) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    clear(&mut bytes, packet, at);
    bytes
}

/// Zeroes the content of a packet, and whatever a link has put behind it.
fn clear(bytes: &mut [u8], packet: &Packet, at: &Places) {
    let payload = bytes.get(at.payload..at.end).unwrap_or_default();
    if matches!(packet.proto, proto::ICMP | proto::ICMP6)
        && let Some(quoted) = quote(packet, payload)
    {
        return put_quote(bytes, at, &quoted);
    }
    let stays = match packet.proto {
        proto::ICMP6 if finds_neighbours(packet) => std::iter::once(0..payload.len()).collect(),
        IGMP => std::iter::once(0..payload.len()).collect(),
        _ if packet.fragment.is_some() => Vec::new(),
        _ => kept(packet, payload),
    };
    let mut from = at.payload;
    for part in stays {
        let begin = at.payload.saturating_add(part.start);
        zero(bytes, from, begin);
        from = from.max(at.payload.saturating_add(part.end));
    }
    let end = bytes.len();
    zero(bytes, from, end);
}

/// The packet that an ICMP error quotes, without content; `None` of another message.
fn quote(packet: &Packet, payload: &[u8]) -> Option<Vec<u8>> {
    let quoted = quoted(packet, payload)?;
    let at = places(payload, &quoted)?;
    let mut bytes = match quoted.proto {
        // an error about an error is not sent (RFC 1122 §3.2.2), and what claims to be one is not followed further
        proto::ICMP | proto::ICMP6 => {
            let mut bytes = payload.to_vec();
            zero(&mut bytes, at.payload, payload.len());
            bytes
        }
        _ => strip_packet(payload, &quoted, &at),
    };
    set_checksums(&mut bytes, &quoted, &at);
    Some(bytes)
}

/// What an ICMP error quotes.
pub(crate) fn quoted(packet: &Packet, payload: &[u8]) -> Option<Packet> {
    let [_, _, kind, _] = packet.seq.to_be_bytes();
    let error = match packet.proto {
        proto::ICMP => matches!(kind, 3..=5 | 11 | 12),
        proto::ICMP6 => kind < 128,
        _ => false,
    };
    let mut quoted = Packet { frames: 1, ..Packet::default() };
    (error && decode(BARE_IP, payload, &mut quoted).is_ok()).then_some(quoted)
}

fn put_quote(bytes: &mut [u8], at: &Places, quoted: &[u8]) {
    if let Some(place) = bytes.get_mut(at.payload..at.payload.saturating_add(quoted.len())) {
        place.copy_from_slice(quoted);
    }
    let end = bytes.len();
    zero(bytes, at.end, end);
}

/// Whether an ICMPv6 message asks for neighbours or answers (RFC 4861): it carries addresses alone.
fn finds_neighbours(packet: &Packet) -> bool {
    let [_, _, kind, _] = packet.seq.to_be_bytes();
    matches!(kind, 133..=137)
}

fn zero(bytes: &mut [u8], from: usize, to: usize) {
    if let Some(part) = bytes.get_mut(from..to) {
        part.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LinkType;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_frame_keeps_its_length(bytes in prop::collection::vec(any::<u8>(), 0..200), link in prop_oneof![Just(1u16), Just(101), Just(113), any::<u16>()]) {
            let frame = Frame { ts: Timestamp(0), link: LinkType(link), len: 1500, bytes: &bytes };
            prop_assert_eq!(strip(&frame).len(), bytes.len());
        }

        #[test]
        fn a_datagram_loses_its_content(payload in prop::collection::vec(1u8.., 1..400), v in prop_oneof![Just(4u8), Just(6)]) {
            let length = u16::try_from(payload.len() + 8).unwrap();
            let ip = if v == 4 {
                let total = (length + 20).to_be_bytes();
                [&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0][..], &[10, 0, 0, 1], &[10, 0, 0, 2]].concat()
            } else {
                let length = length.to_be_bytes();
                [&[0x60, 0, 0, 0, length[0], length[1], 17, 64][..], &[0xfd; 16], &[0xfe; 16]].concat()
            };
            let udp = [&[0x9c, 0x40, 0x9c, 0x41][..], &length.to_be_bytes(), &[9, 9], &payload].concat();
            let bytes = [&ip[..], &udp].concat();
            let frame = Frame { ts: Timestamp(0), link: LinkType(101), len: bytes.len() as u32, bytes: &bytes };
            let told = strip(&frame);
            prop_assert!(told[bytes.len() - payload.len()..].iter().all(|b| *b == 0));
            prop_assert_eq!(told.len(), bytes.len());
            let mut packet = Packet::default();
            decode(101, &told, &mut packet).unwrap();
            // a checksum that is right stays what it is
            let mut again = told.clone();
            set_checksums(&mut again, &packet, &places(&told, &packet).unwrap());
            prop_assert_eq!(again, told);
        }
    }
}
