//! The turns of an HTTP connection: who asked what when, and what came of it.

use super::{Context, Learner, number};
use crate::engine::learnt::{Http, TURNS, Turn, turn};
use crate::flow::wrapping::ahead;
use crate::inspect::http::{self, Version};
use crate::time::{SECOND, Timestamp};

/// A body that is said to be longer than this, in bytes, is not a file but a stream.
const NO_FILE: u64 = 1 << 32;
/// How many requests that wait are looked at for the one that an answer belongs to.
const LOOK_AHEAD: usize = 64;

impl Learner {
    /// Keeps what a request asks.
    pub(super) fn asked(&mut self, cx: &Context<'_>, request: &http::Request<'_>) {
        let via = request.via.map_or(0, |via| self.strings.keep_bytes(via));
        let Some(http) = self.http.get_mut(self.parts.get(cx.flow.learnt, super::Kind::Http)) else { return };
        let sends = request.content_length.and_then(number).unwrap_or(0);
        let sends = u32::try_from(sends).unwrap_or(u32::MAX);
        let (asked, ack) = (Some(cx.seen()), cx.packet.ack);
        add(http, Turn { asked, marks: marks_of_request(request), via, sends, ack, ..Turn::default() });
    }

    /// Keeps what a response answers.
    pub(super) fn answered(&mut self, cx: &Context<'_>, response: &http::Response<'_>) {
        let mut keep = |text: Option<&[u8]>| text.map_or(0, |text| self.strings.keep_bytes(text));
        let (via, server) = (keep(response.via), keep(response.server));
        let Some(http) = self.http.get_mut(self.parts.get(cx.flow.learnt, super::Kind::Http)) else { return };
        if response.status < 200 && response.status != 101 {
            if let Some(open) = http.turns.get_mut(http.turn).filter(|_| response.status == 100) {
                open.marks |= turn::CONTINUED;
            }
            return;
        }
        if http.turn >= http.turns.len() {
            add(http, Turn::default());
        }
        let waiting = http.turns.get(http.turn..).unwrap_or_default();
        let at = http.turn.saturating_add(lost(waiting.iter().map(|turn| turn.ack), cx.packet.seq));
        http.turn = at.saturating_add(1);
        let Some(open) = http.turns.get_mut(at) else { return };
        open.answered = Some(cx.seen());
        open.status = response.status;
        open.marks |= marks_of_response(response);
        (open.via, open.server) = (if via != 0 { via } else { open.via }, server);
        // one clock to a connection, and a date takes long to read
        if at == 0 {
            open.skew = response.date.and_then(|date| skew(date, cx.packet.ts));
        }
    }
}

/// How many requests, of those that wait and have acknowledged so much, wait in vain when an answer begins at `seq`:
/// the capture lacks theirs. A client that asks anew when it has its answer acknowledges that; one that asks without
/// waiting (RFC 9112 §9.3.2) acknowledges nothing new, and its answers come in order.
pub(super) fn lost(acks: impl Iterator<Item = u32>, seq: u32) -> usize {
    let mut acks = acks.enumerate().take(LOOK_AHEAD).take_while(|(_, ack)| ahead(*ack, seq) <= 0);
    let Some(first) = acks.next() else { return 0 };
    acks.fold(first, |newest, next| if ahead(next.1, newest.1) > 0 { next } else { newest }).0
}

/// Adds a turn; where there is no room the one before the newest goes.
fn add(http: &mut Http, turn: Turn) {
    if http.turns.len() >= TURNS {
        http.turns.remove(TURNS / 2);
        http.turn = http.turn.saturating_sub(usize::from(http.turn > TURNS / 2));
    }
    http.turns.push(turn);
}

fn marks_of_request(request: &http::Request<'_>) -> u32 {
    let method = match request.method {
        b"POST" | b"PUT" => turn::POST,
        b"CONNECT" => turn::CONNECT,
        b"GET" => turn::GET,
        _ => 0,
    };
    let length = request.content_length.and_then(number);
    let given = [
        (is_type(request.content_type, b"message/http"), turn::SENDS_MESSAGE),
        (request.transfer_encoding.is_some() || length.is_some_and(|n| n > 0), turn::SENDS_BODY),
        (request.expect.is_some(), turn::EXPECTS),
        (request.basic_authorization, turn::BASIC),
        (request.authority_form().is_some() || request.absolute_form().is_some(), turn::PROXIED),
        (request.proxy_authorization, turn::PROXY_LOGIN),
    ];
    given.iter().fold(method, |marks, (is, mark)| if *is { marks | mark } else { marks })
}

