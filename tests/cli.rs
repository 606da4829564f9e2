//! The program from outside: what it answers to every kind of input, good and bad.

#[path = "cli/findings.rs"]
mod findings;
mod support;
#[path = "cli/telling.rs"]
mod telling;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use relayscope::pcapng::{Interface, Section, Statistics, Writer};
use relayscope::source::{Frame, LinkType};
use relayscope::time::Timestamp;
use support::{ACK, FIN, PSH, SYN, pcap, tcp, udp};
use tempfile::TempDir;

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/first-view.pcapng");

fn relayscope(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayscope"));
    command.args(args).current_dir(dir).stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// What a run gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    ran(relayscope(dir, args).output().unwrap())
}

fn run_with_input(dir: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut child =
        relayscope(dir, args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ran = ran(child.wait_with_output().unwrap());
    let _ = writer.join().unwrap();
    ran
}

/// Runs it and checks the code, and that stderr is one line of our own that holds `says`.
#[track_caller]
fn complains(dir: &Path, args: &[&str], code: i32, says: &str) -> Ran {
    let ran = run(dir, args);
    one_line(&ran, code, says);
    ran
}

#[track_caller]
fn one_line(ran: &Ran, code: i32, says: &str) {
    assert_eq!(ran.code, code, "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.starts_with("relayscope: ") && ran.err.contains(says), "{}", ran.err);
}

/// A conversation with a server that its first segment names, at a time in seconds.
fn conversation(second: u64, client_port: u16, host: &str) -> Vec<(u64, Vec<u8>)> {
    let (client, server) = ("192.168.1.50", "198.51.100.10");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let end = 101 + u32::try_from(request.len()).unwrap();
    let up = |segment: support::Segment| segment.ipv4(client, server).frame();
    let down = |segment: support::Segment| segment.ipv4(server, client).frame();
    let frames = [
        up(tcp(client_port, 80).seq(100).flags(SYN)),
        down(tcp(80, client_port).seq(500).ack(101).flags(SYN | ACK)),
        up(tcp(client_port, 80).seq(101).ack(501)),
        up(tcp(client_port, 80).seq(101).ack(501).flags(PSH | ACK).payload(request)),
        down(tcp(80, client_port).seq(501).ack(end).flags(PSH | ACK).payload("HTTP/1.1 204 No Content\r\n\r\n")),
        up(tcp(client_port, 80).seq(end).ack(528).flags(FIN | ACK)),
        down(tcp(80, client_port).seq(528).ack(end + 1).flags(FIN | ACK)),
        up(tcp(client_port, 80).seq(end + 1).ack(529)),
    ];
    let start = second * 1_000_000_000;
    frames.into_iter().enumerate().map(|(i, frame)| (start + i as u64 * 1_000_000, frame)).collect()
}

fn capture(link_type: u32, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    pcap(link_type, frames.iter().map(|(at, frame)| (*at, &frame[..])))
}

fn ethernet(second: u64, port: u16) -> Vec<u8> {
    capture(1, &conversation(second, port, "a1.us-west.u5fgb.com"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_no_capture() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("empty.pcap"), "").unwrap();
    fs::write(at.join("notes.txt"), "this is what we did on Monday, and no capture").unwrap();
    fs::create_dir(at.join("folder")).unwrap();
    fs::write(at.join("folder/notes.txt"), "nor is this one").unwrap();
    fs::write(
        at.join("version.pcap"),
        [0xd4, 0xc3, 0xb2, 0xa1, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
    )
    .unwrap();
    for (args, says) in [
        (&["empty.pcap"][..], "empty.pcap: the file is empty"),
        (&["notes.txt"], "notes.txt: not a capture file"),
        (&["folder"], "folder: no capture file in this directory"),
        (&["analyze", "gone.pcap"], "gone.pcap: no such file"),
        (&["analyze", "gone"], "gone: no such file; check the name"),
        (&["replay", "gone"], "gone: no such file; check the name"),
        (&["compare", CAPTURE, "gone"], "gone: no such file; check the name"),
        (&["legs", "--lan", CAPTURE, "--wan", "gone"], "gone: no such file; check the name"),
        (&["gone-*.pcap"], "patterns are for the shell to expand"),
        (&["frobnicate"], "frobnicate: no such file, and no such command"),
        (&["version.pcap"], "version 9.9 is not known"),
        (&["analyze", "--json", "empty.pcap"], "empty.pcap: the file is empty"),
    ] {
        assert_eq!(complains(at, args, 3, says).out, "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("locked.pcap");
    fs::write(&path, ethernet(1, 1)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        eprintln!("not tested: this user may read every file");
        return;
    }
    complains(dir.path(), &["locked.pcap"], 4, "no permission");
    fs::write(dir.path().join("good.pcap"), ethernet(1, 1)).unwrap();
    assert!(complains(dir.path(), &["good.pcap", "locked.pcap"], 4, "no permission").out.contains("relay"));
}

#[test]
fn a_file_cut_short_is_told_as_far_as_it_goes() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let whole = ethernet(1, 40_000);
    fs::write(at.join("cut.pcap"), &whole[..whole.len() - 10]).unwrap();
    let lab = fs::read(CAPTURE).unwrap();
    fs::write(at.join("cut.pcapng"), &lab[..lab.len() / 2 + 1]).unwrap();
    let packed = gzip(&lab);
    fs::write(at.join("cut.pcapng.gz"), &packed[..packed.len() / 2]).unwrap();
    let packed = zstd::encode_all(&lab[..], 1).unwrap();
    fs::write(at.join("cut.pcapng.zst"), &packed[..packed.len() / 2]).unwrap();
    for (file, says) in [
        ("cut.pcap", "cut short within a record"),
        ("cut.pcapng", "cut short within a record"),
        ("cut.pcapng.gz", "the gzip stream ends early"),
        ("cut.pcapng.zst", "the zstd stream ends early"),
    ] {
        let ran = complains(at, &[file], 3, says);
        assert!(ran.err.contains("at byte ") && ran.err.contains("the frames before it were read"), "{}", ran.err);
        assert!(ran.out.contains("relay ") && ran.out.contains(says), "{}", ran.out);
        let json = run(at, &["--ndjson", file]).out;
        assert!(json.contains("\"class\":\"relay\"") && json.contains("\"warnings\":["), "{json}");
        assert!(!json.contains("The capture is sound"), "{json}");
    }
}

#[test]
fn a_bad_file_does_not_keep_the_others_from_being_read() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("good.pcap"), ethernet(1, 1)).unwrap();
    let ran = complains(dir.path(), &["gone.pcap", "good.pcap"], 3, "gone.pcap: no such file");
    assert!(ran.out.contains("relay "), "{}", ran.out);
}

#[test]
fn a_link_type_that_is_not_read() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("odd.pcap"), capture(147, &conversation(1, 1, "x"))).unwrap();
    complains(dir.path(), &["odd.pcap"], 3, "have a link type that is not read here");
    // Where others are read it is told, and no failure.
    fs::write(dir.path().join("good.pcap"), ethernet(1, 1)).unwrap();
    complains(dir.path(), &["odd.pcap", "good.pcap"], 0, "8 of 16 frames have a link type that is not read here");
}

#[test]
fn a_capture_without_frames_says_so() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("bare.pcap"), pcap(1, [])).unwrap();
    let ran = run(dir.path(), &["bare.pcap"]);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    assert!(ran.out.contains("The capture is empty"), "{}", ran.out);
    // whoever has faults count must not take a mirror port that shows nothing for one without any
    for command in [&["analyze"][..], &["replay", "--no-tui"]] {
        assert_eq!(run(dir.path(), &[command, &["--fail-on", "error", "bare.pcap"]].concat()).code, 5, "{command:?}");
    }
}

