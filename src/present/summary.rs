//! What the human summary says, gathered flow by flow.
//!
//! [`SummaryBuilder`] takes a few numbers of every flow, and a whole record only of the largest. Its result does not
//! depend on the order in which flows come, and builders of several workers merge.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::name_of;
use crate::diagnose::Diagnosis;
use crate::event::{CaptureQuality, Class, FlowRecord, Stats};
use crate::redact::Redactor;
use crate::text::safe::safe;
use crate::text::units::Count;
use crate::time::{Timestamp, seconds};

/// How many of the largest flows are kept.
pub const TOP_MAX: usize = 10;
/// How many names of a class are told apart; beyond that they are no longer counted.
pub const NAMES_MAX: usize = 1000;
/// How many regions of a class are listed.
pub const REGIONS_MAX: usize = 32;

/// What the summary says.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The names of the files read, in order.
    pub files: Vec<String>,
    /// What the capture is worth.
    pub quality: CaptureQuality,
    /// Counts of the run.
    pub stats: Stats,
    /// What is wrong, where that was asked.
    pub diagnosis: Option<Diagnosis>,
    /// The classes that have flows, in the order of [`Class::ALL`].
    pub classes: Vec<ClassTotals>,
    /// The largest flows, largest first.
    pub top: Vec<TopFlow>,
    /// How many unknown flows gave each reason.
    pub unknown_reasons: BTreeMap<&'static str, u64>,
    /// What there is without the filter, where only flows that pass one are told.
    pub filtered: Option<Filtered>,
}

/// A filter, and what the capture has without it: what is told of the capture as a whole must not rest on what passes.
#[derive(Clone, Debug, Default)]
pub struct Filtered {
    /// The filter; empty where it may not be told.
    pub filter: String,
    /// The classes of all flows, as [`Summary::classes`].
    pub classes: Vec<ClassTotals>,
    /// Of all flows, as [`Summary::unknown_reasons`].
    pub unknown_reasons: BTreeMap<&'static str, u64>,
    /// How many findings there are.
    pub findings: u64,
    /// How many of them claim a fault.
    pub faults: u64,
    /// Something is left open where none does, as a view without video.
    pub open: bool,
}

/// What the flows of a class add up to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClassTotals {
    /// The class.
    pub class: Class,
    /// How many flows.
    pub flows: u64,
    /// Payload bytes from originators.
    pub payload_toserver: u64,
    /// Payload bytes from responders.
    pub payload_toclient: u64,
    /// The first packet of any of them.
    pub start: Timestamp,
    /// The last packet of any of them.
    pub end: Timestamp,
    /// Mean payload rate, both ways, from `start` to `end`, in bits per second; absent for a single moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The least confidence of any of them.
    pub confidence_min: f64,
    /// The greatest.
    pub confidence_max: f64,
    /// How many names of responders; at most [`NAMES_MAX`] are told apart.
    pub names: u64,
    /// The first of the names, in the order of their text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The regions, at most [`REGIONS_MAX`].
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub regions: BTreeSet<Box<str>>,
}

/// What is shown of a large flow.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TopFlow {
    pub class: Class,
    pub originator: std::net::IpAddr,
    pub responder: std::net::IpAddr,
    pub responder_port: Option<u16>,
    pub name: Option<String>,
    /// Payload bytes from the originator.
    pub up: u64,
    /// Payload bytes from the responder.
    pub down: u64,
    pub start: Timestamp,
    pub end: Timestamp,
    pub confidence: f64,
    pub conn_state: Option<&'static str>,
    pub one_sided: bool,
    pub flow_id: u64,
}

impl Summary {
    /// The classes of all flows of the capture, whatever passes a filter.
    pub fn all_classes(&self) -> &[ClassTotals] {
        self.filtered.as_ref().map_or(&self.classes, |filtered| &filtered.classes)
    }

    /// How many unknown flows of the capture gave each reason, whatever passes a filter.
    pub fn all_unknown_reasons(&self) -> &BTreeMap<&'static str, u64> {
        self.filtered.as_ref().map_or(&self.unknown_reasons, |filtered| &filtered.unknown_reasons)
    }

    /// What a filter lets pass, in words; nothing without one.
    pub fn passing(&self) -> Option<String> {
        let filtered = self.filtered.as_ref()?;
        let flows = |classes: &[ClassTotals]| Count(classes.iter().map(|totals| totals.flows).sum());
        let filter = if filtered.filter.is_empty() { "" } else { &format!("{}: ", safe(&filtered.filter)) };
        let mut told = format!("{filter}{} of {} flows", flows(&self.classes), flows(&filtered.classes));
        if let Some(diagnosis) = &self.diagnosis {
            let passing = Count(diagnosis.findings.len() as u64);
            told.push_str(&format!(", {passing} of {} findings", Count(filtered.findings)));
        }
        told.push_str(" pass");
        Some(told)
    }

    /// Replaces what may not leave a site.
    pub fn redact(&mut self, redactor: &Redactor) {
        self.files = redactor.files(self.files.len());
        redactor.quality(&mut self.quality);
        for totals in &mut self.classes {
            totals.name = totals.name.as_ref().map(|name| redactor.host(name));
            totals.regions = totals.regions.iter().map(|region| redactor.region(region).into()).collect();
        }
        for top in &mut self.top {
            (top.originator, top.responder) = (redactor.ip(top.originator), redactor.ip(top.responder));
            top.name = top.name.as_ref().map(|name| redactor.host(name));
        }
        if let Some(diagnosis) = &mut self.diagnosis {
            redactor.diagnosis(diagnosis);
        }
        // what was filtered by may be the beginning of a name, which nobody would know for one
        self.filtered.iter_mut().for_each(|filtered| filtered.filter.clear());
    }
}

