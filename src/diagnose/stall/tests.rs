//! Holds and what looks like them, on the viewer's side and the recorder's.

use super::*;
use crate::classify::words::{Sub, Subs};
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, at, clear, found, seen, tcp};
use crate::engine::case::{Case, Direction, ResetCase};
use crate::engine::learnt::{Flight, Turn, turn};
use crate::event::{Class, Mode};
use crate::flow::course::{Burst, Course, Spoke};
use crate::flow::rates::Rates;
use crate::flow::trouble::Closed;
use crate::time::{SECOND, Timestamp};

const VIEW: u32 = turn::GET;
const STREAM: u32 = turn::GET | turn::MESSAGE | turn::ENDLESS;

/// A viewer's connection to the relay in the clear: asked at `first`, with these pieces of payload from the relay, each
/// `(second, bytes)`, and open until `last`.
pub(super) fn view(number: u64, first: f64, last: f64, turn: Turn, pieces: &[(f64, u64)]) -> Case {
    let case = tcp(number, VIEWER, RELAY, Class::Relay, RELAY_NAME, first, last);
    with_pieces(clear(case, &[turn]), first, pieces)
}

pub(super) fn with_pieces(mut case: Case, asked: f64, pieces: &[(f64, u64)]) -> Case {
    let mut course = Course::begun(Rates::default(), [None, None]);
    for (second, bytes) in pieces {
        course.add(1, at(*second), (*second * 10.0) as u64, *bytes);
    }
    let [_, resp] = course.bursts;
    case.payload = [300, pieces.iter().map(|(_, bytes)| bytes).sum()];
    let tcp = case.tcp.as_mut().unwrap();
    tcp.bursts = [vec![Burst::whole(at(asked), at(asked), 1, 300)], resp];
    tcp.turns = [if pieces.is_empty() { 300 } else { 0 }, case.payload[1] as u32];
    case
}

pub(super) fn asked(first: f64) -> Turn {
    Turn { asked: Some(seen(first, 4)), marks: VIEW, ..Turn::default() }
}

pub(super) fn headed(first: f64, head: f64) -> Turn {
    Turn { answered: Some(seen(head, 5)), status: 200, marks: STREAM, ..asked(first) }
}

/// Menus that load.
pub(super) fn menu() -> Case {
    let mut case = tcp(900, VIEWER, "203.0.113.20", Class::Api, "restapi.gp4f.com", 1.0, 3.0);
    case.tls.as_mut().unwrap().flight = Some(Flight {
        client: 2,
        answers: [250, 250, 900, 0, 0, 0],
        answered: 3,
        asked: seen(1.1, 2),
        first: 53,
        ..Flight::default()
    });
    case.tcp.as_mut().unwrap().turns = [0, 1400];
    case
}

/// Video at `rate` bytes a second from one second to another.
fn video(from: f64, to: f64, rate: u64) -> Vec<(f64, u64)> {
    let frames = ((to - from) * 15.0) as u64;
    (0..frames).map(|n| (from + n as f64 / 15.0, if n % 30 == 0 { rate * 8 / 18 } else { rate / 18 })).collect()
}

pub(super) fn modes(flows: Vec<Case>) -> Vec<(Option<Mode>, f64)> {
    found(flows, Vec::new(), detect).into_iter().map(|finding| (finding.mode, finding.confidence)).collect()
}

#[test]
fn one_silent_wait_is_a_hint_and_three_beside_menus_that_load_are_a_claim() {
    let one = |n: u64| view(n, 5.0 + n as f64 * 20.0, 24.0 + n as f64 * 20.0, asked(5.0 + n as f64 * 20.0), &[]);
    let [(mode, alone)] = modes(vec![menu(), one(0)])[..] else { panic!() };
    assert!(mode == Some(Mode::BufferAll) && alone < 0.55, "{alone}");
    let three = modes(vec![menu(), one(0), one(1), one(2)]);
    assert!(three.len() == 3 && three.iter().all(|(_, sure)| *sure >= 0.75), "{three:?}");
}

