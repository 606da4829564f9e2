//! What a record says: its data by type (RFC 1035 §3.3, 2782, 3596, 9460), and the data's text.
//!
//! Data that does not fit its type's grammar is [`Data::Other`]: nothing is guessed.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::{Name, write_decimal};
use crate::short::Short;
use crate::wire::{Reader, Result, Truncated};

/// The type numbers whose data is understood.
pub(super) mod types {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const SPF: u16 = 99;
}

/// A record's data. Its `Display` is the text of it: an address, a name without its last dot, `10 mail.example.com`
/// for MX, quoted strings for TXT, lower-case hex digits for what is not understood.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name this one stands for (DNAME too).
    Cname(Name<'a>),
    /// A name server.
    Ns(Name<'a>),
    /// A pointer, to a host's name or a service instance.
    Ptr(Name<'a>),
    /// A mail exchange.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// The host.
        exchange: Name<'a>,
    },
    /// Character strings (SPF too).
    Txt(Txt<'a>),
    /// A service's place (RFC 2782).
    Srv {
        /// Lower is preferred.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The TCP or UDP port.
        port: u16,
        /// The host.
        target: Name<'a>,
    },
    /// The start of a zone.
    Soa(Soa<'a>),
    /// How to reach a web origin (RFC 9460 §9).
    Https(Svcb<'a>),
    /// How to reach a service (RFC 9460).
    Svcb(Svcb<'a>),
    /// Another type, or data that breaks its type's grammar: the type and the bytes.
    Other(u16, &'a [u8]),
}

impl<'a> Data<'a> {
    /// The data of a record of type `rtype`: `rdata`, which ends `tail` bytes before the end of `message`.
    pub(super) fn read(message: &'a [u8], rtype: u16, rdata: &'a [u8], tail: usize) -> Self {
        let mut fields = Fields { message, reader: Reader::new(rdata), tail };
        match fields.data(rtype, rdata) {
            Ok(data) => data,
            Err(Truncated) => Data::Other(rtype, rdata),
        }
    }
}

/// A cursor over a record's data that can read names.
struct Fields<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
    tail: usize,
}

impl<'a> Fields<'a> {
    fn data(&mut self, rtype: u16, rdata: &'a [u8]) -> Result<Data<'a>> {
        let data = match rtype {
            types::A => Data::A(Ipv4Addr::from(*self.reader.array::<4>()?)),
            types::AAAA => Data::Aaaa(Ipv6Addr::from(*self.reader.array::<16>()?)),
            types::CNAME | types::DNAME => Data::Cname(self.name()?),
            types::NS => Data::Ns(self.name()?),
            types::PTR => Data::Ptr(self.name()?),
            types::MX => Data::Mx { preference: self.reader.u16()?, exchange: self.name()? },
            types::TXT | types::SPF => Data::Txt(self.txt()?),
            types::SRV => Data::Srv {
                priority: self.reader.u16()?,
                weight: self.reader.u16()?,
                port: self.reader.u16()?,
                target: self.name()?,
            },
            types::SOA => Data::Soa(self.soa()?),
            types::HTTPS => Data::Https(self.svcb()?),
            types::SVCB => Data::Svcb(self.svcb()?),
            _ => return Ok(Data::Other(rtype, rdata)),
        };
        if self.reader.is_empty() { Ok(data) } else { Err(Truncated) }
    }

    fn name(&mut self) -> Result<Name<'a>> {
        Name::read(self.message, &mut self.reader, self.tail)
    }

    fn txt(&mut self) -> Result<Txt<'a>> {
        let bytes = self.reader.rest();
        while !self.reader.is_empty() {
            self.reader.vec8()?;
        }
        Ok(Txt { bytes })
    }

    fn soa(&mut self) -> Result<Soa<'a>> {
        Ok(Soa {
            mname: self.name()?,
            rname: self.name()?,
            serial: self.reader.u32()?,
            refresh: self.reader.u32()?,
            retry: self.reader.u32()?,
            expire: self.reader.u32()?,
            minimum: self.reader.u32()?,
        })
    }

    fn svcb(&mut self) -> Result<Svcb<'a>> {
        let (priority, target) = (self.reader.u16()?, self.name()?);
        let params = self.reader.rest();
        while !self.reader.is_empty() {
            self.reader.u16()?;
            self.reader.vec16()?;
        }
        Ok(Svcb { priority, target, params })
    }
}

/// The start of a zone (RFC 1035 §3.3.13).
#[derive(Clone, Copy, Debug)]
pub struct Soa<'a> {
    /// The primary server.
    pub mname: Name<'a>,
    /// The mailbox of who is responsible, its `@` a dot.
    pub rname: Name<'a>,
    /// The version of the zone.
    pub serial: u32,
    /// Seconds between refreshes.
    pub refresh: u32,
    /// Seconds before a failed refresh is tried again.
    pub retry: u32,
    /// Seconds after which the zone is no longer authoritative.
    pub expire: u32,
    /// Seconds for which "no such name" may be kept (RFC 2308).
    pub minimum: u32,
}

/// Character strings.
#[derive(Clone, Copy, Debug)]
pub struct Txt<'a> {
    bytes: &'a [u8],
}

