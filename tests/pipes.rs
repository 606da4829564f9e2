//! Named pipes as input: who writes may come late, say nothing, or never come.

#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use support::live::{relayscope, told};

/// A pipe in a folder.
fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// The program at work on a pipe, which it has opened.
fn reading(command: &str, pipe: &Path) -> Child {
    let mut program = relayscope();
    program.args([command, "-q"]).args((command == "replay").then_some("--no-tui")).arg(pipe);
    let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let opened = || {
        sleep(Duration::from_millis(50));
        let descriptors = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|path| path == pipe)
    };
    assert!((0..1_200).any(|_| opened()), "it does not open the pipe");
    child
}

/// Interrupts it once; gives its exit code, what it said and what it told.
fn interrupted(mut child: Child) -> (Option<i32>, String, String) {
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    let (mut said, mut told) = (String::new(), String::new());
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    (code, said, told)
}

#[test]
fn one_interrupt_ends_the_wait_for_who_never_writes() {
    for command in ["analyze", "replay"] {
        let folder = tempfile::tempdir().unwrap();
        let (code, said, told) = interrupted(reading(command, &pipe(folder.path())));
        assert_eq!(code, Some(130), "{command}: {said}");
        assert!(said.lines().all(|line| line.contains("interrupted")) && !said.is_empty(), "{command}: {said}");
        // whoever is handed the report has not seen what was said
        assert!(told.contains("interrupted"), "{command}: {told}");
    }
}

#[test]
fn one_interrupt_ends_the_wait_for_who_has_opened_it_and_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    let child = reading("analyze", &path);
    let _writer = File::options().write(true).open(&path).unwrap();
    let (code, said, _) = interrupted(child);
    assert_eq!(code, Some(130), "{said}");
}

#[test]
fn who_comes_late_and_writes_little_by_little_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/first-view.pcapng");
    let child = reading("replay", &path);
    let mut writer = File::options().write(true).open(&path).unwrap();
    for piece in fs::read(&capture).unwrap().chunks(50_000) {
        io::Write::write_all(&mut writer, piece).unwrap();
    }
    drop(writer);
    let heard = child.wait_with_output().unwrap();
    let of_file = relayscope().args(["replay", "-q", "--no-tui"]).arg(&capture).output().unwrap();
    assert_eq!(heard.status.code(), of_file.status.code(), "{}", String::from_utf8_lossy(&heard.stderr));
    let [heard, of_file] = [heard.stdout, of_file.stdout].map(|out| String::from_utf8(out).unwrap());
    assert_eq!(told(&heard), told(&of_file));
    assert!(told(&heard).len() > 10, "{heard}");
}
