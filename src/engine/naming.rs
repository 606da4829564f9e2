//! Names for all flows, once everything is learnt.
//!
//! What each shard has learnt of addresses and hosts is put together here, so a name that one shard saw names the
//! flows of all, and one that was learnt late names flows that began before.

use std::net::IpAddr;

use super::analysis::{Analysis, FlowView};
use super::learnt::NameAt;
use crate::classify::catalogue::{Catalogue, CatalogueError};
use crate::classify::decide::{Knowledge, name_of};
use crate::classify::names::{Learnt, NameIndex};
use crate::classify::roles::{RoleGather, Roles};
use crate::classify::rules::{Rules, RulesError};
use crate::classify::site::Site;
use crate::flow::rates::Thresholds;

/// The most names, and answers, that are kept of one capture.
const MAX_NAMES: usize = 4 << 20;
/// No number yet.
const UNKNOWN: u32 = u32::MAX;

/// What is known before any packet: the catalogue, the rules, and what the user says of the site.
#[derive(Debug)]
pub struct KnowledgeBase {
    /// The vendor's hosts and ports.
    pub catalogue: Catalogue,
    /// Confidences and thresholds.
    pub rules: Rules,
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
    Rules(#[from] RulesError),
}

impl KnowledgeBase {
    /// The embedded knowledge, changed by the text of a user's catalogue if there is one.
    pub fn new(user: Option<&str>, site: Site) -> Result<Self, KnowledgeError> {
        let (catalogue, rules) = match user {
            None => (Catalogue::embedded()?, Rules::embedded()?),
            Some(text) => {
                let (catalogue, rules) = Catalogue::with_user(text)?;
                (catalogue, rules.map_or_else(Rules::embedded, Rules::with_user)?)
            }
        };
        let thresholds = thresholds(&rules);
        Ok(KnowledgeBase { catalogue, rules, site, hosts: Vec::new(), thresholds })
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
    /// For each shard: the numbers of its strings among all names.
    ids: Vec<Vec<u32>>,
}

impl<'a> Naming<'a> {
    /// Puts together what the shards have learnt.
    pub(super) fn new(analysis: &Analysis, base: &'a KnowledgeBase) -> Self {
        let mut gather = Gather { learnt: Learnt::new(MAX_NAMES), ids: Vec::new() };
        for (ip, name) in &base.hosts {
            gather.learnt.given(*ip, name);
        }
        for shard in &analysis.shards {
            gather.ids.push(vec![UNKNOWN; shard.learner.strings.len()]);
            gather.shard(shard);
        }
        let Gather { learnt, ids } = gather;
        let names = learnt.freeze(&base.catalogue, &base.rules);
        let nobody = RoleGather::new().freeze(&base.site, &names, &base.rules);
        let mut naming = Naming { base, names, roles: nobody, ids };
        naming.roles = naming.find_roles(analysis);
        naming
    }

    /// Who is what, by what every host did.
    fn find_roles(&self, analysis: &Analysis) -> Roles {
        let KnowledgeBase { catalogue, rules, site, .. } = self.base;
        let mut roles = RoleGather::new();
        for (shard, at) in analysis.shards.iter().zip(0u32..) {
            for (_, flow) in shard.table.flows() {
                let view = FlowView::new(shard, at, flow, self);
                let facts = view.facts();
                roles.observe(&facts, name_of(&facts, catalogue, &self.names, rules), site);
                if let Some(stun) = view.learnt.and_then(|l| l.stun.as_ref()) {
                    for (mapped, side) in &stun.mapped {
                        let client = if flow.flipped() == (*side == 1) { view.orig.0 } else { view.resp.0 };
                        roles.mapped(client, mapped.ip(), site);
                    }
                }
            }
        }
        roles.freeze(site, &self.names, rules)
    }

    /// What classification goes by.
    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge { catalogue: &self.base.catalogue, rules: &self.base.rules, names: &self.names, roles: &self.roles }
    }

    /// Who is what.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The number among all names of a shard's string, if it names anything.
    pub(super) fn id_of(&self, shard: u32, name: u32) -> Option<u32> {
        self.ids.get(shard as usize)?.get(name as usize).copied().filter(|id| *id != UNKNOWN)
    }
}

/// What is learnt, while it is put together.
struct Gather {
    learnt: Learnt,
    ids: Vec<Vec<u32>>,
}

impl Gather {
    fn shard(&mut self, shard: &super::shard::Shard) {
        for answer in &shard.learner.answers {
            if let Some(name) = self.id(shard, answer.name) {
                let client = answer.client.ip(answer.client_v6);
                let server = answer.server.ip(answer.server_v6);
                self.learnt.answer(client, server, name, answer.ts, answer.ttl, answer.frame);
            }
        }
        for (_, flow) in shard.table.flows() {
            let Some(learnt) = shard.learner.learnt.get(flow.learnt) else { continue };
            let sni = learnt.tls.as_ref().and_then(|t| t.sni);
            let http = learnt.http.as_ref();
            let asked = http.and_then(|h| h.authority.map(|(at, _)| at));
            let host = http.and_then(|h| h.host);
            let own = sni.filter(|_| asked.is_none()).or(host.filter(|_| asked.is_none()));
            if let Some(NameAt { name, frame }) = own
                && let Some(name) = self.id(shard, name)
            {
                let [_, (server, _)] = super::analysis::ends(shard, flow);
                self.learnt.carried(server, name, flow.first, frame);
            }
            for NameAt { name, .. } in [sni, asked, host].into_iter().flatten() {
                self.id(shard, name);
            }
        }
    }

    /// The number among all names of a string of the shard at hand.
    fn id(&mut self, shard: &super::shard::Shard, name: u32) -> Option<u32> {
        let slot = self.ids.last_mut()?.get_mut(name as usize)?;
        if *slot == UNKNOWN {
            *slot = self.learnt.names.intern(shard.learner.strings.get(name)).unwrap_or(UNKNOWN);
        }
        (*slot != UNKNOWN).then_some(*slot)
    }
}
