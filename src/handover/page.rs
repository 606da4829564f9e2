//! The report for people, with what a second look at the capture shows.

use std::collections::HashMap;
use std::io::{self, Write};

use super::{Attention, Read, can_be_read_again};
use crate::changes::{Change, Texts, requested};
use crate::event::FindingRecord;
use crate::evidence::{Scene, Watcher, wanted};
use crate::pipeline;
use crate::present::page::{self, Markup, Matter, drawn};
use crate::present::report::{self, Report};
use crate::present::summary::Summary;
use crate::redact::Redactor;
use crate::source::{CHUNK_BYTES, Problem, Source};
use crate::text::zone::Zone;

/// What a page is made of.
#[derive(Debug)]
pub struct Told {
    /// What is told.
    pub summary: Summary,
    /// What is asked for.
    pub changes: Vec<Change>,
    /// What the leading flows of findings show, by their identities.
    pub scenes: HashMap<u64, Scene>,
    /// By which clock.
    pub zone: Zone,
}

impl Read<'_> {
    /// Writes the report, by the clock of a zone, and says what it tells of faults. With a redactor there are pseudonyms
    /// in it.
    ///
    /// # Errors
    /// What writing gives.
    pub fn page(
        &self,
        out: &mut dyn Write,
        report: Report<'_>,
        redactor: Option<&Redactor>,
        (markup, zone): (Markup, Zone),
        attention: Attention<'_>,
    ) -> io::Result<report::Told> {
        let texts = Texts::embedded().map_err(io::Error::other)?;
        let told = self.told(report, &texts, redactor, zone, attention);
        self.write_page(out, &told, &texts, redactor, &[], markup)?;
        Ok(report::Told::of(told.summary.diagnosis.as_ref()))
    }

    /// Puts together what a page is made of.
    pub(super) fn told(
        &self,
        report: Report<'_>,
        texts: &Texts,
        redactor: Option<&Redactor>,
        zone: Zone,
        attention: Attention<'_>,
    ) -> Told {
        let mut summary = report.summary();
        let findings = summary.diagnosis.as_ref().map(|diagnosis| &*diagnosis.findings).unwrap_or_default();
        let scenes = self.scenes(findings, attention);
        redactor.iter().for_each(|redactor| summary.redact(redactor));
        let asked = |diagnosis| requested(diagnosis, &self.base.catalogue, texts);
        let changes = summary.diagnosis.as_ref().map(asked).unwrap_or_default();
        Told { summary, changes, scenes, zone }
    }

    /// Writes a page; `attachments` are the files that lie beside it.
    pub(super) fn write_page(
        &self,
        out: &mut dyn Write,
        told: &Told,
        texts: &Texts,
        redactor: Option<&Redactor>,
        attachments: &[String],
        markup: Markup,
    ) -> io::Result<()> {
        let redacted = redactor.map(|redactor| redactor.what().text()).unwrap_or_default();
        let matter = Matter {
            summary: &told.summary,
            changes: &told.changes,
            texts,
            catalogue: &self.base.catalogue,
            scenes: &told.scenes,
            zone: told.zone,
            redacted: &redacted,
            attachments,
        };
        page::write(out, &matter, markup)
    }

    /// What the flows that findings lead with show, by a second reading of the capture; nothing where it can be read
    /// only once. Stretches of the capture that hold none of them are not read.
    fn scenes(&self, findings: &[FindingRecord], attention: Attention<'_>) -> HashMap<u64, Scene> {
        let (ids, cited) = drawn(findings);
        let flows = wanted(&self.outcome.analysis, self.naming, &ids);
        if flows.is_empty() || !can_be_read_again(self.paths) {
            return HashMap::new();
        }
        let source = Source::open(self.paths, CHUNK_BYTES);
        let packets: Vec<_> = flows.iter().map(|flow| flow.packet()).collect();
        let mut watcher = Watcher::new(flows, cited);
        let problems = pipeline::each_frame_near(
            source,
            &self.outcome.index,
            &packets,
            attention.stop,
            &mut |progress| (attention.progress)(progress),
            &mut |number, frame| watcher.frame(number, frame),
        );
        if problems.iter().any(|problem| matches!(problem, Problem::Error(_))) {
            (attention.say)(
                "the capture could not be read a second time as it was read first: pictures may be incomplete",
            );
        }
        watcher.scenes()
    }
}
