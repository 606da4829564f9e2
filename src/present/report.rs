//! A whole analysis, told in the form that is wanted.

use std::io::{self, Write};

use super::Format;
use super::color::Style;
use super::csv::Csv;
use super::human::write_summary;
use super::json::Document;
use super::ndjson::Ndjson;
use super::summary::{Summary, SummaryBuilder};
use crate::classify::words::Subs;
use crate::engine::analysis::{Analysis, FlowView};
use crate::engine::brief::Briefs;
use crate::engine::naming::Naming;
use crate::event::{CaptureQuality, Class, FlowRecord, Stats};
use crate::filter::Filter;

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
}

/// Writes a report.
///
/// # Errors
/// What writing gives; a closed pipe is [`io::ErrorKind::BrokenPipe`].
pub fn write(mut out: impl Write, format: Format, report: Report<'_>, style: Style) -> io::Result<()> {
    match format {
        Format::Summary => write_summary(&mut out, &report.summary(), style)?,
        Format::Ndjson => {
            let mut sink = Ndjson::new(&mut out);
            report.each_record(|record| sink.flow(record))?;
            sink.capture_quality(&report.quality)?;
            sink.stats(&report.stats)?;
            sink.finish()?;
        }
        Format::Json => {
            let classes =
                report.summary_builder().finish(Vec::new(), report.quality.clone(), report.stats.clone()).classes;
            let mut sink = Document::begin(&mut out, &report.quality, &report.stats, &classes)?;
            report.each_record(|record| sink.flow(record))?;
            sink.finish()?;
        }
        Format::Csv => {
            let mut sink = Csv::begin(&mut out)?;
            report.each_record(|record| sink.flow(record))?;
            sink.finish()?;
        }
    }
    out.flush()
}

impl Report<'_> {
    /// Gives every flow that passes the filter, in the order of their first frames.
    fn each_record(&self, mut take: impl FnMut(&FlowRecord<'_>) -> io::Result<()>) -> io::Result<()> {
        for at in self.analysis.in_order() {
            let Some(view) = self.analysis.view(at, self.naming) else { continue };
            let record = view.record(&view.verdict(&view.facts()));
            if self.filter.is_none_or(|f| f.matches(&record)) {
                take(&record)?;
            }
        }
        Ok(())
    }

    fn summary(self) -> Summary {
        let mut summary = self.summary_builder().finish(self.files, self.quality, self.stats);
        for top in summary.top.iter_mut().filter(|t| t.name.is_none()) {
            top.name = self.analysis.told_name(top.originator, top.responder, top.start).map(str::to_owned);
        }
        summary
    }

    fn summary_builder(&self) -> SummaryBuilder {
        let mut builder = SummaryBuilder::new();
        let (mut briefs, mut unknown) = (Briefs::new(self.naming), Vec::new());
        for shard in 0..u32::try_from(self.analysis.shards.len()).unwrap_or(0) {
            for view in self.analysis.views_of(shard, self.naming) {
                self.add(&view, &mut briefs, &mut builder, &mut unknown);
            }
        }
        for (reasons, flows) in unknown {
            reasons.names().for_each(|reason| builder.unknown(reason, flows));
        }
        builder
    }

    /// Adds a flow to a summary; the whole record, and even the whole verdict, is only made where it is needed.
    fn add(
        &self,
        view: &FlowView<'_>,
        briefs: &mut Briefs,
        builder: &mut SummaryBuilder,
        unknown: &mut Vec<(Subs, u64)>,
    ) {
        if let Some(filter) = self.filter {
            let record = view.record(&view.verdict(&view.facts()));
            if filter.matches(&record) {
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
