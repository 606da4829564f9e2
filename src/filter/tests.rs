use proptest::prelude::*;

use super::*;
use crate::event::{FlowRecord, HttpRecord, QuicRecord};
use crate::present::sample;

fn passes(text: &str, flow: &FlowRecord<'_>) -> bool {
    Filter::parse(text).unwrap_or_else(|e| panic!("{}", e.render(text))).matches(flow, &Known::default())
}

#[test]
fn what_a_relay_flow_passes() {
    let relay = sample::relay();
    for text in [
        "",
        "relay",
        "U5FGB",
        "us-w*t",
        "video",
        "192.168",
        "192.168.1.50",
        "10.0.0.0/8 or 203.0.113.0/24",
        "class:relay",
        "method:p2p,relay",
        "class=relay",
        "class!=p2p",
        "host:192.168.0.0/16",
        "src:192.168.1.50 dst:203.0.113.7",
        "dst:*.u5fgb.com",
        "host:u5fgb.com",
        "port:443",
        "port:80,443",
        "port:50000-51000",
        "sni:*.u5fgb.com",
        "sni:u5fgb.com",
        "sni:\"rec1.us-west.u5fgb.com\"",
        "sni:re:/^rec[0-9]/",
        "re:/rec\\d\\.us/",
        "region:us-west",
        "proto:tcp",
        "proto:tls",
        "state:s1",
        "state:open",
        "subclass:video*",
        "vlan:100",
        "vlan:1-200",
        "ja4:t13d*",
        "community:1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "id:1311768467463790320",
        "conf>=0.8",
        "conf>=certain",
        "rate>1M rate<4M",
        "rtt>30ms and rtt=31ms",
        "retrans<1%",
        "age>1m dur=72",
        "bytes>10MB",
        "pkts>=42034",
        "not p2p",
        "!p2p !(dns or stun)",
        "p2p or relay and port:443",
        "(p2p || relay) && NOT port:80",
    ] {
        assert!(passes(text, &relay), "{text}");
    }
}

#[test]
fn what_a_relay_flow_does_not_pass() {
    let relay = sample::relay();
    for text in [
        "p2p",
        "192.168.1.5",
        "class:p2p",
        "src:203.0.113.7",
        "dst:192.168.0.0/16",
        "host:::/0",
        "sni:fgb.com",
        "sni:*.com.evil",
        "\"rec*\"",
        "port:80",
        "community:1:lqu9qZlK+B5F3KDmev6m5PMibrg=",
        "state:closed,refused,reset,unanswered,midstream,one-sided,interim,held",
        "role:recorder",
        "finding:CF-1",
        "sev>=info",
        "relay p2p",
        "rtt>31ms",
        "flag:ech",
    ] {
        assert!(!passes(text, &relay), "{text}");
    }
}

#[test]
fn tunnels_by_name() {
    let mirrored = FlowRecord { tunnel: vec!["gre", "erspan2"], ..sample::unknown() };
    for (text, fits) in [("tunnel:gre", true), ("tunnel:vxlan,ERSPAN*", true), ("tunnel:erspan", false)] {
        assert_eq!(passes(text, &mirrored), fits, "{text}");
    }
    assert!(!passes("tunnel:*", &sample::unknown()));
}

