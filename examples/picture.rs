//! Draws the picture of the dashboard that README shows: `cargo run --example picture > docs/dashboard.svg`.
//!
//! It is a real frame: a capture of this repository is analysed, and what the screen would hold is drawn as SVG.

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
use relayscope::dash::theme::{Depth, Palette, Theme};
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

fn main() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    draw(&screen(), &mut buffer);
    print!("{}", svg(&buffer));
}

fn screen() -> Dash {
    let base = KnowledgeBase::new(None, Site::default()).expect("the embedded knowledge");
    let rules = Rules::embedded().expect("the embedded rules");
    let config = Config { records: true, watch: Arc::new(Watch::of(&base.catalogue)), ..Config::default() };
    let source = Source::open(&[PathBuf::from(CAPTURE)], CHUNK_BYTES);
    let outcome = pipeline::run(source, &config, 1, &AtomicBool::new(false), &mut |_| {});
    let links = outcome.facts.links.keys().map(|link| link.0);
    let mut quality = outcome.analysis.quality(links, None, None, Vec::new());
    quality.advice = capture::advice(&quality, &rules);
    let naming = outcome.analysis.name(&base);
    let cases = outcome.analysis.cases(&naming);
    let diagnosis = diagnose(&Scene { cases: &cases, rules: &rules, base: &base, quality: &quality });
    let mut snapshot = take(&Look {
        analysis: &outcome.analysis,
        naming: &naming,
        diagnosis: &diagnosis,
        quality: &quality,
        stats: &outcome.analysis.stats(),
        now: outcome.analysis.totals.last,
        wanted: None,
    });
    snapshot.phase = Phase::Ended;
    snapshot.source = "site.pcapng".to_owned();
    let theme = Theme { palette: Palette::Muted, depth: Depth::True, ascii: false };
    let mut dash = Dash::new(Arc::new(snapshot), theme, true);
    dash.size = SIZE;
    dash
}

/// A buffer as SVG.
fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(SIZE.0) * CELL.0, f64::from(SIZE.1) * CELL.1);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" \
         aria-label=\"The dashboard: the verdict on top, then the ways to view, the site and its flows\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1c1c1c\"/>\n\
         <g font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n",
        width + 16.0,
        height + 16.0
    );
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
    text.push_str("</g>\n</svg>\n");
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
