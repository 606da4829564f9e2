//! Which flows are listed, and in what order: filtered, sorted and grouped. Works on light rows, so that hundreds of
//! thousands of them take no longer than a key takes to be let go.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::snapshot::Snapshot;
use crate::engine::light::Light;
use crate::event::word::words;
use crate::event::{Class, Kind, Severity};
use crate::filter::{Asked, Filter, Known};
use crate::present::is_vendor;
use crate::time::Timestamp;

words! {
    /// A column of the table of flows.
    Column {
        /// What matters most: what is found, the vendor's, the largest.
        Weight "weight",
        /// The class.
        Class "method",
        /// The originator.
        From "from",
        /// The responder, by name where it has one.
        Peer "peer",
        /// Payload from the originator.
        Up "up",
        /// Payload from the responder.
        Down "down",
        /// Payload rate.
        Rate "rate",
        /// Round trip.
        Rtt "rtt",
        /// Share of segments that were sent again.
        Retrans "re-sent",
        /// How it stands.
        State "state",
        /// How long it has been.
        Age "age",
        /// When it began.
        Start "start",
        /// The relay's region.
        Region "region",
        /// How sure the class is.
        Sure "sure",
        /// Frames.
        Frames "frames",
        /// The protocol.
        Proto "proto",
    }
}

/// How flows are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Grouping {
    #[default]
    None,
    Method,
    Host,
    Session,
}

impl Grouping {
    /// The one after it.
    pub const fn next(self) -> Grouping {
        match self {
            Grouping::None => Grouping::Method,
            Grouping::Method => Grouping::Host,
            Grouping::Host => Grouping::Session,
            Grouping::Session => Grouping::None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Grouping::None => "none",
            Grouping::Method => "method",
            Grouping::Host => "host",
            Grouping::Session => "session",
        }
    }
}

/// What is asked of the list.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Only flows that pass.
    pub filter: Option<Filter>,
    /// By which column.
    pub by: Option<Column>,
    /// The other way round than is usual for the column.
    pub reversed: bool,
    /// Put together by what.
    pub grouping: Grouping,
    /// Leave out flows that are over.
    pub open_only: bool,
    /// Leave out flows of which nothing came since.
    pub cleared: Option<Timestamp>,
    /// Leave out flows that are not marked.
    pub marked_only: bool,
    /// Flows that are marked.
    pub marks: HashSet<u64>,
    /// Groups that are folded.
    pub folded: HashSet<String>,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The head of a group, by its place.
    Group(usize),
    /// A flow, by its place among all.
    Flow(usize),
}

/// A group of flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub key: String,
    /// How many there are.
    pub flows: u64,
    /// Their payload, by direction.
    pub payload: [u64; 2],
    /// The gravest claim on any of them.
    pub worst: Option<Severity>,
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its lines.
    pub rows: Vec<Row>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// How many flows pass.
    pub passed: usize,
}

impl Listing {
    /// Lists the flows of a snapshot.
    pub fn of(snapshot: &Snapshot, wish: &Wish) -> Listing {
        let mut flows = passed(snapshot, wish);
        let passed = flows.len();
        sort(&mut flows, snapshot, wish.by.unwrap_or(Column::Weight), wish.reversed);
        if wish.grouping == Grouping::None {
            return Listing {
                rows: flows.into_iter().map(|at| Row::Flow(at as usize)).collect(),
                groups: Vec::new(),
                passed,
            };
        }
        let (groups, members) = grouped(snapshot, wish.grouping, &flows);
        let mut rows = Vec::with_capacity(flows.len() + groups.len());
        for (at, (group, members)) in groups.iter().zip(members).enumerate() {
            rows.push(Row::Group(at));
            if !wish.folded.contains(&group.key) {
                rows.extend(members.into_iter().map(Row::Flow));
            }
        }
        Listing { rows, groups, passed }
    }

    /// Where a flow stands in the list.
    pub fn place_of(&self, flow: u64, snapshot: &Snapshot) -> Option<usize> {
        // in the order in which they lie in memory, which the list is not in
        let at = snapshot.flows.iter().position(|f| f.id == flow)?;
        self.rows.iter().position(|row| *row == Row::Flow(at))
    }
}

