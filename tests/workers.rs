//! Any number of threads gives the same bytes.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use relayscope::source::{CHUNK_BYTES, Chunk, Fill, Source};
use support::{ACK, FIN, PSH, SYN, ethernet, fragments, pcap, port_unreachable, tcp, udp};
use tempfile::TempDir;

const FORMS: [&[&str]; 4] = [&["--ndjson"], &["--csv"], &[], &["--ndjson", "-Y", "relay or flag:unusual-port"]];

fn output(file: &Path, threads: &str, form: &[&str]) -> String {
    output_of(&[file], threads, form)
}

fn output_of(files: &[&Path], threads: &str, form: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_relayscope"))
        .args(["--threads", threads])
        .args(form)
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn same_for_any_number_of_threads(file: &Path) {
    for form in FORMS {
        let alone = output(file, "1", form);
        for threads in ["1", "2", "3", "8"] {
            let many = output(file, threads, form);
            if let Some((one, other)) = alone.lines().zip(many.lines()).find(|(a, b)| a != b) {
                panic!("{threads} threads, {form:?}:\n  {one}\n  {other}");
            }
            assert!(alone == many, "{threads} threads, {form:?}");
        }
    }
}

#[test]
fn the_captures_of_this_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.extension().is_some_and(|e| e == "pcapng")) {
        same_for_any_number_of_threads(&file);
    }
}

/// The two halves of a tap, each in a file of its own, in whatever order they are given.
#[test]
fn two_halves_of_a_tap_tell_what_the_whole_tells() {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/first-view.pcapng");
    let (mut source, mut chunk) = (Source::open(&[capture], CHUNK_BYTES), Chunk::default());
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    while source.fill(&mut chunk) == Fill::More {
        all.extend(chunk.frames.iter().filter_map(|at| chunk.frame(at)).map(|f| (f.ts.0, f.bytes.to_vec())));
    }
    let folder = TempDir::new().unwrap();
    let write = |name: &str, of: &dyn Fn(&[u8]) -> bool| {
        let frames = all.iter().filter(|(_, frame)| of(frame)).map(|(at, frame)| (*at, &frame[..]));
        let path = folder.path().join(name);
        fs::write(&path, pcap(1, frames)).unwrap();
        path
    };
    // by the hardware address of who sends
    let recorder = all[0].1[6..12].to_vec();
    let whole = write("whole", &|_| true);
    let (out, back) = (write("a", &|frame| frame[6..12] == recorder), write("b", &|frame| frame[6..12] != recorder));
    for threads in ["1", "3"] {
        for form in [&["--ndjson"][..], &["--csv"], &["--ndjson", "--max-memory", "16M"]] {
            let want = output(&whole, threads, form);
            assert!(output_of(&[&out, &back], threads, form) == want, "{threads} {form:?}");
            assert!(output_of(&[&back, &out], threads, form) == want, "{threads} {form:?}");
        }
    }
}

/// Frames with their times, a microsecond apart.
#[derive(Default)]
struct Tape(Vec<(u64, Vec<u8>)>);

impl Tape {
    fn frame(&mut self, frame: Vec<u8>) {
        self.0.push((1_000_000_000 + self.0.len() as u64 * 1_000, frame));
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("many.pcap");
        fs::write(&path, pcap(1, self.0.iter().map(|(at, frame)| (*at, &frame[..])))).unwrap();
        path
    }
}

/// A DNS question for the A record of a name (RFC 1035 §4).
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Its answer: so many addresses, the first of them `10.9.x.y` for server `n`.
fn answer(id: u16, name: &str, n: u16, addresses: u8) -> Vec<u8> {
    let mut message = question(id, name);
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[7] = addresses;
    for i in 0..addresses {
        let [high, low] = n.to_be_bytes();
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203 + i % 2, high, low, i + 1]);
    }
    message
}

/// What one client does: it asks, is answered (every third time in fragments), and speaks with the server that the
/// answer named, which says no name itself; then it tries a port that a router refuses.
fn client(tape: &mut Tape, n: u16) {
    const RESOLVERS: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let [high, low] = n.to_be_bytes();
    let (client, server) = (format!("10.1.{high}.{low}"), format!("203.{high}.{low}.1"));
    let resolver = RESOLVERS[usize::from(n % 3)];
    let name = match n % 4 {
        0 => format!("rec{n}.us-west.u5fgb.com"),
        1 => "restapi.gp4f.com".to_owned(),
        2 => format!("cam{n}.example.net"),
        _ => format!("rec{n}.us-east.u5fgb.com"),
    };
    let port = 20_000 + n;
    tape.frame(udp(port, 53).payload(question(n, &name)).ipv4(&client, resolver).frame());
    let answer = udp(53, port).payload(answer(n, &name, n, 20)).ipv4(resolver, &client);
    if n.is_multiple_of(3) {
        let mut parts = fragments(answer.ip(), n, 128);
        let shift = usize::from(n) % parts.len();
        parts.rotate_left(shift);
        parts.into_iter().for_each(|part| tape.frame(ethernet(&part)));
    } else {
        tape.frame(answer.frame());
    }
    let up = |seq, ack| tcp(port, 443).seq(seq).ack(ack);
    let down = |seq, ack| tcp(443, port).seq(seq).ack(ack);
    tape.frame(up(10, 0).flags(SYN).ipv4(&client, &server).frame());
    tape.frame(down(90, 11).flags(SYN | ACK).ipv4(&server, &client).frame());
    tape.frame(up(11, 91).flags(PSH | ACK).payload(vec![7; 300]).ipv4(&client, &server).frame());
    tape.frame(down(91, 311).flags(PSH | ACK).payload(vec![9; 200]).ipv4(&server, &client).frame());
    tape.frame(up(311, 291).flags(FIN | ACK).ipv4(&client, &server).frame());
    let refused = udp(port, 3478).payload([0; 20]).ipv4(&client, &server);
    tape.frame(refused.frame());
    tape.frame(ethernet(&port_unreachable("192.0.2.250", refused.ip())));
}

#[test]
fn many_flows_that_concern_each_other() {
    let mut tape = Tape::default();
    // More than one chunk's worth, so that threads do share it; whoever comes late is named by what came early.
    for round in 0..2 {
        for n in 0..1200 {
            client(&mut tape, n + round);
        }
    }
    let folder = TempDir::new().unwrap();
    let file = tape.write(folder.path());
    let told = output(&file, "8", &["--ndjson"]);
    let count = |what: &str| told.lines().filter(|l| l.contains(what)).count();
    assert!(count("\"class\":\"relay\"") >= 600, "names of other shards reach their flows");
    assert!(count("\"class\":\"dns\"") >= 1200, "fragmented answers too");
    same_for_any_number_of_threads(&file);
}
