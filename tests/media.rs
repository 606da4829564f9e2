//! Media over UDP: SCTP and RTP that prove themselves, and what TURN carries.

mod support;

use serde_json::{Value, json};
use support::der::certificate;
use support::{ACK, PSH, SYN, only, tcp, udp};

const HERE: (&str, u16) = ("192.168.1.50", 50_000);
const THERE: (&str, u16) = ("198.51.100.10", 40_000);

/// Who sends: the originator, or the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Here,
    There,
}
use Who::{Here, There};

/// The record of a flow to `port` in which these datagrams are sent.
fn said(port: u16, datagrams: &[(Who, Vec<u8>)]) -> Value {
    let frames = datagrams.iter().map(|(who, bytes)| {
        let (from, to) = if *who == Here { (HERE, (THERE.0, port)) } else { ((THERE.0, port), HERE) };
        udp(from.1, to.1).payload(bytes.as_slice()).ipv4(from.0, to.0).frame()
    });
    told(&frames.collect::<Vec<_>>())
}

/// The record of the one flow that is in these frames.
fn told(frames: &[Vec<u8>]) -> Value {
    only(frames, 20_000_000)
}

/// A packet of RTP.
fn rtp(ssrc: u32, payload_type: u8, sequence: u16) -> Vec<u8> {
    let head = [&[0x80, payload_type][..], &sequence.to_be_bytes(), &(u32::from(sequence) * 160).to_be_bytes()];
    [&head.concat()[..], &ssrc.to_be_bytes(), &[0x55; 160]].concat()
}

/// A packet of SCTP with its CRC32c, which is worked out bit by bit.
fn sctp(ports: (u16, u16), tag: u32, chunk: u8) -> Vec<u8> {
    let ports = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    let mut bytes = [&ports[..], &tag.to_be_bytes(), &[0; 4], &[chunk, 0, 0, 8, 1, 2, 3, 4]].concat();
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    let sum = !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A STUN message of the type `kind` with these attributes.
fn stun(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, value) in attributes {
        body.extend(number.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(body.len()).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), b"\x21\x12\xa4\x42abcdefghijkl", &body].concat()
}

#[test]
fn rtp_proves_itself_by_going_on() {
    let stream = |sequences: &[u16]| sequences.iter().map(|n| (Here, rtp(0xdead_beef, 8, *n))).collect::<Vec<_>>();
    let flow = said(40_000, &stream(&[65_534, 65_535, 0, 1, 4]));
    let streams = json!([{ "ssrc": 0xdead_beef_u32, "payload_type": 8, "packets": 5, "lost": 2 }]);
    assert_eq!(flow["rtp"], json!({ "streams": streams }));
    assert_eq!(said(40_000, &stream(&[1, 2, 3]))["rtp"], Value::Null, "too few");
    assert_eq!(said(40_000, &stream(&[1, 500, 1000, 1500, 2000]))["rtp"], Value::Null, "too far apart");
}

#[test]
fn both_ways_and_reports_beside() {
    let mut datagrams = Vec::new();
    for n in 0..9 {
        datagrams.extend([(Here, rtp(1, 96, n)), (There, rtp(2, 97, n))]);
    }
    datagrams.push((Here, b"\x80\xc9\x00\x01\x00\x00\x00\x01".to_vec()));
    let flow = said(40_000, &datagrams);
    let stream = |ssrc: u32| json!({ "ssrc": ssrc, "payload_type": 95 + ssrc, "packets": 9, "lost": 0 });
    let mut other = stream(2);
    other["toclient"] = true.into();
    assert_eq!(flow["rtp"], json!({ "streams": [stream(1), other], "reports": 1 }));
}

#[test]
fn reports_prove_themselves() {
    let report = b"\x80\xc9\x00\x01\x00\x00\x00\x01".to_vec();
    assert_eq!(said(40_001, &[(Here, report.clone())])["rtp"], Value::Null, "eight bytes alone");
    let two = [&report[..], b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\x00\x00\x00"].concat();
    assert_eq!(said(40_001, &[(Here, two)])["rtp"]["reports"], 1);
    assert_eq!(said(40_001, &[(Here, report.clone()), (There, report)])["rtp"]["reports"], 2);
}

#[test]
fn sctp_proves_itself_by_its_checksum() {
    let talk = |bent: u8| {
        let [mut hello, answer] = [sctp((5000, 5001), 0, 1), sctp((5001, 5000), 7, 2)];
        hello[8] ^= bent;
        vec![(Here, hello), (There, answer)]
    };
    let flow = said(9899, &talk(0));
    let told = json!({ "src_port": 5000, "dest_port": 5001, "tag_toclient": 7, "chunks": ["init", "init-ack"] });
    assert_eq!(flow["sctp"], told);
    assert_eq!(said(33_333, &talk(0))["sctp"], told, "whatever the port");
    assert_eq!(said(33_333, &talk(1))["sctp"]["chunks"], json!(["init-ack"]));
    let after = [(Here, stun(1, &[])), (Here, sctp((5000, 5001), 9, 0))];
    let flow = said(33_333, &after);
    assert_eq!((&flow["sctp"]["tag_toserver"], &flow["stun"]["turn"]), (&json!(9), &Value::Null));
}

/// An address as STUN XORs it.
fn xored(ip: [u8; 4], port: u16) -> Vec<u8> {
    let [a, b, c, d] = ip;
    [&[0, 1][..], &(port ^ 0x2112).to_be_bytes(), &[a ^ 0x21, b ^ 0x12, c ^ 0xa4, d ^ 0x42]].concat()
}

/// ChannelData by the channel 0x4001.
fn channel(data: &[u8]) -> Vec<u8> {
    [&[0x40, 1][..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

/// A ClientHello of DTLS 1.2 for a name.
fn dtls_hello(name: &str) -> Vec<u8> {
    let names = [&[0, 0][..], &u16::try_from(name.len()).unwrap().to_be_bytes(), name.as_bytes()].concat();
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let list = sized(&names[1..]);
    let extension = [&[0, 0][..], &sized(&list)].concat();
    let body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0], &sized(&extension)].concat();
    dtls(1, 0, &body)
}

/// A handshake message of DTLS 1.2 of that type and number, whole.
fn dtls(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[kind, 0][..], &length, &[0, number, 0, 0, 0, 0], &length, body].concat();
    let record = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number][..], &record, &message].concat()
}

