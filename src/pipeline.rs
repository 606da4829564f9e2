//! From a source to an analysis, on one thread or many.
//!
//! With one thread the engine takes chunk after chunk. With more, whoever is free takes the most useful piece of
//! work: to read and decode the next chunk, which one thread does at a time and in order, or to work off what
//! waits for one shard, which one thread does at a time and in order too. So each shard sees the same packets in
//! the same order whatever the number of threads, and the outcome is the same. No lock is taken per packet: threads
//! meet once per chunk and shard.

mod index;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::crew::{self, lock};
use crate::engine::analysis::{Analysis, FlowView};
use crate::engine::ceiling::Ceiling;
use crate::engine::front::{Front, Place, Sink, Totals, Work};
use crate::engine::hands::Hands;
use crate::engine::naming::{KnowledgeBase, Naming};
use crate::engine::shard::Shard;
use crate::engine::{Config, Engine, run_work, shards};
use crate::flow::key::SHARDS;
use crate::source::{Chunk, Facts, Fill, Frame, Problem, Progress, Source};

pub use index::{Index, each_frame_near};

/// How many chunks may be under way for each thread. They are read as early as may be: whoever takes a shard then finds
/// work of several chunks for it, and none is without work while another reads, or while one shard has most of it.
const CHUNKS_PER_THREAD: usize = 4;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What the capture has told.
    pub analysis: Analysis,
    /// What the files say of themselves.
    pub facts: Facts,
    /// What was wrong with them.
    pub problems: Vec<Problem>,
    /// It was stopped before its end.
    pub interrupted: bool,
    /// Where in the files which flows are.
    pub index: Index,
    /// How many threads worked on it, and may work on what is made of it.
    pub threads: usize,
}

/// So many threads.
struct Crew(usize);

impl Hands for Crew {
    fn count(&self) -> usize {
        self.0.max(1)
    }

    fn each<R: Send>(&self, parts: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        crew::map(self.0, (0..parts).collect(), work)
    }
}

impl Outcome {
    /// Names all flows, as [`Analysis::name`] does, with as many threads as read them.
    pub fn name<'a>(&self, base: &'a KnowledgeBase) -> Naming<'a> {
        self.analysis.name_by(base, &Crew(self.threads))
    }

    /// Of frames that came from no file.
    pub fn of(analysis: Analysis) -> Outcome {
        let (facts, problems) = (Facts::default(), Vec::new());
        Outcome { analysis, facts, problems, interrupted: false, index: Index::default(), threads: 1 }
    }
}

/// Reads `source` to its end, or until `stop` is set, with `threads` threads. `progress` is told after each chunk.
pub fn run(
    source: Source,
    config: &Config,
    threads: usize,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Outcome {
    // more threads than shards would have nothing to do
    let threads = threads.min(SHARDS);
    if threads <= 1 {
        run_alone(source, config, stop, progress)
    } else {
        run_many(source, config, threads, stop, progress)
    }
}

/// Gives every frame of `source` to `take`, in order and on this thread, until it wants no more (false) or `stop` is
/// set. `progress` is told after each chunk. Gives what was wrong with the files.
pub fn each_frame(
    mut source: Source,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&Progress),
    take: &mut dyn FnMut(&Frame<'_>) -> bool,
) -> Vec<Problem> {
    let mut chunk = Chunk::default();
    'all: while !stop.load(Ordering::Relaxed) && source.fill(&mut chunk) == Fill::More {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            if !take(&frame) {
                break 'all;
            }
        }
        progress(&source.progress());
    }
    source.take_problems().collect()
}

