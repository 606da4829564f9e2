//! Heads: what may begin one, where it ends, and what it says.
//!
//! One walk over the lines serves every head, in one pass and without a list of headers, and it takes what others
//! refuse: bare LF and bare CR, folded fields, spaces in a target, bytes that are no ASCII, lines without a colon,
//! versions that there are not (`HTTP/9.-1`, and Shoutcast's `ICY`). On heads that are well formed it agrees with
//! httparse, which the tests show.

use memchr::{memchr, memchr_iter};

use super::{Request, Response, Version};
use crate::inspect::Probe;

/// The longest first line, in bytes, that is waited for to learn whether an unusual method is HTTP's.
pub const LINE_MAX: usize = 8192;
/// The longest version of a status line, in bytes, behind `HTTP/`.
const VERSION_MAX: usize = 12;
/// The longest method, in bytes.
const METHOD_MAX: usize = 32;

/// Methods that no other text protocol opens a line with; of others, the whole line must say that it is HTTP.
const METHODS: [&[u8]; 18] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"CONNECT",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
    b"REPORT",
    b"M-SEARCH",
];

/// What Shoutcast writes for HTTP and its version.
const SHOUTCAST: &[u8] = b"ICY ";

/// What the start of some bytes looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A request line.
    Request,
    /// A status line.
    Response,
    /// The preface of HTTP/2.
    Preface,
    /// One of them, or neither: too short to tell.
    Unsure,
    /// Nothing of HTTP.
    Other,
}

/// Whether a stream that begins with `bytes` speaks HTTP/1.x.
pub fn probe(bytes: &[u8]) -> Probe {
    let blank = leading_blank(bytes);
    if blank > 4 {
        return Probe::Reject;
    }
    match look(bytes.get(blank..).unwrap_or_default(), false) {
        Start::Request | Start::Response | Start::Preface => Probe::Match,
        Start::Unsure => Probe::Unsure,
        Start::Other => Probe::Reject,
    }
}

/// Whether `bytes` begin with the connection preface of HTTP/2 (RFC 9113 §3.4).
pub fn is_http2_preface(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PRI * HTTP/2.0\r\n")
}

/// How many CR and LF come first; they may stand before a head (RFC 9112 §2.2).
pub(in crate::inspect) fn leading_blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

/// What `bytes` begin with. Strict is for places where anything may stand: there a known method is not enough.
pub(super) fn look(bytes: &[u8], strict: bool) -> Start {
    if let Some(start) = look_status(bytes, strict) {
        return start;
    }
    if !bytes.first().is_none_or(u8::is_ascii_uppercase) {
        return Start::Other;
    }
    let length = bytes.iter().take(METHOD_MAX).take_while(|b| matches!(b, b'A'..=b'Z' | b'-' | b'_')).count();
    let (method, rest) = bytes.split_at_checked(length).unwrap_or_default();
    match rest.first() {
        None if length < METHOD_MAX => return Start::Unsure,
        Some(b' ' | b'\t') if length > 1 => {}
        _ => return Start::Other,
    }
    if !strict && METHODS.contains(&method) {
        return Start::Request;
    }
    look_request_line(bytes)
}

/// Whether `bytes` begin like a status line; None where they do not.
fn look_status(bytes: &[u8], strict: bool) -> Option<Start> {
    if let Some(rest) = bytes.strip_prefix(SHOUTCAST) {
        return Some(look_code(rest));
    }
    let Some(rest) = bytes.strip_prefix(b"HTTP/") else {
        return (b"HTTP/".starts_with(bytes) || SHOUTCAST.starts_with(bytes)).then_some(Start::Unsure);
    };
    Some(match rest {
        [] | [b'0'..=b'9'] => Start::Unsure,
        [b'0'..=b'9', b'.', ..] if !strict => Start::Response,
        [b'0'..=b'9', b'.'] | [b'0'..=b'9', b'.', b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9', b' '] => {
            Start::Unsure
        }
        [b'0'..=b'9', b'.', b'0'..=b'9', b' ', b'1'..=b'9', ..] => Start::Response,
        _ if strict => Start::Other,
        // no version that there is: the code behind it tells a status line
        _ => {
            let shown = rest.get(..=VERSION_MAX).unwrap_or(rest);
            match memchr(b' ', shown).and_then(|at| rest.get(at.saturating_add(1)..)) {
                Some(code) => look_code(code),
                None if shown.len() <= VERSION_MAX && shown.iter().all(u8::is_ascii_graphic) => Start::Unsure,
                None => Start::Other,
            }
        }
    })
}

