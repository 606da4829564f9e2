//! What a record tells of media.

use super::FlowView;
use crate::decode::proto;
use crate::engine::learnt::MediaDetail;
use crate::event::{RtpRecord, RtpStream, SctpRecord};
use crate::inspect::sctp;

impl<'a> FlowView<'a> {
    fn media_detail(&self) -> Option<&'a MediaDetail> {
        self.media()?.detail.as_deref()
    }

    pub(in crate::engine) fn sctp_record(&self) -> Option<SctpRecord> {
        let known = self.media_detail().filter(|d| d.sctp != 0)?;
        let inside = self.flow.proto() == proto::UDP;
        let [src_port, dest_port] = self.flow.oriented(known.ports).map(|port| inside.then_some(port));
        let [tag_toserver, tag_toclient] = self.flow.oriented(known.tags).map(|tag| (tag != 0).then_some(tag));
        let chunks = sctp::chunk_names(known.chunks).collect();
        Some(SctpRecord { src_port, dest_port, tag_toserver, tag_toclient, chunks })
    }

    /// Streams that have shown themselves to be such; what else was counted by its looks is not told.
    pub(in crate::engine) fn rtp_record(&self) -> Option<RtpRecord> {
        let known = self.media_detail()?;
        let flipped = self.flow.flipped();
        let proven = known.sources.iter().filter(|(source, _)| source.is_proven());
        let streams: Vec<_> = proven
            .map(|(source, second)| RtpStream {
                ssrc: source.ssrc,
                payload_type: source.payload_type,
                toclient: *second != flipped,
                packets: source.packets,
                lost: source.lost(),
            })
            .collect();
        let reports = u64::from(known.reports);
        let any = !streams.is_empty() || reports > 0 && self.media()?.rtp > 0;
        any.then(|| RtpRecord { streams, streams_omitted: u64::from(known.omitted), reports })
    }
}
