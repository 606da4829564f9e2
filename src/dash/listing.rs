//! Which flows are listed, and in what order: filtered, sorted and grouped. Works on light rows, and keeps what a
//! snapshot was once asked for, so that hundreds of thousands of them take no longer than a key takes to be let go.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::group::{self, Common, Group};
use super::order::order;
use super::snapshot::Snapshot;
use super::table::Table;
use crate::engine::light::Light;
use crate::event::word::words;
use crate::filter::{Asked, Filter, Known};
use crate::text::icmp;
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
    pub folded: HashSet<Common>,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The head of a group, by its place.
    Group(u32),
    /// A flow, by its place among all.
    Flow(u32),
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

/// Lists flows. What was once worked out of a snapshot is kept as long as that is shown.
#[derive(Debug, Default)]
pub struct Lister {
    table: Table,
    order: Option<((Column, bool), Vec<u32>)>,
    selected: Option<(Filter, Vec<bool>)>,
    /// Where the last flow was found that was looked for.
    place: usize,
}

impl Lister {
    /// Lists the flows of a snapshot.
    pub fn list(&mut self, snapshot: &Snapshot, wish: &Wish) -> Listing {
        self.look_at(snapshot);
        let passing = self.passing(snapshot, wish);
        let by = (wish.by.unwrap_or(Column::Weight), wish.reversed);
        if self.order.as_ref().is_none_or(|(known, _)| *known != by) {
            self.order = Some((by, order(&self.table, snapshot, by.0, by.1)));
        }
        let all = self.order.iter().flat_map(|(_, order)| order).copied();
        let passes = |at: &u32| passing.as_ref().is_none_or(|p| p.get(*at as usize).is_some_and(|passes| *passes));
        let flows = all.filter(passes);
        let passed = passing.as_ref().map_or(snapshot.flows.len(), |p| p.iter().filter(|passes| **passes).count());
        let (groups, rows) = match wish.grouping {
            Grouping::None => (Vec::new(), flows.map(Row::Flow).collect()),
            _ => group::rows(&self.table, snapshot, wish, passing.as_deref(), flows),
        };
        Listing { rows, groups, passed }
    }

    /// Works out a part of what may be asked of the flows at hand; false if there is nothing left of that.
    pub fn prepare(&self) -> bool {
        self.table.prepare()
    }

    /// Forgets what was worked out of another snapshot.
    fn look_at(&mut self, snapshot: &Snapshot) {
        if !self.table.is_of(&snapshot.flows) {
            let place = self.place;
            *self = Lister { table: Table::of(Arc::clone(&snapshot.flows)), place, ..Lister::default() };
        }
    }

    /// Whether each flow passes a filter.
    pub fn selected(&mut self, snapshot: &Snapshot, filter: &Filter) -> &[bool] {
        self.look_at(snapshot);
        let known = self.selected.take().filter(|(known, _)| known == filter);
        let (_, selected) = self.selected.insert(known.unwrap_or_else(|| {
            let roles: HashMap<IpAddr, &'static str, RandomState> =
                snapshot.hosts.iter().filter_map(|h| Some((h.ip, h.role?))).collect();
            let known = Known::new(&snapshot.findings, Some(Box::new(move |ip| roles.get(&ip).copied())));
            (filter.clone(), filter.select(&self.table, &known))
        }));
        selected
    }

    /// Whether each flow is listed; none where all are.
    fn passing(&mut self, snapshot: &Snapshot, wish: &Wish) -> Option<Vec<bool>> {
        let selected = wish.filter.as_ref().map(|filter| self.selected(snapshot, filter));
        if !wish.open_only && !wish.marked_only && wish.cleared.is_none() {
            return selected.map(<[bool]>::to_vec);
        }
        let passes = |flow: &Light| {
            (!wish.open_only || !flow.is_over())
                && wish.cleared.is_none_or(|at| flow.last > at)
                && (!wish.marked_only || wish.marks.contains(&flow.id))
        };
        let selected = |at: usize| selected.is_none_or(|s| s.get(at).is_some_and(|selected| *selected));
        Some(snapshot.flows.iter().enumerate().map(|(at, flow)| selected(at) && passes(flow)).collect())
    }

