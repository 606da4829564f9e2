//! QUIC as another implementation speaks it: rustls makes the hellos and the packets, relayscope opens them, through
//! the whole engine, whatever the order in which pieces come.

mod support;
#[path = "support/quic.rs"]
mod wire;

use proptest::prelude::*;
use relayscope::classify::site::Site;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::engine::{Config, Engine};
use relayscope::inspect::ja::{Transport, ja3, ja4};
use relayscope::inspect::tls::ClientHello;
use relayscope::source::{Frame, LinkType};
use relayscope::time::Timestamp;
use rustls::Side;
use serde_json::{Value, json};
use support::udp;
use wire::{VERSIONS, client_hello, crypto, initial};

const NAME: &str = "abc.us-west.u5fgb.com";

/// Runs datagrams of one flow, each with whether the server sent it: the flow's record, and how many were QUIC.
fn run(datagrams: &[(bool, Vec<u8>)]) -> (Value, u64) {
    let mut engine = Engine::new(&Config { records: true, secret: 1, ..Config::default() });
    for (n, (from_server, payload)) in (1_u64..).zip(datagrams) {
        let frame = match from_server {
            false => udp(50_000, 443).payload(&payload[..]).ipv4("192.168.1.50", "198.51.100.10"),
            true => udp(443, 50_000).payload(&payload[..]).ipv4("198.51.100.10", "192.168.1.50"),
        };
        let bytes = frame.frame();
        let (ts, len) = (Timestamp(n * 2_000_000), u32::try_from(bytes.len()).unwrap());
        engine.frame(Frame { ts, link: LinkType(1), len, bytes: &bytes });
    }
    let analysis = engine.finish();
    let base = KnowledgeBase::new(None, Site::default()).unwrap();
    let naming = analysis.name(&base);
    let flows = analysis.in_order();
    let view = analysis.view(flows[0], &naming).unwrap();
    let record = serde_json::to_value(view.record(&view.verdict(&view.facts()))).unwrap();
    assert_eq!(flows.len(), 1);
    (record, analysis.stats().quic_flows)
}

#[test]
fn a_hello_of_rustls_is_read_as_rustls_wrote_it() {
    for ((number, version), name) in VERSIONS.into_iter().zip(["v1", "v2", "draft-29"]) {
        let hello = client_hello(NAME, &["h3"], version);
        let id = b"\x01\x02\x03\x04\x05\x06\x07\x08\x09";
        let datagram = initial((number, version), Side::Client, (id, id), 0, &crypto(0, &hello), 1200);
        let (record, count) = run(&[(false, datagram)]);
        assert_eq!((&record["quic"], count), (&json!({"version": name, "sni": NAME}), 1));
        let hello = ClientHello::parse(&hello[4..]).unwrap();
        assert_eq!(record["tls"]["ja4"], ja4(&hello, Transport::Quic));
        assert_eq!(record["tls"]["ja3"], ja3(&hello));
        assert_eq!((&record["tls"]["alpn"], &record["tls"]["sni"]), (&json!(["h3"]), &Value::Null));
        assert_eq!((&record["class"], &record["region"]), (&json!("relay"), &json!("us-west")));
        // no odd port: QUIC at 443 is where TLS would be
        assert_eq!(record["flags"], json!(["quic"]));
        assert_eq!(record["evidence"][0]["text"], format!("QUIC SNI {NAME}"));
    }
}

#[test]
fn the_server_is_heard_too() {
    let hello = client_hello("a.example", &["doq"], VERSIONS[0].1);
    let first = initial(VERSIONS[0], Side::Client, (b"original", b"original"), 0, &crypto(0, &hello), 1200);
    let body = [&[2, 0, 0, 46, 3, 3][..], &[1; 32], &[0, 0x13, 2, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat();
    let answer = initial(VERSIONS[0], Side::Server, (b"original", b"abcd"), 0, &crypto(0, &body), 1100);
    // a mirror that shows the answer first: who asked is known by the hello alone
    for (swapped, cipher) in [(false, json!("TLS_AES_256_GCM_SHA384")), (true, Value::Null)] {
        let mut datagrams = vec![(false, first.clone()), (true, answer.clone())];
        if swapped {
            datagrams.reverse();
        }
        let (record, _) = run(&datagrams);
        assert_eq!((&record["quic"]["sni"], &record["tls"]["cipher"]), (&json!("a.example"), &cipher));
        assert_eq!((&record["src_port"], &record["tls"]["alpn"]), (&json!(50_000), &json!(["doq"])));
        assert_eq!((&record["app_proto"], &record["subclass"]), (&json!("doq"), &json!(["doq"])));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_in_any_order_are_the_hello(
        id in prop::collection::vec(any::<u8>(), 8..=20),
        version in 0_usize..3,
        mut cuts in prop::collection::vec(1_usize..240, 0..10),
        order in any::<prop::sample::Index>(),
        packets in 1_usize..5,
    ) {
        let (number, version) = VERSIONS[version];
        let hello = client_hello("a.example", &["h3"], version);
        cuts.iter_mut().for_each(|cut| *cut %= hello.len());
        cuts.extend([0, hello.len()]);
        cuts.sort_unstable();
        let mut frames: Vec<Vec<u8>> = cuts.windows(2).map(|w| crypto(w[0], &hello[w[0]..w[1]])).collect();
        let n = frames.len();
        frames.rotate_left(order.index(n));
        frames[n / 2..].reverse();
        let shares = frames.chunks(n.div_ceil(packets)).zip(0_u32..);
        let packet = |(frames, n): (&[Vec<u8>], u32)| {
            initial((number, version), Side::Client, (&id, &id), n, &frames.join(&[0_u8, 1][..]), 1200)
        };
        let (record, _) = run(&shares.map(|share| (false, packet(share))).collect::<Vec<_>>());
        prop_assert_eq!(&record["quic"]["sni"], "a.example");
    }
}
