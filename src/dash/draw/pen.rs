//! How things are put into the buffer of cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::dash::state::{Drawn, Hit};
use crate::dash::theme::{Role, Theme};

/// Puts text into a buffer, and notes what can be clicked.
pub struct Pen<'b> {
    /// The cells.
    pub buffer: &'b mut Buffer,
    /// How it looks.
    pub theme: Theme,
    /// What is told of it.
    pub drawn: Drawn,
}

/// A text and what it is.
pub type Part = (Role, String);

/// A part.
pub fn part(role: Role, text: impl ToString) -> Part {
    (role, text.to_string())
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

impl Pen<'_> {
    /// Writes parts into the first line of an area; what is cut at its edge ends with a sign of that. Gives the column
    /// behind them.
    pub fn line(&mut self, area: Rect, parts: &[Part]) -> u16 {
        let (mut x, end) = (area.x, area.right());
        if area.height == 0 {
            return x;
        }
        for (n, (role, text)) in parts.iter().enumerate() {
            // nothing of what stood there before shows through
            let style = Style::reset().patch(self.theme.style(*role));
            for (at, c) in text.char_indices() {
                let columns = c.width().unwrap_or(0) as u16;
                if x.saturating_add(columns) > end {
                    let more = parts.get(n + 1..).unwrap_or_default().iter().map(|(_, text)| text.as_str());
                    if text.get(at..).into_iter().chain(more).any(|rest| !rest.trim().is_empty()) {
                        self.cut(area);
                    }
                    return x;
                }
                if let Some(cell) = self.buffer.cell_mut((x, area.y)).filter(|_| columns > 0) {
                    let c = if self.theme.ascii { plain(c) } else { c };
                    cell.set_char(c).set_style(style);
                }
                x = x.saturating_add(columns);
            }
        }
        x
    }

    /// Shows that a line goes on beyond the edge.
    fn cut(&mut self, area: Rect) {
        let sign = if self.theme.ascii { plain('…') } else { '…' };
        if let Some(cell) = area.right().checked_sub(1).and_then(|x| self.buffer.cell_mut((x, area.y))) {
            cell.set_char(sign);
        }
    }

    /// Writes as many lines of a text as there is room for, scrolled as far as there is more of it.
    pub fn scrolled(&mut self, area: Rect, lines: &[Vec<Part>], scroll: usize) {
        let most = lines.len().saturating_sub(area.height.into());
        self.drawn.scroll_most = most;
        self.lines(area, lines.get(scroll.min(most)..).unwrap_or_default());
    }

    /// Writes one text.
    pub fn text(&mut self, area: Rect, role: Role, text: &str) -> u16 {
        self.line(area, &[(role, text.to_owned())])
    }

    /// Writes lines, one below the other; gives how many there was room for.
    pub fn lines(&mut self, area: Rect, lines: &[Vec<Part>]) -> u16 {
        for (row, line) in rows(area).zip(lines) {
            self.line(row, line);
        }
        u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height)
    }

    /// A heading with a rule behind it.
    pub fn heading(&mut self, area: Rect, title: &str) {
        let from = self.text(area, Role::Strong, title);
        let rule = self.theme.pick("─", "-");
        let left = area.right().saturating_sub(from.saturating_add(1));
        let rest = Rect { x: from.saturating_add(1), width: left, ..area };
        self.text(rest, Role::Muted, &rule.repeat(left.into()));
    }

    /// Shows a line as selected.
    pub fn select(&mut self, line: Rect) {
        let style = self.theme.style(Role::Selection);
        self.buffer.set_style(Rect { height: 1, ..line }, style);
    }

    /// An area that can be clicked.
    pub fn hit(&mut self, area: Rect, hit: Hit) {
        self.drawn.hits.push((area, hit));
    }

    /// Blanks an area.
    pub fn blank(&mut self, area: Rect) {
        for row in rows(area) {
            self.text(row, Role::Text, &" ".repeat(row.width.into()));
            self.buffer.set_style(row, Style::reset());
        }
        self.drawn.hits.retain(|(place, _)| place.intersection(area).is_empty());
    }
}

/// What stands for a character where only ASCII is shown.
fn plain(c: char) -> char {
    match c {
        c if c.is_ascii() => c,
        '✓' => '+',
        '✗' => 'X',
        '⚠' => '!',
        '→' => '>',
        '←' => '<',
        '–' | '—' | '─' => '-',
        '│' => '|',
        '·' => '.',
        // no stop that a whole sentence or name might end or begin with
        '…' => '~',
        '▸' => '>',
        '×' => 'x',
        '↑' => '^',
        '↓' => 'v',
        'µ' => 'u',
        _ => '?',
    }
}

/// The lines of an area.
pub fn rows(area: Rect) -> impl Iterator<Item = Rect> {
    (area.y..area.bottom()).map(move |y| Rect { y, height: 1, ..area })
}

/// The first `height` lines of an area, and the rest.
pub fn split_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// The first `width` columns of an area, and the rest behind a gap.
pub fn split_left(area: Rect, width: u16, gap: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    let from = width.saturating_add(gap).min(area.width);
    (Rect { width, ..area }, Rect { x: area.x + from, width: area.width - from, ..area })
}

/// Which line of a list of `count` is the first to be shown in `height`, so that the selected one is.
pub fn first_shown(at: usize, count: usize, height: usize) -> usize {
    at.saturating_sub(height / 2).min(count.saturating_sub(height))
}

/// Text broken into lines of a width.
pub fn wrapped(role: Role, text: &str, columns: u16) -> Vec<Vec<Part>> {
    let width = usize::from(columns).max(8);
    crate::present::human::wrap(text, width).into_iter().map(|line| vec![(role, line)]).collect()
}

/// Parts behind a label, the text broken beneath itself.
pub fn labelled(label: &str, indent: usize, role: Role, text: &str, columns: u16) -> Vec<Vec<Part>> {
    let width = usize::from(columns).saturating_sub(indent).max(8);
    let lines = crate::present::human::wrap(text, width);
    let label = |n: usize| format!("{:<indent$}", if n == 0 { label } else { "" });
    lines.into_iter().enumerate().map(|(n, line)| vec![(Role::Muted, label(n)), (role, line)]).collect()
}

/// A text that takes exactly so many columns, cut at its end.
pub fn fit(text: &str, columns: usize) -> String {
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > columns {
            break;
        }
        cut.push(c);
        used += w;
    }
    cut.push_str(&" ".repeat(columns - used));
    cut
}
