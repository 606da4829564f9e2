//! Pseudonyms for what may not leave a site: addresses, names, hardware addresses.
//!
//! A pseudonym depends on what it stands for and on a key alone, so tables still join as long as the key is the same.
//! Addresses keep their networks ([`address`]); of names, what the vendor publishes stays readable ([`name`]). Records
//! are replaced field by field ([`record`]), what stands in sentences word by word ([`Redactor::text`]), frames header
//! by header ([`Redactor::frame`]), and what is not understood in a frame is taken out.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod address;
mod content;
mod embedded;
mod frame;
pub mod literals;
pub mod name;
mod record;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::classify::catalogue::Catalogue;
use address::Addresses;
use embedded::Embedded;
use literals::{Full, Literals};
use name::Names;

/// The bytes of a key.
pub const KEY: usize = 32;

/// What is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct What {
    /// IP addresses.
    pub ips: bool,
    /// Names of hosts, owners of certificates, paths of requests.
    pub names: bool,
    /// Hardware addresses.
    pub macs: bool,
}

impl What {
    /// Reads `ips,names,macs`, any of them.
    ///
    /// # Errors
    /// The word that is none of them.
    pub fn parse(text: &str) -> Result<What, String> {
        let mut what = What::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "ips" => what.ips = true,
                "names" => what.names = true,
                "macs" => what.macs = true,
                other => return Err(format!("'{}' cannot be replaced: ips, names, macs can", other.escape_debug())),
            }
        }
        if what == What::default() { Err("what is to be replaced? ips, names, macs".to_owned()) } else { Ok(what) }
    }

    /// In words, for a page; empty for nothing.
    pub fn text(self) -> String {
        let parts = [(self.ips, "IP addresses"), (self.names, "names"), (self.macs, "hardware addresses")];
        parts.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
    }
}

/// Replaces.
#[derive(Debug)]
pub struct Redactor {
    what: What,
    addresses: Addresses,
    names: Names,
    key: [u8; KEY],
    literals: Literals,
}

impl Redactor {
    /// With a key that nobody else knows.
    pub fn new(what: What, key: [u8; KEY], catalogue: &Catalogue) -> Redactor {
        Redactor {
            what,
            addresses: Addresses::new(&part(&key, b"addresses")),
            names: Names::new(part(&key, b"names"), catalogue),
            key,
            literals: Literals::default(),
        }
    }

    /// What it replaces.
    pub const fn what(&self) -> What {
        self.what
    }

    /// Has a text replaced by another wherever it stands.
    ///
    /// # Errors
    /// There is no room for it: nothing may be told then, for the text would be left as it is.
    pub fn replace(&mut self, text: &str, by: &str) -> Result<(), Full> {
        self.literals.add(text, by)
    }

    /// A pseudonym for an address.
    pub fn ip(&self, ip: IpAddr) -> IpAddr {
        if self.what.ips { self.addresses.ip(ip) } else { ip }
    }

    /// A pseudonym for a hardware address; groups and the one of all stay.
    pub fn mac(&self, mac: [u8; 6]) -> [u8; 6] {
        let group = mac.first().is_some_and(|first| first & 1 != 0);
        if !self.what.macs || group || mac == [0; 6] {
            return mac;
        }
        let digest = self.digest(b"mac", &mac);
        let mut told = [0x02, 0, 0, 0, 0, 0];
        told.iter_mut().skip(1).zip(digest).for_each(|(to, from)| *to = from);
        told
    }

