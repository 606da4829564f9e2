//! What detectors look at: the cases of a capture, and what is known beside them.

use std::net::IpAddr;

use super::rules::Rules;
use crate::classify::words::Sub;
use crate::engine::case::{Case, Cases, is_core};
use crate::engine::naming::KnowledgeBase;
use crate::event::{CaptureQuality, Class, Vantage};
use crate::time::{SECOND, Timestamp};

/// Everything that a detector may ask.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The flows of the system, and its DNS.
    pub cases: &'a Cases,
    /// Texts and thresholds.
    pub rules: &'a Rules,
    /// The catalogue, and what the user says of the site.
    pub base: &'a KnowledgeBase,
    /// What the capture is worth.
    pub quality: &'a CaptureQuality,
}

impl<'a> Scene<'a> {
    /// The flows that `client` originated.
    pub fn of_client(&self, client: IpAddr) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.flows.iter().filter(move |case| case.orig.0 == client)
    }

    /// The flows to the vendor's own services.
    pub fn core(&self) -> impl Iterator<Item = &'a Case> {
        self.cases.flows.iter().filter(|case| is_core(case.class, case.subs))
    }

    /// Where the capture stands in the path of a flow to the relay: on whose side, and inside that site's address
    /// translation or out. `None` where the flow does not show whose side it is.
    pub fn vantage(&self, case: &Case) -> Option<Vantage> {
        let [inside, _] = case.inside;
        match (self.is_recorder_side(case)?, inside) {
            (true, true) => Some(Vantage::RecorderLan),
            (true, false) => Some(Vantage::RecorderWan),
            (false, true) => Some(Vantage::ClientLan),
            (false, false) => Some(Vantage::ClientWan),
        }
    }

    /// Whether a flow to the relay is the recorder's (true) or a viewer's (false).
    pub fn is_recorder_side(&self, case: &Case) -> Option<bool> {
        use crate::engine::learnt::turn;
        let marks = case.http.iter().flat_map(|http| &http.turns).fold(0, |all, turn| all | turn.turn.marks);
        if marks & turn::SENDS_MESSAGE != 0 {
            return Some(true);
        }
        if marks & turn::MESSAGE != 0 {
            return Some(false);
        }
        if case.recorders == [true, false] {
            return Some(true);
        }
        if case.subs.has(Sub::VideoUp) {
            return Some(true);
        }
        if case.subs.has(Sub::VideoDown) {
            return Some(false);
        }
        // who logs in to look is a viewer, who reports to the API's device side by itself a recorder
        let client = case.orig.0;
        let mut own = self.of_client(client).filter(|other| is_core(other.class, other.subs));
        if own.clone().any(|other| other.class == Class::Login) {
            return Some(false);
        }
        own.any(|other| other.class == Class::Licensing || other.subs.has(Sub::VideoUp)).then_some(true)
    }
}

/// Nanoseconds of a threshold in seconds.
pub fn nanos(seconds: f64) -> u64 {
    if seconds > 0.0 { (seconds * SECOND as f64) as u64 } else { 0 }
}

/// Whether two moments are within so many seconds of each other.
pub fn within(a: Timestamp, b: Timestamp, seconds: f64) -> bool {
    a.0.abs_diff(b.0) <= nanos(seconds)
}
