//! Arguments of the commands that have to do with the dashboard.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{CommonArgs, JudgeArgs, parse_filter, parse_size};
use crate::filter::Filter;

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  relayscope replay site.pcapng                   the dashboard: ? tells its keys
  relayscope replay --no-tui site.pcapng | jq 'select(.event_type==\"finding\")'
  relayscope replay --no-tui --speed 10 monday.pcap.zst

The records are those that a live capture of the same packets tells, at whatever
speed; docs/schema.json, a JSON Schema, describes them.";

pub(super) const CONFIG_EXAMPLES: &str = "\
Example:
  relayscope config --print-template > ~/.config/relayscope/config.toml";

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Captures (pcap, pcapng, also .gz and .zst), directories of them, or - for stdin
    #[arg(value_name = "FILE", required_unless_present = "read", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Another way to give a FILE, as with tcpdump
    #[arg(short = 'r', long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    read: Vec<PathBuf>,
    /// How much faster than it was captured: a number, or max for as fast as the machine goes
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = parse_speed)]
    pub speed: Speed,
    /// Write one JSON object a line
    #[arg(long)]
    pub no_tui: bool,
    /// Keep flows, streams and names below this (16M or more): long lists of lookups and what is silent are told early
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<usize>,
    /// Tell only of flows that pass this filter
    #[arg(short = 'Y', long, value_name = "FILTER", value_parser = parse_filter)]
    pub filter: Option<Filter>,
    /// Look up no names: always so, no packet is ever sent
    #[arg(short = 'n')]
    no_lookup: bool,
    /// Let wrong checksums pass: always so, as many cards make them after a packet was captured
    #[arg(short = 'C')]
    no_checksums: bool,
    /// How the dashboard looks
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
}

/// How the dashboard looks.
#[derive(Debug, Default, Args)]
pub struct ScreenArgs {
    /// Colours of the dashboard: muted, high-contrast, cb (for those who cannot tell red from green) or mono
    #[arg(long, value_name = "NAME", value_parser = ["muted", "high-contrast", "cb", "mono"])]
    pub theme: Option<String>,
    /// Show ASCII only: for fonts without box-drawing characters
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print a settings file in which everything is said and commented out
    #[arg(long)]
    pub print_template: bool,
}

impl ReplayArgs {
    /// The captures to read, in the order given; at least one.
    pub fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.read.iter().chain(&self.files)
    }
}

/// How fast a capture is told again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was captured.
    Times(f64),
    /// As fast as the machine goes.
    Max,
}

fn parse_speed(text: &str) -> Result<Speed, &'static str> {
    if text.eq_ignore_ascii_case("max") {
        return Ok(Speed::Max);
    }
    let times = text.trim_end_matches(['x', '\u{d7}']).parse().ok().filter(|times: &f64| (0.01..=1e6).contains(times));
    times.map(Speed::Times).ok_or("a number from 0.01 to 1000000, or max")
}