#[test]
fn a_connection_that_is_kept_and_answered_whenever_it_asks_is_a_menu_that_loads() {
    let polled = |wait: f64| {
        let polls: Vec<f64> = (0..4).map(|n| 1.0 + n as f64 * 20.0).collect();
        let answers: Vec<(f64, u64)> = polls.iter().map(|when| (when + wait, 900)).collect();
        let mut kept = menu();
        kept.last = at(65.0);
        let tcp = kept.tcp.as_mut().unwrap();
        tcp.bursts[0] = polls.iter().map(|when| Burst::whole(at(*when), at(*when), 9, 400)).collect();
        tcp.bursts[1] = answers.iter().map(|(when, bytes)| Burst::whole(at(*when), at(*when), 9, *bytes)).collect();
        let one = |n: u64| view(n, 5.0 + n as f64 * 20.0, 24.0 + n as f64 * 20.0, asked(5.0 + n as f64 * 20.0), &[]);
        let found = modes(vec![kept, one(0), one(1), one(2)]);
        found.into_iter().map(|(_, sure)| sure).fold(0.0, f64::max)
    };
    assert!(polled(0.05) >= 0.8, "{}", polled(0.05));
    assert!(polled(6.0) <= 0.65, "{}", polled(6.0));
}

#[test]
fn attempts_before_one_that_plays_at_once_are_a_hint_and_before_one_that_is_held_a_claim() {
    let given_up = |n: u64| {
        let mut case = view(n, 5.0 + n as f64 * 20.0, 24.0 + n as f64 * 20.0, asked(5.0 + n as f64 * 20.0), &[]);
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        case
    };
    let shown = |n: u64, asked: f64, from: f64, until: f64| {
        let mut case = view(n, asked, until, headed(asked, from), &video(from, until, 60_000));
        case.subs = Subs::of(Sub::VideoDown);
        case
    };
    let plays = |n: u64, from: f64| shown(n, from, from + 0.2, from + 15.0);
    let fourth =
        |from: f64| modes([vec![menu(), shown(9, 70.0, from, 120.0)], (0..3).map(given_up).collect()].concat());
    let played = fourth(70.2);
    assert!(played.len() == 3 && played.iter().all(|(_, sure)| *sure < 0.55), "{played:?}");
    let waited = fourth(85.0);
    assert!(waited.iter().filter(|(_, sure)| *sure >= 0.75).count() == 3, "{waited:?}");
    // and waits between views that play are not one box's
    let between: Vec<Case> = (0..4).flat_map(|n| [given_up(2 * n), plays(20 + n, 27.0 + 40.0 * n as f64)]).collect();
    let found = modes([vec![menu()], between].concat());
    assert!(found.len() == 4 && found.iter().all(|(_, sure)| *sure < 0.55), "{found:?}");
}

#[test]
fn what_goes_up_is_no_view_whoever_sends_it() {
    let swallowed = |n: u64| {
        let first = 5.0 + n as f64 * 30.0;
        let mut case = view(n + 1, first, first + 21.0, Turn::default(), &[]);
        (case.http, case.payload) = (None, [52_000, 4_600]);
        case.tls = menu().tls;
        let flight = Flight { client: 2, first: 53, asked: seen(first + 0.1, 3), ..Flight::default() };
        case.tls.as_mut().unwrap().flight = Some(flight);
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.turns, tcp.fin_by) = ([50_000, 0], Some(Direction::Resp));
        tcp.bursts[0] = vec![Burst::whole(at(first), at(first + 0.5), 4, 52_000)];
        case
    };
    let found = modes([vec![menu()], (0..4).map(swallowed).collect()].concat());
    assert!(matches!(found[..], [(Some(Mode::UploadSwallow), _)]), "{found:?}");
}

#[test]
fn what_a_relay_or_a_late_source_does_is_no_hold() {
    let late = [vec![(17.0, 300)], video(17.1, 40.0, 60_000)].concat();
    let gone = Turn { answered: Some(seen(35.0, 9)), status: 504, marks: VIEW, ..asked(5.0) };
    let short = view(3, 5.0, 12.0, asked(5.0), &[]);
    for case in [
        view(1, 5.0, 40.0, headed(5.0, 17.0), &late),
        view(2, 5.0, 35.1, gone, &[(35.0, 400)]),
        short,
        view(4, 5.0, 40.0, headed(5.0, 5.1), &video(5.1, 40.0, 60_000)),
    ] {
        let number = case.identity.flow_id;
        let mut case = case;
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        assert_eq!(modes(vec![menu(), case]), [], "case {number}");
    }
    let empty = modes(vec![menu(), view(5, 5.0, 40.0, headed(5.0, 5.1), &[(5.1, 300)])]);
    assert!(empty.iter().all(|(_, sure)| *sure < 0.55), "a camera that never starts: {empty:?}");
}

