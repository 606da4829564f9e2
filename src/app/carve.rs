//! `carve`: the frames that a finding rests on, or flows that pass a filter, as pcapng.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow};

use super::page::can_be_read_again;
use super::{
    config, default_threads, deliver, find_folder, keep_inputs, knowledge, note_problems, rules, say, stop_flag,
};
use crate::carve::strip::strip;
use crate::carve::{Picker, Reach, comments, is_same};
use crate::cli::CarveArgs;
use crate::diagnose::rules::Rules;
use crate::diagnose::scene::Scene;
use crate::diagnose::{Diagnosis, diagnose};
use crate::engine::analysis::Analysis;
use crate::engine::naming::{KnowledgeBase, Naming};
use crate::engine::{self, Engine};
use crate::event::FindingRecord;
use crate::evidence::{Wanted, wanted};
use crate::exit::{Exit, Outcome};
use crate::filter::Filter;
use crate::pcapng::{Interface, Section, Statistics, Writer};
use crate::pipeline;
use crate::present::report::Report;
use crate::redact::Redactor;
use crate::source::{CHUNK_BYTES, Facts, Frame, LinkType, Source, progress};

/// A capture that was read, and what it came to.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub paths: &'a [PathBuf],
    pub analysis: &'a Analysis,
    pub naming: &'a Naming<'a>,
    pub base: &'a KnowledgeBase,
    pub rules: &'a Rules,
    pub facts: &'a Facts,
}

/// What happens to the frames that are carved.
#[derive(Clone, Copy, Default)]
pub(super) struct Treatment<'a> {
    /// Content is taken out.
    pub strip: bool,
    /// No more than so many bytes of each frame are kept.
    pub snaplen: Option<usize>,
    /// Addresses and names are replaced, which takes content out too.
    pub redactor: Option<&'a Redactor>,
}

pub(super) fn carve(args: &CarveArgs) -> Result<Exit> {
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    let inputs = args.files.iter().chain(&args.judge.site).chain(&args.judge.catalogue);
    keep_inputs(Some(&args.output), inputs)?;
    find_folder(Some(&args.output))?;
    if !can_be_read_again(&args.files) {
        return Err(anyhow!("a capture to carve from is read more than once: give files, no pipe"));
    }
    let stop = stop_flag()?;
    let threads = args.judge.threads.map_or_else(default_threads, usize::from);
    let mut printer = (!args.common.quiet).then(progress::Printer::new);
    let source = Source::open(&args.files, CHUNK_BYTES);
    let mut outcome = pipeline::run(source, &config(&base, true), threads, &stop, &mut |progress| {
        if let Some(printer) = &mut printer {
            printer.update(progress);
        }
    });
    drop(printer);
    let mut exit = Outcome::new(false);
    let problems = std::mem::take(&mut outcome.problems);
    let warnings = note_problems(&problems, &outcome.analysis, &outcome.facts, false, &mut exit);
    let naming = outcome.analysis.name(&base);
    let diagnosis = judge(&outcome.analysis, &naming, &base, &rules, &outcome.facts, warnings);
    let read = Read {
        paths: &args.files,
        analysis: &outcome.analysis,
        naming: &naming,
        base: &base,
        rules: &rules,
        facts: &outcome.facts,
    };
    let treatment = Treatment { strip: args.strip_payload, snaplen: args.snaplen, redactor: None };
    let carved = match (&args.finding, &args.filter) {
        (Some(id), _) => {
            let finding = find(&diagnosis.findings, id)?;
            deliver(Some(&args.output), args.common.color(), |out, _| read.finding(out, finding, treatment, &stop))?
        }
        (None, Some(filter)) => {
            let flows = read.passing(filter, diagnosis);
            if flows.is_empty() {
                return Err(anyhow!("no flow passes the filter: there is nothing to carve"));
            }
            deliver(Some(&args.output), args.common.color(), |out, _| read.flows(out, flows, treatment, &stop))?
        }
        (None, None) => return Err(anyhow!("give --finding ID or -Y FILTER")),
    };
    if !args.common.quiet {
        say(&format!("{}: {} of {} frames", args.output.display(), carved.frames, outcome.facts.frames));
    }
    if !carved.raised {
        say("the carved capture alone does not raise the finding again: it rests on more than its packets");
    }
    Ok(exit.exit())
}

