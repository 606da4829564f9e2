//! Names as numbers: each text is kept once.

use crate::flow::index::Index;
use crate::flow::key::fold;

/// The most text one interner keeps, in bytes. Past it a text becomes [`OMITTED`].
const MAX_TEXT: usize = 16 << 20;
/// The longest text that is kept whole.
pub const MAX_LEN: usize = 1024;

/// The number of no text: what would not fit any more.
pub const OMITTED: u32 = 0;

/// Texts, each known by its number.
#[derive(Debug)]
pub struct Strings {
    text: String,
    ends: Vec<u32>,
    index: Index,
    secret: u64,
    omitted: u64,
}

impl Strings {
    /// Empty, but for [`OMITTED`]. `secret` keeps the traffic from choosing places; no result depends on it.
    pub fn new(secret: u64) -> Self {
        Strings { text: String::new(), ends: vec![0], index: Index::default(), secret, omitted: 0 }
    }

    fn hash(&self, text: &str) -> u64 {
        // eight bytes at a time, the last ones perhaps twice: the length keeps texts apart that so look alike
        let bytes = text.as_bytes();
        let word = |b: &[u8; 8]| u64::from_le_bytes(*b);
        let mut hash = fold(self.secret ^ bytes.len() as u64, 0x9e37_79b9_7f4a_7c15);
        let mut rest = bytes;
        while let Some((head, tail)) = rest.split_first_chunk::<8>() {
            hash = fold(hash ^ word(head), 0xd6e8_feb8_6659_fd93);
            rest = tail;
        }
        let last = bytes.last_chunk::<8>().map_or_else(|| rest.iter().fold(0, |w, b| w << 8 | u64::from(*b)), word);
        fold(hash ^ last, 0xa076_1d64_78bd_642f)
    }

    /// The number of `text`, of which at most [`MAX_LEN`] bytes are kept.
    pub fn intern(&mut self, text: &str) -> u32 {
        let text = if text.len() > MAX_LEN { shorten(text) } else { text };
        let hash = self.hash(text);
        if let Some(number) = self.index.find(hash, |number| self.get(number) == text) {
            return number;
        }
        if self.text.len().saturating_add(text.len()) > MAX_TEXT {
            self.omitted = self.omitted.saturating_add(1);
            return OMITTED;
        }
        let number = u32::try_from(self.ends.len()).unwrap_or(OMITTED);
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.index.insert(hash, number);
        number
    }

    /// The number of what `bytes` spell; those that are not UTF-8 count as U+FFFD.
    pub fn intern_bytes(&mut self, bytes: &[u8]) -> u32 {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.intern(text),
            Err(_) => self.intern(&String::from_utf8_lossy(bytes)),
        }
    }

    /// The text of that number.
    pub fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let Some(&end) = self.ends.get(number) else { return "" };
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start as usize..end as usize).unwrap_or("")
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.ends.len() <= 1
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let ends = self.ends.capacity().saturating_mul(4);
        self.text.capacity().saturating_add(ends).saturating_add(self.index.memory())
    }
}

/// The start of a text, at most [`MAX_LEN`] bytes of whole characters.
fn shorten(text: &str) -> &str {
    (0..=MAX_LEN).rev().find_map(|end| text.get(..end)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_number() {
        let mut strings = Strings::new(3);
        let (a, b, c) = (strings.intern("a.example"), strings.intern("b.example"), strings.intern("a.example"));
        assert_eq!((a, c), (1, 1));
        assert_ne!(a, b);
        assert_eq!(
            (strings.get(a), strings.get(b), strings.get(OMITTED), strings.get(99)),
            ("a.example", "b.example", "", "")
        );
    }

    #[test]
    fn text_is_bounded() {
        let mut strings = Strings::new(3);
        let long = "é".repeat(2000);
        let number = strings.intern(&long);
        assert_eq!(strings.get(number).len(), MAX_LEN);
        for n in 0..40_000u32 {
            strings.intern(&format!("{n:0>1000}"));
        }
        assert!(strings.text.len() <= MAX_TEXT && strings.omitted > 0);
    }
}
