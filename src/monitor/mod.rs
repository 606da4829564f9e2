//! The engine as things happen: frames in, records out, in packet time.
//!
//! A [`Monitor`] takes frames as they come and tells a [`Sink`] what is to be told then: a flow when it ends, long ones
//! at intervals; a finding each time its state changes; an attempt to view when it is over; counts at intervals. It
//! knows no clock: at every second of packet time, between two packets, all that was seen is named and judged anew. So
//! the same packets give the same records, however fast they come and in whatever pieces.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod clock;
mod findings;
mod glance;
mod judged;
mod kept;
mod open;
mod sessions;
pub mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::diagnose::rules::Rules;
use crate::diagnose::scene::{Scene, nanos};
use crate::diagnose::{self, Diagnosis, capture};
use crate::engine::analysis::Analysis;
use crate::engine::case::Cases;
use crate::engine::ceiling::Ceiling;
use crate::engine::naming::{KnowledgeBase, Naming};
use crate::engine::{Config, Engine, Keep};
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Severity, Stats};
use crate::filter::{Filter, Known};
use crate::flow::Flow;
use crate::source::{Chunk, Frame, Shed, Tally};
use crate::time::{SECOND, Timestamp, seconds};

use clock::{Clock, Step, has_passed, is_interim};
use findings::{Findings, Round};
use judged::{Basis, Judged, passes, tell_findings};
use kept::System;
use open::Open;
use sessions::Sessions;
pub use settings::Settings;

/// Takes what is told.
pub trait Sink {
    /// Why it could not be taken.
    type Error;
    /// A flow that has ended, or one that goes on (`interim`).
    fn flow(&mut self, record: &FlowRecord<'_>) -> Result<(), Self::Error>;
    /// An attempt to view that is over.
    fn session(&mut self, record: &SessionRecord) -> Result<(), Self::Error>;
    /// A finding whose state has changed.
    fn finding(&mut self, record: &FindingRecord) -> Result<(), Self::Error>;
    /// What the capture is worth so far.
    fn capture_quality(&mut self, record: &CaptureQuality) -> Result<(), Self::Error>;
    /// The counts of the run so far.
    fn stats(&mut self, record: &Stats) -> Result<(), Self::Error>;
    /// What was told so far is to be passed on: what is done next takes its time.
    fn pause(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What is known of the capture beside its frames.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Frames that the kernel dropped, where that is known.
    pub kernel_drops: Option<u64>,
    /// Frames that the interface dropped, where that is known.
    pub interface_drops: Option<u64>,
    /// Frames dropped between capture and analysis.
    pub queue_drops: u64,
    /// What was wrong with the input, a line each.
    pub warnings: Vec<String>,
}

/// What a monitor is asked for beside what the engine is.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Only flows that pass are told, and what concerns such flows.
    pub filter: Option<&'a Filter>,
    /// Whether faults are looked for.
    pub diagnose: bool,
    /// At what intervals things are told.
    pub settings: Settings,
    /// The most that flows, streams and names may hold, in bytes.
    pub max_memory: Option<usize>,
    /// Where there is so much to judge that it is not done every second, stalls are looked for in between.
    pub glances: bool,
}

/// All that is known at a moment.
#[derive(Debug)]
pub struct Look<'m> {
    /// The flows, as they stand.
    pub analysis: &'m Analysis,
    /// What they are called, as of the last tick: what came since has only the names that it carries itself.
    pub naming: &'m Naming<'m>,
    /// What is wrong, as of the last tick.
    pub diagnosis: &'m Diagnosis,
    /// What the capture is worth, as of the last tick.
    pub quality: &'m CaptureQuality,
    /// The counts of the run so far.
    pub stats: Stats,
    /// The latest moment that is known.
    pub now: Timestamp,
}

/// The engine as things happen.
#[derive(Debug)]
pub struct Monitor<'a> {
    engine: Engine,
    base: &'a KnowledgeBase,
    rules: &'a Rules,
    options: Options<'a>,
    clock: Clock,
    losses: Losses,
    shed: Shed,
    links: BTreeSet<u16>,
    /// The link type of the last frame: most frames have that of the one before.
    link: Option<u16>,
    ceiling: Option<Ceiling>,
    /// Flows that went before their end.
    given_up: u64,
    judged: Option<Judged<'a>>,
    /// Stalls are looked for between the last judgement and the next.
    glances: bool,
    /// What that is done in, where it is not what was judged last.
    basis: Option<Basis>,
    findings: Findings,
    sessions: Sessions,
    /// How many ticks there were.
    ticks: u64,
    /// The last tick, or the first frame.
    since: Timestamp,
    worst: Option<Severity>,
    /// What was last said to do about the capture.
    advised: String,
    /// The counts that were told last, and when; at first those of the first frame.
    counted: (Stats, Timestamp),
}