#[test]
fn a_backlog_at_once_was_held() {
    for rate in [20_000, 60_000, 500_000] {
        let held: u64 = rate * 14;
        let burst: Vec<(f64, u64)> = (0..50).map(|n| (19.0 + n as f64 * 0.03, held / 50)).collect();
        let pieces = [burst, video(20.6, 40.0, rate)].concat();
        let [(mode, sure)] = modes(vec![view(1, 5.0, 40.0, headed(5.0, 19.0), &pieces)])[..] else { panic!("{rate}") };
        assert!(mode == Some(Mode::HoldRelease) && sure >= 0.8, "{rate}: {sure}");
    }
    let at_end: Vec<(f64, u64)> = (0..50).map(|n| (35.0 + n as f64 * 0.02, 20_000)).collect();
    let mut case = view(1, 5.0, 36.1, headed(5.0, 35.0), &at_end);
    case.tcp.as_mut().unwrap().fin_by = Some(Direction::Resp);
    let [(mode, sure)] = modes(vec![case])[..] else { panic!() };
    assert!(mode == Some(Mode::HoldRelease) && sure >= 0.9, "{sure}");
}

#[test]
fn drops_by_a_timer_are_a_trickle() {
    let drops = |pause: f64, growth: f64| {
        let mut gap = pause;
        let mut now = 7.0;
        (0..6)
            .map(|_| {
                let piece = (now, 1);
                now += gap;
                gap *= growth;
                piece
            })
            .collect::<Vec<_>>()
    };
    for pieces in [drops(10.0, 1.0), drops(3.0, 1.0), drops(1.5, 2.0)] {
        let end = pieces.last().unwrap().0 + 5.0;
        let [(mode, sure)] = modes(vec![menu(), view(1, 5.0, end, asked(5.0), &pieces)])[..] else { panic!() };
        assert!(mode == Some(Mode::Trickle) && sure >= 0.55, "{sure}");
    }
    let irregular = [(7.0, 1), (8.1, 1), (19.0, 1), (22.0, 1), (49.0, 1)];
    assert!(
        modes(vec![menu(), view(1, 5.0, 50.0, headed(5.0, 7.0), &irregular)])
            .iter()
            .all(|(mode, _)| *mode != Some(Mode::Trickle))
    );
}

#[test]
fn behind_what_is_read_of_tls_the_last_words_of_the_client_are_the_request() {
    let view = |left: bool, spoke: Option<Spoke>, until: f64, since: u32| {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 85.0);
        let mut flight = Flight { client: 2, first: 53, asked: seen(5.1, 3), ..Flight::default() };
        if left {
            flight.leave();
        }
        case.tls.as_mut().unwrap().flight = Some(flight);
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.turns, tcp.spoke) = ([0, since], spoke);
        tcp.bursts[0].push(Burst::whole(at(40.0), at(until), 60, 900));
        found(vec![menu(), case], Vec::new(), detect)
    };
    let spoke = |second: f64, bytes: u32| Some(Spoke { ts: at(second), frame: 70, bytes });
    assert_eq!(view(false, None, 40.2, 0).len(), 1, "a request that was read");
    let late = view(true, spoke(40.0, 400), 40.2, 0);
    assert_eq!(late.iter().map(|finding| finding.evidence[0].frame).collect::<Vec<_>>(), [Some(70)]);
    assert_eq!(view(true, spoke(40.0, 400), 40.2, 24).len(), 1, "and the word that ends TLS");
    for (spoke, until, since, why) in [
        (None, 40.2, 0, "nobody knows when"),
        (spoke(40.0, 400), 40.2, 900, "it was answered"),
        (spoke(40.0, 70), 40.2, 0, "less than a request"),
        (spoke(40.0, 0), 40.2, 24, "it is not known how much was said"),
        (spoke(40.0, 90_000), 60.0, 0, "an upload"),
    ] {
        assert_eq!(view(true, spoke, until, since).len(), 0, "{why}");
    }
}

