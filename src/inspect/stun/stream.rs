//! STUN over TCP (RFC 8489 §6.2.2): messages back to back, among them TURN's ChannelData (RFC 8656 §12.5), padded to
//! whole words. ICE's two-byte lengths before each (RFC 4571, RFC 6544) are read where a first message has one; what
//! they frame that is not STUN is told as it is, as is what ChannelData carries.
//!
//! A message too long to be held whole is told with its first [`MAX_HELD`] bytes. After a hole a direction goes on
//! if a message with magic cookie begins right behind it, and is given up otherwise.

use super::{COOKIE, Carried, HEADER_LEN, Message, padding};
use crate::inspect::{Direction, Fact, MAX_HELD, Next, Probe, Progress, StreamInspector};
use crate::wire::{Reader, Result, Truncated};

/// The inspector of a stream of STUN messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct StunStream {
    orig: Lane,
    resp: Lane,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// A message was told, or passed over, and the next begins where it ended.
    framed: bool,
    /// Bytes were missing before.
    lost: bool,
    /// Each message has a two-byte length before it.
    prefixed: bool,
}

/// What stands at the front of the bytes.
enum Unit<'a> {
    /// A message, and its length on the wire.
    Stun(Message<'a>, usize),
    /// ChannelData, of that length.
    Channel(usize),
    /// A datagram framed, of that length.
    Framed(usize),
}

/// The longest datagram that is waited for, to be told whole.
const MAX_DATAGRAM: usize = 2048;

impl<'a> Unit<'a> {
    /// What is told of it, given its bytes.
    fn told(self, bytes: &'a [u8]) -> Fact<'a> {
        match self {
            Unit::Stun(message, _) => Fact::Stun(message),
            Unit::Channel(_) => Fact::Carried(Carried::by_channel(bytes)),
            Unit::Framed(_) => Fact::Carried(Carried { channel: false, datagram: bytes }),
        }
    }
}

impl StunStream {
    /// An inspector at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        }
    }
}

impl Lane {
    /// The unit at the front: `Err` with more bytes wanted, `None` where it is nothing of STUN's.
    fn unit<'a>(&mut self, mut reader: Reader<'a>) -> Result<Option<Unit<'a>>> {
        if !self.framed {
            self.prefixed = is_prefixed(reader)?;
        }
        let prefix = if self.prefixed { reader.u16()? } else { 0 };
        let (kind, len) = {
            let mut head = reader;
            (head.u16()?, usize::from(head.u16()?))
        };
        let size = match kind >> 14 {
            0 => len.saturating_add(HEADER_LEN),
            1 if self.prefixed => len.saturating_add(4),
            1 => len.saturating_add(4).saturating_add(padding(len)),
            _ if self.prefixed => usize::from(prefix),
            _ => return Ok(None),
        };
        if kind >> 14 != 0 {
            // what is not STUN cannot stand first: its bytes would prove nothing
            let unit = if kind >> 14 == 1 { Unit::Channel(size) } else { Unit::Framed(size) };
            return Ok(self.framed.then_some(unit));
        }
        if reader.left() < HEADER_LEN {
            return Err(Truncated);
        }
        match Message::read(reader.rest()) {
            Ok(message) if !message.classic && message.is_aligned() => Ok(Some(Unit::Stun(message, size))),
            _ if self.prefixed && self.framed => Ok(Some(Unit::Framed(usize::from(prefix)))),
            _ => Ok(None),
        }
    }
}

/// Whether a message with its two-byte length before it begins here.
fn is_prefixed(mut reader: Reader<'_>) -> Result<bool> {
    let prefix = usize::from(reader.u16()?);
    let _kind = reader.u16()?;
    let len = usize::from(reader.u16()?);
    Ok(reader.u32()? == COOKIE && prefix == len.saturating_add(HEADER_LEN))
}

impl StreamInspector for StunStream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], emit: &mut dyn FnMut(Direction, Fact<'_>)) -> Progress {
        let lane = self.lane(direction);
        let mut reader = Reader::new(bytes);
        let progress = |reader: Reader<'_>, skip: usize, next| Progress {
            consumed: bytes.len().saturating_sub(reader.left()),
            skip: u64::try_from(skip).unwrap_or(0),
            next,
        };
        loop {
            let unit = match lane.unit(reader) {
                Err(Truncated) => return progress(reader, 0, Next::More),
                Ok(None) if lane.framed || lane.lost => return progress(reader, 0, Next::Done),
                Ok(None) => return progress(reader, 0, Next::Reject),
                Ok(Some(unit)) => unit,
            };
            let prefix = if lane.prefixed { 2 } else { 0 };
            let (size, longest) = match unit {
                Unit::Stun(_, size) => (size.saturating_add(prefix), MAX_HELD),
                Unit::Channel(size) | Unit::Framed(size) => (size.saturating_add(prefix), MAX_DATAGRAM),
            };
            if reader.left() < size && reader.left() < longest {
                return progress(reader, 0, Next::More);
            }
            lane.framed = true;
            let taken = reader.take_up_to(size);
            let inside = taken.get(prefix..).unwrap_or_default();
            emit(direction, unit.told(inside));
            if taken.len() < size {
                return progress(reader, size.saturating_sub(taken.len()), Next::More);
            }
        }
    }

    fn gap(&mut self, direction: Direction) -> bool {
        *self.lane(direction) = Lane { lost: true, ..Lane::default() };
        true
    }
}

/// A first look at one direction of a stream: a STUN header with magic cookie, with or without a length before it.
pub fn probe_tcp(bytes: &[u8]) -> Probe {
    let reader = Reader::new(bytes);
    if is_prefixed(reader) == Ok(true) {
        return Probe::Match;
    }
    let mut head = reader;
    match (head.u16(), head.u16(), head.u32()) {
        (Ok(kind), Ok(len), Ok(COOKIE)) if kind & 0xc000 == 0 && len & 3 == 0 => Probe::Match,
        (_, _, Ok(_)) if reader.left() >= 10 => Probe::Reject,
        (Ok(kind), ..) if kind & 0xc000 != 0 => Probe::Reject,
        _ => Probe::Unsure,
    }
}
