//! What is handed to others: the report, carved evidence, packs with pseudonyms, before and after.
//!
//! A few captures of the lab stand for all; with RELAYSCOPE_ALL=1 every one is carved.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use relayscope::classify::site::Site;
use relayscope::engine::Config;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::evidence::wanted;
use relayscope::pcapng::{Interface, Section, Writer};
use relayscope::pipeline;
use relayscope::source::{Chunk, Fill, Frame, LinkType, Source};
use relayscope::time::Timestamp;
use serde_json::Value;
use support::{ACK, PSH, SYN, pcap, tcp};
use tempfile::TempDir;

/// Captures with findings of many kinds: held, refused, reset, unresolved, blocked, peer to peer, the mirror itself.
const SAMPLE: [&str; 9] = [
    "filters/cicap-holds-viewer",
    "blocks/post-413-recorder",
    "blocks/sni-reset-in-line-recorder",
    "blocks/intercepted-tls13-refused-recorder",
    "dns/dns-nxdomain-recorder",
    "dns/dns-sinkhole-recorder",
    "blocks/page-403-viewer",
    "blocks/auth-ntlm-recorder",
    "dns/dns-bypassed-recorder",
];

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

fn chosen() -> Vec<PathBuf> {
    if std::env::var_os("RELAYSCOPE_ALL").is_none() {
        return SAMPLE.iter().map(|name| captures().join(format!("{name}.pcapng.zst"))).collect();
    }
    let mut all = Vec::new();
    for family in fs::read_dir(captures()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let files = fs::read_dir(family).unwrap().map(|entry| entry.unwrap().path());
        all.extend(files.filter(|path| path.to_string_lossy().ends_with(".pcapng.zst")));
    }
    all.sort();
    all
}

fn relayscope(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_relayscope")).args(args).stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("no signal"), text(&output.stdout), text(&output.stderr))
}

