//! Host names: which catalogue entry covers a name.
//!
//! A name is read as labels from the right, without case and without one trailing dot; a pattern covers its base
//! and a number of labels below it, never a mere ending (`evilu5fgb.com` is not `u5fgb.com`). The deepest base wins,
//! and at one base the narrowest pattern. Refused, so of no entry: names of more than 253 bytes, empty labels or
//! labels of more than 63 bytes (RFC 1035 §2.3.4), and bytes other than letters, digits, `-` and `_` (a NUL or a
//! blank in front of a vendor's name is no vendor's name).

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::ops::RangeInclusive;

use serde::Deserialize;

use super::catalogue::{Catalogue, CatalogueError, HostEntry, ProductId};
use super::s3::{self, S3Host};
use super::words::{Flag, Flags, Sub, Subs};
use crate::event::Class;

/// What a pattern covers, in labels left of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Reach {
    Exact,
    OneLabel,
    TwoLabels,
    ThreeOrMoreLabels,
    Below,
    ApexOrBelow,
}

impl Reach {
    const fn labels(self) -> RangeInclusive<u8> {
        match self {
            Reach::Exact => 0..=0,
            Reach::OneLabel => 1..=1,
            Reach::TwoLabels => 2..=2,
            Reach::ThreeOrMoreLabels => 3..=u8::MAX,
            Reach::Below => 1..=u8::MAX,
            Reach::ApexOrBelow => 0..=u8::MAX,
        }
    }
}

/// The name without one trailing dot; `None` if it is no host name.
pub fn tidy(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    let mut label = 0u8;
    for byte in name.bytes() {
        match byte {
            b'.' if label == 0 => return None,
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label = label.saturating_add(1),
            _ => return None,
        }
    }
    (label > 0).then_some(name)
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by label, which is lower-case.
    children: Vec<(Box<str>, u32)>,
    /// Narrowest first.
    covers: Vec<(RangeInclusive<u8>, u16)>,
}

/// A tree of labels, from the right.
#[derive(Clone, Debug)]
pub struct HostIndex {
    nodes: Vec<Node>,
    first_look: FirstLook,
}

/// A first look at a name, by how it ends: most names are told apart from all that any pattern covers by their last
/// bytes.
#[derive(Clone, Debug)]
pub(crate) struct FirstLook {
    bits: [u64; 64],
    /// A pattern is too short to tell by its end.
    every: bool,
}

impl Default for FirstLook {
    fn default() -> Self {
        FirstLook { bits: [0; 64], every: false }
    }
}

impl FirstLook {
    /// Names that end as `base` does are worth a closer look, in text and on the wire.
    pub(crate) fn note(&mut self, base: &str) {
        let wire = wire(base);
        for end in [base.as_bytes(), &wire].map(End::of) {
            match end {
                Some(End { at, bit }) => self.bits.iter_mut().skip(at).take(1).for_each(|word| *word |= bit),
                None => self.every = true,
            }
        }
    }

    /// Whether any pattern may cover a name that ends so.
    #[inline(always)]
    pub(crate) fn may_cover(&self, end: Option<End>) -> bool {
        self.every || end.is_some_and(|end| self.bits.get(end.at).is_some_and(|word| word & end.bit != 0))
    }
}

/// A name as DNS spells it: a byte of length before each label (RFC 1035 §3.1), without the root's at the end.
fn wire(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap_or(0)], label.as_bytes()].concat();
    name.split('.').flat_map(label).collect()
}

/// How a name ends, as a place among a [`FirstLook`]'s bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    at: usize,
    bit: u64,
}

impl End {
    /// From the last eight bytes of a name, whatever their case; `None` of a shorter name.
    #[inline(always)]
    pub(crate) fn of(name: &[u8]) -> Option<End> {
        // setting bit 5 makes letters lower-case and leaves digits, dots and hyphens as they are
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let end = u64::from_le_bytes(*name.last_chunk::<8>()?) | LOWER;
        let place = end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        Some(End { at: (place >> 6) as usize, bit: 1 << (place & 63) })
    }
}

