//! `live` on interfaces: what it keeps, what it loses, how it ends, and with what rights it runs.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Problem, Source};
use support::live::{Live, in_namespace, ip, relayscope, sender, text, told};
use support::{tcp, udp};

/// A frame of a flow of its own.
fn frame(n: u32) -> Vec<u8> {
    let [_, a, b, c] = n.to_be_bytes();
    udp(1_024 + (n % 50_000) as u16, 5_000)
        .payload(n.to_be_bytes())
        .ipv4(&format!("10.{a}.{b}.{c}"), "192.0.2.1")
        .frame()
}

/// The number in each such frame of the captures at that path, and what was wrong with them.
fn numbers(path: &Path) -> (Vec<u32>, Vec<Problem>) {
    let (mut source, mut chunk) = (Source::open(&[path.to_owned()], CHUNK_BYTES), Chunk::default());
    let mut numbers = Vec::new();
    while source.fill(&mut chunk) == Fill::More {
        let frames = chunk.frames.iter().filter_map(|at| chunk.frame(at));
        numbers.extend(frames.filter_map(|f| Some(u32::from_be_bytes(*f.bytes.get(42..)?.first_chunk()?))));
    }
    (numbers, source.take_problems().collect())
}

#[test]
fn what_was_kept_tells_the_same_again() {
    if !in_namespace("what_was_kept_tells_the_same_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-w", "kept.pcapng"]);
    let mut wire = sender("va");
    let mut frames = 0;
    for capture in ["captures/first-view.pcapng", "captures/dns"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(capture);
        let (mut source, mut chunk) = (Source::open(&[path], CHUNK_BYTES), Chunk::default());
        while source.fill(&mut chunk) == Fill::More {
            for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)).filter(|f| f.bytes.len() <= 1_514) {
                wire.sendpacket(frame.bytes).unwrap();
                frames += 1;
            }
        }
        // time enough for what was seen to be judged
        sleep(Duration::from_millis(1_500));
    }
    let (code, live, err) = live.end();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("0 dropped by the kernel"), "{err}");
    let replayed =
        relayscope().args(["replay", "--no-tui", "-q"]).arg(folder.path().join("kept.pcapng")).output().unwrap();
    let replayed = String::from_utf8(replayed.stdout).unwrap();
    let (live, replayed) = (told(&live), told(&replayed));
    assert!(live.len() > 30 && live.iter().any(|line| line.contains("\"finding\"")), "{frames} frames: {live:#?}");
    assert_eq!(live, replayed);
    assert_eq!(numbers(&folder.path().join("kept.pcapng")).1.len(), 0);
}

#[test]
fn rights_are_given_up() {
    if !in_namespace("rights_are_given_up") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-v"]);
    sender("va").sendpacket(frame(1)).unwrap();
    sleep(Duration::from_millis(200));
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", live.child.id())).unwrap().collect();
    assert!(tasks.len() >= 2, "a thread captures");
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let value =
            |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(value(set), "0000000000000000", "{set}");
        }
        assert_eq!((value("NoNewPrivs:").as_str(), value("Seccomp:").as_str()), ("1", "2"));
    }
    let (_, out, _) = live.end();
    assert!(out.contains("\"frames\":1"), "{out}");
}

#[test]
fn whoever_called_sudo_is_who_it_runs_as() {
    if !in_namespace("whoever_called_sudo_is_who_it_runs_as") {
        return;
    }
    if !nobody_can_be() {
        eprintln!("not run, because no other user can be become here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let caller = [("SUDO_UID", "65534"), ("SUDO_GID", "65534")];
    // a folder that is not the caller's is told of before anything is captured
    let args = ["live", "--no-tui", "-i", "vb", "-w", "kept.pcapng"];
    let refused = relayscope().current_dir(folder.path()).args(args).envs(caller).output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("nothing can be written there"), "{}", text(&refused));
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    std::os::unix::fs::chown(&mine, Some(65_534), Some(65_534)).unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let live = Live::start_as(&mine, &["-i", "vb", "-w", "kept.pcapng"], &caller);
    sender("va").sendpacket(frame(7)).unwrap();
    let (_, _, err) = live.end();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(mine.join("kept.pcapng")).expect(&err));
    assert_eq!((owner, numbers(&mine.join("kept.pcapng")).0), (65_534, vec![7]));
}

