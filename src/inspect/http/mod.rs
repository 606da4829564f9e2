//! HTTP/1.x: the heads of requests and responses, and where the next one begins.
//!
//! RFC 9112 (message syntax and framing: §2.2 line ends, §3 request line, §4 status line, §5 fields, §6 bodies, §7
//! chunks, §9.3.2 pipelining), RFC 9110 §9.3.6 (`CONNECT`) and §15.2.2 (`101`), RFC 9112 §10.1 (`message/http`).
//!
//! Limits: a head holds at most [`super::MAX_HELD`] bytes, a first line of a method that is not well known
//! [`LINE_MAX`], an embedded head [`INNER_MAX`], a chunk-size line [`CHUNK_LINE_MAX`]; at most [`SPECIAL_MAX`]
//! unanswered `HEAD` and `CONNECT` are remembered. A head past its limit is told as far as it stands.
//!
//! Refused: RTSP and SIP (their first lines name them), and whatever shows no head at all. HTTP/2 (RFC 9113 §3.4) is
//! told by its preface and left, and so is what a connection becomes that is upgraded to WebSocket (RFC 6455). A body
//! is never held and never scanned, save for the start that may be an embedded head.

mod body;
mod head;
mod stream;

pub use body::{CHUNK_LINE_MAX, INNER_MAX};
pub use head::{LINE_MAX, is_http2_preface, probe};
pub use stream::{HttpStream, SPECIAL_MAX, is_whole_request};

pub(super) use head::leading_blank;

/// How many fields of challenges of one response are read.
pub const CHALLENGES: usize = 4;

/// Where the head ends that `bytes` begin with: behind its empty line.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    head::end(bytes, 0)
}

/// The version that a first line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Before the dot.
    pub major: u8,
    /// After the dot.
    pub minor: u8,
}

impl Version {
    /// A request line that names no version (RFC 1945 §3.1).
    pub const HTTP_09: Version = Version { major: 0, minor: 9 };
    /// HTTP/1.0.
    pub const HTTP_10: Version = Version { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Version = Version { major: 1, minor: 1 };
}

/// The head of a request. Values are as written, without the white space around them; where a field comes more than
/// once, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, case as written.
    pub method: &'a [u8],
    /// The request target: a path, a URI, an authority or `*`.
    pub target: &'a [u8],
    /// The version that the request line names.
    pub version: Version,
    /// `Host`.
    pub host: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Transfer-Encoding`.
    pub transfer_encoding: Option<&'a [u8]>,
    /// `Content-Length`, in digits.
    pub content_length: Option<&'a [u8]>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `Expect`.
    pub expect: Option<&'a [u8]>,
    /// `Upgrade`.
    pub upgrade: Option<&'a [u8]>,
    /// `Via`.
    pub via: Option<&'a [u8]>,
    /// Whether there is a `Proxy-Authorization`; what it says is nobody's business.
    pub proxy_authorization: bool,
    /// Whether there are credentials that anyone on the way can read (RFC 7617); what they are is nobody's business.
    pub basic_authorization: bool,
    /// Found at the start of another message's body (`message/http`).
    pub inner: bool,
}

impl<'a> Request<'a> {
    /// Host and port of `CONNECT host:port` (RFC 9112 §3.2.3), an IPv6 address without its brackets.
    pub fn authority_form(&self) -> Option<(&'a [u8], u16)> {
        if self.method != b"CONNECT" {
            return None;
        }
        let (host, port) = split_host_port(self.target)?;
        Some((host, port?))
    }

    /// Host and port of `GET http://host:port/...` (RFC 9112 §3.2.2); the scheme's own port where none is written.
    pub fn absolute_form(&self) -> Option<(&'a [u8], u16)> {
        const SCHEMES: [(&[u8], u16); 4] = [(b"http://", 80), (b"https://", 443), (b"ws://", 80), (b"wss://", 443)];
        let (rest, default) = SCHEMES.iter().find_map(|&(scheme, port)| {
            let (start, rest) = self.target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some((rest, port))
        })?;
        let authority = rest.split(|b| matches!(b, b'/' | b'?' | b'#')).next()?;
        let (host, port) = split_host_port(authority.rsplit(|&b| b == b'@').next()?)?;
        Some((host, port.unwrap_or(default)))
    }
}