#[test]
fn a_capture_that_ends_before_its_first_interface_says_so() {
    let dir = TempDir::new().unwrap();
    let header: [u32; 7] = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
    fs::write(dir.path().join("bare.pcapng"), header.map(u32::to_le_bytes).concat()).unwrap();
    complains(dir.path(), &["bare.pcapng"], 3, "it ends before any interface is described");
}

#[test]
fn frames_cut_before_their_addresses_say_so() {
    let dir = TempDir::new().unwrap();
    let mut file = capture(1, &[]);
    for second in 1..4_u32 {
        file.extend([second, 0, 20, 60].map(u32::to_le_bytes).concat());
        file.extend([&[2; 12][..], &[8, 0, 0x45, 0, 0, 46, 0, 0]].concat());
    }
    fs::write(dir.path().join("cut.pcap"), &file).unwrap();
    let ran = complains(dir.path(), &["cut.pcap"], 3, "all 3 frames are cut before their addresses");
    assert!(ran.out.contains("Capture again with whole frames"), "{}", ran.out);
}

#[test]
fn a_file_given_twice_is_read_once() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("ring")).unwrap();
    fs::write(at.join("ring/a.pcap"), ethernet(1, 1)).unwrap();
    std::os::unix::fs::symlink("ring/a.pcap", at.join("b.pcap")).unwrap();
    let once = run(at, &["--csv", "ring/a.pcap"]);
    for (args, name) in [
        (["ring/a.pcap", "ring/a.pcap"], "ring/a.pcap"),
        (["ring/a.pcap", "b.pcap"], "b.pcap"),
        (["ring", "b.pcap"], "b.pcap"),
    ] {
        let ran = complains(at, &["analyze", "--csv", args[0], args[1]], 0, "given more than once; it is read once");
        assert!(ran.err.contains(name) && ran.out == once.out, "{}", ran.err);
    }
}

