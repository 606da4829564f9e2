//! SOCKS: what a proxy is asked for, and where the tunnel begins.
//!
//! RFC 1928 (version 5) §3 to §6, RFC 1929 (its user names), and the memos "SOCKS: A protocol for TCP proxy across
//! firewalls" (version 4) and "SOCKS 4A". From the proxy's consent on, both directions are another protocol's.
//!
//! Limits: none but the formats' own; the longest message has 515 bytes. Refused: version 5 with a method of
//! authentication that wraps what follows (GSSAPI, private ones), and UDP ASSOCIATE, whose datagrams go elsewhere.
//! User names and passwords are passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memchr;

use super::{Direction, Fact, Next, Probe, Progress, StreamInspector};
use crate::wire::{Reader, Result, Truncated};

/// Requests: CONNECT and BIND, in both versions.
mod command {
    pub const CONNECT: u8 = 1;
    pub const BIND: u8 = 2;
}

/// Methods of authentication that leave the rest as it is.
mod method {
    pub const NONE: u8 = 0;
    pub const USER_PASSWORD: u8 = 2;
}

/// The longest name in a request of version 4.
const MAX_NAME: usize = 255;
/// Bytes of a request of version 4 before its names.
const HEAD_4: usize = 8;
/// Bytes of an answer of version 4.
const ANSWER_4: usize = 8;
/// The consent of version 4.
const GRANTED_4: u8 = 90;

/// The host that a proxy is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// By name, as raw bytes, never empty.
    Name(&'a [u8]),
    /// By address.
    Address(IpAddr),
}

/// What a proxy is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port.
    pub port: u16,
}

/// A first look at a stream: whether `bytes` begin as a client does.
pub fn probe(bytes: &[u8]) -> Probe {
    match bytes.first() {
        None | Some(4 | 5) => {}
        Some(_) => return Probe::Reject,
    }
    let read = if bytes.first() == Some(&4) { is_request_4(bytes) } else { is_greeting(bytes) };
    match read {
        Ok(true) => Probe::Match,
        Ok(false) => Probe::Reject,
        Err(Truncated) => Probe::Unsure,
    }
}

/// Whether `bytes` begin with the greeting of version 5, and nothing behind it speaks against it.
fn is_greeting(bytes: &[u8]) -> Result<bool> {
    let mut r = Reader::new(bytes);
    r.skip(1)?;
    let methods = r.vec8()?;
    // numbers from 10 to 127 have no meaning; a client in a hurry sends on without waiting for the answer
    let known = methods.rest().iter().all(|m| !(10..128).contains(m) && *m != 0xff);
    Ok(known && !methods.is_empty() && r.rest().first().is_none_or(|next| matches!(next, 1 | 5)))
}

/// Whether `bytes` are a request of version 4 and no more: its few fixed bits stand in much else, and a client waits
/// for the answer.
fn is_request_4(bytes: &[u8]) -> Result<bool> {
    Ok(request_4(bytes)?.is_some_and(|(_, _, length)| length == bytes.len()))
}

/// The request of version 4 that `bytes` begin with, with its command and length. `None`: there is none.
fn request_4(bytes: &[u8]) -> Result<Option<(u8, Request<'_>, usize)>> {
    let mut r = Reader::new(bytes);
    let version = r.u8()?;
    let command = r.u8()?;
    if version != 4 || !matches!(command, command::CONNECT | command::BIND) {
        return Ok(None);
    }
    let port = r.u16()?;
    let address = *r.array::<4>()?;
    let Some(user) = c_string(r.rest())? else { return Ok(None) };
    let mut length = HEAD_4.saturating_add(user.len()).saturating_add(1);
    let host = match address {
        [0, 0, 0, last] if last != 0 => {
            let Some(name) = c_string(bytes.get(length..).unwrap_or_default())? else { return Ok(None) };
            length = length.saturating_add(name.len()).saturating_add(1);
            Host::Name(name)
        }
        _ => Host::Address(IpAddr::V4(Ipv4Addr::from(address))),
    };
    // nothing can be reached in network 0, or from 224 on (RFC 1122 §3.2.1.3)
    let [network, ..] = address;
    let reachable = match host {
        Host::Name(name) => !name.is_empty(),
        Host::Address(_) => (1..224).contains(&network),
    };
    let sane = port != 0 && reachable;
    Ok(sane.then_some((command, Request { host, port }, length)))
}

/// The text up to a zero byte; `None`: this is no text, or too long a one.
fn c_string(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let end = memchr(0, bytes.get(..=MAX_NAME).unwrap_or(bytes));
    let text = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    if text.len() > MAX_NAME || text.iter().any(u8::is_ascii_control) {
        return Ok(None);
    }
    if end.is_some() { Ok(Some(text)) } else { Err(Truncated) }
}

