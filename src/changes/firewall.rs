//! The allow-list as a firewall wants it pasted.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Texts;
use super::templates::{self, Parts};
use crate::classify::catalogue::{Catalogue, EmailEntry, HostEntry, PortSpec, ProductId, Requirement};
use crate::classify::host::{Reach, tidy};
use crate::decode::proto;

/// A firewall, proxy or filter, by its texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// Which syntax it is.
    pub id: Dialect,
    /// What it is called.
    pub name: String,
    /// Where the snippet goes.
    pub paste: String,
    /// The traps of its syntax.
    pub notes: Vec<String>,
    /// Where its maker says so.
    pub sources: Vec<String>,
    /// What the syntax was held against.
    pub checked: String,
}

/// A syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Dialect {
    Plain,
    #[serde(rename = "paloalto")]
    PaloAlto,
    Fortigate,
    Squid,
    CiscoWsa,
    #[serde(rename = "pfsense")]
    PfSense,
}

impl Dialect {
    /// Whether a name with a wildcard stands for all names that it covers; else each must be spelled.
    const fn knows_wildcards(self) -> bool {
        !matches!(self, Dialect::Plain | Dialect::PfSense)
    }
}

/// What must be allowed.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The entries of the catalogue.
    pub hosts: Vec<&'a HostEntry>,
    /// Senders that mail filters must let through.
    pub emails: Vec<&'a EmailEntry>,
    /// Whose; both products' where not given.
    pub product: Option<ProductId>,
}

impl<'a> Wanted<'a> {
    /// All that a product needs, or both do.
    pub fn all(catalogue: &'a Catalogue, product: Option<ProductId>) -> Wanted<'a> {
        let lists = |entry: &&HostEntry| match product {
            Some(product) => entry.requirement(product) != Requirement::NotListed,
            None => true,
        };
        let hosts = catalogue.hosts.iter().filter(|entry| entry.listed).filter(lists).collect();
        let sends = |email: &&EmailEntry| product.is_none_or(|product| email.products.contains(&product));
        Wanted { hosts, emails: catalogue.emails.iter().filter(sends).collect(), product }
    }

    /// These hosts, and no mail.
    pub fn only(hosts: Vec<&'a HostEntry>, product: Option<ProductId>) -> Wanted<'a> {
        Wanted { hosts, emails: Vec::new(), product }
    }
}

/// A name to allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// In small letters.
    pub base: String,
    /// Everything below it too.
    pub tree: bool,
}

impl Name {
    /// `None` where the pattern is no host name, as in a user's file it may not be.
    fn of(entry: &HostEntry) -> Option<Name> {
        let base = tidy(entry.pattern.trim_start_matches("*."))?;
        Some(Name { base: base.to_ascii_lowercase(), tree: entry.reach != Reach::Exact })
    }

    /// Whether it lets all through that the other would.
    fn covers(&self, other: &Name) -> bool {
        let below = || other.base.strip_suffix(&self.base).is_some_and(|rest| rest.ends_with('.'));
        self.tree && (self.base == other.base || below())
    }

    /// As a part of an object's name.
    pub fn slug(&self) -> String {
        self.base.replace('.', "-")
    }
}

/// A row that is spelled out: names with the same ports and the same demand.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub name: Name,
    pub ports: Vec<PortSpec>,
    pub required: bool,
    pub demand: String,
    pub purpose: String,
}

impl Row {
    /// Whether it is HTTP or HTTPS, which proxies and URL categories handle.
    pub fn is_web(&self) -> bool {
        self.ports
            .iter()
            .all(|port| port.proto == proto::TCP && matches!((port.first, port.last), (80, 80) | (443, 443)))
    }
}

/// A name and all below it, as people write it: `*.u5fgb.com` and `u5fgb.com`; else the name alone.
pub fn names(entry: &HostEntry) -> Vec<String> {
    match Name::of(entry) {
        Some(Name { base, tree: true }) => vec![format!("*.{base}"), base],
        Some(Name { base, tree: false }) => vec![base],
        None => vec![entry.pattern.clone()],
    }
}