fn run_alone(
    mut source: Source,
    config: &Config,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Outcome {
    let mut engine = Engine::new(config);
    let mut index = Index::new(config.secret);
    let mut chunk = Chunk::default();
    let mut from = source.place();
    while !stop.load(Ordering::Relaxed) && source.fill(&mut chunk) == Fill::More {
        engine.chunk(&chunk);
        let (frames, flows) = engine.since();
        let to = source.place();
        index.note(from, to, frames, flows);
        from = to;
        progress(&source.progress());
    }
    outcome(engine.finish(), source, stop, index)
}

/// Like [`run`] on one thread, with what is held kept below a ceiling: each flow that goes before its end is given to
/// `tell`, as it is known then.
///
/// # Errors
/// What `tell` gives.
pub fn run_below<E>(
    mut ceiling: Ceiling,
    mut source: Source,
    config: &Config,
    base: &KnowledgeBase,
    stop: &AtomicBool,
    mut tell: impl FnMut(&FlowView<'_>) -> Result<(), E>,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Outcome, E> {
    let mut engine = Engine::new(config);
    let mut chunk = Chunk::default();
    while !stop.load(Ordering::Relaxed) && source.fill(&mut chunk) == Fill::More {
        let mut from = 0;
        for (at, frame) in chunk.frames.iter().enumerate() {
            if !ceiling.takes(frame.caplen as usize) {
                engine.part(&chunk, from..at);
                from = at;
                engine.make_room(&mut ceiling, &mut Naming::of_nothing(base), &mut tell)?;
                ceiling.takes(frame.caplen as usize);
            }
        }
        engine.part(&chunk, from..chunk.frames.len());
        progress(&source.progress());
    }
    Ok(outcome(engine.finish(), source, stop, Index::default()))
}

fn outcome(analysis: Analysis, mut source: Source, stop: &AtomicBool, index: Index) -> Outcome {
    let problems = source.take_problems().collect();
    let interrupted = stop.load(Ordering::Relaxed);
    Outcome { analysis, facts: source.facts(), problems, interrupted, index, threads: 1 }
}

/// A chunk, decoded: the work of each shard.
#[derive(Debug)]
struct Batch {
    chunk: Chunk,
    work: Vec<Vec<Work>>,
    datagrams: Vec<Vec<u8>>,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { chunk: Chunk::default(), work: (0..SHARDS).map(|_| Vec::new()).collect(), datagrams: Vec::new() }
    }
}

/// A batch's work and datagrams, as the front fills them.
struct Filling<'a> {
    work: &'a mut [Vec<Work>],
    datagrams: &'a mut Vec<Vec<u8>>,
    /// Where a piece of work is made: whose it is shows when it is.
    made: Work,
}

impl Sink for Filling<'_> {
    #[inline(always)]
    fn slot(&mut self) -> Option<&mut Work> {
        Some(&mut self.made)
    }

    #[inline(always)]
    fn take(&mut self, shard: usize) {
        if let Some(list) = self.work.get_mut(shard) {
            list.push(self.made);
        }
    }

    fn keep(&mut self, datagram: Vec<u8>) -> Place {
        self.datagrams.push(datagram);
        Place::Datagram(u32::try_from(self.datagrams.len() - 1).unwrap_or(u32::MAX))
    }
}

/// What one thread at a time reads and decodes with.
struct Reader<'a> {
    source: Source,
    front: Front,
    index: Index,
    progress: &'a mut (dyn FnMut(&Progress) + Send),
    ended: bool,
}

impl Reader<'_> {
    /// Reads and decodes the next chunk. False: there was none, and the front has given up what it held.
    fn next(&mut self, batch: &mut Batch, stop: &AtomicBool) -> bool {
        let Batch { chunk, work, datagrams } = batch;
        work.iter_mut().for_each(Vec::clear);
        datagrams.clear();
        let mut filling = Filling { work, datagrams, made: Work::nothing() };
        let from = self.source.place();
        if stop.load(Ordering::Relaxed) || self.source.fill(chunk) == Fill::End {
            chunk.frames.clear();
            self.front.finish(&mut filling);
            self.ended = true;
            return false;
        }
        for at in &chunk.frames {
            if let Some(frame) = chunk.frame(at) {
                self.front.frame(&frame, at.start, &mut filling);
            }
        }
        let flows = std::mem::take(&mut self.front.flows);
        self.index.note(from, self.source.place(), self.front.totals.frames, flows);
        (self.progress)(&self.source.progress());
        true
    }
}

/// What all threads share.
struct Shared<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
    shards: Vec<Mutex<Shard>>,
    stop: &'a AtomicBool,
    threads: usize,
}

