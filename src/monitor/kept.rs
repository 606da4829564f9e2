//! What is kept of flows that are over and told, and for how long.
//!
//! Most are kept for a minute. Flows of the system tell more than themselves: roles of hosts, faults that come again,
//! attempts to view. They are kept for as long as any rule looks back, and of each client the newest to each host for
//! good; all within a cap.

use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::Settings;
use crate::diagnose::scene::nanos;
use crate::engine::analysis::Identity;
use crate::engine::case::{Case, Cases};
use crate::event::Class;
use crate::flow::Flow;
use crate::time::Timestamp;

/// How many of the newest flows of a client to one host are kept for good.
const EXAMPLES: u32 = 2;
/// The share of the flows of the system that may be such.
const EXAMPLES_SHARE: usize = 4;

/// The flows of the system, the newest last.
#[derive(Debug, Default)]
pub(super) struct System {
    flows: Vec<Known>,
}

/// A flow's first packet: when it came, and in which frame. Many may begin at one moment.
type Start = (Timestamp, u64);

/// A flow of the system.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its first packet and the frame of that, by which it is known here.
    start: Start,
    id: u64,
    last: Timestamp,
    /// One of the newest of its client to its host.
    example: bool,
}

impl System {
    /// From what is known of them.
    pub fn of(cases: &Cases) -> System {
        let mut flows: Vec<(Known, Option<&Case>)> = Vec::with_capacity(cases.flows.len());
        for case in &cases.flows {
            let (start, id) = start(&case.identity);
            flows.push((Known { start, id, last: case.last, example: false }, Some(case)));
        }
        for dns in &cases.dns {
            let (start, id) = start(&dns.identity);
            flows.push((Known { start, id, last: dns.last, example: false }, None));
        }
        flows.sort_by_key(|(known, _)| (known.last, known.start));
        let mut examples: HashMap<(IpAddr, IpAddr, Class, Option<&str>), u32, RandomState> = HashMap::default();
        for (known, case) in flows.iter_mut().rev() {
            let Some(case) = case else { continue };
            // a stranger's address alone is no host: there would be too many
            let key = (case.orig.0, case.resp.0, case.class, case.host.as_deref());
            let seen = examples.entry(key).or_default();
            *seen = seen.saturating_add(1);
            known.example = *seen <= EXAMPLES && case.class != Class::Unknown;
        }
        System { flows: flows.into_iter().map(|(known, _)| known).collect() }
    }

    /// What is kept of all flows `now`, when these flows are wanted by something that is not over.
    pub fn keep(&self, wanted: &HashSet<u64, RandomState>, now: Timestamp, settings: &Settings) -> Kept {
        let most = settings.system_flows as usize;
        let young = |known: &Known| now.since(known.last) < nanos(settings.system_seconds);
        let mut starts = BTreeSet::new();
        let mut examples = most.checked_div(EXAMPLES_SHARE).unwrap_or(0);
        for known in self.flows.iter().rev() {
            let is_wanted = young(known) || wanted.contains(&known.id);
            if is_wanted && starts.len() < most {
                starts.insert(known.start);
            } else if known.example && examples > 0 {
                examples = examples.saturating_sub(1);
                starts.insert(known.start);
            }
        }
        Kept { starts, linger: nanos(settings.linger_seconds), now }
    }
}

fn start(identity: &Identity) -> (Start, u64) {
    ((identity.start, identity.first_frame), identity.flow_id)
}

/// What is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// The first packets of flows of the system that are kept.
    starts: BTreeSet<Start>,
    linger: u64,
    now: Timestamp,
}

impl Kept {
    /// Whether a flow is kept.
    pub fn keeps(&self, flow: &Flow) -> bool {
        !flow.told()
            || self.now.since(flow.last) < self.linger
            || self.starts.contains(&(flow.first, flow.first_frame()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, tcp};

    #[test]
    fn flows_of_one_moment_count_each() {
        let settings = Settings::embedded().unwrap();
        let most = settings.system_flows as u64;
        let flows: Vec<Case> =
            (0..most + 100).map(|n| tcp(n, RECORDER, RELAY, Class::Relay, RELAY_NAME, 5.0, 6.0)).collect();
        let cases = Cases { flows, ..Cases::default() };
        let now = cases.flows[0].last;
        let kept = System::of(&cases).keep(&HashSet::default(), now, &settings);
        assert_eq!(kept.starts.len() as u64, most);
    }
}
