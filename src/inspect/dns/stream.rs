//! DNS over TCP: messages behind two-byte lengths (RFC 1035 §4.2.2, RFC 7766 §8), several to a stream.
//!
//! A direction whose first message (the first after a hole, too) cannot be one is given up. A message too
//! long to be held whole is told with its first [`MAX_HELD`] bytes.

use super::{HEADER_LEN, header_is_sane, is_credible, is_plausible, parse};
use crate::inspect::{Direction, Fact, MAX_HELD, Next, Probe, Progress, StreamInspector};
use crate::wire::Reader;

/// The inspector of a stream of DNS messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct DnsStream {
    orig: Trust,
    resp: Trust,
}

/// What is known of where messages begin in a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// The first byte is a message's; its header is still to be seen.
    #[default]
    Start,
    /// A hole was before these bytes.
    Lost,
    /// A message ended where the next begins.
    Framed,
}

impl DnsStream {
    /// An inspector at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    fn trust(&mut self, direction: Direction) -> &mut Trust {
        match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        }
    }
}

impl StreamInspector for DnsStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let trust = self.trust(direction);
        let mut reader = Reader::new(bytes);
        let progress = |reader: Reader<'_>, skip, next| Progress {
            consumed: bytes.len().saturating_sub(reader.left()),
            skip,
            next,
        };
        loop {
            let mut ahead = reader;
            let Ok(len) = ahead.u16().map(usize::from) else { return progress(reader, 0, Next::More) };
            let whole = len.saturating_add(2) <= MAX_HELD;
            if len >= HEADER_LEN && ahead.left() < len && (whole || reader.left() < MAX_HELD) {
                return progress(reader, 0, Next::More);
            }
            let body = ahead.take_up_to(len);
            let message = match parse(body) {
                Ok(message) if len >= HEADER_LEN => message,
                _ => return progress(reader, 0, given_up(*trust)),
            };
            let believed = match trust {
                Trust::Start => is_credible(body, body.len() < len),
                Trust::Lost => is_plausible(body),
                Trust::Framed => true,
            };
            if !believed {
                return progress(reader, 0, given_up(*trust));
            }
            *trust = Trust::Framed;
            emit(direction, Fact::Dns(message));
            reader = ahead;
            let missing = len.saturating_sub(body.len());
            if missing > 0 {
                return progress(reader, u64::try_from(missing).unwrap_or(0), Next::More);
            }
        }
    }

    fn gap(&mut self, direction: Direction) -> bool {
        *self.trust(direction) = Trust::Lost;
        true
    }
}

/// What to want of a direction that shows no message.
fn given_up(trust: Trust) -> Next {
    if trust == Trust::Start { Next::Reject } else { Next::Done }
}

/// A first look at one direction of a stream that a port calls DNS: a length that can be, and a sane header.
pub fn probe_tcp(bytes: &[u8]) -> Probe {
    let mut reader = Reader::new(bytes);
    match reader.u16() {
        Err(_) => return Probe::Unsure,
        Ok(len) if usize::from(len) < HEADER_LEN => return Probe::Reject,
        Ok(_) => {}
    }
    match parse(reader.rest()) {
        Err(_) => Probe::Unsure,
        Ok(message) if header_is_sane(&message) => Probe::Match,
        Ok(_) => Probe::Reject,
    }
}
