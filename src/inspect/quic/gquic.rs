//! Google's QUIC before it became a standard: packets in the clear, and the ClientHello of QUIC crypto.
//!
//! "QUIC Wire Layout Specification" and "QUIC Crypto" (Google, 2016), with what QUICHE changed later: numbers in
//! network order from Q039 on, no private flags from Q034 on, a long header from Q046 on (read by `header`).
//!
//! Limits: versions Q024 and later, and [`MAX_TAGS`] tags a hello. Refused: packets without a version, and frames
//! other than padding, PING and STREAM, with all that follows them: a client's first packets have none.

use super::Quic;
use super::frames::Frame;
use crate::wire::{Reader, Result};

/// The most tags of a hello that are looked through.
const MAX_TAGS: u16 = 128;
/// The hash before the frames of a packet that is not encrypted.
const HASH: usize = 12;
/// The stream that carries the handshake.
const CRYPTO_STREAM: u64 = 1;

/// Bits of the public flags.
mod flag {
    pub const VERSION: u8 = 0x01;
    pub const RESET: u8 = 0x02;
    pub const CID: u8 = 0x08;
    pub const NUMBER: u8 = 0x30;
    pub const RESERVED: u8 = 0xc0;
}

/// A packet with the public header of Q043 and before, as far as it names its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public<'a> {
    /// The version: `Q0` and two digits.
    pub version: u32,
    /// What follows the packet number.
    pub rest: &'a [u8],
}

impl<'a> Public<'a> {
    /// Reads a datagram; `None`: it is not such a packet.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        Self::try_read(datagram).ok().flatten()
    }

    fn try_read(datagram: &'a [u8]) -> Result<Option<Self>> {
        let mut r = Reader::new(datagram);
        let flags = r.u8()?;
        let wanted = flag::VERSION | flag::CID;
        if flags & (wanted | flag::RESET | flag::RESERVED) != wanted {
            return Ok(None);
        }
        r.skip(8)?;
        let version = *r.array::<4>()?;
        if !matches!(version, [b'Q', b'0', b'2'..=b'4', b'0'..=b'9']) {
            return Ok(None);
        }
        r.take_up_to(match flags & flag::NUMBER {
            0x00 => 1,
            0x10 => 2,
            0x20 => 4,
            _ => 6,
        });
        Ok(Some(Public { version: u32::from_be_bytes(version), rest: r.rest() }))
    }
}

