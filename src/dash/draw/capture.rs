//! What the capture is worth to judge by.
//!
//! ```text
//!  ✓ Nothing speaks against this capture.
//!
//!  FRAMES ───────────────────────────────
//!  read            12 034 frames, 8.1 MB
//!  lost            kernel 0, interface 0, queue 0
//!  copies          0.0 %
//!  one direction   0.0 % of flows with payload
//!  cut             0 frames
//! ```

use ratatui::layout::Rect;

use super::pen::{Part, Pen, labelled, wrapped};
use crate::dash::state::Dash;
use crate::dash::theme::Role;
use crate::event::{Severity, Stats};
use crate::text::safe::safe;
use crate::text::units::{Bytes, Count, Counted, Percent, Span};

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let lines = text(dash, area.width);
    pen.scrolled(area, &lines, dash.scroll);
}

fn text(dash: &Dash, columns: u16) -> Vec<Vec<Part>> {
    let quality = &dash.snapshot.quality;
    let prose = |text: &str| safe(&dash.mask.prose(text)).to_string();
    let mut lines = Vec::new();
    let (role, sign) = if dash.snapshot.poor {
        (Role::Warning, dash.theme.sign(Severity::Warning, true))
    } else if quality.sound || quality.advice.is_empty() {
        (Role::Ok, dash.theme.pick("✓", "+"))
    } else {
        (Role::Info, dash.theme.sign(Severity::Info, true))
    };
    let advice = if quality.advice.is_empty() { "Nothing speaks against this capture." } else { &quality.advice };
    lines.extend(wrapped(role, &format!("{sign} {}", prose(advice)), columns));
    for warning in &quality.warnings {
        let sign = dash.theme.sign(Severity::Warning, true);
        lines.extend(wrapped(Role::Warning, &format!("{sign} {}", prose(warning)), columns));
    }
    lines.push(Vec::new());
    let facts = facts(dash).into_iter().chain(counts(&dash.snapshot.stats));
    lines.extend(facts.flat_map(|(label, text)| labelled(label, 16, Role::Text, &text, columns)));
    lines
}

/// What the capture is, and what it lacks.
fn facts(dash: &Dash) -> Vec<(&'static str, String)> {
    let quality = &dash.snapshot.quality;
    let mut facts = vec![("source", safe(&dash.mask.prose(&dash.snapshot.source)).to_string())];
    let mut add = |label, text| facts.push((label, text));
    if let (Some(first), Some(last)) = (quality.first, quality.last) {
        let zone = dash.zone;
        add("time", format!("{} to {} ({})", zone.exact(first), zone.exact(last), Span(last.since(first))));
    }
    add("read", format!("{}, {}", Counted(quality.frames, "frame"), Bytes(quality.bytes)));
    if let Some(rate) = dash.snapshot.frame_rate {
        add("comes", format!("{} a second", Counted(rate.round() as u64, "frame")));
    }
    add("link", quality.link_types.join(" "));
    let lost = |n: Option<u64>| n.map_or("not told".to_owned(), |n| Count(n).to_string());
    add(
        "lost",
        format!(
            "kernel {}, interface {}, queue {}",
            lost(quality.kernel_drops),
            lost(quality.interface_drops),
            Count(quality.queue_drops)
        ),
    );
    if let Some(queue) = dash.snapshot.queue {
        add("queue", format!("{} full", Percent(queue)));
    }
    add("mirror copies", Percent(quality.duplicate_share).to_string());
    let one_sided = Percent(quality.one_sided_share);
    add("one direction", format!("{one_sided} of TCP flows with payload ({})", Count(quality.one_sided_flows)));
    add("cut frames", Count(quality.cut_frames).to_string());
    if quality.earlier_frames > 0 {
        add("not in order", Counted(quality.earlier_frames, "frame").to_string());
    }
    add("missed", format!("{} that TCP acknowledged ({})", Bytes(quality.missed_bytes), Percent(quality.missed_share)));
    for (reason, count) in &quality.undecoded {
        add("not decoded", format!("{reason}: {}", Counted(*count, "frame")));
    }
    facts
}

/// What is known of it, and what there was no time for.
fn counts(stats: &Stats) -> Vec<(&'static str, String)> {
    let flows = [stats.flows, stats.active_flows, stats.evicted_flows].map(Count);
    let [all, at_hand, gone] = flows;
    let mut counts = vec![
        ("flows", format!("{all} in all, {at_hand} at hand, {gone} let go")),
        ("memory", Bytes(stats.memory_bytes).to_string()),
    ];
    if stats.shed_packets > 0 {
        counts.push(("passed over", Counted(stats.shed_packets, "packet").to_string()));
    }
    if stats.shed_frames > 0 {
        counts.push(("only counted", Counted(stats.shed_frames, "frame").to_string()));
    }
    counts
}