impl<'a> Monitor<'a> {
    /// A monitor that has seen nothing. `config`: what the engine is asked for; whole records are kept anyway.
    pub fn new(config: &Config, base: &'a KnowledgeBase, rules: &'a Rules, options: Options<'a>) -> Self {
        let mut engine = Engine::new(&Config { records: true, ..config.clone() });
        // what the user says of the site holds before anything was judged
        engine.mind(&Arc::new(base.site.recorders.iter().copied().collect()));
        Monitor {
            engine,
            base,
            rules,
            ceiling: options.max_memory.map(Ceiling::new),
            given_up: 0,
            options,
            clock: Clock::default(),
            losses: Losses::default(),
            shed: Shed::Nothing,
            links: BTreeSet::new(),
            link: None,
            judged: None,
            glances: false,
            basis: None,
            findings: Findings::default(),
            sessions: Sessions::default(),
            ticks: 0,
            since: Timestamp::default(),
            worst: None,
            advised: String::new(),
            counted: Default::default(),
        }
    }

    /// Takes a frame; tells what was to be told before it.
    ///
    /// # Errors
    /// What the sink gives.
    pub fn frame<S: Sink>(&mut self, frame: Frame<'_>, sink: &mut S) -> Result<(), S::Error> {
        if self.clock.is_special(frame.ts) {
            self.before(frame.ts, sink)?;
        }
        if self.is_full(frame.bytes.len()) {
            self.make_room(frame.bytes.len(), sink)?;
        }
        self.see(frame.ts, frame.link.0);
        self.engine.frame(frame);
        Ok(())
    }

    /// Takes all frames of a chunk; tells what was to be told before each.
    ///
    /// # Errors
    /// What the sink gives.
    pub fn chunk<S: Sink>(&mut self, chunk: &Chunk, sink: &mut S) -> Result<(), S::Error> {
        let mut from = 0;
        for (at, frame) in chunk.frames.iter().enumerate() {
            if self.clock.is_special(frame.ts) {
                self.engine.part(chunk, from..at);
                from = at;
                self.before(frame.ts, sink)?;
            }
            if self.is_full(frame.caplen as usize) {
                self.engine.part(chunk, from..at);
                from = at;
                self.make_room(frame.caplen as usize, sink)?;
            }
            self.see(frame.ts, frame.link.0);
        }
        self.engine.part(chunk, from..chunk.frames.len());
        Ok(())
    }

    /// Takes frames that were only counted, of that link type; tells what was to be told before the last of them.
    ///
    /// # Errors
    /// What the sink gives.
    pub fn count<S: Sink>(&mut self, tally: &Tally, link: u16, sink: &mut S) -> Result<(), S::Error> {
        if tally.frames == 0 {
            return Ok(());
        }
        self.before(tally.first, sink)?;
        self.engine.count(tally);
        self.see(tally.first, link);
        self.before(tally.last, sink)?;
        self.see(tally.last, link);
        Ok(())
    }

    /// Packet time has come to `now`, and all frames of before were given: tells what is to be told by then. A file
    /// need not say so, a live capture should, for time goes on while nothing comes.
    ///
    /// # Errors
    /// What the sink gives.
    pub fn advance<S: Sink>(&mut self, now: Timestamp, sink: &mut S) -> Result<(), S::Error> {
        while let Some(tick) = self.clock.due(now) {
            // a judgement takes its time, and what stalls is told before it
            if self.glances && self.glance(tick, sink)? {
                sink.pause()?;
            }
            if self.clock.is_whole(tick) {
                self.tick(tick, sink)?;
            } else {
                self.clock.glanced(tick);
            }
        }
        Ok(())
    }

    /// So much is passed over from now on, for want of time.
    pub fn shed(&mut self, shed: Shed) {
        if shed != std::mem::replace(&mut self.shed, shed) {
            self.engine.shed(shed);
        }
    }

    /// Packets that were counted and not inspected, and frames that were counted and not analyzed, by the last tick.
    pub fn passed_over(&self) -> [u64; 2] {
        let analysis = self.engine.analysis();
        [analysis.shed(), analysis.totals.shed_frames]
    }

