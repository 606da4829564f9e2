//! What was found, over time: each finding is told when its state changes.
//!
//! - **raised**: it was not there at the last tick, or had ended and there is something new of it.
//! - **updated**: rule, severity or the word for its confidence is another, or it was seen twice as often, or in twice
//!   as many flows, as when it was last told. That its seconds grow is no news.
//! - **ended**: its flows are over, and nothing new of it has come for a while; or the capture has ended.
//! - **withdrawn**: its flows are still known, and what is known no longer carries it.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::diagnose::draft::{Cause, cause};
use crate::event::{FindingRecord, Severity, State, Word};
use crate::time::Timestamp;

/// All findings that stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    standing: BTreeMap<Cause, Standing>,
}

/// A finding that stands.
#[derive(Clone, Debug)]
struct Standing {
    /// As it was last found.
    record: FindingRecord,
    /// As it was last told.
    told: Told,
    /// When there was last anything new of it.
    news: Timestamp,
    /// It has ended.
    ended: bool,
    /// Its leading flow is no longer known, so that nothing about it can be proved or disproved any more.
    forgotten: bool,
    /// The number of the last round in which it was found.
    round: u64,
}

/// What of a finding, when it is another, makes it worth to be told again.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    rule: &'static str,
    severity: Severity,
    word: Word,
    /// How often it was seen, as a power of two; and in how many flows.
    times: [u32; 2],
}

impl Told {
    fn of(finding: &FindingRecord) -> Told {
        let flows = (finding.flow_ids.len() as u64).saturating_add(finding.flow_ids_omitted);
        let times = [finding.count, flows].map(|n| n.checked_ilog2().unwrap_or(0));
        Told { rule: finding.rule, severity: finding.severity, word: finding.word, times }
    }
}

/// A round: what is found at one moment.
#[derive(Debug)]
pub(super) struct Round<'r> {
    /// When, and which one.
    pub now: Timestamp,
    /// Counts rounds.
    pub number: u64,
    /// What is found.
    pub found: &'r [FindingRecord],
    /// Without news for so many nanoseconds, and with its flows over, a finding has ended.
    pub quiet: u64,
    /// The capture has ended.
    pub last: bool,
}

impl Findings {
    /// Takes some of what is found now, and gives what is to be told: that there is nothing of others says nothing.
    pub fn add(&mut self, round: &Round<'_>) -> Vec<FindingRecord> {
        let mut tell = Vec::new();
        for found in round.found {
            self.take(found, round, &mut tell);
        }
        tell
    }

    /// Takes all that is found now, and gives what is to be told. `open` says whether any of these flows is still open.
    pub fn update(&mut self, round: &Round<'_>, open: impl Fn(&[u64]) -> bool) -> Vec<FindingRecord> {
        let mut tell = self.add(round);
        self.standing.retain(|_, standing| {
            if standing.round != round.number {
                // what is no longer known is no longer found: that proves nothing
                let state = if standing.forgotten { State::Ended } else { State::Withdrawn };
                if !(standing.forgotten && standing.ended) {
                    tell.push(in_state(&standing.record, state));
                }
                return false;
            }
            let quiet = || round.now.since(standing.news) >= round.quiet && !open(&standing.record.flow_ids);
            if !standing.ended && (round.last || quiet()) {
                standing.ended = true;
                tell.push(in_state(&standing.record, State::Ended));
            }
            true
        });
        tell
    }

    fn take(&mut self, found: &FindingRecord, round: &Round<'_>, tell: &mut Vec<FindingRecord>) {
        let key = cause(found);
        let told = Told::of(found);
        if let Some(standing) = self.standing.get_mut(&key).filter(|s| s.forgotten || s.record.id == found.id) {
            standing.round = round.number;
            if is_news(&standing.record, found) {
                standing.take(found, round.now);
                let state = if std::mem::take(&mut standing.ended) { State::Raised } else { State::Updated };
                if state == State::Raised || standing.told != told {
                    standing.told = told;
                    tell.push(in_state(&standing.record, state));
                }
            } else if !standing.ended && standing.record != *found {
                // other words alone are no news, but the last ones are told at its end
                standing.take(found, standing.news);
            }
            return;
        }
        // of the same cause, but about another flow: then the one before was wrong
        if let Some(before) = self.standing.remove(&key) {
            tell.push(in_state(&before.record, State::Withdrawn));
        }
        tell.push(in_state(found, State::Raised));
        let (record, news) = (found.clone(), round.now);
        let standing = Standing { record, told, news, ended: false, forgotten: false, round: round.number };
        self.standing.insert(key, standing);
    }

    /// These flows are no longer known.
    pub fn forget(&mut self, flows: &HashSet<u64, RandomState>) {
        let is_gone = |s: &Standing| s.record.flow_ids.first().is_some_and(|leading| flows.contains(leading));
        for standing in self.standing.values_mut().filter(|standing| is_gone(standing)) {
            standing.forgotten = true;
        }
    }

    /// The flows of findings that have not ended.
    pub fn cited(&self) -> impl Iterator<Item = u64> {
        self.standing.values().filter(|s| !s.ended).flat_map(|s| s.record.flow_ids.iter().copied())
    }
}

impl Standing {
    /// Takes what is found now. Where the leading flow is no longer known it stays the one that it was.
    fn take(&mut self, found: &FindingRecord, now: Timestamp) {
        let before = std::mem::replace(&mut self.record, found.clone());
        if self.forgotten && self.record.id != before.id {
            self.record.id = before.id;
            self.record.first = before.first;
            self.record.flow_start = before.flow_start;
        }
        self.news = now;
    }
}

/// Whether anything new is known of a finding.
fn is_news(before: &FindingRecord, found: &FindingRecord) -> bool {
    let of = |f: &FindingRecord| (f.last, f.count, f.flow_ids.len(), f.flow_ids_omitted, f.rule, f.severity);
    of(before) != of(found) || before.confidence != found.confidence
}

fn in_state(finding: &FindingRecord, state: State) -> FindingRecord {
    FindingRecord { state: Some(state), ..finding.clone() }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