impl TopFlow {
    fn bytes(&self) -> u64 {
        self.up.saturating_add(self.down)
    }

    /// Larger first; of equals the earlier.
    fn rank(&self, other: &TopFlow) -> Ordering {
        let key = |f: &TopFlow| (std::cmp::Reverse(f.bytes()), f.start, f.flow_id);
        key(self).cmp(&key(other))
    }
}

#[derive(Clone, Debug, Default)]
struct Gathering {
    totals: ClassTotals,
    names: HashSet<Box<str>>,
}

/// Gathers a [`Summary`].
#[derive(Clone, Debug)]
pub struct SummaryBuilder {
    classes: Vec<Gathering>,
    top: Vec<TopFlow>,
    unknown_reasons: BTreeMap<&'static str, u64>,
}

impl Default for SummaryBuilder {
    fn default() -> Self {
        SummaryBuilder::new()
    }
}

impl SummaryBuilder {
    /// With nothing in it.
    pub fn new() -> Self {
        let gathering =
            |class| Gathering { totals: ClassTotals { class, ..ClassTotals::default() }, ..Gathering::default() };
        let classes = Class::ALL.map(gathering).to_vec();
        SummaryBuilder { classes, top: Vec::with_capacity(TOP_MAX + 1), unknown_reasons: BTreeMap::new() }
    }

    /// Counts a flow. `up` and `down` are payload bytes from originator and responder, mirror copies left out;
    /// `name` is what the responder was called. Allocates only for a name or region not met before.
    #[allow(clippy::too_many_arguments)]
    pub fn flow(
        &mut self,
        class: Class,
        up: u64,
        down: u64,
        start: Timestamp,
        end: Timestamp,
        confidence: f64,
        name: Option<&str>,
        region: Option<&str>,
    ) {
        // `classes` is in the order of the enum.
        let Some(Gathering { totals, names }) = self.classes.get_mut(class as usize) else { return };
        let first = totals.flows == 0;
        totals.flows += 1;
        totals.payload_toserver = totals.payload_toserver.saturating_add(up);
        totals.payload_toclient = totals.payload_toclient.saturating_add(down);
        totals.start = if first { start } else { totals.start.min(start) };
        totals.end = if first { end } else { totals.end.max(end) };
        totals.confidence_min = if first { confidence } else { totals.confidence_min.min(confidence) };
        totals.confidence_max = if first { confidence } else { totals.confidence_max.max(confidence) };
        if let Some(name) = name {
            note_name(totals, names, name);
        }
        if let Some(region) = region {
            note_region(&mut totals.regions, region);
        }
    }

    /// Counts `flows` flows that have no class for a reason, a subclass of `unknown`.
    pub fn unknown(&mut self, reason: &'static str, flows: u64) {
        *self.unknown_reasons.entry(reason).or_default() += flows;
    }

    /// Whether a flow of so many payload bytes, both ways, that began then may be one of the largest, and [`Self::top`]
    /// is worth calling.
    pub fn wants_top(&self, bytes: u64, start: Timestamp) -> bool {
        let may_beat = |least: &TopFlow| bytes > least.bytes() || bytes == least.bytes() && start <= least.start;
        self.top.len() < TOP_MAX || self.top.last().is_some_and(may_beat)
    }

    /// Offers a flow for the list of the largest. `name` is what the responder was called, where that is not in the
    /// record.
    pub fn top(&mut self, record: &FlowRecord<'_>, name: Option<&str>) {
        let counts = &record.flow;
        self.insert(TopFlow {
            class: record.class,
            originator: record.src_ip,
            responder: record.dest_ip,
            // what stands in its place of ICMP is a type or code
            responder_port: record.dest_port.filter(|_| !record.proto.ends_with("ICMP")),
            name: name.or_else(|| super::host_of(record)).map(str::to_owned),
            up: counts.payload_toserver,
            down: counts.payload_toclient,
            start: counts.start,
            end: counts.end,
            confidence: record.confidence,
            conn_state: counts.conn_state,
            one_sided: counts.one_sided,
            flow_id: record.flow_id,
        });
    }

