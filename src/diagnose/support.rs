//! The vendor's support page, from the wire: when each recorder was last active, last registered, last answered a
//! relayed request, and how often.
//!
//! What the page shows it knows from inside the cloud; from outside these are estimates. Active is data to the cloud;
//! registered is a connection made to the relay; a response is what a recorder sends soon after the relay has said more
//! to it than it does time after time, or in the clear a POST of `message/http`.

use std::net::IpAddr;

use super::scene::{Scene, nanos};
use crate::engine::case::{Case, TcpCase, is_core};
use crate::engine::learnt::turn;
use crate::event::{Class, LIST_MAX, RecorderRecord};
use crate::flow::course::Burst;
use crate::time::Timestamp;

/// So many bursts of the relay's show what is routine.
const MANY: usize = 3;

/// Every recorder of the capture, in the order of addresses, as far as a list has room; and how many there was none
/// for.
pub fn recorders(scene: &Scene<'_>) -> (Vec<RecorderRecord>, u64) {
    let mut all = scene.base.site.recorders.clone();
    for case in &scene.cases.flows {
        let ends = [case.orig.0, case.resp.0].into_iter().zip(case.recorders);
        all.extend(ends.filter(|(_, recorder)| *recorder).map(|(ip, _)| ip));
    }
    all.sort_unstable();
    all.dedup();
    let omitted = all.len().saturating_sub(LIST_MAX) as u64;
    (all.into_iter().take(LIST_MAX).map(|ip| recorder(scene, ip)).collect(), omitted)
}

fn recorder(scene: &Scene<'_>, ip: IpAddr) -> RecorderRecord {
    let cloud = || scene.of_client(ip).filter(|case| is_core(case.class, case.subs));
    let relays = || cloud().filter(|case| case.class == Class::Relay && case.is_tcp() && case.established);
    let replies: Vec<Replies> = relays().map(|case| replies(scene, case)).collect();
    RecorderRecord {
        ip,
        given: scene.base.site.recorders.contains(&ip),
        last_active: cloud().filter_map(last_sent).max(),
        last_registered: relays().filter(|case| !case.midstream && case.payload[1] > 0).map(Case::first).max(),
        last_response: replies.iter().filter_map(|replies| replies.last).max(),
        response_sequence: replies.iter().map(|replies| replies.count).fold(0, u64::saturating_add),
    }
}

/// When the originator of a flow last sent data.
fn last_sent(case: &Case) -> Option<Timestamp> {
    if case.payload[0] == 0 {
        return None;
    }
    let bursts = case.tcp.as_ref().and_then(|tcp| tcp.bursts[0].iter().map(|burst| burst.end).max());
    bursts.or(Some(case.last))
}

/// Replies of one flow.
#[derive(Default)]
struct Replies {
    count: u64,
    last: Option<Timestamp>,
}

/// The replies that a recorder sent on one connection to the relay. In the clear each POST is one; in TLS each burst of
/// the recorder's that follows one of the relay's closely.
fn replies(scene: &Scene<'_>, case: &Case) -> Replies {
    let clear = case.http.iter().flat_map(|http| &http.turns).map(|turn| turn.turn);
    let posts: Vec<_> = clear.filter(|turn| turn.marks & turn::SENDS_MESSAGE != 0).collect();
    if !posts.is_empty() {
        let last = case.tcp.as_ref().and_then(|tcp| tcp.bursts[0].iter().map(|burst| burst.end).max());
        return Replies { count: posts.len() as u64, last };
    }
    let soon = nanos(scene.rules.settings.views.reply_seconds);
    let Some(TcpCase { bursts: [own, relays], .. }) = &case.tcp else { return Replies::default() };
    let routine = routine(relays).map_or(0.0, |bytes| bytes as f64 * scene.rules.settings.views.request_factor);
    let answers = |burst: &&Burst| {
        let asked = relays.partition_point(|heard| heard.start < burst.start);
        let asked = asked.checked_sub(1).and_then(|at| relays.get(at));
        asked.is_some_and(|heard| burst.start.since(heard.end.min(burst.start)) <= soon && heard.bytes as f64 > routine)
    };
    // a connection begins with a handshake, and the relay's first word ends it
    let replies = own.iter().skip(1).filter(answers);
    Replies { count: replies.clone().count() as u64, last: replies.map(|burst| burst.end).max() }
}

/// How much the relay says time after time, in bytes: the middle of its bursts after the first, where there are many.
fn routine(relays: &[Burst]) -> Option<u64> {
    let mut sizes: Vec<u64> = relays.iter().skip(1).map(|burst| burst.bytes).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().filter(|_| sizes.len() >= MANY)
}

#[cfg(test)]
mod tests;
