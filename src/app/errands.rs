//! What the dashboard has others do: reports and carved captures are written by the program's own commands, so that they
//! are what those would write.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::screen::{self, Teller};
use crate::cli::JudgeArgs;
use crate::dash::theme::Role;
use crate::event::Rfc3339;
use crate::time::Timestamp;

/// The longest name that is made of what is written.
const NAME_MAX: usize = 60;

/// By what captures were read and judged.
#[derive(Clone, Debug)]
pub(super) struct Errands {
    paths: Vec<PathBuf>,
    judge: Vec<OsString>,
}

impl Errands {
    /// For these captures, judged so.
    pub(super) fn new(paths: &[PathBuf], judge: &JudgeArgs) -> Errands {
        let mut args: Vec<OsString> = Vec::new();
        for (flag, path) in [("--site", &judge.site), ("--catalogue", &judge.catalogue)] {
            if let Some(path) = path {
                args.extend([flag.into(), path.clone().into_os_string()]);
            }
        }
        if let Some(product) = judge.product {
            args.extend(["--product".into(), super::product_id(product).name().into()]);
        }
        Errands { paths: paths.to_vec(), judge: args }
    }

    /// Writes the report, and says where it is.
    pub(super) fn report(&self, begun: Timestamp, teller: &Teller) {
        let mut args = vec!["analyze".into(), "--html".into()];
        args.extend(self.judge.iter().cloned());
        self.run("the report", args, &name(begun, "relayscope-report", "html"), teller);
    }

    /// Writes the packets of flows to a capture file, and says where it is.
    pub(super) fn carve(&self, flows: &[u64], what: &str, begun: Timestamp, teller: &Teller) {
        let ids: Vec<String> = flows.iter().map(ToString::to_string).collect();
        let filter = format!("id:{}", ids.join(","));
        let mut args = vec!["carve".into(), "-Y".into(), filter.into()];
        args.extend(self.judge.iter().cloned());
        self.run("the packets", args, &name(begun, what, "pcapng"), teller);
    }

    /// Runs a command of this program on the captures, beside all else.
    fn run(&self, what: &'static str, mut args: Vec<OsString>, output: &str, teller: &Teller) {
        if self.paths.iter().any(|path| path == Path::new("-")) {
            let text = format!("{what} cannot be written: a pipe can be read only once");
            return screen::say(teller, Role::Error, text);
        }
        let output = free(output);
        args.extend(["-q".into(), "-o".into(), output.clone().into(), "--".into()]);
        args.extend(self.paths.iter().map(|path| path.clone().into_os_string()));
        let listener = teller.clone();
        let run = move || {
            let (role, text) = match done(&args, &output) {
                Ok(()) => (Role::Ok, format!("{what}: written to {}", output.display())),
                Err(error) => (Role::Error, format!("{what} could not be written: {error:#}")),
            };
            screen::say(&listener, role, text);
        };
        screen::say(teller, Role::Muted, format!("writing {what} …"));
        if std::thread::Builder::new().name("errand".to_owned()).spawn(run).is_err() {
            screen::say(teller, Role::Error, format!("{what} cannot be written: no thread can be had"));
        }
    }
}

/// Runs this program; what went wrong is the first line that it said.
fn done(args: &[OsString], output: &Path) -> Result<()> {
    let program = std::env::current_exe().context("the program's own file is not known")?;
    let ran = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("it cannot be run")?;
    // of a capture that is cut short there is a report as well
    if output.is_file() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
    Err(anyhow::anyhow!("{}", line.trim_start_matches("relayscope: ").trim_start_matches("error: ")))
}

/// A name for what is written: the day of the capture, and what it is.
fn name(begun: Timestamp, what: &str, extension: &str) -> String {
    let day: String = Rfc3339(begun).to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let what: String = what.chars().map(plain).take(NAME_MAX).collect();
    format!("{day}-{what}.{extension}")
}

/// The name, with a number where that name is taken.
fn free(name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let others = (2..1000).map(|n| PathBuf::from(format!("{stem}-{n}.{extension}")));
    std::iter::once(path.clone()).chain(others).find(|path| !path.exists()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_day_and_hold_nothing_that_leads_elsewhere() {
        let at = Timestamp(1_750_000_000_000_000_000);
        assert_eq!(name(at, "CF-1-0123/../x", "pcapng"), "20250615-CF-1-0123----x.pcapng");
        assert!(name(at, &"x".repeat(500), "html").len() < 100);
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        assert_eq!(free("Cargo.toml"), Path::new("Cargo-2.toml"));
        assert_eq!(free("no-such.html"), Path::new("no-such.html"));
    }
}
