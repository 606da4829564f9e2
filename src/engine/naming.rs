//! Names for all flows, once everything is learnt.
//!
//! What each shard has learnt of addresses and hosts is put together here, so a name that one shard saw names the
//! flows of all, and one that was learnt late names flows that began before.

mod gather;

use std::net::IpAddr;

use super::Hosts;
use super::analysis::{Analysis, FlowView};
use super::hands::{Alone, Hands};
use super::parts::Kind;
use super::shard::Shard;
use crate::classify::catalogue::{Catalogue, CatalogueError};
use crate::classify::decide::outline::KnownEnds;
use crate::classify::decide::{Knowledge, name_of};
use crate::classify::facts::is_literal;
use crate::classify::names::{NameIndex, UNLISTED};
use crate::classify::roles::{RoleGather, Roles};
use crate::classify::rules::Rules;
use crate::classify::settings::SettingsError;
use crate::classify::site::Site;
use crate::decode::Addr;
use crate::event::FindingRecord;
use crate::filter::{Filter, Known};
use crate::flow::rates::Thresholds;
use crate::flow::{Flow, NONE};

use gather::Gather;

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
        Ok(KnowledgeBase { catalogue, rules, diagnosis: user.diagnosis, site, thresholds })
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

/// What one shard has to say of who is what.
#[derive(Debug, Default)]
struct Speech {
    /// The flows that tell it.
    flows: Vec<u32>,
    /// Hosts, each with an address under which STUN has told it that it is seen.
    mapped: Vec<(IpAddr, IpAddr)>,
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
    /// Puts together what the shards have learnt, with these hands.
    pub(super) fn new(analysis: &Analysis, base: &'a KnowledgeBase, hands: &impl Hands) -> Self {
        let (names, roles) = (NameIndex::default(), RoleGather::new().freeze(&base.site, &base.rules));
        let known = KnownEnds::default();
        let mut naming = Naming { base, names, roles, known, ids: Vec::new(), vendors: Hosts::default() };
        naming.renew_by(analysis, hands);
        naming.names.settle();
        naming
    }

    /// What nothing was learnt for.
    pub fn of_nothing(base: &'a KnowledgeBase) -> Self {
        Naming::new(&Analysis::begin(Vec::new()), base, &Alone)
    }

    /// Names all anew, in the memory that this holds: there are never two, and what is named every second stays where
    /// it is.
    pub fn renew(&mut self, analysis: &Analysis) {
        self.renew_by(analysis, &Alone);
    }

    fn renew_by(&mut self, analysis: &Analysis, hands: &impl Hands) {
        let (base, names) = (self.base, std::mem::take(&mut self.names));
        (self.ids, self.vendors) = Default::default();
        // their tables grow by doubling, which one that is as large as the last one was need not
        let roles = RoleGather::like(&self.roles);
        self.roles = RoleGather::new().freeze(&base.site, &base.rules);
        let Gather { learnt, ids, vendors, .. } = Gather::all(analysis, base, hands, names);
        (self.names, self.ids, self.vendors) = (learnt.freeze(&base.catalogue, &base.rules), ids, vendors);
        let shards = analysis.shards.len();
        let speeches = hands.each(shards, |at| self.listen(&analysis.shards, at));
        self.roles = self.find_roles(analysis, &speeches, roles);
        self.known.renew(&base.catalogue, &self.names, &self.roles);
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        let numbers = self.ids.iter().map(|ids| ids.len().saturating_mul(size_of::<u32>())).sum::<usize>();
        self.names.held().saturating_add(numbers)
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

    /// What the flows of a shard have to say of who is what.
    fn listen(&self, shards: &[Shard], at: usize) -> Speech {
        let mut speech = Speech::default();
        let (Some(shard), Ok(at)) = (shards.get(at), u32::try_from(at)) else { return speech };
        for (number, flow) in shard.table.flows().filter(|(_, flow)| self.may_speak(shard, flow)) {
            let view = FlowView::new(shard, at, flow, self);
            let before = speech.mapped.last().copied();
            speech.mapped.extend(view.mapped().filter(|pair| Some(*pair) != before));
            if self.may_tell_roles(&view) {
                speech.flows.push(number);
            }
        }
        speech.mapped.shrink_to_fit();
        speech
    }

    /// Who is what, by what every host did, gathered in `roles`; `speeches` are what each shard has to say.
    fn find_roles(&self, analysis: &Analysis, speeches: &[Speech], mut roles: RoleGather) -> Roles {
        let KnowledgeBase { catalogue, rules, site, .. } = self.base;
        for (client, outside) in speeches.iter().flat_map(|speech| &speech.mapped) {
            roles.mapped(*client, *outside, site);
        }
        for ((shard, at), speech) in analysis.shards.iter().zip(0u32..).zip(speeches) {
            for flow in speech.flows.iter().filter_map(|number| shard.table.flow(*number)) {
                let facts = FlowView::new(shard, at, flow, self).facts();
                roles.observe(&facts, name_of(&facts, catalogue, &self.names, rules), site);
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

/// The address of a flow's responder.
fn responder(shard: &Shard, flow: &Flow) -> Addr {
    let [_, server] = flow.oriented(shard.table.sides(flow));
    server.addr
}
