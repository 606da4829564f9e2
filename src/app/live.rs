//! `live`: what goes by on interfaces, told as it happens.
//!
//! Devices are opened first, then the process gives up all rights that it needs no more, and only then are threads
//! started, files opened and packets looked at.

mod noting;
mod signals;
mod watched;

use std::collections::HashSet;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::settings as user;
use super::{OUTPUT_BUFFER, config, dash, early, find_folder, knowledge, look_by, rules, say};
use crate::capture::device::{Device, OpenError, Pcap, Settings, Trouble, name_of};
use crate::capture::feed::{COUNTED, Event, Feed};
use crate::capture::port::{Port, Remark};
use crate::capture::recorder::{Note, Plan, Recorder, open_files};
use crate::capture::ring::Span;
use crate::capture::writer::Writing;
use crate::capture::{Batch, Counters, Interface};
use crate::cli::{LiveArgs, RingSpan};
use crate::exit::{Exit, Outcome};
use crate::monitor::{self, Losses, Monitor, Options, Sink};
use crate::platform::{self, Allowed};
use crate::present::ndjson::Ndjson;
use crate::source::{Shed, Tally};
use crate::text::units::Count;
use crate::time::{SECOND, Timestamp};

use noting::Noting;
use signals::Signals;

/// The longest that nobody looks whether to stop.
const NAP: Duration = Duration::from_millis(100);
/// How long ports are looked at, in packet time.
const LOOK: u64 = 5 * SECOND;
/// The same where little comes in.
const LOOK_LONGEST: u64 = 60 * SECOND;
/// What is kept after a finding, in packet time.
const AFTER: u64 = 30 * SECOND;
/// The most memory of a ring that is asked for by time.
const MOST_RING: usize = 1 << 30;

pub(super) fn live(args: &LiveArgs, named: Option<user::Settings>) -> Result<Exit> {
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    if args.write.as_deref() == Some(Path::new("-")) {
        return Err(anyhow!("-w -: stdout has what is found; give a file to keep frames in"));
    }
    find_folder(args.write.as_deref())?;
    if let Some(folder) = args.write.as_deref().filter(|path| path.is_dir()) {
        return Err(anyhow!("{}: cannot be written: it is a folder; give a file in it", folder.display()));
    }
    let devices = match open(args) {
        Ok(devices) => devices,
        Err(error) => {
            say(&error.to_string());
            return Ok(if matches!(error, OpenError::Filter { .. }) { Exit::Usage } else { Exit::Permission });
        }
    };
    let signals = Signals::new()?;
    // what is to be read is read while that is allowed
    let settings = user::Settings::or_found(named)?;
    let shown = look_by(&args.common, &settings)?;
    platform::keep_to_one_core();
    confine(args, &devices)?;
    let devices = devices.into_iter().map(|device| Box::new(device) as Box<dyn Device>).collect();
    let intervals = monitor::Settings::embedded().context("the settings that come with the program")?;
    let options = Options {
        filter: args.filter.as_ref(),
        diagnose: true,
        settings: intervals,
        max_memory: Some(args.max_memory),
        glances: true,
    };
    let monitor = Monitor::new(&config(&base, true), &base, &rules, options);
    // what is kept, and what is counted, is needed frame by frame
    let whole = args.write.is_some() || args.count.is_some();
    if !args.no_tui && dash::is_watched() {
        let feed = Feed::start(devices, whole)?;
        return watched::watch(args, &settings, shown, &rules, |front| run(args, feed, monitor, front, signals));
    }
    let out = Ndjson::new(BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock()));
    run(args, Feed::start(devices, whole)?, monitor, Noting::new(out), signals)
}

