//! Numbers with units, as a filter writes them. Units are decimal; rates are in bits.

use super::ast::Measure;
use crate::event::Word;

/// Reads a number of that measure into SI units; the error is a hint.
pub(super) fn parse(measure: Measure, text: &str) -> Result<f64, &'static str> {
    if measure == Measure::Conf
        && let Some(word) = Word::parse(text)
    {
        return Ok(word.least());
    }
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok().filter(|n: &f64| n.is_finite()).ok_or(hint(measure))?;
    let value = match measure {
        Measure::Conf | Measure::Retrans => share(number, unit),
        Measure::Rate => rate(unit).map(|scale| number * scale),
        Measure::Rtt | Measure::Age => time(number, unit),
        Measure::Bytes => bytes(unit).map(|scale| number * scale),
        Measure::Pkts => prefix(unit).map(|scale| number * scale),
    };
    value.filter(|v| v.is_finite()).ok_or(hint(measure))
}

/// How a number of that measure is written.
pub(super) const fn hint(measure: Measure) -> &'static str {
    match measure {
        Measure::Conf => "write a share such as 0.8 or 80%, or one of certain, high, medium, low, guess",
        Measure::Retrans => "write a share such as 1% or 0.01",
        Measure::Rate => "write bits per second, such as 500k, 1M or 2.5Mb/s (1MB/s counts bytes)",
        Measure::Rtt | Measure::Age => "write a time such as 100ms, 30s, 5m or 2h",
        Measure::Bytes => "write bytes, such as 1500, 10kB, 10MB or 1GiB",
        Measure::Pkts => "write a count, such as 100 or 10k",
    }
}

fn share(number: f64, unit: &str) -> Option<f64> {
    let value = match unit {
        "" => number,
        "%" => number / 100.0,
        _ => return None,
    };
    (value <= 1.0).then_some(value)
}

fn time(number: f64, unit: &str) -> Option<f64> {
    // Divided, not multiplied by 0.001: so 31ms is the same number as 0.031.
    Some(match unit {
        "ns" => number / 1e9,
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    })
}

fn prefix(unit: &str) -> Option<f64> {
    Some(match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" | "m" => 1e6,
        "G" | "g" => 1e9,
        "T" | "t" => 1e12,
        _ => return None,
    })
}

fn bytes(unit: &str) -> Option<f64> {
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    match unit {
        "Ki" => Some(1024.0),
        "Mi" => Some(1024.0 * 1024.0),
        "Gi" => Some(1024.0 * 1024.0 * 1024.0),
        _ => prefix(unit),
    }
}

fn rate(unit: &str) -> Option<f64> {
    if let Some(unit) = unit.strip_suffix("B/s") {
        return prefix(unit).map(|scale| scale * 8.0);
    }
    prefix(["bit/s", "b/s", "bps", "bit", "b"].iter().find_map(|s| unit.strip_suffix(s)).unwrap_or(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (measure, text, value) in [
            (Measure::Conf, "0.8", 0.8),
            (Measure::Conf, "High", 0.80),
            (Measure::Retrans, "1%", 0.01),
            (Measure::Rate, "1M", 1e6),
            (Measure::Rate, "2.5Mb/s", 2.5e6),
            (Measure::Rate, "1MB/s", 8e6),
            (Measure::Rate, "64kbps", 64e3),
            (Measure::Rtt, "31ms", 0.031),
            (Measure::Age, "1.5h", 5400.0),
            (Measure::Bytes, "10MB", 1e7),
            (Measure::Bytes, "1KiB", 1024.0),
            (Measure::Pkts, "10k", 1e4),
        ] {
            assert_eq!(parse(measure, text), Ok(value), "{text}");
        }
        for (measure, text) in [
            (Measure::Retrans, "2"),
            (Measure::Retrans, "101%"),
            (Measure::Rate, "1MB"),
            (Measure::Rtt, "1x"),
            (Measure::Bytes, ""),
            (Measure::Bytes, "."),
            (Measure::Bytes, "-1"),
            (Measure::Pkts, "1MB"),
        ] {
            assert!(parse(measure, text).is_err(), "{text}");
        }
    }
}
