//! Plays captures for the dashboard: reads them, keeps packet time and the clock together, and publishes snapshots.
//!
//! At first all is read as fast as the machine goes, for whoever opens a capture wants its verdict; then it can be played
//! again from any moment. To go back means to read anew from the start: what the engine knows at a moment is what all
//! packets until then have told.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::screen::{Happening, Teller};
use crate::dash::history::History;
use crate::dash::snapshot::{Phase, Snapshot, Transport};
use crate::dash::take::{Look, carried, take};
use crate::dash::update::{Action, Play};
use crate::diagnose::rules::Rules;
use crate::engine;
use crate::engine::naming::KnowledgeBase;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Severity, Stats};
use crate::filter::Asked;
use crate::monitor::{Losses, Monitor, Options, Settings, Sink};
use crate::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};
use crate::time::{SECOND, Timestamp};

/// The least time between two snapshots.
const REFRESH: Duration = Duration::from_millis(250);
/// How many times longer than it takes to make a snapshot is waited before the next is made.
const SPARE: u32 = 4;
/// How long is worked before orders are looked for.
const TURN: Duration = Duration::from_millis(30);

/// What is asked of a player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// To play.
    Play(Play),
    /// More of a flow.
    Want(Option<u64>),
}

/// What captures are read and judged by.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// The captures.
    pub paths: &'a [PathBuf],
    /// What the engine is asked for.
    pub config: &'a engine::Config,
    /// What flows are named by.
    pub base: &'a KnowledgeBase,
    /// What faults are told by.
    pub rules: &'a Rules,
}

/// Tells nobody: the dashboard looks by itself.
struct Nobody;

impl Sink for Nobody {
    type Error = Infallible;
    fn flow(&mut self, _: &FlowRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn session(&mut self, _: &SessionRecord) -> Result<(), Infallible> {
        Ok(())
    }
    fn finding(&mut self, _: &FindingRecord) -> Result<(), Infallible> {
        Ok(())
    }
    fn capture_quality(&mut self, _: &CaptureQuality) -> Result<(), Infallible> {
        Ok(())
    }
    fn stats(&mut self, _: &Stats) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Course {
    /// Go on, at the speed that is set.
    Play,
    /// Go to a moment at full speed; then play if `on`, else halt.
    Go { to: Timestamp, on: bool },
    /// Wait for orders.
    Halt,
}

/// What feeding came to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fed {
    /// The next frame is of a later moment.
    UpTo,
    /// There is time for more later.
    Turn,
    /// There is no more.
    End,
}

/// One run through the captures.
struct Run<'a> {
    monitor: Monitor<'a>,
    source: Source,
    chunk: Chunk,
    next: usize,
    now: Timestamp,
    ended: bool,
    warnings: Vec<String>,
    failed: Option<String>,
}

