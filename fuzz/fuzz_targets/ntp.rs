//! NTP packets: their stamps as moments, and what they say in words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::ntp;

fuzz_target!(|data: &[u8]| {
    if let Some(packet) = ntp::parse(data) {
        let stamps = [packet.reference, packet.origin, packet.receive, packet.transmit];
        let _ = (stamps.map(ntp::moment), packet.sent(), packet.kiss());
    }
});
