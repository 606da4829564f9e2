//! All that a ticket needs in one archive: the report, the records, carved captures, and what they are.

use std::io::{self, Write};

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::carve::Treatment;
use super::{Attention, Read};
use crate::changes::Texts;
use crate::engine;
use crate::event::{FindingRecord, Severity};
use crate::present::color::Style;
use crate::present::page::Markup;
use crate::present::report::{self, Report, Telling};
use crate::present::{Format, csv};
use crate::redact::Redactor;
use crate::text::zone::Zone;

/// How many findings are carved.
const CARVED_MAX: usize = 12;

/// What a pack is made of.
#[derive(Clone)]
pub struct Pack<'a> {
    /// The capture.
    pub read: Read<'a>,
    /// What the engine was asked for.
    pub config: &'a engine::Config,
    /// What is told of it.
    pub report: Report<'a>,
    /// Replaces addresses and names.
    pub redactor: Option<&'a Redactor>,
    /// By which clock times are told.
    pub zone: Zone,
    /// Frames keep their content.
    pub payload: bool,
}

/// A file of the archive, as the manifest tells of it.
#[derive(Serialize)]
struct Entry {
    file: String,
    bytes: u64,
    sha256: String,
    what: String,
}

#[derive(Serialize)]
struct Manifest<'a> {
    made_by: &'static str,
    rules: String,
    captures: &'a [String],
    replaced: String,
    payload: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    findings_not_carved: usize,
    files: &'a [Entry],
}

impl Pack<'_> {
    /// Writes the archive.
    ///
    /// # Errors
    /// What writing gives.
    pub fn write(&self, out: &mut dyn Write, attention: Attention<'_>) -> io::Result<()> {
        let mut archive = Archive { zip: zip::ZipWriter::new_stream(out), entries: Vec::new() };
        let diagnosis = self.report.concerning();
        let findings = diagnosis.as_ref().map(|diagnosis| &*diagnosis.findings).unwrap_or_default();
        let claims: Vec<&FindingRecord> =
            findings.iter().filter(|finding| finding.is_claim() && finding.severity > Severity::Info).collect();
        let redact = |finding: &FindingRecord| {
            let mut finding = finding.clone();
            self.redactor.iter().for_each(|redactor| redactor.finding(&mut finding));
            finding
        };
        let mut names = Vec::new();
        let carved = claims.get(..CARVED_MAX.min(claims.len())).unwrap_or_default();
        let chosen = self.read.choose(self.config, carved, attention);
        for (finding, chosen) in carved.iter().zip(chosen) {
            let told = redact(finding);
            let name = format!("captures/{}-{}.pcapng", told.id, told.kind.text());
            let treatment = Treatment { strip: !self.payload, snaplen: None, redactor: self.redactor };
            archive.file(&name, &told.title, |out| {
                self.read.carve_finding(out, finding, chosen, treatment, attention).map(|_| ())
            })?;
            names.push(name);
        }
        let style = Style::plain();
        let telling = Telling { redactor: self.redactor, mask: true };
        archive.file("records.ndjson", "flows, sessions, findings, capture quality, counts", |out| {
            report::write_with(out, Format::Ndjson, self.report.clone(), style, telling).map(|_| ())
        })?;
        archive.file("flows.csv", "the flows", |out| {
            report::write_with(out, Format::Csv, self.report.clone(), style, telling).map(|_| ())
        })?;
        self.pages(&mut archive, names, attention)?;
        self.manifest(archive, claims.len().saturating_sub(CARVED_MAX))
    }

    fn pages(&self, archive: &mut Archive<'_>, mut names: Vec<String>, attention: Attention<'_>) -> io::Result<()> {
        let texts = Texts::embedded().map_err(io::Error::other)?;
        let told = self.read.told(self.report.clone(), &texts, self.redactor, self.zone, attention);
        names.extend(["records.ndjson", "flows.csv", "changes.csv", "manifest.json"].map(str::to_owned));
        for (name, what, markup) in
            [("report.html", "the report", Markup::Html), ("report.md", "the report, for a ticket", Markup::Markdown)]
        {
            archive.file(name, what, |out| self.read.write_page(out, &told, &texts, self.redactor, &names, markup))?;
        }
        archive.file("changes.csv", "the requested changes", |out| csv::changes(out, &told.changes))
    }

    fn manifest(&self, mut archive: Archive<'_>, omitted: usize) -> io::Result<()> {
        let captures = match self.redactor {
            Some(redactor) => redactor.files(self.report.files.len()),
            None => self.report.files.clone(),
        };
        let entries = std::mem::take(&mut archive.entries);
        let manifest = Manifest {
            made_by: concat!("relayscope ", env!("CARGO_PKG_VERSION")),
            rules: crate::diagnose::rules::digest(),
            captures: &captures,
            replaced: self.redactor.map(|redactor| redactor.what().text()).unwrap_or_default(),
            payload: if self.payload { "as captured" } else { "taken out" },
            filter: self.report.filter.map(ToString::to_string),
            findings_not_carved: omitted,
            files: &entries,
        };
        archive.file("manifest.json", "", |out| {
            serde_json::to_writer_pretty(&mut *out, &manifest).map_err(io::Error::from)?;
            out.write_all(b"\n")
        })?;
        archive.zip.finish().map_err(io::Error::from)?.flush()
    }
}

/// The archive while it is written.
struct Archive<'o> {
    zip: zip::ZipWriter<zip::write::StreamWriter<&'o mut dyn Write>>,
    entries: Vec<Entry>,
}

impl Archive<'_> {
    fn file(&mut self, name: &str, what: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).large_file(true);
        self.zip.start_file(name, options).map_err(io::Error::from)?;
        let mut counted = Counted { out: io::BufWriter::new(&mut self.zip), sum: Sha256::new(), bytes: 0 };
        write(&mut counted)?;
        counted.flush()?;
        let (sum, bytes) = (counted.sum.finalize(), counted.bytes);
        let (file, what) = (name.to_owned(), what.to_owned());
        self.entries.push(Entry { file, bytes, sha256: HEXLOWER.encode(&sum), what });
        Ok(())
    }
}

/// Counts and digests what goes through.
struct Counted<W> {
    out: W,
    sum: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
