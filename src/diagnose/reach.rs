//! Connections that are not made: D-6, D-20 and D-34 to D-37.
//!
//! A client that retries opens new connections: what counts is all that it tried towards one name and port. What gets
//! through in the end, at another address of the name or over the other version of IP, is not blocked.

mod attempts;
mod inward;
mod ipv6;
mod past;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use self::attempts::{Attempts, Blocked};
use super::draft::Draft;
use super::names::{self, Failure, Spelt};
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use super::spans::Spans;
use super::tls;
use crate::classify::host::HostMatch;
use crate::classify::words::Sub;
use crate::engine::analysis::Identity;
use crate::engine::case::{Case, is_core};
use crate::event::{Class, FindingRecord, Kind, Manner, Mode, Severity};
use crate::time::Timestamp;

/// The port of HTTPS (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// What is wrong with connections; `unfound`: the names that were not found.
pub(super) fn detect(scene: &Scene<'_>, unfound: &[names::Failure<'_>]) -> Vec<FindingRecord> {
    let mut found = inward::detect(scene);
    found.extend(ipv6::detect(scene));
    if scene.is_one_sided() {
        return found;
    }
    let blocked = attempts::blocked(scene, &unfound.iter().filter_map(|failure| failure.answer).collect());
    let (names, mut siblings) = (Names::of(&blocked), Siblings::default());
    for block in &blocked {
        found.push(tell(scene, block, names.beside(block)));
        found.extend(gap_of_block(scene, &mut siblings, block, &names));
    }
    found.extend(gaps_of_names(scene, &mut siblings, unfound));
    found.extend(tls::gaps(scene, &mut siblings));
    found
}

/// How often each port, and each name on it, is blocked.
struct Names<'b> {
    ports: HashMap<u16, usize>,
    names: HashMap<(u16, &'b str), usize>,
    clients: HashMap<(IpAddr, u16), usize>,
}