/// The pieces of the handshake in a packet in the clear, from behind its packet number on.
pub fn handshake(version: u32, payload: &[u8], found: &mut dyn FnMut(Frame<'_>)) {
    let _ = try_handshake(version, payload, found);
}

fn try_handshake(version: u32, payload: &[u8], found: &mut dyn FnMut(Frame<'_>)) -> Result<()> {
    let mut r = Reader::new(payload);
    r.skip(HASH)?;
    // as ASCII digits
    let version = version & 0xffff;
    if version < 0x3334 {
        r.skip(1)?;
    }
    let big = version >= 0x3339;
    while !r.is_empty() {
        let kind = r.u8()?;
        match kind {
            0x00 | 0x07 => {}
            0x80.. => {
                let stream = number(&mut r, usize::from(kind & 3).saturating_add(1), big)?;
                let offset = match kind >> 2 & 7 {
                    0 => 0,
                    n => number(&mut r, usize::from(n).saturating_add(1), big)?,
                };
                let bytes = if kind & 0x20 == 0 {
                    r.take_up_to(usize::MAX)
                } else {
                    let length = number(&mut r, 2, big)?;
                    r.take(usize::try_from(length).unwrap_or(usize::MAX))?
                };
                if stream == CRYPTO_STREAM {
                    found(Frame::Crypto { offset: usize::try_from(offset).unwrap_or(usize::MAX), bytes });
                }
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// A number of up to eight bytes.
fn number(r: &mut Reader<'_>, length: usize, big: bool) -> Result<u64> {
    let bytes = r.take(length)?;
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Ok(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
}

/// What a ClientHello of QUIC crypto says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The server name asked for.
    pub sni: Option<&'a [u8]>,
    /// The client's software.
    pub user_agent: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    /// What it says of a connection of that version.
    pub const fn of(&self, version: u32) -> Quic<'a> {
        Quic { version, sni: self.sni, user_agent: self.user_agent }
    }

    /// Reads a message from its tag on. `None`: it is not a ClientHello; a hello that is not whole gives an error.
    pub fn read(message: &'a [u8]) -> Result<Option<Self>> {
        let mut r = Reader::new(message);
        if r.array::<4>()? != b"CHLO" {
            return Ok(None);
        }
        let count = u16::from_le_bytes(*r.array()?);
        r.skip(2)?;
        if count > MAX_TAGS {
            return Ok(None);
        }
        let mut tags = r.sub(usize::from(count).saturating_mul(8))?;
        let (mut hello, mut start) = (Hello::default(), 0);
        while let (Ok(tag), Ok(end)) = (tags.array::<4>(), tags.array::<4>()) {
            let end = u32::from_le_bytes(*end);
            let Some(length) = end.checked_sub(start) else { return Ok(None) };
            start = end;
            let value = r.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            match tag {
                b"SNI\0" => hello.sni = Some(value).filter(|v| !v.is_empty()),
                b"UAID" => hello.user_agent = Some(value).filter(|v| !v.is_empty()),
                _ => {}
            }
        }
        Ok(Some(hello))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ClientHello with a padding tag, a name and a user agent.
    pub fn chlo(name: &[u8]) -> Vec<u8> {
        let values = [&[b'-'; 30][..], name, b"Chrome/99"];
        let (mut index, mut end) = (Vec::new(), 0);
        for (tag, value) in [b"PAD\0", b"SNI\0", b"UAID"].into_iter().zip(values) {
            end += value.len();
            index.extend([&tag[..], &u32::try_from(end).unwrap().to_le_bytes()].concat());
        }
        [&b"CHLO\x03\0\0\0"[..], &index, &values.concat()].concat()
    }

    /// A packet of that version in one STREAM frame with a length.
    pub fn packet(version: &[u8; 4], message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).unwrap();
        let length = if version >= b"Q039" { length.to_be_bytes() } else { length.to_le_bytes() };
        let private: &[u8] = if version < b"Q034" { &[1] } else { &[] };
        [&[0x09][..], &[7; 8], version, &[1], &[0xaa; 12], private, &[0xa0, 1], &length, message, &[0; 40]].concat()
    }

    #[test]
    fn a_hello_in_every_layout() {
        for version in [b"Q025", b"Q033", b"Q034", b"Q039", b"Q043"] {
            let datagram = packet(version, &chlo(b"a.example"));
            let public = Public::read(&datagram).unwrap();
            assert_eq!(public.version.to_be_bytes(), *version);
            let mut seen = Vec::new();
            handshake(public.version, public.rest, &mut |frame| {
                let Frame::Crypto { offset: 0, bytes } = frame else { return };
                let hello = Hello::read(bytes).unwrap().unwrap();
                seen.push((hello.sni.unwrap().to_vec(), hello.user_agent.unwrap().to_vec()));
            });
            assert_eq!(seen, [(b"a.example".to_vec(), b"Chrome/99".to_vec())], "{version:?}");
        }
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let datagram = packet(b"Q043", &chlo(b"a.example"));
        for (at, value) in [(0, 0x08), (0, 0x0b), (0, 0x49), (9, b'R'), (11, b'1')] {
            let mut other = datagram.clone();
            other[at] = value;
            assert_eq!(Public::read(&other), None);
        }
        let hello = chlo(b"a.example");
        assert!(Hello::read(&hello[..40]).is_err(), "not whole");
        assert_eq!(Hello::read(&[b"SHLO", &hello[4..]].concat()), Ok(None));
        let mut backwards = hello;
        backwards[20..24].copy_from_slice(&[9, 0, 0, 0]);
        assert_eq!(Hello::read(&backwards), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes: Vec<u8>, at in 0_usize..90, value: u8, real: bool) {
            if real {
                bytes = packet(b"Q039", &chlo(b"a.example"));
                bytes[at] = value;
            }
            if let Some(public) = Public::read(&bytes) {
                handshake(public.version, public.rest, &mut |frame| {
                    if let Frame::Crypto { bytes, .. } = frame {
                        let _ = Hello::read(bytes);
                    }
                });
            }
        }
    }
}
