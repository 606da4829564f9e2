//! Peer-to-peer, and what stands in its way: STUN without answer (D-13), address translation (D-15, D-32), video by the
//! relay of those who are neighbours (D-19). [`checks`] judges attempts, and what becomes of a session.

pub mod checks;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::draft::Draft;
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos, within};
use super::settings::P2p;
use crate::classify::site::{is_private, is_public};
use crate::classify::words::Sub;
use crate::engine::case::{Case, Direction, is_core, is_full_ttl};
use crate::engine::learnt::{Icmp, Router};
use crate::event::{Class, FindingRecord, Manner, Severity};
use crate::text::units::Percent;
use crate::time::{SECOND, Timestamp, seconds};

/// All that is found of peer-to-peer.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let sockets = mappings(scene);
    let mut findings = stun_unanswered(scene);
    findings.extend(symmetric(scene, &sockets));
    findings.extend(checks::detect(scene, &sockets));
    findings.extend(neighbours(scene, &sockets));
    findings.extend(shared_address(scene, &sockets));
    findings
}

/// What one client asked the vendor's STUN server.
fn asked_stun<'c>(scene: &Scene<'c>, client: IpAddr) -> impl Iterator<Item = &'c Case> {
    scene.of_client(client).filter(|case| case.class == Class::Stun && case.subs.has(Sub::Vendor))
}

/// Who originated flows of some kind, each once, in order.
fn clients<'c>(flows: impl Iterator<Item = &'c Case>) -> Vec<IpAddr> {
    let mut seen: HashSet<IpAddr, RandomState> = HashSet::default();
    flows.map(|case| case.orig.0).filter(|client| seen.insert(*client)).collect()
}

/// What anybody asked the vendor's STUN server.
pub(super) fn vendor_stun<'c>(scene: &Scene<'c>) -> impl Iterator<Item = &'c Case> {
    scene.of_class(Class::Stun).filter(|case| case.subs.has(Sub::Vendor))
}

/// D-13: each client whose questions the vendor's STUN server never answers.
fn stun_unanswered(scene: &Scene<'_>) -> Vec<FindingRecord> {
    clients(vendor_stun(scene)).into_iter().filter_map(|client| unanswered(scene, client)).collect()
}

fn unanswered(scene: &Scene<'_>, client: IpAddr) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.p2p;
    let asked: Vec<&Case> = asked_stun(scene, client).filter(|case| case.stun.is_some()).collect();
    let (first, last) = (*asked.first()?, *asked.last()?);
    if asked.iter().any(|case| case.pkts[1] > 0) {
        return None;
    }
    let requests: u64 =
        asked.iter().filter_map(|case| case.stun.as_ref()).map(|stun| u64::from(stun.requests[0])).sum();
    let waited = asked.iter().map(|case| case.last.since(case.first())).max().unwrap_or(0);
    let told_off = asked.iter().any(|case| case.icmp.is_some_and(|icmp| requests >= 2 || is_prohibited(icmp)));
    if (requests as f64) < settings.stun_requests && waited < nanos(settings.stun_seconds) && !told_off {
        return None;
    }
    // the capture may end before the answer
    if scene.cases.last.since(first.first()) < nanos(settings.answer_seconds) && !told_off {
        return None;
    }
    // where nothing at all comes in, answers may come by another way than the one that is captured
    let outside = |case: &&Case| !case.inside[1] && case.pkts.iter().all(|n| *n > 0);
    let both_ways = scene.of_client(client).any(|case| outside(&case));
    let text = format!("{requests} requests from {} ports, no answer", asked.len());
    let mut draft = Draft::new(scene.rules, RuleId::D13, first.first(), last.last)
        .about(first)
        .flows(asked.iter().map(|case| case.identity.flow_id))
        .count(requests)
        .evidence(text, Some(first.first_frame), Some(first.first()));
    if let Some((case, icmp)) = asked.iter().find_map(|case| Some((case, case.icmp?))) {
        let text = format!("ICMP type {} code {} comes back instead", icmp.kind, icmp.code);
        draft = draft.evidence(text, Some(icmp.frame), Some(case.last));
    }
    if !both_ways {
        draft = draft.at_most(0.5);
    }
    Some(draft.build())
}

