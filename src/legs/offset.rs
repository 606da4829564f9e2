//! By how much one capture's clock is ahead of the other's.
//!
//! A packet that is in both captures tells: it passes the outer point later than the inner one on its way out, and
//! earlier on its way in. So the least difference outward and the greatest inward hold the truth between them, as with
//! NTP. A wrong pair of packets tells any difference, right ones all nearly the same: what most agree on counts.

use std::collections::HashMap;

use crate::diagnose::settings::Legs as Settings;
use crate::engine::case::Direction;
use crate::engine::leg::{Leg, LegFlow};
use crate::flow::trace::Mark;
use crate::time::signed_seconds;

use super::join::{is_originated_inside, names};

/// How many flows of one name are looked at in each capture, where only names tell.
const FLOWS_OF_A_NAME: usize = 64;
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
    if let Some(clock) = settle(&votes, agree, true) {
        return Some(clock);
    }
    let mut votes = of_packets(lan, wan, |kind| !kind.is_strong());
    votes.extend(of_names(lan, wan));
    let clock = settle(&votes, loosely, false)?;
    // a flow or two to one name are on both sides of any two captures
    let plenty = clock.agreeing as f64 >= settings.moments;
    (plenty || clock.ahead.abs() <= settings.clock_seconds).then_some(clock)
}

impl Clock {
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

/// What most of the differences agree on within `agree` seconds.
fn settle(votes: &[Vote], agree: f64, by_packets: bool) -> Option<Clock> {
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
    let uncertainty = if by_packets { uncertainty.max(LEAST) } else { agree };
    Some(Clock { ahead, uncertainty, moments: votes.len(), agreeing: best.len(), by_packets })
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
            true,
        );
        let clock = clock.unwrap();
        assert!((clock.ahead - 7_199.999_75).abs() < 1e-6 && (clock.uncertainty - 0.001_25).abs() < 1e-6, "{clock:?}");
        assert_eq!((clock.moments, clock.agreeing), (5, 5));
    }

    #[test]
    fn wrong_pairs_are_outvoted() {
        let mut list = vec![(-3600.0, true), (-3599.9, false), (-3599.95, true)];
        list.extend((0..2).map(|n| (f64::from(n) * 100.0, true)));
        let clock = settle(&votes(&list), 1.0, true).unwrap();
        assert_eq!((clock.moments, clock.agreeing), (5, 3));
        assert!((clock.ahead + 3599.95).abs() < 0.06, "{clock:?}");
        assert_eq!(settle(&[], 1.0, true), None);
    }

    #[test]
    fn one_way_alone_leaves_the_time_on_the_way_open() {
        let clock = settle(&votes(&[(5.0, true), (5.2, true), (5.05, true)]), 1.0, true).unwrap();
        assert!((clock.ahead - 5.0).abs() < 1e-9 && (clock.uncertainty - 0.2).abs() < 1e-9, "{clock:?}");
        let loose = settle(&votes(&[(5.0, true)]), 2.0, false).unwrap();
        assert_eq!((loose.uncertainty, loose.by_packets), (2.0, false));
    }
}
