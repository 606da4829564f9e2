//! From what stands on the command line to one sequence of frames.
//!
//! Files are read in the order of their first frame's time, so that a ring of rotated captures comes out as it went
//! in; those whose times overlap are put together frame by frame ([`super::lane`]). A pipe keeps its place among the
//! inputs, and nothing is put together with it: looking for its first frame would mean to wait for it.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::error::display_name;
use super::lane::{LANES_MAX, Lane, earliest};
use super::raw::{Stop, is_set};
use super::{CaptureReader, Chunk, Facts, Fill, Problem, Progress, Shed, SourceError};
use crate::platform;
use crate::time::Timestamp;

/// Bytes read at a time in search of a file's first frame.
const PEEK_CHUNK: usize = 4 << 10;
/// How many such reads are made before a file counts as one without frames.
const PEEK_READS: usize = 256;

/// One input that can be read.
#[derive(Clone)]
pub(super) struct Input {
    path: PathBuf,
    /// In bytes; None of a pipe.
    size: Option<u64>,
    first: Option<Timestamp>,
}

/// A place between two records, from which reading can go on. Places of later records are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How many inputs were done with.
    input: usize,
    /// In bytes of the input.
    offset: u64,
    /// How often what its records are read by had changed.
    changes: u64,
}

impl Place {
    /// Whether reading may go on here from `before` without a look at what lies between.
    pub const fn follows(&self, before: &Place) -> bool {
        self.input == before.input && self.changes == before.changes && self.offset >= before.offset
    }
}

/// All inputs of a run, as one sequence of frames.
pub struct Source {
    waiting: VecDeque<Input>,
    /// Those that are being read: one, or several whose times overlap, in the order in which they began.
    lanes: Vec<Lane>,
    /// What the analysis that wrote the frames of the last fill passed over.
    shed: Shed,
    chunk_bytes: usize,
    /// When that is set nothing is waited for any more.
    stop: Stop,
    facts: Facts,
    problems: Vec<Problem>,
    bytes_done: u64,
    progress: Progress,
}

impl Source {
    /// The captures at `paths`: files, pipes, `-` for standard input, and directories, of which every capture file
    /// that is not hidden is read (told by its first bytes; subdirectories are not searched). Each fill will read
    /// about `chunk_bytes` ([`super::CHUNK_BYTES`] is a good number). An input that cannot be read becomes a
    /// [`Problem`], and the others are read.
    pub fn open(paths: &[PathBuf], chunk_bytes: usize) -> Source {
        let (mut inputs, mut problems) = (Vec::new(), Vec::new());
        let alone = paths.len() == 1;
        for path in paths {
            if let Err(error) = add(path, alone, &mut inputs, &mut problems) {
                problems.push(Problem::Error(error));
            }
        }
        once(&mut inputs, &mut problems);
        let progress = Progress {
            bytes_read: 0,
            bytes_total: inputs.iter().try_fold(0u64, |sum, input| Some(sum.saturating_add(input.size?))),
            files_done: 0,
            files_total: inputs.len(),
        };
        Source {
            waiting: in_order(inputs),
            lanes: Vec::new(),
            shed: Shed::Nothing,
            chunk_bytes,
            stop: None,
            facts: Facts::default(),
            problems,
            bytes_done: 0,
            progress,
        }
    }

    /// The same; a pipe that nothing comes from is waited for until `stop` is set, and ends then. Meanwhile fills give
    /// no frame ([`Source::waits`]).
    #[must_use]
    pub fn until(self, stop: &Arc<AtomicBool>) -> Source {
        Source { stop: Some(Arc::clone(stop)), ..self }
    }

    /// Reads on into `chunk`, whose frames are replaced. A chunk without frames is not yet the end unless [`Fill::End`]
    /// says so.
    pub fn fill(&mut self, chunk: &mut Chunk) -> Fill {
        chunk.frames.clear();
        loop {
            if self.lanes.is_empty() && !self.next_input() {
                return Fill::End;
            }
            let alone = matches!(&self.lanes[..], [lane] if lane.is_used_up());
            let given = if alone { self.read_alone(chunk) } else { self.put_together(chunk) };
            if given {
                self.progress.bytes_read = self.bytes_done.saturating_add(self.under_way());
                return Fill::More;
            }
        }
    }