impl HostIndex {
    /// The index of catalogue entries; the numbers it finds are their places in `entries`.
    pub(crate) fn of_entries(entries: &[HostEntry]) -> Result<HostIndex, CatalogueError> {
        let mut index = HostIndex { nodes: vec![Node::default()], first_look: FirstLook::default() };
        for (i, entry) in entries.iter().enumerate() {
            let wrong = |what: String| CatalogueError::Entry { table: "host", id: entry.id.clone(), what };
            let base = entry.pattern.trim_start_matches("*.");
            let base = tidy(base).ok_or_else(|| wrong(format!("the pattern `{}` is no host name", entry.pattern)))?;
            if entry.reach == Reach::Exact && base.len() != entry.pattern.trim_end_matches('.').len() {
                return Err(wrong(format!("the pattern `{}` has an asterisk, so it is not exact", entry.pattern)));
            }
            let place = u16::try_from(i).map_err(|_| wrong("too many hosts".into()))?;
            if let Some(other) = index.insert(base, entry.reach.labels(), place) {
                let other = entries.get(usize::from(other)).map_or_else(String::new, |e| e.id.clone());
                return Err(CatalogueError::DuplicatePattern { id: entry.id.clone(), other });
            }
        }
        Ok(index)
    }

    /// The index of plain names and everything below them; the pairs are an id for errors and the name.
    pub(crate) fn of_names<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> Result<HostIndex, CatalogueError> {
        let mut index = HostIndex { nodes: vec![Node::default()], first_look: FirstLook::default() };
        for (id, name) in names {
            let base = tidy(name).ok_or_else(|| CatalogueError::Entry {
                table: "resolver",
                id: id.to_owned(),
                what: format!("`{name}` is no host name"),
            })?;
            index.insert(base, Reach::ApexOrBelow.labels(), 0);
        }
        Ok(index)
    }

    /// Adds a base; gives the entry that already covers exactly that.
    fn insert(&mut self, base: &str, labels: RangeInclusive<u8>, entry: u16) -> Option<u16> {
        self.first_look.note(base);
        let mut at = 0usize;
        for label in base.rsplit('.') {
            let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            let node = self.nodes.get_mut(at)?;
            at = match node.children.binary_search_by(|(have, _)| compare(have, label)) {
                Ok(i) => node.children.get(i).map_or(0, |c| c.1 as usize),
                Err(i) => {
                    node.children.insert(i, (label.to_ascii_lowercase().into(), next));
                    self.nodes.push(Node::default());
                    next as usize
                }
            };
        }
        let covers = &mut self.nodes.get_mut(at)?.covers;
        if let Some((_, other)) = covers.iter().find(|(have, _)| *have == labels) {
            return Some(*other);
        }
        covers.push((labels, entry));
        covers.sort_by_key(|(r, _)| r.end().saturating_sub(*r.start()));
        None
    }

    /// The entry that covers `name`, which is tidy.
    pub(crate) fn find(&self, name: &str) -> Option<u16> {
        let labels = || name.bytes().filter(|b| *b == b'.').count().saturating_add(1);
        let (mut node, mut found) = (self.nodes.first()?, None);
        for (depth, label) in name.rsplit('.').enumerate() {
            let Ok(i) = node.children.binary_search_by(|(have, _)| compare(have, label)) else { break };
            node = self.nodes.get(node.children.get(i)?.1 as usize)?;
            if node.covers.is_empty() {
                continue;
            }
            let below = labels().saturating_sub(depth).saturating_sub(1).min(usize::from(u8::MAX)) as u8;
            if let Some((_, entry)) = node.covers.iter().find(|(labels, _)| labels.contains(&below)) {
                found = Some(*entry);
            }
        }
        found
    }
}

