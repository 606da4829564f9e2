//! Object storage host names (AWS, "Methods for accessing a general purpose bucket"), read from the right because a
//! bucket's name may contain dots.

/// How an S3 host name is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Form {
    Virtual,
    VirtualGlobal,
    VirtualDash,
    DualStack,
    Accelerate,
    Fips,
    Website,
    AccessPoint,
    VpcEndpoint,
    Express,
    Path,
}

impl Form {
    /// Its name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Virtual => "virtual",
            Form::VirtualGlobal => "virtual-global",
            Form::VirtualDash => "virtual-dash",
            Form::DualStack => "dualstack",
            Form::Accelerate => "accelerate",
            Form::Fips => "fips",
            Form::Website => "website",
            Form::AccessPoint => "access-point",
            Form::VpcEndpoint => "vpc-endpoint",
            Form::Express => "express",
            Form::Path => "path",
        }
    }
}

/// An S3 host name taken apart; the parts are as written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S3Host<'a> {
    /// Its form.
    pub form: Form,
    /// The bucket (or access point); `None` where the name does not say it.
    pub bucket: Option<&'a str>,
    /// The region, where the name says one.
    pub region: Option<&'a str>,
}

/// How every S3 host name ends.
pub(crate) const ENDS: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];

/// Takes an S3 host name apart; `None` for every other name. `name` has no trailing dot.
pub fn parse(name: &str) -> Option<S3Host<'_>> {
    let (rest, last) = peel(name);
    let rest = if last.eq_ignore_ascii_case("cn") { rest } else { name };
    let rest = expect(rest, "com")?;
    let rest = expect(rest, "amazonaws")?;
    let (left, last) = peel(rest);
    if is(last, "s3") {
        return Some(host(Form::VirtualGlobal, left, None));
    }
    if is(last, "vpce") {
        return vpc_endpoint(left);
    }
    if is(last, "dualstack") {
        return expect(left, "s3-accelerate").map(|bucket| host(Form::Accelerate, bucket, None));
    }
    if is_region(last) {
        return regional(left, last);
    }
    dashed(left, last)
}

/// Names whose region is a label of its own, before `amazonaws.com`.
fn regional<'a>(left: &'a str, region: &'a str) -> Option<S3Host<'a>> {
    let (outer, last) = peel(left);
    let (bucket, service, dualstack) =
        if is(last, "dualstack") { (peel(outer).0, peel(outer).1, true) } else { (outer, last, false) };
    let form = if is(service, "s3") {
        if dualstack { Form::DualStack } else { Form::Virtual }
    } else if is(service, "s3-fips") {
        Form::Fips
    } else if is(service, "s3-accesspoint") || is(service, "s3-accesspoint-fips") {
        Form::AccessPoint
    } else if is(service, "s3-website") {
        Form::Website
    } else if is(service, "s3-r-w") || is(service, "s3-w") {
        Form::Path
    } else if strip(service, "s3express-").is_some() {
        Form::Express
    } else {
        return None;
    };
    Some(host(form, bucket, Some(region)))
}

/// Names whose last label joins service and region by a dash, and the special endpoints.
fn dashed<'a>(bucket: &'a str, last: &'a str) -> Option<S3Host<'a>> {
    let tail = strip(last, "s3-")?;
    if is(tail, "accelerate") {
        return Some(host(Form::Accelerate, bucket, None));
    }
    if is(tail, "global") {
        return expect(bucket, "accesspoint").map(|alias| host(Form::AccessPoint, alias, None));
    }
    if is(tail, "external-1") {
        return Some(host(Form::VirtualDash, bucket, None));
    }
    if let Some(region) = strip(tail, "website-") {
        return is_region(region).then(|| host(Form::Website, bucket, Some(region)));
    }
    if let Some(region) = strip(tail, "fips-") {
        return is_region(region).then(|| host(Form::Fips, bucket, Some(region)));
    }
    is_region(tail).then(|| host(Form::VirtualDash, bucket, Some(tail)))
}

/// `b.bucket.vpce-ID.s3.REGION` and `ap.accesspoint.vpce-ID.s3.REGION`, before `.vpce.amazonaws.com`.
fn vpc_endpoint(left: &str) -> Option<S3Host<'_>> {
    let (left, region) = peel(left);
    let left = expect(left, "s3")?;
    let (left, id) = peel(left);
    strip(id, "vpce-")?;
    if !is_region(region) {
        return None;
    }
    let (bucket, kind) = peel(left);
    let named = is(kind, "bucket") || is(kind, "accesspoint");
    Some(host(Form::VpcEndpoint, if named { bucket } else { "" }, Some(region)))
}

/// A host of `form`; without a bucket it is path style (an endpoint of its own keeps its form).
fn host<'a>(form: Form, bucket: &'a str, region: Option<&'a str>) -> S3Host<'a> {
    let bucket = (!bucket.is_empty() && form != Form::Path).then_some(bucket);
    let form = if bucket.is_none() && form != Form::VpcEndpoint { Form::Path } else { form };
    S3Host { form, bucket, region }
}

