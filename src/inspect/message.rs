//! Messages in the manner of HTTP that are not HTTP: RTSP, SIP and SSDP; and WS-Discovery.
//!
//! RTSP: RFC 2326 §4, §6, §7, §10.12 and RFC 7826 §14 (frames between messages, behind a `$`). SIP: RFC 3261 §7, §18.3
//! (over a stream `Content-Length` frames). SSDP: UPnP Device Architecture 1.1 §1, with HTTP's version on datagrams.
//! WS-Discovery 1.1 §3: SOAP on datagrams.
//!
//! Limits: a first line holds at most [`LINE_MAX`] bytes, a head [`HEAD_MAX`]; a stream is left after one request and
//! one response, or [`STRIKES_MAX`] slices that begin with neither. Refused: HTTP on a stream, versions before 1.0,
//! bodies (they are passed over), RTSP's frames (told by nothing).

use memchr::{memchr, memmem};

use super::http::{head_end, leading_blank};
use super::{Direction, Fact, Next, Probe, Progress, StreamInspector};

/// The longest first line, in bytes.
pub const LINE_MAX: usize = 4096;
/// The longest head, in bytes.
pub const HEAD_MAX: usize = 16_384;
/// How many slices of a stream may show no message.
pub const STRIKES_MAX: u8 = 64;
/// How far into a datagram the namespace of WS-Discovery is looked for.
const SOAP_MAX: usize = 2048;
/// The most fields of a head that are looked at.
const FIELDS_MAX: usize = 256;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTSP.
    Rtsp,
    /// SIP.
    Sip,
    /// SSDP.
    Ssdp,
    /// WS-Discovery, ONVIF's way to find cameras.
    WsDiscovery,
    /// HTTP/2 in the clear; of it only the preface is read.
    Http2,
}

impl Protocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Rtsp => "rtsp",
            Protocol::Sip => "sip",
            Protocol::Ssdp => "ssdp",
            Protocol::WsDiscovery => "ws-discovery",
            Protocol::Http2 => "http2",
        }
    }
}

/// The head of a message: a request's method and URI, or a response's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is a message of.
    pub protocol: Protocol,
    /// The request's method.
    pub method: Option<&'a [u8]>,
    /// What the request is for.
    pub uri: Option<&'a [u8]>,
    /// The response's status.
    pub status: Option<u16>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `Content-Length`.
    pub content_length: u64,
}

impl Message<'_> {
    /// A message of which only the protocol is told.
    pub const fn of(protocol: Protocol) -> Self {
        Message { protocol, method: None, uri: None, status: None, user_agent: None, content_length: 0 }
    }
}

/// The protocol of `RTSP/1.0`, `SIP/2.0` or `HTTP/1.1`.
fn version(token: &[u8]) -> Option<Protocol> {
    match token {
        [b'R', b'T', b'S', b'P', b'/', b'1' | b'2', b'.', b'0'] => Some(Protocol::Rtsp),
        [b'S', b'I', b'P', b'/', b'2', b'.', b'0'] => Some(Protocol::Sip),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1'] => Some(Protocol::Ssdp),
        _ => None,
    }
}

/// A first line, without its end.
fn first_line(line: &[u8]) -> Option<Message<'_>> {
    let line = line.trim_ascii_end();
    let space = memchr(b' ', line)?;
    let (first, rest) = (line.get(..space)?, line.get(space.saturating_add(1)..)?);
    if let Some(protocol) = version(first) {
        let digits = rest.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit))?;
        let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
        return Some(Message { status: Some(status), ..Message::of(protocol) });
    }
    let last = rest.iter().rposition(|b| *b == b' ')?;
    let protocol = version(rest.get(last.saturating_add(1)..)?)?;
    let uri = rest.get(..last)?.trim_ascii();
    let is_method = first.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'-'));
    let known = protocol != Protocol::Ssdp || matches!(first, b"M-SEARCH" | b"NOTIFY");
    (is_method && known).then_some(Message { method: Some(first), uri: Some(uri), ..Message::of(protocol) })
}

/// Reads a head, as far as it stands.
fn parse(head: &[u8]) -> Option<Message<'_>> {
    let mut lines = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let mut message = first_line(lines.next().filter(|line| line.len() <= LINE_MAX)?)?;
    for line in lines.take(FIELDS_MAX).take_while(|line| !line.is_empty()) {
        let Some((name, value)) = memchr(b':', line).and_then(|at| line.split_at_checked(at)) else { continue };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = name.trim_ascii();
        // SIP has a letter for the long name (RFC 3261 §7.3.3)
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            message.content_length = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
        } else if name.eq_ignore_ascii_case(b"user-agent") {
            message.user_agent.get_or_insert(value);
        }
    }
    Some(message)
}

