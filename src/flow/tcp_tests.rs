//! TCP, segment by segment.

use super::*;
use crate::flow::trouble::Trouble;
use crate::time::{MILLISECOND, SECOND};
use tcp_flag::{ACK, FIN, RST, SYN};

const MSS: [u8; 8] = [2, 4, 5, 0xb4, 1, 3, 3, 7];

#[derive(Default)]
struct Wire(Tcp, u64);

impl Wire {
    fn send(&mut self, second: bool, flags: u8, seq: u32, ack: u32, len: u32) -> &mut Self {
        self.1 += 10 * crate::time::MILLISECOND;
        self.send_at(self.1, second, flags, seq, ack, len)
    }
    fn send_at(&mut self, ts: u64, second: bool, tcp_flags: u8, seq: u32, ack: u32, payload_len: u32) -> &mut Self {
        let packet = Packet { ts: Timestamp(ts), tcp_flags, seq, ack, payload_len, window: 1000, ..Packet::default() };
        let options: &[u8] = if tcp_flags & SYN != 0 { &MSS } else { &[] };
        let (payload_start, options_len) = (options.len() as u32, options.len() as u8);
        self.0.segment(second, &Packet { payload_start, options_len, ..packet }, options);
        self
    }
    fn trouble(&self) -> Trouble {
        self.0.log.troubles().map(|[first, _]| first.clone()).unwrap_or_default()
    }
    fn handshake() -> Wire {
        let mut w = Wire::default();
        w.send(false, SYN, 100, 0, 0).send(true, SYN | ACK, 500, 101, 0).send(false, ACK, 101, 501, 0);
        w
    }
}

#[test]
fn a_whole_connection() {
    let mut w = Wire::handshake();
    w.send(false, ACK, 101, 501, 50).send(true, ACK, 501, 151, 0).send(true, ACK, 501, 151, 10);
    assert_eq!(w.0.conn_state(false, true), "S1");
    w.send(false, FIN | ACK, 151, 511, 0).send(true, FIN | ACK, 511, 152, 0);
    assert_eq!(w.0.conn_state(false, true), "SF");
    assert_eq!(w.0.log.letters(false, false), "ShADadFf");
    assert_eq!((w.0.rtt.min(), w.0.half[0].mss, w.0.log.fin_by), (Some(0.02), 1460, Some(0)));
    assert!(w.0.is_over() && w.0.is_established());
}

#[test]
fn who_acknowledges_has_had_an_answer() {
    let shows = |send: &dyn Fn(&mut Wire)| {
        let mut w = Wire::default();
        send(&mut w);
        w.0.shows_an_answer()
    };
    assert!(!shows(&|w| _ = w.send(false, SYN, 100, 0, 0)));
    // data with the first SYN is sent before any answer (RFC 7413), and a SYN may be sent again
    assert!(!shows(&|w| _ = w.send(false, SYN, 100, 0, 20).send(false, SYN, 100, 0, 0)));
    assert!(shows(&|w| _ = w.send(false, SYN, 100, 0, 0).send(false, ACK, 101, 501, 0)));
    assert!(shows(&|w| _ = w.send(false, ACK, 101, 501, 30)));
    assert!(shows(&|w| _ = w.send(true, SYN | ACK, 500, 101, 0)));
    assert!(!shows(&|w| _ = w.send(false, SYN, 100, 0, 0).send(false, RST, 101, 0, 0)));
    assert!(!shows(&|w| _ = w.send(false, RST | ACK, 0, 501, 0)));
}

#[test]
fn a_reset_behind_both_fins_changes_nothing() {
    let mut w = Wire::handshake();
    w.send(false, FIN | ACK, 101, 501, 0).send(true, ACK, 501, 102, 10).send(false, RST, 102, 0, 0);
    assert_eq!(w.0.conn_state(false, true), "RSTO");
    w.send(true, FIN | ACK, 511, 102, 0);
    assert_eq!(w.0.conn_state(false, true), "SF");
    w.send(true, RST, 512, 0, 0);
    assert_eq!(w.0.conn_state(false, true), "SF");
    assert_eq!((w.0.log.rst_by, w.0.log.fin_by), (Some(0), Some(0)));
}

