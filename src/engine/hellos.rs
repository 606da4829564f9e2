//! How a TLS 1.3 connection usually begins: a segment that is the ClientHello, then one that begins with the
//! ServerHello, and nothing more in the clear. Such connections need no streams.
//!
//! Anything else, at any time, is left to the streams, which then begin behind what was taken here.

use super::learn::{Context, Learner, direction};
use crate::flow::tcp::Tcp;
use crate::inspect::{Direction, Fact, tls};

/// Whether the segment at hand is all there, and goes that way.
#[inline]
pub(super) fn is_whole(cx: &Context<'_>, payload: &[u8], toward: Direction) -> bool {
    payload.len() == cx.packet.payload_len as usize && direction(cx.second, cx.flow.flipped()) == toward
}

/// Where the data begins that the sender of the segment at hand sends, if its SYN was seen.
#[inline]
pub(super) fn begin(cx: &Context<'_>, tcp: &Tcp) -> Option<u32> {
    let [first, other] = tcp.begins();
    if cx.second { other } else { first }
}

/// Whether the segment at hand is the first of its direction and all there, and goes that way.
#[inline]
fn begins(cx: &Context<'_>, tcp: &Tcp, payload: &[u8], toward: Direction) -> bool {
    is_whole(cx, payload, toward) && begin(cx, tcp) == Some(cx.packet.seq)
}

/// Takes a connection's first segment, if that is the whole ClientHello.
#[inline]
pub fn first(cx: &mut Context<'_>, tcp: &Tcp, payload: &[u8], learner: &mut Learner) -> bool {
    if !begins(cx, tcp, payload, Direction::Orig) {
        return false;
    }
    if payload.len() > usize::from(u16::MAX) {
        return false;
    }
    let Some(hello) = tls::whole::client_hello(payload) else { return false };
    cx.segments = 1;
    learner.learn(cx, Fact::ClientHello(hello));
    learner.hello_alone(cx.flow, payload.len());
    true
}

/// Takes the answer to the hello that [`first`] took, if it begins with the last thing in the clear.
#[inline]
pub fn second(cx: &mut Context<'_>, tcp: &Tcp, payload: &[u8], learner: &mut Learner) -> bool {
    if !begins(cx, tcp, payload, Direction::Resp) {
        return false;
    }
    let Some(hello) = tls::whole::last_server_hello(payload) else { return false };
    learner.learn(cx, Fact::ServerHello(hello));
    true
}
