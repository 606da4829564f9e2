//! QUIC: who is asked for, in versions 1 and 2, their drafts, and Google's and Facebook's before them.
//!
//! RFC 9000 §6 (version negotiation), §7.2 (connection ids), §12.2 (coalesced packets), §14.1 (sizes), §17.2 (long
//! headers); RFC 9001 §4, §5; RFC 9369 (version 2); RFC 8999 (what holds for every version). Each file here names
//! what it adds. Initial packets are protected by keys that anyone can derive who sees the client's first connection
//! id; they hold the TLS hellos, which are reported as those of TLS over TCP are.
//!
//! A connection is recognised by a version that is known here and a sound header, by Version Negotiation that offers
//! a known version, by a reserved version in a datagram as long as a client's first must be, or by an Initial packet of
//! whatever version that opens under keys of one of the standards.
//!
//! Limits: hellos of at most [`MAX_HELLO`] bytes, [`MAX_DATAGRAMS`] datagrams of a connection and [`MAX_FAILURES`]
//! Initial packets that do not open. Refused: packets with short headers, 0-RTT and Handshake packets, all of which
//! need keys that nobody else has. An Initial packet that the capture cut has lost its proof: it is read only if what
//! is left is the beginning of a ClientHello.

pub mod frames;
pub mod gquic;
pub mod header;
pub mod keys;
#[cfg(test)]
mod tests;
pub mod version;

use super::Fact;
use super::pieces::Pieces;
use super::tls::{Alert, CLIENT_HELLO, ClientHello, SERVER_HELLO, ServerHello};
use crate::wire::Reader;
use frames::{Frame, Frames};
use header::{Long, MAX_CID, Packet};
use keys::{Keys, Sender};
pub use version::version_name;
use version::{Dialect, GUESSES, Kind, Scheme, kind};

/// The longest hello.
const MAX_HELLO: usize = 16_384;
/// How many datagrams of a connection are looked at.
const MAX_DATAGRAMS: u8 = 32;
/// How many Initial packets may fail to open.
const MAX_FAILURES: u8 = 6;
/// The least payload of a client's first datagram (RFC 9000 §14.1).
const MIN_FIRST: usize = 1200;
/// The least length of the connection id in it (RFC 9000 §7.2).
const MIN_FIRST_CID: usize = 8;

/// Where facts go.
type Emit<'e> = dyn FnMut(Fact<'_>) + 'e;

/// What a connection tells of itself besides its TLS hellos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quic<'a> {
    /// The version spoken; 0 where a packet only negotiates one.
    pub version: u32,
    /// The server name asked for in QUIC crypto, Google's handshake before TLS.
    pub sni: Option<&'a [u8]>,
    /// The client's software, of the same.
    pub user_agent: Option<&'a [u8]>,
}

/// What is to become of a flow after a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not QUIC, as far as this datagram shows.
    Reject,
    /// It is QUIC, and there may be more to learn.
    More,
    /// It is QUIC, and nothing more is wanted.
    Done,
}

/// Whether a datagram is worth a look: it has a long header of a version that can be, or Google's public header with a
/// version. A connection that is known may also send packets of which this does not hold.
#[inline(always)]
pub fn may_be(datagram: &[u8]) -> bool {
    match datagram.first() {
        Some(0xc0..) => has_sound_version(datagram),
        // Version Negotiation need not have the bit that other packets have
        Some(0x80..) => matches!(datagram, [_, 0, 0, 0, 0, ..]),
        // the bits of the public flags that a client's packet with a version has, and those it has not
        Some(first) => first & 0xcb == 0x09,
        None => false,
    }
}

/// Whether a long header's version is known, or else the datagram is such as a client may begin with.
fn has_sound_version(datagram: &[u8]) -> bool {
    let mut r = Reader::new(datagram);
    let (Ok(_), Ok(version), Ok(length)) = (r.u8(), r.u32(), r.u8()) else { return false };
    match kind(version) {
        Kind::Sealed(_) | Kind::Clear => true,
        Kind::Reserved | Kind::Unknown => version == 0 || may_be_first(datagram.len(), usize::from(length)),
    }
}

