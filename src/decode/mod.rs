//! From a frame's bytes to the packet in it.
//!
//! [`decode`] walks the headers of one frame, layer by layer, to the innermost IP packet that it can reach, and leaves
//! a [`Packet`]: plain values and offsets into the frame, no borrow, so that it can wait in a batch or cross to another
//! thread. Lengths are believed only as far as the bytes go: a frame that the capture cut still gives its endpoints and
//! its lengths on the wire, and a length within another is clipped to what holds it. What IP says of its own length is
//! believed even where the frame says that it was whole: there are tools that cut frames and do not say so.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod arp;
pub mod fragment;
mod ip;
mod lan;
mod link;
mod radio;
mod serial;
mod shim;
mod straight;
#[cfg(test)]
mod testpackets;
mod transport;
pub mod tunnel;
mod wrapped;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::time::Timestamp;
use crate::wire::{Reader, Truncated};

pub use link::{name as link_name, supported as link_supported};
pub use tunnel::{Tunnel, Tunnels};

/// IP protocol numbers that are more than a number here.
pub mod proto {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMP6: u8 = 58;
    /// SCTP (RFC 9260).
    pub const SCTP: u8 = 132;
    /// The authentication header (RFC 4302).
    pub const AH: u8 = 51;

    /// Whether it says by ports who speaks.
    pub const fn speaks_by_ports(proto: u8) -> bool {
        matches!(proto, TCP | UDP | SCTP)
    }

    /// Whether ports of it are told; those of ICMP are its type and code.
    pub const fn has_ports(proto: u8) -> bool {
        speaks_by_ports(proto) || matches!(proto, ICMP | ICMP6)
    }

    /// The protocol's name in every output; `None` where only its number is told.
    pub const fn name(proto: u8) -> Option<&'static str> {
        Some(match proto {
            ICMP => "ICMP",
            2 => "IGMP",
            TCP => "TCP",
            UDP => "UDP",
            47 => "GRE",
            50 => "ESP",
            51 => "AH",
            ICMP6 => "IPv6-ICMP",
            89 => "OSPF",
            103 => "PIM",
            112 => "VRRP",
            SCTP => "SCTP",
            _ => return None,
        })
    }
}

/// TCP header flags (RFC 9293 §3.1).
#[allow(missing_docs)]
pub mod tcp_flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// Why a frame gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Undecoded {
    /// It carries something else than IP (ARP, LLDP, spanning tree, …).
    NotIp,
    /// Its link type is not one that is read here.
    UnknownLink,
    /// It is encrypted below IP (802.11, MACsec).
    Encrypted,
    /// The link header is cut short.
    CutLink,
    /// The IP header is cut short.
    CutIp,
    /// The IP header contradicts itself.
    BadIp,
    /// More layers than [`MAX_LAYERS`].
    TooDeep,
}

impl Undecoded {
    /// Every reason.
    pub const ALL: [Undecoded; 7] = [
        Undecoded::NotIp,
        Undecoded::UnknownLink,
        Undecoded::Encrypted,
        Undecoded::CutLink,
        Undecoded::CutIp,
        Undecoded::BadIp,
        Undecoded::TooDeep,
    ];

    /// The reason's name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Undecoded::NotIp => "not-ip",
            Undecoded::UnknownLink => "unknown-link",
            Undecoded::Encrypted => "encrypted",
            Undecoded::CutLink => "cut-link",
            Undecoded::CutIp => "cut-ip",
            Undecoded::BadIp => "bad-ip",
            Undecoded::TooDeep => "too-deep",
        }
    }

    /// Whether it says that the frame is damaged, rather than of no interest.
    pub const fn is_error(self) -> bool {
        matches!(self, Undecoded::CutLink | Undecoded::CutIp | Undecoded::BadIp | Undecoded::TooDeep)
    }
}

/// How many headers one frame may stack before it counts as hostile.
pub const MAX_LAYERS: usize = 24;

