//! The verdict, the ways to view, the site, and the flows that matter most.
//!
//! ```text
//!  ✗ Video is being held by a content filter on the recorder side        high 0.86 CF-1
//!    what to do about it, and who
//!  ⚠ P2P unavailable: UDP 3478 unanswered (relay is used)                high 0.90 D-13
//!
//!  METHOD    FLOWS      RATE  60 S       HEALTH         SITE ─────────────────────────
//!  ▲ relay       3  3.9 Mb/s  ▁▂▆▇▇▇     RTT 31 ms      recorder 192.168.1.50, …
//!  ◆ p2p         –                                      allow-list 11 ✓ 1 ✗ 12 –
//!
//!  FLOWS  1 of 57
//!  …the table of flows…
//! ```

use std::collections::HashSet;

use ratatui::layout::Rect;

use super::pen::{Part, Pen, labelled, part, rows, split_left, split_top, width, wrapped};
use super::{columns, flows, no_fault, said};
use crate::dash::command::Command;
use crate::dash::history::METHODS;
use crate::dash::snapshot::Phase;
use crate::dash::state::{Dash, Hit, View};
use crate::dash::theme::{Role, of_severity};
use crate::dash::ways::Way;
use crate::event::{AllowState, FindingRecord, Severity, StepOutcome, UplinkBy};
use crate::text::safe::safe;
use crate::text::units::{BitRate, Count, Counted, Percent, RoundTrip, Span};
use crate::time::Timestamp;

/// How many lines of one advice are shown.
const ADVICE_LINES: usize = 3;
/// From how many columns on the site stands beside the ways to view.
const BESIDE: u16 = 120;
/// Columns of the ways to view, where the site stands beside them.
const METHODS_WIDTH: u16 = 76;

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let used = verdict(pen, area, dash);
    let (_, rest) = split_top(area, used + 1);
    let (middle, rest) = split_top(rest, methods_height(rest.height));
    let used = if area.width >= BESIDE {
        let (left, right) = split_left(middle, METHODS_WIDTH, 2);
        methods(pen, left, dash).max(site(pen, right, dash))
    } else {
        let used = methods(pen, middle, dash);
        let (_, below) = split_top(middle, used);
        used + site_in_short(pen, below, dash)
    };
    let (_, rest) = split_top(
        Rect { y: middle.y, height: middle.height + rest.height, ..area },
        used + u16::from(area.height > 22),
    );
    flows::table(pen, rest, dash);
}

/// How many lines the ways to view and the site may take together.
const fn methods_height(room: u16) -> u16 {
    let half = room / 2;
    if half > 13 { 13 } else { half }
}

/// The findings, with the selected one's advice; gives how many lines they took.
fn verdict(pen: &mut Pen<'_>, area: Rect, dash: &Dash) -> u16 {
    let findings = &dash.snapshot.findings;
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let mut lines: Vec<(Option<usize>, Vec<Part>)> = Vec::new();
    if !findings.iter().any(|f| f.is_claim() && f.severity > Severity::Info) {
        let (role, text) = no_fault(dash);
        lines.extend(wrapped(role, &text, inner.width).into_iter().map(|line| (None, line)));
    }
    let room = usize::from(area.height / 3).max(4);
    let at = dash.at.get(View::Findings.number()).copied().unwrap_or(0);
    let first = super::pen::first_shown(at, findings.len(), room.saturating_sub(ADVICE_LINES).max(1));
    for (n, finding) in findings.iter().enumerate().skip(first) {
        if lines.len() >= room {
            break;
        }
        let said =
            if n == at { whole(dash, finding, inner.width) } else { vec![said(dash, finding, inner.width.into())] };
        lines.extend(said.into_iter().map(|line| (Some(n), line)));
        if n == at {
            let advice = dash.mask.prose(&finding.advice);
            let text = wrapped(Role::Text, &safe(&advice).to_string(), inner.width.saturating_sub(2));
            let cut = text.len() > ADVICE_LINES;
            let mut text: Vec<_> = text.into_iter().take(ADVICE_LINES).collect();
            if let Some((_, last)) = text.last_mut().and_then(|line| line.last_mut()).filter(|_| cut) {
                last.push('…');
            }
            lines.extend(text.into_iter().map(|mut line| {
                line.insert(0, part(Role::Text, "  "));
                (None, line)
            }));
        }
    }
    let told: HashSet<usize> = lines.iter().filter_map(|(n, _)| *n).collect();
    let more = findings.len().saturating_sub(told.len());
    if more > 0 && lines.len() <= room {
        let key = dash.keys.of(Command::Findings).next().map(|keys| format!(" ({keys} shows all)")).unwrap_or_default();
        lines.push((None, vec![part(Role::Muted, format!("  and {more} more{key}"))]));
    }
    for (row, (n, line)) in rows(inner).zip(&lines) {
        pen.line(row, line);
        if let Some(n) = n {
            pen.hit(row, Hit::Verdict(*n));
            if *n == at && !dash.in_flows {
                pen.select(row);
            }
        }
    }
    u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height)
}

