//! The network is slow, full or lossy: D-25, D-26, D-27.
//!
//! Only flows of the system are judged, and only on what both ends did: a segment that was repeated, a round trip that
//! stayed long. What one segment without end shows is not loss but something in its way.

use std::collections::HashMap;
use std::net::IpAddr;

use super::draft::Draft;
use super::rules::{Place, RuleId};
use super::scene::{Scene, nanos};
use crate::classify::words::Sub;
use crate::engine::case::{Case, TcpCase, TroubleCase, is_core};
use crate::event::{Class, FindingRecord, HINT};
use crate::flow::rates::WINDOW;
use crate::text::units::{BitRate, Percent};
use crate::time::{Timestamp, seconds};

/// The bytes by which a segment with TCP options falls short of the size agreed on.
const OPTIONS: u16 = 40;
/// A size agreed on that is below this is no full packet's.
const SMALL_MSS: u16 = 1_200;
/// A segment repeated more often than this is not lost by chance.
const CHANCE: u16 = 2;
/// An ICMP message that tells the size that fits: type 3 code 4 (RFC 1191), or type 2 of ICMPv6 (RFC 8201).
const TOO_BIG: [(u8, u8); 2] = [(3, 4), (2, 0)];

/// All that is found of the path.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let judged = || scene.cases.flows.iter().filter(|case| is_of_system(case) && case.established && !case.one_sided);
    let full: Vec<&Case> = judged().filter(|case| fills_uplink(scene, case)).collect();
    let mut findings: Vec<FindingRecord> = saturated(scene, &full).into_iter().collect();
    // since when the uplink of each is full
    let mut since: HashMap<IpAddr, Timestamp> = HashMap::new();
    for case in full {
        let first = since.entry(case.orig.0).or_insert(case.first());
        *first = case.first().min(*first);
    }
    for case in judged() {
        findings.extend(black_hole(scene, case).or_else(|| hole_before(scene, case)));
        if since.get(&case.orig.0).is_none_or(|since| case.last <= *since) {
            findings.extend(lossy(scene, case));
        }
    }
    findings
}

fn is_of_system(case: &Case) -> bool {
    is_core(case.class, case.subs)
        || matches!(case.class, Class::Direct | Class::Lsf | Class::LocalIp | Class::LocalDirect)
}

/// A flow's TCP, with one side's trouble.
fn of_side(case: &Case, side: usize) -> Option<(&TcpCase, &TroubleCase)> {
    let tcp = case.tcp.as_ref()?;
    Some((tcp, tcp.trouble.get(side)?))
}

/// D-26: data is sent again, here and there, and gets through.
fn lossy(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.path;
    let (side, again, sent) =
        (0..2).filter_map(|side| repeats(case, side)).max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)))?;
    let share = again / sent;
    if sent < settings.samples || share < settings.loss_share || again < settings.repeats {
        return None;
    }
    let (tcp, trouble) = of_side(case, side)?;
    let began = loss_began(case, trouble, share, sent);
    let whose = if side == 0 { case.orig.0 } else { case.resp.0 };
    let text = format!("{again:.0} of {sent:.0} segments of {whose} are sent again");
    let mut draft = Draft::new(scene.rules, RuleId::D26, began, case.last)
        .about(case)
        .count(again as u64)
        .say(Place::Share, Percent(share))
        .evidence(text, Some(trouble.repeated.frame), Some(trouble.repeated.first));
    if let Some((low, high)) = tcp.rtt_min.zip(tcp.rtt_p95) {
        let text =
            format!("round trips take {:.0} ms at best, and {:.0} ms or less 19 times in 20", low * 1e3, high * 1e3);
        draft = draft.evidence(text, None, None);
    }
    if share >= settings.copies_share || is_copied(scene, case) {
        let text = "as good as every segment is there twice: captures of one traffic by two clocks look so as well";
        draft = draft.at_most(HINT).evidence(text, None, None);
    }
    draft = draft.vantage(scene.vantage(case));
    Some(draft.build())
}

