//! A proxy that makes no tunnel to the vendor's hosts: it refuses to (CF-11), or it cannot, or does not answer (D-6).
//!
//! What a proxy says to CONNECT is its own word: no server has a part in it (RFC 9110 §9.3.6). That it wants a login is
//! told by D-28, and what it says to requests for pages beside the refusals of content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::{PROXY_LOGIN, Told, with_evidence};
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::Direction;
use crate::engine::learnt::turn;
use crate::event::{Class, FindingRecord, Manner, Mode, Severity};
use crate::time::{Timestamp, seconds};

/// Statuses that ask a client to come again (RFC 9110 §15.5.9, RFC 6585 §4).
const LATER: [u16; 2] = [408, 429];

/// What became of a request for a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Made,
    /// The proxy will not.
    Refused,
    /// The proxy could not.
    Failed,
    /// The proxy ended the connection in the place of an answer; in a word, how.
    Ended(&'static str),
    /// The proxy took the request and said nothing, for so many nanoseconds.
    Silent(u64),
}

/// What one client asked one proxy for, by the name of the host.
type Asked<'c> = BTreeMap<(IpAddr, IpAddr, &'c str), Vec<(Told<'c>, Outcome)>>;

/// What worked beside the requests of one host, put in order once for those of all.
struct Beside<'c> {
    /// The tunnels that one proxy made for one client, by when they were asked for.
    made: HashMap<(IpAddr, IpAddr), Vec<(Told<'c>, &'c str)>>,
    /// When each client's connections without a proxy to each name that did what they are there for were last heard of.
    around: HashMap<(IpAddr, &'c str), Timestamp>,
}

impl<'c> Beside<'c> {
    fn of(scene: &Scene<'c>, asked: &Asked<'c>) -> Self {
        let mut made: HashMap<(IpAddr, IpAddr), Vec<(Told<'c>, &'c str)>> = HashMap::new();
        for ((client, proxy, host), told) in asked {
            let own = told.iter().filter(|(_, outcome)| *outcome == Outcome::Made).map(|(told, _)| (*told, *host));
            made.entry((*client, *proxy)).or_default().extend(own);
        }
        made.values_mut().for_each(|made| made.sort_by_key(|(told, _)| told.asked()));
        let mut around: HashMap<(IpAddr, &str), Timestamp> = HashMap::new();
        for client in asked.keys().map(|(client, ..)| *client).collect::<BTreeSet<_>>() {
            for case in scene.served(client).filter(|case| case.via_proxy.is_none()) {
                let Some(host) = case.host.as_deref() else { continue };
                let last = around.entry((client, host)).or_default();
                *last = case.last.max(*last);
            }
        }
        Beside { made, around }
    }

    /// The first tunnel to another host that was asked for between two moments.
    fn sibling(
        &self,
        (client, proxy, host): (IpAddr, IpAddr, &str),
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Told<'c>> {
        let made = self.made.get(&(client, proxy))?;
        let begin = made.partition_point(|(told, _)| told.asked() < from);
        let between = made.get(begin..)?.iter().take_while(|(told, _)| told.asked() <= to);
        between.map(|(told, name)| (*told, *name)).find(|(_, name)| *name != host).map(|(told, _)| told)
    }
}

/// All proxies that make no tunnels.
pub(super) fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut asked = Asked::new();
    for case in scene.core().filter(|case| !case.one_sided && scene.is_listed(&case.known)) {
        let (Some(http), Some(host)) = (&case.http, case.host.as_deref()) else { continue };
        for turn in http.turns.iter().filter(|turn| turn.turn.marks & turn::CONNECT != 0) {
            let told = Told { case, turn };
            let Some(outcome) = outcome(scene, told) else { continue };
            asked.entry((case.orig.0, case.resp.0, host)).or_default().push((told, outcome));
        }
    }
    let beside = Beside::of(scene, &asked);
    asked.iter().filter_map(|(key, told)| judge(scene, &beside, *key, told)).collect()
}

fn outcome(scene: &Scene<'_>, told: Told<'_>) -> Option<Outcome> {
    match told.status() {
        200..300 => return Some(Outcome::Made),
        PROXY_LOGIN => return None,
        status if LATER.contains(&status) => return None,
        300..500 => return Some(Outcome::Refused),
        500..600 => return Some(Outcome::Failed),
        0 => {}
        _ => return None,
    }
    let (case, asked) = (told.case, told.turn.turn.asked?);
    let tcp = case.tcp.as_ref()?;
    // what was said and not read, or not captured, may have been an answer
    let unseen = case.cut || case.payload[1] > 0 || tcp.trouble.iter().any(|trouble| trouble.missed > 0);
    if unseen || tcp.unacknowledged[0] != Some(0) {
        return None;
    }
    let waited = case.until(scene.cases.last).since(asked.ts);
    match (tcp.fin_by, tcp.rst_by) {
        (Some(Direction::Resp), _) => Some(Outcome::Ended("closed")),
        (None, Some(Direction::Resp)) => Some(Outcome::Ended("reset")),
        _ => (waited >= nanos(scene.rules.settings.reach.tunnel_seconds)).then_some(Outcome::Silent(waited)),
    }
}

