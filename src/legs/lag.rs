//! Whether a box passes each message on, or the end of it, only when the next one comes in.
//!
//! Between two messages nothing goes in. What passes on at once has come out by then; what waits for the next message
//! waits all through the pause, and comes out with the first of it. Amounts that differ between the two sides of a
//! proxy look alike at first, but only ever grow.

use super::curve::{Curve, Step};
use crate::diagnose::settings::Legs as Settings;

/// A stream in which each message came out with the next one that went in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// The first message.
    pub first: Step,
    /// What came out of it with the next.
    pub out: Step,
    /// When the last came out.
    pub last: f64,
    /// How many messages went in.
    pub messages: usize,
    /// How many of them came out with the next one, or their ends.
    pub late: usize,
    /// How late they were, in seconds: the median.
    pub seconds: f64,
    /// How much of them was late, in bytes: the median.
    pub bytes: f64,
}

/// Bytes that came with no pause between them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Message {
    begin: Step,
    end: f64,
    bytes: f64,
    /// Bytes of the stream with it.
    until: f64,
}

/// What was still missing at the end of a pause.
struct Missing {
    bytes: f64,
    share: f64,
    seconds: f64,
    first: Step,
    out: Step,
}

/// Whether what `put_in` shows comes out one message late. `doubt` is how far the curves' times may be apart.
pub fn find(put_in: &Curve, come_out: &Curve, doubt: f64, settings: &Settings) -> Option<Lag> {
    let messages = messages(put_in, settings);
    let pauses = messages.len().saturating_sub(1);
    if (messages.len() as f64) < settings.messages {
        return None;
    }
    let with = settings.with_seconds + doubt;
    let missing: Vec<Missing> = messages
        .windows(2)
        .filter_map(|pair| pair.first().zip(pair.get(1)))
        .filter_map(|(message, next)| missing(message, next, come_out, with, settings))
        .collect();
    if (missing.len() as f64) < settings.late_share * pauses as f64 || !is_no_drift(&missing, settings) {
        return None;
    }
    let (first, last) = (missing.first()?, missing.last()?);
    Some(Lag {
        first: first.first,
        out: first.out,
        last: last.out.at,
        messages: messages.len(),
        late: missing.len(),
        seconds: median(missing.iter().map(|m| m.seconds))?,
        bytes: median(missing.iter().map(|m| m.bytes))?,
    })
}

/// What of a message waited for the next one, if anything did.
fn missing(message: &Message, next: &Message, come_out: &Curve, with: f64, settings: &Settings) -> Option<Missing> {
    let pause = next.begin.at - message.end;
    let (half, end) = (message.end + pause / 2.0, next.begin.at - with);
    if half >= end {
        return None;
    }
    let by_then = come_out.by(end);
    let bytes = message.until - by_then;
    let waits = bytes >= settings.tail_bytes && by_then <= come_out.by(half);
    let comes = come_out.by(next.begin.at + with) >= message.until;
    (waits && comes).then_some(Missing {
        bytes,
        share: bytes / message.bytes.max(1.0),
        seconds: next.begin.at - message.begin.at,
        first: message.begin,
        out: come_out.after(end)?,
    })
}

/// Whether what is missing is more than a difference of amounts, which would begin with little and only grow.
fn is_no_drift(missing: &[Missing], settings: &Settings) -> bool {
    let whole = missing.iter().filter(|m| m.share >= settings.released_share).count();
    let shrinks = missing.windows(2).filter(|pair| match pair {
        [a, b] => a.bytes - b.bytes >= settings.tail_bytes,
        _ => false,
    });
    let all = missing.len() as f64;
    whole as f64 >= settings.late_share * all || shrinks.count() as f64 >= settings.shrinks_share * all
}

/// The messages of a curve: what lies between its pauses.
fn messages(curve: &Curve, settings: &Settings) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    let mut before = 0.0;
    for step in curve.steps() {
        let bytes = step.bytes - before;
        before = step.bytes;
        match all.last_mut() {
            Some(message) if step.at - message.end < settings.pause_seconds => {
                message.bytes += bytes;
                (message.end, message.until) = (step.at, step.bytes);
            }
            _ => all.push(Message { begin: *step, end: step.at, bytes, until: step.bytes }),
        }
    }
    all
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;
    use crate::diagnose::rules::Rules;

    /// Ten messages of about 80 kB, one every two seconds, each in four pieces.
    fn pieces() -> Vec<(f64, f64)> {
        (0..40)
            .map(|n| {
                (3.0 + f64::from(n / 4) * 2.0 + f64::from(n % 4) * 0.05, 18_000.0 + f64::from(n * 37 % 11) * 500.0)
            })
            .collect()
    }

    fn found(put_in: &[(f64, f64)], come_out: &[(f64, f64)]) -> Option<Lag> {
        let rules = Rules::embedded().unwrap();
        find(&curve(put_in), &curve(come_out), 0.001, &rules.settings.legs)
    }

    #[test]
    fn what_waits_for_the_next_message_is_late() {
        let put_in = pieces();
        // all of it
        let whole: Vec<_> = put_in[..36].iter().map(|(at, bytes)| (at + 2.0, *bytes)).collect();
        let lag = found(&put_in, &whole).unwrap();
        assert_eq!((lag.messages, lag.late, lag.first.at, lag.out.at), (10, 9, 3.0, 5.0));
        assert!((lag.seconds - 2.0).abs() < 1e-6 && lag.bytes > 70_000.0, "{lag:?}");
        // the last piece of each, as it waits for the one that comes next
        let last: Vec<_> = put_in.windows(2).map(|pair| (pair[1].0 + 0.002, pair[0].1)).collect();
        let lag = found(&put_in, &last).unwrap();
        assert!(lag.late == 9 && lag.bytes < 30_000.0, "{lag:?}");
    }

    #[test]
    fn what_passes_is_not() {
        let put_in = pieces();
        let passed = |share: f64, later: f64| put_in.iter().map(|(at, b)| (at + later, b * share)).collect::<Vec<_>>();
        for (share, later) in [(1.0, 0.001), (0.97, 0.001), (1.03, 0.1), (0.99, 0.4), (1.0, 1.2), (0.9, 0.001)] {
            assert_eq!(found(&put_in, &passed(share, later)), None, "{share} {later}");
        }
        // gathered until a message is whole
        let whole: Vec<_> = put_in.chunks(4).map(|four| (four[3].0 + 0.01, four.iter().map(|p| p.1).sum())).collect();
        assert_eq!(found(&put_in, &whole), None);
        assert_eq!(found(&put_in[..16], &passed(1.0, 2.0)[..12]), None);
    }
}