struct State<'a> {
    /// `None` while a thread reads.
    reader: Option<Reader<'a>>,
    /// Per shard: the batches that wait for it.
    queues: Vec<VecDeque<Arc<Batch>>>,
    /// Shards that have work and that nobody works on.
    ready: VecDeque<usize>,
    /// Shards that wait in `ready` or are being worked on.
    taken: Vec<bool>,
    under_way: usize,
    spare: Vec<Batch>,
    ended: bool,
    /// How many threads wait for a change.
    waiting: usize,
}

fn run_many(
    source: Source,
    config: &Config,
    threads: usize,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Outcome {
    let reader =
        Reader { source, front: Front::new(config.secret), index: Index::new(config.secret), progress, ended: false };
    let state = State {
        reader: Some(reader),
        queues: (0..SHARDS).map(|_| VecDeque::new()).collect(),
        ready: VecDeque::new(),
        taken: vec![false; SHARDS],
        under_way: 0,
        spare: Vec::new(),
        ended: false,
        waiting: 0,
    };
    let shards = shards(config).into_iter().map(Mutex::new).collect();
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), shards, stop, threads };
    std::thread::scope(|scope| {
        // a thread that the system does not give is one that others do the work of
        for _ in 1..threads {
            if std::thread::Builder::new().spawn_scoped(scope, || shared.work()).is_err() {
                break;
            }
        }
        shared.work();
    });
    let Shared { state, shards, .. } = shared;
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (source, totals, index) = match state.reader {
        Some(Reader { source, front, index, .. }) => (source, front.totals, index),
        None => (Source::open(&[], 0), Totals::default(), Index::default()),
    };
    let ended = crew::map(threads, shards, |shard: Mutex<Shard>| {
        let mut shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sums = shard.end(totals.last);
        (shard, sums)
    });
    Outcome { threads, ..outcome(Analysis::new(totals, ended), source, stop, index) }
}

impl<'a> Shared<'a> {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            let may_read = state.reader.is_some() && !state.ended;
            if may_read && state.under_way < self.threads * CHUNKS_PER_THREAD {
                state = self.read(state);
            } else if let Some(shard) = state.ready.pop_front() {
                state = self.work_on(shard, state);
            } else if state.ended && state.under_way == 0 {
                return;
            } else {
                state.waiting += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            }
        }
    }

    /// Reads and decodes one chunk, and hands it out.
    fn read<'s>(&'s self, mut state: MutexGuard<'s, State<'a>>) -> MutexGuard<'s, State<'a>> {
        let Some(mut reader) = state.reader.take() else { return state };
        let mut batch = state.spare.pop().unwrap_or_default();
        state.under_way += 1;
        drop(state);
        let more = reader.next(&mut batch, self.stop);
        let mut state = lock(&self.state);
        state.reader = Some(reader);
        state.ended |= !more;
        let batch = Arc::new(batch);
        for (shard, work) in batch.work.iter().enumerate() {
            if work.is_empty() {
                continue;
            }
            state.queues[shard].push_back(Arc::clone(&batch));
            if !state.taken[shard] {
                state.taken[shard] = true;
                state.ready.push_back(shard);
            }
        }
        self.done(&mut state, batch);
        self.tell(&state);
        state
    }

    /// Works off all that waits for one shard.
    fn work_on<'s>(&'s self, at: usize, mut state: MutexGuard<'s, State<'a>>) -> MutexGuard<'s, State<'a>> {
        let mut waiting = std::mem::take(&mut state.queues[at]);
        drop(state);
        {
            let mut shard = lock(&self.shards[at]);
            for batch in &waiting {
                run_work(&mut shard, &batch.work[at], &batch.chunk.buf, &batch.datagrams);
            }
        }
        let mut state = lock(&self.state);
        for batch in waiting.drain(..) {
            self.done(&mut state, batch);
        }
        if state.queues[at].is_empty() {
            state.taken[at] = false;
        } else {
            state.ready.push_back(at);
        }
        self.tell(&state);
        state
    }

    /// Wakes who waits for a change. To wake nobody takes a call of the system as well, and there is a change for each
    /// shard of each chunk.
    fn tell(&self, state: &State<'_>) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// One holder of a batch is done with it; the last one gives it back.
    fn done(&self, state: &mut State<'_>, batch: Arc<Batch>) {
        if let Ok(batch) = Arc::try_unwrap(batch) {
            state.under_way -= 1;
            state.spare.push(batch);
        }
    }
}
