//! What stands between Ethernet and IP: PPPoE (RFC 2516), MPLS with pseudowires (RFC 3032, RFC 4385, RFC 4448),
//! NSH (RFC 8300), provider backbone bridging (IEEE 802.1ah), TRILL (RFC 6325), FabricPath, the tags of port
//! extenders (VN-Tag, IEEE 802.1BR E-Tag), of redundant rings (HSR, IEC 62439-3 §5), Cisco metadata, MACsec without
//! encryption (IEEE 802.1AE §9), the mesh of B.A.T.M.A.N. advanced (version 15 of its packets).
//!
//! Refused: encrypted MACsec, label stacks of more than [`MAX_LABELS`], what carries no IP.

use super::tunnel::{Tunnel, Tunnels};
use super::{Layer, Packet, Undecoded, cut_link, serial};
use crate::wire::{Reader, Result as Read, Truncated};

/// How many labels are passed before a frame counts as hostile.
const MAX_LABELS: usize = 16;

/// One step behind an ethertype that is not of everyday.
#[cold]
#[inline(never)]
pub(super) fn behind(ethertype: u16, r: &mut Reader<'_>, packet: &mut Packet) -> Result<Layer, Undecoded> {
    let (tunnel, layer) = match ethertype {
        0x8864 => (Some(Tunnel::Pppoe), serial::pppoe(r).map_err(cut_link)?),
        0x880b => (None, Some(Layer::Ppp)),
        0x8847 | 0x8848 => (None, Some(mpls(r, &mut packet.tunnels)?)),
        0x894f => (Some(Tunnel::Nsh), nsh(r).map_err(cut_link)?),
        0x88e7 => (Some(Tunnel::Pbb), skip(r, 4, Layer::Ethernet)?),
        0x8903 => (Some(Tunnel::FabricPath), skip(r, 2, Layer::Ethernet)?),
        0x22f3 => (Some(Tunnel::Trill), trill(r).map_err(cut_link)?),
        0x4305 => (Some(Tunnel::Batman), batman(r).map_err(cut_link)?),
        // VN-Tag, HSR, E-Tag, Cisco metadata: tags, not tunnels
        0x8926 | 0x892f => (None, tag(r, 4)?),
        0x893f | 0x8909 => (None, tag(r, 6)?),
        0x88e5 => (None, Some(macsec(r)?)),
        // transparent bridging, as GRE and GENEVE announce it
        0x6558 => (None, Some(Layer::Ethernet)),
        _ => (None, None),
    };
    let layer = layer.ok_or(Undecoded::NotIp)?;
    if let Some(tunnel) = tunnel {
        packet.tunnels.push(tunnel).ok_or(Undecoded::TooDeep)?;
    }
    Ok(layer)
}

fn skip(r: &mut Reader<'_>, n: usize, layer: Layer) -> Result<Option<Layer>, Undecoded> {
    r.skip(n).map_err(cut_link)?;
    Ok(Some(layer))
}

/// An ethertype behind a tag of `n` bytes.
fn tag(r: &mut Reader<'_>, n: usize) -> Result<Option<Layer>, Undecoded> {
    r.skip(n).map_err(cut_link)?;
    Ok(Some(Layer::type_or_length(r.u16().map_err(cut_link)?)))
}