#[test]
fn what_is_missed_of_tls_is_judged_by_how_much_came_and_who_spoke_last() {
    let told = |asked: f64, spoke: f64, bytes: u32, since: u32| {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 65.0);
        let flight = Flight { client: 2, first: 53, missed: true, asked: seen(asked, 3), ..Flight::default() };
        case.tls.as_mut().unwrap().flight = Some(flight);
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.turns, tcp.spoke) = ([bytes, since], Some(Spoke { ts: at(spoke), frame: 70, bytes }));
        let found = found(vec![menu(), case], Vec::new(), detect);
        found.iter().map(|finding| finding.first).collect::<Vec<_>>()
    };
    assert_eq!(told(5.1, 5.1, 400, 0), [at(5.1)]);
    assert_eq!(told(5.1, 25.0, 400, 0), [at(25.0)], "the last request is another");
    assert_eq!(told(5.1, 5.3, 31, 0), [], "behind an answer it has made its window wider");
    assert_eq!(told(5.1, 5.1, 400, 20_000), [], "it was answered");
    // keys in the clear say that a cut hello's version is none of those that seal the end of the handshake
    let cut = |clear_keys: bool| {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 65.0);
        case.cut = true;
        let flight = Flight { client: 1, first: 400, asked: seen(5.1, 3), ..Flight::default() };
        let tls = case.tls.as_mut().unwrap();
        (tls.version, tls.clear_keys, tls.flight) = (0, clear_keys, Some(flight));
        modes(vec![menu(), case]).len()
    };
    assert_eq!((cut(true), cut(false)), (1, 0));
}

#[test]
fn http2_says_first_of_all_how_it_is_to_be_said() {
    let view = |n: u64, first: f64, h2: bool, later: bool, answers: &[u16]| {
        let mut case = tcp(n, VIEWER, RELAY, Class::Relay, RELAY_NAME, first, first + 18.0);
        let mut flight = Flight { client: 3, first: 53, asked: seen(first + 0.1, 3), later, ..Flight::default() };
        answers.iter().for_each(|length| _ = flight.answer(*length));
        let tls = case.tls.as_mut().unwrap();
        (tls.flight, tls.h2) = (Some(flight), h2);
        let tcp = case.tcp.as_mut().unwrap();
        tcp.turns = [0, answers.iter().map(|length| u32::from(*length) + 5).sum()];
        tcp.fin_by = Some(Direction::Orig);
        case
    };
    let claims = |h2: bool, later: bool, answers: &[u16]| {
        let views = (0..3).map(|n| view(n + 1, 5.0 + n as f64 * 20.0, h2, later, answers)).collect();
        modes([vec![menu()], views].concat()).iter().filter(|(_, sure)| *sure >= 0.75).count()
    };
    assert_eq!(claims(true, false, &[250, 250, 44, 26]), 3, "settings, and a word for the client's");
    assert_eq!(claims(true, false, &[250, 250, 44, 26, 50]), 0, "and that there is nothing to say");
    assert_eq!(claims(true, true, &[50]), 0, "so to a later request");
    assert_eq!(claims(false, false, &[250, 250, 44, 26]), 0, "in what is no HTTP/2");
}

#[test]
fn who_asks_again_on_one_connection_tries_again_in_http2() {
    let sure = |h2: bool, asks: &[f64]| {
        let mut case = talk(&[(5.1, 700)], &[], 65.0);
        let tls = case.tls.as_mut().unwrap();
        (tls.h2, tls.flight) = (h2, Some(Flight { client: 2, first: 53, asked: seen(5.1, 3), ..Flight::default() }));
        let tcp = case.tcp.as_mut().unwrap();
        tcp.turns = [2_000, 0];
        tcp.bursts[0] = asks.iter().map(|when| Burst::whole(at(*when), at(*when), 9, 400)).collect();
        modes(vec![menu(), case]).into_iter().map(|(_, sure)| sure).fold(0.0, f64::max)
    };
    let asks = [5.1, 19.0, 33.0, 47.0];
    assert!(sure(true, &asks) >= 0.8, "{}", sure(true, &asks));
    assert!(sure(false, &asks) < 0.55, "messages that want no answer");
    assert!(sure(true, &[5.1, 6.7, 8.3]) < 0.55, "a page that asks for several things");
}

