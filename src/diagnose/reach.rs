//! Connections that are not made: D-6, D-20 and D-34 to D-37.
//!
//! A client that retries opens new connections: what counts is all that it tried towards one name and port. What gets
//! through in the end, at another address of the name or over the other version of IP, is not blocked.

mod attempts;
mod inward;
mod ipv6;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use self::attempts::{Attempts, Blocked};
use super::draft::Draft;
use super::names::{self, Failure, Spelt};
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use super::tls;
use crate::classify::host::HostMatch;
use crate::classify::words::Sub;
use crate::engine::analysis::Identity;
use crate::engine::case::{Case, is_core};
use crate::event::{Class, FindingRecord, Kind, Mode, Severity};
use crate::time::Timestamp;

/// What is wrong with connections; `unfound`: the names that were not found.
pub(super) fn detect(scene: &Scene<'_>, unfound: &[names::Failure<'_>]) -> Vec<FindingRecord> {
    let mut found = inward::detect(scene);
    found.extend(ipv6::detect(scene));
    if scene.is_one_sided() {
        return found;
    }
    let blocked = attempts::blocked(scene, &unfound.iter().filter_map(|failure| failure.answer).collect());
    let names = Names::of(&blocked);
    for block in &blocked {
        found.push(tell(scene, block, names.beside(block)));
        let own = attempts::of_client(&blocked, block.attempts.client, |blocked| blocked.attempts.client);
        found.extend(gap_of_block(scene, block, own));
    }
    found.extend(gaps_of_names(scene, unfound));
    found.extend(tls::gaps(scene));
    found
}

/// How often each port, and each name on it, is blocked.
struct Names<'b> {
    ports: HashMap<u16, usize>,
    names: HashMap<(u16, &'b str), usize>,
}

impl<'b> Names<'b> {
    fn of(blocked: &[Blocked<'b>]) -> Self {
        let mut all = Names { ports: HashMap::new(), names: HashMap::new() };
        for Attempts { host, port, .. } in blocked.iter().map(|block| &block.attempts) {
            let own = all.names.entry((*port, host)).or_default();
            for count in [all.ports.entry(*port).or_default(), own] {
                *count = count.saturating_add(1);
            }
        }
        all
    }

    /// How often the port is blocked to other names.
    fn beside(&self, block: &Blocked<'_>) -> usize {
        let Attempts { host, port, .. } = block.attempts;
        let own = self.names.get(&(port, host)).copied().unwrap_or(0);
        self.ports.get(&port).copied().unwrap_or(0).saturating_sub(own)
    }
}

/// D-6 and D-34: a name and port that a client does not get through to. So often its port is blocked to names `beside`.
fn tell(scene: &Scene<'_>, block: &Blocked<'_>, beside: usize) -> FindingRecord {
    let Attempts { host, port, .. } = block.attempts;
    let other_port = block.other_port(scene);
    let rule = if other_port.is_some() { RuleId::D34 } else { RuleId::D6 };
    let (lead, last) = (block.lead(), block.attempts.last());
    let mut draft = Draft::new(scene.rules, rule, lead.first(), last)
        .lead(&lead.identity)
        .flows(block.attempts.all.iter().map(|case| case.identity.flow_id))
        .mode(block.mode)
        .host(host)
        .count(block.attempts.tries())
        .base(if rule == RuleId::D34 {
            block.confidence.min(scene.rules.settings.reach.d_34)
        } else {
            block.confidence
        })
        .evidence(block.text(), Some(lead.first_frame), Some(lead.first()));
    if is_storage(&block.attempts.known) {
        draft = draft.severity(Severity::Warning);
    }
    if let Some((router, frame)) = block.router() {
        draft = draft.say(Place::Router, router).evidence(block.told(), Some(frame), None);
    }
    if let Some(other) = other_port {
        let text = format!("{host} does answer on TCP {}", other.resp.1);
        draft = draft.evidence(text, Some(other.first_frame), Some(other.first()));
    }
    let text = match (beside, reached(scene, block.attempts.client).find(|case| case.resp.1 == port)) {
        (0, None) => return draft.build(),
        (0, Some(case)) => {
            let text = format!("TCP {port} to {} works", case.host.as_deref().unwrap_or("another host"));
            return draft.evidence(text, Some(case.first_frame), Some(case.first())).build();
        }
        (n, None) => {
            format!("TCP {port} fails to {n} more of the vendor's names, and works to none: the port is blocked")
        }
        (n, Some(_)) => format!("TCP {port} fails to {n} more of the vendor's names, and works to others"),
    };
    draft.evidence(text, None, None).build()
}

/// The vendor's services that a client has got through to.
fn reached<'a>(scene: &Scene<'a>, client: IpAddr) -> impl Iterator<Item = &'a Case> {
    scene.of_client(client).filter(|case| is_reached(case))
}

