//! How well the captures of `captures/FAMILY/` are told, against the truth that their makers wrote beside them.
//!
//! `cargo test --test lab -- --nocapture` prints the class accuracy with each miss, and the precision and recall of the
//! findings per capture; `LAB_CAPTURES` names another run of the lab to score. A finding counts from confidence 0.55
//! on. It is the expected one if kind and mode are the same, it begins within two seconds of the truth, and names the
//! same leading flow or the same host.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use relayscope::diagnose::rules::RuleId;
use serde_json::Value;

/// Below this a finding is a hint and no claim.
const CLAIM: f64 = 0.55;
/// How far, in seconds, a finding's beginning may lie from the truth's.
const NEAR: f64 = 2.0;
const CLASS_ACCURACY: f64 = 0.99;
/// What the findings reach: of those expected the share that is found, and of those claimed the share that is right.
const RECALL: f64 = 0.99;
const PRECISION: f64 = 0.99;
/// The most that may be left open: findings that may be raised, of all that are expected.
const MAY_SHARE: f64 = 0.1;

/// A capture's truth and what the program says of it.
struct Case {
    path: PathBuf,
    name: String,
    /// The folder that it is in.
    family: String,
    truth: Value,
    records: Vec<Value>,
}

/// Every capture with a truth file in a folder below `captures`, analyzed once for all tests.
fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(analyze_all);
    &CASES
}

