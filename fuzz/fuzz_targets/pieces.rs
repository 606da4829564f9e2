//! Pieces of one stream in any order, with overlaps and holes: what is in front is always the stream's next part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::pieces::Pieces;

const LIMIT: usize = 512;

fuzz_target!(|data: &[u8]| {
    let stream: Vec<u8> = (0..4 * LIMIT).map(|n| (n % 251) as u8).collect();
    let (mut pieces, mut done) = (Pieces::default(), 0);
    for how in data.chunks_exact(3) {
        let (at, length) = (usize::from(u16::from_be_bytes([how[0], how[1]])) % stream.len(), usize::from(how[2]));
        pieces.add(at, &stream[at..(at + length).min(stream.len())], LIMIT);
        let front = pieces.front();
        assert!(front.len() <= LIMIT && stream[done..].starts_with(front));
        if how[2] & 1 == 1 {
            let n = front.len() / 2;
            pieces.advance(n);
            done += n;
        }
    }
});
