//! Keys of Initial packets, and how such a packet is opened.
//!
//! RFC 9001 §5.2 (secrets), §5.3 (packet protection) and §5.4 (header protection); RFC 9369 §3.3 (labels of version
//! 2); RFC 8446 §7.1 (HKDF-Expand-Label). Whoever sees the client's first connection id can derive these keys: they
//! keep out accidents, not readers. AEAD_AES_128_GCM throughout.
//!
//! What the capture left of a packet that it cut is deciphered without proof that it is right.
//!
//! A packet number is taken as written: an Initial packet whose number needed more bytes than it has is not opened.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit};
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use sha2::Sha256;

use super::version::Scheme;

/// The length of the tag at a packet's end.
const TAG: usize = 16;

/// Whose packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// The keys of one sender's Initial packets.
pub struct Keys {
    packet: Aes128Gcm,
    key: [u8; 16],
    iv: [u8; 12],
    header: Aes128,
}

impl Keys {
    /// The keys that follow from the connection id in the client's first packet.
    pub fn new(scheme: Scheme, dcid: &[u8], sender: Sender) -> Option<Self> {
        let side = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let secret: [u8; 32] = expand(&Hkdf::new(Some(scheme.salt), dcid), side)?;
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let [key_label, iv, hp] = match scheme.second {
            false => ["quic key", "quic iv", "quic hp"],
            true => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        };
        let key = expand(&secret, key_label)?;
        let header: [u8; 16] = expand(&secret, hp)?;
        let (packet, header) = (Aes128Gcm::new(&key.into()), Aes128::new(&header.into()));
        Some(Keys { packet, key, iv: expand(&secret, iv)?, header })
    }

    /// Opens the packet whose number begins at `number_at` into `scratch`: how long its header is, behind which the
    /// payload stands there. `None`: these are not its keys, or it is not whole.
    pub fn open(&self, packet: &[u8], number_at: usize, scratch: &mut Vec<u8>) -> Option<usize> {
        let (nonce, header_length) = self.begin(packet, number_at, scratch)?;
        let (header, sealed) = scratch.split_at_mut_checked(header_length)?;
        let (body, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        self.packet.decrypt_inout_detached(&nonce.into(), header, body.into(), &(*tag).into()).ok()?;
        scratch.truncate(scratch.len().saturating_sub(TAG));
        Some(header_length)
    }

    /// As [`Keys::open`], of what is there of a packet that the capture cut. Nothing shows whether these are its keys.
    pub fn decipher(&self, packet: &[u8], number_at: usize, scratch: &mut Vec<u8>) -> Option<usize> {
        let (nonce, header_length) = self.begin(packet, number_at, scratch)?;
        let mut counter = [0; 16];
        counter.iter_mut().zip(nonce).for_each(|(place, byte)| *place = byte);
        // GCM begins to count at 1 for the tag (NIST SP 800-38D §7.1)
        counter[15] = 2;
        Ctr32BE::<Aes128>::new(&self.key.into(), &counter.into()).apply_keystream(scratch.get_mut(header_length..)?);
        Some(header_length)
    }

    /// Puts a packet into `scratch` without the protection of its header: its nonce, and the header's length.
    fn begin(&self, packet: &[u8], number_at: usize, scratch: &mut Vec<u8>) -> Option<([u8; 12], usize)> {
        scratch.clear();
        scratch.extend_from_slice(packet);
        let header_length = self.unmask(scratch, number_at)?;
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(scratch.get(number_at..header_length)?.iter().rev()) {
            *byte ^= number;
        }
        Some((nonce, header_length))
    }

    /// Takes the protection from the header (RFC 9001 §5.4), and gives its length.
    fn unmask(&self, packet: &mut [u8], number_at: usize) -> Option<usize> {
        let sample: [u8; 16] = *packet.get(number_at.saturating_add(4)..)?.first_chunk()?;
        let mut block = sample.into();
        self.header.encrypt_block(&mut block);
        let (mask, number_mask) = block.split_first()?;
        let first = packet.first_mut()?;
        *first ^= mask & 0x0f;
        let end = number_at.saturating_add(usize::from(*first & 3)).saturating_add(1);
        for (byte, mask) in packet.get_mut(number_at..end)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
        }
        Some(end)
    }
}

