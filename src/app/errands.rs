//! What the dashboard has others do: reports and carved captures are written by threads of their own, from the files.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use anyhow::{Result, anyhow};

use super::default_threads;
use super::output::deliver;
use super::player::Given;
use super::screen::{self, Happening, Teller};
use crate::dash::deeds::written;
use crate::dash::theme::Role;
use crate::dash::update::Action;
use crate::engine::naming::KnowledgeBase;
use crate::event::Rfc3339;
use crate::handover::carve::Treatment;
use crate::handover::{Attention, Read, can_be_read_again};
use crate::pipeline;
use crate::present::color::Look;
use crate::present::page::Markup;
use crate::source::{CHUNK_BYTES, Progress, Source};
use crate::text::zone::Zone;
use crate::time::Timestamp;

/// The longest name that is made of what is written.
const NAME_MAX: usize = 60;
/// How often it is said how far an errand has come, in hundredths of the capture.
const STEP: u64 = 10;

/// What is to be written.
enum Errand {
    /// The report, with times by this clock.
    Report(Zone),
    /// The packets of these flows.
    Carve(HashSet<u64>),
}

impl Display for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Errand::Report(_) => "the report",
            Errand::Carve(_) => "the packets",
        })
    }
}

/// Runs errands on captures, beside all else.
#[derive(Clone)]
pub(super) struct Errands<'a> {
    given: Given<'a>,
    /// What they are judged by.
    base: Arc<KnowledgeBase>,
    teller: Teller,
    /// Nothing more is to be written.
    stop: Arc<AtomicBool>,
    under_way: Arc<AtomicUsize>,
}

impl<'a> Errands<'a> {
    /// For these captures; what comes of an errand is told to `teller`.
    pub(super) fn new(given: Given<'a>, base: Arc<KnowledgeBase>, teller: Teller) -> Errands<'a> {
        Errands { given, base, teller, stop: Arc::default(), under_way: Arc::default() }
    }

    /// What is written from now on is judged by this.
    pub(super) fn judge_by(&mut self, base: Arc<KnowledgeBase>) {
        self.base = base;
    }

    /// Writes the report, and says where it is.
    pub(super) fn report<'s>(&self, scope: &'s std::thread::Scope<'s, 'a>, begun: Timestamp, zone: Zone) {
        self.send(scope, Errand::Report(zone), name(begun, "relayscope-report", "html"));
    }

    /// Writes the packets of flows to a capture file, and says where it is.
    pub(super) fn carve<'s>(&self, scope: &'s std::thread::Scope<'s, 'a>, flows: &[u64], what: &str, begun: Timestamp) {
        self.send(scope, Errand::Carve(flows.iter().copied().collect()), name(begun, what, "pcapng"));
    }

    fn send<'s>(&self, scope: &'s std::thread::Scope<'s, 'a>, errand: Errand, output: String) {
        if !can_be_read_again(self.given.paths) {
            let text = format!("{errand} cannot be written: a pipe can be read only once");
            return screen::say(&self.teller, Role::Error, text);
        }
        let output = free(&output);
        let errands = self.clone();
        screen::say(&self.teller, Role::Muted, format!("writing {errand} …"));
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let run = move || {
            let said = match errands.run(&errand, &output) {
                Ok(()) => Action::Wrote(errand.to_string(), output.display().to_string()),
                Err(error) => Action::Say(Role::Error, format!("{errand} could not be written: {error:#}")),
            };
            // whoever waits is woken by what is said last
            errands.under_way.fetch_sub(1, Ordering::SeqCst);
            _ = errands.teller.send(Happening::Action(said));
        };
        if std::thread::Builder::new().name("errand".to_owned()).spawn_scoped(scope, run).is_err() {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            screen::say(&self.teller, Role::Error, "no thread can be had to write with".to_owned());
        }
    }

    /// Reads the captures, and writes what is wanted of them.
    fn run(&self, errand: &Errand, output: &Path) -> Result<()> {
        let (Given { paths, config, rules, .. }, base) = (self.given, &*self.base);
        let step = AtomicU64::new(0);
        let progress = |progress: &Progress| self.tell(errand, progress, &step);
        let say = |text: &str| screen::say(&self.teller, Role::Warning, text.to_owned());
        let source = Source::open(paths, CHUNK_BYTES);
        let outcome = pipeline::run(source, config, default_threads(), &self.stop, &mut |p: &Progress| progress(p));
        let warnings: Vec<String> = outcome.problems.iter().map(ToString::to_string).collect();
        if outcome.facts.frames == 0 {
            return Err(anyhow!(warnings.into_iter().next().unwrap_or_else(|| "the capture is empty".to_owned())));
        }
        let naming = outcome.name(base);
        let read = Read { paths, outcome: &outcome, naming: &naming, base, rules };
        let attention = Attention { stop: &self.stop, progress: &progress, say: &say };
        deliver(Some(output), Look::default(), |out, _| {
            match errand {
                Errand::Report(zone) => {
                    _ = read.page(out, read.report(warnings, None, true), None, (Markup::Html, *zone), attention)?
                }
                Errand::Carve(flows) => _ = read.carve_flows(out, flows, Treatment::default(), attention)?,
            }
            // of what was read in part nothing is to lie about
            if self.stop.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { out.flush() }
        })
    }

    /// Says how far a reading of the captures has come, now and then.
    fn tell(&self, errand: &Errand, progress: &Progress, step: &AtomicU64) {
        let Some(total) = progress.bytes_total.filter(|total| *total > 0) else { return };
        let share = progress.bytes_read.saturating_mul(100) / total / STEP * STEP;
        if step.swap(share, Ordering::Relaxed) != share {
            screen::say(&self.teller, Role::Muted, format!("writing {errand}: {share} %"));
        }
    }

    /// Waits for what is under way when the dashboard is left; gives it up if that is what is wanted, at once or
    /// meanwhile.
    pub(super) fn finish(&self, give_up: bool, happenings: &Receiver<Happening>) {
        self.stop.store(give_up, Ordering::Relaxed);
        let waited = self.under_way.load(Ordering::SeqCst) > 0 && !give_up;
        while self.under_way.load(Ordering::SeqCst) > 0 {
            match happenings.recv() {
                Ok(Happening::Action(Action::Say(Role::Error, text))) if waited => super::say(&text),
                Ok(Happening::Action(Action::Wrote(what, name))) if waited => super::say(&written(&what, &name)),
                Ok(Happening::Stop) | Err(_) => self.stop.store(true, Ordering::Relaxed),
                Ok(_) => {}
            }
        }
    }
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
