//! D-35: IPv6 that leads nowhere, so that each connection loses time before it is made over IPv4.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::super::draft::Draft;
use super::super::rules::{Place, RuleId};
use super::super::scene::{Scene, nanos};
use crate::engine::case::{Case, is_core};
use crate::event::FindingRecord;

/// Clients whose IPv6 fails.
pub(super) fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    if scene.is_one_sided() {
        return Vec::new();
    }
    let mut clients: BTreeMap<IpAddr, Vec<(&Case, &Case)>> = BTreeMap::new();
    for (six, four) in fallbacks(scene) {
        clients.entry(six.orig.0).or_default().push((six, four));
    }
    clients.iter().filter_map(|(client, all)| broken(scene, *client, all)).collect()
}

/// Connections to the vendor that were tried over IPv6 in vain, each with the one over IPv4 that was then made.
fn fallbacks<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (&'a Case, &'a Case)> {
    let reach = &scene.rules.settings.reach;
    let (least, most) = (nanos(reach.fallback_seconds), nanos(reach.fallback_within_seconds));
    let vain = |case: &&Case| {
        case.orig.0.is_ipv6() && case.pkts[1] == 0 && is_core(case.class, case.subs) && case.host.is_some()
    };
    let vain: Vec<&'a Case> = scene.cases.vain().filter(vain).collect();
    let made = made(scene, &vain);
    vain.into_iter().filter_map(move |six| {
        let fours = made.get(&to(six)?)?;
        let after = |nanos: u64| six.first().after(nanos.max(1));
        let from = fours.partition_point(|four| four.first() < after(least));
        fours.get(from).filter(|four| four.first() < after(most)).map(|four| (six, *four))
    })
}

/// To what a connection goes: a name and a port.
fn to(case: &Case) -> Option<(&str, u16)> {
    Some((case.host.as_deref()?, case.resp.1))
}

/// The connections that were made over IPv4 to where these go, in the order of their beginning.
fn made<'a>(scene: &Scene<'a>, vain: &[&'a Case]) -> HashMap<(&'a str, u16), Vec<&'a Case>> {
    let mut made: HashMap<_, Vec<&Case>> = vain.iter().filter_map(|six| Some((to(six)?, Vec::new()))).collect();
    if made.is_empty() {
        return made;
    }
    for four in scene.cases.flows.iter().filter(|case| case.orig.0.is_ipv4() && case.established) {
        if let Some(made) = to(four).and_then(|to| made.get_mut(&to)) {
            made.push(four);
        }
    }
    made.values_mut().for_each(|made| made.sort_by_key(|four| four.first()));
    made
}

fn broken(scene: &Scene<'_>, client: IpAddr, all: &[(&Case, &Case)]) -> Option<FindingRecord> {
    let reach = &scene.rules.settings.reach;
    let works = |case: &Case| case.is_tcp() && case.established && !case.inside[1];
    if (all.len() as f64) < reach.fallbacks || scene.of_client(client).any(works) {
        return None;
    }
    let (lead, _) = *all.first()?;
    let (last, _) = *all.last()?;
    let lost = all.iter().map(|(six, four)| four.first().since(six.first()) as f64 / 1e9);
    let mean = lost.sum::<f64>() / all.len() as f64;
    let mut draft = Draft::new(scene.rules, RuleId::D35, lead.first(), last.last)
        .lead(&lead.identity)
        .flows(all.iter().map(|(six, _)| six.identity.flow_id))
        .say(Place::Seconds, format!("{mean:.1}"))
        .count(all.len() as u64);
    for (six, four) in all.iter().take(3) {
        let name = six.host.as_deref().unwrap_or("the server");
        let text = format!("{name} is tried at {} and not answered", six.resp.0);
        draft = draft.evidence(text, Some(six.first_frame), Some(six.first()));
        let text = format!("and then reached at {}", four.resp.0);
        draft = draft.evidence(text, Some(four.first_frame), Some(four.first()));
    }
    Some(draft.build())
}