impl<'a> Run<'a> {
    fn new(given: &Given<'a>, settings: &Settings) -> Run<'a> {
        let options = Options { filter: None, diagnose: true, settings: *settings };
        Run {
            monitor: Monitor::new(given.config, given.base, given.rules, options),
            source: Source::open(given.paths, CHUNK_BYTES),
            chunk: Chunk::default(),
            next: 0,
            now: Timestamp::default(),
            ended: false,
            warnings: Vec::new(),
            failed: None,
        }
    }

    /// The time of the next frame; reads on if it must.
    fn peek(&mut self) -> Option<Timestamp> {
        loop {
            if let Some(frame) = self.chunk.frames.get(self.next) {
                return Some(frame.ts);
            }
            if self.ended {
                return None;
            }
            self.next = 0;
            if self.source.fill(&mut self.chunk) == Fill::End {
                self.end();
            }
        }
    }

    /// The captures have ended.
    fn end(&mut self) {
        self.ended = true;
        let problems: Vec<Problem> = self.source.take_problems().collect();
        let facts = self.source.facts();
        self.warnings.extend(problems.iter().map(ToString::to_string));
        if facts.frames == 0 {
            self.failed = problems.iter().find(|p| matches!(p, Problem::Error(_))).map(ToString::to_string);
        }
        let (kernel_drops, interface_drops) = (facts.kernel_drops, facts.interface_drops);
        let warnings = self.warnings.clone();
        self.monitor.lose(Losses { kernel_drops, interface_drops, warnings, ..Losses::default() });
        let Ok(()) = self.monitor.finish(&mut Nobody);
    }

    /// Gives frames until a moment, if there is one, and as long as there is time.
    fn feed(&mut self, to: Option<Timestamp>, until: Instant) -> Fed {
        while let Some(first) = self.peek() {
            let Some(to) = to else {
                // whole chunks are worked off faster than frames
                if self.next == 0 {
                    let Ok(()) = self.monitor.chunk(&self.chunk, &mut Nobody);
                    self.now = self.chunk.frames.last().map_or(first, |last| last.ts).max(self.now);
                    self.next = self.chunk.frames.len();
                } else {
                    self.frames(None);
                }
                if now() >= until {
                    return Fed::Turn;
                }
                continue;
            };
            if first > to {
                return Fed::UpTo;
            }
            self.frames(Some(to));
            if now() >= until {
                return Fed::Turn;
            }
        }
        Fed::End
    }

    /// Gives the frames of the chunk at hand, until a moment if there is one.
    fn frames(&mut self, to: Option<Timestamp>) {
        while let Some(at) = self.chunk.frames.get(self.next).filter(|at| to.is_none_or(|to| at.ts <= to)) {
            let ts = at.ts;
            if let Some(frame) = self.chunk.frame(at) {
                let Ok(()) = self.monitor.frame(frame, &mut Nobody);
            }
            self.now = self.now.max(ts);
            self.next += 1;
        }
    }
}

/// Plays captures.
pub(super) struct Player<'a> {
    given: Given<'a>,
    settings: Settings,
    run: Run<'a>,
    teller: Teller,
    course: Course,
    speed: Option<f64>,
    /// A moment of packet time, and when by the clock it was.
    anchor: Option<(Timestamp, Instant)>,
    transport: Transport,
    /// The captures were read to their end.
    whole: bool,
    history: History,
    sampled: Duration,
    wanted: Option<u64>,
    shown: Arc<Snapshot>,
    /// When the last snapshot was made, and how long that took.
    published: Option<(Instant, Duration)>,
    began: Instant,
}

impl<'a> Player<'a> {
    /// A player that will read all at full speed, or play at `speed` from the start.
    pub(super) fn new(given: Given<'a>, settings: Settings, speed: Option<f64>, teller: Teller) -> Player<'a> {
        // what is over can be looked at as long as the screen is
        let settings = Settings { let_go_flows: f64::MAX, ..settings };
        let snapshot = Snapshot::opening(source_name(given.paths));
        Player {
            given,
            run: Run::new(&given, &settings),
            settings,
            teller,
            course: Course::Play,
            speed,
            anchor: None,
            transport: Transport { speed, ..Transport::default() },
            whole: false,
            history: History::default(),
            sampled: Duration::ZERO,
            wanted: None,
            shown: Arc::new(snapshot),
            published: None,
            began: now(),
        }
    }

    /// What is shown before anything was read.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shown)
    }

