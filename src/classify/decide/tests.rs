use std::net::IpAddr;

use proptest::prelude::*;

use super::super::facts::{Rates, StunFacts, TCP, UDP};
use super::super::names::Learnt;
use super::super::roles::{Role, RoleGather};
use super::super::site::Site;
use super::*;
use crate::time::{SECOND, Timestamp};

const REC: &str = "192.168.1.50";
const CLIENT: &str = "192.168.1.77";
const CLOUD: &str = "52.10.20.30";
const OUTSIDE: &str = "203.0.114.9";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn t(s: u64) -> Timestamp {
    Timestamp(s * SECOND)
}

/// A whole small world: answers, first-pass flows and a site file.
struct World {
    catalogue: Catalogue,
    rules: Rules,
    names: NameIndex,
    roles: Roles,
    known: KnownEnds,
}

impl World {
    fn new(site: &str, answers: &[(&str, &str, &str, u64)], flows: &[FlowFacts<'_>]) -> World {
        World::told(site, answers, flows, &[])
    }

    /// With what STUN servers told: a host, and its address outside.
    fn told(
        site: &str,
        answers: &[(&str, &str, &str, u64)],
        flows: &[FlowFacts<'_>],
        mapped: &[(&str, &str)],
    ) -> World {
        let (catalogue, rules) = (Catalogue::embedded().unwrap(), Rules::embedded().unwrap());
        let site = Site::parse(site).unwrap();
        let mut learnt = Learnt::new(1000);
        for (client, server, name, at) in answers {
            let id = learnt.names.intern(name).unwrap();
            learnt.answer(ip(client), ip(server), id, t(*at), 60, 7);
        }
        for f in flows {
            if let Some(seen) = f.carried() {
                let id = learnt.names.intern(seen.name).unwrap();
                learnt.carried(f.resp.0, id, f.start, seen.frame);
            }
        }
        let names = learnt.freeze(&catalogue, &rules);
        let mut gather = RoleGather::new();
        for (client, outside) in mapped {
            gather.mapped(ip(client), ip(outside), &site);
        }
        for f in flows {
            gather.observe(f, name_of(f, &catalogue, &names, &rules), &site);
        }
        gather.asked(&names, &site);
        for f in flows {
            if gather.is_wan(f.resp.0, &site) {
                gather.observe_turned(f, &site);
            }
            gather.observe_rest(f, name_of(f, &catalogue, &names, &rules), &site);
        }
        let roles = gather.freeze(&site, &rules);
        let known = KnownEnds::of(&catalogue, &names, &roles);
        World { catalogue, rules, names, roles, known }
    }

    fn knowledge(&self) -> Knowledge<'_> {
        let World { catalogue, rules, names, roles, known } = self;
        Knowledge { catalogue, rules, names, roles, known }
    }

    fn judge<'a>(&'a self, facts: &FlowFacts<'a>) -> Verdict<'a> {
        classify(facts, &self.knowledge())
    }
}

fn flow<'a>(proto: u8, orig: &str, resp: &str, port: u16, at: u64) -> FlowFacts<'a> {
    let mut f = FlowFacts::new(proto, (ip(orig), 50_000), (ip(resp), port), t(at));
    f.established = true;
    f.end = t(at + 10);
    f
}

fn seen(name: &str) -> Option<Seen<'_>> {
    Some(Seen { name, id: None, frame: 4 })
}

fn words(v: &Verdict<'_>) -> String {
    v.subclass.names().collect::<Vec<_>>().join(" ")
}

fn flags(v: &Verdict<'_>) -> String {
    v.flags.names().collect::<Vec<_>>().join(" ")
}

