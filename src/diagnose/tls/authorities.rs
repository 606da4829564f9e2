//! D-9: certificates that a box on the way has made.
//!
//! An issuer that nobody knows is no proof: recorders and laboratories have authorities of their own. What counts is an
//! issuer that says what it is, two issuers for one name, one issuer for the vendor's names and for strangers', or a
//! client that will not have it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::super::draft::Draft;
use super::super::names::domain;
use super::super::rules::{Place, RuleId};
use super::super::scene::Scene;
use super::{Attempt, Attempts, TLS13};
use crate::engine::case::{Case, Direction, is_core, is_full_ttl};
use crate::event::{Class, FindingRecord, Middlebox};

/// Alerts by which a client refuses a certificate for who made it (RFC 8446 §6.2).
mod alert {
    pub const BAD_CERTIFICATE: u8 = 42;
    pub const CERTIFICATE_UNKNOWN: u8 = 46;
    pub const UNKNOWN_CA: u8 = 48;
}

/// Why a certificate is held for a box's.
struct Reason {
    confidence: f64,
    product: Option<String>,
    text: String,
}

/// Names whose certificates are not their own.
pub(super) fn detect<'a>(scene: &Scene<'a>, all: &Attempts<'a>) -> Vec<FindingRecord> {
    let issuers = Issuers::of(scene, all.values().flatten());
    let mut found = Vec::new();
    for attempts in all.values() {
        let made = attempts.iter().filter_map(|attempt| Some((attempt, reason(scene, attempt, &issuers)?)));
        let mut by_issuer: BTreeMap<&str, Vec<(&Attempt<'_>, Reason)>> = BTreeMap::new();
        for (attempt, reason) in made {
            by_issuer.entry(attempt.tls.issuer.as_deref().unwrap_or_default()).or_default().push((attempt, reason));
        }
        found.extend(by_issuer.iter().filter_map(|(issuer, made)| tell(scene, issuer, made)));
        found.extend(sealed(scene, attempts));
    }
    found
}

/// Who issues certificates in this capture.
struct Issuers<'a> {
    /// For each host the first issuer that clients trust everywhere.
    usual: HashMap<&'a str, &'a str>,
    /// Those that no client refused.
    taken: HashSet<&'a str>,
    /// Whose certificates those have that are trusted by far from everybody.
    unknown: HashMap<&'a str, Signed<'a>>,
}

/// Whose certificates an issuer has made.
#[derive(Default)]
struct Signed<'a> {
    /// The vendor's domains.
    vendor: BTreeSet<&'a str>,
    /// The first host out there that is none of the vendor's.
    stranger: Option<&'a Case>,
}

impl<'a> Issuers<'a> {
    fn of<'v>(scene: &Scene<'a>, attempts: impl Iterator<Item = &'v Attempt<'a>>) -> Self
    where
        'a: 'v,
    {
        let mut issuers = Issuers { usual: HashMap::new(), taken: HashSet::new(), unknown: HashMap::new() };
        let mut public: HashMap<&str, bool> = HashMap::new();
        for attempt in attempts {
            let Some(issuer) = attempt.tls.issuer.as_deref() else { continue };
            if *public.entry(issuer).or_insert_with(|| scene.rules.authorities.is_public(issuer)) {
                issuers.usual.entry(attempt.host).or_insert(issuer);
            } else if !is_others(attempt.case) {
                issuers.unknown.entry(issuer).or_default().vendor.insert(domain(attempt.host));
            }
            if attempt.tls.alert.is_none() {
                issuers.taken.insert(issuer);
            }
        }
        issuers.find_strangers(scene);
        issuers
    }

    /// Looks for what else those issuers have made that nobody knows.
    fn find_strangers(&mut self, scene: &Scene<'a>) {
        let many = |signed: &Signed<'_>| signed.vendor.len() as f64 >= scene.rules.settings.tls.unrelated_domains;
        self.unknown.retain(|_, signed| many(signed));
        if self.unknown.is_empty() {
            return;
        }
        let out = scene.cases.flows.iter().filter(|case| case.is_tcp() && !case.one_sided && !case.inside[1]);
        for case in out.filter(|case| !scene.is_listed(&case.known) || is_others(case)) {
            let (Some(tls), Some(host)) = (case.tls.as_ref(), case.host.as_deref()) else { continue };
            let signed = tls.issuer.as_deref().and_then(|issuer| self.unknown.get_mut(issuer));
            if let Some(signed) = signed.filter(|signed| is_domain(host) && !signed.vendor.contains(domain(host))) {
                signed.stranger.get_or_insert(case);
            }
        }
    }

    /// The first host out there that has its certificate of the same unknown issuer as several of the vendor's domains.
    fn stranger(&self, issuer: &str) -> Option<&'a Case> {
        self.unknown.get(issuer)?.stranger
    }
}

/// Whether a host of the list is somebody else's, whose certificates the vendor's own authority does not make: the
/// storage that it rents, and what Microsoft gives to everybody.
fn is_others(case: &Case) -> bool {
    case.class == Class::S3 || !is_core(case.class, case.subs)
}

/// Whether a host is called by a name of the public system, and not by an address or a name of its own network.
fn is_domain(host: &str) -> bool {
    host.contains('.') && host.parse::<IpAddr>().is_err() && !host.ends_with(".local") && !host.ends_with(".lan")
}