/// Who is told of what happens: lines on stdout, or a screen.
trait Front: Sink<Error = io::Error> {
    /// All that came is told, or a tenth of a second has passed. False: whoever watches has had enough.
    fn turn(&mut self, monitor: &mut Monitor<'_>, load: &Load) -> io::Result<bool>;
    /// What is to be said in the capture's files, since the last call.
    fn take_notes(&mut self) -> Vec<Note>;
    /// A line beside what is found.
    fn say(&mut self, line: &str);
}

/// Opens all devices that are asked for.
fn open(args: &LiveArgs) -> Result<Vec<Pcap>, OpenError> {
    let settings = Settings {
        filter: args.capture_filter.clone(),
        snaplen: args.snaplen,
        promiscuous: !args.no_promiscuous,
        ring: args.buffer_size as usize * 1024,
    };
    let names = args.interface.iter().map(|name| name_of(name)).collect::<Result<_, _>>()?;
    let (names, again) = once(names);
    again.iter().for_each(|name| say(&format!("{name}: given more than once; it is captured on once")));
    names.iter().map(|name| Pcap::open(name, &settings)).collect()
}

/// Each name once, and those that were given again: a device that is opened twice gives each frame twice.
fn once(names: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut seen = HashSet::new();
    names.into_iter().partition(|name| seen.insert(name.clone()))
}

/// What looks at the ports, where something can be said of them: of what a filter lets through nothing can.
fn ports(args: &LiveArgs, interfaces: &[Interface]) -> Option<Ports> {
    (!args.common.quiet && args.capture_filter.is_none()).then(|| Ports::new(interfaces))
}

/// Gives up what is needed no more, and says what of it.
fn confine(args: &LiveArgs, devices: &[Pcap]) -> Result<()> {
    let folder = args.write.as_deref().map(folder_of);
    let allowed = Allowed {
        user: args.user.clone(),
        write: folder.iter().cloned().collect(),
        read: Vec::new(),
        silent: devices.iter().filter_map(Pcap::descriptor).collect(),
    };
    let confined = platform::confine(&allowed).map_err(|why| anyhow!(why))?;
    confined.undone.iter().for_each(|line| say(line));
    if args.common.verbose > 0 {
        confined.done.iter().for_each(|line| say(line));
    }
    match folder {
        Some(folder) if !platform::may_write(&folder) => Err(anyhow!(io::Error::from(io::ErrorKind::PermissionDenied))
            .context(format!(
                "{}: nothing can be written there as the user that captures; give another folder, or --user",
                folder.display()
            ))),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A capture under way.
struct Live<'a, 'm, F> {
    args: &'a LiveArgs,
    feed: Feed,
    monitor: Monitor<'m>,
    front: F,
    files: Option<Writing>,
    signals: Signals,
    frames: u64,
    /// Up to when everything is known.
    now: Timestamp,
    counters: Vec<Counters>,
    /// What the ports look like, in the first seconds.
    ports: Option<Ports>,
    load: Load,
    stopped: Option<Timestamp>,
    exit: Outcome,
}

fn run<F: Front>(args: &LiveArgs, feed: Feed, mut monitor: Monitor<'_>, front: F, signals: Signals) -> Result<Exit> {
    let files = match plan(args) {
        None => None,
        Some(plan) => {
            let recorder = Recorder::new(plan, feed.interfaces(), open_files());
            Some(Writing::start(recorder, feed.spare()).context("no thread to write files")?)
        }
    };
    // the ring is emptied first: that is for those who were started before
    platform::stand_back();
    monitor.lose(losses(Counters::default()));
    let ports = ports(args, feed.interfaces());
    let counters = vec![Counters::default(); feed.interfaces().len()];
    let mut live = Live {
        args,
        feed,
        monitor,
        front,
        files,
        signals,
        frames: 0,
        now: Timestamp(0),
        counters,
        ports,
        load: Load::default(),
        stopped: None,
        exit: Outcome::new(args.judge.fail_on.is_some()),
    };
    live.greet();
    let told = live.watch().and_then(|()| live.tell_the_rest());
    live.close();
    match told {
        Ok(()) => Ok(live.exit.exit()),
        Err(error) => Err(error.into()),
    }
}

/// What is to be kept.
fn plan(args: &LiveArgs) -> Option<Plan> {
    let before = args.ring.map(|ring| match ring {
        RingSpan::Size(size) => Span::Bytes(usize::try_from(size.0).unwrap_or(usize::MAX)),
        RingSpan::Time(time) => Span::Time(time.0, MOST_RING),
    });
    args.write.as_ref().map(|path| Plan {
        path: path.clone(),
        every_bytes: args.rotate_size.map(|size| size.0),
        every_nanos: args.rotate_time.map(|time| time.0),
        files: args.keep.map(usize::from),
        before,
        after_nanos: AFTER,
    })
}

impl<F: Front> Live<'_, '_, F> {
    fn greet(&mut self) {
        if !self.args.common.quiet {
            let names: Vec<_> = self.feed.interfaces().iter().map(|i| i.name.as_str()).collect();
            let line = format!("capturing on {}", names.join(", "));
            self.front.say(&line);
        }
    }

    /// Takes what comes until the end.
    fn watch(&mut self) -> io::Result<()> {
        let begun = now();
        loop {
            match self.feed.next(NAP) {
                Some(Event::Frames(batch)) => self.frames(batch)?,
                Some(Event::Counted { device, tally }) => self.counted(device, &tally)?,
                Some(Event::Quiet(until)) => self.quiet(until)?,
                Some(Event::Link { device, up }) => self.link(device, up),
                Some(Event::Lost { device, why }) => self.lost(device, &why),
                Some(Event::End) => {
                    self.count();
                    return Ok(());
                }
                None => {}
            }
            self.count();
            self.mind_signals();
            if !self.front.turn(&mut self.monitor, &self.load)? {
                self.stop();
            }
            let over = self.args.duration.is_some_and(|time| begun.elapsed() >= Duration::from_nanos(time.0));
            if over || self.args.count.is_some_and(|most| self.frames >= most) {
                self.stop();
            }
        }
    }

    fn frames(&mut self, mut batch: Batch) -> io::Result<()> {
        let left = self.args.count.map_or(u64::MAX, |most| most.saturating_sub(self.frames));
        let kept = usize::try_from(left).unwrap_or(usize::MAX);
        batch.chunk.frames.truncate(kept);
        batch.from.truncate(kept);
        self.frames += batch.from.len() as u64;
        self.now = batch.chunk.frames.iter().map(|frame| frame.ts).max().unwrap_or(self.now).max(self.now);
        self.look_at_ports(&batch);
        batch.shed = self.load.stage(self.feed.fill());
        self.monitor.shed(batch.shed);
        self.monitor.chunk(&batch.chunk, &mut self.front)?;
        let notes = self.front.take_notes();
        match &self.files {
            Some(files) => files.batch(batch, notes),
            None => self.feed.spare().put(batch),
        }
        Ok(())
    }

    /// Frames came that there was no time for.
    fn counted(&mut self, device: usize, tally: &Tally) -> io::Result<()> {
        self.frames += tally.frames;
        self.now = self.now.max(tally.last);
        let link = self.feed.interfaces().get(device).map_or(0, |interface| interface.link);
        self.monitor.count(tally, link, &mut self.front)
    }

    /// Time has passed in which nothing came.
    fn quiet(&mut self, until: Timestamp) -> io::Result<()> {
        self.now = self.now.max(until);
        self.monitor.advance(until, &mut self.front)?;
        for note in self.front.take_notes() {
            if let Some(files) = &self.files {
                files.note(note);
            }
        }
        Ok(())
    }

    /// Within the first seconds it is said if a port does not mirror, before anything is made of what comes.
    fn look_at_ports(&mut self, batch: &Batch) {
        let Some(ports) = &mut self.ports else { return };
        let (lines, done) = (ports.see(batch), ports.is_done());
        lines.iter().for_each(|line| self.front.say(line));
        if done {
            self.ports = None;
        }
    }

    fn name(&self, device: usize) -> &str {
        self.feed.interfaces().get(device).map_or("", |interface| interface.name.as_str())
    }

    fn link(&mut self, device: usize, up: bool) {
        let name = self.name(device);
        let line =
            if up { format!("{name} is up again") } else { format!("{name} is down; capturing goes on when it is up") };
        self.front.say(&line);
    }

    fn lost(&mut self, device: usize, why: &Trouble) {
        let name = self.name(device);
        let why = match why {
            Trouble::Failed(why) => why.as_str(),
            Trouble::Down | Trouble::Gone => "it is gone",
        };
        let line = format!("{name}: no more frames come from it: {why}; once it is there again, start this anew");
        self.front.say(&line);
        self.exit.note(Exit::Permission);
    }

    /// Passes on what the devices have counted, and what the files have to say.
    fn count(&mut self) {
        let counters = self.feed.counters();
        if counters != self.counters {
            let before = total(&self.counters);
            let all = total(&counters);
            if all.kernel_drops != before.kernel_drops || all.interface_drops != before.interface_drops {
                self.monitor.lose(losses(all));
            }
            if let Some(files) = &self.files {
                files.counters(counters.clone());
            }
            self.counters = counters;
        }
        if let Some(files) = &self.files {
            files.messages().for_each(|line| self.front.say(&line));
        }
    }

    fn mind_signals(&mut self) {
        if self.signals.rotate()
            && let Some(files) = &self.files
        {
            files.rotate(self.now);
        }
        if self.signals.ends() && self.stopped.is_none() {
            self.exit.note(Exit::Interrupted);
            self.stop();
        }
    }

    fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(platform::now());
            self.feed.stop();
        }
    }

    /// The capture is over: tells all that is still to be told.
    fn tell_the_rest(&mut self) -> io::Result<()> {
        // a count ends with its last frame
        let end = self.stopped.filter(|_| self.args.count.is_none_or(|most| self.frames < most));
        self.quiet(end.unwrap_or(self.now).max(self.now))?;
        if self.monitor.given_up() > 0 {
            let line = early::warning(self.monitor.given_up(), true);
            self.monitor.lose(Losses { warnings: vec![line], ..losses(total(&self.counters)) });
        }
        self.monitor.finish(&mut self.front)?;
        self.front.turn(&mut self.monitor, &Load::default())?;
        if self.args.judge.fail_on.is_some_and(|least| self.monitor.worst().is_some_and(|worst| worst >= least)) {
            self.exit.note(Exit::Finding);
        }
        if self.monitor.is_poor() || self.frames == 0 {
            self.exit.note(Exit::Poor);
        }
        Ok(())
    }

    /// Finishes files, and says what it came to.
    fn close(&mut self) {
        self.feed.stop();
        self.count();
        let mut unwritten = 0;
        if let Some(files) = self.files.take() {
            let (lines, lost) = files.finish(self.now);
            lines.iter().for_each(|line| self.front.say(line));
            unwritten = lost;
        }
        if unwritten > 0 {
            let line = format!("{} frames were analyzed and not kept: the disk was full or too slow", Count(unwritten));
            self.front.say(&line);
        }
        let [packets, frames] = self.monitor.passed_over();
        if packets > 0 {
            let line = format!("{} packets were counted and not inspected, for want of time", Count(packets));
            self.front.say(&line);
        }
        if frames > 0 {
            let line = format!("{} frames were counted and not analyzed, for want of time", Count(frames));
            self.front.say(&line);
        }
        if !self.args.common.quiet {
            let all = total(&self.counters);
            self.front.say(&format!(
                "{} frames captured, {} dropped by the kernel, {} by the interface",
                Count(self.frames),
                Count(all.kernel_drops),
                Count(all.interface_drops)
            ));
        }
    }
}

fn losses(counters: Counters) -> Losses {
    let (kernel_drops, interface_drops) = (Some(counters.kernel_drops), Some(counters.interface_drops));
    Losses { kernel_drops, interface_drops, ..Losses::default() }
}

/// How much more there is to do than is being done.
#[derive(Debug, Default)]
struct Load {
    /// What is passed over.
    stage: Shed,
    /// How full the queue is, 0 to 1.
    fill: f64,
}

impl Load {
    /// How full the queue is, 0 to 1, where each stage begins and where it is over. More than half is for what comes
    /// while all is judged.
    const STAGES: [(Shed, f64, f64); 3] =
        [(Shed::Bulk, 0.2, 0.1), (Shed::Strangers, 0.3, 0.15), (Shed::Everything, COUNTED.0, COUNTED.1)];

