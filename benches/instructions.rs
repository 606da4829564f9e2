//! How many instructions a packet of each class costs: a count, by valgrind, that depends on no machine's mood.
//!
//! `cargo bench --bench instructions --profile instructions` compares with `benches/instructions.toml` and fails where a
//! class costs more than the baseline allows. `BASELINE=write` writes a new one. Counts hold for one compiler and one
//! architecture: with another, or without valgrind, it says that it was not run, and why.

#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/support/workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use relayscope::engine::{Config, Engine};
use relayscope::source::Chunk;
use serde::{Deserialize, Serialize};

/// By how much a class may cost more than its baseline.
const TOLERANCE: f64 = 0.02;
/// Tells the program that valgrind runs it, and for which class.
const CLASS: &str = "RELAYSCOPE_COUNTED_CLASS";

#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    /// The compiler and architecture that it was counted with.
    built: String,
    /// Instructions a packet, by class.
    instructions: BTreeMap<String, f64>,
}

/// What is counted: all that an engine does with one chunk.
#[inline(never)]
fn counted(engine: &mut Engine, chunk: &Chunk) {
    engine.chunk(black_box(chunk));
}

fn main() -> ExitCode {
    if let Ok(class) = std::env::var(CLASS) {
        let chunk = workload::classes().into_iter().find(|(name, _)| *name == class).unwrap().1;
        counted(&mut Engine::new(&Config { secret: 7, ..Config::default() }), &chunk);
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

fn count() -> Result<BTreeMap<String, f64>, String> {
    let mut counts = BTreeMap::new();
    for (class, chunk) in workload::classes() {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let run = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
            .arg("--toggle-collect=*counted*")
            .arg(own)
            .env(CLASS, class)
            .output()
            .map_err(|error| format!("valgrind cannot be run: {error}"))?;
        let told = String::from_utf8_lossy(&run.stderr);
        let number =
            told.lines().find_map(|line| line.split_once("Collected :")).and_then(|(_, n)| n.trim().parse().ok());
        let number: f64 = number.filter(|n| *n > 0.0).ok_or_else(|| format!("valgrind counted nothing: {told}"))?;
        counts.insert(class.to_owned(), (number / chunk.frames.len() as f64 * 10.0).round() / 10.0);
    }
    Ok(counts)
}

fn judge(instructions: BTreeMap<String, f64>) -> ExitCode {
    let now = match built() {
        Ok(built) => Baseline { built, instructions },
        Err(reason) => {
            println!("instructions: not compared, because {reason}");
            return ExitCode::SUCCESS;
        }
    };
    if std::env::var("BASELINE").is_ok_and(|word| word == "write") {
        std::fs::write(path(), toml::to_string(&now).unwrap()).unwrap();
    }
    let then: Baseline = toml::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let comparable = then.built == now.built;
    let mut worse = false;
    for (class, count) in &now.instructions {
        let before = then.instructions.get(class).copied().unwrap_or(0.0);
        let more = comparable && *count > before * (1.0 + TOLERANCE);
        println!(
            "{class:<12} {count:>8.1} instructions a packet, baseline {before:>8.1}{}",
            if more { "  MORE" } else { "" }
        );
        worse |= more;
    }
    if !comparable {
        println!("instructions: not compared, because the baseline was counted with {}", then.built);
    }
    if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
