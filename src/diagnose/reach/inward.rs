//! D-20: clients that come in by the site's own address, and are not let in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::super::draft::Draft;
use super::super::rules::RuleId;
use super::super::scene::{Scene, nanos};
use super::attempts::syns;
use crate::classify::catalogue::{PortDirection, PortEntry};
use crate::classify::site::is_public;
use crate::classify::words::Sub;
use crate::engine::case::Case;
use crate::event::{Class, FindingRecord, Manner};
use crate::time::Timestamp;

/// The entry of the catalogue for an intrusion panel's events: nobody views by that port.
const PANEL: &str = "dmp-in";

/// Ports that are not answered.
pub(super) fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    if scene.is_one_sided() {
        return Vec::new();
    }
    let mut tried: BTreeMap<(IpAddr, IpAddr, u16), Vec<&Case>> = BTreeMap::new();
    let system = scene.system();
    for case in scene.cases.vain().filter(|case| is_inward(scene, system, case)) {
        tried.entry((case.orig.0, case.resp.0, case.resp.1)).or_default().push(case);
    }
    let servers: BTreeSet<IpAddr> = tried.keys().map(|(_, server, _)| *server).collect();
    let doors: HashMap<IpAddr, Door> = servers.into_iter().map(|server| (server, Door::of(scene, server))).collect();
    tried.values().filter_map(|all| broken(scene, doors.get(&all.first()?.resp.0)?, all)).collect()
}

/// Who comes to a host.
struct Door {
    /// When a connection to each of its ports was last alive.
    opened: HashMap<u16, Timestamp>,
    /// Strangers who came in vain.
    strangers: HashSet<IpAddr>,
    /// Who came for other ports as well.
    around: HashSet<IpAddr>,
}

impl Door {
    fn of(scene: &Scene<'_>, server: IpAddr) -> Self {
        let mut door = Door { opened: HashMap::new(), strangers: HashSet::new(), around: HashSet::new() };
        let system = scene.system();
        for case in scene.cases.of_server(server) {
            if case.established {
                let last = door.opened.entry(case.resp.1).or_insert(case.last);
                *last = case.last.max(*last);
            }
            if case.is_vain() && !is_known(scene, case) {
                door.strangers.insert(case.orig.0);
            }
            if case.is_tcp() && !is_inward(scene, system, case) {
                door.around.insert(case.orig.0);
            }
        }
        door
    }

    /// How sure it is that a stranger is a client: whoever looks for open ports tries several, comes in company, and
    /// neither waits long nor comes back to one that is closed. A port that was open, or that the router hands on, is
    /// there for clients.
    fn stranger(&self, scene: &Scene<'_>, all: &[&Case]) -> Option<f64> {
        let reach = &scene.rules.settings.reach;
        let case = *all.first()?;
        let alone = (self.strangers.len() as f64) < reach.strangers;
        let last = all.iter().map(|case| case.last).max()?;
        let stubborn = all.len() as f64 >= reach.comebacks || last.since(case.first()) >= nanos(reach.knock_seconds);
        let meant = case.inside[1] || self.opened.contains_key(&case.resp.1) || stubborn;
        let sure = if meant { reach.stranger } else { reach.scanner };
        (alone && !self.around.contains(&case.orig.0)).then_some(sure)
    }
}

/// Whether somebody from outside, or from inside by the outside, comes for a port that clients come for: to a recorder,
/// or where the mirror stands outside, to the address from which the site speaks to the cloud.
fn is_inward(scene: &Scene<'_>, system: &BTreeSet<IpAddr>, case: &Case) -> bool {
    let (site, port) = (&scene.base.site, case.resp.1);
    let asks = |entry: &PortEntry| {
        let inward = entry.direction == PortDirection::In && entry.id != PANEL;
        inward && entry.ports.iter().any(|ports| ports.covers(case.proto, port))
    };
    let wanted = || site.direct_ports.contains(&port) || scene.base.catalogue.ports.iter().any(asks);
    let outside = |ip: IpAddr| is_public(ip) && !site.inside(ip);
    let own = || system.contains(&case.resp.0) && outside(case.resp.0) && outside(case.orig.0);
    case.class == Class::Direct || own() && wanted()
}

fn broken(scene: &Scene<'_>, door: &Door, all: &[&Case]) -> Option<FindingRecord> {
    let reach = &scene.rules.settings.reach;
    let (lead, last) = (*all.first()?, all.iter().map(|case| case.last).max()?);
    let opened = door.opened.get(&lead.resp.1).is_some_and(|last| *last >= lead.first());
    let tries: u64 = all.iter().map(|case| syns(case)).sum();
    let long = last.since(lead.first()) >= nanos(reach.syn_seconds);
    if opened || (tries as f64) < reach.syns || !long {
        return None;
    }
    let confidence = if is_known(scene, lead) { reach.d_20 } else { door.stranger(scene, all)? };
    let refused = all.iter().filter(|case| case.pkts[1] > 0).count();
    let became = if refused > 0 { "refused" } else { "never answered" };
    let seconds = last.since(lead.first()) as f64 / 1e9;
    let (from, to) = (lead.orig.0, lead.resp);
    let text = format!("{from} tries {} port {} {tries} times over {seconds:.1} s: {became}", to.0, to.1);
    let mut draft = Draft::new(scene.rules, RuleId::D20, lead.first(), last)
        .lead(&lead.identity)
        .flows(all.iter().map(|case| case.identity.flow_id))
        .base(confidence)
        // what the recorder itself refuses has been forwarded to it
        .manner((refused == all.len()).then_some(if lead.inside[1] { Manner::Closed } else { Manner::Refused }))
        .count(tries)
        .evidence(text, Some(lead.first_frame), Some(lead.first()));
    if lead.subs.has(Sub::Hairpin) {
        let text = format!("{from} is inside, and {} is this site's own address outside", to.0);
        draft = draft.evidence(text, None, None);
    }
    Some(draft.build())
}

/// Whether who comes is of the system, or comes by a way that the user has named.
fn is_known(scene: &Scene<'_>, case: &Case) -> bool {
    let site = &scene.base.site;
    case.inside[0]
        || scene.system().contains(&case.orig.0)
        || site.direct_ports.contains(&case.resp.1)
        || site.wan.contains(&case.resp.0)
}
