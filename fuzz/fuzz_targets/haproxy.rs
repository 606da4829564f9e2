//! Heads of the PROXY protocol, alone and over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::haproxy::{self, HaproxyStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(header)) = haproxy::parse(data) {
        assert!(header.length <= data.len());
    }
    feed::feed(&mut HaproxyStream, data, &mut |_, _| {});
});
