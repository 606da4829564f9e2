//! How long the dashboard takes from a key to a drawn frame, with 200,000 flows.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use relayscope::dash::command::Command;
use relayscope::dash::draw::draw;
use relayscope::dash::snapshot::{Phase, Snapshot};
use relayscope::dash::state::Dash;
use relayscope::dash::theme::{Depth, Palette, Theme};
use relayscope::engine::light::{Light, Texts};
use relayscope::event::Class;
use relayscope::time::{SECOND, Timestamp};

const FLOWS: u64 = 200_000;

fn flow(n: u64, texts: &mut Texts) -> Light {
    let host = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + (n % 5000) as u32));
    let server = IpAddr::V4(Ipv4Addr::from_bits(0xcb00_0000 + (n % 9000) as u32));
    let mut light = Light::bare(n, 6, (host, 40_000), (server, 443));
    light.class = Class::ALL[(n % 22) as usize];
    light.first = Timestamp((1_750_000_000 + n / 100) * SECOND);
    light.last = Timestamp(light.first.0 + n % 90 * SECOND);
    light.payload = [n * 7919 % 5_000_000, n * 104_729 % 90_000_000];
    light.rtt = Some((n % 300) as f64 / 1000.0);
    light.conn_state = Some(["S1", "SF", "S0", "RSTO"][(n % 4) as usize]);
    if n.is_multiple_of(2) {
        light.named(&format!("host{}.region{}.example.com", n % 20_000, n % 30), texts)
    } else {
        light
    }
}

fn screen() -> Dash {
    let mut texts = Texts::default();
    let flows: Vec<Light> = (0..FLOWS).map(|n| flow(n, &mut texts)).collect();
    let snapshot = Snapshot { phase: Phase::Ended, flows: Arc::new(flows), ..Snapshot::default() };
    let theme = Theme { palette: Palette::Muted, depth: Depth::True, ascii: false };
    let mut dash = Dash::new(Arc::new(snapshot), theme, true);
    dash.size = (120, 40);
    dash.perform(Command::Flows);
    dash
}

fn picture(dash: &mut Dash, buffer: &mut Buffer) {
    buffer.reset();
    dash.drawn = draw(dash, buffer);
}

fn keys(c: &mut Criterion) {
    let mut dash = screen();
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 40));
    let mut group = c.benchmark_group("dash, 200 000 flows, key to frame");
    for (name, command) in [("move", Command::Down), ("sort", Command::Sort), ("group", Command::Group)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                black_box(dash.perform(command));
                picture(&mut dash, &mut buffer);
            });
        });
    }
    while dash.wish.grouping != Default::default() {
        dash.perform(Command::Group);
    }
    for filter in ["class:relay rate>1M", "region7", "sni:*.region7.example.com or port:80", "host:10.0.0.0/24"] {
        group.bench_function(format!("filter {filter}"), |b| {
            b.iter(|| {
                dash.set_filter(black_box(filter));
                picture(&mut dash, &mut buffer);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = keys
}
criterion_main!(benches);
