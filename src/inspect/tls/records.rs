//! The walk over TLS records: which bytes are a hello or an alert, and when there is nothing more to see.
//!
//! RFC 8446 §5.1, §5.2 and Appendix D.4 (ChangeCipherSpec that means nothing); RFC 5246 §6.2, §7.1, §7.4.
//! Record lengths are not held against any limit: 16,384 is exceeded in the wild. A message that lies in one record is
//! read where it is, and only one that spans records is copied together.

use super::{Alert, CERTIFICATE, CLIENT_HELLO, Chain, ClientHello, SERVER_HELLO, ServerHello};
use crate::inspect::{Direction, Fact, Next, Probe, Progress, StreamInspector};
use crate::wire::Reader;

/// Content types (RFC 8446 §5.1, RFC 6520 §2).
mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// Bytes of a record's head.
const RECORD_HEAD: usize = 5;
/// Bytes of a handshake message's head: type and length.
const MESSAGE_HEAD: usize = 4;
/// The longest message that is read; more makes no sense, and [`crate::inspect::MAX_HELD`] has no room for it.
const MAX_MESSAGE: usize = 65_535;
/// Bytes of records, heads included, after which a direction is left alone.
const BUDGET: u32 = 131_072;

/// A first look at a stream: whether `bytes` begin with a TLS record, or a hello in SSL 2.0 dress.
pub fn probe(bytes: &[u8]) -> Probe {
    let &[kind, ref tail @ ..] = bytes else { return Probe::Unsure };
    if kind & 0x80 != 0 {
        return probe_sslv2(bytes);
    }
    if !(content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&kind) {
        return Probe::Reject;
    }
    let &[major, ref tail @ ..] = tail else { return Probe::Unsure };
    let &[minor, ref tail @ ..] = tail else { return if major == 3 { Probe::Unsure } else { Probe::Reject } };
    if major != 3 || minor > 4 {
        return Probe::Reject;
    }
    let &[high, low, ref body @ ..] = tail else { return Probe::Unsure };
    let sane = match (kind, u16::from_be_bytes([high, low])) {
        (content::CHANGE_CIPHER_SPEC, n) => n == 1,
        (content::ALERT, n) => n == 2 || (16..=512).contains(&n),
        (content::HANDSHAKE, n) => return probe_handshake(body, usize::from(n)),
        _ => true,
    };
    if sane { Probe::Match } else { Probe::Reject }
}

/// A first look at a handshake record's body of `n` bytes: the head of a message, and the version of a hello. Where a
/// record has room for the message's type alone, another must follow it.
fn probe_handshake(bytes: &[u8], n: usize) -> Probe {
    let (body, behind) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
    let Some(&kind) = body.first() else { return if n == 0 { Probe::Reject } else { Probe::Unsure } };
    if !in_the_clear(kind) {
        return Probe::Reject;
    }
    if n == 1 {
        return match behind {
            [content::HANDSHAKE, 3, ..] => Probe::Match,
            [] | [content::HANDSHAKE] => Probe::Unsure,
            _ => Probe::Reject,
        };
    }
    match (body.get(1), body.get(4)) {
        (Some(2..), _) => Probe::Reject,
        (Some(1), _) if is_hello(kind) => Probe::Reject,
        (_, Some(&major)) if is_hello(kind) && !matches!(major, 3 | 0x7f) => Probe::Reject,
        (None, _) => Probe::Unsure,
        _ => Probe::Match,
    }
}

fn probe_sslv2(bytes: &[u8]) -> Probe {
    match *bytes {
        [_] | [_, _] | [_, _, 1] => Probe::Unsure,
        [_, _, 1, 0 | 3] => Probe::Unsure,
        [head, low, 1, 3, 0..=4, ref tail @ ..] | [head, low, 1, 0, 2, ref tail @ ..] => {
            let mut r = Reader::new(tail);
            let (Ok(ciphers), Ok(session), Ok(challenge)) = (r.u16(), r.u16(), r.u16()) else { return Probe::Unsure };
            let total = [9, ciphers, session, challenge].into_iter().fold(0_u16, u16::saturating_add);
            let sane = total == u16::from_be_bytes([head & 0x7f, low]) && ciphers > 0 && ciphers % 3 == 0;
            if sane && (16..=32).contains(&challenge) { Probe::Match } else { Probe::Reject }
        }
        _ => Probe::Reject,
    }
}

const fn is_hello(kind: u8) -> bool {
    matches!(kind, CLIENT_HELLO | SERVER_HELLO)
}

