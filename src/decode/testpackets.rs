//! Packets made by hand for this module's tests, from the inside out.

use super::{Packet, Undecoded, decode};

/// What a frame gave: ports, tunnels, VLAN ids.
pub type Seen = ((u16, u16), Vec<&'static str>, [u16; 2]);

/// Decodes a frame.
pub fn read(link: u16, frame: &[u8]) -> Result<Packet, Undecoded> {
    let mut packet = Packet { frames: 1, len: frame.len() as u32, ..Packet::default() };
    decode(link, frame, &mut packet).map(|()| packet)
}

/// Decodes a frame to what the tests look at.
pub fn seen(link: u16, frame: &[u8]) -> Result<Seen, Undecoded> {
    read(link, frame).map(|p| ((p.src_port, p.dst_port), p.tunnels.names().collect(), p.vlan))
}

/// The ports of [`inner4`] and [`inner6`].
pub const PORTS: (u16, u16) = (40_000, 53);

/// What a frame with nothing around its packet gives, and what one with these tunnels gives.
pub fn through(tunnels: &[&'static str]) -> Result<Seen, Undecoded> {
    Ok((PORTS, tunnels.to_vec(), [0, 0]))
}

pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = [from.to_be_bytes(), to.to_be_bytes(), (payload.len() as u16 + 8).to_be_bytes(), [0; 2]].concat();
    out.extend(payload);
    out
}

pub fn ip4(proto: u8, payload: &[u8]) -> Vec<u8> {
    ip4_part(proto, 0, payload)
}

/// With that word of flags and fragment offset.
pub fn ip4_part(proto: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16 + 20).to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    [&[0x45, 0, l0, l1, 0x12, 0x34, f0, f1, 64, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2][..], payload].concat()
}

pub fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    ip6_from([0x20, 1, 0x0d, 0xb8], next, payload)
}

/// With source and destination of that prefix.
pub fn ip6_from(prefix: [u8; 4], next: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16).to_be_bytes();
    let address = |last: u8| [&prefix[..], &[0; 11], &[last]].concat();
    [&[0x60, 0, 0, 0, l0, l1, next, 64][..], &address(1), &address(2), payload].concat()
}

pub fn ether(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ethertype.to_be_bytes(), payload].concat()
}

/// A UDP datagram over IPv4.
pub fn inner4() -> Vec<u8> {
    ip4(17, &udp(PORTS.0, PORTS.1, b"question"))
}

/// A UDP datagram over IPv6.
pub fn inner6() -> Vec<u8> {
    ip6(17, &udp(PORTS.0, PORTS.1, b"question"))
}

/// [`inner4`] in an Ethernet frame.
pub fn inner_frame() -> Vec<u8> {
    ether(0x0800, &inner4())
}

/// [`inner4`] behind LLC and SNAP.
pub fn inner_snap() -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &inner4()].concat()
}
