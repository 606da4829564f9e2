//! `replay`: what captures hold, told as it happened.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::aloud::Aloud;
use super::settings as user;
use super::{
    Manner, OUTPUT_BUFFER, config, dash, early, interrupted, knowledge, look_by, note_problems, rules, say, stop_flag,
};
use crate::cli::{ReplayArgs, Speed};
use crate::exit::{Exit, Outcome};
use crate::monitor::{Losses, Monitor, Options, Settings};
use crate::present::ndjson::Ndjson;
use crate::source::{CHUNK_BYTES, Chunk, Facts, Fill, Problem, Source, progress};
use crate::text::units::Count;
use crate::time::Timestamp;

/// The longest that nobody looks whether to stop.
const NAP: Duration = Duration::from_millis(50);

pub(super) fn replay(args: &ReplayArgs, named: Option<user::Settings>) -> Result<Exit> {
    if !args.no_tui && dash::opens(&args.inputs().cloned().collect::<Vec<_>>()) {
        let settings = user::Settings::or_found(named)?;
        return dash::replay(&dash::Opening {
            paths: args.inputs().cloned().collect(),
            judge: &args.judge,
            screen: &args.screen,
            settings: &settings,
            look: look_by(&args.common, &settings)?,
            speed: match args.speed {
                Speed::Max => None,
                Speed::Times(times) => Some(times),
            },
            filter: args.filter.as_ref().map(ToString::to_string),
        });
    }
    let mut base = knowledge(args.judge.catalogue.as_ref(), args.judge.site.as_ref(), args.judge.product)?;
    let rules = rules(&mut base, args.judge.catalogue.as_ref())?;
    let settings = Settings::embedded().context("the settings that come with the program")?;
    let options =
        Options { filter: args.filter.as_ref(), diagnose: true, settings, max_memory: args.max_memory, glances: true };
    let mut monitor = Monitor::new(&config(&base, true), &base, &rules, options);
    let paths: Vec<PathBuf> = args.inputs().cloned().collect();
    let stop = stop_flag()?;
    let mut source = Source::open(&paths, CHUNK_BYTES).until(&stop);
    let mut sink = Ndjson::new(BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock()));
    let reading = Aloud::new(&args.common, &args.judge, &base).begin();
    play(args, &mut source, &mut monitor, &mut sink, &stop)?;
    reading.end(&paths, &monitor.look().analysis.stats());
    let mut exit = Outcome::new(args.judge.fail_on.is_some());
    let problems: Vec<Problem> = source.take_problems().collect();
    let facts = source.facts();
    let mut warnings = note_problems(&problems, monitor.look().analysis, &facts, Manner::default(), &mut exit);
    if stop.load(Ordering::Relaxed) {
        warnings.push(interrupted(&mut exit));
    }
    if monitor.given_up() > 0 {
        warnings.push(early::warning(monitor.given_up(), true));
    }
    if facts.frames > 0 || !problems.iter().any(|p| matches!(p, Problem::Error(_))) {
        end(args, &facts, warnings, &mut monitor, &mut sink)?;
        if args.judge.fail_on.is_some_and(|least| monitor.worst().is_some_and(|worst| worst >= least)) {
            exit.note(Exit::Finding);
        }
        if monitor.is_poor() || facts.frames == 0 {
            exit.note(Exit::Poor);
        }
    }
    sink.finish()?;
    // the process ends now: giving back millions of small pieces of memory one by one would only take time
    std::mem::forget(monitor);
    Ok(exit.exit())
}

/// Tells what happens, until the captures end or somebody stops it.
fn play(
    args: &ReplayArgs,
    source: &mut Source,
    monitor: &mut Monitor<'_>,
    sink: &mut Ndjson<impl io::Write>,
    stop: &AtomicBool,
) -> Result<()> {
    let mut printer = progress::Printer::new(args.common.progress());
    let mut pace = match args.speed {
        Speed::Max => None,
        Speed::Times(times) => Some(Pace::new(times)),
    };
    let mut chunk = Chunk::default();
    while !stop.load(Ordering::Relaxed) && source.fill(&mut chunk) == Fill::More {
        monitor.shed(source.shed());
        match &mut pace {
            None => monitor.chunk(&chunk, sink)?,
            Some(pace) => pace.chunk(&chunk, monitor, sink, stop)?,
        }
        printer.update(&source.progress());
    }
    Ok(())
}

/// Tells what stands at the end of the captures.
fn end(
    args: &ReplayArgs,
    facts: &Facts,
    warnings: Vec<String>,
    monitor: &mut Monitor<'_>,
    sink: &mut Ndjson<impl io::Write>,
) -> Result<()> {
    let (kernel_drops, interface_drops) = (facts.kernel_drops, facts.interface_drops);
    let now = monitor.now();
    monitor.advance(facts.ended(now), sink)?;
    monitor.lose(Losses { kernel_drops, interface_drops, warnings, ..Losses::default() });
    monitor.finish(sink)?;
    let [packets, frames] = monitor.passed_over();
    if !args.common.quiet && packets.saturating_add(frames) > 0 {
        say(&format!(
            "{} packets were not inspected and {} frames only counted, as when they were captured; `analyze` inspects all",
            Count(packets),
            Count(frames)
        ));
    }
    Ok(())
}

/// Keeps packet time and the clock together.
struct Pace {
    times: f64,
    /// The first frame's time, and when it was told.
    begun: Option<(Timestamp, Instant)>,
}

impl Pace {
    fn new(times: f64) -> Self {
        Pace { times, begun: None }
    }

    /// Gives the frames of a chunk to a monitor, each when it is due.
    fn chunk(
        &mut self,
        chunk: &Chunk,
        monitor: &mut Monitor<'_>,
        sink: &mut Ndjson<impl io::Write>,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            let (first, begun) = *self.begun.get_or_insert_with(|| (frame.ts, now()));
            let due = Duration::from_nanos(frame.ts.since(first)).div_f64(self.times);
            while let Some(left) =
                due.checked_sub(now().saturating_duration_since(begun)).filter(|left| !left.is_zero())
            {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(left.min(NAP));
                let passed = now().saturating_duration_since(begun).mul_f64(self.times);
                let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
                // what a silence shows is told while it lasts
                monitor.advance(first.after(passed).min(frame.ts), sink)?;
            }
            monitor.frame(frame, sink)?;
        }
        Ok(())
    }
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "a capture is told at the speed that is asked for")]
fn now() -> Instant {
    Instant::now()
}
