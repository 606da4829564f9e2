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
    // where there is one of its rule or kind, that names it as well
    let is_called = |f: &&FindingRecord| [f.rule, f.kind.text()].iter().any(|name| name.eq_ignore_ascii_case(id));
    let begins = |finding: &&FindingRecord| !id.is_empty() && finding.id.starts_with(id);
    let mut matching: Vec<&FindingRecord> = findings.iter().filter(begins).collect();
    if matching.is_empty() {
        matching.extend(findings.iter().filter(is_called));
    }
    let said = id.escape_debug();
    match (matching.first(), matching.get(1)) {
        (Some(finding), None) => Ok(finding),
        (Some(one), Some(other)) => {
            Err(anyhow!("'{said}' may be several findings ({}, {} …): give the id", one.id, other.id))
        }
        (None, _) if findings.is_empty() => Err(anyhow!("this capture has no findings")),
        (None, _) => {
            let known: Vec<String> =
                findings.iter().take(20).map(|f| format!("{} ({}, {})", f.id, f.rule, f.kind.text())).collect();
            Err(anyhow!("there is no finding '{said}'; there are {}", known.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    #[test]
    fn a_finding_is_known_by_its_id_or_by_what_it_alone_is() {
        let findings = sample::findings();
        let found = |id: &str| find(&findings, id).map(|finding| finding.id.clone()).map_err(|error| error.to_string());
        let one = &findings[0];
        assert_eq!(found(&one.id), Ok(one.id.clone()));
        assert_eq!(found(&one.rule.to_lowercase()), Ok(one.id.clone()));
        let alone =
            findings.iter().find(|f| findings.iter().filter(|other| other.kind == f.kind).count() == 1).unwrap();
        assert_eq!(found(alone.kind.text()), Ok(alone.id.clone()));
        assert!(found("D-99").unwrap_err().contains(&one.id) && found("").is_err());
        assert!(found("content-filter-stall").unwrap_err().contains("give the id"));
    }
}
