//! DTLS over UDP: hellos and alerts, as far as they travel in the clear.
//!
//! RFC 6347 (DTLS 1.2) §4.1 and §4.2; RFC 9147 (DTLS 1.3) §4 and §5.
//!
//! Limits: a message in fragments of at most 16 KiB and 32 pieces, one a direction. Refused: everything encrypted, and
//! records that overrun their datagram. A HelloVerifyRequest is not reported.

use super::pieces::Pieces;
use super::tls::{Alert, CERTIFICATE, CLIENT_HELLO, Chain, ClientHello, SERVER_HELLO, ServerHello};
use super::{Direction, Fact};
use crate::wire::{Reader, Result};

/// Content types: 20 ChangeCipherSpec, 21 alert, 22 handshake, 23 data, 24 heartbeat, 25 with connection id, 26 ACK.
mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const CONNECTION_ID: u8 = 25;
    pub const ACK: u8 = 26;
}

/// Where facts go.
type Emit<'e> = dyn FnMut(Fact<'_>) + 'e;

/// The longest message put together from fragments.
const MAX_MESSAGE: usize = 16_384;

/// Whether a datagram begins with a DTLS record that could be one: type, version, sequence number, length, and, before
/// keys are agreed on, a body that suits its type.
pub fn is_dtls(datagram: &[u8]) -> bool {
    Record::read(&mut Reader::new(datagram)).is_ok_and(|record| record.is_some_and(|r| r.is_sane()))
}

/// Which handshake messages are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Hellos.
    Hellos,
    /// Certificates as well.
    Certificates,
}

/// Reports the hellos that are whole, and the alerts, of one datagram; and certificates, where they are wanted.
pub fn inspect(datagram: &[u8], wanted: Wanted, emit: &mut dyn FnMut(Fact<'_>)) {
    walk(datagram, wanted, emit, &mut |_, _| {});
}

/// Whether a datagram holds a piece of what is wanted, for which there should be a [`DtlsState`].
pub fn has_piece(datagram: &[u8], wanted: Wanted) -> bool {
    let mut found = false;
    walk(datagram, wanted, &mut |_| {}, &mut |_, _| found = true);
    found
}

/// The hellos of one DTLS association that come in fragments, per direction.
#[derive(Clone, Debug, Default)]
pub struct DtlsState {
    orig: Option<Box<Partial>>,
    resp: Option<Box<Partial>>,
}

impl DtlsState {
    /// A state that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is held: no hello has begun that is not whole.
    pub const fn is_empty(&self) -> bool {
        self.orig.is_none() && self.resp.is_none()
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        [&self.orig, &self.resp]
            .into_iter()
            .flatten()
            .map(|p| p.pieces.memory().saturating_add(size_of::<Partial>()))
            .sum()
    }

    /// As [`inspect`], and reports a message in fragments with the datagram that completes it.
    pub fn inspect(&mut self, direction: Direction, datagram: &[u8], wanted: Wanted, emit: &mut dyn FnMut(Fact<'_>)) {
        let held = match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        };
        walk(datagram, wanted, emit, &mut |fragment, emit| {
            let same = held.take().filter(|partial| partial.is_of(fragment));
            let mut partial = same.unwrap_or_else(|| Box::new(Partial::new(fragment)));
            partial.pieces.add(fragment.offset, fragment.bytes, fragment.length);
            match partial.whole() {
                Some(body) => report(partial.kind, body, emit),
                None => *held = Some(partial),
            }
        });
    }
}

/// One record in the clear or not.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    sequence_high: u16,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The next record; `None`: these bytes begin no DTLS record with a version.
    fn read(r: &mut Reader<'a>) -> Result<Option<Self>> {
        let kind = r.u8()?;
        let version = r.u16()?;
        let epoch = r.u16()?;
        let sequence_high = r.u16()?;
        r.skip(4)?;
        let known = (content::CHANGE_CIPHER_SPEC..=content::ACK).contains(&kind)
            && matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100);
        // A connection id of unknown length stands before the length then, and all of it is encrypted.
        if !known || kind == content::CONNECTION_ID {
            let record = Record { kind, epoch, sequence_high, body: r.rest() };
            r.take_up_to(usize::MAX);
            return Ok(known.then_some(record));
        }
        let body = r.vec16()?.rest();
        Ok(Some(Record { kind, epoch, sequence_high, body }))
    }

    fn is_sane(&self) -> bool {
        // No association lives to send 2^32 records under one key.
        if self.sequence_high != 0 {
            return false;
        }
        let n = self.body.len();
        match self.kind {
            content::CONNECTION_ID => self.epoch > 0 && n > 2,
            _ if self.epoch > 0 => n > 8,
            // OpenSSL before DTLS 1.0 wrote two more bytes.
            content::CHANGE_CIPHER_SPEC => n == 1 || n == 3,
            content::ALERT => n == 2 || n == 7,
            content::HANDSHAKE => Fragment::read(&mut Reader::new(self.body)).is_ok_and(|f| f.is_some()),
            _ => false,
        }
    }
}

/// One fragment of a handshake message (RFC 6347 §4.2.2).
#[derive(Clone, Copy)]
struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The next fragment; `None`: it overruns its message.
    fn read(r: &mut Reader<'a>) -> Result<Option<Self>> {
        let kind = r.u8()?;
        let length = r.u24()?;
        let sequence = r.u16()?;
        let offset = r.u24()?;
        let n = r.u24()?;
        if offset.saturating_add(n) > length {
            return Ok(None);
        }
        let [length, offset, n] = [length, offset, n].map(|v| usize::try_from(v).unwrap_or(usize::MAX));
        Ok(Some(Fragment { kind, length, sequence, offset, bytes: r.take(n)? }))
    }

    fn is(&self, wanted: Wanted) -> bool {
        match self.kind {
            CLIENT_HELLO | SERVER_HELLO => true,
            CERTIFICATE => wanted == Wanted::Certificates,
            _ => false,
        }
    }
}

