//! Numbers that begin again at zero: TCP's sequence numbers, and moments in few bytes.

use crate::time::Timestamp;

/// Sequence-number comparison (RFC 9293 §3.4): how far `a` is ahead of `b`.
#[inline(always)]
pub const fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// A moment in microseconds, as is enough to tell the time between two of them that are less than an hour apart.
pub(super) type Micros = u32;

#[inline(always)]
pub(super) const fn micros(ts: Timestamp) -> Micros {
    (ts.0 / 1000) as Micros
}
