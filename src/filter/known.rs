//! What a filter may ask beside the records of flows: what was found of them, and what hosts are.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::text::Pattern;
use crate::event::{FindingRecord, Kind, Severity};

/// The word for what a host is, if anything is known.
type Roles<'a> = Box<dyn Fn(IpAddr) -> Option<&'static str> + 'a>;

/// Findings by the flows that they cite, and roles of hosts. By default nothing is known.
#[derive(Default)]
pub struct Known<'a> {
    findings: HashMap<u64, Vec<&'a FindingRecord>, RandomState>,
    roles: Option<Roles<'a>>,
}

impl<'a> Known<'a> {
    /// From what was found, and what says a host's role.
    pub fn new(findings: &'a [FindingRecord], roles: Option<Roles<'a>>) -> Self {
        let mut known = Known { findings: HashMap::default(), roles };
        for finding in findings {
            for flow in &finding.flow_ids {
                known.findings.entry(*flow).or_default().push(finding);
            }
        }
        known
    }

    fn of(&self, flow: u64) -> impl Iterator<Item = &'a FindingRecord> {
        self.findings.get(&flow).into_iter().flatten().copied()
    }

    /// Whether a finding that is called so cites a flow.
    pub(super) fn is_found(&self, flow: u64, name: &Pattern) -> bool {
        self.of(flow).any(|finding| {
            let kind = finding.kind.text();
            let mode = finding.mode.is_some_and(|mode| name.is(mode.text()));
            mode || [finding.rule, kind, &finding.id].iter().any(|text| name.is(text))
                || kind.split('-').any(|w| name.is(w))
        })
    }

    /// How grave the gravest claim on a flow is.
    pub(super) fn severity(&self, flow: u64) -> Option<Severity> {
        self.of(flow).filter(|finding| finding.is_claim()).map(|finding| finding.severity).max()
    }

    /// Whether a claim says that a flow is held back.
    pub(super) fn is_held(&self, flow: u64) -> bool {
        self.of(flow).any(|finding| finding.is_claim() && finding.kind == Kind::ContentFilterStall)
    }

    /// Whether a host is what is asked for.
    pub(super) fn is_role(&self, host: IpAddr, role: &Pattern) -> bool {
        self.roles.as_ref().and_then(|roles| roles(host)).is_some_and(|word| role.is(word))
    }
}

impl fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("findings", &self.findings.len()).finish_non_exhaustive()
    }
}
