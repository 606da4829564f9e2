use super::*;
use crate::classify::words::{Sub, Subs};
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{RuleId, Rules};
use crate::diagnose::testcases::{
    RECORDER, RELAY, RELAY_NAME, VIEWER, at, burst, clear, found_in, media, stun, tcp, udp, unanswered,
};
use crate::engine::case::{Case, Cases};
use crate::engine::learnt::{Turn, turn};
use crate::event::{CaptureQuality, Class, Manner, Mode};

const PEER: &str = "192.0.2.60";

fn told(flows: Vec<Case>, findings: &[FindingRecord]) -> Vec<SessionRecord> {
    found_in(Cases { flows, ..Cases::default() }, |scene| sessions(scene, findings))
}

/// A flow to the relay with video of `client`, up or down, at `bytes` a second.
fn video(number: u64, client: &str, sub: Sub, first: f64, last: f64, bytes: f64) -> Case {
    let mut case = tcp(number, client, RELAY, Class::Relay, RELAY_NAME, first, last);
    let sum = ((last - first) * bytes) as u64;
    case.subs = Subs::of(sub);
    let side = usize::from(sub == Sub::VideoDown);
    case.payload[side] = sum;
    case.tcp.as_mut().unwrap().bursts[side] = burst(first, last, sum);
    case
}

/// A flow from `client` straight to a recorder, with video.
fn straight(number: u64, client: &str, recorder: &str, class: Class, first: f64, last: f64) -> Case {
    let mut case = tcp(number, client, recorder, class, "", first, last);
    (case.payload, case.recorders) = ([500, 1_000_000], [false, recorder == RECORDER]);
    let tcp = case.tcp.as_mut().unwrap();
    (tcp.bursts[1], tcp.video_windows) = (burst(first, last, 1_000_000), [0, 2]);
    case
}

fn checks(number: u64, peer: &str, first: f64, last: f64, answered: u32) -> Case {
    let case = udp(tcp(number, RECORDER, peer, Class::P2p, "", first, last), 5_000, 6_000, [7, 0]);
    stun(case, [7, 0], [0, answered], None)
}

fn finding(rule: RuleId, case: &Case, mode: Option<Mode>) -> FindingRecord {
    let rules = Rules::embedded().unwrap();
    let draft = Draft::new(&rules, rule, case.first(), case.last).about(case).base(0.9);
    match mode {
        Some(mode) => draft.mode(mode).build(),
        None => draft.build(),
    }
}

/// A session's steps in short: each way, and what became of it.
fn ways(session: &SessionRecord) -> Vec<(Method, StepOutcome)> {
    session.steps.iter().map(|step| (step.method, step.outcome)).collect()
}

use Method::{Direct, Lsf, P2p, Relay};
use StepOutcome::{Failed, NotTried, Unclear, Worked};

#[test]
fn a_view_over_the_relay_tells_its_rate() {
    let sessions = told(vec![video(1, RECORDER, Sub::VideoUp, 5.0, 25.0, 100_000.0)], &[]);
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert_eq!(ways(session), [(Direct, NotTried), (Lsf, NotTried), (P2p, NotTried), (Relay, Worked)]);
    assert_eq!((session.path, session.recorder, session.client), (Some(Relay), Some(RECORDER.parse().unwrap()), None));
    assert!((session.bit_rate.unwrap() - 800_000.0).abs() < 1.0, "{:?}", session.bit_rate);
    let row = session.table.as_ref().unwrap();
    assert_eq!((row.channels, row.bit_rate, &*row.source), (1, 800_000.0, "S1:167-172"));
    assert_eq!(
        session.story,
        "Video went up to the relay at 800 kb/s (nearest in the vendor's table: 1 SD channel, 800 kb/s). Whether it arrives \
         cannot be told from here: a capture outside the site's firewall at the same time, or one at the viewer would tell."
    );
    // what comes all at once has no rate, and no row
    let burst = told(vec![video(1, RECORDER, Sub::VideoUp, 5.0, 5.9, 100_000.0)], &[]);
    assert_eq!((burst[0].path, burst[0].bit_rate, &burst[0].table), (Some(Relay), None, &None));
    // where the viewer is seen too, or a hold, there is nothing left to be told
    let both = [
        video(1, RECORDER, Sub::VideoUp, 5.0, 25.0, 100_000.0),
        video(2, VIEWER, Sub::VideoDown, 5.2, 25.2, 100_000.0),
    ];
    assert!(told(both.to_vec(), &[]).iter().all(|session| session.story.starts_with("Video came by the relay at 800")));
}

