//! Which flow of the one capture is which of the other.
//!
//! What a packet filter or an address translation passes is the same connection on both sides: by its sequence numbers,
//! its ClientHello, its STUN transactions. A proxy ends the connection and opens another, or uses one that it has: then
//! only names, amounts and times join, and what they do not settle is left as a pool of flows to one place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use crate::diagnose::settings::Legs as Settings;
use crate::engine::case::{Case, Direction};
use crate::engine::leg::LegFlow;
use crate::event::Clue;
use crate::flow::trace::Side;

use super::Legs;
use super::offset::{Key, Kind, marks};

/// How many flows of one place are compared each with each.
const POOL_MOST: usize = 512;

/// A flow that is in both captures.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Its place in the inner capture.
    pub lan: usize,
    /// And in the outer.
    pub wan: usize,
    /// By what that is known.
    pub clues: Vec<Clue>,
    /// It is one connection end to end.
    pub same: bool,
}

/// Flows to one place of which it is not known which is which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// Their places in the inner capture.
    pub lan: Vec<usize>,
    /// And in the outer.
    pub wan: Vec<usize>,
    /// Which may be which, one to one: by their times alone. In the order of the inner ones.
    pub likely: Vec<Join>,
    /// Those to the same place that were joined by their amounts.
    pub matched: Vec<Join>,
}

impl Pool {
    /// Which outer flow may be the other half of an inner one.
    pub fn likely(&self, lan: usize) -> Option<&Join> {
        let at = self.likely.partition_point(|join| join.lan < lan);
        self.likely.get(at).filter(|join| join.lan == lan)
    }
}

/// All flows, joined as far as can be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// One to one.
    pub pairs: Vec<Join>,
    /// What is left, by the place that it goes to; at least one flow of the inner capture is in each.
    pub pools: Vec<Pool>,
    /// Flows of both captures that go where so many others go that they were not compared each with each.
    pub pool_omitted: usize,
    /// Flows of the outer capture that are in no pair and no pool.
    pub wan_only: usize,
}

/// What a flow goes to, in words that both captures may have: names and addresses with ports, and questions for names.
pub fn names(flow: &LegFlow) -> Vec<String> {
    let case = &flow.case;
    if !flow.questions.is_empty() {
        return flow.questions.iter().map(|(name, qtype)| format!("? {name} {qtype}")).collect();
    }
    if !case.is_tcp() {
        return Vec::new();
    }
    let port = case.port();
    let by_name = case.host.as_deref().map(|host| format!("{} {port}", host.trim_end_matches('.')));
    // what an explicit proxy is asked for is not at the proxy's address
    let by_address = case.via_proxy.is_none().then(|| format!("{} {port}", case.resp.0));
    by_name.into_iter().chain(by_address).collect()
}

/// Whether a flow's originator is on the inner side, by what is translated on the way, by hops, by its address.
pub fn is_originated_inside(inner: &Case, outer: &Case) -> bool {
    if inner.via_proxy.is_some() {
        return true;
    }
    let [orig_same, resp_same] = [inner.orig.0 == outer.orig.0, inner.resp.0 == outer.resp.0];
    if orig_same != resp_same {
        return resp_same;
    }
    let [inner_ttl, _] = inner.ttl;
    let [outer_ttl, _] = outer.ttl;
    if inner_ttl != outer_ttl && inner_ttl != 0 && outer_ttl != 0 {
        return inner_ttl > outer_ttl;
    }
    let [orig, resp] = inner.inside;
    orig || !resp
}

/// Whether a flow goes out of the site, so that it should be in the outer capture too.
pub fn goes_out(case: &Case) -> bool {
    let [orig, resp] = case.inside;
    orig && (!resp || case.via_proxy.is_some())
}