/// A label stack and what it carries. Nothing in it says what that is (RFC 4928 §2): IP by its first nibble if a
/// whole packet stands there, else a pseudowire's Ethernet frame, with the control word or without, else IP that the
/// capture cut.
pub(super) fn mpls(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Result<Layer, Undecoded> {
    let bottom = (0..MAX_LABELS).find_map(|_| match r.array::<4>() {
        Ok(&[_, _, bits, _]) => (bits & 1 == 1).then_some(Ok(())),
        Err(Truncated) => Some(Err(Undecoded::CutLink)),
    });
    bottom.unwrap_or(Err(Undecoded::TooDeep))?;
    tunnels.push(Tunnel::Mpls).ok_or(Undecoded::TooDeep)?;
    let first = match r.peek::<1>() {
        Ok([first]) => first >> 4,
        Err(_) => return Err(Undecoded::CutLink),
    };
    if matches!(first, 4 | 6) && is_ip(*r) {
        return Ok(Layer::Ip);
    }
    let mut behind_control_word = *r;
    if first == 0 && behind_control_word.skip(4).is_ok() && is_ethernet(behind_control_word) {
        *r = behind_control_word;
    } else if !is_ethernet(*r) {
        return if matches!(first, 4 | 6) { Ok(Layer::Ip) } else { Err(Undecoded::NotIp) };
    }
    Ok(Layer::Ethernet)
}

/// Whether an IP packet stands there whole.
fn is_ip(r: Reader<'_>) -> bool {
    match (r.peek::<20>(), r.peek::<40>()) {
        (Ok(&[first, _, l0, l1, ..]), _) if first >> 4 == 4 => {
            let (header, total) = (usize::from(first & 0x0f).saturating_mul(4), u16::from_be_bytes([l0, l1]));
            header >= 20 && (total == 0 || (header..=r.left()).contains(&usize::from(total)))
        }
        (_, Ok(&[first, _, _, _, l0, l1, ..])) => {
            first >> 4 == 6 && usize::from(u16::from_be_bytes([l0, l1])) <= r.left().saturating_sub(40)
        }
        _ => false,
    }
}

/// Whether an Ethernet frame may stand there: its ethertype is one that is known here, and IP behind it of that
/// version.
pub(super) fn is_ethernet(r: Reader<'_>) -> bool {
    const ARP: u16 = 0x0806;
    let Ok(&[.., t0, t1]) = r.peek::<14>() else { return false };
    let is_version = |version| r.peek::<15>().is_ok_and(|&[.., first]| first >> 4 == version);
    match u16::from_be_bytes([t0, t1]) {
        0x0800 => is_version(4),
        0x86dd => is_version(6),
        other => matches!(other, ARP | 0x8100 | 0x88a8 | 0x8847 | 0x8848 | 0x8863 | 0x8864 | 0x88cc | 0x88e5),
    }
}

/// RFC 8300 §2.2: the header's length in words, and what follows it.
fn nsh(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    let &[_, words, _, next] = r.array::<4>()?;
    r.skip(usize::from(words & 0x3f).saturating_mul(4).saturating_sub(4))?;
    Ok(match next {
        1 | 2 => Some(Layer::Ip),
        3 => Some(Layer::Ethernet),
        4 => Some(Layer::Ethertype(0x894f)),
        5 => Some(Layer::Ethertype(0x8847)),
        _ => None,
    })
}

/// RFC 6325 §3: two bytes of which five bits are the options' length in words, two names of bridges, the frame.
fn trill(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    let bits = r.u16()?;
    r.skip(4)?;
    r.skip(usize::from(bits >> 6 & 0x1f).saturating_mul(4))?;
    Ok(Some(Layer::Ethernet))
}

/// B.A.T.M.A.N. advanced: a frame behind the header of a packet to one node, with its sender or without, or to all.
fn batman(r: &mut Reader<'_>) -> Read<Option<Layer>> {
    const VERSION: u8 = 15;
    let header = match *r.peek::<2>()? {
        [0x40, VERSION] => 10,
        [0x42, VERSION] => 18,
        [0x01, VERSION] => 14,
        _ => return Ok(None),
    };
    r.skip(header)?;
    Ok(Some(Layer::Ethernet))
}

/// MACsec's tag, which names no packet's end: IP's own length leaves the check value aside.
fn macsec(r: &mut Reader<'_>) -> Result<Layer, Undecoded> {
    let &[control, _, _, _, _, _] = r.array::<6>().map_err(cut_link)?;
    const IDENTIFIED: u8 = 0x20;
    const ENCRYPTED: u8 = 0x08;
    const CHANGED: u8 = 0x04;
    if control & (ENCRYPTED | CHANGED) != 0 {
        return Err(Undecoded::Encrypted);
    }
    if control & IDENTIFIED != 0 {
        r.skip(8).map_err(cut_link)?;
    }
    Ok(Layer::type_or_length(r.u16().map_err(cut_link)?))
}

#[cfg(test)]
mod tests {
    use super::super::Undecoded;
    use super::super::testpackets::*;

    #[test]
    fn label_stacks_over_ip() {
        let stack = |labels: &[u8], inner: &[u8]| ether(0x8847, &[labels, inner].concat());
        let two = [0, 0x10, 0, 64, 0, 0x20, 1, 64];
        assert_eq!(seen(1, &stack(&two, &inner4())), through(&["mpls"]));
        assert_eq!(seen(1, &stack(&two, &inner6())), through(&["mpls"]));
        assert_eq!(seen(1, &ether(0x8848, &[&two[..], &inner4()].concat())), through(&["mpls"]));
        assert_eq!(seen(1, &stack(&[0; 4 * 17], &inner4())), Err(Undecoded::TooDeep));
        assert_eq!(seen(1, &stack(&two[..4], &[])), Err(Undecoded::CutLink));
    }

    #[test]
    fn pseudowires_with_a_control_word_and_without() {
        let label = [0, 0x10, 1, 64];
        let with = [&label[..], &[0, 0, 0, 9], &inner_frame()].concat();
        assert_eq!(seen(1, &ether(0x8847, &with)), through(&["mpls"]));
        // addresses that look like a version
        for first in [0x00, 0x02, 0x45, 0x60] {
            let mut frame = inner_frame();
            frame[0] = first;
            // what would be IPv4's total length
            frame[2] = 0;
            frame[3] = 5;
            // and IPv6's payload length
            (frame[4], frame[5]) = (0xff, 0);
            assert_eq!(seen(1, &ether(0x8847, &[&label[..], &frame].concat())), through(&["mpls"]), "{first:x}");
        }
        let channel = [&label[..], &[0x10, 0, 0, 7], &[0; 40]].concat();
        assert_eq!(seen(1, &ether(0x8847, &channel)), Err(Undecoded::NotIp));
    }

    #[test]
    fn service_chains() {
        let nsh =
            |next: u8, inner: &[u8]| ether(0x894f, &[&[0, 0x03, 2, next, 0, 0, 1, 255, 9, 9, 9, 9], inner].concat());
        assert_eq!(seen(1, &nsh(1, &inner4())), through(&["nsh"]));
        assert_eq!(seen(1, &nsh(2, &inner6())), through(&["nsh"]));
        assert_eq!(seen(1, &nsh(3, &inner_frame())), through(&["nsh"]));
        assert_eq!(seen(1, &nsh(5, &[&[0, 0x10, 1, 64][..], &inner4()].concat())), through(&["nsh", "mpls"]));
        assert_eq!(seen(1, &nsh(6, &inner4())), Err(Undecoded::NotIp));
    }

    #[test]
    fn frames_in_frames() {
        let put = |ethertype: u16, head: &[u8]| ether(ethertype, &[head, &inner_frame()].concat());
        assert_eq!(seen(1, &put(0x88e7, &[0, 0, 0, 1])), through(&["pbb"]));
        assert_eq!(seen(1, &put(0x8903, &[0, 0x60])), through(&["fabricpath"]));
        assert_eq!(seen(1, &put(0x22f3, &[0, 0x1f, 0, 1, 0, 2])), through(&["trill"]));
        for (kind, length) in [(0x40, 10), (0x42, 18), (0x01, 14)] {
            let head = [&[kind, 15][..], &vec![2; length - 2]].concat();
            assert_eq!(seen(1, &put(0x4305, &head)), through(&["batman-adv"]));
        }
        assert_eq!(seen(1, &put(0x4305, &[0x40, 14, 2, 2, 2, 2, 2, 2, 2, 2])), Err(Undecoded::NotIp));
        assert_eq!(seen(1, &put(0x22f3, &[0, 0x5f, 0, 1, 0, 2, 9, 9, 9, 9])), through(&["trill"]));
    }

    #[test]
    fn tags_that_are_no_tunnels() {
        let put = |ethertype: u16, head: &[u8]| ether(ethertype, &[head, &[8, 0], &inner4()].concat());
        assert_eq!(seen(1, &put(0x8926, &[0x80, 1, 0, 2])), through(&[]));
        assert_eq!(seen(1, &put(0x892f, &[0, 60, 0, 9])), through(&[]));
        assert_eq!(seen(1, &put(0x893f, &[0, 0, 0x10, 1, 0, 0])), through(&[]));
        assert_eq!(seen(1, &put(0x8909, &[1, 1, 0, 1, 0, 9])), through(&[]));
        assert_eq!(seen(1, &put(0x88e5, &[0x00, 0, 0, 0, 0, 1])), through(&[]));
        assert_eq!(seen(1, &put(0x88e5, &[0x20, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1])), through(&[]));
        assert_eq!(seen(1, &put(0x88e5, &[0x0c, 0, 0, 0, 0, 1])), Err(Undecoded::Encrypted));
    }
}
