//! Captures told as they happened: the same packets give the same bytes in whatever pieces they come, every state of a
//! finding follows from the one before, and what stands in the end is what an analysis of the whole finds.
//!
//! `cargo test --test monitor -- --nocapture` prints every difference that is let pass.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use relayscope::diagnose::scene::Scene;
use relayscope::diagnose::{capture, diagnose};
use relayscope::engine::analysis::Analysis;
use relayscope::engine::case::{Case, Cases};
use relayscope::engine::{Engine, Keep};
use relayscope::flow::Flow;
use relayscope::monitor::Monitor;
use relayscope::pcapng;
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Frame, LinkType, Source};
use relayscope::time::Timestamp;
use serde_json::Value;
use support::knowledge::Knowledge;
use support::lab::{captures, each, records};
use support::tape::{BEGIN, SECOND, Tape};
use support::{SYN, dns, tcp, udp};

impl Knowledge {
    /// Puts cases down anew, and brings those of before up to date; gives them if they are the same. Counts flows to
    /// which nothing happened since.
    fn compare(&self, analysis: &Analysis, before: Cases, kept: &AtomicUsize) -> Cases {
        let naming = analysis.name(&self.base);
        let stamps: BTreeMap<u64, _> = before.flows.iter().map(|case| (case.identity.flow_id, case.stamp)).collect();
        let (anew, again) = (analysis.cases(&naming), analysis.cases_again(&naming, before));
        assert_same(&anew.flows, &again.flows);
        assert_same(&anew.dns, &again.dns);
        let is_kept = |case: &&Case| stamps.get(&case.identity.flow_id) == Some(&case.stamp);
        kept.fetch_add(again.flows.iter().filter(is_kept).count(), Ordering::Relaxed);
        let found = |cases| {
            let quality = analysis.quality([1].into_iter(), None, None, Vec::new());
            diagnose(&Scene { cases, rules: &self.rules, base: &self.base, quality: &quality })
        };
        assert_eq!(format!("{:?}", found(&anew)), format!("{:?}", found(&again)));
        again
    }

    /// The flows and findings of an analysis of the whole capture.
    fn analyzed(&self, path: &Path) -> (BTreeMap<u64, Value>, BTreeMap<String, Value>) {
        let mut source = Source::open(&[path.to_owned()], 1 << 18);
        let (mut engine, mut chunk) = (Engine::new(&self.config), Chunk::default());
        while source.fill(&mut chunk) == Fill::More {
            engine.chunk(&chunk);
        }
        let (analysis, facts) = (engine.finish(), source.facts());
        let links = facts.links.keys().map(|link| link.0);
        let mut quality = analysis.quality(links, facts.kernel_drops, facts.interface_drops, Vec::new());
        capture::advise(&mut quality, &self.rules);
        let naming = analysis.name(&self.base);
        let mut cases = analysis.cases(&naming);
        cases.last = facts.ended(cases.last);
        let scene = Scene { cases: &cases, rules: &self.rules, base: &self.base, quality: &quality };
        let findings = diagnose(&scene).findings;
        let flows = analysis.in_order().into_iter().map(|at| {
            let view = analysis.view(at, &naming).unwrap();
            let record = view.record(&view.verdict(&view.facts()));
            (record.flow_id, serde_json::to_value(record).unwrap())
        });
        let findings = findings.into_iter().map(|f| (f.id.clone(), serde_json::to_value(f).unwrap()));
        (flows.collect(), findings.collect())
    }
}

/// Checks that cases are the same in every part.
fn assert_same<T: std::fmt::Debug>(one: &[T], other: &[T]) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

#[test]
fn any_pieces_give_the_same_bytes() {
    for (knowledge, from) in [(Knowledge::new(), 0), (Knowledge::busy(), 3)] {
        let some: Vec<PathBuf> = captures().into_iter().skip(from).step_by(7).collect();
        each(&some, |path| {
            let whole = knowledge.told(path, Some(1 << 18));
            for pieces in [Some(1 << 10), None] {
                let told = knowledge.told(path, pieces);
                let (whole_records, told_records) = (records(&whole), records(&told));
                if let Some((one, other)) = whole_records.iter().zip(&told_records).find(|(one, other)| one != other) {
                    panic!("{}, {pieces:?}:\n  {one}\n  {other}", path.display());
                }
                assert!(whole == told, "{}, {pieces:?}", path.display());
            }
        });
    }
}

