//! Names as numbers, kept one after the other.
//!
//! Most names come once or come often. A name that was kept lately is found again and not kept twice; one that
//! comes back late is kept anew, under another number. So no index over all names is needed, and keeping one
//! touches no memory but the end of the text.

use crate::flow::key::fold;
use crate::flow::slab::{Marks, Renumbered, Slab};

/// How much text a block holds, in bytes.
const BLOCK: usize = 64 << 10;
/// How much the first one holds until it is full: most shards have less.
const LITTLE: usize = 4 << 10;
/// The most blocks one shard keeps: 16 MB. Past them a text becomes [`OMITTED`].
const MAX_BLOCKS: usize = 256;
/// The longest text that is kept whole.
pub const MAX_LEN: usize = 1024;
/// How many names are remembered to be found again.
const RECENT: usize = 128;

/// The number of no text: what would not fit any more.
pub const OMITTED: u32 = 0;

/// Texts, each known by its number.
#[derive(Clone, Debug)]
pub struct Strings {
    /// All text, in blocks: none has to be moved to make room for more.
    blocks: Vec<String>,
    /// Where each text ends, from the beginning of the first block.
    ends: Slab<u32>,
    /// The texts kept last, by their hash.
    recent: Vec<Recent>,
    secret: u64,
    omitted: u64,
}

/// A text that was kept lately.
///
/// Where it has its place is the same in every run, since what is kept twice must be. Whether it is the same text is
/// told by a hash that the traffic cannot foresee: reading the text again would mean a wait for memory.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    tag: u32,
    number: u32,
    check: u64,
}

/// A hash of a text.
fn hash(text: &str, seed: u64) -> u64 {
    // eight bytes at a time, the last ones perhaps twice: the length keeps texts apart that so look alike
    let bytes = text.as_bytes();
    let word = |b: &[u8; 8]| u64::from_le_bytes(*b);
    let mut hash = fold(bytes.len() as u64 ^ seed ^ 0xe703_7ed1_a0b4_28db, seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        hash = fold(hash ^ word(head), seed ^ 0xd6e8_feb8_6659_fd93);
        rest = tail;
    }
    let last = bytes.last_chunk::<8>().map_or_else(|| rest.iter().fold(0, |w, b| w << 8 | u64::from(*b)), word);
    fold(hash ^ last, seed ^ 0xa076_1d64_78bd_642f)
}

impl Strings {
    /// No text. `secret` is what the traffic cannot foresee.
    pub fn new(secret: u64) -> Self {
        let mut ends = Slab::default();
        ends.insert(0);
        Strings { blocks: Vec::new(), ends, recent: Vec::new(), secret, omitted: 0 }
    }

    /// A number of `text`, of which at most [`MAX_LEN`] bytes are kept.
    pub fn keep(&mut self, text: &str) -> u32 {
        let text = if text.len() > MAX_LEN { shorten(text) } else { text };
        let (place, check) = (hash(text, 0), hash(text, self.secret));
        if self.recent.is_empty() {
            self.recent = vec![Recent::default(); RECENT];
        }
        let (at, tag) = (place as usize % RECENT, (place >> 32) as u32);
        let known = self.recent.get(at).filter(|recent| (recent.tag, recent.check) == (tag, check));
        if let Some(Recent { number, .. }) = known.filter(|recent| recent.number != OMITTED) {
            return *number;
        }
        let Some(end) = self.add(text) else {
            self.omitted = self.omitted.saturating_add(1);
            return OMITTED;
        };
        let number = self.ends.insert(end);
        if let Some(slot) = self.recent.get_mut(at) {
            *slot = Recent { tag, number, check };
        }
        number
    }

