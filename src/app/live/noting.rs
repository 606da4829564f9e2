//! NDJSON as it happens, and what of it is to be said in the capture's files.

use std::io::{self, Write};

use super::super::say;
use super::{Front, Load};
use crate::capture::recorder::Note;
use crate::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, State, Stats};
use crate::monitor::{Monitor, Sink};
use crate::present::ndjson::Ndjson;

/// Writes records, each on its way before the next is looked at, and notes findings.
pub(super) struct Noting<W> {
    ndjson: Ndjson<W>,
    notes: Vec<Note>,
    told: bool,
}

impl<W: Write> Noting<W> {
    pub(super) const fn new(ndjson: Ndjson<W>) -> Self {
        Noting { ndjson, notes: Vec::new(), told: false }
    }

    fn told(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.told = true;
        result
    }
}

impl<W: Write> Front for Noting<W> {
    fn turn(&mut self, _: &mut Monitor<'_>, _: &Load) -> io::Result<bool> {
        if std::mem::take(&mut self.told) {
            self.ndjson.flush()?;
        }
        Ok(true)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn say(&mut self, line: &str) {
        say(line);
    }
}

impl<W: Write> Sink for Noting<W> {
    type Error = io::Error;

    fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        let result = self.ndjson.flow(record);
        self.told(result)
    }

    fn session(&mut self, record: &SessionRecord) -> io::Result<()> {
        let result = self.ndjson.session(record);
        self.told(result)
    }

    fn finding(&mut self, record: &FindingRecord) -> io::Result<()> {
        self.notes.push(note(record));
        let result = self.ndjson.finding(record);
        self.told(result)
    }

    fn capture_quality(&mut self, record: &CaptureQuality) -> io::Result<()> {
        let result = self.ndjson.capture_quality(record);
        self.told(result)
    }

    fn stats(&mut self, record: &Stats) -> io::Result<()> {
        let result = self.ndjson.stats(record);
        self.told(result)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.ndjson.flush()
    }
}

/// A finding as a comment; what is claimed and new is worth keeping.
fn note(record: &FindingRecord) -> Note {
    let state = record.state.map_or("told", |state| state.text());
    let text = format!(
        "{}: {} {state}, {} ({:.2}): {}. Id {}.",
        record.rule,
        record.kind.text(),
        record.word.text(),
        record.confidence,
        record.title,
        record.id
    );
    let keep = record.state == Some(State::Raised) && record.is_claim();
    Note { time: record.last, text, keep }
}
