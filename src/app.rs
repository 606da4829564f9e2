//! What the commands do: the one place that puts sources, pipeline and presenters together.

mod aloud;
mod carve;
mod catalog;
mod compare;
mod dash;
mod doctor;
mod early;
mod errands;
mod legs;
mod live;
mod output;
mod player;
mod publish;
mod replay;
mod screen;
mod settings;

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use crate::classify::catalogue::ProductId;
use crate::classify::explain;
use crate::classify::site::Site;
use crate::classify::watch::Watch;
use crate::cli::{
    self, AnalyzeArgs, BenchArgs, Cli, Command, CommonArgs, ConfigArgs, ExplainArgs, Product, ScreenArgs,
};
use crate::decode::link_name;
use crate::diagnose;
use crate::diagnose::rules::Rules;
use crate::engine;
use crate::engine::analysis::Analysis;
use crate::engine::naming::KnowledgeBase;
use crate::exit::{Exit, Outcome};
use crate::handover::pack::Pack;
use crate::handover::{Attention, Read, can_be_read_again};
use crate::measure::{self, Task};
use crate::pipeline;
use crate::platform;
use crate::present::Format;
use crate::present::color::Look;
use crate::present::report::{self, Report, Telling};
use crate::redact::{self, Redactor};
use crate::source::{self, CHUNK_BYTES, Class, Facts, Problem, Source, SourceError, progress};

use aloud::Aloud;
use output::{Output, deliver};
use settings::Settings;

/// How much output is gathered before it is written.
const OUTPUT_BUFFER: usize = 256 << 10;

/// Runs the program for a command line. Errors have been told when it returns.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let (command, config) = match Cli::parse_args(args) {
        Ok(asked) => asked,
        Err(error) => {
            let _ = error.print();
            return if error.exit_code() == 0 { Exit::Fine } else { Exit::Usage };
        }
    };
    match perform(&command, config.as_deref()) {
        Ok(exit) => exit,
        // whoever read our output has had enough
        Err(error) if is_broken_pipe(&error) => Exit::Fine,
        Err(error) => {
            say(&format!("{error:#}"));
            exit_of(&error)
        }
    }
}

/// Does what a command is there for, with the settings of `config` where that was named.
fn perform(command: &Command, config: Option<&Path>) -> Result<Exit> {
    // what was named is read once, it may be a pipe; and whoever has no use for it still says what is wrong with it
    let named = config.map(Settings::of_file).transpose()?;
    match command {
        Command::Analyze(args) => analyze(args, named),
        Command::Legs(args) => legs::legs(args, named),
        Command::Replay(args) => replay::replay(args, named),
        Command::Live(args) if args.list_interfaces => doctor::interfaces(),
        Command::Live(args) => live::live(args, named),
        Command::Interfaces => doctor::interfaces(),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Carve(args) => carve::carve(args),
        Command::Compare(args) => compare::compare_captures(args),
        Command::Catalog(args) => told(catalog::catalog(args)),
        Command::Explain(args) => print_explanation(args),
        Command::Bench(args) => bench(args),
        Command::Keys => told(print_keys(named)),
        Command::Config(args) => told(print_config(args, config, named)),
        Command::Completions { shell } => told(cli::completions(*shell, &mut io::stdout().lock()).map_err(Into::into)),
        Command::Man => told(cli::man(&mut io::stdout().lock()).map_err(Into::into)),
    }
}

/// How people are told something: as asked for, else as set.
fn look(common: &CommonArgs, named: Option<Settings>) -> Result<Look> {
    // what is wrong with settings that were not asked for is no reason to tell nothing
    let settings = Settings::or_found(named).unwrap_or_else(|error| {
        say(&format!("{error:#}; going on without"));
        Settings::default()
    });
    look_by(common, &settings)
}

/// The same, by settings that were read.
fn look_by(common: &CommonArgs, settings: &Settings) -> Result<Look> {
    Ok(Look { color: common.color(), zone: settings.zone(common.tz)? })
}

/// What says how far work has come, unless that is not wanted.
struct Beheld {
    printer: Mutex<progress::Printer>,
}

impl Beheld {
    fn new(common: &CommonArgs) -> Beheld {
        Beheld { printer: Mutex::new(progress::Printer::new(common.progress())) }
    }

    fn progress(&self, progress: &source::Progress) {
        self.with(|printer| printer.update(progress));
    }

