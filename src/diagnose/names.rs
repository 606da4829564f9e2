//! Names that do not resolve, or not to the cloud: D-1 to D-5 (D-5 in [`bypassed`]) and D-38.
//!
//! What counts is how the search for a name ended: a client that is refused by one resolver and told by the next has
//! found it.

mod bypassed;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::draft::Draft;
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use crate::classify::host::HostMatch;
use crate::classify::site::is_public;
use crate::classify::words::Flag;
use crate::engine::case::{Case, DnsCase};
use crate::engine::learnt::{Reply, turn};
use crate::engine::resolvers::ResolverCase;
use crate::event::{Class, FindingRecord, Mode};
use crate::time::{Timestamp, seconds};

/// Types of questions that lead to an address (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 9460 §9).
mod qtype {
    pub const A: u16 = 1;
    pub const AAAA: u16 = 28;
    pub const HTTPS: u16 = 65;
}

/// Response codes (RFC 1035 §4.1.1).
mod rcode {
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const REFUSED: u16 = 5;
}

/// What is wrong with names; `unfound`: those that were not found.
pub(super) fn detect(scene: &Scene<'_>, unfound: &[Failure<'_>]) -> Vec<FindingRecord> {
    let mut found: Vec<FindingRecord> = unfound.iter().map(|failure| tell(scene, failure)).collect();
    found.extend(slow(scene));
    found.extend(bypassed::detect(scene));
    found.extend(misprints(scene));
    found
}

/// Everything that one client did to find one name.
struct Lookup<'a> {
    client: IpAddr,
    name: &'a str,
    host: HostMatch,
    asked: Vec<&'a DnsCase>,
}

impl<'a> Lookup<'a> {
    /// The questions that decide: those for IPv4, where there are any, since hardly a host lives by IPv6 alone.
    fn deciding(&self) -> impl DoubleEndedIterator<Item = &'a DnsCase> + Clone {
        let v4 = self.asked.iter().any(|dns| dns.qtype == qtype::A);
        self.asked.iter().copied().filter(move |dns| !v4 || dns.qtype == qtype::A)
    }

    /// The last question that was answered by an address.
    fn resolved(&self) -> Option<&'a DnsCase> {
        self.deciding().rfind(|dns| dns.answer.is_some() && !dns.addresses.is_empty())
    }
}

/// How the search for a name failed.
#[derive(Clone, Debug)]
pub(super) struct Failure<'a> {
    /// The first question that failed: it leads.
    pub lead: &'a DnsCase,
    /// The last that did.
    pub last: Timestamp,
    /// All that did.
    pub all: Vec<&'a DnsCase>,
    /// In which way.
    pub mode: Mode,
    /// The address that was told, where one was.
    pub answer: Option<IpAddr>,
    /// How sure it is.
    pub confidence: f64,
    /// It is said not to exist, and may well not.
    pub spelt: Spelt,
    rule: RuleId,
}

/// What tells that a name is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelt {
    /// The vendor's list has it, or what does not find it does not say that it does not exist.
    Out,
    /// Only a wildcard of the list has room for it: whoever asked may have misspelt it.
    Perhaps,
}

/// Names of the allow-list that a client of the system could not find.
pub(super) fn failed<'a>(scene: &Scene<'a>) -> Vec<Failure<'a>> {
    let lookups = lookups(scene);
    let (sinks, found, deaf) = (Sinks::of(scene, &lookups), OnceCell::new(), deaf(scene));
    let of = |lookup: &Lookup<'a>| {
        denied(scene, lookup, &found)
            .or_else(|| unanswered(scene, lookup, &deaf))
            .or_else(|| sinks.sinkhole(scene, lookup))
    };
    lookups.iter().filter_map(of).collect()
}

/// All of them, by client and name.
fn lookups<'a>(scene: &Scene<'a>) -> Vec<Lookup<'a>> {
    let mut found = Vec::new();
    for client in scene.system() {
        let mut own: BTreeMap<&str, Lookup<'a>> = BTreeMap::new();
        for dns in scene.cases.asked_by(*client) {
            let leads = matches!(dns.qtype, qtype::A | qtype::AAAA | qtype::HTTPS);
            if leads && scene.is_listed(&dns.host) {
                let fresh = || Lookup { client: *client, name: &dns.name, host: dns.host, asked: Vec::new() };
                own.entry(&dns.name).or_insert_with(fresh).asked.push(dns);
            }
        }
        found.extend(own.into_values());
    }
    found
}

