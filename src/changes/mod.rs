//! What the people who own firewall, proxy, resolver and line are asked to change: from what was found and from the
//! vendor's allow-list, in their own words.
//!
//! [`requested`] gives the changes that findings ask for, one a cause and place; [`firewall`] spells what must be
//! allowed as a product wants it pasted. Texts are data: `changes.toml`, `firewalls.toml` and the templates of the
//! snippets.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod firewall;
pub mod matrix;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::classify::catalogue::{Catalogue, HostEntry};
use crate::diagnose::Diagnosis;
use crate::event::{AllowRow, AllowState, FindingRecord, Kind, Manner, Mode};
use firewall::Firewall;
use matrix::Method;

const CHANGES: &str = include_str!("changes.toml");
const FIREWALLS: &str = include_str!("firewalls.toml");

/// Why the texts were refused; never those that come with the program, as a test makes sure.
#[derive(Debug, Error)]
#[error("the texts of changes: {0}")]
pub struct TextsError(#[from] toml::de::Error);

/// All texts about changes.
#[derive(Debug)]
pub struct Texts {
    /// What to ask for, by kind of finding.
    asks: HashMap<Kind, Ask>,
    /// What every filter in the way must let through, whatever its make.
    pub rules: Vec<Rule>,
    /// Which ports a way to view needs, by client.
    pub methods: Vec<Method>,
    /// The firewalls that a list can be spelled for.
    pub firewalls: Vec<Firewall>,
}

/// A rule that holds for every filter.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What to do, and why.
    pub text: String,
    /// Where the vendor says so.
    pub sources: Vec<String>,
}

/// What a kind of finding asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    kinds: Vec<Kind>,
    what: String,
    r#where: String,
    direction: Direction,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    about: About,
    /// Whether a firewall's list of names does it.
    #[serde(default = "yes")]
    by_list: bool,
    #[serde(default)]
    modes: HashMap<Mode, Narrower>,
    #[serde(default)]
    manners: HashMap<Manner, Narrower>,
}

/// The same, where a mode or a manner says more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Narrower {
    what: Option<String>,
    r#where: Option<String>,
    direction: Option<Direction>,
    ports: Option<Vec<String>>,
    about: Option<About>,
    by_list: Option<bool>,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum About {
    /// The names that the finding concerns, or its host.
    #[default]
    Names,
    /// The names of the list's entries that cover the finding's host, whatever became of them.
    Entry,
    /// All names that the vendor requires.
    List,
    /// The address that was talked to.
    Server,
    /// Nothing that has a name or a port.
    Nothing,
    /// Another finding asks for the same already.
    Told,
}

const fn yes() -> bool {
    true
}

impl Ask {
    /// What a finding asks for, its mode and manner minded.
    fn of(&self, finding: &FindingRecord) -> Ask {
        let mut ask = self.clone();
        if let Some(own) = finding.narrowed(&self.manners, &self.modes).cloned() {
            ask.what = own.what.unwrap_or(ask.what);
            ask.r#where = own.r#where.unwrap_or(ask.r#where);
            ask.direction = own.direction.unwrap_or(ask.direction);
            ask.ports = own.ports.unwrap_or(ask.ports);
            ask.about = own.about.unwrap_or(ask.about);
            ask.by_list = own.by_list.unwrap_or(ask.by_list);
        }
        ask
    }
}

/// Which way connections go, seen from the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the site to the internet.
    Out,
    /// From the internet to the site.
    In,
    /// Both ways.
    Both,
    /// Within the site.
    Local,
}

