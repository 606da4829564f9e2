//! The verdict: what is wrong and who must change what, before anything else is said.

use std::collections::HashSet;

use super::color::Style;
use super::human::{push_wrapped, wrap};
use super::is_vendor;
use super::summary::Summary;
use crate::diagnose::Diagnosis;
use crate::event::{FindingRecord, SessionRecord, Severity, StepOutcome};
use crate::text::safe::safe;
use crate::text::units::{Count, Counted};

/// How many claims are shown.
const CLAIMS_MAX: usize = 4;
/// How many hints are shown beneath them.
const HINTS_MAX: usize = 2;

/// The lines of the verdict; none where nothing was judged.
pub(super) fn verdict(summary: &Summary, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(diagnosis) = &summary.diagnosis else { return lines };
    // of a poor capture the quality says more, and of one without any flow the next step
    if !diagnosis.findings.iter().any(is_fault) && !diagnosis.poor && !summary.all_classes().is_empty() {
        let (good, text) = without_fault(summary);
        let line = if good { style.ok(&format!("✓ {text}")) } else { format!("· {text}") };
        lines.extend(wrap(&line, style.width()));
    }
    tell(&mut lines, &in_order(diagnosis), style);
    lines
}

/// All findings, the headline first, then by their weight.
pub fn in_order(diagnosis: &Diagnosis) -> Vec<&FindingRecord> {
    let headline = headline(diagnosis);
    let others =
        diagnosis.findings.iter().filter(|finding| headline.is_none_or(|first| !std::ptr::eq(first, *finding)));
    headline.into_iter().chain(others).collect()
}

/// The claim that comes before all others: who reads wants to know why no picture came, so of the gravest it is the first
/// that a view failed by, or where no view failed, the first.
pub(super) fn headline(diagnosis: &Diagnosis) -> Option<&FindingRecord> {
    let claims = || diagnosis.findings.iter().filter(|finding| finding.is_claim());
    let first = claims().next()?;
    let failed = |session: &&SessionRecord| {
        session.path.is_none() && session.steps.iter().any(|step| step.outcome == StepOutcome::Failed)
    };
    let cited: HashSet<&String> =
        diagnosis.sessions.iter().filter(failed).flat_map(|session| &session.finding_ids).collect();
    let stops = |claim: &&FindingRecord| cited.contains(&claim.id);
    claims().take_while(|claim| claim.severity == first.severity).find(stops).or(Some(first))
}

/// The first claims, with the first one's advice, and hints beneath them; the rest is counted.
pub(super) fn tell(lines: &mut Vec<String>, findings: &[&FindingRecord], style: Style) {
    let (claims, hints): (Vec<&FindingRecord>, Vec<_>) = findings.iter().partition(|f| f.is_claim());
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

/// Whether a finding claims that something is wrong.
pub(super) fn is_fault(finding: &FindingRecord) -> bool {
    finding.is_claim() && finding.severity > Severity::Info
}

/// What can honestly be said where no fault is told, and whether it is good news. What is said of the capture holds for all
/// of it, whatever passes a filter.
pub(super) fn without_fault(summary: &Summary) -> (bool, String) {
    if let Some(beside @ 1..) = summary.filtered.as_ref().map(|filtered| filtered.faults) {
        let (are, findings) = (if beside == 1 { "is" } else { "are" }, Counted(beside, "finding"));
        let text = format!("No finding concerns the flows that pass the filter; without it there {are} {findings}.");
        return (false, text);
    }
    if !summary.all_classes().iter().any(|c| is_vendor(c.class)) {
        return (false, "Nothing to judge: this capture has no traffic of the video system.".to_owned());
    }
    (true, "No fault was found in what this capture shows.".to_owned())
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
    use crate::present::summary::{ClassTotals, Filtered};

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
    fn why_no_picture_came_is_said_first() {
        let mut findings = sample::findings();
        let stall = findings.iter().position(|f| f.rule == "CF-1").unwrap();
        let mut other = findings[stall].clone();
        (other.id, other.title, other.flow_ids, other.confidence) =
            ("other".to_owned(), "Licensing does not work".to_owned(), vec![77], 0.95);
        findings.insert(0, other);
        let own = findings[stall + 1].id.clone();
        let first = |cited: &str, path, outcome| {
            let mut session = sample::session();
            (session.path, session.finding_ids) = (path, vec![cited.to_owned()]);
            session.steps.iter_mut().for_each(|step| step.outcome = outcome);
            let diagnosis = Diagnosis { findings: findings.clone(), sessions: vec![session], ..Diagnosis::default() };
            let all = in_order(&diagnosis);
            assert!(all.len() == findings.len() && std::ptr::eq(all[0], headline(&diagnosis).unwrap()));
            all[0].id.clone()
        };
        assert_eq!(first(&own, None, StepOutcome::Failed), own);
        // no view failed by either, it came by another way, or what became of it is not known
        assert_eq!(first("0", None, StepOutcome::Failed), "other");
        assert_eq!(first(&own, Some(crate::event::Method::Relay), StepOutcome::Failed), "other");
        assert_eq!(first(&own, None, StepOutcome::Unclear), "other");
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
    fn a_filter_hides_no_fault() {
        let whole = sample::summary();
        let told = |faults, keep: fn(&ClassTotals) -> bool| {
            let classes: Vec<_> = whole.classes.iter().filter(|totals| keep(totals)).cloned().collect();
            let filtered = Filtered { classes: whole.classes.clone(), faults, findings: 3, ..Filtered::default() };
            let diagnosis = Some(Diagnosis::default());
            let summary = Summary { classes, diagnosis, filtered: Some(filtered), ..Summary::default() };
            (verdict(&summary, Style::plain()).join("\n"), summary.passing().unwrap())
        };
        let beside = "· No finding concerns the flows that pass the filter; without it there is 1 finding.";
        let no_vendor: fn(&ClassTotals) -> bool = |totals| !is_vendor(totals.class);
        assert_eq!(told(1, no_vendor), (beside.to_owned(), "2 of 6 flows, 0 of 3 findings pass".to_owned()));
        assert_eq!(told(1, |_| true).0, beside);
        // what is said of the capture is said of all of it
        assert_eq!(told(0, no_vendor).0, "✓ No fault was found in what this capture shows.");
        assert_eq!(told(0, |_| false).0, "✓ No fault was found in what this capture shows.");
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
