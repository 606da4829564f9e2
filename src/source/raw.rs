//! The bytes of one input: a file read in place, a pipe, or either of them unpacked.
//!
//! Files are read by position and never mapped: a mapped file that another program cuts kills who reads it.
//! Compressed input is unpacked as it is read. gzip (RFC 1952, several members too) and zstd (RFC 8878, whose
//! decoder holds a window of 128 MiB at most) are told by their first bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Damage, SourceError};
use crate::platform;

/// Unpacked bytes below which no ratio is judged: that much is read in seconds, and short captures of one repeated
/// frame may pack very well.
const BOMB_BYTES: u64 = 1 << 30;
/// Unpacked bytes for one packed above which input is refused. Captures pack 2:1 to 50:1; a file made to swell comes
/// near to the 1,032:1 of deflate or far beyond with zstd.
const BOMB_RATIO: u64 = 300;

/// The longest that nobody looks whether a pipe is still to be waited for.
const NAP: Duration = Duration::from_millis(100);

/// Set when no more is wanted.
pub(super) type Stop = Option<Arc<AtomicBool>>;

/// How input is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    fn of(magic: &[u8]) -> Option<Codec> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Codec::Gzip),
            // A zstd frame, or one that is to be skipped in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Codec::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }
}

enum Bytes {
    /// A regular file, read by position.
    File { file: Arc<File>, offset: u64 },
    /// A pipe or device: each read gives what is there.
    Pipe(Box<dyn Read + Send>),
    /// Unpacked from either; `file` is what it is unpacked from, where that can be read again.
    Unpacked { codec: Codec, reader: Box<dyn Read + Send>, unpacked: u64, file: Option<Arc<File>> },
    /// To be unpacked from the beginning of a file again, up to where so many bytes came out.
    Again { codec: Codec, file: Arc<File>, unpacked: u64 },
}

/// An open input.
pub(super) struct Raw {
    path: Arc<str>,
    bytes: Bytes,
    /// Size of a regular file when it was opened; None of a pipe.
    size: Option<u64>,
    /// Bytes read of the input itself, before any unpacking.
    taken: Arc<AtomicU64>,
    /// Where in the file reading began.
    first: u64,
}

/// Why there are no more bytes.
#[derive(Debug)]
pub(super) enum RawEnd {
    Clean,
    Damage(Damage),
    Error(SourceError),
}

/// What a read came to.
pub(super) enum Got {
    Bytes(usize),
    /// Nothing for now: who writes has paused.
    Lull,
    End(RawEnd),
}

/// Counts what passes through it.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A pipe or device, which is waited for until no more is wanted: it ends then. Where somebody may say so, a read says
/// meanwhile that nothing comes ([`io::ErrorKind::WouldBlock`]).
struct Awaited {
    file: File,
    stop: Stop,
}

impl Read for Awaited {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !is_set(&self.stop) {
            if !platform::wait_for_input(&self.file, NAP) {
                if self.stop.is_some() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                continue;
            }
            match self.file.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
        Ok(0)
    }
}

/// Whether no more is wanted.
pub(super) fn is_set(stop: &Stop) -> bool {
    stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
}

/// A file read from a place on, whoever else reads it.
struct From {
    file: Arc<File>,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        platform::read_at(&self.file, buf, self.offset).inspect(|&n| self.offset = self.offset.saturating_add(n as u64))
    }
}

