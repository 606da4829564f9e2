//! The dashboard on a terminal: what it takes of it it gives back, however it ends; and what is done with keys is done.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_relayscope");
/// The longest that something is waited for before the test gives up.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };
/// To the other screen, and back.
const ENTERED: &str = "\u{1b}[?1049h";
const LEFT: &str = "\u{1b}[?1049l";

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)
}

/// A terminal of 80 columns and 24 lines with the program on it.
struct Terminal {
    master: File,
    slave: File,
    before: Termios,
    child: Child,
    folder: TempDir,
    said: Vec<u8>,
}

impl Terminal {
    fn open(term: &str, args: &[&str]) -> Terminal {
        Terminal::of(term, Command::new(PROGRAM).args(args))
    }

    fn of(term: &str, command: &mut Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::from(
            rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap(),
        );
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let folder = TempDir::new().unwrap();
        let end = || slave.try_clone().unwrap();
        command.current_dir(folder.path()).stdin(end()).stdout(end()).stderr(end());
        command.env("TERM", term).env("LC_ALL", "C.UTF-8").env("XDG_CONFIG_HOME", folder.path());
        command.env_remove("NO_COLOR").env_remove("COLORTERM").env("XDG_STATE_HOME", folder.path());
        let before = tcgetattr(&slave).unwrap();
        let child = command.spawn().unwrap();
        Terminal { master: File::from(master), slave, before, child, folder, said: Vec::new() }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until a text stands on the screen.
    fn wait_to_see(&mut self, text: &str) {
        while !self.screen().contains(text) {
            self.read(&format!("{text:?} did not come"));
        }
    }

    /// What stands on the screen: only what differs from the frame before is written to it.
    fn screen(&self) -> String {
        let mut cells = vec![vec![' '; 80]; 24];
        let (mut line, mut column) = (0, 0);
        let said = String::from_utf8_lossy(&self.said);
        let mut rest = said.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' if rest.next() == Some('[') => {
                    let mut given = String::new();
                    let end = rest.find(|c| {
                        let ends = ('@'..='~').contains(c);
                        if !ends {
                            given.push(*c);
                        }
                        ends
                    });
                    match end {
                        Some('H') => {
                            let mut places = given.split(';').map(|n| n.parse::<usize>().unwrap_or(1) - 1);
                            (line, column) = (places.next().unwrap_or(0), places.next().unwrap_or(0));
                        }
                        Some('J') => cells.iter_mut().for_each(|line| line.fill(' ')),
                        _ => {}
                    }
                }
                '\r' => column = 0,
                '\n' => line += 1,
                c => {
                    if let Some(cell) = cells.get_mut(line).and_then(|line| line.get_mut(column)) {
                        *cell = c;
                    }
                    column += 1;
                }
            }
        }
        cells.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
    }

    fn read(&mut self, why: &str) {
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&PATIENCE)).unwrap();
        assert!(ready > 0, "{why}: {}", String::from_utf8_lossy(&self.said));
        let mut bytes = [0; 4096];
        let n = self.master.read(&mut bytes).unwrap();
        self.said.extend_from_slice(&bytes[..n]);
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; all that was said is read.
    fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.drain();
        status
    }

    fn drain(&mut self) {
        loop {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            if poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0 {
                return;
            }
            self.read("what was said is there");
        }
    }

    /// Whether lines are edited and echoed as before, on the screen of before, with a cursor and without the mouse.
    fn assert_given_back(&mut self) {
        self.drain();
        let now = tcgetattr(&self.slave).unwrap();
        let modes = |t: &Termios| (t.input_modes, t.output_modes, t.control_modes, t.local_modes);
        assert_eq!(modes(&now), modes(&self.before));
        let said = String::from_utf8_lossy(&self.said);
        let last = |text: &str| said.rfind(text);
        for (taken, given) in [(ENTERED, LEFT), ("\u{1b}[?25l", "\u{1b}[?25h"), ("\u{1b}[?1000h", "\u{1b}[?1000l")] {
            assert!(last(taken).is_some() && last(given) > last(taken), "{given:?} does not follow in {said:?}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // of a test that failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn held() -> String {
    capture("holds/wall-recorder.pcapng.zst").display().to_string()
}

#[test]
fn the_terminal_is_given_back_when_it_is_left() {
    let mut terminal = Terminal::open("xterm-256color", &[&held()]);
    terminal.wait_to_see("quit");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_given_back();
}

/// Whoever has had enough waits for nobody who writes.
#[test]
fn a_pipe_that_nothing_comes_from_is_left_as_a_file_is() {
    let begun = fs::read(capture("first-view.pcapng")).unwrap();
    for (written, key, code) in [(0, "q", 0), (0, "\u{3}", 0), (50_000, "q", 0)] {
        let folder = TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut terminal = Terminal::open("xterm-256color", &[&pipe.display().to_string()]);
        let mut writer = (written > 0).then(|| File::options().write(true).open(&pipe).unwrap());
        writer.iter_mut().for_each(|writer| writer.write_all(&begun[..written]).unwrap());
        terminal.wait_to_see("quit");
        terminal.press(key);
        assert_eq!(terminal.end().code(), Some(code), "{written} {key:?}");
        terminal.assert_given_back();
    }
}

/// Who writes may pause for long: what came before that is shown meanwhile.
#[test]
fn what_came_before_a_pause_is_shown() {
    let packed = fs::read(held()).unwrap();
    let plain = zstd::decode_all(&packed[..]).unwrap();
    for (kind, bytes, speed) in [("plain", &plain, "max"), ("packed", &packed, "max"), ("timed", &plain, "1000")] {
        let folder = TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut terminal = Terminal::open("xterm-256color", &["replay", "--speed", speed, &pipe.display().to_string()]);
        let mut writer = File::options().write(true).open(&pipe).unwrap();
        writer.write_all(bytes).unwrap();
        terminal.wait_to_see("takes no more video");
        assert!(!terminal.screen().contains("read to its end"), "{kind}");
        drop(writer);
        terminal.wait_to_see("read to its end");
        terminal.press("q");
        assert_eq!(terminal.end().code(), Some(0), "{kind}");
    }
}

/// A capture may come from a pipe at standard input: where that ends, the terminal is still there.
#[test]
fn a_capture_from_standard_input_stays_on_the_screen() {
    let line = r#"cat "$1" | "$0" replay -"#;
    let mut shell = Command::new("setsid");
    let mut terminal = Terminal::of("xterm-256color", shell.args(["--ctty", "sh", "-c", line, PROGRAM, &held()]));
    terminal.wait_to_see("read to its end");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
}

/// What was wrong with a capture, or in it where that is asked for, is known by the exit code here as elsewhere.
#[test]
fn what_was_wrong_is_in_the_exit_code() {
    let folder = TempDir::new().unwrap();
    let cut = folder.path().join("cut.pcapng");
    let whole = fs::read(capture("first-view.pcapng")).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2 + 1]).unwrap();
    let cut = cut.display().to_string();
    for (args, code) in [(&["replay", &cut][..], 3), (&["replay", "--fail-on", "error", &held()], 1)] {
        let mut terminal = Terminal::open("xterm-256color", args);
        terminal.wait_to_see("read to its end");
        terminal.press("q");
        assert_eq!(terminal.end().code(), Some(code), "{args:?}");
    }
}

