use super::*;
use crate::diagnose::draft::Draft;
use crate::diagnose::rules::{RuleId, Rules};
use crate::diagnose::testcases::{RECORDER, RELAY, RELAY_NAME, dns, found_in, stun, tcp, udp, unanswered};
use crate::engine::case::Cases;
use crate::event::Mode;

/// The rows of a product for these flows and what was found of them.
fn card(product: ProductId, flows: Vec<Case>, findings: &[FindingRecord]) -> Vec<AllowRow> {
    found_in(Cases { flows, ..Cases::default() }, |scene| scorecard(scene, product, findings))
}

fn row<'r>(rows: &'r [AllowRow], id: &str) -> &'r AllowRow {
    rows.iter().find(|row| row.id == id).unwrap()
}

fn api(number: u64) -> Case {
    tcp(number, RECORDER, "203.0.113.20", Class::Api, "restapi.gp4f.com", 1.0, 2.0)
}

fn blocked(case: &Case, rule: RuleId, mode: Mode) -> FindingRecord {
    let rules = Rules::embedded().unwrap();
    Draft::new(&rules, rule, case.first(), case.last).about(case).mode(mode).base(0.9).build()
}

#[test]
fn each_row_is_of_its_product() {
    let ows = card(ProductId::Ows, vec![api(1)], &[]);
    assert_eq!(row(&ows, "api").state, AllowState::Working);
    assert_eq!((row(&ows, "gp4f").state, row(&ows, "gp4f").requirement), (AllowState::NotExercised, "optional"));
    assert!(ows.iter().all(|row| row.id != "contera-login"));
    // the other product's document covers the same name by its wildcard
    let contera = card(ProductId::Contera, vec![api(1)], &[]);
    assert_eq!((row(&contera, "gp4f").state, row(&contera, "gp4f").requirement), (AllowState::Working, "required"));
    assert!(contera.iter().all(|row| row.id != "api" && row.id != "licensing-typo"));
}

#[test]
fn what_is_blocked_says_how() {
    let lost = unanswered(tcp(2, RECORDER, "203.0.113.21", Class::Licensing, "activateapi.gp4f.com", 1.0, 9.0), 4);
    let finding = blocked(&lost, RuleId::D6, Mode::Drop);
    let rules = Rules::embedded().unwrap();
    let gap = Draft::new(&rules, RuleId::D37, lost.first(), lost.last).about(&lost).kind(Kind::AllowlistGap).build();
    let rows = card(ProductId::Ows, vec![api(1), lost.clone()], &[gap, finding.clone()]);
    let licensing = row(&rows, "licensing");
    assert_eq!(licensing.state, AllowState::Blocked);
    assert_eq!(licensing.how, "no connection can be made on TCP 443 (drop, D-6)");
    assert_eq!((licensing.finding_ids.len(), licensing.frame), (2, Some(2)));
    // a hint is no word about it
    let hint = FindingRecord { confidence: 0.5, ..finding };
    assert_eq!(row(&card(ProductId::Ows, vec![lost], &[hint]), "licensing").state, AllowState::Unclear);
}

#[test]
fn a_row_names_so_many_findings_and_counts_the_others() {
    let lost = unanswered(tcp(2, RECORDER, RELAY, Class::Relay, RELAY_NAME, 2.0, 9.0), 4);
    let one = blocked(&lost, RuleId::D6, Mode::Drop);
    let many: Vec<FindingRecord> =
        (0..LIST_MAX + 7).map(|n| FindingRecord { id: format!("{n:012x}"), ..one.clone() }).collect();
    let rows = card(ProductId::Ows, vec![lost], &many);
    let told: Vec<_> = rows.iter().filter(|row| !row.finding_ids.is_empty()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].finding_ids.len(), told[0].finding_ids_omitted), (LIST_MAX, 7));
}

#[test]
fn one_port_of_two_is_a_part() {
    let open = tcp(1, RECORDER, RELAY, Class::Relay, RELAY_NAME, 1.0, 9.0);
    let mut shut = unanswered(tcp(2, RECORDER, RELAY, Class::Relay, RELAY_NAME, 2.0, 9.0), 4);
    (shut.resp.1, shut.identity.dest_port) = (80, Some(80));
    let finding = blocked(&shut, RuleId::D6, Mode::Drop);
    let rows = card(ProductId::Ows, vec![open, shut], &[finding]);
    assert_eq!(row(&rows, "relay").state, AllowState::Partly);
    assert_eq!(row(&rows, "relay").how, "no connection can be made on TCP 80 (drop, D-6)");
    assert_eq!(row(&rows, "relay").names, [RELAY_NAME]);
}

#[test]
fn a_name_that_does_not_resolve_has_no_flow() {
    let asked = dns(1, RECORDER, "lsf.u5fgb.com", 1.0, Some((0.1, 3)));
    let rules = Rules::embedded().unwrap();
    let finding =
        Draft::new(&rules, RuleId::D2, asked.first.ts, asked.last).host(&asked.name).mode(Mode::Nxdomain).build();
    let rows = card(ProductId::Ows, vec![api(1)], &[finding]);
    assert_eq!(row(&rows, "lsf").state, AllowState::Blocked);
    assert_eq!(row(&rows, "lsf").how, "the name does not resolve (nxdomain, D-2)");
}

#[test]
fn stun_is_known_without_its_name_and_buckets_by_any_form() {
    let mut asked = udp(tcp(1, RECORDER, "203.0.113.40", Class::Stun, "", 1.0, 2.0), 5_000, 3478, [1, 1]);
    (asked.host, asked.subs) = (None, crate::classify::words::Subs::of(Sub::Vendor));
    let host = "oe-prod-media.s3.dualstack.us-west-2.amazonaws.com";
    let mut bucket = tcp(2, RECORDER, "203.0.113.30", Class::S3, host, 1.0, 2.0);
    bucket.subs = crate::classify::words::Subs::of(Sub::Vendor);
    let other = tcp(3, RECORDER, "203.0.113.30", Class::S3, "oe-media.s3.us-west-2.amazonaws.com", 1.0, 2.0);
    let rows = card(ProductId::Ows, vec![stun(asked, [1, 0], [0, 1], None), bucket, other], &[]);
    let states = ["stun", "s3-media", "s3-files"].map(|id| row(&rows, id).state);
    assert_eq!(states, [AllowState::Working, AllowState::Working, AllowState::NotExercised]);
    assert_eq!(row(&rows, "s3-media").names, [host]);
}
