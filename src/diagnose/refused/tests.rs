use super::*;
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, at, burst, clear, found, reset, seen, tcp};
use crate::engine::learnt::Turn;
use crate::event::{Kind, Mode};

/// A turn asked at that second and answered so much later; a status of 0 is no answer.
fn turned(asked: f64, took: f64, status: u16, marks: u32) -> Turn {
    let answered = (status != 0).then(|| seen(asked + took, 20));
    Turn { asked: Some(seen(asked, 10)), answered, status, marks, ..Turn::default() }
}

const UPLOAD: u32 = turn::POST | turn::SENDS_MESSAGE | turn::SENDS_BODY;

fn relay(number: u64, client: &str, first: f64, turns: &[Turn]) -> Case {
    clear(tcp(number, client, RELAY, Class::Relay, RELAY_NAME, first, first + 4.0), turns)
}

/// A connection to the same host that works, within TLS.
fn sealed(number: u64, client: &str) -> Case {
    tcp(number, client, RELAY, Class::Relay, RELAY_NAME, 0.0, 60.0)
}

fn told(flows: Vec<Case>) -> Vec<(Kind, Option<Mode>, &'static str, f64, Timestamp)> {
    let found = found(flows, Vec::new(), detect);
    found.iter().map(|f| (f.kind, f.mode, f.rule, f.confidence, f.first)).collect()
}

#[test]
fn an_upload_that_is_refused_is_told_and_one_that_goes_through_later_is_not() {
    let refused = |n: u64, first: f64, status| relay(n, RECORDER, first, &[turned(first, 0.4, status, UPLOAD)]);
    let title = |status| found(vec![refused(2, 3.0, status)], Vec::new(), detect).swap_remove(0).title;
    assert!(title(403).contains("are refused (403)"), "{}", title(403));
    assert!(title(413).contains("for their size (413)"), "{}", title(413));
    assert!(title(411).contains("do not say how long they are (411)"), "{}", title(411));
    assert!(title(500).contains("fails at uploads (500)"), "{}", title(500));
    let found = told(vec![sealed(1, RECORDER), refused(2, 3.0, 413), refused(3, 9.0, 413)]);
    assert_eq!(found, [(Kind::PostRefused, None, "CF-7", 0.85, at(3.0))]);
    // nothing else of the host was seen to pass
    assert_eq!(told(vec![refused(2, 3.0, 403)])[0].3, 0.75);
    // one that is not to blame: the same client's next upload runs
    let healthy = relay(4, RECORDER, 15.0, &[turned(15.0, 1.0, 200, UPLOAD)]);
    assert_eq!(told(vec![sealed(1, RECORDER), refused(2, 3.0, 413), healthy]), []);
    // the relay's own words: not authorised, nobody there, gone
    for status in [408, 417] {
        assert_eq!(told(vec![sealed(1, RECORDER), refused(2, 3.0, status)]).len(), 1, "{status}");
    }
    let late = relay(2, RECORDER, 3.0, &[turned(3.0, 30.0, 408, UPLOAD)]);
    assert_eq!(told(vec![sealed(1, RECORDER), late]), []);
    for status in [401, 404, 503] {
        assert_eq!(told(vec![sealed(1, RECORDER), refused(2, 3.0, status)]), [], "{status}");
    }
    let slow = relay(2, RECORDER, 3.0, &[turned(3.0, 30.0, 504, UPLOAD)]);
    assert_eq!(told(vec![sealed(1, RECORDER), slow]), []);
}

