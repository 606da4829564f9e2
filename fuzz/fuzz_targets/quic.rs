//! QUIC: datagrams of both sides, and, since no fuzzer guesses a tag, what opened packets hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::inspect::quic::frames::{Frame, Frames};
use relayscope::inspect::quic::gquic::{Hello, Public, handshake};
use relayscope::inspect::quic::header::Long;
use relayscope::inspect::quic::version::Dialect;
use relayscope::inspect::quic::{QuicState, may_be};
use relayscope::wire::Reader;

fuzz_target!(|data: &[u8]| {
    let mut r = Reader::new(data);
    while Long::read(&mut r).is_some() {}
    for (dialect, cut) in [(Dialect::Ietf, false), (Dialect::GoogleTls, true)] {
        for frame in Frames::new(data, dialect, cut) {
            if let Frame::Crypto { bytes, .. } = frame {
                let _ = Hello::read(bytes);
            }
        }
    }
    if let Some(public) = Public::read(data) {
        handshake(public.version, public.rest, &mut |_| {});
    }
    let _ = Hello::read(data);
    // datagrams behind their lengths, the odd ones from the other side
    let (mut state, mut scratch, mut rest) = (QuicState::new(), Vec::new(), Reader::new(data));
    while let Ok(mut datagram) = rest.vec16() {
        let datagram = datagram.take_up_to(usize::MAX);
        let _ = may_be(datagram);
        state.inspect(datagram.len() % 2 == 1, datagram, &mut scratch, &mut |_| {});
    }
    state.cut_short(&mut |_| {});
});
