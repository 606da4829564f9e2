//! An attempt in words: its steps in the order in which the vendor's software goes about them, and the story of it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Attempt;
use super::flow::{Cited, Side, Stream, Trial, mean_rate};
use crate::classify::catalogue::ProductId;
use crate::diagnose::bandwidth::nearest;
use crate::diagnose::p2p::{Mappings, Told, is_symmetric, mappings, vendor_stun};
use crate::diagnose::product;
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::settings::P2p;
use crate::engine::case::Case;
use crate::event::{FindingRecord, Kind, LIST_MAX, Method, SessionRecord, SessionStep, StepOutcome};
use crate::text::units::{BitRate, Counted};
use crate::time::Timestamp;

/// How many of a host's last questions to STUN are looked at.
const LATEST: usize = 64;

/// Puts attempts into words.
pub struct Teller<'a> {
    scene: &'a Scene<'a>,
    cited: &'a Cited<'a>,
    mappings: Mappings<'a>,
    /// What each host asked the vendor's STUN server, in the order of asking.
    asked: BTreeMap<IpAddr, Vec<&'a Case>>,
    product: OnceCell<ProductId>,
}

/// What carried an attempt's video.
struct Carried {
    path: Method,
    bit_rate: Option<f64>,
}

impl<'a> Teller<'a> {
    pub fn new(scene: &'a Scene<'a>, cited: &'a Cited<'a>) -> Self {
        let mut asked: BTreeMap<IpAddr, Vec<&Case>> = BTreeMap::new();
        for case in vendor_stun(scene) {
            asked.entry(case.orig.0).or_default().push(case);
        }
        Teller { scene, cited, mappings: mappings(scene), asked, product: OnceCell::new() }
    }

    /// The record of an attempt.
    pub fn session(&self, attempt: &Attempt<'_>) -> SessionRecord {
        let steps = self.steps(attempt);
        let carried = carried(attempt, self.scene.rules.settings.views.rate_seconds);
        let bit_rate = carried.as_ref().and_then(|carried| carried.bit_rate);
        let product = || *self.product.get_or_init(|| product::told(self.scene).unwrap_or(product::ASSUMED));
        let table = bit_rate.and_then(|rate| nearest(self.scene, product(), rate));
        let (own, peer) = (Some(attempt.own), attempt.other.or(attempt.peer));
        let (client, recorder) = if attempt.side == Side::Client { (own, peer) } else { (peer, own) };
        let mut record = SessionRecord {
            event_type: "session",
            client,
            recorder,
            start: attempt.first,
            end: attempt.last,
            path: carried.map(|carried| carried.path),
            steps,
            bit_rate,
            table,
            unseen: false,
            story: String::new(),
            finding_ids: self.findings(attempt),
            interim: false,
        };
        let unseen = self.unseen(attempt, record.path);
        record.unseen = unseen.is_some();
        record.story = story(&record, unseen);
        record
    }