#[test]
fn streams_side_by_side_are_one_view_and_their_rates_add_up() {
    let of = |number, first: f64| video(number, VIEWER, Sub::VideoDown, first, first + 20.0, 50_000.0);
    let sessions = told(vec![of(1, 5.0), of(2, 6.0), of(3, 7.0)], &[]);
    assert_eq!((sessions.len(), &*sessions[0].steps[3].flow_ids), (1, &[1, 2, 3][..]));
    let rate = 60.0 * 50_000.0 * 8.0 / 22.0;
    assert!((sessions[0].bit_rate.unwrap() - rate).abs() < 1.0);
    // the next view is another attempt
    let sessions = told(vec![of(1, 5.0), of(2, 60.0)], &[]);
    assert_eq!(sessions.iter().map(|s| s.start).collect::<Vec<_>>(), [at(5.0), at(60.0)]);
}

#[test]
fn from_peer_to_peer_in_vain_and_then_by_the_relay() {
    let local = checks(2, "10.20.0.60", 5.0, 12.0, 0);
    let public = checks(3, PEER, 5.0, 12.0, 0);
    let failed = finding(RuleId::D14, &local, None);
    let failed = FindingRecord { flow_ids: vec![2, 3], ..failed };
    let sessions = told(
        vec![local, public, video(4, RECORDER, Sub::VideoUp, 14.0, 30.0, 60_000.0)],
        std::slice::from_ref(&failed),
    );
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert_eq!(ways(session)[2..], [(P2p, Failed), (Relay, Worked)]);
    assert_eq!(session.steps[2].reason, "14 checks out, 0 answered, 0 in; the peer's answers never arrive (D-14)");
    assert_eq!(session.finding_ids, [failed.id]);
    assert!(session.story.contains("; p2p failed: 14 checks out"), "{}", session.story);
}

#[test]
fn from_peer_to_peer_with_what_stun_told() {
    let mut asked = udp(tcp(1, RECORDER, "203.0.113.40", Class::Stun, "", 4.0, 4.1), 5_000, 3478, [1, 1]);
    asked.subs = Subs::of(Sub::Vendor);
    let asked = stun(asked, [1, 0], [0, 1], Some("203.0.113.7:5000"));
    let mut direct = checks(2, PEER, 5.0, 25.0, 7);
    (direct.subs, direct.payload) = (Subs::of(Sub::SctpUdp), [2_000_000, 30_000]);
    let sessions = told(vec![asked, media(direct, [25.0, 25.0])], &[]);
    let session = &sessions[0];
    assert_eq!((session.path, session.client), (Some(P2p), Some(PEER.parse().unwrap())));
    assert_eq!(session.recorder, Some(RECORDER.parse().unwrap()));
    assert_eq!(session.steps[2].reason, "seen from outside as 203.0.113.7:5000; 7 checks out, 7 answered, 0 in");
    assert!((session.bit_rate.unwrap() - 800_000.0).abs() < 1.0);
    assert_eq!(session.steps.len(), 3);
}

#[test]
fn without_an_answer_of_stun_no_peer_is_tried() {
    let mut asked = udp(tcp(1, RECORDER, "203.0.113.40", Class::Stun, "", 4.0, 12.0), 5_000, 3478, [6, 0]);
    asked.subs = Subs::of(Sub::Vendor);
    let relay = video(2, RECORDER, Sub::VideoUp, 14.0, 30.0, 60_000.0);
    let flows = vec![stun(asked, [6, 0], [0, 0], None), relay];
    let sessions = told(flows.clone(), &[]);
    assert_eq!(ways(&sessions[0])[2..], [(P2p, Failed), (Relay, Worked)]);
    assert_eq!(sessions[0].steps[2].reason, "STUN is not answered, so no peer was tried");
    // a mirror of one direction hides answers
    let quality = CaptureQuality { one_sided_share: 0.9, one_sided_flows: 9, ..CaptureQuality::default() };
    let sessions = found_in(Cases { flows, ..Cases::default() }, |scene| {
        super::sessions(&Scene { quality: &quality, ..*scene }, &[])
    });
    assert_eq!((sessions[0].steps[2].method, sessions[0].steps[2].outcome), (P2p, Unclear));
}

