//! By how much one capture's clock is ahead of the other's.
//!
//! A packet that is in both captures tells: it passes the outer point later than the inner one on its way out, and
//! earlier on its way in. So the least difference outward and the greatest inward hold the truth between them, as with
//! NTP. A wrong pair of packets tells any difference, right ones all nearly the same: what most agree on counts.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::diagnose::settings::Legs as Settings;
use crate::engine::case::Direction;
use crate::engine::leg::{Leg, LegFlow};
use crate::flow::trace::Mark;
use crate::flow::wrapping::ahead;
use crate::time::{seconds, signed_seconds};

use super::join::{has_one_sequence, is_originated_inside, names};

/// How many flows of one name are looked at in each capture, where only names tell.
const FLOWS_OF_A_NAME: usize = 64;
/// How many bytes of one stream are looked for in the other capture.
const BYTES_OF_A_STREAM: usize = 256;
/// How near differences must be, in seconds, to agree: those of packets, and those of names.
const AGREE: [f64; 2] = [1.0, 2.0];
/// The least that anything timed by two captures is uncertain by, in seconds.
const LEAST: f64 = 0.000_1;

/// The outer capture's clock against the inner one's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Seconds by which it is ahead; negative where it is behind.
    pub ahead: f64,
    /// How far that may be off, in seconds.
    pub uncertainty: f64,
    /// How many differences were measured.
    pub moments: usize,
    /// How many of them agree.
    pub agreeing: usize,
    /// They are those of the same packets; else only of flows to the same names.
    pub by_packets: bool,
}

/// What two captures may have in common: what it is, and where.
pub(super) type Key = (Kind, u64);

/// What of a packet is the same on both sides of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Opens,
    Accepts,
    Hello,
    Stun,
    Ntp,
    Dns,
    Payload,
}

impl Kind {
    /// Whether chance does not bring it about twice.
    const fn is_strong(self) -> bool {
        !matches!(self, Kind::Dns | Kind::Payload)
    }
}

/// The packets of a flow that may be known again in the other capture, each with its sender.
pub(super) fn marks(flow: &LegFlow) -> Vec<(Key, Mark, Direction)> {
    let mut marks = Vec::new();
    let [orig, resp] = &flow.sides;
    let port = u64::from(flow.case.resp.1);
    let isn = |isn: u32| u64::from(isn) << 32;
    if let (Some(own), Some(mark)) = (orig.isn, orig.first) {
        marks.push(((Kind::Opens, isn(own) | port), mark, Direction::Orig));
    }
    if let (Some(own), Some(other), Some(mark)) = (orig.isn, resp.isn, resp.first) {
        marks.push(((Kind::Accepts, isn(own) | u64::from(other)), mark, Direction::Resp));
    }
    for (side, direction) in [(orig, Direction::Orig), (resp, Direction::Resp)] {
        let Some(mark) = side.spoke.filter(|mark| mark.digest != 0) else { continue };
        let hello = flow.hello != 0 && flow.case.via_proxy.is_none();
        let kind = match () {
            () if hello && direction == Direction::Orig => Kind::Hello,
            // what a server answers in TLS is as random as what it is asked
            () if hello => Kind::Hello,
            () if flow.case.stun.is_some() => Kind::Stun,
            () if flow.case.ntp.is_some() => Kind::Ntp,
            () if !flow.questions.is_empty() => Kind::Dns,
            () => Kind::Payload,
        };
        marks.push(((kind, mark.digest), mark, direction));
    }
    marks
}

/// A difference, in seconds, by which the outer clock is ahead for all that a packet shows; and which way it went.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Vote {
    ahead: f64,
    outward: bool,
}

/// The clocks of two captures, if they have anything in common.
pub fn estimate(lan: &Leg, wan: &Leg, settings: &Settings) -> Option<Clock> {
    let [agree, loosely] = AGREE;
    let votes = of_packets(lan, wan, Kind::is_strong);
    if let Some(clock) = settle(&votes, agree, Some(LEAST)) {
        return Some(clock);
    }
    let (votes, exact) = of_streams(lan, wan);
    if let Some(clock) = settle(&votes, agree, Some(exact)) {
        return Some(clock);
    }
    let mut votes = of_packets(lan, wan, |kind| !kind.is_strong());
    votes.extend(of_names(lan, wan));
    let clock = settle(&votes, loosely, None)?;
    clock.is_told_by_names(settings).then_some(clock)
}

impl Clock {
    /// Whether names can tell this clock: a flow or two to one name are on both sides of any two captures, and many are
    /// in any two of one product, be they of two days.
    fn is_told_by_names(&self, settings: &Settings) -> bool {
        let apart = self.ahead.abs();
        apart <= settings.clock_seconds || self.agreeing as f64 >= settings.moments && apart <= settings.apart_seconds
    }

