//! Which flows are open.

use std::cell::OnceCell;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::engine::analysis::Analysis;
use crate::engine::naming::Naming;

/// Which flows are open; looked up once somebody asks.
pub(super) struct Open<'l> {
    analysis: &'l Analysis,
    naming: &'l Naming<'l>,
    ids: OnceCell<HashSet<u64, RandomState>>,
}

impl<'l> Open<'l> {
    pub fn new(analysis: &'l Analysis, naming: &'l Naming<'l>) -> Self {
        Open { analysis, naming, ids: OnceCell::new() }
    }

    /// Whether any of these flows is open.
    pub fn any(&self, flows: &[u64]) -> bool {
        let find = || {
            let open = self.analysis.places(|flow| !flow.ended());
            let views = open.into_iter().filter_map(|at| self.analysis.view(at, self.naming));
            views.filter(|view| !view.is_over()).map(|view| view.id()).collect()
        };
        let ids = self.ids.get_or_init(find);
        flows.iter().any(|flow| ids.contains(flow))
    }
}
