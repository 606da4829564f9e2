//! Where a connection's responder fell silent, whether something had been asked, and what came then.

use crate::diagnose::scene::nanos;
use crate::diagnose::settings::Stall;
use crate::engine::case::{Case, TcpCase};
use crate::engine::learnt::{Seen, turn};
use crate::flow::course::{Burst, SURGE};
use crate::time::{MILLISECOND, Timestamp, seconds};

/// How near, in nanoseconds, a request and the last bytes before a silence may be for the one to have come after the
/// other: a round trip across the world, and a server that sends session tickets as the request travels.
const TOGETHER: u64 = 1500 * MILLISECOND;
/// TLS 1.3, whose servers send session tickets unasked (RFC 8446 §4.6.1).
const TLS13: u16 = 0x0304;
/// No session ticket's record is shorter than this, in bytes; alerts and a filter's drops are.
const TICKET_LEAST: u16 = 64;

/// A silence of the responder.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// When it began: with the request, else with the last byte before.
    pub from: Timestamp,
    /// When it ended: with the next byte, with the connection, or with the capture.
    pub until: Timestamp,
    /// The frame that it began with, as near as is known.
    pub frame: u64,
    /// Something had been asked, and not been answered.
    pub asked: bool,
    /// What came then.
    pub next: Option<Burst>,
}

impl Silence {
    /// How long it was, in nanoseconds.
    pub const fn nanos(&self) -> u64 {
        self.until.since(self.from)
    }

    /// How long it was, in seconds.
    pub fn seconds(&self) -> f64 {
        seconds(self.nanos())
    }
}

/// When nothing more was to come on a connection: its end, or where it has none the capture's.
pub fn end_of(case: &Case, capture: Timestamp) -> Timestamp {
    let over = case.tcp.as_ref().is_some_and(|tcp| tcp.fin_by.is_some() || tcp.rst_by.is_some());
    if over { case.last } else { capture.max(case.last) }
}

/// All silences of a connection's responder of at least `least` seconds, up to `end`, in order.
pub fn silences(tcp: &TcpCase, end: Timestamp, least: f64) -> Vec<Silence> {
    let [orig, resp] = &tcp.bursts;
    let mut found = Vec::new();
    let mut last: Option<&Burst> = None;
    for next in resp.iter().map(Some).chain([None]) {
        let since = last.map_or(Timestamp::default(), |burst| burst.end);
        let until = next.map_or(end, |burst| burst.start);
        let asked = orig.iter().find(|burst| burst.end.after(TOGETHER) >= since && burst.start < until);
        let frame = asked.or(last).map_or(0, |burst| burst.frame);
        // one that asks on and on has asked when it began
        let from = asked.map_or(since, |burst| if burst.start > since { burst.start } else { burst.end.max(since) });
        if (asked.is_some() || last.is_some()) && until.since(from) >= nanos(least) {
            found.push(Silence { from, until, frame, asked: asked.is_some(), next: next.copied() });
        }
        last = next;
    }
    found
}

/// What became of a connection's last request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// There was no request, or it cannot be told.
    Unknown,
    /// Nothing has come.
    Nothing(Seen),
    /// What has come may be an answer, or what a TLS server sends unasked.
    Perhaps(Seen),
    /// A head has come, of an answer that streams; with it the bytes behind it.
    Head(Seen, Seen, u64),
    /// It was answered.
    Whole,
}

/// What became of the last request of a connection.
pub fn answer_of(case: &Case, settings: &Stall) -> Answer {
    let Some(tcp) = &case.tcp else { return Answer::Unknown };
    if tcp.unacknowledged.first().copied().flatten() != Some(0) {
        return Answer::Unknown;
    }
    match (&case.tls, &case.http) {
        (Some(_), _) => answer_in_tls(case, tcp, settings),
        (None, Some(_)) => answer_in_http(case, tcp),
        (None, None) => Answer::Unknown,
    }
}

