//! Which parts a flow has of what flows have told: TLS, DNS, …, each a number in that part's own slab. What of its
//! payload is being read is a part as well, as long as it is.
//!
//! Most flows have one part, and its kind and number fit into the one word that a flow keeps. Only a flow with several
//! has a list of them.

use crate::flow::NONE;
use crate::flow::slab::Slab;

/// The kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TLS or DTLS.
    Tls,
    /// HTTP.
    Http,
    /// DNS.
    Dns,
    /// STUN.
    Stun,
    /// Datagrams of media.
    Media,
    /// The first ICMP error about the flow.
    Icmp,
    /// NTP.
    Ntp,
    /// QUIC.
    Quic,
    /// The connection that a load balancer passes on.
    Proxied,
    /// RTSP, SIP, SSDP, WS-Discovery or HTTP/2.
    Message,
    /// What a router says of its outside address.
    Router,
    /// What of its payload is being read: streams, or hellos that come in pieces. Their numbers are those of whoever
    /// reads.
    Reading,
}

impl Kind {
    /// Every kind of what flows have told.
    pub const TOLD: [Kind; KINDS - 1] = [
        Kind::Tls,
        Kind::Http,
        Kind::Dns,
        Kind::Stun,
        Kind::Media,
        Kind::Icmp,
        Kind::Ntp,
        Kind::Quic,
        Kind::Proxied,
        Kind::Message,
        Kind::Router,
    ];
}

/// How many kinds there are.
pub const KINDS: usize = 12;
/// A word's upper bits are a kind, the rest a number: no shard can hold more of anything in memory.
const SHIFT: u32 = 28;
const NUMBER: u32 = (1 << SHIFT) - 1;
/// In place of a kind: the number is a list's.
const SEVERAL: u32 = 14;

/// The lists of flows with several parts. A flow's word is [`NONE`] at first.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    several: Slab<[u32; KINDS]>,
}

impl Parts {
    /// The number of a flow's part of that kind, given the flow's word; [`NONE`] if it has none.
    #[inline(always)]
    pub fn get(&self, word: u32, kind: Kind) -> u32 {
        let tag = word >> SHIFT;
        if tag == kind as u32 {
            return word & NUMBER;
        }
        if tag != SEVERAL {
            return NONE;
        }
        let list = self.several.get(word & NUMBER);
        list.and_then(|list| list.get(kind as usize)).copied().unwrap_or(NONE)
    }

    /// Whether a flow has told anything.
    #[inline(always)]
    pub const fn has_told(word: u32) -> bool {
        word != NONE && word >> SHIFT != Kind::Reading as u32
    }

    /// Gives a flow, whose word is `word`, a part that it did not have.
    pub fn add(&mut self, word: &mut u32, kind: Kind, number: u32) {
        let tag = *word >> SHIFT;
        if *word == NONE {
            *word = (kind as u32) << SHIFT | (number & NUMBER);
            return;
        }
        if tag != SEVERAL {
            let mut list = [NONE; KINDS];
            if let Some(slot) = list.get_mut(tag as usize) {
                *slot = *word & NUMBER;
            }
            *word = SEVERAL << SHIFT | (self.several.insert(list) & NUMBER);
        }
        if let Some(slot) = self.several.get_mut(*word & NUMBER).and_then(|list| list.get_mut(kind as usize)) {
            *slot = number;
        }
    }

    /// Takes a part away from a flow, whose word is `word`.
    pub fn remove(&mut self, word: &mut u32, kind: Kind) {
        if *word >> SHIFT != SEVERAL {
            *word = if *word >> SHIFT == kind as u32 { NONE } else { *word };
            return;
        }
        let Some(list) = self.several.get_mut(*word & NUMBER) else { return };
        list.get_mut(kind as usize).into_iter().for_each(|slot| *slot = NONE);
        let mut left = list.iter().zip(0u32..).filter(|(number, _)| **number != NONE);
        if let (Some((number, kind)), None) = (left.next(), left.next()) {
            let last = kind << SHIFT | (*number & NUMBER);
            self.several.release(*word & NUMBER);
            *word = last;
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.several.memory()
    }
}

/// A flow's part of that kind, made if there is none yet. True: it was.
#[inline]
pub fn part<'a, T>(
    parts: &mut Parts,
    word: &mut u32,
    kind: Kind,
    slab: &'a mut Slab<T>,
    make: impl FnOnce() -> T,
) -> (Option<&'a mut T>, bool) {
    let number = parts.get(*word, kind);
    if number != NONE {
        return (slab.get_mut(number), false);
    }
    let number = slab.insert(make());
    parts.add(word, kind, number);
    (slab.get_mut(number), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_needs_no_list_and_several_have_one() {
        let mut parts = Parts::default();
        let mut word = NONE;
        assert_eq!(parts.get(word, Kind::Tls), NONE);
        parts.add(&mut word, Kind::Dns, 7);
        assert_eq!((parts.get(word, Kind::Dns), parts.get(word, Kind::Tls)), (7, NONE));
        assert!(Parts::has_told(word) && parts.several.is_empty());
        for (kind, number) in [(Kind::Tls, 0), (Kind::Ntp, 9), (Kind::Icmp, NUMBER)] {
            parts.add(&mut word, kind, number);
        }
        let all = [
            Kind::Tls,
            Kind::Http,
            Kind::Dns,
            Kind::Stun,
            Kind::Media,
            Kind::Icmp,
            Kind::Ntp,
            Kind::Quic,
            Kind::Proxied,
        ];
        assert_eq!(all.map(|kind| parts.get(word, kind)), [0, NONE, 7, NONE, NONE, NUMBER, 9, NONE, NONE]);
        assert_eq!(parts.several.len(), 1);
    }

    #[test]
    fn what_was_being_read_leaves_no_trace() {
        let mut parts = Parts::default();
        let (mut read, mut told, mut both) = (NONE, NONE, NONE);
        parts.add(&mut read, Kind::Reading, 3);
        assert!(parts.get(read, Kind::Reading) == 3 && !Parts::has_told(read) && !Parts::has_told(NONE));
        parts.remove(&mut read, Kind::Reading);
        parts.add(&mut told, Kind::Dns, 4);
        let before = told;
        parts.remove(&mut told, Kind::Reading);
        assert_eq!((read, told), (NONE, before));
        for _ in 0..3 {
            parts.add(&mut both, Kind::Reading, 5);
            parts.add(&mut both, Kind::Tls, 6);
            assert!(Parts::has_told(both) && parts.get(both, Kind::Reading) == 5);
            parts.remove(&mut both, Kind::Reading);
            assert_eq!((parts.get(both, Kind::Tls), parts.get(both, Kind::Reading), parts.several.len()), (6, NONE, 1));
            parts.remove(&mut both, Kind::Tls);
            assert_eq!(both, NONE);
        }
    }
}
