//! Content-filter stalls: a box on the way waits for the end of a stream that has none (CF-1 to CF-6, CF-12).
//!
//! [`silence`] says where a connection fell silent and what came then, [`signs`] what else speaks for a box in between;
//! [`viewer`] and [`recorder`] judge, each its own side, [`cut`] views that end alike, and [`pool`] what many holds do
//! to everything else.

pub mod cut;
pub mod pool;
pub mod recorder;
pub mod signs;
pub mod silence;
pub mod viewer;

use super::scene::Scene;
use crate::event::FindingRecord;

/// All stalls of a capture.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut findings = viewer::detect(scene);
    findings.extend(recorder::detect(scene));
    findings.extend(cut::detect(scene));
    findings.extend(pool::detect(scene, &findings));
    findings
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wide_tests;