/// D-2: the resolver says no.
fn denied<'a>(scene: &Scene<'a>, lookup: &Lookup<'a>, found: &OnceCell<Found<'a>>) -> Option<Failure<'a>> {
    let resolved = lookup.resolved().map(|dns| dns.first.ts);
    let after = |dns: &&DnsCase| resolved.is_none_or(|then| dns.first.ts > then);
    let code = |dns: &DnsCase| dns.answer.map(|(_, code)| code);
    let all: Vec<&DnsCase> = lookup.deciding().filter(after).filter(|dns| mode_of(code(dns)).is_some()).collect();
    let (lead, last) = (*all.first()?, *all.last()?);
    let mode = mode_of(code(last))?;
    let names = &scene.rules.settings.names;
    let lone = mode == Mode::Servfail && lookup.asked.iter().filter(|dns| mode_of(code(dns)).is_some()).count() < 2;
    let elsewhere = mode == Mode::Servfail
        && found.get_or_init(|| Found::of(scene)).by_others(lookup, last).is_some_and(|then| then > last.first.ts);
    let wildcard = lookup
        .host
        .entry(&scene.base.catalogue)
        .is_some_and(|entry| entry.pattern.starts_with("*.") && entry.class == Class::VendorOther);
    let spelt = if wildcard && mode == Mode::Nxdomain { Spelt::Perhaps } else { Spelt::Out };
    let less = if wildcard { names.optional } else { 0.0 };
    let doubtful = lone || elsewhere || spelt == Spelt::Perhaps;
    let confidence = if doubtful { names.doubtful } else { names.d_2 - less };
    Some(Failure { lead, last: last.last, all, mode, answer: None, rule: RuleId::D2, confidence, spelt })
}

fn mode_of(code: Option<u16>) -> Option<Mode> {
    match code? {
        rcode::NXDOMAIN => Some(Mode::Nxdomain),
        rcode::REFUSED => Some(Mode::Refused),
        rcode::SERVFAIL => Some(Mode::Servfail),
        _ => None,
    }
}

/// When each resolver last told the addresses of each name.
struct Found<'a> {
    last: HashMap<(IpAddr, &'a str), Last>,
}

/// A last time, of one client and of all others.
#[derive(Clone, Copy)]
struct Last {
    client: IpAddr,
    at: Timestamp,
    others: Option<Timestamp>,
}

impl<'a> Found<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let mut found = Found { last: HashMap::new() };
        for dns in scene.cases.dns.iter().filter(|dns| !dns.addresses.is_empty()) {
            let (client, at) = (dns.client, dns.first.ts);
            let last = found.last.entry((dns.resolver, &dns.name)).or_insert(Last { client, at, others: None });
            *last = match (last.client == client, last.at < at) {
                (true, _) => Last { at: last.at.max(at), ..*last },
                (false, true) => Last { client, at, others: Some(last.at) },
                (false, false) => Last { others: last.others.max(Some(at)), ..*last },
            };
        }
        found
    }

    /// When the resolver that was asked `last` told another client the name's address, the last time.
    fn by_others(&self, lookup: &Lookup<'_>, last: &DnsCase) -> Option<Timestamp> {
        let found = self.last.get(&(last.resolver, lookup.name))?;
        if found.client == lookup.client { found.others } else { Some(found.at) }
    }
}

/// D-1: asked again and again, and no answer of any kind.
fn unanswered<'a>(scene: &Scene<'a>, lookup: &Lookup<'a>, deaf: &HashSet<IpAddr>) -> Option<Failure<'a>> {
    let names = &scene.rules.settings.names;
    let answered = lookup.asked.iter().filter(|dns| dns.answer.is_some()).map(|dns| dns.first.ts).max();
    let waited = |dns: &DnsCase| scene.cases.last.since(dns.first.ts) >= nanos(names.unanswered_seconds);
    let open = |dns: &&DnsCase| dns.answer.is_none() && answered.is_none_or(|then| dns.first.ts > then) && waited(dns);
    // some resolvers never answer for IPv6: once a name was found, that says nothing
    let all: Vec<&DnsCase> = match lookup.resolved() {
        Some(_) => lookup.deciding().filter(open).collect(),
        None => lookup.asked.iter().copied().filter(open).collect(),
    };
    let lead = *all.first()?;
    let last = all.iter().map(|dns| dns.last).max()?;
    let times: u64 = all.iter().map(|dns| u64::from(dns.times)).sum();
    let in_need = last.since(lead.first.ts) >= nanos(names.again_seconds);
    let hears = !scene.is_one_sided() && !scene.is_leaky() && !deaf.contains(&lookup.client);
    if (times as f64) < names.unanswered_queries || !in_need || !hears || goes_there(scene, lookup, lead) {
        return None;
    }
    let confidence = names.d_1;
    let (rule, mode, spelt) = (RuleId::D1, Mode::Unanswered, Spelt::Out);
    Some(Failure { lead, last, all, mode, answer: None, rule, confidence, spelt })
}

