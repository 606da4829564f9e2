//! How a TCP connection stood, in Zeek's words: `conn_state` and `history`.
//!
//! The letters and states are Zeek's (its `conn.log`); upper case is the originator. Sides are numbered 0 (who sent
//! the first packet seen) and 1 here; which of them is the originator may be learnt later, so case is given at
//! the end.

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

/// The letters of a history in the order in which they were first seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    letters: [u8; 23],
    len: u8,
    /// A bit for each letter and side that is there.
    seen: u64,
}

impl History {
    /// Notes that side 1 (`second`) or 0 did what `letter` (lower case) stands for; only the first time counts.
    #[inline(always)]
    pub fn note(&mut self, second: bool, letter: u8) {
        let bit = 1u64 << (u32::from(letter & 31) | u32::from(second) << 5);
        if self.seen & bit == 0 {
            self.seen |= bit;
            self.push(if second { letter } else { letter.to_ascii_uppercase() });
        }
    }

    #[cold]
    fn push(&mut self, letter: u8) {
        if let Some(slot) = self.letters.get_mut(usize::from(self.len)) {
            *slot = letter;
            self.len = self.len.wrapping_add(1);
        }
    }

    /// The history in text. `flipped`: side 1 is the originator; `guessed`: not by its SYN, which Zeek marks with `^`.
    pub fn text(&self, flipped: bool, guessed: bool) -> String {
        let mark = guessed.then_some('^');
        let letters = self.letters.iter().take(usize::from(self.len)).map(|&letter| {
            let letter = char::from(letter);
            match (flipped, letter.is_ascii_uppercase()) {
                (false, _) => letter,
                (true, true) => letter.to_ascii_lowercase(),
                (true, false) => letter.to_ascii_uppercase(),
            }
        });
        mark.into_iter().chain(letters).collect()
    }
}

#[cfg(test)]
mod tests {
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
        let mut history = History::default();
        for (second, letter) in [(false, b's'), (true, b'h'), (false, b'a'), (false, b'a'), (true, b'd')] {
            history.note(second, letter);
        }
        assert_eq!(history.text(false, false), "ShAd");
        assert_eq!(history.text(true, true), "^sHaD");
        for letter in b'a'..=b'z' {
            history.note(true, letter);
        }
        assert_eq!(history.text(false, false).len(), 23);
    }
}
