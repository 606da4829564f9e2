//! `carve`: the frames that a finding rests on, or flows that pass a filter, as pcapng.

use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow};

use super::aloud::Aloud;
use super::{
    Beheld, Manner, config, default_threads, deliver, find_folder, keep_inputs, knowledge, note_problems, rules, say,
    stop_flag,
};
use crate::cli::CarveArgs;
use crate::event::FindingRecord;
use crate::exit::{Exit, Outcome};
use crate::handover::carve::Treatment;
use crate::handover::{Read, can_be_read_again};
use crate::pipeline;
use crate::present::color::Look;
use crate::present::report::Told;
use crate::source::{CHUNK_BYTES, Source};

pub(super) fn carve(args: &CarveArgs) -> Result<Exit> {
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    can_be_done(args)?;
    let stop = stop_flag()?;
    let beheld = Beheld::new(&args.common);
    let threads = args.judge.threads.map_or_else(default_threads, usize::from);
    let reading = Aloud::new(&args.common, &args.judge, &base).begin();
    let source = Source::open(&args.files, CHUNK_BYTES);
    let config = config(&base, true);
    let mut outcome = pipeline::run(source, &config, threads, &stop, &mut |progress| beheld.progress(progress));
    reading.end(&args.files, &outcome.analysis.stats());
    let mut exit = Outcome::new(args.judge.fail_on.is_some());
    let problems = std::mem::take(&mut outcome.problems);
    let warnings = note_problems(&problems, &outcome.analysis, &outcome.facts, Manner::default(), &mut exit);
    if stop.load(Ordering::Relaxed) {
        exit.note(Exit::Interrupted);
        say("interrupted: nothing is carved");
        return Ok(exit.exit());
    }
    let naming = outcome.name(&base);
    let read = Read { paths: &args.files, outcome: &outcome, naming: &naming, base: &base, rules: &rules };
    let snaplen = args.snaplen.filter(|most| *most > 0);
    let treatment = Treatment { strip: args.strip_payload, snaplen, redactor: None };
    let report = read.report(warnings, args.filter.as_ref(), true);
    let worst = Told::of(report.diagnosis.as_ref()).worst;
    if args.judge.fail_on.is_some_and(|least| worst.is_some_and(|worst| worst >= least)) {
        exit.note(Exit::Finding);
    }
    let carved = beheld.attend(&stop, |attention| {
        if let Some(id) = &args.finding {
            let findings = report.diagnosis.as_ref().map(|diagnosis| &*diagnosis.findings).unwrap_or_default();
            let finding = find(findings, id)?;
            let chosen = read.choose(&config, &[finding], attention).pop();
            let chosen = chosen.ok_or_else(|| anyhow!("nothing was chosen"))?;
            return deliver(Some(&args.output), Look::default(), |out, _| {
                read.carve_finding(out, finding, chosen, treatment, attention)
            });
        }
        let flows = report.passing();
        if flows.is_empty() {
            return Err(anyhow!("no flow passes the filter: there is nothing to carve"));
        }
        deliver(Some(&args.output), Look::default(), |out, _| read.carve_flows(out, &flows, treatment, attention))
    })?;
    if !args.common.quiet {
        say(&format!("{}: {} of {} frames", args.output.display(), carved.frames, outcome.facts.frames));
    }
    if stop.load(Ordering::Relaxed) {
        exit.note(Exit::Interrupted);
        say("interrupted: what was carved is not whole");
    }
    if !carved.raised {
        say("the carved capture alone does not raise the finding again: it rests on more than its packets");
    }
    Ok(exit.exit())
}

/// Says what cannot be done before anything is read.
fn can_be_done(args: &CarveArgs) -> Result<()> {
    let inputs = args.files.iter().chain(&args.judge.site).chain(&args.judge.catalogue);
    keep_inputs(Some(&args.output), inputs)?;
    find_folder(Some(&args.output))?;
    if !can_be_read_again(&args.files) {
        return Err(anyhow!("a capture to carve from is read more than once: give files, no pipe"));
    }
    Ok(())
}

/// The finding that is called so: by its id, or the beginning of one.
fn find<'f>(findings: &'f [FindingRecord], id: &str) -> Result<&'f FindingRecord> {
    let mut matching = findings.iter().filter(|finding| !id.is_empty() && finding.id.starts_with(id));
    match (matching.next(), matching.next()) {
        (Some(finding), None) => Ok(finding),
        (Some(_), Some(_)) => Err(anyhow!("several findings begin with '{}': give more of the id", id.escape_debug())),
        (None, _) if findings.is_empty() => Err(anyhow!("this capture has no findings")),
        (None, _) => {
            let known: Vec<String> =
                findings.iter().take(20).map(|f| format!("{} ({}, {})", f.id, f.rule, f.kind.text())).collect();
            Err(anyhow!("there is no finding '{}'; there are {}", id.escape_debug(), known.join(", ")))
        }
    }
}
