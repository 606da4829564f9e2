//! The viewer's side of a hold: nothing comes, or drops, or all of it late and at once (CF-1 to CF-4).

use super::signs::{Signs, attempts, is_troubled, sibling, signs};
use super::silence::{Answer, Release, Silence, Trickle, answer_of, end_of, is_poll, release, silences, trickle};
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::{Case, Direction, TcpCase};
use crate::engine::learnt::Seen;
use crate::event::{CLAIM, Class, FindingRecord};
use crate::text::units::{BitRate, Bytes};
use crate::time::{Timestamp, seconds};

/// What a hint is worth at most.
const HINT: f64 = CLAIM - 0.01;

/// All holds that the viewers' side shows.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let candidates = scene.cases.flows.iter().filter(|case| is_candidate(scene, case));
    candidates.filter_map(|case| judge(scene, case)).collect()
}

/// Whether a connection may bring video to a viewer from afar.
fn is_candidate(scene: &Scene<'_>, case: &Case) -> bool {
    let carries = case.http.as_ref().is_some_and(|http| http.message_http.is_some());
    (matches!(case.class, Class::Relay | Class::Direct) || carries)
        && case.established
        && scene.is_recorder_side(case) != Some(true)
        && !is_troubled(scene, case)
}

/// What one connection shows, the surest first: a release, a trickle, a silence.
fn judge(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let tcp = case.tcp.as_ref()?;
    let end = end_of(case, scene.cases.last);
    if let Some((from, found)) = released(scene, tcp, end) {
        return Some(of_release(scene, case, from, &found));
    }
    let asked = match answer_of(case, settings) {
        Answer::Nothing(asked) | Answer::Perhaps(asked) => asked,
        Answer::Head(asked, head, bytes) => return after_head(scene, case, asked, head, bytes, end),
        Answer::Whole | Answer::Unknown => return trickled(scene, case, tcp, None),
    };
    trickled(scene, case, tcp, Some(asked)).or_else(|| nothing_came(scene, case, tcp, asked, end))
}

/// A hold whose end brought what was held.
fn released(scene: &Scene<'_>, tcp: &TcpCase, end: Timestamp) -> Option<(Silence, Release)> {
    let settings = &scene.rules.settings.stall;
    // what was paused by its own receiver was not held on the way
    let [orig, _] = &tcp.trouble;
    let paused = |silence: &Silence| {
        orig.closed.nanos > 0
            && orig.closed.since < silence.until
            && orig.closed.since.after(orig.closed.nanos) >= silence.from
    };
    let over = tcp.fin_by.is_some() || tcp.rst_by.is_some();
    let held = silences(tcp, end, settings.trickle_gap_seconds_min);
    held.iter().filter(|silence| silence.asked && !paused(silence)).find_map(|silence| {
        // drops in between do not end a hold
        let rest = held.iter().filter(|later| later.from >= silence.from).filter_map(|later| later.next);
        rest.take_while(|burst| burst.start.since(silence.from) <= nanos(settings.attempts_within_seconds))
            .find_map(|burst| {
                release(silence.from, &burst, over && end.since(burst.end) <= nanos(settings.at_end_seconds), settings)
            })
            .map(|found| (*silence, found))
    })
}

fn of_release(scene: &Scene<'_>, case: &Case, from: Silence, found: &Release) -> FindingRecord {
    let settings = &scene.rules.settings.stall;
    let sender_ended = case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by == Some(Direction::Resp));
    let ended = found.rate.is_none() && sender_ended;
    let rate =
        found.rate.map_or_else(String::new, |rate| format!(", and the stream goes on at {}", BitRate(rate * 8.0)));
    let text = format!("{} arrive at once after {:.0} s{rate}", Bytes(found.backlog as u64), found.held);
    let draft = start(scene, case, RuleId::Cf4, from.from, found.at, &signs(scene, case))
        .say(Place::Seconds, format!("{:.0}", found.held))
        .say(Place::Bytes, Bytes(found.backlog as u64))
        .evidence("the request, or the last byte before the silence", some_frame(from.frame), Some(from.from))
        .evidence(text, some_frame(found.frame), Some(found.at));
    if ended { draft.adjust(settings.at_end).build() } else { draft.build() }
}

/// A trickle behind a request that was not answered, or with no request in sight.
fn trickled(scene: &Scene<'_>, case: &Case, tcp: &TcpCase, asked: Option<Seen>) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let asked = asked?;
    let (drops, _) = trickle(tcp, asked.ts, settings)?;
    let signs = signs(scene, case);
    let draft = start(scene, case, RuleId::Cf3, asked.ts, drops.first, &signs)
        .say(Place::Seconds, format!("{:.0}", drops.pause))
        .say(Place::Bytes, Bytes(drops.bytes / u64::from(drops.drops.max(1))))
        .evidence("the request, acknowledged", some_frame(asked.frame), Some(asked.ts))
        .evidence(of_drops(&drops), some_frame(drops.frame), Some(drops.first));
    let (draft, _) = support(scene, case, asked.ts, draft);
    let rate = drops.bytes as f64 * 8.0 / (drops.pause * f64::from(drops.drops)).max(1.0);
    let factor = settings.baseline_factor;
    let is_baseline = rate >= settings.baseline_bps / factor && rate <= settings.baseline_bps * factor;
    Some(draft.adjust(if is_baseline { -settings.baseline_rate } else { signs.weight }).build())
}

