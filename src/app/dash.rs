//! The dashboard on recorded traffic.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result};

use super::player::{Given, Order, Player};
use super::screen::{self, Teller, World};
use super::{config, knowledge, rules};
use crate::cli::{JudgeArgs, ScreenArgs};
use crate::dash::state::Dash;
use crate::dash::theme::{Depth, Palette, Role, Theme};
use crate::dash::update::{Action, Effect};
use crate::diagnose;
use crate::diagnose::rules::Rules;
use crate::exit::Exit;
use crate::monitor::Settings;
use crate::present::color::Color;

/// What the dashboard is opened with.
pub(super) struct Opening<'a> {
    /// The captures.
    pub paths: Vec<PathBuf>,
    /// What they are judged by.
    pub judge: &'a JudgeArgs,
    /// How the screen looks.
    pub screen: &'a ScreenArgs,
    /// When to colour.
    pub color: Color,
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

/// How the screen looks by arguments and environment.
pub(super) fn theme(args: &ScreenArgs, color: Color) -> Theme {
    let env = |name: &str| std::env::var_os(name);
    let depth = Depth::of(color, env);
    let palette = args.theme.as_deref().and_then(Palette::parse).unwrap_or_default();
    Theme { palette, depth, ascii: args.ascii || !speaks_utf8(env) }
}

/// Whether the locale says that the terminal shows more than ASCII.
fn speaks_utf8(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|v| !v.is_empty()));
    let Some(locale) = locale else { return true };
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// What the dashboard asks for while captures are played.
struct Replay<'a> {
    orders: Sender<Order>,
    rules: &'a Rules,
}

impl World for Replay<'_> {
    fn perform(&mut self, effect: Effect, teller: &Teller) {
        match effect {
            Effect::Play(play) => _ = self.orders.send(Order::Play(play)),
            Effect::Explain(rule) => {
                let text = diagnose::explain::explain(&rule, self.rules).unwrap_or_default();
                let lines = text.lines().map(str::to_owned).collect();
                let _ = teller.send(screen::Happening::Action(Action::Show(rule, lines)));
            }
            Effect::Carve(..) | Effect::Report => {
                screen::say(teller, Role::Muted, "this cannot be written yet".to_owned());
            }
            Effect::Quit | Effect::Redraw | Effect::Copy(_) | Effect::Keep => {}
        }
    }

    fn want(&mut self, flow: Option<u64>) {
        let _ = self.orders.send(Order::Want(flow));
    }
}

/// Shows captures on the dashboard until it is left.
pub(super) fn replay(opening: &Opening<'_>) -> Result<Exit> {
    let judge = opening.judge;
    let mut base = knowledge(judge.catalogue.as_ref(), judge.site.as_ref(), judge.product)?;
    let rules = rules(&mut base, judge.catalogue.as_ref())?;
    let settings = Settings::embedded().context("the settings that come with the program")?;
    let (teller, happenings) = screen::happenings()?;
    let config = config(&base, true);
    let given = Given { paths: &opening.paths, config: &config, base: &base, rules: &rules };
    std::thread::scope(|scope| {
        let player = Player::new(given, settings, opening.speed, teller.clone());
        let mut dash = Dash::new(player.snapshot(), theme(opening.screen, opening.color), true);
        if let Some(filter) = &opening.filter {
            dash.set_filter(filter);
        }
        let (orders, ordered) = channel();
        let mut world = Replay { orders, rules: &rules };
        std::thread::Builder::new()
            .name("player".to_owned())
            .spawn_scoped(scope, move || player.play(&ordered))
            .context("no thread can be had to read with")?;
        let stopped = screen::run(&mut dash, !opening.screen.no_mouse, &teller, &happenings, &mut world)?;
        Ok(if stopped { Exit::Interrupted } else { Exit::Fine })
    })
}
