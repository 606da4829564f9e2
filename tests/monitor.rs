//! Captures told as they happened: the same packets give the same bytes in whatever pieces they come, every state of a
//! finding follows from the one before, and what stands in the end is what an analysis of the whole finds.
//!
//! `cargo test --test monitor -- --nocapture` prints every difference that is let pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use relayscope::classify::site::Site;
use relayscope::classify::watch::Watch;
use relayscope::diagnose::rules::Rules;
use relayscope::diagnose::scene::Scene;
use relayscope::diagnose::{capture, diagnose};
use relayscope::engine::naming::KnowledgeBase;
use relayscope::engine::{Config, Engine};
use relayscope::monitor::{Losses, Monitor, Options, Settings};
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Source};
use serde_json::Value;

/// What every run goes by.
struct Knowledge {
    base: KnowledgeBase,
    rules: Rules,
    config: Config,
}

impl Knowledge {
    fn new() -> Self {
        let base = KnowledgeBase::new(None, Site::default()).unwrap();
        let rules = Rules::embedded().unwrap();
        let flow = relayscope::flow::Config { rates: base.thresholds, ..Default::default() };
        let watch = Watch::of(&base.catalogue).into();
        let config = Config { flow, records: true, watch, secret: 7, ..Config::default() };
        Knowledge { base, rules, config }
    }

    fn monitor(&self) -> Monitor<'_> {
        let options = Options { filter: None, diagnose: true, settings: Settings::embedded().unwrap() };
        Monitor::new(&self.config, &self.base, &self.rules, options)
    }

    /// What a monitor tells of a capture that is read so many bytes at a time; frame by frame if that is none.
    fn told(&self, path: &Path, chunk_bytes: Option<usize>) -> Vec<u8> {
        let mut source = Source::open(&[path.to_owned()], chunk_bytes.unwrap_or(1 << 16));
        let (mut monitor, mut sink, mut chunk) = (self.monitor(), Ndjson::new(Vec::new()), Chunk::default());
        while source.fill(&mut chunk) == Fill::More {
            match chunk_bytes {
                Some(_) => monitor.chunk(&chunk, &mut sink).unwrap(),
                None => {
                    for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
                        monitor.frame(frame, &mut sink).unwrap();
                        // that somebody looks changes nothing
                        assert!(monitor.look().stats.frames > 0);
                    }
                }
            }
        }
        let facts = source.facts();
        let (kernel_drops, interface_drops) = (facts.kernel_drops, facts.interface_drops);
        monitor.lose(Losses { kernel_drops, interface_drops, ..Losses::default() });
        monitor.finish(&mut sink).unwrap();
        sink.finish().unwrap()
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
        quality.advice = capture::advice(&quality, &self.rules);
        let naming = analysis.name(&self.base);
        let cases = analysis.cases(&naming);
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

/// Every capture of the repository.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.push(root);
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<PathBuf> = files
        .filter(|path| [".pcapng", ".pcapng.zst"].iter().any(|end| path.to_string_lossy().ends_with(end)))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Does something with each of all captures, on as many threads as there are processors.
fn each(files: &[PathBuf], check: impl Fn(&Path) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(path);
                }
            });
        }
    });
}

fn records(told: &[u8]) -> Vec<Value> {
    let lines = told.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn any_pieces_give_the_same_bytes() {
    let knowledge = Knowledge::new();
    let some: Vec<PathBuf> = captures().into_iter().step_by(7).collect();
    each(&some, |path| {
        let whole = knowledge.told(path, Some(1 << 18));
        for pieces in [Some(1 << 10), None] {
            let told = knowledge.told(path, pieces);
            if let Some((one, other)) = records(&whole).iter().zip(&records(&told)).find(|(one, other)| one != other) {
                panic!("{}, {pieces:?}:\n  {one}\n  {other}", path.display());
            }
            assert!(whole == told, "{}, {pieces:?}", path.display());
        }
    });
}

/// Findings that an analysis has and no monitor, or the other way round, each with the reason.
const ONLY_ONE: &[(&str, &str)] = &[];

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
            raised.fetch_add(usize::from(now == "raised"), Ordering::Relaxed);
            if now == "withdrawn" {
                withdrawn.fetch_add(1, Ordering::Relaxed);
                println!(
                    "{name}: withdrawn {} {} {} {}",
                    finding["rule"], finding["mode"], finding["confidence"], finding["title"]
                );
            }
        }
        let standing: BTreeSet<&str> = state.iter().filter(|(_, now)| **now == "ended").map(|(id, _)| *id).collect();
        let found: BTreeSet<&str> = findings.keys().map(String::as_str).collect();
        assert!(state.values().all(|now| matches!(*now, "ended" | "withdrawn")), "{name}: {state:?}");
        if !ONLY_ONE.iter().any(|(capture, _)| name.starts_with(capture)) {
            assert_eq!(standing, found, "{name}");
        }
    });
    println!("{} findings were raised, {} of them withdrawn", raised.into_inner(), withdrawn.into_inner());
}
