//! Attempts to connect that came to nothing, and whether that is somebody's doing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::became;
use super::past::{Past, Way, is_made};
use crate::classify::host::HostMatch;
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::spans::Spans;
use crate::engine::case::{Case, is_full_ttl};
use crate::engine::learnt::Icmp;
use crate::event::Mode;
use crate::time::Timestamp;

/// All that one client tried towards one name and port, in vain.
#[derive(Clone, Debug)]
pub(super) struct Attempts<'a> {
    pub client: IpAddr,
    pub host: &'a str,
    pub known: HostMatch,
    pub port: u16,
    /// In the order of their first packets; at least one.
    pub all: Vec<&'a Case>,
    /// There was a connection before.
    pub worked: bool,
    /// All that the client has connected to.
    pub past: Rc<Past<'a>>,
}

/// Attempts that somebody's doing keeps from coming to anything.
#[derive(Clone, Debug)]
pub(super) struct Blocked<'a> {
    pub attempts: Attempts<'a>,
    pub mode: Mode,
    pub confidence: f64,
    lead: &'a Case,
}

/// How often a SYN was sent, mirror copies left out.
pub(super) fn syns(case: &Case) -> u64 {
    case.pkts[0].saturating_sub(case.duplicates).max(1)
}

fn is_refused(case: &Case) -> bool {
    case.tcp.as_ref().is_some_and(|tcp| tcp.state == "REJ")
}

/// What a client of the system is kept from connecting to.
/// `sinks`: addresses that a DNS filter gives.
pub(super) fn blocked<'a>(scene: &Scene<'a>, sinks: &BTreeSet<IpAddr>) -> Vec<Blocked<'a>> {
    let all = all(scene);
    let genuine = |attempts: &&Attempts<'a>| attempts.all.iter().all(|case| !sinks.contains(&case.resp.0));
    let mut found = Vec::new();
    // they are in the order of their clients
    for own in all.chunk_by(|one, next| one.client == next.client) {
        let worked = own.iter().filter(|attempts| attempts.worked);
        let worked = worked.map(|attempts| (attempts.first(), attempts.last())).collect();
        let judged = own.iter().filter(genuine).filter_map(|attempts| attempts.judge(scene, &worked));
        found.extend(judged.map(|blocked| blocked.in_doubt(scene)));
    }
    found
}

/// When the last connection to each name and port was made from inside, over IPv4 and over IPv6.
struct Made<'a> {
    last: HashMap<(&'a str, u16), [Option<Timestamp>; 2]>,
}

impl<'a> Made<'a> {
    /// None need be looked for where nothing was tried in vain.
    fn of(scene: &Scene<'a>, vain: &[Attempts<'a>]) -> Self {
        let mut last: HashMap<(&str, u16), [Option<Timestamp>; 2]> =
            vain.iter().map(|attempts| ((attempts.host, attempts.port), [None; 2])).collect();
        if last.is_empty() {
            return Made { last };
        }
        for case in scene.cases.flows.iter().filter(|case| is_made(case) && case.inside[0]) {
            let Some(host) = case.host.as_deref() else { continue };
            if let Some([four, six]) = last.get_mut(&(host, case.port())) {
                let last = if case.orig.0.is_ipv4() { four } else { six };
                *last = (*last).max(Some(case.first()));
            }
        }
        Made { last }
    }

    /// The last that was made over the version of IP that `client` does not have.
    fn by_others(&self, client: IpAddr, host: &str, port: u16) -> Option<Timestamp> {
        let [four, six] = *self.last.get(&(host, port))?;
        if client.is_ipv4() { six } else { four }
    }
}

