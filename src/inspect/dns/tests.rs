use domain::base::iana::Rtype;
use domain::base::{Message as Theirs, MessageBuilder, Name as TheirName, ParsedName, ToName};
use domain::rdata::{A, Aaaa, AllRecordData, Cname, Mx};
use proptest::prelude::*;
use std::str::FromStr;

use super::*;
use crate::inspect::{Direction, Fact, Next, Probe, StreamInspector};

/// A response by the library: a CNAME, an address of each kind and an MX, with compressed names.
fn response(host: &str, v4: [u8; 4], v6: [u8; 16]) -> Vec<u8> {
    let target = domain::base::message_builder::StaticCompressor::new(Vec::new());
    let mut b = MessageBuilder::from_target(target).unwrap();
    b.header_mut().set_qr(true);
    b.header_mut().set_id(0x1234);
    let name = TheirName::<Vec<u8>>::from_str(host).unwrap();
    let alias = TheirName::<Vec<u8>>::from_str(&format!("edge.{host}")).unwrap();
    let mut b = b.question();
    b.push((&name, Rtype::A)).unwrap();
    let mut b = b.answer();
    b.push((&name, 60, Cname::new(&alias))).unwrap();
    b.push((&alias, 60, A::from_octets(v4[0], v4[1], v4[2], v4[3]))).unwrap();
    b.push((&alias, 60, Aaaa::new(v6.into()))).unwrap();
    b.push((&name, 60, Mx::new(10, &alias))).unwrap();
    b.finish().into_target()
}

/// Every name's and record's text, so that each accessor runs.
fn walk(bytes: &[u8]) -> Vec<String> {
    let Ok(message) = parse(bytes) else { return Vec::new() };
    let _ = (message.rcode(), message.question(), is_plausible(bytes), probe_tcp(bytes));
    let questions = message.questions().map(|q| q.name.to_string());
    questions.chain(message.records().map(|r| format!("{} {}", r.name, r.data()))).collect()
}