/// An address of version 5 with its port (§5); `None`: of an unknown kind.
fn address_5<'a>(r: &mut Reader<'a>) -> Result<Option<Request<'a>>> {
    let host = match r.u8()? {
        1 => Host::Address(IpAddr::V4(Ipv4Addr::from(*r.array::<4>()?))),
        3 => Host::Name(r.vec8()?.rest()),
        4 => Host::Address(IpAddr::V6(Ipv6Addr::from(*r.array::<16>()?))),
        _ => return Ok(None),
    };
    let port = r.u16()?;
    Ok(Some(Request { host, port }))
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before its first message.
    #[default]
    Start,
    /// The client: a name and password, if it pleases, then the request of version 5. The proxy: its answers to both.
    Five,
    /// The client has asked; the proxy's answer of version 4 comes next.
    Asked,
}

/// One connection to a proxy.
#[derive(Clone, Debug, Default)]
pub struct SocksStream {
    /// The direction from the client: that in which the first bytes were known.
    client: Option<Direction>,
    up: State,
    down: State,
    /// The client asked for something that is not a tunnel.
    elsewhere: bool,
}

/// How a message was dealt with.
enum Step {
    /// It has that many bytes, and more of them follow.
    Took(usize),
    /// It has that many bytes, and after it both directions, or none, are of use.
    End(usize, Next),
}

impl StreamInspector for SocksStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let from_client = *self.client.get_or_insert(direction) == direction;
        let mut consumed = 0_usize;
        let next = loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            if rest.is_empty() {
                break Next::More;
            }
            let step = if from_client { self.client(rest, &mut |f| emit(direction, f)) } else { self.proxy(rest) };
            match step {
                Ok(Step::Took(n)) => consumed = consumed.saturating_add(n),
                Ok(Step::End(n, next)) => {
                    consumed = consumed.saturating_add(n);
                    break next;
                }
                Err(Truncated) => break Next::More,
            }
        };
        Progress { consumed, skip: 0, next }
    }

    fn gap(&mut self, _direction: Direction) -> bool {
        false
    }
}

impl SocksStream {
    /// The client's next message.
    fn client(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Fact<'_>)) -> Result<Step> {
        let mut r = Reader::new(bytes);
        let took = |r: &Reader<'_>| bytes.len().saturating_sub(r.left());
        let asked = match (self.up, r.u8()?) {
            (State::Start, 4) => request_4(bytes)?,
            (State::Start, 5) => {
                r.vec8()?;
                self.up = State::Five;
                return Ok(Step::Took(took(&r)));
            }
            // RFC 1929 §2
            (State::Five, 1) => {
                r.vec8()?;
                r.vec8()?;
                return Ok(Step::Took(took(&r)));
            }
            (State::Five, 5) => {
                let command = r.u8()?;
                r.skip(1)?;
                address_5(&mut r)?.map(|request| (command, request, took(&r)))
            }
            // what comes after the request is for the other end of the tunnel, though the proxy's consent is not seen
            (State::Asked, _) => return Ok(Step::End(0, Next::Handover)),
            _ => None,
        };
        let Some((command, request, n)) = asked else { return Ok(Step::End(0, Next::Reject)) };
        self.up = State::Asked;
        self.elsewhere = !matches!(command, command::CONNECT | command::BIND);
        if self.elsewhere {
            return Ok(Step::End(n, Next::Finished));
        }
        emit(Fact::SocksRequest(request));
        Ok(Step::Took(n))
    }