fn analyze_all() -> Vec<Case> {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let root = std::env::var_os("LAB_CAPTURES").map_or_else(ours, PathBuf::from);
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut paths: Vec<PathBuf> = folders
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.to_string_lossy().ends_with(".pcapng.zst"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = analyze(path);
                    found.lock().unwrap().push(case);
                }
            });
        }
    });
    let mut cases = found.into_inner().unwrap();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn analyze(path: &Path) -> Case {
    let output =
        Command::new(env!("CARGO_BIN_EXE_relayscope")).args(["analyze", "--ndjson"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let name = path.file_name().unwrap().to_string_lossy().trim_end_matches(".pcapng.zst").to_owned();
    let truth = path.with_file_name(format!("{name}.truth.json"));
    let truth = serde_json::from_slice(&fs::read(&truth).unwrap_or_else(|e| panic!("{}: {e}", truth.display())));
    let family = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let path = path.to_owned();
    Case {
        path,
        name,
        family,
        truth: truth.unwrap(),
        records: lines.map(|l| serde_json::from_slice(l).unwrap()).collect(),
    }
}

impl Case {
    fn records(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.records.iter().filter(move |r| r["event_type"] == kind)
    }

    fn truths(&self, key: &str) -> &[Value] {
        self.truth[key].as_array().unwrap()
    }
}

/// The 5-tuple of a flow's or a finding's record, or of a truth.
fn ends(record: &Value) -> [&Value; 5] {
    ["proto", "src_ip", "src_port", "dest_ip", "dest_port"].map(|key| &record[key])
}

#[test]
fn flows_are_classified() {
    let (mut total, mut missed) = (0_u32, Vec::new());
    for case in cases() {
        for told in case.truths("truth") {
            total += 1;
            match case.records("flow").find(|flow| ends(flow) == ends(told)) {
                None => missed.push(format!("{}: no such flow: {told}", case.name)),
                Some(flow) if flow["class"] != told["class"] => missed.push(format!(
                    "{}: {} {} {:?} is {}, told as {} {}",
                    case.name,
                    told["class"],
                    told["names"],
                    ends(told),
                    told["class"],
                    flow["class"],
                    flow["subclass"]
                )),
                Some(_) => {}
            }
        }
    }
    let accuracy = 1.0 - f64::from(u32::try_from(missed.len()).unwrap()) / f64::from(total);
    println!("classes: {accuracy:.4} of {total} flows\n{}", missed.join("\n"));
    assert!(accuracy >= CLASS_ACCURACY, "{accuracy}:\n{}", missed.join("\n"));
}

#[test]
fn packets_are_counted_as_tshark_does() {
    let mut wrong = Vec::new();
    for case in cases() {
        let stats = case.records("stats").next().unwrap();
        if stats["frames"] != case.truth["frames"] {
            wrong.push(format!("{}: {} frames, not {}", case.name, stats["frames"], case.truth["frames"]));
        }
        for told in case.truths("truth") {
            let Some(flow) = case.records("flow").find(|flow| ends(flow) == ends(told)) else { continue };
            for key in ["pkts_toserver", "pkts_toclient"] {
                if flow["flow"][key] != told[key] {
                    wrong.push(format!(
                        "{}: {key} of {:?} is {}, not {}",
                        case.name,
                        ends(told),
                        flow["flow"][key],
                        told[key]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn truth_is_sound() {
    let (mut must, mut may) = (0_u32, 0_u32);
    for case in cases() {
        let expected = case.truths("must").iter().chain(case.truths("may"));
        for finding in expected {
            assert!(finding["kind"].is_string(), "{}: {finding}", case.name);
            let Some(flow) = finding.get("flow") else { continue };
            assert!(case.truths("truth").iter().any(|told| ends(told) == ends(flow)), "{}: {finding}", case.name);
            assert!(seconds(&finding["flow_start"]) <= seconds(&finding["first"]) + 0.1, "{}: {finding}", case.name);
        }
        must += u32::try_from(case.truths("must").len()).unwrap();
        may += u32::try_from(case.truths("may").len()).unwrap();
        for word in case.truths("must_not") {
            let raised = |key| case.truths(key).iter().any(|finding| finding["kind"] == *word);
            assert!(!raised("must") && !raised("may"), "{}: {word} must and must not be", case.name);
        }
    }
    assert!(f64::from(may) <= MAY_SHARE * f64::from(must + may), "{may} findings may be, {must} must");
}

#[test]
fn readme_lists_every_scenario() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/README.md")).unwrap();
    let lost: Vec<_> = cases()
        .iter()
        .map(|case| format!("| `{}` |", case.truth["scenario"].as_str().unwrap()))
        .filter(|row| !readme.contains(row.as_str()))
        .collect();
    assert!(lost.is_empty(), "not in captures/README.md: {}", lost.join(", "));
}

#[test]
fn findings_are_scored() {
    let (mut sum, mut rows) = (Score::default(), Vec::new());
    for case in cases() {
        let score = Score::of(case);
        if score != Score::default() {
            rows.push(format!("{:<44} {score}", case.name));
        }
        sum.hit += score.hit;
        sum.open += score.open;
        sum.missed.extend(score.missed);
        sum.wrong.extend(score.wrong);
    }
    let (hit, missed, wrong) = (sum.hit as f64, sum.missed.len() as f64, sum.wrong.len() as f64);
    println!("{}", rows.join("\n"));
    let (recall, precision) = (hit / (hit + missed), hit / (hit + wrong));
    println!("findings: recall {recall:.3}, precision {precision:.3}");
    assert!(recall >= RECALL && precision >= PRECISION, "{recall}, {precision}:\n{}", rows.join("\n"));
}

/// Rules that no capture alone can raise: two legs prove CF-9 and CF-10, and D-31 needs the user's word for the region.
const NOT_ALONE: [&str; 3] = ["CF-9", "CF-10", "D-31"];

/// Every rule has a capture that raises it, if only as a hint.
#[test]
fn every_rule_is_raised_by_a_capture() {
    let raised: HashSet<&str> = cases()
        .iter()
        .flat_map(|case| case.records("finding"))
        .filter_map(|finding| finding["rule"].as_str())
        .collect();
    let rules = RuleId::ALL.iter().map(|rule| rule.text());
    let silent: Vec<_> = rules.filter(|rule| !raised.contains(rule) && !NOT_ALONE.contains(rule)).collect();
    assert!(silent.is_empty(), "no capture raises {silent:?}");
}

/// The families whose captures show attempts to view of every kind.
const VIEWS: [&str; 5] = ["healthy", "p2p", "paths", "blocks", "site"];
/// The ways to view, in the order in which the vendor's software goes about them.
const WAYS: [&str; 4] = ["direct", "lsf", "p2p", "relay"];
/// Faults that leave no picture, each on the side that shows it.
const DARK: [&str; 8] = [
    "post-refused",
    "block-page",
    "sni-reset",
    "client-hello-lost",
    "proxy-auth-required",
    "tls-alert",
    "pmtu-blackhole",
    "direct-broken",
];

/// Captures whose truth expects no finding, or another flow's, and what is seen of the view all the same: the ways by
/// which video came, and whether a view is left without any.
const SEEN: [(&str, &[&str], bool); 6] = [
    // the first long segment never arrives, and after half a minute the relay says so
    ("mtu-black-hole-video-recorder", &[], true),
    ("mtu-black-hole-video-viewer", &[], true),
    // each upload within TLS is cut, a short answer being all that came
    ("post-403-tls-recorder", &[], true),
    // squid asks, is answered, and passes nothing on
    ("page-squid-viewer-wan", &[], true),
    // squid passes 100 kB on before it says 413 to the recorder
    ("post-squid-413-recorder-wan", &["relay"], false),
    ("post-squid-413-recorder", &[], true),
];

/// The way that a flow of the truth carried video by.
fn way_of(told: &Value) -> Option<&'static str> {
    let has = |word: &str| told["subclass"].as_array().unwrap().iter().any(|sub| sub == word);
    let bytes = told["bytes_toclient"].as_u64().unwrap().max(told["bytes_toserver"].as_u64().unwrap());
    match told["class"].as_str().unwrap() {
        "relay" if has("video-up") || has("video-down") || has("turn") => Some("relay"),
        "p2p" if !has("attempt") => Some("p2p"),
        "lsf" => Some("lsf"),
        "direct" | "local-ip" if bytes > 100_000 => Some("direct"),
        _ => None,
    }
}

/// The story of each view ends with the way by which the video came, or with none where a fault left no picture.
#[test]
fn views_are_told_by_the_way_they_took() {
    let (mut wrong, mut views) = (Vec::new(), 0);
    for case in cases().iter().filter(|case| VIEWS.contains(&&*case.family)) {
        let is_dark = |f: &&Value| DARK.iter().any(|kind| f["kind"] == *kind);
        let dark = case.truths("must").iter().any(|f| is_dark(&f));
        let viewer = case.truth["vantage"].as_str().unwrap().starts_with("viewer");
        let of_view = |f: &Value| viewer || f["kind"] == "post-refused" || f["kind"] == "direct-broken";
        let unseen = case.truths("must").iter().any(|f| is_dark(&f) && of_view(f));
        let carried = |told: &&Value| !dark || told["class"] != "relay";
        let want: Vec<_> = case.truths("truth").iter().filter(carried).filter_map(way_of).collect();
        let seen = SEEN.iter().find(|(name, ..)| *name == case.name);
        let (mut want, unseen) = seen.map_or((want, unseen), |(_, ways, none)| (ways.to_vec(), *none));
        let sessions: Vec<_> = case.records("session").collect();
        views += sessions.len();
        let worked = |session: &&Value| {
            let steps = session["steps"].as_array().unwrap().clone();
            steps
                .into_iter()
                .filter(|step| step["outcome"] == "worked")
                .map(|step| step["method"].as_str().unwrap().to_owned())
        };
        let mut got: Vec<String> = sessions.iter().flat_map(worked).collect();
        want.sort_unstable();
        want.dedup();
        got.sort_unstable();
        got.dedup();
        let none = sessions.iter().any(|session| session.get("path").is_none());
        if want != got || unseen != none {
            wrong.push(format!(
                "{}: video came by {want:?}, told as {got:?}; none: {unseen}, told as {none}",
                case.name
            ));
        }
    }
    println!("{views} views");
    assert!(wrong.is_empty() && views > 40, "{}", wrong.join("\n"));
}

/// Steps are in the vendor's order, each once; what failed before, and where it went on, is what the scenario did.
#[test]
fn steps_of_views_are_in_order() {
    let mut wrong = Vec::new();
    for case in cases() {
        for session in case.records("session") {
            let steps = session["steps"].as_array().unwrap();
            let methods: Vec<_> = steps.iter().map(|step| step["method"].as_str().unwrap()).collect();
            if !WAYS.starts_with(&methods) || session["start"].as_str() > session["end"].as_str() {
                wrong.push(format!("{}: {methods:?}", case.name));
            }
            let outcome = |way: &str| steps.iter().find(|s| s["method"] == way).map(|s| s["outcome"].as_str().unwrap());
            let path = session["path"].as_str();
            if path.is_some_and(|path| outcome(path) != Some("worked")) {
                wrong.push(format!("{}: {path:?} has not worked: {steps:?}", case.name));
            }
            let has = |kind: &str| case.truths("must").iter().any(|told| told["kind"] == kind);
            let expected = match () {
                () if has("p2p-failed") || has("stun-unanswered") => Some("failed"),
                () if has("p2p-fallback") => Some("worked"),
                () => None,
            };
            if expected.is_some() && (outcome("p2p") != expected || path != Some("relay")) {
                wrong.push(format!("{}: p2p {:?}, then {path:?}: {session}", case.name, outcome("p2p")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The filter finds the flows that a finding cites, and no others.
#[test]
fn flows_are_found_by_what_was_found_of_them() {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/p2p/p2p-one-symmetric-recorder.pcapng.zst");
    let flows = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_relayscope"))
            .args(["analyze", "--ndjson"])
            .args(args)
            .arg(&capture)
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let flows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = String::from_utf8(output.stderr).unwrap();
        (flows.into_iter().filter(|r| r["event_type"] == "flow").map(|r| r["class"].clone()).collect::<Vec<_>>(), told)
    };
    for text in ["finding:p2p-failed", "finding:D-14", "sev>=warn"] {
        assert_eq!(flows(&["-Y", text]).0, ["p2p", "p2p"], "{text}");
    }
    assert!(flows(&["-Y", "state:held"]).0.is_empty());
    assert_eq!(flows(&["-Y", "role:recorder relay"]).0.len(), 3);
    let (none, told) = flows(&["-Y", "finding:D-14", "--no-diagnose"]);
    assert!(none.is_empty() && told.contains("finding:D-14"), "{told}");
}

/// Each row of the allow-list that a scenario blocks is told as blocked, in part or whole; none that it leaves alone
/// is.
#[test]
fn blocked_rows_are_told() {
    let (mut wrong, mut rows) = (Vec::new(), 0);
    let blocks = [
        "dns-blocked",
        "tcp-blocked",
        "s3-blocked",
        "stun-unanswered",
        "ntp-blocked",
        "allowlist-gap",
        "client-hello-lost",
    ];
    for case in cases().iter().filter(|case| ["ports", "dns", "healthy"].contains(&&*case.family)) {
        let document = Command::new(env!("CARGO_BIN_EXE_relayscope")).arg("--json").arg(&case.path).output().unwrap();
        let document: Value = serde_json::from_slice(&document.stdout).unwrap();
        let told = document["site"]["allow_list"].as_array().unwrap();
        let stopped: Vec<_> = told.iter().filter(|row| row["state"] == "blocked" || row["state"] == "partly").collect();
        rows += stopped.len();
        let must = case.truths("must").iter().filter(|f| blocks.iter().any(|kind| f["kind"] == *kind)).count();
        let may = case.truths("may").iter().count();
        if (must == 0 && may == 0) && !stopped.is_empty() || must > 0 && stopped.is_empty() {
            wrong.push(format!("{}: {must} faults; {stopped:?}", case.name));
        }
    }
    assert!(wrong.is_empty() && rows >= 10, "{rows} rows\n{}", wrong.join("\n"));
}

/// The findings of one capture against its truth.
#[derive(Default, PartialEq)]
struct Score {
    hit: usize,
    open: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Score {
    fn of(case: &Case) -> Self {
        let claims: Vec<_> =
            case.records("finding").filter(|f| f["confidence"].as_f64().is_some_and(|c| c >= CLAIM)).collect();
        let mut score = Self::default();
        for told in case.truths("must") {
            match claims.iter().any(|claim| agrees(told, claim)) {
                true => score.hit += 1,
                false => score.missed.push(label(told)),
            }
        }
        for claim in claims {
            let meant = |key: &str| case.truths(key).iter().any(|told| same_fault(told, claim));
            if meant("may") {
                score.open += 1;
            } else if !meant("must") {
                score.wrong.push(label(claim));
            }
        }
        score
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} found, {} open", self.hit, self.open)?;
        for (what, list) in [("missed", &self.missed), ("wrong", &self.wrong)] {
            if !list.is_empty() {
                write!(f, "; {what}: {}", list.join(", "))?;
            }
        }
        Ok(())
    }
}

/// The same kind and mode, and the same host where the truth names one: what is said again of one fault is no error.
fn same_fault(told: &Value, claim: &Value) -> bool {
    let same = |key: &str| told.get(key).is_none_or(|value| *value == claim[key]);
    let flow = || told.get("flow").is_some_and(|flow| ends(flow) == ends(claim));
    same("kind") && same("mode") && (same("host") || flow())
}

fn agrees(told: &Value, claim: &Value) -> bool {
    let near = told.get("first").is_none_or(|first| (seconds(first) - seconds(&claim["first"])).abs() <= NEAR);
    same_fault(told, claim) && near
}

fn label(finding: &Value) -> String {
    let word = |key: &str| finding[key].as_str().map_or(String::new(), |word| format!(" {word}"));
    format!("{}{}{}", word("kind").trim(), word("mode"), word("host"))
}

/// Seconds since 1970 of an RFC 3339 time.
fn seconds(time: &Value) -> f64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_nanosecond() as f64 / 1e9
}