#[test]
fn refused_and_unanswered() {
    let mut w = Wire::default();
    w.send(false, SYN, 100, 0, 0);
    assert_eq!(w.0.conn_state(false, false), "S0");
    w.send(false, SYN, 100, 0, 0);
    assert_eq!(w.trouble().retransmissions, 1);
    w.send(true, RST | ACK, 0, 101, 0);
    assert_eq!(w.0.conn_state(false, false), "REJ");
}

#[test]
fn sent_again_or_overtaken() {
    let mut w = Wire::handshake();
    w.send(false, ACK, 101, 501, 100).send(false, ACK, 101, 501, 100);
    assert_eq!((w.trouble().retransmissions, w.trouble().out_of_order), (1, 0));
    let t = w.1;
    w.send_at(t + 1000, false, ACK, 301, 501, 100).send_at(t + 2000, false, ACK, 201, 501, 100);
    assert_eq!((w.trouble().retransmissions, w.trouble().out_of_order), (1, 1));
    w.send(true, ACK, 501, 401, 0);
    assert_eq!((w.trouble().gaps, w.trouble().missed), (0, 0));
}

#[test]
fn what_comes_late_was_overtaken_or_is_sent_again_soon() {
    let late = |first: &[u32], then: &[u32]| {
        let mut w = Wire::handshake();
        let t = w.1;
        for (seq, n) in first.iter().chain(then).zip(1u64..) {
            w.send_at(t + n * 1000, false, ACK, *seq, 501, 100);
        }
        (w.trouble().retransmissions, w.trouble().out_of_order, w.trouble().resent)
    };
    assert_eq!(late(&[101, 301], &[201]), (0, 1, 0));
    assert_eq!(late(&[101, 201, 301], &[101, 201]), (0, 2, 2));
    // more holes than are kept account of: nobody can tell
    let many: Vec<u32> = (0..70).map(|n| 101 + n * 200).collect();
    assert_eq!(late(&many, &[201, 101]), (0, 2, 0));
}

#[test]
fn what_is_shown_late_was_not_sent_again() {
    // three segments, the one in the middle behind the others, so many milliseconds after the hole shows
    let told = |late: u64, ack: &[u32]| {
        let mut w = Wire::default();
        w.send_at(MILLISECOND, false, ACK, 100, 500, 100).send_at(MILLISECOND, true, ACK, 500, 200, 0);
        w.send_at(2 * MILLISECOND, false, ACK, 300, 500, 100);
        ack.iter().for_each(|ack| _ = w.send_at(3 * MILLISECOND, true, ACK, 500, *ack, 0));
        w.send_at((2 + late) * MILLISECOND, false, ACK, 200, 500, 100);
        (w.trouble().retransmissions, w.trouble().misplaced, w.trouble().standstill.is_some())
    };
    assert_eq!(told(4, &[]), (1, 1, false), "nobody asked for it");
    assert_eq!(told(4, &[200]), (1, 0, true), "its receiver asked for it");
    assert_eq!(told(15, &[]), (1, 0, true), "its sender may have missed it by itself");
    assert_eq!(told(15, &[400]), (1, 1, false), "its receiver had it");
}

#[test]
fn a_syn_that_is_shown_behind_what_followed_it_opens_nothing_new() {
    let mut w = Wire::default();
    w.send_at(MILLISECOND, true, SYN | ACK, 500, 101, 0).send_at(MILLISECOND, false, ACK, 101, 501, 80);
    let syn = |ts: u64, seq: u32| Packet { ts: Timestamp(ts), tcp_flags: SYN, seq, ..Packet::default() };
    assert!(!w.0.is_reopened_by(false, &syn(2 * MILLISECOND, 100)));
    assert!(w.0.is_reopened_by(false, &syn(2 * MILLISECOND, 90_000_000)));
    assert!(w.0.is_reopened_by(false, &syn(2 * SECOND, 100)));
    assert_eq!(w.send_at(2 * MILLISECOND, false, SYN, 100, 0, 0).0.conn_state(false, true), "S1");
}