    /// Reads on in the only input under way; false where it has ended, or another begins before what was read.
    fn read_alone(&mut self, chunk: &mut Chunk) -> bool {
        let Some(lane) = self.lanes.first_mut() else { return false };
        let result = lane.reader.fill(chunk);
        self.problems.extend(lane.reader.take_warnings().map(Problem::Warning));
        if self.note_end(0, result) {
            return false;
        }
        let next = self.waiting.front().and_then(|input| input.first);
        let last = || chunk.frames.iter().map(|frame| frame.ts).max();
        let Some(lane) = self.lanes.first_mut().filter(|_| next.is_some() && next <= last()) else {
            self.shed = self.lanes.first().map_or(Shed::Nothing, Lane::shed);
            return true;
        };
        lane.take_back(chunk);
        false
    }

    /// Fills a chunk with what comes next of several inputs; false where there was nothing.
    fn put_together(&mut self, chunk: &mut Chunk) -> bool {
        let mut used = 0;
        while used < self.chunk_bytes {
            self.read_ahead();
            let Some((at, ts)) = earliest(&self.lanes) else { break };
            let is_due = |input: &Input| input.first.is_some_and(|first| first <= ts);
            if self.lanes.len() < LANES_MAX && self.waiting.front().is_some_and(is_due) {
                self.next_input();
                continue;
            }
            let alone = self.lanes.len() == 1;
            let Some(lane) = self.lanes.get_mut(at) else { break };
            // a chunk is of one stage
            if !chunk.frames.is_empty() && lane.shed() != self.shed {
                break;
            }
            self.shed = lane.shed();
            used = lane.give(chunk, used);
            if alone && lane.is_used_up() {
                break;
            }
        }
        !chunk.frames.is_empty()
    }

    /// Sees to it that each input under way has a frame at hand; those that have none left are done with.
    fn read_ahead(&mut self) {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            if !lane.is_used_up() {
                at = at.saturating_add(1);
                continue;
            }
            let (reader, chunk) = lane.room();
            let result = reader.fill(chunk);
            self.problems.extend(reader.take_warnings().map(Problem::Warning));
            self.note_end(at, result);
        }
    }

    /// Whether reading has ended the input in that lane, which then is closed.
    fn note_end(&mut self, at: usize, result: Result<Fill, SourceError>) -> bool {
        match result {
            Ok(Fill::More) => return false,
            Ok(Fill::End) => {}
            Err(error) => self.problems.push(Problem::Error(error)),
        }
        let Lane { input, reader, .. } = self.lanes.remove(at);
        self.facts.merge(reader.facts());
        self.count_done(input.size.unwrap_or(0).max(reader.bytes_read()));
        true
    }

    /// Bytes read of the inputs under way.
    fn under_way(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.reader.bytes_read()).fold(0, u64::saturating_add)
    }

    /// What the analysis that wrote the frames of the last fill passed over.
    pub fn shed(&self) -> Shed {
        self.shed
    }

    /// Whether the last fill gave what there was of a pipe, and who writes has paused.
    pub fn waits(&self) -> bool {
        self.lanes.first().is_some_and(|lane| lane.reader.waits())
    }

    /// Another that goes on from here by itself and gives the same; nothing where that cannot be, as of a pipe, and
    /// while there are problems that were not taken.
    pub fn fork(&self) -> Option<Source> {
        if !self.problems.is_empty() {
            return None;
        }
        Some(Source {
            waiting: self.waiting.iter().map(|input| input.size.map(|_| input.clone())).collect::<Option<_>>()?,
            lanes: self.lanes.iter().map(Lane::fork).collect::<Option<_>>()?,
            shed: self.shed,
            chunk_bytes: self.chunk_bytes,
            stop: self.stop.clone(),
            facts: self.facts.clone(),
            problems: Vec::new(),
            bytes_done: self.bytes_done,
            progress: self.progress,
        })
    }

    /// Where reading stands; nothing where it could not go on from, which takes one file that is not packed.
    pub fn place(&self) -> Option<Place> {
        let [lane] = &self.lanes[..] else { return None };
        let (offset, changes) = lane.reader.place().filter(|_| lane.is_used_up())?;
        Some(Place { input: self.progress.files_done, offset, changes })
    }

    /// Leaves out what lies before `place`, which an earlier reading of the same inputs has given; false if reading
    /// cannot go on there.
    pub fn go_on_at(&mut self, place: &Place) -> bool {
        let follows = self.place().is_some_and(|here| place.follows(&here));
        if let Some(lane) = self.lanes.first_mut().filter(|_| follows) {
            lane.reader.go_on_at(place.offset);
            self.progress.bytes_read = self.bytes_done.saturating_add(self.under_way());
        }
        follows
    }

    /// What was wrong with inputs since the last call, in the order in which it was met.
    pub fn take_problems(&mut self) -> std::vec::Drain<'_, Problem> {
        self.problems.drain(..)
    }

    /// How far reading has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What the captures read so far say of themselves.
    pub fn facts(&self) -> Facts {
        let mut facts = self.facts.clone();
        self.lanes.iter().for_each(|lane| facts.merge(lane.reader.facts()));
        facts
    }

    /// Opens the next input that can be opened; false when there is none.
    fn next_input(&mut self) -> bool {
        while let Some(input) = self.waiting.pop_front() {
            match CaptureReader::open_until(&input.path, self.chunk_bytes, &self.stop) {
                Ok(reader) => {
                    self.lanes.push(Lane::new(input, reader));
                    return true;
                }
                // of what did not come because it was waited for no longer there is nothing to say
                Err(_) if is_set(&self.stop) => return false,
                Err(error) => {
                    self.problems.push(Problem::Error(error));
                    self.count_done(input.size.unwrap_or(0));
                }
            }
        }
        false
    }

    fn count_done(&mut self, bytes: u64) {
        self.bytes_done = self.bytes_done.saturating_add(bytes);
        self.progress.bytes_read = self.bytes_done;
        self.progress.files_done = self.progress.files_done.saturating_add(1);
    }
}

