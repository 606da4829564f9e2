//! What one flow says of an attempt to view: whose it is, by which way, what came of it, and how much video it carried.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::classify::words::Sub;
use crate::diagnose::scene::Scene;
use crate::engine::case::Case;
use crate::engine::learnt::turn;
use crate::event::{Class, FindingRecord, Kind, Manner, Method, Mode, StepOutcome};
use crate::flow::course::Burst;
use crate::time::{SECOND, Timestamp, seconds};

/// Video of one flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stream {
    /// The originator sends it.
    pub by_orig: bool,
    /// Payload bytes of the side that sends it.
    pub bytes: u64,
    /// Its first.
    pub first: Timestamp,
    /// Its last.
    pub last: Timestamp,
}

impl Stream {
    /// Its mean rate in bits per second; none of less than so many seconds.
    pub fn bit_rate(&self, least: f64) -> Option<f64> {
        mean_rate(self.bytes, self.last.since(self.first), least)
    }
}

/// The mean rate of bytes in so many nanoseconds, in bits per second; none where that is no time, or less than `least`
/// seconds: what comes all at once has none.
pub(super) fn mean_rate(bytes: u64, nanos: u64, least: f64) -> Option<f64> {
    let time = seconds(nanos);
    (time > 0.0 && time >= least).then(|| bytes as f64 * 8.0 / time)
}

/// Whose attempt a flow belongs to, on the side of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A recorder is viewed.
    Recorder,
    /// A client views.
    Client,
}

/// One flow of an attempt to view.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Trial<'c> {
    pub case: &'c Case,
    pub method: Method,
    /// The end on the side of the capture, and what it is.
    pub own: IpAddr,
    pub side: Side,
    /// The other end, where it is no relay.
    pub peer: Option<IpAddr>,
    pub outcome: StepOutcome,
    /// The finding that says why it failed, or that it went badly.
    pub finding: Option<&'c FindingRecord>,
    /// What else there is to say of it.
    pub note: Option<String>,
    pub video: Option<Stream>,
    /// The part of it that has a rate.
    pub rated: Option<Stream>,
    /// It belongs to an attempt, and is none by itself.
    pub beside: bool,
}

/// The way that a class of flows is of.
const fn method_of(class: Class) -> Option<Method> {
    match class {
        Class::Relay => Some(Method::Relay),
        Class::P2p => Some(Method::P2p),
        Class::Lsf | Class::LocalDirect => Some(Method::Lsf),
        Class::Direct | Class::LocalIp => Some(Method::Direct),
        _ => None,
    }
}

/// The video that a flow carried, if it did.
pub fn video(scene: &Scene<'_>, case: &Case) -> Option<Stream> {
    method_of(case.class).and_then(|method| video_by(scene, case, method))
}

/// The video that a flow carried, if it is one of that way.
fn video_by(scene: &Scene<'_>, case: &Case, method: Method) -> Option<Stream> {
    let by_orig = match method {
        Method::Relay if case.subs.has(Sub::VideoUp) => true,
        Method::Relay if case.subs.has(Sub::VideoDown) => false,
        Method::Relay => return media(scene, case).filter(|_| case.subs.has(Sub::Turn)),
        Method::P2p => return media(scene, case).filter(|_| !case.subs.has(Sub::Attempt)),
        // a recorder that is viewed so has been connected to
        Method::Lsf | Method::Direct if case.tcp.as_ref()?.video_windows[1] > 0 => false,
        Method::Lsf | Method::Direct => return None,
    };
    let side = usize::from(!by_orig);
    let bytes = case.payload.get(side).copied()?;
    let (first, last) =
        case.tcp.as_ref().and_then(|tcp| span(tcp.bursts.get(side)?)).unwrap_or((case.first(), case.last));
    Some(Stream { by_orig, bytes, first, last })
}

/// What of a stream came behind the second in which most of it came: what was held back and is let go at once has no
/// rate.
fn behind_peak(case: &Case, stream: Stream) -> Stream {
    let side = usize::from(!stream.by_orig);
    let bursts = case.tcp.as_ref().and_then(|tcp| tcp.bursts.get(side)).into_iter().flatten();
    let (mut gone, mut most, mut behind) = (0u64, 0, stream);
    for burst in bursts {
        if burst.peak.bytes > most {
            most = burst.peak.bytes;
            let until = gone.saturating_add(burst.peak.before).saturating_add(most);
            behind = Stream {
                bytes: stream.bytes.saturating_sub(until),
                first: burst.peak.at.after(SECOND).min(stream.last),
                ..stream
            };
        }
        gone = gone.saturating_add(burst.bytes);
    }
    behind
}

