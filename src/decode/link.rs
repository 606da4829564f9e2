//! Link layers: Ethernet with VLAN tags, Linux cooked capture, raw IP, null and loopback; and which file reads the
//! others.
//!
//! Numbers are those of the tcpdump group's LINKTYPE registry. Refused here: anything that does not say which
//! network protocol it carries.

use super::{Layer, MAX_LAYERS, Packet, Undecoded, cut_link, lan, radio, serial, shim, wrapped};
use crate::wire::{Reader, Result as Read};

/// Ethernet's number among link types.
pub(super) const ETHERNET: u16 = 1;

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The first layer of a frame of that link type.
pub(super) fn start(link: u16, r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    match link {
        ETHERNET => Ok(Layer::Ethernet),
        0 | 108 => null(r),
        12 | 14 | 101 | 228 | 229 => Ok(Layer::Ip),
        113 => sll(r).map_err(cut_link),
        276 => sll2(r).map_err(cut_link),
        9 => Ok(Layer::Ppp),
        50 => serial::ppp_or_hdlc(r),
        51 => serial::pppoe_alone(r),
        104 => serial::cisco_hdlc(r).map_err(cut_link),
        107 => serial::frame_relay(r),
        204 => serial::ppp_with_direction(r).map_err(cut_link),
        6 => lan::token_ring(r),
        7 => lan::arcnet(r, false),
        10 => lan::fddi(r),
        100 | 106 => Ok(Layer::Llc),
        122 => behind(r, 16, Layer::Llc),
        123 => lan::sun_atm(r),
        129 => lan::arcnet(r, true),
        138 => lan::firewire(r).map_err(cut_link),
        8 => behind(r, 16, Layer::Ip),
        109 => behind(r, 12, Layer::Ip),
        117 => wrapped::pflog(r),
        143 => wrapped::docsis(r),
        226 => behind(r, 24, Layer::Ip),
        240 | 282 => behind(r, 4, Layer::Ethernet),
        // a switch's tag between addresses and ethertype: Broadcom's, Marvell's, Marvell's with an ethertype of its own
        281 | 284 => tagged(r, 4).map_err(cut_link),
        285 => tagged(r, 8).map_err(cut_link),
        274 => behind(r, 8, Layer::Ethernet),
        105 => Ok(Layer::Wireless(radio::Layout::default())),
        119 => radio::prism(r),
        127 => radio::radiotap(r),
        163 => radio::avs(r),
        149 | 258 => wrapped::pktap(r),
        192 => wrapped::ppi(r),
        197 => wrapped::erf(r),
        239 => wrapped::nflog(r),
        252 => wrapped::exported(r),
        _ => Err(Undecoded::UnknownLink),
    }
}

/// Whether frames of that link type are read here.
pub fn supported(link: u16) -> bool {
    !matches!(start(link, &mut Reader::new(&[])), Err(Undecoded::UnknownLink))
}

/// Whether frames of that link type are, or may wrap, frames of 802.11.
pub(super) const fn is_wireless(link: u16) -> bool {
    link != ETHERNET && matches!(link, 105 | 119 | 127 | 163 | 192)
}

/// Whether what stands first in frames of that link type is a note by the machine that captured them, which is
/// counted in their length though it was never on the wire: SunATM's, ERF's, and PPP's direction.
pub(super) const fn is_annotated(link: u16) -> bool {
    matches!(link, 123 | 197 | 204)
}

/// A layer that stands behind `n` bytes of no interest.
fn behind(r: &mut Reader<'_>, n: usize, layer: Layer) -> Result<Layer, Undecoded> {
    r.skip(n).map_err(cut_link)?;
    Ok(layer)
}

/// Ethernet with a tag of `n` bytes that no ethertype announces.
fn tagged(r: &mut Reader<'_>, n: usize) -> Read<Layer> {
    r.skip(12)?;
    r.skip(n)?;
    r.u16().map(Layer::type_or_length)
}

/// The name of a link type, as the registry has it.
pub fn name(link: u16) -> String {
    let name = match link {
        0 => "NULL",
        1 => "ETHERNET",
        6 => "IEEE802_5",
        7 => "ARCNET_BSD",
        8 => "SLIP",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "RAW",
        50 => "PPP_HDLC",
        51 => "PPP_ETHER",
        100 => "ATM_RFC1483",
        104 => "C_HDLC",
        105 => "IEEE802_11",
        106 => "ATM_CLIP",
        107 => "FRELAY",
        108 => "LOOP",
        109 => "ENC",
        113 => "LINUX_SLL",
        117 => "PFLOG",
        119 => "IEEE802_11_PRISM",
        122 => "IP_OVER_FC",
        123 => "SUNATM",
        127 => "IEEE802_11_RADIOTAP",
        129 => "ARCNET_LINUX",
        138 => "APPLE_IP_OVER_IEEE1394",
        143 => "DOCSIS",
        163 => "IEEE802_11_AVS",
        192 => "PPI",
        197 => "ERF",
        204 => "PPP_WITH_DIR",
        220 => "USB_LINUX_MMAPPED",
        226 => "IPNET",
        228 => "IPV4",
        229 => "IPV6",
        239 => "NFLOG",
        240 => "NETANALYZER",
        252 => "WIRESHARK_UPPER_PDU",
        253 => "NETLINK",
        258 => "PKTAP",
        274 => "ETHERNET_MPACKET",
        276 => "LINUX_SLL2",
        281 => "DSA_TAG_BRCM",
        282 => "DSA_TAG_BRCM_PREPEND",
        284 => "DSA_TAG_DSA",
        285 => "DSA_TAG_EDSA",
        other => return format!("LINKTYPE_{other}"),
    };
    name.to_owned()
}