fn all<'a>(scene: &Scene<'a>) -> Vec<Attempts<'a>> {
    let system = scene.system();
    let mut found: BTreeMap<(IpAddr, &str, u16), Attempts<'a>> = BTreeMap::new();
    let mut pasts = HashMap::new();
    for case in scene.cases.vain().filter(|case| case.via_proxy.is_none()) {
        let (client, port) = (case.orig.0, case.resp.1);
        let Some(host) = case.host.as_deref().filter(|_| system.contains(&client)) else { continue };
        let known = case.known;
        let documented =
            known.entry(&scene.base.catalogue).map_or(port == 443, |entry| entry.documents(case.proto, port));
        if !documented || !scene.is_listed(&known) {
            continue;
        }
        let past = pasts.entry(client).or_insert_with(|| Rc::new(Past::of(scene, client)));
        let fresh = || Attempts { client, host, known, port, all: Vec::new(), worked: false, past: past.clone() };
        found.entry((client, host, port)).or_insert_with(fresh).all.push(case);
    }
    let mut found: Vec<Attempts<'a>> = found.into_values().collect();
    let made = Made::of(scene, &found);
    found.iter_mut().for_each(|attempts| attempts.forget_what_worked(&made));
    found.retain(|attempts| !attempts.all.is_empty());
    found
}

impl<'a> Attempts<'a> {
    pub fn last(&self) -> Timestamp {
        self.all.iter().map(|case| case.last).max().unwrap_or_default()
    }

    fn first(&self) -> Timestamp {
        self.all.first().map(|case| case.first()).unwrap_or_default()
    }

    /// How often it was tried: a SYN is a try.
    pub fn tries(&self) -> u64 {
        self.all.iter().map(|case| syns(case)).sum()
    }

    /// Leaves out the attempts before the last connection that was made: it did get through then. The other version of
    /// IP, whose addresses are others, counts as well, and a proxy that was asked for the name.
    fn forget_what_worked(&mut self, made: &Made<'_>) {
        let Attempts { client, host, port, .. } = *self;
        if let Some(made) = self.past.made(host, port).max(made.by_others(client, host, port)) {
            self.worked = true;
            self.all.retain(|case| case.first() > made);
        }
    }