#[test]
fn an_upload_that_a_box_next_door_resets_is_refused() {
    let cut = |life: f64, ttl: u8, rtt: f64| {
        let mut case = reset(relay(2, RECORDER, 3.0, &[turned(3.0, 0.0, 0, UPLOAD)]), Direction::Resp, 3.0 + life, ttl);
        (case.payload[0], case.ttl[1]) = (90_000, ttl);
        case.tcp.as_mut().unwrap().rtt_min = Some(rtt);
        let api = tcp(3, RECORDER, "203.0.113.20", Class::Api, "restapi.gp4f.com", 0.0, 60.0);
        told(vec![sealed(1, RECORDER), case, api])
    };
    assert_eq!(cut(1.7, 64, 0.0004), [(Kind::PostRefused, None, "CF-7", 0.6, at(3.0))]);
    // a view that somebody ended, or the relay's own reset
    assert_eq!(cut(6.0, 64, 0.0004), []);
    assert_eq!(cut(1.7, 52, 0.02), []);
}

#[test]
fn uploads_that_are_each_cut_in_their_beginning_are_refused() {
    let said = |flows| told(flows).into_iter().map(|f| (f.0, f.2, f.3)).collect::<Vec<_>>();
    let upload = |n: u64, life: f64| {
        let first = n as f64 * 8.0;
        let mut case = reset(sealed(n, RECORDER), Direction::Resp, first + life, 52);
        (case.identity.start, case.last, case.recorders) = (at(first), at(first + life), [true, false]);
        case.payload[0] = 21_000;
        case
    };
    let api = || tcp(9, RECORDER, "203.0.113.20", Class::Api, API, 0.0, 60.0);
    let with = |change: &dyn Fn(&mut Case)| {
        let mut cut: Vec<Case> = (1..=4).map(|n| upload(n, 0.4)).collect();
        cut.iter_mut().for_each(change);
        said([cut, vec![api()]].concat())
    };
    let refused = |sure| vec![(Kind::PostRefused, "CF-7", sure)];
    assert_eq!(with(&|_| ()), refused(0.65));
    let closed = |case: &mut Case| {
        let tcp = case.tcp.as_mut().unwrap();
        (tcp.reset, tcp.rst_by, tcp.fin_by) = (None, None, Some(Direction::Resp));
    };
    // in good order, with all taken in, it may have been swallowed
    assert_eq!(with(&closed), refused(0.5));
    let broken = |case: &mut Case| {
        closed(case);
        case.tcp.as_mut().unwrap().unacknowledged[0] = Some(4_096);
    };
    assert_eq!(with(&broken), refused(0.65));
    // once or twice, and where nothing else of the vendor answers
    assert_eq!(said(vec![upload(1, 0.4), upload(2, 0.4), api()]), refused(0.5));
    assert_eq!(said((1..=4).map(|n| upload(n, 0.4)).collect()), refused(0.5));
    // another upload runs
    let mut runs = sealed(7, RECORDER);
    runs.tcp.as_mut().unwrap().bursts[0] = crate::diagnose::testcases::burst(30.0, 50.0, 900_000);
    assert_eq!(said((1..=4).map(|n| upload(n, 0.4)).chain([api(), runs]).collect()), []);
    // it was answered; it went on for longer; it is hardly a body; the recorder itself leaves; a viewer's
    let answers = |lengths: &'static [u16]| {
        move |case: &mut Case| {
            let flight = case.tls.as_mut().unwrap().flight.as_mut().unwrap();
            lengths.iter().for_each(|length| _ = flight.answer(*length));
        }
    };
    assert_eq!(with(&answers(&[410])), []);
    assert_eq!(with(&answers(&[250, 250])), refused(0.65));
    // a short answer is one, and of two records before an end in good order one may be
    assert_eq!(with(&answers(&[250, 250, 60])), []);
    let in_order = |lengths: &'static [u16]| {
        move |case: &mut Case| {
            broken(case);
            answers(lengths)(case);
        }
    };
    assert_eq!(with(&in_order(&[19])), refused(0.65));
    assert_eq!(with(&in_order(&[250, 250])), refused(0.5));
    assert_eq!(with(&in_order(&[250])), []);
    assert_eq!(said((1..=4).map(|n| upload(n, 3.0)).chain([api()]).collect()), []);
    assert_eq!(with(&|case| case.payload[0] = 3_000), []);
    assert_eq!(with(&|case| case.tcp.as_mut().unwrap().fin_by = Some(Direction::Orig)), []);
    assert_eq!(with(&|case| case.recorders = [false; 2]), []);
}

