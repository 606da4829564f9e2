//! Hellos that lie whole in the bytes at hand: the usual case, read without a walk over records.
//!
//! What is taken here the walk ([`super::TlsStream`]) takes too, with the same result; all else is left to it.

use super::{CLIENT_HELLO, ClientHello, SERVER_HELLO, ServerHello};
use crate::wire::Reader;

/// The body of the first message, if it is of that kind and whole in the first record, and the reader behind the
/// record.
#[inline]
fn first_message(bytes: &[u8], wanted: u8) -> Option<(&[u8], Reader<'_>, Reader<'_>)> {
    let mut r = Reader::new(bytes);
    let &[22, 3, 0..=4, high, low, kind, 0, mid, end] = r.peek::<9>().ok()? else { return None };
    if kind != wanted {
        return None;
    }
    r.skip(5).ok()?;
    let mut record = r.sub(usize::from(u16::from_be_bytes([high, low]))).ok()?;
    record.skip(4).ok()?;
    let body = record.take(usize::from(u16::from_be_bytes([mid, end]))).ok()?;
    Some((body, record, r))
}

/// The ClientHello that `bytes` are, record and all; none that announces early data.
pub fn client_hello(bytes: &[u8]) -> Option<ClientHello<'_>> {
    let (body, rest_of_record, rest) = first_message(bytes, CLIENT_HELLO)?;
    if !rest_of_record.is_empty() || !rest.is_empty() {
        return None;
    }
    ClientHello::parse(body).filter(|hello| !hello.has_early_data())
}

/// The ServerHello that `bytes` begin with, if it is the last thing in the clear: one of TLS 1.3.
pub fn last_server_hello(bytes: &[u8]) -> Option<ServerHello<'_>> {
    let (body, ..) = first_message(bytes, SERVER_HELLO)?;
    ServerHello::parse(body).filter(|hello| hello.is_tls13() && !hello.is_hello_retry())
}
