//! Text from the wire, made safe to show.
//!
//! A name may hold an escape sequence that moves the cursor, a mark that turns the reading direction, or a
//! character that has no width. Each is shown as `\u{…}` instead.

use std::fmt::{self, Write};

/// Shows `text` with every character that could act on a terminal, or hide, escaped as `\u{…}`.
pub fn safe(text: &str) -> Safe<'_> {
    Safe { text, ascii: false }
}

/// Like [`safe`], for names of hosts, which are ASCII by right: any other character is escaped too, so that a
/// look-alike letter shows and one character takes one column.
pub fn safe_name(text: &str) -> Safe<'_> {
    Safe { text, ascii: true }
}

/// See [`safe`] and [`safe_name`].
pub struct Safe<'a> {
    text: &'a str,
    ascii: bool,
}

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            if is_unsafe(c) || (self.ascii && !c.is_ascii()) {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether a character acts on the terminal or cannot be seen: controls (C0, DEL, C1), line and paragraph
/// separators, marks of direction and joining, fillers, variation selectors, tags, interlinear marks.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_shown() {
        assert_eq!(safe("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(safe("x\u{202e}moc\u{9b}31m\u{7f}\r\n").to_string(), "x\\u{202e}moc\\u{9b}31m\\u{7f}\\u{d}\\u{a}");
        assert_eq!(safe("Büro.pcap").to_string(), "Büro.pcap");
        assert_eq!(safe_name("u5fgb.c\u{43e}m").to_string(), "u5fgb.c\\u{43e}m");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_comes_through(text: String) {
            prop_assert!(!safe(&text).to_string().chars().any(is_unsafe));
            prop_assert!(safe_name(&text).to_string().bytes().all(|b| (0x20..0x7f).contains(&b)));
        }
    }
}
