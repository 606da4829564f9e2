//! Before and after, as a person reads it.

use std::io::{self, Write};

use super::color::Style;
use super::human::push_wrapped;
use crate::compare::{Became, Change, Comparison, Strangers};
use crate::event::Severity;
use crate::text::safe::safe;

/// How many lines of one kind are shown.
const LINES_MAX: usize = 20;
/// How many hints are shown.
const HINTS_MAX: usize = 3;

/// Writes what changed.
///
/// # Errors
/// What writing gives.
pub fn write(mut out: impl Write, told: &Comparison, files: &[String; 2], style: Style) -> io::Result<()> {
    let mut lines = vec![style.bold(&verdict(told)), String::new()];
    let [before, after] = files;
    lines.push(format!("Before    {}", safe(before)));
    lines.push(format!("After     {}", safe(after)));
    told.strangers.iter().for_each(|hosts| two_sites(&mut lines, hosts, style));
    for (label, [got, all]) in [("before", told.views_before), ("after", told.views_after)] {
        if all > 0 {
            lines.push(format!("Views     {label}: {got} of {all} got video"));
        }
    }
    for became in Became::ALL {
        let of: Vec<&Change> = told.findings.iter().filter(|change| change.became == became).collect();
        if !of.is_empty() {
            lines.push(String::new());
            lines.push(style.bold(&became.text().to_uppercase()));
        }
        of.iter().take(LINES_MAX).for_each(|change| line(&mut lines, change, style));
        if let Some(more @ 1..) = of.len().checked_sub(LINES_MAX) {
            lines.push(style.dim(&format!("  and {more} more (all of them: --json)")));
        }
    }
    if !told.hints.is_empty() {
        lines.push(String::new());
        lines.push(style.bold("HINTS OF THE LATER CAPTURE"));
    }
    for hint in told.hints.iter().take(HINTS_MAX) {
        let text = format!("Perhaps: {} ({} {:.2})", safe(&hint.title), hint.kind.text(), hint.confidence);
        push_wrapped(&mut lines, '?', &text, style, Style::dim);
    }
    if let Some(more @ 1..) = told.hints.len().checked_sub(HINTS_MAX) {
        lines.push(style.dim(&format!("  and {more} more (all of them: --json)")));
    }
    if !told.allow_list.is_empty() {
        lines.push(String::new());
        lines.push(style.bold("ALLOW-LIST"));
    }
    for row in told.allow_list.iter().take(LINES_MAX) {
        let text =
            format!("{}: {} → {} ({})", safe(&row.pattern), row.before.spoken(), row.after.spoken(), row.requirement);
        push_wrapped(&mut lines, ' ', &text, style, |_, text| text.to_owned());
    }
    for line in &lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// Why nothing is proved where no host is in both captures.
fn two_sites(lines: &mut Vec<String>, hosts: &Strangers, style: Style) {
    let list = |hosts: &[std::net::IpAddr]| match hosts {
        [] => "none".to_owned(),
        hosts => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let text = format!(
        "Hosts of the system before: {}; after: {}. Captures of two sites, or of one whose addresses are others now, prove \
         nothing of each other: capture again where the same hosts are seen.",
        list(&hosts.before),
        list(&hosts.after)
    );
    push_wrapped(lines, '?', &text, style, |_, text| text.to_owned());
}

fn verdict(told: &Comparison) -> String {
    let counts: Vec<String> = Became::ALL
        .iter()
        .map(|became| (told.count(*became), became.text()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let counts = if counts.is_empty() { "no claims in either".to_owned() } else { counts.join(", ") };
    match (told.poor, told.worst()) {
        (true, _) => format!("⚠ The later capture is too poor to judge by: {counts}."),
        (_, Some(Severity::Error)) => format!("✗ Not accepted: {counts}."),
        _ if told.strangers.is_some() => format!("? Not proved: no host is in both captures: {counts}."),
        (_, Some(Severity::Warning)) => format!("⚠ Better, or not worse: {counts}."),
        _ if told.unproved() == Some(Severity::Error) => {
            format!("? Not proved yet: {counts}. Capture again while the same is tried.")
        }
        _ if told.count(Became::Unproved) > 0 => format!("? Not proved: {counts}."),
        _ if told.is_without_video() => format!("? Not proved, no view after got video: {counts}."),
        _ if told.count(Became::NotTried) > 0 => format!("? Nothing is wrong that was tried: {counts}."),
        _ if told.findings.is_empty() => {
            format!("✓ No fault was found in the later capture, nor in the earlier one: {counts}.")
        }
        _ => format!("✓ Nothing is wrong any more: {counts}."),
    }
}

fn line(lines: &mut Vec<String>, change: &Change, style: Style) {
    let because = if change.because.is_empty() { String::new() } else { format!(": {}", change.because) };
    let about = if change.subject.is_empty() { String::new() } else { format!(", {}", safe(&change.subject)) };
    let text = format!("{} ({}{about}){because}", safe(&change.title), change.kind.text());
    let (sign, paint): (_, fn(Style, &str) -> String) = match (change.became, change.severity) {
        (Became::Fixed, _) => ('✓', Style::ok),
        (Became::Unproved | Became::NotTried, _) => ('?', Style::dim),
        (_, Severity::Error) => ('✗', Style::error),
        (_, Severity::Warning) => ('⚠', Style::warning),
        (_, Severity::Info) => ('·', |_, text| text.to_owned()),
    };
    push_wrapped(lines, sign, &text, style, paint);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::*;
    use crate::compare::compare;
    use crate::diagnose::Diagnosis;
    use crate::present::sample;

    #[test]
    fn a_comparison_in_words() {
        let hosts: BTreeSet<IpAddr> = [IpAddr::from([192, 168, 1, 50])].into();
        let site = Diagnosis { site: sample::site(), hosts, ..Diagnosis::default() };
        let before = Diagnosis { findings: sample::findings(), ..site.clone() };
        let mut after = Diagnosis { sessions: vec![sample::session()], ..site };
        after.findings = sample::findings().into_iter().skip(1).take(1).collect();
        let mut out = Vec::new();
        let files = ["monday.pcap".to_owned(), "tuesday.pcap".to_owned()];
        write(&mut out, &compare(&before, &after), &files, Style::plain()).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
        // without a claim in either there may be hints yet
        let mut hinted = Diagnosis { findings: sample::findings(), ..after.clone() };
        hinted.findings.iter_mut().for_each(|finding| finding.confidence = 0.45);
        let mut told = |before: &Diagnosis, path| {
            hinted.sessions[0].path = path;
            let mut out = Vec::new();
            write(&mut out, &compare(before, &hinted), &files, Style::plain()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let nothing = Diagnosis { findings: Vec::new(), ..before.clone() };
        let out = told(&nothing, Some(crate::event::Method::Relay));
        assert!(
            out.starts_with("✓ No fault was found in the later capture, nor in the earlier one: no claims in either."),
            "{out}"
        );
        assert!(out.contains("HINTS OF THE LATER CAPTURE\n? Perhaps: ") && out.contains("and 1 more"), "{out}");
        let out = told(&nothing, None);
        assert!(out.starts_with("? Not proved, no view after got video: no claims in either."), "{out}");
        after.hosts = [IpAddr::from([10, 0, 0, 5])].into();
        let mut out = Vec::new();
        write(&mut out, &compare(&before, &after), &files, Style::plain()).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("? Not proved: no host is in both captures: 1 unchanged, 2 fixed."), "{out}");
        assert!(out.contains("before: 192.168.1.50; after: 10.0.0.5."), "{out}");
    }
}
