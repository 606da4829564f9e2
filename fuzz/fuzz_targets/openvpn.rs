//! OpenVPN's control channel: packets alone, a session over UDP, and one over a stream in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::Direction;
use relayscope::inspect::openvpn::{self, OpenVpnStream, Session};

mod feed;

/// A hard reset, authenticated by nothing, or by an HMAC of 20 bytes.
fn reset(authenticated: bool) -> Vec<u8> {
    let auth: &[u8] = if authenticated { &[0xaa; 20] } else { &[] };
    let replay: &[u8] = if authenticated { &[0, 0, 0, 1, 1, 2, 3, 4] } else { &[] };
    [&[0x38, 1, 2, 3, 4, 5, 6, 7, 8], auth, replay, &[0; 5]].concat()
}

fuzz_target!(|data: &[u8]| {
    let _ = (openvpn::is_opening(data), openvpn::probe_tcp(data));
    for authenticated in [false, true] {
        if let Some(mut session) = Session::open(&reset(authenticated)) {
            for (at, packet) in data.chunks(64).enumerate() {
                let direction = if at % 3 == 0 { Direction::Resp } else { Direction::Orig };
                session.packet(direction, packet, &mut |_, _| {});
            }
        }
    }
    feed::feed(&mut OpenVpnStream::default(), data, &mut |_, _| {});
});
