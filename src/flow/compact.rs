//! Letting go of flows: what is kept moves together, and has other numbers then.

use super::counts::Besides;
use super::index::Index;
use super::slab::{Marks, Renumbered};
use super::tunnels::Way;
use super::{Flow, NONE, Table};
use crate::time::SECOND;

impl Table {
    /// Keeps the flows for which `keep` holds, and says which numbers they have now.
    pub fn compact(&mut self, keep: impl Fn(u32, &Flow) -> bool) -> Renumbered {
        let kept: Vec<bool> = self.flows.iter().map(|(number, flow)| keep(number, flow)).collect();
        let is_kept = |number: u32| kept.get(number as usize).copied().unwrap_or(false);
        let Besides(besides) = &mut self.besides;
        let mut beside = Marks::of(besides);
        let staying = || self.flows.iter().filter(|(number, _)| is_kept(*number)).map(|(_, flow)| flow);
        staying().filter_map(|flow| flow.way.place()).for_each(|number| beside.mark(number));
        let tcp = self.tcp.compact(staying().map(|flow| flow.tcp));
        let pairs = self.pairs.compact(staying().filter(|flow| flow.is_v6()).map(|flow| flow.key.number()));
        let beside = besides.compact(|number| beside.has(number));
        let numbers = self.flows.compact(is_kept);
        for (_, flow) in self.flows.iter_mut() {
            flow.tcp = tcp.of(flow.tcp);
            if let Some(number) = flow.way.place() {
                flow.way = Way::elsewhere(beside.of(number));
            }
            if flow.is_v6() {
                flow.key = flow.key.numbered(pairs.of(flow.key.number()));
            }
        }
        self.refile();
        numbers
    }

    /// Files all flows that have not ended anew, as their numbers are others.
    fn refile(&mut self) {
        self.index.close();
        self.index = Index::with_room(self.flows.iter().filter(|(_, flow)| !flow.ended()).count());
        self.wheel.clear();
        for number in 0..u32::try_from(self.flows.len()).unwrap_or(NONE) {
            let Some(flow) = self.flows.get(number).filter(|flow| !flow.ended()) else { continue };
            let due = flow.last.after(self.timeout(flow)).after(SECOND);
            let (hash, last) = (self.hash(flow), flow.last);
            self.index.insert(hash, number);
            self.wheel.file(number, due, last);
        }
    }
}
