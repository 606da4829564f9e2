//! What is told of the lab's captures when the mirror spoils them: less may be found, but nothing that is not so.

mod support;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use relayscope::diagnose::scene::Scene;
use relayscope::diagnose::{capture, diagnose};
use relayscope::engine::Engine;
use relayscope::event::{CaptureQuality, FindingRecord, Kind};
use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Frame, LinkType, Source};
use relayscope::time::{MILLISECOND, Timestamp};
use serde_json::Value;
use support::knowledge::Knowledge;

/// A frame on Ethernet, with the length that it had on the wire.
#[derive(Clone)]
struct Taken {
    ts: Timestamp,
    len: u32,
    bytes: Vec<u8>,
}

impl Taken {
    /// Whether each end of an IPv4 packet is at the site, by its address.
    fn ends(&self) -> Option<[bool; 2]> {
        let inside = |at: usize| {
            let address: [u8; 4] = self.bytes.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(address).is_private())
        };
        (self.bytes.get(12..14)? == [0x08, 0x00]).then_some(())?;
        Some([inside(26)?, inside(30)?])
    }

    fn goes_out(&self) -> bool {
        self.ends() == Some([true, false])
    }

    fn comes_in(&self) -> bool {
        self.ends() == Some([false, true])
    }
}

/// What was made of a capture.
struct Told {
    name: String,
    /// The kinds that its truth lets be claimed, and those that it wants.
    may: Vec<String>,
    must: Vec<String>,
    /// What is claimed of the network.
    claims: Vec<String>,
    /// What is said of stalls, claim or hint, in words.
    stalls: Vec<String>,
    /// What is claimed of the capture itself.
    about_capture: Vec<Kind>,
    quality: CaptureQuality,
    poor: bool,
}

/// Captures of the lab on Ethernet, but those that are spoilt already.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let families = ["blocks", "healthy", "holds", "lookalikes", "paths", "ports", "proxies"];
    let files = families.iter().flat_map(|family| fs::read_dir(root.join(family)).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".pcapng.zst"));
    files.sort();
    assert!(files.len() > 100);
    files
}

fn taken(path: &Path) -> Vec<Taken> {
    let (mut source, mut chunk, mut all) =
        (Source::open(&[path.to_owned()], CHUNK_BYTES), Chunk::default(), Vec::new());
    while source.fill(&mut chunk) == Fill::More {
        let frames = chunk.frames.iter().filter_map(|at| chunk.frame(at));
        all.extend(frames.map(|frame| Taken { ts: frame.ts, len: frame.len, bytes: frame.bytes.to_vec() }));
    }
    all
}

fn told(known: &Knowledge, path: &Path, frames: &[Taken]) -> Told {
    let mut engine = Engine::new(&known.config);
    for Taken { ts, len, bytes } in frames {
        engine.frame(Frame { ts: *ts, link: LinkType(1), len: *len, bytes });
    }
    let analysis = engine.finish();
    let mut quality = analysis.quality([1].into_iter(), None, None, Vec::new());
    capture::advise(&mut quality, &known.rules);
    let naming = analysis.name(&known.base);
    let cases = analysis.cases(&naming);
    let scene = Scene { cases: &cases, rules: &known.rules, base: &known.base, quality: &quality };
    let findings = diagnose(&scene).findings;
    let claims = || findings.iter().filter(|finding| finding.is_claim());
    let name = path.file_name().unwrap().to_string_lossy().trim_end_matches(".pcapng.zst").to_owned();
    let truth: Value =
        serde_json::from_slice(&fs::read(path.with_file_name(format!("{name}.truth.json"))).unwrap()).unwrap();
    let kinds = |of: &str| {
        truth[of].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
    };
    let of_network = claims().filter(|finding| !capture::is_about_capture(finding.kind));
    let of_capture = claims().filter(|finding| capture::is_about_capture(finding.kind));
    Told {
        may: kinds("may"),
        must: kinds("must"),
        claims: of_network
            .map(|finding| serde_json::to_value(finding.kind).unwrap().as_str().unwrap().to_owned())
            .collect(),
        stalls: findings.iter().filter(|finding| finding.kind == Kind::ContentFilterStall).map(words).collect(),
        about_capture: of_capture.map(|finding| finding.kind).collect(),
        poor: capture::is_poor(&quality, &known.rules),
        quality,
        name,
    }
}

fn words(finding: &FindingRecord) -> String {
    finding.evidence.iter().map(|evidence| format!("{}; ", evidence.text)).collect()
}

