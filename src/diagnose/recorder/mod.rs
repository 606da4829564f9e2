//! The recorder's own set-up: its clock's source (D-12), region (D-31), support sessions (D-39), what it says in the
//! clear (D-40) and its address (D-41). [`standing`] judges its standing connection.

pub mod standing;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::draft::Draft;
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use crate::classify::site::{is_one_site, is_public};
use crate::classify::words::Sub;
use crate::engine::case::Case;
use crate::engine::learnt::{Seen, turn};
use crate::engine::neighbours::{Claims, Station};
use crate::event::{Class, FindingRecord, Manner};
use crate::text::units::Counted;
use crate::time::Timestamp;

/// Hardware addresses that several devices share on purpose, by how they begin: VRRP (RFC 9568 §7.3), HSRP and GLBP.
const SHARED_MACS: [&[u8]; 5] =
    [&[0, 0, 0x5e, 0, 1], &[0, 0, 0x5e, 0, 2], &[0, 0, 0x0c, 0x07, 0xac], &[0, 0, 0x0c, 0x9f, 0xf0], &[0, 0x07, 0xb4]];
/// Regions whose round trips differ by less, in seconds, are as near as each other.
const REGION_RTT: f64 = 0.02;

/// All that is found of recorders.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut findings = time_blocked(scene);
    findings.extend(standing::detect(scene));
    findings.extend(other_region(scene).or_else(|| wrong_region(scene)));
    findings.extend(scene.of_class(Class::RemoteAssist).filter_map(|case| remote_assist(scene, case)));
    findings.extend(scene.cases.flows.iter().filter_map(|case| exposed(scene, case)));
    let hosts = Hosts::of(scene);
    findings.extend(scene.cases.contested.iter().filter_map(|(ip, claims)| contested(scene, &hosts, *ip, claims)));
    findings
}

/// D-12: each recorder that asks for the time and gets no answer from anybody.
fn time_blocked(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let asks = |case: &&Case| case.class == Class::Ntp && !case.resp.0.is_multicast() && case.resp.1 == 123;
    let concerned = |case: &&Case| case.recorders[0] || case.subs.has(Sub::VendorPool);
    let mut clients: Vec<IpAddr> =
        scene.of_class(Class::Ntp).filter(asks).filter(concerned).map(|case| case.orig.0).collect();
    clients.sort_unstable();
    clients.dedup();
    let of = |client| scene.of_client(client).filter(asks).collect::<Vec<_>>();
    clients.into_iter().filter_map(|client| unanswered_time(scene, &of(client))).collect()
}

fn unanswered_time(scene: &Scene<'_>, asked: &[&Case]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.recorder;
    let (first, last) = (*asked.first()?, *asked.last()?);
    let requests = asked.iter().map(|case| case.pkts[0]).fold(0u64, u64::saturating_add);
    let waited = scene.cases.last.since(first.first()) >= nanos(settings.ntp_seconds);
    if asked.iter().any(|case| case.pkts[1] > 0) || (requests as f64) < settings.ntp_requests || !waited {
        return None;
    }
    // nothing of the kind may be seen coming in where answers take another way
    let both_ways = scene.of_client(first.orig.0).any(|case| !case.inside[1] && case.pkts.iter().all(|n| *n > 0));
    let text = format!("{} to {}, no reply", Counted(requests, "request"), Counted(servers(asked) as u64, "server"));
    let draft = Draft::new(scene.rules, RuleId::D12, first.first(), last.last)
        .about(first)
        .flows(asked.iter().map(|case| case.identity.flow_id))
        .count(requests)
        .evidence(text, Some(first.first_frame), Some(first.first()));
    Some(if both_ways { draft } else { draft.at_most(0.5) }.build())
}

fn servers(asked: &[&Case]) -> usize {
    let mut servers: Vec<IpAddr> = asked.iter().map(|case| case.resp.0).collect();
    servers.sort_unstable();
    servers.dedup();
    servers.len()
}

/// D-31: a recorder uses the relay of another region than the user says is meant.
fn other_region(scene: &Scene<'_>) -> Option<FindingRecord> {
    let meant = scene.base.site.region.as_deref()?;
    let own = scene.of_class(Class::Relay).filter(|case| case.recorders[0]);
    let (case, region) = own.filter_map(|case| Some((case, case.region.as_deref()?))).next()?;
    if region.eq_ignore_ascii_case(meant) {
        return None;
    }
    let draft = Draft::new(scene.rules, RuleId::D31, case.first(), case.last)
        .about(case)
        .base(scene.rules.settings.recorder.region_told)
        .say(Place::Region, region)
        .evidence(format!("the site file says {meant}"), Some(case.first_frame), Some(case.first()));
    Some(draft.build())
}

