//! More of the selected flow, a tab at a time.
//!
//! ```text
//!  Summary  Evidence  TCP  TLS/HTTP  STUN/ICE  Packets ──────────
//!  class     relay video-up
//!  from      192.168.1.50:40001
//!  …
//! ```
//!
//! The packets are a ladder: what the originator sent on the left, what came back on the right.

use ratatui::layout::Rect;

use super::pen::{Part, Pen, labelled, part, split_top, width, wrapped};
use crate::dash::detail::{Detail, Line, Tab};
use crate::dash::state::{Dash, Hit};
use crate::dash::theme::{Role, of_severity};
use crate::evidence::ladder::{Rung, Step};
use crate::present::page::words;
use crate::text::safe::safe;
use crate::text::units::{Count, Counted};
use crate::time::SECOND;

/// Draws the pane.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let (head, body) = split_top(area, 1);
    let Some(pane) = dash.pane else { return };
    let rule = dash.theme.pick("─", "-").repeat(head.width.into());
    pen.text(head, Role::Muted, &rule);
    // with a blank around each name and a rule between them, if there is room
    let wide = Tab::ALL.iter().map(|tab| width(tab.text()) + 3).sum::<usize>() <= usize::from(head.width);
    let mut x = head.x;
    for tab in Tab::ALL {
        let text = if wide { format!(" {} ", tab.text()) } else { tab.text().to_owned() };
        let place = Rect { x, width: u16::try_from(width(&text)).unwrap_or(0), ..head }.intersection(head);
        pen.text(place, if *tab == pane.tab { Role::Strong } else { Role::Muted }, &text);
        if *tab == pane.tab {
            pen.select(place);
        }
        pen.hit(place, Hit::Tab(*tab));
        x = place.right() + 1;
    }
    let known = dash.snapshot.detail.as_deref().filter(|detail| Some(detail.flow) == dash.flow);
    let lines = match known {
        None => vec![vec![part(Role::Muted, if dash.flow.is_some() { "…" } else { "no flow is selected" })]],
        Some(detail) => text(dash, detail, pane.tab, body.width),
    };
    pen.scrolled(body, &lines, pane.scroll);
}

fn text(dash: &Dash, detail: &Detail, tab: Tab, columns: u16) -> Vec<Vec<Part>> {
    let (lines, empty) = match tab {
        Tab::Summary => (&detail.summary, "nothing is known of it"),
        Tab::Evidence => (&detail.evidence, "there is no evidence of what it is"),
        Tab::Tcp => (&detail.tcp, "it is not TCP"),
        Tab::Web => (&detail.web, "no TLS, QUIC, HTTP or DNS was seen on it"),
        Tab::Stun => (&detail.stun, "no STUN was seen on it"),
        Tab::Packets => return ladder(dash, detail, columns),
    };
    let mut told: Vec<Vec<Part>> = match tab {
        Tab::Evidence => found(dash, detail.flow, columns),
        _ => Vec::new(),
    };
    told.extend(lines.iter().flat_map(|line| labelled_line(dash, line, columns)));
    if told.is_empty() {
        told = wrapped(Role::Muted, empty, columns);
    }
    told
}

fn labelled_line(dash: &Dash, (label, text): &Line, columns: u16) -> Vec<Vec<Part>> {
    labelled(label, 14, Role::Text, &dash.mask.prose(text), columns)
}

/// What is found of the flow.
fn found(dash: &Dash, flow: u64, columns: u16) -> Vec<Vec<Part>> {
    let cites = dash.snapshot.findings.iter().filter(|finding| finding.flow_ids.contains(&flow));
    let mut lines = Vec::new();
    for finding in cites {
        let role = of_severity(finding.severity, finding.is_claim());
        let sign = dash.theme.sign(finding.severity, finding.is_claim());
        let text =
            format!("{} ({} {:.2})", safe(&dash.mask.prose(&finding.title)), finding.word.text(), finding.confidence);
        lines.extend(labelled(&format!("{sign} {}", finding.rule), 14, role, &text, columns));
        for evidence in &finding.evidence {
            let frame = evidence.frame.map(|frame| format!(" [frame {}]", Count(frame))).unwrap_or_default();
            let text = format!("{}{frame}", safe(&dash.mask.prose(&evidence.text)));
            lines.extend(labelled("", 14, Role::Text, &text, columns));
        }
    }
    lines
}

/// The packets that tell most, one a line, and what lies between them.
fn ladder(dash: &Dash, detail: &Detail, columns: u16) -> Vec<Vec<Part>> {
    let Some(steps) = &detail.packets else {
        return wrapped(Role::Muted, "the packets of this flow are not at hand", columns);
    };
    let title = format!("{:>9}  {:>10}  {:<4} {}", "FRAME", "AT", "WAY", "WHAT");
    let mut lines = vec![vec![part(Role::Muted, title)]];
    lines.extend(steps.iter().map(|step| match step {
        Step::Packet(rung) => rung_line(dash, detail, rung),
        Step::Gap { packets, bytes } => {
            let text = format!("{:>11}… {}, {}", "", Counted(*packets, "packet"), super::bytes_of(*bytes));
            vec![part(Role::Muted, text)]
        }
    }));
    lines
}

fn rung_line(dash: &Dash, detail: &Detail, rung: &Rung) -> Vec<Part> {
    let (right, left) = (dash.theme.pick("──▶", "-->"), dash.theme.pick("◀──", "<--"));
    let at = format!("{:.3} s", rung.ts.since(detail.begun) as f64 / SECOND as f64);
    let way = if rung.second { left } else { right };
    let cited = if rung.cited { dash.theme.pick("  ◂ evidence", "  < evidence") } else { "" };
    vec![
        part(Role::Muted, format!("{:>9}  {at:>10}  ", rung.frame)),
        part(if rung.second { Role::Info } else { Role::Accent }, format!("{way:<4} ")),
        part(Role::Text, words(rung)),
        part(Role::Warning, cited),
    ]
}
