//! STUN, old and new, alone and over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::stun::{self, StunStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    let _ = (stun::probe_tcp(data), stun::channel_data(data));
    for message in [stun::parse(data, data.len()), stun::parse_classic(data, data.len())].into_iter().flatten() {
        let _ = (message.details(), message.mapped().count(), message.fingerprint_is_right());
    }
    feed::feed(&mut StunStream::new(), data, &mut |_, _| {});
});