/// Whether a firewall says that it is one: type 3 codes 9, 10 and 13 (RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1), type 1
/// code 1 of ICMPv6 (RFC 4443 §3.1).
fn is_prohibited(icmp: Icmp) -> bool {
    matches!((icmp.kind, icmp.code), (3, 9 | 10 | 13) | (1, 1))
}

/// What one socket was told to be from outside.
pub(super) struct Told<'c> {
    pub(super) mapped: SocketAddr,
    pub(super) by: (IpAddr, u16),
    case: &'c Case,
}

/// What each socket behind an address translation was told to be, and by whom.
pub(super) type Mappings<'c> = BTreeMap<(IpAddr, u16), Vec<Told<'c>>>;

/// All that STUN told of address translation.
pub(super) fn mappings<'c>(scene: &Scene<'c>) -> Mappings<'c> {
    let mut sockets = Mappings::new();
    for case in scene.cases.mapped() {
        for (mapped, to) in case.stun.iter().flat_map(|stun| &stun.mapped) {
            let (local, by) = match to {
                Direction::Orig => (case.orig, case.resp),
                Direction::Resp => (case.resp, case.orig),
            };
            let translated = is_public(mapped.ip()) && mapped.ip() != local.0 && mapped.is_ipv4() == local.0.is_ipv4();
            if translated {
                sockets.entry(local).or_default().push(Told { mapped: *mapped, by, case });
            }
        }
    }
    sockets
}

/// Where one socket is seen from outside (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// At one address and port, whoever is asked.
    Same,
    /// At another for each remote end.
    ByEnd,
}

/// How one socket is translated, by what remote ends say: who, and which address and port. Nothing can be told where
/// fewer than `least` of them speak, and where one says this and then that: the binding was made anew.
pub fn mapping(told: impl Iterator<Item = (SocketAddr, SocketAddr)>, least: f64) -> Option<Mapping> {
    let mut seen: BTreeMap<SocketAddr, SocketAddr> = BTreeMap::new();
    for (by, mapped) in told {
        if *seen.entry(by).or_insert(mapped) != mapped {
            return None;
        }
    }
    let first = seen.values().next().filter(|_| seen.len() as f64 >= least)?;
    Some(if seen.values().all(|mapped| mapped == first) { Mapping::Same } else { Mapping::ByEnd })
}

/// What one socket was told, in stretches of time without a silence in which its router may have forgotten it: what
/// comes behind one is told of another binding, of whichever kind the router is. `told`: in the order of first frames.
fn at_one_time<'t, 'c>(told: &'t [Told<'c>], settings: &P2p) -> impl Iterator<Item = &'t [Told<'c>]> {
    let forgotten = nanos(settings.binding_seconds);
    let mut until = Timestamp::default();
    told.chunk_by(move |before, next| {
        until = until.max(before.case.last);
        next.case.first() <= until.after(forgotten)
    })
}

/// What shows that a socket's outside end depends on whom it speaks to, if it does.
fn symmetry<'t, 'c>(told: &'t [Told<'c>], settings: &P2p) -> Option<&'t [Told<'c>]> {
    let by_end = |told: &&[Told<'_>]| {
        let said = told.iter().map(|told| (told.by.into(), told.mapped));
        mapping(said, settings.mappings) == Some(Mapping::ByEnd)
    };
    at_one_time(told, settings).find(by_end)
}

