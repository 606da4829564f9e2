use super::*;
use crate::diagnose::Diagnosis;
use crate::event::{CaptureQuality, Stats};
use crate::present::sample;
use crate::present::summary::{Filtered, SummaryBuilder};

fn text(summary: &Summary) -> String {
    text_in(summary, 100)
}

fn text_in(summary: &Summary, columns: usize) -> String {
    let mut out = Vec::new();
    write_summary(&mut out, summary, Style::plain().in_columns(columns)).unwrap();
    let text = String::from_utf8(out).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "{line}");
        assert!(!line.contains('\u{1b}'));
    }
    assert!(text.lines().count() <= LINES + 4, "{text}");
    text
}

#[test]
fn a_busy_capture() {
    insta::assert_snapshot!(text(&sample::summary()));
}

#[test]
fn what_is_wrong_is_said_first() {
    let mut summary = sample::summary();
    summary.diagnosis = Some(Diagnosis { findings: sample::findings(), ..Diagnosis::default() });
    for columns in [80, 100] {
        let text = text_in(&summary, columns);
        assert!(text.starts_with("✗ Video from a1.us-west.u5fgb.com is being held back"), "{text}");
        let (verdict, rest) = text.split_once("\n\n").unwrap();
        assert!(!verdict.contains("CLASS") && rest.contains("CLASS"), "{text}");
    }
}

#[test]
fn a_busy_capture_on_a_narrow_terminal() {
    insta::assert_snapshot!(text_in(&sample::summary(), 80));
}

#[test]
fn an_empty_capture() {
    let summary = Summary { files: vec!["empty.pcap".into()], ..Summary::default() };
    insta::assert_snapshot!(text(&summary));
}

#[test]
fn what_to_do_next() {
    let of = |flows: &[crate::event::FlowRecord<'_>]| {
        let mut builder = SummaryBuilder::new();
        flows.iter().for_each(|f| builder.record(f));
        let quality = CaptureQuality { frames: 9, ..CaptureQuality::default() };
        text(&builder.finish(vec!["a".into()], quality, Stats::default()))
    };
    assert!(of(&[]).contains("No frame belongs to an IP flow"));
    assert!(of(&[sample::unknown()]).contains("No flow could be named"));
    // a name that no list has is a name
    let mut elsewhere = sample::unknown();
    elsewhere.subclass = [Sub::Unlisted.name()].into_iter().collect();
    assert!(of(&[sample::unknown(), elsewhere]).contains("No traffic of the video system"));
    assert!(of(&[sample::unknown(), sample::dns()]).contains("No traffic of the video system"));
    assert!(!of(&[sample::relay()]).contains("Next"));
    // what was cut away may have been its name
    let mut cut = sample::unknown();
    cut.subclass = [Sub::Truncated.name()].into_iter().collect();
    let mut builder = SummaryBuilder::new();
    [cut, sample::dns()].iter().for_each(|flow| builder.record(flow));
    let quality = CaptureQuality { frames: 9, cut_frames: 4, ..CaptureQuality::default() };
    let told = text(&builder.finish(vec!["a".into()], quality, Stats::default()));
    assert!(told.contains("cut before the names") && !told.contains("Check that the mirror"), "{told}");
}

#[test]
fn flows_that_were_let_go_of_are_counted() {
    let mut summary = sample::summary();
    (summary.stats.flows, summary.stats.evicted_flows) = (4_711, 4_705);
    let told = text(&summary);
    assert!(told.contains("; 4 711 flows, 6 of them below"), "{told}");
}

#[test]
fn a_filter_is_told_and_changes_no_advice() {
    let whole = sample::summary();
    let summary = |passing: &[crate::event::FlowRecord<'_>]| {
        let mut builder = SummaryBuilder::new();
        passing.iter().for_each(|flow| builder.record(flow));
        let mut summary = builder.finish(vec!["a".into()], sample::quality(), whole.stats.clone());
        let (classes, unknown_reasons) = (whole.classes.clone(), whole.unknown_reasons.clone());
        let filter = "dns \u{1b}[2J".to_owned();
        summary.filtered = Some(Filtered { filter, classes, unknown_reasons, ..Filtered::default() });
        summary
    };
    let told = text(&summary(&[sample::dns()]));
    assert!(told.contains("; 6 flows") && told.contains("Filter    dns "), "{told}");
    assert!(told.contains(": 1 of 6 flows pass\n") && !told.contains("Next"), "{told}");
    let told = text(&summary(&[]));
    assert!(told.contains("No flow passes the filter") && !told.contains("No frame belongs"), "{told}");
}

#[test]
fn hostile_names_act_on_nothing_and_addresses_stay_whole() {
    let mut builder = SummaryBuilder::new();
    for (i, class) in Class::ALL.into_iter().enumerate() {
        let mut flow = sample::unknown();
        flow.class = class;
        flow.flow_id = i as u64;
        flow.flow.payload_toserver = u64::MAX;
        flow.region = Some("\u{202e}\u{1b}[31m".repeat(9).into());
        builder.record(&flow);
        let mut named = sample::relay();
        named.tls.as_mut().unwrap().sni = Some("\u{1b}]0;x\u{7}кириллица.".repeat(50).into());
        named.flow.payload_toserver = u64::MAX;
        builder.record(&named);
    }
    let mut summary = builder.finish(vec!["x\u{1b}[2J".repeat(50)], sample::quality(), Stats::default());
    summary.quality.warnings = vec!["\u{1b}[2J".repeat(100); 9];
    let text = [80, 100].map(|columns| {
        let mut out = Vec::new();
        write_summary(&mut out, &summary, Style::plain().in_columns(columns)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|l| l.chars().count() <= columns), "{text}");
        text
    });
    assert!(!text.concat().chars().any(|c| c != '\n' && crate::text::safe::is_unsafe(c)));

    let top = sample::summary().top;
    let line = flow_lines(top.iter().find(|f| f.originator.is_ipv6()).unwrap(), Style::plain()).join("\n");
    assert!(line.contains("[2001:db8:1111:2222:3333:4444:5555:6666]:8443"));
}

#[test]
fn colour_only_when_asked() {
    let mut out = Vec::new();
    write_summary(&mut out, &sample::summary(), Style::coloured()).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\u{1b}[1m"));
}

#[test]
fn wrapping() {
    assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
    assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(wrap("", 3), [""]);
}
