//! Before and after: what has changed between two captures of one site.
//!
//! Two captures share no packet, so findings are matched by what they say and of which entry of the allow-list, or host,
//! they say it. That one is gone proves nothing by itself: it counts as fixed only where the later capture shows the thing
//! at work.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::diagnose::Diagnosis;
use crate::event::{AllowState, FindingRecord, Kind, Method, SessionRecord, Severity, StepOutcome};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was not there before.
    New,
    /// It is there as before.
    Unchanged,
    /// It is gone, and what it was about was not tried again: nothing is proved.
    NotTried,
    /// It is gone, and what it was about works.
    Fixed,
}

impl Became {
    /// All, the gravest first.
    pub const ALL: [Became; 4] = [Became::New, Became::Unchanged, Became::NotTried, Became::Fixed];

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Became::New => "new",
            Became::Unchanged => "unchanged",
            Became::NotTried => "gone, not tried",
            Became::Fixed => "fixed",
        }
    }
}

/// A finding of one capture or of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What became of it.
    pub became: Became,
    /// What is wrong.
    pub kind: Kind,
    /// What it is about: an entry of the allow-list, a host, an address.
    pub subject: String,
    /// How grave it is, or was.
    pub severity: Severity,
    /// What it says, in the later capture if it is there.
    pub title: String,
    /// Its id in the earlier capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its id in the later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What shows that.
    pub because: String,
}

/// An entry of the allow-list that stands otherwise than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowChange {
    /// The entry, as the vendor writes it.
    pub pattern: String,
    /// Whether the vendor requires it.
    pub requirement: &'static str,
    /// How it stood.
    pub before: AllowState,
    /// How it stands.
    pub after: AllowState,
}

/// The hosts of the system that two captures show, where they have none in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Strangers {
    /// The first few of the earlier capture.
    pub before: Vec<IpAddr>,
    /// And of the later one.
    pub after: Vec<IpAddr>,
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The claims of both captures, the gravest first.
    pub findings: Vec<Change>,
    /// Entries of the allow-list that stand otherwise.
    pub allow_list: Vec<RowChange>,
    /// How many attempts to view got video, of how many, before.
    pub views_before: [u64; 2],
    /// And after.
    pub views_after: [u64; 2],
    /// The later capture is too poor to judge by.
    pub poor: bool,
    /// No host is in both captures: they may be of two sites, and then prove nothing of each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strangers: Option<Strangers>,
}

impl Comparison {
    /// The gravest claim of the later capture.
    pub fn worst(&self) -> Option<Severity> {
        let there = |change: &&Change| matches!(change.became, Became::New | Became::Unchanged);
        self.findings.iter().filter(there).map(|change| change.severity).max()
    }

    /// The gravest claim of the earlier capture of which the later one proves nothing, since nobody tried.
    pub fn unproved(&self) -> Option<Severity> {
        let gone = self.findings.iter().filter(|change| change.became == Became::NotTried);
        gone.map(|change| change.severity).max()
    }

    /// Whether the later capture is no ground to accept anything, `least` being the severity that counts: it cannot be
    /// judged, is another site's, or nobody tried there what had failed.
    pub fn proves_nothing(&self, least: Severity) -> bool {
        self.poor || self.strangers.is_some() || self.unproved().is_some_and(|gone| gone >= least)
    }

    /// How many findings became that.
    pub fn count(&self, became: Became) -> usize {
        self.findings.iter().filter(|change| change.became == became).count()
    }
}

/// Compares what two captures of one site came to.
pub fn compare(before: &Diagnosis, after: &Diagnosis) -> Comparison {
    let claims = |of: &'_ Diagnosis| -> Vec<FindingRecord> {
        of.findings.iter().filter(|finding| finding.is_claim()).cloned().collect()
    };
    let (old, new) = (claims(before), claims(after));
    let mut findings: Vec<Change> = Vec::new();
    let mut tell = |change: Change| {
        if !findings.iter().any(|known| (known.kind, &known.subject) == (change.kind, &change.subject)) {
            findings.push(change);
        }
    };
    for finding in &new {
        let subject = subject(finding, after);
        let same = old.iter().find(|was| was.kind == finding.kind && self::subject(was, before) == subject);
        let became = if same.is_some() { Became::Unchanged } else { Became::New };
        tell(change(became, finding, subject, same.map(|was| was.id.clone()), Some(finding.id.clone()), String::new()));
    }
    for finding in &old {
        let subject = subject(finding, before);
        let works = works(finding, &subject, after);
        let became = if works.is_some() { Became::Fixed } else { Became::NotTried };
        let because = works.unwrap_or_else(|| "the later capture does not show it tried".to_owned());
        tell(change(became, finding, subject, Some(finding.id.clone()), None, because));
    }
    findings.sort_by_key(|change| (change.became, std::cmp::Reverse(change.severity)));
    Comparison {
        findings,
        allow_list: rows(before, after),
        views_before: views(&before.sessions),
        views_after: views(&after.sessions),
        poor: after.poor,
        strangers: strangers(&before.hosts, &after.hosts),
    }
}

/// The hosts of two captures that have none in common.
fn strangers(before: &BTreeSet<IpAddr>, after: &BTreeSet<IpAddr>) -> Option<Strangers> {
    /// How many of each are told.
    const TOLD: usize = 4;
    let few = |hosts: &BTreeSet<IpAddr>| hosts.iter().copied().take(TOLD).collect();
    before.is_disjoint(after).then(|| Strangers { before: few(before), after: few(after) })
}

