//! The text of `relayscope explain` for a rule, a kind of finding, or a mode of one.

use std::collections::HashMap;

use super::rules::{Place, Rule, RuleId, Rules, fill};
use crate::classify::explain::Fields;
use crate::event::{Kind, Mode};

/// Where there is more of a rule.
const MORE: &str = "`relayscope explain RULE` has a rule's thresholds, guards and sources";

/// What is known of `topic`, a rule, a kind of finding or a mode of one, ASCII case ignored. `None`: it is no such thing.
pub fn explain(topic: &str, rules: &Rules) -> Option<String> {
    told_of(topic, rules).map(|fields| fields.text())
}

/// The same in lines that are not broken, for whoever has a width of their own.
pub fn lines(topic: &str, rules: &Rules) -> Option<Vec<String>> {
    told_of(topic, rules).map(|fields| fields.lines())
}

fn told_of(topic: &str, rules: &Rules) -> Option<Fields> {
    if let Some(id) = RuleId::parse(topic) {
        return Some(rule_text(rules.rule(id)));
    }
    let of_kind = Kind::parse(topic).map(|kind| kind_text(kind, rules));
    of_kind.or_else(|| Mode::parse(topic).map(|mode| mode_text(mode, rules)))
}

fn kind_text(kind: Kind, rules: &Rules) -> Fields {
    let mut out = Fields::of(kind.text());
    for rule in rules.iter().filter(|rule| rule.speaks_as(kind)) {
        let text = &rule.text;
        out.field(text.id.text(), &format!("{}{}. {}", modes(rule), text.severity.text(), text.meaning));
        out.field("", &format!("Advice: {}", open(&text.advice)));
    }
    out.field("more", MORE);
    out
}

/// What each rule says in a mode.
fn mode_text(mode: Mode, rules: &Rules) -> Fields {
    let mut out = Fields::of(mode.text());
    for Rule { text, .. } in rules.iter() {
        let own = (text.mode == Some(mode)).then_some((&text.title, &text.advice));
        if let Some((title, advice)) = text.modes.get(&mode).map(|said| (&said.title, &said.advice)).or(own) {
            out.field(text.id.text(), &format!("{}: {}. {}", text.kind.text(), open(title), open(advice)));
        }
    }
    out.field("more", MORE);
    out
}

/// The modes that a rule speaks in, as a beginning: `nxdomain, refused: `.
fn modes(rule: &Rule) -> String {
    let mut modes: Vec<Mode> = rule.text.mode.into_iter().chain(rule.text.modes.keys().copied()).collect();
    modes.sort();
    let names: Vec<_> = modes.into_iter().map(Mode::text).collect();
    if names.is_empty() { String::new() } else { format!("{}: ", names.join(", ")) }
}

fn rule_text(rule: &Rule) -> Fields {
    let text = &rule.text;
    let mut out = Fields::of(text.id.text());
    let kinds: Vec<_> = [text.kind].iter().chain(&text.also).map(|kind| kind.text()).collect();
    out.field("kind", &format!("{}{}", modes(rule), kinds.join(", ")));
    out.field("severity", text.severity.text());
    out.field("meaning", &text.meaning);
    out.field("says", &open(&text.title));
    out.field("advice", &open(&text.advice));
    let mut modes: Vec<_> = text.modes.iter().collect();
    modes.sort_by_key(|(mode, _)| **mode);
    for (mode, said) in modes {
        out.field("", &format!("{}: {}. {}", mode.text(), open(&said.title), open(&said.advice)));
    }
    let mut manners: Vec<_> = text.manners.iter().collect();
    manners.sort_by_key(|(manner, _)| **manner);
    for (manner, said) in manners {
        out.field("", &format!("{}: {}. {}", manner.text(), open(&said.title), open(&said.advice)));
    }
    let thresholds: Vec<_> = rule.settings.iter().map(|s| format!("{} = {}: {}", s.name, s.value, s.reason)).collect();
    out.list("thresholds", &thresholds);
    out.list("guards", &text.guards);
    out.field("disproved", &format!("if {}", open(&text.disproved_if)));
    out.field("sources", &text.sources.join("; "));
    // the second is a threshold where there is any; the first is the base confidence
    if let Some(one) = rule.settings.get(1).or(rule.settings.first()) {
        let (family, name, value) = (rule.family, &one.name, one.value);
        let set = format!("in the file of --catalogue: [diagnosis.{family}] {name} = {{ value = {value} }}");
        out.field("set again", &set);
    }
    out
}

/// A text with its places as `<host>`.
fn open(text: &str) -> String {
    let places: HashMap<_, _> = Place::ALL.iter().map(|place| (*place, format!("<{}>", place.text()))).collect();
    fill(text, &places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_and_kind_has_a_text_of_short_lines() {
        let rules = Rules::embedded().unwrap();
        let topics = RuleId::ALL.iter().map(|id| id.text()).chain(Kind::ALL.iter().map(|kind| kind.text()));
        for topic in topics.chain(Mode::ALL.iter().map(|mode| mode.text())) {
            let text = explain(topic, &rules).unwrap();
            assert!(text.lines().all(|l| l.chars().count() <= crate::classify::catalog::WIDTH), "{text}");
            // the same words, however they are laid out
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&lines(topic, &rules).unwrap().join("\n")), words(&text));
        }
        assert_eq!(explain("CF-13", &rules), None);
        assert_eq!(explain("relay", &rules), None);
    }

    #[test]
    fn a_rule_tells_what_it_goes_by() {
        let rules = Rules::embedded().unwrap();
        insta::assert_snapshot!(explain("d-2", &rules).unwrap());
        let user = "[stall]\nfirst_byte_seconds.value = 15".parse().unwrap();
        let told = explain("CF-1", &Rules::with_user(user).unwrap()).unwrap();
        assert!(told.contains("first_byte_seconds = 15: ") && told.contains("Video from <host>"), "{told}");
        assert!(explain("content-filter-stall", &rules).unwrap().contains("\n  CF-5 "));
        assert!(explain("hold-release", &rules).unwrap().contains("\n  CF-4 "));
        assert!(explain("allowlist-gap", &rules).unwrap().contains("\n  D-37 "));
    }
}
