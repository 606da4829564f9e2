//! One capture: its bytes into chunks, its records into frames.

use std::path::Path;
use std::sync::Arc;

use super::error::display_name;
use super::pcap::{FILE_HEADER, Header, HeaderError, Stop, Walked};
use super::pcapng::{self, Sections};
use super::raw::{self, Got, Raw, RawEnd};
use super::{Chunk, Damage, Facts, Fill, FrameRef, SourceError, Warning};

/// The smallest chunk that can be asked for, in bytes.
const MIN_CHUNK: usize = 64;

/// Bytes of a line of memory: what is copied from one place to another that lies alike in its lines is copied faster.
const LINE: usize = 64;

#[derive(Clone)]
enum Format {
    Pcap(Header),
    Pcapng(Sections),
}

/// Reads one capture file or pipe.
pub struct CaptureReader {
    path: Arc<str>,
    raw: Raw,
    format: Format,
    chunk_bytes: usize,
    /// Bytes read that belong to a record not yet whole.
    tail: Vec<u8>,
    /// How long that record is; 0 where its header is not whole either.
    need: u64,
    /// Bytes still to pass over of a record of `need` bytes.
    skip: u64,
    /// Where that record begins in the uncompressed file.
    offset: u64,
    end: Option<RawEnd>,
    ended: bool,
    /// The last fill has found that who writes has paused.
    lull: bool,
    facts: Facts,
    warnings: Vec<Warning>,
}

impl CaptureReader {
    /// Opens the capture at `path` (`-`: standard input) to be read about `chunk_bytes` at a time, and reads enough
    /// of it to know its format.
    ///
    /// # Errors
    /// It cannot be opened, is no capture, is empty, or ends within its first header.
    pub fn open(path: &Path, chunk_bytes: usize) -> Result<Self, SourceError> {
        Self::open_until(path, chunk_bytes, &None)
    }

    /// The same; a pipe ends with `stop`, should nothing come.
    pub(super) fn open_until(path: &Path, chunk_bytes: usize, stop: &raw::Stop) -> Result<Self, SourceError> {
        let name = display_name(path);
        let raw = Raw::open(path, &name, stop)?;
        Self::start(raw, name, chunk_bytes)
    }

    /// Reads a capture from `pipe`, which messages call `name`.
    ///
    /// # Errors
    /// As [`CaptureReader::open`].
    pub fn from_reader(
        pipe: Box<dyn std::io::Read + Send>,
        name: &str,
        chunk_bytes: usize,
    ) -> Result<Self, SourceError> {
        let name = Arc::from(name);
        let raw = Raw::from_pipe(pipe, &name).map_err(|error| SourceError::from_io(&name, error))?;
        Self::start(raw, name, chunk_bytes)
    }

    fn start(mut raw: Raw, path: Arc<str>, chunk_bytes: usize) -> Result<Self, SourceError> {
        let mut head = [0; FILE_HEADER];
        let (n, end) = read_head(&mut raw, &mut head);
        let seen = head.get(..n).unwrap_or_default();
        let mut reader = CaptureReader {
            path,
            raw,
            format: Format::Pcapng(Sections::new()),
            chunk_bytes: chunk_bytes.max(MIN_CHUNK),
            tail: Vec::new(),
            need: 0,
            skip: 0,
            offset: 0,
            end,
            ended: false,
            lull: false,
            facts: Facts::default(),
            warnings: Vec::new(),
        };
        if seen.starts_with(&pcapng::MAGIC) {
            reader.tail.extend_from_slice(seen);
            return Ok(reader);
        }
        let header = Header::parse(&head);
        match header {
            Ok(header) if n == FILE_HEADER => {
                reader.facts.add_snaplen(header.snaplen);
                reader.format = Format::Pcap(header);
                reader.offset = FILE_HEADER as u64;
                Ok(reader)
            }
            _ => Err(reader.not_a_capture(seen, header.err())),
        }
    }

    fn not_a_capture(&mut self, seen: &[u8], why: Option<HeaderError>) -> SourceError {
        let path = Arc::clone(&self.path);
        match (self.end.take(), why) {
            (Some(RawEnd::Error(error)), _) => error,
            (Some(RawEnd::Damage(damage)), _) => SourceError::Damaged { path, damage },
            (_, Some(HeaderError::Version(major, minor))) if seen.len() == FILE_HEADER => {
                SourceError::Version { path, major, minor }
            }
            (Some(RawEnd::Clean), _) if seen.is_empty() => SourceError::Empty { path },
            (Some(_), None | Some(HeaderError::Version(..))) => SourceError::CutHeader { path },
            _ => SourceError::NotACapture { path, hint: hint(seen) },
        }
    }

