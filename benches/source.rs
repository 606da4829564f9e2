//! Frames per second out of capture files that the system has in its cache.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Source};

const FRAMES: u32 = 200_000;

/// Sizes as traffic has them: full segments, bare acknowledgements, some in between.
fn caplen(i: u32) -> u32 {
    [1_514, 66, 1_514, 66, 350, 1_514][(i % 6) as usize]
}

fn pcap() -> Vec<u8> {
    let mut out = Vec::new();
    [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].iter().for_each(|n| out.extend(n.to_le_bytes()));
    for i in 0..FRAMES {
        [i / 1_000, i % 1_000, caplen(i), caplen(i)].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.resize(out.len() + caplen(i) as usize, i as u8);
    }
    out
}

fn pcapng() -> Vec<u8> {
    let mut out = Vec::new();
    let head = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 1, 65_535, 20];
    head.iter().for_each(|n: &u32| out.extend(n.to_le_bytes()));
    for i in 0..FRAMES {
        let padded = caplen(i).next_multiple_of(4);
        [6, padded + 32, 0, 0, i, caplen(i), caplen(i)].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.resize(out.len() + padded as usize, i as u8);
        out.extend((padded + 32).to_le_bytes());
    }
    out
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("source");
    group.throughput(Throughput::Elements(u64::from(FRAMES))).sample_size(20);
    let zstd = zstd::encode_all(&pcap()[..], 1).expect("packs");
    for (name, bytes) in [("pcap", pcap()), ("pcapng", pcapng()), ("pcap.zst", zstd)] {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&bytes).expect("room for it");
        let paths = [file.path().to_path_buf()];
        let mut chunk = Chunk::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut source, mut frames) = (Source::open(&paths, CHUNK_BYTES), 0);
                while source.fill(&mut chunk) == Fill::More {
                    frames += black_box(&chunk.frames).len();
                }
                assert_eq!(frames, FRAMES as usize);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