/// An IP address in its IPv6 form, as two numbers that are compared at once; IPv4 in its mapped form (RFC 4291
/// §2.5.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    high: u64,
    low: u64,
}

impl Addr {
    /// From the four bytes of an IPv4 address.
    #[inline(always)]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Addr { high: 0, low: 0xffff_0000_0000 | u32::from_be_bytes(bytes) as u64 }
    }

    /// From the sixteen bytes of an IPv6 address.
    #[inline(always)]
    pub const fn v6(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        Addr { high: (bits >> 64) as u64, low: bits as u64 }
    }

    /// The last four bytes as a number: an IPv4 address's whole value.
    #[inline(always)]
    pub const fn low32(self) -> u32 {
        self.low as u32
    }

    /// The first eight bytes as a number.
    #[inline(always)]
    pub const fn high64(self) -> u64 {
        self.high
    }

    /// The last eight bytes as a number.
    #[inline(always)]
    pub const fn low64(self) -> u64 {
        self.low
    }

    /// Whether it is an IPv4 address in its mapped form.
    #[inline(always)]
    pub const fn is_mapped(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }

    const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The address as the standard library writes it, given which family it was on the wire.
    pub fn ip(self, v6: bool) -> IpAddr {
        if v6 { IpAddr::V6(Ipv6Addr::from(self.bits())) } else { IpAddr::V4(Ipv4Addr::from(self.low32())) }
    }

    /// The address as the standard library writes it, IPv4 where it is in its mapped form.
    pub fn mapped_ip(self) -> IpAddr {
        Ipv6Addr::from(self.bits()).to_canonical()
    }

    /// From the standard library's form.
    pub fn from_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Addr::v4(v4.octets()),
            IpAddr::V6(v6) => Addr::v6(v6.octets()),
        }
    }
}

/// What the headers of one frame said.
///
/// Offsets count from the first byte of the buffer that was decoded (the frame, or a datagram put together from
/// fragments).
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet {
    /// When it was captured; of a datagram in fragments, the last one's time.
    pub ts: Timestamp,
    /// The number of its (first) frame, from 1.
    pub frame: u64,
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Bytes of its frame, or frames, on the wire.
    pub len: u32,
    /// How many frames it came in; more than one only for a datagram in fragments.
    pub frames: u32,
    /// Where its payload begins: what stands above TCP or UDP, or above IP for other protocols.
    pub payload_start: u32,
    /// How many payload bytes were captured.
    pub payload_captured: u32,
    /// How many payload bytes there were on the wire.
    pub payload_len: u32,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
    /// Source port; 0 where the protocol has none.
    pub src_port: u16,
    /// Destination port; 0 where the protocol has none.
    pub dst_port: u16,
    /// TCP window as announced, unscaled.
    pub window: u16,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// The transport header's checksum field.
    pub checksum: u16,
    /// VLAN ids, the outermost and the innermost; 0 is none.
    pub vlan: [u16; 2],
    /// What it was carried in.
    pub tunnels: Tunnels,
    /// IP protocol number.
    pub proto: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// TCP flags, see [`tcp_flag`].
    pub tcp_flags: u8,
    /// Length of the TCP options, which end where the payload begins.
    pub options_len: u8,
    /// It is an IPv6 packet.
    pub v6: bool,
    /// The capture cut it: some of it is missing from the bytes.
    pub cut: bool,
    /// The transport header could be read.
    pub transport: bool,
    /// The part of a datagram that this is, where it is not a whole one.
    pub fragment: Option<Fragment>,
}

/// A packet waits in batches and crosses to other threads: what it does not hold costs nothing there.
const _: () = assert!(size_of::<Packet>() <= 112);

/// Which part of an IP datagram a fragment is (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The datagram's identification.
    pub id: u32,
    /// Where this part belongs, in bytes.
    pub offset: u16,
    /// Another part follows.
    pub more: bool,
}

impl Packet {
    /// Whether all TCP flags of `mask` are set.
    #[inline(always)]
    pub const fn has(&self, mask: u8) -> bool {
        self.tcp_flags & mask == mask
    }

