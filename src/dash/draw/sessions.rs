//! Each attempt to view, as the vendor's client makes it: which ways were tried, and where it left the shortest.
//!
//! ```text
//!  SESSIONS  1 of 2 ───────────────────────────────────────────────
//!  ✗ 10:00:04  12 s  direct – lsf – p2p ✗ relay ✗  192.168.1.50 to 10.0.0.7
//!
//!  THE WAY ──────────────────────────────────────────────────────
//!  – direct   not tried
//!  ✗ p2p      10:00:04  3.1 s   UDP 3478 is not answered
//!  ✗ relay    10:00:07  9.0 s   the stream is held
//! ```

use ratatui::layout::Rect;

use super::pen::{Part, Pen, labelled, part, split_top, width, wrapped};
use super::{columns, place_of, shown};
use crate::dash::state::{Dash, Hit};
use crate::dash::theme::Role;
use crate::event::{SessionRecord, StepOutcome};
use crate::text::safe::safe;
use crate::text::units::{BitRate, Counted, Span};

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let sessions = &dash.snapshot.sessions;
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    if sessions.is_empty() {
        let text = "No attempt to view was seen. Open the video while packets are captured: on the recorder's side, or on the viewer's.";
        let lines = wrapped(Role::Muted, text, area.width);
        pen.lines(area, &lines);
        return;
    }
    let lines = u16::try_from(sessions.len()).unwrap_or(u16::MAX).saturating_add(1);
    let (list, below) = split_top(area, lines.min(area.height / 2).max(2));
    let (head, body) = split_top(list, 1);
    pen.heading(head, &format!("SESSIONS  {}", place_of(dash.cursor(), sessions.len())));
    for (n, place) in shown(body, dash.cursor(), sessions.len()) {
        let Some(session) = sessions.get(n) else { continue };
        let line = line(dash, session, place.width.into());
        pen.line(place, &line);
        if n == dash.cursor() {
            pen.select(place);
        }
        pen.hit(place, Hit::Line(n));
    }
    if let Some(session) = sessions.get(dash.cursor()) {
        story(pen, split_top(below, 1).1, dash, session);
    }
}

/// An attempt in a line: how it ended and what became of each way, then who took part, as far as there are columns for
/// it.
fn line(dash: &Dash, session: &SessionRecord, room: usize) -> Vec<Part> {
    let failed = session.steps.iter().any(|step| step.outcome == StepOutcome::Failed);
    let outcome = match session.path {
        Some(_) => StepOutcome::Worked,
        None if failed => StepOutcome::Failed,
        None => StepOutcome::Unclear,
    };
    let (sign, role) = sign_of(dash, session, outcome, true);
    let when = format!(
        " {}  {:>8} ",
        dash.zone.time_of_day(session.start),
        Span(session.end.since(session.start)).to_string()
    );
    let mut parts = vec![part(role, sign), part(Role::Text, when)];
    for step in &session.steps {
        let (sign, role) = sign_of(dash, session, step.outcome, session.path == Some(step.method));
        parts.push(part(role, format!(" {} {sign}", step.method.text())));
    }
    let end = |ip: Option<std::net::IpAddr>, unseen: &str| ip.map_or(unseen.to_owned(), |ip| dash.mask.ip(ip));
    let who = |viewer: &str| format!("  {} to {}", end(session.recorder, "a recorder"), end(session.client, viewer));
    let rate = session.bit_rate.map(|rate| format!("  {}", BitRate(rate))).unwrap_or_default();
    // half an address would be another one; the story beneath has what is left out
    let room = room.saturating_sub(columns(&parts));
    let more =
        [format!("{rate}{}", who("a viewer elsewhere")), format!("{rate}{}", who("elsewhere")), who("elsewhere"), rate];
    parts.extend(more.into_iter().find(|more| width(more) <= room).map(|more| part(Role::Text, more)));
    parts
}

/// The sign of an attempt, or of a way; `carried`: it is what carried the video, of which it may not be seen whether it
/// arrives.
fn sign_of(dash: &Dash, session: &SessionRecord, outcome: StepOutcome, carried: bool) -> (&'static str, Role) {
    match outcome {
        StepOutcome::Worked if session.unseen && carried => (dash.theme.pick("↑", "^"), Role::Text),
        _ => dash.theme.outcome(outcome),
    }
}

/// The way that the attempt took.
fn story(pen: &mut Pen<'_>, area: Rect, dash: &Dash, session: &SessionRecord) {
    let (head, body) = split_top(area, 1);
    pen.heading(head, "THE WAY");
    let prose = |text: &str| safe(&dash.mask.prose(text)).to_string();
    let mut lines = wrapped(Role::Strong, &prose(&session.story), body.width);
    lines.push(Vec::new());
    for step in &session.steps {
        let carried = session.path == Some(step.method);
        let (sign, role) = sign_of(dash, session, step.outcome, carried);
        let when = step
            .start
            .zip(step.end)
            .map(|(a, b)| format!("{}  {:>8}  ", dash.zone.time_of_day(a), Span(b.since(a)).to_string()));
        let flows = step.flow_ids.len() as u64 + step.flow_ids_omitted;
        let flows = if flows > 0 { format!(" ({})", Counted(flows, "flow")) } else { String::new() };
        let word = match step.outcome {
            StepOutcome::NotTried => "not tried",
            StepOutcome::Worked if session.unseen && carried => "sent",
            StepOutcome::Worked => "worked",
            StepOutcome::Failed => "failed",
            StepOutcome::Unclear => "unclear",
        };
        let text = format!("{}{word}{flows}  {}", when.unwrap_or_default(), prose(&step.reason));
        let mut told = labelled(&format!("{sign} {}", step.method.text()), 10, Role::Text, text.trim_end(), body.width);
        if let Some(label) = told.first_mut().and_then(|line| line.first_mut()) {
            label.0 = role;
        }
        lines.extend(told);
    }
    if let Some(row) = &session.table {
        lines.extend(labelled(
            "",
            10,
            Role::Muted,
            &format!("nearest in the vendor's table: {}", row.what()),
            body.width,
        ));
    }
    pen.hit(body, Hit::Detail);
    pen.scrolled(body, &lines, dash.scroll);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::testing::{busy, screen};
    use crate::event::Method;
    use crate::present::sample;

    #[test]
    fn every_ways_outcome_is_seen_before_who_took_part() {
        let dash = screen(busy(10), 80, 24);
        let mut session = sample::session();
        (session.recorder, session.client) = (Some("192.168.111.150".parse().unwrap()), None);
        (session.path, session.bit_rate) = (None, Some(9_990_000.0));
        let step = session.steps[0].clone();
        let ways = [Method::Direct, Method::Lsf, Method::P2p, Method::Relay];
        session.steps = ways
            .map(|method| crate::event::SessionStep { method, outcome: StepOutcome::Failed, ..step.clone() })
            .into();
        let told = |room| line(&dash, &session, room).into_iter().map(|(_, text)| text).collect::<String>();
        let all = " direct ✗ lsf ✗ p2p ✗ relay ✗";
        assert!(
            told(100).ends_with(&format!("{all}  10 Mb/s  192.168.111.150 to a viewer elsewhere")),
            "{}",
            told(100)
        );
        assert!(told(78).contains(all) && width(&told(78)) <= 78, "{}", told(78));
        assert!(told(58).contains(all) && !told(58).contains("192."), "{}", told(58));
    }
}
