//! Snapshots for tests: nothing yet, reading, a busy site, a capture that cannot be read.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::detail::Detail;
use super::history::{History, METHODS};
use super::snapshot::{HostRow, Outside, Phase, Snapshot, Transport};
use super::state::Dash;
use super::theme::{Role, Theme};
use super::update::{Action, Effect};
use super::ways::{Found, ways};
use crate::engine::light::{Light, Texts};
use crate::event::{Class, Severity};
use crate::present::sample;
use crate::time::{SECOND, Timestamp};

const START: u64 = 1_750_000_000 * SECOND;

/// A moment so many seconds after the start.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp(START + seconds * SECOND)
}

/// So many flows, of all classes, some with long names, some of IPv6.
pub fn flows(count: u64) -> Vec<Light> {
    let mut texts = Texts::default();
    (0..count).map(|n| flow(n, &mut texts)).collect()
}

fn flow(n: u64, texts: &mut Texts) -> Light {
    let class = Class::ALL[(n * 7 % Class::ALL.len() as u64) as usize];
    let host = IpAddr::V4(Ipv4Addr::new(192, 168, (n / 200 % 4) as u8, 10 + (n % 200) as u8));
    let server = match n % 5 {
        0 => "2001:db8:8d3::8a2e:370:7334".parse().unwrap(),
        _ => IpAddr::V4(Ipv4Addr::new(203, 0, 113, (n % 250) as u8)),
    };
    // the flows that the sample findings cite
    let id = match n {
        0 => sample::relay().flow_id,
        1..=4 => n,
        _ => 1_000_000 + n,
    };
    let mut light =
        Light::bare(id, if n.is_multiple_of(9) { 17 } else { 6 }, (host, 40_000 + (n % 20_000) as u16), (server, 443));
    light.first = at(n % 600);
    light.last = at(n % 600 + n % 77);
    (light.first_frame, light.class, light.confidence) = (n * 3 + 1, class, 0.5 + (n % 50) as f64 / 100.0);
    light.payload = [n * 977 % 9_000_000, n * 131 % 900_000];
    light.bytes = light.payload.map(|payload| payload + payload / 20);
    light.pkts = light.payload.map(|payload| payload / 1000 + 1);
    light.rtt = (!n.is_multiple_of(4)).then_some(0.001 * (n % 120) as f64);
    light.retransmissions = Some(n % 6);
    light.conn_state = (!n.is_multiple_of(9)).then_some(["S1", "SF", "S0", "RSTO", "REJ"][(n % 5) as usize]);
    light.ended = n.is_multiple_of(3);
    match n % 4 {
        0 => light.named(&format!("rec{n}.us-west.u5fgb.com"), texts),
        1 => light.named(&format!("a-bucket-with-a-long-name-{n}.s3.us-east-1.amazonaws.com"), texts),
        _ => light,
    }
}

/// A busy site, of so many flows.
pub fn busy(count: u64) -> Snapshot {
    let flows = flows(count);
    let now = at(660);
    let mut history = History::default();
    let total = ways(&flows, |_| Found::default()).map(|way| way.payload);
    for second in 0..=60 {
        let mut sample = [0; METHODS.len()];
        for (sum, total) in sample.iter_mut().zip(total) {
            *sum = total / 60 * second + (second % 7) * 1000;
        }
        history.note(at(600 + second), sample);
    }
    let hosts = flows.iter().take(40).enumerate().map(|(n, flow)| HostRow {
        ip: flow.orig.0,
        role: [Some("recorder"), Some("client"), None][n.min(2)],
        mac: n.is_multiple_of(2).then_some([2, 0, 0, 0, 0, n as u8]),
        flows: [n as u64 * 3, n as u64],
        payload: [n as u64 * 100_000, n as u64 * 7_000],
        vendor: n as u64,
        last: at(600),
        ja4: vec!["t13d1516h2_8daaf6152771_e5627efa2ab1".to_owned()],
        outside: [61_000, 61_001]
            .map(|port| Outside {
                port: 50_000,
                server: (IpAddr::from([198, 51, 100, (port % 250) as u8]), 3478).into(),
                told: (IpAddr::from([203, 0, 113, 9]), port).into(),
            })
            .to_vec(),
    });
    let findings = sample::findings();
    let mut snapshot = Snapshot {
        source: "/captures/site-7/monday.pcapng".to_owned(),
        phase: Phase::Ended,
        now,
        hosts: hosts.collect(),
        findings,
        sessions: vec![sample::session(), sample::session()],
        site: sample::site(),
        quality: sample::quality(),
        frame_rate: Some(20_417.3),
        queue: Some(0.031),
        history: Arc::new(history),
        detail: Some(Arc::new(Detail::of(&sample::relay()))),
        transport: Some(Transport {
            start: at(0),
            end: now,
            speed: None,
            marks: vec![(at(120), Severity::Error), (at(500), Severity::Warning)],
        }),
        flows: Arc::new(flows),
        ..Snapshot::default()
    };
    snapshot.settle();
    snapshot
}

