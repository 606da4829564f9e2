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
use relayscope::engine::ceiling;
use relayscope::engine::{Engine, Keep};
use relayscope::event::{CaptureQuality, FindingRecord, FlowRecord, SessionRecord, Stats};
use relayscope::flow::Flow;
use relayscope::monitor::{Monitor, Options, Sink};
use relayscope::pcapng;
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Frame, LinkType, Source};
use relayscope::time::Timestamp;
use serde_json::Value;
use support::knowledge::Knowledge;
use support::lab::{captures, each, records};
use support::{ACK, FIN, PSH, SYN, client_hello, dns, server_hello, tcp, udp};

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

/// Seconds of packet time, in the unit of frames.
const SECOND: u64 = 1_000_000_000;
/// When synthetic captures begin.
const BEGIN: u64 = 1_700_000_000 * SECOND;

/// A capture that is made while it is told.
struct Tape<'a> {
    monitor: Monitor<'a>,
    sink: Ndjson<Vec<u8>>,
}

impl<'a> Tape<'a> {
    fn new(monitor: Monitor<'a>) -> Self {
        Tape { monitor, sink: Ndjson::new(Vec::new()) }
    }

    /// A frame at so many milliseconds.
    fn frame(&mut self, ms: u64, packet: support::Packet) {
        let bytes = packet.frame();
        let ts = Timestamp(BEGIN + ms * 1_000_000);
        let len = u32::try_from(bytes.len()).unwrap();
        self.monitor.frame(Frame { ts, link: LinkType(1), len, bytes: &bytes }, &mut self.sink).unwrap();
    }
}

/// A lookup, and a connection to the server that it names which says its name, is answered and closed: at so many
/// milliseconds, of the client that `n` tells.
fn visit(tape: &mut Tape<'_>, ms: u64, n: u64) {
    let name = format!("site{n}.example.net");
    let [_, _, _, _, _, a, b, c] = n.to_be_bytes();
    let (client, server) = (format!("10.{a}.{b}.{c}"), format!("203.{a}.{b}.{c}"));
    let port = 20_000 + (n % 40_000) as u16;
    tape.frame(ms, udp(port, 53).payload(dns(n as u16, &name, None)).ipv4(&client, "10.0.0.1"));
    let answer = dns(n as u16, &name, Some([203, a, b, c]));
    tape.frame(ms + 1, udp(53, port).payload(answer).ipv4("10.0.0.1", &client));
    let hello = client_hello(&name, 0);
    let end = 2 + hello.len() as u32;
    tape.frame(ms + 2, tcp(port, 443).seq(1).flags(SYN).ipv4(&client, &server));
    tape.frame(ms + 3, tcp(443, port).seq(9).ack(2).flags(SYN | ACK).ipv4(&server, &client));
    tape.frame(ms + 4, tcp(port, 443).seq(2).ack(10).flags(PSH | ACK).payload(hello).ipv4(&client, &server));
    let there = server_hello(true);
    let back = 10 + there.len() as u32;
    tape.frame(ms + 5, tcp(443, port).seq(10).ack(end).flags(PSH | ACK).payload(there).ipv4(&server, &client));
    tape.frame(ms + 6, tcp(port, 443).seq(end).ack(back).flags(FIN | ACK).ipv4(&client, &server));
    tape.frame(ms + 7, tcp(443, port).seq(back).ack(end + 1).flags(FIN | ACK).ipv4(&server, &client));
}