#[test]
fn views_that_are_cut_off_after_one_time_are_a_cycle() {
    let cut = |ages: &[f64], ttl: u8, ends: f64, by_reset: bool| {
        let mut begun = 5.0;
        let mut views = Vec::new();
        for (n, age) in ages.iter().enumerate() {
            let shown = video(begun + 0.2, begun + age - ends, 40_000);
            let mut case = view(n as u64 + 1, begun, begun + age, headed(begun, begun + 0.2), &shown);
            (case.subs, case.ttl) = (Subs::of(Sub::VideoDown), [64, 46]);
            let tcp = case.tcp.as_mut().unwrap();
            match by_reset {
                true => tcp.reset = Some(ResetCase { seen: seen(begun + age, 9), by: Direction::Resp, ttl }),
                false => tcp.fin_by = Some(Direction::Resp),
            }
            views.push(case);
            begun += age + 1.0;
        }
        let found = found(views, Vec::new(), detect);
        found.iter().filter(|finding| finding.rule == "CF-6").map(|finding| finding.confidence).collect::<Vec<_>>()
    };
    let timer = [60.0; 4];
    assert!(matches!(cut(&timer, 64, 0.1, true)[..], [sure] if sure >= 0.8), "somebody else resets them");
    assert!(matches!(cut(&timer, 46, 0.1, true)[..], [sure] if (0.7..0.8).contains(&sure)));
    assert!(matches!(cut(&timer, 46, 0.1, false)[..], [sure] if sure < 0.55), "the relay ends what nobody looks at");
    assert_eq!(cut(&timer[..2], 64, 0.1, true), [0.0; 0], "twice is chance");
    assert_eq!(cut(&[60.0, 31.0, 44.0, 75.0], 46, 0.1, true), [0.0; 0], "short views");
    assert_eq!(cut(&timer, 46, 8.0, true), [0.0; 0], "nothing came any more");
}

#[test]
fn a_request_in_the_clear_may_be_short() {
    let told = |read: bool| {
        let turn = if read { headed(5.0, 17.1) } else { Turn { asked: None, ..headed(5.0, 17.1) } };
        let mut case = view(1, 5.0, 40.0, turn, &backlog(17.1, 12.0, 60_000));
        case.tcp.as_mut().unwrap().bursts[0] = vec![Burst::whole(at(4.9), Timestamp(at(5.0).0 - 400), 4, 88)];
        modes(vec![case]).into_iter().map(|(mode, _)| mode).collect::<Vec<_>>()
    };
    assert_eq!(told(true), [Some(Mode::HoldRelease)]);
    assert_eq!(told(false), [], "88 bytes that nobody has read are no request");
}

#[test]
fn a_viewer_that_has_nothing_of_a_recorder_but_asking_the_api_is_a_viewer() {
    let thick = |n: u64, until: f64, up: u64| {
        let first = 5.0 + n as f64 * 20.0;
        let mut case = view(n + 1, first, first + until, asked(first), &[]);
        (case.recorders, case.payload[0]) = ([true, false], up);
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig);
        if up > 0 {
            // what it asked is not read
            case.http = None;
        } else {
            // what a handshake brings
            (case.payload, case.tcp.as_mut().unwrap().turns) = ([600, 4_000], [300, 0]);
        }
        case
    };
    let claims = |until: f64, up: u64| {
        let found = modes([vec![menu()], (0..3).map(|n| thick(n, until, up)).collect()].concat());
        found.iter().filter(|(_, sure)| *sure >= 0.55).count()
    };
    assert_eq!(claims(14.0, 0), 3);
    assert_eq!(claims(14.0, 90_000), 0, "it has sent video");
}

#[test]
fn a_window_made_wider_is_no_request() {
    for (spoke, bytes, stalls) in [(5.1, 84, 0), (5.1, 300, 1), (6.0, 84, 1)] {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 45.0);
        case.tls.as_mut().unwrap().flight = Some(Flight { client: 3, asked: seen(5.1, 3), ..Flight::default() });
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.turns, tcp.spoke) = ([bytes, 0], Some(Spoke { ts: at(spoke), frame: 9, bytes }));
        assert_eq!(modes(vec![menu(), case]).len(), stalls, "{spoke} {bytes}");
    }
}

#[test]
fn session_tickets_are_no_answer_and_a_head_behind_them_is() {
    let sealed = |answers: &[u16], since: u32| {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 45.0);
        let mut flight = Flight { client: 2, first: 53, asked: seen(5.1, 3), ..Flight::default() };
        answers.iter().for_each(|length| _ = flight.answer(*length));
        case.tls.as_mut().unwrap().flight = Some(flight);
        case.tcp.as_mut().unwrap().turns = [0, since];
        modes(vec![menu(), case])
    };
    assert_eq!(sealed(&[250, 250], 510).len(), 1);
    assert_eq!(sealed(&[], 0).len(), 1);
    assert_eq!(sealed(&[250, 250, 310], 825), []);
    assert_eq!(sealed(&[1200], 1205), []);
}

