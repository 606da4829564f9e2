use super::*;
use crate::inspect::tls::hello::tests::{RETRY, client_body, server_body};
use proptest::prelude::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn client(extra: usize) -> Vec<u8> {
    message(CLIENT_HELLO, &client_body(b"relay.example", extra))
}

/// Feeds `bytes` in pieces of `step` as a caller would, and gives what was reported and how it ended.
fn drive(tls: &mut TlsStream, way: Direction, bytes: &[u8], step: usize) -> (Vec<String>, Next) {
    let (mut seen, mut held, mut skip, mut next) = (Vec::new(), Vec::new(), 0, Next::More);
    for piece in bytes.chunks(step) {
        let unwanted = piece.len().min(skip);
        skip -= unwanted;
        held.extend_from_slice(&piece[unwanted..]);
        let progress = tls.feed(way, &held, &mut |_, fact| {
            seen.push(match fact {
                Fact::ClientHello(h) => String::from_utf8_lossy(h.sni().unwrap_or_default()).into_owned(),
                Fact::ServerHello(h) => format!("{:04x} {}", h.version(), h.is_hello_retry()),
                Fact::Alert(a) => a.name().into_owned(),
                _ => String::new(),
            });
        });
        held.drain(..progress.consumed);
        skip += usize::try_from(progress.skip).unwrap();
        next = progress.next;
        if next != Next::More {
            break;
        }
    }
    (seen, next)
}

#[test]
fn a_hello_in_any_cutting() {
    let whole = record(22, &client(3000));
    let spread = |size| client(3000).chunks(size).flat_map(|c| record(22, c)).collect::<Vec<_>>();
    for bytes in [whole, spread(100), spread(4), spread(3), spread(2), spread(1)] {
        assert_eq!(probe(&bytes), Probe::Match);
        for step in [1, 7, 1460, 65_535] {
            let (seen, next) = drive(&mut TlsStream::new(), Direction::Orig, &bytes, step);
            assert_eq!((seen.join(","), next), ("relay.example".to_owned(), Next::More), "in pieces of {step}");
        }
    }
}

#[test]
fn a_record_of_one_byte_needs_another_behind_it() {
    let first = record(22, &[CLIENT_HELLO]);
    assert_eq!((probe(&first), probe(&record(22, &[]))), (Probe::Unsure, Probe::Reject));
    assert_eq!(probe(&[&first[..], &[22, 3]].concat()), Probe::Match);
    assert_eq!(probe(&[&first[..], &[23, 3]].concat()), Probe::Reject);
}

#[test]
fn a_hello_retry_shows_both_hellos_and_ends_both_ways() {
    let ccs = record(20, &[1]);
    let retry = record(22, &message(SERVER_HELLO, &server_body(RETRY, 0x0304)));
    let server = record(22, &message(SERVER_HELLO, &server_body([1; 32], 0x0304)));
    let hello = record(22, &client(0));
    let mut tls = TlsStream::new();
    let up = [&hello[..], &ccs, &hello, &record(23, &[0; 60])].concat();
    let (seen, next) = drive(&mut tls, Direction::Orig, &up, 50);
    assert_eq!((seen.join(","), next), ("relay.example,relay.example".to_owned(), Next::Done));
    let (seen, next) = drive(&mut tls, Direction::Resp, &[retry, ccs, server].concat(), 50);
    assert_eq!((seen.join(","), next), ("0304 true,0304 false".to_owned(), Next::Finished));
}

#[test]
fn certificates_are_told_where_they_are_wanted() {
    let certificates = message(CERTIFICATE, &[&[0, 0x4e, 0x23, 0, 0x4e, 0x20][..], &[9; 20_000]].concat());
    let flight = [message(SERVER_HELLO, &server_body([1; 32], 0x0303)), certificates.clone()].concat();
    let bytes: Vec<u8> = flight.chunks(9000).flat_map(|c| record(22, c)).collect();
    let seen = |tls: &mut TlsStream, way| {
        let mut lengths = Vec::new();
        let mut held = Vec::new();
        let mut skip = 0;
        for piece in bytes.chunks(1460) {
            let unwanted = piece.len().min(skip);
            skip -= unwanted;
            held.extend_from_slice(&piece[unwanted..]);
            let progress = tls.feed(way, &held, &mut |_, fact| {
                if let Fact::Certificates(chain) = fact {
                    lengths.extend(chain.map(<[u8]>::len));
                }
            });
            held.drain(..progress.consumed);
            skip += usize::try_from(progress.skip).unwrap();
        }
        (lengths, tls.memory())
    };
    assert_eq!(seen(&mut TlsStream::with_certificates(), Direction::Resp), (vec![20_000], 0));
    assert_eq!(seen(&mut TlsStream::new(), Direction::Resp).0, [20_000], "nobody has asked for a name");
    for (mut tls, wanted) in [(TlsStream::new(), 0), (TlsStream::with_certificates(), 1)] {
        drive(&mut tls, Direction::Orig, &record(22, &client(0)), 9999);
        assert_eq!(seen(&mut tls, Direction::Orig).0.len(), 0, "a client's own are not told");
        assert_eq!(seen(&mut tls, Direction::Resp).0.len(), wanted);
    }
}