/// Whether the client goes on to call a server by that name: it was told where that is, and the answers went past the
/// mirror.
fn goes_there(scene: &Scene<'_>, lookup: &Lookup<'_>, lead: &DnsCase) -> bool {
    let itself = |case: &&Case| case.carried && case.via_proxy.is_none() && case.established;
    let mut later = scene.of_client(lookup.client).filter(|case| case.first() >= lead.first.ts).filter(itself);
    later.any(|case| case.host.as_deref() == Some(lookup.name))
}

/// Of whom the capture may not show what comes back to them.
fn deaf(scene: &Scene<'_>) -> HashSet<IpAddr> {
    let one_sided = |case: &&Case| case.one_sided && case.payload != [0, 0];
    scene.cases.flows.iter().filter(one_sided).map(|case| case.orig.0).collect()
}

/// What makes an address one of a filter's.
struct Sinks {
    addresses: HashMap<IpAddr, Told>,
    /// Names of the vendor have addresses out there.
    elsewhere: bool,
}

/// An address that was told.
#[derive(Clone, Copy)]
struct Told {
    /// Some connection to it did what it is there for.
    serves: bool,
    /// So many names have it that no service explains it, and of more than one domain.
    shared: bool,
    /// It is shared, and something odd came from it.
    odd: bool,
}

impl Told {
    fn of(scene: &Scene<'_>, address: IpAddr, names: &BTreeSet<&str>) -> Self {
        let domains: BTreeSet<&str> = names.iter().map(|name| domain(name)).collect();
        let shared = names.len() as f64 >= scene.rules.settings.names.sinkhole_names && domains.len() > 1;
        let mut to = scene.cases.of_server(address).filter(|case| case.is_tcp());
        Told { serves: to.clone().any(Case::is_served), shared, odd: shared && to.any(is_odd) }
    }
}

impl Sinks {
    fn of(scene: &Scene<'_>, lookups: &[Lookup<'_>]) -> Self {
        let mut names: HashMap<IpAddr, BTreeSet<&str>> = HashMap::new();
        for dns in lookups.iter().flat_map(|lookup| &lookup.asked) {
            for address in &dns.addresses {
                names.entry(*address).or_default().insert(&dns.name);
            }
        }
        let elsewhere = names.keys().any(|address| is_public(*address) && !scene.base.site.inside(*address));
        let told = |(address, names): (&IpAddr, &BTreeSet<&str>)| (*address, Told::of(scene, *address, names));
        Sinks { addresses: names.iter().map(told).collect(), elsewhere }
    }

    /// D-3: the last that a client was told is no address of the vendor's.
    fn sinkhole<'a>(&self, scene: &Scene<'a>, lookup: &Lookup<'a>) -> Option<Failure<'a>> {
        let last = lookup.resolved()?;
        let confidences = last.addresses.iter().map(|address| self.confidence(scene, last, *address));
        let confidence = confidences.collect::<Option<Vec<f64>>>()?.into_iter().fold(f64::INFINITY, f64::min);
        let same = |dns: &&DnsCase| dns.answer.is_some() && dns.addresses == last.addresses;
        let all: Vec<&DnsCase> = lookup.deciding().filter(same).collect();
        let (lead, answer) = (*all.first()?, last.addresses.first().copied());
        let (rule, mode, spelt) = (RuleId::D3, Mode::Sinkhole, Spelt::Out);
        Some(Failure { lead, last: last.last, all, mode, answer, rule, confidence, spelt })
    }

    /// How sure it is that an address is a filter's; `None`: nothing speaks for it.
    fn confidence(&self, scene: &Scene<'_>, told: &DnsCase, address: IpAddr) -> Option<f64> {
        let names = &scene.rules.settings.names;
        if address.is_unspecified() || address.is_loopback() {
            return Some(names.d_3);
        }
        let Told { serves, shared, odd } = *self.addresses.get(&address)?;
        if serves {
            return None;
        }
        if scene.base.site.inside(address) {
            // where the whole cloud has private addresses, as in a laboratory, one more says nothing
            let own = address == told.resolver || shared || self.elsewhere;
            return Some(if own { names.d_3 } else { names.doubtful });
        }
        let kept = told.ttl.is_none_or(|ttl| f64::from(ttl) > names.sinkhole_ttl);
        match (shared, odd, kept) {
            (false, ..) | (true, false, true) => None,
            (true, true, _) => Some(names.d_3),
            (true, false, false) => Some(names.doubtful),
        }
    }
}

