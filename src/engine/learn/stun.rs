//! What STUN tells.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::{Context, Kind, Learner, part};
use crate::engine::learnt::{Mapped, Stun, StunDetail};
use crate::engine::media;
use crate::event::MethodCounts;
use crate::inspect::stun;

/// How many addresses of a kind, and methods, one flow keeps.
const MAX_STUN: usize = 16;

impl Learner {
    pub(super) fn stun(&mut self, cx: &mut Context<'_>, message: &stun::Message<'_>) {
        let details = message.details();
        let (frame, side) = (cx.packet.frame, usize::from(cx.second));
        let Learner { parts, stun, strings, records, counts, .. } = self;
        let make = || Stun { frame, ..Stun::default() };
        let (Some(known), fresh) = part(parts, &mut cx.flow.learnt, Kind::Stun, stun, make) else { return };
        counts.stun_flows = counts.stun_flows.wrapping_add(u64::from(fresh));
        known.ice |= details.is_ice();
        if let Some(last) = known.last.get_mut(side) {
            *last = cx.packet.ts;
        }
        let turn = matches!(message.method(), 0x003..=0x00b);
        known.turn |= turn;
        if *records {
            let detail = known.detail.get_or_insert_default();
            detail.username = detail.username.or_else(|| details.username.map(|n| strings.keep_bytes(n)));
            detail.software = detail.software.or_else(|| details.software.map(|n| strings.keep_bytes(n)));
            count_method(&mut detail.methods, message);
            note_ice(detail, side, &details);
            if turn {
                keep(&mut detail.relayed, details.relayed.into_iter(), cx.second);
                keep(&mut detail.peers, message.peers(), cx.second);
            }
        }
        let tally = match message.class() {
            stun::Class::Request => known.requests.get_mut(side),
            stun::Class::Success => known.success.get_mut(side),
            _ => None,
        };
        if let Some(tally) = tally {
            *tally = tally.saturating_add(1);
        }
        mapped(message.mapped(), cx.second).for_each(|told| known.mapped.keep(told));
        if let Some(carried) = message.data().filter(|_| turn) {
            self.carried(cx, &carried);
        }
    }

    /// Takes what came inside. What comes inside that is not looked into.
    pub(super) fn carried(&mut self, cx: &mut Context<'_>, carried: &stun::Carried<'_>) {
        if let Some(stun) = self.stun_of(cx.flow).filter(|_| carried.channel) {
            stun.channel_data = stun.channel_data.saturating_add(1);
        }
        media::carried(cx, carried.datagram, self);
    }

    /// Keeps what a message that came inside says of ICE between the client and a peer.
    pub fn ice_inside(&mut self, cx: &Context<'_>, message: &stun::Message<'_>) {
        if let Some(detail) = self.stun_of(cx.flow).and_then(|s| s.detail.as_mut()) {
            note_ice(detail, usize::from(cx.second), &message.details());
        }
    }
}

/// Addresses that were told to the other side than that of `second`.
fn mapped(addresses: impl Iterator<Item = SocketAddr>, second: bool) -> impl Iterator<Item = Mapped> {
    addresses.map(move |address| Mapped::new(address, 1u8.wrapping_sub(u8::from(second))))
}

fn keep(list: &mut SmallVec<[Mapped; 1]>, addresses: impl Iterator<Item = SocketAddr>, second: bool) {
    for told in mapped(addresses, second) {
        if list.len() < MAX_STUN && !list.contains(&told) {
            list.push(told);
        }
    }
}

fn note_ice(detail: &mut StunDetail, side: usize, details: &stun::Details<'_>) {
    detail.nominated |= details.use_candidate;
    let controls = details.ice_controlling.map(|_| true).or(details.ice_controlled.map(|_| false));
    if let Some(known) = detail.controls.get_mut(side).filter(|_| controls.is_some()) {
        *known = controls;
    }
}

/// Counts a STUN message under its method.
fn count_method(methods: &mut SmallVec<[(u16, MethodCounts); 1]>, message: &stun::Message<'_>) {
    let method = message.method();
    if methods.iter().all(|(m, _)| *m != method) && methods.len() < MAX_STUN {
        methods.push((method, MethodCounts::default()));
    }
    let Some((_, counts)) = methods.iter_mut().find(|(m, _)| *m == method) else { return };
    let count = match message.class() {
        stun::Class::Request | stun::Class::Indication => &mut counts.requests,
        stun::Class::Success => &mut counts.success,
        stun::Class::Error => &mut counts.error,
    };
    *count = count.saturating_add(1);
}