fn passed(snapshot: &Snapshot, wish: &Wish) -> Vec<u32> {
    let roles: HashMap<IpAddr, &'static str, RandomState> =
        snapshot.hosts.iter().filter_map(|h| Some((h.ip, h.role?))).collect();
    let known = Known::new(&snapshot.findings, Some(Box::new(move |ip| roles.get(&ip).copied())));
    let passes = |flow: &Light| {
        (!wish.open_only || !flow.ended)
            && wish.cleared.is_none_or(|at| flow.last > at)
            && (!wish.marked_only || wish.marks.contains(&flow.id))
            && wish.filter.as_ref().is_none_or(|filter| filter.matches(flow, &known))
    };
    let all = (0u32..).zip(snapshot.flows.iter());
    all.filter(|(_, flow)| passes(flow)).map(|(at, _)| at).collect()
}

/// Sorts; what is equal stays in the order of first frames.
fn sort(flows: &mut [u32], snapshot: &Snapshot, by: Column, reversed: bool) {
    let flow = |at: &u32| snapshot.flows.get(*at as usize);
    if by == Column::Peer {
        flows.sort_by_cached_key(|at| flow(at).map(|f| (f.name.is_none(), f.name.clone(), f.resp)));
        if reversed {
            flows.reverse();
        }
        return;
    }
    let descending = is_descending(by) != reversed;
    let mut keyed: Vec<(u128, u32)> = flows
        .iter()
        .map(|at| {
            let key = flow(at).map_or(0, |f| key(f, *at as usize, snapshot, by));
            (if descending { !key } else { key }, *at)
        })
        .collect();
    keyed.sort_unstable();
    for (place, (_, at)) in flows.iter_mut().zip(keyed) {
        *place = at;
    }
}

/// Whether one usually wants the greatest first.
const fn is_descending(by: Column) -> bool {
    !matches!(by, Column::Class | Column::From | Column::Peer | Column::Start | Column::Region | Column::Proto)
}

/// A number in whose order a column stands.
fn key(flow: &Light, at: usize, snapshot: &Snapshot, by: Column) -> u128 {
    // floating numbers that are not negative stand in the order of their bits
    let real = |number: f64| u128::from(number.max(0.0).to_bits());
    let payload = |at: usize| u128::from(flow.payload.get(at).copied().unwrap_or(0));
    match by {
        Column::Weight => {
            let found = u128::from(gravity(flow, snapshot));
            found << 100 | u128::from(is_vendor(flow.class)) << 96 | u128::from(flow.payload())
        }
        Column::Class => flow.class as u128,
        Column::From => address(flow.orig.0),
        Column::Peer => address(flow.resp.0),
        Column::Up => payload(0),
        Column::Down => payload(1),
        Column::Rate => real(rate(flow, at, snapshot).unwrap_or(0.0)),
        Column::Rtt => flow.rtt.map_or(0, real),
        Column::Retrans => real(retrans(flow).unwrap_or(0.0)),
        Column::State => u128::from(gravity(flow, snapshot)) << 64 | flow.conn_state.map_or(0, |s| text(s) >> 64),
        Column::Age => u128::from(flow.last.since(flow.first)),
        Column::Start => u128::from(flow.first.0),
        Column::Region => flow.region.as_deref().map_or(u128::MAX, text),
        Column::Sure => real(flow.confidence),
        Column::Frames => u128::from(flow.packets()),
        Column::Proto => text(flow.app_proto.unwrap_or(&flow.proto_name)),
    }
}

/// The first letters of a text as a number in their order.
fn text(text: &str) -> u128 {
    text.bytes().chain(std::iter::repeat(0)).take(16).fold(0, |sum, byte| sum << 8 | u128::from(byte))
}

