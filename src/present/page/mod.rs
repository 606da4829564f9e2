//! The report for people who were not there: one page, as HTML that needs nothing else, or as Markdown for a ticket.
//!
//! [`Page::new`] gathers what is told, every text of it made safe; the templates only lay it out. The order is that of
//! a reader with five minutes: the verdict, what is asked of whom, what passes and what does not, then the evidence.

mod cards;
mod chart;
mod site;
mod tell;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use askama::Template;
use serde::Deserialize;

use crate::changes::firewall::{Wanted, snippet};
use crate::changes::{Change, Texts, TextsError, lacking};
use crate::classify::catalogue::{Catalogue, ProductId};
use crate::diagnose::rules::digest;
use crate::event::{AllowState, FindingRecord, Kind, Manner, Mode, SessionRecord, Severity, StepOutcome};
use crate::evidence::Scene;
use crate::present::summary::Summary;
use crate::present::verdict::{POOR, headline, is_fault, without_fault};
use crate::text::units::{Count, Counted};
use crate::text::zone::Zone;
use cards::Card;
pub use cards::{arrives, words};
use site::{Labelled, Row, View};
pub use tell::Markup;

const TEXT: &str = include_str!("text.toml");
/// How many findings are told with their evidence.
const CARDS_MAX: usize = 40;
/// How many changes are listed.
const CHANGES_MAX: usize = 60;
/// How many findings the pictures are drawn of; beyond that a page would be too long to read.
pub const DRAWN_MAX: usize = 24;

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// The summary, with its diagnosis.
    pub summary: &'a Summary,
    /// The changes that findings ask for.
    pub changes: &'a [Change],
    /// Texts about them.
    pub texts: &'a Texts,
    /// Names of firewalls' entries.
    pub catalogue: &'a Catalogue,
    /// What the flows that findings lead with show, by identity. Empty where the capture could not be read again.
    pub scenes: &'a HashMap<u64, Scene>,
    /// By which clock times are told.
    pub zone: Zone,
    /// What was replaced by pseudonyms, in words; empty for nothing.
    pub redacted: &'a str,
    /// Files beside the page, by name.
    pub attachments: &'a [String],
}

/// The identities of the flows whose packets a page shows, and the frames that each must not leave out.
pub fn drawn(findings: &[FindingRecord]) -> (HashSet<u64>, HashMap<u64, HashSet<u64>>) {
    let mut cited: HashMap<u64, HashSet<u64>> = HashMap::new();
    for finding in findings.iter().take(DRAWN_MAX) {
        let Some(lead) = finding.flow_ids.first() else { continue };
        cited.entry(*lead).or_default().extend(finding.evidence.iter().filter_map(|line| line.frame));
    }
    (cited.keys().copied().collect(), cited)
}

/// Writes the report as Markdown or HTML.
///
/// # Errors
/// What writing gives.
pub fn write(mut out: impl Write, matter: &Matter<'_>, markup: Markup) -> io::Result<()> {
    let page = Page::new(matter, markup)?;
    let text = match markup {
        Markup::Html => Html { page: &page }.render(),
        Markup::Markdown => Markdown { page: &page }.render(),
    };
    out.write_all(text.map_err(io::Error::other)?.as_bytes())?;
    out.flush()
}

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    page: &'a Page,
}

#[derive(Template)]
#[template(path = "report.md", escape = "none")]
struct Markdown<'a> {
    page: &'a Page,
}

/// All that a page says, in its order.
#[derive(Debug)]
struct Page {
    title: String,
    verdict: Verdict,
    changes: Vec<ChangeRow>,
    changes_omitted: usize,
    snippets: Vec<Snippet>,
    whole_list: Vec<Snippet>,
    rules: Vec<String>,
    methods: Vec<Method>,
    score: String,
    rows: Vec<Row>,
    /// What the clock is called by which times are told.
    zone: String,
    cards: Vec<Card>,
    cards_omitted: usize,
    undrawn: bool,
    views: Vec<View>,
    views_omitted: usize,
    site: Vec<Labelled>,
    bandwidth: Vec<Labelled>,
    data: Vec<[String; 4]>,
    classes: Vec<[String; 5]>,
    capture: Vec<Labelled>,
    warnings: Vec<String>,
    attachments: Vec<String>,
    privacy: Vec<String>,
    glossary: Vec<Term>,
    made_by: String,
}

/// What is wrong, first of all.
#[derive(Debug)]
struct Verdict {
    /// `error`, `warning`, `ok` or `none`: how it looks.
    look: &'static str,
    sign: &'static str,
    text: String,
    sure: String,
    /// Who must act.
    who: String,
    lines: Vec<String>,
}

