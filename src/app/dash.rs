//! The dashboard on recorded traffic.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use anyhow::{Context, Result};

use super::errands::Errands;
use super::player::{self, Given, Order};
use super::publish::{Publisher, source_name};
use super::screen::{self, Happening, Teller, World};
use super::settings::{Chosen, Settings};
use super::{config, knowledge, rules};
use crate::cli::{JudgeArgs, ScreenArgs};
use crate::dash::snapshot::Snapshot;
use crate::dash::state::Dash;
use crate::dash::theme::{Depth, Palette, Role, Theme};
use crate::dash::update::{Action, Effect};
use crate::diagnose;
use crate::diagnose::rules::Rules;
use crate::engine::naming::KnowledgeBase;
use crate::event::{FindingRecord, Severity};
use crate::exit::{Exit, Outcome};
use crate::handover::can_be_read_again;
use crate::monitor;
use crate::present::color::Look;
use crate::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};

/// What the dashboard is opened with.
pub(super) struct Opening<'a> {
    /// The captures.
    pub paths: Vec<PathBuf>,
    /// What they are judged by.
    pub judge: &'a JudgeArgs,
    /// How the screen looks.
    pub screen: &'a ScreenArgs,
    /// What the user has set.
    pub settings: &'a Settings,
    /// How times are told, and when to colour.
    pub look: Look,
    /// How fast to play; `None` reads all at once.
    pub speed: Option<f64>,
    /// The filter to begin with.
    pub filter: Option<String>,
}

/// Whether there is someone to look at a dashboard.
pub(super) fn is_watched() -> bool {
    let smart = std::env::var_os("TERM").is_some_and(|term| !term.is_empty());
    smart && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Whether a dashboard is opened on these captures: somebody looks, and there is something to be seen.
pub(super) fn opens(paths: &[PathBuf]) -> bool {
    is_watched() && !is_unreadable(paths)
}

/// Whether no frame can be had of these files, and something is wrong with them: there is nothing to open a dashboard
/// for then. What can be read only once is not asked.
fn is_unreadable(paths: &[PathBuf]) -> bool {
    // what is not there is no pipe either, unless it is what comes in
    let is_missing = |path: &PathBuf| path.as_os_str() != "-" && !path.exists();
    if !paths.iter().all(|path| can_be_read_again(std::slice::from_ref(path)) || is_missing(path)) {
        return false;
    }
    let (mut source, mut chunk) = (Source::open(paths, CHUNK_BYTES), Chunk::default());
    while source.fill(&mut chunk) == Fill::More {
        if !chunk.frames.is_empty() {
            return false;
        }
    }
    source.take_problems().any(|problem| matches!(problem, Problem::Error(_)))
}

/// A screen that shows `snapshot`, as arguments, settings, what was chosen before and the environment have it.
pub(super) fn screen(
    args: &ScreenArgs,
    settings: &Settings,
    look: Look,
    snapshot: Arc<Snapshot>,
    replay: bool,
) -> Dash {
    let env = |name: &str| std::env::var_os(name);
    let chosen = Chosen::read();
    let named = |name: &Option<String>| name.as_deref().and_then(Palette::parse);
    let palette = named(&args.theme).or_else(|| chosen.palette()).or_else(|| named(&settings.theme));
    let ascii = args.ascii || settings.ascii.unwrap_or(!shows_more_than_ascii(env));
    let theme = Theme { palette: palette.unwrap_or_default(), depth: Depth::of(look.color, env), ascii };
    let mut dash = Dash::new(snapshot, theme, replay);
    dash.zone = look.zone;
    dash.filters = chosen.filters();
    // what cannot be bound was told when the settings were read
    dash.keys = settings.key_map().unwrap_or_default();
    dash
}

/// Whether the mouse is taken.
pub(super) fn takes_mouse(args: &ScreenArgs, settings: &Settings) -> bool {
    !args.no_mouse && settings.mouse.unwrap_or(true)
}

/// Whether locale and terminal say that there is more than ASCII to be seen: the fonts of Linux's console have neither
/// signs nor bars.
fn shows_more_than_ascii(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    env("TERM").is_none_or(|term| term != "linux") && speaks_utf8(env)
}

/// Whether the locale says that the terminal shows more than ASCII.
fn speaks_utf8(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|v| !v.is_empty()));
    let Some(locale) = locale else { return true };
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// What the dashboard asks for while captures are played.
struct Replay<'s, 'a> {
    orders: Sender<Order>,
    rules: &'a Rules,
    base: Arc<KnowledgeBase>,
    errands: Errands<'a>,
    scope: &'s Scope<'s, 'a>,
}

impl World for Replay<'_, '_> {
    fn perform(&mut self, effect: Effect, dash: &Dash, teller: &Teller) {
        let begun = dash.snapshot.quality.first.unwrap_or_default();
        match effect {
            Effect::Play(play) => _ = self.orders.send(Order::Play(play)),
            Effect::Carve(flows, what) => self.errands.carve(self.scope, &flows, &what, begun),
            Effect::Report => self.errands.report(self.scope, begun, dash.zone),
            Effect::Role(ip) => self.turn_role(ip, dash, teller),
            effect => at_hand(effect, self.rules, dash, teller),
        }
    }

