//! Windows: files by path, and devices of Npcap that are looked at again and again. Nothing of this module is tested.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap::{Active, Capture};

use super::Signal;

/// No signal asks for a new file here.
pub(super) const ROTATES: Option<i32> = None;
/// No signal tells of a terminal that is gone.
pub(super) const HANGS_UP: Option<i32> = None;

/// The longest that a device is not looked at: what the driver holds frames back.
const NAP: Duration = Duration::from_millis(20);

/// What a file is known by: its whole path. That two names are of one file goes unseen.
pub type FileId = PathBuf;

/// What the file at that path is known by.
pub fn file_id(path: &Path, _: &Metadata) -> FileId {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Sockets are no files here.
pub fn is_socket(_: FileType) -> bool {
    false
}

/// Standard input, as a file of its own.
///
/// # Errors
/// As the system has them.
pub fn standard_input() -> io::Result<File> {
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

/// Opens a file to be read.
///
/// # Errors
/// As the system has them.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Whether there is something to be read: who reads waits for it here.
pub fn wait_for_input(_: &File, _: Duration) -> bool {
    true
}

/// Reads from that place of a file on.
///
/// # Errors
/// As the system has them.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buf, offset)
}

/// Waits a little, that time at the most: a device may have frames then.
pub fn wait_for_frames(_: &Capture<Active>, wait: Duration) {
    std::thread::sleep(wait.min(NAP));
}

/// The descriptor by which a device is open: there is none.
pub fn descriptor(_: &Capture<Active>) -> Option<i32> {
    None
}

/// Whether a terminal is gone cannot be told.
pub fn wait_for_hang_up() -> bool {
    false
}

/// Listens to signals: there are none. Ctrl-C is a key while the dashboard is shown.
///
/// # Errors
/// None.
pub fn signals() -> io::Result<impl FnOnce(&mut dyn FnMut(Signal) -> bool) + Send> {
    Ok(|_: &mut dyn FnMut(Signal) -> bool| {})
}

/// A process is not stopped here.
///
/// # Errors
/// None.
pub fn suspend() -> io::Result<()> {
    Ok(())
}
