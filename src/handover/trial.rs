//! Which frames a finding rests on: what is chosen is judged anew, and more is taken until the finding is there again.

use std::collections::{HashMap, HashSet};

use super::{Attention, Read, judge};
use crate::carve::{Look, Picker, Reach, cited, is_same};
use crate::engine::{self, Engine};
use crate::event::FindingRecord;
use crate::evidence::{Finder, Wanted, of_packets, wanted};
use crate::pipeline::Outcome;
use crate::source::{Chunk, Facts, Frame, FrameRef};

/// How many bytes of frames are kept while findings are tried, so that they need not be read again to be written.
const KEPT_BYTES: usize = 64 << 20;

/// What is chosen for a finding.
#[derive(Debug)]
pub struct Chosen {
    /// The flows that it rests on, and those of the frames that it cites.
    pub(super) flows: Vec<Wanted>,
    /// How much around them.
    pub(super) reach: Reach,
    /// What was chosen raises the finding by itself.
    pub(super) raised: bool,
    /// The frames, where they were not too many to keep.
    pub(super) frames: Option<Frames>,
}

/// Frames, with their numbers in the capture they are taken from.
#[derive(Debug, Default)]
pub(super) struct Frames {
    chunk: Chunk,
    numbers: Vec<u64>,
}

impl Frames {
    /// Keeps a copy; false if there would be more than `most` bytes then.
    fn keep(&mut self, number: u64, frame: &Frame<'_>, most: usize) -> bool {
        let start = self.chunk.buf.len();
        let held = start.saturating_add(self.numbers.len().saturating_mul(size_of::<FrameRef>()));
        let (Ok(at), Ok(caplen)) = (u32::try_from(start), u32::try_from(frame.bytes.len())) else { return false };
        if held.saturating_add(frame.bytes.len()) > most {
            return false;
        }
        self.chunk.buf.extend_from_slice(frame.bytes);
        self.chunk.frames.push(FrameRef { ts: frame.ts, start: at, caplen, len: frame.len, link: frame.link });
        self.numbers.push(number);
        true
    }

    /// Gives each, in order.
    pub(super) fn each<E>(&self, mut take: impl FnMut(u64, &Frame<'_>) -> Result<(), E>) -> Result<(), E> {
        let frames = self.chunk.frames.iter().filter_map(|at| self.chunk.frame(at));
        self.numbers.iter().zip(frames).try_for_each(|(number, frame)| take(*number, &frame))
    }
}

/// Frames that are chosen for a finding, judged as they come.
struct Trial {
    picker: Picker,
    engine: Engine,
    facts: Facts,
    frames: Option<Frames>,
}

impl Trial {
    fn new(read: &Read<'_>, config: &engine::Config, finding: &FindingRecord, flows: &[Wanted], reach: Reach) -> Trial {
        let all = &read.outcome.facts;
        Trial {
            picker: Picker::new(flows.to_vec(), cited(finding), all.frames, reach),
            engine: Engine::new(config),
            facts: Facts {
                kernel_drops: all.kernel_drops,
                interface_drops: all.interface_drops,
                end: all.end,
                ..Facts::default()
            },
            frames: Some(Frames::default()),
        }
    }

    fn frame(&mut self, number: u64, frame: &Frame<'_>, look: &Look, most: usize) {
        if !self.picker.takes(look) {
            return;
        }
        let of_link = self.facts.links.entry(frame.link).or_default();
        *of_link = of_link.saturating_add(1);
        self.engine.frame(*frame);
        if !self.frames.as_mut().is_some_and(|frames| frames.keep(number, frame, most)) {
            self.frames = None;
        }
    }

