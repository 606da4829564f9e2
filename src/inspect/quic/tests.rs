//! Whole connections, made by hand.

use proptest::prelude::*;

use super::gquic::tests::{chlo, packet as google};
use super::keys::tests::keys;
use super::version::{V1, V2};
use super::*;
use crate::inspect::tls::{client_body, server_body};

const FIRST: &[u8] = b"firstcid";
const CHOSEN: &[u8] = b"chosenby";
const T051: u32 = 0x5430_3531;
const Q050: u32 = 0x5130_3530;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat()
}

fn client_hello() -> Vec<u8> {
    message(CLIENT_HELLO, &client_body(b"relay.example", 1500))
}

fn server_hello(random: [u8; 32]) -> Vec<u8> {
    message(SERVER_HELLO, &server_body(random, 0x0304))
}

/// A CRYPTO frame of this type.
fn crypto_as(kind: u8, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let number = |n: usize| (u16::try_from(n).unwrap() | 0x4000).to_be_bytes();
    [&[kind][..], &number(offset), &number(bytes.len()), bytes].concat()
}

fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    crypto_as(6, offset, bytes)
}

/// An Initial packet to `dcid` under the keys that `secret` gives, its frames padded to `size`.
fn initial(version: u32, sender: Sender, secret: &[u8], dcid: &[u8], frames: &[u8], size: usize) -> Vec<u8> {
    let first = if version == V2 { 0xd3 } else { 0xc3 };
    let mut payload = frames.to_vec();
    payload.resize(size.max(payload.len()), 0);
    let length = (u16::try_from(payload.len() + 20).unwrap() | 0x4000).to_be_bytes();
    let ids = [&[u8::try_from(dcid.len()).unwrap()][..], dcid, &[0]].concat();
    let header = [&[first][..], &version.to_be_bytes(), &ids, &[0], &length, &[0, 0, 0, 2]].concat();
    keys(version, secret, sender).seal(&header, &payload)
}

fn from_client(version: u32, dcid: &[u8], frames: &[u8]) -> Vec<u8> {
    initial(version, Sender::Client, dcid, dcid, frames, 1200)
}

fn from_server(version: u32, secret: &[u8], frames: &[u8]) -> Vec<u8> {
    initial(version, Sender::Server, secret, b"", frames, 100)
}

/// What is reported, in short.
fn told(fact: &Fact<'_>) -> String {
    let text = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or(b"-")).into_owned();
    match fact {
        Fact::Quic(quic) if quic.sni.is_some() => format!("{}/{}", text(quic.sni), text(quic.user_agent)),
        Fact::Quic(quic) => version_name(quic.version).into_owned(),
        Fact::ClientHello(hello) => text(hello.sni()),
        Fact::ServerHello(hello) => format!("server {:04x} {}", hello.version(), hello.is_hello_retry()),
        Fact::Alert(alert) => alert.name().into_owned(),
        _ => String::new(),
    }
}

/// Shows datagrams, each with whether the second side sent it: what is reported, and what is to become of the flow.
fn show(datagrams: &[(bool, Vec<u8>)]) -> (String, Outcome) {
    let (mut state, mut scratch) = (QuicState::new(), Vec::new());
    let (mut seen, mut outcome) = (Vec::new(), Outcome::Reject);
    for (second, datagram) in datagrams {
        outcome = state.inspect(*second, datagram, &mut scratch, &mut |fact| seen.push(told(&fact)));
    }
    (seen.join(" "), outcome)
}

#[test]
fn hellos_of_every_version() {
    for version in [V1, V2, 0xff00_001d, 0xff00_0018, 0xface_b001, 0xface_b002, T051] {
        let client = from_client(version, FIRST, &[&[1, 0][..], &crypto(0, &client_hello())].concat());
        let server = from_server(version, FIRST, &[&[0][..], &crypto(0, &server_hello([1; 32]))].concat());
        let name = version_name(version);
        assert_eq!(show(&[(false, client.clone())]), (format!("{name} relay.example"), Outcome::More));
        let (told, outcome) = show(&[(false, client), (true, server)]);
        assert_eq!((told, outcome), (format!("{name} relay.example server 0304 false"), Outcome::Done));
    }
}

#[test]
fn a_hello_in_pieces_out_of_order_over_packets_and_datagrams() {
    let hello = client_hello();
    let frames = |ranges: &[(usize, usize)]| {
        let frame = |&(from, to): &(usize, usize)| [&[0, 1][..], &crypto(from, &hello[from..to])].concat();
        ranges.iter().flat_map(frame).collect::<Vec<u8>>()
    };
    let coalesced = [
        initial(V1, Sender::Client, FIRST, FIRST, &frames(&[(900, 1000), (0, 2)]), 0),
        // 0-RTT, which is passed over
        [&[0xd3, 0, 0, 0, 1, 8][..], FIRST, &[0, 0x40, 60], &[0x77; 60]].concat(),
        from_client(V1, FIRST, &frames(&[(500, 900)])),
    ];
    let rest = from_client(V1, FIRST, &frames(&[(1000, hello.len()), (2, 510)]));
    let (told, outcome) = show(&[(true, coalesced.concat()), (true, rest.clone())]);
    assert_eq!((told.as_str(), outcome), ("v1 relay.example", Outcome::More));
    assert_eq!(show(&[(true, rest.clone()), (true, rest)]).0, "v1", "not whole");
}

