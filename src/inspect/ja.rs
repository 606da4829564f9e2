//! JA3 and JA4: fingerprints of a ClientHello.
//!
//! JA3 as Salesforce published it (MD5 of five lists), JA4 by FoxIO's `technical_details/JA4.md` — the TLS client
//! fingerprint alone, which is under BSD-3-Clause. GREASE (RFC 8701) is left out everywhere.

use std::fmt::Write;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::tls::{ClientHello, is_grease};
use crate::short::Short;

/// What carries a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

/// Both fingerprints of a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prints {
    /// Its [`ja4`].
    pub ja4: Arc<str>,
    /// Its [`ja3`].
    pub ja3: Arc<str>,
}

/// How many outlines a [`Memo`] keeps before it begins anew.
const OUTLINES: usize = 128;
/// The longest outline that is kept, in bytes: those of programs are a fifth of it, and a hello may be of 64 kB.
const OUTLINE_MOST: usize = 1024;

/// Fingerprints of hellos by their outlines: most hellos of a site are one of few programs' own, and a fingerprint is
/// dear.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    prints: HashMap<Box<[u8]>, Prints, RandomState>,
    outline: Vec<u8>,
}

impl Memo {
    /// The fingerprints of a hello.
    pub fn prints(&mut self, hello: &ClientHello<'_>, transport: Transport) -> Prints {
        outline(&mut self.outline, hello, transport);
        if let Some(known) = self.prints.get(&*self.outline) {
            return known.clone();
        }
        let prints = Prints { ja4: ja4(hello, transport).into(), ja3: ja3(hello).into() };
        if self.outline.len() > OUTLINE_MOST {
            self.outline = Vec::new();
            return prints;
        }
        if self.prints.len() >= OUTLINES {
            self.prints.clear();
        }
        self.prints.insert(self.outline.as_slice().into(), prints.clone());
        prints
    }
}

/// All of a hello that its fingerprints depend on, and nothing else: hellos of one outline have the same fingerprints.
fn outline(out: &mut Vec<u8>, hello: &ClientHello<'_>, transport: Transport) {
    out.clear();
    out.push(transport as u8);
    out.extend_from_slice(&hello.highest_version().to_be_bytes());
    out.extend_from_slice(&hello.legacy_version.to_be_bytes());
    add_list(out, hello.cipher_suites());
    add_list(out, hello.extensions().map(|e| e.kind));
    add_list(out, hello.groups());
    add_list(out, hello.signature_algorithms());
    add_list(out, hello.ec_point_formats().iter().map(|&f| u16::from(f)));
    out.extend(alpn_ends(hello.alpn().next().unwrap_or_default()).map(|end| end as u8));
}

/// Adds the numbers that are not GREASE, and an end: a number that is.
fn add_list(out: &mut Vec<u8>, numbers: impl Iterator<Item = u16>) {
    const END: [u8; 2] = [0x0a; 2];
    for number in numbers.filter(|&n| !is_grease(n)) {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&END);
}

/// The extensions that have a place of their own in JA4: server_name and ALPN.
const APART: [u16; 2] = [0, 16];

/// The JA4 fingerprint, 36 characters.
pub fn ja4(hello: &ClientHello<'_>, transport: Transport) -> String {
    let mut ciphers: Vec<u16> = hello.cipher_suites().filter(|&c| !is_grease(c)).collect();
    let mut extensions: Vec<u16> = hello.extensions().map(|e| e.kind).filter(|&e| !is_grease(e)).collect();
    let mut out = String::with_capacity(36);
    out.push(match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
        Transport::Dtls => 'd',
    });
    out.push_str(version(hello.highest_version()));
    out.push(if extensions.contains(&0) { 'd' } else { 'i' });
    let [first, last] = alpn_ends(hello.alpn().next().unwrap_or_default());
    let _ = write!(out, "{:02}{:02}{first}{last}_", ciphers.len().min(99), extensions.len().min(99));
    ciphers.sort_unstable();
    push_digest(&mut out, &ciphers, &[]);
    out.push('_');
    extensions.retain(|e| !APART.contains(e));
    extensions.sort_unstable();
    let signatures: Vec<u16> = hello.signature_algorithms().filter(|&s| !is_grease(s)).collect();
    push_digest(&mut out, &extensions, &signatures);
    out
}

