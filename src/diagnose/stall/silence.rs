//! Where a connection's responder fell silent, whether something had been asked, and what came then.

use crate::diagnose::scene::nanos;
use crate::diagnose::settings::Stall;
use crate::engine::case::{Case, TcpCase, TlsCase, TroubleCase};
use crate::engine::learnt::{ANSWER_LEAST, Flight, REQUEST_LEAST, Seen, turn};
use crate::flow::course::{Burst, RUNGS, Spoke};
use crate::time::{MILLISECOND, SECOND, Timestamp, seconds};

/// How near, in nanoseconds, a request and the last bytes before a silence may be for the one to have come after the
/// other: a round trip across the world, and a server that sends session tickets as the request travels.
const TOGETHER: u64 = 1500 * MILLISECOND;
/// TLS 1.3, whose servers send session tickets unasked (RFC 8446 §4.6.1).
pub const TLS13: u16 = 0x0304;
/// The longest record that ends TLS, or that holds a filter's drop, in bytes.
const DROP_MOST: u16 = 26;
/// The words that end TLS, with their record, and a filter's drops are no longer, in bytes.
const LAST_WORDS: u32 = 31;

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

/// A silence as one behind a request that nothing, or next to nothing, had answered: where it began with that. `None`
/// where what was asked had been answered, and where what then came may be the answer to what was said just before it.
pub fn behind_request(case: &Case, tcp: &TcpCase, silence: &Silence, settings: &Stall) -> Option<Silence> {
    let [orig, resp] = &tcp.bursts;
    let heard = || resp.iter().filter(|burst| burst.start < silence.until);
    let since = heard().next_back().map_or(Timestamp::default(), |burst| burst.end);
    let asks = |burst: &&Burst| asks(case, burst, settings);
    let mut within = orig.iter().filter(|burst| burst.start > since && burst.start < silence.until);
    let large = silence.next.is_some_and(|next| next.bytes as f64 >= settings.release_bytes_least);
    if large && within.clone().next_back().is_some_and(|burst| silence.until.since(burst.start) < TOGETHER) {
        return None;
    }
    if let Some(ask) = within.find(asks) {
        return Some(Silence { from: ask.start, frame: ask.frame, ..*silence });
    }
    let before = |burst: &&Burst| burst.start <= since && burst.end.after(TOGETHER) >= since;
    let ask = orig.iter().filter(before).find(asks)?;
    let answer = heard().filter(|burst| burst.end >= ask.start).map(|burst| burst.bytes).fold(0, u64::saturating_add);
    // of one who said more than the request, when it was is known, and not where
    let frame = if ask.end.since(ask.start) < TOGETHER { ask.frame } else { 0 };
    let from = ask.end.max(since).min(silence.until);
    (answer as f64 <= settings.answered_bytes).then_some(Silence { from, frame, ..*silence })
}

/// Whether what a client said in a burst may be a request: in the clear it can be read, else it is as long as one.
pub fn asks(case: &Case, burst: &Burst, settings: &Stall) -> bool {
    // the end of what came before a course was kept is known to the microsecond
    let within = |asked: Seen| burst.start <= asked.ts && asked.ts <= burst.end.after(MILLISECOND);
    let mut turns = case.http.iter().filter(|_| case.tls.is_none()).flat_map(|http| &http.turns);
    burst.asks(settings.request_bytes) || turns.any(|turn| turn.turn.asked.is_some_and(within))
}

/// Whether either side sent data again in a silence, and not at its beginning alone, as to a box that is slow to
/// acknowledge: then the line was gone, and what comes behind it had waited for that.
pub fn is_repeated_within(tcp: &TcpCase, silence: &Silence) -> bool {
    let times = |trouble: &TroubleCase| [trouble.first_repeat, trouble.last_repeat, trouble.repeated.first];
    tcp.trouble.iter().flat_map(times).any(|ts| ts >= silence.from.after(TOGETHER) && ts < silence.until)
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
    // its own end need not have been acknowledged
    if tcp.unacknowledged.first().copied().flatten().is_none_or(|bytes| bytes > 1) {
        return Answer::Unknown;
    }
    match (&case.tls, &case.http) {
        (Some(tls), _) if case.cut || tls.flight.is_some_and(|flight| flight.missed) => {
            answer_by_amount(case, tls, tcp, settings)
        }
        (Some(_), _) => answer_in_tls(case, tcp, settings),
        (None, Some(_)) => answer_in_http(case, tcp),
        (None, None) => Answer::Unknown,
    }
}

