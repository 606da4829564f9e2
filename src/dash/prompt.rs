//! A line that is typed: a filter, a command. With a history, and completion of its last word.

use super::key::{Code, Key};

/// How many lines a history keeps.
const HISTORY: usize = 100;
/// How many characters a line has at most.
const LENGTH: usize = 2048;

/// Lines typed before, the newest last.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<String>);

impl History {
    /// Adds a line, unless it is empty or was the last.
    pub fn add(&mut self, line: &str) {
        if line.is_empty() || self.0.last().is_some_and(|last| last == line) {
            return;
        }
        self.0.retain(|known| known != line);
        if self.0.len() >= HISTORY {
            self.0.remove(0);
        }
        self.0.push(line.to_owned());
    }
}

/// A line that is being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    before: String,
    after: String,
    /// Which line of the history is shown, counted from the newest; 0 is what was typed.
    back: usize,
    typed: String,
}

impl Prompt {
    /// With a text, and the cursor behind it.
    pub fn new(text: &str) -> Prompt {
        Prompt { before: text.to_owned(), ..Prompt::default() }
    }

    /// All of it.
    pub fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// What stands behind it.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Puts in text that was pasted; several lines of it become one.
    pub fn paste(&mut self, text: &str) {
        let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let blank = |c: char| if c == '\t' { ' ' } else { c };
        line.chars().map(blank).filter(|c| !c.is_control()).for_each(|c| self.insert(c));
    }

    fn insert(&mut self, c: char) {
        if self.before.len() + self.after.len() < LENGTH {
            self.before.push(c);
        }
    }

    /// The word before the cursor.
    pub fn word(&self) -> &str {
        self.before.rsplit([' ', '(', '!']).next().unwrap_or_default()
    }

    /// Replaces the word before the cursor.
    pub fn complete(&mut self, word: &str) {
        let keep = self.before.len() - self.word().len();
        self.before.truncate(keep);
        self.before.push_str(word);
    }

    /// Takes a key; false if it is none that edits.
    pub fn key(&mut self, key: Key, history: &History) -> bool {
        match (key.code, key.ctrl) {
            (Code::Char(c), false) => self.insert(c),
            (Code::Backspace, _) | (Code::Char('h'), true) => _ = self.before.pop(),
            (Code::Delete, _) => {
                if !self.after.is_empty() {
                    self.after.remove(0);
                }
            }
            (Code::Left, _) | (Code::Char('b'), true) => {
                if let Some(c) = self.before.pop() {
                    self.after.insert(0, c);
                }
            }
            (Code::Right, _) => {
                if !self.after.is_empty() {
                    self.before.push(self.after.remove(0));
                }
            }
            (Code::Home, _) | (Code::Char('a'), true) => {
                self.after = self.text();
                self.before.clear();
            }
            (Code::End, _) | (Code::Char('e'), true) => self.before.push_str(&std::mem::take(&mut self.after)),
            (Code::Char('u'), true) => self.before.clear(),
            (Code::Char('k'), true) => self.after.clear(),
            (Code::Char('w'), true) => {
                let kept = self.before.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.before.truncate(kept);
            }
            (Code::Up, _) => self.recall(self.back + 1, history),
            (Code::Down, _) if self.back > 0 => self.recall(self.back - 1, history),
            (Code::Down, _) => {}
            _ => return false,
        }
        true
    }

    fn recall(&mut self, back: usize, history: &History) {
        if self.back == 0 {
            self.typed = self.text();
        }
        let line = match back {
            0 => Some(self.typed.clone()),
            _ => history.0.len().checked_sub(back).and_then(|at| history.0.get(at)).cloned(),
        };
        if let Some(line) = line {
            (self.before, self.after, self.back) = (line, String::new(), back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(prompt: &mut Prompt, history: &History, keys: &str) {
        for key in keys.split_whitespace() {
            assert!(prompt.key(key.parse().unwrap(), history), "{key}");
        }
    }

    #[test]
    fn a_line_is_edited() {
        let (mut prompt, history) = (Prompt::new("relay"), History::default());
        keys(
            &mut prompt,
            &history,
            "space x ctrl-a delete R end backspace rate ctrl-w".replace("rate", "r a").as_str(),
        );
        assert_eq!(prompt.text(), "Relay ");
        keys(&mut prompt, &history, "left left d delete");
        assert_eq!((prompt.before(), prompt.after()), ("Relad", " "));
        keys(&mut prompt, &history, "ctrl-u");
        prompt.paste("a\u{1b}[2J\n");
        assert_eq!(prompt.before(), "a[2J");
        keys(&mut prompt, &history, "ctrl-u");
        prompt.paste("relay\r\n  and\tsni:b\n\n");
        assert_eq!(prompt.before(), "relay and sni:b");
        assert!(!prompt.key("tab".parse().unwrap(), &history));
    }

    #[test]
    fn history_and_completion() {
        let mut history = History::default();
        ["a", "b", "b", "", "a"].iter().for_each(|line| history.add(line));
        assert_eq!(history.0, ["b", "a"]);
        let mut prompt = Prompt::new("new");
        keys(&mut prompt, &history, "up up up");
        assert_eq!(prompt.text(), "b");
        keys(&mut prompt, &history, "down down down");
        assert_eq!(prompt.text(), "new");
        let mut prompt = Prompt::new("relay (reg");
        assert_eq!(prompt.word(), "reg");
        prompt.complete("region:");
        assert_eq!(prompt.text(), "relay (region:");
    }
}
