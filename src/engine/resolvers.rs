//! How soon resolvers answer, by those who ask them.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::analysis::{Analysis, ends};
use super::learnt::{Dns, Seen, Speed};

/// How many pairs of client and resolver are told; past that, those that began late are not.
const MAX_PAIRS: usize = 1 << 16;
/// How many times of one pair are told one by one.
const MAX_TIMES: usize = 64;
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
    /// How long the first of them took, in seconds.
    pub times: Vec<f64>,
}

impl ResolverCase {
    fn add(&mut self, speed: &Speed) {
        if speed.first.frame < self.first.frame {
            self.first = speed.first;
        }
        self.answers = self.answers.saturating_add(speed.answers);
        let room = MAX_TIMES.saturating_sub(self.times.len());
        self.times.extend(speed.times().iter().take(room).map(|micros| f64::from(*micros) / 1e6));
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
                let fresh = || ResolverCase { client, resolver, first: speed.first, answers: 0, times: Vec::new() };
                pairs.entry((client, resolver)).or_insert_with(fresh).add(&speed);
            }
        }
        let mut all: Vec<ResolverCase> = pairs.into_values().collect();
        all.sort_unstable_by_key(|known| (known.first.frame, known.client, known.resolver));
        all
    }
}