/// A monitor and its source, forked anywhere, tell from there what those tell that they come from.
#[test]
fn a_fork_goes_on_as_the_one_that_it_comes_from() {
    let [knowledge, busy] = [Knowledge::new(), Knowledge::busy()];
    let some: Vec<PathBuf> = captures().into_iter().step_by(5).collect();
    let dir = tempfile::TempDir::new().unwrap();
    each(&some, |path| {
        // what is packed cannot be forked
        let plain = dir.path().join(path.file_name().unwrap()).with_extension("");
        let bytes = fs::read(path).unwrap();
        let packed = path.extension().is_some_and(|end| end == "zst");
        fs::write(&plain, if packed { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }).unwrap();
        let (mut source, mut chunk) = (Source::open(std::slice::from_ref(&plain), 1 << 12), Chunk::default());
        let bytes = fs::metadata(&plain).unwrap().len();
        let mut monitor = if bytes.is_multiple_of(2) { &busy } else { &knowledge }.monitor();
        let half = bytes / 2;
        let mut sink = Ndjson::new(Vec::new());
        while source.progress().bytes_read < half && source.fill(&mut chunk) == Fill::More {
            monitor.chunk(&chunk, &mut sink).unwrap();
        }
        let (fork, forked) = (monitor.fork(), source.fork().unwrap());
        let tell = |mut monitor: Monitor<'_>, mut source: Source| {
            let (mut sink, mut chunk) = (Ndjson::new(Vec::new()), Chunk::default());
            while source.fill(&mut chunk) == Fill::More {
                monitor.chunk(&chunk, &mut sink).unwrap();
            }
            monitor.finish(&mut sink).unwrap();
            (sink.finish().unwrap(), source.facts(), source.progress())
        };
        // the fork last: that the other has gone on changes nothing for it, and that somebody looks at it does not
        // either
        let told = tell(monitor, source);
        let mut fork = fork;
        assert!(fork.look().stats.frames > 0);
        let again = tell(fork, forked);
        assert!(!told.0.is_empty(), "{}", path.display());
        // a copy has no room to spare, so what it holds is less
        let records = |told: &[u8]| {
            let mut records = records(told);
            records.iter_mut().filter_map(Value::as_object_mut).for_each(|record| _ = record.remove("memory_bytes"));
            records
        };
        assert_eq!((records(&told.0), told.1, told.2), (records(&again.0), again.1, again.2), "{}", path.display());
        fs::remove_file(&plain).unwrap();
    });
}

/// Xorshift (Marsaglia): the same changes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Frames whose bytes and times were changed here and there: none is lost, each flow ends once, states follow, and the
/// pieces that they come in, and that memory is scarce, change nothing of that.
#[test]
fn hostile_captures_are_told_as_any() {
    let knowledge = Knowledge::new();
    let capture = captures().into_iter().find(|path| path.ends_with("first-view.pcapng")).unwrap();
    let mut chunk = Chunk::default();
    let mut source = Source::open(&[capture], 1 << 22);
    assert_eq!(source.fill(&mut chunk), Fill::More);
    let mut random = Random(0x9e37_79b9);
    for _ in 0..6 {
        let mut changed = Chunk { buf: chunk.buf.clone(), frames: chunk.frames.clone() };
        for _ in 0..200 {
            let at = random.below(changed.buf.len() as u64) as usize;
            changed.buf[at] = random.below(256) as u8;
        }
        for _ in 0..20 {
            let at = random.below(changed.frames.len() as u64) as usize;
            let most = 1 << (10 + random.below(53));
            let shift = random.below(most);
            let ts = &mut changed.frames[at].ts.0;
            *ts = if random.below(2) == 0 { ts.wrapping_add(shift) } else { ts.saturating_sub(shift) };
        }
        let mut whole = Ndjson::new(Vec::new());
        let mut monitor = knowledge.monitor();
        monitor.chunk(&changed, &mut whole).unwrap();
        monitor.finish(&mut whole).unwrap();
        let whole = whole.finish().unwrap();
        let mut single = Ndjson::new(Vec::new());
        let mut monitor = knowledge.monitor();
        for frame in changed.frames.iter().filter_map(|at| changed.frame(at)) {
            monitor.frame(frame, &mut single).unwrap();
        }
        monitor.finish(&mut single).unwrap();
        assert!(whole == single.finish().unwrap());
        let told = records(&whole);
        follows(&told, "changed");
        let ended: Vec<&Value> =
            told.iter().filter(|r| r["event_type"] == "flow" && r["flow"]["interim"] != true).collect();
        let ids: BTreeSet<&str> = ended.iter().map(|flow| flow["community_id"].as_str().unwrap()).collect();
        assert!(!ids.is_empty());
        let packets = |key: &str| ended.iter().map(|flow| flow["flow"][key].as_u64().unwrap()).sum::<u64>();
        let quality = told.iter().rfind(|r| r["event_type"] == "capture_quality").unwrap();
        let undecoded = quality["undecoded"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
        assert_eq!(packets("pkts_toserver") + packets("pkts_toclient") + undecoded, changed.frames.len() as u64);
    }
}

/// Whether each state of a finding follows from the one before; how each stands in the end.
fn follows<'t>(told: &'t [Value], name: &str) -> BTreeMap<&'t str, &'t str> {
    let mut state: BTreeMap<&str, &str> = BTreeMap::new();
    for finding in told.iter().filter(|r| r["event_type"] == "finding") {
        let id = finding["id"].as_str().unwrap();
        let now = finding["state"].as_str().unwrap();
        let before = state.insert(id, now);
        let follows = match before {
            None | Some("withdrawn") => now == "raised",
            Some("ended") => now == "raised" || now == "withdrawn",
            Some(_) => now != "raised",
        };
        assert!(follows, "{name}: {before:?}, then {now}: {finding}");
    }
    assert!(state.values().all(|now| matches!(*now, "ended" | "withdrawn")), "{name}: {state:?}");
    state
}