/// The message that a datagram is.
pub fn datagram(payload: &[u8]) -> Option<Message<'_>> {
    match payload.first()? {
        b'A'..=b'Z' => parse(payload.get(..HEAD_MAX).unwrap_or(payload)),
        b'<' => ws_discovery(payload),
        _ => None,
    }
}

/// A SOAP envelope of WS-Discovery, of either version's namespace; its method is the last word of the action.
fn ws_discovery(payload: &[u8]) -> Option<Message<'_>> {
    let shown = payload.get(..SOAP_MAX).unwrap_or(payload);
    let action = [&b"xmlsoap.org/ws/2005/04/discovery/"[..], b"oasis-open.org/ws-dd/ns/discovery/2009/01/"]
        .iter()
        .find_map(|space| memmem::find(shown, space).and_then(|at| shown.get(at.saturating_add(space.len())..)))?;
    let end = action.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    Some(Message { method: action.get(..end).filter(|m| !m.is_empty()), ..Message::of(Protocol::WsDiscovery) })
}

/// Whether a stream that begins with `bytes` speaks RTSP or SIP.
pub fn probe(bytes: &[u8]) -> Probe {
    if !bytes.first().is_some_and(u8::is_ascii_uppercase) {
        return Probe::Reject;
    }
    let shown = bytes.get(..LINE_MAX).unwrap_or(bytes);
    match memchr(b'\n', shown) {
        Some(end) => {
            let line = first_line(shown.get(..end).unwrap_or_default());
            if line.is_some_and(|m| m.protocol != Protocol::Ssdp) { Probe::Match } else { Probe::Reject }
        }
        None if shown.len() < LINE_MAX && shown.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\t')) => {
            Probe::Unsure
        }
        None => Probe::Reject,
    }
}

/// RTSP or SIP over one TCP connection.
#[derive(Clone, Debug, Default)]
pub struct MessageStream {
    asked: bool,
    answered: bool,
    strikes: u8,
}

impl StreamInspector for MessageStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let mut consumed = 0usize;
        while let Some(rest) = bytes.get(consumed..).filter(|rest| !rest.is_empty()) {
            let length = match self.length(direction, rest, emit) {
                Some(length) => length,
                None => return Progress { consumed, skip: 0, next: Next::More },
            };
            if self.asked && self.answered || self.strikes > STRIKES_MAX {
                return Progress { consumed: bytes.len(), skip: 0, next: Next::Finished };
            }
            let left = rest.len() as u64;
            if length > left {
                return Progress { consumed: bytes.len(), skip: length.saturating_sub(left), next: Next::More };
            }
            consumed = consumed.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        }
        Progress { consumed: bytes.len(), skip: 0, next: Next::More }
    }

    fn gap(&mut self, _direction: Direction) -> bool {
        true
    }
}

