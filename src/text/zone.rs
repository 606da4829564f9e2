//! By which clock people are told when something was. Records know UTC alone; whoever holds a report against a firewall's
//! log wants the time of the place.

use jiff::tz::TimeZone;

use crate::event::Rfc3339;
use crate::time::{SECOND, Timestamp};

/// The clock of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// Universal time.
    #[default]
    Utc,
    /// So many seconds ahead of it, all the year.
    Ahead(i32),
    /// As it is in a place, summer time included.
    Place(&'static TimeZone),
}

impl Zone {
    /// Seconds that it is ahead of UTC at that moment.
    fn ahead(self, at: Timestamp) -> i32 {
        match self {
            Zone::Utc => 0,
            Zone::Ahead(seconds) => seconds,
            Zone::Place(zone) => jiff::Timestamp::from_second((at.0 / SECOND) as i64)
                .map_or(0, |moment| zone.to_offset(moment).seconds()),
        }
    }

    /// RFC 3339 in UTC, of the moment at which a clock there shows what that of the place does.
    fn shown(self, at: Timestamp) -> String {
        let ahead = self.ahead(at);
        let by = u64::from(ahead.unsigned_abs()).saturating_mul(SECOND);
        Rfc3339(if ahead < 0 { at.before(by) } else { at.after(by) }).to_string()
    }

    /// Date and time as `2026-11-29 04:30:00.123`, as many characters of it.
    fn first(self, at: Timestamp, characters: usize) -> String {
        self.shown(at).chars().take(characters).map(|c| if c == 'T' { ' ' } else { c }).collect()
    }

    /// Date, time and zone, to the nanosecond (RFC 3339).
    pub fn exact(self, at: Timestamp) -> String {
        let shown = self.shown(at);
        match shown.strip_suffix('Z').filter(|_| self != Zone::Utc) {
            Some(shown) => format!("{shown}{}", self.distance(at)),
            None => shown,
        }
    }

    /// Date and time, to the millisecond.
    pub fn moment(self, at: Timestamp) -> String {
        self.first(at, 23)
    }

    /// Date and time, to the second.
    pub fn clock(self, at: Timestamp) -> String {
        self.first(at, 19)
    }

    /// The time of day, to the second.
    pub fn time_of_day(self, at: Timestamp) -> String {
        self.clock(at).split_off(11)
    }

    /// The time of day, to the millisecond.
    pub fn moment_of_day(self, at: Timestamp) -> String {
        self.moment(at).split_off(11)
    }

    /// From one moment to another, as `told` says each: `… to … UTC`. Both are named where summer time ends in between.
    pub fn period(self, first: Timestamp, last: Timestamp, told: [String; 2]) -> String {
        let ([begin, end], [at_first, at_last]) = (told, [first, last].map(|at| self.name(at)));
        if at_first == at_last {
            format!("{begin} to {end} {at_last}")
        } else {
            format!("{begin} {at_first} to {end} {at_last}")
        }
    }

    /// What it is called at that moment: `UTC`, `UTC+01:00`.
    pub fn name(self, at: Timestamp) -> String {
        if self == Zone::Utc { "UTC".to_owned() } else { format!("UTC{}", self.distance(at)) }
    }

    /// How far it is from UTC: `+01:00`.
    fn distance(self, at: Timestamp) -> String {
        let ahead = self.ahead(at);
        let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.unsigned_abs() / 60);
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29 23:30:00.123 UTC, and half a year before.
    const WINTER: Timestamp = Timestamp(1_795_995_000_123_000_000);
    const SUMMER: Timestamp = Timestamp(1_780_270_200_123_000_000);

    fn place(text: &str) -> Zone {
        Zone::Place(Box::leak(Box::new(TimeZone::posix(text).unwrap())))
    }

    #[test]
    fn a_moment_is_told_by_the_clock_of_the_place() {
        assert_eq!(Zone::Utc.moment(WINTER), "2026-11-29 23:30:00.123");
        assert_eq!(Zone::Ahead(5 * 3600 + 1800).clock(WINTER), "2026-11-30 05:00:00");
        assert_eq!(Zone::Ahead(-8 * 3600).time_of_day(WINTER), "15:30:00");
        let berlin = place("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(berlin.moment_of_day(WINTER), "00:30:00.123");
        assert_eq!(berlin.clock(SUMMER), "2026-06-01 01:30:00");
        assert_eq!(berlin.exact(SUMMER), "2026-06-01T01:30:00.123000000+02:00");
        assert_eq!(Zone::Utc.exact(SUMMER), "2026-05-31T23:30:00.123000000Z");
    }

    #[test]
    fn its_name_says_how_far_it_is_from_utc() {
        assert_eq!(Zone::Utc.name(WINTER), "UTC");
        assert_eq!([Zone::Ahead(0), Zone::Ahead(-12_600)].map(|zone| zone.name(WINTER)), ["UTC+00:00", "UTC-03:30"]);
        let berlin = place("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!([WINTER, SUMMER].map(|at| berlin.name(at)), ["UTC+01:00", "UTC+02:00"]);
    }

    #[test]
    fn a_period_over_the_end_of_summer_time_names_both() {
        let told = |zone: Zone, first, last| zone.period(first, last, [first, last].map(|at| zone.time_of_day(at)));
        assert_eq!(told(Zone::Utc, SUMMER, WINTER), "23:30:00 to 23:30:00 UTC");
        let berlin = place("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(told(berlin, SUMMER, WINTER), "01:30:00 UTC+02:00 to 00:30:00 UTC+01:00");
    }

    #[test]
    fn the_ends_of_time_are_kept() {
        assert_eq!(Zone::Ahead(-3600).clock(Timestamp(0)), "1970-01-01 00:00:00");
        assert_eq!(Zone::Ahead(3600).clock(Timestamp(u64::MAX)), "2554-07-21 23:34:33");
        assert_eq!(place("CET-1").time_of_day(Timestamp(u64::MAX)), "23:34:33");
    }
}
