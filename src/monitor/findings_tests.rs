use super::*;
use crate::diagnose::draft::Draft;
use crate::diagnose::draft::tests::flow;
use crate::diagnose::rules::{RuleId, Rules};
use crate::time::SECOND;

/// Without news for so long a finding has ended.
const QUIET: u64 = 60;

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

/// A stall of the flow `number`, last seen at `last`.
fn stall(number: u64, last: u64, confidence: f64) -> FindingRecord {
    let rules = Rules::embedded().unwrap();
    let flow = flow(number);
    let draft = Draft::new(&rules, RuleId::Cf1, flow.start, at(last)).lead(&flow).host("a1.us-west.u5fgb.com");
    draft.base(confidence).build()
}

/// Rounds in their order, and what is told in each: state, first flow, last seen in seconds.
#[derive(Default)]
struct Rounds {
    findings: Findings,
    number: u64,
}

impl Rounds {
    fn round(&mut self, now: u64, found: &[FindingRecord], open: bool, last: bool) -> Vec<String> {
        self.number += 1;
        let round = Round { now: at(now), number: self.number, found, quiet: QUIET * SECOND, last };
        let told = self.findings.update(&round, |_| open);
        let text = |f: &FindingRecord| format!("{} {} {}", f.state.unwrap().text(), f.flow_ids[0], f.last.0 / SECOND);
        told.iter().map(text).collect()
    }

    fn goes_on(&mut self, now: u64, found: &[FindingRecord]) -> Vec<String> {
        self.round(now, found, true, false)
    }
}

#[test]
fn growing_seconds_are_no_news_and_another_word_is() {
    let mut rounds = Rounds::default();
    assert_eq!(rounds.goes_on(10, &[stall(1, 10, 0.6)]), ["raised 1 10"]);
    for now in 11..20 {
        assert!(rounds.goes_on(now, &[stall(1, now, 0.6)]).is_empty());
    }
    assert_eq!(rounds.goes_on(20, &[stall(1, 20, 0.85)]), ["updated 1 20"]);
    assert!(rounds.goes_on(21, &[stall(1, 21, 0.86)]).is_empty());
    let again = |count| FindingRecord { count, ..stall(1, 22, 0.86) };
    assert_eq!(rounds.goes_on(22, &[again(2)]), ["updated 1 22"]);
    assert!(rounds.goes_on(23, &[again(3)]).is_empty());
    assert_eq!(rounds.goes_on(24, &[again(4)]), ["updated 1 22"]);
}

#[test]
fn the_last_words_are_told_at_the_end() {
    let mut rounds = Rounds::default();
    let worded = |title: &str| FindingRecord { title: title.to_owned(), ..stall(1, 10, 0.6) };
    rounds.goes_on(10, &[worded("3 pieces of 113 bytes")]);
    assert!(rounds.goes_on(11, &[worded("8 pieces of 50 bytes")]).is_empty(), "other words are no news");
    let round = Round { now: at(12), number: 9, found: &[worded("8 pieces of 50 bytes")], quiet: 60, last: true };
    let told = rounds.findings.update(&round, |_| true);
    assert!(matches!(&told[..], [ended] if ended.title == "8 pieces of 50 bytes"), "{told:?}");
}

#[test]
fn what_is_over_and_quiet_has_ended_and_may_come_again() {
    let mut rounds = Rounds::default();
    let found = [stall(1, 10, 0.6)];
    assert_eq!(rounds.goes_on(10, &found), ["raised 1 10"]);
    assert!(rounds.round(69, &found, false, false).is_empty(), "not yet");
    assert!(rounds.round(71, &found, true, false).is_empty(), "its flow is open");
    assert_eq!(rounds.round(72, &found, false, false), ["ended 1 10"]);
    assert!(rounds.round(73, &found, false, false).is_empty());
    assert_eq!(rounds.round(74, &[stall(1, 74, 0.6)], false, false), ["raised 1 74"]);
    assert_eq!(rounds.round(75, &[stall(1, 74, 0.6)], true, true), ["ended 1 74"]);
}

#[test]
fn what_the_facts_no_longer_carry_is_withdrawn() {
    let mut rounds = Rounds::default();
    rounds.goes_on(10, &[stall(1, 10, 0.6)]);
    assert_eq!(rounds.goes_on(11, &[]), ["withdrawn 1 10"]);
    assert_eq!(rounds.goes_on(12, &[stall(1, 12, 0.6)]), ["raised 1 12"]);
    // the same cause, led by a flow of before: it was another all along
    assert_eq!(rounds.goes_on(13, &[stall(0, 13, 0.6)]), ["withdrawn 1 12", "raised 0 13"]);
    assert_eq!(rounds.round(14, &[], true, true), ["withdrawn 0 13"]);
}

#[test]
fn what_is_no_longer_known_proves_nothing() {
    let mut rounds = Rounds::default();
    rounds.goes_on(10, &[stall(1, 10, 0.6)]);
    assert_eq!(rounds.findings.cited().collect::<Vec<_>>(), [1]);
    let id = stall(1, 10, 0.6).id;
    rounds.findings.forget(&[1].into_iter().collect());
    // it goes on with another flow, and is the same finding
    rounds.number += 1;
    let found = [FindingRecord { count: 9, ..stall(2, 20, 0.6) }];
    let round = Round { now: at(20), number: rounds.number, found: &found, quiet: QUIET * SECOND, last: false };
    let told = rounds.findings.update(&round, |_| true);
    assert_eq!(
        told.iter().map(|f| (f.state, &f.id, f.first)).collect::<Vec<_>>(),
        [(Some(State::Updated), &id, at(1))]
    );
    assert_eq!(rounds.goes_on(30, &[]), ["ended 2 20"]);
    assert!(rounds.findings.standing.is_empty());
}
