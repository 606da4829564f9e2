//! The summary as a person reads it in ten seconds: 80 or 100 columns and about forty lines.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use super::color::Style;
use super::summary::{ClassTotals, Summary, TopFlow};
use super::verdict::verdict;
use super::{is_vendor, site};
use crate::classify::words::Sub;
use crate::decode::Undecoded;
use crate::diagnose::Diagnosis;
use crate::event::{Class, Word};
use crate::text::safe::{safe, safe_name};
use crate::text::units::{BitRate, Bytes, Count, Counted, Percent, Span, glyph};

/// The lines that the summary keeps to, by showing fewer of the largest flows.
const LINES: usize = 40;
/// Columns of a label such as `Capture`.
const LABEL: usize = 10;

/// Writes the summary.
pub fn write_summary(mut writer: impl Write, summary: &Summary, style: Style) -> io::Result<()> {
    let mut page = Page { lines: verdict(summary, style), style };
    if !page.lines.is_empty() {
        page.blank();
    }
    facts(&mut page, summary);
    if let Some(diagnosis) = &summary.diagnosis {
        about_site(&mut page, diagnosis);
    }
    classes(&mut page, summary);
    let notes = notes(summary);
    let notes_length = notes.iter().map(|(_, text)| wrap(text, style.width() - LABEL).len()).sum::<usize>() + 1;
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

pub(super) struct Page {
    pub(super) lines: Vec<String>,
    pub(super) style: Style,
}

impl Page {
    pub(super) fn blank(&mut self) {
        self.lines.push(String::new());
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blank();
        self.lines.push(self.style.bold(text.trim_end()));
    }

    /// A label and its text, wrapped beneath itself.
    pub(super) fn labelled(&mut self, label: &str, text: &str) {
        for (i, line) in wrap(text, self.style.width() - LABEL).into_iter().enumerate() {
            let label = format!("{:<LABEL$}", if i == 0 { label } else { "" });
            self.lines.push(format!("{}{line}", self.style.bold(&label)));
        }
    }

    pub(super) fn warning(&mut self, text: &str) {
        let mut lines = Vec::new();
        push_wrapped(&mut lines, '⚠', text, self.style, Style::warning);
        self.lines.extend(lines.into_iter().take(2));
    }
}

/// Adds text behind a sign, wrapped beneath itself.
pub(super) fn push_wrapped(
    lines: &mut Vec<String>,
    sign: char,
    text: &str,
    style: Style,
    paint: fn(Style, &str) -> String,
) {
    for (i, line) in wrap(text, style.width() - 2).into_iter().enumerate() {
        lines.push(paint(style, &format!("{} {line}", if i == 0 { sign } else { ' ' })));
    }
}

/// Breaks text at blanks into lines of at most `width` columns; a longer word is broken where it must.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
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
        let room = 2 * (page.style.width() - LABEL);
        page.labelled("Capture", &format!("{}{more}", left_ellipsis(&safe(first).to_string(), room)));
    }
    if let (Some(first), Some(last)) = (quality.first, quality.last) {
        let zone = page.style.zone;
        let (begin, mut end) = (zone.clock(first), zone.clock(last));
        // The day is said once.
        if let Some(time) =
            end.split_at_checked(11).filter(|(day, _)| begin.starts_with(day)).map(|(_, t)| t.to_owned())
        {
            end = time;
        }
        let text = format!("{} ({})", zone.period(first, last, [begin, end]), Span(last.since(first)));
        page.labelled("Time", &text);
    }
    let mut read = format!("{}, {}", Counted(quality.frames, "frame"), Bytes(quality.bytes));
    for link in &quality.link_types {
        let _ = write!(read, ", {}", safe(if link == "ETHERNET" { "Ethernet" } else { link }));
    }
    let _ = write!(read, "; {}", Counted(summary.stats.flows, "flow"));
    // those that were let go of early are in no class
    let below: u64 = summary.all_classes().iter().map(|c| c.flows).sum();
    if summary.stats.evicted_flows > 0 {
        let _ = write!(read, ", {} of them below", Count(below));
    }
    let other = quality.undecoded.get(Undecoded::NotIp.name()).copied().unwrap_or(0);
    if other > 0 {
        let _ = write!(read, "; {} not IP", Counted(other, "frame"));
    }
    let encrypted = quality.undecoded.get(Undecoded::Encrypted.name()).copied().unwrap_or(0);
    if encrypted > 0 {
        let _ = write!(read, "; {} encrypted on the link", Counted(encrypted, "frame"));
    }
    page.labelled("Read", &read);
    // Without any flow the next step says it better.
    if !quality.advice.is_empty() && !summary.all_classes().is_empty() {
        page.labelled("Quality", &safe(&quality.advice).to_string());
    }
    if let Some(passing) = summary.passing() {
        page.labelled("Filter", &passing);
    }
}

