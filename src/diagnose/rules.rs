//! The rules of diagnosis: texts, sources and thresholds, one TOML file per family, read and checked as one.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::settings::Settings;
use crate::classify::settings::{SettingsError, check_confidence, check_number, merge, number, shape};
use crate::event::word::words;
use crate::event::{FindingRecord, Kind, Manner, Mode, Severity};

/// Where a user's file sets thresholds again: `[diagnosis.FAMILY]`.
const PATH: &str = "diagnosis";

const FAMILIES: [(&str, &str); 11] = [
    ("capture", include_str!("rules/capture.toml")),
    ("stall", include_str!("rules/stall.toml")),
    ("legs", include_str!("rules/legs.toml")),
    ("refused", include_str!("rules/refused.toml")),
    ("names", include_str!("rules/names.toml")),
    ("reach", include_str!("rules/reach.toml")),
    ("tls", include_str!("rules/tls.toml")),
    ("p2p", include_str!("rules/p2p.toml")),
    ("path", include_str!("rules/path.toml")),
    ("recorder", include_str!("rules/recorder.toml")),
    ("views", include_str!("rules/views.toml")),
];

words! {
    /// A rule. Each has its texts: loading fails otherwise.

    #[allow(missing_docs)]
    RuleId {
        Cf1 "CF-1", Cf2 "CF-2", Cf3 "CF-3", Cf4 "CF-4", Cf5 "CF-5", Cf6 "CF-6", Cf7 "CF-7", Cf8 "CF-8", Cf9 "CF-9",
        Cf10 "CF-10", Cf11 "CF-11", Cf12 "CF-12",
        D1 "D-1", D2 "D-2", D3 "D-3", D4 "D-4", D5 "D-5", D6 "D-6", D7 "D-7", D8 "D-8", D9 "D-9", D10 "D-10",
        D11 "D-11", D12 "D-12", D13 "D-13", D14 "D-14", D15 "D-15", D16 "D-16", D17 "D-17", D18 "D-18", D19 "D-19",
        D20 "D-20", D21 "D-21", D22 "D-22", D23 "D-23", D24 "D-24", D25 "D-25", D26 "D-26", D27 "D-27", D28 "D-28",
        D29 "D-29", D30 "D-30", D31 "D-31", D32 "D-32", D33 "D-33", D34 "D-34", D35 "D-35", D36 "D-36", D37 "D-37",
        D38 "D-38", D39 "D-39", D40 "D-40", D41 "D-41",
    }
}

words! {
    /// What a text may leave open, in braces: `{host}`.
    Place {
        /// The name or address that it is about.
        Host "host",
        /// Its port.
        Port "port",
        /// Who talks to it.
        Client "client",
        /// The address that is talked to.
        Server "server",
        /// Who was asked for a name.
        Resolver "resolver",
        /// An address that was answered.
        Answer "answer",
        /// A router that has spoken.
        Router "router",
        /// A time, in seconds.
        Seconds "seconds",
        /// A time, with its unit, and which way.
        Time "time",
        /// An amount, with its unit.
        Bytes "bytes",
        /// A rate, with its unit.
        Rate "rate",
        /// A part of a whole, with its unit.
        Share "share",
        /// An HTTP status.
        Status "status",
        /// The ways to log in.
        Method "method",
        /// Who issued a certificate.
        Issuer "issuer",
        /// What a TLS alert says.
        Alert "alert",
        /// A region of the relay.
        Region "region",
    }
}

impl Place {
    /// What stands there if nothing better is known.
    pub const fn otherwise(self) -> &'static str {
        match self {
            Place::Host => "the server",
            Place::Port => "?",
            Place::Client => "the device",
            Place::Server => "the server",
            Place::Resolver => "the resolver",
            Place::Answer => "an address",
            Place::Router => "a router",
            Place::Seconds => "some",
            Place::Time => "by minutes",
            Place::Bytes => "a little",
            Place::Rate => "its limit",
            Place::Share => "part",
            Place::Status => "an error",
            Place::Method => "unknown method",
            Place::Issuer => "an unknown authority",
            Place::Alert => "a fatal alert",
            Place::Region => "another region",
        }
    }
}

/// Puts what is known into the places of a text, and [`Place::otherwise`] where nothing is.
pub fn fill(text: &str, known: &HashMap<Place, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, place, after)) = next_place(rest) {
        filled.push_str(before);
        filled.push_str(known.get(&place).map_or(place.otherwise(), |text| text));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The first place of a text, and what stands before and after it.
fn next_place(text: &str) -> Option<(&str, Place, &str)> {
    text.match_indices('{').find_map(|(at, _)| {
        let (before, from) = text.split_at_checked(at)?;
        let (name, after) = from.strip_prefix('{')?.split_once('}')?;
        Some((before, Place::parse(name)?, after))
    })
}

/// A number that a rule goes by.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Setting {
    pub name: String,
    pub value: f64,
    pub reason: String,
}