/// Whether a status line's code stands there.
fn look_code(bytes: &[u8]) -> Start {
    let shown = bytes.get(..3).unwrap_or(bytes);
    match (shown.iter().all(u8::is_ascii_digit), shown.len()) {
        (true, 3) => Start::Response,
        (true, _) => Start::Unsure,
        (false, _) => Start::Other,
    }
}

/// Whether the first line, which opens with a method, ends with HTTP's version.
fn look_request_line(bytes: &[u8]) -> Start {
    let shown = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let end = memchr(b'\n', shown);
    let line = trim_end(shown.get(..end.unwrap_or(shown.len())).unwrap_or_default());
    if is_http2_preface(bytes) {
        Start::Preface
    } else if line.iter().any(|&b| (b < b' ' && b != b'\t') || b == 0x7f) {
        Start::Other
    } else if end.is_none() {
        if shown.len() < LINE_MAX { Start::Unsure } else { Start::Other }
    } else {
        match line.rsplit(|&b| b == b' ').next().and_then(version) {
            Some(v) if v.major <= 1 => Start::Request,
            _ => Start::Other,
        }
    }
}

/// Where the head ends that `bytes` begin with: behind its empty line. `from` bytes are known not to hold the end.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    // The end may straddle what was seen: LF, CR and LF are three bytes.
    let mut at = from.saturating_sub(2);
    loop {
        let rest = bytes.get(at..)?;
        let line_end = memchr(b'\n', rest)?;
        at = at.saturating_add(line_end).saturating_add(1);
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at.saturating_add(1)),
            [b'\r', b'\n', ..] => return Some(at.saturating_add(2)),
            _ => {}
        }
    }
}

/// A head that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// Of a request.
    Request(Request<'a>),
    /// Of a response.
    Response(Response<'a>),
}

/// The framing that a head's fields ask for, beside the facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    /// Any `Transfer-Encoding` names `chunked`.
    pub chunked: bool,
    /// There is a `Transfer-Encoding` other than `identity`.
    pub encoded: bool,
}

/// Reads a head from its lines; a last line that is cut off counts only if it is the first. None: no first line.
pub(super) fn parse(bytes: &[u8], inner: bool) -> Option<(Head<'_>, Framing)> {
    let (line, rest) = match memchr(b'\n', bytes) {
        Some(at) => (bytes.get(..at)?, bytes.get(at.saturating_add(1)..)?),
        None => (bytes, &[][..]),
    };
    let (line, more) = split_at_cr(trim_end(line));
    let fields = Fields::read(more, rest);
    let is_shoutcast = line.strip_prefix(SHOUTCAST).is_some_and(|rest| look_code(rest) == Start::Response);
    let head = if line.starts_with(b"HTTP/") || is_shoutcast {
        Head::Response(response(line, &fields, inner)?)
    } else {
        Head::Request(request(line, &fields, inner)?)
    };
    Some((head, fields.framing))
}

/// A request line and its fields as a fact.
fn request<'a>(line: &'a [u8], fields: &Fields<'a>, inner: bool) -> Option<Request<'a>> {
    let space = line.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let (method, rest) = line.split_at_checked(space)?;
    let rest = rest.trim_ascii();
    let last = rest.iter().rposition(|b| matches!(b, b' ' | b'\t'));
    let (target, version) =
        match last.and_then(|at| Some((rest.get(..at)?, asked_version(rest.get(at..)?.trim_ascii())?))) {
            Some((target, version)) => (target.trim_ascii(), version),
            None => (rest, Version::HTTP_09),
        };
    Some(Request {
        method,
        target,
        version,
        host: fields.host,
        content_type: fields.content_type,
        transfer_encoding: fields.transfer_encoding,
        content_length: fields.content_length,
        user_agent: fields.user_agent,
        expect: fields.expect,
        upgrade: fields.upgrade,
        via: fields.via,
        proxy_authorization: fields.proxy_authorization,
        basic_authorization: fields.basic_authorization,
        inner,
    })
}

