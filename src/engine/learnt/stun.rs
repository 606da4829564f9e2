//! What STUN has told of one flow.

use std::net::{Ipv4Addr, SocketAddr};

use smallvec::SmallVec;

use crate::decode::Addr;
use crate::event::MethodCounts;
use crate::time::Timestamp;

/// STUN of one flow.
#[derive(Clone, Debug, Default)]
pub struct Stun {
    /// The first message's frame.
    pub frame: u64,
    /// Binding requests, by side.
    pub requests: [u32; 2],
    /// Success responses, by side.
    pub success: [u32; 2],
    /// When each side last sent a message.
    pub last: [Timestamp; 2],
    /// ChannelData messages.
    pub channel_data: u32,
    /// Messages had the attributes of ICE.
    pub ice: bool,
    /// TURN methods were spoken.
    pub turn: bool,
    /// Mapped addresses told.
    pub mapped: MappedList,
    /// What only a record needs.
    pub detail: Option<Box<StunDetail>>,
}

/// What only a record needs of STUN.
#[derive(Clone, Debug, Default)]
pub struct StunDetail {
    /// Exchanges by method number.
    pub methods: SmallVec<[(u16, MethodCounts); 1]>,
    /// The first user name.
    pub username: Option<u32>,
    /// The first software.
    pub software: Option<u32>,
    /// Addresses that a TURN server relays from.
    pub relayed: SmallVec<[Mapped; 1]>,
    /// Peers that it relays to.
    pub peers: SmallVec<[Mapped; 1]>,
    /// Whether each side says that it controls (ICE), its newest word.
    pub controls: [Option<bool>; 2],
    /// A pair of candidates was nominated.
    pub nominated: bool,
}

/// A mapped address that a server told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    addr: Addr,
    port: u16,
    v6: bool,
    /// The side that was told.
    pub side: u8,
}

impl Mapped {
    /// `told` to that side.
    pub fn new(told: SocketAddr, side: u8) -> Self {
        Mapped { addr: Addr::from_ip(told.ip()), port: told.port(), v6: told.is_ipv6(), side }
    }

    /// What it takes where it is IPv4.
    fn small(self) -> Option<(Ipv4Addr, u16, Side)> {
        let side = if self.side == 0 { Side::First } else { Side::Second };
        (!self.v6).then(|| (Ipv4Addr::from(self.addr.low32()), self.port, side))
    }

    fn of_small((ip, port, side): (Ipv4Addr, u16, Side)) -> Self {
        Mapped::new(SocketAddr::from((ip, port)), side as u8)
    }

    /// The address and port told.
    pub fn told(&self) -> SocketAddr {
        SocketAddr::new(self.addr.ip(self.v6), self.port)
    }
}

/// Mapped addresses that one flow's ends were told. Most are told one, of IPv4, which takes eight bytes.
#[derive(Clone, Debug, Default)]
pub struct MappedList {
    one: Option<(Ipv4Addr, u16, Side)>,
    /// All of them, where there are others.
    all: Option<Box<Several>>,
}

#[derive(Clone, Debug)]
struct Several(Vec<Mapped>);

/// Which side was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// How many mapped addresses one flow keeps.
const MAX_MAPPED: usize = 16;

impl MappedList {
    /// Keeps one, if it is not there.
    pub fn keep(&mut self, told: Mapped) {
        if self.is_empty()
            && let Some(one) = told.small()
        {
            self.one = Some(one);
        } else if !self.iter().any(|known| known == told) && self.iter().count() < MAX_MAPPED {
            let one = self.one.take();
            let several = || Box::new(Several(one.map(Mapped::of_small).into_iter().collect()));
            let Several(all) = &mut **self.all.get_or_insert_with(several);
            all.push(told);
        }
    }

    /// Each of them, in the order in which they were told.
    pub fn iter(&self) -> impl Iterator<Item = Mapped> + '_ {
        self.one.map(Mapped::of_small).into_iter().chain(self.all.iter().flat_map(|all| all.0.iter().copied()))
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.one.is_none() && self.all.is_none()
    }

    /// How many have room outside it, where any has.
    pub fn boxed(&self) -> Option<usize> {
        self.all.as_ref().map(|all| all.0.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_what_it_was_told_in_order() {
        assert!(size_of::<MappedList>() <= 16 && size_of::<Stun>() <= 72);
        let told = |text: &str, side| Mapped::new(text.parse().unwrap(), side);
        let (a, b, c) = (told("198.51.100.7:40000", 0), told("198.51.100.7:40000", 1), told("[2001:db8::1]:9", 0));
        for order in [[a, b, c], [c, a, b], [b, a, c]] {
            let mut list = MappedList::default();
            assert!(list.is_empty() && list.iter().next().is_none());
            for (n, one) in order.iter().enumerate() {
                list.keep(*one);
                list.keep(*one);
                assert_eq!(list.iter().collect::<Vec<_>>(), order[..=n]);
            }
        }
        let mut list = MappedList::default();
        (0..40).for_each(|port| list.keep(told(&format!("198.51.100.7:{port}"), 0)));
        assert_eq!(list.iter().count(), MAX_MAPPED);
    }
}
