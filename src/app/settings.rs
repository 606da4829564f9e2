//! The user's settings: read from a file that the program never writes; and what was last chosen on the dashboard, in
//! another that it does.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::read_text;
use crate::cli::Clock;
use crate::dash::command::{Command, KeyMap};
use crate::dash::key::Keys;
use crate::dash::prompt::History;
use crate::dash::state::Dash;
use crate::dash::theme::Palette;
use crate::text::zone::Zone;

/// What stands at the head of the template.
const HEAD: &str = "\
# Settings of relayscope. What is commented out is as it is without this file. It is looked for as
# $XDG_CONFIG_HOME/relayscope/config.toml, or where --config or RELAYSCOPE_CONFIG says. Options on the command line win.

# Colours of the dashboard: muted, high-contrast, cb (for those who cannot tell red from green), mono. NO_COLOR wins.
#theme = \"muted\"

# Show ASCII only: for fonts without box-drawing characters.
#ascii = false

# Take the mouse. Without, the terminal selects text as it always does; with it, Shift does that.
#mouse = true

# By which clock people are told times, on the dashboard and in reports: utc, local, or how far from UTC (+01:00).
#tz = \"utc\"

# Keys of the dashboard. What is set here replaces all keys of the command. Keys are written as j, G, ctrl-u, shift-left,
# space, enter, esc, tab, pageup …; \"g g\" is one after the other.
[keys]
";

/// The user's settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) theme: Option<String>,
    pub(super) ascii: Option<bool>,
    pub(super) mouse: Option<bool>,
    tz: Option<String>,
    keys: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// From a file that was named.
    pub(super) fn of_file(path: &Path) -> Result<Settings> {
        Settings::parse(&read_text(path, "settings")?).map_err(|e| anyhow!("{}: {e}", path.display()))
    }

    /// Those of the file that was named, else from where it is looked for; there may be none.
    pub(super) fn or_found(named: Option<Settings>) -> Result<Settings> {
        match (named, path()) {
            (Some(settings), _) => Ok(settings),
            (None, Some(path)) if path.try_exists().unwrap_or(true) => Settings::of_file(&path),
            _ => Ok(Settings::default()),
        }
    }

    fn parse(text: &str) -> Result<Settings, String> {
        let settings: Settings = toml::from_str(text).map_err(|e| e.to_string())?;
        if let Some(theme) = settings.theme.as_deref().filter(|theme| Palette::parse(theme).is_none()) {
            return Err(format!("theme = \"{theme}\": there are muted, high-contrast, cb and mono"));
        }
        settings.key_map()?;
        if let Some(tz) = &settings.tz {
            Clock::parse(tz).map_err(|may| format!("tz = \"{tz}\": there are {may}"))?;
        }
        Ok(settings)
    }

    /// Commands that lost all their keys to others, with those who have the first of them now.
    fn keyless(&self) -> Vec<String> {
        let map = self.key_map().unwrap_or_default();
        let lost = Command::ALL.iter().filter(|c| map.of(**c).next().is_none() && !self.keys.contains_key(c.id()));
        let told = lost.filter_map(|command| {
            let own: Keys = command.default_keys().first()?.parse().ok()?;
            let other = Command::ALL.iter().find(|other| map.of(**other).any(|keys| *keys == own))?;
            Some(format!("{}: has no key any more, as {own} is given to {}", command.id(), other.id()))
        });
        told.collect()
    }

    /// By which clock people are told times: as asked for on the command line, else as set here, else UTC.
    ///
    /// # Errors
    /// This machine's is asked for, and cannot be told.
    pub(super) fn zone(&self, asked: Option<Clock>) -> Result<Zone> {
        let set = || self.tz.as_deref().and_then(|tz| Clock::parse(tz).ok());
        Ok(match asked.or_else(set).unwrap_or(Clock::Utc) {
            Clock::Utc => Zone::Utc,
            Clock::Ahead(seconds) => Zone::Ahead(seconds),
            Clock::Local => {
                let zone = TimeZone::try_system().map_err(|error| {
                    anyhow!("this machine's time zone cannot be told; give --tz as +01:00 ({error})")
                })?;
                // as long as the program: it is read once, before rights are given up
                Zone::Place(Box::leak(Box::new(zone)))
            }
        })
    }

    /// Which keys do what.
    ///
    /// # Errors
    /// What is wrong with a binding; none where the settings were read.
    pub(super) fn key_map(&self) -> Result<KeyMap, String> {
        let mut map = KeyMap::default();
        for (command, keys) in &self.keys {
            map.bind(command, keys)?;
        }
        match self.taken(&map).or_else(|| hidden(&map)) {
            Some(error) => Err(error),
            None => Ok(map),
        }
    }

    /// What is wrong where two commands are given the same keys: the one that is said later has them.
    fn taken(&self, map: &KeyMap) -> Option<String> {
        let said = self.keys.iter().flat_map(|(id, keys)| keys.iter().map(move |keys| (id, keys)));
        said.filter_map(|(id, keys)| Some((id, keys.parse::<Keys>().ok()?))).find_map(|(id, keys)| {
            let has = |command: &&Command| map.of(**command).any(|bound| *bound == keys);
            let has_it = Command::ALL.iter().filter(has).any(|command| command.id() == id);
            let other = Command::ALL.iter().rfind(|command| has(command)).filter(|_| !has_it)?;
            Some(format!("{id}: {keys} is given to {} too: bind one of the two to other keys", other.id()))
        })
    }
}