/// Joins the flows of two captures.
pub fn join(legs: &Legs<'_>, settings: &Settings) -> Joined {
    let mut work = Work { legs, settings, pairs: Vec::new(), taken: [HashSet::new(), HashSet::new()] };
    work.by_packets();
    work.by_ends();
    let pools = work.pools();
    let beyond = |flows: &[usize]| flows.len().saturating_sub(POOL_MOST);
    let pool_omitted = pools.iter().map(|pool| beyond(&pool.lan).saturating_add(beyond(&pool.wan))).sum();
    let mut pools: Vec<Pool> =
        pools.into_iter().map(|pool| work.by_amounts(pool)).filter(|pool| !pool.lan.is_empty()).collect();
    for pool in &mut pools {
        pool.likely = work.by_times(pool);
    }
    let pooled: HashSet<usize> = pools.iter().flat_map(|pool| &pool.wan).copied().collect();
    let Work { mut pairs, taken: [_, wan], .. } = work;
    pairs.sort_by_key(|pair| pair.lan);
    let wan_only = (0..legs.wan.flows.len()).filter(|at| !wan.contains(at) && !pooled.contains(at)).count();
    Joined { pairs, pools, pool_omitted, wan_only }
}

struct Work<'a> {
    legs: &'a Legs<'a>,
    settings: &'a Settings,
    pairs: Vec<Join>,
    taken: [HashSet<usize>; 2],
}