#[test]
fn a_gzip_bomb_is_given_up() {
    let dir = TempDir::new().unwrap();
    // Members may follow each other in a gzip file: the same megabytes of zeros over and over.
    let zeros = gzip(&vec![0; 64 << 20]);
    let mut file = fs::File::create(dir.path().join("bomb.pcap.gz")).unwrap();
    file.write_all(&gzip(&pcap(1, []))).unwrap();
    for _ in 0..40 {
        file.write_all(&zeros).unwrap();
    }
    drop(file);
    complains(dir.path(), &["bomb.pcap.gz"], 3, "no capture packs that well");
}

#[test]
fn the_filter_shows_where_it_is_wrong() {
    let dir = TempDir::new().unwrap();
    for filter in ["port:", "(relay", "rate>fast", "nokey:1"] {
        let ran = run(dir.path(), &["-Y", filter, CAPTURE]);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{filter}");
        assert!(ran.err.contains(filter) && ran.err.lines().any(|l| l.trim_start().starts_with('^')), "{}", ran.err);
    }
}

#[test]
fn files_of_the_user_that_are_wrong() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("broken.toml"), "\nx = [").unwrap();
    fs::write(at.join("other.toml"), "colour = \"red\"\n").unwrap();
    fs::write(at.join("empty.toml"), "# nothing yet\n").unwrap();
    complains(at, &["--catalogue", "empty.toml", CAPTURE], 2, "empty.toml: the catalogue has no entries");
    for option in ["--site", "--catalogue"] {
        complains(at, &[option, "gone.toml", CAPTURE], 2, "gone.toml: the ");
        complains(at, &[option, "broken.toml", CAPTURE], 2, "broken.toml: line 2: ");
        complains(at, &[option, "other.toml", CAPTURE], 2, "other.toml: line 1: unknown field `colour`");
    }
}

