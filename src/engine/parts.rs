//! Which parts a flow has of what flows have told: TLS, DNS, …, each a number in that part's own slab.
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
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; KINDS] = [
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
pub const KINDS: usize = 11;
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

    /// Whether a flow has no part but, perhaps, one of that kind.
    #[inline(always)]
    pub const fn is_only(word: u32, kind: Kind) -> bool {
        word == NONE || word >> SHIFT == kind as u32
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
        assert!(Parts::is_only(word, Kind::Dns) && !Parts::is_only(word, Kind::Tls) && parts.several.is_empty());
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
}
