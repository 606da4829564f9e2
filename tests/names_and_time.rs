//! What asks for names and for the time, by the whole program.

mod support;

use serde_json::{Value, json};
use support::{dns, flows, only, udp};

const CLIENT: &str = "192.168.1.50";
const SERVER: &str = "198.51.100.10";
/// When captures begin, in nanoseconds since the Unix epoch.
const START: u64 = 1_700_000_000_000_000_000;

/// A datagram of the client's, to `port`.
fn asked(port: u16, payload: &[u8]) -> Vec<u8> {
    udp(50_000, port).payload(payload).ipv4(CLIENT, SERVER).frame()
}

/// A datagram of the server's, from `port`.
fn answered(port: u16, payload: &[u8]) -> Vec<u8> {
    udp(port, 50_000).payload(payload).ipv4(SERVER, CLIENT).frame()
}

#[test]
fn a_response_to_another_question_answers_none() {
    let query = dns(7, "a.example", None);
    let mut other = dns(7, "a.example", Some([192, 0, 2, 1]));
    let at = query.len() - 3;
    assert_eq!(other[at], 1, "the type asked for");
    other[at] = 12;
    let flow = only(&[asked(53, &query), answered(53, &other)], 1_000_000);
    let told = |e: &Value| (e["qtype"].clone(), e["rcode"].clone());
    let exchanges: Vec<_> = flow["dns"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(exchanges, [(json!("A"), Value::Null), (json!("PTR"), json!("NOERROR"))]);
}

/// A name is said again by two bytes: what is kept of a message must not be a multiple of it that a sender chooses.
#[test]
fn a_name_that_is_said_a_thousand_times_takes_no_room_a_thousand_times() {
    let name = [&[63][..], &[1; 63], &[63], &[1; 63], &[63], &[1; 63], &[61], &[1; 61], &[0]].concat();
    let header = [0, 7, 0x81, 0x80, 0, 1, 0x0f, 0xa0, 0, 0, 0, 0];
    let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12];
    let answer = [&header[..], &name, &[0, 5, 0, 1], &alias.repeat(4_000)].concat();
    let flow = only(&[answered(53, &answer)], 1_000_000);
    let told = flow["dns"][0]["answers"].as_array().unwrap();
    let bytes: usize = told.iter().map(|text| text.as_str().unwrap().len()).sum();
    assert!(!told.is_empty() && bytes <= 4 * answer.len() + 1024, "{bytes} of {}", answer.len());
}

#[test]
fn the_kinds_of_dns_are_told_apart() {
    let netbios = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01";
    let question = dns(7, "box.local", None);
    let cases: [(u16, &str, &[u8], &str); 5] = [
        (53, SERVER, &question, "dns"),
        (5353, "224.0.0.251", &question, "mdns"),
        (5353, SERVER, &question, "mdns"),
        (5355, "224.0.0.252", &question, "llmnr"),
        (137, "192.168.1.255", netbios, "netbios-ns"),
    ];
    for (port, to, payload, name) in cases {
        let flow = only(&[udp(50_000, port).payload(payload).ipv4(CLIENT, to).frame()], 1);
        assert_eq!((&flow["app_proto"], &flow["class"]), (&json!(name), &json!("dns")), "{port}");
        let asked = flow["dns"].as_array().map_or(0, Vec::len);
        assert_eq!((asked, &flow["flags"]), (usize::from(port != 137), &Value::Null), "{port}");
    }
    let flow = only(&[asked(137, b"none of its messages")], 1);
    assert_eq!((&flow["app_proto"], &flow["class"]), (&Value::Null, &json!("unknown")));
}

#[test]
fn what_hides_behind_the_port_of_dns_is_not_dns() {
    let handshake = [&[1, 0, 0, 0][..], &[0xa7; 144]].concat();
    let answer = [&[2, 0, 0, 0][..], &[0x9b; 88]].concat();
    let flow = only(&[asked(53, &handshake), answered(53, &answer)], 1_000_000);
    assert_eq!((&flow["app_proto"], &flow["dns"]), (&Value::Null, &Value::Null));
    assert_eq!((&flow["class"], &flow["evidence"][0]["tier"]), (&json!("dns"), &json!("E6")), "by its port alone");
    // once DNS was spoken, a message that is damaged is one of its messages
    let query = dns(7, "a.example", None);
    let mut damaged = dns(8, "b.example", None);
    damaged[12..14].copy_from_slice(&[0xc0, 12]);
    let flow = only(&[asked(53, &query), asked(53, &damaged)], 1_000_000);
    assert_eq!(flow["dns"].as_array().map(Vec::len), Some(2));
}