proptest! {
    #[test]
    fn agrees_with_a_library(host in "[a-z0-9-]{1,20}(\\.[a-zA-Z0-9]{1,20}){0,4}", v4: [u8; 4], v6: [u8; 16]) {
        let bytes = response(&host, v4, v6);
        let v6 = std::net::Ipv6Addr::from(v6);
        let v4 = std::net::Ipv4Addr::from(v4);
        let expected = vec![
            host.clone(), format!("{host} edge.{host}"), format!("edge.{host} {v4}"), format!("edge.{host} {v6}"),
            format!("{host} 10 edge.{host}"),
        ];
        prop_assert_eq!(walk(&bytes), expected);
        prop_assert!(is_plausible(&bytes));
    }

    #[test]
    fn a_name_is_whole_if_all_of_it_can_be_spelled(
        labels in prop::collection::vec(prop::collection::vec(b'a'..=b'z', 0..64), 0..6),
        end in prop::sample::select(vec![&b"\0"[..], b"\xc0\x0c", b"\xc0\x00", b"\x40", b""]),
    ) {
        let mut bytes = [0; 12].to_vec();
        for label in labels.iter().filter(|label| !label.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend(label);
        }
        bytes.extend(end);
        let name = Name::read(&bytes, &mut Reader::new(&bytes[12..]), 0);
        prop_assert_eq!(name.is_ok(), !end.is_empty() && end != b"\x40");
        if let Ok(name) = name {
            prop_assert_eq!(name.is_whole(), !name.to_string().ends_with("<malformed>"));
        }
    }

    #[test]
    fn agrees_with_a_library_on_mutated_messages(
        flips in prop::collection::vec((0usize..160, any::<u8>()), 0..4), cut in 60usize..200,
    ) {
        let mut bytes = response("www.example.com", [192, 0, 2, 1], [0x20; 16]);
        for (i, byte) in flips {
            if let Some(b) = bytes.get_mut(i) { *b = byte; }
        }
        bytes.truncate(cut);
        let (ours, theirs) = (parse(&bytes).unwrap(), Theirs::from_octets(&bytes[..]).unwrap());
        prop_assert_eq!(ours.id, theirs.header().id());
        for (q, t) in ours.questions().zip(theirs.question().map_while(|q| q.ok())) {
            prop_assert_eq!(q.qtype, t.qtype().to_int());
            prop_assert_eq!(q.qclass, t.qclass().to_int());
            if q.name.is_whole() {
                prop_assert!(q.name.labels().eq(labels(t.qname()).iter().map(Vec::as_slice)));
            }
        }
        let Ok(records) = theirs.answer() else { return Ok(()) };
        for (r, t) in ours.answers().zip(records.map_while(|r| r.ok())) {
            prop_assert_eq!((r.rtype, r.class, r.ttl), (t.rtype().to_int(), t.class().to_int(), t.ttl().as_secs()));
            match (r.data(), t.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().map(|r| r.into_data())) {
                (Data::A(a), Ok(AllRecordData::A(b))) => prop_assert_eq!(a, b.addr()),
                (Data::Aaaa(a), Ok(AllRecordData::Aaaa(b))) => prop_assert_eq!(a, b.addr()),
                (Data::Cname(a), Ok(AllRecordData::Cname(b))) => {
                    prop_assert!(a.labels().eq(labels(b.cname()).iter().map(Vec::as_slice)));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        walk(&bytes);
        let progress = DnsStream::new().feed(Direction::Orig, &bytes, &mut |_, _| {});
        prop_assert!(progress.consumed <= bytes.len());
    }

    #[test]
    fn pointer_mazes_end(words in prop::collection::vec(prop_oneof![0xc000u16..0xc060, any::<u16>()], 0..60)) {
        let mut bytes = vec![0, 1, 0x80, 0, 0, 3, 0, 9, 0, 9, 0, 9];
        bytes.extend(words.iter().flat_map(|w| w.to_be_bytes()));
        walk(&bytes);
    }

    #[test]
    fn a_stream_tells_each_message_however_it_is_cut(step in 1usize..200) {
        let message = response("example.com", [192, 0, 2, 1], [1; 16]);
        let mut stream = Vec::new();
        for _ in 0..3 {
            stream.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            stream.extend(&message);
        }
        let (mut inspector, mut at, mut end, mut told) = (DnsStream::new(), 0, 0, 0);
        while end < stream.len() {
            end = (end + step).min(stream.len());
            let progress = inspector.feed(Direction::Resp, &stream[at..end], &mut |_, fact| {
                told += usize::from(matches!(fact, Fact::Dns(_)));
            });
            prop_assert_eq!((progress.next, progress.skip), (Next::More, 0));
            at += progress.consumed;
        }
        prop_assert_eq!((told, at), (3, stream.len()));
        prop_assert_eq!(probe_tcp(&stream), Probe::Match);
    }
}

/// The library's labels of a name, without the root.
fn labels(name: &impl ToName) -> Vec<Vec<u8>> {
    name.iter_labels().filter(|l| !l.is_root()).map(|l| l.as_slice().to_vec()).collect()
}

#[test]
fn a_cut_message_gives_what_is_whole() {
    let bytes = response("example.com", [192, 0, 2, 1], [1; 16]);
    assert_eq!(walk(&bytes).len(), 5);
    let cut = &bytes[..bytes.len() - 30];
    let message = parse(cut).unwrap();
    assert!(message.is_response());
    assert!(matches!(message.answers().count(), 1..=3));
    assert!(parse(&bytes[..20]).unwrap().question().is_none());
    assert_eq!(parse(&bytes[..20]).unwrap().records().count(), 0);
}

#[test]
fn an_extended_code_comes_from_opt() {
    let bytes = b"\0\x01\x80\0\0\0\0\0\0\0\0\x01\0\0\x29\x10\0\x01\0\0\0\0\0";
    let message = parse(bytes).unwrap();
    assert_eq!((message.header_rcode(), message.rcode()), (0, 16));
}

#[test]
fn off_its_port_only_the_grammar_counts() {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    assert!(is_plausible(query));
    assert!(!is_plausible(&query[..17]));
    assert!(!is_plausible(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut odd_class = query.to_vec();
    odd_class[18] = 9;
    assert!(!is_plausible(&odd_class));
}

#[test]
fn on_its_port_too_a_question_needs_a_name() {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    assert!(is_credible(query, false));
    assert!(is_credible(b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0", false), "a refusal that repeats nothing");
    assert!(!is_credible(b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0\x07", false), "nothing is announced");
    let record = b"\x12\x34\x84\0\0\0\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01";
    assert!(is_credible(record, false) && !is_credible(&record[..20], false));
    let spoilt = |places: &[usize]| {
        let mut message = query.to_vec();
        places.iter().for_each(|at| message[*at] = 0x78);
        message
    };
    let (opcode, questions, name, class) = (2, 4, 12, 18);
    assert!(is_credible(&spoilt(&[opcode, questions]), false), "its name and class say enough");
    assert!(is_credible(&spoilt(&[class]), false));
    for bad in [&[name][..], &[class, opcode], &[class, questions]] {
        assert!(!is_credible(&spoilt(bad), false), "{bad:?}");
    }
    assert!(!is_credible(&query[..17], false) && !is_credible(&query[..11], true));
    assert!(is_credible(&query[..17], true), "the capture has cut it");
    assert!(!is_credible(&spoilt(&[questions])[..17], true));
}

#[test]
fn a_stream_that_is_not_dns_is_refused_and_a_hole_is_survived() {
    let mut inspector = DnsStream::new();
    let progress = inspector.feed(Direction::Orig, b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1", &mut |_, _| {});
    assert_ne!(progress.next, Next::Finished);
    assert_eq!(DnsStream::new().feed(Direction::Orig, b"\0\x03abc", &mut |_, _| {}).next, Next::Reject);
    let message = response("example.com", [192, 0, 2, 1], [1; 16]);
    let mut stream = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    stream.extend(&message);
    assert!(inspector.gap(Direction::Resp));
    let mut told = 0;
    inspector.feed(Direction::Resp, &stream, &mut |_, _| told += 1);
    assert_eq!(told, 1);
}