#[test]
fn other_flows() {
    assert!(passes("dns:*.u5fgb.com proto:dns !proto:tcp", &sample::dns()));
    assert!(passes("dns:203.0.113.7 and u5fgb", &sample::dns()));
    assert!(!passes("host:u5fgb.com", &sample::dns()), "asking for a name is not talking to it");
    assert!(
        !passes("rtt<1s", &sample::dns()) && !passes("rtt>=0s", &sample::dns()) && !passes("rate>=0", &sample::dns())
    );
    let unknown = sample::unknown();
    for text in
        ["2001:db8::1", "host:2001:db8::/32", "state:midstream", "flag:unusual-port", "class:unknown", "\"db8:\""]
    {
        assert!(passes(text, &unknown), "{text}");
    }
    assert!(!passes("host:0.0.0.0/0", &unknown), "a network of the other family");
    let mut quic = sample::unknown();
    quic.quic = Some(Box::new(QuicRecord {
        version: Some("v2".into()),
        sni: Some("rec1.u5fgb.com".into()),
        ..QuicRecord::default()
    }));
    for text in ["quic.sni:u5fgb.com", "sni:*.u5fgb.com", "quic.version:v1,v2 proto:quic", "host:u5fgb.com", "rec1"] {
        assert!(passes(text, &quic), "{text}");
    }
    assert!(!passes("quic.sni:fgb.com", &quic) && !passes("quic.version:v", &quic) && !passes("quic.sni:*", &unknown));
    let mut web = sample::unknown();
    web.http = vec![HttpRecord { host: Some("a.u5fgb.com:8080".into()), ..HttpRecord::default() }];
    assert!(passes("host:u5fgb.com", &web));
}

#[test]
fn binding() {
    let tree = |text| Filter::parse(text).unwrap().to_string();
    assert_eq!(tree("a b or c d"), "a and b or c and d");
    assert_eq!(tree("a and (b or c) and (d and e)"), "a and (b or c) and d and e");
    assert_eq!(tree("not a b"), "!a and b");
    assert_eq!(tree("!(a b)"), "!(a and b)");
    assert_eq!(tree("10.0.0.1"), "host:10.0.0.1/32");
    assert_eq!(tree("method:relay port!=80 rate>=1M"), "class:relay and !port:80 and rate>=1000000");
    assert_eq!(tree("'a b' \"c\\\"\""), "\"a b\" and \"c\\\"\"");
    assert_eq!(tree("   "), "");
}

#[test]
fn errors_point_at_the_place() {
    let rendered = |text: &str| Filter::parse(text).unwrap_err().render(text);
    assert_eq!(
        rendered("relay and prot:443"),
        "there is no key \"prot\"\n  relay and prot:443\n            ^^^^\n  did you mean proto?  (a word that holds : or < > = stands in quotes)"
    );
    assert!(rendered("foo>1").starts_with("there is no key \"foo\"\n") && rendered("port>1").contains("be compared"));
    assert_eq!(
        rendered("class:rellay"),
        "there is no class \"rellay\"\n  class:rellay\n        ^^^^^^\n  did you mean relay?"
    );
    assert_eq!(
        rendered("a and"),
        "the filter ends where a test should stand\n  a and\n       ^\n  add a test such as class:relay"
    );
    assert_eq!(rendered("a\u{1b} (b"), "this ( is never closed\n  a\\u{1b} (b\n          ^\n  add a ) at the end");
    for (text, offset) in [
        ("port:", 5),
        ("port:70000", 5),
        ("port:443-80", 5),
        ("port>80", 0),
        ("foo>1", 0),
        ("rate:1M", 0),
        ("rate>1X", 5),
        ("rate>", 5),
        ("retrans>2", 8),
        ("host:10.0.0.0/33", 5),
        ("src:name", 4),
        ("a ) b", 2),
        ("or a", 0),
        ("a or or b", 5),
        ("\"abc", 0),
        ("\"a\"b", 3),
        ("re:/(/", 0),
        ("re:/a/i", 6),
        ("class:re:/x/", 6),
        ("state:foo", 6),
        ("id:x", 3),
        ("sev>=bad", 5),
        ("conf>0.5,0.6", 0),
        ("port:80,", 8),
        (":x", 0),
        ("()", 1),
    ] {
        assert_eq!(Filter::parse(text).expect_err(text).offset(), offset, "{text}");
    }
    let deep = "(".repeat(100_000);
    assert!(Filter::parse(&deep[..60_000]).unwrap_err().message.contains("levels deep"));
    assert!(Filter::parse(&deep).unwrap_err().message.contains("longer than"));
    assert!(Filter::parse(&"!".repeat(60_000)).unwrap_err().render(&"!".repeat(60_000)).lines().all(|l| l.len() < 120));
}

