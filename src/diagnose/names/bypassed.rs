//! A recorder that asks another resolver than its network has: D-5.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use super::asked_of;
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::Scene;
use crate::engine::case::{Case, DnsCase, is_core};
use crate::engine::resolvers::ResolverCase;
use crate::event::{Class, FindingRecord};

/// Of how many of its questions it is judged whether a host asks for others.
const QUESTIONS: usize = 16;
/// Among how many of the last who asked for a name they are looked for who wait.
const WAITING: usize = 64;

/// D-5: a recorder asks another resolver than its network has.
pub(super) fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let (recorders, resolvers) = (recorders(scene), Resolvers::of(scene));
    let mut found: Vec<FindingRecord> =
        recorders.iter().filter_map(|client| asks_elsewhere(scene, *client, &resolvers)).collect();
    let secret = |case: &&Case| {
        let hidden = case.subs.has(Sub::Dot) || case.subs.has(Sub::Doh);
        hidden && case.established && recorders.contains(&case.orig.0)
    };
    found.extend(scene.of_class(Class::Dns).filter(secret).map(|case| {
        let how = if case.subs.has(Sub::Dot) { "TLS" } else { "HTTPS" };
        let text = format!("{} asks {} over {how}", case.orig.0, case.resp.0);
        Draft::new(scene.rules, RuleId::D5, case.first(), case.last)
            .lead(&case.identity)
            .say(Place::Resolver, case.host.clone().unwrap_or_else(|| case.resp.0.to_string()))
            .evidence(text, Some(case.first_frame), Some(case.first()))
            .build()
    }));
    found
}

/// What is a recorder, by its flows; a host of the system that nobody logs in from counts as one here.
fn recorders(scene: &Scene<'_>) -> BTreeSet<IpAddr> {
    let sure = scene.cases.recorders().iter().copied();
    let viewers: BTreeSet<IpAddr> =
        scene.cases.dns.iter().filter(|dns| dns.host.class == Class::Login).map(|dns| dns.client).collect();
    let asked = scene.cases.dns.iter().filter(|dns| is_core(dns.host.class, dns.host.subs)).map(|dns| dns.client);
    sure.chain(asked.filter(|client| !viewers.contains(client))).collect()
}

/// Who asks whom.
struct Resolvers<'a> {
    /// What each client asks; a list has one at least.
    asked: HashMap<IpAddr, Vec<&'a ResolverCase>>,
    /// How many clients each resolver has.
    clients: HashMap<IpAddr, usize>,
    /// What clients inside ask inside, in the order of first answers; and those clients.
    inside: (Vec<&'a ResolverCase>, BTreeSet<IpAddr>),
    /// Who asked for what, in order.
    questions: OnceCell<HashMap<(&'a str, u16), Vec<&'a DnsCase>>>,
}

impl<'a> Resolvers<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let inside = |ip: IpAddr| scene.base.site.inside(ip);
        let mut all = Resolvers {
            asked: HashMap::new(),
            clients: HashMap::new(),
            inside: Default::default(),
            questions: OnceCell::new(),
        };
        for known in &scene.cases.resolvers {
            all.asked.entry(known.client).or_default().push(known);
            let clients = all.clients.entry(known.resolver).or_default();
            *clients = clients.saturating_add(1);
            if inside(known.client) && inside(known.resolver) {
                all.inside.0.push(known);
                all.inside.1.insert(known.client);
            }
        }
        all
    }

    /// Who had asked for the same by then.
    fn asked_before(&self, scene: &Scene<'a>, mine: &'a DnsCase) -> &[&'a DnsCase] {
        let all = self.questions.get_or_init(|| {
            let mut all: HashMap<(&str, u16), Vec<&DnsCase>> = HashMap::new();
            for dns in &scene.cases.dns {
                all.entry((&dns.name, dns.qtype)).or_default().push(dns);
            }
            all.values_mut().for_each(|same| same.sort_by_key(|dns| dns.first.ts));
            all
        });
        let same = all.get(&(mine.name.as_str(), mine.qtype)).map_or(&[][..], Vec::as_slice);
        let before = same.partition_point(|dns| dns.first.ts <= mine.first.ts);
        same.get(..before).unwrap_or_default()
    }

    /// Whether a host asks what its neighbours ask: each of its first questions is one that another waits for an answer
    /// to. So the outer side of a gateway does, whose inner side is the network's resolver.
    fn passes_on(&self, scene: &Scene<'a>, used: &ResolverCase) -> bool {
        let waits = |mine: &DnsCase, other: &DnsCase| {
            let answered = other.answer.map_or(other.last, |(seen, _)| seen.ts.max(other.last));
            other.client != used.client && mine.first.ts <= answered
        };
        let waited = |mine: &'a DnsCase| {
            self.asked_before(scene, mine).iter().rev().take(WAITING).any(|other| waits(mine, other))
        };
        asked_of(scene, used).take(QUESTIONS).all(waited)
    }
}

fn asks_elsewhere<'a>(scene: &Scene<'a>, client: IpAddr, resolvers: &Resolvers<'a>) -> Option<FindingRecord> {
    let inside = |ip: IpAddr| scene.base.site.inside(ip);
    // who answers others is a resolver itself, and asks its own upstream
    if !inside(client) || resolvers.clients.contains_key(&client) {
        return None;
    }
    let names = &scene.rules.settings.names;
    let [used] = resolvers.asked.get(&client)?.as_slice() else { return None };
    let alone = resolvers.clients.get(&used.resolver) == Some(&1);
    if inside(used.resolver) || !alone || f64::from(used.answers) < names.bypass_queries {
        return None;
    }
    let (neighbours, clients) = &resolvers.inside;
    let network = neighbours.iter().find(|known| known.client != client)?;
    let count = clients.len().saturating_sub(usize::from(clients.contains(&client)));
    let own = asked_of(scene, used);
    let lead = own.clone().next()?;
    if resolvers.passes_on(scene, used) {
        return None;
    }
    let text = format!("{} of its neighbours ask{} {}", count, if count == 1 { "s" } else { "" }, network.resolver);
    let less = if count == 1 { names.lone_neighbour } else { 0.0 };
    let last = own.clone().map(|dns| dns.last).max().unwrap_or(lead.last);
    Some(
        Draft::new(scene.rules, RuleId::D5, lead.first.ts, last)
            .lead(&lead.identity)
            .flows(own.map(|dns| dns.identity.flow_id))
            .say(Place::Resolver, used.resolver)
            .count(u64::from(used.answers))
            .adjust(-less)
            .evidence(format!("{client} asks {}", used.resolver), Some(lead.first.frame), Some(lead.first.ts))
            .evidence(text, Some(network.first.frame), Some(network.first.ts))
            .build(),
    )
}