/// A status line and its fields as a fact.
fn response<'a>(line: &'a [u8], fields: &Fields<'a>, inner: bool) -> Option<Response<'a>> {
    let space = line.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let (name, rest) = line.split_at_checked(space)?;
    let rest = rest.trim_ascii_start();
    let (code, reason) = rest.split_at_checked(3)?;
    Some(Response {
        version: version(name).unwrap_or(Version::HTTP_10),
        status: u16::try_from(super::body::decimal(code)?).ok()?,
        reason: reason.trim_ascii(),
        content_type: fields.content_type,
        transfer_encoding: fields.transfer_encoding,
        content_length: fields.content_length,
        server: fields.server,
        via: fields.via,
        location: fields.location,
        connection: fields.connection,
        upgrade: fields.upgrade,
        proxy_authenticate: fields.proxy_authenticate,
        date: fields.date,
        inner,
    })
}

/// The version that `HTTP/x.y` names; `HTTP/1` counts as 1.0, and `HTTP/1.0.8` too.
fn version(text: &[u8]) -> Option<Version> {
    let digit = |b: u8| b.wrapping_sub(b'0');
    match text.strip_prefix(b"HTTP/")? {
        [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9', ..] => {
            Some(Version { major: digit(*major), minor: digit(*minor) })
        }
        [major @ b'0'..=b'9'] => Some(Version { major: digit(*major), minor: 0 }),
        _ => None,
    }
}

/// The version that ends a request line; one that there is not counts as 1.0.
fn asked_version(token: &[u8]) -> Option<Version> {
    let is_named = token.get(..5)?.eq_ignore_ascii_case(b"HTTP/");
    is_named.then(|| version(token).unwrap_or(Version::HTTP_10))
}

/// A line up to a CR that stands alone in it, which some take for its end, and what follows.
fn split_at_cr(line: &[u8]) -> (&[u8], &[u8]) {
    let stands_alone = |at: &usize| line.get(at.saturating_add(1)).is_some_and(|b| !matches!(b, b'\r' | b'\n'));
    match memchr_iter(b'\r', line).find(stands_alone) {
        Some(at) => (line.get(..at).unwrap_or(line), line.get(at.saturating_add(1)..).unwrap_or_default()),
        None => (line, &[]),
    }
}

/// A field's value without white space, and other bytes that do not print, at both ends.
fn bare(value: &[u8]) -> &[u8] {
    let prints = |b: &u8| *b > b' ';
    let begin = value.iter().position(prints).unwrap_or(value.len());
    let end = value.iter().rposition(prints).map_or(begin, |at| at.saturating_add(1));
    value.get(begin..end).unwrap_or_default()
}

/// Without the white space at the end, CR too.
fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// The fields that facts are made of, of either kind of head.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    proxy_authorization: bool,
    basic_authorization: bool,
    server: Option<&'a [u8]>,
    via: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
    connection: Option<&'a [u8]>,
    proxy_authenticate: [Option<&'a [u8]>; super::CHALLENGES],
    date: Option<&'a [u8]>,
    framing: Framing,
}

impl<'a> Fields<'a> {
    /// Reads the lines behind the first one, up to the empty line or the last line that is whole; `more` stood in the
    /// first line, behind a CR.
    fn read(more: &'a [u8], mut rest: &'a [u8]) -> Self {
        let mut fields = Fields::default();
        fields.take_line(more);
        while let Some(line) = field_line(rest) {
            let Some(after) = rest.get(line.len().saturating_add(1)..) else { break };
            rest = after;
            if matches!(line, b"" | b"\r") {
                break;
            }
            fields.take_line(line);
        }
        fields
    }

