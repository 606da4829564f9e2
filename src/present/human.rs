//! The summary as a person reads it in ten seconds: at most [`WIDTH`] columns and about forty lines.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use super::color::Style;
use super::is_vendor;
use super::safe::{safe, safe_name};
use super::summary::{ClassTotals, Summary, TopFlow};
use super::units::{BitRate, Bytes, Count, Percent, Span, confidence_word, glyph};
use crate::event::{Class, Rfc3339};

/// The widest line, in columns; only text that cannot be shortened (an advice, a file name) is wrapped to it.
pub const WIDTH: usize = 100;
/// The lines that the summary keeps to, by showing fewer of the largest flows.
const LINES: usize = 40;
/// Columns of a label such as `Capture`.
const LABEL: usize = 10;

/// Writes the summary.
pub fn write_summary(mut writer: impl Write, summary: &Summary, style: Style) -> io::Result<()> {
    let mut page = Page { lines: Vec::new(), style };
    facts(&mut page, summary);
    classes(&mut page, summary);
    let notes = notes(summary);
    let notes_length = notes.iter().map(|(_, text)| wrap(text, WIDTH - LABEL).len()).sum::<usize>() + 1;
    let room = LINES.saturating_sub(page.lines.len() + notes_length + 2);
    top(&mut page, &summary.top, room);
    if !notes.is_empty() {
        page.blank();
    }
    for (label, text) in &notes {
        page.labelled(label, text);
    }
    for line in &page.lines {
        writeln!(writer, "{line}")?;
    }
    writer.flush()
}

struct Page {
    lines: Vec<String>,
    style: Style,
}

impl Page {
    fn blank(&mut self) {
        self.lines.push(String::new());
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.lines.push(self.style.bold(text.trim_end()));
    }

    /// A label and its text, wrapped beneath itself.
    fn labelled(&mut self, label: &str, text: &str) {
        for (i, line) in wrap(text, WIDTH - LABEL).into_iter().enumerate() {
            let label = format!("{:<LABEL$}", if i == 0 { label } else { "" });
            self.lines.push(format!("{}{line}", self.style.bold(&label)));
        }
    }

    fn warning(&mut self, text: &str) {
        for (i, line) in wrap(text, WIDTH - 2).into_iter().take(2).enumerate() {
            let line = format!("{} {line}", if i == 0 { '⚠' } else { ' ' });
            self.lines.push(self.style.warning(&line));
        }
    }
}

/// Breaks text at blanks into lines of at most `width` columns; a longer word is broken where it must.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        let blank = usize::from(used > 0);
        used += blank;
        if let Some(line) = lines.last_mut().filter(|_| blank == 1) {
            line.push(' ');
        }
        for c in word.chars() {
            if used == width {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += 1;
        }
    }
    lines
}

/// How many warnings are shown before the rest is only counted.
const WARNINGS_MAX: usize = 4;

fn facts(page: &mut Page, summary: &Summary) {
    let quality = &summary.quality;
    for warning in quality.warnings.iter().take(WARNINGS_MAX) {
        page.warning(&safe(warning).to_string());
    }
    if let Some(more @ 1..) = quality.warnings.len().checked_sub(WARNINGS_MAX) {
        page.warning(&format!("and {more} more (all of them: --ndjson, capture_quality)"));
    }
    if let Some(first) = summary.files.first() {
        let more = summary.files.len() - 1;
        let more = if more > 0 { format!(" and {} more", Count(more as u64)) } else { String::new() };
        page.labelled("Capture", &format!("{}{more}", left_ellipsis(&safe(first).to_string(), 2 * (WIDTH - LABEL))));
    }
    if let (Some(first), Some(last)) = (quality.first, quality.last) {
        let text = format!("{} to {} UTC ({})", clock(first), clock(last), Span(last.since(first)));
        page.labelled("Time", &text);
    }
    let mut read = format!("{} frames, {}", Count(quality.frames), Bytes(quality.bytes));
    for link in &quality.link_types {
        let _ = write!(read, ", {}", safe(link));
    }
    let _ = write!(read, "; {} flows", Count(flows(summary)));
    page.labelled("Read", &read);
    if !quality.advice.is_empty() {
        page.labelled("Quality", &safe(&quality.advice).to_string());
    }
}

