//! How fast a ClientHello is walked, and fingerprinted; of TLS, of DTLS, and with what may stand around it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::inspect::dtls::{DtlsState, Wanted};
use relayscope::inspect::haproxy::{self, HaproxyStream};
use relayscope::inspect::ja::{Transport, ja4};
use relayscope::inspect::openvpn::OpenVpnStream;
use relayscope::inspect::socks::SocksStream;
use relayscope::inspect::tls::{ClientHello, TlsStream};
use relayscope::inspect::{Direction, Fact, StreamInspector, x509};

#[path = "../tests/support/der.rs"]
mod der;

/// A record with a ClientHello of about 1,700 bytes: a name, and a key share of post-quantum size.
fn record() -> Vec<u8> {
    let share = [&[0, 51, 5, 0xc6][..], &[7; 1478]].concat();
    let name = b"\x00\x00\x00\x12\x00\x10\x00\x00\x0drelay.example";
    let extensions = [&name[..], b"\x00\x10\x00\x05\x00\x03\x02h2", b"\x00\x2b\x00\x03\x02\x03\x04", &share].concat();
    let suites = [0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30];
    let n = u16::try_from(extensions.len()).unwrap_or_default().to_be_bytes();
    let body = [&[3, 3][..], &[9; 32], &[0, 0, 14], &suites, &[1, 0], &n, &extensions].concat();
    let length = u16::try_from(body.len()).unwrap_or_default();
    [&[22, 3, 1][..], &(length + 4).to_be_bytes(), &[1, 0], &length.to_be_bytes(), &body].concat()
}

fn hello(c: &mut Criterion) {
    let record = record();
    let mut group = c.benchmark_group("tls");
    group.throughput(Throughput::Bytes(record.len() as u64)).sample_size(30);
    group.bench_function("stream to server name", |b| {
        b.iter(|| {
            let mut n = 0;
            TlsStream::new().feed(Direction::Orig, black_box(&record), &mut |_, fact| {
                if let Fact::ClientHello(hello) = fact {
                    n = hello.sni().map_or(0, <[u8]>::len);
                }
            });
            n
        });
    });
    group.bench_function("ja4", |b| {
        b.iter(|| ClientHello::parse(black_box(record.get(9..).unwrap_or_default())).map(|h| ja4(&h, Transport::Tcp)));
    });
    group.finish();
}

/// A ClientHello of DTLS 1.2 in handshake fragments of `size` bytes, a datagram each (RFC 6347 §4.2.3).
fn dtls_datagrams(size: usize) -> Vec<Vec<u8>> {
    let name = b"\x00\x00\x00\x12\x00\x10\x00\x00\x0drelay.example";
    let body = [&[0xfe, 0xfd][..], &[9; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 22], name].concat();
    let number = |n: usize| u16::try_from(n).unwrap_or_default().to_be_bytes();
    let whole = number(body.len());
    let fragment = |(n, piece): (usize, &[u8])| {
        let head = [&[1, 0][..], &whole, &[0, 0, 0], &number(n * size), &[0], &number(piece.len())].concat();
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0][..], &number(n), &number(head.len() + piece.len()), &head, piece].concat()
    };
    body.chunks(size).enumerate().map(fragment).collect()
}

fn dtls(c: &mut Criterion) {
    let mut group = c.benchmark_group("dtls");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    for (name, size) in [("hello in one datagram", 1200), ("hello in three", 26)] {
        let datagrams = dtls_datagrams(size);
        let hellos = || {
            let (mut state, mut n) = (DtlsState::new(), 0);
            for datagram in black_box(&datagrams) {
                state.inspect(Direction::Orig, datagram, Wanted::Hellos, &mut |fact| {
                    n += usize::from(matches!(fact, Fact::ClientHello(hello) if hello.sni().is_some()));
                });
            }
            n
        };
        assert_eq!(hellos(), 1, "{name}");
        group.bench_function(name, |b| b.iter(hellos));
    }
    group.finish();
}

/// What may stand around a hello, each to the point where the hello's own reader takes over, or has it whole.
fn around(c: &mut Criterion) {
    let head = b"PROXY TCP4 192.0.2.9 198.51.100.2 52176 443\r\n";
    let asked = b"\x04\x01\x01\xbb\x00\x00\x00\x01\0relay.example\0";
    let reset = [&[0, 14, 0x38][..], &[5; 8], &[0; 5]].concat();
    let record = record();
    let messages = record.chunks(1200).zip(1_u8..).map(|(piece, n)| {
        let length = u16::try_from(piece.len()).unwrap_or_default().saturating_add(14).to_be_bytes();
        [&length[..], &[0x20], &[5; 8], &[0, 0, 0, 0, n], piece].concat()
    });
    let vpn = [reset, messages.collect::<Vec<_>>().concat()].concat();

    let mut group = c.benchmark_group("around tls");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    group.bench_function("probe in vain", |b| b.iter(|| haproxy::probe(black_box(&record))));
    group.bench_function("haproxy", |b| b.iter(|| feed(&mut HaproxyStream, head)));
    group.bench_function("socks 4a", |b| b.iter(|| feed(&mut SocksStream::default(), asked)));
    group.bench_function("openvpn to server name", |b| b.iter(|| feed(&mut OpenVpnStream::default(), &vpn)));
    group.finish();
}

fn certificates(c: &mut Criterion) {
    let der = der::certificate("relay.example", "A Test CA", &["relay.example", "*.relay.example"]);
    let mut group = c.benchmark_group("x509");
    group.throughput(Throughput::Elements(1)).sample_size(30);
    let mut memo = x509::Memo::default();
    group.bench_function("known again", |b| b.iter(|| memo.certificate(black_box(&der))));
    group.bench_function("whole", |b| b.iter(|| x509::Certificate::parse(black_box(&der))));
    group.finish();
}

/// Feeds an inspector; how many facts it told.
fn feed(inspector: &mut dyn StreamInspector, bytes: &[u8]) -> usize {
    let mut told = 0;
    inspector.feed(Direction::Orig, black_box(bytes), &mut |_, _| told += 1);
    told
}

criterion_group!(benches, hello, dtls, around, certificates);
criterion_main!(benches);
