//! Bandwidth: streams against the vendor's table of rates, what is left of the uplink, uploads to the vendor's storage,
//! and data against the vendor's table of usage. Facts and published numbers side by side; nothing here is a fault.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::scene::Scene;
use super::session::flow::{Stream, video};
use crate::classify::catalogue::{Catalogue, Product, ProductId};
use crate::classify::words::Sub;
use crate::engine::case::{Case, is_core};
use crate::event::{
    Bandwidth, Class, DataUsage, FindingRecord, Kind, LIST_MAX, Quality, TableRate, UplinkBy, UploadRecord,
};
use crate::time::{Timestamp, seconds};

/// Days that the vendor's table of usage is for, in seconds.
const THIRTY_DAYS: f64 = 30.0 * 86_400.0;
/// Bytes of a megabyte, as providers count.
const MEGABYTE: f64 = 1e6;

/// The rows of a product's table, each quality by itself.
fn rows(catalogue: &Catalogue, product: ProductId) -> Vec<TableRate> {
    let tables = catalogue.bandwidths.iter().filter(|table| table.product == product);
    let mut rows = Vec::new();
    for table in tables {
        let source = table.sources.join("; ");
        let row = |channels, quality, bits: u64| TableRate {
            channels,
            quality,
            bit_rate: bits as f64,
            source: source.clone(),
        };
        for known in &table.rows {
            rows.push(row(known.channels, Quality::Sd, known.sd_bps));
            rows.extend(known.hd_bps.map(|bits| row(known.channels, Quality::Hd, bits)));
        }
    }
    rows
}

/// The row of the vendor's table that a rate comes nearest to; of those as near, the one with the fewest channels. What
/// is far from all of them is nearest to the least or the greatest still.
pub fn nearest(scene: &Scene<'_>, product: ProductId, bit_rate: f64) -> Option<TableRate> {
    let alike = scene.rules.settings.views.alike_factor.max(1.0);
    let apart = |row: &TableRate| (row.bit_rate / bit_rate).max(bit_rate / row.bit_rate);
    let rows = rows(&scene.base.catalogue, product);
    let best = rows.iter().map(apart).min_by(f64::total_cmp)?;
    let near = rows.into_iter().filter(|row| apart(row) <= best * alike);
    near.min_by(|a, b| a.channels.cmp(&b.channels).then(apart(a).total_cmp(&apart(b))))
}

/// The site as bandwidth sees it.
pub fn bandwidth(scene: &Scene<'_>, product: ProductId, findings: &[FindingRecord]) -> Bandwidth {
    let used = most_at_once(scene);
    let full = seen_full(scene, findings);
    let uplink = match (scene.base.site.uplink_mbps, full) {
        (Some(mbps), _) => Some((mbps * MEGABYTE, UplinkBy::Site)),
        (None, Some(rate)) => Some((rate.max(used.unwrap_or(0.0)), UplinkBy::Full)),
        (None, None) => used.map(|rate| (rate, UplinkBy::Seen)),
    };
    // what was merely seen to go through says nothing of what else would
    let known = uplink.filter(|(_, by)| *by != UplinkBy::Seen);
    let headroom = known.map(|(rate, _)| (rate - used.unwrap_or(0.0)).max(0.0));
    let (uploads, uploads_omitted) = uploads(scene);
    Bandwidth {
        uplink_bit_rate: uplink.map(|(rate, _)| rate),
        uplink_by: uplink.map(|(_, by)| by),
        used_bit_rate: used,
        headroom_bit_rate: headroom,
        room_for: headroom.map(|left| room_for(&scene.base.catalogue, product, left)).unwrap_or_default(),
        recommended_bit_rate: of_product(&scene.base.catalogue, product).map(|p| p.upload_bps as f64),
        uploads,
        uploads_omitted,
        data: data(scene),
    }
}

fn of_product(catalogue: &Catalogue, product: ProductId) -> Option<&Product> {
    catalogue.products.iter().find(|known| known.id == product)
}

/// The most channels of each quality that fit into a rate, by the vendor's table.
fn room_for(catalogue: &Catalogue, product: ProductId, left: f64) -> Vec<TableRate> {
    let rows = rows(catalogue, product);
    let most = |quality: Quality| {
        let fitting = rows.iter().filter(|row| row.quality == quality && row.bit_rate <= left);
        fitting.max_by_key(|row| row.channels).cloned()
    };
    Quality::ALL.iter().filter_map(|quality| most(*quality)).collect()
}

/// Video that leaves the site: a recorder's, over the relay or straight to somebody outside.
fn outward<'c>(scene: &Scene<'c>) -> impl Iterator<Item = (&'c Case, Stream)> {
    scene.cases.flows.iter().filter_map(|case| {
        let stream = video(scene, case)?;
        let (sender, receiver) = (usize::from(!stream.by_orig), usize::from(stream.by_orig));
        let leaves = case.inside.get(sender) == Some(&true) && case.inside.get(receiver) == Some(&false);
        leaves.then_some((case, stream))
    })
}

