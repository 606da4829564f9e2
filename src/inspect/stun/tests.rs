use bytecodec::{DecodeExt, EncodeExt};
use proptest::prelude::*;
use stun_codec::rfc5389::attributes as rfc;
use stun_codec::{MessageClass, MessageDecoder, MessageEncoder, Method, TransactionId};

use super::*;
use crate::inspect::{Direction, Fact, Next, Probe, StreamInspector};

fn encode(addr: SocketAddr, user: &str, id: [u8; 12]) -> Vec<u8> {
    let method = Method::new(1).unwrap();
    let mut m =
        stun_codec::Message::<rfc_attribute::Any>::new(MessageClass::SuccessResponse, method, TransactionId::new(id));
    m.add_attribute(rfc::XorMappedAddress::new(addr));
    m.add_attribute(rfc::MappedAddress::new(addr));
    m.add_attribute(rfc::Software::new(user.to_owned()).unwrap());
    m.add_attribute(rfc::Fingerprint::new(&m).unwrap());
    MessageEncoder::new().encode_into_bytes(m).unwrap()
}

mod rfc_attribute {
    pub use stun_codec::rfc5389::Attribute as Any;
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn agrees_with_a_library_encoder(at in addr(), user in "[a-zA-Z:+/]{1,40}", id: [u8; 12]) {
        let bytes = encode(at, &user, id);
        let message = parse(&bytes, bytes.len()).unwrap();
        prop_assert_eq!((message.class(), message.method()), (Class::Success, 1));
        prop_assert_eq!(message.transaction_id(), &id);
        prop_assert_eq!(message.mapped().collect::<Vec<_>>(), vec![at, at]);
        let details = message.details();
        prop_assert_eq!(details.software, Some(user.as_bytes()));
        prop_assert_eq!((details.mapped, details.is_ice()), (Some(at), false));
        prop_assert_eq!(message.fingerprint_is_right(), Some(true));
    }