fn nobody_can_be() -> bool {
    Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "true"]).output().is_ok_and(|o| o.status.success())
}

#[test]
fn nothing_outside_is_in_reach() {
    use relayscope::platform::{Allowed, confine};
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    fs::write(&secret, "of home").unwrap();
    // only the thread that asks for it is confined
    let confined = std::thread::spawn(move || {
        let allowed = Allowed { write: vec![inside.path().to_owned()], ..Allowed::default() };
        let confined = confine(&allowed).unwrap();
        if !confined.undone.is_empty() {
            return Err(confined.undone);
        }
        fs::write(inside.path().join("kept.part"), "frames").unwrap();
        fs::rename(inside.path().join("kept.part"), inside.path().join("kept")).unwrap();
        let denied = |result: std::io::Result<()>, what: &str| {
            assert_eq!(result.expect_err(what).kind(), std::io::ErrorKind::PermissionDenied, "{what}");
        };
        denied(fs::read(&secret).map(drop), "reading");
        denied(fs::write(outside.path().join("new"), "x"), "writing");
        denied(fs::remove_file(&secret), "removing");
        denied(fs::rename(inside.path().join("kept"), outside.path().join("kept")), "moving out");
        denied(fs::read("/etc/passwd").map(drop), "reading of the system");
        denied(std::net::TcpStream::connect("127.0.0.1:9").map(drop), "connecting");
        denied(std::net::UdpSocket::bind("127.0.0.1:0").map(drop), "a socket");
        denied(Command::new("true").status().map(drop), "a program");
        Ok(())
    });
    if let Err(why) = confined.join().unwrap() {
        eprintln!("not run, because {}", why.join("; "));
    }
}

/// Numbers by chance; `RELAYSCOPE_SEED` gives those of a run that failed once more, as far as chance was in them.
struct Chance(u64);

impl Chance {
    fn new() -> Chance {
        let fresh = || std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
        let given =
            std::env::var("RELAYSCOPE_SEED").ok().map(|seed| seed.parse().expect("RELAYSCOPE_SEED is a number"));
        let seed: u64 = given.unwrap_or_else(fresh);
        eprintln!("RELAYSCOPE_SEED={seed}");
        Chance(seed | 1)
    }

    /// A number below `end` (xorshift64*).
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }
}

/// The captures in a folder, finished or not.
fn captures(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kept"))).collect()
}

#[test]
fn killed_at_any_time_its_files_read() {
    if !in_namespace("killed_at_any_time_its_files_read") {
        return;
    }
    /// What a frame takes in a file (a block of 32 bytes around 46), and what stands before the first, at the most.
    const BLOCK: u64 = 80;
    const HEADER: u64 = 1_000;
    let mut chance = Chance::new();
    for _ in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let rotates: &[&str] = if chance.below(2) == 0 { &[] } else { &["--rotate-size", "100k"] };
        let mut live = Live::start(folder.path(), &[&["-i", "vb", "-w", "kept.pcapng"], rotates].concat());
        let over = Arc::new(AtomicBool::new(false));
        let sending = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut wire = sender("va");
                (0..).take_while(|_| !over.load(Ordering::Relaxed)).for_each(|n| wire.sendpacket(frame(n)).unwrap());
            }
        });
        sleep(Duration::from_micros(chance.below(200_000)));
        live.child.kill().unwrap();
        live.child.wait().unwrap();
        over.store(true, Ordering::Relaxed);
        sending.join().unwrap();
        let mut files = Vec::new();
        for path in captures(folder.path()) {
            let (numbers, problems) = numbers(&path);
            // at the most the last block of a file that was not done is cut
            let most = usize::from(path.extension().is_some_and(|last| last == "part"));
            assert!(problems.len() <= most, "{}: {problems:?}", path.display());
            let flushed = fs::metadata(&path).unwrap().len().saturating_sub(HEADER) / BLOCK;
            assert!(numbers.len() as u64 >= flushed, "{}: {} frames of {flushed}", path.display(), numbers.len());
            files.push(numbers);
        }
        files.sort();
        let all: Vec<u32> = files.concat();
        assert!(all.iter().copied().eq(0..all.len() as u32), "all from the first on, and no gap: {all:?}");
    }
}

