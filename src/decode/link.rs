//! Link layers: Ethernet with VLAN tags, Linux cooked capture, raw IP, null and loopback.
//!
//! Numbers are those of the tcpdump group's LINKTYPE registry. Refused here: anything that does not say which
//! network protocol it carries.

use super::{Layer, Packet, Undecoded, cut_link};
use crate::wire::{Reader, Result as Read};

/// Ethernet's number among link types.
pub(super) const ETHERNET: u16 = 1;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The first layer of a frame of that link type.
#[inline(always)]
pub(super) fn start(link: u16, r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    if link == ETHERNET {
        return Ok(Layer::Ethernet);
    }
    other_start(link, r)
}

fn other_start(link: u16, r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    match link {
        0 | 108 => null(r),
        12 | 14 | 101 | 228 | 229 => Ok(Layer::Ip),
        113 => sll(r).map_err(cut_link),
        276 => sll2(r).map_err(cut_link),
        _ => Err(Undecoded::UnknownLink),
    }
}

/// Whether frames of that link type are read here.
pub fn supported(link: u16) -> bool {
    matches!(link, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

/// The name of a link type, as the registry has it.
pub fn name(link: u16) -> String {
    let name = match link {
        0 => "NULL",
        1 => "ETHERNET",
        6 => "IEEE802_5",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "RAW",
        50 => "PPP_HDLC",
        51 => "PPP_ETHER",
        104 => "C_HDLC",
        105 => "IEEE802_11",
        107 => "FRELAY",
        108 => "LOOP",
        113 => "LINUX_SLL",
        119 => "IEEE802_11_PRISM",
        127 => "IEEE802_11_RADIOTAP",
        192 => "PPI",
        220 => "USB_LINUX_MMAPPED",
        228 => "IPV4",
        229 => "IPV6",
        239 => "NFLOG",
        253 => "NETLINK",
        276 => "LINUX_SLL2",
        other => return format!("LINKTYPE_{other}"),
    };
    name.to_owned()
}

/// Ethernet II, and IEEE 802.3 with LLC/SNAP (RFC 1042) where it carries IP.
#[inline(always)]
pub(super) fn ethernet(r: &mut Reader<'_>) -> Read<Layer> {
    r.skip(12)?;
    let ethertype = r.u16()?;
    if ethertype >= 0x0600 { Ok(Layer::Ethertype(ethertype)) } else { llc(r) }
}

/// What follows an 802.3 length.
fn llc(r: &mut Reader<'_>) -> Read<Layer> {
    Ok(match r.peek::<8>() {
        Ok(&[0xaa, 0xaa, 0x03, 0, 0, 0, a, b]) => {
            r.skip(8)?;
            Layer::Ethertype(u16::from_be_bytes([a, b]))
        }
        _ => Layer::Ethertype(0),
    })
}

/// One step behind an ethertype: a tag to pass, or IP. `None` for everything else.
#[inline(always)]
pub(super) fn ethertype(ethertype: u16, r: &mut Reader<'_>, packet: &mut Packet) -> Result<Option<Layer>, Undecoded> {
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(Some(Layer::Ip)),
        // 802.1Q, 802.1ad, and the tags that vendors used for the outer one before it
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => vlan(r, packet).map(Some).map_err(cut_link),
        _ => Ok(None),
    }
}

/// An 802.1Q tag: keeps the outermost and the innermost id.
fn vlan(r: &mut Reader<'_>, packet: &mut Packet) -> Read<Layer> {
    let id = r.u16()? & 0x0fff;
    let [outer, inner] = &mut packet.vlan;
    if *outer == 0 {
        *outer = id
    } else {
        *inner = id
    }
    let ethertype = r.u16()?;
    if ethertype >= 0x0600 { Ok(Layer::Ethertype(ethertype)) } else { llc(r) }
}

/// BSD null and OpenBSD loopback: an address family in the byte order of the machine that captured, or, with some
/// drivers, an ethertype in the last two bytes.
fn null(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let family = *r.array::<4>().map_err(cut_link)?;
    if let [_, _, a, b] = family
        && matches!(u16::from_be_bytes([a, b]), ETHERTYPE_IPV4 | ETHERTYPE_IPV6)
    {
        return Ok(Layer::Ip);
    }
    let family = u32::from_be_bytes(family).min(u32::from_le_bytes(family));
    // AF_INET, and the values that AF_INET6 has on Linux, the BSDs and macOS
    if matches!(family, 2 | 10 | 24 | 28 | 30) { Ok(Layer::Ip) } else { Err(Undecoded::NotIp) }
}

/// Linux cooked capture, version 1.
fn sll(r: &mut Reader<'_>) -> Read<Layer> {
    r.skip(14)?;
    Ok(Layer::Ethertype(r.u16()?))
}

/// Linux cooked capture, version 2.
fn sll2(r: &mut Reader<'_>) -> Read<Layer> {
    let protocol = r.u16()?;
    r.skip(18)?;
    Ok(Layer::Ethertype(protocol))
}
