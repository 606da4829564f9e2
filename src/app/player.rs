//! Plays captures for the dashboard: reads them, keeps packet time and the clock together, and publishes snapshots.
//!
//! At first all is read as fast as the machine goes, for whoever opens a capture wants its verdict; then it can be
//! played again from any moment. To go back means to read anew from the start: what the engine knows at a moment is
//! what all packets until then have told. So that it need not be read from its start each time, the run keeps places on
//! its way from where another can go on.

mod run;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::publish::{Publisher, REFRESH, SPARE_WAITED, clock};
use crate::dash::detail::Detail;
use crate::dash::snapshot::{Phase, Snapshot, Transport};
use crate::dash::update::Play;
use crate::diagnose::rules::Rules;
use crate::engine;
use crate::engine::naming::KnowledgeBase;
use crate::evidence::ladder::Step;
use crate::evidence::{Watcher, wanted};
use crate::exit::Outcome;
use crate::handover::can_be_read_again;
use crate::monitor::Settings;
use crate::source::{CHUNK_BYTES, Chunk, Fill, Source};
use crate::time::{SECOND, Timestamp};
use run::{Fed, Run};

/// How long the packets of a flow are looked for.
const CLIMB: Duration = Duration::from_secs(3);
/// How many times further apart ticks come than they do where each is told, the more there is to judge.
const TICKS_APART: f64 = 53.0;
/// How long is worked before orders are looked for.
const TURN: Duration = Duration::from_millis(30);

/// What is asked of a player.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// To play.
    Play(Play),
    /// More of a flow.
    Want(Option<u64>),
    /// To judge all anew by this.
    Judge(Arc<KnowledgeBase>),
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
    /// When that is set nobody looks any more, and a pipe that nothing comes from ends.
    pub stop: &'a Arc<AtomicBool>,
    /// What was wrong with the captures is noted there.
    pub exit: &'a Mutex<Outcome>,
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

/// What a turn of playing came to.
enum Turned {
    /// There is more to do.
    On,
    /// Something was ordered meanwhile.
    Ordered(Order),
    /// Nobody gives orders any more.
    Left,
}

/// What is kept from one player to the next.
struct Standing {
    publisher: Publisher,
    transport: Transport,
    course: Course,
    speed: Option<f64>,
    /// The user has said at which speed.
    chosen: bool,
    /// The captures were read to their end.
    whole: bool,
}

/// Plays captures by the orders that come, until nobody can give any more: all at full speed at first, or at `speed`
/// from the start.
pub(super) fn play(
    given: Given<'_>,
    mut base: Arc<KnowledgeBase>,
    settings: Settings,
    speed: Option<f64>,
    publisher: Publisher,
    orders: &Receiver<Order>,
) {
    // what is over can be looked at as long as the screen is; and where there is much to judge, it is judged when
    // somebody looks, and the timeline's marks can be a few seconds late
    let tick_flows_most = settings.tick_flows_most / TICKS_APART;
    let settings = Settings { let_go_flows: f64::MAX, tick_flows_most, ..settings };
    let transport = Transport { speed, ..Transport::default() };
    let chosen = speed.is_some();
    let mut standing = Standing { publisher, transport, course: Course::Play, speed, chosen, whole: false };
    loop {
        let given = Given { base: &base, ..given };
        let Some((next, left)) = Player::new(given, settings, standing).play(orders) else { return };
        (base, standing) = (next, left);
    }
}

/// Plays captures, judged by one knowledge.
struct Player<'a> {
    given: Given<'a>,
    settings: Settings,
    run: Run<'a>,
    /// A moment of packet time, and when by the clock it was.
    anchor: Option<(Timestamp, Instant)>,
    standing: Standing,
    sampled: Duration,
    began: Instant,
    /// The packets of the flow that was last looked at closely.
    ladder: Option<(u64, Vec<Step>)>,
}

