//! Names that are worth a closer look while packets pass: those under a domain of the catalogue.
//!
//! A first, cheap answer by how a name ends; what a name is, the catalogue says when all is learnt.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::catalogue::Catalogue;
use super::host::{End, FirstLook};
use super::s3;

/// The domains of a catalogue.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    first_look: FirstLook,
    domains: HashSet<u64, RandomState>,
}

impl Watch {
    /// The domains of the catalogue's hosts, and object storage, which the catalogue lists by its forms.
    pub fn of(catalogue: &Catalogue) -> Self {
        let hosts = || catalogue.hosts.iter().map(|host| host.pattern.trim_start_matches("*."));
        let mut first_look = FirstLook::default();
        hosts().chain(s3::ENDS).for_each(|name| first_look.note(name));
        let own = hosts().filter(|name| s3::parse(name).is_none());
        Watch { first_look, domains: own.map(|name| digest(domain(name))).collect() }
    }

    /// Whether `name` lies under one of them, or is one.
    #[inline]
    pub fn covers(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.first_look.may_cover(End::of(name.as_bytes())) && self.covers_closely(name)
    }

    /// Whether a name that ends so on the wire (without the root's zero byte) may lie under one of them.
    #[inline]
    pub fn may_cover_wire(&self, name: &[u8]) -> bool {
        self.first_look.may_cover(End::of(name))
    }

    fn covers_closely(&self, name: &str) -> bool {
        !self.domains.is_empty() && (self.domains.contains(&digest(domain(name))) || s3::parse(name).is_some())
    }
}

/// The last two labels of a name.
fn domain(name: &str) -> &[u8] {
    let name = name.as_bytes();
    let mut dots = memchr::memrchr_iter(b'.', name);
    let start = dots.nth(1).map_or(0, |at| at.saturating_add(1));
    name.get(start..).unwrap_or(name)
}

/// FNV-1a over the lower-case bytes: a name that collides is looked at more closely for nothing, no more.
fn digest(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_of_the_catalogue_is_watched_and_others_are_not() {
        let catalogue = Catalogue::embedded().unwrap();
        let watch = Watch::of(&catalogue);
        for host in &catalogue.hosts {
            assert!(watch.covers(&host.pattern.replace('*', "x")), "{}", host.pattern);
        }
        assert!(watch.covers("A.B.U5FGB.com.") && watch.covers("oe-prod-media.s3.us-west-2.amazonaws.com"));
        for other in
            ["evilu5fgb.com", "u5fgb.com.evil.net", "com", "", ".", "example.com", "ec2.us-west-2.amazonaws.com"]
        {
            assert!(!watch.covers(other), "{other}");
        }
        for (name, may) in
            [(&b"\x01A\x01b\x05U5FGB\x03com"[..], true), (b"\x07example\x03com", false), (b"\x03com", false)]
        {
            assert_eq!(watch.may_cover_wire(name), may, "{name:?}");
        }
        assert!(!Watch::default().covers(""));
    }
}
