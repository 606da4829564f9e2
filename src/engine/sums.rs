//! What is summed over flows to judge a capture by.

use super::shard::Shard;
use crate::flow::tcp::Tcp;
use crate::flow::{Flow, Table};

/// What is summed over all flows to judge the capture.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowSums {
    pub(super) duplicates: u64,
    pub(super) tcp_with_payload: u64,
    pub(super) one_sided: u64,
    pub(super) missed: u64,
    pub(super) payload: u64,
}

impl FlowSums {
    /// Those of all flows of a shard.
    pub(super) fn of(shard: &Shard) -> FlowSums {
        let mut sums = FlowSums::default();
        shard.table.flows().for_each(|(_, flow)| sums.add(&shard.table, flow));
        sums
    }

    pub(super) fn add_all(&mut self, other: &FlowSums) {
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        self.tcp_with_payload = self.tcp_with_payload.saturating_add(other.tcp_with_payload);
        self.one_sided = self.one_sided.saturating_add(other.one_sided);
        self.missed = self.missed.saturating_add(other.missed);
        self.payload = self.payload.saturating_add(other.payload);
    }

    pub(super) fn add(&mut self, table: &Table, flow: &Flow) {
        let [a, b] = table.payload(flow);
        self.duplicates = self.duplicates.saturating_add(u64::from(table.duplicates(flow)));
        self.payload = self.payload.saturating_add(a).saturating_add(b);
        let Some(tcp) = table.tcp(flow) else { return };
        if flow.troubled() {
            let missed: u64 = tcp.log.troubles().iter().copied().flatten().map(|t| t.missed).sum();
            self.missed = self.missed.saturating_add(missed);
        }
        if a != 0 || b != 0 {
            self.tcp_with_payload = self.tcp_with_payload.saturating_add(1);
            self.one_sided = self.one_sided.saturating_add(u64::from(is_one_sided(table.pkts(flow), Some(tcp))));
        }
    }
}

/// Whether one direction of a flow was not captured though it was there: TCP shows it by what it acknowledges.
pub(super) fn is_one_sided(pkts: [u64; 2], tcp: Option<&Tcp>) -> bool {
    pkts.contains(&0) && tcp.is_some_and(Tcp::shows_an_answer)
}
