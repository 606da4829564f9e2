//! The TCP sides of flows.
//!
//! A scan, a flood, and a peer that is switched off leave nothing but SYNs, each a flow of its own, and a closed port a
//! SYN and its refusal. Of such a connection only what tells these packets from others is kept, in 16 or 32 bytes; it
//! is a whole [`Tcp`] from its next packet on.

use std::borrow::Cow;

use super::NONE;
use super::offer::Offer;
use super::slab::{Marks, Renumbered, Slab};
use super::tcp::Tcp;
use super::wrapping::micros;
use crate::decode::{Packet, tcp_flag};
use crate::time::Timestamp;

/// In a flow's number of its connection, whose upper two bits tell what it is the number of: a lone SYN.
const LONE: u32 = 2 << 30;
/// The number is that of a SYN that was refused.
const REFUSED: u32 = 3 << 30;
/// The upper two bits.
const KIND: u32 = 3 << 30;
/// All but these.
const NUMBER: u32 = !KIND;

/// The one packet of a connection: a SYN without payload, of side 0.
#[derive(Clone, Copy, Debug)]
struct Syn {
    seq: u32,
    window: u16,
    offer: Offer,
}

impl Syn {
    fn of(packet: &Packet, options: &[u8]) -> Option<Syn> {
        const TOLD_BY: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::FIN | tcp_flag::RST;
        let alone = packet.tcp_flags & TOLD_BY == tcp_flag::SYN && packet.payload_len == 0;
        alone.then(|| Syn { seq: packet.seq, window: packet.window, offer: Offer::of(options) })
    }

    /// The connection that it began at `first`.
    fn whole(self, first: Timestamp) -> Tcp {
        let Syn { seq, window, offer } = self;
        Tcp::begun(first, seq, window, offer)
    }
}

/// The two packets of a connection: a SYN, and the RST of side 1 that acknowledges it.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    syn: Syn,
    /// When the RST came, in microseconds: what round trips are told in.
    at: u32,
    seq: u32,
    window: u16,
    /// All TCP flags of the RST.
    flags: u8,
}

impl Refusal {
    /// If a packet of side 1 (`second`) or 0 refuses that SYN, and does no more.
    fn of(syn: Syn, second: bool, packet: &Packet) -> Option<Refusal> {
        const TOLD_BY: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::FIN | tcp_flag::RST;
        let refuses = packet.tcp_flags & TOLD_BY == tcp_flag::RST | tcp_flag::ACK && packet.payload_len == 0;
        let (seq, window, flags) = (packet.seq, packet.window, packet.tcp_flags);
        let alone = second && refuses && packet.ack == syn.seq.wrapping_add(1);
        alone.then(|| Refusal { syn, at: micros(packet.ts), seq, window, flags })
    }

    /// The connection that the SYN began at `first`.
    fn whole(self, first: Timestamp) -> Tcp {
        let Refusal { syn, at, seq, window, flags } = self;
        let (ts, ack) = (Timestamp(u64::from(at).saturating_mul(1000)), syn.seq.wrapping_add(1));
        let mut tcp = syn.whole(first);
        tcp.segment(true, &Packet { ts, seq, ack, window, tcp_flags: flags, ..Packet::default() }, &[]);
        tcp
    }
}

/// All connections of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    whole: Slab<Tcp>,
    lone: Slab<Syn>,
    refused: Slab<Refusal>,
}

impl Connections {
    /// Begins a connection with its first packet, and gives its number. A lone SYN is dealt with by that.
    pub fn open(&mut self, packet: &Packet, options: &[u8]) -> u32 {
        match Syn::of(packet, options) {
            Some(syn) => self.lone.insert(syn) | LONE,
            None => self.whole.insert(Tcp::default()),
        }
    }

    /// The connection, to take `packet` of side 1 (`second`) or 0, which is another than its first; none if it is dealt
    /// with by that. One that was a lone SYN, of the time `first`, or a refused one has another number from then on.
    #[inline(always)]
    pub fn wake(&mut self, number: &mut u32, first: Timestamp, second: bool, packet: &Packet) -> Option<&mut Tcp> {
        if *number >= LONE && *number != NONE {
            *number = self.grow(*number, first, second, packet);
        }
        self.whole.get_mut(*number)
    }

