//! Every flow, one a line; with the detail of one beside it (120 columns and more), beneath (80), or over it.
//!
//! ```text
//!    12 of 3 402 flows   filter: relay rate>1M   by weight   grouped by host
//!    METHOD   FROM             PEER                            UP    DOWN   RATE   RTT  STATE      AGE
//!  ▸ ▲ relay  192.168.1.50     …us-west.u5fgb.com:443      3.9 MB    2 kB  3.9M  31ms  ✗ HELD    1 m
//!  * s3       192.168.1.50     bucket.s3.amazonaws.com:443   …
//! ```
//!
//! No address is cut. Where there is no room for all columns, those that matter least are left out; of a long name the
//! end is kept, which says whose it is.

use ratatui::layout::Rect;

use super::pen::{Part, Pen, fit, part, split_top, width};
use super::{detail, halves, place_of, shown, stacked};
use crate::dash::detail::state_in_words;
use crate::dash::group::Group;
use crate::dash::listing::{Column, Grouping, Row, ends, rate, retrans};
use crate::dash::state::{Dash, Hit, View};
use crate::dash::theme::{Role, of_severity};
use crate::engine::light::Light;
use crate::filter::Asked;
use crate::present::human::{ONE_SIDED, left_ellipsis};
use crate::text::icmp;
use crate::text::units::{BitRate, Bytes, Count, Counted, Percent, RoundTrip, Span};

/// How many sets of columns there are.
pub const SETS: usize = 4;

/// The columns of a set, each with how long it is kept when there is no room: the least goes first.
const fn set(columns: usize) -> &'static [(Column, u8)] {
    use Column::*;
    match columns {
        0 => &[
            (Class, 9),
            (From, 7),
            (Peer, 10),
            (Up, 6),
            (Down, 6),
            (Rate, 5),
            (Rtt, 3),
            (State, 8),
            (Age, 4),
            (Region, 1),
        ],
        // which way it goes, where there is no room for all of the first
        1 => &[(Class, 9), (From, 6), (Peer, 10), (Up, 8), (Down, 8), (Frames, 4), (State, 7)],
        2 => {
            &[(Class, 9), (From, 7), (Peer, 10), (Proto, 5), (Start, 6), (Age, 4), (Frames, 3), (State, 8), (Region, 2)]
        }
        _ => {
            &[(Class, 9), (From, 7), (Peer, 10), (Rtt, 6), (Retrans, 6), (Frames, 4), (Sure, 5), (State, 8), (Rate, 3)]
        }
    }
}

/// How wide a column is; none for those that are as wide as what is in them.
const fn fixed(column: Column) -> Option<usize> {
    Some(match column {
        Column::Class | Column::From | Column::Peer | Column::State | Column::Region => return None,
        Column::Up | Column::Down => 8,
        Column::Rate => 9,
        Column::Rtt | Column::Retrans => 7,
        Column::Age => 9,
        Column::Start => 8,
        Column::Sure => 4,
        Column::Frames => 9,
        Column::Proto | Column::Weight => 9,
    })
}

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    if dash.pane.is_none() {
        return table(pen, area, dash);
    }
    if dash.whole || area.width < 80 {
        return detail::draw(pen, area, dash);
    }
    let (list, pane) = if area.width >= 120 {
        halves(pen, area, dash, 500)
    } else {
        // heading and titles, and no more lines than there are
        let lines = u16::try_from(dash.listing.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
        stacked(pen, area, dash, lines.min(area.height * 2 / 5))
    };
    table(pen, list, dash);
    detail::draw(pen, pane, dash);
}

