//! What differs from system to system: links, clocks, privileges, files, signals.
//!
//! Linux is what this is tested on. For other systems each function says what it leaves undone.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod signals;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(not(target_os = "linux"))]
pub use other::*;
pub use signals::*;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

use crate::time::Timestamp;

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It is up.
    Up,
    /// It is there, and down.
    Down,
    /// There is none of that name.
    Gone,
    /// This cannot be told here.
    Unknown,
}

impl LinkState {
    /// Whether it is surely there.
    pub const fn is_there(self) -> bool {
        matches!(self, LinkState::Up | LinkState::Down)
    }
}

/// What the system tells a process that has a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It is to end.
    Stop,
    /// It is to stop for a while.
    Suspend,
    /// It goes on.
    Resumed,
}

/// What was done to confine the process, a line each, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// What holds from now on.
    pub done: Vec<String>,
    /// What could not be done, and why.
    pub undone: Vec<String>,
}

/// What the process may still do once it is confined.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Whom to be: a user's name; who called sudo, if not given.
    pub user: Option<String>,
    /// Folders in which files may be made, written, renamed and removed.
    pub write: Vec<std::path::PathBuf>,
    /// Files and folders that may be read.
    pub read: Vec<std::path::PathBuf>,
    /// Descriptors of the devices: nothing is to be sent by them.
    pub silent: Vec<i32>,
}

/// The machine's time, by which frames are stamped as well.
#[expect(clippy::disallowed_methods, reason = "frames are stamped by this clock, and it goes on while none comes")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_parts(since.as_secs(), u64::from(since.subsec_nanos()))
}