    /// Whether something may be proved by it. What begins in the same order of names does so every time, so that names
    /// alone show clocks only that are right by themselves.
    pub fn is_sound(&self, settings: &Settings) -> bool {
        self.by_packets || self.ahead.abs() <= settings.clock_seconds
    }
}

/// The differences that packets show which are in each capture just once.
fn of_packets(lan: &Leg, wan: &Leg, wanted: impl Fn(Kind) -> bool) -> Vec<Vote> {
    let once = |leg: &Leg| {
        let mut seen: HashMap<Key, Option<(usize, Mark, Direction)>> = HashMap::new();
        for (at, flow) in leg.flows.iter().enumerate() {
            for (key, mark, direction) in marks(flow).into_iter().filter(|((kind, _), ..)| wanted(*kind)) {
                seen.entry(key).and_modify(|only| *only = None).or_insert(Some((at, mark, direction)));
            }
        }
        seen
    };
    let (inner, outer) = (once(lan), once(wan));
    let mut votes = Vec::new();
    for (key, seen) in &inner {
        let (Some((a, mark, direction)), Some(Some((b, other, same)))) = (seen, outer.get(key)) else { continue };
        let (Some(flow), Some(beyond)) = (lan.flows.get(*a), wan.flows.get(*b)) else { continue };
        if direction == same {
            let outward = is_originated_inside(&flow.case, &beyond.case) == (*direction == Direction::Orig);
            votes.push(Vote { ahead: signed_seconds(other.ts.ahead_of(mark.ts)), outward });
        }
    }
    votes
}

/// The differences between flows to one name, and between questions for one name: each with each.
fn of_names(lan: &Leg, wan: &Leg) -> Vec<Vote> {
    let by_name = |leg: &Leg| {
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, flow) in leg.flows.iter().enumerate() {
            for name in names(flow) {
                let list = named.entry(name).or_default();
                if list.len() < FLOWS_OF_A_NAME {
                    list.push(at);
                }
            }
        }
        named
    };
    let (inner, outer) = (by_name(lan), by_name(wan));
    let mut votes = Vec::new();
    for (name, own) in &inner {
        for a in own.iter().filter_map(|at| lan.flows.get(*at)) {
            for b in outer.get(name).into_iter().flatten().filter_map(|at| wan.flows.get(*at)) {
                votes.push(Vote { ahead: signed_seconds(b.case.first().ahead_of(a.case.first())), outward: true });
            }
        }
    }
    votes
}

/// The differences that connections show which run through both captures, though perhaps neither has their beginnings:
/// the same byte of a stream, as it passed each. And how exact they are, in seconds.
fn of_streams(lan: &Leg, wan: &Leg) -> (Vec<Vote>, f64) {
    let mut outer: HashMap<(IpAddr, u16), Vec<&LegFlow>> = HashMap::new();
    for flow in wan.flows.iter().filter(|flow| flow.case.is_tcp()) {
        for end in [flow.case.orig, flow.case.resp] {
            let list = outer.entry(end).or_default();
            if list.len() < FLOWS_OF_A_NAME {
                list.push(flow);
            }
        }
    }
    let (mut votes, mut exact) = (Vec::new(), LEAST);
    for flow in lan.flows.iter().filter(|flow| flow.case.is_tcp()) {
        let met = [flow.case.resp, flow.case.orig].into_iter().filter_map(|end| outer.get(&end)).flatten();
        let Some(other) = met.copied().find(|other| has_one_sequence(flow, other)) else { continue };
        for sender in [Direction::Orig, Direction::Resp] {
            let outward = is_originated_inside(&flow.case, &other.case) == (sender == Direction::Orig);
            let (a, b) = (flow.side(sender), other.side(sender));
            let begun = signed_seconds(other.case.first().ahead_of(flow.case.first()));
            let passed = b.sent.moments().map(|(since, moment)| (moment.bytes, seconds(since)));
            let passed: Vec<(u64, f64)> = passed.collect();
            for (since, moment) in a.sent.moments().take(BYTES_OF_A_STREAM) {
                // how far the other capture had come with this byte
                let Some(behind) = a.edge().zip(b.edge()).map(|(end, other)| i64::from(ahead(other, end))) else {
                    break;
                };
                let left = i64::try_from(a.sent.total().saturating_sub(moment.bytes)).unwrap_or(i64::MAX);
                let reached =
                    i64::try_from(b.sent.total()).unwrap_or(i64::MAX).saturating_sub(left).saturating_sub(behind);
                let Some(reached) = u64::try_from(reached).ok().filter(|reached| *reached > 0) else { continue };
                let at = passed.partition_point(|(bytes, _)| *bytes < reached);
                if let Some((_, then)) = passed.get(at) {
                    votes.push(Vote { ahead: begun + then - seconds(since), outward });
                }
            }
            exact = exact.max(2.0 * seconds(a.sent.width().max(b.sent.width())));
        }
    }
    (votes, exact)
}