fn marks_of_response(response: &http::Response<'_>) -> u32 {
    let length = response.content_length.and_then(number);
    let chunked = response.transfer_encoding.is_some();
    let bodyless = matches!(response.status, 204 | 304) || (length == Some(0) && !chunked);
    let endless = !bodyless && (chunked || length.is_none_or(|n| n > NO_FILE));
    let is = |kind| is_type(response.content_type, kind);
    let closes = response.connection.is_some_and(|c| c.eq_ignore_ascii_case(b"close"));
    let given = [
        (is(b"message/http"), turn::MESSAGE),
        (is(b"text/html"), turn::PAGE),
        (is(b"multipart/x-mixed-replace") || is(b"video/") || is(b"audio/"), turn::MEDIA),
        (endless, turn::ENDLESS),
        (bodyless, turn::EMPTY),
        (response.version < Version::HTTP_11, turn::OLD),
        (closes, turn::CLOSES),
    ];
    let marks = given.iter().fold(0, |marks, (is, mark)| if *is { marks | mark } else { marks });
    response.proxy_authenticate.iter().flatten().fold(marks, |marks, challenge| marks | asks(challenge))
}

/// The schemes of the challenges in one field (RFC 9110 §11.7.1): each begins, behind a comma, with its scheme, and
/// parameters may stand behind commas too.
fn asks(challenges: &[u8]) -> u32 {
    const SCHEMES: [(&[u8], u32); 4] = [
        (b"basic", turn::ASKS_BASIC),
        (b"digest", turn::ASKS_DIGEST),
        (b"ntlm", turn::ASKS_NTLM),
        (b"negotiate", turn::ASKS_NEGOTIATE),
    ];
    let words = challenges
        .split(|b| *b == b',')
        .filter_map(|part| part.trim_ascii().split(|b| matches!(b, b' ' | b'\t')).next());
    let known = words.filter_map(|word| SCHEMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)));
    match known.fold(0, |marks, (_, mark)| marks | mark) {
        0 => turn::ASKS_OTHER,
        marks => marks,
    }
}

/// Whether a media type begins like that.
fn is_type(content_type: Option<&[u8]>, kind: &[u8]) -> bool {
    content_type.and_then(|t| t.get(..kind.len())).is_some_and(|t| t.eq_ignore_ascii_case(kind))
}

/// Seconds by which an HTTP date (RFC 9110 §5.6.7) is ahead of `now`.
fn skew(date: &[u8], now: Timestamp) -> Option<i32> {
    let told = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?.as_second();
    let now = i64::try_from(now.0 / SECOND).ok()?;
    i32::try_from(told.checked_sub(now)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_set_against_the_clock() {
        let now = Timestamp(784_111_777 * SECOND);
        assert_eq!(skew(b"Sun, 06 Nov 1994 08:49:37 GMT", now), Some(0));
        assert_eq!(skew(b"Sun, 06 Nov 1994 09:49:37 GMT", now), Some(3600));
        assert_eq!(skew(b"yesterday", now), None);
    }

    #[test]
    fn the_newest_turns_are_kept_and_answers_find_theirs() {
        let mut http = Http::default();
        for n in 0..40u16 {
            add(&mut http, Turn { status: n, ..Turn::default() });
            http.turn += 1;
        }
        let kept: Vec<u16> = http.turns.iter().map(|t| t.status).collect();
        assert_eq!(kept, [0, 1, 2, 3, 4, 5, 6, 7, 32, 33, 34, 35, 36, 37, 38, 39]);
        assert_eq!(http.turn, TURNS);
    }

    #[test]
    fn an_answer_is_the_last_ones_that_had_those_before_it() {
        let lost = |acks: &[u32], seq| lost(acks.iter().copied(), seq);
        assert_eq!([lost(&[], 9), lost(&[100], 100), lost(&[100, 400], 100)], [0, 0, 0]);
        // the answer at 100 is not there
        assert_eq!([lost(&[100, 400], 400), lost(&[100, 400, 700], 700), lost(&[100, 400, 700], 400)], [1, 2, 1]);
        // asked without waiting, and an answer of which the first is not there
        assert_eq!([lost(&[100, 100, 100], 100), lost(&[100, 100, 100], 300), lost(&[100, 400, 400], 400)], [0, 0, 1]);
        assert_eq!(lost(&[u32::MAX, 5], 5), 1);
        assert_eq!(lost(&[100, 400], 50), 0);
    }

    #[test]
    fn challenges_by_their_scheme() {
        assert_eq!(asks(b"Negotiate"), turn::ASKS_NEGOTIATE);
        assert_eq!(asks(b"basic realm=\"x\""), turn::ASKS_BASIC);
        assert_eq!(asks(b"Bearer"), turn::ASKS_OTHER);
        let both = b"Negotiate, Digest realm=\"a, b\", nonce=\"x\"";
        assert_eq!(asks(both), turn::ASKS_NEGOTIATE | turn::ASKS_DIGEST);
    }
}
