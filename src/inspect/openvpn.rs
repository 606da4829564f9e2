//! OpenVPN: the TLS handshake that its control channel carries.
//!
//! OpenVPN 2.6 developer documentation, "Network protocol", "Reliable transport" and "Control channel": an opcode and a
//! key id in one byte, the sender's session id, with `tls-auth` an HMAC, a replay number and a time, then
//! acknowledgements, the message's number, and a piece of a TLS stream. Over TCP each packet has a two-byte length
//! before it.
//!
//! A session is known by its first packet, a hard reset: its size and every field in it follow from the opcode. Limits:
//! the first key's handshake only, and of each direction [`MAX_PARKED`] messages that came ahead of another.
//! Refused: `tls-crypt` in both versions, where all but the first bytes is ciphertext.

use super::tls::TlsStream;
use super::{Direction, Fact, MAX_HELD, Next, Probe, Progress, StreamInspector};
use crate::flow::stream::{Limits, Segment, Shown, Stream, Taken};
use crate::wire::{Reader, Result};

/// Opcodes (the upper five bits of the first byte).
mod opcode {
    pub const HARD_RESET_CLIENT_V1: u8 = 1;
    pub const HARD_RESET_SERVER_V1: u8 = 2;
    pub const CONTROL: u8 = 4;
    pub const ACK: u8 = 5;
    pub const HARD_RESET_CLIENT_V2: u8 = 7;
    pub const HARD_RESET_SERVER_V2: u8 = 8;
}

/// Bytes of a session id.
const SESSION: usize = 8;
/// Bytes of a message's number.
const NUMBER: usize = 4;
/// Bytes of a hard reset's count of acknowledgements and number.
const BARE: usize = 1 + NUMBER;
/// Bytes of the replay number and time that follow an HMAC.
const REPLAY: usize = 8;
/// Bytes of the HMACs that OpenSSL offers: SHA-1 (the default), SHA-256, SHA-512, MD5, SHA-224, SHA-384.
const HMACS: [usize; 6] = [20, 32, 64, 16, 28, 48];
/// A first packet's replay number is small: it counts the resets that were sent in vain.
const MAX_REPLAY: u32 = 64;
/// The longest hard reset: with an acknowledgement, and authenticated by SHA-512.
const MAX_RESET: usize = 1 + SESSION + 64 + REPLAY + BARE + NUMBER + SESSION;
/// The most acknowledgements in one packet.
const MAX_ACKS: u8 = 8;
/// The most messages of one direction that wait for another: what OpenVPN itself has under way.
const MAX_PARKED: usize = 12;
/// What waits until a TLS message is whole.
const LIMITS: Limits = Limits { held: MAX_HELD, parked: 0, segments: 0 };

