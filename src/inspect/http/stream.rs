//! The message framing of both directions of one connection.

use memchr::{memchr, memchr2};

use super::body::{self, Body, ChunkLine, Sniff};
use super::head::{self, Framing, Head, LINE_MAX, Start};
use super::{Request, Response, Version};
use crate::inspect::message::{Message, Protocol};
use crate::inspect::{Direction, Fact, MAX_HELD, Next, Progress, StreamInspector};

/// How many unanswered `HEAD` and `CONNECT` are remembered; other requests are only counted.
pub const SPECIAL_MAX: usize = 8;
/// How many slices may show nothing of HTTP before any head was seen.
const STRIKES_MAX: u8 = 16;

/// Where facts go.
type Emit<'e> = &'e mut dyn FnMut(Direction, Fact<'_>);

/// HTTP/1.x over one TCP connection, in either role on either side.
///
/// After a hole, and where framing breaks, it looks for a head at the start of each slice that it is shown and
/// forgets what is none. A head that is complete in one slice is told straight from it, without a copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpStream {
    orig: Side,
    resp: Side,
    pending: Pending,
    /// Any head was seen, in either direction.
    seen: bool,
    /// Slices without a head while none was seen.
    strikes: u8,
}

/// One direction.
#[derive(Clone, Debug, Default, PartialEq)]
struct Side {
    state: State,
    sniff: Sniff,
    /// How many bytes of an unfinished head are known not to hold its end.
    scanned: usize,
    /// The last request could have a body but named no length.
    unframed: bool,
    /// The last request was a `CONNECT`.
    tunnel: bool,
    /// A head was seen.
    seen: bool,
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A head.
    #[default]
    Head,
    /// Anything; a head may stand at the start of a slice.
    Resync,
    /// That many bytes of a body.
    Body(u64),
    /// Nothing but body.
    UntilClose,
    /// A chunk-size line.
    ChunkLine,
    /// That many bytes of a chunk.
    ChunkData(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Trailer fields.
    Trailers,
}

/// What one step made of the bytes.
enum Step {
    /// So many are dealt with; go on behind them.
    Took(usize),
    /// More bytes are needed first.
    Wait,
    /// All are dealt with, and so many after them need not be shown.
    Skip(u64),
    /// Nothing more of this direction need be shown.
    Rest,
    /// So many are dealt with, and that is what is wanted next.
    End(usize, Next),
}

impl StreamInspector for HttpStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let mut consumed = 0usize;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            if rest.is_empty() {
                return Progress { consumed, skip: 0, next: Next::More };
            }
            match self.step(direction, rest, emit) {
                Step::Took(n) => consumed = consumed.saturating_add(n),
                Step::Wait => return Progress { consumed, skip: 0, next: Next::More },
                Step::Skip(skip) => return Progress { consumed: bytes.len(), skip, next: Next::More },
                Step::Rest => return Progress { consumed: bytes.len(), skip: u64::MAX, next: Next::Done },
                Step::End(n, next) => return Progress { consumed: consumed.saturating_add(n), skip: 0, next },
            }
        }
    }

    fn gap(&mut self, direction: Direction) -> bool {
        // What was asked or answered in the hole is unknown, so answers can no longer be told apart by order.
        self.pending = Pending::default();
        let side = self.side(direction);
        if side.state != State::UntilClose {
            side.state = State::Resync;
        }
        side.sniff.disarm();
        side.scanned = 0;
        side.unframed = false;
        side.tunnel = false;
        true
    }

    fn cut_short(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) {
        let side = self.side(direction);
        if side.sniff.wanted() {
            return side.sniff.piece(&[], true, &mut inner(direction, emit));
        }
        let strict = side.state == State::Resync;
        let bytes = bytes.get(head::leading_blank(bytes)..).unwrap_or_default();
        let awaited = matches!(side.state, State::Head | State::Resync) && !side.unframed;
        if awaited && memchr2(b'\n', b'\r', bytes).is_some() && is_head(head::look(bytes, strict)) {
            self.tell(direction, bytes, emit);
        }
    }
}