impl<'b> Names<'b> {
    fn of(blocked: &[Blocked<'b>]) -> Self {
        let mut all = Names { ports: HashMap::new(), names: HashMap::new(), clients: HashMap::new() };
        for Attempts { client, host, port, .. } in blocked.iter().map(|block| &block.attempts) {
            let own = all.names.entry((*port, host)).or_default();
            let of_client = all.clients.entry((*client, *port)).or_default();
            for count in [all.ports.entry(*port).or_default(), own, of_client] {
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

    /// To how many names the port is blocked of a client.
    fn of_client(&self, client: IpAddr, port: u16) -> usize {
        self.clients.get(&(client, port)).copied().unwrap_or(0)
    }
}

/// D-6 and D-34: a name and port that a client does not get through to. So often its port is blocked to names `beside`.
fn tell(scene: &Scene<'_>, block: &Blocked<'_>, beside: usize) -> FindingRecord {
    let Attempts { host, port, .. } = block.attempts;
    let other_port = block.other_port();
    let rule = if other_port.is_some() { RuleId::D34 } else { RuleId::D6 };
    let (lead, last) = (block.lead(), block.attempts.last());
    let mut draft = Draft::new(scene.rules, rule, lead.first(), last)
        .lead(&lead.identity)
        .flows(block.attempts.all.iter().map(|case| case.identity.flow_id))
        .mode(block.mode)
        .manner((rule == RuleId::D34 && port == HTTPS).then_some(Manner::Https))
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
    let text = match (beside, block.attempts.past.on_port(port)) {
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

/// Whether a client has got through to one of the vendor's services.
fn is_reached(case: &Case) -> bool {
    let connected = case.established && case.is_tcp() && case.via_proxy.is_none() && case.host.is_some();
    connected && is_core(case.class, case.subs)
}

/// When names of the vendor's did for each client what they are there for, put together once a client.
#[derive(Default)]
pub(super) struct Siblings<'a> {
    clients: HashMap<IpAddr, BTreeMap<&'a str, Spans>>,
}

impl<'a> Siblings<'a> {
    /// Names other than the gap's own that served its client at that time, `most` of them: what works at another time
    /// only says nothing of who is let through.
    fn of(&mut self, scene: &Scene<'a>, gap: &Gap<'_>, most: usize) -> Vec<&'a str> {
        /// Of so many names one is looked for; no site needs more.
        const NAMES: usize = 1024;
        let about = nanos(scene.rules.settings.reach.sibling_seconds);
        let names = self.clients.entry(gap.client).or_insert_with(|| served(scene, gap.client));
        let then =
            |spans: &Spans| spans.latest(gap.last.after(about)).is_some_and(|last| last.after(about) >= gap.first);
        let others = names.iter().take(NAMES).filter(|(name, spans)| **name != gap.host && then(spans));
        others.map(|(name, _)| *name).take(most).collect()
    }
}

fn served<'a>(scene: &Scene<'a>, client: IpAddr) -> BTreeMap<&'a str, Spans> {
    let mut names: BTreeMap<&str, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
    for case in scene.served(client).filter(|case| is_reached(case) && case.class != Class::S3) {
        if let Some(name) = case.host.as_deref() {
            names.entry(name).or_default().push((case.first(), case.last));
        }
    }
    names.into_iter().map(|(name, spans)| (name, spans.into_iter().collect())).collect()
}

fn is_storage(known: &HostMatch) -> bool {
    known.class == Class::S3 && known.subs.has(Sub::Vendor)
}

/// D-36 and D-37 of what cannot be connected to.
fn gap_of_block<'a>(
    scene: &Scene<'a>,
    siblings: &mut Siblings<'a>,
    block: &Blocked<'_>,
    names: &Names<'_>,
) -> Option<FindingRecord> {
    let Attempts { client, host, port, known, .. } = block.attempts;
    let port_works = block.attempts.past.on_port(port).is_some();
    if block.other_port().is_some() || !port_works && names.of_client(client, port) > 1 {
        return None;
    }
    let (lead, last) = (block.lead(), block.attempts.last());
    let gap = Gap {
        client,
        host,
        known,
        port,
        lead: &lead.identity,
        first: lead.first(),
        last,
        frame: lead.first_frame,
        unfound: false,
    };
    gap.tell(scene, siblings, block.confidence, &block.text())
}

/// The same of what cannot be found.
fn gaps_of_names<'a>(scene: &Scene<'a>, siblings: &mut Siblings<'a>, unfound: &[Failure<'_>]) -> Vec<FindingRecord> {
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
            unfound: true,
        };
        let text = format!("{} cannot find {}: {}", lead.client, lead.name, failure.mode.text());
        found.extend(gap.tell(scene, siblings, failure.confidence, &text));
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
    /// It is its name that is not found.
    pub unfound: bool,
}

impl Gap<'_> {
    /// The finding, where other names of the list pass.
    pub(super) fn tell<'a>(
        &self,
        scene: &Scene<'a>,
        siblings: &mut Siblings<'a>,
        sure: f64,
        why: &str,
    ) -> Option<FindingRecord> {
        /// So many names are told as evidence.
        const TOLD: usize = 4;
        let reach = &scene.rules.settings.reach;
        let siblings = siblings.of(scene, self, TOLD.max(reach.siblings.ceil() as usize));
        if (siblings.len() as f64) < reach.siblings {
            return None;
        }
        let (rule, kind, base) = match is_storage(&self.known) {
            true => (RuleId::D36, Kind::S3Blocked, reach.d_36),
            false => (RuleId::D37, Kind::AllowlistGap, reach.d_37),
        };
        let names: Vec<&str> = siblings.into_iter().take(TOLD).collect();
        let draft = Draft::new(scene.rules, rule, self.first, self.last).lead(self.lead).host(self.host);
        let draft = draft.kind(kind).base(base).at_most(sure).say(Place::Port, self.port);
        let draft = draft.manner(self.unfound.then_some(Manner::Unfound));
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
