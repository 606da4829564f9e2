//! Numbers and names as people read them. Units are decimal; network rates are in bits.

use std::fmt;

use crate::event::Class;
use crate::time::SECOND;

/// The sign that stands before a class: the ways to view have their own, the others a blank.
pub const fn glyph(class: Class) -> char {
    match class {
        Class::Relay => '▲',
        Class::P2p => '◆',
        Class::Lsf => '■',
        Class::Direct => '→',
        Class::S3 => 'S',
        _ => ' ',
    }
}

/// A number with an SI prefix and a unit: three significant digits at most.
fn scaled(f: &mut fmt::Formatter<'_>, value: f64, unit: &str) -> fmt::Result {
    let mut value = value;
    for prefix in ["", "k", "M", "G", "T", "P", "E"] {
        // 999.5 would round to 1000.
        if value < 999.5 || prefix == "E" {
            let decimals = usize::from(!prefix.is_empty() && value < 9.95);
            return f.pad(&format!("{value:.decimals$} {prefix}{unit}"));
        }
        value /= 1000.0;
    }
    Ok(())
}

/// Bytes: `512 B`, `8.1 MB`.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0 as f64, "B")
    }
}

/// Bits per second: `3.9 Mb/s`.
pub struct BitRate(pub f64);

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "b/s")
    }
}

/// A whole number, its thousands apart: `12 034`.
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(' ');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// So many things: `1 frame`, `12 034 frames`.
pub struct Counted(pub u64, pub &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", Count(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// Nanoseconds as a span: `31 ms`, `4.2 s`, `4 m 22 s`, `3 h 05 m`, `2 d 03 h`.
pub struct Span(pub u64);

impl Span {
    /// That many seconds.
    pub const fn of_seconds(seconds: f64) -> Span {
        Span((seconds * SECOND as f64) as u64)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, seconds) = (self.0 / 1_000_000, self.0.saturating_add(SECOND / 2) / SECOND);
        let text = match seconds {
            _ if self.0 < SECOND => format!("{millis} ms"),
            _ if self.0 < 10 * SECOND => format!("{:.1} s", self.0 as f64 / SECOND as f64),
            0..=59 => format!("{seconds} s"),
            60..=3599 => format!("{} m {:02} s", seconds / 60, seconds % 60),
            3600..=86_399 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
            8_640_000.. => format!("{} d", seconds / 86_400),
            _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
        };
        f.pad(&text)
    }
}

/// Seconds that a round trip took: a [`Span`], and below a millisecond `19 µs`: who answers that soon stands beside the
/// asker, and a zero would hide it.
pub struct RoundTrip(pub f64);

impl fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1e-3 {
            return f.pad(&format!("{:.0} µs", (self.0 * 1e6).round().clamp(0.0, 999.0)));
        }
        Span::of_seconds(self.0).fmt(f)
    }
}

/// A share of 0 to 1 as percent: `0.3 %`.
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        f.pad(&if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(1000).to_string(), "1.0 kB");
        assert_eq!(Bytes(8_123_456).to_string(), "8.1 MB");
        assert_eq!(Bytes(999_600).to_string(), "1.0 MB");
        assert_eq!(Bytes(u64::MAX).to_string(), "18 EB");
        assert_eq!(BitRate(3_912_000.0).to_string(), "3.9 Mb/s");
        assert_eq!(BitRate(64_000.0).to_string(), "64 kb/s");
        assert_eq!(format!("{:>9}", Bytes(1000)), "   1.0 kB");
        assert_eq!(
            [1, 999, 1000, 12_034, 1_234_567].map(|n| Count(n).to_string()).join("|"),
            "1|999|1 000|12 034|1 234 567"
        );
        assert_eq!([Counted(1, "frame"), Counted(1000, "frame")].map(|c| c.to_string()), ["1 frame", "1 000 frames"]);
        assert_eq!(Percent(0.0031).to_string(), "0.3 %");
    }

    #[test]
    fn spans() {
        for (nanos, text) in [
            (0, "0 ms"),
            (31_000_000, "31 ms"),
            (999_999_999, "999 ms"),
            (4_200_000_000, "4.2 s"),
            (42 * SECOND, "42 s"),
            (262 * SECOND, "4 m 22 s"),
            (11_100 * SECOND, "3 h 05 m"),
            (183_600 * SECOND, "2 d 03 h"),
        ] {
            assert_eq!(Span(nanos).to_string(), text);
        }
    }

    #[test]
    fn a_round_trip_is_never_nothing() {
        for (seconds, text) in [(0.000_019_4, "19 µs"), (0.000_999_7, "999 µs"), (0.031, "31 ms"), (4.2, "4.2 s")] {
            assert_eq!(RoundTrip(seconds).to_string(), text);
        }
        assert_eq!(format!("{:>7}", RoundTrip(0.000_019)), "  19 µs");
    }
}
