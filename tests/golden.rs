//! What is told of the captures in this repository, and what it cost, held to the letter; and their truth.
//!
//! `GOLDEN=write cargo test --test golden` writes the files anew: read their difference before it goes in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every capture of the repository.
fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "pcapng" || e == "pcap")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn records(capture: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_relayscope")).arg("--ndjson").arg(capture).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines.map(|l| serde_json::from_slice(l).unwrap()).collect()
}

/// What a document tells of the site, marked as a record is.
fn site(capture: &Path) -> Option<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_relayscope")).arg("--json").arg(capture).output().unwrap();
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut site = document.as_object_mut().unwrap().remove("site")?;
    site["event_type"] = "site".into();
    Some(site)
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or("-")
}

/// The words of a list, or `-`.
fn list(value: &Value) -> String {
    let words: Vec<_> = value.as_array().into_iter().flatten().map(|w| w.as_str().unwrap()).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(",") }
}

/// The names that a flow carried: asked of TLS, of HTTP, of DNS.
fn names(flow: &Value) -> Vec<String> {
    let items = |key: &'static str| flow[key].as_array().into_iter().flatten();
    let dns = items("dns").map(|d| &d["qname"]);
    let http = items("http").map(|h| &h["host"]);
    let mut names: Vec<_> = std::iter::once(&flow["tls"]["sni"])
        .chain(http)
        .chain(dns)
        .filter_map(|n| n.as_str().map(str::to_owned))
        .collect();
    names.dedup();
    names
}

/// One flow on one line.
fn flow_line(flow: &Value) -> String {
    let counts = &flow["flow"];
    let end = |ip: &str, port: &str| format!("{}:{}", text(flow, ip), flow[port]);
    let names = names(flow).join(",");
    format!(
        "{:<4} {:<21} {:<18} {:<11} {:<11} {:>4} {:<9} {:<9} {:>4}/{:<4} {:>6}/{:<6} {:<5} {:<10} {}",
        text(flow, "proto"),
        end("src_ip", "src_port"),
        end("dest_ip", "dest_port"),
        text(flow, "class"),
        list(&flow["subclass"]),
        flow["confidence"].to_string(),
        text(flow, "region"),
        list(&flow["flags"]),
        counts["pkts_toserver"],
        counts["pkts_toclient"],
        counts["bytes_toserver"],
        counts["bytes_toclient"],
        text(counts, "conn_state"),
        text(counts, "history"),
        if names.is_empty() { "-" } else { &names },
    )
    .trim_end()
    .to_owned()
}

/// What a finding says, but for its texts.
fn finding_line(finding: &Value) -> String {
    let part = |name: &str| finding.get(name).map_or("-".to_owned(), |v| v.to_string().replace('"', ""));
    let parts = ["kind", "mode", "rule", "severity", "confidence", "count", "src_ip", "dest_ip", "host"].map(part);
    format!("finding {}", parts.join(" "))
}

/// What a session says.
fn session_line(session: &Value) -> String {
    let part = |name: &str| session.get(name).map_or("-".to_owned(), |v| v.to_string().replace('"', ""));
    let ways: Vec<_> = session["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{}={}", text(step, "method"), text(step, "outcome")))
        .collect();
    let parts = ["client", "recorder", "path", "bit_rate"].map(part);
    format!("session {} {}\n  {}", parts.join(" "), ways.join(" "), text(session, "story"))
}

/// What is said of the site: its recorders, the rows of the allow-list, the bandwidth.
fn site_lines(site: &Value, into: &mut String) {
    writeln!(into, "site product {} assumed {}", site["product"], site["product_assumed"]).unwrap();
    for recorder in site["recorders"].as_array().into_iter().flatten() {
        writeln!(into, "site recorder {recorder}").unwrap();
    }
    for row in site["allow_list"].as_array().into_iter().flatten() {
        let part = |name: &str| row.get(name).map_or("-".to_owned(), |v| v.to_string().replace('"', ""));
        writeln!(into, "site row {}", ["id", "requirement", "state", "how", "frame", "names"].map(part).join(" "))
            .unwrap();
    }
    writeln!(into, "site bandwidth {}", site["bandwidth"]).unwrap();
}

