//! What is kept on disk: capture files that are whole whatever happens.
//!
//! A file is called `NAME.part` while it is written, and gets its name when it is done. What was written is whole
//! blocks, so a file that its program did not live to finish reads up to its last write. Where the disk takes no more
//! the file is cut back to its last whole block and finished; capturing goes on, and after a while another is tried.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp as Moment;

use super::ring::{Ring, Span};
use super::{Batch, Counters, Interface};
use crate::pcapng::{self, Section, Statistics, Writer};
use crate::platform;
use crate::source::{Frame, LinkType, Shed};
use crate::time::{SECOND, Timestamp};

const APPLICATION: &str = concat!("relayscope ", env!("CARGO_PKG_VERSION"));
/// The most files of one name and moment.
const MOST_PARTS: u32 = 1_000;
/// The most that waits to be said at a frame.
const MOST_UNSAID: usize = 64;
/// How long a disk that was full is left alone, in packet time.
const RETRY: u64 = 10 * SECOND;

/// What is to be kept, and where.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The file. Where there are several, each has the time of its first frame in its name.
    pub path: PathBuf,
    /// A new file after so many bytes.
    pub every_bytes: Option<u64>,
    /// A new file after so many nanoseconds of packet time.
    pub every_nanos: Option<u64>,
    /// The most files that are kept; the oldest goes.
    pub files: Option<usize>,
    /// Keep only what is around findings: this much of before.
    pub before: Option<Span>,
    /// And so many nanoseconds of after.
    pub after_nanos: u64,
}

/// What is to be said at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The moment: it is said at the first frame from then on.
    pub time: Timestamp,
    /// The text.
    pub text: String,
    /// Whether what is around it is worth keeping.
    pub keep: bool,
}

/// Where a file's bytes go.
pub trait Output: Write + Send {
    /// Takes back all but the first `length` bytes.
    ///
    /// # Errors
    /// As the system has them.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Output for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        io::Seek::seek(self, io::SeekFrom::Start(length)).map(|_| ())
    }
}

/// Opens a file to be written.
pub type Open = Box<dyn FnMut(&Path) -> io::Result<Box<dyn Output>> + Send>;

/// Opens files of the system, which must not be there yet.
pub fn open_files() -> Open {
    Box::new(|path| File::create_new(path).map(|file| Box::new(file) as Box<dyn Output>))
}

/// A file that is being written.
struct Current {
    output: Box<dyn Output>,
    /// Makes blocks; what it has made is written a batch at a time.
    writer: Writer<Vec<u8>>,
    part: PathBuf,
    /// Bytes that the disk has taken.
    length: u64,
    first: Timestamp,
    last: Timestamp,
    /// Frames among what was made and not yet written.
    pending: u64,
    interfaces: Vec<u32>,
    /// What the file says of its last frame: what its analysis passes over.
    shed: Shed,
}

impl Current {
    fn bytes(&mut self) -> u64 {
        self.length.saturating_add(self.writer.output().len() as u64)
    }
}

/// Keeps what is captured, as its plan says.
pub struct Recorder {
    plan: Plan,
    interfaces: Vec<Interface>,
    open: Open,
    current: Option<Current>,
    /// What the devices have counted, and what of it stands in files.
    counters: Vec<Counters>,
    told: Vec<Counters>,
    ring: Option<Ring>,
    /// While there is a ring: the moment around which frames are written.
    around: Option<Timestamp>,
    /// More than one file is to be, or was, written.
    numbered: bool,
    /// A file was finished.
    has_finished: bool,
    /// The files that are done, where only so many are kept.
    finished: VecDeque<PathBuf>,
    /// What was said while no frame came, for the next one.
    unsaid: Vec<String>,
    /// Since when the disk takes nothing.
    full_since: Option<Timestamp>,
    /// It was said that the disk takes nothing, and it has taken nothing since.
    warned: bool,
    unwritten: u64,
    messages: Vec<String>,
}

impl Recorder {
    /// A recorder of frames that come from these devices.
    pub fn new(plan: Plan, interfaces: &[Interface], open: Open) -> Self {
        Recorder {
            numbered: plan.every_bytes.is_some() || plan.every_nanos.is_some() || plan.before.is_some(),
            ring: plan.before.map(Ring::new),
            plan,
            interfaces: interfaces.to_vec(),
            open,
            current: None,
            counters: vec![Counters::default(); interfaces.len()],
            told: vec![Counters::default(); interfaces.len()],
            around: None,
            has_finished: false,
            finished: VecDeque::new(),
            unsaid: Vec::new(),
            full_since: None,
            warned: false,
            unwritten: 0,
            messages: Vec::new(),
        }
    }

    /// What its devices have counted by now.
    pub fn counters(&mut self, counters: &[Counters]) {
        self.counters.clear();
        self.counters.extend_from_slice(counters);
    }

