use super::super::testcases::{RECORDER, RELAY, RELAY_NAME, at, burst, dns, found, found_among, resolver, tcp, told};
use super::*;
use crate::engine::case::Cases;

fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    super::detect(scene, &failed(scene))
}

const API: &str = "restapi.gp4f.com";
const OK: u16 = 0;

/// What is said, each with mode, host and how sure.
fn said(flows: Vec<Case>, dns: Vec<DnsCase>) -> Vec<(String, String, f64)> {
    found(flows, dns, detect).into_iter().map(short).collect()
}

fn short(finding: FindingRecord) -> (String, String, f64) {
    let mode = finding.mode.map_or("", Mode::text);
    (format!("{}/{mode}", finding.kind.text()), finding.host.unwrap_or_default(), finding.confidence)
}

fn v6(mut dns: DnsCase) -> DnsCase {
    dns.qtype = qtype::AAAA;
    dns
}

#[test]
fn what_the_resolver_denies() {
    for (code, kind) in [(3, "dns-blocked/nxdomain"), (5, "dns-blocked/refused")] {
        let dns = vec![dns(1, RECORDER, RELAY_NAME, 5.0, Some((0.01, code)))];
        assert_eq!(said(vec![], dns), [(kind.into(), RELAY_NAME.into(), 0.95)]);
    }
    let failing = |n, at| dns(n, RECORDER, API, at, Some((0.5, rcode::SERVFAIL)));
    let [found] = &found(vec![], vec![failing(1, 5.0), failing(3, 6.0)], detect)[..] else { panic!() };
    assert_eq!((found.mode, found.count, found.first), (Some(Mode::Servfail), 2, at(5.0)));
    assert_eq!(found.flow_start, Some(at(5.0)));
    assert_eq!(found.title, "The resolver 192.168.1.1 fails to look up restapi.gp4f.com");
    assert_eq!(said(vec![], vec![failing(1, 5.0)])[0].2, 0.5);
}

#[test]
fn what_is_found_in_the_end_is_not_blocked() {
    let no = |n, at| dns(n, RECORDER, API, at, Some((0.01, rcode::NXDOMAIN)));
    let yes = |n, at| told(dns(n, RECORDER, API, at, Some((0.01, OK))), "203.0.113.20");
    assert!(said(vec![], vec![no(1, 1.0), yes(3, 2.0)]).is_empty());
    // but what is denied from then on is
    assert_eq!(said(vec![], vec![yes(1, 1.0), no(3, 200.0)]).len(), 1);
    // a resolver that has nothing to say of IPv6, or the other way round
    assert!(said(vec![], vec![yes(1, 1.0), v6(no(3, 1.001))]).is_empty());
    let typo = dns(1, RECORDER, "activateapi.gp4.com", 1.0, Some((0.01, rcode::NXDOMAIN)));
    assert_eq!(said(vec![], vec![typo]), [("typo-host/".into(), "activateapi.gp4.com".into(), 0.95)]);
    let foreign = dns(1, RECORDER, "other.s3.amazonaws.com", 1.0, Some((0.01, rcode::NXDOMAIN)));
    assert!(said(vec![], vec![foreign]).is_empty());
    let stranger = dns(1, "192.168.1.77", "ctldl.windowsupdate.com", 1.0, Some((0.01, rcode::NXDOMAIN)));
    assert!(said(vec![], vec![stranger]).is_empty());
}

#[test]
fn a_name_that_may_not_exist_is_a_hint() {
    let says = |name, code| said(vec![], vec![dns(1, RECORDER, name, 5.0, Some((0.01, code)))]);
    let said_of = |name: &str, mode: &str, sure| [(format!("dns-blocked/{mode}"), name.to_owned(), sure)];
    assert_eq!(says("wwww.openeye.net", rcode::NXDOMAIN), said_of("wwww.openeye.net", "nxdomain", 0.5));
    // one of the list does exist, and who refuses does not say that there is none
    assert_eq!(says("ows.openeye.net", rcode::NXDOMAIN), said_of("ows.openeye.net", "nxdomain", 0.95));
    assert_eq!(says("new.openeye.net", rcode::REFUSED), said_of("new.openeye.net", "refused", 0.75));
}

