//! NetBIOS names (RFC 1001, RFC 1002 §4.2): what Windows asks for names where nobody speaks DNS, on UDP 137.
//!
//! The message is that of DNS with opcodes of its own and names of one encoded label. It is recognised, by header,
//! first name and type, and not read further. Refused: opcodes, counts and types of other protocols, names in other
//! code.

use super::{HEADER_LEN, Message, parse};
use crate::wire::Reader;

/// The length of a name's first label: sixteen bytes, each two letters.
const ENCODED_LEN: u8 = 32;

/// Whether a datagram is a message of NetBIOS's name service.
pub fn is_netbios(datagram: &[u8]) -> bool {
    parse(datagram).is_ok_and(|message| header_fits(&message) && first_name_fits(datagram))
}

/// Queries, registrations, releases, waits and refreshes, about one name (RFC 1002 §4.2.1.1); a response to a query
/// repeats no question.
fn header_fits(message: &Message<'_>) -> bool {
    let [questions, answers, authority, additional] = message.counts;
    let about_one = questions <= 1 && answers <= 1 && questions.saturating_add(answers) > 0;
    matches!(message.opcode(), 0 | 5..=9 | 15) && about_one && authority <= 1 && additional <= 1
}

/// The first name, of a question or a record: one label of letters from A to P (RFC 1001 §14.1), perhaps with a scope
/// behind it, then the type, which is a name's or its state's, or none, and the class, the Internet's.
fn first_name_fits(datagram: &[u8]) -> bool {
    let mut r = Reader::new(datagram);
    let whole = r.skip(HEADER_LEN).is_ok()
        && r.u8() == Ok(ENCODED_LEN)
        && r.take(usize::from(ENCODED_LEN)).is_ok_and(|name| name.iter().all(|b| matches!(b, b'A'..=b'P')))
        && super::name::skip(&mut r).is_ok();
    whole && matches!(r.u16(), Ok(0x0a | 0x20 | 0x21)) && r.u16() == Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with these flags and counts about `*`.
    fn message(flags: [u8; 2], counts: [u8; 4], kind: u8) -> Vec<u8> {
        let counts = counts.map(|n| [0, n]).concat();
        [&[0x12, 0x34][..], &flags, &counts, b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0", &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn queries_registrations_and_answers() {
        assert!(is_netbios(&message([0x01, 0x10], [1, 0, 0, 0], 0x20)));
        assert!(is_netbios(&message([0x29, 0x10], [1, 0, 0, 1], 0x20)), "a registration");
        assert!(is_netbios(&message([0x84, 0x00], [0, 1, 0, 0], 0x21)), "a state");
    }

    #[test]
    fn what_is_something_else() {
        let good = message([0x01, 0x10], [1, 0, 0, 0], 0x20);
        assert!((0..good.len()).all(|n| !is_netbios(&good[..n])));
        assert!(!is_netbios(&message([0x01, 0x10], [1, 0, 0, 0], 1)), "an address is DNS's");
        assert!(!is_netbios(&message([0x01, 0x10], [2, 0, 0, 0], 0x20)));
        let mut plain = good;
        plain[13] = b'Q';
        assert!(!is_netbios(&plain));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            is_netbios(&bytes);
        }
    }
}