fn answer_in_http(case: &Case, tcp: &TcpCase) -> Answer {
    let Some(last) = case.http.as_ref().and_then(|http| http.turns.last()) else { return Answer::Unknown };
    let turn = &last.turn;
    let Some(asked) = turn.asked.filter(|_| turn.marks & turn::CONNECT == 0) else { return Answer::Unknown };
    let streams = turn.marks & (turn::MESSAGE | turn::MEDIA) != 0 && turn.marks & turn::ENDLESS != 0;
    match turn.answered {
        None => Answer::Nothing(asked),
        Some(head) if streams && turn.status == 200 => {
            let behind = tcp.bursts.get(1).into_iter().flatten().filter(|burst| burst.end >= head.ts);
            let bytes = behind.map(|burst| if burst.start >= head.ts { burst.bytes } else { burst.bytes / 2 }).sum();
            Answer::Head(asked, head, bytes)
        }
        Some(_) => Answer::Whole,
    }
}

fn answer_in_tls(case: &Case, tcp: &TcpCase, settings: &Stall) -> Answer {
    let Some(tls) = &case.tls else { return Answer::Unknown };
    let Some(flight) = &tls.flight else { return Answer::Unknown };
    // in TLS 1.3 the first record of the client that looks like data is the end of its handshake
    let handshake = u16::from(tls.version == TLS13);
    let [_, since] = tcp.turns;
    if flight.client <= handshake {
        return Answer::Unknown;
    }
    // drops of a held answer may follow them
    let lengths: Vec<u16> = flight.lengths().iter().copied().filter(|length| *length >= TICKET_LEAST).collect();
    let unasked = tls.version == TLS13 && !lengths.is_empty();
    let drops = !flight.lengths().is_empty() && lengths.is_empty();
    match &lengths[..] {
        [] if since == 0 || drops && f64::from(since) <= settings.ticket_bytes => Answer::Nothing(flight.asked),
        lengths if unasked && are_tickets(lengths) && f64::from(since) <= most_unasked(settings) => match lengths {
            [_] => Answer::Perhaps(flight.asked),
            _ => Answer::Nothing(flight.asked),
        },
        _ => Answer::Whole,
    }
}

/// The most that session tickets come to, with what their records and a trickle add.
fn most_unasked(settings: &Stall) -> f64 {
    settings.ticket_bytes * 2.0
}

/// Whether records are session tickets by their lengths: of one make.
fn are_tickets(lengths: &[u16]) -> bool {
    const ALIKE: u16 = 16;
    let (Some(least), Some(most)) = (lengths.iter().min(), lengths.iter().max()) else { return false };
    lengths.len() <= 4 && *least >= TICKET_LEAST && most.saturating_sub(*least) <= ALIKE
}

/// A release: what had been held came at once, and the stream went on at its own rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// The frame that it began with.
    pub frame: u64,
    /// Bytes more than the stream's own rate would have brought.
    pub backlog: f64,
    /// The stream's own rate, in bytes a second; none where it ended with the release.
    pub rate: Option<f64>,
    /// How long it had been held, in seconds.
    pub held: f64,
}

/// Whether the burst behind a hold that began at `from` is the release of what was held, and not a late start: then most
/// of rate times time comes at once. `ended`: the connection ended with it.
pub fn release(from: Timestamp, burst: &Burst, ended: bool, settings: &Stall) -> Option<Release> {
    let (peak, held) = (burst.peak, seconds(burst.peak.at.since(from)));
    if held < settings.release_silence_seconds {
        return None;
    }
    let surge = seconds(SURGE);
    let (all, most) = (burst.bytes.saturating_sub(peak.before) as f64, peak.bytes as f64);
    let after = seconds(burst.end.since(peak.at)) - surge;
    let found = |backlog, rate| Some(Release { at: peak.at, frame: peak.frame, backlog, rate, held });
    if after >= settings.release_seconds {
        let rate = (all - burst.surge as f64).max(0.0) / after;
        let backlog = burst.surge as f64 - rate * surge;
        let held_bytes = (rate * held).max(settings.release_bytes_least / settings.backlog_share);
        let at_once = most >= settings.release_factor * rate && backlog >= settings.backlog_share * held_bytes;
        return if at_once { found(backlog, Some(rate)) } else { None };
    }
    let at_once = burst.end.since(peak.at) <= nanos(settings.release_seconds);
    if ended && at_once && all >= settings.release_bytes { found(all, None) } else { None }
}

