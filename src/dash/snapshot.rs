//! What the screen shows of a capture at one moment: made beside the engine, and never changed after.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::detail::Detail;
use super::history::{History, METHODS};
use super::ways::{Found, Way, ways};
use crate::engine::light::Light;
use crate::event::{
    CaptureQuality, FindingRecord, Kind, Manner, Mode, SessionRecord, Severity, SiteRecord, Stats, StepOutcome,
};
use crate::present::is_vendor;
use crate::time::Timestamp;

/// How far a capture has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// It is open, and nothing of it has been read.
    #[default]
    Opening,
    /// It is being read; the share of its bytes that were read, 0 to 1, where its size is known.
    Reading(Option<f64>),
    /// It plays, in packet time.
    Playing,
    /// It plays no further for now.
    Halted,
    /// Packets are taken from an interface; for how many seconds there has been none.
    Live(u64),
    /// All of it was seen.
    Ended,
    /// It cannot be read, for this reason.
    Failed(String),
}

/// Where a recorded capture plays, and between which moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transport {
    /// The first frame's time.
    pub start: Timestamp,
    /// The last frame's time, as far as it is known.
    pub end: Timestamp,
    /// How many times faster than it happened; `None` is as fast as the machine goes.
    pub speed: Option<f64>,
    /// Findings by the time when they were first seen.
    pub marks: Vec<(Timestamp, Severity)>,
}

/// A host of the site.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRow {
    /// Its address.
    pub ip: IpAddr,
    /// What it is: `recorder`, `client`, what else it does (`camera`, `resolver`, `clock`, `panel`), or nothing that is
    /// known.
    pub role: Option<&'static str>,
    /// Its hardware address, as ARP told it.
    pub mac: Option<[u8; 6]>,
    /// Flows that it began, and flows that it answered.
    pub flows: [u64; 2],
    /// Payload bytes from it, and to it.
    pub payload: [u64; 2],
    /// How many of its flows go to the vendor.
    pub vendor: u64,
    /// When it was last heard or spoken to.
    pub last: Timestamp,
    /// JA4 of its hellos, the first few.
    pub ja4: Vec<String>,
    /// How it is seen from outside, as STUN told it; the first few.
    pub outside: Vec<Outside>,
}

/// How a UDP port of a host is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The port.
    pub port: u16,
    /// Who told it.
    pub server: SocketAddr,
    /// The address and port outside.
    pub told: SocketAddr,
}

/// A capture at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What is looked at: a file, an interface.
    pub source: String,
    /// How far it has come.
    pub phase: Phase,
    /// Packet time.
    pub now: Timestamp,
    /// The flows, in the order of their first frames.
    pub flows: Arc<Vec<Light>>,
    /// The mean payload rate of each flow since the snapshot before, in bits per second; empty where nothing is
    /// playing.
    pub rates: Vec<f32>,
    /// What is wrong, the gravest and surest first.
    pub findings: Vec<FindingRecord>,
    /// The attempts to view.
    pub sessions: Vec<SessionRecord>,
    /// The site.
    pub site: SiteRecord,
    /// The capture is too poor to judge by.
    pub poor: bool,
    /// What the capture is worth.
    pub quality: CaptureQuality,
    /// Counts.
    pub stats: Stats,
    /// Frames a second since the snapshot before; none where nothing is playing.
    pub frame_rate: Option<f64>,
    /// How full the queue is from the capture to what is made of it, 0 to 1; live only.
    pub queue: Option<f64>,
    /// Rates of the ways to view over time.
    pub history: Arc<History>,
    /// The hosts of the site, the busiest first.
    pub hosts: Vec<HostRow>,
    /// More of the flow that was asked for.
    pub detail: Option<Arc<Detail>>,
    /// Where it plays; none where it cannot be played.
    pub transport: Option<Transport>,
    /// For each flow that a finding cites: the gravest such finding's place.
    pub cited: HashMap<u64, usize, RandomState>,
    /// What the flows of each of [`METHODS`] come to.
    pub ways: [Way; METHODS.len()],
    /// There is a flow to the vendor.
    pub vendor: bool,
}

impl Snapshot {
    /// One that shows nothing yet.
    pub fn opening(source: String) -> Snapshot {
        Snapshot { source, ..Snapshot::default() }
    }

    /// Whether a claim says that the flow is held back, or was.
    pub fn is_held(&self, flow: u64) -> bool {
        self.stall(flow).is_some()
    }

    /// What a claim says of how a filter treats the flow, in a word; none where none does.
    pub fn stall(&self, flow: u64) -> Option<&'static str> {
        let stall = self.finding_of(flow).filter(|f| f.is_claim() && f.kind == Kind::ContentFilterStall)?;
        Some(match (stall.manner, stall.mode) {
            (Some(Manner::CutOff), _) => "CUT OFF",
            (Some(Manner::Released), _) | (_, Some(Mode::HoldRelease)) => "LATE",
            _ => "HELD",
        })
    }

    /// The gravest finding that cites a flow.
    pub fn finding_of(&self, flow: u64) -> Option<&FindingRecord> {
        self.findings.get(*self.cited.get(&flow)?)
    }

    /// The flow of that id.
    pub fn flow(&self, id: u64) -> Option<&Light> {
        self.flows.iter().find(|flow| flow.id == id)
    }

    /// Puts down what follows from flows and findings, which stand in the order in which they are told.
    pub fn settle(&mut self) {
        self.cited = cited(&self.findings, |_| true);
        // a hint, or what is only told, is no fault of a way
        let faults = cited(&self.findings, |finding| finding.is_claim() && finding.severity > Severity::Info);
        let steps = || self.sessions.iter().flat_map(|session| &session.steps);
        let flows = |outcome| steps().filter(move |step| step.outcome == outcome).flat_map(|step| &step.flow_ids);
        let worked: HashSet<u64, RandomState> = flows(StepOutcome::Worked).copied().collect();
        let failed: HashSet<u64, RandomState> = flows(StepOutcome::Failed).copied().collect();
        self.ways = ways(&self.flows, |flow| Found {
            held: self.is_held(flow),
            fault: faults.get(&flow).copied(),
            failed: failed.contains(&flow) && !worked.contains(&flow),
        });
        self.vendor = self.flows.iter().any(|flow| is_vendor(flow.class));
    }
}

/// For each flow that such a finding cites: the first one's place.
fn cited(findings: &[FindingRecord], such: impl Fn(&FindingRecord) -> bool) -> HashMap<u64, usize, RandomState> {
    let mut cited = HashMap::default();
    for (at, finding) in findings.iter().enumerate().filter(|(_, finding)| such(finding)) {
        for flow in &finding.flow_ids {
            cited.entry(*flow).or_insert(at);
        }
    }
    cited
}
