//! What UDP carries by port: VXLAN (RFC 7348) with its generic extension, GENEVE (RFC 8926), GTP-U (3GPP TS 29.281)
//! and its version 0 (GSM 09.60), L2TP (RFC 2661, RFC 3931 §4.1.2), Teredo (RFC 4380), AYIYA
//! (draft-massar-v6ops-ayiya), GRE and MPLS in UDP (RFC 8086, RFC 7510), LISP (RFC 9300), TZSP, CAPWAP data
//! (RFC 5415).
//!
//! A port alone means nothing, so everything that a header fixes is checked: versions, reserved bits where the
//! specification has receivers look at them, lengths; and an IP packet that stands right behind such a header must fill
//! the datagram. Refused: control messages, and what is encrypted.

use super::super::radio::{self, Layout};
use super::super::shim::{is_ethernet, mpls};
use super::super::{Layer, Packet};
use super::{Tunnel, Tunnels, gre, ip};
use crate::wire::Reader;

/// How many headers of one kind are passed before a packet counts as hostile.
const MAX_EXTENSIONS: usize = 16;

/// Whether one of the ports is a tunnel's. Almost no packet has one between the lowest and the highest of them, but for
/// TZSP's, which only its receiver has.
#[inline(always)]
pub(in super::super) fn has_port(from: u16, to: u16) -> bool {
    let near = |port: u16| (L2TP..=VXLAN_OF_LINUX).contains(&port);
    (near(from) || near(to) || to == TZSP) && is_port(from, to)
}

const L2TP: u16 = 1701;
const GTP: u16 = 2152;
const GTP_0: u16 = 3386;
const TEREDO: u16 = 3544;
const VXLAN_OF_LINUX: u16 = 8472;
const TZSP: u16 = 37008;

#[inline(never)]
fn is_port(from: u16, to: u16) -> bool {
    let is_one = |port: u16| {
        matches!(
            port,
            L2TP | GTP | GTP_0 | TEREDO | 4341 | 4342 | 4754 | 4789 | 4790 | 5072 | 5247 | 6081 | 6635 | VXLAN_OF_LINUX
        )
    };
    is_one(from) || is_one(to) || to == TZSP
}

/// What `outer` carries at `r`, if it is a tunnel's packet by either port.
pub(super) fn carried(outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let before = (*r, *tunnels);
    by_port(outer.dst_port, outer, r, tunnels).or_else(|| {
        (*r, *tunnels) = before;
        by_port(outer.src_port, outer, r, tunnels)
    })
}

fn by_port(port: u16, outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let layer = announced(port, outer, r, tunnels)?;
    match layer {
        // Teredo may have trailers behind its packet (RFC 6081 §4) and has addresses of its own; GTP has a length
        _ if matches!(port, TEREDO | GTP | GTP_0) => Some(layer),
        Layer::Ip | Layer::Ethertype(0x0800 | 0x86dd) => fills(outer, *r).then_some(layer),
        _ => Some(layer),
    }
}

/// Whether the IP packet at `r` ends where `outer` does. Its length may be missing where it would not fit its field.
fn fills(outer: &Packet, r: Reader<'_>) -> bool {
    let before = (outer.payload_captured as usize).saturating_sub(r.left());
    let left = (outer.payload_len as usize).saturating_sub(before);
    let (fixed, field) = match r.peek::<6>() {
        Ok(&[first, _, l0, l1, _, _]) if first >> 4 == 4 => (0, [l0, l1]),
        Ok(&[first, _, _, _, l0, l1]) if first >> 4 == 6 => (40, [l0, l1]),
        _ => return false,
    };
    match usize::from(u16::from_be_bytes(field)) {
        0 => left == fixed || left > usize::from(u16::MAX),
        length => length.saturating_add(fixed) == left,
    }
}

/// What the header of that port's tunnel announces.
fn announced(port: u16, outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    match port {
        L2TP => l2tp(r, tunnels),
        GTP | GTP_0 => gtp(outer, r, tunnels),
        TEREDO => teredo(outer, r, tunnels),
        4341 | 4342 => lisp(port, r, tunnels),
        4754 => {
            let gre = r.peek::<2>().ok()?;
            // RFC 8086 §3: checksum, key and sequence number at most, version 0
            (u16::from_be_bytes(*gre) & !0xb000 == 0).then_some(())?;
            gre::carried(r, tunnels)
        }
        4789 | VXLAN_OF_LINUX => vxlan(r, tunnels),
        4790 => vxlan_gpe(r, tunnels),
        5072 => ayiya(r, tunnels),
        5247 => capwap(r, tunnels),
        6081 => geneve(r, tunnels),
        6635 => mpls(r, tunnels).ok(),
        TZSP => tzsp(r, tunnels),
        _ => None,
    }
}