/// What a finding says, on as many lines as it takes; how sure it is stands at the end.
fn whole(dash: &Dash, finding: &FindingRecord, columns: u16) -> Vec<Vec<Part>> {
    let line = said(dash, finding, usize::MAX);
    let [(role, sign), (_, title), (_, sure)] = line.as_slice() else { return vec![line] };
    let mut lines = wrapped(*role, title, columns.saturating_sub(2));
    for (n, line) in lines.iter_mut().enumerate() {
        line.insert(0, part(*role, if n == 0 { sign.as_str() } else { "  " }));
    }
    let room = usize::from(columns).saturating_sub(width(sure));
    match lines.last_mut() {
        Some(last) if last.iter().map(|(_, text)| width(text)).sum::<usize>() <= room => {
            last.push(part(Role::Muted, sure))
        }
        _ => lines.push(vec![part(Role::Muted, sure)]),
    }
    lines
}

/// The ways to view; gives how many lines they took.
fn methods(pen: &mut Pen<'_>, area: Rect, dash: &Dash) -> u16 {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    let titles = format!("{:<10}{:>6}  {:>9}  {:<20}  {}", "METHOD", "FLOWS", "RATE", "LAST 60 S", "HEALTH");
    pen.text(inner, Role::Muted, &titles);
    let ways = METHODS.into_iter().zip(&dash.snapshot.ways);
    for (n, (place, (class, way))) in rows(inner).skip(1).zip(ways).enumerate() {
        let name = part(
            if way.flows > 0 { Role::Accent } else { Role::Muted },
            format!("{:<10}", format!("{} {}", dash.theme.class(class), class.name())),
        );
        if way.flows == 0 {
            pen.line(place, &[name, part(Role::Muted, format!("{:>6}", dash.theme.pick("–", "-")))]);
            continue;
        }
        let history = dash.snapshot.history.rates(n, dash.snapshot.now, 60);
        let threes: Vec<f64> = history.chunks(3).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
        // of what is over, how much it was while it ran
        let now = history.iter().rev().take(3).sum::<f64>() / 3.0;
        let last = if dash.snapshot.phase == Phase::Ended { way.mean() } else { now };
        let rate = part(Role::Text, format!("{:>6}  {:>9}  ", Count(way.flows), BitRate(last).to_string()));
        let bars = part(Role::Accent, dash.theme.bars(&threes));
        let mut line = vec![name, rate, bars, part(Role::Text, "  ")];
        let room = usize::from(place.width).saturating_sub(columns(&line));
        line.extend(health(dash, way, room));
        pen.line(place, &line);
    }
    (METHODS.len() as u16 + 1).min(area.height)
}

