//! The site as a person reads it: attempts to view, the recorders, the allow-list, what the line carries.

use super::color::Style;
use super::human::push_wrapped;
use crate::diagnose::Diagnosis;
use crate::event::{AllowState, SessionRecord, SessionStep, SiteRecord, StepOutcome, UplinkBy};
use crate::text::safe::safe;
use crate::text::units::{BitRate, Bytes, Count, Counted, Span};
use crate::text::zone::Zone;
use crate::time::Timestamp;

/// How many attempts are shown.
const VIEWS_MAX: usize = 3;
/// How many recorders are shown.
const RECORDERS_MAX: usize = 3;
/// How many blocked rows of the allow-list are shown.
const ROWS_MAX: usize = 4;
/// How many rows that nobody tried are named.
const IDLE_MAX: usize = 2;

/// The lines of the attempts to view.
pub(super) fn views(diagnosis: &Diagnosis, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    // what failed is what one came for
    let mut shown: Vec<&SessionRecord> = diagnosis.sessions.iter().collect();
    shown.sort_by_key(|session| session.path.is_some());
    shown.truncate(VIEWS_MAX);
    shown.sort_by_key(|session| session.start);
    for session in shown {
        view(&mut lines, session, style);
    }
    if let Some(more @ 1..) = diagnosis.sessions.len().checked_sub(VIEWS_MAX) {
        lines.push(style.dim(&format!("  and {} more (all of them: --ndjson, session)", Count(more as u64))));
    }
    lines
}

/// One attempt: who, when, by which ways; and beneath why a way failed, or went badly.
fn view(lines: &mut Vec<String>, session: &SessionRecord, style: Style) {
    let end = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string());
    let (recorder, client) = (end(session.recorder), end(session.client));
    let who = match (recorder, client) {
        (Some(recorder), Some(client)) => format!("{recorder} to {client}"),
        (Some(recorder), None) => recorder,
        (None, Some(client)) => format!("to {client}"),
        (None, None) => String::new(),
    };
    let ways: Vec<String> = session.steps.iter().map(|step| way(session, step)).collect();
    let rate = session.bit_rate.map(|rate| format!(", {}", BitRate(rate))).unwrap_or_default();
    let row = session.table.as_ref().map(|row| format!(" (nearest: {})", row.what())).unwrap_or_default();
    let span = Span(session.end.since(session.start));
    let text = format!("{} {span}  {who}: {}{rate}{row}", style.zone.time_of_day(session.start), ways.join("  "));
    let (sign, paint): (_, fn(Style, &str) -> String) = match session.path {
        // what goes up says nothing of what arrives
        Some(_) if session.unseen => ('·', |_, text| text.to_owned()),
        Some(_) => ('✓', |_, text| text.to_owned()),
        None if session.steps.iter().any(|step| step.outcome == StepOutcome::Failed) => ('✗', Style::error),
        None => ('?', |_, text| text.to_owned()),
    };
    push_wrapped(lines, sign, &text, style, paint);
    let told = session.steps.iter().filter(|step| step.outcome != StepOutcome::NotTried && !step.reason.is_empty());
    for step in told {
        push_wrapped(lines, ' ', &format!("{}: {}", step.method.text(), safe(&step.reason)), style, Style::dim);
    }
}

/// A way, with what became of it.
fn way(session: &SessionRecord, step: &SessionStep) -> String {
    let sign = match step.outcome {
        StepOutcome::Worked if is_sent(session, step) => {
            return format!("{} ↑ sent, arrival not seen here", step.method.text());
        }
        StepOutcome::Worked => '✓',
        StepOutcome::Failed => '✗',
        StepOutcome::NotTried => '–',
        StepOutcome::Unclear => '?',
    };
    format!("{} {sign}", step.method.text())
}

/// Whether a way's video was seen to be sent, and not whether it arrives.
pub(super) fn is_sent(session: &SessionRecord, step: &SessionStep) -> bool {
    session.unseen && session.path == Some(step.method)
}

/// Labels and texts about the site.
pub(super) fn facts(site: &SiteRecord, zone: Zone) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    recorders(site, zone, &mut facts);
    if site.tells() {
        allow_list(site, &mut facts);
    }
    facts.extend(uplink(site).map(|text| ("Uplink", text)));
    facts.extend(data(site).map(|text| ("Data", text)));
    if site.flows_omitted > 0 {
        let flows = Counted(site.flows_omitted, "flow");
        facts.push(("Left out", format!("{flows} of the system, beyond the most that are judged: split the capture")));
    }
    facts
}