impl HttpStream {
    /// One of which the originator was seen to send one request without a body, which changes nothing, and no more.
    pub fn after_request() -> Self {
        let mut stream = HttpStream { seen: true, ..HttpStream::default() };
        stream.orig.seen = true;
        stream.pending.ask(Asked::Other);
        stream
    }

    /// Deals with the first thing in `rest`, which is not empty. It takes bytes or changes the state, or both.
    fn step(&mut self, direction: Direction, rest: &[u8], emit: Emit<'_>) -> Step {
        let side = self.side(direction);
        match side.state {
            State::Head | State::Resync => self.head(direction, rest, emit),
            State::Body(left) => side.body(left, rest, State::Head, &mut inner(direction, emit)),
            State::ChunkData(left) => side.body(left, rest, State::ChunkEnd, &mut inner(direction, emit)),
            State::UntilClose => side.until_close(rest, &mut inner(direction, emit)),
            State::ChunkLine => side.chunk_line(rest, &mut inner(direction, emit)),
            State::ChunkEnd => side.chunk_end(rest),
            State::Trailers => side.trailers(rest),
        }
    }

    /// Where a head is expected, or hoped for.
    fn head(&mut self, direction: Direction, rest: &[u8], emit: Emit<'_>) -> Step {
        let side = self.side(direction);
        let blank = head::leading_blank(rest);
        if blank > 0 {
            side.scanned = 0;
            return Step::Took(blank);
        }
        let start = head::look(rest, side.state == State::Resync);
        match start {
            Start::Unsure if rest.len() < MAX_HELD => {
                side.scanned = rest.len();
                return Step::Wait;
            }
            Start::Preface => {
                emit(direction, Fact::Message(Message::of(Protocol::Http2)));
                return Step::End(0, Next::Finished);
            }
            Start::Unsure | Start::Other => return self.stray(direction, rest.len()),
            Start::Response if side.unframed => {
                side.unframed = false;
                side.state = State::UntilClose;
                side.sniff.arm(true);
                return Step::Took(0);
            }
            Start::Request | Start::Response => {}
        }
        let end = head::end(rest, side.scanned);
        match end.or_else(|| is_bare_line(start, rest).then_some(rest.len())) {
            Some(end) => {
                side.scanned = 0;
                self.whole_head(direction, rest.get(..end).unwrap_or_default(), emit)
            }
            None if rest.len() < MAX_HELD => {
                side.scanned = rest.len();
                Step::Wait
            }
            None => {
                side.scanned = 0;
                side.state = State::Resync;
                self.tell(direction, rest, emit);
                Step::Took(rest.len())
            }
        }
    }

    /// Bytes that begin no head where one should be.
    fn stray(&mut self, direction: Direction, length: usize) -> Step {
        let other_seen = self.side(direction.reverse()).seen;
        let seen = self.seen;
        let side = self.side(direction);
        // The answer to a CONNECT is not in the capture, but what follows the CONNECT is no HTTP any more.
        if side.tunnel && !other_seen {
            return Step::End(0, Next::Handover);
        }
        side.state = State::Resync;
        side.unframed = false;
        // What was held because it might have become a head has not; the slice behind it is looked at by itself.
        let held = std::mem::take(&mut side.scanned);
        if !seen {
            self.strikes = self.strikes.saturating_add(1);
            if self.strikes > STRIKES_MAX {
                return Step::End(0, Next::Reject);
            }
        }
        Step::Took(if held > 0 && held < length { held } else { length })
    }