/// The table with its heading.
pub fn table(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let (head, rest) = split_top(area, 1);
    heading(pen, head, dash);
    let (titles, body) = split_top(rest, 1);
    let at = dash.at.get(View::Flows.number()).copied().unwrap_or(0);
    let lines: Vec<(usize, Rect, Row)> = shown(body, at, dash.listing.rows.len())
        .filter_map(|(n, place)| Some((n, place, *dash.listing.rows.get(n)?)))
        .collect();
    let cells: Vec<Vec<Part>> = lines.iter().map(|(_, _, row)| cells(dash, *row)).collect();
    let shown_rows: Vec<Row> = lines.iter().map(|(_, _, row)| *row).collect();
    let columns = layout(dash, &shown_rows, &cells, usize::from(area.width).saturating_sub(3));
    titles_line(pen, titles, dash, &columns);
    if lines.is_empty() {
        let text = if dash.wish.cleared.is_some() {
            match dash.wish.filter {
                Some(_) => "nothing that passes the filter came since the list was cleared; \\ shows all",
                None => "nothing came since the list was cleared; \\ shows all",
            }
        } else if dash.wish.filter.is_some() {
            "no flow passes the filter; \\ clears it"
        } else {
            "no flow is shown; t shows those that are over"
        };
        pen.text(Rect { x: body.x + 3, width: body.width.saturating_sub(3), ..body }, Role::Muted, text);
    }
    for ((n, place, row), cells) in lines.iter().zip(&cells) {
        line(pen, *place, dash, *row, cells, &columns);
        if *n == at && dash.shows_flows() {
            pen.select(*place);
        }
        pen.hit(*place, Hit::Line(*n));
    }
}

fn heading(pen: &mut Pen<'_>, area: Rect, dash: &Dash) {
    let wish = &dash.wish;
    let at = dash.at.get(View::Flows.number()).copied().unwrap_or(0);
    let total = dash.snapshot.flows.len();
    let mut text = match wish.filter.is_some() || wish.open_only || wish.marked_only || wish.cleared.is_some() {
        true => format!("FLOWS  {} of {}", Count(dash.listing.passed as u64), Counted(total as u64, "flow")),
        false => format!("FLOWS  {}", place_of(at, dash.listing.rows.len())),
    };
    if let Some(entered) = dash.entered() {
        text = format!("{} > {text}", dash.mask.prose(&entered.from));
    } else if !dash.filter_text.trim().is_empty() {
        text.push_str(&format!("  filter: {}", dash.mask.prose(dash.filter_text.trim())));
    }
    let by = wish.by.unwrap_or(Column::Weight).text();
    text.push_str(&format!("  by {by}{}", if wish.reversed { ", reversed" } else { "" }));
    if wish.grouping != Grouping::None {
        text.push_str(&format!("  grouped by {}", wish.grouping.name()));
    }
    for (word, holds) in [
        ("open only", wish.open_only),
        ("marked only", wish.marked_only),
        ("cleared", wish.cleared.is_some()),
        ("following", dash.follow),
    ] {
        if holds {
            text.push_str(&format!("  {word}"));
        }
    }
    pen.heading(Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }, &text);
}

/// A column as it is laid out: where in its set, how wide.
struct Laid {
    column: Column,
    index: usize,
    width: usize,
}

/// Chooses the columns that there is room for, and gives the peer what is left.
fn layout(dash: &Dash, lines: &[Row], cells: &[Vec<Part>], room: usize) -> Vec<Laid> {
    let set = set(dash.columns);
    let widest =
        |index: usize| cells.iter().filter_map(|row| row.get(index)).map(|(_, text)| width(text)).max().unwrap_or(0);
    let least = |column: Column, index: usize| match (fixed(column), column) {
        (Some(width), _) => width,
        // a name keeps its end; an address is kept whole
        (None, Column::Peer) => widest(index).min(peer_least(dash, lines)),
        (None, _) => widest(index),
    };
    let mut kept: Vec<(Laid, u8)> = set
        .iter()
        .enumerate()
        .map(|(index, (column, rank))| {
            let title = column.text().len() + if *column == Column::State { 2 } else { 0 };
            let width = least(*column, index).max(title);
            (Laid { column: *column, index, width }, *rank)
        })
        .collect();
    let used = |kept: &[(Laid, u8)]| kept.iter().map(|(laid, _)| laid.width + 2).sum::<usize>();
    let [up, down] = carried(dash, lines);
    while used(&kept) > room && kept.len() > 1 {
        // of up and down the one stays that carried more
        let worth = |(laid, rank): &(Laid, u8)| match laid.column {
            Column::Up => (*rank, up),
            Column::Down => (*rank, down),
            _ => (*rank, 0),
        };
        let least = kept.iter().enumerate().min_by_key(|(_, column)| worth(column)).map(|(at, _)| at);
        let Some(least) = least else { break };
        kept.remove(least);
    }
    let spare = room.saturating_sub(used(&kept));
    let mut laid: Vec<Laid> = kept.into_iter().map(|(laid, _)| laid).collect();
    if let Some(peer) = laid.iter_mut().find(|laid| laid.column == Column::Peer) {
        peer.width += spare.min(widest(peer.index).saturating_sub(peer.width));
    }
    laid
}