/// A row of the changes that are asked for.
#[derive(Debug)]
struct ChangeRow {
    what: String,
    place: String,
    destination: Vec<String>,
    ports: String,
    direction: &'static str,
    why: Vec<(String, String)>,
    requirement: String,
    sources: String,
}

/// What to paste into one make of firewall.
#[derive(Debug)]
struct Snippet {
    name: String,
    paste: String,
    notes: Vec<String>,
    text: String,
}

#[derive(Debug)]
struct Method {
    name: String,
    ports: String,
    ends: String,
    direction: &'static str,
    clients: String,
    note: String,
}

/// A word of the trade.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    term: String,
    text: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Impact {
    kinds: Vec<Kind>,
    text: String,
    retest: String,
    /// Other texts where mode or manner needs them.
    #[serde(default)]
    modes: HashMap<Mode, String>,
    #[serde(default)]
    manners: HashMap<Manner, String>,
}

impl Impact {
    /// What a finding means for people.
    fn of(&self, finding: &FindingRecord) -> &str {
        finding.narrowed(&self.manners, &self.modes).unwrap_or(&self.text)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Privacy {
    plain: String,
    redacted: String,
}

/// The texts of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    impact: Vec<Impact>,
    glossary: Vec<Term>,
    privacy: Privacy,
}

impl Words {
    fn embedded() -> Result<Words, TextsError> {
        Ok(toml::from_str(TEXT)?)
    }

