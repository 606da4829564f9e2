//! What becomes of an attempt to go from peer to peer: checks that nobody answers (D-14, D-16, D-17), and video that
//! breaks off and goes on over the relay (D-18).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::{Mappings, asked_stun, since, symmetric_clients};
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::spans::Spans;
use crate::engine::case::{Case, MediaCase};
use crate::event::{Class, FindingRecord, HINT, Manner};
use crate::time::{SECOND, Timestamp};

/// Attempts of one socket that are further apart than this, in nanoseconds, belong to two views.
const APART: u64 = 10 * SECOND;
/// How long before its checks a client asks for its outside address, at most, in nanoseconds.
const GATHERING: u64 = 120 * SECOND;

/// One end's attempt to reach a peer: its flows with all candidates, in order.
struct Attempt<'c> {
    client: IpAddr,
    flows: Vec<Checked<'c>>,
    last: Timestamp,
}

/// A flow of checks, and which side is the client's.
#[derive(Clone, Copy)]
struct Checked<'c> {
    case: &'c Case,
    own: usize,
}

impl Checked<'_> {
    fn of_own<T: Copy + Default>(self, pair: [T; 2]) -> T {
        pair.get(self.own).copied().unwrap_or_default()
    }

    fn of_peer<T: Copy + Default>(self, pair: [T; 2]) -> T {
        pair.get(1usize.wrapping_sub(self.own)).copied().unwrap_or_default()
    }

    fn port(self) -> u16 {
        if self.own == 0 { self.case.orig.1 } else { self.case.resp.1 }
    }

    fn peer(self) -> IpAddr {
        if self.own == 0 { self.case.resp.0 } else { self.case.orig.0 }
    }
}

/// Who is behind which address.
#[derive(Default)]
struct Outside {
    /// What each client was told to be.
    told: HashMap<IpAddr, BTreeSet<IpAddr>>,
    /// The clients that were told to be each.
    behind: HashMap<IpAddr, BTreeSet<IpAddr>>,
    /// Those of them whose address translation depends on the destination.
    symmetric: HashMap<IpAddr, BTreeSet<IpAddr>>,
}

impl Outside {
    fn of(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Self {
        let mut outside = Outside::default();
        for ((local, _), told) in sockets {
            for mapped in told.iter().map(|told| told.mapped.ip()) {
                outside.told.entry(*local).or_default().insert(mapped);
                outside.behind.entry(mapped).or_default().insert(*local);
            }
        }
        for (client, mapped) in symmetric_clients(scene, sockets) {
            for ip in mapped {
                outside.symmetric.entry(ip).or_default().insert(client);
            }
        }
        outside
    }

    /// Whether the address translation of a client depends on the destination.
    fn is_symmetric(&self, client: IpAddr) -> bool {
        let own = self.told.get(&client).into_iter().flatten();
        own.filter_map(|ip| self.symmetric.get(ip)).any(|clients| clients.contains(&client))
    }
}

/// When something was asked, and when it was answered.
#[derive(Default)]
struct Asked {
    asked: Spans,
    answered: Spans,
}

impl Asked {
    fn of(cases: &[&Case]) -> Self {
        let spans = |cases: &[&Case], least: u64| {
            cases.iter().filter(|case| case.pkts[1] >= least).map(|case| (case.first(), case.last)).collect()
        };
        Asked { asked: spans(cases, 0), answered: spans(cases, 1) }
    }
}

/// What hosts did beside their checks, put together once for all attempts.
struct Beside {
    /// When clients asked the vendor's server for their outside addresses: each by all its sockets, and socket by
    /// socket.
    clients: HashMap<IpAddr, Asked>,
    sockets: HashMap<(IpAddr, u16), Asked>,
    /// When a TURN server carried something for them.
    turn: HashMap<IpAddr, Spans>,
    /// Where each host called from peer to peer, and whether it was answered there.
    called: HashMap<IpAddr, BTreeMap<IpAddr, bool>>,
}

impl Beside {
    fn of(scene: &Scene<'_>, attempts: &[Attempt<'_>]) -> Self {
        let (mut clients, mut sockets, mut turn) = (HashMap::new(), HashMap::new(), HashMap::new());
        for client in attempts.iter().map(|attempt| attempt.client).collect::<BTreeSet<_>>() {
            let asked: Vec<&Case> = asked_stun(scene, client).collect();
            let mut of_socket: HashMap<u16, Vec<&Case>> = HashMap::new();
            asked.iter().for_each(|case| of_socket.entry(case.orig.1).or_default().push(case));
            sockets.extend(of_socket.iter().map(|(port, asked)| ((client, *port), Asked::of(asked))));
            clients.insert(client, Asked::of(&asked));
            let carries =
                |case: &&Case| case.media.is_some_and(|media| scene.is_media(&media)) && case.last > case.first();
            let through = scene.of_client(client).filter(|case| case.subs.has(Sub::Turn)).filter(carries);
            turn.insert(client, through.map(|case| (case.first(), case.last)).collect());
        }
        let mut called: HashMap<IpAddr, BTreeMap<IpAddr, bool>> = HashMap::new();
        for case in scene.of_class(Class::P2p) {
            let answered = called.entry(case.orig.0).or_default().entry(case.resp.0).or_insert(true);
            *answered &= case.pkts[1] > 0;
        }
        Beside { clients, sockets, turn, called }
    }

