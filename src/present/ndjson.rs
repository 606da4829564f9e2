//! NDJSON: one object a line.

use std::io::{self, Write};

use serde::Serialize;

use super::compact::append;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Stats};
use crate::monitor::Sink;

/// Writes records, each as one line. Nothing is held back here: what is written is whole lines, and when they leave
/// is for the writer beneath, and for [`Ndjson::flush`], to say.
#[derive(Debug)]
pub struct Ndjson<W> {
    writer: W,
    /// The record at hand: made whole before it goes to the writer, since it comes in many small pieces.
    line: Lines,
}

/// Records as lines, not written yet.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Forgets all records, and keeps the room that they took.
    pub fn clear(&mut self) {
        self.0.clear();
        self.0.shrink_to(MOST);
    }

    /// The next record.
    pub fn add<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        append(&mut self.0, record).map_err(io::Error::other)?;
        self.0.push(b'\n');
        Ok(())
    }
}

/// How much room for a record is kept for the next.
const ROOM: usize = 64 << 10;
/// The same for many records.
const MOST: usize = 4 << 20;

impl<W: Write> Sink for Ndjson<W> {
    type Error = io::Error;

    fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        self.at_once(record)
    }

    fn session(&mut self, record: &SessionRecord) -> io::Result<()> {
        self.at_once(record)
    }

    fn finding(&mut self, record: &FindingRecord) -> io::Result<()> {
        self.at_once(record)
    }

    fn capture_quality(&mut self, record: &CaptureQuality) -> io::Result<()> {
        self.at_once(record)
    }

    fn stats(&mut self, record: &Stats) -> io::Result<()> {
        self.at_once(record)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl<W: Write> Ndjson<W> {
    /// Onto that writer, which should be buffered.
    pub fn new(writer: W) -> Self {
        Ndjson { writer, line: Lines::default() }
    }

    /// A flow.
    pub fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        self.record(record)
    }

    /// An attempt to view.
    pub fn session(&mut self, record: &SessionRecord) -> io::Result<()> {
        self.record(record)
    }

    /// What was found wrong.
    pub fn finding(&mut self, record: &FindingRecord) -> io::Result<()> {
        self.record(record)
    }

    /// What the capture is worth.
    pub fn capture_quality(&mut self, record: &CaptureQuality) -> io::Result<()> {
        self.record(record)
    }

    /// The counts of the run.
    pub fn stats(&mut self, record: &Stats) -> io::Result<()> {
        self.record(record)
    }

    /// Sends what was written on its way; after every record where someone watches as it happens.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// A record that someone waits for.
    fn at_once<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        self.record(record)?;
        self.flush()
    }

    /// Flushes, and hands the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.flush()?;
        Ok(self.writer)
    }

    /// Any record.
    pub(super) fn record<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        self.line.0.clear();
        self.line.add(record)?;
        self.writer.write_all(&self.line.0)?;
        self.line.0.shrink_to(ROOM);
        Ok(())
    }

    /// Records that are lines already.
    pub(super) fn lines(&mut self, lines: &Lines) -> io::Result<()> {
        self.writer.write_all(&lines.0)
    }
}

/// Writes a value as JSON on one line; characters that act on a terminal are written as `\u` escapes.
pub(super) fn write_json<T: Serialize + ?Sized>(mut writer: impl Write, value: &T) -> io::Result<()> {
    let mut text = Vec::new();
    append(&mut text, value).map_err(io::Error::other)?;
    writer.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    #[test]
    fn golden() {
        let mut sink = Ndjson::new(Vec::new());
        sink.flow(&sample::relay()).unwrap();
        sink.flow(&sample::dns()).unwrap();
        sink.session(&sample::session()).unwrap();
        sample::findings().iter().try_for_each(|f| sink.finding(f)).unwrap();
        sink.capture_quality(&sample::quality()).unwrap();
        sink.stats(&Stats { event_type: "stats", frames: 3, ..Stats::default() }).unwrap();
        let text = String::from_utf8(sink.finish().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 5 + sample::findings().len());
        assert!(!text.contains("null"));
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_closed_pipe_keeps_its_kind() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(Ndjson::new(Closed).flow(&sample::dns()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