/// The head of a response. Values as in [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The version that the status line names.
    pub version: Version,
    /// The status code.
    pub status: u16,
    /// The reason phrase; empty where there is none.
    pub reason: &'a [u8],
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Transfer-Encoding`.
    pub transfer_encoding: Option<&'a [u8]>,
    /// `Content-Length`, in digits.
    pub content_length: Option<&'a [u8]>,
    /// `Server`.
    pub server: Option<&'a [u8]>,
    /// `Via`.
    pub via: Option<&'a [u8]>,
    /// `Location`.
    pub location: Option<&'a [u8]>,
    /// `Connection`.
    pub connection: Option<&'a [u8]>,
    /// `Upgrade`.
    pub upgrade: Option<&'a [u8]>,
    /// `Proxy-Authenticate`, the first of them: a proxy may name each way to log in in a field of its own.
    pub proxy_authenticate: [Option<&'a [u8]>; CHALLENGES],
    /// `Date`.
    pub date: Option<&'a [u8]>,
    /// Found at the start of another message's body (`message/http`).
    pub inner: bool,
}

/// The parts of `host`, `host:port`, `[v6]` or `[v6]:port`: the host without brackets, and the port if one is
/// written. An IPv6 address without brackets is all host. None where there is no host or the port is no number.
pub fn split_host_port(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let close = rest.iter().position(|&b| b == b']')?;
            let (host, after) = rest.split_at_checked(close)?;
            match after.get(1..)? {
                [] => (host, None),
                [b':', port @ ..] => (host, Some(port)),
                _ => return None,
            }
        }
        None => {
            let mut parts = authority.splitn(3, |&b| b == b':');
            match (parts.next()?, parts.next(), parts.next()) {
                (_, _, Some(_)) => (authority, None),
                (host, port, None) => (host, port),
            }
        }
    };
    let port = match port {
        None | Some(b"") => None,
        Some(digits) => Some(u16::try_from(body::decimal(digits)?).ok()?),
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let split = |s: &'static str| split_host_port(s.as_bytes());
        assert_eq!(split("a.example:8080"), Some((&b"a.example"[..], Some(8080))));
        assert_eq!(split("a.example"), Some((&b"a.example"[..], None)));
        assert_eq!(split("a.example:"), Some((&b"a.example"[..], None)));
        assert_eq!(split("[2001:db8::1]:443"), Some((&b"2001:db8::1"[..], Some(443))));
        assert_eq!(split("[::1]"), Some((&b"::1"[..], None)));
        assert_eq!(split("2001:db8::1"), Some((&b"2001:db8::1"[..], None)));
        for bad in ["", ":80", "a:70000", "a:8x", "[::1", "[::1]x", "[]:80"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn targets() {
        let request = |method: &'static str, target: &'static str| Request {
            method: method.as_bytes(),
            target: target.as_bytes(),
            version: Version::HTTP_11,
            host: None,
            content_type: None,
            transfer_encoding: None,
            content_length: None,
            user_agent: None,
            expect: None,
            upgrade: None,
            via: None,
            proxy_authorization: false,
            basic_authorization: false,
            inner: false,
        };
        assert_eq!(request("CONNECT", "x.example:443").authority_form(), Some((&b"x.example"[..], 443)));
        assert_eq!(request("CONNECT", "[::1]:8443").authority_form(), Some((&b"::1"[..], 8443)));
        assert_eq!(request("CONNECT", "x.example").authority_form(), None);
        assert_eq!(request("GET", "x.example:443").authority_form(), None);
        let absolute = |target| request("GET", target).absolute_form();
        assert_eq!(absolute("http://x.example/a:b"), Some((&b"x.example"[..], 80)));
        assert_eq!(absolute("HTTPS://u:p@x.example?q"), Some((&b"x.example"[..], 443)));
        assert_eq!(absolute("http://[::1]:81/"), Some((&b"::1"[..], 81)));
        assert_eq!(absolute("/http://x.example"), None);
        assert_eq!(absolute("http:///x"), None);
    }
}
