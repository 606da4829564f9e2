//! Captures made by hand, for tests.

use super::pcap::Order;

/// One frame to write: seconds, fraction of a second in ticks, wire length, bytes.
pub(super) type Sent<'a> = (u32, u32, u32, &'a [u8]);

pub(super) fn u16_in(order: Order, n: u16) -> [u8; 2] {
    if order == Order::Big { n.to_be_bytes() } else { n.to_le_bytes() }
}

pub(super) fn u32_in(order: Order, n: u32) -> [u8; 4] {
    if order == Order::Big { n.to_be_bytes() } else { n.to_le_bytes() }
}

pub(super) fn u64_in(order: Order, n: u64) -> [u8; 8] {
    if order == Order::Big { n.to_be_bytes() } else { n.to_le_bytes() }
}

/// A classic capture of the given magic and version; the modified kind gets its longer records.
pub(super) fn pcap(order: Order, magic: u32, version: (u16, u16), link: u32, frames: &[Sent]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(u32_in(order, magic));
    out.extend(u16_in(order, version.0));
    out.extend(u16_in(order, version.1));
    for word in [0, 0, 65_535, link] {
        out.extend(u32_in(order, word));
    }
    for &(seconds, fraction, len, bytes) in frames {
        for word in [seconds, fraction, bytes.len() as u32, len] {
            out.extend(u32_in(order, word));
        }
        if magic == 0xa1b2_cd34 {
            out.extend([0x55; 8]);
        }
        out.extend(bytes);
    }
    out
}

/// A plain capture: little-endian, microseconds, Ethernet.
pub(super) fn plain(frames: &[Sent]) -> Vec<u8> {
    pcap(Order::Little, 0xa1b2_c3d4, (2, 4), 1, frames)
}

/// One pcapng block around `body`, which is padded.
pub(super) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().wrapping_neg() & 3;
    let length = u32_in(order, (body.len() + padding + 12) as u32);
    [&u32_in(order, kind)[..], &length, body, &[0; 3][..padding], &length].concat()
}

pub(super) fn section(order: Order) -> Vec<u8> {
    let body = [&u32_in(order, 0x1a2b_3c4d)[..], &u16_in(order, 1), &u16_in(order, 0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

pub(super) fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let padding = value.len().wrapping_neg() & 3;
    [&u16_in(order, code)[..], &u16_in(order, value.len() as u16), value, &[0; 3][..padding]].concat()
}

pub(super) fn interface(order: Order, link: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&u16_in(order, link)[..], &[0; 2], &u32_in(order, snaplen), options].concat())
}

pub(super) fn enhanced(order: Order, interface: u32, ticks: u64, len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, len] {
        body.extend(u32_in(order, word));
    }
    body.extend(bytes);
    block(order, 6, &body)
}

pub(super) fn old_packet(order: Order, interface: u16, lost: u16, ticks: u64, bytes: &[u8]) -> Vec<u8> {
    let mut body = [u16_in(order, interface), u16_in(order, lost)].concat();
    for word in [(ticks >> 32) as u32, ticks as u32, bytes.len() as u32, bytes.len() as u32] {
        body.extend(u32_in(order, word));
    }
    body.extend(bytes);
    block(order, 2, &body)
}

pub(super) fn simple(order: Order, len: u32, bytes: &[u8]) -> Vec<u8> {
    block(order, 3, &[&u32_in(order, len)[..], bytes].concat())
}

pub(super) fn statistics(order: Order, interface: u32, interface_drops: u64, kernel_drops: u64) -> Vec<u8> {
    let mut body = [&u32_in(order, interface)[..], &[0; 8]].concat();
    body.extend(option(order, 5, &u64_in(order, interface_drops)));
    body.extend(option(order, 7, &u64_in(order, kernel_drops)));
    body.extend([0; 4]);
    block(order, 5, &body)
}
