//! The comparison as records: which flow is which, and what went in and came out of each.

use std::collections::HashMap;

use crate::engine::case::Direction;
use crate::engine::leg::{Leg, LegFlow};
use crate::event::{
    CaptureQuality, ClockRecord, FlowRef, JoinedFlow, LIST_MAX, LegRecord, LegsRecord, Passage, Passed, SCHEMA_VERSION,
};

use crate::text::units::Count;

use super::Legs;
use super::join::{Join, Joined, amount, goes_out};
use super::judge::{Judged, What};

/// The captures and their clocks.
pub fn summary(
    lan: &Leg,
    wan: &Leg,
    legs: Option<&Legs<'_>>,
    joined: &Joined,
    quality: [&CaptureQuality; 2],
) -> LegsRecord {
    let [inner, outer] = quality;
    let pooled: usize = joined.pools.iter().map(|pool| pool.lan.len()).sum();
    let known = joined.pairs.len().saturating_add(pooled);
    let overlap = legs.map(|legs| (legs, legs.overlap())).filter(|(_, [from, until])| from < until);
    LegsRecord {
        event_type: "legs",
        schema_version: SCHEMA_VERSION,
        lan: leg(lan, inner),
        wan: leg(wan, outer),
        clock: legs.map(|legs| ClockRecord {
            wan_ahead: legs.clock.ahead,
            uncertainty: legs.clock.uncertainty,
            moments: legs.clock.moments as u64,
            agreeing: legs.clock.agreeing as u64,
            by: if legs.clock.by_packets { "packets" } else { "names" },
        }),
        start: overlap.map(|(legs, [from, _])| legs.lan_stamp(from)),
        end: overlap.map(|(legs, [_, until])| legs.lan_stamp(until)),
        joined: joined.pairs.len() as u64,
        pooled: pooled as u64,
        pool_omitted: joined.pool_omitted as u64,
        lan_only: lan.flows.len().saturating_sub(known) as u64,
        wan_only: joined.wan_only as u64,
        warnings: warnings(lan, wan, legs, joined),
    }
}

fn leg(leg: &Leg, quality: &CaptureQuality) -> LegRecord {
    LegRecord {
        frames: quality.frames,
        first: quality.first,
        last: quality.last,
        flows: leg.flows.len() as u64,
        flows_omitted: leg.omitted,
        missed_bytes: quality.missed_bytes,
    }
}

/// How many joined flows must say that captures are swapped, or are one, before that is said.
const VOICES: usize = 3;

fn warnings(lan: &Leg, wan: &Leg, legs: Option<&Legs<'_>>, joined: &Joined) -> Vec<String> {
    let mut said = Vec::new();
    let Some(legs) = legs else {
        said.push(match lan.flows.is_empty() || wan.flows.is_empty() {
            true => "one of the captures has no flow at all: nothing can be compared".to_owned(),
            false => "the captures have no flow in common: were they made on both sides of one box, at the same time?"
                .to_owned(),
        });
        return said;
    };
    let [from, until] = legs.overlap();
    if from >= until {
        let apart = from - until;
        said.push(format!("the captures do not overlap: {apart:.0} s lie between them, by packets that are in both"));
    }
    if legs.clock.agreeing.saturating_mul(2) < legs.clock.moments && legs.clock.by_packets {
        said.push(
            "the clocks do not keep step: of the packets in both captures most tell another difference".to_owned(),
        );
    }
    if joined.pool_omitted > 0 {
        said.push(format!(
            "so many connections go to one place that {} were not compared each with each: which is which of them is less \
             well known",
            Count(joined.pool_omitted as u64)
        ));
    }
    let mut hops = [0usize, 0, 0];
    let same = joined.pairs.iter().filter(|pair| pair.same);
    for (a, b) in same.filter_map(|pair| Some((lan.flows.get(pair.lan)?, wan.flows.get(pair.wan)?))) {
        let [inner, _] = a.case.ttl;
        let [outer, _] = b.case.ttl;
        let [orig, resp] = a.case.inside;
        let ends = a.case.orig == b.case.orig && a.case.resp == b.case.resp;
        let place = match inner.cmp(&outer) {
            // who is inside by the inner capture sends outward
            std::cmp::Ordering::Less if orig && !resp => 1,
            std::cmp::Ordering::Equal if ends => 2,
            _ => 0,
        };
        if let Some(count) = hops.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }
    let translated_inside = swapped(lan, wan, joined);
    let [right, wrong, one] = hops;
    if translated_inside || wrong >= VOICES && wrong > right {
        said.push("the captures seem to be swapped: give the inner one as --lan and the outer one as --wan".to_owned());
    } else if one >= VOICES && one > right && legs.clock.ahead.abs() < 1e-3 {
        said.push(
            "both captures show the same packets with the same hops: were they made on the same side of the box?"
                .to_owned(),
        );
    }
    said
}

