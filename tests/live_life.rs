//! `live` among people and machines: signals, terminals, exit codes, ports that mirror nothing.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Source};
use support::live::{Live, in_namespace, relayscope, sender};
use support::{ACK, FIN, PSH, SYN, Segment, client_hello, ethernet, tcp, udp};

/// A frame between two other stations; each is of a flow of its own.
fn frame(n: u16) -> Vec<u8> {
    udp(1_024 + n, 5_000).payload([7; 20]).ipv4("10.0.0.1", "192.0.2.1").frame()
}

/// How many frames stand in a capture that is whole.
fn kept(path: &Path) -> u64 {
    let (mut source, mut chunk) = (Source::open(&[path.to_owned()], CHUNK_BYTES), Chunk::default());
    while source.fill(&mut chunk) == Fill::More {}
    let problems: Vec<_> = source.take_problems().map(|problem| problem.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    source.facts().frames
}

/// Waits until something is so.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{what}: never");
}

/// The letter of a process's state.
fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn stopped_and_going_on_it_has_lost_nothing_that_the_ring_could_hold() {
    if !in_namespace("stopped_and_going_on_it_has_lost_nothing_that_the_ring_could_hold") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-w", "kept.pcapng"]);
    let pid = live.child.id();
    live.signal("TSTP");
    until("it stops", || state(pid) == Some('T'));
    let mut wire = sender("va");
    (0..500).for_each(|n| wire.sendpacket(frame(n)).unwrap());
    assert_eq!(state(pid), Some('T'));
    live.signal("CONT");
    until("it goes on", || state(pid) != Some('T'));
    let (code, _, err) = live.end();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("500 frames captured, 0 dropped"), "{err}");
    assert_eq!(kept(&folder.path().join("kept.pcapng")), 500);
}