/// What a capture comes to.
pub(super) fn judge(
    analysis: &Analysis,
    naming: &Naming<'_>,
    base: &KnowledgeBase,
    rules: &Rules,
    facts: &Facts,
    warnings: Vec<String>,
) -> Diagnosis {
    let links = facts.links.keys().map(|link| link.0);
    let quality = analysis.quality(links, facts.kernel_drops, facts.interface_drops, warnings);
    let cases = analysis.cases(naming);
    diagnose(&Scene { cases: &cases, rules, base, quality: &quality })
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

/// What carving came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carved {
    pub frames: u64,
    /// The finding is raised by what was carved; true where none was asked for.
    pub raised: bool,
}

impl Read<'_> {
    /// Carves what a finding rests on: the least reach from which it is raised again.
    pub fn finding(
        &self,
        out: &mut dyn Write,
        finding: &FindingRecord,
        treatment: Treatment<'_>,
        stop: &AtomicBool,
    ) -> io::Result<Carved> {
        let ids: HashSet<u64> = finding.flow_ids.iter().copied().collect();
        let flows = wanted(self.analysis, self.naming, &ids);
        let reaches = if flows.is_empty() { &[Reach::All][..] } else { &Reach::ALL[..] };
        let raised = reaches.iter().find(|reach| self.raises(finding, &flows, **reach, stop));
        let reach = raised.or(reaches.first()).copied().unwrap_or(Reach::Flows);
        let lead = finding.flow_ids.first().copied();
        let lead = lead.and_then(|lead| {
            let view = self.analysis.in_order().into_iter().filter_map(|at| self.analysis.view(at, self.naming));
            view.into_iter().find(|view| view.id() == lead).map(|view| view.flow.first_frame)
        });
        let comments = comments(finding, lead);
        let about = [format!("{} {}: {}", finding.rule, finding.id, finding.title), finding.advice.clone()];
        let picker = Picker::new(flows, self.facts.frames, reach);
        let frames = self.write(out, picker, &comments, &about, treatment, stop)?;
        Ok(Carved { frames, raised: raised.is_some() })
    }

    /// Carves flows, with what names them.
    pub fn flows(
        &self,
        out: &mut dyn Write,
        flows: Vec<Wanted>,
        treatment: Treatment<'_>,
        stop: &AtomicBool,
    ) -> io::Result<Carved> {
        let picker = Picker::new(flows, self.facts.frames, Reach::Flows);
        let frames = self.write(out, picker, &HashMap::new(), &[], treatment, stop)?;
        Ok(Carved { frames, raised: true })
    }

    /// The flows that pass a filter.
    fn passing(&self, filter: &Filter, diagnosis: Diagnosis) -> Vec<Wanted> {
        let report = Report {
            analysis: self.analysis,
            naming: self.naming,
            quality: crate::event::CaptureQuality::default(),
            stats: crate::event::Stats::default(),
            files: Vec::new(),
            filter: Some(filter),
            diagnosis: Some(diagnosis),
        };
        wanted(self.analysis, self.naming, &report.passing())
    }

    /// Whether what is chosen raises the finding by itself.
    fn raises(&self, finding: &FindingRecord, flows: &[Wanted], reach: Reach, stop: &AtomicBool) -> bool {
        let mut picker = Picker::new(flows.to_vec(), self.facts.frames, reach);
        let mut engine = Engine::new(&engine::Config { records: false, ..config(self.base, false) });
        let mut facts = Facts {
            kernel_drops: self.facts.kernel_drops,
            interface_drops: self.facts.interface_drops,
            ..Facts::default()
        };
        self.each(stop, &mut |frame| {
            if picker.takes(frame) {
                let of_link = facts.links.entry(frame.link).or_default();
                *of_link = of_link.saturating_add(1);
                engine.frame(*frame);
            }
            true
        });
        let analysis = engine.finish();
        let naming = analysis.name(self.base);
        let diagnosis = judge(&analysis, &naming, self.base, self.rules, &facts, Vec::new());
        diagnosis.findings.iter().any(|found| is_same(found, finding))
    }

    fn each(&self, stop: &AtomicBool, take: &mut dyn FnMut(&Frame<'_>) -> bool) {
        let source = Source::open(self.paths, CHUNK_BYTES);
        pipeline::each_frame(source, stop, &mut |_| {}, take);
    }

    /// Writes what is chosen; gives how many frames that were.
    fn write(
        &self,
        out: &mut dyn Write,
        mut picker: Picker,
        comments: &HashMap<u64, Vec<String>>,
        about: &[String],
        treatment: Treatment<'_>,
        stop: &AtomicBool,
    ) -> io::Result<u64> {
        let told = |text: &String| treatment.redactor.map_or_else(|| text.clone(), |redactor| redactor.text(text));
        let about: Vec<String> = about.iter().map(told).collect();
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let application = concat!("relayscope ", env!("CARGO_PKG_VERSION"));
        let section = Section { os: None, application: Some(application), comments: &about };
        let mut file = File { writer: Writer::new(out, &section)?, interfaces: BTreeMap::new(), frames: 0 };
        let mut failed = None;
        self.each(stop, &mut |frame| {
            let number = picker.next();
            if !picker.takes(frame) {
                return true;
            }
            let said: Vec<String> =
                comments.get(&number).map(|said| said.iter().map(told).collect()).unwrap_or_default();
            let written = file.frame(frame, &said, treatment);
            failed = written.err();
            failed.is_none()
        });
        match failed {
            Some(error) => Err(error),
            None => file.finish(self.facts, self.analysis.totals.last),
        }
    }
}

