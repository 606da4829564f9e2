//! What is found, from outside: its exit code, its forms, and what the user's files change of it.

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::support::{SYN, dns, tcp, udp};
use super::{CAPTURE, capture, complains, conversation, records, run};

fn one_sided() -> Vec<u8> {
    let sent = |frame: &[u8]| frame[26..30] == [192, 168, 1, 50];
    let all = (1..=3).flat_map(|n| conversation(n, 40_000 + u16::try_from(n).unwrap(), "a1.us-west.u5fgb.com"));
    capture(1, &all.filter(|(_, frame)| sent(frame)).collect::<Vec<_>>())
}

#[test]
fn a_poor_capture_is_a_finding_and_an_exit_code() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("half.pcap"), one_sided()).unwrap();
    let code = |args: &[&str]| run(at, &[args, &["half.pcap"][..]].concat()).code;
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--fail-on", "error"]), 5);
    for form in [&[][..], &["--ndjson"], &["--json"], &["--csv"], &["-o", "out"], &["-Y", "class:s3"]] {
        let args = [&["--fail-on", "warn"], form].concat();
        assert_eq!(code(&args), 1, "{args:?}");
    }
    assert_eq!(code(&["--fail-on", "info", "--no-diagnose"]), 2);

    let told = records(&run(at, &["--ndjson", "half.pcap"]).out);
    let kinds: Vec<_> = told.iter().map(|r| r["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["flow", "flow", "flow", "finding", "capture_quality", "stats"]);
    let finding = &told[3];
    assert_eq!((&finding["kind"], &finding["rule"]), (&"span-one-sided".into(), &"D-22".into()));
    assert!(told[4]["advice"].as_str().unwrap().contains(finding["advice"].as_str().unwrap()));
    // what is wrong with the capture is so whatever flows are asked for
    let none = records(&run(at, &["--ndjson", "-Y", "class:s3", "half.pcap"]).out);
    assert_eq!(none.iter().map(|r| r["event_type"].as_str().unwrap()).collect::<Vec<_>>(), kinds[3..]);

    let json: serde_json::Value = serde_json::from_str(&run(at, &["--json", "half.pcap"]).out).unwrap();
    assert_eq!((&json["findings"][0], &json["sessions"]), (finding, &serde_json::json!([])));
    let summary = run(at, &["half.pcap"]).out;
    assert!(summary.starts_with("⚠ The mirror shows one direction only, in 100 % of the connections"), "{summary}");

    let silent = ["--no-diagnose", "half.pcap"];
    assert!(!run(at, &[&["--ndjson"], &silent[..]].concat()).out.contains("\"finding\""));
    assert!(run(at, &silent).out.starts_with("Capture "));
    assert!(!run(at, &[&["--json"], &silent[..]].concat()).out.contains("\"findings\""));
}

#[test]
fn a_users_thresholds_count() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("half.pcap"), one_sided()).unwrap();
    fs::write(at.join("mine.toml"), "[diagnosis.capture]\none_sided_flows = { value = 4 }\n").unwrap();
    fs::write(at.join("wrong.toml"), "[diagnosis.capture]\none_sided_flow = { value = 4 }\n").unwrap();
    let args = ["--fail-on", "warning", "--catalogue"];
    assert_eq!(run(at, &[&args[..], &["mine.toml", "half.pcap"]].concat()).code, 0);
    let said = "wrong.toml: there is no setting `diagnosis.capture.one_sided_flow`";
    complains(at, &[&args[..], &["wrong.toml", "half.pcap"]].concat(), 2, said);
    let told = run(at, &["explain", "D-22", "--catalogue", "mine.toml"]).out;
    assert!(told.contains("one_sided_flows = 4"), "{told}");
}

#[test]
fn a_relay_of_another_region_than_the_sites_is_told() {
    let dir = TempDir::new().unwrap();
    let rules = |region: &str| {
        fs::write(dir.path().join("site.toml"), format!("region = \"{region}\"\n")).unwrap();
        let told = records(&run(dir.path(), &["--ndjson", "--site", "site.toml", CAPTURE]).out);
        let findings = told.into_iter().filter(|record| record["event_type"] == "finding");
        findings.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rules("us-east"), ["D-31"]);
    assert!(rules("us-west").is_empty());
}

