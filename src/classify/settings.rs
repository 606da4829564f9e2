//! Settings: numbers in TOML, each with its reason, read into typed tables, which a user's file may set again.

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::toml_error;

/// Why settings were refused. A path is spelt as the user's file spells it.
#[derive(Debug, Error, PartialEq)]
pub enum SettingsError {
    /// The file is not of this shape.
    #[error("{0}: {1}")]
    Shape(&'static str, String),
    /// The user sets something that does not exist.
    #[error("there is no setting `{0}`")]
    NoSuchSetting(String),
    /// A value is out of its range.
    #[error("`{0}` must be {1}")]
    Range(String, &'static str),
}

/// What a user's file sets of the rules: empty tables where it is silent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserSettings {
    /// For [`super::rules::Rules`].
    pub rules: toml::Table,
    /// For the rules of the diagnosis.
    pub diagnosis: toml::Table,
}

/// Declares a table of settings: each field is a number; its reason is kept beside for the texts.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident: $number:ty { $($(#[$field_doc:meta])* $field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $name {
            $($(#[$field_doc])*
            #[serde(deserialize_with = "crate::classify::settings::value")]
            pub $field: $number,)+
        }
    };
}

pub(crate) use settings;

/// The value of a setting; its reason must be there too.
pub(crate) fn value<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Setting<T> {
        value: T,
        #[serde(rename = "reason")]
        _reason: String,
    }
    Setting::deserialize(d).map(|s| s.value)
}

/// What is wrong with the shape of the rules under `path`.
pub(crate) fn shape(path: &'static str, error: &toml::de::Error) -> SettingsError {
    SettingsError::Shape(path, toml_error("", error))
}

/// Puts `user`'s values over `base`'s; a key that `base` lacks is an error. `path` is where `base` stands.
pub(crate) fn merge(base: &mut toml::Table, user: toml::Table, path: &str) -> Result<(), SettingsError> {
    for (key, value) in user {
        let here = format!("{path}.{key}");
        match (base.get_mut(&key), value) {
            (None, _) => return Err(SettingsError::NoSuchSetting(here)),
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new, &here)?,
            (Some(toml::Value::Table(_)), _) => return Err(SettingsError::Range(here, "a table: { value = … }")),
            (Some(old), new) => *old = new,
        }
    }
    Ok(())
}

/// The number of a setting, as it stands in a table; NaN if it is none.
pub(crate) fn number(setting: &toml::Value) -> Option<f64> {
    let value = setting.get("value")?;
    Some(value.as_float().or_else(|| value.as_integer().map(|i| i as f64)).unwrap_or(f64::NAN))
}

/// Checks that a confidence is one.
pub(crate) fn check_confidence(path: String, number: f64) -> Result<(), SettingsError> {
    if (0.0..=0.99).contains(&number) { Ok(()) } else { Err(SettingsError::Range(path, "from 0 to 0.99")) }
}

/// Checks that a number is finite, and where `signed` is not set, not negative.
pub(crate) fn check_number(path: String, number: f64, signed: bool) -> Result<(), SettingsError> {
    if number.is_finite() && (signed || number >= 0.0) {
        Ok(())
    } else {
        Err(SettingsError::Range(path, "a finite number, not negative"))
    }
}
