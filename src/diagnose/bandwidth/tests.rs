use super::*;
use crate::classify::site::Site;
use crate::classify::words::Subs;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{RuleId, Rules};
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, VIEWER, burst, found_at, tcp};
use crate::engine::case::Cases;

fn told(site: &str, flows: Vec<Case>, findings: &[FindingRecord]) -> Bandwidth {
    let site = Site::parse(site).unwrap();
    found_at(site, Cases { flows, ..Cases::default() }, |scene| bandwidth(scene, ProductId::Ows, findings))
}

/// A stream of `client` to the relay at `bps` bits a second.
fn stream(number: u64, client: &str, first: f64, last: f64, bps: f64) -> Case {
    let mut case = tcp(number, client, RELAY, Class::Relay, RELAY_NAME, first, last);
    let bytes = ((last - first) * bps / 8.0) as u64;
    (case.subs, case.payload, case.bytes) = (Subs::of(Sub::VideoUp), [bytes, 0], [bytes, 0]);
    case.tcp.as_mut().unwrap().bursts[0] = burst(first, last, bytes);
    case
}

fn near(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < b * 0.001 + 1.0)
}

#[test]
fn a_rate_is_told_by_the_row_it_comes_nearest_to() {
    let row =
        |product, rate| found_at(Site::default(), Cases::default(), |scene| nearest(scene, product, rate).unwrap());
    let short = |product, rate| {
        let row = row(product, rate);
        (row.channels, row.quality)
    };
    let ows = |rate| short(ProductId::Ows, rate);
    assert_eq!(ows(100e3), (1, Quality::Sd));
    assert_eq!(ows(780e3), (1, Quality::Sd));
    assert_eq!(ows(2.5e6), (4, Quality::Sd));
    assert_eq!(ows(4.2e6), (1, Quality::Hd));
    assert_eq!(ows(7.5e6), (9, Quality::Sd));
    assert_eq!(ows(90e6), (16, Quality::Hd));
    // nine channels in SD and one in HD take the same there: the simpler is told
    assert_eq!(short(ProductId::Contera, 5e6), (1, Quality::Hd));
    assert_eq!(row(ProductId::Contera, 5e6).source, "S2:194-204");
}

#[test]
fn what_is_left_of_a_known_uplink() {
    let flows = || vec![stream(1, RECORDER, 0.0, 20.0, 1e6), stream(2, RECORDER, 10.0, 30.0, 1e6)];
    let known = told("uplink_mbps = 6", flows(), &[]);
    assert_eq!((known.uplink_bit_rate, known.uplink_by), (Some(6e6), Some(UplinkBy::Site)));
    assert!(near(known.used_bit_rate, 2e6) && near(known.headroom_bit_rate, 4e6), "{known:?}");
    let room: Vec<_> = known.room_for.iter().map(TableRate::what).collect();
    assert_eq!(room, ["4 SD channels", "1 HD channel"]);
    let full = told("uplink_mbps = 2", flows(), &[]);
    assert!(full.room_for.is_empty() && full.headroom_bit_rate == Some(0.0), "{full:?}");
    // what comes in, or stays inside, takes nothing of it
    let mut inside = stream(3, VIEWER, 0.0, 30.0, 9e6);
    inside.subs = Subs::of(Sub::VideoDown);
    assert_eq!(told("", vec![inside], &[]).used_bit_rate, None);
}

#[test]
fn what_was_seen_says_nothing_of_what_is_left() {
    let flows = || vec![stream(1, RECORDER, 0.0, 20.0, 1e6)];
    let seen = told("", flows(), &[]);
    assert!(near(seen.uplink_bit_rate, 1e6));
    assert_eq!((seen.uplink_by, seen.headroom_bit_rate), (Some(UplinkBy::Seen), None));
    let rules = Rules::embedded().unwrap();
    let case = &flows()[0];
    let full = Draft::new(&rules, RuleId::D25, case.first(), case.last).about(case).build();
    let full = told("", flows(), &[full]);
    assert_eq!(full.uplink_by, Some(UplinkBy::Full));
    assert!(near(full.headroom_bit_rate, 0.0) && full.room_for.is_empty(), "{full:?}");
}

#[test]
fn uploads_are_clips_or_smaller() {
    let upload = |number, bytes| {
        let host = "oe-prod-media.s3.us-west-2.amazonaws.com";
        let mut case = tcp(number, RECORDER, "203.0.113.30", Class::S3, host, 0.0, 60.0);
        (case.subs, case.payload, case.bytes) = (Subs::of(Sub::Vendor), [bytes, 500], [bytes, 900]);
        case
    };
    let known = told("", vec![upload(1, 30_600_000), upload(2, 40_000), upload(3, 900)], &[]);
    let told: Vec<_> = known.uploads.iter().map(|upload| (upload.flow_id, upload.clip_seconds)).collect();
    // the vendor's default: 306 MB for 20 minutes
    assert_eq!(told, [(1, Some(120.0)), (2, None)]);
    assert!(near(known.uploads[0].bit_rate, 4.08e6));
}

#[test]
fn data_of_thirty_days_is_told_where_it_was_seen_for_long_enough() {
    let standing = |last: f64| {
        let mut case = tcp(1, RECORDER, RELAY, Class::Relay, RELAY_NAME, 0.0, last);
        case.bytes = [(400.0 * last) as u64, (121.0 * last) as u64];
        case
    };
    let long = told("", vec![standing(600.0)], &[]);
    let baseline = &long.data[0];
    assert_eq!((&*baseline.what, &*baseline.source), ("baseline cloud communication", "S1:184"));
    assert!(near(baseline.bytes_30_days, 1_350_432_000.0), "{baseline:?}");
    assert_eq!(baseline.table_bytes_30_days, Some(1.35e9));
    let short = told("", vec![standing(60.0), stream(2, RECORDER, 10.0, 50.0, 1e6)], &[]);
    let told: Vec<_> = short.data.iter().map(|usage| (&*usage.what, usage.bytes_30_days)).collect();
    assert_eq!(told, [("baseline cloud communication", None), ("video", None)]);
}
