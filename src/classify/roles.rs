//! Who is the recorder, who a client, and when each spoke to the vendor's cloud.
//!
//! Two passes: [`RoleGather`] takes every flow's facts with the name that the flow itself or DNS gives it, in any
//! order; [`RoleGather::freeze`] turns the tallies into [`Roles`]. What the site file says stands above every score.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::facts::{FlowFacts, TCP, UDP};
use super::host::HostMatch;
use super::names::{Key, NameIndex, address, digest, key};
use super::rules::{RolePoints, Rules};
use super::sieve::{Addresses, ByAddress};
use super::site::{Site, is_public};
use super::words::Sub;
use crate::event::Class;
use crate::time::Timestamp;

/// The most hosts that are tallied, and the most contact times kept in all.
const MAX_HOSTS: usize = 262_144;
const MAX_CONTACTS: usize = 1_000_000;
/// The most unrelated names told apart per host.
const MAX_NAMES: usize = 16;

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A recorder, by the user's word.
    RecorderGiven,
    /// A recorder, by its score.
    Recorder,
    /// A client, by its score.
    Client,
    /// Nothing is known.
    None,
}

impl Role {
    /// Whether it is a recorder.
    pub const fn is_recorder(self) -> bool {
        matches!(self, Role::Recorder | Role::RecorderGiven)
    }

    /// The word for it, if anything is known.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Role::Recorder | Role::RecorderGiven => Some("recorder"),
            Role::Client => Some("client"),
            Role::None => None,
        }
    }
}

/// What one host of the site did.
#[derive(Debug, Default)]
struct Tally {
    api: bool,
    relay: bool,
    login: bool,
    inbound: bool,
    updates: bool,
    encrypted_dns: bool,
    /// A STUN server tells it the address that it has.
    untranslated: bool,
    /// Relay payload up and down.
    relay_bytes: [u64; 2],
    cameras: [Option<Key>; 2],
    unrelated: Vec<u64>,
    /// Contacts with the vendor's cloud: start and end, in nanoseconds.
    contacts: Vec<(u64, u64)>,
    /// Start and end of traffic with the outside: the first moment, and the last.
    outside: Option<(u64, u64)>,
}

/// Gathers what hosts did; order does not matter.
#[derive(Debug)]
pub struct RoleGather {
    hosts: HashMap<Key, Tally, RandomState>,
    contacts: usize,
    path_style: HashSet<Key, RandomState>,
    wan: HashSet<Key, RandomState>,
    /// Hosts outside every translation that speak to the vendor: recorders' gateways, or viewers'.
    outer: HashMap<Key, Tally, RandomState>,
    /// When hosts of the site connected to its own public address, in nanoseconds.
    turned: Vec<u64>,
    first: Option<u64>,
    /// Hosts or contacts that had no room.
    pub dropped: u64,
}

impl Default for RoleGather {
    fn default() -> Self {
        Self::new()
    }
}

impl RoleGather {
    /// Nothing gathered.
    pub fn new() -> RoleGather {
        RoleGather {
            hosts: HashMap::default(),
            contacts: 0,
            path_style: HashSet::default(),
            wan: HashSet::default(),
            outer: HashMap::default(),
            turned: Vec::new(),
            first: None,
            dropped: 0,
        }
    }

    /// The same, with room for as much as came to these.
    pub fn like(before: &Roles) -> RoleGather {
        let mut roles = RoleGather::new();
        roles.hosts.reserve(before.hosts.len());
        roles.wan.reserve(before.wan.len());
        roles
    }

    /// Takes in one flow and what its name says ([`super::decide::name_of`]): the first of two passes, which finds
    /// the hosts that matter.
    pub fn observe(&mut self, facts: &FlowFacts<'_>, named: Option<HostMatch>, site: &Site) {
        self.began(facts.start);
        let (orig, resp) = (facts.orig.0, facts.resp.0);
        let listed = named.filter(|h| *h != HostMatch::NONE);
        let served = is_service(facts) && orig != resp && site.inside(resp);
        if (listed.is_some() || served || is_camera(facts) || is_encrypted_dns(facts)) && site.inside(orig) {
            if let Some(tally) = self.tally(orig) {
                note_out(tally, facts, listed);
            }
            if listed.is_some_and(|h| is_cloud(h.class)) {
                self.contact(orig, facts.start.0, facts.end.0);
            }
            let path_style = listed.is_some_and(|h| h.subs.has(Sub::UnknownBucket));
            if path_style && self.path_style.len() < 2 {
                self.path_style.insert(key(orig));
            }
        }
        if served && let Some(tally) = self.tally(resp) {
            tally.inbound = true;
        }
        if listed.is_some()
            && is_public(orig)
            && !site.inside(orig)
            && let Some(tally) = self.outer(orig)
        {
            note_out(tally, facts, listed);
        }
    }

