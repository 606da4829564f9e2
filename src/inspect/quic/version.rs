//! The versions of QUIC: how each is called, and how its Initial packets are protected.
//!
//! RFC 9000 §15; RFC 9001 §5.2; RFC 9369 §3 (QUIC version 2); draft-ietf-quic-tls-22, -23, -29 and -33 §5.2 (each
//! changed the salt). Google's versions and their salts are those of its QUICHE, Facebook's those of mvfst.

use std::borrow::Cow;

/// A salt, from which and the client's first connection id the secrets of Initial packets come.
pub type Salt = [u8; 20];

/// QUIC version 1 (RFC 9000).
pub const V1: u32 = 1;
/// QUIC version 2 (RFC 9369).
pub const V2: u32 = 0x6b33_43cf;
/// QUIC version 2 as drafts 1 to 4 of it had it.
const V2_DRAFT: u32 = 0x709a_50c4;

const SALT_V1: Salt = *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const SALT_V2: Salt = *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
const SALT_V2_DRAFT: Salt = *b"\xa7\x07\xc2\x03\xa5\x9b\x47\x18\x4a\x1d\x62\xca\x57\x04\x06\xea\x7a\xe3\xe5\xd3";
const SALT_29: Salt = *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
const SALT_23: Salt = *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
const SALT_22: Salt = *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
const SALT_Q050: Salt = *b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45";
const SALT_T050: Salt = *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10";
const SALT_T051: Salt = *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d";

/// How the frames in an Initial packet, and the handshake in them, are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As in RFC 9000: CRYPTO frames of TLS.
    Ietf,
    /// Google's frames with TLS in them.
    GoogleTls,
    /// Google's frames with the handshake of its own, QUIC crypto.
    GoogleCrypto,
}

/// How a version protects and writes its Initial packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The salt.
    pub salt: &'static Salt,
    /// Keys are derived under the labels of version 2, which numbers its packet types anew, too.
    pub second: bool,
    /// What stands inside.
    pub dialect: Dialect,
}

const fn scheme(salt: &'static Salt, dialect: Dialect) -> Scheme {
    Scheme { salt, second: false, dialect }
}

/// What a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its Initial packets are protected so.
    Sealed(Scheme),
    /// Google's Q046 to Q049: a long header, and a handshake in the clear.
    Clear,
    /// Reserved to be refused (RFC 9000 §15): `0x?a?a?a?a`.
    Reserved,
    /// Nothing is known of it.
    Unknown,
}

/// What `version` is. Google's versions with another header than the long one are not told here.
pub const fn kind(version: u32) -> Kind {
    use Dialect::{GoogleCrypto, GoogleTls, Ietf};
    Kind::Sealed(match version {
        V1 | 0xff00_0021..=0xff00_0022 => scheme(&SALT_V1, Ietf),
        V2 => Scheme { salt: &SALT_V2, second: true, dialect: Ietf },
        V2_DRAFT => Scheme { salt: &SALT_V2_DRAFT, second: true, dialect: Ietf },
        0xff00_001d..=0xff00_0020 => scheme(&SALT_29, Ietf),
        // Facebook's mvfst, from draft 27 on and from draft 22 on
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => scheme(&SALT_23, Ietf),
        0xff00_0016 | 0xface_b001 => scheme(&SALT_22, Ietf),
        0x5130_3530 => scheme(&SALT_Q050, GoogleCrypto),
        0x5430_3530 => scheme(&SALT_T050, GoogleTls),
        0x5430_3531 => scheme(&SALT_T051, GoogleTls),
        0x5130_3436..=0x5130_3439 => return Kind::Clear,
        _ if version & 0x0f0f_0f0f == 0x0a0a_0a0a => return Kind::Reserved,
        _ => return Kind::Unknown,
    })
}

/// The schemes worth trying on a version of which nothing is known: most experiments keep to a standard's keys.
pub const GUESSES: [Scheme; 4] = [
    scheme(&SALT_V1, Dialect::Ietf),
    scheme(&SALT_29, Dialect::Ietf),
    scheme(&SALT_23, Dialect::Ietf),
    scheme(&SALT_22, Dialect::Ietf),
];

/// A version's name: `v1`, `v2`, `draft-29`, `Q046`; `0x%08x` for anything else.
pub fn version_name(version: u32) -> Cow<'static, str> {
    let draft = version & 0xff;
    match version {
        V1 => Cow::Borrowed("v1"),
        V2 => Cow::Borrowed("v2"),
        0xff00_0001..=0xff00_0022 => Cow::Owned(format!("draft-{draft:02}")),
        _ => match version.to_be_bytes() {
            [kind @ (b'Q' | b'T'), b'0', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Cow::Owned([kind, b'0', tens, ones].map(char::from).iter().collect())
            }
            _ => Cow::Owned(format!("0x{version:08x}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (version, name) in [
            (V1, "v1"),
            (V2, "v2"),
            (0xff00_001d, "draft-29"),
            (0x5130_3436, "Q046"),
            (0x5430_3531, "T051"),
            (0xface_b001, "0xfaceb001"),
            (0x1a2a_3a4a, "0x1a2a3a4a"),
        ] {
            assert_eq!(version_name(version), name);
        }
    }

    #[test]
    fn kinds() {
        assert!(matches!(kind(V2), Kind::Sealed(Scheme { second: true, .. })));
        assert!(matches!(kind(0xff00_0022), Kind::Sealed(Scheme { salt: &SALT_V1, second: false, .. })));
        assert_eq!(kind(0x1a2a_3a4a), Kind::Reserved);
        assert_eq!((kind(0x5130_3436), kind(2), kind(0)), (Kind::Clear, Kind::Unknown, Kind::Unknown));
    }
}
