//! From what the engine knows at a moment to a snapshot of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::detail::Detail;
use super::history::METHODS;
use super::snapshot::{HostRow, Outside, Snapshot};
use crate::classify::roles::Role;
use crate::classify::site::is_public;
use crate::diagnose::Diagnosis;
use crate::engine::analysis::{Analysis, Wanted};
use crate::engine::brief::Briefs;
use crate::engine::light::{Light, Texts};
use crate::engine::naming::Naming;
use crate::event::{CaptureQuality, Class, Stats};
use crate::filter::Asked;
use crate::present::{in_order, is_vendor};
use crate::time::Timestamp;

/// How many hosts are listed.
const HOSTS_MAX: usize = 4096;
/// How many JA4 of one host are listed.
const JA4_MAX: usize = 3;
/// How many of its ends outside one host keeps.
const OUTSIDE_MAX: usize = 8;
/// The same, where it is more of a port that is known: what a second server says of it tells the kind of translation.
const OUTSIDE_MOST: usize = 32;

/// How many flows of the vendor without a name are named by what DNS told.
const TOLD_MAX: usize = 1000;

/// What the engine knows at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The flows.
    pub analysis: &'a Analysis,
    /// Their names.
    pub naming: &'a Naming<'a>,
    /// What is wrong.
    pub diagnosis: &'a Diagnosis,
    /// What the capture is worth.
    pub quality: &'a CaptureQuality,
    /// Counts.
    pub stats: &'a Stats,
    /// Packet time.
    pub now: Timestamp,
    /// The flow of which more is wanted.
    pub wanted: Option<u64>,
}

/// Takes a snapshot: all that the engine tells; what it does not know of (the source, how far it plays) is the
/// caller's.
pub fn take(look: &Look<'_>) -> Snapshot {
    let mut texts = Texts::default();
    let order = look.analysis.in_order();
    let mut flows = Vec::with_capacity(order.len());
    let mut detail = None;
    let (mut unnamed, mut wanted) = (Vec::new(), Vec::new());
    for at in order {
        let Some(view) = look.analysis.view(at, look.naming) else { continue };
        let verdict = view.verdict(&view.facts());
        let light = Light::of(&view, &verdict, &mut texts);
        if light.name.is_none() && is_vendor(light.class) && wanted.len() < TOLD_MAX {
            unnamed.push(flows.len());
            wanted.push(Wanted { client: light.orig.0, server: light.resp.0, start: light.first });
        }
        if look.wanted == Some(light.id) {
            detail = Some(Arc::new(Detail::of(&view.record(&verdict))));
        }
        flows.push(light);
    }
    for (at, name) in unnamed.into_iter().zip(look.analysis.told_names(&wanted)) {
        if let (Some(light), Some(name)) = (flows.get_mut(at), name) {
            light.call(texts.keep(name));
        }
    }
    let Diagnosis { sessions, site, poor, .. } = look.diagnosis;
    let hosts = hosts(look, &flows);
    let mut snapshot = Snapshot {
        now: look.now,
        flows: Arc::new(flows),
        findings: in_order(look.diagnosis).into_iter().cloned().collect(),
        sessions: sessions.clone(),
        site: site.clone(),
        poor: *poor,
        quality: look.quality.clone(),
        stats: look.stats.clone(),
        hosts,
        detail,
        ..Snapshot::default()
    };
    snapshot.settle();
    snapshot
}

/// Payload bytes of each of the ways to view: of all that is known, only what a history needs.
pub fn carried(analysis: &Analysis, naming: &Naming<'_>) -> [u64; METHODS.len()] {
    let mut total = [0u64; METHODS.len()];
    let mut briefs = Briefs::default();
    let shards = 0..u32::try_from(analysis.shards.len()).unwrap_or(0);
    for view in shards.flat_map(|shard| analysis.views_of(shard, naming)) {
        let class = briefs.of(&view).map_or_else(|| view.verdict(&view.facts()).class, |brief| brief.class);
        if let Some(sum) = METHODS.iter().position(|m| *m == class).and_then(|at| total.get_mut(at)) {
            *sum = view.payload().iter().fold(*sum, |sum, n| sum.saturating_add(*n));
        }
    }
    total
}