#[test]
fn a_mirror_whose_one_direction_is_late_has_lost_nothing() {
    // every acknowledgement overtakes its data by eight segments: more than holes are kept account of
    let mut w = Wire::handshake();
    let segment = |n: u32| 101 + 100 * n;
    for n in 0..40 {
        w.send(true, ACK, 501, segment(n + 1), 0);
        if n >= 8 {
            w.send(false, ACK, segment(n - 8), 501, 100);
        }
    }
    assert_eq!((w.trouble().gaps, w.trouble().missed), (1, 800));
    (32..40).for_each(|n| _ = w.send(false, ACK, segment(n), 501, 100));
    let Trouble { retransmissions, out_of_order, gaps, missed, .. } = w.trouble();
    assert_eq!((retransmissions, out_of_order, gaps, missed), (0, 0, 0, 0));
}

#[test]
fn what_was_acknowledged_before_it_is_shown_tells_no_round_trip() {
    let mut w = Wire::default();
    w.send(false, SYN, 100, 0, 0).send(false, ACK, 101, 501, 0).send(true, SYN | ACK, 500, 101, 0);
    assert_eq!(w.0.rtt.min(), Some(0.02));
    // the next acknowledgement, half a second later, is for other data
    w.1 += 500 * MILLISECOND;
    w.send(true, ACK, 501, 101, 50).send(false, ACK, 101, 551, 0);
    assert_eq!(w.0.rtt.min(), Some(0.03));
}

#[test]
fn what_is_truly_lost_among_late_data_stays_lost() {
    let mut w = Wire::handshake();
    (0..10).for_each(|n| _ = w.send(true, ACK, 501, 201 + 100 * n, 0));
    // the third of ten segments is not in the capture
    (0..10).filter(|n| *n != 2).for_each(|n| _ = w.send(false, ACK, 101 + 100 * n, 501, 100));
    let Trouble { retransmissions, gaps, missed, .. } = w.trouble();
    assert_eq!((retransmissions, gaps, missed), (0, 1, 100));
    // and what is sent again before anybody asked for more was not lost on the way
    w.send(false, ACK, 1101, 501, 100).send(false, ACK, 1001, 501, 100);
    assert_eq!(w.trouble().retransmissions, 1);
}

#[test]
fn an_answer_that_is_shown_before_its_question_is_one() {
    let mut w = Wire::default();
    w.send(true, SYN | ACK, 500, 101, 0).send(false, SYN, 100, 0, 0).send(false, ACK, 101, 501, 0);
    assert!(w.0.is_established());
    w.send(false, ACK, 101, 501, 50).send(true, RST | ACK, 501, 151, 0);
    assert_eq!(w.0.conn_state(false, true), "RSTR");
    // the whole refusal of a request, by a box nearer than the mirror is late
    let mut w = Wire::default();
    w.send(true, SYN | ACK, 500, 101, 0).send(true, ACK, 501, 151, 90).send(true, RST | ACK, 591, 151, 0);
    w.send(false, SYN, 100, 0, 0).send(false, ACK, 101, 501, 50);
    assert_eq!((w.0.conn_state(false, true), w.0.is_established()), ("RSTR", true));
    // one that answers another SYN is none
    let mut w = Wire::default();
    w.send(true, SYN | ACK, 500, 9_000_000, 0).send(false, SYN, 100, 0, 0);
    assert!(!w.0.is_established());
}

#[test]
fn holes_count_when_acknowledged_and_not_when_filled_late() {
    let mut w = Wire::handshake();
    w.send(false, ACK, 201, 501, 100).send(true, ACK, 501, 301, 0);
    assert_eq!((w.trouble().gaps, w.trouble().missed), (1, 100));
    assert_eq!(w.0.log.letters(false, false), "ShADaG");
    w.send(false, ACK, 101, 501, 100);
    assert_eq!((w.trouble().gaps, w.trouble().missed), (0, 0));
    // an acknowledgement ahead of the data it is for
    w.send(true, ACK, 501, 401, 0);
    assert_eq!(w.trouble().missed, 100);
    w.send(false, ACK, 301, 501, 100);
    assert_eq!(w.trouble().missed, 0);
    assert_eq!(w.trouble().retransmissions, 1, "only the first, which a later segment had overtaken");
}

