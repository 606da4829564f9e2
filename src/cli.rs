//! The command line: what may be typed, and nothing of what it does.

mod live;
mod manual;
mod screen;
mod values;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::event::Severity;
use crate::filter::Filter;
use crate::present::Format;
use crate::present::color::Color;
use crate::present::page::Markup;
use crate::redact::What;
use crate::source::progress::Form;

use live::{DOCTOR_EXAMPLES, LIVE_EXAMPLES};
pub use live::{DoctorArgs, LiveArgs, RingSpan};
pub use manual::{completions, man};
use screen::{CONFIG_EXAMPLES, REPLAY_EXAMPLES};
pub use screen::{ConfigArgs, ReplayArgs, ScreenArgs, Speed};
pub use values::Clock;
use values::{
    Listed, clocks, parse_filter, parse_runs, parse_severity, parse_size, parse_snaplen, parse_subject, parse_threads,
    replaced, severities, subjects,
};

const STYLES: Styles =
    Styles::styled().header(AnsiColor::Cyan.on_default().bold()).literal(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  relayscope site.pcapng                          the dashboard; where it is piped, what is in this capture
  relayscope analyze /captures/*.pcap.gz          rotated captures, as one
  relayscope analyze --ndjson site.pcap | jq .    a record a line
  relayscope analyze -Y 'relay rate>1M' site.pcap only relay flows above 1 Mb/s
  relayscope catalog --product ows                what must be allowed
  relayscope legs --lan in.pcap --wan out.pcap    what a box between two captures holds back
  relayscope explain CF-1                         what a finding rests on

A file that is called like a command is given as ./FILE.
Exit codes: 0 fine, 1 a finding at or above --fail-on, 2 usage, 3 input
unreadable or cut short, 4 no permission, 5 capture too poor to judge (with
--fail-on), 130 interrupted.";

const ANALYZE_EXAMPLES: &str = "\
Examples:
  relayscope analyze site.pcapng
  tcpdump -w - -i eth1 | relayscope analyze -
  relayscope analyze --html -o report.html site.pcapng
  relayscope analyze --csv -o flows.csv monday.pcap.zst tuesday.pcap.zst
  relayscope analyze --ndjson -Y 'class:relay,p2p state:reset' site.pcap

What a line of --ndjson holds: docs/schema.json, a JSON Schema.

Filters:
  WORD                   anywhere in names, addresses, class, region
  tcp udp sctp icmp      as proto:tcp
  class: (or method:) subclass: region: state: flag: proto: tunnel: vlan: id:
  community: ja4: quic.version:
  host:10.0.0.0/8 dst:   an address, a network or a name; src: no name
  port:80,443 port:1024-65535 re:/^rec[0-9]/
  sni: quic.sni: dns:    u5fgb.com and all under it, or *.u5fgb.com
  conf>=0.8 conf>=high   how sure its class is: 0 to 1, 80%, or in a word
  rate>1M rate>1MB/s     mean payload, in bits a second (or bytes)
  rtt>100ms age<5m       seconds, if without a unit; age (or dur) is from the
                         first packet to the last
  retrans>1%             what TCP sent again, of all frames: 1% or 0.01
  bytes>10MB pkts>100    both ways, on the wire
  finding:stall finding:CF-1 sev>=warn   what is found of a flow
  role:recorder role:client              whose it is
  state:held,reset       S0 S1 SF REJ ... as Zeek has them; open closed refused
                         unanswered reset midstream one-sided interim held
  and or not ! ( )       a blank means `and`";

const COMPARE_EXAMPLES: &str = "\
Examples:
  relayscope compare monday.pcapng tuesday.pcapng
  relayscope compare --json before.pcap after.pcap

Gone is fixed only where the later capture shows the thing at work. Exit code
1: the later capture has a finding at or above --fail-on (error, if not given);
5: it proves nothing, being too poor, or since what had failed is not seen to
work.";

const CARVE_EXAMPLES: &str = "\
Examples:
  relayscope carve site.pcapng -o evidence.pcapng --finding 3f2a
  relayscope carve site.pcapng -o relay.pcapng -Y class:relay --strip-payload

What a finding rests on beside its own flows (names, neighbours, errors) is
carved too: the capture that is written raises the same finding by itself, where
that is possible. Frames are as captured unless --strip-payload says otherwise.";

const CATALOG_EXAMPLES: &str = "\
Examples:
  relayscope catalog --product ows
  relayscope catalog --product ows --format json
  relayscope catalog --product contera --format paloalto";

const LEGS_EXAMPLES: &str = "\
Examples:
  relayscope legs --lan inside.pcapng --wan outside.pcapng
  relayscope legs --ndjson --lan inside/*.pcap --wan outside/ |
    jq 'select(.event_type==\"finding\")'

The captures are of the same minutes, one on each side of the firewall, proxy or
filter in question. Their clocks need not agree: packets that are in both tell
the difference. One of the two may be - for stdin.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  relayscope explain CF-1
  relayscope explain content-filter-stall
  relayscope explain relay
  relayscope explain midstream
  relayscope explain rec1.us-west.u5fgb.com";

/// Tells why the video of a cloud-managed surveillance system does not arrive, on a mirror port or from captures. It
/// never sends a packet.
#[derive(Debug, Parser)]
#[command(
    name = "relayscope",
    version,
    styles = STYLES,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    override_usage = "relayscope [OPTIONS] FILE...\n       relayscope COMMAND [OPTIONS] ..."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    analyze: AnalyzeArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures and say what is in them
    #[command(after_help = ANALYZE_EXAMPLES, arg_required_else_help = true)]
    Analyze(Box<AnalyzeArgs>),
    /// Tell what goes by on interfaces, as it happens
    #[command(after_help = LIVE_EXAMPLES, arg_required_else_help = true)]
    Live(Box<LiveArgs>),
    /// List the interfaces that can be captured on
    #[command(after_help = "Example:\n  relayscope interfaces")]
    Interfaces,
    /// Say what is missing for a capture on this machine, and whether a port really mirrors
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Compare two captures of one site, before and after a change: what is fixed, what is new
    #[command(after_help = COMPARE_EXAMPLES, arg_required_else_help = true)]
    Compare(Box<CompareArgs>),
    /// Cut out the packets that a finding rests on, or of chosen flows, as pcapng with comments
    #[command(after_help = CARVE_EXAMPLES, arg_required_else_help = true)]
    Carve(Box<CarveArgs>),
    /// Compare two captures of the same traffic, one on each side of a box: what went in, and what came out
    #[command(after_help = LEGS_EXAMPLES, arg_required_else_help = true)]
    Legs(Box<LegsArgs>),
    /// Show captures on the dashboard, in packet time; or tell what they hold as it happened, a record a line
    #[command(after_help = REPLAY_EXAMPLES, arg_required_else_help = true)]
    Replay(Box<ReplayArgs>),
    /// List the hosts and ports that must be allowed
    #[command(after_help = CATALOG_EXAMPLES)]
    Catalog(CatalogArgs),
    /// Say how a rule, a class or a host is judged, and on what source that rests
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Measure how fast this machine works through a capture, stage by stage
    #[command(after_help = "Example:\n  relayscope bench site.pcapng", arg_required_else_help = true)]
    Bench(BenchArgs),
    /// List the keys of the dashboard
    Keys,
    /// Say where settings are read from, or print a file of them with comments
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArgs),
    /// Print a completion script
    #[command(after_help = "Example:\n  relayscope completions bash > /etc/bash_completion.d/relayscope")]
    Completions {
        /// The shell that it is for
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  relayscope man > relayscope.1")]
    Man,
}

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Captures (pcap, pcapng, also .gz and .zst), directories of them, or - for stdin
    #[arg(value_name = "FILE", required_unless_present = "read", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Another way to give a FILE, as with tcpdump
    #[arg(short = 'r', long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    read: Vec<PathBuf>,
    /// The form of the output
    #[command(flatten)]
    format: FormatArgs,
    /// Write here instead of stdout (-)
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Tell only of flows that pass this filter
    #[arg(short = 'Y', long, value_name = "FILTER", value_parser = parse_filter)]
    pub filter: Option<Filter>,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Keep flows, streams and names below this (16M or more): long lists of lookups and what is silent are told early
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<usize>,
    /// Only name flows: look for no faults
    #[arg(long, conflicts_with = "fail_on")]
    pub no_diagnose: bool,
    /// Write an archive for a ticket too: report, records, carved captures, manifest
    #[arg(long, value_name = "OUT.zip", value_hint = ValueHint::FilePath, conflicts_with_all = ["no_diagnose", "max_memory"])]
    pub pack: Option<PathBuf>,
    /// Leave what was said in the captures of the archive; with --redact it is always taken out
    #[arg(long, requires = "pack", conflicts_with = "redact")]
    pub keep_payload: bool,
    /// Put pseudonyms in the place of ips, names, macs (any of them, with commas), the same ones throughout
    #[arg(long, value_name = "WHAT", value_parser = Listed(What::parse, replaced), hide_possible_values = true, conflicts_with = "max_memory")]
    pub redact: Option<What>,
    /// Make the pseudonyms from this file, so that other runs with it have the same ones
    #[arg(long, value_name = "FILE", requires = "redact", value_hint = ValueHint::FilePath)]
    pub redact_key: Option<PathBuf>,
    /// Look up no names: always so, no packet is ever sent
    #[arg(short = 'n')]
    no_lookup: bool,
    /// Let wrong checksums pass: always so, as many cards make them after a packet was captured
    #[arg(short = 'C')]
    no_checksums: bool,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
    /// It was given without its name.
    #[arg(skip)]
    pub bare: bool,
}

impl AnalyzeArgs {
    /// The captures to read, in the order given; at least one.
    pub fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.read.iter().chain(&self.files)
    }

    /// The form of the output.
    pub const fn format(&self) -> Format {
        match self.format {
            FormatArgs { ndjson: true, .. } => Format::Ndjson,
            FormatArgs { json: true, .. } => Format::Json,
            FormatArgs { csv: true, .. } => Format::Csv,
            _ => Format::Summary,
        }
    }

    /// The markup of the report, where one is asked for in place of a format.
    pub const fn page(&self) -> Option<Markup> {
        match self.format {
            FormatArgs { html: true, .. } => Some(Markup::Html),
            FormatArgs { md: true, .. } => Some(Markup::Markdown),
            _ => None,
        }
    }
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct FormatArgs {
    /// Write one JSON object a line
    #[arg(long)]
    ndjson: bool,
    /// Write one JSON document
    #[arg(long)]
    json: bool,
    /// Write flows as CSV
    #[arg(long)]
    csv: bool,
    /// Write a report for people as one HTML page: verdict, requested changes, evidence with pictures
    #[arg(long)]
    html: bool,
    /// Write the same report as Markdown, for a ticket
    #[arg(long)]
    md: bool,
}

/// What captures are judged by, in every command that judges.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// The product whose allow-list is held against the capture; told by what it shows if not given, or else ows
    #[arg(long)]
    pub product: Option<Product>,
    /// What is known of the site: recorder, networks, public addresses
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,
    /// Add this catalogue of hosts to the built-in one; entries of one id replace each other
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub catalogue: Option<PathBuf>,
    /// Worker threads; as many as there are processors if not given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
    /// Exit with 1 on a finding at least this grave: info, warning or error
    #[arg(long, value_name = "SEVERITY", value_parser = Listed(parse_severity, severities), hide_possible_values = true)]
    pub fail_on: Option<Severity>,
}

/// Arguments of `carve`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["finding", "filter"])))]
pub struct CarveArgs {
    /// Captures, or directories of them; they are read more than once
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
    /// Write the frames here
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// The finding, by its id or the beginning of it, or by its rule or kind where it alone has that
    #[arg(long, value_name = "ID")]
    pub finding: Option<String>,
    /// The flows that pass this filter
    #[arg(short = 'Y', long, value_name = "FILTER", value_parser = parse_filter)]
    pub filter: Option<Filter>,
    /// Take out what was said, and leave headers, names and the outer form
    #[arg(long)]
    pub strip_payload: bool,
    /// Keep no more than so many bytes of each frame
    #[arg(short, long, value_name = "BYTES", value_parser = parse_snaplen)]
    pub snaplen: Option<usize>,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The earlier capture: a file, or a directory of them
    #[arg(value_name = "BEFORE", value_hint = ValueHint::AnyPath)]
    pub before: PathBuf,
    /// The later capture
    #[arg(value_name = "AFTER", value_hint = ValueHint::AnyPath)]
    pub after: PathBuf,
    /// Write a JSON document
    #[arg(long)]
    pub json: bool,
    /// Write here instead of stdout (-)
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `legs`.
#[derive(Debug, Args)]
pub struct LegsArgs {
    /// The inner capture: files, directories of them, or -
    #[arg(long, value_name = "FILE", required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub lan: Vec<PathBuf>,
    /// The outer capture: files, directories of them, or -
    #[arg(long, value_name = "FILE", required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub wan: Vec<PathBuf>,
    /// Write one JSON object a line
    #[arg(long, conflicts_with = "json")]
    ndjson: bool,
    /// Write one JSON document
    #[arg(long)]
    json: bool,
    /// Write here instead of stdout (-)
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// What it is judged by
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How much to say
    #[command(flatten)]
    pub common: CommonArgs,
}

impl LegsArgs {
    /// The form of the output.
    pub const fn format(&self) -> Format {
        match self {
            LegsArgs { ndjson: true, .. } => Format::Ndjson,
            LegsArgs { json: true, .. } => Format::Json,
            _ => Format::Summary,
        }
    }
}

/// Arguments that every command with output of its own takes.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    color: When,
    /// By which clock people are told times: utc, local, or how far from UTC (+01:00); records are always in UTC
    #[arg(long, value_name = "CLOCK", value_parser = Listed(Clock::parse, clocks), hide_possible_values = true, allow_hyphen_values = true)]
    pub tz: Option<Clock>,
    /// How to show on stderr how far reading has come: a line on a terminal (auto), an object a line for other programs
    /// (json), or not at all (never)
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Shown,
    /// Read settings from here
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Say less on stderr
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr: by what captures are judged, and what was read; of live, what rights were given up
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl CommonArgs {
    /// When to colour.
    pub const fn color(&self) -> Color {
        match self.color {
            When::Auto => Color::Auto,
            When::Always => Color::Always,
            When::Never => Color::Never,
        }
    }

    /// In what form progress is shown, if at all.
    pub const fn progress(&self) -> Option<Form> {
        match self.progress {
            Shown::Json => Some(Form::Json),
            Shown::Auto if !self.quiet => Some(Form::Line),
            Shown::Auto | Shown::Never => None,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shown {
    Auto,
    Json,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct CatalogArgs {
    /// Only what this product needs
    #[arg(long)]
    pub product: Option<Product>,
    /// The form of the list
    #[arg(long, default_value = "text")]
    pub format: CatalogFormat,
    /// Add this catalogue to the built-in one; entries of one id replace each other
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub catalogue: Option<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A rule (CF-1), a kind of finding (dns-blocked) or its mode, a class, a word of a flow's record (midstream, S0,
    /// history) or a host name
    #[arg(value_name = "RULE|KIND|CLASS|WORD|HOST", value_parser = Listed(parse_subject, subjects), hide_possible_values = true)]
    pub subject: String,
    /// Add this catalogue to the built-in one; entries of one id replace each other
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub catalogue: Option<PathBuf>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The capture: a file that stays as it is while it is read again and again
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// How often each stage is run; the best counts
    #[arg(long, value_name = "N", default_value = "3", value_parser = parse_runs)]
    pub runs: NonZeroUsize,
    /// How many threads the last run has; all cores if not given
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
    /// A JSON document instead of a table
    #[arg(long)]
    pub json: bool,
}

/// A form of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CatalogFormat {
    /// A table
    Text,
    /// A JSON document
    Json,
    /// Set commands for Palo Alto Networks PAN-OS
    #[value(name = "paloalto")]
    PaloAlto,
    /// Commands for Fortinet FortiGate
    Fortigate,
    /// Lines of squid.conf
    Squid,
    /// A list of sites, and steps, for Cisco Secure Web Appliance (WSA, IronPort)
    CiscoWsa,
    /// Names and rules for pfSense
    #[value(name = "pfsense")]
    PfSense,
}

/// A product line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Product {
    /// OpenEye Web Services
    Ows,
    /// ConteraWS
    Contera,
}

/// How alike a lone word and a command must be for the word to be taken for a slip of the finger.
const LIKENESS: f64 = 0.85;

impl Cli {
    /// Reads a command line, the program's name first: the command, and the file of settings that was named. Files
    /// without a command mean `analyze`.
    pub fn parse_args(
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<(Command, Option<PathBuf>), clap::Error> {
        let mut cli = Cli::try_parse_from(args)?;
        let config = cli.analyze.common.config.take();
        if let Some(command) = cli.command {
            return Ok((command, config));
        }
        match cli.analyze.files.first().and_then(|f| f.to_str()).and_then(mistaken) {
            Some((word, meant)) => Err(no_such_command(word, meant)),
            None => Ok((Command::Analyze(Box::new(AnalyzeArgs { bare: true, ..cli.analyze })), config)),
        }
    }
}

/// Of what has an explanation, what comes nearest to a word that has none.
pub fn near_subject(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let likeness = |subject: &str| strsim::jaro_winkler(&word, &subject.to_lowercase());
    let nearest = subjects().into_iter().map(|subject| (likeness(subject), subject)).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(likeness, _)| *likeness >= LIKENESS).map(|(_, subject)| subject)
}

/// Whether the first file was meant as a command; and which command comes nearest.
fn mistaken(word: &str) -> Option<(&str, Option<String>)> {
    if word.contains(['.', '/', '\\']) {
        return None;
    }
    let near = Cli::command()
        .get_subcommands()
        .map(|c| (strsim::jaro_winkler(word, c.get_name()), c.get_name().to_owned()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= LIKENESS);
    (near.is_some() || word == "help").then(|| (word, near.map(|(_, name)| name)))
}

fn no_such_command(word: &str, meant: Option<String>) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::InvalidSubcommand).with_cmd(&Cli::command());
    error.insert(ContextKind::InvalidSubcommand, ContextValue::String(word.to_owned()));
    match meant {
        Some(name) if name == word => {
            let tip = format!("the command comes first: relayscope {name} [OPTIONS]; a file of that name is ./{name}");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        Some(name) => {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![name]));
        }
        None => {}
    }
    error
}

#[cfg(test)]
mod tests;
