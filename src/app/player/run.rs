//! One run through captures, frame by frame in packet time; and the places of it from where another may go on.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Given;
use crate::app::exit_of_input;
use crate::app::publish::clock;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Severity, Stats};
use crate::exit::Outcome;
use crate::monitor::{Losses, Monitor, Options, Settings, Sink};
use crate::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};
use crate::time::{SECOND, Timestamp};

/// How many marks a timeline has.
const MARKS_MAX: usize = 1000;
/// How many bytes of frames are read at least from one place that is kept to the next: a quarter of a second's work.
const SPACING: u64 = 32 << 20;
/// How many bytes of frames are read at least for each that a place holds: to copy one takes a fraction of what it
/// takes to analyse one.
const READ_FOR_HELD: u64 = 2;
/// The most that places may hold, in bytes: what is read on from the nearest one is short then, and a capture with many
/// flows takes no more than twice what its flows and what is shown of them do.
const PLACES_HOLD: usize = 256 << 20;

/// Notes when claims are raised; all else the dashboard looks at by itself.
#[derive(Clone, Default)]
pub(super) struct Raised {
    known: HashSet<String>,
    pub(super) marks: Vec<(Timestamp, Severity)>,
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

/// What feeding came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fed {
    /// The next frame is of a later moment.
    UpTo,
    /// There is time for more later.
    Turn,
    /// Nothing comes for now.
    Lull,
    /// There is no more.
    End,
}

/// A place of a run from where another may go on.
struct Place<'a> {
    monitor: Monitor<'a>,
    source: Source,
    read: u64,
    now: Timestamp,
    raised: Raised,
    warnings: Vec<String>,
    held: usize,
}

/// Places of a run, in their order: what lies before one need not be read again.
struct Places<'a> {
    kept: Vec<Place<'a>>,
    spacing: u64,
    /// How many bytes of frames are read when the next is due.
    due: u64,
}

impl Places<'_> {
    /// Leaves out every second place until all of them hold no more than they may.
    fn thin_out(&mut self) {
        while self.kept.iter().map(|place| place.held).sum::<usize>() > PLACES_HOLD {
            self.spacing = self.spacing.saturating_mul(2);
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
    }
}

/// One run through the captures.
pub(super) struct Run<'a> {
    pub(super) monitor: Monitor<'a>,
    pub(super) source: Source,
    chunk: Chunk,
    next: usize,
    /// How many bytes of frames were read; of what is packed, when it is unpacked.
    read: u64,
    pub(super) now: Timestamp,
    pub(super) ended: bool,
    /// Frames were given since this was last taken back.
    pub(super) news: bool,
    pub(super) raised: Raised,
    warnings: Vec<String>,
    pub(super) failed: Option<String>,
    exit: &'a Mutex<Outcome>,
    places: Places<'a>,
}

