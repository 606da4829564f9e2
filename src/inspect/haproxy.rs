//! The PROXY protocol: one head before a connection's own bytes that says whose connection a load balancer passes on.
//!
//! HAProxy's "The PROXY protocol", versions 1 and 2: §2.1 (a line of text) and §2.2 (binary). What follows the head, in
//! the same direction, is the connection as the balancer's client made it.
//!
//! Limits: a line of 107 bytes, the most that §2.1 allows, and a binary head of [`MAX_BINARY`]. Refused: a head that
//! breaks the grammar, as a receiver must refuse it. Its addresses are read; its extensions (§2.2.1) are passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memmem;

use super::{Direction, Fact, Next, Probe, Progress, StreamInspector};
use crate::wire::{Reader, Result, Truncated};

/// How a line of version 1 begins.
const TEXT: &[u8] = b"PROXY ";
/// How a head of version 2 begins.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, with its line end.
const MAX_TEXT: usize = 107;
/// The longest head of version 2 that is read. A balancer that passes on a client's certificate needs most of it.
const MAX_BINARY: usize = 8192;

/// The ends of the connection that is passed on, as the balancer had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who made it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ends, where the head names any: a health check's has none.
    pub ends: Option<Ends>,
    /// Its length in bytes.
    pub length: usize,
}

/// A first look at a stream: whether `bytes` begin with a head.
#[inline]
pub fn probe(bytes: &[u8]) -> Probe {
    match parse(bytes) {
        Ok(Some(_)) => Probe::Match,
        Ok(None) => Probe::Reject,
        Err(Truncated) => Probe::Unsure,
    }
}

/// Reads the head that `bytes` begin with. `None`: there is none.
#[inline]
pub fn parse(bytes: &[u8]) -> Result<Option<Header>> {
    match bytes.first() {
        None => Err(Truncated),
        Some(b'P') if begins(bytes, TEXT)? => line(bytes),
        Some(b'\r') if begins(bytes, BINARY)? => binary(bytes),
        Some(_) => Ok(None),
    }
}

/// Whether `bytes` begin with `mark`, as far as they go.
fn begins(bytes: &[u8], mark: &[u8]) -> Result<bool> {
    if bytes.len() < mark.len() && mark.starts_with(bytes) { Err(Truncated) } else { Ok(bytes.starts_with(mark)) }
}

/// A head of version 1.
fn line(bytes: &[u8]) -> Result<Option<Header>> {
    let line = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    match memmem::find(line, b"\r\n") {
        Some(end) => Ok(text(line.get(..end).unwrap_or_default(), end.saturating_add(2))),
        None if bytes.len() < MAX_TEXT => Err(Truncated),
        None => Ok(None),
    }
}

/// A line of version 1, without its end.
fn text(line: &[u8], length: usize) -> Option<Header> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Header { ends: None, length });
    }
    let mut address = || words.next()?.parse::<IpAddr>().ok();
    let [from, to] = [address()?, address()?];
    let mut port = || words.next()?.parse::<u16>().ok();
    let ports = [port()?, port()?];
    let fits = match family {
        "TCP4" => from.is_ipv4() && to.is_ipv4(),
        "TCP6" => from.is_ipv6() && to.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then(|| Header { ends: Some(ends([from, to], ports)), length })
}

/// A head of version 2.
fn binary(bytes: &[u8]) -> Result<Option<Header>> {
    let mut r = Reader::new(bytes);
    r.skip(BINARY.len())?;
    let command = r.u8()?;
    let family = r.u8()?;
    let n = usize::from(r.u16()?);
    let length = bytes.len().saturating_sub(r.left()).saturating_add(n);
    if !matches!(command, 0x20 | 0x21) || family >> 4 > 3 || family & 0x0f > 2 || length > MAX_BINARY {
        return Ok(None);
    }
    let mut body = r.sub(n)?;
    // a LOCAL connection is the balancer's own, whatever else it says
    let ends = match family >> 4 {
        1 if command == 0x21 => pair::<4>(&mut body),
        2 if command == 0x21 => pair::<16>(&mut body),
        _ => Ok(None),
    };
    // addresses that do not fit the length break the grammar
    Ok(ends.ok().map(|ends| Header { ends, length }))
}

/// Two addresses of `N` bytes, and two ports.
fn pair<const N: usize>(body: &mut Reader<'_>) -> Result<Option<Ends>> {
    let mut address = || -> Result<IpAddr> {
        let bytes = body.array::<N>()?;
        let v4 = bytes.first_chunk::<4>().filter(|_| N == 4).map(|b| IpAddr::V4(Ipv4Addr::from(*b)));
        let v6 = || bytes.first_chunk::<16>().map(|b| IpAddr::V6(Ipv6Addr::from(*b)));
        v4.or_else(v6).ok_or(Truncated)
    };
    let addresses = [address()?, address()?];
    let ports = [body.u16()?, body.u16()?];
    Ok(Some(ends(addresses, ports)))
}

fn ends([from, to]: [IpAddr; 2], [from_port, to_port]: [u16; 2]) -> Ends {
    Ends { source: SocketAddr::new(from, from_port), destination: SocketAddr::new(to, to_port) }
}

/// The head of one connection: what stands behind it is another protocol's.
#[derive(Clone, Copy, Debug, Default)]
pub struct HaproxyStream;

