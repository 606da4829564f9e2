//! ClientHello and ServerHello, read where they lie.
//!
//! RFC 8446 §4.1.2, §4.1.3, §4.2; RFC 6347 §4.2.1 (the DTLS cookie); RFC 6101 Appendix E (SSL 2.0 dress). What stands
//! before the cipher suites must be whole; after that, lengths that overrun are cut to what there is and the hello is
//! marked [`ClientHello::truncated`], so that a name before the damage still counts.

use crate::wire::{Reader, Result};

/// Extension numbers that are read here (registry "TLS ExtensionType Values").
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const ECH: u16 = 0xfe0d;
    pub const ESNI: u16 = 0xffce;
}

/// The random value that makes a ServerHello a HelloRetryRequest: SHA-256 of that word (RFC 8446 §4.1.3).
const HELLO_RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The longest session id (RFC 5246 §7.4.1.2).
const MAX_SESSION_ID: usize = 32;

/// How a hello is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// TLS.
    Tls,
    /// TLS in QUIC.
    Quic,
    /// DTLS.
    Dtls,
    /// SSL 2.0 dress around an offer of SSL 3.0 or later, or of SSL 2.0 itself.
    SslV2,
}

/// What a ClientHello shows of an encrypted one in it. A real one and a decoy look alike from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ech {
    /// There is none.
    None,
    /// The forerunner, encrypted SNI, is there.
    Esni,
    /// The extension of RFC 9849 is there.
    Offered,
    /// It is there with an empty `enc`: the hello goes on with the keys of a first one, which the server has taken up
    /// (RFC 9849 §6.1.5). A decoy is repeated as it was (§6.2.1).
    Continued,
}

/// A ClientHello.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// How it is dressed.
    pub form: Form,
    /// The version field; from TLS 1.3 on it is frozen, see [`ClientHello::supported_versions`].
    pub legacy_version: u16,
    /// The client's random: 32 bytes (16 to 32 in SSL 2.0 dress).
    pub random: &'a [u8],
    /// The session id, up to 32 bytes.
    pub session_id: &'a [u8],
    /// The DTLS cookie; empty elsewhere.
    pub cookie: &'a [u8],
    /// The suites offered, as on the wire; [`ClientHello::cipher_suites`] reads them.
    pub cipher_bytes: &'a [u8],
    /// The lengths inside do not fit: what overran was cut.
    pub truncated: bool,
    /// Its end was not captured: what it does not show may have been there.
    pub cut: bool,
    extensions: &'a [u8],
    /// Found on the way when the extensions were walked first: what is asked for of nearly every hello.
    found: Found<'a>,
}

