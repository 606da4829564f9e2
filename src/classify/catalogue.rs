//! The vendor's published hosts, ports, rates and contradictions: read from TOML, checked, and indexed.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::host::{FirstLook, HostIndex, Reach};
use super::s3;
use super::settings::UserSettings;
use super::toml_error;
use super::words::{Flag, Flags, Sub, Subs};
use crate::event::Class;

pub(crate) const EMBEDDED: &str = include_str!("catalogue.toml");

/// Why a catalogue was refused.
#[derive(Debug, Error, PartialEq)]
pub enum CatalogueError {
    /// Not TOML, or not of this shape; the text names line and field.
    #[error("{0}")]
    Shape(String),
    /// Two entries of one table share an id.
    #[error("{table} `{id}`: the id is given twice")]
    DuplicateId {
        /// The table.
        table: &'static str,
        /// The id.
        id: String,
    },
    /// Two hosts claim the same names.
    #[error("host `{id}`: covers the same names as `{other}`; replace it by repeating that id")]
    DuplicatePattern {
        /// The second host's id.
        id: String,
        /// The first one's.
        other: String,
    },
    /// An entry's field makes no sense.
    #[error("{table} `{id}`: {what}")]
    Entry {
        /// The table.
        table: &'static str,
        /// The entry's id.
        id: String,
        /// What is wrong.
        what: String,
    },
}

/// Which product a requirement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductId {
    /// OpenEye Web Services.
    Ows,
    /// ConteraWS.
    Contera,
}

impl ProductId {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            ProductId::Ows => "ows",
            ProductId::Contera => "contera",
        }
    }
}

/// What a product demands of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Nothing works without it.
    Required,
    /// Good to have.
    Optional,
    /// Required where POS Connect is used.
    ForPos,
    /// Required for Windows and software updates.
    ForUpdates,
    /// Required where ReportStar is used.
    ForReportstar,
    /// The product's document does not list it.
    #[default]
    NotListed,
}

impl Requirement {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Requirement::Required => "required",
            Requirement::Optional => "optional",
            Requirement::ForPos => "required for pos",
            Requirement::ForUpdates => "required for updates",
            Requirement::ForReportstar => "required for reportstar",
            Requirement::NotListed => "unlisted",
        }
    }
}

/// A transport protocol and a range of ports, written `tcp/443` or `udp/1024-65535`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// The IP protocol number.
    pub proto: u8,
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl PortSpec {
    fn parse(text: &str) -> Option<PortSpec> {
        let (proto, range) = text.split_once('/')?;
        let proto = match proto {
            "tcp" => 6,
            "udp" => 17,
            _ => return None,
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(PortSpec { proto, first, last })
    }

    /// Whether it covers this protocol and port.
    pub const fn covers(self, proto: u8, port: u16) -> bool {
        self.proto == proto && self.first <= port && port <= self.last
    }
}

impl std::fmt::Display for PortSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let proto = if self.proto == 6 { "TCP" } else { "UDP" };
        if self.first == self.last {
            write!(f, "{proto} {}", self.first)
        } else {
            write!(f, "{proto} {}-{}", self.first, self.last)
        }
    }
}

impl<'de> Deserialize<'de> for PortSpec {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        PortSpec::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no port: write tcp/443 or udp/1024-65535")))
    }
}

/// A host, or a tree of hosts, that means something.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// Its name here.
    pub id: String,
    /// The pattern as the vendor writes it.
    pub pattern: String,
    /// What the pattern covers.
    #[serde(rename = "match")]
    pub reach: Reach,
    /// The ports documented for it.
    pub ports: Vec<PortSpec>,
    /// What it is for.
    pub purpose: String,
    /// Whether it is a row of the vendor's allow-list.
    #[serde(default = "yes")]
    pub listed: bool,
    /// What OWS demands of it.
    #[serde(default)]
    pub ows: Requirement,
    /// What ConteraWS demands of it.
    #[serde(default)]
    pub contera: Requirement,
    /// What a flow to it is.
    pub class: Class,
    /// More closely.
    #[serde(default, deserialize_with = "sub")]
    pub subclass: Option<Sub>,
    /// What it may be on better evidence.
    #[serde(default)]
    pub may_be: Option<Class>,
    /// What a flow to it is over a transport protocol that `ports` does not have.
    #[serde(default)]
    pub elsewhere: Option<Class>,
    /// Which label names the region, counted from the right.
    #[serde(default)]
    pub region_label: Option<u8>,
    /// An upper bound to the confidence that the name gives.
    #[serde(default)]
    pub confidence: Option<f32>,
    /// Oddities of every flow to it.
    #[serde(default, deserialize_with = "flags")]
    pub flags: Flags,
    /// The entry that it is a misprint of.
    #[serde(default)]
    pub typo_of: Option<String>,
    /// Where the vendor says so.
    pub sources: Vec<String>,
    /// What else to know.
    #[serde(default)]
    pub note: Option<String>,
}

