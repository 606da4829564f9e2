//! Which flows are put down where there are more than can be: those to the vendor first, then those of which more was
//! seen than an attempt to connect, and of each kind as many of every client. So nobody's scan hides what became of
//! others.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::engine::analysis::FlowView;

/// Kinds of flows, the most telling first.
const KINDS: usize = 3;

/// What is chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// How many of each client's flows may be put down, kind by kind.
    shares: [u32; KINDS],
    taken: HashMap<(IpAddr, usize), u32, RandomState>,
}

/// The kind of a flow.
fn kind(view: &FlowView<'_>) -> usize {
    match () {
        () if view.naming.is_to_vendor(view.shard, view.flow) => 0,
        () if view.is_more_than_a_try() => 1,
        () => 2,
    }
}

impl Choice {
    /// From all that there are, of which so many can be.
    pub fn of<'a>(views: impl Iterator<Item = FlowView<'a>>, most: usize) -> Self {
        let mut counts: [HashMap<IpAddr, u32, RandomState>; KINDS] = Default::default();
        for view in views {
            if let Some(counts) = counts.get_mut(kind(&view)) {
                let count = counts.entry(view.orig.0).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut room = most;
        let shares = counts.map(|counts| {
            let (share, given) = share(counts.into_values().collect(), room);
            room = room.saturating_sub(given);
            share
        });
        Choice { shares, taken: HashMap::default() }
    }

    /// Whether a flow is among them; asked once for each.
    pub fn takes(&mut self, view: &FlowView<'_>) -> bool {
        let kind = kind(view);
        let taken = self.taken.entry((view.orig.0, kind)).or_default();
        let takes = self.shares.get(kind).is_some_and(|share| *taken < *share);
        *taken = taken.saturating_add(u32::from(takes));
        takes
    }
}

/// How many each may have at the most, and how many that are, so that no more are given than there is room for: who
/// wants less leaves the rest to others.
fn share(mut wanted: Vec<u32>, room: usize) -> (u32, usize) {
    wanted.sort_unstable();
    let (mut given, mut left) = (0usize, wanted.len());
    for want in wanted {
        let fair = room.saturating_sub(given).checked_div(left).unwrap_or(0);
        if want as usize > fair {
            let fair = u32::try_from(fair).unwrap_or(u32::MAX);
            return (fair, given.saturating_add(left.saturating_mul(fair as usize)));
        }
        (given, left) = (given.saturating_add(want as usize), left.saturating_sub(1));
    }
    (u32::MAX, given)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn who_wants_little_has_it_and_who_wants_much_shares_the_rest() {
        assert_eq!(share(vec![1000, 2, 3], 105), (100, 105));
        assert_eq!(share(vec![1000, 2, 3, 1000], 105), (50, 105));
        assert_eq!(share(vec![10, 20], 30), (u32::MAX, 30));
        assert_eq!(share(vec![10, 20], 0), (0, 0));
        assert_eq!(share(Vec::new(), 0), (u32::MAX, 0));
    }
}
