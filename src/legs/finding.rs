//! What two captures prove, as findings.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::diagnose::capture;
use crate::diagnose::draft::{self, Draft};
use crate::diagnose::rules::{Place, RuleId, Rules};
use crate::engine::case::Direction;
use crate::engine::leg::LegFlow;
use crate::event::{CaptureQuality, Class, FindingRecord, LegSide, Middlebox, Mode, Vantage};
use crate::text::units::{Bytes, Percent};
use crate::time::Timestamp;

use super::Legs;
use super::hold::Hold;
use super::judge::{Doubt, Judged, What};
use super::lag::Lag;

/// The findings of all that was judged, one a cause, in order.
pub fn findings(
    legs: &Legs<'_>,
    judged: &[Judged],
    quality: [&CaptureQuality; 2],
    rules: &Rules,
) -> Vec<FindingRecord> {
    let relays = relays(legs);
    let mut found: Vec<FindingRecord> =
        judged.iter().filter_map(|judged| finding(legs, &relays, judged, rules)).collect();
    found = one_a_flow(found);
    let mut found = draft::merge(found);
    if quality.iter().any(|quality| capture::is_poor(quality, rules)) {
        let most = rules.settings.capture.poor_cap;
        for finding in &mut found {
            let confidence = finding.confidence.min(most);
            draft::set_confidence(finding, confidence);
        }
    }
    found.sort_by(draft::order);
    found
}

/// Of what was found of one flow, in both directions and in several ways, the surest.
fn one_a_flow(found: Vec<FindingRecord>) -> Vec<FindingRecord> {
    let mut flows: BTreeMap<Option<u64>, FindingRecord> = BTreeMap::new();
    for finding in found {
        match flows.entry(finding.flow_ids.first().copied()) {
            std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(finding),
            std::collections::btree_map::Entry::Occupied(mut same) => {
                if finding.confidence > same.get().confidence {
                    same.insert(finding);
                }
            }
        }
    }
    flows.into_values().collect()
}

/// The relays' names by their addresses.
fn relays<'a>(legs: &'a Legs<'_>) -> HashMap<IpAddr, &'a str> {
    let mut relays: HashMap<IpAddr, &str> = HashMap::new();
    let all = legs.wan.flows.iter().chain(&legs.lan.flows).map(|flow| &flow.case);
    for case in all.filter(|case| case.class == Class::Relay) {
        let Some(host) = case.host.as_deref() else { continue };
        let name = relays.entry(case.resp.0).or_insert(host);
        *name = host.min(*name);
    }
    relays
}

fn finding(legs: &Legs<'_>, relays: &HashMap<IpAddr, &str>, judged: &Judged, rules: &Rules) -> Option<FindingRecord> {
    let (first, others) = judged.lan.split_first()?;
    let flow = legs.lan.flows.get(*first)?;
    let told = Told { legs, relays, judged, flow };
    let draft = match &judged.what {
        What::Held(hold, mode) => told.held(told.start(rules, RuleId::Cf9, hold.from.at, hold.until).mode(*mode), hold),
        // what has another cause is no finding of these rules
        What::Open(_, Doubt::Busy | Doubt::Closed | Doubt::Refused) => return None,
        What::Open(hold, why) => {
            let mode = if hold.released.is_some() { Mode::HoldRelease } else { told.plain_mode() };
            let draft = told.start(rules, RuleId::Cf9, hold.from.at, hold.until).mode(mode);
            told.held(draft, hold).evidence(why.text(), None, None)
        }
        What::Lagged(lag) => told.lagged(told.start(rules, RuleId::Cf10, lag.first.at, lag.last), lag),
    };
    let others = others.iter().filter_map(|at| legs.lan.flows.get(*at)).map(|flow| flow.case.identity.flow_id);
    let count = u64::try_from(judged.lan.len()).unwrap_or(1);
    Some(draft.flows(others).count(count).at_most(judged.most).build())
}

struct Told<'a> {
    legs: &'a Legs<'a>,
    relays: &'a HashMap<IpAddr, &'a str>,
    judged: &'a Judged,
    flow: &'a LegFlow,
}

