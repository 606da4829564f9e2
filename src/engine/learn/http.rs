//! What HTTP messages tell: exchanges, names, and the turns that a verdict goes by.

use super::turns::lost;
use super::{Context, Kind, Learner, direction, number, part, push, text};
use crate::decode::Packet;
use crate::engine::learnt::{Http, HttpExchange, HttpList, NameAt};
use crate::event::LIST_MAX;
use crate::flow::Flow;
use crate::inspect::{Direction, http};

impl Learner {
    pub(super) fn http_for(&mut self, flow: &mut Flow) -> Option<&mut Http> {
        part(&mut self.parts, &mut flow.learnt, Kind::Http, &mut self.http, Http::default).0
    }

    pub(super) fn request(&mut self, cx: &mut Context<'_>, request: &http::Request<'_>) {
        self.counts.http_requests = self.counts.http_requests.wrapping_add(1);
        if !request.inner {
            cx.came_from_originator();
        }
        let frame = cx.packet.frame;
        let mut name = |text: &[u8]| NameAt { name: self.strings.keep_bytes(text), frame };
        let host = request.host.and_then(http::split_host_port).map(|(host, _)| host);
        let host = host.filter(|h| !h.is_empty()).map(&mut name);
        let authority = request.authority_form().or_else(|| request.absolute_form());
        let authority = authority.map(|(host, port)| (name(host), port));
        let records = self.records;
        let Some(http) = self.http_for(cx.flow) else { return };
        let fresh_host = host.filter(|_| http.host.is_none());
        let fresh_authority = authority.filter(|_| http.authority.is_none());
        http.host = http.host.or(host);
        http.authority = http.authority.or(authority);
        note_message_http(http, request.content_type, frame);
        let (inner, ack) = (request.inner, cx.packet.ack);
        self.carried
            .extend(fresh_host.into_iter().chain(fresh_authority.map(|(at, _)| at)).map(|at| (cx.number, at.name)));
        let Some(http) = self.http_for(cx.flow) else { return };
        if records {
            let HttpList { list, omitted, waiting, .. } = &mut **http.record.get_or_insert_default();
            *waiting = waiting.saturating_add(u64::from(!inner && list.len() >= LIST_MAX));
            push(list, omitted, || HttpExchange {
                method: text(request.method),
                host: request.host.and_then(text),
                uri: text(request.target),
                user_agent: request.user_agent.and_then(text),
                content_type: request.content_type.and_then(text),
                transfer_encoding: request.transfer_encoding.and_then(text),
                content_length: request.content_length.and_then(number),
                status: None,
                upgrade: None,
                inner,
                ack,
            });
        }
        if !inner {
            self.asked(cx, request);
        }
        self.note_tunnelled(cx, request.content_type);
    }

    pub(super) fn response(&mut self, cx: &mut Context<'_>, response: &http::Response<'_>) {
        self.counts.http_responses = self.counts.http_responses.wrapping_add(1);
        let frame = cx.packet.frame;
        let records = self.records;
        let Some(http) = self.http_for(cx.flow) else { return };
        http.status = http.status.or(Some((response.status, frame)));
        note_message_http(http, response.content_type, frame);
        if records {
            let from = direction(cx.second, cx.flow.flipped());
            exchanged(http.record.get_or_insert_default(), response, from, cx.packet);
        }
        if !response.inner {
            self.answered(cx, response);
        }
        self.note_tunnelled(cx, response.content_type);
    }
}

/// Puts a response that came in `packet`, `from` there, where it belongs among the exchanges.
fn exchanged(known: &mut HttpList, response: &http::Response<'_>, from: Direction, packet: &Packet) {
    let exchange = HttpExchange {
        status: Some(response.status),
        content_type: response.content_type.and_then(text),
        transfer_encoding: response.transfer_encoding.and_then(text),
        content_length: response.content_length.and_then(number),
        upgrade: response.upgrade.filter(|_| response.status == 101).and_then(text),
        inner: response.inner,
        ack: packet.ack,
        ..HttpExchange::default()
    };
    while known.list.get(known.answered).is_some_and(|e| e.inner) {
        known.answered = known.answered.saturating_add(1);
    }
    // an interim response (RFC 9110 §15.2), which 101 is not, and an embedded one answer no request of their own
    let is_final = response.status >= 200 || response.status == 101;
    if is_final && !response.inner {
        let waiting = known.list.get(known.answered..).unwrap_or_default();
        let lost = lost(waiting.iter().map(|exchange| exchange.ack), packet.seq);
        known.answered = known.answered.saturating_add(lost);
    }
    let open = if response.inner || !is_final { None } else { known.list.get_mut(known.answered) };
    if let Some(open) = open {
        known.answered = known.answered.saturating_add(1);
        open.status = exchange.status;
        // from here on the answer's, or nobody's
        open.content_type = exchange.content_type;
        open.transfer_encoding = exchange.transfer_encoding;
        open.content_length = exchange.content_length;
        open.upgrade = exchange.upgrade;
    } else if is_final && !response.inner && known.waiting > 0 {
        // counted with its request
        known.waiting = known.waiting.saturating_sub(1);
    } else if known.list.len() >= LIST_MAX {
        known.omitted = known.omitted.saturating_add(1);
    } else if response.inner && from == Direction::Orig {
        // behind the request that carries it
        known.list.push(exchange);
    } else {
        // before those that still wait for theirs
        let at = known.answered.min(known.list.len());
        known.list.insert(at, exchange);
        known.answered = at.saturating_add(1);
    }
}

fn note_message_http(http: &mut Http, content_type: Option<&[u8]>, frame: u64) {
    let is = content_type.is_some_and(|t| t.get(..12).is_some_and(|t| t.eq_ignore_ascii_case(b"message/http")));
    if is && http.message_http == 0 {
        http.message_http = frame;
    }
}
