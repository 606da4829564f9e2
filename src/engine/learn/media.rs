//! What SCTP and RTP tell.

use super::{Context, Learner};
use crate::engine::learnt::MediaDetail;
use crate::flow::Flow;
use crate::inspect::dtls::Wanted;
use crate::inspect::rtp::{self, Source};
use crate::inspect::sctp;

/// How many streams of RTP one flow keeps.
const MAX_SOURCES: usize = 16;
/// So many reports alone in their datagrams show that a flow is RTCP; of several in one, one datagram does.
const PROVING_REPORTS: u32 = 2;

impl Learner {
    fn media_detail(&mut self, flow: &mut Flow) -> Option<&mut MediaDetail> {
        Some(self.media_of(flow)?.detail.get_or_insert_default())
    }

    /// What is wanted of DTLS.
    pub const fn wanted(&self) -> Wanted {
        if self.records { Wanted::Certificates } else { Wanted::Hellos }
    }

    /// Whether a hello of the flow is still to come, or a certificate that is wanted.
    pub fn wants_dtls(&self, flow: &Flow) -> bool {
        self.tls_of(flow).is_none_or(|t| t.version == 0 || self.records && t.awaits_certificate())
    }

    /// Counts a datagram of DTLS.
    pub fn count_dtls(&mut self, cx: &mut Context<'_>) {
        let (frame, second, ts) = (cx.packet.frame, cx.second, cx.packet.ts);
        if let Some(media) = self.media_of(cx.flow) {
            media.count(second, ts);
            if media.dtls == 0 {
                media.dtls = frame;
            }
        }
    }

    pub(super) fn sctp(&mut self, cx: &mut Context<'_>, packet: &sctp::Packet) {
        let (frame, second) = (cx.packet.frame, cx.second);
        let Some(detail) = self.media_detail(cx.flow) else { return };
        if detail.sctp == 0 {
            detail.sctp = frame;
            let sctp::Packet { source, destination, .. } = *packet;
            detail.ports = if second { [destination, source] } else { [source, destination] };
        }
        detail.chunks |= packet.chunks;
        if let Some(tag) = detail.tags.get_mut(usize::from(second)).filter(|_| packet.tag != 0) {
            *tag = packet.tag;
        }
    }

    /// Takes what may be a packet of RTP. True: its stream has shown that it is.
    pub fn rtp(&mut self, cx: &mut Context<'_>, packet: &rtp::Packet) -> bool {
        let second = cx.second;
        let Some(media) = self.media_of(cx.flow) else { return false };
        let detail = media.detail.get_or_insert_default();
        if let Some((source, _)) = detail.sources.iter_mut().find(|(s, from)| s.ssrc == packet.ssrc && *from == second)
        {
            source.take(packet);
            let proven = source.is_proven();
            if proven && media.rtp == 0 {
                (media.rtp, media.datagrams) = (source.packets, media.datagrams.max(source.packets));
            }
            return proven;
        }
        let fresh = (Source::new(packet), second);
        if detail.sources.len() < MAX_SOURCES {
            detail.sources.push(fresh);
        } else if let Some(idle) = detail.sources.iter_mut().find(|(s, _)| s.packets == 1) {
            *idle = fresh;
        } else {
            detail.omitted = detail.omitted.saturating_add(1);
        }
        false
    }

    /// Takes what may be a datagram of RTCP. True: it, and those before it, have shown that they are.
    pub fn rtcp(&mut self, cx: &mut Context<'_>, report: rtp::Report) -> bool {
        let Some(media) = self.media_of(cx.flow) else { return false };
        let detail = media.detail.get_or_insert_default();
        detail.reports = detail.reports.saturating_add(1);
        let proven = report.packets > 1 || report.packets == 1 && detail.reports >= PROVING_REPORTS;
        if proven && media.rtp == 0 {
            (media.rtp, media.datagrams) = (detail.reports, media.datagrams.max(detail.reports));
        }
        proven
    }
}