impl Told<'_> {
    fn start<'r>(&self, rules: &'r Rules, rule: RuleId, from: f64, until: f64) -> Draft<'r> {
        let draft = Draft::new(rules, rule, self.legs.lan_stamp(from), self.legs.lan_stamp(until)).legs();
        let draft = draft.about(&self.flow.case).vantage(Some(Vantage::BothLegs)).middlebox(self.middlebox());
        // one that began before its capture may be named by another to the same address
        match self.relays.get(&self.flow.case.resp.0).filter(|_| self.flow.case.host.is_none()) {
            Some(host) => draft.host(host),
            None => draft,
        }
    }

    const fn outward(&self) -> bool {
        matches!(self.judged.sender, Direction::Orig)
    }

    const fn plain_mode(&self) -> Mode {
        if self.outward() { Mode::UploadSwallow } else { Mode::BufferAll }
    }

    /// The capture in which a stream went in, and the one in which it came out.
    const fn sides(&self) -> [LegSide; 2] {
        if self.outward() { [LegSide::Lan, LegSide::Wan] } else { [LegSide::Wan, LegSide::Lan] }
    }

    fn time(&self, side: LegSide, at: f64) -> Timestamp {
        match side {
            LegSide::Lan => self.legs.lan_stamp(at),
            LegSide::Wan => self.legs.wan_stamp(at),
        }
    }

    fn held<'r>(&self, draft: Draft<'r>, hold: &Hold) -> Draft<'r> {
        let [inside, outside] = self.sides();
        let seconds = hold.until - hold.from.at;
        let draft = draft
            .say(Place::Bytes, Bytes(hold.put_in as u64))
            .say(Place::Share, share(hold))
            .say(Place::Seconds, format!("{seconds:.0}"))
            .evidence_in(
                inside,
                format!("{} go into the box in {seconds:.0} s", Bytes(hold.put_in as u64)),
                Some(hold.from.frame),
                Some(self.time(inside, hold.from.at)),
            );
        let until = self.time(outside, hold.until);
        let draft = match self.judged.wan.is_empty() && self.outward() {
            true => draft.evidence_in(outside, "no connection for them is opened".to_owned(), None, Some(until)),
            false => {
                let text = format!("{} of them come out by then", Bytes(hold.come_out as u64));
                draft.evidence_in(outside, text, self.leading_frame(outside), Some(until))
            }
        };
        match hold.released {
            None => draft,
            Some(step) => draft.evidence_in(
                outside,
                "only now does the box pass them on".to_owned(),
                Some(step.frame),
                Some(self.time(outside, step.at)),
            ),
        }
    }

    fn lagged<'r>(&self, draft: Draft<'r>, lag: &Lag) -> Draft<'r> {
        let [inside, outside] = self.sides();
        draft
            .say(Place::Seconds, format!("{:.1}", lag.seconds))
            .evidence_in(
                inside,
                format!("the first of {} messages goes into the box", lag.messages),
                Some(lag.first.frame),
                Some(self.time(inside, lag.first.at)),
            )
            .evidence_in(
                outside,
                format!(
                    "lag-one: {} of it come out only with the next, {:.1} s later, and so with {} in all",
                    Bytes(lag.bytes as u64),
                    lag.seconds,
                    lag.late
                ),
                Some(lag.out.frame),
                Some(self.time(outside, lag.out.at)),
            )
    }

    /// The first frame of the flow by which a stream should have come out.
    fn leading_frame(&self, side: LegSide) -> Option<u64> {
        match side {
            LegSide::Lan => Some(self.flow.case.first_frame),
            LegSide::Wan => {
                let first = self.judged.wan.first()?;
                self.legs.wan.flows.get(*first).map(|flow| flow.case.first_frame)
            }
        }
    }

    /// What the box shows of itself: it answers for the far end.
    fn middlebox(&self) -> Middlebox {
        let case = &self.flow.case;
        let [_, ttl] = case.ttl;
        let via = case.http.iter().flat_map(|http| &http.turns).find_map(|turn| turn.via.clone());
        let issuer = case.tls.as_ref().and_then(|tls| tls.issuer.clone());
        Middlebox {
            ttl: (ttl != 0).then_some(ttl),
            rtt: case.tcp.as_ref().and_then(|tcp| tcp.rtt_min),
            via,
            issuer,
            product: None,
            text: Some("it ends the connections of one side and opens its own on the other".to_owned()),
        }
    }
}

fn share(hold: &Hold) -> String {
    let share = hold.come_out / hold.put_in.max(1.0);
    if share < 0.000_5 { "nothing".to_owned() } else { Percent(share).to_string() }
}