fn recorders(site: &SiteRecord, zone: Zone, facts: &mut Vec<(&'static str, String)>) {
    for recorder in site.recorders.iter().take(RECORDERS_MAX) {
        let at = |moment: Option<Timestamp>| moment.map_or_else(|| "not seen".to_owned(), |at| zone.time_of_day(at));
        let mut text = format!(
            "{}: active {}, registered {}, response {}",
            recorder.ip,
            at(recorder.last_active),
            at(recorder.last_registered),
            at(recorder.last_response)
        );
        if recorder.response_sequence > 0 {
            text.push_str(&format!(", about {} in all", Count(recorder.response_sequence)));
        }
        facts.push(("Recorder", text));
    }
    if let Some(more @ 1..) = site.recorders.len().checked_sub(RECORDERS_MAX) {
        facts.push(("", format!("and {} more recorders (--json)", Count(more as u64))));
    }
}

/// The scorecard: how many rows stand how, which are blocked, which nobody tried.
fn allow_list(site: &SiteRecord, facts: &mut Vec<(&'static str, String)>) {
    let of = |wanted: AllowState| site.allow_list.iter().filter(move |row| row.state == wanted);
    let counts = AllowState::ALL.iter().map(|state| (of(*state).count(), state.spoken())).filter(|(n, _)| *n > 0);
    let counts = counts.map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", ");
    let assumed = if site.product_assumed { " (assumed; see --product)" } else { "" };
    facts.push(("Allowlist", format!("{}{assumed}: {counts}", site.product)));
    let stopped: Vec<_> = of(AllowState::Blocked).chain(of(AllowState::Partly)).collect();
    for row in stopped.iter().take(ROWS_MAX) {
        let sign = if row.state == AllowState::Partly { '⚠' } else { '✗' };
        facts.push(("", format!("{sign} {}: {}", safe(&row.pattern), safe(&row.how))));
    }
    let idle: Vec<_> = of(AllowState::NotExercised).filter(|row| row.requirement == "required").collect();
    let more = stopped.len().saturating_sub(ROWS_MAX) + idle.len().saturating_sub(IDLE_MAX);
    let names: Vec<_> = idle.iter().take(IDLE_MAX).map(|row| safe(&row.pattern).to_string()).collect();
    match (names.is_empty(), more) {
        (true, 0) => {}
        (true, more) => facts.push(("", format!("and {more} more rows (--json)"))),
        (false, 0) => facts.push(("", format!("– required, not tried: {}", names.join(", ")))),
        (false, more) => facts.push(("", format!("– required, not tried: {} and {more} more", names.join(", ")))),
    }
}

fn uplink(site: &SiteRecord) -> Option<String> {
    let known = &site.bandwidth;
    let (rate, by) = known.uplink_bit_rate.zip(known.uplink_by)?;
    let used = known.used_bit_rate.map(|used| format!(", {} of it used at most", BitRate(used))).unwrap_or_default();
    let room: Vec<String> = known.room_for.iter().map(|row| row.what()).collect();
    let left = match (known.headroom_bit_rate, room.is_empty()) {
        (None, _) => String::new(),
        (Some(left), false) => format!("; {} left: room for {}", BitRate(left), room.join(" or ")),
        (Some(left), true) => format!("; {} left: no room for another channel", BitRate(left)),
    };
    let wanted = known.recommended_bit_rate.filter(|wanted| by != UplinkBy::Seen && rate < *wanted);
    let wanted = wanted.map(|wanted| format!(" (the vendor wants {})", BitRate(wanted))).unwrap_or_default();
    Some(match by {
        UplinkBy::Site => format!("{}{wanted}{used}{left}", BitRate(rate)),
        UplinkBy::Full => format!("full at {}{wanted}", BitRate(rate)),
        UplinkBy::Seen => format!("{} used at most (what is left: give uplink_mbps in --site)", BitRate(rate)),
    })
}

fn data(site: &SiteRecord) -> Option<String> {
    let known = &site.bandwidth;
    let bytes = |amount: f64| Bytes(amount as u64);
    let mut parts = Vec::new();
    for usage in &known.data {
        let Some(month) = usage.bytes_30_days else { continue };
        let table = usage.table_bytes_30_days.map(|table| format!(" (vendor: {})", bytes(table))).unwrap_or_default();
        parts.push(format!("{} {} in 30 days{table}", usage.what, bytes(month)));
    }
    if !known.uploads.is_empty() {
        let sum = known.uploads.iter().map(|upload| upload.bytes).fold(0, u64::saturating_add);
        let count = known.uploads.len() as u64 + known.uploads_omitted;
        let clips = known.uploads.iter().filter(|upload| upload.clip_seconds.is_some()).count() as u64;
        let clips = if clips > 0 { format!(", {} as large as clips", Count(clips)) } else { String::new() };
        parts.push(format!("{} to storage, {}{clips}", Counted(count, "upload"), Bytes(sum)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    fn shown(diagnosis: &Diagnosis, columns: usize) -> String {
        let style = Style::plain().in_columns(columns);
        let lines = views(diagnosis, style);
        assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:#?}");
        lines.join("\n")
    }

    #[test]
    fn a_view_is_told_by_its_ways() {
        let diagnosis = Diagnosis { sessions: vec![sample::session()], ..Diagnosis::default() };
        insta::assert_snapshot!(shown(&diagnosis, 80));
    }

    #[test]
    fn what_only_goes_up_is_not_said_to_arrive() {
        let sessions = vec![SessionRecord { unseen: true, ..sample::session() }];
        let text = shown(&Diagnosis { sessions, ..Diagnosis::default() }, 100);
        assert!(text.starts_with("· ") && text.contains("relay ↑ sent, arrival not seen here"), "{text}");
    }

    #[test]
    fn failed_views_are_shown_before_others() {
        let failed = SessionRecord { path: None, bit_rate: None, ..sample::session() };
        let mut sessions = vec![sample::session(); 5];
        sessions.push(failed);
        let text = shown(&Diagnosis { sessions, ..Diagnosis::default() }, 100);
        assert_eq!(text.matches('✗').count(), 1 + 3, "{text}");
        assert!(text.ends_with("  and 3 more (all of them: --ndjson, session)"), "{text}");
    }

    #[test]
    fn a_site_in_a_few_lines() {
        let lines: Vec<_> =
            facts(&sample::site(), Zone::Utc).into_iter().map(|(label, text)| format!("{label}: {text}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert!(facts(&SiteRecord::default(), Zone::Utc).is_empty());
    }
}