/// The last two labels of a name.
pub(super) fn domain(name: &str) -> &str {
    let start = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at.saturating_add(1));
    name.get(start..).unwrap_or(name)
}

/// Whether a page or a refusal came instead of the service, or a certificate that the client would not have.
fn is_odd(case: &Case) -> bool {
    let page = |turn: &crate::engine::case::TurnCase| {
        turn.turn.marks & turn::PAGE != 0 || matches!(turn.turn.status, 300..=303 | 307 | 308 | 400..=499)
    };
    let refused = case.tcp.as_ref().is_some_and(|tcp| tcp.state == "REJ");
    let distrusted = case.tls.as_ref().is_some_and(|tls| tls.alert.is_some());
    refused || distrusted || case.http.as_ref().is_some_and(|http| http.turns.iter().any(page))
}

fn tell(scene: &Scene<'_>, failure: &Failure<'_>) -> FindingRecord {
    let Failure { lead, mode, .. } = failure;
    let times = failure.all.iter().map(|dns| u64::from(dns.times)).sum();
    let mut draft = Draft::new(scene.rules, failure.rule, lead.first.ts, failure.last)
        .base(failure.confidence)
        .lead(&lead.identity)
        .flows(failure.all.iter().map(|dns| dns.identity.flow_id))
        .mode(*mode)
        .host(&lead.name)
        .count(times)
        .say(Place::Resolver, lead.resolver);
    if let Some(answer) = failure.answer {
        draft = draft.say(Place::Answer, answer);
    }
    let text = format!("{} asks {} for {}", lead.client, lead.resolver, lead.name);
    draft = draft.evidence(text, Some(lead.first.frame), Some(lead.first.ts));
    if failure.spelt == Spelt::Perhaps {
        let text = "the vendor lists no such name, only a wildcard that has room for it: it may be misspelt";
        draft = draft.evidence(text, None, None);
    }
    let text = match (lead.answer, failure.answer) {
        (Some((seen, _)), Some(answer)) => (format!("the answer is {answer}"), seen),
        (Some((seen, _)), None) => (format!("the answer is {}", mode.text().to_uppercase()), seen),
        (None, _) => {
            let seconds = seconds(failure.last.since(lead.first.ts));
            let text = format!("asked {times} times over {seconds:.1} s, without an answer");
            return draft.evidence(text, None, Some(failure.last)).build();
        }
    };
    draft.evidence(text.0, Some(text.1.frame), Some(text.1.ts)).build()
}

/// D-4: a resolver takes long.
fn slow(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let (names, system) = (&scene.rules.settings.names, scene.system());
    let mut found = Vec::new();
    // of each client once
    let mut ways: HashMap<IpAddr, f64> = HashMap::new();
    for known in scene.cases.resolvers.iter().filter(|known| system.contains(&known.client)) {
        if (known.replies.len() as f64) < names.slow_answers {
            continue;
        }
        let took = |reply: &Reply| f64::from(reply.micros) / 1e6;
        let mut times: Vec<f64> = known.replies.iter().map(took).collect();
        times.sort_by(f64::total_cmp);
        // what two ways through the network take is not the resolver's: one to it, one from there to whom it asks
        let way = 2.0 * *ways.entry(known.client).or_insert_with(|| way(scene, known.client));
        let [half, high] = [0.5, 0.95].map(|share| at_share(&times, share) - way);
        let late = known.replies.iter().filter(|reply| took(reply) - way > names.slow_p95_seconds);
        let rarely = high > names.slow_p95_seconds && moments(late) as f64 >= names.slow_times;
        let always = half > names.slow_median_seconds;
        if always || rarely {
            found.extend(tell_slow(scene, known, &times, always));
        }
    }
    found
}

