//! How soon stalls are told: by their rules' time, however much there is to judge.
//!
//! `cargo test --test stalls -- --nocapture` prints how many of the lab's are told later where there is much.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use relayscope::event::CLAIM;
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Frame, Source};
use relayscope::time::{SECOND, Timestamp};
use serde_json::Value;
use support::knowledge::Knowledge;
use support::lab::{captures, each, records};
use support::{ACK, PSH, SYN, application_data, client_hello, server_hello, tcp};

#[test]
fn a_stall_is_told_within_two_seconds_of_its_rules_time() {
    let knowledge = Knowledge::new();
    let wait = knowledge.rules.settings.stall.first_byte_seconds;
    for name in ["hold-once-viewer", "release-time-viewer", "release-size-tls13-viewer"] {
        let capture = captures().into_iter().find(|path| path.ends_with(format!("{name}.pcapng.zst"))).unwrap();
        let told = records(&knowledge.told(&capture, Some(1 << 18)));
        let raised = told.iter().find(|r| r["rule"] == "CF-1" && r["state"] == "raised").unwrap();
        let [first, last] =
            ["first", "last"].map(|key| raised[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        let waited = last.duration_since(first).as_secs_f64();
        assert!((wait..=wait + 2.0).contains(&waited), "{name}: {waited} s: {raised}");
    }
}

/// What was told of a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    AtAll,
    Claimed,
}

/// The stalls of a capture that was made so many nanoseconds later, each with the time of the frame before which it was
/// first told; and all findings as they were told last, but for what was taken back.
fn stalls(knowledge: &Knowledge, path: &Path, later: u64) -> (BTreeMap<(String, Told), u64>, BTreeMap<String, Value>) {
    let mut source = Source::open(&[path.to_owned()], 1 << 16);
    let (mut monitor, mut chunk) = (knowledge.monitor(), Chunk::default());
    let (mut told, mut last, mut now) = (BTreeMap::new(), BTreeMap::new(), 0);
    let mut take = |sink: Ndjson<Vec<u8>>, now: u64| {
        for record in records(&sink.finish().unwrap()).into_iter().filter(|r| r["event_type"] == "finding") {
            let id = record["id"].as_str().unwrap().to_owned();
            if record["kind"] == "content-filter-stall" {
                told.entry((id.clone(), Told::AtAll)).or_insert(now);
                if record["confidence"].as_f64() >= Some(CLAIM) {
                    told.entry((id.clone(), Told::Claimed)).or_insert(now);
                }
            }
            last.insert(id, record);
        }
    };
    while source.fill(&mut chunk) == Fill::More {
        for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
            let mut sink = Ndjson::new(Vec::new());
            let frame = Frame { ts: frame.ts.after(later), ..frame };
            // what a silence shows is told while it lasts
            while now > 0 && now + SECOND < frame.ts.0 {
                now = (now / SECOND + 1) * SECOND;
                let mut sink = Ndjson::new(Vec::new());
                monitor.advance(Timestamp(now), &mut sink).unwrap();
                take(sink, now);
            }
            monitor.frame(frame, &mut sink).unwrap();
            now = now.max(frame.ts.0);
            take(sink, now);
        }
    }
    let mut sink = Ndjson::new(Vec::new());
    monitor.finish(&mut sink).unwrap();
    take(sink, now);
    last.retain(|_, record| record["state"] == "ended");
    (told, last)
}