/// What the capture says of the site, and how it was viewed.
fn about_site(page: &mut Page, diagnosis: &Diagnosis) {
    for (label, text) in site::facts(&diagnosis.site, page.style.zone) {
        page.labelled(label, &text);
    }
    let views = site::views(diagnosis, page.style);
    if !views.is_empty() {
        page.heading("VIEWS");
        page.lines.extend(views);
    }
}

fn classes(page: &mut Page, summary: &Summary) {
    if summary.classes.is_empty() {
        return;
    }
    let narrow = page.style.is_narrow();
    let (wide, sure) = if narrow { (HOST_NARROW, "SURE") } else { (HOST, "CONFIDENCE") };
    page.heading(&format!(
        "{:<15}{} {:>9}  {:<wide$} {sure}",
        "CLASS",
        volumes(narrow, "FLOWS", "UP", "DOWN"),
        "MEAN RATE",
        "HOST, REGION"
    ));
    let (vendor, other): (Vec<_>, Vec<_>) = summary.classes.iter().partition(|c| is_vendor(c.class));
    for totals in vendor {
        let mut line = volumes_of(totals, narrow);
        let rate = totals.rate.map_or_else(|| "–".to_owned(), |r| BitRate(r).to_string());
        let _ = write!(line, " {rate:>9}  {:<wide$} {}", hosts(totals, wide), confidences(totals, narrow));
        let name = page.style.accent(&label(totals.class));
        page.lines.push(format!("{name}{line}"));
    }
    for totals in other {
        let line = format!("{}{}", label(totals.class), volumes_of(totals, narrow));
        page.lines.push(page.style.dim(&line));
    }
}

fn label(class: Class) -> String {
    format!("{:<15}", format!("{} {}", glyph(class), class.name()))
}

fn volumes_of(totals: &ClassTotals, narrow: bool) -> String {
    volumes(narrow, Count(totals.flows), Bytes(totals.payload_toserver), Bytes(totals.payload_toclient))
}

fn volumes(narrow: bool, flows: impl Display, up: impl Display, down: impl Display) -> String {
    if narrow { format!(" {flows:>7} {up:>7} {down:>7}") } else { format!(" {flows:>11} {up:>8} {down:>8}") }
}

/// Columns for hosts and regions of a class.
const HOST: usize = 30;
/// The same where columns are few.
const HOST_NARROW: usize = 19;