/// What is wrong where some keys are the beginning of others, which nobody could press then.
fn hidden(map: &KeyMap) -> Option<String> {
    let bound = || Command::ALL.iter().flat_map(|command| map.of(*command).map(|keys| (command.id(), keys)));
    bound().find_map(|(command, keys)| {
        let is_longer = |longer: &Keys| longer != keys && longer.0.starts_with(&keys.0);
        let (other, longer) = bound().find(|(_, longer)| is_longer(longer))?;
        Some(format!("{command}: {keys} is the beginning of {longer} ({other}): bind one of the two to other keys"))
    })
}

/// How the settings stand: where they are, and what in them one may not have meant; those of `named` were read from
/// `path`.
///
/// # Errors
/// What is wrong with those that are found.
pub(super) fn standing(path: Option<&Path>, named: Option<Settings>) -> Result<String> {
    let (is_named, looked_for) = (named.is_some(), path.map(Path::to_owned).or_else(self::path));
    let settings = Settings::or_found(named)?;
    let mut text = match looked_for {
        None => "there is no home to look for settings in: give --config\n".to_owned(),
        Some(path) if is_named || path.is_file() => format!("{}: read, and sound\n", path.display()),
        Some(path) => {
            format!("{}: not there; relayscope config --print-template prints what may stand in it\n", path.display())
        }
    };
    settings.keyless().iter().for_each(|remark| text.extend([remark, "\n"]));
    Ok(text)
}

/// Where the settings are looked for.
pub(super) fn path() -> Option<PathBuf> {
    let named = env::var_os("RELAYSCOPE_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(folder("XDG_CONFIG_HOME", ".config")?.join("config.toml")))
}

fn folder(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let set = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").filter(|v| !v.is_empty()).map(|home| PathBuf::from(home).join(otherwise));
    Some(set.or_else(home)?.join("relayscope"))
}

/// A settings file in which everything is said and commented out.
pub(super) fn template() -> String {
    let mut text = HEAD.to_owned();
    for command in Command::ALL {
        let keys: Vec<String> = command.default_keys().iter().map(|keys| format!("{keys:?}")).collect();
        let _ = write!(text, "# {}\n#{} = [{}]\n", command.title(), command.id(), keys.join(", "));
    }
    text
}

/// What was last chosen on the dashboard.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Chosen {
    theme: Option<String>,
    filters: Vec<String>,
}

