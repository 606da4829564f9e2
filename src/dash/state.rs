//! The state of the screen: what is looked at, where one stands in it, what is being typed.

use std::sync::Arc;

use ratatui::layout::Rect;

use super::command::{Command, KeyMap, Scope};
use super::detail::Tab;
use super::key::Key;
use super::listing::{Column, Lister, Listing, Row, Wish};
use super::mask::Mask;
use super::prompt::{History, Prompt};
use super::snapshot::{Phase, Snapshot};
use super::theme::{Role, Theme};
use crate::engine::light::Light;
use crate::event::FindingRecord;
use crate::event::word::words;
use crate::filter::Filter;
use crate::text::zone::Zone;
use crate::time::Timestamp;

words! {
    /// The views.
    #[derive(Default)]
    View {
        /// The verdict, the ways to view, the site.
        #[default]
        Overview "Overview",
        /// Every flow.
        Flows "Flows",
        /// What is wrong.
        Findings "Findings",
        /// Attempts to view.
        Sessions "Sessions",
        /// What must be allowed.
        AllowList "Allow-list",
        /// Hosts of the site.
        Hosts "Hosts",
        /// What the capture is worth.
        Capture "Capture",
    }
}

/// What has the keyboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mode {
    /// Keys are commands.
    #[default]
    Normal,
    /// A filter is typed.
    Filter(Prompt),
    /// A command is looked for; which of those that match is selected.
    Palette(Prompt, usize),
    /// The keys are shown, scrolled by so many lines.
    Help(usize),
    /// A text is shown, scrolled by so many lines.
    Text {
        /// What it is.
        title: String,
        /// Its lines.
        lines: Vec<String>,
        /// How far it is scrolled.
        scroll: usize,
    },
    /// Whether to leave is asked.
    Leave,
}

/// The detail pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetailPane {
    /// Its tab.
    pub tab: Tab,
    /// How far it is scrolled.
    pub scroll: usize,
}

/// What a click on a place does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hit {
    /// What a command does.
    Command(Command),
    /// Selects a line of the view's list, and opens it if it was selected.
    Line(usize),
    /// Selects a line of the overview's findings.
    Verdict(usize),
    /// Sorts by a column.
    Sort(Column),
    /// Turns to a tab of the detail.
    Tab(Tab),
    /// Plays on from a moment.
    Seek(Timestamp),
    /// Takes hold of what stands between a list and its detail.
    Split(Split),
    /// Nothing; the wheel scrolls what is told there.
    Detail,
}

/// How an area is divided between a list and its detail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// The area of both.
    pub area: Rect,
    /// The detail stands beside the list, not beneath it.
    pub beside: bool,
}

/// Places on the screen that can be clicked; later ones lie above earlier ones.
pub type Hits = Vec<(Rect, Hit)>;

/// What drawing tells of the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// What can be clicked.
    pub hits: Hits,
    /// How far the text that is told can be scrolled.
    pub scroll_most: usize,
}

/// Flows that were entered from somewhere else, with `Enter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// From where, in words.
    pub from: String,
    /// The filter that holds for them.
    pub filter: String,
    /// The one that had been typed before.
    pub(super) before: String,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct Dash {
    /// What is shown.
    pub snapshot: Arc<Snapshot>,
    /// What came since the screen was held still.
    pub held: Option<Arc<Snapshot>>,
    /// The screen is held still.
    pub paused: bool,
    /// It can be played.
    pub replay: bool,
    /// Every frame that is captured is kept in a file.
    pub kept: bool,
    /// The view.
    pub view: View,
    /// Views that one came from.
    pub(super) trail: Vec<View>,
    /// Which keys do what.
    pub keys: KeyMap,
    /// How it looks.
    pub theme: Theme,
    /// By which clock times are told.
    pub zone: Zone,
    /// What is masked.
    pub mask: Mask,
    /// What is asked of the list of flows.
    pub wish: Wish,
    /// The filter as it was typed.
    pub filter_text: String,
    /// Where the flows were entered from that the filter shows; means nothing once the filter is another.
    pub(super) entered: Option<Entered>,
    /// Filters typed before.
    pub filters: History,
    /// The list of flows.
    pub listing: Listing,
    pub(super) lister: Lister,
    /// The selected line of each view's list.
    pub at: [usize; View::ALL.len()],
    /// The selected flow, which stays selected when the list changes.
    pub flow: Option<u64>,
    /// The selected finding, likewise.
    pub finding: Option<String>,
    /// In the overview: the flows are selected from, not the findings.
    pub in_flows: bool,
    /// Which set of columns.
    pub columns: usize,
    /// The newest flow is followed.
    pub follow: bool,
    /// The detail pane of a flow, where it is open.
    pub pane: Option<DetailPane>,
    /// The detail has the whole screen.
    pub whole: bool,
    /// How far the text of a finding or a session is scrolled.
    pub scroll: usize,
    /// The list's share of a view that has a detail, in thousandths, where it was set.
    pub shares: [Option<u16>; View::ALL.len()],
    /// What the mouse has taken hold of.
    pub(super) dragged: Option<Split>,
    /// The filter that was cleared last.
    pub(super) sought: Option<Filter>,
    /// What has the keyboard.
    pub mode: Mode,
    /// What was last said.
    pub message: Option<(Role, String)>,
    /// The screen's columns and lines.
    pub size: (u16, u16),
    /// What the last drawing told.
    pub drawn: Drawn,
    /// The filter before another was typed.
    pub(super) filter_before: String,
    pub(super) pressed: Vec<Key>,
}

