//! RTSP, SIP, SSDP, WS-Discovery and HTTP/2.

use super::super::learnt::Spoken;
use super::super::parts::{Kind, part};
use super::{Context, Learner, text};
use crate::inspect::message::{Message, Protocol};

/// The content type of RTSP within HTTP, as cameras' players send it past proxies.
const TUNNELLED: &[u8] = b"application/x-rtsp-tunnelled";

impl Learner {
    /// Keeps the first of what messages say.
    pub(super) fn message(&mut self, cx: &mut Context<'_>, message: &Message<'_>) {
        let make = || Spoken { protocol: message.protocol, frame: cx.packet.frame, detail: None };
        let Learner { parts, messages, records, .. } = self;
        let (Some(known), _) = part(parts, &mut cx.flow.learnt, Kind::Message, messages, make) else { return };
        if !*records || known.protocol != message.protocol {
            return;
        }
        let detail = known.detail.get_or_insert_default();
        if detail.method.is_none() {
            detail.method = message.method.and_then(text);
            detail.uri = message.uri.and_then(text);
        }
        if detail.user_agent.is_none() {
            detail.user_agent = message.user_agent.and_then(text);
        }
        detail.status = detail.status.or(message.status);
    }

    /// Notes RTSP that goes through HTTP.
    pub(super) fn note_tunnelled(&mut self, cx: &mut Context<'_>, content_type: Option<&[u8]>) {
        if content_type.is_some_and(|t| t.eq_ignore_ascii_case(TUNNELLED)) {
            self.message(cx, &Message::of(Protocol::Rtsp));
        }
    }
}