#[test]
fn uploads_in_the_clear_that_are_each_cut_are_refused_from_afar_too() {
    let upload = |n: u64, life: f64| {
        let first = n as f64 * 8.0;
        let mut case =
            reset(relay(n, RECORDER, first, &[turned(first, 0.0, 0, UPLOAD)]), Direction::Resp, first + life, 52);
        (case.payload, case.last) = ([21_000, 0], at(first + life));
        case
    };
    let said = |n, life| told((1..=n).map(|n| upload(n, life)).chain([sealed(9, RECORDER)]).collect());
    assert_eq!(said(4, 0.4).into_iter().map(|f| (f.2, f.3)).collect::<Vec<_>>(), [("CF-7", 0.65)]);
    assert_eq!(said(1, 0.4).into_iter().map(|f| f.3).collect::<Vec<_>>(), [0.5]);
    assert_eq!(said(4, 2.0), []);
    // the whole body had been sent
    let whole = |n| {
        let mut case = upload(n, 0.4);
        case.http.as_mut().unwrap().turns[0].turn.sends = 20_000;
        case
    };
    assert_eq!(told((1..=4).map(whole).chain([sealed(9, RECORDER)]).collect()), []);
}

#[test]
fn a_proxy_that_signs_its_refusal_is_told_by_its_own_rule() {
    let mut case = relay(2, RECORDER, 3.0, &[turned(3.0, 0.1, 403, UPLOAD)]);
    case.http.as_mut().unwrap().turns[0].via = Some("1.1 proxy".to_owned());
    assert_eq!(told(vec![sealed(1, RECORDER), case]), [(Kind::PostRefused, None, "D-33", 0.85, at(3.0))]);
}

#[test]
fn an_expectation_is_met_late_or_never() {
    let asks = UPLOAD | turn::EXPECTS;
    let alone = |took: f64, status, marks, body: Option<f64>| {
        let mut case = relay(2, RECORDER, 3.0, &[turned(3.0, took, status, marks)]);
        case.last = at(60.0);
        let tcp = case.tcp.as_mut().unwrap();
        tcp.bursts[0] = burst(3.0, 3.0, 300);
        tcp.bursts[0].extend(body.into_iter().flat_map(|start| burst(start, start + 20.0, 200_000)));
        told(vec![sealed(1, RECORDER), case])
    };
    assert_eq!(alone(0.1, 417, asks, None), [(Kind::PostRefused, Some(Mode::Expect), "CF-8", 0.85, at(3.0))]);
    assert_eq!(alone(0.0, 0, asks, None), [(Kind::PostRefused, Some(Mode::Expect), "CF-8", 0.6, at(3.0))]);
    assert_eq!(alone(0.0, 0, asks, Some(33.0)).len(), 1);
    // curl waits for a second and goes on; others have been told to
    assert_eq!(alone(0.0, 0, asks, Some(4.0)), []);
    assert_eq!(alone(0.0, 0, asks | turn::CONTINUED, None), []);
}

#[test]
fn a_page_in_place_of_video_is_told_unless_video_comes_too() {
    let asked = |status, marks| turned(3.0, 0.1, status, turn::GET | marks);
    let page = relay(2, VIEWER, 3.0, &[asked(403, turn::PAGE)]);
    assert_eq!(told(vec![page.clone()]), [(Kind::BlockPage, None, "CF-11", 0.75, at(3.1))]);
    let menus = relay(3, VIEWER, 1.0, &[asked(200, 0)]);
    assert_eq!(told(vec![menus, page.clone()])[0].3, 0.9);
    let video = relay(3, VIEWER, 9.0, &[asked(200, turn::MESSAGE)]);
    assert!(told(vec![page, video])[0].3 < 0.55);
    // a plain 403 may be the relay's own
    assert!(told(vec![relay(2, VIEWER, 3.0, &[asked(403, 0)])])[0].3 < 0.55);
    assert_eq!(told(vec![relay(2, VIEWER, 3.0, &[asked(504, turn::PAGE)])]), []);
    // whoever wants a login first is no server
    assert_eq!(told(vec![relay(2, VIEWER, 3.0, &[asked(511, 0)])])[0].3, 0.75);
}