#[test]
fn nobody_answers() {
    let ask = |n, at| dns(n, RECORDER, API, at, None);
    let dead = vec![ask(1, 1.0), v6(ask(2, 1.0)), ask(3, 6.0), v6(ask(4, 6.0))];
    let [found] = &found(vec![], dead.clone(), detect)[..] else { panic!() };
    assert_eq!((found.mode, found.confidence, found.count), (Some(Mode::Unanswered), 0.9, 4));
    // all at once is one try, two are few, and the last ones may yet be answered
    assert!(said(vec![], vec![ask(1, 1.0), v6(ask(2, 1.0)), ask(3, 1.1)]).is_empty());
    assert!(said(vec![], vec![ask(1, 1.0), ask(3, 6.0)]).is_empty());
    assert!(said(vec![], vec![ask(1, 590.0), ask(2, 596.0), ask(3, 599.0)]).is_empty());
    // it was answered in the end
    let late = |n| told(dns(n, RECORDER, API, 11.0, Some((0.01, OK))), "203.0.113.20");
    assert!(said(vec![], [dead.clone(), vec![late(9)]].concat()).is_empty());
    // who calls a server by that name has found it
    let mut there = tcp(8, RECORDER, "203.0.113.20", Class::Api, API, 7.0, 60.0);
    there.carried = true;
    assert!(said(vec![there.clone()], dead.clone()).is_empty());
    for (carried, first) in [(false, 7.0), (true, 0.5)] {
        let other = Case { carried, ..tcp(8, RECORDER, "203.0.113.20", Class::Api, API, first, 60.0) };
        assert_eq!(said(vec![other], dead.clone()).len(), 1, "by an address that it knew, or before");
    }
    // a mirror of one direction
    let mut half = tcp(7, RECORDER, RELAY, Class::Relay, RELAY_NAME, 2.0, 60.0);
    half.one_sided = true;
    assert!(said(vec![half], dead).is_empty());
}

#[test]
fn answers_that_lead_nowhere() {
    let answer = |n, name, address| told(dns(n, RECORDER, name, n as f64, Some((0.01, OK))), address);
    for nowhere in ["0.0.0.0", "127.0.0.1", "::"] {
        let said = said(vec![], vec![answer(1, API, nowhere)]);
        assert_eq!(said, [("dns-blocked/sinkhole".into(), API.into(), 0.85)], "{nowhere}");
    }
    assert!(said(vec![], vec![answer(1, API, "203.0.113.20")]).is_empty());
    // the resolver's own address, or a private one beside public ones
    assert_eq!(said(vec![], vec![answer(1, API, "192.168.1.1")])[0].2, 0.85);
    let beside = vec![answer(1, API, "10.9.9.9"), answer(2, RELAY_NAME, RELAY)];
    assert_eq!(said(vec![], beside), [("dns-blocked/sinkhole".into(), API.into(), 0.85)]);
    // all of the cloud is private: a hint at most, and nothing where it serves
    assert_eq!(said(vec![], vec![answer(1, API, "10.9.9.9"), answer(2, RELAY_NAME, "10.9.9.8")])[0].2, 0.5);
    let mut served = tcp(5, RECORDER, "10.9.9.9", Class::Api, API, 3.0, 600.0);
    assert!(said(vec![served.clone()], vec![answer(1, API, "10.9.9.9")]).is_empty());
    served.tls = None;
    served.established = false;
    assert_eq!(said(vec![served], vec![answer(1, API, "10.9.9.9")]).len(), 1);
}

#[test]
fn one_address_for_many_names() {
    let names = [API, RELAY_NAME, "ows.openeye.net"];
    let answer =
        |(n, name): (usize, &&str)| told(dns(n as u64 * 2, RECORDER, name, n as f64, Some((0.01, OK))), "203.0.113.99");
    let dns: Vec<DnsCase> = names.iter().enumerate().map(answer).collect();
    assert!(said(vec![], dns.clone()).is_empty());
    let mut refused =
        super::super::testcases::unanswered(tcp(9, RECORDER, "203.0.113.99", Class::Api, API, 3.0, 600.0), 1);
    refused.tcp.as_mut().unwrap().state = "REJ";
    assert_eq!(said(vec![refused.clone()], dns.clone()).iter().filter(|(_, _, sure)| *sure == 0.85).count(), 3);
    let served = tcp(10, RECORDER, "203.0.113.99", Class::Api, API, 3.0, 600.0);
    assert!(said(vec![refused, served], dns).is_empty());
}

