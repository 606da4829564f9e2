//! What may follow what was typed.

use super::command::Command;
use super::prompt::Prompt;
use crate::event::{Class, Kind};
use crate::filter::{Filter, Measure, State};
use crate::time::SECOND;

/// The words that the word before the cursor may become: keys of the filter language, and values of keys that have few.
pub fn candidates(word: &str) -> Vec<String> {
    if word.is_empty() {
        return Vec::new();
    }
    let key = |key: &str| {
        let compared = key == "sev" || key == "dur" || Measure::ALL.iter().any(|m| m.text() == key);
        if compared { format!("{key}>") } else { format!("{key}:") }
    };
    if let Some((key, said)) = word.split_once(':') {
        // of several values the last is being typed
        let begun = said.rsplit(',').next().unwrap_or_default();
        let kept = word.strip_suffix(begun).unwrap_or_default();
        let names = values(key).into_iter().filter(|name| name.starts_with(begun));
        return names.map(|name| format!("{kept}{name}")).collect();
    }
    Filter::keys().filter(|k| k.starts_with(word)).map(key).collect()
}

/// The values of a key that has few.
fn values(key: &str) -> Vec<&'static str> {
    match key {
        "class" | "method" => Class::ALL.iter().map(|class| class.name()).collect(),
        "state" => State::ALL.iter().map(|state| state.text()).collect(),
        "role" => vec!["recorder", "client"],
        "finding" => Kind::ALL.iter().map(|kind| kind.text()).collect(),
        _ => Vec::new(),
    }
}

/// The text of a line without the word before the cursor, where that may still become a key.
pub fn settled(prompt: &Prompt) -> String {
    let word = prompt.word();
    let whole = word.contains(':') && Filter::parse(word).is_ok();
    let begun = !word.is_empty() && !whole && !candidates(word).is_empty();
    let before = prompt.before();
    let kept = if begun { before.get(..before.len().saturating_sub(word.len())).unwrap_or_default() } else { before };
    format!("{kept}{}", prompt.after())
}

/// What of a line that is no filter is to be filtered by, where `filter` took the beginning of its last word for a text
/// that flows hold, and the word turns out to be a test that is wrong: the words before it.
pub fn without_half_word<'t>(text: &'t str, filter: &str) -> Option<&'t str> {
    let last = |line| Prompt::new(line).word().to_owned();
    let word = last(text);
    let key = word.split([':', '<', '>', '=']).next().filter(|key| !key.is_empty() && key.len() < word.len())?;
    if last(filter) != key {
        return None;
    }
    let mut before = text.match_indices(' ').map(|(at, _)| at).rev().chain([0]).filter_map(|end| text.get(..end));
    before.find(|text| Filter::parse(text).is_ok())
}

/// Completes the word before the cursor as far as all candidates agree.
pub fn filter(prompt: &mut Prompt) {
    let found = candidates(prompt.word());
    let Some(first) = found.first() else { return };
    let agreed = |end: &usize| found.iter().all(|c| c.is_char_boundary(*end) && c.get(..*end) == first.get(..*end));
    let end = (0..=first.len()).rev().find(agreed).unwrap_or(0);
    if let Some(word) = first.get(..end).filter(|word| word.len() > prompt.word().len()) {
        prompt.complete(word);
    }
}

/// The commands that a text may mean: those whose name or title holds all of its words, the closest first.
pub fn commands(text: &str, holds: impl Fn(Command) -> bool) -> Vec<Command> {
    let text = text.trim().to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found: Vec<(usize, Command)> = Vec::new();
    for command in Command::ALL.iter().copied().filter(|command| holds(*command)) {
        let (id, title) = (command.id(), command.title().to_lowercase());
        if words.iter().all(|word| id.contains(word) || title.contains(word)) {
            let rank = if id == text {
                0
            } else if id.starts_with(&text) {
                1
            } else if id.contains(&text) {
                2
            } else {
                3
            };
            found.push((rank, command));
        }
    }
    found.sort();
    found.into_iter().map(|(_, command)| command).collect()
}

/// Nanoseconds from `HH:MM:SS`, `MM:SS` or seconds.
pub fn moment(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    let mut seconds = 0.0;
    for part in &parts {
        let value: f64 = part.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0)?;
        seconds = seconds * 60.0 + value;
    }
    Some((seconds * SECOND as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_classes_are_completed() {
        assert_eq!(candidates("reg"), ["region:"]);
        assert_eq!(candidates("ret"), ["retrans>"]);
        assert_eq!(candidates("class:lsf"), ["class:lsf", "class:lsf-control"]);
        assert_eq!(candidates("class:relay,lsf"), ["class:relay,lsf", "class:relay,lsf-control"]);
        assert_eq!(candidates("state:unan"), ["state:unanswered"]);
        assert_eq!(candidates("finding:tcp"), ["finding:tcp-blocked"]);
        assert!(candidates("state:no").is_empty() && candidates("sni:u").is_empty());
        let mut prompt = Prompt::new("relay cla");
        filter(&mut prompt);
        assert_eq!(prompt.text(), "relay class:");
        let mut prompt = Prompt::new("s");
        filter(&mut prompt);
        assert_eq!(prompt.text(), "s");
    }

    #[test]
    fn what_may_become_a_key_is_not_looked_for_yet() {
        for (typed, settled_on) in
            [("relay cla", "relay "), ("class:re", ""), ("class:relay", "class:relay"), ("bucket", "bucket")]
        {
            assert_eq!(settled(&Prompt::new(typed)), settled_on, "{typed}");
        }
    }

    #[test]
    fn a_half_word_of_a_wrong_test_is_not_filtered_by() {
        for (typed, filter, kept) in [
            ("mthod:x", "mthod", Some("")),
            ("relay mthod:", "relay mthod", Some("relay")),
            ("relay or (mthod:x", "relay mthod", Some("relay")),
            ("class:relayx", "class:relay", None),
            ("relay rat>", "relay ", None),
            ("relay or", "relay", None),
        ] {
            assert_eq!(without_half_word(typed, filter), kept, "{typed}");
        }
    }

    #[test]
    fn commands_and_moments() {
        assert_eq!(commands("flows", |_| true).first(), Some(&Command::Flows));
        assert_eq!(commands("write report", |_| true), [Command::Report]);
        assert!(commands("xyzzy", |_| true).is_empty());
        assert_eq!(commands("", |_| true).len(), Command::ALL.len());
        assert_eq!(moment("00:12:30"), Some(750 * SECOND));
        assert_eq!(moment("1:30"), Some(90 * SECOND));
        assert_eq!(moment("2.5"), Some(5 * SECOND / 2));
        assert_eq!([moment("a"), moment("1:2:3:4"), moment("-1"), moment("")], [None; 4]);
    }
}
