//! TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260) headers; everything else is payload.
//!
//! A header that the capture cut still gives its ports when they are there. ICMP keeps its type and code in the
//! ports' place, as the community id specification orders them.

use super::ip::place;
use super::{Packet, proto};
use crate::wire::{Reader, Truncated};

/// Takes what stands at `r` as payload of `len` bytes on the wire.
#[inline(always)]
pub(super) fn bare(bytes: &[u8], r: Reader<'_>, len: usize, packet: &mut Packet) {
    packet.payload_start = place(bytes, &r);
    packet.payload_captured = u32::try_from(r.left().min(len)).unwrap_or(u32::MAX);
    packet.payload_len = u32::try_from(len).unwrap_or(u32::MAX);
}

/// Reads the transport header at `r`, `len` bytes with all that follows on the wire. What reads one protocol's says
/// whether the header told enough to go by.
#[inline(always)]
pub(super) fn decode(bytes: &[u8], r: Reader<'_>, len: usize, packet: &mut Packet) {
    let (bytes, r) = within(bytes, r, len);
    let read = match packet.proto {
        proto::TCP => tcp(bytes, r, len, packet),
        proto::UDP => udp(bytes, r, len, packet),
        proto::SCTP => sctp(bytes, r, len, packet),
        proto::ICMP | proto::ICMP6 => icmp(bytes, r, len, packet),
        _ => Err(Truncated),
    };
    packet.transport = read == Ok(true);
    if read.is_err() {
        bare(bytes, r, len, packet);
    }
}

/// What lies behind the datagram (Ethernet's padding) is neither its payload nor the rest of its header.
#[inline(always)]
fn within<'a>(bytes: &'a [u8], r: Reader<'a>, len: usize) -> (&'a [u8], Reader<'a>) {
    match r.rest().get(..len) {
        Some(rest) if rest.len() < r.left() => {
            let end = bytes.len().saturating_sub(r.left()).saturating_add(len);
            (bytes.get(..end).unwrap_or(bytes), Reader::new(rest))
        }
        _ => (bytes, r),
    }
}

#[inline(always)]
fn tcp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    let Ok(fixed) = r.array::<20>() else { return cut_tcp(bytes, r, len, packet) };
    let (fields, header) = tcp_fields(fixed);
    (packet.src_port, packet.dst_port) = (fields.src_port, fields.dst_port);
    (packet.seq, packet.ack, packet.tcp_flags) = (fields.seq, fields.ack, fields.flags);
    (packet.window, packet.checksum) = (fields.window, fields.checksum);
    // a data offset under five words cannot be; take the fixed header as all there is
    let options = header.saturating_sub(20);
    if options > 0 {
        let there = r.take_up_to(options.min(len.saturating_sub(20))).len();
        packet.options_len = u8::try_from(there).unwrap_or(0);
    }
    bare(bytes, r, len.saturating_sub(header.max(20)), packet);
    Ok(true)
}

/// What the fixed part of a TCP header says; of a UDP header what it has of that.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields {
    pub src_port: u16,
    pub dst_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
}

/// Reads the fixed part of a TCP header, and the length that it claims for the whole.
#[inline(always)]
pub(super) const fn tcp_fields(fixed: &[u8; 20]) -> (Fields, usize) {
    let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, off, flags, w0, w1, c0, c1, _, _] = fixed;
    let fields = Fields {
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
        checksum: u16::from_be_bytes([c0, c1]),
    };
    (fields, ((off >> 4) as usize) << 2)
}

/// A TCP header that is not there whole. False where its flags and its window are missing: nothing is to be concluded
/// from it then but that there was a packet between these ports, of about so much payload.
#[cold]
fn cut_tcp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    /// Where the window ends.
    const NEEDED: usize = 16;
    let rest = r.rest();
    (packet.src_port, packet.dst_port) = (r.u16()?, r.u16()?);
    let mut fixed = [0; 20];
    fixed.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
    let (fields, header) = tcp_fields(&fixed);
    let known = rest.len() >= NEEDED;
    packet.seq = fields.seq;
    if known {
        (packet.ack, packet.tcp_flags, packet.window) = (fields.ack, fields.flags, fields.window);
    }
    bare(bytes, Reader::new(&[]), len.saturating_sub(header.max(20)), packet);
    Ok(known)
}