#[test]
fn in_the_end_it_is_what_an_analysis_finds() {
    let knowledge = Knowledge::new();
    let withdrawn = AtomicUsize::new(0);
    let raised = AtomicUsize::new(0);
    each(&captures(), |path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let told = records(&knowledge.told(path, Some(1 << 18)));
        let (flows, findings) = knowledge.analyzed(path);
        let mut ended: BTreeMap<u64, &Value> = BTreeMap::new();
        for flow in told.iter().filter(|r| r["event_type"] == "flow" && r["flow"]["interim"] != true) {
            let before = ended.insert(flow["flow_id"].as_u64().unwrap(), flow);
            assert!(before.is_none(), "{name}: told twice: {flow}");
        }
        assert!(ended.keys().eq(flows.keys()), "{name}: every flow is told once");
        for (id, flow) in &flows {
            // what was learnt later may name it better
            let counts = |flow: &Value| ["flow", "tcp", "tls", "dns", "http", "stun"].map(|part| flow[part].clone());
            assert_eq!(counts(ended[id]), counts(flow), "{name}");
            if ended[id]["class"] != flow["class"] {
                println!("{name}: {} was {} when it ended, in the end {}", id, ended[id]["class"], flow["class"]);
            }
        }
        let state = follows(&told, &name);
        for finding in told.iter().filter(|r| r["event_type"] == "finding") {
            raised.fetch_add(usize::from(finding["state"] == "raised"), Ordering::Relaxed);
            if finding["state"] == "withdrawn" {
                withdrawn.fetch_add(1, Ordering::Relaxed);
                let part = |key: &str| finding[key].to_string();
                println!("{name}: withdrawn {}", ["rule", "mode", "confidence", "title"].map(part).join(" "));
            }
        }
        let standing: BTreeSet<&str> = state.iter().filter(|(_, now)| **now == "ended").map(|(id, _)| *id).collect();
        let found: BTreeSet<&str> = findings.keys().map(String::as_str).collect();
        assert_eq!(standing, found, "{name}");
    });
    println!("{} findings were raised, {} of them withdrawn", raised.into_inner(), withdrawn.into_inner());
}

/// Cases that are brought up to date from one moment to the next, with flows let go of in between, are those that would
/// be put down anew; so is what is found of them. Moments are anywhere, and of every other capture bytes were changed.
#[test]
fn what_is_brought_up_to_date_is_what_is_put_down_anew() {
    const APART: u64 = 6 * SECOND;
    let knowledge = Knowledge::new();
    let kept = AtomicUsize::new(0);
    each(&captures(), |path| {
        let mut source = Source::open(&[path.to_owned()], 1 << 16);
        let (mut engine, mut chunk) = (Engine::new(&knowledge.config), Chunk::default());
        let (mut next, mut before, mut moments) = (Timestamp(0), Cases::default(), 0);
        let name = path.file_name().unwrap().as_encoded_bytes();
        let mut random =
            Random(name.iter().fold(1u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte))));
        let damage = random.below(2) as usize;
        while source.fill(&mut chunk) == Fill::More {
            for _ in 0..damage * chunk.frames.len() / 8 {
                let at = random.below(chunk.buf.len() as u64) as usize;
                chunk.buf[at] = random.below(256) as u8;
            }
            for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
                if frame.ts >= next {
                    next = frame.ts.after(random.below(APART));
                    before = knowledge.compare(engine.stand(frame.ts), before, &kept);
                    moments += 1;
                    if moments % 5 == 0 {
                        let young = |flow: &Flow| !flow.ended() || frame.ts.since(flow.last) < 60 * SECOND;
                        let all = Timestamp(0);
                        engine.compact(&Keep { flow: &young, answers: all, names: all, room: usize::MAX });
                    }
                }
                engine.frame(frame);
            }
        }
        knowledge.compare(engine.end(), before, &kept);
    });
    assert!(kept.into_inner() > 1_000, "flows to which nothing happened");
}

