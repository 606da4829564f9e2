//! One view that was captured twice, on both sides of a router or at both of its ends, is one attempt.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Attempt, Side};
use crate::diagnose::p2p::mappings;
use crate::diagnose::scene::{Scene, within};
use crate::event::Method;
use crate::time::Timestamp;

/// How many attempts after one are looked at: those that begin with it are next to it.
const REACH: usize = 32;

/// Makes one of attempts that are the same. They are in the order of their beginning, and stay so.
pub fn join<'c>(scene: &Scene<'_>, attempts: Vec<Attempt<'c>>) -> Vec<Attempt<'c>> {
    let outside = outside(scene);
    let mut kept: Vec<(Attempt<'c>, Option<Video>)> = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let (from, own) = (kept.len().saturating_sub(REACH), sum(&attempt));
        let same = |(earlier, video): &(Attempt<'_>, Option<Video>)| {
            let same = video.zip(own).and_then(|videos| sameness(scene, [earlier, &attempt], videos));
            same.or_else(|| translated(&outside, earlier, &attempt))
        };
        match kept.iter_mut().skip(from).find_map(|earlier| Some((same(earlier)?, earlier))) {
            Some((same, (earlier, video))) => {
                merge(scene, earlier, attempt, same);
                *video = sum(earlier);
            }
            None => kept.push((attempt, own)),
        }
    }
    kept.into_iter().map(|(attempt, _)| attempt).collect()
}

/// The video of an attempt: its bytes, its beginning, its last way.
type Video = (f64, Timestamp, Method);

/// How two attempts are one.
#[derive(Clone, Copy)]
enum Same {
    /// The same connections, before and behind a router.
    Legs,
    /// What a recorder sends up comes down to a client.
    Ends,
}

fn sum(attempt: &Attempt<'_>) -> Option<Video> {
    let streams = || attempt.worked().filter_map(|trial| trial.video);
    let bytes = streams().map(|stream| stream.bytes).fold(0u64, u64::saturating_add);
    let method = attempt.worked().last()?.method;
    Some((bytes as f64, streams().map(|stream| stream.first).min()?, method))
}

fn sameness(scene: &Scene<'_>, [a, b]: [&Attempt<'_>; 2], videos: (Video, Video)) -> Option<Same> {
    let settings = &scene.rules.settings.views;
    let ((bytes, began, way), (other, then, other_way)) = videos;
    let alike = |share: f64| bytes > other * (1.0 - share) && other > bytes * (1.0 - share);
    if a.own == b.own {
        return None;
    }
    // behind a router that turns a connection round it looks like one of the local network
    let round = [way, other_way] == [Method::Direct, Method::Lsf] || [way, other_way] == [Method::Lsf, Method::Direct];
    let legs = way == other_way && (a.side == b.side || way == Method::Direct) || round;
    if legs && within(began, then, settings.same_leg_seconds) && alike(settings.same_leg_share) {
        return Some(Same::Legs);
    }
    let ends = a.side != b.side && [way, other_way] == [Method::Relay; 2] && within(began, then, settings.next_seconds);
    (ends && alike(settings.same_view_share)).then_some(Same::Ends)
}

/// What STUN told each host to be from outside.
fn outside(scene: &Scene<'_>) -> BTreeSet<(IpAddr, IpAddr)> {
    let told = mappings(scene);
    told.iter().flat_map(|((ip, _), told)| told.iter().map(|told| (*ip, told.mapped.ip()))).collect()
}

/// Checks that came to nothing are one attempt before and behind the router that one of its ends is seen as.
fn translated(outside: &BTreeSet<(IpAddr, IpAddr)>, a: &Attempt<'_>, b: &Attempt<'_>) -> Option<Same> {
    let of = |one: &Attempt<'_>, other: &Attempt<'_>| {
        let checks = other.trials.iter().all(|trial| trial.method == Method::P2p) && other.worked().next().is_none();
        let ends = [Some(other.own), other.peer];
        checks && ends.into_iter().flatten().any(|ip| outside.contains(&(one.own, ip)))
    };
    let together = a.first <= b.last && b.first <= a.last;
    (together && (of(a, b) || of(b, a))).then_some(Same::Legs)
}

/// Adds a later attempt to the one that it repeats. Of two legs the one inside the site speaks, of two ends the client.
fn merge<'c>(scene: &Scene<'_>, kept: &mut Attempt<'c>, mut later: Attempt<'c>, same: Same) {
    let inside = |attempt: &Attempt<'_>| scene.base.site.inside(attempt.own);
    let direct = |attempt: &Attempt<'_>| attempt.worked().any(|trial| trial.method == Method::Direct);
    let swap = match same {
        Same::Legs if direct(kept) != direct(&later) => direct(&later),
        Same::Legs => inside(&later) && !inside(kept),
        Same::Ends => later.side == Side::Client,
    };
    if swap {
        std::mem::swap(kept, &mut later);
    }
    let found = match same {
        Same::Ends => [Some(later.own), later.other],
        Same::Legs if direct(kept) && !direct(&later) => [later.peer, None],
        Same::Legs => [later.other, None],
    };
    // the address that the other end has in its own network says most
    let known = [kept.other, found[0], found[1]];
    let best = known.into_iter().flatten().max_by_key(|ip| scene.base.site.inside(*ip));
    kept.other = best;
    kept.twins.extend(later.trials.iter().map(|trial| (trial.method, trial.case.identity.flow_id)));
    kept.twins.append(&mut later.twins);
    kept.first = kept.first.min(later.first);
    kept.last = kept.last.max(later.last);
}
