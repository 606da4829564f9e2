//! The frame around all views.
//!
//! ```text
//!  relayscope SOURCE                       ▶ where it stands   packet time   rate
//!  1 Overview  2 Flows  3 Findings  4 Sessions  5 Allow-list  6 Hosts  7 Capture
//!  ✗ the verdict in a line (in every view but the overview, which has more of it)
//!  …the view…
//!  ├────────✗─────●───────────⚠──┤  00:00:41 of 00:01:12   4×         (a replay)
//!  what was said last, or what is being typed
//!  Enter open  / filter  … the keys that are of use here …  ? help  q quit
//! ```

mod allowlist;
mod capture;
mod detail;
mod findings;
pub mod flows;
mod hosts;
mod overlay;
mod overview;
mod pen;
mod sessions;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::command::Command;
use super::snapshot::Phase;
use super::state::{Dash, Drawn, Hit, Mode, Split, View};
use super::theme::{Role, of_severity};
use crate::event::{FindingRecord, Severity};
use crate::present::human::left_ellipsis;
use crate::present::{POOR, nothing_proved};
use crate::text::safe::safe;
use crate::text::units::{BitRate, Bytes, Count, Counted, Percent, Span};
use pen::{Part, Pen, fit, part, rows, split_left, split_top, width, wrapped};

/// The least columns and lines that a screen needs.
const LEAST: (u16, u16) = (60, 16);

/// Draws the screen.
pub fn draw(dash: &Dash, buffer: &mut Buffer) -> Drawn {
    let area = buffer.area;
    let mut pen = Pen { buffer, theme: dash.theme, drawn: Drawn::default() };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(&mut pen, area);
        return pen.drawn;
    }
    let (title_line, rest) = split_top(area, 1);
    let (tab_line, mut rest) = split_top(rest, 1);
    title(&mut pen, title_line, dash);
    tabs(&mut pen, tab_line, dash);
    if dash.view != View::Overview {
        let (line, below) = split_top(rest, 1);
        headline(&mut pen, line, dash);
        rest = below;
    }
    let foot = 1 + status_lines(dash, area.width) + u16::from(dash.replay && dash.snapshot.transport.is_some());
    let (body, foot) = split_top(rest, rest.height.saturating_sub(foot));
    view(&mut pen, body, dash);
    feet(&mut pen, foot, dash);
    overlay::overlay(&mut pen, body, dash);
    pen.drawn
}

fn too_small(pen: &mut Pen<'_>, area: Rect) {
    let text = format!(
        "{} × {} is too small: relayscope needs {} columns and {} lines. Make the window larger, or q to leave and \
         relayscope analyze FILE for the summary.",
        area.width, area.height, LEAST.0, LEAST.1
    );
    let lines = wrapped(Role::Warning, &text, area.width);
    pen.lines(area, &lines);
}

/// What is looked at, how it stands, when, how much.
fn title(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let snapshot = &dash.snapshot;
    let (role, mut state) = standing(dash);
    if pen.theme.ascii {
        state = state.replace(['▶', '⏸', '⏺'], "*");
    }
    let mut right = vec![part(role, &state)];
    if snapshot.quality.frames > 0 {
        let rate: f64 = total_rate(dash);
        right.push(part(Role::Muted, format!("  {}", dash.zone.time_of_day(snapshot.now))));
        right.push(part(Role::Text, format!("  {}", BitRate(rate))));
        right.push(part(Role::Muted, format!("  {}", Counted(snapshot.quality.frames, "frame"))));
        right.push(worth(dash));
    }
    let wanted = width(&snapshot.source).min(40) + 14;
    while right.len() > 1 && columns(&right) + wanted > usize::from(area.width) {
        // a warning outlasts all that is only told
        let warns = right.len() > 2 && right.last().is_some_and(|(role, _)| *role == Role::Warning);
        right.remove(right.len() - if warns { 2 } else { 1 });
    }
    let room = usize::from(area.width).saturating_sub(columns(&right) + 14);
    let source = left_ellipsis(&safe(&dash.mask.prose(&snapshot.source)).to_string(), room);
    let left = [part(Role::Accent, " relayscope "), part(Role::Strong, source)];
    pen.line(area, &left);
    let at = area.right().saturating_sub(u16::try_from(columns(&right)).unwrap_or(0) + 1);
    pen.line(Rect { x: at, width: area.right() - at, ..area }, &right);
}