    /// How many texts there was no room for.
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Adds a text behind all others, whole in one block, and says where it ends; `None` if there is no room.
    fn add(&mut self, text: &str) -> Option<u32> {
        let fits = |block: &String| block.len().saturating_add(text.len()) <= BLOCK;
        if !self.blocks.last().is_some_and(fits) {
            if self.blocks.len() >= MAX_BLOCKS {
                return None;
            }
            self.blocks.push(String::with_capacity(if self.blocks.is_empty() { LITTLE } else { BLOCK }));
        }
        let before = self.blocks.len().saturating_sub(1).saturating_mul(BLOCK);
        let block = self.blocks.last_mut()?;
        if block.capacity().saturating_sub(block.len()) < text.len() {
            block.reserve_exact(BLOCK.saturating_sub(block.len()));
        }
        block.push_str(text);
        u32::try_from(before.saturating_add(block.len())).ok()
    }

    /// A number of what `bytes` spell; those that are not UTF-8 count as U+FFFD.
    pub fn keep_bytes(&mut self, bytes: &[u8]) -> u32 {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.keep(text),
            Err(_) => self.keep(&String::from_utf8_lossy(bytes)),
        }
    }

    /// The text of that number.
    pub fn get(&self, number: u32) -> &str {
        let before = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let (Some(&start), Some(&end)) = (before, self.ends.get(number)) else { return "" };
        // what found no room behind the one before begins the next block
        let block = (end as usize).saturating_sub(1) / BLOCK;
        let from = block.wrapping_mul(BLOCK);
        let (start, end) = ((start as usize).saturating_sub(from), (end as usize).saturating_sub(from));
        self.blocks.get(block).and_then(|text| text.get(start..end)).unwrap_or("")
    }

    /// Every text, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX)).map(|number| self.get(number))
    }

    /// No mark on any text.
    pub fn marks(&self) -> Marks {
        Marks::new(self.ends.len())
    }

    /// Keeps the texts that are marked, and says which numbers they have now.
    pub fn compact(&mut self, kept: &Marks) -> Renumbered {
        let before = std::mem::replace(self, Strings::new(self.secret));
        self.omitted = before.omitted;
        let all = (0..).zip(before.iter());
        Renumbered::new(
            all.map(|(n, text)| if n != OMITTED && kept.has(n) { self.keep(text) } else { OMITTED }).collect(),
        )
    }

    /// Whether half of all room is taken.
    pub fn is_crowded(&self) -> bool {
        self.blocks.len() > MAX_BLOCKS / 2
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let text = self.blocks.iter().map(String::capacity).sum::<usize>();
        let recent = self.recent.capacity().saturating_mul(size_of::<Recent>());
        [text, recent, self.ends.memory()].iter().sum()
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
    fn a_text_that_comes_again_soon_has_one_number() {
        let mut strings = Strings::new(7);
        let (a, b, c) = (strings.keep("a.example"), strings.keep("b.example"), strings.keep_bytes(b"a.example"));
        assert_eq!((a, c), (1, 1));
        assert_ne!(a, b);
        let texts = (strings.get(a), strings.get(b), strings.get(OMITTED), strings.get(99));
        assert_eq!(texts, ("a.example", "b.example", "", ""));
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["", "a.example", "b.example"]);
    }

    #[test]
    fn every_text_is_found_under_its_number() {
        let mut strings = Strings::new(7);
        let names: Vec<String> = (0..5000).map(|n| format!("{}.example", n % 1700)).collect();
        let numbers: Vec<u32> = names.iter().map(|n| strings.keep(n)).collect();
        assert!(names.iter().zip(&numbers).all(|(name, number)| strings.get(*number) == name));
    }

    #[test]
    fn text_is_bounded() {
        let mut strings = Strings::new(7);
        let long = "é".repeat(2000);
        let number = strings.keep(&long);
        assert_eq!(strings.get(number).len(), MAX_LEN);
        for n in 0..40_000u32 {
            strings.keep(&format!("{n:0>1000}"));
        }
        assert!(strings.blocks.iter().all(|block| block.len() <= BLOCK) && strings.blocks.len() == MAX_BLOCKS);
        assert!(strings.omitted() > 0);
    }
}
