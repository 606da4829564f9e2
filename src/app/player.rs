//! Plays captures for the dashboard: reads them, keeps packet time and the clock together, and publishes snapshots.
//!
//! At first all is read as fast as the machine goes, for whoever opens a capture wants its verdict; then it can be played
//! again from any moment. To go back means to read anew from the start: what the engine knows at a moment is what all
//! packets until then have told.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::publish::{Publisher, REFRESH, SPARE, clock, source_name};
use super::screen::Teller;
use crate::dash::detail::Detail;
use crate::dash::snapshot::{Phase, Snapshot, Transport};
use crate::dash::update::Play;
use crate::diagnose::rules::Rules;
use crate::engine;
use crate::engine::naming::KnowledgeBase;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Severity, Stats};
use crate::evidence::ladder::Step;
use crate::evidence::{Watcher, wanted};
use crate::handover::can_be_read_again;
use crate::monitor::{Losses, Monitor, Options, Settings, Sink};
use crate::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};
use crate::time::{SECOND, Timestamp};

/// How many marks a timeline has.
const MARKS_MAX: usize = 1000;
/// How long the packets of a flow are looked for.
const CLIMB: Duration = Duration::from_secs(3);
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

/// Notes when claims are raised; all else the dashboard looks at by itself.
#[derive(Default)]
struct Raised {
    known: HashSet<String>,
    marks: Vec<(Timestamp, Severity)>,
}