/// Goes over the records of a datagram up to the first that is none, and hands on the pieces of what is wanted.
fn walk(datagram: &[u8], wanted: Wanted, emit: &mut Emit<'_>, piece: &mut dyn FnMut(Fragment<'_>, &mut Emit<'_>)) {
    let mut r = Reader::new(datagram);
    while let Ok(Some(record)) = Record::read(&mut r) {
        if record.epoch != 0 {
            continue;
        }
        match record.kind {
            content::ALERT => {
                if let Some(alert) = Alert::parse(record.body) {
                    emit(Fact::Alert(alert));
                }
            }
            content::HANDSHAKE => {
                let mut body = Reader::new(record.body);
                while let Ok(Some(fragment)) = Fragment::read(&mut body) {
                    if !fragment.is(wanted) {
                        continue;
                    }
                    if fragment.bytes.len() == fragment.length {
                        report(fragment.kind, fragment.bytes, emit);
                    } else if fragment.length <= MAX_MESSAGE {
                        piece(fragment, emit);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Reports the hello, or the certificates, that `body` is.
fn report(kind: u8, body: &[u8], emit: &mut dyn FnMut(Fact<'_>)) {
    if kind == CLIENT_HELLO {
        if let Some(hello) = ClientHello::parse_dtls(body) {
            emit(Fact::ClientHello(hello));
        }
    } else if kind == CERTIFICATE {
        Chain::parse(body).into_iter().for_each(|chain| emit(Fact::Certificates(chain)));
    } else if let Some(hello) = ServerHello::parse(body) {
        emit(Fact::ServerHello(hello));
    }
}

/// A hello of which some fragments have come.
#[derive(Clone, Debug)]
struct Partial {
    kind: u8,
    sequence: u16,
    length: usize,
    pieces: Pieces,
}

impl Partial {
    fn new(fragment: Fragment<'_>) -> Self {
        let Fragment { kind, sequence, length, .. } = fragment;
        Partial { kind, sequence, length, pieces: Pieces::default() }
    }

    /// Whether a fragment belongs to this message.
    fn is_of(&self, fragment: Fragment<'_>) -> bool {
        self.kind == fragment.kind && self.sequence == fragment.sequence && self.length == fragment.length
    }

    /// The whole message, once it is.
    fn whole(&self) -> Option<&[u8]> {
        Some(self.pieces.front()).filter(|body| body.len() == self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A DTLS ClientHello without extensions.
    fn body() -> Vec<u8> {
        [&[0xfe, 0xfd][..], &[7; 32], &[0, 2, 5, 5, 0, 2, 0xc0, 0x2b, 1, 0]].concat()
    }

    fn datagram(offset: u8, piece: &[u8]) -> Vec<u8> {
        let (n, total) = (u8::try_from(piece.len()).unwrap(), u8::try_from(body().len()).unwrap());
        let head = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, n + 12, 1, 0, 0, total, 0, 0, 0, 0, offset, 0, 0, n];
        [&head[..], piece].concat()
    }

    fn hellos(state: &mut DtlsState, datagram: &[u8]) -> usize {
        let mut count = 0;
        state.inspect(Direction::Orig, datagram, Wanted::Hellos, &mut |fact| {
            count += usize::from(matches!(fact, Fact::ClientHello(h) if h.cookie == [5, 5]));
        });
        count
    }

    #[test]
    fn a_whole_hello_and_one_in_pieces_out_of_order() {
        let body = body();
        assert!(
            is_dtls(&datagram(0, &body))
                && !has_piece(&datagram(0, &body), Wanted::Hellos)
                && has_piece(&datagram(0, &body[..9]), Wanted::Hellos)
        );
        assert_eq!(hellos(&mut DtlsState::new(), &datagram(0, &body)), 1);
        let mut state = DtlsState::new();
        assert_eq!(hellos(&mut state, &datagram(20, &body[20..])), 0);
        assert_eq!(hellos(&mut state, &datagram(5, &body[5..22])), 0);
        assert!(!state.is_empty() && state.memory() >= body.len());
        assert_eq!(hellos(&mut state, &datagram(0, &body[..5])), 1);
        assert!(state.is_empty());
    }

    #[test]
    fn an_alert_is_seen_and_others_are_refused() {
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 3, 0, 2, 2, 40];
        let mut seen = None;
        inspect(&alert, Wanted::Hellos, &mut |fact| {
            seen = matches!(fact, Fact::Alert(a) if a.description == 40).then_some(())
        });
        assert!(seen.is_some() && is_dtls(&alert));
        assert!(!is_dtls(&alert[..14]) && !is_dtls(b"") && !is_dtls(&[0; 40]));
    }

    #[test]
    fn certificates_are_told_where_they_are_wanted() {
        let body = [0, 0, 5, 0, 0, 2, 7, 8];
        let mut bytes = datagram(0, &body);
        (bytes[13], bytes[16]) = (CERTIFICATE, 8);
        for (wanted, count) in [(Wanted::Hellos, 0), (Wanted::Certificates, 1)] {
            let mut lengths = Vec::new();
            inspect(&bytes, wanted, &mut |fact| {
                if let Fact::Certificates(chain) = fact {
                    lengths.extend(chain.map(<[u8]>::len));
                }
            });
            assert_eq!(lengths, vec![2; count]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes: Vec<u8>, head: bool, at in 0_usize..60, value: u8) {
            if head {
                bytes.splice(0..0, datagram(0, &body()));
                bytes[at] = value;
            }
            is_dtls(&bytes);
            hellos(&mut DtlsState::new(), &bytes);
        }
    }
}