#[test]
fn a_router_that_tells_of_a_shared_address_is_told() {
    let dir = TempDir::new().unwrap();
    let told = |outside: [u8; 4]| {
        let mut frames = conversation(1, 40_000, "a1.us-west.u5fgb.com");
        let reply = [&[0, 128, 0, 0, 0, 0, 1, 0][..], &outside].concat();
        let asks = udp(40_100, 5351).payload(&[0, 0][..]).ipv4("192.168.1.50", "192.168.1.1").frame();
        let says = udp(5351, 40_100).payload(reply).ipv4("192.168.1.1", "192.168.1.50").frame();
        frames.extend([(2_000_000_000, asks), (2_001_000_000, says)]);
        fs::write(dir.path().join("router.pcap"), capture(1, &frames)).unwrap();
        let records = records(&run(dir.path(), &["--ndjson", "router.pcap"]).out);
        let found = records.iter().find(|record| record["rule"] == "D-32");
        found.map(|finding| (finding["kind"].clone(), finding["evidence"][0]["frame"].clone()))
    };
    assert_eq!(told([100, 64, 3, 4]), Some(("cgnat".into(), 10.into())));
    assert_eq!(told([203, 0, 113, 7]), None);
}

#[test]
fn an_answer_that_is_shown_before_its_question_is_one_and_capitals_do_not_matter() {
    const MILLISECOND: u64 = 1_000_000;
    let mut frames = Vec::new();
    for n in 0..6u16 {
        let at = 1_700_000_000_000 * MILLISECOND + u64::from(n) * 2000 * MILLISECOND;
        let mut answer = dns(n, "restapi.gp4f.com", None);
        answer[2..4].copy_from_slice(&[0x81, 0x85]);
        let answer = udp(53, 21_000 + n).payload(answer).ipv4("192.168.1.1", "192.168.1.50").frame();
        let question = dns(n, "RestAPI.gp4f.com", None);
        let question = udp(21_000 + n, 53).payload(question).ipv4("192.168.1.50", "192.168.1.1").frame();
        frames.extend([(at, answer), (at + 300_000, question)]);
    }
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("early.pcap"), capture(1, &frames)).unwrap();
    let told = records(&run(dir.path(), &["--ndjson", "early.pcap"]).out);
    let rules: Vec<_> =
        told.iter().filter(|record| record["kind"] == "dns-blocked").map(|f| f["mode"].clone()).collect();
    assert_eq!(rules, ["refused"]);
}

/// More flows than can be put down for the diagnosis.
const SCANNED: u32 = 200_000;

#[test]
fn a_scan_hides_nobodys_faults() {
    const MILLISECOND: u64 = 1_000_000;
    const RECORDER: &str = "192.168.1.50";
    const VIEWER: &str = "192.168.1.77";
    const RESOLVER: &str = "192.168.1.1";
    let mut frames = Vec::new();
    let mut now = 1_700_000_000_000 * MILLISECOND;
    let mut send = |after: u64, frame: Vec<u8>| {
        now += after;
        frames.push((now, frame));
    };
    let ask = |send: &mut dyn FnMut(u64, Vec<u8>), client: &str, port: u16, name: &str, server: [u8; 4]| {
        let (query, answer) = (dns(port, name, None), dns(port, name, Some(server)));
        send(10 * MILLISECOND, udp(port, 53).payload(query).ipv4(client, RESOLVER).frame());
        send(5 * MILLISECOND, udp(53, port).payload(answer).ipv4(RESOLVER, client).frame());
    };
    ask(&mut send, RECORDER, 20_001, "restapi.gp4f.com", [52, 1, 1, 1]);
    ask(&mut send, VIEWER, 20_002, "ows.openeye.net", [52, 1, 1, 9]);
    for n in 0..SCANNED {
        let [_, a, b, c] = n.to_be_bytes();
        let port = 1024 + u16::try_from(n % 60_000).unwrap();
        send(10_000, tcp(port, 80).flags(SYN).seq(n).ipv4(VIEWER, &format!("10.{a}.{b}.{c}")).frame());
    }
    let relays = 0..24u8;
    for n in relays.clone() {
        ask(&mut send, RECORDER, 21_000 + u16::from(n), &format!("a{n}.us-west.u5fgb.com"), [52, 7, n, n]);
    }
    for _ in 0..4 {
        for n in relays.clone() {
            let syn = tcp(30_000 + u16::from(n), 443).flags(SYN).seq(1000);
            send(MILLISECOND, syn.ipv4(RECORDER, &format!("52.7.{n}.{n}")).frame());
        }
        send(2000 * MILLISECOND, udp(20_003, 9).payload(&[0][..]).ipv4(RECORDER, RESOLVER).frame());
    }
    send(40_000 * MILLISECOND, udp(20_003, 9).payload(&[0][..]).ipv4(RECORDER, RESOLVER).frame());

    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("scan.pcap"), capture(1, &frames)).unwrap();
    let told = records(&run(dir.path(), &["--ndjson", "-Y", "class:relay", "scan.pcap"]).out);
    let blocked = told.iter().filter(|record| record["kind"] == "tcp-blocked");
    let hosts: BTreeSet<_> = blocked.map(|finding| finding["host"].to_string()).collect();
    assert_eq!(hosts.len(), relays.len(), "{hosts:?}");
    let summary = run(dir.path(), &["scan.pcap"]).out;
    assert!(summary.contains("Left out"), "{summary}");
}