/// Whether so much is said again in both directions that a mirror shows it twice: acknowledgements without data are
/// copied too, and not known as repeats, so that each direction shows less than its half.
fn is_copied(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.path;
    let (Some((_, a, of_a)), Some((_, b, of_b))) = (repeats(case, 0), repeats(case, 1)) else { return false };
    a.min(b) >= settings.repeats && a + b >= settings.copies_both * (of_a + of_b)
}

/// How many segments of a side were sent again for loss, and about how many it sent. One segment that was repeated
/// again and again counts once: the others show what the path does.
fn repeats(case: &Case, side: usize) -> Option<(usize, f64, f64)> {
    let (tcp, trouble) = of_side(case, side)?;
    let (mine, payload) = (case.pkts.get(side).copied()?, case.payload.get(side).copied()?);
    let stuck = trouble.repeated.times;
    let again = trouble.repeats().saturating_add(trouble.resent);
    let again = again.saturating_sub(u32::from(if stuck > CHANCE { stuck } else { 0 }));
    // what a mirror shows twice counts once; of the rest, all may carry data
    let all = case.pkts.iter().copied().fold(0, u64::saturating_add);
    let copies = case.duplicates as f64 / all.max(1) as f64;
    let mss = tcp.mss.iter().copied().filter(|mss| *mss > 0).min().unwrap_or(SMALL_MSS).max(1);
    let at_least = payload as f64 / f64::from(mss);
    let sent = (mine as f64 * (1.0 - copies)).max(at_least);
    (again > 0 && payload > 0).then_some((side, f64::from(again), sent))
}

/// When loss began: with the connection, unless it went well for longer than such loss lets it.
fn loss_began(case: &Case, trouble: &TroubleCase, share: f64, sent: f64) -> Timestamp {
    let rate = sent / seconds(case.last.since(case.first())).max(1.0);
    let clean = seconds(trouble.first_repeat.since(case.first()));
    if clean > 3.0 / (share * rate) { trouble.first_repeat } else { case.first() }
}

/// D-27: the first full-size segment is sent again and again, and never arrives, while small ones do.
fn black_hole(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.path;
    if case.icmp.is_some_and(|icmp| TOO_BIG.contains(&(icmp.kind, icmp.code))) {
        return None;
    }
    let side = (0..2).find(|side| is_swallowed(scene, case, *side))?;
    let (tcp, trouble) = of_side(case, side)?;
    let stuck = trouble.repeated;
    // where any of its neighbours got long segments through, the path takes them
    let gets_through = |other: &&Case| {
        let bulk = other.payload.get(side).is_some_and(|n| *n as f64 > settings.full_size_bytes * 10.0);
        other.resp.0 == case.resp.0 && bulk && !is_swallowed(scene, other, side)
    };
    if scene.around(case).any(|other| gets_through(&other)) {
        return None;
    }
    if scene.around(case).any(|other| other.first_frame != case.first_frame && loses_small(scene, other, side, trouble))
    {
        return None;
    }
    let mss = tcp.mss.iter().copied().filter(|mss| *mss > 0).min();
    let text = format!(
        "{} bytes are sent {} times and never acknowledged",
        stuck.len,
        u32::from(stuck.times).saturating_add(1)
    );
    let mut draft = Draft::new(scene.rules, RuleId::D27, stuck.first.min(case.last), case.last).about(case).evidence(
        text,
        Some(stuck.frame),
        Some(stuck.first),
    );
    if let Some(at) = trouble.repeated_at.filter(|at| *at > 0) {
        draft = draft.evidence(
            format!("{at} bytes before it, in small segments, arrived"),
            Some(case.first_frame),
            Some(case.first()),
        );
    }
    if let Some(mss) = mss {
        draft = draft.evidence(
            format!("both ends agreed on segments of {mss} bytes"),
            Some(case.first_frame),
            Some(case.first()),
        );
    }
    Some(draft.build())
}