#[test]
fn a_peer_that_broke_off_hands_over_to_the_relay_and_one_that_is_closed_does_not() {
    let mut direct = checks(2, PEER, 5.0, 20.0, 7);
    direct.subs = Subs::of(Sub::SctpUdp);
    direct.payload = [900_000, 30_000];
    let direct = media(direct, [20.0, 15.0]);
    let relay = video(3, RECORDER, Sub::VideoUp, 33.0, 50.0, 60_000.0);
    let broke = FindingRecord { flow_ids: vec![2, 3], ..finding(RuleId::D18, &direct, None) };
    let sessions = told(vec![direct.clone(), relay.clone()], &[broke]);
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].path, &ways(&sessions[0])[2..]), (Some(Relay), &[(P2p, Worked), (Relay, Worked)][..]));
    assert!(sessions[0].story.contains("before, it came from peer to peer"), "{}", sessions[0].story);
    let apart = told(vec![direct, relay], &[]);
    assert_eq!(apart.iter().map(|s| s.path).collect::<Vec<_>>(), [Some(P2p), Some(Relay)]);
}

#[test]
fn in_one_place_it_is_the_local_network() {
    let sessions = told(vec![straight(1, VIEWER, RECORDER, Class::Lsf, 5.0, 15.0)], &[]);
    assert_eq!(ways(&sessions[0]), [(Direct, NotTried), (Lsf, Worked)]);
    assert_eq!(sessions[0].client, Some(VIEWER.parse().unwrap()));
    assert_eq!(sessions[0].recorder, Some(RECORDER.parse().unwrap()));
    // a page of the recorder's is no view
    let mut page = straight(1, VIEWER, RECORDER, Class::LocalIp, 5.0, 6.0);
    page.tcp.as_mut().unwrap().video_windows = [0; 2];
    assert!(told(vec![page], &[]).is_empty());
}

#[test]
fn a_forwarded_port_that_is_shut() {
    let mut syn = unanswered(tcp(1, PEER, RECORDER, Class::Direct, "", 5.0, 12.0), 4);
    syn.recorders = [false, true];
    let broken = finding(RuleId::D20, &syn, None);
    let sessions = told(vec![syn.clone()], &[broken]);
    assert_eq!((ways(&sessions[0]), sessions[0].path), (vec![(Direct, Failed)], None));
    assert_eq!(sessions[0].story, "No video came: direct failed: the forwarded port does not answer (D-20).");
    assert_eq!(sessions[0].client, Some(PEER.parse().unwrap()));
    // one knock at the door, of whoever it may be, is no attempt to view
    assert!(told(vec![syn], &[]).is_empty());
}

#[test]
fn a_held_stream_is_a_failure_and_a_hint_of_one_is_unclear() {
    let held = video(1, VIEWER, Sub::VideoDown, 5.0, 40.0, 10.0);
    let stall = finding(RuleId::Cf1, &held, Some(Mode::BufferAll));
    let sessions = told(vec![held.clone()], std::slice::from_ref(&stall));
    assert_eq!((sessions[0].path, ways(&sessions[0])[3]), (None, (Relay, Failed)));
    assert_eq!(sessions[0].bit_rate, None);
    let mut silent = held;
    silent.subs = Subs::NONE;
    silent.recorders = [false; 2];
    let asked = Turn { marks: turn::GET | turn::MESSAGE, status: 200, ..Turn::default() };
    let silent = clear(silent, &[asked]);
    let hint = FindingRecord { confidence: 0.5, ..stall.clone() };
    let sessions = told(vec![silent.clone()], &[hint]);
    assert_eq!(ways(&sessions[0])[3], (Relay, Unclear));
    assert_eq!(sessions[0].steps[3].reason, "perhaps the stream is held back on the way (CF-1)");
    assert_eq!(told(vec![silent], &[])[0].steps[3].reason, "it was asked for, and no picture came");
    // what is released late has come
    let late = video(1, VIEWER, Sub::VideoDown, 5.0, 40.0, 50_000.0);
    let release = FindingRecord { mode: Some(Mode::HoldRelease), ..stall.clone() };
    let cut = FindingRecord { mode: None, manner: Some(Manner::CutOff), ..stall.clone() };
    let sessions = told(vec![late.clone()], &[cut]);
    assert_eq!(sessions[0].path, Some(Relay), "what is cut off in the middle");
    assert_eq!(sessions[0].steps[3].reason, "the stream is cut off on the way (CF-1)");
    // drops alone are no video, the rest behind them is
    let drops = FindingRecord { mode: Some(Mode::Trickle), ..stall };
    assert_eq!(told(vec![late.clone()], std::slice::from_ref(&drops))[0].path, None);
    let drops = FindingRecord { manner: Some(Manner::Released), ..drops };
    assert_eq!(told(vec![late.clone()], &[drops])[0].path, Some(Relay));
    let sessions = told(vec![late], &[release]);
    assert_eq!(sessions[0].path, Some(Relay));
    assert_eq!(sessions[0].steps[3].reason, "the stream was held back for a while (CF-1)");
}

