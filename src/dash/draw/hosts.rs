//! The hosts of the site: recorders first, then clients, then the busiest.
//!
//! ```text
//!  HOSTS  1 of 12 ─────────────────────────────────────────────────────────────
//!  HOST             ROLE      MAC                FLOWS  VENDOR      OUT       IN
//!  192.168.1.50     recorder  02:00:00:00:00:50     31      12    4.6 MB   120 kB
//!
//!  names  restapi.gp4f.com  relay7.us-west.u5fgb.com …
//! ```

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use super::pen::{Pen, fit, labelled, part, split_top, wrapped};
use super::{place_of, shown, width};
use crate::dash::snapshot::{HostRow, Outside};
use crate::dash::state::{Dash, Hit};
use crate::dash::theme::Role;
use crate::diagnose::p2p::{Mapping, mapping};
use crate::event::Class;
use crate::text::units::{Bytes, Count, Span};

/// How many names of a host are shown.
const NAMES_MAX: usize = 40;

/// How many of its outside ends are shown.
const OUTSIDE_MAX: usize = 4;

/// Of how many servers at least an address translation is judged.
const SERVERS_LEAST: f64 = 2.0;

/// How a host's address is translated, in words.
fn nat(host: &HostRow) -> &'static str {
    if host.outside.iter().any(|outside| outside.told.ip() == host.ip) {
        return "none: it has its address outside, too";
    }
    let ports: BTreeSet<u16> = host.outside.iter().map(|outside| outside.port).collect();
    let told = |port: u16| host.outside.iter().filter(move |o| o.port == port).map(|o| (o.server, o.told));
    let judged: Vec<Mapping> = ports.into_iter().filter_map(|port| mapping(told(port), SERVERS_LEAST)).collect();
    if judged.is_empty() {
        "of a kind not known: no port of it was told steadily by two servers"
    } else if judged.contains(&Mapping::ByEnd) {
        "another end for each server: peers learn of none that they could send to"
    } else {
        "one end whatever the server: peers can be told where to send"
    }
}

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let hosts = &dash.snapshot.hosts;
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    if hosts.is_empty() {
        let lines = wrapped(
            Role::Muted,
            "No host of the site was seen: name its networks in a site file (--site).",
            area.width,
        );
        pen.lines(area, &lines);
        return;
    }
    let (list, below) = split_top(area, area.height.saturating_sub(8).max(4));
    let (head, body) = split_top(list, 1);
    let (titles, body) = split_top(body, 1);
    pen.heading(head, &format!("HOSTS  {}", place_of(dash.cursor(), hosts.len())));
    let address = hosts.iter().map(|host| width(&dash.mask.ip(host.ip))).max().unwrap_or(0).max(8);
    let with_mac = usize::from(area.width) >= address + 72;
    let mac = |text: String| if with_mac { format!("{text:<19}") } else { String::new() };
    let title = format!(
        "{:<address$}  {:<9} {}{:>9}{:>9}{:>10}{:>10}{:>14}",
        "HOST",
        "ROLE",
        mac("MAC".to_owned()),
        "FLOWS",
        "VENDOR",
        "OUT",
        "IN",
        "LAST SEEN"
    );
    pen.text(titles, Role::Muted, &title);
    for (n, place) in shown(body, dash.cursor(), hosts.len()) {
        let Some(host) = hosts.get(n) else { continue };
        let [out, into] = host.payload;
        let flows = host.flows.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        let last = format!("{} ago", Span(dash.snapshot.now.since(host.last)));
        let numbers = format!(
            "{:>9}{:>9}{:>10}{:>10}{last:>14}",
            Count(flows),
            Count(host.vendor),
            Bytes(out).to_string(),
            Bytes(into).to_string()
        );
        let role = host.role.unwrap_or_default();
        let line = [
            part(Role::Text, fit(&dash.mask.ip(host.ip), address)),
            part(if role == "recorder" { Role::Accent } else { Role::Text }, format!("  {role:<9} ")),
            part(Role::Muted, mac(host.mac.map(|m| dash.mask.mac(m)).unwrap_or_default())),
            part(Role::Text, numbers),
        ];
        pen.line(place, &line);
        if n == dash.cursor() {
            pen.select(place);
        }
        pen.hit(place, Hit::Line(n));
    }
    if let Some(host) = hosts.get(dash.cursor()) {
        about(pen, below, dash, host);
    }
}