/// The stretch of time of bursts.
fn span(bursts: &[Burst]) -> Option<(Timestamp, Timestamp)> {
    Some((bursts.first()?.start, bursts.iter().map(|burst| burst.end).max()?))
}

/// The video of a flow of datagrams: that of the side that sent more.
fn media(scene: &Scene<'_>, case: &Case) -> Option<Stream> {
    let known = case.media.filter(|known| scene.is_media(known))?;
    let [a, b] = case.payload;
    let last = known.last.iter().copied().max()?;
    let by_orig = a >= b;
    Some(Stream { by_orig, bytes: a.max(b), first: case.first(), last })
}

/// What is found of flows, by their ids.
pub struct Cited<'f> {
    by_flow: hashbrown::HashMap<u64, Vec<&'f FindingRecord>, foldhash::fast::RandomState>,
    /// Which side their flows to the relay show hosts to be on, as far as that was asked.
    sides: RefCell<BTreeMap<IpAddr, Option<bool>>>,
}

impl<'f> Cited<'f> {
    /// Puts findings down by the flows that they cite.
    pub fn new(findings: &'f [FindingRecord]) -> Self {
        let mut by_flow = hashbrown::HashMap::<_, Vec<_>, _>::default();
        for finding in findings {
            for flow in &finding.flow_ids {
                by_flow.entry(*flow).or_default().push(finding);
            }
        }
        Cited { by_flow, sides: RefCell::default() }
    }

    /// The findings that cite a flow.
    pub fn of(&self, flow: u64) -> &[&'f FindingRecord] {
        self.by_flow.get(&flow).map_or(&[], |found| found)
    }

    /// The surest finding of a flow that `wanted` is true of.
    fn surest(&self, flow: u64, wanted: impl Fn(&FindingRecord) -> bool) -> Option<&'f FindingRecord> {
        let found = self.of(flow).iter().copied().filter(|f| wanted(f));
        found.max_by(|a, b| a.confidence.total_cmp(&b.confidence).then(b.id.cmp(&a.id)))
    }
}

/// Whether a finding says that video does not get through a flow.
fn stops(finding: &FindingRecord) -> bool {
    match finding.kind {
        // what is released late has come, and so has what is cut off in the middle
        Kind::ContentFilterStall => {
            let came = matches!(finding.manner, Some(Manner::CutOff | Manner::Released));
            !came && finding.mode != Some(Mode::HoldRelease)
        }
        Kind::PostRefused
        | Kind::BlockPage
        | Kind::ProxyAuthRequired
        | Kind::TcpBlocked
        | Kind::SniReset
        | Kind::ClientHelloLost
        | Kind::TlsAlert
        | Kind::PmtuBlackhole
        | Kind::DirectBroken
        | Kind::P2pFailed
        | Kind::BrokenIpv6 => true,
        _ => false,
    }
}

/// Whether a finding says that video comes badly.
fn mars(finding: &FindingRecord) -> bool {
    use Kind::*;
    let badly = matches!(finding.kind, ContentFilterStall | P2pFallback | UplinkSaturated | LossyPath);
    badly && finding.is_claim()
}

/// What a flow says of an attempt to view, if anything.
pub fn trial<'c>(scene: &Scene<'c>, cited: &Cited<'c>, case: &'c Case) -> Option<Trial<'c>> {
    let id = case.identity.flow_id;
    // outside its router a recorder is not known as one, but for what is found of who comes to it
    let came_to =
        || cited.surest(id, |f| f.is_claim() && matches!(f.kind, Kind::DirectBroken | Kind::CleartextExposure));
    let method = method_of(case.class).or_else(|| came_to().map(|_| Method::Direct))?;
    let video = video_by(scene, case, method);
    let stopped = cited.surest(id, stops);
    let marred = cited.surest(id, |f| mars(f) && (method == Method::P2p || f.kind != Kind::P2pFallback));
    let (own, side, peer) = match method {
        Method::Relay => (case.orig.0, relay_side(scene, case, video)?, None),
        Method::P2p => p2p_ends(scene, cited, case, video),
        Method::Lsf | Method::Direct => inward_ends(case),
    };
    let outcome = StepOutcome::Unclear;
    let finding = stopped.or(marred);
    let late = marred.is_some_and(|f| f.mode == Some(Mode::HoldRelease) || f.manner == Some(Manner::Released));
    let rated = video.map(|video| if late { behind_peak(case, video) } else { video });
    let mut trial = Trial { case, method, own, side, peer, outcome, finding, note: None, video, rated, beside: false };
    match stopped {
        Some(finding) if finding.is_claim() => {
            (trial.outcome, trial.video, trial.rated) = (StepOutcome::Failed, None, None);
            // the same host goes on with IPv4, by another address
            trial.beside = finding.kind == Kind::BrokenIpv6;
        }
        _ if video.is_some() => (trial.outcome, trial.finding) = (StepOutcome::Worked, marred),
        Some(_) => {}
        None => trial.wait()?,
    }
    // a recorder's own connection that cannot be made is no view
    let held = stopped.is_some_and(|f| matches!(f.kind, Kind::ContentFilterStall | Kind::PostRefused));
    let own_affair = method == Method::Relay && side == Side::Recorder && !held && !trial.asks_for_video();
    (trial.video.is_some() || !own_affair).then_some(trial)
}

