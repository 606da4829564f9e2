//! Compact JSON, straight into a buffer, in which no character acts on a terminal that the text is shown on.
//!
//! A record of a flow is some hundred small pieces, and there may be millions of records: here each piece is one copy.
//! A property test holds the text equal to serde_json's.

use std::fmt::{self, Display, Write as _};

use serde::de::value::Error;
use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
    SerializeTupleStruct, Serializer,
};

use crate::short::eight_digits;
use crate::text::safe::is_unsafe;

/// Appends `value` as JSON on one line; characters that act on a terminal are written as `\u` escapes.
///
/// # Errors
/// A value with a part that has no place in a record: bytes, a variant with parts, a key that is no text.
pub fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    value.serialize(Compact { out })
}

struct Compact<'o> {
    out: &'o mut Vec<u8>,
}

/// A list, map or struct that has begun.
struct Parts<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
    /// What ends it.
    end: u8,
}

impl<'o> Parts<'o> {
    fn begin(out: &'o mut Vec<u8>, begin: u8, end: u8) -> Self {
        out.push(begin);
        Parts { out, first: true, end }
    }

    fn next(&mut self) -> Compact<'_> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        Compact { out: self.out }
    }

    fn close(self) -> Result<(), Error> {
        self.out.push(self.end);
        Ok(())
    }
}

/// The most bytes that a short piece has.
const SHORT: usize = 32;

/// Appends `text`, quoted.
#[inline]
fn quoted(out: &mut Vec<u8>, text: &str) {
    if !quoted_short(out, text.as_bytes()) {
        out.push(b'"');
        unquoted(out, text);
        out.push(b'"');
    }
}

/// Appends `text`, quoted, if it is short and nothing in it is to be escaped, as most texts are. It is copied in two
/// halves of a fixed size, which overlap: no call, and no loop.
#[inline(never)]
fn quoted_short(out: &mut Vec<u8>, text: &[u8]) -> bool {
    #[inline(always)]
    fn halves<const N: usize>(room: &mut [u8], text: &[u8]) -> Option<[[u8; N]; 2]> {
        let halves = [*text.first_chunk()?, *text.last_chunk()?];
        *room.first_chunk_mut()? = halves[0];
        *room.get_mut(text.len() - N..)?.first_chunk_mut()? = halves[1];
        Some(halves)
    }
    let begin = out.len();
    if text.len() > SHORT {
        return false;
    }
    // both quotes, and the text between them
    out.extend_from_slice(&[b'"'; SHORT + 2]);
    let room = out.get_mut(begin + 1..).unwrap_or_default();
    let plain = match text.len() {
        16.. => halves::<16>(room, text).is_some_and(|halves| is_plain(halves.as_flattened())),
        8.. => halves::<8>(room, text).is_some_and(|halves| is_plain(halves.as_flattened())),
        4.. => halves::<4>(room, text).is_some_and(|halves| is_plain(halves.as_flattened())),
        2.. => halves::<2>(room, text).is_some_and(|halves| is_plain(halves.as_flattened())),
        1 => halves::<1>(room, text).is_some_and(|halves| is_plain(halves.as_flattened())),
        0 => true,
    };
    out.truncate(begin + if plain { text.len() + 2 } else { 0 });
    plain
}

/// Appends `text` as it stands between quotes.
fn unquoted(out: &mut Vec<u8>, text: &str) {
    let (pieces, rest) = text.as_bytes().as_chunks::<SHORT>();
    if pieces.iter().all(|piece| is_plain(piece)) && is_plain(rest) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(out, text);
    }
}

/// Appends a number in decimal; most are small.
#[inline]
fn whole(out: &mut Vec<u8>, number: u64) {
    match number {
        0..10 => out.push(b'0' + number as u8),
        10..EIGHT => up_to_eight(out, number as u32),
        _ => more_than_eight(out, number),
    }
}

/// The first number with more than eight digits.
const EIGHT: u64 = 100_000_000;

/// Appends a number of at most eight digits that is not zero.
#[inline(never)]
fn up_to_eight(out: &mut Vec<u8>, number: u32) {
    // the zeros in front are its first bytes
    let digits = u64::from_le_bytes(eight_digits(number));
    let zeros = (digits ^ u64::from_le_bytes([b'0'; 8])).trailing_zeros() / 8;
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

#[inline(never)]
fn more_than_eight(out: &mut Vec<u8>, number: u64) {
    whole(out, number / EIGHT);
    out.extend_from_slice(&eight_digits((number % EIGHT) as u32));
}

fn signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    whole(out, number.unsigned_abs());
}

