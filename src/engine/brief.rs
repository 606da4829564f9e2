//! Verdicts in brief: of the many flows that nothing connects with the system, without asking every rule of each.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::analysis::FlowView;
use super::parts::Kind;
use super::sums::is_one_sided;
use crate::classify::decide::LOOKS_LIKE_VIDEO;
use crate::classify::decide::outline::{Outline, Sketch, mark, of_names, of_stun, when};
use crate::classify::words::Subs;
use crate::event::Class;
use crate::flow::NONE;
use crate::flow::rates::WINDOW;
use crate::inspect::message::Protocol;

/// The most outlines that are kept in mind; there are far fewer but for hostile captures.
const MAX_KNOWN: usize = 4096;

/// What a summary wants to know of a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brief {
    /// The class.
    pub class: Class,
    /// More closely, or why it is unknown.
    pub subclass: Subs,
    /// How sure the class is.
    pub confidence: f64,
}

/// The verdicts on the outlines met so far.
#[derive(Clone, Debug, Default)]
pub struct Briefs {
    known: HashMap<Outline, Brief, RandomState>,
}

impl Briefs {
    /// The verdict on a flow in brief; `None` if it must be asked for itself, or has a class and a name to go with it.
    #[inline]
    pub fn of(&mut self, view: &FlowView<'_>) -> Option<Brief> {
        let knowledge = view.naming.knowledge();
        let sketch = view.sketch();
        debug_assert_eq!(sketch, Sketch::of(&view.facts(), &knowledge));
        let sketch = sketch?;
        let named = sketch.marks & (mark::NAMED | mark::HIDDEN) != 0;
        let brief = self.of_outline(sketch.outline(&knowledge)?, view);
        (!named || brief.class == Class::Unknown).then_some(brief)
    }

    fn of_outline(&mut self, outline: Outline, view: &FlowView<'_>) -> Brief {
        if let Some(brief) = self.known.get(&outline) {
            return *brief;
        }
        let verdict = view.verdict(&view.facts());
        let brief = Brief { class: verdict.class, subclass: verdict.subclass, confidence: verdict.confidence_f64() };
        if self.known.len() < MAX_KNOWN {
            self.known.insert(outline, brief);
        }
        brief
    }
}

impl FlowView<'_> {
    /// What [`Sketch::of`] makes of this flow's facts, without making those.
    fn sketch(&self) -> Option<Sketch> {
        let (flow, tcp) = (self.flow, self.tcp);
        let pkts = self.shard.table.pkts(flow);
        let marks = when(flow.midstream(), mark::MIDSTREAM)
            | when(is_one_sided(pkts, tcp), mark::ONE_SIDED)
            | when(flow.cut(), mark::CUT)
            | when(self.looks_like_video(), mark::VIDEO);
        let marks = if flow.learnt == NONE { marks } else { marks | self.marks_learnt()? };
        Some(Sketch { proto: flow.proto(), orig: self.orig.0, resp: self.resp, marks })
    }

    /// Whether either end sent video for as long as the rules want; it takes several windows.
    fn looks_like_video(&self) -> bool {
        let flow = self.flow;
        let Some(tcp) = self.tcp.filter(|_| flow.last.since(flow.first) >= WINDOW) else { return false };
        let rates = tcp.rates(self.begun(), &self.naming.base.thresholds);
        rates.video.iter().any(|windows| u32::from(*windows) >= LOOKS_LIKE_VIDEO)
    }

    fn marks_learnt(&self) -> Option<u32> {
        let has = |kind| self.shard.learner.parts.get(self.flow.learnt, kind) != NONE;
        let mut marks = when(has(Kind::Dns), mark::DNS) | when(has(Kind::Ntp), mark::NTP);
        marks |= when(self.spoken().is_some_and(|s| s.protocol == Protocol::Rtsp), mark::RTSP);
        if let Some(tls) = self.tls() {
            let ech = tls.ech.may_hide_a_name();
            marks |= when(ech, mark::ECH) | of_names(self.is_named(tls.sni().map(|at| at.name))?, ech);
            marks |= when(self.offers_dns(tls), mark::DNS_OFFERED);
            let certified = tls.detail.as_ref().and_then(|d| d.host);
            marks |= when(self.is_named(certified.map(|at| at.name))?, mark::NAMED);
        }
        if let Some(quic) = self.quic() {
            let ech = self.tls().is_some_and(|tls| tls.ech.may_hide_a_name());
            marks |= of_names(self.is_named(quic.sni.map(|at| at.name))?, ech);
        }
        if let Some(http) = self.http() {
            if http.authority.is_some() || http.message_http != 0 {
                return None;
            }
            marks |= when(self.is_named(http.host.map(|at| at.name))?, mark::NAMED);
        }
        if let Some(stun) = self.stun_facts() {
            marks |= of_stun(&stun);
        }
        if let Some(media) = self.media() {
            let enough = media.datagrams as f32 >= self.naming.base.rules.p2p.media_datagrams;
            marks |= when(media.detail.as_ref().is_some_and(|d| d.sctp != 0), mark::SCTP);
            marks |= when(media.dtls != 0, mark::DTLS) | when(media.rtp > 0, mark::RTP) | when(enough, mark::MEDIA);
        }
        Some(marks)
    }

    /// Whether there is a name; `None` if the catalogue has something to say of it, or if it is an address.
    fn is_named(&self, name: Option<u32>) -> Option<bool> {
        match name {
            None => Some(false),
            Some(name) => self.naming.is_plain(self.shard_at, name, || self.text(name)).then_some(true),
        }
    }
}
