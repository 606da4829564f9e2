//! How many instructions a packet of each class costs: a count, by valgrind, that depends on no machine's mood.
//!
//! Counted is what an engine does with a chunk of a class, and, as `CLASS, told`, the same with whole records, all
//! flows named and each told as a line of NDJSON. `cargo bench --bench instructions --profile dev` compares with
//! `benches/instructions.toml` and fails where a class costs more than the baseline allows; `BASELINE=write` writes a
//! new one. The file has a table a profile: `./check` compares the one that is built there anyway, and for work on
//! speed `--profile instructions` is as fast as what is released but for what only linking all at once brings.
//!
//! Counts hold for one compiler and one architecture: with another, or without valgrind, it says that nothing was
//! compared, and why. What code finds of the processor is what valgrind shows, so that is the same nearly everywhere.

#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use relayscope::classify::site::Site;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::engine::{Config, Engine};
use relayscope::present::Format;
use relayscope::present::color::Style;
use relayscope::present::report::{self, Report};
use relayscope::source::Chunk;
use serde::{Deserialize, Serialize};

/// By how much a class may cost more than its baseline. Runs of one build differ by less than a thousandth, by where in
/// memory things come to lie; the C library, which copies and allocates, is a twentieth of all and another elsewhere.
const TOLERANCE: f64 = 0.03;
/// Tells the program that valgrind runs it, and for which class.
const CLASS: &str = "RELAYSCOPE_COUNTED_CLASS";
/// Behind the name of a class: its flows are told, too.
const TOLD: &str = ", told";

#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    /// The compiler and architecture that it was counted with.
    built: String,
    /// Instructions a packet, by profile and class.
    instructions: BTreeMap<String, BTreeMap<String, f64>>,
}

/// What is counted of a class: all that an engine does with one chunk.
#[inline(never)]
fn counted(engine: &mut Engine, chunk: &Chunk) {
    engine.chunk(black_box(chunk));
}

/// What is counted of it where its flows are told.
#[inline(never)]
fn counted_with_lines(mut engine: Engine, chunk: &Chunk, base: &KnowledgeBase) -> io::Result<()> {
    engine.chunk(black_box(chunk));
    let analysis = engine.finish();
    let naming = analysis.name(base);
    let report = Report {
        analysis: &analysis,
        naming: &naming,
        quality: analysis.quality([].into_iter(), None, None, Vec::new()),
        stats: analysis.stats(),
        files: Vec::new(),
        filter: None,
        diagnosis: None,
        threads: 1,
    };
    report::write(io::sink(), Format::Ndjson, report, Style::plain()).map(|_| ())
}

fn main() -> ExitCode {
    if let Ok(class) = std::env::var(CLASS) {
        let (name, told) = class.strip_suffix(TOLD).map_or((&*class, false), |name| (name, true));
        let chunk = workload::classes().into_iter().find(|(class, _)| *class == name).unwrap().1;
        let mut engine = Engine::new(&Config { secret: 7, records: told, ..Config::default() });
        if told {
            counted_with_lines(engine, &chunk, &KnowledgeBase::new(None, Site::default()).unwrap()).unwrap();
        } else {
            counted(&mut engine, &chunk);
        }
        return ExitCode::SUCCESS;
    }
    match count() {
        Ok(counts) => judge(counts),
        Err(reason) => {
            println!("instructions: not run, because {reason}");
            ExitCode::SUCCESS
        }
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml")
}

/// The compiler in use, and the architecture.
fn built() -> Result<String, String> {
    let told = Command::new("rustc").arg("-V").output().map_err(|error| format!("rustc cannot be asked: {error}"))?;
    Ok(format!("{} {}", String::from_utf8_lossy(&told.stdout).trim(), std::env::consts::ARCH))
}

/// The profile that this was built with, by the folder that it stands in.
fn profile() -> Result<String, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = own.ancestors().nth(2).and_then(Path::file_name).ok_or("nothing tells the profile")?;
    Ok(folder.to_string_lossy().replace("debug", "dev"))
}

fn count() -> Result<BTreeMap<String, f64>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut counts = BTreeMap::new();
    for (class, chunk) in workload::classes() {
        for class in [class.to_owned(), format!("{class}{TOLD}")] {
            let run = Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
                .arg("--toggle-collect=*counted*")
                .arg(&own)
                .env(CLASS, &class)
                .output()
                .map_err(|error| format!("valgrind cannot be run: {error}"))?;
            let told = String::from_utf8_lossy(&run.stderr);
            let number =
                told.lines().find_map(|line| line.split_once("Collected :")).and_then(|(_, n)| n.trim().parse().ok());
            let number: f64 = number.filter(|n| *n > 0.0).ok_or_else(|| format!("valgrind counted nothing: {told}"))?;
            counts.insert(class, (number / chunk.frames.len() as f64 * 10.0).round() / 10.0);
        }
    }
    Ok(counts)
}

fn judge(counts: BTreeMap<String, f64>) -> ExitCode {
    let (built, profile) = match built().and_then(|built| Ok((built, profile()?))) {
        Ok(found) => found,
        Err(reason) => {
            println!("instructions: not compared, because {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let mut baseline: Baseline = toml::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    if std::env::var("BASELINE").is_ok_and(|word| word == "write") {
        if baseline.built != built {
            baseline = Baseline { built: built.clone(), instructions: BTreeMap::new() };
        }
        baseline.instructions.insert(profile.clone(), counts.clone());
        std::fs::write(path(), toml::to_string(&baseline).unwrap()).unwrap();
    }
    let then = baseline.instructions.get(&profile).filter(|_| baseline.built == built);
    let mut worse = false;
    for (class, count) in &counts {
        let before = then.map(|then| then.get(class).copied().unwrap_or(0.0));
        let more = before.is_some_and(|before| *count > before * (1.0 + TOLERANCE));
        let told = before.map(|before| format!(", baseline {before:>8.1}")).unwrap_or_default();
        println!("{class:<18} {count:>8.1} instructions a packet{told}{}", if more { "  MORE" } else { "" });
        worse |= more;
    }
    if baseline.built != built {
        println!("instructions: not compared, because the baseline was counted with {}, not {built}", baseline.built);
    } else if then.is_none() {
        println!("instructions: not compared, because the baseline has nothing of the profile {profile}");
    }
    if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
