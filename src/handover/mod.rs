//! What is handed over, as functions: the report of a capture, the packets behind a finding, the pack for a ticket.
//!
//! Whoever calls them has read the capture once ([`pipeline::run`]) and says with a [`Read`] what it came to; what is
//! drawn or carved is then read from the files again. Where it is written to is the caller's affair.

pub mod carve;
pub mod pack;
pub mod page;
mod trial;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diagnose::rules::Rules;
use crate::diagnose::scene::Scene;
use crate::diagnose::{self, Diagnosis};
use crate::engine::analysis::Analysis;
use crate::engine::naming::{KnowledgeBase, Naming};
use crate::event::{CaptureQuality, Stats};
use crate::filter::Filter;
use crate::pipeline::{self, Outcome};
use crate::present::report::Report;
use crate::source::{CHUNK_BYTES, Facts, Frame, Problem, Progress, Source};

/// A capture that was read, and what it came to.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    /// The files.
    pub paths: &'a [PathBuf],
    /// What reading them came to.
    pub outcome: &'a Outcome,
    /// What its flows are called.
    pub naming: &'a Naming<'a>,
    /// What they are named by.
    pub base: &'a KnowledgeBase,
    /// What faults are told by.
    pub rules: &'a Rules,
}

/// How long work is attended to.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Set, it has the work end soon; what was read until then is what counts.
    pub stop: &'a AtomicBool,
    /// Is told how far a reading has come.
    pub progress: &'a dyn Fn(&Progress),
    /// Is told in words what is done, and what could not be.
    pub say: &'a dyn Fn(&str),
}

impl Attention<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl<'a> Read<'a> {
    /// All that a report tells of it. `warnings` is what was wrong with the files; only flows that pass `filter` are
    /// told; without `diagnose` no fault is looked for.
    pub fn report(&self, warnings: Vec<String>, filter: Option<&'a Filter>, diagnose: bool) -> Report<'a> {
        let (analysis, facts) = (&self.outcome.analysis, &self.outcome.facts);
        let mut quality = quality(analysis, facts, warnings);
        diagnose::capture::advise(&mut quality, self.rules);
        let diagnosis = diagnose.then(|| judged(analysis, facts, &quality, self.naming, self.base, self.rules));
        Report {
            analysis,
            naming: self.naming,
            quality,
            stats: stats(analysis, facts),
            files: self.paths.iter().map(|path| path.display().to_string()).collect(),
            filter,
            diagnosis,
            threads: self.outcome.threads,
        }
    }

    /// Gives every frame to `take`, in order, until it wants no more. Gives what was wrong with the files.
    fn each(&self, attention: Attention<'_>, take: &mut dyn FnMut(&Frame<'_>) -> bool) -> Vec<Problem> {
        let source = Source::open(self.paths, CHUNK_BYTES);
        pipeline::each_frame(source, attention.stop, &mut |progress| (attention.progress)(progress), take)
    }
}

/// What a capture comes to that was read to its end; `warnings` is what was wrong with its files.
pub fn judge(
    outcome: &Outcome,
    warnings: Vec<String>,
    naming: &Naming<'_>,
    base: &KnowledgeBase,
    rules: &Rules,
) -> Diagnosis {
    let quality = quality(&outcome.analysis, &outcome.facts, warnings);
    judged(&outcome.analysis, &outcome.facts, &quality, naming, base, rules)
}

fn quality(analysis: &Analysis, facts: &Facts, warnings: Vec<String>) -> CaptureQuality {
    let links = facts.links.keys().map(|link| link.0);
    analysis.quality(links, facts.kernel_drops, facts.interface_drops, warnings)
}

/// Counts of the run, with what the capture says was lost.
fn stats(analysis: &Analysis, facts: &Facts) -> Stats {
    let [kernel_drops, interface_drops] =
        [facts.kernel_drops, facts.interface_drops].map(|drops| drops.unwrap_or_default());
    Stats { kernel_drops, interface_drops, ..analysis.stats() }
}

fn judged(
    analysis: &Analysis,
    facts: &Facts,
    quality: &CaptureQuality,
    naming: &Naming<'_>,
    base: &KnowledgeBase,
    rules: &Rules,
) -> Diagnosis {
    let mut cases = analysis.cases(naming);
    cases.last = facts.ended(cases.last);
    diagnose::diagnose(&Scene { cases: &cases, rules, base, quality })
}

/// Whether all inputs are files or folders of them, which a second reading finds as they were.
pub fn can_be_read_again(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir()))
}
