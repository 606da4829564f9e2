//! Every scenario of `captures/` that was recorded on both sides of a box, compared and held against its truth.
//!
//! A scenario whose rules are those of a stream that is held must be told with certainty, any other not at all; with
//! the clocks as they were, and with the outer one two hours off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// From this confidence on a finding is a claim, and from this on it is certain.
const CLAIM: f64 = 0.55;
const CERTAIN: f64 = 0.95;
/// The rules of streams that are held. Those of CF-10 are late, and no more than likely held.
const HELD: [&str; 6] = ["CF-1", "CF-2", "CF-3", "CF-4", "CF-6", "CF-9"];
/// How far, in seconds, a finding's beginning may lie from the truth's.
const NEAR: f64 = 2.0;
/// By how much the outer clock is put wrong, in seconds.
const WRONG: f64 = -7_205.5;

/// A scenario with both captures of one site.
struct Pair {
    name: String,
    lan: PathBuf,
    wan: PathBuf,
    truth: Value,
}

fn pairs() -> Vec<Pair> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut pairs: Vec<Pair> = files.filter_map(|wan| pair(&wan)).collect();
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(pairs.iter().any(Pair::is_held) && pairs.iter().any(|pair| !pair.is_held()), "{} pairs", pairs.len());
    pairs
}

fn pair(wan: &Path) -> Option<Pair> {
    let name = wan.file_name()?.to_str()?.strip_suffix("-wan.pcapng.zst")?.to_owned();
    let lan = wan.with_file_name(format!("{name}.pcapng.zst"));
    let truth = fs::read(wan.with_file_name(format!("{name}.truth.json"))).ok()?;
    lan.exists().then(|| Pair { name, lan, wan: wan.to_owned(), truth: serde_json::from_slice(&truth).unwrap() })
}

impl Pair {
    fn has_rule(&self, wanted: &[&str]) -> bool {
        self.truth["rules"].as_array().unwrap().iter().any(|rule| wanted.contains(&rule.as_str().unwrap()))
    }

    fn is_held(&self) -> bool {
        self.has_rule(&HELD)
    }

    /// The stall that the inner capture alone shows, if any.
    fn shown(&self) -> Option<&Value> {
        self.truth["must"].as_array().unwrap().iter().find(|finding| finding["kind"] == "content-filter-stall")
    }

    /// What is wrong with what is told of it.
    fn check(&self, records: &[Value]) -> Vec<String> {
        let findings: Vec<&Value> = of(records, "finding");
        let claims: Vec<&&Value> = findings.iter().filter(|f| f["confidence"].as_f64().unwrap() >= CLAIM).collect();
        let mut wrong = Vec::new();
        if let Some(odd) = claims.iter().find(|f| f["kind"] != "content-filter-stall" || f["vantage"] != "both-legs") {
            wrong.push(format!("an odd claim: {odd}"));
        }
        if self.has_rule(&["CF-10"]) {
            let late = claims.iter().any(|f| f["rule"] == "CF-10" && f["mode"] == "hold-release");
            wrong.extend((!late).then(|| "not told as one late".to_owned()));
        } else if !self.is_held() {
            wrong.extend(claims.iter().map(|f| format!("{} {} is claimed: {}", f["rule"], f["mode"], f["title"])));
        } else {
            match claims.iter().find(|f| f["rule"] == "CF-9" && f["confidence"].as_f64().unwrap() >= CERTAIN) {
                None => wrong.push("not told with certainty".to_owned()),
                Some(told) => wrong.extend(self.check_told(told, records)),
            }
        }
        wrong.into_iter().map(|text| format!("{}: {text}", self.name)).collect()
    }

    fn check_told(&self, told: &Value, records: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        let legs: Vec<_> = told["evidence"].as_array().unwrap().iter().filter_map(|e| e["leg"].as_str()).collect();
        if !legs.contains(&"lan") || !legs.contains(&"wan") {
            wrong.push(format!("no evidence of both captures: {legs:?}"));
        }
        let led = of(records, "joined_flow").into_iter().find(|flow| flow["lan"]["flow_id"] == told["flow_ids"][0]);
        match led {
            Some(flow) if flow["passed"] == "held" => {}
            other => wrong.push(format!("its flow is not told as held: {other:?}")),
        }
        let Some(shown) = self.shown() else { return wrong };
        // a full box and one that swallows differ in its window alone, which one capture may show for long enough
        let alike = |mode: &Value| mode == "zero-window" || mode == "upload-swallow";
        if told["mode"] != shown["mode"] && !(alike(&told["mode"]) && alike(&shown["mode"])) {
            wrong.push(format!("is {}, told as {}", shown["mode"], told["mode"]));
        }
        if let Some(flow) = shown.get("flow") {
            let ends = |record: &Value| ["src_ip", "src_port", "dest_ip", "dest_port"].map(|key| record[key].clone());
            if ends(flow) != ends(told) {
                wrong.push(format!("is flow {:?}, told as {:?}", ends(flow), ends(told)));
            }
            // what is held begins with the request, what trickles or comes late is seen later
            if ["buffer-all", "upload-swallow"].iter().any(|mode| shown["mode"] == *mode) {
                let late = seconds(&told["first"]) - seconds(&shown["first"]);
                wrong.extend((late.abs() > NEAR).then(|| format!("told {late:.1} s late")));
            }
        }
        wrong
    }
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["event_type"] == kind).collect()
}