    /// Takes in what hosts asked DNS, which is contact too. Whether there are hosts of which a second pass could tell
    /// more.
    pub fn asked(&mut self, names: &NameIndex, site: &Site) -> bool {
        for (client, host, at) in names.asked() {
            if !site.inside(client) {
                continue;
            }
            if is_cloud(host.class) {
                self.contact(client, at, at);
            }
            if host.subs.has(Sub::Wsus)
                && let Some(tally) = self.tally(client)
            {
                tally.updates = true;
            }
        }
        !self.hosts.is_empty()
    }

    /// The hosts that [`RoleGather::observe_rest`] or [`RoleGather::observe_turned`] may have a use for.
    pub fn matter<'g>(&'g self, site: &'g Site) -> impl Iterator<Item = IpAddr> + 'g {
        self.hosts.keys().chain(&self.wan).map(|ip| address(*ip)).chain(site.wan.iter().copied())
    }

    /// Whether [`RoleGather::observe_rest`] has a use for the flows that `orig` began.
    pub fn wants_rest(&self, orig: IpAddr) -> bool {
        self.hosts.contains_key(&key(orig))
    }

    /// Takes in one flow again, after [`RoleGather::observe`] has seen them all: what the hosts that matter do besides.
    pub fn observe_rest(&mut self, facts: &FlowFacts<'_>, named: Option<HostMatch>, site: &Site) {
        let Some(tally) = self.hosts.get_mut(&key(facts.orig.0)) else { return };
        if !site.inside(facts.resp.0) || facts.authority.is_some() {
            let span = tally.outside.unwrap_or((facts.start.0, facts.end.0));
            tally.outside = Some((span.0.min(facts.start.0), span.1.max(facts.end.0)));
        }
        if named == Some(HostMatch::NONE) {
            note_unrelated(tally, facts);
        }
    }

    /// Whether `ip` is one of the site's public addresses, as far as STUN and the user have told.
    pub fn is_wan(&self, ip: IpAddr, site: &Site) -> bool {
        self.wan.contains(&key(ip)) || site.wan.contains(&ip)
    }

    /// Takes in a flow to one of the site's public addresses.
    pub fn observe_turned(&mut self, facts: &FlowFacts<'_>, site: &Site) {
        let hairpin = facts.proto == TCP && !facts.midstream && site.inside(facts.orig.0);
        if hairpin && self.turned.len() < MAX_CONTACTS {
            self.turned.push(facts.start.0);
        }
    }

    /// The capture had begun by `at`.
    pub fn began(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at.0, |first| first.min(at.0)));
    }

    /// A STUN server told `client` its outside address.
    pub fn mapped(&mut self, client: IpAddr, outside: IpAddr, site: &Site) {
        if site.inside(client) && is_public(outside) && self.wan.len() < MAX_HOSTS {
            self.wan.insert(key(outside));
        }
        if client == outside
            && is_public(client)
            && let Some(tally) = self.outer(client)
        {
            tally.untranslated = true;
        }
    }

    /// What was gathered, judged.
    pub fn freeze(self, site: &Site, rules: &Rules) -> Roles {
        let mut hosts = Addresses::with_room(self.hosts.len());
        for (ip, mut tally) in self.hosts {
            let (recorder, client) = scores(&tally, &rules.roles);
            let role = if recorder >= rules.roles.recorder {
                Role::Recorder
            } else if client >= rules.roles.client {
                Role::Client
            } else {
                Role::None
            };
            join(&mut tally.contacts);
            let Tally { contacts, outside, encrypted_dns, .. } = tally;
            *hosts.of(ip) = Known { role, score: recorder, contacts, outside, encrypted_dns };
        }
        for ip in &site.clients {
            hosts.of(key(*ip)).role = Role::Client;
        }
        for ip in &site.recorders {
            hosts.of(key(*ip)).role = Role::RecorderGiven;
        }
        let speaks_for_recorder = |tally: &Tally| scores(tally, &rules.roles).0 >= rules.roles.recorder;
        let outer = self.outer.iter().filter(|(_, tally)| speaks_for_recorder(tally)).map(|(ip, _)| *ip);
        let wan = self.wan.iter().copied().chain(outer).chain(site.wan.iter().map(|ip| key(*ip)));
        let wan: Addresses<()> = wan.map(|ip| (ip, ())).collect();
        let mut turned = self.turned;
        turned.sort_unstable();
        let path_style_user = if self.path_style.len() == 1 { self.path_style.into_iter().next() } else { None };
        let (first, dropped) = (self.first.unwrap_or(0), self.dropped);
        Roles { site: site.clone(), hosts: hosts.into(), wan: wan.into(), turned, path_style_user, first, dropped }
    }

    fn tally(&mut self, ip: IpAddr) -> Option<&mut Tally> {
        let ip = key(ip);
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&ip) {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        Some(self.hosts.entry(ip).or_default())
    }

    fn outer(&mut self, ip: IpAddr) -> Option<&mut Tally> {
        let ip = key(ip);
        if self.outer.len() >= MAX_HOSTS && !self.outer.contains_key(&ip) {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        Some(self.outer.entry(ip).or_default())
    }

    fn contact(&mut self, client: IpAddr, start: u64, end: u64) {
        if self.contacts >= MAX_CONTACTS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.contacts = self.contacts.saturating_add(1);
        if let Some(tally) = self.tally(client) {
            tally.contacts.push((start, end.max(start)));
        }
    }
}