    /// What is known of the capture beside its frames, from now on.
    pub fn lose(&mut self, losses: Losses) {
        self.losses = losses;
    }

    /// The capture has ended: tells all that is still to be told. Nothing is to come after that.
    ///
    /// # Errors
    /// What the sink gives.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.engine.end();
        self.judge(self.clock.now());
        self.ticks = self.ticks.saturating_add(1);
        self.tell_flows(|flow| !flow.told(), true, sink)?;
        self.tell_diagnosis(self.clock.now(), true, sink)?;
        if let Some(judged) = &self.judged {
            sink.capture_quality(&judged.quality)?;
        }
        self.tell_stats(self.clock.now(), sink)
    }

    /// All that is known now; nothing that comes later depends on that this was asked.
    pub fn look(&mut self) -> Look<'_> {
        if self.judged.is_none() {
            self.engine.look();
            self.judge(self.clock.now());
        }
        self.engine.look();
        let stats = self.stats();
        let now = self.clock.now();
        let analysis = self.engine.analysis();
        // it was judged just before at the latest
        let judged = self.judged.get_or_insert_with(|| Judged {
            naming: analysis.name(self.base),
            cases: Cases::default(),
            diagnosis: Diagnosis::default(),
            sited: false,
            quality: CaptureQuality::default(),
        });
        let Judged { naming, cases, diagnosis, quality, sited, .. } = judged;
        if self.options.diagnose && !std::mem::replace(sited, true) {
            let scene = Scene { cases, rules: self.rules, base: self.base, quality };
            diagnosis.site = diagnose::site(&scene, &diagnosis.findings);
        }
        Look { analysis, naming, diagnosis, quality, stats, now }
    }

    /// Judges all anew, if a second or more has passed since the last tick, for who looks between two that are far
    /// apart; nothing that comes later depends on that.
    pub fn renew(&mut self) {
        let now = self.clock.now();
        // what was judged last is still needed as it was
        let wanted = self.glances && !self.clock.is_whole(now);
        if !wanted && self.judged.as_ref().is_some_and(|judged| now.since(judged.cases.last) >= SECOND) {
            self.engine.look();
            self.judge(now);
        }
    }

    /// One that goes on from here by itself: given the same frames, it tells the same.
    pub fn fork(&self) -> Self {
        Monitor {
            engine: self.engine.clone(),
            base: self.base,
            rules: self.rules,
            options: self.options.clone(),
            clock: self.clock,
            losses: self.losses.clone(),
            links: self.links.clone(),
            link: self.link,
            shed: self.shed,
            ceiling: self.ceiling,
            given_up: self.given_up,
            // it is made anew of the same flows when somebody asks
            judged: None,
            glances: self.glances,
            basis: self.basis(),
            findings: self.findings.clone(),
            sessions: self.sessions.clone(),
            ticks: self.ticks,
            since: self.since,
            worst: self.worst,
            advised: self.advised.clone(),
            counted: self.counted.clone(),
        }
    }

    /// The latest moment that is known.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The gravest claim so far that still stood at its end.
    pub const fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// Whether the capture is too poor to judge by, as of the last tick.
    pub fn is_poor(&self) -> bool {
        self.judged.as_ref().is_some_and(|judged| judged.diagnosis.poor)
    }

    #[inline(always)]
    fn see(&mut self, ts: Timestamp, link: u16) {
        if self.link != Some(link) {
            self.link = Some(link);
            self.links.insert(link);
        }
        self.clock.frame(ts);
    }

    /// Deals with what is to be done before a frame of that time.
    #[cold]
    fn before<S: Sink>(&mut self, ts: Timestamp, sink: &mut S) -> Result<(), S::Error> {
        self.advance(ts, sink)?;
        let passed = self.clock.now().since(self.counted_since(ts));
        if self.clock.begin(ts) == Step::Back {
            self.engine.set_back(ts);
            self.since = ts;
            // an interval goes on by the new clock, and is as long as what had passed by the old one and what is to
            // come
            self.counted.1 = Timestamp(ts.0.saturating_sub(passed).max(1));
        }
        Ok(())
    }

    /// Takes a frame of that length below the ceiling, if there is one. True: there may be no room.
    #[inline(always)]
    fn is_full(&mut self, captured: usize) -> bool {
        // what is only counted takes no room
        self.shed != Shed::Everything && self.ceiling.as_mut().is_some_and(|ceiling| !ceiling.takes(captured))
    }

    /// Makes room below the ceiling: flows that are missed least are told, and let go of.
    #[cold]
    fn make_room<S: Sink>(&mut self, captured: usize, sink: &mut S) -> Result<(), S::Error> {
        let Some(ceiling) = &mut self.ceiling else { return Ok(()) };
        let (filter, given_up) = (self.options.filter, &mut self.given_up);
        let mut gone = HashSet::default();
        let (mut nothing, empty) = (None, Diagnosis::default());
        let (naming, diagnosis) = match &mut self.judged {
            Some(judged) => (&mut judged.naming, &judged.diagnosis),
            None => (nothing.get_or_insert_with(|| Naming::of_nothing(self.base)), &empty),
        };
        let moved = self.engine.make_room(ceiling, naming, |view| {
            gone.insert(view.id());
            if view.flow.told() {
                return Ok(());
            }
            *given_up = given_up.saturating_add(1);
            let record = view.given_up();
            let known = filter.map_or_else(Known::default, |filter| view.known(filter, &diagnosis.findings));
            if filter.is_none_or(|filter| filter.matches(&record, &known)) { sink.flow(&record) } else { Ok(()) }
        })?;
        self.findings.forget(&gone);
        ceiling.takes(captured);
        if moved && let Some(judged) = &mut self.judged {
            judged.naming.renew(self.engine.analysis());
        }
        Ok(())
    }

    /// Bytes of memory that flows, streams and names hold.
    pub fn held(&self) -> usize {
        self.engine.held()
    }

    /// Flows that were let go of before their end, for want of room.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    fn tick<S: Sink>(&mut self, now: Timestamp, sink: &mut S) -> Result<(), S::Error> {
        let before = std::mem::replace(&mut self.since, now);
        self.ticks = self.ticks.saturating_add(1);
        self.engine.stand(now);
        self.judge(now);
        if let Some(judged) = &self.judged {
            self.engine.mind(&judged.cases.hosts);
            if let Some(ceiling) = &mut self.ceiling {
                ceiling.set_beside(judged.held());
            }
        }
        let interval = nanos(self.options.settings.interim_seconds);
        let due = |flow: &Flow| !flow.told() && (flow.ended() || is_interim(flow, before, now, interval));
        self.tell_flows(due, false, sink)?;
        self.tell_diagnosis(now, false, sink)?;
        if let Some(Judged { quality, .. }) = &self.judged
            && (quality.advice != self.advised || has_passed(before, now, nanos(self.options.settings.quality_seconds)))
        {
            sink.capture_quality(quality)?;
            self.advised.clone_from(&quality.advice);
        }
        if has_passed(before, now, nanos(self.options.settings.stats_seconds)) {
            self.tell_stats(now, sink)?;
        }
        if has_passed(before, now, nanos(self.options.settings.let_go_seconds)) {
            self.let_go(now);
        }
        self.pace(now);
        Ok(())
    }

    /// Names and judges all that was seen, as it stands `now`.
    fn judge(&mut self, now: Timestamp) {
        let analysis = self.engine.analysis();
        let Losses { kernel_drops, interface_drops, queue_drops, warnings, .. } = &self.losses;
        let links = self.links.iter().copied();
        let mut quality = analysis.quality(links, *kernel_drops, *interface_drops, warnings.clone());
        quality.queue_drops = *queue_drops;
        capture::advise(&mut quality, self.rules);
        let before = self.judged.take().map(|judged| (judged.naming, judged.cases));
        let (mut naming, before) = before.unwrap_or_else(|| (Naming::of_nothing(self.base), Cases::default()));
        naming.renew(analysis);
        let mut cases = analysis.cases_again(&naming, before);
        cases.last = cases.last.max(now);
        let mut diagnosis = Diagnosis::default();
        if self.options.diagnose {
            diagnosis =
                diagnose::faults(&Scene { cases: &cases, rules: self.rules, base: self.base, quality: &quality });
        }
        self.judged = Some(Judged { naming, cases, diagnosis, quality, sited: false });
    }

    /// Lets go of flows that are over and told, and of names, once there are enough of them. All is named anew then.
    fn let_go(&mut self, now: Timestamp) {
        let Some(judged) = &mut self.judged else { return };
        let analysis = self.engine.analysis();
        let open = self.sessions.open(&judged.diagnosis.sessions);
        let wanted = self.findings.cited().chain(open).collect();
        let kept = System::of(&judged.cases).keep(&wanted, now, &self.options.settings);
        let goes = |flow: &Flow| !kept.keeps(flow);
        let (goes_now, all) = (analysis.places(goes), analysis.len());
        let enough = goes_now.len() as f64 >= self.options.settings.let_go_flows && goes_now.len() >= all / 4;
        if !(enough || analysis.is_crowded()) {
            return;
        }
        let views = goes_now.into_iter().filter_map(|at| analysis.view(at, &judged.naming));
        self.findings.forget(&views.map(|view| view.id()).collect());
        let before = |seconds: f64| now.before(nanos(seconds));
        let settings = &self.options.settings;
        let (answers, names) = (before(settings.answers_seconds), before(settings.names_seconds));
        let analysis = self.engine.compact(&Keep { flow: &|flow| kept.keeps(flow), answers, names, room: usize::MAX });
        judged.naming.renew(analysis);
    }

    /// Tells the flows that are `due`, in the order of their first frames; `last`: the capture has ended.
    fn tell_flows<S: Sink>(&mut self, due: impl Fn(&Flow) -> bool, last: bool, sink: &mut S) -> Result<(), S::Error> {
        let analysis = self.engine.analysis();
        let places = analysis.places(due);
        let Some(judged) = self.judged.as_ref().filter(|_| !places.is_empty()) else { return Ok(()) };
        let known = judged.known(self.options.filter);
        let mut over = Vec::with_capacity(places.len());
        for at in places {
            let Some(view) = analysis.view(at, &judged.naming) else { continue };
            let mut record = view.record(&view.verdict(&view.facts()));
            let ended = last || view.flow.ended();
            record.flow.interim = !ended;
            if ended {
                over.push(at);
            }
            if self.options.filter.is_none_or(|filter| filter.matches(&record, &known)) {
                sink.flow(&record)?;
            }
        }
        self.engine.tell(&over);
        Ok(())
    }

    /// Tells what is over of attempts to view, and what has changed of findings.
    fn tell_diagnosis<S: Sink>(&mut self, now: Timestamp, last: bool, sink: &mut S) -> Result<(), S::Error> {
        let Some(judged) = self.judged.as_ref() else { return Ok(()) };
        let analysis = self.engine.analysis();
        let open = Open::new(analysis, &judged.naming);
        let quiet = nanos(self.options.settings.quiet_seconds);
        let steps = |session: &SessionRecord| {
            session.steps.iter().flat_map(|step| step.flow_ids.iter().copied()).collect::<Vec<_>>()
        };
        let is_over = |session: &SessionRecord| last || now.since(session.end) >= quiet && !open.any(&steps(session));
        let sessions = self.sessions.over(&judged.diagnosis.sessions, is_over);
        let round = Round { now, number: self.ticks, found: &judged.diagnosis.findings, quiet, last };
        let findings = self.findings.update(&round, |flows| open.any(flows));
        if sessions.is_empty() && findings.is_empty() {
            return Ok(());
        }
        let passing = judged.passing(analysis, self.options.filter);
        let sessions = sessions.into_iter().filter(|session| passes(passing.as_ref(), &steps(session)));
        for session in sessions {
            sink.session(session)?;
        }
        tell_findings(&findings, passing.as_ref(), &mut self.worst, sink)
    }

    /// Since when what comes is counted: the last time that counts were told, or the first frame.
    fn counted_since(&self, now: Timestamp) -> Timestamp {
        let (_, since) = self.counted;
        if since == Timestamp::default() { self.engine.analysis().totals.first.unwrap_or(now) } else { since }
    }

    fn tell_stats<S: Sink>(&mut self, now: Timestamp, sink: &mut S) -> Result<(), S::Error> {
        let mut stats = self.stats();
        let since = self.counted_since(now);
        let (before, _) = std::mem::replace(&mut self.counted, (stats.clone(), now));
        stats.interval = Some(stats.since(&before, seconds(now.since(since))));
        sink.stats(&stats)
    }

    fn stats(&self) -> Stats {
        let Losses { kernel_drops, interface_drops, queue_drops, .. } = self.losses;
        Stats {
            kernel_drops: kernel_drops.unwrap_or(0),
            interface_drops: interface_drops.unwrap_or(0),
            queue_drops,
            ..self.engine.analysis().stats()
        }
    }
}
