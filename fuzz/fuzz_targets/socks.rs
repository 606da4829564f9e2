//! SOCKS 4 and 5 over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::socks::{self, SocksStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    let _ = socks::probe(data);
    feed::feed(&mut SocksStream::default(), data, &mut |_, _| {});
});
