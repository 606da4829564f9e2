//! Diagnosis: what is wrong, where, how sure, and who must change what.
//!
//! A rule is data ([`rules`]); a detector looks at facts, asks the rule's thresholds, and drafts a finding ([`draft`]).
//! No detector reads packet bytes, and none knows a host by itself.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod allowlist;
pub mod bandwidth;
pub mod capture;
pub mod draft;
pub mod explain;
pub mod names;
pub mod p2p;
pub mod path;
pub mod product;
pub mod reach;
pub mod recorder;
pub mod refused;
pub mod rules;
pub mod scene;
pub mod session;
pub mod settings;
pub mod spans;
pub mod stall;
pub mod support;
#[cfg(test)]
pub(crate) mod testcases;
pub mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::{CaptureQuality, FindingRecord, SessionRecord, SiteRecord};
use rules::{RuleId, Rules};
use scene::Scene;

/// What a capture comes to.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// What is wrong, the gravest and surest first.
    pub findings: Vec<FindingRecord>,
    /// The attempts to view, in the order of their beginning.
    pub sessions: Vec<SessionRecord>,
    /// The site as a whole: its recorders, the allow-list, the bandwidth.
    pub site: SiteRecord,
    /// The capture is too poor to judge by.
    pub poor: bool,
    /// The hosts of the system that it shows: recorders, and who speaks to the vendor's cloud.
    pub hosts: BTreeSet<IpAddr>,
}

impl Diagnosis {
    /// Keeps what concerns any flow that passes; and what concerns no flow, which is of the capture itself.
    pub fn keep(&mut self, passes: impl Fn(u64) -> bool) {
        let any = |ids: &[u64]| ids.iter().any(|id| passes(*id));
        self.findings.retain(|f| f.flow_ids.is_empty() || any(&f.flow_ids));
        self.sessions.retain(|s| s.steps.iter().any(|step| any(&step.flow_ids)));
    }
}

/// What looks for faults: each gives what it finds in a scene.
const DETECTORS: &[fn(&Scene<'_>) -> Vec<FindingRecord>] = &[
    |scene| capture::findings(scene.quality, scene.rules),
    stall::detect,
    refused::detect,
    |scene| {
        let unfound = names::failed(scene);
        [names::detect(scene, &unfound), reach::detect(scene, &unfound)].concat()
    },
    tls::detect,
    p2p::detect,
    path::detect,
    recorder::detect,
];

/// Judges a capture by the rules.
pub fn diagnose(scene: &Scene<'_>) -> Diagnosis {
    let mut diagnosis = faults(scene);
    diagnosis.site = site(scene, &diagnosis.findings);
    diagnosis.hosts = scene.system() | scene.cases.recorders();
    diagnosis
}

/// The same, but for the site as a whole and its hosts.
pub fn faults(scene: &Scene<'_>) -> Diagnosis {
    let found = DETECTORS.iter().flat_map(|detector| detector(scene)).collect();
    let findings = settle(found, scene.quality, scene.rules);
    let sessions = session::sessions(scene, &findings);
    let poor = capture::is_poor(scene.quality, scene.rules);
    Diagnosis { findings, sessions, poor, ..Diagnosis::default() }
}

/// Only the stalls among the faults, but for those of flows that are `gone`: no fault of another kind joins them.
pub fn stalls(scene: &Scene<'_>, gone: impl Fn(u64) -> bool) -> Vec<FindingRecord> {
    let mut found = stall::detect(scene);
    found.retain(|finding| !finding.flow_ids.first().is_some_and(|leading| gone(*leading)));
    settle(found, scene.quality, scene.rules)
}

/// The site as a whole, by what was found.
pub fn site(scene: &Scene<'_>, findings: &[FindingRecord]) -> SiteRecord {
    let told = product::told(scene);
    let product = told.unwrap_or(product::ASSUMED);
    let (recorders, recorders_omitted) = support::recorders(scene);
    SiteRecord {
        product: product.name(),
        product_assumed: told.is_none(),
        recorders,
        recorders_omitted,
        allow_list: allowlist::scorecard(scene, product, findings),
        bandwidth: bandwidth::bandwidth(scene, product, findings),
        flows_omitted: scene.cases.omitted,
    }
}

/// What detectors have found, as it is told: one finding a cause, none surer than the capture allows, in order.
fn settle(found: Vec<FindingRecord>, quality: &CaptureQuality, rules: &Rules) -> Vec<FindingRecord> {
    let mut findings = draft::merge(found);
    if capture::is_poor(quality, rules) {
        let most = rules.settings.capture.poor_cap;
        let headers = !capture::is_poor_in_headers(quality, rules);
        let stands = |rule: &str| headers && RuleId::parse(rule).is_some_and(|rule| rules.rule(rule).text.by_headers);
        for finding in findings.iter_mut().filter(|f| !capture::is_about_capture(f.kind) && !stands(f.rule)) {
            let confidence = finding.confidence.min(most);
            draft::set_confidence(finding, confidence);
        }
    }
    findings.retain(|finding| finding.confidence >= rules.settings.capture.told_least);
    findings.sort_by(draft::order);
    findings
}

#[cfg(test)]
mod tests {
    use super::draft::Draft;
    use super::rules::RuleId;
    use super::*;
    use crate::classify::site::Site;
    use crate::engine::case::Cases;
    use crate::engine::naming::KnowledgeBase;
    use crate::time::Timestamp;

    #[test]
    fn what_concerns_no_flow_that_passes_is_left_out() {
        let session = crate::present::sample::session();
        let mut diagnosis =
            Diagnosis { findings: crate::present::sample::findings(), sessions: vec![session], ..Diagnosis::default() };
        let mut told = |flow: u64| {
            diagnosis.keep(|id| id == flow || id == 4);
            (diagnosis.findings.iter().map(|f| f.rule).collect::<Vec<_>>(), diagnosis.sessions.len())
        };
        assert_eq!(told(2), (vec!["CF-1", "D-13", "D-21"], 1));
        assert_eq!(told(9), (vec!["CF-1", "D-21"], 1));
        diagnosis.keep(|_| false);
        assert_eq!((diagnosis.findings.len(), diagnosis.sessions.len()), (1, 0));
    }

    #[test]
    fn on_a_poor_capture_only_the_capture_is_claimed() {
        let rules = Rules::embedded().unwrap();
        let sound = CaptureQuality {
            frames: 100,
            first: Some(Timestamp(1)),
            last: Some(Timestamp(2)),
            ..CaptureQuality::default()
        };
        let poor = CaptureQuality { one_sided_share: 0.9, one_sided_flows: 9, ..sound.clone() };
        let told = |quality: &CaptureQuality| {
            let mut found = capture::findings(quality, &rules);
            found.push(Draft::new(&rules, RuleId::D6, Timestamp(1), Timestamp(2)).build());
            settle(found, quality, &rules).iter().map(|f| (f.rule, f.is_claim())).collect::<Vec<_>>()
        };
        assert_eq!(told(&sound), [("D-6", true)]);
        assert_eq!(told(&poor), [("D-6", false), ("D-22", true)]);
        let (cases, base) = (Cases::default(), KnowledgeBase::new(None, Site::default()).unwrap());
        let judged = |quality| diagnose(&Scene { cases: &cases, rules: &rules, base: &base, quality });
        assert_eq!((judged(&poor).poor, judged(&poor).findings.len()), (true, 1));
        assert_eq!((judged(&sound).poor, judged(&sound).findings.len()), (false, 0));
    }
}
