//! Holds, and what is none, over wide ranges of rates, timers, sizes and lines: nothing here is of one filter or
//! camera.

use super::detect;
use super::tests::{asked, headed, menu, modes, with_pieces};
use crate::diagnose::testcases::{RELAY, RELAY_NAME, VIEWER, at, clear, found_among, seen, tcp};
use crate::engine::case::{Case, Cases, Direction};
use crate::engine::learnt::{Flight, Turn, turn};
use crate::event::{Class, Mode};
use crate::flow::trouble::Closed;
use crate::time::SECOND;

/// Payload: when, and how much.
type Pieces = Vec<(f64, u64)>;

/// When the viewer asks.
const ASKED: f64 = 5.0;
/// Rates of video in bytes a second: 64 kbit/s to 20 Mbit/s.
const RATES: [f64; 6] = [8e3, 3e4, 1e5, 2.5e5, 1e6, 2.5e6];

/// A camera's pictures: `fps` a second, a key frame as heavy as `weight` others every `group` seconds.
fn camera(from: f64, to: f64, rate: f64, fps: f64, group: f64, weight: f64) -> Pieces {
    let per_group = (fps * group).round();
    let unit = rate * group / (per_group - 1.0 + weight);
    let count = ((to - from) * fps) as u64;
    let size = |n: u64| if n.is_multiple_of(per_group as u64) { unit * weight } else { unit };
    // no two pictures are alike
    let varied = |n: u64| 0.85 + 0.3 * ((n * 7919 % 101) as f64 / 101.0);
    (0..count).map(|n| (from + n as f64 / fps, (size(n) * varied(n)) as u64)).collect()
}

/// The same behind a line that carries `line` bytes a second.
fn through(pieces: &[(f64, u64)], line: f64) -> Pieces {
    let mut free = 0.0f64;
    let mut out = Vec::new();
    for (when, bytes) in pieces {
        free = free.max(*when);
        let mut left = *bytes;
        while left > 0 {
            let part = left.min(if line > 1e6 { 64_000 } else { 4_000 });
            out.push((free, part));
            free += part as f64 / line;
            left -= part;
        }
    }
    out
}

/// The same held by a box until a moment.
fn held(pieces: &[(f64, u64)], until: f64) -> Pieces {
    pieces.iter().map(|(when, bytes)| (when.max(until), *bytes)).collect()
}

/// When so much of it has come.
fn when_full(pieces: &[(f64, u64)], bytes: u64) -> f64 {
    let mut sum = 0;
    pieces.iter().find(|piece| (sum += piece.1, sum >= bytes).1).map_or(f64::MAX, |piece| piece.0)
}

fn until(pieces: Pieces, end: f64) -> Pieces {
    pieces.into_iter().filter(|(when, _)| *when < end).collect()
}

/// The viewer's connection: in the clear, or in TLS of a version.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Clear,
    Tls12,
    Tls13,
}

const KINDS: [Kind; 3] = [Kind::Clear, Kind::Tls12, Kind::Tls13];

/// A view that is asked for and brings these pieces, the first of which holds the head, until `end`.
fn view(kind: Kind, pieces: &[(f64, u64)], end: f64) -> Case {
    numbered(1, kind, ASKED, pieces, end)
}

fn numbered(number: u64, kind: Kind, when: f64, pieces: &[(f64, u64)], end: f64) -> Case {
    let case = tcp(number, VIEWER, RELAY, Class::Relay, RELAY_NAME, when, end);
    if kind == Kind::Clear {
        let head = pieces.first().map(|piece| piece.0);
        let turn = head.map_or_else(|| asked(when), |head| headed(when, head));
        return with_pieces(clear(case, &[turn]), when, pieces);
    }
    // the handshake, and with TLS 1.3 two tickets
    let tickets: &[u16] = if kind == Kind::Tls13 { &[250, 250] } else { &[] };
    let all = [vec![(when, 1_500)], pieces.to_vec()].concat();
    let mut case = with_pieces(case, when + 0.1, &all);
    let mut flight = Flight { client: if kind == Kind::Tls13 { 2 } else { 1 }, ..Flight::default() };
    flight.asked = seen(when + 0.1, 3);
    let lengths = pieces.iter().map(|piece| u16::try_from(piece.1.saturating_sub(5)).unwrap_or(16_000));
    tickets.iter().copied().chain(lengths.take(6)).for_each(|length| _ = flight.answer(length));
    let tls = case.tls.as_mut().unwrap();
    (tls.version, tls.flight) = (if kind == Kind::Tls13 { 0x0304 } else { 0x0303 }, Some(flight));
    let tcp = case.tcp.as_mut().unwrap();
    let sum: u64 = pieces.iter().map(|piece| piece.1).sum();
    tcp.turns = [0, sum as u32 + tickets.iter().map(|length| u32::from(length + 5)).sum::<u32>()];
    case
}

