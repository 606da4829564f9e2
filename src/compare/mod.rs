//! Before and after: what has changed between two captures of one site.
//!
//! Two captures share no packet, so findings are matched by what they say and of which entry of the allow-list, or
//! host, they say it. That one is gone proves nothing by itself: it counts as fixed only where the later capture shows
//! the thing at work. A hint is no claim, neither before nor after, but where the later capture has one of what was
//! claimed before, or shows it tried again in vain, that is said.

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

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::diagnose::Diagnosis;
use crate::event::{AllowRow, AllowState, FindingRecord, Kind, Method, SessionRecord, Severity, StepOutcome};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was not there before.
    New,
    /// It is there as before.
    Unchanged,
    /// It is claimed no longer, but it was tried again, and nothing shows that it works: nothing is proved.
    Unproved,
    /// It is gone, and what it was about was not tried again: nothing is proved.
    NotTried,
    /// It is gone, and what it was about works.
    Fixed,
}

impl Became {
    /// All, the gravest first.
    pub const ALL: [Became; 5] = [Became::New, Became::Unchanged, Became::Unproved, Became::NotTried, Became::Fixed];

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Became::New => "new",
            Became::Unchanged => "unchanged",
            Became::Unproved => "tried, not proved",
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

/// A finding of the later capture that is not sure enough to be a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hint {
    /// What may be wrong.
    pub kind: Kind,
    /// How grave it would be.
    pub severity: Severity,
    /// How sure it is, below what a claim needs.
    pub confidence: f64,
    /// What it says.
    pub title: String,
    /// Its id.
    pub id: String,
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The claims of both captures, the gravest first.
    pub findings: Vec<Change>,
    /// What the later capture only hints at, the gravest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Hint>,
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

    /// The gravest claim of the earlier capture of which the later one proves nothing, since nobody tried, or in vain.
    pub fn unproved(&self) -> Option<Severity> {
        let gone = self.findings.iter().filter(|change| matches!(change.became, Became::Unproved | Became::NotTried));
        gone.map(|change| change.severity).max()
    }

    /// Whether somebody tried to view in the later capture, and nobody got video.
    pub fn is_without_video(&self) -> bool {
        let [got, all] = self.views_after;
        got == 0 && all > 0
    }