#[test]
fn golden_hosts_by_sni() {
    let w = World::new("", &[], &[]);
    for (name, port, class, sub, region, confidence, flag) in [
        ("a1b2.us-west.u5fgb.com", 443, Class::Relay, "", "us-west", 0.97, ""),
        ("x.eu-central.u5fgb.com", 443, Class::Relay, "", "eu-central", 0.97, ""),
        ("foo.u5fgb.com", 443, Class::VendorOther, "", "", 0.97, "one-label"),
        ("a.b.us-east.u5fgb.com", 443, Class::Relay, "", "us-east", 0.80, "three-labels"),
        ("u5fgb.com", 443, Class::VendorOther, "", "", 0.97, ""),
        ("LSF.U5FGB.COM.", 443, Class::LsfControl, "", "", 0.97, ""),
        ("stun.u5fgb.com", 443, Class::VendorOther, "", "", 0.97, "unusual-port"),
        ("evilu5fgb.com", 443, Class::Unknown, "unlisted", "", 0.0, ""),
        ("u5fgb.com.evil.net", 443, Class::Unknown, "unlisted", "", 0.0, ""),
        ("restapi.gp4f.com", 443, Class::Api, "", "", 0.97, ""),
        ("activateapi.gp4f.com", 443, Class::Licensing, "", "", 0.97, ""),
        ("activateapi.gp4.com", 443, Class::Unknown, "unlisted", "", 0.0, "typo-host"),
        ("serverupdates.net", 8531, Class::Update, "wsus", "", 0.97, ""),
        ("serverupdates.net", 443, Class::Update, "wsus", "", 0.97, "unusual-port"),
        ("ctldl.windowsupdate.com", 80, Class::Update, "ctl", "", 0.97, ""),
        ("oe-prod-files.s3.amazonaws.com", 443, Class::S3, "vendor", "", 0.97, ""),
        ("s3.us-west-2.amazonaws.com", 443, Class::S3, "unknown-bucket", "us-west-2", 0.50, ""),
        ("my.bucket.s3.eu-west-1.amazonaws.com", 443, Class::S3, "other", "eu-west-1", 0.97, ""),
        ("ec2-1-2-3-4.us-west-2.compute.amazonaws.com", 443, Class::Unknown, "unlisted", "", 0.0, ""),
        ("dns.google", 443, Class::Dns, "doh", "", 0.97, "encrypted-dns"),
    ] {
        let mut f = flow(TCP, REC, CLOUD, port, 100);
        f.sni = seen(name);
        let v = w.judge(&f);
        assert_eq!(v.class, class, "{name}");
        assert_eq!((words(&v).as_str(), flags(&v).as_str()), (sub, flag), "{name}");
        assert_eq!(v.region.as_deref().unwrap_or_default(), region, "{name}");
        assert!((v.confidence - confidence).abs() < 1e-6, "{name}: {}", v.confidence);
        assert!(v.evidence.iter().next().unwrap().said().to_string().ends_with(name));
    }
    let mut f = flow(TCP, REC, CLOUD, 443, 100);
    f.sni = seen("my.bucket.s3.eu-west-1.amazonaws.com");
    assert_eq!(w.judge(&f).bucket.as_deref(), Some("my.bucket"));
}

#[test]
fn one_label_is_a_relay_for_contera_or_by_its_payload() {
    let w = World::new("product = \"contera\"", &[], &[]);
    let mut f = flow(TCP, REC, CLOUD, 443, 100);
    f.sni = seen("foo.u5fgb.com");
    assert_eq!((w.judge(&f).class, w.judge(&f).confidence), (Class::Relay, 0.40));
    f.message_http = Some(9);
    assert_eq!((w.judge(&f).class, w.judge(&f).confidence), (Class::Relay, 0.80));
}