fn answer_in_http(case: &Case, tcp: &TcpCase) -> Answer {
    let Some(last) = case.http.as_ref().and_then(|http| http.turns.last()) else { return Answer::Unknown };
    let turn = &last.turn;
    let Some(asked) = turn.asked.filter(|_| turn.marks & turn::CONNECT == 0) else { return Answer::Unknown };
    let [_, said] = tcp.turns;
    match turn.answered {
        // what came was cut where it could not be read
        None if case.cut && said > 0 => Answer::Unknown,
        None => Answer::Nothing(asked),
        Some(head) if streams(turn.marks) && turn.status == 200 => {
            let behind = tcp.bursts.get(1).into_iter().flatten().filter(|burst| burst.end >= head.ts);
            let bytes = behind.map(|burst| if burst.start >= head.ts { burst.bytes } else { burst.bytes / 2 }).sum();
            Answer::Head(asked, head, bytes)
        }
        Some(_) => Answer::Whole,
    }
}

/// What became of the last request where frames were cut, or not in order: the records behind it are not known one by
/// one, but how much they come to is.
fn answer_by_amount(case: &Case, tls: &TlsCase, tcp: &TcpCase, settings: &Stall) -> Answer {
    let Some(flight) = tls.flight.filter(|flight| flight.client > handshakes(case, tls)) else {
        return Answer::Unknown;
    };
    // who speaks anew has heard something
    if flight.is_left() || tcp.spoke.is_some_and(|spoke| spoke.ts > flight.asked.ts) {
        return answer_unread(tcp, settings);
    }
    let [_, since] = tcp.turns;
    match since {
        _ if is_no_request(&flight, tcp, settings) => Answer::Whole,
        ..=LAST_WORDS => Answer::Nothing(flight.asked),
        _ if f64::from(since) <= most_unasked(settings) => Answer::Perhaps(flight.asked),
        _ => Answer::Whole,
    }
}

/// Whether the last record that looks like a request is less than one: HTTP/2 says how much more it takes, and asks
/// whether the other side is still there.
fn is_no_request(flight: &Flight, tcp: &TcpCase, settings: &Stall) -> bool {
    tcp.spoke.is_some_and(|spoke| {
        spoke.bytes > 0 && f64::from(spoke.bytes) < settings.request_bytes && spoke.ts <= flight.asked.ts
    })
}

/// What became of the last request of a connection whose records nobody looks at any more: it is what the client said
/// last, if that is as much as a request and said at once. Those before it were answered, or the client would not ask.
fn answer_unread(tcp: &TcpCase, settings: &Stall) -> Answer {
    let ([_, since], Some(spoke)) = (tcp.turns, tcp.spoke) else { return Answer::Unknown };
    if since > LAST_WORDS {
        return Answer::Whole;
    }
    let [orig, _] = &tcp.bursts;
    // first it may have said how much more it takes, and asked after a pause
    let later = orig.iter().rfind(|burst| burst.start > spoke.ts && burst.asks(settings.request_bytes));
    let (asked, until) = match later {
        Some(burst) => (Seen { ts: burst.start, frame: burst.frame }, burst.end),
        None if f64::from(spoke.bytes) < settings.request_bytes => return Answer::Whole,
        None => (seen(spoke), orig.last().map_or(spoke.ts, |burst| burst.end)),
    };
    if until <= asked.ts.after(TOGETHER) { Answer::Nothing(asked) } else { Answer::Whole }
}

const fn seen(spoke: Spoke) -> Seen {
    Seen { ts: spoke.ts, frame: spoke.frame }
}

