//! Bodies: how long one is, chunk by chunk if need be, and the head that may stand at its start.

use memchr::memchr;

use super::head::{self, Framing, Head, Start};

/// The most bytes of a body that are looked at for an embedded head.
pub const INNER_MAX: usize = 4096;
/// The longest chunk-size line, in bytes, extensions and all.
pub const CHUNK_LINE_MAX: usize = 4096;

/// How a body is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All there is until the connection ends.
    UntilClose,
    /// A length that says nothing.
    Broken,
    /// A request that names no length; some senders then send until they close.
    Unframed,
}

/// The framing of a request's body.
pub(super) fn of_request(method: &[u8], length: Option<&[u8]>, framing: Framing) -> Body {
    match declared(length, framing) {
        Some(body) => body,
        None if matches!(method, b"POST" | b"PUT") => Body::Unframed,
        None => Body::None,
    }
}

/// The framing of a response's body, when `head_only` says that it answers a `HEAD`.
pub(super) fn of_response(status: u16, head_only: bool, length: Option<&[u8]>, framing: Framing) -> Body {
    if head_only || matches!(status, 100..=199 | 204 | 304) {
        return Body::None;
    }
    declared(length, framing).unwrap_or(Body::UntilClose)
}

/// What the fields say of the length; None where they say nothing.
fn declared(length: Option<&[u8]>, framing: Framing) -> Option<Body> {
    if framing.chunked {
        return Some(Body::Chunked);
    }
    if framing.encoded {
        return Some(Body::UntilClose);
    }
    // A list of equal lengths is what some proxies make of a repeated field (RFC 9112 §6.3, 5).
    let first = length?.split(|&b| b == b',').next()?.trim_ascii();
    Some(match decimal(first) {
        Some(0) => Body::None,
        Some(n) => Body::Length(n),
        None => Body::Broken,
    })
}

/// A number in decimal digits, at most 19 of them.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        b.is_ascii_digit().then(|| n.wrapping_mul(10).wrapping_add(u64::from(b.wrapping_sub(b'0'))))
    })
}

/// A chunk-size line at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkLine {
    /// The line takes `line` bytes and announces `size` bytes.
    Size {
        /// Length of the line with its end, in bytes.
        line: usize,
        /// Length of the chunk, in bytes.
        size: u64,
    },
    /// The line is not all there yet.
    Partial,
    /// That is no chunk-size line.
    Broken,
}

/// Reads a chunk-size line (RFC 9112 §7.1), extensions ignored, white space around the digits allowed.
pub(super) fn chunk_line(bytes: &[u8]) -> ChunkLine {
    let shown = bytes.get(..CHUNK_LINE_MAX).unwrap_or(bytes);
    let Some(end) = memchr(b'\n', shown) else {
        let digits_first = shown.trim_ascii_start().first().is_none_or(u8::is_ascii_hexdigit);
        let broken = shown.len() == CHUNK_LINE_MAX || !digits_first;
        return if broken { ChunkLine::Broken } else { ChunkLine::Partial };
    };
    let line = shown.get(..end).unwrap_or_default();
    let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || digits.len() > 16 {
        return ChunkLine::Broken;
    }
    let size = digits.iter().try_fold(0u64, |n, &b| {
        let digit = char::from(b).to_digit(16)?;
        Some(n.wrapping_shl(4) | u64::from(digit))
    });
    match size {
        Some(size) => ChunkLine::Size { line: end.saturating_add(1), size },
        None => ChunkLine::Broken,
    }
}

/// Whether a content type is `message/http` (RFC 9112 §10.1), parameters aside.
pub(super) fn is_message_http(content_type: Option<&[u8]>) -> bool {
    let value = content_type.and_then(|value| value.split(|&b| b == b';').next()).unwrap_or_default();
    value.trim_ascii().eq_ignore_ascii_case(b"message/http")
}

/// Looks at the start of a body for an embedded head, across the pieces in which it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sniff {
    /// Still looking.
    wanted: bool,
    /// The body's type says that it is a message: a request will do as well as a response.
    declared: bool,
    /// The start so far, at most [`INNER_MAX`] bytes; empty while one piece was enough.
    held: Vec<u8>,
    /// How many of these are known not to hold a head's end.
    scanned: usize,
}

impl Sniff {
    /// For a body that begins with the next piece.
    pub(super) fn arm(&mut self, declared: bool) {
        *self = Sniff { wanted: true, declared, ..Sniff::default() };
    }

    /// Gives up.
    pub(super) fn disarm(&mut self) {
        if self.wanted {
            *self = Sniff::default();
        }
    }

    /// Whether pieces are still wanted.
    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    /// Looks at the body's next piece; `found` gets the embedded head. `last`: the body ends with this piece.
    pub(super) fn piece(&mut self, piece: &[u8], last: bool, found: &mut dyn FnMut(Head<'_>)) {
        if !self.wanted {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        let whole = if held.is_empty() {
            piece.get(..INNER_MAX).unwrap_or(piece)
        } else {
            let room = INNER_MAX.saturating_sub(held.len());
            held.extend_from_slice(piece.get(..room).unwrap_or(piece));
            held.as_slice()
        };
        let start = head::look(whole, true);
        let right = start == Start::Response || (start == Start::Request && self.declared);
        let unsure = start == Start::Unsure && (self.declared || is_status_start(whole));
        let end = if right { head::end(whole, self.scanned) } else { None };
        let cut = last || whole.len() >= INNER_MAX;
        if (right || unsure) && end.is_none() && !cut {
            self.scanned = if right { whole.len() } else { 0 };
            self.held = if held.is_empty() { whole.to_vec() } else { held };
            return;
        }
        if right && let Some((head, _)) = head::parse(whole.get(..end.unwrap_or(whole.len())).unwrap_or_default(), true)
        {
            found(head);
        }
        self.disarm();
    }
}

/// Whether `bytes` may yet become a status line.
fn is_status_start(bytes: &[u8]) -> bool {
    let n = bytes.len().min(5);
    bytes.get(..n) == b"HTTP/".get(..n)
}