#[test]
fn what_dns_says_names_a_flow_without_a_name() {
    let answers = [(REC, CLOUD, "a.us-west.u5fgb.com", 90)];
    let w = World::new("", &answers, &[]);
    let v = w.judge(&flow(TCP, REC, CLOUD, 443, 100)).clone();
    assert_eq!((v.class, v.confidence, v.region.as_deref()), (Class::Relay, 0.85, Some("us-west")));
    let other = w.judge(&flow(TCP, CLIENT, CLOUD, 443, 100)).confidence;
    assert_eq!(other, 0.65);
    let odd = w.judge(&flow(UDP, REC, CLOUD, 5000, 100));
    assert_eq!((odd.class, flags(&odd).as_str()), (Class::Relay, "unusual-port"));
    assert!((odd.confidence - 0.75).abs() < 1e-6);
    let later = w.judge(&flow(TCP, REC, CLOUD, 443, 50));
    assert_eq!(later.class, Class::Relay, "a name learnt later still names the flow");
    assert!(later.evidence.iter().next().unwrap().said().to_string().contains("later"));

    let mut f = flow(TCP, REC, CLOUD, 443, 100);
    f.sni = seen("a.us-west.u5fgb.com");
    assert!((w.judge(&f).confidence - 0.99).abs() < 1e-6, "two kinds agree");
    f.sni = seen("www.example.com");
    assert_eq!(w.judge(&f).class, Class::Unknown, "the SNI wins over DNS on a shared address");
    f.sni = seen("restapi.gp4f.com");
    let v = w.judge(&f);
    assert_eq!((v.class, flags(&v).as_str()), (Class::Api, "name-conflict"));
    assert!((v.confidence - 0.87).abs() < 1e-6);
    f.ech = true;
    f.sni = seen("cloudflare-ech.com");
    let v = w.judge(&f);
    assert_eq!((v.class, flags(&v).as_str()), (Class::Relay, "ech"), "ECH's outer name is nobody's");
}

#[test]
fn a_name_in_quic_is_worth_one_in_tls() {
    let w = World::new("", &[(REC, CLOUD, "a.us-west.u5fgb.com", 90)], &[]);
    for (port, odd) in [(443, false), (4433, true)] {
        for name in ["a.us-west.u5fgb.com", "restapi.gp4f.com", "www.example.com"] {
            let (mut tls, mut quic) = (flow(TCP, REC, CLOUD, port, 100), flow(UDP, REC, CLOUD, port, 100));
            (tls.sni, quic.quic_sni) = (seen(name), seen(name));
            let (tls, quic) = (w.judge(&tls), w.judge(&quic));
            assert_eq!((tls.class, tls.confidence), (quic.class, quic.confidence), "{name} {port}");
            assert_eq!(tls.flags.with(Flag::Quic), quic.flags);
            assert_eq!(quic.flags.has(Flag::UnusualPort), odd && quic.class != Class::Unknown);
        }
    }
}

#[test]
fn a_proxys_address_says_nothing_of_what_lies_behind() {
    let w = World::new("", &[(REC, "10.0.0.8", "restapi.gp4f.com", 90)], &[]);
    let mut f = flow(TCP, REC, "10.0.0.8", 3128, 100);
    let host = Seen { name: "a.us-east.u5fgb.com", id: None, frame: 2 };
    f.authority = Some(Authority { host, port: 443 });
    let v = w.judge(&f);
    assert_eq!((v.class, flags(&v).as_str(), v.via_proxy), (Class::Relay, "", f.authority));
    assert_eq!(v.evidence.iter().next().unwrap().said().to_string(), "asked of a proxy: a.us-east.u5fgb.com:443");
}

#[test]
fn a_vendors_name_at_an_impossible_address_is_flagged() {
    let w = World::new("", &[(REC, CLOUD, "restapi.gp4f.com", 90)], &[]);
    for (server, expect) in [("0.0.0.0", true), ("10.9.9.9", true), ("52.99.99.99", true), (CLOUD, false)] {
        let mut f = flow(TCP, REC, server, 443, 100);
        f.sni = Some(Seen { name: "restapi.gp4f.com", id: Some(0), frame: 1 });
        let v = w.judge(&f);
        assert_eq!((v.class, v.flags.has(Flag::SniIpMismatch)), (Class::Api, expect), "{server}");
    }
}

