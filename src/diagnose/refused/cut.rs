//! CF-7 where no refusal is to be read: uploads are ended as soon as they begin, in the clear or within TLS.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Told;
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::stall::signs::{is_ticket, signs};
use crate::diagnose::stall::silence::are_tickets;
use crate::engine::case::{Case, Direction, TlsCase, is_core};
use crate::engine::learnt::turn;
use crate::event::{Class, FindingRecord, Manner};
use crate::time::Timestamp;

/// As long as a handshake is on the client's side, in bytes.
const HANDSHAKE: f64 = 2_048.0;
/// No alert's record is longer, in bytes: two, with what each cipher adds (RFC 8446 §5.2, RFC 5288 §3).
const ALERT_MOST: u16 = 31;

const RESET: &str = "reset";

/// An upload that was ended by the other side.
#[derive(Clone, Copy)]
struct Cut<'c> {
    case: &'c Case,
    began: Timestamp,
    at: Timestamp,
    frame: Option<u64>,
    how: &'static str,
    /// It was no answer that came before the end, and not only likely none.
    firm: bool,
}

/// Recorders' uploads to one host that are ended in their beginning: once is a hint, each of several a claim.
pub(super) fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut cuts: BTreeMap<(IpAddr, &str), Vec<Cut<'_>>> = BTreeMap::new();
    for case in scene.of_class(Class::Relay) {
        let Some(host) = case.host.as_deref() else { continue };
        if let Some(cut) = cut(scene, case) {
            cuts.entry((case.orig.0, host)).or_default().push(cut);
        }
    }
    cuts.into_iter().filter_map(|((client, host), cuts)| judge(scene, client, host, &cuts)).collect()
}

fn cut<'c>(scene: &Scene<'_>, case: &'c Case) -> Option<Cut<'c>> {
    let settings = &scene.rules.settings.refused;
    let tcp = case.tcp.as_ref()?;
    let read = case.established && !case.one_sided && !case.midstream && !case.cut;
    if !read || scene.is_recorder_side(case) != Some(true) {
        return None;
    }
    let (at, frame, how) = match (tcp.reset, tcp.fin_by) {
        (Some(reset), None) if reset.by == Direction::Resp => (reset.seen.ts, Some(reset.seen.frame), RESET),
        (_, Some(Direction::Resp)) => (case.last, None, "closed"),
        _ => return None,
    };
    let sent = case.payload[0] as f64;
    // who takes in all that is sent and closes in good order has swallowed it, or answered nothing that was worth a
    // word
    let broken = how == RESET || tcp.unacknowledged[0].is_some_and(|bytes| bytes > 0);
    let (began, least, firm) = match (&case.tls, &case.http) {
        (Some(tls), _) => {
            // one round trip or two go to the handshake, and one to TCP's
            let trips = 4.0 * tcp.rtt_min.unwrap_or(0.0);
            (case.first().after(nanos(trips)), HANDSHAKE, said_nothing(scene, case, tls, tcp.fin_by.is_none())?)
        }
        (None, Some(http)) => {
            let whole = |told: &Told<'_>| told.turn.turn.length().is_some_and(|length| case.payload[0] >= length);
            let upload =
                |told: &Told<'_>| told.is(turn::POST | turn::SENDS_MESSAGE) && told.status() == 0 && !whole(told);
            let told = http.turns.iter().map(|turn| Told { case, turn }).find(upload)?;
            (told.asked(), 0.0, (case.payload[1] == 0).then_some(true)?)
        }
        (None, None) => return None,
    };
    let soon = at <= began.after(nanos(settings.refusal_seconds));
    (soon && sent >= settings.upload_bytes + least).then_some(Cut { case, began, at, frame, how, firm: firm && broken })
}

/// Whether nothing but an alert and session tickets has come behind a finished handshake, and how firm that is. Tickets
/// are no answer, and known by their lengths alone: before an end in good order (not `reset`) one of them may be an
/// answer.
fn said_nothing(scene: &Scene<'_>, case: &Case, tls: &TlsCase, reset: bool) -> Option<bool> {
    let flight = tls.flight.filter(|flight| !flight.is_left() && !flight.missed && case.is_served())?;
    let lengths: Vec<u16> = flight.lengths().iter().copied().filter(|length| *length > ALERT_MOST).collect();
    match &lengths[..] {
        [] => Some(true),
        [length] if reset && is_ticket(scene, case, *length) => Some(true),
        [_, _] if are_tickets(&lengths) => Some(reset),
        _ => None,
    }
}

fn judge(scene: &Scene<'_>, client: IpAddr, host: &str, cuts: &[Cut<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.refused;
    let (first, last) = (cuts.first()?, cuts.last()?);
    let is_cut = |case: &Case| cuts.iter().any(|cut| cut.case.first_frame == case.first_frame);
    let least = cuts.iter().map(|cut| cut.case.payload[0]).min().unwrap_or(0);
    // a view that somebody ends at once is cut so too: who lets another upload run refuses none
    let runs = |case: &Case| {
        let up = case.tcp.as_ref().map(|tcp| &tcp.bursts[0]);
        case.subs.has(Sub::VideoUp) || up.into_iter().flatten().any(|burst| burst.bytes >= least)
    };
    if scene.of_client(client).any(|case| case.class == Class::Relay && !is_cut(case) && runs(case)) {
        return None;
    }
    let other = scene.served(client).find(|case| is_core(case.class, case.subs) && !is_cut(case));
    let signs = signs(scene, first.case);
    let often = cuts.iter().filter(|cut| cut.firm).count() as f64 >= settings.cuts;
    let base = if often { settings.cut_often + signs.weight } else { settings.sealed };
    let mut draft = Draft::new(scene.rules, RuleId::Cf7, first.began, last.at)
        .about(first.case)
        .flows(cuts.iter().map(|cut| cut.case.identity.flow_id))
        .count(cuts.len() as u64)
        .host(host)
        .middlebox(signs.middlebox.clone())
        .manner(Manner::CutOff)
        .say(Place::Status, first.how)
        .base(base)
        .at_most(if often && other.is_some() { 1.0 } else { settings.sealed });
    for cut in cuts {
        let text = format!("an upload is {} before it is answered, as soon as it has begun", cut.how);
        draft = draft.evidence(text, cut.frame.or(Some(cut.case.first_frame)), Some(cut.at));
    }
    if let Some(case) = other {
        let text = format!("{} answers", case.host.as_deref().unwrap_or("another host"));
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    Some(signs.tell(draft).vantage(scene.vantage(first.case)).build())
}