    /// Whether a client asked for its outside address before its checks, and whether it was told. What a viewer's other
    /// programs try, they try by sockets of which the vendor's server was not asked.
    fn gathered(&self, client: IpAddr, out: &[Checked<'_>], recorder: bool) -> (bool, bool) {
        let Some(first) = out.first().map(|flow| flow.case.first()) else { return (false, false) };
        let before = |spans: &Spans| spans.latest(first).is_some_and(|last| first.since(last) <= GATHERING);
        let sockets = out.iter().filter_map(|flow| self.sockets.get(&(client, flow.port())));
        let all = self.clients.get(&client).filter(|_| recorder);
        all.into_iter().chain(sockets).fold((false, false), |(asked, answered), one| {
            (asked || before(&one.asked), answered || before(&one.answered))
        })
    }

    /// Whether a session through a TURN server took the place of an attempt that began with `first`.
    fn through_turn(&self, client: IpAddr, first: &Case) -> bool {
        let (began, ended) = (first.first(), first.last);
        let before_end = ended.before(1);
        let meanwhile = |spans: &Spans| spans.latest(before_end).is_some_and(|last| last > began);
        began < ended && self.turn.get(&client).is_some_and(meanwhile)
    }

    /// Whether a host calls from peer to peer.
    fn calls(&self, client: IpAddr) -> bool {
        self.called.contains_key(&client)
    }

    /// Whether a host calls one of those addresses and is not answered there.
    fn calls_in_vain(&self, client: IpAddr, own: &BTreeSet<IpAddr>) -> bool {
        let called = self.called.get(&client).into_iter().flatten();
        called.into_iter().any(|(address, answered)| !answered && own.contains(address))
    }
}

/// All that is found of attempts and sessions.
pub(super) fn detect(scene: &Scene<'_>, sockets: &Mappings<'_>) -> Vec<FindingRecord> {
    let (attempts, outside) = (attempts(scene), Outside::of(scene, sockets));
    let beside = Beside::of(scene, &attempts);
    let failed = attempts.iter().filter_map(|attempt| failed(scene, &outside, &beside, attempt));
    failed.chain(scene.of_class(Class::P2p).filter_map(|case| broke_off(scene, case))).collect()
}

/// Attempts, by client and time. Each view has a socket of its own, or several that knock at the same peer: what one
/// comes to says nothing of another.
fn attempts<'c>(scene: &Scene<'c>) -> Vec<Attempt<'c>> {
    let mut attempts: Vec<Attempt<'c>> = Vec::new();
    // where the newest is of each client's socket, and of each that knocks at a peer
    let (mut of_socket, mut of_peer) = (HashMap::new(), HashMap::new());
    for case in scene.of_class(Class::P2p).filter(|case| case.stun.is_some()) {
        let own = usize::from(case.inside == [false, true]);
        let (flow, (client, port)) = (Checked { case, own }, if own == 0 { case.orig } else { case.resp });
        let (socket, knock) = ((client, port), (client, flow.peer()));
        let is_open = |at: &&usize| {
            attempts.get(**at).is_some_and(|attempt: &Attempt<'_>| case.first() <= attempt.last.after(APART))
        };
        let open = of_socket.get(&socket).filter(is_open).or_else(|| of_peer.get(&knock).filter(is_open)).copied();
        let at = open.unwrap_or(attempts.len());
        of_socket.insert(socket, at);
        of_peer.insert(knock, at);
        match attempts.get_mut(at) {
            Some(attempt) => {
                attempt.last = attempt.last.max(case.last);
                attempt.flows.push(flow);
            }
            None => attempts.push(Attempt { client, flows: vec![flow], last: case.last }),
        }
    }
    attempts
}