/// A client's request to a proxy for the relay.
fn proxied(number: u64, first: f64, turns: &[Turn]) -> Case {
    let mut case = relay(number, RECORDER, first, turns);
    (case.resp, case.via_proxy) = (("192.168.1.1".parse().unwrap(), 3128), Some(443));
    (case.identity.dest_ip, case.identity.dest_port) = (case.resp.0, Some(3128));
    case
}

#[test]
fn a_login_that_the_product_has_not_is_told_and_one_that_succeeds_is_not() {
    let wants =
        |n: u64, marks: u32| proxied(n, n as f64, &[turned(n as f64, 0.1, 407, turn::CONNECT | turn::PROXIED | marks)]);
    let found = told(vec![wants(1, turn::ASKS_NTLM), wants(5, turn::ASKS_NTLM)]);
    assert_eq!(found, [(Kind::ProxyAuthRequired, None, "D-28", 0.97, at(1.0))]);
    assert_eq!(told(vec![wants(1, turn::ASKS_BASIC), wants(5, turn::ASKS_BASIC)])[0].3, 0.85);
    // a first refusal is how each login begins, and the capture ends
    let mut alone = wants(1, turn::ASKS_NTLM);
    alone.last = at(2.0);
    assert!(told(vec![alone.clone()])[0].3 < 0.55);
    alone.last = at(4.0);
    assert_eq!(told(vec![alone])[0].3, 0.97);
    let passes = proxied(9, 9.0, &[turned(9.0, 0.1, 200, turn::CONNECT | turn::PROXIED | turn::PROXY_LOGIN)]);
    assert_eq!(told(vec![wants(1, turn::ASKS_BASIC), passes]), []);
}

/// A request for a tunnel to the relay, or to another host, with that answer; 0 is none.
fn tunnel(number: u64, first: f64, host: Option<&str>, status: u16, marks: u32) -> Case {
    let mut case = proxied(number, first, &[turned(first, 0.1, status, turn::CONNECT | turn::PROXIED | marks)]);
    if let Some(host) = host {
        (case.host, case.class) = (Some(host.to_owned()), Class::Api);
    }
    if status == 0 {
        (case.payload[1], case.last) = (0, at(first + 11.0));
        let tcp = case.tcp.as_mut().unwrap();
        tcp.fin_by = Some(Direction::Orig);
        tcp.bursts[1].clear();
    }
    case
}

const API: &str = "restapi.gp4f.com";

#[test]
fn a_proxy_that_refuses_a_tunnel_is_told_and_one_that_makes_it_in_the_end_is_not() {
    let refused = |marks| (0..3).map(|n| tunnel(n, n as f64 * 9.0, None, 403, marks)).collect::<Vec<_>>();
    let said = |flows| told(flows).into_iter().map(|f| (f.0, f.1, f.2, f.3)).collect::<Vec<_>>();
    let blocked = |sure| vec![(Kind::BlockPage, None, "CF-11", sure)];
    assert_eq!(said(refused(0)), blocked(0.9));
    // once, it may be a hiccup; with a page it is a word
    assert_eq!(said(refused(0)[..1].to_vec()), blocked(0.5));
    assert_eq!(said(refused(turn::PAGE)[..1].to_vec()), blocked(0.9));
    let found = found(refused(0), vec![], detect);
    assert_eq!(
        found[0].title,
        "The proxy 192.168.1.1 does not let 192.168.1.50 through to a1b2.us-west.u5fgb.com (403)"
    );
    // it is let through later, or goes around the proxy; come again later is no refusal
    assert_eq!(said([refused(0), vec![tunnel(8, 40.0, None, 200, 0)]].concat()), []);
    assert_eq!(said([refused(0), vec![sealed(8, RECORDER)]].concat()), []);
    assert_eq!(said((0..3).map(|n| tunnel(n, n as f64 * 9.0, None, 429, 0)).collect()), []);
    // another host's refusal is nobody's here
    assert_eq!(said((0..3).map(|n| tunnel(n, n as f64 * 9.0, Some("ads.example.com"), 403, 0)).collect()), []);
}