    /// Keeps the frames of a batch, and what is to be said of them.
    pub fn batch(&mut self, batch: &Batch, notes: &[Note]) {
        let mut notes = notes.iter().peekable();
        let last = batch.chunk.frames.len().saturating_sub(1);
        for (n, (frame, from)) in batch.frames().enumerate() {
            let mut said = Vec::new();
            // the last frame takes what no frame is late enough for
            while let Some(note) = notes.next_if(|note| note.time <= frame.ts || n == last) {
                self.meet(note, frame.ts);
                said.push(note.text.as_str());
            }
            self.frame(&frame, from, batch.shed, &said);
        }
        self.settle();
    }

    /// A moment without frames has something to be said of it. That stands in the file at once, for there may be no
    /// frame any more, and at the next frame, where whoever looks through frames sees it.
    pub fn note(&mut self, note: &Note) {
        self.meet(note, note.time);
        if let Some(current) = &mut self.current {
            let (number, text) = (current.interfaces.first().copied().unwrap_or(0), [note.text.as_str()]);
            let said = Statistics { time: note.time, comments: &text, ..Statistics::default() };
            // a block goes to memory, which does not fail
            let _ = current.writer.statistics(number, &said);
            if self.unsaid.len() < MOST_UNSAID {
                self.unsaid.push(note.text.clone());
            }
        }
        self.settle();
    }

    /// Ends the file at hand; the next frame begins another. With a ring: what is in it is kept.
    pub fn rotate(&mut self, now: Timestamp) {
        if self.ring.is_some() && self.current.is_none() {
            self.keep_around(now);
        }
        self.numbered = true;
        self.settle();
        self.finish_file(None);
    }

    /// The capture has ended.
    pub fn finish(&mut self, end: Timestamp) {
        if self.current.is_none() && self.ring.is_none() && !self.has_finished && self.full_since.is_none() {
            // a capture in which nothing came is one all the same
            self.begin_file(end);
        }
        self.settle();
        self.finish_file(Some(end));
    }

