//! A whole analysis, told in the form that is wanted.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hint::black_box;
use std::io::{self, Write};
use std::ops::Range;

use smallvec::SmallVec;

use super::Format;
use super::color::Style;
use super::csv::Csv;
use super::human::write_summary;
use super::json::Document;
use super::ndjson::{Lines, Ndjson};
use super::summary::{Filtered, Summary, SummaryBuilder, TopFlow};
use super::verdict::{is_fault, undecided};
use crate::changes::{Texts, requested};
use crate::classify::words::Subs;
use crate::crew;
use crate::diagnose::Diagnosis;
use crate::engine::analysis::{Analysis, FlowAt, FlowView, Wanted};
use crate::engine::brief::Briefs;
use crate::engine::naming::Naming;
use crate::event::{CaptureQuality, Class, FlowRecord, Severity, Stats};
use crate::filter::{Filter, Known};
use crate::redact::Redactor;
use crate::redact::literals::Full;
use crate::text::mask::credentials;

/// All that a report tells.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What the capture has told.
    pub analysis: &'a Analysis,
    /// What the flows are called.
    pub naming: &'a Naming<'a>,
    /// What the capture is worth.
    pub quality: CaptureQuality,
    /// The run's counts.
    pub stats: Stats,
    /// The files read.
    pub files: Vec<String>,
    /// Only flows that pass are told.
    pub filter: Option<&'a Filter>,
    /// What is wrong, where that was asked. Of it only what concerns flows that pass is told.
    pub diagnosis: Option<Diagnosis>,
    /// How many threads may work on it.
    pub threads: usize,
}

/// What a report has told of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The gravest claim.
    pub worst: Option<Severity>,
    /// The capture is too poor to judge by.
    pub poor: bool,
}

impl Told {
    /// What a diagnosis comes to.
    pub fn of(diagnosis: Option<&Diagnosis>) -> Told {
        let Some(diagnosis) = diagnosis else { return Told::default() };
        let claims = diagnosis.findings.iter().filter(|f| f.is_claim());
        Told { worst: claims.map(|f| f.severity).max(), poor: diagnosis.poor }
    }
}

/// How many flows' lines are made in one piece, which is then written as it is, and how many pieces at once: what is
/// not written yet takes room.
const LINES: usize = 512;
const ROUND: usize = 16;
/// How many flows' lines are made together: looked up, judged, put together, written, each step for all of them.
const GROUP: usize = 16;

/// The flows that passed the filter; without one, all have.
type Passed = Option<HashSet<u64>>;

/// How what is told is treated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling<'a> {
    /// Replaces addresses and names.
    pub redactor: Option<&'a Redactor>,
    /// Credentials in addresses of requests are masked.
    pub mask: bool,
}

impl Telling<'_> {
    fn record(&self, record: &mut FlowRecord<'_>) {
        if self.mask {
            let messages = record.rtsp.iter_mut().chain(&mut record.sip).filter_map(|message| message.uri.as_mut());
            for uri in record.http.iter_mut().filter_map(|http| http.uri.as_mut()).chain(messages) {
                *uri = Cow::Owned(credentials(uri).into_owned());
            }
        }
        if let Some(redactor) = self.redactor {
            redactor.flow(record);
        }
    }
}

/// Writes a report as it is, and says what it tells of faults.
///
/// # Errors
/// What writing gives; a closed pipe is [`io::ErrorKind::BrokenPipe`].
pub fn write(out: impl Write, format: Format, report: Report<'_>, style: Style) -> io::Result<Told> {
    write_with(out, format, report, style, Telling::default())
}