impl Trial<'_> {
    /// What a flow is that carried no video and that nothing is found of; nothing, where it is no part of a view.
    fn wait(&mut self) -> Option<()> {
        let turns = || self.case.http.iter().flat_map(|http| &http.turns).map(|turn| turn.turn);
        match self.method {
            Method::P2p => self.case.stun.as_ref().map(|_| ()),
            Method::Relay => {
                let from_relay = self.side == Side::Client && turns().any(|turn| matches!(turn.status, 502..=504));
                if !self.asks_for_video() && !from_relay {
                    return None;
                }
                let refused = turns().map(|turn| turn.status).find(|status| *status >= 400);
                self.note = Some(match refused {
                    Some(status) => format!("the answer is {status}"),
                    None => "it was asked for, and no picture came".to_owned(),
                });
                self.outcome = refused.map_or(StepOutcome::Unclear, |_| StepOutcome::Failed);
                Some(())
            }
            Method::Lsf | Method::Direct => {
                self.beside = true;
                if self.case.established {
                    self.note = Some("the recorder was reached, and no video followed".to_owned());
                }
                Some(())
            }
        }
    }

    /// Whether a flow to the relay asks for video, or for a recorder's to be taken, in the clear.
    fn asks_for_video(&self) -> bool {
        let turns = self.case.http.iter().flat_map(|http| &http.turns);
        let marks = turns.fold(0, |all, turn| all | turn.turn.marks);
        // what a recorder is told on its standing connection may be wrapped alike
        let wanted = if self.side == Side::Recorder { turn::SENDS_MESSAGE } else { turn::MESSAGE | turn::MEDIA };
        marks & wanted != 0
    }
}

/// Whose flow to the relay it is. What goes through a TURN server tells by where the media goes.
fn relay_side(scene: &Scene<'_>, case: &Case, video: Option<Stream>) -> Option<Side> {
    let sends = video.map(|stream| stream.by_orig);
    // a recorder's standing connection may be answered as a viewer's is
    let standing = (video.is_none() && case.recorders[0]).then_some(true);
    let told = || standing.or_else(|| scene.is_recorder_side(case));
    let recorder = if case.subs.has(Sub::Turn) { sends } else { told().or(sends) };
    recorder.map(|recorder| if recorder { Side::Recorder } else { Side::Client })
}

/// The own end of a flow from peer to peer, what it is, and the peer.
fn p2p_ends(
    scene: &Scene<'_>,
    cited: &Cited<'_>,
    case: &Case,
    video: Option<Stream>,
) -> (IpAddr, Side, Option<IpAddr>) {
    let own = usize::from(case.inside == [false, true]);
    let ends = if own == 0 { [case.orig.0, case.resp.0] } else { [case.resp.0, case.orig.0] };
    let by_role = is_recorder(scene, cited, ends[0], case.recorders.get(own) == Some(&true));
    let sends = video.map(|stream| stream.by_orig == (own == 0));
    let side = if sends.or(by_role).unwrap_or(false) { Side::Recorder } else { Side::Client };
    (ends[0], side, Some(ends[1]))
}

/// Whether a host is a recorder, by its role, by what it asks the cloud for, or by which way its video goes.
fn is_recorder(scene: &Scene<'_>, cited: &Cited<'_>, ip: IpAddr, role: bool) -> Option<bool> {
    if role || scene.base.site.recorders.contains(&ip) {
        return Some(true);
    }
    let client = scene.cases.client(ip)?;
    if client.logs_in || client.reports {
        return Some(client.reports);
    }
    let side = || scene.cases.relays(ip).filter_map(|case| scene.is_recorder_side(case)).next();
    *cited.sides.borrow_mut().entry(ip).or_insert_with(side)
}

/// Of a connection made to a recorder: who is on the side of the capture, what it is, and the other end. A client of
/// the site tells its own story, one from outside that of the recorder that it came to.
fn inward_ends(case: &Case) -> (IpAddr, Side, Option<IpAddr>) {
    match case.inside {
        [true, _] => (case.orig.0, Side::Client, Some(case.resp.0)),
        [false, _] => (case.resp.0, Side::Recorder, Some(case.orig.0)),
    }
}
