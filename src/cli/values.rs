//! Values of options: how they are read, and which of them a shell may propose.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::num::NonZeroUsize;

use clap::builder::{PossibleValue, TypedValueParser};

use crate::event::labels::{Flag, Sub};
use crate::event::{Class, Kind, Mode, RULES, Severity};
use crate::filter::Filter;

pub(super) fn parse_filter(text: &str) -> Result<Filter, String> {
    Filter::parse(text).map_err(|error| error.render(text))
}

pub(super) fn parse_snaplen(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "a number of bytes; 0 is all")
}

pub(super) fn parse_threads(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "a number of threads, 1 or more")
}

pub(super) fn parse_runs(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "a number of runs, 1 or more")
}

/// A number of bytes, of kilobytes (K), megabytes (M) or gigabytes (G).
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    const LEAST: usize = crate::engine::ceiling::LEAST;
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u32 = match text[number.len()..].to_ascii_uppercase().trim_end_matches('B') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        _ => return Err("a size such as 256M or 2G".into()),
    };
    let bytes = number.parse::<f64>().map_err(|_| "a size such as 256M or 2G")? * 1024f64.powi(unit as i32);
    let least = format!("at least {} MB", LEAST >> 20);
    if bytes >= LEAST as f64 && bytes <= usize::MAX as f64 { Ok(bytes as usize) } else { Err(least) }
}

/// By which clock people are told times, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Universal time.
    Utc,
    /// This machine's.
    Local,
    /// So many seconds ahead of UTC.
    Ahead(i32),
}

impl Clock {
    /// Reads `utc`, `local`, or how far it is from UTC: `+01:00`, `-8`.
    ///
    /// # Errors
    /// What may stand there.
    pub fn parse(text: &str) -> Result<Clock, &'static str> {
        let named = match &*text.to_ascii_lowercase() {
            "utc" | "z" => Some(Clock::Utc),
            "local" => Some(Clock::Local),
            _ => None,
        };
        named.or_else(|| ahead(text).map(Clock::Ahead)).ok_or("utc, local, or how far from UTC: +01:00, -08:00")
    }
}

/// Seconds ahead of UTC, of `+01:00`, `-0330` or `+1`.
fn ahead(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match (rest.split_once(':'), rest.len()) {
        (Some((hours, minutes)), _) if minutes.len() == 2 => (hours, minutes),
        (None, 1 | 2) => (rest, "0"),
        (None, 4) => rest.split_at_checked(2)?,
        _ => return None,
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

pub(super) fn clocks() -> Vec<&'static str> {
    vec!["utc", "local"]
}

/// Reads a value by a function, and has another list some that a shell may propose.
#[derive(Clone, Copy)]
pub(super) struct Listed<T: 'static, E: 'static>(
    pub(super) fn(&str) -> Result<T, E>,
    pub(super) fn() -> Vec<&'static str>,
);

impl<T, E> TypedValueParser for Listed<T, E>
where
    T: Clone + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Clone + 'static,
{
    type Value = T;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        TypedValueParser::parse_ref(&self.0, cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.1)().into_iter().map(PossibleValue::new)))
    }
}

pub(super) fn severities() -> Vec<&'static str> {
    Severity::ALL.iter().map(|severity| severity.text()).collect()
}

pub(super) fn replaced() -> Vec<&'static str> {
    vec!["ips", "names", "macs", "ips,names,macs"]
}

/// What has an explanation, names of hosts and entries of the catalogue left out.
pub(super) fn subjects() -> Vec<&'static str> {
    let kinds = Kind::ALL.iter().map(|kind| kind.text());
    let modes = Mode::ALL.iter().map(|mode| mode.text());
    let words = Sub::ALL.iter().map(|sub| sub.name()).chain(Flag::ALL.iter().map(|flag| flag.name()));
    let classes = Class::ALL.iter().map(|class| class.name());
    let mut all: Vec<_> = RULES.into_iter().chain(kinds).chain(modes).chain(classes).chain(words).collect();
    let mut before = HashSet::new();
    all.retain(|subject| before.insert(*subject));
    all
}

pub(super) fn parse_subject(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

pub(super) fn parse_severity(text: &str) -> Result<Severity, &'static str> {
    Severity::meant(text).ok_or("one of info, warning, error")
}