    /// Whether the finding is raised by what was chosen, and what that was.
    fn finish(self, read: &Read<'_>, finding: &FindingRecord) -> (bool, Option<Frames>) {
        let (analysis, facts) = (self.engine.finish(), self.facts);
        let outcome = Outcome { facts, ..Outcome::of(analysis) };
        let naming = outcome.name(read.base);
        let diagnosis = judge(&outcome, Vec::new(), &naming, read.base, read.rules);
        (diagnosis.findings.iter().any(|found| is_same(found, finding)), self.frames)
    }
}

impl Read<'_> {
    /// Chooses for each finding the least reach from which it is raised again: all are tried in one reading of the
    /// capture, and those that need more than their flows in one more each. What needs everything is not tried: that is
    /// what it was raised by.
    pub fn choose(
        &self,
        config: &engine::Config,
        findings: &[&FindingRecord],
        attention: Attention<'_>,
    ) -> Vec<Chosen> {
        let own = |finding: &&FindingRecord| {
            let ids: HashSet<u64> = finding.flow_ids.iter().copied().collect();
            wanted(&self.outcome.analysis, self.naming, &ids)
        };
        let mut flows: Vec<Vec<Wanted>> = findings.iter().map(own).collect();
        self.add_witnesses(findings, &mut flows, attention);
        let mut tried = self.tried(config, findings, &flows, Reach::Flows, attention);
        for ((finding, flows), of_finding) in findings.iter().zip(&flows).zip(&mut tried) {
            if of_finding.is_none() && !flows.is_empty() {
                let one = std::slice::from_ref(flows);
                *of_finding = self.tried(config, &[*finding], one, Reach::Hosts, attention).pop().flatten();
            }
        }
        let chosen = |(flows, tried): (Vec<Wanted>, Option<Tried>)| {
            // a reading that was stopped has judged nothing
            let raised = tried.is_some() || !attention.is_stopped();
            let (reach, frames) = tried.unwrap_or((Reach::All, None));
            Chosen { flows, reach, raised, frames }
        };
        flows.into_iter().zip(tried).map(chosen).collect()
    }

    /// Adds the flows of the frames that findings cite and that are none of their own, as what works for a client
    /// meanwhile: a frame alone would not show that it does. The capture is read as far as the last of these frames.
    fn add_witnesses(&self, findings: &[&FindingRecord], flows: &mut [Vec<Wanted>], attention: Attention<'_>) {
        // what concerns no flow is carved whole
        let concerned = findings.iter().zip(&*flows).filter(|(_, own)| !own.is_empty());
        let frames: HashSet<u64> = concerned.flat_map(|(finding, _)| cited(finding)).collect();
        let Some(last) = frames.iter().max().copied() else { return };
        let mut packets = HashMap::new();
        let mut number = 0u64;
        self.each(attention, &mut |frame| {
            number = number.saturating_add(1);
            if frames.contains(&number) {
                packets.extend(Look::at(frame, number).packet().map(|packet| (number, packet)));
            }
            number < last
        });
        for (finding, flows) in findings.iter().zip(flows).filter(|(_, own)| !own.is_empty()) {
            let own = Finder::new(flows.clone());
            let cited = cited(finding);
            let cited = cited.iter().filter_map(|number| packets.get(number)).copied();
            let others: Vec<_> = cited.filter(|packet| own.find(packet).is_none()).collect();
            flows.extend(of_packets(&self.outcome.analysis, self.naming, &others));
        }
    }

    /// Tries one reach for these findings: what was chosen, where the finding was raised by it.
    fn tried(
        &self,
        config: &engine::Config,
        findings: &[&FindingRecord],
        flows: &[Vec<Wanted>],
        reach: Reach,
        attention: Attention<'_>,
    ) -> Vec<Option<Tried>> {
        let trial = |(finding, flows): (&&FindingRecord, &Vec<Wanted>)| {
            (!flows.is_empty()).then(|| Trial::new(self, config, finding, flows, reach))
        };
        let mut trials: Vec<Option<Trial>> = findings.iter().zip(flows).map(trial).collect();
        let most = KEPT_BYTES.checked_div(trials.len()).unwrap_or_default();
        let mut number = 0u64;
        if trials.iter().any(Option::is_some) {
            self.each(attention, &mut |frame| {
                number = number.saturating_add(1);
                let look = Look::at(frame, number);
                trials.iter_mut().flatten().for_each(|trial| trial.frame(number, frame, &look, most));
                true
            });
        }
        let finish = |(trial, finding): (Option<Trial>, &&FindingRecord)| {
            let (raised, frames) = trial?.finish(self, finding);
            raised.then_some((reach, frames))
        };
        trials.into_iter().zip(findings).map(finish).collect()
    }
}

/// A reach from which a finding was raised, and its frames if they were kept.
type Tried = (Reach, Option<Frames>);