/// Whether what the inner capture shows as an outside address is an inside one in the outer.
fn swapped(lan: &Leg, wan: &Leg, joined: &Joined) -> bool {
    let pairs = joined.pairs.iter().filter_map(|pair| Some((lan.flows.get(pair.lan)?, wan.flows.get(pair.wan)?)));
    let inside = |flow: &LegFlow| {
        let [orig, _] = flow.case.inside;
        orig
    };
    let (mut right, mut wrong) = (0usize, 0usize);
    for (a, b) in pairs.filter(|(a, b)| a.case.orig.0 != b.case.orig.0 && a.case.resp == b.case.resp) {
        match (inside(a), inside(b)) {
            (false, true) => wrong = wrong.saturating_add(1),
            _ => right = right.saturating_add(1),
        }
    }
    wrong >= VOICES && wrong > right
}

/// Every flow that was joined, or that goes out of the site and was not, in the order of the inner capture.
pub fn flows(legs: &Legs<'_>, joined: &Joined, judged: &[Judged]) -> Vec<JoinedFlow> {
    let mut found: HashMap<usize, &Judged> = HashMap::new();
    for one in judged {
        for lan in &one.lan {
            found.entry(*lan).or_insert(one);
        }
    }
    let pairs = joined.pairs.iter().map(|pair| (pair.lan, Some(pair)));
    let pooled = joined.pools.iter().flat_map(|pool| pool.lan.iter().map(|lan| (*lan, pool.likely(*lan))));
    let mut all: Vec<(usize, Option<&Join>)> = pairs.chain(pooled).collect();
    all.sort_by_key(|(lan, _)| *lan);
    let rows = all.into_iter().filter_map(|(lan, join)| row(legs, lan, join, found.get(&lan).copied()));
    rows.take(LIST_MAX).collect()
}

/// A flow of the inner capture, what it is joined with, and what was found of it.
fn row(legs: &Legs<'_>, lan: usize, join: Option<&Join>, found: Option<&Judged>) -> Option<JoinedFlow> {
    let flow = legs.lan.flows.get(lan)?;
    let others: Vec<&LegFlow> = join.and_then(|join| legs.wan.flows.get(join.wan)).into_iter().collect();
    let sum = |direction| others.iter().map(|other| amount(other, direction)).sum::<f64>() as u64;
    let own = |direction| amount(flow, direction) as u64;
    let inside_first = same_side(flow, &others);
    let passage = |sender: Direction| {
        let outward = (sender == Direction::Orig) == inside_first;
        let (put_in, come_out) = if outward { (own(sender), sum(sender)) } else { (sum(sender), own(sender)) };
        Passage { put_in, come_out }
    };
    let passed = match found.map(|found| &found.what) {
        Some(What::Held(..)) => Passed::Held,
        Some(What::Lagged(_)) => Passed::Late,
        Some(What::Open(..)) => Passed::Unclear,
        None if join.is_some_and(|join| join.same) => Passed::Same,
        None if join.is_none() => Passed::NotSeen,
        None => Passed::Through,
    };
    let reason = found.and_then(|found| match &found.what {
        What::Open(_, why) => Some(why.text().to_owned()),
        _ => None,
    });
    let named = others.iter().find_map(|other| other.case.host.clone());
    Some(JoinedFlow {
        event_type: "joined_flow",
        proto: flow.case.identity.proto.clone(),
        class: flow.case.class,
        host: flow.case.host.clone().or(named),
        lan: end(flow),
        wan: others.iter().map(|other| end(other)).collect(),
        joined_by: join.iter().flat_map(|join| &join.clues).map(|clue| clue.text()).collect(),
        toserver: passage(Direction::Orig),
        toclient: passage(Direction::Resp),
        passed,
        reason,
    })
}

/// Whether the flow's originator is on the inner side.
fn same_side(flow: &LegFlow, others: &[&LegFlow]) -> bool {
    others
        .first()
        .map_or_else(|| goes_out(&flow.case), |other| super::join::is_originated_inside(&flow.case, &other.case))
}

fn end(flow: &LegFlow) -> FlowRef {
    let identity = &flow.case.identity;
    FlowRef {
        flow_id: identity.flow_id,
        src_ip: identity.src_ip,
        src_port: identity.src_port,
        dest_ip: identity.dest_ip,
        dest_port: identity.dest_port,
        start: identity.start,
        frame: flow.case.first_frame,
    }
}