    /// [`Self::flow`], [`Self::unknown`] and [`Self::top`] for a flow whose record there is anyway.
    pub fn record(&mut self, record: &FlowRecord<'_>) {
        let counts = &record.flow;
        let (up, down) = (counts.payload_toserver, counts.payload_toclient);
        let region = record.region.as_deref();
        self.flow(record.class, up, down, counts.start, counts.end, record.confidence, name_of(record), region);
        if record.class == Class::Unknown {
            record.subclass.iter().for_each(|reason| self.unknown(reason, 1));
        }
        if self.wants_top(up.saturating_add(down), counts.start) {
            self.top(record, None);
        }
    }

    fn insert(&mut self, flow: TopFlow) {
        let at = self.top.partition_point(|kept| kept.rank(&flow).is_lt());
        self.top.insert(at, flow);
        self.top.truncate(TOP_MAX);
    }

    /// Adds what another builder gathered, of other flows.
    pub fn merge(&mut self, other: SummaryBuilder) {
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            merge_class(mine, theirs);
        }
        other.top.into_iter().for_each(|flow| self.insert(flow));
        for (reason, count) in other.unknown_reasons {
            *self.unknown_reasons.entry(reason).or_default() += count;
        }
    }

    /// The summary, with the facts of the capture.
    pub fn finish(self, files: Vec<String>, quality: CaptureQuality, stats: Stats) -> Summary {
        let finished = |Gathering { mut totals, names }: Gathering| {
            totals.names = names.len() as u64;
            let bits = totals.payload_toserver.saturating_add(totals.payload_toclient) as f64 * 8.0;
            let span = seconds(totals.end.since(totals.start));
            totals.rate = (span > 0.0).then(|| bits / span);
            totals
        };
        let classes = self.classes.into_iter().filter(|c| c.totals.flows > 0).map(finished).collect();
        let (top, unknown_reasons) = (self.top, self.unknown_reasons);
        Summary { files, quality, stats, diagnosis: None, classes, top, unknown_reasons, filtered: None }
    }
}

fn note_name(totals: &mut ClassTotals, names: &mut HashSet<Box<str>>, name: &str) {
    if totals.name.as_deref().is_none_or(|least| name < least) {
        totals.name = Some(name.to_owned());
    }
    if names.len() < NAMES_MAX && !names.contains(name) {
        names.insert(name.into());
    }
}

fn note_region(regions: &mut BTreeSet<Box<str>>, region: &str) {
    if regions.contains(region) {
        return;
    }
    regions.insert(region.into());
    if regions.len() > REGIONS_MAX {
        regions.pop_last();
    }
}

fn merge_class(mine: &mut Gathering, theirs: Gathering) {
    let (a, b) = (&mut mine.totals, theirs.totals);
    if b.flows == 0 {
        return;
    }
    if a.flows == 0 {
        *mine = Gathering { totals: b, names: theirs.names };
        return;
    }
    a.flows += b.flows;
    a.payload_toserver = a.payload_toserver.saturating_add(b.payload_toserver);
    a.payload_toclient = a.payload_toclient.saturating_add(b.payload_toclient);
    a.start = a.start.min(b.start);
    a.end = a.end.max(b.end);
    a.confidence_min = a.confidence_min.min(b.confidence_min);
    a.confidence_max = a.confidence_max.max(b.confidence_max);
    theirs.names.iter().for_each(|name| note_name(a, &mut mine.names, name));
    b.name.iter().for_each(|name| note_name(a, &mut mine.names, name));
    b.regions.iter().for_each(|region| note_region(&mut a.regions, region));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    #[test]
    fn classes_index_themselves() {
        for (i, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, i);
        }
    }

    #[test]
    fn neither_order_nor_workers_matter() {
        let flows: Vec<_> = (0..40u64)
            .map(|i| {
                let mut flow = if i % 3 == 0 { sample::dns() } else { sample::relay() };
                flow.flow_id = i;
                flow.flow.payload_toserver = i / 4 * 1000;
                flow.region = Some(format!("region-{}", i % 5).into());
                flow
            })
            .collect();
        let finish = |b: SummaryBuilder| {
            let s = b.finish(Vec::new(), CaptureQuality::default(), Stats::default());
            (serde_json::to_string(&s.classes).unwrap(), s.top)
        };
        let gather = |flows: &mut dyn Iterator<Item = &FlowRecord<'static>>| {
            let mut builder = SummaryBuilder::new();
            flows.for_each(|f| builder.record(f));
            builder
        };
        let forward = finish(gather(&mut flows.iter()));
        assert_eq!(forward.1.len(), TOP_MAX);
        assert_eq!(finish(gather(&mut flows.iter().rev())), forward);
        let mut merged = gather(&mut flows.iter().skip(1).step_by(2));
        merged.merge(gather(&mut flows.iter().step_by(2)));
        assert_eq!(finish(merged), forward);
    }
}
