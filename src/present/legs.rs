//! Two captures compared: for people, as NDJSON, as one JSON document.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;

use super::Format;
use super::color::Style;
use super::human::{Page, left_ellipsis, wrap};
use super::ndjson::{Ndjson, write_json};
use super::{is_vendor, verdict};
use crate::event::{ClockRecord, FlowRef, JoinedFlow, LegRecord, Passage, Passed, SCHEMA_VERSION};
use crate::legs::Comparison;
use crate::text::safe::{safe, safe_name};
use crate::text::units::{Bytes, Count, Counted, Span, glyph};
use crate::text::zone::Zone;

/// How many flows are shown to people.
const ROWS: usize = 24;

/// Writes a comparison of the captures that were read from `files`, the inner one's and the outer one's.
///
/// # Errors
/// What writing gives; a closed pipe is [`io::ErrorKind::BrokenPipe`].
pub fn write(
    mut out: impl Write,
    format: Format,
    comparison: &Comparison,
    files: &[String; 2],
    style: Style,
) -> io::Result<()> {
    match format {
        Format::Ndjson => {
            let mut sink = Ndjson::new(&mut out);
            sink.record(&comparison.summary)?;
            comparison.flows.iter().try_for_each(|flow| sink.record(flow))?;
            comparison.findings.iter().try_for_each(|finding| sink.finding(finding))?;
        }
        Format::Json => {
            write!(out, "{{\"schema_version\":{SCHEMA_VERSION},\"legs\":")?;
            write_json(&mut out, &comparison.summary)?;
            out.write_all(b",\n\"joined_flows\":")?;
            write_json(&mut out, &comparison.flows)?;
            out.write_all(b",\n\"findings\":")?;
            write_json(&mut out, &comparison.findings)?;
            out.write_all(b"}\n")?;
        }
        Format::Summary | Format::Csv => human(&mut out, comparison, files, style)?,
    }
    out.flush()
}