/// How a way fares: what is wrong with it first, then what was measured, as far as there are columns for it.
fn health(dash: &Dash, way: &Way, room: usize) -> Vec<Part> {
    if way.held > 0 {
        let sign = dash.theme.sign(Severity::Error, true);
        return vec![part(Role::Error, format!("{sign} {} held, late or cut", Count(way.held)))];
    }
    let fault = way.fault.and_then(|at| dash.snapshot.findings.get(at)).map(|finding| {
        let sign = dash.theme.sign(finding.severity, true);
        let text = format!("{sign} {} {}", Count(way.at_fault), finding.kind.text());
        part(of_severity(finding.severity, true), text)
    });
    // an attempt that failed as it must is no fault, but not well either
    let failed = (fault.is_none() && way.failed > 0).then(|| {
        let (sign, role) = dash.theme.outcome(StepOutcome::Failed);
        part(role, format!("{sign} {} failed", Count(way.failed)))
    });
    let rtt = way.rtt.map(|rtt| format!("RTT {}", RoundTrip(rtt)));
    let again =
        (way.sent_again > 0).then(|| format!("re-sent {}", Percent(way.sent_again as f64 / way.frames.max(1) as f64)));
    let measured = rtt.into_iter().chain(again).map(|text| part(Role::Text, text));
    let mut parts: Vec<Part> = fault.into_iter().chain(failed).chain(measured).collect();
    if parts.is_empty() {
        let text = if way.answered { "ok" } else { dash.theme.pick("–", "-") };
        parts.push(part(Role::Text, text));
    }
    for (_, text) in parts.iter_mut().skip(1) {
        text.insert(0, ' ');
    }
    // half a number would be another one
    while parts.len() > 1 && columns(&parts) > room {
        parts.pop();
    }
    parts
}

