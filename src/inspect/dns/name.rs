//! Domain names (RFC 1035 §3.1, §4.1.4).
//!
//! A [`Name`] is a place in a message; its labels are read when asked for. At most [`JUMPS_MAX`] compression
//! pointers are followed and at most 255 bytes of labels read, so a pointer loop ends. Label types other than
//! plain and pointer (RFC 2673 bit strings, long withdrawn) are refused.

use std::fmt::{self, Write};

use crate::wire::{Reader, Result, Truncated};

/// How many compression pointers of one name are followed.
pub const JUMPS_MAX: u8 = 128;

/// The most bytes a name takes on the wire, the root's zero byte included (RFC 1035 §2.3.4).
pub const WIRE_MAX: usize = 255;

/// A domain name inside a message.
///
/// Its text (`Display`, [`Name::write_to`]) has no last dot and the root is `.`; case stays as sent. UTF-8 (RFC
/// 6762 §16) is shown as it is, bytes that are not UTF-8 as U+FFFD, control characters as `\DDD` (RFC 1035 §5.1).
/// A name that breaks off shows its labels so far and then `<malformed>`.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
    /// How many bytes it takes where it stands, root included; 0 if it goes on elsewhere, or is too long for a name.
    in_place: u8,
}

impl<'a> Name<'a> {
    /// Reads the name at `reader`, a cursor over the tail of `message` that ends `tail` bytes before its end.
    ///
    /// Only what stands in place is passed over; pointers are not followed yet.
    pub(super) fn read(message: &'a [u8], reader: &mut Reader<'a>, tail: usize) -> Result<Self> {
        let at = message.len().saturating_sub(reader.left()).saturating_sub(tail);
        let before = reader.left();
        let in_place = match skip(reader)? {
            Ends::Here => u8::try_from(before.saturating_sub(reader.left())).unwrap_or(0),
            Ends::Elsewhere => 0,
        };
        Ok(Name { message, at, in_place })
    }

    /// The labels, outermost host first, without the root's empty one.
    pub fn labels(&self) -> Labels<'a> {
        let reader = Reader::new(self.message.get(self.at..).unwrap_or_default());
        Labels { message: self.message, reader, left: WIRE_MAX.saturating_sub(1), jumps: JUMPS_MAX, end: End::Ahead }
    }

    /// The name's bytes as they stand on the wire, root included, if they stand in one place and are whole.
    pub fn in_place(&self) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::from(self.in_place))?;
        self.message.get(self.at..end).filter(|name| !name.is_empty())
    }

    /// The name's bytes as they would stand on the wire without compression, as far as they can be read: in `buffer`
    /// unless they stand so already.
    pub fn wire<'b>(&self, buffer: &'b mut [u8; WIRE_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        if let Some(bytes) = self.in_place() {
            return bytes;
        }
        let mut free = buffer.iter_mut();
        for label in self.labels() {
            let length = u8::try_from(label.len()).unwrap_or(0);
            std::iter::once(&length).chain(label).zip(&mut free).for_each(|(byte, slot)| *slot = *byte);
        }
        let used = WIRE_MAX.saturating_sub(free.len());
        buffer.get(..used.saturating_add(1)).unwrap_or(&buffer[..])
    }

    /// Whether every label is there, up to the root.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.in_place().is_some() || self.leads_to_its_root()
    }

    /// The same of a name that goes on elsewhere.
    fn leads_to_its_root(&self) -> bool {
        let mut labels = self.labels();
        while labels.next().is_some() {}
        labels.end == End::Root
    }

    /// Writes the name's text.
    pub fn write_to(&self, out: &mut impl Write) -> fmt::Result {
        let mut labels = self.labels();
        let mut first = true;
        for label in labels.by_ref() {
            if !first {
                out.write_char('.')?;
            }
            first = false;
            write_label(out, label)?;
        }
        match (labels.end, first) {
            (End::Root, true) => out.write_char('.'),
            (End::Root, false) => Ok(()),
            (_, true) => out.write_str("<malformed>"),
            (_, false) => out.write_str(".<malformed>"),
        }
    }
}

/// The text of a name that stands so on the wire ([`Name::wire`]), in `buffer`, if all its characters are plain ones:
/// the usual case.
pub fn plain_text<'b>(wire: &[u8], buffer: &'b mut [u8; WIRE_MAX]) -> Option<&'b str> {
    let (&first, labels) = wire.split_last()?.1.split_first()?;
    let text = buffer.get_mut(..labels.len())?;
    text.copy_from_slice(labels);
    let (mut length, mut rest) = (first, &mut text[..]);
    while let Some((slot, behind)) =
        rest.split_at_mut_checked(usize::from(length)).and_then(|(_, r)| r.split_first_mut())
    {
        length = std::mem::replace(slot, b'.');
        rest = behind;
    }
    let text = &*text;
    let plain = text.iter().fold(true, |plain, b| plain & b.is_ascii_graphic());
    std::str::from_utf8(text).ok().filter(|text| plain && !text.is_empty())
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The labels of a [`Name`].
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
    left: usize,
    jumps: u8,
    end: End,
}

/// How far a walk over labels came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ahead,
    Root,
    Broken,
}

impl<'a> Labels<'a> {
    /// The next label, or `None` at the root.
    fn step(&mut self) -> Result<Option<&'a [u8]>> {
        loop {
            let tag = self.reader.u8()?;
            match tag {
                0 => return Ok(None),
                1..=0x3f => {
                    let len = usize::from(tag);
                    self.left = self.left.checked_sub(len.saturating_add(1)).ok_or(Truncated)?;
                    return self.reader.take(len).map(Some);
                }
                0xc0.. => {
                    self.jumps = self.jumps.checked_sub(1).ok_or(Truncated)?;
                    let at = u16::from_be_bytes([tag & 0x3f, self.reader.u8()?]);
                    self.reader = Reader::new(self.message.get(usize::from(at)..).ok_or(Truncated)?);
                }
                _ => return Err(Truncated),
            }
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.end != End::Ahead {
            return None;
        }
        match self.step() {
            Ok(Some(label)) => Some(label),
            Ok(None) => {
                self.end = End::Root;
                None
            }
            Err(Truncated) => {
                self.end = End::Broken;
                None
            }
        }
    }
}