#[test]
fn a_proxy_that_cannot_connect_or_says_nothing_is_told() {
    let said = |flows| told(flows).into_iter().map(|f| (f.0, f.1, f.2, f.3)).collect::<Vec<_>>();
    let tried = |status| (0..3).map(|n| tunnel(n, n as f64 * 14.0, None, status, 0)).collect::<Vec<_>>();
    let by = |mode, sure| vec![(Kind::TcpBlocked, mode, "D-6", sure)];
    let (failed, vain) = (|sure| by(None, sure), |sure| by(Some(Mode::Drop), sure));
    let passes = || tunnel(9, 1.0, Some(API), 200, 0);
    assert_eq!(said(tried(502)), failed(0.75));
    assert_eq!(said(tried(502)[..1].to_vec()), failed(0.5));
    assert_eq!(said([tried(0), vec![passes()]].concat()), vain(0.85));
    // nothing else passes: the proxy itself may be dead; it worked before: its line may be down
    assert_eq!(said(tried(0)), vain(0.5));
    let before = tunnel(8, 0.0, None, 200, 0);
    let after = || (1..4).map(|n| tunnel(n, n as f64 * 14.0, None, 502, 0)).collect::<Vec<_>>();
    assert_eq!(said([vec![before], after()].concat()), failed(0.5));
    // closed on at once, time after time
    let mut closed = tried(0);
    for (n, case) in closed.iter_mut().enumerate() {
        case.last = at(n as f64 * 14.0 + 0.1);
        case.tcp.as_mut().unwrap().fin_by = Some(Direction::Resp);
    }
    assert_eq!(said([closed, vec![passes()]].concat()), by(Some(Mode::Rst), 0.85));
    // who leaves before ten seconds, a request that nobody has taken, an answer that was not captured, side by side
    let with = |change: &dyn Fn(&mut Case)| {
        let mut tried = tried(0);
        tried.iter_mut().for_each(change);
        said([tried, vec![passes()]].concat())
    };
    assert_eq!(with(&|case| case.last = case.first().after(4 * SECOND)), []);
    assert_eq!(with(&|case| case.tcp.as_mut().unwrap().unacknowledged[0] = Some(120)), []);
    assert_eq!(with(&|case| case.tcp.as_mut().unwrap().trouble[1].missed = 90), []);
    let beside = (0..3).map(|n| tunnel(n, 5.0 + n as f64 / 10.0, None, 0, 0));
    assert_eq!(said(beside.chain([passes()]).collect()), vain(0.5));
}

#[test]
fn a_proxy_of_the_old_version_is_told() {
    let opens =
        |n: u64, marks: u32| proxied(n, n as f64, &[turned(n as f64, 0.1, 200, turn::CONNECT | turn::PROXIED | marks)]);
    let found = told(vec![opens(1, turn::OLD), opens(5, turn::OLD)]);
    assert_eq!(found, [(Kind::ProxyUnsuitable, None, "D-29", 0.7, at(1.1))]);
    assert_eq!(told(vec![opens(1, 0), opens(5, turn::OLD)]), []);
    // video has run through it
    let mut streams = opens(5, turn::OLD);
    streams.tcp.as_mut().unwrap().video_windows = [0, 4];
    assert_eq!(told(vec![opens(1, turn::OLD), streams]), []);
    assert_eq!(told(vec![opens(1, turn::CLOSES), opens(5, turn::CLOSES)]), []);
    assert_eq!(told((1..4).map(|n| opens(n, turn::CLOSES)).collect()).len(), 1);
}