#[test]
fn settings_that_are_wrong_are_refused_by_every_command() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::write(at.join("bad.toml"), "[keys]\nfly = [\"x\"]\n").unwrap();
    fs::write(at.join("good.toml"), "theme = \"cb\"\n").unwrap();
    for command in [
        &[CAPTURE][..],
        &["analyze", CAPTURE],
        &["replay", CAPTURE],
        &["carve", CAPTURE, "-o", "out.pcapng", "-Y", "relay"],
        &["compare", CAPTURE, CAPTURE],
        &["legs", "--lan", CAPTURE, "--wan", CAPTURE],
        &["bench", CAPTURE],
        &["live", "-i", "no-such-interface"],
        &["explain", "relay"],
        &["catalog"],
        &["keys"],
        &["config"],
        &["man"],
    ] {
        for (file, says) in [
            ("gone.toml", "gone.toml: the settings cannot be read"),
            ("bad.toml", "bad.toml: no command is called 'fly'"),
        ] {
            let args: Vec<&str> = command.iter().copied().chain(["--config", file]).collect();
            assert_eq!(complains(at, &args, 2, says).out, "", "{args:?}");
        }
    }
    let plain = run(at, &["analyze", CAPTURE]);
    let set = run(at, &["analyze", CAPTURE, "--config", "good.toml"]);
    assert_eq!((set.code, set.out, set.err), (plain.code, plain.out, plain.err));
    assert!(run(at, &["config", "--config", "good.toml"]).out.contains("good.toml: read, and sound"));
}

#[test]
fn more_is_said_where_more_is_wanted() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/first-view-viewer.pcapng");
    for (command, captures) in [
        (&["analyze", CAPTURE][..], 1),
        (&["replay", "--no-tui", CAPTURE], 1),
        (&["carve", CAPTURE, "-o", "out.pcapng", "-Y", "relay"], 1),
        (&["compare", CAPTURE, other], 2),
        (&["legs", "--lan", CAPTURE, "--wan", other], 2),
    ] {
        let plain = run(at, command);
        let more = run(at, &[command, &["-v", "--product", "ows"]].concat());
        assert_eq!((more.code, more.out), (plain.code, plain.out), "{command:?}");
        assert!(!plain.err.contains("judged by"), "{}", plain.err);
        assert!(more.err.starts_with("relayscope: judged by 53 rules"), "{}", more.err);
        assert!(more.err.lines().next().unwrap().ends_with("; product: ows"), "{}", more.err);
        assert_eq!(more.err.matches("read in ").count(), captures, "{}", more.err);
    }
}

#[test]
fn an_output_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    let ran =
        complains(dir.path(), &["-o", "gone/out", CAPTURE], 2, "gone/out: cannot be written: there is no folder gone");
    assert_eq!(ran.out, "");
    let ran = complains(dir.path(), &["live", "-i", "lo", "-w", "-"], 2, "-w -: stdout has what is found");
    assert!(ran.out.is_empty() && !dir.path().join("-").exists());
    let both = ["--html", "-o", "x", "--pack", "./x", CAPTURE];
    complains(dir.path(), &[&both[..4], &["x", CAPTURE]].concat(), 2, "is given as -o and as --pack");
    fs::create_dir(dir.path().join("folder")).unwrap();
    complains(dir.path(), &["live", "-i", "lo", "-w", "folder"], 2, "folder: cannot be written: it is a folder");
    complains(dir.path(), &["--csv", "-o", "folder", CAPTURE], 2, "folder: cannot be written");
    #[cfg(target_os = "linux")]
    complains(dir.path(), &["--csv", "-o", "/dev/full", CAPTURE], 2, "/dev/full: cannot be written");
}