#[test]
fn after_retry_keys_come_from_the_id_that_the_server_chose() {
    let hello = crypto(0, &client_hello());
    let retry = [&[0xf0, 0, 0, 0, 1, 0, 8][..], CHOSEN, b"token and tag", &[9; 16]].concat();
    let server = from_server(V1, CHOSEN, &crypto(0, &server_hello([1; 32])));
    let again = [(false, from_client(V1, FIRST, &hello)), (true, retry), (false, from_client(V1, CHOSEN, &hello))];
    let (told, outcome) = show(&[&again[..], &[(true, server)]].concat());
    assert_eq!((told.as_str(), outcome), ("v1 relay.example server 0304 false", Outcome::Done));
    // the first packet held only the beginning
    let begun = (false, from_client(V1, FIRST, &crypto(0, &client_hello()[..700])));
    assert_eq!(show(&[begun, (false, from_client(V1, CHOSEN, &hello))]).0, "v1 relay.example");
}

#[test]
fn versions_are_negotiated_openly_or_by_the_servers_first_word() {
    let reserved = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], FIRST, &[0], &[0x55; 1200]].concat();
    let refusal = [&[0x80, 0, 0, 0, 0, 0, 8][..], FIRST, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]].concat();
    let hello = crypto(0, &client_hello());
    let (told, _) = show(&[(false, reserved), (true, refusal.clone()), (false, from_client(V1, FIRST, &hello))]);
    assert_eq!(told, "0x1a2a3a4a 0x00000000 v1 relay.example");
    assert_eq!(show(&[(true, refusal)]), ("0x00000000".to_owned(), Outcome::More));
    // RFC 9368 §2.3: a compatible version needs no refusal
    let answer = from_server(V2, FIRST, &crypto(0, &server_hello([1; 32])));
    let (told, outcome) = show(&[(false, from_client(V1, FIRST, &hello)), (true, answer)]);
    assert_eq!((told.as_str(), outcome), ("v1 relay.example v2 server 0304 false", Outcome::Done));
}

#[test]
fn an_unknown_version_is_known_by_keys_of_a_standard() {
    let scheme = GUESSES[1];
    let frames = [crypto(0, &client_hello()), vec![0; 99]].concat();
    let length = (u16::try_from(frames.len() + 20).unwrap() | 0x4000).to_be_bytes();
    let header = [&[0xc3, 0xfa, 0xce, 0xb0, 0x77, 8][..], FIRST, &[0, 0], &length, &[0, 0, 0, 0]].concat();
    let packet = Keys::new(scheme, FIRST, Sender::Client).unwrap().seal(&header, &frames);
    assert_eq!(show(&[(false, packet.clone())]).0, "0xfaceb077 relay.example");
    let mut damaged = packet;
    damaged[200] ^= 1;
    assert_eq!(show(&[(false, damaged)]), (String::new(), Outcome::Reject));
}

#[test]
fn a_hello_retry_an_alert_and_short_headers() {
    let client = (false, from_client(V1, FIRST, &crypto(0, &client_hello())));
    let retry = server_hello(crate::inspect::tls::RETRY);
    let second = crypto(retry.len(), &server_hello([1; 32]));
    let server = [(true, from_server(V1, FIRST, &crypto(0, &retry))), (true, from_server(V1, FIRST, &second))];
    let (told, outcome) = show(&[&[client.clone()][..], &server].concat());
    assert_eq!(told, "v1 relay.example server 0304 true server 0304 false");
    assert_eq!(outcome, Outcome::Done);
    let close = from_server(V1, FIRST, &[0x1c, 0x41, 0x78, 6, 0]);
    assert_eq!(show(&[client.clone(), (true, close)]).0, "v1 relay.example no_application_protocol");
    assert_eq!(show(&[client, (true, vec![0x40; 99])]).1, Outcome::Done);
}

#[test]
fn a_client_whose_first_connection_id_is_too_short_is_read() {
    let hello = crypto(0, &client_hello());
    for id in [&b""[..], b"four"] {
        assert_eq!(show(&[(false, from_client(V1, id, &hello))]).0, "v1 relay.example");
        let mut damaged = from_client(V1, id, &hello);
        damaged[200] ^= 1;
        assert_eq!(show(&[(false, damaged)]).0, "v1");
        let cut = from_client(V1, id, &hello)[..1000].to_vec();
        assert_eq!(show(&[(false, cut)]).0, "v1", "no proof");
    }
}

