//! How a detector makes a finding, and how findings of one cause become one.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;

use super::rules::{Place, Rule, RuleId, Rules, fill};
use crate::engine::analysis::Identity;
use crate::engine::case::Case;
use crate::event::{
    CERTAIN, FindingEvidence, FindingRecord, Kind, LIST_MAX, LegSide, Manner, Middlebox, Mode, Severity, Vantage, Word,
};
use crate::flow::key::fold;
use crate::time::Timestamp;

/// The most that a finding can be sure: nothing seen from outside is beyond doubt.
const SUREST: f64 = 0.99;
/// How many lines of evidence others are held against.
const ALIKE: usize = 64;
/// The most that a stall can be sure where only one side of the box was captured.
const ONE_LEG: f64 = CERTAIN - 0.01;

/// A finding in the making. It begins with what its rule says: kind, mode, severity, base confidence and texts.
#[derive(Clone, Debug)]
pub struct Draft<'r> {
    rule: &'r Rule,
    known: HashMap<Place, String>,
    confidence: f64,
    most: f64,
    legs: bool,
    finding: FindingRecord,
}

impl<'r> Draft<'r> {
    /// A finding of that rule, first and last seen then.
    pub fn new(rules: &'r Rules, rule: RuleId, first: Timestamp, last: Timestamp) -> Self {
        let rule = rules.rule(rule);
        let text = &rule.text;
        let finding = FindingRecord {
            event_type: "finding",
            id: String::new(),
            kind: text.kind,
            mode: text.mode,
            manner: None,
            rule: text.id.text(),
            severity: text.severity,
            confidence: 0.0,
            word: Word::Guess,
            state: None,
            first,
            last,
            count: 1,
            flow_start: None,
            flow_ids: Vec::new(),
            flow_ids_omitted: 0,
            src_ip: None,
            src_port: None,
            dest_ip: None,
            dest_port: None,
            proto: None,
            community_id: None,
            host: None,
            vantage: None,
            middlebox: None,
            title: String::new(),
            advice: String::new(),
            evidence: Vec::new(),
            evidence_omitted: 0,
            disproved_if: String::new(),
            source: String::new(),
        };
        Draft { rule, known: HashMap::new(), confidence: rule.confidence, most: SUREST, legs: false, finding }
    }

    /// The leading flow.
    pub fn lead(mut self, flow: &Identity) -> Self {
        let finding = &mut self.finding;
        finding.flow_start = Some(flow.start);
        finding.src_ip = Some(flow.src_ip);
        finding.src_port = flow.src_port;
        finding.dest_ip = Some(flow.dest_ip);
        finding.dest_port = flow.dest_port;
        finding.proto = Some(flow.proto.clone());
        finding.community_id = Some(flow.community_id());
        finding.flow_ids.retain(|id| *id != flow.flow_id);
        finding.flow_ids.insert(0, flow.flow_id);
        self
    }

    /// The leading flow, and the name of its host if it has one.
    pub fn about(self, case: &Case) -> Self {
        let draft = self.lead(&case.identity);
        match &case.host {
            Some(host) => draft.host(host),
            None => draft,
        }
    }

    /// Other flows that it is about.
    pub fn flows(mut self, ids: impl IntoIterator<Item = u64>) -> Self {
        add_flows(&mut self.finding, ids, 0);
        self
    }

