//! The payload of UDP flows: one datagram at a time, told by its first bytes.
//!
//! Media flows mix protocols on one pair of ports; the first byte tells them apart (RFC 7983). A flow in which
//! nothing is found is left alone after [`MAX_TRIES`] datagrams.

use super::learn::{Context, Learner};
use crate::decode::Packet;
use crate::flow::Flow;
use crate::inspect::{Fact, dns, dtls, ntp, stun};

/// How many datagrams of a flow are looked at in vain.
const MAX_TRIES: u8 = 32;

/// How far the inspection of a UDP flow has come.
mod phase {
    // 0, where every flow begins: nothing found yet
    /// STUN or DTLS was found: what else comes is media.
    pub const MEDIA: u8 = 1;
    /// DNS was found.
    pub const DNS: u8 = 2;
    /// Nothing more is wanted.
    pub const DONE: u8 = 3;
}

/// Takes the payload of a UDP datagram, of which `wire_len` bytes were on the wire.
#[inline]
pub fn datagram(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    match cx.flow.phase {
        phase::DONE => {}
        phase::DNS => {
            if let Ok(message) = dns::parse(payload) {
                learner.learn(cx, Fact::Dns(message));
            }
        }
        phase::MEDIA => media(cx, payload, learner),
        _ => probe(cx, payload, learner),
    }
}

/// Whether a datagram is to be read as DNS: by its port, or as multicast DNS (RFC 6762) and LLMNR (RFC 4795), whose
/// ports any client may come to use, by its destination or its grammar as well.
fn is_dns(packet: &Packet, payload: &[u8]) -> bool {
    let ports = [packet.src_port, packet.dst_port];
    if ports.contains(&53) {
        return true;
    }
    if !ports.iter().any(|p| matches!(p, 5353 | 5355)) {
        return false;
    }
    let multicast = if packet.v6 { packet.dst.high64() >> 56 == 0xff } else { packet.dst.low32() >> 28 == 0xe };
    multicast || ports == [5353, 5353] || dns::is_plausible(payload)
}

fn probe(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    if is_dns(cx.packet, payload)
        && let Ok(message) = dns::parse(payload)
    {
        cx.flow.phase = phase::DNS;
        learner.learn(cx, Fact::Dns(message));
        return;
    }
    let ports = [cx.packet.src_port, cx.packet.dst_port];
    if ports.contains(&123)
        && let Some(packet) = ntp::parse(payload)
    {
        cx.flow.phase = phase::DONE;
        learner.learn(cx, Fact::Ntp(packet));
        return;
    }
    if take_stun(cx, payload, learner) || take_dtls(cx, payload, learner) {
        cx.flow.phase = phase::MEDIA;
        return;
    }
    cx.flow.tries = cx.flow.tries.saturating_add(1);
    if cx.flow.tries >= MAX_TRIES {
        cx.flow.phase = phase::DONE;
    }
}

/// One datagram of a flow on which STUN or DTLS has been spoken.
fn media(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    match payload.first() {
        Some(0..=3) if take_stun(cx, payload, learner) => return,
        Some(20..=63) if wants_dtls(cx.flow, learner) && take_dtls(cx, payload, learner) => return,
        _ => {}
    }
    if payload.first().is_some_and(|b| (64..=79).contains(b))
        && let Some(stun) = learner.stun_of(cx.flow)
    {
        stun.channel_data = stun.channel_data.saturating_add(1);
        return;
    }
    let Some(media) = learner.media_of(cx.flow) else { return };
    media.datagrams = media.datagrams.saturating_add(1);
    if payload.first().is_some_and(|b| (128..=191).contains(b)) {
        media.rtp = media.rtp.saturating_add(1);
    }
}

fn take_stun(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    if payload.first().is_none_or(|b| *b > 3) {
        return false;
    }
    let wire_len = cx.packet.payload_len as usize;
    let own_port = [cx.packet.src_port, cx.packet.dst_port].iter().any(|p| matches!(p, 3478 | 3479));
    let message =
        stun::parse(payload, wire_len).or_else(|| if own_port { stun::parse_classic(payload, wire_len) } else { None });
    message.map(|m| learner.learn(cx, Fact::Stun(m))).is_some()
}

/// Whether a hello of the flow is still to come.
fn wants_dtls(flow: &Flow, learner: &Learner) -> bool {
    learner.tls_of(flow).is_none_or(|t| t.version == 0)
}

fn take_dtls(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    if !payload.first().is_some_and(|b| (20..=63).contains(b)) || !dtls::is_dtls(payload) {
        return false;
    }
    dtls::inspect(payload, &mut |fact| learner.learn(cx, fact));
    let frame = cx.packet.frame;
    if let Some(media) = learner.media_of(cx.flow) {
        media.datagrams = media.datagrams.saturating_add(1);
        if media.dtls == 0 {
            media.dtls = frame;
        }
    }
    true
}
