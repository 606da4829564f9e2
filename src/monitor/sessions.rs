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
#[derive(Clone, Debug, Default)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;
    use crate::time::SECOND;

    #[test]
    fn an_attempt_is_told_once_when_it_is_over_and_again_when_it_goes_on() {
        let session = sample::session();
        let mut sessions = Sessions::default();
        let mut told = |session: &SessionRecord, over: bool| {
            let all = [session.clone()];
            let open = sessions.open(&all).len();
            (open > 0, sessions.over(&all, |_| over).len())
        };
        assert_eq!(told(&session, false), (true, 0));
        assert_eq!(told(&session, true), (true, 1));
        assert_eq!(told(&session, true), (false, 0));
        let longer = SessionRecord { end: session.end.after(SECOND), ..session.clone() };
        assert_eq!(told(&longer, false), (true, 0));
        assert_eq!(told(&longer, true), (true, 1));
        assert!(sessions.over(&[], |_| true).is_empty());
        assert!(sessions.told.is_empty());
    }
}