/// Where there is so much that it is judged every other second, stalls are told as soon as they are where there is
/// little, and in the end all is told that is there.
#[test]
fn a_stall_does_not_wait_for_all_to_be_judged() {
    let [often, seldom] = [Knowledge::new(), Knowledge::busy()];
    let (soon, late) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each(&captures(), |path| {
        let ((told, last), (told_seldom, last_seldom)) = (stalls(&often, path, 0), stalls(&seldom, path, 0));
        assert_eq!(last, last_seldom, "{}", path.display());
        for (id, now) in told {
            let seldom = told_seldom.get(&id).unwrap_or_else(|| panic!("{}: {id:?}", path.display()));
            // what others teach of a flow is heard a second later
            assert!(*seldom <= now + 2 * SECOND, "{}: {id:?} {now} {seldom}", path.display());
            let count = if *seldom <= now { &soon } else { &late };
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let [soon, late] = [soon, late].map(AtomicUsize::into_inner);
    println!("{soon} stalls as soon as ever, {late} later");
    assert!(soon > 50 && late * 20 <= soon, "{soon} {late}");
}

/// A wait that the client gives up is no claim before the next attempt waits as well. Wherever between two judgements
/// that is, it is heard of as soon as where all is judged each second; and nothing is claimed sooner than there.
#[test]
fn the_next_attempt_is_heard_of_before_all_is_judged_again() {
    let [often, seldom] = [Knowledge::new(), Knowledge::busy()];
    let holds = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("holds"));
    let holds: Vec<PathBuf> = captures().into_iter().filter(holds).collect();
    each(&holds, |path| {
        for later in (0..8).map(|n| n * SECOND / 4) {
            let [(told, _), (told_seldom, _)] = [&often, &seldom].map(|knowledge| stalls(knowledge, path, later));
            assert_eq!(told, told_seldom, "{} {later}", path.display());
        }
    });
}

const VIEWER: &str = "192.168.1.50";
const RELAY: &str = "198.51.100.10";

/// What is said within TLS: after so many milliseconds, by whom, and how much.
type Word = (u64, Who, usize);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Viewer,
    Relay,
}
use Who::{Relay, Viewer};

/// A viewer's connection to the relay in TLS 1.3 on which this is said, a record and a segment each, and acknowledged;
/// for a minute the capture goes on. With it the frame of each word.
fn talk(words: &[Word]) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
    let mut at = 1_700_000_000 * SECOND;
    let ([mut seq, mut ack], mut frames) = ([1_000, 9_000], Vec::new());
    let mut put = |millis: u64, who: Who, flags: u8, payload: Vec<u8>| {
        at += millis * SECOND / 1_000;
        let n = payload.len() as u32 + u32::from(flags & SYN != 0);
        let packet = match who {
            Viewer => tcp(50_000, 443).seq(seq).ack(ack).flags(flags).payload(payload).ipv4(VIEWER, RELAY),
            Relay => tcp(443, 50_000).seq(ack).ack(seq).flags(flags).payload(payload).ipv4(RELAY, VIEWER),
        };
        *(if who == Viewer { &mut seq } else { &mut ack }) += n;
        frames.push((at, packet.frame()));
        frames.len() as u64
    };
    put(0, Viewer, SYN, Vec::new());
    put(20, Relay, SYN | ACK, Vec::new());
    put(0, Viewer, PSH | ACK, client_hello("a1.b2.u5fgb.com", 0));
    put(20, Relay, PSH | ACK, [server_hello(true), application_data(900)].concat());
    put(1, Viewer, PSH | ACK, application_data(53));
    let mut said = Vec::new();
    for (millis, who, bytes) in words {
        said.push(put(*millis, *who, PSH | ACK, application_data(*bytes)));
        put(5, if *who == Viewer { Relay } else { Viewer }, ACK, Vec::new());
    }
    put(60_000, Viewer, ACK, Vec::new());
    (frames, said)
}

/// The frame of the request that waits, by what is told of a capture with these words; and the frame of each word.
fn waits(knowledge: &Knowledge, words: &[Word]) -> (Option<u64>, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.pcap");
    let (frames, said) = talk(words);
    std::fs::write(&path, support::pcap(1, frames.iter().map(|(at, frame)| (*at, &frame[..])))).unwrap();
    let told = records(&knowledge.told(&path, Some(1 << 16)));
    let stall = told.iter().rfind(|r| r["rule"] == "CF-1");
    let request = stall.map(|stall| {
        let mut evidence = stall["evidence"].as_array().unwrap().iter();
        evidence.find(|item| item["text"] == "the request, acknowledged").unwrap()["frame"].as_u64().unwrap()
    });
    (request, said)
}

/// Of a connection that was kept alive for long its first requests are read, and no stall is made of them; the last is
/// known by who spoke when.
#[test]
fn the_last_request_of_a_connection_kept_alive_is_the_one_that_waits() {
    let knowledge = Knowledge::new();
    for exchanges in [3, 20, 60, 200] {
        let mut words = [(1_000, Viewer, 400), (20, Relay, 1_200)].repeat(exchanges);
        assert_eq!(waits(&knowledge, &words).0, None, "{exchanges}");
        words.pop();
        let (request, said) = waits(&knowledge, &words);
        assert_eq!(request, said.last().copied(), "{exchanges}");
    }
}

/// Behind a page of many records HTTP/2 says small words of its own; neither they nor the page's request wait.
#[test]
fn small_words_behind_an_answer_are_no_request() {
    let knowledge = Knowledge::new();
    for records in [1, 3, 12] {
        let page = [vec![(1_000, Viewer, 300)], vec![(10, Relay, 1_300); records], vec![(1, Viewer, 26)]].concat();
        assert_eq!(waits(&knowledge, &page).0, None, "{records}");
        let click = [page, vec![(40_000, Viewer, 200)]].concat();
        let (request, said) = waits(&knowledge, &click);
        assert_eq!(request, said.last().copied(), "{records}");
    }
}