    /// Another of the rule's kinds than its first.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.finding.kind = kind;
        self
    }

    /// What it is more closely, so that its texts fit; none for what the rule says anyway.
    pub fn manner(mut self, manner: impl Into<Option<Manner>>) -> Self {
        self.finding.manner = manner.into();
        self
    }

    /// The mode, where the rule has no fixed one.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.finding.mode = Some(mode);
        self
    }

    /// Another severity than the rule's.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.finding.severity = severity;
        self
    }

    /// The name that it is about.
    pub fn host(mut self, name: &str) -> Self {
        self.finding.host = Some(name.to_owned());
        self
    }

    /// Where the capture stood, if that shows.
    pub fn vantage(mut self, vantage: Option<Vantage>) -> Self {
        self.finding.vantage = vantage.or(self.finding.vantage);
        self
    }

    /// How many times it was seen.
    pub fn count(mut self, count: u64) -> Self {
        self.finding.count = count;
        self
    }

    /// What is known of the box in between.
    pub fn middlebox(mut self, middlebox: Middlebox) -> Self {
        self.finding.middlebox = (middlebox != Middlebox::default()).then_some(middlebox);
        self
    }

    /// What stands at a place of the rule's texts. Host, port, client and server are known from the leading flow.
    pub fn say(mut self, place: Place, what: impl Display) -> Self {
        self.known.insert(place, what.to_string());
        self
    }

    /// What shows it.
    pub fn evidence(mut self, text: impl Into<String>, frame: Option<u64>, time: Option<Timestamp>) -> Self {
        add_evidence(&mut self.finding, [FindingEvidence { leg: None, text: text.into(), frame, time }]);
        self
    }

    /// What shows it in one of two captures, by its own clock.
    pub fn evidence_in(
        mut self,
        leg: LegSide,
        text: impl Into<String>,
        frame: Option<u64>,
        time: Option<Timestamp>,
    ) -> Self {
        add_evidence(&mut self.finding, [FindingEvidence { leg: Some(leg), text: text.into(), frame, time }]);
        self
    }

    /// Another confidence to begin with than the rule's.
    pub fn base(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// More confidence, or with a minus less.
    pub fn adjust(mut self, by: f64) -> Self {
        self.confidence += by;
        self
    }

    /// At most that confidence, whatever else is added.
    pub fn at_most(mut self, confidence: f64) -> Self {
        self.most = self.most.min(confidence);
        self
    }

    /// Both sides of the box were captured: a stall may be certain.
    pub fn legs(mut self) -> Self {
        self.legs = true;
        self
    }

    /// The finding.
    pub fn build(mut self) -> FindingRecord {
        let stall = self.finding.kind == Kind::ContentFilterStall;
        let most = if stall && !self.legs { self.most.min(ONE_LEG) } else { self.most };
        set_confidence(&mut self.finding, self.confidence.clamp(0.0, most));
        let finding = &mut self.finding;
        let server = finding.dest_ip.map(|ip| ip.to_string());
        let known = [
            (Place::Host, finding.host.clone().or_else(|| server.clone())),
            (Place::Port, finding.dest_port.map(|port| port.to_string())),
            (Place::Client, finding.src_ip.map(|ip| ip.to_string())),
            (Place::Server, server),
        ];
        for (place, what) in known {
            if let Some(what) = what {
                self.known.entry(place).or_insert(what);
            }
        }
        let (title, advice) = self.rule.said(finding);
        finding.title = fill(title, &self.known);
        finding.advice = fill(advice, &self.known);
        finding.disproved_if = fill(&self.rule.text.disproved_if, &self.known);
        finding.source = self.rule.text.sources.join("; ");
        finding.id = id(finding);
        self.finding
    }
}

/// Sets a confidence and its word; digits that no rule gives are rounded away, so that sums compare as they read.
pub fn set_confidence(finding: &mut FindingRecord, confidence: f64) {
    finding.confidence = (confidence * 1000.0).round() / 1000.0;
    finding.word = Word::of(finding.confidence);
}

/// An identity that is the same in every run: from rule, kind and what it is about; 48 bits.
fn id(finding: &FindingRecord) -> String {
    let flow = finding.flow_ids.first().copied().unwrap_or(finding.first.0);
    let mode = finding.mode.map_or("", Mode::text);
    let host = finding.host.as_deref().unwrap_or_default();
    let texts = [finding.rule, finding.kind.text(), mode, host];
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    let mixed = bytes.fold(fold(flow ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93), |hash, byte| {
        fold(hash ^ u64::from(byte), 0xa076_1d64_78bd_642f)
    });
    format!("{:012x}", mixed >> 16)
}

/// Adds flows that are not there yet, and `omitted` that a list had no room for.
fn add_flows(finding: &mut FindingRecord, ids: impl IntoIterator<Item = u64>, omitted: u64) {
    let mut known: HashSet<u64> = finding.flow_ids.iter().copied().collect();
    let mut over = omitted;
    for id in ids.into_iter().filter(|id| known.insert(*id)) {
        if finding.flow_ids.len() < LIST_MAX {
            finding.flow_ids.push(id);
        } else {
            over = over.saturating_add(1);
        }
    }
    finding.flow_ids_omitted = finding.flow_ids_omitted.saturating_add(over);
}

