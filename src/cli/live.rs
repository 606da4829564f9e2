//! Arguments of the commands that touch devices.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{CommonArgs, JudgeArgs, ScreenArgs, parse_filter, parse_size};
use crate::filter::Filter;
use crate::time::{MILLISECOND, SECOND};

pub(super) const LIVE_EXAMPLES: &str = "\
Examples:
  sudo relayscope live -i eth1                           the dashboard; piped, a record a line
  sudo relayscope live -i eth1 -i eth2                   the two halves of a tap, as one
  sudo relayscope live -i eth1 -w site.pcapng            and keep every frame
  sudo relayscope live -i eth1 -w site.pcapng --ring 5m  keep what is around findings
  sudo relayscope live -i eth1 -w site.pcapng --rotate-size 1G --keep 20
  sudo relayscope live -i eth1 --duration 10m --fail-on error --no-tui > found.ndjson

Without a terminal, or with --no-tui, each line is a record of docs/schema.json.
Sizes: 512k 64M 1G. Times: 500ms 30s 10m 24h. SIGUSR1 begins a new file; SIGINT
and SIGTERM end with all that was found. A capture filter sees frames as they
come: with VLAN tags on the mirror port, say 'tcp or (vlan and tcp)'.";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  relayscope doctor                what is missing on this machine, and the command that mends it
  sudo relayscope doctor -i eth1   and whether that port really mirrors";

/// Arguments of `live`.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Capture on this interface: its name, or its number in `relayscope interfaces`; several are merged
    #[arg(short, long, value_name = "IFACE", required_unless_present = "list_interfaces", value_hint = ValueHint::Other)]
    pub interface: Vec<String>,
    /// List the interfaces, as `relayscope interfaces` does
    #[arg(short = 'D', long)]
    pub list_interfaces: bool,
    /// Capture only what passes this filter, written as for tcpdump
    #[arg(short = 'f', long, value_name = "BPF")]
    pub capture_filter: Option<String>,
    /// Capture this much of a frame, in bytes; 0 is all
    #[arg(short, long, value_name = "BYTES", default_value = "0")]
    pub snaplen: u32,
    /// Do not ask for frames that are addressed to others; a mirror port needs them
    #[arg(short = 'p', long)]
    pub no_promiscuous: bool,
    /// The kernel's ring for each interface, in KiB, from 64 to 2000000
    #[arg(short = 'B', long, value_name = "KIB", default_value = "65536", value_parser = parse_ring)]
    pub buffer_size: u32,
    /// End after this many frames
    #[arg(short, long, value_name = "N", value_parser = parse_count)]
    pub count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub duration: Option<Time>,
    /// Keep frames in this file (pcapng)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub write: Option<PathBuf>,
    /// Begin a new file after this size
    #[arg(long, value_name = "SIZE", requires = "write", value_parser = parse_bytes)]
    pub rotate_size: Option<Size>,
    /// Begin a new file after this time
    #[arg(long, value_name = "TIME", requires = "write", value_parser = parse_time)]
    pub rotate_time: Option<Time>,
    /// Keep so many files: the oldest goes
    #[arg(long, value_name = "N", requires = "write")]
    pub keep: Option<NonZeroUsize>,
    /// Keep only what is around findings: so much of before, a size or a time, and 30 s of after
    #[arg(long, value_name = "SIZE|TIME", requires = "write", value_parser = parse_span)]
    pub ring: Option<RingSpan>,
    /// Once the interfaces are open, run as this user; as who called sudo, if not given
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub user: Option<String>,
    /// Keep flows, streams and names below this (16M or more): long lists of lookups and what is silent are told early
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_size)]
    pub max_memory: usize,
    /// Write NDJSON, though there is a terminal
    #[arg(long)]
    pub no_tui: bool,
    /// How the dashboard looks
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// Tell only of flows that pass this filter
    #[arg(short = 'Y', long, value_name = "FILTER", value_parser = parse_filter)]
    pub filter: Option<Filter>,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Look up no names: always so, no packet is ever sent
    #[arg(short = 'n')]
    no_lookup: bool,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look at this interface, and at what comes in there
    #[arg(short, long, value_name = "IFACE", value_hint = ValueHint::Other)]
    pub interface: Option<String>,
    /// For how long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub duration: Time,
}

/// A time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub u64);

/// A size, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingSpan {
    /// So many bytes.
    Size(Size),
    /// So long.
    Time(Time),
}

/// A number and what stands behind it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.parse().ok().filter(|n: &f64| *n > 0.0).map(|n| (n, unit.trim()))
}

fn parse_time(text: &str) -> Result<Time, &'static str> {
    let unit = |unit: &str| match unit {
        "ms" => Some(MILLISECOND),
        "" | "s" => Some(SECOND),
        "m" | "min" => Some(60 * SECOND),
        "h" => Some(3_600 * SECOND),
        "d" => Some(86_400 * SECOND),
        _ => None,
    };
    let time = split(text).and_then(|(number, name)| Some(number * unit(name)? as f64));
    time.filter(|nanos| *nanos < u64::MAX as f64).map(|nanos| Time(nanos as u64)).ok_or("a time: 500ms, 30s, 10m, 24h")
}

fn parse_bytes(text: &str) -> Result<Size, &'static str> {
    let unit = |unit: &str| match unit {
        "" | "B" => Some(1.0),
        "k" | "kB" | "K" | "KB" => Some(1e3),
        "M" | "MB" => Some(1e6),
        "G" | "GB" => Some(1e9),
        "KiB" => Some(1024.0),
        "MiB" => Some(1_048_576.0),
        "GiB" => Some(1_073_741_824.0),
        _ => None,
    };
    let size = split(text).and_then(|(number, name)| Some(number * unit(name)?));
    size.filter(|bytes| *bytes < 1e18).map(|bytes| Size(bytes as u64)).ok_or("a size: 512k, 64M, 1G")
}

fn parse_ring(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|kib| (64..=2_000_000).contains(kib)).ok_or("KiB, from 64 to 2000000")
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|frames| *frames > 0).ok_or("a number of frames, 1 or more")
}

fn parse_span(text: &str) -> Result<RingSpan, &'static str> {
    let is_bare = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let span = parse_bytes(text).map(RingSpan::Size).or_else(|_| parse_time(text).map(RingSpan::Time));
    span.ok().filter(|_| !is_bare).ok_or("a size or a time with its unit: 64M, 1G, 30s, 5m (m is minutes, M megabytes)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(parse_time("1.5s"), Ok(Time(1_500_000_000)));
        assert_eq!(parse_time("10"), Ok(Time(10 * SECOND)));
        assert_eq!(parse_time("2m"), Ok(Time(120 * SECOND)));
        assert_eq!(parse_bytes("64M"), Ok(Size(64_000_000)));
        assert_eq!(parse_bytes("1 GiB"), Ok(Size(1 << 30)));
        assert_eq!(parse_span("5m"), Ok(RingSpan::Time(Time(300 * SECOND))));
        assert_eq!(parse_span("5M"), Ok(RingSpan::Size(Size(5_000_000))));
        for wrong in ["", "M", "0s", "-1s", "1x", "s1", "1e30d", "999999999999999d"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "5m", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert!(parse_span("64").is_err(), "of what?");
        assert!(parse_count("1").is_ok() && parse_count("0").is_err());
        assert!(parse_ring("64").is_ok() && parse_ring("1").is_err() && parse_ring("3000000").is_err());
    }
}
