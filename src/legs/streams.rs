//! Streams that are judged together, and what they have in common with others to the same place.

use std::cell::OnceCell;

use super::curve::Curve;
use super::join::{Join, Pool};
use crate::engine::case::Direction;
use crate::engine::leg::LegFlow;

/// Flows to one place of which it is not known which is which. What all of them carried is put together once, however
/// many of them are judged.
#[derive(Debug)]
pub(super) struct PlaceOf<'a> {
    pub(super) pool: &'a Pool,
    /// What came out by all of them, of what the originators sent and of what the responders did.
    pub(super) come_out: [OnceCell<Curve>; 2],
    /// Whether any outer one is of those that are judged.
    pub(super) is_judged: OnceCell<bool>,
}

impl PlaceOf<'_> {
    pub(super) fn new(pool: &Pool) -> PlaceOf<'_> {
        PlaceOf { pool, come_out: Default::default(), is_judged: OnceCell::new() }
    }
}

/// Flows whose streams are judged together.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams<'a> {
    /// The inner flows.
    pub(super) flows: Vec<usize>,
    /// Those of them of which the outer half is known, or likely.
    pub(super) halves: Vec<Join>,
    /// Those of which it is known: out of it comes what has gone in outside.
    pub(super) lan: Vec<usize>,
    /// Their outer halves: out of them comes what has gone in inside.
    pub(super) wan: Vec<usize>,
    /// Where the others go: by any flow there it may come out, and by the halves of those that were joined by amounts.
    pub(super) places: Vec<&'a PlaceOf<'a>>,
    /// What is which is known by packets or amounts.
    pub(super) known: bool,
}

impl<'a> Streams<'a> {
    pub(super) fn of_pair(pair: &Join) -> Streams<'a> {
        Streams {
            flows: vec![pair.lan],
            halves: vec![pair.clone()],
            lan: vec![pair.lan],
            wan: vec![pair.wan],
            places: Vec::new(),
            known: true,
        }
    }

    pub(super) fn of_place(lan: usize, place: &'a PlaceOf<'a>) -> Streams<'a> {
        let halves = place.pool.likely(lan).cloned().into_iter().collect();
        Streams { flows: vec![lan], halves, places: vec![place], ..Streams::default() }
    }

    /// All outer flows by which may come out what has gone in inside.
    pub(super) fn wan(&self) -> Vec<usize> {
        let pooled = self.places.iter().flat_map(|place| &place.pool.wan);
        let mut all: Vec<usize> = self.wan.iter().chain(pooled).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Other flows to the same place, by whose outer halves some of it may have come out besides.
    pub(super) fn matched(&self) -> &'a [Join] {
        self.places.last().map(|place| &place.pool.matched[..]).unwrap_or_default()
    }
}

/// The streams of one direction that are looked at.
pub(super) struct Part<'a> {
    pub(super) sender: Direction,
    /// Whether they go out of the site.
    pub(super) outward: bool,
    /// The places of the inner flows that lead.
    pub(super) leading: Vec<usize>,
    pub(super) flows: Vec<&'a LegFlow>,
    pub(super) halves: Vec<(&'a LegFlow, &'a LegFlow)>,
}
