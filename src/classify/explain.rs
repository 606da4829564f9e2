//! The text of `relayscope explain` for a class, a catalogue entry, a word of a flow's record, or a host name.

use std::collections::BTreeMap;

use super::catalog::{ports, wrap};
use super::catalogue::{Catalogue, HostEntry};
use super::host::tidy;
use super::rules::Rules;
use super::words::Flag;
use crate::event::Class;

/// What the words in a flow's record mean, by where they stand.
const WORDS: &str = include_str!("words.toml");
/// The place whose words are letters, and told all at once.
const LETTERS: &str = "history";

/// What is known of `topic`: a class, an entry's id, an inconsistency's id, a word of a flow's record, or a host name.
/// `None`: nothing, it is no such thing.
pub fn explain(topic: &str, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    let told = known(topic, catalogue, rules);
    // a word may be called as an entry is
    match (told, word_text(topic)) {
        (Some(told), Some(word)) => Some(format!("{told}\n{word}")),
        (told, word) => told.or(word),
    }
}

fn known(topic: &str, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    if let Some(class) = Class::parse(&topic.to_ascii_lowercase()) {
        return class_text(class, catalogue, rules);
    }
    if let Some(host) = catalogue.host(topic) {
        return Some(entry_text(host));
    }
    if let Some(i) = catalogue.inconsistencies.iter().find(|i| i.id.eq_ignore_ascii_case(topic)) {
        let mut out = Fields::of(&i.id);
        out.field("what", &i.what);
        out.field("decision", &i.decision);
        out.field("sources", &i.sources.join(", "));
        return Some(out.text());
    }
    tidy(topic).filter(|name| name.contains('.')).map(|name| name_text(name, catalogue, rules))
}

fn class_text(class: Class, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    let text = rules.text(class)?;
    let mut out = Fields::of(class.name());
    out.field("what", &text.what);
    out.list("evidence", &text.evidence);
    out.list("guards", &text.guards);
    out.field("advice", &text.advice);
    let hosts: Vec<String> = catalogue
        .hosts
        .iter()
        .filter(|h| h.listed && h.class == class)
        .map(|h| format!("{} ({})", h.pattern, ports(&h.ports)))
        .collect();
    out.list("hosts", &hosts);
    if !text.sources.is_empty() {
        out.field("sources", &text.sources.join(", "));
    }
    Some(out.text())
}

/// Texts of words by the words, by where these stand.
fn words() -> BTreeMap<String, BTreeMap<String, String>> {
    toml::from_str(WORDS).unwrap_or_default()
}

/// What a sub-class, a flag or a state of a connection means, or all letters of its history.
fn word_text(topic: &str) -> Option<String> {
    let words = words();
    let mut out = Fields::of(topic);
    let mut known = false;
    for (place, texts) in &words {
        let whole = place.eq_ignore_ascii_case(topic);
        for (word, text) in
            texts.iter().filter(|(word, _)| whole || place != LETTERS && word.eq_ignore_ascii_case(topic))
        {
            out.field(if whole { word } else { place }, text);
            known = true;
        }
    }
    known.then(|| out.text())
}

fn entry_text(host: &HostEntry) -> String {
    let mut out = Fields::of(&host.id);
    out.field("pattern", &host.pattern);
    out.field("ports", &ports(&host.ports));
    out.field("purpose", &host.purpose);
    out.field("class", host.class.name());
    if host.listed {
        out.field("ows", host.ows.text());
        out.field("contera", host.contera.text());
    }
    if let Some(note) = &host.note {
        out.field("note", note);
    }
    if !host.sources.is_empty() {
        out.field("sources", &host.sources.join(", "));
    }
    out.text()
}

/// How a flow that carries this name would be classed, and why.
fn name_text(name: &str, catalogue: &Catalogue, rules: &Rules) -> String {
    let told = catalogue.look_up(name);
    let entry = told.entry(catalogue);
    let port = entry.and_then(|e| e.ports.first()).copied();
    let at = port.map_or(told, |p| told.at(p.proto, p.first, catalogue));
    let mut out = Fields::of(name);
    let subs: Vec<&str> = at.subs.names().collect();
    out.field("class", &[at.class.name()].into_iter().chain(subs).collect::<Vec<_>>().join(" "));
    if let Some(region) = told.region(name) {
        out.field("region", &region);
    }
    if let Some(bucket) = told.bucket(name) {
        out.field("bucket", &bucket);
    }
    let flags: Vec<&str> = at.flags.names().collect();
    if !flags.is_empty() {
        out.field("flags", &flags.join(", "));
    }
    if at.class != Class::Unknown {
        let confidence = rules.confidence.carried.min(at.cap);
        out.field("confidence", &format!("{confidence:.2} where a flow carries the name"));
    }
    let why = match entry {
        Some(entry) => format!("covered by entry `{}`, pattern {}", entry.id, entry.pattern),
        None if at.class == Class::S3 => "an object storage name, read from the right".to_owned(),
        None if at.resolver => "a public resolver that speaks encrypted DNS".to_owned(),
        None => "no entry of the catalogue covers it".to_owned(),
    };
    out.field("why", &why);
    if at.flags.has(Flag::TypoHost) {
        out.field("advice", "A misprint of the vendor's list: allow activateapi.gp4f.com instead.");
    }
    match entry {
        Some(entry) => format!("{}\n{}", out.text(), entry_text(entry)),
        None => out.text(),
    }
}

