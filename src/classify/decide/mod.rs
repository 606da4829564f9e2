//! The ordered decision table: facts and knowledge in, one verdict out.
//!
//! The first rule that matches decides the class; whatever else is known then agrees (a little more confidence) or
//! conflicts (a good deal less). A carried name beats what DNS says of the address, which may be shared; a grammar
//! seen beats a port. Nothing here looks at anything but its arguments.

mod case;
mod datagram;
mod local;
mod named;
pub mod outline;
mod plain;
mod unknown;

use super::catalogue::Catalogue;
use super::facts::{Authority, FlowFacts, Seen};
use super::host::HostMatch;
use super::names::NameIndex;
use super::roles::Roles;
use super::rules::Rules;
use super::verdict::{Evidence, Tier, Verdict, What};
use super::words::{Flag, Flags, Sub, Subs};
use crate::event::Class;
use case::{Case, Opinion};
use outline::KnownEnds;
pub use unknown::LOOKS_LIKE_VIDEO;

/// Everything known beside the flow itself.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'k> {
    /// The vendor's hosts and ports.
    pub catalogue: &'k Catalogue,
    /// Confidences and thresholds.
    pub rules: &'k Rules,
    /// What was learnt of addresses.
    pub names: &'k NameIndex,
    /// Who is what.
    pub roles: &'k Roles,
    /// Every address of which any of these knows anything.
    pub known: &'k KnownEnds,
}

/// What the flow's name says, by the flow itself or by DNS to its client: the first pass's question, asked before
/// roles are known.
pub fn name_of(facts: &FlowFacts<'_>, catalogue: &Catalogue, names: &NameIndex, rules: &Rules) -> Option<HostMatch> {
    if let Some(seen) = facts.carried() {
        return Some(host_of(seen, catalogue, names));
    }
    let (client, server) = (facts.orig.0, facts.resp.0);
    names.told(client, &names.about(server), facts.start, facts.end, rules).map(|f| f.host)
}

/// What a seen name says; by its number where it has one.
fn host_of(seen: Seen<'_>, catalogue: &Catalogue, names: &NameIndex) -> HostMatch {
    seen.id.and_then(|id| names.host(id)).unwrap_or_else(|| catalogue.look_up(seen.name))
}

/// What a rule claims.
#[derive(Clone, Copy, Debug)]
struct Claim<'a> {
    class: Class,
    subs: Subs,
    flags: Flags,
    tier: Tier,
    confidence: f32,
    what: What<'a>,
    frame: Option<u64>,
    /// The name that it rests on.
    named: Option<Opinion<'a>>,
}

impl<'a> Claim<'a> {
    fn new(class: Class, tier: Tier, confidence: f32, what: What<'a>, frame: Option<u64>) -> Claim<'a> {
        Claim { class, subs: Subs::NONE, flags: Flags::NONE, tier, confidence, what, frame, named: None }
    }
}

/// Names a flow.
pub fn classify<'a>(facts: &FlowFacts<'a>, knowledge: &Knowledge<'a>) -> Verdict<'a> {
    plain::plain(facts, knowledge).unwrap_or_else(|| ask_every_rule(facts, knowledge))
}

fn ask_every_rule<'a>(facts: &FlowFacts<'a>, knowledge: &Knowledge<'a>) -> Verdict<'a> {
    let case = Case::new(facts, knowledge);
    let claim = datagram::dns(&case)
        .or_else(|| datagram::dns_offered(&case))
        .or_else(|| datagram::stun(&case))
        .or_else(|| datagram::ntp(&case))
        .or_else(|| named::named(&case))
        .or_else(|| named::nameless(&case))
        .or_else(|| local::rtsp(&case))
        .or_else(|| datagram::media(&case))
        .or_else(|| local::dmp(&case))
        .or_else(|| local::direct(&case))
        .or_else(|| local::on_site(&case))
        .or_else(|| local::camera(&case))
        .or_else(|| datagram::by_port(&case));
    match claim {
        Some(claim) => conclude(&case, claim),
        None => unknown::unknown(&case),
    }
}

/// Weighs everything else against the claim.
fn conclude<'a>(case: &Case<'a, '_>, claim: Claim<'a>) -> Verdict<'a> {
    let rules = &case.know.rules.confidence;
    let mut verdict = blank(claim.class, case.facts.authority);
    verdict.subclass = claim.subs;
    verdict.flags = claim.flags.union(case.flags());
    verdict.evidence.push(Evidence { tier: claim.tier, what: claim.what, frame: claim.frame, against: false });
    if let Some(named) = claim.named {
        verdict.region = named.host.region(named.name);
        verdict.bucket = named.host.bucket(named.name);
    }
    let mut confidence = claim.confidence;
    let mut heard = [false; 8];
    for opinion in case.opinions().filter(|o| o.what != claim.what) {
        let Some(agrees) = weigh(&claim, opinion) else { continue };
        verdict.evidence.push(Evidence {
            tier: opinion.tier,
            what: opinion.what,
            frame: opinion.frame,
            against: !agrees,
        });
        verdict.flags = verdict.flags.with_if(!agrees, Flag::NameConflict);
        // One voice a kind of evidence, and none stronger than the claim's own.
        let Some(first) = heard.get_mut(opinion.tier as usize).filter(|h| !**h) else { continue };
        *first = true;
        if opinion.tier >= claim.tier {
            confidence += if agrees { rules.agree } else { -rules.conflict };
        }
    }
    if let Some(evidence) = case.given_role(claim.class).filter(|_| claim.tier < Tier::E6) {
        verdict.evidence.push(evidence);
        confidence += rules.agree;
    }
    let cap = if claim.class == Class::Dmp { case.know.rules.dmp.cap } else { rules.cap };
    let named_cap = claim.named.map_or(cap, |n| cap.min(n.host.cap));
    verdict.confidence = (confidence.clamp(0.0, named_cap.max(0.0)) * 1e4).round() / 1e4;
    verdict
}

/// Whether another opinion agrees; `None` if it says nothing of it. STUN and what STUN arranges may run on any of the
/// vendor's servers, so their names do not contradict it.
fn weigh(claim: &Claim<'_>, opinion: &Opinion<'_>) -> Option<bool> {
    let said = opinion.class()?;
    let stun_like = matches!(claim.class, Class::Stun | Class::P2p) || claim.subs.has(Sub::Turn);
    let related = matches!(said, Class::Relay | Class::VendorOther | Class::Stun);
    if stun_like && related && said != claim.class {
        return None;
    }
    Some(said == claim.class)
}

fn blank(class: Class, via_proxy: Option<Authority<'_>>) -> Verdict<'_> {
    Verdict {
        class,
        subclass: Subs::NONE,
        flags: Flags::NONE,
        region: None,
        bucket: None,
        confidence: 0.0,
        evidence: Default::default(),
        via_proxy,
    }
}

#[cfg(test)]
mod tests;
