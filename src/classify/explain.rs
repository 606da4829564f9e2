//! The text of `relayscope explain` for a class, a catalogue entry, or a host name.

use std::fmt::Write;

use super::catalog::{ports, wrap};
use super::catalogue::{Catalogue, HostEntry};
use super::host::tidy;
use super::rules::Rules;
use super::words::Flag;
use crate::event::Class;

/// What is known of `topic`: a class, an entry's id, an inconsistency's id, or a host name. `None`: nothing, it is
/// no such thing.
pub fn explain(topic: &str, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    if let Some(class) = Class::parse(topic) {
        return class_text(class, catalogue, rules);
    }
    if let Some(host) = catalogue.host(topic) {
        return Some(entry_text(host));
    }
    if let Some(i) = catalogue.inconsistencies.iter().find(|i| i.id.eq_ignore_ascii_case(topic)) {
        let mut out = format!("{}\n", i.id);
        field(&mut out, "what", &i.what);
        field(&mut out, "decision", &i.decision);
        field(&mut out, "sources", &i.sources.join(", "));
        return Some(out);
    }
    tidy(topic).filter(|name| name.contains('.')).map(|name| name_text(name, catalogue, rules))
}

fn class_text(class: Class, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    let text = rules.text(class)?;
    let mut out = format!("{}\n", class.name());
    field(&mut out, "what", &text.what);
    list(&mut out, "evidence", &text.evidence);
    list(&mut out, "guards", &text.guards);
    field(&mut out, "advice", &text.advice);
    let hosts: Vec<String> = catalogue
        .hosts
        .iter()
        .filter(|h| h.listed && h.class == class)
        .map(|h| format!("{} ({})", h.pattern, ports(&h.ports)))
        .collect();
    list(&mut out, "hosts", &hosts);
    if !text.sources.is_empty() {
        field(&mut out, "sources", &text.sources.join(", "));
    }
    Some(out)
}

fn entry_text(host: &HostEntry) -> String {
    let mut out = format!("{}\n", host.id);
    field(&mut out, "pattern", &host.pattern);
    field(&mut out, "ports", &ports(&host.ports));
    field(&mut out, "purpose", &host.purpose);
    field(&mut out, "class", host.class.name());
    if host.listed {
        field(&mut out, "ows", host.ows.text());
        field(&mut out, "contera", host.contera.text());
    }
    if let Some(note) = &host.note {
        field(&mut out, "note", note);
    }
    if !host.sources.is_empty() {
        field(&mut out, "sources", &host.sources.join(", "));
    }
    out
}

/// How a flow that carries this name would be classed, and why.
fn name_text(name: &str, catalogue: &Catalogue, rules: &Rules) -> String {
    let told = catalogue.look_up(name);
    let entry = told.entry(catalogue);
    let port = entry.and_then(|e| e.ports.first()).copied();
    let at = port.map_or(told, |p| told.at(p.proto, p.first, catalogue));
    let mut out = format!("{name}\n");
    let subs: Vec<&str> = at.subs.names().collect();
    field(&mut out, "class", &[at.class.name()].into_iter().chain(subs).collect::<Vec<_>>().join(" "));
    if let Some(region) = told.region(name) {
        field(&mut out, "region", &region);
    }
    if let Some(bucket) = told.bucket(name) {
        field(&mut out, "bucket", &bucket);
    }
    let flags: Vec<&str> = at.flags.names().collect();
    if !flags.is_empty() {
        field(&mut out, "flags", &flags.join(", "));
    }
    if at.class != Class::Unknown {
        let confidence = rules.confidence.carried.min(at.cap);
        field(&mut out, "confidence", &format!("{confidence:.2} where a flow carries the name"));
    }
    let why = match entry {
        Some(entry) => format!("covered by entry `{}`, pattern {}", entry.id, entry.pattern),
        None if at.class == Class::S3 => "an object storage name, read from the right".to_owned(),
        None if at.resolver => "a public resolver that speaks encrypted DNS".to_owned(),
        None => "no entry of the catalogue covers it".to_owned(),
    };
    field(&mut out, "why", &why);
    if at.flags.has(Flag::TypoHost) {
        field(&mut out, "advice", "A misprint of the vendor's list: allow activateapi.gp4f.com instead.");
    }
    if let Some(entry) = entry {
        let _ = writeln!(out);
        out.push_str(&entry_text(entry));
    }
    out
}

/// A label and its text, wrapped beneath itself; beneath the label where that is too long to stand beside it.
pub(crate) fn field(out: &mut String, label: &str, text: &str) {
    let mut block = String::new();
    wrap(&mut block, "              ", text);
    let _ = match label.len() < 12 {
        true => write!(out, "  {label:<12}{}", block.trim_start()),
        false => write!(out, "  {label}\n{block}"),
    };
}

/// A label and its texts, one beneath the other.
pub(crate) fn list(out: &mut String, label: &str, items: &[String]) {
    for (i, item) in items.iter().enumerate() {
        field(out, if i == 0 { label } else { "" }, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(explain("nonsense", &c, &r), None);
        assert_eq!(explain("", &c, &r), None);
        let told = explain("a1.us-west.u5fgb.com", &c, &r).unwrap();
        assert!(told.contains("class       relay\n  region      us-west\n"), "{told}");
    }
}