fn told(path: &Path) -> Vec<Value> {
    let (code, out, err) = relayscope(&["analyze", "-q", "--ndjson", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{}: {err}", path.display());
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn findings(path: &Path) -> Vec<Value> {
    told(path).into_iter().filter(|record| record["event_type"] == "finding").collect()
}

/// By what a finding is known in another capture.
fn identity(finding: &Value) -> Vec<String> {
    let claim = finding["confidence"].as_f64().unwrap() >= 0.55;
    let fields = ["rule", "kind", "mode", "host", "community_id", "flow_start"];
    fields.iter().map(|field| finding[field].to_string()).chain([claim.to_string()]).collect()
}

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("{tool} is not run, because it is not installed");
    }
    there
}

#[test]
fn what_is_carved_raises_the_finding_again() {
    let dir = TempDir::new().unwrap();
    let (mut carved, mut not) = (0, Vec::new());
    for capture in chosen() {
        for finding in findings(&capture) {
            let id = finding["id"].as_str().unwrap();
            let out = dir.path().join("out.pcapng");
            let args = ["carve", "-q", capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--finding", id];
            let (code, _, err) = relayscope(&args);
            assert_eq!(code, 0, "{} {id}: {err}", capture.display());
            carved += 1;
            // what is cited is there, whosever it is, and says so
            let bytes = fs::read(&out).unwrap();
            for frame in finding["evidence"].as_array().unwrap().iter().filter_map(|line| line["frame"].as_u64()) {
                let said = format!("(frame {frame} of the original)");
                let there = bytes.windows(said.len()).any(|window| window == said.as_bytes());
                assert!(there, "{} {id}: frame {frame} is not carved", capture.display());
            }
            if !findings(&out).iter().any(|found| identity(found) == identity(&finding)) {
                not.push(format!("{} {} {}", capture.display(), finding["rule"], finding["kind"]));
            }
            if has("capinfos") {
                let info = Command::new("capinfos").arg(&out).output().unwrap();
                assert!(info.status.success() && info.stderr.is_empty(), "{}", String::from_utf8_lossy(&info.stderr));
            }
        }
    }
    eprintln!("{carved} findings carved");
    assert!(carved >= 8 && not.is_empty(), "{carved} carved; not raised again:\n{}", not.join("\n"));
}

/// Whoever opens the capture at the frame that a line of evidence cites sees what it says, and when.
#[test]
fn evidence_has_the_time_of_its_frame() {
    for name in [
        "blocks/intercepted-tls12-refused-recorder",
        "blocks/sni-reset-in-line-recorder",
        "paths/loss-recorder",
        "paths/reconnects-recorder",
        "p2p/p2p-breaks-off-recorder",
        "dns/dns-nxdomain-recorder",
    ] {
        let capture = captures().join(format!("{name}.pcapng.zst"));
        let mut times = Vec::new();
        each_frame(&capture, |frame| times.push(serde_json::to_value(frame.ts).unwrap()));
        let mut lines = 0;
        for line in findings(&capture).iter().flat_map(|finding| finding["evidence"].as_array().unwrap()) {
            let (Some(frame), Some(time)) = (line["frame"].as_u64(), line.get("time")) else { continue };
            assert_eq!(times.get(frame as usize - 1), Some(time), "{name}: {line}");
            lines += 1;
        }
        assert!(lines > 0, "{name}");
    }
}

/// tshark, which sees every length and checksum, finds nothing to complain of that it does not in the original.
#[test]
fn stripped_frames_are_sound() {
    if !has("tshark") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let bad = |path: &Path| {
        let filter = "ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0 || _ws.malformed";
        let checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];
        let mut command = Command::new("tshark");
        command.arg("-r").arg(path).args(checks.iter().flat_map(|check| ["-o", check])).args(["-Y", filter]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for capture in chosen().into_iter().take(if std::env::var_os("RELAYSCOPE_ALL").is_some() { 1000 } else { 3 }) {
        let out = dir.path().join("out.pcapng");
        let args = ["carve", "-q", capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "-Y", "pkts>0"];
        let (code, _, err) = relayscope(&[&args[..], &["--strip-payload"]].concat());
        assert_eq!(code, 0, "{}: {err}", capture.display());
        assert_eq!(bad(&out), "", "{}", capture.display());
    }
}

/// Every file of an archive, by name.
fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut files = BTreeMap::new();
    for name in names {
        let mut bytes = Vec::new();
        archive.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

#[test]
fn a_pack_holds_what_passes_the_filter_and_no_more() {
    let dir = TempDir::new().unwrap();
    let (capture, pack) = (captures().join("ports/web-only-recorder.pcapng.zst"), dir.path().join("pack.zip"));
    let pack_of = |filter: &str| {
        let args = ["analyze", "-q", capture.to_str().unwrap(), "-Y", filter, "--pack", pack.to_str().unwrap()];
        assert_eq!(relayscope(&args).0, 0);
        let files = unpacked(&pack);
        let carved = files.keys().filter(|name| name.starts_with("captures/")).count();
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["filter"], filter);
        carved
    };
    assert_eq!(pack_of("class:dmp"), 0);
    // of four; its flows said no name themselves
    assert_eq!(pack_of("host:serverupdates.net and class:update"), 2);
}

#[test]
fn a_redacted_pack_tells_no_original() {
    let dir = TempDir::new().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, [7; 64]).unwrap();
    for name in [
        "blocks/post-413-recorder",
        "dns/dns-nxdomain-recorder",
        "blocks/sni-reset-in-line-recorder",
        "filters/privoxy-releases-viewer",
    ] {
        let capture = captures().join(format!("{name}.pcapng.zst"));
        let pack = dir.path().join("pack.zip");
        let key = ["--redact", "ips,names,macs", "--redact-key", key.to_str().unwrap()];
        let args = [&["analyze", "-q", capture.to_str().unwrap(), "--pack", pack.to_str().unwrap()][..], &key].concat();
        let (code, out, err) = relayscope(&args);
        assert_eq!(code, 0, "{err}");
        let mut files = unpacked(&pack);
        assert!(files.keys().any(|name| name.starts_with("captures/")), "{:?}", files.keys());
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest["files"].as_array().unwrap().len(), files.len() - 1);
        files.insert("stdout".to_owned(), out.into_bytes());
        let secrets = secrets(&capture);
        assert!(secrets.len() > 4, "{secrets:?}");
        let on_the_wire = on_the_wire(&capture, &secrets);
        assert!(on_the_wire.len() > secrets.len(), "{on_the_wire:?}");
        for (file, bytes) in &files {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{secret} in {file} of {name}");
            }
            for secret in &on_the_wire {
                let found = bytes.windows(secret.len()).any(|window| window.eq_ignore_ascii_case(secret));
                assert!(!found, "{secret:02x?} in {file} of {name}");
            }
        }
        joins(&files);
    }
}

