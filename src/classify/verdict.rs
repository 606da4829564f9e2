//! What classification answers: a class with its evidence, formatted only when asked.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::IpAddr;

use super::words::{Flags, Subs};
use crate::event::Class;

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

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What<'a> {
    Sni(&'a str),
    QuicSni(&'a str),
    HttpHost(&'a str),
    Authority(&'a str, u16),
    Certificate(&'a str),
    Answer {
        name: &'a str,
        server: IpAddr,
        later: bool,
    },
    OtherAnswer {
        name: &'a str,
        server: IpAddr,
    },
    Given {
        name: &'a str,
        server: IpAddr,
    },
    Neighbour {
        name: &'a str,
        server: IpAddr,
    },
    /// The grammar of a protocol.
    Proof(&'static str),
    /// A role and a port.
    Port {
        proto: u8,
        port: u16,
        role: &'static str,
    },
    /// Words of their own.
    Note(&'static str),
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
    pub fn text(&self) -> Cow<'a, str> {
        match self.what {
            What::Proof(text) | What::Note(text) if !self.against => Cow::Borrowed(text),
            _ => {
                let mut text = String::with_capacity(96);
                let _ = write!(text, "{self}");
                Cow::Owned(text)
            }
        }
    }
}

impl fmt::Display for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.against {
            f.write_str("against it: ")?;
        }
        match self.what {
            What::Sni(name) => write!(f, "TLS SNI {name}"),
            What::QuicSni(name) => write!(f, "QUIC SNI {name}"),
            What::HttpHost(name) => write!(f, "HTTP Host {name}"),
            What::Authority(name, port) => write!(f, "asked of a proxy: {name}:{port}"),
            What::Certificate(name) => write!(f, "server certificate for {name}"),
            What::Answer { name, server, later: false } => write!(f, "DNS told this client that {name} is {server}"),
            What::Answer { name, server, later: true } => {
                write!(f, "DNS told this client later that {name} is {server}")
            }
            What::OtherAnswer { name, server } => write!(f, "DNS told another client that {name} is {server}"),
            What::Given { name, server } => write!(f, "the user's hosts file says that {name} is {server}"),
            What::Neighbour { name, server } => write!(f, "another flow to {server} carried {name}"),
            What::Proof(text) | What::Note(text) => f.write_str(text),
            What::Port { proto, port, role } => {
                let proto = if proto == super::facts::UDP { "UDP" } else { "TCP" };
                write!(f, "{proto} {port} {role}")
            }
        }
    }
}

/// The most reasons a verdict lists.
pub const EVIDENCE_MAX: usize = 8;

/// A short list of reasons, strongest first, without allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reasons<'a> {
    items: [Option<Evidence<'a>>; EVIDENCE_MAX],
}

impl<'a> Reasons<'a> {
    /// Adds a reason; beyond the most it is left out.
    pub(crate) fn push(&mut self, item: Evidence<'a>) {
        if let Some(slot) = self.items.iter_mut().find(|i| i.is_none()) {
            *slot = Some(item);
        }
    }

    /// The reasons.
    pub fn iter(&self) -> impl Iterator<Item = &Evidence<'a>> {
        self.items.iter().flatten()
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
