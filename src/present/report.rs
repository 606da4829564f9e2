//! A whole analysis, told in the form that is wanted.

use std::collections::HashSet;
use std::io::{self, Write};

use super::Format;
use super::color::Style;
use super::csv::Csv;
use super::human::write_summary;
use super::json::Document;
use super::ndjson::Ndjson;
use super::summary::{Summary, SummaryBuilder};
use crate::classify::words::Subs;
use crate::diagnose::Diagnosis;
use crate::engine::analysis::{Analysis, FlowView};
use crate::engine::brief::Briefs;
use crate::engine::naming::Naming;
use crate::event::{CaptureQuality, Class, FlowRecord, Severity, Stats};
use crate::filter::{Filter, Known};

/// All that a report tells.
#[derive(Debug)]
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

/// The flows that passed the filter; without one, all have.
type Passed = Option<HashSet<u64>>;

/// Writes a report, and says what it tells of faults.
///
/// # Errors
/// What writing gives; a closed pipe is [`io::ErrorKind::BrokenPipe`].
pub fn write(mut out: impl Write, format: Format, mut report: Report<'_>, style: Style) -> io::Result<Told> {
    let told = match format {
        Format::Summary => {
            let summary = report.summary();
            write_summary(&mut out, &summary, style)?;
            Told::of(summary.diagnosis.as_ref())
        }
        Format::Ndjson => {
            let mut sink = Ndjson::new(&mut out);
            let passed = report.each_record(|record| sink.flow(record))?;
            let diagnosis = report.diagnosis_of(&passed);
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
            let (builder, _) = report.summary_builder();
            let classes = builder.finish(Vec::new(), report.quality.clone(), report.stats.clone()).classes;
            let mut sink = Document::begin(&mut out, &report.quality, &report.stats, &classes)?;
            let passed = report.each_record(|record| sink.flow(record))?;
            let diagnosis = report.diagnosis_of(&passed);
            sink.finish(diagnosis.as_ref())?;
            Told::of(diagnosis.as_ref())
        }
        Format::Csv => {
            let mut sink = Csv::begin(&mut out)?;
            let passed = report.each_record(|record| sink.flow(record))?;
            sink.finish()?;
            Told::of(report.diagnosis_of(&passed).as_ref())
        }
    };
    out.flush()?;
    Ok(told)
}

impl Report<'_> {
    /// Gives every flow that passes the filter, in the order of their first frames.
    fn each_record(&self, mut take: impl FnMut(&FlowRecord<'_>) -> io::Result<()>) -> io::Result<Passed> {
        let mut passed = self.filter.map(|_| HashSet::new());
        let known = self.known();
        for at in self.analysis.in_order() {
            let Some(view) = self.analysis.view(at, self.naming) else { continue };
            let record = view.record(&view.verdict(&view.facts()));
            if self.passes(&record, &known, &mut passed) {
                take(&record)?;
            }
        }
        Ok(passed)
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
    fn diagnosis_of(&mut self, passed: &Passed) -> Option<Diagnosis> {
        let mut diagnosis = self.diagnosis.take()?;
        if let Some(passed) = passed {
            diagnosis.keep(|flow| passed.contains(&flow));
        }
        Some(diagnosis)
    }

    /// The summary, with the diagnosis as far as it concerns flows that pass.
    pub fn summary(mut self) -> Summary {
        let (builder, passed) = self.summary_builder();
        let diagnosis = self.diagnosis_of(&passed);
        let mut summary = builder.finish(self.files, self.quality, self.stats);
        summary.diagnosis = diagnosis;
        for top in summary.top.iter_mut().filter(|t| t.name.is_none()) {
            top.name = self.analysis.told_name(top.originator, top.responder, top.start).map(str::to_owned);
        }
        summary
    }

    fn summary_builder(&self) -> (SummaryBuilder, Passed) {
        let mut builder = SummaryBuilder::new();
        let mut passed = self.filter.map(|_| HashSet::new());
        let known = self.known();
        let (mut briefs, mut unknown) = (Briefs::new(self.naming), Vec::new());
        for shard in 0..u32::try_from(self.analysis.shards.len()).unwrap_or(0) {
            for view in self.analysis.views_of(shard, self.naming) {
                self.add(&view, &known, &mut briefs, &mut builder, &mut unknown, &mut passed);
            }
        }
        for (reasons, flows) in unknown {
            reasons.names().for_each(|reason| builder.unknown(reason, flows));
        }
        (builder, passed)
    }

    /// Adds a flow to a summary; the whole record, and even the whole verdict, is only made where it is needed.
    fn add(
        &self,
        view: &FlowView<'_>,
        known: &Known<'_>,
        briefs: &mut Briefs,
        builder: &mut SummaryBuilder,
        unknown: &mut Vec<(Subs, u64)>,
        passed: &mut Passed,
    ) {
        if self.filter.is_some() {
            let record = view.record(&view.verdict(&view.facts()));
            if self.passes(&record, known, passed) {
                builder.record(&record);
            }
            return;
        }
        let flow = view.flow;
        let [up, down] = flow.oriented(flow.payload);
        let top = builder.wants_top(up.saturating_add(down));
        if let Some(brief) = briefs.of(view).filter(|_| !top) {
            builder.flow(brief.class, up, down, flow.first, flow.last, brief.confidence, None, None);
            return note_reasons(unknown, brief.class, brief.subclass);
        }
        let facts = view.facts();
        let verdict = view.verdict(&facts);
        let listed = verdict.class != Class::Unknown;
        let name = facts.carried().map(|seen| seen.name);
        let (told, region) = (name.filter(|_| listed), verdict.region.as_deref());
        builder.flow(verdict.class, up, down, flow.first, flow.last, verdict.confidence_f64(), told, region);
        note_reasons(unknown, verdict.class, verdict.subclass);
        if top {
            builder.top(&view.record(&verdict), name);
        }
    }
}

/// Counts why a flow is unknown, if it is: there are few sets of reasons, and many flows.
fn note_reasons(unknown: &mut Vec<(Subs, u64)>, class: Class, reasons: Subs) {
    if class != Class::Unknown {
        return;
    }
    match unknown.iter_mut().find(|(known, _)| *known == reasons) {
        Some((_, flows)) => *flows += 1,
        None => unknown.push((reasons, 1)),
    }
}
