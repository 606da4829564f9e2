//! Whole dialogues: every framing, holes, broken senders, and the same facts however the bytes are cut.

use proptest::prelude::*;

use super::*;
use crate::inspect::Direction::{Orig, Resp};

/// A caller: holds what is not consumed, leaves out what is skipped, and writes each fact as a line.
#[derive(Default)]
struct Caller {
    stream: HttpStream,
    held: [Vec<u8>; 2],
    skip: [u64; 2],
    shown: usize,
    facts: Vec<String>,
    next: Option<Next>,
}

impl Caller {
    fn push(&mut self, direction: Direction, bytes: &[u8]) {
        let i = direction as usize;
        let skipped = self.skip[i].min(bytes.len() as u64);
        self.skip[i] -= skipped;
        self.held[i].extend_from_slice(&bytes[skipped as usize..]);
        if self.held[i].is_empty() || matches!(self.next, Some(Next::Handover | Next::Finished | Next::Reject)) {
            return;
        }
        let facts = &mut self.facts;
        self.shown += self.held[i].len();
        let progress = self.stream.feed(direction, &self.held[i], &mut |d, fact| facts.push(text(d, &fact)));
        assert!(progress.consumed <= self.held[i].len());
        self.held[i].drain(..progress.consumed);
        assert!(progress.skip == 0 || self.held[i].is_empty());
        self.skip[i] = progress.skip;
        if progress.next != Next::More {
            self.next = Some(progress.next);
        }
    }

    fn gap(&mut self, direction: Direction) {
        let facts = &mut self.facts;
        let held = std::mem::take(&mut self.held[direction as usize]);
        self.stream.cut_short(direction, &held, &mut |d, fact| facts.push(text(d, &fact)));
        assert!(self.stream.gap(direction));
    }
}

fn text(direction: Direction, fact: &Fact<'_>) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let arrow = if direction == Orig { '>' } else { '<' };
    let (line, inner) = match fact {
        Fact::HttpRequest(r) => {
            (format!("{} {} {}", lossy(r.method), lossy(r.target), lossy(r.host.unwrap_or(b"-"))), r.inner)
        }
        Fact::HttpResponse(r) => {
            (format!("{} {} {}", r.status, lossy(r.reason), lossy(r.content_type.unwrap_or(b"-"))), r.inner)
        }
        Fact::Message(m) => (m.protocol.name().to_owned(), false),
        _ => unreachable!(),
    };
    format!("{arrow}{}{line}", if inner { "(inner) " } else { "" })
}

/// The facts of a dialogue, each part in one slice.
fn facts(parts: &[(Direction, &str)]) -> Vec<String> {
    caller(parts).facts
}

fn caller(parts: &[(Direction, &str)]) -> Caller {
    let mut caller = Caller::default();
    for (direction, bytes) in parts {
        caller.push(*direction, bytes.as_bytes());
    }
    caller
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn lengths_are_passed_over_and_never_shown() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: t/t\r\nContent-Length: 3000\r\n\r\n";
    let mut caller = caller(&[(Orig, GET), (Orig, GET), (Resp, head)]);
    caller.push(Resp, &[b'x'; 1000]);
    let shown = caller.shown;
    caller.push(Resp, &[b'x'; 2000]);
    assert_eq!(caller.shown, shown, "skipped bytes are not shown");
    caller.push(Resp, OK.as_bytes());
    assert_eq!(caller.facts, [">GET /a x", ">GET /a x", "<200 OK t/t", "<200 OK -"]);
}

#[test]
fn chunks_with_extensions_and_trailers() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
        5;name=\"v\"\r\nGET /\r\n00A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nHTTP/1.1 404 Gone\nContent-Length: 1\n\nxHTTP/1.1 204\r\n\r\n";
    assert_eq!(facts(&[(Orig, GET), (Resp, chunked)]), [">GET /a x", "<200 OK -", "<404 Gone -", "<204  -"]);
    // The empty line behind the last chunk is left out.
    let short = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nHTTP/1.1 404 Gone\r\n\r\n";
    assert_eq!(facts(&[(Resp, short)]), ["<200 OK -", "<404 Gone -"]);
}

