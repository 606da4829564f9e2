//! The viewer's side of a hold: nothing comes, or drops, or all of it late and at once (CF-1 to CF-4).

use super::signs::{
    Signs, attempts, hears_media, is_ticket, is_troubled, is_troubled_before, is_upload_shaped, may_be_events,
    mind_cut, plays_at_once, plays_later, sees_video, sibling, signs, some_frame,
};
use super::silence::{
    Answer, Behind, Release, Silence, Trickle, answer_of, asked_of, asks, behind_request, is_less_than_a_head, is_poll,
    is_repeated_within, silences, trickle,
};
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::settings::Stall;
use crate::engine::case::{Case, Direction, TcpCase};
use crate::engine::learnt::Seen;
use crate::event::{Class, FindingRecord, HINT, Manner};
use crate::text::units::{BitRate, Bytes, Counted};
use crate::time::{SECOND, Timestamp, seconds};

/// All holds that the viewers' side shows.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let candidates = scene.cases.flows.iter().filter(|case| is_candidate(scene, case));
    candidates.filter_map(|case| judge(scene, case)).collect()
}

/// Whether a connection may bring video to a viewer from afar. What a recorder next door keeps waiting is its own
/// doing.
fn is_candidate(scene: &Scene<'_>, case: &Case) -> bool {
    let carries = case.http.as_ref().is_some_and(|http| http.message_http.is_some());
    let beside = (case.inside[1] || case.subs.has(Sub::Hairpin)) && case.via_proxy.is_none();
    (case.class == Class::Relay || carries || case.class == Class::Direct && !beside)
        && case.established
        && scene.is_recorder_side(case) != Some(true)
        && !is_upload_shaped(scene, case)
}

/// What one connection shows, the surest first: a release, a trickle, a silence.
fn judge(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let tcp = case.tcp.as_ref()?;
    let end = case.until(scene.cases.last);
    if let Some((from, found)) = released(scene, case, tcp, end)
        && !is_troubled_before(scene, case, found.at)
    {
        let asked = request_of(case, &from).unwrap_or(Seen { ts: from.from, frame: from.frame });
        let dripped = trickled(scene, case, asked, Some(&found));
        return Some(dripped.unwrap_or_else(|| of_release(scene, case, from, &found)));
    }
    if is_troubled(scene, case) {
        return None;
    }
    if let Some(found) = asked_of(case).and_then(|asked| trickled(scene, case, asked, None)) {
        return Some(found);
    }
    match answer_of(case, settings) {
        Answer::Nothing(asked) | Answer::Perhaps(asked) => nothing_came(scene, case, tcp, asked, end),
        Answer::Head(asked, head, bytes) => after_head(scene, case, asked, head, bytes, end),
        Answer::Whole | Answer::Unknown => None,
    }
}

/// A hold whose end brought what was held.
fn released(scene: &Scene<'_>, case: &Case, tcp: &TcpCase, end: Timestamp) -> Option<(Silence, Release)> {
    let settings = &scene.rules.settings.stall;
    let [orig, _] = &tcp.trouble;
    // what was paused by its own receiver was not held on the way
    let paused = |silence: &Silence| {
        orig.closed.nanos > 0
            && orig.closed.since < silence.until
            && orig.closed.since.after(orig.closed.nanos) >= silence.from
    };
    let held = silences(tcp, end, settings.trickle_gap_seconds_min);
    let asked = held.iter().filter(|silence| silence.asked && !paused(silence) && !is_repeated_within(tcp, silence));
    asked
        .filter_map(|silence| behind_request(case, tcp, silence, settings))
        .find_map(|silence| release_of(case, tcp, &silence, end, settings).map(|release| (silence, release)))
}

/// What ended a silence, if it brought what was held.
fn release_of(case: &Case, tcp: &TcpCase, silence: &Silence, end: Timestamp, settings: &Stall) -> Option<Release> {
    let [asker, resp] = &tcp.bursts;
    let over = tcp.fin_by.is_some() || tcp.rst_by.is_some();
    let again = asker.iter().filter(|burst| asks(case, burst, settings));
    let again = again.map(|burst| burst.start).find(|start| *start > silence.from);
    let all = resp.iter().map(|burst| burst.bytes).fold(0, u64::saturating_add);
    let mut before = 0u64;
    // drops in between do not end a hold
    for (at, burst) in resp.iter().enumerate().filter(|(_, burst)| burst.start > silence.from) {
        // no backlog is left that would be more than what has come, and who asks for more is not kept waiting
        let late = burst.start.since(silence.from) > nanos(settings.hold_seconds);
        if late || before > all / 2 || again.is_some_and(|again| again < burst.start && before > 0) {
            break;
        }
        let ended = over && end.since(burst.end) <= nanos(settings.at_end_seconds);
        let later = resp.get(at.saturating_add(1)..).unwrap_or_default();
        let found = Behind { from: silence.from, burst, later, asker, ended }.release(settings);
        let passed = before.saturating_add(burst.peak.before) as f64;
        if let Some(found) = found.filter(|found| passed <= settings.passed_share * found.backlog) {
            return Some(found);
        }
        before = before.saturating_add(burst.bytes);
    }
    None
}

