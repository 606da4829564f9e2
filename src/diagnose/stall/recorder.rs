//! The recorder's side of a hold: an upload that nobody takes any more, or that ends the same way again and again
//! (CF-5, CF-6), and what cannot be told from there.

use std::collections::HashMap;

use super::signs::{is_troubled, is_upload_shaped, mind_cut, signs};
use super::silence::{is_unasked, varies_less_than};
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::settings::Stall;
use crate::engine::case::{Case, Direction, TcpCase};
use crate::engine::learnt::turn::CONTINUED;
use crate::event::{Class, FindingRecord, HINT, Manner, Mode, Vantage};
use crate::flow::trouble::Closed;
use crate::text::units::Bytes;
use crate::time::{SECOND, Timestamp, seconds};

/// All that the recorders' side shows, and what a viewer's filter shows outside.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let flows = scene.of_class(Class::Relay).filter(|case| case.established && !case.one_sided);
    let walls = flows.clone().filter_map(|case| closed_window(scene, case));
    let uploads: Vec<&Case> = flows.filter(|case| is_upload(scene, case)).collect();
    walls.chain(cycles(scene, &uploads)).collect()
}

fn is_upload(scene: &Scene<'_>, case: &Case) -> bool {
    scene.is_recorder_side(case).unwrap_or_else(|| is_upload_shaped(scene, case)) && !is_troubled(scene, case)
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
    let turns = || case.http.iter().flat_map(|http| &http.turns).map(|turn| &turn.turn);
    if turns().any(|turn| turn.status >= 400) {
        return None;
    }
    let taken = taken_before(tcp, sender, closed.since);
    if closed.nanos < nanos(settings.zero_window_seconds) || (taken as f64) < settings.zero_window_bytes {
        return None;
    }
    let signs = signs(scene, case);
    let near = signs.middlebox.rtt.is_some() || case.from_next_door(receiver).is_some();
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
    .middlebox(signs.middlebox.clone())
    .say(Place::Seconds, format!("{:.0}", seconds(closed.nanos)))
    .say(Place::Bytes, Bytes(taken))
    .evidence(text, Some(closed.frame), Some(closed.since));
    draft = mind_cut(scene, case, draft.vantage(scene.vantage(case)));
    draft = signs.tell(draft);
    if !near || went_on {
        draft = draft.adjust(-settings.far_receiver);
    }
    // outside the viewer's filter a healthy proxy closes its window too, for a viewer that has paused
    // and what it has said and was not read, as it was cut or not in order, may have been a refusal
    let said = case.tls.is_none() && case.payload.get(side).is_some_and(|said| *said > 0);
    let unread = said && (case.cut || !turns().any(|turn| turn.answered.is_some() || turn.marks & CONTINUED != 0));
    if receiver == Direction::Orig || unread {
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
    closed.since.before(filling)
}

/// Payload that a side had sent by a moment.
fn taken_before(tcp: &TcpCase, sender: usize, when: Timestamp) -> u64 {
    let bursts = tcp.bursts.get(sender).into_iter().flatten().filter(|burst| burst.start <= when);
    bursts.map(|burst| burst.bytes).sum()
}

/// An upload that was taken in and got no answer.
#[derive(Clone, Copy)]
struct Life<'a> {
    case: &'a Case,
    /// When it was begun.
    asked: Timestamp,
    /// It was as long as it had said, so that an answer was due.
    whole: bool,
    /// For how long its sender waited for an answer, in nanoseconds.
    waited: u64,
    /// Its receiver took no more in the end, which is no silence but a word.
    walled: bool,
}

