//! Colours by what they mean. A sign or a word always says the same, so that nothing is lost without them.

use std::ffi::OsString;

use ratatui::style::{Color, Modifier, Style};

use crate::event::{AllowState, Class, Severity, StepOutcome};
use crate::present::color::Color as When;
use crate::text::units::glyph;

/// What a text is, for its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    #[default]
    Text,
    Strong,
    Muted,
    Accent,
    Ok,
    Info,
    Warning,
    Error,
    Selection,
}

/// A set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// Quiet colours.
    #[default]
    Muted,
    /// Bright colours.
    HighContrast,
    /// Blue, orange and sky, which people tell apart who cannot tell red from green (Okabe and Ito).
    ColourBlind,
    /// None.
    Mono,
}

impl Palette {
    /// All, in the order in which they follow each other.
    pub const ALL: [Palette; 4] = [Palette::Muted, Palette::HighContrast, Palette::ColourBlind, Palette::Mono];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Palette::Muted => "muted",
            Palette::HighContrast => "high-contrast",
            Palette::ColourBlind => "cb",
            Palette::Mono => "mono",
        }
    }

    /// The palette of that name.
    pub fn parse(name: &str) -> Option<Palette> {
        Palette::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The one after it.
    pub fn next(self) -> Palette {
        let at = Palette::ALL.iter().position(|p| *p == self).unwrap_or(0);
        Palette::ALL.into_iter().cycle().nth(at + 1).unwrap_or_default()
    }

    /// The colour of a role: red, green and blue, and what comes nearest of the first sixteen.
    const fn colour(self, role: Role) -> Option<([u8; 3], Color)> {
        Some(match (self, role) {
            (Palette::Mono, _) | (_, Role::Text | Role::Strong | Role::Selection) => return None,
            (Palette::Muted, Role::Muted) => ([138, 138, 138], Color::Gray),
            (Palette::Muted, Role::Accent) => ([95, 175, 175], Color::Cyan),
            (Palette::Muted, Role::Ok) => ([135, 175, 95], Color::Green),
            (Palette::Muted, Role::Info) => ([135, 175, 215], Color::Cyan),
            (Palette::Muted, Role::Warning) => ([215, 175, 95], Color::Yellow),
            (Palette::Muted, Role::Error) => ([215, 95, 95], Color::LightRed),
            (Palette::HighContrast, Role::Muted) => ([208, 208, 208], Color::Gray),
            (Palette::HighContrast, Role::Accent) => ([0, 255, 255], Color::LightCyan),
            (Palette::HighContrast, Role::Ok) => ([0, 255, 0], Color::LightGreen),
            (Palette::HighContrast, Role::Info) => ([135, 215, 255], Color::LightCyan),
            (Palette::HighContrast, Role::Warning) => ([255, 255, 0], Color::LightYellow),
            (Palette::HighContrast, Role::Error) => ([255, 95, 95], Color::LightRed),
            (Palette::ColourBlind, Role::Muted) => ([148, 148, 148], Color::Gray),
            (Palette::ColourBlind, Role::Accent | Role::Ok) => ([86, 180, 233], Color::LightCyan),
            (Palette::ColourBlind, Role::Info) => ([0, 158, 215], Color::Cyan),
            (Palette::ColourBlind, Role::Warning) => ([240, 228, 66], Color::LightYellow),
            (Palette::ColourBlind, Role::Error) => ([230, 140, 0], Color::Yellow),
        })
    }
}

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Depth {
    #[default]
    None,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// What the environment says of a terminal. `env` looks a variable up.
    pub fn of(when: When, env: impl Fn(&str) -> Option<OsString>) -> Depth {
        if !when.style(true, &env).is_coloured() {
            return Depth::None;
        }
        let text = |name| env(name).map(|v| v.to_string_lossy().into_owned()).unwrap_or_default();
        let (term, colors) = (text("TERM"), text("COLORTERM"));
        match term.as_str() {
            _ if matches!(colors.as_str(), "truecolor" | "24bit") => Depth::True,
            t if t.contains("256color") || t.contains("direct") || t.contains("kitty") => Depth::Indexed,
            _ => Depth::Sixteen,
        }
    }
}

/// How the screen looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// The colours.
    pub palette: Palette,
    /// How many there are.
    pub depth: Depth,
    /// Only characters of ASCII.
    pub ascii: bool,
}