/// How the allow-list stands, in counts.
fn allow_list(dash: &Dash) -> String {
    let count =
        |states: &[AllowState]| dash.snapshot.site.allow_list.iter().filter(|row| states.contains(&row.state)).count();
    let part = |state: AllowState, n: usize| (n > 0).then(|| format!("{n} {}", dash.theme.allow(state).0));
    let told = [
        part(AllowState::Working, count(&[AllowState::Working])),
        part(AllowState::Blocked, count(&[AllowState::Blocked])),
        part(AllowState::Partly, count(&[AllowState::Partly])),
        part(AllowState::Unclear, count(&[AllowState::Unclear])),
        part(AllowState::NotExercised, count(&[AllowState::NotExercised])),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// The recorders in words, one a line.
fn recorders(dash: &Dash) -> Vec<String> {
    let now = dash.snapshot.now;
    let span = |at: Timestamp| Span(now.since(at));
    let than = if dash.snapshot.phase == Phase::Ended { "before the end" } else { "ago" };
    let told = dash.snapshot.site.recorders.iter().map(|recorder| {
        let by = if recorder.given { "given" } else { "inferred" };
        let mut text = format!("{} ({by})", dash.mask.ip(recorder.ip));
        for (what, at) in [("active", recorder.last_active), ("registered", recorder.last_registered)] {
            if let Some(at) = at {
                text.push_str(&format!(", {what} {} {than}", span(at)));
            }
        }
        if recorder.response_sequence > 0 {
            text.push_str(&format!(", {}", Counted(recorder.response_sequence, "response")));
        }
        text
    });
    told.collect()
}

/// The site as a card; gives how many lines it took.
fn site(pen: &mut Pen<'_>, area: Rect, dash: &Dash) -> u16 {
    let (head, body) = split_top(area, 1);
    pen.heading(head, "SITE");
    let site = &dash.snapshot.site;
    let mut lines = Vec::new();
    let columns = body.width;
    let assumed = if site.product_assumed { " (assumed)" } else { "" };
    lines.extend(labelled("product", 12, Role::Text, &format!("{}{assumed}", site.product), columns));
    let recorders = recorders(dash);
    if recorders.is_empty() {
        lines.extend(labelled("recorder", 12, Role::Muted, "none seen", columns));
    }
    for recorder in recorders.iter().take(3) {
        lines.extend(labelled("recorder", 12, Role::Text, recorder, columns));
    }
    lines.extend(labelled("allow-list", 12, Role::Text, &allow_list(dash), columns));
    let line = &site.bandwidth;
    if let Some(used) = line.used_bit_rate {
        // what was seen is no uplink's rate
        let uplink = line.uplink_bit_rate.filter(|_| line.uplink_by != Some(UplinkBy::Seen));
        let uplink = uplink.map(|rate| format!(" of {}", BitRate(rate))).unwrap_or_default();
        lines.extend(labelled("sent out", 12, Role::Text, &format!("{}{uplink} at most", BitRate(used)), columns));
    }
    if let Some(session) = dash.snapshot.sessions.last() {
        let when = dash.zone.time_of_day(session.start);
        let story = format!("{when} {}", safe(&dash.mask.prose(&session.story)));
        lines.extend(labelled("last view", 12, Role::Text, &story, columns));
    }
    // what there is no room for is seen to be missing
    let room = usize::from(body.height);
    if let Some((_, last)) = lines
        .get_mut(room.saturating_sub(1)..)
        .filter(|rest| rest.len() > 1)
        .and_then(|rest| rest.first_mut()?.last_mut())
    {
        last.push_str(" …");
    }
    1 + pen.lines(body, &lines)
}

/// The same in a line or two.
fn site_in_short(pen: &mut Pen<'_>, area: Rect, dash: &Dash) -> u16 {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let recorders = recorders(dash);
    let first = recorders.first().map(|r| format!("recorder {r}")).unwrap_or_else(|| "no recorder seen".to_owned());
    let more = recorders.len().saturating_sub(1);
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    let allowed = allow_list(dash);
    let allowed = if allowed.is_empty() { allowed } else { format!("   allow-list {allowed}") };
    let one = format!("{first}{more}{allowed}");
    let fits = super::width(&one) <= usize::from(inner.width);
    let texts = if fits { vec![one] } else { vec![format!("{first}{more}"), allowed.trim_start().to_owned()] };
    let lines: Vec<Vec<Part>> = texts.iter().filter(|t| !t.is_empty()).map(|t| vec![part(Role::Text, t)]).collect();
    pen.lines(inner, &lines)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dash::snapshot::Snapshot;
    use crate::dash::testing;
    use crate::event::{Class, Kind};
    use crate::present::sample;

    #[test]
    fn an_attempt_that_failed_is_told_where_no_fault_is_claimed() {
        let mut snapshot = Snapshot { flows: Arc::new(testing::flows(1)), ..Snapshot::default() };
        let flow = snapshot.flows[0].clone();
        let mut session = sample::session();
        for step in &mut session.steps {
            (step.outcome, step.flow_ids) = (StepOutcome::Failed, vec![flow.id]);
        }
        snapshot.sessions = vec![session];
        snapshot.settle();
        let way = snapshot.ways.iter().find(|way| way.flows > 0).cloned().unwrap();
        let dash = testing::screen(snapshot, 80, 24);
        assert_eq!(health(&dash, &way, 10), [(Role::Error, "✗ 1 failed".to_owned())]);
    }

    #[test]
    fn a_way_is_ok_only_where_it_answered_and_no_fault_is_claimed() {
        let shown = |answers: u64, rtt: Option<f64>, claimed: Option<(f64, Severity)>| {
            let mut flow = testing::flows(1).remove(0);
            (flow.class, flow.payload, flow.rtt, flow.retransmissions) = (Class::Relay, [300, answers], rtt, None);
            let finding = claimed.map(|(confidence, severity)| FindingRecord {
                kind: Kind::TcpBlocked,
                confidence,
                severity,
                flow_ids: vec![flow.id],
                ..sample::findings().remove(0)
            });
            let findings = finding.into_iter().collect();
            let mut snapshot = Snapshot { flows: Arc::new(vec![flow]), findings, ..Snapshot::default() };
            snapshot.settle();
            let dash = testing::screen(snapshot, 80, 24);
            let parts = dash.snapshot.ways.iter().filter(|way| way.flows > 0).flat_map(|way| health(&dash, way, 30));
            parts.map(|(_, text)| text).collect::<String>()
        };
        assert_eq!(shown(2, None, None), "ok");
        assert_eq!(shown(0, None, None), "–");
        assert_eq!(shown(0, None, Some((0.9, Severity::Error))), "✗ 1 tcp-blocked");
        assert_eq!(shown(2, Some(0.000_019), Some((0.9, Severity::Warning))), "⚠ 1 tcp-blocked RTT 19 µs");
        assert_eq!(shown(2, None, Some((0.3, Severity::Error))), "ok");
        assert_eq!(shown(2, None, Some((0.9, Severity::Info))), "ok");
    }
}
