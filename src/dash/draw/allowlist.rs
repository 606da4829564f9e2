//! What must be allowed, row by row of the catalogue, and whether the capture shows that it is.
//!
//! ```text
//!  ALLOW-LIST  3 of 24   11 work, 1 blocked, 12 not seen ──────────────────────────
//!  ✓ working  *.u5fgb.com            TCP 443   required   video by relay
//!  ✗ blocked  restapi.gp4f.com       TCP 443   required   reset by the other side
//! ```

use ratatui::layout::Rect;

use super::pen::{Pen, fit, labelled, part, split_top, wrapped};
use super::{place_of, shown, width};
use crate::dash::state::{Dash, Hit};
use crate::dash::theme::Role;
use crate::event::{AllowRow, AllowState};
use crate::present::human::left_ellipsis;
use crate::text::safe::safe;
use crate::text::units::Count;

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let rows = &dash.snapshot.site.allow_list;
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    if rows.is_empty() {
        let lines = wrapped(Role::Muted, "Nothing is known yet of what must be allowed here.", area.width);
        pen.lines(area, &lines);
        return;
    }
    let (list, below) = split_top(area, area.height.saturating_sub(7).max(4));
    let (head, body) = split_top(list, 1);
    let count = |state: AllowState| rows.iter().filter(|row| row.state == state).count();
    let told = format!(
        "ALLOW-LIST  {}   {} work, {} blocked, {} partly, {} not tried",
        place_of(dash.cursor(), rows.len()),
        count(AllowState::Working),
        count(AllowState::Blocked),
        count(AllowState::Partly),
        count(AllowState::NotExercised)
    );
    pen.heading(head, &told);
    let pattern = rows.iter().map(|row| width(&row.pattern)).max().unwrap_or(0).min(usize::from(area.width / 2));
    let ports = rows.iter().map(|row| width(&row.ports.join(" "))).max().unwrap_or(0).min(22);
    for (n, place) in shown(body, dash.cursor(), rows.len()) {
        let Some(row) = rows.get(n) else { continue };
        let (sign, role) = dash.theme.allow(row.state);
        let rest = if row.how.is_empty() { &row.purpose } else { &row.how };
        let line = [
            part(role, format!("{sign} {:<10}", row.state.spoken())),
            // the end of a name says whose it is
            part(Role::Text, format!("{}  ", fit(&left_ellipsis(&safe(&row.pattern).to_string(), pattern), pattern))),
            part(Role::Muted, format!("{}  ", fit(&row.ports.join(" "), ports))),
            part(Role::Text, safe(&dash.mask.prose(rest))),
        ];
        pen.line(place, &line);
        if n == dash.cursor() {
            pen.select(place);
        }
        pen.hit(place, Hit::Line(n));
    }
    if let Some(row) = rows.get(dash.cursor()) {
        about(pen, below, dash, row);
    }
}

fn about(pen: &mut Pen<'_>, area: Rect, dash: &Dash, row: &AllowRow) {
    let (head, body) = split_top(area, 1);
    pen.heading(head, &format!("{} ({}, {})", row.pattern, row.requirement, row.ports.join(", ")));
    let mut lines = labelled("for", 10, Role::Text, &row.purpose, body.width);
    if !row.how.is_empty() {
        lines.extend(labelled(
            row.state.spoken(),
            10,
            Role::Error,
            &safe(&dash.mask.prose(&row.how)).to_string(),
            body.width,
        ));
    }
    if !row.names.is_empty() {
        let names: Vec<String> = row.names.iter().map(|name| dash.mask.name(name)).collect();
        lines.extend(labelled("seen", 10, Role::Text, &names.join(" "), body.width));
    }
    let frame = row.frame.map(|frame| format!("frame {}", Count(frame)));
    let at: Vec<String> = row.last.map(|last| dash.zone.clock(last)).into_iter().chain(frame).collect();
    if !at.is_empty() {
        lines.extend(labelled("last", 10, Role::Text, &at.join(", "), body.width));
    }
    lines.extend(labelled("source", 10, Role::Muted, &row.sources.join("; "), body.width));
    pen.lines(body, &lines);
}