/// Why an attempt's certificate is a box's, if anything says so.
fn reason(scene: &Scene<'_>, attempt: &Attempt<'_>, issuers: &Issuers<'_>) -> Option<Reason> {
    let (tls, known) = (&scene.rules.settings.tls, &scene.rules.authorities);
    let issuer = attempt.tls.issuer.as_deref()?;
    if known.is_public(issuer) {
        return None;
    }
    if let Some(product) = known.product(issuer) {
        let text = format!("the certificate is issued by `{issuer}`, as such boxes call themselves");
        return Some(Reason { confidence: tls.d_9, product: Some(product.to_owned()), text });
    }
    if let Some(usual) = issuers.usual.get(attempt.host) {
        let text = format!("the certificate is issued by `{issuer}`, and on another connection by `{usual}`");
        return Some(Reason { confidence: tls.two_issuers, product: None, text });
    }
    if let Some(stranger) = issuers.stranger(issuer) {
        let other = stranger.host.as_deref().unwrap_or_default();
        let text =
            format!("the certificate is issued by `{issuer}`, as that of {other} is, which is nobody's of the vendor");
        return Some(Reason { confidence: tls.unrelated, product: None, text });
    }
    // an authority that is taken elsewhere is the vendor's own, or one that this network has agreed on
    if !is_distrusted(attempt) || issuers.taken.contains(issuer) {
        return None;
    }
    let text = format!("the certificate is issued by `{issuer}`, and the client does not trust it");
    Some(Reason { confidence: tls.distrusted, product: None, text })
}

fn is_distrusted(attempt: &Attempt<'_>) -> bool {
    attempt.tls.alert.is_some_and(|(seen, by)| {
        let refuses =
            matches!(seen.description, alert::BAD_CERTIFICATE | alert::CERTIFICATE_UNKNOWN | alert::UNKNOWN_CA);
        refuses && by == Direction::Orig
    })
}

fn tell(scene: &Scene<'_>, issuer: &str, made: &[(&Attempt<'_>, Reason)]) -> Option<FindingRecord> {
    let (lead, _) = made.first()?;
    let (_, why) = made.iter().max_by(|(_, a), (_, b)| a.confidence.total_cmp(&b.confidence))?;
    let (case, last) = (lead.case, made.last().map_or(lead.case.last, |(attempt, _)| attempt.case.last));
    let rtt = case.tcp.as_ref().and_then(|tcp| tcp.rtt_min);
    let ttl = Some(case.ttl[1]).filter(|ttl| *ttl != 0);
    let middlebox =
        Middlebox { ttl, rtt, issuer: Some(issuer.to_owned()), product: why.product.clone(), ..Middlebox::default() };
    Some(
        Draft::new(scene.rules, RuleId::D9, case.first(), last)
            .lead(&case.identity)
            .flows(made.iter().map(|(attempt, _)| attempt.case.identity.flow_id))
            .host(lead.host)
            .base(why.confidence)
            .count(made.len() as u64)
            .middlebox(middlebox)
            .say(Place::Issuer, issuer)
            .evidence(why.text.clone(), Some(case.first_frame), Some(case.first()))
            .build(),
    )
}

/// In TLS 1.3 the certificate is hidden. A client that leaves by an alert about it, or by an encrypted one, each time,
/// where the server's packets come from next door and others' do not, has been shown one that it does not trust.
fn sealed(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let unseen = |attempt: &&Attempt<'_>| {
        attempt.is_refused_in_secret() || attempt.tls.version >= TLS13 && is_distrusted(attempt)
    };
    let refused: Vec<&Attempt<'_>> = attempts.iter().filter(unseen).collect();
    let lead = *refused.first()?;
    if super::is_served_later(attempts, lead.case) {
        return None;
    }
    let near = is_full_ttl(lead.case.ttl[1]) && !lead.case.inside[1];
    let farther = |client: IpAddr| {
        let out = scene.of_client(client).filter(|case| case.established && !case.inside[1]);
        out.into_iter().any(|case| case.ttl[1] != 0 && case.ttl[1] != lead.case.ttl[1])
    };
    let sure = near && farther(lead.case.orig.0) && refused.len() as f64 >= tls.alike_hosts;
    let seen = lead.tls.alert.map(|(alert, _)| alert.seen).or(lead.tls.flight.map(|flight| flight.asked))?;
    let text = "the client leaves by an alert, right behind the certificate";
    let mut draft =
        Draft::new(scene.rules, RuleId::D9, lead.case.first(), refused.last().map_or(lead.case.last, |a| a.case.last))
            .lead(&lead.case.identity)
            .flows(refused.iter().map(|attempt| attempt.case.identity.flow_id))
            .host(lead.host)
            .base(if sure { tls.sealed } else { tls.doubtful })
            .count(refused.len() as u64)
            .say(Place::Issuer, "an authority that the client does not trust")
            .evidence(text, Some(seen.frame), Some(seen.ts));
    if near {
        let text =
            format!("the server's packets have a time to live of {}: they come from next door", lead.case.ttl[1]);
        draft = draft.evidence(text, Some(lead.case.first_frame), Some(lead.case.first()));
    }
    Some(draft.build())
}
