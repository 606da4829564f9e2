//! Real QUIC Initial packets: rustls writes the ClientHello and protects the packets.

use std::sync::Arc;

use rustls::crypto::ring::{cipher_suite::TLS13_AES_128_GCM_SHA256, default_provider};
use rustls::quic::{ClientConnection, Keys, Version};
use rustls::{ClientConfig, RootCertStore, Side};

/// Versions by number, as rustls calls them.
pub const VERSIONS: [(u32, Version); 3] =
    [(1, Version::V1), (0x6b33_43cf, Version::V2), (0xff00_001d, Version::V1Draft)];

/// The ClientHello of a QUIC client that asks for `name` and speaks `alpn`, with its four bytes of type and length.
///
/// # Panics
/// If the name is not one.
pub fn client_hello(name: &'static str, alpn: &[&str], version: Version) -> Vec<u8> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let (name, parameters) = (name.try_into().unwrap(), vec![1, 2, 0x43, 0xe8]);
    let mut client = ClientConnection::new(Arc::new(config), version, name, parameters).unwrap();
    let mut hello = Vec::new();
    client.write_hs(&mut hello);
    hello
}

/// A CRYPTO frame.
///
/// # Panics
/// If it does not fit a packet.
pub fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let number = |n: usize| (u16::try_from(n).unwrap() | 0x4000).to_be_bytes();
    [&[6][..], &number(offset), &number(bytes.len()), bytes].concat()
}

/// The keys of both ends' Initial packets: `local` are this side's.
fn keys(version: Version, dcid: &[u8], side: Side) -> Keys {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    suite.unwrap().keys(dcid, side, version)
}

/// An Initial packet from one side, under keys from the id `secret`, to the id `dcid`; its frames padded to `size`.
///
/// # Panics
/// If it does not fit a datagram.
pub fn initial(
    (number, version): (u32, Version),
    side: Side,
    (secret, dcid): (&[u8], &[u8]),
    packet_number: u32,
    frames: &[u8],
    size: usize,
) -> Vec<u8> {
    let mut payload = frames.to_vec();
    payload.resize(size.max(payload.len()), 0);
    let first = if matches!(version, Version::V2) { 0xd3 } else { 0xc3 };
    let length = (u16::try_from(payload.len() + 20).unwrap() | 0x4000).to_be_bytes();
    let ids = [&[u8::try_from(dcid.len()).unwrap()][..], dcid, &[4, 1, 2, 3, 4]].concat();
    let header = [&[first][..], &number.to_be_bytes(), &ids, &[0], &length, &packet_number.to_be_bytes()].concat();
    let keys = keys(version, secret, side);
    let tag = keys.local.packet.encrypt_in_place(packet_number.into(), &header, &mut payload).unwrap();
    let mut packet = [&header, &payload[..], tag.as_ref()].concat();
    let (head, rest) = packet.split_at_mut(header.len());
    let (flags, head) = head.split_first_mut().unwrap();
    let number_at = head.len() - 4;
    keys.local.header.encrypt_in_place(&rest[..16], flags, &mut head[number_at..]).unwrap();
    packet
}