impl<'a> Txt<'a> {
    /// The strings, in order.
    pub fn strings(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || reader.vec8().ok().map(|s| s.rest()))
    }
}

/// A service binding (RFC 9460 §2).
#[derive(Clone, Copy, Debug)]
pub struct Svcb<'a> {
    /// 0 is an alias; otherwise lower is preferred.
    pub priority: u16,
    /// The host; the root stands for the record's own name.
    pub target: Name<'a>,
    params: &'a [u8],
}

/// SvcParamKeys (RFC 9460 §14.3.2).
mod keys {
    pub const MANDATORY: u16 = 0;
    pub const ALPN: u16 = 1;
    pub const NO_DEFAULT_ALPN: u16 = 2;
    pub const PORT: u16 = 3;
    pub const IPV4HINT: u16 = 4;
    pub const IPV6HINT: u16 = 6;
}

impl<'a> Svcb<'a> {
    /// The parameters in order, each a SvcParamKey and its value.
    pub fn params(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.params);
        std::iter::from_fn(move || Some((reader.u16().ok()?, reader.vec16().ok()?.rest())))
    }

    /// The protocols offered (`alpn`).
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Txt { bytes: self.value(keys::ALPN) }.strings()
    }

    /// The port, where it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        Reader::new(self.value(keys::PORT)).u16().ok()
    }

    fn value(&self, key: u16) -> &'a [u8] {
        self.params().find(|(k, _)| *k == key).map_or(&[], |(_, value)| value)
    }
}

/// The whole `N`-byte pieces of `bytes`.
fn arrays<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = &[u8; N]> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || reader.array::<N>().ok())
}

impl Data<'_> {
    /// Writes its text; of what most answers are, with no detour.
    pub fn write_to(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Data::A(address) => out.write_str(&Short::address(address.octets())),
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => name.write_to(out),
            other => write!(out, "{other}"),
        }
    }
}

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::A(_) | Data::Cname(_) | Data::Ns(_) | Data::Ptr(_) => self.write_to(f),
            Data::Aaaa(address) => fmt::Display::fmt(address, f),
            Data::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Data::Txt(txt) => write!(f, "{txt}"),
            Data::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Data::Soa(soa) => write!(f, "{soa}"),
            Data::Https(svcb) | Data::Svcb(svcb) => write!(f, "{svcb}"),
            Data::Other(_, bytes) => write_hex(f, bytes),
        }
    }
}

impl fmt::Display for Soa<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Soa { mname, rname, serial, refresh, retry, expire, minimum } = self;
        write!(f, "{mname} {rname} {serial} {refresh} {retry} {expire} {minimum}")
    }
}

impl fmt::Display for Txt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, string) in self.strings().enumerate() {
            f.write_str(if i == 0 { "\"" } else { " \"" })?;
            write_quoted(f, string)?;
            f.write_char('"')?;
        }
        Ok(())
    }
}

impl fmt::Display for Svcb<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.priority, self.target)?;
        for (key, value) in self.params() {
            f.write_char(' ')?;
            write_param(f, key, value)?;
        }
        Ok(())
    }
}