/// Handshake types that travel in the clear in some version; others are ciphertext, or no handshake at all.
const fn in_the_clear(kind: u8) -> bool {
    matches!(kind, 0..=4 | 6 | 8 | 11..=16 | 21..=23)
}

/// What is known of one direction.
#[derive(Clone, Debug, Default)]
struct Half {
    /// A message that spans records, as far as it has come; empty mostly.
    held: Vec<u8>,
    /// Bytes of the current handshake record not dealt with yet.
    left: usize,
    /// Bytes of the current message that are not wanted and still to come.
    pass: usize,
    /// Bytes of records walked.
    walked: u32,
    /// A record was seen.
    begun: bool,
    /// A ChangeCipherSpec was seen.
    ciphered: bool,
    /// The last ClientHello announced data before the handshake's end.
    early_data: bool,
    /// Bytes were lost; what comes next must look like a record again.
    lost: bool,
    /// It has asked for a server's name.
    named: bool,
    /// A ClientHello was seen: this direction's certificates, if any, are a client's.
    client: bool,
    /// Certificates are wanted, whether or not the client has asked for a name.
    always: bool,
    /// Those of this direction are wanted.
    certificates: bool,
    /// They were seen.
    certified: bool,
    /// Nothing more is wanted.
    done: bool,
}

/// How one step of the walk ended.
enum Step {
    /// It took something; go on.
    On,
    /// It needs more bytes.
    Wait,
    /// It took all there is, and this many bytes to come are of no use.
    Skip(usize),
    /// Nothing more is wanted of this direction.
    Done,
    /// It is not TLS.
    Reject,
}

/// The hellos and alerts of one TLS connection over TCP.
#[derive(Clone, Debug, Default)]
pub struct TlsStream {
    orig: Half,
    resp: Half,
}

impl TlsStream {
    /// A stream of which nothing has been seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream whose originator has sent a ClientHello, in a record of `length` bytes with its head; `named`: it asks
    /// for a server by name.
    pub fn after_client_hello(length: u16, named: bool) -> Self {
        let orig = Half { begun: true, client: true, named, walked: u32::from(length), ..Half::default() };
        TlsStream { orig, resp: Half::default() }
    }

    /// One that tells the server's certificates even where the client has asked for it by name.
    pub fn with_certificates() -> Self {
        let mut stream = TlsStream::default();
        stream.want_certificates();
        stream
    }

    /// From here on, tells the certificates of either side even where the client has asked for the server by name.
    pub fn want_certificates(&mut self) {
        (self.orig.always, self.resp.always) = (true, true);
    }

    fn halves(&mut self, direction: Direction) -> (&mut Half, &Half) {
        match direction {
            Direction::Orig => (&mut self.orig, &self.resp),
            Direction::Resp => (&mut self.resp, &self.orig),
        }
    }
}

impl StreamInspector for TlsStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let (half, other) = self.halves(direction);
        half.certificates = (half.always || !other.named) && !half.client && !half.certified;
        let mut r = Reader::new(bytes);
        let step = if half.done { Step::Done } else { half.walk(&mut r, &mut |fact| emit(direction, fact)) };
        let (skip, next) = match step {
            Step::On | Step::Wait => (0, Next::More),
            Step::Skip(n) => (n as u64, Next::More),
            // The other side has spoken TLS: this one does not (an HTTP error, say), which takes nothing from that.
            Step::Reject if !other.begun => (0, Next::Reject),
            Step::Reject | Step::Done => {
                half.finish();
                (0, if other.done { Next::Finished } else { Next::Done })
            }
        };
        Progress { consumed: bytes.len().saturating_sub(r.left()), skip, next }
    }

    fn memory(&self) -> usize {
        self.orig.held.capacity().saturating_add(self.resp.held.capacity())
    }

    /// The walk goes on when the first bytes after the hole begin a record.
    fn gap(&mut self, direction: Direction) -> bool {
        let (half, _) = self.halves(direction);
        half.held = Vec::new();
        half.left = 0;
        half.pass = 0;
        half.lost = true;
        !half.done
    }

    /// A ClientHello whose end is missing shows what stands before that, a name perhaps.
    fn cut_short(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) {
        let (half, _) = self.halves(direction);
        let is_message = half.left > 0 && half.pass == 0 && half.held.is_empty() && !half.done;
        let Some((&[CLIENT_HELLO, ..], body)) = bytes.split_first_chunk::<MESSAGE_HEAD>() else { return };
        if let Some(hello) = ClientHello::parse_cut(body).filter(|_| is_message) {
            (half.client, half.named) = (true, hello.sni().is_some());
            emit(direction, Fact::ClientHello(hello));
        }
    }
}