impl Direction {
    /// In a word.
    pub const fn text(self) -> &'static str {
        match self {
            Direction::Out => "out",
            Direction::In => "in",
            Direction::Both => "both ways",
            Direction::Local => "within the site",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesFile {
    change: Vec<Ask>,
    rule: Vec<Rule>,
    method: Vec<Method>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirewallsFile {
    firewall: Vec<Firewall>,
}

impl Texts {
    /// The texts that come with the program.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn embedded() -> Result<Texts, TextsError> {
        let ChangesFile { change, rule, method } = toml::from_str(CHANGES)?;
        let FirewallsFile { firewall } = toml::from_str(FIREWALLS)?;
        let mut asks = HashMap::new();
        for ask in change {
            for kind in &ask.kinds {
                asks.insert(*kind, ask.clone());
            }
        }
        Ok(Texts { asks, rules: rule, methods: method, firewalls: firewall })
    }
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What to do.
    pub what: String,
    /// On what kind of box.
    pub r#where: String,
    /// What it is about: names as the vendor writes them, or addresses.
    pub destination: Vec<String>,
    /// `TCP 443`; empty where ports say nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Which way.
    pub direction: Direction,
    /// The findings that ask for it.
    pub why: Vec<Why>,
    /// Whether the vendor requires it: `required`, `optional`, `required for updates` …; empty where it is not the
    /// vendor's list that asks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub requirement: String,
    /// Where the vendor says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The entries of the catalogue that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
}

/// Why a change is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The finding.
    pub finding: String,
    /// Its rule.
    pub rule: &'static str,
    /// What it says.
    pub title: String,
}

/// The changes that the claims of a diagnosis ask for, the gravest first. Hints ask for nothing.
pub fn requested(diagnosis: &Diagnosis, catalogue: &Catalogue, texts: &Texts) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut places: HashMap<(String, String, Vec<String>), usize> = HashMap::new();
    let citing = citing(&diagnosis.site.allow_list);
    for finding in diagnosis.findings.iter().filter(|finding| finding.is_claim()) {
        let Some(ask) = texts.asks.get(&finding.kind).map(|ask| ask.of(finding)) else { continue };
        if ask.about == About::Told {
            continue;
        }
        let cites = |at: usize| citing.get(&*finding.id).is_some_and(|rows| rows.contains(&at));
        let concerned = |(at, row): &(usize, &AllowRow)| match ask.about {
            About::Names => cites(*at),
            About::Entry => cites(*at) || covers(catalogue, row, finding),
            About::List => row.requirement == "required",
            About::Server | About::Nothing | About::Told => false,
        };
        let all = diagnosis.site.allow_list.iter().enumerate();
        let rows: Vec<&AllowRow> = all.filter(concerned).map(|(_, row)| row).collect();
        let change = change(finding, ask, &rows, catalogue);
        let same = (change.what.clone(), change.r#where.clone(), change.destination.clone());
        match places.get(&same).and_then(|at| changes.get_mut(*at)) {
            Some(known) => {
                known.why.extend(change.why);
                known.ports.extend(change.ports);
                known.ports.sort();
                known.ports.dedup();
            }
            None => {
                places.insert(same, changes.len());
                changes.push(change);
            }
        }
    }
    changes
}

/// The places of the rows of the list that cite each finding.
fn citing(rows: &[AllowRow]) -> HashMap<&str, Vec<usize>> {
    let mut citing: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        row.finding_ids.iter().for_each(|id| citing.entry(&**id).or_default().push(at));
    }
    citing
}

/// Whether a row of the list stands for a finding's host, among others.
fn covers(catalogue: &Catalogue, row: &AllowRow, finding: &FindingRecord) -> bool {
    let entry = catalogue.host(&row.id);
    entry.zip(finding.host.as_deref()).is_some_and(|(entry, host)| entry.covers(host).is_some())
}

fn change(finding: &FindingRecord, ask: Ask, rows: &[&AllowRow], catalogue: &Catalogue) -> Change {
    let entries: Vec<&HostEntry> = rows.iter().filter_map(|row| catalogue.host(&row.id)).collect();
    let why = Why { finding: finding.id.clone(), rule: finding.rule, title: finding.title.clone() };
    let list = |of: &dyn Fn(&&HostEntry) -> Vec<String>| {
        let mut all: Vec<String> = entries.iter().flat_map(of).collect();
        let mut seen = HashSet::new();
        all.retain(|one| seen.insert(one.clone()));
        all
    };
    let mut destination = list(&|entry| firewall::names(entry));
    let server = || finding.dest_ip.map(|ip| ip.to_string());
    match ask.about {
        About::Names | About::Entry | About::List if destination.is_empty() && ask.direction != Direction::Local => {
            destination.extend(finding.host.clone().or_else(server));
        }
        About::Server => destination.extend(server()),
        _ => {}
    }
    let mut ports = if ask.ports.is_empty() { list(&|entry| firewall::ports(entry)) } else { ask.ports };
    if ports.is_empty()
        && ask.about != About::Nothing
        && let (Some(port), Some(proto)) = (finding.dest_port, &finding.proto)
    {
        ports.push(format!("{proto} {port}"));
    }
    Change {
        what: ask.what,
        r#where: ask.r#where,
        destination,
        ports,
        direction: ask.direction,
        why: vec![why],
        requirement: rows.first().map(|row| row.requirement.to_owned()).unwrap_or_default(),
        sources: list(&|entry| entry.sources.clone()),
        rows: rows.iter().map(|row| row.id.clone()).collect(),
    }
}

/// The entries of the allow-list that a site's firewall lacks: what was seen blocked, wholly or in part, by what its
/// list of names would let through. A name that only does not resolve is nobody's but the resolver's to mend.
pub fn lacking<'a>(diagnosis: &Diagnosis, catalogue: &'a Catalogue, texts: &Texts) -> Vec<&'a HostEntry> {
    let by_list = |finding: &&FindingRecord| texts.asks.get(&finding.kind).is_none_or(|ask| ask.of(finding).by_list);
    let helps = |row: &&AllowRow| {
        let found = || diagnosis.findings.iter().filter(|finding| row.finding_ids.contains(&finding.id));
        found().next().is_none() || found().any(|finding| by_list(&finding))
    };
    let stopped = |row: &&AllowRow| matches!(row.state, AllowState::Blocked | AllowState::Partly);
    let rows = diagnosis.site.allow_list.iter().filter(stopped).filter(helps);
    rows.filter_map(|row| catalogue.host(&row.id)).collect()
}
