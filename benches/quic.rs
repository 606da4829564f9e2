//! What a QUIC connection costs until its server name is known, and what a datagram costs that is not QUIC.

#[path = "../tests/support/quic.rs"]
mod wire;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::inspect::Fact;
use relayscope::inspect::quic::{QuicState, may_be};
use rustls::Side;
use wire::{VERSIONS, client_hello, crypto, initial};

fn hello(c: &mut Criterion) {
    let hello = client_hello("relay.example", &["h3"], VERSIONS[0].1);
    let id = b"original";
    let packet = |n, frames: &[u8]| initial(VERSIONS[0], Side::Client, (id, id), n, frames, 1200);
    let whole = [packet(0, &crypto(0, &hello))];
    let (begin, end) = hello.split_at(hello.len() / 2);
    let halves = [packet(0, &crypto(begin.len(), end)), packet(1, &crypto(0, begin))];
    let mut group = c.benchmark_group("quic");
    group.throughput(Throughput::Elements(1));
    for (name, datagrams) in [("hello in one datagram", &whole[..]), ("hello in two", &halves)] {
        let mut scratch = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut state, mut n) = (QuicState::new(), 0);
                for datagram in black_box(datagrams) {
                    state.inspect(false, datagram, &mut scratch, &mut |fact| {
                        if let Fact::ClientHello(hello) = fact {
                            n = hello.sni().map_or(0, <[u8]>::len);
                        }
                    });
                }
                n
            });
        });
    }
    let rtp = [0x80, 96, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5];
    group.bench_function("a look at RTP", |b| b.iter(|| may_be(black_box(&rtp))));
    group.finish();
}

criterion_group!(benches, hello);
criterion_main!(benches);