/// RFC 7348 §5: the flag that says there is a network id. Other bits are reserved, and used.
fn vxlan(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let &[flags, ..] = r.array::<8>().ok()?;
    (flags & 0x08 != 0).then_some(())?;
    tunnels.push(Tunnel::Vxlan)?;
    Some(Layer::Ethernet)
}

/// draft-ietf-nvo3-vxlan-gpe §3: version 0, and the protocol where its flag says that it is there.
fn vxlan_gpe(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let &[flags, _, _, next, ..] = r.array::<8>().ok()?;
    (flags & 0x38 == 0x08).then_some(())?;
    tunnels.push(Tunnel::VxlanGpe)?;
    match next {
        _ if flags & 0x04 == 0 => Some(Layer::Ethernet),
        1 | 2 => Some(Layer::Ip),
        3 => Some(Layer::Ethernet),
        4 => Some(Layer::Ethertype(0x894f)),
        5 => Some(Layer::Ethertype(0x8847)),
        _ => None,
    }
}

/// RFC 8926 §3.4: version 0, options in words, no control message.
fn geneve(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let &[words, flags, t0, t1, ..] = r.array::<8>().ok()?;
    const CONTROL: u8 = 0x80;
    (words & 0xc0 == 0 && flags & CONTROL == 0).then_some(())?;
    r.skip(usize::from(words & 0x3f).saturating_mul(4)).ok()?;
    tunnels.push(Tunnel::Geneve)?;
    Some(Layer::Ethertype(u16::from_be_bytes([t0, t1])))
}

