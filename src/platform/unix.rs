//! What Linux, macOS and the BSDs have in common: files by number, descriptors that are waited for, signals.

use std::fs::{File, FileType, Metadata};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1};
use signal_hook::iterator::Signals;

use super::Signal;

/// The signal by which a new file is asked for.
pub(super) const ROTATES: Option<i32> = Some(SIGUSR1);
/// The signal by which a terminal says that it is gone.
pub(super) const HANGS_UP: Option<i32> = Some(SIGHUP);

/// What a file is known by, whatever its name.
pub type FileId = (u64, u64);

/// What the file at that path is known by; `metadata` is the file's own.
pub fn file_id(_: &Path, metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Whether that is a socket, which cannot be opened as a file.
pub fn is_socket(kind: FileType) -> bool {
    kind.is_socket()
}

/// Standard input, as a file of its own.
///
/// # Errors
/// As the system has them.
pub fn standard_input() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Opens a file, pipe or device to be read. Who will write to a pipe is not waited for.
///
/// # Errors
/// As the system has them.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// Waits until a pipe or device has something to be read, or has ended; false where that has not come within that time.
pub fn wait_for_input(file: &File, wait: Duration) -> bool {
    let mut waiting = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    !matches!(poll(&mut waiting, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)), Ok(0) | Err(Errno::EINTR))
}

/// Reads from that place of a file on, wherever others read it.
///
/// # Errors
/// As the system has them.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buf, offset)
}

/// Waits until a device has frames, or that time has passed.
pub fn wait_for_frames(device: &Capture<Active>, wait: Duration) {
    let mut waiting = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    // an interrupted wait is as good as one that is over
    let _ = poll(&mut waiting, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX));
}

/// The descriptor by which a device is open.
pub fn descriptor(device: &Capture<Active>) -> Option<i32> {
    Some(device.as_raw_fd())
}

/// Waits until the terminal is gone; false if that cannot be told. Where standard input is a capture's pipe, whose end
/// is no hang-up, the terminal is the one that is written to.
pub fn wait_for_hang_up() -> bool {
    let (input, output) = (io::stdin(), io::stdout());
    let terminal = if input.is_terminal() { input.as_fd() } else { output.as_fd() };
    // nothing is asked for: only an end or an error is told
    let mut ends = [PollFd::new(terminal, PollFlags::empty())];
    while poll(&mut ends, PollTimeout::NONE) == Err(Errno::EINTR) {}
    true
}

/// Listens to signals from now on; what is given waits for them, and gives each to its argument until that says no.
///
/// # Errors
/// As the system has them.
pub fn signals() -> io::Result<impl FnOnce(&mut dyn FnMut(Signal) -> bool) + Send> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT])?;
    Ok(move |take: &mut dyn FnMut(Signal) -> bool| {
        let told = |signal| match signal {
            SIGTSTP => Signal::Suspend,
            SIGCONT => Signal::Resumed,
            _ => Signal::Stop,
        };
        let _ = signals.forever().map(told).all(take);
    })
}

/// Stops this process, as SIGTSTP does, until it is told to go on.
///
/// # Errors
/// As the system has them.
pub fn suspend() -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(SIGTSTP)
}