/// A carved capture while it is written: an interface for each link type.
struct File<'o> {
    writer: Writer<&'o mut dyn Write>,
    interfaces: BTreeMap<LinkType, u32>,
    frames: u64,
}

impl File<'_> {
    fn frame(&mut self, frame: &Frame<'_>, comments: &[String], treatment: Treatment<'_>) -> io::Result<()> {
        let replaced;
        let mut shown = *frame;
        if let Some(redactor) = treatment.redactor {
            let Some((link, bytes)) = redactor.frame(frame) else { return Ok(()) };
            replaced = bytes;
            let len = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
            shown = Frame { link, len, bytes: &replaced, ..*frame };
        } else if treatment.strip {
            replaced = strip(frame);
            shown = Frame { bytes: &replaced, ..*frame };
        }
        if let Some(most) = treatment.snaplen {
            shown.bytes = shown.bytes.get(..most).unwrap_or(shown.bytes);
        }
        let interface = match self.interfaces.get(&shown.link) {
            Some(interface) => *interface,
            None => {
                let snaplen = treatment.snaplen.and_then(|most| u32::try_from(most).ok()).unwrap_or(0);
                let about = Interface { link: shown.link, snaplen, name: None, filter: None };
                let interface = self.writer.interface(&about)?;
                self.interfaces.insert(shown.link, interface);
                interface
            }
        };
        self.frames = self.frames.saturating_add(1);
        let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
        self.writer.frame(interface, &shown, &comments)
    }

    /// What the interfaces lost goes with the first of them.
    fn finish(mut self, facts: &Facts, time: crate::time::Timestamp) -> io::Result<u64> {
        let lost = facts.kernel_drops.or(facts.interface_drops).is_some();
        if let Some(first) = self.interfaces.values().next().copied().filter(|_| lost) {
            let (interface_drops, kernel_drops) = (facts.interface_drops, facts.kernel_drops);
            let statistics = Statistics { time, interface_drops, kernel_drops, ..Statistics::default() };
            self.writer.statistics(first, &statistics)?;
        }
        self.writer.output().flush()?;
        Ok(self.frames)
    }
}