    /// What capture would tell whether video that only its recorder's side shows arrives: an upload that a box takes in
    /// and keeps looks like a healthy one from there.
    fn unseen(&self, attempt: &Attempt<'_>, path: Option<Method>) -> Option<&'static str> {
        let one_end = attempt.side == Side::Recorder && attempt.other.is_none() && path == Some(Method::Relay);
        let held = || attempt.worked().any(|trial| trial.finding.is_some_and(|f| f.kind == Kind::ContentFilterStall));
        (one_end && !held()).then(|| match self.scene.base.site.inside(attempt.own) {
            true => "a capture outside the site's firewall at the same time, or one at the viewer",
            false => "a capture at the viewer",
        })
    }

    /// The findings that an attempt's flows are cited by.
    fn findings(&self, attempt: &Attempt<'_>) -> Vec<String> {
        let mut ids: Vec<String> = attempt.lost.iter().map(|finding| finding.id.clone()).collect();
        let flows = attempt.trials.iter().map(|trial| trial.case.identity.flow_id);
        for finding in flows.flat_map(|flow| self.cited.of(flow)) {
            if ids.len() < LIST_MAX && !ids.contains(&finding.id) {
                ids.push(finding.id.clone());
            }
        }
        ids
    }

    /// The ways up to the last that was tried, in the vendor's order.
    fn steps(&self, attempt: &Attempt<'_>) -> Vec<SessionStep> {
        let tried = |method: &Method| attempt.trials.iter().any(|trial| trial.method == *method);
        let lost = (!attempt.lost.is_empty()).then_some(Method::Relay);
        let Some(last) = Method::ALL.iter().copied().filter(tried).chain(lost).max() else { return Vec::new() };
        Method::ALL.iter().copied().filter(|method| *method <= last).map(|method| self.step(attempt, method)).collect()
    }

    fn step(&self, attempt: &Attempt<'_>, method: Method) -> SessionStep {
        let trials: Vec<&Trial<'_>> = attempt.trials.iter().filter(|trial| trial.method == method).collect();
        let lost: &[&FindingRecord] = if method == Method::Relay { &attempt.lost } else { &[] };
        let outcome = outcome(&trials, !lost.is_empty());
        let twins = attempt.twins.iter().filter(|(of, _)| *of == method).map(|(_, flow)| *flow);
        let flows = trials.iter().map(|trial| trial.case.identity.flow_id).chain(twins);
        let mut flow_ids: Vec<u64> = flows.chain(lost.iter().flat_map(|f| f.flow_ids.iter().copied())).collect();
        let omitted = lost.iter().map(|finding| finding.flow_ids_omitted).fold(0, u64::saturating_add);
        let flow_ids_omitted = omitted.saturating_add(flow_ids.len().saturating_sub(LIST_MAX) as u64);
        flow_ids.truncate(LIST_MAX);
        let firsts = trials.iter().map(|trial| trial.case.first()).chain(lost.iter().map(|f| f.first));
        let lasts = trials.iter().map(|trial| trial.case.last).chain(lost.iter().map(|f| f.last));
        let (start, end) = (firsts.min(), lasts.max());
        let (outcome, reason) = match (method, outcome) {
            (Method::P2p, None) => self.no_checks(attempt),
            (_, None) => (StepOutcome::NotTried, self.not_tried(attempt, method)),
            (Method::P2p, Some(outcome)) => (outcome, self.checks(attempt, &trials, outcome)),
            (_, Some(outcome)) => (outcome, self.why(&trials, lost, outcome)),
        };
        SessionStep { method, outcome, reason, flow_ids, flow_ids_omitted, start, end }
    }

    /// A finding in a few words, and its rule.
    fn phrase(&self, finding: &FindingRecord) -> String {
        let perhaps = if finding.is_claim() { "" } else { "perhaps " };
        format!("{perhaps}{} ({})", self.scene.rules.phrase(finding), finding.rule)
    }

    /// Why a step of connections came out as it did.
    fn why(&self, trials: &[&Trial<'_>], lost: &[&FindingRecord], outcome: StepOutcome) -> String {
        let of = |wanted: StepOutcome| trials.iter().filter(move |trial| trial.outcome == wanted);
        let said = |trial: &&&Trial<'_>| trial.finding.map(|f| self.phrase(f)).or_else(|| trial.note.clone());
        if outcome != StepOutcome::Worked {
            let reason = of(outcome).find_map(|trial| said(&trial));
            let unresolved = || lost.first().map(|finding| self.phrase(finding));
            let silent = || "the capture does not tell".to_owned();
            return reason.or_else(unresolved).unwrap_or_else(silent);
        }
        let badly = of(StepOutcome::Worked).filter_map(|trial| trial.finding).next().map(|f| self.phrase(f));
        let failed = of(StepOutcome::Failed).count();
        let before = (failed > 0).then(|| {
            let why = of(StepOutcome::Failed).find_map(|trial| said(&trial)).unwrap_or_default();
            format!("{} failed: {why}", Counted(failed as u64, "connection"))
        });
        let turn = trials.iter().any(|trial| trial.case.subs.has(crate::classify::words::Sub::Turn));
        let turn = turn.then(|| "through a TURN server".to_owned());
        turn.into_iter().chain(badly).chain(before).collect::<Vec<_>>().join("; ")
    }

    /// What STUN and checks came to.
    fn checks(&self, attempt: &Attempt<'_>, trials: &[&Trial<'_>], outcome: StepOutcome) -> String {
        let mut parts = Vec::new();
        let socket = |trial: &&Trial<'_>| match trial.case.orig.0 == attempt.own {
            true => trial.case.orig,
            false => trial.case.resp,
        };
        let told = trials.iter().find_map(|trial| self.mappings.get(&socket(trial)));
        let asked = trials.first().map_or(attempt.first, |trial| trial.case.first());
        parts.extend(told.map(|told| mapping(told, &self.scene.rules.settings.p2p)).or_else(|| {
            let silent = self.stun(attempt.own, asked).filter(|silent| !silent || !self.scene.is_one_sided())?;
            Some(if silent { "STUN is not answered" } else { "STUN answers" }.to_owned())
        }));
        let (mut sent, mut answered, mut received) = (0u64, 0u64, 0u64);
        for trial in trials {
            let Some(stun) = &trial.case.stun else { continue };
            let own = usize::from(trial.case.orig.0 != attempt.own);
            let peer = usize::from(own == 0);
            let add = |sum: &mut u64, pair: [u32; 2], side: usize| {
                *sum = sum.saturating_add(u64::from(pair.get(side).copied().unwrap_or(0)));
            };
            add(&mut sent, stun.requests, own);
            add(&mut answered, stun.success, peer);
            add(&mut received, stun.requests, peer);
        }
        if sent > 0 || received > 0 {
            parts.push(format!("{} out, {answered} answered, {received} in", Counted(sent, "check")));
        }
        if sent > 0 && answered == 0 && received == 0 && self.scene.is_one_sided() {
            parts.push("the mirror shows one direction only".to_owned());
        }
        let finding = trials.iter().filter_map(|trial| trial.finding).max_by_key(|f| (f.is_claim(), f.kind));
        let symmetric = |f: &&FindingRecord| f.kind == Kind::SymmetricNat;
        if outcome != StepOutcome::Worked {
            let others = trials.iter().flat_map(|trial| self.cited.of(trial.case.identity.flow_id)).copied();
            parts.extend(finding.or_else(|| others.into_iter().find(symmetric)).map(|f| self.phrase(f)));
        } else if let Some(broke) = finding.filter(|f| f.kind == Kind::P2pFallback) {
            parts.push(self.phrase(broke));
        }
        parts.join("; ")
    }