/// Appends a fraction in decimal, with as many digits as tell it from all others; what cannot be told of it is `null`.
fn fraction(out: &mut Vec<u8>, value: f64) {
    const NANO: u64 = 1_000_000_000;
    // Most are seconds or shares. No two numbers of up to fifteen digits are one fraction: where so many tell it, no
    // fewer do.
    let nanos = (value * NANO as f64 + 0.5) as u64;
    if (1e-5..1e6).contains(&value) && nanos as f64 / NANO as f64 == value {
        whole(out, nanos / NANO);
        let below = nanos % NANO;
        out.extend_from_slice(&[b'.', b'0' + (below / EIGHT) as u8]);
        // the zeros at the end are its last bytes
        let digits = eight_digits((below % EIGHT) as u32);
        let zeros = (u64::from_le_bytes(digits) ^ u64::from_le_bytes([b'0'; 8])).leading_zeros() / 8;
        out.extend_from_slice(&digits);
        return out.truncate(out.len() - zeros as usize);
    }
    any_fraction(out, value, value.is_finite());
}

fn any_fraction(out: &mut Vec<u8>, value: impl zmij::Float, finite: bool) {
    let mut buffer = zmij::Buffer::new();
    out.extend_from_slice(if finite { buffer.format_finite(value) } else { "null" }.as_bytes());
}

/// What stands between two quotes, as it comes.
struct Within<'o> {
    out: &'o mut Vec<u8>,
}

impl fmt::Write for Within<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        unquoted(self.out, text);
        Ok(())
    }
}

/// Whether bytes are ASCII and none of them is to be escaped; eight bytes at a time.
#[inline(always)]
fn is_plain(bytes: &[u8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // Each term has the high bit of a byte set where that byte is special. A borrow or a carry into the next byte comes
    // from a special one alone.
    let special = |word: u64| {
        // below the blank, or a quote, which is two above it
        let low = (word ^ each(2)).wrapping_sub(each(b'!'));
        let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
        let delete = word.wrapping_add(each(1));
        word | low | backslash | delete
    };
    let (words, rest) = bytes.as_chunks();
    let any = words.iter().fold(0, |any, word| any | special(u64::from_ne_bytes(*word)));
    let last = rest.iter().fold(each(b' '), |last, byte| last << 8 | u64::from(*byte));
    (any | special(last)) & each(0x80) == 0
}

#[cold]
fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| matches!(c, '"' | '\\') || is_unsafe(*c)) {
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let [high, low] = unit.to_be_bytes().map(|byte| [byte >> 4, byte & 0xf]);
                    out.extend_from_slice(b"\\u");
                    out.extend([high, low].as_flattened().iter().map(|digit| b"0123456789abcdef"[usize::from(*digit)]));
                }
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
}

/// Numbers of many widths are written alike.
macro_rules! numbers {
    ($($wide:ident: $($name:ident of $type:ty),*;)*) => {
        $($(#[inline]
        fn $name(self, value: $type) -> Result<(), Error> {
            $wide(self.out, value.into());
            Ok(())
        })*)*
    };
}

