//! What plays a capture: where to go on from, and how fast.

use super::complete;
use super::snapshot::Phase;
use super::state::Dash;
use super::theme::Role;
use super::update::{Effect, Play};
use crate::text::units::Span;
use crate::text::zone::Zone;
use crate::time::{SECOND, Timestamp};

/// Speeds, times as fast as it happened.
const SPEEDS: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Nanoseconds of a day, and of the hour by which the time of a place is changed.
const DAY: u64 = 24 * HOUR;
const HOUR: u64 = 3600 * SECOND;

/// The first moment from `start` to `end` at which the clock of the place shows a time of day, in nanoseconds.
fn time_of_day(zone: Zone, wanted: u64, start: Timestamp, end: Timestamp) -> Option<Timestamp> {
    if wanted >= DAY {
        return None;
    }
    let shown = |at: Timestamp| complete::moment(&zone.time_of_day(at));
    let second = start.before(start.0 % SECOND);
    let on = (wanted + DAY - shown(second)?) % DAY;
    // the clock may be put on or back meanwhile
    let moments = [on, (on + HOUR) % DAY, (on + DAY - HOUR) % DAY].map(|on| second.after(on));
    let mut within = moments.into_iter().filter(|at| *at <= end);
    within.find(|at| shown(*at) == Some(wanted - wanted % SECOND))
}

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

    /// Goes to the moment that was typed: so long after the start or, where that is beyond the end, when the clock
    /// showed that within the capture.
    pub(super) fn seek_to(&mut self, text: &str) -> Option<Effect> {
        let Some(transport) = self.snapshot.transport.as_ref().filter(|_| self.replay) else {
            return self.refuse(Role::Muted, "only in a capture that was recorded is there a moment to go to");
        };
        let Some(since) = complete::moment(text) else {
            let role = if text.is_empty() { Role::Muted } else { Role::Error };
            return self.refuse(role, "seek takes HH:MM:SS, MM:SS or seconds from the start, or a time of day");
        };
        let (start, end) = (transport.start, transport.end);
        // what was not read yet may reach as far
        let read = self.snapshot.phase == Phase::Ended || self.snapshot.now < end;
        if !read || since <= end.since(start) {
            return self.seek(start.after(since));
        }
        let of_day = (text.matches(':').count() == 2).then(|| time_of_day(self.zone, since, start, end)).flatten();
        let Some(to) = of_day else {
            let long = format!("the capture is {} long, and has no such moment or time of day", Span(end.since(start)));
            return self.refuse(Role::Error, &long);
        };
        self.seek(to)
    }

    fn refuse(&mut self, role: Role, why: &str) -> Option<Effect> {
        self.message = Some((role, why.to_owned()));
        None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::testing::{at, busy, press, screen, write};

    #[test]
    fn a_typed_moment_is_one_since_the_start_or_else_a_time_of_day() {
        // from 15:06:40 to 15:17:40 UTC
        let mut dash = screen(busy(100), 100, 30);
        let mut sought = |zone, text: &str| {
            dash.zone = zone;
            press(&mut dash, ":");
            write(&mut dash, text);
            match press(&mut dash, "enter")[..] {
                [Effect::Play(Play::Seek(to))] => Ok(to),
                _ => Err(dash.message.clone().unwrap().1),
            }
        };
        assert_eq!(sought(Zone::Utc, "seek 00:01:30"), Ok(at(90)));
        assert_eq!(sought(Zone::Utc, "seek 15:08:10"), Ok(at(90)));
        assert_eq!(sought(Zone::Ahead(-3600), "seek 14:08:10"), Ok(at(90)));
        for beyond in ["seek 15:18:00", "seek 14:08:10", "seek 99:00:00", "seek 15:08", "seek 700"] {
            let why = sought(Zone::Utc, beyond).unwrap_err();
            assert_eq!(why, "the capture is 11 m 00 s long, and has no such moment or time of day", "{beyond}");
        }
        for none in ["seek", "seek ", "seek x"] {
            assert!(sought(Zone::Utc, none).unwrap_err().starts_with("seek takes HH:MM:SS"), "{none}");
        }
    }

    #[test]
    fn a_time_of_day_is_found_beyond_midnight() {
        let (start, end) = (Timestamp(86_390 * SECOND + 5), Timestamp(86_430 * SECOND));
        assert_eq!(time_of_day(Zone::Utc, 7 * SECOND, start, end), Some(Timestamp(86_407 * SECOND)));
        assert_eq!(time_of_day(Zone::Utc, 40 * SECOND, start, end), None);
    }

    #[test]
    fn what_is_not_read_yet_may_reach_as_far() {
        let mut snapshot = busy(100);
        snapshot.phase = Phase::Playing;
        let mut dash = screen(snapshot, 100, 30);
        assert_eq!(dash.seek_to("700"), Some(Effect::Play(Play::Seek(at(700)))));
    }
}