    /// Whether the vendor's STUN server left a host's questions before that moment without an answer; none, if there
    /// were no questions.
    fn stun(&self, own: IpAddr, before: Timestamp) -> Option<bool> {
        let limit = nanos(self.scene.rules.settings.views.stun_seconds);
        let asked = self.asked.get(&own)?;
        let until = asked.partition_point(|case| case.first() <= before.after(limit));
        let latest = asked.get(until.saturating_sub(LATEST)..until).unwrap_or_default();
        let mut near = latest.iter().filter(|case| before.since(case.last) <= limit).peekable();
        near.peek()?;
        Some(near.all(|case| case.pkts[1] == 0))
    }

    /// Peer-to-peer without a check: STUN may say why.
    fn no_checks(&self, attempt: &Attempt<'_>) -> (StepOutcome, String) {
        match self.stun(attempt.own, attempt.first) {
            Some(true) if self.scene.is_one_sided() => {
                (StepOutcome::Unclear, "STUN was asked; the mirror shows one direction, and no answers".to_owned())
            }
            Some(true) => (StepOutcome::Failed, "STUN is not answered, so no peer was tried".to_owned()),
            Some(false) => (StepOutcome::NotTried, "STUN answers, and no check to a peer was seen".to_owned()),
            None => (StepOutcome::NotTried, "no STUN and no check to a peer was seen".to_owned()),
        }
    }

    fn not_tried(&self, attempt: &Attempt<'_>, method: Method) -> String {
        let missed = attempt.trials.iter().flat_map(|trial| self.cited.of(trial.case.identity.flow_id));
        let missed = missed.copied().find(|f| f.kind == Kind::LsfMissed);
        match (method, missed, attempt.side) {
            (Method::Lsf, Some(finding), _) => self.phrase(finding),
            (Method::Lsf, None, Side::Client) => "no connection to a local address was seen".to_owned(),
            (Method::Lsf, None, Side::Recorder) => "no client of this site came to the recorder".to_owned(),
            _ => "no connection to a forwarded port was seen".to_owned(),
        }
    }
}

