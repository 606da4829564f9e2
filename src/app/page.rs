//! `analyze --html` and `--md`: the report for people, with what a second look at the capture shows.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::carve::Read;
use super::{deliver, say};
use crate::changes::{Change, Texts, requested};
use crate::cli::AnalyzeArgs;
use crate::engine::analysis::Analysis;
use crate::engine::naming::Naming;
use crate::event::FindingRecord;
use crate::evidence::{Scene, Watcher, wanted};
use crate::pipeline;
use crate::present::page::{self, Markup, Matter, drawn};
use crate::present::report::{self, Report};
use crate::present::summary::Summary;
use crate::redact::Redactor;
use crate::source::{CHUNK_BYTES, Source, progress};

/// What a page is made of.
pub(super) struct Told {
    pub summary: Summary,
    pub changes: Vec<Change>,
    pub scenes: HashMap<u64, Scene>,
}

/// Puts together what a page is made of, with pseudonyms in it where they are wanted.
pub(super) fn told(
    report: Report<'_>,
    read: &Read<'_>,
    texts: &Texts,
    redactor: Option<&Redactor>,
    quiet: bool,
    stop: &AtomicBool,
) -> Told {
    let mut summary = report.summary();
    let findings = summary.diagnosis.as_ref().map(|diagnosis| &*diagnosis.findings).unwrap_or_default();
    let scenes = scenes(read.paths, findings, read.analysis, read.naming, stop, quiet);
    redactor.iter().for_each(|redactor| summary.redact(redactor));
    let asked = |diagnosis| requested(diagnosis, &read.base.catalogue, texts);
    let changes = summary.diagnosis.as_ref().map(asked).unwrap_or_default();
    Told { summary, changes, scenes }
}

/// Writes the report to where it is wanted.
pub(super) fn page(
    args: &AnalyzeArgs,
    report: Report<'_>,
    read: &Read<'_>,
    redactor: Option<&Redactor>,
    stop: &AtomicBool,
    markup: Markup,
) -> Result<report::Told> {
    let texts = Texts::embedded()?;
    let told = told(report, read, &texts, redactor, args.common.quiet, stop);
    let redacted = redactor.map(|redactor| redactor.what().text()).unwrap_or_default();
    let matter = Matter {
        summary: &told.summary,
        changes: &told.changes,
        texts: &texts,
        catalogue: &read.base.catalogue,
        scenes: &told.scenes,
        redacted: &redacted,
        attachments: &[],
    };
    deliver(args.output.as_deref(), args.common.color(), |out, _| page::write(out, &matter, markup))?;
    Ok(report::Told::of(told.summary.diagnosis.as_ref()))
}

/// What the flows that findings lead with show, by a second reading of the capture; nothing where it can be read only
/// once.
fn scenes(
    paths: &[PathBuf],
    findings: &[FindingRecord],
    analysis: &Analysis,
    naming: &Naming<'_>,
    stop: &AtomicBool,
    quiet: bool,
) -> HashMap<u64, Scene> {
    let (ids, cited) = drawn(findings);
    let flows = wanted(analysis, naming, &ids);
    if flows.is_empty() || !can_be_read_again(paths) {
        return HashMap::new();
    }
    let mut watcher = Watcher::new(flows, cited);
    let mut printer = (!quiet).then(progress::Printer::new);
    let source = Source::open(paths, CHUNK_BYTES);
    let problems = pipeline::each_frame(
        source,
        stop,
        &mut |progress| {
            if let Some(printer) = &mut printer {
                printer.update(progress);
            }
        },
        &mut |frame| watcher.frame(frame),
    );
    drop(printer);
    if problems.iter().any(|problem| matches!(problem, crate::source::Problem::Error(_))) {
        say("the capture could not be read a second time as it was read first: pictures may be incomplete");
    }
    watcher.scenes()
}

/// Whether all inputs are files or folders of them, which a second reading finds as they were.
pub(super) fn can_be_read_again(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir()))
}
