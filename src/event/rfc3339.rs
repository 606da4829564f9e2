//! Times as records tell them: RFC 3339, UTC, nanoseconds.

use serde::ser::{Serialize, Serializer};

use crate::time::{SECOND, Timestamp};

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Rfc3339(*self).text();
        // Digits and ASCII marks only.
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A timestamp as RFC 3339 text in UTC with nanoseconds.
pub struct Rfc3339(pub Timestamp);

impl Rfc3339 {
    /// The text, by hand: a record has two of them, and formatting would cost more than all its other fields.
    /// The greatest timestamp falls in the year 2554, so four digits are enough.
    fn text(&self) -> [u8; 30] {
        let (days, rest) = (self.0.0 / SECOND / 86_400, self.0.0 / SECOND % 86_400);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], rest / 3600);
        digits(&mut text[14..16], rest / 60 % 60);
        digits(&mut text[17..19], rest % 60);
        digits(&mut text[20..29], self.0.0 % SECOND);
        text
    }
}

/// Writes a number into all of `out`, its last digit last. It has no more digits than there is room.
fn digits(out: &mut [u8], number: u64) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number as u32).as_bytes();
    let from = out.len().saturating_sub(text.len());
    out[from..].copy_from_slice(text);
}

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

/// The proleptic Gregorian date of a number of days since the Unix epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
