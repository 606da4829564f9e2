//! TLS over TCP: hellos and alerts, as far as they travel in the clear.
//!
//! RFC 8446 (TLS 1.3) §4.1, §4.2, §5.1, §6 and Appendix D; RFC 5246 (TLS 1.2) §6.2 and §7.4; RFC 6066 §3 (server name);
//! RFC 7301 (ALPN); RFC 9849 (encrypted ClientHello); RFC 6101 Appendix E (the hello in SSL 2.0 dress).
//!
//! Limits: a hello of at most 65,535 bytes, and [`TlsStream`] looks at no more than 128 KiB of records a direction.
//! Refused: what does not start like a record of major version 3 (or like an SSL 2.0 hello), and everything encrypted:
//! nothing here holds a key. Certificates are told where a caller asks for them, or where they alone can tell the
//! server's name.

mod chain;
mod ciphers;
mod hello;
mod names;
mod records;
pub mod walk;
pub mod whole;

pub use chain::Chain;
#[cfg(test)]
pub(crate) use hello::tests::{RETRY, client_body, outlined_body, server_body};
pub use hello::{CipherSuites, ClientHello, Ech, Extension, Extensions, Form, Names, ServerHello, U16s};
pub use names::{Alert, cipher_name, version_name};
pub use records::{TlsStream, probe};

/// Handshake type of a ClientHello.
pub(super) const CLIENT_HELLO: u8 = 1;
/// Handshake type of a ServerHello.
pub(super) const SERVER_HELLO: u8 = 2;
/// Handshake type of a Certificate message.
pub(super) const CERTIFICATE: u8 = 11;

/// Whether `value` is one of the sixteen that mean nothing by design (RFC 8701 §2): `0x0a0a`, `0x1a1a`, … `0xfafa`.
pub const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