    /// Reads a line, of several fields where CRs stand in it.
    fn take_line(&mut self, mut rest: &'a [u8]) {
        while !rest.is_empty() {
            let (line, more) = split_at_cr(rest);
            rest = more;
            let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
                continue;
            };
            self.take(name.trim_ascii(), bare(value.get(1..).unwrap_or_default()));
        }
    }

    /// Keeps the value of a field that counts.
    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        // By length first: most fields are none of these, and one comparison is enough to know.
        let slot = match name.len() {
            3 if is(b"via") => &mut self.via,
            4 if is(b"host") => &mut self.host,
            4 if is(b"date") => &mut self.date,
            6 if is(b"server") => &mut self.server,
            6 if is(b"expect") => &mut self.expect,
            7 if is(b"upgrade") => &mut self.upgrade,
            8 if is(b"location") => &mut self.location,
            10 if is(b"connection") => &mut self.connection,
            10 if is(b"user-agent") => &mut self.user_agent,
            12 if is(b"content-type") => &mut self.content_type,
            13 if is(b"authorization") => {
                self.basic_authorization |= value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "));
                return;
            }
            14 if is(b"content-length") => &mut self.content_length,
            17 if is(b"transfer-encoding") => {
                for coding in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                    self.framing.chunked |= coding.eq_ignore_ascii_case(b"chunked");
                    self.framing.encoded |= !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity");
                }
                &mut self.transfer_encoding
            }
            18 if is(b"proxy-authenticate") => {
                let Some(free) = self.proxy_authenticate.iter_mut().find(|slot| slot.is_none()) else { return };
                free
            }
            19 if is(b"proxy-authorization") => {
                self.proxy_authorization = true;
                return;
            }
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