/// Date and time to the second.
fn clock(at: crate::time::Timestamp) -> String {
    Rfc3339(at).to_string().chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn flows(summary: &Summary) -> u64 {
    summary.classes.iter().map(|c| c.flows).sum()
}

fn classes(page: &mut Page, summary: &Summary) {
    if summary.classes.is_empty() {
        return;
    }
    page.heading(&format!(
        "{:<15} {:>11} {:>8} {:>8} {:>9}  {:<30} {}",
        "CLASS", "FLOWS", "UP", "DOWN", "MEAN RATE", "HOST, REGION", "CONFIDENCE"
    ));
    let (vendor, other): (Vec<_>, Vec<_>) = summary.classes.iter().partition(|c| is_vendor(c.class));
    for totals in vendor {
        let mut line = volumes(totals);
        let rate = totals.rate.map_or_else(|| "–".to_owned(), |r| BitRate(r).to_string());
        let _ = write!(line, " {rate:>9}  {:<30} {}", hosts(totals, 30), confidences(totals));
        let name = page.style.accent(&label(totals.class));
        page.lines.push(format!("{name}{line}"));
    }
    for totals in other {
        let line = format!("{}{}", label(totals.class), volumes(totals));
        page.lines.push(page.style.dim(&line));
    }
}

fn label(class: Class) -> String {
    format!("{:<15}", format!("{} {}", glyph(class), class.name()))
}

fn volumes(totals: &ClassTotals) -> String {
    let (up, down) = (Bytes(totals.payload_toserver), Bytes(totals.payload_toclient));
    format!(" {:>11} {up:>8} {down:>8}", Count(totals.flows))
}

fn hosts(totals: &ClassTotals, width: usize) -> String {
    let regions = match totals.regions.len() {
        0 => String::new(),
        1..=2 => totals.regions.iter().map(|r| safe_name(r).to_string()).collect::<Vec<_>>().join(" "),
        n => format!("{n} regions"),
    };
    let room = width.saturating_sub(if regions.is_empty() { 0 } else { regions.chars().count() + 2 });
    let host = match (totals.names, &totals.name) {
        (1, Some(name)) => left_ellipsis(&safe_name(name).to_string(), room),
        (0, _) => String::new(),
        (n, _) => format!("{} hosts", Count(n)),
    };
    let both =
        if host.is_empty() || regions.is_empty() { format!("{host}{regions}") } else { format!("{host}, {regions}") };
    left_ellipsis(&both, width)
}

fn confidences(totals: &ClassTotals) -> String {
    let (least, most) = (totals.confidence_min, totals.confidence_max);
    let word = confidence_word(least);
    if (most - least).abs() < 0.005 { format!("{least:.2} {word}") } else { format!("{least:.2}–{most:.2}") }
}

/// Keeps the end of a text that is wider than `width` columns.
fn left_ellipsis(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip((length + 1).saturating_sub(width)).collect();
    format!("…{tail}")
}

/// Columns for the two ends in a row of a flow.
const ENDS: usize = 40;
/// Columns of an originator that stands beside its responder: the longest IPv4 address.
const ORIGINATOR: usize = 15;
/// The fewest flows worth a list.
const TOP_MIN: usize = 3;

fn top(page: &mut Page, flows: &[TopFlow], room: usize) {
    let room = room.max(TOP_MIN);
    let mut rows = Vec::new();
    for flow in flows {
        let lines = flow_lines(flow);
        if rows.len() + lines.len() > room {
            break;
        }
        rows.extend(lines);
    }
    if rows.is_empty() {
        return;
    }
    let ends = format!("{:<ORIGINATOR$} RESPONDER", "ORIGINATOR");
    let title = "LARGEST FLOWS";
    page.heading(&format!(
        "{title:<15} {ends:<ENDS$} {:>7} {:>7} {:>9} {:<7} {}",
        "UP", "DOWN", "TIME", "SURE", "STATE"
    ));
    page.lines.extend(rows);
}

/// A flow's row; its responder goes on a second line where the two ends would not fit beside each other.
fn flow_lines(flow: &TopFlow) -> Vec<String> {
    let originator = flow.originator.to_string();
    let responder = responder(flow);
    let (ends, below) = if originator.len() <= ORIGINATOR {
        let room = ENDS - ORIGINATOR - 1;
        match (&flow.name, responder.chars().count() <= room) {
            (None, false) => (originator, Some(responder)),
            _ => (format!("{originator:<ORIGINATOR$} {}", left_ellipsis(&responder, room)), None),
        }
    } else {
        (originator, Some(responder))
    };
    let (up, down) = (Bytes(flow.up), Bytes(flow.down));
    let state = state(flow);
    let mut lines = vec![
        format!(
            "{} {ends:<ENDS$} {up:>7} {down:>7} {:>9} {:<7} {state}",
            label(flow.class),
            Span(flow.end.since(flow.start)),
            confidence_word(flow.confidence),
        )
        .trim_end()
        .to_owned(),
    ];
    if let Some(responder) = below {
        lines.push(format!("{:<16}→ {}", "", left_ellipsis(&responder, WIDTH - 18)));
    }
    lines
}

/// Name or address, and port; an address is at most 47 characters with its port.
fn responder(flow: &TopFlow) -> String {
    match (&flow.name, flow.responder_port, flow.responder) {
        (Some(name), Some(port), _) => format!("{}:{port}", safe_name(without_port(name))),
        (Some(name), None, _) => safe_name(name).to_string(),
        (None, Some(port), ip) => SocketAddr::from((ip, port)).to_string(),
        (None, None, IpAddr::V4(ip)) => ip.to_string(),
        (None, None, IpAddr::V6(ip)) => ip.to_string(),
    }
}

/// A `Host` header may carry the port already.
fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => name,
    }
}

