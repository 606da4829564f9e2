//! D-11: a client whose clock is wrong, by its NTP requests, by what it says of certificates, and by the dates it
//! writes.
//!
//! The `Date` of a server out there is set against the clock of the capture only: it tells how far to trust that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::draft::Draft;
use super::super::rules::{Place, RuleId};
use super::super::scene::Scene;
use super::{Attempt, Attempts};
use crate::engine::case::{Case, Direction};
use crate::engine::learnt::AlertSeen;
use crate::event::FindingRecord;
use crate::text::units::Span;
use crate::time::SECOND;

/// `certificate_expired` (RFC 8446 §6.2).
const EXPIRED: u8 = 45;
/// Steps of time zones, in seconds: a device that writes its local time for UTC is off by so much, its clock right.
const ZONE: i64 = 900;
/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// Clients whose clocks are wrong.
pub(super) fn detect(scene: &Scene<'_>, attempts: &Attempts<'_>) -> Vec<FindingRecord> {
    let mut found: Vec<FindingRecord> =
        attempts.values().flatten().filter_map(|attempt| by_certificate(scene, attempt)).collect();
    found.extend(by_dates(scene));
    found.extend(scene.system().iter().filter_map(|client| by_requests(scene, *client)));
    found
}

/// What a client's requests for the time say that it is, set against the servers' replies or the capture's clock.
fn by_requests(scene: &Scene<'_>, client: IpAddr) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let capture = scene.cases.skew();
    let skew = |case: &Case| {
        let ntp = case.ntp?;
        let right = ntp.server_ahead.map(|nanos| nanos / NANOS).or(capture).unwrap_or(0);
        Some((ntp.client_ahead? / NANOS).saturating_sub(right))
    };
    let told: Vec<(&Case, i64)> = scene.of_client(client).filter_map(|case| Some((case, skew(case)?))).collect();
    let (lead, seconds) = *told.first()?;
    let far = |seconds: i64| seconds.unsigned_abs() as f64;
    // a clock that is right in the end has been set
    if told.iter().any(|(_, seconds)| far(*seconds) < tls.skew_seconds) {
        return None;
    }
    let agreed = told.iter().skip(1).any(|(_, other)| far(other.saturating_sub(seconds)) < tls.skew_seconds);
    let random = far(seconds) > tls.skew_plausible_seconds && !agreed;
    let checked = lead.ntp.is_some_and(|ntp| ntp.server_ahead.is_some());
    let against = if checked { "the server's reply" } else { "the capture's clock" };
    let way = if seconds < 0 { "behind" } else { "ahead of" };
    let text = format!("a request for the time is stamped {} s {way} {against}", seconds.unsigned_abs());
    Some(
        Draft::new(scene.rules, RuleId::D11, lead.first(), told.last().map_or(lead.last, |(case, _)| case.last))
            .lead(&lead.identity)
            .flows(told.iter().map(|(case, _)| case.identity.flow_id))
            .say(Place::Time, off_by(seconds))
            .count(told.len() as u64)
            .adjust(if checked { tls.skew_checked } else { 0.0 })
            .at_most(if random { tls.doubtful } else { 1.0 })
            .evidence(text, Some(lead.first_frame), Some(lead.first()))
            .build(),
    )
}

/// How far a clock is off, in seconds, in words.
fn off_by(seconds: i64) -> String {
    let way = if seconds < 0 { "behind" } else { "ahead" };
    format!("{} {way}", Span(seconds.unsigned_abs().saturating_mul(SECOND)))
}

/// A client calls a certificate expired, or not valid yet, that holds at this moment.
fn by_certificate(scene: &Scene<'_>, attempt: &Attempt<'_>) -> Option<FindingRecord> {
    let (alert, by) = attempt.tls.alert?;
    let [from, until] = attempt.tls.valid?;
    if alert.description != EXPIRED || by != Direction::Orig {
        return None;
    }
    let AlertSeen { seen, .. } = alert;
    let now = i64::try_from(seen.ts.0 / SECOND).ok()?.saturating_add(scene.cases.skew().unwrap_or(0));
    let least = now.saturating_sub(from).min(until.saturating_sub(now));
    if (least as f64) < scene.rules.settings.tls.skew_seconds {
        return None;
    }
    let text = "the client calls a certificate expired that holds for the time of this capture";
    Some(
        Draft::new(scene.rules, RuleId::D11, seen.ts, attempt.case.last)
            .lead(&attempt.case.identity)
            .say(Place::Time, format!("by more than {}", Span(least.unsigned_abs().saturating_mul(SECOND))))
            .evidence(text, Some(seen.frame), Some(seen.ts))
            .build(),
    )
}

/// What recorders write as the date into their own responses.
fn by_dates(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let mut dated: BTreeMap<IpAddr, Vec<(&Case, i64)>> = BTreeMap::new();
    let dating = scene.cases.servers().flat_map(|server| scene.cases.of_server(server));
    for case in dating.filter(|case| case.recorders[1] && case.is_tcp()) {
        let turns = case.http.iter().flat_map(|http| &http.turns);
        let skews = turns.filter_map(|turn| Some((case, i64::from(turn.turn.skew?))));
        dated.entry(case.resp.0).or_default().extend(skews);
    }
    let capture = scene.cases.skew();
    let mut found = Vec::new();
    for (recorder, dates) in &dated {
        let Some((lead, skew)) = dates.first() else { continue };
        let skew = skew.saturating_sub(capture.unwrap_or(0));
        if dates
            .iter()
            .any(|(_, each)| each.saturating_sub(capture.unwrap_or(0)).unsigned_abs() as f64 <= tls.skew_seconds)
        {
            continue;
        }
        let rest = skew.rem_euclid(ZONE);
        let zone = rest <= 5 || rest >= ZONE - 5;
        let checked = if capture.is_some() {
            "by servers outside the capture's clock is right"
        } else {
            "nothing tells whether the capture's clock is right"
        };
        found.push(
            Draft::new(scene.rules, RuleId::D11, lead.first(), dates.last().map_or(lead.last, |(case, _)| case.last))
                .lead(&lead.identity)
                .say(Place::Client, recorder)
                .say(Place::Time, off_by(skew))
                .count(dates.len() as u64)
                .at_most(if zone { tls.doubtful } else { 1.0 })
                .evidence(
                    format!("its responses are dated {skew} s off; {checked}"),
                    Some(lead.first_frame),
                    Some(lead.first()),
                )
                .build(),
        );
    }
    found
}
