//! The recorder's standing connection to the relay (D-30): it dies again and again, or is not there.

use std::net::IpAddr;

use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Known, Scene, nanos};
use crate::diagnose::spans::Spans;
use crate::engine::case::{Case, Direction, is_core};
use crate::event::{Class, FindingRecord, HINT, Manner};
use crate::time::{SECOND, Timestamp, seconds};

/// A connection that dies sooner after the relay last spoke, in nanoseconds, has not been forgotten for idleness.
const IDLE: u64 = 2 * SECOND;
/// A heartbeat repeated so often without an answer is dead.
const REPEATS: u16 = 2;

/// Bytes below which what stays without an answer is no request but TLS's goodbye.
const GOODBYE: u32 = 64;

/// How one standing connection died.
#[derive(Clone, Copy)]
struct Death<'c> {
    case: &'c Case,
    at: Timestamp,
    frame: u64,
    /// How long the relay had been silent by then, in nanoseconds.
    idle: u64,
    by_reset: bool,
}

/// What is found of each recorder's standing connection.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut recorders: Vec<IpAddr> = scene.base.site.recorders.clone();
    recorders.extend(scene.cases.recorders());
    recorders.sort_unstable();
    recorders.dedup();
    let halts = halts(scene);
    let judge = |recorder| {
        unstable(scene, recorder).or_else(|| restless(scene, recorder)).or_else(|| missing(scene, recorder, &halts))
    };
    recorders.into_iter().filter_map(judge).collect()
}

/// Connections of the recorder to the relay that carry no video.
fn standing<'c>(scene: &Scene<'c>, recorder: IpAddr) -> impl Iterator<Item = &'c Case> {
    scene.of_client(recorder).filter(|case| {
        case.class == Class::Relay
            && case.is_tcp()
            && case.established
            && !case.one_sided
            && !case.subs.has(Sub::VideoUp)
            && !case.subs.has(Sub::VideoDown)
    })
}

/// How a connection died that had worked: a heartbeat into the void, or a reset after silence.
fn death(case: &Case) -> Option<Death<'_>> {
    let tcp = case.tcp.as_ref()?;
    let [stuck, _] = tcp.trouble;
    let [unacknowledged, _] = tcp.unacknowledged;
    let [_, heard] = &tcp.bursts;
    let spoke = |until: Timestamp| heard.iter().map(|burst| burst.end).filter(|end| *end <= until).max();
    let unheard = stuck.repeated.times >= REPEATS && unacknowledged.is_some_and(|n| n > 0);
    let reset = tcp.reset.filter(|reset| reset.by == Direction::Resp);
    let (at, frame, by_reset) = match (unheard, reset) {
        (true, _) => (stuck.repeated.first, stuck.repeated.frame, false),
        (false, Some(reset)) => (reset.seen.ts, reset.seen.frame, true),
        (false, None) => return None,
    };
    let idle = at.since(spoke(at)?);
    (idle >= IDLE).then_some(Death { case, at, frame, idle, by_reset })
}

/// The same, and those that began before the capture and have no name: one of them may be the standing one.
fn standing_perhaps<'c>(scene: &Scene<'c>, recorder: IpAddr) -> impl Iterator<Item = &'c Case> {
    let nameless = |case: &&Case| case.is_tcp() && case.midstream && !case.one_sided && is_nameless(case);
    standing(scene, recorder).chain(scene.of_client(recorder).filter(nameless))
}

/// When the relay spoke to the recorder on each connection that may be the standing one.
fn heard(scene: &Scene<'_>, recorder: IpAddr) -> Spans {
    let spoke = |case: &Case| case.tcp.iter().flat_map(|tcp| &tcp.bursts[1]).map(|burst| burst.end).max();
    standing_perhaps(scene, recorder).filter_map(|case| Some((case.first(), spoke(case)?))).collect()
}

/// Whether the relay went on speaking to the recorder on a connection that had been there before one died: then that
/// one was not the standing one, but an upload that nobody wanted any more.
fn has_another(heard: &Spans, death: &Death<'_>) -> bool {
    let first = death.case.first();
    heard.latest(first.before(1)).is_some_and(|last| last > first)
}

/// The connection dies, is made again, and dies again.
fn unstable(scene: &Scene<'_>, recorder: IpAddr) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.recorder;
    let heard = heard(scene, recorder);
    let deaths: Vec<Death<'_>> =
        standing(scene, recorder).filter_map(death).filter(|death| !has_another(&heard, death)).collect();
    let least = settings.reconnects as usize;
    let (first, last) = deaths.windows(least.max(1)).find_map(|some| match some {
        [first, .., last] => (last.at.since(first.at) <= nanos(settings.reconnect_seconds)).then_some((first, last)),
        _ => None,
    })?;
    let shortest = deaths.iter().map(|death| death.idle).min().unwrap_or(0);
    let mut draft = Draft::new(scene.rules, RuleId::D30, first.at, deaths.last().unwrap_or(last).at)
        .about(first.case)
        .flows(deaths.iter().map(|death| death.case.identity.flow_id))
        .say(Place::Client, recorder)
        .count(deaths.len() as u64);
    for death in &deaths {
        let how =
            if death.by_reset { "the connection is reset" } else { "a heartbeat is sent again and never acknowledged" };
        let text = format!("{how}, {:.0} s after the relay last spoke", seconds(death.idle));
        draft = draft.evidence(text, Some(death.frame), Some(death.at));
    }
    let text = format!("a box on the way may forget connections that are idle for {:.0} s", seconds(shortest));
    Some(draft.evidence(text, None, None).build())
}