/// What a rule says where its finding has a certain mode or manner.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ModeText {
    pub title: String,
    pub advice: String,
}

/// The texts of a rule, as they stand in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RuleText {
    #[serde(deserialize_with = "rule_id")]
    pub id: RuleId,
    pub kind: Kind,
    /// Other kinds that it may speak as.
    #[serde(default)]
    pub also: Vec<Kind>,
    /// Its mode, where it has only one.
    #[serde(default)]
    pub mode: Option<Mode>,
    pub severity: Severity,
    pub title: String,
    pub advice: String,
    /// Titles and advice for modes of which there is more to say.
    #[serde(default)]
    pub modes: HashMap<Mode, ModeText>,
    /// The same for manners, which come before modes.
    #[serde(default)]
    pub manners: HashMap<Manner, ModeText>,
    pub meaning: String,
    pub disproved_if: String,
    /// It rests on headers and lengths, which cut frames have: it may be a claim where most frames are cut.
    #[serde(default)]
    pub by_headers: bool,
    pub guards: Vec<String>,
    pub sources: Vec<String>,
    settings: Vec<String>,
}

/// A rule, with what it goes by.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its texts.
    pub text: RuleText,
    /// The table of its settings in a user's file.
    pub family: &'static str,
    /// Its base confidence, 0 to 0.99.
    pub confidence: f64,
    /// The numbers that it goes by, its base confidence first.
    pub settings: Vec<Setting>,
}

impl Rule {
    /// The title and advice of a finding of its.
    pub fn said(&self, finding: &FindingRecord) -> (&str, &str) {
        let own = finding.narrowed(&self.text.manners, &self.text.modes);
        own.map_or((&self.text.title, &self.text.advice), |own| (&own.title, &own.advice))
    }

    /// Whether it may speak as that kind.
    pub fn speaks_as(&self, kind: Kind) -> bool {
        self.text.kind == kind || self.text.also.contains(&kind)
    }
}

/// Sentences about a capture that no rule says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Sentences {
    pub empty: String,
    pub encrypted: String,
    pub unreadable: String,
    pub disordered: String,
    pub doubtful: String,
    pub sound: String,
    pub sound_as_far: String,
}

/// Who issues certificates, by parts of issuers' names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorities {
    /// Those that clients trust everywhere.
    #[serde(deserialize_with = "lower_case")]
    public: Vec<String>,
    /// Boxes that read along.
    inspector: Vec<Inspector>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inspector {
    product: String,
    #[serde(deserialize_with = "lower_case")]
    issuer: Vec<String>,
}

impl Authorities {
    /// Whether an issuer is one that clients trust everywhere.
    pub fn is_public(&self, issuer: &str) -> bool {
        is_named(issuer, &self.public)
    }

    /// The box that calls itself so.
    pub fn product(&self, issuer: &str) -> Option<&str> {
        self.inspector.iter().find(|inspector| is_named(issuer, &inspector.issuer)).map(|found| &*found.product)
    }
}

/// Whether any of these parts, in lower case, stands in a name, in any case.
fn is_named(name: &str, parts: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    parts.iter().any(|part| name.contains(&**part))
}

/// Texts in lower case.
fn lower_case<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(d)?;
    Ok(texts.into_iter().map(|text| text.to_ascii_lowercase()).collect())
}

/// All rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The thresholds, by family.
    pub settings: Settings,
    /// About captures.
    pub sentences: Sentences,
    /// Who issues certificates.
    pub authorities: Authorities,
    /// Findings in the few words of a story.
    phrases: Phrases,
    /// In the order of [`RuleId::ALL`], none missing.
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    settings: Option<toml::Value>,
    #[serde(default)]
    rule: Vec<RuleText>,
    sentences: Option<Sentences>,
    authorities: Option<Authorities>,
    phrases: Option<Phrases>,
}

/// Findings in the few words of a story: by kind, and where a mode or a manner needs others, by that.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrases {
    kinds: HashMap<Kind, String>,
    modes: HashMap<Kind, HashMap<Mode, String>>,
    manners: HashMap<Kind, HashMap<Manner, String>>,
}