/// A packet of NTP version 4: mode, stratum and precision, then the stamps origin, receive and transmit, in
/// nanoseconds after the capture began by the sender's clock; `None` is not told.
fn ntp(mode: u8, stratum: u8, precision: u8, stamps: [Option<i64>; 3]) -> Vec<u8> {
    let stamp = |after: Option<i64>| {
        let Some(after) = after else { return 0 };
        let nanos = START.checked_add_signed(after).unwrap();
        let fraction = ((nanos % 1_000_000_000) << 32).div_ceil(1_000_000_000);
        (nanos / 1_000_000_000 + 2_208_988_800) << 32 | fraction
    };
    let mut packet = vec![0x20 | mode, stratum, 6, precision];
    packet.resize(24, 0);
    packet.extend(stamps.iter().flat_map(|s| stamp(*s).to_be_bytes()));
    packet
}

/// Seconds, to the millisecond.
fn near(value: &Value) -> f64 {
    (value.as_f64().unwrap() * 1e3).round() / 1e3
}

const MS: i64 = 1_000_000;
const HOUR: i64 = 3_600_000 * MS;

#[test]
fn ntp_tells_how_far_clocks_are_apart() {
    // the client's clock is an hour slow; it is 4 ms from here to the server, which takes 2 ms
    let request = ntp(3, 0, 0xec, [None, None, Some(-HOUR)]);
    let reply = ntp(4, 2, 0xec, [Some(-HOUR), Some(4 * MS), Some(6 * MS)]);
    let flow = only(&[asked(123, &request), answered(123, &reply)], 10_000_000);
    let told = &flow["ntp"];
    assert_eq!((&told["requests"], &told["replies"], &told["stratum"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!((near(&told["client_ahead"]), near(&told["server_ahead"])), (-3600.0, -0.004));
    assert_eq!((near(&told["offset"]), near(&told["delay"])), (3600.0, 0.008));
    assert_eq!((&told["unsynchronised"], &told["kiss"]), (&Value::Null, &Value::Null));
}

#[test]
fn only_the_reply_to_a_request_tells_an_offset() {
    let request = ntp(3, 0, 0xec, [None, None, Some(0)]);
    let stray = ntp(4, 2, 0xec, [Some(5 * MS), Some(4 * MS), Some(6 * MS)]);
    let flow = only(&[asked(123, &request), asked(123, &request), answered(123, &stray)], 10_000_000);
    let told = &flow["ntp"];
    assert_eq!((&told["requests"], &told["replies"]), (&json!(2), &json!(1)));
    assert_eq!((&told["offset"], &told["delay"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_client_that_hides_its_clock_has_none() {
    let request = ntp(3, 0, 0x20, [None, None, Some(-9 * HOUR)]);
    let reply = ntp(4, 1, 0xec, [Some(-9 * HOUR), Some(4 * MS), Some(6 * MS)]);
    let flow = only(&[asked(123, &request), answered(123, &reply)], 10_000_000);
    let told = &flow["ntp"];
    assert_eq!((&told["client_ahead"], &told["offset"]), (&Value::Null, &Value::Null));
    assert_eq!(near(&told["delay"]), 0.008, "the server's stamps and ours tell it");
}

#[test]
fn a_server_that_refuses_is_told() {
    let mut kiss = ntp(4, 0, 0xec, [Some(0), Some(0), Some(0)]);
    kiss[0] |= 0xc0;
    kiss[12..16].copy_from_slice(b"RATE");
    let request = ntp(3, 0, 0xec, [None, None, Some(0)]);
    let times = [0, 1_000_000_000].map(|after| START + after);
    let frames = [asked(123, &request), answered(123, &kiss)];
    let told = &flows(times.into_iter().zip(frames.iter().map(Vec::as_slice)))[0]["ntp"];
    let want = (&json!(0), &json!(true), &json!("RATE"));
    assert_eq!((&told["stratum"], &told["unsynchronised"], &told["kiss"]), want);
    assert_eq!((&told["offset"], &told["server_ahead"]), (&Value::Null, &Value::Null), "its stamps mean nothing");
}