    /// Clears the line, so that something else may be said.
    fn rest(&self) {
        self.with(progress::Printer::clear);
    }

    fn with(&self, act: impl FnOnce(&mut progress::Printer)) {
        act(&mut self.printer.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Has work done that is shown here, until `stop` is set.
    fn attend<T>(&self, stop: &AtomicBool, work: impl FnOnce(Attention<'_>) -> T) -> T {
        let progress = |progress: &source::Progress| self.progress(progress);
        let say = |text: &str| {
            self.rest();
            say(text);
        };
        let done = work(Attention { stop, progress: &progress, say: &say });
        self.rest();
        done
    }
}

/// One line on stderr. That nobody may be there to read it is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "relayscope: {text}");
}

fn told(result: Result<()>) -> Result<Exit> {
    result.map(|()| Exit::Fine)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => Exit::Permission,
        _ => Exit::Usage,
    }
}

fn read_text(path: &Path, what: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: the {what} cannot be read", path.display()))
}

fn knowledge(catalogue: Option<&PathBuf>, site: Option<&PathBuf>, product: Option<Product>) -> Result<KnowledgeBase> {
    let mut known = match site {
        None => Site::default(),
        Some(path) => {
            let text = read_text(path, "site file")?;
            Site::parse(&text).map_err(|e| anyhow!("{}: {e}", path.display()))?
        }
    };
    known.product = product.map(product_id).or(known.product);
    let user = catalogue.map(|path| read_text(path, "catalogue")).transpose()?;
    if let (Some(path), Some(text)) = (catalogue, &user)
        && text.parse::<toml::Table>().is_ok_and(|table| table.is_empty())
    {
        return Err(anyhow!("{}: the catalogue has no entries; is it the file that you mean?", path.display()));
    }
    KnowledgeBase::new(user.as_deref(), known).map_err(|e| of_file(e, catalogue))
}

/// The rules of diagnosis, with what the user's catalogue sets of them.
fn rules(base: &mut KnowledgeBase, catalogue: Option<&PathBuf>) -> Result<Rules> {
    Rules::with_user(std::mem::take(&mut base.diagnosis)).map_err(|e| of_file(e, catalogue))
}

/// What is wrong with knowledge, and in which file, if it is the user's.
fn of_file(error: impl std::error::Error + Send + Sync + 'static, file: Option<&PathBuf>) -> anyhow::Error {
    match file {
        None => anyhow!(error),
        Some(path) => anyhow!("{}: {error}", path.display()),
    }
}

const fn product_id(product: Product) -> ProductId {
    match product {
        Product::Ows => ProductId::Ows,
        Product::Contera => ProductId::Contera,
    }
}

fn print_explanation(args: &ExplainArgs) -> Result<Exit> {
    let mut base = knowledge(args.catalogue.as_ref(), None, None)?;
    let rules = rules(&mut base, args.catalogue.as_ref())?;
    let found = diagnose::explain::explain(&args.subject, &rules);
    let known = explain::explain(&args.subject, &base.catalogue, &base.rules);
    let told: Vec<String> = found.into_iter().chain(known).collect();
    if told.is_empty() {
        let meant = cli::near_subject(&args.subject).map(|near| format!("did you mean {near}? Or "));
        return Err(anyhow!(
            "nothing is called '{}': {}try a rule (CF-1, D-6), a kind of finding (dns-blocked), a class (relay, p2p, s3), \
             a word of a flow's record (midstream, S0, history), a catalogue entry (see `relayscope catalog`) or a host \
             name",
            args.subject.escape_debug(),
            meant.unwrap_or_default()
        ));
    }
    let mut out = io::stdout().lock();
    out.write_all(told.join("\n").as_bytes())?;
    out.flush()?;
    Ok(Exit::Fine)
}

fn print_keys(named: Option<Settings>) -> Result<()> {
    let keys = Settings::or_found(named)?.key_map().map_err(|e| anyhow!(e))?;
    let mut out = io::stdout().lock();
    out.write_all(keys.table().as_bytes())?;
    out.flush().map_err(Into::into)
}

/// Prints the settings that hold without a file, as one; or how those stand that there are.
fn print_config(args: &ConfigArgs, path: Option<&Path>, named: Option<Settings>) -> Result<()> {
    let text = if args.print_template { settings::template() } else { settings::standing(path, named)? };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush().map_err(Into::into)
}

/// Whether captures that were given without a command are to be shown on the dashboard.
fn opens_dashboard(args: &AnalyzeArgs) -> bool {
    let plain = args.format() == Format::Summary && args.output.is_none();
    args.bare
        && plain
        && args.judge.fail_on.is_none()
        && !args.no_diagnose
        && dash::opens(&args.inputs().cloned().collect::<Vec<_>>())
}

fn show(args: &AnalyzeArgs, settings: &Settings) -> Result<Exit> {
    dash::replay(&dash::Opening {
        paths: args.inputs().cloned().collect(),
        judge: &args.judge,
        screen: &ScreenArgs::default(),
        settings,
        look: look_by(&args.common, settings)?,
        speed: None,
        filter: args.filter.as_ref().map(ToString::to_string),
    })
}

fn analyze(args: &AnalyzeArgs, named: Option<Settings>) -> Result<Exit> {
    if opens_dashboard(args) {
        return show(args, &Settings::or_found(named)?);
    }
    // programs are told all in UTC, whatever people have set
    let for_people = args.format() == Format::Summary || args.pack.is_some();
    let look = if for_people { look(&args.common, named)? } else { Look::of(args.common.color()) };
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    let paths: Vec<PathBuf> = args.inputs().cloned().collect();
    can_be_done(args, &paths)?;
    let whole =
        args.format() != Format::Summary || args.filter.is_some() || args.pack.is_some() || args.redact.is_some();
    let config = config(&base, whole);
    let threads = args.judge.threads.map_or_else(default_threads, usize::from);
    let beheld = Beheld::new(&args.common);
    let stop = stop_flag()?;
    let source = Source::open(&paths, CHUNK_BYTES).until(&stop);
    let mut progress = |progress: &source::Progress| beheld.progress(progress);
    let reading = Aloud::new(&args.common, &args.judge, &base).begin();
    let (mut outcome, output) = match args.max_memory {
        None => (pipeline::run(source, &config, threads, &stop, &mut progress), None),
        Some(most) => early::run(most, source, &config, &base, &stop, args, &mut progress)?,
    };
    beheld.rest();
    reading.end(&paths, &outcome.analysis.stats());
    let mut exit = Outcome::new(args.judge.fail_on.is_some());
    let problems = std::mem::take(&mut outcome.problems);
    let reports = outcome.facts.frames > 0 || !problems.iter().any(|p| matches!(p, Problem::Error(_)));
    let manner = Manner { silent: reports && is_on_screen(args), bare: args.bare };
    let mut warnings = note_problems(&problems, &outcome.analysis, &outcome.facts, manner, &mut exit);
    let given_up = outcome.analysis.stats().evicted_flows;
    if given_up > 0 {
        warnings.push(early::warning(given_up, args.format() == Format::Ndjson));
    }
    if outcome.interrupted {
        warnings.push(interrupted(&mut exit));
    }
    if reports {
        let naming = outcome.name(&base);
        let read = Read { paths: &paths, outcome: &outcome, naming: &naming, base: &base, rules: &rules };
        let report = read.report(warnings, args.filter.as_ref(), !args.no_diagnose);
        let redactor = redactor(args, &report, &base)?;
        let told = beheld.attend(&stop, |attention| {
            let redactor = redactor.as_ref();
            hand_over(args, &Work { read, config: &config, report, redactor, look, attention }, output)
        })?;
        if args.judge.fail_on.is_some_and(|least| told.worst.is_some_and(|worst| worst >= least)) {
            exit.note(Exit::Finding);
        }
        if told.poor || outcome.facts.frames == 0 {
            exit.note(Exit::Poor);
        }
    }
    // the process ends now: giving back millions of small pieces of memory one by one would only take time
    std::mem::forget(outcome);
    Ok(exit.exit())
}

/// Says what cannot be done before anything is read.
fn can_be_done(args: &AnalyzeArgs, paths: &[PathBuf]) -> Result<()> {
    let inputs = || paths.iter().chain(&args.judge.site).chain(&args.judge.catalogue);
    keep_inputs(args.output.as_deref(), inputs())?;
    find_folder(args.output.as_deref())?;
    if let Some(pack) = &args.pack {
        keep_inputs(Some(pack), inputs().chain(&args.output))?;
        if args.output.as_ref() == Some(pack) {
            return Err(anyhow!("{}: is given as -o and as --pack; one would overwrite the other", pack.display()));
        }
        find_folder(Some(pack))?;
        if !can_be_read_again(paths) {
            return Err(anyhow!("a pack carves captures, and reads them more than once: give files, no pipe"));
        }
    }
    if let Some(filter) = args.filter.as_ref().filter(|_| args.no_diagnose) {
        for test in filter.asks_findings() {
            say(&format!("the filter's test {test} matches nothing: --no-diagnose leaves nothing to be found"));
        }
    }
    Ok(())
}

/// What is written of a capture, and how.
struct Work<'a> {
    read: Read<'a>,
    config: &'a engine::Config,
    report: Report<'a>,
    redactor: Option<&'a Redactor>,
    look: Look,
    attention: Attention<'a>,
}