/// The hosts inside, the busiest first; recorders before all.
fn hosts(look: &Look<'_>, flows: &[Light]) -> Vec<HostRow> {
    let site = look.naming.site();
    let mut rows: HashMap<IpAddr, HostRow, RandomState> = HashMap::default();
    for flow in flows {
        for (side, other, ip) in [(0, 1, flow.orig.0), (1, 0, flow.resp.0)] {
            if !site.inside(ip) || ip.is_multicast() || (rows.len() >= HOSTS_MAX && !rows.contains_key(&ip)) {
                continue;
            }
            let row = rows.entry(ip).or_insert_with(|| HostRow {
                ip,
                role: None,
                mac: None,
                flows: [0; 2],
                payload: [0; 2],
                vendor: 0,
                last: Timestamp::default(),
                ja4: Vec::new(),
                outside: Vec::new(),
            });
            note(row, flow, side, other);
        }
    }
    for (ip, mac) in look.analysis.totals.neighbours.stations() {
        if let Some(row) = rows.get_mut(&IpAddr::V4(ip)) {
            row.mac = Some(mac);
        }
    }
    let roles = look.naming.roles();
    let mut rows: Vec<HostRow> = rows.into_values().collect();
    for row in &mut rows {
        row.role = match roles.role(row.ip) {
            Role::Recorder | Role::RecorderGiven => Some("recorder"),
            Role::Client => Some("client"),
            Role::None => row.role,
        };
    }
    let weight = |row: &HostRow| row.payload.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    let rank =
        |row: &HostRow| (row.role != Some("recorder"), row.role.is_none(), std::cmp::Reverse(weight(row)), row.ip);
    rows.sort_by_key(rank);
    rows
}

/// Notes how a flow's originator is seen from outside.
fn note_outside(row: &mut HostRow, flow: &Light) {
    // who is asked from inside tells nothing of a translation
    for told in flow.outside().iter().filter(|told| is_public(told.ip())) {
        let outside = Outside { port: flow.orig.1, server: flow.resp.into(), told: *told };
        let more = row.outside.iter().any(|known| known.port == outside.port);
        let most = if more { OUTSIDE_MOST } else { OUTSIDE_MAX };
        if row.outside.len() < most && !row.outside.contains(&outside) {
            row.outside.push(outside);
        }
    }
}

/// Notes that a host is side `side` of a flow.
fn note(row: &mut HostRow, flow: &Light, side: usize, other: usize) {
    let payload = |at: usize| flow.payload.get(at).copied().unwrap_or(0);
    if let Some(count) = row.flows.get_mut(side) {
        *count = count.saturating_add(1);
    }
    for (sum, more) in row.payload.iter_mut().zip([payload(side), payload(other)]) {
        *sum = sum.saturating_add(more);
    }
    row.vendor = row.vendor.saturating_add(u64::from(is_vendor(flow.class)));
    row.last = row.last.max(flow.last);
    if let Some(does) = does(flow.class, side) {
        row.role.get_or_insert(does);
    }
    if side == 0 {
        for ja4 in flow.ja4() {
            if row.ja4.len() < JA4_MAX && !row.ja4.iter().any(|known| known == ja4) {
                row.ja4.push(ja4.to_owned());
            }
        }
        note_outside(row, flow);
    }
}

/// What a host is that begins (side 0) or answers a flow of that class.
const fn does(class: Class, side: usize) -> Option<&'static str> {
    match (class, side) {
        (Class::Camera, 1) => Some("camera"),
        (Class::Dns, 1) => Some("resolver"),
        (Class::Ntp, 1) => Some("clock"),
        (Class::Dmp, 0) => Some("panel"),
        _ => None,
    }
}
