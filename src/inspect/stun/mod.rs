//! STUN messages (RFC 8489; RFC 3489 as "classic"), with the attributes of ICE (RFC 8445 §16.1), NAT behaviour
//! discovery (RFC 5780) and TURN (RFC 8656), over datagrams and, by [`StunStream`], over TCP.
//!
//! The header is read at once, attributes when asked for; a walk ends at the first that is cut. Nothing is
//! allocated. Refused: a length that is not the datagram's, a missing magic cookie. Lengths that are no multiple of
//! four are borne in a datagram with cookie only: messengers send them. Without a cookie [`parse_classic`] wants the
//! methods of RFC 3489 and attributes that fill the message exactly; where no port says STUN, [`Message::is_telling`]
//! wants more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::wire::{Reader, Result, Truncated};

mod stream;

pub use stream::{StunStream, probe_tcp};

/// The length of the header.
const HEADER_LEN: usize = 20;

/// The magic cookie (RFC 8489 §5).
const COOKIE: u32 = 0x2112_a442;

/// What the CRC-32 of a FINGERPRINT is XORed with (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Attribute numbers of IANA's "STUN Attributes".
pub mod attribute {
    #![allow(missing_docs)]
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const CHANGE_REQUEST: u16 = 0x0003;
    pub const USERNAME: u16 = 0x0006;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const LIFETIME: u16 = 0x000d;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    /// XOR-MAPPED-ADDRESS as drafts of RFC 5389 numbered it.
    pub const XOR_MAPPED_ADDRESS_OLD: u16 = 0x8020;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
    pub const OTHER_ADDRESS: u16 = 0x802c;
}

/// A message's class (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request.
    Success,
    /// Refuses a request.
    Error,
}

/// A STUN message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Magic cookie and transaction id: the key of XORed addresses, and the 16-byte id of a classic message.
    key: &'a [u8; 16],
    body: Reader<'a>,
    kind: u16,
    length: u16,
    /// Without magic cookie, as RFC 3489 had it.
    pub classic: bool,
}

/// Reads a datagram as STUN with magic cookie. `wire_len` is the datagram's length on the wire, which the message
/// must fill; fewer bytes of it may be there.
#[inline]
pub fn parse(datagram: &[u8], wire_len: usize) -> Option<Message<'_>> {
    Message::read(datagram).ok().filter(|m| !m.classic && m.wire_len() == wire_len)
}

/// Reads a datagram as STUN without magic cookie (RFC 3489 §11): Binding and Shared Secret only, and attributes that
/// fill the message exactly, as far as it was captured.
pub fn parse_classic(datagram: &[u8], wire_len: usize) -> Option<Message<'_>> {
    let message = Message::read(datagram).ok().filter(|m| m.classic && m.wire_len() == wire_len)?;
    let known = matches!((message.method(), message.class()), (1 | 2, class) if class != Class::Indication);
    let mut attributes = message.attributes();
    while attributes.next().is_some() {}
    (known && message.is_aligned() && (attributes.reader.is_empty() || datagram.len() < wire_len)).then_some(message)
}

