//! Text comparison without allocation: substrings, globs and regular expressions, ASCII case ignored.

use std::fmt::{self, Write};
use std::net::IpAddr;

/// What a text is compared with.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// As typed without quotes: `*` stands for any run of characters, `?` for one.
    Glob(String),
    /// As typed within quotes: no character is special.
    Literal(String),
    /// `re:/…/`, found anywhere in the text.
    Regex(Regex),
}

/// A compiled regular expression that remembers its source.
#[derive(Clone, Debug)]
pub struct Regex {
    source: String,
    compiled: regex::bytes::Regex,
}

/// The most memory, in bytes, that one compiled expression may take.
const REGEX_MAX: usize = 1 << 20;

impl Regex {
    /// Compiles `source`; the error is the compiler's last line, which says what is wrong.
    pub fn new(source: &str) -> Result<Self, String> {
        let compiled = regex::bytes::RegexBuilder::new(source)
            .unicode(false)
            .case_insensitive(true)
            .size_limit(REGEX_MAX)
            .nest_limit(50)
            .build()
            .map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())?;
        Ok(Regex { source: source.to_owned(), compiled })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Pattern::Glob(a), Pattern::Glob(b)) | (Pattern::Literal(a), Pattern::Literal(b)) => a == b,
            (Pattern::Regex(a), Pattern::Regex(b)) => a.source == b.source,
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Glob(text) => f.write_str(text),
            Pattern::Literal(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Pattern::Regex(regex) => write!(f, "re:/{}/", regex.source.replace('/', "\\/")),
        }
    }
}

impl Pattern {
    /// Whether the pattern occurs anywhere in `text`.
    pub fn found_in(&self, text: &str) -> bool {
        match self {
            Pattern::Regex(regex) => regex.compiled.is_match(text.as_bytes()),
            Pattern::Glob(pattern) if has_wildcard(pattern) => glob(pattern.as_bytes(), text.as_bytes(), true),
            Pattern::Glob(word) | Pattern::Literal(word) => contains(text, word),
        }
    }

    /// The word that it looks for, where it is no more than a word.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Pattern::Glob(word) if has_wildcard(word) => None,
            Pattern::Glob(word) | Pattern::Literal(word) => Some(word),
            Pattern::Regex(_) => None,
        }
    }

    /// Whether the pattern occurs anywhere in an address as it is written.
    pub(super) fn found_in_address(&self, address: IpAddr) -> bool {
        AddressText::of(address).with(|text| self.found_in(text))
    }

    /// Whether the pattern is all of `text`.
    pub fn is(&self, text: &str) -> bool {
        match self {
            // most have no wildcard, and most names are longer or shorter
            Pattern::Glob(word) if !has_wildcard(word) => word.eq_ignore_ascii_case(text),
            Pattern::Glob(pattern) => glob(pattern.as_bytes(), text.as_bytes(), false),
            Pattern::Literal(word) => word.eq_ignore_ascii_case(text),
            Pattern::Regex(regex) => regex.compiled.is_match(text.as_bytes()),
        }
    }

    /// Whether the pattern is the host name `name`, or, where it holds no wildcard, a domain that `name` lies under.
    pub fn names(&self, name: &str) -> bool {
        let (Pattern::Glob(domain) | Pattern::Literal(domain)) = self else { return self.is(name) };
        self.is(name) || is_under(name, domain)
    }
}

/// Whether `name` lies under `domain`, at a dot.
fn is_under(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.as_bytes(), domain.as_bytes());
    let Some(at) = name.len().checked_sub(domain.len()) else { return false };
    !domain.is_empty() && at > 0 && name[at - 1] == b'.' && name[at..].eq_ignore_ascii_case(domain)
}

fn has_wildcard(pattern: &str) -> bool {
    pattern.bytes().any(|c| matches!(c, b'*' | b'?'))
}

/// Whether `text` contains `word`, ASCII case ignored.
fn contains(text: &str, word: &str) -> bool {
    word.is_empty() || text.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

/// Matches `pattern` with `text`: all of it, or (`anywhere`) some part. Backtracks to the last star only, so the
/// time is at most the product of the lengths.
fn glob(pattern: &[u8], text: &[u8], anywhere: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one more character swallowed.
    let mut retry = anywhere.then_some((0, 0));
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            Some(c) if text.get(t).is_some_and(|x| *c == b'?' || c.eq_ignore_ascii_case(x)) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            None if anywhere || t == text.len() => return true,
            _ => {}
        }
        let Some((back, swallowed)) = retry else { return false };
        if swallowed >= text.len() {
            return false;
        }
        retry = Some((back, swallowed + 1));
        (p, t) = (back, swallowed + 1);
    }
}

/// The text of an address, without allocation.
struct AddressText {
    buf: [u8; 48],
    len: usize,
}

impl AddressText {
    fn of(address: IpAddr) -> Self {
        let mut text = AddressText { buf: [0; 48], len: 0 };
        // The longest address has 45 characters.
        let _ = write!(text, "{address}");
        text
    }

    fn with<T: Default>(&self, f: impl FnOnce(&str) -> T) -> T {
        self.buf.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).map(f).unwrap_or_default()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.len + s.len();
        self.buf.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        let glob = |p: &str, t| Pattern::Glob(p.into()).is(t);
        assert!(glob("*.u5fgb.com", "a.us-west.U5FGB.com"));
        assert!(!glob("*.u5fgb.com", "u5fgb.com") && !glob("*.u5fgb.com", "a.u5fgb.com.evil.net"));
        assert!(glob("*", "") && glob("a*b*c", "aXbYbZc") && !glob("a*b*c", "aXbYbZ") && glob("a?c", "abc"));
        assert!(Pattern::Glob("w*t".into()).found_in("us-west-2"));
        assert!(!Pattern::Glob("w*x".into()).found_in("us-west-2"));
        assert!(!Pattern::Literal("a*".into()).is("ab"));
    }

    #[test]
    fn a_name_stands_for_all_under_it() {
        let names = |p: &str, t| Pattern::Glob(p.into()).names(t);
        assert!(names("u5fgb.com", "u5fgb.com") && names("U5fgb.com", "a.b.u5fgb.com"));
        assert!(!names("u5fgb.com", "evilu5fgb.com") && !names("u5fgb.com", "com") && !names("", "x."));
    }

    proptest! {
        #[test]
        fn globs_agree_with_regular_expressions(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let source = pattern.replace('*', ".*").replace('?', ".");
            let whole = regex::Regex::new(&format!("^{source}$")).unwrap();
            let part = regex::Regex::new(&source).unwrap();
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes(), false), whole.is_match(&text));
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes(), true), part.is_match(&text));
        }
    }
}
