//! Publishes snapshots of what a monitor knows to the dashboard: at intervals, and never so often that making them
//! takes the time that packets need.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::screen::{Happening, Teller};
use crate::dash::history::History;
use crate::dash::snapshot::{Phase, Snapshot, Transport};
use crate::dash::take::{Look, carried, take};
use crate::dash::update::Action;
use crate::filter::Asked;
use crate::monitor::Monitor;
use crate::time::Timestamp;

/// The least time between two snapshots.
pub(super) const REFRESH: Duration = Duration::from_millis(250);
/// How many times longer than it takes to make a snapshot is waited before the next is made.
const SPARE: u32 = 4;
/// The same where somebody waits for the end of it, or frames wait and some are passed over for want of time.
pub(super) const SPARE_WAITED: u32 = 16;

/// Publishes snapshots.
pub(super) struct Publisher {
    teller: Teller,
    shown: Arc<Snapshot>,
    history: History,
    /// When the last snapshot was made, and how long that took.
    published: Option<(Instant, Duration)>,
    /// When something was last shown.
    told: Option<Instant>,
    /// The flow of which more is wanted.
    pub(super) wanted: Option<u64>,
}

impl Publisher {
    /// Of what is called so.
    pub(super) fn new(source: String, teller: Teller) -> Publisher {
        let shown = Arc::new(Snapshot::opening(source));
        Publisher { teller, shown, history: History::default(), published: None, told: None, wanted: None }
    }

    /// What was shown last.
    pub(super) fn shown(&self) -> &Arc<Snapshot> {
        &self.shown
    }

    /// Whether it is time for another.
    pub(super) fn is_due(&self) -> bool {
        self.is_due_after(SPARE)
    }

    /// Whether it is time for another where somebody waits for the end, or frames wait.
    pub(super) fn is_due_waited(&self) -> bool {
        self.is_due_after(SPARE_WAITED)
    }

    fn is_due_after(&self, spare: u32) -> bool {
        self.published.is_none_or(|(at, took)| at.elapsed() >= REFRESH.max(took * spare))
    }

    /// Whether nothing was shown for so long that who looks may wonder.
    pub(super) fn is_silent(&self) -> bool {
        self.told.is_none_or(|at| at.elapsed() >= REFRESH)
    }

    /// What comes next comes behind that moment.
    pub(super) fn rewind(&mut self, now: Timestamp) {
        self.history.cut(now);
    }

    /// Notes what the ways to view have carried.
    pub(super) fn sample(&mut self, monitor: &mut Monitor<'_>, now: Timestamp) {
        let look = monitor.look();
        self.history.note(now, carried(look.analysis, look.naming));
    }

    /// Makes a snapshot of what is known at `now`, the latest moment that the monitor knows if none is given, and shows
    /// it. `transport` may add to what it holds.
    pub(super) fn publish(
        &mut self,
        monitor: &mut Monitor<'_>,
        now: Option<Timestamp>,
        phase: Phase,
        transport: impl FnOnce(&mut Snapshot) -> Option<Transport>,
    ) {
        let from = clock();
        let look = monitor.look();
        let mut snapshot = take(&Look {
            analysis: look.analysis,
            naming: look.naming,
            diagnosis: look.diagnosis,
            quality: look.quality,
            stats: &look.stats,
            now: now.unwrap_or(look.now),
            wanted: self.wanted,
        });
        self.history.note(snapshot.now, snapshot.ways.each_ref().map(|way| way.payload));
        if matches!(phase, Phase::Playing | Phase::Live(_)) {
            snapshot.rates = rates(&self.shown, &snapshot);
            snapshot.frame_rate = frame_rate(&self.shown, &snapshot);
        }
        snapshot.phase = phase;
        snapshot.source.clone_from(&self.shown.source);
        snapshot.history = Arc::new(self.history.clone());
        snapshot.transport = transport(&mut snapshot);
        self.show(snapshot);
        self.published = Some((clock(), from.elapsed()));
    }

    /// Shows a snapshot.
    pub(super) fn show(&mut self, snapshot: Snapshot) {
        self.shown = Arc::new(snapshot);
        self.told = Some(clock());
        // nobody looks any more when it is being left
        let _ = self.teller.send(Happening::Action(Action::Publish(Arc::clone(&self.shown))));
    }
}

/// Frames a second from one snapshot to the next.
fn frame_rate(before: &Snapshot, after: &Snapshot) -> Option<f64> {
    let seconds = crate::time::seconds(after.now.since(before.now));
    let frames = after.stats.frames.checked_sub(before.stats.frames)?;
    (seconds > 0.0 && before.now != Timestamp::default()).then(|| frames as f64 / seconds)
}

/// The payload rate of each flow from one snapshot to the next, in bits per second. Flows stand in the order of their
/// first frames in both; some of before may have been let go.
fn rates(before: &Snapshot, after: &Snapshot) -> Vec<f32> {
    let seconds = crate::time::seconds(after.now.since(before.now));
    if seconds <= 0.0 {
        return if before.rates.len() == after.flows.len() { before.rates.clone() } else { Vec::new() };
    }
    let mut known = before.flows.iter().peekable();
    let each = after.flows.iter().map(|flow| {
        while known.next_if(|old| old.first_frame < flow.first_frame).is_some() {}
        let had = known.peek().filter(|old| old.id == flow.id).map_or(0, |old| old.payload());
        (flow.payload().saturating_sub(had) as f64 * 8.0 / seconds) as f32
    });
    each.collect()
}

/// What captures are called together.
pub(super) fn source_name(paths: &[PathBuf]) -> String {
    let name = |path: &Path| match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    };
    let first = paths.first().map(|path| name(path)).unwrap_or_default();
    match paths.len() {
        0 | 1 if first == "-" => "standard input".to_owned(),
        0 | 1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "people look at a screen by the clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}