/// Whether a datagram of that size, with a connection id of that length, may be a client's first.
fn may_be_first(size: usize, id: usize) -> bool {
    size >= MIN_FIRST && (MIN_FIRST_CID..=MAX_CID).contains(&id)
}

/// A connection, as far as it is known and still of interest.
#[derive(Clone, Debug, Default)]
pub struct QuicState {
    /// The version last spoken; 0 is none.
    version: u32,
    /// It is QUIC.
    recognised: bool,
    /// The side that sent an Initial packet which opened as a client's.
    client_side: Option<bool>,
    /// The connection id that the keys come from.
    dcid: Cid,
    /// One that the client turned to when its hello was known already. After Retry the server's keys come from it.
    retried: Cid,
    client: Half,
    server: Half,
    datagrams: u8,
    failures: u8,
}

/// A connection id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cid {
    bytes: [u8; MAX_CID],
    length: u8,
}

impl Cid {
    fn new(id: &[u8]) -> Self {
        let mut bytes = [0; MAX_CID];
        bytes.iter_mut().zip(id).for_each(|(place, byte)| *place = *byte);
        Cid { bytes, length: u8::try_from(id.len()).unwrap_or(0) }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The handshake of one sender.
#[derive(Clone, Debug, Default)]
struct Half {
    /// What has come of a hello that is not whole.
    pieces: Option<Box<Pieces>>,
    /// Nothing more is wanted.
    done: bool,
}

impl QuicState {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of memory held besides the state itself.
    pub fn memory(&self) -> usize {
        let pieces = [&self.client, &self.server].into_iter().filter_map(|half| half.pieces.as_ref());
        pieces.map(|p| p.memory().saturating_add(size_of::<Pieces>())).sum()
    }

    /// Takes a datagram from one side of the flow, and reports what it completes. `scratch` is room for an opened
    /// packet.
    pub fn inspect(&mut self, second: bool, datagram: &[u8], scratch: &mut Vec<u8>, emit: &mut Emit<'_>) -> Outcome {
        self.datagrams = self.datagrams.saturating_add(1);
        if datagram.first().is_some_and(|b| b & 0x80 != 0) {
            let mut r = Reader::new(datagram);
            while let Some(long) = Long::read(&mut r) {
                self.long(second, &long, datagram.len(), scratch, emit);
            }
        } else if let Some(public) = gquic::Public::read(datagram) {
            self.speaks(public.version, emit);
            self.in_the_clear(public.version, public.rest, emit);
        } else if self.client.done {
            // short headers: what the server had to say in Initial packets has been said
            self.server.done = true;
        }
        let failed = self.failures >= MAX_FAILURES && !self.client.done;
        let done = failed || self.datagrams >= MAX_DATAGRAMS || (self.client.done && self.server.done);
        match (self.recognised, done) {
            (false, _) => Outcome::Reject,
            (true, false) => Outcome::More,
            (true, true) => {
                self.cut_short(emit);
                Outcome::Done
            }
        }
    }

    /// No more datagrams come: a ClientHello that is not whole is reported if it goes as far as a name.
    pub fn cut_short(&mut self, emit: &mut Emit<'_>) {
        let Some(pieces) = self.client.pieces.take() else { return };
        let Some((&[CLIENT_HELLO, ..], body)) = pieces.front().split_first_chunk::<4>() else { return };
        if let Some(hello) = ClientHello::parse_quic(body).filter(|hello| hello.sni().is_some()) {
            emit(Fact::ClientHello(hello));
        }
    }

    fn long(&mut self, second: bool, long: &Long<'_>, size: usize, scratch: &mut Vec<u8>, emit: &mut Emit<'_>) {
        if let Packet::Negotiation(offered) = long.packet {
            return self.negotiation(offered, emit);
        }
        if !long.fixed && !self.recognised {
            return;
        }
        let known = kind(long.version);
        let may_be_first = may_be_first(size, long.dcid.len());
        if !self.recognised && (matches!(known, Kind::Sealed(_)) || (known == Kind::Reserved && may_be_first)) {
            self.speaks(long.version, emit);
        }
        match long.packet {
            Packet::Clear(payload) => {
                self.speaks(long.version, emit);
                self.in_the_clear(long.version, payload, emit);
            }
            Packet::Initial { bytes, number_at, cut } if self.recognised || may_be_first => {
                self.initial(second, long, Sealed { bytes, number_at, cut }, scratch, emit);
            }
            _ => {}
        }
    }

    /// Version Negotiation; of a flow that has shown nothing else it counts if it offers a version that is known. The
    /// number that says that a packet is one cannot be offered.
    fn negotiation(&mut self, offered: &[u8], emit: &mut Emit<'_>) {
        let mut offered = Reader::new(offered);
        let (mut known, mut sound) = (self.recognised, true);
        while let Ok(version) = offered.u32() {
            known |= kind(version) != Kind::Unknown;
            sound &= version != 0;
        }
        if known && sound {
            self.recognised = true;
            emit(Fact::Quic(Quic::default()));
        }
    }

    /// A packet of this version belongs to the connection.
    fn speaks(&mut self, version: u32, emit: &mut Emit<'_>) {
        self.recognised = true;
        if self.version != version {
            self.version = version;
            emit(Fact::Quic(Quic { version, ..Quic::default() }));
        }
    }

    /// A packet of Google's, from behind its packet number on. A ClientHello there is never longer than a packet.
    fn in_the_clear(&mut self, version: u32, payload: &[u8], emit: &mut Emit<'_>) {
        gquic::handshake(version, payload, &mut |frame| {
            if let Frame::Crypto { offset: 0, bytes } = frame
                && let Ok(Some(hello)) = gquic::Hello::read(bytes)
            {
                emit(Fact::Quic(hello.of(version)));
                (self.client.done, self.server.done) = (true, true);
            }
        });
    }

    /// Opens an Initial packet, and takes what is in it.
    fn initial(
        &mut self,
        second: bool,
        long: &Long<'_>,
        packet: Sealed<'_>,
        scratch: &mut Vec<u8>,
        emit: &mut Emit<'_>,
    ) {
        let sender = match self.client_side {
            Some(client) if client != second => Sender::Server,
            _ => Sender::Client,
        };
        if self.half(sender).done {
            let own = Cid::new(long.dcid);
            if sender == Sender::Client && own != self.dcid && self.retried.length == 0 {
                self.retried = own;
            }
            return;
        }
        if self.failures >= MAX_FAILURES {
            return;
        }
        let Some((scheme, payload)) = self.open(sender, long, packet, scratch) else {
            self.failures = self.failures.saturating_add(1);
            return;
        };
        if sender == Sender::Client {
            self.client_side = Some(second);
        }
        self.speaks(long.version, emit);
        for frame in Frames::new(payload, scheme.dialect, packet.cut) {
            match frame {
                Frame::Alert(description) => emit(Fact::Alert(Alert { level: 2, description })),
                Frame::Crypto { offset, bytes } => {
                    let version = self.version;
                    self.half(sender).take(offset, bytes, &mut |bytes| match scheme.dialect {
                        Dialect::GoogleCrypto => google_crypto(version, bytes, emit),
                        Dialect::Ietf | Dialect::GoogleTls => tls(sender, bytes, emit),
                    });
                }
            }
        }
        // of Google's own handshake only the client's part says anything
        self.server.done |= scheme.dialect == Dialect::GoogleCrypto && self.client.done;
    }

    fn half(&mut self, sender: Sender) -> &mut Half {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    /// The payload of an Initial packet, opened by the keys of the connection, or, if it is the client's, by those that
    /// its own connection id gives: it begins a connection, or begins it anew after Retry or Version Negotiation.
    fn open<'s>(
        &mut self,
        sender: Sender,
        long: &Long<'_>,
        packet: Sealed<'_>,
        scratch: &'s mut Vec<u8>,
    ) -> Option<(Scheme, &'s [u8])> {
        if packet.cut && sender == Sender::Server {
            return None;
        }
        let own = Cid::new(long.dcid);
        let other = if sender == Sender::Server { self.retried } else { own };
        // software that keeps its ids short is wrong here (RFC 9000 §7.2), but what opens is sure
        let own_is_sure = sender == Sender::Client && !packet.cut;
        let usable = |id: &Cid| usize::from(id.length) >= MIN_FIRST_CID || (own_is_sure && *id == own);
        let ids = [self.dcid, other].into_iter().filter(usable).take(if self.dcid == other { 1 } else { 2 });
        let known = match kind(long.version) {
            Kind::Sealed(scheme) => Some(scheme),
            _ => None,
        };
        let schemes = known.as_ref().map_or(&GUESSES[..], std::slice::from_ref);
        for id in ids {
            for scheme in schemes {
                let keys = Keys::new(*scheme, id.as_bytes(), sender)?;
                if let Some(header_length) = packet.open(&keys, *scheme, scratch) {
                    if sender == Sender::Client && (id != self.dcid || long.version != self.version) {
                        (self.client, self.server) = (Half::default(), Half::default());
                    }
                    self.dcid = id;
                    return Some((*scheme, scratch.get(header_length..)?));
                }
            }
        }
        None
    }
}

/// An Initial packet as it came.
#[derive(Clone, Copy)]
struct Sealed<'a> {
    bytes: &'a [u8],
    number_at: usize,
    cut: bool,
}

impl Sealed<'_> {
    /// Opens it into `scratch`: how long its header is. One that was cut must begin a ClientHello of TLS.
    fn open(&self, keys: &Keys, scheme: Scheme, scratch: &mut Vec<u8>) -> Option<usize> {
        if !self.cut {
            return keys.open(self.bytes, self.number_at, scratch);
        }
        let header_length = keys.decipher(self.bytes, self.number_at, scratch)?;
        let first = Frames::new(scratch.get(header_length..)?, scheme.dialect, true).next();
        let Some(Frame::Crypto { offset: 0, bytes }) = first else { return None };
        let (head, body) = bytes.split_first_chunk::<4>()?;
        let begins = matches!(head, [CLIENT_HELLO, 0, ..]) && ClientHello::parse_quic(body).is_some();
        begins.then_some(header_length)
    }
}

