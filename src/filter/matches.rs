//! Whether a flow passes a filter.

use super::asked::Asked;
use super::ast::{End, Expr, HostPattern, Measure, State, Term, TextKey};
use super::known::Known;
use super::text::Pattern;

/// Whether the flow passes the expression.
pub(super) fn expr(expr: &Expr, flow: &impl Asked, known: &Known<'_>) -> bool {
    match expr {
        Expr::Or(parts) => parts.iter().any(|e| self::expr(e, flow, known)),
        Expr::And(parts) => parts.iter().all(|e| self::expr(e, flow, known)),
        Expr::Not(inner) => !self::expr(inner, flow, known),
        Expr::Term(term) => self::term(term, flow, known),
    }
}

/// Whether the flow passes a single test.
pub(super) fn term(term: &Term, flow: &impl Asked, known: &Known<'_>) -> bool {
    match term {
        Term::Word(pattern) => word(pattern, flow),
        Term::Class(classes) => classes.contains(&flow.class()),
        Term::Host(end, hosts) => hosts.iter().any(|h| host(*end, h, flow)),
        Term::Port(ranges) => {
            let ports = flow.ends().map(|(_, port)| port);
            ranges.iter().any(|r| ports.iter().flatten().any(|p| r.contains(*p)))
        }
        Term::Vlan(ranges) => ranges.iter().any(|r| flow.vlans().any(|v| r.contains(v))),
        Term::Id(ids) => ids.contains(&flow.id()),
        Term::State(states) => states.iter().any(|s| state(*s, flow, known)),
        Term::Text(key, patterns) => patterns.iter().any(|p| text(*key, p, flow, known)),
        Term::Compare(measure, op, value) => self::measure(*measure, flow).is_some_and(|v| op.holds(v, *value)),
        Term::Severity(op, severity) => known.severity(flow.id()).is_some_and(|found| op.holds(found, *severity)),
    }
}

fn word(pattern: &Pattern, flow: &impl Asked) -> bool {
    flow.words().any(|text| pattern.found_in(text)) || flow.ends().iter().any(|(ip, _)| pattern.found_in_address(*ip))
}

fn host(end: End, host: &HostPattern, flow: &impl Asked) -> bool {
    match host {
        HostPattern::Net(net) => end.is_met(flow.ends().map(|(ip, _)| net.contains(ip))),
        HostPattern::Name(_) => flow.host_names().any(|name| is_host_name(end, host, name)),
    }
}

/// Whether a name by which a flow calls its responder is the one that is asked for at that end.
pub(super) fn is_host_name(end: End, host: &HostPattern, name: &str) -> bool {
    matches!(host, HostPattern::Name(pattern) if end != End::Originator && pattern.names(without_port(name)))
}

/// A `Host` header or an authority without its port.
fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => name,
    }
}

fn text(key: TextKey, pattern: &Pattern, flow: &impl Asked, known: &Known<'_>) -> bool {
    match key {
        TextKey::Sni => flow.server_names().any(|n| pattern.names(n)),
        TextKey::QuicSni => flow.quic_name().is_some_and(|n| pattern.names(n)),
        TextKey::QuicVersion => flow.quic_version().is_some_and(|version| pattern.is(version)),
        TextKey::Dns => flow.dns_names().any(|n| pattern.names(n)),
        TextKey::Region => flow.region().is_some_and(|r| pattern.is(r)),
        TextKey::Proto => flow.protocols().any(|p| pattern.is(p)),
        TextKey::Flag => flow.flags().any(|f| pattern.is(f)),
        TextKey::Tunnel => flow.tunnels().any(|t| pattern.is(t)),
        TextKey::Subclass => flow.subclasses().any(|s| pattern.is(s)),
        TextKey::Ja4 => flow.ja4().any(|j| pattern.is(j)),
        TextKey::Community => flow.community_id().is_some_and(|id| match pattern {
            Pattern::Glob(text) | Pattern::Literal(text) => *text == *id,
            Pattern::Regex(_) => pattern.is(&id),
        }),
        TextKey::Role => flow.ends().iter().any(|(host, _)| known.is_role(*host, pattern)),
        TextKey::Finding => known.is_found(flow.id(), pattern),
    }
}

fn state(state: State, flow: &impl Asked, known: &Known<'_>) -> bool {
    let is = |words: &[&str]| flow.conn_state().is_some_and(|s| words.contains(&s));
    match state {
        State::Open => is(&["S1", "S2", "S3"]),
        State::Closed => is(&["SF"]),
        State::Unanswered => is(&["S0", "SH"]),
        State::Refused => is(&["REJ"]),
        State::Reset => is(&["RSTO", "RSTR", "RSTOS0", "RSTRH"]),
        State::Midstream => flow.is_midstream(),
        State::OneSided => flow.is_one_sided(),
        State::Interim => flow.is_interim(),
        State::Held => known.is_held(flow.id()),
        zeek => is(&[zeek.text()]),
    }
}

/// A number of the flow in SI units, where it has one.
fn measure(measure: Measure, flow: &impl Asked) -> Option<f64> {
    match measure {
        Measure::Conf => Some(flow.confidence()),
        Measure::Rate => {
            let age = flow.age();
            (age > 0.0).then(|| flow.payload() as f64 * 8.0 / age)
        }
        Measure::Rtt => flow.rtt(),
        Measure::Retrans => {
            let frames = flow.packets() as f64 - flow.duplicates() as f64;
            Some(flow.retransmissions()? as f64 / frames.max(1.0))
        }
        Measure::Age => Some(flow.age()),
        Measure::Bytes => Some(flow.bytes() as f64),
        Measure::Pkts => Some(flow.packets() as f64),
    }
}