#[test]
fn a_report_is_not_written_over_what_is_read() {
    let dir = TempDir::new().unwrap();
    let bytes = fs::read(CAPTURE).unwrap();
    fs::create_dir(dir.path().join("rotated")).unwrap();
    for name in ["a.pcapng", "rotated/b.pcapng"] {
        fs::write(dir.path().join(name), &bytes).unwrap();
    }
    fs::hard_link(dir.path().join("a.pcapng"), dir.path().join("c.pcapng")).unwrap();
    for (input, output) in [("a.pcapng", "a.pcapng"), ("a.pcapng", "c.pcapng"), ("rotated", "rotated/b.pcapng")] {
        complains(dir.path(), &["analyze", input, "-o", output], 2, "give -o another name");
        assert_eq!(fs::read(dir.path().join(output)).unwrap(), bytes, "{output}");
    }
}

#[test]
fn more_threads_than_there_is_work_for_do_no_harm() {
    let dir = TempDir::new().unwrap();
    let told = |threads| run(dir.path(), &["analyze", CAPTURE, "--ndjson", "--threads", threads]).out;
    assert_eq!(told("4000000000"), told("1"));
}

#[test]
fn an_output_file_appears_whole() {
    let dir = TempDir::new().unwrap();
    let ran = run(dir.path(), &["--csv", "-o", "out.csv", CAPTURE]);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""));
    let written = fs::read_to_string(dir.path().join("out.csv")).unwrap();
    assert_eq!(written, run(dir.path(), &["--csv", CAPTURE]).out);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["out.csv"], "nothing else is left behind");
    assert_eq!(run(dir.path(), &["--csv", "-o", "-", CAPTURE]).out, written);
}

#[test]
fn words_that_are_no_command() {
    let dir = TempDir::new().unwrap();
    for (args, says) in [
        (&["analyse", CAPTURE][..], "'analyze'"),
        (&["--threads", "0", CAPTURE], "a number of threads, 1 or more"),
        (&["--threads", "many", CAPTURE], "a number of threads, 1 or more"),
        (&["analyze"], "Usage: relayscope analyze"),
        (&["--json", "--csv", CAPTURE], "cannot be used with"),
    ] {
        let ran = run(dir.path(), args);
        assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(says), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let dir = TempDir::new().unwrap();
    for args in [&["--ndjson", CAPTURE][..], &["--csv", CAPTURE], &[CAPTURE], &["catalog"], &["man"]] {
        let mut child = relayscope(dir.path(), args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*err), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn packed_and_piped_is_the_same() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let lab = fs::read(CAPTURE).unwrap();
    fs::write(at.join("a.gz"), gzip(&lab)).unwrap();
    fs::write(at.join("a.zst"), zstd::encode_all(&lab[..], 1).unwrap()).unwrap();
    let plain = run(at, &["--ndjson", CAPTURE]);
    assert_eq!((plain.code, &*plain.err), (0, ""));
    assert_eq!(run(at, &["--ndjson", "a.gz"]).out, plain.out);
    assert_eq!(run(at, &["--ndjson", "a.zst"]).out, plain.out);
    for input in [&lab, &gzip(&lab)] {
        let piped = run_with_input(at, &["--ndjson", "-"], input);
        assert_eq!((piped.code, piped.out), (0, plain.out.clone()));
    }
    one_line(&run_with_input(at, &["-"], b""), 3, "standard input: the file is empty");
    one_line(&run_with_input(at, &["-"], b"hello, hello, hello, hello"), 3, "standard input: not a capture file");
}

#[test]
fn several_files_and_a_folder_are_read_in_the_order_of_time() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("ring")).unwrap();
    fs::write(at.join("ring/b.pcap"), ethernet(10, 1001)).unwrap();
    fs::write(at.join("ring/a.pcap.gz"), gzip(&ethernet(30, 1003))).unwrap();
    fs::write(at.join("ring/notes.txt"), "not a capture, and no matter").unwrap();
    fs::write(at.join("late.pcap"), ethernet(20, 1002)).unwrap();
    let ran = run(at, &["--csv", "late.pcap", "ring"]);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    let ports: Vec<_> = ran.out.lines().skip(1).map(|row| row.split(',').nth(7).unwrap().to_owned()).collect();
    assert_eq!(ports, ["1001", "1002", "1003"]);
    assert_eq!(run(at, &["--csv", "ring", "-r", "late.pcap"]).out, ran.out);
}

