//! What plays a capture: where to go on from, and how fast.

use super::state::Dash;
use super::theme::Role;
use super::update::{Effect, Play};
use crate::time::{SECOND, Timestamp};

/// Speeds, times as fast as it happened.
const SPEEDS: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

impl Dash {
    pub(super) fn seek_by(&mut self, seconds: i64) -> Option<Effect> {
        let by = seconds.unsigned_abs().saturating_mul(SECOND);
        let now = self.snapshot.now;
        self.seek(if seconds < 0 { now.before(by) } else { now.after(by) })
    }

    /// Goes to a moment of the capture.
    pub(super) fn seek(&mut self, to: Timestamp) -> Option<Effect> {
        let transport = self.snapshot.transport.as_ref()?;
        Some(Effect::Play(Play::Seek(to.max(transport.start))))
    }

    pub(super) fn speed(&mut self, step: isize) -> Option<Effect> {
        let speed = self.snapshot.transport.as_ref()?.speed;
        let at = match speed {
            None => SPEEDS.len(),
            Some(speed) => SPEEDS.iter().position(|s| *s >= speed).unwrap_or(SPEEDS.len()),
        };
        let next = at.saturating_add_signed(step);
        Some(Effect::Play(Play::Speed(SPEEDS.get(next).copied())))
    }

    pub(super) fn seek_finding(&mut self, on: bool) -> Option<Effect> {
        let now = self.snapshot.now;
        let moments = self.snapshot.transport.iter().flat_map(|t| &t.marks).map(|(at, _)| *at);
        let next = if on { moments.filter(|at| *at > now).min() } else { moments.filter(|at| *at < now).max() };
        if next.is_none() {
            let text = if on { "no finding follows" } else { "no finding came before" };
            self.message = Some((Role::Muted, text.to_owned()));
        }
        self.seek(next?)
    }
}