#[test]
fn answers_without_a_body() {
    let head = "HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
    let none = "HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n";
    let got = facts(&[(Orig, &(head.to_owned() + GET)), (Resp, &(long.to_owned() + none + OK))]);
    assert_eq!(got, [">HEAD /h x", ">GET /a x", "<200 OK -", "<304 Not Modified -", "<200 OK -"]);
    // An interim answer does not use up the HEAD.
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".to_owned() + long + OK;
    assert_eq!(facts(&[(Orig, head), (Resp, &interim)]).len(), 4);
}

#[test]
fn tunnels_and_upgrades_hand_over() {
    let connect = "CONNECT a.example:443 HTTP/1.1\r\n\r\n";
    let yes = "HTTP/1.1 200 Connection Established\r\n\r\n";
    assert_eq!(caller(&[(Orig, connect), (Resp, yes)]).next, Some(Next::Handover));
    assert_eq!(caller(&[(Resp, yes)]).next, Some(Next::Handover), "the request is not in the capture");
    assert_eq!(caller(&[(Orig, connect), (Orig, "\x16\x03\x01")]).next, Some(Next::Handover), "nor the answer");
    let denied = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno";
    let again = caller(&[(Orig, connect), (Resp, denied), (Orig, connect), (Resp, yes)]);
    assert_eq!((again.facts.len(), again.next), (4, Some(Next::Handover)));
    assert_eq!(caller(&[(Orig, GET), (Resp, "HTTP/1.1 101 Switching\r\n\r\n")]).next, Some(Next::Handover));
    let websocket = "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\n\r\n\u{1}\u{5}GET /";
    let opaque = caller(&[(Orig, GET), (Resp, websocket)]);
    assert_eq!((opaque.facts.len(), opaque.next), (2, Some(Next::Finished)), "frames are no heads");
}

#[test]
fn until_close_ends_the_direction() {
    let caller = caller(&[(Orig, GET), (Resp, "HTTP/1.0 200 OK\r\n\r\nbody"), (Resp, OK)]);
    assert_eq!((caller.facts.len(), caller.next), (2, Some(Next::Done)));
}

#[test]
fn embedded_heads_in_any_framing() {
    let inner = "HTTP/1.1 200 OK\r\nContent-Type: video/x\r\n\r\n";
    let want = [">POST /r x", ">(inner) 200 OK video/x"];
    let post = |fields: &str| format!("POST /r HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let length = post("Content-Type: message/http\r\nContent-Length: 5000\r\n") + inner + "video";
    assert_eq!(facts(&[(Orig, &length)]), want);
    let untyped = post("Content-Length: 5000\r\n") + inner + "video";
    assert_eq!(facts(&[(Orig, &untyped)]), want, "whatever the type says");
    let unframed = post("Content-Type: message/http\r\n") + inner + "video";
    assert_eq!(facts(&[(Orig, &unframed), (Orig, "video")]), want);
    let mut chunked = post("Content-Type: Message/HTTP;version=1.1\r\nTransfer-Encoding: chunked\r\n");
    for piece in inner.as_bytes().chunks(3) {
        chunked += &format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap());
    }
    assert_eq!(facts(&[(Orig, &(chunked.clone() + "ffff\r\nvideo"))]), want, "across chunks");
    let echo = "HTTP/1.1 200 OK\r\nContent-Type: message/http\r\nContent-Length: 31\r\n\r\nTRACE / HTTP/1.1\r\nHost: echo\r\n\r\n";
    assert_eq!(
        facts(&[(Resp, &(echo.to_owned() + OK))]),
        ["<200 OK message/http", "<(inner) TRACE / echo", "<200 OK -"]
    );
    let close = "HTTP/1.1 200 OK\r\nContent-Type: message/http\r\n\r\n".to_owned() + inner + "video";
    assert_eq!(facts(&[(Resp, &close)]), ["<200 OK message/http", "<(inner) 200 OK video/x"]);
}