/// How many records of the client that look like data are the end of its handshake: one in TLS 1.3, and where a cut
/// hello does not tell, it may be so. Before it, one says that the data sent with the hello is over (RFC 8446 section
/// 4.5).
fn handshakes(case: &Case, tls: &TlsCase) -> u16 {
    /// The length of that record: a message without a body, its type, and a tag of 16 bytes.
    const END_OF_EARLY_DATA: u16 = 21;
    let early = tls.flight.is_some_and(|flight| flight.first == END_OF_EARLY_DATA);
    match tls.version {
        TLS13 => 1u16.saturating_add(u16::from(early)),
        version => u16::from(case.cut && version == 0 && !tls.clear_keys),
    }
}

fn answer_in_tls(case: &Case, tcp: &TcpCase, settings: &Stall) -> Answer {
    let Some(tls) = &case.tls else { return Answer::Unknown };
    let Some(flight) = &tls.flight else { return Answer::Unknown };
    if flight.client <= handshakes(case, tls) {
        return Answer::Unknown;
    }
    if flight.is_left() {
        return answer_unread(tcp, settings);
    }
    if is_no_request(flight, tcp, settings) {
        return Answer::Whole;
    }
    // drops of a held answer may follow them, and the word that ends the connection; what is longer may say in HTTP/2
    // that there is nothing to say, or how it is to be said
    let brief = says_briefly(tls, flight);
    // what came since the request, though a word that asks for nothing may have followed it
    let [_, since] = tcp.turns;
    let since = flight.lengths().iter().map(|length| u32::from(*length)).sum::<u32>().max(since);
    let lengths: Vec<u16> = flight.lengths().iter().copied().filter(|length| *length >= ANSWER_LEAST).collect();
    let unasked = tls.version == TLS13 && !lengths.is_empty();
    match &lengths[..] {
        [] if f64::from(since) <= settings.ticket_bytes => match brief {
            true => Answer::Perhaps(flight.asked),
            false => Answer::Nothing(flight.asked),
        },
        // two are sent as a rule; one, or one beside two, may be the answer
        lengths if unasked && are_tickets(lengths) && f64::from(since) <= most_unasked(settings) => match lengths {
            [_, _] if !brief => Answer::Nothing(flight.asked),
            _ => Answer::Perhaps(flight.asked),
        },
        _ => Answer::Whole,
    }
}

/// Whether the server says what is longer than a drop and shorter than an answer's head: in HTTP/2 it may say so that
/// there is nothing to say. How it is to be said comes first of all there (RFC 9113 section 3.4).
fn says_briefly(tls: &TlsCase, flight: &Flight) -> bool {
    let brief = |length: &&u16| (DROP_MOST.saturating_add(1)..ANSWER_LEAST).contains(length);
    let expected = usize::from(tls.h2 && !flight.later);
    flight.lengths().iter().filter(brief).count() > expected
}

/// Whether all that a server has said is what TLS 1.3 has it send unasked.
pub fn is_unasked(tls: &TlsCase, said: u32, settings: &Stall) -> bool {
    let Some(flight) = tls.flight.as_ref().filter(|flight| !flight.missed && !flight.is_left()) else { return false };
    let lengths: Vec<u16> = flight.lengths().iter().copied().filter(|length| *length >= ANSWER_LEAST).collect();
    let whole = tls.version == TLS13 && lengths.len() == 2 && !says_briefly(tls, flight);
    whole && are_tickets(&lengths) && f64::from(said) <= most_unasked(settings)
}

/// When a connection's last request was made, whatever has come of it, where an answer may be a stream.
pub fn asked_of(case: &Case) -> Option<Seen> {
    match (&case.tls, &case.http) {
        (Some(tls), _) => {
            let flight = tls.flight.filter(|flight| flight.client > handshakes(case, tls))?;
            let last = case.tcp.as_ref()?.spoke.filter(|_| flight.is_left());
            let later = |last: &Spoke| match last.frame {
                // it is only known when that was over
                0 => last.ts > flight.asked.ts.after(TOGETHER),
                _ => last.ts > flight.asked.ts,
            };
            let last = last.filter(|last| last.bytes >= u32::from(REQUEST_LEAST) && later(last));
            Some(last.map_or(flight.asked, seen))
        }
        (None, Some(http)) => {
            let turn = &http.turns.last()?.turn;
            let may = turn.answered.is_none() || turn.status == 200 && streams(turn.marks);
            turn.asked.filter(|_| may && turn.marks & turn::CONNECT == 0)
        }
        (None, None) => None,
    }
}

