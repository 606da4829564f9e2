//! The lab's captures, played in real time into `live`: what is found of them is told as it happens, and what was kept
//! tells the same again.
//!
//! `cargo test --test live_lab -- --ignored --nocapture` plays every capture of which something is claimed, some
//! minutes long, and prints how late each finding was told.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use relayscope::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, State, Stats};
use relayscope::monitor::Sink;
use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Source};
use relayscope::time::Timestamp;
use serde_json::Value;
use support::knowledge::Knowledge;
use support::live::{Live, in_namespace, link, relayscope, sender, told};

/// How late a finding may be told, by the time at which its rule is met.
const LATE: Duration = Duration::from_secs(2);
/// How many captures are played at a time.
const AT_ONCE: usize = 12;

/// A frame, and when it is sent after the first.
type Sent = (Duration, Vec<u8>);

/// A claim, by its rule and the ends of its leading flow; and when it is raised, after the first frame.
type Claim = (String, Duration);

/// What is claimed for the first time: raised as a claim, or as less and then updated to one.
#[derive(Default)]
struct Raised {
    news: Vec<String>,
    known: BTreeSet<String>,
}

impl Sink for Raised {
    type Error = Infallible;

    fn flow(&mut self, _: &FlowRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }

    fn session(&mut self, _: &SessionRecord) -> Result<(), Infallible> {
        Ok(())
    }

    fn finding(&mut self, record: &FindingRecord) -> Result<(), Infallible> {
        if matches!(record.state, Some(State::Raised | State::Updated)) && record.is_claim() {
            let name = name(&serde_json::to_value(record).unwrap());
            self.news.extend(self.known.insert(name.clone()).then_some(name));
        }
        Ok(())
    }

    fn capture_quality(&mut self, _: &CaptureQuality) -> Result<(), Infallible> {
        Ok(())
    }

    fn stats(&mut self, _: &Stats) -> Result<(), Infallible> {
        Ok(())
    }
}

fn name(finding: &Value) -> String {
    ["rule", "src_ip", "src_port", "dest_ip", "dest_port"].map(|key| finding[key].to_string()).join(" ")
}

/// A capture's frames; none if there is one that Ethernet does not send.
fn frames(path: &Path) -> Vec<Sent> {
    let (mut source, mut chunk) = (Source::open(&[path.to_owned()], CHUNK_BYTES), Chunk::default());
    let (mut frames, mut first) = (Vec::new(), None);
    while source.fill(&mut chunk) == Fill::More {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            if !(14..=1_514).contains(&frame.bytes.len()) || frame.link.0 != 1 {
                return Vec::new();
            }
            let first: Timestamp = *first.get_or_insert(frame.ts);
            frames.push((Duration::from_nanos(frame.ts.since(first)), frame.bytes.to_vec()));
        }
    }
    frames
}

/// What is claimed of frames, when they come as they did and time goes on in between. A second of packet time begins
/// with the first frame: what ticks bring is told by the end of each.
fn claims(frames: &[Sent]) -> Vec<Claim> {
    claims_after(frames, Duration::ZERO)
}

/// The same, so long after a second of packet time has begun.
fn claims_after(frames: &[Sent], begun: Duration) -> Vec<Claim> {
    const BEGIN: u64 = 1_700_000_000_000_000_000;
    let knowledge = Knowledge::new();
    let (mut monitor, mut raised) = (knowledge.monitor(), Raised::default());
    let (mut claims, mut now) = (Vec::new(), Duration::ZERO);
    let time = |at: Duration| Timestamp(BEGIN + (begun + at).as_nanos() as u64);
    for (at, bytes) in frames {
        while now < *at {
            now = (now + Duration::from_millis(100)).min(*at);
            let Ok(()) = monitor.advance(time(now), &mut raised);
            claims.extend(raised.news.drain(..).map(|name| (name, now)));
        }
        let frame = relayscope::source::Frame {
            ts: time(*at),
            link: relayscope::source::LinkType(1),
            len: bytes.len() as u32,
            bytes,
        };
        let Ok(()) = monitor.frame(frame, &mut raised);
    }
    claims
}