impl<'a> Message<'a> {
    /// Reads the header at the front of `bytes`. Bytes after the message's length are not its own.
    #[inline]
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let (kind, length) = (r.u16()?, r.u16()?);
        let classic = r.peek().map(|c| u32::from_be_bytes(*c))? != COOKIE;
        let key = r.array()?;
        if kind & 0xc000 != 0 {
            return Err(Truncated);
        }
        let body = Reader::new(r.take_up_to(usize::from(length)));
        let bytes = Reader::new(bytes).take_up_to(HEADER_LEN.saturating_add(usize::from(length)));
        Ok(Message { bytes, key, body, kind, length, classic })
    }

    /// The length of the whole message on the wire, in bytes.
    pub fn wire_len(&self) -> usize {
        HEADER_LEN.saturating_add(usize::from(self.length))
    }

    /// Whether its length is one of whole 32-bit words, as it must be (RFC 8489 §5).
    const fn is_aligned(&self) -> bool {
        self.length & 3 == 0
    }

    /// Whether a classic message can hardly be anything else: all of its attributes are RFC 3489's (§11.2), or one that
    /// servers of that time sent beside them, and one is an address or asks for another.
    pub fn is_telling(&self) -> bool {
        let (mut known, mut telling) = (true, false);
        for a in self.attributes() {
            match a.kind {
                attribute::MAPPED_ADDRESS | 0x0002 | 0x0004 | 0x0005 | 0x000b | attribute::XOR_MAPPED_ADDRESS_OLD => {
                    let is_address = a.value.first() == Some(&0) && address(a.value, None).is_some();
                    (known, telling) = (known && is_address, true);
                }
                attribute::CHANGE_REQUEST => (known, telling) = (known && a.value.len() == 4, true),
                attribute::USERNAME | 0x0007..=0x000a | attribute::SOFTWARE => {}
                _ => known = false,
            }
        }
        known && telling
    }

    /// The message's class.
    pub const fn class(&self) -> Class {
        match self.kind & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        }
    }

    /// The method's number, 12 bits: 1 is Binding.
    pub const fn method(&self) -> u16 {
        self.kind & 0x000f | self.kind >> 1 & 0x0070 | self.kind >> 2 & 0x0f80
    }

    /// The transaction id that a response shares with its request: 12 bytes, 16 in a classic message.
    #[cfg(test)]
    pub fn transaction_id(&self) -> &'a [u8] {
        let skipped = if self.classic { 0 } else { 4 };
        self.key.get(skipped..).unwrap_or_default()
    }

    /// The attributes that are whole, in order.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { reader: self.body }
    }

    /// The addresses at which the server saw the client: MAPPED-ADDRESS, XOR-MAPPED-ADDRESS, and the latter under its
    /// number of old.
    pub fn mapped(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let key = self.key;
        self.attributes().filter_map(move |a| match a.kind {
            attribute::MAPPED_ADDRESS => address(a.value, None),
            attribute::XOR_MAPPED_ADDRESS | attribute::XOR_MAPPED_ADDRESS_OLD => address(a.value, Some(key)),
            _ => None,
        })
    }

    /// The peers that a TURN server is to let through, or relays to (RFC 8656 §18.3).
    pub fn peers(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let key = self.key;
        let peers = self.attributes().filter(|a| a.kind == attribute::XOR_PEER_ADDRESS);
        peers.filter_map(move |a| address(a.value, Some(key)))
    }

    /// The datagram that a Send or Data indication of TURN carries (RFC 8656 §11), if it is whole.
    pub fn data(&self) -> Option<Carried<'a>> {
        let indication = matches!(self.method(), 6 | 7) && self.class() == Class::Indication;
        let data = self.attributes().filter(|_| indication).find(|a| a.kind == attribute::DATA)?;
        Some(Carried { channel: false, datagram: data.value })
    }

    /// What the attributes say, by one walk over them; of one that comes twice, the first (RFC 8489 §14).
    #[inline]
    pub fn details(&self) -> Details<'a> {
        let mut details = Details::default();
        self.attributes().for_each(|a| details.note(&a, self.key));
        details
    }

    /// Whether the FINGERPRINT is right; `None` where there is none, it is not last, or the message is cut.
    pub fn fingerprint_is_right(&self) -> Option<bool> {
        let (head, mut tail) = (self.bytes.len().checked_sub(8)?, Reader::new(self.bytes));
        let covered = tail.take(head).ok()?;
        let (kind, len, sent) = (tail.u16().ok()?, tail.u16().ok()?, tail.u32().ok()?);
        if kind != attribute::FINGERPRINT || len != 4 || self.bytes.len() != self.wire_len() {
            return None;
        }
        let mut crc = flate2::Crc::new();
        crc.update(covered);
        Some(crc.sum() ^ FINGERPRINT_XOR == sent)
    }
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number; see [`attribute`].
    pub kind: u16,
    /// Its value, without padding.
    pub value: &'a [u8],
}

/// A datagram that came inside: in an indication of TURN, by one of its channels, or framed in a stream (RFC 4571).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// It came by a channel.
    pub channel: bool,
    /// Its bytes; none where it was cut.
    pub datagram: &'a [u8],
}

impl<'a> Carried<'a> {
    /// What a message of ChannelData carries, however much of it is there.
    pub fn by_channel(message: &'a [u8]) -> Self {
        Carried { channel: true, datagram: channel_data(message).map_or(&[], |(_, datagram)| datagram) }
    }
}

/// The attributes of a [`Message`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let mut ahead = self.reader;
        let (kind, len) = (ahead.u16().ok()?, ahead.u16().ok()?);
        let value = ahead.take(usize::from(len)).ok()?;
        // the last one's padding may be left out by the careless
        ahead.take_up_to(padding(usize::from(len)));
        self.reader = ahead;
        Some(Attribute { kind, value })
    }
}

/// How many bytes fill up `len` to whole 32-bit words.
const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// What the attributes of a message say. Text is as sent (UTF-8 by the RFC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// Where the server saw the client: the first of [`Message::mapped`], an XORed one before a plain one.
    pub mapped: Option<SocketAddr>,
    /// The user name; in ICE `REMOTE:LOCAL` fragments.
    pub username: Option<&'a [u8]>,
    /// The sender's software.
    pub software: Option<&'a [u8]>,
    /// The realm of long-term credentials.
    pub realm: Option<&'a [u8]>,
    /// A nonce is there.
    pub has_nonce: bool,
    /// The error code, 300 to 699, of an error response.
    pub error: Option<u16>,
    /// The error's reason phrase.
    pub reason: Option<&'a [u8]>,
    /// The candidate's priority (ICE).
    pub priority: Option<u32>,
    /// The tie-breaker of an agent that says it is controlling (ICE).
    pub ice_controlling: Option<u64>,
    /// The tie-breaker of an agent that says it is controlled (ICE).
    pub ice_controlled: Option<u64>,
    /// The candidate pair is nominated (ICE).
    pub use_candidate: bool,
    /// The address that a TURN server relays from.
    pub relayed: Option<SocketAddr>,
    /// The first peer that a TURN server relays to.
    pub peer: Option<SocketAddr>,
    /// The server's other address (RFC 5780).
    pub other_address: Option<SocketAddr>,
    /// The client asks for an answer from another address or port.
    pub has_change_request: bool,
    /// For how many seconds a TURN allocation lives.
    pub lifetime: Option<u32>,
    /// A FINGERPRINT is there; see [`Message::fingerprint_is_right`].
    pub has_fingerprint: bool,
    mapped_is_xored: bool,
}

