//! What goes wrong in the beginning of TLS: D-7 to D-11.

mod authorities;
mod clock;
mod hello;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::draft::Draft;
use super::reach::{Gap, Siblings};
use super::rules::{Place, RuleId};
use super::scene::{Scene, within};
use crate::engine::case::{Case, Direction, ResetCase, TlsCase};
use crate::engine::learnt::{AlertSeen, SEALED_ALERT};
use crate::event::{FindingRecord, Manner, Middlebox};
use crate::inspect::tls::Alert;
use crate::time::{Timestamp, seconds};

/// TLS 1.3 (RFC 8446 §4.2.1): from here on certificates and later alerts are encrypted.
const TLS13: u16 = 0x0304;
/// Alerts that are no faults, `close_notify` and `user_canceled` (RFC 8446 §6.1).
const CLOSE: u8 = 0;
const CANCELED: u8 = 90;

/// What is wrong with TLS.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut found = Vec::new();
    let all = attempts(scene);
    let served = Served::of(scene, &all);
    for attempts in all.values() {
        found.extend(cut(scene, &served, attempts));
        found.extend(hello::detect(scene, attempts));
        found.extend(alerted(scene, attempts));
        found.extend(sealed(scene, attempts));
    }
    found.extend(authorities::detect(scene, &all));
    found.extend(clock::detect(scene, &all));
    found
}

/// A TLS connection to a name of the vendor's list.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    case: &'a Case,
    tls: &'a TlsCase,
    host: &'a str,
}

/// All of them, by client and name, in the order of their first packets.
type Attempts<'a> = BTreeMap<(IpAddr, &'a str), Vec<Attempt<'a>>>;

fn attempts<'a>(scene: &Scene<'a>) -> Attempts<'a> {
    let mut found = Attempts::new();
    for case in scene.cases.flows.iter().filter(|case| case.is_tcp() && !case.one_sided) {
        let (Some(tls), Some(host)) = (case.tls.as_ref(), case.host.as_deref()) else { continue };
        if !tls.dtls && scene.is_listed(&case.known) {
            found.entry((case.orig.0, host)).or_default().push(Attempt { case, tls, host });
        }
    }
    found
}

/// Whether a later connection of the same client to the same name did what it is there for.
fn is_served_later(attempts: &[Attempt<'_>], than: &Case) -> bool {
    attempts.iter().any(|later| later.case.first() > than.first() && later.case.is_served())
}

/// The first TLS connections of each client that did what they are there for, to two names.
struct Served<'a>(HashMap<IpAddr, [Option<&'a Case>; 2]>);

impl<'a> Served<'a> {
    fn of(scene: &Scene<'a>, attempts: &Attempts<'a>) -> Self {
        let two = |client| {
            let mut served = scene.served(client).filter(|case| case.tls.is_some());
            let first = served.next();
            [first, served.find(|case| first.is_some_and(|first| case.host != first.host))]
        };
        Served(
            attempts
                .keys()
                .map(|(client, _)| *client)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|client| (client, two(client)))
                .collect(),
        )
    }

    /// The first to another name than that of an attempt.
    fn beside(&self, attempt: &Attempt<'_>) -> Option<&'a Case> {
        let served = self.0.get(&attempt.case.orig.0)?;
        served.iter().flatten().copied().find(|case| case.host.as_deref() != Some(attempt.host))
    }
}

impl<'a> Attempt<'a> {
    /// Whether nothing has come back to the hello. In a proxy's tunnel, which it has made with a word of its own,
    /// nothing since.
    fn is_unanswered(&self) -> bool {
        let silent = match self.case.via_proxy {
            None => self.case.payload[1] == 0,
            Some(_) => self.case.tcp.as_ref().is_some_and(|tcp| tcp.turns[1] == 0),
        };
        self.case.established && self.tls.version == 0 && silent
    }

    /// When the hello was sent: it is the client's last word.
    fn hello_at(&self) -> Timestamp {
        let spoke = self.case.tcp.as_ref().and_then(|tcp| tcp.spoke);
        spoke.map_or(self.case.first(), |spoke| spoke.ts)
    }

    /// The reset that came in the place of the server's answer, and whether another than the server has sent it.
    fn reset(&self, scene: &Scene<'_>) -> Option<(ResetCase, bool)> {
        let tls = &scene.rules.settings.tls;
        let tcp = self.case.tcp.as_ref()?;
        let reset = tcp.reset?;
        let side = if reset.by == Direction::Orig { self.case.ttl[0] } else { self.case.ttl[1] };
        let foreign = side != 0 && f64::from(reset.ttl.abs_diff(side)) > tls.foreign_hops;
        let soon = self.is_soon(scene, reset.seen.ts);
        let unanswered = self.is_unanswered() && reset.by == Direction::Resp;
        // what the server sends to a connection that is gone may still come after a foreign reset
        let overtaken = foreign && !self.case.is_served();
        (self.case.established && soon && (unanswered || overtaken)).then_some((reset, foreign))
    }