    #[cold]
    fn grow(&mut self, number: u32, first: Timestamp, second: bool, packet: &Packet) -> u32 {
        if let Some(syn) = self.lone(number).copied() {
            self.lone.release(number & NUMBER);
            return match Refusal::of(syn, second, packet) {
                Some(refusal) => self.refused.insert(refusal) | REFUSED,
                None => self.whole.insert(syn.whole(first)),
            };
        }
        let Some(refusal) = self.refused(number).copied() else { return NONE };
        self.refused.release(number & NUMBER);
        self.whole.insert(refusal.whole(first))
    }

    /// Whether a SYN of side 1 (`second`) or 0 opens another connection than this one.
    #[inline]
    pub fn is_reopened_by(&self, number: u32, second: bool, packet: &Packet) -> bool {
        match self.whole.get(number) {
            Some(tcp) => tcp.is_reopened_by(second, packet),
            None => match self.lone(number) {
                // of a lone SYN only its sender can think better
                Some(syn) => !second && syn.seq != packet.seq && !packet.has(tcp_flag::ACK),
                None => self.refused(number).is_some_and(|r| r.whole(packet.ts).is_reopened_by(second, packet)),
            },
        }
    }

    fn lone(&self, number: u32) -> Option<&Syn> {
        self.lone.get(number & NUMBER).filter(|_| number & KIND == LONE)
    }

    fn refused(&self, number: u32) -> Option<&Refusal> {
        self.refused.get(number & NUMBER).filter(|_| number & KIND == REFUSED && number != NONE)
    }

    /// Whether it was refused, and nothing else was seen of it.
    pub fn is_refused(&self, number: u32) -> bool {
        self.refused(number).is_some()
    }

    /// The connection, if more of it was seen than a lone SYN, or a SYN and its refusal.
    #[inline(always)]
    pub fn whole(&self, number: u32) -> Option<&Tcp> {
        self.whole.get(number)
    }

    /// As [`Connections::whole`], to change.
    #[inline(always)]
    pub fn whole_mut(&mut self, number: u32) -> Option<&mut Tcp> {
        self.whole.get_mut(number)
    }

    /// The flow of that connection, if it is one, was silent for longer than round trips are timed.
    #[cold]
    pub fn stop_timing(&mut self, number: u32) {
        if let Some(tcp) = self.whole_mut(number) {
            tcp.stop_timing();
        }
    }

    /// The connection that began at `first`.
    #[inline(always)]
    pub fn get(&self, number: u32, first: Timestamp) -> Option<Cow<'_, Tcp>> {
        match self.whole.get(number) {
            Some(tcp) => Some(Cow::Borrowed(tcp)),
            None => {
                let refused = || self.refused(number).map(|refusal| refusal.whole(first));
                self.lone(number).map(|syn| syn.whole(first)).or_else(refused).map(Cow::Owned)
            }
        }
    }

    /// Keeps the connections with these numbers, and says which numbers they have now.
    pub fn compact(&mut self, kept: impl Iterator<Item = u32>) -> Moved {
        let (mut whole, mut lone, mut refused) =
            (Marks::of(&self.whole), Marks::of(&self.lone), Marks::of(&self.refused));
        for number in kept {
            match number & KIND {
                LONE => lone.mark(number & NUMBER),
                REFUSED => refused.mark(number & NUMBER),
                _ => whole.mark(number),
            }
        }
        let whole = self.whole.compact(|number| whole.has(number));
        let lone = self.lone.compact(|number| lone.has(number));
        let refused = self.refused.compact(|number| refused.has(number));
        Moved { whole, lone, refused }
    }

    /// Bytes of memory that connections hold beside their places.
    pub fn held(&self) -> usize {
        self.whole.iter().map(|(_, tcp)| tcp.held()).sum()
    }

    /// Bytes of memory that their places take.
    pub fn memory(&self) -> usize {
        [self.whole.memory(), self.lone.memory(), self.refused.memory()].iter().sum()
    }
}

/// The numbers that connections have after some were let go of.
pub(super) struct Moved {
    whole: Renumbered,
    lone: Renumbered,
    refused: Renumbered,
}

