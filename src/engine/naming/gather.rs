//! What all shards have learnt of names and addresses, put together.
//!
//! Most names in most captures have nothing to do with the vendor. They are looked up once, and then kept out of
//! the index: only names of the catalogue, and what else was said of the addresses under such names, can make a
//! difference to a class. Where whole records are wanted, whose evidence lists every name, all are kept.
//!
//! What can be found out shard by shard is; only what is worth keeping is then put together, in the order of the shards.

use crate::classify::facts::is_literal;
use crate::classify::host::HostMatch;
use crate::classify::named::Named;
use crate::classify::names::{Learnt, UNLISTED};
use crate::decode::Addr;
use crate::engine::Hosts;
use crate::engine::analysis::Analysis;
use crate::engine::hands::Hands;
use crate::engine::learnt::{NameAt, Tls};
use crate::engine::shard::Shard;
use crate::flow::Flow;

use super::{KnowledgeBase, LITERAL, MAX_NAMES, NOT_LISTED, responder};

/// In place of a name's number, until it has one: the catalogue has something to say of it.
const LISTED: u32 = 0;

/// What is learnt, while it is put together.
pub(super) struct Gather<'a> {
    shards: &'a [Shard],
    pub learnt: Learnt,
    /// For each shard: the numbers of its strings among all names.
    pub ids: Vec<Vec<u32>>,
    /// Addresses under names of the catalogue.
    pub vendors: Hosts,
    everything: bool,
}

impl<'a> Gather<'a> {
    /// Takes all that the shards have to tell.
    pub fn all(analysis: &'a Analysis, base: &KnowledgeBase, hands: &impl Hands) -> Self {
        let shards = &analysis.shards[..];
        let mut learnt = Learnt::new(MAX_NAMES);
        for (ip, name) in &base.hosts {
            learnt.given(*ip, name);
        }
        let of = |at: usize| shards.get(at);
        let ids = hands.each(shards.len(), |at| of(at).map_or_else(Vec::new, |shard| kinds(shard, base)));
        let everything = shards.iter().any(|s| s.learner.records);
        let mut gather = Gather { shards, learnt, ids, vendors: Hosts::default(), everything };
        gather.number();
        for vendors in hands.each(shards.len(), |at| gather.vendors_of(at)) {
            let room = MAX_NAMES.saturating_sub(gather.vendors.len());
            gather.vendors.extend(vendors.into_iter().take(room));
        }
        let told = hands.each(shards.len(), |at| gather.told(at));
        gather.learnt.reserve(told.iter().map(Vec::len).sum(), 0);
        let told = told.into_iter().enumerate();
        let kept = told.fold(true, |kept, (at, told)| gather.take_told(at, &told) && kept);
        let all = gather.everything && kept && gather.learnt.dropped == 0;
        gather.learnt.named = (!all).then(|| named(shards, hands));
        if !gather.vendors.is_empty() || gather.everything {
            let carried = hands.each(shards.len(), |at| gather.carried(at));
            gather.learnt.reserve(0, carried.iter().map(Vec::len).sum());
            carried.into_iter().enumerate().for_each(|(at, carried)| gather.take_carried(at, &carried));
        }
        gather
    }

    /// Gives the names of the catalogue their numbers.
    fn number(&mut self) {
        let Gather { shards, learnt, ids, .. } = self;
        for (shard, ids) in shards.iter().zip(ids) {
            for (id, name) in ids.iter_mut().zip(0u32..).filter(|(id, _)| **id == LISTED) {
                *id = learnt.names.intern(shard.learner.strings.get(name)).unwrap_or(UNLISTED);
            }
        }
    }

    fn id(&self, at: usize, name: u32) -> Option<u32> {
        self.ids.get(at)?.get(name as usize).copied()
    }

    /// Whether the catalogue has something to say of a shard's string.
    fn is_listed(&self, at: usize, name: u32) -> bool {
        self.id(at, name).is_some_and(|id| id & NOT_LISTED == 0)
    }

    /// Whether a name is worth keeping for an address.
    fn is_wanted(&self, at: usize, name: u32, server: &Addr) -> bool {
        self.everything || self.is_listed(at, name) || self.vendors.contains(server)
    }

