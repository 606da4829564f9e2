//! What is said on stderr where more is wanted (`-v`): by what captures are judged, and what was read.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::say;
use crate::classify::catalogue::ProductId;
use crate::cli::{CommonArgs, JudgeArgs};
use crate::engine::naming::KnowledgeBase;
use crate::event::{RULES, Stats};
use crate::text::units::{Bytes, Counted, Span};

/// Says more, where that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Aloud {
    wanted: bool,
}

impl Aloud {
    /// Says by what captures are judged.
    pub(super) fn new(common: &CommonArgs, judge: &JudgeArgs, base: &KnowledgeBase) -> Aloud {
        let aloud = Aloud { wanted: common.verbose > 0 };
        aloud.say(|| judged_by(judge, base));
        aloud
    }

    fn say(self, line: impl FnOnce() -> String) {
        if self.wanted {
            say(&line());
        }
    }

    /// Begins to read.
    pub(super) fn begin(self) -> Reading {
        Reading { aloud: self, begun: now() }
    }
}

/// A capture that is read.
pub(super) struct Reading {
    aloud: Aloud,
    begun: Instant,
}

impl Reading {
    /// Says what was read, and how long that took.
    pub(super) fn end(&self, paths: &[PathBuf], stats: &Stats) {
        let took = now().saturating_duration_since(self.begun);
        self.aloud.say(|| {
            let took = Span(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            let (frames, flows) = (Counted(stats.frames, "frame"), Counted(stats.flows, "flow"));
            format!("{}: {frames}, {}, {flows}, read in {took}", in_short(paths), Bytes(stats.bytes))
        });
    }
}

fn judged_by(judge: &JudgeArgs, base: &KnowledgeBase) -> String {
    let rules = RULES.len();
    let entries = base.catalogue.hosts.len();
    let and = |path: &Option<PathBuf>| path.as_deref().map(|path: &Path| format!(" and {}", path.display()));
    let product = base.site.product.map_or("as the capture shows it", ProductId::name);
    format!(
        "judged by {rules} rules and the built-in catalogue ({entries} entries){}{}; product: {product}",
        and(&judge.catalogue).unwrap_or_default(),
        and(&judge.site).unwrap_or_default()
    )
}

/// The files of a capture, in a few words.
pub(super) fn in_short(paths: &[PathBuf]) -> String {
    let first = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    match paths.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more - 1),
    }
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "how long it took is for people, and decides nothing")]
fn now() -> Instant {
    Instant::now()
}