/// What is told of each capture once it is spoilt, by name.
fn spoil(how: impl Fn(Vec<Taken>) -> Vec<Taken> + Sync) -> Vec<Told> {
    let (files, next, all) = (captures(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let known = Knowledge::new();
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let told = told(&known, path, &how(taken(path)));
                    all.lock().unwrap().push(told);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Claims that the truth knows nothing of.
fn wrong(all: &[Told]) -> Vec<(&str, &str)> {
    let of = |told: &'_ Told, kind: &String| !told.must.contains(kind) && !told.may.contains(kind);
    let wrong = |told| Told::claims(told).filter(move |kind| of(told, kind)).map(|kind| (&*told.name, &**kind));
    all.iter().flat_map(wrong).collect()
}

impl Told {
    fn claims(&self) -> impl Iterator<Item = &String> {
        self.claims.iter()
    }
}

/// The share of what is wanted that is claimed.
fn found(all: &[Told]) -> f64 {
    let wanted = || all.iter().flat_map(|told| told.must.iter().map(move |kind| (told, kind)));
    wanted().filter(|(told, kind)| told.claims.contains(kind)).count() as f64 / wanted().count() as f64
}

#[test]
fn what_the_site_sends_alone_shows_that_nothing_is_answered_and_that_this_is_the_mirrors_doing() {
    let all = spoil(|frames| frames.into_iter().filter(|frame| !frame.comes_in()).collect());
    assert_eq!(wrong(&all), []);
    for told in all.iter().filter(|told| told.quality.one_sided_flows >= 3) {
        assert_eq!(told.about_capture, [Kind::SpanOneSided], "{}", told.name);
        assert!(told.poor, "{}", told.name);
    }
    assert!(all.iter().filter(|told| told.poor).count() * 2 > all.len());
    let praised = |told: &Told| told.quality.advice.starts_with("The capture is sound");
    assert!(all.iter().all(|told| told.quality.one_sided_share <= 0.5 || !praised(told)));
}

#[test]
fn one_direction_a_millisecond_late_hides_little_and_invents_nothing() {
    let late = |way: fn(&Taken) -> bool| {
        move |mut frames: Vec<Taken>| {
            let later = frames.iter_mut().filter(|frame| way(frame));
            later.for_each(|frame| frame.ts = frame.ts.after(MILLISECOND));
            frames.sort_by_key(|frame| frame.ts);
            frames
        }
    };
    for all in [spoil(late(Taken::comes_in)), spoil(late(Taken::goes_out))] {
        assert_eq!(wrong(&all), []);
        assert!(found(&all) > 0.9, "{}", found(&all));
        assert!(all.iter().all(|told| told.about_capture.is_empty()));
    }
}

#[test]
fn frames_that_are_cut_tell_stalls_by_their_headers_and_invent_nothing() {
    for at in [256, 128] {
        let all = spoil(|mut frames| {
            frames.iter_mut().for_each(|taken| taken.bytes.truncate(at));
            frames
        });
        assert_eq!(wrong(&all), [], "{at}");
        let held = || all.iter().filter(|told| told.must.iter().any(|kind| kind == "content-filter-stall"));
        let claimed = held().filter(|told| told.claims().any(|kind| kind == "content-filter-stall")).count();
        assert!(claimed * 3 >= held().count() * 2, "{at}: {claimed} of {}", held().count());
        // those of flows of which a frame was cut say so
        let why = format!("frames are cut at {at} bytes");
        assert!(held().flat_map(|told| &told.stalls).filter(|stall| stall.contains(&why)).count() * 3 >= claimed);
        assert!(all.iter().all(|told| told.quality.cut_frames == 0 || told.quality.cut_at == at as u64));
    }
}

/// Numbers that look like chance, the same in every run.
fn chance(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn frames_mixed_up_within_one_direction_hide_little_and_look_like_no_loss() {
    // as by the queues of a card, each read by itself: with the times of reading, and with those of arrival
    for (most, stamped) in [(50_000, true), (500_000, true), (2 * MILLISECOND, true), (2 * MILLISECOND, false)] {
        for way in [Taken::comes_in as fn(&Taken) -> bool, Taken::goes_out] {
            let all = spoil(|frames| {
                let mut chance = chance(frames.len() as u64);
                let late = |taken: Taken| {
                    let read = taken.ts.after(if way(&taken) { chance() % most } else { 0 });
                    (read, Taken { ts: if stamped { read } else { taken.ts }, ..taken })
                };
                let mut mixed: Vec<(Timestamp, Taken)> = frames.into_iter().map(late).collect();
                mixed.sort_by_key(|(read, _)| *read);
                mixed.into_iter().map(|(_, taken)| taken).collect()
            });
            // beyond a connection's whole life its beginning and its end may change places
            let soon = most < MILLISECOND;
            let wrong: Vec<_> = wrong(&all).into_iter().filter(|(_, kind)| soon || *kind == "lossy-path").collect();
            assert_eq!(wrong, [], "{most} {stamped}");
            assert!(found(&all) > 0.85, "{most} {stamped}: {}", found(&all));
        }
    }
}

#[test]
fn a_capture_that_is_not_in_order_is_no_ground_for_a_claim() {
    let all = spoil(|frames| frames.into_iter().rev().collect());
    assert_eq!(wrong(&all), []);
    for told in &all {
        assert!(told.claims.is_empty() || !told.poor, "{}: {:?}", told.name, told.claims);
        assert_eq!(told.poor, told.quality.advice.contains("put its frames in order first"), "{}", told.name);
    }
    // where no flow lasts for a second nothing tells it from captures that stand one behind the other
    assert!(all.iter().filter(|told| told.poor).count() > 100);
    // two captures of the same time, one behind the other, that share no flow
    let twice = spoil(|mut frames| {
        frames.retain(|taken| taken.ends().is_some());
        let elsewhere = |taken: &Taken| {
            let mut other = taken.clone();
            [29, 33].into_iter().for_each(|at| other.bytes[at] ^= 0x40);
            other
        };
        let other = frames.iter().map(elsewhere);
        frames.iter().cloned().chain(other).collect()
    });
    assert!(twice.iter().all(|told| !told.quality.advice.starts_with("Time runs back")));
    // as much as two devices of one machine are apart is none of it
    let apart = spoil(|mut frames| {
        let odd: Vec<bool> = frames.iter().map(Taken::goes_out).collect();
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.sort_by_key(|at| frames[*at].ts.after(if odd[*at] { 300 * MILLISECOND } else { 0 }));
        order
            .into_iter()
            .map(|at| std::mem::replace(&mut frames[at], Taken { ts: Timestamp(0), len: 0, bytes: vec![] }))
            .collect()
    });
    assert!(apart.iter().all(|told| told.quality.earlier_frames == 0));
}
