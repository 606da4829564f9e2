//! A box on the way says no (CF-7, CF-8, CF-11, D-33), or the proxy is none that the product can use (D-28, D-29).
//!
//! Most of it is to be read in the clear; `cut` is what shows within TLS as well. What the same client got through
//! later withdraws a refusal.

mod cut;
mod tunnel;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use super::draft::Draft;
use super::product;
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use super::stall::signs::signs;
use crate::classify::catalogue::ProductId;
use crate::engine::case::{Case, Direction, TurnCase};
use crate::engine::learnt::{Seen, turn};
use crate::event::{Class, FindingRecord, Manner};
use crate::time::{SECOND, Timestamp};

/// Statuses that refuse a request for what it is (RFC 9110 §15.5, RFC 7725); the last is only said on the way, by who
/// wants a login before anything passes (RFC 6585 §6).
const REFUSALS: [u16; 8] = [403, 405, 411, 413, 415, 451, 501, LOGIN_FIRST];
/// Statuses that a gateway gives for want of an answer, or who has waited for the rest of a request (RFC 9110 §15.6,
/// §15.5.9): some filters do so too.
const FAILURES: [u16; 4] = [408, 500, 502, 504];
/// Statuses that refuse a response for its content, or in the place of the server.
const CONTENT_REFUSALS: [u16; 4] = [403, 415, 451, LOGIN_FIRST];
const LOGIN_FIRST: u16 = 511;
/// The refusals that say what about a body is not taken (RFC 9110 §15.5.12, §15.5.14).
const LENGTH_REQUIRED: u16 = 411;
const TOO_LARGE: u16 = 413;
const EXPECTATION_FAILED: u16 = 417;
const PROXY_LOGIN: u16 = 407;

/// A request with its response, and the connection that carried it.
#[derive(Clone, Copy)]
struct Told<'c> {
    case: &'c Case,
    turn: &'c TurnCase,
}

impl Told<'_> {
    fn is(self, marks: u32) -> bool {
        self.turn.turn.marks & marks == marks
    }

    fn status(self) -> u16 {
        self.turn.turn.status
    }

    fn asked(self) -> Timestamp {
        self.turn.turn.asked.map_or(self.case.first(), |seen| seen.ts)
    }

    fn answered(self) -> Option<Seen> {
        self.turn.turn.answered
    }

    /// How long the response took, in nanoseconds.
    fn took(self) -> Option<u64> {
        self.answered().map(|seen| seen.ts.since(self.asked()))
    }

    fn is_success(self) -> bool {
        (200..300).contains(&self.status())
    }

    fn box_speaks(self) -> Option<&'static str> {
        if self.turn.via.is_some() {
            Some("with a Via field")
        } else if self.is(turn::PAGE) {
            Some("with a page")
        } else {
            None
        }
    }
}

/// What one client asked one host.
type Talks<'c> = BTreeMap<(IpAddr, &'c str), Vec<Told<'c>>>;

/// All refusals of a capture.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let cuts = cut::detect(scene);
    let claims = cuts.iter().filter(|finding| finding.is_claim());
    let told: HashSet<(IpAddr, &str)> = claims.filter_map(|f| Some((f.src_ip?, f.host.as_deref()?))).collect();
    let sealed = Sealed::new();
    let mut findings = tunnel::detect(scene);
    for (client, talk) in &talks(scene) {
        let cut = || cut_upload(scene, talk).filter(|_| !told.contains(client));
        findings.extend(refused_upload(scene, &sealed, *client, talk).or_else(cut));
        findings.extend(refused_expectation(scene, talk));
        findings.extend(refused_content(scene, talk));
    }
    findings.extend(proxies(scene));
    findings.extend(cuts);
    findings
}

/// What was asked of the relay in the clear, and of other hosts of the vendor where a box's own words are the answer.
fn talks<'c>(scene: &Scene<'c>) -> Talks<'c> {
    let mut talks = Talks::new();
    for case in scene.core().filter(|case| !case.one_sided) {
        let (Some(http), Some(host)) = (&case.http, &case.host) else { continue };
        for turn in &http.turns {
            let told = Told { case, turn };
            if case.class == Class::Relay || told.box_speaks().is_some() {
                talks.entry((case.orig.0, host.as_str())).or_default().push(told);
            }
        }
    }
    talks
}

