//! Keys as people write them: `j`, `G`, `ctrl-u`, `shift-left`, `space`, and one after the other: `g g`.

use std::fmt;
use std::str::FromStr;

/// A key without what is held with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

/// The names of keys that are no character, and of the blank.
const NAMES: &[(Code, &str, &str)] = &[
    (Code::Char(' '), "space", "Space"),
    (Code::Enter, "enter", "Enter"),
    (Code::Esc, "esc", "Esc"),
    (Code::Tab, "tab", "Tab"),
    (Code::BackTab, "shift-tab", "Shift-Tab"),
    (Code::Backspace, "backspace", "Backspace"),
    (Code::Delete, "delete", "Delete"),
    (Code::Left, "left", "Left"),
    (Code::Right, "right", "Right"),
    (Code::Up, "up", "Up"),
    (Code::Down, "down", "Down"),
    (Code::Home, "home", "Home"),
    (Code::End, "end", "End"),
    (Code::PageUp, "pageup", "PgUp"),
    (Code::PageDown, "pagedown", "PgDn"),
];

/// A key, and what is held with it. Shift is told apart only where it makes no other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The key.
    pub code: Code,
    /// With Ctrl.
    pub ctrl: bool,
    /// With Shift.
    pub shift: bool,
}

impl Key {
    /// A key alone.
    pub const fn of(code: Code) -> Key {
        Key { code, ctrl: false, shift: false }
    }

    /// The character typed, where it is text.
    pub const fn text(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl => Some(c),
            _ => None,
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let whole = |rest: &str| NAMES.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(rest)).map(|(c, ..)| *c);
        let (mut rest, mut ctrl, mut shift) = (text, false, false);
        let code = loop {
            if let Some(code) = whole(rest) {
                break code;
            }
            let mut chars = rest.chars();
            if let (Some(only), None) = (chars.next(), chars.next()) {
                break Code::Char(only);
            }
            rest = match rest.split_once('-') {
                Some((held, rest)) if held.eq_ignore_ascii_case("ctrl") => {
                    ctrl = true;
                    rest
                }
                Some((held, rest)) if held.eq_ignore_ascii_case("shift") => {
                    shift = true;
                    rest
                }
                _ => return Err(format!("'{text}' is no key: write j, G, ctrl-u, shift-left, space, enter, pageup …")),
            };
        };
        Ok(Key { code, ctrl, shift })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.shift {
            f.write_str("Shift-")?;
        }
        match (NAMES.iter().find(|(code, ..)| *code == self.code), self.code) {
            (Some((_, _, name)), _) => f.write_str(name),
            (None, Code::Char(c)) => write!(f, "{c}"),
            (None, _) => Ok(()),
        }
    }
}

/// Keys to be pressed one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keys(pub Vec<Key>);

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Keys, String> {
        let keys: Vec<Key> = text.split_whitespace().map(Key::from_str).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("a key is missing".to_owned()) } else { Ok(Keys(keys)) }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, key) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{key}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in ["j", "G", "Ctrl-u", "Shift-Left", "Space", "g g", "PgUp", "-", "Ctrl--", "Shift-Tab", "\\", "?"] {
            let keys: Keys = text.replace("PgUp", "pageup").parse().unwrap();
            assert_eq!(keys.to_string(), text);
        }
        assert_eq!("shift-tab".parse::<Key>().unwrap().code, Code::BackTab);
        assert!("".parse::<Keys>().is_err() && "alt-x".parse::<Key>().is_err() && "ctrl-".parse::<Key>().is_err());
    }
}