/// The counters of a run: all of `stats`, and the numbers of `capture_quality`.
fn counters(record: &Value, into: &mut String) {
    for (key, value) in record.as_object().unwrap() {
        if !matches!(key.as_str(), "event_type" | "first" | "last") {
            writeln!(into, "{} {key} {value}", text(record, "event_type")).unwrap();
        }
    }
}

fn golden(records: &[Value]) -> String {
    let mut page = String::new();
    for record in records {
        match text(record, "event_type") {
            "flow" => writeln!(page, "{}", flow_line(record)).unwrap(),
            "finding" => writeln!(page, "{}", finding_line(record)).unwrap(),
            "session" => writeln!(page, "{}", session_line(record)).unwrap(),
            "site" => site_lines(record, &mut page),
            _ => counters(record, &mut page),
        }
    }
    page
}

#[test]
fn captures_are_told_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for capture in captures() {
        let path = folder.join(capture.file_stem().unwrap()).with_extension("txt");
        let now = golden(&records(&capture).into_iter().chain(site(&capture)).collect::<Vec<_>>());
        if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, now).unwrap();
            continue;
        }
        let before = fs::read_to_string(&path).unwrap_or_default();
        let changed: Vec<_> = before
            .lines()
            .filter(|line| !now.lines().any(|l| l == *line))
            .map(|line| format!("- {line}"))
            .chain(now.lines().filter(|line| !before.lines().any(|l| l == *line)).map(|line| format!("+ {line}")))
            .collect();
        assert!(now == before, "{} (see the head of this file):\n{}", path.display(), changed.join("\n"));
    }
}

#[test]
fn captures_are_told_as_they_were_made() {
    for capture in captures() {
        let truth = capture.with_extension("truth.json");
        let truth: Value = serde_json::from_slice(&fs::read(truth).unwrap()).unwrap();
        let records = records(&capture);
        let key = |r: &Value| ["proto", "src_ip", "src_port", "dest_ip", "dest_port"].map(|k| r[k].to_string());
        let flows: BTreeMap<_, _> =
            records.iter().filter(|r| text(r, "event_type") == "flow").map(|r| (key(r), r)).collect();
        let stats = records.last().unwrap();
        assert_eq!((&stats["frames"], &stats["flows"]), (&truth["frames"], &truth["flows"]), "{}", capture.display());
        let mut wrong = Vec::new();
        for told in truth["truth"].as_array().unwrap() {
            match flows.get(&key(told)) {
                None => wrong.push(format!("no such flow: {told}")),
                Some(flow) => wrong.extend(differences(told, flow).map(|d| format!("{d}\n  {}", flow_line(flow)))),
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", capture.display(), wrong.join("\n"));
    }
}

/// How a flow's record differs from the truth: class, counts, names, and the subclasses that the truth has.
fn differences(truth: &Value, flow: &Value) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    if truth["class"] != flow["class"] {
        found.push(format!("class is {}", truth["class"]));
    }
    for key in ["pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient"] {
        if truth[key] != flow["flow"][key] {
            found.push(format!("{key} is {}", truth[key]));
        }
    }
    let (subclass, carried) = (list(&flow["subclass"]), names(flow));
    let words = |key: &str| truth[key].as_array().cloned().unwrap_or_default();
    for word in words("subclass").iter().filter_map(Value::as_str) {
        // An idle relay connection is told by its mean over a minute; in a shorter look it is not called so.
        let too_short = word == "idle" && flow["flow"]["age"].as_f64().is_some_and(|age| age < 60.0);
        if !too_short && !subclass.split(',').any(|s| s == word) {
            found.push(format!("subclass is {word}"));
        }
    }
    for name in words("names").iter().filter_map(Value::as_str) {
        // STUN and NTP carry no name: theirs is the one that DNS was asked for.
        if !matches!(text(flow, "class"), "stun" | "ntp") && !carried.iter().any(|n| n == name) {
            found.push(format!("name is {name}"));
        }
    }
    found.into_iter()
}
