//! Signals that a program without a screen minds, each as a flag that it looks at when it likes.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{HANGS_UP, ROTATES};

/// Set by an interrupt, or by a request to end; a second one ends the program at once, with that exit code.
///
/// # Errors
/// As the system has them.
pub fn stop_flag(code: u8) -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(code), Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Set by a request for a new file.
///
/// # Errors
/// As the system has them.
pub fn rotate_flag() -> io::Result<Arc<AtomicBool>> {
    flag_of(ROTATES)
}

/// Set when the terminal says that it is gone. Who was started by nohup is not to hear that.
///
/// # Errors
/// As the system has them.
pub fn hang_up_flag() -> io::Result<Arc<AtomicBool>> {
    flag_of(HANGS_UP.filter(|signal| !is_ignored(*signal)))
}

/// Set by that signal; never, where there is none.
fn flag_of(signal: Option<i32>) -> io::Result<Arc<AtomicBool>> {
    let set = Arc::new(AtomicBool::new(false));
    if let Some(signal) = signal {
        flag::register(signal, Arc::clone(&set))?;
    }
    Ok(set)
}

/// Whether a signal was ignored already when the program began, as far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
