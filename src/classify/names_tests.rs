use super::*;
use crate::time::SECOND;

const RELAY: &str = "a.us-west.u5fgb.com";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn t(s: u64) -> Timestamp {
    Timestamp(s * SECOND)
}

/// Answers as (client, server, name, second, ttl), frozen in the order given and backwards; both must agree.
fn frozen(answers: &[(&str, &str, &str, u64, u32)]) -> [NameIndex; 2] {
    let (c, r) = (Catalogue::embedded().unwrap(), Rules::embedded().unwrap());
    let make = |list: Vec<&(&str, &str, &str, u64, u32)>| {
        let mut l = Learnt::new(1000);
        for (client, server, name, at, ttl) in list {
            let id = l.names.intern(name).unwrap();
            l.answer(ip(client), ip(server), id, t(*at), *ttl, *at);
            l.carried(ip(server), id, t(*at), *at);
        }
        l.freeze(&c, &r)
    };
    [make(answers.iter().collect()), make(answers.iter().rev().collect())]
}

#[test]
fn the_newest_valid_answer_to_this_client_names_the_flow() {
    let rules = Rules::embedded().unwrap();
    for index in frozen(&[
        ("10.0.0.1", "52.1.1.1", "restapi.gp4f.com", 100, 60),
        ("10.0.0.1", "52.1.1.1", RELAY, 200, 60),
        ("10.0.0.2", "52.1.1.1", "www.example.com", 300, 600),
    ]) {
        let told = |client, at| {
            let f = index.told(ip(client), &index.about(ip("52.1.1.1")), t(at), t(at), &rules)?;
            Some((index.name(f.name), f.shared, f.later))
        };
        assert_eq!(told("10.0.0.1", 250), Some((RELAY, true, false)));
        assert_eq!(told("10.0.0.1", 150), Some(("restapi.gp4f.com", false, false)));
        assert_eq!(told("10.0.0.1", 450), Some((RELAY, false, false)), "the older one has run out");
        assert_eq!(told("10.0.0.1", 501), None);
        assert_eq!(told("10.0.0.1", 50), Some(("restapi.gp4f.com", true, true)), "learnt later");
        assert_eq!(told("10.0.0.2", 1500), Some(("www.example.com", false, false)));
        assert_eq!(told("10.0.0.3", 250), None);
        assert_eq!(index.name(index.told_others(&index.about(ip("52.1.1.1")), t(250), &rules).unwrap().name), RELAY);
        assert_eq!(index.told_others(&index.about(ip("52.1.1.2")), t(250), &rules), None);
    }
}

#[test]
fn a_neighbour_counts_within_ten_minutes_and_not_itself() {
    let rules = Rules::embedded().unwrap();
    for index in frozen(&[("10.0.0.1", "52.1.1.1", RELAY, 1000, 60)]) {
        let id = index.names.table.iter().next().copied();
        let near = |at, own| index.neighbour(&index.about(ip("52.1.1.1")), t(at), own, &rules).is_some();
        assert!(near(400, None) && near(1600, None) && !near(399, None) && !near(1601, None));
        assert!(!near(1000, id));
        let contradicts =
            |server, at| index.contradicts(ip("10.0.0.1"), &index.about(ip(server)), id.unwrap(), t(at), &rules);
        assert!(contradicts("1.2.3.4", 1001));
        assert!(!contradicts("52.1.1.1", 1001));
        assert!(!contradicts("1.2.3.4", 999));
    }
}

#[test]
fn lists_are_capped() {
    let mut learnt = Learnt::new(2);
    for name in ["x.org", "y.org", "z.org"] {
        if let Some(id) = learnt.names.intern(name) {
            learnt.answer(ip("10.0.0.1"), ip("1.1.1.1"), id, t(1), 1, 1);
        }
    }
    assert_eq!((learnt.names.len(), learnt.names.dropped), (2, 1));
    let index = learnt.freeze(&Catalogue::embedded().unwrap(), &Rules::embedded().unwrap());
    let found = index.told_others(&index.about(ip("1.1.1.1")), t(9), &Rules::embedded().unwrap()).unwrap();
    assert!(["x.org", "y.org"].contains(&index.name(found.name)));
}