    /// In which line of a list a flow stands.
    pub fn line_of(&mut self, flow: u64, listing: &Listing, snapshot: &Snapshot) -> Option<usize> {
        // it mostly is where it was
        let there = snapshot.flows.get(self.place).is_some_and(|f| f.id == flow);
        if !there {
            self.place = snapshot.flows.iter().position(|f| f.id == flow)?;
        }
        let row = Row::Flow(u32::try_from(self.place).ok()?);
        listing.rows.iter().position(|at| *at == row)
    }
}

/// Originator and responder, each with its port where there are ports.
pub type Ends = [(IpAddr, Option<u16>); 2];

/// Its ends; and what ICMP says, which has a type and a code in the place of ports.
pub fn ends(flow: &Light) -> (Ends, Option<Cow<'static, str>>) {
    if !flow.proto_name.ends_with("ICMP") {
        return (flow.ends(), None);
    }
    let [(orig, kind), (resp, code)] = [flow.orig, flow.resp];
    ([(orig, None), (resp, None)], Some(icmp::words(flow.proto_name != "ICMP", [kind, code])))
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

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use crate::dash::testing::busy;
    use crate::filter::Rows;

    const FILTERS: [&str; 14] = [
        "relay",
        "113.1",
        "203.0.113.1",
        "host:192.168.0.0/23",
        "src:192.168.1.0/24 !dst:2001:db8::/32",
        "dst:203.0.113.4 or host:u5fgb.com",
        "us-west or 7334",
        "not (s3 or rec4)",
        "sni:*.u5fgb.com rate>10k",
        "port:443 bytes>1M or state:S0",
        "sev>=warn or finding:stall",
        "!host:192.168.0.10,203.0.113.0/25,amazonaws.com",
        "role:recorder (relay or dst:203.0.113.0/24)",
        "",
    ];

    #[test]
    fn what_many_have_in_common_is_looked_at_once_and_passes_the_same() {
        let snapshot = busy(3000);
        let roles: HashMap<IpAddr, &str> = snapshot.hosts.iter().filter_map(|h| Some((h.ip, h.role?))).collect();
        let known = Known::new(&snapshot.findings, Some(Box::new(move |ip| roles.get(&ip).copied())));
        let table = Table::of(Arc::clone(&snapshot.flows));
        for text in FILTERS {
            let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
            let each: Vec<bool> = table.flows().iter().map(|flow| filter.matches(flow, &known)).collect();
            assert_eq!(filter.select(&table, &known), each, "{text}");
            let passed = each.iter().filter(|passes| **passes).count();
            assert!(text.is_empty() || (0 < passed && passed < 3000), "{text}: {passed}");
        }
    }

    /// How two flows stand to each other in a column, the usual way round.
    fn compare(snapshot: &Snapshot, by: Column, [a, b]: [usize; 2]) -> Ordering {
        let (x, y) = (&snapshot.flows[a], &snapshot.flows[b]);
        let real = |a: Option<f64>, b: Option<f64>| a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0));
        match by {
            Column::Weight => {
                let weight = |flow: &Light| {
                    let found =
                        snapshot.finding_of(flow.id).map(|f| (f.is_claim(), snapshot.is_held(flow.id), f.severity));
                    (found, crate::present::is_vendor(flow.class), flow.payload())
                };
                weight(y).cmp(&weight(x))
            }
            Column::Class => x.class.cmp(&y.class),
            Column::From => x.orig.0.cmp(&y.orig.0),
            Column::Peer => (x.name.is_none(), &x.name, x.resp).cmp(&(y.name.is_none(), &y.name, y.resp)),
            Column::Up => y.payload[0].cmp(&x.payload[0]),
            Column::Down => y.payload[1].cmp(&x.payload[1]),
            Column::Rate => real(rate(y, b, snapshot), rate(x, a, snapshot)),
            Column::Rtt => real(y.rtt, x.rtt),
            Column::Retrans => real(retrans(y), retrans(x)),
            Column::State => {
                let state = |flow: &Light| (snapshot.finding_of(flow.id).is_some(), flow.conn_state);
                // of those that a finding is about, how grave it is counts before how they stand
                if state(x).0 && state(y).0 { Ordering::Equal } else { state(y).cmp(&state(x)) }
            }
            Column::Age => y.last.since(y.first).cmp(&x.last.since(x.first)),
            Column::Start => x.first.cmp(&y.first),
            Column::Region => (x.region.is_none(), &x.region).cmp(&(y.region.is_none(), &y.region)),
            Column::Sure => y.confidence.total_cmp(&x.confidence),
            Column::Frames => y.packets().cmp(&x.packets()),
            Column::Proto => x.app_proto.unwrap_or(&x.proto_name).cmp(y.app_proto.unwrap_or(&y.proto_name)),
        }
    }

    #[test]
    fn flows_stand_in_the_order_of_each_column() {
        let mut snapshot = busy(2000);
        let mut flows = (*snapshot.flows).clone();
        let mut texts = crate::engine::light::Texts::default();
        flows
            .iter_mut()
            .step_by(3)
            .for_each(|f| f.region = Some(texts.keep(["us-west", "eu-north"][f.id as usize % 2])));
        snapshot.flows = flows.into();
        let mut lister = Lister::default();
        for by in Column::ALL.iter().copied() {
            for reversed in [false, true] {
                let listing = lister.list(&snapshot, &Wish { by: Some(by), reversed, ..Wish::default() });
                let places: Vec<usize> = listing
                    .rows
                    .iter()
                    .map(|row| match row {
                        Row::Flow(at) => *at as usize,
                        Row::Group(_) => panic!("nothing is grouped"),
                    })
                    .collect();
                for pair in places.windows(2) {
                    let order = compare(&snapshot, by, [pair[0], pair[1]]);
                    let order = if reversed { order.reverse() } else { order };
                    assert!(order.is_le(), "{by:?} {reversed}: {pair:?}");
                    assert!(order.is_lt() || by == Column::State || pair[0] < pair[1], "{by:?} {reversed}: {pair:?}");
                }
                assert_eq!(listing.passed, places.len());
            }
        }
    }

    #[test]
    fn what_has_just_been_closed_is_over() {
        let snapshot = busy(1000);
        let wish = Wish { open_only: true, ..Wish::default() };
        let listing = Lister::default().list(&snapshot, &wish);
        let state = |row: &Row| if let Row::Flow(at) = row { snapshot.flows[*at as usize].conn_state } else { None };
        let states: std::collections::BTreeSet<_> = listing.rows.iter().map(state).collect();
        assert_eq!(states, [Some("S0"), Some("S1")].into());
    }

    #[test]
    fn groups_hold_what_is_listed_in_its_order() {
        let snapshot = busy(1000);
        let mut lister = Lister::default();
        let filter = Filter::parse("port:443 !s3").ok();
        let mut wish = Wish { by: Some(Column::Up), filter, open_only: true, ..Wish::default() };
        let plain = lister.list(&snapshot, &wish);
        for grouping in [Grouping::Method, Grouping::Host, Grouping::Session] {
            wish.grouping = grouping;
            let listing = lister.list(&snapshot, &wish);
            let members = listing.rows.iter().filter(|row| matches!(row, Row::Flow(_))).count();
            let sum: u64 = listing.groups.iter().map(|group| group.flows).sum();
            assert_eq!((listing.passed, members, sum), (plain.passed, plain.passed, plain.passed as u64));
            let heads: Vec<usize> =
                (0..listing.rows.len()).filter(|at| matches!(listing.rows[*at], Row::Group(_))).collect();
            assert!(heads.len() == listing.groups.len() && heads.len() > usize::from(grouping != Grouping::Session));
            let place = |row: &Row| plain.rows.iter().position(|other| other == row);
            for (n, head) in heads.iter().enumerate() {
                let group = &listing.groups[n];
                let end = head + 1 + group.flows as usize;
                let these = &listing.rows[head + 1..end];
                assert!(these.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])));
                let up: u64 = these
                    .iter()
                    .map(|row| if let Row::Flow(at) = row { snapshot.flows[*at as usize].payload[0] } else { 0 })
                    .sum();
                assert_eq!(group.payload[0], up);
            }
            let key = listing.groups[0].key;
            wish.folded.insert(key);
            assert_eq!(
                lister.list(&snapshot, &wish).rows.len() as u64,
                listing.rows.len() as u64 - listing.groups[0].flows
            );
            wish.folded.clear();
        }
    }
}
