//! What IP carries by protocol number: IP in IP (RFC 2003, RFC 2473), 6in4 and 6to4 (RFC 4213, RFC 3056), GRE, EtherIP
//! (RFC 3378), MPLS (RFC 4023), L2TP version 3 (RFC 3931), Ethernet behind segment routing (RFC 8986), and the
//! authentication header (RFC 4302), which hides nothing.
//!
//! Refused: L2TP whose frame does not stand behind one of the headers that can be, for nothing in the packet says
//! which was agreed.

use super::super::shim::{is_ethernet, mpls};
use super::super::{Layer, Packet, proto, transport};
use super::{Tunnel, Tunnels, gre, may_carry};
use crate::wire::Reader;

const IP4: u8 = 4;
const IP6: u8 = 41;
const GRE: u8 = 47;
const KA9Q: u8 = 94;
const ETHERIP: u8 = 97;
const L2TP: u8 = 115;
const MPLS: u8 = 137;
const ETHERNET: u8 = 143;

/// Whether packets of that protocol carry packets.
#[inline(always)]
pub(in super::super) fn is_carrier(protocol: u8) -> bool {
    matches!(protocol, IP4 | IP6 | GRE | proto::AH | KA9Q | ETHERIP | L2TP | MPLS | ETHERNET)
}

/// What `outer`, of such a protocol, carries at `r`.
pub(super) fn carried(outer: &Packet, r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    match outer.proto {
        IP4 | IP6 | KA9Q => {
            tunnels.push(ip_in_ip(outer, *r))?;
            Some(Layer::Ip)
        }
        GRE => gre::carried(r, tunnels),
        ETHERIP => {
            // version 3, all else zero
            (r.u16().ok()? == 0x3000).then_some(())?;
            tunnels.push(Tunnel::EtherIp)?;
            Some(Layer::Ethernet)
        }
        L2TP => {
            tunnels.push(Tunnel::L2tp)?;
            // session 0 is control
            (r.u32().ok()? != 0).then_some(())?;
            l2tp3_frame(r)
        }
        MPLS => mpls(r, tunnels).ok(),
        ETHERNET => {
            tunnels.push(Tunnel::SegmentRouting)?;
            Some(Layer::Ethernet)
        }
        _ => None,
    }
}

/// The Ethernet frame of an L2TP session: behind no, a short or a long cookie, and with or without the sublayer
/// (RFC 3931 §4.1, §4.6).
pub(super) fn l2tp3_frame(r: &mut Reader<'_>) -> Option<Layer> {
    for _ in 0..4 {
        if is_ethernet(*r) {
            return Some(Layer::Ethernet);
        }
        r.skip(4).ok()?;
    }
    None
}

/// The name of IP in IP.
fn ip_in_ip(outer: &Packet, r: Reader<'_>) -> Tunnel {
    let first = r.peek::<1>().map_or(0, |[first]| first >> 4);
    match (outer.v6, first) {
        (false, 6) if is_6to4(r) => Tunnel::SixToFour,
        (false, 6) => Tunnel::SixInFour,
        (false, _) => Tunnel::IpInIp,
        (true, 6) => Tunnel::SixInSix,
        (true, _) => Tunnel::FourInSix,
    }
}

/// Whether one of the addresses is of 2002::/16, which names the tunnel's ends itself (RFC 3056 §2).
fn is_6to4(mut r: Reader<'_>) -> bool {
    const PREFIX: [u8; 2] = [0x20, 0x02];
    let begins = r.skip(8).is_ok();
    let mut is_prefixed = || r.array::<16>().is_ok_and(|a| a.starts_with(&PREFIX));
    begins && (is_prefixed() || is_prefixed())
}

/// An authentication header of IPv4: what follows it is the same packet still.
pub(super) fn authenticated(bytes: &[u8], mut r: Reader<'_>, outer: &Packet) -> Option<(Packet, bool)> {
    let &[next, words] = r.array::<2>().ok()?;
    let header = usize::from(words).saturating_add(2).saturating_mul(4);
    r.skip(header.checked_sub(2)?).ok()?;
    let mut packet = Packet { proto: next, ..*outer };
    transport::decode(bytes, r, (outer.payload_len as usize).saturating_sub(header), &mut packet);
    let more = may_carry(&packet);
    Some((packet, more))
}