#[test]
fn embedded_heads_are_bounded() {
    let start = "HTTP/1.1 200 OK\r\nContent-Type: message/http\r\n\r\nHTTP/1.1 206 Partial\r\nX: ";
    let mut caller = caller(&[(Resp, start)]);
    for _ in 0..100 {
        caller.push(Resp, &[b'x'; 100]);
    }
    assert_eq!(caller.facts, ["<200 OK message/http", "<(inner) 206 Partial -"]);
    assert_eq!(caller.next, Some(Next::Done));
}

#[test]
fn after_a_hole_the_next_head_is_found() {
    let mut caller = caller(&[(Orig, GET), (Resp, "HTTP/1.1 200 OK\r\nServer: half")]);
    caller.gap(Resp);
    for slice in ["rest of it", "GET it", OK] {
        caller.push(Resp, slice.as_bytes());
    }
    assert_eq!(caller.facts, [">GET /a x", "<200 OK -", "<200 OK -"]);
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(facts(&[(Resp, broken), (Resp, OK)]).len(), 2, "a bad chunk size is a hole too");
    let length = "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n...";
    assert_eq!(facts(&[(Resp, length), (Resp, OK)]).len(), 2);
}

#[test]
fn heads_cut_by_a_hole_are_told_as_they_stand() {
    let mut caller = caller(&[(Orig, "GET /a HTTP/1.1\r\nHost: x\r\nUser-Ag")]);
    caller.gap(Orig);
    caller.push(
        Orig,
        b"POST /b HTTP/1.1\r\nContent-Type: message/http\r\nContent-Length: 999\r\n\r\nHTTP/1.1 200 OK\r\nDa",
    );
    caller.gap(Orig);
    caller.push(Orig, b"HTTP/1.1 20");
    caller.gap(Orig);
    assert_eq!(caller.facts, [">GET /a x", ">POST /b -", ">(inner) 200 OK -"]);
    let mut caller = self::caller(&[(Orig, "GET /c HTTP/1.1\rHost: y\r\r")]);
    caller.gap(Orig);
    assert_eq!(caller.facts, [">GET /c y"], "lines that end with CR alone, by which no end of a head is looked for");
}

#[test]
fn odd_heads_are_still_told() {
    for (bytes, want) in [
        ("GET /a b c HTTP/1.0\nHost : y\n\n", ">GET /a b c y"),
        ("\r\n\r\nGET  /  HTTP/1.1\r\nHost:\r\n  folded\r\n\r\n", ">GET / folded"),
        ("GET /old\r\n", ">GET /old -"),
        ("M-SEARCH * HTTP/1.1\r\nHOST: h\r\nno colon\r\n\r\n", ">M-SEARCH * h"),
        ("CCM_POST /x HTTP/1.1\r\nHost: h\r\nHost: second\r\n\r\n", ">CCM_POST /x h"),
        ("NOTIFY / HTTP/1.1\r\n\r\n", ">NOTIFY / -"),
        ("HTTP/1.1 200\r\n\r\n", ">200  -"),
        ("ICY 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n", ">200 OK audio/mpeg"),
        ("HTTP/1.0  404  Not here \r\nContent-Type:a/b\r\n\r\n", ">404 Not here a/b"),
    ] {
        assert_eq!(facts(&[(Orig, bytes)]), [want], "{bytes:?}");
    }
}

#[test]
fn a_head_past_the_limit_is_told_as_it_stands() {
    let mut caller = caller(&[(Orig, "GET /big HTTP/1.1\r\nHost: x\r\nCookie: ")]);
    for _ in 0..70 {
        caller.push(Orig, &[b'c'; 1000]);
    }
    caller.push(Orig, b"\r\n\r\n");
    caller.push(Orig, GET.as_bytes());
    assert_eq!(caller.facts, [">GET /big x", ">GET /a x"]);
}

