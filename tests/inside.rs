//! Protocols wherever a TCP connection carries them: alone, asked for by another protocol, or inside one.

mod support;

use serde_json::Value;
use support::der::certificate;
use support::{ACK, PSH, SYN, client_hello, client_hello_with, only, server_hello, server_hello_with, tcp, udp};

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

/// What is said, a segment each.
type Talk<'a> = &'a [(Who, &'a [u8])];

/// The record of a connection on which this is said, a segment each.
fn said(port: u16, segments: Talk<'_>) -> Value {
    told(&spoken(50_000, (SERVER, port), segments))
}

/// A connection from a port of the client's on which this is said, a segment each.
fn spoken(own: u16, (server, port): (&str, u16), segments: Talk<'_>) -> Vec<Vec<u8>> {
    let (mut seq, mut frames) = ([1_000_u32, 9_000], Vec::new());
    frames.push(tcp(own, port).flags(SYN).seq(999).ipv4(CLIENT, server).frame());
    frames.push(tcp(port, own).flags(SYN | ACK).seq(8_999).ack(1_000).ipv4(server, CLIENT).frame());
    for (from, bytes) in segments {
        let [asked, told] = seq;
        let n = u32::try_from(bytes.len()).unwrap();
        let (segment, ends) = if *from == Client {
            seq[0] += n;
            (tcp(own, port).seq(asked).ack(told), (CLIENT, server))
        } else {
            seq[1] += n;
            (tcp(port, own).seq(told).ack(asked), (server, CLIENT))
        };
        frames.push(segment.flags(ACK | PSH).payload(*bytes).ipv4(ends.0, ends.1).frame());
    }
    frames
}

/// The record of the one flow that is in these frames.
fn told(frames: &[Vec<u8>]) -> Value {
    only(frames, 1_000_000)
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

/// A ClientHello with an encrypted one inside, or a decoy, of that key.
fn with_ech(enc: &[u8]) -> Vec<u8> {
    let key = support::vec16(enc);
    let ech = [&[0, 0, 1, 0, 1, 0x2a][..], &key, &support::vec16(&[0x77; 40])].concat();
    client_hello_with(NAME, &[(0xfe0d, &ech)])
}

/// A HelloRetryRequest with these extensions besides.
fn retry(further: &[(u16, &[u8])]) -> Vec<u8> {
    let random = b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\
        \x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    server_hello_with(*random, &[&[(43, &[3_u8, 4][..])], further].concat())
}

#[test]
fn what_becomes_of_an_encrypted_hello_is_told_where_it_shows() {
    let (first, next, answer) = (with_ech(&[9; 32]), with_ech(&[]), server_hello(true));
    let (silent, speaks) = (retry(&[]), retry(&[(0xfe0d, &[1; 8])]));
    let cases: [(&str, Talk<'_>); 6] = [
        ("offered", &[(Client, &first), (Server, &answer)]),
        ("outer", &[(Client, &first), (Server, &server_hello(false))]),
        ("outer", &[(Client, &first), (Server, &silent), (Client, &first), (Server, &answer)]),
        ("outer", &[(Client, &first), (Server, &speaks), (Client, &first), (Server, &answer)]),
        ("accepted", &[(Client, &first), (Server, &speaks), (Client, &next), (Server, &answer)]),
        ("offered", &[(Client, &first), (Client, &next), (Server, &answer)]),
    ];
    for (n, (want, talk)) in cases.into_iter().enumerate() {
        let flow = said(443, talk);
        assert_eq!(flow["tls"]["ech"], want, "case {n}");
        let flagged = flow["flags"].as_array().is_some_and(|flags| flags.contains(&"ech".into()));
        assert_eq!(flagged, want != "outer", "case {n}: whether a name may be hidden");
    }
    assert_eq!(said(443, &[(Client, &client_hello(NAME, 0)), (Server, &answer)])["tls"]["ech"], Value::Null);
}

#[test]
fn dns_over_tls_and_over_https_is_recognised() {
    let answer = server_hello(true);
    let told = |port: u16, name: &str, alpn: &[u8]| {
        let hello = client_hello_with(name, &[(16, &support::vec16(alpn))]);
        let flow = said(port, &[(Client, &hello), (Server, &answer)]);
        (flow["app_proto"].clone(), flow["class"].clone(), flow["subclass"].clone())
    };
    let dns = |name: &str| (name.into(), "dns".into(), serde_json::json!([name]));
    assert_eq!(told(853, "resolver.example", b"\x03dot"), dns("dot"));
    assert_eq!(told(8443, "resolver.example", b"\x03dot"), dns("dot"), "whatever the port");
    assert_eq!(told(853, "resolver.example", b"\x02h2"), dns("dot"), "the port is kept for it");
    assert_eq!(told(443, "dns.google", b"\x02h2\x08http/1.1"), dns("doh"));
    assert_eq!(told(443, "dns.google", b"\x08http/1.1").0, "tls", "RFC 8484 wants HTTP/2 at least");
    assert_eq!(told(443, "resolver.example", b"\x02h2").0, "tls");
}

#[test]
fn a_hello_in_ssl_2_dress_has_no_fingerprint() {
    let body = [&[1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 0, 0, 0x35][..], &[5; 16]].concat();
    let hello = [&[0x80, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let flow = said(443, &[(Client, &hello), (Server, &server_hello(false))]);
    assert_eq!((tls(&flow), &flow["tls"]["ja4"]), (("-", "TLSv1.2"), &Value::Null));
}

/// A ClientHello and the ServerHello that answers it.
fn hellos() -> (Vec<u8>, Vec<u8>) {
    (client_hello(NAME, 40), server_hello(false))
}

#[test]
fn tls_is_found_after_what_asks_for_it() {
    let (hello, answer) = hellos();
    let before: [(u16, Talk<'_>); 9] = [
        (
            25,
            &[
                (Server, b"220 mail.example ESMTP\r\n"),
                (Client, b"EHLO me\r\n"),
                (Server, b"250-mail.example\r\n250 STARTTLS\r\n"),
                (Client, b"STARTTLS\r\n"),
                (Server, b"220 go ahead\r\n"),
            ],
        ),
        (143, &[(Server, b"* OK IMAP4rev1\r\n"), (Client, b"a1 STARTTLS\r\n"), (Server, b"a1 OK begin\r\n")]),
        (110, &[(Server, b"+OK POP3\r\n"), (Client, b"STLS\r\n"), (Server, b"+OK begin\r\n")]),
        (21, &[(Server, b"220 FTP\r\n"), (Client, b"AUTH TLS\r\n"), (Server, b"234 AUTH TLS OK\r\n")]),
        (
            5222,
            &[
                (Client, b"<?xml version='1.0'?><stream:stream>"),
                (Server, b"<?xml version='1.0'?><stream:stream><stream:features/>"),
                (Client, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                (Server, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            ],
        ),
        // LDAP: an extended request with the object identifier of StartTLS, and its response (RFC 4511 §4.14)
        (
            389,
            &[
                (Client, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"),
                (Server, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            ],
        ),
        // PostgreSQL: SSLRequest, and a consent of one byte
        (5432, &[(Client, b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), (Server, b"S")]),
        // RDP: a connection request that asks for TLS, and its confirmation
        (
            3389,
            &[
                (Client, b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x01\x00\x00\x00"),
                (Server, b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x01\x00\x00\x00"),
            ],
        ),
        (5671, &[(Client, b"AMQP\x02\x01\x00\x00"), (Server, b"AMQP\x02\x01\x00\x00")]),
    ];
    for (port, talk) in before {
        let after: [(Who, &[u8]); 2] = [(Client, &hello), (Server, &answer)];
        let flow = said(port, &[talk, &after].concat());
        assert_eq!(tls(&flow), (NAME, "TLSv1.2"), "port {port}");
    }
}

#[test]
fn a_short_consent_does_not_hide_what_follows_it() {
    let (_, answer) = hellos();
    let flow = said(5432, &[(Server, b"S"), (Server, &answer)]);
    assert_eq!(tls(&flow).1, "TLSv1.2");
}

#[test]
fn tls_is_found_behind_a_load_balancer() {
    let (hello, answer) = hellos();
    let line = b"PROXY TCP4 192.0.2.9 198.51.100.2 52176 443\r\n";
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x09\xc6\x33\x64\x02\xcb\xd0\x01\xbb";
    for head in [&line[..], binary] {
        for together in [false, true] {
            let first = if together { [head, &hello].concat() } else { head.to_vec() };
            let rest: Talk<'_> = if together { &[] } else { &[(Client, &hello)] };
            let flow = said(443, &[&[(Client, &first[..])][..], rest, &[(Server, &answer)]].concat());
            assert_eq!(tls(&flow), (NAME, "TLSv1.2"));
            let ends = serde_json::json!({
                "src_ip": "192.0.2.9", "src_port": 52_176, "dest_ip": "198.51.100.2", "dest_port": 443,
            });
            assert_eq!(flow["proxied"], ends);
        }
    }
}

#[test]
fn tls_is_found_through_socks() {
    let (hello, answer) = hellos();
    let four: Talk<'_> =
        &[(Client, b"\x04\x01\x01\xbb\x00\x00\x00\x01\0relay.example\0"), (Server, b"\x00\x5a\0\0\0\0\0\0")];
    let five: Talk<'_> = &[
        (Client, b"\x05\x02\x00\x02"),
        (Server, b"\x05\x02"),
        (Client, b"\x01\x02me\x02pw"),
        (Server, b"\x01\x00"),
        (Client, b"\x05\x01\x00\x03\x0drelay.example\x01\xbb"),
        (Server, b"\x05\x00\x00\x01\0\0\0\0\0\0"),
    ];
    for talk in [four, five] {
        let after: [(Who, &[u8]); 2] = [(Client, &hello), (Server, &answer)];
        let flow = said(1080, &[talk, &after].concat());
        assert_eq!(tls(&flow), (NAME, "TLSv1.2"));
        let asked = serde_json::json!({ "ip": SERVER, "port": 1080, "authority": "relay.example:443" });
        assert_eq!(flow["via_proxy"], asked);
        assert_eq!(flow["tls"]["sni_segments"], Value::Null, "what was said to the proxy is no part of the hello");
        let (one, two) = hello.split_at(40);
        let flow = said(1080, &[talk, &[(Client, one), (Client, two), (Server, &answer)]].concat());
        assert_eq!(flow["tls"]["sni_segments"], 2);
    }
}

/// A packet of OpenVPN without authentication: with an acknowledgement of the message `ack`.
fn openvpn(opcode: u8, ack: Option<u8>, number: u8, content: &[u8]) -> Vec<u8> {
    let acks = ack.map_or(vec![0], |n| [&[1, 0, 0, 0, n][..], &[7; 8]].concat());
    [&[opcode << 3][..], &[5; 8], &acks, &[0, 0, 0, number], content].concat()
}

#[test]
fn tls_is_found_inside_openvpn() {
    let (hello, answer) = hellos();
    let mut talk = vec![(Client, openvpn(7, None, 0, &[])), (Server, openvpn(8, Some(0), 0, &[]))];
    talk.extend(hello.chunks(60).zip(1..).map(|(piece, n)| (Client, openvpn(4, (n == 1).then_some(0), n, piece))));
    talk.push((Server, openvpn(4, Some(1), 1, &answer)));

    let framed: Vec<(Who, Vec<u8>)> = talk
        .iter()
        .map(|(who, packet)| (*who, [&u16::try_from(packet.len()).unwrap().to_be_bytes()[..], packet].concat()))
        .collect();
    let segments: Vec<(Who, &[u8])> = framed.iter().map(|(who, bytes)| (*who, &bytes[..])).collect();
    assert_eq!(tls(&said(443, &segments)), (NAME, "TLSv1.2"));

    talk.swap(2, 4);
    let datagram = |(who, packet): &(Who, Vec<u8>)| match who {
        Client => udp(50_000, 1194).payload(packet.clone()).ipv4(CLIENT, SERVER).frame(),
        Server => udp(1194, 50_000).payload(packet.clone()).ipv4(SERVER, CLIENT).frame(),
    };
    let flow = told(&talk.iter().map(datagram).collect::<Vec<_>>());
    assert_eq!(tls(&flow), (NAME, "TLSv1.2"));
    assert!(flow["tls"]["ja4"].as_str().unwrap().starts_with('t'), "it is TLS, not DTLS");
}

/// A record of the server's hello and its certificates.
fn certified(names: &[&str]) -> Vec<u8> {
    let chain: Vec<u8> = [certificate("box.example", "A Test CA", names), certificate("A Test CA", "A Test CA", &[])]
        .iter()
        .flat_map(|der| [&[0][..], &u16::try_from(der.len()).unwrap().to_be_bytes(), der].concat())
        .collect();
    let n = u16::try_from(chain.len()).unwrap();
    let message = [&[11, 0][..], &(n + 3).to_be_bytes(), &[0], &n.to_be_bytes(), &chain].concat();
    let record = [&[22, 3, 3][..], &u16::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    [server_hello(false), record].concat()
}

#[test]
fn a_verdict_does_not_depend_on_the_form_in_which_it_is_told() {
    // one unknown authority signs for two domains of the vendor and for a bank
    let names = ["restapi.gp4f.com", "a1b2c3.us-west.u5fgb.com", "www.bank.example"];
    let data = support::application_data(400);
    let frames: Vec<Vec<u8>> = (0..)
        .zip(names)
        .flat_map(|(n, name)| {
            let talk = [(Client, client_hello(name, 0)), (Server, certified(&[name]))];
            let talk = talk.iter().map(|(who, bytes)| (*who, &bytes[..]));
            let talk: Vec<_> = talk.chain([(Client, &data[..]), (Server, &data[..])]).collect();
            spoken(50_000 + n, (&format!("198.51.100.{}", 10 + n), 443), &talk)
        })
        .collect();
    let times = (0..).map(|n| 1_700_000_000_000_000_000 + n * 1_000_000);
    let capture = support::pcap(1, times.zip(frames.iter().map(Vec::as_slice)));
    for form in [&[][..], &["--ndjson"], &["--md"], &["--csv"]] {
        let mut program = assert_cmd::Command::cargo_bin("relayscope").unwrap();
        program.args(["analyze", "--fail-on", "warning"]).args(form).arg("-").write_stdin(capture.clone());
        let run = program.output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{form:?}: {}", String::from_utf8_lossy(&run.stdout));
    }
}

#[test]
fn a_certificate_in_the_clear_is_told() {
    let (hello, _) = hellos();
    let answer = certified(&["a.example"]);
    let (first, second) = answer.split_at(200);
    let flow = said(443, &[(Client, &hello), (Server, first), (Server, second)]);
    let told = &flow["tls"];
    assert_eq!(told["subject"], "O=Issuers, CN=box.example");
    assert_eq!(told["issuerdn"], "O=Issuers, CN=A Test CA");
    assert_eq!(
        [&told["notbefore"], &told["notafter"]],
        ["2024-01-02T03:04:05.000000000Z", "2051-01-01T00:00:00.000000000Z"]
    );
    assert_eq!((&told["serial"], &told["chain_length"]), (&"00:AB".into(), &2.into()));
    assert_eq!((&told["san"], &told["self_signed"]), (&serde_json::json!(["a.example", "192.0.2.7"]), &Value::Null));
    let evidence = flow["evidence"].to_string();
    assert!(!evidence.contains("certificate"), "the client has named the server itself: {evidence}");
}

#[test]
fn a_certificate_names_a_server_that_nobody_else_names() {
    let mut hello = client_hello(NAME, 0);
    let at = hello.windows(4).position(|w| w == [0, 0, 0, 18]).unwrap();
    hello[at] = 0xfa;
    let flow = said(443, &[(Client, &hello), (Server, &certified(&["a.example"]))]);
    let evidence = flow["evidence"].to_string();
    assert!(evidence.contains("server certificate for a.example"), "{evidence}");
}

/// Method, status and upgrade of each exchange.
fn exchanges(flow: &Value) -> Vec<(&str, u64, &str)> {
    let list = flow["http"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|e| {
            (
                e["method"].as_str().unwrap_or("-"),
                e["status"].as_u64().unwrap_or(0),
                e["upgrade"].as_str().unwrap_or("-"),
            )
        })
        .collect()
}

#[test]
fn what_a_post_carries_is_listed_behind_it() {
    let inner = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let head = format!("POST /a HTTP/1.1\r\nContent-Type: message/http\r\nContent-Length: {}\r\n\r\n", inner.len());
    let post = [head.as_bytes(), inner].concat();
    let two = [&post[..], &post].concat();
    let get = b"GET /b HTTP/1.1\r\n\r\n";
    let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    let last = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n\r\n";
    let flow = said(80, &[(Client, &two), (Server, answers), (Client, get), (Server, last)]);
    let want = [("POST", 200, "-"), ("-", 404, "-"), ("POST", 201, "-"), ("-", 404, "-"), ("GET", 206, "-")];
    assert_eq!((exchanges(&flow), flow["app_proto"].as_str()), (want.to_vec(), Some("http")));
}

#[test]
fn what_a_request_says_of_its_body_is_not_said_of_the_answer() {
    let post = b"POST /a HTTP/1.1\r\nContent-Type: text/json\r\nContent-Length: 2\r\n\r\n{}";
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\n";
    let asked = said(80, &[(Client, post)]);
    assert_eq!(
        (&asked["http"][0]["content_type"], &asked["http"][0]["content_length"]),
        (&"text/json".into(), &2.into())
    );
    let answered = said(80, &[(Client, post), (Server, answer)]);
    let exchange = &answered["http"][0];
    assert_eq!((&exchange["status"], &exchange["transfer_encoding"]), (&200.into(), &"chunked".into()));
    assert_eq!((&exchange["content_type"], &exchange["content_length"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_upgrade_says_what_it_leads_to() {
    let get = b"GET /live HTTP/1.1\r\nHost: relay.example\r\nUpgrade: websocket\r\n\r\n";
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let frame = b"\x81\x85\0\0\0\0GET /x HTTP/1.1\r\n\r\n";
    let flow = said(80, &[(Client, get), (Server, switched), (Client, frame), (Server, b"\x81\x05hello")]);
    assert_eq!(exchanges(&flow), [("GET", 101, "websocket")]);
    assert_eq!(flow["app_proto"], "websocket");

    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let flow = said(80, &[(Client, get), (Server, switched), (Client, preface)]);
    assert_eq!((exchanges(&flow), &flow["app_proto"]), (vec![("GET", 101, "h2c")], &"http2".into()));
    let flow = said(8080, &[(Client, preface), (Server, b"\0\0\0\x04\0\0\0\0\0")]);
    assert_eq!((exchanges(&flow), &flow["app_proto"]), (vec![], &"http2".into()));
}

#[test]
fn rtsp_and_sip_are_told() {
    let ask = b"DESCRIBE rtsp://192.0.2.4/live RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: viewer\r\n\r\n";
    let flow = said(554, &[(Client, ask), (Server, b"RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\n\r\n")]);
    let told = serde_json::json!({
        "method": "DESCRIBE", "uri": "rtsp://192.0.2.4/live", "status": 401, "user_agent": "viewer",
    });
    assert_eq!((&flow["rtsp"], &flow["app_proto"], &flow["class"]), (&told, &"rtsp".into(), &"camera".into()));

    let register = b"REGISTER sip:example.org SIP/2.0\r\nl: 0\r\n\r\n";
    let flow = said(5060, &[(Client, register), (Server, b"SIP/2.0 200 OK\r\n\r\n")]);
    assert_eq!((&flow["sip"]["method"], &flow["sip"]["status"]), (&"REGISTER".into(), &200.into()));

    // past proxies RTSP goes through HTTP, one connection each way
    let get = b"GET /live HTTP/1.0\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n";
    let open = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n";
    let flow = said(80, &[(Client, get), (Server, open)]);
    assert_eq!((exchanges(&flow), &flow["app_proto"]), (vec![("GET", 200, "-")], &"rtsp".into()));
}

#[test]
fn an_answer_that_the_capture_lacks_is_nobodys() {
    let gets: Vec<String> = (0..4).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a.example\r\n\r\n")).collect();
    let answers: Vec<String> = (200..204).map(|n| format!("HTTP/1.1 {n} X\r\nContent-Length: 0\r\n\r\n")).collect();
    let turns: Vec<(Who, &[u8])> =
        gets.iter().zip(&answers).flat_map(|(get, own)| [(Client, get.as_bytes()), (Server, own.as_bytes())]).collect();
    let whole = spoken(50_000, (SERVER, 80), &turns);
    let statuses = |frames: &[Vec<u8>]| {
        let flow = told(frames);
        flow["http"].as_array().unwrap().iter().map(|e| e["status"].as_u64().unwrap_or(0)).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&whole), [200, 201, 202, 203]);
    for lost in 0..4 {
        let mut frames = whole.clone();
        frames.remove(3 + 2 * lost);
        let mut known = vec![200, 201, 202, 203];
        known[lost] = 0;
        assert_eq!(statuses(&frames), known);
    }
    // all are asked for before the first is told, and all but the last are there
    let (asked, told): (Vec<_>, Vec<_>) = turns.iter().copied().partition(|(who, _)| *who == Client);
    let mut frames = spoken(50_000, (SERVER, 80), &[asked, told].concat());
    frames.pop();
    assert_eq!(statuses(&frames), [200, 201, 202, 0]);
}