/// Writes a report treated like that, and says what it tells of faults.
///
/// # Errors
/// As [`write`].
pub fn write_with(
    mut out: impl Write,
    format: Format,
    mut report: Report<'_>,
    style: Style,
    telling: Telling<'_>,
) -> io::Result<Told> {
    telling.redactor.iter().for_each(|redactor| redactor.quality(&mut report.quality));
    let told = match format {
        Format::Summary => {
            let mut summary = report.summary();
            telling.redactor.iter().for_each(|redactor| summary.redact(redactor));
            write_summary(&mut out, &summary, style)?;
            Told::of(summary.diagnosis.as_ref())
        }
        Format::Ndjson => {
            let mut sink = Ndjson::new(&mut out);
            let passed = match report.filter {
                Some(_) => report.each_record(telling, |record| sink.flow(record))?,
                None => report.all_lines(telling, &mut sink).map(|()| None)?,
            };
            let diagnosis = report.diagnosis_of(&passed, telling);
            if let Some(diagnosis) = &diagnosis {
                diagnosis.sessions.iter().try_for_each(|session| sink.session(session))?;
                diagnosis.findings.iter().try_for_each(|finding| sink.finding(finding))?;
            }
            sink.capture_quality(&report.quality)?;
            sink.stats(&report.stats)?;
            sink.finish()?;
            Told::of(diagnosis.as_ref())
        }
        Format::Json => {
            let (builder, _, _) = report.summary_builder();
            let mut counted = builder.finish(Vec::new(), report.quality.clone(), report.stats.clone());
            telling.redactor.iter().for_each(|redactor| counted.redact(redactor));
            let classes = counted.classes;
            let mut sink = Document::begin(&mut out, &report.quality, &report.stats, &classes)?;
            let passed = report.each_record(telling, |record| sink.flow(record))?;
            let diagnosis = report.diagnosis_of(&passed, telling);
            let texts = Texts::embedded().map_err(io::Error::other)?;
            let catalogue = &report.naming.base().catalogue;
            let changes = diagnosis.as_ref().map(|d| requested(d, catalogue, &texts)).unwrap_or_default();
            sink.finish(diagnosis.as_ref(), &changes)?;
            Told::of(diagnosis.as_ref())
        }
        Format::Csv => {
            let mut sink = Csv::begin(&mut out)?;
            let passed = report.each_record(telling, |record| sink.flow(record))?;
            sink.finish()?;
            Told::of(report.diagnosis_of(&passed, telling).as_ref())
        }
    };
    out.flush()?;
    Ok(told)
}