#[test]
fn local_connections_by_what_the_client_did_before() {
    let site = format!("recorders = [\"{REC}\"]");
    let contact = |at| {
        let mut f = flow(TCP, CLIENT, CLOUD, 443, at);
        f.sni = seen("ows.openeye.net");
        f
    };
    let mut other = flow(TCP, CLIENT, "9.8.7.6", 443, 10);
    other.end = t(990);
    let judge = |flows: &[FlowFacts<'_>], midstream| {
        let w = World::new(&site, &[], flows);
        let mut f = flow(TCP, CLIENT, REC, 443, 1000);
        f.midstream = midstream;
        f.http_host = seen(REC);
        let v = w.judge(&f);
        (v.class, words(&v), v.confidence)
    };
    assert_eq!(judge(&[contact(945)], false), (Class::Lsf, "ip".into(), 0.85));
    assert_eq!(judge(&[contact(100), other], false), (Class::LocalIp, String::new(), 0.85));
    assert_eq!(judge(&[contact(100)], false).0, Class::LocalDirect);
    assert_eq!(judge(&[], false), (Class::LocalDirect, String::new(), 0.50));
    assert_eq!(judge(&[contact(945)], true).0, Class::LocalDirect);
    let none = World::new("", &[], &[]);
    let mut f = flow(TCP, CLIENT, REC, 443, 1000);
    f.http_host = seen(REC);
    assert_eq!(words(&none.judge(&f)), "no-name ip-literal");
}

#[test]
fn connections_from_outside_and_panels() {
    let w = World::new(&format!("recorders = [\"{REC}\"]\nwan = [\"203.0.113.1\"]\ndirect_ports = [9000]"), &[], &[]);
    for (orig, resp, port, class, sub) in [
        (OUTSIDE, REC, 8887, Class::Direct, "inbound contera-8887"),
        (OUTSIDE, REC, 443, Class::Direct, "inbound"),
        (OUTSIDE, REC, 9000, Class::Direct, "inbound"),
        (OUTSIDE, REC, 22, Class::Unknown, "no-name"),
        (CLIENT, "203.0.113.1", 80, Class::Direct, "hairpin"),
        (OUTSIDE, "203.0.113.1", 80, Class::Direct, "inbound"),
        (CLIENT, REC, 2001, Class::Dmp, ""),
        (OUTSIDE, REC, 2001, Class::Unknown, "no-name"),
        (REC, CLIENT, 554, Class::Camera, "rtsp"),
        (REC, CLIENT, 80, Class::Camera, ""),
        (REC, CLOUD, 8531, Class::Update, "wsus"),
        (CLIENT, "8.8.8.8", 853, Class::Dns, "dot"),
    ] {
        let v = w.judge(&flow(TCP, orig, resp, port, 100));
        assert_eq!((v.class, words(&v).as_str()), (class, sub), "{orig} > {resp}:{port}");
    }
    assert_eq!(w.judge(&flow(TCP, OUTSIDE, REC, 8887, 100)).confidence, 0.85);
    assert_eq!(w.judge(&flow(TCP, CLIENT, REC, 2001, 100)).confidence, 0.79);
    let nobody = World::new("", &[], &[]);
    assert_eq!(nobody.judge(&flow(TCP, OUTSIDE, REC, 8887, 100)).confidence, 0.40);
}

#[test]
fn a_hairpin_has_two_legs() {
    let site = format!("recorders = [\"{REC}\"]\nwan = [\"203.0.113.1\"]");
    let w = World::new(&site, &[], &[flow(TCP, CLIENT, "203.0.113.1", 443, 1000)]);
    let told = |at: u64, midstream: bool| {
        let mut second = flow(TCP, "192.168.1.1", REC, 443, 1000);
        (second.start, second.midstream) = (Timestamp(at * 1_000_000), midstream);
        let v = w.judge(&second);
        (v.class, words(&v))
    };
    let second = (Class::Direct, "hairpin".to_owned());
    assert_eq!(told(1_000_002, false), second);
    for (at, midstream) in [(1_000_002, true), (1_000_900, false), (999_990, false)] {
        assert_ne!(told(at, midstream), second);
    }
}

