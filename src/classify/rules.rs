//! Confidence, lifetimes, thresholds and the texts of the classes: read from TOML, each setting with its reason.

use std::collections::HashMap;

use serde::Deserialize;

use super::settings::{SettingsError, check_confidence, check_number, merge, number, settings, shape};
use crate::event::Class;
use crate::time::SECOND;

const EMBEDDED: &str = include_str!("rules.toml");
/// Where a user's file sets them again.
const PATH: &str = "rules";

settings!(
    /// Base confidences by kind of evidence, and how kinds combine.
    Confidence: f32 {
        carried, certificate, proof, answer, answer_shared, other_answer, neighbour, role, role_given, shape,
        agree, conflict, cap,
    }
);
settings!(
    /// How long what was learnt of addresses holds.
    Learn: f32 { answer_seconds_min, answer_ttl_factor, neighbour_seconds }
);
settings!(
    /// Relay sub-classes; rates in bits per second. The engine counts its windows by `video_bps`, `video_ratio`,
    /// `window_seconds` and `burst_bytes`.
    Relay: f32 {
        idle_bps, idle_seconds, video_bps, video_ratio, window_seconds, burst_bytes, message_http_alone, one_label,
        one_label_message_http,
    }
);
settings!(
    /// Peer-to-peer.
    P2p: f32 { media_datagrams, unrelated, midstream }
);
settings!(
    /// Connections within the site.
    Lsf: f32 { contact_seconds, inferred, undecided, turn_seconds }
);
settings!(
    /// Storage whose bucket is hidden.
    S3: f32 { path_style, path_style_recorder }
);
settings!(
    /// Updates without a name.
    Update: f32 { wsus_port }
);
settings!(
    /// DMP panels.
    Dmp: f32 { cap }
);
settings!(
    /// Points by which recorders and clients are told.
    RolePoints: f32 {
        api, relay, relay_up, inbound, cameras, updates, untranslated, unrelated, unrelated_names, recorder, login, people, viewing,
        relay_down, client, ratio, ratio_bytes,
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
    pub fn embedded() -> Result<Rules, SettingsError> {
        Rules::with_user(toml::Table::new())
    }

    /// The embedded rules, with a user's settings in the place of those they name.
    pub fn with_user(user: toml::Table) -> Result<Rules, SettingsError> {
        let mut all: toml::Table = EMBEDDED.parse().map_err(|e| shape(PATH, &e))?;
        merge(&mut all, user, PATH)?;
        check(&all)?;
        all.try_into().map_err(|e| shape(PATH, &e))
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

/// Checks that every confidence is one, and every number a finite one.
fn check(all: &toml::Table) -> Result<(), SettingsError> {
    for (section, table) in all.iter().filter_map(|(k, v)| v.as_table().map(|t| (k, t))) {
        for (key, value) in table.iter().filter_map(|(k, v)| number(v).map(|n| (k, n))) {
            let here = format!("{PATH}.{section}.{key}");
            if section == "confidence" {
                check_confidence(here, value)?;
            } else {
                check_number(here, value, section == "roles")?;
            }
        }
    }
    Ok(())
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
        assert_eq!(err("[confidence]\nfoo = { value = 1 }"), "there is no setting `rules.confidence.foo`");
        assert_eq!(err("[confidence]\nrole = { value = 1.5 }"), "`rules.confidence.role` must be from 0 to 0.99");
        assert_eq!(err("[lsf]\nundecided.value = nan"), "`rules.lsf.undecided` must be a finite number, not negative");
        assert_eq!(err("confidence = 1"), "`rules.confidence` must be a table: { value = … }");
    }
}
