//! What the mouse does.

use ratatui::layout::Position;

use super::state::{Dash, DetailPane, Hit, Mode, Split, View};
use super::update::Effect;

/// The least share of an area, in thousandths, that a list and its detail have.
const SHARE_LEAST: u16 = 200;

impl Dash {
    /// What lies under a place of the screen.
    fn hit(&self, column: u16, line: u16) -> Option<Hit> {
        let place = Position::new(column, line);
        self.drawn.hits.iter().rev().find(|(area, _)| area.contains(place)).map(|(_, hit)| *hit)
    }

    /// Does what stands where the mouse was pressed.
    pub(super) fn click(&mut self, column: u16, line: u16) -> Option<Effect> {
        match self.hit(column, line)? {
            Hit::Command(command) => {
                self.mode = Mode::Normal;
                return self.perform(command);
            }
            Hit::Line(at) => {
                if self.view == View::Overview {
                    self.in_flows = true;
                }
                self.choose(at);
            }
            Hit::Verdict(at) => {
                self.in_flows = false;
                self.choose(at);
            }
            Hit::Sort(by) => {
                let reversed = self.wish.by == Some(by) && !self.wish.reversed;
                self.rewish(|wish| (wish.by, wish.reversed) = (Some(by), reversed));
            }
            Hit::Tab(tab) => self.pane = Some(DetailPane { tab, scroll: 0 }),
            Hit::Seek(to) => return self.seek(to),
            Hit::Split(split) => self.dragged = Some(split),
            Hit::Detail => {}
        }
        None
    }

    /// Moves what stands between a list and its detail, if the mouse has taken hold of it.
    pub(super) fn drag(&mut self, column: u16, line: u16) {
        let Some(Split { area, beside }) = self.dragged else { return };
        let (at, all) = if beside {
            (column.saturating_sub(area.x), area.width)
        } else {
            (line.saturating_sub(area.y), area.height)
        };
        let share = u32::from(at) * 1000 / u32::from(all.max(1));
        if let Some(place) = self.shares.get_mut(self.view.number()) {
            *place = Some(u16::try_from(share).unwrap_or(1000).clamp(SHARE_LEAST, 1000 - SHARE_LEAST));
        }
    }

    /// Scrolls what the mouse is over.
    pub(super) fn wheel(&mut self, column: u16, line: u16, lines: i64) {
        match self.hit(column, line) {
            Some(Hit::Detail | Hit::Tab(_)) if self.mode == Mode::Normal => self.scroll_by(lines),
            _ => self.step(lines),
        }
    }

    /// Selects a line, or opens it if it is selected.
    fn choose(&mut self, at: usize) {
        if self.cursor() == at { self.open() } else { self.select(at) }
    }
}