/// The flows of these lines.
fn flows_of<'d>(dash: &'d Dash, lines: &'d [Row]) -> impl Iterator<Item = &'d Light> {
    lines.iter().filter_map(|row| match row {
        Row::Flow(at) => dash.snapshot.flows.get(*at as usize),
        Row::Group(_) => None,
    })
}

/// What the flows of these lines carried, up and down.
fn carried(dash: &Dash, lines: &[Row]) -> [u64; 2] {
    flows_of(dash, lines).fold([0u64; 2], |[up, down], flow| {
        let [more_up, more_down] = flow.payload;
        [up.saturating_add(more_up), down.saturating_add(more_down)]
    })
}

/// The least columns of the peer: so many that every address that is shown is shown whole.
fn peer_least(dash: &Dash, lines: &[Row]) -> usize {
    let whole = |flow: &Light| {
        let ([_, (ip, port)], _) = ends(flow);
        if flow.name.is_none() || flow.asks_dns() { width(&dash.mask.end(ip, port)) + 1 } else { 0 }
    };
    flows_of(dash, lines).map(whole).max().unwrap_or(0).max(26)
}

fn titles_line(pen: &mut Pen<'_>, area: Rect, dash: &Dash, columns: &[Laid]) {
    let mut x = area.x + 3;
    for laid in columns {
        let sorted = dash.wish.by == Some(laid.column);
        let mut text = laid.column.text().to_uppercase();
        if laid.column == Column::State {
            text = format!("  {text}");
        }
        let text = if is_right(laid.column) { format!("{text:>w$}", w = laid.width) } else { fit(&text, laid.width) };
        let place = Rect { x, width: u16::try_from(laid.width).unwrap_or(0), ..area };
        pen.text(place, if sorted { Role::Accent } else { Role::Muted }, &text);
        pen.hit(place, Hit::Sort(laid.column));
        x = place.right() + 2;
    }
}

const fn is_right(column: Column) -> bool {
    matches!(
        column,
        Column::Up | Column::Down | Column::Rate | Column::Rtt | Column::Retrans | Column::Frames | Column::Age
    )
}

fn line(pen: &mut Pen<'_>, area: Rect, dash: &Dash, row: Row, cells: &[Part], columns: &[Laid]) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    let at = match row {
        Row::Group(at) => return group_line(pen, inner, dash, dash.listing.groups.get(at as usize)),
        Row::Flow(at) => at,
    };
    let Some(flow) = dash.snapshot.flows.get(at as usize) else { return };
    let marked = if dash.wish.marks.contains(&flow.id) { "*" } else { " " };
    pen.text(inner, Role::Accent, marked);
    let mut x = inner.x + 2;
    for laid in columns {
        let Some((role, text)) = cells.get(laid.index) else { continue };
        let text = if laid.column == Column::Peer { left_ellipsis(text, laid.width) } else { text.clone() };
        let text = if is_right(laid.column) { format!("{text:>w$}", w = laid.width) } else { fit(&text, laid.width) };
        let place = Rect { x, width: u16::try_from(laid.width).unwrap_or(0), ..area };
        let role = if flow.ended && *role == Role::Text { Role::Muted } else { *role };
        pen.text(place, role, &text);
        x = place.right() + 2;
    }
}