impl Work<'_> {
    fn free(&self) -> impl Iterator<Item = (usize, &LegFlow)> {
        let [taken, _] = &self.taken;
        self.legs.lan.flows.iter().enumerate().filter(|(at, _)| !taken.contains(at))
    }

    fn free_outside(&self) -> impl Iterator<Item = (usize, &LegFlow)> {
        let [_, taken] = &self.taken;
        self.legs.wan.flows.iter().enumerate().filter(|(at, _)| !taken.contains(at))
    }

    fn take(&mut self, lan: usize, wan: usize, mut clues: Vec<Clue>, same: bool) {
        let [inner, outer] = &mut self.taken;
        if !inner.contains(&lan) && !outer.contains(&wan) {
            inner.insert(lan);
            outer.insert(wan);
            if let (Some(a), Some(b)) = (self.legs.lan.flows.get(lan), self.legs.wan.flows.get(wan)) {
                clues.extend(more_clues(self.legs, a, b));
            }
            clues.sort();
            clues.dedup();
            self.pairs.push(Join { lan, wan, clues, same });
        }
    }

    /// How much later the outer flow has begun, in seconds.
    fn later(&self, a: &LegFlow, b: &LegFlow) -> f64 {
        self.legs.wan_at(b.case.first()) - self.legs.lan_at(a.case.first())
    }

    /// How far two moments of one packet may be apart, in seconds.
    fn near(&self) -> f64 {
        self.settings.near_seconds + self.legs.clock.uncertainty
    }

    /// By packets that are the same in both.
    fn by_packets(&mut self) {
        let mut outer: HashMap<Key, Vec<(usize, f64)>> = HashMap::new();
        for (at, flow) in self.legs.wan.flows.iter().enumerate() {
            for (key, mark, _) in marks(flow) {
                outer.entry(key).or_default().push((at, self.legs.wan_at(mark.ts)));
            }
            if flow.hello != 0 {
                outer.entry((Kind::Hello, flow.hello)).or_default().push((at, self.legs.wan_at(flow.case.first())));
            }
        }
        outer.values_mut().for_each(|marks| marks.sort_by(|a, b| a.1.total_cmp(&b.1)));
        let mut found = Vec::new();
        for (at, flow) in self.legs.lan.flows.iter().enumerate() {
            let mut keys: Vec<(Key, f64, f64)> =
                marks(flow).into_iter().map(|(key, mark, _)| (key, self.legs.lan_at(mark.ts), self.near())).collect();
            if flow.hello != 0 {
                // the hello may come long after the connection, behind a CONNECT; it is nobody else's
                keys.push(((Kind::Hello, flow.hello), self.legs.lan_at(flow.case.first()), f64::INFINITY));
            }
            for (key, when, near) in keys {
                let others = outer.get(&key).map(Vec::as_slice).unwrap_or_default();
                if let Some((other, apart)) = nearest(others, when).filter(|(_, apart)| *apart <= near) {
                    found.push((key.0, apart, at, other));
                }
            }
        }
        found.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        for (kind, _, lan, wan) in found {
            let (Some(a), Some(b)) = (self.legs.lan.flows.get(lan), self.legs.wan.flows.get(wan)) else { continue };
            let same = !a.case.is_tcp() || has_one_sequence(a, b);
            // of TCP that was ended on the way, requests that are alike say little, and a connection may carry several
            let fits = kind != Kind::Payload || same && names(a).iter().any(|name| names(b).contains(name));
            if a.case.proto == b.case.proto && fits {
                self.take(lan, wan, vec![clue(kind)], same);
            }
        }
    }

    /// By ends that no box has changed, or of which it has changed the inner one only, where the same sequence numbers
    /// or no other flow speak for it.
    fn by_ends(&mut self) {
        let mut outer: HashMap<(u8, IpAddr, u16), Vec<Lasting>> = HashMap::new();
        for (at, flow) in self.free_outside() {
            let [first, last] = [flow.case.first(), flow.case.last].map(|ts| self.legs.wan_at(ts));
            for end in [flow.case.orig, flow.case.resp] {
                outer.entry((flow.case.proto, end.0, end.1)).or_default().push(Lasting { first, last, at });
            }
        }
        let outer: HashMap<_, Times> = outer.into_iter().map(|(end, flows)| (end, Times::new(flows))).collect();
        let near = self.near();
        let mut found = Vec::new();
        for (at, flow) in self.free() {
            let case = &flow.case;
            let [from, until] = [case.first(), case.last].map(|ts| self.legs.lan_at(ts));
            let meets = |other: &usize| {
                self.legs.wan.flows.get(*other).is_some_and(|b| {
                    let ends = [b.case.orig, b.case.resp];
                    let both = ends.contains(&case.orig) && ends.contains(&case.resp);
                    let tcp = has_one_sequence(flow, b) && (case.midstream || b.case.midstream || both);
                    self.meet(flow, b) && (tcp || !case.is_tcp() && (both || flow.questions.is_empty()))
                })
            };
            for end in [case.resp, case.orig] {
                let Some(others) = outer.get(&(case.proto, end.0, end.1)) else { continue };
                let mut others = others.within(from - near, until + near).filter(meets);
                if let (Some(other), None) = (others.next(), others.next()) {
                    found.push((at, other));
                    break;
                }
            }
        }
        // of datagrams several flows here may have found the one there
        let mut wanted: HashMap<usize, usize> = HashMap::new();
        found.iter().for_each(|(_, other)| bump(&mut wanted, *other));
        for (lan, wan) in found {
            if wanted.get(&wan) == Some(&1) {
                self.take(lan, wan, vec![Clue::Addresses], true);
            }
        }
    }

    /// Whether two flows have some time in common.
    fn meet(&self, a: &LegFlow, b: &LegFlow) -> bool {
        let near = self.near();
        self.legs.wan_at(b.case.first()) <= self.legs.lan_at(a.case.last) + near
            && self.legs.lan_at(a.case.first()) <= self.legs.wan_at(b.case.last) + near
    }

    /// What is left of TCP that goes out, by where it goes: what has a name or an address in common is of one pool.
    fn pools(&self) -> Vec<Pool> {
        let mut roots = Roots::default();
        let inner: Vec<_> = self.free().filter(|(_, flow)| flow.case.is_tcp() && goes_out(&flow.case)).collect();
        let outside = |flow: &LegFlow| {
            flow.case.is_tcp() && {
                let [_, resp] = flow.case.inside;
                !resp
            }
        };
        let outer: Vec<_> = self.free_outside().filter(|(_, flow)| outside(flow)).collect();
        let roots_of = |flows: &[(usize, &LegFlow)], roots: &mut Roots| -> Vec<(usize, usize)> {
            flows.iter().filter_map(|(at, flow)| Some((*at, roots.join(&names(flow))?))).collect()
        };
        let (inner, outer) = (roots_of(&inner, &mut roots), roots_of(&outer, &mut roots));
        let mut pools: BTreeMap<usize, Pool> = BTreeMap::new();
        for (at, root) in inner {
            pools.entry(roots.root(root)).or_default().lan.push(at);
        }
        for (at, root) in outer {
            // what goes where nobody inside has gone is not of interest
            if let Some(pool) = pools.get_mut(&roots.root(root)) {
                pool.wan.push(at);
            }
        }
        pools.into_values().collect()
    }

    /// Joins the flows of a pool that carried as much, both ways, at the same time; gives what is left of it.
    fn by_amounts(&mut self, mut pool: Pool) -> Pool {
        let mut found = Vec::new();
        for lan in pool.lan.iter().take(POOL_MOST) {
            let Some(a) = self.legs.lan.flows.get(*lan) else { continue };
            for wan in pool.wan.iter().take(POOL_MOST) {
                let Some(b) = self.legs.wan.flows.get(*wan) else { continue };
                let later = self.later(a, b);
                let opened = later >= -self.near() && later <= self.settings.opened_seconds + self.near();
                if let Some(off) = opened.then(|| self.amounts_differ(a, b)).flatten() {
                    found.push((off + later.abs() / self.settings.opened_seconds.max(1.0), *lan, *wan));
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for (_, lan, wan) in found {
            let before = self.pairs.len();
            self.take(lan, wan, vec![Clue::Bytes], false);
            pool.matched.extend(self.pairs.get(before..).unwrap_or_default().iter().cloned());
        }
        let [inner, outer] = &self.taken;
        pool.lan.retain(|at| !inner.contains(at));
        pool.wan.retain(|at| !outer.contains(at));
        pool
    }

    /// By which share the amounts of two flows differ, if that is little enough for what a proxy changes.
    fn amounts_differ(&self, a: &LegFlow, b: &LegFlow) -> Option<f64> {
        let mut worst = 0.0_f64;
        for direction in [Direction::Orig, Direction::Resp] {
            let (inner, outer) = (amount(a, direction), amount(b, direction));
            let differ = (inner - outer).abs();
            if differ > self.settings.same_bytes + self.settings.same_share * inner.max(outer) {
                return None;
            }
            worst = worst.max(differ / (inner.max(outer) + self.settings.same_bytes));
        }
        Some(worst)
    }

    /// Whether one flow has sent much that the other has not passed, and the other brought much that the one has not
    /// had: no box holds both at once, so these are a recorder's and a viewer's, who both have to do with the relay.
    fn is_contrary(&self, a: &LegFlow, b: &LegFlow) -> bool {
        let lost = |put_in: f64, come_out: f64| {
            put_in >= self.settings.held_bytes && come_out < self.settings.passed_share * put_in
        };
        lost(amount(a, Direction::Orig), amount(b, Direction::Orig))
            && lost(amount(b, Direction::Resp), amount(a, Direction::Resp))
    }

    /// Which flows of a pool may be which: each outer one is that of the inner one that began last before it.
    fn by_times(&self, pool: &Pool) -> Vec<Join> {
        let mut found = Vec::new();
        for lan in pool.lan.iter().take(POOL_MOST) {
            let Some(a) = self.legs.lan.flows.get(*lan) else { continue };
            for wan in pool.wan.iter().take(POOL_MOST) {
                let Some(b) = self.legs.wan.flows.get(*wan) else { continue };
                let later = self.later(a, b);
                if !self.is_contrary(a, b)
                    && self.meet(a, b)
                    && later >= -self.near()
                    && later <= self.settings.opened_seconds + self.near()
                {
                    found.push((later.abs(), *lan, *wan));
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let (mut inner, mut outer, mut joins) = (HashSet::new(), HashSet::new(), Vec::new());
        for (_, lan, wan) in found {
            let (Some(a), Some(b)) = (self.legs.lan.flows.get(lan), self.legs.wan.flows.get(wan)) else { continue };
            if !inner.contains(&lan) && !outer.contains(&wan) {
                inner.insert(lan);
                outer.insert(wan);
                let mut clues = more_clues(self.legs, a, b);
                clues.push(Clue::Time);
                clues.sort();
                clues.dedup();
                joins.push(Join { lan, wan, clues, same: false });
            }
        }
        joins.sort_by_key(|join| join.lan);
        joins
    }
}

/// Of marks in the order of their times the one that is nearest to a moment, and how far it is; of those as near as
/// each other the first flow's.
fn nearest(marks: &[(usize, f64)], when: f64) -> Option<(usize, f64)> {
    let from = |moment: f64| marks.partition_point(|(_, then)| *then < moment);
    let later = from(when);
    // marks of one moment are in the order of their flows
    let before = later.checked_sub(1).and_then(|at| marks.get(at)).and_then(|(_, then)| marks.get(from(*then)));
    let apart = |(at, then): &(usize, f64)| (*at, (then - when).abs());
    let both = before.into_iter().chain(marks.get(later)).map(apart);
    both.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}

/// A flow, and for how long it lasted, in seconds.
#[derive(Clone, Copy, Debug)]
struct Lasting {
    first: f64,
    last: f64,
    at: usize,
}

/// How many flows of [`Times`] are passed over at once.
const BLOCK: usize = 64;

/// Flows by their times: those of a moment are found without a look at each.
#[derive(Debug)]
struct Times {
    /// In the order of their beginnings.
    flows: Vec<Lasting>,
    /// The last moment of each [`BLOCK`] of them.
    last: Vec<f64>,
}

impl Times {
    fn new(mut flows: Vec<Lasting>) -> Times {
        flows.sort_by(|a, b| a.first.total_cmp(&b.first));
        let last = |block: &[Lasting]| block.iter().map(|flow| flow.last).fold(f64::NEG_INFINITY, f64::max);
        let last = flows.chunks(BLOCK).map(last).collect();
        Times { flows, last }
    }

    /// The places of those that have a moment in common with `from` to `until`.
    fn within(&self, from: f64, until: f64) -> impl Iterator<Item = usize> {
        let begun = self.flows.partition_point(|flow| flow.first <= until);
        let blocks = self.flows.chunks(BLOCK).zip(&self.last).take(begun.div_ceil(BLOCK));
        let flows = blocks.filter(move |(_, last)| **last >= from).flat_map(|(block, _)| block);
        flows.filter(move |flow| flow.last >= from && flow.first <= until).map(|flow| flow.at)
    }
}

/// Which kinds of packets tell first.
const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Accepts => 0,
        Kind::Opens => 1,
        Kind::Hello => 2,
        Kind::Stun | Kind::Ntp => 3,
        Kind::Dns => 4,
        Kind::Payload => 5,
    }
}

const fn clue(kind: Kind) -> Clue {
    match kind {
        Kind::Opens | Kind::Accepts => Clue::TcpSequence,
        Kind::Hello => Clue::ClientHello,
        Kind::Stun => Clue::StunTransaction,
        Kind::Ntp | Kind::Payload => Clue::Payload,
        Kind::Dns => Clue::DnsQuestion,
    }
}

/// What else speaks for two flows being one, but does not join them by itself.
fn more_clues(legs: &Legs<'_>, a: &LegFlow, b: &LegFlow) -> Vec<Clue> {
    let mut clues = Vec::new();
    if a.case.host.is_some() && a.case.host == b.case.host {
        clues.push(if a.case.tls.is_some() && a.case.carried && b.case.carried { Clue::Sni } else { Clue::Name });
    }
    if a.hello != 0 && a.hello == b.hello {
        clues.push(Clue::ClientHello);
    }
    if a.case.is_tcp() && has_one_sequence(a, b) {
        clues.push(Clue::TcpSequence);
    }
    if !a.questions.is_empty() && a.questions == b.questions {
        clues.push(Clue::DnsQuestion);
    }
    let later = legs.wan_at(b.case.first()) - legs.lan_at(a.case.first());
    if later.abs() <= 1.0 + legs.clock.uncertainty {
        clues.push(Clue::Time);
    }
    clues
}

/// Whether both flows are one TCP connection, as far as its sequence numbers say. They go on where a capture ends, so
/// that where no beginning was seen they may be apart by what else was sent.
pub(super) fn has_one_sequence(a: &LegFlow, b: &LegFlow) -> bool {
    let same = |a: &Side, b: &Side| match (a.isn, b.isn, a.edge(), b.edge()) {
        (Some(a), Some(b), ..) => Some(a == b),
        (.., Some(end), Some(other)) => {
            let apart = u64::from(end.wrapping_sub(other).min(other.wrapping_sub(end)));
            Some(apart <= a.sent.total().max(b.sent.total()))
        }
        _ => None,
    };
    let [orig, resp] = &a.sides;
    let [other_orig, other_resp] = &b.sides;
    let both = [same(orig, other_orig), same(resp, other_resp)];
    both.contains(&Some(true)) && !both.contains(&Some(false))
}

/// Bytes that came through in a direction.
pub fn amount(flow: &LegFlow, direction: Direction) -> f64 {
    let side = flow.side(direction);
    // an acknowledgement counts the end of the stream as a byte
    if side.sent.total() == 0 && !flow.case.one_sided { 0.0 } else { side.sent.total().max(side.acked.total()) as f64 }
}

/// Sets of words that were seen together.
#[derive(Default)]
struct Roots {
    numbers: HashMap<String, usize>,
    parents: Vec<usize>,
}

impl Roots {
    /// Puts words together; gives the number of one of them.
    fn join(&mut self, words: &[String]) -> Option<usize> {
        let mut first = None;
        for word in words {
            let number = self.numbers.get(word).copied().unwrap_or(self.parents.len());
            if number == self.parents.len() {
                self.numbers.insert(word.clone(), number);
                self.parents.push(number);
            }
            let root = self.root(number);
            let leading = *first.get_or_insert(root);
            let leading = self.root(leading);
            if let Some(parent) = self.parents.get_mut(root.max(leading)) {
                *parent = root.min(leading);
            }
        }
        first
    }

    fn root(&self, number: usize) -> usize {
        let mut at = number;
        // a parent's number is never greater, so this ends
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent < at) {
            at = parent;
        }
        at
    }
}

fn bump(counts: &mut HashMap<usize, usize>, of: usize) {
    let count = counts.entry(of).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a look at each would find it.
        #[test]
        fn the_nearest_mark_is_found(times in prop::collection::vec(0u8..40, 0..30), when in 0u8..40) {
            let mut marks: Vec<(usize, f64)> = times.iter().map(|then| f64::from(*then)).enumerate().collect();
            let when = f64::from(when);
            let wanted = marks.iter().map(|(at, then)| (*at, (then - when).abs())).min_by(|a, b| a.1.total_cmp(&b.1));
            marks.sort_by(|a, b| a.1.total_cmp(&b.1));
            prop_assert_eq!(nearest(&marks, when), wanted);
        }

        #[test]
        fn flows_of_a_time_are_found(flows in prop::collection::vec((0u16..900, 0u16..90), 0..400), from in 0u16..900, lasts in 0u16..50) {
            let lasting = |(at, (first, lasts)): (usize, &(u16, u16))| {
                Lasting { first: f64::from(*first), last: f64::from(first + lasts), at }
            };
            let all: Vec<Lasting> = flows.iter().enumerate().map(lasting).collect();
            let (from, until) = (f64::from(from), f64::from(from + lasts));
            let wanted: Vec<usize> = all.iter().filter(|flow| flow.first <= until && flow.last >= from).map(|flow| flow.at).collect();
            let mut found: Vec<usize> = Times::new(all).within(from, until).collect();
            found.sort_unstable();
            prop_assert_eq!(found, wanted);
        }
    }
}