fn hosts(totals: &ClassTotals, width: usize) -> String {
    // a relay's name tells its region
    let told = |region: &str| totals.name.as_deref().is_some_and(|name| name.contains(&format!(".{region}.")));
    let regions = match totals.regions.len() {
        0 => String::new(),
        1 if totals.names == 1 && totals.regions.iter().all(|region| told(region)) => String::new(),
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

fn confidences(totals: &ClassTotals, narrow: bool) -> String {
    let (least, most) = (totals.confidence_min, totals.confidence_max);
    let word = Word::of(least).text();
    match (most - least).abs() < 0.005 {
        true if narrow => word.to_owned(),
        true => format!("{least:.2} {word}"),
        false => format!("{least:.2}–{most:.2}"),
    }
}

/// Keeps the end of a text that is wider than `width` columns.
pub(crate) fn left_ellipsis(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip((length + 1).saturating_sub(width)).collect();
    format!("…{tail}")
}

/// Columns for the two ends in a row of a flow.
const ENDS: usize = 40;
/// The same where columns are few.
const ENDS_NARROW: usize = 31;
/// Columns of an originator that stands beside its responder: the longest IPv4 address.
const ORIGINATOR: usize = 15;
/// The fewest flows worth a list.
const TOP_MIN: usize = 3;

fn top(page: &mut Page, flows: &[TopFlow], room: usize) {
    let room = room.max(TOP_MIN);
    let mut rows = Vec::new();
    for flow in flows {
        let lines = flow_lines(flow, page.style);
        if rows.len() + lines.len() > room {
            break;
        }
        rows.extend(lines);
    }
    if rows.is_empty() {
        return;
    }
    let ends = format!("{:<ORIGINATOR$} RESPONDER", "ORIGINATOR");
    let heading =
        flow_row(page.style, "LARGEST FLOWS", &ends, ["UP", "DOWN", "TIME", "SURE", "STATE"].map(str::to_owned));
    page.heading(&heading);
    page.lines.extend(rows);
}

/// A row of the flows: class and ends; bytes up and down, time, confidence, state.
fn flow_row(style: Style, class: &str, ends: &str, [up, down, time, sure, state]: [String; 5]) -> String {
    let row = if style.is_narrow() {
        format!("{class:<15} {ends:<ENDS_NARROW$} {up:>6} {down:>6} {time:>8} {state}")
    } else {
        format!("{class:<15} {ends:<ENDS$} {up:>7} {down:>7} {time:>9} {sure:<7} {state}")
    };
    row.trim_end().to_owned()
}

/// A flow's row; its responder goes on a second line where the two ends would not fit beside each other.
fn flow_lines(flow: &TopFlow, style: Style) -> Vec<String> {
    let originator = flow.originator.to_string();
    let responder = responder(flow);
    let (ends, below) = if originator.len() <= ORIGINATOR {
        let room = if style.is_narrow() { ENDS_NARROW } else { ENDS } - ORIGINATOR - 1;
        match (&flow.name, responder.chars().count() <= room) {
            (None, false) => (originator, Some(responder)),
            (_, false) if style.is_narrow() => (originator, Some(responder)),
            _ => (format!("{originator:<ORIGINATOR$} {}", left_ellipsis(&responder, room)), None),
        }
    } else {
        (originator, Some(responder))
    };
    let (up, down) = (Bytes(flow.up).to_string(), Bytes(flow.down).to_string());
    let time = Span(flow.end.since(flow.start)).to_string();
    let (sure, state) = (Word::of(flow.confidence).text().to_owned(), state(flow).to_owned());
    let mut lines = vec![flow_row(style, &label(flow.class), &ends, [up, down, time, sure, state])];
    if let Some(responder) = below {
        lines.push(format!("{:<16}→ {}", "", left_ellipsis(&responder, style.width() - 18)));
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

/// How a flow stands of which only one direction was captured: whether there was an answer cannot be said.
pub const ONE_SIDED: &str = "1-sided";

/// How a flow stands, in a word.
fn state(flow: &TopFlow) -> &'static str {
    if flow.one_sided {
        return ONE_SIDED;
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
    let reasons = Undecoded::ALL.into_iter().filter(|reason| reason.is_error());
    let reasons = reasons.filter_map(|reason| quality.undecoded.get_key_value(reason.name())).map(|(k, v)| (*k, *v));
    let undecoded: u64 = reasons.clone().map(|(_, n)| n).sum();
    if undecoded > 0 {
        damage.push(format!("{} not decoded ({})", Counted(undecoded, "frame"), tally(reasons)));
    }
    if quality.cut_frames > 0 {
        let at = if quality.cut_at > 0 { format!(" at {} bytes", quality.cut_at) } else { String::new() };
        damage.push(format!("{} cut{at}", Counted(quality.cut_frames, "frame")));
    }
    if quality.earlier_frames > 0 {
        damage.push(format!("{} out of order by more than a second", Counted(quality.earlier_frames, "frame")));
    }
    if quality.missed_bytes > 0 {
        damage.push(format!("{} acknowledged but not captured", Bytes(quality.missed_bytes)));
    }
    let drops = [quality.kernel_drops, quality.interface_drops, Some(quality.queue_drops)];
    let drops = drops.iter().flatten().fold(0, |sum: u64, n| sum.saturating_add(*n));
    if drops > 0 {
        damage.push(format!("{} dropped", Counted(drops, "frame")));
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
    let (classes, unknown_reasons) = (summary.all_classes(), summary.all_unknown_reasons());
    if summary.quality.frames == 0 {
        return Some(
            "The capture is empty. Check that the mirror port was up, and that no capture filter kept everything \
             out; then capture again.",
        );
    }
    if classes.is_empty() && summary.quality.cut_frames == summary.quality.frames {
        return Some(
            "Every frame was cut before anything could be told of it. Capture again with whole frames (tcpdump -s 0).",
        );
    }
    if classes.is_empty() {
        return Some(
            "No frame belongs to an IP flow. Check that the mirror port carries the recorder's traffic, and that the \
             link type is one that can be read.",
        );
    }
    if summary.classes.is_empty() {
        return Some("No flow passes the filter: leave out -Y to see what there is.");
    }
    let named = unknown_reasons.contains_key(Sub::Unlisted.name());
    if !named && classes.iter().all(|c| c.class == Class::Unknown) {
        return Some(
            "No flow could be named. Capture from before the recorder or viewer connects, with its DNS, and with \
             whole frames (no snap length): names are in the first packets of a flow.",
        );
    }
    let cut = summary.quality.cut_frames > 0 && unknown_reasons.contains_key(Sub::Truncated.name());
    if cut && !classes.iter().any(|c| is_vendor(c.class)) {
        return Some(
            "No traffic of the video system could be told: frames were cut before the names in them. Capture again \
             with whole frames (tcpdump -s 0).",
        );
    }
    if !classes.iter().any(|c| is_vendor(c.class)) {
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
