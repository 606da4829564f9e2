//! JSON: one document, streamed.
//!
//! ```text
//! {"schema_version":1,"capture_quality":{…},"stats":{…},"classes":[{…}],"flows":[{…},…],"sessions":[…],"findings":[…],
//! "site":{…},"changes":[…]}
//! ```

use std::io::{self, Write};

use super::ndjson::write_json;
use super::summary::ClassTotals;
use crate::changes::Change;
use crate::diagnose::Diagnosis;
use crate::event::{CaptureQuality, FlowRecord, SCHEMA_VERSION, Stats};

/// Writes the document: its head at once, then each flow as it is given.
#[derive(Debug)]
pub struct Document<W> {
    writer: W,
    any: bool,
}

impl<W: Write> Document<W> {
    /// Begins the document with all that is known of the run.
    pub fn begin(
        mut writer: W,
        quality: &CaptureQuality,
        stats: &Stats,
        classes: &[ClassTotals],
    ) -> io::Result<Document<W>> {
        write!(writer, "{{\"schema_version\":{SCHEMA_VERSION},\"capture_quality\":")?;
        write_json(&mut writer, quality)?;
        writer.write_all(b",\n\"stats\":")?;
        write_json(&mut writer, stats)?;
        writer.write_all(b",\n\"classes\":")?;
        write_json(&mut writer, classes)?;
        writer.write_all(b",\n\"flows\":[")?;
        Ok(Document { writer, any: false })
    }

    /// The next flow.
    pub fn flow(&mut self, record: &FlowRecord<'_>) -> io::Result<()> {
        self.writer.write_all(if self.any { b",\n" } else { b"\n" })?;
        self.any = true;
        write_json(&mut self.writer, record)
    }

    /// Ends the document with what was made of it and what is asked for, flushes, and hands the writer back.
    pub fn finish(mut self, diagnosis: Option<&Diagnosis>, changes: &[Change]) -> io::Result<W> {
        self.writer.write_all(b"\n]")?;
        if let Some(diagnosis) = diagnosis {
            self.writer.write_all(b",\n\"sessions\":")?;
            write_json(&mut self.writer, &diagnosis.sessions)?;
            self.writer.write_all(b",\n\"findings\":")?;
            write_json(&mut self.writer, &diagnosis.findings)?;
            if diagnosis.site.tells() {
                self.writer.write_all(b",\n\"site\":")?;
                write_json(&mut self.writer, &diagnosis.site)?;
            }
            self.writer.write_all(b",\n\"changes\":")?;
            write_json(&mut self.writer, changes)?;
        }
        self.writer.write_all(b"}\n")?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    #[test]
    fn is_one_document() {
        for flows in [vec![], vec![sample::relay()], vec![sample::relay(), sample::dns()]] {
            let summary = sample::summary();
            let mut document =
                Document::begin(Vec::new(), &sample::quality(), &Stats::default(), &summary.classes).unwrap();
            for flow in &flows {
                document.flow(flow).unwrap();
            }
            let diagnosis = Diagnosis { findings: sample::findings(), site: sample::site(), ..Diagnosis::default() };
            let judged = flows.len() > 1;
            let text = document.finish(judged.then_some(&diagnosis), &[]).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value["findings"].as_array().map(Vec::len), judged.then_some(diagnosis.findings.len()));
            assert_eq!(value.get("site").is_some(), judged);
            assert_eq!(value["sessions"].as_array().map(Vec::len), judged.then_some(0));
            assert_eq!(value["flows"].as_array().unwrap().len(), flows.len());
            assert_eq!(value["schema_version"], 1);
            assert_eq!(value["classes"][0]["class"], "relay");
            assert_eq!(value["capture_quality"]["frames"], 12_034);
        }
    }
}