    /// Whether it comes from that port or goes there.
    #[inline(always)]
    pub const fn has_port(&self, port: u16) -> bool {
        self.src_port == port || self.dst_port == port
    }

    /// The captured payload in the buffer that was decoded.
    #[inline(always)]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.payload_start as usize;
        bytes.get(start..start.saturating_add(self.payload_captured as usize)).unwrap_or(&[])
    }

    /// The TCP options in the buffer that was decoded.
    #[inline(always)]
    pub fn options<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = self.payload_start as usize;
        bytes.get(end.saturating_sub(usize::from(self.options_len))..end).unwrap_or(&[])
    }

    /// TCP's sequence space that it takes: payload, SYN and FIN.
    #[inline(always)]
    pub fn seq_len(&self) -> u32 {
        let (fin, syn) = (self.tcp_flags & 1, self.tcp_flags >> 1 & 1);
        self.payload_len.wrapping_add(u32::from(fin.wrapping_add(syn)))
    }
}

/// What the next header is, while a frame is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// An Ethernet frame without its preamble.
    Ethernet,
    /// What an ethertype announces.
    Ethertype(u16),
    /// IPv4 or IPv6, by the first nibble.
    Ip,
    /// A frame of that link type.
    Link(u16),
    /// IEEE 802.2.
    Llc,
    /// PPP, with or without its HDLC framing.
    Ppp,
    /// An IEEE 802.11 frame.
    Wireless(radio::Layout),
}

impl Layer {
    /// What a field announces that holds an ethertype, or, below 0x600, a length before an LLC header (IEEE 802.3
    /// §3.2.6).
    fn type_or_length(field: u16) -> Layer {
        if field >= 0x0600 { Layer::Ethertype(field) } else { Layer::Llc }
    }

    /// What stands behind this header, which begins at `r`.
    #[inline(always)]
    fn behind(self, r: &mut Reader<'_>, packet: &mut Packet) -> Result<Layer, Undecoded> {
        match self {
            Layer::Ethernet => link::ethernet(r, packet).map(Layer::type_or_length).map_err(cut_link),
            Layer::Ethertype(ethertype) => link::ethertype(ethertype, r, packet),
            Layer::Ip => Ok(Layer::Ip),
            Layer::Link(link) => link::start(link, r),
            Layer::Llc => lan::llc(r),
            Layer::Ppp => serial::ppp(r),
            Layer::Wireless(layout) => radio::frame(layout, r),
        }
    }
}

/// Walks the headers of a frame of link type `link` into `packet`, whose `ts`, `frame`, `len` and `frames` the
/// caller has set; whatever else stands in it makes no difference.
///
/// # Errors
/// [`Undecoded`] where there is no IP packet in reach; `packet` is then half filled and of no use.
pub fn decode(link: u16, bytes: &[u8], packet: &mut Packet) -> Result<(), Undecoded> {
    decode_by_way(link, bytes, packet).map(drop)
}

/// How a packet was found in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At fixed places: it is a datagram of TCP or UDP that is no fragment, and the frame holds no other packet.
    Straight,
    /// Layer by layer.
    Stepwise,
}

/// As [`decode`], and tells how.
///
/// # Errors
/// As [`decode`].
#[inline(always)]
pub fn decode_by_way(link: u16, bytes: &[u8], packet: &mut Packet) -> Result<Way, Undecoded> {
    if link == link::ETHERNET && straight::decode(bytes, packet) {
        return Ok(Way::Straight);
    }
    decode_stepwise(link, bytes, packet).map(|()| Way::Stepwise)
}

#[inline(never)]
fn decode_stepwise(link: u16, bytes: &[u8], packet: &mut Packet) -> Result<(), Undecoded> {
    let Packet { ts, frame, len, frames, .. } = *packet;
    *packet = Packet { ts, frame, len, frames, ..Packet::default() };
    step_by_step(link, bytes, packet)
}

