//! Frames of Initial packets: the pieces of the handshake, and why a connection was closed.
//!
//! RFC 9000 §12.4 and §19.1, §19.2, §19.3, §19.6, §19.19. Google's own frames are read as far as they come in an
//! Initial packet: padding (0x00), PING (0x07), CRYPTO (0x08) and ACK (0x40 to 0x7f).
//!
//! Refused: any frame that no Initial packet may hold, and all that follows it.

use super::header::varint;
use super::version::Dialect;
use crate::wire::{Reader, Result};

/// A frame that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes of the handshake, and their place in it.
    Crypto {
        /// Where they begin.
        offset: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The sender closes the connection with this TLS alert (RFC 9001 §4.8).
    Alert(u8),
}

/// The frames of an opened Initial packet that say something, in order.
pub struct Frames<'a> {
    rest: Reader<'a>,
    google: bool,
    cut: bool,
}

impl<'a> Frames<'a> {
    /// The frames of `payload`; where that was cut, the last may be shorter than it says.
    pub fn new(payload: &'a [u8], dialect: Dialect, cut: bool) -> Self {
        Frames { rest: Reader::new(payload), google: dialect != Dialect::Ietf, cut }
    }

    fn try_next(&mut self) -> Result<Option<Frame<'a>>> {
        let r = &mut self.rest;
        while !r.is_empty() {
            match r.u8()? {
                // padding, PING
                0x00 | 0x01 => {}
                0x07 if self.google => {}
                0x02 if !self.google => skip_ack(r, 0)?,
                0x03 if !self.google => skip_ack(r, 3)?,
                kind @ 0x40..=0x7f if self.google => skip_google_ack(r, kind)?,
                0x08 if self.google => return crypto(r, self.cut).map(Some),
                0x06 => return crypto(r, self.cut).map(Some),
                0x1c if !self.google => {
                    let code = varint(r)?;
                    *r = Reader::new(&[]);
                    return Ok(match code {
                        0x100..=0x1ff => u8::try_from(code & 0xff).ok().map(Frame::Alert),
                        _ => None,
                    });
                }
                _ => break,
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        self.try_next().ok().flatten()
    }
}

/// A CRYPTO frame (RFC 9000 §19.6) after its type.
fn crypto<'a>(r: &mut Reader<'a>, cut: bool) -> Result<Frame<'a>> {
    let offset = varint(r)?;
    let length = varint(r)?;
    let bytes = if cut { r.take_up_to(length) } else { r.take(length)? };
    Ok(Frame::Crypto { offset, bytes })
}

/// Passes over an ACK frame (RFC 9000 §19.3) after its type, and over `counts` numbers at its end.
fn skip_ack(r: &mut Reader<'_>, counts: usize) -> Result<()> {
    varint(r)?;
    varint(r)?;
    let ranges = varint(r)?;
    // each range takes two bytes at least, so this ends with the packet
    for _ in 0..ranges.saturating_mul(2).saturating_add(1).saturating_add(counts) {
        varint(r)?;
    }
    Ok(())
}

/// Passes over an ACK frame of Google's after its type, which tells the sizes of what follows.
fn skip_google_ack(r: &mut Reader<'_>, kind: u8) -> Result<()> {
    let size = |bits: u8| match bits & 3 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 6,
    };
    // the greatest number that came, and how long ago
    r.skip(size(kind >> 2))?;
    r.skip(2)?;
    let more_blocks = if kind & 0x20 == 0 { 0 } else { usize::from(r.u8()?) };
    let block: usize = size(kind);
    r.skip(block)?;
    r.skip(more_blocks.saturating_mul(block.saturating_add(1)))?;
    match usize::from(r.u8()?) {
        0 => Ok(()),
        times => r.skip(times.saturating_mul(3).saturating_add(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(payload: &[u8], dialect: Dialect) -> Vec<Frame<'_>> {
        Frames::new(payload, dialect, false).collect()
    }

    #[test]
    fn what_stands_between_is_passed_over() {
        let ack = [0x03, 5, 0, 1, 0, 0, 1, 7, 8, 9];
        let payload = [&[0, 0, 1][..], &ack, &[6, 0x40, 9, 2, b'a', b'b', 0, 6, 0, 1, b'c', 0x40, 6, 0, 1, 1]].concat();
        let wanted = [Frame::Crypto { offset: 9, bytes: b"ab" }, Frame::Crypto { offset: 0, bytes: b"c" }];
        assert_eq!(all(&payload, Dialect::Ietf), wanted, "and what follows a frame that may not be here is not read");
        assert_eq!(all(&[7, 0, 8, 1, 2, 3, 4], Dialect::GoogleTls), [Frame::Crypto { offset: 1, bytes: &[3, 4] }]);
        let ack = [0x65, 0, 9, 1, 1, 2, 0, 5, 7, 0, 3, 1, 9, 9, 2, 9, 9, 9, 9, 9, 9, 9, 9];
        assert_eq!(all(&[&ack[..], &[8, 0, 1, 7]].concat(), Dialect::GoogleTls).len(), 1);
        assert_eq!(all(&[6, 0, 9, 1], Dialect::Ietf), []);
        let cut = Frames::new(&[6, 0, 9, 1], Dialect::Ietf, true).collect::<Vec<_>>();
        assert_eq!(cut, [Frame::Crypto { offset: 0, bytes: &[1] }]);
    }

    #[test]
    fn a_close_is_an_alert_if_tls_is_why() {
        assert_eq!(all(&[0x1c, 0x41, 0x28, 0, 0], Dialect::Ietf), [Frame::Alert(40)]);
        assert_eq!(all(&[0x1c, 0x0a, 0, 0], Dialect::Ietf), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, google: bool) {
            let dialect = if google { Dialect::GoogleCrypto } else { Dialect::Ietf };
            prop_assert!(all(&bytes, dialect).len() <= bytes.len());
        }
    }
}
