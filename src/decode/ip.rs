//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).
//!
//! Options and extension headers are passed over, with the addresses in them: a packet's ends are those of its header
//! as it was captured. A total length of zero (a segmentation offload's trace) means all
//! that is there; one that is longer than the frame marks the packet as cut. Refused: header lengths that cannot
//! be, versions other than 4 and 6, more than [`MAX_EXTENSIONS`] extension headers.

use super::{Addr, Fragment, Packet, Undecoded, offset, transport, tunnel};
use crate::wire::{Reader, Truncated};

/// How many IPv6 extension headers are passed before a packet counts as hostile.
const MAX_EXTENSIONS: usize = 128;

fn cut(_: Truncated) -> Undecoded {
    Undecoded::CutIp
}

/// Reads an IP header at `r`, a cursor over the tail of `bytes`, and what it carries. Gives whether that may be
/// another packet.
#[inline(always)]
pub(super) fn decode(bytes: &[u8], r: Reader<'_>, packet: &mut Packet) -> Result<bool, Undecoded> {
    match r.peek::<1>() {
        Ok(&[first]) if first >> 4 == 4 => v4(bytes, r, packet),
        Ok(&[first]) if first >> 4 == 6 => v6(bytes, r, packet),
        Ok(_) => Err(Undecoded::BadIp),
        Err(_) => Err(Undecoded::CutIp),
    }
}

#[inline(always)]
fn v4(bytes: &[u8], mut r: Reader<'_>, packet: &mut Packet) -> Result<bool, Undecoded> {
    let available = r.left();
    let &[first, _, l0, l1, i0, i1, f0, f1, ttl, proto, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        r.array::<20>().map_err(cut)?;
    let header = usize::from(first & 0x0f).saturating_mul(4);
    let options = header.checked_sub(20).ok_or(Undecoded::BadIp)?;
    let total = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => available,
        n if n < header => return Err(Undecoded::BadIp),
        n => n,
    };
    packet.src = Addr::v4([s0, s1, s2, s3]);
    packet.dst = Addr::v4([d0, d1, d2, d3]);
    packet.v6 = false;
    packet.ttl = ttl;
    packet.proto = proto;
    packet.ip_id = u16::from_be_bytes([i0, i1]);
    packet.cut = total > available;
    if options > 0 {
        r.skip(options).map_err(cut)?;
    }
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & 0x3fff != 0 {
        packet.fragment =
            Some(Fragment { id: u32::from(packet.ip_id), offset: fragment << 3, more: fragment & 0x2000 != 0 });
    }
    Ok(carried(bytes, r, total.saturating_sub(header), packet))
}

#[inline(always)]
fn v6(bytes: &[u8], mut r: Reader<'_>, packet: &mut Packet) -> Result<bool, Undecoded> {
    let fixed = r.array::<8>().map_err(cut)?;
    let &[_, _, _, _, l0, l1, next, hops] = fixed;
    packet.src = Addr::v6(*r.array::<16>().map_err(cut)?);
    packet.dst = Addr::v6(*r.array::<16>().map_err(cut)?);
    packet.v6 = true;
    packet.ttl = hops;
    packet.ip_id = 0;
    let available = r.left();
    let left = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => available, // a jumbogram, or an offload's trace
        n => n,
    };
    packet.cut = left > available;
    packet.proto = next;
    behind_extensions(bytes, r, left, packet)
}

/// Passes the extension headers at `r`, from the one that `packet.proto` names, and reads what they stand before.
#[inline(always)]
fn behind_extensions(bytes: &[u8], mut r: Reader<'_>, mut left: usize, packet: &mut Packet) -> Result<bool, Undecoded> {
    for _ in 0..MAX_EXTENSIONS {
        let before = r.left();
        match extension(packet.proto, &mut r, packet) {
            Ok(Some(following)) => packet.proto = following,
            Ok(None) => return Ok(carried(bytes, r, left, packet)),
            Err(Truncated) => return Err(Undecoded::CutIp),
        }
        left = left.saturating_sub(before.saturating_sub(r.left()));
        // what a fragment header covers begins right behind it
        if packet.fragment.is_some() {
            return Ok(carried(bytes, r, left, packet));
        }
    }
    Err(Undecoded::BadIp)
}

/// Passes over one extension header; gives the one that follows, or `None` if `next` is not an extension.
#[inline(always)]
fn extension(next: u8, r: &mut Reader<'_>, packet: &mut Packet) -> Result<Option<u8>, Truncated> {
    match next {
        // hop-by-hop, routing, destination options, mobility, HIP, shim6
        0 | 43 | 60 | 135 | 139 | 140 => {
            let &[following, units] = r.array::<2>()?;
            r.skip(usize::from(units).saturating_mul(8).saturating_add(6))?;
            Ok(Some(following))
        }
        44 => {
            let &[following, _, o0, o1, a, b, c, d] = r.array::<8>()?;
            let field = u16::from_be_bytes([o0, o1]);
            let (offset, more) = (field & 0xfff8, field & 1 != 0);
            // an atomic fragment (RFC 6946) is a whole datagram
            if offset != 0 || more {
                packet.fragment = Some(Fragment { id: u32::from_be_bytes([a, b, c, d]), offset, more });
            }
            Ok(Some(following))
        }
        51 => {
            let &[following, units] = r.array::<2>()?;
            r.skip(usize::from(units).saturating_mul(4).saturating_add(6))?;
            Ok(Some(following))
        }
        _ => Ok(None),
    }
}

/// Hands what IP carries, `len` bytes on the wire, to the transport layer; a fragment keeps it as it is. Gives whether
/// it may be another packet.
#[inline(always)]
fn carried(bytes: &[u8], r: Reader<'_>, len: usize, packet: &mut Packet) -> bool {
    if packet.fragment.is_some() {
        transport::bare(bytes, r, len, packet);
        false
    } else {
        transport::decode(bytes, r, len, packet);
        tunnel::may_carry(packet)
    }
}

/// Reads a whole datagram that stands alone in `bytes`, put together from fragments. Gives whether it may carry another
/// packet. Fragments within it that are fragments of the same header are not put together again.
pub(super) fn datagram(bytes: &[u8], packet: &mut Packet) -> bool {
    let r = Reader::new(bytes);
    let mut read = *packet;
    let more = match packet.v6 {
        true => behind_extensions(bytes, r, bytes.len(), &mut read),
        false => Ok(carried(bytes, r, bytes.len(), &mut read)),
    };
    match more {
        Ok(more) if read.fragment.is_none() => {
            *packet = read;
            more
        }
        _ => {
            transport::bare(bytes, r, bytes.len(), packet);
            false
        }
    }
}

/// The offset of a cursor's place, as [`Packet`] keeps it.
#[inline(always)]
pub(super) fn place(bytes: &[u8], r: &Reader<'_>) -> u32 {
    u32::try_from(offset(bytes, r)).unwrap_or(u32::MAX)
}
