//! Names for all flows, once everything is learnt.
//!
//! What each shard has learnt of addresses and hosts is put together here, so a name that one shard saw names the
//! flows of all, and one that was learnt late names flows that began before.

use std::net::IpAddr;

use super::Hosts;
use super::analysis::{Analysis, FlowView};
use super::learnt::{NameAt, Tls};
use super::parts::Kind;
use super::shard::Shard;
use crate::classify::catalogue::{Catalogue, CatalogueError};
use crate::classify::decide::outline::KnownEnds;
use crate::classify::decide::{Knowledge, name_of};
use crate::classify::facts::is_literal;
use crate::classify::host::HostMatch;
use crate::classify::names::{Learnt, NameIndex, UNLISTED};
use crate::classify::roles::{RoleGather, Roles};
use crate::classify::rules::Rules;
use crate::classify::settings::SettingsError;
use crate::classify::site::Site;
use crate::decode::Addr;
use crate::event::FindingRecord;
use crate::filter::{Filter, Known};
use crate::flow::rates::Thresholds;
use crate::flow::{Flow, NONE};

/// The most names, and answers, that are kept of one capture.
const MAX_NAMES: usize = 4 << 20;
/// Set in the number of a name that no catalogue entry covers. [`UNLISTED`] has it too.
const NOT_LISTED: u32 = 1 << 31;
/// In place of the number of a name that is an address; no catalogue entry covers one.
const LITERAL: u32 = UNLISTED - 1;

/// What is known before any packet: the catalogue, the rules, and what the user says of the site.
#[derive(Clone, Debug)]
pub struct KnowledgeBase {
    /// The vendor's hosts and ports.
    pub catalogue: Catalogue,
    /// Confidences and thresholds.
    pub rules: Rules,
    /// What the user sets of the rules of diagnosis, which stand above.
    pub diagnosis: toml::Table,
    /// The site.
    pub site: Site,
    /// Names that the user gave for addresses.
    pub hosts: Vec<(IpAddr, String)>,
    /// The thresholds by which payload rates are counted, from the rules.
    pub thresholds: Thresholds,
}

/// Why knowledge could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] SettingsError),
}

impl KnowledgeBase {
    /// The embedded knowledge, changed by the text of a user's catalogue if there is one.
    pub fn new(user: Option<&str>, site: Site) -> Result<Self, KnowledgeError> {
        let (catalogue, user) = match user {
            None => (Catalogue::embedded()?, Default::default()),
            Some(text) => Catalogue::with_user(text)?,
        };
        let rules = Rules::with_user(user.rules)?;
        let thresholds = thresholds(&rules);
        Ok(KnowledgeBase { catalogue, rules, diagnosis: user.diagnosis, site, hosts: Vec::new(), thresholds })
    }
}

/// The rules' rates as bytes in one window.
fn thresholds(rules: &Rules) -> Thresholds {
    let relay = &rules.relay;
    let bytes = |bps: f32| (bps * relay.window_seconds / 8.0) as u32;
    Thresholds {
        video_bytes: bytes(relay.video_bps),
        video_ratio: relay.video_ratio as u32,
        burst_bytes: relay.burst_bytes as u32,
        idle_bytes: bytes(relay.idle_bps),
    }
}

/// All that naming a flow needs.
#[derive(Debug)]
pub struct Naming<'a> {
    pub(super) base: &'a KnowledgeBase,
    pub(super) names: NameIndex,
    roles: Roles,
    known: KnownEnds,
    /// For each shard: the numbers of its strings among all names.
    ids: Vec<Vec<u32>>,
    /// Addresses under names of the catalogue.
    vendors: Hosts,
}

