//! RTSP, SIP, SSDP and WS-Discovery, as datagrams and over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::message::{self, MessageStream};

mod feed;

fuzz_target!(|data: &[u8]| {
    let _ = (message::probe(data), message::datagram(data));
    feed::feed(&mut MessageStream::default(), data, &mut |_, _| {});
});
