//! The verdict: what is wrong and who must change what, before anything else is said.

use std::collections::HashSet;

use super::color::Style;
use super::human::{push_wrapped, wrap};
use super::is_vendor;
use super::summary::Summary;
use crate::diagnose::Diagnosis;
use crate::event::{CaptureQuality, FindingRecord, SessionRecord, SessionStep, Severity, StepOutcome};
use crate::text::safe::safe;
use crate::text::units::{Count, Counted, Span};
use crate::time::SECOND;

/// How many claims are shown.
const CLAIMS_MAX: usize = 4;
/// How many hints are shown beneath them.
const HINTS_MAX: usize = 2;
/// What lasts for less, in nanoseconds, has shown nothing that takes its time.
const BRIEF: u64 = 5 * SECOND;
/// What is said of a capture that is so.
pub const POOR: &str = "The capture is too poor to judge by.";

/// The lines of the verdict; none where nothing was judged.
pub(super) fn verdict(summary: &Summary, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(diagnosis) = &summary.diagnosis else { return lines };
    // of a capture without any flow the next step says more
    if !diagnosis.findings.iter().any(is_fault) && !summary.all_classes().is_empty() {
        let (good, text) = without_fault(summary);
        let line = match good {
            _ if diagnosis.poor => style.warning(&format!("⚠ {POOR}")),
            true => style.ok(&format!("✓ {text}")),
            false => format!("· {}", safe(&text)),
        };
        lines.extend(wrap(&line, style.width()));
    }
    tell(&mut lines, &in_order(diagnosis), "--html, --md or --ndjson", style);
    lines
}

/// All findings, the headline first, then by their weight.
pub fn in_order(diagnosis: &Diagnosis) -> Vec<&FindingRecord> {
    let headline = headline(diagnosis);
    let others =
        diagnosis.findings.iter().filter(|finding| headline.is_none_or(|first| !std::ptr::eq(first, *finding)));
    headline.into_iter().chain(others).collect()
}

/// The claim that comes before all others: who reads wants to know why no picture came, so of the gravest it is the
/// first that a view failed by, or where no view failed, the first, or one of its kind about what more depends on.
pub(super) fn headline(diagnosis: &Diagnosis) -> Option<&FindingRecord> {
    let claims = || diagnosis.findings.iter().filter(|finding| finding.is_claim());
    let first = claims().next()?;
    let failed = |session: &&SessionRecord| {
        session.path.is_none() && session.steps.iter().any(|step| step.outcome == StepOutcome::Failed)
    };
    let cited: HashSet<&String> =
        diagnosis.sessions.iter().filter(failed).flat_map(|session| &session.finding_ids).collect();
    let stops = |claim: &&FindingRecord| cited.contains(&claim.id);
    let gravest = || claims().take_while(|claim| claim.severity == first.severity);
    // of several of one kind that whose row comes first: the vendor's list begins with what all of the system needs
    let row = |claim: &&FindingRecord| {
        let rows = &diagnosis.site.allow_list;
        rows.iter().position(|row| row.finding_ids.contains(&claim.id)).unwrap_or(usize::MAX)
    };
    let alike = gravest().filter(|claim| claim.kind == first.kind);
    gravest().find(stops).or_else(|| alike.min_by_key(row))
}

/// The first claims, with the first one's advice, and hints beneath them; the rest is counted, and `all` says how all
/// are told.
pub(super) fn tell(lines: &mut Vec<String>, findings: &[&FindingRecord], all: &str, style: Style) {
    let (claims, hints): (Vec<&FindingRecord>, Vec<_>) = findings.iter().partition(|f| f.is_claim());
    // what is said of several in the same words is said with its client
    let of_whom = |finding: &FindingRecord| {
        let same = findings.iter().filter(|other| other.title == finding.title).count();
        finding.src_ip.filter(|_| same > 1).map(|client| format!(" [{client}]")).unwrap_or_default()
    };
    for (n, claim) in claims.iter().take(CLAIMS_MAX).enumerate() {
        say(lines, claim, &of_whom(claim), style);
        if n == 0 {
            for line in wrap(&safe(&claim.advice).to_string(), style.width() - 2) {
                lines.push(format!("  {line}"));
            }
        }
    }
    for hint in hints.iter().take(HINTS_MAX) {
        say(lines, hint, &of_whom(hint), style);
    }
    let shown = claims.len().min(CLAIMS_MAX) + hints.len().min(HINTS_MAX);
    if let Some(more @ 1..) = findings.len().checked_sub(shown) {
        lines.push(style.dim(&format!("  and {} more (all of them: {all})", Count(more as u64))));
    }
}