/// Plays frames into `live` until a moment; gives when each line with a claim was there, after the first frame was
/// sent. What `live` has kept tells the same again.
fn play(frames: &[Sent], until: Duration, from: &str, to: &str) -> Vec<Claim> {
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", to, "-w", "kept.pcapng"]);
    let mut wire = sender(from);
    let (begun, mut seen) = (now(), Vec::<Claim>::new());
    let mut look = || {
        let told = fs::read_to_string(folder.path().join("out")).unwrap();
        let lines = told.rsplit_once('\n').map(|(whole, _)| whole.lines()).into_iter().flatten();
        let claimed = |line: &Value| {
            let state = line["state"].as_str().is_some_and(|state| matches!(state, "raised" | "updated"));
            state && line["confidence"].as_f64() >= Some(0.55)
        };
        for line in lines.filter_map(|line| serde_json::from_str(line).ok()).filter(claimed) {
            let name = name(&line);
            if seen.iter().all(|(known, _)| *known != name) {
                seen.push((name, begun.elapsed()));
            }
        }
    };
    for (at, bytes) in frames.iter().take_while(|(at, _)| *at <= until) {
        while let Some(left) = at.checked_sub(begun.elapsed()).filter(|left| *left > Duration::from_millis(1)) {
            look();
            sleep(left.min(Duration::from_millis(50)));
        }
        wire.sendpacket(bytes.as_slice()).unwrap();
    }
    while let Some(left) = until.checked_sub(begun.elapsed()) {
        look();
        sleep(left.min(Duration::from_millis(50)));
    }
    look();
    let (code, live, err) = live.end();
    assert_eq!(code, Some(130), "{err}");
    let replayed =
        relayscope().args(["replay", "--no-tui", "-q"]).arg(folder.path().join("kept.pcapng")).output().unwrap();
    let replayed = String::from_utf8(replayed.stdout).unwrap();
    assert_eq!(support::live::told(&live), told(&replayed), "{err}");
    seen
}

#[expect(clippy::disallowed_methods, reason = "captures are played in real time")]
fn now() -> Instant {
    Instant::now()
}

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("captures/{name}.pcapng.zst"))
}

#[test]
fn wherever_ticks_fall_the_same_is_claimed() {
    let frames = frames(&capture("paths/ipv6-broken-recorder"));
    let rules = |tenth: u32| {
        let claimed = claims_after(&frames, Duration::from_millis(100) * tenth);
        claimed.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..10).map(rules).collect();
    assert!(matches!(&all[0][..], [only] if only.starts_with("\"D-35\"")), "{all:#?}");
    assert!(all.iter().all(|claimed| *claimed == all[0]), "{all:#?}");
}

#[test]
fn a_fault_is_told_while_it_lasts() {
    if !in_namespace("a_fault_is_told_while_it_lasts") {
        return;
    }
    let names =
        ["holds/trickle-doubling-viewer", "holds/hold-pool-viewer", "holds/wall-recorder", "dns/dns-refused-recorder"];
    std::thread::scope(|scope| {
        for (n, name) in names.into_iter().enumerate() {
            let (from, to) = (format!("a{n}"), format!("b{n}"));
            link(&from, &to);
            scope.spawn(move || {
                let frames = frames(&capture(name));
                let wanted = claims(&frames);
                // on a machine that has other things to do the lines may be late: that they come without more frames
                // counts
                let last = wanted.iter().map(|(_, at)| *at).max().expect("something is claimed");
                let told = play(&frames, last + 5 * LATE, &from, &to);
                for (claim, at) in &wanted {
                    assert!(told.iter().any(|(name, _)| name == claim), "{name}: {claim} at {at:?}: {told:?}");
                }
            });
        }
    });
}

/// Every capture of which something is claimed, in real time: each claim is there two seconds after its rule is met.
#[test]
#[ignore = "takes some minutes, and a machine that has little else to do"]
fn every_fault_is_told_in_time() {
    if !in_namespace("every_fault_is_told_in_time") {
        return;
    }
    let mut all = Vec::new();
    let folders = fs::read_dir(capture("x").parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.to_string_lossy().ends_with(".pcapng.zst")) {
            let frames = frames(&path);
            let claims = claims(&frames);
            if !claims.is_empty() {
                all.push((path, frames, claims));
            }
        }
    }
    for n in 0..AT_ONCE {
        link(&format!("a{n}"), &format!("b{n}"));
    }
    let (mut told, mut late) = (0, Vec::new());
    for some in all.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let played = some.iter().enumerate().map(|(n, (path, frames, claims))| {
                let last = claims.iter().map(|(_, at)| *at).max().unwrap();
                let run = move || play(frames, last + 2 * LATE, &format!("a{n}"), &format!("b{n}"));
                (path, claims, scope.spawn(run))
            });
            for (path, claims, played) in played.collect::<Vec<_>>() {
                let seen = played.join().unwrap();
                for (claim, at) in claims {
                    let found = seen.iter().find(|(name, _)| name == claim).map(|(_, when)| *when);
                    let by = found.map(|when| when.as_secs_f64() - at.as_secs_f64());
                    println!("{:>8.3?} {claim} {}", by, path.file_name().unwrap().to_string_lossy());
                    told += 1;
                    if by.is_none_or(|by| by > LATE.as_secs_f64()) {
                        late.push((path, claim));
                    }
                }
            }
        });
    }
    println!("{told} claims of {} captures, {} too late or not at all", all.len(), late.len());
    assert!(late.is_empty(), "{late:#?}");
}