/// HKDF-Expand-Label with an empty context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = [u8::try_from(label.len()).ok()?.saturating_add(6)];
    secret.expand_multi_info(&[&length, &label_length, b"tls13 ", label.as_bytes(), &[0]], &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::inspect::quic::version::{Kind, V1, V2, kind};
    use data_encoding::HEXLOWER;

    /// The keys of a version that has some.
    pub fn keys(version: u32, dcid: &[u8], sender: Sender) -> Keys {
        let Kind::Sealed(scheme) = kind(version) else { panic!("{version:08x} has no keys") };
        Keys::new(scheme, dcid, sender).unwrap()
    }

    impl Keys {
        /// The protected packet of a header, which ends with a packet number of four bytes, and a payload.
        pub fn seal(&self, header: &[u8], payload: &[u8]) -> Vec<u8> {
            let number_at = header.len() - 4;
            let mut nonce = self.iv;
            nonce[8..].iter_mut().zip(&header[number_at..]).for_each(|(byte, number)| *byte ^= number);
            let mut body = payload.to_vec();
            let tag = self.packet.encrypt_inout_detached(&nonce.into(), header, (&mut body[..]).into()).unwrap();
            let mut packet = [header, &body, &tag].concat();
            let mut mask = <[u8; 16]>::try_from(&packet[number_at + 4..number_at + 20]).unwrap().into();
            self.header.encrypt_block(&mut mask);
            packet[0] ^= mask[0] & 0x0f;
            (1..5).for_each(|n| packet[number_at + n - 1] ^= mask[n]);
            packet
        }
    }

    const DCID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
    const CLIENT_FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c0000\
        0413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d001700180010000700050461\
        6c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748\
        002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05\
        048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";
    const SERVER_FRAMES: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a\
        045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b000203\
        04";

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    /// RFC 9001 §A.2 and RFC 9369 §A.2: what a client's first packet begins and ends with. Its tag is over all of it.
    #[test]
    fn the_clients_packet_of_both_standards() {
        for (version, header, begin, tag) in [
            (
                V1,
                "c300000001",
                "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98d",
                "e221af44860018ab0856972e194cd934",
            ),
            (
                V2,
                "d36b3343cf",
                "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6a",
                "a18b2faa745b6fe189cf772a9f84cbfc",
            ),
        ] {
            let header = hex(&format!("{header}088394c8f03e5157080000449e00000002"));
            let mut payload = hex(CLIENT_FRAME);
            payload.resize(1162, 0);
            let keys = keys(version, DCID, Sender::Client);
            let mut packet = keys.seal(&header, &payload);
            assert_eq!(
                (packet.len(), packet.starts_with(&hex(begin)), packet.ends_with(&hex(tag))),
                (1200, true, true)
            );
            let mut scratch = Vec::new();
            let header_length = keys.open(&packet, 18, &mut scratch);
            assert_eq!((header_length, &scratch[22..]), (Some(22), &payload[..]));
            let header_length = keys.decipher(&packet[..99], 18, &mut scratch);
            assert_eq!((header_length, &scratch[22..]), (Some(22), &payload[..77]));
            packet[100] ^= 1;
            assert_eq!(keys.open(&packet, 18, &mut scratch), None);
        }
    }

    /// RFC 9001 §A.3 and RFC 9369 §A.3: the server's answer, whole.
    #[test]
    fn the_servers_packet_of_both_standards() {
        for (version, packet) in [
            (
                V1,
                "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f\
                 5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795\
                 d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
            ),
            (
                V2,
                "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf87263017915358\
                 230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d\
                 8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140",
            ),
        ] {
            let (packet, mut scratch) = (hex(packet), Vec::new());
            let opened = keys(version, DCID, Sender::Server).open(&packet, 18, &mut scratch);
            assert_eq!((opened, &scratch[20..]), (Some(20), &hex(SERVER_FRAMES)[..]));
            assert_eq!(keys(version, DCID, Sender::Client).open(&packet, 18, &mut scratch), None);
            assert_eq!(keys(version, DCID, Sender::Server).open(&packet[..40], 18, &mut scratch), None);
        }
    }
}
