//! Names replaced label by label: as long as before, the same for the same name, and under one domain for names of one
//! domain. What a catalogue or a standard publishes stays, and so does the number of labels.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::KEY;
use crate::classify::catalogue::Catalogue;

/// Endings that say nothing of anybody, beside those of the catalogue.
const PUBLIC: [&str; 5] = ["in-addr.arpa", "ip6.arpa", "amazonaws.com", "local", "localhost"];

/// Replaces names.
#[derive(Debug)]
pub struct Names {
    key: [u8; KEY],
    readable: HashSet<String>,
}

impl Names {
    /// With a key; what the catalogue names stays readable.
    pub fn new(key: [u8; KEY], catalogue: &Catalogue) -> Names {
        let bases = catalogue.hosts.iter().map(|entry| entry.pattern.trim_start_matches("*.").to_ascii_lowercase());
        let resolvers = catalogue.resolvers.iter().flat_map(|resolver| resolver.names.iter().cloned());
        let readable = bases.chain(resolvers).chain(PUBLIC.map(str::to_owned)).collect();
        Names { key, readable }
    }

    /// The pseudonym of a name.
    pub fn name(&self, name: &str) -> String {
        let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
        let told: Vec<String> =
            self.labels(&labels).into_iter().map(|label| String::from_utf8_lossy(&label).into_owned()).collect();
        told.join(".")
    }

    /// The pseudonyms of labels, the leftmost first; each is as long as its label.
    pub fn labels(&self, labels: &[&[u8]]) -> Vec<Vec<u8>> {
        let lower: Vec<Vec<u8>> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
        let readable = |from: usize| {
            let name = lower.get(from..).unwrap_or_default().join(&b'.');
            let name = name.strip_suffix(b".").unwrap_or(&name);
            std::str::from_utf8(name).is_ok_and(|name| self.readable.contains(name))
        };
        let kept = (0..lower.len()).find(|from| readable(*from)).unwrap_or(lower.len());
        let told = |(at, label): (usize, &Vec<u8>)| {
            let parent = lower.get(at.saturating_add(1)..).unwrap_or_default();
            if at >= kept || label.as_slice() == b"*" || label.is_empty() {
                label.clone()
            } else {
                self.label(label, parent)
            }
        };
        lower.iter().enumerate().map(told).collect()
    }

    /// Letters and digits in the place of a label.
    fn label(&self, label: &[u8], parent: &[Vec<u8>]) -> Vec<u8> {
        let mut told = Vec::with_capacity(label.len());
        let mut block = 0u8;
        while told.len() < label.len() {
            let mut sum = Sha256::new();
            sum.update(self.key);
            sum.update([block]);
            sum.update(label);
            for label in parent {
                sum.update([b'.']);
                sum.update(label);
            }
            told.extend(sum.finalize().iter().map(|byte| letter(*byte)));
            block = block.wrapping_add(1);
        }
        told.truncate(label.len());
        told
    }
}

/// One of 32 letters and digits that cannot be taken for each other.
fn letter(byte: u8) -> u8 {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
    LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'x')
}

/// Whether a word of a sentence is the name of a host: labels with dots between them, the last of letters.
pub fn is_name(word: &str) -> bool {
    let Some(name) = crate::classify::host::tidy(word) else { return false };
    let Some((rest, last)) = name.rsplit_once('.') else { return false };
    !rest.is_empty() && last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new([5; KEY], &Catalogue::embedded().unwrap())
    }

    #[test]
    fn what_is_published_stays() {
        let n = names();
        for name in [
            "restapi.gp4f.com",
            "stun.u5fgb.com",
            "*.us-west.u5fgb.com",
            "u5fgb.com",
            "1.cctv.pool.ntp.org",
            "oe-prod-media.s3.us-west-2.amazonaws.com",
            "dns.google",
        ] {
            assert_eq!(n.name(name), name);
        }
    }

    #[test]
    fn labels_under_it_do_not() {
        let n = names();
        let told = n.name("acme-hq-07.us-west.u5fgb.com");
        assert!(told.ends_with(".us-west.u5fgb.com") && !told.contains("acme") && told.len() == 28, "{told}");
        let (a, b) = (n.name("files.corp.example"), n.name("print.CORP.example"));
        assert!(!a.contains("files") && !a.contains("corp") && !a.contains("example"), "{a}");
        assert_eq!(a.split_once('.').unwrap().1, b.split_once('.').unwrap().1);
        assert_eq!(n.name("Files.Corp.Example"), a);
        assert_eq!(n.name("evilu5fgb.com").len(), "evilu5fgb.com".len());
        assert!(!n.name("evilu5fgb.com").contains("u5fgb"));
    }

    #[test]
    fn what_is_a_name() {
        for name in ["a.u5fgb.com", "recorder.local", "x1.example"] {
            assert!(is_name(name), "{name}");
        }
        for word in ["e.g", "1.2", "192.168.1.1", "TLSv1.3", "0.86", "word", "CF-1", "S1.2"] {
            assert!(!is_name(word), "{word}");
        }
    }
}
