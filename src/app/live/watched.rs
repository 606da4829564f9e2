//! The dashboard on a live capture: snapshots instead of lines.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Context, Result};

use super::super::dash::{at_hand, screen, takes_mouse};
use super::super::publish::{Publisher, clock};
use super::super::say;
use super::super::screen::{self, Happening, Teller, World};
use super::super::settings::Settings;
use super::noting::Noting;
use super::{Front, LiveArgs, Load};
use crate::capture::recorder::Note;
use crate::dash::snapshot::{Phase, Snapshot};
use crate::dash::state::Dash;
use crate::dash::theme::Role;
use crate::dash::update::{Action, Effect};
use crate::diagnose::rules::Rules;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Stats};
use crate::exit::Exit;
use crate::monitor::{Monitor, Sink};
use crate::present::color::Look;
use crate::present::human::left_ellipsis;
use crate::present::in_short;
use crate::present::ndjson::Ndjson;

/// Shows what comes on a dashboard.
pub(super) struct Watched {
    publisher: Publisher,
    teller: Teller,
    /// The flow of which more is wanted.
    wanted: Receiver<Option<u64>>,
    left: Arc<AtomicBool>,
    /// How many frames there were when there were last more, and when that was.
    came: (u64, Instant),
    /// Takes the notes that findings leave in the capture's files.
    noting: Noting<io::Sink>,
}

impl Front for Watched {
    fn turn(&mut self, monitor: &mut Monitor<'_>, load: &Load) -> io::Result<bool> {
        if self.left.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let asked = self.wanted.try_iter().last();
        if let Some(wanted) = asked {
            self.publisher.wanted = wanted;
        }
        let is_due = match load.is_pressed() {
            true => self.publisher.is_due_waited(),
            false => asked.is_some() || self.publisher.is_due(),
        };
        if is_due {
            let silent = self.came.1.elapsed().as_secs();
            self.publisher.publish(monitor, None, Phase::Live(silent), |snapshot| {
                snapshot.queue = Some(load.fill);
                None
            });
            let frames = self.publisher.shown().stats.frames;
            if frames > self.came.0 {
                self.came = (frames, clock());
            }
        }
        Ok(true)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        self.noting.take_notes()
    }

    fn say(&mut self, line: &str) {
        screen::say(&self.teller, Role::Info, line.to_owned());
    }
}

impl Sink for Watched {
    type Error = io::Error;

    fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        self.noting.flow(record)
    }

    fn session(&mut self, record: &SessionRecord) -> io::Result<()> {
        self.noting.session(record)
    }

    fn finding(&mut self, record: &FindingRecord) -> io::Result<()> {
        self.noting.finding(record)
    }

    fn capture_quality(&mut self, record: &CaptureQuality) -> io::Result<()> {
        self.noting.capture_quality(record)
    }

    fn stats(&mut self, record: &Stats) -> io::Result<()> {
        self.noting.stats(record)
    }
}

/// What the dashboard asks for while packets are taken.
struct Asking<'a> {
    wanted: Sender<Option<u64>>,
    rules: &'a Rules,
    file: Option<String>,
}

impl World for Asking<'_> {
    fn perform(&mut self, effect: Effect, dash: &Dash, teller: &Teller) {
        match effect {
            Effect::Carve(..) => screen::say(teller, Role::Muted, later("carving", self.file.as_deref())),
            Effect::Report => screen::say(teller, Role::Muted, later("report", self.file.as_deref())),
            Effect::Role(_) => {
                let text = "no roles are set while capturing: start live with --site FILE that tells them";
                screen::say(teller, Role::Muted, text.to_owned());
            }
            // the rights to write outside the capture's folder were given up
            Effect::Keep => {}
            effect => at_hand(effect, self.rules, dash, teller),
        }
    }

    fn want(&mut self, flow: Option<u64>) {
        let _ = self.wanted.send(flow);
    }
}

/// Columns that the name of a file may take: what is said of it fits into a line of the smallest usual terminal.
const FILE_COLUMNS: usize = 22;

/// Says that there is none of that while packets are taken, and how to have it afterwards.
fn later(what: &str, file: Option<&str>) -> String {
    match file {
        Some(file) => {
            format!("no {what} while capturing: relayscope {} can, afterwards", left_ellipsis(file, FILE_COLUMNS))
        }
        None => format!("no {what} while capturing: start live with -w FILE, and open that later"),
    }
}