    /// Whether these attempts are blocked, and how sure that is.
    /// `worked`: when its client tried in vain what works at another time.
    fn judge(&self, scene: &Scene<'a>, worked: &Spans) -> Option<Blocked<'a>> {
        let reach = &scene.rules.settings.reach;
        let of = |mode, confidence, lead| Some(Blocked { attempts: self.clone(), mode, confidence, lead });
        if let Some(case) = self.all.iter().copied().find(|case| case.icmp.is_some_and(is_prohibition)) {
            return of(Mode::Icmp, reach.told, case);
        }
        let lead = *self.all.first()?;
        let long = self.last().since(self.first()) >= nanos(reach.syn_seconds);
        let enough = |times: u64| times as f64 >= reach.syns && long;
        let outage = self.is_outage(worked);
        let refused: Vec<&Case> = self.all.iter().copied().filter(|case| is_refused(case)).collect();
        if refused.len().saturating_mul(2) >= self.all.len() {
            let lead = *refused.first()?;
            let confidence = match Refusal::of(scene, &self.past, &refused) {
                // whose line is down may be refused by the router itself
                _ if outage => reach.doubtful,
                Refusal::Near => reach.d_6,
                Refusal::Own => reach.doubtful,
                Refusal::Unclear if enough(refused.iter().map(|case| case.pkts[1]).sum()) => reach.d_6,
                Refusal::Unclear => reach.doubtful,
            };
            return of(Mode::Rst, confidence, lead);
        }
        if outage {
            return enough(self.tries()).then_some(()).and_then(|()| of(Mode::Drop, reach.doubtful, lead));
        }
        if !enough(self.tries()) {
            return None;
        }
        match self.all.iter().copied().find(|case| case.icmp.is_some_and(is_unreachable)) {
            Some(case) => of(Mode::Icmp, reach.unreachable, case),
            None => of(Mode::Drop, reach.d_6, lead),
        }
    }

    /// Whether the line as a whole was down: what works at another time does not then, and nothing else comes in.
    fn is_outage(&self, worked: &Spans) -> bool {
        let (from, to) = (self.first(), self.last());
        let came = self.past.came.latest(to).is_some_and(|latest| latest > from);
        !came && (worked.meet(from, to) || self.past.dead.meet(from, to))
    }
}

/// Who refuses.
enum Refusal {
    /// Somebody nearer than the server.
    Near,
    /// The server itself, as it seems.
    Own,
    Unclear,
}

impl Refusal {
    /// By the way that refusals have come, against what has come from the server, or else from others out there.
    fn of(scene: &Scene<'_>, past: &Past<'_>, refused: &[&Case]) -> Refusal {
        let reach = &scene.rules.settings.reach;
        let Some(case) = refused.first() else { return Refusal::Unclear };
        let Way { hops, usual } = past.way(case.resp.0);
        let own = refused.iter().map(|case| trip(case)).fold(f64::INFINITY, f64::min);
        let telling = usual.is_finite() && *usual >= reach.near_seconds;
        let fresh = is_full_ttl(case.ttl[1]) && !case.inside[1];
        match (hops.is_empty(), hops.contains(&case.ttl[1])) {
            (true, _) => Refusal::Unclear,
            (_, false) if fresh => Refusal::Near,
            _ if telling && own < usual * reach.near_share => Refusal::Near,
            (_, true) => Refusal::Own,
            (_, false) => Refusal::Unclear,
        }
    }
}

/// How long a refusal took, in seconds.
fn trip(case: &Case) -> f64 {
    let measured = case.tcp.as_ref().and_then(|tcp| tcp.rtt_min);
    measured.unwrap_or_else(|| case.last.since(case.first()) as f64 / 1e9)
}

/// Whether a router says that it may not: administratively prohibited, or for a port that it does not let through
/// (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3.1). To a SYN a host itself answers with RST, not with ICMP.
fn is_prohibition(icmp: Icmp) -> bool {
    match icmp.from.mapped_ip() {
        IpAddr::V4(_) => icmp.kind == 3 && matches!(icmp.code, 3 | 9 | 10 | 13),
        IpAddr::V6(_) => icmp.kind == 1 && matches!(icmp.code, 1 | 4 | 5 | 6),
    }
}

/// Whether a router says that it knows no way, or that nobody is there.
fn is_unreachable(icmp: Icmp) -> bool {
    match icmp.from.mapped_ip() {
        IpAddr::V4(_) => icmp.kind == 3 && matches!(icmp.code, 0 | 1 | 6 | 7 | 11 | 12),
        IpAddr::V6(_) => icmp.kind == 1 && matches!(icmp.code, 0 | 2 | 3),
    }
}

impl<'a> Blocked<'a> {
    /// A hint as long as who tries IPv6 may still turn to IPv4, and get through.
    fn in_doubt(mut self, scene: &Scene<'_>) -> Self {
        let reach = &scene.rules.settings.reach;
        let waited = scene.cases.last.since(self.attempts.first());
        if self.attempts.client.is_ipv6() && waited < nanos(reach.fallback_within_seconds) {
            self.confidence = self.confidence.min(reach.doubtful);
        }
        self
    }

    /// The first attempt.
    pub fn lead(&self) -> &'a Case {
        self.attempts.all.first().copied().unwrap_or(self.lead)
    }

    /// A connection of the same client to the same name on another port, which the vendor lists as well, and which works
    /// while this one does not: that it did before says nothing.
    pub fn other_port(&self) -> Option<&'a Case> {
        let Attempts { host, port, past, .. } = &self.attempts;
        let since = self.attempts.first();
        let made = |port| past.made(host, port).is_some_and(|made| made >= since);
        past.beside(host, *port).filter(|case| case.last >= since || made(case.port()))
    }

    /// Who has spoken, and in which frame.
    pub fn router(&self) -> Option<(IpAddr, u64)> {
        let icmp = self.lead.icmp.filter(|_| self.mode == Mode::Icmp)?;
        Some((icmp.from.mapped_ip(), icmp.frame))
    }

    /// What it has said.
    pub fn told(&self) -> String {
        match self.lead.icmp {
            Some(icmp) => format!("{} says by ICMP: type {}, code {}", icmp.from.mapped_ip(), icmp.kind, icmp.code),
            None => String::new(),
        }
    }

    /// What was tried and became of it.
    pub fn text(&self) -> String {
        let Attempts { client, port, .. } = self.attempts;
        let seconds = self.attempts.last().since(self.attempts.first()) as f64 / 1e9;
        let (tries, lead) = (self.attempts.tries(), self.lead());
        let became = became(self.mode);
        format!("{client} tries {} port {port} {tries} times over {seconds:.1} s: {became}", lead.resp.0)
    }
}