fn judge(
    scene: &Scene<'_>,
    beside: &Beside<'_>,
    key: (IpAddr, IpAddr, &str),
    of_host: &[(Told<'_>, Outcome)],
) -> Option<FindingRecord> {
    let (client, _, host) = key;
    let (first, _) = of_host.iter().find(|(_, outcome)| *outcome != Outcome::Made)?;
    let later = |told: &Told<'_>| told.asked() > first.asked();
    // it gets through in the end, or goes around the proxy
    let made = of_host.iter().any(|(told, outcome)| *outcome == Outcome::Made && later(told));
    let around = beside.around.get(&(client, host)).is_some_and(|last| *last > first.asked());
    if made || around {
        return None;
    }
    let refused: Vec<Told<'_>> = told_of(of_host, |outcome| outcome == Outcome::Refused);
    if let (Some(first), Some(last)) = (refused.first(), refused.last()) {
        return Some(refuses(scene, &refused, *first, *last));
    }
    let about = nanos(scene.rules.settings.reach.sibling_seconds);
    let last = of_host.last().map_or(first.asked(), |(told, _)| told.asked());
    let sibling = beside.sibling(key, first.asked().before(about), last.after(about));
    let worked = of_host.iter().any(|(_, outcome)| *outcome == Outcome::Made);
    fails(scene, of_host, sibling, worked)
}

fn told_of<'c>(all: &[(Told<'c>, Outcome)], is: impl Fn(Outcome) -> bool) -> Vec<Told<'c>> {
    all.iter().filter(|(_, outcome)| is(*outcome)).map(|(told, _)| *told).collect()
}

/// CF-11 by a proxy: it says that it will not.
fn refuses(scene: &Scene<'_>, refused: &[Told<'_>], first: Told<'_>, last: Told<'_>) -> FindingRecord {
    let signed = refused.iter().any(|told| told.box_speaks().is_some());
    let often = refused.len() as f64 >= scene.rules.settings.reach.tunnels;
    let draft = drafted(scene, RuleId::Cf11, refused, first, last).say(Place::Status, first.status());
    let draft = if often || signed { draft } else { draft.at_most(scene.rules.settings.refused.sealed) };
    with_evidence(draft, "CONNECT", refused).build()
}

fn drafted<'r>(scene: &Scene<'r>, rule: RuleId, told: &[Told<'_>], first: Told<'_>, last: Told<'_>) -> Draft<'r> {
    let ended = last.answered().map_or(last.case.last, |seen| seen.ts);
    // without the storage video is seen all the same
    let severity = if first.case.class == Class::S3 { Severity::Warning } else { Severity::Error };
    Draft::new(scene.rules, rule, first.asked(), ended)
        .severity(severity)
        .manner(Manner::ByProxy)
        .about(first.case)
        .flows(told.iter().map(|told| told.case.identity.flow_id))
        .count(told.len() as u64)
        .say(Place::Port, first.case.port())
}

/// D-6 by a proxy: it says that it cannot, or nothing.
fn fails(
    scene: &Scene<'_>,
    of_host: &[(Told<'_>, Outcome)],
    sibling: Option<Told<'_>>,
    worked: bool,
) -> Option<FindingRecord> {
    let reach = &scene.rules.settings.reach;
    let vain: Vec<Told<'_>> = told_of(of_host, |outcome| outcome != Outcome::Made);
    let (first, last) = (*vain.first()?, *vain.last()?);
    let says = of_host.iter().any(|(_, outcome)| *outcome == Outcome::Failed);
    // what is asked side by side is one try
    let often = vain.len() as f64 >= reach.tunnels && last.asked().since(first.asked()) >= nanos(reach.syn_seconds);
    let confidence = match sibling {
        _ if !often => reach.doubtful,
        Some(_) if !says => reach.tunnel_silent,
        Some(_) => reach.tunnel_failed,
        // its own line may be down
        None if !says || worked => reach.doubtful,
        None => reach.tunnel_failed,
    };
    let status = of_host.iter().find_map(|(told, outcome)| match outcome {
        Outcome::Failed => Some(told.status().to_string()),
        Outcome::Ended(how) => Some((*how).to_owned()),
        Outcome::Silent(_) => Some("no answer".to_owned()),
        Outcome::Made | Outcome::Refused => None,
    })?;
    let mut draft = drafted(scene, RuleId::D6, &vain, first, last).base(confidence).say(Place::Status, status);
    draft = match of_host.iter().find(|(_, outcome)| *outcome != Outcome::Made)?.1 {
        Outcome::Silent(_) => draft.mode(Mode::Drop),
        Outcome::Ended(_) => draft.mode(Mode::Rst),
        Outcome::Made | Outcome::Refused | Outcome::Failed => draft,
    };
    draft = with_evidence(draft, "CONNECT", &vain);
    for (told, outcome) in of_host {
        let text = match outcome {
            Outcome::Ended(how) => format!("the connection is {how} in the place of an answer to CONNECT"),
            Outcome::Silent(waited) => format!("CONNECT is taken in, and not answered in {:.0} s", seconds(*waited)),
            Outcome::Made | Outcome::Refused | Outcome::Failed => continue,
        };
        draft = draft.evidence(text, told.turn.turn.asked.map(|seen| seen.frame), Some(told.asked()));
    }
    if let Some(other) = sibling {
        let text = format!("it connects to {}", other.case.host.as_deref().unwrap_or("another host"));
        draft = draft.evidence(text, other.answered().map(|seen| seen.frame), Some(other.asked()));
    }
    Some(draft.build())
}
