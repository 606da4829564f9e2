//! Texts that are replaced wherever they stand in a sentence, such as owners of certificates: found without a look at
//! each.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes that all texts and what stands for them may take. A capture with more of them than that has been made to have
/// them, and is refused: none may be left as it is.
const MOST: usize = 64 << 20;
/// A text shorter than this is no text that one could be known by.
const LEAST: usize = 2;
/// A text shorter than this may be a part of any word, and is replaced only where it is a word by itself.
const ANYWHERE: usize = 4;

/// There is no room for another text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the capture has more names than --redact can replace ({} MB of them): give a smaller part of it", MOST >> 20)]
pub struct Full;

/// Texts, and what stands for each.
#[derive(Debug, Default)]
pub struct Literals {
    texts: BTreeMap<String, String>,
    bytes: usize,
}

impl Literals {
    /// Has a text replaced by another from now on; what was said of it first counts.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn add(&mut self, text: &str, by: &str) -> Result<(), Full> {
        if text.len() < LEAST || self.texts.contains_key(text) {
            return Ok(());
        }
        let bytes = self.bytes.saturating_add(text.len()).saturating_add(by.len());
        if bytes > MOST {
            return Err(Full);
        }
        self.bytes = bytes;
        self.texts.insert(text.to_owned(), by.to_owned());
        Ok(())
    }

    /// A sentence with all of them replaced. Where two share a part of it, one word stands for both: that of the
    /// longer.
    pub fn replaced(&self, text: &str) -> String {
        let mut told = String::with_capacity(text.len());
        // where what is being replaced ends, how long the longest text in it is, and what stands for that
        let mut open: Option<(usize, usize, &str)> = None;
        for (at, c) in text.char_indices() {
            if let Some((_, _, by)) = open.take_if(|(end, ..)| *end <= at) {
                told.push_str(by);
            }
            if let Some((length, by)) = self.longest(text, at) {
                let (end, most, longest) = open.unwrap_or((0, 0, by));
                let end = end.max(at.saturating_add(length));
                open = Some(if length > most { (end, length, by) } else { (end, most, longest) });
            }
            if open.is_none() {
                told.push(c);
            }
        }
        told.push_str(open.map(|(_, _, by)| by).unwrap_or_default());
        told
    }

    /// The longest text that stands in a sentence from there on, as its length and what stands for it.
    fn longest<'a>(&'a self, sentence: &str, at: usize) -> Option<(usize, &'a str)> {
        let rest = sentence.get(at..)?;
        let mut within = rest;
        loop {
            // a text that `rest` begins with comes before it, and behind all others that do but for those that begin
            // with it
            let before = (Bound::Unbounded, Bound::Included(within));
            let (text, by) = self.texts.range::<str, _>(before).next_back()?;
            let mut shared = rest.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            if shared == text.len() {
                if text.len() >= ANYWHERE || is_word(sentence, at, text.len()) {
                    return Some((text.len(), by));
                }
                shared = shared.saturating_sub(1);
            }
            // what they share may end within a character
            within = (1..=shared).rev().find_map(|length| rest.get(..length))?;
        }
    }
}

/// Whether so many bytes of a sentence from there on are a word by themselves, and no part of a name or a number.
fn is_word(sentence: &str, at: usize, length: usize) -> bool {
    let behind = sentence.get(at.saturating_add(length)..).unwrap_or_default().chars();
    let before = sentence.get(..at).unwrap_or_default().chars().rev();
    !goes_on(behind) && !goes_on(before)
}

/// Whether a word goes on with these characters: a letter or a digit, or one behind what stands within names.
fn goes_on(mut characters: impl Iterator<Item = char>) -> bool {
    let joins = |c: char| matches!(c, '.' | ':' | '-' | '_');
    match characters.next() {
        Some(c) if joins(c) => characters.next().is_some_and(char::is_alphanumeric),
        next => next.is_some_and(char::is_alphanumeric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literals(texts: &[(&str, &str)]) -> Literals {
        let mut all = Literals::default();
        texts.iter().for_each(|(text, by)| all.add(text, by).unwrap());
        all
    }

    #[test]
    fn the_longest_is_replaced_and_what_it_shares_with_another_too() {
        let all = literals(&[("ACME", "1"), ("ACME Stores", "2"), ("ACME Stores Root", "3"), ("Root CA 9", "4")]);
        assert_eq!(all.replaced("ACME, ACME Store, ACME Stores; ACME Stores Root"), "1, 1 Store, 2; 3");
        // the end of the one is the beginning of the other
        assert_eq!(all.replaced("by ACME Stores Root CA 9!"), "by 3!");
        assert_eq!(all.replaced("ACMEACME Stores"), "12");
        assert_eq!(all.replaced("AC"), "AC");
        assert_eq!(Literals::default().replaced("ACME"), "ACME");
    }

    #[test]
    fn a_short_one_is_a_word_by_itself() {
        let all = literals(&[("HP", "1"), ("ACM", "2"), ("é", "3"), ("H", "4")]);
        let told = all.replaced("O=HP, by HP. HP: HPE, hp-HP-7, ACM's ACM.example é éa H");
        assert_eq!(told, "O=1, by 1. 1: HPE, hp-HP-7, 2's ACM.example 3 éa H");
    }

    #[test]
    fn none_of_many_is_left_and_too_many_are_refused() {
        let mut all = Literals::default();
        for n in 0..20_000 {
            all.add(&format!("O=Company {n:05}"), "x").unwrap();
        }
        for n in [0, 4_095, 4_096, 19_999] {
            assert_eq!(all.replaced(&format!("issued by `O=Company {n:05}`")), "issued by `x`");
        }
        let long = "x".repeat(1 << 20);
        let full = (0..100).find_map(|n| all.add(&format!("{n}{long}"), "").err());
        assert_eq!(full, Some(Full));
    }

    proptest! {
        /// As if each were looked for at each place.
        #[test]
        fn what_is_found_is_what_is_there(text in "[abé ]{0,40}", texts in prop::collection::vec("[abé ]{4,7}", 0..6)) {
            let mut all = Literals::default();
            texts.iter().for_each(|text| all.add(text, "_").unwrap());
            let mut hidden = vec![false; text.len()];
            for (at, _) in text.char_indices() {
                for literal in texts.iter().filter(|literal| text[at..].starts_with(literal.as_str())) {
                    hidden[at..at + literal.len()].fill(true);
                }
            }
            let kept: String = text.char_indices().filter(|(at, _)| !hidden[*at]).map(|(_, c)| c).collect();
            prop_assert_eq!(all.replaced(&text).replace('_', ""), kept);
        }
    }
}