impl Report<'_> {
    /// The identities of the flows that pass the filter; none without one.
    pub fn passing(&self) -> HashSet<u64> {
        let (_, passed, _) = self.summary_builder();
        passed.unwrap_or_default()
    }

    /// The diagnosis, as far as it concerns flows that pass the filter.
    pub fn concerning(&self) -> Option<Diagnosis> {
        let mut diagnosis = self.diagnosis.clone()?;
        if self.filter.is_some() {
            let passing = self.passing();
            diagnosis.keep(|flow| passing.contains(&flow));
        }
        Some(diagnosis)
    }

    /// Has a redactor remember what flows are called in ways that sentences may repeat.
    ///
    /// # Errors
    /// There is no room for all of it.
    pub fn teach(&self, redactor: &mut Redactor) -> Result<(), Full> {
        for at in self.analysis.in_order() {
            if let Some(view) = self.analysis.view(at, self.naming) {
                redactor.learn(&view.record(&view.verdict(&view.facts())))?;
            }
        }
        Ok(())
    }

    /// Gives every flow that passes the filter, in the order of their first frames.
    fn each_record(
        &self,
        telling: Telling<'_>,
        mut take: impl FnMut(&FlowRecord<'_>) -> io::Result<()>,
    ) -> io::Result<Passed> {
        let mut passed = self.filter.map(|_| HashSet::new());
        let known = self.known();
        for at in self.analysis.in_order() {
            let Some(view) = self.analysis.view(at, self.naming) else { continue };
            let mut record = view.record(&view.verdict(&view.facts()));
            if self.passes(&record, &known, &mut passed) {
                telling.record(&mut record);
                take(&record)?;
            }
        }
        Ok(passed)
    }

    /// Writes every flow as a line, in the order of their first frames.
    fn all_lines<W: Write>(&self, telling: Telling<'_>, sink: &mut Ndjson<W>) -> io::Result<()> {
        let lines_of = |(flows, mut lines): (&[FlowAt], Lines)| -> io::Result<Lines> {
            lines.clear();
            let (mut verdicts, mut records) = (Vec::with_capacity(GROUP), Vec::with_capacity(GROUP));
            for group in flows.chunks(GROUP) {
                let views: SmallVec<[_; GROUP]> =
                    group.iter().filter_map(|at| self.analysis.view(*at, self.naming)).collect();
                let servers: SmallVec<[_; GROUP]> = views.iter().map(FlowView::about).collect();
                let touched = views.iter().zip(&servers).map(|(view, server)| view.touch(server));
                black_box(touched.fold(0, |all, one| all ^ one));
                // step by step for all of them: what one step runs stays near the core, and what all of them run does
                // not
                verdicts.clear();
                records.clear();
                for view in &views {
                    verdicts.push(view.verdict(&view.facts()));
                }
                for (view, verdict) in views.iter().zip(&verdicts) {
                    records.push(view.record(verdict));
                }
                records.iter_mut().for_each(|record| telling.record(record));
                records.iter().try_for_each(|record| lines.add(record))?;
            }
            Ok(lines)
        };
        let all = self.analysis.in_order();
        let pieces = if self.threads > 1 { ROUND } else { 1 };
        let mut rooms = Vec::new();
        for round in all.chunks(LINES * pieces) {
            rooms.resize_with(pieces, Lines::default);
            let made = crew::map(self.threads, round.chunks(LINES).zip(rooms.drain(..)).collect(), lines_of);
            for lines in made {
                let lines = lines?;
                sink.lines(&lines)?;
                rooms.push(lines);
            }
        }
        Ok(())
    }

    /// What a filter may ask beside the records of flows; nothing, where none asks.
    fn known(&self) -> Known<'_> {
        let Some(filter) = self.filter else { return Known::default() };
        self.naming.known(filter, self.diagnosis.as_ref().map(|diagnosis| &*diagnosis.findings).unwrap_or_default())
    }

    /// Whether a flow passes the filter; it is noted if it does.
    fn passes(&self, record: &FlowRecord<'_>, known: &Known<'_>, passed: &mut Passed) -> bool {
        let passes = self.filter.is_none_or(|f| f.matches(record, known));
        if let Some(passed) = passed.as_mut().filter(|_| passes) {
            passed.insert(record.flow_id);
        }
        passes
    }

    /// The diagnosis, as far as it concerns flows that have passed.
    fn diagnosis_of(&mut self, passed: &Passed, telling: Telling<'_>) -> Option<Diagnosis> {
        let mut diagnosis = self.diagnosis.take()?;
        if let Some(passed) = passed {
            diagnosis.keep(|flow| passed.contains(&flow));
        }
        telling.redactor.iter().for_each(|redactor| redactor.diagnosis(&mut diagnosis));
        Some(diagnosis)
    }

    /// The summary, with the diagnosis as far as it concerns flows that pass.
    pub fn summary(mut self) -> Summary {
        let (builder, passed, whole) = self.summary_builder();
        let filtered = self.filtered(whole);
        let diagnosis = self.diagnosis_of(&passed, Telling::default());
        let mut summary = builder.finish(self.files, self.quality, self.stats);
        (summary.diagnosis, summary.filtered) = (diagnosis, filtered);
        let mut unnamed: Vec<_> = summary.top.iter_mut().filter(|top| top.name.is_none()).collect();
        let wanted = |top: &&mut TopFlow| Wanted { client: top.originator, server: top.responder, start: top.start };
        let wanted: Vec<_> = unnamed.iter().map(wanted).collect();
        for (top, name) in unnamed.iter_mut().zip(self.analysis.told_names(&wanted)) {
            top.name = name.map(str::to_owned);
        }
        summary
    }

    /// The filter, and all that the capture has without it.
    fn filtered(&self, whole: Option<SummaryBuilder>) -> Option<Filtered> {
        let whole = whole?.finish(Vec::new(), CaptureQuality::default(), Stats::default());
        let known = self.diagnosis.as_ref().map(|known| (&*known.findings, &*known.sessions));
        let (findings, sessions) = known.unwrap_or_default();
        Some(Filtered {
            filter: self.filter?.to_string(),
            classes: whole.classes,
            unknown_reasons: whole.unknown_reasons,
            findings: findings.len() as u64,
            faults: findings.iter().filter(|finding| is_fault(finding)).count() as u64,
            open: undecided(findings, sessions).is_some(),
        })
    }

    /// What flows that pass come to, and which they are; with a filter, what all flows come to as well.
    fn summary_builder(&self) -> (SummaryBuilder, Passed, Option<SummaryBuilder>) {
        match self.filter {
            Some(_) => self.summary_of_passing(),
            None => (self.summary_of_all(), None, None),
        }
    }

    fn summary_of_passing(&self) -> (SummaryBuilder, Passed, Option<SummaryBuilder>) {
        let (mut builder, mut whole, known) = (SummaryBuilder::new(), SummaryBuilder::new(), self.known());
        let mut passed = Some(HashSet::new());
        for shard in self.shards() {
            for view in self.analysis.views_of(shard, self.naming) {
                let record = view.record(&view.verdict(&view.facts()));
                whole.record(&record);
                if self.passes(&record, &known, &mut passed) {
                    builder.record(&record);
                }
            }
        }
        (builder, passed, Some(whole))
    }

    fn summary_of_all(&self) -> SummaryBuilder {
        let summary_of = |shards: Range<u32>| {
            let mut adding = Adding { builder: SummaryBuilder::new(), briefs: Briefs::default(), unknown: Vec::new() };
            for shard in shards {
                self.analysis.views_of(shard, self.naming).for_each(|view| adding.add(&view));
            }
            adding.finish()
        };
        let parts = if self.threads > 1 { self.shards().map(|at| at..at + 1).collect() } else { vec![self.shards()] };
        let mut builder = SummaryBuilder::new();
        crew::map(self.threads, parts, summary_of).into_iter().for_each(|part| builder.merge(part));
        builder
    }

    fn shards(&self) -> Range<u32> {
        0..u32::try_from(self.analysis.shards.len()).unwrap_or(0)
    }
}

