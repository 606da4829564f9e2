//! How soon resolvers answer, by those who ask them.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::analysis::{Analysis, ends};
use super::learnt::{Dns, Reply, Seen, Speed};

/// How many pairs of client and resolver are told; past that, those that began late are not.
const MAX_PAIRS: usize = 1 << 16;
/// How many responses of one pair are told one by one.
const MAX_REPLIES: usize = 64;
/// The port of unicast DNS (RFC 1035 §4.2).
const PORT: u16 = 53;

/// How a resolver answered one client.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ResolverCase {
    pub client: IpAddr,
    pub resolver: IpAddr,
    /// The first response.
    pub first: Seen,
    pub answers: u32,
    /// The first of them.
    pub replies: Vec<Reply>,
}

impl ResolverCase {
    fn add(&mut self, speed: &Speed) {
        if speed.first.frame < self.first.frame {
            self.first = speed.first;
        }
        self.answers = self.answers.saturating_add(speed.answers);
        let room = MAX_REPLIES.saturating_sub(self.replies.len());
        self.replies.extend(speed.replies().iter().take(room));
    }
}

impl Analysis {
    /// How resolvers answered, in the order of first answers.
    pub(super) fn resolvers(&self) -> Vec<ResolverCase> {
        let mut pairs: HashMap<(IpAddr, IpAddr), ResolverCase, RandomState> = HashMap::default();
        for shard in &self.shards {
            for (_, flow) in shard.table.flows() {
                let Some(speed) = shard.learner.dns_of(flow).map(Dns::speed).filter(|s| s.answers > 0) else {
                    continue;
                };
                let [(client, _), (resolver, port)] = ends(shard, flow);
                if port != PORT || (pairs.len() >= MAX_PAIRS && !pairs.contains_key(&(client, resolver))) {
                    continue;
                }
                let fresh = || ResolverCase { client, resolver, first: speed.first, answers: 0, replies: Vec::new() };
                pairs.entry((client, resolver)).or_insert_with(fresh).add(&speed);
            }
        }
        let mut all: Vec<ResolverCase> = pairs.into_values().collect();
        all.sort_unstable_by_key(|known| (known.first.frame, known.client, known.resolver));
        all
    }
}