/// Where facts go.
type Emit<'e> = &'e mut dyn FnMut(Direction, Fact<'_>);

/// Whether a packet, without the length that TCP puts before it, opens a session.
#[inline]
pub fn is_opening(packet: &[u8]) -> bool {
    packet.first().is_some_and(|b| is_hard_reset(*b)) && opening(packet).is_some()
}

/// A first look at a TCP stream.
pub fn probe_tcp(bytes: &[u8]) -> Probe {
    match *bytes {
        [] | [0] => Probe::Unsure,
        [0, n] if usize::from(n) <= MAX_RESET => Probe::Unsure,
        [0, n, first, ..] if usize::from(n) <= MAX_RESET && is_hard_reset(first) => {
            let mut r = Reader::new(bytes);
            match r.vec16() {
                Ok(packet) if opening(packet.rest()).is_some() => Probe::Match,
                Ok(_) => Probe::Reject,
                Err(_) => Probe::Unsure,
            }
        }
        _ => Probe::Reject,
    }
}

/// Whether a first byte is that of a hard reset, with the key id 0 that it must have.
const fn is_hard_reset(first: u8) -> bool {
    use opcode::{HARD_RESET_CLIENT_V1, HARD_RESET_CLIENT_V2, HARD_RESET_SERVER_V1, HARD_RESET_SERVER_V2};
    let opens =
        matches!(first >> 3, HARD_RESET_CLIENT_V1 | HARD_RESET_CLIENT_V2 | HARD_RESET_SERVER_V1 | HARD_RESET_SERVER_V2);
    opens && first & 7 == 0
}

/// The bytes of authentication that each packet of the session has which `packet`, a hard reset, opens. `None`: it is
/// not one, or authenticated in an unknown way.
fn opening(packet: &[u8]) -> Option<usize> {
    let mut r = Reader::new(packet);
    r.skip(1).ok()?;
    if r.array::<SESSION>().ok()? == &[0; SESSION] {
        return None;
    }
    let body = r.rest();
    [(0, BARE), (1, BARE + NUMBER + SESSION)].into_iter().find_map(|(acks, fixed)| {
        let auth = body.len().checked_sub(fixed)?;
        let known = auth == 0 || HMACS.contains(&auth.checked_sub(REPLAY)?);
        (known && reset_fits(body, auth, acks).unwrap_or(false)).then_some(auth)
    })
}

/// Whether the body of a hard reset has what it must have behind `auth` bytes of authentication.
fn reset_fits(body: &[u8], auth: usize, acks: u8) -> Result<bool> {
    let mut r = Reader::new(body);
    if let Some(hmac) = auth.checked_sub(REPLAY) {
        r.skip(hmac)?;
        let replay = r.u32()?;
        r.skip(4)?;
        if replay == 0 || replay > MAX_REPLAY {
            return Ok(false);
        }
    }
    if r.u8()? != acks {
        return Ok(false);
    }
    if acks > 0 {
        // it acknowledges the other's hard reset, the first message
        if r.u32()? != 0 {
            return Ok(false);
        }
        r.skip(SESSION)?;
    }
    Ok(r.u32()? == 0 && r.is_empty())
}

/// One session, from its first packet on.
#[derive(Clone, Debug)]
pub struct Session {
    /// Bytes of authentication in each packet.
    auth: usize,
    tls: TlsStream,
    orig: Lane,
    resp: Lane,
}

/// One direction of a session.
#[derive(Clone, Debug, Default)]
struct Lane {
    stream: Stream,
    /// The message wanted next, less the hard reset, which has number 0.
    taken: u32,
    /// Bytes of TLS so far.
    offset: u32,
    /// Messages that came ahead, with their numbers.
    parked: Vec<(u32, Vec<u8>)>,
}

impl Session {
    /// The session that `packet` opens, if it does.
    pub fn open(packet: &[u8]) -> Option<Session> {
        let auth = opening(packet).filter(|_| packet.first().is_some_and(|b| is_hard_reset(*b)))?;
        Some(Session { auth, tls: TlsStream::new(), orig: Lane::default(), resp: Lane::default() })
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let lane = |lane: &Lane| {
            let parked: usize = lane.parked.iter().map(|(_, bytes)| bytes.capacity()).sum();
            lane.stream.memory().saturating_add(parked)
        };
        [size_of::<Session>(), self.tls.memory(), lane(&self.orig), lane(&self.resp)].iter().sum()
    }

    /// Takes a packet, and reports what of TLS is whole with it. False: nothing more is wanted.
    pub fn packet(&mut self, direction: Direction, packet: &[u8], emit: Emit<'_>) -> bool {
        match packet.first() {
            Some(first) if is_hard_reset(*first) || *first == opcode::ACK << 3 => true,
            Some(first) if *first == opcode::CONTROL << 3 => {
                let Ok(Some((number, piece))) = control(packet, self.auth) else { return false };
                self.message(direction, number, piece, emit)
            }
            // data, or another key's handshake, which is only made when the first one's is over
            _ => false,
        }
    }

    fn message(&mut self, direction: Direction, number: u32, piece: &[u8], emit: Emit<'_>) -> bool {
        let (lane, tls) = match direction {
            Direction::Orig => (&mut self.orig, &mut self.tls),
            Direction::Resp => (&mut self.resp, &mut self.tls),
        };
        let wanted = lane.taken.saturating_add(1);
        if number != wanted {
            return number < wanted || lane.park(number, piece);
        }
        let mut finished = lane.take(piece, direction, tls, emit);
        while !finished && let Some(piece) = lane.unpark() {
            finished = lane.take(&piece, direction, tls, emit);
        }
        !finished
    }
}

impl Lane {
    /// Keeps a message that came ahead. False: there is no room for it.
    fn park(&mut self, number: u32, piece: &[u8]) -> bool {
        if self.stream.is_done() || self.parked.iter().any(|(n, _)| *n == number) {
            return true;
        }
        let room = self.parked.len() < MAX_PARKED;
        if room {
            self.parked.push((number, piece.to_vec()));
        }
        room
    }

    /// The message whose turn has come, if it waits.
    fn unpark(&mut self) -> Option<Vec<u8>> {
        let wanted = self.taken.saturating_add(1);
        let at = self.parked.iter().position(|(n, _)| *n == wanted)?;
        Some(self.parked.swap_remove(at).1)
    }

    /// Takes the next message. True: nothing more is wanted of either direction.
    fn take(&mut self, piece: &[u8], direction: Direction, tls: &mut TlsStream, emit: Emit<'_>) -> bool {
        let mut finished = false;
        let n = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.stream.segment(&Segment::carried(self.offset, piece, n), &LIMITS, &mut |shown| match shown {
            Shown::Bytes(bytes, _) => {
                let Progress { consumed, skip, next } = tls.feed(direction, bytes, emit);
                finished |= matches!(next, Next::Finished | Next::Reject | Next::Handover);
                Taken { consumed, skip, done: next != Next::More }
            }
            Shown::Gap(..) => Taken { consumed: 0, skip: 0, done: !tls.gap(direction) },
        });
        self.taken = self.taken.saturating_add(1);
        self.offset = self.offset.wrapping_add(n);
        finished
    }
}

/// The number and content of a control message; `None`: its fields make no sense.
fn control(packet: &[u8], auth: usize) -> Result<Option<(u32, &[u8])>> {
    let mut r = Reader::new(packet);
    r.skip(1 + SESSION)?;
    r.skip(auth)?;
    let acks = r.u8()?;
    if acks > MAX_ACKS {
        return Ok(None);
    }
    for _ in 0..acks {
        r.skip(NUMBER)?;
    }
    if acks > 0 {
        r.skip(SESSION)?;
    }
    let number = r.u32()?;
    Ok(Some((number, r.rest())))
}

/// A session over TCP.
#[derive(Clone, Debug, Default)]
pub struct OpenVpnStream {
    session: Option<Session>,
}

impl StreamInspector for OpenVpnStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: Emit<'_>) -> Progress {
        let mut r = Reader::new(bytes);
        let mut next = Next::More;
        loop {
            let mut ahead = r;
            let Ok(packet) = ahead.vec16() else { break };
            if self.session.is_none() {
                self.session = Session::open(packet.rest());
            }
            let Some(session) = self.session.as_mut() else {
                next = Next::Reject;
                break;
            };
            r = ahead;
            if !session.packet(direction, packet.rest(), emit) {
                next = Next::Finished;
                break;
            }
        }
        Progress { consumed: bytes.len().saturating_sub(r.left()), skip: 0, next }
    }

    fn memory(&self) -> usize {
        self.session.as_ref().map_or(0, Session::memory)
    }

    /// Where the next packet begins is not known any more.
    fn gap(&mut self, _direction: Direction) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: [u8; SESSION] = [1, 2, 3, 4, 5, 6, 7, 8];
    const THEIRS: [u8; SESSION] = [9; SESSION];

    /// A packet: `opcode`, authenticated by an HMAC of `hmac` bytes, acknowledging `acks`.
    fn packet(opcode: u8, hmac: usize, replay: u8, acks: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![opcode << 3];
        out.extend(OURS);
        if hmac > 0 {
            out.extend(vec![0xaa; hmac]);
            out.extend([0, 0, 0, replay, 0x60, 0, 0, 0]);
        }
        out.push(u8::try_from(acks.len()).unwrap());
        out.extend(acks.iter().flat_map(|a| [0, 0, 0, *a]));
        if !acks.is_empty() {
            out.extend(THEIRS);
        }
        if opcode != opcode::ACK {
            out.extend([0, 0, 0, number]);
        }
        out.extend(content);
        out
    }

    fn hello() -> Vec<u8> {
        let body = crate::inspect::tls::client_body(b"relay.example", 300);
        let n = u16::try_from(body.len()).unwrap();
        let head = [&[22, 3, 1][..], &(n + 4).to_be_bytes(), &[1, 0], &n.to_be_bytes()].concat();
        [head, body].concat()
    }

    fn names(fact: Fact<'_>, out: &mut Vec<String>) {
        if let Fact::ClientHello(hello) = fact {
            out.push(String::from_utf8_lossy(hello.sni().unwrap_or_default()).into_owned());
        }
    }

    #[test]
    fn every_kind_of_hard_reset_opens_a_session() {
        for hmac in [0, 16, 20, 28, 32, 48, 64] {
            for opcode in [1, 7] {
                assert!(is_opening(&packet(opcode, hmac, 1, &[], 0, &[])), "{opcode} {hmac}");
            }
            for opcode in [2, 8] {
                assert!(is_opening(&packet(opcode, hmac, 1, &[0], 0, &[])), "{opcode} {hmac}");
            }
        }
        let good = packet(7, 20, 1, &[], 0, &[]);
        for (at, value) in [(0, 0x39), (0, 0x30), (32, 200), (37, 1), (41, 3)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(!is_opening(&bad), "{at}");
        }
        assert!(!is_opening(&good[..40]) && !is_opening(&[&good[..], &[0]].concat()) && !is_opening(&[]));
        // tls-crypt: the replay number stands first
        let wrapped = [&[0x38][..], &OURS, &[0, 0, 0, 1, 0x60, 0, 0, 0], &[0xaa; 37]].concat();
        assert_eq!((wrapped.len(), is_opening(&wrapped)), (54, false));
    }

    #[test]
    fn a_hello_in_messages_out_of_order_and_repeated() {
        let hello = hello();
        let pieces: Vec<&[u8]> = hello.chunks(hello.len().div_ceil(4)).collect();
        for hmac in [0, 20] {
            let mut session = Session::open(&packet(7, hmac, 1, &[], 0, &[])).unwrap();
            let mut seen = Vec::new();
            for n in [2, 0, 0, 3, 1, 2] {
                let number = u8::try_from(n).unwrap() + 1;
                let bytes = packet(4, hmac, 2, if n == 0 { &[0] } else { &[] }, number, pieces[n]);
                assert!(session.packet(Direction::Orig, &bytes, &mut |_, fact| names(fact, &mut seen)));
            }
            assert_eq!((seen.join(","), session.memory() < 4096), ("relay.example".to_owned(), true));
            assert!(session.packet(Direction::Resp, &packet(5, hmac, 2, &[1], 0, &[]), &mut |_, _| {}));
            assert!(!session.packet(Direction::Orig, &[0x30, 1, 2, 3], &mut |_, _| {}), "data ends it");
        }
    }

    #[test]
    fn messages_ahead_are_bounded() {
        let mut session = Session::open(&packet(7, 0, 0, &[], 0, &[])).unwrap();
        let ahead = |n: u8| packet(4, 0, 0, &[], n, &[0; 100]);
        let took = (10..40).take_while(|n| session.packet(Direction::Orig, &ahead(*n), &mut |_, _| {})).count();
        assert_eq!(took, MAX_PARKED);
    }

    #[test]
    fn over_tcp_lengths_stand_before() {
        let framed = |p: Vec<u8>| [&u16::try_from(p.len()).unwrap().to_be_bytes()[..], &p].concat();
        let reset = framed(packet(7, 20, 1, &[], 0, &[]));
        assert_eq!(
            (probe_tcp(&reset), probe_tcp(&reset[..9]), probe_tcp(&[0])),
            (Probe::Match, Probe::Unsure, Probe::Unsure)
        );
        assert_eq!((probe_tcp(&[0, 42, 9]), probe_tcp(b"\x16\x03")), (Probe::Reject, Probe::Reject));
        let hello = hello();
        let pieces = hello.chunks(150).zip(1..).map(|(c, n)| framed(packet(4, 20, n + 1, &[], n, c)));
        let bytes = [reset, pieces.collect::<Vec<_>>().concat()].concat();
        for step in [1, 50, 9999] {
            let (mut stream, mut held, mut seen) = (OpenVpnStream::default(), Vec::new(), Vec::new());
            for piece in bytes.chunks(step) {
                held.extend_from_slice(piece);
                let progress = stream.feed(Direction::Orig, &held, &mut |_, fact| names(fact, &mut seen));
                assert_eq!(progress.next, Next::More);
                held.drain(..progress.consumed);
            }
            assert_eq!((seen.join(","), held.len()), ("relay.example".to_owned(), 0));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, tail in prop::collection::vec(any::<u8>(), 0..120), hmac in 0_usize..3) {
            let _ = (is_opening(&bytes), probe_tcp(&bytes));
            let mut session = Session::open(&packet(7, HMACS[hmac], 1, &[], 0, &[])).unwrap();
            session.packet(Direction::Orig, &bytes, &mut |_, _| {});
            session.packet(Direction::Resp, &packet(4, HMACS[hmac], 1, &[], 1, &tail), &mut |_, _| {});
            let mut stream = OpenVpnStream::default();
            let framed = [&[0, 42][..], &packet(7, 20, 1, &[], 0, &[]), &bytes].concat();
            let progress = stream.feed(Direction::Orig, &framed, &mut |_, _| ());
            prop_assert!(progress.consumed <= framed.len());
        }
    }
}