impl Moved {
    /// The number that the connection `before` has now; [`NONE`] if it is no longer there.
    pub fn of(&self, before: u32) -> u32 {
        match before & KIND {
            LONE => self.lone.of(before & NUMBER) | LONE,
            REFUSED => self.refused.of(before & NUMBER) | REFUSED,
            _ => self.whole.of(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn syn(ts: u64, seq: u32, window: u16) -> Packet {
        Packet { ts: Timestamp(ts), seq, window, tcp_flags: tcp_flag::SYN, transport: true, ..Packet::default() }
    }

    const OPTIONS: [&[u8]; 3] = [b"", b"\x02\x04\x05\xb4", b"\x02\x04\x05\xb4\x03\x03\x07\x01"];

    /// Anything that may follow a SYN of that sequence number, a refusal of it more often than not.
    fn follows(seq: u32) -> impl Strategy<Value = (bool, Packet)> {
        let flags = prop::sample::select(vec![0x14u8, 0x14, 0x14, 0x34, 0x04, 0x12, 0x10, 0x02, 0x11]);
        let ack = prop_oneof![4 => Just(seq.wrapping_add(1)), 1 => any::<u32>()];
        let own = prop_oneof![1 => Just(seq), 1 => any::<u32>()];
        let len = prop_oneof![4 => Just(0u32), 1 => 1u32..9];
        (any::<bool>(), flags, ack, own, any::<u16>(), len, 0u64..1 << 40).prop_map(
            |(second, tcp_flags, ack, seq, window, payload_len, ts)| {
                let ts = Timestamp((1 << 50) + ts);
                (second, Packet { ts, seq, ack, window, tcp_flags, payload_len, transport: true, ..Packet::default() })
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_kept_small_is_the_connection_that_it_stands_for(
            (ts, seq, window) in (0u64..1 << 50, any::<u32>(), any::<u16>()),
            options in prop::sample::select(OPTIONS.to_vec()),
            following in any::<u32>().prop_flat_map(|_| prop::collection::vec(follows(7), 0..4)),
        ) {
            let (payload_start, options_len) = (options.len() as u32, options.len() as u8);
            let first = Packet { payload_start, options_len, ..syn(ts, if seq & 1 == 0 { 7 } else { seq }, window) };
            let (mut whole, mut small) = (Tcp::default(), Connections::default());
            whole.segment(false, &first, options);
            let mut number = small.open(&first, options);
            prop_assert!(small.whole(number).is_none());
            for (second, packet) in following {
                let same = |small: &Connections, number| format!("{:?}", small.get(number, first.ts).unwrap());
                prop_assert_eq!(same(&small, number), format!("{whole:?}"));
                let reopens = small.is_reopened_by(number, second, &packet);
                prop_assert_eq!(reopens, whole.is_reopened_by(second, &packet));
                whole.segment(second, &packet, &[]);
                if let Some(tcp) = small.wake(&mut number, first.ts, second, &packet) {
                    tcp.segment(second, &packet, &[]);
                }
                prop_assert_eq!(small.is_refused(number), small.whole(number).is_none());
                prop_assert_eq!(same(&small, number), format!("{whole:?}"));
            }
        }
    }

    #[test]
    fn a_closed_port_takes_little() {
        let mut connections = Connections::default();
        let mut number = connections.open(&syn(5_000_000, 7, 100), &[]);
        let (ts, tcp_flags) = (Timestamp(5_300_000), tcp_flag::RST | tcp_flag::ACK);
        let refusal = Packet { ts, ack: 8, tcp_flags, ..Packet::default() };
        assert!(connections.wake(&mut number, Timestamp(5_000_000), true, &refusal).is_none());
        assert!(connections.is_refused(number) && connections.whole.is_empty());
        let tcp = connections.get(number, Timestamp(5_000_000)).unwrap();
        assert_eq!((tcp.log.rst_by, tcp.is_over(), tcp.rtt.min()), (Some(1), true, Some(0.0003)));
        let moved = connections.compact([number].into_iter());
        assert!(connections.is_refused(moved.of(number)) && moved.of(NONE) == NONE);
        assert!(size_of::<Refusal>() <= 32 && size_of::<Syn>() <= 16);
    }
}
