//! A proxy whose scanners are all taken up by streams without an end: nothing new is answered, of any host (CF-12).

use std::collections::BTreeSet;

use crate::diagnose::draft::Draft;
use crate::diagnose::rules::RuleId;
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::Case;
use crate::event::{FindingRecord, Mode};
use crate::time::{Timestamp, seconds};

/// What is found beside the holds themselves, which `holds` are.
pub fn detect(scene: &Scene<'_>, holds: &[FindingRecord]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let held: Vec<&FindingRecord> = holds.iter().filter(|hold| hold.mode != Some(Mode::HoldRelease)).collect();
    if (held.len() as f64) < settings.pool_holds {
        return None;
    }
    let flows: BTreeSet<u64> = held.iter().flat_map(|hold| &hold.flow_ids).copied().collect();
    // the pool was full when the last of them had been taken in, and is until the first lets go
    let full = held.iter().map(|hold| hold.first).max()?;
    let until = held.iter().map(|hold| hold.last).min().filter(|until| *until > full)?;
    let hosts: BTreeSet<&str> = held.iter().filter_map(|hold| hold.host.as_deref()).collect();
    let asked: Vec<&Case> = scene
        .cases
        .flows
        .iter()
        .filter(|case| case.is_tcp() && case.established && !case.one_sided && !flows.contains(&case.identity.flow_id))
        .filter(|case| (full..until).contains(&case.first()) && !case.inside[1] && case.payload[0] > 0)
        .collect();
    // one that is answered shows that the proxy still has connections to give
    let waiting = |case: &&Case| case.payload[1] == 0 && waited(scene, case) >= nanos(settings.first_byte_seconds);
    let others: BTreeSet<&str> =
        asked.iter().filter_map(|case| case.host.as_deref()).filter(|host| !hosts.contains(host)).collect();
    if !asked.iter().all(waiting) || (others.len() as f64) < settings.pool_hosts {
        return None;
    }
    let first = asked.iter().find(|case| case.host.as_deref().is_some_and(|host| others.contains(host)))?;
    Some(told(scene, &held, full, first, &asked))
}

/// How long a request has waited: until its connection ended, or the capture, in nanoseconds.
fn waited(scene: &Scene<'_>, case: &Case) -> u64 {
    case.until(scene.cases.last).since(case.first())
}

fn told(scene: &Scene<'_>, held: &[&FindingRecord], full: Timestamp, first: &Case, asked: &[&Case]) -> FindingRecord {
    let last = asked.iter().map(|case| case.until(scene.cases.last)).max().unwrap_or(first.last);
    let streams = held.iter().map(|hold| hold.flow_ids.len()).sum::<usize>();
    let mut draft = Draft::new(scene.rules, RuleId::Cf12, first.first(), last)
        .about(first)
        .flows(asked.iter().map(|case| case.identity.flow_id))
        .count(asked.len() as u64)
        .evidence(format!("{streams} streams are being held by then"), None, Some(full));
    for case in asked {
        let host = case.host.as_deref().unwrap_or("a server without a name");
        let text = format!(
            "{host} takes the connection and its request, and is silent for {:.0} s",
            seconds(waited(scene, case))
        );
        draft = draft.evidence(text, Some(case.first_frame), Some(case.first()));
    }
    draft.build()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, menu, modes, view};
    use super::*;
    use crate::diagnose::testcases::{VIEWER, burst, tcp};
    use crate::event::Class;

    /// A request to another host of the cloud, from that second to another, that brought so many bytes.
    fn request(number: u64, host: &str, first: f64, last: f64, bytes: u64) -> Case {
        let mut case = tcp(number, VIEWER, &format!("203.0.113.{number}"), Class::Api, host, first, last);
        case.payload = [500, bytes];
        let tcp = case.tcp.as_mut().unwrap();
        tcp.bursts = [burst(first, first, 500), if bytes > 0 { burst(first, last, bytes) } else { Vec::new() }];
        tcp.turns = [500, bytes as u32];
        case
    }

    fn told(more: Vec<Case>) -> Option<f64> {
        let holds = (0..3).map(|n| view(n, 5.0 + n as f64, 45.0, asked(5.0 + n as f64), &[]));
        let flows = holds.chain([menu()]).chain(more).collect();
        let found = crate::diagnose::testcases::found(flows, Vec::new(), super::super::detect);
        found.iter().find(|finding| finding.rule == "CF-12").map(|finding| finding.confidence)
    }

    #[test]
    fn silence_of_every_other_host_behind_held_streams_is_a_full_pool() {
        let silent = |n, host| request(n, host, 14.0, 44.0, 0);
        let (api, login) = (silent(30, "restapi.gp4f.com"), silent(31, "ows.openeye.net"));
        assert_eq!(told(vec![api.clone(), login.clone()]), Some(0.50));
        assert_eq!(told(vec![api.clone()]), None, "one host may be down");
        let answered = request(32, "license.openeye.net", 20.0, 21.0, 3_000);
        assert_eq!(told(vec![api.clone(), login.clone(), answered]), None, "somebody is answered");
        let before = vec![request(30, "restapi.gp4f.com", 2.0, 44.0, 0), request(31, "ows.openeye.net", 3.0, 44.0, 0)];
        assert_eq!(told(before), None, "before the streams were held");
        let brief = vec![request(30, "restapi.gp4f.com", 14.0, 16.0, 0), login];
        assert_eq!(
            told(
                brief
                    .into_iter()
                    .map(|mut case| {
                        case.tcp.as_mut().unwrap().fin_by = Some(crate::engine::case::Direction::Orig);
                        case
                    })
                    .collect()
            ),
            None,
            "not waited for"
        );
        assert!(modes(vec![menu(), api, silent(31, "ows.openeye.net")]).is_empty(), "no stream is held");
    }
}