fn human(out: &mut impl Write, comparison: &Comparison, files: &[String; 2], style: Style) -> io::Result<()> {
    let mut page = Page { lines: Vec::new(), style };
    let summary = &comparison.summary;
    if comparison.findings.is_empty() && summary.start.is_some() && summary.warnings.is_empty() {
        page.lines.extend(wrap(&without_fault(&comparison.flows, style), style.width()));
    }
    verdict::tell(&mut page.lines, &comparison.findings.iter().collect::<Vec<_>>(), "--ndjson", style);
    if !page.lines.is_empty() {
        page.blank();
    }
    for warning in &summary.warnings {
        page.warning(&safe(warning).to_string());
    }
    let [lan, wan] = files;
    page.labelled("Inner", &capture(lan, &summary.lan, style.zone));
    page.labelled("Outer", &capture(wan, &summary.wan, style.zone));
    if let Some(known) = &summary.clock {
        page.labelled("Clocks", &clocks(known));
    }
    if let (Some(start), Some(end)) = (summary.start, summary.end) {
        let begin = format!("{} {}", style.zone.clock(start), style.zone.name(start));
        page.labelled("Common", &format!("{begin} for {}, by the inner clock", Span(end.since(start))));
    }
    let counts = [
        (summary.joined, "in both"),
        (summary.pooled, "known by destination only"),
        (summary.lan_only, "only inside"),
        (summary.wan_only, "only outside"),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", Count(*n)));
    page.labelled("Flows", &counts.collect::<Vec<_>>().join(", "));
    table(&mut page, &comparison.flows);
    for line in &page.lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What can honestly be said where nothing is found: a flow of the system that does not come out may have been refused,
/// which the inner capture alone shows.
fn without_fault(flows: &[JoinedFlow], style: Style) -> String {
    let lost = |flow: &&JoinedFlow| is_vendor(flow.class) && matches!(flow.passed, Passed::Unclear | Passed::NotSeen);
    match flows.iter().filter(lost).count() {
        0 => style.ok("✓ What goes in on one side comes out on the other, as far as both captures show."),
        n => format!(
            "· Nothing is proved to be held back, but of {} of the system not all is seen to come out: `analyze` of the \
             inner capture tells more.",
            Counted(n as u64, "flow")
        ),
    }
}

fn capture(files: &str, leg: &LegRecord, zone: Zone) -> String {
    let mut text = format!("{}: {}, {}", safe(files), Counted(leg.frames, "frame"), Counted(leg.flows, "flow"));
    if let Some(first) = leg.first {
        let _ = write!(text, ", from {} {}", zone.clock(first), zone.name(first));
    }
    if leg.missed_bytes > 0 {
        let _ = write!(text, "; {} acknowledged but not captured", Bytes(leg.missed_bytes));
    }
    text
}

fn clocks(known: &ClockRecord) -> String {
    let by = match known.by {
        "packets" => format!("by {} that are in both", Counted(known.agreeing, "packet")),
        _ => format!("by {} to the same names", Counted(known.agreeing, "flow")),
    };
    let (ahead, off) = (known.wan_ahead, known.uncertainty);
    let stands = match ahead.abs() <= off {
        true => "agree".to_owned(),
        false => format!("{} is {} ahead", if ahead > 0.0 { "the outer" } else { "the inner" }, span(ahead.abs())),
    };
    format!("{stands} (± {}, {by})", span(off))
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 600.0 => format!("{s:.3} s"),
        s => Span::of_seconds(s).to_string(),
    }
}

/// How near the end of a list a flow stands: faults first, then what a box has passed on, the largest first.
fn order(flow: &JoinedFlow) -> (u8, std::cmp::Reverse<u64>) {
    let rank = match flow.passed {
        Passed::Held | Passed::Late => 0,
        Passed::Unclear => 1,
        Passed::Through => 2,
        Passed::NotSeen => 3,
        Passed::Same => 4,
    };
    let amounts = [flow.toserver, flow.toclient].map(|way| way.put_in.max(way.come_out));
    (rank, std::cmp::Reverse(amounts.iter().fold(0, |sum, n| sum.saturating_add(*n))))
}

fn table(page: &mut Page, flows: &[JoinedFlow]) {
    if flows.is_empty() {
        return;
    }
    let mut flows: Vec<&JoinedFlow> = flows.iter().collect();
    flows.sort_by_key(|flow| order(flow));
    let narrow = page.style.is_narrow();
    let wide = if narrow { 20 } else { 34 };
    page.heading(&row("CLASS", "INNER END", "HOST", wide, "UP IN → OUT", "DOWN IN → OUT", "PASSED"));
    for flow in flows.iter().take(ROWS) {
        let class = format!("{} {}", glyph(flow.class), flow.class.name());
        let host = flow.host.as_ref().map_or_else(|| flow.lan.dest_ip.to_string(), |name| safe_name(name).to_string());
        let host = match flow.lan.dest_port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let from = left_ellipsis(&originator(&flow.lan), 21);
        let (up, down) = (amounts(flow.toserver), amounts(flow.toclient));
        let line = row(&class, &from, &left_ellipsis(&host, wide), wide, &up, &down, word(flow));
        page.lines.push(match flow.passed {
            Passed::Held | Passed::Late => page.style.error(&line),
            Passed::Unclear | Passed::NotSeen => page.style.warning(&line),
            Passed::Through => line,
            Passed::Same => page.style.dim(&line),
        });
    }
    if let Some(more @ 1..) = flows.len().checked_sub(ROWS) {
        let more = page.style.dim(&format!("and {} more (all of them: --ndjson)", Count(more as u64)));
        page.lines.push(more);
    }
}

fn row(class: &str, from: &str, host: &str, wide: usize, up: &str, down: &str, passed: &str) -> String {
    format!("{class:<14} {from:<21} {host:<wide$} {up:>15} {down:>15}  {passed}")
}

fn originator(flow: &FlowRef) -> String {
    match flow.src_port {
        Some(port) => SocketAddr::from((flow.src_ip, port)).to_string(),
        None => flow.src_ip.to_string(),
    }
}

fn amounts(way: Passage) -> String {
    format!("{} → {}", Bytes(way.put_in), Bytes(way.come_out))
}

fn word(flow: &JoinedFlow) -> &'static str {
    match flow.passed {
        Passed::Same => "unchanged",
        Passed::Through => "through a box",
        // what has come out in the end is held no longer
        Passed::Held if [flow.toserver, flow.toclient].iter().all(|way| way.come_out >= way.put_in / 10 * 9) => {
            "WAS HELD"
        }
        Passed::Held => "HELD",
        Passed::Late => "ONE LATE",
        Passed::Unclear => "unclear",
        Passed::NotSeen => "not seen outside",
    }
}