impl<'a> Run<'a> {
    /// From the start.
    pub(super) fn new(given: &Given<'a>, settings: &Settings) -> Run<'a> {
        let options = Options { filter: None, diagnose: true, settings: *settings, max_memory: None, glances: false };
        Run {
            monitor: Monitor::new(given.config, given.base, given.rules, options),
            source: Source::open(given.paths, CHUNK_BYTES).until(given.stop),
            chunk: Chunk::default(),
            next: 0,
            read: 0,
            now: Timestamp::default(),
            ended: false,
            news: false,
            raised: Raised::default(),
            warnings: Vec::new(),
            failed: None,
            exit: given.exit,
            places: Places { kept: Vec::new(), spacing: SPACING, due: SPACING },
        }
    }

    /// Goes back to the last place that is known before a moment; without one, to the start.
    pub(super) fn go_back(&mut self, to: Timestamp, given: &Given<'a>, settings: &Settings) {
        let mut run = Run::new(given, settings);
        if let Some(place) = self.places.kept.iter().rev().find(|place| place.now <= to)
            && let Some(source) = place.source.fork()
        {
            (run.monitor, run.source, run.read, run.now) = (place.monitor.fork(), source, place.read, place.now);
            (run.raised, run.warnings) = (place.raised.clone(), place.warnings.clone());
        }
        std::mem::swap(&mut run.places, &mut self.places);
        *self = run;
    }

    /// Whether a place is known between here and a later moment.
    pub(super) fn has_nearer(&self, to: Timestamp) -> bool {
        self.places.kept.iter().any(|place| self.now < place.now && place.now <= to)
    }

    /// Keeps this place, between two chunks, if it is time to.
    fn keep(&mut self) {
        if self.read < self.places.due {
            return;
        }
        // to count what is held takes its time, so it is not done for every chunk
        let held = self.monitor.held();
        let spacing = self.places.spacing.max(READ_FOR_HELD.saturating_mul(held as u64));
        self.places.due = self.read.saturating_add(spacing);
        // one that leaves no room for another is not worth what it takes to make
        if held > PLACES_HOLD / 2 {
            return;
        }
        let Some(source) = self.source.fork() else { return };
        let (monitor, raised, warnings) = (self.monitor.fork(), self.raised.clone(), self.warnings.clone());
        let (read, now) = (self.read, self.now);
        self.places.kept.push(Place { monitor, source, read, now, raised, warnings, held });
        self.places.thin_out();
    }

    /// The time of the next frame, if there is one for now; reads on if it must.
    pub(super) fn peek(&mut self) -> Option<Timestamp> {
        loop {
            if let Some(frame) = self.chunk.frames.get(self.next) {
                return Some(frame.ts);
            }
            if self.ended {
                return None;
            }
            self.keep();
            self.next = 0;
            let filled = self.source.fill(&mut self.chunk);
            self.read = self.chunk.frames.iter().fold(self.read, |sum, at| sum.saturating_add(at.caplen.into()));
            self.note_problems();
            if filled == Fill::End {
                self.end();
            }
            self.monitor.shed(self.source.shed());
            if self.chunk.frames.is_empty() && self.source.waits() {
                return None;
            }
        }
    }

    /// What feeding has come to where there is no next frame.
    pub(super) const fn without(&self) -> Fed {
        if self.ended { Fed::End } else { Fed::Lull }
    }

    /// Notes what is wrong with the captures.
    fn note_problems(&mut self) {
        for problem in self.source.take_problems() {
            let mut exit = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
            exit_of_input(&problem).into_iter().for_each(|code| exit.note(code));
            if matches!(problem, Problem::Error(_)) {
                self.failed.get_or_insert_with(|| problem.to_string());
            }
            self.warnings.push(problem.to_string());
        }
    }

    /// The captures have ended.
    fn end(&mut self) {
        self.ended = true;
        let facts = self.source.facts();
        // what could be read of others is shown
        self.failed = self.failed.take().filter(|_| facts.frames == 0);
        let Ok(()) = self.monitor.advance(facts.ended(self.monitor.now()), &mut self.raised);
        self.now = self.now.max(self.monitor.now());
        let (kernel_drops, interface_drops) = (facts.kernel_drops, facts.interface_drops);
        let warnings = self.warnings.clone();
        self.monitor.lose(Losses { kernel_drops, interface_drops, warnings, ..Losses::default() });
        let Ok(()) = self.monitor.finish(&mut self.raised);
    }

    /// Gives frames until a moment, if there is one, and as long as there is time.
    pub(super) fn feed(&mut self, to: Option<Timestamp>, until: Instant) -> Fed {
        while let Some(first) = self.peek() {
            if to.is_some_and(|to| first > to) {
                return Fed::UpTo;
            }
            self.news = true;
            // whole chunks are worked off faster than frames
            let whole = self.next == 0 && to.is_none_or(|to| self.chunk.frames.iter().all(|at| at.ts <= to));
            if whole {
                let Ok(()) = self.monitor.chunk(&self.chunk, &mut self.raised);
                self.now = self.chunk.frames.iter().map(|at| at.ts).fold(self.now, Timestamp::max);
                self.next = self.chunk.frames.len();
            } else {
                self.frames(to);
            }
            if clock() >= until {
                return Fed::Turn;
            }
        }
        self.without()
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
