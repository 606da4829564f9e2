//! Whether a flow passes a filter.

use std::fmt::Write;
use std::net::IpAddr;

use super::ast::{End, Expr, HostPattern, Measure, State, Term, TextKey};
use super::known::Known;
use super::text::Pattern;
use crate::event::FlowRecord;

/// Whether the flow passes the expression.
pub(super) fn expr(expr: &Expr, flow: &FlowRecord<'_>, known: &Known<'_>) -> bool {
    match expr {
        Expr::Or(parts) => parts.iter().any(|e| self::expr(e, flow, known)),
        Expr::And(parts) => parts.iter().all(|e| self::expr(e, flow, known)),
        Expr::Not(inner) => !self::expr(inner, flow, known),
        Expr::Term(term) => self::term(term, flow, known),
    }
}

fn term(term: &Term, flow: &FlowRecord<'_>, known: &Known<'_>) -> bool {
    match term {
        Term::Word(pattern) => word(pattern, flow),
        Term::Class(classes) => classes.contains(&flow.class),
        Term::Host(end, hosts) => hosts.iter().any(|h| host(*end, h, flow)),
        Term::Port(ranges) => {
            let ports = [flow.src_port, flow.dest_port];
            ranges.iter().any(|r| ports.iter().flatten().any(|p| r.contains(*p)))
        }
        Term::Vlan(ranges) => ranges.iter().any(|r| flow.vlan.iter().any(|v| r.contains(*v))),
        Term::Id(ids) => ids.contains(&flow.flow_id),
        Term::State(states) => states.iter().any(|s| state(*s, flow, known)),
        Term::Text(key, patterns) => patterns.iter().any(|p| text(*key, p, flow, known)),
        Term::Compare(measure, op, value) => self::measure(*measure, flow).is_some_and(|v| op.holds(v, *value)),
        Term::Severity(op, severity) => known.severity(flow.flow_id).is_some_and(|found| op.holds(found, *severity)),
    }
}

/// The names by which the flow itself called its responder, or what it asked a proxy for.
fn host_names<'f>(flow: &'f FlowRecord<'_>) -> impl Iterator<Item = &'f str> {
    let tls = flow.tls.as_ref().and_then(|t| t.sni.as_deref());
    let http = flow.http.iter().filter_map(|h| h.host.as_deref());
    let proxy = flow.via_proxy.as_ref().map(|p| &*p.authority);
    tls.into_iter().chain(quic_name(flow)).chain(http).chain(proxy)
}

fn quic_name<'f>(flow: &'f FlowRecord<'_>) -> Option<&'f str> {
    flow.quic.as_ref().and_then(|q| q.sni.as_deref())
}

fn dns_names<'f>(flow: &'f FlowRecord<'_>) -> impl Iterator<Item = &'f str> {
    flow.dns.iter().flat_map(|d| d.qname.as_deref().into_iter().chain(d.answers.iter().map(|a| &**a)))
}

fn word(pattern: &Pattern, flow: &FlowRecord<'_>) -> bool {
    pattern.found_in(flow.class.name())
        || flow.subclass.iter().any(|s| pattern.found_in(s))
        || flow.region.as_deref().is_some_and(|r| pattern.found_in(r))
        || host_names(flow).chain(dns_names(flow)).any(|n| pattern.found_in(n))
        || [flow.src_ip, flow.dest_ip].iter().any(|ip| AddressText::of(*ip).with(|text| pattern.found_in(text)))
}

fn host(end: End, host: &HostPattern, flow: &FlowRecord<'_>) -> bool {
    match (host, end) {
        (HostPattern::Net(net), End::Either) => net.contains(flow.src_ip) || net.contains(flow.dest_ip),
        (HostPattern::Net(net), End::Originator) => net.contains(flow.src_ip),
        (HostPattern::Net(net), End::Responder) => net.contains(flow.dest_ip),
        (HostPattern::Name(_), End::Originator) => false,
        (HostPattern::Name(pattern), _) => host_names(flow).any(|name| pattern.names(without_port(name))),
    }
}

/// A `Host` header or an authority without its port.
fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => name,
    }
}