/// The ports of an entry: `TCP 443`.
pub fn ports(entry: &HostEntry) -> Vec<String> {
    entry.ports.iter().map(ToString::to_string).collect()
}

/// What must be allowed, as the firewall wants it; nothing where nothing is wanted.
pub fn snippet(dialect: Dialect, wanted: &Wanted<'_>) -> String {
    let mut parts = parts(wanted);
    if dialect.knows_wildcards() {
        leave_out_covered(&mut parts.rows);
    }
    if parts.rows.is_empty() && parts.emails.is_empty() {
        return String::new();
    }
    templates::render(dialect, &parts)
}

/// The snippet with all that is to be known about it, as `catalog` prints it. Lines of text begin with `#`.
pub fn sheet(firewall: &Firewall, wanted: &Wanted<'_>, texts: &Texts) -> String {
    let mut out = String::new();
    let mut say = |text: &str| {
        let mut lines = String::new();
        crate::classify::catalog::wrap(&mut lines, "# ", text);
        out.push_str(&lines);
    };
    say(&format!("Allow-list for {}. {}", firewall.name, firewall.paste));
    for note in &firewall.notes {
        say(&format!("- {note}"));
    }
    for rule in &texts.rules {
        say(&format!("- {} [{}]", rule.text, rule.sources.join(", ")));
    }
    for method in texts.methods.iter().filter(|method| method.concerns(wanted.product)) {
        let note = if method.note.is_empty() { String::new() } else { format!(" {}", method.note) };
        say(&format!(
            "- {}: {} {} to {}, {}; clients: {}.{note} [{}]",
            method.name,
            method.ports_text(),
            method.from,
            method.to,
            method.direction.text(),
            method.clients,
            method.sources.join(", ")
        ));
    }
    if !wanted.emails.is_empty() {
        let senders: Vec<&str> = wanted.emails.iter().map(|email| email.pattern.as_str()).collect();
        say(&format!("- Mail filters must let these senders through: {}.", senders.join(", ")));
    }
    if !firewall.sources.is_empty() {
        say(&format!("Syntax: {}. Checked: {}.", firewall.sources.join(" "), firewall.checked));
    }
    out.push('\n');
    out.push_str(&snippet(firewall.id, wanted));
    out
}

/// What is wanted, put together.
fn parts(wanted: &Wanted<'_>) -> Parts {
    let mut rows: Vec<Row> = Vec::new();
    for entry in &wanted.hosts {
        let Some(name) = Name::of(entry) else { continue };
        let demand = match wanted.product {
            Some(product) => entry.requirement(product),
            None if entry.ows == Requirement::NotListed => entry.contera,
            None if entry.contera == Requirement::Required => Requirement::Required,
            None => entry.ows,
        };
        let required = demand != Requirement::Optional;
        let (ports, purpose) = (entry.ports.clone(), entry.purpose.clone());
        match rows.iter_mut().find(|row| row.name == name && row.ports == ports) {
            Some(row) => row.required |= required,
            None => rows.push(Row { name, ports, required, demand: demand.text().to_owned(), purpose }),
        }
    }
    let emails: BTreeSet<String> = wanted.emails.iter().map(|email| email.pattern.clone()).collect();
    Parts { rows, emails: emails.into_iter().collect() }
}

/// Leaves out names that another covers, where both are asked for alike.
fn leave_out_covered(rows: &mut Vec<Row>) {
    let all = rows.clone();
    rows.retain(|row| {
        !all.iter().any(|other| {
            let ports = row.ports.iter().all(|port| other.ports.contains(port));
            let wider = other.name != row.name && other.name.covers(&row.name);
            wider && ports && (other.required || !row.required)
        })
    });
}