#[test]
fn what_was_held_back_and_comes_at_once_has_no_rate() {
    let mut late = video(1, VIEWER, Sub::VideoDown, 5.0, 39.0, 100_000.0);
    late.tcp.as_mut().unwrap().bursts[1] = [burst(10.0, 10.5, 2_000_000), burst(11.0, 39.0, 1_400_000)].concat();
    let release = finding(RuleId::Cf4, &late, Some(Mode::HoldRelease));
    assert_eq!(told(vec![late.clone()], &[release])[0].bit_rate, Some(400_000.0));
    assert!(told(vec![late], &[])[0].bit_rate.is_some_and(|rate| rate > 900_000.0));
}

#[test]
fn a_standing_connection_is_no_view() {
    let standing = tcp(1, RECORDER, RELAY, Class::Relay, RELAY_NAME, 1.0, 60.0);
    let told_to = Turn { marks: turn::POST | turn::MESSAGE, status: 200, ..Turn::default() };
    assert!(told(vec![standing.clone(), clear(standing.clone(), &[told_to])], &[]).is_empty());
    let lost = unanswered(standing, 4);
    let blocked = finding(RuleId::D6, &lost, Some(Mode::Drop));
    assert!(told(vec![lost], &[blocked]).is_empty());
}

#[test]
fn a_name_that_does_not_resolve_is_an_attempt_of_who_logs_in() {
    let login = tcp(1, VIEWER, "203.0.113.22", Class::Login, "ows.openeye.net", 1.0, 3.0);
    let mut lost = finding(RuleId::D1, &login, Some(Mode::Nxdomain));
    (lost.host, lost.flow_ids) = (Some(RELAY_NAME.to_owned()), vec![9]);
    lost.flow_ids_omitted = 904;
    let sessions = told(vec![login], &[lost.clone()]);
    // what the finding leaves out is left out here as well
    assert_eq!(sessions[0].steps.iter().map(|step| step.flow_ids_omitted).max(), Some(904));
    assert_eq!((ways(&sessions[0])[3], &*sessions[0].steps[3].flow_ids), ((Relay, Failed), &[9][..]));
    assert_eq!(sessions[0].client, Some(VIEWER.parse().unwrap()));
    let recorders = tcp(1, RECORDER, "203.0.113.21", Class::Licensing, "activateapi.gp4f.com", 1.0, 3.0);
    assert!(told(vec![recorders], &[lost]).is_empty());
}

#[test]
fn what_is_captured_twice_is_told_once() {
    let up = video(1, RECORDER, Sub::VideoUp, 5.0, 25.0, 100_000.0);
    let outside = video(2, "203.0.113.7", Sub::VideoUp, 5.01, 25.0, 100_000.0);
    let down = video(3, VIEWER, Sub::VideoDown, 5.5, 25.0, 95_000.0);
    for flows in [vec![up.clone(), outside.clone(), down.clone()], vec![outside, up, down]] {
        let sessions = told(flows, &[]);
        assert_eq!(sessions.len(), 1, "{sessions:#?}");
        let session = &sessions[0];
        let ends = [session.client, session.recorder].map(Option::unwrap);
        assert_eq!(ends, [VIEWER.parse::<IpAddr>().unwrap(), RECORDER.parse().unwrap()]);
        assert_eq!(session.steps[3].flow_ids.len(), 3);
    }
    // another view at the same time is another one
    let small = video(4, VIEWER, Sub::VideoDown, 5.5, 25.0, 30_000.0);
    assert_eq!(told(vec![video(1, RECORDER, Sub::VideoUp, 5.0, 25.0, 100_000.0), small], &[]).len(), 2);
}

#[test]
fn a_connection_that_a_gateway_turned_round_is_told_once() {
    let hairpin = straight(1, VIEWER, "203.0.113.7", Class::Direct, 5.0, 15.0);
    let inside = straight(2, "192.168.1.1", RECORDER, Class::Lsf, 5.0, 15.0);
    let sessions = told(vec![inside, hairpin], &[]);
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].path, Some(Direct));
    assert_eq!(sessions[0].client, Some(VIEWER.parse().unwrap()));
    assert_eq!(sessions[0].recorder, Some(RECORDER.parse().unwrap()));
}

#[test]
fn many_flows_take_no_time() {
    let flows = (0..20_000).map(|n| video(n, RECORDER, Sub::VideoUp, n as f64 * 0.1, n as f64 * 0.1 + 1.0, 100_000.0));
    let sessions = told(flows.collect(), &[]);
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].steps[3].flow_ids.len(), crate::event::LIST_MAX);
    assert_eq!(sessions[0].steps[3].flow_ids_omitted, 20_000 - crate::event::LIST_MAX as u64);
}