fn seconds(time: &Value) -> f64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_nanosecond() as f64 / 1e9
}

fn legs(lan: &Path, wan: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayscope"));
    command.args(["legs", "-q", "--lan"]).arg(lan).arg("--wan").arg(wan).args(more);
    command.output().unwrap()
}

fn records(lan: &Path, wan: &Path) -> Vec<Value> {
    let output = legs(lan, wan, &["--ndjson"]);
    assert!(output.status.success(), "{}: {}", wan.display(), String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn what_is_held_is_certain_and_what_passes_is_silent() {
    let pairs = pairs();
    let wrong: Vec<String> = pairs.iter().flat_map(|pair| pair.check(&records(&pair.lan, &pair.wan))).collect();
    println!("{} pairs, {} of them held", pairs.len(), pairs.iter().filter(|pair| pair.is_held()).count());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_clock_that_is_hours_wrong_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut by_packets) = (Vec::new(), 0);
    for pair in pairs() {
        let wan = folder.path().join(format!("{}.pcapng", pair.name));
        fs::write(&wan, edited(&pair.wan, WRONG, 0.0)).unwrap();
        let told = records(&pair.lan, &wan);
        let clock = of(&told, "legs")[0]["clock"].clone();
        // where a box takes all TLS apart, names are all that both captures have, and they prove nothing
        if clock["by"] == "packets" {
            by_packets += 1;
            let off = (clock["wan_ahead"].as_f64().unwrap() - WRONG).abs();
            wrong.extend((off > 0.05).then(|| format!("{}: the clock is wrong by {off} s", pair.name)));
            wrong.extend(pair.check(&told));
        } else {
            let sure = of(&told, "finding").iter().any(|f| f["confidence"].as_f64().unwrap() >= CLAIM);
            wrong.extend(sure.then(|| format!("{}: a claim without a clock", pair.name)));
        }
    }
    assert!(wrong.is_empty() && by_packets > 20, "{by_packets} by packets\n{}", wrong.join("\n"));
}

#[test]
fn captures_that_begin_in_mid_stream_raise_no_false_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for pair in pairs().iter().filter(|pair| !pair.is_held() && !pair.has_rule(&["CF-10"])) {
        for (inner, outer) in [(6.0, 0.0), (0.0, 6.0), (7.5, 9.0)] {
            let [lan, wan] = ["lan", "wan"].map(|side| folder.path().join(format!("{side}.pcapng")));
            fs::write(&lan, edited(&pair.lan, 0.0, inner)).unwrap();
            fs::write(&wan, edited(&pair.wan, 0.0, outer)).unwrap();
            // some are shorter than that
            if legs(&lan, &wan, &[]).status.code() == Some(3) {
                continue;
            }
            wrong.extend(pair.check(&records(&lan, &wan)).into_iter().map(|text| format!("{inner} {outer}: {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_stream_that_runs_when_the_captures_begin_is_held_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let longer = ["swallow-chunked-recorder", "mitmproxy-swallows-recorder", "trickle-upload-recorder"];
    for pair in pairs().iter().filter(|pair| longer.contains(&pair.name.as_str())) {
        for (inner, outer) in [(0.0, 9.0), (9.0, 0.0)] {
            let [lan, wan] = ["lan", "wan"].map(|side| folder.path().join(format!("{side}.pcapng")));
            fs::write(&lan, edited(&pair.lan, 0.0, inner)).unwrap();
            fs::write(&wan, edited(&pair.wan, 0.0, outer)).unwrap();
            let told = records(&lan, &wan);
            let certain = of(&told, "finding").iter().any(|f| f["confidence"].as_f64().unwrap() >= CERTAIN);
            wrong.extend((!certain).then(|| format!("{} {inner} {outer}: {:#?}", pair.name, of(&told, "joined_flow"))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Both sites' captures of one scenario have the relay, its names and even packets of peers in common, but no box lies
/// between them.
#[test]
fn two_sites_of_one_view_prove_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let (mut looked, mut wrong) = (0, Vec::new());
    for recorder in files {
        let name = recorder.file_name().unwrap().to_string_lossy().into_owned();
        let Some(scenario) = name.strip_suffix("-recorder.pcapng.zst") else { continue };
        let viewer = recorder.with_file_name(format!("{scenario}-viewer.pcapng.zst"));
        for (lan, wan) in [(&recorder, &viewer), (&viewer, &recorder)].into_iter().filter(|_| viewer.exists()) {
            looked += 1;
            let told = records(lan, wan);
            let claims = of(&told, "finding").iter().any(|f| f["confidence"].as_f64().unwrap() >= CLAIM);
            wrong.extend(claims.then(|| format!("{} {}", lan.display(), wan.display())));
        }
    }
    assert!(wrong.is_empty() && looked > 20, "{looked}\n{}", wrong.join("\n"));
}

/// A capture with its clock moved by so many seconds, and without its first `cut` seconds. The lab's files are pcapng
/// of one section, in nanoseconds (`if_tsresol` 9).
fn edited(path: &Path, by: f64, cut: f64) -> Vec<u8> {
    const PACKET: u32 = 6;
    let bytes = zstd::decode_all(&fs::read(path).unwrap()[..]).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut edited, mut first) = (0, Vec::new(), None);
    while at + 12 <= bytes.len() {
        let length = word(at + 4) as usize;
        let mut block = bytes[at..at + length].to_vec();
        if word(at) == PACKET {
            let ts = u64::from(word(at + 12)) << 32 | u64::from(word(at + 16));
            let first = *first.get_or_insert(ts);
            if ((ts - first) as f64) < cut * 1e9 {
                at += length;
                continue;
            }
            let moved = ts.checked_add_signed((by * 1e9) as i64).unwrap();
            block[12..16].copy_from_slice(&((moved >> 32) as u32).to_le_bytes());
            block[16..20].copy_from_slice(&(moved as u32).to_le_bytes());
        }
        edited.extend(block);
        at += length;
    }
    edited
}

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(format!("{name}.pcapng.zst"))
}

#[test]
fn one_file_is_not_two_captures() {
    let file = capture("holds/swallow-chunked-recorder");
    let output = legs(&file, &file, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("two captures are needed") && output.stdout.is_empty(), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.pcapng.zst");
    fs::copy(&file, &copy).unwrap();
    let output = legs(&file, &copy, &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the same side of the box"));
    let both = legs(Path::new("-"), Path::new("-"), &[]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn wrong_captures_are_told_of() {
    let (lan, wan) = (capture("holds/swallow-chunked-recorder"), capture("holds/swallow-chunked-recorder-wan"));
    let swapped = legs(&wan, &lan, &[]);
    assert!(String::from_utf8_lossy(&swapped.stderr).contains("swapped"));
    assert!(!String::from_utf8_lossy(&swapped.stdout).contains('✓'));
    // of another hour and site
    let strange = legs(&lan, &capture("proxies/proxy-forward-viewer-wan"), &["--ndjson"]);
    let lines = String::from_utf8(strange.stdout).unwrap();
    assert!(lines.lines().all(|line| !line.contains("\"word\":\"certain\"")), "{lines}");
    let missing = legs(&lan, Path::new("no-such-file.pcap"), &[]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.pcap"));
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("later.pcapng");
    // the same packets, of which one capture has the beginning and one the end
    fs::write(&other, edited(&wan, 0.0, 29.0)).unwrap();
    let nothing = legs(&capture("dns/dns-typo-recorder"), &other, &["--fail-on", "error"]);
    assert_eq!(nothing.status.code(), Some(5), "{}", String::from_utf8_lossy(&nothing.stderr));
}

#[test]
fn the_forms_of_the_output() {
    let (lan, wan) = (capture("holds/swallow-chunked-recorder"), capture("holds/swallow-chunked-recorder-wan"));
    let human = legs(&lan, &wan, &["--fail-on", "error"]);
    assert_eq!(human.status.code(), Some(1));
    let page = String::from_utf8(human.stdout).unwrap();
    for part in ["swallows the video", "certain 0.97, CF-9", "Clocks", "UP IN → OUT", "HELD", "unchanged"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let json: Value = serde_json::from_slice(&legs(&lan, &wan, &["--json"]).stdout).unwrap();
    assert_eq!(json["findings"][0]["mode"], "upload-swallow");
    assert_eq!(json["legs"]["clock"]["by"], "packets");
    let held = json["joined_flows"].as_array().unwrap().iter().find(|flow| flow["passed"] == "held").unwrap();
    assert!(held["toserver"]["in"].as_u64().unwrap() > 1_000_000 && held["toserver"]["out"] == 0, "{held}");
    // the same on one thread
    let lines = |threads| legs(&lan, &wan, &["--ndjson", "--threads", threads]).stdout;
    assert_eq!(lines("1"), lines("4"));
    let healthy = legs(&capture("proxies/proxy-forward-viewer"), &capture("proxies/proxy-forward-viewer-wan"), &[]);
    assert!(String::from_utf8_lossy(&healthy.stdout).starts_with('✓'));
}

#[test]
fn the_rules_are_explained() {
    for rule in ["CF-9", "CF-10"] {
        let output = Command::new(env!("CARGO_BIN_EXE_relayscope")).args(["explain", rule]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("[diagnosis.legs]") && text.contains("disproved"), "{text}");
    }
}

/// A flow that a box refuses does not come out either, though nothing is held.
#[test]
fn what_is_refused_is_not_said_to_come_out() {
    let blocks = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/blocks");
    let [lan, wan] = ["", "-wan"].map(|leg| blocks.join(format!("post-413-recorder{leg}.pcapng.zst")));
    let output = legs(&lan, &wan, &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("· Nothing is proved to be held back, but of "), "{told}");
}