/// The flows that findings cite are there, and no record tells an id of a conversation that is not its own.
fn joins(files: &BTreeMap<String, Vec<u8>>) {
    let text = String::from_utf8(files["records.ndjson"].clone()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let flows: BTreeMap<u64, &Value> =
        records.iter().filter(|r| r["event_type"] == "flow").map(|r| (r["flow_id"].as_u64().unwrap(), r)).collect();
    for finding in records.iter().filter(|r| r["event_type"] == "finding") {
        let Some(lead) = finding["flow_ids"][0].as_u64() else { continue };
        for field in ["src_ip", "dest_ip", "community_id"] {
            assert_eq!(flows[&lead][field], finding[field], "{field}");
        }
    }
}

/// What must not be told of a capture: addresses, labels that the catalogue does not publish, hardware addresses.
fn secrets(capture: &Path) -> BTreeSet<String> {
    let public = "u5fgb com gp4f openeye net amazonaws s3 us-west us-east us-west-2 ows restapi activateapi stun lsf \
                  assist dvrsupportcenter serverupdates ctldl windowsupdate pool ntp org cctv oe-cpos1 local arpa in-addr \
                  oe-prod-devmon oe-prod-files oe-prod-media dns google one";
    let public: BTreeSet<&str> = public.split_whitespace().collect();
    let mut secrets = BTreeSet::new();
    let mut name = |text: Option<&str>| {
        for label in text.unwrap_or_default().to_lowercase().split('.') {
            if label.len() >= 4 && !public.contains(label) && label.bytes().any(|b| b.is_ascii_alphabetic()) {
                secrets.insert(format!("{label}."));
            }
        }
    };
    for record in told(capture).iter().filter(|record| record["event_type"] == "flow") {
        name(record["tls"]["sni"].as_str());
        record["dns"].as_array().into_iter().flatten().for_each(|dns| name(dns["qname"].as_str()));
        record["http"].as_array().into_iter().flatten().for_each(|http| name(http["host"].as_str()));
    }
    for record in told(capture).iter().filter(|record| record["event_type"] == "flow") {
        for field in ["src_ip", "dest_ip"] {
            let ip = record[field].as_str().unwrap();
            if !["0.", "127.", "224.", "239.", "255.", "ff", "::"].iter().any(|plain| ip.starts_with(plain)) {
                secrets.insert(ip.to_owned());
            }
        }
    }
    secrets
}

/// The same as frames carry it: addresses as bytes, labels with their length in front, and the hardware addresses, as
/// bytes and as text.
fn on_the_wire(capture: &Path, secrets: &BTreeSet<String>) -> BTreeSet<Vec<u8>> {
    let mut wire = BTreeSet::new();
    for secret in secrets {
        match (secret.parse::<IpAddr>(), secret.strip_suffix('.')) {
            (Ok(IpAddr::V4(ip)), _) => wire.insert(ip.octets().to_vec()),
            (Ok(IpAddr::V6(ip)), _) => wire.insert(ip.octets().to_vec()),
            (_, Some(label)) => wire.insert([&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()),
            _ => panic!("{secret}"),
        };
    }
    each_frame(capture, |frame| {
        for mac in [&frame.bytes[..6], &frame.bytes[6..12]].into_iter().filter(|mac| mac[0] & 1 == 0 && **mac != [0; 6])
        {
            let text: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            wire.extend([mac.to_vec(), text.join(":").into_bytes(), text.join("-").into_bytes()]);
        }
    });
    wire
}

fn each_frame(capture: &Path, mut take: impl FnMut(&Frame<'_>)) {
    let (mut source, mut chunk) = (Source::open(&[capture.to_owned()], 4096), Chunk::default());
    while source.fill(&mut chunk) == Fill::More {
        chunk.frames.iter().filter_map(|at| chunk.frame(at)).for_each(|frame| take(&frame));
    }
}

/// What is read again leaves out stretches without the flow, and nothing of it.
#[test]
fn a_second_look_sees_every_packet_of_a_flow() {
    const CHUNK: usize = 4096;
    let dir = TempDir::new().unwrap();
    // a flow that says something rarely, among many; and an interface that is only described on the way
    let port = |n: u64| if n % 700 == 350 { 5000 } else { 20_000 + u16::try_from(n % 30).unwrap() };
    let frame = |n: u64| {
        let segment = tcp(port(n), 443).seq(u32::try_from(n).unwrap()).flags(ACK).payload(vec![7; 90]);
        segment.ipv4("192.168.1.50", "198.51.100.10").frame()
    };
    let frames: Vec<(u64, Vec<u8>)> = (1..=7000).map(|n| (n * 1_000_000, frame(n))).collect();
    let plain = dir.path().join("a.pcap");
    fs::write(&plain, pcap(1, frames.iter().map(|(at, frame)| (*at, &frame[..])))).unwrap();
    let other = dir.path().join("b.pcapng");
    fs::write(&other, two_interfaces(&frames)).unwrap();
    let packed = dir.path().join("c.pcapng.zst");
    fs::write(&packed, zstd::encode_all(&fs::read(&other).unwrap()[..], 1).unwrap()).unwrap();
    let (base, stop) = (KnowledgeBase::new(None, Site::default()).unwrap(), AtomicBool::new(false));
    for (path, skips) in [(&plain, true), (&other, true), (&packed, false)] {
        for threads in [1, 3] {
            let paths = [path.clone()];
            let config = Config { secret: 0x1234_5678_9abc_def1, ..Config::default() };
            let outcome = pipeline::run(Source::open(&paths, CHUNK), &config, threads, &stop, &mut |_| {});
            assert_eq!(outcome.facts.frames, 7000);
            let naming = outcome.analysis.name(&base);
            let views = outcome.analysis.in_order().into_iter().filter_map(|at| outcome.analysis.view(at, &naming));
            let rare = views.into_iter().find(|view| view.orig.1 == 5000).unwrap().id();
            let flows = wanted(&outcome.analysis, &naming, &[rare].into());
            let packets: Vec<_> = flows.iter().map(|flow| flow.packet()).collect();
            let (mut seen, mut own) = (0, Vec::new());
            let source = Source::open(&paths, CHUNK);
            let problems = pipeline::each_frame_near(
                source,
                &outcome.index,
                &packets,
                &stop,
                &mut |_| {},
                &mut |number, frame| {
                    seen += 1;
                    assert_eq!(frame.ts.0, number * 1_000_000);
                    if port(number) == 5000 {
                        own.push(number);
                    }
                    true
                },
            );
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(own, (0..10).map(|n| n * 700 + 350).collect::<Vec<u64>>(), "{}", path.display());
            assert_eq!(seen < 2000, skips, "{seen} of {}", path.display());
        }
    }
}

/// The frames as pcapng, of which every second half has an interface of its own.
fn two_interfaces(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &Section::default()).unwrap();
    for half in frames.chunks(frames.len() / 2) {
        let interface = Interface { link: LinkType(1), snaplen: 0, name: None, filter: None };
        let interface = writer.interface(&interface).unwrap();
        for (at, bytes) in half {
            let len = u32::try_from(bytes.len()).unwrap();
            writer.frame(interface, &Frame { ts: Timestamp(*at), link: LinkType(1), len, bytes }, &[]).unwrap();
        }
    }
    writer.output().clone()
}

/// A name of script tags, controls and marks of direction, and a head of 60 kB: no output changes its structure.
#[test]
fn hostile_captures_change_no_structure() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("hostile.pcap");
    let long = "x".repeat(60_000);
    let names =
        ["<script>alert(1)</script>.u5fgb.com", "a\u{202e}b\u{1b}[2J.us-west.u5fgb.com", "\"><img src=x>", &long];
    let mut frames = Vec::new();
    for (n, host) in (0u16..).zip(names) {
        let request = format!("GET /?token=s3cr3t HTTP/1.1\r\nHost: {host}\r\nX-Long: {long}\r\n\r\n");
        let port = 40_000 + n;
        let up = |segment: support::Segment| segment.ipv4("192.168.1.50", "198.51.100.10").frame();
        let down = |segment: support::Segment| segment.ipv4("198.51.100.10", "192.168.1.50").frame();
        let at = u64::from(n) * 1_000_000_000 + 1_700_000_000_000_000_000;
        frames.push((at, up(tcp(port, 80).seq(100).flags(SYN))));
        frames.push((at + 1, down(tcp(80, port).seq(500).ack(101).flags(SYN | ACK))));
        for (k, part) in (0u32..).zip(request.as_bytes().chunks(1400)) {
            let segment = tcp(port, 80).seq(101 + k * 1400).ack(501).flags(PSH | ACK).payload(part.to_vec());
            frames.push((at + 2 + u64::from(k), up(segment)));
        }
    }
    fs::write(&path, pcap(1, frames.iter().map(|(at, frame)| (*at, &frame[..])))).unwrap();
    let file = path.to_str().unwrap();
    for form in ["--html", "--md", "--csv", "--ndjson", "--json"] {
        let (code, out, err) = relayscope(&["analyze", "-q", form, file]);
        assert_eq!(code, 0, "{form}: {err}");
        let acts = |c: char| c != '\n' && c != '\r' && (c.is_control() || c == '\u{202e}');
        assert!(!out.chars().any(acts), "{form}");
        match form {
            "--html" => assert!(!out.contains("<script") && !out.contains("<img") && out.len() < 500_000),
            "--md" => assert!(!out.contains("<script") && !out.contains("<img")),
            "--csv" => {
                let mut rows = csv::Reader::from_reader(out.as_bytes());
                assert_eq!(rows.records().map(Result::unwrap).count(), 4);
            }
            "--ndjson" => out.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap())),
            _ => drop(serde_json::from_str::<Value>(&out).unwrap()),
        }
    }
}