pub(super) fn is_symmetric(told: &[Told<'_>], settings: &P2p) -> bool {
    symmetry(told, settings).is_some()
}

/// Clients behind an address translation that depends on the destination, each with its outside addresses.
fn symmetric_clients(scene: &Scene<'_>, sockets: &Mappings<'_>) -> BTreeMap<IpAddr, Vec<IpAddr>> {
    let settings = &scene.rules.settings.p2p;
    let mut clients: BTreeMap<IpAddr, Vec<IpAddr>> = BTreeMap::new();
    for ((client, _), told) in sockets.iter().filter_map(|(end, told)| Some((end, symmetry(told, settings)?))) {
        clients.entry(*client).or_default().extend(told.iter().map(|told| told.mapped.ip()));
    }
    clients
}

/// The first flow of each host in which it and a peer outside carry video both ways.
fn working<'c>(scene: &Scene<'c>) -> HashMap<IpAddr, &'c Case> {
    let carries = |case: &Case| case.media.is_some_and(|media| media.sent.iter().all(|n| *n > 0));
    let mut working = HashMap::new();
    for case in scene.of_class(Class::P2p) {
        if case.subs.has(Sub::Wan) && !case.subs.has(Sub::Attempt) && carries(case) {
            working.entry(case.orig.0).or_insert(case);
            working.entry(case.resp.0).or_insert(case);
        }
    }
    working
}

/// D-15: one socket, several addresses outside.
fn symmetric(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Vec<FindingRecord> {
    let settings = &scene.rules.settings.p2p;
    let working = working(scene);
    let mut seen = None;
    let mut findings = Vec::new();
    // a client's sockets are side by side
    for ((client, port), told) in sockets.iter().filter_map(|(end, told)| Some((end, symmetry(told, settings)?))) {
        let Some(first) = told.iter().map(|told| told.case).min_by_key(|case| case.first_frame) else { continue };
        if seen.replace(*client) == Some(*client) {
            continue;
        }
        let last = told.iter().map(|told| told.case.last).max().unwrap_or(first.last);
        let mut draft = Draft::new(scene.rules, RuleId::D15, first.first(), last)
            .lead(&first.identity)
            .flows(told.iter().map(|told| told.case.identity.flow_id))
            .say(Place::Client, client);
        for told in told {
            let text = format!("{}:{} sees port {port} of {client} as {}", told.by.0, told.by.1, told.mapped);
            let frame = told.case.stun.as_ref().map(|stun| stun.frame);
            draft = draft.evidence(text, frame, Some(told.case.first()));
        }
        if let Some(works) = working.get(client) {
            let text = "peer-to-peer video runs all the same: the peer's router lets everybody in";
            draft = draft.severity(Severity::Info).manner(Manner::Works);
            draft = draft.evidence(text, Some(works.first_frame), Some(works.first()));
        }
        findings.push(draft.build());
    }
    findings
}

/// Whether two addresses look like neighbours: of one /16, as a site's subnets are, or of one /48.
fn are_near(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..2] == b.octets()[..2],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.segments()[..3] == b.segments()[..3],
        _ => false,
    }
}

/// D-19: a recorder's video goes up to the relay, and comes down again to a client beside it.
fn neighbours(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Vec<FindingRecord> {
    let video = |sub| move |case: &&Case| case.subs.has(sub) && case.inside[0] && !case.one_sided;
    let flows = |sub| scene.of_class(Class::Relay).filter(video(sub));
    let mut up: Vec<Course<'_>> = flows(Sub::VideoUp).filter_map(|case| Course::of(case, 0)).collect();
    up.sort_by_key(|course| course.first);
    let about = nanos(scene.rules.settings.p2p.same_view_seconds);
    let mut mapped: BTreeMap<IpAddr, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut findings: Vec<FindingRecord> = Vec::new();
    for view in flows(Sub::VideoDown).filter_map(|case| Course::of(case, 1)) {
        let begun = up.partition_point(|up| up.first <= view.first.after(about));
        let newest = up.get(..begun).unwrap_or_default().iter().rev().take(UPLOADS);
        let same = newest.filter_map(|up| Some((up.case, likeness(scene, up, &view)?)));
        let pair = same.max_by_key(|(up, likeness)| (*likeness, Reverse(up.first_frame)));
        let Some((up, likeness)) = pair else { continue };
        let ends = [up.orig.0, view.case.orig.0];
        for end in ends {
            mapped.entry(end).or_insert_with(|| outside(sockets, end));
        }
        if let [Some(ours), Some(theirs)] = ends.map(|end| mapped.get(&end)) {
            findings.extend(missed(scene, [ours, theirs], up, view.case, likeness));
        }
    }
    findings
}

/// How much what goes up and what comes down are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// The amounts go together, as those of any two views of such cameras do.
    Rate,
    /// They begin together and end together as well.
    Course,
}