    fn impact(&self, kind: Kind) -> Option<&Impact> {
        self.impact.iter().find(|impact| impact.kinds.contains(&kind))
    }
}

impl Page {
    fn new(matter: &Matter<'_>, markup: Markup) -> io::Result<Page> {
        let words = Words::embedded().map_err(io::Error::other)?;
        let summary = matter.summary;
        let none = crate::diagnose::Diagnosis::default();
        let diagnosis = summary.diagnosis.as_ref().unwrap_or(&none);
        let product = product(diagnosis.site.product);
        let lacks = lacking(diagnosis, matter.catalogue, matter.texts);
        let findings = &diagnosis.findings;
        let cards = findings.iter().take(CARDS_MAX).map(|f| Card::new(f, matter, &words, markup)).collect();
        let zone = matter.zone;
        let (views, views_omitted) = site::views(&diagnosis.sessions, markup, zone);
        let undrawn = matter.scenes.is_empty() && findings.iter().any(|finding| !finding.flow_ids.is_empty());
        Ok(Page {
            title: title(summary, markup),
            verdict: verdict(matter, &words, markup),
            changes: matter.changes.iter().take(CHANGES_MAX).map(|change| row(change, markup)).collect(),
            changes_omitted: matter.changes.len().saturating_sub(CHANGES_MAX),
            snippets: snippets(matter.texts, &Wanted::only(lacks, product)),
            whole_list: snippets(matter.texts, &Wanted::all(matter.catalogue, product)),
            rules: matter.texts.rules.iter().map(|rule| cited(&rule.text, &rule.sources, markup)).collect(),
            methods: methods(matter.texts, product, markup),
            score: site::score(&diagnosis.site),
            rows: site::rows(&diagnosis.site, markup, zone),
            zone: zone.name(summary.quality.last.unwrap_or_default()),
            cards,
            cards_omitted: findings.len().saturating_sub(CARDS_MAX),
            undrawn,
            views,
            views_omitted,
            site: site::recorders(&diagnosis.site, markup, zone),
            bandwidth: site::bandwidth(&diagnosis.site),
            data: site::data(&diagnosis.site, markup),
            classes: site::classes(&summary.classes, markup),
            capture: site::capture(summary, markup, zone),
            warnings: markup.all(&summary.quality.warnings),
            attachments: markup.all(matter.attachments),
            privacy: privacy(&words, matter.redacted, markup),
            glossary: words.glossary,
            made_by: format!("relayscope {}, rules and catalogue {}", env!("CARGO_PKG_VERSION"), digest()),
        })
    }
}

/// The product of a site's record.
fn product(name: &str) -> Option<ProductId> {
    [ProductId::Ows, ProductId::Contera].into_iter().find(|product| product.name() == name)
}

fn title(summary: &Summary, markup: Markup) -> String {
    let first = summary.files.first().map(|file| file.rsplit('/').next().unwrap_or(file)).unwrap_or("a capture");
    let more = summary.files.len().saturating_sub(1);
    let more = if more > 0 { format!(" and {} more", Count(more as u64)) } else { String::new() };
    format!("{}{more}", markup.tell(first))
}

/// A text and where it stands, in brackets.
fn cited(text: &str, sources: &[String], markup: Markup) -> String {
    match sources.is_empty() {
        true => markup.tell(text),
        false => markup.tell(&format!("{text} ({})", sources.join(", "))),
    }
}

fn privacy(words: &Words, redacted: &str, markup: Markup) -> Vec<String> {
    match redacted.is_empty() {
        true => vec![markup.tell(&words.privacy.plain)],
        false => vec![markup.tell(&format!("{}{redacted}.", words.privacy.redacted))],
    }
}

fn verdict(matter: &Matter<'_>, words: &Words, markup: Markup) -> Verdict {
    let passing = matter.summary.passing().map(|passing| markup.tell(&format!("Filter: {passing}.")));
    let said = |look, sign, text: &str| Verdict {
        look,
        sign,
        text: markup.tell(text),
        sure: String::new(),
        who: String::new(),
        lines: passing.iter().cloned().collect(),
    };
    let Some(diagnosis) = &matter.summary.diagnosis else { return said("none", "·", "No faults were looked for.") };
    let Some(claim) = headline(diagnosis).filter(|finding| is_fault(finding)) else {
        return match without_fault(matter.summary) {
            _ if diagnosis.poor => said("warning", "⚠", POOR),
            (true, text) => said("ok", "✓", &text),
            (false, text) => said("none", "·", &text),
        };
    };
    let (look, sign) = if claim.severity == Severity::Error { ("error", "✗") } else { ("warning", "⚠") };
    let asked = matter.changes.iter().find(|change| change.why.iter().any(|why| why.finding == claim.id));
    let first = asked.or(matter.changes.first()).map(|change| change.r#where.as_str());
    let mut lines: Vec<String> =
        words.impact(claim.kind).map(|impact| markup.tell(impact.of(claim))).into_iter().collect();
    lines.extend(views_in_counts(&diagnosis.sessions));
    let stopped = |row: &&crate::event::AllowRow| matches!(row.state, AllowState::Blocked | AllowState::Partly);
    let blocked = diagnosis.site.allow_list.iter().filter(stopped).count();
    if blocked > 0 {
        let rows = diagnosis.site.allow_list.len();
        let are = if blocked == 1 { "is" } else { "are" };
        lines.push(format!("{blocked} of {rows} entries of the vendor's allow-list {are} blocked, wholly or in part."));
    }
    let sure = format!("{}, {:.2} (rule {})", claim.word.text(), claim.confidence, claim.rule);
    let who = first.map(|place| markup.tell(place)).unwrap_or_default();
    lines.extend(passing.clone());
    Verdict { sure, who, lines, ..said(look, sign, &claim.title) }
}

/// What became of the attempts to view, if there were any.
fn views_in_counts(sessions: &[SessionRecord]) -> Option<String> {
    let failed = |session: &SessionRecord| session.steps.iter().any(|step| step.outcome == StepOutcome::Failed);
    let (mut got, mut sent, mut none, mut open) = (0, 0, 0, 0);
    for session in sessions {
        *match session.path {
            Some(_) if session.unseen => &mut sent,
            Some(_) => &mut got,
            None if failed(session) => &mut none,
            None => &mut open,
        } += 1usize;
    }
    let parts = [
        (got, "got video"),
        (sent, "went up to the relay, and whether it arrived is not seen here"),
        (none, "got no video"),
        (open, "of which the capture does not tell"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let attempts = Counted(sessions.len() as u64, "attempt");
    (!parts.is_empty()).then(|| format!("{attempts} to view in this capture: {}.", parts.join("; ")))
}

fn row(change: &Change, markup: Markup) -> ChangeRow {
    ChangeRow {
        what: markup.tell(&change.what),
        place: markup.tell(&change.r#where),
        destination: markup.all(&change.destination),
        ports: markup.tell(&change.ports.join(", ")),
        direction: change.direction.text(),
        why: change.why.iter().map(|why| (markup.tell(&why.finding), markup.tell(why.rule))).collect(),
        requirement: markup.tell(&change.requirement),
        sources: markup.tell(&change.sources.join(", ")),
    }
}

/// What to paste, for each make.
fn snippets(texts: &Texts, wanted: &Wanted<'_>) -> Vec<Snippet> {
    let of = |firewall: &crate::changes::firewall::Firewall| Snippet {
        name: firewall.name.clone(),
        paste: firewall.paste.clone(),
        notes: firewall.notes.clone(),
        text: snippet(firewall.id, wanted),
    };
    texts.firewalls.iter().map(of).filter(|snippet| !snippet.text.is_empty()).collect()
}

fn methods(texts: &Texts, product: Option<ProductId>, markup: Markup) -> Vec<Method> {
    let concerned = texts.methods.iter().filter(|method| method.concerns(product));
    let told = concerned.map(|method| Method {
        name: markup.tell(&method.name),
        ports: method.ports_text(),
        ends: markup.tell(&format!("{} to {}", method.from, method.to)),
        direction: method.direction.text(),
        clients: markup.tell(&method.clients),
        note: markup.tell(&method.note),
    });
    told.collect()
}

#[cfg(test)]
mod tests;