impl Rules {
    /// The rules that come with the program.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn embedded() -> Result<Rules, SettingsError> {
        Rules::with_user(toml::Table::new())
    }

    /// The embedded rules, with a user's settings (what stands under `[diagnosis]`) in the place of those they name.
    ///
    /// # Errors
    /// A setting that does not exist, or is no number of its range.
    pub fn with_user(user: toml::Table) -> Result<Rules, SettingsError> {
        let (mut all, mut texts) = (toml::Table::new(), Vec::new());
        let (mut sentences, mut authorities, mut phrases) = (None, None, None);
        for (family, text) in FAMILIES {
            let file: File = toml::from_str(text).map_err(|e| shape(PATH, &e))?;
            all.extend(file.settings.map(|settings| (family.to_owned(), settings)));
            texts.extend(file.rule.into_iter().map(|text| (family, text)));
            sentences = sentences.or(file.sentences);
            authorities = authorities.or(file.authorities);
            phrases = phrases.or(file.phrases);
        }
        merge(&mut all, user, PATH)?;
        check(&all)?;
        let mut rules =
            texts.into_iter().map(|(family, text)| rule(family, text, &all)).collect::<Result<Vec<_>, _>>()?;
        rules.sort_by_key(|rule| rule.text.id);
        if !rules.iter().map(|r| r.text.id).eq(RuleId::ALL.iter().copied()) {
            return Err(SettingsError::Shape(PATH, "a rule is missing or there twice".into()));
        }
        let settings = all.try_into().map_err(|e| shape(PATH, &e))?;
        let missing = |what: &str| SettingsError::Shape(PATH, format!("no {what}"));
        let sentences = sentences.ok_or_else(|| missing("sentences about captures"))?;
        let authorities = authorities.ok_or_else(|| missing("list of authorities"))?;
        let phrases = phrases.ok_or_else(|| missing("phrases of stories"))?;
        Ok(Rules { settings, sentences, authorities, phrases, rules })
    }

    /// All of them, in the order of [`RuleId::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// What a finding says in the few words of a story.
    pub fn phrase(&self, finding: &FindingRecord) -> &str {
        let Phrases { kinds, modes, manners } = &self.phrases;
        let by_mode = || modes.get(&finding.kind).zip(finding.mode).and_then(|(texts, mode)| texts.get(&mode));
        let own = manners.get(&finding.kind).zip(finding.manner).and_then(|(texts, manner)| texts.get(&manner));
        own.or_else(by_mode).or_else(|| kinds.get(&finding.kind)).map_or(finding.kind.text(), |phrase| phrase)
    }

    /// The rule of that id.
    #[allow(clippy::indexing_slicing)] // loading makes sure that there is one for each id, in order
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id as usize]
    }
}

/// A short digest of the rules and the catalogue that come with the program: reports name it, so that one can tell by
/// what they were judged.
pub fn digest() -> String {
    let mut sum = Sha256::new();
    FAMILIES.iter().for_each(|(_, text)| sum.update(text));
    sum.update(crate::classify::catalogue::EMBEDDED);
    HEXLOWER.encode(&sum.finalize()).chars().take(12).collect()
}

/// A rule, with the settings that it names; those of another family than its own as `family.name`.
fn rule(family: &'static str, text: RuleText, all: &toml::Table) -> Result<Rule, SettingsError> {
    let mut settings = Vec::with_capacity(text.settings.len());
    for name in &text.settings {
        let (of, own) = name.split_once('.').unwrap_or((family, name));
        let path = || format!("{PATH}.{of}.{own}");
        let setting = all.get(of).and_then(|f| f.get(own)).ok_or_else(|| SettingsError::NoSuchSetting(path()))?;
        let value = number(setting).ok_or_else(|| SettingsError::NoSuchSetting(path()))?;
        let reason = setting.get("reason").and_then(|r| r.as_str()).unwrap_or_default().to_owned();
        settings.push(Setting { name: name.clone(), value, reason });
    }
    let own = settings.first().filter(|s| base_of(&s.name) == Some(text.id)).map(|s| s.value);
    let confidence = own.ok_or_else(|| {
        SettingsError::Shape(PATH, format!("{}: its base confidence is not its first setting", text.id.text()))
    })?;
    Ok(Rule { text, family, confidence, settings })
}

/// The rule whose base confidence is called so.
fn base_of(name: &str) -> Option<RuleId> {
    RuleId::parse(&name.replace('_', "-"))
}

/// Checks that base confidences are confidences, and all numbers finite and not negative.
fn check(all: &toml::Table) -> Result<(), SettingsError> {
    for (family, table) in all.iter().filter_map(|(family, table)| table.as_table().map(|t| (family, t))) {
        for (name, value) in table.iter().filter_map(|(name, setting)| number(setting).map(|n| (name, n))) {
            let path = format!("{PATH}.{family}.{name}");
            if base_of(name).is_some() { check_confidence(path, value) } else { check_number(path, value, false) }?;
        }
    }
    Ok(())
}

