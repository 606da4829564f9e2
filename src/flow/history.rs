//! How a TCP connection stood, in Zeek's words: `conn_state` and `history`.
//!
//! The letters and states are Zeek's (its `conn.log`); upper case is the originator. Sides are numbered 0 (who sent
//! the first packet seen) and 1 here; which of them is the originator may be learnt later, so case is given at
//! the end.

use crate::decode::{Packet, tcp_flag};
use crate::short::Short;

/// What one side of a connection has been seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Nothing.
    #[default]
    Inactive,
    /// SYN.
    SynSent,
    /// SYN and ACK, with no SYN from the other before.
    SynAckSent,
    /// Something, in the middle of a connection.
    Partial,
    /// It took part in a handshake.
    Established,
    /// FIN.
    Closed,
    /// RST.
    Reset,
}

impl Side {
    const fn unseen(self) -> bool {
        matches!(self, Side::Inactive | Side::Partial)
    }
}

/// The state of a connection from what each side did, and whether either sent payload.
pub const fn conn_state(orig: Side, resp: Side, any_payload: bool) -> &'static str {
    match (orig, resp) {
        (Side::SynSent | Side::SynAckSent, Side::Reset) => "REJ",
        (Side::Reset, Side::Reset) if !any_payload => "REJ",
        (o, Side::Reset) => {
            if o.unseen() {
                "RSTRH"
            } else {
                "RSTR"
            }
        }
        (Side::Reset, r) => {
            if r.unseen() {
                "RSTOS0"
            } else {
                "RSTO"
            }
        }
        (Side::Closed, Side::Closed) => "SF",
        (Side::Closed, r) => {
            if r.unseen() {
                "SH"
            } else {
                "S2"
            }
        }
        (o, Side::Closed) => {
            if o.unseen() {
                "SHR"
            } else {
                "S3"
            }
        }
        (Side::SynSent, Side::Inactive) => "S0",
        (Side::Established, Side::Established) => "S1",
        _ => "OTH",
    }
}

/// The letters there are, in lower case; a history knows them by their places here.
const LETTERS: [u8; 16] = *b"shadfrtgwiqcx???";
/// Bits that one entry takes: its letter's place, and whose it is.
const ENTRY: usize = 5;
/// Entries in one word.
const PER_WORD: usize = 6;
/// Words of a history's own: few connections do more than twelve different things.
const OWN: usize = 2;

/// The entries of one connection that its history has no room for.
pub type Beyond = [u32; 3];

/// The letters of a history in the order in which they were first seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// The first entries, one behind the other.
    order: [u32; OWN],
    /// A bit for each letter and side that is there.
    seen: u32,
}

/// A letter's place in [`LETTERS`].
#[inline(always)]
const fn place(letter: u8) -> u32 {
    match letter {
        b's' => 0,
        b'h' => 1,
        b'a' => 2,
        b'd' => 3,
        b'f' => 4,
        b'r' => 5,
        b't' => 6,
        b'g' => 7,
        b'w' => 8,
        b'i' => 9,
        b'q' => 10,
        b'c' => 11,
        _ => 12,
    }
}

/// The letters, in lower case, of what a segment does: of its flags, and of its payload.
#[inline(always)]
pub const fn letters(packet: &Packet) -> [Option<u8>; 2] {
    let flags = packet.tcp_flags;
    let of_flags = if flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0 {
        Some(control(flags))
    } else if packet.payload_len == 0 && flags & tcp_flag::ACK != 0 {
        Some(b'a')
    } else {
        None
    };
    [of_flags, if packet.payload_len > 0 { Some(b'd') } else { None }]
}

const fn control(flags: u8) -> u8 {
    let (syn, fin, rst) = (flags & tcp_flag::SYN != 0, flags & tcp_flag::FIN != 0, flags & tcp_flag::RST != 0);
    match (syn, rst, fin) {
        (true, true, _) => b'i',
        (true, false, true) => b'q',
        (true, false, false) if flags & tcp_flag::ACK != 0 => b'h',
        (true, false, false) => b's',
        (false, true, _) => b'r',
        (false, false, _) => b'f',
    }
}