/// What went otherwise than it was to.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn expect(&mut self, found: Vec<Mode>, meant: &[Mode], what: &str) {
        if found != meant {
            self.0.push(format!("{what}: {found:?}"));
        }
    }

    fn none(self) {
        let some = self.0.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.0.is_empty(), "{} cases, such as\n{some}", self.0.len());
    }
}

fn claims(flows: Vec<Case>) -> Vec<Mode> {
    modes(flows).into_iter().filter(|(_, sure)| *sure >= 0.55).filter_map(|(mode, _)| mode).collect()
}

#[test]
fn a_hold_is_told_by_its_backlog_at_any_rate_and_time() {
    let mut wrong = Wrong::default();
    for rate in RATES {
        for hold in [5.0, 8.0, 15.0, 40.0, 120.0, 600.0] {
            for (line, shown) in [(1e8, 2.5), (1e8, 20.0), (4.0, 60.0), (8.0, 30.0)] {
                if rate * hold > 2e8 || line < 1e3 && hold > 60.0 {
                    continue;
                }
                let line = if line > 1e3 { line } else { line * rate };
                // what was held takes its time on a slow line
                let drained = ASKED + hold + rate * hold / line;
                let end = drained + shown;
                for (fps, group, weight) in [(15.0, 2.0, 8.0), (5.0, 1.0, 4.0), (30.0, 2.0, 12.0)] {
                    let sent = camera(ASKED + 0.5, end, rate, fps, group, weight);
                    let pieces = until(through(&held(&sent, ASKED + hold), line), end);
                    for kind in KINDS {
                        let found = claims(vec![view(kind, &pieces, end)]);
                        wrong.expect(
                            found,
                            &[Mode::HoldRelease],
                            &format!("{rate} {hold} {line} {shown} {fps} {group} {kind:?}"),
                        );
                    }
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn a_hold_until_so_much_has_come_is_told_at_any_size() {
    let mut wrong = Wrong::default();
    for rate in RATES {
        for size in [256_000, 1_000_000, 10_000_000, 64_000_000] {
            let wait = size as f64 / rate;
            if !(6.0..900.0).contains(&wait) {
                continue;
            }
            let end = ASKED + wait + 15.0;
            let sent = camera(ASKED + 0.4, end, rate, 15.0, 2.0, 8.0);
            let pieces = until(through(&held(&sent, when_full(&sent, size)), 1e7), end);
            for kind in KINDS {
                wrong.expect(
                    claims(vec![view(kind, &pieces, end)]),
                    &[Mode::HoldRelease],
                    &format!("{rate} {size} {kind:?}"),
                );
            }
        }
    }
    wrong.none();
}

#[test]
fn a_late_source_is_no_hold_however_it_begins() {
    let mut wrong = Wrong::default();
    for rate in RATES {
        for late in [5.0, 9.0, 17.0, 29.0, 80.0] {
            for kept in [0.0, 1.0, 2.0] {
                for (fps, group, weight) in [(15.0, 2.0, 8.0), (5.0, 1.0, 4.0), (30.0, 2.0, 20.0), (2.0, 4.0, 5.0)] {
                    let (start, end) = (ASKED + late, ASKED + late + 25.0);
                    // it may begin with the group of pictures at hand
                    let sent = camera(start - kept, end, rate, fps, group, weight);
                    let pieces = until(through(&held(&sent, start), 1e8), end);
                    for kind in KINDS {
                        let found = claims(vec![menu(), view(kind, &pieces, end)]);
                        wrong.expect(found, &[], &format!("{rate} {late} {kept} {fps} {group} {kind:?}"));
                    }
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn lumps_of_a_buffer_and_a_slow_line_are_no_hold() {
    let mut wrong = Wrong::default();
    for rate in RATES {
        for buffer in [8_000u64, 64_000, 256_000] {
            let sent = camera(ASKED + 0.2, ASKED + 90.0, rate, 15.0, 2.0, 8.0);
            let mut lumps = Vec::new();
            let mut sum = 0;
            for (when, bytes) in sent {
                sum += bytes;
                if sum >= buffer {
                    lumps.push((when, std::mem::take(&mut sum)));
                }
            }
            let lumps = through(&lumps, 1e7);
            for kind in KINDS {
                let found = claims(vec![menu(), view(kind, &lumps, ASKED + 90.0)]);
                wrong.expect(found, &[], &format!("{rate} in lumps of {buffer} {kind:?}"));
            }
        }
        for share in [0.4, 0.8, 1.1] {
            let sent = camera(ASKED + 0.2, ASKED + 40.0, rate, 15.0, 2.0, 8.0);
            let pieces = until(through(&sent, rate * share), ASKED + 60.0);
            for kind in KINDS {
                let found = claims(vec![menu(), view(kind, &pieces, ASKED + 60.0)]);
                wrong.expect(found, &[], &format!("{rate} on a line of {share} {kind:?}"));
            }
        }
    }
    wrong.none();
}

#[test]
fn what_is_asked_for_in_turn_is_no_hold() {
    let mut wrong = Wrong::default();
    // a page that takes its time, and what it loads: asked for and answered, again and again
    for (wait, first, every, each) in
        [(6.0, 60_000, 1.0, 30_000), (12.0, 900_000, 2.0, 60_000), (5.0, 200_000, 0.9, 9_000)]
    {
        let answers: Pieces = (1..30).map(|n| (ASKED + wait + f64::from(n) * every, each)).collect();
        let pieces = [vec![(ASKED + wait, first)], answers].concat();
        for kind in KINDS {
            let mut case = view(kind, &pieces, ASKED + 80.0);
            let asks: Vec<_> = pieces
                .iter()
                .map(|(when, _)| {
                    crate::flow::course::Burst::whole(
                        crate::diagnose::testcases::at(when - 0.1),
                        crate::diagnose::testcases::at(when - 0.1),
                        1,
                        300,
                    )
                })
                .collect();
            let tcp = case.tcp.as_mut().unwrap();
            let [orig, _] = &mut tcp.bursts;
            orig.extend(asks.into_iter().skip(1));
            wrong.expect(claims(vec![menu(), case]), &[], &format!("{wait} {first} {every} {each} {kind:?}"));
        }
    }
    // a file that took its time to be made, and one that a slow list follows
    for (bytes, after) in [(300_000u64, 0.0), (3_000_000, 20.0), (60_000, 20.0)] {
        let rest = camera(ASKED + 14.0, ASKED + 14.0 + after, 900.0, 2.0, 2.0, 1.0);
        let pieces = through(&[vec![(ASKED + 12.0, bytes)], rest].concat(), 1e6);
        for kind in KINDS {
            wrong.expect(
                claims(vec![menu(), view(kind, &pieces, ASKED + 60.0)]),
                &[],
                &format!("{bytes} {after} {kind:?}"),
            );
        }
    }
    wrong.none();
}

/// Drops of `amount` bytes every `every` seconds from `first` on, by a timer that is a little off each time.
fn drops(first: f64, end: f64, every: f64, amount: u64) -> Pieces {
    let count = ((end - first) / every) as u64;
    let off = |n: u64| every * 0.06 * ((n * 7919 % 101) as f64 / 101.0 - 0.5);
    (0..=count).map(|n| (first + n as f64 * every + off(n), amount)).collect()
}

#[test]
fn a_trickle_is_told_at_any_pace_and_size() {
    let mut wrong = Wrong::default();
    for every in [1.0, 2.0, 5.0, 10.0, 20.0, 30.0] {
        for amount in [1, 16, 100, 512, 1_024] {
            if amount as f64 / every > 1_000.0 || amount as f64 * 8.0 / every > 1_042.0 {
                continue;
            }
            let end = ASKED + 62.0f64.max(every * 3.5);
            for kind in KINDS {
                let over = if kind == Kind::Clear { 0 } else { 22 };
                for head in [None, Some(280)] {
                    let mut pieces = drops(ASKED + every, end, every, amount + over);
                    if let Some(head) = head {
                        pieces.insert(0, (ASKED + 0.9, head + over));
                    }
                    let mut case = view(kind, &pieces, end);
                    if kind == Kind::Clear && head.is_none() {
                        case = with_pieces(clear(case, &[asked(ASKED)]), ASKED, &pieces);
                    }
                    // behind a head that nobody can read they may be events, but not of a single byte each
                    let sure = kind == Kind::Clear || head.is_none() || amount == 1;
                    wrong.expect(
                        claims(vec![menu(), case]),
                        if sure { &[Mode::Trickle] } else { &[] },
                        &format!("{every} {amount} {kind:?} {head:?}"),
                    );
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn pieces_of_one_size_by_a_timer_are_a_trickle() {
    let mut wrong = Wrong::default();
    for (every, amount) in [(1.0, 4_096), (2.0, 8_192), (5.0, 1_500), (1.0, 1_024), (10.0, 16_384), (4.0, 4_096)] {
        // what is there at once, or by the first beat of the timer, is no hold
        for hold in [5.0, 10.0, 30.0].map(|hold: f64| hold.max(1.6 * every)) {
            let end = ASKED + hold + 70.0;
            let pieces = drops(ASKED + hold, end, every, amount);
            for kind in KINDS {
                let found = claims(vec![menu(), view(kind, &pieces, end)]);
                wrong.expect(found, &[Mode::Trickle], &format!("{every} {amount} {hold} {kind:?}"));
            }
        }
    }
    wrong.none();
}

#[test]
fn pictures_by_a_timer_and_what_is_talked_about_are_no_trickle() {
    let mut wrong = Wrong::default();
    // single pictures, each of its own size, and pictures of a camera that is off, at once
    for (every, amount) in [(1.0, 6_000.0), (2.0, 9_000.0), (5.0, 15_000.0), (10.0, 12_000.0)] {
        for kind in KINDS {
            let pictures = camera(ASKED + 6.0, ASKED + 80.0, amount / every, 1.0 / every, every * 10.0, 1.0);
            wrong.expect(
                claims(vec![menu(), view(kind, &pictures, ASKED + 80.0)]),
                &[],
                &format!("{every} {amount} {kind:?}"),
            );
            let same = drops(ASKED + 0.3, ASKED + 80.0, every, amount as u64);
            wrong.expect(
                claims(vec![menu(), view(kind, &same, ASKED + 80.0)]),
                &[],
                &format!("{every} {amount} {kind:?}"),
            );
        }
    }
    // lines of a till, as customers come
    let till: Pieces = [0.4, 3.0, 4.1, 9.9, 17.0, 18.2, 31.0, 50.0, 52.5].iter().map(|t| (ASKED + t, 120)).collect();
    // a heart-beat that is answered
    let beats = drops(ASKED + 5.0, ASKED + 90.0, 5.0, 49);
    for kind in KINDS {
        wrong.expect(claims(vec![menu(), view(kind, &till, ASKED + 60.0)]), &[], &format!("{kind:?}"));
        let mut case = view(kind, &beats, ASKED + 92.0);
        let echoes = drops(ASKED + 5.1, ASKED + 90.0, 5.0, 60);
        let mut course = crate::flow::course::Course::begun(crate::flow::rates::Rates::default(), [None, None]);
        echoes.iter().for_each(|(when, bytes)| course.add(0, crate::diagnose::testcases::at(*when), 1, *bytes));
        let [mut orig, _] = course.bursts;
        case.tcp.as_mut().unwrap().bursts[0].append(&mut orig);
        wrong.expect(claims(vec![menu(), case]), &[], &format!("{kind:?}"));
    }
    // drops that end in video without a backlog, and drops beside video that comes
    for kind in KINDS {
        let late = [drops(ASKED + 3.0, ASKED + 21.0, 3.0, 30), camera(ASKED + 23.0, ASKED + 50.0, 6e4, 15.0, 2.0, 8.0)];
        wrong.expect(claims(vec![menu(), view(kind, &late.concat(), ASKED + 50.0)]), &[], &format!("{kind:?}"));
        let mut shown = numbered(2, kind, 1.0, &camera(1.2, 80.0, 6e4, 15.0, 2.0, 8.0), 80.0);
        shown.subs = shown.subs.with(crate::classify::words::Sub::VideoDown);
        let events = view(kind, &drops(ASKED + 10.0, 80.0, 10.0, 40), 80.0);
        wrong.expect(claims(vec![menu(), shown, events]), &[], &format!("{kind:?}"));
    }
    wrong.none();
}

#[test]
fn silence_is_a_claim_only_where_it_comes_again() {
    let mut wrong = Wrong::default();
    for patience in [4.5, 9.0, 20.0, 60.0, 120.0] {
        for by in [Direction::Orig, Direction::Resp] {
            for kind in KINDS {
                let attempt = |n: u64| {
                    let when = ASKED + n as f64 * (patience + 1.0);
                    let mut case = numbered(n + 1, kind, when, &[], when + patience);
                    let tcp = case.tcp.as_mut().unwrap();
                    // who leaves says so: its last segment is not acknowledged any more
                    (tcp.fin_by, tcp.unacknowledged[0]) = (Some(by), Some(u32::from(by == Direction::Orig)));
                    case
                };
                let told = claims(vec![menu(), attempt(0), attempt(1), attempt(2)]);
                wrong.expect(told, &[Mode::BufferAll; 3], &format!("{patience} {by:?} {kind:?}"));
                wrong.expect(claims(vec![menu(), attempt(0)]), &[], &format!("{patience} {by:?} {kind:?}"));
            }
        }
    }
    wrong.none();
}

#[test]
fn heads_without_pictures_are_a_claim_only_where_they_come_again_in_the_clear() {
    let attempt = |n: u64| {
        let when = ASKED + n as f64 * 8.0;
        let mut case = numbered(n + 1, Kind::Clear, when, &[(when + 0.3, 160)], when + 7.0);
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        case
    };
    assert_eq!(claims(vec![menu(), attempt(0), attempt(1), attempt(2)]), [Mode::BufferAll; 3]);
    assert_eq!(claims(vec![menu(), attempt(0), attempt(1)]), []);
    assert_eq!(claims(vec![attempt(0), attempt(1), attempt(2)]), []);
}

#[test]
fn a_single_ticket_is_known_by_others_of_its_kind() {
    let attempt = |n: u64, length: u16| {
        let when = ASKED + n as f64 * 12.0;
        let mut case = numbered(n + 1, Kind::Tls13, when, &[], when + 11.0);
        let mut flight = Flight { client: 2, asked: seen(when + 0.1, 3), ..Flight::default() };
        flight.answer(length);
        (case.tls.as_mut().unwrap().flight, case.tcp.as_mut().unwrap().turns) =
            (Some(flight), [0, u32::from(length) + 5]);
        case
    };
    let tries = |length: u16| claims(vec![menu(), attempt(0, length), attempt(1, length), attempt(2, length)]);
    assert_eq!(tries(250), [Mode::BufferAll; 3]);
    assert_eq!(tries(180), []);
}

#[test]
fn loss_that_the_release_itself_brings_does_not_excuse_the_hold() {
    let end = ASKED + 50.0;
    let pieces = until(held(&camera(ASKED + 0.4, end, 2e5, 15.0, 2.0, 8.0), ASKED + 20.0), end);
    let lossy = |first: f64| {
        let mut case = view(Kind::Tls13, &pieces, end);
        case.pkts = [900, 1_500];
        let tcp = case.tcp.as_mut().unwrap();
        tcp.trouble[1].retransmissions = 60;
        tcp.trouble[1].first_repeat = crate::diagnose::testcases::at(first);
        claims(vec![menu(), case])
    };
    assert_eq!(lossy(ASKED + 20.4), [Mode::HoldRelease]);
    assert_eq!(lossy(ASKED + 2.0), []);
}

/// A recorder's POST that is `sent` seconds long and ends after `waits` more, ended by `by`.
fn post(n: u64, sent: f64, waits: f64, by: Direction, turn: Turn) -> Case {
    let when = ASKED + n as f64 * (sent + waits + 1.0);
    let end = when + sent + waits;
    let case = tcp(n + 1, crate::diagnose::testcases::RECORDER, RELAY, Class::Relay, RELAY_NAME, when, end);
    let mut case = clear(case, &[Turn { asked: Some(seen(when, 4)), ..turn }]);
    case.payload = [40_000, 0];
    let tcp = case.tcp.as_mut().unwrap();
    (tcp.fin_by, tcp.turns) = (Some(by), [40_000, 0]);
    let at = crate::diagnose::testcases::at;
    tcp.bursts = [vec![crate::flow::course::Burst::whole(at(when), at(when + sent), 1, 40_000)], Vec::new()];
    case
}

#[test]
fn uploads_that_are_whole_and_get_no_answer_were_swallowed() {
    let mut wrong = Wrong::default();
    let marks = turn::POST | turn::SENDS_MESSAGE | turn::SENDS_BODY;
    let whole = Turn { marks, sends: 39_700, ..Turn::default() };
    let endless = Turn { marks, ..Turn::default() };
    let answered = Turn { answered: Some(seen(20.0, 9)), status: 204, ..whole };
    let posts = |sent: f64, waits: f64, by: Direction, turn: Turn| {
        claims((0..4).map(|n| post(n, sent + n as f64 * 0.02, waits, by, turn)).collect())
    };
    for (sent, waits) in [(1.0, 0.01), (2.0, 6.0), (0.5, 30.0)] {
        for by in [Direction::Orig, Direction::Resp] {
            // one that its own sender ends at once has not waited
            if waits > 1.0 || by == Direction::Resp {
                wrong.expect(posts(sent, waits, by, whole), &[Mode::UploadSwallow], &format!("{sent} {waits} {by:?}"));
            }
            wrong.expect(posts(sent, waits, by, answered), &[], &format!("{sent} {waits} {by:?}"));
        }
        let sure = posts(sent, waits, Direction::Resp, endless);
        assert_eq!(sure.len(), usize::from(waits > 4.0), "{sent} {waits}");
        // a receiver that takes no more has not swallowed anything
        let walled = (0..4).map(|n| {
            let mut case = post(n, sent + n as f64 * 0.02, waits, Direction::Orig, endless);
            let tcp = case.tcp.as_mut().unwrap();
            let since = tcp.bursts[0].last().unwrap().end;
            tcp.trouble[1].closed = Closed { since, nanos: (waits * SECOND as f64) as u64, frame: 7 };
            case
        });
        assert_eq!(claims(walled.collect()), [], "{sent} {waits}");
    }
    wrong.none();
}

#[test]
fn who_was_switched_off_waits_for_nothing() {
    let beside = |until: f64, client: &str| {
        let one = |n: u64| {
            super::tests::view(n, 5.0 + n as f64 * 20.0, 24.0 + n as f64 * 20.0, asked(5.0 + n as f64 * 20.0), &[])
        };
        let other = tcp(800, client, "203.0.113.20", Class::Api, "restapi.gp4f.com", 1.0, until);
        let cases =
            Cases { flows: vec![menu(), one(0), one(1), one(2), other], last: at(until.max(64.0)), ..Cases::default() };
        let sure = found_among(cases, detect).iter().map(|finding| finding.confidence).fold(0.0, f64::max);
        sure >= 0.55
    };
    assert!(beside(64.0, "192.168.1.77") && beside(90.0, "192.168.1.77"));
    assert!(!beside(200.0, "192.168.1.77"), "others go on");
    let closed = |n: u64| {
        let mut case =
            super::tests::view(n, 5.0 + n as f64 * 20.0, 24.0 + n as f64 * 20.0, asked(5.0 + n as f64 * 20.0), &[]);
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        case
    };
    let other = tcp(800, "192.168.1.77", "203.0.113.20", Class::Api, "restapi.gp4f.com", 1.0, 200.0);
    let flows = vec![menu(), closed(0), closed(1), closed(2), other];
    let found = found_among(Cases { flows, last: at(200.0), ..Cases::default() }, detect);
    assert!(found.iter().any(|finding| finding.confidence >= 0.55), "who gave up was there: {found:?}");
    assert!(beside(200.0, VIEWER), "it goes on itself");
}