/// What the capture is worth, in a word.
fn worth(dash: &Dash) -> Part {
    let quality = &dash.snapshot.quality;
    let dropped = [quality.kernel_drops, quality.interface_drops, Some(quality.queue_drops)];
    let dropped: u64 = dropped.into_iter().flatten().fold(0, u64::saturating_add);
    let warning = |text: String| part(Role::Warning, format!("  {} {text}", dash.theme.sign(Severity::Warning, true)));
    match dropped {
        _ if dash.snapshot.poor => warning("poor capture".to_owned()),
        0 if !quality.warnings.is_empty() => warning(Counted(quality.warnings.len() as u64, "warning").to_string()),
        0 => part(Role::Muted, format!("  {} sound capture", dash.theme.pick("✓", "+"))),
        lost => warning(format!("{} lost", Count(lost))),
    }
}

/// The mean payload rate since the snapshot before where it plays, else over the whole capture.
fn total_rate(dash: &Dash) -> f64 {
    let snapshot = &dash.snapshot;
    if !snapshot.rates.is_empty() {
        return snapshot.rates.iter().map(|rate| f64::from(*rate)).sum();
    }
    let first = snapshot.quality.first.unwrap_or_default();
    let seconds = crate::time::seconds(snapshot.now.since(first));
    if seconds > 0.0 { snapshot.quality.bytes as f64 * 8.0 / seconds } else { 0.0 }
}

fn columns(parts: &[Part]) -> usize {
    parts.iter().map(|(_, text)| width(text)).sum()
}

/// How far the capture has come, in a word or two.
fn standing(dash: &Dash) -> (Role, String) {
    if dash.paused {
        let now = dash.held.as_ref().map_or(dash.snapshot.quality.frames, |held| held.quality.frames);
        let since = now.saturating_sub(dash.snapshot.quality.frames);
        return (Role::Warning, format!("⏸ PAUSED, {} since", Counted(since, "frame")));
    }
    match &dash.snapshot.phase {
        Phase::Opening => (Role::Muted, "opening".to_owned()),
        Phase::Reading(None) => (Role::Accent, "reading".to_owned()),
        Phase::Reading(Some(share)) => (Role::Accent, format!("reading {}", Percent(*share))),
        Phase::Playing => (Role::Ok, "▶ playing".to_owned()),
        Phase::Halted => (Role::Warning, "⏸ halted".to_owned()),
        Phase::Live(silent @ 5..) => (Role::Warning, format!("⏺ LIVE, no packet for {silent} s")),
        Phase::Live(_) => {
            let since = dash.snapshot.quality.first.map(|first| format!(" {}", Span(dash.snapshot.now.since(first))));
            (Role::Ok, format!("⏺ LIVE{}", since.unwrap_or_default()))
        }
        Phase::Ended => (Role::Muted, "read to its end".to_owned()),
        Phase::Failed(_) => (Role::Error, "failed".to_owned()),
    }
}

fn tabs(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let mut x = area.x + 1;
    for view in View::ALL {
        let text = format!(
            "{} {}",
            dash.keys.of(view.command()).next().map(ToString::to_string).unwrap_or_default(),
            view.text()
        );
        let place =
            Rect { x, width: u16::try_from(width(&text)).unwrap_or(0).min(area.right().saturating_sub(x)), ..area };
        let chosen = *view == dash.view;
        pen.text(place, if chosen { Role::Strong } else { Role::Muted }, &text);
        if chosen {
            pen.select(place);
        }
        pen.hit(place, Hit::Command(view.command()));
        x = place.right() + if area.width >= 90 { 3 } else { 2 };
    }
}

/// What a finding says, in a line: its sign, its title, how sure it is, by which rule.
fn said(dash: &Dash, finding: &FindingRecord, columns: usize) -> Vec<Part> {
    let claim = finding.is_claim();
    let role = of_severity(finding.severity, claim);
    let sure = format!("  {} {:.2} {}", finding.word.text(), finding.confidence, finding.rule);
    let hint = if claim { "" } else { "Perhaps: " };
    let title = format!("{hint}{}", safe(&dash.mask.prose(&finding.title)));
    let room = columns.saturating_sub(width(&sure) + 2);
    let title =
        if width(&title) > room { format!("{}…", fit(&title, room.saturating_sub(1)).trim_end()) } else { title };
    vec![
        part(role, format!("{} ", dash.theme.sign(finding.severity, claim))),
        part(role, title),
        part(Role::Muted, sure),
    ]
}

