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

/// The stalls of a capture that was made so many nanoseconds later, each with the time of the frame before which it was first
/// told; and all findings as they were told last, but for what was taken back.
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

/// Where there is so much that it is judged every other second, stalls are told as soon as they are where there is little,
/// and in the end all is told that is there.
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

/// A wait that the client gives up is no claim before the next attempt waits as well. Wherever between two judgements that
/// is, it is heard of as soon as where all is judged each second; and nothing is claimed sooner than there.
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

/// A viewer's connection to the relay in TLS 1.3 that is kept alive for `exchanges` requests, one a second, each answered
/// but the last; a minute goes by then, with an acknowledgement at the end.
fn kept_alive(exchanges: u32, is_answered: bool) -> Vec<(u64, Vec<u8>)> {
    let mut at = 1_700_000_000 * SECOND;
    let (mut seq, mut ack, mut frames) = (1_000, 9_000, Vec::new());
    let mut put = |millis: u64, client: bool, flags: u8, payload: Vec<u8>| {
        at += millis * SECOND / 1_000;
        let n = payload.len() as u32 + u32::from(flags & SYN != 0);
        let packet = match client {
            true => tcp(50_000, 443).seq(seq).ack(ack).flags(flags).payload(payload).ipv4(VIEWER, RELAY),
            false => tcp(443, 50_000).seq(ack).ack(seq).flags(flags).payload(payload).ipv4(RELAY, VIEWER),
        };
        *(if client { &mut seq } else { &mut ack }) += n;
        frames.push((at, packet.frame()));
    };
    put(0, true, SYN, Vec::new());
    put(20, false, SYN | ACK, Vec::new());
    put(0, true, PSH | ACK, client_hello("a1.b2.u5fgb.com", 0));
    put(20, false, PSH | ACK, [server_hello(true), application_data(900)].concat());
    put(1, true, PSH | ACK, application_data(53));
    for n in 1..=exchanges {
        put(1_000, true, PSH | ACK, application_data(400));
        match n < exchanges || is_answered {
            true => put(20, false, PSH | ACK, application_data(1_200)),
            false => put(20, false, ACK, Vec::new()),
        }
    }
    put(60_000, true, ACK, Vec::new());
    frames
}

/// Of a connection that was kept alive for long its first requests are read, and no stall is made of them; the last is known
/// by who spoke when.
#[test]
fn the_last_request_of_a_connection_kept_alive_is_the_one_that_waits() {
    let (knowledge, folder) = (Knowledge::new(), tempfile::tempdir().unwrap());
    for exchanges in [3, 20, 60, 200] {
        for is_answered in [true, false] {
            let frames = kept_alive(exchanges, is_answered);
            let asked = frames.len() as u64 - 2;
            let path = folder.path().join("kept.pcap");
            std::fs::write(&path, support::pcap(1, frames.iter().map(|(at, frame)| (*at, &frame[..])))).unwrap();
            let told = records(&knowledge.told(&path, Some(1 << 16)));
            let stall = told.iter().rfind(|r| r["rule"] == "CF-1");
            let request = stall.map(|stall| {
                let mut evidence = stall["evidence"].as_array().unwrap().iter();
                evidence.find(|item| item["text"] == "the request, acknowledged").unwrap()["frame"].as_u64().unwrap()
            });
            assert_eq!(request, (!is_answered).then_some(asked), "{exchanges} {is_answered} {stall:?}");
        }
    }
}
