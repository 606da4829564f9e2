//! How far reading has come, and what says so: a line on the terminal, or lines for another program.

use std::io::{IsTerminal, Stderr, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes read of all inputs; of compressed ones the compressed bytes.
    pub bytes_read: u64,
    /// Their size, where all are files.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// In what form progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line on a terminal, for people: from the second second on, at most five times a second, and gone at the end.
    Line,
    /// An object a line, for programs: the first at once, at most five a second, the last where reading ends.
    Json,
}

/// Shows progress.
pub struct Printer<W: Write = Stderr> {
    out: Option<W>,
    form: Form,
    start: Instant,
    last: Option<Instant>,
    /// What was not shown yet, of a form of which nothing may be missing at the end.
    unsaid: Option<Progress>,
}

impl Printer {
    /// A printer on standard error, in a form if it is wanted in one; a line stays away where that is no terminal.
    pub fn new(form: Option<Form>) -> Self {
        let stderr = std::io::stderr();
        let shows = form == Some(Form::Json) || form.is_some() && stderr.is_terminal();
        Printer::on(shows.then_some(stderr), form.unwrap_or(Form::Line))
    }
}

impl<W: Write> Printer<W> {
    fn on(out: Option<W>, form: Form) -> Self {
        Printer { out, form, start: now(), last: None, unsaid: None }
    }

    /// Shows `progress`, if it is time to.
    pub fn update(&mut self, progress: &Progress) {
        if self.out.is_some() {
            self.update_at(progress, now());
        }
    }

    fn update_at(&mut self, progress: &Progress, now: Instant) {
        let ran = now.saturating_duration_since(self.start);
        let too_soon = self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL);
        let shows = !too_soon && (ran >= PATIENCE || self.form == Form::Json);
        self.unsaid = (!shows).then_some(*progress);
        if shows {
            self.last = Some(now);
            self.show(progress, ran);
        }
    }

    fn show(&mut self, progress: &Progress, ran: Duration) {
        let Some(out) = &mut self.out else { return };
        // A terminal that is gone is no reason to stop the work.
        let _ = match self.form {
            Form::Line => write!(out, "\r\x1b[K{}", line(progress, ran.as_secs_f64())),
            Form::Json => writeln!(out, "{}", object(progress, ran)),
        }
        .and_then(|()| out.flush());
    }

    /// Reading rests: the line is cleared, or the last object written. What is shown next begins anew.
    pub fn clear(&mut self) {
        let (shown, unsaid) = (self.last.take().is_some(), self.unsaid.take());
        match (self.form, &mut self.out, unsaid) {
            (Form::Line, Some(out), _) if shown => _ = write!(out, "\r\x1b[K").and_then(|()| out.flush()),
            (Form::Json, Some(_), Some(progress)) => self.show(&progress, now().saturating_duration_since(self.start)),
            _ => {}
        }
        self.start = now();
    }
}

impl<W: Write> Drop for Printer<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Progress as another program reads it, with the seconds that it took so far.
fn object(progress: &Progress, ran: Duration) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        event_type: &'static str,
        #[serde(flatten)]
        progress: &'a Progress,
        elapsed: f64,
    }
    let elapsed = ran.as_millis() as f64 / 1e3;
    serde_json::to_string(&Object { event_type: "progress", progress, elapsed }).unwrap_or_default()
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
        Printer::on(Some(Vec::new()), Form::Line)
    }

    #[test]
    fn a_program_is_told_of_the_beginning_and_of_the_end() {
        let mut printer = Printer::on(Some(Vec::new()), Form::Json);
        let at = |bytes_read| Progress { bytes_read, bytes_total: Some(990), files_done: 0, files_total: 1 };
        for ms in 0..1_000 {
            printer.update_at(&at(ms), printer.start + Duration::from_millis(ms));
        }
        printer.clear();
        printer.clear();
        let shown = String::from_utf8(printer.out.clone().unwrap()).unwrap();
        let lines: Vec<serde_json::Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let read: Vec<u64> = lines.iter().map(|line| line["bytes_read"].as_u64().unwrap()).collect();
        assert_eq!(read, [0, 200, 400, 600, 800, 999]);
        assert_eq!(
            lines[1],
            serde_json::json!({"event_type": "progress", "bytes_read": 200, "bytes_total": 990,
            "files_done": 0, "files_total": 1, "elapsed": 0.2})
        );
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