#[test]
fn a_filter_keeps_what_passes() {
    let dir = TempDir::new().unwrap();
    let all = run(dir.path(), &["--ndjson", CAPTURE]).out;
    let relay = run(dir.path(), &["--ndjson", "-Y", "class:relay", CAPTURE]);
    let flows = |text: &str, with: &str| text.lines().filter(|l| l.contains("\"flow\"") && l.contains(with)).count();
    assert_eq!(flows(&relay.out, ""), flows(&all, "\"class\":\"relay\""));
    assert_eq!(flows(&relay.out, ""), 3);
    // the verdict and the next step are of the capture, whatever passes
    let told = run(dir.path(), &["-Y", "class:relay", CAPTURE]).out;
    assert!(
        told.contains("; 18 flows") && told.contains("Filter    class:relay: 3 of 18 flows, 0 of 0 findings"),
        "{told}"
    );
    let held = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/holds/trickle-tls13-viewer.pcapng.zst");
    let told = run(dir.path(), &["-Y", "dns", held]).out;
    assert!(
        told.starts_with("· No finding concerns the flows that pass the filter; without it there is 1 finding."),
        "{told}"
    );
    assert!(!told.contains("Next") && told.contains("3 of 6 flows, 0 of 1 findings pass"), "{told}");
    assert!(run(dir.path(), &["-Y", "zzz", CAPTURE]).out.contains("No flow passes the filter"));
}

/// Three conversations of which the mirror shows only what the client sent.
/// What was lost before the capture is in both records that tell of it.
#[test]
fn what_a_capture_says_was_lost_is_counted() {
    let mut writer = Writer::new(Vec::new(), &Section::default()).unwrap();
    let link = LinkType(1);
    let at = writer.interface(&Interface { link, snaplen: 0, name: None, filter: None }).unwrap();
    let bytes = udp(1_024, 5_000).payload([7; 20]).ipv4("10.0.0.1", "10.0.0.2").frame();
    let frame = Frame { ts: Timestamp(1_795_348_800_000_000_000), link, len: bytes.len() as u32, bytes: &bytes };
    writer.frame(at, &frame, &[]).unwrap();
    let lost = Statistics { kernel_drops: Some(42), interface_drops: Some(11), ..Statistics::default() };
    writer.statistics(at, &lost).unwrap();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.pcapng"), writer.into_output()).unwrap();
    for args in [&["analyze", "--ndjson", "a.pcapng"][..], &["replay", "--no-tui", "a.pcapng"]] {
        let told = records(&run(dir.path(), args).out);
        for kind in ["capture_quality", "stats"] {
            let last = told.iter().rfind(|record| record["event_type"] == kind).unwrap();
            assert_eq!([&last["kernel_drops"], &last["interface_drops"]], [42, 11], "{args:?} {last}");
        }
    }
}

fn records(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_form_is_what_it_says() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let lines = run(at, &["--ndjson", CAPTURE]).out;
    let records: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let kinds: Vec<_> = records.iter().map(|r| r["event_type"].as_str().unwrap()).collect();
    assert!(kinds.ends_with(&["flow", "session", "capture_quality", "stats"]), "{kinds:?}");
    let flows = kinds.iter().filter(|kind| **kind == "flow").count();
    let document: serde_json::Value = serde_json::from_str(&run(at, &["--json", CAPTURE]).out).unwrap();
    assert_eq!(document["flows"].as_array().unwrap().len(), flows);
    assert_eq!(document["sessions"][0], records[flows]);
    assert!(document["site"]["allow_list"].is_array() || document["site"].is_object());
    let csv = run(at, &["--csv", CAPTURE]).out;
    assert!(csv.starts_with("flow_id,community_id,start,"));
    assert_eq!(csv.lines().count(), flows + 1);
    let summary = run(at, &[CAPTURE]);
    assert!(!summary.out.contains('\u{1b}') && summary.out.lines().all(|l| l.chars().count() <= 100));
    assert!(run(at, &["--color", "always", CAPTURE]).out.contains('\u{1b}'));
}