impl Raw {
    /// Opens the file, pipe or device at `path`, which messages call `name`; `-` is standard input. What is waited for
    /// ends with `stop`.
    pub(super) fn open(path: &Path, name: &Arc<str>, stop: &Stop) -> Result<Raw, SourceError> {
        let fail = |error| SourceError::from_io(name, error);
        let file = if path.as_os_str() == "-" {
            platform::standard_input().map_err(fail)?
        } else {
            if platform::is_socket(std::fs::metadata(path).map_err(fail)?.file_type()) {
                return Err(SourceError::Socket { path: Arc::clone(name) });
            }
            platform::open_to_read(path).map_err(fail)?
        };
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(SourceError::NoCaptures { path: Arc::clone(name) });
        }
        if metadata.is_file() {
            Raw::from_file(file, metadata.len(), name).map_err(fail)
        } else {
            Raw::from_pipe(Box::new(Awaited { file, stop: stop.clone() }), name).map_err(fail)
        }
    }

    fn from_file(mut file: File, size: u64, name: &Arc<str>) -> io::Result<Raw> {
        // Standard input may be a file that someone has read from before.
        let first = io::Seek::stream_position(&mut file)?;
        let mut magic = [0; 4];
        let n = platform::read_at(&file, &mut magic, first)?;
        let taken = Arc::new(AtomicU64::new(0));
        let file = Arc::new(file);
        let bytes = match Codec::of(magic.get(..n).unwrap_or_default()) {
            None => Bytes::File { file, offset: first },
            Some(codec) => Bytes::Again { codec, file, unpacked: 0 },
        };
        Ok(Raw { path: Arc::clone(name), bytes, size: Some(size), taken, first })
    }

    pub(super) fn from_pipe(mut pipe: Box<dyn Read + Send>, name: &Arc<str>) -> io::Result<Raw> {
        let mut magic = Vec::with_capacity(4);
        while let Err(error) = pipe.by_ref().take(4u64.saturating_sub(magic.len() as u64)).read_to_end(&mut magic) {
            // what was read until then is kept
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
        }
        let codec = Codec::of(&magic);
        let whole = Box::new(io::Cursor::new(magic).chain(pipe));
        let taken = Arc::new(AtomicU64::new(0));
        let bytes = match codec {
            None => Bytes::Pipe(Box::new(Counted { inner: whole, taken: Arc::clone(&taken) })),
            Some(codec) => Bytes::Unpacked { codec, reader: unpack(codec, whole, &taken)?, unpacked: 0, file: None },
        };
        Ok(Raw { path: Arc::clone(name), bytes, size: None, taken, first: 0 })
    }

    /// Reads into `buf`: all that fits of a file, what is there of a pipe. `buf` must not be empty.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Got {
        loop {
            let result = match &mut self.bytes {
                Bytes::File { file, offset } => {
                    platform::read_at(file, buf, *offset).inspect(|&n| *offset = offset.saturating_add(n as u64))
                }
                Bytes::Pipe(pipe) => pipe.read(buf),
                Bytes::Unpacked { reader, .. } => reader.read(buf),
                Bytes::Again { codec, file, unpacked } => match begin(*codec, file, self.first, *unpacked, &self.taken)
                {
                    Ok(reader) => {
                        let file = Some(Arc::clone(file));
                        self.bytes = Bytes::Unpacked { codec: *codec, reader, unpacked: *unpacked, file };
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            return match result {
                Ok(0) => Got::End(self.at_end()),
                Ok(n) => self.count(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Got::Lull,
                Err(error) => Got::End(self.failed(error)),
            };
        }
    }

    /// Whether reads give little at a time though more can be had without waiting.
    pub(super) fn is_unpacked(&self) -> bool {
        matches!(self.bytes, Bytes::Unpacked { .. } | Bytes::Again { .. })
    }

    /// Bytes read of the input itself (the compressed ones, where it is).
    pub(super) fn taken(&self) -> u64 {
        match &self.bytes {
            Bytes::File { offset, .. } => offset.saturating_sub(self.first),
            _ => self.taken.load(Ordering::Relaxed),
        }
    }

    /// Whether it can be read from any place: a file that is not packed.
    pub(super) const fn is_seekable(&self) -> bool {
        matches!(self.bytes, Bytes::File { .. })
    }

    /// Another that goes on from here by itself; nothing of a pipe. What is packed is unpacked from its beginning again
    /// when the other first reads: that takes no room meanwhile.
    pub(super) fn fork(&self) -> Option<Raw> {
        let (bytes, taken) = match &self.bytes {
            Bytes::File { file, offset } => {
                (Bytes::File { file: Arc::clone(file), offset: *offset }, Arc::clone(&self.taken))
            }
            Bytes::Unpacked { codec, unpacked, file: Some(file), .. } | Bytes::Again { codec, unpacked, file } => {
                let bytes = Bytes::Again { codec: *codec, file: Arc::clone(file), unpacked: *unpacked };
                (bytes, Arc::new(AtomicU64::new(0)))
            }
            Bytes::Unpacked { file: None, .. } | Bytes::Pipe(_) => return None,
        };
        Some(Raw { path: Arc::clone(&self.path), bytes, size: self.size, taken, first: self.first })
    }

    /// Goes on reading at `at`, in bytes from where reading began; of a file alone.
    pub(super) fn go_on_at(&mut self, at: u64) {
        if let Bytes::File { offset, .. } = &mut self.bytes {
            *offset = self.first.saturating_add(at);
        }
    }

    fn count(&mut self, n: usize) -> Got {
        if let Bytes::Unpacked { unpacked, .. } = &mut self.bytes {
            *unpacked = unpacked.saturating_add(n as u64);
            let (unpacked, packed) = (*unpacked, self.taken.load(Ordering::Relaxed));
            if is_bomb(unpacked, packed) {
                let path = Arc::clone(&self.path);
                return Got::End(RawEnd::Error(SourceError::Bomb { path, unpacked, packed }));
            }
        }
        Got::Bytes(n)
    }

    fn at_end(&self) -> RawEnd {
        match (&self.bytes, self.size) {
            (Bytes::File { offset, .. }, Some(size)) if *offset < size => RawEnd::Damage(Damage::Shrank { size }),
            _ => RawEnd::Clean,
        }
    }

    fn failed(&self, error: io::Error) -> RawEnd {
        match &self.bytes {
            // What the system says has a number of its own; the rest is the decoder's.
            Bytes::Unpacked { codec, .. } | Bytes::Again { codec, .. } if error.raw_os_error().is_none() => {
                RawEnd::Damage(match error.kind() {
                    io::ErrorKind::UnexpectedEof => Damage::CutStream { codec: codec.name() },
                    _ => Damage::BadStream { codec: codec.name(), error: error.to_string() },
                })
            }
            _ => RawEnd::Error(SourceError::from_io(&self.path, error)),
        }
    }
}

fn is_bomb(unpacked: u64, packed: u64) -> bool {
    unpacked > BOMB_BYTES && unpacked > packed.saturating_mul(BOMB_RATIO)
}

fn unpack(codec: Codec, inner: Box<dyn Read + Send>, taken: &Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    let counted = BufReader::with_capacity(64 << 10, Counted { inner, taken: Arc::clone(taken) });
    Ok(match codec {
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(counted)?),
    })
}

/// Begins to unpack what begins at `first`, and passes over the first `skip` bytes of what comes out.
fn begin(
    codec: Codec,
    file: &Arc<File>,
    first: u64,
    skip: u64,
    taken: &Arc<AtomicU64>,
) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = unpack(codec, Box::new(From { file: Arc::clone(file), offset: first }), taken)?;
    io::copy(&mut reader.by_ref().take(skip), &mut io::sink())?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_output_from_little_input_is_a_bomb() {
        assert!(!is_bomb(BOMB_BYTES, 1));
        assert!(is_bomb(BOMB_BYTES + 1, BOMB_BYTES / BOMB_RATIO));
        assert!(!is_bomb(BOMB_BYTES + 1, BOMB_BYTES / BOMB_RATIO + 1));
        assert!(!is_bomb(u64::MAX, u64::MAX / 2));
    }

    #[test]
    fn packed_input_is_told_by_its_first_bytes() {
        assert_eq!(Codec::of(&[0x1f, 0x8b, 8, 0]), Some(Codec::Gzip));
        assert_eq!(Codec::of(&[0x28, 0xb5, 0x2f, 0xfd]), Some(Codec::Zstd));
        assert_eq!(Codec::of(&[0x5a, 0x2a, 0x4d, 0x18]), Some(Codec::Zstd));
        assert_eq!(Codec::of(&[0x1f]), None);
    }
}