#[test]
fn outside_the_gateway_a_site_is_who_speaks_as_its_recorders() {
    const SITE: &str = "203.0.113.7";
    let to = |name, up, down| {
        let mut f = flow(TCP, SITE, CLOUD, 443, 100);
        (f.sni, f.payload) = (seen(name), [up, down]);
        f
    };
    let [api, relay] = [to("restapi.gp4f.com", 900, 900), to("a1b2.us-west.u5fgb.com", 2000, 900)];
    let [login, view] = [to("ows.openeye.net", 900, 900), to("a1b2.us-west.u5fgb.com", 900, 2_000_000)];
    let own = &[(SITE, SITE)][..];
    for (flows, mapped, class) in [
        (&[api, relay][..], &[][..], Class::Direct),
        (&[api], own, Class::Direct),
        (&[api], &[], Class::Unknown),
        (&[login, api, view], own, Class::Unknown), // a viewer's home
        (&[], own, Class::Unknown),
    ] {
        let w = World::told("", &[], flows, mapped);
        assert_eq!(w.judge(&flow(TCP, OUTSIDE, SITE, 443, 100)).class, class, "{flows:?} {mapped:?}");
        assert_eq!(w.judge(&flow(TCP, OUTSIDE, SITE, 22, 100)).class, Class::Unknown);
    }
}

#[test]
fn neighbours_over_ipv6_come_by_the_recorders_public_address() {
    const SITE: &str = "2001:db8:1::50";
    let to = |name, up, down| {
        let mut f = flow(TCP, SITE, "2600:1f14::5", 443, 100);
        (f.sni, f.payload) = (seen(name), [up, down]);
        f
    };
    let flows = [to("restapi.gp4f.com", 900, 900), to("a1b2.us-west.u5fgb.com", 2000, 900)];
    let judged = |site: &str, from: &str| {
        let w = World::told(site, &[], &flows, &[]);
        let v = w.judge(&flow(TCP, from, SITE, 443, 200));
        (v.class, words(&v))
    };
    for from in ["2001:db8:1::20", "2001:db8:1:7::20", "fd12:1:2::20"] {
        assert_eq!(judged("", from), (Class::LocalDirect, String::new()), "{from}");
    }
    assert_eq!(judged("", "2a02:1::9"), (Class::Direct, "inbound".to_owned()));
    // where the user says that it is the site's address outside, it is
    assert_eq!(judged(&format!("wan = [\"{SITE}\"]"), "fd12:1:2::20").0, Class::Direct);
}

#[test]
fn stun_and_peer_to_peer() {
    let site = format!("recorders = [\"{REC}\"]");
    let w = World::new(&site, &[(REC, "3.3.3.3", "stun.u5fgb.com", 90)], &[]);
    let judge = |orig: &str, resp: &str, port, stun: Option<StunFacts>, dtls: bool, media| {
        let mut f = flow(UDP, orig, resp, port, 100);
        (f.stun, f.dtls, f.media_datagrams) = (stun, dtls.then_some(3), media);
        let v = w.judge(&f);
        (v.class, words(&v), v.confidence)
    };
    let ask = StunFacts { requests: [1, 0], success: 1, ..Default::default() };
    let ice = StunFacts { ice: true, requests: [2, 2], success: 3, ..Default::default() };
    let turn = StunFacts { turn: true, channel_data: 9, ..Default::default() };
    assert_eq!(judge(REC, "3.3.3.3", 3478, Some(ask), false, 0), (Class::Stun, "vendor".into(), 0.99));
    assert_eq!(judge(REC, "4.4.4.4", 3478, Some(ask), false, 0), (Class::Stun, "other".into(), 0.95));
    assert_eq!(judge(REC, OUTSIDE, 40000, Some(ice), true, 50), (Class::P2p, "wan webrtc".into(), 0.95));
    assert_eq!(judge(REC, CLIENT, 40000, Some(ice), true, 50).1, "lan webrtc");
    assert_eq!(judge(REC, OUTSIDE, 40000, Some(ice), true, 5).1, "wan attempt");
    assert_eq!(judge(CLIENT, OUTSIDE, 40000, Some(ice), true, 50).2, 0.60, "nothing ties it to the system");
    assert_eq!(judge(REC, OUTSIDE, 40000, None, true, 50), (Class::P2p, "wan webrtc".into(), 0.60));
    assert_eq!(judge(CLIENT, OUTSIDE, 40000, None, true, 50).0, Class::Unknown);
    assert_eq!(judge(REC, "3.3.3.3", 3478, Some(turn), false, 50), (Class::Relay, "turn".into(), 0.95));
    assert_eq!(judge(REC, "4.4.4.4", 3478, Some(turn), false, 50), (Class::Stun, "turn other".into(), 0.95));
    let mut f = flow(UDP, REC, CLIENT, 40000, 100);
    (f.rtp, f.media_datagrams) = (99, 99);
    assert_eq!(w.judge(&f).class, Class::Camera);
}

