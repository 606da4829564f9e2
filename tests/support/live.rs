//! `live` at work: each test runs itself again in a network namespace of its own, where pairs of linked interfaces are
//! all there is. Where no such namespace may be made it says so and does nothing.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pcap::{Active, Capture};

/// Set where a namespace of our own is around.
const INSIDE: &str = "RELAYSCOPE_TEST_NAMESPACE";

/// Whether the test may go on: it is in its namespace. If not it is run there, by a process that this waits for.
pub fn in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        link("va", "vb");
        link("wa", "wb");
        return true;
    }
    let works = |how: &[&str]| {
        let probe = "ip link add pa type veth peer name pb && ip link set pa up";
        Command::new("unshare").args(how).args(["sh", "-c", probe]).output().is_ok_and(|o| o.status.success())
    };
    let Some(how) = [&["-n", "-m"][..], &["-r", "-n", "-m"]].into_iter().find(|how| works(how)) else {
        eprintln!("{test}: not run, because no network namespace may be made here");
        return false;
    };
    let test_file = std::env::current_exe().unwrap();
    // what started the tests may have had hanging up ignored, as nohup does, and whoever inherits that stays deaf to it
    let mut command = Command::new("env");
    command
        .args(["--default-signal=HUP", "unshare"])
        .args(how)
        .arg(test_file)
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(INSIDE, "1");
    let output = command.env_remove("SUDO_UID").env_remove("SUDO_GID").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    false
}

/// A pair of linked interfaces.
pub fn link(a: &str, b: &str) {
    ip(&["link", "add", a, "type", "veth", "peer", "name", b]);
    for name in [a, b] {
        // a quiet wire: no neighbours are looked for
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        ip(&["link", "set", name, "up"]);
    }
}

/// All that a process has said.
pub fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// Runs `ip`.
pub fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", text(&output));
}

/// The program.
pub fn relayscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayscope"));
    command.env_remove("XDG_CONFIG_HOME");
    command
}

/// `live` at work in a folder.
pub struct Live {
    pub child: Child,
    pub folder: PathBuf,
}

impl Live {
    /// Starts it, and waits until it captures.
    pub fn start(folder: &Path, args: &[&str]) -> Live {
        Live::start_as(folder, args, &[])
    }

    /// The same, with variables of the environment.
    pub fn start_as(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Live {
        let mut command = relayscope();
        command.current_dir(folder).args(["live", "--no-tui"]).args(args).envs(variables.iter().copied());
        command.stdout(File::create(folder.join("out")).unwrap()).stderr(File::create(folder.join("err")).unwrap());
        // the system does not let an orphaned group be stopped, and the group of a test may be one
        command.process_group(0);
        let live = Live { child: command.stdin(Stdio::null()).spawn().unwrap(), folder: folder.to_owned() };
        live.wait_for("capturing on");
        live
    }

    /// Waits until it has said something on stderr.
    pub fn wait_for(&self, what: &str) {
        for _ in 0..600 {
            if self.err().contains(what) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("no '{what}' in: {}", self.err());
    }

    /// What it has said on stderr.
    pub fn err(&self) -> String {
        fs::read_to_string(self.folder.join("err")).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let killed = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Ends it; gives its exit code, and what it wrote to stdout and stderr.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        // what was sent is on its way for a moment
        sleep(Duration::from_millis(300));
        self.signal("INT");
        let status = self.child.wait().unwrap();
        (status.code(), fs::read_to_string(self.folder.join("out")).unwrap(), self.err())
    }
}

/// An interface to send by.
pub fn sender(name: &str) -> Capture<Active> {
    Capture::from_device(name).unwrap().open().unwrap()
}

/// The lines that must be the same whenever the same packets are looked at.
pub fn told(ndjson: &str) -> Vec<&str> {
    let of = |line: &&str| {
        ["\"flow\"", "\"finding\"", "\"session\""].iter().any(|kind| line.contains(&format!("\"event_type\":{kind}")))
    };
    ndjson.lines().filter(of).collect()
}