fn change(
    became: Became,
    finding: &FindingRecord,
    subject: String,
    before: Option<String>,
    after: Option<String>,
    because: String,
) -> Change {
    let (kind, severity, title) = (finding.kind, finding.severity, finding.title.clone());
    Change { became, kind, subject, severity, title, before, after, because }
}

/// What a finding is about, in words that hold for another capture too.
fn subject(finding: &FindingRecord, diagnosis: &Diagnosis) -> String {
    let row = diagnosis.site.allow_list.iter().find(|row| row.finding_ids.contains(&finding.id));
    let end = || {
        finding.dest_ip.map(|ip| match finding.dest_port {
            Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
            None => ip.to_string(),
        })
    };
    row.map(|row| row.pattern.clone()).or_else(|| finding.host.clone()).or_else(end).unwrap_or_default()
}

/// What of a capture shows that what a finding was about works now.
fn works(finding: &FindingRecord, subject: &str, after: &Diagnosis) -> Option<String> {
    let viewed = |method: Method| after.sessions.iter().find(|session| worked(session, method));
    let row = after.site.allow_list.iter().find(|row| row.pattern == subject);
    let row = row.filter(|row| row.state == AllowState::Working);
    let by_row = || row.map(|row| format!("{} was seen working", row.pattern));
    let by_view = |method: Method| viewed(method).map(|_| format!("video came by {}", method.text()));
    match finding.kind {
        Kind::ContentFilterStall | Kind::PostRefused | Kind::BlockPage => by_view(Method::Relay),
        Kind::P2pFailed | Kind::P2pFallback | Kind::SymmetricNat => by_view(Method::P2p),
        Kind::LsfMissed => by_view(Method::Lsf),
        Kind::DirectBroken | Kind::Cgnat => by_view(Method::Direct),
        Kind::SpanDuplicates | Kind::SpanOneSided | Kind::CaptureDrops | Kind::CaptureTruncated => {
            (!after.poor).then(|| "the later capture is sound".to_owned())
        }
        Kind::RecorderUnregistered | Kind::WrongRegion => {
            let registered = after.site.recorders.iter().any(|recorder| recorder.last_registered.is_some());
            registered.then(|| "a recorder registered".to_owned())
        }
        _ => by_row(),
    }
}

fn worked(session: &SessionRecord, method: Method) -> bool {
    session.steps.iter().any(|step| step.method == method && step.outcome == StepOutcome::Worked)
}

/// How many attempts got video, and how many there were.
fn views(sessions: &[SessionRecord]) -> [u64; 2] {
    let got = sessions.iter().filter(|session| session.path.is_some()).count();
    [got as u64, sessions.len() as u64]
}

fn rows(before: &Diagnosis, after: &Diagnosis) -> Vec<RowChange> {
    let row = |now: &crate::event::AllowRow| {
        let was = before.site.allow_list.iter().find(|was| was.id == now.id)?;
        let told = RowChange {
            pattern: now.pattern.clone(),
            requirement: now.requirement,
            before: was.state,
            after: now.state,
        };
        (was.state != now.state).then_some(told)
    };
    after.site.allow_list.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample;

    fn host(number: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, number])
    }

    fn diagnosis() -> Diagnosis {
        let (sessions, hosts) = (vec![sample::session()], [host(50)].into());
        Diagnosis { findings: sample::findings(), site: sample::site(), sessions, poor: false, hosts }
    }

    #[test]
    fn gone_is_fixed_only_where_it_is_seen_at_work() {
        let before = diagnosis();
        let mut after = Diagnosis { findings: Vec::new(), sessions: Vec::new(), ..diagnosis() };
        let stall = |told: &Comparison| {
            told.findings.iter().find(|c| c.kind == Kind::ContentFilterStall).map(|c| c.became).unwrap()
        };
        let told = compare(&before, &after);
        assert_eq!((stall(&told), told.worst()), (Became::NotTried, None));
        after.sessions.push(sample::session());
        let told = compare(&before, &after);
        assert_eq!(stall(&told), Became::Fixed);
        assert_eq!((told.views_before, told.views_after), ([1, 1], [1, 1]));
    }

    #[test]
    fn what_stays_and_what_is_new() {
        let before = diagnosis();
        let told = compare(&before, &before);
        assert!(told.findings.iter().all(|change| change.became == Became::Unchanged) && told.allow_list.is_empty());
        assert_eq!(told.worst(), before.findings.iter().filter(|f| f.is_claim()).map(|f| f.severity).max());
        let told = compare(&Diagnosis::default(), &before);
        assert_eq!(told.count(Became::New), told.findings.len());
        let mut later = diagnosis();
        later.site.allow_list[1].state = AllowState::Working;
        let told = compare(&before, &later);
        assert_eq!(told.allow_list.len(), 1);
        assert_eq!((told.allow_list[0].before, told.allow_list[0].after), (AllowState::Blocked, AllowState::Working));
    }

    #[test]
    fn captures_without_a_host_in_common_prove_nothing() {
        let (before, mut after) = (diagnosis(), diagnosis());
        after.findings.clear();
        assert_eq!(compare(&before, &after).strangers, None);
        assert!(!compare(&before, &after).proves_nothing(Severity::Error));
        after.hosts = (60..70).map(host).collect();
        let told = compare(&before, &after);
        let few = (60..64).map(host).collect();
        assert_eq!(told.strangers, Some(Strangers { before: vec![host(50)], after: few }));
        assert!(told.proves_nothing(Severity::Error) && told.worst().is_none());
        after.hosts.insert(host(50));
        assert_eq!(compare(&before, &after).strangers, None);
        after.hosts.clear();
        assert!(compare(&before, &after).strangers.is_some_and(|hosts| hosts.after.is_empty()));
    }
}