#[test]
fn grammar_beats_ports_and_time_pools_are_told_apart() {
    let w = World::new(
        "",
        &[(REC, "5.5.5.5", "1.cctv.pool.ntp.org", 90), (REC, "6.6.6.6", "2.cctv.pool.ntp.org", 90)],
        &[],
    );
    for (server, sub, confidence) in
        [("5.5.5.5", "vendor-pool", 0.97), ("6.6.6.6", "other", 0.97), ("7.7.7.7", "other", 0.95)]
    {
        let mut f = flow(UDP, REC, server, 123, 100);
        f.ntp = Some(1);
        let v = w.judge(&f);
        assert_eq!((v.class, words(&v).as_str(), v.confidence), (Class::Ntp, sub, confidence), "{server}");
    }
    let mut f = flow(TCP, REC, "1.1.1.1", 53, 100);
    assert_eq!(w.judge(&f).confidence, 0.40);
    f.dns = Some(1);
    assert_eq!((words(&w.judge(&f)).as_str(), w.judge(&f).confidence), ("tcp53", 0.95));
}

#[test]
fn relay_flows_are_told_apart_by_rates() {
    let w = World::new("", &[], &[]);
    let sub = |seconds: u64, payload, rates| {
        let mut f = flow(TCP, REC, CLOUD, 443, 100);
        f.sni = seen("a.us-west.u5fgb.com");
        (f.end, f.payload, f.rates) = (t(100 + seconds), payload, rates);
        words(&w.judge(&f))
    };
    let none = Rates::default();
    assert_eq!(sub(600, [40_000, 30_000], none), "idle");
    assert_eq!(sub(30, [4_000, 3_000], none), "");
    assert_eq!(sub(100, [600_000, 3_000], none), "metadata");
    assert_eq!(sub(100, [0, 0], none), "");
    assert_eq!(sub(100, [9_000_000, 3_000], Rates { video_windows: [9, 0], bursts: [2, 0] }), "video-up");
    assert_eq!(sub(100, [3_000, 9_000_000], Rates { video_windows: [0, 9], bursts: [0, 2] }), "video-down");
    assert_eq!(sub(600, [900_000, 3_000], Rates { video_windows: [0, 0], bursts: [3, 0] }), "upload-burst");
}

#[test]
fn a_recorder_is_inferred_from_what_it_does() {
    let mut api = flow(TCP, REC, CLOUD, 443, 100);
    api.sni = seen("restapi.gp4f.com");
    let mut relay = flow(TCP, REC, CLOUD, 443, 110);
    relay.sni = seen("a.us-west.u5fgb.com");
    relay.payload = [1_000_000, 1_000];
    let mut login = flow(TCP, CLIENT, CLOUD, 443, 110);
    login.sni = seen("ows.openeye.net");
    for flows in [[api, relay, login], [login, relay, api]] {
        let w = World::new("", &[], &flows);
        assert_eq!(w.roles.recorders(), [(ip(REC), Role::Recorder, 7.0)]);
        assert_eq!(w.roles.role(ip(CLIENT)), Role::Client);
        let v = w.judge(&flow(TCP, CLIENT, REC, 80, 130));
        assert_eq!((v.class, v.confidence, flags(&v).as_str()), (Class::Lsf, 0.60, "role-inferred"));
    }
}