#[test]
fn before_and_after() {
    let capture = |name: &str| captures().join(name).display().to_string();
    let (blocked, healthy) = (capture("blocks/sni-reset-in-line-recorder.pcapng.zst"), capture("first-view.pcapng"));
    let (code, out, err) = relayscope(&["compare", "-q", &blocked, &healthy]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("FIXED") && out.contains("sni-reset"), "{out}");
    let (code, out, _) = relayscope(&["compare", "-q", "--json", &healthy, &blocked]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["findings"][0]["became"]), (1, &Value::from("new")));
    assert_eq!(relayscope(&["compare", "-q", &healthy, &healthy]).0, 2);
    // a later capture in which nobody tries is no ground to accept
    let idle = capture("lookalikes/menus-only-viewer.pcapng.zst");
    let held = capture("holds/hold-chunked-viewer.pcapng.zst");
    let (code, out, _) = relayscope(&["compare", "-q", &held, &idle]);
    assert!(code == 5 && out.starts_with("? Not proved yet: 1 gone, not tried."), "{code}: {out}");
    // nor is one of another site
    let (code, out, _) = relayscope(&["compare", "-q", &held, &healthy]);
    assert!(code == 5 && out.starts_with("? Not proved: no host is in both captures: "), "{code}: {out}");
}

#[test]
fn carving_says_what_it_cannot_do() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out.pcapng").display().to_string();
    let capture = captures().join("first-view.pcapng").display().to_string();
    for (args, says) in [
        (vec!["--finding", "ffffffffffff"], "this capture has no findings"),
        (vec!["-Y", "class:p2p"], "no flow passes the filter"),
    ] {
        let (code, _, err) = relayscope(&[&["carve", "-q", &capture, "-o", &out][..], &args].concat());
        assert!(code == 2 && err.contains(says), "{err}");
        assert!(!Path::new(&out).exists());
    }
    let (code, _, _) = relayscope(&["carve", "-q", &capture, "-o", &out]);
    assert_eq!(code, 2);
    let (code, _, err) = relayscope(&["carve", "-q", &capture, "-o", &out, "-Y", "class:relay", "-s", "700"]);
    assert_eq!(code, 0, "{err}");
    assert!(told(Path::new(&out)).iter().any(|record| record["class"] == "relay"));
}