/// The verdict in a line.
fn headline(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    match dash.snapshot.findings.first().filter(|f| f.is_claim() && f.severity > Severity::Info) {
        Some(finding) => _ = pen.line(inner, &said(dash, finding, inner.width.into())),
        None => {
            let (role, text) = no_fault(dash);
            pen.text(inner, role, &text);
        }
    }
    pen.hit(area, Hit::Verdict(0));
}

/// What can honestly be said where no fault is claimed.
fn no_fault(dash: &Dash) -> (Role, String) {
    let snapshot = &dash.snapshot;
    let ok = dash.theme.pick("✓", "+");
    match &snapshot.phase {
        Phase::Opening => (Role::Muted, "… opening".to_owned()),
        Phase::Failed(_) => (Role::Error, format!("{} it cannot be read", dash.theme.sign(Severity::Error, true))),
        Phase::Reading(_) if snapshot.flows.is_empty() => (Role::Muted, "… reading; the verdict follows".to_owned()),
        _ if snapshot.poor => {
            let sign = dash.theme.sign(Severity::Warning, true);
            (Role::Warning, format!("{sign} {POOR} See 7 Capture."))
        }
        Phase::Ended => {
            match nothing_proved(snapshot.vendor, &snapshot.quality, &snapshot.findings, &snapshot.sessions) {
                (true, text) => (Role::Ok, format!("{ok} {text}")),
                (false, text) => (Role::Text, format!("· {}", safe(&dash.mask.prose(&text)))),
            }
        }
        _ if !snapshot.vendor => {
            (Role::Muted, "· Nothing to judge so far: no control or video connection was seen.".to_owned())
        }
        _ => (Role::Ok, format!("{ok} No fault so far.")),
    }
}

fn view(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    if let Some(lines) = instead(dash) {
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(1),
        };
        let lines: Vec<_> = lines.iter().flat_map(|(role, text)| wrapped(*role, text, inner.width)).collect();
        pen.lines(inner, &lines);
        return;
    }
    match dash.view {
        View::Overview => overview::draw(pen, area, dash),
        View::Flows => flows::draw(pen, area, dash),
        View::Findings => findings::draw(pen, area, dash),
        View::Sessions => sessions::draw(pen, area, dash),
        View::AllowList => allowlist::draw(pen, area, dash),
        View::Hosts => hosts::draw(pen, area, dash),
        View::Capture => capture::draw(pen, area, dash),
    }
}

/// What is shown where there is nothing to view, with what to do about it.
fn instead(dash: &Dash) -> Option<Vec<(Role, String)>> {
    let snapshot = &dash.snapshot;
    if let Phase::Failed(why) = &snapshot.phase {
        return Some(vec![
            (Role::Error, safe(why).to_string()),
            (Role::Text, String::new()),
            (Role::Text, "q leaves. Then: relayscope doctor says what a live capture needs; relayscope analyze FILE tells of a capture what can be read of it.".to_owned()),
        ]);
    }
    if !snapshot.flows.is_empty() || (dash.view == View::Capture && snapshot.quality.frames > 0) {
        return None;
    }
    let text = match &snapshot.phase {
        Phase::Opening => "Opening.".to_owned(),
        Phase::Reading(share) => {
            let share = share.map(|share| format!(" {}", Percent(share))).unwrap_or_default();
            format!("Reading{share}. What is found is shown as soon as it is known.")
        }
        Phase::Live(silent @ 5..) => format!(
            "No packet for {silent} s. Is the interface the one that the mirror port (SPAN) sends to? Is its link up? \
             relayscope interfaces lists them all, relayscope doctor looks for what is wrong."
        ),
        Phase::Live(_) => "Waiting for the first packet.".to_owned(),
        Phase::Playing | Phase::Halted => "No packet yet. Space plays, + plays faster, 0 at full speed.".to_owned(),
        Phase::Ended | Phase::Failed(_) => {
            let frames = Counted(snapshot.quality.frames, "frame");
            let advice = &snapshot.quality.advice;
            format!("This capture has no conversation that can be shown ({frames} read). {advice}")
        }
    };
    Some(vec![(Role::Text, text)])
}

