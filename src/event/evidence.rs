//! Why a flow is what it is: reasons, put into words only where they are told.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::ser::{Serialize, Serializer};

use crate::short::with_address;

/// UDP's number as a protocol over IP.
const UDP: u8 = 17;

/// One reason for a verdict.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence<'a> {
    /// `E1` (strongest) to `E7`.
    pub tier: &'static str,
    /// In words.
    #[cfg_attr(test, schemars(with = "String"))]
    pub text: Said<'a>,
    /// The frame that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
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

impl<'a> What<'a> {
    /// The name that it gives the responder, if it does.
    pub const fn name(&self) -> Option<&'a str> {
        match *self {
            What::Sni(name)
            | What::QuicSni(name)
            | What::HttpHost(name)
            | What::Authority(name, _)
            | What::Certificate(name)
            | What::Answer { name, .. }
            | What::OtherAnswer { name, .. }
            | What::Neighbour { name, .. } => Some(name),
            What::Proof(_) | What::Port { .. } | What::Note(_) => None,
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut say = |parts: &[&str]| parts.iter().try_for_each(|part| f.write_str(part));
        match *self {
            What::Sni(name) => say(&["TLS SNI ", name]),
            What::QuicSni(name) => say(&["QUIC SNI ", name]),
            What::HttpHost(name) => say(&["HTTP Host ", name]),
            What::Authority(name, port) => write!(f, "asked of a proxy: {name}:{port}"),
            What::Certificate(name) => say(&["server certificate for ", name]),
            What::Answer { name, server, later } => {
                let later = if later { " later" } else { "" };
                with_address(server, |ip| say(&["DNS told this client", later, " that ", name, " is ", ip]))
            }
            What::OtherAnswer { name, server } => {
                with_address(server, |ip| say(&["DNS told another client that ", name, " is ", ip]))
            }
            What::Neighbour { name, server } => {
                with_address(server, |ip| say(&["another flow to ", ip, " carried ", name]))
            }
            What::Proof(text) | What::Note(text) => f.write_str(text),
            What::Port { proto, port, role } => {
                let proto = if proto == UDP { "UDP" } else { "TCP" };
                write!(f, "{proto} {port} {role}")
            }
        }
    }
}

/// A reason in words.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<'a> {
    /// What was found.
    For(What<'a>),
    /// What was found and speaks against the verdict.
    Against(What<'a>),
    /// Other words in its place.
    Text(Cow<'a, str>),
}

impl Said<'_> {
    /// The name that it gives the responder, if it speaks for one.
    pub const fn name(&self) -> Option<&str> {
        match self {
            Said::For(what) => what.name(),
            Said::Against(_) | Said::Text(_) => None,
        }
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::For(what) => what.fmt(f),
            Said::Against(what) => f.write_str("against it: ").and_then(|()| what.fmt(f)),
            Said::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Said::For(What::Proof(text) | What::Note(text)) => serializer.serialize_str(text),
            Said::Text(text) => serializer.serialize_str(text),
            said => serializer.collect_str(said),
        }
    }
}