/// Bodies of extensions that were found on a first walk.
#[derive(Clone, Copy, Debug, Default)]
struct Found<'a> {
    server_name: Option<&'a [u8]>,
    supported_versions: Option<&'a [u8]>,
    ech: Option<&'a [u8]>,
    esni: bool,
    alpn: Option<&'a [u8]>,
    early_data: bool,
    pre_shared_key: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a TLS ClientHello (what follows the four bytes of type and length). `None`: not one.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        Self::read(body, Form::Tls).ok().flatten()
    }

    /// Reads what there is of the body of a TLS ClientHello whose end was not captured. `None`: not one.
    pub fn parse_cut(body: &'a [u8]) -> Option<Self> {
        match Self::read(body, Form::Tls) {
            Ok(hello) => hello.map(|hello| ClientHello { cut: true, ..hello }),
            Err(_) => Self::read_beginning(body).ok().flatten(),
        }
    }

    /// Reads the body of a ClientHello that QUIC carries. `None`: not one.
    pub fn parse_quic(body: &'a [u8]) -> Option<Self> {
        Self::read(body, Form::Quic).ok().flatten()
    }

    /// Reads the body of a DTLS ClientHello, put together from its fragments. `None`: not one.
    pub fn parse_dtls(body: &'a [u8]) -> Option<Self> {
        Self::read(body, Form::Dtls).ok().flatten()
    }

    /// Reads a hello in SSL 2.0 dress: the bytes that the two-byte record length counts. `None`: not one.
    pub fn parse_sslv2(record: &'a [u8]) -> Option<Self> {
        Self::read_sslv2(record).ok().flatten()
    }

    fn read(body: &'a [u8], form: Form) -> Result<Option<Self>> {
        let mut r = Reader::new(body);
        let legacy_version = r.u16()?;
        let random = r.array::<32>()?.as_slice();
        let session_id = r.vec8()?.rest();
        let cookie = if form == Form::Dtls { r.vec8()?.rest() } else { &[] };
        if session_id.len() > MAX_SESSION_ID || !version_fits(legacy_version, form) {
            return Ok(None);
        }
        let (cipher_bytes, ciphers_cut) = lenient(&mut r, Width::Two)?;
        let (_, compression_cut) = lenient(&mut r, Width::One).unwrap_or((&[], true));
        let (extensions, extensions_cut, found) = trailing_extensions(&mut r);
        let truncated = ciphers_cut || compression_cut || extensions_cut || cipher_bytes.len() & 1 == 1;
        Ok(Some(ClientHello {
            form,
            legacy_version,
            random,
            session_id,
            cookie,
            cipher_bytes,
            truncated,
            cut: false,
            extensions,
            found,
        }))
    }

    /// Of a hello that was cut before its cipher suites: that it is one.
    fn read_beginning(body: &'a [u8]) -> Result<Option<Self>> {
        let mut r = Reader::new(body);
        let legacy_version = r.u16()?;
        Ok(version_fits(legacy_version, Form::Tls).then(|| ClientHello {
            form: Form::Tls,
            legacy_version,
            random: r.take_up_to(32),
            session_id: &[],
            cookie: &[],
            cipher_bytes: &[],
            truncated: true,
            cut: true,
            extensions: &[],
            found: Found::default(),
        }))
    }

    fn read_sslv2(record: &'a [u8]) -> Result<Option<Self>> {
        let mut r = Reader::new(record);
        let kind = r.u8()?;
        let legacy_version = r.u16()?;
        let [ciphers, session, challenge] = [r.u16()?, r.u16()?, r.u16()?].map(usize::from);
        let sane = ciphers > 0 && ciphers % 3 == 0 && session <= MAX_SESSION_ID && (16..=32).contains(&challenge);
        if kind != super::CLIENT_HELLO || !version_fits(legacy_version, Form::SslV2) || !sane {
            return Ok(None);
        }
        let cipher_bytes = r.take(ciphers)?;
        let session_id = r.take(session)?;
        let random = r.take(challenge)?;
        Ok(Some(ClientHello {
            form: Form::SslV2,
            legacy_version,
            random,
            session_id,
            cookie: &[],
            cipher_bytes,
            truncated: false,
            cut: false,
            extensions: &[],
            found: Found::default(),
        }))
    }

    /// The suites offered, in order, GREASE included. In SSL 2.0 dress: those that TLS can express.
    pub fn cipher_suites(&self) -> CipherSuites<'a> {
        CipherSuites { rest: Reader::new(self.cipher_bytes), threes: self.form == Form::SslV2 }
    }

    /// The extensions, in order, GREASE included; the last may be cut when the hello is truncated.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions { rest: Reader::new(self.extensions) }
    }

    /// The body of the first extension of this number.
    pub fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        match kind {
            extension::SERVER_NAME => self.found.server_name,
            extension::SUPPORTED_VERSIONS => self.found.supported_versions,
            _ => self.extensions().find(|e| e.kind == kind).map(|e| e.bytes),
        }
    }

    /// The host name asked for, as raw bytes, never empty.
    pub fn sni(&self) -> Option<&'a [u8]> {
        let mut r = Reader::new(self.extension(extension::SERVER_NAME)?);
        let n = r.u16().ok()?;
        let mut list = Reader::new(r.take_up_to(usize::from(n)));
        loop {
            let kind = list.u8().ok()?;
            let name = list.vec16().ok()?.rest();
            if kind == 0 {
                return (!name.is_empty()).then_some(name);
            }
        }
    }

    /// The application protocols offered, in order, as raw bytes.
    pub fn alpn(&self) -> Names<'a> {
        Names { rest: Reader::new(self.extension(extension::ALPN).map_or(&[], |b| list(b, Width::Two))) }
    }

    /// The versions of the supported_versions extension, in order, GREASE included; empty when it is not there.
    pub fn supported_versions(&self) -> U16s<'a> {
        self.numbers(extension::SUPPORTED_VERSIONS, Width::One)
    }

    /// The highest version offered that is not GREASE: of supported_versions, else the version field.
    pub fn highest_version(&self) -> u16 {
        let offered = self.supported_versions().filter(|&v| !super::is_grease(v));
        // DTLS counts downwards.
        let highest = if self.form == Form::Dtls { offered.min() } else { offered.max() };
        highest.unwrap_or(self.legacy_version)
    }

    /// The signature algorithms, in order, GREASE included.
    pub fn signature_algorithms(&self) -> U16s<'a> {
        self.numbers(extension::SIGNATURE_ALGORITHMS, Width::Two)
    }

    /// The groups (once: elliptic curves), in order, GREASE included.
    pub fn groups(&self) -> U16s<'a> {
        self.numbers(extension::SUPPORTED_GROUPS, Width::Two)
    }

    /// The point formats of elliptic curves.
    pub fn ec_point_formats(&self) -> &'a [u8] {
        self.extension(extension::EC_POINT_FORMATS).map_or(&[], |b| list(b, Width::One))
    }

    /// What shows of an encrypted ClientHello, or of its forerunner encrypted SNI.
    pub fn ech(&self) -> Ech {
        match self.found.ech {
            Some(extension) if is_continued(extension) => Ech::Continued,
            Some(_) => Ech::Offered,
            None if self.found.esni => Ech::Esni,
            None => Ech::None,
        }
    }

    /// Whether it offers to speak DNS by its application protocols: over TLS (RFC 7858, registered as `dot`) or over
    /// QUIC (`doq`, RFC 9250 §4.1.1, and its drafts).
    #[inline]
    pub fn offers_dns(&self) -> bool {
        let Some(names) = self.found.alpn else { return false };
        let mut names = Names { rest: Reader::new(list(names, Width::Two)) };
        names.any(|name| name == b"dot" || name == b"doq" || name.starts_with(b"doq-i"))
    }

    /// Whether a pre-shared key is offered (RFC 8446 §4.2.11): a TLS 1.3 resumption, mostly.
    pub const fn has_psk(&self) -> bool {
        self.found.pre_shared_key
    }

    /// Whether data may follow before the server has spoken (RFC 8446 §4.2.10).
    pub const fn has_early_data(&self) -> bool {
        self.found.early_data
    }

    fn numbers(&self, kind: u16, width: Width) -> U16s<'a> {
        U16s { rest: Reader::new(self.extension(kind).map_or(&[], |b| list(b, width))) }
    }
}

