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
        let mut hash = self.secret ^ text.len() as u64;
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(w, &b)| *w = b);
            hash = fold(hash ^ u64::from_le_bytes(word), 0x9e37_79b9_7f4a_7c15);
        }
        hash
    }

    /// The number of `text`, of which at most [`MAX_LEN`] bytes are kept.
    pub fn intern(&mut self, text: &str) -> u32 {
        let text = text.get(..text.floor_char_boundary(MAX_LEN)).unwrap_or(text);
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
