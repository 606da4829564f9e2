//! Packets in packets: which tunnels a packet came through, and the way to the innermost.
//!
//! A packet whose IP protocol or UDP port is a tunnel's is looked into; where that leads to another IP packet, that one
//! is told, with the tunnels' names, and else the carrier as the packet that it is. UDP ports alone lie, so behind
//! them the tunnel's header and all of the inner packet must hold together: an inner length beyond the outer one
//! refuses it. At most [`Tunnels::MAX`] are looked through; what is deeper stays its carrier's payload.

mod gre;
mod ip;
mod udp;

use super::{Layer, Packet, proto, walk};
use crate::wire::Reader;

pub(super) use ip::is_carrier;
pub(super) use udp::has_port;

/// What carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it; the files that read them give the specification")]
pub enum Tunnel {
    Gre = 1,
    Erspan1,
    Erspan2,
    Erspan3,
    Vxlan,
    VxlanGpe,
    Geneve,
    IpInIp,
    FourInSix,
    SixInFour,
    SixInSix,
    SixToFour,
    Teredo,
    Gtp,
    L2tp,
    Ayiya,
    Mpls,
    Pppoe,
    Pptp,
    Nsh,
    EtherIp,
    Lisp,
    Tzsp,
    Capwap,
    Trill,
    FabricPath,
    Pbb,
    SegmentRouting,
    Batman,
}

/// Names in every output, in the order of [`Tunnel`].
const NAMES: [&str; 29] = [
    "gre",
    "erspan1",
    "erspan2",
    "erspan3",
    "vxlan",
    "vxlan-gpe",
    "geneve",
    "ipip",
    "4in6",
    "6in4",
    "6in6",
    "6to4",
    "teredo",
    "gtp",
    "l2tp",
    "ayiya",
    "mpls",
    "pppoe",
    "pptp",
    "nsh",
    "etherip",
    "lisp",
    "tzsp",
    "capwap",
    "trill",
    "fabricpath",
    "pbb",
    "srv6",
    "batman-adv",
];

/// The tunnels of a packet, outermost first, five bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tunnels(u32);

impl Tunnels {
    /// How many tunnels are looked through.
    pub const MAX: u32 = 6;
    const BITS: u32 = 5;

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn len(self) -> u32 {
        u32::BITS.saturating_sub(self.0.leading_zeros()).div_ceil(Tunnels::BITS)
    }

    /// Adds the next one inwards; `None` where there are too many.
    pub fn push(&mut self, tunnel: Tunnel) -> Option<()> {
        let at = self.len();
        (at < Tunnels::MAX).then(|| self.0 |= (tunnel as u32) << at.saturating_mul(Tunnels::BITS))
    }

    /// Their names, outermost first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let number = move |at: u32| self.0 >> at.saturating_mul(Tunnels::BITS) & 0x1f;
        (0..Tunnels::MAX).map_while(move |at| NAMES.get(number(at).checked_sub(1)? as usize).copied())
    }
}

/// Whether a packet may carry another, by its protocol and its ports.
#[inline(always)]
pub fn may_carry(packet: &Packet) -> bool {
    match packet.proto {
        proto::TCP => false,
        proto::UDP => has_port(packet.src_port, packet.dst_port),
        other => is_carrier(other),
    }
}

/// Puts the innermost packet that `packet` carries in its place, if it carries one.
#[cold]
#[inline(never)]
pub(super) fn enter(bytes: &[u8], packet: &mut Packet) {
    // every step is one tunnel or one header deeper
    for _ in 0..super::MAX_LAYERS {
        match step(bytes, packet) {
            Some((inner, more)) => {
                *packet = inner;
                if !more {
                    return;
                }
            }
            None => return,
        }
    }
}

/// One packet inwards, and whether that may carry another.
fn step(bytes: &[u8], outer: &Packet) -> Option<(Packet, bool)> {
    let (bytes, r) = payload(bytes, outer)?;
    if outer.proto == proto::AH {
        return ip::authenticated(bytes, r, outer);
    }
    let mut inner = Packet {
        ts: outer.ts,
        frame: outer.frame,
        len: outer.len,
        frames: outer.frames,
        vlan: outer.vlan,
        tunnels: outer.tunnels,
        ..Packet::default()
    };
    let (layer, r) = carried(outer, r, &mut inner.tunnels)?;
    let more = walk(bytes, r, layer, &mut inner).ok()?;
    if outer.proto == proto::UDP && inner.cut && !outer.cut {
        return None;
    }
    inner.cut |= outer.cut;
    Some((inner, more))
}

/// The bytes up to the end of a packet's payload, and a cursor over that.
fn payload<'b>(bytes: &'b [u8], packet: &Packet) -> Option<(&'b [u8], Reader<'b>)> {
    let start = packet.payload_start as usize;
    let bytes = bytes.get(..start.checked_add(packet.payload_captured as usize)?)?;
    Some((bytes, Reader::new(bytes.get(start..)?)))
}

/// What `outer` carries behind a tunnel's headers, which begin at `r`, and where that begins.
fn carried<'b>(outer: &Packet, mut r: Reader<'b>, tunnels: &mut Tunnels) -> Option<(Layer, Reader<'b>)> {
    let layer = match outer.proto {
        proto::UDP => udp::carried(outer, &mut r, tunnels)?,
        _ => ip::carried(outer, &mut r, tunnels)?,
    };
    Some((layer, r))
}

/// What a packet carries that is no packet in its turn, as [`enter`] leaves it, and where that begins.
pub(super) fn other<'b>(bytes: &'b [u8], packet: &Packet) -> Option<(Layer, Reader<'b>)> {
    let (_, r) = payload(bytes, packet)?;
    carried(packet, r, &mut Tunnels::default())
}

#[cfg(test)]
mod tests;
