//! Where the headers of a frame's innermost packet stand, and their checksums (RFC 791, 768, 9293, 4443, 9260).
//!
//! Decoding keeps the payload's place alone. The header before it is found again by the addresses that it must hold, so
//! what cannot be found is left alone.

use crc::{CRC_32_ISCSI, Crc};

use crate::decode::{Packet, proto};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The places of a packet's headers in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where the IP header begins.
    pub ip: usize,
    /// Where the transport header begins.
    pub transport: usize,
    /// Where the payload begins.
    pub payload: usize,
    /// Where the packet ends, as far as it was captured; what follows is padding.
    pub end: usize,
}

/// Finds the headers of the packet that was decoded from `bytes`. `None` where they are cut or cannot be told.
pub fn places(bytes: &[u8], packet: &Packet) -> Option<Places> {
    let payload = usize::try_from(packet.payload_start).ok()?;
    let fixed = match (packet.fragment.is_some() || !packet.transport, packet.proto) {
        (true, _) => 0,
        (_, proto::TCP) => usize::from(packet.options_len).checked_add(20)?,
        (_, proto::UDP | proto::ICMP | proto::ICMP6) => 8,
        (_, proto::SCTP) => 12,
        _ => 0,
    };
    let transport = payload.checked_sub(fixed)?;
    let end = payload.checked_add(usize::try_from(packet.payload_captured).ok()?)?.min(bytes.len());
    let ip = if packet.v6 { find_v6(bytes, packet, transport) } else { find_v4(bytes, packet, transport) }?;
    Some(Places { ip, transport, payload, end })
}

fn find_v4(bytes: &[u8], packet: &Packet, transport: usize) -> Option<usize> {
    let ends = [packet.src.low32().to_be_bytes(), packet.dst.low32().to_be_bytes()].concat();
    (5usize..=15).find_map(|words| {
        let at = transport.checked_sub(words.checked_mul(4)?)?;
        let header = bytes.get(at..transport)?;
        let first = usize::from(*header.first()?);
        (first == 0x40 | words && header.get(12..20)? == ends).then_some(at)
    })
}

fn find_v6(bytes: &[u8], packet: &Packet, transport: usize) -> Option<usize> {
    let end = |addr: crate::decode::Addr| [addr.high64().to_be_bytes(), addr.low64().to_be_bytes()].concat();
    let ends = [end(packet.src), end(packet.dst)].concat();
    let last = transport.checked_sub(40)?;
    (0..=last).rev().find(|at| {
        let header = bytes.get(*at..at.saturating_add(40));
        header.is_some_and(|h| h.first().is_some_and(|v| v >> 4 == 6) && h.get(8..40) == Some(&*ends))
    })
}

/// Sets the checksums of a packet's IPv4 and transport headers right. One that the capture does not hold the bytes for
/// is left as it is, and so is that of UDP where there is none.
pub fn set_checksums(bytes: &mut [u8], packet: &Packet, at: &Places) {
    if !packet.v6 {
        set_v4_header(bytes, at.ip, at.transport);
    }
    if packet.cut || packet.fragment.is_some() || !packet.transport {
        return;
    }
    let field = match packet.proto {
        proto::TCP => 16,
        proto::UDP => 6,
        proto::ICMP | proto::ICMP6 => 2,
        proto::SCTP => return set_sctp(bytes, at),
        _ => return,
    };
    let Some(field) = at.transport.checked_add(field) else { return };
    let Some(old) = bytes.get(field..field.saturating_add(2)) else { return };
    if packet.proto == proto::UDP && old == [0, 0] && !packet.v6 {
        return;
    }
    put(bytes, field, 0);
    let Some(segment) = bytes.get(at.transport..at.end) else { return };
    let mut sum = sum16(0, segment);
    if packet.proto != proto::ICMP {
        let addresses = if packet.v6 {
            at.ip.saturating_add(8)..at.ip.saturating_add(40)
        } else {
            at.ip.saturating_add(12)..at.ip.saturating_add(20)
        };
        sum = sum16(sum, bytes.get(addresses).unwrap_or_default());
        let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
        sum = sum16(sum, &length.to_be_bytes());
        sum = sum16(sum, &[0, packet.proto]);
    }
    let folded = match (fold(sum), packet.proto) {
        (0, proto::UDP) => 0xffff,
        (folded, _) => folded,
    };
    put(bytes, field, folded);
}

/// Sets the checksum of the IPv4 header from `ip` to `end` right.
fn set_v4_header(bytes: &mut [u8], ip: usize, end: usize) {
    let length = bytes.get(ip).map_or(0, |first| usize::from(first & 0x0f).saturating_mul(4));
    let field = ip.saturating_add(10);
    let end = ip.saturating_add(length).min(end);
    if end > field.saturating_add(1) {
        put(bytes, field, 0);
        let sum = fold(sum16(0, bytes.get(ip..end).unwrap_or_default()));
        put(bytes, field, sum);
    }
}

fn set_sctp(bytes: &mut [u8], at: &Places) {
    let field = at.transport.saturating_add(8);
    let Some(place) = bytes.get_mut(field..field.saturating_add(4)) else { return };
    place.fill(0);
    let Some(crc) = bytes.get(at.transport..at.end).map(|packet| CRC32C.checksum(packet)) else { return };
    if let Some(place) = bytes.get_mut(field..field.saturating_add(4)) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(2)) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn sum16(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        if let [high, low] = word {
            sum = sum.saturating_add(u64::from(u16::from_be_bytes([*high, *low])));
        }
    }
    match words.remainder() {
        [last] => sum.saturating_add(u64::from(*last) << 8),
        _ => sum,
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