/// What findings tell in a few lines, claims before hints; `all` says how all are told.
pub fn in_short(findings: &[FindingRecord], all: &str, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    tell(&mut lines, &findings.iter().collect::<Vec<_>>(), all, style);
    lines
}

/// Whether a finding claims that something is wrong.
pub(super) fn is_fault(finding: &FindingRecord) -> bool {
    finding.is_claim() && finding.severity > Severity::Info
}

/// What can honestly be said where no fault is told, and whether it is good news. What is said of the capture holds for
/// all of it, whatever passes a filter.
pub(super) fn without_fault(summary: &Summary) -> (bool, String) {
    if let Some(beside @ 1..) = summary.filtered.as_ref().map(|filtered| filtered.faults) {
        let (are, findings) = (if beside == 1 { "is" } else { "are" }, Counted(beside, "finding"));
        let text = format!("No finding concerns the flows that pass the filter; without it there {are} {findings}.");
        return (false, text);
    }
    if summary.filtered.as_ref().is_some_and(|filtered| filtered.open) {
        let text = "No fault was found; what the whole capture leaves open is told without the filter.";
        return (false, text.to_owned());
    }
    let vendor = summary.all_classes().iter().any(|c| is_vendor(c.class));
    let (findings, sessions) =
        summary.diagnosis.as_ref().map(|known| (&*known.findings, &*known.sessions)).unwrap_or_default();
    nothing_proved(vendor, &summary.quality, findings, sessions)
}

/// What can honestly be said of a whole capture where no fault is claimed, and whether it is good news; `vendor`: it
/// has a flow to the vendor.
pub fn nothing_proved(
    vendor: bool,
    quality: &CaptureQuality,
    findings: &[FindingRecord],
    sessions: &[SessionRecord],
) -> (bool, String) {
    if !vendor {
        return (
            false,
            "Nothing to judge: no control or video connection of the video system was recognised.".to_owned(),
        );
    }
    let span = quality.first.zip(quality.last).map(|(first, last)| last.since(first));
    match (undecided(findings, sessions), span.filter(|span| *span < BRIEF)) {
        (Some(text), _) => (false, text),
        (None, Some(span)) => (
            false,
            format!(
                "No fault was found, but this capture is only {} long: capture while a camera is open.",
                Span(span)
            ),
        ),
        (None, None) => (true, "No fault was found in what this capture shows.".to_owned()),
    }
}

/// What is left open where no fault is claimed: views of which no video was seen, else hints.
pub(super) fn undecided(findings: &[FindingRecord], sessions: &[SessionRecord]) -> Option<String> {
    let blank = || sessions.iter().filter(|session| session.path.is_none());
    if blank().next().is_some() {
        let open = |step: &&SessionStep| matches!(step.outcome, StepOutcome::Failed | StepOutcome::Unclear);
        let why = blank().find_map(|session| session.steps.iter().rfind(open));
        let why = why.map(|step| format!(" ({}: {})", step.method.text(), step.reason)).unwrap_or_default();
        let (n, all) = (Count(blank().count() as u64), Counted(sessions.len() as u64, "attempt"));
        return Some(format!(
            "No fault is proved, yet no video was seen in {n} of {all} to view{why}: capture at the other end too."
        ));
    }
    let hint = |finding: &&FindingRecord| !finding.is_claim() && finding.severity > Severity::Info;
    match findings.iter().filter(hint).count() {
        // a box behind this place may hold all that went by here
        0 if !sessions.is_empty() && sessions.iter().all(|session| session.unseen) => Some(
            "No fault was found on this side: the video goes out. Whether it arrives can only be seen at the viewer's end."
                .to_owned(),
        ),
        0 => None,
        1 => Some("No fault is proved by this capture; there is 1 hint of one.".to_owned()),
        n => Some(format!("No fault is proved by this capture; there are {} hints of some.", Count(n as u64))),
    }
}

