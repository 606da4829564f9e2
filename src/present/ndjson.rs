//! NDJSON: one object a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Stats};
use crate::monitor::Sink;
use crate::text::safe::is_unsafe;

/// Writes records, each as one line. Nothing is held back here: what is written is whole lines, and when they leave
/// is for the writer beneath, and for [`Ndjson::flush`], to say.
#[derive(Debug)]
pub struct Ndjson<W> {
    writer: W,
    /// The record at hand: made whole before it goes to the writer, since it comes in many small pieces.
    line: Vec<u8>,
}

/// How much room for a record is kept for the next.
const ROOM: usize = 64 << 10;

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
}

impl<W: Write> Ndjson<W> {
    /// Onto that writer, which should be buffered.
    pub fn new(writer: W) -> Self {
        Ndjson { writer, line: Vec::new() }
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
        self.line.clear();
        write_json(&mut self.line, record)?;
        self.line.push(b'\n');
        self.writer.write_all(&self.line)?;
        self.line.shrink_to(ROOM);
        Ok(())
    }
}

/// Writes a value as JSON on one line; characters that act on a terminal are written as `\u` escapes.
pub(super) fn write_json<T: Serialize + ?Sized>(writer: impl Write, value: &T) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(writer, SafeFormatter)).map_err(io::Error::from)
}

/// Compact JSON in which no character acts on a terminal that the text is shown on.
struct SafeFormatter;

impl Formatter for SafeFormatter {
    #[inline]
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // JSON itself escapes the controls below 0x20, so within ASCII only DEL remains.
        // One fold over all bytes is done many at a time.
        if fragment.bytes().fold(0, u8::max) < 0x7f {
            return writer.write_all(fragment.as_bytes());
        }
        let mut shown = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            writer.write_all(&fragment.as_bytes()[shown..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            shown = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[shown..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn strings_survive_and_are_safe(text: String) {
            let mut json = Vec::new();
            write_json(&mut json, &text).unwrap();
            let json = String::from_utf8(json).unwrap();
            prop_assert!(!json.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