/// D-31: a relay of another region than a recorder's answers the same site much sooner.
fn wrong_region(scene: &Scene<'_>) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.recorder;
    let known = || {
        let relays = scene.of_class(Class::Relay).filter(|case| case.via_proxy.is_none());
        relays.filter_map(|case| Some((case, case.region.as_deref()?, case.tcp.as_ref()?.rtt_min?)))
    };
    let (case, region, far) = known().find(|(case, ..)| case.recorders[0])?;
    let nearer = |(_, other, rtt): &(&Case, &str, f64)| {
        *other != region && *rtt < far * settings.region_rtt_factor && far - rtt > REGION_RTT
    };
    let (other, name, near) = known().find(nearer)?;
    let round_trip = |region: &str, rtt: f64| format!("the shortest round trip to {region} is {:.0} ms", rtt * 1e3);
    let draft = Draft::new(scene.rules, RuleId::D31, case.first(), case.last)
        .about(case)
        .say(Place::Region, region)
        .evidence(round_trip(region, far), Some(case.first_frame), Some(case.first()))
        .evidence(round_trip(name, near), Some(other.first_frame), Some(other.first()));
    Some(draft.build())
}

/// D-39: a session with the vendor's support is open.
fn remote_assist(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let answered = case.payload.iter().all(|n| *n > 0);
    let refused = case.http.iter().flat_map(|http| &http.turns).any(|turn| turn.turn.status >= 400);
    let broken = case.tls.as_ref().is_some_and(|tls| tls.version == 0 && !case.cut || tls.alert.is_some());
    if !case.established || !answered || refused || broken {
        return None;
    }
    let draft = Draft::new(scene.rules, RuleId::D39, case.first(), case.last).about(case).evidence(
        "a connection to the support service is made",
        Some(case.first_frame),
        Some(case.first()),
    );
    Some(draft.build())
}

/// Whether a client is so near, by round trips and routers passed, that it is of the site whatever its address: a
/// campus has public ones.
fn is_near(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.recorder;
    let [ttl, _] = case.ttl;
    // systems begin with one of these (RFC 1700, page 64, and what is usual)
    let passed = [64, 128, 255].into_iter().find(|begin| ttl <= *begin).map(|begin: u8| begin.saturating_sub(ttl));
    let few = ttl > 0 && passed.is_some_and(|n| f64::from(n) <= settings.near_routers);
    let quick = case.tcp.as_ref().and_then(|tcp| tcp.rtt_min).is_some_and(|rtt| rtt <= settings.near_seconds);
    few && quick && !case.midstream
}

/// D-40: somebody out on the Internet logs in to the recorder in the clear, or is shown its video so.
fn exposed(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let http = case.http.as_ref().filter(|_| case.tls.is_none() && case.established)?;
    let (client, server) = (case.orig.0, case.resp.0);
    let from_outside = is_public(client) && !case.inside[0] && !is_one_site(client, server) && !is_near(scene, case);
    if !from_outside || !(case.recorders[1] || case.class == Class::Direct || is_site(scene, server)) {
        return None;
    }
    let turns = || http.turns.iter().map(|turn| turn.turn);
    let login = turns().find(|turn| turn.marks & turn::BASIC != 0).and_then(|turn| turn.asked);
    let shows = |marks: u32| marks & (turn::MESSAGE | turn::MEDIA) != 0;
    let video = turns().find(|turn| shows(turn.marks) && turn.status < 300).and_then(|turn| turn.answered);
    let (Seen { ts, frame }, text) = match (login, video) {
        (Some(seen), _) => (seen, "a login (Basic) that anybody on the way can read"),
        (None, Some(seen)) => (seen, "video that anybody on the way can see"),
        (None, None) => return None,
    };
    let draft = Draft::new(scene.rules, RuleId::D40, ts, case.last)
        .lead(&case.identity)
        .manner((case.subs.has(Sub::Contera8887)).then_some(Manner::VideoPort));
    Some(draft.evidence(text, Some(frame), Some(ts)).build())
}