fn address(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// How grave what is found of a flow is: nothing, a hint, a claim by its severity, held back.
fn gravity(flow: &Light, snapshot: &Snapshot) -> u8 {
    match snapshot.finding_of(flow.id) {
        None => 0,
        Some(finding) if !finding.is_claim() => 1,
        Some(finding) if finding.kind == Kind::ContentFilterStall => 5,
        Some(finding) => 2 + finding.severity as u8,
    }
}

/// Its payload rate: the one of now where it plays, else its mean; in bits per second.
pub fn rate(flow: &Light, at: usize, snapshot: &Snapshot) -> Option<f64> {
    if let Some(rate) = snapshot.rates.get(at) {
        return Some(f64::from(*rate));
    }
    let age = flow.age();
    (age > 0.0).then(|| flow.payload() as f64 * 8.0 / age)
}

/// The share of its frames that TCP sent again.
pub fn retrans(flow: &Light) -> Option<f64> {
    flow.retransmissions.map(|n| n as f64 / (flow.packets().saturating_sub(flow.duplicates())).max(1) as f64)
}

/// Flows put together, the groups with the gravest findings and the most payload first.
fn grouped(snapshot: &Snapshot, grouping: Grouping, flows: &[u32]) -> (Vec<Group>, Vec<Vec<usize>>) {
    let mut sessions: HashMap<u64, usize, RandomState> = HashMap::default();
    for (at, session) in snapshot.sessions.iter().enumerate() {
        for flow in session.steps.iter().flat_map(|step| &step.flow_ids) {
            sessions.entry(*flow).or_insert(at);
        }
    }
    let inside: HashSet<IpAddr, RandomState> = snapshot.hosts.iter().map(|host| host.ip).collect();
    let key = |flow: &Light| match grouping {
        Grouping::None | Grouping::Method => Key::Class(flow.class),
        Grouping::Host if inside.contains(&flow.orig.0) || !inside.contains(&flow.resp.0) => Key::Host(flow.orig.0),
        Grouping::Host => Key::Host(flow.resp.0),
        Grouping::Session => Key::Session(sessions.get(&flow.id).copied()),
    };
    // flows are looked at in the order in which they lie in memory: `flows` is sorted, and each look would wait for it
    let mut listed = vec![false; snapshot.flows.len()];
    for at in flows {
        if let Some(listed) = listed.get_mut(*at as usize) {
            *listed = true;
        }
    }
    let mut found: HashMap<Key, usize, RandomState> = HashMap::default();
    let mut all: Vec<(Group, Vec<usize>)> = Vec::new();
    let mut of: Vec<usize> = Vec::with_capacity(listed.len());
    for (flow, listed) in snapshot.flows.iter().zip(listed) {
        if !listed {
            of.push(usize::MAX);
            continue;
        }
        let key = key(flow);
        let at = *found.entry(key).or_insert_with(|| {
            all.push((Group { key: key.text(), ..Group::default() }, Vec::new()));
            all.len() - 1
        });
        of.push(at);
        let Some((group, _)) = all.get_mut(at) else { continue };
        group.flows += 1;
        for (sum, more) in group.payload.iter_mut().zip(flow.payload) {
            *sum = sum.saturating_add(more);
        }
        group.worst = group.worst.max(snapshot.finding_of(flow.id).filter(|f| f.is_claim()).map(|f| f.severity));
    }
    for at in flows.iter().map(|at| *at as usize) {
        if let Some((_, members)) = of.get(at).and_then(|group| all.get_mut(*group)) {
            members.push(at);
        }
    }
    let weight = |group: &Group| group.payload.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    all.sort_by(|(a, _), (b, _)| {
        let rank = |g: &Group| (Reverse(g.worst), Reverse(weight(g)));
        rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
    });
    all.into_iter().unzip()
}

/// What a group has in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Class(Class),
    Host(IpAddr),
    Session(Option<usize>),
}

impl Key {
    fn text(self) -> String {
        match self {
            Key::Class(class) => class.name().to_owned(),
            Key::Host(ip) => ip.to_string(),
            Key::Session(Some(at)) => format!("session {}", at + 1),
            Key::Session(None) => "no session".to_owned(),
        }
    }
}
