//! Whether a box passes each message on only when the next one comes in.

use super::curve::{Curve, Step};
use crate::diagnose::settings::Legs as Settings;

/// A stream in which each message came out with the next one that went in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// The first message.
    pub first: Step,
    /// It, as it came out.
    pub out: Step,
    /// The last that came out.
    pub last: f64,
    /// How many messages.
    pub messages: usize,
    /// How many of them came out with the next one.
    pub late: usize,
    /// How late they were, in seconds: the median.
    pub seconds: f64,
}

/// Bytes that came with no pause between them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Message {
    begin: Step,
    bytes: f64,
}

/// Whether all of what `put_in` shows comes out one message late. `doubt` is how far the curves' times may be apart.
pub fn find(put_in: &Curve, come_out: &Curve, doubt: f64, settings: &Settings) -> Option<Lag> {
    let put_in = messages(put_in, settings);
    let come_out = messages(come_out, settings);
    if (put_in.len() as f64) < settings.messages {
        return None;
    }
    let with = settings.with_seconds + doubt;
    let (mut late, mut lags, mut checked) = (0usize, Vec::new(), 0usize);
    let (mut out, mut last) = (None, 0.0);
    for pair in put_in.windows(2) {
        let [message, next] = pair else { continue };
        let lag = next.begin.at - message.begin.at;
        checked = checked.saturating_add(1);
        // what came out with it and before the next is the one before, not this
        let own = between(&come_out, message.begin.at - with, next.begin.at - with);
        let then = between(&come_out, next.begin.at - with, next.begin.at + with.max(lag / 2.0));
        let Some(then) = then.filter(|then| is_alike(then.bytes, message.bytes, settings)) else { continue };
        let passed_at_once = own.is_some_and(|own| out.is_none() && own.bytes > settings.passed_share * message.bytes);
        if lag > 2.0 * with && !passed_at_once {
            late = late.saturating_add(1);
            lags.push(lag);
            out = out.or(Some((message.begin, then.begin)));
            last = then.begin.at;
        }
    }
    lags.sort_by(f64::total_cmp);
    let seconds = lags.get(lags.len() / 2).copied()?;
    let ((first, out), enough) = (out?, late as f64 >= settings.late_share * checked as f64);
    // with the first there came nothing: only that tells messages that are late from messages that are alike
    let leads = put_in.first().is_some_and(|leading| leading.begin.at >= first.at);
    (enough && leads && late as f64 + 1.0 >= settings.messages).then_some(Lag {
        first,
        out,
        last,
        messages: put_in.len(),
        late,
        seconds,
    })
}

/// The messages of a curve: what lies between its pauses. What is small beside the others is no message.
fn messages(curve: &Curve, settings: &Settings) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    let (mut before, mut last) = (0.0, f64::NEG_INFINITY);
    for step in curve.steps() {
        let bytes = step.bytes - before;
        match all.last_mut() {
            Some(message) if step.at - last < settings.pause_seconds => message.bytes += bytes,
            _ => all.push(Message { begin: *step, bytes }),
        }
        (before, last) = (step.bytes, step.at);
    }
    let mut sizes: Vec<f64> = all.iter().map(|message| message.bytes).collect();
    sizes.sort_by(f64::total_cmp);
    let usual = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
    all.retain(|message| message.bytes >= usual * settings.passed_share);
    all
}

/// What came from `from` on and before `until`.
fn between(messages: &[Message], from: f64, until: f64) -> Option<Message> {
    let mut inside = messages.iter().filter(|message| message.begin.at >= from && message.begin.at < until);
    let first = *inside.next()?;
    Some(inside.fold(first, |sum, more| Message { bytes: sum.bytes + more.bytes, ..sum }))
}

/// Whether a message has the size of another, but for what a proxy changes.
fn is_alike(a: f64, b: f64, settings: &Settings) -> bool {
    (a - b).abs() <= settings.same_share * a.max(b)
}
