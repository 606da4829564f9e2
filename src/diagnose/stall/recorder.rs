//! The recorder's side of a hold: an upload that nobody takes any more, or that ends the same way again and again
//! (CF-5, CF-6), and what cannot be told from there.

use super::signs::{from_next_door, is_troubled, signs};
use super::silence::varies_less_than;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::{Case, Direction, TcpCase};
use crate::event::{Class, FindingRecord, HINT, Mode, Vantage};
use crate::flow::trouble::Closed;
use crate::text::units::Bytes;
use crate::time::{SECOND, Timestamp, seconds};

/// All that the recorders' side shows, and what a viewer's filter shows outside.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let flows =
        scene.cases.flows.iter().filter(|case| case.class == Class::Relay && case.established && !case.one_sided);
    let walls = flows.clone().filter_map(|case| closed_window(scene, case));
    let uploads: Vec<&Case> = flows.filter(|case| is_upload(scene, case)).collect();
    walls.chain(cycles(scene, &uploads)).collect()
}

fn is_upload(scene: &Scene<'_>, case: &Case) -> bool {
    scene.is_recorder_side(case) == Some(true) && !is_troubled(scene, case)
}

/// A receiver right behind the mirror that has taken a body for a while and now takes nothing more.
fn closed_window(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let tcp = case.tcp.as_ref()?;
    // outside the viewer's filter it is the originator that receives; inside, that is the viewer itself
    let receiver = match scene.vantage(case)? {
        Vantage::RecorderLan | Vantage::RecorderWan => Direction::Resp,
        Vantage::ClientWan => Direction::Orig,
        Vantage::ClientLan | Vantage::BothLegs => return None,
    };
    let (side, sender) = if receiver == Direction::Resp { (1, 0) } else { (0, 1) };
    let closed = tcp.trouble.get(side)?.closed;
    // who refuses a body need not read the rest of it
    if case.http.iter().flat_map(|http| &http.turns).any(|turn| turn.turn.status >= 400) {
        return None;
    }
    let taken = taken_before(tcp, sender, closed.since);
    if closed.nanos < nanos(settings.zero_window_seconds) || (taken as f64) < settings.zero_window_bytes {
        return None;
    }
    let signs = signs(scene, case);
    let near = signs.middlebox.rtt.is_some() || from_next_door(case, receiver).is_some();
    let behind = tcp.bursts.get(sender)?.iter().filter(|burst| burst.start > closed.since.after(closed.nanos));
    let went_on = behind.map(|burst| burst.bytes).sum::<u64>() as f64 >= settings.zero_window_bytes;
    let text = format!("the window closes after {} and stays closed for {:.0} s", Bytes(taken), seconds(closed.nanos));
    let mut draft = Draft::new(
        scene.rules,
        RuleId::Cf5,
        stopped_reading(tcp, sender, taken, closed),
        closed.since.after(closed.nanos),
    )
    .about(case)
    .middlebox(signs.middlebox)
    .say(Place::Seconds, format!("{:.0}", seconds(closed.nanos)))
    .say(Place::Bytes, Bytes(taken))
    .evidence(text, Some(closed.frame), Some(closed.since));
    draft = draft.vantage(scene.vantage(case));
    draft = signs.told.into_iter().fold(draft, |draft, sign| draft.evidence(sign, Some(case.first_frame), None));
    if !near || went_on {
        draft = draft.adjust(-settings.far_receiver);
    }
    // outside the viewer's filter a healthy proxy closes its window too, for a viewer that has paused
    if receiver == Direction::Orig {
        draft = draft.at_most(HINT);
    }
    Some(draft.build())
}

/// When a receiver whose window has closed stopped reading: its buffer has filled up since then, at the sender's rate.
fn stopped_reading(tcp: &TcpCase, sender: usize, taken: u64, closed: Closed) -> Timestamp {
    /// What a receiver's buffer holds at least, in bytes, before it has grown.
    const BUFFER: u64 = 64 << 10;
    let begun = tcp.bursts.get(sender).and_then(|bursts| bursts.first()).map_or(closed.since, |burst| burst.start);
    let sent_for = closed.since.since(begun);
    let filling = u128::from(sent_for).saturating_mul(u128::from(BUFFER)).checked_div(u128::from(taken)).unwrap_or(0);
    let filling = u64::try_from(filling).unwrap_or(u64::MAX).min(sent_for).min(2 * SECOND);
    Timestamp(closed.since.0.saturating_sub(filling))
}

/// Payload that a side had sent by a moment.
fn taken_before(tcp: &TcpCase, sender: usize, when: Timestamp) -> u64 {
    let bursts = tcp.bursts.get(sender).into_iter().flatten().filter(|burst| burst.start <= when);
    bursts.map(|burst| burst.bytes).sum()
}

/// Uploads that all end alike, cut by the other end without an answer.
fn cycles(scene: &Scene<'_>, uploads: &[&Case]) -> Vec<FindingRecord> {
    let mut found = Vec::new();
    let mut seen: Vec<(std::net::IpAddr, Option<&str>)> = Vec::new();
    for case in uploads {
        let pair = (case.orig.0, case.host.as_deref());
        if !seen.contains(&pair) {
            seen.push(pair);
            let same: Vec<&Case> = uploads
                .iter()
                .filter(|c| (c.orig.0, c.host.as_deref()) == pair && is_cut_off(scene, c))
                .copied()
                .collect();
            found.extend(cycle(scene, &same));
        }
    }
    found
}

/// Whether the other end has ended an upload that it had taken in, and said nothing.
fn is_cut_off(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.stall;
    let Some(tcp) = &case.tcp else { return false };
    let [sent, _] = case.payload;
    let [_, said] = tcp.turns;
    let ended = tcp.fin_by.or(tcp.rst_by) == Some(Direction::Resp);
    let answered = case.http.iter().flat_map(|http| &http.turns).any(|turn| turn.turn.answered.is_some());
    ended && said == 0 && !answered && sent as f64 >= settings.zero_window_bytes
}

fn cycle(scene: &Scene<'_>, lives: &[&Case]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let (first, last) = (lives.first()?, lives.last()?);
    let ages: Vec<f64> = lives.iter().map(|case| seconds(case.last.since(case.first()))).collect();
    let sums: Vec<f64> = lives.iter().map(|case| case.payload.iter().sum::<u64>() as f64).collect();
    let alike =
        varies_less_than(&ages, settings.cycle_life_share) && varies_less_than(&sums, settings.cycle_bytes_share);
    if (lives.len() as f64) < settings.cycle_lives || !alike {
        return None;
    }
    let age = ages.iter().sum::<f64>() / ages.len() as f64;
    let round =
        [30.0, 60.0, 120.0, 300.0, 600.0].iter().any(|timer| (age / timer - 1.0).abs() <= settings.cycle_timer_share);
    let mut draft = Draft::new(scene.rules, RuleId::Cf6, first.first(), last.last)
        .about(first)
        .flows(lives.iter().map(|case| case.identity.flow_id))
        .mode(Mode::UploadSwallow)
        .count(lives.len() as u64)
        .say(Place::Seconds, format!("{age:.0}"))
        // views of one length, one after the other, end so as well
        .at_most(HINT)
        .adjust(if round { settings.cycle_timer } else { 0.0 });
    draft = draft.vantage(scene.vantage(first));
    for case in lives {
        let text = format!(
            "after {:.1} s and {} the other end closes without an answer",
            seconds(case.last.since(case.first())),
            Bytes(case.payload.iter().sum())
        );
        draft = draft.evidence(text, Some(case.first_frame), Some(case.last));
    }
    Some(draft.build())
}
