//! What lies over a view while it is wanted: help, the palette of commands, a text; and the line that is typed.
//!
//! ```text
//!  ┌ FLOWS ────────────────────────────────────────┐
//!  │ Enter       Open what is selected             │
//!  │ /           Filter the flows                  │
//!  └ any other key closes ─────────────────────────┘
//!  /relay rat>1M█
//!         ^^^ there is no key "rat"; did you mean rate?
//! ```

use ratatui::layout::Rect;

use super::pen::{Part, Pen, part, rows, split_top, width, wrapped};
use crate::dash::command::{Command, Scope};
use crate::dash::complete;
use crate::dash::history::METHODS;
use crate::dash::prompt::Prompt;
use crate::dash::state::{Dash, Hit, Mode};
use crate::dash::theme::{Role, Theme};
use crate::event::Class;
use crate::filter::Filter;

/// Draws what lies over the view.
pub fn overlay(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    match &dash.mode {
        Mode::Help(scroll) => {
            let lines = help(dash, area.width.saturating_sub(4).min(76));
            framed(pen, area, "KEYS", &lines, *scroll, "j k scroll, any other key closes");
        }
        Mode::Text { title, lines, scroll } => {
            let inner = area.width.saturating_sub(10).clamp(20, 100);
            let lines: Vec<Vec<Part>> = lines
                .iter()
                .flat_map(|line| hanging(line, inner.into()))
                .map(|line| vec![part(Role::Text, crate::text::safe::safe(&line))])
                .collect();
            framed(pen, area, title, &lines, *scroll, "j k scroll, any other key closes");
        }
        Mode::Palette(prompt, at) => palette(pen, area, dash, prompt, *at),
        Mode::Normal | Mode::Filter(_) | Mode::Leave => {}
    }
}

/// Columns that a label may take before a text; what stands further apart is no label.
const LABEL: usize = 16;

/// A line broken beneath itself: beneath the text behind its label, where it has one.
fn hanging(line: &str, columns: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let label = line.get(indent..).and_then(|said| said.find("  ")).map(|at| at + indent);
    let text = label.filter(|at| indent > 0 && *at < LABEL).map_or(indent, |at| {
        let blanks = line.get(at..).unwrap_or_default();
        at + blanks.len() - blanks.trim_start_matches(' ').len()
    });
    let (head, said) = line.split_at_checked(text).unwrap_or(("", line));
    let broken = crate::present::human::wrap(said, columns.saturating_sub(width(head)).max(8));
    let beneath = " ".repeat(width(head));
    broken.into_iter().enumerate().map(|(n, line)| format!("{}{line}", if n == 0 { head } else { &beneath })).collect()
}

/// The keys that are of use now, with what they do.
fn help(dash: &Dash, columns: u16) -> Vec<Vec<Part>> {
    let mut lines = Vec::new();
    let scopes = [
        (Scope::Flows, "IN THE LIST OF FLOWS"),
        (Scope::Anywhere, "EVERYWHERE"),
        (Scope::Replay, "WHILE IT PLAYS"),
        (Scope::Live, "LIVE"),
    ];
    for (scope, title) in scopes {
        let of_use = Command::ALL.iter().copied().filter(|c| c.scope() == scope && dash.offers(*c));
        let commands: Vec<Command> = of_use.collect();
        if commands.is_empty() {
            continue;
        }
        lines.push(vec![part(Role::Strong, title)]);
        for command in commands {
            let keys = dash.keys.text(command);
            lines.push(vec![part(Role::Accent, format!("{keys:<15} ")), part(Role::Text, command.title())]);
        }
        lines.push(Vec::new());
    }
    lines.push(vec![part(Role::Strong, "SIGNS")]);
    for text in signs(dash.theme) {
        lines.extend(wrapped(Role::Text, &text, columns));
    }
    lines.push(Vec::new());
    lines.push(vec![part(Role::Strong, "MOUSE")]);
    for text in [
        "A click selects; a second one opens. Titles of columns sort; tabs, keys and the timeline do what they say.",
        "The wheel moves in what it is over; the rule between a list and its detail can be dragged.",
        "Shift and the mouse select text as the terminal does.",
    ] {
        lines.extend(wrapped(Role::Text, text, columns));
    }
    lines
}

/// What signs stand for.
fn signs(theme: Theme) -> [String; 4] {
    let pick = |fine, ascii| theme.pick(fine, ascii);
    let class = |class: Class| format!("{} {}", theme.class(class), class.name());
    [
        format!(
            "{} does not work  {} works badly  {} works  ? a hint  {} not seen  {} only told",
            pick("✗", "X"),
            pick("⚠", "!"),
            pick("✓", "+"),
            pick("–", "-"),
            pick("·", ".")
        ),
        format!("{} sent, but it is not seen here whether it arrives", pick("↑", "^")),
        METHODS.map(class).join("  "),
        format!(
            "* marked  {} group, open  {} folded  HELD, LATE, CUT OFF: by a content filter",
            pick("▾", "v"),
            pick("▸", ">")
        ),
    ]
}