fn of_drops(drops: &Trickle) -> String {
    let mean = drops.bytes / u64::from(drops.drops.max(1));
    format!("{} pieces of about {mean} bytes, one every {:.1} s", drops.drops, drops.pause)
}

/// Nothing has come in answer to a request.
fn nothing_came(scene: &Scene<'_>, case: &Case, tcp: &TcpCase, asked: Seen, end: Timestamp) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let waited = end.since(asked.ts);
    if waited < nanos(settings.first_byte_seconds) {
        return None;
    }
    let signs = signs(scene, case);
    let draft = start(scene, case, RuleId::Cf1, asked.ts, asked.ts.after(waited), &signs)
        .say(Place::Seconds, format!("{:.0}", seconds(waited)))
        .evidence("the request, acknowledged", some_frame(asked.frame), Some(asked.ts))
        .evidence(format!("no answer in {:.0} s", seconds(waited)), None, Some(asked.ts.after(waited)));
    let (draft, tries) = support(scene, case, asked.ts, draft);
    let draft = draft.adjust(signs.weight);
    let draft = if tries < 2 { draft.adjust(-settings.alone) } else { draft };
    let draft = if is_poll(tcp, end) { draft.adjust(-settings.heartbeat) } else { draft };
    let unsure = matches!(answer_of(case, settings), Answer::Perhaps(_));
    Some(if unsure { draft.at_most(HINT) } else { draft }.build())
}

/// A head has come, and no picture.
fn after_head(
    scene: &Scene<'_>,
    case: &Case,
    asked: Seen,
    head: Seen,
    bytes: u64,
    end: Timestamp,
) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let waited = end.since(head.ts);
    if bytes as f64 >= settings.body_bytes || waited < nanos(settings.body_seconds) {
        return None;
    }
    let draft = start(scene, case, RuleId::Cf2, asked.ts, end, &signs(scene, case))
        .say(Place::Seconds, format!("{:.0}", seconds(waited)))
        .evidence("the request", some_frame(asked.frame), Some(asked.ts))
        .evidence("the answer's head", some_frame(head.frame), Some(head.ts))
        .evidence(format!("{bytes} bytes behind it in {:.0} s", seconds(waited)), None, Some(end));
    let (draft, tries) = support(scene, case, asked.ts, draft);
    let repeated = f64::from(tries) >= settings.attempts && sibling(scene, case, asked.ts).is_some();
    Some(if repeated { draft } else { draft.at_most(HINT) }.build())
}

/// A finding about a connection, with what is known of the box.
fn start<'r>(
    scene: &Scene<'r>,
    case: &Case,
    rule: RuleId,
    first: Timestamp,
    last: Timestamp,
    signs: &Signs,
) -> Draft<'r> {
    let mut draft = Draft::new(scene.rules, rule, first, last).lead(&case.identity).middlebox(signs.middlebox.clone());
    if let Some(host) = &case.host {
        draft = draft.host(host);
    }
    if let Some(vantage) = scene.vantage(case) {
        draft = draft.vantage(vantage);
    }
    signs.told.iter().fold(draft, |draft, sign| draft.evidence(sign.clone(), some_frame(case.first_frame), None))
}

/// What supports a hold: the same client's other services answer, and the same silence several times over. With it the
/// number of attempts that failed alike.
fn support<'r>(scene: &Scene<'r>, case: &Case, when: Timestamp, mut draft: Draft<'r>) -> (Draft<'r>, u32) {
    let settings = &scene.rules.settings.stall;
    if let Some(other) = sibling(scene, case, when) {
        let name = other.host.as_deref().unwrap_or("another service");
        let text = format!("meanwhile {name} answers the same client: menus load");
        draft = draft.adjust(settings.sibling).evidence(text, some_frame(other.first_frame), Some(other.first()));
    }
    let alike = |other: &&&Case| {
        !is_troubled(scene, other)
            && match answer_of(other, settings) {
                Answer::Nothing(_) | Answer::Perhaps(_) => true,
                Answer::Head(.., bytes) => (bytes as f64) < settings.body_bytes,
                Answer::Whole | Answer::Unknown => false,
            }
    };
    let tries = attempts(scene, case, case.orig.0).iter().filter(alike).count();
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    if f64::from(tries) >= settings.attempts {
        draft = draft.adjust(settings.repeated).evidence(format!("{tries} attempts, all alike"), None, None);
    }
    (draft, tries)
}

/// A frame, where one is known.
fn some_frame(frame: u64) -> Option<u64> {
    (frame != 0).then_some(frame)
}