/// The first line of `rest` without its LF, with the lines that are folded into it (RFC 9112 §5.2).
fn field_line(rest: &[u8]) -> Option<&[u8]> {
    let mut at = memchr(b'\n', rest)?;
    while at > 1 && matches!(rest.get(at.saturating_add(1)), Some(b' ' | b'\t')) {
        let next = at.saturating_add(1);
        match memchr(b'\n', rest.get(next..).unwrap_or_default()) {
            Some(more) => at = next.saturating_add(more),
            None => break,
        }
    }
    rest.get(..at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Holds the own walk against httparse: where that accepts a head, both say the same.
    fn agrees(bytes: &[u8]) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let skipped = leading_blank(bytes);
        // a response of Shoutcast's would be a request of that method
        if bytes[skipped..].starts_with(SHOUTCAST) {
            return;
        }
        if bytes.starts_with(b"HTTP/") {
            let mut theirs = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(length)) = theirs.parse(bytes) else { return };
            assert_eq!(end(bytes, 0), Some(length));
            let Some((Head::Response(ours), _)) = parse(&bytes[..length], false) else { panic!("no response") };
            assert_eq!(Some(ours.status), theirs.code);
            assert_eq!(Some(ours.version.minor), theirs.version);
            // It gives an empty phrase for one that is no ASCII.
            assert!(theirs.reason.is_none_or(|r| r.is_empty() || r.trim().as_bytes() == ours.reason));
            let value = |name| value(theirs.headers, name);
            assert_eq!(ours.content_type, value("content-type"));
            assert_eq!(ours.date, value("date"));
            assert_eq!(ours.via, value("via"));
        } else {
            let mut theirs = httparse::Request::new(&mut headers);
            let Ok(httparse::Status::Complete(length)) = theirs.parse(bytes) else { return };
            assert_eq!(end(&bytes[skipped..], 0), Some(length - skipped));
            let Some((Head::Request(ours), _)) = parse(&bytes[skipped..length], false) else { panic!("no request") };
            assert_eq!(Some(ours.method), theirs.method.map(str::as_bytes));
            assert_eq!(Some(ours.target), theirs.path.map(str::as_bytes));
            assert_eq!(Some(ours.version.minor), theirs.version);
            let value = |name| value(theirs.headers, name);
            assert_eq!(ours.host, value("host"));
            assert_eq!(ours.content_length, value("content-length"));
            assert_eq!(ours.user_agent, value("user-agent"));
            assert_eq!(ours.proxy_authorization, value("proxy-authorization").is_some());
        }
    }

    /// The first value of that name.
    fn value<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
        headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.trim_ascii())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_httparse(
            line in prop_oneof![
                "[A-Z]{1,8} [!-~]{1,20} HTTP/1\\.[01]",
                "HTTP/1\\.[01] [1-9][0-9][0-9]( [ -~]{0,12})?",
            ],
            fields in prop::collection::vec((
                prop_oneof![
                    "(Host|host|Content-Type|CONTENT-LENGTH|User-Agent|Proxy-Authorization|Date|Via)",
                    "[A-Za-z0-9-]{1,12}",
                ],
                "[ \t]{0,2}[ -~]{0,20}",
                any::<bool>(),
            ), 0..12),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            blank in prop::sample::select(vec!["", "\r\n", "\n"]),
        ) {
            let mut bytes = format!("{line}\r\n").into_bytes();
            for (name, value, bare) in fields {
                bytes.extend_from_slice(format!("{name}:{value}{}", if bare { "\n" } else { "\r\n" }).as_bytes());
            }
            bytes.extend_from_slice(b"\r\nbody");
            if !bytes.starts_with(b"HTTP/") {
                bytes.splice(0..0, blank.bytes());
            }
            agrees(&bytes);
            for (at, byte) in noise {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            agrees(&bytes);
        }

        #[test]
        fn any_bytes_are_bearable(bytes in prop::collection::vec(any::<u8>(), 0..200), from in 0usize..300) {
            let _ = (probe(&bytes), look(&bytes, true), end(&bytes, from), parse(&bytes, true));
        }
    }

    fn status_and_type(head: &[u8]) -> (u16, Option<&[u8]>) {
        let Some((Head::Response(r), _)) = parse(head, false) else { panic!("{}", String::from_utf8_lossy(head)) };
        (r.status, r.content_type)
    }

    #[test]
    fn status_lines_of_no_version() {
        for version in ["HTTP/9.-1", "HTTP/01.1", "HTTP/1", "HTTP/2", "HTTP/x.y", "HTTP/", "HTTP/1,1", "ICY"] {
            let line = format!("{version} 206 x\r\nContent-Type: audio/mpeg\r\n\r\n");
            assert_eq!(look(line.as_bytes(), false), Start::Response, "{version}");
            assert_eq!(status_and_type(line.as_bytes()), (206, Some(&b"audio/mpeg"[..])), "{version}");
            for cut in 0..version.len() + 4 {
                let shown = look(&line.as_bytes()[..cut], false);
                assert!(matches!(shown, Start::Unsure | Start::Response), "{version} {cut}: {shown:?}");
            }
        }
        for line in ["HTTP/x ok\r\n", "HTTP/ \x01", "HTTP/abcdefghijklmnop 200", "ICY cold", "HTTP/x 20x"] {
            assert_eq!(look(line.as_bytes(), false), Start::Other, "{line}");
        }
        assert_eq!(look(b"HTTP/x.y 200 OK", true), Start::Other);
        let asked = parse(b"ICY a HTTP/1.0\r\n\r\n", false);
        assert!(matches!(asked, Some((Head::Request(r), _)) if r.method == b"ICY"), "{asked:?}");
    }

    #[test]
    fn a_cr_alone_ends_a_line_and_what_does_not_print_no_value() {
        let all = b"HTTP/1.1 200 ok\rX: y\rContent-Type: text/a\r\rbody";
        assert_eq!(status_and_type(all), (200, Some(&b"text/a"[..])));
        let some = b"HTTP/1.1 200 ok\r\nX: y\rContent-Type: text/b\0\r\r\n\r\n";
        assert_eq!(status_and_type(some), (200, Some(&b"text/b"[..])));
        let folded = b"HTTP/1.1 200 ok\r\nX: y\r\n Content-Type: text/c\r\n\r\n";
        assert_eq!(status_and_type(folded), (200, None));
    }

    #[test]
    fn the_end_of_a_request_line_names_a_version_however_written() {
        for (line, target) in [("GET /a http/1.1", "/a"), ("GET /a HTTP/11", "/a"), ("GET /a b", "/a b")] {
            let Some((Head::Request(r), _)) = parse(line.as_bytes(), false) else { panic!("{line}") };
            assert_eq!(r.target, target.as_bytes(), "{line}");
        }
    }

    #[test]
    fn the_end_is_found_from_wherever_the_search_goes_on() {
        for bytes in [&b"a\r\nb\r\n\r\nc"[..], b"a\nb\n\nc", b"a\n\r\n", b"a\r\n\n"] {
            let whole = end(bytes, 0).unwrap();
            for from in 0..whole {
                assert_eq!(end(&bytes[..from], 0), None);
                assert_eq!(end(bytes, from), Some(whole), "{from}");
            }
        }
    }
}
