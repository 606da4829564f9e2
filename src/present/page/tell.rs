//! How text that may come from the wire gets into a page: nothing in it acts, it is no longer than there is room for,
//! and credentials are masked.

use crate::text::mask::credentials;
use crate::text::safe::safe;

/// The longest text of a page, in characters.
const LONGEST: usize = 400;

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// The template escapes.
    Html,
    /// Texts are escaped here.
    Markdown,
}

impl Markup {
    /// A text as it may stand in the page.
    pub(super) fn tell(self, text: &str) -> String {
        let masked = credentials(text);
        let short = shortened(&masked, LONGEST);
        let shown = safe(&short).to_string();
        match self {
            Markup::Html => shown,
            Markup::Markdown => escaped(&shown),
        }
    }

    /// Many of them.
    pub(super) fn all<T: AsRef<str>>(self, texts: &[T]) -> Vec<String> {
        texts.iter().map(|text| self.tell(text.as_ref())).collect()
    }
}

/// The text, its middle left out where it is too long.
fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let side = most.saturating_sub(1) / 2;
    let head: String = text.chars().take(side).collect();
    let tail: String = text.chars().skip(length.saturating_sub(side)).collect();
    format!("{head}…{tail}")
}

/// Every character that Markdown, or a table or a link finder of its kinds, gives a meaning to is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '!' | '@' | '$' | '^' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    // a link finder would make a link of it
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_does_nothing() {
        let text = "<script>alert(1)</script> | [x](javascript:1) `a` http://evil www.evil a@b \u{202e}\u{1b}[2J";
        let told = Markup::Markdown.tell(text);
        for bad in ["<script", "[x](", "http://", "www.evil", "\u{202e}", "\u{1b}", " | "] {
            assert!(!told.contains(bad), "{bad} in {told}");
        }
        assert!(Markup::Html.tell(&"x".repeat(60_000)).chars().count() <= LONGEST);
    }

    proptest! {
        #[test]
        fn nothing_acts_whatever_comes(text: String) {
            for markup in [Markup::Html, Markup::Markdown] {
                let told = markup.tell(&text);
                prop_assert!(!told.chars().any(crate::text::safe::is_unsafe));
                if markup == Markup::Markdown {
                    prop_assert!(!told.contains('<') && !told.contains("\n"));
                }
            }
        }
    }
}
