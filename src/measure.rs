//! How fast this machine is at each stage of the work: for users who size hardware.
//!
//! Each stage is run with all before it, on one thread, several times; what it takes is the difference to those before
//! it, of the best runs. Other work on the machine only ever makes a run slower, so the best says most.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::diagnose;
use crate::diagnose::rules::Rules;
use crate::diagnose::scene::Scene;
use crate::engine::analysis::Analysis;
use crate::engine::front::{Front, Place, Sink, Work};
use crate::engine::naming::KnowledgeBase;
use crate::engine::{Config, Engine};
use crate::event::Stats;
use crate::flow::Table;
use crate::flow::key::SHARDS;
use crate::pipeline;
use crate::present::Format;
use crate::present::color::Style;
use crate::present::report::{self, Report};
use crate::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};

/// What is measured, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The capture.
    pub path: &'a Path,
    /// How flows are tracked and inspected.
    pub config: &'a Config,
    /// What flows are named by.
    pub base: &'a KnowledgeBase,
    /// What faults are told by.
    pub rules: &'a Rules,
    /// How often each stage is run.
    pub runs: usize,
    /// How many threads the last stage has.
    pub threads: usize,
}

/// What one stage took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub stage: &'static str,
    /// Nanoseconds a packet, without the stages before it.
    pub ns_per_packet: f64,
    /// Nanoseconds a packet, with them.
    pub total_ns_per_packet: f64,
}

/// How fast a whole run was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Whole {
    pub threads: usize,
    pub seconds: f64,
    pub packets_per_second: f64,
    pub bits_per_second: f64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The capture.
    pub file: String,
    /// Its frames.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Its flows.
    pub flows: u64,
    /// Bytes that flows, and what they told, were held in.
    pub memory_bytes: u64,
    /// The stages, each with all before it, on one thread.
    pub stages: Vec<Stage>,
    /// The whole, on one thread and on several.
    pub runs: Vec<Whole>,
}

type Run = fn(&Task<'_>) -> io::Result<()>;
/// The stages, in their order.
const STAGES: [(&str, Run); 5] =
    [("read", read), ("decode", decode), ("track", track), ("inspect", inspect), ("name and diagnose", tell)];

/// Measures a capture.
///
/// # Errors
/// The capture cannot be read, or has no frame.
pub fn measure(task: &Task<'_>) -> io::Result<Measured> {
    let (analysis, problems) = analyze(task, 1);
    let Some(frames) = Some(analysis.totals.frames).filter(|frames| *frames > 0) else {
        let nothing = || format!("{}: there is no frame in it", task.path.display());
        let error = problems.into_iter().next().map_or_else(nothing, |problem| problem.to_string());
        return Err(io::Error::other(error));
    };
    let stats = analysis.stats();
    drop(analysis);
    let (mut stages, mut before) = (Vec::new(), 0.0f64);
    for (stage, run) in STAGES {
        let total = best(task, run)?.as_nanos() as f64 / frames as f64;
        let total = total.max(before);
        stages.push(Stage { stage, ns_per_packet: total - before, total_ns_per_packet: total });
        before = total;
    }
    let whole = |threads: usize, time: Duration| {
        let seconds = time.as_secs_f64().max(1e-9);
        let bits_per_second = stats.bytes as f64 * 8.0 / seconds;
        Whole { threads, seconds, packets_per_second: frames as f64 / seconds, bits_per_second }
    };
    let mut runs = vec![whole(1, Duration::from_secs_f64(before * frames as f64 / 1e9))];
    if task.threads > 1 {
        runs.push(whole(task.threads, best(task, tell_on_many)?));
    }
    let file = task.path.display().to_string();
    let Stats { bytes, flows, memory_bytes, .. } = stats;
    Ok(Measured { file, frames, bytes, flows, memory_bytes, stages, runs })
}

/// The time of the fastest of the runs.
#[expect(clippy::disallowed_methods, reason = "it is the machine that is measured")]
fn best(task: &Task<'_>, run: Run) -> io::Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..task.runs.max(1) {
        let begun = Instant::now();
        run(task)?;
        best = best.min(begun.elapsed());
    }
    Ok(best)
}

fn open(task: &Task<'_>) -> Source {
    Source::open(&[PathBuf::from(task.path)], CHUNK_BYTES)
}

fn each_chunk(task: &Task<'_>, mut take: impl FnMut(&Chunk)) {
    let (mut source, mut chunk) = (open(task), Chunk::default());
    while source.fill(&mut chunk) == Fill::More {
        take(&chunk);
    }
}

fn read(task: &Task<'_>) -> io::Result<()> {
    each_chunk(task, |chunk| {
        std::hint::black_box(chunk.frames.len());
    });
    Ok(())
}

/// One piece of work at a time, and the shard that it is for.
struct One {
    work: Work,
    shard: Option<usize>,
    datagram: Vec<u8>,
}