#[test]
fn what_a_mirror_shuffles_within_milliseconds_is_not_missed() {
    let mut w = Wire::handshake();
    for block in 0..10 {
        let start = 101 + block * 4_000;
        // all is acknowledged before it is shown, every other segment first
        w.send(true, ACK, 501, start + 4_000, 0);
        for n in (0..40).step_by(2).chain((1..40).step_by(2)) {
            w.send(false, ACK, start + n * 100, 501, 100);
        }
        assert_eq!((w.trouble().gaps, w.trouble().missed), (0, 0), "{block}");
    }
}

#[test]
fn keep_alives_are_not_retransmissions() {
    let mut w = Wire::handshake();
    w.send(false, ACK, 101, 501, 100).send(false, ACK, 200, 501, 1).send(false, ACK, 200, 501, 0);
    assert_eq!(w.trouble().retransmissions, 0);
}

#[test]
fn a_new_syn_is_a_new_connection() {
    let w = Wire::handshake();
    let syn = |seq| Packet { tcp_flags: SYN, seq, ..Packet::default() };
    assert!(!w.0.is_reopened_by(false, &syn(100)));
    assert!(w.0.is_reopened_by(false, &syn(101)));
}

/// A segment behind the handshake: milliseconds after the one before, side, flags, sequence number, acknowledgement,
/// length, window.
type Segment = (u64, bool, u8, u32, u32, u32, u16);

/// One side's retransmissions, segments out of order, zero windows, filled windows, and gaps.
type Words = [u32; 5];

/// What becomes of both sides' data when these segments follow a handshake that ends with 101 and 501; side 0's round
/// trip is 20 ms.
fn words(segments: &[Segment]) -> [Words; 2] {
    let mut w = Wire::handshake();
    for &(after, second, tcp_flags, seq, ack, payload_len, window) in segments {
        w.1 += after * crate::time::MILLISECOND;
        let packet = Packet { ts: Timestamp(w.1), tcp_flags, seq, ack, payload_len, window, ..Packet::default() };
        w.0.segment(second, &packet, &[]);
    }
    let words = |t: &Trouble| [t.retransmissions, t.out_of_order, t.zero_windows, t.window_full, t.gaps];
    w.0.log.troubles().map_or([[0; 5]; 2], |[first, other]| [words(first), words(other)])
}

const A: bool = false;
const B: bool = true;
const NONE: Words = [0; 5];

