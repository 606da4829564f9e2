//! Stretches of time put in order once, so that each of very many questions of what else was under way takes a look and
//! not a walk.

use crate::time::Timestamp;

/// Stretches, each from its first moment to its last, in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// When each begins, and the latest end of it and all before it.
    all: Vec<(Timestamp, Timestamp)>,
}

impl Spans {
    /// The latest end of those that begin no later than `to`; `None` if there are none.
    pub fn latest(&self, to: Timestamp) -> Option<Timestamp> {
        let begun = self.all.partition_point(|(first, _)| *first <= to);
        let (_, latest) = self.all.get(begun.checked_sub(1)?)?;
        Some(*latest)
    }

    /// Whether one of them begins no later than `to` and ends no earlier than `from`.
    pub fn meet(&self, from: Timestamp, to: Timestamp) -> bool {
        self.latest(to).is_some_and(|latest| latest >= from)
    }
}

impl FromIterator<(Timestamp, Timestamp)> for Spans {
    fn from_iter<I: IntoIterator<Item = (Timestamp, Timestamp)>>(spans: I) -> Self {
        let mut all: Vec<(Timestamp, Timestamp)> = spans.into_iter().collect();
        all.sort_unstable();
        let mut latest = Timestamp::default();
        for (_, last) in &mut all {
            latest = latest.max(*last);
            *last = latest;
        }
        Spans { all }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_answer_as_a_walk_through_all_does(
            spans in prop::collection::vec((0u64..50, 0u64..50), 0..20), from in 0u64..60, to in 0u64..60,
        ) {
            let ordered: Spans = spans.iter().map(|(a, b)| (Timestamp(*a), Timestamp(*b))).collect();
            let begun = || spans.iter().filter(|(first, _)| *first <= to).map(|(_, last)| *last);
            prop_assert_eq!(ordered.latest(Timestamp(to)).map(|latest| latest.0), begun().max());
            prop_assert_eq!(ordered.meet(Timestamp(from), Timestamp(to)), begun().any(|last| last >= from));
        }
    }
}