impl<'a> Naming<'a> {
    /// Puts together what the shards have learnt.
    pub(super) fn new(
        analysis: &Analysis,
        base: &'a KnowledgeBase,
        by: impl Fn(usize, &(dyn Fn(usize) -> Vec<u32> + Sync)) -> Vec<Vec<u32>>,
    ) -> Self {
        let mut gather = Gather::new(analysis, base);
        for (shard, at) in analysis.shards.iter().zip(0u32..) {
            gather.find_vendors(shard, at);
        }
        for (shard, at) in analysis.shards.iter().zip(0u32..) {
            gather.take(shard, at);
        }
        let Gather { learnt, ids, vendors, .. } = gather;
        let names = learnt.freeze(&base.catalogue, &base.rules);
        let nobody = RoleGather::new().freeze(&base.site, &base.rules);
        let mut naming = Naming { base, names, roles: nobody, known: KnownEnds::default(), ids, vendors };
        let speakers =
            by(analysis.shards.len(), &|at| analysis.shards.get(at).map_or_else(Vec::new, |s| naming.speakers(s)));
        naming.roles = naming.find_roles(analysis, &speakers);
        naming.known = KnownEnds::of(&base.catalogue, &naming.names, &naming.roles);
        naming
    }

    /// What it goes by.
    pub const fn base(&self) -> &'a KnowledgeBase {
        self.base
    }

    /// Whether any address has a name of the catalogue.
    pub(super) fn has_vendors(&self) -> bool {
        !self.vendors.is_empty()
    }

    /// Whether `ip` has a name of the catalogue.
    #[inline]
    pub(super) fn is_vendor(&self, ip: IpAddr) -> bool {
        self.has_vendors() && self.vendors.contains(&Addr::from_ip(ip))
    }

    /// The flows of a shard that may have anything to say of who is what.
    fn speakers(&self, shard: &Shard) -> Vec<u32> {
        shard.table.flows().filter(|(_, flow)| self.may_speak(shard, flow)).map(|(number, _)| number).collect()
    }

    /// Who is what, by what every host did; `speakers` are those flows of each shard.
    fn find_roles(&self, analysis: &Analysis, speakers: &[Vec<u32>]) -> Roles {
        let KnowledgeBase { catalogue, rules, site, .. } = self.base;
        let mut roles = RoleGather::new();
        for ((shard, at), speakers) in analysis.shards.iter().zip(0u32..).zip(speakers) {
            for flow in speakers.iter().filter_map(|number| shard.table.flow(*number)) {
                let view = FlowView::new(shard, at, flow, self);
                for (client, outside) in view.mapped() {
                    roles.mapped(client, outside, site);
                }
                if self.may_tell_roles(&view) {
                    let facts = view.facts();
                    roles.observe(&facts, name_of(&facts, catalogue, &self.names, rules), site);
                }
            }
        }
        if roles.asked(&self.names, site) {
            let matter = roles.matter(site).map(Addr::from_ip).collect();
            self.each_flow_of(analysis, &matter, |view| {
                if roles.is_wan(view.resp.0, site) {
                    roles.observe_turned(&view.facts(), site);
                }
                if roles.wants_rest(view.orig.0) {
                    let facts = view.facts();
                    roles.observe_rest(&facts, name_of(&facts, catalogue, &self.names, rules), site);
                }
            });
        }
        if let Some(first) = analysis.totals.first {
            roles.began(first);
        }
        roles.freeze(site, rules)
    }

    /// Takes each flow of which either end is one of these hosts.
    fn each_flow_of(&self, analysis: &Analysis, hosts: &Hosts, mut take: impl FnMut(&FlowView<'_>)) {
        for at in 0..u32::try_from(analysis.shards.len()).unwrap_or(0) {
            analysis.views_with(at, self, hosts).for_each(|view| take(&view));
        }
    }

    /// Whether a flow may have anything to say of who is what, by what is at hand without making a view of it.
    fn may_speak(&self, shard: &Shard, flow: &Flow) -> bool {
        let (low, high) = flow.ports();
        let has = |kind| shard.learner.parts.get(flow.learnt, kind) != NONE;
        let told = is_telling(low) || is_telling(high) || has(Kind::Http) || has(Kind::Stun);
        told || self.is_to_vendor(shard, flow)
    }

    /// Whether a flow goes to an address that has a name of the catalogue.
    pub(super) fn is_to_vendor(&self, shard: &Shard, flow: &Flow) -> bool {
        self.has_vendors() && self.vendors.contains(&responder(shard, flow))
    }

    /// Whether a flow can say anything of who is what in a first pass: all others need not be looked at closely.
    fn may_tell_roles(&self, view: &FlowView<'_>) -> bool {
        let (resp, port) = view.resp;
        // video is served by who is inside
        let told = is_telling(port) && (!matches!(port, 80 | 443 | 8887) || self.base.site.inside(resp));
        told || self.is_vendor(resp)
            || view.http().is_some_and(|http| {
                let names = [http.host, http.authority.map(|(at, _)| at)];
                names.iter().flatten().any(|at| !self.is_plain(view.shard_at, at.name, || view.text(at.name)))
            })
    }

    /// What classification goes by.
    pub fn knowledge(&self) -> Knowledge<'_> {
        let Naming { base: KnowledgeBase { catalogue, rules, .. }, names, roles, known, .. } = self;
        Knowledge { catalogue, rules, names, roles, known }
    }

    /// What the user says of the site.
    pub fn site(&self) -> &Site {
        &self.base.site
    }

    /// Who is what.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// What a filter may ask beside the records of flows: what was found of them, and what hosts are.
    pub fn known<'k>(&'k self, filter: &Filter, findings: &'k [FindingRecord]) -> Known<'k> {
        let roles = || Box::new(|ip| self.roles.role(ip).word()) as Box<dyn Fn(IpAddr) -> Option<&'static str> + 'k>;
        Known::new(findings, filter.asks_roles().then(roles))
    }

    /// The number among all names of a shard's string, if it names anything.
    pub(super) fn id_of(&self, shard: u32, name: u32) -> Option<u32> {
        let id = self.ids.get(shard as usize)?.get(name as usize).copied()?;
        Some(if id >= LITERAL { UNLISTED } else { id & !NOT_LISTED })
    }

    /// Whether the catalogue has nothing to say of a shard's string, and it is no address. `text` gives the string.
    pub(super) fn is_plain<'t>(&self, shard: u32, name: u32, text: impl FnOnce() -> &'t str) -> bool {
        match self.ids.get(shard as usize).and_then(|ids| ids.get(name as usize)) {
            Some(&UNLISTED) => true,
            Some(&LITERAL) | None => false,
            Some(id) => id & NOT_LISTED != 0 && !is_literal(text()),
        }
    }
}

