//! What commands do to the list of flows, and with what is selected.

use std::net::IpAddr;

use super::copy;
use super::listing::Column;
use super::state::{Dash, View};
use super::theme::Role;
use super::update::Effect;

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
            self.message = Some((Role::Muted, "select a flow or a finding whose packets are wanted".to_owned()));
        }
        chosen.map(|(flows, name)| Effect::Carve(flows, name))
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
