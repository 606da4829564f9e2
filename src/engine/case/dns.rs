//! What became of DNS queries for names under the vendor's domains.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::Cases;
use super::build::again;
use crate::classify::host::HostMatch;
use crate::engine::analysis::{Analysis, FlowView, Identity};
use crate::engine::learnt::{Asked, Seen};
use crate::engine::naming::Naming;
use crate::time::Timestamp;

/// A DNS query for a name under the vendor's domains, and what came of it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct DnsCase {
    pub identity: Identity,
    pub client: IpAddr,
    pub resolver: IpAddr,
    pub name: String,
    /// What the catalogue says of the name.
    pub host: HostMatch,
    pub qtype: u16,
    pub first: Seen,
    pub last: Timestamp,
    pub times: u16,
    /// The response, with its code.
    pub answer: Option<(Seen, u16)>,
    pub addresses: SmallVec<[IpAddr; 2]>,
    pub ttl: Option<u32>,
}

/// A query, with what it is put down from.
struct Query<'a> {
    asked: &'a Asked,
    view: FlowView<'a>,
    name: &'a str,
}

impl Analysis {
    /// Puts down what was asked; `before`: what was put down of that last.
    pub(super) fn add_dns(&self, naming: &Naming<'_>, before: Vec<DnsCase>, cases: &mut Cases) {
        let mut queries = Vec::with_capacity(before.len());
        for (shard, at) in self.shards.iter().zip(0u32..) {
            for asked in shard.learner.asked.iter().filter(|asked| asked.times > 0) {
                let Some(flow) = shard.table.flow(asked.flow) else { continue };
                let name = shard.learner.strings.get(asked.name);
                queries.push(Query { asked, view: FlowView::new(shard, at, flow, naming), name });
            }
        }
        let key = |query: &Query<'_>, (frame, name, qtype): (u64, &str, u16)| {
            let first = query.asked.first.frame.cmp(&frame);
            first.then_with(|| lower(query.name).cmp(lower(name))).then(query.asked.qtype.cmp(&qtype))
        };
        queries.sort_by(|a, b| key(a, (b.asked.first.frame, b.name, b.asked.qtype)));
        let order = |query: &Query<'_>, case: &DnsCase| key(query, (case.first.frame, &case.name, case.qtype));
        let fresh = |query: Query<'_>| {
            let name = query.name.to_ascii_lowercase();
            query.case(naming.base.catalogue.look_up(&name), name)
        };
        let renew =
            |query: Query<'_>, case: &mut DnsCase| *case = query.case(case.host, std::mem::take(&mut case.name));
        cases.dns = again(before, queries, order, fresh, renew);
        cases.dns.sort_by(|a, b| (a.first.frame, &a.name, a.qtype).cmp(&(b.first.frame, &b.name, b.qtype)));
    }
}

/// A name without its capitals, as names are put down.
fn lower(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

impl Query<'_> {
    /// What came of it, for a name of which the catalogue says that.
    fn case(&self, host: HostMatch, name: String) -> DnsCase {
        let Query { asked, view, .. } = self;
        DnsCase {
            identity: view.identity(),
            client: asked.client.ip(asked.v6),
            resolver: asked.resolver.ip(asked.v6),
            host,
            name,
            qtype: asked.qtype,
            first: asked.first,
            last: asked.last,
            times: asked.times,
            answer: asked.answer,
            addresses: asked.addresses.clone(),
            ttl: asked.ttl,
        }
    }
}
