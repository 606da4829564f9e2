//! Many texts at once: a word is looked for in all of them as in one.

use memchr::memmem::Finder;

use super::text::Pattern;

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub struct Texts {
    all: String,
    /// The same with small letters, where they are ASCII.
    lower: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.lower.extend(text.chars().map(|c| c.to_ascii_lowercase()));
        self.ends.push(self.all.len());
    }

    /// Whether `holds` for each of them.
    pub fn each(&self, holds: impl Fn(&str) -> bool) -> Vec<bool> {
        let from = std::iter::once(0).chain(self.ends.iter().copied());
        from.zip(&self.ends).map(|(from, to)| self.all.get(from..*to).is_some_and(&holds)).collect()
    }

    /// Whether a pattern occurs in each of them, as [`Pattern::found_in`] would tell one by one.
    pub fn holding(&self, pattern: &Pattern) -> Vec<bool> {
        match pattern.word().filter(|word| !word.is_empty()) {
            Some(word) => self.holding_word(&word.to_ascii_lowercase()),
            None => self.each(|text| pattern.found_in(text)),
        }
    }

    /// The text that a place lies in, which is none before `from`: mostly one of the next, else it is sought by halves.
    fn text_at(&self, place: usize, from: usize) -> usize {
        let left = self.ends.get(from..).unwrap_or_default();
        let near = left.iter().take(8).position(|end| *end > place);
        from + near.unwrap_or_else(|| left.partition_point(|end| *end <= place))
    }

    fn holding_word(&self, word: &str) -> Vec<bool> {
        let finder = Finder::new(word);
        let mut found = vec![false; self.ends.len()];
        let (mut from, mut text) = (0, 0);
        while let Some(at) = self.lower.as_bytes().get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + at;
            text = self.text_at(at, text);
            let Some(end) = self.ends.get(text).copied() else { break };
            // what reaches into the next text is in neither
            let within = at + word.len() <= end;
            if let Some(found) = found.get_mut(text).filter(|_| within) {
                *found = true;
            }
            from = if within { end } else { at + 1 };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_is_found_as_in_each_text_by_itself(
            texts in prop::collection::vec("[aAbB.é]{0,6}", 0..12),
            word in "[aAb.é]{0,3}",
            glob in "[ab*?]{1,4}",
        ) {
            let mut all = Texts::default();
            texts.iter().for_each(|text| all.push(text));
            for pattern in [Pattern::Literal(word.clone()), Pattern::Glob(word), Pattern::Glob(glob)] {
                let each: Vec<bool> = texts.iter().map(|text| pattern.found_in(text)).collect();
                prop_assert_eq!(all.holding(&pattern), each, "{:?} in {:?}", pattern, texts);
            }
        }
    }
}