fn is_reached(case: &Case) -> bool {
    let connected = case.established && case.is_tcp() && case.via_proxy.is_none() && case.host.is_some();
    connected && is_core(case.class, case.subs)
}

/// Names of the vendor's, other than the gap's own, that do for its client what they are there for, and did at that time:
/// what works at another time only says nothing of who is let through.
fn siblings<'a>(scene: &Scene<'a>, gap: &Gap<'_>) -> BTreeSet<&'a str> {
    let about = nanos(scene.rules.settings.reach.sibling_seconds);
    let then = |case: &&Case| case.first() <= gap.last.after(about) && case.last.after(about) >= gap.first;
    let serve = |case: &&Case| is_reached(case) && case.class != Class::S3 && then(case);
    let names = scene.served(gap.client).filter(serve).filter_map(|case| case.host.as_deref());
    names.filter(|name| *name != gap.host).collect()
}

fn is_storage(known: &HostMatch) -> bool {
    known.class == Class::S3 && known.subs.has(Sub::Vendor)
}

/// D-36 and D-37 of what cannot be connected to; `own`: all that is blocked of its client.
fn gap_of_block(scene: &Scene<'_>, block: &Blocked<'_>, own: &[Blocked<'_>]) -> Option<FindingRecord> {
    let Attempts { client, host, port, known, .. } = block.attempts;
    let ports = || own.iter().filter(|b| b.attempts.port == port);
    let port_works = reached(scene, client).any(|case| case.resp.1 == port);
    if block.other_port(scene).is_some() || !port_works && ports().count() > 1 {
        return None;
    }
    let (lead, last) = (block.lead(), block.attempts.last());
    let gap =
        Gap { client, host, known, port, lead: &lead.identity, first: lead.first(), last, frame: lead.first_frame };
    gap.tell(scene, block.confidence, &block.text())
}

/// The same of what cannot be found.
fn gaps_of_names(scene: &Scene<'_>, unfound: &[Failure<'_>]) -> Vec<FindingRecord> {
    let mut found = Vec::new();
    for failure in unfound {
        let lead = failure.lead;
        // nobody need let a name through that may not exist
        if !is_core(lead.host.class, lead.host.subs) || failure.spelt == Spelt::Perhaps {
            continue;
        }
        let ports = lead.host.entry(&scene.base.catalogue).map(|entry| &entry.ports);
        let port = ports.and_then(|ports| ports.iter().find(|port| port.proto == 6)).map_or(443, |port| port.first);
        let gap = Gap {
            client: lead.client,
            host: &lead.name,
            known: lead.host,
            port,
            lead: &lead.identity,
            first: lead.first.ts,
            last: failure.last,
            frame: lead.first.frame,
        };
        let text = format!("{} cannot find {}: {}", lead.client, lead.name, failure.mode.text());
        found.extend(gap.tell(scene, failure.confidence, &text));
    }
    found
}

/// A name of the list that is blocked, in whichever way.
pub(super) struct Gap<'g> {
    pub client: IpAddr,
    pub host: &'g str,
    pub known: HostMatch,
    pub port: u16,
    pub lead: &'g Identity,
    pub first: Timestamp,
    pub last: Timestamp,
    pub frame: u64,
}

impl Gap<'_> {
    /// The finding, where other names of the list pass.
    pub(super) fn tell(&self, scene: &Scene<'_>, sure: f64, why: &str) -> Option<FindingRecord> {
        let reach = &scene.rules.settings.reach;
        let siblings = siblings(scene, self);
        if (siblings.len() as f64) < reach.siblings {
            return None;
        }
        let (rule, kind, base) = match is_storage(&self.known) {
            true => (RuleId::D36, Kind::S3Blocked, reach.d_36),
            false => (RuleId::D37, Kind::AllowlistGap, reach.d_37),
        };
        let names: Vec<&str> = siblings.into_iter().take(4).collect();
        let draft = Draft::new(scene.rules, rule, self.first, self.last).lead(self.lead).host(self.host);
        let draft = draft.kind(kind).base(base).at_most(sure).say(Place::Port, self.port);
        let draft = draft.evidence(why, Some(self.frame), Some(self.first));
        Some(draft.evidence(format!("{} works with {}", self.client, names.join(", ")), None, None).build())
    }
}

/// What a mode says of a try to connect.
const fn became(mode: Mode) -> &'static str {
    match mode {
        Mode::Rst => "refused",
        Mode::Icmp => "rejected",
        _ => "never answered",
    }
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