/// A finding's sign, its title, and how sure it is by which rule.
fn say(lines: &mut Vec<String>, finding: &FindingRecord, of_whom: &str, style: Style) {
    let hint = if finding.is_claim() { "" } else { "Perhaps: " };
    let text = format!(
        "{hint}{}{of_whom} ({} {:.2}, {})",
        safe(&finding.title),
        finding.word.text(),
        finding.confidence,
        finding.rule
    );
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
    fn what_all_depends_on_is_said_before_what_little_does() {
        let mut clock = sample::findings().swap_remove(0);
        let mut relay = clock.clone();
        (clock.id, clock.title, relay.id, relay.title) = ("a".into(), "clock".into(), "b".into(), "relay".into());
        let mut diagnosis = Diagnosis { findings: vec![clock, relay], site: sample::site(), ..Diagnosis::default() };
        assert_eq!(headline(&diagnosis).unwrap().title, "clock");
        let last = diagnosis.site.allow_list.len() - 1;
        diagnosis.site.allow_list[0].finding_ids = vec!["b".into()];
        diagnosis.site.allow_list[last].finding_ids = vec!["a".into()];
        assert_eq!(headline(&diagnosis).unwrap().title, "relay");
    }

    #[test]
    fn where_nothing_is_wrong_that_is_said() {
        assert_eq!(told(Vec::new()), "✓ No fault was found in what this capture shows.");
        let info = sample::findings().into_iter().filter(|f| f.severity == Severity::Info).collect();
        assert!(told(info).starts_with("✓ No fault was found in what this capture shows.\n· "));
        let hints = sample::findings().into_iter().filter(|f| !f.is_claim()).collect();
        assert!(told(hints).starts_with("· No fault is proved by this capture; there is 1 hint of one.\n? "));
        let summary = |classes, poor| {
            let diagnosis = Some(Diagnosis { poor, ..Diagnosis::default() });
            let summary = Summary { classes, diagnosis, ..Summary::default() };
            verdict(&summary, Style::plain()).join("\n")
        };
        let mut brief = sample::summary();
        brief.diagnosis = Some(Diagnosis::default());
        brief.quality.last = brief.quality.first.map(|first| first.after(SECOND / 5));
        let text = verdict(&brief, Style::plain()).join(" ");
        assert!(text.starts_with("· No fault was found, but this capture is only 200 ms long"), "{text}");
        let dns = sample::summary().classes.into_iter().filter(|c| !is_vendor(c.class)).collect();
        assert!(summary(dns, false).starts_with("· Nothing to judge"));
        assert_eq!(summary(sample::summary().classes, true), "⚠ The capture is too poor to judge by.");
        assert_eq!(summary(Vec::new(), false), "");
        assert!(verdict(&sample::summary(), Style::plain()).is_empty());
    }

    #[test]
    fn a_view_without_video_is_not_passed_over() {
        let told = |sessions| {
            let mut summary = sample::summary();
            summary.diagnosis = Some(Diagnosis { sessions, ..Diagnosis::default() });
            verdict(&summary, Style::plain()).join(" ")
        };
        let mut blank = SessionRecord { path: None, ..sample::session() };
        assert!(told(vec![sample::session()]).starts_with("✓ "));
        let step = blank.steps.last_mut().unwrap();
        (step.outcome, step.reason) = (StepOutcome::Failed, "the answer is 504".to_owned());
        let text = told(vec![sample::session(), blank]);
        assert!(text.starts_with("· No fault is proved, yet no video was seen in 1 of 2 attempts to view"), "{text}");
        assert!(text.contains("(relay: the answer is 504)"), "{text}");
    }

    #[test]
    fn what_goes_out_has_not_arrived() {
        let told = |unseen: &[bool]| {
            let session = |unseen: &bool| SessionRecord { unseen: *unseen, ..sample::session() };
            let mut summary = sample::summary();
            let sessions = unseen.iter().map(session).collect();
            summary.diagnosis = Some(Diagnosis { sessions, ..Diagnosis::default() });
            verdict(&summary, Style::plain()).join(" ")
        };
        let text = told(&[true, true]);
        assert!(text.starts_with("· No fault was found on this side: the video goes out. Whether"), "{text}");
        assert!(told(&[true, false]).starts_with("✓ No fault was found"), "one was seen to arrive");
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
        let mut open = Summary { diagnosis: Some(Diagnosis::default()), ..sample::summary() };
        open.filtered = Some(Filtered { classes: whole.classes.clone(), open: true, ..Filtered::default() });
        assert!(verdict(&open, Style::plain())[0].starts_with("· No fault was found; what the whole"));
    }

    #[test]
    fn more_is_counted_and_nothing_acts() {
        let finding = sample::findings().swap_remove(0);
        let mut findings = vec![finding; 9];
        findings[1].title = "\u{1b}[2J \u{202e}".repeat(30);
        let told = told(findings);
        assert!(told.ends_with("\n  and 5 more (all of them: --html, --md or --ndjson)"), "{told}");
        assert!(!told.chars().any(|c| c != '\n' && crate::text::safe::is_unsafe(c)));
        assert!(told.lines().all(|l| l.chars().count() <= 100), "{told}");
    }
}