/// What is said of a topic: texts with labels.
#[derive(Debug)]
pub(crate) struct Fields {
    title: String,
    rows: Vec<(String, String)>,
}

/// Columns before a text that stands beside or beneath its label.
const BESIDE: usize = 14;

impl Fields {
    pub(crate) fn of(title: &str) -> Self {
        Fields { title: title.to_owned(), rows: Vec::new() }
    }

    /// A label and its text.
    pub(crate) fn field(&mut self, label: &str, text: &str) {
        self.rows.push((label.to_owned(), text.to_owned()));
    }

    /// A label and its texts, one beneath the other.
    pub(crate) fn list(&mut self, label: &str, items: &[String]) {
        for (i, item) in items.iter().enumerate() {
            self.field(if i == 0 { label } else { "" }, item);
        }
    }

    /// All of it, each text broken beneath itself.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for (label, text) in &self.rows {
            let mut block = String::new();
            wrap(&mut block, &" ".repeat(BESIDE), text);
            out.push_str(&beside(label, &block));
        }
        out
    }

    /// All of it in lines, no text broken.
    pub(crate) fn lines(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(|(label, text)| {
            let row = beside(label, &format!("{:BESIDE$}{text}", ""));
            row.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        std::iter::once(self.title.clone()).chain(rows).collect()
    }
}

/// A block of text with its label before its first line; above it where that is too long.
fn beside(label: &str, block: &str) -> String {
    match label.len() < BESIDE - 2 {
        true => format!("  {label:<12}{}", block.trim_start()),
        false => format!("  {label}\n{block}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::words::Sub;
    use crate::flow::history::{Side, conn_state};

    #[test]
    fn everything_has_a_text_of_short_lines() {
        let (c, r) = (Catalogue::embedded().unwrap(), Rules::embedded().unwrap());
        let topics = Class::ALL.iter().map(|c| c.name().to_owned());
        let topics =
            topics.chain(c.hosts.iter().map(|h| h.id.clone())).chain(c.s3_forms.iter().map(|f| f.example.clone()));
        for topic in topics.chain(["I3".into(), "www.example.com".into(), "activateapi.gp4.com".into()]) {
            let text = explain(&topic, &c, &r).unwrap();
            assert!(text.lines().all(|l| l.chars().count() <= super::super::catalog::WIDTH), "{text}");
        }
        let words = Sub::ALL.iter().map(|sub| sub.name()).chain(Flag::ALL.iter().map(|flag| flag.name()));
        for word in words.chain(["S0", "otH", "history", "held", "Reset"]) {
            let text = explain(word, &c, &r).unwrap_or_else(|| panic!("{word}"));
            let places = ["\n  subclass ", "\n  flag ", "\n  conn_state ", "\n  state ", "\n  case "];
            assert!(places.iter().any(|place| text.contains(place)), "{text}");
            assert!(text.lines().all(|l| l.chars().count() <= super::super::catalog::WIDTH), "{text}");
        }
        let sides = [
            Side::Inactive,
            Side::SynSent,
            Side::SynAckSent,
            Side::Partial,
            Side::Established,
            Side::Closed,
            Side::Reset,
        ];
        for (one, other) in sides.into_iter().flat_map(|one| sides.map(|other| (one, other))) {
            let state = conn_state(one, other, true);
            assert!(explain(state, &c, &r).is_some_and(|text| text.contains("\n  conn_state ")), "{state}");
        }
        assert_eq!(explain("LSF", &c, &r), explain("lsf", &c, &r));
        // a letter alone is no topic
        assert_eq!(explain("s", &c, &r), None);
        assert_eq!(explain("nonsense", &c, &r), None);
        assert_eq!(explain("", &c, &r), None);
        let told = explain("a1.us-west.u5fgb.com", &c, &r).unwrap();
        assert!(told.contains("class       relay\n  region      us-west\n"), "{told}");
    }
}
