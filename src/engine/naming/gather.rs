//! What all shards have learnt of names and addresses, put together.
//!
//! Most names in most captures have nothing to do with the vendor. They are looked up once, and then kept out of
//! the index: only names of the catalogue, and what else was said of the addresses under such names, can make a
//! difference to a class. Where whole records are wanted, whose evidence lists every name, all are kept.
//!
//! What can be found out shard by shard is; only what is worth keeping is then put together, in the order of the
//! shards.

use crate::classify::facts::is_literal;
use crate::classify::host::HostMatch;
use crate::classify::named::Named;
use crate::classify::names::{Learnt, NameIndex, UNLISTED};
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
    /// Takes all that the shards have to tell, in the memory of an index that is no longer needed.
    pub fn all(analysis: &'a Analysis, base: &KnowledgeBase, hands: &impl Hands, before: NameIndex) -> Self {
        let shards = &analysis.shards[..];
        let learnt = Learnt::again(MAX_NAMES, before);
        let of = |at: usize| shards.get(at);
        let ids = hands.each(shards.len(), |at| of(at).map_or_else(Vec::new, |shard| kinds(shard, base)));
        let everything = shards.iter().any(|s| s.learner.records);
        let mut gather = Gather { shards, learnt, ids, vendors: Hosts::default(), everything };
        gather.number();
        for vendors in hands.each(shards.len(), |at| gather.vendors_of(at)) {
            let room = MAX_NAMES.saturating_sub(gather.vendors.len());
            gather.vendors.extend(vendors.into_iter().take(room));
        }
        gather.expect();
        let mut kept = true;
        gather.each_shard(hands, Gather::told, |gather, at, told| kept &= gather.take_told(at, &told));
        let all = gather.everything && kept && gather.learnt.dropped == 0;
        gather.learnt.named = (!all).then(|| named(shards, hands));
        if !gather.vendors.is_empty() || gather.everything {
            gather.each_shard(hands, Gather::carried, |gather, at, carried| gather.take_carried(at, &carried));
        }
        gather
    }

    /// Sees to it that there is room for all that is to come; where little is kept, it is not known how much that is.
    fn expect(&mut self) {
        let count = |of: fn(&Shard) -> usize| if self.everything { self.shards.iter().map(of).sum() } else { 0 };
        let answers = count(|shard| shard.learner.addresses());
        self.learnt.expect(answers, count(|shard| shard.learner.carried.len()));
    }

    /// Has something found in each shard, and takes it in their order: at once where there are several hands, else one
    /// after the other, so that what was found in all of them need not be held.
    fn each_shard<R: Send>(
        &mut self,
        hands: &impl Hands,
        find: impl Fn(&Self, usize) -> R + Sync,
        mut take: impl FnMut(&mut Self, usize, R),
    ) {
        let all = self.shards.len();
        let at_once = if hands.count() > 1 { all.max(1) } else { 1 };
        for from in (0..all).step_by(at_once) {
            let found = hands.each(at_once, |at| find(self, from.saturating_add(at)));
            found.into_iter().zip(from..).for_each(|(found, at)| take(self, at, found));
        }
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
        let mut wanted = Vec::with_capacity(if self.everything { shard.learner.addresses() } else { 0 });
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
        let mut wanted = Vec::with_capacity(if self.everything { shard.learner.carried.len() } else { 0 });
        wanted.extend(each.filter(|(_, own, server)| self.is_wanted(at, own.name, server)));
        wanted
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
