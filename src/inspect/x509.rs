//! Server certificates, as far as a record tells of them.
//!
//! RFC 5280 §4.1 (the fields), §4.2.1.6 (subject alternative names). The DER is read by the `x509-parser` crate;
//! nothing is verified: no signature, no chain, no date.
//!
//! Limits: [`MAX_NAMES`] alternative names. Refused: what that crate does not take for a certificate.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use sha1::{Digest, Sha1};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Name};

/// How many alternative names are told.
pub const MAX_NAMES: usize = 256;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, as `C=…, O=…, CN=…`.
    pub subject: String,
    /// Who gave it.
    pub issuer: String,
    /// Its number, in upper case hex with colons.
    pub serial: String,
    /// From when on it holds, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// The host names and addresses that it is for.
    pub names: Vec<String>,
    /// It names itself as its issuer.
    pub self_issued: bool,
    /// SHA-1 of the whole, in lower case hex with colons.
    pub fingerprint: String,
    /// The host that it is for: its first alternative name (RFC 9525 §6.3), else its subject's common name.
    pub host: Option<String>,
}

impl Certificate {
    /// Reads a certificate. `None`: it is not one.
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common = || text(certificate.subject().iter_common_name().next()?.attr_value());
        Some(Certificate {
            subject: spelled(certificate.subject()),
            issuer: spelled(certificate.issuer()),
            serial: hex(certificate.raw_serial(), &data_encoding::HEXUPPER),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            names: names(&certificate).take(MAX_NAMES).collect(),
            self_issued: is_same(certificate.subject(), certificate.issuer()),
            fingerprint: hex(&Sha1::digest(der), &data_encoding::HEXLOWER),
            host: names(&certificate).next().or_else(common),
        })
    }
}

/// How many certificates a [`Memo`] keeps before it begins anew.
const MOST: usize = 16;
/// The longest certificate that is kept, in bytes: most take less than half of it.
const MOST_BYTES: usize = 4096;

/// Certificates as they were read before, known again by all their bytes: a server shows the same one on every
/// connection, and to read it is dear.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    read: HashMap<Box<[u8]>, Option<Arc<Certificate>>, RandomState>,
}

impl Memo {
    /// What it keeps: how many bytes each was read from, and the certificate, where they are one.
    pub fn kept(&self) -> impl Iterator<Item = (usize, Option<&Certificate>)> {
        self.read.iter().map(|(der, read)| (der.len(), read.as_deref()))
    }

    /// Whether it keeps that very one.
    pub fn keeps(&self, certificate: &Arc<Certificate>) -> bool {
        self.read.values().flatten().any(|kept| Arc::ptr_eq(kept, certificate))
    }

    /// Reads a certificate, as [`Certificate::parse`] does.
    pub fn certificate(&mut self, der: &[u8]) -> Option<Arc<Certificate>> {
        if let Some(known) = self.read.get(der) {
            return known.clone();
        }
        let read = Certificate::parse(der).map(Arc::new);
        if der.len() <= MOST_BYTES {
            if self.read.len() >= MOST {
                self.read.clear();
            }
            self.read.insert(der.into(), read.clone());
        }
        read
    }
}

/// A name as `C=…, O=…, CN=…`; what is no text in it, in hex.
fn spelled(name: &X509Name<'_>) -> String {
    let mut spelled = String::new();
    for part in name.iter_rdn() {
        let mut separator = ", ";
        for attribute in part.iter() {
            if !spelled.is_empty() {
                spelled.push_str(separator);
            }
            let kind = attribute.attr_type();
            match oid2abbrev(kind, oid_registry()) {
                Ok(short) => spelled.push_str(short),
                Err(_) => spelled.push_str(&kind.to_id_string()),
            }
            let value = attribute.attr_value();
            spelled.push('=');
            spelled.push_str(&text(value).unwrap_or_else(|| data_encoding::HEXUPPER.encode(value.data)));
            separator = " + ";
        }
    }
    spelled
}

/// The text of a value; `None`: it is none. Bytes of any kind of string that are no UTF-8 are Latin-1, which issuers
/// wrote into Teletex strings.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::BmpString => {
            let units = value.data.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
            Some(char::decode_utf16(units.map(u16::from_be_bytes)).map(|c| c.unwrap_or('\u{fffd}')).collect())
        }
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::T61String
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::GeneralString => Some(match std::str::from_utf8(value.data) {
            Ok(text) => text.to_owned(),
            Err(_) => value.data.iter().map(|byte| char::from(*byte)).collect(),
        }),
        _ => None,
    }
}

