//! The allow-list as a scorecard: each row of the vendor's document for the product, and whether the capture shows it
//! at work, blocked, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::Scene;
use crate::classify::catalogue::{HostEntry, ProductId, Requirement};
use crate::classify::words::Sub;
use crate::engine::case::Case;
use crate::event::{AllowRow, AllowState, Class, FindingRecord, Kind, LIST_MAX};
use crate::time::Timestamp;

/// How many names of a row are told.
const NAMES: usize = 8;
/// How many reasons of a row are told.
const REASONS: usize = 3;

/// What was seen of one row.
#[derive(Default)]
struct Seen<'a> {
    served: bool,
    tried: bool,
    names: BTreeSet<&'a str>,
    last: Option<(Timestamp, u64)>,
    found: Vec<&'a FindingRecord>,
}

/// The rows of a product, in the order of the catalogue.
pub fn scorecard(scene: &Scene<'_>, product: ProductId, findings: &[FindingRecord]) -> Vec<AllowRow> {
    let wanted = |row: &&HostEntry| row.listed && row.requirement(product) != Requirement::NotListed;
    let rows: Vec<&HostEntry> = scene.base.catalogue.hosts.iter().filter(wanted).collect();
    let found = || findings.iter().filter(|finding| finding.is_claim() && blocks(finding.kind));
    let leads = found().filter(|finding| finding.host.is_none()).filter_map(|finding| finding.flow_ids.first());
    let mut card = Card {
        scene,
        rows: &rows,
        known: BTreeMap::new(),
        leads: leads.map(|flow| (*flow, None)).collect(),
        seen: Vec::new(),
    };
    card.seen.resize_with(rows.len(), Seen::default);
    for case in &scene.cases.flows {
        card.flow(case);
    }
    for finding in found() {
        card.found(finding);
    }
    rows.iter().zip(&card.seen).map(|(row, seen)| told(scene, row, product, seen)).collect()
}

/// Whether a finding says that a host cannot be reached, or not be used.
const fn blocks(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        ContentFilterStall
            | PostRefused
            | BlockPage
            | ProxyAuthRequired
            | TlsAlert
            | SniReset
            | ClientHelloLost
            | DnsBlocked
            | TcpBlocked
            | StunUnanswered
            | PmtuBlackhole
            | NtpBlocked
            | S3Blocked
            | AllowlistGap
    )
}

struct Card<'a, 'r> {
    scene: &'a Scene<'a>,
    rows: &'r [&'a HostEntry],
    /// The row of each name that was met.
    known: BTreeMap<&'a str, Option<usize>>,
    /// The row of each flow that leads a finding without a name.
    leads: BTreeMap<u64, Option<usize>>,
    seen: Vec<Seen<'a>>,
}

impl<'a> Card<'a, '_> {
    /// The row that covers a name most closely.
    fn row(&mut self, name: &'a str) -> Option<usize> {
        let rows = self.rows;
        let catalogue = &self.scene.base.catalogue;
        *self.known.entry(name).or_insert_with(|| {
            let covering = rows.iter().enumerate().filter_map(|(at, row)| Some((row.covers(name)?, at)));
            if let Some((_, at)) = covering.max() {
                return Some(at);
            }
            // a bucket is the same by whichever form of its name
            let host = catalogue.look_up(name);
            let bucket = host.bucket(name).filter(|_| host.subs.has(Sub::Vendor))?;
            rows.iter().position(|row| row.pattern.split('.').next() == Some(&*bucket))
        })
    }

    /// The row of a flow: by its name, or by being STUN of the vendor's.
    fn row_of(&mut self, case: &'a Case) -> Option<usize> {
        let stun = |rows: &[&HostEntry]| rows.iter().position(|row| row.class == Class::Stun);
        match &case.host {
            _ if case.class == Class::Stun && case.subs.has(Sub::Vendor) => stun(self.rows),
            Some(host) => self.row(host),
            None => None,
        }
    }

    fn flow(&mut self, case: &'a Case) {
        let Some(at) = self.row_of(case) else { return };
        if let Some(lead) = self.leads.get_mut(&case.identity.flow_id) {
            *lead = Some(at);
        }
        let Some(seen) = self.seen.get_mut(at) else { return };
        let (spoke, answered) = (case.payload[0] > 0, case.payload[1] > 0);
        let served = if case.is_tcp() && !case.midstream { case.is_served() } else { spoke && answered };
        seen.served |= served;
        seen.tried = true;
        let newest = seen.last.is_none_or(|(last, _)| last <= case.last);
        if newest {
            seen.last = Some((case.last, case.first_frame));
        }
        if let Some(host) = case.host.as_deref().filter(|_| seen.names.len() < NAMES) {
            seen.names.insert(host);
        }
    }

    /// A finding is of the row of its host, else of its first flow's.
    fn found(&mut self, finding: &'a FindingRecord) {
        let by_name = finding.host.as_deref().and_then(|host| self.row(host));
        let by_flow = || self.leads.get(finding.flow_ids.first()?).copied().flatten();
        let at = by_name.or_else(by_flow);
        if let Some(seen) = at.and_then(|at| self.seen.get_mut(at)) {
            seen.found.push(finding);
        }
    }
}

fn told(scene: &Scene<'_>, row: &HostEntry, product: ProductId, seen: &Seen<'_>) -> AllowRow {
    let state = match (seen.served, seen.found.is_empty()) {
        (true, true) => AllowState::Working,
        (true, false) => AllowState::Partly,
        (false, false) => AllowState::Blocked,
        (false, true) if seen.tried => AllowState::Unclear,
        (false, true) => AllowState::NotExercised,
    };
    let last = seen.found.iter().map(|finding| finding.last).chain(seen.last.map(|(last, _)| last)).max();
    AllowRow {
        id: row.id.clone(),
        pattern: row.pattern.clone(),
        ports: row.ports.iter().map(ToString::to_string).collect(),
        requirement: row.requirement(product).text(),
        purpose: row.purpose.clone(),
        state,
        how: how(scene, &seen.found),
        names: seen.names.iter().map(|name| (*name).to_owned()).collect(),
        last,
        frame: seen.last.map(|(_, frame)| frame),
        finding_ids: seen.found.iter().take(LIST_MAX).map(|finding| finding.id.clone()).collect(),
        finding_ids_omitted: seen.found.len().saturating_sub(LIST_MAX) as u64,
        sources: row.sources.clone(),
    }
}

/// How a row is blocked: what was found, each with its mode, port and rule.
fn how(scene: &Scene<'_>, found: &[&FindingRecord]) -> String {
    // that a name is missing from the list only says again that something stops it
    let gap = |finding: &&&FindingRecord| finding.kind == Kind::AllowlistGap;
    let others = found.iter().filter(|finding| !gap(finding)).count() > 0;
    let mut reasons: Vec<String> = Vec::new();
    for finding in found.iter().filter(|finding| !others || !gap(finding)) {
        let port = finding.dest_port.filter(|_| finding.kind == Kind::TcpBlocked);
        let port = port.map(|port| format!(" on TCP {port}")).unwrap_or_default();
        let mode = finding.mode.map(|mode| format!("{}, ", mode.text())).unwrap_or_default();
        let reason = format!("{}{port} ({mode}{})", scene.rules.phrase(finding), finding.rule);
        if reasons.len() < REASONS && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests;
