use super::*;
use proptest::prelude::*;
use tls_parser::{TlsExtension, TlsMessageHandshake};

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vec16(body)].concat()
}

/// The body of a ClientHello for `name` that offers h2 and TLS 1.3, with `extra` bytes of padding.
pub(crate) fn client_body(name: &[u8], extra: usize) -> Vec<u8> {
    let extensions = [
        extension(0x1a1a, &[]),
        extension(0, &vec16(&[&[0][..], &vec16(name)].concat())),
        extension(10, &vec16(&[0x2a, 0x2a, 0x11, 0xec, 0, 29])),
        extension(11, &[1, 0]),
        extension(13, &vec16(&[4, 3, 8, 4])),
        extension(16, &vec16(b"\x02h2\x08http/1.1")),
        extension(43, &[6, 0x3a, 0x3a, 3, 4, 3, 3]),
        extension(21, &vec![0; extra]),
    ]
    .concat();
    [&[3, 3][..], &[7; 32], &[2, 1, 2], &vec16(&[0x4a, 0x4a, 0x13, 1, 0xc0, 0x2f]), &[1, 0], &vec16(&extensions)]
        .concat()
}

/// The body of a ClientHello that offers `numbers` as its suites, extensions, groups, algorithms or point formats, as
/// `kind` says, some GREASE among them if that is wanted.
pub(crate) fn outlined_body(kind: u8, numbers: &[u16], grease: bool) -> Vec<u8> {
    let all: Vec<u16> = numbers.iter().copied().chain(grease.then_some(0x5a5a)).collect();
    let list = |at: u8| if kind % 5 == at { all.iter().flat_map(|n| n.to_be_bytes()).collect() } else { Vec::new() };
    let formats: Vec<u8> = list(4).chunks(2).map(|number| number[1]).collect();
    let mut extensions: Vec<u8> = list(1).chunks(2).flat_map(|kind| extension(kind[1].into(), &[])).collect();
    extensions.extend(extension(10, &vec16(&list(2))));
    extensions.extend(extension(13, &vec16(&list(3))));
    extensions.extend(extension(11, &[&[formats.len() as u8][..], &formats].concat()));
    [&[3, kind % 4][..], &[7; 32], &[0], &vec16(&list(0)), &[1, 0], &vec16(&extensions)].concat()
}

/// The body of a ServerHello that chooses `version` by its extension.
pub(crate) fn server_body(random: [u8; 32], version: u16) -> Vec<u8> {
    let extensions = extension(43, &version.to_be_bytes());
    [&[3, 3][..], &random, &[0, 0x13, 1, 0], &vec16(&extensions)].concat()
}

/// The random value of a HelloRetryRequest.
pub(crate) const RETRY: [u8; 32] = HELLO_RETRY;

#[test]
fn a_client_hello_field_by_field() {
    let body = client_body(b"relay.example", 0);
    let hello = ClientHello::parse(&body).unwrap();
    assert_eq!(hello.sni(), Some(&b"relay.example"[..]));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.cipher_suites().collect::<Vec<_>>(), [0x4a4a, 0x1301, 0xc02f]);
    assert_eq!(hello.groups().collect::<Vec<_>>(), [0x2a2a, 0x11ec, 29]);
    assert_eq!(hello.signature_algorithms().collect::<Vec<_>>(), [0x0403, 0x0804]);
    assert_eq!(hello.ec_point_formats(), [0]);
    assert_eq!(hello.highest_version(), 0x0304);
    assert_eq!(hello.session_id, [1, 2]);
    assert_eq!(hello.ech(), Ech::None);
    assert!(!hello.truncated && !hello.has_psk() && !hello.has_early_data());
}

#[test]
fn a_name_before_the_damage_counts() {
    let body = client_body(b"relay.example", 0);
    let hello = ClientHello::parse(&body[..body.len() - 12]).unwrap();
    assert!(hello.truncated);
    assert_eq!(hello.sni(), Some(&b"relay.example"[..]));
    assert!(ClientHello::parse(&body[..36]).is_none());
}

