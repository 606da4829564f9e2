//! NTP.

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// 3 client, 4 server.
    pub mode: u8,
}
