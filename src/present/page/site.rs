//! The site on a page: the scorecard, attempts to view, the recorders, the line, and the capture itself.

use super::Markup;
use crate::event::{AllowState, SessionRecord, SessionStep, SiteRecord, StepOutcome, UplinkBy};
use crate::present::site::is_sent;
use crate::present::spoken;
use crate::present::summary::{ClassTotals, Summary};
use crate::text::units::{BitRate, Bytes, Count, Counted, Percent, Span};
use crate::text::zone::Zone;
use crate::time::Timestamp;

/// How many attempts to view are told.
const VIEWS_MAX: usize = 40;
/// How many recorders are told.
const RECORDERS_MAX: usize = 20;

/// A label and its text.
pub(super) type Labelled = (&'static str, String);

/// A row of the scorecard.
#[derive(Debug)]
pub(super) struct Row {
    pub look: &'static str,
    pub sign: &'static str,
    pub state: String,
    pub pattern: String,
    pub ports: String,
    pub requirement: String,
    pub purpose: String,
    pub told: String,
    pub sources: String,
}

const fn look(state: AllowState) -> (&'static str, &'static str) {
    match state {
        AllowState::Working => ("ok", "✓"),
        AllowState::Partly => ("warning", "⚠"),
        AllowState::Blocked => ("error", "✗"),
        AllowState::Unclear => ("hint", "?"),
        AllowState::NotExercised => ("none", "–"),
    }
}

/// The rows, what is blocked first.
pub(super) fn rows(site: &SiteRecord, markup: Markup, zone: Zone) -> Vec<Row> {
    let mut rows: Vec<_> = site.allow_list.iter().collect();
    rows.sort_by_key(|row| match row.state {
        AllowState::Blocked => 0,
        AllowState::Partly => 1,
        AllowState::Unclear => 2,
        AllowState::Working => 3,
        AllowState::NotExercised => 4,
    });
    let row = |row: &&crate::event::AllowRow| {
        let (look, sign) = look(row.state);
        let last = row.last.map(|last| format!("last {}", zone.moment(last))).unwrap_or_default();
        let frame = row.frame.map(|frame| format!("frame {frame}")).unwrap_or_default();
        let parts = [row.how.clone(), row.names.join(", "), last, frame];
        let told: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Row {
            look,
            sign,
            state: row.state.spoken().to_owned(),
            pattern: markup.tell(&row.pattern),
            ports: markup.tell(&row.ports.join(", ")),
            requirement: markup.tell(row.requirement),
            purpose: markup.tell(&row.purpose),
            told: markup.tell(&told.join("; ")),
            sources: markup.tell(&row.sources.join(", ")),
        }
    };
    rows.iter().map(row).collect()
}

/// How many rows stand how.
pub(super) fn score(site: &SiteRecord) -> String {
    let counted = AllowState::ALL.iter().filter_map(|state| {
        let rows = site.allow_list.iter().filter(|row| row.state == *state).count();
        (rows > 0).then(|| format!("{} {rows} {}", look(*state).1, state.spoken()))
    });
    let assumed = if site.product_assumed { ", assumed" } else { "" };
    format!("{}{assumed}: {}", site.product, counted.collect::<Vec<_>>().join(" · "))
}

/// An attempt to view.
#[derive(Debug)]
pub(super) struct View {
    pub look: &'static str,
    pub sign: &'static str,
    pub who: String,
    pub when: String,
    pub rate: String,
    pub story: String,
    pub steps: Vec<StepShown>,
}

/// A way that was tried.
#[derive(Debug)]
pub(super) struct StepShown {
    pub sign: &'static str,
    pub method: &'static str,
    pub outcome: String,
    pub reason: String,
}

/// The attempts, those that failed first, and how many are left out.
pub(super) fn views(sessions: &[SessionRecord], markup: Markup, zone: Zone) -> (Vec<View>, usize) {
    let mut shown: Vec<&SessionRecord> = sessions.iter().collect();
    shown.sort_by_key(|session| (session.path.is_some(), session.start));
    let omitted = shown.len().saturating_sub(VIEWS_MAX);
    (shown.into_iter().take(VIEWS_MAX).map(|session| view(session, markup, zone)).collect(), omitted)
}

fn view(session: &SessionRecord, markup: Markup, zone: Zone) -> View {
    let end = |ip: Option<std::net::IpAddr>| ip.map_or_else(|| "not seen".to_owned(), |ip| ip.to_string());
    let failed = session.steps.iter().any(|step| step.outcome == StepOutcome::Failed);
    let (look, sign) = match session.path {
        Some(_) if session.unseen => ("none", "·"),
        Some(_) => ("ok", "✓"),
        None if failed => ("error", "✗"),
        None => ("hint", "?"),
    };
    let rate = session.bit_rate.map(|rate| BitRate(rate).to_string()).unwrap_or_default();
    let begin = format!("{} {}", zone.moment(session.start), zone.name(session.start));
    let row = session.table.as_ref().map(|row| format!(" (nearest: {})", row.what())).unwrap_or_default();
    View {
        look,
        sign,
        who: format!("recorder {}, viewer {}", end(session.recorder), end(session.client)),
        when: format!("{begin}, {}", Span(session.end.since(session.start))),
        rate: format!("{rate}{row}"),
        story: markup.tell(&session.story),
        steps: session.steps.iter().map(|step| step_shown(session, step, markup)).collect(),
    }
}

fn step_shown(session: &SessionRecord, step: &SessionStep, markup: Markup) -> StepShown {
    let sent = step.outcome == StepOutcome::Worked && is_sent(session, step);
    let sign = match step.outcome {
        StepOutcome::Worked if sent => "↑",
        StepOutcome::Worked => "✓",
        StepOutcome::Failed => "✗",
        StepOutcome::NotTried => "–",
        StepOutcome::Unclear => "?",
    };
    StepShown {
        sign,
        method: step.method.text(),
        outcome: if sent { "sent, arrival not seen here".to_owned() } else { spoken(step.outcome.text()) },
        reason: markup.tell(&step.reason),
    }
}

/// The recorders, as the vendor's support page would tell of them.
pub(super) fn recorders(site: &SiteRecord, markup: Markup, zone: Zone) -> Vec<Labelled> {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "not seen".to_owned(), |at| zone.moment(at));
    let told = site.recorders.iter().take(RECORDERS_MAX).map(|recorder| {
        let by = if recorder.given { "given" } else { "inferred" };
        let text = format!(
            "{} ({by}): last active {}, last registered {}, last response {}, responses about {}",
            recorder.ip,
            at(recorder.last_active),
            at(recorder.last_registered),
            at(recorder.last_response),
            Count(recorder.response_sequence)
        );
        ("Recorder", markup.tell(&text))
    });
    let mut told: Vec<Labelled> = told.collect();
    if let Some(more @ 1..) = site.recorders.len().checked_sub(RECORDERS_MAX) {
        told.push(("", format!("and {more} more")));
    }
    told
}