/// How many times a client asked, where it got these: questions for both families, or for several names of one page, go
/// out together, and what delays one delays all.
fn moments<'a>(replies: impl Iterator<Item = &'a Reply>) -> usize {
    let mut asked: Vec<u32> = replies.map(|reply| reply.asked).collect();
    asked.sort_unstable();
    let mut times = 0usize;
    let mut last = None;
    for at in asked {
        if last.is_none_or(|last: u32| at > last.saturating_add(1)) {
            (times, last) = (times.saturating_add(1), Some(at));
        }
    }
    times
}

/// What a client asked of one resolver.
fn asked_of<'a>(scene: &Scene<'a>, known: &ResolverCase) -> impl Iterator<Item = &'a DnsCase> + Clone {
    let resolver = known.resolver;
    scene.cases.asked_by(known.client).filter(move |dns| dns.resolver == resolver)
}

/// A resolver that is `always` slow, or now and then.
fn tell_slow(scene: &Scene<'_>, known: &ResolverCase, times: &[f64], always: bool) -> Option<FindingRecord> {
    let [half, high] = [0.5, 0.95].map(|share| at_share(times, share));
    let own = asked_of(scene, known);
    let lead = own.clone().next()?;
    let text = format!("of {} answers half took {half:.2} s or more, the slowest twentieth {high:.2} s", times.len());
    let (shown, which) = if always { (half, "a typical answer") } else { (high, "one answer in twenty") };
    let last = own.clone().map(|dns| dns.last).max().unwrap_or(lead.last);
    let draft = Draft::new(scene.rules, RuleId::D4, lead.first.ts, last)
        .lead(&lead.identity)
        .flows(own.map(|dns| dns.identity.flow_id))
        .say(Place::Resolver, known.resolver)
        .say(Place::Seconds, format!("{shown:.2}"))
        .say(Place::Share, which)
        .count(u64::from(known.answers))
        .evidence(text, Some(known.first.frame), Some(known.first.ts));
    Some(draft.build())
}

/// The value below which that share of sorted numbers lies.
fn at_share(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// What a round trip out of the site takes a client at best, in seconds; 0 where none was seen. A modem may acknowledge
/// in the place of whoever is far away, as those of satellite lines do; the first answer comes from there.
fn way(scene: &Scene<'_>, client: IpAddr) -> f64 {
    let trip = |case: &Case| {
        let tcp = case.tcp.as_ref()?;
        let [asked, answered] = tcp.bursts.each_ref().map(|bursts| bursts.first());
        let answer = asked.zip(answered).map_or(0, |(asked, answered)| answered.start.since(asked.end));
        Some(tcp.rtt_min?.max(seconds(answer)))
    };
    let outward = scene.of_client(client).filter(|case| !case.inside[1]);
    let best = outward.filter_map(trip).fold(f64::INFINITY, f64::min);
    if best.is_finite() { best } else { 0.0 }
}

/// D-38: a name that the vendor's list misspells.
fn misprints(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut found = Vec::new();
    let mut told: BTreeSet<(IpAddr, &str)> = BTreeSet::new();
    for dns in scene.cases.dns.iter().filter(|dns| dns.host.flags.has(Flag::TypoHost)) {
        if !told.insert((dns.client, &dns.name)) {
            continue;
        }
        let text = format!("{} asks for {}", dns.client, dns.name);
        let draft = Draft::new(scene.rules, RuleId::D38, dns.first.ts, dns.last).lead(&dns.identity).host(&dns.name);
        found.push(draft.evidence(text, Some(dns.first.frame), Some(dns.first.ts)).build());
    }
    for case in scene.cases.flows.iter().filter(|case| case.flags.has(Flag::TypoHost)) {
        let name = case.host.as_deref().unwrap_or_default();
        if !told.insert((case.orig.0, name)) {
            continue;
        }
        let draft = Draft::new(scene.rules, RuleId::D38, case.first(), case.last).lead(&case.identity).host(name);
        let text = format!("{} connects to {name}", case.orig.0);
        found.push(draft.evidence(text, Some(case.first_frame), Some(case.first())).build());
    }
    found
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