/// Whether an answer is one that streams.
const fn streams(marks: u32) -> bool {
    marks & (turn::MESSAGE | turn::MEDIA) != 0 && marks & turn::ENDLESS != 0
}

/// Whether what a server has sent in answer to the last request is less than a head, in the clear.
pub fn is_less_than_a_head(case: &Case) -> bool {
    let last = case.http.as_ref().filter(|_| case.tls.is_none()).and_then(|http| http.turns.last());
    !case.cut && last.is_some_and(|last| last.turn.asked.is_some() && last.turn.answered.is_none())
}

/// The most that session tickets come to, with what their records and a trickle add.
fn most_unasked(settings: &Stall) -> f64 {
    settings.ticket_bytes * 2.0
}

/// Whether records are session tickets by their lengths: of one make.
pub fn are_tickets(lengths: &[u16]) -> bool {
    const ALIKE: u16 = 16;
    let (Some(least), Some(most)) = (lengths.iter().min(), lengths.iter().max()) else { return false };
    lengths.len() <= 4 && *least >= ANSWER_LEAST && most.saturating_sub(*least) <= ALIKE
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

/// What comes behind a hold.
#[derive(Clone, Copy, Debug)]
pub struct Behind<'a> {
    /// When the hold began.
    pub from: Timestamp,
    /// What may be its release.
    pub burst: &'a Burst,
    /// The bursts after it.
    pub later: &'a [Burst],
    /// The bursts of who asked.
    pub asker: &'a [Burst],
    /// The connection ended with them.
    pub ended: bool,
}

impl Behind<'_> {
    /// Whether it is the release of what was held, and not a late start: then most of rate times time comes at once.
    pub fn release(&self, settings: &Stall) -> Option<Release> {
        let peak = self.burst.peak;
        let held = seconds(peak.at.since(self.from));
        if held < settings.release_hold_seconds || (self.burst.bytes as f64) < settings.release_bytes_least {
            return None;
        }
        let stretch = self.stretch(settings)?;
        let found = |backlog, rate| Some(Release { at: peak.at, frame: peak.frame, backlog, rate, held });
        let released = (0..RUNGS.len()).find_map(|rung| self.released_within(rung, held, &stretch, settings));
        if let Some((backlog, rate)) = released {
            return found(backlog, Some(rate));
        }
        let at_once = stretch.end.since(peak.at) <= nanos(settings.release_seconds);
        let whole = self.ended && at_once && held >= settings.release_silence_seconds;
        if whole && stretch.bytes >= settings.release_bytes { found(stretch.bytes, None) } else { None }
    }

    /// The stream that goes on from the burst's fullest second without a long pause; none where it is asked for piece
    /// by piece.
    fn stretch(&self, settings: &Stall) -> Option<Stretch> {
        /// Groups of pictures come further apart than single ones, and yet never as far as this.
        const LONGEST: u64 = 5 * SECOND;
        let (burst, at) = (self.burst, self.burst.peak.at);
        let mut stretch =
            Stretch { end: burst.end, bytes: burst.bytes.saturating_sub(burst.peak.before) as f64, lump: 0.0 };
        for next in self.later {
            if next.start.since(stretch.end) > LONGEST {
                break;
            }
            stretch.end = next.end;
            stretch.bytes += next.bytes as f64;
            stretch.lump = stretch.lump.max(next.peak.bytes as f64);
        }
        // who asks again and again is answered, not shown a stream
        let whole = seconds(stretch.end.since(at));
        let within = |burst: &&Burst| burst.start > at && burst.start < stretch.end;
        let asks = self.asker.iter().filter(|burst| burst.asks(settings.request_bytes)).filter(within);
        let times = asks.map(|burst| f64::from(burst.parts)).sum::<f64>();
        (times <= 1.0 + whole / 3.0).then_some(stretch)
    }

    /// The backlog and the stream's own rate, if what came within a rung is a backlog by what came after.
    fn released_within(&self, rung: usize, held: f64, stretch: &Stretch, settings: &Stall) -> Option<(f64, f64)> {
        let span = seconds(*RUNGS.get(rung)?);
        let after = seconds(stretch.end.since(self.burst.peak.at)) - span;
        let first = self.burst.within(rung)? as f64;
        if after < settings.release_after_seconds {
            return None;
        }
        let rate = (stretch.bytes - first).max(0.0) / after;
        // what flowed before its fullest second was not held until then
        let begun = seconds(self.burst.peak.at.since(self.burst.start));
        let flowed = begun > 0.0 && self.burst.peak.before as f64 / begun >= rate / 2.0;
        let held = if flowed { seconds(self.burst.start.since(self.from)) } else { held };
        if held < settings.release_hold_seconds {
            return None;
        }
        let backlog = first - rate * span;
        // a key frame weighs less the longer the time is
        let factor =
            if span > settings.release_seconds { settings.release_factor_long } else { settings.release_factor };
        let held_bytes = rate * held;
        let is_backlog = first >= factor * rate * span
            && backlog >= (settings.backlog_share * held_bytes).max(settings.backlog_seconds * rate)
            && backlog <= settings.backlog_most * held_bytes
            && backlog >= settings.release_bytes_least;
        // and the line is not busy with it any more
        let next = seconds(*RUNGS.get(rung.saturating_add(1))?) - span;
        let more = self.burst.within(rung.saturating_add(1)).map_or(0.0, |bytes| bytes as f64 - first);
        let settled = more <= (settings.release_factor * next + 1.0) * rate;
        // a buffer that is passed on whenever it is full brings as much every time
        let alone = first >= 2.0 * stretch.lump;
        (is_backlog && settled && alone && rate * 8.0 >= settings.stream_bps).then_some((backlog, rate))
    }
}

