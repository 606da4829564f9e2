//! The decoder: whatever the link type, what it gives lies within the frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relayscope::decode::{Packet, decode, decode_further};

fuzz_target!(|data: &[u8]| {
    let Some((&[a, b], frame)) = data.split_first_chunk() else { return };
    let link = u16::from_be_bytes([a, b]);
    decode_further(link, frame, &Packet::default(), &mut |packet, _| {
        assert!(packet.payload(frame).len() <= packet.payload_captured as usize);
    });
    let mut packet = Packet::default();
    if decode(link, frame, &mut packet).is_ok() {
        assert_eq!(packet.payload(frame).len(), packet.payload_captured as usize);
        assert!(packet.payload_captured <= packet.payload_len);
        assert_eq!(packet.options(frame).len(), usize::from(packet.options_len));
        assert!(packet.tunnels.names().count() <= relayscope::decode::Tunnels::MAX as usize);
    }
});