/// Runs a capture with a dashboard in front of it, until that is left. `run` takes packets until it is told to stop.
pub(super) fn watch(
    args: &LiveArgs,
    settings: &Settings,
    look: Look,
    rules: &Rules,
    run: impl FnOnce(Watched) -> Result<Exit> + Send,
) -> Result<Exit> {
    let (teller, happenings) = screen::happenings()?;
    let left = Arc::new(AtomicBool::new(false));
    let (wanting, wanted) = channel();
    let front = Watched {
        publisher: Publisher::new(args.interface.join(" "), teller.clone()),
        teller: teller.clone(),
        wanted,
        left: Arc::clone(&left),
        came: (0, clock()),
        noting: Noting::new(Ndjson::new(io::sink())),
    };
    let first = Snapshot { phase: Phase::Live(0), ..(**front.publisher.shown()).clone() };
    let mut dash = screen(&args.screen, settings, look, Arc::new(first), false);
    dash.kept = args.write.is_some() && args.ring.is_none();
    if let Some(filter) = &args.filter {
        dash.set_filter(&filter.to_string());
    }
    let file = args.write.as_ref().map(|path| path.display().to_string());
    let mut world = Asking { wanted: wanting, rules, file };
    std::thread::scope(|scope| {
        let listener = teller.clone();
        let capture = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn_scoped(scope, move || {
                let ran = run(front);
                let text = match &ran {
                    Ok(_) => "the capture has ended; q leaves".to_owned(),
                    Err(error) => format!("the capture has ended: {error:#}"),
                };
                let _ = listener.send(Happening::Action(Action::Say(Role::Warning, text)));
                ran
            })
            .context("no thread can be had to capture with")?;
        let shown = screen::run(&mut dash, takes_mouse(&args.screen, settings), &teller, &happenings, &mut world);
        left.store(true, Ordering::Relaxed);
        let ran = capture.join().unwrap_or(Ok(Exit::Fine));
        // what the capture came to is said when the screen is gone: it had no time to be read there
        let mut last = Arc::clone(dash.held.as_ref().unwrap_or(&dash.snapshot));
        for happening in happenings.try_iter() {
            match happening {
                Happening::Action(Action::Say(Role::Info, text)) => say(&text),
                Happening::Action(Action::Publish(snapshot)) => last = snapshot,
                _ => {}
            }
        }
        if !args.common.quiet {
            // nobody may have stood by when they were on the screen
            let _ = farewell(&mut io::stderr().lock(), &dash, &last, look, args.write.as_deref());
        }
        let stopped = shown?;
        let exit = ran?;
        Ok(if stopped && exit == Exit::Fine { Exit::Interrupted } else { exit })
    })
}

/// What was found until the screen was left, and what tells more of it.
fn farewell(out: &mut impl Write, dash: &Dash, last: &Snapshot, look: Look, file: Option<&Path>) -> io::Result<()> {
    if last.findings.is_empty() {
        return Ok(());
    }
    let file = file.filter(|_| dash.kept);
    let all = file.map(|file| format!("relayscope {}", file.display()));
    let style = look.style(io::stderr().is_terminal(), |name| std::env::var_os(name)).in_columns(0);
    for line in in_short(&last.findings, all.as_deref().unwrap_or("--no-tui"), style) {
        writeln!(out, "{}", dash.mask.prose(&line))?;
    }
    match file {
        Some(file) => {
            writeln!(out, "relayscope: a report of it: relayscope analyze --html -o report.html {}", file.display())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::theme::Theme;
    use crate::present::color::Color;
    use crate::present::sample;

    #[test]
    fn what_was_found_is_said_when_the_screen_is_gone() {
        let told = |findings, file: Option<&str>, kept| {
            let last = Snapshot { findings, ..Snapshot::default() };
            let mut dash = Dash::new(Arc::new(last.clone()), Theme::default(), false);
            dash.kept = kept;
            let mut out = Vec::new();
            farewell(&mut out, &dash, &last, Look::of(Color::Never), file.map(Path::new)).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told(Vec::new(), Some("lv.pcapng"), true), "");
        let findings = sample::findings();
        let text = told(findings.clone(), Some("lv.pcapng"), true);
        assert!(text.contains(&findings[0].title[..20]) && text.contains(findings[0].rule), "{text}");
        assert!(text.ends_with("relayscope analyze --html -o report.html lv.pcapng\n"), "{text}");
        assert!(text.lines().all(|line| line.starts_with("relayscope: ") || line.chars().count() <= 80), "{text}");
        assert!(!told(findings, None, false).contains("--html"));
    }

    #[test]
    fn why_there_is_none_fits_into_eighty_columns() {
        for what in ["carving", "report"] {
            for file in [None, Some("lv.pcapng"), Some("/srv/captures/customers/site-7/monday-morning.pcapng")] {
                let text = later(what, file);
                assert!(text.starts_with(&format!("no {what} while capturing: ")), "{text}");
                assert!(text.chars().count() <= 78, "{text}");
            }
        }
        assert_eq!(later("report", Some("a.pcapng")), "no report while capturing: relayscope a.pcapng can, afterwards");
    }
}
