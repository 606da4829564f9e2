//! What a filter expression means, and its canonical text.

use std::fmt;
use std::net::IpAddr;

use super::text::Pattern;
use crate::event::word::words;
use crate::event::{Class, Severity};

/// An expression. As the parser builds them, `And` and `Or` hold two or more, none of which is of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Any of these.
    Or(Vec<Expr>),
    /// All of these.
    And(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// A single test.
    Term(Term),
}

/// A single test of a flow.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A bare word: found anywhere in names, addresses, class, subclass or region.
    Word(Pattern),
    /// `class:` (also `method:`): one of these classes.
    Class(Vec<Class>),
    /// `host:`, `src:`, `dst:`: an address, a network, or a name, at that end.
    Host(End, Vec<HostPattern>),
    /// `port:`: either end's port is in one of these ranges.
    Port(Vec<Range>),
    /// `vlan:`: one of the VLAN ids is in one of these ranges.
    Vlan(Vec<Range>),
    /// `id:`: one of these flow ids.
    Id(Vec<u64>),
    /// `state:`: one of these states.
    State(Vec<State>),
    /// A key whose text is compared with each pattern.
    Text(TextKey, Vec<Pattern>),
    /// A number of the flow, compared.
    Compare(Measure, Op, f64),
    /// `sev…`: the severity of the gravest claim on the flow, compared.
    Severity(Op, Severity),
}

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Either.
    Either,
    /// The originator.
    Originator,
    /// The responder.
    Responder,
}

impl End {
    /// Whether what holds for the originator and for the responder holds at this end.
    pub const fn is_met(self, [orig, resp]: [bool; 2]) -> bool {
        match self {
            End::Either => orig || resp,
            End::Originator => orig,
            End::Responder => resp,
        }
    }
}

/// What a host is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum HostPattern {
    /// An address, or a network in CIDR notation.
    Net(Net),
    /// A name that the flow carried.
    Name(Pattern),
}

/// A network: the addresses that share the first `bits` bits with `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Any address of the network, as typed.
    pub base: IpAddr,
    /// The length of the prefix, at most 32 or 128.
    pub bits: u8,
}

impl Net {
    /// Reads `ADDRESS` or `ADDRESS/BITS`.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let base: IpAddr = address.parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(b) if b.bytes().all(|c| c.is_ascii_digit()) => b.parse().ok().filter(|n| *n <= width)?,
            Some(_) => return None,
        };
        Some(Net { base, bits })
    }

    /// Whether `address` lies in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        let (a, b, width) = match (self.base, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let host_bits = width - u32::from(self.bits).min(width);
        (a ^ b).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

/// Numbers from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(pub u16, pub u16);

impl Range {
    /// Whether `number` is one of them.
    pub fn contains(self, number: u16) -> bool {
        (self.0..=self.1).contains(&number)
    }
}

words! {
    /// Keys whose values are texts.
    TextKey {
        /// The server name of TLS, DTLS or QUIC.
        Sni "sni",
        /// The server name of QUIC.
        QuicSni "quic.sni",
        /// The version of QUIC: `v1`, `v2`, `draft-29`, `Q046`.
        QuicVersion "quic.version",
        /// A name asked of DNS, or an answer.
        Dns "dns",
        /// The relay's region.
        Region "region",
        /// What a host of it is: `recorder`, `client`.
        Role "role",
        /// The transport, or a protocol seen within: `tls`, `quic`, `dns`, `http`, `stun`, `sctp`, `rtp`.
        Proto "proto",
        /// An oddity.
        Flag "flag",
        /// A tunnel that its packets came out of.
        Tunnel "tunnel",
        /// The closer class, or the reason of an unknown.
        Subclass "subclass",
        /// JA4 of the ClientHello.
        Ja4 "ja4",
        /// Community id; its case counts.
        Community "community",
        /// A finding on it, by rule, kind, a word of its kind, mode or id.
        Finding "finding",
    }
}