/// A box in the middle, with as many lines as there is room for.
fn framed(pen: &mut Pen<'_>, area: Rect, title: &str, lines: &[Vec<Part>], scroll: usize, foot: &str) {
    let widest = lines.iter().map(|line| line.iter().map(|(_, text)| width(text)).sum::<usize>()).max().unwrap_or(0);
    let columns =
        u16::try_from(widest.max(width(foot)).max(width(title)) + 4).unwrap_or(u16::MAX).clamp(30, area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place =
        Rect { x: area.x + (area.width - columns) / 2, y: area.y + (area.height - height) / 2, width: columns, height };
    pen.blank(place);
    let inner =
        Rect { x: place.x + 2, y: place.y + 1, width: columns.saturating_sub(4), height: height.saturating_sub(2) };
    edges(pen, place, title, foot);
    pen.scrolled(inner, lines, scroll);
}

fn edges(pen: &mut Pen<'_>, place: Rect, title: &str, foot: &str) {
    let rule = pen.theme.pick("─", "-");
    let side = pen.theme.pick("│", "|");
    for row in rows(place) {
        pen.text(row, Role::Muted, side);
        pen.text(Rect { x: row.right().saturating_sub(1), width: 1, ..row }, Role::Muted, side);
    }
    for (y, corners, text) in [
        (place.y, (pen.theme.pick("┌", "+"), pen.theme.pick("┐", "+")), title),
        (place.bottom().saturating_sub(1), (pen.theme.pick("└", "+"), pen.theme.pick("┘", "+")), foot),
    ] {
        let line = Rect { y, height: 1, ..place };
        pen.text(
            line,
            Role::Muted,
            &format!("{}{}{}", corners.0, rule.repeat(usize::from(place.width.saturating_sub(2))), corners.1),
        );
        pen.text(
            Rect { x: line.x + 2, width: line.width.saturating_sub(4), ..line },
            Role::Strong,
            &format!(" {text} "),
        );
    }
}

fn palette(pen: &mut Pen<'_>, area: Rect, dash: &Dash, prompt: &Prompt, at: usize) {
    let found = complete::commands(&prompt.text(), |command| dash.holds(command));
    let at = at.min(found.len().saturating_sub(1));
    let columns = area.width.min(76);
    let height = area.height.min(18);
    let place = Rect { x: area.x + (area.width - columns) / 2, y: area.y, width: columns, height };
    pen.blank(place);
    edges(pen, place, "COMMANDS", "Enter does it, Esc closes");
    let inner =
        Rect { x: place.x + 2, y: place.y + 1, width: columns.saturating_sub(4), height: height.saturating_sub(2) };
    let (line, list) = split_top(inner, 1);
    typed(pen, line, ":", prompt);
    for (n, row) in super::shown(list, at, found.len()) {
        let Some(command) = found.get(n) else { continue };
        let keys = dash.keys.text(*command);
        pen.line(row, &[part(Role::Accent, format!("{keys:<15} ")), part(Role::Text, command.title())]);
        if n == at {
            pen.select(row);
        }
        pen.hit(row, Hit::Command(*command));
    }
    if found.is_empty() {
        let text = if prompt.text().starts_with("seek") {
            "Enter goes there: seek HH:MM:SS"
        } else {
            "no command is called so"
        };
        pen.text(list, Role::Muted, text);
    }
}

/// How many characters of a line that is typed there is room for before the cursor.
fn typed_room(area: Rect, sign: &str) -> usize {
    usize::from(area.width).saturating_sub(width(sign) + 2)
}

/// A line that is typed, with its cursor; gives the column behind it.
fn typed(pen: &mut Pen<'_>, area: Rect, sign: &str, prompt: &Prompt) -> u16 {
    let room = typed_room(area, sign);
    let before: Vec<char> = prompt.before().chars().collect();
    let kept: String = before.iter().skip(before.len().saturating_sub(room)).collect();
    let x = pen.line(area, &[part(Role::Accent, sign), part(Role::Text, kept)]);
    let (under, after) =
        prompt.after().chars().next().map_or((' ', String::new()), |c| (c, prompt.after().chars().skip(1).collect()));
    let cursor = Rect { x, width: 1, ..area }.intersection(area);
    pen.text(cursor, Role::Text, &under.to_string());
    pen.select(cursor);
    let rest = Rect { x: x + 1, width: area.right().saturating_sub(x + 1), ..area };
    pen.text(rest, Role::Text, &after)
}

/// The lines above the last: what is typed, with what is wrong about it or what may follow beneath; else what was said.
pub fn status(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    match &dash.mode {
        Mode::Filter(prompt) => {
            let (line, beneath) = split_top(inner, 1);
            typed(pen, line, "/", prompt);
            pen.lines(beneath, &under_filter(dash, prompt, inner.width));
            return;
        }
        Mode::Leave => {
            pen.text(inner, Role::Warning, "Packets are being taken. Leave? q or Enter leaves, any other key stays.");
            return;
        }
        _ => {}
    }
    let pressed = dash.pressed_text();
    let behind = pen.text(inner, Role::Muted, &pressed) + u16::from(!pressed.is_empty());
    if let Some((role, text)) = &dash.message {
        let rest = Rect { x: behind, width: inner.right().saturating_sub(behind), ..inner };
        pen.text(rest, *role, &crate::text::safe::safe(&dash.mask.prose(text)).to_string());
    }
}

/// How many lines may stand beneath a filter that is typed.
const BENEATH: usize = 2;

/// What stands beneath a filter that is typed, in so many columns: what may follow; else what is wrong, beneath the
/// place.
pub fn under_filter(dash: &Dash, prompt: &Prompt, columns: u16) -> Vec<Vec<Part>> {
    let words = complete::candidates(prompt.word());
    let text = prompt.text();
    let begun = prompt.before().len() - prompt.word().len();
    // what is just being typed is not wrong yet
    let error = Filter::parse(&text).err().filter(|error| words.is_empty() || error.span.start < begun);
    let Some(error) = error else {
        let keys = "Enter keeps, Esc leaves, Tab completes, Up recalls".to_owned();
        // of a value what stands before it has been typed
        let valued = prompt.word().contains(':');
        let short = |word: &String| word.rsplit([':', ',']).next().filter(|_| valued).unwrap_or(word).to_owned();
        let hint = if words.is_empty() { keys } else { words.iter().map(short).collect::<Vec<_>>().join(" ") };
        return beneath(Role::Muted, &hint, columns, BENEATH);
    };
    if prompt.after().is_empty() && text.ends_with([':', ',', '<', '>', '=']) && error.span.end >= text.len() {
        return beneath(Role::Muted, &error.hint, columns, BENEATH);
    }
    let role = dash.message.as_ref().map_or(Role::Warning, |(role, _)| *role);
    // a long line is scrolled
    let scrolled = prompt.before().chars().count().saturating_sub(usize::from(columns).saturating_sub(3));
    let before = text.get(..error.span.start).unwrap_or_default().chars().skip(scrolled);
    let at = 1 + width(&before.collect::<String>());
    let wrong = text.get(error.span.start..error.span.end).map_or(1, width).max(1);
    let told = |said: String| crate::text::safe::safe(&dash.mask.prose(&said)).to_string();
    let all = told(format!("{}: {}", error.message, error.hint));
    if let Some(line) = at_carets(&all, at, wrong, columns) {
        return vec![vec![part(role, line)]];
    }
    let message = told(error.message);
    let line = at_carets(&message, at, wrong, columns).unwrap_or(message);
    let mut lines = vec![vec![part(role, line)]];
    lines.extend(beneath(role, &told(error.hint), columns, BENEATH - 1));
    lines
}

/// A text in lines that stand beneath a filter, so many at most.
fn beneath(role: Role, text: &str, columns: u16, most: usize) -> Vec<Vec<Part>> {
    // a sign at the end of what is cut has room too
    let mut lines = wrapped(role, text, columns.saturating_sub(3));
    let cut = lines.len() > most;
    lines.truncate(most);
    if let Some(last) = lines.last_mut().filter(|_| cut) {
        last.push(part(role, " …"));
    }
    for line in &mut lines {
        line.insert(0, part(role, " "));
    }
    lines
}

/// A text beside carets at a place, to the left of it where there is no room to the right; none where there is no room.
fn at_carets(said: &str, at: usize, wrong: usize, columns: u16) -> Option<String> {
    let carets = "^".repeat(wrong);
    if width(said) <= usize::from(columns).saturating_sub(at + wrong + 1) {
        return Some(format!("{:at$}{carets} {said}", ""));
    }
    (at >= width(said) + 2).then(|| format!("{said:>before$} {carets}", before = at - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_beneath_its_label() {
        let told = hanging("  meaning     Video is held back by a filter", 30);
        assert_eq!(told, ["  meaning     Video is held", "              back by a filter"]);
        assert_eq!(hanging("              one two three", 22), ["              one two", "              three"]);
        assert_eq!(hanging("one  two three", 9), ["one  two", "three"]);
    }
}