#[test]
fn the_words_of_wireshark() {
    let cases: &[(&str, &[Segment], [Words; 2])] = &[
        (
            "keep-alives of one byte and of none, and their answers",
            &[
                (5, A, ACK, 101, 501, 10, 100),
                (5, B, ACK, 501, 111, 0, 100),
                (900, A, ACK, 110, 501, 1, 100),
                (5, B, ACK, 501, 111, 0, 100),
                (900, A, ACK, 110, 501, 0, 100),
                (5, B, ACK, 501, 111, 0, 100),
                (5, A, ACK, 111, 501, 10, 100),
            ],
            [NONE, NONE],
        ),
        (
            "a zero-window probe with a byte that is not taken, again, then the byte with what follows it",
            &[
                (5, A, ACK, 101, 501, 10, 100),
                (5, B, ACK, 501, 111, 0, 0),
                (200, A, ACK, 111, 501, 1, 100),
                (5, B, ACK, 501, 111, 0, 0),
                (400, A, ACK, 111, 501, 1, 100),
                (5, B, ACK, 501, 111, 0, 0),
                (50, B, ACK, 501, 111, 0, 100),
                (5, A, ACK, 111, 501, 100, 100),
                (5, B, ACK, 501, 211, 0, 100),
            ],
            [NONE, [0, 0, 3, 0, 0]],
        ),
        (
            "a zero-window probe with a byte that is taken",
            &[
                (5, B, ACK, 501, 101, 0, 0),
                (200, A, ACK, 101, 501, 1, 100),
                (5, B, ACK, 501, 102, 0, 0),
                (50, B, ACK, 501, 102, 0, 100),
                (5, A, ACK, 102, 501, 100, 100),
            ],
            [NONE, [0, 0, 2, 0, 0]],
        ),
        (
            "a zero-window probe without data",
            &[
                (5, B, ACK, 501, 101, 0, 0),
                (200, A, ACK, 100, 501, 0, 100),
                (5, B, ACK, 501, 101, 0, 0),
                (50, B, ACK, 501, 101, 0, 100),
                (5, A, ACK, 101, 501, 100, 100),
            ],
            [NONE, [0, 0, 2, 0, 0]],
        ),
        (
            "a segment that fills the window, which counts in units of 2^7",
            &[(5, B, ACK, 501, 101, 0, 2), (5, A, ACK, 101, 501, 256, 100)],
            [[0, 0, 0, 1, 0], NONE],
        ),
        (
            "a segment that goes past what the window would be unscaled",
            &[(5, B, ACK, 501, 101, 0, 2), (5, A, ACK, 101, 501, 2, 100)],
            [NONE, NONE],
        ),
        (
            "a hole filled within a round trip",
            &[(50, A, ACK, 201, 501, 100, 100), (15, A, ACK, 101, 501, 100, 100)],
            [[0, 1, 0, 0, 0], NONE],
        ),
        (
            "a hole filled after a round trip",
            &[(50, A, ACK, 201, 501, 100, 100), (25, A, ACK, 101, 501, 100, 100)],
            [[1, 0, 0, 0, 0], NONE],
        ),
        (
            "a hole filled at once behind duplicate acknowledgements",
            &[
                (50, A, ACK, 201, 501, 100, 100),
                (1, B, ACK, 501, 101, 0, 1000),
                (1, A, ACK, 301, 501, 100, 100),
                (1, B, ACK, 501, 101, 0, 1000),
                (1, B, ACK, 501, 101, 0, 1000),
                (1, A, ACK, 101, 501, 100, 100),
            ],
            [[1, 0, 0, 0, 0], NONE],
        ),
        (
            "a hole filled at once behind window updates",
            &[
                (50, A, ACK, 201, 501, 100, 100),
                (1, B, ACK, 501, 101, 0, 1100),
                (1, A, ACK, 301, 501, 100, 100),
                (1, B, ACK, 501, 101, 0, 1200),
                (1, B, ACK, 501, 101, 0, 1300),
                (1, A, ACK, 101, 501, 100, 100),
            ],
            [[0, 1, 0, 0, 0], NONE],
        ),
        (
            "data sent again that was acknowledged",
            &[
                (50, A, ACK, 101, 501, 100, 100),
                (1, A, ACK, 201, 501, 100, 100),
                (1, B, ACK, 501, 301, 0, 100),
                (1, A, ACK, 101, 501, 100, 100),
            ],
            [[1, 0, 0, 0, 0], NONE],
        ),
        (
            "an overlap that brings new data too",
            &[(50, A, ACK, 101, 501, 100, 100), (25, A, ACK, 151, 501, 100, 100), (5, B, ACK, 501, 251, 0, 100)],
            [[1, 0, 0, 0, 0], NONE],
        ),
        (
            "an acknowledgement that the mirror shows before its data",
            &[(50, B, ACK, 501, 201, 0, 100), (0, A, ACK, 101, 501, 100, 100), (25, B, ACK, 501, 201, 5, 100)],
            [NONE, NONE],
        ),
        (
            "a FIN sent again, and one with data",
            &[
                (50, A, FIN | ACK, 101, 501, 10, 100),
                (300, A, FIN | ACK, 111, 501, 0, 100),
                (5, B, FIN | ACK, 501, 112, 0, 100),
            ],
            [[1, 0, 0, 0, 0], NONE],
        ),
        (
            "urgent data, which has sequence numbers as any has",
            &[
                (5, A, ACK | tcp_flag::URG, 101, 501, 1, 100),
                (5, A, ACK, 102, 501, 100, 100),
                (5, B, ACK, 501, 202, 0, 100),
            ],
            [NONE, NONE],
        ),
        (
            "sequence numbers that begin anew behind the last",
            &[(5, B, ACK, 501, 101, 0, 1000), (5, A, RST, 0xffff_0000, 0, 0, 0)],
            [NONE, NONE],
        ),
    ];
    for (what, segments, expected) in cases {
        assert_eq!(words(segments), *expected, "{what}");
    }
}