    /// When the server's side closed the connection in good order in the place of its answer, as some boxes do.
    fn closed(&self, scene: &Scene<'_>) -> Option<Timestamp> {
        let tcp = self.case.tcp.as_ref()?;
        let closes = tcp.fin_by == Some(Direction::Resp) && tcp.rst_by.is_none();
        (closes && self.is_unanswered() && self.is_soon(scene, self.case.last)).then_some(self.case.last)
    }

    /// Whether that is too soon for a server's proper answer: one round trip for the hello, and what a client needs to
    /// make it. A connection may take its time to be made, by a SYN that is lost or by a proxy.
    fn is_soon(&self, scene: &Scene<'_>, then: Timestamp) -> bool {
        let tls = &scene.rules.settings.tls;
        let trip = self.case.tcp.as_ref().and_then(|tcp| tcp.rtt_min).unwrap_or(0.0);
        within(then, self.hello_at(), trip + tls.think_seconds + tls.reset_seconds)
    }

    /// What came in the place of the server's answer.
    fn cut(&self, scene: &Scene<'_>) -> Option<Cut> {
        let reset = self.reset(scene).map(|(reset, foreign)| Cut {
            at: reset.seen.ts,
            frame: Some(reset.seen.frame),
            foreign: foreign.then_some(reset),
            how: "reset",
        });
        reset.or_else(|| self.closed(scene).map(|at| Cut { at, frame: None, foreign: None, how: CLOSED }))
    }

    /// Whether the client has answered the server's part of a TLS 1.3 handshake by an encrypted alert, and left.
    fn is_refused_in_secret(&self) -> bool {
        let left = self
            .case
            .tcp
            .as_ref()
            .is_some_and(|tcp| tcp.fin_by == Some(Direction::Orig) || tcp.rst_by == Some(Direction::Orig));
        let refuses = |flight: crate::engine::learnt::Flight| {
            flight.client == 1 && flight.first == SEALED_ALERT && flight.answered == 0
        };
        self.tls.version == TLS13 && left && self.tls.flight.is_some_and(refuses)
    }
}

/// The end of a connection that came instead of the server's answer to its hello.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Timestamp,
    frame: Option<u64>,
    /// The reset of another than the server.
    foreign: Option<ResetCase>,
    /// In a word.
    how: &'static str,
}

/// A connection that was ended in good order.
const CLOSED: &str = "closed";

/// D-7: cut as soon as the name is read.
fn cut(scene: &Scene<'_>, served: &Served<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let cuts: Vec<(Attempt<'_>, Cut)> =
        attempts.iter().filter_map(|attempt| Some((*attempt, attempt.cut(scene)?))).collect();
    let (lead, first) = *cuts.first()?;
    let foreign = cuts.iter().find_map(|(attempt, cut)| Some((attempt, cut.foreign?)));
    if foreign.is_none() && is_served_later(attempts, lead.case) {
        return None;
    }
    let passes = served.beside(&lead);
    let often = cuts.len() as f64 >= tls.resets && passes.is_some();
    // a server that has nobody to answer may close as politely
    let politely = cuts.iter().all(|(_, cut)| cut.how == CLOSED);
    let confidence = match cuts.len() {
        _ if foreign.is_some() || often && !politely => tls.injected,
        1 => tls.doubtful,
        _ if politely && !often => tls.doubtful,
        _ => tls.d_7,
    };
    let last = cuts.last().map_or(lead.case.last, |(_, cut)| cut.at);
    let text = format!(
        "the connection is {} {:.3} s after it was asked for, the ClientHello unanswered",
        first.how,
        seconds(first.at.since(lead.case.first()))
    );
    let mut draft = Draft::new(scene.rules, RuleId::D7, first.at, last)
        .lead(&lead.case.identity)
        .flows(cuts.iter().map(|(attempt, _)| attempt.case.identity.flow_id))
        .host(lead.host)
        .base(confidence)
        .count(cuts.len() as u64)
        .evidence(format!("a ClientHello asks for {}", lead.host), Some(lead.tls.hello_frame), None)
        .evidence(text, first.frame, Some(first.at));
    if let Some((other, reset)) = foreign {
        let side = usize::from(reset.by == Direction::Resp);
        let usual = other.case.ttl.get(side).copied().unwrap_or(0);
        let text = format!(
            "its time to live is {}, that of the genuine packets {usual}: somebody else has sent it",
            reset.ttl
        );
        let box_ = Middlebox { ttl: Some(reset.ttl), ..Middlebox::default() };
        draft = draft.middlebox(box_).evidence(text, Some(reset.seen.frame), Some(reset.seen.ts));
    }
    if let Some(case) = passes {
        let text = format!("TLS to {} passes", case.host.as_deref().unwrap_or("another host"));
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    Some(draft.build())
}