fn is_same(a: &X509Name<'_>, b: &X509Name<'_>) -> bool {
    a.as_raw() == b.as_raw()
}

/// Alternative names that are hosts.
fn names<'c>(certificate: &'c X509Certificate<'_>) -> impl Iterator<Item = String> + 'c {
    let alternatives = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let told = alternatives.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    told.filter(|name| !name.is_empty())
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string());
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()))
}

/// Bytes in hex, a colon between each two.
fn hex(bytes: &[u8], digits: &data_encoding::Encoding) -> String {
    let pairs: Vec<String> = bytes.iter().map(|b| digits.encode(&[*b])).collect();
    pairs.join(":")
}

#[cfg(test)]
#[path = "../../tests/support/der.rs"]
mod der;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_certificate_says() {
        let bytes = der::certificate("relay.example", "A Test CA", &["a.relay.example", "*.relay.example"]);
        let certificate = Certificate::parse(&bytes).unwrap();
        assert_eq!(certificate.subject, "O=Issuers, CN=relay.example");
        assert_eq!((&*certificate.issuer, certificate.self_issued), ("O=Issuers, CN=A Test CA", false));
        assert_eq!((certificate.not_before, certificate.not_after), (1_704_164_645, 2_556_144_000));
        assert_eq!(certificate.names, ["a.relay.example", "*.relay.example", "192.0.2.7"]);
        assert_eq!((certificate.host.as_deref(), &*certificate.serial), (Some("a.relay.example"), "00:AB"));
        assert_eq!(certificate.fingerprint.len(), 59);
        let bytes_of_own = der::certificate("box", "box", &[]);
        let own = Certificate::parse(&bytes_of_own).unwrap();
        assert_eq!((own.host.as_deref(), own.self_issued, own.names.len()), (Some("box"), true, 0));
        assert!((0..bytes.len()).all(|n| Certificate::parse(&bytes[..n]).is_none()));
    }

    #[test]
    fn names_in_every_kind_of_string_are_told() {
        let told = |tag: u8, text: &[u8]| {
            let certificate = der::certificate_of(&[(10, tag, text), (3, 0x13, b"h.example")]);
            let Certificate { subject, host, .. } = Certificate::parse(&certificate).unwrap();
            (subject, host.unwrap())
        };
        for (tag, bytes, spelled) in [
            (0x0c, "Bücher".as_bytes(), "Bücher"),
            (0x13, b"Plain", "Plain"),
            (0x14, b"B\xfccher", "Bücher"),
            (0x1e, b"\0B\0\xfc\0c\0h\0e\0r", "Bücher"),
            (0x03, b"\0\xab", "00AB"),
        ] {
            assert_eq!(told(tag, bytes), (format!("O={spelled}, CN=h.example"), "h.example".to_owned()), "{tag:x}");
        }
        let certificate = der::certificate_of(&[(3, 0x1e, b"\0h\0.\0a")]);
        assert_eq!(Certificate::parse(&certificate).unwrap().host.as_deref(), Some("h.a"));
        let unknown = der::certificate_of(&[(99, 0x13, b"x")]);
        assert_eq!(Certificate::parse(&unknown).unwrap().subject, "2.5.4.99=x");
    }

    #[test]
    fn what_was_read_before_is_what_it_says_and_is_kept_once() {
        let named = |n: usize| der::certificate(&format!("host-{n}"), "A Test CA", &[]);
        let (mut memo, numbers) = (Memo::default(), || (0..MOST + 9).chain([0, 3, MOST + 8]));
        for n in numbers() {
            assert_eq!(memo.certificate(&named(n)).as_deref(), Certificate::parse(&named(n)).as_ref());
            assert!(memo.read.len() <= MOST);
        }
        let (one, other) = (memo.certificate(&named(3)).unwrap(), memo.certificate(&named(3)).unwrap());
        assert!(Arc::ptr_eq(&one, &other) && memo.keeps(&one) && !memo.keeps(&Arc::new((*one).clone())));
        let known = memo.read.len();
        assert!(memo.certificate(&[0x30; MOST_BYTES + 1]).is_none() && memo.read.len() == known);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
            let _ = Certificate::parse(&bytes);
            let mut damaged = der::certificate("relay.example", "A Test CA", &["a.example"]);
            for (at, value) in changes {
                let at = at.index(damaged.len());
                damaged[at] = value;
            }
            if let Some(certificate) = Certificate::parse(&damaged) {
                prop_assert!(certificate.names.len() <= MAX_NAMES);
            }
        }
    }
}