/// The stretch of time in which a side's video ran, and its bytes: heart-beats and menus beside it are no video.
struct Course<'a> {
    case: &'a Case,
    first: Timestamp,
    last: Timestamp,
    bytes: f64,
}

impl<'a> Course<'a> {
    fn of(case: &'a Case, side: usize) -> Option<Self> {
        /// Bursts below such a part of all bytes are no part of the video.
        const PART: u64 = 20;
        let bytes = case.payload.get(side).copied()?;
        let bursts = case.tcp.as_ref().and_then(|tcp| tcp.bursts.get(side)).map_or(&[][..], |bursts| bursts);
        let heavy = || bursts.iter().filter(|burst| burst.bytes.saturating_mul(PART) >= bytes);
        let first = heavy().map(|burst| burst.start).min().unwrap_or(case.first());
        let last = heavy().map(|burst| burst.end).max().unwrap_or(case.last);
        Some(Course { case, first, last, bytes: bytes as f64 })
    }
}

/// Whether what `up` sends may be what `down` gets. Cameras have the same rates as they are sold, so that amounts alone
/// say little: one view begins and ends with the upload that it is fed by, or lies within it where others watch too.
fn likeness(scene: &Scene<'_>, up: &Course<'_>, down: &Course<'_>) -> Option<Likeness> {
    let settings = &scene.rules.settings.p2p;
    let Course { case: up, first: began, last: ended, bytes: sent } = *up;
    let Course { case: down, first, last, bytes: got } = *down;
    let long = last.min(ended).since(first.max(began)) >= nanos(settings.relay_seconds);
    let alike = |sent: f64| sent > got * settings.same_view_share && got > sent * settings.same_view_share;
    if up.orig.0 == down.orig.0 || !long {
        return None;
    }
    let about = settings.same_view_seconds;
    let one_name = up.host.is_none() || down.host.is_none() || up.host == down.host;
    if within(began, first, about) && within(ended, last, about) {
        return alike(sent).then_some(if one_name { Likeness::Course } else { Likeness::Rate });
    }
    let inside = first.after(nanos(about)) >= began && ended.after(nanos(about)) >= last;
    let share = last.since(first) as f64 / ended.since(began).max(1) as f64;
    (one_name && inside && alike(sent * share)).then_some(Likeness::Rate)
}

/// Among how many uploads, those that began last, a view's is looked for.
const UPLOADS: usize = 512;

/// A client's outside addresses, as STUN told them.
fn outside(sockets: &Mappings<'_>, client: IpAddr) -> BTreeSet<IpAddr> {
    let own = sockets.range((client, 0)..=(client, u16::MAX));
    own.flat_map(|(_, told)| told.iter().map(|t| t.mapped.ip())).collect()
}

fn missed(
    scene: &Scene<'_>,
    [ours, theirs]: [&BTreeSet<IpAddr>; 2],
    up: &Case,
    view: &Case,
    likeness: Likeness,
) -> Option<FindingRecord> {
    let (recorder, client) = (up.orig.0, view.orig.0);
    let known = !ours.is_empty() && !theirs.is_empty();
    if known && ours.is_disjoint(theirs) {
        return None;
    }
    let share = view.payload[1] as f64 / (up.payload[0] as f64).max(1.0);
    let text =
        format!("the recorder {recorder} sends it up at the same time: {} of it comes down", Percent(share.min(1.0)));
    let mut draft = Draft::new(scene.rules, RuleId::D19, view.first(), view.last.min(up.last))
        .about(view)
        .flows([up.identity.flow_id])
        .evidence(text, Some(up.first_frame), Some(up.first()));
    if let Some(call) = calls_in_vain(scene, recorder, view) {
        let text = format!("{client} has called {recorder} on TCP {} before, in vain", call.resp.1);
        draft = draft.evidence(text, Some(call.first_frame), Some(call.first()));
    }
    if likeness < Likeness::Course || !known && !are_near(recorder, client) {
        draft = draft.at_most(0.5);
    }
    draft = draft.vantage(scene.vantage(view));
    Some(draft.build())
}

