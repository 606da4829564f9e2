//! Draws what README shows of the dashboard: `cargo run --example picture > docs/dashboard.svg` a frame of it, and
//! `cargo run --example picture -- run > docs/run.svg` a run from the verdict to the report.
//!
//! The frames are real: a capture of this repository is analysed, keys are pressed, and what the screen would hold is
//! drawn as SVG.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use relayscope::classify::site::Site;
use relayscope::classify::watch::Watch;
use relayscope::dash::draw::draw;
use relayscope::dash::snapshot::Phase;
use relayscope::dash::state::Dash;
use relayscope::dash::take::{Look, take};
use relayscope::dash::theme::{Depth, Palette, Role, Theme};
use relayscope::dash::update::{Action, Effect};
use relayscope::diagnose::rules::Rules;
use relayscope::diagnose::scene::Scene;
use relayscope::diagnose::{capture, diagnose};
use relayscope::engine::Config;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::pipeline;
use relayscope::source::{CHUNK_BYTES, Source};

const CAPTURE: &str = "captures/holds/hold-chunked-viewer.pcapng.zst";
const SIZE: (u16, u16) = (110, 30);
/// A cell, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
/// How long each frame of a run is shown, in seconds.
const SHOWN: usize = 4;
/// A run: the keys of each step, and what they are for.
const RUN: [(&str, &str); 6] = [
    ("", "The verdict: what is wrong, how sure that is, who must act"),
    ("enter", "Enter: the evidence, frame by frame"),
    ("enter", "Enter: the flows that it is about; Esc leads back"),
    ("enter tab", "Enter, Tab: more of one of them"),
    ("w", "w: its packets, written to a capture file"),
    ("r", "r: the report for whoever owns the firewall"),
];

fn main() {
    let base = KnowledgeBase::new(None, Site::default()).expect("the embedded knowledge");
    let rules = Rules::embedded().expect("the embedded rules");
    let config = Config { records: true, watch: Arc::new(Watch::of(&base.catalogue)), ..Config::default() };
    let source = Source::open(&[PathBuf::from(CAPTURE)], CHUNK_BYTES);
    let outcome = pipeline::run(source, &config, 1, &AtomicBool::new(false), &mut |_| {});
    let links = outcome.facts.links.keys().map(|link| link.0);
    let mut quality = outcome.analysis.quality(links, None, None, Vec::new());
    capture::advise(&mut quality, &rules);
    let naming = outcome.analysis.name(&base);
    let cases = outcome.analysis.cases(&naming);
    let diagnosis = diagnose(&Scene { cases: &cases, rules: &rules, base: &base, quality: &quality });
    let snapshot = |wanted: Option<u64>| {
        let mut snapshot = take(&Look {
            analysis: &outcome.analysis,
            naming: &naming,
            diagnosis: &diagnosis,
            quality: &quality,
            stats: &outcome.analysis.stats(),
            now: outcome.analysis.totals.last,
            wanted,
        });
        snapshot.phase = Phase::Ended;
        snapshot.source = "site.pcapng".to_owned();
        Arc::new(snapshot)
    };
    let theme = Theme { palette: Palette::Muted, depth: Depth::True, ascii: false };
    let mut dash = Dash::new(snapshot(None), theme, true);
    dash.size = SIZE;
    if std::env::args().nth(1).is_none_or(|arg| arg != "run") {
        return print!("{}", picture(&frame(&dash), 0.0));
    }
    let steps: Vec<(String, &str)> = RUN
        .iter()
        .map(|(keys, about)| {
            for key in keys.split_whitespace() {
                act(&mut dash, key);
            }
            dash.update(Action::Publish(snapshot(dash.wanted())));
            (frame(&dash), *about)
        })
        .collect();
    print!("{}", run(&steps));
}

/// Presses a key; what it asks of the world is said to be done.
fn act(dash: &mut Dash, key: &str) {
    let effect = dash.update(Action::Key(key.parse().expect("a key")));
    let said = match effect {
        Some(Effect::Carve(_, what)) => format!("the packets: written to 20261125-{what}.pcapng"),
        Some(Effect::Report) => "the report: written to 20261125-relayscope-report.html".to_owned(),
        _ => return,
    };
    dash.update(Action::Say(Role::Ok, said));
}

fn frame(dash: &Dash) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    draw(dash, &mut buffer);
    cells(&buffer)
}

/// Frames one after the other, each with what it is about beneath.
fn run(steps: &[(String, &str)]) -> String {
    let (all, share) = (steps.len() * SHOWN, 100.0 / steps.len() as f64);
    let mut text = format!(
        "<style>.f{{visibility:hidden;animation:f {all}s steps(1) infinite}}.f:first-of-type{{visibility:visible}}\
         @keyframes f{{0%{{visibility:visible}}{share:.3}%,100%{{visibility:hidden}}}}</style>\n"
    );
    let line = 8.0 + f64::from(SIZE.1) * CELL.1 + 20.0;
    for (at, (frame, about)) in steps.iter().enumerate() {
        let _ = writeln!(
            text,
            "<g class=\"f\" style=\"animation-delay:{}s\">\n{frame}\
             <text x=\"8\" y=\"{line:.0}\" fill=\"#5fafaf\" font-weight=\"bold\">{about}</text>\n</g>",
            at * SHOWN
        );
    }
    picture(&text, 24.0)
}

/// What is drawn, on its ground, with so many pixels more beneath.
fn picture(drawn: &str, more: f64) -> String {
    let (width, height) = (f64::from(SIZE.0) * CELL.0 + 16.0, f64::from(SIZE.1) * CELL.1 + 16.0 + more);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"The dashboard: the verdict on top, then the ways to view, the site and its flows\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1c1c1c\"/>\n\
         <g font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         {drawn}</g>\n</svg>\n"
    )
}

/// The cells of a buffer.
fn cells(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..SIZE.1 {
        let mut x = 0;
        while x < SIZE.0 {
            let style = buffer[(x, y)].style();
            let end = (x..SIZE.0).find(|at| buffer[(*at, y)].style() != style).unwrap_or(SIZE.0);
            let run: String = (x..end).map(|at| buffer[(at, y)].symbol()).collect();
            piece(&mut text, x, y, &run, style.fg, style.add_modifier);
            x = end;
        }
    }
    text
}

/// Cells of one style.
fn piece(to: &mut String, x: u16, y: u16, run: &str, colour: Option<Color>, modifier: Modifier) {
    let (left, top) = (8.0 + f64::from(x) * CELL.0, 8.0 + f64::from(y) * CELL.1);
    let width = run.chars().count() as f64 * CELL.0;
    let ink = match colour {
        Some(Color::Rgb(r, g, b)) => format!("#{r:02x}{g:02x}{b:02x}"),
        _ => "#d0d0d0".to_owned(),
    };
    let reversed = modifier.contains(Modifier::REVERSED);
    if reversed {
        let _ = writeln!(
            to,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{ink}\"/>",
            CELL.1
        );
    }
    if run.trim().is_empty() {
        return;
    }
    let fill = if reversed { "#1c1c1c" } else { &ink };
    let weight = if modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    // blanks in a row would be drawn as one
    let safe = run.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}");
    let _ = writeln!(
        to,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" fill=\"{fill}\"{weight}>{safe}</text>",
        top + CELL.1 * 0.75
    );
}