/// A stretch of a stream.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    end: Timestamp,
    bytes: f64,
    /// The most that came in a second of its later bursts.
    lump: f64,
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
    /// The size of the one in the middle by size, the first left out, in bytes.
    pub usual: u64,
    /// They are more than drops: whole pieces, one like the other.
    pub is_plateau: bool,
    /// The drops were not all that came.
    pub ends: bool,
}

impl Trickle {
    /// The mean size of a drop, in bytes.
    pub fn mean(&self) -> u64 {
        self.bytes.checked_div(u64::from(self.drops)).unwrap_or(0)
    }
}

/// The drops among the responder's bursts behind a request, if they come with a rhythm, or are less than a head.
pub fn trickle(case: &Case, from: Timestamp, settings: &Stall) -> Option<Trickle> {
    /// What a drop is in TLS, with its record.
    const TINY: u64 = ANSWER_LEAST as u64;
    let [orig, resp] = &case.tcp.as_ref()?.bursts;
    let less = is_less_than_a_head(case);
    let behind = resp.iter().position(|burst| burst.start > from)?;
    let drops = stretch_of_drops(resp.get(behind..)?, settings);
    let (first, last) = (drops.first()?, drops.last()?);
    // who goes on talking is not kept waiting
    if orig.iter().any(|burst| burst.end > first.start && burst.start < last.end) {
        return None;
    }
    let count = drops.iter().fold(0u32, |sum, burst| sum.saturating_add(burst.parts));
    let bytes = drops.iter().map(|burst| burst.bytes).sum::<u64>();
    let span = seconds(last.spread.last.max(last.start).since(first.start));
    let rate = bytes as f64 * 8.0 / span;
    let pause = span / f64::from(count.saturating_sub(1).max(1));
    let ends = behind.saturating_add(drops.len()) < resp.len();
    let (usual, alike) = usual_of(drops, settings).unwrap_or((bytes, false));
    let trickle =
        Trickle { first: first.start, frame: first.frame, drops: count, bytes, pause, usual, is_plateau: false, ends };
    let enough = if alike { settings.trickle_segments_alike } else { settings.trickle_segments };
    // no server brings the head of an answer in pieces
    let slow = less && count >= 2 && span >= settings.give_up_seconds && bytes as f64 <= settings.body_bytes;
    // what is sealed may be short messages: they differ in length
    let in_the_clear = case.tls.is_none() && !case.cut;
    let like_drops = in_the_clear || alike || trickle.mean() <= TINY;
    let small = like_drops && trickle.mean() as f64 <= settings.trickle_bytes && rate <= settings.trickle_bps;
    if slow || small && f64::from(count) >= enough && has_rhythm(drops, settings) {
        return Some(trickle);
    }
    // pictures are not all of one size, and their like are not waited for; a head may have come at once
    let piece = drops.iter().find(|burst| burst.sizes().contains(&usual)).unwrap_or(first);
    let late = seconds(piece.start.since(from)) >= settings.give_up_seconds.max(1.5 * pause);
    let steady = late && alike && rate <= settings.plateau_bps && f64::from(count) >= settings.plateau_segments;
    (steady && has_rhythm(drops, settings)).then_some(Trickle { is_plateau: true, ..trickle })
}