#[test]
fn a_window_that_closes_next_door_is_a_wall_and_far_away_is_not() {
    let wall = |ttl: u8, reopened: bool| {
        let mut case = tcp(1, RECORDER, RELAY, Class::Relay, RELAY_NAME, 5.0, 60.0);
        case.ttl = [64, ttl];
        case.payload = [400_000, 0];
        let tcp = case.tcp.as_mut().unwrap();
        let mut sent = vec![Burst::whole(at(5.0), at(15.0), 1, 400_000)];
        if reopened {
            sent.push(Burst::whole(at(50.0), at(60.0), 1, 400_000));
        }
        tcp.bursts = [sent, Vec::new()];
        tcp.trouble[1].closed = Closed { since: at(15.0), frame: 70, nanos: 30 * SECOND };
        modes(vec![case])
    };
    let sure = |found: Vec<(Option<Mode>, f64)>| match found[..] {
        [(Some(Mode::ZeroWindow), sure)] => sure,
        _ => panic!("{found:?}"),
    };
    assert!(sure(wall(64, false)) >= 0.7);
    assert!(sure(wall(51, false)) < 0.55);
    assert!(sure(wall(64, true)) < 0.55);
}

#[test]
fn uploads_cut_alike_without_an_answer_are_a_cycle() {
    let upload = |n: u64, age: f64, answered: bool| {
        let first = 10.0 + n as f64 * 40.0;
        let turn = Turn {
            answered: answered.then(|| seen(first + age, 9)),
            status: if answered { 200 } else { 0 },
            marks: turn::POST | turn::SENDS_MESSAGE,
            ..asked(first)
        };
        let mut case = clear(tcp(n + 1, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, first + age), &[turn]);
        case.payload = [300_000, 0];
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.fin_by, tcp.turns) = (Some(Direction::Resp), [300_000, 0]);
        tcp.bursts = [vec![Burst::whole(at(first), at(first + age), 1, 300_000)], Vec::new()];
        case
    };
    let cut = modes((0..3).map(|n| upload(n, 30.0, false)).collect());
    assert!(matches!(cut[..], [(Some(Mode::UploadSwallow), sure)] if (0.5..0.55).contains(&sure)), "{cut:?}");
    let reset = |count: u64, age: f64| {
        let ends = |mut case: Case| {
            let tcp = case.tcp.as_mut().unwrap();
            (tcp.fin_by, tcp.rst_by) = (None, Some(Direction::Resp));
            case
        };
        modes((0..count).map(|n| ends(upload(n, age, false))).collect())
    };
    assert!(matches!(reset(4, 30.0)[..], [(Some(Mode::UploadSwallow), sure)] if sure >= 0.65), "somebody's timer");
    for (count, age) in [(3, 30.0), (4, 34.0)] {
        assert!(reset(count, age).iter().all(|(_, sure)| *sure < 0.55), "{count} of {age} s may be chance");
    }
    assert_eq!(modes((0..3).map(|n| upload(n, 30.0, true)).collect()), []);
    assert_eq!(modes((0..3).map(|n| upload(n, 5.0 + n as f64 * 9.0, false)).collect()), []);
}

/// A viewer's connection in TLS on which `asks` are said, each `(second, bytes)`, and `pieces` come.
fn talk(asks: &[(f64, u64)], pieces: &[(f64, u64)], end: f64) -> Case {
    let case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, asks[0].0, end);
    let mut case = with_pieces(case, asks[0].0, pieces);
    let tcp = case.tcp.as_mut().unwrap();
    tcp.bursts[0] = asks.iter().map(|(when, bytes)| Burst::whole(at(*when), at(*when), *when as u64, *bytes)).collect();
    case
}

/// What had waited for `seconds` at `rate`, at once, and then the stream.
fn backlog(when: f64, seconds: f64, rate: u64) -> Vec<(f64, u64)> {
    let held = (rate as f64 * seconds) as u64;
    let burst: Vec<(f64, u64)> = (0..50).map(|n| (when + f64::from(n) * 0.01, held / 50)).collect();
    [burst, video(when + 0.6, when + 20.0, rate)].concat()
}

