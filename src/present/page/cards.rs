//! A finding with all that shows it.

use super::chart::{Chart, chart};
use super::{Markup, Matter, Words};
use crate::decode::tcp_flag;
use crate::event::{FindingRecord, Kind, Mode, Severity};
use crate::evidence::ladder::{Rung, Step};
use crate::evidence::{Scene, Wanted};
use crate::text::units::{Bytes, Count, Counted, Span};
use crate::text::zone::Zone;
use crate::time::Timestamp;

/// How many lines of evidence are told.
const EVIDENCE_MAX: usize = 12;

/// A finding.
#[derive(Debug)]
pub(super) struct Card {
    pub id: String,
    pub look: &'static str,
    pub sign: &'static str,
    pub severity: &'static str,
    pub title: String,
    pub sure: String,
    pub advice: String,
    pub facts: Vec<(&'static str, String)>,
    pub evidence: Vec<Line>,
    pub evidence_omitted: u64,
    pub chart: Option<Chart>,
    pub ladder: Option<Ladder>,
    pub disproved_if: String,
    pub retest: String,
    pub source: String,
}

/// A line of evidence.
#[derive(Debug)]
pub(super) struct Line {
    pub time: String,
    pub frame: String,
    pub text: String,
}

/// Packets between two ends.
#[derive(Debug)]
pub(super) struct Ladder {
    pub left: String,
    pub right: String,
    pub steps: Vec<Shown>,
}

/// A step of it.
#[derive(Debug)]
pub(super) struct Shown {
    /// Seconds since the flow's first packet; empty for a gap.
    pub time: String,
    pub frame: String,
    /// `→`, `←` or `⋮`.
    pub arrow: &'static str,
    pub what: String,
    pub cited: bool,
}

impl Card {
    pub fn new(finding: &FindingRecord, matter: &Matter<'_>, words: &Words, markup: Markup) -> Card {
        let scene = finding.flow_ids.first().and_then(|lead| matter.scenes.get(lead));
        let hold = scene.and_then(|scene| hold(finding, &scene.flow));
        let (look, sign) = match finding.severity {
            _ if !finding.is_claim() => ("hint", "?"),
            Severity::Error => ("error", "✗"),
            Severity::Warning => ("warning", "⚠"),
            Severity::Info => ("none", "·"),
        };
        let kind = finding.mode.map(|mode| format!(", {}", mode.text())).unwrap_or_default();
        Card {
            id: markup.tell(&finding.id),
            look,
            sign,
            severity: if finding.is_claim() { finding.severity.text() } else { "hint" },
            title: markup.tell(&finding.title),
            sure: format!(
                "{} {:.2}; rule {}, {}{kind}",
                finding.word.text(),
                finding.confidence,
                finding.rule,
                finding.kind.text()
            ),
            advice: markup.tell(&finding.advice),
            facts: facts(finding, markup, matter.zone),
            evidence: evidence(finding, markup, matter.zone),
            evidence_omitted: finding.evidence_omitted + finding.evidence.len().saturating_sub(EVIDENCE_MAX) as u64,
            chart: scene.and_then(|scene| chart(scene, hold)),
            ladder: scene.map(|scene| ladder(finding, scene, markup)).filter(|ladder| !ladder.steps.is_empty()),
            disproved_if: markup.tell(&finding.disproved_if),
            retest: words.impact(finding.kind).map(|impact| markup.tell(&impact.retest)).unwrap_or_default(),
            source: markup.tell(&finding.source),
        }
    }
}

/// From when to when the leading flow was held, if it was: what drips has not stood still, nor has what ran until it
/// was cut off. A finding of several flows lasts from the first of them to the last, and each was held for less than
/// that.
fn hold(finding: &FindingRecord, lead: &Wanted) -> Option<(Timestamp, Timestamp)> {
    let own = (finding.first.max(lead.first), finding.last.min(lead.last));
    let several = finding.flow_ids.len() > 1 && own.0 < own.1;
    let held = if several { own } else { (finding.first, finding.last) };
    let stood = matches!(finding.mode, Some(Mode::BufferAll | Mode::HoldRelease | Mode::ZeroWindow));
    (finding.kind == Kind::ContentFilterStall && stood).then_some(held)
}

fn end(ip: Option<std::net::IpAddr>, port: Option<u16>) -> Option<String> {
    let ip = ip?;
    Some(match port {
        Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
        None => ip.to_string(),
    })
}

fn facts(finding: &FindingRecord, markup: Markup, zone: Zone) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let span = Span(finding.last.since(finding.first));
    let moments = [zone.moment(finding.first), zone.moment_of_day(finding.last)];
    facts.push(("When", format!("{} ({span})", zone.period(finding.first, finding.last, moments))));
    if zone != Zone::Utc {
        facts.push((
            "In UTC",
            format!("{} to {}", Zone::Utc.moment(finding.first), Zone::Utc.moment_of_day(finding.last)),
        ));
    }
    let from = end(finding.src_ip, finding.src_port);
    let to = end(finding.dest_ip, finding.dest_port);
    if let (Some(from), Some(to)) = (from, to) {
        facts.push(("Connection", format!("{} {from} → {to}", finding.proto.as_deref().unwrap_or_default())));
    }
    facts.extend(finding.host.as_ref().map(|host| ("Host", markup.tell(host))));
    facts.extend(finding.community_id.as_ref().map(|id| ("Community id", markup.tell(id))));
    let flows = finding.flow_ids.len() as u64 + finding.flow_ids_omitted;
    if finding.count > 1 || flows > 1 {
        facts.push(("Seen", format!("{} on {}", Counted(finding.count, "time"), Counted(flows, "flow"))));
    }
    facts.extend(finding.vantage.map(|vantage| ("Captured", vantage.spoken().to_owned())));
    if let Some(between) = &finding.middlebox {
        let mut parts = Vec::new();
        parts.extend(between.product.as_ref().map(|product| format!("may be {product}")));
        parts.extend(between.ttl.map(arrives));
        parts.extend(between.rtt.map(|rtt| format!("answers within {:.2} ms", rtt * 1000.0)));
        parts.extend(between.via.as_ref().map(|via| format!("calls itself {via}")));
        parts.extend(between.issuer.as_ref().map(|issuer| format!("issues certificates as {issuer}")));
        parts.extend(between.text.clone());
        facts.push(("Box in between", markup.tell(&parts.join("; "))));
    }
    facts
}

