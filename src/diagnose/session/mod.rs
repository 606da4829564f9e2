//! Attempts to view, told as the vendor's own software goes about them: straight to a forwarded port, else to the
//! recorder's local address, else from peer to peer, else by the relay; what was tried, why not, and how video came.
//!
//! [`flow`] says what one flow is to an attempt; here flows become attempts; [`twin`] makes one of what was seen twice;
//! [`told`] puts them into words. All are functions of cases and of what was found of them.

pub mod flow;
mod told;
mod twin;

use std::net::IpAddr;

use super::scene::{Scene, nanos};
use crate::event::{FindingRecord, Kind, Method, SessionRecord, StepOutcome};
use crate::time::Timestamp;
use flow::{Cited, Side, Trial, trial};

/// How many attempts of one host are open at one time: others have ended for us.
const OPEN: usize = 16;

/// How many findings of names that do not resolve are looked at.
const LOST: usize = 256;

/// One attempt to view.
#[derive(Debug)]
struct Attempt<'c> {
    own: IpAddr,
    side: Side,
    /// The other end, where a flow shows it.
    peer: Option<IpAddr>,
    trials: Vec<Trial<'c>>,
    /// Findings of names that did not resolve, so that there is no flow.
    lost: Vec<&'c FindingRecord>,
    /// Flows that show the same video once more: on the other side of a router, or at the other end.
    twins: Vec<(Method, u64)>,
    /// The other end's own address, where both are captured.
    other: Option<IpAddr>,
    first: Timestamp,
    last: Timestamp,
    /// When video first came.
    came: Option<Timestamp>,
    /// By way: the last moment of flows that carried video, and whom its flows were with.
    ways: [Way; Method::ALL.len()],
    /// The finding that tells which flow took over from a peer-to-peer one that broke off.
    broke: Option<&'c FindingRecord>,
}

/// What is known of one way of an attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    carried: Option<Timestamp>,
    peer: Option<IpAddr>,
}

/// All attempts to view, in the order of their beginning.
pub fn sessions(scene: &Scene<'_>, findings: &[FindingRecord]) -> Vec<SessionRecord> {
    let cited = Cited::new(findings);
    let mut attempts = gather(scene, &cited);
    add_lost(scene, findings, &mut attempts);
    attempts.retain(|attempt| !attempt.lost.is_empty() || attempt.trials.iter().any(|trial| !trial.beside));
    attempts.sort_by_key(|attempt| attempt.first);
    let attempts = twin::join(scene, attempts);
    let told = told::Teller::new(scene, &cited);
    attempts.iter().map(|attempt| told.session(attempt)).collect()
}

/// Puts flows together to attempts: each host's, in time.
fn gather<'c>(scene: &Scene<'c>, cited: &Cited<'c>) -> Vec<Attempt<'c>> {
    let mut attempts: Vec<Attempt<'c>> = Vec::new();
    let mut open: hashbrown::HashMap<IpAddr, Vec<usize>, foldhash::fast::RandomState> = hashbrown::HashMap::default();
    for trial in scene.cases.flows.iter().filter_map(|case| trial(scene, cited, case)) {
        let of_host = open.entry(trial.own).or_default();
        let at = of_host.iter().rev().copied().find(|at| attempts.get(*at).is_some_and(|a| a.takes(scene, &trial)));
        match at.and_then(|at| attempts.get_mut(at)) {
            Some(attempt) => attempt.add(trial),
            None => {
                of_host.push(attempts.len());
                if of_host.len() > OPEN {
                    of_host.remove(0);
                }
                attempts.push(Attempt::of(trial));
            }
        }
    }
    attempts
}