/// Adds the input or inputs at `path`; one that is `alone` need not be put in order.
fn add(path: &Path, alone: bool, inputs: &mut Vec<Input>, problems: &mut Vec<Problem>) -> Result<(), SourceError> {
    let path = path.to_path_buf();
    if path.as_os_str() == "-" {
        inputs.push(Input { path, size: None, first: None });
        return Ok(());
    }
    let metadata = fs::metadata(&path).map_err(|error| SourceError::from_io(&display_name(&path), error))?;
    if metadata.is_dir() {
        return add_directory(&path, inputs, problems);
    }
    let size = metadata.is_file().then_some(metadata.len());
    let first = if size.is_some() && !alone { first_time(&path)? } else { None };
    inputs.push(Input { path, size, first });
    Ok(())
}

fn add_directory(path: &Path, inputs: &mut Vec<Input>, problems: &mut Vec<Problem>) -> Result<(), SourceError> {
    let name = display_name(path);
    let fail = |error| SourceError::from_io(&name, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let size = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
        if !hidden && size.is_some() {
            files.push((entry.path(), size));
        }
    }
    files.sort();
    let (inputs_before, problems_before) = (inputs.len(), problems.len());
    for (path, size) in files {
        match first_time(&path) {
            Ok(first) => inputs.push(Input { path, size, first }),
            // Other files lie in such directories too, and a capture just begun has no bytes yet.
            Err(SourceError::NotACapture { .. } | SourceError::Empty { .. }) => {}
            Err(error) => problems.push(Problem::Error(error)),
        }
    }
    if inputs.len() == inputs_before && problems.len() == problems_before {
        return Err(SourceError::NoCaptures { path: Arc::clone(&name) });
    }
    Ok(())
}

/// Leaves of each file that was given twice, by whatever name, the first. Read again it would look as if the mirror
/// had sent everything twice.
fn once(inputs: &mut Vec<Input>, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    let mut piped = false;
    inputs.retain(|input| {
        if input.path.as_os_str() == "-" && std::mem::replace(&mut piped, true) {
            problems.push(Problem::Repeated { path: display_name(&input.path) });
            return false;
        }
        let Some(metadata) = input.size.and_then(|_| fs::metadata(&input.path).ok()) else { return true };
        let fresh = seen.insert(platform::file_id(&input.path, &metadata));
        if !fresh {
            problems.push(Problem::Repeated { path: display_name(&input.path) });
        }
        fresh
    });
}

/// The time of the first frame of the capture file at `path`, if it has one near its begin.
fn first_time(path: &Path) -> Result<Option<Timestamp>, SourceError> {
    let mut reader = CaptureReader::open(path, PEEK_CHUNK)?;
    let mut chunk = Chunk::default();
    for _ in 0..PEEK_READS {
        let fill = reader.fill(&mut chunk);
        if let Some(frame) = chunk.frames.first() {
            return Ok(Some(frame.ts));
        }
        // What is wrong further on is told when it is read.
        if !matches!(fill, Ok(Fill::More)) {
            break;
        }
    }
    Ok(None)
}

/// Sorts the files among `inputs` by their first frame and leaves the pipes in their places.
fn in_order(inputs: Vec<Input>) -> VecDeque<Input> {
    let places: Vec<bool> = inputs.iter().map(|input| input.size.is_some()).collect();
    let (mut files, pipes): (Vec<_>, Vec<_>) = inputs.into_iter().partition(|input| input.size.is_some());
    files.sort_by_key(|input| input.first);
    let (mut files, mut pipes) = (files.into_iter(), pipes.into_iter());
    places.into_iter().filter_map(|is_file| if is_file { files.next() } else { pipes.next() }).collect()
}
