//! Confidence, lifetimes, thresholds and the texts of the classes: read from TOML, each setting with its reason.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::toml_error;
use crate::event::Class;
use crate::time::SECOND;

const EMBEDDED: &str = include_str!("rules.toml");

/// Why rules were refused.
#[derive(Debug, Error, PartialEq)]
pub enum RulesError {
    /// The file is not of this shape.
    #[error("rules: {0}")]
    Shape(String),
    /// The user sets something that does not exist.
    #[error("rules: there is no setting `{0}`")]
    NoSuchSetting(String),
    /// A value is out of its range.
    #[error("rules: `{0}` must be {1}")]
    Range(String, &'static str),
}

/// Declares a table of settings: each field is a number; its reason is kept beside for the texts.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $name { $($(#[$field_doc])* #[serde(deserialize_with = "value")] pub $field: f32,)+ }
    };
}

settings!(
    /// Base confidences by kind of evidence, and how kinds combine.
    Confidence {
        carried, certificate, proof, answer, answer_shared, other_answer, neighbour, role, role_given, shape,
        agree, conflict, cap,
    }
);
settings!(
    /// How long what was learnt of addresses holds.
    Learn { answer_seconds_min, answer_ttl_factor, neighbour_seconds }
);
settings!(
    /// Relay sub-classes; rates in bits per second. The engine counts its windows by `video_bps`, `video_ratio`,
    /// `window_seconds` and `burst_bytes`.
    Relay {
        idle_bps, idle_seconds, video_bps, video_ratio, window_seconds, burst_bytes, message_http_alone, one_label,
        one_label_message_http,
    }
);
settings!(
    /// Peer-to-peer.
    P2p { media_datagrams, unrelated, midstream }
);
settings!(
    /// Connections within the site.
    Lsf { contact_seconds, inferred, undecided }
);
settings!(
    /// Storage whose bucket is hidden.
    S3 { path_style, path_style_recorder }
);
settings!(
    /// Updates without a name.
    Update { wsus_port }
);
settings!(
    /// DMP panels.
    Dmp { cap }
);
settings!(
    /// Points by which recorders and clients are told.
    RolePoints {
        api, relay, relay_up, inbound, cameras, updates, unrelated, unrelated_names, recorder, login, relay_down,
        client, ratio, ratio_bytes,
    }
);

/// What `explain` says of a class.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ClassText {
    pub what: String,
    pub evidence: Vec<String>,
    pub sources: Vec<String>,
    pub guards: Vec<String>,
    pub advice: String,
}

/// Every setting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Rules {
    pub confidence: Confidence,
    pub learn: Learn,
    pub relay: Relay,
    pub p2p: P2p,
    pub lsf: Lsf,
    pub s3: S3,
    pub update: Update,
    pub dmp: Dmp,
    pub roles: RolePoints,
    class: HashMap<Class, ClassText>,
}

impl Rules {
    /// The rules that come with the program.
    pub fn embedded() -> Result<Rules, RulesError> {
        Rules::with_user(toml::Table::new())
    }

    /// The embedded rules, with a user's settings in the place of those they name.
    pub fn with_user(user: toml::Table) -> Result<Rules, RulesError> {
        let mut all: toml::Table = EMBEDDED.parse().map_err(shape)?;
        merge(&mut all, user, "")?;
        check(&all)?;
        all.try_into().map_err(shape)
    }

    /// What is said of `class`.
    pub fn text(&self, class: Class) -> Option<&ClassText> {
        self.class.get(&class)
    }

    /// How long an answer of this TTL (seconds) names an address, in nanoseconds.
    pub(crate) fn answer_lifetime(&self, ttl: u32) -> u64 {
        nanos(self.learn.answer_seconds_min).max(nanos(ttl as f32 * self.learn.answer_ttl_factor))
    }
}

/// Seconds as nanoseconds; saturates.
pub(crate) fn nanos(seconds: f32) -> u64 {
    (f64::from(seconds) * SECOND as f64) as u64
}

fn shape(error: toml::de::Error) -> RulesError {
    RulesError::Shape(toml_error("", &error))
}

/// Puts `user`'s values over `base`'s; a key that `base` lacks is an error.
fn merge(base: &mut toml::Table, user: toml::Table, path: &str) -> Result<(), RulesError> {
    for (key, value) in user {
        let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (base.get_mut(&key), value) {
            (None, _) => return Err(RulesError::NoSuchSetting(here)),
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new, &here)?,
            (Some(old), new) => *old = new,
        }
    }
    Ok(())
}

/// Checks that every confidence is one, and every number a finite one.
fn check(all: &toml::Table) -> Result<(), RulesError> {
    for (section, table) in all.iter().filter_map(|(k, v)| v.as_table().map(|t| (k, t))) {
        for (key, setting) in table {
            let Some(value) = setting.get("value") else { continue };
            let number = value.as_float().or_else(|| value.as_integer().map(|i| i as f64)).unwrap_or(f64::NAN);
            let here = format!("{section}.{key}");
            if section == "confidence" && !(0.0..=0.99).contains(&number) {
                return Err(RulesError::Range(here, "from 0 to 0.99"));
            }
            if !number.is_finite() || (section != "roles" && number < 0.0) {
                return Err(RulesError::Range(here, "a finite number, not negative"));
            }
        }
    }
    Ok(())
}

/// The value of a setting; its reason must be there too.
fn value<'de, D: Deserializer<'de>>(d: D) -> Result<f32, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Setting {
        value: f32,
        #[serde(rename = "reason")]
        _reason: String,
    }
    Setting::deserialize(d).map(|s| s.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_text() {
        let rules = Rules::embedded().unwrap();
        for class in Class::ALL {
            assert!(rules.text(class).is_some_and(|t| !t.what.is_empty()), "{}", class.name());
        }
    }

    #[test]
    fn a_user_may_set_what_there_is() {
        let with = |text: &str| Rules::with_user(text.parse().unwrap());
        assert_eq!(with("[confidence]\ncarried = { value = 0.5 }").unwrap().confidence.carried, 0.5);
        let err = |text| with(text).unwrap_err().to_string();
        assert_eq!(err("[confidence]\nfoo = { value = 1 }"), "rules: there is no setting `confidence.foo`");
        assert_eq!(err("[confidence]\nrole = { value = 1.5 }"), "rules: `confidence.role` must be from 0 to 0.99");
        assert_eq!(err("[lsf]\nundecided.value = nan"), "rules: `lsf.undecided` must be a finite number, not negative");
        assert!(err("confidence = 1").starts_with("rules: "));
    }
}