#[test]
fn who_has_video_come_down_is_no_recorder() {
    let to = |name, payload| {
        let mut f = flow(TCP, REC, CLOUD, 443, 100);
        (f.sni, f.payload) = (seen(name), payload);
        f
    };
    let (api, update) = (to("restapi.gp4f.com", [900, 3_000]), to("a.us-west.u5fgb.com", [900, 30_000]));
    let role =
        |relay: [u64; 2]| World::new("", &[], &[api, to("a.us-west.u5fgb.com", relay), update]).roles.role(ip(REC));
    assert_eq!(role([900, 6_000_000]), Role::Client);
    // a few answers do not make a viewer, nor does what comes down beside more that goes up
    assert_eq!(role([2_000, 900]), Role::Recorder);
    assert_eq!(role([6_000_000, 6_000_000]), Role::Recorder);
    // what has cameras of its own, or serves clients, may look at another site's video too
    let cameras = ["192.168.1.101", "192.168.1.102"].map(|camera| flow(TCP, REC, camera, 554, 120));
    let with = [api, to("a.us-west.u5fgb.com", [900, 6_000_000]), cameras[0], cameras[1]];
    assert_eq!(World::new("", &[], &with).roles.role(ip(REC)), Role::Recorder);
}

#[test]
fn a_guess_by_shape_stays_unknown() {
    let w = World::new("", &[], &[]);
    let mut f = flow(TCP, REC, CLOUD, 443, 100);
    (f.midstream, f.rates.video_windows) = (true, [20, 0]);
    let v = w.judge(&f);
    assert_eq!((v.class, words(&v).as_str(), v.confidence), (Class::Unknown, "midstream no-name", 0.25));
}

prop_compose! {
    fn any_flow()(
        proto in prop_oneof![Just(TCP), Just(UDP), Just(132u8), Just(1u8)],
        orig in prop_oneof![Just(REC), Just(CLIENT), Just(CLOUD), Just(OUTSIDE), Just("::1")],
        resp in prop_oneof![Just(REC), Just(CLIENT), Just(CLOUD), Just("0.0.0.0"), Just("203.0.113.1")],
        port in prop_oneof![Just(53u16), Just(80), Just(123), Just(443), Just(853), Just(2001), Just(3478), Just(8887), any::<u16>()],
        names in proptest::array::uniform4(proptest::option::of(0usize..8)),
        bits in any::<u16>(),
        counts in proptest::array::uniform8(0u32..30),
        start in 0u64..400,
    ) -> FlowFacts<'static> {
        const NAMES: [&str; 8] = ["a.us-west.u5fgb.com", "x.u5fgb.com", "restapi.gp4f.com", "www.example.com", "",
            "10.0.0.1", "s3.amazonaws.com", "\u{0}..é"];
        let name = |i: usize| names[i].map(|n| Seen { name: NAMES[n], id: None, frame: 1 });
        let bit = |i: u32| bits & (1 << i) != 0;
        let mut f = flow(proto, orig, resp, port, start);
        (f.sni, f.quic_sni, f.http_host, f.cert_name) = (name(0), name(1), name(2), name(3));
        (f.midstream, f.one_sided, f.cut, f.ech) = (bit(0), bit(1), bit(2), bit(3));
        f.authority = bit(4).then(|| Authority { host: name(2).unwrap_or(Seen { name: "", id: Some(9), frame: 0 }), port });
        (f.message_http, f.dns, f.ntp) = (bit(5).then_some(1), (bit(6) && bit(7)).then_some(1), (bit(8) && bit(9)).then_some(1));
        f.stun = bit(10).then_some(StunFacts { frame: 1, ice: bit(11), requests: [counts[0], counts[1]],
            success: counts[2], channel_data: counts[3] / 29, turn: bit(12) });
        f.dns_offered = (bit(1) && bit(2) && bit(3)).then_some(1);
        (f.dtls, f.sctp, f.rtsp) = (bit(13).then_some(1), bit(14).then_some(1), (bit(15) && bit(0)).then_some(1));
        (f.rtp, f.media_datagrams) = (counts[4], counts[5]);
        f.rates = Rates { video_windows: [counts[6], 0], bursts: [counts[7], 0] };
        f
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_facts_give_a_verdict_in_range(f in any_flow(), recorder in any::<bool>()) {
        let site = if recorder { format!("recorders = [\"{REC}\"]\nwan = [\"203.0.113.1\"]") } else { String::new() };
        let w = World::new(&site, &[(REC, CLOUD, "restapi.gp4f.com", 90)], &[f]);
        let v = w.judge(&f);
        prop_assert!((0.0..=0.99).contains(&v.confidence));
        prop_assert_eq!(&v, &w.judge(&f));
        for e in v.evidence.iter() { let _ = e.said().to_string(); }
    }

    #[test]
    fn an_agreeing_weaker_voice_never_takes_confidence(f in any_flow()) {
        let plain = World::new("", &[], &[]);
        let mut f = f;
        f.resp.0 = ip(CLOUD);
        f.orig.0 = ip(REC);
        let Some(name) = f.carried().filter(|s| plain.catalogue.look_up(s.name).class != Class::Unknown) else { return Ok(()) };
        let told = World::new("", &[(REC, CLOUD, name.name, f.start.0 / SECOND)], &[]);
        let (before, after) = (plain.judge(&f), told.judge(&f));
        if before.class == plain.catalogue.look_up(name.name).at(f.proto, f.resp.1, &plain.catalogue).class {
            prop_assert_eq!(before.class, after.class);
            prop_assert!(after.confidence >= before.confidence, "{:?} {:?}", before, after);
        }
    }
}

