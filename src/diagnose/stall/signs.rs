//! What else speaks for a box in between, or for the network, beside the silence itself.

use super::silence::{Answer, Silence, TLS13, answer_of, are_tickets, behind_request, silences};
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::{Case, Direction, TcpCase, is_core};
use crate::engine::learnt::{ANSWER_LEAST, Seen};
use crate::event::{Class, Middlebox};
use crate::time::{SECOND, Timestamp};

/// The signs of a box right behind the mirror.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// What they add to a confidence.
    pub weight: f64,
    /// Each in words, and where it was seen.
    pub told: Vec<(String, Seen)>,
    /// What is known of the box.
    pub middlebox: Middlebox,
}

/// The signs of a box between the originator and what the responder's address stands for.
pub fn signs(scene: &Scene<'_>, case: &Case) -> Signs {
    let settings = &scene.rules.settings.stall;
    let mut signs = Signs::default();
    let rtt = case.tcp.as_ref().and_then(|tcp| tcp.rtt_min);
    let far = !case.inside.get(1).copied().unwrap_or(true);
    let begun = Seen { ts: case.first(), frame: case.first_frame };
    if let Some(rtt) = rtt.filter(|rtt| far && *rtt < settings.near_rtt_seconds && others_are_far(scene, case)) {
        signs.add(settings.sign, format!("a round trip of {:.0} µs to an address on the Internet", rtt * 1e6), begun);
        signs.middlebox.rtt = Some(rtt);
    }
    if let Some(ttl) = case.from_next_door(Direction::Resp).filter(|_| far) {
        let text = format!("its packets come with a time to live of {ttl}: no router lies between");
        signs.add(settings.sign, text, begun);
        signs.middlebox.ttl = Some(ttl);
    }
    let mut turns = case.http.iter().flat_map(|http| &http.turns);
    if let Some((via, turn)) = turns.find_map(|turn| turn.via.clone().zip(Some(turn))) {
        let seen = turn.turn.answered.unwrap_or(begun);
        signs.add(settings.sign, format!("a proxy names itself: Via: {via}"), seen);
        signs.middlebox.via = Some(via);
    }
    signs.middlebox.issuer = case.tls.as_ref().and_then(|tls| tls.issuer.clone());
    signs.weight = signs.weight.min(settings.signs_max);
    signs
}

impl Signs {
    fn add(&mut self, weight: f64, told: String, seen: Seen) {
        self.weight += weight;
        self.told.push((told, seen));
    }

    /// Tells them as evidence.
    pub fn tell<'r>(&self, draft: Draft<'r>) -> Draft<'r> {
        self.told
            .iter()
            .fold(draft, |draft, (text, seen)| draft.evidence(text.as_str(), some_frame(seen.frame), Some(seen.ts)))
    }
}

/// Whether other hosts of the cloud are farther away than a box could be.
fn others_are_far(scene: &Scene<'_>, case: &Case) -> bool {
    let far = scene.rules.settings.stall.far_rtt_seconds;
    let others = scene.around(case).filter(|other| other.resp.0 != case.resp.0 && is_core(other.class, other.subs));
    others.filter_map(|other| other.tcp.as_ref()?.rtt_min).any(|rtt| rtt > far)
}

/// A connection of the same client to another service of the vendor that was answered around `when`: menus load.
pub fn sibling<'a>(scene: &Scene<'a>, case: &Case, when: Timestamp) -> Option<&'a Case> {
    let settings = &scene.rules.settings.stall;
    let near = nanos(settings.sibling_within_seconds);
    scene.around(case).find(|other| {
        other.identity.flow_id != case.identity.flow_id
            && is_core(other.class, other.subs)
            && other.last.after(near) >= when
            && other.first() <= when.after(near)
            && was_answered(scene, other)
    })
}