impl Chosen {
    /// What was chosen before, as far as that can be read.
    pub(super) fn read() -> Chosen {
        let text = Chosen::path().and_then(|path| fs::read_to_string(path).ok());
        text.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
    }

    fn path() -> Option<PathBuf> {
        Some(folder("XDG_STATE_HOME", ".local/state")?.join("dashboard.toml"))
    }

    /// What is chosen now.
    pub(super) fn of(dash: &Dash) -> Chosen {
        Chosen { theme: Some(dash.theme.palette.name().to_owned()), filters: dash.filters.0.clone() }
    }

    /// The palette.
    pub(super) fn palette(&self) -> Option<Palette> {
        self.theme.as_deref().and_then(Palette::parse)
    }

    /// The filters typed before.
    pub(super) fn filters(&self) -> History {
        History(self.filters.clone())
    }

    /// Keeps it for the next time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn keep(&self) -> Result<()> {
        let Some(path) = Chosen::path() else { return Ok(()) };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let partial = path.with_extension("part");
        fs::write(&partial, toml::to_string(self)?)?;
        fs::rename(partial, path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_what_holds_without_it() {
        let said: String = template().lines().filter_map(|line| line.strip_prefix('#').or(Some(line))).fold(
            String::new(),
            |text, line| {
                let is_text = line.starts_with(' ') || line.is_empty();
                if is_text { text } else { text + line + "\n" }
            },
        );
        let settings = Settings::parse(&said).unwrap();
        assert_eq!(settings.key_map().unwrap().table(), KeyMap::default().table());
        assert_eq!(settings.keys.len(), Command::ALL.len());
        let Settings { theme, ascii, mouse, tz, .. } = settings;
        assert_eq!((theme.as_deref(), ascii, mouse), (Some("muted"), Some(false), Some(true)));
        assert_eq!(tz.as_deref(), Some("utc"));
        assert!(Settings::parse(&template()).unwrap().keys.is_empty());
    }

    #[test]
    fn what_is_wrong_with_settings_is_said() {
        for (text, said) in [
            ("theme = \"pink\"", "high-contrast"),
            ("colour = 1", "unknown field"),
            ("[keys]\nfly = [\"x\"]", "relayscope keys"),
            ("[keys]\nsort = [\"alt-x\"]", "no key"),
            ("[keys]\ngroup = [\"g\"]", "group: g is the beginning of g g (top)"),
            ("[keys]\nsort = [\"z\"]\ngroup = [\"z\"]", "group: z is given to sort too"),
            ("[keys]\nsort = [\"x\", \"s\"]", "sort: x is the beginning of x x (clear)"),
        ] {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(Settings::parse("[keys]\ngroup = [\"g\"]\ntop = [\"home\"]").is_ok());
        assert!(Settings::parse("tz = \"local\"").is_ok());
        assert!(Settings::parse("tz = \"Mars\"").unwrap_err().contains("utc, local"));
    }

    #[test]
    fn a_command_without_keys_is_told_of() {
        let keyless = |text: &str| Settings::parse(text).unwrap().keyless();
        assert!(keyless("").is_empty());
        assert_eq!(keyless("[keys]\ngroup = [\"s\"]"), ["sort: has no key any more, as s is given to group"]);
        // who takes them away knows
        assert!(keyless("[keys]\ngroup = [\"s\"]\nsort = []").is_empty());
    }

    #[test]
    fn what_was_chosen_is_read_again() {
        let chosen = Chosen { theme: Some("cb".to_owned()), filters: vec!["relay rate>1M".to_owned()] };
        let text = toml::to_string(&chosen).unwrap();
        assert_eq!(toml::from_str::<Chosen>(&text).unwrap(), chosen);
        assert_eq!(chosen.palette(), Some(Palette::ColourBlind));
    }
}