#[test]
fn other_protocols_are_refused() {
    use crate::inspect::Probe;
    use crate::inspect::http::probe;
    for (bytes, want) in [
        ("", Probe::Unsure),
        ("G", Probe::Unsure),
        ("GET", Probe::Unsure),
        ("GET ", Probe::Match),
        ("HTTP/1", Probe::Unsure),
        ("HTTP/1.", Probe::Match),
        ("OPTIONS * ", Probe::Unsure),
        ("OPTIONS rtsp://a/ RTSP/1.0\r\n", Probe::Reject),
        ("OPTIONS sip:a SIP/2.0\r\n", Probe::Reject),
        ("OPTIONS * HTTP/1.1\r\n", Probe::Match),
        ("RTSP/1.0 200 OK\r\n", Probe::Reject),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Probe::Match),
        ("EHLO example\r\n", Probe::Reject),
        ("get / HTTP/1.1\r\n", Probe::Reject),
        ("\x16\x03\x01\x02", Probe::Reject),
        ("SSH-2.0-x\r\n", Probe::Reject),
        ("FOO\0bar", Probe::Reject),
    ] {
        assert_eq!(probe(bytes.as_bytes()), want, "{bytes:?}");
    }
    let http2 = caller(&[(Orig, "PRI * HTTP/2.0\r\n\r\n")]);
    assert_eq!((http2.facts, http2.next), (vec![">http2".to_owned()], Some(Next::Finished)));
    let noise = vec![(Orig, "220 noise\r\n"); 40];
    assert_eq!(caller(&noise).next, Some(Next::Reject));
}

#[test]
fn more_special_requests_than_are_remembered() {
    let mut pending = Pending::default();
    for _ in 0..SPECIAL_MAX + 3 {
        pending.ask(Asked::Head);
    }
    let answers: Vec<_> = (0..SPECIAL_MAX + 4).map(|_| pending.answer()).collect();
    assert_eq!(answers.iter().filter(|a| **a == Some(Asked::Head)).count(), SPECIAL_MAX);
    assert_eq!(answers.last(), Some(&None));
}

/// One exchange: its request's and its answer's bytes, and the facts of each.
#[derive(Clone, Debug)]
struct Exchange {
    bytes: [Vec<u8>; 2],
    facts: [Vec<String>; 2],
}