#[test]
fn a_slow_resolver() {
    let ask = |n| told(dns(n, RECORDER, API, n as f64, Some((0.5, OK))), "203.0.113.20");
    let slow = |times: &[f64], flows: Vec<Case>| {
        let resolvers = vec![resolver(2, RECORDER, "192.168.1.1", times)];
        found_among(Cases { dns: vec![ask(1), ask(3)], resolvers, flows, ..Cases::default() }, detect)
    };
    let [found] = &slow(&[0.5; 6], vec![])[..] else { panic!() };
    assert_eq!((found.kind.text(), found.confidence, found.first), ("dns-slow", 0.8, at(1.0)));
    assert_eq!(found.title, "The resolver 192.168.1.1 is slow: 0.50 s for a typical answer");
    assert!(slow(&[0.5; 4], vec![]).is_empty());
    assert!(slow(&[0.01, 0.02, 0.01, 3.0, 0.02, 0.01], vec![]).is_empty());
    // most are quick, and some are not
    let [found] = &slow(&[[0.01; 20].as_slice(), &[1.5, 1.6]].concat(), vec![])[..] else { panic!() };
    assert_eq!(found.title, "The resolver 192.168.1.1 is slow: 1.50 s for one answer in twenty");
    // the same, of one lookup
    let mut once = resolver(2, RECORDER, "192.168.1.1", &[[0.01; 20].as_slice(), &[1.5, 1.6]].concat());
    once.replies.iter_mut().rev().take(2).for_each(|reply| reply.asked = 300);
    let cases = Cases { dns: vec![ask(1), ask(3)], resolvers: vec![once], ..Cases::default() };
    assert!(found_among(cases, detect).is_empty());
    // a long way to everything
    let mut far = tcp(5, RECORDER, RELAY, Class::Relay, RELAY_NAME, 3.0, 600.0);
    far.tcp.as_mut().unwrap().rtt_min = Some(0.3);
    assert!(slow(&[0.5; 6], vec![far.clone()]).is_empty());
    // the same behind a modem that acknowledges by itself
    let tcp = far.tcp.as_mut().unwrap();
    tcp.rtt_min = Some(25e-6);
    tcp.bursts = [burst(3.0, 3.1, 700), burst(3.4, 3.5, 4_000)];
    assert!(slow(&[0.5; 6], vec![far]).is_empty());
}

#[test]
fn a_recorder_that_asks_elsewhere() {
    let mut lead = told(dns(1, RECORDER, API, 1.0, Some((0.01, OK))), "203.0.113.20");
    lead.resolver = "9.9.9.9".parse().unwrap();
    let ask = |resolvers| {
        let cases = Cases { dns: vec![lead.clone()], resolvers, ..Cases::default() };
        found_among(cases, detect).into_iter().map(short).collect::<Vec<_>>()
    };
    let own = || resolver(1, RECORDER, "9.9.9.9", &[0.01; 4]);
    let near = |n, client| resolver(n, client, "192.168.1.1", &[0.01; 4]);
    let bypassed = |sure| [("dns-bypassed/".to_owned(), String::new(), sure)];
    assert_eq!(ask(vec![own(), near(2, "192.168.1.7"), near(3, "192.168.1.8")]), bypassed(0.7));
    assert_eq!(ask(vec![own(), near(2, "192.168.1.7")]), bypassed(0.6));
    // its flows and its end are those of all that it asked there
    let mut later = told(dns(9, RECORDER, RELAY_NAME, 7.0, Some((0.01, OK))), "203.0.113.21");
    later.resolver = lead.resolver;
    let resolvers = vec![own(), near(2, "192.168.1.7")];
    let cases = Cases { dns: vec![lead.clone(), later], resolvers, ..Cases::default() };
    let [finding] = &found_among(cases, detect)[..] else { panic!() };
    assert_eq!((finding.first, finding.last, &finding.flow_ids[..]), (at(1.0), at(7.0), &[1, 9][..]));
    // nobody to compare with, neighbours that do the same, or the network's resolver itself
    assert!(ask(vec![own()]).is_empty());
    assert!(ask(vec![own(), near(2, "192.168.1.7"), resolver(3, "192.168.1.8", "9.9.9.9", &[0.01; 2])]).is_empty());
    assert!(ask(vec![own(), near(4, RECORDER), near(2, "192.168.1.7")]).is_empty());
    assert!(ask(vec![own(), resolver(2, "192.168.1.7", RECORDER, &[0.01; 4])]).is_empty());
    // the gateway's outer side, which asks for the others while they wait
    let ask = |neighbour| {
        let resolvers = vec![own(), near(2, "192.168.1.7"), near(3, "192.168.1.8")];
        let cases = Cases { dns: vec![neighbour, lead.clone()], resolvers, ..Cases::default() };
        found_among(cases, detect).len()
    };
    assert_eq!(ask(told(dns(2, "192.168.1.7", API, 0.99, Some((0.03, OK))), "203.0.113.20")), 0);
    assert_eq!(ask(told(dns(2, "192.168.1.7", API, 0.5, Some((0.03, OK))), "203.0.113.20")), 1);
}