/// Whether two requests are of one kind, so that what one got the other could have got.
fn alike(a: Told<'_>, b: Told<'_>) -> bool {
    let kind = turn::POST | turn::SENDS_MESSAGE;
    (a.turn.turn.marks ^ b.turn.turn.marks) & kind == 0
}

/// Whether an upload went through, or is under way for longer than those that were refused.
fn went_through(scene: &Scene<'_>, told: Told<'_>, refused: &[Told<'_>]) -> bool {
    let most = refused.iter().map(|other| other.case.payload[0]).max().unwrap_or(0);
    let goes_on = told.status() == 0
        && told.case.last.since(told.asked()) >= nanos(scene.rules.settings.path.full_seconds)
        && told.case.payload[0] > most.saturating_mul(2);
    told.is_success() || goes_on
}

/// Whether the refusals carry the same `Server` as what the host itself answered, and nothing speaks for a box.
fn from_the_host(refused: &[Told<'_>], talk: &[Told<'_>]) -> bool {
    let own = talk.iter().filter(|told| told.is_success()).find_map(|told| told.turn.server.as_deref());
    own.is_some() && refused.iter().all(|told| told.turn.via.is_none() && told.turn.server.as_deref() == own)
}

/// Who spoke TLS with which host, both ways.
type Sealed<'c> = OnceCell<HashSet<(IpAddr, &'c str)>>;

