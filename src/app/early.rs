//! `analyze --max-memory`: flows that are told before the end, for want of room.

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::{Output, say};
use crate::cli::AnalyzeArgs;
use crate::engine::Config;
use crate::engine::ceiling::Ceiling;
use crate::engine::naming::KnowledgeBase;
use crate::filter::Known;
use crate::pipeline::{self, Outcome};
use crate::present::Format;
use crate::present::color::Look;
use crate::present::ndjson::Ndjson;
use crate::source::{Progress, Source};
use crate::text::units::Counted;

/// Reads all of a source with what is held kept below `most` bytes. Where NDJSON is wanted, flows that go are written
/// at once, and the output comes with the outcome.
pub(super) fn run(
    most: usize,
    source: Source,
    config: &Config,
    base: &KnowledgeBase,
    stop: &AtomicBool,
    args: &AnalyzeArgs,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<(Outcome, Option<Output>)> {
    let mut output = match args.format() {
        Format::Ndjson => Some(Output::open(args.output.as_deref(), Look::of(args.common.color()))?),
        _ => None,
    };
    let filter = args.filter.as_ref();
    let outcome = pipeline::run_below(
        Ceiling::new(most),
        source,
        config,
        base,
        stop,
        |view| {
            let Some(output) = &mut output else { return Ok(()) };
            let record = view.given_up();
            let known = filter.map_or_else(Known::default, |filter| view.known(filter, &[]));
            if filter.is_none_or(|filter| filter.matches(&record, &known)) {
                Ndjson::new(&mut output.writer).flow(&record)?;
            }
            Ok::<(), std::io::Error>(())
        },
        progress,
    )?;
    Ok((outcome, output))
}

/// What is said of flows that went before the end; `told`: each was told then.
pub(super) fn warning(flows: u64, told: bool) -> String {
    let line = format!(
        "{} let go of early to keep below --max-memory: what came of them later, and faults that they would show, are not \
         told{}",
        Counted(flows, "flow"),
        if told { "" } else { "; only --ndjson has their records" }
    );
    say(&line);
    line
}