/// `name` without its last label, and that label.
fn peel(name: &str) -> (&str, &str) {
    let dot = memchr::memrchr(b'.', name.as_bytes());
    let parts = dot.and_then(|at| Some((name.get(..at)?, name.get(at.checked_add(1)?..)?)));
    parts.unwrap_or(("", name))
}

/// What is left of `name` if its last label is `label`.
fn expect<'a>(name: &'a str, label: &str) -> Option<&'a str> {
    let (left, last) = peel(name);
    is(last, label).then_some(left)
}

fn is(label: &str, word: &str) -> bool {
    label.eq_ignore_ascii_case(word)
}

/// `label` without `prefix`, which is compared without case.
fn strip<'a>(label: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = label.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// Whether `label` has the shape of a region: `us-west-2`, `us-gov-east-1`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let letters = |p: Option<&str>| p.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphabetic()));
    if !letters(parts.next()) || !letters(parts.next()) {
        return false;
    }
    parts.next_back().is_some_and(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
        && parts.all(|p| letters(Some(p)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Option<(&'static str, Option<&str>, Option<&str>)> {
        parse(name).map(|h| (h.form.name(), h.bucket, h.region))
    }

    #[test]
    fn every_form_is_taken_apart() {
        let west = Some("us-west-2");
        for (name, form, bucket, region) in [
            ("b.s3.us-west-2.amazonaws.com", "virtual", Some("b"), west),
            ("my.bucket.s3.eu-west-1.amazonaws.com", "virtual", Some("my.bucket"), Some("eu-west-1")),
            ("s3.s3.us-west-2.amazonaws.com", "virtual", Some("s3"), west),
            ("B.S3.US-WEST-2.AMAZONAWS.COM", "virtual", Some("B"), Some("US-WEST-2")),
            ("b.s3.amazonaws.com", "virtual-global", Some("b"), None),
            ("b.s3-us-west-2.amazonaws.com", "virtual-dash", Some("b"), west),
            ("b.s3-external-1.amazonaws.com", "virtual-dash", Some("b"), None),
            ("b.s3.dualstack.us-west-2.amazonaws.com", "dualstack", Some("b"), west),
            ("b.s3-accelerate.amazonaws.com", "accelerate", Some("b"), None),
            ("b.s3-accelerate.dualstack.amazonaws.com", "accelerate", Some("b"), None),
            ("b.s3-fips.us-gov-west-1.amazonaws.com", "fips", Some("b"), Some("us-gov-west-1")),
            ("b.s3-fips.dualstack.us-west-2.amazonaws.com", "fips", Some("b"), west),
            ("b.s3-website-us-west-2.amazonaws.com", "website", Some("b"), west),
            ("b.s3-website.us-west-2.amazonaws.com", "website", Some("b"), west),
            ("n-1.s3-accesspoint.us-west-2.amazonaws.com", "access-point", Some("n-1"), west),
            ("n-1.s3-accesspoint.dualstack.us-west-2.amazonaws.com", "access-point", Some("n-1"), west),
            ("a.accesspoint.s3-global.amazonaws.com", "access-point", Some("a"), None),
            ("b.bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com", "vpc-endpoint", Some("b"), west),
            ("vpce-1.s3.us-west-2.vpce.amazonaws.com", "vpc-endpoint", None, west),
            ("b--az--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com", "express", Some("b--az--x-s3"), west),
            ("s3.us-west-2.amazonaws.com", "path", None, west),
            ("s3-us-west-2.amazonaws.com", "path", None, west),
            ("s3.amazonaws.com", "path", None, None),
            ("s3-external-1.amazonaws.com", "path", None, None),
            ("s3.dualstack.us-west-2.amazonaws.com", "path", None, west),
            ("s3-r-w.us-west-2.amazonaws.com", "path", None, west),
            ("b.s3.cn-north-1.amazonaws.com.cn", "virtual", Some("b"), Some("cn-north-1")),
        ] {
            assert_eq!(told(name), Some((form, bucket, region)), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_storage() {
        for name in [
            "",
            "s3.evil.com",
            "s3.amazonaws.com.evil.net",
            "ec2-1-2-3-4.us-west-2.compute.amazonaws.com",
            "x.us-west-2.elb.amazonaws.com",
            "amazonaws.com",
            "us-west-2.amazonaws.com",
            "evils3.us-west-2.amazonaws.com",
            "s3-.amazonaws.com",
            "b.s3-nothing.amazonaws.com",
            "b.notas3.us-west-2.amazonaws.com",
            "b.s3.xamazonaws.com",
            "cn",
            ".....",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(name in "[a-z0-9.\\-é]{0,80}", tail in "(.s3|.dualstack|.vpce|.us-west-2)*(.amazonaws.com(.cn)?)?") {
            let _ = parse(&format!("{name}{tail}"));
        }
    }
}
