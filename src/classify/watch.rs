//! Names that are worth a closer look while packets pass: those under a domain of the catalogue.
//!
//! A first, cheap answer by the last two labels alone; what a name is, the catalogue says when all is learnt.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::catalogue::Catalogue;

/// The domain under which object storage lies, which the catalogue lists by its forms.
const STORAGE: &str = "amazonaws.com";

/// The domains of a catalogue.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    domains: HashSet<u64, RandomState>,
}

impl Watch {
    /// The domains of the catalogue's hosts.
    pub fn of(catalogue: &Catalogue) -> Self {
        let hosts = catalogue.hosts.iter().map(|host| host.pattern.as_str());
        Watch { domains: hosts.chain([STORAGE]).map(|name| digest(domain(name))).collect() }
    }

    /// Whether `name` lies under one of them, or is one.
    pub fn covers(&self, name: &str) -> bool {
        !self.domains.is_empty() && self.domains.contains(&digest(domain(name)))
    }
}

/// The last two labels of a name, without the dot at its end.
fn domain(name: &str) -> &[u8] {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
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
        for other in ["evilu5fgb.com", "u5fgb.com.evil.net", "com", "", ".", "example.com"] {
            assert!(!watch.covers(other), "{other}");
        }
        assert!(!Watch::default().covers(""));
    }
}