/// What a look at the beginning of a handshake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// More bytes are wanted.
    More,
    /// So many bytes are dealt with, and more follow that are wanted.
    Took(usize),
    /// Nothing more is wanted.
    Done,
}

impl Half {
    /// Takes a piece of the handshake, and shows what has come without a hole from its beginning.
    fn take(&mut self, offset: usize, bytes: &[u8], look: &mut dyn FnMut(&[u8]) -> Look) {
        if self.done {
            return;
        }
        let mut taken = 0;
        // mostly a hello comes in one piece
        if self.pieces.is_none() && offset == 0 {
            match look(bytes) {
                Look::More => {}
                Look::Took(n) => taken = n,
                Look::Done => {
                    self.done = true;
                    return;
                }
            }
        }
        let pieces = self.pieces.get_or_insert_default();
        pieces.add(offset, bytes, MAX_HELLO);
        pieces.advance(taken);
        loop {
            match look(pieces.front()) {
                Look::More => return,
                Look::Took(n) => pieces.advance(n),
                Look::Done => break,
            }
        }
        (self.pieces, self.done) = (None, true);
    }
}

/// Looks at the first message of a TLS handshake, and reports the hello that is wanted of that sender.
fn tls(sender: Sender, bytes: &[u8], emit: &mut Emit<'_>) -> Look {
    let mut r = Reader::new(bytes);
    let (Ok(kind), Ok(length)) = (r.u8(), r.u24()) else { return Look::More };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let wanted = match sender {
        Sender::Client => CLIENT_HELLO,
        Sender::Server => SERVER_HELLO,
    };
    if kind != wanted || length > MAX_HELLO {
        return Look::Done;
    }
    let Ok(body) = r.take(length) else { return Look::More };
    if sender == Sender::Client {
        ClientHello::parse_quic(body).into_iter().for_each(|hello| emit(Fact::ClientHello(hello)));
        return Look::Done;
    }
    let Some(hello) = ServerHello::parse(body) else { return Look::Done };
    emit(Fact::ServerHello(hello));
    if hello.is_hello_retry() { Look::Took(length.saturating_add(4)) } else { Look::Done }
}

/// Looks at the first message of QUIC crypto.
fn google_crypto(version: u32, bytes: &[u8], emit: &mut Emit<'_>) -> Look {
    match gquic::Hello::read(bytes) {
        Ok(Some(hello)) => emit(Fact::Quic(hello.of(version))),
        Ok(None) => {}
        Err(_) => return Look::More,
    }
    Look::Done
}