/// Whether contact with this class is contact with the vendor's cloud.
fn is_cloud(class: Class) -> bool {
    matches!(
        class,
        Class::Relay | Class::Api | Class::Licensing | Class::Login | Class::LsfControl | Class::VendorOther
    )
}

/// Whether a flow reached a port on which recorders serve their clients.
fn is_service(facts: &FlowFacts<'_>) -> bool {
    facts.proto == TCP && facts.established && matches!(facts.resp.1, 80 | 443 | 8887)
}

/// Whether a flow fetches video from a camera.
fn is_camera(facts: &FlowFacts<'_>) -> bool {
    facts.rtsp.is_some() || (facts.proto == TCP && matches!(facts.resp.1, 554 | 8554) && facts.established)
}

/// Whether a flow is DNS over TLS, by its port.
fn is_encrypted_dns(facts: &FlowFacts<'_>) -> bool {
    facts.dns_offered.is_some() || matches!((facts.proto, facts.resp.1), (TCP | UDP, 853))
}

/// What a host's own flow says of it.
fn note_out(tally: &mut Tally, facts: &FlowFacts<'_>, named: Option<HostMatch>) {
    if is_camera(facts) {
        let camera = key(facts.resp.0);
        match tally.cameras {
            [None, _] => tally.cameras = [Some(camera), None],
            [Some(first), None] if first != camera => tally.cameras = [Some(first), Some(camera)],
            _ => {}
        }
    }
    tally.encrypted_dns |= is_encrypted_dns(facts);
    let Some(host) = named else { return };
    match host.class {
        Class::Api | Class::Licensing => tally.api = true,
        Class::Relay => {
            tally.relay = true;
            let [up, down] = tally.relay_bytes;
            let [more_up, more_down] = facts.payload;
            tally.relay_bytes = [up.saturating_add(more_up), down.saturating_add(more_down)];
        }
        Class::Login => tally.login = true,
        Class::Dns if host.resolver => tally.encrypted_dns = true,
        _ => {}
    }
    tally.updates |= host.subs.has(Sub::Wsus);
}

/// Counts distinct names that have nothing to do with the vendor.
fn note_unrelated(tally: &mut Tally, facts: &FlowFacts<'_>) {
    let Some(seen) = facts.carried() else { return };
    // FNV-1a: all that matters is that two names rarely collide, and that every run agrees.
    let step = |h: u64, b: u8| (h ^ u64::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    let hash = seen.name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    if tally.unrelated.len() < MAX_NAMES && !tally.unrelated.contains(&hash) {
        tally.unrelated.push(hash);
    }
}

/// The recorder's and the client's score of a host.
fn scores(tally: &Tally, points: &RolePoints) -> (f32, f32) {
    let given = |yes: bool, value: f32| if yes { value } else { 0.0 };
    let [up, down] = tally.relay_bytes.map(|b| b as f32);
    let above = |a: f32, b: f32| a >= points.ratio_bytes && a >= points.ratio * b;
    let views = above(down, up);
    let many = tally.unrelated.len() as f32 >= points.unrelated_names;
    let recorder = given(tally.api, points.api)
        + given(tally.relay, points.relay)
        + given(above(up, down), points.relay_up)
        + given(tally.inbound, points.inbound)
        + given(tally.cameras.iter().all(Option::is_some), points.cameras)
        + given(tally.updates, points.updates)
        + given(tally.untranslated, points.untranslated)
        + given(many, points.unrelated)
        + given(tally.login, points.people)
        + given(views, points.viewing);
    (recorder, given(tally.login, points.login) + given(views, points.relay_down))
}

/// Sorts spans and joins those that overlap.
fn join(spans: &mut Vec<(u64, u64)>) {
    spans.sort_unstable();
    spans.dedup_by(|later, kept| {
        let overlap = later.0 <= kept.1;
        if overlap {
            kept.1 = kept.1.max(later.1);
        }
        overlap
    });
}

/// What is known of a host.
#[derive(Debug)]
struct Known {
    role: Role,
    score: f32,
    contacts: Vec<(u64, u64)>,
    outside: Option<(u64, u64)>,
    encrypted_dns: bool,
}

impl Default for Known {
    fn default() -> Self {
        Known { role: Role::None, score: 0.0, contacts: Vec::new(), outside: None, encrypted_dns: false }
    }
}

/// Whether a client was in contact with the vendor's cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It was, within the time asked for.
    Yes,
    /// It was not, though its outside traffic of that time was captured.
    No,
    /// The capture cannot tell.
    Unseen,
}