#[test]
fn what_is_answered_at_once_was_not_held_however_long_nothing_was_asked() {
    let holds = |asks: &[(f64, u64)], pieces: Vec<(f64, u64)>| {
        let found = modes(vec![talk(asks, &pieces, 60.0)]);
        found.into_iter().filter(|(mode, _)| *mode == Some(Mode::HoldRelease)).count()
    };
    let menu = |bytes: u64| vec![(5.0, 4_000), (5.3, bytes)];
    let player = |when: f64| backlog(when, 12.0, 60_000);
    for page in [900, 40_000] {
        // a page, a pause, a click, and a player that begins with all it can get
        assert_eq!(holds(&[(5.0, 700), (5.2, 300), (18.0, 400)], [menu(page), player(18.1)].concat()), 0, "{page}");
        // a click that is held is a hold since the click
        assert_eq!(holds(&[(5.0, 700), (5.2, 300), (18.0, 400)], [menu(page), player(30.0)].concat()), 1, "{page}");
    }
    // behind the handshake nothing was answered; behind a page something was, and so was it behind a stream
    assert_eq!(holds(&[(5.0, 900)], [vec![(5.1, 4_600)], player(17.1)].concat()), 1);
    assert_eq!(holds(&[(5.0, 900)], [vec![(5.1, 40_000)], player(17.1)].concat()), 0);
    let windows: Vec<(f64, u64)> = (0..12).map(|n| (6.0 + f64::from(n), 39)).collect();
    let gap = [video(5.1, 18.0, 60_000), player(30.0)].concat();
    assert_eq!(holds(&[&[(5.0, 900)][..], &windows].concat(), gap), 0);
}

#[test]
fn a_stream_that_grows_was_not_held() {
    let windows: Vec<(f64, u64)> = (0..40).map(|n| (6.0 + f64::from(n), 39)).collect();
    let grows = [video(6.0, 21.0, 37_500), video(21.0, 46.0, 100_000)].concat();
    let moves = [video(6.0, 21.0, 50_000), video(21.0, 24.0, 190_000), video(24.0, 46.0, 50_000)].concat();
    let late = [video(7.5, 9.5, 45_000), video(9.5, 12.5, 115_000), video(12.5, 46.0, 45_000)].concat();
    for pieces in [grows, moves, late] {
        for by in [Direction::Orig, Direction::Resp] {
            let mut case = talk(&[&[(5.0, 900)][..], &windows].concat(), &pieces, 46.2);
            case.tcp.as_mut().unwrap().fin_by = Some(by);
            assert_eq!(modes(vec![case]), [], "{by:?}");
        }
    }
    // each piece is asked for, and the fifth is greater
    let asks: Vec<(f64, u64)> = (0..8).map(|n| (5.0 + 4.0 * f64::from(n), 300)).collect();
    let piece = |n: u32| {
        (0..10).map(move |k| {
            (
                if n == 0 { 6.0 } else { 5.1 + 4.0 * f64::from(n) } + f64::from(k) * 0.02,
                if n == 4 { 90_000 } else { 15_000 },
            )
        })
    };
    assert_eq!(modes(vec![talk(&asks, &(0..8).flat_map(piece).collect::<Vec<_>>(), 60.0)]), []);
}

#[test]
fn what_a_lost_line_kept_back_was_not_held() {
    let mut case = talk(&[(5.0, 900)], &[vec![(5.1, 4_600)], backlog(17.1, 12.0, 60_000)].concat(), 60.0);
    // a box that is slow to acknowledge makes the request be sent twice
    for (repeat, holds) in [(30.0, 1), (8.0, 0), (5.3, 1)] {
        let trouble = &mut case.tcp.as_mut().unwrap().trouble[0];
        (trouble.first_repeat, trouble.last_repeat) = (at(repeat), at(repeat));
        assert_eq!(modes(vec![case.clone()]).len(), holds, "{repeat}");
    }
}

