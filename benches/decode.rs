//! How long the decoder takes for a frame, by what is stacked in it.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::decode::{Packet, decode};
use support::{tcp, udp};

/// An IPv4 packet of that protocol.
fn carried(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let head = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&head[..], payload].concat()
}

fn frames(c: &mut Criterion) {
    let segment = || tcp(443, 40_000).options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).payload(vec![7; 1400]);
    let v4 = || segment().ipv4("198.51.100.10", "192.168.1.50");
    let mirrored = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 100, 0x18, 1, 0, 0, 0, 2][..], &v4().frame()].concat();
    let overlaid = [&[8, 0, 0, 0, 0, 0, 9, 0][..], &v4().frame()].concat();
    let session = [&[0x11, 0, 0, 7, 5, 0x8a, 0, 0x21][..], v4().ip()].concat();
    let kinds = [
        ("tcp over ipv4", v4().frame()),
        ("tcp over ipv6", segment().ipv6("2001:db8::1", "fd00::2").frame()),
        ("tcp over ipv4 in a vlan", v4().vlan(20).frame()),
        ("tcp over ipv4 in two vlans", v4().vlan(20).vlan(10).frame()),
        ("tcp over ipv4 in erspan", support::ethernet(&carried(47, &mirrored))),
        ("tcp over ipv4 in vxlan", udp(50_000, 4789).payload(overlaid).ipv4("192.0.2.1", "192.0.2.2").frame()),
        ("tcp over ipv4 in pppoe", [&[2; 12][..], &[0x88, 0x64], &session].concat()),
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