/// Orders a lower-case label against one of any case: by length first, which is cheap.
fn compare(have: &str, label: &str) -> Ordering {
    let by_text = || have.bytes().cmp(label.bytes().map(|b| b.to_ascii_lowercase()));
    have.len().cmp(&label.len()).then_with(by_text)
}

/// A part of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u8,
    len: u8,
}

impl Span {
    /// Where `part`, a slice of `name`, lies in it.
    fn of(name: &str, part: &str) -> Option<Span> {
        let start = (part.as_ptr() as usize).checked_sub(name.as_ptr() as usize)?;
        Some(Span { start: u8::try_from(start).ok()?, len: u8::try_from(part.len()).ok()? })
    }

    fn get(self, name: &str) -> Option<&str> {
        let start = usize::from(self.start);
        name.get(start..start.saturating_add(usize::from(self.len)))
    }
}

/// What a name alone says, whatever the port. Small and `Copy`: made to be remembered per interned name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostMatch {
    /// What a flow to it is; [`Class::Unknown`] for a name of no entry.
    pub class: Class,
    /// More closely.
    pub subs: Subs,
    /// Oddities of the name.
    pub flags: Flags,
    /// An upper bound to the confidence that this name gives.
    pub cap: f32,
    /// Whether it is a public resolver that speaks encrypted DNS.
    pub resolver: bool,
    entry: Option<u16>,
    region: Option<Span>,
    bucket: Option<Span>,
}

impl HostMatch {
    /// What an unlisted name says.
    pub const NONE: HostMatch = HostMatch {
        class: Class::Unknown,
        subs: Subs::NONE,
        flags: Flags::NONE,
        cap: 0.99,
        resolver: false,
        entry: None,
        region: None,
        bucket: None,
    };

    /// The catalogue entry that covers the name.
    pub fn entry(self, catalogue: &Catalogue) -> Option<&HostEntry> {
        catalogue.hosts.get(usize::from(self.entry?))
    }

    /// The region in `name`, the name that was looked up, in lower case.
    pub fn region(self, name: &str) -> Option<Cow<'_, str>> {
        self.region.and_then(|s| s.get(name)).map(lower)
    }

    /// The bucket in `name`, in lower case.
    pub fn bucket(self, name: &str) -> Option<Cow<'_, str>> {
        self.bucket.and_then(|s| s.get(name)).map(lower)
    }

    /// What the name says of a flow to this protocol and port: the entry's other class where the transport is none of
    /// its own, and a flag where the port is not documented.
    pub fn at(self, proto: u8, port: u16, catalogue: &Catalogue) -> HostMatch {
        let mut told = self;
        let documented = match self.entry(catalogue) {
            Some(entry) => {
                if let Some(class) = entry.elsewhere.filter(|_| entry.ports.iter().all(|p| p.proto != proto)) {
                    told.class = class;
                    told.subs = Subs::NONE;
                }
                entry.documents(proto, port)
            }
            None => self.class != Class::S3 || (proto == 6 && (port == 443 || port == 80)),
        };
        told.flags = told.flags.with_if(!documented, Flag::UnusualPort);
        told
    }
}

/// Lower-case text, borrowed where it already is.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

impl HostEntry {
    /// How closely this entry's pattern covers a name, if it does: the longer its base, and the narrower at one base,
    /// the closer.
    pub fn covers(&self, name: &str) -> Option<(usize, Reverse<u8>)> {
        let (name, base) = (tidy(name)?, tidy(self.pattern.trim_start_matches("*."))?);
        let (rest, end) = name.split_at_checked(name.len().checked_sub(base.len())?)?;
        let below = match rest.strip_suffix('.') {
            Some(rest) => u8::try_from(rest.split('.').count()).unwrap_or(u8::MAX),
            None if rest.is_empty() => 0,
            None => return None,
        };
        let labels = self.reach.labels();
        let width = labels.end().saturating_sub(*labels.start());
        (end.eq_ignore_ascii_case(base) && labels.contains(&below)).then_some((base.len(), Reverse(width)))
    }
}

