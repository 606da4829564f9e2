//! How long the flow table takes for a packet, with 100,000 flows in it: of a known flow, and of a new one.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use relayscope::decode::{Addr, Packet, proto, tcp_flag};
use relayscope::flow::key::Keyed;
use relayscope::flow::{Config, Table};
use relayscope::time::Timestamp;

const FLOWS: u32 = 100_000;
const SECRET: u64 = 0x0123_4567_89ab_cdef;

/// A packet of flow `n`, the `at`-th of the capture.
fn packet(n: u32, at: u64, flags: u8) -> (Packet, Keyed) {
    let packet = Packet {
        ts: Timestamp(1_700_000_000_000_000_000 + at * 1_000),
        frame: at,
        frames: 1,
        len: 1454,
        src: Addr::v4(n.to_be_bytes()),
        dst: Addr::v4([198, 51, 100, 10]),
        src_port: 40_000,
        dst_port: 443,
        seq: n,
        payload_len: 1400,
        proto: proto::TCP,
        tcp_flags: flags,
        ttl: 64,
        transport: true,
        ..Packet::default()
    };
    let keyed = Keyed::of(&packet, SECRET);
    (packet, keyed)
}

fn full() -> Table {
    let mut table = Table::new(Config::default(), SECRET);
    for n in 0..FLOWS {
        let (packet, keyed) = packet(n, u64::from(n), tcp_flag::SYN);
        table.track(&packet, keyed, &[]);
    }
    table
}

fn table(c: &mut Criterion) {
    let mut group = c.benchmark_group("flow");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(FLOWS)));
    // in an order that no cache foresees, each time with the next segment
    let mut known: Vec<_> = (0..FLOWS).map(|n| packet(n.wrapping_mul(7_919) % FLOWS, 200_000, tcp_flag::ACK)).collect();
    known.iter_mut().for_each(|(packet, _)| packet.seq = packet.seq.wrapping_sub(1399));
    let mut one = full();
    group.bench_function("known", |b| {
        b.iter(|| {
            for (packet, keyed) in &mut known {
                packet.ts = packet.ts.after(1_000_000);
                packet.seq = packet.seq.wrapping_add(1400);
                one.track(black_box(packet), *keyed, &[]);
            }
        });
    });
    let fresh: Vec<_> = (FLOWS..2 * FLOWS).map(|n| packet(n, u64::from(n), tcp_flag::SYN)).collect();
    group.bench_function("new", |b| {
        let insert = |mut table: Table| {
            for (packet, keyed) in &fresh {
                table.track(black_box(packet), *keyed, &[]);
            }
            table
        };
        b.iter_batched(full, insert, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, table);
criterion_main!(benches);