impl MessageStream {
    /// How long what `rest`, which is not empty, begins with is, in all; `None` if that does not show yet.
    fn length(&mut self, direction: Direction, rest: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Option<u64> {
        // line ends between messages keep a connection open (RFC 5626 §3.5.1)
        let blank = leading_blank(rest);
        if blank > 0 {
            return Some(blank as u64);
        }
        if rest.first() == Some(&b'$') {
            let length = rest.get(2..)?.first_chunk::<2>()?;
            return Some(u64::from(u16::from_be_bytes(*length)).saturating_add(4));
        }
        let end = match (head_end(rest), rest.first().is_some_and(u8::is_ascii_uppercase)) {
            (Some(end), true) => end,
            (None, true) if rest.len() < HEAD_MAX => return None,
            _ => return self.strike(rest),
        };
        let Some(message) = rest.get(..end).and_then(parse) else { return self.strike(rest) };
        self.asked |= message.method.is_some();
        self.answered |= message.status.is_some();
        emit(direction, Fact::Message(message));
        Some(message.content_length.saturating_add(end as u64))
    }

    /// No message begins here: one may begin with the next slice.
    fn strike(&mut self, rest: &[u8]) -> Option<u64> {
        self.strikes = self.strikes.saturating_add(1);
        Some(rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is told of slices of a stream, and how it ends.
    fn told(slices: &[(Direction, &[u8])]) -> (Vec<String>, Next) {
        let (mut stream, mut out, mut last) = (MessageStream::default(), Vec::new(), Next::More);
        for &(direction, bytes) in slices {
            let progress = stream.feed(direction, bytes, &mut |_, fact| {
                let Fact::Message(m) = fact else { panic!("{fact:?}") };
                let text = |part: Option<&[u8]>| part.map(|p| String::from_utf8_lossy(p).into_owned());
                out.push(format!("{} {:?} {:?} {:?}", m.protocol.name(), text(m.method), m.status, text(m.user_agent)));
            });
            last = progress.next;
        }
        (out, last)
    }

    const PLAY: &[u8] = b"PLAY rtsp://camera.example/1 RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: viewer\r\n\r\n";

    #[test]
    fn rtsp_is_read_to_its_first_answer() {
        let answer = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n";
        let (said, end) = told(&[(Direction::Orig, PLAY), (Direction::Resp, answer)]);
        assert_eq!(said, ["rtsp Some(\"PLAY\") None Some(\"viewer\")", "rtsp None Some(200) None"]);
        assert_eq!(end, Next::Finished);
    }

    #[test]
    fn frames_and_bodies_between_messages_are_passed_over() {
        let frame = b"$\x00\x00\x05\x80RTSP";
        let announce = b"ANNOUNCE rtsp://camera.example/1 RTSP/1.0\r\nContent-Length: 4\r\n\r\nv=0\n";
        let both = [&frame[..], announce, frame, PLAY].concat();
        let (said, end) = told(&[(Direction::Orig, &both)]);
        assert_eq!((said.len(), end), (2, Next::More));
        let mut stream = MessageStream::default();
        let long = stream.feed(Direction::Resp, b"$\x00\x04\x00abc", &mut |_, _| panic!());
        assert_eq!((long.consumed, long.skip), (7, 1024 + 4 - 7));
        let short = stream.feed(Direction::Resp, b"$\x00\x04", &mut |_, _| panic!());
        assert_eq!((short.consumed, short.skip, short.next), (0, 0, Next::More));
        assert_eq!(stream.feed(Direction::Resp, b"RTSP/1.0 20", &mut |_, _| panic!()).consumed, 0);
    }

    #[test]
    fn noise_ends_a_stream() {
        let noise = vec![(Direction::Orig, &b"\x01\x02"[..]); usize::from(STRIKES_MAX) + 1];
        assert_eq!(told(&noise), (vec![], Next::Finished));
    }

    #[test]
    fn first_lines_are_told_apart() {
        for (bytes, want) in [
            (&b"OPTIONS rtsp://a/ RTSP/1.0\r\n"[..], Probe::Match),
            (b"REGISTER sip:a.example SIP/2.0\r\n", Probe::Match),
            (b"SIP/2.0 100 Trying\r\n", Probe::Match),
            (b"RTSP/2.0 404 Not Found\n", Probe::Match),
            (b"OPTIONS rtsp://a/ RT", Probe::Unsure),
            (b"OPTIONS * HTTP/1.1\r\n", Probe::Reject),
            (b"RTSP/1.0 OK\r\n", Probe::Reject),
            (b"EHLO example\r\n", Probe::Reject),
            (b"A\x00", Probe::Reject),
            (b"\x16\x03\x01", Probe::Reject),
            (b"", Probe::Reject),
        ] {
            assert_eq!(probe(bytes), want, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn datagrams() {
        let of = |payload: &'static [u8]| {
            datagram(payload).map(|m| (m.protocol, m.method.map(String::from_utf8_lossy), m.status))
        };
        let search = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\r\n";
        assert_eq!(of(search), Some((Protocol::Ssdp, Some("M-SEARCH".into()), None)));
        assert_eq!(of(b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n"), Some((Protocol::Ssdp, None, Some(200))));
        assert_eq!(of(b"INVITE sip:a SIP/2.0\r\nl: 0\r\n\r\n"), Some((Protocol::Sip, Some("INVITE".into()), None)));
        let soap: &[u8] = b"<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\">\
            <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>";
        assert_eq!(of(soap), Some((Protocol::WsDiscovery, Some("Probe".into()), None)));
        assert_eq!(of(b"<html></html>"), None);
        assert_eq!(of(b"GET / HTTP/1.1\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_bearable(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0usize..4) {
            let starts: [&[u8]; 4] = [b"", b"$", b"<a xmlsoap.org/ws/2005/04/discovery/", b"PLAY a RTSP/1.0\r\n"];
            let bytes = [starts[start], &bytes].concat();
            let _ = (probe(&bytes), datagram(&bytes));
            let progress = MessageStream::default().feed(Direction::Orig, &bytes, &mut |_, _| {});
            prop_assert!(progress.consumed <= bytes.len());
        }
    }
}