/// How a flow stands, in a word.
fn state(flow: &TopFlow) -> &'static str {
    if flow.one_sided {
        return "1-sided";
    }
    match flow.conn_state {
        None => "",
        Some("S0" | "SH") => "no answer",
        Some("S1" | "S2" | "S3") => "open",
        Some("SF") => "closed",
        Some("REJ") => "refused",
        Some("RSTO" | "RSTR" | "RSTOS0" | "RSTRH") => "reset",
        Some("OTH") => "midway",
        Some(other) => other,
    }
}

/// What to say beneath: what to do next, why flows are unknown, what is damaged.
fn notes(summary: &Summary) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    if let Some(next) = next_step(summary) {
        notes.push(("Next", next.to_owned()));
    }
    if !summary.unknown_reasons.is_empty() {
        notes.push(("Unknown", tally(summary.unknown_reasons.iter().map(|(k, v)| (*k, *v)))));
    }
    let quality = &summary.quality;
    let mut damage = Vec::new();
    let undecoded: u64 = quality.undecoded.values().sum();
    if undecoded > 0 {
        let reasons = tally(quality.undecoded.iter().map(|(k, v)| (*k, *v)));
        damage.push(format!("{} frames not decoded ({reasons})", Count(undecoded)));
    }
    if quality.cut_frames > 0 {
        damage.push(format!("{} frames cut", Count(quality.cut_frames)));
    }
    if quality.missed_bytes > 0 {
        damage.push(format!("{} acknowledged but not captured", Bytes(quality.missed_bytes)));
    }
    let drops = [quality.kernel_drops, quality.interface_drops, Some(quality.queue_drops)];
    let drops = drops.iter().flatten().fold(0, |sum: u64, n| sum.saturating_add(*n));
    if drops > 0 {
        damage.push(format!("{} frames dropped", Count(drops)));
    }
    if quality.duplicate_share >= 0.001 {
        damage.push(format!("{} mirrored twice", Percent(quality.duplicate_share)));
    }
    if quality.one_sided_share >= 0.001 {
        damage.push(format!("{} of TCP flows one-sided", Percent(quality.one_sided_share)));
    }
    if !damage.is_empty() {
        notes.push(("Damage", damage.join(", ")));
    }
    notes
}

/// `12 midstream, 3 no-name`, most first; at most eight, the rest counted.
fn tally(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let rest: u64 = counts.iter().skip(8).map(|(_, n)| n).sum();
    let mut parts: Vec<_> = counts.iter().take(8).map(|(name, n)| format!("{} {name}", Count(*n))).collect();
    if rest > 0 {
        parts.push(format!("{} other", Count(rest)));
    }
    parts.join(", ")
}

/// What to do when the capture does not show what one came for.
fn next_step(summary: &Summary) -> Option<&'static str> {
    if summary.quality.frames == 0 {
        return Some(
            "The capture is empty. Check that the mirror port was up, and that no capture filter kept everything \
             out; then capture again.",
        );
    }
    if summary.classes.is_empty() {
        return Some(
            "No frame belongs to an IP flow. Check that the mirror port carries the recorder's traffic, and that the \
             link type is one that can be read.",
        );
    }
    if summary.classes.iter().all(|c| c.class == Class::Unknown) {
        return Some(
            "No flow could be named. Capture from before the recorder or viewer connects, with its DNS, and with \
             whole frames (no snap length): names are in the first packets of a flow.",
        );
    }
    if !summary.classes.iter().any(|c| is_vendor(c.class)) {
        return Some(
            "No traffic of the video system was seen. Check that the mirror port carries the recorder or the \
             viewer, and capture while a camera is viewed; `relayscope catalog` lists the hosts to look for.",
        );
    }
    None
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