#[test]
fn tests_that_ask_what_was_found_are_told() {
    let filter = Filter::parse("relay (role:recorder or !sev>=warn) state:held state:held,S0 finding:stall").unwrap();
    assert_eq!(filter.asks_findings(), ["sev>=warning", "state:held", "state:held,S0", "finding:stall"]);
    assert!(filter.asks_roles() && !Filter::parse("sev>=warn").unwrap().asks_roles());
}

#[test]
fn what_was_found_of_a_flow_and_what_its_hosts_are() {
    let findings = sample::findings();
    let flow = sample::relay();
    let stall = findings.iter().find(|f| f.rule == "CF-1").unwrap();
    let lead = FlowRecord { flow_id: stall.flow_ids[0], ..flow.clone() };
    let other = FlowRecord { flow_id: 77, ..flow.clone() };
    let recorder = lead.src_ip;
    let roles = move |ip| (ip == recorder).then_some("recorder");
    let known = Known::new(&findings, Some(Box::new(roles)));
    let passes = |text: &str, flow: &FlowRecord<'_>| Filter::parse(text).unwrap().matches(flow, &known);
    let id = format!("finding:{}", stall.id);
    for text in ["finding:stall", "finding:CF-1", "finding:content-filter-stall", "finding:buffer-*", &id, "sev>=error"]
    {
        assert!(passes(text, &lead) && !passes(text, &other), "{text}");
        assert!(!Filter::parse(text).unwrap().matches(&lead, &Known::default()), "{text}");
    }
    for text in ["state:held", "sev=error", "!finding:dns"] {
        assert!(passes(text, &lead), "{text}");
    }
    assert!(!passes("finding:CF-2", &lead) && !passes("sev<=warn", &lead) && !passes("state:held", &other));
    assert!(passes("role:recorder", &other) && !passes("role:client", &other) && !passes("role:viewer", &other));
    // a hint is found, and neither grave nor a word about how the flow stands
    let mut hint = findings.clone();
    hint.iter_mut().for_each(|finding| finding.confidence = 0.5);
    let known = Known::new(&hint, None);
    let hinted = |text: &str| Filter::parse(text).unwrap().matches(&lead, &known);
    assert!(hinted("finding:CF-1") && !hinted("sev>=info") && !hinted("state:held") && !hinted("role:recorder"));
}

#[test]
fn words_that_nothing_can_be_are_refused() {
    let hint = |text: &str| Filter::parse(text).expect_err(text).hint;
    for (text, said) in [
        ("finding:stal", "did you mean stall?"),
        ("finding:CF-99", "did you mean CF-9?"),
        ("finding:3f2a", "finding:dns-blocked"),
        ("flag:unusual", "did you mean unusual-port?"),
        ("flag:nonsense", "one of unusual-port "),
        ("role:server", "one of recorder client"),
        ("subclass:zzz", "one of idle "),
        ("proto:xyz", "one of TCP "),
        ("proto:256", "one of TCP "),
        ("relay proto:tcp,htps", "did you mean http?"),
    ] {
        assert!(hint(text).contains(said), "{text}: {}", hint(text));
    }
    for text in [
        "finding:stall,dns-blocked,hold-release,D-41,0123456789ab finding:3f2a* finding:re:/^3f/ finding:*stall",
        "flag:*-port subclass:video-* role:RECORDER proto:tcp,47,ws-discovery,icmp6,re:/^q/",
    ] {
        assert!(Filter::parse(text).is_ok(), "{text}");
    }
    assert_eq!(Filter::parse("role:viewer").unwrap().to_string(), "role:client");
}

#[test]
fn a_transport_is_a_word() {
    for (text, meant) in [("tcp", "proto:tcp"), ("UDP port:53", "proto:UDP port:53"), ("\"tcp\"", "\"tcp\"")] {
        assert_eq!(Filter::parse(text).unwrap().to_string(), Filter::parse(meant).unwrap().to_string(), "{text}");
    }
    assert!(passes("udp", &sample::dns()) && !passes("tcp", &sample::dns()));
}