#[test]
fn both_may_open_a_connection() {
    let mut w = Wire::default();
    w.send(false, SYN, 100, 0, 0).send(true, SYN, 500, 0, 0);
    w.send(false, SYN | ACK, 100, 501, 0).send(true, SYN | ACK, 500, 101, 0);
    assert!(w.0.log.troubles().is_none(), "{:?}", w.0.log.troubles());
    assert_eq!(w.0.conn_state(false, false), "S1");
    assert_eq!(w.0.begins(), [Some(101), Some(501)]);
    w.send(false, SYN, 100, 0, 0);
    assert_eq!(w.trouble().retransmissions, 1, "a SYN that comes again");
}

#[test]
fn a_sequence_may_begin_with_any_number() {
    let mut w = Wire::default();
    w.send(false, SYN, 0, 0, 0).send(true, SYN | ACK, 0, 1, 0).send(false, ACK, 1, 1, 0);
    assert_eq!(w.0.begins(), [Some(1), Some(1)]);
    assert!(w.0.saw_syn() && !w.0.is_reopened_by(false, &Packet { tcp_flags: SYN, seq: 0, ..Packet::default() }));
}

#[test]
fn what_a_window_is_worth_is_unknown_without_both_handshakes() {
    let full = |from: usize| {
        let mut w = Wire::default();
        let handshake = [(false, SYN, 100, 0), (true, SYN | ACK, 500, 101), (false, ACK, 101, 501)];
        for (second, flags, seq, ack) in handshake.into_iter().skip(from) {
            w.send(second, flags, seq, ack, 0);
        }
        // its window of 1000 is 128,000 bytes where the scale is known
        w.send(true, ACK, 501, 101, 0).send(false, ACK, 101, 501, 1000).send(false, ACK, 1101, 501, 127_000);
        w.trouble().window_full
    };
    assert_eq!([full(0), full(1), full(2), full(3)], [1, 0, 0, 0]);
}

#[test]
fn a_window_without_scale_is_worth_what_it_says() {
    let mut w = Wire::default();
    for (second, tcp_flags, seq, ack) in [(false, SYN, 100, 0), (true, SYN | ACK, 500, 101), (true, ACK, 501, 101)] {
        let packet = Packet { tcp_flags, seq, ack, window: 1000, ..Packet::default() };
        w.0.segment(second, &packet, &[]);
    }
    w.send(false, ACK, 101, 501, 1000);
    assert_eq!(w.trouble().window_full, 1);
}

#[test]
fn what_waits_for_the_window_tells_no_round_trip() {
    let mut w = Wire::handshake();
    let closed = Packet { ts: Timestamp(w.1 + 1), tcp_flags: ACK, seq: 501, ack: 101, ..Packet::default() };
    w.0.segment(true, &closed, &[]);
    let later = w.1 + 5 * crate::time::SECOND;
    w.send(false, ACK, 101, 501, 1).send_at(later, true, ACK, 501, 102, 0);
    assert_eq!(w.0.rtt.p95(), Some(0.02));
}

#[test]
fn an_acknowledgement_is_for_the_newest_data_where_those_before_it_are_left_out() {
    let mut w = Wire::handshake();
    // a burst whose acknowledgement something on the way has left out, and the next one half a second later
    w.send(false, ACK, 101, 501, 50);
    w.1 += 500 * MILLISECOND;
    w.send(false, ACK, 151, 501, 50).send(true, ACK, 501, 201, 0);
    assert_eq!(w.0.rtt.p95(), Some(0.02));
    // what stands in a queue is acknowledged a long time after it was sent, in order or put off by one
    w.send(false, ACK, 201, 501, 50).send(false, ACK, 251, 501, 50);
    w.1 += 500 * MILLISECOND;
    w.send(true, ACK, 501, 301, 0);
    assert!(w.0.rtt.p95().unwrap() > 0.5);
}