/// Uploads to one host that are taken in and not answered, one after the other.
fn cycles(scene: &Scene<'_>, uploads: &[&Case]) -> Vec<FindingRecord> {
    let mut groups: Vec<Vec<&Case>> = Vec::new();
    let mut places = HashMap::new();
    for case in uploads {
        let place = *places.entry((case.orig.0, case.host.as_deref())).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    let of_group = |group: &Vec<&Case>| {
        let carrying = || group.iter().filter(|case| carries(scene, case));
        let lives: Vec<Life<'_>> = carrying().filter_map(|case| unanswered(scene, case)).collect();
        // one that is left without an answer among many that get theirs is an accident
        if lives.len().saturating_mul(2) >= carrying().count() { cycle(scene, &lives) } else { None }
    };
    groups.iter().filter_map(of_group).collect()
}

/// Whether an upload brought more than what a connection's idle talk comes to.
fn carries(scene: &Scene<'_>, case: &Case) -> bool {
    let [sent, _] = case.payload;
    sent as f64 >= scene.rules.settings.stall.upload_bytes
}

/// An upload that was taken in, and either ended by the other end without an answer, or waited for one in vain.
fn unanswered<'a>(scene: &Scene<'_>, case: &'a Case) -> Option<Life<'a>> {
    /// An alert that ends TLS, with its header, is no answer.
    const ALERT: u32 = 31;
    let settings = &scene.rules.settings.stall;
    let tcp = case.tcp.as_ref()?;
    let ([sent, _], [_, said]) = (case.payload, tcp.turns);
    let taken = tcp.unacknowledged.first().copied().flatten()? <= 1;
    let turns = case.http.as_ref().filter(|_| case.tls.is_none()).map(|http| &http.turns[..]);
    let last = turns.and_then(<[_]>::last);
    let unasked = case.tls.as_ref().is_some_and(|tls| is_unasked(tls, said, settings));
    if !taken || said > ALERT && !unasked || last.is_some_and(|last| last.turn.answered.is_some()) {
        return None;
    }
    let end = case.until(scene.cases.last);
    let [orig, _] = &tcp.bursts;
    let said_last = orig.last()?.end;
    let waited = end.since(said_last);
    let [_, Closed { since, nanos: closed, .. }] = tcp.trouble.map(|trouble| trouble.closed);
    let walled = closed > 0 && since.after(closed) >= said_last;
    let told: u64 = turns.into_iter().flatten().filter_map(|turn| turn.turn.length()).fold(0, u64::saturating_add);
    let whole = last.is_some_and(|last| last.turn.sends > 0) && sent >= told;
    let ended = is_ended_by_receiver(tcp);
    let asked = last.and_then(|last| last.turn.asked).map_or(case.first(), |asked| asked.ts);
    (ended || waited >= nanos(settings.give_up_seconds)).then_some(Life { case, asked, whole, waited, walled })
}

fn cycle(scene: &Scene<'_>, all: &[Life<'_>]) -> Option<FindingRecord> {
    /// Nobody is answered sooner, in nanoseconds.
    const HARDLY: u64 = SECOND / 2;
    let settings = &scene.rules.settings.stall;
    let enough = |lives: &[Life<'_>]| lives.len() as f64 >= settings.cycle_lives;
    let of = |is: &dyn Fn(&Life<'_>) -> bool| all.iter().filter(|life| is(life)).copied().collect::<Vec<_>>();
    // an answer was due to what is whole, and is awaited by who waits; who is cut off may have been seen enough
    let whole = of(&|life| life.whole);
    let waiting = of(&|life| life.waited >= nanos(settings.give_up_seconds) && !life.walled);
    let cut = of(&|life| life.case.payload.iter().sum::<u64>() as f64 >= settings.zero_window_bytes);
    let (waiting, cut) = (in_turn(waiting), in_turn(cut));
    let (lives, sure) = match () {
        () if enough(&whole) => (whole, true),
        // who ends an upload itself may have no viewer any more, unless a box has taken it
        () if enough(&waiting) && are_alike(scene, &waiting) => {
            let ended = |life: &Life<'_>| life.case.tcp.as_ref().is_some_and(is_ended_by_receiver);
            let sure = waiting.iter().all(|life| ended(life) || !signs(scene, life.case).told.is_empty());
            (waiting, sure)
        }
        () if enough(&cut) && are_alike(scene, &cut) => {
            let sure = are_timed_out(scene, &cut);
            (cut, sure)
        }
        () => return None,
    };
    let (first, last) = (lives.first()?, lives.last()?);
    let (age, round) = age_of(scene, &lives);
    let whole = lives.iter().all(|life| life.whole && life.waited < HARDLY);
    let mut draft = Draft::new(scene.rules, RuleId::Cf6, first.asked, last.case.last)
        .about(first.case)
        .flows(lives.iter().map(|life| life.case.identity.flow_id))
        .mode(Mode::UploadSwallow)
        .manner(whole.then_some(Manner::Whole))
        .count(lives.len() as u64)
        .say(Place::Seconds, format!("{age:.0}"))
        .adjust(if round { settings.cycle_timer } else { 0.0 });
    // views of one length, one after the other, end so as well
    draft = if sure { draft } else { draft.at_most(HINT) };
    draft = mind_cut(scene, first.case, draft.vantage(scene.vantage(first.case)));
    for Life { case, whole, waited, .. } in lives {
        let body = if whole { ", the whole body" } else { "" };
        let then = match waited {
            ..HARDLY => "ended at once, unanswered".to_owned(),
            _ => format!("no answer in {:.1} s", seconds(waited)),
        };
        let text = format!("{} taken in{body}, and {then}", Bytes(case.payload.iter().sum()));
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    Some(draft.build())
}

/// Those that are over, each begun when the one before was.
fn in_turn(lives: Vec<Life<'_>>) -> Vec<Life<'_>> {
    let mut found: Vec<Life<'_>> = Vec::new();
    for life in lives.into_iter().filter(|life| life.case.is_over()) {
        if found.last().is_none_or(|before| before.case.last <= life.case.first()) {
            found.push(life);
        }
    }
    found
}

/// The mean age of uploads in seconds, and whether it is somebody's timer.
fn age_of(scene: &Scene<'_>, lives: &[Life<'_>]) -> (f64, bool) {
    let age = ages(lives).iter().sum::<f64>() / lives.len() as f64;
    (age, timer(&scene.rules.settings.stall, age))
}

/// Whether so many seconds are what somebody sets a timer to.
pub fn timer(settings: &Stall, age: f64) -> bool {
    let share = settings.cycle_timer_share;
    [30.0, 60.0, 120.0, 300.0, 600.0].iter().any(|timer| (age / timer - 1.0).abs() <= share)
}

/// How old each became, in seconds.
fn ages(lives: &[Life<'_>]) -> Vec<f64> {
    lives.iter().map(|life| seconds(life.case.last.since(life.case.first()))).collect()
}

/// Whether uploads were broken off by a timer, more often than chance would have it. Views end at their viewers' will,
/// and the relay ends them in good order.
fn are_timed_out(scene: &Scene<'_>, lives: &[Life<'_>]) -> bool {
    let settings = &scene.rules.settings.stall;
    let broken_off = |life: &Life<'_>| {
        let by_receiver = |tcp: &TcpCase| tcp.rst_by == Some(Direction::Resp) && tcp.fin_by.is_none();
        let box_ends = |tcp: &TcpCase| is_ended_by_receiver(tcp) && !signs(scene, life.case).told.is_empty();
        life.case.tcp.as_ref().is_some_and(|tcp| by_receiver(tcp) || box_ends(tcp))
    };
    let (_, round) = age_of(scene, lives);
    lives.len() as f64 > settings.cycle_lives
        && round
        && varies_less_than(&ages(lives), settings.cycle_timer_share)
        && lives.iter().all(broken_off)
}

fn is_ended_by_receiver(tcp: &TcpCase) -> bool {
    tcp.fin_by.or(tcp.rst_by) == Some(Direction::Resp)
}

/// Whether uploads are of one length, in time and in bytes.
fn are_alike(scene: &Scene<'_>, lives: &[Life<'_>]) -> bool {
    let settings = &scene.rules.settings.stall;
    let sums: Vec<f64> = lives.iter().map(|life| life.case.payload.iter().sum::<u64>() as f64).collect();
    varies_less_than(&ages(lives), settings.cycle_life_share) && varies_less_than(&sums, settings.cycle_bytes_share)
}