/// The request that began a silence, where it is known.
fn request_of(case: &Case, from: &Silence) -> Option<Seen> {
    /// It is the one that is known, if they are so near, in nanoseconds.
    const NEAR: u64 = 3 * SECOND;
    asked_of(case).filter(|asked| asked.ts.0.abs_diff(from.from.0) <= NEAR)
}

fn of_release(scene: &Scene<'_>, case: &Case, from: Silence, found: &Release) -> FindingRecord {
    let (text, seen) = match request_of(case, &from) {
        Some(asked) => ("the request", asked),
        None => ("the request, or the last byte before the silence", Seen { ts: from.from, frame: from.frame }),
    };
    let settings = &scene.rules.settings.stall;
    let sender_ended = case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by == Some(Direction::Resp));
    let ended = found.rate.is_none() && sender_ended;
    let signs = signs(scene, case);
    // who asks for a clip that has to be made first closes the connection when it is there
    let may_be_file = found.rate.is_none() && !sender_ended && signs.told.is_empty();
    let rate =
        found.rate.map_or_else(String::new, |rate| format!(", and the stream goes on at {}", BitRate(rate * 8.0)));
    let what = format!("{} arrive at once after {:.0} s{rate}", Bytes(found.backlog as u64), found.held);
    let draft = start(scene, case, RuleId::Cf4, from.from, found.at, &signs)
        .say(Place::Seconds, format!("{:.0}", found.held))
        .say(Place::Bytes, Bytes(found.backlog as u64))
        .evidence(text, some_frame(seen.frame), Some(seen.ts))
        .evidence(what, some_frame(found.frame), Some(found.at));
    let draft = if ended { draft.adjust(settings.at_end) } else { draft };
    if may_be_file { draft.at_most(HINT).build() } else { draft.build() }
}

/// A trickle behind a request, and before the release of the rest, if that came.
fn trickled(scene: &Scene<'_>, case: &Case, asked: Seen, release: Option<&Release>) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let drops = trickle(case, asked.ts, settings)?;
    let less = is_less_than_a_head(case);
    let signs = signs(scene, case);
    let last = asked.ts.after(drops.first.since(asked.ts).saturating_add(nanos(drops.pause * f64::from(drops.drops))));
    let draft = start(scene, case, RuleId::Cf3, asked.ts, drops.first, &signs)
        .say(Place::Seconds, format!("{:.0}", drops.pause))
        .say(Place::Bytes, Bytes(drops.mean()))
        .evidence("the request, acknowledged", some_frame(asked.frame), Some(asked.ts))
        .evidence(of_drops(&drops), some_frame(drops.frame), Some(drops.first));
    let mut draft = support(scene, case, asked.ts, alike(scene, case).tries, draft);
    let rate = drops.bytes as f64 * 8.0 / (drops.pause * f64::from(drops.drops)).max(1.0);
    let factor = settings.baseline_factor;
    let is_baseline = rate >= settings.baseline_bps / factor && rate <= settings.baseline_bps * factor;
    if less {
        draft = draft.adjust(settings.less_than_a_head).evidence("less than an answer's head", None, Some(last));
    }
    if release.is_some() {
        draft = draft.adjust(settings.then_release).manner(Manner::Released);
    } else if drops.ends
        || sees_picture(scene, case, asked.ts, last)
        || !drops.is_plateau && may_be_events(scene, case, drops.usual)
    {
        // what comes in the end without a backlog had not been held
        draft = draft.at_most(HINT);
    }
    let is_beat = is_baseline && !less && !drops.is_plateau;
    Some(draft.adjust(if is_beat { -settings.baseline_rate } else { signs.weight }).build())
}

fn of_drops(drops: &Trickle) -> String {
    let mean = drops.mean();
    format!("{} pieces of about {}, one every {:.1} s", drops.drops, Counted(mean, "byte"), drops.pause)
}