    /// What there is to tell since the last call.
    pub fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }

    /// Frames that the disk had no room for.
    pub const fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// With a ring: a note that is worth it has what is around it kept.
    fn meet(&mut self, note: &Note, now: Timestamp) {
        if note.keep && self.ring.is_some() {
            self.keep_around(now);
        }
    }

    /// Writes what the ring remembers, and all that comes for a while. Piece by piece: the ring is not to be in memory
    /// twice.
    fn keep_around(&mut self, now: Timestamp) {
        self.around = Some(now);
        for piece in self.ring.as_mut().map(Ring::take).into_iter().flatten() {
            for (frame, from) in piece.frames() {
                self.write(&frame, from, piece.shed, &[]);
            }
            self.settle();
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, from: u16, shed: Shed, said: &[&str]) {
        let kept = self.around.is_some_and(|around| apart(frame.ts, around) <= self.plan.after_nanos);
        if let Some(ring) = self.ring.as_mut().filter(|_| !kept) {
            ring.push(frame, from, shed);
            self.unsaid.clear();
            if self.current.is_some() {
                self.settle();
                self.finish_file(None);
            }
            return;
        }
        self.write(frame, from, shed, said);
    }

    fn write(&mut self, frame: &Frame<'_>, from: u16, shed: Shed, said: &[&str]) {
        if let Some(current) = &mut self.current {
            let bytes = current.bytes();
            let is_long = self.plan.every_bytes.is_some_and(|most| bytes >= most);
            if is_long || self.plan.every_nanos.is_some_and(|most| apart(frame.ts, current.first) >= most) {
                self.settle();
                self.finish_file(None);
            }
        }
        if self.full_since.is_some_and(|since| apart(frame.ts, since) < RETRY) {
            self.unwritten = self.unwritten.saturating_add(1);
            return;
        }
        if self.current.is_none() {
            self.begin_file(frame.ts);
        }
        let Some(current) = &mut self.current else {
            self.unwritten = self.unwritten.saturating_add(1);
            return;
        };
        let number = current.interfaces.get(usize::from(from)).copied().unwrap_or(0);
        // who replays the file is to see what was seen
        let other = shed != std::mem::replace(&mut current.shed, shed);
        if other || !self.unsaid.is_empty() {
            let remark = other.then(|| shed.remark());
            let before = self.unsaid.iter().map(String::as_str);
            let all: Vec<_> = remark.into_iter().chain(before).chain(said.iter().copied()).collect();
            let _ = current.writer.frame(number, frame, &all);
            self.unsaid.clear();
        } else {
            let _ = current.writer.frame(number, frame, said);
        }
        current.pending = current.pending.saturating_add(1);
        current.last = current.last.max(frame.ts);
    }

    /// Hands what was made to the disk.
    fn settle(&mut self) {
        let Some(current) = &mut self.current else { return };
        match current.output.write_all(current.writer.output()) {
            Ok(()) => {
                current.length = current.bytes();
                current.pending = 0;
                current.writer.output().clear();
                self.warned = false;
            }
            Err(error) => self.give_up(&error),
        }
    }

    /// The disk takes no more: what it has is made whole, and one line says so.
    fn give_up(&mut self, error: &io::Error) {
        let Some(mut current) = self.current.take() else { return };
        self.unwritten = self.unwritten.saturating_add(current.pending);
        self.leave_alone(current.last, error);
        let cut = current.output.cut(current.length);
        if cut.is_ok() && current.length > 0 {
            self.name(&current);
        } else {
            // a file without a frame says nothing
            let _ = fs::remove_file(&current.part);
        }
    }

    fn leave_alone(&mut self, now: Timestamp, error: &io::Error) {
        self.full_since = Some(now);
        if !std::mem::replace(&mut self.warned, true) {
            let path = self.plan.path.display();
            let line =
                format!("{path}: {error}; capturing goes on, and frames are kept again as soon as there is room");
            self.messages.push(line);
        }
    }

    fn begin_file(&mut self, now: Timestamp) {
        let opened = (1..=MOST_PARTS).find_map(|n| {
            let part = part_of(&self.plan.path, n);
            match (self.open)(&part) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                other => Some((other, part)),
            }
        });
        let (output, part) = match opened {
            Some((Ok(output), part)) => (output, part),
            Some((Err(error), _)) => return self.leave_alone(now, &error),
            None => return self.leave_alone(now, &io::ErrorKind::AlreadyExists.into()),
        };
        let lost = format!("{} frames before this file were not kept: the disk was full", self.unwritten);
        let comments: &[&str] = if self.full_since.take().is_some() { &[&lost] } else { &[] };
        let os = platform::system();
        let section = Section { os: Some(&os), application: Some(APPLICATION), comments };
        let Ok(mut writer) = Writer::new(Vec::new(), &section) else { return };
        let describe = |interface: &Interface| {
            let described = pcapng::Interface {
                link: LinkType(interface.link),
                snaplen: interface.snaplen,
                name: Some(&interface.name),
                filter: interface.filter.as_deref(),
            };
            writer.interface(&described).unwrap_or(0)
        };
        let interfaces = self.interfaces.iter().map(describe).collect();
        self.current = Some(Current {
            output,
            writer,
            part,
            length: 0,
            first: now,
            last: now,
            pending: 0,
            interfaces,
            shed: Shed::Nothing,
        });
    }

    /// Ends the file at hand with what its devices have counted; `end`: the capture has ended then.
    fn finish_file(&mut self, end: Option<Timestamp>) {
        let Some(current) = &mut self.current else { return };
        let end = end.unwrap_or(current.last).max(current.last);
        for (number, (now, told)) in current.interfaces.iter().zip(self.counters.iter().zip(&self.told)) {
            // whoever reads several files adds up what stands in each
            let counted = now.since(*told);
            let statistics = Statistics {
                time: end,
                start: Some(current.first),
                end: Some(end),
                received: Some(counted.received),
                interface_drops: Some(counted.interface_drops),
                kernel_drops: Some(counted.kernel_drops),
                comments: &[],
            };
            let _ = current.writer.statistics(*number, &statistics);
        }
        self.settle();
        if let Some(current) = self.current.take() {
            self.told.clone_from(&self.counters);
            self.name(&current);
        }
    }

    /// Gives a file that is done its name.
    fn name(&mut self, current: &Current) {
        let named = if self.numbered || self.has_finished {
            free_name(&self.plan.path, current.first)
        } else {
            self.plan.path.clone()
        };
        if let Err(error) = fs::rename(&current.part, &named) {
            let (part, named) = (current.part.display(), named.display());
            self.messages.push(format!("{part}: cannot be called {named}: {error}"));
            return;
        }
        self.has_finished = true;
        // in weeks there are many, and only who removes them has to know them
        let Some(most) = self.plan.files else { return };
        self.finished.push_back(named);
        while self.finished.len() > most {
            if let Some(oldest) = self.finished.pop_front() {
                let _ = fs::remove_file(oldest);
            }
        }
    }
}

/// How far two moments are apart, in nanoseconds: a clock that was set back has come as far as one that was set on.
const fn apart(a: Timestamp, b: Timestamp) -> u64 {
    a.0.abs_diff(b.0)
}

/// What a file is called while it is written; those of runs that were killed are left as they are.
fn part_of(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(if n == 1 { ".part".to_owned() } else { format!(".{n}.part") });
    name.into()
}

/// `site-20261129T043000Z.pcapng` for `site.pcapng`, or the next such name that is free.
fn free_name(path: &Path, first: Timestamp) -> PathBuf {
    let moment = i64::try_from(first.0 / SECOND).ok().and_then(|seconds| Moment::from_second(seconds).ok());
    let stamp = moment.unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let name = |n: u32| match n {
        1 => path.with_file_name(format!("{stem}-{stamp}{ending}")),
        _ => path.with_file_name(format!("{stem}-{stamp}-{n}{ending}")),
    };
    (1..MOST_PARTS).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(MOST_PARTS))
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