#[inline(always)]
fn udp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    let &[s0, s1, d0, d1, l0, l1, c0, c1] = match r.array::<8>() {
        Ok(header) => header,
        Err(Truncated) => return cut_udp(bytes, r, len, packet),
    };
    packet.src_port = u16::from_be_bytes([s0, s1]);
    packet.dst_port = u16::from_be_bytes([d0, d1]);
    packet.checksum = u16::from_be_bytes([c0, c1]);
    let within = len.saturating_sub(8);
    let payload = match usize::from(u16::from_be_bytes([l0, l1])) {
        n if n < 8 => within,
        n => n.saturating_sub(8).min(within),
    };
    bare(bytes, r, payload, packet);
    Ok(true)
}

/// A UDP header that is not there whole: its ports, if they are.
#[cold]
fn cut_udp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    (packet.src_port, packet.dst_port) = (r.u16()?, r.u16()?);
    bare(bytes, Reader::new(&[]), len.saturating_sub(8), packet);
    Ok(true)
}

fn sctp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    (packet.src_port, packet.dst_port) = (r.u16()?, r.u16()?);
    r.take_up_to(8);
    bare(bytes, r, len.saturating_sub(12), packet);
    Ok(true)
}

fn icmp(bytes: &[u8], mut r: Reader<'_>, len: usize, packet: &mut Packet) -> Result<bool, Truncated> {
    let kind = r.u8()?;
    let code = r.u8()?;
    packet.checksum = r.u16().unwrap_or(0);
    r.take_up_to(4);
    (packet.src_port, packet.dst_port) = icmp_ports(packet.proto, kind, code);
    packet.seq = u32::from_be_bytes([0, 0, kind, code]);
    bare(bytes, r, len.saturating_sub(8), packet);
    Ok(true)
}

/// ICMP type and code in the place of ports: a request and its reply make one flow, as in Zeek and in the
/// community id specification.
fn icmp_ports(proto: u8, kind: u8, code: u8) -> (u16, u16) {
    let kind16 = u16::from(kind);
    let counterpart = if proto == proto::ICMP {
        match kind {
            0 => 8,
            8 => 0,
            13 => 14,
            14 => 13,
            15 => 16,
            16 => 15,
            17 => 18,
            18 => 17,
            9 => 10,
            10 => 9,
            _ => return (kind16, u16::from(code)),
        }
    } else {
        match kind {
            128 => 129,
            129 => 128,
            133 => 134,
            134 => 133,
            135 => 136,
            136 => 135,
            130 => 131,
            131 => 130,
            144 => 145,
            145 => 144,
            _ => return (kind16, u16::from(code)),
        }
    };
    (kind16, counterpart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(proto: u8, bytes: &[u8], len: usize) -> Packet {
        let mut packet = Packet { proto, ..Packet::default() };
        decode(bytes, Reader::new(bytes), len, &mut packet);
        packet
    }

    #[test]
    fn padding_is_no_header() {
        let packet = read(proto::TCP, &[0x11; 46], 3);
        assert_eq!((packet.transport, packet.src_port, packet.payload_captured), (false, 0, 3));
        let packet = read(proto::UDP, &[0x11; 46], 4);
        assert_eq!((packet.transport, packet.src_port, packet.checksum), (true, 0x1111, 0));
    }

    #[test]
    fn what_is_left_of_a_cut_header_is_no_payload() {
        let packet = read(proto::SCTP, &[0x11; 9], 13);
        assert_eq!((packet.src_port, packet.payload_captured, packet.payload_len), (0x1111, 0, 1));
        let packet = read(proto::ICMP, &[8, 0, 0, 0, 1, 2], 10);
        assert_eq!((packet.payload_captured, packet.payload_len), (0, 2));
        let packet = read(proto::UDP, &[0, 53, 0, 9, 0], 108);
        assert_eq!((packet.src_port, packet.payload_captured, packet.payload_len), (53, 0, 100));
    }

    #[test]
    fn of_a_cut_tcp_header_is_told_what_is_there() {
        let header = [1, 187, 200, 1, 0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0x10, 0x20, 0, 0xab, 0xcd, 0, 0];
        for left in 0..20 {
            let packet = read(proto::TCP, &header[..left], 132);
            let known = left >= 16;
            assert_eq!(packet.transport, known, "{left}");
            assert_eq!(packet.src_port, if left >= 4 { 443 } else { 0 }, "{left}");
            let fields = (packet.ack, packet.tcp_flags, packet.window, packet.options_len);
            assert_eq!(fields, if known { (9, 0x10, 0x2000, 0) } else { (0, 0, 0, 0) }, "{left}");
            let payload = match left {
                0..4 => 132,
                4..13 => 112,
                _ => 100,
            };
            assert_eq!(
                (packet.payload_captured.min(1), packet.payload_len),
                (u32::from((1..4).contains(&left)), payload)
            );
        }
    }
}
