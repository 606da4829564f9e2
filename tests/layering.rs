//! Imports run one way, and only the edges of the program touch the system.
//!
//! The tables below are the architecture as `ARCHITECTURE.md` draws it. A new module gets a row; a new arrow is a
//! decision, and this file is where it is taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate and what it may import, besides itself: a module, or one type of it. A module stands
/// below all that import it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("time", &[]),
    ("short", &[]),
    ("crew", &[]),
    ("event", &["short", "time"]),
    ("text", &["event", "time"]),
    ("platform", &["time"]),
    ("source", &["platform", "time"]),
    ("pcapng", &["source::Frame", "source::LinkType", "time"]),
    ("capture", &["crew", "platform", "pcapng", "source", "time"]),
    ("decode", &["time", "wire"]),
    ("flow", &["decode", "short", "time", "wire"]),
    ("inspect", &["flow", "short", "time", "wire"]),
    ("classify", &["event", "flow", "time"]),
    ("filter", &["text", "event", "short"]),
    // A frame and a chunk of frames are what the engine is fed; how they are read is not its concern.
    (
        "engine",
        &[
            "source::Frame",
            "source::FrameRef",
            "source::Chunk",
            "source::Shed",
            "source::Tally",
            "filter",
            "event",
            "classify",
            "inspect",
            "flow",
            "decode",
            "short",
            "time",
        ],
    ),
    ("diagnose", &["engine", "text", "event", "classify", "inspect::tls", "flow", "decode::Undecoded", "time"]),
    ("legs", &["diagnose", "engine", "text", "event", "flow", "time"]),
    (
        "monitor",
        &[
            "source::Frame",
            "source::Chunk",
            "source::Shed",
            "source::Tally",
            "filter",
            "event",
            "classify",
            "flow",
            "diagnose",
            "engine",
            "time",
        ],
    ),
    ("changes", &["diagnose::Diagnosis", "event", "classify", "decode::proto"]),
    ("evidence", &["source::Frame", "engine", "flow", "decode", "time"]),
    ("carve", &["source::Frame", "evidence", "event", "decode", "wire"]),
    (
        "redact",
        &[
            "source::Frame",
            "source::LinkType",
            "carve",
            "diagnose::Diagnosis",
            "event",
            "classify",
            "flow::key",
            "decode",
            "short",
            "wire",
        ],
    ),
    ("compare", &["diagnose::Diagnosis", "event"]),
    ("pipeline", &["engine", "source", "flow", "decode", "crew"]),
    (
        "present",
        &[
            "crew",
            "decode",
            "compare",
            "redact",
            "changes",
            "evidence",
            "monitor",
            "legs",
            "flow::trace",
            "diagnose",
            "engine",
            "filter",
            "text",
            "event",
            "classify",
            "short",
            "time",
        ],
    ),
    (
        "handover",
        &[
            "present",
            "pipeline",
            "redact",
            "changes",
            "carve",
            "evidence",
            "diagnose",
            "engine",
            "filter",
            "text::zone",
            "pcapng",
            "source",
            "event",
            "time",
        ],
    ),
    ("measure", &["present", "diagnose", "pipeline", "engine", "source", "event", "flow"]),
    ("dash", &["present", "evidence", "diagnose", "engine", "filter", "text", "event", "classify", "time"]),
    ("exit", &[]),
    ("cli", &["redact", "engine::ceiling", "present", "filter", "source::progress", "event", "time"]),
    (
        "app",
        &[
            "dash", "cli", "exit", "measure", "handover", "present", "changes", "compare", "redact", "evidence",
            "pipeline", "monitor", "legs", "diagnose", "engine", "capture", "platform", "source", "filter", "text",
            "event", "classify", "flow", "decode", "time",
        ],
    ),
    ("main", &["app"]),
];

/// The modules that may touch files, threads, sockets and clocks.
const AT_THE_EDGE: &[&str] = &[
    "crew", "source", "pcapng", "platform", "capture", "pipeline", "present", "handover", "measure", "exit", "cli",
    "app", "main",
];