#[test]
fn two_interfaces_are_one() {
    if !in_namespace("two_interfaces_are_one") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-i", "wb", "-w", "kept.pcapng"]);
    let mut wires = [sender("va"), sender("wa")];
    for n in 0..2_000 {
        wires[n as usize % 2].sendpacket(frame(n)).unwrap();
    }
    let (_, _, err) = live.end();
    assert!(err.contains("2 000 frames captured, 0 dropped"), "{err}");
    let (numbers, problems) = numbers(&folder.path().join("kept.pcapng"));
    assert!(problems.is_empty() && numbers.iter().copied().eq(0..2_000), "in the order in which they were sent");
}

#[test]
fn an_interface_goes_down_comes_up_and_goes() {
    if !in_namespace("an_interface_goes_down_comes_up_and_goes") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder.path(), &["-i", "vb", "-w", "kept.pcapng"]);
    sender("va").sendpacket(frame(1)).unwrap();
    sleep(Duration::from_millis(200));
    ip(&["link", "set", "vb", "down"]);
    live.wait_for("vb is down");
    ip(&["link", "set", "vb", "up"]);
    live.wait_for("vb is up again");
    sleep(Duration::from_millis(200));
    sender("va").sendpacket(frame(2)).unwrap();
    sleep(Duration::from_millis(300));
    ip(&["link", "del", "vb"]);
    let status = live.child.wait().unwrap();
    assert_eq!(status.code(), Some(4), "{}", live.err());
    assert!(live.err().contains("vb: no more frames come from it"), "{}", live.err());
    assert_eq!(numbers(&folder.path().join("kept.pcapng")).0, [1, 2]);
}

#[test]
fn drops_are_accounted_for_to_the_frame() {
    if !in_namespace("drops_are_accounted_for_to_the_frame") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let live = Live::start(folder.path(), &["-i", "vb", "-B", "1024", "-w", "kept.pcapng"]);
    live.signal("STOP");
    let mut wire = sender("va");
    let long = vec![0u8; 1_000];
    let frames: Vec<_> = (0..8u16)
        .map(|n| tcp(40_000 + n, 443).seq(1).payload(long.clone()).ipv4("10.0.0.1", "192.0.2.1").frame())
        .collect();
    for n in 0..20_000 {
        wire.sendpacket(frames[n % 8].as_slice()).unwrap();
    }
    live.signal("CONT");
    let (_, out, err) = live.end();
    let counts: Vec<u64> = err
        .lines()
        .rfind(|line| line.contains("frames captured"))
        .map(|line| line.split([':', ',']).skip(1).map(number).collect())
        .unwrap_or_default();
    let [captured, dropped, _] = counts[..] else { panic!("{err}") };
    assert!(dropped > 0 && captured > 0, "{err}");
    assert_eq!(captured + dropped, 20_000, "{err}");
    assert!(out.contains(&format!("\"kernel_drops\":{dropped}")), "the counts say so as well");
    assert!(out.contains("\"capture-drops\""), "and so does a finding: {out}");
    let mut source = Source::open(&[folder.path().join("kept.pcapng")], CHUNK_BYTES);
    while source.fill(&mut Chunk::default()) == Fill::More {}
    assert_eq!((source.facts().frames, source.facts().kernel_drops), (captured, Some(dropped)));
}

