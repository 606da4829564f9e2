//! Flows put together by what they have in common.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::listing::{Grouping, Row, Wish};
use super::snapshot::Snapshot;
use super::table::Table;
use crate::engine::light::Light;
use crate::event::{Class, Severity};

/// What flows have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Common {
    /// A class.
    Method(Class),
    /// A host.
    Host(IpAddr),
    /// An attempt to view, by its place.
    Session(usize),
    /// That they are of no attempt to view.
    NoSession,
}

impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Common::Method(class) => f.write_str(class.name()),
            Common::Host(ip) => write!(f, "{ip}"),
            Common::Session(at) => write!(f, "session {}", at + 1),
            Common::NoSession => f.write_str("no session"),
        }
    }
}

/// A group of flows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub key: Common,
    /// How many there are.
    pub flows: u64,
    /// Their payload, by direction.
    pub payload: [u64; 2],
    /// The gravest claim on any of them.
    pub worst: Option<Severity>,
}

impl Group {
    fn add(&mut self, flow: &Light, snapshot: &Snapshot) {
        self.flows += 1;
        for (sum, more) in self.payload.iter_mut().zip(flow.payload) {
            *sum = sum.saturating_add(more);
        }
        self.worst = self.worst.max(snapshot.finding_of(flow.id).filter(|f| f.is_claim()).map(|f| f.severity));
    }

    /// A number of 96 bits by which groups are sorted: the gravest findings first, then the most payload.
    fn rank(&self) -> u128 {
        let payload = self.payload.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        let weight = self.worst.map_or(0, |worst| worst as u128 + 1) << 64 | u128::from(payload);
        !weight & (u128::MAX >> 32)
    }
}

/// Puts `flows`, which stand in some order, into groups, and these into lines of a list; in a group they keep their
/// order. `passing` says of each flow whether it is among them; none if all are.
pub(super) fn rows(
    table: &Table,
    snapshot: &Snapshot,
    wish: &Wish,
    passing: Option<&[bool]>,
    flows: impl Iterator<Item = u32>,
) -> (Vec<Group>, Vec<Row>) {
    let of = numbers(table, snapshot, wish.grouping);
    let empty = Group { key: Common::NoSession, flows: 0, payload: [0; 2], worst: None };
    let mut sums = vec![empty; of.iter().max().map_or(0, |most| *most as usize + 1)];
    // in the order in which they lie in memory, which the list is not in
    for (at, (flow, number)) in snapshot.flows.iter().zip(&of).enumerate() {
        let passes = passing.is_none_or(|passing| passing.get(at).is_some_and(|passes| *passes));
        if let Some(group) = sums.get_mut(*number as usize).filter(|_| passes) {
            group.add(flow, snapshot);
        }
    }
    let there = sums.iter().zip(0u32..).filter(|(group, _)| group.flows > 0);
    let mut order: Vec<u128> = there.map(|(group, number)| group.rank() << 32 | u128::from(number)).collect();
    order.sort_unstable();
    let numbers = order.into_iter().map(|ranked| (ranked & u128::from(u32::MAX)) as u32);
    let group = |number: u32| {
        let key = key(table, snapshot, wish.grouping, number);
        Some((number, Group { key, ..*sums.get(number as usize)? }))
    };
    let groups: Vec<(u32, Group)> = numbers.filter_map(group).collect();
    let rows = lines(&of, &groups, &wish.folded, flows);
    (groups.into_iter().map(|(_, group)| group).collect(), rows)
}

/// The lines of groups and their flows. `of`: the number of each flow's group.
fn lines(of: &[u32], groups: &[(u32, Group)], folded: &HashSet<Common>, flows: impl Iterator<Item = u32>) -> Vec<Row> {
    let mut rows = Vec::new();
    // where the next flow of each group goes
    let mut next = vec![None; groups.iter().map(|(number, _)| *number as usize + 1).max().unwrap_or(0)];
    for ((number, group), at) in groups.iter().zip(0..) {
        rows.push(Row::Group(at));
        if !folded.contains(&group.key) {
            if let Some(next) = next.get_mut(*number as usize) {
                *next = Some(rows.len());
            }
            rows.resize(rows.len() + group.flows as usize, Row::Group(at));
        }
    }
    for at in flows {
        let group = of.get(at as usize).and_then(|number| next.get_mut(*number as usize)?.as_mut());
        if let Some(next) = group
            && let Some(row) = rows.get_mut(*next)
        {
            *row = Row::Flow(at);
            *next += 1;
        }
    }
    rows
}

/// For each flow the number of its group.
fn numbers(table: &Table, snapshot: &Snapshot, grouping: Grouping) -> Vec<u32> {
    let flows = snapshot.flows.iter();
    match grouping {
        Grouping::None | Grouping::Method => flows.map(|flow| flow.class as u32).collect(),
        Grouping::Host => {
            let ends = table.ends();
            let known: HashSet<IpAddr, RandomState> = snapshot.hosts.iter().map(|host| host.ip).collect();
            let inside: Vec<bool> = ends.hosts.iter().map(|ip| known.contains(ip)).collect();
            let inside = |host: u32| inside.get(host as usize).copied().unwrap_or(false);
            let host = |[orig, resp]: &[u32; 2]| if inside(*orig) || !inside(*resp) { *orig } else { *resp };
            ends.of.iter().map(host).collect()
        }
        Grouping::Session => {
            let mut sessions: HashMap<u64, u32, RandomState> = HashMap::default();
            for (session, at) in snapshot.sessions.iter().zip(0..) {
                for flow in session.steps.iter().flat_map(|step| &step.flow_ids) {
                    sessions.entry(*flow).or_insert(at);
                }
            }
            let none = u32::try_from(snapshot.sessions.len()).unwrap_or(u32::MAX);
            flows.map(|flow| sessions.get(&flow.id).copied().unwrap_or(none)).collect()
        }
    }
}

/// What the flows of the group of that number have in common.
fn key(table: &Table, snapshot: &Snapshot, grouping: Grouping, number: u32) -> Common {
    let at = number as usize;
    let known = match grouping {
        Grouping::None | Grouping::Method => {
            Class::ALL.iter().find(|class| **class as usize == at).map(|class| Common::Method(*class))
        }
        Grouping::Host => table.ends().hosts.get(at).map(|ip| Common::Host(*ip)),
        Grouping::Session => (at < snapshot.sessions.len()).then_some(Common::Session(at)),
    };
    known.unwrap_or(Common::NoSession)
}
