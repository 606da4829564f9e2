//! Attempts to view, over time: each is told when it is over; if it goes on after all, again when that is over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::event::SessionRecord;
use crate::time::Timestamp;

type Key = (Timestamp, Option<IpAddr>, Option<IpAddr>);

/// The attempts that were told, each with its end.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    told: BTreeMap<Key, Timestamp>,
}

impl Sessions {
    /// Gives those of all attempts that are over and are to be told.
    pub fn over<'s>(
        &mut self,
        all: &'s [SessionRecord],
        is_over: impl Fn(&SessionRecord) -> bool,
    ) -> Vec<&'s SessionRecord> {
        let mut tell = Vec::new();
        let mut told = BTreeMap::new();
        for session in all {
            let key = (session.start, session.client, session.recorder);
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