impl Sink for Raised {
    type Error = Infallible;
    fn flow(&mut self, _: &FlowRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn session(&mut self, _: &SessionRecord) -> Result<(), Infallible> {
        Ok(())
    }
    fn finding(&mut self, finding: &FindingRecord) -> Result<(), Infallible> {
        let counts = finding.is_claim() && finding.severity > Severity::Info && self.marks.len() < MARKS_MAX;
        if counts && self.known.insert(finding.id.clone()) {
            // it is told at the next full second of packet time
            self.marks.push((finding.last.after(SECOND), finding.severity));
        }
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
    raised: Raised,
    warnings: Vec<String>,
    failed: Option<String>,
}

impl<'a> Run<'a> {
    fn new(given: &Given<'a>, settings: &Settings) -> Run<'a> {
        let options = Options { filter: None, diagnose: true, settings: *settings, max_memory: None };
        Run {
            monitor: Monitor::new(given.config, given.base, given.rules, options),
            source: Source::open(given.paths, CHUNK_BYTES),
            chunk: Chunk::default(),
            next: 0,
            now: Timestamp::default(),
            ended: false,
            raised: Raised::default(),
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
        let Ok(()) = self.monitor.finish(&mut self.raised);
    }

    /// Gives frames until a moment, if there is one, and as long as there is time.
    fn feed(&mut self, to: Option<Timestamp>, until: Instant) -> Fed {
        while let Some(first) = self.peek() {
            let Some(to) = to else {
                // whole chunks are worked off faster than frames
                if self.next == 0 {
                    let Ok(()) = self.monitor.chunk(&self.chunk, &mut self.raised);
                    self.now = self.chunk.frames.last().map_or(first, |last| last.ts).max(self.now);
                    self.next = self.chunk.frames.len();
                } else {
                    self.frames(None);
                }
                if clock() >= until {
                    return Fed::Turn;
                }
                continue;
            };
            if first > to {
                return Fed::UpTo;
            }
            self.frames(Some(to));
            if clock() >= until {
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
                let Ok(()) = self.monitor.frame(frame, &mut self.raised);
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
    course: Course,
    speed: Option<f64>,
    /// The user has said at which speed.
    chosen: bool,
    /// A moment of packet time, and when by the clock it was.
    anchor: Option<(Timestamp, Instant)>,
    transport: Transport,
    /// The captures were read to their end.
    whole: bool,
    sampled: Duration,
    began: Instant,
    publisher: Publisher,
    /// The packets of the flow that was last looked at closely.
    ladder: Option<(u64, Vec<Step>)>,
}

impl<'a> Player<'a> {
    /// A player that will read all at full speed, or play at `speed` from the start.
    pub(super) fn new(given: Given<'a>, settings: Settings, speed: Option<f64>, teller: Teller) -> Player<'a> {
        // what is over can be looked at as long as the screen is
        let settings = Settings { let_go_flows: f64::MAX, ..settings };
        Player {
            given,
            run: Run::new(&given, &settings),
            settings,
            course: Course::Play,
            speed,
            chosen: speed.is_some(),
            anchor: None,
            transport: Transport { speed, ..Transport::default() },
            whole: false,
            sampled: Duration::ZERO,
            began: clock(),
            publisher: Publisher::new(source_name(given.paths), teller),
            ladder: None,
        }
    }

    /// What is shown before anything was read.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.publisher.shown())
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
                self.publisher.wanted = flow;
                if flow.is_some() {
                    self.publish();
                    self.climb();
                }
            }
            Order::Play(Play::Speed(speed)) => {
                (self.speed, self.chosen) = (speed, true);
                self.anchor = None;
                self.tell_standing();
            }
            Order::Play(Play::Toggle) => {
                if self.course == Course::Halt {
                    if self.run.ended {
                        self.restart();
                    }
                    if !self.chosen {
                        // at which there is something to see
                        self.speed = Some(1.0);
                    }
                    self.course = Course::Play;
                } else {
                    self.course = Course::Halt;
                }
                self.anchor = None;
                self.tell_standing();
            }
            Order::Play(Play::Seek(to)) => {
                if self.run.ended && to >= self.run.now {
                    return;
                }
                let on = match self.course {
                    Course::Play => true,
                    Course::Go { on, .. } => on,
                    Course::Halt => false,
                };
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
        self.publisher.forget();
        (self.sampled, self.began) = (Duration::ZERO, clock());
    }

    /// Plays a turn; false if nobody gives orders any more.
    fn go_on(&mut self, orders: &Receiver<Order>) -> bool {
        let until = clock() + TURN;
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
                    let Ok(()) = self.run.monitor.advance(to, &mut self.run.raised);
                    self.course = if on { Course::Play } else { Course::Halt };
                }
                self.publish();
            }
            Fed::Turn if self.publisher.is_due() && matches!(self.course, Course::Go { .. }) => self.tell_standing(),
            Fed::Turn if self.publisher.is_due() => self.publish(),
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
                let from = clock();
                self.sample();
                self.sampled += from.elapsed();
                if clock() >= until {
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
        let (moment, since) = *self.anchor.get_or_insert_with(|| (from, clock()));
        let passed = clock().saturating_duration_since(since).mul_f64(speed);
        let to = moment.after(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
        match self.run.feed(Some(to), clock() + TURN) {
            Fed::End => self.end(),
            // time goes on where nothing comes
            Fed::UpTo => {
                let Ok(()) = self.run.monitor.advance(to, &mut self.run.raised);
                self.run.now = self.run.now.max(to);
            }
            Fed::Turn => {}
        }
        if self.course == Course::Play && self.publisher.is_due() {
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
        let shown = (**self.publisher.shown()).clone();
        let transport = Some(self.transport.clone());
        self.publisher.show(Snapshot { phase: self.phase(), transport, ..shown });
    }

    /// Notes what the ways to view have carried.
    fn sample(&mut self) {
        self.publisher.sample(&mut self.run.monitor, self.run.now);
    }

    /// Makes a snapshot, and shows it.
    fn publish(&mut self) {
        let (phase, now, ended) = (self.phase(), self.run.now, self.run.ended);
        let Player { publisher, run, transport, speed, whole, ladder, .. } = self;
        publisher.publish(&mut run.monitor, Some(now), phase, |snapshot| {
            if let Some(first) = snapshot.quality.first {
                transport.start = first;
            }
            if ended || !*whole {
                transport.end = snapshot.now;
                transport.marks.clone_from(&run.raised.marks);
            }
            transport.speed = *speed;
            if let Some(detail) = &mut snapshot.detail {
                let known = ladder.as_ref().filter(|(flow, _)| *flow == detail.flow);
                *detail = Arc::new(Detail { packets: known.map(|(_, steps)| steps.clone()), ..(**detail).clone() });
            }
            Some(transport.clone())
        });
    }

    /// Reads the packets of the flow that is looked at, once again, if that is possible.
    fn climb(&mut self) {
        let Some(flow) = self.publisher.wanted else { return };
        let known = self.ladder.as_ref().is_some_and(|(known, _)| *known == flow);
        if known || !can_be_read_again(self.given.paths) {
            return;
        }
        let findings = &self.publisher.shown().findings;
        let cites = findings.iter().filter(|finding| finding.flow_ids.first() == Some(&flow));
        let frames: HashSet<u64> = cites.flat_map(|finding| &finding.evidence).filter_map(|line| line.frame).collect();
        let look = self.run.monitor.look();
        let flows = wanted(look.analysis, look.naming, &HashSet::from([flow]));
        let mut watcher = Watcher::new(flows, HashMap::from([(flow, frames)]));
        let mut source = Source::open(self.given.paths, CHUNK_BYTES);
        let mut chunk = Chunk::default();
        let (until, mut number) = (clock() + CLIMB, 0);
        'all: while clock() < until && source.fill(&mut chunk) == Fill::More {
            for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
                number += 1;
                if !watcher.frame(number, &frame) {
                    break 'all;
                }
            }
        }
        self.ladder = watcher.scenes().remove(&flow).map(|scene| (flow, scene.ladder.steps()));
        self.publish();
    }
}