fn rule_id<'de, D: Deserializer<'de>>(d: D) -> Result<RuleId, D::Error> {
    let text = String::deserialize(d)?;
    RuleId::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no rule")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_rule_and_every_rule_a_source() {
        let rules = Rules::embedded().unwrap();
        for kind in Kind::ALL {
            assert!(rules.iter().any(|r| r.speaks_as(*kind)), "{}", kind.text());
        }
        for rule in rules.iter() {
            let text = &rule.text;
            let id = text.id.text();
            assert!(!text.sources.is_empty() && text.sources.iter().all(|s| !s.is_empty()), "{id}");
            for told in [&text.title, &text.advice, &text.meaning, &text.disproved_if] {
                assert!(told.len() > 20, "{id}: {told}");
            }
            assert!(rule.settings.iter().all(|s| !s.reason.is_empty()), "{id}");
            assert_eq!(rules.rule(text.id).text.id, text.id);
        }
    }

    #[test]
    fn no_text_is_left_open() {
        let rules = Rules::embedded().unwrap();
        let known: HashMap<_, _> = Place::ALL.iter().map(|p| (*p, p.text().to_uppercase())).collect();
        for rule in rules.iter() {
            let text = &rule.text;
            let modes = text.modes.values().chain(text.manners.values()).flat_map(|m| [&m.title, &m.advice]);
            for told in [&text.title, &text.advice, &text.disproved_if].into_iter().chain(modes) {
                for filled in [fill(told, &known), fill(told, &HashMap::new())] {
                    assert!(!filled.contains(['{', '}']), "{}: {filled}", text.id.text());
                }
            }
            for plain in text.guards.iter().chain([&text.meaning]) {
                assert!(!plain.contains(['{', '}']), "{}: {plain}", text.id.text());
            }
        }
        assert_eq!(fill("to {host}:{port} {x} {", &known), "to HOST:PORT {x} {");
        assert_eq!(fill("{{host}", &HashMap::new()), "{the server");
    }

    #[test]
    fn every_setting_is_some_rules() {
        let rules = Rules::embedded().unwrap();
        let named: HashSet<_> =
            rules.iter().flat_map(|r| r.settings.iter().map(|s| (r.family, s.name.clone()))).collect();
        for (family, text) in FAMILIES {
            let table: toml::Table = text.parse().unwrap();
            for name in table["settings"].as_table().unwrap().keys() {
                // these two are for sentences of their own, and views raise no findings
                let sentence = ["encrypted_share", "undecoded_share"].contains(&name.as_str()) || family == "views";
                assert!(sentence || named.contains(&(family, name.clone())), "{family}.{name}");
                let reason = table["settings"][name]["reason"].as_str();
                assert!(reason.is_some_and(|reason| !reason.is_empty()), "{family}.{name}");
            }
        }
    }

    #[test]
    fn a_rule_may_go_by_what_another_family_sets() {
        let rules = Rules::with_user("[path]\nfull_seconds = { value = 12 }".parse().unwrap()).unwrap();
        let set = rules.rule(RuleId::Cf8).settings.iter().find(|set| set.name == "path.full_seconds").unwrap();
        assert_eq!((set.value, set.reason.is_empty()), (12.0, false));
    }

    #[test]
    fn a_user_may_set_what_there_is() {
        let with = |text: &str| Rules::with_user(text.parse().unwrap());
        let rules = with("[stall]\nfirst_byte_seconds = { value = 15 }\ncf_1.value = 0.4").unwrap();
        assert_eq!(rules.settings.stall.first_byte_seconds, 15.0);
        assert_eq!(rules.rule(RuleId::Cf1).confidence, 0.4);
        assert!(rules.rule(RuleId::Cf1).settings.iter().any(|s| s.name == "first_byte_seconds" && s.value == 15.0));
        let err = |text| with(text).unwrap_err().to_string();
        assert_eq!(err("[stall]\nfoo = { value = 1 }"), "there is no setting `diagnosis.stall.foo`");
        assert_eq!(err("[foo]\na = 1"), "there is no setting `diagnosis.foo`");
        assert_eq!(err("[names]\nd_1.value = 1.5"), "`diagnosis.names.d_1` must be from 0 to 0.99");
        assert_eq!(err("[tls]\nresets.value = -1"), "`diagnosis.tls.resets` must be a finite number, not negative");
        assert_eq!(err("[tls]\nresets = 3"), "`diagnosis.tls.resets` must be a table: { value = … }");
        assert!(err("[tls]\nresets.value = \"x\"").contains("diagnosis.tls.resets"));
    }
}