impl Catalogue {
    /// What `name` says. It may be anything: what is no host name is of no entry.
    pub fn look_up(&self, name: &str) -> HostMatch {
        let end = End::of(name.strip_suffix('.').unwrap_or(name).as_bytes());
        let listed = self.index.first_look.may_cover(end);
        let storage = self.s3_ends.may_cover(end);
        let resolver = self.resolver_names.first_look.may_cover(end);
        if !listed && !storage && !resolver {
            return HostMatch::NONE;
        }
        let Some(name) = tidy(name) else { return HostMatch::NONE };
        let found = if listed { self.index.find(name) } else { None };
        let mut told = HostMatch { entry: found, ..HostMatch::NONE };
        if let Some(entry) = told.entry(self) {
            told.class = entry.class;
            told.subs = entry.subclass.into();
            told.flags = entry.flags;
            told.cap = entry.confidence.unwrap_or(HostMatch::NONE.cap);
            let label = entry.region_label.map(|n| usize::from(n).saturating_sub(1));
            told.region = label.and_then(|n| name.rsplit('.').nth(n)).and_then(|label| Span::of(name, label));
        }
        if found.is_none() || told.class == Class::S3 {
            if let Some(host) = if storage { s3::parse(name) } else { None } {
                self.storage(name, host, &mut told);
            } else if found.is_none() && resolver && self.resolver_names.find(name).is_some() {
                told.class = Class::Dns;
                told.resolver = true;
            }
        }
        told
    }