/// Writes the pack, if one is wanted, and the report; says what that tells of faults.
fn hand_over(args: &AnalyzeArgs, work: &Work<'_>, output: Option<Output>) -> Result<report::Told> {
    let Work { read, config, report, redactor, look, attention } = work;
    let zone = look.zone;
    if let Some(path) = &args.pack {
        let pack =
            Pack { read: *read, config, report: report.clone(), redactor: *redactor, zone, payload: args.keep_payload };
        deliver(Some(path), Look::default(), |out, _| pack.write(out, *attention))?;
    }
    let (to, report) = (args.output.as_deref(), report.clone());
    match args.page() {
        Some(markup) => deliver(to, *look, |out, _| read.page(out, report, *redactor, (markup, zone), *attention)),
        None => {
            let telling = Telling { redactor: *redactor, mask: false };
            let output = output.map_or_else(|| Output::open(to, *look), Ok)?;
            output.finish(|out, style| report::write_with(out, args.format(), report, style, telling))
        }
    }
}

/// What replaces addresses and names, where that is wanted: with a key of the moment, or of a file.
fn redactor(args: &AnalyzeArgs, report: &Report<'_>, base: &KnowledgeBase) -> Result<Option<Redactor>> {
    let Some(what) = args.redact else { return Ok(None) };
    let key: [u8; redact::KEY] = match &args.redact_key {
        Some(path) => {
            let bytes = fs::read(path).with_context(|| format!("{}: the key cannot be read", path.display()))?;
            if bytes.len() < redact::KEY {
                return Err(anyhow!(
                    "{}: a key has {} bytes or more, none of which one could guess",
                    path.display(),
                    redact::KEY
                ));
            }
            Sha256::digest(&bytes).into()
        }
        None => {
            let mut key = [0; redact::KEY];
            getrandom::fill(&mut key).map_err(|error| anyhow!("no random key is to be had: {error}"))?;
            key
        }
    };
    let mut redactor = Redactor::new(what, key, &base.catalogue);
    for (n, file) in (1..).zip(&report.files) {
        redactor.replace(file, &format!("capture {n}"))?;
    }
    report.teach(&mut redactor)?;
    Ok(Some(redactor))
}

