//! The picture of a flow: how many bytes had come each way when, as SVG that stands within the page.

use crate::evidence::Scene;
use crate::flow::trace::Line;
use crate::text::units::{Bytes, Span};
use crate::time::Timestamp;

/// The drawing's width, in its own units.
pub const WIDTH: u32 = 640;
/// The height of one direction's panel.
const PANEL: u32 = 74;
/// What is left free for words at the left.
const LEFT: u32 = 74;
/// And at the right.
const RIGHT: u32 = 12;
/// And above each panel.
const ABOVE: u32 = 20;

/// A picture of a flow.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, for those who cannot see it.
    pub about: String,
    /// Originator and responder.
    pub panels: [Panel; 2],
    /// From where to where something was held, in the drawing's units.
    pub hold: Option<(u32, u32)>,
    /// How long that was.
    pub held: String,
    /// Moments along the bottom: place and text.
    pub ticks: Vec<(u32, String)>,
    /// The drawing's height.
    pub height: u32,
}

/// One direction.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What it is.
    pub title: &'static str,
    /// Bytes in all.
    pub total: String,
    /// The line's points.
    pub line: String,
    /// The same, closed to an area.
    pub area: String,
    /// Where it begins and ends, from above.
    pub top: u32,
    /// Its lower edge.
    pub bottom: u32,
}

/// Draws a flow; `hold` is from when to when something was held, if it was. `None` where there is nothing to draw.
pub fn chart(scene: &Scene, hold: Option<(Timestamp, Timestamp)>) -> Option<Chart> {
    let flow = &scene.flow;
    let [orig, resp] = &scene.trace.sides;
    let lines = [&orig.sent, &resp.sent];
    let end = hold.map_or(flow.last, |(_, until)| until.max(flow.last));
    let span = end.since(flow.first).max(1);
    if lines.iter().all(|line| line.total() == 0) {
        return None;
    }
    let x = |since: u64| place(since, span);
    let panel = |n: u32, title, line: &Line| {
        let top = ABOVE + n * (PANEL + ABOVE);
        let bottom = top + PANEL;
        let points = points(line, span, top, bottom);
        let area = format!("{LEFT},{bottom} {points} {},{bottom}", WIDTH - RIGHT);
        Panel { title, total: Bytes(line.total()).to_string(), line: points, area, top, bottom }
    };
    let panels = [panel(0, "from originator", &orig.sent), panel(1, "from responder", &resp.sent)];
    let within = |at: Timestamp| x(at.since(flow.first).min(span));
    let hold_at = hold.filter(|(from, until)| until > from).map(|(from, until)| (within(from), within(until)));
    let held = hold.map(|(from, until)| Span(until.since(from)).to_string()).unwrap_or_default();
    let hold_words = if hold_at.is_some() { format!(" Held back for {held}.") } else { String::new() };
    let about = format!(
        "Bytes over {}: {} from the originator, {} from the responder.{hold_words}",
        Span(span),
        Bytes(orig.sent.total()),
        Bytes(resp.sent.total())
    );
    let ticks = (0..=4u64).map(|n| (x(span / 4 * n), Span(span / 4 * n).to_string())).collect();
    let height = ABOVE + 2 * (PANEL + ABOVE) + 4;
    Some(Chart { about, panels, hold: hold_at.filter(|(a, b)| b > a), held, ticks, height })
}

/// A moment's place, from the left.
fn place(since: u64, span: u64) -> u32 {
    let room = u64::from(WIDTH - LEFT - RIGHT);
    let at = u128::from(since.min(span)) * u128::from(room) / u128::from(span.max(1));
    LEFT + u32::try_from(at).unwrap_or(0)
}

/// A line as steps, no more than one a unit of width.
fn points(line: &Line, span: u64, top: u32, bottom: u32) -> String {
    let total = line.total().max(1);
    let y = |bytes: u64| {
        let up = u128::from(bytes) * u128::from(bottom - top) / u128::from(total);
        bottom.saturating_sub(u32::try_from(up).unwrap_or(0))
    };
    let mut kept: Vec<(u32, u32)> = vec![(LEFT, bottom)];
    for (since, moment) in line.moments() {
        let (at, up) = (place(since, span), y(moment.bytes));
        match kept.last_mut() {
            Some(last) if last.0 == at => last.1 = up,
            _ => kept.push((at, up)),
        }
    }
    let mut text = String::new();
    let mut before = bottom;
    for (at, up) in &kept {
        text.push_str(&format!("{at},{before} {at},{up} "));
        before = *up;
    }
    text.push_str(&format!("{},{before}", WIDTH - RIGHT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Addr, Packet, proto};
    use crate::evidence::{Wanted, Watcher};
    use crate::source::{Frame, LinkType};
    use crate::time::SECOND;
    use std::collections::HashMap;

    #[test]
    fn nothing_to_draw_is_not_drawn_and_times_may_be_anything() {
        let ends = [(Addr::v4([10, 0, 0, 1]), 1), (Addr::v4([10, 0, 0, 2]), 2)];
        let flow =
            Wanted { flow_id: 1, proto: proto::TCP, ends, first_frame: 1, first: Timestamp(5), last: Timestamp(5) };
        let mut watcher = Watcher::new(vec![flow], HashMap::new());
        watcher.frame(1, &Frame { ts: Timestamp(5), link: LinkType(1), len: 9, bytes: &[0; 9] });
        let scene = watcher.scenes().remove(&1).unwrap();
        assert!(chart(&scene, Some((Timestamp(9), Timestamp(1)))).is_none());
        let mut traces = crate::flow::trace::Traces::default();
        let datagram = |at: u64| Packet { ts: Timestamp(at), proto: proto::UDP, payload_len: 100, ..Packet::default() };
        traces.packet(0, false, Timestamp(5), &datagram(5), &[]);
        traces.packet(0, false, Timestamp(5), &datagram(u64::MAX), &[]);
        let drawn = Scene { trace: traces.get(0).unwrap().clone(), ..scene };
        let chart = chart(&drawn, Some((Timestamp(0), Timestamp(9 * SECOND)))).unwrap();
        assert!(chart.panels[0].line.split(' ').all(|point| {
            let (x, y) = point.split_once(',').unwrap();
            x.parse::<u32>().unwrap() <= WIDTH && y.parse::<u32>().unwrap() <= chart.height
        }));
    }
}