/// Whether a connection worked, ended in good order and soon, and nothing that was asked on it stayed without an
/// answer.
fn is_short_life(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.recorder;
    let life = case.last.since(case.first());
    let in_order = case.tcp.as_ref().is_some_and(|tcp| {
        let [unanswered, _] = tcp.turns;
        // who has said goodbye may answer what still comes with a reset
        let reset = tcp.reset.is_some_and(|reset| tcp.fin_by != Some(reset.by));
        tcp.fin_by.is_some() && !reset && unanswered < GOODBYE
    });
    let worked = case.payload.iter().all(|n| *n > 0) && !case.midstream;
    in_order && worked && (IDLE..nanos(settings.life_seconds)).contains(&life)
}

/// The connection is ended in good order again and again, and there is no other.
fn restless(scene: &Scene<'_>, recorder: IpAddr) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.recorder;
    let lives: Vec<&Case> = standing(scene, recorder).filter(|case| is_short_life(scene, case)).collect();
    let (first, last) = (*lives.first()?, *lives.last()?);
    let alone = lives.windows(2).all(|pair| matches!(pair, [a, b] if b.first() >= a.last));
    let others = standing_perhaps(scene, recorder)
        .filter(|case| !is_short_life(scene, case) && case.first() < last.first() && case.last > first.last);
    // so many times within that time, however long it goes on
    let least = (settings.reconnects as usize).saturating_add(1);
    let quick = lives.windows(least).any(|some| match some {
        [first, .., last] => last.first().since(first.last) <= nanos(settings.reconnect_seconds),
        _ => false,
    });
    if !alone || !quick || others.count() > 0 {
        return None;
    }
    let mut draft = Draft::new(scene.rules, RuleId::D30, first.last, last.last)
        .about(first)
        .flows(lives.iter().map(|case| case.identity.flow_id))
        .say(Place::Client, recorder)
        .base(settings.in_order)
        .count(lives.len() as u64);
    for case in &lives {
        let text = format!("a connection begins that is ended after {:.0} s", seconds(case.last.since(case.first())));
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    // so are views that nothing came of: whoever looks ends them
    let by_itself = |case: &&Case| case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by == Some(Direction::Orig));
    let like_views = scene.known(recorder) != Known::Well && lives.iter().all(by_itself);
    Some(if like_views { doubted(draft) } else { draft }.build())
}

/// A hint of a host that may be a viewer as well.
fn doubted(draft: Draft<'_>) -> Draft<'_> {
    draft.at_most(HINT).manner(Manner::UnknownRole)
}

/// A recorder that is there all the time and has no connection to the relay.
fn missing(scene: &Scene<'_>, recorder: IpAddr, halts: &[(Timestamp, Timestamp)]) -> Option<FindingRecord> {
    let watch = nanos(scene.rules.settings.recorder.watch_seconds);
    let own = || scene.of_client(recorder);
    let (first, last) = (own().map(Case::first).min()?, own().map(|case| case.last).max()?);
    let reached =
        own().filter(|case| may_be_relay(case)).map(|case| if is_open(case) { last } else { case.last }).max();
    let since = reached.unwrap_or(first).max(first);
    // it must be seen to speak to others at both ends of that time, and be seen both ways
    let speaks = |case: &Case| case.established && !case.one_sided && case.first() >= since;
    let late = own().any(|case| speaks(case) && case.last.since(since) >= watch);
    // a time of which the capture holds next to nothing, as where it was halted, shows nothing
    let within = |(from, to): &(Timestamp, Timestamp)| to.min(&last).since(*from.max(&since));
    let halted = halts.iter().map(within).max().unwrap_or(0) > last.since(since) / 2;
    if last.since(since) < watch || !late || halted {
        return None;
    }
    let established = || own().filter(|case| case.established);
    let relay = established().filter(|case| case.class == Class::Relay).last();
    let core = || established().find(|case| is_core(case.class, case.subs));
    let case = relay.or_else(core).or_else(|| established().next())?;
    let known = scene.known(recorder);
    if known == Known::Viewer {
        return None;
    }
    let minutes = seconds(last.since(since)) / 60.0;
    let text =
        format!("for {minutes:.0} minutes there is no connection to the relay, while other connections are made");
    let draft = Draft::new(scene.rules, RuleId::D30, since, last).lead(&case.identity).say(Place::Client, recorder);
    let draft = if known == Known::Hardly { doubted(draft) } else { draft };
    Some(draft.evidence(text, Some(case.first_frame), Some(case.first())).build())
}

/// Long times in which nobody had a flow.
fn halts(scene: &Scene<'_>) -> Vec<(Timestamp, Timestamp)> {
    let least = nanos(scene.rules.settings.recorder.watch_seconds) / 2;
    let mut spans: Vec<_> = scene.cases.flows.iter().map(|case| (case.first(), case.last)).collect();
    spans.sort_unstable();
    let (mut halts, mut until) = (Vec::new(), scene.cases.first);
    for (first, last) in spans {
        if first.since(until) >= least {
            halts.push((until, first));
        }
        until = until.max(last);
    }
    halts
}

/// Whether a flow is one to the relay, or may be: one that began before the capture has no name.
fn may_be_relay(case: &Case) -> bool {
    case.class == Class::Relay && (case.established || !case.is_tcp()) || is_nameless(case)
}

fn is_nameless(case: &Case) -> bool {
    case.class == Class::Unknown && !case.inside[1] && (case.midstream || case.host.is_none())
}

fn is_open(case: &Case) -> bool {
    case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by.is_none() && tcp.rst_by.is_none())
}