/// A capture that is being read.
pub fn loading() -> Snapshot {
    Snapshot { phase: Phase::Reading(Some(0.34)), ..Snapshot::opening("big.pcapng".to_owned()) }
}

/// A capture without a conversation.
pub fn empty() -> Snapshot {
    Snapshot { phase: Phase::Ended, ..Snapshot::opening("empty.pcap".to_owned()) }
}

/// A capture that cannot be read.
pub fn failed() -> Snapshot {
    let why = "notes.txt: this is no capture file: it begins with \"Dear all\"";
    Snapshot { phase: Phase::Failed(why.to_owned()), ..Snapshot::opening("notes.txt".to_owned()) }
}

/// A screen of so many columns and lines.
pub fn screen(snapshot: Snapshot, columns: u16, lines: u16) -> Dash {
    let mut dash = Dash::new(Arc::new(snapshot), Theme::default(), true);
    dash.update(Action::Resize(columns, lines));
    dash
}

/// Presses keys, one after the other; gives what they have asked for.
pub fn press(dash: &mut Dash, keys: &str) -> Vec<Effect> {
    keys.split_whitespace().filter_map(|key| dash.update(Action::Key(key.parse().unwrap()))).collect()
}

/// Types a text.
pub fn write(dash: &mut Dash, text: &str) {
    for c in text.chars() {
        dash.update(Action::Key(super::key::Key::of(super::key::Code::Char(c))));
    }
}

fn drawn(dash: &mut Dash) -> Buffer {
    let (columns, lines) = dash.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, lines));
    dash.drawn = super::draw::draw(dash, &mut buffer);
    buffer
}

/// How the screen looks: line by line, how many cells have which style. A letter is a role (`t`ext, `S`trong, `m`uted,
/// `a`ccent, `o`k, `i`nfo, `w`arning, `E`rror), `~` before it says that the cells are selected. Lines that are alike
/// are told once, with how many they are.
pub fn styles(dash: &mut Dash) -> String {
    const ROLES: [(Role, char); 8] = [
        (Role::Text, 't'),
        (Role::Strong, 'S'),
        (Role::Muted, 'm'),
        (Role::Accent, 'a'),
        (Role::Ok, 'o'),
        (Role::Info, 'i'),
        (Role::Warning, 'w'),
        (Role::Error, 'E'),
    ];
    let buffer = drawn(dash);
    let theme = dash.theme;
    let name = |cell: &Cell| {
        let selected = cell.modifier.contains(Modifier::REVERSED);
        let plain = (cell.fg, cell.modifier.difference(Modifier::REVERSED));
        let style = |role| theme.style(role);
        let is = |role| (style(role).fg.unwrap_or(Color::Reset), style(role).add_modifier) == plain;
        let letter = ROLES.iter().find(|(role, _)| is(*role)).map_or('?', |(_, letter)| *letter);
        format!("{}{letter}", if selected { "~" } else { "" })
    };
    let mut lines: Vec<(usize, String)> = Vec::new();
    for row in buffer.content.chunks(usize::from(dash.size.0)) {
        let mut runs: Vec<(usize, String)> = Vec::new();
        for style in row.iter().map(name) {
            match runs.last_mut() {
                Some((count, last)) if *last == style => *count += 1,
                _ => runs.push((1, style)),
            }
        }
        let line = runs.iter().map(|(count, style)| format!("{style}{count}")).collect::<Vec<_>>().join(" ");
        match lines.last_mut() {
            Some((count, last)) if *last == line => *count += 1,
            _ => lines.push((1, line)),
        }
    }
    lines.iter().map(|(count, line)| format!("{count} × {line}\n")).collect()
}

/// What the screen shows, as text.
pub fn picture(dash: &mut Dash) -> String {
    let (columns, lines) = dash.size;
    let buffer = drawn(dash);
    let line = |y: u16| {
        let cells = (0..columns).filter_map(|x| buffer.cell((x, y)));
        cells.map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    };
    (0..lines).map(line).collect::<Vec<_>>().join("\n")
}
