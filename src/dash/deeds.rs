//! What commands do to the list of flows, and with what is selected.

use std::net::IpAddr;

use super::command::{Command, Scope};
use super::copy;
use super::listing::{Column, Row};
use super::state::{Dash, View};
use super::theme::Role;
use super::update::Effect;

/// Says that something was written, and to which file.
pub fn written(what: &str, name: &str) -> String {
    format!("{what}: written to {name}")
}

impl Dash {
    pub(super) fn sort_by(&mut self, step: isize) {
        let at = self.wish.by.unwrap_or(Column::Weight) as usize;
        let count = Column::ALL.len();
        let next = (at as isize + step).rem_euclid(count as isize) as usize;
        let by = Column::ALL.get(next).copied();
        self.rewish(|wish| (wish.by, wish.reversed) = (by, false));
        let name = by.unwrap_or(Column::Weight).text();
        self.message = Some((Role::Info, format!("sorted by {name}")));
    }

    pub(super) fn group(&mut self) {
        let grouping = self.wish.grouping.next();
        self.rewish(|wish| {
            wish.grouping = grouping;
            wish.folded.clear();
        });
        self.message = Some((Role::Info, format!("grouped by {}", grouping.name())));
    }

    /// Shows all flows again; what the filter was is what is gone to from then on.
    pub(super) fn clear_filter(&mut self) {
        self.sought = self.wish.filter.take().or(self.sought.take());
        self.set_filter("");
    }

    /// Goes to the next flow (or back, `step` -1) that the filter passes, else the one that was cleared; where there
    /// was none, to the next one that a finding is about.
    pub(super) fn next_match(&mut self, step: isize) {
        if !self.shows_flows() {
            self.turn(View::Flows);
        }
        let (faults, from) = (self.seeks_faults(), self.cursor());
        let passing = match (&self.wish.filter, &self.sought) {
            (None, Some(filter)) => Some(self.lister.selected(&self.snapshot, filter)),
            _ => None,
        };
        let snapshot = &self.snapshot;
        let is_match = |row: &Row| match row {
            Row::Group(_) => false,
            Row::Flow(at) if faults => {
                snapshot.flows.get(*at as usize).is_some_and(|flow| snapshot.cited.contains_key(&flow.id))
            }
            Row::Flow(at) => passing.is_none_or(|passing| passing.get(*at as usize).is_some_and(|passes| *passes)),
        };
        let (rows, count) = (&self.listing.rows, self.listing.rows.len().max(1));
        let forth = step.rem_euclid(count as isize) as usize;
        let next = (1..=count).map(|n| (from + n * forth) % count).find(|at| rows.get(*at).is_some_and(is_match));
        match next {
            Some(at) => {
                let around = if step > 0 { at <= from } else { at >= from };
                self.select(at);
                let text = if step > 0 { "on from the first" } else { "on from the last" };
                self.message = around.then(|| (Role::Muted, text.to_owned()));
            }
            None => {
                let text = match &self.sought {
                    _ if faults => "no finding is about any of these flows".to_owned(),
                    Some(filter) if self.wish.filter.is_none() => format!("none of these flows passes {filter}"),
                    _ => "no flow passes the filter".to_owned(),
                };
                self.message = Some((Role::Muted, text));
            }
        }
    }

    /// Whether the next match is the next fault, as there is no filter that could match.
    pub fn seeks_faults(&self) -> bool {
        self.wish.filter.is_none() && self.sought.is_none()
    }

    pub(super) fn closed(&mut self) {
        self.rewish(|wish| wish.open_only = !wish.open_only);
        let text = if self.wish.open_only { "flows that are over are hidden" } else { "all flows are shown" };
        self.message = Some((Role::Info, text.to_owned()));
    }

    pub(super) fn follow(&mut self) {
        self.follow = !self.follow;
        self.relist();
        let text = if self.follow { "the newest flow is followed" } else { "no flow is followed" };
        self.message = Some((Role::Info, text.to_owned()));
    }

    pub(super) fn mark(&mut self) {
        let Some(flow) = self.selected_flow().map(|flow| flow.id) else { return };
        if !self.wish.marks.remove(&flow) {
            self.wish.marks.insert(flow);
        }
        self.step(1);
        if self.wish.marked_only {
            self.relist();
        }
    }

    pub(super) fn clear(&mut self) {
        let now = self.snapshot.now;
        self.rewish(|wish| wish.cleared = Some(now));
        self.message = Some((Role::Info, "the list was cleared; \\ shows all flows again".to_owned()));
    }

    pub(super) fn zoom(&mut self) {
        if self.pane.is_some() && self.view == View::Flows {
            self.whole = !self.whole;
            return;
        }
        self.open_line();
        self.whole = self.pane.is_some();
    }

    /// The host that is selected, or the one of the site that a flow is of.
    pub(super) fn role(&mut self) -> Option<Effect> {
        let hosts = &self.snapshot.hosts;
        let is_known = |ip: &IpAddr| hosts.iter().any(|host| host.ip == *ip);
        let host = match self.list() {
            View::Hosts => hosts.get(self.cursor()).map(|host| host.ip),
            View::Flows => self.selected_flow().and_then(|flow| [flow.orig.0, flow.resp.0].into_iter().find(is_known)),
            _ => None,
        };
        if host.is_none() {
            self.message = Some((Role::Muted, "select a host, or a flow of one".to_owned()));
        }
        host.map(Effect::Role)
    }

    pub(super) fn copy(&mut self) -> Option<Effect> {
        let text = copy::text(self)?;
        let first = text.lines().next().unwrap_or_default().chars().take(40).collect::<String>();
        self.message = Some((Role::Ok, format!("copied: {first}")));
        Some(Effect::Copy(text))
    }

    pub(super) fn carve(&mut self) -> Option<Effect> {
        let chosen = copy::chosen(self);
        if chosen.is_none() {
            self.message =
                Some((Role::Muted, "select a flow, a finding or a session whose packets are wanted".to_owned()));
        }
        chosen.map(|(flows, name)| Effect::Carve(flows, name))
    }

    /// Says where a command is of use that is of none here.
    pub(super) fn say_where(&mut self, command: Command) {
        let first = |command| self.keys.of(command).next().map(|keys| format!("{keys} "));
        let place = match command.scope() {
            Scope::Anywhere => return,
            Scope::Flows => {
                let way = first(Command::Flows).map(|keys| format!(": {keys}goes there")).unwrap_or_default();
                format!("the list of flows{way}")
            }
            Scope::Replay => "a capture that was recorded".to_owned(),
            Scope::Live => "a live capture".to_owned(),
        };
        let text = format!("{}({}) works in {place}", first(command).unwrap_or_default(), command.hint());
        self.message = Some((Role::Muted, text));
    }

    /// Says where something was written; the mask neither hides the file's name nor what is in it.
    pub(super) fn wrote(&mut self, what: &str, name: &str) {
        self.mask.wrote(name);
        let mut text = written(what, name);
        if self.mask.on {
            text.push_str("; it is not masked");
        }
        self.message = Some((Role::Ok, text));
    }

    pub(super) fn explain(&mut self) -> Option<Effect> {
        let cited = || self.snapshot.finding_of(self.selected_flow()?.id);
        let finding = if self.shows_flows() { cited() } else { self.selected_finding() };
        match finding {
            Some(finding) => Some(Effect::Explain(finding.rule.to_owned())),
            None => {
                self.message = Some((Role::Muted, "select a finding, or a flow that one is about".to_owned()));
                None
            }
        }
    }
}