#[test]
fn the_other_commands_answer() {
    let dir = TempDir::new().unwrap();
    for (args, says) in [
        (&["catalog"][..], "restapi.gp4f.com"),
        (&["catalog", "--product", "contera"], "*.gp4f.com"),
        (&["catalog", "--format", "json"], "\"hosts\""),
        (&["explain", "relay"], "evidence"),
        (&["explain", "cf-1"], "first_byte_seconds = 10"),
        (&["explain", "content-filter-stall"], "CF-12"),
        (&["explain", "rec1.us-west.u5fgb.com"], "us-west"),
        (&["completions", "bash"], "_relayscope()"),
        (&["completions", "zsh"], "#compdef relayscope"),
        (&["man"], ".TH relayscope 1"),
        (&["--version"], "relayscope "),
        (&["--help"], "Exit codes"),
        (&["analyze", "--help"], "Filters:"),
    ] {
        let ran = run(dir.path(), args);
        assert!(ran.code == 0 && ran.err.is_empty() && ran.out.contains(says), "{args:?}: {} {}", ran.out, ran.err);
    }
    complains(dir.path(), &["explain", "nothing-of-ours"], 2, "nothing is called 'nothing-of-ours'");
}

#[test]
fn a_frame_of_another_kind_is_no_damage() {
    let dir = TempDir::new().unwrap();
    let mut frames = conversation(1, 1, "a1.us-west.u5fgb.com");
    let mut arp = vec![0xff; 12];
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4]);
    arp.resize(60, 0);
    frames.push((2_000_000_000, arp));
    frames.push((2_000_000_001, udp(1, 2).payload("x").ipv4("10.0.0.1", "10.0.0.2").frame()[..20].to_vec()));
    fs::write(dir.path().join("a.pcap"), capture(1, &frames)).unwrap();
    let out = run(dir.path(), &["a.pcap"]).out;
    assert!(out.contains("1 frame not IP"), "{out}");
    assert!(out.contains("Damage    1 frame not decoded (1 cut-ip)"), "{out}");
}

#[test]
fn bench_measures_every_stage_and_refuses_what_is_no_capture() {
    let dir = TempDir::new().unwrap();
    let ran = run(dir.path(), &["bench", "--runs", "1", "--threads", "2", "--json", CAPTURE]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((told["frames"].as_u64(), told["flows"].as_u64()), (Some(1565), Some(18)));
    let stages = told["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["read", "decode", "track", "inspect", "name and diagnose"]);
    let so_far: Vec<f64> = stages.iter().map(|stage| stage["total_ns_per_packet"].as_f64().unwrap()).collect();
    assert!(so_far.is_sorted() && so_far[0] > 0.0, "{so_far:?}");
    assert_eq!(told["runs"].as_array().unwrap().len(), 2);
    let ran = run(dir.path(), &["bench", "--runs", "1", "--threads", "1", CAPTURE]);
    assert!(ran.code == 0 && ran.out.contains("NS/PACKET") && ran.out.contains("1 thread"), "{}", ran.out);
    fs::write(dir.path().join("text"), "no capture").unwrap();
    for (args, why, code) in [
        (["bench", "text"], "not a capture", 3),
        (["bench", "nowhere"], "nowhere", 3),
        (["bench", "."], "no file", 2),
        (["bench", "-"], "no file", 2),
    ] {
        let ran = run(dir.path(), &args);
        assert!(ran.code == code && ran.err.contains(why), "{args:?}: {} {}", ran.code, ran.err);
    }
}