fn text(key: TextKey, pattern: &Pattern, flow: &FlowRecord<'_>, known: &Known<'_>) -> bool {
    match key {
        TextKey::Sni => {
            let tls = flow.tls.as_ref().and_then(|t| t.sni.as_deref());
            tls.into_iter().chain(quic_name(flow)).any(|n| pattern.names(n))
        }
        TextKey::QuicSni => quic_name(flow).is_some_and(|n| pattern.names(n)),
        TextKey::QuicVersion => {
            flow.quic.as_ref().and_then(|q| q.version.as_deref()).is_some_and(|version| pattern.is(version))
        }
        TextKey::Dns => dns_names(flow).any(|n| pattern.names(n)),
        TextKey::Region => flow.region.as_deref().is_some_and(|r| pattern.is(r)),
        TextKey::Proto => pattern.is(&flow.proto) || protocols(flow).chain(flow.app_proto).any(|p| pattern.is(p)),
        TextKey::Flag => flow.flags.iter().any(|f| pattern.is(f)),
        TextKey::Tunnel => flow.tunnel.iter().any(|t| pattern.is(t)),
        TextKey::Subclass => flow.subclass.iter().any(|s| pattern.is(s)),
        TextKey::Ja4 => flow.tls.as_ref().and_then(|t| t.ja4.as_ref()).is_some_and(|j| j.iter().any(|j| pattern.is(j))),
        TextKey::Community => flow.community_id.as_deref().is_some_and(|id| match pattern {
            Pattern::Glob(text) | Pattern::Literal(text) => text == id,
            Pattern::Regex(_) => pattern.is(id),
        }),
        TextKey::Role => [flow.src_ip, flow.dest_ip].iter().any(|host| known.is_role(*host, pattern)),
        TextKey::Finding => known.is_found(flow.flow_id, pattern),
    }
}

fn protocols(flow: &FlowRecord<'_>) -> impl Iterator<Item = &'static str> {
    [
        ("tls", flow.tls.is_some()),
        ("quic", flow.quic.is_some()),
        ("dns", !flow.dns.is_empty()),
        ("http", !flow.http.is_empty()),
        ("stun", flow.stun.is_some()),
        ("sctp", flow.sctp.is_some()),
        ("rtp", flow.rtp.is_some()),
        ("icmp6", flow.proto == "IPv6-ICMP"),
    ]
    .into_iter()
    .filter_map(|(name, seen)| seen.then_some(name))
}

fn state(state: State, flow: &FlowRecord<'_>, known: &Known<'_>) -> bool {
    let is = |words: &[&str]| flow.flow.conn_state.is_some_and(|s| words.contains(&s));
    match state {
        State::Open => is(&["S1", "S2", "S3"]),
        State::Closed => is(&["SF"]),
        State::Unanswered => is(&["S0", "SH"]),
        State::Refused => is(&["REJ"]),
        State::Reset => is(&["RSTO", "RSTR", "RSTOS0", "RSTRH"]),
        State::Midstream => flow.flow.midstream,
        State::OneSided => flow.flow.one_sided,
        State::Interim => flow.flow.interim,
        State::Held => known.is_held(flow.flow_id),
        zeek => is(&[zeek.text()]),
    }
}

/// A number of the flow in SI units, where it has one.
fn measure(measure: Measure, flow: &FlowRecord<'_>) -> Option<f64> {
    let counts = &flow.flow;
    let sum = |a: u64, b: u64| a.saturating_add(b) as f64;
    match measure {
        Measure::Conf => Some(flow.confidence),
        Measure::Rate if counts.age > 0.0 => {
            Some(sum(counts.payload_toserver, counts.payload_toclient) * 8.0 / counts.age)
        }
        Measure::Rate => None,
        Measure::Rtt => flow.tcp.as_ref()?.rtt_min,
        Measure::Retrans => {
            let frames = sum(counts.pkts_toserver, counts.pkts_toclient) - counts.duplicates as f64;
            Some(flow.tcp.as_ref()?.retransmissions as f64 / frames.max(1.0))
        }
        Measure::Age => Some(counts.age),
        Measure::Bytes => Some(sum(counts.bytes_toserver, counts.bytes_toclient)),
        Measure::Pkts => Some(sum(counts.pkts_toserver, counts.pkts_toclient)),
    }
}

/// The text of an address, without allocation.
struct AddressText {
    buf: [u8; 48],
    len: usize,
}

impl AddressText {
    fn of(address: IpAddr) -> Self {
        let mut text = AddressText { buf: [0; 48], len: 0 };
        // The longest address has 45 characters.
        let _ = write!(text, "{address}");
        text
    }

    fn with<T: Default>(&self, f: impl FnOnce(&str) -> T) -> T {
        self.buf.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).map(f).unwrap_or_default()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.len + s.len();
        self.buf.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}
