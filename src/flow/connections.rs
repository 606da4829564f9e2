//! The TCP sides of flows.
//!
//! A scan, a flood, and a peer that is switched off leave nothing but SYNs, each a flow of its own. Of such a connection
//! only what tells its SYN from others is kept, in 16 bytes; it is a whole [`Tcp`] from its second packet on.

use std::borrow::Cow;

use super::NONE;
use super::offer::Offer;
use super::slab::{Marks, Renumbered, Slab};
use super::tcp::Tcp;
use crate::decode::{Packet, tcp_flag};
use crate::time::Timestamp;

/// In a flow's number of its connection: it is that of a lone SYN.
const LONE: u32 = 1 << 31;

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

/// All connections of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    whole: Slab<Tcp>,
    lone: Slab<Syn>,
}

impl Connections {
    /// Begins a connection with its first packet, and gives its number. A lone SYN is dealt with by that.
    pub fn open(&mut self, packet: &Packet, options: &[u8]) -> u32 {
        match Syn::of(packet, options) {
            Some(syn) => self.lone.insert(syn) | LONE,
            None => self.whole.insert(Tcp::default()),
        }
    }

    /// The connection, to take another packet than its first. One that was a lone SYN, of the time `first`, has another
    /// number from then on.
    #[inline(always)]
    pub fn wake(&mut self, number: &mut u32, first: Timestamp) -> Option<&mut Tcp> {
        if *number & LONE != 0 && *number != NONE {
            *number = self.make_whole(*number, first);
        }
        self.whole.get_mut(*number)
    }

    #[cold]
    fn make_whole(&mut self, number: u32, first: Timestamp) -> u32 {
        let Some(&syn) = self.lone.get(number & !LONE) else { return NONE };
        self.lone.release(number & !LONE);
        self.whole.insert(syn.whole(first))
    }

    /// Whether a SYN of side 1 (`second`) or 0 opens another connection than this one.
    #[inline]
    pub fn is_reopened_by(&self, number: u32, second: bool, packet: &Packet) -> bool {
        match self.whole.get(number) {
            Some(tcp) => tcp.is_reopened_by(second, packet),
            // of a lone SYN only its sender can think better
            None => self.lone(number).is_some_and(|syn| !second && syn.seq != packet.seq && !packet.has(tcp_flag::ACK)),
        }
    }

    fn lone(&self, number: u32) -> Option<&Syn> {
        self.lone.get(number & !LONE).filter(|_| number & LONE != 0 && number != NONE)
    }

    /// The connection, if more of it was seen than a lone SYN.
    #[inline(always)]
    pub fn whole(&self, number: u32) -> Option<&Tcp> {
        self.whole.get(number)
    }

    /// As [`Connections::whole`], to change.
    #[inline(always)]
    pub fn whole_mut(&mut self, number: u32) -> Option<&mut Tcp> {
        self.whole.get_mut(number)
    }

    /// The connection that began at `first`.
    #[inline(always)]
    pub fn get(&self, number: u32, first: Timestamp) -> Option<Cow<'_, Tcp>> {
        match self.whole.get(number) {
            Some(tcp) => Some(Cow::Borrowed(tcp)),
            None => self.lone(number).map(|syn| Cow::Owned(syn.whole(first))),
        }
    }

    /// Keeps the connections with these numbers, and says which numbers they have now.
    pub fn compact(&mut self, kept: impl Iterator<Item = u32>) -> Moved {
        let (mut whole, mut lone) = (Marks::of(&self.whole), Marks::of(&self.lone));
        for number in kept {
            match number & LONE {
                0 => whole.mark(number),
                _ => lone.mark(number & !LONE),
            }
        }
        let whole = self.whole.compact(|number| whole.has(number));
        let lone = self.lone.compact(|number| lone.has(number));
        Moved { whole, lone }
    }

    /// Bytes of memory that connections hold beside their places.
    pub fn held(&self) -> usize {
        self.whole.iter().map(|(_, tcp)| tcp.held()).sum()
    }

    /// Bytes of memory that their places take.
    pub fn memory(&self) -> usize {
        self.whole.memory().saturating_add(self.lone.memory())
    }
}

/// The numbers that connections have after some were let go of.
pub(super) struct Moved {
    whole: Renumbered,
    lone: Renumbered,
}

impl Moved {
    /// The number that the connection `before` has now; [`NONE`] if it is no longer there.
    pub fn of(&self, before: u32) -> u32 {
        match before & LONE {
            0 => self.whole.of(before),
            _ => self.lone.of(before & !LONE) | LONE,
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

    proptest! {
        #[test]
        fn a_lone_syn_is_the_connection_that_it_began(
            (ts, seq, window) in (0u64..1 << 50, any::<u32>(), any::<u16>()),
            options in prop::sample::select(vec![&b""[..], b"\x02\x04\x05\xb4", b"\x02\x04\x05\xb4\x03\x03\x07\x01"]),
            (second, again, flags) in (any::<bool>(), any::<u32>(), prop::sample::select(vec![0u8, tcp_flag::ACK])),
        ) {
            let first = syn(ts, seq, window);
            let mut whole = Tcp::default();
            whole.segment(false, &first, options);
            let mut connections = Connections::default();
            let number = connections.open(&first, options);
            prop_assert!(connections.whole(number).is_none());
            let begun = connections.get(number, first.ts).unwrap();
            prop_assert_eq!(format!("{begun:?}"), format!("{whole:?}"));
            for seq in [again, seq] {
                let next = Packet { seq, tcp_flags: tcp_flag::SYN | flags, ..syn(ts, seq, window) };
                let reopens = connections.is_reopened_by(number, second, &next);
                prop_assert_eq!(reopens, whole.is_reopened_by(second, &next));
            }
        }
    }
}