/// D-14: checks go out for a while and nothing comes of them. D-17 and D-16 where more is known of the reason.
fn failed(scene: &Scene<'_>, outside: &Outside, beside: &Beside, attempt: &Attempt<'_>) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.p2p;
    let out: Vec<Checked<'_>> = attempt
        .flows
        .iter()
        .copied()
        .filter(|flow| flow.case.stun.as_ref().is_some_and(|stun| flow.of_own(stun.requests) > 0))
        .collect();
    let first = *out.first()?;
    let last = out.iter().filter_map(|flow| flow.case.stun.as_ref().map(|stun| flow.of_own(stun.last))).max()?;
    let reached = attempt.flows.iter().any(|flow| {
        let answered = flow.case.stun.as_ref().is_some_and(|stun| flow.of_peer(stun.success) > 0);
        answered || !flow.case.subs.has(Sub::Attempt)
    });
    let tried = out.iter().filter_map(|flow| flow.case.stun.as_ref().map(|stun| flow.of_own(stun.requests))).max()?;
    let watched = scene.cases.last.since(first.case.first()) >= nanos(settings.check_seconds);
    let given_up = f64::from(tried) < settings.check_requests;
    if reached
        || !watched
        || given_up
        || beside.through_turn(attempt.client, first.case)
        || is_translated(outside, beside, attempt)
    {
        return None;
    }
    let recorder = first.of_own(first.case.recorders);
    let (asked, answered) = beside.gathered(attempt.client, &out, recorder);
    // without an outside address there is nothing to try; and who has not asked for one may belong to another program
    if asked && !answered || !asked && !recorder {
        return None;
    }
    let came_in = attempt.flows.iter().any(|flow| flow.of_peer(flow.case.pkts) > 0);
    let (rule, base) = reason(scene, outside, beside, attempt);
    let mut draft = Draft::new(scene.rules, rule, first.case.first(), last)
        .lead(&first.case.identity)
        .flows(attempt.flows.iter().map(|flow| flow.case.identity.flow_id))
        .manner(match rule {
            RuleId::D17 => Some(Manner::BothSites),
            RuleId::D16 => Some(Manner::Filtering),
            _ => None,
        })
        .say(Place::Client, attempt.client)
        .count(out.len() as u64);
    if let Some(base) = base {
        draft = draft.base(base);
    }
    if came_in || !asked {
        draft = draft.adjust(-settings.otherwise);
    }
    // the viewer may have gone away
    if last.since(first.case.first()) < nanos(settings.knock_seconds) {
        draft = draft.at_most(HINT);
    }
    for flow in out {
        let requests = flow.case.stun.as_ref().map_or(0, |stun| flow.of_own(stun.requests));
        let text = format!("{requests} checks to {}, none answered", flow.peer());
        draft = draft.evidence(text, Some(flow.case.first_frame), Some(flow.case.first()));
    }
    Some(draft.build())
}

/// Whether an attempt is another's behind the address translation: a gateway's capture shows both.
fn is_translated(outside: &Outside, beside: &Beside, attempt: &Attempt<'_>) -> bool {
    let tried = |client: &IpAddr| *client != attempt.client && beside.calls(*client);
    outside.behind.get(&attempt.client).is_some_and(|clients| clients.iter().any(tried))
}

