//! What detectors look at: the cases of a capture, and what is known beside them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::rules::Rules;
use crate::classify::host::HostMatch;
use crate::classify::words::{Flag, Sub};
use crate::engine::case::{Case, Cases, MediaCase, Relayed};
use crate::engine::learnt::turn;
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

/// How a host is known to be one that keeps a connection to the relay, beside asking the API and the relay, which a
/// viewer's software does too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The user says so, it serves clients or has cameras, or it had such a connection.
    Well,
    /// Nothing of its own shows it, and no connection to the relay either.
    Hardly,
    /// What it had of the relay was a viewer's: short ones on which no more went up than came down.
    Viewer,
}

/// How many of a client's flows before and after one are its neighbourhood: more than one attempt to view makes, and
/// few enough to look through for each of very many.
const REACH: usize = 128;

impl<'a> Scene<'a> {
    /// The flows that `client` originated.
    pub fn of_client(&self, client: IpAddr) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.of_client(client)
    }

    /// The flows of `client` whose servers did what they are there for.
    pub fn served(&self, client: IpAddr) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.served(client)
    }

    /// What the originator of a flow did before and after, the flow itself included.
    pub fn around(&self, case: &Case) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.around(case, REACH)
    }

    /// The flows to the vendor's own services.
    pub fn core(&self) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.core()
    }

    /// The flows of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &'a Case> + Clone {
        self.cases.of_class(class)
    }

    /// Whether so many datagrams are media, and not checks and handshakes alone.
    pub fn is_media(&self, media: &MediaCase) -> bool {
        media.datagrams as f32 >= self.base.rules.p2p.media_datagrams
    }

    /// The hosts of the system: who asks for the vendor's own names, or speaks to them.
    pub const fn system(&self) -> &'a BTreeSet<IpAddr> {
        self.cases.system()
    }

    /// Whether a name is on the vendor's allow-list, its storage included, as it is spelt.
    pub fn is_listed(&self, host: &HostMatch) -> bool {
        let row = host.entry(&self.base.catalogue).is_some_and(|entry| entry.listed);
        (row || host.class == Class::S3 && host.subs.has(Sub::Vendor)) && !host.flags.has(Flag::TypoHost)
    }

    /// Whether the mirror shows one direction only, so that silence says nothing.
    pub fn is_one_sided(&self) -> bool {
        self.quality.one_sided_share > self.rules.settings.capture.one_sided_share
    }

    /// Whether so much is missing of the capture that silence says nothing: TCP acknowledges what it does not hold,
    /// however little that is in all.
    pub fn is_leaky(&self) -> bool {
        self.quality.missed_share > self.rules.settings.capture.poor_missed_share
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
        let marks = case.http.iter().flat_map(|http| &http.turns).fold(0, |all, turn| all | turn.turn.marks);
        if marks & turn::SENDS_MESSAGE != 0 {
            return Some(true);
        }
        if marks & turn::MESSAGE != 0 {
            return Some(false);
        }
        if case.subs.has(Sub::VideoUp) {
            return Some(true);
        }
        if case.subs.has(Sub::VideoDown) {
            return Some(false);
        }
        // who logs in to look is a viewer, who reports to the API's device side by itself a recorder
        let client = self.cases.client(case.orig.0)?;
        if client.logs_in {
            return Some(false);
        }
        let scored = || case.recorders == [true, false] && self.known(case.orig.0) == Known::Well;
        (client.reports || scored()).then_some(true)
    }

    /// How well a host is known to be a recorder that its score makes one.
    pub fn known(&self, recorder: IpAddr) -> Known {
        let settings = &self.rules.settings.recorder;
        let life = nanos(settings.life_seconds);
        let client = self.cases.client(recorder);
        if self.base.site.recorders.contains(&recorder)
            || self.cases.is_serving(recorder)
            || client.is_some_and(|client| client.has_cameras)
        {
            return Known::Well;
        }
        match client.and_then(|client| client.relayed) {
            Some(Relayed { sent, stood })
                if sent as f64 >= settings.sent_bytes || stood.is_some_and(|stood| stood >= life) =>
            {
                Known::Well
            }
            Some(_) => Known::Viewer,
            None => Known::Hardly,
        }
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