/// Where no capture can be read the screen is not taken: a line says why.
#[test]
fn what_cannot_be_read_is_told_in_a_line() {
    for (args, why) in [
        (&["replay", "/etc/passwd"][..], "/etc/passwd: not a capture file"),
        (&["replay", "gone.pcap"], "gone.pcap: no such file"),
        (&["gone.pcap"], "gone.pcap: no such file"),
    ] {
        let mut terminal = Terminal::open("xterm-256color", args);
        terminal.wait_to_see(why);
        assert_eq!(terminal.end().code(), Some(3), "{args:?}");
        assert!(!terminal.screen().contains("quit"), "{}", terminal.screen());
    }
}

#[test]
fn signals_end_it_in_order() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut terminal = Terminal::open("xterm-256color", &[&held()]);
        terminal.wait_to_see("quit");
        kill_process(terminal.pid(), signal).unwrap();
        let status = terminal.end();
        assert_eq!((status.code(), status.signal()), (Some(130), None), "{signal:?}");
        terminal.assert_given_back();
    }
}

/// The shell gets a terminal that works, and coming back the screen is there again.
#[test]
fn it_can_be_stopped_and_goes_on() {
    for by_key in [true, false] {
        let mut terminal = Terminal::open("xterm-256color", &[&held()]);
        terminal.wait_to_see("quit");
        if by_key {
            terminal.press("\u{1a}");
        } else {
            kill_process(terminal.pid(), Signal::TSTP).unwrap();
        }
        let (_, status) = waitpid(Some(terminal.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
        terminal.assert_given_back();
        // whoever had the terminal meanwhile has written there
        terminal.said = b"\x1b[2J$ fg".to_vec();
        kill_process(terminal.pid(), Signal::CONT).unwrap();
        terminal.wait_to_see("quit");
        terminal.press("q");
        assert_eq!(terminal.end().code(), Some(0));
        terminal.assert_given_back();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    // whose it is, the system tells of its end; who only uses it must see for himself
    for whose in [&["--ctty"][..], &[]] {
        let mut terminal = Terminal::of("xterm-256color", Command::new("setsid").args(whose).args([PROGRAM, &held()]));
        terminal.wait_to_see("quit");
        // the last who holds the other end
        let null = || File::options().read(true).write(true).open("/dev/null").unwrap();
        drop(std::mem::replace(&mut terminal.master, null()));
        drop(std::mem::replace(&mut terminal.slave, null()));
        assert_eq!(terminal.child.wait().unwrap().code(), Some(130));
    }
}

/// On a console without many colours nothing asks for more than sixteen, and where none are wanted none are asked for.
#[test]
fn no_more_colours_than_there_are() {
    for (term, plain) in [("linux", false), ("xterm-mono", false), ("dumb", true)] {
        let mut terminal = Terminal::open(term, &[&held()]);
        terminal.wait_to_see("quit");
        terminal.press("2");
        terminal.wait_to_see("FLOWS");
        terminal.press("q");
        assert_eq!(terminal.end().code(), Some(0));
        let said = String::from_utf8_lossy(&terminal.said).into_owned();
        let asks = |code: &str| said.contains(code);
        assert!(!asks("[38;2;") && !asks("[48;2;"), "{term}: {said:?}");
        let colours = (16..256).any(|n| asks(&format!("[38;5;{n}m")));
        assert!(!colours, "{term}: {said:?}");
        if term == "linux" {
            assert!(said.is_ascii(), "{said:?}");
        }
        if plain {
            assert!(!asks("[38;5;") && !(30..38).any(|n| asks(&format!("[{n}m"))), "{term}: {said:?}");
        }
    }
}

/// From the verdict to what is handed over, by the keys that the screen shows.
#[test]
fn the_proof_is_written_from_the_screen() {
    let mut terminal = Terminal::open("xterm-256color", &[&held()]);
    terminal.wait_to_see("takes no more video");
    terminal.press("\r");
    terminal.wait_to_see("its flows");
    terminal.press("\r");
    terminal.wait_to_see("FLOWS");
    terminal.press("w");
    terminal.wait_to_see("the packets: written to");
    terminal.press("r");
    terminal.wait_to_see("the report: written to");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    terminal.assert_given_back();
    let mut files: Vec<String> = fs::read_dir(terminal.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("2026"))
        .collect();
    files.sort();
    assert!(files.len() == 2 && files[1] == "20261125-relayscope-report.html", "{files:?}");
    let report = fs::read_to_string(terminal.folder.path().join(&files[1])).unwrap();
    assert!(report.contains("takes no more video") && report.contains("<svg"));
    let carved = terminal.folder.path().join(&files[0]).display().to_string();
    let told = Command::new(PROGRAM).args(["analyze", "-q", "--ndjson", &carved]).output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    assert!(files[0].ends_with(".pcapng") && told.contains("\"relay\""), "{told}");
}

/// Hosts are called by what they do, and flows by where one came from.
#[test]
fn who_is_who_and_where_one_is() {
    let all = capture("site/everything-lan.pcapng.zst").display().to_string();
    let mut terminal = Terminal::open("xterm-256color", &[&all]);
    terminal.wait_to_see("read to its end");
    terminal.press("6");
    for host in ["50  recorder", "70  client", "60  camera", "1   resolver", "80  panel"] {
        terminal.wait_to_see(&format!("192.168.1.{host}"));
    }
    terminal.press("\r");
    terminal.wait_to_see("HOSTS > 192.168.1.50 > FLOWS  38 of 48 flows");
    terminal.press("\u{1b}");
    terminal.wait_to_see("HOSTS  1 of 5");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
}