/// A summary of flows that all are in it, as it grows.
struct Adding {
    builder: SummaryBuilder,
    briefs: Briefs,
    /// How many flows are unknown for which reasons: there are few sets of those.
    unknown: Vec<(Subs, u64)>,
}

impl Adding {
    /// Adds a flow; the whole record, and even the whole verdict, is only made where it is needed.
    fn add(&mut self, view: &FlowView<'_>) {
        let Adding { builder, briefs, .. } = self;
        let flow = view.flow;
        let [up, down] = flow.oriented(view.payload());
        let top = builder.wants_top(up.saturating_add(down), flow.first);
        if let Some(brief) = briefs.of(view).filter(|_| !top) {
            builder.flow(brief.class, up, down, flow.first, flow.last, brief.confidence, None, None);
            return self.note_reasons(brief.class, brief.subclass);
        }
        let facts = view.facts();
        let verdict = view.verdict(&facts);
        let listed = verdict.class != Class::Unknown;
        let name = facts.carried().map(|seen| seen.name);
        let (told, region) = (name.filter(|_| listed), verdict.region.as_deref());
        builder.flow(verdict.class, up, down, flow.first, flow.last, verdict.confidence_f64(), told, region);
        if top {
            builder.top(&view.record(&verdict), name);
        }
        self.note_reasons(verdict.class, verdict.subclass);
    }

    /// Counts why a flow is unknown, if it is.
    fn note_reasons(&mut self, class: Class, reasons: Subs) {
        if class != Class::Unknown {
            return;
        }
        match self.unknown.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, flows)) => *flows += 1,
            None => self.unknown.push((reasons, 1)),
        }
    }

    fn finish(mut self) -> SummaryBuilder {
        for (reasons, flows) in self.unknown {
            reasons.names().for_each(|reason| self.builder.unknown(reason, flows));
        }
        self.builder
    }
}
