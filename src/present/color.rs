//! Colour, where it is asked for. Meaning never rests on it: a sign or a word always says the same.

use std::ffi::OsString;

use crate::text::zone::Zone;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// The style for an output that is a terminal or is not. `env` looks a variable up: `NO_COLOR`,
    /// `CLICOLOR_FORCE` and `TERM` count.
    pub fn style(self, terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> Style {
        let set = |name| env(name).is_some_and(|v| !v.is_empty() && v != "0");
        let coloured = match self {
            Color::Always => true,
            Color::Never => false,
            // By its convention NO_COLOR counts whatever its value, unless it is empty.
            Color::Auto if env("NO_COLOR").is_some_and(|v| !v.is_empty()) => false,
            Color::Auto => set("CLICOLOR_FORCE") || (terminal && env("TERM").is_none_or(|t| t != "dumb")),
        };
        Style { coloured, ..Style::plain() }
    }
}

/// How people are told something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When to colour.
    pub color: Color,
    /// By which clock times are told.
    pub zone: Zone,
}

impl Look {
    /// With times in UTC.
    pub const fn of(color: Color) -> Look {
        Look { color, zone: Zone::Utc }
    }

    /// The style for an output, as [`Color::style`] has it.
    pub fn style(self, terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> Style {
        Style { zone: self.zone, ..self.color.style(terminal, env) }
    }
}

/// Columns of a line where there is room.
const WIDE: usize = 100;
/// Columns of a line on a terminal that has fewer.
const NARROW: usize = 80;

/// How marked text is written, and how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
    narrow: bool,
    /// By which clock times are told.
    pub zone: Zone,
}

impl Style {
    /// Without any escape sequence.
    pub const fn plain() -> Self {
        Style { coloured: false, narrow: false, zone: Zone::Utc }
    }

    /// With them.
    pub const fn coloured() -> Self {
        Style { coloured: true, ..Style::plain() }
    }

    /// Whether escape sequences are written.
    pub const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// For a terminal of so many columns.
    pub const fn in_columns(self, columns: usize) -> Self {
        Style { narrow: columns < WIDE, ..self }
    }

    /// Whether there are too few columns for the full tables.
    pub const fn is_narrow(self) -> bool {
        self.narrow
    }

    /// The widest line, in columns.
    pub const fn width(self) -> usize {
        if self.narrow { NARROW } else { WIDE }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A heading or a label.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters.
    pub fn accent(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// What is well.
    pub fn ok(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What does not work.
    pub fn error(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What to beware of.
    pub fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
        };
        let coloured = |color: Color, terminal, pairs| color.style(terminal, env(pairs)) == Style::coloured();
        assert!(coloured(Color::Auto, true, &[]) && !coloured(Color::Auto, false, &[]));
        assert!(!coloured(Color::Auto, true, &[("NO_COLOR", "1")]) && coloured(Color::Auto, true, &[("NO_COLOR", "")]));
        assert!(
            !coloured(Color::Auto, true, &[("TERM", "dumb")])
                && coloured(Color::Auto, false, &[("CLICOLOR_FORCE", "1")])
        );
        assert!(coloured(Color::Always, false, &[("NO_COLOR", "1")]) && !coloured(Color::Never, true, &[]));
    }
}