/// What most of the differences agree on within `agree` seconds; `exact` is how exact those of packets are at best.
fn settle(votes: &[Vote], agree: f64, exact: Option<f64>) -> Option<Clock> {
    let mut votes = votes.to_vec();
    votes.sort_by(|a, b| a.ahead.total_cmp(&b.ahead));
    let mut best: Option<&[Vote]> = None;
    for (from, vote) in votes.iter().enumerate() {
        let upto = votes.partition_point(|other| other.ahead <= vote.ahead + agree);
        let Some(near) = votes.get(from..upto) else { continue };
        // of two that are as good, the one that has the clocks nearer to each other
        let size = |near: &[Vote]| near.first().map(|first| (near.len(), -first.ahead.abs()));
        if best.is_none_or(|best| size(near) > size(best)) {
            best = Some(near);
        }
    }
    let best = best?;
    let least = best.iter().filter(|vote| vote.outward).map(|vote| vote.ahead).min_by(f64::total_cmp);
    let most = best.iter().filter(|vote| !vote.outward).map(|vote| vote.ahead).max_by(f64::total_cmp);
    let spread = best.last()?.ahead - best.first()?.ahead;
    let (ahead, uncertainty) = match (least, most) {
        (Some(least), Some(most)) => ((least + most) / 2.0, (least - most).abs() / 2.0),
        (Some(one), None) | (None, Some(one)) => (one, spread),
        (None, None) => return None,
    };
    let uncertainty = exact.map_or(agree, |exact| uncertainty.max(exact));
    Some(Clock { ahead, uncertainty, moments: votes.len(), agreeing: best.len(), by_packets: exact.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(list: &[(f64, bool)]) -> Vec<Vote> {
        list.iter().map(|(ahead, outward)| Vote { ahead: *ahead, outward: *outward }).collect()
    }

    #[test]
    fn the_way_out_and_the_way_in_hold_the_clock_between_them() {
        let clock = settle(
            &votes(&[(7200.004, true), (7200.001, true), (7199.9985, false), (7199.99, false), (7200.4, true)]),
            1.0,
            Some(LEAST),
        );
        let clock = clock.unwrap();
        assert!((clock.ahead - 7_199.999_75).abs() < 1e-6 && (clock.uncertainty - 0.001_25).abs() < 1e-6, "{clock:?}");
        assert_eq!((clock.moments, clock.agreeing), (5, 5));
    }

    #[test]
    fn wrong_pairs_are_outvoted() {
        let mut list = vec![(-3600.0, true), (-3599.9, false), (-3599.95, true)];
        list.extend((0..2).map(|n| (f64::from(n) * 100.0, true)));
        let clock = settle(&votes(&list), 1.0, Some(LEAST)).unwrap();
        assert_eq!((clock.moments, clock.agreeing), (5, 3));
        assert!((clock.ahead + 3599.95).abs() < 0.06, "{clock:?}");
        assert_eq!(settle(&[], 1.0, Some(LEAST)), None);
    }

    #[test]
    fn captures_of_two_days_have_names_in_common_and_nothing_else() {
        let rules = crate::diagnose::rules::Rules::embedded().unwrap();
        let told = |ahead, agreeing| {
            let clock = Clock { ahead, uncertainty: 2.0, moments: agreeing, agreeing, by_packets: false };
            clock.is_told_by_names(&rules.settings.legs)
        };
        assert!(told(1.0, 1) && !told(60.0, 1) && told(60.0, 3));
        assert!(told(-14.0 * 3600.0, 8) && !told(-374_400.0, 8));
    }

    #[test]
    fn one_way_alone_leaves_the_time_on_the_way_open() {
        let clock = settle(&votes(&[(5.0, true), (5.2, true), (5.05, true)]), 1.0, Some(LEAST)).unwrap();
        assert!((clock.ahead - 5.0).abs() < 1e-9 && (clock.uncertainty - 0.2).abs() < 1e-9, "{clock:?}");
        let loose = settle(&votes(&[(5.0, true)]), 2.0, None).unwrap();
        assert_eq!((loose.uncertainty, loose.by_packets), (2.0, false));
    }
}