/// A trickle: drops of a held stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trickle {
    /// The first drop.
    pub first: Timestamp,
    /// Its frame.
    pub frame: u64,
    /// How many drops.
    pub drops: u32,
    /// Their bytes, all together.
    pub bytes: u64,
    /// The mean time between two, in seconds.
    pub pause: f64,
}

impl Trickle {
    /// The mean size of a drop, in bytes.
    pub fn mean(&self) -> u64 {
        self.bytes.checked_div(u64::from(self.drops)).unwrap_or(0)
    }
}

/// The drops among the responder's bursts from `from` on, if they come with a rhythm; and what came behind them.
pub fn trickle(tcp: &TcpCase, from: Timestamp, settings: &Stall) -> Option<(Trickle, Option<Burst>)> {
    let [orig, resp] = &tcp.bursts;
    let is_drop = |burst: &&Burst| burst.bytes as f64 <= settings.trickle_bytes * f64::from(burst.parts);
    let mut behind = resp.iter().skip_while(|burst| burst.start <= from.after(TOGETHER));
    let drops: Vec<&Burst> = behind.clone().take_while(is_drop).collect();
    let next = behind.nth(drops.len()).copied();
    let (first, last) = (drops.first()?, drops.last()?);
    // who goes on talking is not kept waiting
    if orig.iter().any(|burst| burst.end > first.start && burst.start < last.end) {
        return None;
    }
    let count = drops.iter().fold(0u32, |sum, burst| sum.saturating_add(burst.parts));
    let bytes = drops.iter().map(|burst| burst.bytes).sum::<u64>();
    let span = seconds(last.end.since(first.start));
    if f64::from(count) < settings.trickle_segments || span <= 0.0 || bytes as f64 * 8.0 / span > settings.trickle_bps {
        return None;
    }
    let pauses: Vec<f64> = drops
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(seconds(b.start.since(a.start)) / f64::from(a.parts)),
            _ => None,
        })
        .collect();
    let steady = has_rhythm(&pauses, settings) || (pauses.len() < 2 && count > 8);
    let pause = span / f64::from(count.saturating_sub(1).max(1));
    let trickle = Trickle { first: first.start, frame: first.frame, drops: count, bytes, pause };
    steady.then_some((trickle, next))
}

/// Whether pauses are those of a timer: all alike, or each about as many times the one before.
fn has_rhythm(pauses: &[f64], settings: &Stall) -> bool {
    let within = |pause: &f64| (settings.trickle_gap_seconds_min..=settings.trickle_gap_seconds_max).contains(pause);
    if pauses.len() < 2 || !pauses.iter().all(within) {
        return false;
    }
    if varies_less_than(pauses, settings.trickle_variation) {
        return true;
    }
    let growth: Vec<f64> = pauses.windows(2).filter_map(|pair| Some(pair.get(1)? / pair.first()?)).collect();
    let about = |factor: &f64| (factor / settings.trickle_growth - 1.0).abs() < 0.25;
    growth.len() > 1 && growth.iter().all(about)
}

/// Whether the standard deviation of some values is less than `share` of their mean.
pub fn varies_less_than(values: &[f64], share: f64) -> bool {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    mean > 0.0 && variance.sqrt() / mean < share
}

/// Whether a connection is one of repeated waits that are each answered: a long poll, or a heartbeat.
pub fn is_poll(tcp: &TcpCase, end: Timestamp) -> bool {
    const SMALL: u64 = 64 << 10;
    let answered = silences(tcp, end, 2.0).into_iter().filter(|s| s.asked);
    let small =
        answered.filter(|s| s.next.is_some_and(|next| next.bytes < SMALL.saturating_mul(u64::from(next.parts))));
    small.count() >= 2
}