impl<'o> Serializer for Compact<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'o>;
    type SerializeTuple = Parts<'o>;
    type SerializeTupleStruct = Parts<'o>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Parts<'o>;
    type SerializeStruct = Parts<'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers! {
        whole: serialize_u8 of u8, serialize_u16 of u16, serialize_u32 of u32, serialize_u64 of u64;
        signed: serialize_i8 of i8, serialize_i16 of i16, serialize_i32 of i32, serialize_i64 of i64;
        fraction: serialize_f64 of f64;
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        // fewer digits tell it from all others of its width
        any_fraction(self.out, value, value.is_finite());
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        quoted(self.out, value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.out.push(b'"');
        write!(Within { out: &mut *self.out }, "{value}").map_err(Error::custom)?;
        self.out.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(Error::custom("bytes have no form in a record"))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut parts = self.serialize_map(Some(1))?;
        parts.serialize_entry(variant, value)?;
        parts.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'o>, Error> {
        Ok(Parts::begin(self.out, b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'o>, Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'o>, Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error::custom(format_args!("{variant} has no form in a record")))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'o>, Error> {
        Ok(Parts::begin(self.out, b'{', b'}'))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'o>, Error> {
        Ok(Parts::begin(self.out, b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(Error::custom(format_args!("{variant} has no form in a record")))
    }
}

/// Lists of every kind are written alike.
macro_rules! lists {
    ($($kind:ident::$next:ident),*) => {
        $(impl $kind for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $next<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                value.serialize(self.next())
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        })*
    };
}

lists! { SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field }

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let out = self.next().out;
        let at = out.len();
        key.serialize(Compact { out })?;
        if out.get(at) == Some(&b'"') { Ok(()) } else { Err(Error::custom("a key is no text")) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(b':');
        value.serialize(Compact { out: self.out })
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    // so that all of what stands before a value is one constant
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        const MOST: usize = 32;
        // the name of a field is a word, and none is longer
        let mut name = [0; MOST + 4];
        let from = usize::from(std::mem::take(&mut self.first));
        let mut end = 0;
        for part in [b",\"", key.as_bytes(), b"\":"] {
            name[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        self.out.extend_from_slice(&name[from..end]);
        value.serialize(Compact { out: self.out })
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use proptest::prelude::*;
    use serde_json::ser::Formatter;
    use serde_json::{Map, Number, Value};

    use super::*;
    use crate::present::sample;

    /// serde_json's text, but for characters that act on a terminal.
    struct Safe;

    impl Formatter for Safe {
        fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
            for c in fragment.chars() {
                match is_unsafe(c) {
                    true => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?,
                    false => write!(writer, "{c}")?,
                }
            }
            Ok(())
        }
    }

    fn both<T: Serialize>(value: &T) -> (String, String) {
        let (mut own, mut reference) = (Vec::new(), Vec::new());
        append(&mut own, value).unwrap();
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut reference, Safe)).unwrap();
        (String::from_utf8(own).unwrap(), String::from_utf8(reference).unwrap())
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Number::from),
            any::<u64>().prop_map(Number::from),
            any::<f64>().prop_filter_map("a number", Number::from_f64),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~\\n\\r\\t\\x00-\\x1f\u{7f}-\u{a0}\u{200b}-\u{2070}]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn is_the_text_of_serde_json(value in any_value()) {
            let (own, reference) = both(&value);
            prop_assert!(!own.chars().any(is_unsafe));
            prop_assert_eq!(&own, &reference);
            prop_assert_eq!(serde_json::from_str::<Value>(&own).unwrap(), serde_json::from_str::<Value>(&reference).unwrap());
        }

        #[test]
        fn numbers_are_those_of_serde_json(fractions: Vec<f64>, small: Vec<f32>, whole: Vec<(u64, u32)>) {
            let (own, reference) = both(&(&fractions, &small));
            prop_assert_eq!(own, reference);
            // of every length, and as seconds of so many nanoseconds
            for (number, by) in whole {
                let number = number >> (by % 64);
                let seconds = [number as f64 / 1e9, (number / 1000 * 1000) as f64 / 1e9, -(number as f64)];
                let (own, reference) = both(&(number, number as i64, -(number as i64 >> 1), seconds));
                prop_assert_eq!(own, reference);
            }
        }
    }

    #[test]
    fn records_are_as_serde_json_writes_them() {
        for record in [sample::relay(), sample::dns()] {
            let (own, reference) = both(&record);
            assert_eq!(own, reference);
        }
        for (own, reference) in sample::findings().iter().map(both) {
            assert_eq!(own, reference);
        }
        assert_eq!(both(&sample::session()).0, both(&sample::session()).1);
        assert_eq!(both(&sample::quality()).0, both(&sample::quality()).1);
    }

    #[test]
    fn what_has_no_form_is_an_error() {
        #[derive(serde::Serialize)]
        enum Odd {
            Two(u8, u8),
            Named { one: u8 },
        }
        for odd in [Odd::Two(1, 2), Odd::Named { one: 1 }] {
            append(&mut Vec::new(), &odd).unwrap_err();
        }
        append(&mut Vec::new(), &std::collections::BTreeMap::from([(1, 2)])).unwrap_err();
        append(&mut Vec::new(), &Some([(); 0])).unwrap();
    }
}
