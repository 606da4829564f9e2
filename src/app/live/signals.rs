//! What the system tells a capture that runs for weeks.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::flag;

use super::super::stop_flag;
use crate::platform;

/// Signals that have come.
///
/// SIGINT and SIGTERM end, a second one at once. SIGUSR1 begins a new file. SIGHUP does so too where there is no
/// terminal, as daemons do; where there is one it means that the terminal is gone, and ends.
#[derive(Debug)]
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    rotate: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
    headless: bool,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn new() -> Result<Self> {
        let signals = Signals {
            stop: stop_flag()?,
            rotate: Arc::default(),
            hangup: Arc::default(),
            headless: platform::is_headless(),
        };
        // who was started by nohup is not to hear that its terminal is gone
        let hangs_up = platform::HANGS_UP.filter(|signal| !is_ignored(*signal));
        for (signal, flag) in [(platform::ROTATES, &signals.rotate), (hangs_up, &signals.hangup)] {
            let Some(signal) = signal else { continue };
            flag::register(signal, Arc::clone(flag)).context("signals cannot be handled")?;
        }
        Ok(signals)
    }

    /// Whether the capture is to end.
    pub(super) fn ends(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || (!self.headless && self.hangup.load(Ordering::Relaxed))
    }

    /// Whether a new file is to begin; asked once for each time.
    pub(super) fn rotate(&self) -> bool {
        let hangup = self.headless && self.hangup.swap(false, Ordering::Relaxed);
        self.rotate.swap(false, Ordering::Relaxed) || hangup
    }
}

/// Whether a signal was ignored already when the program began.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