impl Half {
    fn finish(&mut self) {
        self.held = Vec::new();
        self.done = true;
    }

    fn walk(&mut self, r: &mut Reader<'_>, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        if self.lost {
            match probe(r.rest()) {
                Probe::Match => self.lost = false,
                Probe::Unsure => return Step::Wait,
                Probe::Reject => return Step::Done,
            }
        }
        loop {
            if self.walked > BUDGET {
                return Step::Done;
            }
            let step = if self.left == 0 { self.record(r, emit) } else { self.handshake(r, emit) };
            if !matches!(step, Step::On) {
                return step;
            }
        }
    }

    /// Takes the next record's head, and its body unless it is a handshake's.
    fn record(&mut self, r: &mut Reader<'_>, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        let Ok(&[kind, major, minor, high, low]) = r.peek::<RECORD_HEAD>() else {
            return self.unfinished_head(r);
        };
        if kind & 0x80 != 0 && !self.begun {
            return self.sslv2(r, emit);
        }
        if !(content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&kind) || major != 3 || minor > 4 {
            return if self.begun { Step::Done } else { Step::Reject };
        }
        let n = usize::from(u16::from_be_bytes([high, low]));
        match kind {
            content::HANDSHAKE => self.handshake_head(r, n),
            content::ALERT => self.alert(r, n, emit),
            content::CHANGE_CIPHER_SPEC => {
                if n != 1 {
                    return Step::Done;
                }
                self.ciphered = true;
                self.pass_record(r, n)
            }
            // Early data, which a HelloRetryRequest may yet turn down: then a second ClientHello follows in the clear.
            content::APPLICATION_DATA if !self.early_data => Step::Done,
            _ => self.pass_record(r, n),
        }
    }

    /// Judges a record's head that has not come whole.
    fn unfinished_head(&self, r: &Reader<'_>) -> Step {
        if self.begun || probe(r.rest()) != Probe::Reject { Step::Wait } else { Step::Reject }
    }

    /// Passes over a record.
    fn pass_record(&mut self, r: &mut Reader<'_>, n: usize) -> Step {
        let total = self.open_record(n);
        let came = r.take_up_to(total).len();
        if came < total { Step::Skip(total.saturating_sub(came)) } else { Step::On }
    }

    /// Counts a record of `n` bytes and gives its length with the head.
    fn open_record(&mut self, n: usize) -> usize {
        let total = n.saturating_add(RECORD_HEAD);
        self.begun = true;
        self.walked = self.walked.saturating_add(u32::try_from(total).unwrap_or(u32::MAX));
        total
    }

    fn alert(&mut self, r: &mut Reader<'_>, n: usize, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        if n != 2 {
            return if self.ciphered { Step::Done } else { self.pass_record(r, n) };
        }
        let Ok(&[_, _, _, _, _, level, description]) = r.peek::<7>() else { return Step::Wait };
        if let Some(alert) = Alert::parse(&[level, description]) {
            emit(Fact::Alert(alert));
        }
        self.pass_record(r, n)
    }

    /// Enters a handshake record, unless it is encrypted.
    fn handshake_head(&mut self, r: &mut Reader<'_>, n: usize) -> Step {
        if self.ciphered && n > 0 {
            // After a ChangeCipherSpec only the hellos around a HelloRetryRequest are in the clear.
            let Ok(&[_, _, _, _, _, kind, high, _, _, major, minor]) = r.peek::<11>() else { return Step::Wait };
            if !is_hello(kind) || high != 0 || major != 3 || minor != 3 {
                return Step::Done;
            }
        }
        self.open_record(n);
        self.left = n;
        r.take_up_to(RECORD_HEAD);
        Step::On
    }

    /// Deals with the next piece of a handshake record's body.
    fn handshake(&mut self, r: &mut Reader<'_>, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        if self.pass > 0 {
            return self.pass_message(r);
        }
        if !self.held.is_empty() {
            return self.gather(r, emit);
        }
        if self.left < MESSAGE_HEAD {
            return self.hold(r, self.left);
        }
        let Ok(&[kind, high, mid, low]) = r.peek::<MESSAGE_HEAD>() else { return Step::Wait };
        let Some(total) = message_length(kind, [high, mid, low]) else { return Step::Done };
        if !self.wants(kind, total) {
            self.pass = total;
            return self.pass_message(r);
        }
        if total > self.left {
            return self.hold(r, total);
        }
        match r.take(total) {
            Ok(message) => {
                self.left = self.left.saturating_sub(total);
                self.message(message, emit)
            }
            Err(_) => Step::Wait,
        }
    }

    /// Passes over as much of an unwanted message as this record has.
    fn pass_message(&mut self, r: &mut Reader<'_>) -> Step {
        let n = self.pass.min(self.left);
        self.pass = self.pass.saturating_sub(n);
        self.left = self.left.saturating_sub(n);
        let came = r.take_up_to(n).len();
        if came < n { Step::Skip(n.saturating_sub(came)) } else { Step::On }
    }

    /// Copies up to `n` bytes of this record to what is held.
    fn hold(&mut self, r: &mut Reader<'_>, n: usize) -> Step {
        let piece = r.take_up_to(n.min(self.left));
        if piece.is_empty() {
            return Step::Wait;
        }
        self.left = self.left.saturating_sub(piece.len());
        self.held.extend_from_slice(piece);
        Step::On
    }

    /// Goes on with a message that spans records.
    fn gather(&mut self, r: &mut Reader<'_>, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        let have = self.held.len();
        let Some(&[kind, high, mid, low]) = self.held.first_chunk::<MESSAGE_HEAD>() else {
            return self.hold(r, MESSAGE_HEAD.saturating_sub(have));
        };
        let Some(total) = message_length(kind, [high, mid, low]) else { return Step::Done };
        if !self.wants(kind, total) {
            self.held.clear();
            self.pass = total.saturating_sub(have);
            return Step::On;
        }
        if have < total {
            let step = self.hold(r, total.saturating_sub(have));
            if self.held.len() < total {
                return step;
            }
        }
        let held = std::mem::take(&mut self.held);
        self.message(&held, emit)
    }

    /// Whether a message of this kind, and of so many bytes with its head, is to be reported.
    fn wants(&self, kind: u8, total: usize) -> bool {
        is_hello(kind) || kind == CERTIFICATE && self.certificates && total <= MAX_MESSAGE
    }

    /// Reports a whole message.
    fn message(&mut self, message: &[u8], emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        let Some((&[kind, ..], body)) = message.split_first_chunk::<MESSAGE_HEAD>() else { return Step::On };
        if kind == CERTIFICATE {
            (self.certificates, self.certified) = (false, true);
            Chain::parse(body).into_iter().for_each(|chain| emit(Fact::Certificates(chain)));
            return Step::On;
        }
        if kind == CLIENT_HELLO {
            if let Some(hello) = ClientHello::parse(body) {
                (self.client, self.certificates) = (true, false);
                self.named = hello.sni().is_some();
                self.early_data = hello.has_early_data();
                emit(Fact::ClientHello(hello));
            }
            return Step::On;
        }
        let Some(hello) = ServerHello::parse(body) else { return Step::On };
        emit(Fact::ServerHello(hello));
        if hello.is_tls13() && !hello.is_hello_retry() { Step::Done } else { Step::On }
    }

    /// Takes a hello in SSL 2.0 dress; records follow it.
    fn sslv2(&mut self, r: &mut Reader<'_>, emit: &mut dyn FnMut(Fact<'_>)) -> Step {
        match probe_sslv2(r.rest()) {
            Probe::Match => {}
            Probe::Unsure => return Step::Wait,
            Probe::Reject => return Step::Reject,
        }
        let mut ahead = *r;
        let Ok(head) = ahead.u16() else { return Step::Wait };
        let Ok(record) = ahead.take(usize::from(head & 0x7fff)) else { return Step::Wait };
        if let Some(hello) = ClientHello::parse_sslv2(record) {
            emit(Fact::ClientHello(hello));
        }
        self.begun = true;
        *r = ahead;
        Step::On
    }
}

/// The bytes of a message with its head; `None` when its head makes no sense in the clear.
fn message_length(kind: u8, length: [u8; 3]) -> Option<usize> {
    let [high, mid, low] = length;
    let length = usize::try_from(u32::from_be_bytes([0, high, mid, low])).ok()?;
    let fits = in_the_clear(kind) && (!is_hello(kind) || length <= MAX_MESSAGE);
    fits.then(|| length.saturating_add(MESSAGE_HEAD))
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