/// A ServerHello, or a HelloRetryRequest.
#[derive(Clone, Copy, Debug)]
pub struct ServerHello<'a> {
    /// The version field; see [`ServerHello::version`].
    pub legacy_version: u16,
    /// The server's random.
    pub random: &'a [u8; 32],
    /// The session id: an echo of the client's in a TLS 1.2 resumption, and always in TLS 1.3.
    pub session_id: &'a [u8],
    /// The suite chosen.
    pub cipher: u16,
    /// The lengths inside do not fit: what overran was cut.
    pub truncated: bool,
    extensions: &'a [u8],
    version: u16,
    accepts_psk: bool,
}

impl<'a> ServerHello<'a> {
    /// Reads the body of a TLS or DTLS ServerHello (what follows type and length). `None`: not one.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        Self::read(body).ok().flatten()
    }

    fn read(body: &'a [u8]) -> Result<Option<Self>> {
        let mut r = Reader::new(body);
        let legacy_version = r.u16()?;
        let random = r.array::<32>()?;
        // Drafts of TLS 1.3 before the 22nd had neither session id nor compression, and said so in the version; the
        // standard itself never writes 0x0304 here.
        let early_draft = matches!(legacy_version, 0x0304 | 0x7f00..=0x7f15);
        let session_id = if early_draft { &[] } else { r.vec8()?.rest() };
        let known = early_draft || version_fits(legacy_version, Form::Tls) || version_fits(legacy_version, Form::Dtls);
        if session_id.len() > MAX_SESSION_ID || !known {
            return Ok(None);
        }
        let cipher = r.u16()?;
        if !early_draft {
            r.skip(1)?;
        }
        let (extensions, truncated, found) = trailing_extensions(&mut r);
        let chosen = found.supported_versions.and_then(|bytes| Reader::new(bytes).u16().ok());
        // the extension may stand behind a cut; these suites are no other version's (RFC 8446 §B.4, RFC 9147 §4)
        let implied = match (truncated, cipher, legacy_version) {
            (true, 0x1301..=0x1305, 0xfefd) => 0xfefc,
            (true, 0x1301..=0x1305, 0x0303) => 0x0304,
            _ => legacy_version,
        };
        let (version, accepts_psk) = (chosen.unwrap_or(implied), found.pre_shared_key);
        Ok(Some(ServerHello {
            legacy_version,
            random,
            session_id,
            cipher,
            truncated,
            extensions,
            version,
            accepts_psk,
        }))
    }

    /// The extensions, in order.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions { rest: Reader::new(self.extensions) }
    }

    /// The body of the first extension of this number.
    pub fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        self.extensions().find(|e| e.kind == kind).map(|e| e.bytes)
    }

    /// The version agreed on: that of supported_versions, else the version field.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Whether TLS 1.3, a draft of it or DTLS 1.3 was agreed on: all that follows is encrypted.
    pub const fn is_tls13(&self) -> bool {
        matches!(self.version, 0x0304 | 0x7f00..=0x7fff | 0xfefc)
    }

    /// The application protocol chosen, as raw bytes.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        let names = list(self.extension(extension::ALPN)?, Width::Two);
        Names { rest: Reader::new(names) }.next()
    }

    /// Whether the pre-shared key was accepted: a TLS 1.3 resumption.
    pub const fn has_psk(&self) -> bool {
        self.accepts_psk
    }

    /// Whether it says anything of an encrypted ClientHello: a HelloRetryRequest may, and has refused it otherwise
    /// (RFC 9849 §6.1.4).
    pub fn has_ech(&self) -> bool {
        self.extension(extension::ECH).is_some()
    }

    /// Whether it is a HelloRetryRequest: a second ClientHello follows.
    pub fn is_hello_retry(&self) -> bool {
        *self.random == HELLO_RETRY
    }
}