/// The certificate message of an authority's name.
fn certified(name: &str) -> Vec<u8> {
    let der = certificate(name, name, &[]);
    let sized = |bytes: &[u8]| [&[0][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    dtls(11, 1, &sized(&sized(&der)))
}

#[test]
fn the_certificate_that_is_told_is_the_servers() {
    let server = [&[0xfe, 0xfd][..], &[8; 32], &[0, 0xc0, 0x2b, 0]].concat();
    let hellos = [(Here, dtls_hello("peer.example")), (There, dtls(2, 0, &server))];
    let (own, servers) = ((Here, certified("a client")), (There, certified("a server")));
    let subject = |rest: &[(Who, Vec<u8>)]| said(33_333, &[&hellos[..], rest].concat())["tls"]["subject"].clone();
    assert_eq!(subject(&[own.clone(), servers]), "O=Issuers, CN=a server");
    assert_eq!(subject(&[own]), Value::Null, "the server's was not captured");
}

#[test]
fn turn_tells_what_it_relays_and_what_is_inside() {
    let relayed = stun(0x0103, &[(0x16, &xored([203, 0, 113, 9], 50_001))]);
    let permission = stun(0x0008, &[(0x12, &xored([192, 0, 2, 7], 40_000))]);
    let check = stun(1, &[(0x24, &[0; 4]), (0x25, &[]), (0x802a, &[5; 8])]);
    let send = |data: &[u8]| stun(0x0016, &[(0x12, &xored([192, 0, 2, 7], 40_000)), (0x13, data)]);
    let mut talk = vec![(Here, stun(3, &[])), (There, relayed), (Here, permission), (Here, send(&check))];
    talk.push((Here, send(&dtls_hello("peer.example"))));
    talk.extend((0..6).map(|n| (There, channel(&rtp(77, 96, n)))));
    let flow = said(3478, &talk);
    let stun = &flow["stun"];
    assert_eq!((&stun["turn"], &stun["channel_data"]), (&json!(true), &json!(6)));
    assert_eq!((&stun["relayed"], &stun["peers"]), (&json!(["203.0.113.9:50001"]), &json!(["192.0.2.7:40000"])));
    assert_eq!(stun["ice"], json!({ "role": "controlling", "nominated": true }));
    assert_eq!(flow["tls"]["sni"], "peer.example");
    assert_eq!(flow["rtp"]["streams"][0]["packets"], 6);
    assert_eq!(flow["class"], "stun");
}

#[test]
fn the_other_ends_word_tells_the_role() {
    let says = |attribute: u16| stun(1, &[(0x24, &[0; 4]), (attribute, &[5; 8])]);
    assert_eq!(
        said(40_000, &[(Here, says(0x8029)), (There, says(0x802a))])["stun"]["ice"],
        json!({ "role": "controlled" })
    );
    assert_eq!(
        said(40_000, &[(Here, stun(1, &[])), (There, says(0x8029))])["stun"]["ice"],
        json!({ "role": "controlling" })
    );
    assert_eq!(said(40_000, &[(Here, stun(1, &[]))])["stun"]["ice"], Value::Null);
}

#[test]
fn messages_of_before_the_magic_cookie_are_known_on_any_port_by_what_they_ask() {
    let classic = |kind: u16, attributes: &[(u16, &[u8])]| {
        let mut bytes = stun(kind, attributes);
        bytes[4..8].copy_from_slice(b"0123");
        bytes
    };
    let answer = classic(0x0101, &[(1, &[0, 1, 0x9c, 0x40, 203, 0, 113, 5])]);
    for port in [3478, 19_302] {
        let asked = said(port, &[(Here, classic(1, &[(3, &[0; 4])])), (There, answer.clone())]);
        assert_eq!(asked["stun"]["mapped"], json!(["203.0.113.5:40000"]), "{port}");
    }
    let bare = said(19_302, &[(Here, classic(1, &[]))]);
    assert_eq!(bare["stun"], Value::Null, "twenty bytes that may be anything");
}

#[test]
fn turn_over_tcp_tells_the_same() {
    let mut frames = vec![tcp(HERE.1, 3478).flags(SYN).seq(999).ipv4(HERE.0, THERE.0).frame()];
    let hello = channel(&dtls_hello("peer.example"));
    let padded = [&hello[..], &[0; 3][..hello.len().wrapping_neg() & 3]].concat();
    let stream = [stun(3, &[]), padded, channel(b"beef")].concat();
    for (at, part) in stream.chunks(50).enumerate() {
        let seq = 1000 + u32::try_from(at * 50).unwrap();
        frames.push(tcp(HERE.1, 3478).flags(ACK | PSH).seq(seq).payload(part).ipv4(HERE.0, THERE.0).frame());
    }
    let flow = told(&frames);
    assert_eq!((&flow["stun"]["channel_data"], &flow["tls"]["sni"]), (&json!(2), &json!("peer.example")));
}
