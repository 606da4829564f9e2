//! Packet time: the only clock the engine knows.

/// Nanoseconds since the Unix epoch, as the capture's own clock had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// One second, in the unit of [`Timestamp`] and of every interval in the engine.
pub const SECOND: u64 = 1_000_000_000;
/// One millisecond in nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;

impl Timestamp {
    /// From whole seconds and a fraction in nanoseconds; a value out of range saturates.
    pub const fn from_parts(seconds: u64, nanos: u64) -> Self {
        Timestamp(seconds.saturating_mul(SECOND).saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to here; zero where the capture's clock went back.
    pub const fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Nanoseconds from `other` to this moment, negative where it comes first; saturates.
    pub fn ahead_of(self, other: Timestamp) -> i64 {
        let nanos = i128::from(self.0).saturating_sub(i128::from(other.0));
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// This moment moved on by `nanos`; saturates at the end of the range.
    pub const fn after(self, nanos: u64) -> Self {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// This moment less so many nanoseconds; saturates.
    pub const fn before(self, nanos: u64) -> Self {
        Timestamp(self.0.saturating_sub(nanos))
    }
}

/// Nanoseconds as seconds, the unit of every outside number.
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND as f64
}

/// Signed nanoseconds as seconds.
pub fn signed_seconds(nanos: i64) -> f64 {
    nanos as f64 / SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_ahead_by_its_sign() {
        assert_eq!(Timestamp(7).ahead_of(Timestamp(9)), -2);
        assert_eq!(Timestamp(u64::MAX).ahead_of(Timestamp(0)), i64::MAX);
        assert_eq!(Timestamp(0).ahead_of(Timestamp(u64::MAX)), i64::MIN);
    }
}