#[test]
fn memory_does_not_grow_with_what_comes_and_goes() {
    let mut knowledge = Knowledge::new();
    knowledge.config.flow.timeouts.other = 20 * SECOND;
    let mut options = knowledge.options();
    options.settings.let_go_flows = 64.0;
    options.settings.linger_seconds = 10.0;
    options.settings.answers_seconds = 30.0;
    options.settings.names_seconds = 60.0;
    let mut tape = Tape::new(knowledge.monitor_with(options));
    let mut held = Vec::new();
    for n in 0..6_000u64 {
        visit(&mut tape, n * 250, n);
        if n % 1_500 == 1_499 {
            let look = tape.monitor.look();
            held.push((look.analysis.len(), look.stats.memory_bytes));
        }
    }
    let [_, (flows, bytes), _, (flows_later, bytes_later)] = held[..] else { panic!("{held:?}") };
    assert!(flows < 2_000 && flows_later < flows * 5 / 4 && bytes_later < bytes * 5 / 4, "{held:?}");
    tape.monitor.finish(&mut tape.sink).unwrap();
    let told = records(&tape.sink.finish().unwrap());
    let flows: Vec<&Value> = told.iter().filter(|r| r["event_type"] == "flow").collect();
    let ids: BTreeSet<u64> = flows.iter().map(|flow| flow["flow_id"].as_u64().unwrap()).collect();
    assert_eq!((flows.len(), ids.len()), (12_000, 12_000), "each is told once");
    // what is let go takes nothing from what stays: names, numbers, parts
    for flow in flows.iter().filter(|flow| flow["proto"] == "TCP") {
        let sni = flow["tls"]["sni"].as_str().unwrap();
        let [_, a, b, c]: [u64; 4] = flow["dest_ip"]
            .as_str()
            .unwrap()
            .split('.')
            .map(|n| n.parse().unwrap())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(sni, format!("site{}.example.net", a << 16 | b << 8 | c), "{flow}");
        assert_eq!((&flow["flow"]["conn_state"], &flow["flow"]["pkts_toserver"]), (&"SF".into(), &3.into()), "{flow}");
        let told = flow["evidence"].as_array().unwrap().iter().any(|e| e["text"].as_str().unwrap().contains(sni));
        assert!(told, "{flow}");
    }
    for flow in flows.iter().filter(|flow| flow["proto"] == "UDP") {
        assert_eq!(flow["dns"].as_array().unwrap().len(), 1, "{flow}");
        assert!(flow["dns"][0]["qname"].as_str().unwrap().starts_with("site"), "{flow}");
    }
    let stats = told.iter().rfind(|r| r["event_type"] == "stats").unwrap();
    assert_eq!(
        (&stats["flows"], &stats["tls_sni_flows"], &stats["dns_exchanges"]),
        (&12_000.into(), &6_000.into(), &6_000.into())
    );
    assert!(stats["evicted_flows"].as_u64().unwrap() > 9_000, "{stats}");
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
fn what_is_known_of_http_counts_below_the_ceiling() {
    let knowledge = Knowledge::new();
    const FLOWS: u16 = 2_000;
    let held = |text: &'static [u8]| {
        let mut monitor = knowledge.monitor();
        let mut count = Count::default();
        for n in 0..FLOWS {
            let ends = ("10.0.0.2", "203.0.113.9");
            let syn = tcp(10_000 + n, 80).seq(0).flags(SYN).ipv4(ends.0, ends.1).frame();
            let data = tcp(10_000 + n, 80).seq(1).ack(1).payload(text).ipv4(ends.0, ends.1).frame();
            for bytes in [syn, data] {
                let ts = Timestamp(BEGIN + u64::from(n));
                let frame = Frame { ts, link: LinkType(1), len: bytes.len() as u32, bytes: &bytes };
                monitor.frame(frame, &mut count).unwrap();
            }
        }
        monitor.held()
    };
    // neither is whole, so that nothing else is known of it yet
    let (other, http) = (held(&[0x80; 18]), held(b"GET / HTTP/1.1\r\nHo"));
    let each = http.saturating_sub(other) / usize::from(FLOWS);
    assert!(each >= std::mem::size_of::<relayscope::inspect::http::HttpStream>(), "{each} bytes a connection");
}

#[test]
fn a_flood_of_flows_stays_below_the_ceiling() {
    let knowledge = Knowledge::new();
    let most = ceiling::LEAST;
    let options = Options { max_memory: Some(most), ..knowledge.options() };
    let mut monitor = knowledge.monitor_with(options);
    let mut count = Count::default();
    let mut bytes = udp(5_000, 6_000).payload([1; 8]).ipv4("10.0.0.3", "203.0.113.9").frame();
    const FLOWS: u32 = 300_000;
    let mut highest = 0;
    for n in 0..FLOWS {
        // the source address; its checksums do not matter
        bytes[26..30].copy_from_slice(&(0x0a00_0000 | n).to_be_bytes());
        let ts = Timestamp(BEGIN + u64::from(n) * 10_000);
        monitor.frame(Frame { ts, link: LinkType(1), len: 50, bytes: &bytes }, &mut count).unwrap();
        if n % 1_000 == 0 {
            highest = highest.max(monitor.held());
        }
    }
    assert!(highest > most / 2 && highest <= most, "{highest}");
    monitor.finish(&mut count).unwrap();
    let Count { flows, evicted, stats } = count;
    assert_eq!(flows, u64::from(FLOWS), "each is told once");
    assert!(evicted > u64::from(FLOWS) / 2 && evicted == monitor.given_up());
    assert_eq!((stats.flows, stats.evicted_flows), (u64::from(FLOWS), evicted));
}

