//! Stalls between two judgements that are apart.
//!
//! Where there is much to judge, all is not judged every second. A stall is to be told sooner than that, and takes few
//! flows to see: those that were known at the last judgement and go on, and those by which the same is tried again.
//! What they have shown of themselves by now is looked at every second; what others have taught of them meanwhile,
//! which other flows have come, and whatever is no stall waits for the next judgement. Nothing is over, or taken back,
//! before that.

use super::findings::Round;
use super::judged::{Basis, Judged, tell_findings};
use super::{Monitor, Settings, Sink};
use crate::diagnose::scene::Scene;
use crate::diagnose::stalls;
use crate::engine::case::Cases;
use crate::event::CaptureQuality;
use crate::source::Shed;
use crate::time::Timestamp;

impl Monitor<'_> {
    /// Tells the stalls that are to be seen `now`. Gives whether there was anything to tell.
    pub(super) fn glance<S: Sink>(&mut self, now: Timestamp, sink: &mut S) -> Result<bool, S::Error> {
        let analysis = self.engine.analysis();
        let Some((cases, quality)) = known(&mut self.basis, &mut self.judged) else { return Ok(false) };
        let gone = analysis.refresh(self.base, cases);
        cases.last = cases.last.max(now);
        let scene = Scene { cases, rules: self.rules, base: self.base, quality };
        let found = stalls(&scene, |flow| gone.contains(&flow));
        self.ticks = self.ticks.saturating_add(1);
        let round = Round { now, number: self.ticks, found: &found, quiet: 0, last: false };
        let findings = self.findings.add(&round);
        if findings.is_empty() {
            return Ok(false);
        }
        if self.judged.is_none() {
            self.judge(now);
        }
        let judged = self.judged.as_ref();
        let passing = judged.and_then(|judged| judged.passing(self.engine.analysis(), self.options.filter));
        tell_findings(&findings, passing.as_ref(), &mut self.worst, sink)?;
        Ok(true)
    }

    /// Decides when all is judged again, and whether stalls are looked for until then.
    pub(super) fn pace(&mut self, now: Timestamp) {
        let spacing = self.spacing();
        // where there is no time for what comes, there is none for that
        self.glances = self.options.glances && self.options.diagnose && spacing > 1 && self.shed < Shed::Strangers;
        self.basis = None;
        self.clock.ticked(now, spacing, self.glances);
    }

    /// How many seconds it is to the next judgement: by how much there is to be judged, and never by the clock.
    fn spacing(&self) -> u64 {
        /// Naming alone costs a tenth of judging.
        const NAMED: u64 = 10;
        let judged = |judged: &Judged<'_>| judged.cases.flows.len().saturating_add(judged.cases.dns.len()) as u64;
        let system = self.judged.as_ref().map_or(0, judged);
        let all = self.engine.analysis().len() as u64;
        let cost = system.saturating_add(all.checked_div(NAMED).unwrap_or(0)) as f64;
        let Settings { tick_flows, tick_flows_most, .. } = self.options.settings;
        // where there is no time for what comes, there is less for what was
        let strained = if self.shed >= Shed::Strangers { 2 } else { 0 };
        let spacing = 1u64.saturating_add(u64::from(cost > tick_flows)).saturating_add((cost / tick_flows_most) as u64);
        spacing.saturating_add(strained)
    }

    /// What stalls are looked for in until the next judgement, to be taken along; none if they are not.
    pub(super) fn basis(&self) -> Option<Basis> {
        let judged = |judged: &Judged<'_>| Basis { cases: judged.cases.clone(), quality: judged.quality.clone() };
        let known = || self.basis.clone().or_else(|| self.judged.as_ref().map(judged));
        self.glances.then(known).flatten()
    }
}

/// What stalls are looked for in.
fn known<'k>(
    basis: &'k mut Option<Basis>,
    judged: &'k mut Option<Judged<'_>>,
) -> Option<(&'k mut Cases, &'k CaptureQuality)> {
    match (basis, judged) {
        (Some(basis), _) => Some((&mut basis.cases, &basis.quality)),
        (None, Some(judged)) => Some((&mut judged.cases, &judged.quality)),
        (None, None) => None,
    }
}