/// Whether a connection's requests were answered, and soon.
fn was_answered(scene: &Scene<'_>, case: &Case) -> bool {
    let settings = &scene.rules.settings.stall;
    let Some(tcp) = case.tcp.as_ref().filter(|_| case.established) else { return false };
    if answer_of(case, settings) != Answer::Whole {
        return false;
    }
    let soon = |asked: Timestamp, answered: Timestamp| answered.since(asked) <= nanos(settings.sibling_answer_seconds);
    match (&case.tls, &case.http) {
        (None, Some(http)) => {
            http.turns.iter().any(|turn| turn.turn.asked.zip(turn.turn.answered).is_some_and(|(a, b)| soon(a.ts, b.ts)))
        }
        (Some(tls), _) => {
            // who is silent because nobody asks is well
            let prompt = |silence: &Silence| {
                let behind = behind_request(case, tcp, silence, settings);
                behind.is_none_or(|waited| waited.seconds() < settings.sibling_answer_seconds)
            };
            let waits = silences(tcp, case.last, settings.sibling_answer_seconds);
            tls.flight.is_some() && waits.iter().all(|s| !s.asked || s.next.is_none() || prompt(s))
        }
        (None, None) => false,
    }
}

/// Says of a finding about a connection whose frames were cut what it can rest on, and is less sure of it.
pub fn mind_cut<'r>(scene: &Scene<'r>, case: &Case, draft: Draft<'r>) -> Draft<'r> {
    if !case.cut {
        return draft;
    }
    let at = match scene.quality.cut_at {
        0 => "frames are not whole".to_owned(),
        bytes => format!("frames are cut at {bytes} bytes"),
    };
    let text = format!("{at}: how much came, and when, is known by their headers, and not what it was");
    draft.adjust(-scene.rules.settings.stall.cut).evidence(text, None, None)
}

/// Why the network may be to blame, or the capture: then nothing is said of the connection.
pub fn is_troubled(scene: &Scene<'_>, case: &Case) -> bool {
    is_troubled_before(scene, case, Timestamp(u64::MAX))
}

/// The same for what was before `when`: what was held may come faster than the line can take it.
pub fn is_troubled_before(scene: &Scene<'_>, case: &Case, when: Timestamp) -> bool {
    let settings = &scene.rules.settings.stall;
    let Some(tcp) = &case.tcp else { return true };
    if case.one_sided {
        return true;
    }
    let share = |side: usize| {
        let trouble = tcp.trouble.get(side)?;
        let pkts = case.pkts.get(side).copied()?.max(1);
        let payload = case.payload.get(side).copied()?;
        let missed = trouble.missed > 0 && trouble.missed as f64 >= settings.loss_share * payload as f64;
        let lost = trouble.repeats() > 1
            && f64::from(trouble.repeats()) / pkts as f64 >= settings.loss_share
            && trouble.first_repeat < when;
        Some(missed || lost)
    };
    [0, 1].into_iter().filter_map(share).any(|lost| lost)
}

/// Whether the same client is shown video on another TCP connection meanwhile: then this one is no view that is held.
pub fn sees_video(scene: &Scene<'_>, case: &Case, from: Timestamp, until: Timestamp) -> bool {
    let settings = &scene.rules.settings.stall;
    let comes = |other: &Case, tcp: &TcpCase| {
        let [_, resp] = &tcp.bursts;
        let during = resp.iter().filter(|burst| burst.end >= from.after(SECOND) && burst.start <= until);
        other.subs.has(Sub::VideoDown)
            && during.map(|burst| burst.bytes).sum::<u64>() as f64 >= settings.zero_window_bytes
    };
    let others = scene.around(case).filter(|other| other.identity.flow_id != case.identity.flow_id);
    others.filter_map(|other| Some((other, other.tcp.as_ref()?))).any(|(other, tcp)| comes(other, tcp))
}

/// Whether media comes to the same client over UDP meanwhile, of this view or of another.
pub fn hears_media(scene: &Scene<'_>, case: &Case, from: Timestamp, until: Timestamp) -> bool {
    scene.around(case).any(|other| {
        other.media.is_some_and(|media| {
            let ([_, heard], [_, last]) = (media.sent, media.last);
            heard > 0 && last >= from.after(SECOND) && other.first() <= until
        })
    })
}

