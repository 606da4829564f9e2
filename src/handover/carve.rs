//! The frames that a finding rests on, or flows that are chosen, as pcapng.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

use super::trial::Chosen;
use super::{Attention, Read};
use crate::carve::strip::strip;
use crate::carve::{Look, Picker, Reach, cited, comments};
use crate::event::FindingRecord;
use crate::evidence::wanted;
use crate::pcapng::{Interface, Section, Statistics, Writer};
use crate::redact::Redactor;
use crate::source::{Facts, Frame, LinkType};
use crate::time::Timestamp;

/// What happens to the frames that are carved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Treatment<'a> {
    /// Content is taken out.
    pub strip: bool,
    /// No more than so many bytes of each frame are kept.
    pub snaplen: Option<usize>,
    /// Addresses and names are replaced, which takes content out too.
    pub redactor: Option<&'a Redactor>,
}

/// What carving came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carved {
    /// How many frames were written.
    pub frames: u64,
    /// The finding is raised by what was carved; true where none was asked for.
    pub raised: bool,
}

impl Read<'_> {
    /// Carves what a finding rests on: the least reach from which it is raised again. `chosen` is what
    /// [`Read::choose`] gave for it.
    ///
    /// # Errors
    /// What writing gives.
    pub fn carve_finding(
        &self,
        out: &mut dyn Write,
        finding: &FindingRecord,
        chosen: Chosen,
        treatment: Treatment<'_>,
        attention: Attention<'_>,
    ) -> io::Result<Carved> {
        let lead = finding.flow_ids.first();
        let lead = chosen.flows.iter().find(|flow| Some(&flow.flow_id) == lead).map(|flow| flow.first_frame);
        let comments = comments(finding, lead);
        let about = [format!("{} {}: {}", finding.rule, finding.id, finding.title), finding.advice.clone()];
        let mut file = File::begin(out, &about, &comments, treatment)?;
        match &chosen.frames {
            Some(frames) => frames.each(|number, frame| file.frame(number, frame))?,
            None => {
                let picker = Picker::new(chosen.flows, cited(finding), self.outcome.facts.frames, chosen.reach);
                self.pick(picker, &mut file, attention)?;
            }
        }
        let frames = file.finish(&self.outcome.facts, self.outcome.analysis.totals.last)?;
        Ok(Carved { frames, raised: chosen.raised })
    }

    /// Carves the flows that have these identities, with what names them.
    ///
    /// # Errors
    /// What writing gives.
    pub fn carve_flows(
        &self,
        out: &mut dyn Write,
        ids: &HashSet<u64>,
        treatment: Treatment<'_>,
        attention: Attention<'_>,
    ) -> io::Result<Carved> {
        let flows = wanted(&self.outcome.analysis, self.naming, ids);
        let none = HashMap::new();
        let mut file = File::begin(out, &[], &none, treatment)?;
        let picker = Picker::new(flows, HashSet::new(), self.outcome.facts.frames, Reach::Flows);
        self.pick(picker, &mut file, attention)?;
        let frames = file.finish(&self.outcome.facts, self.outcome.analysis.totals.last)?;
        Ok(Carved { frames, raised: true })
    }

    /// Writes what is picked.
    fn pick(&self, picker: Picker, file: &mut File<'_>, attention: Attention<'_>) -> io::Result<()> {
        let (mut number, mut failed) = (0u64, None);
        self.each(attention, &mut |frame| {
            number = number.saturating_add(1);
            if picker.takes(&Look::at(frame, number)) {
                failed = file.frame(number, frame).err();
            }
            failed.is_none()
        });
        failed.map_or(Ok(()), Err)
    }
}

/// A carved capture while it is written: an interface for each link type.
struct File<'o> {
    writer: Writer<&'o mut dyn Write>,
    comments: &'o HashMap<u64, Vec<String>>,
    treatment: Treatment<'o>,
    interfaces: BTreeMap<LinkType, u32>,
    frames: u64,
}

impl<'o> File<'o> {
    /// Begins a file; `comments` are said of the frames that have these numbers, `about` of all.
    fn begin(
        out: &'o mut dyn Write,
        about: &[String],
        comments: &'o HashMap<u64, Vec<String>>,
        treatment: Treatment<'o>,
    ) -> io::Result<File<'o>> {
        let about: Vec<String> = about.iter().map(|text| treatment.told(text)).collect();
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let application = concat!("relayscope ", env!("CARGO_PKG_VERSION"));
        let section = Section { os: None, application: Some(application), comments: &about };
        let writer = Writer::new(out, &section)?;
        Ok(File { writer, comments, treatment, interfaces: BTreeMap::new(), frames: 0 })
    }

    /// Writes the frame that has that number in the capture it was taken from.
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> io::Result<()> {
        let treatment = self.treatment;
        let replaced;
        let mut shown = *frame;
        if let Some(redactor) = treatment.redactor {
            let Some((link, bytes)) = redactor.frame(frame) else { return Ok(()) };
            replaced = bytes;
            let len = u32::try_from(replaced.len()).unwrap_or(u32::MAX);
            shown = Frame { link, len, bytes: &replaced, ..*frame };
        } else if treatment.strip {
            replaced = strip(frame);
            shown = Frame { bytes: &replaced, ..*frame };
        }
        if let Some(most) = treatment.snaplen {
            shown.bytes = shown.bytes.get(..most).unwrap_or(shown.bytes);
        }
        let interface = self.interface(shown.link)?;
        self.frames = self.frames.saturating_add(1);
        let said = self.comments.get(&number).map(Vec::as_slice).unwrap_or_default();
        let said: Vec<String> = said.iter().map(|text| treatment.told(text)).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        self.writer.frame(interface, &shown, &said)
    }

    fn interface(&mut self, link: LinkType) -> io::Result<u32> {
        if let Some(interface) = self.interfaces.get(&link) {
            return Ok(*interface);
        }
        let snaplen = self.treatment.snaplen.and_then(|most| u32::try_from(most).ok()).unwrap_or(0);
        let interface = self.writer.interface(&Interface { link, snaplen, name: None, filter: None })?;
        self.interfaces.insert(link, interface);
        Ok(interface)
    }

    /// What the interfaces lost, and when their capture ended, goes with the first of them.
    fn finish(mut self, facts: &Facts, time: Timestamp) -> io::Result<u64> {
        let (interface_drops, kernel_drops, end) = (facts.interface_drops, facts.kernel_drops, facts.end);
        let told = kernel_drops.or(interface_drops).is_some() || end.is_some();
        if let Some(first) = self.interfaces.values().next().copied().filter(|_| told) {
            let statistics = Statistics { time, end, interface_drops, kernel_drops, ..Statistics::default() };
            self.writer.statistics(first, &statistics)?;
        }
        self.writer.output().flush()?;
        Ok(self.frames)
    }
}

impl Treatment<'_> {
    /// A text about the capture as it may be told.
    fn told(&self, text: &str) -> String {
        self.redactor.map_or_else(|| text.to_owned(), |redactor| redactor.text(text))
    }
}
