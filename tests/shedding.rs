//! Where there is no time to inspect all, it is passed over in stages: all is counted, what was written says so, and
//! whoever replays that sees the same.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use relayscope::capture::recorder::{Plan, Recorder, open_files};
use relayscope::capture::{Batch, Interface};
use relayscope::monitor::{Losses, Monitor};
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Frame, LinkType, Shed, Source, Tally};
use relayscope::time::{SECOND, Timestamp};
use serde_json::Value;
use support::knowledge::Knowledge;
use support::tcp;

fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/first-view.pcapng")
}

/// The frames of the capture, so many at a time.
fn batches(count: usize) -> Vec<Batch> {
    let (mut source, mut chunk) = (Source::open(&[capture()], 1 << 18), Chunk::default());
    let mut batches = vec![Batch::default()];
    while source.fill(&mut chunk) == Fill::More {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            if batches.last().is_none_or(|batch| batch.from.len() >= count) {
                batches.push(Batch::default());
            }
            assert!(batches.last_mut().unwrap().push(&frame, 0));
        }
    }
    batches
}

/// What a monitor tells of what `give` gives it.
fn told(give: impl FnOnce(&mut Monitor<'_>, &mut Ndjson<Vec<u8>>)) -> Vec<Value> {
    told_by(&Knowledge::new(), give)
}

/// What a monitor tells that goes by this.
fn told_by(knowledge: &Knowledge, give: impl FnOnce(&mut Monitor<'_>, &mut Ndjson<Vec<u8>>)) -> Vec<Value> {
    let mut monitor = knowledge.monitor();
    let mut sink = Ndjson::new(Vec::new());
    give(&mut monitor, &mut sink);
    monitor.lose(Losses { kernel_drops: Some(0), interface_drops: Some(0), ..Losses::default() });
    monitor.finish(&mut sink).unwrap();
    let told = sink.finish().unwrap();
    told.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

fn of_live(batches: &[Batch]) -> Vec<Value> {
    told(|monitor, sink| take(batches, monitor, sink))
}

fn take(batches: &[Batch], monitor: &mut Monitor<'_>, sink: &mut Ndjson<Vec<u8>>) {
    for batch in batches {
        monitor.shed(batch.shed);
        monitor.chunk(&batch.chunk, sink).unwrap();
    }
}

/// The counters and names of the relay's flows.
fn of_relay(told: &[Value]) -> Vec<[Value; 2]> {
    let flows = told.iter().filter(|line| line["event_type"] == "flow" && line["class"] == "relay");
    flows.map(|flow| [flow["flow"].clone(), flow["tls"]["sni"].clone()]).collect()
}

/// The lines that must be the same whenever the same packets are looked at.
fn records(told: &[Value]) -> Vec<&Value> {
    told.iter().filter(|line| ["flow", "finding", "session"].contains(&line["event_type"].as_str().unwrap())).collect()
}

/// The last line of a kind.
fn last(told: &[Value], kind: &str) -> Value {
    told.iter().rfind(|line| line["event_type"] == kind).unwrap().clone()
}

/// What `stats` says of packets that were not inspected, and of frames that were only counted.
fn passed_over(told: &[Value]) -> [u64; 2] {
    let stats = last(told, "stats");
    ["shed_packets", "shed_frames"].map(|key| stats[key].as_u64().unwrap_or(0))
}

/// Writes the batches, in several files, and makes sure that whoever replays them is told what was told live.
fn replays_the_same(batches: &[Batch], live: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { path: folder.path().join("kept.pcapng"), every_bytes: Some(300_000), ..Plan::default() };
    let interface = Interface { name: "eth1".to_owned(), link: 1, snaplen: 0, filter: None };
    let mut recorder = Recorder::new(plan, &[interface], open_files());
    batches.iter().for_each(|batch| recorder.batch(batch, &[]));
    recorder.finish(batches.last().unwrap().chunk.frames.last().unwrap().ts);
    for chunk_bytes in [1 << 9, 1 << 18] {
        let replayed = told(|monitor, sink| {
            let mut source = Source::open(&[folder.path().to_owned()], chunk_bytes);
            let mut chunk = Chunk::default();
            while source.fill(&mut chunk) == Fill::More {
                monitor.shed(source.shed());
                monitor.chunk(&chunk, sink).unwrap();
            }
            assert!(source.take_problems().next().is_none());
        });
        assert_eq!(records(&replayed), records(live));
        assert_eq!(passed_over(&replayed), passed_over(live));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayscope"));
    let output = command.args(["replay", "--no-tui", "-q"]).arg(folder.path()).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(passed_over(&lines), passed_over(live));
    assert_eq!(records(&lines), records(live));
}

#[test]
fn bulk_that_was_passed_over_is_counted_and_passed_over_again() {
    let mut batches = batches(40);
    let whole = of_live(&batches);
    // the first frames, and some in between
    for (n, batch) in batches.iter_mut().enumerate() {
        batch.shed = if n % 5 == 4 { Shed::Nothing } else { Shed::Bulk };
    }
    let live = of_live(&batches);
    let (stats, before) = (last(&live, "stats"), last(&whole, "stats"));
    let [shed, frames] = passed_over(&live);
    assert!(shed > 100 && frames == 0 && passed_over(&whole) == [0; 2], "{stats}");
    assert_eq!(last(&live, "capture_quality")["shed_packets"], shed);
    assert_eq!((&stats["frames"], &stats["bytes"]), (&before["frames"], &before["bytes"]));
    let counts = |told: &[Value]| {
        let flows = told.iter().filter(|line| line["event_type"] == "flow");
        flows.map(|flow| [flow["flow"].clone(), flow["tcp"].clone(), flow["tls"]["sni"].clone()]).collect::<Vec<_>>()
    };
    assert_eq!(counts(&live), counts(&whole), "whatever is passed over, counters and names are what they were");
    replays_the_same(&batches, &live);
}

#[test]
fn strangers_are_passed_over_before_anything_of_the_system() {
    let mut batches = batches(40);
    let whole = of_live(&batches);
    // once it is known who is of the system
    let first = batches[0].chunk.frames[0].ts;
    for batch in batches.iter_mut().filter(|batch| batch.chunk.frames[0].ts.since(first) > 3 * SECOND) {
        batch.shed = Shed::Strangers;
    }
    let live = of_live(&batches);
    assert!(passed_over(&live)[0] > 0 && passed_over(&live)[1] == 0);
    assert!(!of_relay(&whole).is_empty());
    assert_eq!(of_relay(&live), of_relay(&whole));
    replays_the_same(&batches, &live);
}

#[test]
fn whatever_is_passed_over_all_frames_are_counted_and_a_replay_tells_the_same() {
    let mut batches = batches(40);
    let whole = of_live(&batches);
    for (n, batch) in batches.iter_mut().enumerate() {
        batch.shed = Shed::ALL[n * 7 % 11 % 4];
    }
    let live = of_live(&batches);
    let only_counted = batches.iter().filter(|batch| batch.shed == Shed::Everything);
    let only_counted: usize = only_counted.map(|batch| batch.from.len()).sum();
    assert_eq!(passed_over(&live)[1], only_counted as u64);
    for key in ["frames", "bytes"] {
        assert_eq!(last(&live, "stats")[key], last(&whole, "stats")[key]);
    }
    assert_eq!(last(&live, "capture_quality")["shed_frames"], only_counted);
    let lossy = |line: &&Value| line["event_type"] == "finding" && line["kind"] == "capture-drops";
    let claim = live.iter().rfind(lossy).expect("what was not analyzed is said as what was dropped is");
    assert!(claim["evidence"].to_string().contains("counted and not analyzed"), "{claim}");
    replays_the_same(&batches, &live);
}

#[test]
fn what_a_device_counts_is_counted_as_what_it_gives() {
    let mut batches = batches(40);
    for batch in batches.iter_mut().skip(5).step_by(3) {
        batch.shed = Shed::Everything;
    }
    let given = of_live(&batches);
    let counted = told(|monitor, sink| {
        for batch in &batches {
            if batch.shed == Shed::Everything {
                monitor.count(&batch.chunk.frames.iter().collect::<Tally>(), 1, sink).unwrap();
                // a device that stops has counted nothing more: that has no time
                monitor.count(&Tally::default(), 1, sink).unwrap();
            } else {
                monitor.chunk(&batch.chunk, sink).unwrap();
            }
        }
    });
    assert!(passed_over(&given)[1] > 100);
    let flows = |told: &[Value]| told.iter().filter(|line| line["event_type"] == "flow").cloned().collect::<Vec<_>>();
    assert_eq!(flows(&counted), flows(&given));
    for kind in ["stats", "capture_quality"] {
        let [counted, given] = [&counted, &given].map(|told| last(told, kind));
        for key in ["frames", "bytes", "shed_frames", "shed_packets", "cut_frames", "first", "last"] {
            assert_eq!(counted[key], given[key], "{kind} {key}");
        }
    }
}

#[test]
fn a_recorder_that_the_site_names_is_no_stranger() {
    let mut knowledge = Knowledge::new();
    knowledge.base.site.recorders.push("192.168.1.50".parse().unwrap());
    let mut batches = batches(40);
    let whole = told_by(&knowledge, |monitor, sink| take(&batches, monitor, sink));
    // from the first frame on, before anything was judged
    batches.iter_mut().for_each(|batch| batch.shed = Shed::Strangers);
    let live = told_by(&knowledge, |monitor, sink| take(&batches, monitor, sink));
    assert!(!of_relay(&whole).is_empty());
    assert_eq!(of_relay(&live), of_relay(&whole));
}

#[test]
fn what_has_nothing_to_inspect_is_not_passed_over() {
    let (near, far) = (("10.0.0.1", 50_000), ("192.0.2.1", 80));
    let asks =
        |seq: u32, text: &str| tcp(near.1, far.1).flags(0x18).seq(seq).ack(1).payload(text).ipv4(near.0, far.0).frame();
    let answers = || tcp(far.1, near.1).flags(0x10).seq(1).ack(33).ipv4(far.0, near.0).frame();
    let begun = [
        tcp(near.1, far.1).flags(2).seq(0).ipv4(near.0, far.0).frame(),
        tcp(far.1, near.1).flags(0x12).seq(0).ack(1).ipv4(far.0, near.0).frame(),
        asks(1, "GET / HTTP/1.1\r\n"),
    ];
    let goes_on = [answers(), asks(17, "Host: a.example\r\n"), answers(), answers()];
    let fresh = tcp(50_001, 80).flags(2).seq(0).ipv4(near.0, far.0).frame();
    let batch = |frames: &[Vec<u8>], from: u64, shed: Shed| {
        let mut batch = Batch::roomy(0);
        batch.shed = shed;
        for (bytes, n) in frames.iter().zip(from..) {
            let len = bytes.len() as u32;
            let ts = Timestamp(1_700_000_000 * SECOND + n * 20_000_000);
            assert!(batch.push(&Frame { ts, link: LinkType(1), len, bytes }, 0));
        }
        batch
    };
    let mut batches = vec![batch(&begun, 0, Shed::Nothing), batch(&goes_on, 3, Shed::Strangers)];
    assert_eq!(passed_over(&of_live(&batches)), [1, 0], "one of four had anything to inspect");
    batches.push(batch(&[fresh], 7, Shed::Strangers));
    assert_eq!(passed_over(&of_live(&batches)), [2, 0], "and nothing is known of one that is not followed");
}

#[test]
fn nobody_elses_words_pass_over_anything() {
    let mut batches = batches(40);
    batches.iter_mut().for_each(|batch| batch.shed = Shed::Everything);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    let plan = Plan { path: path.clone(), ..Plan::default() };
    let interface = Interface { name: "eth1".to_owned(), link: 1, snaplen: 0, filter: None };
    let mut recorder = Recorder::new(plan, &[interface], open_files());
    batches.iter().for_each(|batch| recorder.batch(batch, &[]));
    recorder.finish(batches.last().unwrap().chunk.frames.last().unwrap().ts);
    let stages = |path: &Path| {
        let (mut source, mut chunk) = (Source::open(&[path.to_owned()], 1 << 12), Chunk::default());
        let (mut frames, mut stages) = (0, Vec::new());
        while source.fill(&mut chunk) == Fill::More {
            frames += chunk.frames.len();
            stages.push(source.shed());
        }
        assert!(source.take_problems().next().is_none());
        (frames, stages.contains(&Shed::Everything))
    };
    let all = batches.iter().map(|batch| batch.from.len()).sum::<usize>();
    assert_eq!(stages(&path), (all, true));
    let mut bytes = std::fs::read(&path).unwrap();
    let own = bytes.windows(11).position(|name| name == b"relayscope ").unwrap();
    bytes[own..own + 11].copy_from_slice(b"dumpcapper ");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(stages(&path), (all, false));
}
