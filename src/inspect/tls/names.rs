//! Versions and alerts by name.

use std::borrow::Cow;

use super::ciphers;

/// The name of a version number: `SSLv2`, `SSLv3`, `TLSv1` to `TLSv1.3`, `DTLSv1.0`, `DTLSv1.2`, `DTLSv1.3`, a draft of
/// TLS 1.3 as `TLSv1.3-draft28`, and `0x%04x` for anything else.
pub fn version_name(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        // 0x0100 is what OpenSSL wrote before RFC 4347 settled on 0xfeff.
        0x0100 | 0xfeff => "DTLSv1.0",
        0xfefd => "DTLSv1.2",
        0xfefc => "DTLSv1.3",
        0x7f01..=0x7fff => return Cow::Owned(format!("TLSv1.3-draft{}", version & 0xff)),
        _ => return Cow::Owned(format!("0x{version:04x}")),
    })
}

/// The IANA name of a cipher suite, or its number as `0x%04x`.
pub fn cipher_name(number: u16) -> Cow<'static, str> {
    ciphers::suite(number).map_or_else(|| Cow::Owned(format!("0x{number:04x}")), Cow::Borrowed)
}

/// An alert in the clear (RFC 8446 §6, RFC 5246 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// The reason, as numbered in the registry "TLS Alerts".
    pub description: u8,
}

impl Alert {
    /// The alert of a record body; `None` when it is not one in the clear. Two bytes with a level that exists: ciphers
    /// and MACs only ever lengthen, so an encrypted alert cannot pass for it.
    pub fn parse(body: &[u8]) -> Option<Self> {
        match *body {
            [level @ 1..=2, description] => Some(Alert { level, description }),
            _ => None,
        }
    }

    /// Whether it ends the connection.
    pub const fn is_fatal(&self) -> bool {
        self.level == 2
    }

    /// Its name in RFC 8446 §6 or in the older standard that knew it, or its number in decimal.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.description {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            52 => "too_many_cids_requested",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            117 => "general_error",
            120 => "no_application_protocol",
            121 => "ech_required",
            other => return Cow::Owned(other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(version_name(0x0304), "TLSv1.3");
        assert_eq!(version_name(0xfefd), "DTLSv1.2");
        assert_eq!(version_name(0x7f1c), "TLSv1.3-draft28");
        assert_eq!(version_name(0x0505), "0x0505");
        assert_eq!(cipher_name(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(cipher_name(0x0a0a), "0x0a0a");
    }

    #[test]
    fn alerts_are_two_bytes() {
        let fatal = Alert::parse(&[2, 48]).unwrap();
        assert!(fatal.is_fatal());
        assert_eq!(fatal.name(), "unknown_ca");
        assert_eq!(Alert { level: 1, description: 200 }.name(), "200");
        assert_eq!(Alert::parse(&[3, 48]), None);
        assert_eq!(Alert::parse(&[2, 48, 0]), None);
    }
}
