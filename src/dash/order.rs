//! In what order flows stand, column by column.

use super::listing::{Column, rate, retrans};
use super::snapshot::Snapshot;
use super::table::{Table, ranked};
use crate::engine::light::Light;
use crate::event::Kind;
use crate::filter::Asked;
use crate::present::is_vendor;

/// How many bits of a key say where a flow stands among all.
const PLACE_BITS: u32 = 32;

/// The places of all flows in the order of a column; what is equal stays in the order of first frames.
pub(super) fn order(table: &Table, snapshot: &Snapshot, by: Column, reversed: bool) -> Vec<u32> {
    let descending = is_descending(by) != reversed;
    let keys = keys(table, snapshot, by);
    // a number holds key and place: sorting plain numbers is fast
    let mut keyed: Vec<u128> = keys
        .into_iter()
        .zip(0u32..)
        .map(|(key, at)| {
            let key = key << PLACE_BITS;
            (if descending { !key & (u128::MAX << PLACE_BITS) } else { key }) | u128::from(at)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|key| (key & u128::from(u32::MAX)) as u32).collect()
}

/// Whether one usually wants the greatest first.
const fn is_descending(by: Column) -> bool {
    !matches!(by, Column::Class | Column::From | Column::Peer | Column::Start | Column::Region | Column::Proto)
}

/// For each flow a number of 96 bits in whose order a column stands.
fn keys(table: &Table, snapshot: &Snapshot, by: Column) -> Vec<u128> {
    let flows = &snapshot.flows;
    // floating numbers that are not negative stand in the order of their bits
    let real = |number: f64| u128::from(number.max(0.0).to_bits());
    let each = |key: &dyn Fn(&Light) -> u128| flows.iter().map(key).collect();
    let payload = |at: usize| each(&|f| u128::from(f.payload.get(at).copied().unwrap_or(0)));
    match by {
        Column::Weight => each(&|f| {
            let found = u128::from(gravity(f, snapshot));
            found << 68 | u128::from(is_vendor(f.class)) << 64 | u128::from(f.payload())
        }),
        Column::Class => each(&|f| f.class as u128),
        Column::From => table.ends().of.iter().map(|[orig, _]| u128::from(*orig)).collect(),
        Column::Peer => {
            let ends = table.names().iter().zip(&table.ends().of).zip(flows.iter());
            let key =
                |name: u32, host: u32, port: u16| u128::from(name) << 48 | u128::from(host) << 16 | u128::from(port);
            ends.map(|((name, [_, resp]), flow)| key(*name, *resp, flow.resp.1)).collect()
        }
        Column::Up => payload(0),
        Column::Down => payload(1),
        Column::Rate => {
            let rates = flows.iter().enumerate().map(|(at, flow)| rate(flow, at, snapshot));
            rates.map(|rate| real(rate.unwrap_or(0.0))).collect()
        }
        Column::Rtt => each(&|f| f.rtt.map_or(0, real)),
        Column::Retrans => each(&|f| real(retrans(f).unwrap_or(0.0))),
        Column::State => each(&|f| u128::from(gravity(f, snapshot)) << 64 | f.conn_state.map_or(0, letters)),
        Column::Age => each(&|f| u128::from(f.last.since(f.first))),
        Column::Start => each(&|f| u128::from(f.first.0)),
        Column::Region => texts(flows.iter().map(|f| f.region.as_deref())),
        Column::Sure => each(&|f| real(f.confidence)),
        Column::Frames => each(&|f| u128::from(f.packets())),
        Column::Proto => texts(flows.iter().map(|f| Some(f.app_proto.unwrap_or(&f.proto_name)))),
    }
}

/// Texts as numbers in their order; flows without one stand behind all others.
fn texts<'t>(each: impl Iterator<Item = Option<&'t str>>) -> Vec<u128> {
    let (_, of) = ranked(each.map(|text| (text, (text.is_none(), text))));
    of.into_iter().map(u128::from).collect()
}

/// The first eight letters of a text as a number in their order.
fn letters(text: &str) -> u128 {
    text.bytes().chain(std::iter::repeat(0)).take(8).fold(0, |sum, byte| sum << 8 | u128::from(byte))
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
