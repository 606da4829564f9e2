//! SCTP, RTP and RTCP, a datagram at a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::rtp::{self, Source};
use relayscope::inspect::sctp;

fuzz_target!(|data: &[u8]| {
    if let Some(packet) = sctp::parse(data) {
        let _ = sctp::chunk_names(packet.chunks).count();
    }
    let _ = rtp::report(data, data.len());
    let mut source: Option<Source> = None;
    for packet in data.chunks(20).filter_map(|datagram| rtp::parse(datagram, 1200)) {
        let known = source.get_or_insert_with(|| Source::new(&packet));
        known.take(&packet);
        let _ = (known.is_proven(), known.lost());
    }
});