/// Roles and contacts, frozen.
#[derive(Debug)]
pub struct Roles {
    /// What the user said.
    pub site: Site,
    hosts: ByAddress<Known>,
    /// The site's public addresses.
    wan: ByAddress<()>,
    turned: Vec<u64>,
    path_style_user: Option<Key>,
    first: u64,
    /// Hosts or contacts that had no room.
    pub dropped: u64,
}

impl Roles {
    /// What `ip` is.
    pub fn role(&self, ip: IpAddr) -> Role {
        self.hosts.get(key(ip)).map_or(Role::None, |k| k.role)
    }

    /// Every recorder, in the order of addresses, with its score.
    pub fn recorders(&self) -> Vec<(IpAddr, Role, f32)> {
        let mut list: Vec<_> = self.hosts.iter().filter(|(_, k)| k.role.is_recorder()).collect();
        list.sort_unstable_by_key(|(ip, _)| *ip);
        list.into_iter().map(|(ip, k)| (address(ip), k.role, k.score)).collect()
    }

    /// Whether anything is known of `ip`.
    pub fn knows(&self, ip: IpAddr) -> bool {
        self.hosts.has(key(ip))
    }

    /// The digest of every address of which anything is known.
    pub(super) fn known(&self) -> impl Iterator<Item = u64> {
        let proxies = self.site.proxies.iter().map(|proxy| digest(proxy.ip()));
        self.hosts.keys().chain(self.wan.keys()).map(|ip| digest(address(ip))).chain(proxies)
    }

    /// Whether `ip` is one of the site's public addresses.
    pub fn is_wan(&self, ip: IpAddr) -> bool {
        self.wan.has(key(ip))
    }

    /// Whether a host of the site connected to the site's public address in the `window` nanoseconds before `at`.
    pub fn turned(&self, at: Timestamp, window: u64) -> bool {
        let before = self.turned.partition_point(|start| *start <= at.0);
        let last = before.checked_sub(1).and_then(|i| self.turned.get(i));
        last.is_some_and(|start| at.0.saturating_sub(*start) <= window)
    }

    /// Whether `ip` resolves names out of sight.
    pub fn encrypted_dns(&self, ip: IpAddr) -> bool {
        self.hosts.get(key(ip)).is_some_and(|k| k.encrypted_dns)
    }

    /// Whether `ip` alone uses path-style storage names.
    pub fn only_path_style_user(&self, ip: IpAddr) -> bool {
        self.path_style_user == Some(key(ip))
    }

    /// Whether `ip` was ever in contact with the vendor's cloud.
    pub fn knows_vendor(&self, ip: IpAddr) -> bool {
        self.hosts.get(key(ip)).is_some_and(|k| !k.contacts.is_empty())
    }

    /// Whether `client` was in contact with the vendor's cloud in the `window` nanoseconds before `at`.
    pub fn contact(&self, client: IpAddr, at: Timestamp, window: u64) -> Contact {
        let Some(known) = self.hosts.get(key(client)) else { return Contact::Unseen };
        let from = at.0.saturating_sub(window);
        let before = known.contacts.partition_point(|(start, _)| *start <= at.0);
        let last = before.checked_sub(1).and_then(|i| known.contacts.get(i));
        if last.is_some_and(|(_, end)| *end >= from) {
            return Contact::Yes;
        }
        let covered = at.0 >= self.first.saturating_add(window);
        let visible = known.outside.is_some_and(|(start, end)| start < at.0 && end >= from);
        if covered && visible && !known.encrypted_dns { Contact::No } else { Contact::Unseen }
    }
}
