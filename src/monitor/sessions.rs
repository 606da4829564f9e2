//! Attempts to view, over time: each is told when it is over; if it goes on after all, again when that is over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::event::SessionRecord;
use crate::time::Timestamp;

type Key = (Timestamp, Option<IpAddr>, Option<IpAddr>);

/// What an attempt is known by.
fn key(session: &SessionRecord) -> Key {
    (session.start, session.client, session.recorder)
}

/// The attempts that were told, each with its end.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    told: BTreeMap<Key, Timestamp>,
}

impl Sessions {
    /// The flows of attempts that were not told yet.
    pub fn open(&self, all: &[SessionRecord]) -> Vec<u64> {
        let open = all.iter().filter(|session| self.told.get(&key(session)) != Some(&session.end));
        open.flat_map(|session| &session.steps).flat_map(|step| step.flow_ids.iter().copied()).collect()
    }

    /// Gives those of all attempts that are over and are to be told.
    pub fn over<'s>(
        &mut self,
        all: &'s [SessionRecord],
        is_over: impl Fn(&SessionRecord) -> bool,
    ) -> Vec<&'s SessionRecord> {
        let mut tell = Vec::new();
        let mut told = BTreeMap::new();
        for session in all {
            let key = key(session);
            let before = self.told.get(&key).copied();
            if before == Some(session.end) || !is_over(session) {
                told.extend(before.map(|end| (key, end)));
                continue;
            }
            tell.push(session);
            told.insert(key, session.end);
        }
        // what is no longer known need not be remembered
        self.told = told;
        tell
    }
}
