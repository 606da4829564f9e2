//! Lists of texts, each list in one piece of memory: a record's answers and protocols are many and short.

use std::fmt;

use serde::ser::{Serialize, Serializer};
use smallvec::SmallVec;

/// A list of texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// One behind the other.
    all: String,
    /// Where each ends.
    ends: SmallVec<[u32; 4]>,
}

impl Texts {
    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
    }

    /// Adds at the end what `write` writes.
    pub fn push_by(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) {
        // nothing goes wrong in a text
        let _ = write(&mut self.all);
        self.push("");
    }

    /// Leaves nothing but room.
    pub fn clear(&mut self) {
        self.all.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have together.
    pub fn bytes(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        let text = |(n, end): (usize, &u32)| {
            let begin = n.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
            self.all.get(begin as usize..*end as usize).unwrap_or_default()
        };
        self.ends.iter().enumerate().map(text)
    }

    /// Bytes of memory that it holds beside its own.
    pub fn memory(&self) -> usize {
        let ends = if self.ends.spilled() { self.ends.capacity().saturating_mul(4) } else { 0 };
        self.all.capacity().saturating_add(ends)
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Texts::default();
        texts.into_iter().for_each(|text| list.push(text.as_ref()));
        list
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
crate::short::schema_of!(Texts is Vec<String>);

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn texts_are_told_as_they_were_added() {
        let words = ["a", "", "bc", "é", "", "d"];
        let mut list: Texts = words.iter().collect();
        assert_eq!(list.iter().collect::<Vec<_>>(), words);
        assert_eq!(list.iter().rev().collect::<Vec<_>>(), ["d", "", "é", "bc", "", "a"]);
        assert_eq!((list.len(), list.is_empty(), format!("{list:?}")), (6, false, format!("{words:?}")));
        list.clear();
        list.push_by(|text| text.write_str("7"));
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["7"]"#);
        assert_eq!((list, Texts::default().len()), (["7"].iter().collect(), 0));
    }
}
