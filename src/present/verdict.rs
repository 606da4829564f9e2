//! The verdict: what is wrong and who must change what, before anything else is said.

use super::color::Style;
use super::human::{push_wrapped, wrap};
use super::is_vendor;
use super::summary::Summary;
use crate::diagnose::Diagnosis;
use crate::event::{FindingRecord, Severity};
use crate::text::safe::safe;
use crate::text::units::Count;

/// How many claims are shown.
const CLAIMS_MAX: usize = 4;
/// How many hints are shown beneath them.
const HINTS_MAX: usize = 2;

/// The lines of the verdict; none where nothing was judged.
pub(super) fn verdict(summary: &Summary, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(diagnosis) = &summary.diagnosis else { return lines };
    if !diagnosis.findings.iter().any(|f| f.is_claim() && f.severity > Severity::Info)
        && let Some(line) = nothing_found(summary, diagnosis, style)
    {
        lines.push(line);
    }
    tell(&mut lines, &diagnosis.findings, style);
    lines
}

/// The first claims, with the first one's advice, and hints beneath them; the rest is counted.
pub(super) fn tell(lines: &mut Vec<String>, findings: &[FindingRecord], style: Style) {
    let (claims, hints): (Vec<_>, Vec<_>) = findings.iter().partition(|f| f.is_claim());
    for (n, claim) in claims.iter().take(CLAIMS_MAX).enumerate() {
        say(lines, claim, style);
        if n == 0 {
            for line in wrap(&safe(&claim.advice).to_string(), style.width() - 2) {
                lines.push(format!("  {line}"));
            }
        }
    }
    for hint in hints.iter().take(HINTS_MAX) {
        say(lines, hint, style);
    }
    let shown = claims.len().min(CLAIMS_MAX) + hints.len().min(HINTS_MAX);
    if let Some(more @ 1..) = findings.len().checked_sub(shown) {
        lines.push(style.dim(&format!("  and {} more (all of them: --ndjson)", Count(more as u64))));
    }
}

/// What can honestly be said where no fault was found.
fn nothing_found(summary: &Summary, diagnosis: &Diagnosis, style: Style) -> Option<String> {
    if diagnosis.poor || summary.classes.is_empty() {
        return None;
    }
    if !summary.classes.iter().any(|c| is_vendor(c.class)) {
        return Some("· Nothing to judge: this capture has no traffic of the video system.".to_owned());
    }
    Some(style.ok("✓ No fault was found in what this capture shows."))
}

/// A finding's sign, its title, and how sure it is by which rule.
fn say(lines: &mut Vec<String>, finding: &FindingRecord, style: Style) {
    let hint = if finding.is_claim() { "" } else { "Perhaps: " };
    let text =
        format!("{hint}{} ({} {:.2}, {})", safe(&finding.title), finding.word.text(), finding.confidence, finding.rule);
    let (sign, paint): (_, fn(Style, &str) -> String) = match finding.severity {
        _ if !finding.is_claim() => ('?', Style::dim),
        Severity::Error => ('✗', Style::error),
        Severity::Warning => ('⚠', Style::warning),
        Severity::Info => ('·', |_, text| text.to_owned()),
    };
    push_wrapped(lines, sign, &text, style, paint);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    fn told(findings: Vec<FindingRecord>) -> String {
        let mut summary = sample::summary();
        summary.diagnosis = Some(Diagnosis { findings, ..Diagnosis::default() });
        verdict(&summary, Style::plain()).join("\n")
    }

    #[test]
    fn claims_come_before_hints() {
        insta::assert_snapshot!(told(sample::findings()));
    }

    #[test]
    fn where_nothing_is_wrong_that_is_said() {
        assert_eq!(told(Vec::new()), "✓ No fault was found in what this capture shows.");
        let info = sample::findings().into_iter().filter(|f| f.severity == Severity::Info).collect();
        assert!(told(info).starts_with("✓ No fault was found in what this capture shows.\n· "));
        let summary = |classes, poor| {
            let diagnosis = Some(Diagnosis { poor, ..Diagnosis::default() });
            let summary = Summary { classes, diagnosis, ..Summary::default() };
            verdict(&summary, Style::plain()).join("\n")
        };
        let dns = sample::summary().classes.into_iter().filter(|c| !is_vendor(c.class)).collect();
        assert!(summary(dns, false).starts_with("· Nothing to judge"));
        assert_eq!(summary(sample::summary().classes, true), "");
        assert_eq!(summary(Vec::new(), false), "");
        assert!(verdict(&sample::summary(), Style::plain()).is_empty());
    }

    #[test]
    fn more_is_counted_and_nothing_acts() {
        let finding = sample::findings().swap_remove(0);
        let mut findings = vec![finding; 9];
        findings[1].title = "\u{1b}[2J \u{202e}".repeat(30);
        let told = told(findings);
        assert!(told.ends_with("\n  and 5 more (all of them: --ndjson)"), "{told}");
        assert!(!told.chars().any(|c| c != '\n' && crate::text::safe::is_unsafe(c)));
        assert!(told.lines().all(|l| l.chars().count() <= 100), "{told}");
    }
}
