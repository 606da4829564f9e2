//! Short texts of ASCII, held in place: a flow's record has several, and a `String` for each would cost more than what
//! it says.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Deref;

use serde::ser::{Serialize, Serializer};

/// A number below 100 000 000 in decimal, with zeros in front.
#[inline]
pub const fn eight_digits(number: u32) -> [u8; 8] {
    // Side by side in one word: two numbers of four digits, then four of two, then eight digits, the first of them
    // lowest. A product and a shift divide exactly where numbers are this small.
    const fn each(value: u64, bits: u32) -> u64 {
        let mut word = 0;
        let mut at = 0;
        while at < 64 {
            word |= value << at;
            at += bits;
        }
        word
    }
    let fours = (number / 10_000 % 10_000) as u64 | ((number % 10_000) as u64) << 32;
    let hundreds = ((fours * 5243) >> 19) & each(0x7f, 32);
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & each(0xf, 16);
    let digits = tens | (twos - 10 * tens) << 8;
    (digits | each(b'0' as u64, 8)).to_le_bytes()
}

/// Each octet in decimal with a dot behind, filled up, and how long that is.
const OCTETS: [[u8; 5]; 256] = {
    let mut all = [[b'.'; 5]; 256];
    let mut octet = 0;
    while octet < 256 {
        let [.., a, b, c] = eight_digits(octet as u32);
        all[octet] = match octet {
            0..10 => [c, b'.', b'.', b'.', 2],
            10..100 => [b, c, b'.', b'.', 3],
            _ => [a, b, c, b'.', 4],
        };
        octet += 1;
    }
    all
};

/// The most characters that a text here has.
pub const MOST: usize = 32;

/// A text of at most [`MOST`] characters of ASCII.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
// aligned, so that a few comparisons of whole words tell that all of it is ASCII
#[repr(C, align(8))]
pub struct Short {
    bytes: [u8; MOST],
    len: u8,
}

impl Short {
    /// A text of so many bytes, which are ASCII: of others it is empty.
    #[inline]
    pub fn of<const N: usize>(text: [u8; N]) -> Short {
        let mut short = Short::default();
        if let Some(room) = short.bytes.first_chunk_mut() {
            *room = text;
            short.len = N as u8;
        }
        short
    }

    /// Adds bytes of ASCII at the end; what there is no room for is left out.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
                *slot = *byte;
                self.len = self.len.saturating_add(1);
            }
        }
    }

    /// An IPv4 address.
    #[inline]
    pub fn address(octets: [u8; 4]) -> Short {
        let mut short = Short::default();
        for octet in octets {
            let [digits @ .., length] = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
            let room = short.bytes.get_mut(usize::from(short.len)..).and_then(<[u8]>::first_chunk_mut);
            room.into_iter().for_each(|room| *room = digits);
            short.len = short.len.saturating_add(length);
        }
        // but for the last dot
        short.len = short.len.saturating_sub(1);
        short
    }

    /// Adds a number at the end, in decimal.
    #[inline]
    pub fn push_number(&mut self, number: u16) {
        let digits = eight_digits(number.into());
        let zeros = digits.iter().take(7).take_while(|digit| **digit == b'0').count();
        self.push(digits.get(zeros..).unwrap_or_default());
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        let room = std::str::from_utf8(&self.bytes).unwrap_or_default();
        room.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Gives `then` an address as it is spelled.
#[inline]
pub fn with_address<R>(address: IpAddr, then: impl FnOnce(&str) -> R) -> R {
    match address {
        IpAddr::V4(v4) => then(&Short::address(v4.octets())),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => then(address_v6(v6, &mut [0; 39])),
        IpAddr::V6(v6) => then(&v6.to_string()),
    }
}

/// The text of an IPv6 address that is none of IPv4 in another dress (RFC 5952 §4), put into `room`.
fn address_v6(address: Ipv6Addr, room: &mut [u8; 39]) -> &str {
    let groups = address.segments();
    let (from, to) = zeros(&groups);
    let mut len = 0;
    let mut put = |byte: u8| {
        if let Some(slot) = room.get_mut(len) {
            *slot = byte;
            len += 1;
        }
    };
    for (at, group) in groups.into_iter().enumerate() {
        if (from..to).contains(&at) {
            if at == from || at == 7 {
                put(b':');
            }
            continue;
        }
        if at > 0 {
            put(b':');
        }
        let digits = (4 - group.leading_zeros() / 4).max(1);
        (0..digits).rev().for_each(|digit| put(b"0123456789abcdef"[usize::from(group >> (4 * digit) & 0xf)]));
    }
    room.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// Where the longest run of groups that are zero begins and ends, the first of several; one alone is no run.
fn zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut longest, mut begin) = ((0, 0), 0);
    for (at, group) in groups.iter().enumerate() {
        if *group != 0 {
            begin = at + 1;
        } else if at + 1 - begin > (longest.1 - longest.0).max(1) {
            longest = (begin, at + 1);
        }
    }
    longest
}

impl Deref for Short {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Short {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Short {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// Gives a type the schema of another, as which it is written.
#[cfg(test)]
macro_rules! schema_of {
    ($type:ident is $written:ty) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$written>::json_schema(generator)
            }
        }
    };
}

#[cfg(test)]
pub(crate) use schema_of;

#[cfg(test)]
schema_of!(Short is String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_spelled_as_the_library_does(
            groups in prop::array::uniform8(prop_oneof![2 => Just(0u16), 1 => any::<u16>(), 1 => 0u16..0x200]),
        ) {
            let address = IpAddr::from(groups);
            prop_assert!(with_address(address, |text| text == address.to_string()));
            let v4 = IpAddr::from([groups[0] as u8, groups[1] as u8, groups[2] as u8, groups[3] as u8]);
            prop_assert!(with_address(v4, |text| text == v4.to_string()));
        }
    }

    #[test]
    fn a_text_ends_where_its_room_does() {
        let mut text = Short::of(*b"1:");
        for n in 0..40 {
            assert_eq!(text.len(), (2 + 2 * n).min(MOST));
            text.push(b"ab");
        }
        assert_eq!(text, "1:ababababababababababababababab");
        assert_eq!(format!("{text:?} {:>4}", Short::of(*b"x")), "\"1:ababababababababababababababab\"    x");
    }

    #[test]
    fn digits_are_those_of_the_number() {
        let mut number: u32 = 1;
        for n in (0..20_000).chain((0..20_000).map(|n| n * 4999 + 17)) {
            assert_eq!(eight_digits(n), *format!("{n:08}").as_bytes());
            number = number.wrapping_mul(0x9e37_79b9).wrapping_add(1);
            let any = number % 100_000_000;
            assert_eq!(eight_digits(any), *format!("{any:08}").as_bytes());
        }
        assert_eq!(eight_digits(99_999_999), *b"99999999");
    }

    #[test]
    fn numbers_have_no_zeros_in_front() {
        for number in 0..=u16::MAX {
            let mut text = Short::default();
            text.push_number(number);
            assert_eq!(text, *number.to_string());
        }
    }

    #[test]
    fn addresses_are_as_the_library_writes_them() {
        for n in 0..=255u8 {
            let octets = [n, 255 - n, n / 2, n.wrapping_mul(7)];
            assert_eq!(Short::address(octets), *std::net::Ipv4Addr::from(octets).to_string());
        }
    }

    #[test]
    fn what_is_no_text_is_empty() {
        assert_eq!(Short::of([0xff; 3]), "");
        assert_eq!(Short::of([b'a'; 33]), "");
        assert_eq!(Short::default(), "");
    }
}