/// Whether a record is a session ticket by its length: on other connections of the same client, the same comes before
/// the answer.
pub fn is_ticket(scene: &Scene<'_>, case: &Case, length: u16) -> bool {
    const ALIKE: u16 = 4;
    let begins = |other: &Case| {
        let flight = other.tls.as_ref()?.flight?;
        Some(flight.lengths().len() > 1 && flight.lengths().first()?.abs_diff(length) <= ALIKE)
    };
    scene.around(case).any(|other| other.identity.flow_id != case.identity.flow_id && begins(other) == Some(true))
}

/// Whether drops of this size within TLS, with their records, come behind the head of an answer and hold more than a
/// byte each: then they may be events, told as they happen.
pub fn may_be_events(scene: &Scene<'_>, case: &Case, drop: u64) -> bool {
    /// A byte in a record: type and tag of TLS 1.3, number and tag of AES-GCM in TLS 1.2 (RFC 8446 section 5.2, RFC
    /// 5288 section 3), and the record's header.
    const ONE_BYTE: [u64; 2] = [23, 30];
    /// Records are alike in length, in bytes.
    const ALIKE: u64 = 16;
    const HEADER: u64 = 5;
    let Some((tls, flight)) = case.tls.as_ref().and_then(|tls| Some((tls, tls.flight.as_ref()?))) else { return false };
    let [sealed, numbered] = ONE_BYTE;
    let one_byte = drop <= if tls.version == TLS13 { sealed } else { numbered };
    // who opens TLS on the way does so to hold back what it cannot judge yet
    let opened = tls.issuer.as_deref().is_some_and(|issuer| !scene.rules.authorities.is_public(issuer));
    if one_byte || opened {
        return false;
    }
    let other = |length: &u16| u64::from(*length).saturating_add(HEADER).abs_diff(drop) > ALIKE;
    let lengths = flight.lengths().iter().copied().filter(|length| *length >= ANSWER_LEAST);
    match &lengths.filter(other).collect::<Vec<u16>>()[..] {
        [] => false,
        [length] if tls.version == TLS13 => !is_ticket(scene, case, *length),
        lengths => tls.version != TLS13 || !are_tickets(lengths),
    }
}

/// The connections of the same client to the same host as `case`, it included, that began within the time of one
/// attempt to view and its repetitions. Each recorder has a name of its own at the relay: another may be tried next.
pub fn attempts<'a>(scene: &Scene<'a>, case: &Case) -> Vec<&'a Case> {
    let near = nanos(scene.rules.settings.stall.attempts_within_seconds);
    let same = |other: &&Case| {
        other.class == case.class
            && (other.host == case.host || case.class == Class::Relay)
            && other.first().0.abs_diff(case.first().0) <= near
    };
    scene.around(case).filter(same).collect()
}

/// A later attempt that plays at once: whatever held `case` lets video through by then.
pub fn plays_later<'a>(scene: &Scene<'a>, case: &Case) -> Option<&'a Case> {
    let later = |other: &&Case| case.is_over() && other.first() >= case.last;
    attempts(scene, case).into_iter().find(|other| later(other) && plays_at_once(scene, other))
}

/// Whether a view plays without having been kept waiting.
pub fn plays_at_once(scene: &Scene<'_>, case: &Case) -> bool {
    let least = scene.rules.settings.stall.give_up_seconds;
    let waits = case.tcp.as_ref().map(|tcp| silences(tcp, case.until(scene.cases.last), least));
    case.subs.has(Sub::VideoDown) && waits.is_some_and(|waits| waits.iter().all(|silence| !silence.asked))
}

/// Whether what a connection brought since the other side last spoke is an upload, whoever's it is.
pub fn is_upload_shaped(scene: &Scene<'_>, case: &Case) -> bool {
    const FAR_MORE: u64 = 4;
    let [up, down] = case.payload;
    let said = case.tcp.as_ref().map_or(0, |tcp| tcp.turns[0]);
    f64::from(said) >= scene.rules.settings.stall.upload_bytes && up > down.saturating_mul(FAR_MORE)
}

/// A frame, where one is known.
pub fn some_frame(frame: u64) -> Option<u64> {
    (frame != 0).then_some(frame)
}
