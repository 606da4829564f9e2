//! TLS over TCP.

/// A ClientHello.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// The message.
    pub body: &'a [u8],
}
/// A ServerHello.
#[derive(Clone, Copy, Debug)]
pub struct ServerHello<'a> {
    /// The message.
    pub body: &'a [u8],
}
/// An alert.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// The reason.
    pub description: u8,
}
