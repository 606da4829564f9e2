//! GRE (RFC 2784, RFC 2890; routing as in RFC 1701), its enhanced kind for PPTP (RFC 2637), and what is told apart by
//! its protocol: Ethernet (NVGRE, RFC 7637), ERSPAN I to III (draft-foschiano-erspan), WCCP's redirection.
//!
//! Refused: versions but 0 and 1, acknowledgements without payload, ERSPAN of other versions.

use super::super::Layer;
use super::{Tunnel, Tunnels};
use crate::wire::{Reader, Truncated};

const PPP: u16 = 0x880b;
const ERSPAN: u16 = 0x88be;
const ERSPAN3: u16 = 0x22eb;
const WCCP: u16 = 0x883e;

/// How many source routes are passed before a header counts as hostile.
const MAX_ROUTES: usize = 16;

mod flag {
    pub const CHECKSUM: u16 = 0x8000;
    pub const ROUTING: u16 = 0x4000;
    pub const KEY: u16 = 0x2000;
    pub const SEQUENCE: u16 = 0x1000;
    pub const ACKNOWLEDGEMENT: u16 = 0x0080;
    pub const VERSION: u16 = 0x0007;
}

/// Reads a GRE header and names what it carries.
pub(super) fn carried(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    let (flags, protocol) = (r.u16().ok()?, r.u16().ok()?);
    fields(flags, r).ok()?;
    match flags & flag::VERSION {
        0 => {}
        1 if protocol == PPP && flags & flag::SEQUENCE != 0 => {
            tunnels.push(Tunnel::Pptp)?;
            return Some(Layer::Ppp);
        }
        _ => return None,
    }
    tunnels.push(Tunnel::Gre)?;
    match protocol {
        ERSPAN if flags & flag::SEQUENCE == 0 => {
            tunnels.push(Tunnel::Erspan1)?;
            Some(Layer::Ethernet)
        }
        ERSPAN | ERSPAN3 => erspan(r, tunnels),
        WCCP => {
            // the second version has a header of its own, the first has none
            if r.peek::<1>().is_ok_and(|[first]| first >> 4 != 4) {
                r.skip(4).ok()?;
            }
            Some(Layer::Ip)
        }
        protocol => Some(Layer::Ethertype(protocol)),
    }
}

/// Passes over the fields that the flags announce.
fn fields(flags: u16, r: &mut Reader<'_>) -> Result<(), Truncated> {
    let words = [flag::KEY, flag::SEQUENCE].iter().filter(|&&f| flags & f != 0).count();
    if flags & (flag::CHECKSUM | flag::ROUTING) != 0 {
        r.skip(4)?;
    }
    r.skip(words.saturating_mul(4))?;
    if flags & flag::VERSION == 1 && flags & flag::ACKNOWLEDGEMENT != 0 {
        r.skip(4)?;
    }
    if flags & flag::ROUTING != 0 {
        for _ in 0..MAX_ROUTES {
            let &[f0, f1, _, length] = r.array::<4>()?;
            if [f0, f1, length] == [0; 3] {
                return Ok(());
            }
            r.skip(usize::from(length))?;
        }
        return Err(Truncated);
    }
    Ok(())
}

/// ERSPAN with a header: its version says which.
fn erspan(r: &mut Reader<'_>, tunnels: &mut Tunnels) -> Option<Layer> {
    const PLATFORM: u8 = 0x01;
    const FRAME_TYPE: u8 = 0x7c;
    const IP: u8 = 2 << 2;
    let [first] = r.peek::<1>().ok()?;
    match first >> 4 {
        1 => {
            r.skip(8).ok()?;
            tunnels.push(Tunnel::Erspan2)?;
            Some(Layer::Ethernet)
        }
        2 => {
            let &[.., kind, bits] = r.array::<12>().ok()?;
            if bits & PLATFORM != 0 {
                r.skip(8).ok()?;
            }
            tunnels.push(Tunnel::Erspan3)?;
            Some(if kind & FRAME_TYPE == IP { Layer::Ip } else { Layer::Ethernet })
        }
        _ => None,
    }
}