fn group_line(pen: &mut Pen<'_>, area: Rect, dash: &Dash, group: Option<&Group>) {
    let Some(group) = group else { return };
    let folded = dash.wish.folded.contains(&group.key);
    let sign = if folded { dash.theme.pick("▸", ">") } else { dash.theme.pick("▾", "v") };
    let role = group.worst.map_or(Role::Strong, |worst| of_severity(worst, true));
    let found =
        group.worst.map(|worst| format!("  {} {}", dash.theme.sign(worst, true), worst.text())).unwrap_or_default();
    let counts = format!("  {}, {}", Counted(group.flows, "flow"), super::bytes_of(group.payload));
    let key = dash.mask.prose(&group.key.to_string()).into_owned();
    pen.line(
        area,
        &[part(Role::Accent, sign), part(role, format!(" {key}")), part(Role::Muted, counts), part(role, found)],
    );
}

/// The responder: by its name if it has one, with its port, or with what ICMP says.
fn peer(dash: &Dash, flow: &Light) -> String {
    let ([_, (ip, port)], says) = ends(flow);
    if let Some(says) = says {
        let whose = flow.name.as_ref().map_or_else(|| dash.mask.end(ip, port), |name| dash.mask.name(name));
        return format!("{says} {} {whose}", dash.theme.pick("→", ">"));
    }
    match (&flow.name, port) {
        (Some(name), _) if flow.asks_dns() => {
            // what does not fit is cut at the beginning, and no address may be
            format!("{} @ {}", dash.mask.name(name), dash.mask.end(ip, port))
        }
        // by a proxy: the server's name, and the port that the proxy was asked for
        (Some(name), Some(port)) if !name.contains(':') => {
            format!("{}:{}", dash.mask.name(name), flow.port_by_proxy().unwrap_or(port))
        }
        (Some(name), _) => dash.mask.prose(&crate::text::safe::safe_name(name).to_string()).into_owned(),
        (None, port) => dash.mask.end(ip, port),
    }
}

/// What stands in each column of the set.
fn cells(dash: &Dash, row: Row) -> Vec<Part> {
    let Row::Flow(at) = row else { return Vec::new() };
    let Some(flow) = dash.snapshot.flows.get(at as usize) else { return Vec::new() };
    set(dash.columns).iter().map(|(column, _)| cell(dash, flow, at as usize, *column)).collect()
}

fn cell(dash: &Dash, flow: &Light, at: usize, column: Column) -> Part {
    let text = |text: String| (Role::Text, text);
    let [up, down] = flow.payload;
    match column {
        Column::Weight => text(String::new()),
        Column::Class => text(format!("{} {}", dash.theme.class(flow.class), flow.class.name())),
        Column::From => {
            let ([(ip, port), _], _) = ends(flow);
            text(dash.mask.end(ip, port.filter(|_| dash.size.0 >= 100)))
        }
        Column::Peer => text(peer(dash, flow)),
        Column::Up => text(Bytes(up).to_string()),
        Column::Down => text(Bytes(down).to_string()),
        Column::Rate => text(rate(flow, at, &dash.snapshot).map_or("–".to_owned(), |r| BitRate(r).to_string())),
        Column::Rtt => text(flow.rtt.map_or("–".to_owned(), |rtt| RoundTrip(rtt).to_string())),
        Column::Retrans => text(retrans(flow).map_or("–".to_owned(), |share| Percent(share).to_string())),
        Column::State => state(dash, flow),
        Column::Age => text(Span(flow.last.since(flow.first)).to_string()),
        Column::Start => text(dash.zone.time_of_day(flow.first)),
        Column::Region => {
            text(flow.region.as_deref().map(|r| crate::text::safe::safe_name(r).to_string()).unwrap_or_default())
        }
        Column::Sure => text(format!("{:.2}", flow.confidence)),
        Column::Frames => text(Count(flow.packets()).to_string()),
        Column::Proto => text(flow.app_proto.unwrap_or(&flow.proto_name).to_owned()),
    }
}