impl<'a> Player<'a> {
    fn new(given: Given<'a>, settings: Settings, standing: Standing) -> Player<'a> {
        Player {
            given,
            run: Run::new(&given, &settings),
            settings,
            anchor: None,
            standing,
            sampled: Duration::ZERO,
            began: clock(),
            ladder: None,
        }
    }

    /// Plays until nobody gives orders any more, or what it is judged by changes: gives by what, and how it stood.
    fn play(mut self, orders: &Receiver<Order>) -> Option<(Arc<KnowledgeBase>, Standing)> {
        loop {
            let order = if self.standing.course == Course::Halt {
                orders.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                orders.try_recv()
            };
            let turned = match order {
                Ok(order) => Turned::Ordered(order),
                Err(TryRecvError::Disconnected) => Turned::Left,
                Err(TryRecvError::Empty) => self.go_on(orders),
            };
            match turned {
                Turned::On => {}
                Turned::Ordered(Order::Judge(base)) => return Some((base, self.leave())),
                Turned::Ordered(Order::Want(flow)) => self.want(flow),
                Turned::Ordered(Order::Play(play)) => self.obey(play),
                Turned::Left => {
                    // the program ends now: giving back millions of small pieces of memory one by one would only take
                    // time
                    std::mem::forget(self);
                    return None;
                }
            }
        }
    }

    /// How it stands, for another player: that goes to where this one was.
    fn leave(self) -> Standing {
        let Player { run, mut standing, .. } = self;
        let on = match standing.course {
            Course::Play => true,
            Course::Go { on, .. } => on,
            Course::Halt => false,
        };
        standing.course = match standing.course {
            // all was read, or is being
            _ if run.ended => Course::Play,
            Course::Play if standing.speed.is_none() => Course::Play,
            _ => Course::Go { to: run.now, on },
        };
        if run.ended {
            (standing.speed, standing.transport.speed) = (None, None);
        }
        standing.publisher.rewind(Timestamp::default());
        standing
    }

    fn want(&mut self, flow: Option<u64>) {
        self.standing.publisher.wanted = flow;
        if flow.is_some() {
            self.publish();
            self.climb();
        }
    }

    fn obey(&mut self, play: Play) {
        match play {
            Play::Speed(speed) => {
                (self.standing.speed, self.standing.chosen) = (speed, true);
                self.anchor = None;
                self.tell_standing();
            }
            Play::Toggle => {
                if self.standing.course == Course::Halt {
                    if self.run.ended {
                        self.go_back(Timestamp::default());
                    }
                    if !self.standing.chosen {
                        // at which there is something to see
                        self.standing.speed = Some(1.0);
                    }
                    self.standing.course = Course::Play;
                } else {
                    self.standing.course = Course::Halt;
                }
                self.anchor = None;
                self.tell_standing();
            }
            Play::Seek(to) => {
                if self.run.ended && to >= self.run.now {
                    return;
                }
                let on = match self.standing.course {
                    Course::Play => true,
                    Course::Go { on, .. } => on,
                    Course::Halt => false,
                };
                if to < self.run.now || self.run.ended || self.run.has_nearer(to) {
                    self.go_back(to);
                }
                self.standing.course = Course::Go { to, on };
                self.anchor = None;
                self.tell_standing();
            }
        }
    }

    fn go_back(&mut self, to: Timestamp) {
        self.run.go_back(to, &self.given, &self.settings);
        self.standing.publisher.rewind(self.run.now);
        (self.sampled, self.began) = (Duration::ZERO, clock());
    }

    /// Plays a turn.
    fn go_on(&mut self, orders: &Receiver<Order>) -> Turned {
        let until = clock() + TURN;
        let fed = match (self.standing.course, self.standing.speed) {
            (Course::Go { to, .. }, _) => self.feed_fast(Some(to), until),
            (_, None) => self.feed_fast(None, until),
            (_, Some(speed)) => return self.pace(speed, orders),
        };
        match fed {
            Fed::End => self.end(),
            Fed::UpTo => {
                if let Course::Go { to, on } = self.standing.course {
                    self.run.now = self.run.now.max(to);
                    let Ok(()) = self.run.monitor.advance(to, &mut self.run.raised);
                    self.standing.course = if on { Course::Play } else { Course::Halt };
                }
                self.publish();
            }
            Fed::Lull => self.show_news(),
            Fed::Turn => {
                let goes = matches!(self.standing.course, Course::Go { .. });
                if !goes && self.standing.publisher.is_due_waited() {
                    self.publish();
                } else if self.standing.publisher.is_silent() {
                    self.tell_standing();
                }
            }
        }
        Turned::On
    }

    /// Feeds at full speed; second by second, so that the rates of all seconds are known, as long as that costs little.
    fn feed_fast(&mut self, to: Option<Timestamp>, until: Instant) -> Fed {
        loop {
            let cheap = self.sampled * SPARE_WAITED <= self.began.elapsed() + REFRESH;
            let Some(first) = self.run.peek() else { return self.run.without() };
            if !cheap {
                return self.run.feed(to, until);
            }
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

    /// Plays at a speed until something is ordered or a snapshot is due.
    fn pace(&mut self, speed: f64, orders: &Receiver<Order>) -> Turned {
        let Some(first) = self.run.peek() else {
            match self.run.ended {
                true => self.end(),
                false => self.show_news(),
            }
            return Turned::On;
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
            Fed::Turn | Fed::Lull => {}
        }
        if self.standing.course == Course::Play && self.standing.publisher.is_due() {
            self.publish();
        }
        match orders.recv_timeout(TURN) {
            Ok(order) => Turned::Ordered(order),
            Err(RecvTimeoutError::Timeout) => Turned::On,
            Err(RecvTimeoutError::Disconnected) => Turned::Left,
        }
    }

    /// Who writes has paused: shows what came before that.
    fn show_news(&mut self) {
        if self.run.news && self.standing.publisher.is_due() {
            self.publish();
        }
    }

    /// The captures were played to their end.
    fn end(&mut self) {
        self.standing.whole = self.run.failed.is_none();
        self.standing.course = Course::Halt;
        self.publish();
    }

    fn phase(&self) -> Phase {
        let progress = self.run.source.progress();
        let share = progress.bytes_total.filter(|total| *total > 0);
        let share = share.map(|total| (progress.bytes_read as f64 / total as f64).min(1.0));
        match (&self.run.failed, self.standing.course, self.standing.speed) {
            (Some(why), ..) => Phase::Failed(why.clone()),
            _ if self.run.ended => Phase::Ended,
            (_, Course::Go { .. }, _) | (_, Course::Play, None) => Phase::Reading(share),
            (_, Course::Play, Some(_)) => Phase::Playing,
            (_, Course::Halt, _) => Phase::Halted,
        }
    }

    /// Tells how it stands, with what was shown last.
    fn tell_standing(&mut self) {
        self.standing.transport.speed = self.standing.speed;
        let shown = (**self.standing.publisher.shown()).clone();
        let transport = Some(self.standing.transport.clone());
        self.standing.publisher.show(Snapshot { phase: self.phase(), transport, ..shown });
    }

    /// Notes what the ways to view have carried.
    fn sample(&mut self) {
        self.standing.publisher.sample(&mut self.run.monitor, self.run.now);
    }

    /// Makes a snapshot, and shows it.
    fn publish(&mut self) {
        let (phase, now, ended) = (self.phase(), self.run.now, self.run.ended);
        self.run.news = false;
        self.run.monitor.renew();
        let Player { standing, run, ladder, .. } = self;
        let Standing { publisher, transport, speed, whole, .. } = standing;
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
        let Some(flow) = self.standing.publisher.wanted else { return };
        let known = self.ladder.as_ref().is_some_and(|(known, _)| *known == flow);
        if known || !can_be_read_again(self.given.paths) {
            return;
        }
        let findings = &self.standing.publisher.shown().findings;
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