    /// Tells a head as far as it stands, and gives it back.
    fn tell<'a>(&mut self, direction: Direction, bytes: &'a [u8], emit: Emit<'_>) -> Option<(Head<'a>, Framing)> {
        let (head, framing) = head::parse(bytes, false)?;
        emit(direction, fact(head));
        self.seen = true;
        self.side(direction).seen = true;
        Some((head, framing))
    }

    /// A whole head: tells it and turns to what follows it.
    fn whole_head(&mut self, direction: Direction, bytes: &[u8], emit: Emit<'_>) -> Step {
        match self.tell(direction, bytes, emit) {
            Some((Head::Request(request), framing)) => self.request(direction, &request, framing),
            Some((Head::Response(response), framing)) => {
                if let Some(next) = self.response(direction, &response, framing) {
                    return Step::End(bytes.len(), next);
                }
            }
            None => self.side(direction).state = State::Resync,
        }
        Step::Took(bytes.len())
    }

    /// What follows a request.
    fn request(&mut self, direction: Direction, request: &Request<'_>, framing: Framing) {
        let asked = match request.method {
            b"HEAD" => Asked::Head,
            b"CONNECT" => Asked::Connect,
            _ => Asked::Other,
        };
        self.pending.ask(asked);
        let side = self.side(direction);
        side.tunnel = asked == Asked::Connect;
        let body =
            if side.tunnel { Body::None } else { body::of_request(request.method, request.content_length, framing) };
        side.begin(body, body::is_message_http(request.content_type));
    }

    /// What follows a response; something, where both directions change.
    fn response(&mut self, direction: Direction, response: &Response<'_>, framing: Framing) -> Option<Next> {
        let asked = match response.status {
            101 if response.upgrade.is_some_and(|to| to.eq_ignore_ascii_case(b"websocket")) => {
                return Some(Next::Finished);
            }
            101 => return Some(Next::Handover),
            100..=199 => None,
            _ => self.pending.answer(),
        };
        let tunnel = match asked {
            Some(asked) => asked == Asked::Connect,
            // The CONNECT is not in the capture; only its answer has this phrase.
            None => response.reason.eq_ignore_ascii_case(b"connection established"),
        };
        if tunnel && matches!(response.status, 200..=299) {
            return Some(Next::Handover);
        }
        let head_only = asked == Some(Asked::Head);
        let body = body::of_response(response.status, head_only, response.content_length, framing);
        self.side(direction).begin(body, body::is_message_http(response.content_type));
        None
    }

    /// One direction's state.
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        }
    }
}

impl Side {
    /// Turns to a body.
    fn begin(&mut self, body: Body, message: bool) {
        self.unframed = body == Body::Unframed;
        self.state = match body {
            Body::None | Body::Unframed => State::Head,
            Body::Length(n) => State::Body(n),
            Body::Chunked => State::ChunkLine,
            Body::UntilClose => State::UntilClose,
            Body::Broken => State::Resync,
        };
        if matches!(body, Body::Length(_) | Body::Chunked | Body::UntilClose) {
            self.sniff.arm(message);
        }
    }