/// D-37 of names that are cut off.
pub(super) fn gaps<'a>(scene: &Scene<'a>, siblings: &mut Siblings<'a>) -> Vec<FindingRecord> {
    let all = attempts(scene);
    let served = Served::of(scene, &all);
    let of = |attempts: &Vec<Attempt<'_>>| {
        let finding = cut(scene, &served, attempts).filter(FindingRecord::is_claim)?;
        let (lead, cut) = attempts.iter().find_map(|a| Some((a, a.cut(scene)?)))?;
        let gap = Gap {
            client: lead.case.orig.0,
            host: lead.host,
            known: lead.case.known,
            port: lead.case.port(),
            lead: &lead.case.identity,
            first: finding.first,
            last: finding.last,
            frame: cut.frame.unwrap_or(lead.tls.hello_frame),
            unfound: false,
        };
        let text = format!("TLS to {} is {} as soon as the name is read", lead.host, cut.how);
        gap.tell(scene, siblings, finding.confidence, &text)
    };
    all.values().filter_map(of).collect()
}

/// Whether an alert refuses what was proposed, and not who the other is (RFC 8446 §6.2, RFC 7507 §3, RFC 7301 §3.2): a
/// client proposes less then, and older servers say by any of these that a hello is too new for them.
const fn is_of_terms(description: u8) -> bool {
    matches!(description, 40 | 47 | 50 | 70 | 71 | 86 | 110 | 120)
}

/// What an alert comes to for whoever must act (RFC 8446 §6.2): who is shown a certificate does not take it, or the
/// ends agree on nothing.
const fn manner_of(description: u8) -> Option<Manner> {
    match description {
        42..=44 | 46 | 48 => Some(Manner::Distrust),
        45 => Some(Manner::Expired),
        _ if is_of_terms(description) => Some(Manner::Terms),
        _ => None,
    }
}

/// D-10: one side ends the handshake and says why.
fn alerted(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    // clients try again with less, and that is how versions are agreed on: each time, where nobody remembers it
    let mut served: Vec<Timestamp> =
        attempts.iter().filter(|attempt| attempt.case.is_served()).map(|attempt| attempt.case.first()).collect();
    served.sort_unstable();
    let agreed = |alert: AlertSeen| {
        let next = served.get(served.partition_point(|first| *first < alert.seen.ts));
        is_of_terms(alert.description) && next.is_some_and(|next| within(*next, alert.seen.ts, tls.again_seconds))
    };
    let alerts: Vec<_> = attempts
        .iter()
        .filter_map(|a| Some((a, a.tls.alert?)))
        .filter(|(_, (alert, _))| !matches!(alert.description, CLOSE | CANCELED) && !agreed(*alert))
        .collect();
    let (lead, (alert, by)) = *alerts.first()?;
    let (last, (newest, _)) = *alerts.last()?;
    // what works in the end has been put right, or was a matter of one server of several
    let over = is_served_later(attempts, last.case);
    if over && alerts.len() == 1 {
        return None;
    }
    let who = if by == Direction::Orig {
        lead.case.orig.0.to_string()
    } else {
        format!("the server at {}", lead.case.resp.0)
    };
    let name = Alert { level: 2, description: alert.description }.name();
    Some(
        Draft::new(scene.rules, RuleId::D10, alert.seen.ts, newest.seen.ts)
            .lead(&lead.case.identity)
            .flows(alerts.iter().map(|(attempt, _)| attempt.case.identity.flow_id))
            .host(lead.host)
            .count(alerts.len() as u64)
            .at_most(if over { tls.doubtful } else { 1.0 })
            .manner(manner_of(alert.description))
            .say(Place::Alert, &name)
            .evidence(format!("{who} says {name}"), Some(alert.seen.frame), Some(alert.seen.ts))
            .build(),
    )
}

/// D-10 where it is TLS 1.3: the client leaves by an encrypted alert, time after time.
fn sealed(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Option<FindingRecord> {
    let tls = &scene.rules.settings.tls;
    let refused: Vec<&Attempt<'_>> = attempts.iter().filter(|attempt| attempt.is_refused_in_secret()).collect();
    let lead = *refused.first()?;
    if is_served_later(attempts, lead.case) {
        return None;
    }
    let flight = lead.tls.flight?;
    let once = (refused.len() as f64) < tls.sealed_alerts;
    let text =
        "the client answers the server's part of the handshake by one record as long as an encrypted alert, and leaves";
    Some(
        Draft::new(scene.rules, RuleId::D10, flight.asked.ts, refused.last().map_or(lead.case.last, |a| a.case.last))
            .lead(&lead.case.identity)
            .flows(refused.iter().map(|attempt| attempt.case.identity.flow_id))
            .host(lead.host)
            .count(refused.len() as u64)
            .base(if once { tls.doubtful } else { tls.sealed_alert })
            .manner(Manner::Distrust)
            .say(Place::Alert, "an encrypted alert of the client")
            .evidence(text, Some(flight.asked.frame), Some(flight.asked.ts))
            .build(),
    )
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