    /// Reads on into `chunk`, whose frames are replaced. A damaged or cut record ends the capture and leaves a
    /// warning ([`CaptureReader::take_warnings`]).
    ///
    /// # Errors
    /// The system fails to read, or a compressed file swells beyond reason. The capture has ended then.
    pub fn fill(&mut self, chunk: &mut Chunk) -> Result<Fill, SourceError> {
        chunk.frames.clear();
        if self.ended {
            return match self.end.take() {
                Some(RawEnd::Error(error)) => Err(error),
                _ => Ok(Fill::End),
            };
        }
        self.lull = false;
        let begin = self.begin_alike(chunk);
        let mut have = self.restore_tail(chunk, begin);
        if self.skip > 0 {
            return Ok(self.pass_over(chunk));
        }
        loop {
            let room = self.room(have);
            if chunk.buf.len() < begin.saturating_add(room) {
                chunk.buf.resize(begin.saturating_add(room), 0);
            }
            have = self.read_into(chunk.buf.get_mut(begin..).unwrap_or_default(), have, room);
            let filled = chunk.buf.get(..begin.saturating_add(have)).unwrap_or_default();
            let walked = self.walk(filled, begin, &mut chunk.frames);
            let rest = filled.get(begin.saturating_add(walked.used)..).unwrap_or_default();
            self.offset = self.offset.saturating_add(walked.used as u64);
            if self.finish(&walked.stop, rest.len() as u64) {
                break;
            }
            match walked.stop {
                Stop::Need(length) => self.need = length,
                Stop::Skip(length) => (self.need, self.skip) = (length, length.saturating_sub(rest.len() as u64)),
                Stop::NeedHeader | Stop::Turn | Stop::Bad(_) => self.need = 0,
            }
            if self.skip > 0 {
                break;
            }
            if !chunk.frames.is_empty() || walked.used > 0 || self.lull {
                self.tail.extend_from_slice(rest);
                break;
            }
        }
        Ok(if self.ended && chunk.frames.is_empty() && self.end.is_none() { Fill::End } else { Fill::More })
    }

    /// What is read of the input so far, in its own (compressed, where it is) bytes.
    pub fn bytes_read(&self) -> u64 {
        self.raw.taken()
    }

    /// Whether the last fill gave what there was of a pipe, and who writes has paused.
    pub(super) const fn waits(&self) -> bool {
        self.lull
    }

    /// What the capture says of itself, as far as it is read.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the analysis that wrote the frames of the last fill passed over: a capture by itself says so where that
    /// changes ([`super::Shed::remark`]), and a fill ends there.
    pub fn shed(&self) -> super::Shed {
        match &self.format {
            Format::Pcapng(sections) => sections.shed(),
            _ => super::Shed::Nothing,
        }
    }

    /// Another that goes on from here by itself; nothing of a pipe, and of what has ended.
    pub(super) fn fork(&self) -> Option<CaptureReader> {
        if self.ended || self.end.is_some() {
            return None;
        }
        Some(CaptureReader {
            path: Arc::clone(&self.path),
            raw: self.raw.fork()?,
            format: self.format.clone(),
            chunk_bytes: self.chunk_bytes,
            tail: self.tail.clone(),
            need: self.need,
            skip: self.skip,
            offset: self.offset,
            end: None,
            ended: false,
            lull: false,
            facts: self.facts.clone(),
            warnings: self.warnings.clone(),
        })
    }

    /// Where the next record begins, in bytes, and how often what records are read by has changed so far; nothing where
    /// reading cannot begin there, which takes a file that is not packed.
    pub(super) fn place(&self) -> Option<(u64, u64)> {
        let changes = match &self.format {
            Format::Pcap(_) => 0,
            Format::Pcapng(sections) => sections.changes(),
        };
        let whole = self.raw.is_seekable() && !self.ended && self.end.is_none() && self.skip == 0;
        whole.then_some((self.offset, changes))
    }

    /// Goes on with the record that begins at `offset`.
    pub(super) fn go_on_at(&mut self, offset: u64) {
        self.tail.clear();
        self.need = 0;
        self.offset = offset;
        self.raw.go_on_at(offset);
    }