#[test]
fn without_a_terminal_hanging_up_begins_a_new_file() {
    if !in_namespace("without_a_terminal_hanging_up_begins_a_new_file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("setsid");
    command.arg(relayscope().get_program()).args(["live", "--no-tui", "-i", "vb", "-c", "20", "-w", "kept.pcapng"]);
    let mut live = started(folder.path(), &mut command);
    let mut wire = sender("va");
    (0..10).for_each(|n| wire.sendpacket(frame(n)).unwrap());
    let part = folder.path().join("kept.pcapng.part");
    until("the first frames are on disk", || fs::metadata(&part).is_ok_and(|file| file.len() > 10 * 62));
    signal(live.id(), "HUP");
    until("a file is done", || !part.exists());
    (10..20).for_each(|n| wire.sendpacket(frame(n)).unwrap());
    assert_eq!(live.wait().unwrap().code(), Some(0), "{}", err(folder.path()));
    let captures = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<_> = captures.filter(|path| path.extension().is_some_and(|end| end == "pcapng")).collect();
    assert_eq!(captures.iter().map(|path| kept(path)).collect::<Vec<_>>(), [10, 10], "{captures:?}");
}

#[test]
fn when_its_terminal_goes_it_ends_and_all_is_written() {
    if !in_namespace("when_its_terminal_goes_it_ends_and_all_is_written") {
        return;
    }
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("not run, because there is no `script` to make a terminal with");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = relayscope().get_program().to_string_lossy().into_owned();
    let line = format!("exec {program} live --no-tui -i vb -w kept.pcapng >out 2>err; :");
    let mut command = Command::new("script");
    command.args(["-q", "-c", &line, "/dev/null"]).current_dir(folder.path());
    let mut terminal = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it captures", || err(folder.path()).contains("capturing on"));
    let mut wire = sender("va");
    (0..10).for_each(|n| wire.sendpacket(frame(n)).unwrap());
    let part = folder.path().join("kept.pcapng.part");
    until("the frames are on disk", || fs::metadata(&part).is_ok_and(|file| file.len() > 10 * 62));
    // who held the terminal is gone, and the system says so to whom it was the terminal of
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let named = folder.path().join("kept.pcapng");
    until("its file is done", || named.exists());
    assert_eq!(kept(&named), 10);
    until("it says what it came to", || err(folder.path()).contains("10 frames captured"));
    let out = fs::read_to_string(folder.path().join("out")).unwrap();
    assert_eq!(out.matches("\"event_type\":\"flow\"").count(), 10, "{out}");
    assert!(out.lines().last().is_some_and(|line| line.contains("\"event_type\":\"stats\"")), "{out}");
}

/// Starts a command in a folder, and waits until it captures.
fn started(folder: &Path, command: &mut Command) -> Child {
    let file = |name: &str| fs::File::create(folder.join(name)).unwrap();
    command.current_dir(folder).stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    let child = command.spawn().unwrap();
    until("it captures", || err(folder).contains("capturing on"));
    child
}

fn err(folder: &Path) -> String {
    fs::read_to_string(folder.join("err")).unwrap_or_default()
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn findings_count_where_that_is_asked_for() {
    if !in_namespace("findings_count_where_that_is_asked_for") {
        return;
    }
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/dns/dns-refused-recorder.pcapng.zst");
    let (mut source, mut chunk) = (Source::open(&[capture], CHUNK_BYTES), Chunk::default());
    let mut frames = Vec::new();
    while source.fill(&mut chunk) == Fill::More {
        frames.extend(chunk.frames.iter().filter_map(|at| chunk.frame(at)).map(|frame| frame.bytes.to_vec()));
    }
    let count = frames.len().to_string();
    for (asked, wanted) in [(&["--fail-on", "error"][..], 1), (&[], 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::start(folder.path(), &[&["-i", "vb", "-c", &count], asked].concat());
        let mut wire = sender("va");
        frames.iter().for_each(|frame| wire.sendpacket(frame.as_slice()).unwrap());
        let code = live.child.wait().unwrap().code();
        let out = fs::read_to_string(folder.path().join("out")).unwrap();
        assert!(out.contains("\"dns-blocked\""), "{out}");
        assert_eq!(code, Some(wanted), "{}", live.err());
    }
}

#[test]
fn a_port_that_mirrors_nothing_is_told_within_its_first_seconds() {
    if !in_namespace("a_port_that_mirrors_nothing_is_told_within_its_first_seconds") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-i", "wb"]);
    let own = relayscope::platform::hardware_address("vb").unwrap();
    let packet = udp(1_024, 5_000).payload([7; 20]).ipv4("10.0.0.1", "10.0.0.2");
    let mut to_us = ethernet(packet.ip());
    to_us[..6].copy_from_slice(&own);
    let (mut port, mut mirror) = (sender("va"), sender("wa"));
    for n in 0..53 {
        port.sendpacket(to_us.as_slice()).unwrap();
        mirror.sendpacket(frame(n)).unwrap();
        sleep(Duration::from_millis(100));
    }
    live.wait_for("no mirror");
    let (code, _, err) = live.end();
    assert_eq!(code, Some(130));
    let remarks: Vec<&str> = err.lines().filter(|line| line.contains("mirror")).collect();
    assert!(matches!(remarks[..], [line] if line.contains("vb: this is no mirror port")), "{remarks:?}");
}

/// A connection of a client of its own, to the vendor every tenth time: six frames.
fn visit(n: u32) -> [Vec<u8>; 6] {
    let [_, a, b, c] = n.to_be_bytes();
    let client = format!("10.{a}.{b}.{c}");
    let name = if n.is_multiple_of(10) { "restapi.gp4f.com".to_owned() } else { format!("site{n}.example.net") };
    let hello = client_hello(&name, 0);
    let (port, far) = (40_000 + (n % 20_000) as u16, hello.len() as u32);
    let up = |seq, ack| tcp(port, 443).seq(seq).ack(ack);
    let down = |seq, ack| tcp(443, port).seq(seq).ack(ack);
    let (sent, came) =
        (|s: Segment| s.ipv4(&client, "203.0.113.9").frame(), |s: Segment| s.ipv4("203.0.113.9", &client).frame());
    [
        sent(up(10, 0).flags(SYN)),
        came(down(90, 11).flags(SYN | ACK)),
        sent(up(11, 91).flags(PSH | ACK).payload(hello)),
        came(down(91, 11 + far).flags(PSH | ACK).payload(vec![9; 300])),
        sent(up(11 + far, 391).flags(FIN | ACK)),
        came(down(391, 12 + far).flags(FIN | ACK)),
    ]
}

#[test]
fn memory_stays_flat_and_every_frame_is_accounted_for() {
    if in_namespace("memory_stays_flat_and_every_frame_is_accounted_for") {
        soak(20);
    }
}

#[test]
#[ignore = "takes three minutes; ./check has it go on beside the rest"]
fn for_three_minutes_memory_stays_flat_and_every_frame_is_accounted_for() {
    if in_namespace("for_three_minutes_memory_stays_flat_and_every_frame_is_accounted_for") {
        soak(180);
    }
}

/// Connections that come and go, 500 new ones a second, below a ceiling that is reached within seconds.
fn soak(seconds: u32) {
    let flows_sent = seconds * 500;
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "--max-memory", "16M"]);
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", live.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (mut wire, mut frames, mut held) = (sender("va"), 0u64, Vec::new());
    for n in 0..flows_sent {
        for frame in visit(n) {
            wire.sendpacket(frame).unwrap();
            frames += 1;
        }
        if n % 50 == 49 {
            sleep(Duration::from_millis(100));
        }
        if n % 500 == 499 {
            held.push(memory());
        }
    }
    let (code, out, err) = live.end();
    assert_eq!(code, Some(130), "{err}");
    let line = err.lines().rfind(|line| line.contains("frames captured")).unwrap();
    let counts: Vec<u64> = line
        .split([':', ','])
        .skip(1)
        .map(|part| {
            let digits: String = part.chars().take_while(|c| *c == ' ' || c.is_ascii_digit()).collect();
            digits.replace(' ', "").parse().unwrap()
        })
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), frames, "captured, dropped by the kernel, by the interface: {line}");
    let flows =
        out.lines().filter(|line| line.contains("\"event_type\":\"flow\"") && !line.contains("\"interim\"")).count();
    assert!(counts[1] + counts[2] > 0 || flows == flows_sent as usize, "each is told once: {flows}");
    // from a third on, no more of it than the ring and what is told at a time may make up
    let (early, late) = held.split_at(held.len() / 3);
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (middle, end) = late.split_at(late.len() / 2);
    assert!(most(end) <= most(middle) * 5 / 4, "{early:?} {middle:?} {end:?}");
}
