//! How people and programs are told something, from outside: by which clock, and how far reading has come.

use std::fs;

use tempfile::TempDir;

use super::{CAPTURE, complains, ran, records, relayscope, run};

#[test]
fn people_are_told_times_by_the_clock_that_they_ask_for() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    let told = |args: &[&str]| run(at, &[&["analyze", CAPTURE], args].concat()).out;
    assert!(told(&[]).contains("2026-11-21 02:14:59 to 02:15:20 UTC (21 s)"));
    let there = "2026-11-20 22:44:59 to 22:45:20 UTC-03:30 (21 s)";
    assert!(told(&["--tz", "-03:30"]).contains(there), "{}", told(&["--tz", "-03:30"]));
    let page = told(&["--tz=+1", "--md"]);
    assert!(
        page.contains("2026-11-21 03:15:20.") && page.contains("UTC+01:00") && !page.contains("02:15:20"),
        "{page}"
    );
    // programs are told all in UTC
    assert_eq!(told(&["--ndjson", "--tz", "+01:00"]), told(&["--ndjson"]));

    // this machine's, and as it is set
    let local = |config: &str, args: &[&str]| {
        fs::write(at.join("set.toml"), config).unwrap();
        let args = [&["analyze", CAPTURE, "--config", "set.toml"], args].concat();
        ran(relayscope(at, &args).env("TZ", "<+0545>-5:45").output().unwrap()).out
    };
    let kathmandu = "2026-11-21 07:59:59 to 08:00:20 UTC+05:45";
    assert!(local("", &["--tz", "local"]).contains(kathmandu));
    assert!(local("tz = \"local\"", &[]).contains(kathmandu));
    assert!(local("tz = \"local\"", &["--tz", "utc"]).contains("02:14:59 to 02:15:20 UTC ("));

    let ran = run(at, &["analyze", CAPTURE, "--tz", "Mars"]);
    assert!(ran.code == 2 && ran.err.contains("utc, local, or how far from UTC"), "{}", ran.err);
    fs::write(at.join("set.toml"), "tz = \"25:00\"").unwrap();
    complains(at, &["analyze", CAPTURE, "--config", "set.toml"], 2, "tz = \"25:00\"");
}

#[test]
fn a_program_is_told_how_far_reading_has_come() {
    let dir = TempDir::new().unwrap();
    for command in ["analyze", "replay"] {
        let ran = run(
            dir.path(),
            &[command, "--ndjson", "--progress", "json", CAPTURE].map(|arg| match arg {
                "--ndjson" if command == "replay" => "--no-tui",
                arg => arg,
            }),
        );
        let told = records(&ran.err);
        let last = told.last().expect("something is told");
        let size = fs::metadata(CAPTURE).unwrap().len();
        assert!(told.iter().all(|line| line["event_type"] == "progress" && line["files_total"] == 1), "{}", ran.err);
        assert_eq!((&last["bytes_read"], &last["bytes_total"]), (&size.into(), &size.into()), "{}", ran.err);
    }
}

#[test]
fn fingers_that_know_other_tools_are_understood() {
    let dir = TempDir::new().unwrap();
    assert_eq!(run(dir.path(), &["live", "-D"]).out, run(dir.path(), &["interfaces"]).out);
    assert_eq!(run(dir.path(), &["-nC", "-r", CAPTURE]).out, run(dir.path(), &[CAPTURE]).out);
    assert_eq!(run(dir.path(), &["live", "-w", "x.pcapng"]).code, 2);
}
