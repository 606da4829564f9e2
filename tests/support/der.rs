//! Certificates of our own making: right in form, signed by nobody.

/// A value of DER with its tag and length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let n = u16::try_from(content.len()).unwrap();
    let length = match n {
        0..=127 => vec![n as u8],
        _ => [&[0x82][..], &n.to_be_bytes()].concat(),
    };
    [&[tag][..], &length, content].concat()
}

/// An attribute of a name: its number below 2.5.4, the tag of its value, and the value.
pub type Attribute<'a> = (u8, u8, &'a [u8]);

/// A name of these attributes.
fn name(attributes: &[Attribute<'_>]) -> Vec<u8> {
    let part = |(kind, tag, value): &Attribute<'_>| {
        let pair = [der(6, &[0x55, 4, *kind]), der(*tag, value)].concat();
        der(0x31, &der(0x30, &pair))
    };
    der(0x30, &attributes.iter().flat_map(part).collect::<Vec<u8>>())
}

/// A name that is an organisation and a common name.
fn issuers(common: &str) -> Vec<u8> {
    name(&[(10, 0x0c, b"Issuers"), (3, 0x0c, common.as_bytes())])
}

/// A certificate in DER whose subject has these attributes.
#[allow(dead_code, reason = "each test takes what it needs")]
pub fn certificate_of(attributes: &[Attribute<'_>]) -> Vec<u8> {
    made(name(attributes), issuers("A Test CA"), &[])
}

/// A certificate in DER, for `common` and the host names `alternatives`, given by `issuer`. It holds from
/// 2024-01-02T03:04:05Z to 2051-01-01T00:00:00Z, and its number is 00:AB.
pub fn certificate(common: &str, issuer: &str, alternatives: &[&str]) -> Vec<u8> {
    made(issuers(common), issuers(issuer), alternatives)
}

fn made(subject: Vec<u8>, issuer: Vec<u8>, alternatives: &[&str]) -> Vec<u8> {
    let algorithm = der(0x30, &der(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
    let validity = der(0x30, &[der(0x17, b"240102030405Z"), der(0x18, b"20510101000000Z")].concat());
    let key = der(0x30, &[&algorithm[..], &der(3, &[0, 4, 1, 2])].concat());
    let names: Vec<u8> = alternatives.iter().flat_map(|host| der(0x82, host.as_bytes())).collect();
    let names = der(0x30, &[&names[..], &der(0x87, &[192, 0, 2, 7])].concat());
    let extension = der(0x30, &[der(6, &[0x55, 0x1d, 17]), der(4, &names)].concat());
    let extensions = if alternatives.is_empty() { vec![] } else { der(0xa3, &der(0x30, &extension)) };
    let body =
        [der(0xa0, &der(2, &[2])), der(2, &[0, 0xab]), algorithm.clone(), issuer, validity, subject, key, extensions];
    der(0x30, &[der(0x30, &body.concat()), algorithm, der(3, &[0, 1, 2])].concat())
}