/// Nothing has come in answer to a request: for long enough in one attempt, or in several that were given up.
fn nothing_came(scene: &Scene<'_>, case: &Case, tcp: &TcpCase, asked: Seen, end: Timestamp) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let waited = end.since(asked.ts);
    let alike = alike(scene, case);
    let together = alike.waited;
    // while it is open, an answer may still come
    let least = if case.is_over() { settings.give_up_seconds } else { settings.first_byte_seconds };
    if waited < nanos(least) || waited.max(together) < nanos(settings.first_byte_seconds) {
        return None;
    }
    let signs = signs(scene, case);
    let draft = start(scene, case, RuleId::Cf1, asked.ts, asked.ts.after(waited), &signs)
        .say(Place::Seconds, format!("{:.0}", seconds(waited)))
        .evidence("the request, acknowledged", some_frame(asked.frame), Some(asked.ts))
        .evidence(format!("no answer in {:.0} s", seconds(waited)), None, Some(asked.ts.after(waited)));
    // healthy pages have several requests that wait side by side as well: they count where a box shows itself
    let tries =
        if signs.told.is_empty() { alike.tries } else { alike.all }.max(asked_again(case, tcp, asked, settings));
    let draft = support(scene, case, asked.ts, tries, draft).adjust(signs.weight);
    let draft = if is_poll(tcp, end) { draft.adjust(-settings.heartbeat) } else { draft };
    let alone = tries < 2 && !is_tried_again(scene, case, waited);
    let draft = if alone { draft.adjust(-settings.alone) } else { draft };
    // healthy proxies show the signs of a box as well: they do not make a claim of one silent wait
    let until = asked.ts.after(waited);
    // who has a picture from peer to peer does not try the relay again and again for it
    let has_picture = sees_video(scene, case, asked.ts, until)
        || (tries as f64) < settings.attempts && hears_media(scene, case, asked.ts, until);
    let unsure = alone || is_unsure(scene, case) || has_picture || is_gone(scene, case);
    Some(if unsure { draft.at_most(HINT) } else { draft }.build())
}

/// Whether who waits has shown no sign of life any more while others did, not even one of giving up: what was switched
/// off, or has left the mirror, waits for nothing.
fn is_gone(scene: &Scene<'_>, case: &Case) -> bool {
    let alive = scene.cases.client(case.orig.0).map_or(case.last, |client| client.last);
    !case.is_over() && scene.cases.last.since(alive) >= nanos(scene.rules.settings.stall.gone_seconds)
}

/// How often a client has asked in a wait. In HTTP/2 each request has its answer, and the next one is made on the same
/// connection (RFC 9113 section 8.1).
fn asked_again(case: &Case, tcp: &TcpCase, asked: Seen, settings: &Stall) -> usize {
    if !case.tls.as_ref().is_some_and(|tls| tls.h2) {
        return 0;
    }
    let [orig, _] = &tcp.bursts;
    let later = orig.iter().filter(|burst| burst.start > asked.ts && asks(case, burst, settings));
    let (times, _) = later.fold((1usize, asked.ts), |(times, last), burst| {
        let again = burst.start.since(last) >= nanos(settings.give_up_seconds);
        if again { (times.saturating_add(1), burst.start) } else { (times, last) }
    });
    times
}

/// Whether a wait, long enough in itself, was ended without an answer and another attempt begun, to which none has come
/// either.
fn is_tried_again(scene: &Scene<'_>, case: &Case, waited: u64) -> bool {
    let settings = &scene.rules.settings.stall;
    let waits = |other: &Case| waited_for(scene, other).is_some_and(|waited| waited >= nanos(settings.give_up_seconds));
    let silent = |other: &Case| other.established && other.payload[1] == 0;
    let unanswered = |other: &&Case| (silent(other) || waits(other)) && is_next(scene, case, other);
    waited >= nanos(settings.first_byte_seconds) && attempts(scene, case).iter().any(unanswered)
}

/// Whether what has come may be an answer after all.
fn is_unsure(scene: &Scene<'_>, case: &Case) -> bool {
    let Answer::Perhaps(_) = answer_of(case, &scene.rules.settings.stall) else { return false };
    let flight = case.tls.as_ref().and_then(|tls| tls.flight);
    let known = flight.is_some_and(|flight| match flight.lengths() {
        [length] => is_ticket(scene, case, *length),
        _ => false,
    });
    !known
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
    let least = if case.is_over() { settings.give_up_seconds } else { settings.body_seconds };
    if bytes as f64 >= settings.body_bytes || waited < nanos(least) {
        return None;
    }
    let alike = alike(scene, case);
    let together = alike.waited;
    if waited.max(together) < nanos(settings.body_seconds) {
        return None;
    }
    let draft = start(scene, case, RuleId::Cf2, asked.ts, end, &signs(scene, case))
        .say(Place::Seconds, format!("{:.0}", seconds(waited)))
        .evidence("the request", some_frame(asked.frame), Some(asked.ts))
        .evidence("the answer's head", some_frame(head.frame), Some(head.ts))
        .evidence(format!("at most {bytes} bytes behind it in {:.0} s", seconds(waited)), None, Some(end));
    let draft = support(scene, case, asked.ts, alike.tries, draft);
    let repeated = alike.tries as f64 >= settings.attempts
        && sibling(scene, case, asked.ts).is_some()
        && !sees_picture(scene, case, asked.ts, end);
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
    let draft = Draft::new(scene.rules, rule, first, last).about(case).middlebox(signs.middlebox.clone());
    signs.tell(mind_cut(scene, case, draft.vantage(scene.vantage(case))))
}