#[test]
fn connections_side_by_side_are_one_attempt() {
    let poll = |n: u64, when: f64, until: f64| {
        let mut case = view(n, when, until, asked(when), &[]);
        case.tcp.as_mut().unwrap().fin_by = (until < 60.0).then_some(Direction::Orig);
        case
    };
    let sure = |all: [Case; 3]| {
        let found = modes([vec![menu()], all.to_vec()].concat());
        found.iter().filter(|(_, sure)| *sure >= 0.55).count()
    };
    assert_eq!(sure([poll(1, 5.0, 60.0), poll(2, 5.1, 60.0), poll(3, 5.2, 60.0)]), 0);
    let open = |n: u64, when: f64, last: f64| view(n, when, last, asked(when), &[]);
    assert_eq!(sure([open(1, 5.0, 5.05), open(2, 5.1, 5.15), open(3, 5.2, 60.0)]), 0);
    assert_eq!(sure([poll(1, 5.0, 18.0), poll(2, 18.2, 40.0), poll(3, 40.0, 60.0)]), 3);
    // a player that tries again every ten seconds may end all its attempts together
    let ended = |n: u64, when: f64| poll(n, when, 55.0);
    assert_eq!(sure([ended(1, 5.0), ended(2, 15.0), ended(3, 25.0)]), 3);
    assert_eq!(sure([ended(1, 5.0), ended(2, 9.0), ended(3, 13.0)]), 0);
}

#[test]
fn events_behind_a_head_are_no_claim_and_comfort_without_one_is() {
    let told = |answers: &[u16], version: u16| {
        let size = u64::from(*answers.last().unwrap()) + 5;
        let drops: Vec<(f64, u64)> = (0..6).map(|n| (20.0 + 15.0 * f64::from(n), size)).collect();
        let mut case = talk(&[(5.0, 900)], &[vec![(5.1, 4_600)], drops.clone()].concat(), 100.0);
        let mut flight = Flight { client: 2, first: 53, asked: seen(5.1, 3), ..Flight::default() };
        answers.iter().for_each(|length| _ = flight.answer(*length));
        let tls = case.tls.as_mut().unwrap();
        (tls.version, tls.flight) = (version, Some(flight));
        case.tcp.as_mut().unwrap().turns = [0, answers.iter().map(|length| u32::from(*length)).sum()];
        modes(vec![menu(), case])
            .into_iter()
            .filter(|(_, sure)| *sure >= 0.55)
            .map(|(mode, _)| mode)
            .collect::<Vec<_>>()
    };
    for (answers, version, claims) in [
        (&[18, 18, 18, 18][..], 0x0304, 1),
        (&[250, 250, 18, 18, 18, 18], 0x0304, 1),
        (&[250, 250, 190, 18, 18, 18], 0x0304, 1),
        (&[250, 250, 190, 60, 60, 60], 0x0304, 0),
        (&[250, 250, 90, 90, 90, 90], 0x0304, 1),
        (&[25, 25, 25, 25], 0x0303, 1),
        (&[190, 25, 25, 25], 0x0303, 1),
        (&[190, 60, 60, 60], 0x0303, 0),
    ] {
        assert_eq!(told(answers, version), vec![Some(Mode::Trickle); claims], "{answers:?} {version:x}");
    }
}

#[test]
fn a_brief_answer_within_tls_may_be_one() {
    let sure = |answers: &[u16], first: u16, client: u16| {
        let mut case = tcp(1, VIEWER, RELAY, Class::Relay, RELAY_NAME, 5.0, 25.0);
        let again = tcp(2, VIEWER, RELAY, Class::Relay, RELAY_NAME, 26.0, 46.0);
        let mut flight = Flight { client, first, asked: seen(5.1, 3), ..Flight::default() };
        answers.iter().for_each(|length| _ = flight.answer(*length));
        case.tls.as_mut().unwrap().flight = Some(flight);
        let tcp = case.tcp.as_mut().unwrap();
        tcp.turns = [0, answers.iter().map(|length| u32::from(*length) + 5).sum()];
        tcp.fin_by = Some(Direction::Orig);
        let mut again = Case { tls: case.tls.clone(), ..again };
        again.tcp.as_mut().unwrap().turns = case.tcp.as_ref().unwrap().turns;
        again.tls.as_mut().unwrap().flight.as_mut().unwrap().asked = seen(26.1, 9);
        modes(vec![menu(), case, again]).iter().filter(|(_, sure)| *sure >= 0.55).count()
    };
    assert_eq!(sure(&[], 53, 2), 2, "nothing");
    assert_eq!(sure(&[250, 250], 53, 2), 2, "tickets");
    assert_eq!(sure(&[19], 53, 2), 2, "a word that ends TLS");
    assert_eq!(sure(&[250, 250, 252], 53, 2), 0, "an answer of a ticket's size");
    assert_eq!(sure(&[50], 53, 2), 0, "there is nothing to say");
    assert_eq!(sure(&[], 21, 2), 0, "what was asked came with the hello");
}