    fn want(&mut self, flow: Option<u64>) {
        let _ = self.orders.send(Order::Want(flow));
    }
}

impl Replay<'_, '_> {
    /// Says another role of a host, and has all judged anew by that.
    fn turn_role(&mut self, ip: IpAddr, dash: &Dash, teller: &Teller) {
        let mut base = (*self.base).clone();
        let role = base.site.turn_role(ip).map_or("what its packets tell of it", |role| match role {
            "recorder" => "a recorder",
            _ => "a client",
        });
        self.base = Arc::new(base);
        self.errands.judge_by(Arc::clone(&self.base));
        let _ = self.orders.send(Order::Judge(Arc::clone(&self.base)));
        screen::say(teller, Role::Info, format!("{} is {role}: all is judged anew", dash.mask.ip(ip)));
    }
}

/// Does what needs neither packets nor a player.
pub(super) fn at_hand(effect: Effect, rules: &Rules, dash: &Dash, teller: &Teller) {
    match effect {
        Effect::Explain(rule) => {
            let lines = diagnose::explain::lines(&rule, rules).unwrap_or_default();
            let _ = teller.send(Happening::Action(Action::Show(rule, lines)));
        }
        Effect::Keep => {
            if let Err(error) = Chosen::of(dash).keep() {
                screen::say(teller, Role::Muted, format!("what was chosen cannot be kept for the next time: {error}"));
            }
        }
        _ => {}
    }
}

/// Shows captures on the dashboard until it is left.
pub(super) fn replay(opening: &Opening<'_>) -> Result<Exit> {
    let judge = opening.judge;
    let mut base = knowledge(judge.catalogue.as_ref(), judge.site.as_ref(), judge.product)?;
    let rules = rules(&mut base, judge.catalogue.as_ref())?;
    let intervals = monitor::Settings::embedded().context("the settings that come with the program")?;
    let (teller, happenings) = screen::happenings()?;
    let config = config(&base, true);
    let stop = Arc::default();
    let exit = Mutex::new(Outcome::new(judge.fail_on.is_some()));
    let given = Given { paths: &opening.paths, config: &config, base: &base, rules: &rules, stop: &stop, exit: &exit };
    std::thread::scope(|scope| {
        let base = Arc::new(base.clone());
        let publisher = Publisher::new(source_name(&opening.paths), teller.clone());
        let first = Arc::clone(publisher.shown());
        let mut dash = screen(opening.screen, opening.settings, opening.look, first, true);
        if let Some(filter) = &opening.filter {
            dash.set_filter(filter);
        }
        let (orders, ordered) = channel();
        let errands = Errands::new(given, Arc::clone(&base), teller.clone());
        let mut world = Replay { orders, rules: &rules, base: Arc::clone(&base), errands: errands.clone(), scope };
        std::thread::Builder::new()
            .name("player".to_owned())
            .spawn_scoped(scope, move || player::play(given, base, intervals, opening.speed, publisher, &ordered))
            .context("no thread can be had to read with")?;
        let mouse = takes_mouse(opening.screen, opening.settings);
        let stopped = screen::run(&mut dash, mouse, &teller, &happenings, &mut world);
        // that a pipe is read no further, now that nobody looks, is not its fault
        let mut exit = *exit.lock().unwrap_or_else(PoisonError::into_inner);
        note_shown(&dash.snapshot, judge.fail_on, &mut exit);
        stop.store(true, Ordering::Relaxed);
        errands.finish(!matches!(stopped, Ok(false)), &happenings);
        if stopped? {
            exit.note(Exit::Interrupted);
        }
        Ok(exit.exit())
    })
}

/// Notes what was shown last, for whoever asked that faults count.
fn note_shown(shown: &Snapshot, fail_on: Option<Severity>, exit: &mut Outcome) {
    let counts = |finding: &FindingRecord| finding.is_claim() && fail_on.is_some_and(|least| finding.severity >= least);
    if shown.findings.iter().any(counts) {
        exit.note(Exit::Finding);
    }
    if shown.poor {
        exit.note(Exit::Poor);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_dashboard_is_opened_for_what_has_frames_alone() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let unreadable = |names: &[&str]| is_unreadable(&names.iter().map(|name| here.join(name)).collect::<Vec<_>>());
        assert!(unreadable(&["no-such.pcap"]) && unreadable(&["Cargo.toml"]));
        assert!(unreadable(&["no-such.pcap", "Cargo.toml"]));
        assert!(!unreadable(&["captures/first-view.pcapng"]));
        assert!(!unreadable(&["no-such.pcap", "captures/first-view.pcapng"]), "one of them can be read");
    }
}