impl HostEntry {
    /// What `product` demands of it.
    pub fn requirement(&self, product: ProductId) -> Requirement {
        match product {
            ProductId::Ows => self.ows,
            ProductId::Contera => self.contera,
        }
    }

    /// Whether the vendor documents this protocol and port for it.
    pub fn documents(&self, proto: u8, port: u16) -> bool {
        self.ports.iter().any(|p| p.covers(proto, port))
    }
}

/// A document that entries cite.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Source {
    pub title: String,
    pub publisher: String,
}

/// What holds for a whole product; rates in bits per second.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub proxy_auth: Vec<String>,
    pub upload_bps: u64,
    pub stream_bps: u64,
    pub frames_per_second: u32,
    pub gop_frames: u32,
    pub sources: Vec<String>,
}

/// Which way connections to a port go, seen from the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum PortDirection {
    In,
    Out,
    Both,
}

/// A port that belongs to no one host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PortEntry {
    pub id: String,
    pub ports: Vec<PortSpec>,
    pub direction: PortDirection,
    pub purpose: String,
    pub products: Vec<ProductId>,
    pub sources: Vec<String>,
}

/// A sender that mail filters must let through.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct EmailEntry {
    pub id: String,
    pub pattern: String,
    pub products: Vec<ProductId>,
    pub sources: Vec<String>,
}

/// Published video rates of a product.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Bandwidth {
    pub product: ProductId,
    pub rows: Vec<BandwidthRow>,
    pub sources: Vec<String>,
}

/// The rates of so many channels, in bits per second.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct BandwidthRow {
    pub channels: u32,
    pub sd_bps: u64,
    #[serde(default)]
    pub hd_bps: Option<u64>,
}

/// A published rate of one view, in bits per second.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RateExample {
    pub what: String,
    pub bps: u64,
    pub sources: Vec<String>,
}

/// Published data usage, in megabytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Usage {
    pub what: String,
    pub megabytes_30_days: f64,
    pub megabytes_day: f64,
    pub sources: Vec<String>,
}

/// The published size of a clip.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Clip {
    pub what: String,
    pub megabytes: f64,
    pub seconds: u32,
    pub sources: Vec<String>,
}

/// Whose buckets are the vendor's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct S3Ownership {
    pub vendor_prefix: String,
    pub sources: Vec<String>,
}

/// An example of a form of S3 host names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct S3FormExample {
    pub id: String,
    pub example: String,
}

/// A public resolver that speaks DNS over TLS or HTTPS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Resolver {
    pub id: String,
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// Where the vendor's documents contradict themselves or each other, and what is made of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Inconsistency {
    pub id: String,
    pub what: String,
    pub decision: String,
    pub sources: Vec<String>,
}

/// The file's shape.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    source: HashMap<String, Source>,
    product: Vec<Product>,
    host: Vec<HostEntry>,
    port: Vec<PortEntry>,
    email: Vec<EmailEntry>,
    bandwidth: Vec<Bandwidth>,
    example: Vec<RateExample>,
    usage: Vec<Usage>,
    clip: Vec<Clip>,
    s3: Option<S3Ownership>,
    s3_form: Vec<S3FormExample>,
    resolver: Vec<Resolver>,
    inconsistency: Vec<Inconsistency>,
    /// Left to [`super::rules`].
    rules: toml::Table,
    /// Left to the diagnosis.
    diagnosis: toml::Table,
}