/// Whether anything else passed between that client and that host.
fn others_pass<'c>(
    scene: &Scene<'c>,
    sealed: &Sealed<'c>,
    (client, host): (IpAddr, &'c str),
    talk: &[Told<'_>],
) -> bool {
    let reads = talk.iter().filter(|told| !told.is(turn::POST) && (200..400).contains(&told.status())).count();
    let sealed = || {
        sealed.get_or_init(|| {
            let spoke = |case: &&Case| case.tls.is_some() && case.payload.iter().all(|n| *n > 0);
            let named = scene.cases.flows.iter().filter(spoke);
            named.filter_map(|case| Some((case.orig.0, case.host.as_deref()?))).collect()
        })
    };
    reads as f64 >= scene.rules.settings.refused.gets || sealed().contains(&(client, host))
}

/// CF-7 and D-33: a POST is answered with an error.
fn refused_upload<'c>(
    scene: &Scene<'c>,
    sealed: &Sealed<'c>,
    client: (IpAddr, &'c str),
    talk: &[Told<'_>],
) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let quick = |told: Told<'_>| told.took().is_some_and(|took| took <= nanos(settings.refusal_seconds));
    // whoever did not ask whether to go on is told that as a refusal
    let unasked = |told: Told<'_>| told.status() == EXPECTATION_FAILED && !told.is(turn::EXPECTS);
    let firm = |told: Told<'_>| REFUSALS.contains(&told.status()) || unasked(told);
    // a box that fails says so at once, or with a page that it signs; the relay waits for somebody else
    let signs_page = |told: Told<'_>| told.turn.via.is_some() && told.is(turn::PAGE);
    let soft = |told: Told<'_>| FAILURES.contains(&told.status()) && (quick(told) || signs_page(told));
    let uploads = talk
        .iter()
        .copied()
        .filter(|told| told.is(turn::POST | turn::SENDS_BODY) || told.is(turn::POST | turn::SENDS_MESSAGE));
    let refused: Vec<Told<'_>> = uploads.clone().filter(|told| firm(*told) || soft(*told)).collect();
    let (first, last) = (*refused.first()?, *refused.last()?);
    let passed: Vec<Told<'_>> =
        uploads.filter(|told| alike(*told, first) && went_through(scene, *told, &refused)).collect();
    if passed.iter().any(|told| told.asked() > last.asked()) {
        return None;
    }
    let signed = refused.iter().any(|told| told.turn.via.is_some());
    let rule = if signed { RuleId::D33 } else { RuleId::Cf7 };
    let mut draft = Draft::new(scene.rules, rule, first.asked(), last.answered().map_or(last.asked(), |seen| seen.ts))
        .about(first.case)
        .flows(refused.iter().map(|told| told.case.identity.flow_id))
        .count(refused.len() as u64)
        .middlebox(signs(scene, first.case).middlebox)
        .manner(manner_of(first.status()))
        .say(Place::Status, first.status());
    if !others_pass(scene, sealed, client, talk) {
        draft = draft.adjust(-settings.nothing_passes);
    }
    if !passed.is_empty() || from_the_host(&refused, talk) {
        draft = draft.adjust(-settings.from_the_host);
    }
    if !refused.iter().any(|told| firm(*told)) && refused.len() < 2 {
        draft = draft.at_most(settings.sealed);
    }
    Some(with_evidence(draft.vantage(scene.vantage(first.case)), "POST", &refused).build())
}

/// What a status says of why an upload is not taken.
const fn manner_of(status: u16) -> Option<Manner> {
    match status {
        TOO_LARGE => Some(Manner::TooLarge),
        LENGTH_REQUIRED => Some(Manner::NoLength),
        408 | 500..=504 => Some(Manner::Fails),
        _ => None,
    }
}

fn with_evidence<'r>(mut draft: Draft<'r>, what: &str, told: &[Told<'_>]) -> Draft<'r> {
    for told in told {
        let Some(seen) = told.answered() else { continue };
        let by = told.box_speaks().map(|how| format!(", {how}")).unwrap_or_default();
        let text = format!("{what} is answered with {}{by}", told.status());
        draft = draft.evidence(text, Some(seen.frame), Some(seen.ts));
    }
    draft
}

/// CF-7 where the refusal itself is not to be read: a box next door resets an upload that has hardly begun.
fn cut_upload(scene: &Scene<'_>, talk: &[Told<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let cut = |told: Told<'_>| {
        let reset = told.case.tcp.as_ref()?.reset.filter(|reset| reset.by == Direction::Resp)?;
        let soon = reset.seen.ts.since(told.asked()) <= nanos(settings.cut_seconds);
        let upload = told.is(turn::POST | turn::SENDS_MESSAGE) && told.case.payload[0] as f64 >= settings.upload_bytes;
        (told.status() == 0 && soon && upload).then_some(reset)
    };
    let (told, reset) = talk.iter().find_map(|told| Some((*told, cut(*told)?)))?;
    let signs = signs(scene, told.case);
    let next_door = signs.middlebox.rtt.is_some() && signs.middlebox.ttl.is_some();
    if !next_door || talk.iter().any(|other| alike(*other, told) && went_through(scene, *other, &[told])) {
        return None;
    }
    let draft = Draft::new(scene.rules, RuleId::Cf7, told.asked(), reset.seen.ts)
        .about(told.case)
        .middlebox(signs.middlebox.clone())
        .manner(Manner::CutOff)
        .say(Place::Status, "reset")
        .adjust(-settings.reset_only)
        .evidence("the upload is reset before it is answered", Some(reset.seen.frame), Some(reset.seen.ts));
    Some(signs.tell(draft).vantage(scene.vantage(told.case)).build())
}

/// How long a client that has sent a head with `Expect` sends nothing more, in nanoseconds, and whether it then did.
fn waits(scene: &Scene<'_>, told: Told<'_>) -> (u64, bool) {
    let bursts = told.case.tcp.as_ref().map(|tcp| &tcp.bursts[0]);
    let mut bursts = bursts.into_iter().flatten();
    let asked = told.asked();
    let moved_on = asked.after(SECOND / 10);
    if bursts.clone().any(|burst| burst.start <= asked && burst.end > moved_on) {
        return (0, true);
    }
    let ended = told.case.is_over();
    match bursts.find(|burst| burst.start > moved_on) {
        Some(next) => (next.start.since(asked), true),
        None => (if ended { told.case.last } else { scene.cases.last }.since(asked), false),
    }
}

/// CF-8: `Expect: 100-continue` is refused, or nobody answers it and the body is never sent.
fn refused_expectation(scene: &Scene<'_>, talk: &[Told<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let asks = talk.iter().copied().filter(|told| told.is(turn::POST | turn::EXPECTS));
    let patience = nanos(settings.continue_seconds).saturating_mul(3);
    let ignored = |told: Told<'_>| {
        !told.is(turn::CONTINUED) && told.status() == 0 && told.turn.turn.asked.is_some() && {
            let (waited, then) = waits(scene, told);
            waited >= if then { nanos(settings.late_seconds) } else { patience }
        }
    };
    let failed: Vec<Told<'_>> = asks.filter(|told| told.status() == EXPECTATION_FAILED || ignored(*told)).collect();
    let (first, last) = (*failed.first()?, *failed.last()?);
    let later =
        |told: &Told<'_>| told.asked() > last.asked() && alike(*told, first) && went_through(scene, *told, &failed);
    if talk.iter().any(later) {
        return None;
    }
    let said = failed.iter().filter(|told| told.status() == EXPECTATION_FAILED).count();
    let mut draft =
        Draft::new(scene.rules, RuleId::Cf8, first.asked(), last.answered().map_or(last.case.last, |seen| seen.ts))
            .about(first.case)
            .flows(failed.iter().map(|told| told.case.identity.flow_id))
            .count(failed.len() as u64);
    draft = match (said, failed.len()) {
        (0, 1) => draft,
        (0, _) => draft.adjust(settings.ignored_again),
        _ => draft.adjust(settings.expectation_failed),
    };
    for told in failed.iter().filter(|told| told.status() != EXPECTATION_FAILED) {
        let frame = told.turn.turn.asked.map(|seen| seen.frame);
        draft = draft.evidence("the client asks whether to go on, and gets no answer", frame, Some(told.asked()));
    }
    Some(with_evidence(draft.vantage(scene.vantage(first.case)), "the expectation", &failed).build())
}

/// CF-11: a view is answered with a refusal, and a box speaks.
fn refused_content(scene: &Scene<'_>, talk: &[Told<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let reads = || talk.iter().copied().filter(|told| told.case.class == Class::Relay && told.is(turn::GET));
    let refused: Vec<Told<'_>> = reads().filter(|told| CONTENT_REFUSALS.contains(&told.status())).collect();
    let (first, last) = (*refused.first()?, *refused.last()?);
    let (begun, ended) = (first.answered()?, last.answered()?);
    // 415 is about a request's body: to one that has none no server says it
    let firm = refused.iter().any(|told| matches!(told.status(), 415 | LOGIN_FIRST) || told.box_speaks().is_some());
    let shown = reads().any(|told| told.is_success() && (told.is(turn::MESSAGE) || told.is(turn::MEDIA)));
    let passed = reads().filter(|told| told.is_success()).count();
    let mut draft = Draft::new(scene.rules, RuleId::Cf11, begun.ts, ended.ts)
        .about(first.case)
        .flows(refused.iter().map(|told| told.case.identity.flow_id))
        .count(refused.len() as u64)
        .middlebox(signs(scene, first.case).middlebox)
        .say(Place::Status, first.status());
    if (passed as f64) < settings.gets {
        draft = draft.adjust(-settings.nothing_read);
    }
    if from_the_host(&refused, talk) {
        draft = draft.adjust(-settings.content_from_the_host);
    }
    if shown || !firm {
        draft = draft.at_most(settings.sealed);
    }
    Some(with_evidence(draft.vantage(scene.vantage(first.case)), "GET", &refused).build())
}

/// What clients asked of a proxy, for hosts of the vendor, by client and proxy.
fn proxies(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut asked: BTreeMap<(IpAddr, IpAddr), Vec<Told<'_>>> = BTreeMap::new();
    for case in scene.core().filter(|case| !case.one_sided) {
        for turn in case.http.iter().flat_map(|http| &http.turns) {
            let told = Told { case, turn };
            if told.is(turn::PROXIED) || told.is(turn::CONNECT) || told.status() == PROXY_LOGIN {
                asked.entry((case.orig.0, case.resp.0)).or_default().push(told);
            }
        }
    }
    let (mut findings, product) = (Vec::new(), OnceCell::new());
    for talk in asked.values() {
        findings.extend(wants_login(scene, &product, talk));
        findings.extend(is_old(scene, talk));
    }
    findings
}

/// The ways to log in that a proxy names, and whether a product may know one of them.
fn methods(marks: u32) -> (Vec<&'static str>, bool) {
    const WAYS: [(u32, &str, bool); 5] = [
        (turn::ASKS_BASIC, "Basic", true),
        (turn::ASKS_DIGEST, "Digest", true),
        (turn::ASKS_NTLM, "NTLM", false),
        (turn::ASKS_NEGOTIATE, "Negotiate", false),
        (turn::ASKS_OTHER, "another method", false),
    ];
    let named = || WAYS.iter().filter(|(mark, ..)| marks & mark != 0);
    (named().map(|(_, name, _)| *name).collect(), named().any(|(.., known)| *known))
}

/// D-28: the proxy wants a login that the product has not.
fn wants_login(scene: &Scene<'_>, product: &OnceCell<Option<ProductId>>, talk: &[Told<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let refused: Vec<Told<'_>> = talk.iter().copied().filter(|told| told.status() == PROXY_LOGIN).collect();
    let (first, last) = (*refused.first()?, *refused.last()?);
    let let_through = |told: &Told<'_>| {
        told.status() != PROXY_LOGIN
            && told.status() != 0
            && told.asked() > first.asked()
            && told.case.host == first.case.host
    };
    if talk.iter().any(let_through) {
        return None;
    }
    let seen = last.answered()?;
    let (names, known) = methods(refused.iter().fold(0, |marks, told| marks | told.turn.turn.marks));
    let told = || *product.get_or_init(|| product::told(scene));
    let method = if names.is_empty() { "unknown method".to_owned() } else { names.join(", ") };
    let mut draft = Draft::new(scene.rules, RuleId::D28, first.asked(), seen.ts)
        .about(first.case)
        .flows(refused.iter().map(|told| told.case.identity.flow_id))
        .count(refused.len() as u64)
        .manner((known && told() != Some(ProductId::Ows)).then_some(Manner::LoginKnown))
        .say(Place::Method, method);
    draft = match scene.base.site.product {
        Some(ProductId::Contera) if known => draft.adjust(-settings.known_by_contera),
        None if known => draft.adjust(-settings.known_perhaps),
        _ => draft,
    };
    // a first 407 is how a login begins
    let time_left = scene.cases.last.since(seen.ts) >= 2 * SECOND;
    if refused.len() == 1 && !time_left {
        draft = draft.at_most(settings.sealed);
    }
    Some(with_evidence(draft, "the request", &refused).build())
}