    /// `left` bytes of a body or a chunk, and `then` something else.
    fn body(&mut self, left: u64, rest: &[u8], then: State, found: &mut dyn FnMut(Head<'_>)) -> Step {
        let whole = usize::try_from(left).ok().and_then(|n| rest.get(..n));
        let piece = whole.unwrap_or(rest);
        self.sniff.piece(piece, whole.is_some() && then == State::Head, found);
        self.state = then;
        if whole.is_some() {
            return Step::Took(piece.len());
        }
        let left = left.saturating_sub(piece.len() as u64);
        if !self.sniff.wanted() {
            return Step::Skip(left);
        }
        self.state = if then == State::Head { State::Body(left) } else { State::ChunkData(left) };
        Step::Took(piece.len())
    }

    /// A body that nothing ends.
    fn until_close(&mut self, rest: &[u8], found: &mut dyn FnMut(Head<'_>)) -> Step {
        self.sniff.piece(rest, false, found);
        if self.sniff.wanted() { Step::Took(rest.len()) } else { Step::Rest }
    }

    /// A chunk-size line.
    fn chunk_line(&mut self, rest: &[u8], found: &mut dyn FnMut(Head<'_>)) -> Step {
        match body::chunk_line(rest) {
            ChunkLine::Partial => Step::Wait,
            ChunkLine::Broken => self.broken(),
            ChunkLine::Size { line, size: 0 } => {
                self.sniff.piece(&[], true, found);
                self.state = State::Trailers;
                Step::Took(line)
            }
            ChunkLine::Size { line, size } => {
                self.state = State::ChunkData(size);
                Step::Took(line)
            }
        }
    }

    /// The line end behind a chunk.
    fn chunk_end(&mut self, rest: &[u8]) -> Step {
        let length = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [b'\r'] => return Step::Wait,
            _ => return self.broken(),
        };
        self.state = State::ChunkLine;
        Step::Took(length)
    }

    /// Trailer fields, a line at a time, to the empty line.
    fn trailers(&mut self, rest: &[u8]) -> Step {
        let Some(end) = memchr(b'\n', rest) else {
            return if rest.len() < LINE_MAX { Step::Wait } else { self.broken() };
        };
        // Some senders leave the empty line out.
        if is_head(head::look(rest, true)) {
            self.state = State::Head;
            return Step::Took(0);
        }
        if rest.get(..end).unwrap_or_default().trim_ascii_end().is_empty() {
            self.state = State::Head;
        }
        Step::Took(end.saturating_add(1))
    }

    /// The framing makes no sense: what stands here is looked at afresh.
    fn broken(&mut self) -> Step {
        self.sniff.disarm();
        self.state = State::Resync;
        Step::Took(0)
    }
}

/// Whether `bytes` are a request's head, all of it and nothing else.
pub fn is_whole_request(bytes: &[u8]) -> bool {
    head::look(bytes, false) == Start::Request && head::end(bytes, 0) == Some(bytes.len())
}

/// Whether a head begins.
fn is_head(start: Start) -> bool {
    matches!(start, Start::Request | Start::Response)
}

/// Whether `bytes` are just a request line that names no version (RFC 1945 §4.1): nothing need follow it.
fn is_bare_line(start: Start, bytes: &[u8]) -> bool {
    start == Start::Request
        && memchr(b'\n', bytes).is_some_and(|at| at.saturating_add(1) == bytes.len())
        && matches!(head::parse(bytes, false), Some((Head::Request(r), _)) if r.version == Version::HTTP_09)
}

/// A head as a fact.
fn fact(head: Head<'_>) -> Fact<'_> {
    match head {
        Head::Request(request) => Fact::HttpRequest(request),
        Head::Response(response) => Fact::HttpResponse(response),
    }
}

/// Where embedded heads go.
fn inner(direction: Direction, emit: Emit<'_>) -> impl FnMut(Head<'_>) {
    move |head| emit(direction, fact(head))
}

/// A request, as far as its answer's framing depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Other,
    Head,
    Connect,
}

/// Requests without an answer yet, in order: a count, and the few of them whose answers are framed differently.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pending {
    asked: u32,
    answered: u32,
    special: [(u32, Asked); SPECIAL_MAX],
}

impl Pending {
    /// One more request. A special one past the limit counts as an ordinary one.
    fn ask(&mut self, asked: Asked) {
        let now = self.asked;
        self.asked = now.wrapping_add(1);
        if asked != Asked::Other
            && let Some(slot) = self.special.iter_mut().find(|(_, asked)| *asked == Asked::Other)
        {
            *slot = (now, asked);
        }
    }

    /// One more answer: what it answers; None where no request is open.
    fn answer(&mut self) -> Option<Asked> {
        if self.asked == self.answered {
            return None;
        }
        let now = self.answered;
        self.answered = now.wrapping_add(1);
        let slot = self.special.iter_mut().find(|(at, asked)| *at == now && *asked != Asked::Other);
        Some(slot.map(std::mem::take).unwrap_or_default().1)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
