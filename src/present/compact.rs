//! Compact JSON, straight into a buffer, in which no character acts on a terminal that the text is shown on.
//!
//! A record of a flow is some hundred small pieces, and there may be millions of records: here each piece is one copy. A
//! property test holds the text equal to serde_json's.

use std::fmt::Display;

use serde::de::value::Error;
use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
    SerializeTupleStruct, Serializer,
};

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

/// Appends `text`, quoted.
#[inline]
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

/// Whether text is ASCII and nothing in it is to be escaped; eight bytes at a time, since most texts are short.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // Each term has the high bit of a byte set where that byte is special. A borrow or a carry into the next byte comes
    // from a special one alone.
    let special = |word: u64| {
        let control = word.wrapping_sub(each(0x20));
        let quote = (word ^ each(b'"')).wrapping_sub(each(1));
        let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
        let delete = word.wrapping_add(each(1));
        word | control | quote | backslash | delete
    };
    let (words, rest) = text.as_chunks();
    let mut last = [b' '; 8];
    last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
    let all = words.iter().chain([&last]).fold(0, |any, word| any | special(u64::from_ne_bytes(*word)));
    all & each(0x80) == 0
}

#[cold]
fn escaped(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            _ if is_unsafe(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let [high, low] = unit.to_be_bytes().map(|byte| [byte >> 4, byte & 0xf]);
                    out.extend_from_slice(b"\\u");
                    out.extend([high, low].as_flattened().iter().map(|digit| b"0123456789abcdef"[usize::from(*digit)]));
                }
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Numbers as they are written by a function of their own.
macro_rules! whole_numbers {
    ($($name:ident: $type:ty),*) => {
        $(#[inline]
        fn $name(self, value: $type) -> Result<(), Error> {
            self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        })*
    };
}

/// What cannot be told of a number is `null`.
macro_rules! fractions {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            let mut buffer = zmij::Buffer::new();
            let text = if value.is_finite() { buffer.format_finite(value) } else { "null" };
            self.out.extend_from_slice(text.as_bytes());
            Ok(())
        })*
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

    whole_numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }
    fractions! { serialize_f32: f32, serialize_f64: f64 }

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
        self.serialize_str(&value.to_string())
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

    // so that the name of a field is written as the constant that it is
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        let begin: &[u8] = if std::mem::take(&mut self.first) { b"\"" } else { b",\"" };
        self.out.extend_from_slice(begin);
        // the name of a field is a word
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
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
        fn fractions_are_those_of_serde_json(values: Vec<f64>, small: Vec<f32>) {
            let (own, reference) = both(&(&values, &small));
            prop_assert_eq!(own, reference);
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