impl<'a> Details<'a> {
    /// Whether it is a connectivity check of ICE.
    pub const fn is_ice(&self) -> bool {
        self.priority.is_some() || self.ice_controlling.is_some() || self.ice_controlled.is_some() || self.use_candidate
    }

    #[inline]
    fn note(&mut self, a: &Attribute<'a>, key: &[u8; 16]) {
        let mut r = Reader::new(a.value);
        match a.kind {
            attribute::MAPPED_ADDRESS => first(&mut self.mapped, || address(a.value, None)),
            attribute::XOR_MAPPED_ADDRESS | attribute::XOR_MAPPED_ADDRESS_OLD if !self.mapped_is_xored => {
                if let Some(xored) = address(a.value, Some(key)) {
                    (self.mapped, self.mapped_is_xored) = (Some(xored), true);
                }
            }
            attribute::USERNAME => first(&mut self.username, || Some(a.value)),
            attribute::SOFTWARE => first(&mut self.software, || Some(a.value)),
            attribute::REALM => first(&mut self.realm, || Some(a.value)),
            attribute::NONCE => self.has_nonce = true,
            attribute::ERROR_CODE if self.error.is_none() => {
                self.error = error_code(&mut r);
                self.reason = self.error.map(|_| r.rest());
            }
            attribute::PRIORITY => first(&mut self.priority, || r.u32().ok()),
            attribute::ICE_CONTROLLING => first(&mut self.ice_controlling, || r.u64().ok()),
            attribute::ICE_CONTROLLED => first(&mut self.ice_controlled, || r.u64().ok()),
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::XOR_RELAYED_ADDRESS => first(&mut self.relayed, || address(a.value, Some(key))),
            attribute::XOR_PEER_ADDRESS => first(&mut self.peer, || address(a.value, Some(key))),
            attribute::OTHER_ADDRESS => first(&mut self.other_address, || address(a.value, None)),
            attribute::CHANGE_REQUEST => self.has_change_request = true,
            attribute::LIFETIME => first(&mut self.lifetime, || r.u32().ok()),
            attribute::FINGERPRINT => self.has_fingerprint = true,
            _ => {}
        }
    }
}

/// Fills `slot` if it is empty.
#[inline]
fn first<T>(slot: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if slot.is_none() {
        *slot = value();
    }
}

/// An error code: the hundreds in three bits, the rest in a byte (RFC 8489 §14.8). The reason is left in `r`.
fn error_code(r: &mut Reader<'_>) -> Option<u16> {
    let [_, _, class, number] = *r.array().ok()?;
    Some(u16::from(class & 7).saturating_mul(100).saturating_add(u16::from(number)))
}

/// An address (RFC 8489 §14.1), XORed with `key` where there is one (§14.2).
#[inline]
fn address(value: &[u8], key: Option<&[u8; 16]>) -> Option<SocketAddr> {
    let mut r = Reader::new(value);
    let (_, family, port) = (r.u8().ok()?, r.u8().ok()?, r.u16().ok()?);
    let key = key.map_or(0, |k| u128::from_be_bytes(*k));
    let [k0, k1, k2, k3, ..] = key.to_be_bytes();
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(r.u32().ok()? ^ u32::from_be_bytes([k0, k1, k2, k3]))),
        2 => IpAddr::V6(Ipv6Addr::from(u128::from_be_bytes(*r.array().ok()?) ^ key)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port ^ u16::from_be_bytes([k0, k1])))
}

/// The name of a method (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1); `None` where it is not assigned.
pub const fn method_name(method: u16) -> Option<&'static str> {
    Some(match method {
        0x001 => "binding",
        0x002 => "shared-secret",
        0x003 => "allocate",
        0x004 => "refresh",
        0x006 => "send",
        0x007 => "data",
        0x008 => "create-permission",
        0x009 => "channel-bind",
        0x00a => "connect",
        0x00b => "connection-bind",
        0x00c => "connection-attempt",
        _ => return None,
    })
}

/// Reads a datagram as TURN's ChannelData (RFC 8656 §12.4): the channel, 0x4000 to 0x7fff (the range of RFC 5766),
/// and the data, which may be padded to whole words.
#[inline]
pub fn channel_data(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let mut r = Reader::new(datagram);
    let (channel, len) = (r.u16().ok()?, r.u16().ok()?);
    let data = r.take(usize::from(len)).ok()?;
    (matches!(channel, 0x4000..=0x7fff) && r.left() < 4).then_some((channel, data))
}

#[cfg(test)]
mod tests;
