//! How far reading has come, and a line on the terminal that says so.

use std::io::{IsTerminal, Stderr, Write};
use std::time::{Duration, Instant};

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read of all inputs; of compressed ones the compressed bytes.
    pub bytes_read: u64,
    /// Their size, where all are files.
    pub bytes_total: Option<u64>,
    /// Inputs done with.
    pub files_done: usize,
    /// Inputs in all.
    pub files_total: usize,
}

/// A run shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// The least time between two lines.
const INTERVAL: Duration = Duration::from_millis(200);

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "progress is shown to a person who waits")]
fn now() -> Instant {
    Instant::now()
}

/// Shows progress on a terminal: from the second second on, at most five times a second, and gone at the end.
pub struct Printer<W: Write = Stderr> {
    out: Option<W>,
    start: Instant,
    last: Option<Instant>,
}

impl Printer {
    /// A printer on standard error, which stays silent if that is no terminal.
    pub fn new() -> Self {
        let out = Some(std::io::stderr()).filter(|stderr| stderr.is_terminal());
        Printer { out, start: now(), last: None }
    }
}

impl Default for Printer {
    fn default() -> Self {
        Printer::new()
    }
}

impl<W: Write> Printer<W> {
    /// Shows `progress`, if it is time to.
    pub fn update(&mut self, progress: &Progress) {
        if self.out.is_some() {
            self.update_at(progress, now());
        }
    }

    fn update_at(&mut self, progress: &Progress, now: Instant) {
        let ran = now.saturating_duration_since(self.start);
        let too_soon = self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL);
        if ran < PATIENCE || too_soon {
            return;
        }
        self.last = Some(now);
        if let Some(out) = &mut self.out {
            // A terminal that is gone is no reason to stop the work.
            let _ = write!(out, "\r\x1b[K{}", line(progress, ran.as_secs_f64())).and_then(|()| out.flush());
        }
    }

    /// Clears the line; what is shown next begins anew.
    pub fn clear(&mut self) {
        if let (Some(out), true) = (&mut self.out, self.last.take().is_some()) {
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
        self.start = now();
    }
}

impl<W: Write> Drop for Printer<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(progress: &Progress, seconds: f64) -> String {
    let read = progress.bytes_read as f64;
    let rate = read / seconds;
    let mut line = String::from("reading ");
    if progress.files_total > 1 {
        let at = progress.files_done.saturating_add(1).min(progress.files_total);
        line.push_str(&format!("{at} of {}, ", progress.files_total));
    }
    line.push_str(&bytes(read));
    if let Some(total) = progress.bytes_total.filter(|&total| total > 0) {
        let total = total as f64;
        line.push_str(&format!(" of {} ({:.0} %)", bytes(total), (read / total * 100.0).min(100.0)));
        if rate > 0.0 {
            let left = ((total - read) / rate).max(0.0).ceil() as u64;
            let (minutes, seconds) = (left.div_euclid(60), left.rem_euclid(60));
            return format!("{line}, {}/s, {minutes}:{seconds:02} left", bytes(rate));
        }
    }
    format!("{line}, {}/s", bytes(rate))
}

/// A number of bytes with a decimal unit, at three to four figures.
fn bytes(mut n: f64) -> String {
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if n < 1_000.0 {
            break;
        }
        (n, unit) = (n / 1_000.0, next);
    }
    let digits = if unit == "B" || n >= 100.0 { 0 } else { 1 };
    format!("{n:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer() -> Printer<Vec<u8>> {
        Printer { out: Some(Vec::new()), start: now(), last: None }
    }

    #[test]
    fn waits_a_second_and_then_shows_five_lines_a_second() {
        let mut printer = printer();
        let progress = Progress { bytes_read: 5_000_000, bytes_total: Some(20_000_000), files_done: 0, files_total: 1 };
        for ms in (0..3_000).step_by(10) {
            printer.update_at(&progress, printer.start + Duration::from_millis(ms));
        }
        let shown = String::from_utf8(printer.out.clone().unwrap()).unwrap();
        assert_eq!(shown.matches("\r\x1b[K").count(), 10);
        printer.clear();
        assert!(printer.out.as_ref().is_some_and(|out| out.ends_with(b"\r\x1b[K")) && printer.last.is_none());
        assert!(shown.starts_with("\r\x1b[Kreading 5.0 MB of 20.0 MB (25 %), 5.0 MB/s, 0:03 left"), "{shown}");
    }

    #[test]
    fn a_short_run_leaves_no_trace() {
        let mut printer = printer();
        printer.update_at(&Progress::default(), printer.start);
        assert_eq!(printer.out.as_deref(), Some(&[][..]));
        printer.clear();
        assert_eq!(printer.out.as_deref(), Some(&[][..]));
    }

    #[test]
    fn tells_pipes_and_several_files() {
        let pipe = Progress { bytes_read: 1_500, bytes_total: None, files_done: 1, files_total: 3 };
        assert_eq!(line(&pipe, 2.0), "reading 2 of 3, 1.5 kB, 750 B/s");
        let idle = Progress { bytes_read: 0, bytes_total: Some(9), files_done: 0, files_total: 1 };
        assert_eq!(line(&idle, 1.0), "reading 0 B of 9 B (0 %), 0 B/s");
    }
}