/// The catalogue, checked and indexed.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Catalogue {
    pub sources: HashMap<String, Source>,
    pub products: Vec<Product>,
    pub hosts: Vec<HostEntry>,
    pub ports: Vec<PortEntry>,
    pub emails: Vec<EmailEntry>,
    pub bandwidths: Vec<Bandwidth>,
    pub examples: Vec<RateExample>,
    pub usages: Vec<Usage>,
    pub clips: Vec<Clip>,
    pub s3: S3Ownership,
    pub s3_forms: Vec<S3FormExample>,
    pub resolvers: Vec<Resolver>,
    pub inconsistencies: Vec<Inconsistency>,
    pub(crate) s3_ends: FirstLook,
    pub(crate) index: HostIndex,
    pub(crate) resolver_names: HostIndex,
    pub(crate) resolver_addresses: hashbrown::HashSet<IpAddr, foldhash::fast::RandomState>,
}

impl Catalogue {
    /// The catalogue that comes with the program.
    pub fn embedded() -> Result<Catalogue, CatalogueError> {
        Catalogue::build(read(EMBEDDED)?)
    }

    /// The embedded catalogue with a user's entries added, or put in the place of those of the same id. What
    /// stands under `[rules]` and `[diagnosis]` in the user's file is handed back.
    pub fn with_user(text: &str) -> Result<(Catalogue, UserSettings), CatalogueError> {
        let user = read(text)?;
        let settings = UserSettings { rules: user.rules, diagnosis: user.diagnosis };
        let mut file = read(EMBEDDED)?;
        file.source.extend(user.source);
        overlay("product", &mut file.product, user.product, |e| e.id.name())?;
        overlay("host", &mut file.host, user.host, |e| &e.id)?;
        overlay("port", &mut file.port, user.port, |e| &e.id)?;
        overlay("email", &mut file.email, user.email, |e| &e.id)?;
        overlay("bandwidth", &mut file.bandwidth, user.bandwidth, |e| e.product.name())?;
        overlay("example", &mut file.example, user.example, |e| &e.what)?;
        overlay("usage", &mut file.usage, user.usage, |e| &e.what)?;
        overlay("clip", &mut file.clip, user.clip, |e| &e.what)?;
        overlay("s3_form", &mut file.s3_form, user.s3_form, |e| &e.id)?;
        overlay("resolver", &mut file.resolver, user.resolver, |e| &e.id)?;
        overlay("inconsistency", &mut file.inconsistency, user.inconsistency, |e| &e.id)?;
        file.s3 = user.s3.or(file.s3);
        Ok((Catalogue::build(file)?, settings))
    }

    /// The host entry of that id.
    pub fn host(&self, id: &str) -> Option<&HostEntry> {
        self.hosts.iter().find(|h| h.id == id)
    }

    fn build(file: File) -> Result<Catalogue, CatalogueError> {
        let mut s3_ends = FirstLook::default();
        s3::ENDS.iter().for_each(|end| s3_ends.note(end));
        let index = HostIndex::of_entries(&file.host)?;
        lint(&file)?;
        let resolver_names = HostIndex::of_names(
            file.resolver.iter().flat_map(|r| r.names.iter().map(|n| (r.id.as_str(), n.as_str()))),
        )?;
        let resolver_addresses = file.resolver.iter().flat_map(|r| r.addresses.iter().copied()).collect();
        Ok(Catalogue {
            sources: file.source,
            products: file.product,
            hosts: file.host,
            ports: file.port,
            emails: file.email,
            bandwidths: file.bandwidth,
            examples: file.example,
            usages: file.usage,
            clips: file.clip,
            s3: file.s3.unwrap_or_default(),
            s3_forms: file.s3_form,
            resolvers: file.resolver,
            inconsistencies: file.inconsistency,
            s3_ends,
            index,
            resolver_names,
            resolver_addresses,
        })
    }
}

