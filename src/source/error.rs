//! What goes wrong with inputs, in words for the person who gave them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

/// An input that cannot be read, or not further. It ends that input; the others are still read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is nothing of that name.
    #[error("{path}: no such file; check the name")]
    NotFound {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// A pattern that the shell left as it was.
    #[error("{path}: no such file; patterns are for the shell to expand: either none matches, or it stands in quotes")]
    NoMatch {
        /// The pattern.
        path: Arc<str>,
    },
    /// The system does not let this user read it.
    #[error("{path}: no permission to read it; change its mode or owner, or run as a user who may")]
    Permission {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// A file of no bytes.
    #[error("{path}: the file is empty; was anything captured?")]
    Empty {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// Some other kind of file.
    #[error("{path}: not a capture file (pcap, pcapng, gzip or zstd expected){hint}")]
    NotACapture {
        /// The path as it was given.
        path: Arc<str>,
        /// What it is instead, where that is known, or nothing.
        hint: &'static str,
    },
    /// A capture file that ends within its first header.
    #[error("{path}: cut short within the file header; copy or capture it again")]
    CutHeader {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// Damage in front of the first frame.
    #[error("{path}: {damage}, before its first frame; copy or capture it again")]
    Damaged {
        /// The path as it was given.
        path: Arc<str>,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A capture format of a version that nobody wrote down.
    #[error("{path}: capture format version {major}.{minor} is not known; convert it (editcap -F pcap)")]
    Version {
        /// The path as it was given.
        path: Arc<str>,
        /// The version's first number.
        major: u16,
        /// The version's second number.
        minor: u16,
    },
    /// A directory that holds no capture file.
    #[error("{path}: no capture file in this directory (its subdirectories are not searched)")]
    NoCaptures {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// A socket, which cannot be opened as a file.
    #[error("{path}: this is a socket; give a file, a directory or a pipe")]
    Socket {
        /// The path as it was given.
        path: Arc<str>,
    },
    /// A compressed file that swells beyond all reason.
    #[error(
        "{path}: stopped after {} MB unpacked from {} kB: no capture packs that well; \
         unpack it by hand if it is what you mean to read",
        unpacked / 1_000_000, packed / 1_000
    )]
    Bomb {
        /// The path as it was given.
        path: Arc<str>,
        /// Bytes unpacked.
        unpacked: u64,
        /// Compressed bytes read for them.
        packed: u64,
    },
    /// The system failed to open or read it.
    #[error("{path}: cannot be read: {error}; copy it to a sound disk and try again")]
    Io {
        /// The path as it was given.
        path: Arc<str>,
        /// What the system says.
        error: io::Error,
    },
}

/// What a problem means for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Input unreadable or cut short.
    Unreadable,
    /// No permission.
    Permission,
}

impl SourceError {
    /// What it means for the exit code.
    pub fn class(&self) -> Class {
        match self {
            SourceError::Permission { .. } => Class::Permission,
            _ => Class::Unreadable,
        }
    }

    pub(super) fn from_io(path: &Arc<str>, error: io::Error) -> Self {
        let path = Arc::clone(path);
        match error.kind() {
            io::ErrorKind::NotFound if path.contains(['*', '?', '[']) => SourceError::NoMatch { path },
            io::ErrorKind::NotFound => SourceError::NotFound { path },
            io::ErrorKind::PermissionDenied => SourceError::Permission { path },
            _ => SourceError::Io { path, error },
        }
    }
}

/// Where a capture stopped making sense, or a part of it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The input, as it was given.
    pub path: Arc<str>,
    /// Where the bad record begins, in bytes of the (uncompressed) file.
    pub offset: u64,
    /// What is wrong with it.
    pub what: Damage,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after = if self.what.ends_the_file() { "the frames before it were read" } else { "reading went on" };
        write!(f, "{}: at byte {}: {}; {after}", self.path, self.offset, self.what)
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The file ends within a record's header.
    #[error("cut short within a record header")]
    CutRecordHeader,
    /// The file ends within a record.
    #[error("cut short within a record of {want} bytes, {have} of them there")]
    CutRecord {
        /// The record's length, header and all.
        want: u64,
        /// How much of it there is.
        have: u64,
    },
    /// A record longer than any frame of its link type.
    #[error("a record claims {length} bytes, more than the {limit} that any frame has")]
    TooLong {
        /// What it claims.
        length: u64,
        /// The most that is believed.
        limit: u64,
    },
    /// A packet longer than its pcapng block.
    #[error("a packet claims {length} bytes in a block with room for {room}")]
    NoRoom {
        /// What it claims.
        length: u64,
        /// What its block has room for.
        room: u64,
    },
    /// A pcapng block whose length cannot hold what it must.
    #[error("a block of type {kind:#x} claims {length} bytes, too few for what it holds")]
    ShortBlock {
        /// The block type.
        kind: u32,
        /// What it claims.
        length: u32,
    },
    /// A pcapng section header without a byte-order magic.
    #[error("a section header without a byte order")]
    ByteOrder,
    /// A pcapng section of an unknown version.
    #[error("a section of format version {major}.{minor}, which is not known")]
    SectionVersion {
        /// The version's first number.
        major: u16,
        /// The version's second number.
        minor: u16,
    },
    /// A pcapng file that ends before it describes an interface: nothing can be in it.
    #[error("it ends before any interface is described")]
    NoInterfaces,
    /// More interfaces in a section than are kept.
    #[error("more than {limit} interfaces in one section")]
    Interfaces {
        /// How many are kept.
        limit: usize,
    },
    /// A packet of an interface that was not described. The block is passed over.
    #[error("a packet of interface {interface}, which no block describes")]
    NoInterface {
        /// The interface's number.
        interface: u32,
    },
    /// A block whose two lengths differ. The first is taken.
    #[error("a block begins with length {head} and ends with {trail}")]
    TrailerLength {
        /// The length at the block's begin.
        head: u32,
        /// The length at its end.
        trail: u32,
    },
    /// Further oddities of the kinds above, which were passed over.
    #[error("{count} more oddities of this kind up to here")]
    MoreOddities {
        /// How many.
        count: u64,
    },
    /// A compressed stream that ends early.
    #[error("the {codec} stream ends early")]
    CutStream {
        /// `gzip` or `zstd`.
        codec: &'static str,
    },
    /// A compressed stream that does not decode, or fails its checksum.
    #[error("the {codec} stream is damaged ({error})")]
    BadStream {
        /// `gzip` or `zstd`.
        codec: &'static str,
        /// What the decoder says.
        error: String,
    },
    /// A file that others cut while it was read.
    #[error("the file became shorter while it was read ({size} bytes at first)")]
    Shrank {
        /// Its size when it was opened, in bytes.
        size: u64,
    },
}

impl Damage {
    /// Whether nothing behind the record could be read.
    pub fn ends_the_file(&self) -> bool {
        !matches!(
            self,
            Damage::NoInterface { .. }
                | Damage::TrailerLength { .. }
                | Damage::MoreOddities { .. }
                | Damage::Interfaces { .. }
        )
    }
}

/// Anything that an input had wrong with it.
#[derive(Debug)]
pub enum Problem {
    /// It could not be read, or not further.
    Error(SourceError),
    /// It is damaged; what could be read was given.
    Warning(Warning),
    /// It is a file that another input is too; it is read once.
    Repeated {
        /// The path of the second.
        path: Arc<str>,
    },
}

impl Problem {
    /// What it means for the exit code.
    pub fn class(&self) -> Class {
        match self {
            Problem::Error(error) => error.class(),
            Problem::Warning(_) | Problem::Repeated { .. } => Class::Unreadable,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Error(error) => error.fmt(f),
            Problem::Warning(warning) => warning.fmt(f),
            Problem::Repeated { path } => write!(f, "{path}: given more than once; it is read once"),
        }
    }
}

/// What messages call the input at `path`. Control characters of a file's name do not reach the terminal.
pub(super) fn display_name(path: &Path) -> Arc<str> {
    if path.as_os_str() == "-" {
        return Arc::from("standard input");
    }
    path.to_string_lossy().replace(|c: char| c.is_control(), "?").into()
}