/// Where a name ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// With its root, where it began.
    Here,
    /// Where a pointer leads to.
    Elsewhere,
}

/// Passes over a name where it stands.
#[inline]
pub(super) fn skip(reader: &mut Reader<'_>) -> Result<Ends> {
    loop {
        match reader.u8()? {
            0 => return Ok(Ends::Here),
            tag @ 1..=0x3f => reader.skip(usize::from(tag))?,
            0xc0.. => return reader.skip(1).map(|()| Ends::Elsewhere),
            _ => return Err(Truncated),
        }
    }
}

/// Writes one label's text.
fn write_label(out: &mut impl Write, label: &[u8]) -> fmt::Result {
    // nearly every label is plain
    if label.iter().fold(true, |all, byte| all & byte.is_ascii_graphic())
        && let Ok(text) = std::str::from_utf8(label)
    {
        return out.write_str(text);
    }
    for chunk in label.utf8_chunks() {
        let text = chunk.valid();
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            out.write_str(text)?;
        } else {
            for c in text.chars() {
                if c.is_control() { write_decimal(out, c)? } else { out.write_char(c)? }
            }
        }
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// Writes a control character as `\DDD`, one for each of its bytes.
pub(super) fn write_decimal(out: &mut impl Write, c: char) -> fmt::Result {
    c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|b| write!(out, "\\{b:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name at byte `at`, whatever stands there.
    fn name(message: &[u8], at: usize) -> Name<'_> {
        let mut reader = Reader::new(message.get(at..).unwrap_or_default());
        Name::read(message, &mut reader, 0).unwrap_or(Name { message, at, in_place: 0 })
    }

    fn text(message: &[u8], at: usize) -> String {
        name(message, at).to_string()
    }

    #[test]
    fn names_are_written_without_their_last_dot() {
        assert_eq!(text(b"\x03www\x07Example\x03com\0", 0), "www.Example.com");
        assert_eq!(text(b"\0", 0), ".");
        assert_eq!(text(b"\x03com\0\x01a\xc0\x00", 5), "a.com");
    }

    #[test]
    fn a_name_has_one_wire_form_however_it_was_packed() {
        let message = b"\x03com\0\x01a\xc0\x00\x01a\x03com\0";
        let (packed, plain) = (name(message, 5), name(message, 9));
        assert_eq!((packed.in_place(), plain.in_place()), (None, Some(&b"\x01a\x03com\0"[..])));
        assert_eq!(packed.wire(&mut [0; WIRE_MAX]), plain.wire(&mut [0; WIRE_MAX]));
        assert_eq!(name(b"\x03ab", 0).wire(&mut [0; WIRE_MAX]), b"\0");
    }

    #[test]
    fn plain_text_is_the_text_where_all_is_plain() {
        let plain: [&[u8]; 2] = [b"\x03www\x07Example\x03com\0", b"\x01a\0"];
        let other: [&[u8]; 4] = [b"\0", b"\x03a b\0", b"\x03ab", b"\x02\xc3\xa9\0"];
        for (wire, is_plain) in plain.map(|wire| (wire, true)).into_iter().chain(other.map(|wire| (wire, false))) {
            let name = name(wire, 0);
            let mut buffer = [0; WIRE_MAX];
            let plain = name.in_place().and_then(|wire| plain_text(wire, &mut buffer));
            assert_eq!(plain, is_plain.then(|| name.to_string()).as_deref(), "{name}");
        }
    }

    #[test]
    fn odd_bytes_are_shown_safely() {
        assert_eq!(text(b"\x04a\x1b[m\0", 0), "a\\027[m");
        assert_eq!(text(b"\x05J\xe4ger\0", 0), "J\u{fffd}ger");
        assert_eq!(text(b"\x04caf\xc3\0", 0), "caf\u{fffd}");
        assert_eq!(text("\u{5}caf\u{e9}\0".as_bytes(), 0), "caf\u{e9}");
        assert_eq!(text(b"\x02\xc2\x9b\0", 0), "\\194\\155", "a C1 control is a control too");
    }

    #[test]
    fn loops_and_cuts_end() {
        assert_eq!(text(b"\xc0\x00", 0), "<malformed>");
        assert_eq!(text(b"\x01a\xc0\x00", 0).matches('a').count(), 127 + 1, "255 bytes of labels, `malformed`'s a");
        assert_eq!(text(b"\x03ab", 0), "<malformed>");
        assert_eq!(text(b"\x01a\x40", 0), "a.<malformed>");
        assert_eq!(text(b"", 7), "<malformed>");
        assert!(!name(b"\xc0\x02\xc0\x00", 0).is_whole());
    }

    #[test]
    fn a_name_of_255_bytes_is_whole_and_one_more_is_not() {
        let mut wire = Vec::new();
        for len in [63, 63, 63, 61u8] {
            wire.push(len);
            wire.extend(std::iter::repeat_n(b'x', usize::from(len)));
        }
        wire.push(0);
        assert_eq!(wire.len(), 255);
        assert!(name(&wire, 0).is_whole());
        let mut longer = b"\x01y".to_vec();
        longer.extend(&wire);
        assert!(!name(&longer, 0).is_whole());
    }
}