#[test]
fn a_server_hello_and_a_retry() {
    let body = server_body([1; 32], 0x0304);
    let hello = ServerHello::parse(&body).unwrap();
    assert_eq!((hello.legacy_version, hello.version(), hello.cipher), (0x0303, 0x0304, 0x1301));
    assert!(hello.is_tls13() && !hello.is_hello_retry() && !hello.truncated);
    assert!(ServerHello::parse(&server_body(RETRY, 0x0304)).unwrap().is_hello_retry());
}

#[test]
fn a_server_hello_that_is_cut_before_its_version_is_known_by_its_suite() {
    let body = server_body([1; 32], 0x0304);
    let version = |body: &[u8]| ServerHello::parse(body).map(|hello| (hello.version(), hello.truncated));
    let before = body.len() - 4;
    assert_eq!(version(&body[..before]), Some((0x0304, true)));
    let dtls = [&[0xfe, 0xfd][..], &body[2..before]].concat();
    assert_eq!(version(&dtls), Some((0xfefc, true)));
    let mut older = body[..before].to_vec();
    let suite = 35 + usize::from(body[34]);
    older[suite..suite + 2].copy_from_slice(&[0xc0, 0x2b]);
    assert_eq!(version(&older), Some((0x0303, true)));
}

#[test]
fn a_server_hello_of_an_early_draft() {
    let body = [&[0x7f, 18][..], &[1; 32], &[0x13, 1, 0, 0]].concat();
    let hello = ServerHello::parse(&body).unwrap();
    assert_eq!((hello.version(), hello.cipher, hello.session_id), (0x7f12, 0x1301, &[][..]));
    assert!(hello.is_tls13());
}

#[test]
fn ssl_2_dress() {
    let record = [&[1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 5, 1, 0, 0x80][..], &[9; 16]].concat();
    let hello = ClientHello::parse_sslv2(&record).unwrap();
    assert_eq!((hello.form, hello.legacy_version), (Form::SslV2, 0x0301));
    assert_eq!(hello.cipher_suites().collect::<Vec<_>>(), [5]);
    assert_eq!(hello.sni(), None);
}

/// What tls-parser reads, where it reads the message whole, must be what is read here.
fn agrees(body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length[1..], body].concat();
    let Ok((_, tls_parser::TlsMessage::Handshake(TlsMessageHandshake::ClientHello(other)))) =
        tls_parser::parse_tls_message_handshake(&message)
    else {
        return;
    };
    let Some(hello) = ClientHello::parse(body) else {
        assert_ne!(other.version.0 >> 8, 3, "a hello that only the other reads");
        return;
    };
    assert_eq!(hello.legacy_version, other.version.0);
    assert_eq!(hello.random, other.random);
    assert_eq!(hello.session_id, other.session_id.unwrap_or_default());
    assert!(hello.cipher_suites().eq(other.ciphers.iter().map(|c| c.0)));
    if hello.truncated {
        return;
    }
    let Ok(([], extensions)) = tls_parser::parse_tls_extensions(other.ext.unwrap_or_default()) else { return };
    let sni = extensions.iter().find_map(|e| match e {
        TlsExtension::SNI(names) => Some(names.first().map(|n| n.1)),
        _ => None,
    });
    if let Some(Some(name)) = sni.filter(|n| n.is_some_and(|n| !n.is_empty())) {
        assert!(hello.sni().is_none_or(|ours| ours == name));
    }
    let kinds = extensions.iter().map(|e| tls_parser::TlsExtensionType::from(e).0);
    assert_eq!(hello.extensions().count(), kinds.count());
}

#[test]
fn agrees_on_a_good_one() {
    agrees(&client_body(b"relay.example", 1200));
}

proptest! {
    #[test]
    fn agrees_on_damaged_ones(at in 0_usize..140, value: u8, cut in 0_usize..160) {
        let mut body = client_body(b"relay.example", 9);
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
        body.truncate(cut.max(40));
        agrees(&body);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let readers = [ClientHello::parse, ClientHello::parse_quic, ClientHello::parse_dtls, ClientHello::parse_sslv2];
        for hello in readers.into_iter().filter_map(|read| read(&bytes)) {
            hello.sni();
            hello.alpn().count();
            crate::inspect::ja::ja4(&hello, crate::inspect::ja::Transport::Tcp);
            crate::inspect::ja::ja3(&hello);
        }
        if let Some(hello) = ServerHello::parse(&bytes) {
            hello.alpn();
            hello.version();
        }
    }
}