/// How many lines there are to say what was said last, or to type in.
fn status_lines(dash: &Dash, columns: u16) -> u16 {
    match &dash.mode {
        Mode::Filter(prompt) => 1 + overlay::under_filter(dash, prompt, columns.saturating_sub(2)).len() as u16,
        Mode::Leave => 1,
        _ => u16::from(dash.message.is_some() || !dash.pressed_text().is_empty()),
    }
}

fn feet(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let (above, hints_line) = split_top(area, area.height.saturating_sub(1));
    let (above, status) = split_top(above, above.height.saturating_sub(status_lines(dash, area.width)));
    hints(pen, hints_line, dash);
    if status.height > 0 {
        overlay::status(pen, status, dash);
    }
    if above.height > 0 {
        timeline(pen, Rect { height: 1, ..above }, dash);
    }
}

/// Where a replay plays, with the findings on it; a click plays on from there.
fn timeline(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let Some(transport) = &dash.snapshot.transport else { return };
    let whole = transport.end.since(transport.start);
    let speed = match transport.speed {
        None => "full speed".to_owned(),
        Some(speed) => format!("{speed}{}", dash.theme.pick("×", "x")),
    };
    let at = dash.snapshot.now.since(transport.start).min(whole);
    let told = format!("  {} of {}  {speed} ", Span(at), Span(whole));
    let room = area.width.saturating_sub(u16::try_from(width(&told)).unwrap_or(0) + 1);
    let bar = Rect { x: area.x + 1, width: room, ..area };
    let place = |since: u64| (u128::from(since) * u128::from(room.saturating_sub(1)) / u128::from(whole.max(1))) as u16;
    pen.text(bar, Role::Muted, &dash.theme.pick("─", "-").repeat(room.into()));
    pen.text(bar, Role::Accent, &dash.theme.pick("━", "=").repeat(place(at).into()));
    for (moment, severity) in &transport.marks {
        let x = bar.x + place(moment.since(transport.start).min(whole));
        pen.text(Rect { x, width: 1, ..bar }, of_severity(*severity, true), dash.theme.sign(*severity, true));
    }
    pen.text(Rect { x: bar.x + place(at), width: 1, ..bar }, Role::Strong, dash.theme.pick("●", "O"));
    pen.text(Rect { x: bar.right(), width: area.right() - bar.right(), ..area }, Role::Text, &told);
    for x in bar.x..bar.right() {
        let since = u128::from(whole) * u128::from(x - bar.x) / u128::from(room.saturating_sub(1).max(1));
        let to = transport.start.after(u64::try_from(since).unwrap_or(u64::MAX));
        pen.hit(Rect { x, width: 1, ..bar }, Hit::Seek(to));
    }
}

/// The keys that are of use at the moment, as many as there is room for.
fn hints(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let mut x = area.x + 1;
    let last = [Command::Help, Command::Quit];
    let reserved = 16;
    for command in wanted(dash).into_iter().filter(|c| dash.offers(*c)).chain(last) {
        let Some(key) = dash.keys.of(command).next().map(ToString::to_string) else { continue };
        let word = hint_word(dash, command);
        let columns = u16::try_from(width(&key) + 1 + width(word)).unwrap_or(u16::MAX);
        let end = if last.contains(&command) { area.right() } else { area.right().saturating_sub(reserved) };
        if x.saturating_add(columns) > end {
            continue;
        }
        let place = Rect { x, width: columns, ..area };
        pen.line(place, &[part(Role::Accent, key), part(Role::Muted, format!(" {word}"))]);
        pen.hit(place, Hit::Command(command));
        x = place.right() + 2;
    }
}

/// What a command does, as it is here.
fn hint_word(dash: &Dash, command: Command) -> &'static str {
    match (command, dash.list()) {
        (Command::Open, View::Findings) if dash.view == View::Overview => "why",
        (Command::Open, View::Flows) => "detail",
        (Command::Open, View::Findings | View::Sessions | View::AllowList | View::Hosts) => "its flows",
        (Command::NextPane, _) if dash.view == View::Overview => {
            if dash.in_flows {
                "verdict"
            } else {
                "flows"
            }
        }
        (Command::Back, _) if dash.pane.is_some() && dash.shows_flows() => "close",
        (Command::Next, _) if dash.seeks_faults() => "next fault",
        _ => command.hint(),
    }
}