impl History {
    /// Whether side 1 (`second`) or 0 did what `letter` (lower case) stands for.
    #[inline(always)]
    pub const fn has(&self, second: bool, letter: u8) -> bool {
        self.seen >> (place(letter) | (second as u32) << 4) & 1 != 0
    }

    /// Notes that side 1 (`second`) or 0 did, for the first time, what `letter` (lower case) stands for. `beyond` is
    /// where entries stand that there is no room for.
    pub fn add<'b>(&mut self, second: bool, letter: u8, beyond: impl FnOnce() -> &'b mut Beyond) {
        let entry = place(letter) | u32::from(second) << 4;
        let at = self.seen.count_ones() as usize;
        self.seen |= 1 << entry;
        let word = match at / PER_WORD {
            own @ ..OWN => self.order.get_mut(own),
            other => beyond().get_mut(other.wrapping_sub(OWN)),
        };
        word.into_iter().for_each(|word| *word |= entry << (at % PER_WORD).wrapping_mul(ENTRY));
    }

    /// Each letter, and whether it is side 1's.
    fn entries<'h>(&'h self, beyond: &'h Beyond) -> impl Iterator<Item = (u8, bool)> + 'h {
        let words = self.order.iter().chain(beyond);
        let all = words.flat_map(|word| (0..PER_WORD).map(move |n| word >> n.wrapping_mul(ENTRY)));
        all.take(self.seen.count_ones() as usize).map(|entry| {
            let letter = LETTERS.get(entry as usize & 15).copied().unwrap_or(b'?');
            (letter, entry >> 4 & 1 == 1)
        })
    }

    /// The history in text. `flipped`: side 1 is the originator; `guessed`: not by its SYN, which Zeek marks with `^`.
    pub fn text(&self, beyond: &Beyond, flipped: bool, guessed: bool) -> Short {
        let mut text = Short::default();
        if guessed {
            text.push(b"^");
        }
        for (letter, second) in self.entries(beyond) {
            text.push(&[if second == flipped { letter.to_ascii_uppercase() } else { letter }]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::Log;
    use super::*;

    #[test]
    fn states_are_zeeks() {
        use Side::*;
        let table = [
            (SynSent, Inactive, "S0"),
            (Established, Established, "S1"),
            (Closed, Closed, "SF"),
            (SynSent, Reset, "REJ"),
            (Closed, Established, "S2"),
            (Established, Closed, "S3"),
            (Reset, Established, "RSTO"),
            (Established, Reset, "RSTR"),
            (Reset, Inactive, "RSTOS0"),
            (Inactive, Reset, "RSTRH"),
            (Closed, Inactive, "SH"),
            (Inactive, Closed, "SHR"),
            (Partial, Partial, "OTH"),
        ];
        for (orig, resp, state) in table {
            assert_eq!(conn_state(orig, resp, true), state, "{orig:?} {resp:?}");
        }
    }

    #[test]
    fn letters_come_once_and_change_case_with_the_originator() {
        let mut log = Log::default();
        for (second, letter) in [(false, b's'), (true, b'h'), (false, b'a'), (false, b'a'), (true, b'd')] {
            log.note(second, letter);
        }
        assert_eq!(log.letters(false, false), "ShAd");
        assert_eq!(log.letters(true, true), "^sHaD");
        for letter in LETTERS {
            log.note(true, letter);
        }
        assert_eq!(log.letters(false, false), "ShAdsafrtgwiqcx", "each of the other side's letters once");
        for letter in LETTERS {
            log.note(false, letter);
        }
        assert_eq!(log.letters(false, false), "ShAdsafrtgwiqcxHDFRTGWIQCX", "more than a history has room for");
    }
}