    /// The proxy's next message.
    fn proxy(&mut self, bytes: &[u8]) -> Result<Step> {
        let mut r = Reader::new(bytes);
        let took = |r: &Reader<'_>| bytes.len().saturating_sub(r.left());
        let end = |granted: bool| if granted { Next::Handover } else { Next::Finished };
        Ok(match (self.down, r.u8()?) {
            (State::Start, 0 | 4) if self.up == State::Asked => {
                let answer = r.u8()?;
                r.skip(ANSWER_4.saturating_sub(2))?;
                Step::End(took(&r), end(answer == GRANTED_4))
            }
            (State::Start, 5) => {
                let chosen = r.u8()?;
                self.down = State::Five;
                match chosen {
                    method::NONE | method::USER_PASSWORD => Step::Took(took(&r)),
                    _ => Step::End(took(&r), Next::Finished),
                }
            }
            // RFC 1929 §2
            (State::Five, 1) => match r.u8()? {
                0 => Step::Took(took(&r)),
                _ => Step::End(took(&r), Next::Finished),
            },
            (State::Five, 5) => {
                let answer = r.u8()?;
                r.skip(1)?;
                match address_5(&mut r)? {
                    Some(_) => Step::End(took(&r), end(answer == 0)),
                    None => Step::End(0, Next::Reject),
                }
            }
            _ => Step::End(0, Next::Reject),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Orig, Resp};
    use proptest::prelude::*;

    /// Feeds each piece byte by byte; gives what was asked for, and how the last piece ended and what was left of it.
    fn drive(talk: &[(Direction, &[u8])]) -> (Vec<String>, Next, usize) {
        let (mut socks, mut seen, mut last) = (SocksStream::default(), Vec::new(), (Next::More, 0));
        for (direction, bytes) in talk {
            let mut held = Vec::new();
            last = (Next::More, 0);
            for (at, byte) in bytes.iter().enumerate() {
                held.push(*byte);
                let progress = socks.feed(*direction, &held, &mut |_, fact| {
                    if let Fact::SocksRequest(request) = fact {
                        seen.push(match request.host {
                            Host::Name(name) => format!("{}:{}", String::from_utf8_lossy(name), request.port),
                            Host::Address(ip) => format!("{ip}:{}", request.port),
                        });
                    }
                });
                held.drain(..progress.consumed);
                last = (progress.next, bytes.len() - at - 1 + held.len());
                if progress.next != Next::More {
                    break;
                }
            }
        }
        (seen, last.0, last.1)
    }

    #[test]
    fn version_4_by_address_and_by_name() {
        let plain = b"\x04\x01\x01\xbb\xc0\x00\x02\x01me\0";
        let granted = b"\x00\x5a\x00\x00\x00\x00\x00\x00";
        assert_eq!(drive(&[(Orig, plain), (Resp, granted)]), (vec!["192.0.2.1:443".into()], Next::Handover, 0));
        let named = b"\x04\x01\x00\x50\x00\x00\x00\x01\0www.example\0";
        assert_eq!(drive(&[(Resp, named), (Orig, granted)]), (vec!["www.example:80".into()], Next::Handover, 0));
        let refused = b"\x00\x5b\x00\x00\x00\x00\x00\x00";
        assert_eq!(drive(&[(Orig, plain), (Resp, refused)]).1, Next::Finished);
        assert_eq!(drive(&[(Orig, plain), (Orig, b"\x16\x03\x01")]).1, Next::Handover);
        for n in 1..plain.len() {
            assert_eq!(probe(&plain[..n]), Probe::Unsure);
        }
        assert_eq!((probe(plain), probe(named)), (Probe::Match, Probe::Match));
        for bad in [
            &b"\x04\x03\x01\xbb\xc0\x00\x02\x01me\0"[..],
            b"\x04\x01\x01\xbb\xc0\x00\x02\x01m\x01\0",
            b"\x04\x01\0\0\x01\x01\x01\x01\0",
            b"\x04\x01\x01\xbb\0\x01\0\0\0",
            b"\x04\x01\x01\xbb\xff\x01\x01\x01\0",
            b"\x04\x01\x01\xbb\xc0\x00\x02\x01me\0more",
        ] {
            assert_eq!(probe(bad), Probe::Reject);
        }
    }

    #[test]
    fn version_5_with_and_without_a_password() {
        let ask = b"\x05\x01\x00\x03\x0bwww.example\x01\xbb";
        let granted = b"\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38";
        let open: [(Direction, &[u8]); 4] =
            [(Orig, b"\x05\x02\x00\x02"), (Resp, b"\x05\x00"), (Orig, ask), (Resp, granted)];
        assert_eq!(drive(&open), (vec!["www.example:443".into()], Next::Handover, 0));
        let locked: [(Direction, &[u8]); 6] = [
            (Orig, b"\x05\x01\x02"),
            (Resp, b"\x05\x02"),
            (Orig, b"\x01\x02me\x03pwd"),
            (Resp, b"\x01\x00"),
            (Orig, b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"),
            (Resp, granted),
        ];
        assert_eq!(drive(&locked), (vec!["2001:db8::1:80".into()], Next::Handover, 0));
        assert_eq!(drive(&[(Orig, b"\x05\x01\x00"), (Resp, b"\x05\xff")]).1, Next::Finished);
        let refused: &[u8] = b"\x05\x05\x00\x01\0\0\0\0\0\0";
        assert_eq!(drive(&[open[0], open[1], open[2], (Resp, refused)]).1, Next::Finished);
        let associate: &[u8] = b"\x05\x03\x00\x01\0\0\0\0\0\x09";
        assert_eq!(drive(&[open[0], open[1], (Orig, associate)]), (vec![], Next::Finished, 0));
        assert_eq!(probe(b"\x05\x01\x00"), Probe::Match);
        assert_eq!((probe(b"\x05"), probe(b"\x05\x02\x00")), (Probe::Unsure, Probe::Unsure));
        assert_eq!(
            (probe(b"\x05\x01\x00\x16"), probe(b"\x05\x01\x40"), probe(b"\x05\x00")),
            (Probe::Reject, Probe::Reject, Probe::Reject)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(up: Vec<u8>, down: Vec<u8>, version in 4..6_u8) {
            let mut socks = SocksStream::default();
            for (direction, bytes) in [(Orig, [&[version][..], &up].concat()), (Resp, down)] {
                let _ = probe(&bytes);
                let progress = socks.feed(direction, &bytes, &mut |_, _| {});
                prop_assert!(progress.consumed <= bytes.len());
            }
        }
    }
}