/// How far a box is, by the time to live that its packets have on arrival: systems begin with one of three.
pub fn arrives(ttl: u8) -> String {
    match ttl {
        64 | 128 | 255 => format!("no router between (time to live {ttl})"),
        _ => format!("time to live {ttl} on arrival"),
    }
}

fn evidence(finding: &FindingRecord, markup: Markup, zone: Zone) -> Vec<Line> {
    let line = |line: &crate::event::FindingEvidence| Line {
        time: line.time.map(|at| zone.moment_of_day(at)).unwrap_or_default(),
        frame: line.frame.map(|frame| frame.to_string()).unwrap_or_default(),
        text: markup.tell(&line.text),
    };
    let mut first: Vec<_> = finding.evidence.iter().take(EVIDENCE_MAX).collect();
    // what is of no moment sums up the rest
    first.sort_by_key(|line| line.time.map_or(u64::MAX, |time| time.0));
    first.into_iter().map(line).collect()
}

fn ladder(finding: &FindingRecord, scene: &Scene, markup: Markup) -> Ladder {
    let [orig, resp] = scene.flow.ends;
    let v6 = finding.src_ip.is_some_and(|ip| ip.is_ipv6());
    let ports = crate::decode::proto::speaks_by_ports(scene.flow.proto);
    let name = |end: (crate::decode::Addr, u16)| self::end(Some(end.0.ip(v6)), ports.then_some(end.1));
    // the finding's own words, which may be pseudonyms, come before the capture's
    let left = end(finding.src_ip, finding.src_port).or_else(|| name(orig)).unwrap_or_default();
    let right = end(finding.dest_ip, finding.dest_port).or_else(|| name(resp)).unwrap_or_default();
    let right = finding.host.as_ref().map_or(right, |host| markup.tell(host));
    let steps = scene.ladder.steps().iter().map(|step| shown(step, scene.flow.first)).collect();
    Ladder { left, right, steps }
}

fn shown(step: &Step, begun: Timestamp) -> Shown {
    match step {
        Step::Packet(rung) => Shown {
            time: format!("{:.3}", crate::time::seconds(rung.ts.since(begun))),
            frame: rung.frame.to_string(),
            arrow: if rung.second { "←" } else { "→" },
            what: words(rung),
            cited: rung.cited,
        },
        Step::Gap { packets, bytes: [up, down] } => Shown {
            time: String::new(),
            frame: String::new(),
            arrow: "⋮",
            what: format!("{} more: {} →, {} ←", Count(*packets), Bytes(*up), Bytes(*down)),
            cited: false,
        },
    }
}

/// A packet in words: flags of TCP that tell something, what it is, how much of it.
pub fn words(rung: &Rung) -> String {
    let mut parts: Vec<String> = Vec::new();
    let flags = [(tcp_flag::SYN, "SYN"), (tcp_flag::FIN, "FIN"), (tcp_flag::RST, "RST")];
    parts.extend(flags.iter().filter(|(flag, _)| rung.flags & flag != 0).map(|(_, name)| (*name).to_owned()));
    if rung.flags & tcp_flag::ACK != 0 && (rung.payload == 0 || !parts.is_empty()) {
        parts.push("ACK".to_owned());
    }
    if !rung.what.is_empty() {
        parts.push(rung.what.to_owned());
    }
    if rung.payload > 0 {
        parts.push(Bytes(u64::from(rung.payload)).to_string());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Addr, proto};
    use crate::present::sample;

    #[test]
    fn of_several_flows_each_is_held_for_its_own_time() {
        let at = |second: u64| Timestamp(second * crate::time::SECOND);
        let end = (Addr::from_ip("10.0.0.1".parse().unwrap()), 443);
        let lead = |first, last| Wanted {
            flow_id: 1,
            proto: proto::TCP,
            ends: [end, end],
            first_frame: 1,
            first: at(first),
            last: at(last),
        };
        let mut finding = sample::findings().swap_remove(0);
        (finding.first, finding.last, finding.flow_ids) = (at(10), at(41), vec![1, 4]);
        assert_eq!(hold(&finding, &lead(9, 17)), Some((at(10), at(17))));
        assert_eq!(hold(&finding, &lead(30, 60)), Some((at(30), at(41))));
        // where nothing of it came behind the begin, its end is not known
        assert_eq!(hold(&finding, &lead(9, 10)), Some((at(10), at(41))));
        finding.flow_ids.truncate(1);
        assert_eq!(hold(&finding, &lead(9, 17)), Some((at(10), at(41))));
        // what drips, and what runs until it is cut off, has not stood still
        for mode in [Some(Mode::Trickle), Some(Mode::UploadSwallow), None] {
            assert_eq!(hold(&FindingRecord { mode, ..finding.clone() }, &lead(9, 17)), None);
        }
        finding.kind = Kind::DnsBlocked;
        assert_eq!(hold(&finding, &lead(9, 17)), None);
    }
}