    /// The addresses that a shard has seen under names of the catalogue.
    fn vendors_of(&self, at: usize) -> Vec<Addr> {
        let Some(shard) = self.shards.get(at) else { return Vec::new() };
        let told = shard.learner.told().filter(|(answer, _)| self.is_listed(at, answer.name));
        let carried = shard.learner.carried.iter().filter(|(_, name)| self.is_listed(at, *name));
        let servers = carried.filter_map(|(number, _)| Some(responder(shard, shard.table.flow(*number)?)));
        told.flat_map(|(_, servers)| servers).chain(servers).collect()
    }

    /// The addresses that DNS told with a name worth keeping for them, each with the number of its answer.
    fn told(&self, at: usize) -> Vec<(u32, Addr)> {
        let Some(shard) = self.shards.get(at) else { return Vec::new() };
        let mut wanted = Vec::new();
        for ((answer, servers), number) in shard.learner.told().zip(0..) {
            wanted.extend(
                servers.filter(|server| self.is_wanted(at, answer.name, server)).map(|server| (number, server)),
            );
        }
        wanted
    }

    /// False: there was no room for some name.
    fn take_told(&mut self, at: usize, told: &[(u32, Addr)]) -> bool {
        let Some(shard) = self.shards.get(at) else { return true };
        let mut all = true;
        for (number, server) in told {
            let Some((answer, own)) = shard.learner.answer(*number) else { continue };
            if let Some(name) = self.keep(shard, at, answer.name) {
                let client = own.client.ip(answer.client_v6);
                self.learnt.answer(client, server.mapped_ip(), name, answer.ts, answer.ttl, answer.frame);
            } else {
                all = false;
            }
        }
        all
    }

    /// The flows that carried a name worth keeping for their servers.
    fn carried(&self, at: usize) -> Vec<(u32, NameAt, Addr)> {
        let Some(shard) = self.shards.get(at) else { return Vec::new() };
        let each = shard.learner.carried.iter().filter_map(|(number, name)| {
            let flow = shard.table.flow(*number)?;
            let own = own_name(shard, flow).filter(|own| own.name == *name)?;
            Some((*number, own, responder(shard, flow)))
        });
        each.filter(|(_, own, server)| self.is_wanted(at, own.name, server)).collect()
    }

    fn take_carried(&mut self, at: usize, carried: &[(u32, NameAt, Addr)]) {
        let Some(shard) = self.shards.get(at) else { return };
        for (number, own, server) in carried {
            let Some(flow) = shard.table.flow(*number) else { continue };
            if let Some(name) = self.keep(shard, at, own.name) {
                self.learnt.carried(server.ip(flow.is_v6()), name, flow.first, own.frame);
            }
        }
    }

    /// The number of a name that is kept.
    fn keep(&mut self, shard: &Shard, at: usize, name: u32) -> Option<u32> {
        let id = self.id(at, name)?;
        if id < LITERAL {
            return Some(id & !NOT_LISTED);
        }
        let id = self.learnt.names.intern(shard.learner.strings.get(name)).filter(|id| id & NOT_LISTED == 0)?;
        if let Some(slot) = self.ids.get_mut(at).and_then(|ids| ids.get_mut(name as usize)) {
            *slot = id | NOT_LISTED;
        }
        Some(id)
    }
}

/// For each string of a shard: [`LISTED`], [`LITERAL`] or [`UNLISTED`].
fn kinds(shard: &Shard, base: &KnowledgeBase) -> Vec<u32> {
    let kind = |name: &str| match base.catalogue.look_up(name) != HostMatch::NONE {
        true => LISTED,
        false if is_literal(name) => LITERAL,
        false => UNLISTED,
    };
    shard.learner.strings.iter().map(kind).collect()
}

/// Every address that DNS told a name for. Each part of them is found by a hand of its own.
fn named(shards: &[Shard], hands: &impl Hands) -> Named {
    let parts = hands.count();
    let told = || shards.iter().flat_map(|shard| shard.learner.told()).flat_map(|(_, servers)| servers);
    let servers = || told().map(|server| server.mapped_ip());
    let count = shards.iter().map(|shard| shard.learner.addresses()).sum();
    Named::new(hands.each(parts, |part| Named::part(servers(), count, part, parts)))
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