#[test]
fn what_joins_words_elsewhere_is_refused() {
    for (text, said) in [
        ("relay|s3", "relay|s3\n       ^\n  write `or`"),
        ("relay & s3", "relay & s3\n        ^\n  write `and`"),
        ("relay, s3", "relay, s3\n       ^\n  a list stands behind a key"),
    ] {
        let told = Filter::parse(text).unwrap_err().render(text);
        assert!(told.contains(said), "{told}");
    }
    assert!(Filter::parse("\"a=1&b=2\" class:relay,s3 relay || s3 && p2p re:/a|b/").is_ok());
}

/// Text that looks like an expression often enough to get deep into the parser.
fn expression_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(Filter::keys().collect::<Vec<_>>()).prop_map(String::from),
        prop::sample::select(vec![
            "and",
            "or",
            "not",
            "!",
            "(",
            ")",
            " ",
            " ",
            " ",
            ":",
            ",",
            ">",
            ">=",
            "<",
            "=",
            "!=",
            "\"",
            "'",
            "re:/",
            "/",
            "\\",
            "*",
            "?",
            "relay",
            "S0",
            "10.0.0.0/8",
            "::1",
            "443",
            "80-90",
            "1M",
            "5ms",
            "1%",
            "warn",
            "é",
            "\u{202e}",
        ])
        .prop_map(String::from),
        "[a-z0-9.]{1,4}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|p| p.concat())
}

/// One well-formed test.
fn test_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9._*-]{0,8}",
        "\"[ -~é]{0,6}\"".prop_filter("no quote inside", |s| !s[1..s.len() - 1].contains(['"', '\\'])),
        "(class|method):(relay|p2p|unknown)(,s3)?",
        "(port|vlan):[1-9][0-9]{0,3}(,[1-9]-[1-9][0-9])?",
        "(host|src|dst):(10\\.0\\.0\\.0/[0-9]|fe80::1|::/0)",
        "(host|dst|sni|dns|region|tunnel|ja4|community):[a-z*?.]{1,6}(,\"[ :,]{1,3}\")?",
        "(proto:(tcp|t\\*|47)|flag:(ech|\\?ch)|role:(viewer|rec\\*)|subclass:vid\\*|finding:(CF-1|stall|3f\\*))(,\\*)?",
        "(sni|dns):re:/[a-z]{1,3}(\\\\/)?/",
        "re:/[a-z.]{1,4}/",
        "state:(S0|open|held)(,rej)?",
        "(conf|retrans)(>|>=|<|<=|=|!=)0\\.[0-9]{1,9}",
        "(rate|bytes|pkts)(>|<=)[0-9]{1,9}(\\.[0-9]{1,3})?[kMG]?",
        "(rtt|age|dur)(<|>=)[0-9]{1,6}(ns|us|ms|s|m|h)?",
        "(sev|severity)(>=|=|:|!=)(info|warn|warning|error)",
        "id(:|!=)[0-9]{1,18}",
    ]
}

fn filter_text() -> impl Strategy<Value = String> {
    test_text().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|p| format!("({})", p.join(" or "))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|p| format!("({})", p.join(" "))),
            inner.prop_map(|p| format!("!{p}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parsing_never_panics(text in expression_like()) {
        match Filter::parse(&text) {
            Ok(filter) => {
                prop_assert_eq!(&Filter::parse(&filter.to_string()).unwrap(), &filter);
                filter.matches(&sample::relay(), &Known::default());
            }
            Err(error) => {
                prop_assert!(error.offset() <= text.len());
                prop_assert_eq!(error.render(&text).lines().count(), 4);
            }
        }
    }

    #[test]
    fn canonical_text_parses_to_the_same(text in filter_text()) {
        let filter = Filter::parse(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
        let canonical = filter.to_string();
        let again = Filter::parse(&canonical).map_err(|e| TestCaseError::fail(e.render(&canonical)))?;
        prop_assert_eq!(&again, &filter);
        prop_assert_eq!(again.to_string(), canonical);
        for flow in [sample::relay(), sample::dns(), sample::unknown()] {
            prop_assert_eq!(again.matches(&flow, &Known::default()), filter.matches(&flow, &Known::default()));
        }
    }
}
