//! The committed captures, cut short and changed: whatever is left of them is read to where it makes sense, and every
//! frame that is read is accounted for.

mod support;

use std::path::Path;

use relayscope::engine::{Config, Engine};
use relayscope::source::{CaptureReader, Chunk, Fill};

/// How often each capture is cut, and changed.
const CUTS: usize = 300;
const MUTATIONS: usize = 300;

/// Every capture in the project.
fn captures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

/// Xorshift (Marsaglia): the same changes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Reads a file through the engine; gives the frames read. Whatever was read is in a flow or named as not decoded.
fn read(bytes: Vec<u8>, chunk_bytes: usize) -> u64 {
    let Ok(mut reader) = CaptureReader::from_reader(Box::new(std::io::Cursor::new(bytes)), "it", chunk_bytes) else {
        return 0;
    };
    let mut engine = Engine::new(&Config { records: true, traces: true, secret: 5, ..Config::default() });
    let mut chunk = Chunk::default();
    while let Ok(Fill::More) = reader.fill(&mut chunk) {
        engine.chunk(&chunk);
    }
    let analysis = engine.finish();
    let counted = || analysis.shards.iter().flat_map(|s| s.table.flows().map(|(_, flow)| s.table.counted(flow)));
    let packets: u64 = counted().flat_map(|flow| flow.pkts).sum();
    assert_eq!(packets + analysis.totals.undecoded.iter().sum::<u64>(), analysis.totals.frames);
    assert_eq!(reader.facts().frames, analysis.totals.frames);
    assert!(counted().flat_map(|flow| flow.bytes).sum::<u64>() <= analysis.totals.bytes);
    analysis.totals.frames
}

#[test]
fn cut_anywhere_they_give_a_beginning() {
    let mut random = Random(0x9e37_79b9);
    for capture in captures() {
        let whole = read(capture.clone(), 1 << 18);
        assert!(whole > 1000);
        let mut cuts: Vec<usize> = (0..CUTS).map(|_| random.below(capture.len())).chain(0..40).collect();
        cuts.sort_unstable();
        let mut before = 0;
        for cut in cuts {
            let frames = read(capture[..cut].to_vec(), 1 << (8 + cut % 12));
            assert!((before..=whole).contains(&frames), "{cut} bytes give {frames} frames, fewer gave {before}");
            before = frames;
        }
    }
}

#[test]
fn changed_anywhere_they_still_add_up() {
    let mut random = Random(0x1234_5678);
    for capture in captures() {
        let whole = read(capture.clone(), 1 << 18);
        for round in 0..MUTATIONS {
            // a part of the file is enough, and keeps this short
            let end = random.below(capture.len() / 2).max(4096);
            let mut bytes = capture[..end].to_vec();
            for _ in 0..1 + round {
                let at = random.below(bytes.len());
                bytes[at] = match round % 3 {
                    0 => random.below(256) as u8,
                    1 => bytes[at] ^ 1 << random.below(8),
                    _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                };
            }
            // a record's length that shrank may show a few bytes of its packet as records of their own
            assert!(read(bytes, 1 << 16) <= whole);
        }
    }
}

#[test]
fn packets_changed_inside_good_records_still_add_up() {
    let mut random = Random(0xfeed);
    for capture in captures() {
        let mut reader = CaptureReader::from_reader(Box::new(std::io::Cursor::new(capture)), "it", 1 << 20).unwrap();
        let frames = support::frames(&mut reader);
        for round in 0..6 {
            let changed: Vec<_> = frames
                .iter()
                .map(|(ts, _, bytes)| {
                    let mut bytes = bytes.clone();
                    for _ in 0..round {
                        let within = bytes.len().min(if round % 2 == 0 { 90 } else { 2000 });
                        if let Some(byte) = bytes.get_mut(random.below(within)) {
                            *byte = random.below(256) as u8;
                        }
                    }
                    if random.below(8) == 0 {
                        bytes.truncate(random.below(bytes.len()));
                    }
                    (*ts, bytes)
                })
                .collect();
            let file = support::pcap(1, changed.iter().map(|(ts, bytes)| (*ts, bytes.as_slice())));
            assert_eq!(read(file, 1 << 18), frames.len() as u64);
        }
    }
}