impl StreamInspector for HaproxyStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        match parse(bytes) {
            Ok(Some(header)) => {
                emit(direction, Fact::ProxyHeader(header));
                Progress { consumed: header.length, skip: 0, next: Next::Handover }
            }
            Ok(None) => Progress { consumed: 0, skip: 0, next: Next::Reject },
            Err(Truncated) => Progress { consumed: 0, skip: 0, next: Next::More },
        }
    }

    fn gap(&mut self, _direction: Direction) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [BINARY, &[command, family], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    fn told(bytes: &[u8]) -> Option<(String, String, usize)> {
        let header = parse(bytes).unwrap()?;
        let ends = header.ends?;
        Some((ends.source.to_string(), ends.destination.to_string(), header.length))
    }

    #[test]
    fn lines_of_text() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
        let ends = ("192.0.2.1:56324".to_owned(), "198.51.100.2:443".to_owned(), line.len());
        assert_eq!(told(&[&line[..], b"GET /"].concat()), Some(ends));
        let six = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
        assert_eq!(told(six).unwrap().1, "[2001:db8::2]:65535");
        assert_eq!(parse(b"PROXY UNKNOWN ffff::1 x\r\n"), Ok(Some(Header { ends: None, length: 25 })));
        for n in 0..line.len() {
            assert_eq!(probe(&line[..n]), Probe::Unsure, "{n}");
        }
        for bad in [
            &b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 70000\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXYING",
            &[&b"PROXY TCP4 "[..], &[b'1'; 110]].concat(),
        ] {
            assert_eq!(probe(bad), Probe::Reject, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn binary_heads() {
        let addresses = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 0xbb];
        let tlv = [3, 0, 4, 1, 2, 3, 4];
        let head = v2(0x21, 0x11, &[&addresses[..], &tlv].concat());
        let ends = ("192.0.2.1:56324".to_owned(), "198.51.100.2:443".to_owned(), head.len());
        assert_eq!(told(&head), Some(ends));
        assert!((1..head.len()).all(|n| probe(&head[..n]) == Probe::Unsure));
        let six = v2(0x21, 0x21, &[&[0; 15][..], &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat());
        assert_eq!(told(&six).unwrap().0, "[::1]:1");
        let local = v2(0x20, 0, &[]);
        assert_eq!(parse(&local), Ok(Some(Header { ends: None, length: local.len() })));
        assert_eq!(parse(&v2(0x20, 0x11, &addresses)).unwrap().unwrap().ends, None);
        for bad in [v2(0x11, 0x11, &addresses), v2(0x21, 0x11, &addresses[..11]), v2(0x21, 0x41, &addresses)] {
            assert_eq!(probe(&bad), Probe::Reject);
        }
        assert_eq!(probe(&v2(0x21, 0x11, &[0; MAX_BINARY])[..40]), Probe::Reject);
    }

    /// What the `ppp` crate reads of a head.
    fn theirs(bytes: &[u8]) -> Option<(Option<[SocketAddr; 2]>, usize)> {
        use ppp::{HeaderResult, v1, v2};
        let pair = |a: IpAddr, p: u16, b: IpAddr, q: u16| Some([SocketAddr::new(a, p), SocketAddr::new(b, q)]);
        match HeaderResult::parse(bytes) {
            HeaderResult::V1(Ok(head)) => {
                let ends = match head.addresses {
                    v1::Addresses::Unknown => None,
                    v1::Addresses::Tcp4(a) => {
                        pair(a.source_address.into(), a.source_port, a.destination_address.into(), a.destination_port)
                    }
                    v1::Addresses::Tcp6(a) => {
                        pair(a.source_address.into(), a.source_port, a.destination_address.into(), a.destination_port)
                    }
                };
                Some((ends, head.header.len()))
            }
            HeaderResult::V2(Ok(head)) => {
                let ends = match head.addresses {
                    v2::Addresses::IPv4(a) => {
                        pair(a.source_address.into(), a.source_port, a.destination_address.into(), a.destination_port)
                    }
                    v2::Addresses::IPv6(a) => {
                        pair(a.source_address.into(), a.source_port, a.destination_address.into(), a.destination_port)
                    }
                    _ => None,
                };
                Some((ends.filter(|_| head.command == v2::Command::Proxy), head.len()))
            }
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn heads_are_read_as_another_reads_them(
            a: [u8; 16], b: [u8; 16], ports: [u16; 2], six: bool, old: bool, local: bool, tail: Vec<u8>,
        ) {
            let [from, to] = [a, b].map(|ip| match six {
                true => IpAddr::from(ip),
                false => IpAddr::from([ip[0], ip[1], ip[2], ip[3]]),
            });
            let head = if old {
                let family = if six { 6 } else { 4 };
                format!("PROXY TCP{family} {from} {to} {} {}\r\n", ports[0], ports[1]).into_bytes()
            } else {
                let n = if six { 16 } else { 4 };
                let ports = ports.map(u16::to_be_bytes);
                let body = [&a[..n], &b[..n], &ports[0], &ports[1]].concat();
                v2(if local { 0x20 } else { 0x21 }, if six { 0x21 } else { 0x11 }, &body)
            };
            let bytes = [&head[..], &tail].concat();
            let ours = parse(&bytes).unwrap().unwrap();
            prop_assert_eq!(ours.length, head.len());
            let ours = (ours.ends.map(|e| [e.source, e.destination]), ours.length);
            prop_assert_eq!(Some(ours), theirs(&bytes));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, kind in 0..3) {
            let start: &[u8] = [&b""[..], TEXT, BINARY][kind as usize];
            let bytes = [start, &bytes].concat();
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
            let _ = probe(&bytes);
        }
    }
}