/// Whether an address is a site's: that of the vendor's customer, who speaks to the vendor's cloud from it.
fn is_site(scene: &Scene<'_>, ip: IpAddr) -> bool {
    scene.base.site.wan.contains(&ip) || scene.cases.client(ip).is_some_and(|client| client.speaks_to_core)
}

fn is_shared_mac(station: &Station) -> bool {
    SHARED_MACS.iter().any(|begin| station.mac.starts_with(begin))
}

/// Whether an address is a recorder's that was at work right then: it had just spoken on a connection that was open, so
/// it has not been switched off and replaced.
fn was_at_work(scene: &Scene<'_>, ip: IpAddr, then: Timestamp) -> bool {
    let lately = nanos(scene.rules.settings.recorder.moved_seconds);
    let own = scene.of_client(ip).chain(scene.cases.of_server(ip));
    own.filter(|case| case.first() < then).any(|case| {
        let own = usize::from(case.orig.0 != ip);
        let recorder = [case.orig.0, case.resp.0].get(own) == Some(&ip) && case.recorders.get(own) == Some(&true);
        let Some(tcp) = case.tcp.as_ref().filter(|tcp| recorder && tcp.fin_by.is_none() && tcp.rst_by.is_none()) else {
            return false;
        };
        tcp.bursts.get(own).into_iter().flatten().any(|burst| burst.end.after(lately) >= then)
    })
}

/// Whose addresses matter.
struct Hosts {
    /// Those that are asked for names.
    resolvers: BTreeSet<IpAddr>,
    /// The first three bytes of those that originate flows.
    networks: BTreeSet<[u8; 3]>,
}

impl Hosts {
    fn of(scene: &Scene<'_>) -> Self {
        if scene.cases.contested.is_empty() {
            return Hosts { resolvers: BTreeSet::new(), networks: BTreeSet::new() };
        }
        let network = |ip| match ip {
            IpAddr::V4(ip) => Some(split(ip).0),
            IpAddr::V6(_) => None,
        };
        Hosts {
            resolvers: scene.cases.dns.iter().map(|dns| dns.resolver).collect(),
            networks: scene.cases.clients().filter_map(network).collect(),
        }
    }

    /// Whether an address is a host's, its resolver's, or the one that gateways of its network usually have: the first,
    /// or the last.
    fn concerns(&self, scene: &Scene<'_>, ip: IpAddr) -> bool {
        let is_gateway = || match ip {
            IpAddr::V4(ip) => matches!(split(ip), (network, 1 | 254) if self.networks.contains(&network)),
            IpAddr::V6(_) => false,
        };
        scene.base.site.recorders.contains(&ip)
            || scene.cases.client(ip).is_some()
            || scene.cases.of_server(ip).next().is_some()
            || self.resolvers.contains(&ip)
            || is_gateway()
    }
}

/// The network of an address, as most sites have them, and the host in it.
const fn split(ip: Ipv4Addr) -> ([u8; 3], u8) {
    let [a, b, c, host] = ip.octets();
    ([a, b, c], host)
}

/// D-41: two network cards go on claiming the address of a recorder, a client or their gateway.
fn contested(scene: &Scene<'_>, hosts: &Hosts, ip: IpAddr, claims: &Claims) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.recorder;
    let stations: Vec<&Station> = claims.stations.iter().filter(|station| !is_shared_mac(station)).collect();
    let second = stations.iter().map(|station| station.first).nth(1)?;
    let to_and_fro = f64::from(claims.changes) >= settings.mac_changes;
    if !hosts.concerns(scene, ip)
        || (stations.len() as f64) < settings.macs
        || !(to_and_fro || was_at_work(scene, ip, second.ts))
    {
        return None;
    }
    let last: Timestamp = stations.iter().map(|station| station.last.ts).max()?;
    let mut draft = Draft::new(scene.rules, RuleId::D41, second.ts, last)
        .host(&ip.to_string())
        .say(Place::Server, ip)
        .count(u64::from(claims.changes));
    if !to_and_fro {
        draft = draft.base(settings.moved_once);
    }
    for station in stations {
        let [a, b, c, d, e, f] = station.mac;
        let text = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} claims {ip}");
        draft = draft.evidence(text, Some(station.first.frame), Some(station.first.ts));
    }
    Some(draft.build())
}

#[cfg(test)]
mod tests;