    fn storage(&self, name: &str, host: S3Host<'_>, told: &mut HostMatch) {
        let prefix = self.s3.vendor_prefix.as_str();
        let vendor = |bucket: &str| {
            !prefix.is_empty() && bucket.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix))
        };
        told.class = Class::S3;
        told.region = host.region.and_then(|r| Span::of(name, r));
        told.bucket = host.bucket.and_then(|b| Span::of(name, b));
        if told.entry.is_none() {
            told.subs = Subs::of(match host.bucket {
                Some(bucket) if vendor(bucket) => Sub::Vendor,
                Some(_) => Sub::Other,
                None => Sub::UnknownBucket,
            });
        }
    }

    /// The class that `told` has under `product`: an entry may be another thing where the product's document says so.
    pub fn class_for(&self, told: HostMatch, product: Option<ProductId>) -> Option<Class> {
        let entry = told.entry(self)?;
        let demanded = entry.requirement(product?) != super::catalogue::Requirement::NotListed;
        entry.may_be.filter(|_| demanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_covers_what_the_index_gives_it() {
        let catalogue = Catalogue::embedded().unwrap();
        for (name, ..) in GOLDEN {
            let entry = catalogue.look_up(name).entry(&catalogue);
            let covers = |entry: &&HostEntry| entry.covers(name);
            let closest = catalogue.hosts.iter().filter(|e| e.covers(name).is_some()).max_by_key(covers);
            assert_eq!(closest.map(|e| &e.id), entry.map(|e| &e.id), "{name}");
        }
        let covers = |id: &str, name: &str| catalogue.host(id).unwrap().covers(name).is_some();
        assert!(covers("relay", "A.us-west.u5fgb.com.") && !covers("relay", "stun.u5fgb.com"));
        assert!(covers("gp4f", "gp4f.com") && covers("gp4f", "a.b.gp4f.com") && !covers("gp4f", "evilgp4f.com"));
        assert!(!covers("gp4f", ".gp4f.com") && !covers("gp4f", "f.com"));
    }

    /// Host, protocol, port; class, sub-classes, region, bucket, flags.
    type Row = (&'static str, u8, u16, Class, &'static str, &'static str, &'static str, &'static str);

    #[rustfmt::skip]
    const GOLDEN: &[Row] = &[
        ("a1b2.us-west.u5fgb.com", 6, 443, Class::Relay, "", "us-west", "", ""),
        ("a1b2.us-west.u5fgb.com", 6, 80, Class::Relay, "", "us-west", "", ""),
        ("A1B2.US-West.u5fgb.com.", 6, 443, Class::Relay, "", "us-west", "", ""),
        ("a1b2.us-west.u5fgb.com", 6, 8443, Class::Relay, "", "us-west", "", "unusual-port"),
        ("q.us-east.u5fgb.com", 6, 443, Class::Relay, "", "us-east", "", ""),
        ("x.eu-central.u5fgb.com", 6, 443, Class::Relay, "", "eu-central", "", ""),
        ("foo.u5fgb.com", 6, 443, Class::VendorOther, "", "", "", "one-label"),
        ("a.b.us-east.u5fgb.com", 6, 443, Class::Relay, "", "us-east", "", "three-labels"),
        ("a.b.eu.u5fgb.com", 6, 443, Class::Relay, "", "eu", "", "three-labels"),
        ("u5fgb.com", 6, 443, Class::VendorOther, "", "", "", ""),
        ("LSF.U5FGB.COM.", 6, 443, Class::LsfControl, "", "", "", ""),
        ("stun.u5fgb.com", 17, 3478, Class::Stun, "vendor", "", "", ""),
        ("stun.u5fgb.com", 6, 443, Class::VendorOther, "", "", "", "unusual-port"),
        ("evilu5fgb.com", 6, 443, Class::Unknown, "", "", "", ""),
        ("a.b.evilu5fgb.com", 6, 443, Class::Unknown, "", "", "", ""),
        ("u5fgb.com.evil.net", 6, 443, Class::Unknown, "", "", "", ""),
        ("restapi.gp4f.com", 6, 443, Class::Api, "", "", "", ""),
        ("activateapi.gp4f.com", 6, 443, Class::Licensing, "", "", "", ""),
        ("oe-cpos1.gp4f.com", 6, 443, Class::Pos, "", "", "", ""),
        ("new.gp4f.com", 6, 443, Class::VendorOther, "", "", "", ""),
        ("activateapi.gp4.com", 6, 443, Class::Unknown, "", "", "", "typo-host"),
        ("ows.openeye.net", 6, 443, Class::Login, "", "", "", ""),
        ("www.openeye.net", 6, 443, Class::VendorOther, "", "", "", ""),
        ("arecontvision-ws.com", 6, 443, Class::Login, "", "", "", ""),
        ("www.arecontvision-ws.com", 6, 443, Class::Login, "", "", "", ""),
        ("x.arecontvision.com", 6, 443, Class::VendorOther, "", "", "", ""),
        ("hw.mymanagedvideo.com", 6, 443, Class::Reportstar, "", "", "", ""),
        ("a.reportstar.com", 6, 443, Class::Reportstar, "", "", "", ""),
        ("assist.dvrsupportcenter.com", 6, 443, Class::RemoteAssist, "", "", "", ""),
        ("serverupdates.net", 6, 8531, Class::Update, "wsus", "", "", ""),
        ("serverupdates.net", 6, 443, Class::Update, "wsus", "", "", "unusual-port"),
        ("ctldl.windowsupdate.com", 6, 80, Class::Update, "ctl", "", "", ""),
        ("1.cctv.pool.ntp.org", 17, 123, Class::Ntp, "vendor-pool", "", "", ""),
        ("2.cctv.pool.ntp.org", 17, 123, Class::Ntp, "other", "", "", ""),
        ("oe-prod-media.s3.us-west-2.amazonaws.com", 6, 443, Class::S3, "vendor", "us-west-2", "oe-prod-media", ""),
        ("oe-prod-files.s3.amazonaws.com", 6, 443, Class::S3, "vendor", "", "oe-prod-files", ""),
        ("oe-prod-x.s3.dualstack.us-west-2.amazonaws.com", 6, 443, Class::S3, "vendor", "us-west-2", "oe-prod-x", ""),
        ("OE-PROD-x.s3-accelerate.amazonaws.com", 6, 443, Class::S3, "vendor", "", "oe-prod-x", ""),
        ("s3.us-west-2.amazonaws.com", 6, 443, Class::S3, "unknown-bucket", "us-west-2", "", ""),
        ("my.bucket.s3.eu-west-1.amazonaws.com", 6, 443, Class::S3, "other", "eu-west-1", "my.bucket", ""),
        ("s3.evil.com", 6, 443, Class::Unknown, "", "", "", ""),
        ("s3.amazonaws.com.evil.net", 6, 443, Class::Unknown, "", "", "", ""),
        ("ec2-1-2-3-4.us-west-2.compute.amazonaws.com", 6, 443, Class::Unknown, "", "", "", ""),
        ("dns.google", 6, 443, Class::Dns, "", "", "", ""),
        ("192.168.1.50", 6, 443, Class::Unknown, "", "", "", ""),
    ];

    #[test]
    fn golden_hosts() {
        let catalogue = Catalogue::embedded().unwrap();
        for &(name, proto, port, class, subs, region, bucket, flags) in GOLDEN {
            let told = catalogue.look_up(name).at(proto, port, &catalogue);
            assert_eq!(told.class, class, "{name}:{port}");
            assert_eq!(told.subs.names().collect::<Vec<_>>().join(" "), subs, "{name}:{port}");
            assert_eq!(told.region(name).unwrap_or_default(), region, "{name}");
            assert_eq!(told.bucket(name).unwrap_or_default(), bucket, "{name}");
            assert_eq!(told.flags.names().collect::<Vec<_>>().join(" "), flags, "{name}:{port}");
        }
        assert_eq!(catalogue.look_up("a.b.us-east.u5fgb.com").cap, 0.80);
        assert_eq!(
            catalogue.class_for(catalogue.look_up("foo.u5fgb.com"), Some(ProductId::Contera)),
            Some(Class::Relay)
        );
        assert_eq!(catalogue.class_for(catalogue.look_up("foo.u5fgb.com"), Some(ProductId::Ows)), None);
    }

    #[test]
    fn what_is_no_host_name_is_of_no_entry() {
        let catalogue = Catalogue::embedded().unwrap();
        let long_label = format!("{}.us-west.u5fgb.com", "a".repeat(64));
        let long_name = format!("{}us-west.u5fgb.com", "a.".repeat(130));
        for name in [
            "",
            ".",
            "..",
            "a..u5fgb.com",
            ".u5fgb.com",
            "a.b.u5fgb.com..",
            "evil.com\0.us.u5fgb.com",
            " a.b.u5fgb.com",
            "*.*.u5fgb.com",
            "ä.us-west.u5fgb.com",
            "a.us-west.u5fgb.com:443",
            "restapi.gp4f.com/",
            &long_label,
            &long_name,
        ] {
            assert_eq!(catalogue.look_up(name), HostMatch::NONE, "{name:?}");
        }
        let full = format!("{}.{}.us-west.u5fgb.com", "a".repeat(63), "b".repeat(63));
        assert_eq!(catalogue.look_up(&full).class, Class::Relay);
    }

    proptest::proptest! {
        #[test]
        fn case_and_one_dot_do_not_matter(name in "[a-zA-Z0-9_.-]{0,40}", tail in "(\\.u5fgb\\.com|\\.gp4f\\.com|\\.amazonaws\\.com)?") {
            let catalogue = Catalogue::embedded().unwrap();
            let name = format!("{name}{tail}");
            let plain = catalogue.look_up(name.strip_suffix('.').unwrap_or(&name));
            proptest::prop_assert_eq!(plain, catalogue.look_up(&name.to_ascii_uppercase()));
        }

        #[test]
        fn any_text_is_taken(name in ".{0,300}") {
            let catalogue = Catalogue::embedded().unwrap();
            let told = catalogue.look_up(&name).at(6, 443, &catalogue);
            let _ = (told.region(&name), told.bucket(&name));
        }
    }
}