    /// Takes how full the queue is; gives what is to be passed over.
    fn stage(&mut self, fill: f64) -> Shed {
        let goes_on =
            |(stage, begins, over): &&(Shed, f64, f64)| fill > if self.stage >= *stage { *over } else { *begins };
        self.stage = Load::STAGES.iter().rev().find(goes_on).map_or(Shed::Nothing, |(stage, ..)| *stage);
        self.fill = fill;
        self.stage
    }

    /// Whether there is more to do than is being done.
    fn is_pressed(&self) -> bool {
        self.stage != Shed::Nothing
    }
}

/// What each interface's port looks like, until that can be told.
struct Ports {
    ports: Vec<(String, Option<Port>)>,
    first: Option<Timestamp>,
}

impl Ports {
    fn new(interfaces: &[Interface]) -> Self {
        let port = |interface: &Interface| {
            (interface.name.clone(), Some(Port::new(platform::hardware_address(&interface.name))))
        };
        Ports { ports: interfaces.iter().map(port).collect(), first: None }
    }

    /// Looks at frames; gives what is to be said of the ports of which enough was seen.
    fn see(&mut self, batch: &Batch) -> Vec<String> {
        let mut seen = 0;
        for (frame, from) in batch.frames() {
            if let Some((_, Some(port))) = self.ports.get_mut(usize::from(from)) {
                port.frame(&frame);
            }
            seen = frame.ts.since(*self.first.get_or_insert(frame.ts)).max(seen);
        }
        if seen <= LOOK {
            return Vec::new();
        }
        let mut lines = Vec::new();
        for (name, looked_at) in &mut self.ports {
            let remarks = looked_at.as_ref().map(Port::remarks).unwrap_or_default();
            if seen <= LOOK_LONGEST && remarks.contains(&Remark::Quiet) {
                continue;
            }
            *looked_at = None;
            lines.extend(
                remarks.into_iter().filter(|remark| remark.is_wrong()).map(|remark| format!("{name}: {remark}")),
            );
        }
        lines
    }

