//! A file of these bytes: every frame lies in its chunk, and the first byte, the chunk's size, changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::source::{CaptureReader, Chunk, Fill};

fn frames(file: &[u8], chunk_bytes: usize) -> Vec<(u64, Vec<u8>)> {
    let pipe = Box::new(std::io::Cursor::new(file.to_vec()));
    let Ok(mut reader) = CaptureReader::from_reader(pipe, "it", chunk_bytes) else { return Vec::new() };
    let (mut chunk, mut frames) = (Chunk::default(), Vec::new());
    while let Ok(Fill::More) = reader.fill(&mut chunk) {
        for at in &chunk.frames {
            let Some(frame) = chunk.frame(at) else { panic!("a frame beyond its chunk") };
            frames.push((frame.ts.0, frame.bytes.to_vec()));
        }
    }
    assert_eq!(reader.facts().frames, frames.len() as u64);
    frames
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, file)) = data.split_first() else { return };
    assert_eq!(frames(file, usize::from(size) * 8), frames(file, 1 << 18));
});