/// Ethernet II, or IEEE 802.3 with its length in the ethertype's place, and the tags in it: gives the last such field.
#[inline(always)]
pub(super) fn ethernet(r: &mut Reader<'_>, packet: &mut Packet) -> Read<u16> {
    r.skip(12)?;
    let field = r.u16()?;
    if is_tag(field) { tags(r, packet) } else { Ok(field) }
}

/// Whether an ethertype is IP's.
#[inline(always)]
pub(super) fn is_ip(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6)
}

/// Whether an ethertype is a tag's: 802.1Q, 802.1ad, and those that vendors used for the outer one before it.
#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

/// The tags that stand there, of which the first was announced: keeps the outermost and the innermost id.
fn tags(r: &mut Reader<'_>, packet: &mut Packet) -> Read<u16> {
    let mut field = 0x8100;
    for _ in 0..MAX_LAYERS {
        let id = r.u16()? & 0x0fff;
        let [outer, inner] = &mut packet.vlan;
        if *outer == 0 {
            *outer = id
        } else {
            *inner = id
        }
        field = r.u16()?;
        if !is_tag(field) {
            break;
        }
    }
    Ok(field)
}

/// One step behind an ethertype.
pub(super) fn ethertype(ethertype: u16, r: &mut Reader<'_>, packet: &mut Packet) -> Result<Layer, Undecoded> {
    if is_ip(ethertype) {
        Ok(Layer::Ip)
    } else if is_tag(ethertype) {
        tags(r, packet).map(Layer::type_or_length).map_err(cut_link)
    } else {
        shim::behind(ethertype, r, packet)
    }
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
    let &[_, _, h0, h1, _, _, _, _, _, _, _, _, _, _, p0, p1] = r.array::<16>()?;
    Ok(cooked(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1])))
}

/// Linux cooked capture, version 2.
fn sll2(r: &mut Reader<'_>) -> Read<Layer> {
    let &[p0, p1, _, _, _, _, _, _, h0, h1, _, _, _, _, _, _, _, _, _, _] = r.array::<20>()?;
    Ok(cooked(u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1])))
}

/// What a cooked header announces: by the interface's kind (ARPHRD) where that says it, else by its protocol field.
fn cooked(hardware: u16, protocol: u16) -> Layer {
    match (hardware, protocol) {
        (801, _) => Layer::Link(105),
        (802, _) => Layer::Link(119),
        (803, _) => Layer::Link(127),
        (_, 4) => Layer::Llc,
        (_, protocol) => Layer::Ethertype(protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testpackets::*;
    use super::*;

    #[test]
    fn every_link_type_that_is_read_has_a_name_and_says_when_it_is_cut() {
        for link in (0..=u16::MAX).filter(|link| supported(*link)) {
            assert!(!name(link).starts_with("LINKTYPE_") || link == 149, "{link}");
            assert!(read(link, &[]).is_err());
        }
        assert!(!supported(253) && !supported(220) && supported(1) && supported(113));
    }

    #[test]
    fn tags_have_an_end() {
        let tags = [0x81, 0, 0, 9].repeat(1000);
        assert_eq!(read(1, &[&[2; 12][..], &tags, &[8, 0], &inner4()].concat()).unwrap_err(), Undecoded::TooDeep);
    }

    #[test]
    fn cooked_captures_of_radio_interfaces() {
        let radio = [&[0, 0, 8, 0, 0, 0, 0, 0, 0x08, 1][..], &[0; 22], &inner_snap()].concat();
        let cooked = [&[0, 0, 3, 0x23, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4][..], &radio].concat();
        assert_eq!(seen(113, &cooked), through(&[]));
        let cooked = [&[0, 4, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &inner_snap()].concat();
        assert_eq!(seen(276, &cooked), through(&[]));
    }

    #[test]
    fn what_stands_behind_headers_of_one_length() {
        let put = |head: &[u8], rest: &[u8]| [head, rest].concat();
        assert_eq!(seen(8, &put(&[0; 16], &inner4())), through(&[]));
        assert_eq!(seen(109, &put(&[2; 12], &inner6())), through(&[]));
        assert_eq!(seen(226, &put(&[2; 24], &inner4())), through(&[]));
        assert_eq!(seen(282, &put(&[9; 4], &inner_frame())), through(&[]));
        let frame = inner_frame();
        for (link, tag) in [(281, &[9; 4][..]), (284, &[9; 4]), (285, &[0xda, 0xda, 0, 0, 9, 9, 9, 9])] {
            assert_eq!(seen(link, &[&frame[..12], tag, &frame[12..]].concat()), through(&[]));
        }
    }
}
