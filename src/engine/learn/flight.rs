//! What passes behind the hellos of TLS: alerts in the clear, and the lengths of the first encrypted records.

use super::{Context, Kind, Learner};
use crate::engine::learnt::tls as mark;
use crate::engine::learnt::{Flight, Seen, Tls};
use crate::flow::Flow;
use crate::inspect::tls::Alert;
use crate::inspect::tls::walk::{Header, Walk};

/// Content types (RFC 8446 §5.1).
mod content {
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// Behind so many segments the client has said something, or it is not heard.
const SPOKEN: u8 = 16;

/// Handshake messages between these are in the clear up to TLS 1.2 alone (RFC 5246 §7.4, RFC 8446 §4).
mod message {
    pub const CERTIFICATE: u8 = 11;
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
}

impl Learner {
    /// Takes the payload of a connection whose ClientHello is known; `None` if it is not. True: there is nothing more
    /// to learn from it.
    pub fn walk(&mut self, cx: &Context<'_>, payload: &[u8]) -> Option<bool> {
        let tls = self.tls.get_mut(self.parts.get(cx.flow.learnt, Kind::Tls))?;
        if tls.hello_frame == 0 || tls.has(mark::DTLS) {
            return None;
        }
        let (seen, second) = (cx.seen(), cx.second);
        let client = second == cx.flow.flipped();
        let (seq, length) = (cx.packet.seq, cx.packet.payload_len);
        let mut walk = tls.walks.get(second);
        if walk == Walk::Unknown {
            // the hello has ended with this segment, unless it begins with it too and may end behind it; an answer
            // begins with it
            let begins = matches!(payload, [content::HANDSHAKE, 3, ..]);
            walk = Walk::At(if client && !begins { seq.wrapping_add(length) } else { seq });
        }
        let mut enough = false;
        let missed =
            walk.segment(seq, payload, length, &mut |header| enough |= note(tls, header, client, second, seen));
        if let Some(flight) = tls.flight.as_mut().filter(|_| missed) {
            flight.missed = true;
        }
        tls.walks.set(second, walk);
        let unheard = cx.flow.tries >= SPOKEN && tls.flight.is_none();
        Some(enough || unheard || tls.walks.are_lost())
    }

    /// Nobody looks at the records of that connection any more, though it goes on.
    pub fn leave_flight(&mut self, flow: &Flow) {
        let tls = self.tls.get_mut(self.parts.get(flow.learnt, Kind::Tls));
        tls.and_then(|tls| tls.flight.as_mut()).into_iter().for_each(|flight| flight.leave());
    }
}

/// Takes a record. True: nothing more is wanted.
fn note(tls: &mut Tls, header: Header, client: bool, second: bool, seen: Seen) -> bool {
    match header {
        Header { kind: content::ALERT, length: 2, begins: Some([level, description]) } => {
            let alert = Alert { level, description };
            tls.note_alert(alert, second, seen);
            alert.is_fatal()
        }
        Header {
            kind: content::HANDSHAKE,
            begins: Some([message::CERTIFICATE..=message::CLIENT_KEY_EXCHANGE, 0]),
            ..
        } => {
            tls.mark(mark::CLEAR_KEYS, true);
            false
        }
        Header { kind: content::APPLICATION_DATA, length, .. } if client => {
            tls.flight.get_or_insert_with(Box::<Flight>::default).ask(length, seen);
            false
        }
        Header { kind: content::APPLICATION_DATA, length, .. } => {
            tls.flight.as_mut().is_some_and(|flight| flight.answer(length))
        }
        _ => false,
    }
}
