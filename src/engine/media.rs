//! Media that no DTLS hides: SCTP by its checksum, RTP by how it goes on; and what TURN carries.
//!
//! A flow that began with STUN or DTLS is media whatever comes next; any other must prove itself within the first
//! [`MAX_TRIES`] datagrams.

use super::datagrams::MAX_TRIES;
use super::learn::{Context, Learner};
use crate::inspect::{Fact, dtls, rtp, sctp, stun};

/// Whether a datagram of a flow of which nothing is known shows, with those before it, that it is media.
pub fn shows(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    take_sctp(cx, payload, learner) || is_rtp_by_version(payload) && shows_rtp(cx, payload, learner)
}

/// Takes a datagram of a flow of media that is neither STUN nor a hello of DTLS.
pub fn datagram(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) {
    let (records, looks_like_rtp) = (learner.records, is_rtp_by_version(payload));
    let (second, ts) = (cx.second, cx.packet.ts);
    let Some(media) = learner.media_of(cx.flow) else { return };
    media.count(second, ts);
    media.rtp = media.rtp.saturating_add(u32::from(looks_like_rtp));
    let proven = media.detail.as_ref().is_some_and(|d| d.sctp != 0);
    // SCTP that goes inside DTLS does not go beside it
    let wants_sctp = media.dtls == 0 && cx.flow.tries < MAX_TRIES && (records || !proven);
    if wants_sctp {
        cx.flow.tries = cx.flow.tries.saturating_add(1);
        if take_sctp(cx, payload, learner) {
            return;
        }
    }
    if records && looks_like_rtp {
        shows_rtp(cx, payload, learner);
    }
}

/// Takes a datagram that came inside another's, or framed in a stream. Only hellos that are whole are read.
pub fn carried(cx: &mut Context<'_>, inside: &[u8], learner: &mut Learner) {
    match inside.first() {
        None => {}
        Some(0..=3) => {
            if let Some(message) = stun::parse(inside, inside.len()).filter(|_| learner.records) {
                learner.ice_inside(cx, &message);
            }
        }
        Some(20..=63) if learner.wants_dtls(cx.flow) && dtls::is_dtls(inside) => {
            dtls::inspect(inside, learner.wanted(), &mut |fact| learner.learn(cx, fact));
            learner.count_dtls(cx);
        }
        Some(_) => datagram(cx, inside, learner),
    }
}

/// Takes a packet of SCTP, whose common header was passed over by the decoder.
pub fn sctp_over_ip(cx: &mut Context<'_>, bytes: &[u8], learner: &mut Learner) {
    let packet = cx.packet;
    let start = (packet.payload_start as usize).saturating_sub(sctp::HEADER_LEN);
    let end = (packet.payload_start as usize).saturating_add(packet.payload_captured as usize);
    let proven = bytes.get(start..end).is_some_and(|whole| take_sctp(cx, whole, learner));
    cx.flow.tries = cx.flow.tries.saturating_add(1);
    if cx.flow.tries >= MAX_TRIES || proven && !learner.records {
        cx.flow.phase = crate::flow::INSPECTED;
    }
}

/// The first two bits of RTP, RTCP and what encrypts them (RFC 7983 §7).
fn is_rtp_by_version(payload: &[u8]) -> bool {
    payload.first().is_some_and(|b| b >> 6 == 2)
}

fn take_sctp(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    if cx.packet.payload_captured != cx.packet.payload_len {
        return false;
    }
    sctp::parse(payload).map(|packet| learner.learn(cx, Fact::Sctp(packet))).is_some()
}

fn shows_rtp(cx: &mut Context<'_>, payload: &[u8], learner: &mut Learner) -> bool {
    let wire_len = cx.packet.payload_len as usize;
    if let Some(packet) = rtp::parse(payload, wire_len) {
        return learner.rtp(cx, &packet);
    }
    rtp::report(payload, wire_len).is_some_and(|report| learner.rtcp(cx, report))
}