    /// Whether nothing more is to be said.
    fn is_done(&self) -> bool {
        self.ports.iter().all(|(_, port)| port.is_none())
    }
}

fn total(counters: &[Counters]) -> Counters {
    counters.iter().fold(Counters::default(), |sum, more| sum.and(*more))
}

/// The machine's time, for `--duration`.
#[expect(clippy::disallowed_methods, reason = "how long to capture is asked for in the machine's time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_device_is_opened_once() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(once(names(&["a", "b", "a"])), (names(&["a", "b"]), names(&["a"])));
    }

    #[test]
    fn nothing_is_said_of_a_port_by_what_a_filter_lets_through() {
        let looks = |more: &[&str]| {
            let line = ["relayscope", "live", "-i", "eth1"].into_iter().chain(more.iter().copied());
            let Ok((Command::Live(args), _)) = Cli::parse_args(line) else { panic!("{more:?}") };
            ports(&args, &[]).is_some()
        };
        assert!(looks(&[]) && !looks(&["-f", "tcp port 80"]) && !looks(&["-q"]));
    }

    #[test]
    fn each_stage_begins_with_a_fuller_queue_and_goes_on_until_it_has_shrunk_well() {
        use Shed::*;
        let mut load = Load::default();
        let told = [0.0, 0.2, 0.21, 0.11, 0.1, 0.31, 0.16, 0.15, 0.11, 0.5, 0.26, 0.25, 0.15, 0.05];
        assert_eq!(
            told.map(|fill| load.stage(fill)),
            [
                Nothing, Nothing, Bulk, Bulk, Nothing, Strangers, Strangers, Bulk, Bulk, Everything, Everything,
                Strangers, Bulk, Nothing
            ]
        );
        assert_eq!([1.0, 0.05].map(|fill| load.stage(fill)), [Everything, Nothing]);
    }
}
