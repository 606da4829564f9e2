//! The one cursor that reads wire bytes.
//!
//! Every decoder and inspector takes its fields through [`Reader`]; nothing else indexes packet bytes. A read
//! past the end is a value ([`Truncated`]), never a panic, and a nested length gets bounds of its own by
//! [`Reader::sub`].

use thiserror::Error;

/// A read wanted more bytes than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cut short")]
pub struct Truncated;

/// What a read through a [`Reader`] gives.
pub type Result<T> = std::result::Result<T, Truncated>;

/// A cursor over borrowed wire bytes, in network byte order.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    #[inline(always)]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    #[inline(always)]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left, without moving.
    #[inline(always)]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    #[inline(always)]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `n` bytes, or as many as there are.
    #[inline(always)]
    pub fn take_up_to(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at_checked(n).unwrap_or((self.rest, &[]));
        self.rest = tail;
        head
    }

    /// The next `N` bytes as an array.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array, without moving.
    #[inline(always)]
    pub fn peek<const N: usize>(&self) -> Result<&'a [u8; N]> {
        self.rest.first_chunk::<N>().ok_or(Truncated)
    }

    /// Passes over `n` bytes.
    #[inline(always)]
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(drop)
    }

    /// A cursor of its own over the next `n` bytes.
    #[inline(always)]
    pub fn sub(&mut self, n: usize) -> Result<Reader<'a>> {
        self.take(n).map(Reader::new)
    }

    /// The next byte.
    #[inline(always)]
    pub fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|&[b]| b)
    }

    /// The next two bytes, big-endian.
    #[inline(always)]
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(|b| u16::from_be_bytes(*b))
    }

    /// The next three bytes, big-endian.
    #[inline(always)]
    pub fn u24(&mut self) -> Result<u32> {
        self.array::<3>().map(|&[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes, big-endian.
    #[inline(always)]
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(|b| u32::from_be_bytes(*b))
    }

    /// The next eight bytes, big-endian.
    #[inline(always)]
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(|b| u64::from_be_bytes(*b))
    }

    /// The bytes behind a one-byte length.
    #[inline(always)]
    pub fn vec8(&mut self) -> Result<Reader<'a>> {
        let n = self.u8()?;
        self.sub(usize::from(n))
    }

    /// The bytes behind a two-byte length.
    #[inline(always)]
    pub fn vec16(&mut self) -> Result<Reader<'a>> {
        let n = self.u16()?;
        self.sub(usize::from(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_stops_at_the_end() {
        let mut r = Reader::new(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(r.u8(), Ok(1));
        assert_eq!(r.u16(), Ok(0x0203));
        assert_eq!(r.peek::<2>(), Ok(&[4, 5]));
        assert_eq!(r.u24(), Ok(0x040506));
        assert_eq!(r.u16(), Err(Truncated));
        assert_eq!(r.left(), 1, "a failed read does not move");
        assert_eq!(r.take_up_to(9), &[7]);
        assert!(r.is_empty());
    }

    #[test]
    fn nested_lengths_have_their_own_bounds() {
        let mut r = Reader::new(&[2, 9, 9, 0, 1, 8, 5]);
        let mut inner = r.vec8().unwrap();
        assert_eq!(inner.u24(), Err(Truncated));
        assert_eq!(r.vec16().unwrap().rest(), &[8]);
        assert!(r.vec8().is_err());
    }
}
