//! What is made of all flows at a tick.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::Sink;
use crate::diagnose::Diagnosis;
use crate::engine::analysis::{Analysis, FlowAt};
use crate::engine::case::Cases;
use crate::engine::naming::Naming;
use crate::event::{CaptureQuality, FindingRecord, Severity, State};
use crate::filter::{Filter, Known};

/// What was made of all flows at a tick.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub naming: Naming<'a>,
    pub cases: Cases,
    pub diagnosis: Diagnosis,
    /// The site as a whole is told in the diagnosis: only who looks needs that.
    pub sited: bool,
    pub quality: CaptureQuality,
}

/// What stalls are looked for in between two judgements: what was known at the last one.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    pub cases: Cases,
    pub quality: CaptureQuality,
}

impl Judged<'_> {
    /// What a filter may ask beside the records of flows.
    pub fn known(&self, filter: Option<&Filter>) -> Known<'_> {
        filter.map_or_else(Known::default, |filter| self.naming.known(filter, &self.diagnosis.findings))
    }

    /// The flows that pass a filter; without one, all do.
    pub fn passing(&self, analysis: &Analysis, filter: Option<&Filter>) -> Option<Passing> {
        let filter = filter?;
        let known = self.known(Some(filter));
        let record = |at: FlowAt| {
            let view = analysis.view(at, &self.naming)?;
            let record = view.record(&view.verdict(&view.facts()));
            filter.matches(&record, &known).then_some(record.flow_id)
        };
        Some(analysis.in_order().into_iter().filter_map(record).collect())
    }

    /// Bytes of memory that names and cases hold.
    pub fn held(&self) -> usize {
        self.cases.held().saturating_add(self.naming.held())
    }
}

/// The flows that pass the filter, if there is one.
pub(super) type Passing = HashSet<u64, RandomState>;

/// Whether any of these flows passes.
pub(super) fn passes(passing: Option<&Passing>, flows: &[u64]) -> bool {
    passing.is_none_or(|passing| flows.iter().any(|id| passing.contains(id)))
}

/// Tells findings of which any flow passes, and those that concern none. Keeps the gravest claim that stood at its end.
pub(super) fn tell_findings<S: Sink>(
    findings: &[FindingRecord],
    passing: Option<&Passing>,
    worst: &mut Option<Severity>,
    sink: &mut S,
) -> Result<(), S::Error> {
    for finding in findings.iter().filter(|f| f.flow_ids.is_empty() || passes(passing, &f.flow_ids)) {
        sink.finding(finding)?;
        if finding.state == Some(State::Ended) && finding.is_claim() {
            *worst = (*worst).max(Some(finding.severity));
        }
    }
    Ok(())
}