/// Adds lines that do not stand among the first already: what is said of a client is said with each of its flows.
fn add_evidence(finding: &mut FindingRecord, evidence: impl IntoIterator<Item = FindingEvidence>) {
    for line in evidence {
        if finding.evidence.iter().take(ALIKE).any(|known| *known == line) {
            continue;
        }
        if finding.evidence.len() < LIST_MAX {
            finding.evidence.push(line);
        } else {
            finding.evidence_omitted = finding.evidence_omitted.saturating_add(1);
        }
    }
}

/// What findings have in common that have one cause.
pub type Cause = (Kind, Option<Mode>, Option<String>, Option<IpAddr>, Option<IpAddr>);

/// The cause of a finding: kind and mode, the host or without a name the address that it is about, and the client.
pub fn cause(finding: &FindingRecord) -> Cause {
    let address = finding.dest_ip.filter(|_| finding.host.is_none());
    (finding.kind, finding.mode, finding.host.clone(), address, finding.src_ip)
}

/// Makes one finding of those that have one cause: the same kind and mode, at the same host, of the same client. The
/// earliest leads, the surest speaks.
pub fn merge(findings: Vec<FindingRecord>) -> Vec<FindingRecord> {
    let mut findings = findings;
    findings.sort_by(|a, b| (a.first, &a.id).cmp(&(b.first, &b.id)));
    let mut causes: BTreeMap<Cause, FindingRecord> = BTreeMap::new();
    for finding in findings {
        match causes.entry(cause(&finding)) {
            std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(finding),
            std::collections::btree_map::Entry::Occupied(mut same) => join(same.get_mut(), finding),
        }
    }
    causes.into_values().collect()
}

fn join(leading: &mut FindingRecord, other: FindingRecord) {
    leading.count = leading.count.saturating_add(other.count);
    leading.last = leading.last.max(other.last);
    add_flows(leading, other.flow_ids, other.flow_ids_omitted);
    if other.confidence > leading.confidence {
        leading.rule = other.rule;
        leading.severity = other.severity;
        leading.confidence = other.confidence;
        leading.word = other.word;
        leading.manner = other.manner;
        leading.title = other.title;
        leading.advice = other.advice;
        leading.disproved_if = other.disproved_if;
        leading.source = other.source;
        leading.vantage = other.vantage.or(leading.vantage);
        leading.middlebox = other.middlebox.or(leading.middlebox.take());
    } else {
        leading.vantage = leading.vantage.or(other.vantage);
        leading.middlebox = leading.middlebox.take().or(other.middlebox);
    }
    leading.evidence_omitted = leading.evidence_omitted.saturating_add(other.evidence_omitted);
    add_evidence(leading, other.evidence);
}