    /// The warnings since the last call.
    pub fn take_warnings(&mut self) -> std::vec::Drain<'_, Warning> {
        self.warnings.drain(..)
    }

    /// Where in the buffer of `chunk` the next record is to begin, so that what is read of a file lies in its lines of
    /// memory as the kernel, which keeps files by pages, has it in its own: reading takes 3 to 8 % less.
    fn begin_alike(&self, chunk: &mut Chunk) -> usize {
        if !self.raw.is_seekable() || !matches!(self.format, Format::Pcap(_)) {
            return 0;
        }
        if chunk.buf.len() < LINE.saturating_add(self.chunk_bytes) {
            chunk.buf.resize(LINE.saturating_add(self.chunk_bytes), 0);
        }
        (self.offset as usize).wrapping_sub(chunk.buf.as_ptr().addr()) % LINE
    }

    /// Puts the begin of the next record into `chunk`, from `begin` on, and gives how many bytes that is.
    fn restore_tail(&mut self, chunk: &mut Chunk, begin: usize) -> usize {
        let tail = self.tail.len();
        let end = begin.saturating_add(tail);
        if chunk.buf.len() < end {
            chunk.buf.resize(end, 0);
        }
        if let Some(place) = chunk.buf.get_mut(begin..end) {
            place.copy_from_slice(&self.tail);
        }
        self.tail.clear();
        tail
    }

    /// How many bytes of buffer to use. One that a record claims to need is grown by what is really there, so that
    /// a lie costs nothing.
    fn room(&self, have: usize) -> usize {
        let need = usize::try_from(self.need).unwrap_or(usize::MAX);
        let twice = have.saturating_mul(2);
        self.chunk_bytes.max(need.min(twice)).max(have.saturating_add(1))
    }

    /// Reads on over a record of no interest that is longer than a chunk.
    fn pass_over(&mut self, chunk: &mut Chunk) -> Fill {
        let room = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.chunk_bytes);
        if chunk.buf.len() < room {
            chunk.buf.resize(room, 0);
        }
        let read = self.read_into(&mut chunk.buf, 0, room) as u64;
        let left = self.skip.saturating_sub(read);
        let have = self.need.saturating_sub(left);
        if left > 0 && self.finish(&Stop::Need(self.need), have) {
            return if self.end.is_none() { Fill::End } else { Fill::More };
        }
        self.skip = left;
        if left == 0 {
            self.offset = self.offset.saturating_add(self.need);
            self.need = 0;
        }
        Fill::More
    }

    /// Reads behind the first `have` bytes of `buf`, up to `room`.
    fn read_into(&mut self, buf: &mut [u8], mut have: usize, room: usize) -> usize {
        while self.end.is_none() {
            let Some(free) = buf.get_mut(have..room).filter(|free| !free.is_empty()) else { break };
            match self.raw.read(free) {
                Got::End(end) => self.end = Some(end),
                Got::Lull => {
                    self.lull = true;
                    break;
                }
                Got::Bytes(n) => {
                    have = have.saturating_add(n);
                    if !self.raw.is_unpacked() {
                        break;
                    }
                }
            }
        }
        have
    }

    fn walk(&mut self, filled: &[u8], begin: usize, frames: &mut Vec<FrameRef>) -> Walked {
        match &mut self.format {
            Format::Pcap(header) => {
                let walked = header.walk(filled, begin, frames);
                self.facts.add_frames(header.link, frames.len() as u64);
                walked
            }
            Format::Pcapng(sections) => {
                let walked = sections.walk(filled, frames, &mut self.facts);
                sections.settle(&mut self.facts, false);
                for (at, what) in sections.take_notes() {
                    let offset = self.offset.saturating_add(at);
                    self.warnings.push(Warning { path: Arc::clone(&self.path), offset, what });
                }
                walked
            }
        }
    }

    /// Ends the capture if it is at its end: with `left` bytes of a record that stopped the walk as `stop` says.
    fn finish(&mut self, stop: &Stop, left: u64) -> bool {
        let bare = matches!(&self.format, Format::Pcapng(sections) if sections.is_bare());
        let damage = match (stop, &self.end) {
            (Stop::Bad(damage), _) => {
                // Nothing behind is looked at, so nothing more can be wrong with it.
                self.end = None;
                Some(damage.clone())
            }
            (_, None) | (Stop::Turn, _) => return false,
            (_, Some(RawEnd::Damage(damage))) => Some(damage.clone()),
            (_, Some(RawEnd::Error(_))) => None,
            (_, Some(RawEnd::Clean)) if left == 0 => bare.then_some(Damage::NoInterfaces),
            (Stop::Need(want) | Stop::Skip(want), _) => Some(Damage::CutRecord { want: *want, have: left }),
            (Stop::NeedHeader, _) => Some(Damage::CutRecordHeader),
        };
        if !matches!(self.end, Some(RawEnd::Error(_))) {
            self.end = None;
        }
        self.ended = true;
        if let Format::Pcapng(sections) = &mut self.format {
            sections.settle(&mut self.facts, true);
            let count = sections.notes_left_out();
            if count > 0 {
                self.warn(Damage::MoreOddities { count });
            }
        }
        if let Some(damage) = damage {
            self.warn(damage);
        }
        true
    }

    fn warn(&mut self, what: Damage) {
        self.warnings.push(Warning { path: Arc::clone(&self.path), offset: self.offset, what });
    }
}

/// Reads until `head` is full or there is no more.
fn read_head(raw: &mut Raw, head: &mut [u8]) -> (usize, Option<RawEnd>) {
    let mut have = 0usize;
    while let Some(free) = head.get_mut(have..).filter(|free| !free.is_empty()) {
        match raw.read(free) {
            Got::Bytes(n) => have = have.saturating_add(n),
            Got::Lull => {}
            Got::End(end) => return (have, Some(end)),
        }
    }
    (have, None)
}

/// What other kinds of file begin with, for a word on what to do.
fn hint(seen: &[u8]) -> &'static str {
    match seen {
        [b'B', b'Z', b'h', ..] => "; it is packed with bzip2: unpack it first",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "; it is packed with xz: unpack it first",
        [b'P', b'K', 3, 4, ..] => "; it is a zip archive: unpack it first",
        [0x04, 0x22, 0x4d, 0x18, ..] => "; it is packed with lz4: unpack it first",
        [b's', b'n', b'o', b'o', b'p', 0, ..] => "; it is a snoop capture: convert it (editcap -F pcap)",
        _ => "",
    }
}
