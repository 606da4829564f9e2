//! TLS wherever a TCP connection carries it: alone, asked for by another protocol, or inside one.

mod support;

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{ACK, PSH, SYN, client_hello, pcap, server_hello, tcp};

const CLIENT: &str = "192.168.1.50";
const SERVER: &str = "198.51.100.10";
const NAME: &str = "relay.example";

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Client,
    Server,
}
use Who::{Client, Server};

/// The record of a connection on which this is said, a segment each.
fn said(port: u16, segments: &[(Who, &[u8])]) -> Value {
    let (mut seq, mut frames) = ([1_000_u32, 9_000], Vec::new());
    frames.push(tcp(50_000, port).flags(SYN).seq(999).ipv4(CLIENT, SERVER).frame());
    frames.push(tcp(port, 50_000).flags(SYN | ACK).seq(8_999).ack(1_000).ipv4(SERVER, CLIENT).frame());
    for (from, bytes) in segments {
        let [client, server] = seq;
        let n = u32::try_from(bytes.len()).unwrap();
        let (segment, ends) = if *from == Client {
            seq[0] += n;
            (tcp(50_000, port).seq(client).ack(server), (CLIENT, SERVER))
        } else {
            seq[1] += n;
            (tcp(port, 50_000).seq(server).ack(client), (SERVER, CLIENT))
        };
        frames.push(segment.flags(ACK | PSH).payload(*bytes).ipv4(ends.0, ends.1).frame());
    }
    told(&frames)
}

/// The record of the one flow that is in these frames.
fn told(frames: &[Vec<u8>]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcap");
    let times = (0..).map(|n| 1_700_000_000_000_000_000 + n * 1_000_000);
    fs::write(&path, pcap(1, times.zip(frames.iter().map(Vec::as_slice)))).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_relayscope")).arg("--ndjson").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let flows: Vec<Value> =
        lines.map(|l| serde_json::from_slice(l).unwrap()).filter(|r: &Value| r["event_type"] == "flow").collect();
    assert_eq!(flows.len(), 1);
    flows.into_iter().next().unwrap()
}

/// The server's name and the version agreed on.
fn tls(flow: &Value) -> (&str, &str) {
    let text = |key: &str| flow["tls"][key].as_str().unwrap_or("-");
    (text("sni"), text("version"))
}

#[test]
fn hellos_that_differ_have_a_fingerprint_each() {
    let (first, second) = (client_hello(NAME, 40), another_hello());
    let flow = said(443, &[(Client, &first), (Client, &second), (Client, &first), (Server, &server_hello(true))]);
    let prints = |key: &str| flow["tls"][key].as_array().map(Vec::len);
    assert_eq!((tls(&flow), prints("ja4"), prints("ja3")), ((NAME, "TLSv1.3"), Some(2), Some(2)));
    let flow = said(443, &[(Client, &first), (Client, &first), (Server, &server_hello(true))]);
    assert!(flow["tls"]["ja4"].is_string() && flow["tls"]["ja3"].is_string());
}

/// A ClientHello for the same name with an empty session ticket where another has padding.
fn another_hello() -> Vec<u8> {
    let mut hello = client_hello(NAME, 0);
    let at = hello.windows(4).position(|w| w == [0, 21, 0, 0]).unwrap();
    hello[at + 1] = 35;
    hello
}

#[test]
fn a_hello_in_ssl_2_dress_has_no_fingerprint() {
    let body = [&[1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 0, 0, 0x35][..], &[5; 16]].concat();
    let hello = [&[0x80, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let flow = said(443, &[(Client, &hello), (Server, &server_hello(false))]);
    assert_eq!((tls(&flow), &flow["tls"]["ja4"]), (("-", "TLSv1.2"), &Value::Null));
}