fn number(text: &str) -> u64 {
    let digits: String =
        text.trim().chars().take_while(|c| c.is_ascii_digit() || *c == ' ').filter(|c| *c != ' ').collect();
    digits.parse().unwrap_or(0)
}

#[test]
fn files_are_rotated_by_signals_and_capturing_ends_by_count() {
    if !in_namespace("files_are_rotated_by_signals_and_capturing_ends_by_count") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder.path(), &["-i", "vb", "-c", "30", "-w", "kept.pcapng"]);
    let mut wire = sender("va");
    for n in 0..40 {
        wire.sendpacket(frame(n)).unwrap();
        if n == 9 {
            sleep(Duration::from_millis(400));
            live.signal("USR1");
            sleep(Duration::from_millis(400));
        }
    }
    assert_eq!(live.child.wait().unwrap().code(), Some(0), "{}", live.err());
    let names: BTreeSet<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let captures = names.iter().filter(|name| name.to_string_lossy().ends_with(".pcapng")).count();
    assert_eq!((captures, names.len()), (2, 4), "{names:?}");
    for name in ["out", "err"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert!(numbers(folder.path()).0.into_iter().eq(0..30));
}

#[test]
fn a_full_disk_is_survived() {
    if !in_namespace("a_full_disk_is_survived") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // whatever comes at a time, a few times that has room
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&disk).output().unwrap();
    if !mounted.status.success() {
        eprintln!("not run, because no file system can be mounted here: {}", text(&mounted));
        return;
    }
    let live = Live::start(folder.path(), &["-i", "vb", "-w", "disk/kept.pcapng"]);
    let mut wire = sender("va");
    for n in 0..40_000 {
        wire.sendpacket(frame(n)).unwrap();
    }
    let (code, out, err) = live.end();
    assert_eq!(code, Some(130));
    assert_eq!(err.matches("capturing goes on").count(), 1, "{err}");
    assert!(err.contains("40 000 frames captured") && out.contains("\"frames\":40000"), "{err}");
    let (numbers, problems) = numbers(&disk.join("kept.pcapng"));
    assert!(numbers.len() > 4_000 && numbers.iter().copied().eq(0..numbers.len() as u32) && problems.is_empty());
    assert!(err.contains(&format!("{} frames were analyzed and not kept", spaced(40_000 - numbers.len()))), "{err}");
}

fn spaced(n: usize) -> String {
    if n < 1_000 { n.to_string() } else { format!("{} {:03}", n / 1_000, n % 1_000) }
}

#[test]
fn what_is_wrong_is_said() {
    if !in_namespace("what_is_wrong_is_said") {
        return;
    }
    let run = |args: &[&str]| relayscope().args(["live", "--no-tui"]).args(args).output().unwrap();
    let no_such = run(&["-i", "nowhere0"]);
    assert_eq!(no_such.status.code(), Some(4));
    assert!(text(&no_such).contains("no such interface"), "{}", text(&no_such));
    let made = Command::new("ip").args(["link", "add", "down0", "type", "veth", "peer", "name", "down1"]).status();
    assert!(made.unwrap().success());
    let down = run(&["-i", "down0"]);
    assert_eq!(down.status.code(), Some(4));
    assert!(text(&down).contains("down0 is down; `sudo ip link set down0 up`"), "{}", text(&down));
    let filter = run(&["-i", "vb", "-f", "prot 80"]);
    assert_eq!(filter.status.code(), Some(2));
    assert!(text(&filter).contains("'prot 80'"), "{}", text(&filter));
    assert_eq!(run(&["-i", "vb", "-w", "/nowhere/kept.pcapng"]).status.code(), Some(2));
    let silent = run(&["-i", "vb", "--duration", "300ms"]);
    assert_eq!(silent.status.code(), Some(0), "{}", text(&silent));
    assert!(text(&silent).contains("\"event_type\":\"stats\",\"frames\":0"), "{}", text(&silent));
}