/// The rule that an attempt failed by, and another base than the rule's where the proof is better.
fn reason(scene: &Scene<'_>, known: &Outside, beside: &Beside, attempt: &Attempt<'_>) -> (RuleId, Option<f64>) {
    let peers: BTreeSet<IpAddr> = attempt.flows.iter().map(|flow| flow.peer()).collect();
    let mut symmetric = peers.iter().filter_map(|ip| known.symmetric.get(ip)).flatten();
    if symmetric.any(|client| *client != attempt.client) && known.is_symmetric(attempt.client) {
        return (RuleId::D17, None);
    }
    // outside the router the peer's checks are seen to come, and none inside
    let own = known.told.get(&attempt.client);
    let stopped = |peer: &IpAddr| own.is_some_and(|own| beside.calls_in_vain(*peer, own));
    let inside = attempt.flows.iter().any(|flow| flow.of_peer(flow.case.pkts) > 0);
    if !inside && peers.iter().any(stopped) {
        return (RuleId::D16, Some(scene.rules.settings.p2p.outside_seen));
    }
    (RuleId::D14, None)
}

/// When each side of a session last spoke, in media or in checks.
fn last_heard(case: &Case, media: MediaCase) -> [Timestamp; 2] {
    let checks = case.stun.as_ref().map(|stun| stun.last).unwrap_or_default();
    let [a, b] = media.last;
    let [c, d] = checks;
    [a.max(c), b.max(d)]
}

/// D-18: video ran from peer to peer, one side fell silent while the other still called, and the relay took over.
fn broke_off(scene: &Scene<'_>, case: &Case) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.p2p;
    let media = case.media.filter(|media| media.sent.iter().all(|n| *n > 0))?;
    if case.subs.has(Sub::Attempt) {
        return None;
    }
    let [a, b] = last_heard(case, media);
    let (silent, calling) = (a.min(b), a.max(b));
    if calling.since(silent) < nanos(settings.media_gap_seconds) {
        return None;
    }
    let took_over = |relay: &&Case| {
        let start = video_start(relay);
        let soon = start.is_some_and(|start| start.since(silent) <= nanos(settings.fallback_seconds));
        // or once consent has expired: then the one that still called has just stopped
        let expired = calling.since(silent) >= nanos(settings.consent_seconds * 0.8);
        let then = start.is_some_and(|start| {
            start.after(2 * SECOND) >= calling && start.since(calling) <= nanos(settings.fallback_seconds)
        });
        soon || expired && then
    };
    let until = calling.after(nanos(settings.fallback_seconds));
    let relays = [case.orig.0, case.resp.0].into_iter().flat_map(|end| scene.cases.relays_between(end, silent, until));
    let relay = relays.filter(took_over).min_by_key(|relay| relay.first_frame)?;
    let inward = case.inside == [false, true];
    let own = if inward { case.resp.0 } else { case.orig.0 };
    // who falls silent beside the capture, while the other still arrives, may have closed the view
    let left = case.inside != [true, true] && a != b && (b < a) == inward;
    let ran = since(silent, case.first());
    let text = format!("one side falls silent after {ran} s, the other calls for {} s more", since(calling, silent));
    let draft = Draft::new(scene.rules, RuleId::D18, silent, calling)
        .lead(&case.identity)
        .flows([relay.identity.flow_id])
        .say(Place::Client, own)
        .say(Place::Seconds, ran)
        .evidence(text, Some(case.first_frame), Some(case.first()))
        .at_most(if left { HINT } else { 1.0 })
        .evidence("video over the relay begins", Some(relay.first_frame), video_start(relay));
    Some(draft.build())
}

/// When a flow of the relay begins to carry video, if it does.
fn video_start(relay: &Case) -> Option<Timestamp> {
    let shows = relay.subs.has(Sub::VideoUp) || relay.subs.has(Sub::VideoDown);
    shows.then(|| relay.first())
}