/// The commands of which the bottom line tells, the most useful first.
fn wanted(dash: &Dash) -> Vec<Command> {
    use Command as C;
    let play = [C::Play, C::Pause];
    let mut wanted = match dash.view {
        View::Overview => vec![C::Open, C::NextPane, C::Filter, C::Findings, C::Report, C::Copy],
        View::Flows if dash.pane.is_some() => {
            vec![C::NextPane, C::Back, C::Carve, C::Zoom, C::ScrollDown, C::Copy, C::Explain]
        }
        View::Flows => vec![C::Open, C::Filter, C::Carve, C::Sort, C::Group, C::Columns, C::Mark, C::Next, C::Back],
        View::Findings => vec![C::Open, C::Carve, C::Explain, C::Report, C::Copy, C::ScrollDown, C::Back],
        View::Sessions => vec![C::Open, C::Carve, C::Copy, C::Report, C::ScrollDown, C::Back],
        View::AllowList => vec![C::Open, C::Copy, C::Filter, C::Report, C::Back],
        View::Hosts => vec![C::Open, C::Role, C::Copy, C::Filter, C::Report, C::Back],
        View::Capture => vec![C::Findings, C::Flows, C::Report, C::Copy, C::Back],
    };
    if matches!(dash.snapshot.phase, Phase::Failed(_)) {
        return Vec::new();
    }
    if dash.lines() == 0 && dash.view != View::Capture {
        // there is nothing that could be selected
        let of_none = [C::Open, C::Carve, C::Copy, C::ScrollDown, C::Role, C::Mark, C::Sort, C::Group, C::Columns];
        wanted.retain(|c| !of_none.contains(c));
    }
    let third = wanted.len().min(3);
    wanted.splice(third..third, play);
    if dash.snapshot.findings.is_empty() {
        let none = [C::Explain, C::NextPane];
        wanted.retain(|c| !none.contains(c) || (*c == C::NextPane && dash.pane.is_some()));
        wanted.retain(|c| *c != C::Next || !dash.seeks_faults());
        if dash.view == View::Findings {
            wanted.insert(0, C::Flows);
        }
    }
    wanted.push(C::Palette);
    if dash.view == View::Flows && dash.filter_text.is_empty() && dash.pane.is_none() {
        wanted.retain(|c| *c != C::Back);
    }
    wanted
}

/// A list and its detail side by side; what stands between them can be moved. `usual`: the list's share in
/// thousandths.
fn halves(pen: &mut Pen<'_>, area: Rect, dash: &Dash, usual: u16) -> (Rect, Rect) {
    let (list, detail) = split_left(area, share(area.width, dash.share().unwrap_or(usual)), 1);
    let rule = Rect { x: list.right(), width: 1, ..area };
    for row in rows(rule) {
        pen.text(row, Role::Muted, dash.theme.pick("│", "|"));
    }
    pen.hit(detail, Hit::Detail);
    pen.hit(rule, Hit::Split(Split { area, beside: true }));
    (list, detail)
}

/// A list with its detail beneath it, whose first line can be moved. `usual`: the list's lines.
fn stacked(pen: &mut Pen<'_>, area: Rect, dash: &Dash, usual: u16) -> (Rect, Rect) {
    let lines = dash.share().map_or(usual, |thousandths| share(area.height, thousandths));
    let (list, detail) = split_top(area, lines.max(2));
    pen.hit(detail, Hit::Detail);
    pen.hit(split_top(detail, 1).0, Hit::Split(Split { area, beside: false }));
    (list, detail)
}

/// So many thousandths of something.
fn share(all: u16, thousandths: u16) -> u16 {
    u16::try_from((u32::from(all) * u32::from(thousandths)).div_ceil(1000)).unwrap_or(all)
}

/// Payload up and down in short.
fn bytes_of([up, down]: [u64; 2]) -> String {
    format!("{} up, {} down", Bytes(up), Bytes(down))
}

/// `12 of 34` of a list, where not all of it is shown.
fn place_of(at: usize, count: usize) -> String {
    format!("{} of {}", Count(at.min(count.saturating_sub(1)) as u64 + u64::from(count > 0)), Count(count as u64))
}

/// The lines of a list that are shown: each with its number in the list and its place on the screen.
fn shown(area: Rect, at: usize, count: usize) -> impl Iterator<Item = (usize, Rect)> {
    let first = pen::first_shown(at, count, area.height.into());
    (first..count).zip(rows(area))
}