impl Theme {
    /// How a text of that role is written.
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        let colour = match self.depth {
            Depth::None => None,
            depth => self.palette.colour(role).map(|(rgb, ansi)| at_depth(rgb, ansi, depth)),
        };
        let style = colour.map_or(plain, |c| plain.fg(c));
        match role {
            Role::Strong => style.add_modifier(Modifier::BOLD),
            Role::Error => style.add_modifier(Modifier::BOLD),
            Role::Accent if colour.is_none() => style.add_modifier(Modifier::BOLD),
            Role::Selection => style.add_modifier(Modifier::REVERSED),
            Role::Muted if colour.is_none() => style.add_modifier(Modifier::DIM),
            _ => style,
        }
    }

    /// One of two texts: the fine one, or the one of ASCII alone.
    pub const fn pick(&self, fine: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { fine }
    }

    /// The sign of a finding.
    pub const fn sign(&self, severity: Severity, claim: bool) -> &'static str {
        match severity {
            _ if !claim => "?",
            Severity::Error => self.pick("✗", "X"),
            Severity::Warning => self.pick("⚠", "!"),
            Severity::Info => self.pick("·", "."),
        }
    }

    /// The sign of a way's outcome.
    pub const fn outcome(&self, outcome: StepOutcome) -> (&'static str, Role) {
        match outcome {
            StepOutcome::Worked => (self.pick("✓", "+"), Role::Ok),
            StepOutcome::Failed => (self.pick("✗", "X"), Role::Error),
            StepOutcome::NotTried => (self.pick("–", "-"), Role::Muted),
            StepOutcome::Unclear => ("?", Role::Warning),
        }
    }

    /// The sign of a row of the allow-list.
    pub const fn allow(&self, state: AllowState) -> (&'static str, Role) {
        match state {
            AllowState::Working => (self.pick("✓", "+"), Role::Ok),
            AllowState::Partly => (self.pick("⚠", "!"), Role::Warning),
            AllowState::Blocked => (self.pick("✗", "X"), Role::Error),
            AllowState::Unclear => ("?", Role::Warning),
            AllowState::NotExercised => (self.pick("–", "-"), Role::Muted),
        }
    }

    /// The sign of a class.
    pub const fn class(&self, class: Class) -> char {
        match class {
            _ if !self.ascii => glyph(class),
            Class::Relay => '^',
            Class::P2p => '*',
            Class::Lsf => '#',
            Class::Direct => '>',
            Class::S3 => 'S',
            _ => ' ',
        }
    }

    /// Rates as a line of small bars, each against the greatest.
    pub fn bars(&self, rates: &[f64]) -> String {
        let steps: &[char] = if self.ascii {
            &['.', ':', '-', '=', '+', '*', '#']
        } else {
            &['▁', '▂', '▃', '▄', '▅', '▆', '▇']
        };
        let most = rates.iter().copied().fold(0.0, f64::max);
        let bar = |rate: f64| {
            if rate <= 0.0 || most <= 0.0 {
                return ' ';
            }
            let at = (rate / most * (steps.len() - 1) as f64).round() as usize;
            steps.get(at).copied().unwrap_or(' ')
        };
        rates.iter().map(|rate| bar(*rate)).collect()
    }
}

/// The role of a finding.
pub const fn of_severity(severity: Severity, claim: bool) -> Role {
    match severity {
        _ if !claim => Role::Muted,
        Severity::Error => Role::Error,
        Severity::Warning => Role::Warning,
        Severity::Info => Role::Info,
    }
}

fn at_depth([r, g, b]: [u8; 3], ansi: Color, depth: Depth) -> Color {
    // the cube of 6 × 6 × 6 colours that xterm has from 16 on
    let level = |c: u8| match c {
        0..=47 => 0,
        48..=114 => 1,
        _ => (c - 35) / 40,
    };
    match depth {
        Depth::True => Color::Rgb(r, g, b),
        Depth::Indexed if r == g && g == b => Color::Indexed(232 + (r.clamp(8, 238) - 8) / 10),
        Depth::Indexed => Color::Indexed(16 + 36 * level(r) + 6 * level(g) + level(b)),
        _ => ansi,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_the_colours_that_it_has() {
        let depth = |pairs: &'static [(&str, &str)]| {
            Depth::of(When::Auto, |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
        };
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Indexed);
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Sixteen);
        assert_eq!(depth(&[("TERM", "dumb")]), Depth::None);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::None);
    }

    #[test]
    fn no_palette_uses_what_is_hard_to_read_and_mono_uses_none() {
        use Role::*;
        for role in [Text, Strong, Muted, Accent, Ok, Info, Warning, Error, Selection] {
            for palette in Palette::ALL {
                let style = Theme { palette, depth: Depth::Sixteen, ascii: false }.style(role);
                assert!(!matches!(style.fg, Some(Color::DarkGray | Color::Black | Color::Blue)));
            }
            assert_eq!(Theme { palette: Palette::Mono, depth: Depth::True, ascii: false }.style(role).fg, None);
        }
        assert_eq!(at_depth([215, 95, 95], Color::Red, Depth::Indexed), Color::Indexed(167));
    }

    #[test]
    fn bars_in_both_alphabets() {
        let theme = |ascii| Theme { ascii, ..Theme::default() };
        assert_eq!(theme(false).bars(&[0.0, 1.0, 6.0, 3.0]), " ▂▇▄");
        assert_eq!(theme(true).bars(&[0.0, 1.0, 6.0, 3.0]), " :#=");
    }
}