/// Whether at that time something short was sent again and again in vain on another connection of the same client: then
/// it is not the size that does not arrive.
fn loses_small(scene: &Scene<'_>, other: &Case, side: usize, then: &TroubleCase) -> bool {
    let Some((tcp, trouble)) = of_side(other, side) else { return false };
    let lost = trouble.repeated;
    let open = tcp.unacknowledged.get(side).copied().flatten().is_some_and(|n| n > 0);
    let short = f64::from(lost.len) < f64::from(SMALL_MSS).min(scene.rules.settings.path.full_size_bytes);
    let meanwhile = lost.first <= then.last_repeat && trouble.last_repeat >= then.repeated.first;
    lost.times >= CHANCE && open && short && meanwhile
}

/// Whether a side's first long segment never arrives, and something small did.
fn is_swallowed(scene: &Scene<'_>, case: &Case, side: usize) -> bool {
    let settings = &scene.rules.settings.path;
    let Some((tcp, trouble)) = of_side(case, side) else { return false };
    let other = 1usize.wrapping_sub(side);
    let stuck = trouble.repeated;
    let mss = tcp.mss.iter().copied().filter(|mss| *mss >= SMALL_MSS).min();
    let agreed = mss.map_or(settings.full_size_bytes, |mss| f64::from(mss.saturating_sub(OPTIONS)));
    let is_long = f64::from(stuck.len) >= agreed.min(settings.full_size_bytes);
    let open = tcp.unacknowledged.get(side).copied().flatten().is_some_and(|n| n >= stuck.len);
    let closed = tcp.trouble.get(other).is_some_and(|trouble| trouble.zero_windows > 0);
    // nothing long can have arrived before it; and something small has, or the other side would not have spoken
    let early = trouble.repeated_at.is_some_and(|at| f64::from(at) < settings.full_size_bytes);
    let behind = side == 0 && case.is_heard_without_payload();
    let small =
        trouble.repeated_at.is_some_and(|at| at > 0) || case.payload.get(other).is_some_and(|n| *n > 0) || behind;
    f64::from(stuck.times) >= settings.full_size_tries && is_long && open && !closed && early && small
}

/// The bytes that a responder has sent and that never arrived, with how many came behind them: its first segments are
/// long and got lost before the mirror, time after time, while a short one came through.
fn lost_on_the_way(scene: &Scene<'_>, case: &Case) -> Option<(u64, u64)> {
    let settings = &scene.rules.settings.path;
    let tcp = case.tcp.as_ref()?;
    let [_, came] = case.payload;
    let sent = u64::from(tcp.unacknowledged[1]?);
    let hole = sent.saturating_sub(came);
    let is_long = hole as f64 >= settings.full_size_bytes && (came as f64) < settings.full_size_bytes && came > 0;
    let full = tcp.mss.iter().all(|mss| *mss == 0 || *mss >= SMALL_MSS);
    // what is acknowledged and was not seen is the mirror's loss
    let whole = tcp.trouble.iter().all(|trouble| trouble.missed == 0) && tcp.unacknowledged[0] == Some(0);
    let spoke = tcp.bursts.iter().flatten().map(|burst| burst.end).max()?;
    let dead = case.until(scene.cases.last).since(spoke) >= nanos(settings.hole_seconds);
    (is_long && full && whole && dead && !case.midstream).then_some((hole, came))
}

/// D-27 in the other direction: of what a server sends only the short rest arrives.
fn hole_before(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.path;
    let far = |other: &&Case| !other.inside[1] && other.first_frame != case.first_frame && other.established;
    let (hole, came) = lost_on_the_way(scene, case).filter(|_| !case.inside[1])?;
    let others = || scene.around(case).filter(far);
    let bulk = |other: &Case| other.payload[1] as f64 > settings.full_size_bytes * 10.0;
    if others().any(|other| other.resp.0 == case.resp.0 && bulk(other)) {
        return None;
    }
    let tail = case.tcp.as_ref().and_then(|tcp| tcp.bursts[1].first());
    let began = tail.map_or(case.first(), |burst| burst.start);
    // something must have come in meanwhile, or the line was down; and nothing long, or it is not the size
    let meanwhile = |other: &&Case| other.first() <= case.last && other.last > began && other.payload[1] > 0;
    let again = others().any(|other| lost_on_the_way(scene, other).is_some());
    let confidence = match () {
        () if others().any(bulk) || scene.is_leaky() => settings.hole_doubtful,
        () if again => settings.d_27,
        () if others().any(|other| meanwhile(&other)) => settings.hole_once,
        () => settings.hole_doubtful,
    };
    let text = format!("{hole} bytes of the answer never come, though {came} bytes behind them do");
    let draft = Draft::new(scene.rules, RuleId::D27, began, case.last).about(case).base(confidence).evidence(
        text,
        tail.map(|burst| burst.frame),
        Some(began),
    );
    Some(draft.build())
}

