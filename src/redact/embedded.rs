//! Addresses within words, where a maker has joined them to others: `Phone_0004f2abcdef`, `PBX 10.0.0.10_2`.

use std::net::Ipv4Addr;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::as_mac;

/// What was found, with the bytes that it takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    /// An IPv4 address. Those of IPv6 are no more than words with colons, where they do not stand alone.
    Ip(usize, Ipv4Addr),
    /// A hardware address.
    Mac(usize, [u8; 6]),
}

impl Embedded {
    pub(super) const fn length(&self) -> usize {
        match self {
            Embedded::Ip(length, _) | Embedded::Mac(length, _) => *length,
        }
    }
}

/// The address that `rest` begins with, where the character before it does not go on in it.
pub(super) fn address(before: Option<char>, rest: &str) -> Option<Embedded> {
    let first = rest.chars().next().filter(char::is_ascii_hexdigit)?;
    let ip = || if first.is_ascii_digit() && !before.is_some_and(|c| c.is_ascii_digit()) { quad(rest) } else { None };
    let mac = || if before.is_some_and(|c| c.is_ascii_hexdigit()) { None } else { mac(before, rest) };
    mac().or_else(ip)
}

/// How long four numbers with dots are at the most. No more is looked at, however long a word of digits and dots is.
const QUAD: usize = 15;

/// Four numbers with dots.
fn quad(rest: &str) -> Option<Embedded> {
    let digits = rest.bytes().take(QUAD + 1).take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let text = rest.get(..digits)?.trim_end_matches('.');
    Some(Embedded::Ip(text.len(), text.parse().ok()?))
}

/// Twelve hexadecimal digits, alone or in pairs or fours; the end of a word may be a pair (`mac:00:…`).
fn mac(before: Option<char>, rest: &str) -> Option<Embedded> {
    let ends = |length: usize| {
        let text = rest.get(..length)?;
        let goes_on = rest.get(length..)?.chars().next().is_some_and(|c| c.is_ascii_hexdigit());
        (!goes_on).then_some(text)
    };
    let is_begun = before.is_some_and(char::is_alphanumeric);
    let pairs = || ends(17).filter(|_| !is_begun).and_then(as_mac);
    let fours = || {
        let text = ends(14)?;
        let dots = text.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
        dots.eq([4, 9]).then(|| digits(&text.replace('.', "")))?
    };
    let bare = || ends(12).and_then(digits);
    let found = |length: usize| move |mac| Embedded::Mac(length, mac);
    pairs().map(found(17)).or_else(|| fours().map(found(14))).or_else(|| bare().map(found(12)))
}

fn digits(text: &str) -> Option<[u8; 6]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}
