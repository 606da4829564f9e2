//! Times as records tell them: RFC 3339, UTC, nanoseconds.

use serde::ser::{Serialize, Serializer};

use crate::short::{Short, eight_digits};
use crate::time::{SECOND, Timestamp};

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Rfc3339(*self).text())
    }
}

/// A timestamp as RFC 3339 text in UTC with nanoseconds.
pub struct Rfc3339(pub Timestamp);

impl Rfc3339 {
    /// The text, by hand: a record has two of them, and formatting would cost more than all its other fields.
    /// The greatest timestamp falls in the year 2554, so four digits are enough.
    fn text(&self) -> Short {
        let seconds = self.0.0 / SECOND;
        let (days, rest) = ((seconds / 86_400) as u32, (seconds % 86_400) as u32);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let nanos = (self.0.0 % SECOND) as u32;
        let date = eight_digits(year * 10_000 + month * 100 + day);
        let time = eight_digits(rest / 3600 * 10_000 + rest / 60 % 60 * 100 + rest % 60);
        text[..4].copy_from_slice(&date[..4]);
        text[5..7].copy_from_slice(&date[4..6]);
        text[8..10].copy_from_slice(&date[6..]);
        text[11..13].copy_from_slice(&time[2..4]);
        text[14..16].copy_from_slice(&time[4..6]);
        text[17..19].copy_from_slice(&time[6..]);
        text[20..28].copy_from_slice(&eight_digits(nanos / 10));
        text[28] = b'0' + (nanos % 10) as u8;
        Short::of(text)
    }
}

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text())
    }
}

/// The proleptic Gregorian date of a number of days since the Unix epoch.
fn civil(days: u32) -> (u32, u32, u32) {
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rfc_3339_in_utc() {
        let text = |s, n| Rfc3339(Timestamp::from_parts(s, n)).to_string();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(1_709_251_199, 7), "2024-02-29T23:59:59.000000007Z");
        assert_eq!(text(1_750_000_000, 999_999_999), "2025-06-15T15:06:40.999999999Z");
        assert_eq!(text(4_102_444_800, 0), "2100-01-01T00:00:00.000000000Z");
        assert_eq!(text(u64::MAX, 0), "2554-07-21T23:34:33.709551615Z");
    }
}