#[test]
fn googles_own() {
    let hello = chlo(b"a.example");
    let (told, outcome) = show(&[(false, google(b"Q043", &hello))]);
    assert_eq!((told.as_str(), outcome), ("Q043 a.example/Chrome/99", Outcome::Done));
    let q046 = [&[0xc3][..], b"Q046", &[0x50], FIRST, &[0, 0, 0, 1], &google(b"Q043", &hello)[14..]].concat();
    assert_eq!(show(&[(false, q046)]).0, "Q046 a.example/Chrome/99");
    let pieces = [crypto_as(8, 20, &hello[20..]), crypto_as(8, 0, &hello[..20])].map(|f| from_client(Q050, FIRST, &f));
    let (told, outcome) = show(&pieces.map(|piece| (false, piece)));
    assert_eq!((told.as_str(), outcome), ("Q050 a.example/Chrome/99", Outcome::Done));
}

#[test]
fn what_is_not_quic_is_refused() {
    let handshake = [&[0xe0, 0, 0, 0, 1, 8][..], FIRST, &[0, 0x40, 30], &[1; 30]].concat();
    assert_eq!(show(&[(false, handshake.clone())]), ("v1".to_owned(), Outcome::More), "midstream, but sure");
    for (at, value) in [(0, 0xa0), (4, 9), (5, 21), (15, 5)] {
        let mut other = handshake.clone();
        other[at] = value;
        assert_eq!(show(&[(false, other)]), (String::new(), Outcome::Reject));
    }
    let offers_nothing = [&[0x80, 0, 0, 0, 0, 0, 0][..], &[1, 2, 3, 4]].concat();
    assert_eq!(show(&[(false, offers_nothing)]).1, Outcome::Reject);
    let offers_negotiation = [&[0x80, 0, 0, 0, 0, 0, 0][..], &[0, 0, 0, 1], &[0, 0, 0, 0]].concat();
    assert_eq!(show(&[(false, offers_negotiation)]).1, Outcome::Reject);
    assert!(may_be(&handshake) && may_be(&[0x80, 0, 0, 0, 0, 1]) && may_be(&google(b"Q043", b"")));
    let unknown = [&[0xc5, 7, 7, 7, 7, 8][..], &[7; 1194]].concat();
    assert!(may_be(&unknown) && !may_be(&unknown[..1199]) && !may_be(&[0x80, 96, 1, 2, 3, 4]), "RTP");
}

#[test]
fn a_connection_is_given_up_in_time() {
    let first = from_client(V1, FIRST, &crypto(0, &client_hello()[..700]));
    let mut strange = from_client(V1, CHOSEN, &crypto(0, b"x"));
    strange[900] ^= 1;
    let failing = vec![(false, strange); usize::from(MAX_FAILURES)];
    assert_eq!(show(&[&[(false, first.clone())][..], &failing].concat()).1, Outcome::Done);
    let idle = vec![(true, vec![0x40; 50]); usize::from(MAX_DATAGRAMS)];
    assert_eq!(show(&[&[(false, first)][..], &idle].concat()).1, Outcome::Done);
}

#[test]
fn of_a_cut_packet_the_beginning_of_a_hello_is_read() {
    let datagram = from_client(V1, FIRST, &crypto(0, &client_hello()));
    let mut cut = vec![(false, datagram[..200].to_vec())];
    assert_eq!(show(&cut), ("v1".to_owned(), Outcome::More), "more may come");
    cut.extend(vec![(true, from_server(V1, FIRST, &crypto(0, &server_hello([1; 32])))[..80].to_vec()); 6]);
    assert_eq!(show(&cut), ("v1 relay.example".to_owned(), Outcome::Done));
    // what does not begin a hello proves nothing
    let other = from_client(V1, FIRST, &crypto(7, &client_hello()));
    let mut state = QuicState::new();
    state.inspect(false, &other[..200], &mut Vec::new(), &mut |_| {});
    assert_eq!((state.memory(), state.failures), (0, 1));
}

#[test]
fn the_end_reports_a_name_that_has_come() {
    let hello = client_hello();
    let mut state = QuicState::new();
    let datagram = from_client(V1, FIRST, &crypto(0, &hello[..700]));
    state.inspect(false, &datagram, &mut Vec::new(), &mut |_| {});
    assert!(state.memory() >= 700);
    let mut seen = Vec::new();
    state.cut_short(&mut |fact| seen.push(told(&fact)));
    assert_eq!((seen.join(" ").as_str(), state.memory()), ("relay.example", 0));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        datagrams in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..1400)), 1..5),
        at in 0_usize..30,
        value: u8,
        frames in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut real = from_client(V1, FIRST, &frames);
        let (mut state, mut scratch) = (QuicState::new(), Vec::new());
        state.inspect(false, &real, &mut scratch, &mut |_| {});
        real[at] = value;
        for (second, datagram) in datagrams.iter().chain([&(true, real), &(false, from_server(V1, FIRST, &frames))]) {
            state.inspect(*second, datagram, &mut scratch, &mut |_| {});
            prop_assert!(state.memory() <= 3 * MAX_HELLO);
        }
        state.cut_short(&mut |_| {});
    }
}
