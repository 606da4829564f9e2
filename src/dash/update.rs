//! What an action does to the state of the screen, and what it asks of the world.

use std::net::IpAddr;
use std::sync::Arc;

use super::command::{Command, Pressed};
use super::detail::Tab;
use super::key::{Code, Key};
use super::listing::Row;
use super::prompt::Prompt;
use super::snapshot::{Phase, Snapshot};
use super::state::{Dash, DetailPane, Entered, Mode, View};
use super::theme::Role;
use super::{complete, draw};
use crate::event::AllowRow;
use crate::filter::Filter;
use crate::time::Timestamp;

/// How many names of a row of the allow-list its flows are looked for by.
const ROW_NAMES: usize = 8;

/// What happens to the screen.
#[derive(Clone, Debug)]
pub enum Action {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The left button of the mouse was pressed on a column and line.
    Click(u16, u16),
    /// The mouse was moved to a column and line with that button held.
    Drag(u16, u16),
    /// The button was let go.
    Drop,
    /// The wheel was turned over a column and line, by so many lines.
    Wheel(u16, u16, i32),
    /// The screen has so many columns and lines.
    Resize(u16, u16),
    /// There is a new snapshot.
    Publish(Arc<Snapshot>),
    /// Something is to be said.
    Say(Role, String),
    /// Something was written to a file: what, and the file's name.
    Wrote(String, String),
    /// A text is to be shown: its title, its lines.
    Show(String, Vec<String>),
}

/// What is asked of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To leave.
    Quit,
    /// To give the terminal to whoever had it before, for a while.
    Suspend,
    /// To draw the whole screen anew.
    Redraw,
    /// To put text into the clipboard.
    Copy(String),
    /// To write the packets of these flows to a capture file, which is named after this.
    Carve(Vec<u64>, String),
    /// To write the report.
    Report,
    /// To explain a rule.
    Explain(String),
    /// To play.
    Play(Play),
    /// To say another role of a host.
    Role(IpAddr),
    /// To keep what was set.
    Keep,
}

/// How to play.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Play {
    /// Play if halted, else halt.
    Toggle,
    /// Go to a moment.
    Seek(Timestamp),
    /// So many times as fast as it happened; `None` is as fast as can be.
    Speed(Option<f64>),
}

/// The view that a command is for, if it is for one.
const fn view(command: Command) -> Option<View> {
    Some(match command {
        Command::Overview => View::Overview,
        Command::Flows => View::Flows,
        Command::Findings => View::Findings,
        Command::Sessions => View::Sessions,
        Command::AllowList => View::AllowList,
        Command::Hosts => View::Hosts,
        Command::Capture => View::Capture,
        _ => return None,
    })
}

/// How many seconds a command goes on in a capture that is played, if it does.
const fn time(command: Command) -> Option<i64> {
    Some(match command {
        Command::StepBack => -1,
        Command::Step => 1,
        Command::Rewind => -10,
        Command::Forward => 10,
        Command::RewindMore => -60,
        Command::ForwardMore => 60,
        _ => return None,
    })
}