/// Walks the headers of the further packets in a frame that holds several (an aggregate of 802.11), in order. Each is
/// begun as `packet`, with its own length.
pub fn decode_further(link: u16, bytes: &[u8], packet: &Packet, each: &mut dyn FnMut(Packet, Result<(), Undecoded>)) {
    let mut r = Reader::new(bytes);
    let mut layer = Layer::Link(link);
    for _ in 0..MAX_LAYERS {
        match layer {
            Layer::Link(link) => match link::start(link, &mut r) {
                Ok(next) => layer = next,
                Err(_) => return,
            },
            Layer::Wireless(layout) => {
                return radio::further_parts(bytes, layout, r).for_each(|(begin, end)| {
                    let shown = bytes.get(..end).unwrap_or(bytes);
                    let len = u32::try_from(end.saturating_sub(begin)).unwrap_or(u32::MAX);
                    let mut packet = Packet { len, ..*packet };
                    let part = Reader::new(shown.get(begin..).unwrap_or_default());
                    let read = walk(shown, part, Layer::Llc, &mut packet).map(|carries| {
                        if carries {
                            tunnel::enter(shown, &mut packet);
                        }
                    });
                    each(packet, read);
                });
            }
            _ => return,
        }
    }
}

/// Whether frames of this link type may hold several packets.
pub const fn may_hold_several(link: u16) -> bool {
    link::is_wireless(link)
}

fn step_by_step(link: u16, bytes: &[u8], packet: &mut Packet) -> Result<(), Undecoded> {
    let r = Reader::new(bytes);
    let carries = if link == link::ETHERNET { ethernet(bytes, r, packet)? } else { any_link(link, bytes, r, packet)? };
    if carries {
        tunnel::enter(bytes, packet);
    }
    Ok(())
}

/// The way of most other frames: Ethernet, perhaps with tags, and IP. Gives whether that may carry another packet.
#[inline(always)]
fn ethernet(bytes: &[u8], mut r: Reader<'_>, packet: &mut Packet) -> Result<bool, Undecoded> {
    let ethertype = link::ethernet(&mut r, packet).map_err(cut_link)?;
    if link::is_ip(ethertype) {
        ip::decode(bytes, r, packet)
    } else {
        walk(bytes, r, Layer::type_or_length(ethertype), packet)
    }
}

fn any_link(link: u16, bytes: &[u8], mut r: Reader<'_>, packet: &mut Packet) -> Result<bool, Undecoded> {
    let layer = link::start(link, &mut r)?;
    if link::is_annotated(link) {
        let note = u32::try_from(offset(bytes, &r)).unwrap_or(u32::MAX);
        packet.len = packet.len.saturating_sub(note);
    }
    walk(bytes, r, layer, packet)
}

/// Walks from `layer`, which begins at `r`, a cursor over the tail of `bytes`, to the first IP packet. Gives whether
/// that may carry another.
#[inline(never)]
fn walk(bytes: &[u8], mut r: Reader<'_>, mut layer: Layer, packet: &mut Packet) -> Result<bool, Undecoded> {
    for _ in 0..MAX_LAYERS {
        if layer == Layer::Ip {
            return ip::decode(bytes, r, packet);
        }
        layer = layer.behind(&mut r, packet)?;
    }
    Err(Undecoded::TooDeep)
}

/// Reads the headers of a whole datagram that stands alone in `bytes`: what fragments were put together to.
pub fn decode_datagram(bytes: &[u8], packet: &mut Packet) {
    packet.fragment = None;
    if ip::datagram(bytes, packet) {
        tunnel::enter(bytes, packet);
    }
}

fn cut_link(_: Truncated) -> Undecoded {
    Undecoded::CutLink
}

/// The offset in `bytes` at which `r`, a cursor over its tail, stands.
#[inline(always)]
fn offset(bytes: &[u8], r: &Reader<'_>) -> usize {
    bytes.len().saturating_sub(r.left())
}