/// How a flow stands: what is found of it, else how its connection does.
fn state(dash: &Dash, flow: &Light) -> Part {
    if let Some(finding) = dash.snapshot.finding_of(flow.id) {
        let claim = finding.is_claim();
        let sign = dash.theme.sign(finding.severity, claim);
        let word = dash.snapshot.stall(flow.id).unwrap_or(finding.rule);
        return (of_severity(finding.severity, claim), format!("{sign} {word}"));
    }
    let [there, back] = flow.pkts;
    let word = match flow.conn_state {
        _ if flow.one_sided => ONE_SIDED,
        Some(state) => state_in_words(state),
        // an error is told, and nothing comes of it
        None if flow.proto_name.ends_with("ICMP") && !icmp::asks(flow.proto_name != "ICMP", flow.orig.1) => "",
        None if back == 0 && there > 0 => "no answer",
        None => "ok",
    };
    let role = if matches!(word, "no answer" | "refused" | "reset") { Role::Warning } else { Role::Text };
    (role, format!("  {word}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dash::snapshot::Snapshot;
    use crate::dash::testing::{flows, picture, press, screen};

    /// The list of these flows on a screen of 80 columns.
    fn listed(flows: Vec<Light>) -> Dash {
        let mut snapshot = Snapshot { flows: Arc::new(flows), ..Snapshot::default() };
        snapshot.settle();
        let mut dash = screen(snapshot, 80, 24);
        press(&mut dash, "2");
        dash
    }

    #[test]
    fn of_a_flow_seen_from_one_side_no_answer_is_missed() {
        let mut flow = flows(1).remove(0);
        (flow.conn_state, flow.pkts, flow.one_sided) = (Some("S0"), [9, 0], true);
        let told = picture(&mut listed(vec![flow]));
        assert!(told.contains(" 1-sided") && !told.contains("no answer"), "{told}");
    }

    #[test]
    fn by_a_proxy_the_port_is_the_servers() {
        let mut texts = crate::engine::light::Texts::default();
        let ends = [50, 1].map(|n| std::net::IpAddr::from([192, 168, 1, n]));
        let flow = || Light::bare(7, 6, (ends[0], 40_000), (ends[1], 3128));
        let named = flow().named("a1b2.us-west.u5fgb.com", &mut texts);
        let proxied = named.clone().proxied("a1b2.us-west.u5fgb.com:443", &mut texts);
        assert!(picture(&mut listed(vec![proxied])).contains(" a1b2.us-west.u5fgb.com:443 "));
        assert!(picture(&mut listed(vec![named])).contains(" a1b2.us-west.u5fgb.com:3128 "));
    }

    #[test]
    fn what_went_up_is_seen_on_few_columns() {
        let mut flow = flows(1).remove(0);
        let titles = |dash: &mut Dash| picture(dash).lines().nth(4).unwrap().to_owned();
        for (payload, wide, narrow) in [([9_000, 10], " UP ", " DOWN "), ([10, 9_000], " DOWN ", " UP ")] {
            flow.payload = payload;
            let mut dash = listed(vec![flow.clone()]);
            let told = titles(&mut dash);
            assert!(told.contains(wide) && !told.contains(narrow), "{told}");
            press(&mut dash, "c");
            let told = titles(&mut dash);
            assert!(told.contains(wide) && told.contains(narrow), "{told}");
        }
    }

    #[test]
    fn an_error_of_icmp_waits_for_no_answer_and_an_echo_does() {
        let ends = [50, 1].map(|n| std::net::IpAddr::from([192, 168, 1, n]));
        let told = |kind, code| {
            let mut flow = Light::bare(7, 1, (ends[0], kind), (ends[1], code));
            flow.pkts = [1, 0];
            picture(&mut listed(vec![flow]))
        };
        let error = told(3, 3);
        assert!(error.contains("port unreachable") && !error.contains("no answer"), "{error}");
        assert!(told(8, 0).contains("no answer"));
    }
}
