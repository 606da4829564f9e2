//! How most HTTP connections begin: with a segment that is a whole request, and no body behind it. Until more comes,
//! if ever, such a connection has no streams; they then begin behind what was taken here.

use super::hellos::{begin, is_whole};
use super::learn::{Context, Learner};
use super::streams::StreamTable;
use crate::flow::tcp::Tcp;
use crate::inspect::haproxy;
use crate::inspect::http::{self, HttpStream};
use crate::inspect::{Direction, Probe, StreamInspector};

/// What was made of a connection's first segment.
pub enum First {
    /// Nothing: it is no request, or not a whole one.
    Other,
    /// It was taken, and its streams are open.
    Opened,
    /// It was taken, and all there is to know of its streams is that.
    Alone,
}

/// Takes a connection's first segment with payload, if that is a request's head and nothing else.
pub fn first(
    cx: &mut Context<'_>,
    tcp: &Tcp,
    payload: &[u8],
    learner: &mut Learner,
    streams: &mut StreamTable,
) -> First {
    let begins = begin(cx, tcp).is_none_or(|seq| seq == cx.packet.seq);
    // the PROXY protocol begins with a word that could be a method
    let is_request = http::is_whole_request(payload) && haproxy::probe(payload) == Probe::Reject;
    if !begins || !is_request || !is_whole(cx, payload, Direction::Orig) {
        return First::Other;
    }
    let mut stream = HttpStream::default();
    cx.segments = 1;
    stream.feed(Direction::Orig, payload, &mut |_, fact| learner.learn(cx, fact));
    let next = cx.packet.seq.wrapping_add(cx.packet.payload_len);
    let plain = stream == HttpStream::after_request();
    if let Some(known) = learner.known_http(cx.flow).filter(|_| plain) {
        known.next = next;
        return First::Alone;
    }
    streams.open_http(cx.flow, &mut learner.parts, tcp.begins(), next, stream);
    First::Opened
}

/// More comes behind a request that [`first`] took: opens the streams.
pub fn open(cx: &mut Context<'_>, tcp: &Tcp, learner: &mut Learner, streams: &mut StreamTable) {
    if let Some(next) = learner.known_http(cx.flow).map(|known| known.next) {
        streams.open_http(cx.flow, &mut learner.parts, tcp.begins(), next, HttpStream::after_request());
    }
}