    #[test]
    fn what_a_library_decodes_is_read_the_same(
        at in addr(), id: [u8; 12], flips in prop::collection::vec((0usize..80, any::<u8>()), 0..4),
    ) {
        let mut bytes = encode(at, "x", id);
        for (i, byte) in flips {
            if let Some(b) = bytes.get_mut(i) { *b = byte; }
        }
        let decoded = MessageDecoder::<rfc_attribute::Any>::new().decode_from_bytes(&bytes);
        if let Ok(Ok(theirs)) = decoded {
            let ours = parse(&bytes, bytes.len()).unwrap();
            prop_assert_eq!(ours.method(), theirs.method().as_u16());
            let id = theirs.transaction_id();
            prop_assert_eq!(ours.transaction_id(), id.as_bytes());
            let mapped = theirs.get_attribute::<rfc::XorMappedAddress>().map(|a| a.address());
            if let Some(mapped) = mapped {
                prop_assert!(ours.mapped().any(|a| a == mapped));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), cookie: bool) {
        if cookie && bytes.len() >= 8 {
            bytes[0] &= 0x3f;
            bytes[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        }
        if let Ok(m) = Message::read(&bytes) {
            let _ = (m.details(), m.mapped().count(), m.fingerprint_is_right(), m.class(), m.transaction_id());
        }
        let _ = (parse_classic(&bytes, bytes.len()), channel_data(&bytes), probe_tcp(&bytes));
        let progress = StunStream::new().feed(Direction::Orig, &bytes, &mut |_, _| {});
        prop_assert!(progress.consumed <= bytes.len());
    }

    #[test]
    fn a_stream_tells_each_message_however_it_is_cut(step in 1usize..60, prefixed: bool) {
        let message = encode("192.0.2.1:4000".parse().unwrap(), "abc", [7; 12]);
        let mut stream = Vec::new();
        for _ in 0..3 {
            if prefixed { stream.extend(u16::try_from(message.len()).unwrap().to_be_bytes()); }
            stream.extend(&message);
            if !prefixed { stream.extend([0x40, 1, 0, 3, 1, 2, 3, 0]); }
        }
        let (mut inspector, mut at, mut end, mut told) = (StunStream::new(), 0usize, 0usize, 0);
        while end < stream.len() {
            end = (end + step).min(stream.len());
            if at >= end { continue; }
            let progress = inspector.feed(Direction::Resp, &stream[at..end], &mut |_, fact| {
                told += usize::from(matches!(fact, Fact::Stun(_)));
            });
            prop_assert_eq!(progress.next, Next::More);
            at += progress.consumed + usize::try_from(progress.skip).unwrap();
        }
        prop_assert_eq!((told, at), (3, stream.len()));
        prop_assert_eq!(probe_tcp(&stream), Probe::Match);
    }
}

/// RFC 5769 §2.1: a request with ICE's attributes.
const RFC5769_REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\
    \x49\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

#[test]
fn the_sample_request_of_rfc_5769() {
    let message = parse(RFC5769_REQUEST, RFC5769_REQUEST.len()).unwrap();
    assert_eq!((message.class(), method_name(message.method())), (Class::Request, Some("binding")));
    assert_eq!(message.fingerprint_is_right(), Some(true));
    let details = message.details();
    assert_eq!(details.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!(details.software, Some(&b"STUN test client"[..]));
    assert_eq!((details.priority, details.ice_controlled), (Some(0x6e00_01ff), Some(0x932f_f9b1_5126_3b36)));
    assert!(details.is_ice());
}

#[test]
fn a_cut_message_counts_and_a_wrong_length_does_not() {
    let cut = &RFC5769_REQUEST[..60];
    assert_eq!(parse(cut, RFC5769_REQUEST.len()).unwrap().details().priority, Some(0x6e00_01ff));
    assert!(parse(cut, cut.len()).is_none());
    let mut unaligned = RFC5769_REQUEST[..27].to_vec();
    unaligned[3] = 7;
    assert!(parse(&unaligned, 27).is_some(), "odd, and yet in the wild");
    assert!(parse(RFC5769_REQUEST, RFC5769_REQUEST.len() + 1).is_none());
}

#[test]
fn classic_messages_fill_their_length_exactly() {
    let mut bytes = vec![1, 1, 0, 12];
    bytes.extend([9; 16]);
    bytes.extend([0, 1, 0, 8, 0, 1, 0x0d, 0x96, 192, 0, 2, 3]);
    let message = parse_classic(&bytes, bytes.len()).unwrap();
    assert_eq!(message.transaction_id(), &[9; 16]);
    assert_eq!(message.mapped().next(), Some("192.0.2.3:3478".parse().unwrap()));
    bytes[23] = 9;
    assert!(parse_classic(&bytes, bytes.len()).is_none());
}

#[test]
fn classic_messages_that_no_port_announces_tell_themselves() {
    let is_telling = |attributes: &[u8]| {
        let bytes = [&[1, 1, 0, attributes.len() as u8][..], &[9; 16], attributes].concat();
        parse_classic(&bytes, bytes.len()).unwrap().is_telling()
    };
    let mapped = [0, 1, 0, 8, 0, 1, 0x0d, 0x96, 192, 0, 2, 3];
    assert!(is_telling(&mapped));
    assert!(is_telling(&[0, 3, 0, 4, 0, 0, 0, 6]));
    assert!(is_telling(&[&[0, 6, 0, 4, b'n', b'a', b'm', b'e'][..], &mapped].concat()));
    assert!(!is_telling(&[]), "twenty bytes that may be anything");
    assert!(!is_telling(&[0, 6, 0, 4, b'n', b'a', b'm', b'e']));
    assert!(!is_telling(&[0, 1, 0, 8, 0, 3, 0x0d, 0x96, 192, 0, 2, 3]), "no family");
    assert!(!is_telling(&[&mapped[..], &[0x77, 0, 0, 0]].concat()), "an attribute of nobody's");
}

#[test]
fn errors_and_channels() {
    let mut bytes = b"\x01\x11\x00\x0c\x21\x12\xa4\x42............".to_vec();
    bytes.extend(b"\x00\x09\x00\x08\x00\x00\x04\x01Auth");
    let details = parse(&bytes, 32).unwrap().details();
    assert_eq!((details.error, details.reason), (Some(401), Some(&b"Auth"[..])));
    assert_eq!(channel_data(&[0x40, 5, 0, 1, 9, 0, 0, 0]), Some((0x4005, &[9][..])));
    assert_eq!(channel_data(&[0x40, 5, 0, 9, 9]), None);
}