/// What supports a hold: the same client's other services answer, and the same silence in `tries` attempts.
fn support<'r>(scene: &Scene<'r>, case: &Case, when: Timestamp, tries: usize, mut draft: Draft<'r>) -> Draft<'r> {
    let settings = &scene.rules.settings.stall;
    if let Some(other) = sibling(scene, case, when) {
        let name = other.host.as_deref().unwrap_or("another service");
        let text = format!("meanwhile {name} answers the same client: menus load");
        draft = draft.adjust(settings.sibling).evidence(text, some_frame(other.first_frame), Some(other.first()));
    }
    if tries as f64 >= settings.attempts {
        draft = draft.adjust(settings.repeated).evidence(format!("{tries} attempts, all alike"), None, None);
    }
    if let Some(other) = plays_later(scene, case) {
        let text = "a later attempt plays at once: it has been put right by then, or the source was late before";
        draft = draft.adjust(-settings.plays_later).evidence(text, some_frame(other.first_frame), Some(other.first()));
    }
    draft
}

/// Whether an attempt follows another. Connections side by side are one: a page that polls has several. Who tries again
/// after as long as a first byte takes may end all attempts together.
fn is_next(scene: &Scene<'_>, before: &Case, other: &Case) -> bool {
    let settings = &scene.rules.settings.stall;
    let later = other.first().since(before.first());
    match before.is_over() {
        true => other.first().after(SECOND) >= before.last || later >= nanos(settings.first_byte_seconds),
        false => later >= nanos(settings.give_up_seconds),
    }
}

/// For how long, in nanoseconds, a connection has waited for an answer, or for what belongs behind its head.
fn waited_for(scene: &Scene<'_>, case: &Case) -> Option<u64> {
    let settings = &scene.rules.settings.stall;
    let asked = match answer_of(case, settings) {
        Answer::Nothing(asked) | Answer::Perhaps(asked) => asked.ts,
        Answer::Head(_, head, bytes) if (bytes as f64) < settings.body_bytes => head.ts,
        Answer::Head(..) | Answer::Whole | Answer::Unknown => return None,
    };
    Some(case.until(scene.cases.last).since(asked))
}

/// The attempts of a client in which nothing came.
struct Alike {
    /// How many connections, whenever they were.
    all: usize,
    /// How many one after the other.
    tries: usize,
    /// For how many nanoseconds these waited.
    waited: u64,
}

/// The attempts of the same client to reach the same host in which nothing came either.
fn alike(scene: &Scene<'_>, case: &Case) -> Alike {
    let settings = &scene.rules.settings.stall;
    let waited = |other: &Case| {
        let waited = waited_for(scene, other)?;
        let least = if other.is_over() { settings.give_up_seconds } else { settings.first_byte_seconds };
        (waited >= nanos(least)).then_some(waited)
    };
    let mut alike = Alike { all: 0, tries: 0, waited: 0 };
    let mut before: Option<&Case> = None;
    // what was asked before a view that played, and what behind it, were not held by one box
    let all = attempts(scene, case);
    let mut runs = all.split(|other| plays_at_once(scene, other));
    let own = |run: &&[&Case]| run.iter().any(|other| other.identity.flow_id == case.identity.flow_id);
    let all = runs.find(own).into_iter().flatten().copied().filter(|other| !is_troubled(scene, other));
    for (other, waited) in all.filter_map(|other| Some((other, waited(other)?))) {
        alike.all = alike.all.saturating_add(1);
        if before.is_none_or(|before| is_next(scene, before, other)) {
            before = Some(other);
            alike.tries = alike.tries.saturating_add(1);
            alike.waited = alike.waited.saturating_add(waited);
        }
    }
    alike
}

/// Whether the client is shown anything else meanwhile.
fn sees_picture(scene: &Scene<'_>, case: &Case, from: Timestamp, until: Timestamp) -> bool {
    sees_video(scene, case, from, until) || hears_media(scene, case, from, until)
}