/// The order in which findings are told: the gravest, the surest, the earliest first.
pub fn order(a: &FindingRecord, b: &FindingRecord) -> Ordering {
    (Reverse(a.severity))
        .cmp(&Reverse(b.severity))
        .then(b.confidence.total_cmp(&a.confidence))
        .then(a.first.cmp(&b.first))
        .then_with(|| a.id.cmp(&b.id))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A flow of a recorder, the number of which is its start in seconds too.
    pub(crate) fn flow(number: u64) -> Identity {
        Identity {
            flow_id: number,
            protocol: 6,
            src_ip: "192.168.1.50".parse().unwrap(),
            src_port: Some(40_000),
            dest_ip: "203.0.113.9".parse().unwrap(),
            dest_port: Some(443),
            proto: "TCP".into(),
            start: Timestamp(number * crate::time::SECOND),
            first_frame: number,
        }
    }

    fn stall(rules: &Rules, number: u64) -> Draft<'_> {
        let flow = flow(number);
        Draft::new(rules, RuleId::Cf1, flow.start, flow.start).lead(&flow).host("a1.us-west.u5fgb.com")
    }

    #[test]
    fn a_finding_says_what_its_rule_says() {
        let rules = Rules::embedded().unwrap();
        let finding = stall(&rules, 7)
            .say(Place::Seconds, 12)
            .evidence("asked", Some(3), None)
            .middlebox(Middlebox::default())
            .adjust(0.15)
            .adjust(0.15)
            .build();
        assert_eq!(
            finding.title,
            "Video from a1.us-west.u5fgb.com is being held back: 12 s after the request nothing has arrived"
        );
        assert_eq!((finding.confidence, finding.word, finding.severity), (0.8, Word::High, Severity::Error));
        assert_eq!((finding.mode, &*finding.flow_ids, finding.dest_port), (Some(Mode::BufferAll), &[7][..], Some(443)));
        assert_eq!(finding.middlebox, None);
        assert_eq!(finding.source, "S1:75-79; S1:89; RFC 9112 section 6.3");
        assert_eq!(finding.id.len(), 12);
        assert_eq!(stall(&rules, 7).build().id, finding.id);
        assert_ne!(stall(&rules, 8).build().id, finding.id);
        let blocked =
            Draft::new(&rules, RuleId::D6, Timestamp(0), Timestamp(9)).lead(&flow(1)).mode(Mode::Drop).build();
        assert_eq!(blocked.title, "192.168.1.50 cannot reach 203.0.113.9 on TCP port 443: every attempt vanishes");
    }

    #[test]
    fn only_two_legs_make_a_stall_certain() {
        let rules = Rules::embedded().unwrap();
        let sure = stall(&rules, 1).base(0.9).adjust(0.5);
        assert_eq!(sure.clone().build().word, Word::High);
        assert_eq!(sure.clone().legs().build().confidence, 0.99);
        assert_eq!(sure.clone().legs().at_most(0.54).build().word, Word::Low);
        assert_eq!(sure.kind(Kind::BlockPage).build().word, Word::Certain);
        assert_eq!(stall(&rules, 1).adjust(-2.0).build().confidence, 0.0);
    }

    #[test]
    fn one_cause_is_one_finding() {
        let rules = Rules::embedded().unwrap();
        let weak = stall(&rules, 1).evidence("one", None, None).build();
        let strong = stall(&rules, 2).say(Place::Seconds, 30).adjust(0.2).flows([5, 2, 6]).evidence("two", None, None);
        let strong = strong.count(2).build();
        let elsewhere = stall(&rules, 3).host("b2.us-west.u5fgb.com").build();
        let trickle = Draft::new(&rules, RuleId::Cf3, Timestamp(0), Timestamp(0)).lead(&flow(4)).build();
        let mut merged = merge(vec![strong.clone(), trickle, elsewhere.clone(), weak.clone()]);
        merged.sort_by(order);
        assert_eq!(merged.len(), 3);
        let both = &merged[0];
        assert_eq!((&both.id, both.flow_start), (&weak.id, weak.flow_start));
        assert_eq!((both.count, &*both.flow_ids), (3, &[1, 2, 5, 6][..]));
        assert_eq!((&both.title, both.confidence, both.last), (&strong.title, strong.confidence, strong.last));
        assert_eq!(both.evidence.len(), 2);
        assert_eq!(merged[1].id, elsewhere.id);
    }

    #[test]
    fn the_gravest_and_surest_comes_first() {
        let rules = Rules::embedded().unwrap();
        let of = |rule, first, more: f64| Draft::new(&rules, rule, Timestamp(first), Timestamp(9)).adjust(more).build();
        let mut findings =
            [of(RuleId::D21, 1, 0.0), of(RuleId::D6, 1, -0.3), of(RuleId::D4, 0, 0.0), of(RuleId::D6, 2, 0.0)];
        findings.sort_by(order);
        assert_eq!(findings.map(|f| (f.rule, f.first.0)), [("D-6", 2), ("D-6", 1), ("D-4", 0), ("D-21", 1)]);
    }

    #[test]
    fn lists_are_bounded() {
        let rules = Rules::embedded().unwrap();
        let many = stall(&rules, 1).flows(2..=5000).build();
        assert_eq!((many.flow_ids.len(), many.flow_ids_omitted), (LIST_MAX, 5000 - LIST_MAX as u64));
        // what is in the list already has a place, and what comes twice wants one
        let again = stall(&rules, 1).flows(1..=LIST_MAX as u64).flows([2, 3, 9_000, 9_000, 1]).build();
        assert_eq!((again.flow_ids.len(), again.flow_ids_omitted), (LIST_MAX, 1));
    }
}