/// Whether a responder's port may say of itself who is what: DNS over TLS, RTSP, and where recorders serve.
const fn is_telling(port: u16) -> bool {
    matches!(port, 853 | 554 | 8554 | 80 | 443 | 8887)
}

/// The number of a name among all names: [`UNLISTED`] unless the catalogue has something to say of it.
fn number(name: &str, base: &KnowledgeBase, learnt: &mut Learnt) -> u32 {
    let listed = base.catalogue.look_up(name) != HostMatch::NONE;
    match listed {
        true => learnt.names.intern(name).unwrap_or(UNLISTED),
        false if is_literal(name) => LITERAL,
        false => UNLISTED,
    }
}

/// What is learnt, while it is put together.
///
/// Most names in most captures have nothing to do with the vendor. They are looked up once, and then kept out of
/// the index: only names of the catalogue, and what else was said of the addresses under such names, can make a
/// difference to a class. Where whole records are wanted, whose evidence lists every name, all are kept.
struct Gather {
    learnt: Learnt,
    ids: Vec<Vec<u32>>,
    /// Addresses under names of the catalogue.
    vendors: Hosts,
    everything: bool,
}

impl Gather {
    fn new(analysis: &Analysis, base: &KnowledgeBase) -> Self {
        let mut learnt = Learnt::new(MAX_NAMES);
        for (ip, name) in &base.hosts {
            learnt.given(*ip, name);
        }
        let mut ids_of =
            |shard: &Shard| shard.learner.strings.iter().map(|name| number(name, base, &mut learnt)).collect();
        let ids = analysis.shards.iter().map(&mut ids_of).collect();
        Gather { learnt, ids, vendors: Hosts::default(), everything: analysis.shards.iter().any(|s| s.learner.records) }
    }