/// 3GPP TS 29.281 §5.1: version 1, a user packet, optional fields if any of three flags is set, extension headers.
/// Version 0 has a header of 20 bytes (GSM 09.60 §6).
fn gtp(outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const USER_PACKET: u8 = 255;
    let &[flags, kind, l0, l1, ..] = r.peek::<8>().ok()?;
    let header = match flags >> 5 {
        1 => 8usize,
        0 => 20,
        _ => return None,
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let fits = header.saturating_add(length) == outer.payload_len as usize;
    (flags & 0x10 != 0 && kind == USER_PACKET && fits).then_some(())?;
    r.skip(header).ok()?;
    if header == 8 && flags & 0x07 != 0 {
        let &[_, _, _, mut next] = r.array::<4>().ok()?;
        for _ in 0..MAX_EXTENSIONS {
            if next == 0 || flags & 0x04 == 0 {
                break;
            }
            let words = r.u8().ok()?;
            r.skip(usize::from(words).saturating_mul(4).checked_sub(2)?).ok()?;
            next = r.u8().ok()?;
        }
    }
    tunnels.push(Tunnel::Gtp)?;
    // of a session's type the packet says nothing
    match r.peek::<1>().map(|[first]| first >> 4) {
        Ok(4 | 6) => Some(Layer::Ip),
        _ => is_ethernet(*r).then_some(Layer::Ethernet),
    }
}

/// RFC 2661 §3.1: a data message of version 2, PPP in it; or of version 3 (RFC 3931 §4.1.2.1), Ethernet in it.
fn l2tp(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const PRIORITY: u16 = 0x0100;
    let flags = r.u16().ok()?;
    tunnels.push(Tunnel::L2tp)?;
    if flags == 3 {
        r.skip(2).ok()?;
        (r.u32().ok()? != 0).then_some(())?;
        return ip::l2tp3_frame(r);
    }
    (flags & !(LENGTH | SEQUENCE | OFFSET | PRIORITY) == 2).then_some(())?;
    if flags & LENGTH != 0 {
        r.skip(2).ok()?;
    }
    let (tunnel, session) = (r.u16().ok()?, r.u16().ok()?);
    (tunnel != 0 && session != 0).then_some(())?;
    if flags & SEQUENCE != 0 {
        r.skip(4).ok()?;
    }
    if flags & OFFSET != 0 {
        let padding = r.u16().ok()?;
        r.skip(usize::from(padding)).ok()?;
    }
    Some(Layer::Ppp)
}

/// RFC 4380 §5.1.1: authentication and origin indications, then IPv6, in Teredo's own addresses or link-local ones on
/// at least one side, that fills the datagram.
fn teredo(outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    if r.peek::<2>() == Ok(&[0, 1]) {
        let &[_, _, id, authentication] = r.array::<4>().ok()?;
        r.skip(usize::from(id).saturating_add(usize::from(authentication)).saturating_add(9)).ok()?;
    }
    if r.peek::<2>() == Ok(&[0, 0]) {
        r.skip(8).ok()?;
    }
    let before = (outer.payload_captured as usize).checked_sub(r.left())?;
    let mut header = *r;
    let &[first, _, _, _, l0, l1, _, _] = header.array::<8>().ok()?;
    let length = usize::from(u16::from_be_bytes([l0, l1])).saturating_add(40);
    let fits = length <= (outer.payload_len as usize).saturating_sub(before);
    let mut is_teredo =
        || header.array::<16>().is_ok_and(|a| a.starts_with(&[0x20, 1, 0, 0]) || a.starts_with(&[0xfe, 0x80]));
    (first >> 4 == 6 && fits && (is_teredo() || is_teredo())).then_some(())?;
    tunnels.push(Tunnel::Teredo)?;
    Some(Layer::Ip)
}

/// AYIYA: identity and signature of the lengths that the first two bytes give, a forwarded packet, its protocol.
fn ayiya(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const FORWARD: u8 = 1;
    let &[identity, signature, operation, next, ..] = r.array::<8>().ok()?;
    (operation & 0x0f == FORWARD && matches!(next, 4 | 41)).then_some(())?;
    let identity = 1usize.checked_shl(u32::from(identity >> 4))?;
    r.skip(usize::from(signature >> 4).saturating_mul(4).saturating_add(identity)).ok()?;
    tunnels.push(Tunnel::Ayiya)?;
    Some(Layer::Ip)
}

/// RFC 9300 §5.1 for data, §6.1.8 for an encapsulated control message.
fn lisp(port: u16, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const ENCAPSULATED: u8 = 8;
    if port == 4342 {
        let &[kind, _, _, _] = r.array::<4>().ok()?;
        (kind >> 4 == ENCAPSULATED).then_some(())?;
    } else {
        r.skip(8).ok()?;
    }
    tunnels.push(Tunnel::Lisp)?;
    Some(Layer::Ip)
}

/// TaZmen's sniffer protocol, as access points and routers mirror with it: version 1, a received or sent packet, its
/// link type, tags up to the one that ends them.
fn tzsp(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let &[version, kind, p0, p1] = r.array::<4>().ok()?;
    (version == 1 && kind < 2).then_some(())?;
    let layer = match u16::from_be_bytes([p0, p1]) {
        1 => Layer::Ethernet,
        18 => Layer::Wireless(Layout::default()),
        119 => Layer::Link(119),
        _ => return None,
    };
    for _ in 0..MAX_EXTENSIONS {
        match r.u8().ok()? {
            PADDING => {}
            END => {
                tunnels.push(Tunnel::Tzsp)?;
                return Some(layer);
            }
            _ => drop(r.vec8().ok()?),
        }
    }
    None
}

/// RFC 5415 §4.3: version 0, no DTLS, a whole packet; its frame is Ethernet's or 802.11's.
fn capwap(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let &[preamble, length, binding, flags, _, _, _, _] = r.peek::<8>().ok()?;
    const NATIVE: u8 = 0x01;
    const FRAGMENT: u8 = 0x80;
    const KEEP_ALIVE: u8 = 0x08;
    const RADIO_80211: u8 = 1;
    let words = usize::from(length >> 3);
    (preamble == 0 && words >= 2 && flags & (FRAGMENT | KEEP_ALIVE) == 0).then_some(())?;
    r.skip(words.saturating_mul(4)).ok()?;
    tunnels.push(Tunnel::Capwap)?;
    match (binding & NATIVE != 0, binding >> 1 & 0x1f) {
        (false, _) => Some(Layer::Ethernet),
        (true, RADIO_80211) => Some(Layer::Wireless(Layout { swapped: radio::is_swapped(*r), ..Layout::default() })),
        _ => None,
    }
}