#[test]
fn certificates_are_skipped_and_the_alert_behind_is_seen() {
    let server = message(SERVER_HELLO, &server_body([1; 32], 0x0303));
    let bytes = [record(22, &[server, message(11, &[0; 4000])].concat()), record(21, &[2, 40])].concat();
    let mut tls = TlsStream::new();
    drive(&mut tls, Direction::Orig, &record(22, &client(0)), 9999);
    let progress = tls.feed(Direction::Resp, &bytes[..1000], &mut |_, _| {});
    let (seen, _) = drive(&mut TlsStream::new(), Direction::Resp, &bytes, 1000);
    assert_eq!(seen.join(","), "0303 false,,handshake_failure");
    assert_eq!((progress.consumed as u64 + progress.skip, progress.next), (bytes.len() as u64 - 7, Next::More));
}

#[test]
fn ciphertext_ends_it_and_other_protocols_are_refused() {
    let bytes = [record(22, &client(0)), record(20, &[1]), record(22, &[0x99; 40])].concat();
    assert_eq!(drive(&mut TlsStream::new(), Direction::Orig, &bytes, 9999).1, Next::Done);
    assert_eq!(drive(&mut TlsStream::new(), Direction::Orig, b"GET / HTTP/1.1", 99).1, Next::Reject);
    assert_eq!(probe(b"GET /"), Probe::Reject);
    assert_eq!(probe(&[22, 3]), Probe::Unsure);
    assert_eq!(probe(&record(23, &[0; 16_795])), Probe::Match);
    assert_eq!(probe(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 9, 9]), Probe::Reject);
}

#[test]
fn a_hello_whose_end_is_missing_shows_what_stands_before() {
    let whole = record(content::HANDSHAKE, &client(0));
    let names = |at: usize| {
        let (mut tls, mut told) = (TlsStream::new(), Vec::new());
        let mut emit = |way: Direction, fact: Fact<'_>| match fact {
            Fact::ClientHello(hello) => told.push((way, hello.cut, hello.sni().map(<[u8]>::to_vec))),
            _ => panic!("a hello was cut"),
        };
        let taken = tls.feed(Direction::Orig, &whole[..at], &mut emit);
        tls.cut_short(Direction::Orig, &whole[taken.consumed..at], &mut emit);
        told
    };
    assert_eq!(names(20), [(Direction::Orig, true, None)]);
    assert_eq!(names(whole.len() - 1), [(Direction::Orig, true, Some(b"relay.example".to_vec()))]);
    assert_eq!(names(9), []);
}

#[test]
fn after_a_hole_only_a_record_is_taken() {
    let mut tls = TlsStream::new();
    assert!(tls.gap(Direction::Orig));
    let bytes = record(22, &client(0));
    assert_eq!(drive(&mut tls, Direction::Orig, &bytes, 9999).0.join(","), "relay.example");
    assert!(tls.gap(Direction::Orig));
    assert_eq!(drive(&mut tls, Direction::Orig, &[9; 40], 9999).1, Next::Done);
}

proptest! {
    #[test]
    fn any_bytes_in_any_cutting_end_alike(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        step in 1_usize..90,
        hello: bool,
    ) {
        if hello {
            bytes.splice(0..0, record(22, &client(50)));
        }
        let whole = drive(&mut TlsStream::new(), Direction::Orig, &bytes, 9999).0;
        let cut = drive(&mut TlsStream::new(), Direction::Orig, &bytes, step).0;
        prop_assert_eq!(whole, cut);
    }
}