    /// Plays, by the orders that come, until nobody can give any more.
    pub(super) fn play(mut self, orders: &Receiver<Order>) {
        loop {
            let order = if self.course == Course::Halt {
                orders.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                orders.try_recv()
            };
            match order {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    if !self.go_on(orders) {
                        break;
                    }
                }
            }
        }
        // the program ends now: giving back millions of small pieces of memory one by one would only take time
        std::mem::forget(self);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Want(flow) => {
                self.wanted = flow;
                if flow.is_some() {
                    self.publish();
                }
            }
            Order::Play(Play::Speed(speed)) => {
                self.speed = speed;
                self.anchor = None;
                self.tell_standing();
            }
            Order::Play(Play::Toggle) => {
                match self.course {
                    Course::Halt if self.run.ended => {
                        // from the start, at a speed at which there is something to see
                        self.speed = self.speed.or(Some(1.0));
                        self.restart();
                        self.course = Course::Play;
                    }
                    Course::Halt => self.course = Course::Play,
                    _ => self.course = Course::Halt,
                }
                self.anchor = None;
                self.tell_standing();
            }
            Order::Play(Play::Seek(to)) => {
                let on = self.course == Course::Play;
                if to < self.run.now || self.run.ended {
                    self.restart();
                }
                self.course = Course::Go { to, on };
                self.anchor = None;
                self.tell_standing();
            }
        }
    }

    fn restart(&mut self) {
        let old = std::mem::replace(&mut self.run, Run::new(&self.given, &self.settings));
        drop(old);
        self.history = History::default();
        (self.sampled, self.began) = (Duration::ZERO, now());
    }

    /// Plays a turn; false if nobody gives orders any more.
    fn go_on(&mut self, orders: &Receiver<Order>) -> bool {
        let until = now() + TURN;
        let fed = match (self.course, self.speed) {
            (Course::Go { to, .. }, _) => self.feed_fast(Some(to), until),
            (_, None) => self.feed_fast(None, until),
            (_, Some(speed)) => return self.pace(speed, orders),
        };
        match fed {
            Fed::End => self.end(),
            Fed::UpTo => {
                if let Course::Go { to, on } = self.course {
                    self.run.now = self.run.now.max(to);
                    let Ok(()) = self.run.monitor.advance(to, &mut Nobody);
                    self.course = if on { Course::Play } else { Course::Halt };
                }
                self.publish();
            }
            Fed::Turn if self.is_due() && matches!(self.course, Course::Go { .. }) => self.tell_standing(),
            Fed::Turn if self.is_due() => self.publish(),
            Fed::Turn => {}
        }
        true
    }

    /// Feeds at full speed; second by second, so that the rates of all seconds are known, as long as that costs little.
    fn feed_fast(&mut self, to: Option<Timestamp>, until: Instant) -> Fed {
        loop {
            let cheap = self.sampled * SPARE <= self.began.elapsed() + REFRESH;
            let Some(first) = self.run.peek().filter(|_| cheap) else { return self.run.feed(to, until) };
            let second = first.max(self.run.now.after(SECOND));
            let step = to.map_or(second, |to| to.min(second));
            let fed = self.run.feed(Some(step), until);
            if fed == Fed::UpTo && to != Some(step) {
                let from = now();
                self.sample();
                self.sampled += from.elapsed();
                if now() >= until {
                    return Fed::Turn;
                }
                continue;
            }
            return fed;
        }
    }

    /// Plays at a speed until something is ordered or a snapshot is due; false if nobody gives orders any more.
    fn pace(&mut self, speed: f64, orders: &Receiver<Order>) -> bool {
        let Some(first) = self.run.peek() else {
            self.end();
            return true;
        };
        let from = if self.run.now == Timestamp::default() { first } else { self.run.now };
        let (moment, clock) = *self.anchor.get_or_insert_with(|| (from, now()));
        let passed = now().saturating_duration_since(clock).mul_f64(speed);
        let to = moment.after(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
        match self.run.feed(Some(to), now() + TURN) {
            Fed::End => self.end(),
            // time goes on where nothing comes
            Fed::UpTo => {
                let Ok(()) = self.run.monitor.advance(to, &mut Nobody);
                self.run.now = self.run.now.max(to);
            }
            Fed::Turn => {}
        }
        if self.course == Course::Play && self.is_due() {
            self.publish();
        }
        match orders.recv_timeout(TURN) {
            Ok(order) => self.obey(order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// The captures were played to their end.
    fn end(&mut self) {
        self.whole = self.run.failed.is_none();
        self.course = Course::Halt;
        self.publish();
    }

    fn is_due(&self) -> bool {
        self.published.is_none_or(|(at, took)| at.elapsed() >= REFRESH.max(took * SPARE))
    }

    fn phase(&self) -> Phase {
        let progress = self.run.source.progress();
        let share = progress.bytes_total.filter(|total| *total > 0);
        let share = share.map(|total| (progress.bytes_read as f64 / total as f64).min(1.0));
        match (&self.run.failed, self.course, self.speed) {
            (Some(why), ..) => Phase::Failed(why.clone()),
            _ if self.run.ended => Phase::Ended,
            (_, Course::Go { .. }, _) | (_, Course::Play, None) => Phase::Reading(share),
            (_, Course::Play, Some(_)) => Phase::Playing,
            (_, Course::Halt, _) => Phase::Halted,
        }
    }

    /// Tells how it stands, with what was shown last.
    fn tell_standing(&mut self) {
        self.transport.speed = self.speed;
        let shown = Snapshot { phase: self.phase(), transport: Some(self.transport.clone()), ..(*self.shown).clone() };
        self.show(shown);
        let took = self.published.map_or(Duration::ZERO, |(_, took)| took);
        self.published = Some((now(), took));
    }

    fn show(&mut self, snapshot: Snapshot) {
        self.shown = Arc::new(snapshot);
        // nobody looks any more when it is being left
        let _ = self.teller.send(Happening::Action(Action::Publish(Arc::clone(&self.shown))));
    }

    fn look(&mut self) -> Snapshot {
        let moment = self.run.now;
        let look = self.run.monitor.look();
        take(&Look {
            analysis: look.analysis,
            naming: look.naming,
            diagnosis: look.diagnosis,
            quality: look.quality,
            stats: &look.stats,
            now: moment,
            wanted: self.wanted,
        })
    }

    /// Notes what the ways to view have carried.
    fn sample(&mut self) {
        let snapshot = self.look();
        self.history.note(snapshot.now, carried(&snapshot.flows));
    }

    /// Makes a snapshot, and shows it.
    fn publish(&mut self) {
        let from = now();
        let mut snapshot = self.look();
        self.history.note(snapshot.now, carried(&snapshot.flows));
        if let Some(first) = snapshot.quality.first {
            self.transport.start = first;
        }
        if self.run.ended || !self.whole {
            self.transport.end = snapshot.now;
            self.transport.marks = marks(&snapshot.findings);
        }
        self.transport.speed = self.speed;
        snapshot.phase = self.phase();
        if snapshot.phase == Phase::Playing {
            snapshot.rates = rates(&self.shown, &snapshot);
        }
        snapshot.source = self.shown.source.clone();
        snapshot.history = Arc::new(self.history.clone());
        snapshot.transport = Some(self.transport.clone());
        self.show(snapshot);
        self.published = Some((now(), from.elapsed()));
    }
}

/// Where findings stand on the timeline.
fn marks(findings: &[FindingRecord]) -> Vec<(Timestamp, Severity)> {
    let claims = findings.iter().filter(|f| f.is_claim() && f.severity > Severity::Info);
    claims.map(|finding| (finding.first, finding.severity)).collect()
}

/// The payload rate of each flow from one snapshot to the next, in bits per second. Flows stand in the order of their
/// first frames in both, and those that are new stand last.
fn rates(before: &Snapshot, after: &Snapshot) -> Vec<f32> {
    let seconds = crate::time::seconds(after.now.since(before.now));
    if seconds <= 0.0 {
        return before.rates.clone();
    }
    let known = |at: usize, id: u64| before.flows.get(at).filter(|flow| flow.id == id);
    let each = after.flows.iter().enumerate().map(|(at, flow)| {
        let had = known(at, flow.id).map_or(0, Asked::payload);
        (flow.payload().saturating_sub(had) as f64 * 8.0 / seconds) as f32
    });
    each.collect()
}

/// What captures are called together.
fn source_name(paths: &[PathBuf]) -> String {
    let name = |path: &Path| match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    };
    let first = paths.first().map(|path| name(path)).unwrap_or_default();
    match paths.len() {
        0 | 1 if first == "-" => "standard input".to_owned(),
        0 | 1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "a capture is played at the speed that is asked for")]
fn now() -> Instant {
    Instant::now()
}
