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
use crate::event::{Rfc3339, Severity};
use crate::text::safe::safe;
use crate::text::units::{Bytes, Count, Counted, Percent, Span};

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let lines = text(dash, area.width);
    pen.scrolled(area, &lines, dash.scroll);
}

fn text(dash: &Dash, columns: u16) -> Vec<Vec<Part>> {
    let (quality, stats) = (&dash.snapshot.quality, &dash.snapshot.stats);
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
    let mut add = |label: &str, text: String| lines.extend(labelled(label, 16, Role::Text, &text, columns));
    add("source", prose(&dash.snapshot.source));
    if let (Some(first), Some(last)) = (quality.first, quality.last) {
        add("time", format!("{} to {} ({})", Rfc3339(first), Rfc3339(last), Span(last.since(first))));
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
    add(
        "flows",
        format!(
            "{} in all, {} at hand, {} let go",
            Count(stats.flows),
            Count(stats.active_flows),
            Count(stats.evicted_flows)
        ),
    );
    add("memory", Bytes(stats.memory_bytes).to_string());
    if stats.shed_packets > 0 {
        add("passed over", Counted(stats.shed_packets, "packet").to_string());
    }
    if stats.shed_frames > 0 {
        add("only counted", Counted(stats.shed_frames, "frame").to_string());
    }
    lines
}
