//! How a TLS 1.3 connection usually begins: a segment that is the ClientHello, then one that begins with the
//! ServerHello, and nothing more in the clear. Such connections need no streams.
//!
//! Anything else, at any time, is left to the streams, which then begin behind what was taken here. Where whole
//! records are wanted the streams read everything.

use super::learn::{Context, Learner, direction};
use crate::flow::tcp::Tcp;
use crate::inspect::{Direction, Fact, tls};

/// Whether the segment at hand is the first of its direction and all there, and goes that way.
#[inline]
fn begins(cx: &Context<'_>, tcp: &Tcp, payload: &[u8], toward: Direction) -> bool {
    let [first, other] = tcp.begins();
    let begin = if cx.second { other } else { first };
    let whole = payload.len() == cx.packet.payload_len as usize;
    whole && begin == Some(cx.packet.seq) && direction(cx.second, cx.flow.flipped()) == toward
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