/// What the engine is asked for; `records`: whole records are wanted.
fn config(base: &KnowledgeBase, records: bool) -> engine::Config {
    engine::Config {
        flow: crate::flow::Config { rates: base.thresholds, ..Default::default() },
        records,
        traces: false,
        watch: Arc::new(Watch::of(&base.catalogue)),
        secret: RandomState::new().build_hasher().finish() | 1,
    }
}

fn bench(args: &BenchArgs) -> Result<Exit> {
    if args.file == Path::new("-") || fs::metadata(&args.file).is_ok_and(|file| !file.is_file()) {
        return Err(anyhow!("{}: is no file, and only a file can be read again and again", args.file.display()));
    }
    let mut base = knowledge(None, None, None)?;
    let rules = rules(&mut base, None)?;
    let task = Task {
        path: &args.file,
        config: &config(&base, false),
        base: &base,
        rules: &rules,
        runs: args.runs.get(),
        threads: args.threads.map_or_else(default_threads, usize::from),
    };
    let measured = match measure::measure(&task) {
        Ok(measured) => measured,
        Err(error) => {
            say(&error.to_string());
            return Ok(Exit::Input);
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        measured.write_json(&mut out)?
    } else {
        write!(out, "{measured}")?
    }
    out.flush()?;
    Ok(Exit::Fine)
}

/// Refuses to write the report over what it is made of.
fn keep_inputs<'a>(output: Option<&Path>, read: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let Some(output) = output.and_then(|path| fs::canonicalize(path).ok()) else { return Ok(()) };
    for input in read.filter_map(|path| fs::canonicalize(path).ok()) {
        let id = |path: &Path| {
            fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| platform::file_id(path, &metadata))
        };
        let same = id(&output).is_some_and(|own| id(&input) == Some(own));
        if same || (input.is_dir() && output.is_file() && output.starts_with(&input)) {
            return Err(anyhow!("{}: is read as well, so it is not written: give -o another name", output.display()));
        }
    }
    Ok(())
}

