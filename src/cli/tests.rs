use super::*;

fn parse(line: &[&str]) -> Result<Command, clap::Error> {
    parse_all(line).map(|(command, _)| command)
}

fn parse_all(line: &[&str]) -> Result<(Command, Option<PathBuf>), clap::Error> {
    Cli::parse_args(std::iter::once("relayscope").chain(line.iter().copied()))
}

fn analyze(line: &[&str]) -> Box<AnalyzeArgs> {
    match parse(line) {
        Ok(Command::Analyze(args)) => args,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn inputs(line: &[&str]) -> Vec<String> {
    analyze(line).inputs().map(|p| p.display().to_string()).collect()
}

#[test]
fn definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn files_with_and_without_a_command() {
    assert_eq!(inputs(&["a.pcap"]), ["a.pcap"]);
    assert_eq!(inputs(&["a.pcap", "analyze"]), ["a.pcap", "analyze"]);
    assert_eq!(inputs(&["-r", "a.pcap"]), ["a.pcap"]);
    assert_eq!(inputs(&["analyze", "-nr", "a", "-r", "b", "c"]), ["a", "b", "c"]);
    assert_eq!(inputs(&["-"]), ["-"]);
    assert_eq!(inputs(&["./analyze"]), ["./analyze"]);
    assert_eq!(inputs(&["./live"]), ["./live"]);
    assert_eq!(inputs(&["capture1"]), ["capture1"]);
    assert_eq!(inputs(&["--ndjson", "--", "a"]), ["a"]);
}

#[test]
fn options() {
    let args =
        analyze(&["analyze", "a", "--csv", "-o", "-", "-Y", "relay", "--product", "ows", "--threads", "3", "-vv"]);
    assert_eq!((args.format(), args.common.verbose, args.judge.threads.unwrap().get()), (Format::Csv, 2, 3));
    assert_eq!(args.filter.as_ref().unwrap().to_string(), "relay");
    assert_eq!(analyze(&["a.pcap", "--fail-on", "warn", "--color", "never"]).judge.fail_on, Some(Severity::Warning));
    assert_eq!(analyze(&["a.pcap"]).format(), Format::Summary);
    assert!(matches!(parse(&["catalog", "--format", "json"]), Ok(Command::Catalog(_))));
    assert!(matches!(parse(&["explain", "relay"]), Ok(Command::Explain(_))));
    assert!(matches!(parse(&["completions", "zsh"]), Ok(Command::Completions { .. })));
    assert_eq!(analyze(&["a", "--max-memory", "1.5G"]).max_memory, Some(3 << 29));
    assert_eq!(analyze(&["a", "--max-memory", "64MB"]).max_memory, Some(64 << 20));
    let speed = |line: &[&str]| match parse(line) {
        Ok(Command::Replay(args)) => args.speed,
        other => panic!("{other:?}"),
    };
    assert_eq!(speed(&["replay", "a"]), Speed::Max);
    assert_eq!(speed(&["replay", "a", "--no-tui", "--speed", "2.5x"]), Speed::Times(2.5));
    assert!(matches!(parse(&["man"]), Ok(Command::Man)));
}

#[test]
fn every_command_takes_settings() {
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let help = command.clone().render_help().to_string();
        assert!(help.contains("--config <FILE>"), "{}", command.get_name());
    }
    for line in [
        &["a.pcap", "--config", "s"][..],
        &["--config", "s", "a.pcap"],
        &["analyze", "--config", "s", "a.pcap"],
        &["replay", "a.pcap", "--config=s"],
        &["live", "-i", "eth1", "--config", "s"],
        &["legs", "--lan", "a", "--wan", "b", "--config", "s"],
        &["keys", "--config", "s"],
        &["config", "--config", "s"],
        &["man", "--config", "s"],
    ] {
        assert_eq!(parse_all(line).unwrap().1, Some(PathBuf::from("s")), "{line:?}");
    }
    assert_eq!(parse_all(&["keys"]).unwrap().1, None);
}

#[test]
fn usage_errors() {
    for line in [
        &[][..],
        &["analyze"],
        &["live"],
        &["live", "-i", "eth1", "--ring", "5m"],
        &["live", "-i", "eth1", "-w", "a", "--ring", "5"],
        &["analzye", "a.pcap"],
        &["-q", "analyze", "a.pcap"],
        &["a.pcap", "--json", "--csv"],
        &["a.pcap", "-Y", "prot:1"],
        &["a.pcap", "--threads", "0"],
        &["a.pcap", "-q", "-v"],
        &["a.pcap", "--nonsense"],
        &["a.pcap", "--fail-on", "bad"],
        &["a.pcap", "--redact", "all"],
        &["carve", "a.pcap", "-o", "x"],
        &["carve", "a.pcap", "-o", "x", "--finding", "3f2a", "-Y", "relay"],
        &["a.pcap", "--max-memory", "1M"],
        &["a.pcap", "--max-memory", "64X"],
        &["a.pcap", "--max-memory", "-5G"],
        &["keys", "--print-template"],
        &["replay"],
        &["replay", "a.pcap", "--speed", "0"],
        &["replay", "a.pcap", "--speed", "fast"],
    ] {
        let error = parse(line).expect_err(&format!("{line:?}"));
        assert_eq!((error.exit_code(), error.use_stderr()), (2, true), "{line:?}");
    }
    for line in [["--help"], ["-h"], ["--version"], ["help"]] {
        let error = parse(&line).unwrap_err();
        assert_eq!((error.exit_code(), error.use_stderr()), (0, false), "{line:?}");
    }
    let message = |line: &[&str]| parse(line).unwrap_err().to_string();
    assert!(message(&["analzye", "a.pcap"]).contains("'analyze'"));
    assert!(message(&["carve", "a.pcap", "-o", "x"]).contains("<--finding <ID>|--filter <FILTER>>"));
    assert!(message(&["-q", "analyze", "a.pcap"]).contains("the command comes first"));
    assert!(message(&["a.pcap", "-Y", "relay prot:1"]).contains("\n        ^^^^\n"));
}

#[test]
fn what_was_meant_is_known_by_its_likeness() {
    assert_eq!(near_subject("dns-blocke"), Some("dns-blocked"));
    assert_eq!(near_subject("Midstraem"), Some("midstream"));
    assert_eq!(near_subject("nothing-of-ours"), None);
}

#[test]
fn help_completions_and_manual() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("Examples:") && help.contains("explain"));
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        completions(*shell, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("analyze"));
        // the other generators leave values out
        let lists = matches!(shell, clap_complete::Shell::Bash | clap_complete::Shell::Zsh);
        for value in ["info", "ips,names,macs", "CF-12", "allowlist-gap", "remote-assist"] {
            let escaped = value.replace(',', "\\,");
            assert!(!lists || script.contains(value) || script.contains(&escaped), "{shell}: {value}");
        }
    }
    let mut root = Cli::command();
    root.build();
    for text in root.get_subcommands().chain([&root]).filter_map(|command| command.get_after_help()) {
        // what has lines of its own is not to be broken again; lines of commands may be longer
        let wide = |line: &&str| !line.starts_with("  ") && line.chars().count() > 80;
        assert_eq!(text.to_string().lines().find(wide), None);
    }
    let mut page = Vec::new();
    man(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(".SH \"COMMAND ANALYZE\"") && page.contains(".SS OPTIONS") && page.contains("\\-\\-ndjson"));
    assert_eq!(page.matches(".SH NAME").count(), 1);
}