/// JA4's two characters for a version.
const fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// JA4's two characters for a protocol name: its ends, or those of its hex when one is not an ASCII letter or digit.
fn alpn_ends(name: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    [first >> 4, last & 0x0f].map(|nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0'))
}

/// Writes the first twelve hex digits of the SHA-256 of `list`, and of `_` and `tail` when there is one; zeros for an
/// empty list.
fn push_digest(out: &mut String, list: &[u16], tail: &[u16]) {
    if list.is_empty() {
        out.push_str("000000000000");
        return;
    }
    let mut hash = Sha256::new();
    update_joined(&mut hash, list);
    if !tail.is_empty() {
        hash.update(b"_");
        update_joined(&mut hash, tail);
    }
    if let Some(digest) = hash.finalize().first_chunk::<6>() {
        data_encoding::HEXLOWER.encode_append(digest, out);
    }
}

/// Feeds numbers as four hex digits each, with commas between.
fn update_joined(hash: &mut Sha256, list: &[u16]) {
    let mut separator: &[u8] = b"";
    for number in list {
        let [high, low] = number.to_be_bytes();
        hash.update(separator);
        hash.update([hex(high >> 4), hex(high & 0x0f), hex(low >> 4), hex(low & 0x0f)]);
        separator = b",";
    }
}

/// The digit of a nibble.
const fn hex(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0'.wrapping_add(nibble),
        _ => b'a'.wrapping_sub(10).wrapping_add(nibble),
    }
}

/// The JA3 fingerprint: the MD5 of [`ja3_string`] as 32 hex digits.
pub fn ja3(hello: &ClientHello<'_>) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(ja3_string(hello)))
}

/// What JA3 hashes: version, suites, extensions, groups and point formats, in decimal.
pub fn ja3_string(hello: &ClientHello<'_>) -> String {
    let mut out = String::with_capacity(256);
    let _ = write!(out, "{}", hello.legacy_version);
    push_list(&mut out, hello.cipher_suites());
    push_list(&mut out, hello.extensions().map(|e| e.kind));
    push_list(&mut out, hello.groups());
    push_list(&mut out, hello.ec_point_formats().iter().map(|&f| u16::from(f)));
    out
}

/// Writes a comma and the numbers that are not GREASE, with dashes between.
fn push_list(out: &mut String, numbers: impl Iterator<Item = u16>) {
    let mut separator = ',';
    for number in numbers.filter(|&n| !is_grease(n)) {
        let mut digits = Short::default();
        digits.push_number(number);
        out.push(separator);
        out.push_str(&digits);
        separator = '-';
    }
    if separator == ',' {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspect::tls::ClientHello;

    #[test]
    fn fingerprints_leave_grease_out() {
        let body = crate::inspect::tls::client_body(b"relay.example", 0);
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(ja3_string(&hello), "771,4865-49199,0-10-11-13-16-43-21,4588-29,0");
        let ja4 = ja4(&hello, Transport::Tcp);
        assert!(ja4.starts_with("t13d0207h2_"), "{ja4}");
        let tail = data_encoding::HEXLOWER.encode(&Sha256::digest("000a,000b,000d,0015,002b_0403,0804"));
        assert!(ja4.ends_with(&tail[..12]), "{ja4}");
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_made(
            lists in prop::collection::vec((any::<u8>(), prop::collection::vec(0u16..4, 0..3), any::<bool>()), 1..40),
        ) {
            let mut memo = Memo::default();
            for (kind, numbers, grease) in lists {
                let body = crate::inspect::tls::outlined_body(kind, &numbers, grease);
                let hello = ClientHello::parse(&body).unwrap();
                let transport = [Transport::Tcp, Transport::Quic, Transport::Dtls][usize::from(kind % 3)];
                let Prints { ja4: four, ja3: three } = memo.prints(&hello, transport);
                prop_assert_eq!((&*four, &*three), (&*ja4(&hello, transport), &*ja3(&hello)));
            }
        }
    }

    #[test]
    fn few_outlines_are_remembered_and_no_long_one() {
        let mut memo = Memo::default();
        let most: Vec<u16> = (0..20_000).collect();
        let body = crate::inspect::tls::outlined_body(0, &most, false);
        memo.prints(&ClientHello::parse(&body).unwrap(), Transport::Tcp);
        assert!(memo.prints.is_empty() && memo.outline.capacity() == 0);
        for number in 0..2 * OUTLINES as u16 {
            let body = crate::inspect::tls::outlined_body(0, &[number], false);
            memo.prints(&ClientHello::parse(&body).unwrap(), Transport::Tcp);
            assert!(memo.prints.len() <= OUTLINES);
        }
    }

    #[test]
    fn alpn_ends_are_characters_or_nibbles() {
        assert_eq!(alpn_ends(b"http/1.1"), ['h', '1']);
        assert_eq!(alpn_ends(b"h"), ['h', 'h']);
        assert_eq!(alpn_ends(&[0xab, 0xcd]), ['a', 'd']);
        assert_eq!(alpn_ends(&[0x30, 0xab]), ['3', 'b']);
        assert_eq!(alpn_ends(b""), ['0', '0']);
    }
}
