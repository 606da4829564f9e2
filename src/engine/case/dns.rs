//! What became of DNS queries for names under the vendor's domains.

use std::net::IpAddr;

use super::Cases;
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
    pub addresses: Vec<IpAddr>,
    pub ttl: Option<u32>,
}

impl Analysis {
    pub(super) fn add_dns(&self, naming: &Naming<'_>, cases: &mut Cases) {
        for (shard, at) in self.shards.iter().zip(0u32..) {
            for asked in &shard.learner.asked {
                let Some(flow) = shard.table.flow(asked.flow) else { continue };
                let view = FlowView::new(shard, at, flow, naming);
                cases.dns.push(dns_case(asked, &view, naming));
            }
        }
        cases.dns.sort_by(|a, b| (a.first.frame, &a.name, a.qtype).cmp(&(b.first.frame, &b.name, b.qtype)));
    }
}

fn dns_case(asked: &Asked, view: &FlowView<'_>, naming: &Naming<'_>) -> DnsCase {
    let name = view.text(asked.name).to_ascii_lowercase();
    DnsCase {
        identity: view.identity(),
        client: asked.client.ip(asked.v6),
        resolver: asked.resolver.ip(asked.v6),
        host: naming.base.catalogue.look_up(&name),
        name,
        qtype: asked.qtype,
        first: asked.first,
        last: asked.last,
        times: asked.times,
        answer: asked.answer,
        addresses: asked.addresses.to_vec(),
        ttl: asked.ttl,
    }
}