mod plain {
    use proptest::prelude::*;

    use super::*;
    use crate::classify::decide::{ask_every_rule, plain};
    use crate::classify::facts::StunFacts;
    use crate::classify::names::UNLISTED;

    const RELAY: &str = "a.us-west.u5fgb.com";
    const ENDS: [&str; 6] = [CLIENT, REC, OUTSIDE, "52.1.1.1", "8.8.8.8", "93.184.216.34"];
    const NAMES: [&str; 6] =
        [RELAY, "www.example.com", "192.168.1.50", "93.184.216.34", "my.s3.amazonaws.com", "dns.google"];

    fn facts() -> impl Strategy<Value = FlowFacts<'static>> {
        let ends =
            (0..6usize, 0..6usize, prop::sample::select(vec![80u16, 443, 8887, 53, 123, 2001, 554, 8531, 3478, 5000]));
        let names = (prop::option::of(0..6usize), prop::option::of(0..6usize), any::<bool>());
        (ends, prop::sample::select(vec![TCP, UDP, 132]), names, any::<u8>(), 0u32..8).prop_map(
            |((orig, resp, port), proto, (sni, host, known), bits, windows)| {
                let mut f = flow(proto, ENDS[orig], ENDS[resp], port, 100);
                let seen = |n: usize| {
                    let unlisted = matches!(NAMES[n], "www.example.com");
                    Seen { name: NAMES[n], id: (known && unlisted).then_some(UNLISTED), frame: 9 }
                };
                (f.sni, f.http_host) = (sni.map(seen), host.map(seen));
                let bit = |n: u8| bits >> n & 1 == 1;
                (f.midstream, f.one_sided, f.cut, f.established) = (bit(0), bit(1), bit(2), bit(3));
                f.ech = bit(4) && bit(5);
                f.dns_offered = (bit(3) && bit(4) && bit(5)).then_some(9);
                f.message_http = (bit(6) && bit(5)).then_some(7);
                f.stun = (bit(7) && bit(5)).then(|| StunFacts { frame: 8, success: 1, ..StunFacts::default() });
                f.rates.video_windows = [windows, 0];
                f
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn says_what_every_rule_together_says(all in prop::collection::vec(facts(), 1..6), site in any::<bool>()) {
            let site = if site { "recorders = [\"192.168.1.50\"]" } else { "" };
            let world = World::new(site, &[(CLIENT, "52.1.1.1", RELAY, 90), (CLIENT, "8.8.8.8", "www.example.com", 95)], &all);
            for f in &all {
                if let Some(verdict) = plain::plain(f, &world.knowledge()) {
                    prop_assert_eq!(verdict, ask_every_rule(f, &world.knowledge()));
                }
            }
        }
    }
}

mod outline;