/// One extension of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its number in the registry.
    pub kind: u16,
    /// Its body.
    pub bytes: &'a [u8],
}

/// The extensions of a hello, in order.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Extension<'a>> {
        let kind = self.rest.u16().ok()?;
        let n = self.rest.u16().ok()?;
        Some(Extension { kind, bytes: self.rest.take_up_to(usize::from(n)) })
    }
}

/// A list of two-byte numbers.
#[derive(Clone, Copy, Debug)]
pub struct U16s<'a> {
    rest: Reader<'a>,
}

impl Iterator for U16s<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        self.rest.u16().ok()
    }
}

/// The cipher suites of a ClientHello, in order.
#[derive(Clone, Copy, Debug)]
pub struct CipherSuites<'a> {
    rest: Reader<'a>,
    /// Three bytes each, as SSL 2.0 had it.
    threes: bool,
}

impl Iterator for CipherSuites<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        if !self.threes {
            return self.rest.u16().ok();
        }
        loop {
            if let Ok(suite) = u16::try_from(self.rest.u24().ok()?) {
                return Some(suite);
            }
        }
    }
}

/// A list of names with a one-byte length each.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest.vec8().ok().map(|name| name.rest())
    }
}

/// How many bytes a length takes.
#[derive(Clone, Copy)]
enum Width {
    One,
    Two,
}

/// The bytes behind a length, or as many as there are and `true`. Fails when the length itself is cut.
fn lenient<'a>(r: &mut Reader<'a>, width: Width) -> Result<(&'a [u8], bool)> {
    let n = match width {
        Width::One => usize::from(r.u8()?),
        Width::Two => usize::from(r.u16()?),
    };
    let bytes = r.take_up_to(n);
    Ok((bytes, bytes.len() < n))
}

/// The list that an extension's body is, without its length.
fn list(body: &[u8], width: Width) -> &[u8] {
    lenient(&mut Reader::new(body), width).map_or(&[], |(bytes, _)| bytes)
}

/// The extensions at the end of a hello, which may be absent, whether they are damaged, and what is among them.
fn trailing_extensions<'a>(r: &mut Reader<'a>) -> (&'a [u8], bool, Found<'a>) {
    if r.is_empty() {
        return (&[], false, Found::default());
    }
    let (bytes, cut) = lenient(r, Width::Two).unwrap_or((&[], true));
    let (clean, found) = survey(bytes);
    (bytes, cut || !clean, found)
}

/// Walks the extensions: whether each ends within them and nothing is left over, and what is among them.
fn survey(extensions: &[u8]) -> (bool, Found<'_>) {
    let mut r = Reader::new(extensions);
    let mut found = Found::default();
    while !r.is_empty() {
        let (Ok(kind), Ok(n)) = (r.u16(), r.u16()) else { return (false, found) };
        let bytes = r.take_up_to(usize::from(n));
        match kind {
            extension::SERVER_NAME => found.server_name = found.server_name.or(Some(bytes)),
            extension::SUPPORTED_VERSIONS => found.supported_versions = found.supported_versions.or(Some(bytes)),
            extension::ALPN => found.alpn = found.alpn.or(Some(bytes)),
            extension::ECH => found.ech = found.ech.or(Some(bytes)),
            extension::ESNI => found.esni = true,
            extension::EARLY_DATA => found.early_data = true,
            extension::PRE_SHARED_KEY => found.pre_shared_key = true,
            _ => {}
        }
        if bytes.len() < usize::from(n) {
            return (false, found);
        }
    }
    (true, found)
}

/// Whether the extension of an encrypted ClientHello, an outer one, has no `enc` (RFC 9849 §5).
fn is_continued(extension: &[u8]) -> bool {
    let mut r = Reader::new(extension);
    // type 0, the suite's two numbers, the configuration's id
    r.u8() == Ok(0) && r.skip(5).is_ok() && r.u16() == Ok(0)
}

/// Whether a hello of this form can carry this version field.
const fn version_fits(version: u16, form: Form) -> bool {
    let [major, minor] = version.to_be_bytes();
    match form {
        Form::Tls | Form::Quic => major == 3,
        Form::Dtls => major == 0xfe || version == 0x0100,
        Form::SslV2 => version == 0x0002 || (major == 3 && minor <= 4),
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
pub(crate) mod tests;
