//! Views that are cut off in mid-stream, each after the same time (CF-6): somebody's timer, or somebody's verdict.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::recorder::timer;
use super::signs::{is_troubled, mind_cut};
use super::silence::varies_less_than;
use crate::classify::words::Sub;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{Place, RuleId};
use crate::diagnose::scene::{Scene, nanos};
use crate::engine::case::{Case, Direction};
use crate::event::{Class, FindingRecord, HINT, Manner};
use crate::text::units::Bytes;
use crate::time::{Timestamp, seconds};

/// All views that are cut off again and again.
pub fn detect(scene: &Scene<'_>) -> Vec<FindingRecord> {
    let mut views: BTreeMap<(IpAddr, Option<&str>), Vec<Option<Cut<'_>>>> = BTreeMap::new();
    let shown = scene.of_class(Class::Relay).filter(|case| case.subs.has(Sub::VideoDown) && !case.one_sided);
    for case in shown.filter(|case| scene.is_recorder_side(case) != Some(true)) {
        views.entry((case.orig.0, case.host.as_deref())).or_default().push(cut_off(scene, case));
    }
    // one that ends otherwise was the viewer's doing
    let runs = views.values().flat_map(|views| views.split(Option::is_none));
    runs.filter_map(|run| judge(scene, &run.iter().copied().flatten().collect::<Vec<_>>())).collect()
}

/// A view whose stream was running as the far end, or somebody in its name, ended it.
#[derive(Clone, Copy)]
struct Cut<'a> {
    case: &'a Case,
    at: Timestamp,
    frame: Option<u64>,
    by_reset: bool,
    /// The time to live of a reset that somebody else has sent.
    foreign: Option<u8>,
}

impl Cut<'_> {
    fn age(&self) -> f64 {
        seconds(self.at.since(self.case.first()))
    }
}

fn cut_off<'a>(scene: &Scene<'_>, case: &'a Case) -> Option<Cut<'a>> {
    let settings = &scene.rules.settings;
    let tcp = case.tcp.as_ref().filter(|_| !is_troubled(scene, case))?;
    let [_, usual] = case.ttl;
    let reset = tcp.reset.filter(|reset| reset.by == Direction::Resp && tcp.fin_by.is_none());
    let foreign = |ttl: u8| usual != 0 && f64::from(ttl.abs_diff(usual)) > settings.tls.foreign_hops;
    let cut = match reset {
        Some(reset) => Cut {
            case,
            at: reset.seen.ts,
            frame: Some(reset.seen.frame),
            by_reset: true,
            foreign: Some(reset.ttl).filter(|ttl| foreign(*ttl)),
        },
        None if tcp.fin_by == Some(Direction::Resp) => {
            Cut { case, at: case.last, frame: None, by_reset: false, foreign: None }
        }
        None => return None,
    };
    let [_, shown] = &tcp.bursts;
    let running = shown.last()?.end.after(nanos(settings.stall.cut_live_seconds)) >= cut.at;
    running.then_some(cut)
}

/// Views one after the other that were all cut off after one time.
fn judge(scene: &Scene<'_>, cuts: &[Cut<'_>]) -> Option<FindingRecord> {
    let settings = &scene.rules.settings.stall;
    let again = |pair: &[Cut<'_>]| match pair {
        [before, next] => {
            let begun = next.case.first();
            begun >= before.at && begun.since(before.at) <= nanos(settings.cut_again_seconds)
        }
        _ => true,
    };
    let ages: Vec<f64> = cuts.iter().map(Cut::age).collect();
    let alike = varies_less_than(&ages, settings.cycle_timer_share) && cuts.windows(2).all(again);
    let (first, last) = (cuts.first()?, cuts.last()?);
    if (cuts.len() as f64) < settings.cycle_lives || !alike {
        return None;
    }
    let age = ages.iter().sum::<f64>() / ages.len() as f64;
    let mut draft = Draft::new(scene.rules, RuleId::Cf6, first.at, last.at)
        .about(first.case)
        .manner(Manner::CutOff)
        .flows(cuts.iter().map(|cut| cut.case.identity.flow_id))
        .count(cuts.len() as u64)
        .say(Place::Seconds, format!("{age:.0}"))
        .adjust(if timer(settings, age) { settings.cycle_timer } else { 0.0 })
        .adjust(if cuts.iter().any(|cut| cut.foreign.is_some()) { settings.foreign_reset } else { 0.0 });
    // the relay itself ends in good order what nobody looks at any more
    draft = if cuts.iter().all(|cut| cut.by_reset) { draft } else { draft.at_most(HINT) };
    draft = mind_cut(scene, first.case, draft.vantage(scene.vantage(first.case)));
    for cut in cuts {
        let how = if cut.by_reset { "a reset" } else { "the far end" };
        let [_, usual] = cut.case.ttl;
        let by = cut.foreign.map_or_else(String::new, |ttl| {
            format!("; its time to live is {ttl}, that of the genuine packets {usual}: somebody else has sent it")
        });
        let text = format!(
            "{how} cuts the view off after {:.1} s and {}{by}",
            cut.age(),
            Bytes(cut.case.payload.iter().sum())
        );
        draft = draft.evidence(text, cut.frame, Some(cut.at));
    }
    Some(draft.build())
}