/// Whether a recorder's upload stands in a queue: for as long as it runs round trips are long, the shortest too.
///
/// How long depends on the sender: one fills the queue until it loses something, another keeps it short and drains it
/// now and then (BBR).
fn fills_uplink(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.path;
    let Some(tcp) = &case.tcp else { return false };
    let Some(Queue { low, median, least }) = queue(scene, case) else { return false };
    let [up, _] = tcp.video_windows;
    let long = (u64::from(up)).saturating_mul(WINDOW) >= nanos(settings.full_seconds);
    let is_full = median >= least * settings.rtt_factor && median >= least + settings.rtt_more_seconds;
    let stands = low >= least * settings.rtt_low_factor && low >= least + settings.rtt_low_more_seconds;
    let known = !case.midstream || begins_beside(scene, case);
    case.subs.has(Sub::VideoUp) && known && long && is_full && stands
}

/// Round trips of an upload, in seconds: three of four take `low` or more, half of them `median`; `least` are possible.
struct Queue {
    low: f64,
    median: f64,
    least: f64,
}

fn queue(scene: &Scene<'_>, case: &Case) -> Option<Queue> {
    let tcp = case.tcp.as_ref()?;
    Some(Queue { low: tcp.rtt_p25?, median: tcp.rtt_p50?, least: least_rtt(scene, case)? })
}

/// The shortest round trip between the two ends of a flow, in seconds: one that begins in a queue knows none itself.
fn least_rtt(scene: &Scene<'_>, case: &Case) -> Option<f64> {
    let same = scene.around(case).filter(|other| other.resp.0 == case.resp.0);
    same.filter_map(|other| other.tcp.as_ref()?.rtt_min).min_by(f64::total_cmp)
}

/// Whether another connection between the two ends of a flow began within the capture: one that was under way before
/// may never have had the line for itself.
fn begins_beside(scene: &Scene<'_>, case: &Case) -> bool {
    let timed = |other: &Case| other.tcp.as_ref().is_some_and(|tcp| tcp.rtt_min.is_some());
    let same = |other: &&Case| other.resp.0 == case.resp.0 && other.first_frame != case.first_frame;
    scene.around(case).filter(same).any(|other| !other.midstream && other.established && timed(other))
}

/// D-25: uploads that stand in a queue, as one finding of their site.
fn saturated(scene: &Scene<'_>, full: &[&Case]) -> Option<FindingRecord> {
    let (first, last) = (full.first()?, full.iter().map(|case| case.last).max()?);
    let bits = full.iter().map(|case| case.bytes[0] as f64 * 8.0).sum::<f64>();
    let rate = bits / seconds(last.since(first.first())).max(1.0);
    let mut draft = Draft::new(scene.rules, RuleId::D25, first.first(), last)
        .about(first)
        .flows(full.iter().map(|case| case.identity.flow_id))
        .count(full.len() as u64)
        .say(Place::Rate, BitRate(rate));
    for case in full {
        let Some(Queue { low, median, least }) = queue(scene, case) else { continue };
        let text = format!(
            "three round trips of four take {:.0} ms or more, half of them {:.0} ms, where {:.0} ms are possible",
            low * 1e3,
            median * 1e3,
            least * 1e3
        );
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    draft = draft.vantage(scene.vantage(first));
    Some(draft.build())
}

#[cfg(test)]
mod tests;