/// The greatest sum of the mean rates of streams that ran at one time.
fn most_at_once(scene: &Scene<'_>) -> Option<f64> {
    let least = scene.rules.settings.views.rate_seconds;
    let mut changes: Vec<(Timestamp, f64)> = Vec::new();
    for (_, stream) in outward(scene) {
        let Some(rate) = stream.bit_rate(least) else { continue };
        changes.extend([(stream.first, rate), (stream.last, -rate)]);
    }
    // what ends at a moment ends before something else begins
    changes.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (mut now, mut most) = (0.0f64, 0.0f64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    (most > 0.0).then_some(most)
}

/// The rate at which an uplink was found full.
fn seen_full(scene: &Scene<'_>, findings: &[FindingRecord]) -> Option<f64> {
    let full = findings.iter().find(|f| f.kind == Kind::UplinkSaturated && f.is_claim())?;
    let cited: BTreeSet<u64> = full.flow_ids.iter().copied().collect();
    let cited = |case: &Case| cited.contains(&case.identity.flow_id);
    let flows = || scene.cases.flows.iter().filter(|case| cited(case));
    let (first, last) = (flows().map(Case::first).min()?, flows().map(|case| case.last).max()?);
    let bytes = flows().map(|case| case.bytes[0]).fold(0u64, u64::saturating_add);
    let time = seconds(last.since(first));
    (time > 0.0).then(|| bytes as f64 * 8.0 / time)
}

/// Uploads to the vendor's storage, in order, and how many the list has no room for.
fn uploads(scene: &Scene<'_>) -> (Vec<UploadRecord>, u64) {
    let settings = &scene.rules.settings.views;
    let is_vendor = |case: &&Case| case.class == Class::S3 && case.subs.has(Sub::Vendor) && case.established;
    let large = |case: &&Case| case.payload[0] as f64 >= settings.upload_bytes && case.payload[0] > case.payload[1];
    // the vendor's default clip is its smallest
    let per_second = scene.base.catalogue.clips.iter().filter(|clip| clip.seconds > 0);
    let per_second = per_second.map(|clip| clip.megabytes * MEGABYTE / f64::from(clip.seconds)).min_by(f64::total_cmp);
    let mut all = scene.cases.flows.iter().filter(is_vendor).filter(large);
    let record = |case: &Case| {
        let took = seconds(case.last.since(case.first()));
        let length = per_second.map(|rate| case.payload[0] as f64 / rate);
        UploadRecord {
            flow_id: case.identity.flow_id,
            src_ip: case.orig.0,
            host: case.host.clone(),
            start: case.first(),
            bytes: case.payload[0],
            bit_rate: (took > 0.0).then(|| case.payload[0] as f64 * 8.0 / took),
            clip_seconds: length.filter(|length| *length >= settings.clip_seconds),
        }
    };
    let list = all.by_ref().take(LIST_MAX).map(record).collect();
    (list, all.count() as u64)
}

/// Data by use, of all recorders: the baseline, what goes to storage, and video.
fn data(scene: &Scene<'_>) -> Vec<DataUsage> {
    let watched = seconds(scene.cases.last.since(scene.cases.first));
    let is_recorder = |ip: IpAddr| scene.base.site.recorders.contains(&ip);
    let own = |case: &&Case| (case.recorders[0] || is_recorder(case.orig.0)) && case.inside[0];
    let is_storage = |case: &Case| case.class == Class::S3 && case.subs.has(Sub::Vendor);
    let is_video = |case: &Case| video(scene, case).is_some();
    let mut sums = [0u64; 3];
    let mut recorders: BTreeSet<IpAddr> = BTreeSet::new();
    for case in scene.cases.flows.iter().filter(own) {
        let use_of = match () {
            () if is_storage(case) => 1,
            () if is_video(case) => 2,
            () if is_core(case.class, case.subs) => 0,
            () => continue,
        };
        recorders.insert(case.orig.0);
        let bytes = case.bytes.iter().copied().fold(0, u64::saturating_add);
        if let Some(sum) = sums.get_mut(use_of) {
            *sum = sum.saturating_add(bytes);
        }
    }
    let settings = &scene.rules.settings.views;
    let usage = |words: &[&str]| {
        let known = scene.base.catalogue.usages.iter().filter(|usage| words.contains(&&*usage.what));
        known.fold((0.0, Vec::new()), |(sum, mut sources), usage| {
            sources.extend(usage.sources.iter().cloned());
            (sum + usage.megabytes_30_days * MEGABYTE, sources)
        })
    };
    let table: [(&str, &[&str], Option<f64>); 3] = [
        ("baseline cloud communication", &["baseline cloud communication"], Some(settings.baseline_seconds)),
        (
            "uploads to storage",
            &["configuration backup", "alert transmission", "alert images", "day and night images"],
            Some(settings.day_seconds),
        ),
        ("video", &[], None),
    ];
    let told = table.into_iter().zip(sums).filter(|(_, bytes)| *bytes > 0);
    told.map(|((what, rows, least), bytes)| {
        let (published, sources) = usage(rows);
        let each = recorders.len().max(1) as f64;
        let long = least.is_some_and(|least| watched >= least && watched > 0.0);
        DataUsage {
            what: what.to_owned(),
            bytes,
            seconds: watched,
            bytes_30_days: long.then(|| bytes as f64 / watched * THIRTY_DAYS),
            table_bytes_30_days: (published > 0.0).then_some(published * each),
            source: sources.join("; "),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests;