impl Dash {
    /// Does what an action asks.
    pub fn update(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Key(key) => return self.key(key),
            Action::Paste(text) => self.paste(&text),
            Action::Click(column, line) => return self.click(column, line),
            Action::Drag(column, line) => self.drag(column, line),
            Action::Drop => self.dragged = None,
            Action::Wheel(column, line, lines) => self.wheel(column, line, lines.into()),
            Action::Resize(columns, lines) => self.size = (columns, lines),
            Action::Publish(snapshot) if self.paused => self.held = Some(snapshot),
            Action::Publish(snapshot) => self.show(snapshot),
            Action::Say(role, text) => self.message = Some((role, text)),
            Action::Wrote(what, name) => self.wrote(&what, &name),
            Action::Show(title, lines) => self.mode = Mode::Text { title, lines, scroll: 0 },
        }
        None
    }

    fn key(&mut self, key: Key) -> Option<Effect> {
        if key.ctrl && key.code == Code::Char('c') {
            return Some(Effect::Quit);
        }
        match &mut self.mode {
            Mode::Normal => self.command_key(key),
            Mode::Filter(_) => self.filter_key(key),
            Mode::Palette(..) => self.palette_key(key),
            Mode::Help(_) | Mode::Text { .. } => {
                match key.code {
                    Code::Down | Code::Char('j') => self.step(1),
                    Code::Up | Code::Char('k') => self.step(-1),
                    Code::PageDown | Code::Char(' ') => self.step(self.page()),
                    Code::PageUp => self.step(-self.page()),
                    Code::Home | Code::Char('g') => self.step(i64::MIN),
                    Code::End | Code::Char('G') => self.step(i64::MAX),
                    _ => self.mode = Mode::Normal,
                }
                None
            }
            Mode::Leave => {
                self.mode = Mode::Normal;
                matches!(key.code, Code::Char('q' | 'y') | Code::Enter).then_some(Effect::Quit)
            }
        }
    }

    fn command_key(&mut self, key: Key) -> Option<Effect> {
        self.message = None;
        self.pressed.push(key);
        match self.keys.pressed(&self.pressed, |command| self.holds(command)) {
            Pressed::More => None,
            Pressed::Nothing => {
                let begun = self.keys.begun(&self.pressed);
                self.pressed.clear();
                if let Some(command) = begun {
                    self.say_where(command);
                }
                None
            }
            Pressed::Command(command) => {
                self.pressed.clear();
                self.perform(command)
            }
        }
    }

    fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Filter(prompt) | Mode::Palette(prompt, _) => prompt.paste(text),
            _ => {}
        }
        self.apply_typed();
    }

    /// Does what a command says.
    pub fn perform(&mut self, command: Command) -> Option<Effect> {
        use Command as C;
        if self.goes(command) {
            return None;
        }
        if let Some(seconds) = time(command) {
            return self.seek_by(seconds);
        }
        match command {
            // these go somewhere, in a list, among views, or in time
            C::Up | C::Down | C::HalfUp | C::HalfDown | C::PageUp | C::PageDown | C::Top | C::Bottom => {}
            C::StepBack | C::Step | C::Rewind | C::Forward | C::RewindMore | C::ForwardMore => {}
            C::Overview | C::Flows | C::Findings | C::Sessions | C::AllowList | C::Hosts | C::Capture => {}
            C::Open => self.open(),
            C::Back => self.back(),
            C::NextPane => self.next_pane(1),
            C::PreviousPane => self.next_pane(Tab::ALL.len() - 1),
            C::ScrollDown => self.scroll_by(1),
            C::ScrollUp => self.scroll_by(-1),
            C::Filter => self.begin_filter(),
            C::ClearFilter => self.forget_filter(),
            C::Next => self.next_match(1),
            C::Previous => self.next_match(-1),
            C::Sort | C::SortAfter => self.sort_by(1),
            C::SortBefore => self.sort_by(-1),
            C::Reverse => self.rewish(|wish| wish.reversed = !wish.reversed),
            C::Group => self.group(),
            C::Columns => self.columns = (self.columns + 1) % draw::flows::SETS,
            C::Closed => self.closed(),
            C::Follow => self.follow(),
            C::Mark => self.mark(),
            C::Clear => self.clear(),
            C::Zoom => self.zoom(),
            C::Role => return self.role(),
            C::Marked => self.rewish(|wish| wish.marked_only = !wish.marked_only),
            C::Copy => return self.copy(),
            C::Carve => return self.carve(),
            C::Report => return Some(Effect::Report),
            C::Explain => return self.explain(),
            C::Privacy => self.mask.on = !self.mask.on,
            C::Theme => return self.next_theme(),
            C::Redraw => return Some(Effect::Redraw),
            C::Pause => self.pause(),
            C::Play => return Some(Effect::Play(Play::Toggle)),
            C::Faster => return self.speed(1),
            C::Slower => return self.speed(-1),
            C::FullSpeed => return Some(Effect::Play(Play::Speed(None))),
            C::NextFinding => return self.seek_finding(true),
            C::PreviousFinding => return self.seek_finding(false),
            C::Help => self.mode = Mode::Help(0),
            C::Palette => self.mode = Mode::Palette(Prompt::default(), 0),
            C::Suspend => return Some(Effect::Suspend),
            C::Quit => return self.leave(),
        }
        None
    }

    fn begin_filter(&mut self) {
        self.filter_before.clone_from(&self.filter_text);
        self.mode = Mode::Filter(Prompt::new(&self.filter_text));
    }

    fn forget_filter(&mut self) {
        self.wish.cleared = None;
        self.clear_filter();
    }

    /// Goes where a command leads, in a list or to another view; whether it leads anywhere.
    fn goes(&mut self, command: Command) -> bool {
        match (self.way(command), view(command)) {
            (Some(lines), _) => self.step(lines),
            (None, Some(view)) => self.turn(view),
            (None, None) => return false,
        }
        true
    }

    /// How many lines a command goes on in a list, if it goes.
    fn way(&self, command: Command) -> Option<i64> {
        Some(match command {
            Command::Up => -1,
            Command::Down => 1,
            Command::HalfUp => -(self.page() / 2),
            Command::HalfDown => self.page() / 2,
            Command::PageUp => -self.page(),
            Command::PageDown => self.page(),
            Command::Top => i64::MIN,
            Command::Bottom => i64::MAX,
            _ => return None,
        })
    }

    pub(super) fn turn(&mut self, view: View) {
        if self.view != view {
            self.trail.push(self.view);
            self.trail.drain(..self.trail.len().saturating_sub(16));
            self.scroll = 0;
        }
        self.view = view;
    }

    /// How many lines a screen of the list has.
    fn page(&self) -> i64 {
        i64::from(self.size.1.saturating_sub(8)).max(2)
    }

    pub(super) fn step(&mut self, lines: i64) {
        match &mut self.mode {
            Mode::Help(scroll) | Mode::Text { scroll, .. } => {
                *scroll = scrolled(*scroll, lines, self.drawn.scroll_most);
                return;
            }
            _ => {}
        }
        if self.view == View::Capture {
            return self.scroll_by(lines);
        }
        let last = self.lines().saturating_sub(1);
        let at = i64::try_from(self.cursor()).unwrap_or(i64::MAX).saturating_add(lines).max(0);
        self.select(usize::try_from(at).unwrap_or(usize::MAX).min(last));
    }

    /// Selects a line of the list at hand.
    pub(super) fn select(&mut self, line: usize) {
        let list = self.list();
        if let Some(at) = self.at.get_mut(list.number()) {
            *at = line;
        }
        self.scroll = 0;
        match list {
            View::Flows => {
                self.follow = false;
                self.flow = self.selected_flow().map(|flow| flow.id);
                if let Some(pane) = &mut self.pane {
                    pane.scroll = 0;
                }
            }
            View::Findings => self.finding = self.selected_finding().map(|finding| finding.id.clone()),
            _ => {}
        }
    }

    pub(super) fn scroll_by(&mut self, lines: i64) {
        let most = self.drawn.scroll_most;
        let scroll = match &mut self.pane {
            Some(pane) if self.view == View::Flows || self.in_flows => &mut pane.scroll,
            _ => &mut self.scroll,
        };
        *scroll = scrolled(*scroll, lines, most);
    }

    pub(super) fn open(&mut self) {
        match self.list() {
            View::Flows => self.open_line(),
            View::Findings if self.view == View::Overview => self.turn(View::Findings),
            View::Findings => {
                if let Some(finding) = self.selected_finding().filter(|f| !f.flow_ids.is_empty()) {
                    let from = format!("FINDINGS > {} {}", finding.rule, finding.kind.text());
                    self.enter(from, format!("finding:{}", finding.id));
                } else if self.selected_finding().is_some() {
                    self.message = Some((Role::Muted, "this finding is about the capture as a whole".to_owned()));
                }
            }
            View::Sessions => {
                let Some(session) = self.snapshot.sessions.get(self.cursor()) else { return };
                let flows = session.steps.iter().flat_map(|s| &s.flow_ids).map(ToString::to_string).collect();
                self.filter_flows(format!("SESSIONS > {}", self.zone.time_of_day(session.start)), flows, "id:");
            }
            View::AllowList => {
                let Some(row) = self.snapshot.site.allow_list.get(self.cursor()) else { return };
                let (from, filter) = (format!("ALLOW-LIST > {}", row.pattern), Self::flows_of(row));
                self.enter_any(from, &filter);
            }
            View::Hosts => {
                let Some(ip) = self.snapshot.hosts.get(self.cursor()).map(|host| host.ip.to_string()) else { return };
                self.filter_flows(format!("HOSTS > {ip}"), vec![ip], "host:");
            }
            View::Overview | View::Capture => {}
        }
    }

    /// What passes the flows of a row of the allow-list: those that are known by its names, and those that its findings
    /// cite.
    fn flows_of(row: &AllowRow) -> String {
        let names = if row.names.is_empty() { std::slice::from_ref(&row.pattern) } else { row.names.as_slice() };
        let names = || names.iter().filter(|name| !name.is_empty()).take(ROW_NAMES);
        let tests = [
            ("host:", names().map(|name| format!("\"{}\"", name.replace('"', ""))).collect::<Vec<_>>()),
            ("finding:", row.finding_ids.clone()),
        ];
        let tests = tests.iter().filter(|(_, values)| !values.is_empty());
        tests.map(|(key, values)| format!("{key}{}", values.join(","))).collect::<Vec<_>>().join(" or ")
    }

    fn filter_flows(&mut self, from: String, values: Vec<String>, key: &str) {
        let filter = if values.is_empty() { String::new() } else { format!("{key}{}", values.join(",")) };
        self.enter_any(from, &filter);
    }

    /// The same as [`Dash::enter`], but where no flow passes that is said, and one stays.
    fn enter_any(&mut self, from: String, filter: &str) {
        let passing = Filter::parse(filter).ok().filter(|filter| filter.expr().is_some());
        let passes = |filter: Filter| self.lister.selected(&self.snapshot, &filter).contains(&true);
        if passing.is_some_and(passes) {
            return self.enter(from, filter.to_owned());
        }
        self.message = Some((Role::Muted, "no flow of it is in this capture".to_owned()));
    }

    /// Shows the flows that pass a filter, until one goes back to where they were entered from.
    fn enter(&mut self, from: String, filter: String) {
        let before = match self.entered.take().filter(|entered| entered.filter == self.filter_text) {
            Some(entered) => entered.before,
            None => self.filter_text.clone(),
        };
        self.turn(View::Flows);
        self.set_filter(&filter);
        self.entered = Some(Entered { from, filter, before });
        self.select_first();
    }

    /// Where the flows that are shown were entered from.
    pub(super) fn entered(&self) -> Option<&Entered> {
        self.entered.as_ref().filter(|entered| entered.filter == self.filter_text)
    }

    fn select_first(&mut self) {
        let place = self.listing.rows.iter().position(|row| matches!(row, Row::Flow(_)));
        self.select(place.unwrap_or(0));
    }

    /// Opens the flow, or folds the group, on the selected line.
    pub(super) fn open_line(&mut self) {
        match self.listing.rows.get(self.cursor()) {
            Some(Row::Group(at)) => {
                let Some(key) = self.listing.groups.get(*at as usize).map(|group| group.key) else { return };
                if !self.wish.folded.remove(&key) {
                    self.wish.folded.insert(key);
                }
                self.flow = None;
                self.relist();
            }
            Some(Row::Flow(_)) => {
                self.flow = self.selected_flow().map(|flow| flow.id);
                let tab = self.pane.map_or(Tab::Summary, |pane| pane.tab);
                self.pane = Some(DetailPane { tab, scroll: 0 });
                self.turn(View::Flows);
            }
            None => {}
        }
    }

    fn back(&mut self) {
        if self.shows_flows() && self.pane.take().is_some() {
            return;
        }
        if self.view == View::Flows && !self.filter_text.is_empty() {
            let Some(before) = self.entered().map(|entered| entered.before.clone()) else { return self.clear_filter() };
            self.clear_filter();
            self.set_filter(&before);
        }
        if let Some(view) = self.trail.pop() {
            self.view = view;
            self.scroll = 0;
        }
    }

    fn next_pane(&mut self, by: usize) {
        if let Some(pane) = self.pane.as_mut().filter(|_| self.view == View::Flows) {
            let at = (pane.tab as usize + by) % Tab::ALL.len();
            *pane = DetailPane { tab: Tab::ALL.get(at).copied().unwrap_or(Tab::Summary), scroll: 0 };
        } else if self.view == View::Overview {
            self.in_flows = !self.in_flows;
        }
    }

    pub(super) fn rewish(&mut self, change: impl FnOnce(&mut super::listing::Wish)) {
        change(&mut self.wish);
        self.relist();
    }

    /// Sets the filter, if the text is one.
    pub fn set_filter(&mut self, text: &str) {
        let Ok(filter) = Filter::parse(text) else { return };
        self.filter_text = text.to_owned();
        self.wish.filter = (!text.trim().is_empty()).then_some(filter);
        self.relist();
    }

    fn filter_key(&mut self, key: Key) -> Option<Effect> {
        let Mode::Filter(prompt) = &mut self.mode else { return None };
        match key.code {
            Code::Enter => {
                let text = prompt.text();
                if let Err(error) = Filter::parse(&text) {
                    self.message = Some((Role::Error, format!("{}: {}", error.message, error.hint)));
                    return None;
                }
                self.filters.add(text.trim());
                self.set_filter(&text);
                self.mode = Mode::Normal;
                self.message = None;
                if !self.shows_flows() {
                    self.turn(View::Flows);
                }
                return Some(Effect::Keep);
            }
            Code::Esc => {
                self.mode = Mode::Normal;
                self.message = None;
                let before = std::mem::take(&mut self.filter_before);
                self.set_filter(&before);
                return None;
            }
            Code::Tab => complete::filter(prompt),
            _ => _ = prompt.key(key, &self.filters),
        }
        self.apply_typed();
        None
    }

    /// Filters by what is being typed, as soon as it is a filter: a line that is none yet never blanks the screen.
    fn apply_typed(&mut self) {
        let Mode::Filter(prompt) = &self.mode else { return };
        let text = prompt.text();
        self.message = None;
        // what may still become a key would only empty the list
        let settled = complete::settled(prompt);
        match Filter::parse(&text) {
            Ok(_) => self.set_filter(&settled),
            Err(error) => {
                if let Some(kept) = complete::without_half_word(&text, &self.filter_text) {
                    self.set_filter(kept);
                }
                self.message = Some((Role::Warning, format!("{}: {}", error.message, error.hint)));
            }
        }
    }

    fn palette_key(&mut self, key: Key) -> Option<Effect> {
        let Mode::Palette(prompt, at) = &mut self.mode else { return None };
        match key.code {
            Code::Esc => self.mode = Mode::Normal,
            Code::Down => *at = at.saturating_add(1),
            Code::Up => *at = at.saturating_sub(1),
            Code::Enter => {
                let (text, at) = (prompt.text(), *at);
                self.mode = Mode::Normal;
                return self.say_command(&text, at);
            }
            _ => {
                prompt.key(key, &super::prompt::History::default());
                *at = 0;
            }
        }
        None
    }

    /// Does what was typed into the palette: a command by name, or `seek` with a moment.
    fn say_command(&mut self, text: &str, at: usize) -> Option<Effect> {
        if let Some(moment) = text.trim().strip_prefix("seek").filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            return self.seek_to(moment.trim());
        }
        let found = complete::commands(text, |command| self.holds(command));
        match found.get(at.min(found.len().saturating_sub(1))) {
            Some(command) => self.perform(*command),
            None => {
                match complete::commands(text, |_| true).first() {
                    Some(command) => self.say_where(*command),
                    None => self.message = Some((Role::Error, "no command is called so".to_owned())),
                }
                None
            }
        }
    }

    fn next_theme(&mut self) -> Option<Effect> {
        self.theme.palette = self.theme.palette.next();
        self.message = Some((Role::Info, format!("colours: {}", self.theme.palette.name())));
        Some(Effect::Keep)
    }

    fn pause(&mut self) {
        self.paused = !self.paused;
        if let Some(snapshot) = self.held.take().filter(|_| !self.paused) {
            self.show(snapshot);
        }
    }

    fn leave(&mut self) -> Option<Effect> {
        if matches!(self.snapshot.phase, Phase::Live(_)) && !self.kept {
            self.mode = Mode::Leave;
            return None;
        }
        Some(Effect::Quit)
    }
}

/// How far something is scrolled that was scrolled by so many lines more, and can be scrolled by `most`.
fn scrolled(scroll: usize, lines: i64, most: usize) -> usize {
    let lines = isize::try_from(lines).unwrap_or(if lines < 0 { isize::MIN } else { isize::MAX });
    scroll.min(most).saturating_add_signed(lines).min(most)
}
