//! D-8: the hello is swallowed on the way, or taken in and never answered.

use std::net::IpAddr;

use super::{Attempt, is_served_later};
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::RuleId;
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::Case;
use crate::event::FindingRecord;
use crate::time::{Timestamp, seconds};

/// What became of the hellos of one client to one name: those that were never acknowledged, or else those that were
/// acknowledged and never answered.
pub(super) fn detect(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    lost(scene, attempts).or_else(|| unanswered(scene, attempts))
}

impl Attempt<'_> {
    /// How often the ClientHello was sent again, where it was never acknowledged.
    fn repeated_in_vain(&self) -> Option<u16> {
        let tcp = self.case.tcp.as_ref().filter(|_| self.is_unanswered())?;
        let unacknowledged = tcp.unacknowledged[0].is_some_and(|bytes| bytes > 0);
        Some(tcp.trouble[0].repeated.times).filter(|times| *times > 0 && unacknowledged)
    }

    /// For how long the client waited for an answer to a hello that was acknowledged, in nanoseconds.
    fn waited_for(&self, scene: &Scene<'_>) -> Option<u64> {
        let tcp = self.case.tcp.as_ref().filter(|_| self.is_unanswered())?;
        // what the capture does not hold may have been the answer
        let whole = tcp.trouble.iter().all(|trouble| trouble.missed == 0) && !self.case.cut;
        let taken = tcp.unacknowledged == [Some(0); 2];
        (whole && taken).then(|| self.case.until(scene.cases.last).since(self.hello_at()))
    }
}

/// TLS connections of a client to other names than `host` that did what they are there for.
fn served_others<'a>(scene: &Scene<'a>, client: IpAddr, host: &str) -> impl Iterator<Item = &'a Case> {
    scene.served(client).filter(move |case| case.tls.is_some() && case.host.as_deref() != Some(host))
}

/// Whether the line was down: what once worked does no more, while nothing else passes.
fn is_down(scene: &Scene<'_>, attempts: &[Attempt<'_>], lead: &Attempt<'_>, last: Timestamp) -> bool {
    let worked = attempts.iter().any(|earlier| earlier.case.first() < lead.case.first() && earlier.case.is_served());
    let meanwhile = |case: &Case| case.first() <= last && case.last > lead.case.first();
    worked && !served_others(scene, lead.case.orig.0, lead.host).any(meanwhile)
}

/// A hello that is sent again and again, and never acknowledged.
fn lost(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let lost: Vec<(&Attempt<'_>, u16)> =
        attempts.iter().filter_map(|attempt| Some((attempt, attempt.repeated_in_vain()?))).collect();
    let (lead, most) =
        lost.iter().copied().max_by_key(|(attempt, times)| (*times, std::cmp::Reverse(attempt.case.first())))?;
    let (first, _) = *lost.first()?;
    let repeats: u64 = lost.iter().map(|(_, times)| u64::from(*times)).sum();
    if (repeats as f64) < tls.hello_tries || is_served_later(attempts, first.case) {
        return None;
    }
    let others = || served_others(scene, first.case.orig.0, first.host);
    let last = lost.last().map_or(first.case.last, |(attempt, _)| attempt.case.last);
    let repeated = lead.case.tcp.as_ref().map(|tcp| tcp.trouble[0].repeated).unwrap_or_default();
    let length = repeated.len;
    // a hello that fills a packet may be too long for the path, unless others as long have passed
    let passed = || others().any(|case| case.payload[0] >= u64::from(length));
    let long = f64::from(length) >= tls.hello_bytes && !passed();
    // once, or where a shorter rest of it arrives, it is more likely the path
    let path = long && (lost.len() == 1 || lost.iter().any(|(attempt, _)| attempt.case.is_heard_without_payload()));
    let down = is_down(scene, attempts, first, last);
    let text = format!(
        "the ClientHello of {length} bytes is sent {} times and never acknowledged",
        u64::from(most).saturating_add(1)
    );
    let draft = Draft::new(scene.rules, RuleId::D8, first.hello_at(), last)
        .lead(&first.case.identity)
        .flows(lost.iter().map(|(attempt, _)| attempt.case.identity.flow_id))
        .host(first.host)
        .count(lost.len() as u64)
        .at_most(if path || down { tls.doubtful } else { 1.0 })
        .evidence("the connection is accepted", Some(first.case.first_frame), Some(first.case.first()))
        .evidence(text, Some(repeated.frame), Some(repeated.first));
    Some(with_another(draft, others().next()).build())
}

fn with_another<'r>(draft: Draft<'r>, other: Option<&Case>) -> Draft<'r> {
    let Some(case) = other else { return draft };
    let text = format!("TLS to {} passes", case.host.as_deref().unwrap_or("another host"));
    draft.evidence(text, Some(case.first_frame), Some(case.first()))
}

/// A hello that is acknowledged, and nothing ever comes of it: who has taken it in will not go on, or cannot.
fn unanswered(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let (mut waits, mut tries): (Vec<(&Attempt<'_>, u64)>, Vec<u64>) = (Vec::new(), Vec::new());
    let least = nanos(tls.give_up_seconds);
    for attempt in attempts {
        let Some(waited) = attempt.waited_for(scene).filter(|waited| *waited >= least) else { continue };
        // what is asked side by side is one try
        let next = waits.last().is_none_or(|(before, _)| attempt.case.first() >= before.hello_at().after(least));
        if next {
            tries.push(waited);
        }
        waits.push((attempt, waited));
    }
    let (first, waited) = *waits.first()?;
    if is_served_later(attempts, first.case) {
        return None;
    }
    let long = tries.iter().filter(|waited| **waited >= nanos(tls.answer_seconds)).count();
    let often = tries.len() as f64 >= tls.give_ups;
    if long == 0 && !often {
        return None;
    }
    let last = waits.iter().map(|(attempt, _)| attempt.case.last).max().unwrap_or(first.case.last);
    let about = nanos(scene.rules.settings.reach.sibling_seconds);
    let then = |case: &&Case| case.first() <= last.after(about) && case.last.after(about) >= first.case.first();
    let other = served_others(scene, first.case.orig.0, first.host).find(then);
    let enough = (long as f64 >= tls.hellos_taken || often) && other.is_some();
    let sure = enough && !scene.is_leaky() && !is_down(scene, attempts, first, last);
    let text = format!("the ClientHello is acknowledged, and nothing comes in {:.0} s", seconds(waited));
    let draft = Draft::new(scene.rules, RuleId::D8, first.hello_at(), last)
        .lead(&first.case.identity)
        .flows(waits.iter().map(|(attempt, _)| attempt.case.identity.flow_id))
        .host(first.host)
        .count(waits.len() as u64)
        .at_most(if sure { 1.0 } else { tls.doubtful })
        .evidence("the connection is accepted", Some(first.case.first_frame), Some(first.case.first()))
        .evidence(text, Some(first.tls.hello_frame), Some(first.hello_at()));
    Some(with_another(draft, other).build())
}
