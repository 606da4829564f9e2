//! The Certificate message of TLS up to 1.2, DTLS and SSL 3.0: the server's own first, then those that vouch for it.
//!
//! RFC 5246 §7.4.2. In TLS 1.3 it is encrypted.

use crate::wire::Reader;

/// Certificates in DER, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    list: Reader<'a>,
}

impl<'a> Chain<'a> {
    /// Reads the body of a Certificate message. `None`: it is not one.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(body);
        let n = usize::try_from(r.u24().ok()?).ok()?;
        Some(Chain { list: r.sub(n).ok()? })
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.list.u24().ok()?).ok()?;
        self.list.take(n).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_in_order_up_to_the_first_that_is_cut() {
        let body = [0, 0, 12, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 9, 1];
        let chain = Chain::parse(&body).unwrap();
        assert_eq!(chain.collect::<Vec<_>>(), [&[7, 8][..], &[]]);
        assert!(Chain::parse(&body[..14]).is_none() && Chain::parse(&[0, 0]).is_none());
        assert_eq!(Chain::parse(&[0, 0, 0]).unwrap().count(), 0);
    }
}