/// What only those may name.
const SYSTEM: &[&str] = &[
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Packages by which a system is spoken to, which only `platform` may name.
const OF_SYSTEMS: &[&str] = &["caps", "landlock", "nix", "rustix", "seccompiler", "signal_hook"];

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == file.module) else {
            wrong.push(format!("{}: module `{}` has no row in MAY_IMPORT", file.path, file.module));
            continue;
        };
        for path in paths(&file.code, "crate").into_iter().chain(above(&file)) {
            let target = path.split("::").nth(1).unwrap_or_default();
            // A lower-case name is a module; anything else is the crate's own root.
            let is_module = target.starts_with(|c: char| c.is_ascii_lowercase());
            let item = path["crate::".len()..].split("::").take(2).collect::<Vec<_>>().join("::");
            if is_module && target != file.module && !allowed.iter().any(|a| *a == target || *a == item) {
                wrong.push(format!("{}: `{}` may not import `{path}`", file.path, file.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules that `text` names.
fn named(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// `ARCHITECTURE.md` draws the same arrows; where it says `and below` it need not name them all.
#[test]
fn the_table_is_drawn_as_it_is_tested() {
    let drawn = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let table = drawn.split("| module | may import |").nth(1).unwrap().lines().skip(2);
    let rows: Vec<Vec<&str>> =
        table.take_while(|row| row.starts_with('|')).map(|row| row.split('|').collect()).collect();
    let mut wrong = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        let tested: BTreeSet<&str> = allowed.iter().filter_map(|target| target.split("::").next()).collect();
        match rows.iter().find(|row| named(row[1]).contains(module)) {
            None => wrong.push(format!("no row draws `{module}`")),
            Some(row) if row[2].trim() == "all" => {}
            Some(row) => {
                let drawn = named(row[2]);
                let whole = row[2].contains("and below") || drawn.is_superset(&tested);
                if !whole || !drawn.is_subset(&tested) {
                    wrong.push(format!("`{module}`: {drawn:?} is drawn, {tested:?} is tested"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An arrow that nothing goes along any more is one that may come back unseen.
#[test]
fn every_arrow_is_used() {
    let sources = sources();
    let mut idle = Vec::new();
    for (name, allowed) in MAY_IMPORT {
        let own = sources.iter().filter(|file| file.module == *name);
        // the program names the library by its own name
        let all = |file: &Source| -> Vec<String> {
            let outside =
                paths(&file.code, "relayscope").into_iter().map(|path| path.replacen("relayscope", "crate", 1));
            paths(&file.code, "crate").into_iter().chain(above(file)).chain(outside).collect()
        };
        let used: Vec<String> = own.flat_map(all).collect();
        let is_used = |target: &&&str| {
            let path = format!("crate::{target}");
            used.iter().any(|used| *used == path || used.starts_with(&format!("{path}::")))
        };
        idle.extend(allowed.iter().filter(|target| !is_used(target)).map(|target| format!("{name} -> {target}")));
    }
    assert!(idle.is_empty(), "nothing uses {}", idle.join(", "));
}

#[test]
fn only_the_edges_touch_the_system() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|f| !AT_THE_EDGE.contains(&f.module.as_str())) {
        for path in paths(&file.code, "std") {
            if SYSTEM.iter().any(|s| path == *s || path.starts_with(&format!("{s}::"))) {
                wrong.push(format!("{}: `{}` may not use `{path}`", file.path, file.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_one_module_speaks_to_systems() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| file.module != "platform") {
        for package in OF_SYSTEMS {
            wrong.extend(paths(&file.code, package).into_iter().map(|path| format!("{}: `{path}`", file.path)));
        }
    }
    assert!(wrong.is_empty(), "only `platform` may use these: {}", wrong.join("\n"));
}

/// A threshold that no detector reads would be told by `explain`, and mean nothing.
#[test]
fn every_threshold_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let settings = fs::read_to_string(root.join("diagnose/settings.rs")).unwrap();
    let mut files = Vec::new();
    ["diagnose", "legs"].iter().for_each(|module| collect(&root.join(module), &mut files));
    let code: String = files.iter().map(|path| split_tests(path).0).collect();
    let tables = settings.split(": f64 {").skip(1).filter_map(|table| table.split('}').next());
    let names = tables.flat_map(|table| table.split(',')).map(str::trim).filter(|name| !name.is_empty());
    // what is called like a rule is its confidence, which every finding begins with
    let is_rule = |name: &&str| {
        name.strip_prefix("cf_").or(name.strip_prefix("d_")).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_word = |after: &str| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let is_read = |name: &str| code.split(&format!(".{name}")).skip(1).any(is_word);
    let unread: Vec<&str> = names.filter(|name| !is_rule(name) && !is_read(name)).collect();
    assert!(unread.is_empty(), "no detector reads {}", unread.join(", "));
}

#[test]
fn no_row_imports_what_stands_above_it() {
    for (at, (name, allowed)) in MAY_IMPORT.iter().enumerate() {
        for target in *allowed {
            assert!(
                MAY_IMPORT[..at].iter().any(|(below, _)| Some(*below) == target.split("::").next()),
                "`{name}` may import `{target}`, which is not below it"
            );
        }
    }
}

#[test]
fn use_trees_are_read_whole() {
    let code = "use crate::{time::{SECOND, Timestamp}, wire};\nlet x = $crate::a::b(); use mycrate::c; crate::d::{self as e, f}";
    assert_eq!(
        paths(code, "crate"),
        [
            "crate::time::SECOND",
            "crate::time::Timestamp",
            "crate::wire",
            "crate::a::b",
            "crate::d::self",
            "crate::d::f"
        ]
    );
    assert_eq!(without_comments("a // crate::b\n/// crate::c\nd \"//\" e"), "a \n\nd \"//\" e\n");
}

/// One file of the crate, without comments and unit tests.
struct Source {
    path: String,
    /// The module right below the crate's root that the file belongs to.
    module: String,
    /// How many `super` lead from this file's module to the crate's root.
    depth: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "no sources below {}", root.display());
    let texts: Vec<_> = files.into_iter().map(|path| (split_tests(&path), path)).collect();
    let tests: Vec<_> = texts.iter().flat_map(|((_, tests), _)| tests.clone()).collect();
    let product = texts.into_iter().filter(|(_, path)| !tests.iter().any(|test| path.starts_with(test)));
    product.filter_map(|((text, _), path)| source(&root, &path, &text)).collect()
}

/// A file without its unit tests, and the files and folders of the modules that it has for tests alone.
fn split_tests(path: &Path) -> (String, Vec<PathBuf>) {
    let text = fs::read_to_string(path).unwrap();
    let (mut product, mut tests) = (String::new(), Vec::new());
    let (stem, folder) = (path.file_stem().unwrap(), path.parent().unwrap());
    let below = if stem == "mod" || stem == "lib" { folder.to_owned() } else { folder.join(stem) };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            product.push_str(line);
            product.push('\n');
            continue;
        }
        let mut given = None;
        let item = lines.by_ref().find(|l| {
            given = l.strip_prefix("#[path = \"").map(|p| p.trim_end_matches("\"]").to_owned()).or(given.take());
            !l.starts_with('#')
        });
        let item = item.unwrap_or_default();
        match item.trim_start_matches("pub(crate) ").strip_prefix("mod ").and_then(|m| m.strip_suffix(';')) {
            Some(_) if given.is_some() => tests.extend(given.map(|given| folder.join(given))),
            Some(name) => tests.extend([below.join(format!("{name}.rs")), below.join(name)]),
            // An inline module, or another item, which ends where the indentation comes back.
            None if item.ends_with('{') => _ = lines.by_ref().find(|l| l.starts_with('}')),
            None => {}
        }
    }
    (product, tests)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// A file of the product; none for the crate's root, which names every module.
fn source(root: &Path, path: &Path, text: &str) -> Option<Source> {
    let inside = path.strip_prefix(root).unwrap();
    let mut names: Vec<_> = inside.with_extension("").iter().map(|n| n.to_str().unwrap().to_owned()).collect();
    if names == ["lib"] {
        return None;
    }
    if names.last().is_some_and(|n| n == "mod") {
        names.pop();
    }
    let (module, depth) = (names[0].clone(), names.len());
    Some(Source { path: format!("src/{}", inside.display()), module, depth, code: without_comments(text) })
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let comment = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count() % 2 == 0);
        code.push_str(comment.map_or(line, |(at, _)| &line[..at]));
        code.push('\n');
    }
    code
}

/// Paths that climb to the crate's root by `super`, spelt from `crate`.
fn above(file: &Source) -> Vec<String> {
    let climb = vec!["super"; file.depth].join("::");
    let climbed = paths(&file.code, &climb).into_iter().filter(|p| !p[climb.len()..].starts_with("::super"));
    climbed.map(|path| path.replacen(&climb, "crate", 1)).collect()
}

/// Every path in `code` that begins with `root`, use-trees taken apart.
fn paths(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            tree(&code[at..], "", &mut found);
        }
    }
    found
}

/// Reads one use-tree (`a::b`, `a::{b, c::d}`) at the start of `code` and returns what follows it.
fn tree<'a>(code: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let mut path = prefix.to_owned();
    let mut rest = code.trim_start();
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        path.push_str(&rest[..end]);
        rest = &rest[end..];
        let Some(next) = rest.strip_prefix("::") else { break };
        path.push_str("::");
        rest = next;
        if let Some(mut inner) = rest.strip_prefix('{') {
            while !inner.trim_start().is_empty() && !inner.trim_start().starts_with('}') {
                inner = tree(inner, &path, found).trim_start_matches(|c| c != ',' && c != '}');
                inner = inner.strip_prefix(',').unwrap_or(inner);
            }
            return inner.trim_start().strip_prefix('}').unwrap_or_default();
        }
    }
    found.push(path);
    rest
}