    /// First pass: the numbers of all names, and the addresses under names of the catalogue.
    fn find_vendors(&mut self, shard: &Shard, at: u32) {
        for (answer, servers) in shard.learner.told() {
            if self.is_listed(at, answer.name) {
                self.vendors.extend(servers.iter().copied());
            }
        }
        for (number, name) in &shard.learner.carried {
            if self.is_listed(at, *name)
                && self.vendors.len() < MAX_NAMES
                && let Some(flow) = shard.table.flow(*number)
            {
                self.vendors.insert(responder(shard, flow));
            }
        }
    }

    /// Second pass: what was said of the addresses that matter.
    fn take(&mut self, shard: &Shard, at: u32) {
        for (answer, servers) in shard.learner.told() {
            for server in servers {
                self.learnt.named(server.mapped_ip());
                if let Some(name) = self.wanted(shard, at, answer.name, *server) {
                    let client = answer.client.ip(answer.client_v6);
                    self.learnt.answer(client, server.mapped_ip(), name, answer.ts, answer.ttl, answer.frame);
                }
            }
        }
        if self.vendors.is_empty() && !self.everything {
            return;
        }
        for (number, name) in &shard.learner.carried {
            let Some(flow) = shard.table.flow(*number) else { continue };
            let Some(own) = own_name(shard, flow).filter(|at| at.name == *name) else { continue };
            let server = responder(shard, flow);
            if let Some(name) = self.wanted(shard, at, *name, server) {
                self.learnt.carried(server.ip(flow.is_v6()), name, flow.first, own.frame);
            }
        }
    }

    fn slot(&mut self, at: u32, name: u32) -> Option<&mut u32> {
        self.ids.get_mut(at as usize)?.get_mut(name as usize)
    }

    /// Whether the catalogue has something to say of a shard's string.
    fn is_listed(&mut self, at: u32, name: u32) -> bool {
        self.slot(at, name).is_some_and(|id| *id & NOT_LISTED == 0)
    }

    /// The number of a name that is worth keeping for an address.
    fn wanted(&mut self, shard: &Shard, at: u32, name: u32, server: Addr) -> Option<u32> {
        let listed = self.is_listed(at, name);
        let id = self.slot(at, name).copied()?;
        if listed || id < LITERAL {
            return Some(id & !NOT_LISTED);
        }
        if !self.everything && !self.vendors.contains(&server) {
            return None;
        }
        let id = self.learnt.names.intern(shard.learner.strings.get(name)).filter(|id| id & NOT_LISTED == 0)?;
        if let Some(slot) = self.slot(at, name) {
            *slot = id | NOT_LISTED;
        }
        Some(id)
    }
}

/// The address of a flow's responder.
fn responder(shard: &Shard, flow: &Flow) -> Addr {
    let [_, server] = flow.oriented(shard.table.sides(flow));
    server.addr
}

/// The name that a flow carries for its server's own address: none where a proxy was asked for another.
fn own_name(shard: &Shard, flow: &Flow) -> Option<NameAt> {
    let learner = &shard.learner;
    let http = learner.http_of(flow);
    if http.is_some_and(|h| h.authority.is_some()) {
        return None;
    }
    let quic = || learner.quic_of(flow).and_then(|q| q.sni);
    learner.tls_of(flow).and_then(Tls::sni).or_else(quic).or(http.and_then(|h| h.host))
}