/// Writes one service parameter in the form of RFC 9460 §2.1; what is not understood as `keyN=` and hex digits.
fn write_param(f: &mut fmt::Formatter<'_>, key: u16, value: &[u8]) -> fmt::Result {
    match key {
        keys::MANDATORY => {
            f.write_str("mandatory=")?;
            write_list(f, arrays(value).map(|b: &[u8; 2]| u16::from_be_bytes(*b)), |f, k| write!(f, "key{k}"))
        }
        keys::ALPN => {
            f.write_str("alpn=")?;
            write_list(f, Txt { bytes: value }.strings(), write_quoted)
        }
        keys::NO_DEFAULT_ALPN => f.write_str("no-default-alpn"),
        keys::PORT if value.len() == 2 => {
            f.write_str("port=")?;
            write_list(f, arrays(value).map(|b: &[u8; 2]| u16::from_be_bytes(*b)), |f, port| write!(f, "{port}"))
        }
        keys::IPV4HINT => {
            f.write_str("ipv4hint=")?;
            write_list(f, arrays(value), |f, b: &[u8; 4]| write!(f, "{}", Ipv4Addr::from(*b)))
        }
        keys::IPV6HINT => {
            f.write_str("ipv6hint=")?;
            write_list(f, arrays(value), |f, b: &[u8; 16]| write!(f, "{}", Ipv6Addr::from(*b)))
        }
        _ => {
            write!(f, "key{key}=")?;
            write_hex(f, value)
        }
    }
}

/// Writes `items` with commas between.
fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i > 0 {
            f.write_char(',')?;
        }
        write(f, item)?;
    }
    Ok(())
}

/// Writes a character string with `"` and `\` escaped, and controls and bytes that are not UTF-8 as `\DDD`.
fn write_quoted(f: &mut fmt::Formatter<'_>, string: &[u8]) -> fmt::Result {
    for chunk in string.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write_decimal(f, c)?,
                c => f.write_char(c)?,
            }
        }
        chunk.invalid().iter().try_for_each(|b| write!(f, "\\{b:03}"))?;
    }
    Ok(())
}

/// Writes lower-case hex digits.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    data_encoding::HEXLOWER.encode_write(bytes, f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rtype: u16, rdata: &[u8]) -> String {
        Data::read(rdata, rtype, rdata, 0).to_string()
    }

    #[test]
    fn each_type_has_its_text() {
        assert_eq!(text(types::A, &[192, 0, 2, 7]), "192.0.2.7");
        assert_eq!(text(types::AAAA, &Ipv6Addr::LOCALHOST.octets()), "::1");
        assert_eq!(text(types::MX, b"\x00\x0a\x04mail\x07example\x03com\0"), "10 mail.example.com");
        assert_eq!(text(types::TXT, b"\x03a\"b\x03\\\x01\xff"), r#""a\"b" "\\\001\255""#);
        assert_eq!(text(types::SRV, b"\0\x01\0\x02\x01\xbb\x01h\0"), "1 2 443 h");
        let soa = b"\x01n\0\x01h\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        assert_eq!(text(types::SOA, soa), "n h 1 2 3 4 5");
        assert_eq!(text(4242, b"\xde\xad"), "dead");
        assert_eq!(text(types::A, b"\x01\x02\x03"), "010203", "three bytes are no address");
    }

    #[test]
    fn service_bindings_tell_their_parameters() {
        let mut rdata = b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x03\0\x02\x20\xfb\0\x04\0\x08".to_vec();
        rdata.extend([192, 0, 2, 1, 192, 0, 2, 2, 0, 6, 0, 16]);
        rdata.extend(Ipv6Addr::LOCALHOST.octets());
        rdata.extend(b"\0\x05\0\x01\xab");
        let Data::Https(svcb) = Data::read(&rdata, types::HTTPS, &rdata, 0) else { panic!("not a binding") };
        assert_eq!(svcb.alpn().collect::<Vec<_>>(), [b"h3", b"h2"]);
        assert_eq!(svcb.port(), Some(8443));
        let text = "1 . alpn=h3,h2 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=::1 key5=ab";
        assert_eq!(svcb.to_string(), text);
    }
}
