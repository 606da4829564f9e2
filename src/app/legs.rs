//! `legs`: two captures, one each side of a box.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow};

use super::aloud::{Aloud, in_short};
use super::settings::Settings;
use super::{
    Manner, config, default_threads, deliver, find_folder, interrupted, keep_inputs, knowledge, look, note_problems,
    rules, say, stop_flag,
};
use crate::cli::LegsArgs;
use crate::diagnose::capture;
use crate::engine;
use crate::engine::leg::Leg;
use crate::engine::naming::KnowledgeBase;
use crate::event::CaptureQuality;
use crate::exit::{Exit, Outcome};
use crate::legs::compare;
use crate::pipeline;
use crate::platform;
use crate::present;
use crate::source::{CHUNK_BYTES, Problem, Source, progress};

pub(super) fn legs(args: &LegsArgs, named: Option<Settings>) -> Result<Exit> {
    let look = look(&args.common, named)?;
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    let inputs = args.lan.iter().chain(&args.wan).chain(&args.judge.site).chain(&args.judge.catalogue);
    keep_inputs(args.output.as_deref(), inputs)?;
    find_folder(args.output.as_deref())?;
    tell_apart(&args.lan, &args.wan)?;
    let mut exit = Outcome::new(args.judge.fail_on.is_some());
    let stop = stop_flag()?;
    let aloud = Aloud::new(&args.common, &args.judge, &base);
    let mut side = |name: &str, paths: &[PathBuf]| read(name, paths, (args, aloud), &base, &stop, &mut exit);
    let (lan, wan) = (side("the inner capture (--lan)", &args.lan), side("the outer capture (--wan)", &args.wan));
    let (Some((lan, inner)), Some((wan, outer))) = (lan, wan) else { return Ok(exit.exit()) };
    let comparison = compare(&lan, &wan, [&inner, &outer], &rules);
    for warning in &comparison.summary.warnings {
        say(warning);
    }
    let nothing = comparison.summary.start.is_none();
    if nothing || [&inner, &outer].iter().any(|quality| capture::is_poor(quality, &rules)) {
        exit.note(Exit::Poor);
    }
    let files = [&args.lan, &args.wan].map(|paths| in_short(paths));
    deliver(args.output.as_deref(), look, |out, style| {
        present::legs::write(out, args.format(), &comparison, &files, style)
    })?;
    let worst = comparison.findings.iter().filter(|f| f.is_claim()).map(|f| f.severity).max();
    if args.judge.fail_on.is_some_and(|least| worst.is_some_and(|worst| worst >= least)) {
        exit.note(Exit::Finding);
    }
    Ok(exit.exit())
}

/// Refuses one file, or standard input, as both captures.
fn tell_apart(lan: &[PathBuf], wan: &[PathBuf]) -> Result<()> {
    let file = |path: &PathBuf| fs::metadata(path).ok().map(|metadata| platform::file_id(path, &metadata));
    let inner: HashSet<_> = lan.iter().filter_map(file).collect();
    for path in wan {
        if path == Path::new("-") && lan.contains(path) {
            return Err(anyhow!("standard input can be one of the two captures, not both"));
        }
        if file(path).is_some_and(|file| inner.contains(&file)) {
            return Err(anyhow!(
                "{}: is given as --lan and as --wan; two captures are needed, one from each side of the box",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Reads one of the captures; nothing, where nothing of it could be read.
fn read(
    side: &str,
    paths: &[PathBuf],
    (args, aloud): (&LegsArgs, Aloud),
    base: &KnowledgeBase,
    stop: &Arc<AtomicBool>,
    exit: &mut Outcome,
) -> Option<(Leg, CaptureQuality)> {
    let config = engine::Config { traces: true, ..config(base, true) };
    let threads = args.judge.threads.map_or_else(default_threads, usize::from);
    let mut printer = progress::Printer::new(args.common.progress());
    let reading = aloud.begin();
    let source = Source::open(paths, CHUNK_BYTES).until(stop);
    let mut outcome = pipeline::run(source, &config, threads, stop, &mut |progress| printer.update(progress));
    drop(printer);
    reading.end(paths, &outcome.analysis.stats());
    let problems = std::mem::take(&mut outcome.problems);
    let mut warnings = note_problems(&problems, &outcome.analysis, &outcome.facts, Manner::default(), exit);
    if outcome.interrupted {
        warnings.push(interrupted(exit));
    }
    if outcome.facts.frames == 0 {
        // what nobody read any more is not empty
        if !outcome.interrupted && !problems.iter().any(|problem| matches!(problem, Problem::Error(_))) {
            say(&format!("{side} is empty: there is nothing to compare"));
            exit.note(Exit::Input);
        }
        return None;
    }
    let links = outcome.facts.links.keys().map(|link| link.0);
    let (kernel, interface) = (outcome.facts.kernel_drops, outcome.facts.interface_drops);
    let quality = outcome.analysis.quality(links, kernel, interface, warnings);
    let naming = outcome.name(base);
    Some((outcome.analysis.leg(&naming), quality))
}
