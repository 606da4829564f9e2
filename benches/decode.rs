//! How long the decoder takes for a frame, by what is stacked in it.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::decode::{Packet, decode};
use support::tcp;

fn frames(c: &mut Criterion) {
    let segment = || tcp(443, 40_000).options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).payload(vec![7; 1400]);
    let v4 = || segment().ipv4("198.51.100.10", "192.168.1.50");
    let kinds = [
        ("tcp over ipv4", v4().frame()),
        ("tcp over ipv6", segment().ipv6("2001:db8::1", "fd00::2").frame()),
        ("tcp over ipv4 in a vlan", v4().vlan(20).frame()),
        ("tcp over ipv4 in two vlans", v4().vlan(20).vlan(10).frame()),
    ];
    let mut group = c.benchmark_group("decode");
    group.sample_size(20).throughput(Throughput::Elements(1));
    for (name, frame) in kinds {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut packet = Packet::default();
                decode(1, black_box(&frame), &mut packet).map(|()| packet)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