/// A client that asks for a relay's name in vain has tried to view, and there is no flow of it.
fn add_lost<'c>(scene: &Scene<'c>, findings: &'c [FindingRecord], attempts: &mut Vec<Attempt<'c>>) {
    let retry = nanos(scene.rules.settings.views.retry_seconds);
    for finding in findings.iter().filter(|f| f.kind == Kind::DnsBlocked && f.is_claim()).take(LOST) {
        let (Some(client), Some(host)) = (finding.src_ip, &finding.host) else { continue };
        let is_relay = scene.base.catalogue.look_up(host).class == crate::event::Class::Relay;
        if !is_relay || !scene.cases.client(client).is_some_and(|known| known.logs_in) {
            continue;
        }
        let near = |a: &&mut Attempt<'_>| {
            a.own == client && finding.first <= a.last.after(retry) && a.first <= finding.last.after(retry)
        };
        match attempts.iter_mut().find(near) {
            Some(attempt) => attempt.lose(finding),
            None => {
                let mut attempt = Attempt::new(client, Side::Client, finding.first, finding.last);
                attempt.lose(finding);
                attempts.push(attempt);
            }
        }
    }
}

impl<'c> Attempt<'c> {
    fn new(own: IpAddr, side: Side, first: Timestamp, last: Timestamp) -> Self {
        let (trials, lost, twins) = (Vec::new(), Vec::new(), Vec::new());
        let ways = [Way::default(); Method::ALL.len()];
        Attempt { own, side, peer: None, trials, lost, twins, other: None, first, last, came: None, ways, broke: None }
    }

    fn of(trial: Trial<'c>) -> Self {
        let mut attempt = Attempt::new(trial.own, trial.side, trial.case.first(), trial.case.last);
        attempt.add(trial);
        attempt
    }

    fn add(&mut self, trial: Trial<'c>) {
        self.first = self.first.min(trial.case.first());
        self.last = self.last.max(trial.case.last);
        // an address that answered is the peer's; until then the first that was tried is
        if trial.peer.is_some() && (self.peer.is_none() || trial.outcome == StepOutcome::Worked) {
            self.peer = trial.peer;
        }
        let worked = trial.outcome == StepOutcome::Worked;
        if worked {
            self.came = Some(self.came.map_or(trial.case.first(), |came| came.min(trial.case.first())));
        }
        if let Some(way) = self.ways.get_mut(trial.method as usize) {
            way.peer = way.peer.or(trial.peer);
            way.carried = way.carried.max(Some(trial.case.last).filter(|_| worked));
        }
        self.broke = self.broke.or(trial.finding.filter(|finding| finding.kind == Kind::P2pFallback));
        self.trials.push(trial);
    }

    fn lose(&mut self, finding: &'c FindingRecord) {
        self.first = self.first.min(finding.first);
        self.last = self.last.max(finding.last);
        self.lost.push(finding);
    }

    /// The flows that carried video, the first to begin first.
    fn worked(&self) -> impl Iterator<Item = &Trial<'c>> {
        self.trials.iter().filter(|trial| trial.outcome == StepOutcome::Worked)
    }

    /// Whether a flow that comes later is of this attempt.
    fn takes(&self, scene: &Scene<'_>, next: &Trial<'c>) -> bool {
        let settings = &scene.rules.settings.views;
        let begins = next.case.first();
        let within = |end: Timestamp, limit: f64| begins <= end.after(nanos(limit));
        let way = self.ways.get(next.method as usize).copied().unwrap_or_default();
        let stranger = next.method != Method::P2p && way.peer.is_some() && next.peer.is_some() && way.peer != next.peer;
        if self.side != next.side || stranger {
            return false;
        }
        let Some(came) = self.came else { return within(self.last, settings.retry_seconds) };
        // more streams of the same way, side by side or one after the other
        if way.carried.is_some_and(|last| within(last, settings.next_seconds)) {
            return true;
        }
        // other ways that were tried at the same time, and candidates that are still tried
        let candidate = next.method == Method::P2p && next.outcome != StepOutcome::Worked;
        if within(came, settings.next_seconds) || candidate && within(self.last, settings.next_seconds) {
            return true;
        }
        self.broke.is_some_and(|finding| finding.flow_ids.contains(&next.case.identity.flow_id))
    }
}

#[cfg(test)]
mod tests;
