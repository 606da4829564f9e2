//! What is made of all flows at a tick.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::diagnose::Diagnosis;
use crate::engine::analysis::{Analysis, FlowAt};
use crate::engine::case::Cases;
use crate::engine::naming::Naming;
use crate::event::CaptureQuality;
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

impl Judged<'_> {
    /// What a filter may ask beside the records of flows.
    pub fn known(&self, filter: Option<&Filter>) -> Known<'_> {
        filter.map_or_else(Known::default, |filter| self.naming.known(filter, &self.diagnosis.findings))
    }

    /// The flows that pass a filter; without one, all do.
    pub fn passing(&self, analysis: &Analysis, filter: Option<&Filter>) -> Option<HashSet<u64, RandomState>> {
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