    /// A pseudonym for the name of a host, which may be an address, and may have a port behind it.
    pub fn host(&self, host: &str) -> String {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let told = self.ip(ip);
            return if host.starts_with('[') { format!("[{told}]") } else { told.to_string() };
        }
        if let Ok(end) = host.parse::<SocketAddr>() {
            return SocketAddr::new(self.ip(end.ip()), end.port()).to_string();
        }
        match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{}:{port}", self.name(name))
            }
            _ => self.name(host),
        }
    }

    /// A pseudonym for a name.
    pub fn name(&self, name: &str) -> String {
        if self.what.names { self.names.name(name) } else { name.to_owned() }
    }

    /// A sentence with all that it names replaced.
    pub fn text(&self, text: &str) -> String {
        self.words(text, Self::word)
    }

    /// What a program says of itself: as a sentence, and addresses are replaced where they are joined to other words,
    /// hardware addresses without separators too (`Phone_0004f2abcdef`, `PBX 10.0.0.10_2`).
    fn agent(&self, text: &str) -> String {
        self.words(text, Self::joined)
    }

    fn words(&self, text: &str, tell: impl Fn(&Self, &mut String, &str)) -> String {
        let text = self.literals.replaced(text);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let word = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let (head, tail) = rest.split_at(word);
            tell(self, &mut out, head);
            let between = tail.find(is_of_word).unwrap_or(tail.len());
            let (head, tail) = tail.split_at(between);
            out.push_str(head);
            rest = tail;
        }
        out
    }

    /// A word of a sentence: an address, with or without a port, a hardware address, a name; else it stays.
    fn word(&self, out: &mut String, word: &str) {
        let (before, bare, after) = bare(word);
        out.push_str(before);
        match self.pseudonym(bare) {
            Some(told) => out.push_str(&told),
            None => out.push_str(bare),
        }
        out.push_str(after);
    }

    /// The same, and of a word that stays, the addresses within it.
    fn joined(&self, out: &mut String, word: &str) {
        if self.pseudonym(bare(word).1).is_some() {
            return self.word(out, word);
        }
        let mut rest = word;
        let mut before = None;
        while let Some(first) = rest.chars().next() {
            let found = embedded::address(before, rest).filter(|found| self.takes(found));
            let length = found.as_ref().map_or(first.len_utf8(), |found| found.length());
            let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
            match found {
                Some(Embedded::Ip(_, ip)) => out.push_str(&self.ip(ip.into()).to_string()),
                Some(Embedded::Mac(_, mac)) => out.push_str(&HEXLOWER.encode(&self.mac(mac))),
                None => out.push_str(taken),
            }
            (before, rest) = (taken.chars().next_back(), left);
        }
    }

    /// Whether what was found is to be replaced.
    const fn takes(&self, found: &Embedded) -> bool {
        match found {
            Embedded::Ip(..) => self.what.ips,
            Embedded::Mac(..) => self.what.macs,
        }
    }

    /// What stands for an address, with or without a port, for a hardware address or a name; nothing for other words,
    /// and for what is not to be replaced.
    fn pseudonym(&self, word: &str) -> Option<String> {
        let is_ip = word.parse::<IpAddr>().is_ok() && word.contains(['.', ':']);
        if is_ip || word.parse::<SocketAddr>().is_ok() {
            return self.what.ips.then(|| self.host(word));
        }
        if let Some(mac) = as_mac(word) {
            let told = || self.mac(mac).map(|byte| format!("{byte:02x}")).join(":");
            return self.what.macs.then(told);
        }
        let is_name = self.what.names && name::is_name(word.split(':').next().unwrap_or(word));
        is_name.then(|| self.host(word))
    }

    /// A short pseudonym for what can only be known as a whole.
    fn token(&self, kind: &[u8], text: &str) -> String {
        HEXLOWER.encode(&self.digest(kind, text.as_bytes())).chars().take(12).collect()
    }

    fn digest(&self, kind: &[u8], bytes: &[u8]) -> [u8; 32] {
        let mut sum = Sha256::new();
        sum.update(self.key);
        sum.update(kind);
        sum.update([0]);
        sum.update(bytes);
        sum.finalize().into()
    }
}

/// A key for one purpose.
fn part(key: &[u8; KEY], purpose: &[u8]) -> [u8; KEY] {
    let mut sum = Sha256::new();
    sum.update(purpose);
    sum.update(key);
    sum.finalize().into()
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_')
}

/// A word without the marks around it, between what stands before it and behind it.
fn bare(word: &str) -> (&str, &str, &str) {
    let rest = word.trim_start_matches(['.', '-']);
    let bare = rest.trim_end_matches(['.', ':', '-']);
    let (before, after) = (word.len().saturating_sub(rest.len()), bare.len());
    (word.get(..before).unwrap_or_default(), bare, rest.get(after..).unwrap_or_default())
}

/// Six pairs of hexadecimal digits, with colons or hyphens.
fn as_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}