fn read(text: &str) -> Result<File, CatalogueError> {
    let file: File = toml::from_str(text).map_err(|e| CatalogueError::Shape(toml_error(text, &e)))?;
    unique("host", file.host.iter().map(|e| e.id.as_str()))?;
    unique("port", file.port.iter().map(|e| e.id.as_str()))?;
    unique("email", file.email.iter().map(|e| e.id.as_str()))?;
    unique("resolver", file.resolver.iter().map(|e| e.id.as_str()))?;
    unique("inconsistency", file.inconsistency.iter().map(|e| e.id.as_str()))?;
    unique("s3_form", file.s3_form.iter().map(|e| e.id.as_str()))?;
    unique("product", file.product.iter().map(|e| e.id.name()))?;
    unique("bandwidth", file.bandwidth.iter().map(|e| e.product.name()))?;
    Ok(file)
}

fn unique<'a>(table: &'static str, ids: impl Iterator<Item = &'a str>) -> Result<(), CatalogueError> {
    let mut seen = std::collections::HashSet::new();
    for id in ids {
        if id.is_empty() {
            return Err(entry_error(table, id, "the id is empty"));
        }
        if !seen.insert(id) {
            return Err(CatalogueError::DuplicateId { table, id: id.to_owned() });
        }
    }
    Ok(())
}

/// Puts `user`'s entries over `base`'s, by id.
fn overlay<T>(
    table: &'static str,
    base: &mut Vec<T>,
    user: Vec<T>,
    id: impl Fn(&T) -> &str,
) -> Result<(), CatalogueError> {
    unique(table, user.iter().map(&id))?;
    for entry in user {
        match base.iter_mut().find(|e| id(e) == id(&entry)) {
            Some(old) => *old = entry,
            None => base.push(entry),
        }
    }
    Ok(())
}

fn entry_error(table: &'static str, id: &str, what: impl Into<String>) -> CatalogueError {
    CatalogueError::Entry { table, id: id.to_owned(), what: what.into() }
}

fn lint(file: &File) -> Result<(), CatalogueError> {
    for host in &file.host {
        let wrong = |what: String| Err(entry_error("host", &host.id, what));
        if host.ports.is_empty() {
            return wrong("`ports` is empty".into());
        }
        if host.confidence.is_some_and(|c| !(0.0..=0.99).contains(&c)) {
            return wrong("`confidence` must be from 0 to 0.99".into());
        }
        if let Some(of) = host.typo_of.as_ref().filter(|of| !file.host.iter().any(|h| h.id == **of)) {
            return wrong(format!("`typo_of` names no host: {of}"));
        }
        cited("host", &host.id, &host.sources, file)?;
    }
    for port in &file.port {
        cited("port", &port.id, &port.sources, file)?;
    }
    for email in &file.email {
        cited("email", &email.id, &email.sources, file)?;
    }
    for inconsistency in &file.inconsistency {
        cited("inconsistency", &inconsistency.id, &inconsistency.sources, file)?;
    }
    for form in &file.s3_form {
        if super::s3::parse(&form.example).is_none_or(|h| h.form.name() != form.id) {
            return Err(entry_error("s3_form", &form.id, format!("`{}` does not have this form", form.example)));
        }
    }
    Ok(())
}

/// Checks that citations read `DOC:LINE` or `DOC:FIRST-LAST` of a known document.
fn cited(table: &'static str, id: &str, sources: &[String], file: &File) -> Result<(), CatalogueError> {
    for citation in sources {
        let (doc, lines) = citation.split_once(':').unwrap_or((citation, ""));
        let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
        let ordered = matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(a), Ok(b)) if 0 < a && a <= b);
        if !ordered || !file.source.contains_key(doc) {
            return Err(entry_error(table, id, format!("`{citation}` cites no line of a known document")));
        }
    }
    Ok(())
}

fn yes() -> bool {
    true
}

fn sub<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Sub>, D::Error> {
    let text = String::deserialize(d)?;
    Sub::parse(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no sub-class")))
}

fn flags<'de, D: Deserializer<'de>>(d: D) -> Result<Flags, D::Error> {
    let mut set = Flags::NONE;
    for text in Vec::<String>::deserialize(d)? {
        let flag = Flag::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no flag")))?;
        set = set.with(flag);
    }
    Ok(set)
}

impl From<Option<Sub>> for Subs {
    fn from(sub: Option<Sub>) -> Subs {
        sub.map_or(Subs::NONE, Subs::of)
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
