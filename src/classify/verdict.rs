//! What classification answers: a class with its evidence, formatted only when asked.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::words::{Flags, Subs};
use crate::event::{Class, Said};

pub use crate::event::What;

/// Kinds of evidence, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Tier {
    E1,
    E2,
    E3,
    E4,
    E5,
    E6,
    E7,
}

impl Tier {
    /// Its name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::E1 => "E1",
            Tier::E2 => "E2",
            Tier::E3 => "E3",
            Tier::E4 => "E4",
            Tier::E5 => "E5",
            Tier::E6 => "E6",
            Tier::E7 => "E7",
        }
    }
}

/// One reason for a verdict, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// How strong it is.
    pub tier: Tier,
    /// What it is.
    pub what: What<'a>,
    /// The frame that shows it.
    pub frame: Option<u64>,
    /// It speaks against the verdict.
    pub against: bool,
}

impl<'a> Evidence<'a> {
    /// It in words.
    pub const fn said(&self) -> Said<'a> {
        if self.against { Said::Against(self.what) } else { Said::For(self.what) }
    }
}

/// The most reasons a verdict lists.
pub const EVIDENCE_MAX: usize = 8;

/// A short list of reasons, strongest first; most verdicts have one or two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons<'a> {
    items: SmallVec<[Evidence<'a>; 2]>,
}

impl<'a> Reasons<'a> {
    /// Adds a reason; beyond the most it is left out.
    pub(crate) fn push(&mut self, item: Evidence<'a>) {
        if self.items.len() < EVIDENCE_MAX {
            self.items.push(item);
        }
    }

    /// The reasons.
    pub fn iter(&self) -> impl Iterator<Item = &Evidence<'a>> {
        self.items.iter()
    }
}

/// What a flow is.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<'a> {
    /// The class.
    pub class: Class,
    /// More closely, or why it is unknown.
    pub subclass: Subs,
    /// Oddities.
    pub flags: Flags,
    /// The region that the name says.
    pub region: Option<Cow<'a, str>>,
    /// The storage bucket that the name says.
    pub bucket: Option<Cow<'a, str>>,
    /// How sure the class is, 0 to 0.99.
    pub confidence: f32,
    /// Why.
    pub evidence: Reasons<'a>,
    /// The explicit proxy it went through: the proxy is the flow's responder.
    pub via_proxy: Option<super::facts::Authority<'a>>,
}

impl Verdict<'_> {
    /// The confidence as an outside number: four decimals, without the noise of a narrower float.
    pub fn confidence_f64(&self) -> f64 {
        (f64::from(self.confidence) * 1e4).round() / 1e4
    }
}

/// A confidence in words.
pub fn word(confidence: f32) -> &'static str {
    match confidence {
        c if c >= 0.95 => "certain",
        c if c >= 0.80 => "high",
        c if c >= 0.55 => "medium",
        c if c >= 0.30 => "low",
        _ => "guess",
    }
}