fn about(pen: &mut Pen<'_>, area: Rect, dash: &Dash, host: &HostRow) {
    let (head, body) = split_top(area, 1);
    pen.heading(head, &format!("{} {}", dash.mask.ip(host.ip), host.role.unwrap_or("no role known")));
    let mut lines = Vec::new();
    let mine = || dash.snapshot.flows.iter().filter(|flow| flow.orig.0 == host.ip);
    let names: BTreeSet<&str> =
        mine().filter(|flow| flow.class != Class::Dns).filter_map(|flow| flow.name.as_deref()).take(2000).collect();
    let goes: Vec<String> = names.iter().take(NAMES_MAX).map(|name| dash.mask.name(name)).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let asks: BTreeSet<_> = mine().filter(|flow| flow.class == Class::Dns).map(|flow| flow.resp.0).take(2000).collect();
    let asks: Vec<String> = asks.into_iter().take(8).map(|ip| dash.mask.ip(ip)).collect();
    if !asks.is_empty() {
        lines.extend(labelled("asks DNS of", 12, Role::Text, &asks.join(" "), body.width));
    }
    let end = |outside: &Outside| dash.mask.end(outside.told.ip(), Some(outside.told.port()));
    let told: BTreeSet<String> = host.outside.iter().map(end).collect();
    if !told.is_empty() {
        let told = told.into_iter().take(OUTSIDE_MAX).collect::<Vec<_>>().join("  ");
        lines.extend(labelled("outside", 12, Role::Text, &told, body.width));
        lines.extend(labelled("NAT", 12, Role::Text, nat(host), body.width));
    }
    for ja4 in &host.ja4 {
        lines.extend(labelled("ja4", 12, Role::Muted, ja4, body.width));
    }
    if !names.is_empty() {
        lines.extend(labelled("goes to", 12, Role::Text, &format!("{}{more}", goes.join(" ")), body.width));
    }
    pen.lines(body, &lines);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::testing;

    #[test]
    fn the_kind_of_translation_is_told_by_what_two_servers_say() {
        let outside = |port: u16, server: &str, told: &str| Outside {
            port,
            server: server.parse().unwrap(),
            told: told.parse().unwrap(),
        };
        let first = outside(5000, "198.51.100.1:3478", "203.0.113.9:61000");
        let kinds = [
            (vec![first], "not known"),
            (vec![first, outside(5001, "198.51.100.2:3478", "203.0.113.9:61001")], "not known"),
            (vec![first, outside(5000, "198.51.100.2:3478", "203.0.113.9:61000")], "one end"),
            (vec![first, outside(5000, "198.51.100.2:3478", "203.0.113.9:61001")], "another end"),
            (vec![first, outside(5000, "198.51.100.1:3479", "203.0.113.9:61001")], "another end"),
            (
                vec![
                    first,
                    outside(5000, "198.51.100.2:3478", "203.0.113.9:61000"),
                    outside(5000, "198.51.100.1:3478", "203.0.113.9:61002"),
                ],
                "not known",
            ),
            (vec![outside(5000, "198.51.100.1:3478", "203.0.113.77:5000")], "none"),
        ];
        for (outside, kind) in kinds {
            let mut host = testing::busy(9).hosts.remove(0);
            (host.ip, host.outside) = ("203.0.113.77".parse().unwrap(), outside);
            assert!(nat(&host).contains(kind), "{kind}: {}", nat(&host));
        }
    }
}