/// What the line carries.
pub(super) fn bandwidth(site: &SiteRecord) -> Vec<Labelled> {
    let known = &site.bandwidth;
    let mut told = Vec::new();
    if let (Some(rate), Some(by)) = (known.uplink_bit_rate, known.uplink_by) {
        let how = match by {
            UplinkBy::Site => "as given",
            UplinkBy::Full => "seen full at that",
            UplinkBy::Seen => "at least: the most that was seen",
        };
        told.push(("Uplink", format!("{} ({how})", BitRate(rate))));
    }
    told.extend(known.used_bit_rate.map(|rate| ("Used at most", BitRate(rate).to_string())));
    told.extend(known.headroom_bit_rate.map(|rate| ("Left then", BitRate(rate).to_string())));
    if !known.room_for.is_empty() {
        let rows: Vec<_> = known.room_for.iter().map(|row| format!("{} ({})", row.what(), row.source)).collect();
        told.push(("Room for", rows.join(" or ")));
    }
    told.extend(known.recommended_bit_rate.map(|rate| ("Vendor recommends", BitRate(rate).to_string())));
    if !known.uploads.is_empty() {
        let bytes = known.uploads.iter().map(|upload| upload.bytes).fold(0, u64::saturating_add);
        let count = known.uploads.len() as u64 + known.uploads_omitted;
        told.push(("Uploads", format!("{} to the vendor's storage, {}", Counted(count, "upload"), Bytes(bytes))));
    }
    told
}

/// Use of data: for what, seen, in 30 days, by the vendor's table.
pub(super) fn data(site: &SiteRecord, markup: Markup) -> Vec<[String; 4]> {
    let amount = |bytes: Option<f64>| bytes.map_or_else(|| "–".to_owned(), |bytes| Bytes(bytes as u64).to_string());
    let row = |usage: &crate::event::DataUsage| {
        let seen = format!("{} in {}", Bytes(usage.bytes), Span::of_seconds(usage.seconds));
        let table = match usage.source.is_empty() {
            true => amount(usage.table_bytes_30_days),
            false => format!("{} ({})", amount(usage.table_bytes_30_days), usage.source),
        };
        [markup.tell(&usage.what), seen, amount(usage.bytes_30_days), table]
    };
    site.bandwidth.data.iter().map(row).collect()
}

/// The classes of traffic: name, flows, up, down, host.
pub(super) fn classes(classes: &[ClassTotals], markup: Markup) -> Vec<[String; 5]> {
    let row = |totals: &ClassTotals| {
        let more = totals.names.saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let name = totals.name.as_ref().map(|name| format!("{}{more}", markup.tell(name))).unwrap_or_default();
        [
            totals.class.name().to_owned(),
            Count(totals.flows).to_string(),
            Bytes(totals.payload_toserver).to_string(),
            Bytes(totals.payload_toclient).to_string(),
            name,
        ]
    };
    classes.iter().map(row).collect()
}

/// What the capture is.
pub(super) fn capture(summary: &Summary, markup: Markup, zone: Zone) -> Vec<Labelled> {
    let quality = &summary.quality;
    let mut told = vec![("Files", markup.tell(&summary.files.join(", ")))];
    if let (Some(first), Some(last)) = (quality.first, quality.last) {
        let span = Span(last.since(first));
        let period = zone.period(first, last, [first, last].map(|at| zone.moment(at)));
        told.push(("Time", format!("{period} ({span}), by the capture's clock")));
    }
    told.push(("Read", format!("{}, {}", Counted(quality.frames, "frame"), Bytes(quality.bytes))));
    told.push(("Link", markup.tell(&quality.link_types.join(", "))));
    let drops =
        |n: Option<u64>| n.map_or_else(|| "not told by the file".to_owned(), |n| Counted(n, "frame").to_string());
    told.push((
        "Dropped",
        format!("kernel: {}; interface: {}", drops(quality.kernel_drops), drops(quality.interface_drops)),
    ));
    told.push((
        "Quality",
        format!(
            "{} mirror copies, {} of connections one-sided, {} cut, {} of bytes missed",
            Percent(quality.duplicate_share),
            Percent(quality.one_sided_share),
            Counted(quality.cut_frames, "frame"),
            Percent(quality.missed_share)
        ),
    ));
    let undecoded: Vec<_> = quality.undecoded.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    if !undecoded.is_empty() {
        told.push(("Not decoded", undecoded.join(", ")));
    }
    told.push(("Advice", markup.tell(&quality.advice)));
    told
}