/// Refuses an output in a folder that is not there, before the work is done rather than behind it.
fn find_folder(output: Option<&Path>) -> Result<()> {
    let folder = output.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    match (output, folder) {
        (Some(path), Some(folder)) if !folder.is_dir() => {
            Err(anyhow!("{}: cannot be written: there is no folder {}", path.display(), folder.display()))
        }
        _ => Ok(()),
    }
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Set by an interrupt; a second one ends the program at once.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    platform::stop_flag(Exit::Interrupted.code()).context("interrupts cannot be handled")
}

/// Whether the summary appears where messages do, so that what it repeats need not be said twice.
fn is_on_screen(args: &AnalyzeArgs) -> bool {
    let to_stdout = args.output.as_deref().is_none_or(|path| path == Path::new("-"));
    args.format() == Format::Summary
        && args.page().is_none()
        && to_stdout
        && io::stdout().is_terminal()
        && io::stderr().is_terminal()
}

/// A problem in words. A lone word that is no file may have been meant for a command, where none was given (`bare`).
fn in_words(problem: &Problem, bare: bool) -> String {
    match problem {
        Problem::Error(SourceError::NotFound { path }) if bare && !path.contains(['.', '/', '\\']) => {
            format!("{path}: no such file, and no such command; see relayscope --help")
        }
        _ => problem.to_string(),
    }
}

/// The link types of a capture of which no frame can be read.
fn unread_links(analysis: &Analysis, facts: &Facts) -> String {
    let names: Vec<_> = facts.links.keys().map(|link| link_name(link.0)).collect();
    if analysis.is_unread() { format!(" ({})", names.join(", ")) } else { String::new() }
}

/// Says that what follows is of a part; gives the line for the report, which may be read by who did not see that.
fn interrupted(exit: &mut Outcome) -> String {
    let line = "interrupted: what follows is of what was read until then";
    say(line);
    exit.note(Exit::Interrupted);
    line.to_owned()
}

/// What a problem of the input means for the exit code; nothing where all that is there could be read.
fn exit_of_input(problem: &Problem) -> Option<Exit> {
    let counts = match problem {
        Problem::Error(_) => true,
        Problem::Warning(warning) => warning.what.ends_the_file(),
        Problem::Repeated { .. } => false,
    };
    counts.then(|| if problem.class() == Class::Permission { Exit::Permission } else { Exit::Input })
}

/// How it is told what was wrong with the input.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// The report alone tells it.
    silent: bool,
    /// The files were given without a command.
    bare: bool,
}

/// Tells what was wrong with the input, and gives the lines that the report repeats.
fn note_problems(
    problems: &[Problem],
    analysis: &Analysis,
    facts: &Facts,
    Manner { silent, bare }: Manner,
    exit: &mut Outcome,
) -> Vec<String> {
    let say = |text: &str| {
        if !silent {
            say(text)
        }
    };
    let mut lines = Vec::new();
    for problem in problems {
        let line = in_words(problem, bare);
        say(&line);
        exit_of_input(problem).into_iter().for_each(|code| exit.note(code));
        lines.push(line);
    }
    if let Some(line) = analysis.cut_away() {
        say(&line);
        exit.note(Exit::Input);
        lines.push(line);
    }
    if let Some(line) = analysis.unknown_links() {
        let line = format!("{line}{}", unread_links(analysis, facts));
        say(&line);
        if analysis.is_unread() {
            exit.note(Exit::Input);
        }
        lines.push(line);
    }
    if let Some(omitted @ 1..) = Some(analysis.questions_omitted()) {
        let line = format!(
            "{} for the system's names had no room: of who asked most the newest count",
            crate::text::units::Counted(omitted, "question")
        );
        say(&line);
        lines.push(line);
    }
    lines
}