#[test]
fn where_a_side_stands_still_is_known() {
    let mut w = Wire::handshake();
    w.send(false, ACK, 101, 501, 1460);
    for backoff in [1, 3, 7] {
        w.send_at(w.1 + backoff * SECOND, false, ACK, 101, 501, 1460);
    }
    let repeated = w.trouble().standstill.unwrap().repeated;
    assert_eq!((repeated.seq, repeated.len, repeated.times), (101, 1460, 3));
    assert_eq!(w.0.unacknowledged(), [Some(1460), Some(0)]);
    let mut w = Wire::handshake();
    let closed = |tcp: &mut Tcp, at: u64, window: u16| {
        let packet = Packet { ts: Timestamp(at), tcp_flags: ACK, seq: 101, ack: 501, window, ..Packet::default() };
        tcp.segment(false, &packet, &[]);
    };
    for (at, window) in [(1, 0), (4, 0), (6, 10), (7, 0), (8, 10)] {
        closed(&mut w.0, at * SECOND, window);
    }
    let trouble = w.trouble();
    let longest = trouble.standstill.unwrap().closed;
    assert_eq!((trouble.zero_windows, longest.since, longest.nanos), (3, Timestamp(SECOND), 5 * SECOND));
}

#[test]
fn only_a_reset_of_what_was_established_is_kept() {
    let mut w = Wire::default();
    w.send(false, SYN, 100, 0, 0).send(true, RST | ACK, 0, 101, 0);
    assert_eq!(w.0.log.reset(), None);
    let mut w = Wire::handshake();
    w.send(true, RST, 501, 0, 0).send(false, RST, 101, 0, 0);
    assert!(w.0.log.reset().unwrap().second);
}

#[test]
fn payload_is_told_in_bursts_once_it_pauses() {
    let mut w = Wire::handshake();
    let mut payload = [0u64; 2];
    let mut data = |tcp: &mut Tcp, second: bool, millis: u64, bytes: u32| {
        let packet = Packet { ts: Timestamp(millis * MILLISECOND), payload_len: bytes, ..Packet::default() };
        let begun = Begun { at: Timestamp(0), frame: 1, payload };
        tcp.data(usize::from(second), &packet, || begun, &Thresholds::default());
        payload[usize::from(second)] += u64::from(bytes);
    };
    data(&mut w.0, false, 20, 300);
    data(&mut w.0, true, 40, 4000);
    data(&mut w.0, false, 50, 80);
    assert!(w.0.course.is_none());
    assert_eq!(w.0.turns(), [80, 0]);
    data(&mut w.0, true, 15_000, 1400);
    data(&mut w.0, true, 15_010, 1400);
    let begun = Begun { at: Timestamp(0), frame: 1, payload: [380, 6800] };
    let sums = |side| w.0.bursts(side, begun).iter().map(|b| (b.end.0 / MILLISECOND, b.bytes)).collect::<Vec<_>>();
    assert_eq!(sums(0), [(50, 380)]);
    assert_eq!(sums(1), [(40, 4000), (15_010, 2800)]);
    assert_eq!(w.0.turns(), [0, 2800]);
}

#[test]
fn a_plain_segment_is_no_turn() {
    use Side::*;
    let sides = [SynAckSent, Partial, Established, Closed, Reset];
    let others = [Inactive, SynSent].into_iter().chain(sides);
    let flags = (0..=u8::MAX).map(|tcp_flags| Packet { tcp_flags, ..Packet::default() }).filter(is_plain);
    let packets: Vec<_> = flags.flat_map(|p| [0, 7].map(|payload_len| Packet { payload_len, ..p })).collect();
    assert!(!packets.is_empty());
    for (side, other) in others.flat_map(|other| sides.map(|side| (side, other))) {
        for packet in &packets {
            let mut shortly = Tcp::default();
            (shortly.half[0].side, shortly.half[1].side) = (side, other);
            let mut closely = shortly.clone();
            shortly.log.note(false, plain_letter(packet));
            let [from, to] = &mut closely.half;
            turn(from, to, &mut closely.log, false, packet, &[]);
            assert_eq!(format!("{shortly:?}"), format!("{closely:?}"), "{packet:?}");
        }
    }
}

#[test]
fn a_refusal_that_is_shown_before_its_syn_is_one_connection() {
    let syn = |seq: u32| Packet { ts: Timestamp(2 * MILLISECOND), tcp_flags: SYN, seq, ..Packet::default() };
    let mut w = Wire::default();
    w.send_at(MILLISECOND, true, RST | ACK, 0, 101, 0);
    assert!(!w.0.is_reopened_by(false, &syn(100)) && w.0.is_reopened_by(false, &syn(500)));
    assert_eq!(w.send_at(2 * MILLISECOND, false, SYN, 100, 0, 0).0.conn_state(false, false), "REJ");
}
