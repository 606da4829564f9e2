//! What is wrong, the gravest and surest first; the selected one with its evidence beside it, or beneath.
//!
//! ```text
//!  FINDINGS  1 of 4 ──────────────────────   CF-1 content-filter-stall buffer-all ──────────
//!  ✗ Video is being held by a content …      Video is being held by a content filter on …
//!  ⚠ P2P unavailable: UDP 3478 …             sure       high 0.86
//!  ? Perhaps: …                              what to do …
//!                                            evidence   … [frame 1 204, 00:00:12.3]
//!                                            wrong if   …
//!                                            source     …
//! ```

use ratatui::layout::Rect;

use super::pen::{Part, Pen, labelled, split_top, wrapped};
use super::{halves, no_fault, place_of, said, shown, stacked};
use crate::dash::state::{Dash, Hit};
use crate::dash::theme::Role;
use crate::event::FindingRecord;
use crate::present::page::arrives;
use crate::text::safe::safe;
use crate::text::units::{Count, Counted, RoundTrip, Span};
use crate::time::SECOND;

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let findings = &dash.snapshot.findings;
    if findings.is_empty() {
        let (role, text) = no_fault(dash);
        pen.text(Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, role, &text);
        return;
    }
    let (list, text) = if area.width >= 120 {
        halves(pen, area, dash, 400)
    } else {
        // no more than what is found takes, unless it was set
        let lines = u16::try_from(findings.len()).unwrap_or(u16::MAX).saturating_add(1);
        stacked(pen, area, dash, lines.min(area.height / 3))
    };
    let (head, body) = split_top(list, 1);
    let inner = |area: Rect| Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    pen.heading(inner(head), &format!("FINDINGS  {}", place_of(dash.cursor(), findings.len())));
    for (n, place) in shown(inner(body), dash.cursor(), findings.len()) {
        let Some(finding) = findings.get(n) else { continue };
        let line = said(dash, finding, place.width.into());
        pen.line(place, &line);
        if n == dash.cursor() {
            pen.select(place);
        }
        pen.hit(place, Hit::Line(n));
    }
    if let Some(finding) = dash.selected_finding() {
        about(pen, inner(text), dash, finding);
    }
}

fn about(pen: &mut Pen<'_>, area: Rect, dash: &Dash, finding: &FindingRecord) {
    let (head, body) = split_top(area, 1);
    let mode = finding.mode.map(|mode| format!(", {}", mode.text())).unwrap_or_default();
    let lines = text(dash, finding, body.width);
    let room = usize::from(body.height);
    let scroll = dash.scroll.min(lines.len().saturating_sub(room));
    let below = lines.len().saturating_sub(scroll + room);
    let key =
        dash.keys.of(crate::dash::command::Command::ScrollDown).next().map(ToString::to_string).unwrap_or_default();
    let more = if below > 0 { format!("  {} below: {key}", Counted(below as u64, "line")) } else { String::new() };
    pen.heading(head, &format!("{} {}{mode}{more}", finding.rule, finding.kind.text()));
    pen.scrolled(body, &lines, dash.scroll);
}

/// All that is to be said of a finding.
fn text(dash: &Dash, finding: &FindingRecord, columns: u16) -> Vec<Vec<Part>> {
    let prose = |text: &str| safe(&dash.mask.prose(text)).to_string();
    let mut lines = wrapped(Role::Strong, &prose(&finding.title), columns);
    let mut add = |label: &str, role: Role, text: &str| lines.extend(labelled(label, 13, role, text, columns));
    add("what to do", Role::Text, &prose(&finding.advice));
    let first = dash.snapshot.quality.first.unwrap_or(finding.first);
    let moment = |at: crate::time::Timestamp| format!("{:.3} s", at.since(first) as f64 / SECOND as f64);
    for (n, evidence) in finding.evidence.iter().enumerate() {
        let frame = evidence.frame.map(|frame| format!("frame {}", Count(frame)));
        let time = evidence.time.map(moment);
        let at: Vec<String> = frame.into_iter().chain(time).collect();
        let at = if at.is_empty() { String::new() } else { format!(" [{}]", at.join(", ")) };
        add(if n == 0 { "evidence" } else { "" }, Role::Text, &format!("{}{at}", prose(&evidence.text)));
    }
    if finding.evidence_omitted > 0 {
        add("", Role::Muted, &format!("and {} more", Count(finding.evidence_omitted)));
    }
    let sure = format!(
        "{} {:.2}{}",
        finding.word.text(),
        finding.confidence,
        if finding.is_claim() { "" } else { ": a hint, no claim" }
    );
    add("sure", Role::Text, &sure);
    add("wrong if", Role::Text, &prose(&finding.disproved_if));
    if let Some(flow) = flow(dash, finding) {
        add("flow", Role::Text, &flow);
    }
    if let Some(id) = &finding.community_id {
        add("community", Role::Muted, id);
    }
    let seen = format!(
        "{}, first at {}, last {} later",
        Counted(finding.count, "time"),
        dash.zone.exact(finding.first),
        Span(finding.last.since(finding.first))
    );
    add("seen", Role::Text, &seen);
    if let Some(vantage) = finding.vantage {
        add("captured", Role::Text, vantage.spoken());
    }
    if let Some(middlebox) = &finding.middlebox {
        let ttl = middlebox.ttl.map(arrives);
        let rtt = middlebox.rtt.map(|rtt| format!("round trip {}", RoundTrip(rtt)));
        let texts = [&middlebox.via, &middlebox.issuer, &middlebox.product, &middlebox.text];
        let told: Vec<String> =
            ttl.into_iter().chain(rtt).chain(texts.into_iter().flatten().map(|t| prose(t))).collect();
        add("the box", Role::Text, &told.join("; "));
    }
    add("source", Role::Muted, &prose(&finding.source));
    lines
}

/// Between whom the flow is that a finding leads with, and of how many.
fn flow(dash: &Dash, finding: &FindingRecord) -> Option<String> {
    let (src, dst) = finding.src_ip.zip(finding.dest_ip)?;
    let host = finding.host.as_deref().map(|host| format!(" ({})", dash.mask.name(host))).unwrap_or_default();
    let (from, to) = (dash.mask.end(src, finding.src_port), dash.mask.end(dst, finding.dest_port));
    let flows = Counted(finding.flow_ids.len() as u64 + finding.flow_ids_omitted, "flow");
    let proto = finding.proto.as_deref().unwrap_or_default();
    Some(format!("{proto} {from} {} {to}{host}; {flows} in all", dash.theme.pick("→", ">")))
}