/// D-29: the proxy answers in an old version, or closes each tunnel.
fn is_old(scene: &Scene<'_>, talk: &[Told<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let opened: Vec<Told<'_>> =
        talk.iter().copied().filter(|told| told.is(turn::CONNECT) && told.is_success()).collect();
    let (first, last) = (*opened.first()?, *opened.last()?);
    let old = opened.iter().all(|told| told.is(turn::OLD));
    let closes = opened.iter().all(|told| told.is(turn::CLOSES)) && opened.len() as f64 >= settings.closes;
    if !old && !closes {
        return None;
    }
    let (begun, ended) = (first.answered()?, last.answered()?);
    let streams = |told: &Told<'_>| told.case.tcp.as_ref().is_some_and(|tcp| tcp.video_windows.iter().any(|n| *n > 1));
    // what it is said to hinder has run through it
    if opened.iter().any(streams) {
        return None;
    }
    let draft = Draft::new(scene.rules, RuleId::D29, begun.ts, ended.ts)
        .lead(&first.case.identity)
        .flows(opened.iter().map(|told| told.case.identity.flow_id))
        .count(opened.len() as u64);
    let text = match (old, closes) {
        (true, true) => "CONNECT is answered in HTTP/1.0, with Connection: close",
        (true, false) => "CONNECT is answered in HTTP/1.0",
        _ => "each CONNECT is answered with Connection: close",
    };
    Some(draft.evidence(text, Some(begun.frame), Some(begun.ts)).build())
}

#[cfg(test)]
mod tests;