impl View {
    /// Its place among all.
    pub const fn number(self) -> usize {
        self as usize
    }

    /// The command that turns to it.
    pub const fn command(self) -> Command {
        match self {
            View::Overview => Command::Overview,
            View::Flows => Command::Flows,
            View::Findings => Command::Findings,
            View::Sessions => Command::Sessions,
            View::AllowList => Command::AllowList,
            View::Hosts => Command::Hosts,
            View::Capture => Command::Capture,
        }
    }
}

impl Dash {
    /// A screen that shows `snapshot`; `replay`: it can be played.
    pub fn new(snapshot: Arc<Snapshot>, theme: Theme, replay: bool) -> Dash {
        let mut dash = Dash { theme, replay, size: (80, 24), ..Dash::default() };
        dash.show(snapshot);
        dash
    }

    /// Whether a command is of use at the moment.
    pub fn holds(&self, command: Command) -> bool {
        match command.scope() {
            Scope::Anywhere => true,
            Scope::Flows => self.shows_flows(),
            Scope::Replay => self.replay,
            Scope::Live => !self.replay,
        }
    }

    /// Whether a command is told of: who captures live can be asked for files and roles, and only says why not.
    pub fn offers(&self, command: Command) -> bool {
        let refused = matches!(command, Command::Carve | Command::Report | Command::Role);
        self.holds(command) && (self.replay || !refused)
    }

    /// Whether the list of flows has the keyboard.
    pub fn shows_flows(&self) -> bool {
        self.list() == View::Flows
    }

    /// The selected line of the view at hand.
    pub fn cursor(&self) -> usize {
        self.at.get(self.list().number()).copied().unwrap_or(0)
    }

    /// The view whose list has the keyboard.
    pub(super) fn list(&self) -> View {
        match self.view {
            // where there is no finding to stand on
            View::Overview if self.in_flows || self.snapshot.findings.is_empty() => View::Flows,
            View::Overview => View::Findings,
            view => view,
        }
    }

    /// How many lines the list has that has the keyboard.
    pub fn lines(&self) -> usize {
        let snapshot = &self.snapshot;
        match self.list() {
            View::Flows => self.listing.rows.len(),
            View::Findings | View::Overview => snapshot.findings.len(),
            View::Sessions => snapshot.sessions.len(),
            View::AllowList => snapshot.site.allow_list.len(),
            View::Hosts => snapshot.hosts.len(),
            View::Capture => 0,
        }
    }

    /// The flow on the selected line of the list of flows.
    pub fn selected_flow(&self) -> Option<&Light> {
        match self.listing.rows.get(self.at.get(View::Flows.number()).copied()?)? {
            Row::Flow(at) => self.snapshot.flows.get(*at as usize),
            Row::Group(_) => None,
        }
    }

    /// The selected finding.
    pub fn selected_finding(&self) -> Option<&FindingRecord> {
        self.snapshot.findings.get(self.at.get(View::Findings.number()).copied()?)
    }

    /// The list's share of the view at hand, in thousandths, where it was set.
    pub fn share(&self) -> Option<u16> {
        self.shares.get(self.view.number()).copied().flatten()
    }

    /// The flow of which more must be known to draw the screen.
    pub fn wanted(&self) -> Option<u64> {
        self.pane.and(self.flow).filter(|_| self.shows_flows())
    }

    /// Keys pressed that are the beginning of a command.
    pub fn pressed_text(&self) -> String {
        self.pressed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Takes a new snapshot to be shown; what was selected stays so.
    pub(super) fn show(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
        // what was cleared later than it plays now is there again
        self.wish.cleared = self.wish.cleared.filter(|at| *at <= self.snapshot.now);
        self.mask.allow(self.snapshot.site.allow_list.iter().map(|row| row.pattern.as_str()));
        let findings = &self.snapshot.findings;
        let place = self.finding.as_ref().and_then(|id| findings.iter().position(|f| f.id == *id));
        let last = findings.len().saturating_sub(1);
        if let Some(at) = self.at.get_mut(View::Findings.number()) {
            *at = place.unwrap_or((*at).min(last));
        }
        self.relist();
    }

    /// While nothing happens: works out a part of what keys may ask for, where it will not be something else soon;
    /// false if there is nothing left to do.
    pub fn prepare(&self) -> bool {
        let stays = self.paused || matches!(self.snapshot.phase, Phase::Ended | Phase::Halted);
        stays && self.lister.prepare()
    }

    /// Lists the flows anew.
    pub(super) fn relist(&mut self) {
        self.listing = self.lister.list(&self.snapshot, &self.wish);
        let newest = self.follow.then(|| self.snapshot.flows.last().map(|flow| flow.id)).flatten();
        let place = newest.or(self.flow).and_then(|flow| self.lister.line_of(flow, &self.listing, &self.snapshot));
        let last = self.listing.rows.len().saturating_sub(1);
        if let Some(at) = self.at.get_mut(View::Flows.number()) {
            *at = place.unwrap_or((*at).min(last));
        }
        if newest.is_some() {
            self.flow = newest;
        }
    }
}