/// The bursts that begin like a trickle: the first may hold a head beside, none is far more than those before, and each
/// is over long before the next.
fn stretch_of_drops<'a>(bursts: &'a [Burst], settings: &Stall) -> &'a [Burst] {
    const FAR_MORE: u64 = 4;
    let mean = |burst: &Burst| burst.bytes.checked_div(u64::from(burst.parts)).unwrap_or(0);
    let mut usual = settings.trickle_bytes as u64;
    let mut count = 0usize;
    for (at, burst) in bursts.iter().enumerate() {
        let brief = burst.parts > 1 || burst.end.since(burst.start) < SECOND / 2;
        let fits = if at <= 1 { mean(burst) <= settings.plateau_bytes as u64 } else { mean(burst) <= usual };
        if !brief || !fits {
            break;
        }
        if at > 0 {
            usual = usual.max(mean(burst).saturating_mul(FAR_MORE));
        }
        count = at.saturating_add(1);
    }
    bursts.get(..count).unwrap_or_default()
}

/// The usual size of drops, and whether nearly all are of it. The first may hold a head, and the last the word that
/// ends the connection.
fn usual_of(drops: &[Burst], settings: &Stall) -> Option<(u64, bool)> {
    let mut sizes: Vec<u64> = drops.iter().skip(1).flat_map(Burst::sizes).collect();
    sizes.sort_unstable();
    let usual = *sizes.get(sizes.len() / 2)?;
    let most = (usual as f64) * settings.plateau_variation;
    let alike = sizes.iter().filter(|size| size.abs_diff(usual) as f64 <= most).count();
    Some((usual, alike as f64 >= sizes.len() as f64 * settings.alike_share))
}

/// Whether drops come by a timer, with the first of them, which may be a head, or without.
fn has_rhythm(drops: &[Burst], settings: &Stall) -> bool {
    keeps_time(drops, settings) || drops.get(1..).is_some_and(|rest| rest.len() > 2 && keeps_time(rest, settings))
}

/// Whether nearly all pauses are alike, or each about as many times the one before.
fn keeps_time(drops: &[Burst], settings: &Stall) -> bool {
    /// Of the pauses, so many must be as the middle one is.
    const NEARLY_ALL: f64 = 0.8;
    let between = drops.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(seconds(b.start.since(a.spread.last))),
        _ => None,
    });
    let inside = drops.iter().filter(|burst| burst.parts > 1).flat_map(|burst| burst.spread.pauses.map(seconds));
    let pauses: Vec<f64> = between.collect();
    let mut all: Vec<f64> = pauses.iter().copied().chain(inside).collect();
    all.sort_by(f64::total_cmp);
    let Some(middle) = all.get(all.len() / 2).copied() else { return false };
    let within = |pause: &f64| (settings.trickle_gap_seconds_min..=settings.trickle_gap_seconds_max).contains(pause);
    if all.len() < 2 {
        return false;
    }
    let like = all.iter().filter(|pause| (**pause / middle - 1.0).abs() <= settings.trickle_variation).count();
    if within(&middle) && like as f64 >= NEARLY_ALL * all.len() as f64 {
        return true;
    }
    let growth: Vec<f64> = pauses.windows(2).filter_map(|pair| Some(pair.get(1)? / pair.first()?)).collect();
    let about = |factor: &f64| (factor / settings.trickle_growth - 1.0).abs() < 0.25;
    growth.len() > 1 && pauses.len() == all.len() && growth.iter().all(about) && pauses.iter().all(within)
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