#[test]
fn long_flows_are_told_at_intervals_and_clocks_may_jump() {
    let knowledge = Knowledge::new();
    let mut tape = Tape::new(knowledge.monitor());
    for n in 0..1_000u32 {
        let data = tcp(40_000, 443).seq(1 + n * 10).ack(1).payload([7; 10]).ipv4("10.0.0.2", "203.0.113.9");
        tape.frame(u64::from(n) * 1_000, data);
    }
    // set back by an hour, then on to the end of time
    let late = |n: u16| udp(5_000 + n, 6_000).payload([1; 8]).ipv4("10.0.0.3", "203.0.113.9");
    let back = Timestamp(BEGIN - 3_600 * SECOND);
    for (n, ts) in
        [(0, back), (1, back.after(90 * SECOND)), (2, Timestamp(u64::MAX - 1)), (3, back.after(100 * SECOND))]
    {
        let bytes = late(n).frame();
        let frame = Frame { ts, link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
        tape.monitor.frame(frame, &mut tape.sink).unwrap();
    }
    tape.monitor.finish(&mut tape.sink).unwrap();
    let told = records(&tape.sink.finish().unwrap());
    let of = |port: u64| told.iter().filter(move |r| r["event_type"] == "flow" && r["src_port"] == port);
    let interim: Vec<(bool, u64)> =
        of(40_000).map(|r| (r["flow"]["interim"] == true, r["flow"]["pkts_toserver"].as_u64().unwrap())).collect();
    assert_eq!(interim, [(true, 300), (true, 600), (true, 900), (true, 1_000), (false, 1_000)]);
    assert!((5_000..5_004).all(|port| of(port).filter(|r| r["flow"]["interim"] != true).count() == 1));
    assert!(told.len() < 3_000, "{} records", told.len());
    let mut intervals = told.iter().map(|r| &r["interval"]).filter(|interval| interval["frames"].as_u64() > Some(0));
    assert!(intervals.clone().count() > 0);
    assert!(intervals.clone().all(|interval| interval["seconds"].as_f64() > Some(0.0)), "{:?}", intervals.next_back());
}

#[test]
fn a_capture_that_says_when_it_ended_is_judged_until_then() {
    let knowledge = Knowledge::new();
    let silent = |seconds: u64| {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("silent.pcapng");
        let mut writer = pcapng::Writer::new(fs::File::create(&path).unwrap(), &pcapng::Section::default()).unwrap();
        let port = pcapng::Interface { link: LinkType(1), snaplen: 0, name: None, filter: None };
        let port = writer.interface(&port).unwrap();
        // a SYN to the vendor's API that nobody answers, three times
        let name = "restapi.gp4f.com";
        let frames = [
            udp(5_000, 53).payload(dns(7, name, None)).ipv4("192.168.1.50", "192.168.1.1"),
            udp(53, 5_000).payload(dns(7, name, Some([203, 0, 113, 9]))).ipv4("192.168.1.1", "192.168.1.50"),
            tcp(40_000, 443).seq(1).flags(SYN).ipv4("192.168.1.50", "203.0.113.9"),
            tcp(40_000, 443).seq(1).flags(SYN).ipv4("192.168.1.50", "203.0.113.9"),
        ];
        let ts = |n: u64| Timestamp(BEGIN + n * SECOND / 2);
        for (packet, n) in frames.iter().zip(0..) {
            let bytes = packet.frame();
            let frame = Frame { ts: ts(n), link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
            writer.frame(port, &frame, &[]).unwrap();
        }
        let end = Some(ts(3).after(seconds * SECOND));
        writer.statistics(port, &pcapng::Statistics { time: ts(3), end, ..Default::default() }).unwrap();
        let told = records(&knowledge.told(&path, Some(1 << 16)));
        let (_, found) = knowledge.analyzed(&path);
        let ticks = told.iter().filter(|r| r["event_type"] == "stats").count();
        (ticks, found.len(), told.iter().filter(|r| r["state"] == "ended").count())
    };
    let (few, _, _) = silent(0);
    let (more, found, ended) = silent(60);
    assert!(more > few + 4 && found == ended, "{few} {more} {found} {ended}");
    // nobody captures for years
    assert_eq!(silent(100 * 365 * 86_400).0, few);
}