#[test]
fn what_goes_for_want_of_room_is_the_same_in_every_run() {
    let told = |secret: u64| {
        let mut knowledge = Knowledge::new();
        knowledge.config.secret = secret;
        let options = Options { max_memory: Some(ceiling::LEAST), ..knowledge.options() };
        let mut tape = Tape::new(knowledge.monitor_with(options));
        (0..9_000).for_each(|n| visit(&mut tape, n * 10, n));
        tape.monitor.finish(&mut tape.sink).unwrap();
        (tape.monitor.given_up(), tape.sink.finish().unwrap())
    };
    let (gone, first) = told(7);
    assert!(gone > 1_000 && told(u64::MAX).1 == first, "{gone}");
}

/// Lists that grow in flows which are never silent are told early, before flows that are not even old.
#[test]
fn hosts_that_ask_from_one_port_do_not_put_out_all_others() {
    let knowledge = Knowledge::new();
    let options = Options { max_memory: Some(ceiling::LEAST), ..knowledge.options() };
    let mut tape = Tape::new(knowledge.monitor_with(options));
    const ASKED: u64 = 50_000;
    for n in 0..ASKED {
        let (client, name) = (format!("10.9.0.{}", n % 100), format!("{n:060}.{0:060}.{0:060}.example", 0));
        tape.frame(n * 10, udp(5_000, 53).payload(dns(n as u16, &name, None)).ipv4(&client, "10.0.0.1"));
        let answer = dns(n as u16, &name, Some([198, 51, 100, 7]));
        tape.frame(n * 10 + 1, udp(53, 5_000).payload(answer).ipv4("10.0.0.1", &client));
        let port = 10_000 + (n / 20) as u16;
        if n % 20 == 0 {
            tape.frame(n * 10 + 2, udp(port, 6_000).payload([1; 8]).ipv4("10.9.1.1", "203.0.113.9"));
        }
    }
    tape.monitor.finish(&mut tape.sink).unwrap();
    let told = records(&tape.sink.finish().unwrap());
    let flows = || told.iter().filter(|r| r["event_type"] == "flow" && r["flow"]["interim"] != true);
    let lists = flows().filter(|r| r["src_port"] == 5_000 && r["dns_omitted"].is_null());
    let answered = lists.flat_map(|r| r["dns"].as_array().unwrap()).filter(|dns| dns["rcode"] == "NOERROR");
    assert_eq!(answered.count() as u64, ASKED);
    let evicted = |port: u64| flows().filter(|r| r["dest_port"] == port && r["flow"]["evicted"] == true).count();
    assert!(evicted(53) > 0 && evicted(6_000) == 0, "{} {}", evicted(53), evicted(6_000));
}

/// Counts what is told.
#[derive(Default)]
struct Count {
    flows: u64,
    evicted: u64,
    stats: Stats,
}

impl Sink for Count {
    type Error = std::convert::Infallible;

    fn flow(&mut self, record: &FlowRecord<'_>) -> Result<(), Self::Error> {
        self.flows += u64::from(!record.flow.interim);
        self.evicted += u64::from(record.flow.evicted);
        Ok(())
    }

    fn session(&mut self, _: &SessionRecord) -> Result<(), Self::Error> {
        Ok(())
    }

    fn finding(&mut self, _: &FindingRecord) -> Result<(), Self::Error> {
        Ok(())
    }

    fn capture_quality(&mut self, _: &CaptureQuality) -> Result<(), Self::Error> {
        Ok(())
    }

    fn stats(&mut self, record: &Stats) -> Result<(), Self::Error> {
        self.stats = record.clone();
        Ok(())
    }
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
