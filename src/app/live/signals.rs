//! What the system tells a capture that runs for weeks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

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
        let failed = "signals cannot be handled";
        Ok(Signals {
            stop: stop_flag()?,
            rotate: platform::rotate_flag().context(failed)?,
            hangup: platform::hang_up_flag().context(failed)?,
            headless: platform::is_headless(),
        })
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