/// The last connection that a viewer asked a recorder for before it took to the relay, and was not given: the cloud had
/// brought them together, and something between them kept them apart.
fn calls_in_vain<'a>(scene: &Scene<'a>, recorder: IpAddr, view: &Case) -> Option<&'a Case> {
    let before = |case: &&Case| case.is_vain() && case.resp.0 == recorder && case.first() <= view.first();
    let soon = |case: &&Case| within(case.last, view.first(), scene.rules.settings.p2p.fallback_seconds);
    scene.around(view).filter(before).filter(soon).last()
}

/// Whether an address is of the range for providers' own translation (RFC 6598).
fn is_shared(ip: IpAddr) -> bool {
    matches!(ip.to_canonical(), IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

/// D-32: outside the site's router its address is one that a provider shares out, or a private one; or the router or
/// the user says so.
fn shared_address(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Vec<FindingRecord> {
    let is_outbound =
        |case: &&Case| (case.established || case.stun.is_some()) && is_private(case.orig.0) && is_public(case.resp.0);
    let mut findings: Vec<FindingRecord> = Vec::new();
    for client in clients(scene.core().filter(is_outbound)) {
        let own = || scene.of_client(client).filter(|case| is_core(case.class, case.subs)).filter(is_outbound);
        let Some(case) = own().next() else { continue };
        let routed = own().any(|case| case.ttl[0] != 0 && !is_full_ttl(case.ttl[0]));
        let draft = behind(scene, case, client);
        let draft = match (is_shared(client), routed) {
            (true, true) => draft,
            (true, false) => draft.at_most(0.5),
            // it is here, and its packets come from behind it: a router that translates
            (false, true) if scene.cases.on_link.contains(&client) => draft.base(scene.rules.settings.p2p.twice),
            (false, _) => continue,
        };
        let text = format!("{client} is no public address, and its packets have passed a router before");
        findings.push(draft.evidence(text, Some(case.first_frame), Some(case.first())).build());
    }
    if findings.is_empty() {
        findings.extend(told_by_router(scene).or_else(|| shared_by_word(scene, sockets)));
    }
    findings
}

/// A draft of D-32: that is the site's address outside. A private one that no provider shares out is mostly that of
/// another router of the site's own.
fn behind<'r>(scene: &Scene<'r>, case: &Case, outside: IpAddr) -> Draft<'r> {
    Draft::new(scene.rules, RuleId::D32, case.first(), case.last)
        .lead(&case.identity)
        .manner((!is_shared(outside)).then_some(Manner::OtherRouter))
        .say(Place::Answer, outside)
}

/// The router itself says that its outside address is no public one.
fn told_by_router(scene: &Scene<'_>) -> Option<FindingRecord> {
    let asks = |case: &&Case| case.router.is_some_and(|router| is_private(router.outside) && case.inside[0]);
    let case = scene.cases.flows.iter().find(asks)?;
    let Router { outside, seen } = case.router?;
    let (asker, router) = (case.orig.0, case.resp.0);
    let text = format!("{router} tells {asker}, which asks it for a port, that its outside address is {outside}");
    Some(behind(scene, case, outside).evidence(text, Some(seen.frame), Some(seen.ts)).build())
}

/// The user says what address the router has outside, and STUN says another.
fn shared_by_word(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Option<FindingRecord> {
    let wan = scene.base.site.wan.iter().find(|ip| is_private(**ip))?;
    let told = sockets.values().flatten().find(|told| told.case.inside[0])?;
    let text = format!("the router's outside address is {wan}, and {} sees {}", told.by.0, told.mapped.ip());
    let draft = behind(scene, told.case, *wan);
    Some(draft.evidence(text, Some(told.case.first_frame), Some(told.case.first())).build())
}

/// How long before `now`, in seconds; for texts.
fn since(now: Timestamp, then: Timestamp) -> String {
    format!("{:.0}", seconds(now.since(then).max(SECOND)))
}

#[cfg(test)]
mod tests;
