//! What of a payload explains a conversation without telling what was said: questions and answers of DNS, STUN, the
//! outer form of TLS, the head of HTTP.

use std::ops::Range;

use crate::decode::{Packet, proto};
use crate::wire::Reader;

/// How many parts of one payload are kept.
const PARTS: usize = 256;
/// The longest head of HTTP that is kept.
const HEAD: usize = 8192;
/// Headers that carry no secret and tell how a message is framed; of others the value is taken out.
const HEADERS: [&str; 12] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "expect",
    "via",
    "server",
    "date",
    "proxy-authenticate",
    "www-authenticate",
];

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// DNS, over UDP; the length before it over TCP counts with it.
    Dns,
    /// STUN.
    Stun,
    /// Begins with a record of TLS.
    Tls,
    /// Begins with a head of HTTP.
    Http,
    /// A request of NTP, or its answer: times and no more.
    Ntp,
    /// Anything else.
    Other,
}

impl Form {
    /// By ports and first bytes.
    pub fn of(packet: &Packet, payload: &[u8]) -> Form {
        match (packet.proto, payload) {
            (proto::UDP, [_, _, _, _, _, _, _, _, _, _, _, _, ..]) if packet.has_port(53) => Form::Dns,
            (proto::TCP, [..]) if packet.has_port(53) && !payload.is_empty() => Form::Dns,
            (proto::UDP, [a, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..]) if *a < 4 => Form::Stun,
            (proto::UDP, _) if packet.has_port(123) && payload.len() == 48 => Form::Ntp,
            (proto::TCP, [20..=23, 3, 0..=4, ..]) => Form::Tls,
            (proto::TCP, [first, ..]) if first.is_ascii_uppercase() && begins_http(payload) => Form::Http,
            _ => Form::Other,
        }
    }
}

fn begins_http(payload: &[u8]) -> bool {
    let word = payload.split(|b| *b == b' ').next().unwrap_or_default();
    let known: [&[u8]; 8] = [b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"HTTP/1.0", b"HTTP/1.1"];
    known.contains(&word)
}

/// The parts that may stay; all others are content.
pub fn kept(packet: &Packet, payload: &[u8]) -> Vec<Range<usize>> {
    match Form::of(packet, payload) {
        Form::Dns | Form::Stun | Form::Ntp => std::iter::once(0..payload.len()).collect(),
        Form::Tls => records(payload),
        Form::Http => head(payload),
        Form::Other => Vec::new(),
    }
}

/// Of records of TLS: their heads, and the bodies of all but data (RFC 8446 §5.1).
fn records(payload: &[u8]) -> Vec<Range<usize>> {
    let mut kept = Vec::new();
    let mut at = 0usize;
    while kept.len() < PARTS {
        let mut r = Reader::new(payload.get(at..).unwrap_or_default());
        let Ok(&[kind @ 20..=23, 3, _, high, low]) = r.array::<5>() else { break };
        let body = at.saturating_add(5);
        let end = body.saturating_add(usize::from(u16::from_be_bytes([high, low]))).min(payload.len());
        kept.push(at..if kind == 23 { body } else { end });
        at = end;
    }
    kept
}

/// Of a head of HTTP: the first line without its query, names of headers, and the values of those that frame a message.
fn head(payload: &[u8]) -> Vec<Range<usize>> {
    let mut kept = Vec::new();
    let mut at = 0usize;
    let shown = payload.get(..HEAD.min(payload.len())).unwrap_or_default();
    for (n, line) in shown.split_inclusive(|b| *b == b'\n').enumerate() {
        let end = at.saturating_add(line.len());
        let ending = line.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let text = line.get(..line.len().saturating_sub(ending)).unwrap_or_default();
        let until = if n == 0 { first_line(text) } else { header(text) };
        kept.push(at..at.saturating_add(until));
        kept.push(end.saturating_sub(ending)..end);
        at = end;
        if text.is_empty() || kept.len() >= PARTS {
            break;
        }
    }
    kept
}

/// How much of a first line stays: up to its query; whole without one.
fn first_line(text: &[u8]) -> usize {
    text.iter().position(|b| matches!(b, b'?' | b'@')).map_or(text.len(), |at| at.saturating_add(1))
}

/// How much of a header's line stays: all of one that frames the message, the name of another.
fn header(text: &[u8]) -> usize {
    let Some(colon) = text.iter().position(|b| *b == b':') else { return 0 };
    let name = text.get(..colon).unwrap_or_default();
    let plain = HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    // what stands behind the scheme of a challenge may name a realm
    if plain { text.len() } else { colon.saturating_add(1).min(text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(packet: &Packet, payload: &[u8]) -> String {
        let mut out = vec![b'.'; payload.len()];
        for part in kept(packet, payload) {
            out[part.clone()].copy_from_slice(&payload[part]);
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn heads_stay_and_secrets_go() {
        let packet = Packet { proto: proto::TCP, ..Packet::default() };
        let head = "POST /put?token=abc HTTP/1.1\r\nHost: a.u5fgb.com\r\nCookie: sid=1\r\nAuthorization: Basic x\r\n\
                    Content-Type: message/http\r\n\r\nbody";
        let shown = shown(&packet, head.as_bytes());
        for kept in ["POST /put?", "Host: a.u5fgb.com\r\n", "Cookie:", "Content-Type: message/http\r\n\r\n"] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
        for secret in ["abc", "sid", "Basic", "body"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn data_of_tls_goes_and_its_form_stays() {
        let packet = Packet { proto: proto::TCP, ..Packet::default() };
        let bytes = [&[22, 3, 3, 0, 2, 1, 9][..], &[23, 3, 3, 0, 4, 7, 7, 7, 7], &[21, 3, 3, 0, 2, 2, 48]].concat();
        assert_eq!(kept(&packet, &bytes), [0..7, 7..12, 16..23]);
    }

    proptest! {
        #[test]
        fn parts_lie_within(payload: Vec<u8>, tcp: bool, port in prop_oneof![Just(53u16), Just(80), Just(3478)]) {
            let proto = if tcp { proto::TCP } else { proto::UDP };
            let packet = Packet { proto, dst_port: port, ..Packet::default() };
            for part in kept(&packet, &payload) {
                prop_assert!(part.start <= part.end && part.end <= payload.len());
            }
        }
    }
}