    /// Whether the later capture is no ground to accept anything, `least` being the severity that counts: it cannot be
    /// judged, is another site's, nobody tried there what had failed, or no view got video and it hints why.
    pub fn proves_nothing(&self, least: Severity) -> bool {
        let hinted = || self.hints.iter().any(|hint| hint.severity >= least);
        self.poor
            || self.strangers.is_some()
            || self.unproved().is_some_and(|gone| gone >= least)
            || self.is_without_video() && hinted()
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
    let (was_about, is_about) = (Subjects::of(before), Subjects::of(after));
    let mut known: HashMap<(Kind, String), &FindingRecord> = HashMap::new();
    for was in &old {
        known.entry((was.kind, was_about.subject(was))).or_insert(was);
    }
    let hints = Hints::of(after, &is_about);
    let mut told: HashSet<(Kind, String)> = HashSet::new();
    let mut findings: Vec<Change> = Vec::new();
    let mut tell = |change: Change| {
        if told.insert((change.kind, change.subject.clone())) {
            findings.push(change);
        }
    };
    for finding in &new {
        let subject = is_about.subject(finding);
        let same = known.get(&(finding.kind, subject.clone()));
        let became = if same.is_some() { Became::Unchanged } else { Became::New };
        tell(change(became, finding, subject, same.map(|was| was.id.clone()), Some(finding.id.clone()), String::new()));
    }
    for finding in &old {
        let subject = was_about.subject(finding);
        let (became, because, later) = gone(finding, &subject, &hints, after);
        tell(change(became, finding, subject, Some(finding.id.clone()), later, because));
    }
    findings.sort_by_key(|change| (change.became, std::cmp::Reverse(change.severity)));
    Comparison {
        findings,
        hints: after.findings.iter().filter(|finding| !finding.is_claim()).map(hint).collect(),
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

/// What the findings of a diagnosis are about: the pattern of the first row of the allow-list that cites each.
struct Subjects<'d>(HashMap<&'d str, &'d str>);

impl<'d> Subjects<'d> {
    fn of(diagnosis: &'d Diagnosis) -> Self {
        let mut patterns: HashMap<&str, &str> = HashMap::new();
        for row in &diagnosis.site.allow_list {
            row.finding_ids.iter().for_each(|id| _ = patterns.entry(&**id).or_insert(&*row.pattern));
        }
        Subjects(patterns)
    }

    /// What a finding is about, in words that hold for another capture too.
    fn subject(&self, finding: &FindingRecord) -> String {
        let end = || {
            finding.dest_ip.map(|ip| match finding.dest_port {
                Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
                None => ip.to_string(),
            })
        };
        let row = self.0.get(&*finding.id).map(|pattern| (*pattern).to_owned());
        row.or_else(|| finding.host.clone()).or_else(end).unwrap_or_default()
    }
}

/// The hints of a diagnosis, each with its place, by what they are about and by their hosts.
struct Hints<'d> {
    about: HashMap<(Kind, String), (usize, &'d FindingRecord)>,
    of_host: HashMap<(Kind, &'d str), (usize, &'d FindingRecord)>,
}

impl<'d> Hints<'d> {
    fn of(diagnosis: &'d Diagnosis, subjects: &Subjects<'_>) -> Self {
        let mut hints = Hints { about: HashMap::new(), of_host: HashMap::new() };
        for hint in diagnosis.findings.iter().enumerate().filter(|(_, finding)| !finding.is_claim()) {
            let (_, finding) = hint;
            hints.about.entry((finding.kind, subjects.subject(finding))).or_insert(hint);
            if let Some(host) = finding.host.as_deref() {
                hints.of_host.entry((finding.kind, host)).or_insert(hint);
            }
        }
        hints
    }

    /// The first of a finding's kind that is about the same: a hint is in no entry of the allow-list, but may be of the
    /// same host.
    fn same(&self, finding: &FindingRecord, subject: &str) -> Option<&'d FindingRecord> {
        let about = self.about.get(&(finding.kind, subject.to_owned()));
        let of_host = finding.host.as_deref().and_then(|host| self.of_host.get(&(finding.kind, host)));
        about.into_iter().chain(of_host).min_by_key(|(place, _)| *place).map(|(_, hint)| *hint)
    }
}

fn hint(finding: &FindingRecord) -> Hint {
    let FindingRecord { kind, severity, confidence, .. } = *finding;
    Hint { kind, severity, confidence, title: finding.title.clone(), id: finding.id.clone() }
}

/// What became of a finding that is no longer claimed, what shows that, and the hint of it that is left.
fn gone(
    finding: &FindingRecord,
    subject: &str,
    hints: &Hints<'_>,
    after: &Diagnosis,
) -> (Became, String, Option<String>) {
    if let Some(works) = works(finding, subject, after) {
        return (Became::Fixed, works, None);
    }
    if let Some(hint) = hints.same(finding, subject) {
        let because = format!("the later capture hints at it still ({:.2})", hint.confidence);
        return (Became::Unproved, because, Some(hint.id.clone()));
    }
    match in_vain(finding, subject, after) {
        Some(because) => (Became::Unproved, because, None),
        None => (Became::NotTried, "the later capture does not show it tried".to_owned(), None),
    }
}

/// The way to view that a kind of finding stops.
const fn way(kind: Kind) -> Option<Method> {
    match kind {
        Kind::ContentFilterStall | Kind::PostRefused | Kind::BlockPage => Some(Method::Relay),
        Kind::P2pFailed | Kind::P2pFallback | Kind::SymmetricNat => Some(Method::P2p),
        Kind::LsfMissed => Some(Method::Lsf),
        Kind::DirectBroken | Kind::Cgnat => Some(Method::Direct),
        _ => None,
    }
}

/// What of a capture shows that what a finding was about was tried, where nothing shows that it works.
fn in_vain(finding: &FindingRecord, subject: &str, after: &Diagnosis) -> Option<String> {
    if let Some(method) = way(finding.kind) {
        let tried = |outcome| after.sessions.iter().any(|session| came_to(session, method, outcome));
        let told = |what| Some(format!("{} was tried again, {what}", method.text()));
        return match () {
            () if tried(StepOutcome::Failed) => told("and failed"),
            () if tried(StepOutcome::Unclear) => told("and what came of it is not clear"),
            () => None,
        };
    }
    let row = after.site.allow_list.iter().find(|row| row.pattern == subject)?;
    let stands = match row.state {
        AllowState::Working | AllowState::NotExercised => return None,
        AllowState::Blocked | AllowState::Partly => format!(": {}", row.how),
        AllowState::Unclear => ", and what came of it is not clear".to_owned(),
    };
    Some(format!("{} was tried again{stands}", row.pattern))
}

/// What of a capture shows that what a finding was about works now.
fn works(finding: &FindingRecord, subject: &str, after: &Diagnosis) -> Option<String> {
    let viewed = |method: Method| after.sessions.iter().any(|session| came_to(session, method, StepOutcome::Worked));
    if let Some(method) = way(finding.kind) {
        return viewed(method).then(|| format!("video came by {}", method.text()));
    }
    let row = after.site.allow_list.iter().find(|row| row.pattern == subject);
    let working = row.filter(|row| row.state == AllowState::Working);
    let by_row = || working.map(|row| format!("{} was seen working", row.pattern));
    match finding.kind {
        Kind::DnsBlocked => by_row().or_else(|| row.filter(|row| is_found(row, after)).map(found)),
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

/// Whether names of an entry are found, whatever becomes of the connections to them: nothing says otherwise, and
/// something was seen of it behind the resolver.
fn is_found(row: &AllowRow, after: &Diagnosis) -> bool {
    let of_row = |finding: &&FindingRecord| row.finding_ids.contains(&finding.id);
    let told = || after.findings.iter().filter(of_row).map(|finding| finding.kind);
    told().any(stops_connections) && !told().any(|kind| matches!(kind, Kind::DnsBlocked | Kind::DnsSlow))
}

/// Whether a kind of finding tells of connections, which are made only where the name was found.
const fn stops_connections(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TcpBlocked
            | Kind::SniReset
            | Kind::ClientHelloLost
            | Kind::TlsIntercepted
            | Kind::TlsAlert
            | Kind::BlockPage
            | Kind::PostRefused
            | Kind::ContentFilterStall
    )
}

fn found(row: &AllowRow) -> String {
    format!("the name is found now; what is left: {}", row.how)
}

fn came_to(session: &SessionRecord, method: Method, outcome: StepOutcome) -> bool {
    session.steps.iter().any(|step| step.method == method && step.outcome == outcome)
}

/// How many attempts got video, and how many there were.
fn views(sessions: &[SessionRecord]) -> [u64; 2] {
    let got = sessions.iter().filter(|session| session.path.is_some()).count();
    [got as u64, sessions.len() as u64]
}

fn rows(before: &Diagnosis, after: &Diagnosis) -> Vec<RowChange> {
    let row = |now: &AllowRow| {
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
    fn what_was_tried_in_vain_is_not_called_untried() {
        let before = diagnosis();
        let stall = |after: &Diagnosis| {
            let told = compare(&before, after);
            let change = told.findings.iter().find(|c| c.kind == Kind::ContentFilterStall).cloned().unwrap();
            (change.became, change.because, told.proves_nothing(Severity::Error))
        };
        let mut session = sample::session();
        session.path = None;
        let mut came = |outcome| {
            session.steps.iter_mut().for_each(|step| step.outcome = outcome);
            let sessions = vec![session.clone()];
            stall(&Diagnosis { findings: Vec::new(), sessions, ..diagnosis() })
        };
        let told = |what: &str| (Became::Unproved, format!("relay was tried again, {what}"), true);
        assert_eq!(came(StepOutcome::Failed), told("and failed"));
        assert_eq!(came(StepOutcome::Unclear), told("and what came of it is not clear"));
        assert_eq!(came(StepOutcome::NotTried).0, Became::NotTried);
        // a hint of the same is told as one, and does not outweigh what is seen at work
        let mut after = Diagnosis { sessions: Vec::new(), ..diagnosis() };
        after.findings.iter_mut().for_each(|finding| finding.confidence = 0.45);
        assert_eq!(stall(&after), (Became::Unproved, "the later capture hints at it still (0.45)".to_owned(), true));
        after.site.allow_list.iter_mut().for_each(|row| row.finding_ids.clear());
        assert!(stall(&after).1.contains("hints at it still"));
        after.sessions.push(sample::session());
        assert_eq!(stall(&after).0, Became::Fixed);
    }

    #[test]
    fn hints_without_video_prove_nothing() {
        let mut after = Diagnosis { findings: sample::findings(), ..diagnosis() };
        after.findings.iter_mut().for_each(|finding| finding.confidence = 0.45);
        let before = Diagnosis { findings: Vec::new(), ..after.clone() };
        let told = compare(&before, &after);
        assert!(told.findings.is_empty() && told.hints.len() == after.findings.len());
        assert!(!told.proves_nothing(Severity::Error));
        after.sessions[0].path = None;
        let told = compare(&before, &after);
        assert!(told.is_without_video() && told.proves_nothing(Severity::Error));
        after.findings.clear();
        assert!(!compare(&before, &after).proves_nothing(Severity::Error));
    }

    #[test]
    fn a_name_is_found_where_its_connections_are_blocked() {
        let (mut before, mut after) = (diagnosis(), diagnosis());
        let pattern = after.site.allow_list[1].pattern.clone();
        let of = |kind, id: &str| {
            let mut finding = sample::findings().swap_remove(0);
            (finding.kind, finding.id, finding.confidence) = (kind, id.to_owned(), 0.9);
            finding
        };
        before.findings = vec![of(Kind::DnsBlocked, "dns")];
        before.site.allow_list[1].finding_ids = vec!["dns".into()];
        let mut became = |left: &[Kind]| {
            after.findings = left.iter().map(|kind| of(*kind, kind.text())).collect();
            after.site.allow_list[1].finding_ids = left.iter().map(|kind| kind.text().to_owned()).collect();
            after.site.allow_list[1].state = AllowState::Blocked;
            let told = compare(&before, &after).findings;
            told.into_iter().find(|c| c.kind == Kind::DnsBlocked && c.subject == pattern).map(|c| c.became)
        };
        assert_eq!(became(&[Kind::TcpBlocked, Kind::AllowlistGap]), Some(Became::Fixed));
        assert_eq!(became(&[Kind::TcpBlocked, Kind::DnsSlow]), Some(Became::Unproved));
        assert_eq!(became(&[Kind::DnsSlow]), Some(Became::Unproved));
        assert_eq!(became(&[Kind::DnsBlocked]), Some(Became::Unchanged));
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
