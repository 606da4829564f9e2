//! What is counted of a flow, in few bytes, as there may be millions and nearly all are small.
//!
//! Of a side's sums 31 bits stand in the flow itself. What is beyond them is carried to a [`Beside`], which few flows
//! have.

use super::entry::Flow;
use super::slab::Slab;
use super::tunnels::Way;
use crate::decode::Packet;

/// How many bits of a sum stand in the flow itself.
const OWN_BITS: u32 = 31;
/// The most of a sum that does.
const OWN: u32 = (1 << OWN_BITS) - 1;

/// Sums of one side, without what was carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub pkts: u32,
    bytes: u32,
    payload: u32,
}

/// How often a sum was more than stands in the flow: 2^47 of each can be told, 140 terabytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Carried {
    pkts: u16,
    bytes: u16,
    payload: u16,
}

/// What few flows have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// How the flow's first packet came.
    way: Way,
    carried: [Carried; 2],
    duplicates: u32,
}

/// All that was counted of a flow. Pairs are by side: 0 sent the first packet seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Frames.
    pub pkts: [u64; 2],
    /// Frame bytes on the wire.
    pub bytes: [u64; 2],
    /// Bytes above the transport header, mirror copies left out.
    pub payload: [u64; 2],
    /// Frames that were mirror copies.
    pub duplicates: u32,
}

impl Count {
    /// The sums with a packet of so much new payload.
    #[inline(always)]
    fn with(&self, packet: &Packet, payload: u32) -> [u64; 3] {
        let sum = |sum: u32, more: u32| u64::from(sum).wrapping_add(u64::from(more));
        [sum(self.pkts, packet.frames), sum(self.bytes, packet.len), sum(self.payload, payload)]
    }
}

/// What stands beside flows, each known by its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Besides(pub Slab<Beside>);

impl Besides {
    /// How a flow's first packet came.
    pub fn way(&self, flow: &Flow) -> Way {
        self.of(flow).map_or(flow.way, |beside| beside.way)
    }

    /// Counts a packet of a side; `duplicate`: it is a mirror's copy.
    #[inline(always)]
    pub fn count(&mut self, flow: &mut Flow, side: usize, packet: &Packet, duplicate: bool) {
        let Some(count) = flow.counts.get_mut(side) else { return };
        let sums = count.with(packet, packet.payload_len);
        if duplicate || sums.iter().fold(0, |all, sum| all | sum) > u64::from(OWN) {
            self.note(flow, side, packet, duplicate);
        } else {
            let [pkts, bytes, payload] = sums.map(|sum| sum as u32);
            *count = Count { pkts, bytes, payload };
        }
    }

    /// Counts a copy, or what does not stand in the flow.
    #[cold]
    fn note(&mut self, flow: &mut Flow, side: usize, packet: &Packet, duplicate: bool) {
        let Besides(all) = self;
        let number = flow.way.place().unwrap_or_else(|| all.insert(Beside { way: flow.way, ..Beside::default() }));
        flow.way = Way::elsewhere(number);
        let (Some(beside), Some(count)) = (all.get_mut(number), flow.counts.get_mut(side)) else { return };
        let (payload, copies) = if duplicate { (0, packet.frames) } else { (packet.payload_len, 0) };
        beside.duplicates = beside.duplicates.saturating_add(copies);
        let sums = count.with(packet, payload);
        let [pkts, bytes, payload] = sums.map(|sum| sum as u32 & OWN);
        *count = Count { pkts, bytes, payload };
        if let Some(carried) = beside.carried.get_mut(side) {
            let [pkts, bytes, payload] = sums.map(|sum| (sum >> OWN_BITS) as u16);
            carried.pkts = carried.pkts.wrapping_add(pkts);
            carried.bytes = carried.bytes.wrapping_add(bytes);
            carried.payload = carried.payload.wrapping_add(payload);
        }
    }

    /// Bytes of payload of both sides.
    #[inline(always)]
    pub fn payload(&self, flow: &Flow) -> [u64; 2] {
        self.sums(flow, |count| count.payload, |carried| carried.payload)
    }

    /// Frames of both sides.
    #[inline(always)]
    pub fn pkts(&self, flow: &Flow) -> [u64; 2] {
        self.sums(flow, |count| count.pkts, |carried| carried.pkts)
    }

    /// Frames that were mirror copies.
    #[inline(always)]
    pub fn duplicates(&self, flow: &Flow) -> u32 {
        self.of(flow).map_or(0, |beside| beside.duplicates)
    }

    /// All that was counted.
    pub fn counted(&self, flow: &Flow) -> Counted {
        Counted {
            pkts: self.pkts(flow),
            bytes: self.sums(flow, |count| count.bytes, |carried| carried.bytes),
            payload: self.payload(flow),
            duplicates: self.duplicates(flow),
        }
    }

    #[inline(always)]
    fn of(&self, flow: &Flow) -> Option<&Beside> {
        self.0.get(flow.way.place()?)
    }

    #[inline(always)]
    fn sums(&self, flow: &Flow, own: impl Fn(Count) -> u32, more: impl Fn(Carried) -> u16) -> [u64; 2] {
        let [a, b] = flow.counts.map(|count| u64::from(own(count)));
        let Some(beside) = self.of(flow) else { return [a, b] };
        let [more_a, more_b] = beside.carried.map(|carried| u64::from(more(carried)) << OWN_BITS);
        [a | more_a, b | more_b]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::key::FlowKey;

    fn flow() -> Flow {
        let packet = Packet::default();
        Flow::begun(FlowKey::of(&packet, 1).0, &packet, 0, Way::default())
    }

    proptest! {
        #[test]
        fn sums_are_exact(
            packets in prop::collection::vec(
                (any::<bool>(), any::<bool>(), 1u32..100, prop_oneof![any::<u32>(), 0u32..2000], 0u32..2000), 0..40
            ),
            begun in prop::sample::select(vec![0u32, 0x7fff_ff00, 0x7fff_ffff]),
        ) {
            let (mut flow, mut besides, mut sums) = (flow(), Besides::default(), Counted::default());
            for side in 0..2 {
                let packet = Packet { frames: begun, len: begun, payload_len: begun, ..Packet::default() };
                besides.count(&mut flow, side, &packet, false);
                (sums.pkts[side], sums.bytes[side], sums.payload[side]) = (begun.into(), begun.into(), begun.into());
            }
            prop_assert!(flow.way.place().is_none());
            for (second, duplicate, frames, len, payload_len) in packets {
                let side = usize::from(second);
                let packet = Packet { frames, len, payload_len, ..Packet::default() };
                besides.count(&mut flow, side, &packet, duplicate);
                sums.pkts[side] += u64::from(frames);
                sums.bytes[side] += u64::from(len);
                sums.payload[side] += if duplicate { 0 } else { u64::from(payload_len) };
                sums.duplicates += if duplicate { frames } else { 0 };
                prop_assert_eq!(besides.counted(&flow), sums);
                prop_assert_eq!(besides.payload(&flow), sums.payload);
                prop_assert_eq!(besides.way(&flow), Way::default());
            }
        }
    }

    #[test]
    fn a_flow_takes_little() {
        assert!((size_of::<Flow>(), size_of::<Beside>()) <= (80, 20));
    }
}
