use super::*;
use crate::classify::site::Site;
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, at, burst, clear, found_at, found_in, tcp};
use crate::engine::case::Cases;
use crate::engine::learnt::Turn;

#[test]
fn a_list_of_recorders_has_a_bound() {
    let recorders_given = (0..LIST_MAX as u32 + 5).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 | n).into());
    let site = Site { recorders: recorders_given.collect(), ..Site::default() };
    let (told, omitted) = found_at(site, Cases::default(), recorders);
    assert_eq!((told.len(), omitted), (LIST_MAX, 5));
}

fn told(flows: Vec<Case>) -> Vec<RecorderRecord> {
    found_in(Cases { flows, ..Cases::default() }, |scene| recorders(scene).0)
}

fn relay(number: u64, first: f64, last: f64) -> Case {
    tcp(number, RECORDER, RELAY, Class::Relay, RELAY_NAME, first, last)
}

fn bursts(list: &[(f64, u64)]) -> Vec<Burst> {
    list.iter().flat_map(|(when, bytes)| burst(*when, when + 0.1, *bytes)).collect()
}

#[test]
fn the_support_page_of_a_recorder() {
    let mut standing = relay(1, 1.0, 60.0);
    let tcp = standing.tcp.as_mut().unwrap();
    // heart-beats of the recorder's own, and one request of the relay's that is answered
    tcp.bursts = [
        bursts(&[(1.0, 900), (10.0, 2_600), (20.0, 2_600), (30.0, 2_600), (33.5, 5_000), (40.0, 2_600)]),
        bursts(&[(1.2, 3_000), (10.1, 90), (20.1, 90), (30.1, 90), (33.0, 400), (40.1, 90)]),
    ];
    let again = relay(2, 5.0, 6.0);
    let viewer = super::super::testcases::tcp(3, VIEWER, RELAY, Class::Relay, RELAY_NAME, 50.0, 70.0);
    let told = told(vec![standing, again, viewer]);
    assert_eq!(told.len(), 1);
    let recorder = &told[0];
    assert_eq!((recorder.last_active, recorder.last_registered), (Some(at(40.1)), Some(at(5.0))));
    assert_eq!((recorder.last_response, recorder.response_sequence), (Some(at(33.6)), 1));
    assert!(!recorder.given);
}

#[test]
fn in_the_clear_each_post_is_a_response() {
    let post = |second: f64| Turn {
        marks: turn::POST | turn::SENDS_MESSAGE,
        asked: Some(crate::diagnose::testcases::seen(second, 7)),
        ..Turn::default()
    };
    let told = told(vec![clear(relay(1, 1.0, 9.0), &[post(1.1), post(2.0), post(3.0)])]);
    assert_eq!((told[0].response_sequence, told[0].last_response), (3, Some(at(1.1))));
}

#[test]
fn what_was_running_before_has_not_registered_within() {
    let mut midstream = relay(1, 0.0, 30.0);
    midstream.midstream = true;
    let told = told(vec![midstream]);
    assert_eq!((told[0].last_registered, told[0].response_sequence), (None, 0));
    assert!(told[0].last_active.is_some());
}
