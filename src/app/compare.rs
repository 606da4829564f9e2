//! `compare`: two captures of one site, before and after a change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow};

use super::aloud::Aloud;
use super::{
    Manner, config, default_threads, deliver, find_folder, interrupted, keep_inputs, knowledge, note_problems, rules,
    say, stop_flag,
};
use crate::cli::CompareArgs;
use crate::compare::compare;
use crate::diagnose::Diagnosis;
use crate::diagnose::rules::Rules;
use crate::engine::naming::KnowledgeBase;
use crate::event::Severity;
use crate::exit::{Exit, Outcome};
use crate::handover::judge;
use crate::pipeline;
use crate::present::color::Look;
use crate::present::compared;
use crate::source::{CHUNK_BYTES, Source, progress};

pub(super) fn compare_captures(args: &CompareArgs) -> Result<Exit> {
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    let inputs = [&args.before, &args.after];
    keep_inputs(args.output.as_deref(), inputs.into_iter().chain(&args.judge.site).chain(&args.judge.catalogue))?;
    find_folder(args.output.as_deref())?;
    if args.before == args.after {
        return Err(anyhow!("{}: is given twice; two captures are compared", args.before.display()));
    }
    let mut exit = Outcome::new(true);
    let stop = stop_flag()?;
    let aloud = Aloud::new(&args.common, &args.judge, &base);
    let mut read = |path: &PathBuf| read(path, (args, aloud), &base, &rules, &stop, &mut exit);
    let (Some(before), Some(after)) = (read(&args.before), read(&args.after)) else { return Ok(exit.exit()) };
    let comparison = compare(&before, &after);
    let files = [&args.before, &args.after].map(|path| path.display().to_string());
    deliver(args.output.as_deref(), Look::of(args.common.color()), |out, style| {
        if args.json {
            serde_json::to_writer_pretty(&mut *out, &comparison).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            out.flush()
        } else {
            compared::write(out, &comparison, &files, style)
        }
    })?;
    let least = args.judge.fail_on.unwrap_or(Severity::Error);
    if comparison.worst().is_some_and(|worst| worst >= least) {
        exit.note(Exit::Finding);
    }
    // who tries nothing finds nothing: that is no ground to accept
    if comparison.proves_nothing(least) {
        exit.note(Exit::Poor);
    }
    Ok(exit.exit())
}

/// What one of the captures comes to; nothing where nothing of it could be read.
fn read(
    path: &PathBuf,
    (args, aloud): (&CompareArgs, Aloud),
    base: &KnowledgeBase,
    rules: &Rules,
    stop: &Arc<AtomicBool>,
    exit: &mut Outcome,
) -> Option<Diagnosis> {
    let threads = args.judge.threads.map_or_else(default_threads, usize::from);
    let mut printer = progress::Printer::new(args.common.progress());
    let reading = aloud.begin();
    let source = Source::open(std::slice::from_ref(path), CHUNK_BYTES).until(stop);
    let mut outcome =
        pipeline::run(source, &config(base, false), threads, stop, &mut |progress| printer.update(progress));
    drop(printer);
    reading.end(std::slice::from_ref(path), &outcome.analysis.stats());
    let problems = std::mem::take(&mut outcome.problems);
    let mut warnings = note_problems(&problems, &outcome.analysis, &outcome.facts, Manner::default(), exit);
    if outcome.interrupted {
        warnings.push(interrupted(exit));
    }
    if outcome.facts.frames == 0 {
        // what nobody read any more is not empty
        if !outcome.interrupted && problems.is_empty() {
            say(&format!("{}: is empty: there is nothing to compare", path.display()));
            exit.note(Exit::Input);
        }
        return None;
    }
    let naming = outcome.name(base);
    Some(judge(&outcome, warnings, &naming, base, rules))
}