words! {
    /// How a flow stands: Zeek's states, words for groups of them, and what the capture saw of it.
    State {
        /// SYN without an answer.
        S0 "S0",
        /// Established and not ended.
        S1 "S1",
        /// Ended by both sides.
        Sf "SF",
        /// Refused.
        Rej "REJ",
        /// Established, and the originator closed.
        S2 "S2",
        /// Established, and the responder closed.
        S3 "S3",
        /// Established, and the originator reset.
        Rsto "RSTO",
        /// Established, and the responder reset.
        Rstr "RSTR",
        /// SYN and then RST of the originator.
        Rstos0 "RSTOS0",
        /// SYN ACK and then RST of the responder; no SYN seen.
        Rstrh "RSTRH",
        /// SYN and then FIN of the originator.
        Sh "SH",
        /// SYN ACK and then FIN of the responder; no SYN seen.
        Shr "SHR",
        /// No SYN seen.
        Oth "OTH",
        /// S1, S2 or S3.
        Open "open",
        /// SF.
        Closed "closed",
        /// S0 or SH.
        Unanswered "unanswered",
        /// REJ.
        Refused "refused",
        /// RSTO, RSTR, RSTOS0 or RSTRH.
        Reset "reset",
        /// The capture began within it.
        Midstream "midstream",
        /// Only one direction was captured.
        OneSided "one-sided",
        /// It had not ended.
        Interim "interim",
        /// A box on the way holds its payload back, as a finding claims.
        Held "held",
    }
}

words! {
    /// Numbers of a flow.
    Measure {
        /// Confidence of the class, 0 to 1.
        Conf "conf",
        /// Mean payload rate, both ways, in bits per second; none for a flow of a single moment.
        Rate "rate",
        /// Smallest TCP round trip, in seconds.
        Rtt "rtt",
        /// TCP retransmissions as a share of the flow's frames, 0 to 1.
        Retrans "retrans",
        /// Seconds from first to last packet.
        Age "age",
        /// Frame bytes, both ways.
        Bytes "bytes",
        /// Frames, both ways.
        Pkts "pkts",
    }
}

words! {
    /// How two numbers are compared.
    Op {
        /// At least.
        Ge ">=",
        /// At most.
        Le "<=",
        /// More than.
        Gt ">",
        /// Less than.
        Lt "<",
        /// Equal.
        Eq "=",
        /// Not equal.
        Ne "!=",
    }
}

impl Op {
    /// Whether `a OP b`; an unordered pair is only unequal.
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Op::Ge => a >= b,
            Op::Le => a <= b,
            Op::Gt => a > b,
            Op::Lt => a < b,
            Op::Eq => a == b,
            Op::Ne => a != b,
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Or(parts) => join(f, parts, " or ", |_| false),
            Expr::And(parts) => join(f, parts, " and ", |e| matches!(e, Expr::Or(_))),
            Expr::Not(inner) if matches!(**inner, Expr::Or(_) | Expr::And(_)) => write!(f, "!({inner})"),
            Expr::Not(inner) => write!(f, "!{inner}"),
            Expr::Term(term) => write!(f, "{term}"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str, paren: impl Fn(&Expr) -> bool) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        if paren(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Word(pattern) => write!(f, "{pattern}"),
            Term::Class(classes) => list(f, "class", classes.iter().map(|c| c.name())),
            Term::Host(End::Either, hosts) => list(f, "host", hosts),
            Term::Host(End::Originator, hosts) => list(f, "src", hosts),
            Term::Host(End::Responder, hosts) => list(f, "dst", hosts),
            Term::Port(ranges) => list(f, "port", ranges),
            Term::Vlan(ranges) => list(f, "vlan", ranges),
            Term::Id(ids) => list(f, "id", ids),
            Term::State(states) => list(f, "state", states.iter().map(|s| s.text())),
            Term::Text(key, patterns) => list(f, key.text(), patterns),
            Term::Compare(measure, op, value) => write!(f, "{}{}{value}", measure.text(), op.text()),
            Term::Severity(op, severity) => write!(f, "sev{}{}", op.text(), severity.text()),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, key: &str, items: impl IntoIterator<Item = T>) -> fmt::Result {
    write!(f, "{key}")?;
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { ':' } else { ',' })?;
    }
    Ok(())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Net(net) => write!(f, "{}/{}", net.base, net.bits),
            HostPattern::Name(pattern) => write!(f, "{pattern}"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == self.1 { write!(f, "{}", self.0) } else { write!(f, "{}-{}", self.0, self.1) }
    }
}