fn framed(head: &str, kind: u8, content_type: &str, mut body: Vec<u8>, inner: bool, allowed: bool) -> (Vec<u8>, bool) {
    let mut out = head.as_bytes().to_vec();
    if inner {
        body.splice(0..0, b"HTTP/1.1 206 In\r\nServer: s\r\n\r\n".iter().copied());
    }
    out.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
    if kind == 0 {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if allowed {
            out.extend_from_slice(&body);
        }
        return (out, allowed && inner);
    }
    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    if allowed {
        for chunk in body.chunks(usize::from(kind)) {
            out.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\nT: t\r\n\r\n");
    }
    (out, allowed && inner)
}

prop_compose! {
    fn exchange()(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PROPFIND", "NOTIFY", "ODD-ONE"]),
        status in prop::sample::select(vec![200u16, 204, 304, 404, 503]),
        target in "/[a-z?=%]{0,30}",
        host in "[a-z.]{1,20}(:[0-9]{1,4})?",
        kinds in prop::array::uniform2(prop_oneof![Just(0u8), 1u8..40]),
        bodies in prop::array::uniform2(prop::collection::vec(any::<u8>(), 0..200)),
        inners in any::<[bool; 2]>(),
        interim in any::<bool>(),
    ) -> Exchange {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        let [first, second] = bodies;
        let (request, request_inner) = framed(&head, kinds[0], "a/b", first, inners[0], true);
        let allowed = method != "HEAD" && status != 204 && status != 304;
        let head = format!("HTTP/1.1 {status} Why not\r\n");
        let (answer, answer_inner) = framed(&head, kinds[1], "message/http", second, inners[1], allowed);
        let mut response = Vec::new();
        let mut facts = [vec![format!(">{method} {target} {host}")], vec![]];
        if interim {
            response.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            facts[1].push("<100 Continue -".to_owned());
        }
        response.extend_from_slice(&answer);
        facts[1].push(format!("<{status} Why not message/http"));
        for (i, inner, arrow) in [(0, request_inner, '>'), (1, answer_inner, '<')] {
            if inner {
                facts[i].push(format!("{arrow}(inner) 206 In -"));
            }
        }
        Exchange { bytes: [request, response], facts }
    }
}

/// Pushes bytes in pieces of the given lengths, over and over.
fn push_cut(caller: &mut Caller, direction: Direction, mut bytes: &[u8], cuts: &[usize]) {
    for cut in cuts.iter().cycle() {
        let (piece, rest) = bytes.split_at((*cut).min(bytes.len()));
        caller.push(direction, piece);
        bytes = rest;
        if bytes.is_empty() {
            return;
        }
    }
}

proptest! {
    #[test]
    fn the_same_facts_however_the_bytes_are_cut(
        exchanges in prop::collection::vec(exchange(), 1..6),
        cuts in prop::collection::vec(1usize..120, 1..20),
        pipelined in any::<bool>(),
    ) {
        let mut caller = Caller::default();
        if pipelined {
            for (i, direction) in [(0, Orig), (1, Resp)] {
                let all: Vec<u8> = exchanges.iter().flat_map(|e| e.bytes[i].iter().copied()).collect();
                push_cut(&mut caller, direction, &all, &cuts);
            }
        } else {
            for exchange in &exchanges {
                push_cut(&mut caller, Orig, &exchange.bytes[0], &cuts);
                push_cut(&mut caller, Resp, &exchange.bytes[1], &cuts);
            }
        }
        for (i, arrow) in ['>', '<'].into_iter().enumerate() {
            let want: Vec<_> = exchanges.iter().flat_map(|e| e.facts[i].clone()).collect();
            let got: Vec<_> = caller.facts.iter().filter(|f| f.starts_with(arrow)).cloned().collect();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn whatever_comes_it_ends(
        exchanges in prop::collection::vec(exchange(), 0..3),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(1usize..300, 1..20),
        hole in any::<bool>(),
    ) {
        let mut caller = Caller::default();
        for (i, direction) in [(0, Orig), (1, Resp)] {
            let mut all: Vec<u8> = exchanges.iter().flat_map(|e| e.bytes[i].iter().copied()).collect();
            all.extend_from_slice(&tail);
            for (at, byte) in &noise {
                if !all.is_empty() {
                    let at = at.index(all.len());
                    all[at] = *byte;
                }
            }
            if hole {
                caller.gap(direction);
            }
            push_cut(&mut caller, direction, &all, &cuts);
            caller.gap(direction);
        }
    }
}

#[test]
fn a_head_of_60_kb_is_told_whole() {
    let head = format!("GET /long HTTP/1.1\r\nCookie: {}\r\nHost: a.example\r\n\r\n", "x".repeat(60_000));
    let (first, rest) = head.split_at(30_000);
    assert_eq!(facts(&[(Orig, first), (Orig, rest), (Orig, GET)]), [">GET /long a.example", ">GET /a x"]);
}

#[test]
fn parts_that_replace_each_other_never_end_and_are_no_heads() {
    let open = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n";
    let part = "--b\r\nContent-Type: image/jpeg\r\n\r\n\u{1}\r\n";
    let caller = caller(&[(Orig, GET), (Resp, open), (Resp, part), (Resp, part)]);
    assert_eq!((caller.facts.len(), caller.next), (2, Some(Next::Done)));
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let head = "HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    let row = [GET, post, head, GET].concat();
    let none = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let answers = ["HTTP/1.1 100 Continue\r\n\r\n", OK, OK, none, OK].concat();
    let got = facts(&[(Orig, &row), (Resp, &answers)]);
    assert_eq!(got[..4], [">GET /a x", ">POST /p x", ">HEAD /h x", ">GET /a x"]);
    assert_eq!((got.len(), got[4].as_str()), (9, "<100 Continue -"));
}

#[test]
fn a_request_alone_leaves_nothing_to_know_but_that() {
    let after = |bytes: &[u8]| {
        let mut caller = Caller::default();
        caller.push(Orig, bytes);
        (is_whole_request(bytes), caller.stream == HttpStream::after_request())
    };
    for plain in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /a HTTP/1.0\n\n", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"]
    {
        assert_eq!(after(plain.as_bytes()), (true, true), "{plain}");
    }
    for other in [
        "HEAD / HTTP/1.1\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(after(other.as_bytes()), (true, false), "{other}");
    }
    for more in [
        "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "GET /\r\n",
    ] {
        assert!(!after(more.as_bytes()).0, "{more}");
    }
}
