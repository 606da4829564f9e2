use super::*;
use crate::changes::requested;
use crate::diagnose::Diagnosis;
use crate::present::sample;
use crate::present::summary::Filtered;

/// The page of a summary.
fn page(summary: &Summary, markup: Markup) -> String {
    page_in(Zone::Utc, summary, markup)
}

/// The same, with times by the clock of a zone.
fn page_in(zone: Zone, summary: &Summary, markup: Markup) -> String {
    let (catalogue, texts) = (Catalogue::embedded().unwrap(), Texts::embedded().unwrap());
    let none = Diagnosis::default();
    let changes = requested(summary.diagnosis.as_ref().unwrap_or(&none), &catalogue, &texts);
    let matter = Matter {
        summary,
        changes: &changes,
        texts: &texts,
        catalogue: &catalogue,
        scenes: &HashMap::new(),
        zone,
        redacted: "",
        attachments: &[],
    };
    let mut out = Vec::new();
    write(&mut out, &matter, markup).unwrap();
    String::from_utf8(out).unwrap()
}

fn judged() -> Summary {
    let mut summary = sample::summary();
    summary.diagnosis = Some(Diagnosis {
        findings: sample::findings(),
        sessions: vec![sample::session()],
        site: sample::site(),
        poor: false,
        ..Diagnosis::default()
    });
    summary
}

#[test]
fn a_time_of_elsewhere_is_told_in_utc_too() {
    let (summary, finding) = (judged(), &sample::findings()[0]);
    let (there, utc) = (Zone::Ahead(-7200).moment(finding.first), Zone::Utc.moment(finding.first));
    let text = page_in(Zone::Ahead(-7200), &summary, Markup::Markdown);
    assert!(text.contains(&format!("When: {there} to ")) && text.contains("UTC-02:00"), "{text}");
    assert!(text.contains(&format!("In UTC: {utc} to ")) && text.contains("| Time (UTC-02:00) |"), "{text}");
    assert!(!page(&summary, Markup::Markdown).contains("In UTC"));
}

#[test]
fn every_kind_has_an_impact() {
    let words = Words::embedded().unwrap();
    for kind in Kind::ALL {
        assert!(words.impact(*kind).is_some(), "{}", kind.text());
    }
}

#[test]
fn a_page_in_markdown() {
    // the digest of rules and catalogue changes with every word of theirs
    let page = page(&judged(), Markup::Markdown).replace(&digest(), "DIGEST");
    insta::assert_snapshot!(page);
}

#[test]
fn a_page_in_html_is_whole_and_small() {
    let page = page(&judged(), Markup::Html);
    for part in ["Requested changes", "Allow-list scorecard", "Attempts to view", "Glossary", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && page.len() < 500_000, "{}", page.len());
    assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
}

#[test]
fn without_faults_or_traffic_that_is_said() {
    let mut summary = sample::summary();
    summary.diagnosis = Some(Diagnosis::default());
    assert!(page(&summary, Markup::Html).contains("No fault was found"));
    assert!(page(&Summary::default(), Markup::Html).contains("No faults were looked for."));
}

#[test]
fn a_filter_is_part_of_the_verdict() {
    let mut summary = judged();
    let classes = std::mem::take(&mut summary.classes);
    let filter = "dns <b>".to_owned();
    summary.filtered = Some(Filtered { filter, classes, findings: 9, faults: 2, ..Filtered::default() });
    for markup in [Markup::Html, Markup::Markdown] {
        let told = page(&summary, markup);
        assert!(told.contains("0 of 6 flows, 4 of 9 findings pass") && !told.contains("<b>"), "{told}");
    }
    summary.diagnosis = Some(Diagnosis::default());
    let told = page(&summary, Markup::Html);
    assert!(told.contains("without it there are 2 findings") && told.contains("0 of 6 flows"), "{told}");
    assert!(!told.contains("Nothing to judge") && !told.contains("No fault was found"), "{told}");
}

/// Whatever a capture calls things, the page has the same elements.
#[test]
fn hostile_names_change_no_structure() {
    let evil = [
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "a\u{202e}b\u{1b}[2J\0c".to_owned(),
        "| x | y |\n# heading\n```\n[l](http://e)".to_owned(),
        "</pre></table></svg>&lt;".repeat(3_000),
    ];
    let shape = |html: &str| {
        html.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let plain = judged();
    let before = shape(&page(&plain, Markup::Html));
    let lines = page(&plain, Markup::Markdown).lines().count();
    for text in evil {
        let mut summary = judged();
        let diagnosis = summary.diagnosis.as_mut().unwrap();
        for finding in &mut diagnosis.findings {
            (finding.title, finding.advice) = (text.clone(), text.clone());
            finding.host = finding.host.as_ref().map(|_| text.clone());
            finding.evidence.iter_mut().for_each(|line| line.text = text.clone());
        }
        diagnosis.sessions[0].story = text.clone();
        diagnosis.sessions[0].steps[1].reason = text.clone();
        diagnosis.site.allow_list.iter_mut().for_each(|row| row.names = vec![text.clone()]);
        for totals in &mut summary.classes {
            totals.name = totals.name.as_ref().map(|_| text.clone());
        }
        summary.files = vec![text.clone(); 2];
        let html = page(&summary, Markup::Html);
        assert_eq!(shape(&html), before, "{}", &text[..20]);
        assert!(!html.chars().any(|c| c != '\n' && crate::text::safe::is_unsafe(c)) && html.len() < 500_000);
        assert_eq!(page(&summary, Markup::Markdown).lines().count(), lines);
    }
}

#[test]
fn what_only_goes_up_is_not_said_to_arrive() {
    let got = sample::session();
    let sent = SessionRecord { unseen: true, ..got.clone() };
    let mut none = SessionRecord { path: None, ..got.clone() };
    none.steps[0].outcome = StepOutcome::Failed;
    assert_eq!(views_in_counts(std::slice::from_ref(&got)).unwrap(), "1 attempt to view in this capture: 1 got video.");
    assert_eq!(
        views_in_counts(&[got, sent.clone(), none]).unwrap(),
        "3 attempts to view in this capture: 1 got video; 1 went up to the relay, and whether it arrived is not seen here; \
         1 got no video."
    );
    assert_eq!(views_in_counts(&[]), None);
    let mut summary = judged();
    summary.diagnosis.as_mut().unwrap().sessions = vec![sent];
    assert!(page(&summary, Markup::Markdown).contains("↑ relay"), "{}", page(&summary, Markup::Markdown));
}