impl One {
    fn new() -> One {
        One { work: Work::nothing(), shard: None, datagram: Vec::new() }
    }
}

impl Sink for One {
    #[inline(always)]
    fn slot(&mut self) -> Option<&mut Work> {
        Some(&mut self.work)
    }

    #[inline(always)]
    fn take(&mut self, shard: usize) {
        self.shard = Some(shard);
    }

    fn keep(&mut self, datagram: Vec<u8>) -> Place {
        self.datagram = datagram;
        Place::Datagram(0)
    }
}

/// Decodes all frames, and gives each piece of work, its shard and its bytes.
fn each_work(task: &Task<'_>, mut take: impl FnMut(&Work, usize, &[u8])) {
    let (mut front, mut one) = (Front::new(task.config.secret), One::new());
    each_chunk(task, |chunk| {
        for at in &chunk.frames {
            let Some(frame) = chunk.frame(at) else { continue };
            front.frame(&frame, at.start, &mut one);
            if let Some(shard) = one.shard.take() {
                let datagram = matches!(one.work, Work::Packet(_, _, Place::Datagram(_)));
                take(&one.work, shard, if datagram { &one.datagram } else { frame.bytes });
            }
        }
    });
}

fn decode(task: &Task<'_>) -> io::Result<()> {
    each_work(task, |work, shard, _| {
        std::hint::black_box((work, shard));
    });
    Ok(())
}

fn track(task: &Task<'_>) -> io::Result<()> {
    let mut tables: Vec<Table> = (0..SHARDS).map(|_| Table::new(task.config.flow, task.config.secret)).collect();
    each_work(task, |work, shard, bytes| {
        if let (Work::Packet(packet, keyed, _), Some(table)) = (work, tables.get_mut(shard)) {
            table.advance(packet.ts, &mut |_, _| {});
            std::hint::black_box(table.track(packet, *keyed, bytes).is_some());
        }
    });
    std::hint::black_box(tables);
    Ok(())
}

fn inspect(task: &Task<'_>) -> io::Result<()> {
    let mut engine = Engine::new(task.config);
    each_chunk(task, |chunk| engine.chunk(chunk));
    std::hint::black_box(engine.finish());
    Ok(())
}

fn tell(task: &Task<'_>) -> io::Result<()> {
    summarize(&analyze(task, 1).0, task)
}

fn tell_on_many(task: &Task<'_>) -> io::Result<()> {
    summarize(&analyze(task, task.threads).0, task)
}

fn analyze(task: &Task<'_>, threads: usize) -> (Analysis, Vec<Problem>) {
    let outcome = pipeline::run(open(task), task.config, threads, &AtomicBool::new(false), &mut |_| {});
    (outcome.analysis, outcome.problems)
}

/// Names every flow, judges, and writes a summary to nowhere.
fn summarize(analysis: &Analysis, task: &Task<'_>) -> io::Result<()> {
    let Task { base, rules, .. } = task;
    let quality = analysis.quality(std::iter::empty(), None, None, Vec::new());
    let naming = analysis.name(base);
    let cases = analysis.cases(&naming);
    let diagnosis = diagnose::diagnose(&Scene { cases: &cases, rules, base, quality: &quality });
    let report = Report {
        analysis,
        naming: &naming,
        quality,
        stats: analysis.stats(),
        files: Vec::new(),
        filter: None,
        diagnosis: Some(diagnosis),
        threads: 1,
    };
    report::write(io::sink(), Format::Summary, report, Style::plain()).map(drop)
}

impl Measured {
    /// Writes it as a JSON document.
    ///
    /// # Errors
    /// What writing gives.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self).map_err(io::Error::from)?;
        out.write_all(b"\n")
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { file, frames, bytes, flows, memory_bytes, .. } = self;
        writeln!(f, "{file}: {frames} frames, {} MB on the wire, {flows} flows", bytes / 1_000_000)?;
        writeln!(f, "memory for flows and what they told: {} MB\n", memory_bytes / 1_000_000)?;
        writeln!(f, "{:<20}{:>12}{:>12}", "STAGE", "NS/PACKET", "SO FAR")?;
        for Stage { stage, ns_per_packet, total_ns_per_packet } in &self.stages {
            writeln!(f, "{stage:<20}{ns_per_packet:>12.1}{total_ns_per_packet:>12.1}")?;
        }
        writeln!(f, "\n{:<20}{:>12}{:>12}{:>12}", "WHOLE", "SECONDS", "MPACKET/S", "GBIT/S")?;
        for Whole { threads, seconds, packets_per_second, bits_per_second } in &self.runs {
            let name = if *threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
            let (packets, bits) = (packets_per_second / 1e6, bits_per_second / 1e9);
            writeln!(f, "{name:<20}{seconds:>12.3}{packets:>12.2}{bits:>12.2}")?;
        }
        Ok(())
    }
}