/// What became of a way; nothing, if it was not tried.
fn outcome(trials: &[&Trial<'_>], lost: bool) -> Option<StepOutcome> {
    let any = |wanted: StepOutcome| trials.iter().any(|trial| trial.outcome == wanted);
    match () {
        () if any(StepOutcome::Worked) => Some(StepOutcome::Worked),
        () if lost || any(StepOutcome::Failed) => Some(StepOutcome::Failed),
        () if trials.is_empty() => None,
        () => Some(StepOutcome::Unclear),
    }
}

/// What a socket is called outside, and whether every peer calls it so.
fn mapping(told: &[Told<'_>], settings: &P2p) -> String {
    let mut peers: Vec<(IpAddr, u16)> = told.iter().map(|told| told.by).collect();
    peers.sort_unstable();
    peers.dedup();
    let seen = told.first().map(|told| told.mapped.to_string()).unwrap_or_default();
    match peers.len() {
        _ if is_symmetric(told, settings) => "each peer sees another port outside".to_owned(),
        1 => format!("seen from outside as {seen}"),
        _ if told.iter().any(|other| Some(other.mapped) != told.first().map(|told| told.mapped)) => {
            format!("seen from outside as {seen} at first, as another later")
        }
        _ => format!("seen from outside as {seen}, the same by every peer"),
    }
}

/// The way by which video came, the last of several, and its rate then, if it ran for so many seconds.
fn carried(attempt: &Attempt<'_>, least: f64) -> Option<Carried> {
    let path = attempt.worked().max_by_key(|trial| trial.case.first())?.method;
    let streams = attempt.worked().filter(|trial| trial.method == path).filter_map(|trial| trial.rated);
    Some(Carried { path, bit_rate: bit_rate(streams.collect(), least) })
}

/// The rate of streams together: their bytes over the time in which any of them ran.
fn bit_rate(mut streams: Vec<Stream>, least: f64) -> Option<f64> {
    streams.sort_unstable_by_key(|stream| stream.first);
    let (mut ran, mut until) = (0u64, Timestamp::default());
    for stream in &streams {
        ran = ran.saturating_add(stream.last.since(stream.first.max(until)));
        until = until.max(stream.last);
    }
    let bytes = streams.iter().map(|stream| stream.bytes).fold(0u64, u64::saturating_add);
    mean_rate(bytes, ran, least)
}

/// What a way is called in a sentence.
const fn by(method: Method) -> &'static str {
    match method {
        Method::Direct => "straight from the recorder (Direct Connect)",
        Method::Lsf => "over the local network (LSF)",
        Method::P2p => "from peer to peer",
        Method::Relay => "by the relay",
    }
}

/// The story of an attempt: how video came, and where it left the shortest way. `unseen`: what capture would tell
/// whether it arrives, where this one does not.
fn story(record: &SessionRecord, unseen: Option<&str>) -> String {
    let failed = record.steps.iter().find(|step| step.outcome == StepOutcome::Failed);
    let why = |step: &SessionStep| format!("{} failed: {}", step.method.text(), step.reason);
    let Some(path) = record.path else {
        let unclear = record.steps.iter().rfind(|step| step.outcome == StepOutcome::Unclear);
        return match (failed, unclear) {
            (Some(step), _) => format!("No video came: {}.", why(step)),
            (None, Some(step)) => format!("No video was seen: {}: {}.", step.method.text(), step.reason),
            (None, None) => "No video was seen.".to_owned(),
        };
    };
    let mut story = match unseen {
        None => format!("Video came {}", by(path)),
        Some(_) => "Video went up to the relay".to_owned(),
    };
    if let Some(rate) = record.bit_rate {
        story.push_str(&format!(" at {}", BitRate(rate)));
    }
    if let Some(row) = &record.table {
        story.push_str(&format!(" (nearest in the vendor's table: {}, {})", row.what(), BitRate(row.bit_rate)));
    }
    let broke = record.steps.iter().find(|step| step.outcome == StepOutcome::Worked && step.method != path);
    match (failed, broke) {
        (Some(step), _) => story.push_str(&format!("; {}", why(step))),
        (None, Some(step)) => story.push_str(&format!("; before, it came {}: {}", by(step.method), step.reason)),
        (None, None) => {}
    }
    story.push('.');
    if let Some(capture) = unseen {
        story.push_str(&format!(" Whether it arrives cannot be told from here: {capture} would tell."));
    }
    story
}
